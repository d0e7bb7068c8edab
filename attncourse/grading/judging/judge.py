"""Judge one submission: run it in the sandbox, its tests out here."""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attncourse.grading.judging import answers, substitutes, verdicts
from attncourse.grading.judging.bench import Bench, Tried
from attncourse.grading.judging.errors import tidied
from attncourse.grading.judging.guilt import Guilt
from attncourse.grading.judging.names import Needs, needs
from attncourse.grading.judging.places import OpenChild
from attncourse.grading.judging.session import Session
from attncourse.grading.model import Job, Judged, Outcome, SourceCell, Step
from attncourse.grading.sandbox.child import Child

Report = Callable[[str, Any], None]


def judge(
    job: Job,
    *,
    sandbox_address: str = "",
    open_child: OpenChild | None = None,
    shell: Any = None,
    wanted: dict[str, Needs] | None = None,
    closed: Sequence[Judged] = (),
    report: Report | None = None,
) -> Outcome:
    """Return what came of one submission.

    Meant for a process of its own: it runs the instructor's test cells in
    here, and takes this process's shell and environment for it.

    Parameters
    ----------
    open_child : makes a process; by default one of the sandbox server.
    wanted : what `names.needs` says of the plan, if that is known.
    closed : what has been judged by a judge that died; not tried again.
    report : is told of each thing done, so that nothing is lost if this
        process dies.
    """
    if shell is None:
        from attncourse.grading.inside.shell import Shell

        shell = Shell(visible=True)
    if open_child is None:
        open_child = functools.partial(Child, sandbox_address)
    at_work = _Judge(job, open_child, shell, wanted or needs(job.plan))
    at_work.report = report or _unreported
    at_work.questions |= {each.grade_id: each for each in closed}
    return at_work.outcome()


