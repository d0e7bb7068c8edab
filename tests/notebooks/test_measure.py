"""What a submission costs is told apart from starting up."""

import sys

import pytest
from notebooks.cells import COURSE, synced

from attncourse.notebooks import measure
from attncourse.notebooks.course import CourseError
from attncourse.notebooks.measure import Cost, Spent


def test_a_command_s_processor_time_counts_its_children():
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        "'import time\\nwhile time.process_time() < 0.3: pass'])"
    )
    taken = measure.spent([sys.executable, "-c", code], COURSE.root, 1)
    assert taken.cpu_s >= 0.3
    assert taken.wall_s > 0


def test_a_command_that_fails_is_not_timed():
    code = "print('why not'); raise SystemExit(3)"
    with pytest.raises(CourseError, match=r"got status 3\nwhy not"):
        measure.spent([sys.executable, "-c", code], COURSE.root, 1)


def test_two_classes_of_the_same_size_tell_nothing():
    with pytest.raises(ValueError, match="the larger class must be larger"):
        measure.marginal(Spent(2, 1.0, 1.0), Spent(2, 2.0, 2.0))


def test_ratios_are_to_nbgrader():
    costs = [
        Cost("nbgrader", 1, 5, 3.0, 4.0, 2.0),
        Cost("attncourse", 2, 80, 0.06, 0.04, 3.0, 0.05),
    ]
    stock, ours = measure.table(costs)[1:]
    assert stock.split()[-2:] == ["1x", "1x"]
    assert ours.split()[-2:] == ["50x", "100x"]
    assert "50 ms" in ours


def test_the_measured_class_is_honest_and_graded_whole():
    synced("04_dense")
    taken, judging = measure.ours(COURSE, "04_dense", 2, 1)
    assert taken.submissions == 2
    assert 0 < judging * 2 < taken.cpu_s
