"""The judge awards stages, tells reasons and keeps hidden cases hidden."""

import json
from dataclasses import replace

import numpy as np
import pytest

from attncourse.checking import (
    Audit,
    Case,
    Misconception,
    Prediction,
    Question,
    Stage,
    Statement,
    judge,
    numerics,
)
from attncourse.checking.compare import difference, plain
from attncourse.checking.draw import as_html, as_text, beside
from attncourse.checking.fresh import fresh


def mean_of_rows(x):
    """Return the mean of each row."""
    total = x.sum(axis=-1)
    return total / x.shape[-1]


def cases(rng):
    yield Case("one", (rng.normal(size=(3, 1)),))
    yield Case("many", (rng.normal(size=(3, 5)),))
    yield Case("kept", (rng.normal(size=(3, 5)),), untouched=True)


def wrong(name, stage, *edits):
    return Misconception(name, edits, stage, f"It is {name}.", "unit-a-b")


ASKED = {"difficulty": 1, "importance": 1, "minutes": 1, "hints": ()}
MEAN = Question(
    id="unit.mean",
    kind="implement",
    title="Mean",
    function=mean_of_rows,
    cases=cases,
    stages=(
        Stage("one", 0.5, "one entry is its own mean"),
        Stage("many", 1.0, "the sum is divided by the number"),
        Stage("kept", 0.5, "the argument is left as it was"),
    ),
    misconceptions=(
        wrong("not_divided", "many", ("total / x.shape[-1]", "total")),
        wrong("columns", "many", ("axis=-1", "axis=0")),
        wrong("changed", "kept", ("total =", "x *= 1.5; x /= 1.5; total =")),
        wrong("twice", "one", ("x.sum", "2 * x.sum")),
    ),
    tolerance=numerics.tolerance(terms=5),
    **ASKED,
)


def examine(answer, key="k"):
    return judge.examine(MEAN, answer, key=key)


def test_stages_are_earned_one_by_one():
    result = examine(lambda x: x.sum(axis=-1))
    assert result.points == 0.5
    assert result.verdict == "partial"
    assert [stage.passed for stage in result.stages] == [True, False, False]
    assert [each.name for each in result.diagnosis] == ["not_divided"]


def test_a_pair_of_misconceptions_is_named():
    result = examine(lambda x: 2 * x.sum(axis=-1))
    names = {each.name for each in result.diagnosis}
    assert names == {"not_divided", "twice"}


def test_an_unknown_wrong_answer_is_given_no_name():
    result = examine(lambda x: np.median(x, axis=-1))
    assert result.diagnosis == ()
    assert result.first_failed.name == "many"


def test_changing_the_argument_costs_only_its_own_stage():
    def answer(x):
        x -= 1.0
        return x.mean(axis=-1) + 1.0

    result = examine(answer)
    assert [stage.passed for stage in result.stages] == [True, True, False]


def test_what_is_told_of_a_hidden_run_holds_nothing_computed_from_it():
    secret = []

    def answer(x):
        secret.append(x[0, 0])
        raise RuntimeError(repr(x))

    result = examine(answer, key="hidden")
    told = json.dumps(result.told())
    assert str(secret[0]) not in told
    assert result.told()["error"] == "RuntimeError"


def test_an_exceptions_own_class_name_is_not_told():
    def answer(x):
        raise type(f"Leak{x[0, 0]}", (ValueError,), {})("no")

    assert examine(answer).told()["error"] == "ValueError"


def test_prints_and_warnings_of_a_hidden_run_go_nowhere(capsys):
    import warnings

    def answer(x):
        warnings.warn("careful", stacklevel=1)
        print("seen", x)
        return x.mean(axis=-1)

    assert examine(answer).passed
    assert capsys.readouterr() == ("", "")


def test_a_blank_answer_is_still_to_do_and_earns_nothing():
    def answer(x):
        raise NotImplementedError

    result = examine(answer)
    assert (result.verdict, result.points) == ("todo", 0.0)


@pytest.mark.parametrize("answer", [None, 3, "text", np.zeros(3)])
def test_an_answer_that_is_no_function_says_so(answer):
    result = examine(answer)
    assert "mean_of_rows must be a function: got" in result.notes[0]


def test_a_helpless_object_cannot_pass_for_a_number():
    class Always:
        __array_ufunc__ = None

        def __eq__(self, other):
            return True

        def __array__(self, *args, **kwargs):
            raise AssertionError("asked for an array")

    class Sub(np.ndarray):
        def __eq__(self, other):
            return np.True_

        def __array_function__(self, *args, **kwargs):
            return True

    assert examine(lambda x: Always()).points == 0
    assert examine(lambda x: np.zeros(3).view(Sub)).points == 0


