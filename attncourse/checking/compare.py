"""Compare what came with what must hold, and say where they part.

What a student's function returns is first copied into plain base types
(`plain`), so that no object of theirs takes part in the comparison.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncourse.checking.numerics import Tolerance

MAX_ENTRIES = 10_000_000


@dataclass(frozen=True)
class Mismatch:
    """Why two values differ: a kind for programs, a text for people."""

    kind: str  # structure, dtype, shape, nan or values
    text: str


def plain(value: Any) -> Any:
    """Return a copy of `value` made of exact base types.

    Arrays (torch tensors too) become `numpy.ndarray`; numbers, strings,
    None, tuples, lists and dicts stay themselves, their subclasses not.

    Raises
    ------
    TypeError
        If the value, or something in it, is of another type.
    """
    return _plain(value, depth=0)


def _plain(value: Any, *, depth: int) -> Any:
    if depth > 8:
        raise TypeError("containers must not nest deeper than eight levels")
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _array(_from_torch(torch, value))
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(value)
    if kind in (tuple, list):
        return kind(_plain(item, depth=depth + 1) for item in value)
    if isinstance(value, tuple):  # a named tuple is a tuple
        items = tuple.__iter__(value)
        return tuple(_plain(item, depth=depth + 1) for item in items)
    if kind is dict:
        return {
            _plain(key, depth=depth + 1): _plain(item, depth=depth + 1)
            for key, item in value.items()
        }
    raise TypeError(f"an answer cannot be of type {kind.__name__}")


def _from_torch(torch: Any, tensor: Any) -> np.ndarray:
    tensor = torch.Tensor.detach(tensor).cpu()
    if tensor.dtype.is_floating_point:  # NumPy has no bfloat16
        tensor = tensor.double()
    return tensor.resolve_conj().resolve_neg().numpy()


def _array(value: np.ndarray | np.generic) -> np.ndarray:
    # subok=False: a subclass with its own == stays outside.
    array = np.array(value, copy=True, subok=False)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"an array in an answer must hold numbers: got {array.dtype}"
        )
    if array.size > MAX_ENTRIES:
        raise TypeError(
            f"an array in an answer may hold {MAX_ENTRIES} entries: "
            f"got {array.size}"
        )
    return array


def difference(
    got: Any, expected: Any, tolerance: Tolerance, *, nan_is_nan: bool = False
) -> Mismatch | None:
    """Return why `got` is not `expected`, or None where they agree.

    Both must be plain. `nan_is_nan` lets NaN agree with NaN: used to match
    an answer with a wrong function, never with the truth.
    """
    if isinstance(expected, (tuple, list)):
        return _difference_of_rows(got, expected, tolerance, nan_is_nan)
    if isinstance(expected, dict):
        return _difference_of_dicts(got, expected, tolerance, nan_is_nan)
    if expected is None or isinstance(expected, str):
        if type(got) is type(expected) and got == expected:
            return None
        return Mismatch("values", f"expected {expected!r}: got {_short(got)}")
    return _difference_of_arrays(got, expected, tolerance, nan_is_nan)


def _difference_of_rows(got, expected, tolerance, nan_is_nan):
    if not isinstance(got, (tuple, list)) or len(got) != len(expected):
        return Mismatch(
            "structure",
            f"expected {len(expected)} results: got {_short(got)}",
        )
    for index, (one, other) in enumerate(zip(got, expected, strict=True)):
        found = difference(one, other, tolerance, nan_is_nan=nan_is_nan)
        if found:
            return Mismatch(found.kind, f"result {index + 1}: {found.text}")
    return None


def _difference_of_dicts(got, expected, tolerance, nan_is_nan):
    if not isinstance(got, dict) or set(got) != set(expected):
        names = ", ".join(map(repr, expected))
        return Mismatch(
            "structure", f"expected a dict of {names}: got {_short(got)}"
        )
    for key, other in expected.items():
        found = difference(got[key], other, tolerance, nan_is_nan=nan_is_nan)
        if found:
            return Mismatch(found.kind, f"{key!r}: {found.text}")
    return None


def _difference_of_arrays(got, expected, tolerance, nan_is_nan):
    truth = np.asarray(expected)
    try:
        answer = np.asarray(got)
    except ValueError:  # a ragged list
        answer = np.asarray(None)
    if got is None or isinstance(got, str) or answer.dtype.kind not in "biuf":
        wanted = (
            f"an array of shape {truth.shape}" if truth.ndim else "a number"
        )
        return Mismatch("structure", f"expected {wanted}: got {_short(got)}")
    if answer.shape != truth.shape:
        return Mismatch(
            "shape", f"expected shape {truth.shape}: got {answer.shape}"
        )
    if (truth.dtype.kind == "b") != (answer.dtype.kind == "b"):
        wanted = "booleans" if truth.dtype.kind == "b" else "numbers"
        return Mismatch("dtype", f"expected {wanted}: got {answer.dtype}")
    if truth.dtype.kind == "b":
        wrong = answer != truth
        return _first_wrong(answer, truth, wrong) if wrong.any() else None
    return _difference_of_numbers(
        answer.astype(np.float64),
        truth.astype(np.float64),
        tolerance,
        nan_is_nan,
    )


def _difference_of_numbers(answer, truth, tolerance, nan_is_nan):
    finite = np.isfinite(truth)
    same = answer == truth  # equal infinities agree
    if nan_is_nan:
        same |= np.isnan(answer) & np.isnan(truth)
    elif np.isnan(answer).any():
        count = int(np.isnan(answer).sum())
        return Mismatch("nan", f"{count} of {answer.size} entries are NaN")
    scale = np.max(np.abs(truth[finite]), initial=0.0)
    bound = tolerance.relative * scale + tolerance.absolute
    with np.errstate(invalid="ignore"):
        same |= finite & (np.abs(answer - truth) <= bound)
    return None if same.all() else _first_wrong(answer, truth, ~same)


def _first_wrong(answer, truth, wrong):
    first = np.unravel_index(np.argmax(wrong), wrong.shape)
    place = tuple(int(i) for i in first)
    where = f"at index {place}, " if place else ""
    return Mismatch(
        "values",
        f"{int(wrong.sum())} of {wrong.size} entries differ; {where}expected "
        f"{_number(truth[place])}: got {_number(answer[place])}",
    )


def _number(value: Any) -> str:
    return str(bool(value)) if value.dtype.kind == "b" else f"{value:.6g}"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if value is None:
        return "None (is a return missing?)"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
