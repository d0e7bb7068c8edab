"""Whatever becomes of a notebook's cells, each is graded by what it is."""

import copy
import itertools
import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_notebooks import (
    AREA,
    PLAN,
    answer,
    bare,
    cell,
    code,
    graded,
    notebook,
    place,
    released,
    script,
    solved,
    text,
    told,
)

from attncourse.grading.handed_in.submission import match, read
from attncourse.grading.model import Script
from attncourse.grading.notebooks.source import read_plan

USUAL = [
    "given setup",
    "cell area",
    "test area-test",
    "cell print(area(3, 4))",
    "given given",
    "cell volume",
    "test volume-test",
]


def noted(script, *words):
    """Tell whether one note holds all the words."""
    return any(all(w in note for w in words) for note in script.notes)


@pytest.mark.parametrize("hand", [released, solved])
def test_a_notebook_handed_in_as_it_was_given_out_has_no_note(hand):
    found = script(hand())
    assert told(found) == USUAL
    assert (found.notes, found.missing, found.flags) == ((), (), ())
    assert [step.index for step in found.steps] == [1, 3, 4, 5, 6, 7, 8]


def test_a_script_survives_the_way_through_json():
    found = script(bare(solved()))
    assert Script.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_cells_of_the_student_s_own_are_run_and_are_no_oddity():
    made = solved()
    made["cells"].insert(4, code("mine", "half = 0.5"))
    made["cells"].append(text("remark", "Fine."))
    found = script(made)
    assert told(found)[2:4] == ["cell half = 0.5", "test area-test"]
    assert found.notes == ()


def test_an_empty_cell_is_not_run():
    made = solved()
    made["cells"].append(code("more", "  \n"))
    assert told(script(made)) == USUAL


def test_neither_points_nor_tests_are_taken_from_the_submission():
    made = solved()
    judged = cell(made, "area-test")
    judged["metadata"]["nbgrader"]["points"] = 100
    judged["source"] = "True"
    made["cells"].append(
        graded("bonus", "assert True", points=50),
    )
    found = script(made)
    assert told(found) == [*USUAL, "cell assert True"]
    assert noted(found, "'area-test'", "changed")
    assert noted(found, "'bonus'")


def test_what_was_added_to_a_locked_cell_is_run_and_then_the_released_one():
    made = solved()
    cell(made, "setup")["source"] = "import math\nimport mine as np, mine"
    found = script(made)
    first, second = found.steps[:2]
    assert (first.do, first.grade_id) == ("cell", None)
    assert first.source == cell(made, "setup")["source"]
    assert (second.do, second.grade_id) == ("given", "setup")
    assert second.source == PLAN.cell("setup").source
    assert noted(found, "cell 2", "'setup'", "was changed")


def test_a_locked_cell_whose_values_were_changed_is_the_released_one():
    made = solved()
    cell(made, "given")["source"] = "BOX = (1, 1, 1)  # easier"
    assert told(script(made)) == USUAL


def test_what_was_added_to_a_test_is_run_without_the_test():
    made = solved()
    cell(made, "area-test")["source"] += (
        "\nimport mine\nprint(1)\ndef helper():\n    return 2"
    )
    found = script(made)
    assert told(found) == [*USUAL[:2], "cell import mine", *USUAL[2:]]
    assert "def helper" in found.steps[2].source
    assert "assert" not in found.steps[2].source
    assert "print" not in found.steps[2].source


def test_blank_space_at_line_ends_is_no_change():
    made = solved()
    cell(made, "setup")["source"] = "import math  \nimport numpy as np\n\n"
    assert script(made).notes == ()


@pytest.mark.parametrize("name", ["area-test", "volume-test"])
def test_a_deleted_test_is_put_back_after_its_answer(name):
    made = solved()
    made["cells"].remove(cell(made, name))
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, name, "put back")
    (step,) = (s for s in found.steps if s.grade_id == name)
    assert step.index is None


