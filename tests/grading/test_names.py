"""Which names of a test belong to the student."""

import pytest
from grading import judge_notebooks as nb

from attncourse.grading.judging import names


def students(*cells):
    return names.students(nb.plan(*cells))


def test_a_function_of_the_answer_is_the_students():
    found = students(
        nb.given("import numpy as np", "setup"),
        nb.answer("def mean(x):\n    return sum(x) / len(x)", "mean"),
        nb.check("assert mean(np.ones(3)) == 1", "mean-test"),
    )
    assert found == {"mean-test": ("mean",)}


def test_a_student_can_supply_no_builtin_and_nothing_that_is_given():
    found = students(
        nb.given("import numpy as np\nfrom course import check", "setup"),
        nb.answer("def f(x):\n    return x", "f"),
        nb.check("check(f)\nassert len(np.ones(2)) == 2", "f-test"),
    )
    assert found == {"f-test": ("f",)}


def test_what_a_test_binds_itself_is_the_tests():
    found = students(
        nb.answer("x = 3\ndef f():\n    return x", "f"),
        nb.check(
            "def helper(y):\n    return y\nz = helper(1)\nassert f() == z",
            "f-test",
        ),
    )
    assert found == {"f-test": ("f",)}


def test_a_name_that_no_cell_binds_is_asked_of_the_student():
    found = students(
        nb.answer("# write f here", "f"), nb.check("f(1)", "f-test")
    )
    assert found == {"f-test": ("f",)}


def test_the_last_cell_before_a_test_decides_whose_a_name_is():
    found = students(
        nb.given("theta = None", "start"),
        nb.answer("theta = 2.0", "theta"),
        nb.check("assert theta == 2", "first"),
        nb.given("theta = 5", "again"),
        nb.check("assert theta == 5", "second"),
    )
    assert found == {"first": ("theta",), "second": ()}


def test_an_unlocked_cell_never_takes_a_name_from_the_instructor():
    found = students(
        nb.given("scale = 2", "start"),
        nb.cell("scale = 3\nextra = 4"),
        nb.check("assert scale == 2 and extra == 4", "test"),
    )
    assert found == {"test": ("extra",)}


def test_imports_of_unlocked_cells_are_made_by_the_judge():
    plan = nb.plan(
        nb.cell("import numpy as np\nfrom math import sqrt as root, pi"),
        nb.answer("def f():\n    return 1", "f"),
        nb.check("assert np.isclose(root(4), f())", "f-test"),
    )
    found = names.needs(plan)["f-test"]
    assert found.fetched == ("f",)
    assert found.imports == {
        "np": "import numpy as np",
        "root": "from math import sqrt as root",
    }
    assert found.asked == ()


def test_an_import_that_is_the_answer_must_be_the_students_as_well():
    plan = nb.plan(
        nb.answer(nb.solved("import math as m"), "imports"),
        nb.check("assert m.sqrt(4) == 2", "imports-test"),
    )
    found = names.needs(plan)["imports-test"]
    assert found.imports == {"m": "import math as m"}
    assert found.asked == ("m",)


def test_a_star_import_comes_along():
    plan = nb.plan(
        nb.cell("from math import *"),
        nb.check("assert sqrt(4) == 2", "test"),
    )
    found = names.needs(plan)["test"]
    assert list(found.imports.values()) == ["from math import *"]


def test_names_in_magics_and_strings_count_if_an_answer_binds_them():
    found = students(
        nb.answer("def f():\n    return 1", "f"),
        nb.check("%timeit -n1 f()\n", "first"),
        nb.check("assert eval('f()') == 1", "second"),
    )
    assert found == {"first": ("f",), "second": ("f",)}


def test_a_helper_of_an_earlier_test_brings_its_names():
    found = students(
        nb.answer("def f():\n    return 1", "f"),
        nb.check("def helper():\n    return f()\nhelper()", "first"),
        nb.answer("def g():\n    return 1", "g"),
        nb.check("assert helper() == g()", "second"),
    )
    assert found["second"] == ("f", "g")


def test_a_given_cell_that_only_shows_an_answer_is_not_run_out_here():
    plan = nb.plan(
        nb.given("import numpy as np", "setup"),
        nb.answer("def f():\n    return 1", "f"),
        nb.given("print(f())", "shown"),
        nb.given("def wrapped():\n    return f()", "wrapper"),
        nb.check("assert wrapped() == 1", "test"),
    )
    found = names.needs(plan)
    runs = {name: needs.run for name, needs in found.items()}
    assert runs == {
        "setup": True,
        "shown": False,
        "wrapper": True,
        "test": True,
    }
    assert found["test"].fetched == ("f",)


@pytest.mark.parametrize("source", ["def (", "\x00", "%%bash\nls f", "x = ="])
def test_a_test_that_is_no_python_asks_for_what_can_be_seen(source):
    found = students(
        nb.answer("def f():\n    return 1", "f"), nb.check(source, "test")
    )
    assert set(found["test"]) <= {"f", "def"}
