"""What holds a student's process: set up once, entered by each child.

The mandatory layer is Landlock (files, TCP, signals), seccomp (system
calls) and resource limits. Without all of it `Prepared` refuses, unless
told that the students are trusted. Namespaces come on top where the
system allows them (see `namespaces`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import landlock, linux, privileges, rlimits, seccomp
from .linux import IsolationError

__all__ = [
    "Isolation",
    "IsolationError",
    "Prepared",
    "available",
    "enter",
]


@dataclass(frozen=True)
class Isolation:
    """What holds a student's process, and what is missing and why."""

    landlock: int = 0
    seccomp: bool = False
    namespaces: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    trusted: bool = False

    @property
    def complete(self) -> bool:
        """Whether the mandatory layer is there."""
        return bool(self.landlock and self.seccomp and linux.LINUX)

    @property
    def level(self) -> str:
        """Say it in a line, for reports."""
        if self.trusted and not self.complete:
            return "none: students are trusted"
        parts = []
        if self.landlock:
            parts.append(f"Landlock (ABI {self.landlock})")
        if self.seccomp:
            parts.append("seccomp")
        parts.append("resource limits")
        names = ", ".join(self.namespaces) or "none"
        return f"{', '.join(parts)}; namespaces: {names}"

    def within(self, namespaces: Iterable[str]) -> Isolation:
        """Return the same with the namespaces that were entered."""
        return replace(self, namespaces=tuple(namespaces))


def available() -> Isolation:
    """Find out what this system allows."""
    missing = []
    abi = landlock.version()
    if not abi:
        missing.append("Landlock is missing: Linux 5.13 or later must have it")
    why = seccomp.why_missing()
    if why:
        missing.append(f"seccomp is missing: {why}")
    return Isolation(abi, why is None, (), tuple(missing))


@dataclass
class Prepared:
    """All that `enter` needs, made once in the server before it forks.

    `readable` are the files and folders that can be read besides the
    child's own (see `tree.readable`). Make it after `namespaces`.
    """

    readable: Iterable[str | os.PathLike]
    trust: bool = False
    isolation: Isolation = field(init=False)
    places: list[landlock.Place] = field(init=False, default_factory=list)
    program: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        self.isolation = replace(available(), trusted=self.trust)
        if not self.isolation.complete:
            if not self.trust:
                raise IsolationError("; ".join(self.isolation.missing))
            return
        paths = tuple(self.readable)
        rlimits.room_for_descriptors(len(paths) + 1024)
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                self.places.append(landlock.Place.at(path, landlock.READ))
        # To import, Python lists the folders on its path.
        importing = {Path(each).resolve() for each in sys.path if each}
        for path in {Path(each).parent for each in paths} & importing:
            self.places.append(landlock.Place.at(path, landlock.READ_DIR))
        nowhere = landlock.READ_FILE | landlock.WRITE_FILE
        self.places.append(landlock.Place.at(os.devnull, nowhere))
        self.program = seccomp.program()


def enter(
    prepared: Prepared,
    folder: str | os.PathLike,
    *,
    limits: rlimits.Limits,
    keep: Iterable[int] = (),
) -> None:
    """Shut this freshly forked process in `folder`, for good.

    Of its descriptors only `keep` stay open (0, 1 and 2 lead to nowhere
    unless kept). Raises where a layer cannot be set up: then the process
    must end, since it is only partly shut in.
    """
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    os.chdir(folder)
    bounds = rlimits.bounds(limits)
    if not prepared.isolation.complete:
        rlimits.close_all_but(tuple(keep))
        rlimits.lower(bounds)
        return
    own = landlock.Place.at(".", landlock.OWN)
    privileges.give_up()
    privileges.keep_to_itself()
    landlock.restrict([*prepared.places, own], abi=prepared.isolation.landlock)
    rlimits.close_all_but(tuple(keep))
    rlimits.lower(bounds)
    seccomp.install(prepared.program)
