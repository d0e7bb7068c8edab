"""A student's notebook at work: its process, and another when that dies.

A cell that ended its process is remembered, and of it only the
definitions run again. A proxy finds its function again in the new process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attncourse.grading.inside.wire import WireError
from attncourse.grading.judging.anonymity import anonymous
from attncourse.grading.judging.guilt import Guilt
from attncourse.grading.judging.places import OpenChild, Place
from attncourse.grading.judging.proxies import (
    Proxy,
    ProxyError,
    Ref,
    ref_of,
)
from attncourse.grading.judging.raising import Stopped, raised
from attncourse.grading.judging.replaying import Replays
from attncourse.grading.judging.showing import show
from attncourse.grading.judging.steps import widest
from attncourse.grading.judging.writing import written_back
from attncourse.grading.model import Job, Limits
from attncourse.grading.sandbox.replies import (
    Budget,
    CallbackRefused,
    Called,
    ChildLost,
    Described,
    Failed,
    Ran,
    weight,
)

MEMORY = "the memory that a process may use was not enough"
FULL = 8  # times what one cell may show, a notebook may show
LENT = "a question about functions is not tried with lent ones"


class Session(Replays):
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
        super().__init__(
            job,
            open_child,
            visible=visible,
            guilty={} if guilty is None else guilty,
            replaced=dict(replaced or {}),
        )
        self.callbacks = visible
        self.failed: dict[int, Failed] = {}
        self.notes: list[str] = []
        self.stopped: Stopped | None = None
        self.budget = Budget(Limits())
        self._place: Place | None = None
        self._beside: Place | None = None
        self._called = False
        # What all cells and tests together may show.
        self.room = FULL * widest(job).output_bytes

    def run(self, index: int) -> Ran | None:
        """Run the cell of a step; None where it ended its process."""
        ran, culprit = None, -1
        while ran is None and culprit != index:
            try:
                ran = self.run_in(self._present(), index, self.room)
            except ChildLost as lost:
                culprit = self.blame(index, lost)
        self.done.append(index)
        if ran is not None and ran.failed is not None:
            self.failed[index] = ran.failed
        if ran is not None and ran.outputs:
            ran = replace(ran, outputs=self.kept(ran.outputs))
        return ran

    def kept(self, outputs: tuple[dict[str, Any], ...]) -> tuple:
        """Return outputs, or none where the notebook would hold too many."""
        self.room -= weight(outputs)
        if self.room >= 0:
            return outputs
        self.room = 0
        self.remarks[""] = "it shows more than is kept: outputs are missing"
        return ()

    def begin(self, limits: Limits) -> None:
        """Start a test: what its calls may use, and nothing noted yet."""
        self.budget = Budget(limits)
        self.stopped = None
        self.notes = []
        self._called = False

    def finish(self) -> None:
        """End a test, and the process that was made for it."""
        place = self._place
        if self._called and place is not None and place.alive:
            try:
                place.child.settle()
            except ChildLost as lost:
                self.stopped = self.stopped or self._stop(lost)
        self._called = False
        self.drop(self._beside)
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
        try:
            return self._fetch(name)
        except ChildLost as lost:  # by what was done before
            if lost.stray:
                self.blame(len(self.job.script.steps), lost)
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
        self.drop(self._place)
        self._place = None

    def line(self, failed: Failed | None) -> int | None:
        """Return the line of a failure, if there is such a line."""
        if failed is None or failed.line is None:
            return None
        for index, step in enumerate(self.job.script.steps):
            if failed.cell == self.labels[index]:
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
        if what == "call":
            return self.heard(called, *args)
        return self.heard(called)

    def several(
        self, ref: Ref, given: Sequence[tuple[tuple, dict[str, Any]]]
    ) -> list[Called]:
        """Call with the first of these arguments, in one exchange.

        None of them where each call must be made by itself.
        """
        if self.visible or ref.fresh or len(given) < 2:
            return []
        if self.stopped is not None:
            raise self.stopped
        self._called = True
        try:
            return self._sent(self._of(ref), ref, "calls", (list(given),))
        except ChildLost as lost:
            raise self._stop(lost) from None
        except (CallbackRefused, WireError, ProxyError):
            return []

    def heard(
        self,
        called: Called,
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Called:
        """Show what a request printed; raise how it failed."""
        show(called.outputs, visible=self.visible)
        if called.failed is None:
            return called
        if called.failed.memory:
            self.stopped = Stopped("out-of-memory", MEMORY)
            raise self.stopped
        if kwargs is not None:
            written_back(called, args, kwargs, self.remember)
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
        self._called = True
        place = self._of(ref)
        try:
            return self._sent(place, ref, what, args)
        except CallbackRefused:
            return self._sent(self._aside(), ref, what, args)

    def _sent(self, place: Place, ref: Ref, what: str, args: tuple) -> Any:
        options: dict[str, Any] = {"budget": self.budget}
        if what in ("call", "method", "gradient"):
            options["callbacks"] = place.callbacks
        if ref.fresh and what == "call":
            options["fresh"] = True
        handle = place.handle(ref)
        try:
            sent = anonymous(args)
            called = getattr(place.child, what)(handle, *sent, **options)
        except Exception:
            raise
        except BaseException:  # interrupted in the middle of an answer
            place.child.close()
            raise
        if ref.fresh and type(called.copy) is Proxy:
            copied = ref_of(called.copy).handle
            ref.place, ref.handle, ref.fresh = place, copied, False
        return called

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
            self.drop(self._place)
            self._place = self.made(self.callbacks)
        return self._place

    def _aside(self) -> Place:
        """Return this test's process for calls that bring a function."""
        if self.replaced:  # a lent function would be the test's own answer
            raise self._stop(ChildLost("crashed", LENT))
        while self._beside is None or not self._beside.alive:
            self.drop(self._beside)
            self._beside = self.made(callbacks=True)
        return self._beside
