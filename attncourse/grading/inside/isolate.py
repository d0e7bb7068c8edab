"""What holds a student's process: set up once, entered by each child.

The mandatory layer is Landlock (files, TCP, signals), seccomp (system
calls) and resource limits. Without all of it `Prepared` refuses, unless
told that the students are trusted. Namespaces come on top where the
system allows them (see `namespaces`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import (
    filetree,
    landlock,
    linux,
    namespaces,
    privileges,
    rlimits,
    seccomp,
)
from .linux import IsolationError
from .privileges import works

__all__ = [
    "Isolation",
    "IsolationError",
    "Prepared",
    "available",
    "enter",
    "enter_judge",
    "enter_namespaces",
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


@functools.cache
def available() -> Isolation:
    """Find out what this system allows, by trying it in other processes."""
    if not linux.LINUX:
        return Isolation(missing=("this system is not Linux",))
    missing = []
    abi = landlock.version()
    if not abi:
        missing.append("Landlock is missing (Linux 5.13 or later has it)")
    elif not works(_shut_everything):
        missing.append("Landlock does not hold what it should")
        abi = 0
    why = _no_seccomp()
    if why:
        missing.append(f"seccomp is missing: {why}")
    return Isolation(abi, why is None, namespaces.possible(), tuple(missing))


def enter_namespaces(
    visible: Iterable[str | Path], folder: str | os.PathLike
) -> tuple[str, ...]:
    """Call `namespaces.enter_namespaces`, first thing in a server."""
    available()  # finds libraries while the whole file tree is there
    return namespaces.enter_namespaces(visible, folder)


def _shut_everything() -> None:
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict([])
    try:
        os.listdir("/")
    except PermissionError:
        return
    raise IsolationError


def _no_seccomp() -> str | None:
    """Return why system calls cannot be withheld here, or None."""
    why = seccomp.why_missing()
    if why:
        return why
    try:
        program = seccomp.program()
    except OSError as error:
        return f"libseccomp cannot write a program: {error}"
    if works(functools.partial(_fork_under_seccomp, program)):
        return None
    return "a program cannot be loaded, or does not hold"


def _fork_under_seccomp(program: bytes) -> None:
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(program)
    try:
        os.fork()
    except PermissionError:
        return
    raise IsolationError


@dataclass
class Prepared:
    """All that `enter` needs, made once in the server before it forks.

    `readable` are the files and folders that can be read besides the
    child's own (see `tree.readable`). Make it after `enter_namespaces`.
    Where the mandatory layer is missing it raises `IsolationError`, unless
    the students are trusted.
    """

    readable: Iterable[str | os.PathLike]
    trust: bool = False
    isolation: Isolation = field(init=False)
    places: list[landlock.Place] = field(init=False, default_factory=list)
    program: bytes = field(init=False, default=b"")
    users: range | None = field(init=False, default=None)
    nested: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.isolation = replace(
            available(), trusted=self.trust, namespaces=namespaces.entered()
        )
        if not self.isolation.complete:
            if not self.trust:
                raise IsolationError("; ".join(self.isolation.missing))
            return
        paths = tuple(each for each in self.readable if os.path.exists(each))
        self.places = _places(paths)
        self.program = seccomp.program()
        self.users = privileges.numbers(paths)
        self.nested = self.users is None and works(privileges.nested_user)

    @property
    def storage(self) -> bool:
        """Whether each child gets storage of its own, of limited size."""
        return "mount" in self.isolation.namespaces


def _places(paths: Iterable[str | os.PathLike]) -> list[landlock.Place]:
    names = [Path(each) for each in paths]
    rlimits.room_for_descriptors(len(names) + 1024)
    places = [landlock.Place.at(path, landlock.READ) for path in names]
    # To import, Python lists the folders on its path.
    importing = {Path(each).resolve() for each in sys.path if each}
    places += [
        landlock.Place.at(path, landlock.READ_DIR)
        for path in {each.parent for each in names} & importing
    ]
    nowhere = landlock.READ_FILE | landlock.WRITE_FILE
    return [*places, landlock.Place.at(os.devnull, nowhere)]


def enter(
    prepared: Prepared,
    folder: str | os.PathLike,
    *,
    limits: rlimits.Limits,
    keep: Iterable[int] = (),
    room: int = 0,
) -> None:
    """Shut this freshly forked process in `folder`, for good.

    Of its descriptors only `keep` stay open (0, 1 and 2 lead to nowhere
    unless kept). What is written to `folder` is gone when the process
    ends, where namespaces allow; `room` are the bytes that it may hold
    besides the largest file. Raises where a layer cannot be set up:
    then the process must end, since it is only partly shut in.
    """
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    os.chdir(folder)
    bounds = rlimits.bounds(limits)
    if not prepared.isolation.complete:
        with contextlib.suppress(OSError):
            privileges.keep_to_itself()
        rlimits.close_all_but(tuple(keep))
        rlimits.lower(bounds)
        return
    rlimits.die_first()
    own, counted = _settle(prepared, folder, limits.file_bytes + room)
    if counted:
        bounds["NPROC"] = limits.threads
    privileges.keep_to_itself()
    landlock.restrict([*prepared.places, own], abi=prepared.isolation.landlock)
    rlimits.close_all_but(tuple(keep))
    rlimits.lower(bounds)
    seccomp.install(prepared.program)


def _settle(
    prepared: Prepared, folder: str | os.PathLike, storage: int
) -> tuple[landlock.Place, bool]:
    """Make the folder its own, and become whoever this process is to be.

    Returns the folder, and whether its threads can be counted.
    """
    user = _user(prepared, folder)
    changed = user != os.getuid()
    if prepared.storage:
        filetree.own_storage(storage, user)
    elif changed:
        filetree.give_to(".", user)
    own = landlock.Place.at(".", landlock.OWN)
    if prepared.nested:
        privileges.nested_user()
    privileges.give_up(user if changed else None)
    return own, prepared.nested or changed


def _user(prepared: Prepared, folder: str | os.PathLike) -> int:
    """Return the number of the user who this process is to be.

    Each folder has its own, so that threads are counted for it alone.
    """
    if prepared.users is None or not privileges.reachable(folder):
        return os.getuid()
    return prepared.users[os.stat(folder).st_ino % len(prepared.users)]


def enter_judge(
    prepared: Prepared,
    *,
    limits: rlimits.Limits,
    folder: str | os.PathLike | None = None,
    keep: Iterable[int] = (),
) -> None:
    """Hold this process, a judge, to reading what is prepared.

    It writes to `folder` only, or nowhere. It may connect to the sandbox,
    and end the processes there; that it watches them needs ``/proc``.
    """
    with contextlib.suppress(PermissionError):
        os.setsid()
    bounds = rlimits.bounds(limits)
    if prepared.isolation.complete:
        places = [landlock.Place.at("/proc", landlock.READ), *prepared.places]
        if folder is not None:
            places.append(landlock.Place.at(folder, landlock.OWN))
        privileges.give_up(keep=privileges.KILL)
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        landlock.restrict(places, abi=prepared.isolation.landlock, alone=False)
    rlimits.close_all_but(tuple(keep))
    rlimits.lower(bounds)
