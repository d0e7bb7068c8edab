"""The class report: a page and a spreadsheet for the instructor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attncourse.grading.classdata import ClassData, Manual, Row, Similar
from attncourse.grading.pages import told
from attncourse.grading.pages.report_html import as_html
from attncourse.grading.pages.sheets import sheet
from attncourse.grading.pages.tally import Asked, tally

__all__ = ["ClassData", "Manual", "Row", "Similar", "csv", "html"]

ABOUT = (
    "student",
    "last_name",
    "first_name",
    "email",
    "status",
    "points",
    "max_points",
    "written_waiting",
)
AFTER = ("problem", "flags", "notes", "isolation", "cpu_s", "wall_s")


def html(data: ClassData) -> str:
    """Return the class report as one page without scripts."""
    return as_html(data, tally(data))


def csv(data: ClassData) -> str:
    """Return one row a student; who is not graded has empty cells."""
    asked = tally(data).questions
    header = [*ABOUT]
    for each in asked:
        header += [
            f"{each.grade_id} {what}"
            for what in ("verdict", "points", "mistakes", "seconds")
        ]
    rows = (list(_cells(row, asked)) for row in data.rows)
    return sheet([*header, *AFTER], rows)


def _cells(row: Row, asked: list[Asked]) -> Iterator[Any]:
    yield row.student
    yield row.last_name
    yield row.first_name
    yield row.email
    yield row.status
    yield row.points
    yield row.max_points if row.outcome else None
    yield row.waiting if row.outcome else None
    outcome = row.outcome
    judgments = outcome.questions if outcome else ()
    known = {each.grade_id: each for each in judgments}
    for each in asked:
        judged = known.get(each.grade_id)
        if judged is None:
            yield from (None, None, None, None)
            continue
        names = [m.name for m in told.read(judged).misconceptions]
        yield judged.verdict
        yield judged.points
        yield "; ".join(names)
        yield judged.seconds
    yield row.problem
    yield "; ".join(outcome.flags) if outcome else None
    yield "; ".join(outcome.notes) if outcome else None
    yield outcome.isolation if outcome else None
    yield outcome.cpu_s if outcome else None
    yield outcome.wall_s if outcome else None
