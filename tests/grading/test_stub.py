import importlib
import sys
import types

import pytest

from attncourse.grading.inside import stub


@pytest.fixture
def finder():
    made = stub.install(["absent"], silent=["check", "absent.tools.hint"])
    yield made
    made.remove()


def test_any_name_of_a_stub_can_be_imported(finder):
    namespace = {}
    exec(
        "import absent.deep.down as d\nfrom absent.deep import a, b\n"
        "from absent import *\nimport absent",
        namespace,
    )
    assert namespace["absent"].deep.down is namespace["d"]
    assert "not there" in repr(namespace["a"])


def test_calling_what_is_absent_says_so(finder):
    absent = importlib.import_module("absent")
    with pytest.raises(RuntimeError, match=r"absent\.f\.g does not run"):
        absent.f.g(1, k=2)
    for use in (iter, lambda f: f[0], lambda f: types.new_class("X", (f,))):
        with pytest.raises(RuntimeError, match="does not run while grading"):
            use(absent.f)


def test_silent_names_say_it_once_and_do_nothing(finder, capsys):
    absent = importlib.import_module("absent")
    for _ in range(3):
        assert absent.check("a.question", answer=3) is None
        assert absent.tools.hint() is None
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "(absent.check does not run while grading.)",
        "(absent.tools.hint does not run while grading.)",
    ]


def test_a_stub_stands_in_place_of_a_module_that_is_there():
    import colorsys  # noqa: F401

    finder = stub.install(["colorsys"])
    try:
        real = importlib.import_module("colorsys")
        with pytest.raises(RuntimeError):
            real.rgb_to_hsv(0, 0, 0)
    finally:
        finder.remove()
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert finder not in sys.meta_path


def test_other_packages_are_left_alone(finder):
    assert finder.find_spec("absentee") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("absentee")


def test_special_names_are_missing_as_elsewhere(finder):
    absent = importlib.import_module("absent")
    assert not hasattr(absent, "__wrapped__")
    assert not hasattr(absent.f, "__len__")
