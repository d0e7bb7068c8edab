"""No student of this course is wronged: the engine says what `examine` says.

Every known answer, right or wrong, goes through the real engine; so does
what honest students do besides (``student_*.py``).
"""

from __future__ import annotations

import functools
import html
import re

import pytest
from course_answers import of_unit, rounds
from course_grading import SAME, Engine, by_question, examined, unit
from student_habits import CELLS, RESULTS, STRICT, giving
from student_notebooks import (
    FILES,
    SHAPES,
    computed_for_six_seconds,
    files,
    new,
    timed_for_long,
)
from student_styles import FUNCTIONS, filled

from attncourse import questions
from attncourse.checking import Audit, Prediction, Question
from attncourse.grading.inside import isolate

ISOLATION = isolate.available()
pytestmark = pytest.mark.skipif(
    not ISOLATION.complete,
    reason=f"students cannot be held here: {'; '.join(ISOLATION.missing)}",
)
# Of the wrong answers `make test` takes a sample.
EVERY = 20
# Right ones that call the course's own package, which is not there.
LEANING = {"mend_with_the_package", "encode_in_torch"}
TRIED = ("softmax.tempered", "softmax.gradients", "softmax.repair")
GROUPS = len(TRIED)


@pytest.fixture(scope="module")
def engine():
    made = Engine()
    yield made
    made.close()


def groups(names):
    names = list(names)
    return [names[k : k + GROUPS] for k in range(0, len(names), GROUPS)]


def bare(text):
    return re.sub(r"[`*\s]", "", text)


# ---- every known answer


@pytest.fixture(scope="module")
def compared(engine):
    """Return what is said of a unit's answers inside and outside."""

    @functools.cache
    def of(name, every):
        asked, rows = unit(name), []
        for answers in rounds(name, every):
            sources = {id_: each.source for id_, each in answers.items()}
            told = examined(asked, sources)
            marked = engine.mark(asked, asked.notebook(sources))
            outside = by_question(asked, marked)
            page = re.sub(r"<[^>]*>", "", marked.pages[".html"])
            page = bare(html.unescape(page))
            for id_, answer in answers.items():
                rows.append((answer, told[id_], outside[id_], page))
        return rows

    return of


HOW_MANY = [
    pytest.param(EVERY, id="a sample"),
    pytest.param(1, id="all", marks=pytest.mark.slow),
]
every_unit = pytest.mark.parametrize("name", questions.UNITS)
so_many = pytest.mark.parametrize("every", HOW_MANY)


def differences(rows, kind):
    """Return what is said otherwise outside than in-process."""
    return [
        (answer.question, answer.name, key, told.get(key), came.get(key))
        for answer, told, judged, _ in rows
        if isinstance(questions.load(answer.question), kind)
        and answer.name not in LEANING
        for came in [judged.told or {}]
        for key in SAME
        if came.get(key) != told.get(key)
        or (key == "points" and judged.points != told[key])
    ]


@so_many
@every_unit
def test_an_answer_is_judged_outside_as_in_process(name, every, compared):
    rows = compared(name, every)
    assert len(rows) >= 4 * len(questions.ids(name))
    assert differences(rows, (Question, Prediction)) == []


@so_many
@every_unit
def test_a_test_of_candidates_is_judged_outside_as_in_process(
    name, every, compared
):
    assert differences(compared(name, every), Audit) == []


@so_many
@every_unit
def test_right_answers_earn_all_points_and_wrong_ones_fail(
    name, every, compared
):
    for answer, told, judged, _ in compared(name, every):
        where = answer.question, answer.name, judged
        if answer.name in LEANING:
            assert (judged.verdict, judged.error) == ("error", "RuntimeError")
            assert "attncourse is not there" in judged.says, where
        elif answer.right and told["verdict"] == "pass":
            most = questions.load(answer.question).points
            full = judged.points == judged.max_points == most
            audit = isinstance(questions.load(answer.question), Audit)
            assert full or audit, where
        elif answer.right is False:
            assert judged.verdict != "pass", where
            assert judged.points < judged.max_points, where
        assert not judged.substituted, where
        assert not judged.flags, where


@so_many
@every_unit
def test_a_misconception_is_named_on_the_page_that_the_student_reads(
    name, every, compared
):
    named = 0
    for answer, told, judged, page in compared(name, every):
        for each in told["misconceptions"]:
            named += 1
            assert each["name"] in judged.told["diagnosis"]
            assert bare(each["says"]) in page, (answer, each)
    assert named


