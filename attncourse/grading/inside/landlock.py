"""Landlock: which files this process can reach, for good.

The kernel's own header (linux/landlock.h) defines the numbers. A process
that has restricted itself can never widen its rights, and neither can its
children. What is not handled by the kernel's version is left to seccomp.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from . import linux

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

READ = READ_FILE | READ_DIR
# Neither links nor sockets nor devices: they could reach out of the folder.
OWN = (
    READ
    | WRITE_FILE
    | TRUNCATE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | REFER
)
_ON_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_VERSION = 1  # flag of landlock_create_ruleset
_PATH_BENEATH = 1
_NO_LOG = 1  # nobody is to fill the system's log with refusals


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("fd", ctypes.c_int32))


def version() -> int:
    """Return the kernel's version of Landlock's interface; 0 for none."""
    try:
        return linux.syscall(linux.LANDLOCK_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def handled(abi: int) -> int:
    """Return all rights to files that this version can withhold."""
    bits = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    return (1 << bits) - 1


@dataclass(frozen=True)
class Place:
    """A file or folder, open only as a name, and what is allowed below."""

    fd: int
    rights: int

    @classmethod
    def at(cls, path: str | os.PathLike, rights: int) -> Place:
        """Open `path`; a file keeps only the rights that files have."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_A_FILE
        return cls(fd, rights)


def restrict(
    places: Iterable[Place], *, abi: int | None = None, alone: bool = True
) -> None:
    """Leave this process these places only, and no TCP.

    `alone` leaves it nobody to signal, and no abstract sockets. Needs
    ``no_new_privs``. Every further call takes more away.
    """
    abi = version() if abi is None else abi
    files = handled(abi)
    scoped = 3 if alone and abi >= 6 else 0
    rules = _Ruleset(files, 3 if abi >= 4 else 0, scoped)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = linux.syscall(
        linux.LANDLOCK_CREATE_RULESET, ctypes.byref(rules), size, 0
    )
    try:
        rule = _Beneath()
        number = ctypes.c_long(linux.LANDLOCK_ADD_RULE)
        # There are hundreds of rules, and each child adds them all.
        arguments = (
            ctypes.c_long(ruleset),
            ctypes.c_long(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_long(0),
        )
        call = linux.LIBC.syscall
        for place in places:
            rule.rights, rule.fd = place.rights & files, place.fd
            if call(number, *arguments) < 0:
                linux.failed()
        quiet = _NO_LOG if abi >= 7 else 0
        linux.syscall(linux.LANDLOCK_RESTRICT_SELF, ruleset, quiet)
    finally:
        os.close(ruleset)
