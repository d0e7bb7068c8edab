"""A small plan, and what may have come of it, for the engine's tests."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import nbformat

from attncourse.grading.handed_in import submission
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.store import Graded, Store
from attncourse.grading.model import Judged, Outcome, Plan, SourceCell
from attncourse.grading.running.autograded import compose
from attncourse.grading.running.settings import Settings
from attncourse.grading.running.tasks import Setup, Task

TABLES = (
    "assignment",
    "notebook",
    "base_cell",
    "grade_cells",
    "solution_cells",
    "task_cells",
    "source_cell",
    "student",
    "submitted_assignment",
    "submitted_notebook",
    "grade",
    "comment",
)


def cell(kind: str, name: str | None, source: str, **more: Any) -> SourceCell:
    code = kind not in ("written", "text")
    return SourceCell(
        kind=kind,
        grade_id=name,
        cell_type="code" if code else "markdown",
        source=source,
        visible=more.pop("visible", source),
        **more,
    )


def plan(
    *, notebook: str = "sums", points: float = 5.0, extra: tuple = ()
) -> Plan:
    hidden = "assert add(2, 3) == 5  # seen\nassert add(7, 11) == 18  # unseen"
    return Plan(
        assignment="03_sums",
        notebook=notebook,
        cells=(
            cell("text", None, "# Sums"),
            cell("locked", "setup", "import math"),
            cell(
                "answer",
                "add",
                "def add(a, b):\n    return a + b",
                visible="def add(a, b):\n    raise NotImplementedError",
            ),
            cell(
                "test",
                "add-test",
                hidden,
                visible=hidden.partition("\n")[0],
                points=points,
                answers=("add",),
            ),
            cell("written", "why", "Because.", visible="Why?", points=2.0),
            *extra,
        ),
    )


def notebook(answer: str = "def add(a, b):\n    return a + b", **more) -> str:
    cells = [
        {"cell_type": "markdown", "source": "# Sums", "metadata": {}},
        {"cell_type": "code", "source": "import math", "name": "setup"},
        {"cell_type": "code", "source": answer, "name": "add"},
        {"cell_type": "code", "source": "# the test", "name": "add-test"},
        {
            "cell_type": "markdown",
            "source": more.get("why", "Why?"),
            "name": "why",
        },
    ]
    for each in cells:
        name = each.pop("name", None)
        each["metadata"] = {"nbgrader": {"grade_id": name}} if name else {}
        if each["cell_type"] == "code":
            each.update(execution_count=None, outputs=[])
    return json.dumps(
        {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    )


def outcome(student: str = "ada", points: float = 5.0, **more) -> Outcome:
    most = more.pop("max_points", 5.0)
    return Outcome(
        student=student,
        assignment="03_sums",
        questions=(
            Judged(
                grade_id="add-test",
                verdict="pass" if points == most else "fail",
                points=points,
                max_points=most,
                says="Everything holds.",
            ),
        ),
        **more,
    )


def graded(
    student: str = "ada",
    points: float = 5.0,
    *,
    key: str = "k1",
    why: str = "Why?",
    of: Plan | None = None,
    pages: dict[str, str] | None = None,
) -> Graded:
    whole = of or plan()
    most = whole.cell("add-test").points
    came = outcome(student, points, max_points=most)
    return Graded(
        plan=whole,
        outcome=came,
        content_key=key,
        notebook=autograded(whole, came, why),
        pages=pages or {},
    )


def autograded(
    whole: Plan, came: Outcome, why: str = "Why?"
) -> dict[str, Any]:
    read = submission.read(notebook(why=why).encode())
    return compose(whole, read, came)


def store(folder: Path, **more: Any) -> Store:
    return Store(
        f"sqlite:///{folder / 'gradebook.db'}",
        Folders(root=folder),
        course_id="sums",
        **more,
    )


def contents(folder: Path) -> dict[str, Any]:
    """Return all that a run leaves behind, ids and times apart."""
    with sqlite3.connect(folder / "gradebook.db") as book:
        names = {
            id_: name
            for table, column in (
                ("assignment", "name"),
                ("notebook", "name"),
                ("base_cell", "name"),
            )
            for id_, name in book.execute(f"SELECT id, {column} FROM {table}")
        }
        owners = dict(
            book.execute("SELECT id, student_id FROM submitted_assignment")
        )
        names |= owners
        names |= {
            id_: f"{owners[parent]}/{names[of]}"
            for id_, parent, of in book.execute(
                "SELECT id, assignment_id, notebook_id FROM submitted_notebook"
            )
        }
        found: dict[str, Any] = {
            table: sorted(
                repr([names.get(v, v) for v in row[1:]])
                if table in ("grade", "comment", "source_cell")
                else repr([names.get(v, v) for v in row])
                for row in book.execute(f"SELECT * FROM {table}")
            )
            for table in TABLES
        }
        found["records"] = sorted(
            book.execute(
                "SELECT student, assignment, notebook, content_key "
                "FROM grading_record"
            )
        )
    for step in ("autograded", "feedback"):
        for file in sorted((folder / step).rglob("*")):
            if file.is_file():
                found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def source(folder: Path, name: str = "sums") -> Path:
    told = [
        ("code", "import math", "setup", "locked"),
        (
            "code",
            "def add(a, b):\n    ### BEGIN SOLUTION\n    return a + b\n"
            "    ### END SOLUTION",
            "add",
            "solution",
        ),
        (
            "code",
            "assert add(2, 3) == 5  # seen\n### BEGIN HIDDEN TESTS\n"
            "assert add(7, 11) == 18  # unseen\n### END HIDDEN TESTS",
            "add-test",
            "grade locked",
        ),
        ("markdown", "Why?", "why", "grade solution"),
    ]
    cells = []
    for kind, text, grade_id, flags in told:
        own = {
            each: each in flags.split()
            for each in ("grade", "solution", "locked")
        }
        own |= {"grade_id": grade_id, "schema_version": 3, "task": False}
        if own["grade"]:
            own["points"] = 5 if kind == "code" else 2
        made = nbformat.v4.new_markdown_cell
        if kind == "code":
            made = nbformat.v4.new_code_cell
        cells.append(made(text, metadata={"nbgrader": own}, id=grade_id))
    file = folder / "source" / "03_sums" / f"{name}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), file)
    return file


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(
        assignment="03_sums",
        sources=(source(folder),),
        folders=Folders(root=folder),
        db_url=f"sqlite:///{folder}/gradebook.db",
        key_file=folder / "key",
        report=folder / "report",
        log_file=folder / "grading.jsonl",
        setup=Setup(marker="engine_standins:Standin"),
        **more,
    )


def hand_in(course, student, text, name="sums"):
    folder = course.folders.path("submitted", student, "03_sums")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(text)


def answer(points: float, more: str = "", **told) -> str:
    code = f"def add(a, b):\n    return a + b\n# points {points}\n# {more}"
    return notebook(code, **told)


def children() -> set[int]:
    """Return the processes that descend from this one."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                text = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            state, parent = text.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry)] = int(parent)
    found = {os.getpid()}
    while more := {p for p, q in parents.items() if q in found} - found:
        found |= more
    return found - {os.getpid()}


def setup(**more) -> Setup:
    return Setup(marker="engine_standins:Standin", **more)


def task(student: str, answer: str = "", **more) -> Task:
    text = notebook(f"def add(a, b):\n    return a + b\n# {answer}")
    return Task(
        student=student,
        plan="p",
        content_key=f"key of {student}",
        data=base64.b64encode(text.encode()).decode(),
        seed="0123",
        **more,
    )
