"""Where a course keeps what, in nbgrader's words and patterns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attncourse.grading.model import GradingError


@dataclass(frozen=True, kw_only=True)
class Folders:
    """The folders of nbgrader's steps, below one of them or anywhere.

    In each, a submission is in STUDENT/ASSIGNMENT.
    """

    root: Path
    submitted: str = "submitted"
    autograded: str = "autograded"
    feedback: str = "feedback"

    def path(self, step: str, student: str, assignment: str) -> Path:
        """Return the folder of one student's assignment at a step."""
        for name in (student, assignment):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise GradingError(
                    f"a student's name must be a folder's: got {name!r}"
                )
        return self.step(step) / student / assignment

    def step(self, step: str) -> Path:
        """Return the folder of a step of nbgrader's."""
        return self.root / getattr(self, step)
