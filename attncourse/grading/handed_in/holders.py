"""Which of a notebook's cells hold an answer, wherever it was written."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from attncourse.grading.handed_in.matching import Pairing
from attncourse.grading.model import SourceCell
from attncourse.grading.notebooks.likeness import answered, names, same
from attncourse.grading.notebooks.reading import Cell


class Holders:
    """Finds the cells of an answer: its own, or what stands in its place.

    `where` are the cells found for each place of the plan, `ran` the cells
    of the student's that are run, in their order.
    """

    def __init__(
        self,
        plan: Sequence[SourceCell],
        cells: Sequence[Cell],
        pairing: Pairing,
        where: Mapping[int, list[int]],
        ran: Sequence[int],
    ) -> None:
        self.plan = plan
        self.cells = cells
        self.places = pairing.places
        self.codes = pairing.codes
        self.where = where
        self.ran = ran
        self.of = functools.cache(self._of)
        self.late = functools.cache(self._late)

    def first(self, spot: int) -> int:
        """Return the first cell that answers, or else holds the stub."""
        asked = self.plan[spot]
        return next(
            (
                index
                for index in self.of(spot)
                if answered(asked, self.cells[index], self.codes[index])
            ),
            self.of(spot)[0],
        )

    def _of(self, spot: int) -> list[int]:
        """Return the cells that hold an answer, or else bind its names."""
        if spot in self.where:
            return [*self.where[spot], *self.late(spot)]
        asked = names(self.plan[spot])
        return [index for index in self.ran if self.codes[index].binds & asked]

    def _late(self, spot: int) -> list[int]:
        """Return cells below an untouched answer that were written for it.

        Those above its test are enough, where there are any.
        """
        asked, own = self.plan[spot], self.where.get(spot, [])
        if not own or any(
            answered(asked, self.cells[index], self.codes[index])
            for index in own
        ):
            return []
        wanted = names(asked)
        found = [
            index
            for index in self.ran
            if index > own[-1]
            and self._is_own(index)
            and self.codes[index].binds & wanted
        ]
        tests = [
            self.where[place][-1]
            for place, cell in enumerate(self.plan)
            if cell.kind == "test"
            and asked.grade_id in cell.answers
            and place in self.where
        ]
        first = min(tests, default=len(self.cells))
        return [index for index in found if index < first] or found

    def _is_own(self, index: int) -> bool:
        """Tell whether a cell was written by the student alone."""
        spot = self.places[index]
        return spot is None or (
            self.plan[spot].kind == "free"
            and not same(self.cells[index].source, self.plan[spot].visible)
        )
