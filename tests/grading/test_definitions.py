"""Of a cell that ran away, its definitions are left."""

import time

from hypothesis import given
from hypothesis import strategies as st

from attncourse.grading.notebooks.definitions import definitions

PARTS = {
    "x = 1": "x = 1",
    "y = [1, 'a']": "y = [1, 'a']",
    "import math": "import math",
    "x = f()": "",
    "print(1)": "",
    "while True: pass": "",
}


@given(st.lists(st.sampled_from(sorted(PARTS))))
def test_of_each_line_its_definition_is_left_in_its_place(lines):
    kept = definitions("\n".join(lines)).split("\n")
    assert kept == ([PARTS[line] for line in lines] or [""])


@given(st.lists(st.sampled_from(sorted(PARTS)[1:]), min_size=2))
def test_of_statements_on_one_line_the_definitions_are_left(parts):
    parts = [part for part in parts if "while" not in part]
    kept = definitions("; ".join(parts))
    assert [each for each in kept.split("; ") if each] == [
        PARTS[part] for part in parts if PARTS[part]
    ]


def test_decorators_belong_to_what_they_decorate():
    source = "@a\n@b(\n 1)\ndef f():\n    return 1\nrun()"
    assert definitions(source) == source.replace("run()", "")


def test_imports_can_be_left_out():
    assert definitions("import math\nx = 1", imports=False) == "\nx = 1"


def test_many_lines_are_looked_through_in_no_time():
    began = time.process_time()
    assert definitions("x=1\n" * 10_000) == "x=1\n" * 10_000
    assert definitions("x=1;" * 10_000).count(";") == 10_000
    assert definitions("x = 1\n" * 100_000).strip() == ""
    assert time.process_time() - began < 3
