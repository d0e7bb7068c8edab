"""How a NumPy array crosses: its type, its layout and its numbers.

A strided array arrives with the same steps, whatever lies in the gaps of
the sender's memory is not sent: the receiver finds NaN there (all bits
set), so that a function that ignores strides is found out.
"""

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from .wire_kinds import Budget, WireError

C, F, STRIDED = range(3)
MAX_DIMS = 32
MAX_TEXT_BYTES = 10_000_000
# NumPy's own bits; asking `flags.writeable` may warn.
_IS_C, _IS_F, _IS_WRITEABLE = 0x1, 0x2, 0x400
# Within so much, gaps are sent as wide as they are.
FREE_EXTENT = 1 << 16

_CODES = ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
_NUMBERS = {"|b1", "|i1", "|u1"} | {
    order + code for order in "<>" for code in _CODES
}
_LONG = np.dtype(np.longdouble)
if _LONG.itemsize > 8:
    _NUMBERS |= {_LONG.str, np.dtype(np.clongdouble).str}
_TEXTS = re.compile(r"(\|S|[<>]U)[1-9][0-9]{0,6}\Z")
_TIMES = re.compile(
    r"[<>][mM]8(\[([1-9][0-9]{0,8})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?\Z"
)


@lru_cache(maxsize=512)
def carried(code: str) -> np.dtype | None:
    """Return the dtype of this code, None where it cannot cross."""
    if not (code in _NUMBERS or _TEXTS.match(code) or _TIMES.match(code)):
        return None
    try:
        dtype = np.dtype(code)
    except (TypeError, ValueError):
        return None
    return dtype if dtype.itemsize <= MAX_TEXT_BYTES else None


def dtype_of(code: bytes) -> np.dtype:
    """Return the dtype that a message names."""
    try:
        dtype = carried(code.decode("ascii"))
    except UnicodeDecodeError:
        dtype = None
    if dtype is None:
        raise WireError(
            f"arrays must hold plain numbers or text: got {code!r}"
        )
    return dtype


def write_array(array: np.ndarray, budget: Budget) -> list[bytes]:
    """Return an exact `np.ndarray` as a head and its numbers."""
    dtype, shape = array.dtype, array.shape
    if len(shape) > MAX_DIMS:
        raise WireError(f"arrays have at most {MAX_DIMS} axes")
    flags = array.flags.num
    layout = C if flags & _IS_C else F if flags & _IS_F else STRIDED
    head = _head(dtype.str, layout, flags & _IS_WRITEABLE != 0, shape)
    if layout != STRIDED:
        size = array.nbytes or _size(shape, dtype.itemsize)
        budget.spend_array(size)
        return [head, array.tobytes("C" if layout == C else "F")]
    strides = _steps(array)
    low, high = _extent(shape, strides, dtype.itemsize)
    budget.spend_array(max(high - low, _size(shape, dtype.itemsize)))
    once = array[
        tuple(slice(0, 1) if s == 0 else slice(None) for s in strides)
    ]
    return [head, struct.pack(f"<{len(strides)}q", *strides), once.tobytes()]


@lru_cache(maxsize=512)
def _head(
    name: str, layout: int, writeable: bool, shape: tuple[int, ...]
) -> bytes:
    code = name.encode("ascii")
    return struct.pack(
        f"<B{len(code)}s3B{len(shape)}q",
        *(len(code), code, layout, writeable, len(shape)),
        *shape,
    )


def read_array(source: Any, budget: Budget) -> np.ndarray:
    """Return the array that comes next, laid out in memory of its own."""
    code = source.take(source.byte())
    marks = source.take(3)
    dims = marks[2]
    if dims > MAX_DIMS:
        raise WireError("an array's head must make sense")
    dtype, shape, count, size = _form(code, marks, source.take(8 * dims))
    layout, writeable, _ = marks
    if layout == STRIDED:
        array = _read_strided(source, dtype, shape, budget)
    else:
        budget.spend_array(size)
        flat = _numbers(source, dtype, count)
        if layout == C:
            array = flat.reshape(shape).copy()
        else:
            array = flat.reshape(shape[::-1]).T.copy(order="F")
    if not writeable:
        array.flags.writeable = False
    return array


@lru_cache(maxsize=512)
def _form(
    code: bytes, marks: bytes, sizes: bytes
) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Return the type, the shape, and how many numbers and bytes it has."""
    dtype = dtype_of(code)
    layout, writeable, dims = marks
    if layout > STRIDED or writeable > 1:
        raise WireError("an array's head must make sense")
    shape = struct.unpack(f"<{dims}q", sizes)
    if any(size < 0 for size in shape):
        raise WireError(f"sizes must not be negative: got {shape}")
    return dtype, shape, math.prod(shape), _size(shape, dtype.itemsize)


def _size(shape: tuple[int, ...], itemsize: int) -> int:
    # Empty axes are counted too: NumPy multiplies the others.
    return math.prod(max(size, 1) for size in shape) * itemsize


def _extent(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int
) -> tuple[int, int]:
    low = high = 0
    for size, stride in zip(shape, strides, strict=True):
        reach = (size - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + itemsize


def _steps(array: np.ndarray) -> tuple[int, ...]:
    """Return the strides to send: as they are, or with narrower gaps."""
    shape, itemsize = array.shape, array.itemsize
    strides = tuple(
        0 if size == 1 else stride
        for size, stride in zip(shape, array.strides, strict=True)
    )
    low, high = _extent(shape, strides, itemsize)
    if high - low <= FREE_EXTENT + 4 * array.nbytes:
        return strides
    moving = sorted((abs(s), axis) for axis, s in enumerate(strides) if s)
    dense = moving[0][0] == itemsize
    narrow, step = list(strides), itemsize if dense else 2 * itemsize
    for _, axis in moving:
        narrow[axis] = step if strides[axis] > 0 else -step
        step = step * shape[axis] + itemsize
    return tuple(narrow)


def _read_strided(
    source: Any, dtype: np.dtype, shape: tuple[int, ...], budget: Budget
) -> np.ndarray:
    strides = source.longs(len(shape))
    if 0 in shape:
        raise WireError(f"an empty array has no strides: got shape {shape}")
    low, high = _extent(shape, strides, dtype.itemsize)
    budget.spend_array(max(high - low, _size(shape, dtype.itemsize)))
    once = tuple(
        1 if stride == 0 else size
        for size, stride in zip(shape, strides, strict=True)
    )
    numbers = _numbers(source, dtype, math.prod(once)).reshape(once)
    base = np.full(high - low, _gap(dtype), np.uint8)
    np.ndarray(once, dtype, base, -low, strides)[...] = numbers
    return np.ndarray(shape, dtype, base, -low, strides)


def _gap(dtype: np.dtype) -> int:
    # NaN, or -1; a byte that is no truth value or no character would be
    # undefined where it is read.
    return {"b": 1, "U": 0}.get(dtype.kind, 255)


def _numbers(source: Any, dtype: np.dtype, count: int) -> np.ndarray:
    start = source.skip(count * dtype.itemsize)
    if count == 0:
        return np.empty(0, dtype)
    flat = np.frombuffer(source.data, dtype, count, start)
    if dtype.kind == "b":
        if flat.view(np.uint8).max(initial=0) > 1:
            raise WireError("truth values must be 0 or 1")
    elif dtype.kind == "U":
        letters = flat.view(dtype.str[0] + "u4")
        surrogate = (letters >= 0xD800) & (letters <= 0xDFFF)
        if letters.max(initial=0) > 0x10FFFF or surrogate.any():
            raise WireError("text must be valid Unicode")
    return flat
