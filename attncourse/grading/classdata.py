"""What a report and an export are made from: a class, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from attncourse.grading.model import Outcome, Plain, Plan

Status = Literal["graded", "unreadable", "not graded", "nothing handed in"]


@dataclass(frozen=True, kw_only=True)
class Manual(Plain):
    """What a person gave for one cell; `points` is None until then.

    For an autograded cell `points` replaces what the test gave. `extra`
    is credit on top, `comment` what the student shall read.
    """

    grade_id: str
    max_points: float
    points: float | None = None
    extra: float = 0.0
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Row(Plain):
    """One student of the class, and what came of the submission.

    `outcome` is None where nothing is graded; `problem` then says why the
    submission could not be read, if that is so. `handed_in` is False
    for a student of whom there is nothing to grade. `feedback` is the
    page's address relative to the report. `penalty` is taken off for
    lateness.
    """

    student: str
    outcome: Outcome | None = None
    problem: str = ""
    handed_in: bool = True
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""
    manual: tuple[Manual, ...] = ()
    penalty: float = 0.0
    feedback: str = ""

    @property
    def name(self) -> str:
        """The name to show beside the student's id, or ""."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def status(self) -> Status:
        """Whether there is a grade, and if not, why."""
        if self.outcome is not None:
            return "graded"
        if self.problem:
            return "unreadable"
        return "not graded" if self.handed_in else "nothing handed in"

    @property
    def waiting(self) -> int:
        """How many written answers a person has still to grade."""
        judged = {each.grade_id for each in self._questions}
        return sum(
            each.points is None and each.grade_id not in judged
            for each in self.manual
        )

    @property
    def points(self) -> float | None:
        """All points, by tests and people; None where nothing is graded."""
        if self.outcome is None:
            return None
        given = {each.grade_id: each for each in self.manual}
        total = sum(each.extra for each in self.manual)
        for judged in self._questions:
            own = given.pop(judged.grade_id, None)
            by_hand = None if own is None else own.points
            total += judged.points if by_hand is None else by_hand
        total += sum(each.points or 0.0 for each in given.values())
        return max(0.0, total - self.penalty)

    @property
    def max_points(self) -> float:
        """The most that could be had; 0 where nothing is known."""
        judged = {each.grade_id: each.max_points for each in self._questions}
        return sum(judged.values()) + sum(
            each.max_points
            for each in self.manual
            if each.grade_id not in judged
        )

    @property
    def _questions(self) -> tuple:
        return self.outcome.questions if self.outcome else ()


@dataclass(frozen=True, kw_only=True)
class Similar(Plain):
    """Two answers that are built alike; never more than that.

    `share` (0 to 1) says how much of their structure they have in common,
    weighed against how common it is in the class.
    """

    first: str
    second: str
    question: str
    share: float
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassData(Plain):
    """All that a class report shows of one assignment's notebook.

    `made` is the date and time to print, `command` what grades again,
    `isolation` the level that held this run (each outcome has its own,
    too), `key_file` where the secret key lies.
    """

    assignment: str
    rows: tuple[Row, ...]
    plan: Plan | None = None
    similar: tuple[Similar, ...] = ()
    made: str = ""
    command: str = "attncourse grade"
    isolation: str = ""
    key_file: str = "classroom/key"
    notes: tuple[str, ...] = ()

    def graded(self) -> Iterator[tuple[Row, Outcome]]:
        """Yield each row that has an outcome, with it."""
        for row in self.rows:
            if row.outcome is not None:
                yield row, row.outcome