def test_a_test_put_back_runs_below_what_was_added_to_its_answer():
    made = solved()
    at = place(made, "area-test")
    made["cells"][at] = code("repair", "area = better(area)")
    assert told(script(made))[1:4] == [
        "cell area",
        "cell area = better(area)",
        "test area-test",
    ]


def test_a_deleted_setup_is_put_back_before_everything():
    made = solved()
    made["cells"].remove(cell(made, "setup"))
    made["cells"].remove(cell(made, "given"))
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "'setup'", "put back")


def test_a_copied_test_runs_once_where_it_stands_last():
    made = solved()
    made["cells"].append(copy.deepcopy(cell(made, "area-test")))
    found = script(made)
    assert told(found) == [*USUAL[:2], *USUAL[3:], "test area-test"]
    assert noted(found, "'area-test'", "2 times")


def test_a_copy_of_a_test_that_holds_other_code_is_the_student_s_own():
    made = solved()
    again = copy.deepcopy(cell(made, "area-test"))
    again["source"] = "def helper():\n    return 1"
    made["cells"].insert(0, again)
    found = script(made)
    assert told(found) == ["cell def helper():", *USUAL]
    assert noted(found, "cell 1", "something else")


def test_a_copied_locked_cell_runs_once_where_it_stands_first():
    made = solved()
    made["cells"].append(copy.deepcopy(cell(made, "setup")))
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "'setup'", "2 times")


def test_of_an_answer_given_twice_both_run_and_the_last_one_counts():
    made = solved()
    again = copy.deepcopy(cell(made, "area"))
    again["source"] = "def area(width, height):\n    return 0"
    made["cells"].append(again)
    found = script(made)
    assert told(found)[-2:] == ["cell area", "test area-test"]
    assert noted(found, "'area'", "cells 4, 11", "the last one counts")


def test_an_untouched_stub_below_an_answer_does_not_undo_it():
    made = solved()
    at = place(made, "area")
    made["cells"].insert(at + 1, copy.deepcopy(cell(released(), "area")))
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "cell 5", "left out")


def test_an_answer_in_a_new_cell_counts_when_its_own_cell_is_untouched():
    made = solved()
    made["cells"].append(code("new", cell(made, "area")["source"]))
    cell(made, "area")["source"] = PLAN.cell("area").visible
    found = script(made)
    tests = ["test area-test", "test volume-test"]
    assert told(found)[-3:] == ["cell area", *tests]
    assert noted(found, "cell 11", "taken for 'area'")


@pytest.mark.parametrize(
    "left",
    [
        "",
        "# see below",
        "def area(width, height):\n    raise NotImplementedError('later')",
        'def area(width, height):\n    """Return it."""\n    pass',
    ],
)
@pytest.mark.parametrize("below", [1, 100])
@pytest.mark.parametrize("how", ["def", "lambda"])
def test_an_answer_below_its_test_counts_where_only_a_stub_is_above(
    left, below, how
):
    made = solved()
    text = cell(made, "area")["source"]
    if how == "lambda":
        text = "area = lambda width, height: width * height"
    cell(made, "area")["source"] = left
    at = place(made, "area-test") + below
    made["cells"].insert(at, code("again", text))
    found = script(made)
    steps = [(s.do, s.index) for s in found.steps]
    names = [s.grade_id for s in found.steps]
    written = steps.index(("cell", min(at, 10)))
    assert written < names.index("area-test")
    assert written < names.index("volume-test")
    assert noted(found, "'area-test'", "run below")
    assert found.missing == ()


def test_copies_of_an_answer_that_are_long_to_parse_are_not_parsed():
    made = solved()
    long = "\nx = f'" + "{1}" * 16_000 + "'"
    for number in range(100):
        again = copy.deepcopy(cell(made, "area"))
        again["source"] += f"\nn = {number}{long}"
        made["cells"].append(again)
    began = time.process_time()
    assert script(made).missing == ()
    assert time.process_time() - began < 5


