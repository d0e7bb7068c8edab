"""What people gave: it goes before what the tests gave, and is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nbgrader import api
from sqlalchemy import Connection, Select, func, select

from attncourse.grading.classdata import Manual

ASSIGNMENT = api.Assignment.__table__
BASE = api.BaseCell.__table__
COMMENT = api.Comment.__table__
GRADE = api.Grade.__table__
GRADED = api.GradeCell.__table__
NOTEBOOK = api.Notebook.__table__
SUBMITTED = api.SubmittedAssignment.__table__
SUBMITTED_NOTEBOOK = api.SubmittedNotebook.__table__
TASK = api.TaskCell.__table__

Given = tuple[tuple[Manual, ...], float]


def given(
    connection: Connection, assignment: str, notebook: str
) -> dict[str, Given]:
    """Return people's marks and the late penalty, by student."""
    found: dict[str, dict[str, Manual]] = {}
    of = assignment, notebook
    for row in connection.execute(_grades(*of)):
        made = Manual(
            grade_id=row.name,
            max_points=row.most or 0.0,
            points=row.manual_score,
            extra=row.extra_credit or 0.0,
        )
        found.setdefault(row.student_id, {})[row.name] = made
    for row in connection.execute(_comments(*of)):
        own = found.setdefault(row.student_id, {})
        alone = Manual(grade_id=row.name, max_points=0.0, points=0.0)
        own[row.name] = replace(
            own.get(row.name, alone), comment=row.manual_comment
        )
    late = {
        who: penalty or 0.0
        for who, penalty in connection.execute(
            _of(
                select(
                    SUBMITTED.c.student_id,
                    SUBMITTED_NOTEBOOK.c.late_submission_penalty,
                ),
                *of,
            )
        )
    }
    return {
        who: (
            tuple(v for _, v in sorted(found.get(who, {}).items())),
            penalty,
        )
        for who, penalty in late.items()
    }


def digest(manual: Iterable[Manual], penalty: float) -> str:
    """Return a digest of what a page of feedback told of people's marks.

    Examples
    --------
    >>> digest((), 0.0) == digest([], 0)
    True
    """
    told = [[each.to_json() for each in manual], float(penalty)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _grades(*of: str) -> Select[Any]:
    query = (
        select(
            SUBMITTED.c.student_id,
            BASE.c.name,
            GRADE.c.manual_score,
            GRADE.c.extra_credit,
            func.coalesce(GRADED.c.max_score, TASK.c.max_score).label("most"),
        )
        .select_from(SUBMITTED_NOTEBOOK)
        .join(GRADE, GRADE.c.notebook_id == SUBMITTED_NOTEBOOK.c.id)
        .join(BASE, BASE.c.id == GRADE.c.cell_id)
        .outerjoin(GRADED, GRADED.c.id == BASE.c.id)
        .outerjoin(TASK, TASK.c.id == BASE.c.id)
        .where(
            GRADE.c.manual_score.is_not(None)
            | (func.coalesce(GRADE.c.extra_credit, 0.0) != 0.0)
        )
    )
    return _of(query, *of)


def _comments(*of: str) -> Select[Any]:
    query = (
        select(
            SUBMITTED.c.student_id,
            BASE.c.name,
            COMMENT.c.manual_comment,
        )
        .select_from(SUBMITTED_NOTEBOOK)
        .join(COMMENT, COMMENT.c.notebook_id == SUBMITTED_NOTEBOOK.c.id)
        .join(BASE, BASE.c.id == COMMENT.c.cell_id)
        .where(COMMENT.c.manual_comment.is_not(None))
    )
    return _of(query, *of)


def _of(query: Select[Any], assignment: str, notebook: str) -> Select[Any]:
    table = SUBMITTED_NOTEBOOK
    return (
        query.join(NOTEBOOK, NOTEBOOK.c.id == table.c.notebook_id)
        .join(SUBMITTED, SUBMITTED.c.id == table.c.assignment_id)
        .join(ASSIGNMENT, ASSIGNMENT.c.id == SUBMITTED.c.assignment_id)
        .where(ASSIGNMENT.c.name == assignment, NOTEBOOK.c.name == notebook)
    )
