"""Call a student's function on many cases, as much at once as can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attncourse.grading.judging.writing import written_back

if TYPE_CHECKING:
    from attncourse.grading.judging.proxies import Ref
    from attncourse.grading.sandbox.replies import Called

Given = tuple[tuple, dict[str, Any]]
Result = tuple[Any, BaseException | None]


def call_each(
    ref: Ref, function: Callable, given: Sequence[Given]
) -> list[Result]:
    """Return for each call its value, or the exception that it raised.

    Parameters
    ----------
    function : makes one call by itself, where that is needed.
    """
    results: list[Result] = []
    while len(results) < len(given):
        left = given[len(results) :]
        for called, (args, kwargs) in zip(
            ref.holder.several(ref, left), left, strict=False
        ):
            results.append(_tried(_value, (ref, called, args, kwargs), {}))
        if len(results) < len(given):
            results.append(_tried(function, *given[len(results)]))
    return results


def _value(ref: Ref, called: Called, args: tuple, kwargs: dict) -> Any:
    ref.holder.heard(called, args, kwargs)
    return written_back(called, args, kwargs, ref.holder.remember)


def _tried(function: Callable, args: tuple, kwargs: dict) -> Result:
    try:
        return function(*args, **kwargs), None
    except (Exception, SystemExit) as error:
        return None, error
