"""Writes the values that hold no others.

Each function appends one value to a `Pen`, read by its base type's own
methods: a subclass's have no say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from . import wire_tags as tag
from .wire_arrays import carried
from .wire_bytes import LENGTH, Pen, note
from .wire_kinds import (
    CONTAINER,
    INT_BITS,
    NAME_CHARS,
    TEXT_CHARS,
    Callback,
    Handle,
    Raised,
    TooLarge,
    WireError,
)

_INT = struct.Struct("<cq").pack
_FLOAT = struct.Struct("<cd").pack
_COMPLEX = struct.Struct("<cdd").pack
_NUMBER = struct.Struct("<Q").pack
_REAL = complex.__dict__["real"].__get__
_IMAG = complex.__dict__["imag"].__get__
_DTYPE = np.generic.__dict__["dtype"].__get__


def put_none(pen: Pen, value: None) -> None:
    """Append None."""
    pen.parts.append(tag.NONE)


def put_bool(pen: Pen, value: bool) -> None:
    """Append True or False."""
    pen.parts.append(tag.TRUE if value is True else tag.FALSE)


def put_ellipsis(pen: Pen, value: Any) -> None:
    """Append an ellipsis."""
    pen.parts.append(tag.ELLIPSIS)


def put_int(pen: Pen, value: int) -> None:
    """Append an int of at most `INT_BITS` bits."""
    size = int.bit_length(value)
    if size < 64:
        pen.parts.append(_INT(tag.INT, int.__index__(value)))
        return
    if size > INT_BITS:
        raise TooLarge(f"an int has at most {INT_BITS} bits: got {size}")
    raw = int.to_bytes(value, size // 8 + 1, "little", signed=True)
    pen.put_raw(tag.BIG, raw)


def put_float(pen: Pen, value: float) -> None:
    """Append a float."""
    pen.parts.append(_FLOAT(tag.FLOAT, float.__float__(value)))


def put_complex(pen: Pen, value: complex) -> None:
    """Append a complex number."""
    pen.parts.append(_COMPLEX(tag.COMPLEX, _REAL(value), _IMAG(value)))


def put_str(pen: Pen, value: str) -> None:
    """Append a text."""
    pen.put_text(tag.STR, value)


def put_bytes(pen: Pen, value: bytes) -> None:
    """Append bytes."""
    pen.put_bytes(tag.BYTES, value)


def put_scalar(pen: Pen, value: np.generic) -> None:
    """Append a NumPy scalar as its type and its bytes."""
    dtype = _DTYPE(value)
    if dtype.kind in "US" or carried(dtype.str) is None:
        raise WireError(f"a scalar of type {dtype} cannot cross")
    code = dtype.str.encode("ascii")
    raw = np.generic.tobytes(value)
    pen.parts.append(tag.SCALAR + bytes((len(code),)) + code + raw)


def put_np_str(pen: Pen, value: np.str_) -> None:
    """Append NumPy's text."""
    pen.put_text(tag.NP_STR, value)


def put_np_bytes(pen: Pen, value: np.bytes_) -> None:
    """Append NumPy's bytes."""
    pen.put_bytes(tag.NP_BYTES, value)


def put_dtype(pen: Pen, value: np.dtype) -> None:
    """Append a NumPy dtype by its code."""
    if carried(value.str) is None:
        raise WireError(f"a dtype must be of numbers or text: got {value}")
    pen.put_text(tag.DTYPE, value.str)


def put_torch_dtype(pen: Pen, value: Any) -> None:
    """Append a torch dtype by its name."""
    pen.put_text(tag.TORCH_DTYPE, str(value).removeprefix("torch."))


def put_device(pen: Pen, value: Any) -> None:
    """Append a torch device by its name."""
    pen.put_text(tag.DEVICE, str(value))


def put_handle(pen: Pen, value: Handle) -> None:
    """Append what stands for an object."""
    pen.spend(CONTAINER)
    pen.put_raw(tag.HANDLE, _of_handle(value))


@lru_cache(maxsize=256)
def _of_handle(value: Handle) -> bytes:
    """Return a handle as bytes; the same few are sent again and again."""
    return b"".join(
        (
            _NUMBER(value.id),
            note(value.kind, NAME_CHARS),
            note(value.name, NAME_CHARS),
            note(value.text, TEXT_CHARS),
        )
    )


def put_callback(pen: Pen, value: Callback) -> None:
    """Append what stands for a function of the judge."""
    pen.spend(CONTAINER)
    pen.parts.append(LENGTH(tag.CALLBACK, value.id))
    pen.parts.append(note(value.name, NAME_CHARS))


def put_raised(pen: Pen, value: Raised) -> None:
    """Append what is told of an exception."""
    pen.spend(CONTAINER)
    line = -1 if value.line is None else value.line
    pen.parts += (
        _INT(tag.RAISED, line),
        note(value.name, NAME_CHARS),
        note(value.mro_builtin, NAME_CHARS),
        note(value.message, TEXT_CHARS),
    )


# What may be a key; the others may not.
KEY_LEAVES: dict[type, Callable[[Pen, Any], None]] = {
    type(None): put_none,
    type(...): put_ellipsis,
    bool: put_bool,
    int: put_int,
    float: put_float,
    complex: put_complex,
    str: put_str,
    bytes: put_bytes,
    **{getattr(np, name): put_scalar for name in tag.SCALARS},
    np.str_: put_np_str,
    np.bytes_: put_np_bytes,
}
LEAVES: dict[type, Callable[[Pen, Any], None]] = KEY_LEAVES | {
    Handle: put_handle,
    Callback: put_callback,
    Raised: put_raised,
}
