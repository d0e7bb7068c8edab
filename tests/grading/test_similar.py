"""Answers built alike are found, and what everybody writes is not."""

import random
import re
import time

import pytest
from made_notebooks import answer, graded, notebook

from attncourse.grading.handed_in.similar import LEAST_PIECES, pairs, pieces
from attncourse.grading.notebooks.source import read_plan

SOLUTION = '''def walk(values):
    """Return something about the values."""
    ### BEGIN SOLUTION
    total = 0
    for value in values:
        if value > 0:
            total += value * value
    return total
    ### END SOLUTION'''
PLAN = read_plan(notebook(answer("walk", SOLUTION), graded("t", "")))
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "|", "&", "^")
CALLS = ("abs", "min", "max", "len", "sum", "sorted", "round", "np.exp")


def program(seed, lines=14):
    """Return a function that nobody else would write in the same way."""
    rng = random.Random(seed)
    names = ["values", *(f"v{n}" for n in range(lines))]
    body = []
    for n in range(lines):
        one, other = rng.choices(names[: n + 1], k=2)
        line = f"v{n} = {one} {rng.choice(OPERATORS)} {other}"
        if rng.random() < 0.5:
            line = f"v{n} = {rng.choice(CALLS)}({one}[{rng.randrange(9)}])"
        if rng.random() < 0.3:
            line = f"if {one} > {other}:\n        {line}"
        elif rng.random() < 0.2:
            line = f"for v{n} in {one}:\n        {line}"
        body.append(f"    {line}")
    return "def walk(values):\n" + "\n".join(body) + "\n    return v1"


def disguised(source):
    """Return a program with other names, numbers, comments and layout."""
    source = re.sub(r"\bv(\d+)", r"other_name_\1", source)
    source = source.replace("values", "numbers").replace("[3]", "[7]")
    lines = source.split("\n")
    return "\n\n".join([lines[0], '    """My own."""', *lines[1:]]) + "  # me"


def found(answers, plan=PLAN):
    written = {student: {"walk": own} for student, own in answers.items()}
    return [(p.first, p.second, p.question) for p in pairs(plan, written)]


def class_of(size):
    return {f"s{n:04}": program(n) for n in range(size)}


def test_a_copy_in_disguise_is_found_and_nobody_else():
    answers = class_of(40)
    answers["zoe"] = disguised(answers["s0007"])
    assert found(answers) == [("s0007", "zoe", "walk")]
    (pair,) = pairs(PLAN, {s: {"walk": own} for s, own in answers.items()})
    assert pair.share > 0.95
    assert "copied" not in pair.says


def test_a_copy_that_was_changed_in_places_is_found_with_a_lower_share():
    answers = class_of(40)
    lines = answers["s0007"].split("\n")
    lines[3:3] = ["    extra = [n for n in values if n]", "    del extra"]
    answers["zoe"] = disguised("\n".join(lines))
    (pair,) = pairs(PLAN, {s: {"walk": own} for s, own in answers.items()})
    assert (pair.first, pair.second) == ("s0007", "zoe")
    assert 0.5 < pair.share < 1


@pytest.mark.parametrize("size", [2, 3, 10, 60])
def test_what_a_whole_class_writes_alike_says_nothing(size):
    answers = {f"s{n}": program(0) for n in range(size)}
    assert bool(found(answers)) == (size == 2)


def test_the_instructor_s_own_way_says_nothing():
    source = SOLUTION.replace("    total = 0", program(3).split("\n", 1)[1])
    plan = read_plan(notebook(answer("walk", source), graded("t", "")))
    answers = class_of(20)
    answers["one"] = answers["two"] = source
    assert found(answers, plan) == []


def test_short_answers_say_nothing():
    answers = class_of(20)
    answers["one"] = answers["two"] = "def walk(v):\n    return sum(v) - v[0]"
    assert len(pieces(answers["one"])) < LEAST_PIECES
    assert found(answers) == []


def test_untouched_stubs_and_syntax_errors_say_nothing():
    answers = class_of(10)
    for name, source in (("a", PLAN.cell("walk").visible), ("b", "def (")):
        answers[name + "1"] = answers[name + "2"] = source
    assert found(answers) == []


def test_a_group_that_works_alike_is_told_as_pairs_with_its_first():
    answers = class_of(100)
    for name in ("x", "y", "z"):
        answers[name] = disguised(answers["s0007"])
    assert found(answers) == [
        ("s0007", "x", "walk"),
        ("s0007", "y", "walk"),
        ("s0007", "z", "walk"),
    ]


def test_the_closest_come_first_and_the_result_is_the_same_every_time():
    answers = class_of(30)
    answers["zoe"] = disguised(answers["s0003"]) + "\n    " + "x = [1]" * 1
    answers["yan"] = disguised(answers["s0009"])
    first = found(answers)
    assert first == [("s0009", "yan", "walk"), ("s0003", "zoe", "walk")]
    shuffled = dict(random.Random(1).sample(list(answers.items()), 32))
    assert found(shuffled) == first


def test_a_class_of_thousands_is_compared_by_an_index():
    answers = class_of(2_000)
    answers["zoe"] = disguised(answers["s0007"])
    start = time.process_time()
    assert ("s0007", "zoe", "walk") in found(answers)
    assert time.process_time() - start < 30


def test_hostile_answers_are_looked_at_in_bounded_time():
    answers = class_of(5)
    answers["a"] = "x = " + "1+" * 20_000 + "1"
    answers["b"] = "(" * 40_000
    answers["c"] = "x = f'" + "{a}" * 10_000 + "'"
    start = time.process_time()
    found(answers)
    assert time.process_time() - start < 15
