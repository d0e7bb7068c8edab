import asyncio
import contextlib
import ctypes
import fcntl
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from confined import confined, forked, needs_isolation, outcome, readable

from attncourse.grading.inside import isolate, linux
from attncourse.grading.model import Limits

pytestmark = needs_isolation
ROOT = Path(isolate.__file__).parents[3]
REFUSED = ("PermissionError", "OSError", "FileNotFoundError")


@pytest.fixture(scope="module")
def prepared():
    made = isolate.Prepared(readable())
    yield made
    for place in made.places:
        os.close(place.fd)


@pytest.fixture
def folder(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "helper.py").write_text("ANSWER = 42\n")
    (tmp_path / "secret").write_text("expected values")
    other = tmp_path / "other"
    other.mkdir()
    (other / "answer.ipynb").write_text("another student's")
    return own


@pytest.fixture
def inside(prepared, folder):
    """Run a function shut in; return its value, or fail with its error."""

    def run(function, limits=None, keep=()):
        ended = confined(prepared, folder, function, limits, keep)
        assert ended.error is None, ended.error
        assert not ended.signal, f"killed by {ended.signal}"
        return ended.value

    return run


# Files


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "../other/answer.ipynb",
        "/etc/passwd",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/self/status",
        "/proc/1/cmdline",
        "/proc/sys/kernel/hostname",
        "/proc/mounts",
        "/proc/net/tcp",
        "/sys/kernel/uevent_seqnum",
        "/dev/tty",
        "/dev/kmsg",
        "/dev/mem",
        str(ROOT / "attncourse" / "__init__.py"),
        str(ROOT / "pyproject.toml"),
        str(Path(__file__)),
    ],
)
def test_a_file_that_is_not_its_own_cannot_be_read(inside, path):
    assert inside(lambda: outcome(Path(path).read_bytes)) in REFUSED


@pytest.mark.parametrize(
    "path", ["/", "..", "../other", "/proc", "/proc/self/fd", "/tmp", "/home"]
)
def test_a_folder_that_is_not_its_own_cannot_be_listed(inside, path):
    assert inside(lambda: outcome(lambda: os.listdir(path))) in REFUSED


def test_nothing_outside_its_folder_can_be_written(inside, folder):
    python = Path(np.__file__).parent
    before = (folder.parent / "secret").stat()

    def try_all():
        return {
            name: outcome(attempt)
            for name, attempt in {
                "write": lambda: open("../new", "w"),
                "append": lambda: open("../secret", "a"),
                "empty": lambda: os.truncate("../secret", 0),
                "empty while reading": lambda: os.open(
                    np.__file__, os.O_RDONLY | os.O_TRUNC
                ),
                "the Python tree": lambda: open(python / "x.py", "w"),
                "shared memory": lambda: open("/dev/shm/x", "w"),
                "temporary": lambda: open("/tmp/x", "w"),
                "mkdir": lambda: os.mkdir("../folder"),
                "unlink": lambda: os.unlink("../secret"),
                "rename out": lambda: os.rename("helper.py", "../out"),
                "rename in": lambda: os.rename("../secret", "mine"),
                "replace": lambda: os.replace("helper.py", "../secret"),
                "hard link": lambda: os.link("../secret", "mine"),
                "symbolic link": lambda: os.symlink("../secret", "mine"),
                "a pipe with a name": lambda: os.mkfifo("pipe"),
                "a device": lambda: os.mknod("device", 0o20666, 0x103),
                "chown": lambda: os.chown("../secret", 1, 1),
                "xattr": lambda: os.setxattr("../secret", "user.x", b"1"),
            }.items()
        }

    results = inside(try_all)
    assert {n for n, got in results.items() if got not in REFUSED} == set()
    after = (folder.parent / "secret").stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_uid, after.st_size) == (
        before.st_mtime_ns,
        before.st_mode,
        before.st_uid,
        before.st_size,
    )


def test_modes_and_times_of_files_are_left_as_they_are(inside, folder):
    secret = folder.parent / "secret"
    before = secret.stat()

    def pretend():
        os.chmod("../secret", 0o777)
        os.utime("../secret", (0, 0))
        with open("mine", "w") as file:
            os.fchmod(file.fileno(), 0o4777)

    inside(pretend)
    after = secret.stat()
    assert (after.st_mode, after.st_mtime) == (before.st_mode, before.st_mtime)


