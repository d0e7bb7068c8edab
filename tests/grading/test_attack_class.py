"""A class with hostile students is graded as if they were not there."""

import csv
import io
import json
import os
import re
import sys
from pathlib import Path

import mistune
import nbformat
import pytest
from attacks import course, leaks, names, output, structure
from attacks.attack import Attack, notebook
from attacks.hall import LIMITS
from attacks.secrets_ import leaks as found_in
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from attncourse.grading import plugin
from attncourse.grading.inside import isolate
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.store import Store
from attncourse.grading.running import grade
from attncourse.grading.running.settings import Options, Settings

HONEST = ("anna", "bela", "zoe")
HOSTILE = {
    "<img src=x onerror=1>": Attack(
        name="scripts", first=output.SCRIPTS, change=structure.with_titles
    ),
    "=cmd|' calc'!A0": Attack(
        name="verdict", answers={"a-norm": output.FORGING, "a-tally": "pass"}
    ),
    "x'; DROP TABLE student; --": Attack(
        name="names", answers={"a-facts": names.CLASSES}
    ),
    "{{ 7 * 7 }}": Attack(
        name="carries",
        answers={"a-norm": leaks.MESSAGE},
        change=structure.with_each_test_twice,
    ),
    "@SUM(1+1)": Attack(name="terminal", first=output.BINARY),
    "\u202eanna": Attack(name="forged", change=structure.with_forged_points),
}
PLACES = dict.fromkeys(
    ("OUTSIDE", "COURSE", "VICTIM", "PORT", "UDP", "UNIX", "ROOT"), "1"
)


def hand_in(root, student, made):
    folder = root / "submitted" / student / course.ASSIGNMENT
    folder.mkdir(parents=True)
    nbformat.write(made, folder / f"{course.NOTEBOOK}.ipynb")


def submitted(root):
    """Lay out a class with hostile students; return its settings."""
    source = root / "source" / course.ASSIGNMENT / f"{course.NOTEBOOK}.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(course.source(), source)
    for student in HONEST:
        hand_in(root, student, course.honest())
    for student, attack in HOSTILE.items():
        hand_in(root, student, notebook(attack, PLACES))
    return Settings(
        assignment=course.ASSIGNMENT,
        sources=(source,),
        folders=Folders(root=root),
        db_url=f"sqlite:///{root}/gradebook.db",
        key_file=root / "key",
        report=root / "report",
        limits=LIMITS,
    )


def graded(settings):
    """Grade a class; return the scores and what was said aloud."""
    stream = io.StringIO()
    status = grade.run(
        settings,
        Options(workers=2),
        stream=stream,
        progress_stream=io.StringIO(),
    )
    assert status == 0, stream.getvalue()
    return scores(settings), stream.getvalue()


def scores(settings):
    with Store(settings.db_url, settings.folders) as store:
        rows = store.scores(course.ASSIGNMENT)
    return {row.student: row.score for row in rows}


@pytest.fixture
def held():
    if not isolate.available().complete:
        pytest.skip("NO ATTACK WAS TRIED: students cannot be held here")


def test_a_hostile_class_harms_neither_grades_nor_pages(tmp_path, held):
    beside = tmp_path / "beside"
    given, said = graded(submitted(beside))
    check_scores(given)
    assert "\x1b" not in said
    assert "\u202e" not in said
    check_seen(beside)
    check_report(beside)
    seeds = re.compile(rb"[0-9a-f]{64}")
    key = (beside / "key").read_bytes().strip()
    for file in (beside / "feedback").rglob("*"):
        if file.is_file():
            assert key not in file.read_bytes()
            assert not seeds.search(file.read_bytes()), file


@pytest.mark.filterwarnings("ignore")
def test_nbgrader_s_commands_grade_a_hostile_class_alike(
    tmp_path, held, monkeypatch, request
):
    request.addfinalizer(plugin.close)
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", tools)
    monkeypatch.chdir(tmp_path)
    settings = submitted(tmp_path)
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.CourseDirectory.db_url = settings.db_url
    plugin.use(config, lambda assignment: settings)
    api = NbGraderAPI(config=config)
    assert api.generate_assignment(course.ASSIGNMENT)["success"]
    for student in (*HONEST, *HOSTILE):
        done = api.autograde(course.ASSIGNMENT, student)
        assert done["success"], done
    assert api.generate_feedback(course.ASSIGNMENT)["success"]
    check_scores(scores(settings))
    check_seen(tmp_path, formats=1)


def check_scores(given):
    """The honest have all points, and the hostile no more than theirs."""
    most = sum(course.MOST.values())
    assert [given[name] for name in HONEST] == [most] * len(HONEST)
    assert set(given) == {*HONEST, *HOSTILE}
    for student, attack in HOSTILE.items():
        limits = attack.limits().values()
        assert given[student] <= sum(most for _, most in limits)


def check_seen(root, formats=2):
    """Nothing hidden in what goes back to students."""
    seen = 0
    for folder in ("feedback", "autograded"):
        for file in (root / folder).rglob("*"):
            if not file.is_file():
                continue
            text = file.read_text(encoding="utf-8")
            assert found_in({str(file): text}) == []
            if folder == "autograded":
                text = acting(json.loads(text))
            elif file.suffix == ".md":
                # As whoever shows it would: raw HTML is let through.
                text = mistune.create_markdown(escape=False)(text)
            assert "<script" not in text.lower()
            assert not re.search(r"<[^<>]*\son\w+=", text)
            seen += 1
    assert seen >= (1 + formats) * (len(HONEST) + len(HOSTILE))


def acting(made):
    """Return what a notebook's outputs hold beside plain text."""
    return json.dumps(
        [
            (mime, data)
            for cell in made["cells"]
            for each in cell.get("outputs", ())
            for mime, data in each.get("data", {}).items()
            if mime != "text/plain"
        ]
    )


def check_report(root):
    """Nothing acts in what the instructor reads."""
    files = [each for each in (root / "report").rglob("*") if each.is_file()]
    assert any(each.suffix == ".html" for each in files)
    for file in files:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".html":
            assert "<script" not in text.lower()
            assert not re.search(r"<img[^<>]*onerror", text)
            assert "default-src 'none'" in text
        elif file.suffix == ".csv":
            for row in csv.reader(io.StringIO(text)):
                for entry in row:
                    start = entry.lstrip()[:1]
                    number = re.fullmatch(r"-?\d+(\.\d+)?", entry)
                    assert start not in "=+@-\t\r" or number or not start
        assert "\x1b" not in text
