"""seccomp: which system calls this process can make.

libseccomp (by way of pyseccomp) writes the kernel's program once, in the
server; a forked child loads it within microseconds. The list says what is
allowed. Anything else answers "no such call", so that the C library falls
back on older calls and honest code gets an `OSError`; it never kills.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from . import linux

MEMORY = """brk mmap munmap mremap mprotect madvise mincore msync membarrier
    get_mempolicy"""
FILES = """read readv pread64 preadv preadv2 write writev pwrite64 pwritev
    pwritev2 lseek close close_range fstat stat lstat newfstatat statx access
    faccessat faccessat2 getdents getdents64 getcwd chdir fchdir rename
    renameat renameat2 mkdir mkdirat rmdir unlink unlinkat readlink
    readlinkat ftruncate fsync fdatasync fadvise64 flock dup dup2 dup3
    umask statfs fstatfs sendfile copy_file_range"""
WAITING = """pipe pipe2 poll ppoll select pselect6 epoll_create
    epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd eventfd2
    timerfd_create timerfd_settime timerfd_gettime nanosleep
    clock_nanosleep pause alarm setitimer getitimer timer_create
    timer_settime timer_gettime timer_getoverrun timer_delete wait4 waitid"""
CLOCKS = """clock_gettime clock_getres gettimeofday time times getrusage
    sysinfo uname getrandom getcpu getrlimit"""
THREADS = """futex set_robust_list get_robust_list set_tid_address rseq
    arch_prctl sched_yield sched_getaffinity sched_getparam
    sched_getscheduler sched_get_priority_min sched_get_priority_max
    getpriority exit exit_group restart_syscall"""
SIGNALS = """rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending
    rt_sigtimedwait rt_sigsuspend sigaltstack"""
WHO = """getpid gettid getppid getuid geteuid getgid getegid getgroups
    getresuid getresgid getpgid getpgrp getsid capget"""
# On descriptors that the process has; none can be opened to anyone else.
SOCKETS = """recvfrom shutdown getsockname getpeername getsockopt"""
ALLOWED = " ".join(
    (MEMORY, FILES, WAITING, CLOCKS, THREADS, SIGNALS, WHO, SOCKETS)
)
# Landlock does not look at these. They say "done" and do nothing, since
# copying a file ends with them; the modes of an instructor's files stay.
PRETENDED = """chmod fchmod fchmodat fchmodat2 utime utimes utimensat
    futimesat"""
# Copying a file asks for these, and goes on where there are none.
UNSUPPORTED = """getxattr lgetxattr fgetxattr listxattr llistxattr
    flistxattr setxattr lsetxattr fsetxattr removexattr lremovexattr
    fremovexattr"""
# A plain "not permitted" tells more than "no such call".
REFUSED = """fork vfork execve execveat ptrace process_vm_readv
    process_vm_writev tkill rt_sigqueueinfo rt_tgsigqueueinfo
    pidfd_open pidfd_getfd pidfd_send_signal process_madvise kcmp
    connect accept accept4 bind listen sendmsg sendmmsg recvmsg
    recvmmsg setsockopt mount umount2 unshare setns chroot pivot_root
    link linkat symlink symlinkat mknod mknodat chown fchown lchown
    fchownat truncate setrlimit setpriority sched_setaffinity
    sched_setscheduler sched_setparam sched_setattr setsid setpgid setuid
    setgid setreuid setregid setresuid setresgid setgroups setfsuid
    setfsgid capset io_uring_setup io_uring_enter io_uring_register bpf
    perf_event_open userfaultfd memfd_create memfd_secret keyctl add_key
    request_key personality name_to_handle_at open_by_handle_at seccomp
    landlock_create_ruleset landlock_add_rule landlock_restrict_self"""

_LOW = 0xFFFFFFFF  # the kernel reads only the lower half of an int
_CLONE_THREAD = 0x00010000
_NEW_NAMESPACES = 0x7E020000
_STREAM = 1
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # no owner, lease
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # no terminal input
_PRCTL = (3, 15, 16, 21, 23, 39)  # names and questions
# Stands for the process's own number until `install` knows it.
_SELF = 0x7AC0FFE1
_SET_MODE_FILTER = 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


@functools.cache
def _library() -> ModuleType:
    """Import pyseccomp, which looks for libseccomp's file."""
    import pyseccomp

    return pyseccomp


