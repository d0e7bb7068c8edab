"""Grades as tables that Canvas, Moodle and nbgrader's users read.

Canvas and Moodle take an empty cell as "remove the grade", so a student
who is not graded is left out of theirs; Moodle stops at a row whose
student it does not know, and gives a row without one to the student
before it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from attncourse.grading.classdata import ClassData
from attncourse.grading.model import GradingError
from attncourse.grading.pages import safe, told
from attncourse.grading.pages.frame import LABELS, counted, number
from attncourse.grading.pages.sheets import sheet

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = {
    "username": "Username",
    "idnumber": "ID number",
    "email": "Email address",
}
MOODLE_MOST = 100
NBGRADER = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)


@dataclass(frozen=True, kw_only=True)
class Grade:
    """One student's points in an assignment; None is not graded."""

    student: str
    score: float | None
    max_score: float
    first_name: str | None = ""
    last_name: str | None = ""
    email: str | None = ""
    lms_user_id: str | None = ""
    penalty: float = 0.0


# Whatever has the fields of a Grade, such as a row of the gradebook.
Scored = Any


@dataclass(frozen=True)
class Sheet:
    """A table as text, and what to know before importing it."""

    text: str
    notes: tuple[str, ...] = ()


def grades(data: ClassData) -> list[Grade]:
    """Return the points of a class that a report is made of."""
    most = max((row.max_points for row in data.rows), default=0.0)
    return [
        Grade(
            student=row.student,
            score=row.points,
            max_score=row.max_points or most,
            first_name=row.first_name,
            last_name=row.last_name,
            email=row.email,
            lms_user_id=row.lms_user_id,
            penalty=row.penalty,
        )
        for row in data.rows
    ]


def comments(data: ClassData) -> dict[str, str]:
    """Return for each graded student how every question came out."""
    said = {}
    for row, outcome in data.graded():
        parts = []
        for judged in outcome.questions:
            title = told.title(judged.grade_id, told.read(judged), data.plan)
            parts.append(f"{title}: {LABELS[judged.verdict].lower()}")
        if row.waiting:
            parts.append("written answers wait for a person")
        said[row.student] = "; ".join(parts) + "."
    return said


def canvas(
    rows: Iterable[Scored], *, assignment: str, roster: str = ""
) -> Sheet:
    """Return a table for Canvas's gradebook import.

    Parameters
    ----------
    roster : the gradebook as Canvas exports it. With it students and the
        assignment are named as Canvas knows them; without it students are
        told by their ids alone, and Canvas may offer a new assignment.
    """
    rows = list(rows)
    graded = [row for row in rows if row.score is not None]
    notes = _left_out(rows, "Canvas")
    head, known = assignment, None
    if roster:
        head, known = _roster(roster, assignment)
    body: list[Sequence[Any]] = []
    unknown = []
    for row in graded:
        about = _canvas_identity(row, known)
        if about is None:
            unknown.append(row.student)
        else:
            body.append((*about, row.score))
    if unknown:
        notes.append(f"Not in the roster, left out: {_names(unknown)}.")
    most = max((row.max_score for row in rows), default=0.0)
    possible = ("    Points Possible", "", "", "", "", most)
    return Sheet(sheet((*CANVAS, head), [possible, *body]), tuple(notes))


def _canvas_identity(
    row: Scored, known: dict[str, tuple[str, ...]] | None
) -> tuple[str, ...] | None:
    if known is not None:
        keys = (row.lms_user_id, row.student, row.email)
        found = next((known[key] for key in keys if key in known), None)
        return found and (_person(found[0]), *found[1:])
    parts = filter(None, (row.last_name, row.first_name))
    name = ", ".join(parts) or row.student
    return _person(name), "", row.lms_user_id or "", row.student, ""


def _person(name: str) -> str:
    """Return a name that Canvas does not take for the row of maxima."""
    return re.sub("(?i)(points) (possible)", r"\1-\2", safe.name(name))


