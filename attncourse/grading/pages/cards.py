"""What a student's feedback says, question by question, before any form.

Everything hidden stays out: texts come from the outcome's own sentences,
from names that the hidden test published, from the student's notebook,
and from the part of a test that the student was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from attncourse.grading.classdata import Manual
from attncourse.grading.model import Judged, Outcome, Plan, Script
from attncourse.grading.pages import told
from attncourse.grading.pages.pictures import joined_text


@dataclass(frozen=True)
class Cell:
    """A cell of the submitted notebook, and what it showed."""

    place: int
    kind: str
    source: str
    grade_id: str = ""
    outputs: tuple = ()
    attachments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """A question: what came of it, why, and the answer it is about.

    `line` is the guilty line of the first answer cell, if that is sure.
    """

    judged: Judged
    title: str
    told: told.Told
    error: str
    answers: tuple[Cell, ...]
    line: int | None
    manual: Manual | None

    @property
    def points(self) -> float:
        """The points that count: a person's, where there are such."""
        own = self.manual
        if own is None:
            return self.judged.points
        given = self.judged.points if own.points is None else own.points
        return given + own.extra


@dataclass(frozen=True)
class Written:
    """An answer that a person grades, and what the person gave."""

    title: str
    answer: Cell | None
    manual: Manual


@dataclass(frozen=True)
class Feedback:
    """All that a page of feedback shows."""

    outcome: Outcome
    cards: tuple[Card, ...]
    written: tuple[Written, ...]
    rest: tuple[Cell, ...]
    penalty: float = 0.0

    @property
    def first_open(self) -> int | None:
        """The number of the first question that is not all right."""
        return next(
            (
                count
                for count, card in enumerate(self.cards, 1)
                if card.judged.verdict != "pass"
            ),
            None,
        )

    @property
    def points(self) -> float:
        """The points so far."""
        total = sum(card.points for card in self.cards)
        for each in self.written:
            total += (each.manual.points or 0.0) + each.manual.extra
        return max(0.0, total - self.penalty)

    @property
    def max_points(self) -> float:
        """The most points that the notebook can bring."""
        return sum(card.judged.max_points for card in self.cards) + sum(
            each.manual.max_points for each in self.written
        )

    @property
    def waiting(self) -> int:
        """How many answers a person has still to grade."""
        return sum(each.manual.points is None for each in self.written)


def gather(
    outcome: Outcome,
    notebook: Any,
    plan: Plan,
    *,
    manual: Iterable[Manual] = (),
    script: Script | None = None,
    penalty: float = 0.0,
) -> Feedback:
    """Return what to show of a graded notebook.

    Parameters
    ----------
    notebook : the submitted one, as a dict; anything may be in it.
    script : tells which cells answer which question where the notebook's
        own metadata no longer do.
    """
    given = {each.grade_id: each for each in manual}
    cells = _read(notebook, outcome, _Names(script, plan))
    cards = tuple(
        _card(judged, cells, plan, given.get(judged.grade_id))
        for judged in outcome.questions
    )
    written = tuple(_written(cells, plan, given))
    used = {cell.place for card in cards for cell in card.answers}
    used |= {each.answer.place for each in written if each.answer}
    rest = tuple(_rest(cells, plan, used))
    return Feedback(outcome, cards, written, rest, penalty)


class _Names:
    """What question each cell of a submission belongs to.

    The match with the plan decides for code. Without one, and for all that
    is no answer, a cell's own metadata do: whatever claims to be a test
    or a locked cell is not shown as the student's.
    """

    def __init__(self, script: Script | None, plan: Plan) -> None:
        self.matched = script is not None
        self.kinds = {cell.grade_id: cell.kind for cell in plan.cells}
        self.found = {
            step.index: step.grade_id
            for step in (script.steps if script else ())
            if step.index is not None and step.grade_id
        }

    def name(self, place: int, metadata: Any) -> str:
        own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        said = own.get("grade_id") if isinstance(own, dict) else None
        claimed = said if isinstance(said, str) else ""
        if self.matched and self.kinds.get(claimed) == "answer":
            claimed = ""
        return self.found.get(place) or claimed


def _read(notebook: Any, outcome: Outcome, names: _Names) -> list[Cell]:
    found = []
    listed = notebook.get("cells") if isinstance(notebook, dict) else None
    for place, raw in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(raw, dict):
            continue
        attached = raw.get("attachments")
        found.append(
            Cell(
                place,
                "code" if raw.get("cell_type") == "code" else "text",
                joined_text(raw.get("source")),
                names.name(place, raw.get("metadata")),
                tuple(outcome.outputs.get(str(place), ())),
                attached if isinstance(attached, dict) else {},
            )
        )
    return found


def _card(
    judged: Judged, cells: list[Cell], plan: Plan, manual: Manual | None
) -> Card:
    asked = next(
        (c.answers for c in plan.tests if c.grade_id == judged.grade_id), ()
    )
    answers = tuple(cell for cell in cells if cell.grade_id in asked)
    said = told.read(judged)
    return Card(
        judged,
        told.title(judged.grade_id, said, plan),
        said,
        told.error(judged),
        answers,
        judged.line if len(answers) == 1 else None,
        manual,
    )


def _written(
    cells: list[Cell], plan: Plan, given: dict[str, Manual]
) -> Iterator[Written]:
    for cell in plan.cells:
        by_hand = cell.kind == "written" or cell.grade_id in given
        if not by_hand or cell.kind == "test" or cell.grade_id is None:
            continue
        answers = [c for c in cells if c.grade_id == cell.grade_id]
        yield Written(
            told.title(cell.grade_id, told.Told(), plan),
            answers[-1] if answers else None,
            given.get(cell.grade_id)
            or Manual(grade_id=cell.grade_id, max_points=cell.points),
        )


def _rest(cells: list[Cell], plan: Plan, used: set[int]) -> Iterator[Cell]:
    """Yield the cells that are the student's, or that showed something.

    A test's source is never taken from the notebook: a graded one holds
    the hidden part.
    """
    given = {cell.visible.strip() for cell in plan.cells}
    kinds = {cell.grade_id: cell.kind for cell in plan.cells}
    for cell in cells:
        kind = kinds.get(cell.grade_id or None)
        if cell.place in used or kind == "test" or not cell.source.strip():
            continue
        unchanged = kind == "locked" or cell.source.strip() in given
        if unchanged and (cell.kind == "text" or not cell.outputs):
            continue
        if kind == "locked":
            source = plan.cell(cell.grade_id).visible
            cell = Cell(cell.place, cell.kind, source, outputs=cell.outputs)
        yield cell
