"""Write one submission's marks, and leave alone what people wrote."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from nbgrader import api
from nbgrader.api import new_uuid
from sqlalchemy import Connection, func, insert, select, update

COMMENT = api.Comment.__table__
GRADE = api.Grade.__table__
STUDENT = api.Student.__table__
SUBMITTED = api.SubmittedAssignment.__table__
SUBMITTED_NOTEBOOK = api.SubmittedNotebook.__table__
ASSIGNMENT = api.Assignment.__table__

Ids = dict[tuple[str, str], str]
# ``penalty(student, score, seconds late)``: the points taken off.
Penalty = Callable[[str, float, float], float | None]


def submission(
    connection: Connection,
    student: str,
    assignment: str,
    timestamp: datetime.datetime | None,
) -> str:
    """Return the id of what a student handed in, made if it is new."""
    if not connection.execute(
        select(STUDENT.c.id).where(STUDENT.c.id == student)
    ).first():
        connection.execute(insert(STUDENT).values(id=student))
    table = SUBMITTED
    found = connection.execute(
        select(table.c.id).where(
            table.c.assignment_id == assignment,
            table.c.student_id == student,
        )
    ).scalar()
    if found is None:
        found = new_uuid()
        row = {"id": found, "assignment_id": assignment}
        connection.execute(insert(table).values(student_id=student, **row))
    if timestamp is not None:
        connection.execute(
            update(table)
            .where(table.c.id == found)
            .values(timestamp=timestamp)
        )
    return found


def submitted_notebook(
    connection: Connection, parent: str, notebook: str
) -> str:
    """Return the id of a submission's notebook, made if it is new."""
    table = SUBMITTED_NOTEBOOK
    found = connection.execute(
        select(table.c.id).where(
            table.c.assignment_id == parent, table.c.notebook_id == notebook
        )
    ).scalar()
    if found is None:
        found = new_uuid()
        row = {"id": found, "assignment_id": parent, "flagged": False}
        connection.execute(insert(table).values(notebook_id=notebook, **row))
    return found


def write(
    connection: Connection,
    parent: str,
    ids: Ids,
    scores: dict[str, float | None],
    comments: dict[str, str | None],
) -> None:
    """Write the automatic points and comments of a submitted notebook."""
    known = {
        row.cell_id: row
        for row in connection.execute(
            select(GRADE.c.cell_id, GRADE.c.id, GRADE.c.manual_score).where(
                GRADE.c.notebook_id == parent
            )
        )
    }
    new: list[dict[str, Any]] = []
    for (name, kind), cell in ids.items():
        if kind == "SolutionCell":
            continue
        old = known.get(cell)
        row: dict[str, Any] = {}
        if name in scores:
            by_hand = old is not None and old.manual_score is not None
            row["auto_score"] = scores[name]
            row["needs_manual_grade"] = by_hand or scores[name] is None
        if old is None:
            blank = {"auto_score": None, "needs_manual_grade": True}
            added = {"id": new_uuid(), "cell_id": cell, "notebook_id": parent}
            new.append({**added, **blank, **row})
        elif row:
            connection.execute(
                update(GRADE).where(GRADE.c.id == old.id).values(**row)
            )
    if new:
        connection.execute(insert(GRADE), new)
    _write_comments(connection, parent, ids, comments)


def _write_comments(
    connection: Connection,
    parent: str,
    ids: Ids,
    comments: dict[str, str | None],
) -> None:
    known = {
        row.cell_id: row
        for row in connection.execute(
            select(
                COMMENT.c.cell_id, COMMENT.c.id, COMMENT.c.auto_comment
            ).where(COMMENT.c.notebook_id == parent)
        )
    }
    new = []
    for (name, kind), cell in ids.items():
        if kind == "GradeCell":
            continue
        old, said = known.get(cell), comments.get(name)
        if old is None:
            added = {"id": new_uuid(), "cell_id": cell, "notebook_id": parent}
            new.append({"auto_comment": said, **added})
        elif old.auto_comment != said:
            connection.execute(
                update(COMMENT)
                .where(COMMENT.c.id == old.id)
                .values(auto_comment=said)
            )
    if new:
        connection.execute(insert(COMMENT), new)


def penalise(
    connection: Connection, student: str, handed_in: str, penalty: Penalty
) -> None:
    """Take points off what was handed in late, as the course's rule says."""
    row = connection.execute(
        select(SUBMITTED.c.timestamp, SUBMITTED.c.extension, ASSIGNMENT)
        .join(ASSIGNMENT, ASSIGNMENT.c.id == SUBMITTED.c.assignment_id)
        .where(SUBMITTED.c.id == handed_in)
    ).one()
    late_s = 0.0
    if row.timestamp is not None and row.duedate is not None:
        due = row.duedate + (row.extension or datetime.timedelta())
        late_s = max(0.0, (row.timestamp - due).total_seconds())
    score = func.coalesce(func.sum(api.Grade.score.expression), 0.0)
    table = SUBMITTED_NOTEBOOK
    for each in connection.execute(
        select(table.c.id, score)
        .outerjoin(GRADE, GRADE.c.notebook_id == table.c.id)
        .where(table.c.assignment_id == handed_in)
        .group_by(table.c.id)
    ).all():
        taken = penalty(student, each[1], late_s) if late_s else None
        if taken is not None:
            taken = min(max(0.0, taken), each[1])
        connection.execute(
            update(table)
            .where(table.c.id == each[0])
            .values(late_submission_penalty=taken)
        )