def test_a_name_used_again_below_a_written_answer_moves_no_test():
    made = solved()
    made["cells"].append(code("again", "area = 3"))
    assert told(script(made)) == [*USUAL, "cell area = 3"]


def test_an_answer_split_into_two_cells_is_run_whole():
    made = solved()
    at = place(made, "volume")
    part = copy.deepcopy(made["cells"][at])
    part["source"] = "def helper(x):\n    return x"
    made["cells"].insert(at, part)
    found = script(made)
    assert [step.index for step in found.steps][5:8] == [7, 8, 9]
    assert found.missing == ()


def test_a_deleted_answer_makes_its_test_missing_and_no_other():
    made = solved()
    made["cells"].remove(cell(made, "area"))
    found = script(made)
    assert found.missing == ("area-test",)
    assert told(found) == [step for step in USUAL if step != "cell area"]
    assert noted(found, "no cell holds the answer 'area'")


@pytest.mark.parametrize(
    "source", ["from helper import area", "from helper import *", "area = 3"]
)
def test_an_answer_that_comes_from_elsewhere_is_not_missing(source):
    made = solved()
    at = place(made, "area")
    made["cells"][at] = code("new", source)
    assert script(made).missing == ()


def test_a_test_above_its_answer_is_run_below():
    made = solved()
    cells = made["cells"]
    cells.insert(0, cells.pop(place(made, "area-test")))
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "'area-test'", "above its answer")


def test_questions_in_another_order_are_run_in_that_order():
    made = solved()
    cells = made["cells"]
    block = cells[6:9]
    del cells[6:9]
    cells[2:2] = block
    found = script(made)
    assert told(found) == [
        *("given setup", "given given", "cell volume"),
        *("cell area", "test area-test", USUAL[3], "test volume-test"),
    ]
    assert noted(found, "order")


def test_a_setup_that_was_moved_down_is_run_before_its_use():
    source = notebook(
        code("setup", "import math", locked=True),
        answer("root", "def root(x):\n    return math.sqrt(x)"),
        graded("root-test", "assert root(4) == 2"),
    )
    plan = read_plan(source)
    made = released(plan, source)
    made["cells"].append(made["cells"].pop(0))
    assert told(script(made, plan)) == [
        *("given setup", "cell root", "test root-test"),
    ]


@pytest.mark.parametrize("hand", [released, solved])
def test_without_metadata_everything_is_found_by_its_content(hand):
    found = script(bare(hand()))
    assert told(found) == USUAL
    assert len(found.notes) == 1
    assert "metadata is gone" in found.notes[0]


def test_without_nbgrader_s_metadata_the_cells_ids_are_enough():
    made = solved()
    for each in made["cells"]:
        each["metadata"] = {}
    cell(made, "area")["source"] = "surface = area = lambda w, h: w * h"
    assert told(script(made)) == USUAL


def test_an_answer_with_a_syntax_error_is_still_known():
    made = bare(solved())
    mine = made["cells"][3]
    mine["source"] = mine["source"].replace("(width", "((width")
    found = script(made)
    assert told(found) == USUAL
    assert found.missing == ()


def test_an_answer_with_another_name_is_known_by_its_docstring():
    made = bare(solved())
    made["cells"][3]["source"] = made["cells"][3]["source"].replace(
        "def area", "def flaeche"
    )
    found = script(made)
    assert told(found) == USUAL


def test_an_edited_locked_cell_without_metadata_is_replaced():
    source = notebook(
        code("setup", "import math\nimport json\nimport re", locked=True),
        answer("a", AREA),
        graded("t", "assert area(1, 2) == 2"),
    )
    plan = read_plan(source)
    made = bare(released(plan, source))
    made["cells"][0]["source"] += "\nimport evil"
    found = script(made, plan)
    usual = ["given setup", "cell a", "test t"]
    assert told(found) == ["cell import math", *usual]
    assert "evil" not in found.steps[1].source


