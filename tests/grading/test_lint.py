"""The tests of an existing course that must change are pointed out."""

from pathlib import Path

import pytest
from made_notebooks import AREA, PLAN, answer, code, graded, notebook
from notebooks.cells import synced

from attncourse import questions
from attncourse.grading.notebooks.lint import check
from attncourse.grading.notebooks.lint_rules import RULES
from attncourse.grading.notebooks.source import read_plan

SOURCES = Path(__file__).parents[2] / "_build" / "source"
STACK = """class Stack:
    def __init__(self):
        self.items = []


class Empty(Exception):
    pass"""


def findings(test, **own):
    plan = read_plan(
        notebook(
            code("setup", "import numpy as np", locked=True),
            answer("area", AREA),
            answer("stack", STACK),
            answer("best", "best = 3"),
            graded("t", test, **own),
        )
    )
    return check(plan)


@pytest.mark.parametrize(
    ("rule", "test"),
    [
        ("comparison", "assert area == 3"),
        ("comparison", "assert area in [1]"),
        ("comparison", "s = Stack()\nassert s == Stack()"),
        ("identity", "x = np.ones(3)\nassert area(x, 1) is x"),
        ("identity", "x = []\ny = area(x, 1)\nassert y is not x"),
        ("identity", "x = []\nassert np.shares_memory(x, area(x, 1))"),
        ("identity", "assert id(area) == 3"),
        ("kind", "assert isinstance(area, type(print))"),
        ("kind", "assert isinstance(3, Stack)"),
        ("kind", "assert type(area) is not int"),
        ("inspection", "import inspect\nassert inspect.getsource(area)"),
        ("inspection", "assert area.__code__.co_argcount == 2"),
        ("inspection", "assert not area.__closure__"),
        ("patching", "area = lambda w, h: 0"),
        ("patching", "def area(w, h):\n    return 0"),
        ("patching", "del area"),
        ("patching", "np.prod = None"),
        ("patching", "from unittest import mock\nmock.patch('numpy.prod')"),
        ("shell", "get_ipython().run_cell('x')"),
        ("shell", "assert 'x' in In[-1]"),
        ("shell", "assert 'area' in globals()"),
        ("files", "assert open('out.txt').read()"),
        ("files", "assert np.load('out.npy').sum()"),
        ("files", "import os\nassert os.path.exists('out')"),
        ("randomness", "np.random.seed(0)\narea(1, 2)"),
        ("warning", "import pytest\nwith pytest.warns(UserWarning):\n    0"),
        ("protocol", "s = Stack()\nassert len(s) == 0"),
        ("protocol", "s = Stack()\nassert s"),
        ("protocol", "s = Stack()\nfor x in s:\n    pass"),
        ("protocol", "s = Stack()\nassert s[0] == 1"),
        ("protocol", "s = Stack()\nprint(f'{s}')"),
        ("protocol", "s = Stack()\nt = s + s"),
        ("protocol", "table = {area: 1}"),
        ("inheritance", "class Mine(Stack):\n    pass"),
        ("inheritance", "try:\n    area(1, 2)\nexcept Empty:\n    pass"),
        ("magic", "%run other.ipynb"),
        ("magic", "!ls"),
        ("autotest", "### AUTOTEST area(1, 2)"),
        ("syntax", "assert ("),
        ("unbound", "assert volume(1, 2, 3) == 6"),
    ],
)
def test_a_test_that_must_change_is_pointed_out(rule, test):
    found = findings(test)
    assert rule in {each.rule for each in found}, found
    assert all(each.cell == "t" for each in found)


def test_every_rule_is_tried_here():
    tried = {
        mark.args[1][index][0]
        for mark in test_a_test_that_must_change_is_pointed_out.pytestmark
        for index in range(len(mark.args[1]))
    }
    assert {rule.__name__ for rule in RULES} <= tried


@pytest.mark.parametrize(
    "test",
    [
        "assert area(2, 3) == 6",
        "assert callable(area)",
        "assert area is not None",
        "assert area.__name__ == 'area'",
        "x = np.ones(3)\nbefore = x.copy()\narea(x, 1)\n"
        "assert (x == before).all()",
        "result = area(2, 3)\nassert isinstance(result, int)",
        "assert best == 3 and best + 1 == 4 and len([best]) == 1",
        "s = Stack()\ns.items = [1]\nassert len(s.items) == 1",
        "assert [f(1, 2) for f in (area,)] == [2]",
        "rng = np.random.default_rng(0)\nassert area(rng.normal(), 1)",
        "try:\n    area(1)\nexcept TypeError as error:\n    print(error)",
        "class Box:\n    def __init__(self):\n        self.x = 1",
        "def hidden(n):\n    return area(n, n)\n\n\nassert hidden(2) == 4",
    ],
)
def test_an_ordinary_test_needs_no_change(test):
    assert findings(test) == ()


def test_a_finding_says_where_and_what_to_write():
    (found,) = findings("x = 1\n### BEGIN HIDDEN TESTS\nassert area == 3\n"
                        "### END HIDDEN TESTS")  # fmt: skip
    assert str(found) == (
        "t, line 3: 'area' itself is compared; compare what it returns, or "
        "its data [comparison]"
    )


def test_the_small_course_needs_no_change():
    assert check(PLAN) == ()


def test_this_course_s_own_tests_are_looked_through():
    synced(*(questions.stem(unit) for unit in questions.UNITS))
    files = sorted(SOURCES.glob("*/*.ipynb"))
    assert len(files) >= len(questions.UNITS)
    for file in files:
        assert check(read_plan(file)) == ()
