"""Find the misconception that a wrong answer behaves like."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence

from attncourse.checking.edit import EditError
from attncourse.checking.numerics import Tolerance
from attncourse.checking.question import Case, Misconception, Question
from attncourse.checking.run import Outcome, alike, called, calmly


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
    with calmly(quiet=True):
        for suspects in suspected(question):
            try:
                wrong = question.wrong(*suspects)
            except (EditError, SyntaxError):
                continue  # a pair that edits the same place
            if all(
                alike(
                    called(wrong, cases[index]),
                    outcomes[index],
                    tolerance_of(question, cases[index]),
                )
                for index in order
            ):
                return suspects
    return ()


def suspected(question: Question) -> Iterator[tuple[Misconception, ...]]:
    """Yield what a wrong answer may suffer from, simple things first."""
    yield from ((each,) for each in question.misconceptions)
    yield from itertools.combinations(question.misconceptions, 2)


def prepare(question: Question) -> None:
    """Compile every wrong function that `diagnose` may try.

    Compiling them takes longer than trying them, and is remembered: a
    process that forks a judge for each answer does it once for all.
    """
    for suspects in suspected(question):
        with contextlib.suppress(EditError, SyntaxError):
            question.wrong(*suspects)


def tolerance_of(question: Question, case: Case) -> Tolerance:
    """Return the tolerance that holds for this case."""
    return case.tolerance or question.tolerance
