"""One verdict for each question, with a sentence that explains it.

Of a run with hidden cases only its verdict, its points, a built-in
exception's name and a line of the student's own are said.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attncourse.grading.judging.bench import Tried
from attncourse.grading.judging.guilt import Guilt
from attncourse.grading.judging.proxies import ProxyError
from attncourse.grading.judging.publishing import builtin_error, published
from attncourse.grading.judging.raising import of_student
from attncourse.grading.model import Judged, SourceCell, Verdict
from attncourse.grading.sandbox.replies import Failed


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is known of a question's answer before its test runs.

    `untouched` tells that it is still what students were given, `there`
    that the notebook has it at all. `guilt` and `failed` say how its cell
    ended in the run that saw no hidden case, `line` where. `cells` are the
    answer's own, `stopped` all cells before the test that were stopped;
    `functions` are what the instructor's answer defines.
    """

    untouched: bool = False
    there: bool = True
    guilt: Guilt | None = None
    failed: Failed | None = None
    line: int | None = None
    cells: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    functions: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A verdict, and what goes with it."""

    verdict: Verdict
    says: str
    points: float = 0.0
    error: str | None = None
    line: int | None = None
    flags: tuple[str, ...] = ()


def judged(
    cell: SourceCell,
    answer: Answer,
    hidden: Tried,
    shown: Sequence[dict[str, Any]] = (),
) -> Judged:
    """Return what came of a question whose test was run in full."""
    told = published(hidden.outputs, cell.source)
    found = _found(cell, answer, hidden, told)
    flags = (*found.flags, *hidden.notes)
    return Judged(
        grade_id=cell.grade_id or "",
        verdict=found.verdict,
        points=found.points,
        max_points=cell.points,
        says=found.says,
        told=told,
        error=found.error,
        line=found.line,
        shown=tuple(shown),
        flags=tuple(dict.fromkeys(flags)),
        seconds=round(hidden.seconds, 4),
    )


def untried(cell: SourceCell) -> Judged:
    """Return what to say of a test that found no place in the notebook."""
    return Judged(
        grade_id=cell.grade_id or "",
        verdict="missing",
        points=0.0,
        max_points=cell.points,
        says="No answer was found.",
    )


def notice(guilt: Guilt) -> dict[str, Any]:
    """Return an output that says how a cell was stopped."""
    return {
        "output_type": "error",
        "ename": guilt.verdict,
        "evalue": guilt.says,
        "traceback": [f"This cell was stopped: {guilt.says}"],
    }


def _found(
    cell: SourceCell, answer: Answer, hidden: Tried, told: dict | None
) -> Found:
    if hidden.stopped is not None:
        says = _sentence(hidden.stopped.says)
        return Found(verdict=hidden.stopped.verdict, says=says)
    if hidden.error is not None:
        found = _of_error(cell, answer, hidden, hidden.error)
    else:
        found = _of_points(cell, hidden, told, answer)
    plain = [name for name in hidden.data if name in answer.functions]
    if plain and found.verdict in ("fail", "error"):
        says = (
            f"{plain[0]} must be a function or a class: it is something that "
            "cannot be called."
        )
        return replace(found, says=says)
    if answer.guilt is None:
        return found
    says = _sentence(answer.guilt.says)
    if found.points == 0.0 and cell.points > 0.0:
        return Found(verdict=answer.guilt.verdict, says=says)
    return Found(
        verdict=found.verdict,
        points=found.points,
        says=f"{found.says} The cell itself did not come to its end ({says} "
        "Only what it defines was examined.)",
        flags=found.flags,
    )


def _of_error(
    cell: SourceCell, answer: Answer, hidden: Tried, error: BaseException
) -> Found:
    """Explain an exception that ended the test."""
    if of_student(error):
        return _of_student(answer, error)
    if isinstance(error, NameError) and error.name in hidden.missing:
        return _of_missing(answer, str(error.name))
    if isinstance(error, ProxyError):
        return Found(
            verdict="error",
            says="The test asked for data where the answer gives a function, "
            "a class or an object of its own.",
            flags=(f"the test {cell.grade_id} stopped: {error}",),
        )
    if isinstance(error, AssertionError):
        return Found(verdict="fail", says="The test did not pass.")
    name = type(error).__name__
    return Found(
        verdict="error",
        says="The test itself stopped with an error at what the answer gave; "
        "the instructor is told.",
        flags=(f"the test itself failed: {name}: {str(error)[:300]}",),
    )


def _of_missing(answer: Answer, name: str) -> Found:
    if answer.failed is not None:
        kind = builtin_error(answer.failed.builtin) or "Exception"
        where = f" in line {answer.line}" if answer.line else ""
        return Found(
            verdict="error",
            says=f"The answer's cell stopped with {kind}{where}, so that "
            f"{name} was not defined.",
            error=kind,
            line=answer.line,
        )
    if not answer.there:
        says = f"No answer was found: nothing defines {name}."
    else:
        says = f"{name} is still to be defined."
    return Found(verdict="missing", says=says)


def _of_student(answer: Answer, error: BaseException) -> Found:
    line = getattr(error, "student_line", None)
    kind = builtin_error(getattr(error, "student_builtin", None)) or next(
        each.__name__
        for each in type(error).__mro__
        if each.__module__ == "builtins"
    )
    if kind == "NotImplementedError" and answer.untouched:
        return _todo()
    return _raised(answer, kind, line, getattr(error, "student_cell", None))


def _raised(
    answer: Answer, kind: str, line: int | None, cell: str | None = None
) -> Found:
    """Tell of an answer's exception, and of a cell that may explain it."""
    where = f" in line {line}" if line else ""
    if line and cell and answer.cells and cell not in answer.cells:
        where += f" of {cell}"
    says = f"The answer raised {kind}{where}."
    if kind == "NameError" and answer.stopped:
        says += (
            f" Before that, {answer.stopped[0]} was stopped: what it would "
            "have computed is not there."
        )
    return Found(verdict="error", says=says, error=kind, line=line)


