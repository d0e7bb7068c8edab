"""Grades are there whole, once, and never instead of a person's."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import nbformat
import pytest
from engine_samples import (
    autograded,
    cell,
    contents,
    graded,
    notebook,
    outcome,
    plan,
    store,
)
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.utils import compute_checksum, determine_grade

from attncourse.grading.keeping import rules
from attncourse.grading.keeping.files import Draft
from attncourse.grading.model import GradingError
from attncourse.grading.notebooks import metadata


@pytest.fixture
def classroom(tmp_path_factory, request):
    """An empty gradebook; nbgrader takes a second to make one."""
    made = request.config.cache_of_gradebook
    folder = tmp_path_factory.mktemp("classroom")
    (folder / "gradebook.db").write_bytes(made)
    return folder


@pytest.fixture(autouse=True, scope="module")
def _empty(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("empty")
    store(folder).close()
    request.config.cache_of_gradebook = (folder / "gradebook.db").read_bytes()


def book(folder):
    return Gradebook(f"sqlite:///{folder / 'gradebook.db'}", "sums")


def test_nbgrader_finds_what_was_saved(classroom):
    with store(classroom) as kept:
        assert kept.save([graded(points=3.0)])
    with book(classroom) as gradebook:
        [found] = gradebook.assignment_submissions("03_sums")
        assert (found.student.id, found.score, found.max_score) == (
            "ada",
            3.0,
            7.0,
        )
        grade = gradebook.find_grade("add-test", "sums", "03_sums", "ada")
        assert (grade.auto_score, grade.needs_manual_grade) == (3.0, False)
        comment = gradebook.find_comment("add", "sums", "03_sums", "ada")
        assert comment.auto_comment is None
        sources = gradebook.find_notebook("sums", "03_sums").source_cells
        kept_test = next(s for s in sources if s.name == "add-test")
        assert "unseen" in kept_test.source
        assert next(s for s in sources if s.name == "setup").locked


def test_a_written_answer_waits_for_a_person_unless_it_was_left_blank(
    classroom,
):
    with store(classroom) as kept:
        kept.save([graded("ada", why="Since it is.")])
        kept.save([graded("bao")])
        ada, bao = kept.scores("03_sums")
    assert (ada.score, ada.waiting) == (5.0, ("why",))
    assert (bao.score, bao.waiting) == (5.0, ())
    with book(classroom) as gradebook:
        said = gradebook.find_comment("why", "sums", "03_sums", "bao")
        assert said.comment == "No response."


def test_the_autograded_notebook_says_the_same_to_nbgrader(classroom):
    with store(classroom) as kept:
        kept.save([graded(points=3.0)])
        file = kept.autograded("ada", "03_sums", "sums")
    found = nbformat.read(file, as_version=4)
    nbformat.validate(found)
    test = next(
        c
        for c in found.cells
        if c.metadata.get("nbgrader", {}).get("grade_id") == "add-test"
    )
    assert determine_grade(test) == (3.0, 5.0)
    assert "unseen" not in file.read_text()
    assert "seen" in file.read_text()


def test_checksums_are_those_of_nbgrader():
    for each, told in metadata.named(plan()):
        node = nbformat.from_dict(
            {
                "cell_type": each.cell_type,
                "source": metadata.kept(each),
                "metadata": {"nbgrader": told},
            }
        )
        assert told["checksum"] == compute_checksum(node)


def test_what_people_wrote_survives_regrading(classroom):
    with store(classroom) as kept:
        kept.save([graded(points=3.0)])
        with book(classroom) as gradebook:
            grade = gradebook.find_grade("add-test", "sums", "03_sums", "ada")
            grade.manual_score, grade.extra_credit = 4.0, 0.5
            said = gradebook.find_comment("add", "sums", "03_sums", "ada")
            said.manual_comment = "Nearly."
            gradebook.db.commit()
        assert kept.save([graded(points=1.0, key="k2")])
        [row] = kept.scores("03_sums")
        assert row.points["sums", "add-test"] == 4.5
    with book(classroom) as gradebook:
        grade = gradebook.find_grade("add-test", "sums", "03_sums", "ada")
        assert (grade.auto_score, grade.manual_score) == (1.0, 4.0)
        assert grade.needs_manual_grade
        said = gradebook.find_comment("add", "sums", "03_sums", "ada")
        assert said.comment == "Nearly."


def test_the_same_is_saved_once(classroom):
    with store(classroom) as kept:
        assert kept.save([graded()])
        before = contents(classroom)
        assert not kept.save([graded()])
        assert kept.save([graded()], again=True)
        assert contents(classroom) == before
        assert kept.keys("03_sums") == {("ada", "sums"): "k1"}


def test_a_grade_without_its_notebook_counts_as_not_there(classroom):
    with store(classroom) as kept:
        kept.save([graded()])
        kept.autograded("ada", "03_sums", "sums").unlink()
        assert kept.keys("03_sums") == {}
        assert kept.save([graded()])


def test_what_nbgrader_removed_counts_as_not_there(classroom):
    with store(classroom) as kept:
        kept.save([graded()])
        with book(classroom) as gradebook:
            gradebook.remove_submission("03_sums", "ada")
        assert kept.keys("03_sums") == {}
        assert kept.outcomes("03_sums") == []
        assert kept.scores("03_sums")[0].score is None


@pytest.mark.filterwarnings("ignore:Object of type")  # nbgrader's own
def test_who_is_not_graded_has_no_score_rather_than_zero(classroom):
    with book(classroom) as gradebook:
        gradebook.add_student("zoe", last_name="Zed")
    with store(classroom) as kept:
        kept.save([graded()])
        with book(classroom) as gradebook:
            gradebook.add_student("half")
            # nbgrader, killed between two of its transactions
            gradebook.add_submission("03_sums", "half")
        found = {row.student: row.score for row in kept.scores("03_sums")}
    assert found == {"ada": 5.0, "half": None, "zoe": None}


def test_a_submission_of_two_notebooks_is_saved_whole_or_not_at_all(
    classroom, monkeypatch
):
    two = plan(notebook="more")
    with store(classroom) as kept:
        one = graded()
        other = replace(graded(of=two))
        assert kept.save([one, other])
        [row] = kept.scores("03_sums")
        assert (row.score, row.max_score) == (10.0, 14.0)
        before = contents(classroom)
        bad = replace(
            graded("bao", of=two), outcome=outcome("bao", points=99.0)
        )
        with pytest.raises(ValueError, match="from 0 to 5: got 99"):
            kept.save([graded("bao"), bad])
        after = contents(classroom)
    assert {k: v for k, v in after.items() if "bao" not in k} == before
    assert not [name for name in after if "bao" in name]


def test_an_outcome_must_judge_every_test(classroom):
    short = replace(graded(), outcome=replace(outcome(), questions=()))
    with store(classroom) as kept, pytest.raises(ValueError, match="every"):
        kept.save([short])


def test_points_that_are_no_number_are_refused():
    with pytest.raises(ValueError, match="from 0 to 5: got nan"):
        rules.automatic(plan(), outcome(points=float("nan")), {"cells": []})


def test_a_changed_source_is_brought_into_the_gradebook(classroom):
    with store(classroom) as kept:
        kept.save([graded("ada")])
        more = plan(
            points=8.0,
            extra=(cell("test", "late-test", "pass", points=1.0),),
        )
        came = replace(
            outcome("bao", 8.0, max_points=8.0),
            questions=(
                *outcome("bao", 8.0, max_points=8.0).questions,
                replace(
                    outcome("bao").questions[0],
                    grade_id="late-test",
                    points=1.0,
                ),
            ),
        )
        kept.save(
            [
                replace(
                    graded("bao"),
                    plan=more,
                    outcome=came,
                    notebook=autograded(more, came),
                )
            ]
        )
        rows = {row.student: row for row in kept.scores("03_sums")}
        assert rows["bao"].score == 9.0
        assert rows["bao"].max_score == 11.0
        # graded by the old source: not yet by the new
        assert rows["ada"].score is None
        kept.save([graded("ada", key="k3")])
        assert kept.scores("03_sums")[0].max_score == 7.0


def test_a_cell_that_a_person_graded_cannot_leave_the_source(classroom):
    with store(classroom) as kept:
        kept.save([graded()])
        with book(classroom) as gradebook:
            grade = gradebook.find_grade("why", "sums", "03_sums", "ada")
            grade.manual_score = 2.0
            gradebook.db.commit()
        less = replace(plan(), cells=plan().cells[:-1])
        with pytest.raises(GradingError, match=r"cell why .* must stay"):
            kept.save([graded(of=less, key="k2")])
        assert kept.scores("03_sums")[0].score == 7.0


def test_our_rows_fit_those_of_generate_assignment(classroom, tmp_path):
    """nbgrader registers a notebook as we do, and finds ours unchanged."""
    from nbgrader.preprocessors import SaveCells

    with store(classroom) as kept:
        kept.save([graded()])
    before = contents(classroom)
    cells = [
        {
            "cell_type": each.cell_type,
            "source": metadata.kept(each),
            "metadata": {"nbgrader": metadata.own(each)}
            if each.grade_id
            else {},
        }
        for each in plan().cells
    ]
    found = nbformat.from_dict({"cells": cells, "metadata": {}})
    resources = {
        "nbgrader": {
            "notebook": "sums",
            "assignment": "03_sums",
            "db_url": f"sqlite:///{classroom / 'gradebook.db'}",
        }
    }
    SaveCells().preprocess(found, resources)
    after = contents(classroom)
    assert {k: v for k, v in after.items() if k != "course"} == {
        k: v for k, v in before.items() if k != "course"
    }


def test_late_points_are_taken_off_as_the_course_says(classroom):
    handed_in = classroom / "submitted" / "ada" / "03_sums"
    handed_in.mkdir(parents=True)
    (handed_in / "timestamp.txt").write_text("2026-03-02 10:00:00 UTC")

    def penalty(student, score, late_s):
        return 2.0 if late_s == 3600 else None

    with store(classroom, penalty=penalty) as kept:
        kept.save([graded()])
        assert kept.scores("03_sums")[0].score == 5.0
        with book(classroom) as gradebook:
            gradebook.update_or_create_assignment(
                "03_sums", duedate="2026-03-02 09:00:00 UTC"
            )
        kept.save([graded()], again=True)
        assert kept.scores("03_sums")[0].score == 3.0
    stamp = classroom / "autograded" / "ada" / "03_sums" / "timestamp.txt"
    assert stamp.read_text() == "2026-03-02 10:00:00 UTC"


def test_two_graders_save_a_class_at_once(classroom):
    students = [f"s{number:02}" for number in range(12)]
    failed = []

    def grade(names):
        try:
            with store(classroom) as kept:
                for name in names:
                    kept.save([graded(name)])
        except Exception as error:
            failed.append(error)

    threads = [
        threading.Thread(target=grade, args=(names,))
        for names in (students, students[::-1])
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed
    with store(classroom) as kept:
        assert {r.student: r.score for r in kept.scores("03_sums")} == (
            dict.fromkeys(students, 5.0)
        )
    with sqlite3.connect(classroom / "gradebook.db") as opened:
        assert opened.execute("SELECT count(*) FROM grade").fetchone() == (24,)


def test_two_graders_make_the_gradebook_at_once(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); "
        "from engine_samples import *; from pathlib import Path; "
        "s = store(Path(sys.argv[1])); s.save([graded(sys.argv[3])])"
    )
    here = os.path.dirname(os.path.dirname(__file__))
    both = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, here, name])
        for name in ("ada", "bao")
    ]
    assert [each.wait(60) for each in both] == [0, 0]
    with store(tmp_path) as kept:
        assert [row.score for row in kept.scores("03_sums")] == [5.0, 5.0]
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_leaves_nothing_half(classroom):
    """A limit on the size of files stands in for the disk's end."""
    with store(classroom) as kept:
        kept.save([graded("ada", pages={".html": "x"})])
        before = contents(classroom)
        size = (classroom / "gradebook.db").stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for limit in (0, 1024, size - 4096, size, size + 512):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                with pytest.raises(GradingError, match="make room"):
                    kept.save([graded("bao", pages={".html": "y" * 2 * size})])
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert contents(classroom) == before
            assert not list(classroom.rglob(".*.draft"))
        assert kept.save([graded("bao")])


