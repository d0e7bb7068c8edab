"""What the parts of the engine hand to one another: plain data.

Everything here turns into JSON and back, so that it can cross to another
process or to another machine.
"""

from __future__ import annotations

import functools
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, Self

Verdict = Literal[
    "pass",
    "partial",
    "fail",
    "error",
    "timeout",
    "out-of-memory",
    "crashed",
    "missing",
]
VERDICTS: tuple[Verdict, ...] = typing.get_args(Verdict)


class GradingError(Exception):
    """Something that whoever runs the grader can put right."""


class Plain:
    """Turns a dataclass into JSON's types and back."""

    def to_json(self) -> dict[str, Any]:
        """Return dicts, lists, strings, numbers, True, False and None."""
        return _told(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the object that `to_json` told of."""
        kinds = _kinds(cls)  # type: ignore[arg-type]
        return cls(
            **{
                name: _revived(kinds[name], value)
                for name, value in data.items()
                if name in kinds
            }
        )


def _told(value: Any) -> Any:
    """Return a value as JSON's types, with the same leaves.

    `dataclasses.asdict` copies each of them, and nearly all are strings.
    """
    if isinstance(value, Plain):
        return {name: _told(each) for name, each in vars(value).items()}
    if isinstance(value, (tuple, list)):
        return [_told(each) for each in value]
    if isinstance(value, dict):
        return {key: _told(each) for key, each in value.items()}
    return value


@functools.cache
def _kinds(cls: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, by their names."""
    kinds = typing.get_type_hints(cls)
    return {each.name: kinds[each.name] for each in fields(cls)}


def _revived(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _revived(next(k for k in inner if k is not type(None)), value)
    if origin is tuple:
        return tuple(_revived(inner[0], item) for item in value)
    if origin is dict:
        return {key: _revived(inner[1], item) for key, item in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return kind.from_json(value)  # type: ignore[attr-defined]
    return value


@dataclass(frozen=True, kw_only=True)
class Limits(Plain):
    """What one step may use: running a cell, or all calls of one test.

    `memory_bytes` and `file_bytes` hold for the process, `output_bytes`
    for what a cell prints and shows, `reply_bytes` for one answer to a
    call. `threads` caps the threads of the process.
    """

    cpu_s: float = 4.0
    wall_s: float = 12.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    reply_bytes: int = 1 << 26
    file_bytes: int = 1 << 26
    threads: int = 32


# A cell of a notebook may train for some seconds, which a test's calls of
# one function need not; stock nbgrader gives each cell 30 seconds.
CELL_LIMITS = Limits(cpu_s=10.0, wall_s=30.0)


@dataclass(frozen=True, kw_only=True)
class SourceCell(Plain):
    """A cell of the instructor's source notebook.

    `kind` is ``test`` (autograded), ``answer`` (code to be written),
    ``locked`` (code given and not to be changed), ``written`` (graded by
    hand), ``text`` or ``free``. `source` is the whole cell, solution and
    hidden tests included; `visible` what students were given of it.
    `answers` names the answer cells that a test is about: those before it,
    back to the test before. `forbids` are dotted names, such as
    ``numpy.linalg`` or ``torch.nn``, that its answers must not use.
    `cell_id` is nbformat's id of the cell.
    """

    kind: Literal["test", "answer", "locked", "written", "text", "free"]
    grade_id: str | None
    cell_type: str
    source: str
    visible: str
    points: float = 0.0
    limits: Limits = field(default_factory=Limits)
    answers: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    cell_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan(Plain):
    """A source notebook, read: what is asked, and how it is judged.

    `upstream` is ``punish`` (a wrong answer counts in all that use it) or
    ``substitute`` (a question that fails is tried again with the
    instructor's own function for earlier questions that failed). `metadata`
    is the notebook's, with the kernel.
    """

    assignment: str
    notebook: str
    cells: tuple[SourceCell, ...]
    upstream: Literal["punish", "substitute"] = "substitute"
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def tests(self) -> tuple[SourceCell, ...]:
        """The autograded cells, in their order."""
        return tuple(cell for cell in self.cells if cell.kind == "test")

    def cell(self, grade_id: str) -> SourceCell:
        """Return the cell of this name."""
        return next(c for c in self.cells if c.grade_id == grade_id)


@dataclass(frozen=True, kw_only=True)
class Step(Plain):
    """One thing to do with a submission, in the notebook's order.

    ``cell``: run `source` in the sandbox; ``given``: run it in the
    sandbox and in the judge (an instructor's locked cell); ``test``: run
    the test named `grade_id` in the judge. `index` is the cell's place in
    the submitted notebook, None where the cell was put back.
    """

    do: Literal["cell", "given", "test"]
    source: str = ""
    grade_id: str | None = None
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class Script(Plain):
    """A submission, read and matched with the plan.

    `notes` are for the instructor: what was odd about the notebook.
    `missing` names the tests for which no answer cell was found. `flags`
    are what a person should look at (forbidden calls and the like).
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Job(Plain):
    """All that judging one submission needs; no key, no gradebook.

    `seed` is the hidden cases' seed for this student and assignment (hex,
    derived from the secret key). `files` are the plain files beside the
    notebook, by relative name, in base64; tests may read those of
    `given_files`, which the instructor put there.
    """

    student: str
    plan: Plan
    script: Script
    seed: str
    files: dict[str, str] = field(default_factory=dict)
    given_files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judged(Plain):
    """What came of one question.

    `says` explains the verdict in a sentence that the student may read.
    `told` is the verdict that the hidden test published (see
    ``checking.result``), or None. `error` is a built-in exception's name,
    `line` a line of the student's own cell. `shown` are the outputs of
    the visible part of the test, in nbformat's form. `substituted` names
    functions that the instructor's replaced.
    """

    grade_id: str
    verdict: Verdict
    points: float
    max_points: float
    says: str
    told: dict[str, Any] | None = None
    error: str | None = None
    line: int | None = None
    shown: tuple[dict[str, Any], ...] = ()
    substituted: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Outcome(Plain):
    """What came of one submission.

    `outputs` are the cells' outputs in the run that saw no hidden case, by
    the cell's place in the submitted notebook (as a string: JSON).
    `isolation` says what held the student's process. `cpu_s` is the
    processor time of the judge, of the run that is shown and of the one
    that is scored; `cpu_parts` has each by these names.
    """

    student: str
    assignment: str
    questions: tuple[Judged, ...]
    outputs: dict[str, list] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    isolation: str = ""
    cpu_s: float = 0.0
    cpu_parts: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def points(self) -> float:
        """The points of all questions together."""
        return sum(each.points for each in self.questions)