def test_all_answers_take_their_turn():
    for name in questions.UNITS:
        known = {
            (answer.question, answer.name)
            for row in of_unit(name).values()
            for answer in row
        }
        met = {
            (answer.question, answer.name)
            for answers in rounds(name)
            for answer in answers.values()
        }
        assert met == known


# ---- what honest students do besides


def styled(texts):
    """Return the sources of a notebook with a style for each question."""
    asked = unit("softmax")
    return {
        id_: filled(text, asked.right(id_), questions.load(id_).function_name)
        for id_, text in zip(TRIED, texts, strict=False)
    }


@pytest.mark.parametrize("names", groups(FUNCTIONS), ids=" - ".join)
def test_a_right_answer_may_be_written_in_any_style(names, engine):
    asked = unit("softmax")
    sources = styled(FUNCTIONS[name] for name in names)
    came = engine.judged(asked, asked.notebook(sources))
    verdicts = {
        name: came[id_].verdict
        for name, id_ in zip(names, TRIED, strict=False)
    }
    assert set(verdicts.values()) == {"pass"}, (verdicts, came)
    assert all(each.verdict == "pass" for each in came.values())


@pytest.mark.parametrize("names", groups(RESULTS), ids=" - ".join)
def test_a_result_of_any_type_counts_outside_as_in_process(names, engine):
    asked = unit("softmax")
    sources = styled(giving(RESULTS[name]) for name in names)
    told = examined(asked, sources)
    came = engine.judged(asked, asked.notebook(sources))
    for name, id_ in zip(names, TRIED, strict=False):
        for key in SAME:
            assert came[id_].told.get(key) == told[id_].get(key), (name, key)


def with_cells(*texts):
    notebook = unit("softmax").solved()
    notebook.cells[2:2] = map(new, texts)
    return notebook


def unfair(engine, notebook):
    """Return the questions of a right notebook that do not pass."""
    came = engine.judged(unit("softmax"), notebook)
    return {
        id_: (each.verdict, each.points, each.says)
        for id_, each in came.items()
        if each.verdict != "pass"
    }


def test_cells_of_ones_own_spoil_nothing_together(engine):
    assert unfair(engine, with_cells(*CELLS.values())) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_ones_own_spoils_nothing(name, engine):
    assert unfair(engine, with_cells(CELLS[name])) == {}


@pytest.mark.parametrize("name", STRICT)
def test_warnings_cost_nothing_whatever_a_notebook_makes_of_them(name, engine):
    assert unfair(engine, with_cells(STRICT[name])) == {}


@pytest.mark.parametrize(
    "change",
    [*SHAPES, pytest.param(timed_for_long, marks=pytest.mark.slow)],
    ids=lambda each: each.__name__,
)
def test_a_notebook_may_be_put_together_otherwise(change, engine):
    notebook = unit("softmax").solved()
    change(notebook)
    assert unfair(engine, notebook) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [computed_for_six_seconds], ids=lambda each: each.__name__
)
def test_what_takes_some_seconds_at_home_counts(change, engine):
    notebook = unit("softmax").solved()
    change(notebook)
    assert unfair(engine, notebook) == {}


@pytest.mark.parametrize("how", FILES)
def test_a_file_may_be_written_by_any_editor(how, engine):
    data = files(unit("softmax").solved())[how]
    assert unfair(engine, data) == {}


HELPED = """\


def tempered(*args):
    return helper(*args)"""
HELPER = """class Mine(KeyError):
    pass






def helper(*args):
    raise Mine("x")"""


def test_an_error_is_told_by_the_line_of_the_answer_itself(engine):
    asked = unit("softmax")
    notebook = asked.notebook({"softmax.tempered": HELPED})
    notebook.cells[2:2] = [new(HELPER)]
    judged = engine.judged(asked, notebook)["softmax.tempered"]
    assert (judged.error, judged.line) == ("KeyError", 4)


TORCH = """import torch


def tempered(scores, temperature, axis):
    scaled = torch.tensor(scores).double() / temperature
    peak = temperature * torch.logsumexp(scaled, dim=axis)
    return torch.softmax(scaled, dim=axis), peak


layer = torch.nn.Linear(3, 4)
optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
layer(torch.ones(2, 3)).pow(2).mean().backward()
optimiser.step()"""


@pytest.mark.slow
def test_torch_fits_into_the_limits_where_it_is_not_loaded_before():
    plain, asked = Engine(), unit("softmax")
    try:
        notebook = asked.notebook({"softmax.tempered": TORCH})
        assert unfair(plain, notebook) == {}
    finally:
        plain.close()