def test_its_own_folder_can_be_used_as_any_other(inside):
    def work():
        Path("sub").mkdir()
        Path("sub/a.txt").write_text("text")
        shutil.copy("sub/a.txt", "b.txt")
        shutil.copy2("sub/a.txt", "c.txt")
        os.rename("b.txt", "sub/b.txt")
        with open("sub/b.txt", "r+") as file:
            file.truncate(2)
        with tempfile.TemporaryDirectory(dir=".") as scratch:
            Path(scratch, "x").write_bytes(b"1")
        shutil.rmtree("sub/", ignore_errors=False)
        np.save("array.npy", np.arange(3.0))
        with sqlite3.connect("base.db") as base:
            base.execute("create table t (x)")
        base.close()
        sys.path.insert(0, "")
        import helper

        return helper.ANSWER, np.load("array.npy").tolist(), os.listdir(".")

    answer, array, names = inside(work)
    assert answer == 42
    assert array == [0.0, 1.0, 2.0]
    assert {"helper.py", "c.txt", "array.npy", "base.db"} <= set(names)


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
    import mmap

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


# Privileges and descriptors


def test_no_capability_is_left(inside):
    def capabilities():
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        sets = (ctypes.c_uint32 * 6)()
        assert linux.LIBC.capget(header, sets) == 0
        return list(sets), linux.prctl(39), linux.prctl(23, 21)

    assert inside(capabilities) == ([0] * 6, 1, 0)


def test_only_the_descriptors_that_are_kept_stay_open(inside, folder):
    secret = os.open(folder.parent / "secret", os.O_RDONLY)
    high = fcntl.fcntl(secret, fcntl.F_DUPFD, 700)
    kept = fcntl.fcntl(secret, fcntl.F_DUPFD, 612)

    def look():
        found = set()
        for fd in range(1024):
            with contextlib.suppress(OSError):
                os.fstat(fd)
                found.add(fd)
        return found, os.read(0, 1), os.pread(kept, 8, 0)

    try:
        found, nothing, text = inside(look, keep=(kept,))
    finally:
        for fd in (secret, high, kept):
            os.close(fd)
    assert {0, 1, 2, kept} < found
    assert len(found) == 5  # and the pipe by which the test is told
    assert (nothing, text) == (b"", b"expected")


# Limits


SMALL = Limits(
    cpu_s=0.01, memory_bytes=100 << 20, file_bytes=1 << 20, threads=7
)


def test_memory_ends_in_a_memory_error(inside):
    def grab():
        try:
            np.ones(50 << 20)
        except MemoryError:
            return np.ones(5 << 20).sum()

    assert inside(grab, SMALL) == 5 << 20


def test_a_file_grows_only_so_far(inside):
    def write():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open("big", "wb") as file:
            try:
                for _ in range(100):
                    file.write(bytes(1 << 16))
            except OSError:
                return os.stat("big").st_size

    assert inside(write, SMALL) <= 1 << 20


def test_processor_time_has_a_backstop(prepared, folder):
    started = time.process_time()

    def spin():
        while True:
            pass

    ended = confined(prepared, folder, spin, SMALL)
    assert ended.signal in (signal.SIGXCPU, signal.SIGKILL)
    assert time.process_time() - started < 4


def test_descriptors_are_counted(inside):
    def open_many():
        files = []
        with contextlib.suppress(OSError):
            for _ in range(2000):
                files.append(os.open("helper.py", os.O_RDONLY))
        return len(files)

    assert inside(open_many) < 256


def test_a_limit_holds_in_its_threads_too(inside):
    def from_a_thread():
        got = []
        thread = threading.Thread(target=lambda: got.append(outcome(os.fork)))
        thread.start()
        thread.join()
        return got

    assert inside(from_a_thread) == ["PermissionError"]


# Honest work


def test_numpy_works_with_the_threads_of_its_library(inside):
    def multiply():
        a = np.random.default_rng(3).normal(size=(317, 211))
        return bool(np.allclose(a @ a.T, np.einsum("ij,kj->ik", a, a)))

    assert inside(multiply)


def test_asyncio_and_threads_work(inside):
    async def both():
        return await asyncio.gather(
            asyncio.sleep(0.001, 1), asyncio.to_thread(lambda: 2)
        )

    assert inside(lambda: asyncio.run(both())) == [1, 2]


def test_a_module_not_loaded_before_can_be_imported(inside):
    def load():
        import colorsys
        import xml.dom.minidom

        return colorsys.__name__, xml.dom.minidom.__name__

    assert inside(load) == ("colorsys", "xml.dom.minidom")


def test_clocks_zones_and_random_bytes_work(inside):
    def ask():
        import zoneinfo

        time.localtime()
        return len(os.urandom(8)), bool(zoneinfo.available_timezones())

    assert inside(ask)[0] == 8


def test_setting_up_costs_few_milliseconds(prepared, folder):
    def once():
        def timed(send):
            start = time.perf_counter()
            isolate.enter(prepared, folder, limits=Limits(), keep=(send,))
            return time.perf_counter() - start

        return forked(timed).value

    assert min(once() for _ in range(7)) < 0.012
