"""Read an authored unit: cells with roles, and whether they fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attncourse.checking.question import AnyQuestion
from attncourse.notebooks.course import CourseError

ROLES = {
    "setup": "code",
    "prompt": "markdown",
    "answer": "code",
    "test": "code",
    "given": "code",
    "written": "markdown",
}
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


class AuthorError(CourseError):
    """A solutions file that cannot become a notebook; one line each."""


@dataclass(frozen=True)
class Authored:
    """One cell as its author wrote it.

    `role` is empty for free text and code; `question` is the name within
    the unit, empty where the cell belongs to none.
    """

    kind: str  # code or markdown
    source: str
    role: str = ""
    question: str = ""


def read(file: Path) -> list[Authored]:
    """Return the cells of a percent-format file."""
    return parse(file.read_text(encoding="utf-8"))


def parse(text: str) -> list[Authored]:
    r"""Return the cells of a text in percent format.

    Examples
    --------
    >>> parse('# %% role="setup"\nimport numpy as np\n')
    [Authored(kind='code', source='import numpy as np', role='setup',
        question='')]
    """
    import jupytext

    cells = jupytext.reads(text, fmt="py:percent").cells
    return [
        Authored(
            cell.cell_type,
            cell.source,
            cell.metadata.get("role", ""),
            cell.metadata.get("question", ""),
        )
        for cell in cells
        if cell.source.strip() or "role" in cell.metadata
    ]


def faults(
    cells: Sequence[Authored],
    unit: str,
    asked: Mapping[str, AnyQuestion],
) -> list[str]:
    """Return what is wrong with a unit's cells, a sentence each.

    `asked` holds the unit's questions by id, in the order of its ORDER.
    """
    found = []
    for number, cell in enumerate(cells, 1):
        found += [f"cell {number}: {fault}" for fault in _cell_faults(cell)]
        owner, _, name = cell.question.partition(".")
        if cell.question and (owner != unit or not name):
            found.append(
                f"cell {number}: question must be {unit}.NAME: "
                f"got {cell.question!r}"
            )
    graded = [c for c in cells if c.role in ("answer", "test", "prompt")]
    written = [c.question for c in cells if c.role == "written"]
    for id_ in {c.question: None for c in graded}:
        if id_ not in asked and id_ not in written:
            found.append(
                f"question {id_!r} must have a module in "
                f"attncourse/questions/{unit}: known are {', '.join(asked)}"
            )
    for id_ in asked:
        for role in ("prompt", "answer", "test"):
            count = sum(c.role == role and c.question == id_ for c in graded)
            if count != 1:
                found.append(
                    f"question {id_!r} must have one {role} cell: got {count}"
                )
    order = [c.question for c in cells if c.role == "answer"]
    if not found and order != list(asked):
        found.append(
            f"answers must come in the order of ORDER, {', '.join(asked)}: "
            f"got {', '.join(order)}"
        )
    if not found:
        found += _sequence_faults(cells)
    found += [
        f"written question {id_!r} must have one cell"
        for id_ in set(written)
        if written.count(id_) > 1
    ]
    return found


def _cell_faults(cell: Authored) -> list[str]:
    if cell.role and cell.role not in ROLES:
        return [f"role must be one of {', '.join(ROLES)}: got {cell.role!r}"]
    found = []
    if cell.role and ROLES[cell.role] != cell.kind:
        found.append(
            f"a {cell.role} cell must be {ROLES[cell.role]}: got {cell.kind}"
        )
    if cell.role in ("prompt", "answer", "test", "written") and (
        not cell.question
    ):
        found.append(f"a {cell.role} cell must name its question: got none")
    marks = cell.source.count(BEGIN), cell.source.count(END)
    if marks[0] != marks[1] or marks[0] > 1:
        found.append(f"{BEGIN} and {END} must come as a pair: got {marks}")
    if marks[0] and cell.role not in ("answer", "written"):
        found.append(
            f"only answers may hold a solution: got one in a "
            f"{cell.role or 'free'} cell"
        )
    if cell.role == "written" and not marks[0]:
        found.append("a written cell must hold a solution between marks")
    if "HIDDEN TESTS" in cell.source:
        found.append("the tool writes the hidden tests: got marks of them")
    return found


def _sequence_faults(cells: Sequence[Authored]) -> list[str]:
    found = []
    place = {
        (cell.role, cell.question): number for number, cell in enumerate(cells)
    }
    for (role, id_), number in place.items():
        if role != "test":
            continue
        prompt, answer = place[("prompt", id_)], place[("answer", id_)]
        if not prompt < answer < number:
            found.append(
                f"question {id_!r}: prompt, answer and test must come in "
                "this order"
            )
    return found
