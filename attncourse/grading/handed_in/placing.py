"""Put what a submission holds into the order in which it is run.

The student's cells keep their order. Tests and locked cells come from the
source, each of them once: a test after what it is about, a locked cell
before what needs it.
"""

from __future__ import annotations

from collections import defaultdict

from attncourse.grading.handed_in.holders import Holders
from attncourse.grading.handed_in.matching import Pairing, called
from attncourse.grading.model import Plan, Script, SourceCell, Step
from attncourse.grading.notebooks.additions import added
from attncourse.grading.notebooks.likeness import (
    ANSWERS,
    answered,
    lines,
    names,
    same,
    shared,
)
from attncourse.grading.notebooks.reading import Cell, Notebook
from attncourse.grading.notebooks.syntax import look

# A cell's place in the submission; 0 before it, 1 at it; its place in the
# plan, which orders what is put back between the same two cells.
Key = tuple[int, int, int]
MOST_NOTES = 40


def place(plan: Plan, notebook: Notebook, pairing: Pairing) -> Script:
    """Return the steps in which a submission is run and judged."""
    return _Placer(plan, notebook, pairing).script()


class _Placer:
    """Collects the steps with their keys, and notes what was odd."""

    def __init__(
        self, plan: Plan, notebook: Notebook, pairing: Pairing
    ) -> None:
        self.plan = plan.cells
        self.cells = notebook.cells
        self.pairing = pairing
        self.places = pairing.places
        self.codes = pairing.codes
        self.notes = [*notebook.notes, *pairing.notes]
        self.where: dict[int, list[int]] = defaultdict(list)
        for index, spot in enumerate(self.places):
            if spot is not None:
                self.where[spot].append(index)
        self.steps: list[tuple[Key, Step]] = []
        self.keys: dict[int, Key] = {}
        if notebook.language not in ("python", "ipython"):
            self.notes.append(
                f"the notebook's language is {notebook.language!r}: it was "
                "run as Python"
            )

    def script(self) -> Script:
        for cell in self.cells:
            self._student(cell, self.places[cell.index])
        ran = [step.index for _, step in self.steps if step.index is not None]
        self.holders = Holders(
            self.plan, self.cells, self.pairing, self.where, ran
        )
        for kind, write in (("locked", self._given), ("test", self._test)):
            for spot, asked in enumerate(self.plan):
                if asked.kind == kind:
                    write(spot, asked)
        self._answers()
        first = [self.where[spot][0] for spot in sorted(self.where)]
        if first != sorted(first):
            self.notes.append("the cells are not in the order of the release")
        self.steps.sort(key=lambda step: step[0])
        notes = list(dict.fromkeys(self.notes))
        if len(notes) > MOST_NOTES:
            more = len(notes) - MOST_NOTES
            notes[MOST_NOTES:] = [f"there are {more} more notes"]
        return Script(
            steps=tuple(step for _, step in self.steps),
            notes=tuple(notes),
            missing=self._missing(),
        )

    def _student(self, cell: Cell, spot: int | None) -> None:
        """Add a cell of the student's own, unless the source has it."""
        if not cell.source.strip():
            return
        if spot is None or self.plan[spot].kind in ("free", "text"):
            if cell.cell_type == "code":
                self._run(cell, None)
            return
        asked = self.plan[spot]
        if asked.kind in ANSWERS:
            self._answer(cell, spot, asked)
        elif self.where[spot][0] != cell.index and not self._version(
            cell, asked
        ):
            # Somebody copied a given cell and wrote something else there.
            self._run(cell, None)

    def _version(self, cell: Cell, asked: SourceCell) -> bool:
        own = lines(cell.source)
        return shared(lines(asked.visible), own) >= 0.5 or same(
            cell.source, asked.visible
        )

    def _run(self, cell: Cell, grade_id: str | None) -> None:
        self._own(cell, (cell.index, 1, 0), cell.source, grade_id)

    def _own(
        self, cell: Cell, key: Key, source: str, grade_id: str | None = None
    ) -> None:
        step = Step(
            do="cell", source=source, grade_id=grade_id, index=cell.index
        )
        self.steps.append((key, step))

    def _answer(self, cell: Cell, spot: int, asked: SourceCell) -> None:
        if asked.cell_type != cell.cell_type:
            self.notes.append(
                f"{called(cell)}, {called(asked)}, must be a "
                f"{asked.cell_type} cell: got {cell.cell_type}"
            )
        if asked.cell_type != "code":
            return
        before = self.where[spot][: self.where[spot].index(cell.index)]
        if same(cell.source, asked.visible) and any(
            answered(asked, self.cells[index], self.codes[index])
            for index in before
        ):
            self.notes.append(
                f"{called(cell)} is {called(asked)} as it was released: it "
                "was left out, since an answer stands above it"
            )
            return
        self._run(cell, asked.grade_id)

    def _given(self, spot: int, cell: SourceCell) -> None:
        """Add a locked cell at its place, or before what needs it."""
        step = Step(do="given", source=cell.visible, grade_id=cell.grade_id)
        code = look(cell.visible)
        needed = self._first(
            after
            for after in range(spot + 1, len(self.plan))
            if code.binds & look(self.plan[after].source).uses
        )
        own, changed = self.where.get(spot, []), False
        if own:
            changed = self._changed(self.cells[own[0]], cell)
            if len(own) > 1:
                self.notes.append(
                    f"the locked cell {called(cell)} stands {len(own)} times: "
                    "it was run once"
                )
            key: Key = (own[0], 1, 0)
            step = Step(**{**vars(step), "index": own[0]})
        else:
            self.notes.append(f"the locked cell {called(cell)} was put back")
            following = self._first(range(spot + 1, len(self.plan)))
            key = (following, 0, spot)
        if needed < key[0]:
            # It may itself call an answer: that one goes first.
            uses = code.uses
            first = [
                self.where[b][0]
                for b in range(spot)
                if b in self.where
                and self.plan[b].kind in ANSWERS
                and names(self.plan[b]) & uses
            ]
            key = min(key, (max([needed, *(i + 1 for i in first)]), 0, spot))
        self.keys[spot] = key
        if changed and self.codes[own[0]].binds - code.binds:
            # What was added to it; then the released one, whose names win.
            self._own(self.cells[own[0]], key, self.cells[own[0]].source)
        self.steps.append((key, step))

    def _first(self, spots) -> int:
        """Return the first submitted cell of these places in the plan."""
        found = (self.where[s][0] for s in spots if s in self.where)
        return min(found, default=len(self.cells))

    def _changed(self, cell: Cell, asked: SourceCell) -> bool:
        """Tell, and note, whether a cell that was given was changed."""
        changed = not same(cell.source, asked.visible) and not same(
            cell.source, asked.source
        )
        if changed:
            self.notes.append(
                f"{called(cell)}, {called(asked)}, was changed: the released "
                "one was used, after what was added to it"
            )
        return changed

    def _test(self, spot: int, cell: SourceCell) -> None:
        """Add a test at its place, if all it needs stands above."""
        own = self.where.get(spot, [])
        after = max(self._needs(spot, cell), default=(-1, 1, 0))
        if not own:
            self.notes.append(f"the test {called(cell)} was put back")
        elif len(own) > 1:
            self.notes.append(
                f"the test {called(cell)} stands {len(own)} times: the "
                "released one was run once"
            )
        if own and self._changed(self.cells[own[-1]], cell):
            mine = self.cells[own[-1]]
            more = added(mine.source, cell.visible)
            if more and mine.index not in self.holders.ran:
                self._own(mine, (own[-1], 1, 0), more)
        key: Key = (own[-1], 1, 0) if own else (-1, 0, 0)
        index = own[-1] if own else None
        if key <= after:
            if own:
                self.notes.append(
                    f"the test {called(cell)} stood above its answer, which "
                    f"cell {after[0] + 1} holds: it was run below"
                )
            following = [
                i
                for s, found in self.where.items()
                if s > spot and (i := found[0], 0, spot) > after
            ]
            key = (min(following, default=len(self.cells)), 0, spot)
        self.steps.append(
            (key, Step(do="test", grade_id=cell.grade_id, index=index))
        )

    def _needs(self, spot: int, cell: SourceCell) -> list[Key]:
        """Return the keys of all that must be run before a test.

        Of its own answers the last cell, of what these use the first.
        """
        found = [
            (self.holders.of(s)[-1], 1, 0)
            for s in range(spot)
            if self.plan[s].grade_id in cell.answers and self.holders.of(s)
        ]
        wanted = set(look(cell.source).uses)
        for s in reversed(range(spot)):
            other = self.plan[s]
            if other.kind == "locked":
                bound = look(other.visible).binds
            elif other.kind in ANSWERS and other.cell_type == "code":
                bound = names(other)
            else:
                continue
            if not bound & wanted:
                continue
            wanted |= look(other.source).uses
            if s in self.keys:
                found.append(self.keys[s])
            elif self.holders.of(s):
                found.append((self.holders.first(s), 1, 0))
        return found

    def _answers(self) -> None:
        for spot, cell in enumerate(self.plan):
            if cell.kind not in ANSWERS or cell.metadata.get(
                "nbgrader", {}
            ).get("task"):
                continue
            own = self.where.get(spot, [])
            if not own:
                self.notes.append(f"no cell holds the answer {called(cell)}")
            elif len(own) > 1:
                numbers = ", ".join(str(index + 1) for index in own)
                self.notes.append(
                    f"the answer {called(cell)} stands in cells {numbers}: "
                    "all are used, and the last one counts"
                )

    def _missing(self) -> tuple[str, ...]:
        """Return the tests whose answers nothing in the notebook binds."""
        spots = {cell.grade_id: s for s, cell in enumerate(self.plan)}
        ran = [step.index for _, step in self.steps if step.do == "cell"]
        if any(self.codes[i].star for i in ran if i is not None):
            return ()
        return tuple(
            str(test.grade_id)
            for test in self.plan
            if test.kind == "test"
            and test.answers
            and not any(self.holders.of(spots[name]) for name in test.answers)
        )
