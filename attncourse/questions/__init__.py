"""The questions of the course, and how an answer to one is examined.

`check` is what a visible cell of a notebook calls, `grade` what the
hidden part of a test cell ends with. Both examine with the same
definitions; they differ in the key that draws the cases, and in what they
tell.
"""

from __future__ import annotations

import importlib
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attncourse.checking import judge
from attncourse.checking.draw import as_html, as_text
from attncourse.checking.leaning import leans_on
from attncourse.checking.question import AnyQuestion, Audit, Prediction
from attncourse.checking.result import VERDICT_MIME, Result

UNITS = (
    "lookup",
    "softmax",
    "scores",
    "dense",
    "masks",
    "heads",
    "positions",
)
# Visible cases are the same for everybody; hidden ones never use this key.
VISIBLE_KEY = "visible"
# The environment variable in which the grader hands over a student's seed.
SEED = "GRADING_SEED"
PACKAGE = __name__.partition(".")[0]
NOT_THERE = (
    f"{PACKAGE} is not there when your notebook is graded: what your answer "
    "calls of it, write yourself."
)


class NotYet(AssertionError):
    """A visible check that did not pass; the reasons are shown above it."""

    def _render_traceback_(self) -> list[str]:
        # In a notebook the result is the message; a traceback is noise.
        return [f"NotYet: {self}"]


def stem(unit: str) -> str:
    """Return a unit's name with its number, as files carry it.

    Examples
    --------
    >>> stem("dense")
    '04_dense'
    """
    if unit not in UNITS:
        raise ValueError(
            f"unit must be one of {', '.join(UNITS)}: got {unit!r}"
        )
    return f"{UNITS.index(unit) + 1:02d}_{unit}"


def ids(unit: str) -> list[str]:
    """Return a unit's question ids in the order of its notebook."""
    stem(unit)
    package = importlib.import_module(f"attncourse.questions.{unit}")
    return [f"{unit}.{name}" for name in package.ORDER]


def load(question_id: str) -> AnyQuestion:
    """Return the question with this id.

    Raises
    ------
    ValueError
        If there is no such question; the message lists those there are.
    """
    unit, _, name = question_id.partition(".")
    known = ids(unit)
    if question_id not in known:
        raise ValueError(
            f"question must be one of {', '.join(known)}: got {question_id!r}"
        )
    module = importlib.import_module(f"attncourse.questions.{unit}.{name}")
    return module.QUESTION


def place(section: str) -> str:
    """Say where in the book a section stands.

    Examples
    --------
    >>> place("dense-keys-averaged")
    'chapter 04_dense, section "keys averaged"'
    """
    unit, _, title = section.partition("-")
    return f'chapter {stem(unit)}, section "{title.replace("-", " ")}"'


def examine(
    question_id: str,
    answer: Any,
    *,
    key: str = VISIBLE_KEY,
    quiet: bool = True,
    **secret: Any,
) -> Result:
    """Return the result of examining `answer` under `key`."""
    question = load(question_id)
    if isinstance(question, Prediction):
        return judge.examine_prediction(question, answer, **secret)
    if isinstance(question, Audit):
        return judge.examine_audit(question, answer, key=key, **secret)
    return judge.examine(question, answer, key=key, quiet=quiet, **secret)


def check(question_id: str, answer: Any) -> None:
    """Show whether `answer` holds on public cases; raise if it does not.

    An answer that is still to be written is reminded of kindly, without
    an error, except while nbgrader validates the notebook. While it is
    being graded this does nothing: the hidden cases decide.

    Raises
    ------
    NotYet
        If the answer fails a case.
    """
    execution = os.environ.get("NBGRADER_EXECUTION")
    if execution == "autograde":
        return
    result = examine(question_id, answer, quiet=False)
    if leans_on(answer, PACKAGE) and not _of_package(answer):
        result = replace(result, notes=(*result.notes, NOT_THERE))
    _show(
        as_text(result, where=_places(result)),
        as_html(result, where=_places(result)),
    )
    if result.verdict == "todo" and execution != "validate":
        return
    if not result.passed:
        raise NotYet(f"{question_id} is not yet right; the reasons are above")


def grade(
    question_id: str,
    answer: Any,
    *,
    key: str | None = None,
    answers: Mapping[str, str] | None = None,
    because: Mapping[str, Mapping[str, str]] | None = None,
    right: Sequence[Callable] | None = None,
    wrong: Sequence[Callable] | None = None,
) -> float:
    """Return the points that `answer` earns on hidden cases.

    It tells no more than names: stages, misconceptions, an exception's
    type. Secret answers and candidates come from the hidden test cell.

    Parameters
    ----------
    key : draws the cases. Without one it is the seed that the grader set
        for this student, and outside the grader a new one each time.
    """
    key = key or os.environ.get(SEED) or secrets.token_hex(16)
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("answers", answers),
            ("because", because),
            ("right", right),
            ("wrong", wrong),
        )
        if value is not None
    }
    result = examine(question_id, answer, key=key, **given)
    _publish(result.told(_places(result)))
    return float(result.points)


def _of_package(answer: Any) -> bool:
    """Tell whether an answer is the course's own, not a student's."""
    home = str(getattr(answer, "__module__", ""))
    return home.partition(".")[0] == PACKAGE


def _places(result: Result) -> dict[str, str]:
    return {each.section: place(each.section) for each in result.diagnosis}


def _shell() -> Any:
    """Return IPython's display module inside a running shell, else None."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return None
    return importlib.import_module("IPython.display")


def _show(text: str, html: str) -> None:
    display = _shell()
    if display is None:
        print(text)
    else:
        display.display({"text/plain": text, "text/html": html}, raw=True)


def _publish(told: dict[str, Any]) -> None:
    display = _shell()
    if display is not None:
        display.display(
            {VERDICT_MIME: told, "text/plain": told["verdict"]}, raw=True
        )
