"""What `nbgrader_config.py` adds to nbgrader's feedback step.

A student's code runs beside the hidden cases, so anything that a run put
out may hold them. Feedback repeats none of it: each test shows a verdict
that is rebuilt from names in the question's own tables.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nbformat.notebooknode import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import List

from attncourse import questions
from attncourse.checking.draw import as_html, as_text
from attncourse.checking.question import (
    AnyQuestion,
    Audit,
    Prediction,
    Question,
)
from attncourse.checking.result import VERDICT_MIME, Result, StageResult
from attncourse.notebooks.course import unit_of
from attncourse.notebooks.grading import is_test

TOO_LONG = {"CellTimeoutError", "KeyboardInterrupt"}
PICTURES = {"image/png", "image/jpeg", "image/gif"}
# What nbgrader's release_feedback asks for, and what it may look like.
LABELS = {
    "timestamp.txt": re.compile(r"[\d-]{10} [\d:.]{8,16} [\w/+-]{1,32}\s*\Z"),
    "submission_secret.txt": re.compile(r"[\w/+=-]{1,128}\s*\Z"),
}
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*\Z")


class TellVerdicts(NbGraderPreprocessor):
    """Replace outputs by verdicts, and tests by their visible part."""

    # nbconvert sets it for every step of an HTML export.
    display_data_priority = List(["text/html", "text/plain"]).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple:
        """Rewrite a graded notebook in place, for its student."""
        unit = unit_of(resources["nbgrader"]["assignment"])
        nb.metadata = NotebookNode(
            {"language_info": NotebookNode({"name": "python"})}
        )
        for cell in nb.cells:
            own = cell.metadata.get("nbgrader")
            outputs = cell.get("outputs", [])
            _strip(cell)
            if own:
                cell.metadata["nbgrader"] = own
            if is_test(cell):
                _tell(cell, unit, outputs)
        return nb, resources


def _strip(cell: NotebookNode) -> None:
    """Leave of a cell what its student wrote, and pictures in it."""
    cell.metadata = NotebookNode()
    if cell.cell_type == "code":
        cell.outputs = []
        cell.execution_count = None
    kept = {
        name: {
            kind: data
            for kind, data in bundle.items()
            if kind in PICTURES
            and isinstance(data, str)
            and BASE64.match(data)
        }
        for name, bundle in cell.pop("attachments", {}).items()
    }
    if any(kept.values()):
        cell["attachments"] = NotebookNode(kept)


def _tell(cell: NotebookNode, unit: str, outputs: list) -> None:
    own = cell.metadata["nbgrader"]
    name = own["grade_id"].removesuffix("-test")
    try:
        question = questions.load(f"{unit}.{name}")
    except ValueError:  # a question that has left the course
        cell.source = "# This test is not part of the course any more."
        return
    explained = explanations(cell.source)
    cell.source = f'check("{question.id}", {question.function_name})'
    result = rebuilt(
        question, outputs, score=own.get("score"), explained=explained
    )
    where = {
        each.section: questions.place(each.section)
        for each in result.diagnosis
    }
    cell.outputs = [
        NotebookNode(
            output_type="display_data",
            metadata=NotebookNode(),
            data=NotebookNode(
                {
                    "text/html": as_html(result, where=where),
                    "text/plain": as_text(result, where=where),
                }
            ),
        )
    ]


def explanations(source: str) -> set[str]:
    """Return what a test may say about predictions, from its `because`.

    Examples
    --------
    >>> sorted(explanations("because = {'a': {'rise': 'it cannot'}}"))
    ['a: it cannot']
    """
    found: set[str] = set()
    with contextlib.suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assign) and [
                getattr(each, "id", "") for each in node.targets
            ] == ["because"]:
                table = ast.literal_eval(node.value)
                for name, options in table.items():
                    found |= {f"{name}: {text}" for text in options.values()}
    return found


def rebuilt(
    question: AnyQuestion,
    outputs: list,
    *,
    score: float | None,
    explained: Collection[str] = (),
) -> Result:
    """Return a result in which every word comes from the question.

    Parameters
    ----------
    outputs : of the graded test cell; trusted for no more than choosing
        among names that the question has.
    score : the points in the gradebook.
    explained : the notes that may be repeated.
    """
    told = _told(question, outputs)
    errors = {out.ename for out in outputs if out.output_type == "error"}
    failed = told.get("failed_stages")
    stages = _stages(question, failed if isinstance(failed, list) else None)
    names = told.get("diagnosis")
    diagnosis = tuple(
        each
        for each in getattr(question, "misconceptions", ())
        if isinstance(names, list) and each.name in names
    )[:2]
    points = float(score or 0.0)
    noted = told.get("notes")
    notes = tuple(
        note
        for note in (noted if isinstance(noted, list) else ())
        if isinstance(note, str) and note in explained
    )
    error = told.get("error")
    if not told:
        known = sorted(filter(_is_builtin, errors - TOO_LONG))
        error = known[0] if known else None
        notes = (_why_untold(errors),) if points == 0 else ()
    return Result(
        question_id=question.id,
        title=question.title,
        verdict=_verdict(points, question.points, told, errors),
        points=points,
        max_points=question.points,
        stages=stages if told else (),
        diagnosis=diagnosis,
        error=error if _is_builtin(error) and points == 0 else None,
        notes=notes,
    )


def _told(question: AnyQuestion, outputs: list) -> dict[str, Any]:
    for output in reversed(outputs):
        if output.output_type == "display_data":
            told = output.get("data", {}).get(VERDICT_MIME)
            if isinstance(told, dict) and told.get("question") == question.id:
                return told
    return {}


def _stages(
    question: AnyQuestion, failed: list | None
) -> tuple[StageResult, ...]:
    if failed is None:
        return ()
    if isinstance(question, Question):
        table = [(s.name, s.must, s.points) for s in question.stages]
    elif isinstance(question, Prediction):
        share = question.points / len(question.statements)
        table = [(n, s.text, share) for n, s in question.statements.items()]
    else:
        assert isinstance(question, Audit)
        table = [
            ("accepts", "every right function is accepted", 0.0),
            ("catches", "enough wrong ones are caught", question.points),
        ]
    return tuple(
        StageResult(name, must, points, name not in failed)
        for name, must, points in table
    )


def _verdict(points: float, most: float, told: dict, errors: set) -> str:
    if points >= most:
        return "pass"
    if points > 0:
        return "partial"
    if told.get("verdict") == "todo":
        return "todo"
    return "error" if errors or told.get("error") else "fail"


def _is_builtin(name: Any) -> bool:
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _why_untold(errors: set[str]) -> str:
    if errors & TOO_LONG:
        return "It did not finish in the time that grading allows."
    if errors:
        return (
            "The test could not call your function. Run the notebook from "
            "top to bottom in a fresh kernel: is the function defined "
            "before its test?"
        )
    return "The test gave no verdict. Run the notebook from top to bottom."


def keep_pages_only(
    *, assignment: str, student: str, notebooks: list[str]
) -> None:
    """Remove from feedback all files but pages and a submission's labels.

    nbgrader copies whatever lies in the autograded folder, also files that
    the student's code wrote there while hidden cases ran. Meant for
    ``c.GenerateFeedback.post_convert_hook``.
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
        # The copies in the graded folder may be the student's code's.
        for name, pattern in LABELS.items():
            original = notebook.parents[3] / "submitted" / who / stem / name
            if original.is_file() and pattern.match(original.read_text()):
                shutil.copyfile(original, folder / name)
