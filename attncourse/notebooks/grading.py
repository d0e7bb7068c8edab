"""What `nbgrader_config.py` adds to nbgrader's autograde step.

nbgrader lets a deleted or doubled test cell, a dead kernel or a line on
standard error decide over a grade or over a whole class. Here only the
value of a test cell does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nbclient.exceptions import DeadKernelError
from nbformat.notebooknode import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.preprocessors import Execute, NbGraderPreprocessor

from attncourse.checking.result import VERDICT_MIME

CELL_SECONDS = 60
TEST_SECONDS = 15


def seconds_for(cell: NotebookNode) -> int:
    """Return how long a cell may run while it is graded."""
    return TEST_SECONDS if is_test(cell) else CELL_SECONDS


def is_test(cell: NotebookNode) -> bool:
    """Tell whether a cell is an autograded test."""
    own = cell.metadata.get("nbgrader", {})
    return (
        cell.cell_type == "code"
        and bool(own.get("grade"))
        and not own.get("solution")
    )


class MendSubmission(NbGraderPreprocessor):
    """Bring a submission's cells back to what was released.

    Metadata comes from the gradebook, whatever the student's says; of a
    doubled cell the last one counts; a deleted test is put back.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple:
        """Mend a notebook in place."""
        place = resources.get("metadata", {})
        file = Path(place.get("path", "."), f"{place.get('name', '')}.ipynb")
        if file.is_symlink() or file.parent.is_symlink():
            raise RuntimeError(
                f"a submission must be a plain file: got a link, {file}"
            )
        own = resources["nbgrader"]
        with Gradebook(own["db_url"]) as gradebook:
            book = gradebook.find_notebook(own["notebook"], own["assignment"])
            known = _released(book)
        seen: set[str] = set()
        for cell in reversed(nb.cells):
            name = cell.metadata.pop("nbgrader", {}).get("grade_id")
            if name in known and name not in seen:
                seen.add(name)
                cell.metadata["nbgrader"] = known[name]["metadata"]
        _restore(nb, known, seen)
        return nb, resources


def _released(book: Any) -> dict[str, dict[str, Any]]:
    """Return type, source and metadata of a notebook's cells by name."""
    points = {cell.name: cell.max_score for cell in book.grade_cells}
    solutions = {cell.name for cell in book.solution_cells}
    released = {}
    for cell in book.source_cells:
        metadata = {
            "cell_type": cell.cell_type,
            "checksum": cell.checksum,
            "grade": cell.name in points,
            "grade_id": cell.name,
            "locked": cell.locked,
            "schema_version": 3,
            "solution": cell.name in solutions,
            "task": False,
        }
        if cell.name in points:
            metadata["points"] = points[cell.name]
        released[cell.name] = {
            "cell_type": cell.cell_type,
            "source": cell.source,
            "metadata": NotebookNode(metadata),
        }
    return released


def _restore(nb: NotebookNode, known: dict, seen: set[str]) -> None:
    """Put back the setup, the tests and the written answers."""
    for name, cell in known.items():
        own = cell["metadata"]
        if name in seen or not (own["grade"] or name == "setup"):
            continue
        answer = name.removesuffix("-test")
        after = [
            index
            for index, other in enumerate(nb.cells, 1)
            if other.metadata.get("nbgrader", {}).get("grade_id") == answer
        ]
        place = 0 if name == "setup" else (after or [len(nb.cells)])[0]
        made = NotebookNode(
            cell_type=cell["cell_type"],
            id=f"restored-{name}".replace("_", "-")[:64],
            metadata=NotebookNode(nbgrader=own),
            source=cell["source"],
        )
        if made.cell_type == "code":
            made.update(execution_count=None, outputs=[])
        nb.cells.insert(place, made)


class RunCells(Execute):
    """Run the cells; a kernel that dies costs only what it had left."""

    def preprocess(self, nb: NotebookNode, *args: Any, **kwargs: Any) -> tuple:
        """Run a notebook in place."""
        try:
            return super().preprocess(nb, *args, **kwargs)
        except DeadKernelError:
            self.log.warning("The kernel died: what it had left scores zero")
            return nb, (args or list(kwargs.values()))[0]


class SettleGrades(NbGraderPreprocessor):
    """Leave each test cell one value, its points, or an error.

    nbgrader gives full marks to a test without output and none to a test
    with a word on standard error.
    """

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, index: int
    ) -> tuple:
        """Settle one cell in place."""
        if is_test(cell):
            cell.outputs = settled(
                cell.get("outputs", []),
                float(cell.metadata["nbgrader"]["points"]),
            )
        return cell, resources


def settled(outputs: list, most: float) -> list:
    """Return a test's last verdict and its points, or its errors."""
    verdicts = [
        output
        for output in outputs
        if output.output_type == "display_data"
        and VERDICT_MIME in output.get("data", {})
    ][-1:]
    errors = [out for out in outputs if out.output_type == "error"]
    if errors:
        return verdicts + errors
    values = [out for out in outputs if out.output_type == "execute_result"]
    points = _points(values[-1]) if values else None
    if points is None or not 0 <= points <= most:
        error = NotebookNode(
            output_type="error",
            ename="NoPoints",
            evalue=f"a test must end in points from 0 to {most:g}",
            traceback=[],
        )
        return [*verdicts, error]
    return [*verdicts, values[-1]]


def _points(output: NotebookNode) -> float | None:
    try:
        points = float(output["data"]["text/plain"])
    except (KeyError, TypeError, ValueError):
        return None
    return points if math.isfinite(points) else None