def why_missing() -> str | None:
    """Return why no program can be written here, or None."""
    try:
        _library()
    except ImportError:
        return "the Python package pyseccomp is not installed"
    except (RuntimeError, OSError, AttributeError):
        return "the library libseccomp (libseccomp.so.2) is not installed"
    if linux.SECCOMP is None:
        return f"seccomp's number is not known for {linux.MACHINE}"
    return None


def program() -> bytes:
    """Return the kernel's program, to be given to `install`."""
    library = _library()
    rules = _Rules(library)
    rules.plain(ALLOWED, library.ALLOW)
    rules.plain(PRETENDED, library.ERRNO(0))
    rules.plain(UNSUPPORTED, library.ERRNO(errno.ENOTSUP))
    rules.plain(REFUSED, library.ERRNO(errno.EPERM))
    rules.opening()
    rules.threads_only()
    rules.to_itself()
    rules.sockets()
    rules.one_of("fcntl", 1, _FCNTL)
    rules.one_of("ioctl", 1, _IOCTL)
    rules.one_of("prctl", 0, _PRCTL)
    return rules.exported()


def install(code: bytes) -> None:
    """Hold this process to the program, for good; needs no_new_privs."""
    mine = os.getpid().to_bytes(4, "little")
    code = code.replace(_SELF.to_bytes(4, "little"), mine)
    loaded = _Program(len(code) // 8, code)
    linux.syscall(linux.SECCOMP, _SET_MODE_FILTER, 0, ctypes.byref(loaded))


class _Rules:
    """A filter of libseccomp's in the making."""

    def __init__(self, library: Any) -> None:
        self.of = library
        self.filter = library.SyscallFilter(library.ERRNO(errno.ENOSYS))

    def plain(self, names: str, action: int) -> None:
        """Answer these calls alike, whatever their arguments."""
        for name in names.split():
            self._add(action, name)

    def opening(self) -> None:
        """Allow opening files, but not emptying one opened for reading.

        Landlock withholds that only since its third version.
        """
        for name, place in (("open", 1), ("openat", 2)):
            self._add(self.of.ALLOW, name, (place, os.O_TRUNC, 0))
            for way in (os.O_WRONLY, os.O_RDWR):
                self._add(self.of.ALLOW, name, (place, os.O_ACCMODE, way))
        self._add(self.of.ALLOW, "creat")

    def threads_only(self) -> None:
        """Allow `clone` to make threads; never processes.

        The arguments of clone3 cannot be read here. It is left out, and
        the C library falls back on clone.
        """
        thread = (0, _CLONE_THREAD | _NEW_NAMESPACES, _CLONE_THREAD)
        process = (0, _CLONE_THREAD, 0)
        self._add(self.of.ALLOW, "clone", thread)
        self._add(self.of.ERRNO(errno.EPERM), "clone", process)

    def to_itself(self) -> None:
        """Allow signals to itself, and reading its own limits."""
        for name in ("tgkill", "kill"):
            self._add(self.of.ALLOW, name, (0, _LOW, _SELF))
        self._add(self.of.ALLOW, "prlimit64", (0, _LOW, 0), (2, None, 0))

    def sockets(self) -> None:
        """Allow pairs of streams within the process, as asyncio needs."""
        self._add(self.of.ALLOW, "socketpair", (0, _LOW, 1), (1, 0xF, _STREAM))
        self._add(self.of.ALLOW, "sendto", (4, None, 0))
        self._add(self.of.ERRNO(errno.EPERM), "socket")

    def one_of(self, name: str, place: int, values: Iterable[int]) -> None:
        """Allow a call with one of these numbers as its argument."""
        for value in values:
            self._add(self.of.ALLOW, name, (place, _LOW, value))

    def exported(self) -> bytes:
        """Return the kernel's program."""
        # Calls in another machine's convention are no calls either.
        unknown = self.of.ERRNO(errno.ENOSYS)
        self.filter.set_attr(self.of.Attr.ACT_BADARCH, unknown)
        with contextlib.suppress(OSError):  # since libseccomp 2.5
            self.filter.set_attr(self.of.Attr.CTL_OPTIMIZE, 2)
        with open(os.memfd_create("seccomp"), "w+b") as file:
            self.filter.export_bpf(file)
            file.seek(0)
            return file.read()

    def _add(self, action: int, name: str, *arguments: tuple) -> None:
        number = self.of.resolve_syscall(self.of.system_arch(), name)
        if number < 0:  # this machine never had the call
            return
        compared = [
            self.of.Arg(place, self.of.EQ, value)
            if mask is None
            else self.of.Arg(place, self.of.MASKED_EQ, mask, value)
            for place, mask, value in arguments
        ]
        self.filter.add_rule(action, number, *compared)
