"""Names are read from any text, in bounded time, without running it."""

import time

import pytest

from attncourse.grading.notebooks.syntax import (
    look,
    look_at_all,
    tree,
    without_magics,
)


def test_the_names_that_a_cell_binds_are_told_apart():
    code = look(
        "import numpy as np, os.path\n"
        "from math import sin as s, cos\n"
        "@wrap\ndef f(a):\n    inner = a\n\n"
        "class C:\n    field = 1\n\n"
        "if x:\n    y: int = 2\n"
        "for i, (j, *k) in z:\n    pass\n"
        "with open(n) as file:\n    pass\n"
        "(w := 3)\n"
        "squares = [q for q in y]\n"
        "async def g(): pass"
    )
    assert code.defines == {"f", "C", "g"}
    assert code.imports == {"np", "os", "s", "cos"}
    assert code.assigns == {*"yijkw", "file", "squares"}
    assert {"wrap", "x", "z", "open", "n", "a"} <= code.uses
    assert code.whole
    assert not code.star
    assert look("from math import *").star


def test_names_are_guessed_where_the_syntax_is_wrong():
    code = look("def area(w, h:\n    return w * h\nx = 3\ny == 2")
    assert not code.whole
    assert (code.defines, code.assigns) == ({"area"}, {"x"})


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("if x:\n    !ls", "if x:\n    pass"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%bash\nrm x", ""),
        ("np.exp?", "pass"),
        ("a = %timeit -o f()", "a = None"),
        ("x = 7 % 3", "x = 7 % 3"),
    ],
)
def test_magics_leave_the_other_lines_where_they_are(source, plain):
    assert without_magics(source) == plain
    assert tree(source) is not None


BOMBS = {
    "brackets": "(" * 50_000,
    "minus": "-" * 50_000 + "1",
    "calls": "a" + "()" * 25_000,
    "sum": "1+" * 25_000 + "1",
    "choices": "1 if 1 else " * 4_000 + "1",
    "texts": "f'" + "{a}" * 16_000 + "'",
    "import": "import " + "a." * 24_000 + "a",
    "import over lines": "import " + "a.\\\n" * 12_000 + "a",
    "from": "from " + "a . " * 12_000 + "a import b",
    "assignments": "a=" * 24_000 + "1",
    "indent": "\n".join(" " * n + "if a:" for n in range(300)),
    "word": "a" * 50_000,
    "digits": "9" * 50_000,
    "nothing": "\0" * 50_000,
    "blank": "a = " + " " * 49_000 + "b",
    "magics": "x = %a\n" * 7_000,
    "question": "w." * 24_000 + "w?",
    "surrogate": "x = '\ud800'",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_takes_long_to_read(name):
    look.cache_clear()
    start = time.process_time()
    look(BOMBS[name])
    assert time.process_time() - start < 8


def test_many_long_cells_are_read_in_bounded_time():
    cells = [BOMBS["texts"] + "\n" * n for n in range(100)]
    start = time.process_time()
    codes = look_at_all(cells)
    assert time.process_time() - start < 25
    assert codes[0].whole
    assert not codes[-1].whole
