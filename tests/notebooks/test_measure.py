"""What a submission costs is told apart from starting up."""

import sys

import pytest
from notebooks.cells import COURSE, synced

from attncourse.notebooks import costs, measure
from attncourse.notebooks.costs import Cost, Spent
from attncourse.notebooks.course import CourseError


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
        costs.marginal(Spent(2, 1.0, 1.0), Spent(2, 2.0, 2.0))


def test_ratios_are_to_nbgrader():
    measured = [
        Cost("nbgrader", 1, 5, 3.0, 4.0, 2.0),
        Cost(
            *("attncourse", 2, 80, 0.06, 0.04, 3.0),
            {"judge": 0.02, "shown": 0.01, "scored": 0.015},
        ),
    ]
    stock, ours, where = costs.table(measured)[1:]
    assert stock.split()[-2:] == ["1x", "1x"]
    assert ours.split()[-2:] == ["50x", "100x"]
    assert "the judge with the tests 20 ms" in where
    assert where.endswith(f"{costs.REST} 15 ms")


def test_the_measured_class_is_honest_and_graded_whole():
    synced("04_dense")
    taken, parts = measure.ours(COURSE, "04_dense", 2, 1)
    assert taken.submissions == 2
    assert set(parts) == set(costs.PARTS)
    assert min(parts.values()) > 0
    assert 2 * sum(parts.values()) < taken.cpu_s
