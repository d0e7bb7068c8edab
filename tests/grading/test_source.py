"""The plan that is read from nbgrader's source notebook."""

import json
from pathlib import Path

import nbformat
import nbgrader
import pytest
from made_notebooks import (
    AREA,
    PLAN,
    SOURCE,
    answer,
    code,
    graded,
    notebook,
    text,
)
from nbgrader.preprocessors import (
    ClearHiddenTests,
    ClearMarkScheme,
    ClearSolutions,
)
from traitlets.config import Config

from attncourse.grading.model import GradingError, Limits, Plan
from attncourse.grading.notebooks.delimiters import Delimiters
from attncourse.grading.notebooks.source import read_plan, upgraded

FILES = Path(nbgrader.__file__).parent
FOREIGN = sorted(
    {
        *FILES.glob("docs/source/user_guide/source/ps1/*.ipynb"),
        *FILES.glob("tests/*/files/test*.ipynb"),
        *FILES.glob("tests/*/files/manually*.ipynb"),
    }
)
# Solutions in cells that nbgrader does not know: it refuses them, too.
BROKEN = {
    "test-v0-invalid.ipynb",
    "test-no-metadata.ipynb",
    "test-no-metadata-autotest.ipynb",
}


def kinds(plan):
    return [cell.kind for cell in plan.cells]


def test_every_cell_has_its_kind():
    assert kinds(PLAN) == [
        *("text", "locked", "text", "answer", "test", "free"),
        *("locked", "answer", "test", "written"),
    ]
    assert [cell.points for cell in PLAN.tests] == [2, 3]
    assert PLAN.cell("words").points == 2
    assert PLAN.cell("words").cell_type == "markdown"


def test_a_test_shows_its_visible_part_and_an_answer_its_stub():
    assert PLAN.cell("area-test").visible == "assert area(2, 3) == 6"
    assert "35" in PLAN.cell("area-test").source
    assert PLAN.cell("area").visible.endswith(
        'unit."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'
    )
    assert PLAN.cell("words").visible == "YOUR ANSWER HERE"


def test_a_plan_survives_the_way_through_json():
    again = Plan.from_json(json.loads(json.dumps(PLAN.to_json())))
    assert again == PLAN


def test_the_names_come_from_the_file(tmp_path):
    file = tmp_path / "03_boxes" / "boxes.ipynb"
    file.parent.mkdir()
    file.write_text(json.dumps(SOURCE))
    plan = read_plan(file)
    assert (plan.assignment, plan.notebook) == ("03_boxes", "boxes")
    assert plan.cells == PLAN.cells
    assert read_plan(nbformat.read(file, 4)).cells == PLAN.cells


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"nbformat": 4}'])
def test_a_source_that_cannot_be_read_is_told_of(tmp_path, content):
    file = tmp_path / "boxes.ipynb"
    if content is not None:
        file.write_text(content)
    with pytest.raises(GradingError, match="must"):
        read_plan(file)


def test_a_test_is_about_the_answers_back_to_the_test_before():
    plan = read_plan(
        notebook(
            graded("t0", ""),
            answer("a1", "x = 1"),
            answer("a2", "y = 2"),
            graded("t1", ""),
            graded("t2", ""),
            answer("a3", "z = 3", grade=True, points=2),
            graded("t3", ""),
        )
    )
    assert {cell.grade_id: cell.answers for cell in plan.tests} == {
        "t0": (),
        "t1": ("a1", "a2"),
        "t2": ("a1", "a2"),
        "t3": ("a3",),
    }
    assert plan.cell("a3").kind == "written"


