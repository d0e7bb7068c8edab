"""A class with hostile students is graded as if they were not there."""

import csv
import io
import json
import re

import mistune
import nbformat
import pytest
from attacks import course, leaks, names, output, structure
from attacks.attack import Attack, notebook
from attacks.hall import LIMITS
from attacks.secrets_ import leaks as found_in

from attncourse.grading import grade
from attncourse.grading.folders import Folders
from attncourse.grading.inside import isolate
from attncourse.grading.settings import Options, Settings
from attncourse.grading.store import Store

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


def graded(root, hostile):
    """Grade a class; return its folder and what was said aloud."""
    source = root / "source" / course.ASSIGNMENT / f"{course.NOTEBOOK}.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(course.source(), source)
    for student in HONEST:
        hand_in(root, student, course.honest())
    for student, attack in hostile.items():
        hand_in(root, student, notebook(attack, PLACES))
    settings = Settings(
        assignment=course.ASSIGNMENT,
        sources=(source,),
        folders=Folders(root=root),
        db_url=f"sqlite:///{root}/gradebook.db",
        key_file=root / "key",
        report=root / "report",
        limits=LIMITS,
    )
    stream = io.StringIO()
    status = grade.run(
        settings,
        Options(workers=2),
        stream=stream,
        progress_stream=io.StringIO(),
    )
    assert status == 0, stream.getvalue()
    with Store(settings.db_url, settings.folders) as store:
        rows = store.scores(course.ASSIGNMENT)
    return {row.student: row.score for row in rows}, stream.getvalue()


def test_a_hostile_class_harms_neither_grades_nor_pages(tmp_path):
    if not isolate.available().complete:
        pytest.skip("NO ATTACK WAS TRIED: students cannot be held here")
    beside = tmp_path / "beside"
    scores, said = graded(beside, HOSTILE)

    most = sum(course.MOST.values())
    assert [scores[name] for name in HONEST] == [most] * len(HONEST)
    assert set(scores) == {*HONEST, *HOSTILE}
    for student, attack in HOSTILE.items():
        assert scores[student] <= sum(
            most for _, most in attack.limits().values()
        )
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


def check_seen(root):
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
    assert seen >= 2 * (len(HONEST) + len(HOSTILE))


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
