"""Any nbgrader course is graded by its own configuration."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from engine_samples import answer, hand_in, source

from attncourse.grading.keeping.store import Store
from attncourse.grading.model import GradingError
from attncourse.grading.running import courses, grade
from attncourse.grading.running.settings import Options

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "sums101"
c.CourseDirectory.submitted_directory = "class/submitted"
c.CourseDirectory.autograded_directory = "class/autograded"
c.CourseDirectory.feedback_directory = "class/feedback"
c.LateSubmissionPlugin.penalty_method = "zero"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    from pathlib import Path

    tests = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", tests)
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source(tmp_path)
    made = courses.settings(tmp_path, "03_sums")
    marker = replace(made.setup, marker="engine_standins:Standin")
    return replace(made, setup=marker)


def test_a_course_is_graded_where_its_configuration_says(course, tmp_path):
    assert course.delimiters.code_stub == "raise NotImplementedError"
    assert course.key_file == tmp_path / "class" / "key"
    hand_in(course, "ada", answer(4))
    handed_in = course.folders.path("submitted", "ada", "03_sums")
    (handed_in / "timestamp.txt").write_text("2026-03-02 10:00:00 UTC")
    options = Options(workers=1)
    streams = {"stream": io.StringIO(), "progress_stream": io.StringIO()}
    assert grade.run(course, options, **streams) == 0
    with Store(course.db_url, course.folders) as store:
        assert store.scores("03_sums")[0].score == 4.0
        with store.book.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE assignment SET duedate = '2026-03-01 00:00:00.000000'"
            )
    again = replace(options, again=True)
    assert grade.run(course, again, **streams) == 0
    with Store(course.db_url, course.folders) as store:
        [row] = store.scores("03_sums")
        assert (row.score, row.penalty) == (0.0, 4.0)
    assert (tmp_path / "gradebook.db").exists()
    assert (tmp_path / "class" / "report" / "03_sums" / "sums.html").exists()


def test_what_is_no_course_or_no_assignment_is_refused(course, tmp_path):
    with pytest.raises(GradingError, match="03_sum must have a source"):
        courses.settings(tmp_path, "03_sum")
    with pytest.raises(GradingError, match=r"must have an nbgrader_config.py"):
        courses.settings(tmp_path / "source", "03_sums")
