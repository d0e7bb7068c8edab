"""What is said where a layer is missing, and what then happens."""

import os
import resource
import signal
import socket
from pathlib import Path

import pytest
from confined import confined, forked, needs_isolation, outcome, readable

from attncourse.grading.inside import isolate, landlock, linux, seccomp
from attncourse.grading.model import Limits


@pytest.fixture
def fresh():
    """Ask anew what there is, and afterwards again."""
    isolate.available.cache_clear()
    yield
    isolate.available.cache_clear()


def test_the_level_is_a_line():
    level = isolate.Isolation(7, True, ("net", "pid")).level
    assert level == (
        "Landlock (ABI 7), seccomp, resource limits; namespaces: net, pid"
    )
    assert isolate.Isolation(0, False, trusted=True).level == (
        "none: students are trusted"
    )
    partly = isolate.Isolation(0, True).level
    assert partly == "seccomp, resource limits; namespaces: none"


@needs_isolation
@pytest.mark.parametrize(
    ("module", "name", "answer", "says"),
    [
        (landlock, "version", lambda: 0, "Landlock is missing"),
        (landlock, "restrict", lambda *_, **__: None, "does not hold"),
        (seccomp, "why_missing", lambda: "no library", "no library"),
        (seccomp, "install", lambda _: None, "does not hold"),
        (linux, "LINUX", False, "not Linux"),
    ],
)
def test_a_missing_layer_is_named_and_refused(
    fresh, monkeypatch, module, name, answer, says
):
    monkeypatch.setattr(module, name, answer)
    found = isolate.available()
    assert not found.complete
    assert says in "; ".join(found.missing)
    with pytest.raises(isolate.IsolationError, match=says):
        isolate.Prepared(readable())


@needs_isolation
def test_a_missing_library_is_a_missing_layer(fresh, monkeypatch):
    def absent():
        raise RuntimeError("Unable to find libseccomp")

    monkeypatch.setattr(seccomp, "_library", absent)
    assert "libseccomp.so.2" in "; ".join(isolate.available().missing)

    def not_installed():
        raise ModuleNotFoundError("No module named 'pyseccomp'")

    monkeypatch.setattr(seccomp, "_library", not_installed)
    isolate.available.cache_clear()
    assert "pyseccomp is not installed" in isolate.available().missing[0]


def test_trusted_students_are_limited_only(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    prepared = isolate.Prepared((), trust=True)
    assert prepared.isolation.level == "none: students are trusted"

    def look():
        Path("new").write_text("text")
        return [
            os.getcwd(),
            resource.getrlimit(resource.RLIMIT_FSIZE),
            outcome(Path(__file__).read_bytes),
        ]

    told = confined(prepared, tmp_path, look, Limits(file_bytes=12345))
    assert told.error is None, told.error
    assert told.value == [str(tmp_path), (12345, 12345), "done"]


def test_trust_does_not_lift_what_is_there(tmp_path):
    if not isolate.available().complete:
        pytest.skip("isolation was NOT tested here")
    prepared = isolate.Prepared(readable(), trust=True)
    told = confined(prepared, tmp_path, lambda: outcome(os.fork))
    for place in prepared.places:
        os.close(place.fd)
    assert told.value == "PermissionError"
    assert prepared.isolation.level.startswith("Landlock")


@needs_isolation
@pytest.mark.parametrize(
    ("module", "name"),
    [
        (landlock, "restrict"),
        (seccomp, "install"),
        (isolate.privileges, "give_up"),
        (isolate.rlimits, "lower"),
    ],
)
def test_a_layer_that_fails_lets_nothing_run(
    monkeypatch, tmp_path, module, name
):
    def fail(*_, **__):
        raise OSError(1, "not today")

    prepared = isolate.Prepared(readable())
    monkeypatch.setattr(module, name, fail)
    told = confined(prepared, tmp_path, lambda: "it ran")
    for place in prepared.places:
        os.close(place.fd)
    assert told.value is None
    assert "not today" in told.error


# The judge


@pytest.fixture
def judge(tmp_path):
    prepared = isolate.Prepared(readable())
    (tmp_path / "gradebook.db").write_text("grades")
    (tmp_path / "own").mkdir()

    def run(function, folder=None):
        def held(send):
            isolate.enter_judge(
                prepared, limits=Limits(), folder=folder, keep=(send,)
            )
            return function()

        ended = forked(held)
        assert ended.error is None, ended.error
        return ended.value

    yield run
    for place in prepared.places:
        os.close(place.fd)


@needs_isolation
def test_a_judge_reaches_no_gradebook_and_writes_nowhere(judge, tmp_path):
    def attempt():
        return [
            outcome((tmp_path / "gradebook.db").read_bytes),
            outcome((tmp_path / "new").touch),
            outcome((tmp_path / "own" / "new").touch),
            outcome(lambda: os.listdir(tmp_path)),
            outcome(lambda: os.execv("/bin/true", ["true"])),
            outcome(lambda: Path("/proc/1/environ").read_bytes()),
            outcome(lambda: Path(f"/proc/{os.getppid()}/mem").open("rb")),
        ]

    assert set(judge(attempt)) == {"PermissionError"}


@needs_isolation
def test_a_judge_writes_to_its_own_folder(judge, tmp_path):
    own = tmp_path / "own"
    assert judge(lambda: outcome((own / "a").touch), own) == "done"
    assert judge(lambda: outcome((tmp_path / "b").touch), own) != "done"


@needs_isolation
def test_a_judge_speaks_to_the_sandbox_and_ends_its_processes(judge, tmp_path):
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)

        def attempt():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)
            stat = Path(f"/proc/{child}/stat").read_text()
            signal.pidfd_send_signal(os.pidfd_open(child), signal.SIGKILL)
            return stat.split()[0] == str(child)

        try:
            assert judge(attempt)
        finally:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
