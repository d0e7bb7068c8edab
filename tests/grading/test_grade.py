"""The command: what changed is graded, kept and reported, and no more."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from engine_samples import (
    answer,
    contents,
    hand_in,
    notebook,
    settings,
    source,
)
from nbgrader.api import Gradebook

from attncourse.grading.keeping import runlog
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.store import Store
from attncourse.grading.running import grade
from attncourse.grading.running.settings import Options

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _standin(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", TESTS)


@pytest.fixture(scope="module")
def gradebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)).close()
    return (folder / "gradebook.db").read_bytes()


@pytest.fixture
def course(tmp_path, gradebook):
    (tmp_path / "gradebook.db").write_bytes(gradebook)
    return settings(tmp_path)


def run(course, **options) -> tuple[int, str]:
    stream = io.StringIO()
    status = grade.run(
        course,
        Options(workers=1, **options),
        stream=stream,
        progress_stream=io.StringIO(),
    )
    return status, stream.getvalue()


def scores(course) -> dict[str, float | None]:
    with Store(course.db_url, course.folders) as store:
        return {row.student: row.score for row in store.scores("03_sums")}


def graded(course) -> list[str]:
    return [
        each["student"]
        for each in runlog.read(course.log_file)
        if each["event"] == "graded"
    ]


def test_a_class_is_graded_and_then_only_what_changed(course):
    hand_in(course, "ada", answer(5))
    hand_in(course, "bao", answer(2))
    status, told = run(course)
    assert status == 0
    assert "03_sums: 2 graded" in told
    assert scores(course) == {"ada": 5.0, "bao": 2.0}
    before = contents(course.folders.root)

    status, told = run(course)
    assert "0 graded, 2 unchanged" in told
    assert contents(course.folders.root) == before
    assert graded(course) == ["ada", "bao"]

    hand_in(course, "bao", answer(3))
    run(course)
    assert graded(course) == ["ada", "bao", "bao"]
    assert scores(course) == {"ada": 5.0, "bao": 3.0}

    run(course, again=True)
    assert len(graded(course)) == 5


def test_one_student_is_graded_alone(course):
    hand_in(course, "ada", answer(5))
    hand_in(course, "bao", answer(2))
    run(course, student="bao")
    assert scores(course) == {"bao": 2.0}
    assert run(course, student="zoe")[0] == 2


def test_what_cannot_be_read_is_named_and_has_no_grade(course):
    hand_in(course, "ada", answer(5))
    hand_in(course, "bao", "{")
    (course.folders.path("submitted", "chidi", "03_sums")).mkdir(parents=True)
    status, told = run(course)
    assert status == 1
    assert "unreadable bao, sums: a notebook must be JSON" in told
    assert "unreadable chidi, sums: there must be a notebook" in told
    assert scores(course) == {"ada": 5.0}
    text = (course.report / "sums.csv").read_text()
    rows = csv.DictReader(io.StringIO(text))
    assert [(r["student"], r["points"]) for r in rows] == [
        ("ada", "5"),
        ("bao", ""),
        ("chidi", ""),
    ]


def test_a_submission_that_was_lost_is_graded_again(course, tmp_path):
    hand_in(course, "ada", answer(5, "do die"))
    status, told = run(course)
    assert status == 1
    assert "lost       ada" in told
    # nobody has graded it: that is no number
    assert scores(course) == {"ada": None}
    hand_in(course, "ada", answer(5))
    assert run(course)[0] == 0
    assert scores(course) == {"ada": 5.0}
    hand_in(course, "bao", answer(5, f"do die_once {tmp_path}/x"))
    assert run(course)[0] == 0


def test_an_assignment_of_two_notebooks_is_saved_as_one(course, tmp_path):
    course = replace(
        course, sources=(source(tmp_path), source(tmp_path, "more"))
    )
    hand_in(course, "ada", answer(5))
    hand_in(course, "ada", answer(3), "more")
    hand_in(course, "bao", answer(4))
    status, told = run(course)
    assert status == 1
    assert "unreadable bao, more" in told
    # half of it is not graded: that is no number
    assert scores(course) == {"ada": 8.0, "bao": None}


def test_feedback_tells_what_people_gave_since(course):
    hand_in(course, "ada", answer(5, why="Because it is."))
    run(course)
    with Gradebook(course.db_url) as book:
        book.find_grade("why", "sums", "03_sums", "ada").manual_score = 1.5
        said = book.find_comment("why", "sums", "03_sums", "ada")
        said.manual_comment = "Well said."
        book.db.commit()
    page = course.folders.root / "feedback" / "ada" / "03_sums" / "sums.html"
    assert "Well said." not in page.read_text()
    assert run(course)[0] == 0
    assert "Well said." in page.read_text()
    assert graded(course) == ["ada"]
    hand_in(course, "ada", answer(4, why="Because it is."))
    run(course)
    assert "Well said." in page.read_text()
    assert scores(course) == {"ada": 5.5}


def test_hidden_tests_reach_neither_feedback_nor_formgrader(course):
    hand_in(course, "ada", answer(1))
    run(course)
    for step in ("feedback", "autograded", "report"):
        for file in (course.folders.root / step).rglob("*"):
            if file.is_file():
                assert "unseen" not in file.read_text(), file


def test_the_exports_leave_out_who_is_not_graded(course):
    with Gradebook(course.db_url) as book:
        book.add_student("zoe")
    hand_in(course, "ada", answer(5))
    run(course)
    text = (course.report / "grades.csv").read_text()
    rows = {r["student_id"]: r for r in csv.DictReader(io.StringIO(text))}
    assert rows["ada"]["score"] == "5"
    assert rows.get("zoe", {"score": ""})["score"] == ""
    for name in ("canvas.csv", "moodle.csv"):
        assert "zoe" not in (course.report / name).read_text()


def test_a_file_is_graded_and_nothing_is_kept(course, tmp_path):
    file = tmp_path / "sums.ipynb"
    file.write_text(answer(2))
    status, told = run(course, notebook=file, report=tmp_path / "out")
    assert status == 1
    assert "2 of 5 points" in told
    assert (tmp_path / "out" / "sums.html").exists()
    assert scores(course) == {}


def test_another_key_grades_everybody_again(course):
    hand_in(course, "ada", answer(5))
    run(course)
    course.key_file.unlink()
    status, _ = run(course)
    assert status == 2
    course.key_file.write_text("another key, as long as it must be")
    course.key_file.chmod(0o600)
    run(course)
    assert graded(course) == ["ada", "ada"]


def test_a_link_in_the_place_of_a_submission_is_not_followed(course, tmp_path):
    hand_in(course, "ada", answer(5))
    other = course.folders.step("submitted") / "bao"
    other.symlink_to(course.folders.step("submitted") / "ada")
    status, told = run(course)
    assert status == 1
    assert "unreadable bao" in told
    assert scores(course) == {"ada": 5.0}


def test_the_log_tells_what_was_done(course):
    hand_in(course, "ada", answer(5))
    run(course)
    events = runlog.read(course.log_file)
    assert [each["event"] for each in events] == ["start", "graded", "end"]
    assert events[0]["versions"]["numpy"]
    assert events[1]["points"] == 5.0
    assert json.dumps(events)


ODD = """def add(a, b):
    table = {key: [key ** 2, {key}] for key in range(9) if key % 2}
    while a > 0 and not (b < 0 or b in table):
        for low, (high, *rest) in zip(table, [(b, a, 1), (2, 3)]):
            a, b = b - high, -a if low else +b
        try:
            table[a] = lambda x, *more, y=b: x @ y[1:2, ...]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{error!r:>10}") from error
        else:
            del table[b], rest[::2]
    return a + b
