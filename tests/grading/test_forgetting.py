"""A copy of a student's function remembers nothing of earlier calls."""

import numpy as np
import pytest

from attncourse.grading.inside.forgetting import forgetful

STUDENT = """
import numpy
seen = []
table = {"rows": []}
large = numpy.zeros(1_000_000)

def helper(x):
    table["rows"].append(x)
    return len(table["rows"])

def test(x, kept=[]):
    seen.append(x)
    kept.append(x)
    inner = lambda: helper(x)
    return len(seen), len(kept), inner()

def looks_up(x):
    globals()["seen"].append(x)
    return len(globals()["seen"])

def constant(x):
    return large[0]
"""


@pytest.fixture
def names():
    made = {"__name__": "__main__"}
    exec(STUDENT, made)
    return made


def copied(names, name):
    return forgetful(names[name])


def test_each_copy_starts_anew(names):
    for _ in range(3):
        one = copied(names, "test")
        assert one(1) == (1, 1, 1)
        assert one(1) == (2, 2, 2)
    assert names["test"](1) == (1, 1, 1)


def test_what_is_looked_up_by_name_is_copied_too(names):
    assert copied(names, "looks_up")(1) == 1
    assert names["seen"] == []


def test_large_data_is_copied_only_where_it_is_mentioned(names):
    assert copied(names, "test").__globals__["large"] is names["large"]
    there = copied(names, "constant").__globals__["large"]
    assert there is not names["large"]
    assert np.array_equal(there, names["large"])
