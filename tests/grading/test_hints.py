"""A sentence of an error says what can be seen in the student's code."""

import pytest
from grading import judge_notebooks as nb

from attncourse.grading.handed_in import hints
from attncourse.grading.model import Judged, Outcome

CELLS = [
    nb.given("import numpy as np", "setup"),
    nb.answer("def one():\n    return 1", "one"),
    nb.check(nb.hidden("assert one() == 1"), "one-test"),
    nb.answer("def two():\n    return 2", "two"),
    nb.check(nb.hidden("assert two() == 2"), "two-test"),
]


def said(error, answers, extra=(), says="The answer raised it.", line=None):
    job = nb.job(CELLS, answers, extra=extra)
    questions = [
        Judged(
            grade_id=f"{name}-test",
            verdict="error" if name == "one" else "pass",
            points=0.0,
            max_points=2.0,
            says=says,
            error=error if name == "one" else None,
            line=line,
        )
        for name in ("one", "two")
    ]
    outcome = Outcome(
        student="ada", assignment="week", questions=tuple(questions)
    )
    found = hints.explained(
        outcome, job.script, job.plan, absent=("attncourse",)
    )
    assert found.questions[1] == questions[1]
    return found.questions[0].says


@pytest.mark.parametrize(
    "code",
    [
        "from attncourse.reference import dense\n"
        "def one():\n    return dense.attention()",
        "def one():\n    import attncourse as a\n    return a.one()",
        "import attncourse.fast\nuse = attncourse.fast.go\n"
        "def one():\n    return use()",
    ],
)
def test_a_call_of_what_is_not_there_is_called_that(code):
    told = said("RuntimeError", {"one": code}, line=3)
    assert "attncourse is not there when a notebook is graded" in told
    assert "RuntimeError" in told
    assert "in line 3" in told


def test_a_helper_that_calls_it_is_found_wherever_it_is():
    told = said(
        "RuntimeError",
        {"one": "def one():\n    return helper()"},
        [("setup", "from attncourse import two\ndef helper(): return two()")],
    )
    assert "is not there when a notebook is graded" in told


def test_other_errors_keep_their_sentence():
    plain = {"one": "def one():\n    raise RuntimeError('attncourse')"}
    assert said("RuntimeError", plain) == "The answer raised it."
    leaning = {"one": "from attncourse import x\ndef one(): return x()"}
    assert said("ValueError", leaning) == "The answer raised it."
    other = {"two": "from attncourse import x\ndef two(): return x()"}
    assert said("RuntimeError", other) == "The answer raised it."


def test_a_name_that_is_defined_further_down_is_pointed_out():
    needs = {"one": "def one():\n    return helper() + np.pi + lost"}
    below = [("two", "def helper():\n    return 1")]
    told = said("NameError", needs, below)
    assert told.startswith("The answer raised it. Your notebook runs")
    assert "helper is defined only in a cell below" in told
    assert "lost" not in told
    assert said("NameError", needs) == "The answer raised it."
    above = [("setup", "def helper():\n    return 1"), *below]
    assert said("NameError", needs, above) == "The answer raised it."
    assert said("TypeError", needs, below) == "The answer raised it."


def test_a_helper_s_own_helper_counts():
    needs = {"one": "def one():\n    return first()"}
    cells = [("setup", "def first():\n    return second(), third()")]
    cells += [("one-test", "def second(): pass\ndef third(): pass")]
    told = said("NameError", needs, cells)
    assert "second and third are defined only in a cell below" in told
    assert "move them up" in told