def _unreported(what: str, data: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Side:
    """A student's notebook at work, and where tests run beside it."""

    session: Session
    bench: Bench


class _Judge:
    """Runs the notebook twice: to be seen, and with the hidden cases."""

    def __init__(
        self,
        job: Job,
        open_child: OpenChild,
        shell: Any,
        wanted: dict[str, Needs],
    ) -> None:
        self.job = job
        self.open_child = open_child
        self.shell = shell
        self.report: Report = _unreported
        self.needs = wanted
        self.cells = {
            cell.grade_id: cell for cell in job.plan.cells if cell.grade_id
        }
        self.guilty: dict[int, Guilt] = {}
        self.questions: dict[str, Judged] = {}
        self.outputs: dict[str, list] = {}
        self.notes: list[str] = []
        self.flags: list[str] = []
        self.cpu_parts = {"judge": 0.0, "shown": 0.0, "scored": 0.0}

    def outcome(self) -> Outcome:
        """Run everything, and return what came of it."""
        started, before = time.monotonic(), _own_cpu_s()
        self._run()
        if self.job.plan.upstream == "substitute":
            self._substitute()
        for cell in self.job.plan.tests:
            if cell.grade_id not in self.questions:
                self._close(verdicts.untried(cell))
        self.cpu_parts["judge"] = _own_cpu_s() - before
        parts = {name: round(s, 4) for name, s in self.cpu_parts.items()}
        return Outcome(
            student=self.job.student,
            assignment=self.job.plan.assignment,
            questions=tuple(
                self.questions[cell.grade_id or ""]
                for cell in self.job.plan.tests
            ),
            outputs=self.outputs,
            notes=(*self.job.script.notes, *dict.fromkeys(self.notes)),
            flags=(*self.job.script.flags, *dict.fromkeys(self.flags)),
            cpu_s=round(sum(parts.values()), 4),
            cpu_parts=parts,
            wall_s=round(time.monotonic() - started, 4),
        )

    def _run(self) -> None:
        """Run the notebook in two processes at once, cell after cell.

        One is seen by the student and sees no hidden case; the other one
        sees them, and nobody sees it.
        """
        seen, hidden = self._side(visible=True), self._side(visible=False)
        try:
            for index, step in enumerate(self.job.script.steps):
                if step.do == "test":
                    self._test(step, index, seen, hidden)
                    continue
                ran = seen.session.run(index)
                guilt = None if ran else self.guilty[index]
                self._note(index, step, ran.outputs if ran else (), guilt)
                if self._open():
                    hidden.session.run(index)
                    self._given(step, seen, hidden)
        finally:
            self._end(seen)
            self._end(hidden)
        self.report("outputs", self.outputs)

    def _test(self, step: Step, index: int, seen: Side, hidden: Side) -> None:
        """Run a test in full; what is seen of it only where that helps."""
        cell = self.cells[step.grade_id or ""]
        if self._is_closed(cell):
            return
        self.report("at", cell.grade_id)
        # Is no other question open in this process any more?
        hidden.session.bring_functions(self._open() == 1)
        tried = hidden.bench.test(cell.source, cell)
        answer = answers.answer(
            self.job,
            cell,
            index,
            seen.session,
            self.needs[cell.grade_id or ""],
            well=tried.error is None,
        )
        judged = verdicts.judged(cell, answer, tried)
        if judged.verdict != "pass" and tried.stopped is None:
            judged = self._shown(cell, judged, seen)
        self._close(judged)
        if not self._open():
            hidden.session.close()

    def _shown(self, cell: SourceCell, judged: Judged, seen: Side) -> Judged:
        """Run what students see of a test that did not pass."""
        if not cell.visible.strip():
            return judged
        most = min(cell.limits.output_bytes, seen.session.room)
        limits = replace(cell.limits, output_bytes=most)
        tried = seen.bench.test(cell.visible, replace(cell, limits=limits))
        shown = tuple(tidied(tried, self.shell.cells))
        return replace(
            judged,
            shown=seen.session.kept(shown),
            flags=tuple(dict.fromkeys((*judged.flags, *tried.notes))),
            seconds=round(judged.seconds + tried.seconds, 4),
        )

    def _substitute(self) -> None:
        """Try questions again that an earlier one may have spoilt."""
        for cell, names in substitutes.candidates(self.job, self.questions):
            replaced = substitutes.functions(self.job, names, cell)
            if not replaced:
                continue
            self.report("at", cell.grade_id)
            side = self._side(visible=False, replaced=replaced)
            try:
                tried = self._replayed(cell, side)
            finally:
                self._end(side)
            before = self.questions[cell.grade_id or ""]
            better = substitutes.better(before, cell, tried, tuple(replaced))
            if better is not None:
                self._close(better)

    def _replayed(self, cell: SourceCell, side: Side) -> Tried:
        for index, step in enumerate(self.job.script.steps):
            if step.do != "test":
                side.session.run(index)
                self._given(step, side)
            elif step.grade_id == cell.grade_id:
                return side.bench.test(cell.source, cell)
        return Tried()

    def _side(
        self, *, visible: bool, replaced: dict[str, Any] | None = None
    ) -> Side:
        session = Session(
            self.job,
            self.open_child,
            visible=visible,
            guilty=self.guilty,
            replaced=replaced,
        )
        bench = Bench(session, self.shell, self.needs, seed=self.job.seed)
        return Side(session, bench)

    def _given(self, step: Step, *sides: Side) -> None:
        if step.do == "given" and step.grade_id in self.needs:
            for side in sides:
                side.bench.given(step, self.cells[step.grade_id])

    def _note(
        self, index: int, step: Step, outputs: Any, guilt: Guilt | None
    ) -> None:
        """Keep what a cell showed, and say where it ran away."""
        kept = list(outputs)
        if guilt is not None:
            kept.append(verdicts.notice(guilt))
            place = index if step.index is None else step.index
            self.notes.append(f"cell {place + 1} was stopped: {guilt.says}")
        if step.index is not None and kept:
            self.outputs.setdefault(str(step.index), []).extend(kept)

    def _close(self, judged: Judged) -> None:
        self.questions[judged.grade_id] = judged
        self.report("judged", judged)

    def _is_closed(self, cell: SourceCell) -> bool:
        return cell.grade_id in self.questions

    def _open(self) -> int:
        return sum(not self._is_closed(cell) for cell in self.job.plan.tests)

    def _end(self, side: Side) -> None:
        side.session.close()
        part = "shown" if side.session.visible else "scored"
        self.cpu_parts[part] += side.session.cpu_s
        self.flags += side.bench.problems
        self.notes += side.session.remarks.values()
        self.flags += side.session.flags


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
