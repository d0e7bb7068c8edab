# ruff: noqa: F401, F811 -- fixtures are imported
import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from confined import (  # fixtures, too
    REFUSED,
    confined,
    folder,
    forked,
    inside,
    needs_isolation,
    outcome,
    prepared,
)

from attncourse.grading.inside import isolate
from attncourse.grading.model import Limits

pytestmark = needs_isolation
ROOT = Path(isolate.__file__).parents[3]

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


# Descriptors


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
