"""What the process may use, whatever it does: the kernel's own limits."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from typing import Protocol

from . import linux

STACK_BYTES = 8 << 20
OPEN_FILES = 256


class Limits(Protocol):
    """The limits that are read here."""

    @property
    def cpu_s(self) -> float:
        """Of one step; the process may use sixty times as much."""

    @property
    def memory_bytes(self) -> int:
        """Above what the process has when it starts."""

    @property
    def file_bytes(self) -> int:
        """Of one file."""

    @property
    def threads(self) -> int:
        """Of this process, where a user of its own lets them be counted."""


def bounds(limits: Limits) -> dict[str, int]:
    """Return the kernel's limits by name, for the process as it is now.

    Time per step is watched from outside; the processor time here is what
    a process may use that escaped the watch. `RLIMIT_NPROC` binds only a
    user who is not root, and counts all that this user runs.
    """
    return {
        **{kind: used + limits.memory_bytes for kind, used in _now().items()},
        "CPU": math.ceil(60 * limits.cpu_s) + 1,
        "FSIZE": limits.file_bytes,
        "NOFILE": OPEN_FILES,
        "STACK": STACK_BYTES,
        "SIGPENDING": 256,
        "CORE": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "NICE": 0,
        "RTPRIO": 0,
    }


def lower(wanted: dict[str, int]) -> None:
    """Lower these limits, so that they cannot be raised again."""
    for name, value in wanted.items():
        which = getattr(resource, f"RLIMIT_{name}", None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(which, (value, value))
        except (ValueError, OSError):
            if linux.LINUX:  # other systems refuse some of them
                raise


def _now() -> dict[str, int]:
    """Return the bytes of addresses, and of its own data, in use.

    Nothing where the system does not tell.
    """
    try:
        with open("/proc/self/statm", "rb") as statm:
            pages = statm.read().split()
    except OSError:
        if linux.LINUX:
            raise
        return {}
    size = resource.getpagesize()
    return {"AS": int(pages[0]) * size, "DATA": int(pages[5]) * size}


def die_first() -> None:
    """Let the kernel end this process first where memory runs out."""
    with (
        contextlib.suppress(OSError),
        open("/proc/self/oom_score_adj", "wb", buffering=0) as score,
    ):
        score.write(b"1000")


def room_for_descriptors(wanted: int) -> None:
    """Let this process hold `wanted` open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = wanted
    if soft < min(wanted, hard):
        resource.setrlimit(
            resource.RLIMIT_NOFILE,
            (min(wanted, hard), resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        )


def close_all_but(keep: tuple[int, ...]) -> None:
    """Close every descriptor but these; 0, 1 and 2 lead to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard not in keep:
            os.dup2(nowhere, standard, inheritable=False)
    start = 3
    for fd in sorted({each for each in keep if each > 2}):
        _close_from(start, fd - 1)
        start = fd + 1
    _close_from(start, (1 << 32) - 1)


def _close_from(first: int, last: int) -> None:
    if first > last:
        return
    try:
        linux.syscall(linux.CLOSE_RANGE, first, last, 0)
    except OSError:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        os.closerange(first, min(last + 1, most))