def test_limits_and_what_is_forbidden_come_from_the_metadata():
    asked = answer("a", AREA)
    asked["metadata"]["grading"] = {"forbids": ["numpy.prod"]}
    judged = graded("t", "")
    judged["metadata"]["grading"] = {
        "limits": {"cpu_s": 9, "memory_bytes": 2e9}
    }
    plan = read_plan(
        notebook(
            asked,
            judged,
            graded("u", ""),
            answer("b", "x = 1"),
            grading={
                "limits": {"cpu_s": 2},
                "forbids": ["scipy"],
                "upstream": "punish",
            },
        ),
        limits=Limits(wall_s=7),
    )
    assert plan.upstream == "punish"
    assert plan.cell("a").limits == Limits(wall_s=7, cpu_s=2)
    assert plan.cell("t").limits.cpu_s == 9
    assert plan.cell("t").limits.memory_bytes == 2_000_000_000
    assert isinstance(plan.cell("t").limits.memory_bytes, int)
    assert plan.cell("t").forbids == ("scipy", "numpy.prod")
    assert plan.cell("u").forbids == ("scipy", "numpy.prod")
    assert plan.cell("b").forbids == ("scipy",)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"limit": {}}, "may have limits, forbids and upstream: got limit"),
        ("x", "got x"),
        ({"limits": {"cpu": 1}}, "one of cpu_s.*got cpu"),
        ({"limits": {"cpu_s": "1"}}, "must be a number: got '1'"),
        ({"limits": {"cpu_s": True}}, "must be a number: got True"),
        ({"limits": {"cpu_s": 0}}, "above zero: got 0"),
        ({"limits": [1]}, "limits must be an object"),
        ({"forbids": "numpy"}, "list of dotted names: got 'numpy'"),
        ({"forbids": ["import os"]}, "list of dotted names"),
        ({"upstream": "forgive"}, "punish or substitute: got 'forgive'"),
    ],
)
def test_a_wrong_setting_is_told_of(settings, says):
    with pytest.raises(GradingError, match=says):
        read_plan(notebook(answer("a", AREA), grading=settings))


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([answer("a", "x"), answer("a", "y")], "must name one cell.*'a'"),
        ([code("a", "x", solution=True, grade_id="")], "have a grade_id"),
        ([graded("t", "", points="many")], "must be a number: got 'many'"),
        ([graded("t", "", points=float("nan"))], "must be a number"),
        ([code("a", "x", locked=True, schema_version=4)], "0 to 3: got 4"),
        ([answer("a", "### BEGIN SOLUTION")], "'a'.*end of the cell"),
        (
            [graded("t", "# BEGIN HIDDEN TESTS\n# BEGIN HIDDEN TESTS")],
            "'t'.*again",
        ),
        (
            [code("a", "# BEGIN SOLUTION\n# END SOLUTION")],
            "stand in an answer",
        ),
        (
            [code("a", "# BEGIN HIDDEN TESTS\n# END HIDDEN TESTS")],
            "stand in a graded cell",
        ),
    ],
)
def test_a_source_that_contradicts_itself_is_told_of(cells, says):
    with pytest.raises(GradingError, match=says):
        read_plan(notebook(*cells))


def test_only_python_is_graded():
    with pytest.raises(GradingError, match="in Python: got R"):
        read_plan(notebook(kernelspec={"language": "R"}))


@pytest.mark.parametrize(
    "own",
    [
        {"grade": True, "grade_id": "q", "points": ""},
        {"grade": True, "grade_id": "q", "points": -1, "schema_version": 1},
        {"grade": True, "grade_id": "q", "schema_version": 2},
    ],
)
def test_old_metadata_is_understood(own):
    assert upgraded(own, "code") == {
        "grade": True,
        "grade_id": "q",
        "points": 0.0,
        "locked": True,
        "solution": False,
        "task": False,
        "schema_version": 3,
    }


def test_a_task_is_graded_by_hand_and_its_scheme_not_shown():
    scheme = "Do it.\n### BEGIN MARK SCHEME\nTwo.\n### END MARK SCHEME"
    plan = read_plan(
        notebook(text("task", scheme, task=True, points=4, locked=True))
    )
    (cell,) = plan.cells
    assert (cell.kind, cell.points, cell.visible) == ("written", 4, "Do it.")


def test_delimiters_come_from_nbgrader_s_configuration():
    config = Config()
    config.ClearSolutions.begin_solution_delimeter = "<<<"
    config.ClearSolutions.end_solution_delimeter = ">>>"
    config.ClearSolutions.code_stub = {"python": "..."}
    config.ClearHiddenTests.begin_test_delimeter = "VVV"
    config.ClearHiddenTests.end_test_delimeter = "AAA"
    marks = Delimiters.configured(config)
    plan = read_plan(
        notebook(
            answer("a", "if 1:\n    # <<<\n    x = 1\n    # >>>"),
            graded("t", "x\n# VVV\ny\n# AAA"),
        ),
        delimiters=marks,
    )
    assert [cell.visible for cell in plan.cells] == ["if 1:\n    ...", "x"]


@pytest.mark.parametrize(
    "file", FOREIGN, ids=lambda file: f"{file.parts[-3]}-{file.name}"
)
def test_nbgrader_s_own_notebooks_are_shown_as_nbgrader_shows_them(file):
    if file.name in BROKEN:
        with pytest.raises(GradingError, match="must"):
            read_plan(file)
        return
    plan = read_plan(file)
    shown = nbformat.read(file, as_version=4)
    for step in (ClearSolutions, ClearHiddenTests, ClearMarkScheme):
        shown, _ = step().preprocess(shown, {})
    for ours, theirs in zip(plan.cells, shown.cells, strict=True):
        assert ours.visible == theirs.source


def test_there_are_foreign_notebooks_to_read():
    assert len(FOREIGN) > 10
