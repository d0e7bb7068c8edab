"""Namespaces: a network, processes and a file tree of the server's own.

They come on top of the mandatory layer, where the system allows them. The
server enters them once; every child is born within. Nothing here may run
in a process with threads.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import select
import signal
from collections.abc import Iterable
from pathlib import Path

from . import filetree, linux, privileges, rlimits, tree
from .privileges import works

PLAIN = {"net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000}

_PRIVATE = (1 << 18) | (1 << 14)  # MS_PRIVATE | MS_REC
_entered: tuple[str, ...] = ()


def entered() -> tuple[str, ...]:
    """Return the namespaces that this process is in."""
    return _entered


def enter_namespaces(
    visible: Iterable[str | Path], folder: str | os.PathLike
) -> tuple[str, ...]:
    """Move this process into new namespaces, as far as that is allowed.

    Of the file tree there remain what Python needs and `visible`, to be
    read, and `folder`, to be written. Call it first thing: it forks, and
    goes on as the first process of its own, while the one that was called
    waits, and ends as that one ends. Returns the namespaces' names.
    """
    global _entered
    if not linux.LINUX:
        return ()
    names = []
    if not _privileged():
        if not works(_own_user):
            return ()
        _own_user()
        names.append("user")
    for name, flag in PLAIN.items():
        with contextlib.suppress(OSError):
            linux.unshare(flag)
            names.append(name)
    with contextlib.suppress(OSError):
        linux.unshare(linux.NEW_PROCESSES)
        _first_of_its_kind()
        names.append("pid")
    with contextlib.suppress(OSError):
        linux.unshare(linux.NEW_MOUNTS)
        linux.mount("none", "/", "", _PRIVATE)
        seen = tree.roots(visible)
        filetree.replace(seen, Path(folder), fresh_proc="pid" in names)
        names.append("mount")
        if not os.geteuid():
            # Each child is to be another user. The folder stays private:
            # elsewhere, what is above it has not changed.
            os.chmod(folder, 0o711)
    privileges.empty_bounding_set()
    _entered = tuple(names)
    return _entered


@functools.cache
def possible() -> tuple[str, ...]:
    """Find out which namespaces this process could enter."""
    alone = not _privileged()
    if alone and not works(_own_user):
        return ()

    def enter(flag: int) -> None:
        if alone:
            _own_user()
        linux.unshare(flag)

    kinds = {
        **PLAIN,
        "pid": linux.NEW_PROCESSES,
        "mount": linux.NEW_MOUNTS,
    }
    return (
        *(["user"] if alone else []),
        *(
            name
            for name, flag in kinds.items()
            if works(functools.partial(enter, flag))
        ),
    )


def _privileged() -> bool:
    """Whether new namespaces need no user namespace around them."""
    if os.geteuid():
        return False
    return works(lambda: linux.unshare(PLAIN["uts"]))


def _own_user() -> None:
    """Enter a user namespace in which the user keeps the same number."""
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.NEW_USER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        Path("/proc/self", name).write_text(text)


def _first_of_its_kind() -> None:
    """Go on in a child that is the first process of its namespace.

    When it dies, the kernel ends all that it started; it dies with the
    process that stays behind.
    """
    alive, held = os.pipe()
    child = os.fork()
    if child:
        rlimits.close_all_but((held,))
        _follow(child)
    os.close(held)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:  # it has died already
        os._exit(1)
    os.close(alive)


def _follow(child: int) -> None:
    """Wait for the child, and end as it ended; never return."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.kill(os.getpid(), -code)
        os._exit(max(code, 0))
    finally:
        os._exit(1)
