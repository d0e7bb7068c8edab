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
from typing import Any, NamedTuple

import numpy as np

from .wire_kinds import Budget, WireError

C, F, STRIDED = range(3)
MAX_DIMS = 32
MAX_TEXT_BYTES = 10_000_000
LONGEST_HEAD = 3 + 8 * MAX_DIMS + 40
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
    """Return an array's head and numbers as bytes; `budget` pays for it."""
    dtype, shape = array.dtype, array.shape
    flags = array.flags.num
    layout = C if flags & _IS_C else F if flags & _IS_F else STRIDED
    head = _head(dtype.str, layout, flags & _IS_WRITEABLE != 0, shape)
    if layout != STRIDED:
        budget.spend_array(array.nbytes or _size(shape, dtype.itemsize))
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
    """Return an array's form, after the number of bytes that it takes."""
    dims = len(shape)
    if dims > MAX_DIMS:
        raise WireError(f"arrays have at most {MAX_DIMS} axes")
    code = name.encode("ascii")
    head = struct.pack(f"<3B{dims}q", layout, writeable, dims, *shape) + code
    return struct.pack("<H", len(head)) + head


class Form(NamedTuple):
    """What an array's head says: how it is laid out, and its size."""

    dtype: np.dtype
    shape: tuple[int, ...]
    layout: int
    writeable: bool
    length: int
    raw: int  # bytes of its numbers
    size: int  # what it costs
    free: bool  # whether all bytes are numbers


def read_array(source: Any) -> tuple[np.ndarray, int]:
    """Return the array that comes next, in memory of its own, and its size."""
    data, at = source.data, source.at
    start = at + 2
    if start > source.end:
        source.short()
    start += data[at] + (data[at + 1] << 8)
    if start > source.end:
        source.short()
    form = _form(data[at + 2 : start])
    source.at = start
    if form.layout == STRIDED:
        array, size = _read_strided(source, form)
    else:
        size = form.size
        source.spend_array(size)
        array = _numbers(source, form.dtype, form.length, form.raw, form.free)
        if form.layout == C:
            array = array.reshape(form.shape).copy()
        else:
            array = array.reshape(form.shape[::-1]).T.copy(order="F")
    if not form.writeable:
        array.flags.writeable = False
    return array, size


@lru_cache(maxsize=512)
def _form(head: bytes) -> Form:
    if not 3 <= len(head) <= LONGEST_HEAD:
        raise WireError("an array's head must make sense")
    layout, writeable, dims = head[:3]
    if (
        layout > STRIDED
        or writeable > 1
        or dims > MAX_DIMS
        or len(head) < 3 + 8 * dims
    ):
        raise WireError("an array's head must make sense")
    dtype = dtype_of(head[3 + 8 * dims :])
    shape = struct.unpack_from(f"<{dims}q", head, 3)
    if any(size < 0 for size in shape):
        raise WireError(f"sizes must not be negative: got {shape}")
    count = math.prod(shape)
    return Form(
        dtype=dtype,
        shape=shape,
        layout=layout,
        writeable=bool(writeable),
        length=count,
        raw=count * dtype.itemsize,
        size=_size(shape, dtype.itemsize),
        free=dtype.kind not in "bU",
    )


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


def _read_strided(source: Any, form: Form) -> tuple[np.ndarray, int]:
    dtype, shape = form.dtype, form.shape
    strides = source.longs(len(shape))
    if 0 in shape:
        raise WireError(f"an empty array has no strides: got shape {shape}")
    low, high = _extent(shape, strides, dtype.itemsize)
    size = max(high - low, form.size)
    source.spend_array(size)
    once = tuple(
        1 if stride == 0 else size
        for size, stride in zip(shape, strides, strict=True)
    )
    count = math.prod(once)
    raw = count * dtype.itemsize
    numbers = _numbers(source, dtype, count, raw, form.free).reshape(once)
    base = np.full(high - low, _gap(dtype), np.uint8)
    np.ndarray(once, dtype, base, -low, strides)[...] = numbers
    return np.ndarray(shape, dtype, base, -low, strides), size


def _gap(dtype: np.dtype) -> int:
    # NaN, or -1; a byte that is no truth value or no character would be
    # undefined where it is read.
    return {"b": 1, "U": 0}.get(dtype.kind, 255)


def _numbers(
    source: Any, dtype: np.dtype, count: int, raw: int, free: bool
) -> np.ndarray:
    start = source.skip(raw)
    if count == 0:
        return np.empty(0, dtype)
    flat = np.frombuffer(source.data, dtype, count, start)
    if not free:
        _check(flat)
    return flat


def _check(flat: np.ndarray) -> None:
    """See that truth values and letters are some."""
    if flat.dtype.kind == "b":
        if flat.view(np.uint8).max(initial=0) > 1:
            raise WireError("truth values must be 0 or 1")
        return
    letters = flat.view(flat.dtype.str[0] + "u4")
    surrogate = (letters >= 0xD800) & (letters <= 0xDFFF)
    if letters.max(initial=0) > 0x10FFFF or surrogate.any():
        raise WireError("text must be valid Unicode")
