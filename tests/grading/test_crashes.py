"""A grader killed at any step loses nothing, and repeats nothing."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy
from engine_samples import answer, children, contents, hand_in, settings
from engine_standins import Standin

from attncourse.grading.keeping import runlog
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.store import Store
from attncourse.grading.running import grade, pending
from attncourse.grading.running.settings import Options

TESTS = str(Path(__file__).parents[1])
RIGHT = {"ada": 5.0, "bao": 2.0}
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.rmdir"}


class Inline:
    """Marks in this process: the steps of a run are always the same."""

    isolation = "held by a stand-in"

    def __init__(self, assignment):
        self.standin = Standin(assignment.setup)

    def grade(self, tasks, plans):
        for task in tasks:
            yield task, self.standin.mark(task, plans[task.plan])


class Steps:
    """Counts what changes anything outside, and stops at one of them."""

    def __init__(self, last: int = -1):
        self.count = 0
        self.last = last
        self.armed = False

    def step(self) -> None:
        if self.armed:
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1

    def watch(self) -> None:
        """Count files, forced writes, statements and transactions' ends."""

        def audit(event, args):
            if event in STEPS and not (
                event == "open" and not (args[2] or 0) & os.O_ACCMODE
            ):
                self.step()

        sys.addaudithook(audit)
        fsync = os.fsync
        os.fsync = lambda handle: (self.step(), fsync(handle))[1]
        engine = sqlalchemy.engine.Engine
        for name in ("before_cursor_execute", "commit", "begin"):
            sqlalchemy.event.listen(engine, name, lambda *_: self.step())
        # After a commit, too: what comes next may be lost.
        committed = engine.dispose
        engine.dispose = lambda self_: (self.step(), committed(self_))[1]