"""


def test_similar_answers_are_reported(course):
    for student in ("ada", "bao"):
        hand_in(course, student, notebook(ODD))
    for number in range(6):
        hand_in(course, f"s{number}", answer(5))
    run(course)
    page = (course.report / "sums.html").read_text()
    found = page[page.lower().index("similar") :]
    assert "ada" in found
    assert "bao" in found
    assert "copied" not in page


@pytest.mark.slow
def test_a_large_class_takes_no_more_memory_than_a_small_one(course):
    for number in range(1000):
        hand_in(course, f"s{number:04}", answer(5, f"{number} " * 2000))
    found = []

    class Watching(io.StringIO):
        def write(self, text):
            status = Path("/proc/self/statm").read_text().split()
            found.append(int(status[1]) * 4096)

        def isatty(self):
            return True

    stream = Watching()
    options = Options(workers=2)
    out = io.StringIO()
    assert grade.run(course, options, stream=out, progress_stream=stream) == 0
    early, late = found[len(found) // 5], found[-2]
    assert late - early < 16 << 20, [size >> 20 for size in found]


def test_who_waits_to_be_graded_has_handed_in_and_no_number(course):
    hand_in(course, "ada", answer(5))
    hand_in(course, "bao", answer(2))
    assert run(course, student="ada")[0] == 0
    page = (course.report / "sums.html").read_text()
    assert "not graded" in page
    table = list(
        csv.DictReader(io.StringIO((course.report / "sums.csv").read_text()))
    )
    row = next(row for row in table if "bao" in row.values())
    assert "not graded" in row.values()


def test_notes_on_the_exports_are_told_and_moodle_has_comments(course):
    hand_in(course, "ada", answer(5))
    _, told = run(course)
    assert "note       moodle.csv: The grade item's maximum must be" in told
    assert "grade item" in (course.report / "sums.html").read_text()
    moodle = (course.report / "moodle.csv").read_text()
    assert "add: all right" in moodle


def test_who_has_handed_in_nothing_yet_is_told_where_it_must_lie(course):
    status, told = run(course)
    assert status == 0
    assert "nothing    was handed in" in told
    assert "submitted/STUDENT/03_sums/sums.ipynb" in told
    assert "maximum must be" not in told


def test_what_lies_in_another_place_is_told(course):
    hand_in(course, "ada", answer(5))
    wrong = course.folders.step("submitted") / "bao" / "3_sums"
    wrong.mkdir(parents=True)
    loose = course.folders.step("submitted") / "chidi.ipynb"
    loose.write_text(answer(5))
    status, told = run(course)
    assert status == 0
    assert "03_sums: 1 graded\n" in told
    assert "ignored" in told
    assert "chidi.ipynb: a submission must lie in STUDENT/03_sums" in told
    assert "of 1 student, who have no folder 03_sums: bao" in told


def test_a_student_who_is_not_there_is_told_with_those_who_are(course, capsys):
    assert run(course, student="adda")[0] == 2
    told = capsys.readouterr().err
    assert "adda must have a folder in" in told
    assert "got none" in told
    hand_in(course, "ada", answer(5))
    assert run(course, student="adda")[0] == 2
    assert "got only ada" in capsys.readouterr().err
