"""System calls for which Python has no function."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import NoReturn

LINUX = platform.system() == "Linux"
LIBC = ctypes.CDLL(None, use_errno=True)
MACHINE = platform.machine()
# The newer calls are numbered alike on every machine.
CLOSE_RANGE = 436
MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(MACHINE)
CAPSET = {"x86_64": 126, "aarch64": 91}.get(MACHINE)
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(MACHINE)

NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000
NEW_PROCESSES = 0x20000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47

_syscall = LIBC.syscall
_syscall.restype = ctypes.c_long


class IsolationError(Exception):
    """A layer of the sandbox could not be set up."""


def syscall(number: int | None, *arguments: object) -> int:
    """Make a system call and return its result; raise its `OSError`."""
    if not LINUX or number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # A bare int would be passed as 32 bits.
    wide = [
        ctypes.c_long(each) if isinstance(each, int) else each
        for each in arguments
    ]
    return _checked(_syscall(ctypes.c_long(number), *wide))


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process."""
    if not LINUX:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    rest = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(LIBC.prctl(option, *map(ctypes.c_ulong, rest)))


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` name for new ones."""
    _checked(LIBC.unshare(ctypes.c_int(flags)))


def mount(
    source: str, target: str, kind: str, flags: int = 0, data: str = ""
) -> None:
    """Mount `source` on `target`."""
    _checked(
        LIBC.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode(),
            ctypes.c_ulong(flags),
            data.encode(),
        )
    )


def _checked(result: int) -> int:
    if result < 0:
        failed()
    return result


def failed() -> NoReturn:
    """Raise the error of the call that was made last."""
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