def run(folder: Path, steps: Steps | None = None) -> int:
    """Grade in a forked process; return its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 70
    try:
        steps = steps or Steps()
        steps.watch()
        grade._marker = lambda assignment, *_: contextlib.nullcontext(
            Inline(assignment)
        )
        # Whoever runs the tests may be at work on the grader itself.
        pending.environment_key = lambda *_: "environment"
        steps.armed = True
        status = grade.run(
            settings(folder),
            Options(),
            stream=io.StringIO(),
            progress_stream=io.StringIO(),
        )
        steps.armed = False
        (folder / "steps").write_text(str(steps.count))
    finally:
        os._exit(status)


@pytest.fixture(scope="module")
def gradebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)).close()
    return (folder / "gradebook.db").read_bytes()


@pytest.fixture(scope="module")
def start(tmp_path_factory, gradebook):
    """A class that has handed in and is not graded yet."""
    folder = tmp_path_factory.mktemp("start")
    made = settings(folder)
    (folder / "gradebook.db").write_bytes(gradebook)
    made.key_file.write_text("k" * 64)
    made.key_file.chmod(0o600)
    for student, points in RIGHT.items():
        hand_in(made, student, answer(points, why="Because."))
    return folder


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "class"
    shutil.copytree(start, folder)
    assert run(folder) == 0
    return contents(folder), int((folder / "steps").read_text())


def check_whole(folder: Path) -> None:
    """See that what a killed run left is right as far as it goes."""
    with Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)) as s:
        for row in s.scores("03_sums"):
            assert row.score in (None, RIGHT[row.student])
        keys = s.keys("03_sums")
    for name in ("sums.csv", "grades.csv"):
        file = folder / "report" / name
        if file.exists():
            rows = csv.DictReader(io.StringIO(file.read_text()))
            assert len(list(rows)) == 2
    for student, name in keys:
        for step, ending in (("autograded", "ipynb"), ("feedback", "html")):
            assert folder / step / student / "03_sums" / f"{name}.{ending}"


def check_same(folder: Path, whole: dict) -> None:
    """See that a finished run left what an undisturbed one leaves."""
    assert contents(folder) == whole
    drafts = [f for f in folder.rglob("*") if f.name.endswith(".draft")]
    assert not drafts


def kill_and_repeat(start, folder: Path, step: int, whole: dict) -> None:
    shutil.copytree(start, folder)
    assert run(folder, Steps(step)) == -signal.SIGKILL
    check_whole(folder)
    assert run(folder) == 0
    check_same(folder, whole)
    events = runlog.read(folder / "grading.jsonl")
    graded = [e["student"] for e in events if e["event"] == "graded"]
    # Killed between saving and noting so, a line of the log is missing.
    assert len(graded) == len(set(graded))
    shutil.rmtree(folder)


def test_killed_at_any_tenth_step_it_goes_on_where_it_was(
    start, undisturbed, tmp_path
):
    whole, count = undisturbed
    assert count > 60
    for step in range(random.Random(4).randrange(10), count, 10):
        kill_and_repeat(start, tmp_path / f"at{step}", step, whole)


@pytest.mark.slow
def test_killed_at_any_step_it_goes_on_where_it_was(
    start, undisturbed, tmp_path
):
    whole, count = undisturbed
    for step in range(count):
        kill_and_repeat(start, tmp_path / f"at{step}", step, whole)


def test_killed_again_and_again_it_ends_all_the_same(
    start, undisturbed, tmp_path
):
    whole, _ = undisturbed
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    for step in (5, 11, 23, 31, 43, 57, 71):
        run(folder, Steps(step))
        check_whole(folder)
    assert run(folder) == 0
    check_same(folder, whole)


def test_what_was_graded_before_a_kill_is_not_graded_again(
    start, undisturbed, tmp_path
):
    whole, count = undisturbed
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    step = count // 2
    while not (folder / "autograded" / "bao").exists():
        run(folder, Steps(step))
        step += 3
    with Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)) as s:
        before = {r.student: r.graded for r in s.records("03_sums")}
    assert "ada" in before
    assert run(folder) == 0
    with Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)) as s:
        after = {r.student: r.graded for r in s.records("03_sums")}
    assert before.items() <= after.items()
    check_same(folder, whole)


PROGRAM = """
import io, sys
from pathlib import Path
from engine_samples import settings
from attncourse.grading.running import grade
from attncourse.grading.running.settings import Options
sys.exit(grade.run(settings(Path(sys.argv[1])), Options(workers=2)))
"""


def program(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env=os.environ | {"PYTHONPATH": TESTS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def slow_class(start, tmp_path):
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    made = settings(folder)
    for student, points in RIGHT.items():
        hand_in(made, student, answer(points, "do sleep 0.3", why="Because."))
    for number in range(6):
        hand_in(made, f"s{number}", answer(4, "do sleep 0.3"))
    return folder


def test_a_killed_grader_takes_its_workers_along(slow_class):
    killed = program(slow_class)
    late = time.monotonic() + 60
    while not (slow_class / "autograded").exists():
        assert time.monotonic() < late
        time.sleep(0.05)
    workers = children() - {killed.pid}
    assert workers
    killed.kill()
    killed.wait()
    while any(Path("/proc", str(pid)).exists() for pid in workers):
        assert time.monotonic() < late, "workers outlive their grader"
        time.sleep(0.05)
    assert program(slow_class).wait(60) == 0
    found = contents(slow_class)
    assert len(found["records"]) == 8


def test_two_graders_at_once_leave_what_one_leaves(slow_class):
    both = [program(slow_class) for _ in range(2)]
    assert [each.wait(120) for each in both] == [0, 0]
    found = contents(slow_class)
    students = [*RIGHT, *(f"s{number}" for number in range(6))]
    assert [row[0] for row in found["records"]] == sorted(students)
    assert len(found["grade"]) == 2 * len(students)
    assert len(found["submitted_notebook"]) == len(students)
    for name in students:
        assert f"autograded/{name}/03_sums/sums.ipynb" in found
        assert f"feedback/{name}/03_sums/sums.html" in found


@pytest.mark.slow
def test_killed_while_the_gradebook_is_made_it_is_made_again(start, tmp_path):
    for delay_s in (2.0, 2.6, 3.2):
        folder = tmp_path / f"after{delay_s}"
        shutil.copytree(start, folder)
        (folder / "gradebook.db").unlink()
        killed = program(folder)
        time.sleep(delay_s)
        killed.kill()
        killed.wait()
    assert program(folder).wait(60) == 0
    assert not [f for f in folder.iterdir() if f.name.endswith(".draft")]
    assert len(contents(folder)["records"]) == 2