def test_tensors_lists_and_single_precision_are_accepted():
    import torch

    assert examine(lambda x: torch.as_tensor(x).mean(-1)).passed
    assert examine(lambda x: [float(np.mean(row)) for row in x]).passed
    assert examine(lambda x: x.astype(np.float32).mean(-1)).passed


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (None, "structure"),
        (np.zeros((3, 1)), "shape"),
        (np.full(3, np.nan), "nan"),
        (np.array([True, False, True]), "dtype"),
        (np.array([0.0, 1.0, 2.1]), "values"),
        ("0", "structure"),
        ([[1], [1, 2]], "structure"),
    ],
)
def test_a_difference_says_of_which_kind_it_is(got, kind):
    found = difference(got, np.arange(3.0), MEAN.tolerance)
    assert found.kind == kind


def test_infinity_equals_itself_only():
    truth = np.array([-np.inf, 1.0])
    assert difference(truth.copy(), truth, MEAN.tolerance) is None
    bad = np.array([np.inf, 1.0])
    assert difference(bad, truth, MEAN.tolerance).kind == "values"


def test_plain_refuses_what_is_not_data():
    deep = []
    for _ in range(12):
        deep = [deep]
    for value in (object(), {1, 2}, np.array(["a"]), deep, print):
        with pytest.raises(TypeError):
            plain(value)


PREDICT = Prediction(
    id="unit.predict",
    title="Predict",
    function_name="predict",
    points=2,
    statements={
        "a": Statement("It", ("rises", "falls", "stays")),
        "b": Statement("Then it", ("rises", "falls", "stays")),
    },
    **ASKED,
)


def test_predictions_are_scored_one_by_one_and_explained():
    answers = {"a": "rises", "b": "stays"}
    because = {"b": {"falls": "it has nowhere to fall"}}
    result = judge.examine_prediction(
        PREDICT,
        lambda: {"a": "rises", "b": "falls"},
        answers=answers,
        because=because,
    )
    assert result.points == 1.0
    assert result.notes == ("b: it has nowhere to fall",)


def right(x):
    return abs(x)


def also_right(x):
    return max(x, -x)


def identity(x):
    return x


def minus(x):
    return -x


def two(x):
    return 2.0


AUDIT = Audit(
    id="unit.audit",
    title="Audit",
    function_name="test_abs",
    points=3,
    needed=3,
    right=(right, also_right),
    wrong=(identity, minus, two),
    **ASKED,
)


def audit(test):
    return judge.examine_audit(AUDIT, test, key="k")


def test_a_good_test_earns_all_points():
    def test(candidate):
        assert candidate(3) == 3
        assert candidate(-3) == 3

    assert audit(test).points == 3


def test_rejecting_a_right_function_earns_nothing():
    def test(candidate):
        raise AssertionError("no")

    assert audit(test).points == 0


def test_accepting_everything_earns_nothing():
    assert audit(lambda candidate: None).points == 0


def test_catching_a_part_earns_a_part():
    def test(candidate):
        assert candidate(3) == 3

    assert audit(test).points == 2.0


def test_a_candidate_has_no_telling_name_and_meets_a_fresh_test():
    names, calls = [], {"n": 0}
    namespace = {"calls": calls, "names": names}
    exec(
        "def test(candidate, seen=[]):\n"
        "    seen.append(1)\n"
        "    calls['n'] += 1\n"
        "    assert calls['n'] == 1 and len(seen) == 1\n"
        "    test.count = getattr(test, 'count', 0) + 1\n"
        "    assert test.count == 1\n"
        "    assert candidate.__name__ == 'function'\n"
        "    assert candidate(3) == 3 and candidate(-3) == 3\n",
        namespace,
    )
    assert audit(namespace["test"]).points == 3
    assert calls == {"n": 0}


def test_a_fresh_test_has_the_built_ins_themselves():
    namespace = {"calls": []}
    exec("def test(): return calls", namespace)
    copied = fresh(namespace["test"])
    assert copied() is not namespace["calls"]
    built_ins = copied.__globals__["__builtins__"]
    assert built_ins is namespace["__builtins__"]


def test_what_a_fresh_test_cannot_reach_is_not_copied():
    namespace = {"large": [], "seen": [], "counted": []}
    exec(
        "def test():\n"
        "    return [helper(each) for each in 'ab']\n"
        "def helper(each):\n"
        "    counted.append(each)\n"
        "    return (lambda: seen.append(each))()\n"
        "def by_name():\n"
        "    globals()['seen'].append(1)\n",
        namespace,
    )
    copied = fresh(namespace["test"])
    copied()
    assert copied.__globals__["counted"] == ["a", "b"]
    assert copied.__globals__["large"] is namespace["large"]
    fresh(namespace["by_name"])()
    assert namespace["seen"] == namespace["counted"] == []