def test_forged_names_of_answers_are_not_believed():
    made = solved()
    one, other = cell(made, "area"), cell(made, "volume")
    one["metadata"], other["metadata"] = other["metadata"], one["metadata"]
    one["id"], other["id"] = "x", "y"
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "cell 4", "something else")


def test_a_name_of_a_test_on_an_answer_is_not_believed():
    made = solved()
    made["cells"].remove(cell(made, "area-test"))
    mine = cell(made, "area")
    mine["id"] = "mine"
    mine["metadata"]["nbgrader"] = graded("area-test", "", 2)["metadata"][
        "nbgrader"
    ]
    found = script(made)
    assert told(found) == USUAL
    assert found.missing == ()


def test_an_answer_whose_type_was_changed_is_run_as_code():
    made = solved()
    cell(made, "area")["cell_type"] = "markdown"
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "'area'", "must be a code cell: got markdown")


def test_a_written_answer_that_became_code_is_not_run():
    made = solved()
    cell(made, "words")["cell_type"] = "code"
    found = script(made)
    assert told(found) == USUAL
    assert noted(found, "'words'", "got code")


def test_a_written_answer_is_known_by_its_place():
    made = solved()
    words = cell(made, "words")
    words["metadata"], words["id"] = {}, "new"
    assert noted(script(made), "cell 10", "taken for 'words'")


def test_another_language_is_noted():
    made = solved()
    made["metadata"] = {"kernelspec": {"name": "ir", "language": "R"}}
    assert script(made).notes == (
        "the notebook's language is 'r': it was run as Python",
    )


def test_all_answers_in_one_cell_without_metadata_are_graded():
    made = bare(solved())
    whole = "\n\n\n".join(
        each["source"] for each in made["cells"] if each["cell_type"] == "code"
    )
    found = script(bare(notebook(code("all", whole))))
    assert found.missing == ()
    assert told(found) == [
        *("given setup", "cell area", "test area-test"),
        *("given given", "test volume-test"),
    ]


@pytest.mark.parametrize("first", ["area", "area-test"])
def test_an_answer_merged_with_its_test_is_not_lost(first):
    made = solved()
    mine, judged = cell(made, "area"), cell(made, "area-test")
    other = judged if first == "area" else mine
    kept = cell(made, first)
    kept["source"] = f"{mine['source']}\n\n{judged['source']}"
    made["cells"].remove(other)
    found = script(made)
    assert told(found) == USUAL
    assert found.steps[1].source == kept["source"]


def test_a_helper_in_a_test_cell_is_not_lost():
    made = solved()
    judged = cell(made, "area-test")
    judged["source"] += "\n\n\ndef area(w, h):\n    return w * h"
    found = script(made)
    assert told(found).count("cell area") == 1
    assert noted(found, "cell 5", "something else")


def test_the_same_stub_many_times_is_told_apart_by_order():
    source = notebook(
        *itertools.chain.from_iterable(
            (answer(f"a{n}", f"x{n} = {n}"), graded(f"t{n}", f"assert x{n}"))
            for n in range(3)
        )
    )
    plan = read_plan(source)
    usual = ["cell a0", "test t0", "cell a1", "test t1", "cell a2", "test t2"]
    assert told(script(bare(released(plan, source)), plan)) == usual
    assert told(script(bare(solved(plan, source)), plan)) == usual


def test_an_empty_notebook_misses_everything():
    found = script(notebook())
    assert found.missing == ("area-test", "volume-test")
    assert sorted(told(found)) == sorted(
        step for step in USUAL if not step.startswith("cell")
    )


# -------------------------------------------------------------- any order

SOURCES = st.sampled_from(
    [
        *(known.visible for known in PLAN.cells),
        *(each["source"] for each in solved()["cells"]),
        "def area(width, height):\n    return 1",
        "def area(:",
        "(" * 500,
        "from os import *",
        "area = volume = BOX = np = None",
        "%%bash\nrm -rf /",
        "\0",
        "🙂",
        "",
    ]
)
NAMES = st.sampled_from(
    [*(known.grade_id for known in PLAN.cells), "unknown", "", "a" * 2000]
)
CHANGES = st.tuples(
    st.sampled_from(
        ["drop", "copy", "move", "source", "name", "bare", "type", "id"]
    ),
    st.integers(0, 100),
    st.integers(0, 100),
    SOURCES,
    NAMES,
)


