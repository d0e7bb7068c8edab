"""A student's notebook at work: its process, and another when that dies.

A cell that ended its process is remembered, and of it only the
definitions run again. A proxy finds its function again in the new process.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attncourse.grading.anonymity import anonymous
from attncourse.grading.definitions import definitions
from attncourse.grading.inside.wire import WireError
from attncourse.grading.model import GradingError, Job, Limits
from attncourse.grading.places import OpenChild, Place
from attncourse.grading.proxies import ProxyError, Ref
from attncourse.grading.raising import Stopped, raised
from attncourse.grading.replies import (
    Budget,
    CallbackRefused,
    Called,
    ChildLost,
    Described,
    Failed,
    Lost,
    Ran,
)
from attncourse.grading.showing import show
from attncourse.grading.steps import allowed, child_seed, labels, widest
from attncourse.grading.syntax import look

MEMORY = "the memory that a process may use was not enough"
LENT = "a question about functions is not tried with lent ones"
TRIES = 3


@dataclass
class Guilt:
    """A cell that ended its process: how, and how often it was tried."""

    verdict: Lost
    says: str
    tries: int = 1


class Session:
    """Runs a submission's cells, and answers proxies while a test runs.

    `guilty` are cells known to end their process, by their step;
    `replaced` are functions of the instructor's that stand in for a
    student's, by name.
    """

    def __init__(
        self,
        job: Job,
        open_child: OpenChild,
        *,
        visible: bool,
        guilty: dict[int, Guilt] | None = None,
        replaced: Mapping[str, Any] | None = None,
    ) -> None:
        self.job = job
        self.visible = visible
        self.guilty = {} if guilty is None else guilty
        self.replaced = dict(replaced or {})
        self.callbacks = visible
        self.failed: dict[int, Failed] = {}
        self.notes: list[str] = []
        self.stopped: Stopped | None = None
        self.budget = Budget(Limits())
        self.cpu_s = 0.0
        self._open_child = open_child
        self._done: list[int] = []
        self._place: Place | None = None
        self._beside: Place | None = None
        self._opened = 0
        self._labels = labels(job)

    def run(self, index: int) -> Ran | None:
        """Run the cell of a step; None where it ended its process."""
        ran = None
        try:
            ran = self._run_in(self._present(), index)
        except ChildLost as lost:
            self._blame(index, lost)
        self._done.append(index)
        if ran is not None and ran.failed is not None:
            self.failed[index] = ran.failed
        return ran

    def begin(self, limits: Limits) -> None:
        """Start a test: what its calls may use, and nothing noted yet."""
        self.budget = Budget(limits)
        self.stopped = None
        self.notes = []

    def finish(self) -> None:
        """End a test, and the process that was made for it."""
        self._drop(self._beside)
        self._beside = None

    def bring_functions(self, allowed: bool) -> None:
        """Say whether calls may bring functions of the test along.

        Otherwise such calls go to a process that is made for the test.
        """
        self.callbacks = self.visible or allowed
        if self._place is not None:
            self._place.callbacks = self.callbacks

    def fetch(self, name: str) -> Any:
        """Return a student's data by name, or a proxy; may raise KeyError."""
        with contextlib.suppress(ChildLost):  # by what an earlier test did
            return self._fetch(name)
        try:
            return self._fetch(name)
        except ChildLost as lost:
            raise self._stop(lost) from None

    def _fetch(self, name: str) -> Any:
        try:
            return self._present().fetch(name)
        except WireError as error:
            said = f"{name} cannot be read: {error}"
            raise self._stop(ChildLost("crashed", said)) from None

    def close(self) -> None:
        """End the processes."""
        self.finish()
        self._drop(self._place)
        self._place = None

    def line(self, failed: Failed | None) -> int | None:
        """Return the line of a failure, if there is such a line."""
        if failed is None or failed.line is None:
            return None
        for index, step in enumerate(self.job.script.steps):
            if failed.cell == self._labels[index]:
                there = 1 <= failed.line <= step.source.count("\n") + 1
                return failed.line if there else None
        return None

    # What proxies ask for

    def ask(self, ref: Ref, what: str, *args: Any) -> Called:
        """Send a request of `sandbox.Child`; a failure is raised."""
        if self.stopped is not None:
            raise self.stopped
        try:
            called = self._asked(ref, what, args)
        except ChildLost as lost:
            raise self._stop(lost) from None
        except WireError as error:
            self.remember(f"a test's argument must be able to cross: {error}")
            raise ProxyError(str(error)) from None
        show(called.outputs, visible=self.visible)
        if called.failed is None:
            return called
        if called.failed.memory:
            self.stopped = Stopped("out-of-memory", MEMORY)
            raise self.stopped
        raise raised(called.failed, self.line(called.failed))

    def describe(self, ref: Ref) -> Described:
        """Return how an object presents itself."""
        try:
            place = self._of(ref)
            return place.child.describe(place.handle(ref))
        except ChildLost as lost:
            raise self._stop(lost) from None

    def remember(self, text: str) -> None:
        """Note what an instructor should know of this test."""
        if text not in self.notes:
            self.notes.append(text)

    def _asked(self, ref: Ref, what: str, args: tuple) -> Called:
        place = self._of(ref)
        try:
            return self._sent(place, ref, what, args)
        except CallbackRefused:
            return self._sent(self._aside(), ref, what, args)

    def _sent(self, place: Place, ref: Ref, what: str, args: tuple) -> Called:
        options: dict[str, Any] = {"budget": self.budget}
        if what in ("call", "method", "gradient"):
            options["callbacks"] = place.callbacks
        handle = place.handle(ref)
        if ref.fresh and place.callbacks:
            handle = place.fresh(handle)
            ref.place, ref.handle, ref.fresh = place, handle, False
        try:
            sent = anonymous(args)
            return getattr(place.child, what)(handle, *sent, **options)
        except Exception:
            raise
        except BaseException:  # interrupted in the middle of an answer
            place.child.close()
            raise

    def _of(self, ref: Ref) -> Place:
        """Return the process in which an object is to be asked."""
        if ref.place in (self._place, self._beside) and ref.place.alive:
            return ref.place
        return self._present()

    def _stop(self, lost: ChildLost) -> Stopped:
        self.stopped = Stopped(lost.verdict, lost.says)
        return self.stopped

    # Processes

    def _present(self) -> Place:
        """Return the process at work, or one that has run the same cells."""
        while self._place is None or not self._place.alive:
            self._drop(self._place)
            self._place = self._made(self.callbacks)
        return self._place

    def _aside(self) -> Place:
        """Return this test's process for calls that bring a function."""
        if self.replaced:  # a lent function would be the test's own answer
            raise self._stop(ChildLost("crashed", LENT))
        while self._beside is None or not self._beside.alive:
            self._drop(self._beside)
            self._beside = self._made(callbacks=True)
        return self._beside

    def _made(self, callbacks: bool) -> Place | None:
        place = self._opened_place(callbacks)
        for index in self._done:
            try:
                self._run_in(place, index)
            except ChildLost as lost:
                self._blame(index, lost)
                self._drop(place)
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
        )
        for name, data in self.job.files.items():
            place.child.put(name, base64.b64decode(data))
        self._bind(place, self.replaced)
        return place

    def _drop(self, place: Place | None) -> None:
        if place is not None:
            self.cpu_s += place.child.close().cpu_s

    def _run_in(self, place: Place, index: int) -> Ran:
        step = self.job.script.steps[index]
        guilt = self.guilty.get(index)
        source = step.source
        if guilt:
            source = definitions(source, imports=guilt.tries == 1)
        if guilt and guilt.tries >= TRIES:
            return Ran()
        limits = allowed(self.job, step, len(self.guilty))
        ran = place.child.run(source, self._labels[index], limits)
        if self.replaced:
            self._bind(place, look(step.source).binds & self.replaced.keys())
        return ran

    def _bind(self, place: Place, names: Any) -> None:
        for name in sorted(names):
            place.child.bind(name, self.replaced[name])

    def _blame(self, index: int, lost: ChildLost) -> None:
        guilt = self.guilty.get(index)
        if guilt:
            guilt.tries += 1
        else:
            self.guilty[index] = Guilt(lost.verdict, lost.says)
