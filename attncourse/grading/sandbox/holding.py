"""Private folders that a process holds, and that the next one cleans up.

A process that is killed leaves its folder behind. The kernel gives up its
lock, and so whoever starts next can tell.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from attncourse.grading.inside import folders

LOCK = "lock"
SHORT = "/tmp"  # where paths are short enough for a socket's name
# In so many seconds a folder that was just made has its lock.
YOUNG_S = 600.0


def held_folder(prefix: str, longest: int = sys.maxsize) -> tuple[Path, IO]:
    """Return a private folder, and a lock that is held while it is used.

    The path above the folder has at most `longest` characters.
    """
    base = tempfile.gettempdir()
    if len(base) > longest:
        base = SHORT
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    # It gets its name when it is held, so that nobody else can take it.
    lock = open(folder / "new", "wb")  # noqa: SIM115
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(folder / "new", folder / LOCK)
    return folder, lock


def remove_abandoned(prefix: str) -> None:
    """Remove the folders of processes that were killed."""
    for base in {tempfile.gettempdir(), SHORT}:
        for folder in Path(base).glob(f"{prefix}*"):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    about = folder.lstat()
    private = stat.S_IFDIR | 0o700
    if about.st_uid != os.getuid() or about.st_mode != private:
        return
    try:
        lock = open(folder / LOCK, "rb")  # noqa: SIM115
    except FileNotFoundError:  # it was killed while it began, or ended
        if time.time() - about.st_mtime > YOUNG_S:
            folders.remove(str(folder))
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folders.remove(str(folder))