def test_a_full_gradebook_leaves_nothing_half(classroom):
    """The grades do not fit any more, though the files do."""
    with store(classroom) as kept:
        kept.save([graded("ada")])
        before = contents(classroom)
        with kept.book.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        long = graded("bao")
        long = replace(long, outcome=outcome("bao", notes=("n" * 90_000,)))
        with pytest.raises(GradingError, match=r"full; .* make room"):
            kept.save([long])
        kept.close()
        assert contents(classroom) == before
        assert kept.save([long])


def test_a_draft_of_a_dead_grader_is_removed(tmp_path):
    file = tmp_path / "page.html"
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys; from pathlib import Path; "
            "from attncourse.grading.keeping.files import Draft; "
            "Draft(Path(sys.argv[1]), b'half'); os._exit(0)",
            file,
        ],
        check=True,
    )
    assert child.returncode == 0
    assert len(list(tmp_path.iterdir())) == 1
    living = Draft(file, b"whole")
    assert len(list(tmp_path.iterdir())) == 1
    other = Draft(file, b"other")
    living.place()
    other.discard()
    assert file.read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_student_cannot_be_named_out_of_the_class(classroom):
    with store(classroom) as kept, pytest.raises(GradingError, match="name"):
        kept.save([graded("../..")])


def test_a_stamp_is_not_read_through_a_link(classroom):
    handed_in = classroom / "submitted" / "ada" / "03_sums"
    handed_in.mkdir(parents=True)
    (classroom / "secret").write_text("2026-03-02 10:00:00 UTC")
    (handed_in / "timestamp.txt").symlink_to(classroom / "secret")
    with store(classroom) as kept:
        kept.save([graded()])
    assert "autograded/ada/03_sums/timestamp.txt" not in contents(classroom)
    with book(classroom) as gradebook, pytest.raises(MissingEntry):
        gradebook.find_submission("03_sums", "bao")


