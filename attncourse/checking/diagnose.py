"""Find the misconception that a wrong answer behaves like."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from attncourse.checking.edit import EditError
from attncourse.checking.numerics import Tolerance
from attncourse.checking.question import Case, Misconception, Question
from attncourse.checking.run import Outcome, alike, call


def diagnose(
    question: Question,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    failed: Sequence[bool],
) -> tuple[Misconception, ...]:
    """Return the misconception, or the pair, that explains every outcome.

    A name is given only where the wrong function and the answer agree on
    all cases, those that passed included. Single misconceptions come
    before pairs; where nothing agrees the result is empty.
    """
    if all(outcome.failure for outcome in outcomes):
        return ()  # an answer that never returns resembles nothing
    # The cases that failed refute fastest.
    order = sorted(range(len(cases)), key=lambda index: not failed[index])
    singles = [(each,) for each in question.misconceptions]
    pairs = itertools.combinations(question.misconceptions, 2)
    for suspects in itertools.chain(singles, pairs):
        try:
            wrong = question.wrong(*suspects)
        except (EditError, SyntaxError):
            continue  # a pair that edits the same place
        if all(
            alike(
                call(wrong, cases[index]),
                outcomes[index],
                tolerance_of(question, cases[index]),
            )
            for index in order
        ):
            return suspects
    return ()


def tolerance_of(question: Question, case: Case) -> Tolerance:
    """Return the tolerance that holds for this case."""
    return case.tolerance or question.tolerance
