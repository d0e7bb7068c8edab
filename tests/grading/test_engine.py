"""Many submissions at once, none lost, and no process left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from engine_samples import children, plan, setup, task

from attncourse.grading.handed_in.collecting import Submitted
from attncourse.grading.model import GradingError, Plan
from attncourse.grading.running import workers
from attncourse.grading.running.content import (
    environment_key,
    plan_key,
    submission_key,
)
from attncourse.grading.running.engine import Grader
from attncourse.grading.running.tasks import Marked, Task

TESTS = str(Path(__file__).parents[1])
PLANS = {"p": plan()}


@pytest.fixture(autouse=True)
def _standin(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)


def graded(tasks, *, count=2, **more) -> dict[str, Marked]:
    grader = Grader(setup(), workers=count, **more)
    return {t.student: m for t, m in grader.grade(tasks, PLANS)}


def test_everybody_is_graded_once_by_several_workers():
    students = [f"s{number}" for number in range(9)]
    seen = []
    grader = Grader(setup(), workers=2)
    tasks = [task(s, "do sleep 0.05") for s in students]
    for each, marked in grader.grade(tasks, PLANS):
        seen.append(each.student)
        assert marked.outcome.points == 5.0
        assert marked.notebook["cells"]
    assert sorted(seen) == students
    assert not children()


def test_several_workers_work_at_the_same_time():
    tasks = [task(f"s{number}", "do sleep 0.4") for number in range(4)]
    found = {m.outcome.notes for m in graded(tasks, count=4).values()}
    assert len(found) == 4


def test_a_worker_that_dies_is_replaced_and_its_submission_tried_again(
    tmp_path,
):
    said = []
    tasks = [task("ada"), task("bao", f"do die_once {tmp_path}/x")]
    tasks += [task("chidi"), task("dilnoza")]
    found = graded(tasks, count=1, say=lambda *told: said.append(told))
    assert {s: m.outcome.points for s, m in found.items()} == dict.fromkeys(
        ["ada", "bao", "chidi", "dilnoza"], 5.0
    )
    assert [student for student, _ in said] == ["bao"]
    assert "7" in said[0][1]


@pytest.mark.parametrize("what", ["die", "fail", "refuse"])
def test_a_submission_that_no_worker_survives_is_kept_as_crashed(what):
    said = []
    found = graded(
        [task("ada", f"do {what}"), task("bao")],
        say=lambda *told: said.append(told),
    )
    assert found["bao"].outcome.points == 5.0
    ada = found["ada"]
    assert ada.lost
    [judged] = ada.outcome.questions
    assert (judged.verdict, judged.points) == ("crashed", 0.0)
    assert "no verdict on your work" in judged.says
    assert "lost this submission" in ada.outcome.flags[0]
    assert ada.notebook["cells"]
    for page in ada.pages.values():
        assert "Not graded yet" in page
        assert "process" not in page.partition("<body")[2]
    assert len(said) == 2
    if what == "fail":
        assert "a bug of the grader's own" in said[0][1]


def test_a_worker_that_never_answers_is_replaced(monkeypatch):
    monkeypatch.setattr(workers, "SPARE_S", 1.0)
    monkeypatch.setattr(workers, "SPARE_FACTOR", 0.0)
    monkeypatch.setattr(workers, "END_S", 0.2)
    found = graded([task("ada", "do sleep 60"), task("bao")], count=1)
    assert found["ada"].lost
    assert "gave no answer in 1 s" in found["ada"].outcome.flags[0]
    assert found["bao"].outcome.points == 5.0
    assert not children()


def test_what_cannot_be_read_is_told_and_the_class_goes_on():
    broken = task("ada")
    broken = Task(**{**vars(broken), "data": "bm8="})
    found = graded([broken, task("bao")])
    assert "must be JSON" in found["ada"].problem
    assert found["ada"].outcome is None
    assert found["bao"].outcome.points == 5.0


def test_where_students_cannot_be_held_nothing_is_graded():
    grader = Grader(setup(judge_preload=("refuse",)), workers=2)
    with pytest.raises(GradingError, match="mandatory layer"):
        list(grader.grade([task("ada"), task("bao")], PLANS))
    assert not children()


def test_a_worker_that_cannot_start_costs_nobody_a_grade():
    grader = Grader(setup(judge_preload=("die",)), workers=1)
    with pytest.raises(GradingError, match="a worker must start"):
        list(grader.grade([task("ada")], PLANS))


def test_stopping_leaves_no_process_behind():
    grader = Grader(setup(), workers=2)
    tasks = [task("ada"), *(task(f"s{n}", "do sleep 60") for n in range(4))]
    start = time.monotonic()
    found = grader.grade(tasks, PLANS)
    next(found)
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt())
    assert time.monotonic() - start < 10
    assert not children()


def test_submissions_are_read_only_as_they_are_needed():
    taken = []

    def tasks():
        for number in range(50):
            taken.append(number)
            yield task(f"s{number}")

    ahead = []
    for done, _ in enumerate(Grader(setup(), workers=1).grade(tasks(), PLANS)):
        ahead.append(len(taken) - done)
    assert max(ahead) <= 4


def test_what_is_sent_and_answered_is_plain_json():
    sent = task("ada", notes=("odd",))
    assert Task.from_json(sent.to_json()) == sent
    [(_, marked)] = Grader(setup(), workers=1).grade([sent], PLANS)
    assert Marked.from_json(marked.to_json()) == marked
    assert Plan.from_json(plan().to_json()) == plan()


def test_a_content_key_tells_all_that_a_grade_depends_on(tmp_path):
    (tmp_path / "own.py").write_text("a = 1")
    told = {
        "plan": plan_key(plan()),
        "environment": environment_key([tmp_path], {"trust": False}),
        "seed": "0123",
    }
    submitted = Submitted(student="ada", data=b"{}", files={"a.py": b"x"})
    key = submission_key(submitted, **told)
    assert key == submission_key(
        Submitted(student="ada", data=b"{}", files={"a.py": b"x"}), **told
    )
    (tmp_path / "own.py").write_text("a = 2")
    others = [
        submission_key(submitted, **{**told, **change})
        for change in (
            {"plan": plan_key(plan(points=6.0))},
            {"environment": environment_key([tmp_path], {"trust": False})},
            {"environment": environment_key([], {"trust": False})},
            {"environment": environment_key([], {"trust": True})},
            {"seed": "4567"},
        )
    ] + [
        submission_key(Submitted(student="ada", **change), **told)
        for change in (
            {"data": b"{ }", "files": {"a.py": b"x"}},
            {"data": b"{}", "files": {"a.py": b"y"}},
            {"data": b"{}", "files": {"b.py": b"x"}},
            {"data": b"{}"},
        )
    ]
    assert len({key, *others}) == 10
