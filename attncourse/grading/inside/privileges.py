"""Giving up whatever makes this process more than a plain user."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import signal

from . import linux

_VERSION_3 = 0x20080522
_CLEAR_AMBIENT = 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def give_up() -> None:
    """Drop all capabilities, for good, and gain none by running a file."""
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    _empty_bounding_set()
    with contextlib.suppress(OSError):
        linux.prctl(linux.PR_CAP_AMBIENT, _CLEAR_AMBIENT)
    none = (ctypes.c_uint32 * 6)()
    header = _Header(_VERSION_3, 0)
    linux.syscall(linux.CAPSET, ctypes.byref(header), ctypes.byref(none))


def keep_to_itself() -> None:
    """Die with the parent, and let nobody of the same user look inside."""
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def _empty_bounding_set() -> None:
    for capability in range(64):
        try:
            linux.prctl(linux.PR_CAPBSET_DROP, capability)
        except OSError as why:
            # EINVAL: past the last one. EPERM: there is nothing to give up.
            if why.errno in (errno.EINVAL, errno.EPERM):
                return
            raise
