"""The verdict that a hidden test published, read with care.

A course's tests may publish anything, or nothing; what does not have the
form that is agreed on is left out.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass
from typing import Any

from attncourse.grading.model import Judged, Plan
from attncourse.grading.pages import safe

LONGEST = 2_000
# A heading of the first level is the notebook's own.
HEADING = re.compile(r"^ {0,3}#{2,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True)
class Stage:
    """A part of a question: what must hold, and whether it did."""

    name: str
    must: str
    points: float | None
    passed: bool


@dataclass(frozen=True)
class Misconception:
    """A known mistake: its name, what to tell, and where to read."""

    name: str
    says: str = ""
    where: str = ""


@dataclass(frozen=True)
class Told:
    """What may be said of a hidden examination.

    `todo` is True where the answer was still to be written; `failed` are
    names of stages for tests that publish no more than those.
    """

    title: str = ""
    todo: bool = False
    stages: tuple[Stage, ...] = ()
    failed: tuple[str, ...] = ()
    misconceptions: tuple[Misconception, ...] = ()
    notes: tuple[str, ...] = ()


def read(judged: Judged) -> Told:
    """Return what a question's hidden test told, all fields optional."""
    told = judged.told if isinstance(judged.told, dict) else {}
    stages = tuple(
        Stage(
            _line(each.get("name")),
            _line(each.get("must")),
            _number(each.get("points")),
            each.get("passed") is True,
        )
        for each in _dicts(told.get("stages"))
    )
    known = tuple(
        Misconception(
            _line(each.get("name")),
            _line(each.get("says")),
            _line(each.get("where")),
        )
        for each in _dicts(told.get("misconceptions"))
    )
    return Told(
        title=_line(told.get("title")),
        todo=told.get("verdict") == "todo",
        stages=stages,
        failed=_lines(told.get("failed_stages")),
        misconceptions=known
        or tuple(map(Misconception, _lines(told.get("diagnosis")))),
        notes=_lines(told.get("notes")),
    )


def title(grade_id: str, told: Told, plan: Plan | None = None) -> str:
    """Return what to call a question.

    The title that its test published, or else the last heading above it
    in the notebook, or else its cell's name.

    Examples
    --------
    >>> title("softmax_rows-test", Told())
    'softmax rows'
    """
    plain = safe.name(grade_id).removesuffix("-test").replace("_", " ")
    return told.title or (plan and _heading(grade_id, plan)) or plain


def _heading(grade_id: str, plan: Plan) -> str:
    """Return the heading between a graded cell and the graded one before."""
    found = ""
    for cell in plan.cells:
        if cell.grade_id == grade_id:
            return found
        if cell.kind in ("test", "written"):
            found = ""
        if cell.cell_type == "markdown":
            headings = HEADING.findall(cell.visible)
            found = safe.name(headings[-1]) if headings else found
    return ""


def error(judged: Judged) -> str:
    """Return a built-in exception's name, or "" for any other text."""
    name = judged.error
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    known = isinstance(kind, type) and issubclass(kind, BaseException)
    return str(name) if known else ""


def _dicts(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list | tuple) else ()
    return [each for each in items if isinstance(each, dict)][:50]


def _lines(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else ()
    return tuple(_line(each) for each in items if isinstance(each, str))[:50]


def _line(value: Any) -> str:
    return safe.text(value, limit=LONGEST) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None
