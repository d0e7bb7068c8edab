"""Every unit's notebook: derived, honest to solve, silent on its secrets."""

import copy

import nbformat
import pytest
from notebooks.cells import COURSE, points, run, synced

from attncourse import questions
from attncourse.notebooks import sample, sync
from attncourse.notebooks.course import unit_of
from attncourse.notebooks.release import HIDDEN

STEMS = COURSE.stems()


def blank_of(stem):
    return nbformat.read(COURSE.exercise(stem), as_version=4)


def handed_in(source, notebook):
    """Return a notebook with its tests put back, as grading does it."""
    tests = {cell.id: cell.source for cell in source.cells}
    graded = copy.deepcopy(notebook)
    for cell in graded.cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            cell.source = tests[cell.id]
    return graded


@pytest.mark.parametrize("stem", STEMS)
def test_the_solutions_earn_every_point(stem):
    source = sync.source_of(COURSE, stem)
    earned = points(handed_in(source, sample.solved(source)))
    asked = {
        f"{id_.partition('.')[2]}-test".replace("_", "-"): questions.load(id_)
        for id_ in questions.ids(unit_of(stem))
    }
    assert earned == {name: each.points for name, each in asked.items()}
    assert all(type(each) is float for each in earned.values())


@pytest.mark.parametrize("stem", STEMS)
def test_a_blank_notebook_earns_nothing(stem):
    source = sync.source_of(COURSE, stem)
    earned = points(handed_in(source, blank_of(stem)))
    assert set(earned.values()) == {0.0}


@pytest.mark.parametrize("stem", STEMS)
def test_unsolved_the_notebook_runs_from_top_to_bottom(stem):
    values = run(blank_of(stem))
    assert {k: v for k, v in values.items() if v is not None} == {}


@pytest.mark.parametrize("stem", STEMS)
def test_unsolved_the_notebook_does_not_validate(stem):
    values = run(blank_of(stem), "validate")
    tests = [name for name in values if name.endswith("-test")]
    assert all(isinstance(values[name], AssertionError) for name in tests)


@pytest.mark.parametrize("stem", STEMS)
def test_stubs_keep_signature_and_docstring(stem):
    cells = {cell.id: cell for cell in blank_of(stem).cells}
    for id_ in questions.ids(unit_of(stem)):
        question = questions.load(id_)
        cell = cells[id_.partition(".")[2].replace("_", "-")]
        assert f"def {question.function_name}(" in cell.source
        assert '"""' in cell.source
        assert cell.source.endswith("raise NotImplementedError()")
        assert cell.metadata.nbgrader.solution
        assert cell.metadata.get("editable", True)


@pytest.mark.parametrize("stem", STEMS)
def test_points_and_time_are_within_the_course_s_limits(stem):
    asked = [questions.load(id_) for id_ in questions.ids(unit_of(stem))]
    assert 3 <= len(asked) <= 6
    assert sum(question.minutes for question in asked) <= 120
    kinds = {question.kind for question in asked}
    assert {"implement", "repair", "predict", "audit"} <= kinds
    written = [c for c in blank_of(stem).cells if "YOUR ANSWER" in c.source]
    assert len(written) == 1


def test_the_exercises_are_up_to_date_and_hold_nothing_secret():
    # Releasing raises if anything secret would be told.
    assert synced(*STEMS) == ([], [])
    assert sync.orphans(COURSE) == []


@pytest.mark.parametrize("stem", STEMS)
def test_no_hidden_test_is_in_an_exercise(stem):
    source = sync.source_of(COURSE, stem)
    hidden = [HIDDEN.findall(cell.source) for cell in source.cells]
    assert sum(map(len, hidden)) == len(questions.ids(unit_of(stem)))
    for word in ("HIDDEN", "SOLUTION", "grade(", "because ="):
        assert word not in "".join(
            cell.source
            for cell in blank_of(stem).cells
            if cell.cell_type == "code"
        )
