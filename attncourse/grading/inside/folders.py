"""Private folders for children, and their removal whatever is in them."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path


class Folders:
    """Makes numbered folders below `root`."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.root.mkdir(mode=0o700, exist_ok=True)
        self._numbers = itertools.count(1)

    def make(self) -> str:
        """Return a new, empty folder."""
        path = self.root / f"{next(self._numbers)}"
        path.mkdir(mode=0o700)
        return str(path)


def remove(root: str) -> None:
    """Remove a folder that a student could fill as they liked.

    Nothing here recurses, so that no depth is too deep: what lies two
    levels down is moved up before its folder is removed. No symbolic link
    is followed.
    """
    fresh = (os.path.join(root, f"~{k}") for k in itertools.count())
    while folders := list(_emptied(root)):
        for folder in folders:
            for below in _emptied(folder):
                os.rename(below, _unused(fresh))
            os.rmdir(folder)
    os.rmdir(root)


def _emptied(folder: str) -> Iterator[str]:
    """Remove the files of a folder, and yield the folders in it."""
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    if mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield entry.path
        else:
            os.unlink(entry.path)


def _unused(names: Iterator[str]) -> str:
    return next(name for name in names if not os.path.lexists(name))
