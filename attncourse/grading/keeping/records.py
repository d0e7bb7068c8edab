"""The record beside nbgrader's grades: how each of them came about.

A record counts while the submission that it is about is in the gradebook.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbgrader import api
from sqlalchemy import (
    Connection,
    Select,
    delete,
    insert,
    inspect,
    select,
    update,
)

from attncourse.grading.keeping.gradebook import RECORDS
from attncourse.grading.keeping.runlog import now

if TYPE_CHECKING:
    from attncourse.grading.keeping.store import Graded

THERE = api.SubmittedNotebook.__table__
# Begins the key of a submission that the grader itself lost: it is there to
# be seen, counts as not graded, and is graded again the next time.
LOST = "lost "


def put(connection: Connection, part: Graded, submission: str) -> None:
    """Write the record of a graded notebook, over an older one."""
    named = {
        "student": part.outcome.student,
        "assignment": part.plan.assignment,
        "notebook": part.plan.notebook,
    }
    same = (RECORDS.c[name] == value for name, value in named.items())
    connection.execute(delete(RECORDS).where(*same))
    connection.execute(
        insert(RECORDS).values(
            **named,
            submission=submission,
            content_key=part.content_key,
            by_hand=part.by_hand,
            outcome=json.dumps(part.outcome.to_json()),
            graded=now(),
        )
    )


def key(
    connection: Connection, student: str, assignment: str, notebook: str
) -> str | None:
    """Return the key under which a notebook is recorded, if it is."""
    query = _counting(select(RECORDS.c.content_key)).where(
        RECORDS.c.student == student,
        RECORDS.c.assignment == assignment,
        RECORDS.c.notebook == notebook,
    )
    return connection.execute(query).scalar()


def of(connection: Connection, assignment: str) -> list[Any]:
    """Return the records of an assignment, by student and notebook."""
    query = _counting(select(RECORDS)).where(
        RECORDS.c.assignment == assignment
    )
    order = RECORDS.c.student, RECORDS.c.notebook
    return list(connection.execute(query.order_by(*order)))


def lost(connection: Connection, assignment: str) -> set[str]:
    """Return the students of whom the grader lost a notebook."""
    if not inspect(connection).has_table(RECORDS.name):
        return set()  # a gradebook that only nbgrader has written
    query = _counting(select(RECORDS.c.student)).where(
        RECORDS.c.assignment == assignment,
        RECORDS.c.content_key.startswith(LOST),
    )
    return set(connection.scalars(query))


def some(connection: Connection) -> bool:
    """Tell whether there is any record."""
    query = select(RECORDS.c.student).limit(1)
    return connection.execute(query).first() is not None


def tell(connection: Connection, record: Any, by_hand: str) -> bool:
    """Note what the feedback tells now; False if the record is another."""
    changed = connection.execute(
        update(RECORDS)
        .where(
            RECORDS.c.student == record.student,
            RECORDS.c.assignment == record.assignment,
            RECORDS.c.notebook == record.notebook,
            RECORDS.c.content_key == record.content_key,
        )
        .values(by_hand=by_hand)
    )
    return bool(changed.rowcount)


def _counting(query: Select[Any]) -> Select[Any]:
    return query.join(THERE, THERE.c.id == RECORDS.c.submission)
