"""On which processor a process runs.

A judge and its children speak by turns, never at once. Where they share a
processor, neither has to wake another one for each word.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from . import linux


def allowed() -> list[int]:
    """Return the processors that this process may run on, if it is known."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))


def stay() -> None:
    """Keep this process, and what it starts, on the one where it is now."""
    if linux.LINUX:
        keep_to([linux.LIBC.sched_getcpu()])


def keep_to(processors: Iterable[int]) -> None:
    """Keep this process to some processors, as far as it may use them."""
    wanted = set(processors)
    if wanted and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, wanted)
