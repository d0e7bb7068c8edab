"""Find which cell of the plan each cell of a submission is.

By nbgrader's name, then by the cell's id, then by content: the very text,
the function that an answer defines, the lines that it shares with what was
released. Nothing that a notebook claims is needed, and no claim is believed
that the content contradicts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attncourse.grading.model import Plan, SourceCell
from attncourse.grading.notebooks.likeness import (
    ANSWERS,
    answered,
    lines,
    names,
    same,
    shared,
    tidy,
)
from attncourse.grading.notebooks.reading import Cell, Notebook
from attncourse.grading.notebooks.syntax import (
    DEFINITION,
    MOST_CHARACTERS,
    Code,
    look,
    look_at_all,
)

# Cells that come from the source, whatever the submission holds.
FIXED = ("test", "locked")
# The share of a released cell's lines that makes a cell a version of it.
ALIKE = 0.5


@dataclass(frozen=True)
class Pairing:
    """For each submitted cell, the place of its cell in the plan or None.

    Of several cells with the same place, the last one counts. `codes` are
    the names in each submitted cell.
    """

    places: tuple[int | None, ...]
    notes: tuple[str, ...]
    codes: tuple[Code, ...]

    def counted(self) -> dict[int, int]:
        """Return the submitted cell that counts for each place."""
        return {p: i for i, p in enumerate(self.places) if p is not None}


def pair(plan: Plan, notebook: Notebook) -> Pairing:
    """Match the cells of a submission with those of the plan."""
    return _Pairer(plan, notebook.cells).pairing()


def called(cell: SourceCell | Cell) -> str:
    """Return what a note calls a cell.

    Examples
    --------
    >>> called(Cell(index=3, cell_type="code", source="x = 1"))
    'cell 4'
    """
    if isinstance(cell, Cell):
        return f"cell {cell.index + 1}"
    return f"{cell.grade_id!r}" if cell.grade_id else "a cell"


class _Pairer:
    """Fills the places, from the surest sign to the weakest."""

    def __init__(self, plan: Plan, cells: tuple[Cell, ...]) -> None:
        self.plan = plan.cells
        self.cells = cells
        # Text is no code, but for an answer whose type was changed.
        self.codes = look_at_all(
            cell.source
            if cell.cell_type == "code" or DEFINITION.search(cell.source)
            else ""
            for cell in cells
        )
        self.places: list[int | None] = [None] * len(cells)
        self.found: set[int] = set()
        self.bare = not any(cell.grade_id for cell in cells)
        self.notes: list[str] = []
        self.owners: dict[str, list[int]] = defaultdict(list)
        for place, cell in enumerate(self.plan):
            if cell.kind in ANSWERS and cell.cell_type == "code":
                for name in names(cell):
                    self.owners[name].append(place)

    def pairing(self) -> Pairing:
        self._by_name()
        self._by_id()
        self._by_text()
        self._by_definition()
        self._by_lines()
        self._by_neighbours()
        return self._now()

    def _now(self) -> Pairing:
        return Pairing(tuple(self.places), tuple(self.notes), self.codes)

    def _open(self) -> list[Cell]:
        """Return the cells that nothing is known of yet."""
        return [
            cell
            for cell in self.cells
            if self.places[cell.index] is None and cell.source.strip()
        ]

    def _missing(self, kinds: Iterable[str]) -> list[int]:
        """Return the places of these kinds that no cell has yet."""
        return [
            place
            for place, cell in enumerate(self.plan)
            if cell.kind in kinds and place not in self.found
        ]

    def _put(self, cell: Cell, place: int) -> None:
        self.places[cell.index] = place
        self.found.add(place)

    def _by_name(self) -> None:
        known = {
            cell.grade_id: place
            for place, cell in enumerate(self.plan)
            if cell.grade_id
        }
        self._claimed(lambda cell: known.get(cell.grade_id or ""))
        claims = {cell.grade_id for cell in self.cells if cell.grade_id}
        for name in sorted(claims - set(known)):
            self.notes.append(f"no cell is named {name[:40]!r} in the source")
        if known and self.bare:
            self.notes.append(
                "nbgrader's metadata is gone: the cells were recognised by "
                "what they hold"
            )

    def _by_id(self) -> None:
        known = {
            cell.cell_id: place
            for place, cell in enumerate(self.plan)
            if cell.cell_id and place not in self.found
        }
        self._claimed(lambda cell: known.get(cell.cell_id or ""))

    def _claimed(self, claim: Callable[[Cell], int | None]) -> None:
        for cell in self.cells:
            place = claim(cell)
            if place is None or self.places[cell.index] is not None:
                continue
            if self._believed(cell, self.plan[place]):
                self._put(cell, place)
            else:
                self.notes.append(
                    f"{called(cell)} bears the name of "
                    f"{called(self.plan[place])} and holds something else"
                )

    def _believed(self, cell: Cell, claimed: SourceCell) -> bool:
        """Tell whether a cell's content allows what its metadata says."""
        if same(cell.source, claimed.visible) or not cell.source.strip():
            return True
        if claimed.kind in FIXED:
            here = self.codes[cell.index].defines & set(self.owners)
            if here - look(claimed.source).binds:
                # A test that was merged with the answer above it.
                return False
            return bool(lines(cell.source) & lines(claimed.visible)) or not (
                self.codes[cell.index].defines
            )
        if claimed.kind in ANSWERS and claimed.cell_type == "code":
            defined = self.codes[cell.index].defines
            return not defined & set(self.owners) or bool(
                defined & names(claimed)
            )
        return True

    def _by_text(self) -> None:
        """Recognise what was left as it was released."""
        known: dict[str, list[int]] = defaultdict(list)
        for place in self._missing(
            ("test", "locked", "text", "free", *ANSWERS)
        ):
            known[tidy(self.plan[place].visible)].append(place)
        for cell in self._open():
            places = known.get(tidy(cell.source))
            if places:
                # The same text twice, such as an empty stub: in order.
                self._put(cell, places[0])
                if len(places) > 1:
                    places.pop(0)

    def _by_definition(self) -> None:
        """Recognise an answer by the function that it defines."""
        done = {
            place
            for place, index in self._now().counted().items()
            if answered(self.plan[place], self.cells[index], self.codes[index])
        }
        for cell in self._open():
            code = self.codes[cell.index]
            if cell.cell_type != "code" and not code.whole:
                continue
            found = {
                place
                for name in code.defines | code.assigns
                for place in self.owners.get(name, ())
                if place not in done
                and (name in code.defines or place not in self.found)
            }
            if found:
                own = lines(cell.source)
                best = max(
                    found - self.found or found,
                    key=lambda p: (
                        shared(own, lines(self.plan[p].visible)),
                        -p,
                    ),
                )
                self._recognised(cell, best)

    def _by_lines(self) -> None:
        """Recognise a cell by the lines of the released one."""
        known: dict[str, list[int]] = defaultdict(list)
        released = {}
        for place in self._missing((*FIXED, *ANSWERS)):
            # What was given, without the stub that every answer has.
            cell = self.plan[place]
            released[place] = lines(cell.visible) & lines(cell.source)
            for line in released[place]:
                known[line].append(place)
        for mine in self._open() if released else ():
            own = lines(mine.source[:MOST_CHARACTERS])
            near = {place for line in own for place in known.get(line, ())}
            best = max(
                near,
                key=lambda p: (shared(own, released[p]), -p),
                default=None,
            )
            if best is not None and shared(own, released[best]) >= ALIKE:
                self._recognised(mine, best)

    def _by_neighbours(self) -> None:
        """Recognise a written answer by what stands around it."""
        for place in self._missing(("written",)):
            if self.plan[place].cell_type == "code":
                continue
            counted = self._now().counted()
            before = max(
                (counted[p] for p in counted if p < place), default=-1
            )
            after = min(
                (i for p, i in counted.items() if p > place and i > before),
                default=len(self.cells),
            )
            between = [
                cell
                for cell in self._open()
                if before < cell.index < after and cell.cell_type != "code"
            ]
            for cell in between[:1]:
                self._recognised(cell, place)

    def _recognised(self, cell: Cell, place: int) -> None:
        self._put(cell, place)
        if not self.bare:
            self.notes.append(
                f"{called(cell)} was taken for {called(self.plan[place])}, "
                "though it does not say that it is"
            )
