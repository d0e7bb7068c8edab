"""How a submitted cell is like a released one."""

from __future__ import annotations

from attncourse.grading.model import SourceCell
from attncourse.grading.notebooks.reading import Cell
from attncourse.grading.notebooks.stubs import unwritten
from attncourse.grading.notebooks.syntax import Code, look

ANSWERS = ("answer", "written")


def same(one: str, other: str) -> bool:
    """Tell whether two sources differ in blank space at line ends only."""
    return one == other or tidy(one) == tidy(other)


def tidy(source: str) -> str:
    """Return a source without blank space at line ends and around it."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def lines(source: str) -> frozenset[str]:
    """Return a cell's lines that could be anybody's in no other cell."""
    stripped = (line.strip() for line in source.splitlines())
    return frozenset(line for line in stripped if len(line) > 3)


def shared(cell: frozenset[str], released: frozenset[str]) -> float:
    """Return which part of the released lines a cell still has."""
    return len(cell & released) / len(released) if released else 0.0


def names(cell: SourceCell) -> frozenset[str]:
    """Return the names by which an answer is known: functions, if any."""
    code = look(cell.source)
    return code.defines or code.assigns


def answered(asked: SourceCell, cell: Cell, code: Code) -> bool:
    """Tell whether a cell holds an answer and not only what was given."""
    if asked.kind not in ANSWERS or same(cell.source, asked.visible):
        return False
    known = names(asked)
    if not code.binds & known:
        return False
    # What was too long to be parsed together is not parsed for this either.
    parsed = code.whole and not code.assigns & known
    return not (parsed and unwritten(cell.source, known))
