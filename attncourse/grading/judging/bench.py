"""Where the instructor's cells run: a namespace with a student's names."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attncourse.grading.judging.names import Needs
from attncourse.grading.judging.proxies import can_be_called
from attncourse.grading.judging.raising import Stopped, of_student
from attncourse.grading.judging.session import Session
from attncourse.grading.model import Limits, SourceCell, Step

SEED = "GRADING_SEED"
# What nbgrader's own execution sets: a visible check then does nothing.
EXECUTION = "NBGRADER_EXECUTION"
# Room for the verdict after what a student's function printed.
VERDICT_BYTES = 1 << 20
# The shell's own names in a namespace.
OWN = ("In", "Out", "_dh", "_ih", "_oh", "exit", "get_ipython", "open", "quit")
LONGEST = "the test needed more time than there is for one question"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What running a test cell gave.

    `missing` are the student's names that were not there, `data` those
    that are no function, class or object; `value` is the value of the last
    expression; `notes` are for the instructor.
    """

    value: Any = None
    error: BaseException | None = None
    stopped: Stopped | None = None
    missing: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    outputs: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class Bench:
    """Runs given cells and tests beside one session with a student's code.

    Several can share a shell, in turn: each has its own namespace.
    """

    def __init__(
        self,
        session: Session,
        shell: Any,
        needs: Mapping[str, Needs],
        *,
        seed: str,
    ) -> None:
        self.session = session
        self.shell = shell
        self.needs = needs
        self.seed = seed
        self.problems: list[str] = []
        self._names: dict[str, Any] = {}
        self._waiting: list[tuple[str, SourceCell]] = []

    def given(self, step: Step, cell: SourceCell) -> None:
        """Keep an instructor's cell that the next tests may depend on."""
        if self.needs[cell.grade_id or ""].run:
            self._waiting.append((step.source, cell))

    def test(self, source: str, cell: SourceCell) -> Tried:
        """Run a test cell, after the given cells before it."""
        with self._at_work():
            for each in self._waiting:
                self._given(*each)
            self._waiting.clear()
            return self._run(source, cell)

    def _given(self, source: str, cell: SourceCell) -> None:
        tried = self._run(source, cell)
        ours = not (tried.missing or tried.stopped or of_student(tried.error))
        if tried.error is not None and ours:
            self.problems.append(
                f"the given cell {cell.grade_id} must run in the judge: got "
                f"{type(tried.error).__name__}: {tried.error}"
            )

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Fill the shell's namespace with what was left there last time.

        It stays the same dict: functions look up their names in it.
        """
        names, hook = self.shell.user_ns, self.shell.python.displayhook
        own = self.shell.python.user_ns_hidden
        kept = {name: own[name] for name in OWN}
        for name in list(names):
            if not name.startswith("__"):
                del names[name]
        names |= kept | {"__name__": "__main__"} | self._names
        names["_oh"].clear()
        hook._ = hook.__ = hook.___ = ""
        try:
            yield
        finally:
            self._names = {
                name: value
                for name, value in names.items()
                if name not in OWN and not name.startswith("__")
            }

    def _run(self, source: str, cell: SourceCell) -> Tried:
        started = time.monotonic()
        session, error, value = self.session, None, None
        outputs: list[dict[str, Any]] = []
        missing: tuple[str, ...] = ()
        data: list[str] = []
        session.begin(cell.limits)
        with self._surroundings(), _hurried(session, cell.limits):
            try:
                missing = self._bind(self.needs[cell.grade_id or ""])
                data += self._data(self.needs[cell.grade_id or ""])
                ran = self.shell.run(
                    source,
                    f"the test {cell.grade_id}",
                    cell.limits.output_bytes + VERDICT_BYTES,
                )
                outputs, error, value = ran.outputs, ran.error, ran.result
            except Stopped:
                pass
            finally:
                session.finish()
        return Tried(
            value=value,
            error=error,
            stopped=session.stopped,
            missing=missing,
            data=tuple(data),
            outputs=outputs,
            notes=tuple(session.notes),
            seconds=time.monotonic() - started,
        )

    def _bind(self, needs: Needs) -> tuple[str, ...]:
        """Put the student's names where the test finds them."""
        namespace, missing = self.shell.user_ns, []
        for name in needs.fetched:
            if name in self.session.replaced:
                namespace[name] = self.session.replaced[name]
                continue
            try:
                namespace[name] = self.session.fetch(name)
            except KeyError:
                namespace.pop(name, None)
                missing.append(name)
                if name in needs.unknown:
                    text = f"no cell of the source defines {name}"
                    self.session.remember(text)
        for name, statement in needs.imports.items():
            if name in namespace:
                continue
            if name in needs.asked and not self._has(name):
                missing.append(name)
            else:
                self._import(statement)
        return tuple(missing)

    def _data(self, needs: Needs) -> list[str]:
        """Return the student's names that cannot be called."""
        names = self.shell.user_ns
        return [
            name
            for name in needs.fetched
            if name in names and not can_be_called(names[name])
        ]

    def _has(self, name: str) -> bool:
        """Tell whether the student has bound a name, or a star import."""
        try:
            self.session.fetch(name)
        except KeyError:
            return not name.isidentifier()
        return True

    def _import(self, statement: str) -> None:
        """Import for the judge itself: a student's `np` is never used."""
        try:
            exec(statement, self.shell.user_ns)
        except Exception as error:
            self.session.remember(
                f"the judge must be able to run {statement!r}: got {error}"
            )

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Set what a test sees of the environment, and its random numbers."""
        before = {name: os.environ.get(name) for name in (SEED, EXECUTION)}
        visible = self.session.visible
        os.environ.pop(SEED, None)
        os.environ.pop(EXECUTION, None)
        if not visible:
            os.environ |= {SEED: self.seed, EXECUTION: "autograde"}
        _seed("visible" if visible else self.seed)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _seed(text: str) -> None:
    """Let tests that draw random numbers draw the same ones each time."""
    random.seed(text)
    number = random.getrandbits(32)
    np.random.seed(number)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(number)


@contextlib.contextmanager
def _hurried(session: Session, limits: Limits) -> Iterator[None]:
    """End a test that keeps the judge itself busy for too long."""

    def late(*_: object) -> None:
        session.stopped = Stopped("timeout", LONGEST)
        session.remember("the test kept the judge itself busy for too long")
        raise session.stopped

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, 1.0 + limits.cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
