"""What a question is: the definitions that authors write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attncourse.checking.edit import Edit, edited
from attncourse.checking.numerics import Tolerance


@dataclass(frozen=True)
class Case:
    """One call that an answer must get right.

    `untouched` also requires that the arguments are left as they were;
    `readonly` hands over arrays that cannot be written. `tolerance`
    replaces the question's, for a case with larger numbers.
    """

    stage: str
    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    untouched: bool = False
    readonly: bool = False
    tolerance: Tolerance | None = None
    note: str = ""


@dataclass(frozen=True)
class Stage:
    """A part of the contract with points of its own.

    `must` completes the sentence "It must hold that ...".
    """

    name: str
    points: float
    must: str


@dataclass(frozen=True)
class Misconception:
    """A wrong answer with a name: an edit of the right one.

    `says` tells the student what their result is and why that is wrong;
    `section` is the label in the book that cures it; `stage` is a stage
    that it fails; `error` is the documents' error it stems from, if any.
    """

    name: str
    edits: tuple[Edit, ...]
    stage: str
    says: str
    section: str
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every kind of question states.

    `difficulty` and `importance` go from 1 to 5; `minutes` is the time
    that a student should need; `hints` lead from a question that points
    to the line that matters.
    """

    id: str
    title: str
    difficulty: int
    importance: int
    minutes: int
    hints: tuple[str, ...]

    def __post_init__(self) -> None:
        unit, _, name = self.id.partition(".")
        if not (unit.isidentifier() and name.isidentifier()):
            raise ValueError(f"id must be unit.name: got {self.id!r}")
        for scale in ("difficulty", "importance"):
            if getattr(self, scale) not in range(1, 6):
                raise ValueError(
                    f"{scale} must be 1 to 5: got {getattr(self, scale)}"
                )

    @property
    def unit(self) -> str:
        """The unit's name, the part of the id before the dot."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Question(Asked):
    """Write a function, or repair one; judged by cases.

    `function` is the reference, `cases` yields its calls from a seeded
    generator, `picture` picks from a result the matrix worth drawing.
    """

    kind: str  # implement or repair
    function: Callable
    cases: Callable[[np.random.Generator], Iterator[Case]]
    stages: tuple[Stage, ...]
    misconceptions: tuple[Misconception, ...]
    tolerance: Tolerance
    picture: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("implement", "repair"):
            raise ValueError(
                f"kind must be implement or repair: got {self.kind!r}"
            )
        for what, names in (
            ("stage", [stage.name for stage in self.stages]),
            ("misconception", [each.name for each in self.misconceptions]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{self.id}: {what} names must be unique")
        known = {stage.name for stage in self.stages}
        for each in self.misconceptions:
            if each.stage not in known:
                raise ValueError(
                    f"{self.id}: misconception {each.name} must fail a "
                    f"stage of the question: got {each.stage!r}"
                )

    @property
    def points(self) -> float:
        """The points of all stages together."""
        return sum(stage.points for stage in self.stages)

    @property
    def function_name(self) -> str:
        """The name that the student's function must have."""
        return self.function.__name__

    def wrong(self, *misconceptions: Misconception) -> Callable:
        """Return the reference with these misconceptions in it."""
        edits = [edit for each in misconceptions for edit in each.edits]
        return edited(self.function, *edits)


@dataclass(frozen=True)
class Statement:
    """A sentence to complete, and the ways in which it may end."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Prediction(Asked):
    """Commit to predictions before they are revealed.

    The student's function takes nothing and returns one option for each
    statement. The right options are secret and come with the grading.
    """

    function_name: str
    points: float
    statements: Mapping[str, Statement]
    kind: str = "predict"


@dataclass(frozen=True, kw_only=True)
class Audit(Asked):
    """Write a test that catches wrong functions and accepts right ones.

    `right` and `wrong` are the public candidates of the visible check;
    the grading brings secret ones. `needed` of those must be caught for
    all points; rejecting a right one costs them all.
    """

    function_name: str
    points: float
    needed: int
    right: tuple[Callable, ...]
    wrong: tuple[Callable, ...]
    kind: str = "audit"


AnyQuestion = Question | Prediction | Audit
