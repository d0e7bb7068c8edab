"""Mark one submission: what a worker does, wherever it runs."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from attncourse.grading.classdata import Manual
from attncourse.grading.handed_in import forbidden, hints, submission
from attncourse.grading.judging.judges import JudgeServer, grade_job
from attncourse.grading.keeping import rules
from attncourse.grading.model import (
    GradingError,
    Job,
    Judged,
    Outcome,
    Plan,
    Script,
)
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.feedback_text import as_markdown
from attncourse.grading.pages.not_graded import (
    not_graded,
    not_graded_markdown,
)
from attncourse.grading.running import autograded
from attncourse.grading.running.tasks import Marked, Setup, Task
from attncourse.grading.sandbox.owner import Sandbox
from attncourse.grading.sandbox.servers import Servers


class Marker:
    """Marks submissions one after the other, each in fresh processes."""

    def __init__(self, setup: Setup):
        self.absent = setup.stubs
        self.sandboxes = Servers(
            setup.heavy,
            preload=setup.preload,
            stubs=setup.stubs,
            silent=setup.silent,
            trust_students=setup.trust_students,
            readable=setup.readable,
        )
        try:
            self.judges = JudgeServer(
                preload=setup.judge_preload,
                readable=setup.judge_readable,
                trust_students=setup.trust_students,
            )
        except BaseException:
            self.sandboxes.close()
            raise

    def close(self) -> None:
        """End the servers."""
        try:
            self.judges.close()
        finally:
            self.sandboxes.close()

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox that is there whatever notebooks import."""
        return self.sandboxes.first

    def mark(self, task: Task, plan: Plan) -> Marked:
        """Return what came of a submission."""
        try:
            read = submission.read(base64.b64decode(task.data))
        except GradingError as error:
            return Marked(problem=str(error))
        script = submission.match(plan, read)
        script = replace(
            script,
            notes=(*task.notes, *script.notes),
            flags=(*script.flags, *forbidden.find(script, plan)),
        )
        job = Job(
            student=task.student,
            plan=plan,
            script=script,
            seed=task.seed,
            files=task.files,
            given_files=task.given_files,
        )
        sandbox = self.sandboxes.fit(job)
        outcome = grade_job(job, sandbox, self.judges)
        outcome = hints.explained(outcome, script, plan, absent=self.absent)
        return finish(task, plan, read, script, outcome)


def finish(
    task: Task,
    plan: Plan,
    read: submission.Notebook,
    script: Script,
    outcome: Outcome,
) -> Marked:
    """Return an outcome with the notebook and the pages that show it."""
    notebook = autograded.compose(plan, read, outcome)
    graded = gather(
        outcome,
        as_dict(read),
        plan,
        manual=by_hand(task, plan, outcome, notebook),
        script=script,
        penalty=task.penalty,
    )
    return Marked(
        outcome=outcome,
        notebook=notebook,
        pages={
            ".html": as_html(graded),
            ".md": as_markdown(graded),
        },
    )


def by_hand(
    task: Task, plan: Plan, outcome: Outcome, notebook: dict[str, Any]
) -> tuple[Manual, ...]:
    """Return what people gave, and what waits for them."""
    given = {each.grade_id: each for each in task.by_hand}
    scores, _ = rules.automatic(plan, outcome, notebook)
    tests = {test.grade_id for test in plan.tests}
    for cell in plan.cells:
        own = cell.metadata.get("nbgrader", {})
        counts = own.get("grade", cell.kind == "written") or own.get("task")
        name = cell.grade_id
        if name is None or not counts or name in tests or name in given:
            continue
        given[name] = Manual(
            grade_id=name, max_points=cell.points, points=scores.get(name)
        )
    return tuple(given.values())


def as_dict(read: submission.Notebook) -> dict[str, Any]:
    """Return a submission that was read, in nbformat's form."""
    return {
        "cells": [
            {
                "cell_type": cell.cell_type,
                "source": cell.source,
                "metadata": {"nbgrader": {"grade_id": cell.grade_id}}
                if cell.grade_id
                else {},
                "attachments": cell.attachments,
            }
            for cell in read.cells
        ]
    }


def lost(task: Task, plan: Plan, why: str) -> Marked:
    """Return what stands for a submission that the grader itself lost."""
    says = (
        "The grader lost this submission and must grade it again. "
        "This is no verdict on your work."
    )
    outcome = Outcome(
        student=task.student,
        assignment=plan.assignment,
        questions=tuple(
            Judged(
                grade_id=str(test.grade_id),
                verdict="crashed",
                points=0.0,
                max_points=test.points,
                says=says,
            )
            for test in plan.tests
        ),
        notes=task.notes,
        flags=(f"the grader lost this submission: {why}",),
    )
    try:
        read = submission.read(base64.b64decode(task.data))
        made = finish(task, plan, read, submission.match(plan, read), outcome)
    except (GradingError, MemoryError, RecursionError):
        return Marked(problem=f"the grader lost this submission: {why}")
    pages = {
        ".html": not_graded(task.student, plan),
        ".md": not_graded_markdown(task.student, plan),
    }
    return replace(made, pages=pages, lost=True)
