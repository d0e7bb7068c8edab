"""Unmodified nbgrader takes a unit from the release to the export."""

import csv
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from notebooks.cells import COURSE, synced

from attncourse import questions
from attncourse.checking import Question
from attncourse.grading import plugin
from attncourse.grading.keeping import seeds
from attncourse.notebooks import report, sample, sync
from attncourse.notebooks.course import CLASSROOM
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


class Class:
    """A class graded by nbgrader's own commands, with our settings."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=COURSE.root,
            env={**os.environ, CLASSROOM: str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    def submit(self, student, notebook):
        report.submit(self.folder, student, STEM, written(notebook))

    def grade(self):
        self.run("autograde", STEM)
        self.run("generate_feedback", STEM)
        return self.exported()

    def exported(self):
        file = self.folder / "grades.csv"
        self.run("export", "--to", str(file))
        with open(file, newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {
            row["student_id"]: float(row["score"]) if row["score"] else None
            for row in rows
        }

    def page(self, student):
        return self.folder / "feedback" / student / STEM / "dense.html"


@pytest.fixture
def class_(tmp_path):
    synced(STEM)
    made = Class(tmp_path / "class")
    made.run("generate_assignment", STEM)
    return made


@pytest.fixture
def source():
    return sync.source_of(COURSE, STEM)


def blank():
    return nbformat.read(COURSE.exercise(STEM), as_version=4)


def test_nbgrader_s_own_commands_grade_a_class(class_, source):
    released = class_.folder / "release" / STEM / "dense.ipynb"
    assert released.read_text("utf-8").rstrip() == (
        COURSE.exercise(STEM).read_text("utf-8").rstrip()
    )
    said = class_.run("validate", str(released))
    # An untouched written answer counts as failed, where it counts.
    failed = len(ASKED) + (COURSE.written_points() > 0)
    assert f"VALIDATION FAILED ON {failed} CELL(S)" in said
    hands = {
        "ada": sample.all_right,
        "bao": sample.untouched,
        "chidi": sample.mistaken(1),
        "dana": sample.test_deleted,
        "emil": sample.broken_syntax,
    }
    for student, hand in hands.items():
        class_.submit(student, hand(source, blank(), ASKED))
    scores = class_.grade()
    assert scores["ada"] == scores["dana"] == MOST
    assert scores["bao"] == 0.0
    assert 0 < scores["emil"] < MOST

    # Somebody in the gradebook whom nobody has graded yet has no zero.
    class_.run("db", "student", "add", "gita")
    assert class_.exported() == {**scores, "gita": None}

    # The other way in: the same submissions, the same key, the same scores.
    other = class_.folder.parent / "other"
    shutil.copytree(class_.folder / "submitted", other / "submitted")
    shutil.copy(class_.folder / "key", other / "key")
    done = report.grade(COURSE, other, [STEM])
    assert {name: done.scores[name, STEM] for name in scores} == scores
    for student in hands:
        page = class_.page(student).read_text("utf-8")
        twin = other / "feedback" / student / STEM / "dense.html"
        assert _settled(page) == _settled(twin.read_text("utf-8"))


def _settled(page):
    """Return a page without what a clock decides."""
    return re.sub(r"\d+(\.\d+)? (ms|s|seconds?)\b", "a while", page)


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
    class_.submit("spy", spying(source))
    class_.submit("dies", dying(source))
    class_.submit("tampers", tampered(source))
    earned = class_.grade()
    written_only = MOST - sum(
        each.points for each in ASKED.values() if isinstance(each, Question)
    )
    assert earned["spy"] == written_only
    assert 0 < earned["dies"] < MOST
    assert earned["tampers"] == MOST

    key = (class_.folder / "key").read_text().strip().encode()
    for student in earned:
        page = class_.page(student)
        assert [each.name for each in page.parent.iterdir()] == [page.name]
        seed = seeds.seed(key, student, STEM)
        for file in (
            page,
            class_.folder / "autograded" / student / STEM / "dense.ipynb",
        ):
            text = file.read_text("utf-8")
            for secret in ("HIDDEN", "_hidden", key.decode(), seed):
                assert secret not in text


def test_only_pages_and_labels_stay_in_a_feedback_folder(tmp_path):
    for step, text in (
        ("submitted", "2026-11-21 05:46:12.123456 UTC\n"),
        ("autograded", "forged"),
        ("feedback", "forged"),
    ):
        folder = tmp_path / step / "ada" / STEM
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text(text)
    (folder / "deep").mkdir()
    for name in ("dense.html", "leak.txt", "leak.html", "deep/x"):
        (folder / name).write_text("")
    (folder / "link.html").symlink_to(folder / "dense.html")
    submitted = tmp_path / "submitted" / "ada" / STEM
    (submitted / "submission_secret.txt").write_text("<b>no label")
    graded = tmp_path / "autograded" / "ada" / STEM / "dense.ipynb"
    plugin.keep_pages_only(
        assignment="*", student="*", notebooks=[str(graded)]
    )
    left = {item.name: item.read_text() for item in folder.iterdir()}
    assert left == {
        "dense.html": "",
        "timestamp.txt": "2026-11-21 05:46:12.123456 UTC\n",
    }


def test_a_label_that_is_a_link_brings_no_secret_into_feedback(tmp_path):
    (tmp_path / "key").write_text("5e" * 32)
    for step in ("submitted", "autograded", "feedback"):
        (tmp_path / step / "ada" / STEM).mkdir(parents=True)
    label = tmp_path / "submitted" / "ada" / STEM / "submission_secret.txt"
    label.symlink_to(tmp_path / "key")
    graded = tmp_path / "autograded" / "ada" / STEM / "dense.ipynb"
    plugin.keep_pages_only(
        assignment="*", student="*", notebooks=[str(graded)]
    )
    assert not list((tmp_path / "feedback" / "ada" / STEM).iterdir())
