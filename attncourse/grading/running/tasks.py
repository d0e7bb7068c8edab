"""What goes to a worker, and what comes back: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attncourse.grading.classdata import Manual
from attncourse.grading.model import Outcome, Plain


@dataclass(frozen=True, kw_only=True)
class Task(Plain):
    """A submitted notebook on its way to a worker: JSON, and no key.

    `data` is the notebook's file in base64, `files` those beside it, of
    which `given_files` are the instructor's.
    `by_hand` is what people gave for it before, `penalty` what is taken
    off for lateness: the page of feedback tells them, too.
    """

    student: str
    plan: str
    content_key: str
    data: str
    seed: str
    files: dict[str, str] = field(default_factory=dict)
    given_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    by_hand: tuple[Manual, ...] = ()
    penalty: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Marked(Plain):
    """What came of a task: an outcome, or the problem that there is.

    `notebook` and `pages` are as in ``store.Graded``.
    """

    outcome: Outcome | None = None
    notebook: dict[str, Any] | None = None
    pages: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    lost: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the same as a copy would be; most of it is large."""
        outcome = self.outcome.to_json() if self.outcome else None
        return {**vars(self), "outcome": outcome}


@dataclass(frozen=True, kw_only=True)
class Setup(Plain):
    """How a worker is set up; see `Sandbox`, `Servers` and `JudgeServer`.

    `marker` names the class that marks, as ``module:class``.
    """

    preload: tuple[str, ...] = ("numpy",)
    heavy: tuple[str, ...] = ("torch", "matplotlib.pyplot")
    stubs: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    judge_preload: tuple[str, ...] = ()
    judge_readable: tuple[str, ...] = ()
    trust_students: bool = False
    marker: str = "attncourse.grading.running.marking:Marker"
