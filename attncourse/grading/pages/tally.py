"""What a class did, counted: points, questions, mistakes, oddities."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from attncourse.grading.classdata import ClassData, Row
from attncourse.grading.model import Judged
from attncourse.grading.pages import told


@dataclass
class Asked:
    """One question, over all students that are graded.

    `stages` counts for each stage, by its name and what must hold, who
    failed it; `shares` are the points of each student over the most.
    """

    grade_id: str
    title: str
    max_points: float
    verdicts: Counter[str] = field(default_factory=Counter)
    shares: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stages: Counter[tuple[str, str]] = field(default_factory=Counter)
    substituted: int = 0

    @property
    def mean(self) -> float | None:
        """The mean share of the points; None where nobody is graded."""
        return sum(self.shares) / len(self.shares) if self.shares else None

    @property
    def usual_seconds(self) -> float:
        """The median time that the question took."""
        return median(self.seconds) if self.seconds else 0.0


@dataclass
class Mistake:
    """A misconception, and who holds it."""

    question: str
    name: str
    says: str = ""
    where: str = ""
    students: list[str] = field(default_factory=list)


@dataclass
class Remark:
    """Something that a person should look at, and in whose work."""

    text: str
    students: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """All that the report counts."""

    questions: list[Asked]
    mistakes: list[Mistake]
    flags: list[Remark]
    notes: list[Remark]
    isolation: Counter[str]
    statuses: Counter[str]
    points: list[float]
    max_points: float


def tally(data: ClassData) -> Tally:
    """Return what the class did; who is not graded counts for nothing."""
    asked = _asked(data)
    mistakes: dict[tuple[str, str], Mistake] = {}
    for row, outcome in data.graded():
        for judged in outcome.questions:
            _count(asked, mistakes, row, judged)
    rows = [row for row, _ in data.graded()]
    planned = sum(each.max_points for each in asked.values())
    return Tally(
        questions=list(asked.values()),
        mistakes=sorted(
            mistakes.values(), key=lambda each: -len(each.students)
        ),
        flags=_remarks(_flags(data, asked)),
        notes=_remarks(
            (note, row.student)
            for row, outcome in data.graded()
            for note in outcome.notes
        ),
        isolation=Counter(o.isolation for _, o in data.graded()),
        statuses=Counter(row.status for row in data.rows),
        points=sorted(row.points or 0.0 for row in rows),
        max_points=max([row.max_points for row in rows] or [planned]),
    )


def _asked(data: ClassData) -> dict[str, Asked]:
    """Return the questions of the plan, then any that only outcomes have.

    A title that a test published goes before one from the notebook.
    """
    asked: dict[str, Asked] = {}
    for cell in data.plan.tests if data.plan else ():
        if cell.grade_id:
            title = told.title(cell.grade_id, told.Told(), data.plan)
            asked[cell.grade_id] = Asked(cell.grade_id, title, cell.points)
    titled = set()
    for _, outcome in data.graded():
        for judged in outcome.questions:
            if judged.grade_id in titled:
                continue
            said = told.read(judged)
            title = told.title(judged.grade_id, said, data.plan)
            new = Asked(judged.grade_id, title, judged.max_points)
            asked.setdefault(judged.grade_id, new).title = title
            if said.title:
                titled.add(judged.grade_id)
    return asked


def _count(
    asked: dict[str, Asked],
    mistakes: dict[tuple[str, str], Mistake],
    row: Row,
    judged: Judged,
) -> None:
    question = asked[judged.grade_id]
    question.verdicts[judged.verdict] += 1
    question.shares.append(share(judged))
    question.seconds.append(judged.seconds)
    question.substituted += bool(judged.substituted)
    said = told.read(judged)
    for stage in said.stages:
        if not stage.passed:
            question.stages[stage.name, stage.must] += 1
    if judged.verdict == "pass":
        return
    for each in {m.name: m for m in said.misconceptions}.values():
        known = mistakes.setdefault(
            (judged.grade_id, each.name),
            Mistake(question.title, each.name, each.says, each.where),
        )
        known.students.append(row.student)


def share(judged: Judged) -> float:
    """Return the points over the most that there were."""
    if not judged.max_points:
        return float(judged.verdict == "pass")
    return judged.points / judged.max_points


def _flags(
    data: ClassData, asked: dict[str, Asked]
) -> Iterator[tuple[str, str]]:
    for row, outcome in data.graded():
        for flag in outcome.flags:
            yield flag, row.student
        for judged in outcome.questions:
            for flag in judged.flags:
                yield f"{asked[judged.grade_id].title}: {flag}", row.student


def _remarks(found: Iterator[tuple[str, str]]) -> list[Remark]:
    """Return what was said, once for all students of whom it was."""
    who: dict[str, list[str]] = defaultdict(list)
    for text, student in found:
        if student not in who[text]:
            who[text].append(student)
    remarks = [Remark(text, students) for text, students in who.items()]
    return sorted(remarks, key=lambda each: -len(each.students))