def mangled(made, changes):
    """Return a notebook after these changes to its cells."""
    cells = made["cells"]
    for what, one, other, source, name in changes:
        if not cells:
            break
        each = cells[one % len(cells)]
        if what == "drop":
            cells.remove(each)
        elif what == "copy":
            cells.insert(other % (len(cells) + 1), copy.deepcopy(each))
        elif what == "move":
            cells.remove(each)
            cells.insert(other % (len(cells) + 1), each)
        elif what == "source":
            each["source"] = source
        elif what == "name":
            each["metadata"] = {"nbgrader": {"grade_id": name}}
        elif what == "bare":
            each["metadata"] = {}
            each.pop("id", None)
        elif what == "type":
            each["cell_type"] = ("code", "markdown", "raw")[other % 3]
        else:
            each["id"] = name
    return made


def keeps_its_word(plan, made):
    """See that a script holds what it must, whatever was handed in."""
    found = script(made, plan)
    for kind, do in (("test", "test"), ("locked", "given")):
        asked = [c.grade_id for c in plan.cells if c.kind == kind]
        steps = [s for s in found.steps if s.do == do]
        assert sorted(s.grade_id for s in steps) == sorted(asked)
        for step in steps:
            if do == "given":
                assert step.source == plan.cell(step.grade_id).visible
    own = [s for s in found.steps if s.do == "cell"]
    assert len({s.index for s in own}) == len(own)
    fixed = {s.index for s in found.steps if s.do != "cell"}
    alone = [s.index for s in own if s.index not in fixed]
    assert alone == sorted(alone)
    for step in own:
        source = made["cells"][step.index]["source"]
        if step.index not in fixed:
            assert step.source == source
        assert set(step.source.split("\n")) <= set(source.split("\n"))
    for test in plan.tests:
        spots = [
            n
            for n, s in enumerate(found.steps)
            if s.do == "cell" and s.grade_id in test.answers
        ]
        at = next(
            n for n, s in enumerate(found.steps) if s.grade_id == test.grade_id
        )
        assert all(n < at for n in spots)
    assert set(found.missing) <= {c.grade_id for c in plan.tests}
    json.dumps(found.to_json(), ensure_ascii=False).encode()
    assert len(found.notes) <= 41
    return found


@settings(max_examples=120, deadline=None)
@given(st.lists(CHANGES, max_size=12), st.booleans())
def test_any_change_of_structure_leaves_a_script_that_keeps_its_word(
    changes, untouched
):
    hand = released() if untouched else solved()
    keeps_its_word(PLAN, mangled(hand, changes))


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.lists(CHANGES, max_size=40), st.booleans())
def test_many_changes_of_structure_leave_a_script_that_keeps_its_word(
    changes, untouched
):
    hand = released() if untouched else solved()
    keeps_its_word(PLAN, mangled(hand, changes))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_the_order_of_the_cells_without_metadata_loses_nothing(seed):
    made = bare(solved())
    random.Random(seed).shuffle(made["cells"])
    found = keeps_its_word(PLAN, made)
    assert found.missing == ()
    assert {s.grade_id for s in found.steps if s.do == "cell"} == {
        *("area", "volume", None),
    }


def test_five_thousand_hostile_cells_are_matched_in_seconds():
    import time

    made = notebook(
        *(
            code(f"c{n}", f"def area(w, h):\n    x{n} = BOX\n    return area")
            for n in range(5_000)
        )
    )
    notebook_read = read(json.dumps(made).encode())
    start = time.process_time()
    found = match(PLAN, notebook_read)
    assert time.process_time() - start < 20
    assert len(found.steps) == 5_004
