"""Examine an answer: run its cases, award stages, look for the reason."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attncourse.checking.compare import Mismatch
from attncourse.checking.diagnose import diagnose, tolerance_of
from attncourse.checking.draw import beside
from attncourse.checking.fresh import fresh
from attncourse.checking.question import Audit, Case, Prediction, Question
from attncourse.checking.result import Result, StageResult
from attncourse.checking.run import (
    Failure,
    Outcome,
    call,
    call_all,
    called,
    calmly,
    failure_of,
    part,
)


def generator(question_id: str, key: str) -> np.random.Generator:
    """Return the random numbers of one question under one key."""
    digest = hashlib.sha256(f"{key}\n{question_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def examine(
    question: Question, answer: Any, *, key: str, quiet: bool = True
) -> Result:
    """Return what `answer` earns on the cases that `key` draws.

    A stage is earned when all of its cases agree with the reference. A
    `quiet` examination is one of hidden cases: what the answer prints is
    swallowed, and what it returns is not drawn.
    """
    if not callable(answer):
        return _not_a_function(question, answer)
    cases = list(question.cases(generator(question.id, key)))
    outcomes = call_all(answer, cases, quiet=quiet)
    if outcomes[0].failure and outcomes[0].failure.todo:
        return _todo(question)
    with calmly(quiet=True):
        expected = [called(question.function, case) for case in cases]
    broken = [each for each in expected if each.failure]
    if broken:  # the author's mistake, never the student's
        raise RuntimeError(
            f"{question.id}: the reference must answer every case: "
            f"got {broken[0].failure}"
        )
    found = [
        part(outcome, truth, tolerance_of(question, case))
        for case, outcome, truth in zip(cases, outcomes, expected, strict=True)
    ]
    result = _assemble(question, cases, outcomes, found)
    if quiet or question.picture is None:
        return result
    return replace(
        result, picture=_picture(question.picture, outcomes, expected, found)
    )


def _assemble(
    question: Question,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    found: Sequence[Mismatch | None],
) -> Result:
    stages = []
    for stage in question.stages:
        reasons = [
            f"{mismatch.text} ({case.note})" if case.note else mismatch.text
            for case, mismatch in zip(cases, found, strict=True)
            if case.stage == stage.name and mismatch
        ]
        stages.append(
            StageResult(
                stage.name,
                stage.must,
                stage.points,
                not reasons,
                reasons[0] if reasons else "",
            )
        )
    points = float(sum(stage.points for stage in stages if stage.passed))
    failed = [mismatch is not None for mismatch in found]
    diagnosis = (
        diagnose(question, cases, outcomes, failed) if any(failed) else ()
    )
    failure = _first_failure(outcomes)
    return Result(
        question_id=question.id,
        title=question.title,
        verdict=_verdict(any(failed), points, outcomes),
        points=points,
        max_points=question.points,
        stages=tuple(stages),
        diagnosis=diagnosis,
        error=failure.name if failure else None,
        line=failure.line if failure else None,
        error_message=failure.message if failure else "",
    )


def _verdict(wrong: bool, points: float, outcomes: Sequence[Outcome]) -> str:
    if not wrong:
        return "pass"
    if points > 0:
        return "partial"
    if all(outcome.failure for outcome in outcomes):
        return "error"
    return "fail"


def _first_failure(outcomes: Sequence[Outcome]) -> Failure | None:
    return next((o.failure for o in outcomes if o.failure), None)


def _picture(matrix, outcomes, expected, found) -> str:
    for outcome, truth, wrong in zip(outcomes, expected, found, strict=True):
        if not wrong or outcome.failure:
            continue
        try:
            drawn = beside(matrix(outcome.value), matrix(truth.value))
        except Exception:  # a result of the wrong structure has no picture
            continue
        if drawn:
            return drawn
    return ""


def _not_a_function(question: Any, answer: Any) -> Result:
    return Result(
        question_id=question.id,
        title=question.title,
        verdict="fail",
        points=0.0,
        max_points=question.points,
        notes=(
            f"{question.function_name} must be a function: got "
            f"{type(answer).__name__}",
        ),
    )


def _todo(question: Any) -> Result:
    return Result(
        question_id=question.id,
        title=question.title,
        verdict="todo",
        points=0.0,
        max_points=question.points,
    )


def examine_prediction(
    question: Prediction,
    answer: Any,
    *,
    answers: Mapping[str, str] | None = None,
    because: Mapping[str, Mapping[str, str]] | None = None,
) -> Result:
    """Return whether predictions are committed and, with `answers`, right.

    Each statement is a stage; without `answers` only the form is judged.
    """
    if not callable(answer):
        return _not_a_function(question, answer)
    outcome = call(answer, Case("predict", ()))
    if outcome.failure and outcome.failure.todo:
        return _todo(question)
    given, problem = _given(question, outcome)
    share = question.points / len(question.statements)
    stages, notes = [], []
    for name, statement in question.statements.items():
        chosen = given.get(name)
        passed = chosen in statement.options and (
            answers is None or chosen == answers[name]
        )
        stages.append(StageResult(name, statement.text, share, passed))
        if not passed and because is not None:
            told = because.get(name, {}).get(str(chosen))
            notes += [f"{name}: {told}"] if told else []
    points = round(sum(stage.points for stage in stages if stage.passed), 2)
    failure = outcome.failure
    return Result(
        question_id=question.id,
        title=question.title,
        verdict="pass"
        if all(stage.passed for stage in stages)
        else ("partial" if points else "fail"),
        points=points,
        max_points=question.points,
        stages=tuple(stages),
        error=failure.name if failure else None,
        line=failure.line if failure else None,
        error_message=failure.message if failure else "",
        notes=tuple([problem] if problem else notes),
    )


def _given(question: Prediction, outcome: Outcome) -> tuple[dict, str]:
    value = outcome.value
    if not isinstance(value, dict):
        got = "an error" if outcome.failure else type(value).__name__
        return {}, f"{question.function_name} must return a dict: got {got}"
    for name, statement in question.statements.items():
        if name not in value:
            return value, f"a prediction must be made for {name!r}: got none"
        if value[name] not in statement.options:
            options = ", ".join(map(repr, statement.options))
            return value, (
                f"{name!r} must be one of {options}: got {value[name]!r}"
            )
    return value, ""


def examine_audit(
    question: Audit,
    answer: Any,
    *,
    key: str,
    right: Sequence[Callable] | None = None,
    wrong: Sequence[Callable] | None = None,
) -> Result:
    """Return what a student's test earns on anonymous candidates.

    Each candidate comes in an order drawn from `key`, under a name that
    says nothing, to a fresh copy of the student's test. A test rejects by
    raising. Rejecting one right candidate earns nothing.
    """
    if not callable(answer):
        return _not_a_function(question, answer)
    visible = wrong is None
    right = question.right if right is None else right
    wrong = question.wrong if wrong is None else wrong
    candidates = [(each, True) for each in right]
    candidates += [(each, False) for each in wrong]
    random.Random(f"{key}\n{question.id}").shuffle(candidates)
    caught, wronged = 0, None
    for candidate, is_right in candidates:
        failure = _rejection(answer, candidate)
        if failure and failure.todo:
            return _todo(question)
        if failure and is_right:
            wronged = wronged or failure
        elif failure:
            caught += 1
    needed = min(question.needed, len(wrong))
    return _audited(question, caught, needed, len(wrong), wronged, visible)


def _audited(question, caught, needed, tried, wronged, visible) -> Result:
    stages = (
        StageResult(
            "accepts",
            "every right function is accepted",
            0.0,
            wronged is None,
            f"a right function was rejected: {wronged.message}"
            if wronged
            else "",
        ),
        StageResult(
            "catches",
            f"at least {needed} of the {tried} wrong functions are caught",
            question.points,
            caught >= needed,
            ""
            if caught >= needed
            else (f"{caught} caught" if visible else "too few were caught"),
        ),
    )
    share = 0.0 if wronged else min(1.0, caught / needed)
    points = int(2 * question.points * share) / 2
    passed = not wronged and caught >= needed
    return Result(
        question_id=question.id,
        title=question.title,
        verdict="pass" if passed else ("partial" if points else "fail"),
        points=points,
        max_points=question.points,
        stages=stages,
        error=wronged.name if wronged else None,
        line=wronged.line if wronged else None,
        error_message=wronged.message if wronged else "",
    )


def _rejection(test: Callable, candidate: Callable) -> Failure | None:
    def function(*args: Any, **kwargs: Any) -> Any:
        return candidate(*args, **kwargs)

    try:
        with calmly(quiet=True):
            fresh(test)(function)
    except (Exception, SystemExit) as error:
        return failure_of(error, test)
    return None
