# ruff: noqa: F401, F811 -- fixtures are imported
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys

import pytest
from confined import (  # fixtures, too
    REFUSED,
    confined,
    folder,
    inside,
    needs_isolation,
    outcome,
    prepared,
)

from attncourse.grading.inside import linux

pytestmark = needs_isolation

# Processes and signals


@pytest.mark.parametrize(
    "start",
    [
        os.fork,
        os.forkpty,
        lambda: subprocess.run(["true"], check=True),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.execv(sys.executable, ["python"]),
        lambda: os.popen("true").read() and None,
    ],
)
def test_no_other_process_can_be_started(inside, start):
    assert inside(lambda: outcome(start)) in REFUSED


def test_the_shell_starts_nothing(inside, folder):
    assert inside(lambda: os.system("echo hi > made")) != 0
    assert not (folder / "made").exists()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: os.kill(os.getppid(), 0),
        lambda: os.kill(os.getppid(), signal.SIGTERM),
        lambda: os.kill(1, 0),
        lambda: os.kill(0, 0),
        lambda: os.kill(-1, 0),
        lambda: os.killpg(os.getpgrp(), 0),
        lambda: os.pidfd_open(os.getppid()),
        lambda: os.pidfd_open(os.getpid()),
        lambda: os.sched_setaffinity(os.getppid(), {0}),
        lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (4, 4)),
        lambda: os.setsid(),
        lambda: os.setuid(0),
    ],
)
def test_other_processes_cannot_be_touched(inside, attempt):
    assert inside(lambda: outcome(attempt)) in REFUSED


def test_a_process_may_signal_itself(inside):
    def interrupt():
        caught = []
        signal.signal(signal.SIGUSR1, lambda *_: caught.append(1))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        return len(caught)

    assert inside(interrupt) == 2


def test_an_abort_ends_only_the_process_itself(prepared, folder):
    ended = confined(prepared, folder, os.abort)
    assert ended.signal == signal.SIGABRT
    assert not list(folder.glob("core*"))


def test_no_signal_can_be_asked_for_by_way_of_a_descriptor(inside):
    def own():
        parent = os.getppid()
        a, b = socket.socketpair()
        return {
            outcome(lambda: fcntl.fcntl(a, fcntl.F_SETOWN, parent)),
            outcome(lambda: fcntl.fcntl(b, fcntl.F_SETSIG, 9)),
            outcome(lambda: fcntl.fcntl(a, 15, b"\1\0\0\0" * 2)),
        }

    assert inside(own) == {"OSError"}


# The network


@pytest.mark.parametrize(
    "make",
    [
        lambda: socket.socket(socket.AF_INET),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX),
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET),
        lambda: socket.create_connection(("127.0.0.1", 9), 0.1),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    ],
)
def test_no_socket_leads_out(inside, make):
    assert inside(lambda: outcome(make)) in (*REFUSED, "gaierror")


def test_no_descriptor_is_sent_over_a_pair(inside):
    def send():
        a, b = socket.socketpair()
        return {
            outcome(lambda: socket.send_fds(a, [b"x"], [0])),
            outcome(lambda: socket.recv_fds(b, 1, 1)),
        }

    assert inside(send) <= {"PermissionError", "OSError"}


# Calls by number


FORBIDDEN = """fork vfork execve execveat clone3 ptrace process_vm_readv
    process_vm_writev kcmp pidfd_open pidfd_getfd pidfd_send_signal bpf
    perf_event_open userfaultfd io_uring_setup memfd_create memfd_secret
    keyctl add_key request_key mount umount2 unshare setns chroot
    pivot_root personality quotactl reboot init_module finit_module
    delete_module kexec_load swapon swapoff sethostname setdomainname
    settimeofday clock_settime clock_adjtime adjtimex acct syslog iopl
    ioperm shmget shmat msgget semget mq_open name_to_handle_at
    open_by_handle_at seccomp landlock_create_ruleset fanotify_init
    inotify_init1 socket connect bind listen accept4 sendmsg recvmsg
    setsockopt tkill rt_sigqueueinfo rt_tgsigqueueinfo setuid setresuid
    setgroups capset move_pages migrate_pages mbind set_mempolicy
    lookup_dcookie vhangup modify_ldt splice tee vmsplice openat2
    fsopen fsmount open_tree move_mount mount_setattr process_madvise
    process_mrelease pkey_alloc uselib sysfs ustat vserver"""


