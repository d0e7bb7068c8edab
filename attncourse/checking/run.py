"""Call a student's function on one case and write down what happened."""

from __future__ import annotations

import builtins
import contextlib
import io
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncourse.checking.compare import Mismatch, difference, plain
from attncourse.checking.numerics import Tolerance
from attncourse.checking.question import Case


@dataclass(frozen=True)
class Failure:
    """An exception, told without anything computed from the inputs.

    `name` is the nearest built-in exception, `line` the line of the
    student's own code; `message` is the exception's own text, which only
    a visible case may show.
    """

    name: str
    line: int | None
    message: str
    todo: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a plain value or a failure, and its traces."""

    value: Any = None
    failure: Failure | None = None
    changed: bool = False


@contextlib.contextmanager
def calmly(*, quiet: bool) -> Iterator[None]:
    """Ignore warnings and, where asked, swallow what is printed.

    A warning costs nothing, and what a hidden case makes a function print
    must not reach anybody.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not quiet:
            yield
            return
        sink = io.StringIO()
        with (
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            yield


def call(function: Callable, case: Case, *, quiet: bool = True) -> Outcome:
    """Return the outcome of `function` on a private copy of the case."""
    with calmly(quiet=quiet):
        return called(function, case)


def called(function: Callable, case: Case) -> Outcome:
    """Do what `call` does, where all is calm already."""
    args, kwargs = _private(case)
    try:
        value = plain(function(*args, **kwargs))
    except (Exception, SystemExit) as error:
        return Outcome(failure=failure_of(error, function))
    return Outcome(value=value, changed=_changed(case, args, kwargs))


def call_all(
    function: Callable, cases: Sequence[Case], *, quiet: bool = True
) -> list[Outcome]:
    """Return the outcome of each case.

    What stands for a function of another process may be asked for all at
    once: it has ``__call_each__``, which is given the arguments of each
    call and returns each value, or the exception.
    """
    each = getattr(type(function), "__call_each__", None)
    if each is None:
        return [call(function, case, quiet=quiet) for case in cases]
    given = [_private(case) for case in cases]
    outcomes = []
    with calmly(quiet=quiet):
        for case, (args, kwargs), (value, error) in zip(
            cases, given, each(function, given), strict=True
        ):
            try:
                if error is not None:
                    raise error
                value = plain(value)
            except (Exception, SystemExit) as raised:
                outcomes.append(Outcome(failure=failure_of(raised, function)))
                continue
            changed = _changed(case, args, kwargs)
            outcomes.append(Outcome(value=value, changed=changed))
    return outcomes


def _private(case: Case) -> tuple[tuple, dict[str, Any]]:
    """Return a copy of a case's arguments."""
    args = tuple(_copy(arg, case.readonly) for arg in case.args)
    return args, {k: _copy(v, case.readonly) for k, v in case.kwargs.items()}


def _changed(case: Case, args: tuple, kwargs: dict[str, Any]) -> bool:
    before = (*case.args, *case.kwargs.values())
    after = (*args, *kwargs.values())
    return case.untouched and not all(map(_same, before, after))


def part(
    outcome: Outcome, expected: Outcome, tolerance: Tolerance
) -> Mismatch | None:
    """Return why an outcome is not the expected one, or None."""
    if outcome.failure is not None:
        return Mismatch("raised", f"it raised {outcome.failure.name}")
    found = difference(outcome.value, expected.value, tolerance)
    if found is None and outcome.changed:
        return Mismatch("changed", "the arguments were changed")
    return found


def alike(one: Outcome, other: Outcome, tolerance: Tolerance) -> bool:
    """Tell whether two outcomes are the same, right or wrong."""
    if one.failure is not None or other.failure is not None:
        return one.failure is not None and other.failure is not None
    return one.changed == other.changed and not difference(
        one.value, other.value, tolerance, nan_is_nan=True
    )


def failure_of(error: BaseException, function: Callable) -> Failure:
    """Return a failure that tells only what may be told.

    A grader that runs the function in another process puts the line of
    the student's code on the exception, as `student_line`, and as
    `student_builtin` the nearest built-in exception, where it had to raise
    another one.
    """
    name = next(
        kind.__name__
        for kind in type(error).__mro__
        if getattr(builtins, kind.__name__, None) is kind
    )
    own_kind = getattr(
        builtins, str(getattr(error, "student_builtin", "")), None
    )
    if isinstance(own_kind, type) and issubclass(own_kind, BaseException):
        name = own_kind.__name__
    code = getattr(function, "__code__", None)
    own = getattr(code, "co_filename", None)
    # walk_tb, unlike extract_tb, opens no source file.
    lines = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == own
    ]
    return Failure(
        name=name,
        line=lines[-1] if lines else getattr(error, "student_line", None),
        message=_message(error),
        todo=isinstance(error, NotImplementedError),
    )


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a hostile __str__
        return ""
    return text if len(text) <= 300 else text[:297] + "..."


def _copy(value: Any, readonly: bool) -> Any:
    """Copy an argument; a strided view stays one, with NaN in its gaps."""
    if isinstance(value, np.ndarray):
        if value.flags.c_contiguous or value.dtype.kind != "f":
            copy = value.copy()
        else:
            *rest, last = value.shape
            wide = np.full((*rest, 2 * last), np.nan, value.dtype)
            copy = wide[..., ::2]
            copy[...] = value
        copy.flags.writeable = not readonly
        return copy
    if isinstance(value, (list, tuple)):
        return type(value)(_copy(item, readonly) for item in value)
    if isinstance(value, dict):
        return {key: _copy(item, readonly) for key, item in value.items()}
    return value


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return np.array_equal(
            before, after, equal_nan=before.dtype.kind == "f"
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, dict):
        return list(before) == list(after) and all(
            _same(before[key], after[key]) for key in before
        )
    return True
