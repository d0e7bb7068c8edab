"""Write into nbgrader's tables what a source notebook asks.

The rows are those that nbgrader's own `generate_assignment` writes, so
that its formgrader, its export and its feedback find what they expect.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nbgrader import api
from nbgrader.api import new_uuid
from sqlalchemy import Connection, delete, insert, select, update

from attncourse.grading.model import GradingError, Plan
from attncourse.grading.notebooks.metadata import KERNEL, kept, named

ASSIGNMENT = api.Assignment.__table__
BASE = api.BaseCell.__table__
COMMENT = api.Comment.__table__
COURSE = api.Course.__table__
GRADE = api.Grade.__table__
NOTEBOOK = api.Notebook.__table__
SOURCE = api.SourceCell.__table__
TABLES = {
    "GradeCell": api.GradeCell.__table__,
    "SolutionCell": api.SolutionCell.__table__,
    "TaskCell": api.TaskCell.__table__,
}


def graded_cells(plan: Plan) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the cells that count, by name and kind of row."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for _, told in named(plan):
        name = told["grade_id"]
        worth = {
            "max_score": told.get("points", 0.0),
            "cell_type": told["cell_type"],
        }
        if told["grade"]:
            wanted[name, "GradeCell"] = worth
        if told["solution"]:
            wanted[name, "SolutionCell"] = {}
        if told["task"]:
            wanted[name, "TaskCell"] = worth
    return wanted


def course(connection: Connection, course_id: str) -> None:
    """Make sure that the course is known."""
    known = select(COURSE.c.id).where(COURSE.c.id == course_id)
    if connection.execute(known).first() is None:
        connection.execute(insert(COURSE).values(id=course_id))


def assignment(connection: Connection, name: str, course_id: str) -> str:
    """Return the id of an assignment, made if it is new."""
    known = select(ASSIGNMENT.c.id).where(ASSIGNMENT.c.name == name)
    found = connection.execute(known).scalar()
    if found is None:
        course(connection, course_id)
        found = new_uuid()
        connection.execute(
            insert(ASSIGNMENT).values(id=found, name=name, course_id=course_id)
        )
    return found


def notebook(connection: Connection, name: str, parent: str) -> str:
    """Return the id of an assignment's notebook, made if it is new."""
    known = select(NOTEBOOK.c.id).where(
        NOTEBOOK.c.name == name, NOTEBOOK.c.assignment_id == parent
    )
    found = connection.execute(known).scalar()
    if found is None:
        found = new_uuid()
        connection.execute(
            insert(NOTEBOOK).values(
                id=found,
                name=name,
                assignment_id=parent,
                kernelspec=json.dumps(KERNEL),
            )
        )
    return found


def cells(
    connection: Connection,
    wanted: dict[tuple[str, str], dict[str, Any]],
    plan: Plan,
    parent: str,
) -> dict[tuple[str, str], str]:
    """Bring the cells that count up to the plan; return their ids.

    Raises
    ------
    GradingError
        If a cell that a person has graded is no longer in the source.
    """
    ids = cell_ids(connection, parent)
    _drop(connection, plan, [(*k, ids[k]) for k in ids if k not in wanted])
    for (name, kind), worth in wanted.items():
        if (name, kind) not in ids:
            ids[name, kind] = id_ = new_uuid()
            connection.execute(
                insert(BASE).values(
                    id=id_, name=name, type=kind, notebook_id=parent
                )
            )
            connection.execute(insert(TABLES[kind]).values(id=id_, **worth))
        elif worth:
            table, id_ = TABLES[kind], ids[name, kind]
            connection.execute(
                update(table).where(table.c.id == id_).values(**worth)
            )
    return {key: ids[key] for key in wanted}


def cell_ids(
    connection: Connection, parent: str
) -> dict[tuple[str, str], str]:
    """Return the ids of a notebook's cells, by name and kind of row."""
    known = select(BASE.c.name, BASE.c.type, BASE.c.id).where(
        BASE.c.notebook_id == parent
    )
    return {(n, t): i for n, t, i in connection.execute(known)}


def sources(connection: Connection, plan: Plan, parent: str) -> None:
    """Bring the kept sources of a notebook's cells up to the plan."""
    known = select(SOURCE.c.name, SOURCE.c.id).where(
        SOURCE.c.notebook_id == parent
    )
    ids = {row.name: row.id for row in connection.execute(known)}
    for cell, told in named(plan):
        name = told["grade_id"]
        row = {
            "cell_type": told["cell_type"],
            "locked": told["locked"],
            "source": kept(cell),
            "checksum": told["checksum"],
        }
        id_ = ids.pop(name, None)
        if id_ is None:
            added = {"id": new_uuid(), "name": name, "notebook_id": parent}
            connection.execute(insert(SOURCE).values(**added, **row))
        else:
            connection.execute(
                update(SOURCE).where(SOURCE.c.id == id_).values(**row)
            )
    if ids:
        connection.execute(
            delete(SOURCE).where(SOURCE.c.id.in_(list(ids.values())))
        )


def _drop(
    connection: Connection, plan: Plan, gone: Sequence[tuple[str, str, str]]
) -> None:
    """Forget cells that left the source, unless a person worked on them."""
    for name, kind, id_ in gone:
        by_hand = (
            select(GRADE.c.id).where(
                GRADE.c.cell_id == id_,
                (GRADE.c.manual_score.is_not(None))
                | (GRADE.c.extra_credit.is_not(None)),
            ),
            select(COMMENT.c.id).where(
                COMMENT.c.cell_id == id_,
                COMMENT.c.manual_comment.is_not(None),
            ),
        )
        if any(connection.execute(each).first() for each in by_hand):
            raise GradingError(
                f"cell {name} of {plan.assignment}/{plan.notebook} must stay "
                "in the source: got none, but a person has graded it; put "
                "it back, or take the assignment out of the gradebook with "
                "`nbgrader db assignment remove`"
            )
        for table, column in (
            (GRADE, GRADE.c.cell_id),
            (COMMENT, COMMENT.c.cell_id),
            (TABLES[kind], TABLES[kind].c.id),
            (BASE, BASE.c.id),
        ):
            connection.execute(delete(table).where(column == id_))