def test_a_forbidden_call_answers_with_an_error(inside):
    library = pytest.importorskip("pyseccomp")
    arch = library.system_arch()
    numbers = {n: library.resolve_syscall(arch, n) for n in FORBIDDEN.split()}
    numbers = {n: number for n, number in numbers.items() if number >= 0}

    def try_all():
        got = {}
        for name, number in numbers.items():
            ctypes.set_errno(0)
            if linux.LIBC.syscall(number, 0, 0, 0, 0, 0, 0) >= 0:
                got[name] = "done"
            elif ctypes.get_errno() not in (1, 38):
                got[name] = os.strerror(ctypes.get_errno())
        return got

    assert inside(try_all) == {}
    assert len(numbers) > 60


def test_calls_that_do_not_exist_yet_answer_that_they_do_not(inside):
    def call():
        ctypes.set_errno(0)
        return linux.LIBC.syscall(4999, 0), ctypes.get_errno()

    assert inside(call) == (-1, 38)


def test_a_clone_that_makes_no_thread_is_refused(inside):
    clone = {"x86_64": 56, "aarch64": 220}[linux.MACHINE]

    def call(flags):
        ctypes.set_errno(0)
        made = linux.LIBC.syscall(clone, flags, 0, 0, 0, 0)
        return made, ctypes.get_errno()

    flags = (17, 0x10000000 | 17, 0x4111, 1 << 40 | 17, 0)
    assert {inside(lambda f=f: call(f)) for f in flags} == {(-1, 1)}


def test_a_thread_gets_no_namespace_of_its_own(inside):
    clone = {"x86_64": 56, "aarch64": 220}[linux.MACHINE]
    thread = 0x10000 | 0x800 | 0x100  # CLONE_THREAD and what it requires

    def call(kind):
        ctypes.set_errno(0)
        made = linux.LIBC.syscall(clone, thread | kind, 0, 0, 0, 0)
        return made, ctypes.get_errno()

    kinds = (0x20000, 0x4000000, 0x10000000, 0x20000000, 0x40000000)
    assert {inside(lambda k=k: call(k)) for k in kinds} == {(-1, 38)}


@pytest.mark.skipif(linux.MACHINE != "x86_64", reason="NOT tested: not x86")
@pytest.mark.parametrize(
    "code",
    [
        bytes.fromhex("b802000000cd80c3"),  # fork, by the old way in
        bytes.fromhex("b839000040 0f05c3"),  # fork, as x32 numbers it
    ],
)
def test_no_other_convention_gets_around_the_filter(prepared, folder, code):
    def run():
        page = mmap.mmap(-1, 4096, prot=7)
        page.write(code)
        where = ctypes.addressof(ctypes.c_char.from_buffer(page))
        return ctypes.CFUNCTYPE(ctypes.c_long)(where)()

    ended = confined(prepared, folder, run)
    assert ended.value in (-1, -38) or ended.signal


def test_the_filter_and_the_limits_cannot_be_undone(inside):
    def undo():
        none = (ctypes.c_char * 64)()
        calls = {
            "strict": lambda: linux.prctl(22, 1),
            "live on": lambda: linux.prctl(linux.PR_SET_PDEATHSIG, 0),
            "dumpable": lambda: linux.prctl(linux.PR_SET_DUMPABLE, 1),
            "ptracer": lambda: linux.prctl(0x59616D61, -1),
            "keep caps": lambda: linux.prctl(8, 1),
            "reaper": lambda: linux.prctl(36, 1),
            "capset": lambda: linux.syscall(
                linux.CAPSET, ctypes.byref(none), ctypes.byref(none)
            ),
            "cpu": lambda: resource.setrlimit(
                resource.RLIMIT_CPU, (1 << 30, 1 << 30)
            ),
            "lower": lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
        }
        return {
            name for name, call in calls.items() if outcome(call) == "done"
        }

    assert inside(undo) == set()


def test_no_capability_is_left(inside):
    def capabilities():
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)()
        assert linux.LIBC.capget(header, sets) == 0
        return list(sets), linux.prctl(39), linux.prctl(23, 21)

    assert inside(capabilities) == ([0] * 6, 1, 0)
