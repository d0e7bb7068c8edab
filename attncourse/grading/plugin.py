"""nbgrader's own autograde, feedback and formgrader, run by this engine.

In a configuration file::

    from attncourse.grading import plugin

    plugin.use(c, settings_for)

where `settings_for` returns the `Settings` of an assignment by its name.
Scores are those of `attncourse grade`: the same submission goes the same
way, with the same seed.
"""

from __future__ import annotations

import atexit
import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import Exporter
from nbformat.notebooknode import NotebookNode
from nbgrader.plugins import ExportPlugin
from nbgrader.preprocessors import (
    AssignLatePenalties,
    NbGraderPreprocessor,
    SaveAutoGrades,
)
from traitlets import Any as AnyTrait
from traitlets import Bool

from attncourse.grading.handed_in import submission
from attncourse.grading.keeping.scores import scores
from attncourse.grading.keeping.store import Store
from attncourse.grading.model import GradingError, Outcome, Plan
from attncourse.grading.pages import exports, markup
from attncourse.grading.running.marking import finish
from attncourse.grading.running.pending import Assignment
from attncourse.grading.running.settings import Options, Settings
from attncourse.grading.running.tasks import Marked, Setup, Task
from attncourse.grading.running.workers import Worker, WorkerLost

# Where a graded notebook says how its grade came about.
METADATA = "grading"
# What nbgrader's release_feedback asks for, and what it may look like.
LABELS = {
    "timestamp.txt": re.compile(r"[\d-]{10} [\d:.]{8,16} [\w/+-]{1,32}\s*\Z"),
    "submission_secret.txt": re.compile(r"[\w/+=-]{1,128}\s*\Z"),
}


class GradeSubmission(NbGraderPreprocessor):
    """Replace a submitted notebook by the graded one."""

    settings = AnyTrait(
        None, allow_none=True, help="Returns the Settings of an assignment."
    ).tag(config=True)
    trust_students = Bool(
        False, help="Grade even where students' code cannot be shut in."
    ).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple:
        """Grade what the student handed in, whatever `nb` is read as."""
        who = resources["nbgrader"]
        assignment = _assignment(
            self.settings, who["assignment"], self.trust_students
        )
        task, plan = _task(assignment, who["student"], who["notebook"])
        marked = _marked(assignment, task, plan)
        if marked.notebook is None or marked.outcome is None:
            raise GradingError(f"{task.student}: {marked.problem}")
        for text in marked.outcome.flags:
            self.log.warning("%s: look at it: %s", task.student, text)
        graded = nbformat.from_dict(marked.notebook)
        graded.metadata[METADATA] = json.dumps(marked.outcome.to_json())
        return graded, resources


class FeedbackPage(Exporter):
    """The page of feedback on a graded notebook, without its template."""

    settings = AnyTrait(
        None, allow_none=True, help="Returns the Settings of an assignment."
    ).tag(config=True)
    file_extension = ".html"

    def from_notebook_node(
        self, nb: NotebookNode, resources: Any = None, **_: Any
    ) -> tuple:
        """Return the page, people's marks and comments included."""
        who = resources["nbgrader"]
        assignment = _assignment(self.settings, who["assignment"], True)
        own = assignment.settings
        with Store(own.db_url, own.folders, course_id=own.course_id) as store:
            task, plan = _task(
                assignment, who["student"], who["notebook"], store
            )
            outcome = _outcome(nb, store, task, plan)
        read = submission.read(base64.b64decode(task.data))
        script = submission.match(plan, read)
        made = finish(task, plan, read, script, outcome)
        return made.pages[".html"], self._init_resources(resources)


class ExportGrades(ExportPlugin):
    """`nbgrader export`: whoever is not graded has an empty cell, no zero."""

    def export(self, gradebook: Any) -> None:
        """Write the table to `--to`, or to grades.csv."""
        wanted, students = set(self.assignment), set(map(str, self.student))
        parts: list[str] = []
        with gradebook.engine.connect() as connection:
            for each in gradebook.assignments:
                if wanted and each.name not in wanted:
                    continue
                rows = [
                    row
                    for row in scores(connection, each.name)
                    if not students or row.student in students
                ]
                sheet = exports.nbgrader(
                    rows,
                    assignment=each.name,
                    duedate=str(each.duedate or ""),
                )
                head, _, body = sheet.text.partition("\n")
                parts.append(body if parts else f"{head}\n{body}")
                for note in sheet.notes:
                    self.log.warning("%s: %s", each.name, note)
        to = Path(self.to or "grades.csv")
        self.log.info("Exporting grades to %s", to)
        to.write_text("".join(parts), encoding="utf-8", newline="")


