"""The chapter for instructors promises what the engine does."""

import json
import re
import sys
from pathlib import Path

import pytest
from grading.judge_notebooks import answer, check, hidden, notebook, solved
from prose import BOOK

from attncourse.grading.handed_in import submission
from attncourse.grading.inside import isolate
from attncourse.grading.judging.judges import JudgeServer, grade_job
from attncourse.grading.keeping import seeds
from attncourse.grading.model import Job
from attncourse.grading.notebooks.source import read_plan
from attncourse.grading.pages.frame import LABELS
from attncourse.grading.sandbox.owner import Sandbox

TEXT = (BOOK / "grading.md").read_text("utf-8")
HELD = isolate.available()
SOLUTIONS = {
    "shifted": "    return [x - max(row) for x in row]",
    "spread": "    return -min(shifted(row))",
}
TESTS = {
    "shifted": "assert shifted([1, 3, 2]) == [-2, 0, -1]",
    "spread": "assert spread([4, 9, 7]) == 5",
}


def code(language):
    """Return the page's blocks of code in a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def servers():
    if not HELD.complete:
        pytest.skip(
            "THE CHAPTER'S EXAMPLE WAS NOT TRIED: this system cannot hold "
            f"students' processes: {'; '.join(HELD.missing)}"
        )
    with Sandbox(preload=("numpy",)) as sandbox, JudgeServer() as judges:
        yield sandbox, judges


def graded(servers, policy):
    """Return the page's example as it is graded under a policy."""
    example = next(text for text in code("python") if "shifted" in text)
    handed, cells = dict.fromkeys(SOLUTIONS), []
    for text in re.split("\n{2,}", example):
        handed[re.match(r"def (\w+)", text)[1]] = text
    points = dict(re.findall(r"`(\w+)`, (\d) points", TEXT))
    for name, solution in SOLUTIONS.items():
        head = f"def {name}(row):\n"
        cells += [
            answer(head + solved(solution), name),
            check(hidden(TESTS[name]), f"t-{name}", int(points[name])),
        ]
    source = notebook(*cells)
    source.metadata["grading"] = {"upstream": policy}
    plan = read_plan(source, assignment="week", notebook="rows")
    for cell, text in zip(source.cells[::2], handed.values(), strict=True):
        cell.source = text
    read = submission.read(json.dumps(source).encode())
    job = Job(
        student="ada",
        plan=plan,
        script=submission.match(plan, read),
        seed="5eed" * 8,
    )
    return grade_job(job, *servers).questions


@pytest.mark.parametrize("policy", ["punish", "substitute"])
def test_the_example_of_upstream_mistakes_comes_out_as_it_says(
    servers, policy
):
    row = re.search(rf'^\| `"{policy}"`[^|]*\|(.*)\|$', TEXT, re.M)[1]
    came = [
        f"{LABELS[each.verdict]}, {each.points:g}"
        for each in graded(servers, policy)
    ]
    assert [said.strip() for said in row.split("|")] == came


def test_the_metadata_that_it_shows_is_understood():
    shown = code("json")
    assert len(shown) == 2
    for text in shown:
        source = notebook(check("assert True", "t"))
        source.cells[0].metadata |= json.loads(text)
        (cell,) = read_plan(source, assignment="a", notebook="b").cells
        own = json.loads(text)["grading"]
        assert list(cell.forbids) == own.get("forbids", [])
        for name, value in own.get("limits", {}).items():
            assert getattr(cell.limits, name) == value


def test_its_code_for_appeals_draws_a_student_s_cases(
    tmp_path, monkeypatch, capsys
):
    (text,) = [each for each in code("python") if "class_key" in each]
    (tmp_path / "classroom").mkdir()
    monkeypatch.chdir(tmp_path)
    key = seeds.class_key(Path("classroom/key"))
    names = {}
    exec(re.sub("^   ", "", text, flags=re.M), names)
    assert names["seed"] == seeds.seed(key, "bao", "01_lookup")
    assert capsys.readouterr().out.count("False") >= 3


def test_its_configuration_of_another_course_is_one(tmp_path):
    from traitlets.config import Config

    (text,) = [each for each in code("python") if "plugin.use" in each]
    config = Config()
    file = tmp_path / "nbgrader_config.py"
    names = {"get_config": lambda: config, "__file__": str(file)}
    exec(text, names)
    own = names["settings_for"]("week1")
    assert own.assignment == "week1"
    assert own.limits.cpu_s == 10
    assert config.GradeSubmission.settings is names["settings_for"]


def test_every_module_that_it_names_is_there():
    for name in re.findall(r"from (attncourse[\w.]*) import", TEXT):
        __import__(name)
        assert name in sys.modules
