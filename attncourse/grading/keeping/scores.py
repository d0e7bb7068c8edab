"""What everybody has; what is not graded is None, never zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nbgrader import api
from sqlalchemy import Connection, select

from attncourse.grading.keeping import records

ASSIGNMENT = api.Assignment.__table__
BASE = api.BaseCell.__table__
GRADE = api.Grade.__table__
NOTEBOOK = api.Notebook.__table__
STUDENT = api.Student.__table__
SUBMITTED = api.SubmittedAssignment.__table__
SUBMITTED_NOTEBOOK = api.SubmittedNotebook.__table__


@dataclass(frozen=True, kw_only=True)
class Score:
    """One student's points in an assignment.

    `score` is None if a test of it was not graded yet, or nothing was
    handed in; else the sum, late penalty taken off. `points` are those of
    each graded cell, by notebook and cell. `waiting` names the cells that
    a person has still to grade, which count nothing until then.
    """

    student: str
    first_name: str | None
    last_name: str | None
    email: str | None
    lms_user_id: str | None
    score: float | None
    max_score: float
    penalty: float = 0.0
    points: dict[tuple[str, str], float | None] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()


def scores(connection: Connection, assignment: str) -> list[Score]:
    """Return a row for every student of the gradebook, in their order."""
    worth = _worth(connection, assignment)
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for row in connection.execute(_grades(assignment)):
        found.setdefault(row.student_id, {})[row.notebook, row.name] = row
    late = _penalties(connection, assignment)
    lost = records.lost(connection, assignment)
    people = connection.execute(
        select(STUDENT).order_by(
            STUDENT.c.last_name, STUDENT.c.first_name, STUDENT.c.id
        )
    )
    return [
        _score(
            person,
            {} if person.id in lost else found.get(person.id, {}),
            worth,
            late,
        )
        for person in people
    ]


def _score(
    person: Any,
    rows: dict[tuple[str, str], Any],
    worth: dict[tuple[str, str], tuple[float, bool]],
    late: dict[str, float],
) -> Score:
    points = {key: _points(rows.get(key)) for key in worth}
    open_ = [key for key, value in points.items() if value is None]
    penalty = late.get(person.id, 0.0)
    # A cell that only a person can grade is there, and waits.
    graded = bool(rows) and all(
        key in rows and not worth[key][1] for key in open_
    )
    total = sum(value for value in points.values() if value is not None)
    return Score(
        student=person.id,
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        lms_user_id=person.lms_user_id,
        score=max(0.0, total - penalty) if graded else None,
        max_score=sum(most for most, _ in worth.values()),
        penalty=penalty,
        points=points,
        waiting=_waiting(rows.values()) if graded else (),
    )


def _points(row: Any) -> float | None:
    if row is None:
        return None
    own = row.auto_score if row.manual_score is None else row.manual_score
    return None if own is None else own + (row.extra_credit or 0.0)


def _waiting(rows: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(r.name for r in rows if r.needs_manual_grade))


def _worth(
    connection: Connection, assignment: str
) -> dict[tuple[str, str], tuple[float, bool]]:
    """Return the most points of each cell, and whether it is a test."""
    found: dict[tuple[str, str], tuple[float, bool]] = {}
    written = {
        (row.notebook, row.name)
        for row in connection.execute(_cells(assignment, "SolutionCell"))
    }
    for kind in ("GradeCell", "TaskCell"):
        for row in connection.execute(_cells(assignment, kind)):
            key = row.notebook, row.name
            test = (
                kind == "GradeCell"
                and row.cell_type == "code"
                and key not in written
            )
            found[key] = row.max_score, test
    return found


def _cells(assignment: str, kind: str) -> Any:
    table = getattr(api, kind).__table__
    columns = [NOTEBOOK.c.name.label("notebook"), BASE.c.name]
    if kind != "SolutionCell":
        columns += [table.c.max_score, table.c.cell_type]
    return (
        select(*columns)
        .join(table, table.c.id == BASE.c.id)
        .join(NOTEBOOK, NOTEBOOK.c.id == BASE.c.notebook_id)
        .join(ASSIGNMENT, ASSIGNMENT.c.id == NOTEBOOK.c.assignment_id)
        .where(ASSIGNMENT.c.name == assignment)
        .order_by(NOTEBOOK.c.name, BASE.c.name)
    )


def _grades(assignment: str) -> Any:
    return (
        select(
            SUBMITTED.c.student_id,
            NOTEBOOK.c.name.label("notebook"),
            BASE.c.name,
            GRADE.c.auto_score,
            GRADE.c.manual_score,
            GRADE.c.extra_credit,
            GRADE.c.needs_manual_grade,
        )
        .join(BASE, BASE.c.id == GRADE.c.cell_id)
        .join(NOTEBOOK, NOTEBOOK.c.id == BASE.c.notebook_id)
        .join(
            SUBMITTED_NOTEBOOK, SUBMITTED_NOTEBOOK.c.id == GRADE.c.notebook_id
        )
        .join(SUBMITTED, SUBMITTED.c.id == SUBMITTED_NOTEBOOK.c.assignment_id)
        .join(ASSIGNMENT, ASSIGNMENT.c.id == SUBMITTED.c.assignment_id)
        .where(ASSIGNMENT.c.name == assignment)
    )


def _penalties(connection: Connection, assignment: str) -> dict[str, float]:
    table = SUBMITTED_NOTEBOOK
    found: dict[str, float] = {}
    for student, penalty in connection.execute(
        select(SUBMITTED.c.student_id, table.c.late_submission_penalty)
        .join(SUBMITTED, SUBMITTED.c.id == table.c.assignment_id)
        .join(ASSIGNMENT, ASSIGNMENT.c.id == SUBMITTED.c.assignment_id)
        .where(ASSIGNMENT.c.name == assignment)
    ):
        found[student] = found.get(student, 0.0) + (penalty or 0.0)
    return found
