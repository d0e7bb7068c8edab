"""What an examination found, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attncourse.checking.question import Misconception

VERDICT_MIME = "application/vnd.attncourse.verdict+json"


@dataclass(frozen=True)
class StageResult:
    """One stage: what must hold, its points, and why it failed if it did."""

    name: str
    must: str
    points: float
    passed: bool
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """The outcome of examining one answer.

    `verdict` is pass, partial, fail, error or todo. `error` names a
    built-in exception and `line` the student's line. `reason` texts,
    `error_message` and `picture` may show inputs: only a visible check
    shows them.
    """

    question_id: str
    title: str
    verdict: str
    points: float
    max_points: float
    stages: tuple[StageResult, ...] = ()
    diagnosis: tuple[Misconception, ...] = ()
    error: str | None = None
    line: int | None = None
    error_message: str = ""
    notes: tuple[str, ...] = ()
    picture: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer earned every point."""
        return self.verdict == "pass"

    @property
    def first_failed(self) -> StageResult | None:
        """The first stage that failed, the one to look at first."""
        return next((s for s in self.stages if not s.passed), None)

    def told(self, where: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return what may be told of a hidden examination.

        Texts from the question's own tables, its notes, and numbers;
        nothing that was computed from a hidden input. `where` says in
        words where in the book a misconception's section stands.
        """
        where = where or {}
        return {
            "question": self.question_id,
            "title": self.title,
            "verdict": self.verdict,
            "points": self.points,
            "max_points": self.max_points,
            "stages": [
                {
                    "name": stage.name,
                    "must": stage.must,
                    "points": stage.points,
                    "passed": stage.passed,
                }
                for stage in self.stages
            ],
            "failed_stages": [s.name for s in self.stages if not s.passed],
            "diagnosis": [each.name for each in self.diagnosis],
            "misconceptions": [
                {
                    "name": each.name,
                    "says": each.says,
                    "where": where.get(each.section, each.section),
                }
                for each in self.diagnosis
            ],
            "notes": list(self.notes),
            "error": self.error,
            "line": self.line,
        }
