"""What was found of one student's work, before anybody reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from attncourse.grading.handed_in.archives import shown

MOST_TOGETHER_BYTES = 128 << 20


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What one student handed in for one notebook.

    `path` is where the notebook was found, below the student's folder of
    the assignment. `files` are those beside it, by name from there.
    `problem` says why there is no notebook; then `data` is None.
    """

    student: str
    path: str | None = None
    data: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str | None = None


@dataclass
class Found:
    """The plain files below a folder, and what was left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: int = MOST_TOGETHER_BYTES
    entries: int = 0

    def note(self, name: str, why: str) -> None:
        """Tell of something that was left out."""
        self.notes.append(f"{shown(name)} was ignored: {why}")
