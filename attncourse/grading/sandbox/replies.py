"""What comes back from a child, as plain data of exact types.

Every text in here was written by a student's process: it is material to
judge and to clean, never an instruction.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from attncourse.grading.model import Limits
from attncourse.grading.sandbox.shown import checked_outputs

SHORT, TEXT = 200, 4_000
Lost = Literal["timeout", "out-of-memory", "crashed"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process used, and how it ended.

    `exit` is its exit status and `signal` the number that ended it; both
    are None while it lives, or where nothing is known.
    """

    cpu_s: float = 0.0
    maxrss_bytes: int = 0
    exit: int | None = None
    signal: int | None = None


class ChildLost(Exception):
    """The child is gone: `verdict`, and `says` for the student to read.

    `stray` tells that what ran before the last request is to blame.
    """

    def __init__(
        self,
        verdict: Lost,
        says: str,
        usage: Usage | None = None,
        *,
        stray: bool = False,
    ) -> None:
        super().__init__(f"{verdict}: {says}")
        self.verdict: Lost = verdict
        self.says = says
        self.usage = usage or Usage()
        self.stray = stray


class CallbackRefused(TypeError):
    """An argument is a function, and this call must not bring one."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An exception that student code raised.

    `name` is its own type's name, `builtin` the nearest built-in one's.
    `cell` and `line` say where in the student's own code it passed last.
    `memory` tells that memory ran out.
    """

    name: str
    builtin: str
    message: str
    cell: str | None = None
    line: int | None = None
    memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What running a cell gave: nbformat outputs and perhaps a failure."""

    outputs: tuple[dict[str, Any], ...] = ()
    failed: Failed | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass(kw_only=True, slots=True)
class Called:
    """What a call gave.

    `args` and `kwargs` are the arguments as they are after it; the value
    may be one of them. `subclasses` counts values that came as their base
    type. `gradients` has, after a backward pass, ``args``, ``kwargs`` and
    ``parameters``. `copy` is the fresh copy that was called, if one was
    asked for.
    """

    value: Any = None
    failed: Failed | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[dict[str, Any], ...] = ()
    subclasses: int = 0
    gradients: dict[str, Any] | None = None
    copy: Any = None
    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Described:
    """How an object presents itself."""

    name: str = ""
    doc: str | None = None
    signature: str | None = None
    kind: str = "object"


def checked_failure(told: Any) -> Failed | None:
    """Return a failure of which every part has its type."""
    if told is None:
        return None
    if type(told) is not dict:
        raise ValueError("a failure is told in a dict")
    cell, line = told["cell"], told["line"]
    texts = told["name"], told["builtin"], told["message"]
    if not all(type(text) is str for text in texts):
        raise ValueError("a failure is told in texts")
    kind = vars(builtins).get(told["builtin"])
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ValueError("a failure is near to a built-in exception")
    return Failed(
        name=texts[0][:SHORT],
        builtin=texts[1],
        message=texts[2][:TEXT],
        cell=cell[:SHORT] if type(cell) is str else None,
        line=line if type(line) is int and 0 < line < 1 << 20 else None,
        memory=told["memory"] is True,
    )


def called(told: dict[str, Any], given: Any = None) -> Called:
    """Return an answer of which every part has its type.

    `given` are the arguments as they came back, None where there are none.
    """
    failed = checked_failure(told.get("failed"))
    if "unsendable" in told:
        why = told["unsendable"]
        if type(why) is not str:
            raise ValueError("the reason must be a text")
        text = f"the answer cannot be sent: {why[:TEXT]}"
        failed = Failed(name="ValueError", builtin="ValueError", message=text)
    args, kwargs = ((), {}) if given is None else given
    subclasses, gradients = told.get("subclasses", 0), told.get("gradients")
    if (
        type(args) is not tuple
        or type(kwargs) is not dict
        or type(subclasses) is not int
        or type(gradients) not in (dict, type(None))
    ):
        raise ValueError("an answer's parts have their types")
    return Called(
        value=told["value"] if failed is None else None,
        failed=failed,
        args=args,
        kwargs=kwargs,
        outputs=checked_outputs(told.get("outputs", [])),
        subclasses=subclasses,
        gradients=gradients,
        copy=told.get("copy"),
        cpu_s=told["cpu_s"],
        wall_s=told["wall_s"],
    )


class Budget:
    """What all calls of one test may use together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.cpu_s = limits.cpu_s
        self.wall_s = limits.wall_s
        self.output_bytes = limits.output_bytes

    def spend(self, *, cpu_s: float, wall_s: float) -> None:
        """Take off what a call has used."""
        self.cpu_s = max(0.0, self.cpu_s - cpu_s)
        self.wall_s = max(0.0, self.wall_s - wall_s)

    def show(self, outputs: Iterable[dict[str, Any]]) -> int:
        """Take off what a call has shown, and return how much that is."""
        size = weight(outputs)
        self.output_bytes = max(0, self.output_bytes - size)
        return size


def weight(outputs: Iterable[dict[str, Any]]) -> int:
    """Return the bytes that outputs take in a notebook."""
    return sum(len(json.dumps(output)) for output in outputs)
