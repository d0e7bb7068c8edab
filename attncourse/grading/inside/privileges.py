"""Giving up whatever makes this process more than a plain user."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import signal
import warnings
from collections.abc import Callable, Iterable

from . import linux

KILL = 1 << 5  # the one capability that a judge keeps
_VERSION_3 = 0x20080522
_CLEAR_AMBIENT = 4
_READ_BOUNDING_SET = 23
# Set in a process, it holds for all that it forks.
_emptied = False
# Numbers that systemd's table of users leaves to nobody; the second range
# lies within what most containers have.
_NUMBERS = (range(65537, 95537), range(60578, 61178))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def give_up(user: int | None = None, keep: int = 0) -> None:
    """Drop all capabilities but `keep`, for good, and become `user`.

    No file that is run can bring them back.
    """
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    empty_bounding_set()
    with contextlib.suppress(OSError):
        linux.prctl(linux.PR_CAP_AMBIENT, _CLEAR_AMBIENT)
    if user is not None:
        become(user)
    # Effective, permitted and inheritable, the lower half first.
    kept = 0 if os.geteuid() else keep
    sets = (ctypes.c_uint32 * 6)(kept, kept)
    header = _Header(_VERSION_3, 0)
    linux.syscall(linux.CAPSET, ctypes.byref(header), ctypes.byref(sets))


def empty_bounding_set() -> None:
    """Let nothing that is run from here gain a capability."""
    global _emptied
    if _emptied:  # by the server, and inherited
        return
    for capability in range(64):
        try:
            if linux.prctl(_READ_BOUNDING_SET, capability):
                linux.prctl(linux.PR_CAPBSET_DROP, capability)
        except OSError as why:
            # EINVAL: past the last one. EPERM: there is nothing to give up.
            if why.errno not in (errno.EINVAL, errno.EPERM):
                raise
            break
    _emptied = True


def keep_to_itself() -> None:
    """Die with the parent, and let nobody of the same user look inside."""
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def become(user: int) -> None:
    """Go on as another user, who belongs to no group."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def nested_user() -> None:
    """Enter a user namespace that maps nobody: threads are counted in it."""
    linux.unshare(linux.NEW_USER)


def numbers(readable: Iterable[str | os.PathLike]) -> range | None:
    """Return numbers of users that may read all of this, if there are any."""
    paths = tuple(readable)
    if os.geteuid():
        return None
    for each in _NUMBERS:
        if works(functools.partial(_may_all_be_read, each[-1], paths)):
            return each
    return None


def _may_all_be_read(user: int, paths: Iterable[str | os.PathLike]) -> None:
    become(user)
    for path in paths:
        os.stat(path)
        if not os.access(path, os.R_OK):
            raise PermissionError(path)


def works(try_it: Callable[[], None]) -> bool:
    """Whether this can be done, found out in a process that ends."""
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads; the child needs none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            try_it()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def reachable(folder: str | os.PathLike) -> bool:
    """Whether every user may pass through the folders above this one."""
    above = os.path.abspath(folder)
    while above != "/":
        above = os.path.dirname(above)
        if not os.stat(above).st_mode & 1:
            return False
    return True
