"""The secret answers and candidates of solutions/ are sound themselves."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from attncourse import questions
from attncourse.checking import Audit, Prediction, judge
from attncourse.notebooks import authored
from attncourse.notebooks.course import Course

COURSE = Course(Path(__file__).parents[1])
STEMS = COURSE.stems()


def asked(kind):
    """Return the ids of one kind of question in the units that exist."""
    return [
        question_id
        for stem in STEMS
        for question_id in questions.ids(stem.partition("_")[2])
        if isinstance(questions.load(question_id), kind)
    ]


def run(question_id):
    """Return the variables of a question's answer and test cell."""
    unit = question_id.partition(".")[0]
    cells = authored.read(COURSE.solution(questions.stem(unit)))
    namespace = {"np": np, "__name__": "solution"}
    for cell in cells:
        own = cell.question == question_id
        if cell.role == "setup" or (own and cell.role in ("answer", "test")):
            code = compile(cell.source, f"<{question_id} {cell.role}>", "exec")
            exec(code, namespace)
    return namespace


def variants(name, question_id):
    module = importlib.import_module(f"variants.{question_id.split('.')[0]}")
    return getattr(module, name)[question_id]


@pytest.mark.parametrize("question_id", asked(Prediction))
def test_a_prediction_is_answered_and_every_other_choice_explained(
    question_id,
):
    question, secret = questions.load(question_id), run(question_id)
    answers, because = secret["answers"], secret["because"]
    assert set(answers) == set(question.statements)
    for name, statement in question.statements.items():
        assert answers[name] in statement.options
        others = set(statement.options) - {answers[name]}
        assert set(because[name]) == others, name
    result = questions.examine(
        question_id,
        secret[question.function_name],
        answers=answers,
        because=because,
    )
    assert result.points == question.points


@pytest.mark.parametrize("question_id", asked(Prediction))
def test_guessing_one_option_throughout_does_not_pay(question_id):
    question, secret = questions.load(question_id), run(question_id)
    for position in range(4):
        guess = {
            name: statement.options[position % len(statement.options)]
            for name, statement in question.statements.items()
        }
        result = questions.examine(
            question_id, lambda guess=guess: guess, answers=secret["answers"]
        )
        assert result.points <= 0.75 * question.points


@pytest.mark.parametrize("question_id", asked(Audit))
def test_the_model_test_and_good_tests_earn_all_points(question_id):
    question, secret = questions.load(question_id), run(question_id)
    good = [secret[question.function_name], *variants("RIGHT", question_id)]
    for test in good:
        for key in "abc":
            result = questions.examine(
                question_id,
                test,
                key=key,
                right=secret["right"],
                wrong=secret["wrong"],
            )
            assert result.points == question.points, test.__name__


@pytest.mark.parametrize("question_id", asked(Audit))
def test_poor_tests_do_not_earn_all_points(question_id):
    question, secret = questions.load(question_id), run(question_id)
    for test in variants("WRONG", question_id):
        result = questions.examine(
            question_id,
            test,
            key="a",
            right=secret["right"],
            wrong=secret["wrong"],
        )
        assert result.points < question.points, test.__name__


@pytest.mark.parametrize("question_id", asked(Audit))
def test_there_are_enough_candidates_and_each_wrong_one_can_be_caught(
    question_id,
):
    question, secret = questions.load(question_id), run(question_id)
    right, wrong = secret["right"], secret["wrong"]
    assert len(right) >= 3
    assert len(wrong) >= 7
    assert 0.6 <= question.needed / len(wrong) <= 0.9
    tests = [secret[question.function_name], *variants("RIGHT", question_id)]
    for candidate in wrong:
        caught = [judge._rejection(test, candidate) for test in tests]
        assert any(caught), candidate.__name__
    for candidate in question.wrong:
        assert all(judge._rejection(test, candidate) for test in tests)