def _roster(
    text: str, assignment: str
) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the assignment's heading, and everybody by every id."""
    text = text.lstrip("\ufeff")
    first = text.partition("\n")[0]
    # Canvas writes semicolons for who has a comma in numbers.
    mark = ";" if first.count(";") > first.count(",") else ","
    lines = list(csv.reader(io.StringIO(text), delimiter=mark))
    heads = [head.strip() for head in lines[0]] if lines else []
    named = {"Student"} <= set(heads) or {"LastName", "FirstName"} <= set(
        heads
    )
    if not named or "ID" not in heads:
        raise GradingError(
            "roster must be Canvas's export of its gradebook, with columns "
            f"Student and ID: got {', '.join(heads[:6]) or 'nothing'}"
        )
    pattern = re.compile(re.escape(assignment) + r"(?: \(\d+\))?\Z")
    own = next((head for head in heads if pattern.match(head)), assignment)
    known: dict[str, tuple[str, ...]] = {}
    for line in lines[1:]:
        person = dict(zip(heads, line, strict=False))
        if any("Points Possible" in value for value in line[:1]):
            continue
        if "Student" not in heads:
            parts = (person.get("LastName"), person.get("FirstName"))
            person["Student"] = ", ".join(filter(None, parts))
        about = tuple(person.get(column, "") for column in CANVAS)
        for key in about[1:4]:
            if key:
                known.setdefault(key, about)
    return own, known


def moodle(
    rows: Iterable[Scored],
    *,
    assignment: str,
    by: Literal["username", "idnumber", "email"] = "username",
    comments: Mapping[str, str] | None = None,
) -> Sheet:
    """Return a table for Moodle's import of grades.

    Parameters
    ----------
    by : how Moodle shall know a student: by the student's id here as its
        user name, by `lms_user_id` as its ID number, or by e-mail.
    comments : feedback of a sentence or two for each student.
    """
    rows = list(rows)
    own = {"username": "student", "idnumber": "lms_user_id", "email": "email"}
    keys = {row.student: getattr(row, own[by]) or "" for row in rows}
    twice = Counter(keys.values())
    notes = _left_out(rows, "Moodle")
    body, unknown = [], []
    for row in rows:
        key = keys[row.student]
        if row.score is None:
            continue
        # Moodle reads a "0" as no name, too.
        nobody = key.strip() in ("", "0") or key.endswith("\\")
        if nobody or twice[key] > 1 or safe.cell(key) != key:
            unknown.append(row.student)
            continue
        said = escape((comments or {}).get(row.student, ""), quote=False)
        body.append((key, row.score, _for_php(said)))
    if unknown:
        notes.append(
            f"Without a {MOODLE[by].lower()} of their own, left out: "
            f"{_names(unknown)}."
        )
    most = max((row.max_score for row in rows), default=0.0)
    if body:
        notes.append(f"The grade item's maximum must be {number(most)}.")
    if most > MOODLE_MOST:
        notes.append(
            f"Moodle takes no grade above {MOODLE_MOST}, unless its "
            "administrator allows it."
        )
    capitals = [key for key, *_ in body if key != key.lower()]
    if by == "username" and capitals:
        notes.append(
            "User names in Moodle are in small letters, and it stops at one "
            f"that it does not know: {_names(capitals)}."
        )
    header = (MOODLE[by], _for_php(assignment), "Feedback comments")
    return Sheet(sheet(header, body), tuple(notes))


def _for_php(text: str) -> str:
    """Return text in which no backslash stands before a quotation mark.

    Moodle's reader would take the mark for a part of the text.
    """
    return re.sub(r'\\(?="|\Z)', r"\\ ", text)


def nbgrader(
    rows: Iterable[Scored], *, assignment: str, duedate: str = ""
) -> Sheet:
    """Return nbgrader's own table, empty where nothing is graded."""
    rows = list(rows)
    body = []
    for row in rows:
        graded = row.score is not None
        # Nothing goes below zero, so a zero hides what it was before.
        known = graded and (row.score > 0 or not row.penalty)
        raw = row.score + row.penalty if known else None
        penalty = row.penalty if graded else None
        about = (row.student, row.last_name, row.first_name, row.email)
        points = (raw, penalty, row.score, row.max_score)
        body.append((assignment, duedate, "", *about, *points))
    ungraded = sum(row.score is None for row in rows)
    notes = (
        (f"{counted(ungraded, 'student')} not graded: empty cells.",)
        if ungraded
        else ()
    )
    return Sheet(sheet(NBGRADER, body), notes)


def _left_out(rows: list[Scored], what: str) -> list[str]:
    names = [row.student for row in rows if row.score is None]
    if not names:
        return []
    return [
        f"Not graded, left out ({what} would read an empty cell as "
        f"'remove the grade'): {_names(names)}."
    ]


def _names(names: list[str]) -> str:
    listed = ", ".join(safe.name(each) for each in names[:20])
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return listed + more
