"""Large pages for the server, small ones for its children.

To fork is to copy the table of pages: the fewer there are, the sooner it
is done, and the sooner the child is taken down again.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

from . import linux

LARGE = 1 << 21
MADV_COLLAPSE = 25
PR_SET_THP_DISABLE = 41
HEAP = ["[heap]"]


def use_large() -> None:
    """Gather this process's own memory into large pages, where it can."""
    if not linux.LINUX:
        return
    for start, end in own_memory():
        first = -(-start // LARGE) * LARGE
        for place in range(first, end - LARGE + 1, LARGE):
            # What is not filled, or not to be had, stays as it is.
            linux.LIBC.madvise(
                ctypes.c_void_p(place), ctypes.c_size_t(LARGE), MADV_COLLAPSE
            )


def use_small() -> None:
    """Take memory by small pages from now on.

    A large one would make each first touch slow, and costs its full size.
    """
    with contextlib.suppress(OSError):
        linux.prctl(PR_SET_THP_DISABLE, 1)


def own_memory() -> Iterator[tuple[int, int]]:
    """Yield from where to where memory lies that belongs to no file."""
    with open("/proc/self/maps") as maps:
        lines = maps.read().splitlines()
    for line in lines:
        bounds, rights, _, _, inode, *name = line.split()
        if rights.startswith("rw") and inode == "0" and name in ([], HEAP):
            start, end = bounds.split("-")
            yield int(start, 16), int(end, 16)
