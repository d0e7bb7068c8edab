"""`attncourse grade`: grade what changed, keep it, and report on it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

from attncourse.grading.keeping import byhand, records, runlog
from attncourse.grading.keeping.store import Graded, Store
from attncourse.grading.model import GradingError
from attncourse.grading.running.engine import Grader
from attncourse.grading.running.pending import Assignment, Survey
from attncourse.grading.running.progress import Progress, printable
from attncourse.grading.running.settings import Options, Settings
from attncourse.grading.running.tasks import Marked, Task


def run(
    settings: Settings,
    options: Options,
    *,
    stream: TextIO | None = None,
    progress_stream: TextIO | None = None,
) -> int:
    """Grade an assignment as far as it is not graded yet.

    Returns
    -------
    status : 0 if everything that was handed in has a grade, 1 if something
        could not be read or was lost, 2 if it could not be done.
    """
    stream = stream or sys.stdout
    log = runlog.RunLog(settings.log_file)
    try:
        if options.notebook is not None:
            from attncourse.grading.running.preview import preview

            return preview(settings, options, stream=stream)
        with Store(
            settings.db_url,
            settings.folders,
            course_id=settings.course_id,
            penalty=settings.penalty,
        ) as store:
            run_ = Run(settings, options, store, log)
            return run_.whole(stream, progress_stream or sys.stderr)
    except GradingError as error:
        log.write("failed", why=str(error))
        print(f"attncourse: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        log.write("stopped")
        print(
            "\nWhat was graded is saved: the same command goes on from here.",
            file=sys.stderr,
        )
        raise


class Run:
    """One run over an assignment."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        store: Store,
        log: runlog.RunLog,
    ):
        self.settings = settings
        self.options = options
        self.store = store
        self.log = log
        if not os.path.lexists(settings.key_file) and store.has_records():
            raise GradingError(
                f"{settings.key_file} must hold the key of this class: got "
                "no file, but there are grades; put its backup back, or "
                "write a new one: then everybody gets other hidden cases"
            )
        self.assignment = Assignment(settings, options)
        self.expected: dict[str, int] = {}
        self.came: dict[str, list[tuple[Task, Marked]]] = {}
        self.saved: list[str] = []
        self.lost: list[str] = []
        self.isolation = ""

    def whole(self, stream: TextIO, progress_stream: TextIO) -> int:
        """Survey, grade, refresh feedback, report; return the status."""
        survey = self.assignment.survey(self.store, self.options)
        self.log.write(
            "start",
            assignment=self.settings.assignment,
            pending=len(survey.pending),
            unchanged=len(survey.unchanged),
            trust_students=self.options.trust_students,
            versions=runlog.versions(),
        )
        for (student, name), why in survey.problems.items():
            self.log.write("unreadable", student=student, file=name, why=why)
        progress = Progress(len(survey.pending), stream=progress_stream)
        self.grade(survey, progress)
        progress.end()
        self.refresh()
        self.report(survey, stream)
        self.log.write(
            "end",
            graded=len(self.saved),
            lost=len(self.lost),
            unreadable=len(survey.problems),
            isolation=self.isolation,
        )
        return int(bool(survey.problems or self.lost))

    def grade(self, survey: Survey, progress: Progress) -> None:
        """Grade what is pending, and save each submission as it is done."""

        def say(student: str, what: str) -> None:
            self.log.write("worker lost", student=student, why=what)

        if not survey.pending:
            return
        with _marker(self.assignment, self.options, say) as grader:
            found = grader.grade(self._tasks(survey), self.assignment.plans)
            # Closed at once, whatever happens: it ends the workers.
            with contextlib.closing(found) as results:
                for task, marked in results:
                    self.isolation = grader.isolation or self.isolation
                    self._keep(task, marked, survey, progress)

    def refresh(self) -> None:
        """Write anew the feedback that people's marks have overtaken."""
        from attncourse.grading.running.refresh import refresh

        for student in refresh(self.assignment, self.store):
            self.log.write("feedback", student=student)

    def report(self, survey: Survey, stream: TextIO) -> None:
        """Write the class report and the exports; say where they are."""
        from attncourse.grading.running.summary import summarise

        for line in summarise(self, survey):
            print(line, file=stream)

    def _tasks(self, survey: Survey) -> Iterator[Task]:
        given = self.assignment.given(self.store)
        for student in survey.pending:
            tasks = self.assignment.tasks(student, given)
            self.expected[student] = len(tasks)
            yield from tasks

    def _keep(
        self,
        task: Task,
        marked: Marked,
        survey: Survey,
        progress: Progress,
    ) -> None:
        """Save a submission once all of its notebooks are there."""
        student = task.student
        group = self.came.setdefault(student, [])
        group.append((task, marked))
        if len(group) < self.expected[student]:
            return
        parts = []
        for each, what in self.came.pop(student):
            plan = self.assignment.plans[each.plan]
            if what.outcome is None or what.notebook is None:
                survey.problems[student, plan.notebook] = what.problem
                self.log.write("unreadable", student=student, why=what.problem)
                continue
            if what.lost:
                self.lost.append(student)
            parts.append(_graded(each, what, plan))
        if parts and self.store.save(parts, again=self.options.again):
            self._log(parts)
        if parts:
            self.saved.append(student)
        progress.done(student)

    def _log(self, parts: list[Graded]) -> None:
        for part in parts:
            self.log.write(
                "graded",
                student=part.outcome.student,
                notebook=part.plan.notebook,
                points=part.outcome.points,
                content_key=part.content_key,
                isolation=part.outcome.isolation,
                cpu_s=round(part.outcome.cpu_s, 4),
                cpu_parts=part.outcome.cpu_parts,
                wall_s=round(part.outcome.wall_s, 4),
            )


def _graded(task: Task, marked: Marked, plan: Any) -> Graded:
    assert marked.outcome is not None
    assert marked.notebook is not None
    # A submission that the grader lost is graded again the next time.
    key = (
        f"{records.LOST}{time.time_ns()}" if marked.lost else task.content_key
    )
    return Graded(
        plan=plan,
        outcome=marked.outcome,
        content_key=key,
        notebook=marked.notebook,
        pages=marked.pages,
        by_hand=byhand.digest(task.by_hand, task.penalty),
    )


@contextlib.contextmanager
def _marker(
    assignment: Assignment, options: Options, say: Any
) -> Iterator[Any]:
    """Give what marks: worker processes here, or on a cluster."""
    if options.scheduler is None:
        yield Grader(assignment.setup, workers=options.workers, say=say)
        return
    from attncourse.grading.running.cluster import Cluster

    with Cluster(options.scheduler, assignment.setup, say=say) as cluster:
        yield cluster