def test_a_failure_names_the_last_line_of_the_answer_s_own():
    def answer(x):
        return helper(x)

    def helper(x):
        raise ValueError("no")

    own = helper.__code__.co_firstlineno + 1
    assert examine(answer).told()["line"] == own


def test_results_are_escaped_in_html():
    def answer(x):
        raise ValueError("<script>alert(1)</script>")

    result = examine(answer)
    html = as_html(result, where={})
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "ValueError in line" in as_text(result, where={})


def test_two_matrices_are_drawn_beside_one_another():
    drawn = beside(np.eye(3), np.full((2, 3, 3), np.nan))
    assert drawn.count("<rect") == 18
    assert 'role="img"' in drawn
    assert beside(np.zeros(3), np.zeros(3)) == ""


def test_low_precision_faults_fail_the_numerics_policy():
    rng = np.random.default_rng(5)
    p = rng.random((64, 257))
    p /= p.sum(-1, keepdims=True)
    v = rng.normal(size=(257, 31))
    truth = p @ v
    ideal = (p.astype(np.float16).astype(float) @ v).astype(np.float16)
    assert numerics.within_ideal(ideal, truth, ideal)
    assert not numerics.within_ideal((truth * 1.01), truth, ideal)
    low = np.zeros_like(truth, dtype=np.float16)
    for j in range(257):
        low += np.outer(p[:, j], v[j]).astype(np.float16)
    assert not numerics.within_ideal(low, truth, ideal)
    single = (p.astype(np.float32) @ v.astype(np.float32)).astype(np.float32)
    assert numerics.within_plain(single, truth, single)
    assert not numerics.within_plain(single * 1.000001, truth, single)


def test_what_is_told_can_be_read_without_the_question():
    wrong = MEAN.wrong(MEAN.misconceptions[0])
    told = examine(wrong).told({"unit-a-b": "chapter 0"})
    assert told["title"] == MEAN.title
    assert told["max_points"] == MEAN.points
    assert [each["passed"] for each in told["stages"]] == [True, False, False]
    assert told["stages"][1]["must"] == MEAN.stages[1].must
    assert told["misconceptions"] == [
        {
            "name": "not_divided",
            "says": "It is not_divided.",
            "where": "chapter 0",
        }
    ]


class Elsewhere:
    """Stands for a function of another process."""

    copies = 0

    def __call__(self, *_):
        error = ValueError("no")
        error.student_line = 7
        raise error

    def __fresh__(self):
        type(self).copies += 1
        return self


def test_only_a_visible_case_is_drawn():
    drawing = replace(MEAN, picture=lambda means: means[None])
    doubled = MEAN.wrong(MEAN.misconceptions[3])
    visible = judge.examine(drawing, doubled, key="k", quiet=False)
    assert "<rect" in visible.picture
    assert judge.examine(drawing, doubled, key="k").picture == ""


def test_the_line_of_a_function_of_another_process_is_its_own():
    assert examine(Elsewhere()).told()["line"] == 7


def test_a_function_of_another_process_makes_its_own_copies():
    before = Elsewhere.copies
    judge.examine_audit(AUDIT, Elsewhere(), key="k")
    tried = len(AUDIT.right) + len(AUDIT.wrong)
    assert Elsewhere.copies - before == tried


class AtOnce:
    """Stands for a function of another process, asked for all at once."""

    def __init__(self, function):
        self.function = function
        self.asked = []

    def __call__(self, *args, **kwargs):
        raise AssertionError("each call must be one of many")

    def __call_each__(self, given):
        self.asked.append(len(given))
        results = []
        for args, kwargs in given:
            try:
                results.append((self.function(*args, **kwargs), None))
            except (Exception, SystemExit) as error:
                results.append((None, error))
        return results


@pytest.mark.parametrize("name", ["right", "raises", *MEAN.misconceptions])
def test_a_function_that_is_asked_all_at_once_earns_the_same(name):
    def raises(values):
        raise KeyError("no")

    answers = {"right": MEAN.function, "raises": raises}
    answer = answers[name] if name in answers else MEAN.wrong(name)
    stand_in = AtOnce(answer)
    came, expected = examine(stand_in).told(), examine(answer).told()
    assert came | {"line": 0} == expected | {"line": 0}
    assert len(stand_in.asked) == 1
