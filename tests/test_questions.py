"""The questions are examined here: wrong answers fail, right ones pass."""

import importlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from attncourse import questions
from attncourse.checking import Audit, Prediction, Question, judge
from attncourse.checking.edit import EditError
from attncourse.checking.run import call
from attncourse.notebooks import engine

# A right answer meets all of these keys in `make test-all`, and the first
# quarter in `make test`; one that takes long, being plain loops or
# derivatives by steps, a tenth.
KEYS = 1000
FEW, FEWER = KEYS // 4, KEYS // 10
SLOW = {
    "attend_by_loops",
    "attend_in_torch",
    "attend_recursively",
    "backward_by_complex_steps",
    "backward_by_jacobian",
    "backward_by_loops",
    "backward_in_torch",
    "calibrate_by_loops",
    "gradients_by_autograd",
    "others_by_deletion",
    "others_in_loops",
    "read_in_loops",
    "read_key_after_key",
    "tempered_with_loops",
}


def existing_units():
    """Return the units whose question package is there."""
    return [
        unit
        for unit in questions.UNITS
        if importlib.util.find_spec(f"attncourse.questions.{unit}")
    ]


def every(kind):
    """Return the questions of one kind in all units."""
    return [
        question
        for unit in existing_units()
        for question in map(questions.load, questions.ids(unit))
        if isinstance(question, kind)
    ]


def by_id(items):
    return {"argvalues": items, "ids": [item.id for item in items]}


def variants(name, kind):
    """Return (question id, function) pairs from tests/variants."""
    pairs = []
    for unit in existing_units():
        if not importlib.util.find_spec(f"variants.{unit}"):
            continue  # test_each_question_has_four_... fails then
        module = importlib.import_module(f"variants.{unit}")
        for question_id, functions in getattr(module, name).items():
            if isinstance(questions.load(question_id), kind):
                pairs += [(question_id, each) for each in functions]
    return pairs


def named(pairs):
    return {
        "argvalues": pairs,
        "ids": [f"{q}-{f.__name__}" for q, f in pairs],
    }


ALL = every(Question)
MISCONCEPTIONS = [(q, m) for q in ALL for m in q.misconceptions]


@pytest.mark.parametrize("question", **by_id(ALL))
def test_the_reference_earns_every_point(question):
    result = questions.examine(question.id, question.function, key="a")
    assert result.verdict == "pass"
    assert result.points == question.points


@pytest.mark.parametrize(
    ("question", "misconception"),
    MISCONCEPTIONS,
    ids=[f"{q.id}-{m.name}" for q, m in MISCONCEPTIONS],
)
def test_a_misconception_loses_its_stage_and_is_named(question, misconception):
    wrong = question.wrong(misconception)
    for key in ("a", "b", "c"):
        result = questions.examine(question.id, wrong, key=key)
        assert not result.passed
        failed = [stage.name for stage in result.stages if not stage.passed]
        assert misconception.stage in failed
        assert [m.name for m in result.diagnosis] == [misconception.name]


@pytest.mark.parametrize("question", **by_id(ALL))
def test_two_misconceptions_together_are_told_apart(question):
    composed = named_so = 0
    for pair in itertools.combinations(question.misconceptions, 2):
        try:
            wrong = question.wrong(*pair)
        except (EditError, SyntaxError):
            continue
        composed += 1
        result = questions.examine(question.id, wrong, key="pair")
        if result.passed:  # two errors may cancel
            continue
        # The pair, or a single one that gives the very same results.
        named_so += bool(result.diagnosis) or result.verdict == "error"
    assert composed >= len(question.misconceptions)
    assert named_so >= 0.9 * composed


