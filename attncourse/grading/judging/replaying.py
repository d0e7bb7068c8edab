"""Processes that have run a student's cells, one like the other.

A cell that ended its process is remembered, and of it only the
definitions run again.
"""

from __future__ import annotations

import base64
import contextlib
import functools
from dataclasses import replace
from typing import Any

from attncourse.grading.handed_in import forbidden
from attncourse.grading.inside.wire import WireError
from attncourse.grading.judging.guilt import Guilt
from attncourse.grading.judging.places import OpenChild, Place
from attncourse.grading.judging.proxies import Holder
from attncourse.grading.judging.steps import (
    allowed,
    child_seed,
    labels,
    widest,
)
from attncourse.grading.model import GradingError, Job
from attncourse.grading.notebooks.definitions import definitions
from attncourse.grading.notebooks.syntax import Code, look_at_all
from attncourse.grading.sandbox.child import NotPut
from attncourse.grading.sandbox.replies import ChildLost, Ran

TRIES = 3
PAGE = 4096


class Replays(Holder):
    """Makes processes in which all cells so far have run.

    `done` are the steps of these cells, `remarks` notes for the
    instructor, and `flags` tell of forbidden calls that they recorded.
    """

    def __init__(
        self,
        job: Job,
        open_child: OpenChild,
        *,
        visible: bool,
        guilty: dict[int, Guilt],
        replaced: dict[str, Any],
    ) -> None:
        self.job = job
        self.visible = visible
        self.guilty = guilty
        self.replaced = replaced
        self.cpu_s = 0.0
        self.done: list[int] = []
        self.labels = labels(job)
        self.remarks: dict[str, str] = {}
        self.flags: dict[str, None] = {}
        self._forbidden = {
            name for test in job.plan.tests for name in test.forbids
        }
        self._open_child = open_child
        self._opened = 0

    @functools.cached_property
    def codes(self) -> tuple[Code, ...]:
        """The names of each step's code."""
        return look_at_all(step.source for step in self.job.script.steps)

    def made(self, callbacks: bool) -> Place | None:
        """Return a process that has run the cells, unless one ended it."""
        place = self._opened_place(callbacks)
        self._put_files(place)
        if not place.alive:
            self.drop(place)
            return None
        self._bind(place, self.replaced)
        if self._forbidden:
            place.child.prepare(forbidden.watch(self._forbidden))
        for index in self.done:
            try:
                self.run_in(place, index, 0)
            except ChildLost as lost:
                self.blame(index, lost)
                self.drop(place)
                return None
        return place

    def _opened_place(self, callbacks: bool) -> Place:
        self._opened += 1
        if self._opened > 50 + 4 * len(self.job.script.steps):
            raise GradingError(
                "a process must be able to run the notebook's definitions: "
                f"got {self._opened} that ended"
            )
        place = Place(self, callbacks)
        place.open(
            self._open_child,
            limits=widest(self.job),
            visible=self.visible,
            seed=child_seed(self.job.seed),
            room_bytes=sum(
                len(data) + PAGE for data in self.job.files.values()
            ),
        )
        return place

    def _put_files(self, place: Place) -> None:
        """Copy what lies beside the notebook, as far as that can be done."""
        for name, data in self.job.files.items():
            if name in self.remarks:
                continue
            try:
                place.child.put(name, base64.b64decode(data))
            except (NotPut, ChildLost) as error:
                self.remarks[name] = (
                    f"{name} could not be laid beside the notebook: {error}"
                )
                if not place.alive:
                    return

    def drop(self, place: Place | None) -> None:
        """End a process, if there is one."""
        if place is not None:
            if self._forbidden and place.alive:
                self._recall(place)
            self.cpu_s += place.child.close().cpu_s

    def _recall(self, place: Place) -> None:
        """Keep what a process recorded of forbidden calls."""
        with contextlib.suppress(KeyError, WireError, ChildLost, GradingError):
            told = place.child.fetch(forbidden.CALLS)
            flags = forbidden.called(told, self.job.plan)
            self.flags.update(dict.fromkeys(flags))

    def run_in(self, place: Place, index: int, output_bytes: int) -> Ran:
        """Run the cell of a step, or what is left of a guilty one.

        It may show so much.
        """
        step = self.job.script.steps[index]
        guilt = self.guilty.get(index)
        source = step.source
        if guilt:
            source = definitions(source, imports=guilt.tries == 1)
        if guilt and guilt.tries >= TRIES:
            return Ran()
        limits = allowed(self.job, step, len(self.guilty))
        most = min(limits.output_bytes, output_bytes)
        limits = replace(limits, output_bytes=most)
        ran = place.child.run(source, self.labels[index], limits)
        if self.replaced:
            bound = self.codes[index].binds
            self._bind(place, bound & self.replaced.keys())
        return ran

    def _bind(self, place: Place, names: Any) -> None:
        for name in sorted(names):
            place.child.bind(name, self.replaced[name])

    def blame(self, index: int, lost: ChildLost) -> int:
        """Remember which cell ended its process, and return which.

        That is the one at `index`, or the one before where that has
        spoken when nobody asked.
        """
        if lost.stray:
            index = max(filter(self._suspect, range(index)), default=index)
        guilt = self.guilty.get(index)
        if guilt:
            guilt.tries += 1
        else:
            self.guilty[index] = Guilt(lost.verdict, lost.says)
        return index

    def _suspect(self, index: int) -> bool:
        """Tell whether a cell has run and may still do harm."""
        guilt = self.guilty.get(index)
        return index in self.done and (guilt is None or guilt.tries < TRIES)