def _todo() -> Found:
    return Found(verdict="missing", says="The answer is still to be written.")


def _of_points(
    cell: SourceCell, hidden: Tried, told: dict | None, answer: Answer
) -> Found:
    """Explain a test that came to its end."""
    told = told or {}
    points, flags = _points(hidden.value, cell)
    if told.get("verdict") == "todo" and points == 0.0:
        return _todo()
    most = cell.points
    if points >= most and told.get("verdict") in (None, "pass"):
        return Found(
            verdict="pass",
            points=points,
            says="The test passed.",
            flags=flags,
        )
    if points > 0.0:
        says = f"The test gave {points:g} of {most:g} points."
        return Found(verdict="partial", points=points, says=says, flags=flags)
    if flags:
        says = "The test did not end with points; the instructor is told."
        return Found(verdict="error", says=says, flags=flags)
    kind, line = told.get("error"), told.get("line")
    if told.get("verdict") == "error" and kind:
        return _raised(answer, kind, line)
    return Found(
        verdict="fail", says="The test did not pass.", error=kind, line=line
    )


def _points(value: Any, cell: SourceCell) -> tuple[float, tuple[str, ...]]:
    """Return a test's points by nbgrader's rule, or a flag.

    Its last expression's number counts; without one all points are given,
    but not where a comparison turned out false.
    """
    if isinstance(value, (bool, np.bool_)):
        return (cell.points if value else 0.0), ()
    if value is None:
        return cell.points, ()
    if not isinstance(value, numbers.Real):
        return cell.points, (
            f"the test {cell.grade_id} must end with points, or with no "
            f"value, and so gave all: got a {type(value).__name__}",
        )
    points = float(value)
    if math.isfinite(points) and 0.0 <= points <= cell.points:
        return points, ()
    return 0.0, (
        f"the test {cell.grade_id} must end with 0 to {cell.points:g} "
        f"points: got {points:g}",
    )


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