def use(config: Any, settings: Callable[[str], Settings]) -> None:
    """Let nbgrader grade by this engine, and show nothing that can act."""
    config.GradeSubmission.settings = settings
    config.FeedbackPage.settings = settings
    config.Autograde.sanitize_preprocessors = [GradeSubmission]
    config.Autograde.autograde_preprocessors = [
        SaveAutoGrades,
        AssignLatePenalties,
    ]
    config.GenerateFeedback.exporter_class = FeedbackPage
    config.GenerateFeedback.preprocessors = []
    config.GenerateFeedback.post_convert_hook = keep_pages_only
    config.ExportApp.plugin_class = ExportGrades
    # Formgrader shows students' notebooks in the instructor's session.
    config.HTMLExporter.filters = markup.FILTERS
    config.HTMLExporter.sanitize_html = True


def keep_pages_only(
    *, assignment: str, student: str, notebooks: list[str]
) -> None:
    """Remove from feedback all files but pages and a submission's labels.

    nbgrader copies whatever lies beside a graded notebook, through links,
    too. Meant for ``c.GenerateFeedback.post_convert_hook``.
    """
    for notebook in map(Path, notebooks):
        stem, who = notebook.parent.name, notebook.parent.parent.name
        folder = notebook.parents[3] / "feedback" / who / stem
        pages = {f"{Path(each).stem}.html" for each in notebooks}
        for item in folder.iterdir() if folder.is_dir() else ():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            elif item.is_symlink() or item.name not in pages:
                item.unlink()
        for name, pattern in LABELS.items():
            original = notebook.parents[3] / "submitted" / who / stem / name
            # A link could lead to the class's key, which looks like a label.
            if original.is_symlink() or not original.is_file():
                continue
            if pattern.match(original.read_text("utf-8", "replace")):
                shutil.copyfile(original, folder / name)


def _assignment(
    settings: Callable[[str], Settings], name: str, trust: bool
) -> Assignment:
    return Assignment(settings(name), Options(trust_students=trust))


def _task(
    assignment: Assignment,
    student: str,
    notebook: str,
    store: Store | None = None,
) -> tuple[Task, Plan]:
    for key, part in assignment.collect(student):
        plan = assignment.plans[key]
        if plan.notebook != notebook:
            continue
        if part.problem:
            raise GradingError(f"{student}: {part.problem}")
        return assignment.task(key, part, store), plan
    raise GradingError(
        f"{student} must have handed in {notebook}.ipynb: got nothing"
    )


def _outcome(
    nb: NotebookNode, store: Store, task: Task, plan: Plan
) -> Outcome:
    """Return how a grade came about, whichever way it was graded."""
    told = nb.metadata.get(METADATA)
    if told is None:
        for row in store.records(plan.assignment):
            if (row.student, row.notebook) == (task.student, plan.notebook):
                told = row.outcome
    if told is None:
        raise GradingError(
            f"{task.student}'s {plan.notebook} must be graded by this engine "
            "before its feedback: grade it again"
        )
    return Outcome.from_json(json.loads(told))


def _marked(assignment: Assignment, task: Task, plan: Plan) -> Marked:
    try:
        return _worker(assignment).mark(task, plan)
    except WorkerLost as error:
        close()
        raise GradingError(
            f"the grader lost the submission of {task.student}, which must "
            f"be graded again: {error}"
        ) from error


def _worker(assignment: Assignment) -> Worker:
    """Return the worker of this process, which outlives a student.

    Formgrader's process lives for days: when the tests' code has changed,
    there is another worker.
    """
    key = assignment.setup, assignment.environment
    if key not in _at_work:
        close()
        _at_work[key] = Worker(assignment.setup)
    return _at_work[key]


_at_work: dict[tuple[Setup, str], Worker] = {}


@atexit.register
def close() -> None:
    """End the worker; whoever grades next gets another one."""
    while _at_work:
        _at_work.popitem()[1].close()
