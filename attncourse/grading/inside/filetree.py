"""A file tree in which there is only what may be seen."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import linux

_BIND = 1 << 12
_WITH_MOUNTS = 1 << 14
_NOT_TO_BE_BOUND = 1 << 17  # the new tree is not to show itself
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_RUNNING = 1, 2, 4, 8
_RECURSIVE = 0x8000
_DETACH = 2
_TEMPORARY = "size=16m,nr_inodes=1000,mode=1777"


def replace(
    visible: Iterable[str | os.PathLike], folder: Path, *, fresh_proc: bool
) -> None:
    """Make a tree of `visible`, to be read, and `folder` this process's own.

    Needs a mount namespace of its own. Links on the way to a place are
    made again. An error leaves the tree as it was.
    """
    folder = Path(os.path.abspath(folder))
    root = folder / ".root"
    root.mkdir(exist_ok=True)
    try:
        _build(root, visible, folder, fresh_proc)
        os.chdir(root)
        linux.syscall(linux.PIVOT_ROOT, b".", b".")
    except OSError:
        os.chdir(folder)
        linux.LIBC.umount2(os.fsencode(root), _DETACH)
        raise
    finally:
        with contextlib.suppress(OSError):
            root.rmdir()
    linux.LIBC.umount2(b".", _DETACH)
    os.chdir("/")
    with contextlib.suppress(OSError):
        root.rmdir()  # the same place, as this tree shows it


def _build(
    root: Path,
    visible: Iterable[str | os.PathLike],
    folder: Path,
    fresh_proc: bool,
) -> None:
    """Put the new tree together below `root`."""
    linux.mount("tmpfs", str(root), "tmpfs", _NO_SUID, "size=1m,mode=755")
    linux.mount("none", str(root), "", _NOT_TO_BE_BOUND)
    # Libraries want a place for temporary files when they are loaded.
    (root / "tmp").mkdir()
    harmless = _NO_SUID | _NO_DEVICES
    linux.mount("tmpfs", str(root / "tmp"), "tmpfs", harmless, _TEMPORARY)
    # What is above comes first, and then shows what is below it, too.
    for path in sorted(Path(each) for each in visible):
        if path.exists() and path.is_absolute():
            _show(path, root)
    _show(Path(os.devnull), root)
    _processes(root, fresh=fresh_proc)
    _show(folder, root, to_write=True)
    _allow(root, _READ_ONLY | harmless, flags=0)


def _show(path: Path, root: Path, *, to_write: bool = False) -> None:
    """Bind `path` below `root`, with the links that lead to it."""
    here = Path("/")
    for k, part in enumerate(path.parts[1:], 1):
        here, above = here / part, here
        copy = _below(root, here)
        if here.is_symlink():
            if not os.path.lexists(copy):
                copy.symlink_to(os.readlink(here))
            rest = Path(os.readlink(here), *path.parts[k + 1 :])
            led = Path(os.path.normpath(above / rest))
            return _show(led, root, to_write=to_write)
        if here != path:
            copy.mkdir(exist_ok=True)
    if copy.exists() and not to_write:  # below what was shown before
        return None
    if path.is_dir():
        copy.mkdir(exist_ok=True)
    else:
        copy.touch()
    deep = 0 if to_write else _WITH_MOUNTS
    linux.mount(str(path), str(copy), "", _BIND | deep)
    if deep and path.is_dir():
        _allow(copy, _READ_ONLY | _NO_SUID | _NO_DEVICES)
    return None


def own_storage(size_bytes: int, user: int) -> None:
    """Lay storage of this size over the working directory.

    What is in the directory is copied. The storage belongs to `user` and
    is gone when this process ends.
    """
    here = os.getcwd()
    before = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
    size_bytes += _size(here)
    linux.unshare(linux.NEW_MOUNTS)
    options = f"size={size_bytes},nr_inodes=10000,mode=700,uid={user}"
    flags = _NO_SUID | _NO_DEVICES | _NO_RUNNING
    linux.mount("tmpfs", here, "tmpfs", flags, options)
    os.chdir(here)
    _copy(before, ".", user)
    os.close(before)


def _size(path: str) -> int:
    """Return the bytes that a copy of this folder takes."""
    return sum(
        -(-os.lstat(os.path.join(folder, name)).st_size // 4096) * 4096
        for folder, _, files in os.walk(path)
        for name in files
    )


def give_to(path: str, user: int) -> None:
    """Make all below a folder belong to `user`."""
    os.chown(path, user, -1, follow_symlinks=False)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            where = os.path.join(folder, name)
            os.chown(where, user, -1, follow_symlinks=False)


def _copy(source: int, target: str, user: int) -> None:
    """Copy the plain files and folders below an open folder."""
    for entry in os.scandir(source):
        copy = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            inner = os.open(
                entry.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source
            )
            os.mkdir(copy)
            _copy(inner, copy, user)
            os.close(inner)
        elif entry.is_file(follow_symlinks=False):
            fd = os.open(
                entry.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source
            )
            with open(fd, "rb") as old, open(copy, "wb") as new:
                shutil.copyfileobj(old, new)
        else:
            continue
        os.chown(copy, user, -1)


def _processes(root: Path, *, fresh: bool) -> None:
    """Show the processes: only this namespace's, where that is allowed."""
    proc = root / "proc"
    proc.mkdir(exist_ok=True)
    if fresh:
        with contextlib.suppress(OSError):
            linux.mount("proc", str(proc), "proc", 2 | 4 | 8)
            return
    linux.mount("/proc", str(proc), "", _BIND | _WITH_MOUNTS)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user", ctypes.c_uint64),
    )


def _allow(path: Path, attributes: int, flags: int = _RECURSIVE) -> None:
    change = _Attributes(attributes, 0, 0, 0)
    linux.syscall(
        linux.MOUNT_SETATTR,
        -100,  # AT_FDCWD
        os.fsencode(path),
        flags,
        ctypes.byref(change),
        ctypes.sizeof(change),
    )


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
