"""An answer that leans on the course's package is told so at home."""

import numpy as np
import pytest

from attncourse import questions
from attncourse.checking.leaning import leans_on
from attncourse.reference import dense as borrowed


def imports_inside(x):
    from attncourse.reference.dense import attention

    return attention(x, x, x)


def uses_a_module(x):
    return borrowed.attention(x, x, x)


def helper(x):
    return [borrowed.attention(each, each, each) for each in x]


def uses_a_helper(x):
    return (lambda values: helper(values))(x)


def closes_over():
    own = borrowed.attention
    return lambda x: own(x, x, x)


def calls_itself(x):
    return calls_itself(x[1:]) if len(x) else np.zeros(3)


def names_it_only(x):
    """Return what attncourse would."""
    attncourse = "attncourse"
    return attncourse, x.attncourse


@pytest.mark.parametrize(
    "answer", [imports_inside, uses_a_module, uses_a_helper, closes_over()]
)
def test_a_call_of_the_package_is_seen_through_helpers(answer):
    assert leans_on(answer, "attncourse")


@pytest.mark.parametrize(
    "answer", [calls_itself, names_it_only, 3, None, np.exp, "attncourse"]
)
def test_what_does_not_call_it_is_left_in_peace(answer):
    assert not leans_on(answer, "attncourse")


def test_the_visible_check_says_it_and_passes_all_the_same(
    capsys, monkeypatch
):
    # Another test may have left a shell in this process.
    monkeypatch.setattr(questions, "_shell", lambda: None)

    def attend(queries, keys, values):
        return borrowed.attention(queries, keys, values), 1

    question = questions.load("dense.attend")
    questions.check("dense.attend", question.function)
    assert "graded" not in capsys.readouterr().out
    with pytest.raises(questions.NotYet):
        questions.check("dense.attend", attend)
    assert questions.NOT_THERE in capsys.readouterr().out

    def leaning(*args, **kwargs):
        return question.function(*args, **kwargs)

    questions.check("dense.attend", leaning)
    said = capsys.readouterr().out
    assert "All right" in said
    assert questions.NOT_THERE in said