@pytest.mark.parametrize("unit", existing_units())
def test_a_judge_finds_the_wrong_functions_of_its_unit_compiled(unit):
    # As the server of judges starts, and then one of its judges.
    program = (
        "import importlib, sys\n"
        "from attncourse.checking import Question, diagnose, edit\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "edit.compile = None\n"
        "for name in sys.argv[2:-1]:\n"
        "    question = sys.modules[name].QUESTION\n"
        "    if isinstance(question, Question):\n"
        "        diagnose.prepare(question)\n"
    )
    command = [sys.executable, "-c", program, *engine.modules(unit)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("question", **by_id(ALL))
def test_an_implement_question_knows_its_usual_mistakes(question):
    least = 8 if question.kind == "implement" else 3
    assert len(question.misconceptions) >= least
    assert 2 <= len(question.hints) <= 4


def failing_keys(question_id, function, keys):
    """Return the keys under which an answer does not pass."""
    return [
        key
        for key in keys
        if not questions.examine(question_id, function, key=str(key)).passed
    ]


RIGHT = variants("RIGHT", Question)


@pytest.mark.parametrize(("question_id", "function"), **named(RIGHT))
def test_a_right_answer_in_another_style_passes_under_many_keys(
    question_id, function
):
    keys = range(FEWER if function.__name__ in SLOW else FEW)
    assert failing_keys(question_id, function, keys) == []


@pytest.mark.slow
@pytest.mark.parametrize(("question_id", "function"), **named(RIGHT))
def test_a_right_answer_in_another_style_passes_under_every_key(
    question_id, function
):
    done = FEWER if function.__name__ in SLOW else FEW
    assert failing_keys(question_id, function, range(done, KEYS)) == []


def test_the_slow_answers_are_still_there():
    assert {function.__name__ for _, function in RIGHT} >= SLOW


@pytest.mark.parametrize("question", **by_id(ALL))
def test_each_question_has_four_right_answers_in_other_styles(question):
    module = importlib.import_module(f"variants.{question.unit}")
    assert len(module.RIGHT[question.id]) >= 4
    assert len(module.WRONG[question.id]) >= 4


@pytest.mark.parametrize(
    ("question_id", "function"), **named(variants("WRONG", Question))
)
def test_a_wrong_answer_that_nobody_listed_loses_points(question_id, function):
    for key in ("a", "b", "c"):
        result = questions.examine(question_id, function, key=key)
        assert not result.passed


@pytest.mark.parametrize("question", **by_id(ALL))
def test_answers_without_content_earn_nothing(question):
    def blank(*args, **kwargs):
        raise NotImplementedError

    def nothing(*args, **kwargs):
        return None

    def the_first_argument(*args, **kwargs):
        return args[0]

    def all_arguments(*args, **kwargs):
        return args

    def not_numbers(*args, **kwargs):
        return filled(np.nan)(*args, **kwargs)

    def filled(number):
        def like(value):
            if isinstance(value, (tuple, list)):
                return type(value)(map(like, value))
            if isinstance(value, dict):
                return {key: like(item) for key, item in value.items()}
            array = np.asarray(value)
            kind = bool if array.dtype.kind == "b" else float
            return np.full(array.shape, number, dtype=kind)

        return lambda *a, **k: like(question.function(*a, **k))

    for answer in (
        blank,
        nothing,
        the_first_argument,
        all_arguments,
        not_numbers,
        filled(0.0),
        filled(1.0),
    ):
        result = questions.examine(question.id, answer, key="a")
        assert result.points == 0, answer.__name__


@pytest.mark.parametrize("question", **by_id(ALL))
def test_a_key_changes_values_only(question):
    def shape_of(value):
        if isinstance(value, np.ndarray):
            return (value.shape, value.dtype, value.flags.c_contiguous)
        if isinstance(value, (tuple, list)):
            return tuple(map(shape_of, value))
        return type(value)

    def draw(key):
        return list(question.cases(judge.generator(question.id, key)))

    one, other = draw("a"), draw("b")
    assert [case.stage for case in one] == [case.stage for case in other]
    for first, second in zip(one, other, strict=True):
        assert shape_of(first.args) == shape_of(second.args)
        assert list(first.kwargs) == list(second.kwargs)
    outcomes = [
        [call(question.function, case).value for case in cases]
        for cases in (one, other)
    ]
    assert repr(outcomes[0]) != repr(outcomes[1])


@pytest.mark.parametrize("question", **by_id(ALL))
def test_every_stage_has_a_case_and_points_in_quarters(question):
    cases = question.cases(judge.generator(question.id, "a"))
    assert {case.stage for case in cases} == {s.name for s in question.stages}
    for stage in question.stages:
        assert stage.points > 0
        assert math.isclose(stage.points * 4, round(stage.points * 4))


@pytest.mark.parametrize("question", **by_id(every(Prediction)))
def test_a_prediction_offers_choices(question):
    for statement in question.statements.values():
        assert len(set(statement.options)) == len(statement.options) >= 2

    def predict(choices):
        return lambda: choices

    first = {n: s.options[0] for n, s in question.statements.items()}
    assert questions.examine(question.id, predict(first)).passed
    for bad in ({}, None, dict.fromkeys(first, "no such option"), []):
        result = questions.examine(question.id, predict(bad))
        assert not result.passed
        assert result.notes


@pytest.mark.parametrize(
    ("question_id", "function"), **named(variants("RIGHT", Audit))
)
def test_a_good_test_catches_the_public_wrong_functions(question_id, function):
    result = questions.examine(question_id, function)
    assert result.passed, result.stages


@pytest.mark.parametrize(
    ("question_id", "function"), **named(variants("WRONG", Audit))
)
def test_a_poor_test_does_not_pass(question_id, function):
    assert not questions.examine(question_id, function).passed
