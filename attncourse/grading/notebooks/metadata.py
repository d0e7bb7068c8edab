"""nbgrader's metadata of a cell, and its checksum, from a plan.

nbgrader itself takes seconds to import, which a worker need not wait for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from attncourse.grading.model import Plan, SourceCell

KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}


def own(cell: SourceCell) -> dict[str, Any]:
    """Return nbgrader's metadata of a cell of the source."""
    told = cell.metadata.get("nbgrader", {})
    grade = bool(told.get("grade", cell.kind in ("test", "written")))
    solution = bool(told.get("solution", cell.kind in ("answer", "written")))
    task = bool(told.get("task", False))
    locked = grade or cell.kind == "locked"
    made = {
        "cell_type": cell.cell_type,
        "grade": grade,
        "grade_id": cell.grade_id,
        "locked": bool(told.get("locked", locked)) and not solution,
        "schema_version": 3,
        "solution": solution,
        "task": task,
    }
    if grade or task:
        made["points"] = float(cell.points)
    made["checksum"] = checksum(kept(cell), cell.cell_type, made)
    return made


def kept(cell: SourceCell) -> str:
    """Return the source that the gradebook keeps: a test's is whole."""
    return cell.source if cell.kind == "test" else cell.visible


def named(plan: Plan) -> Iterator[tuple[SourceCell, dict[str, Any]]]:
    """Give the cells that nbgrader keeps, each with its metadata."""
    for cell in plan.cells:
        if cell.grade_id is not None:
            told = own(cell)
            if any(told[k] for k in ("grade", "solution", "task", "locked")):
                yield cell, told


def checksum(source: str, cell_type: str, told: Mapping[str, Any]) -> str:
    """Return nbgrader's checksum of a cell, by its metadata."""
    locked = not told["solution"] and (told["grade"] or told["locked"])
    parts = [
        source,
        cell_type,
        str(told["grade"]),
        str(told["solution"]),
        str(locked),
        str(told["grade_id"]),
    ]
    if told["grade"]:
        parts.append(str(float(told["points"])))
    text = "".join(parts).encode("utf-8", errors="replace")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()