def test_a_notebook_keeps_the_students_cells_and_gets_back_what_they_lost():
    from attncourse.grading.handed_in import submission
    from attncourse.grading.running.autograded import compose

    torn = json.loads(notebook("def add(a, b):\n    return 12"))
    torn["cells"] = [
        each
        for each in torn["cells"]
        if each["metadata"].get("nbgrader", {}).get("grade_id")
        not in ("add-test", "why")
    ]
    read = submission.read(json.dumps(torn).encode())
    came = outcome(
        points=0.0,
        outputs={
            "1": [
                {
                    "output_type": "display_data",
                    "data": {
                        "text/html": "<b onclick=x()>1</b>",
                        "application/javascript": "x()",
                        "text/plain": "1",
                    },
                }
            ]
        },
    )
    made = compose(plan(), read, came)
    nbformat.validate(nbformat.from_dict(made))
    names = [
        each["metadata"].get("nbgrader", {}).get("grade_id")
        for each in made["cells"]
    ]
    assert names == [None, "setup", "add", "add-test", "why"]
    assert "return 12" in made["cells"][2]["source"]
    assert made["cells"][1]["outputs"][0]["data"] == {
        "text/plain": "1",
        "text/html": "<b>1</b>",
    }
    scores, comments = rules.automatic(plan(), came, made)
    assert scores == {"add-test": 0.0, "why": 0.0}
    assert comments == {"add": None, "why": "No response."}
