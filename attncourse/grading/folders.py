"""Where a course keeps what, in nbgrader's words and patterns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attncourse.grading.model import GradingError

STRUCTURE = "{nbgrader_step}/{student_id}/{assignment_id}"


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where a course keeps what, in nbgrader's words and patterns."""

    root: Path
    submitted: str = "submitted"
    autograded: str = "autograded"
    feedback: str = "feedback"
    structure: str = STRUCTURE

    def path(self, step: str, student: str, assignment: str) -> Path:
        """Return the folder of one student's assignment at a step."""
        for name in (student, assignment):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise GradingError(
                    f"a student's name must be a folder's: got {name!r}"
                )
        return self.root / self.structure.format(
            nbgrader_step=getattr(self, step),
            student_id=student,
            assignment_id=assignment,
        )
