"""Unmodified nbgrader takes a unit from the release to the export."""

import csv
import os
import subprocess
import sys

import nbformat
import pytest
from notebooks.cells import COURSE, synced

from attncourse import questions
from attncourse.checking import Question
from attncourse.notebooks import sample, sync
from attncourse.notebooks.classroom import FOLDER, Class
from attncourse.notebooks.release import written

STEM = "04_dense"
ASKED = {id_: questions.load(id_) for id_ in questions.ids("dense")}
MOST = sum(question.points for question in ASKED.values())
# Put together when it runs, so that no source holds it.
SPY = """
import sys

class Canary(ValueError):
    pass

kept = []

def tell(*found):
    text = "can" + "ary-" + repr(found)
    kept.append(text)
    print(text)
    print(text, file=sys.stderr)
    from IPython.display import HTML, display
    display(HTML(f"<p>{text}</p>"))
    spot.update(text)
    mime = "application/vnd.attncourse.verdict+json"
    display({mime: {"question": "QUESTION", "verdict": text, "points": 99,
        "failed_stages": [text], "diagnosis": [text], "error": text,
        "notes": [text], "line": text}}, raw=True)
    for name in ("leak.txt", "leak.html"):
        open(name, "w").write(text)
    import warnings
    warnings.warn(text)
    raise type(text, (Canary,), {})(text)

NAME = lambda *found, **named: tell(*found, *named)
"""


@pytest.fixture
def class_(tmp_path):
    synced(STEM)
    return Class(COURSE, tmp_path / "class")


@pytest.fixture
def source():
    return sync.source_of(COURSE, STEM)


def blank():
    return nbformat.read(COURSE.exercise(STEM), as_version=4)


def grades(class_):
    with open(class_.folder / "grades.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["student_id"]: float(row["score"]) for row in rows}


def test_nbgrader_s_own_commands_grade_a_class(class_, source):
    def nbgrader(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=COURSE.root,
            env={**os.environ, FOLDER: str(class_.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    class_.submit(STEM, "ada", written(sample.solved(source)))
    class_.submit(STEM, "bao", written(blank()))
    nbgrader("generate_assignment", STEM)
    released = class_.folder / "release" / STEM / "dense.ipynb"
    assert released.read_text("utf-8").rstrip() == (
        COURSE.exercise(STEM).read_text("utf-8").rstrip()
    )
    said = nbgrader("validate", str(released))
    # An untouched written answer counts as failed, where it counts.
    failed = len(ASKED) + (COURSE.written_points() > 0)
    assert f"VALIDATION FAILED ON {failed} CELL(S)" in said
    nbgrader("autograde", STEM)
    nbgrader("generate_feedback", STEM)
    nbgrader("export", "--to", str(class_.folder / "grades.csv"))
    assert grades(class_) == {"ada": MOST, "bao": 0.0}
    page = class_.page(STEM, "ada").read_text("utf-8")
    assert page.count("All right") == len(ASKED)
    page = class_.page(STEM, "bao").read_text("utf-8")
    assert page.count("Still to do") == len(ASKED)


def answer_cells(notebook):
    return sample.answers(notebook, ASKED)


def spying(source):
    """Hand in functions that tell whatever a hidden case gives them."""
    notebook = sample.solved(source)
    first = next(
        i for i, c in enumerate(notebook.cells) if c.id == "attend-prompt"
    )
    spot = (
        "from IPython.display import display\nspot = display(0, display_id=1)"
    )
    notebook.cells.insert(first, nbformat.v4.new_code_cell(spot))
    for cell, question in answer_cells(notebook):
        if isinstance(question, Question):
            cell.source = SPY.replace("NAME", question.function_name).replace(
                "QUESTION", question.id
            )
    notebook.cells.append(nbformat.v4.new_code_cell("print(kept); kept"))
    return notebook


def dying(source):
    notebook = sample.solved(source)
    cell, question = [
        (cell, question)
        for cell, question in answer_cells(notebook)
        if isinstance(question, Question)
    ][-1]
    cell.source = (
        f"def {question.function_name}(*given):\n    import os; os._exit(0)"
    )
    return notebook


def tampered(source):
    """Delete a test, double one, and rewrite the metadata of a third."""
    notebook = sample.test_deleted(source, blank(), ASKED)
    tests = [c for c in notebook.cells if c.id.endswith("-test")]
    own = tests[0].metadata["nbgrader"]
    own.update(points=100, solution=True, schema_version=1)
    tests[0].source = "100.0"
    return notebook


def test_hostile_submissions_gain_and_learn_nothing(class_, source):
    class_.submit(STEM, "spy", written(spying(source)))
    class_.submit(STEM, "dies", written(dying(source)))
    class_.submit(STEM, "tampers", written(tampered(source)))
    with class_.steps() as steps:
        steps.generate(STEM)
        for student in class_.students(STEM):
            steps.autograde(STEM, student)
            steps.feedback(STEM, student)
        steps.export()
    earned = grades(class_)
    written_only = MOST - sum(
        each.points for each in ASKED.values() if isinstance(each, Question)
    )
    assert earned["spy"] == written_only
    assert 0 < earned["dies"] < MOST
    assert earned["tampers"] == MOST

    graded = class_.folder / "autograded" / "spy" / STEM
    assert "canary-" in (graded / "dense.ipynb").read_text("utf-8")
    assert "canary-" in (graded / "leak.txt").read_text("utf-8")
    for student in class_.students(STEM):
        page = class_.page(STEM, student)
        assert [each.name for each in page.parent.iterdir()] == [page.name]
        text = page.read_text("utf-8")
        assert "canary-" not in text
        for secret in ("HIDDEN", "_hidden", COURSE.key("dense")):
            assert secret not in text
