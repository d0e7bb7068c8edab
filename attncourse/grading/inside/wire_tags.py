"""The one-byte marks that say what follows in a message.

A message is `MAGIC` and one value, or a call's arguments and a value; a
value is a mark and what the mark calls for: numbers little-endian, lengths
as eight bytes.
"""

from __future__ import annotations

import numpy as np

MAGIC = b"\xa7\x01"

NONE, TRUE, FALSE, ELLIPSIS = b"N", b"T", b"F", b"E"
INT, BIG, FLOAT, COMPLEX = b"i", b"I", b"f", b"c"
STR, BYTES = b"s", b"b"
LIST, TUPLE, DICT, SET, FROZENSET = b"l", b"t", b"d", b"e", b"z"
SLICE, RANGE, AGAIN = b":", b"r", b"&"
ARRAY, SCALAR, NP_STR, NP_BYTES, DTYPE = b"A", b"n", b"u", b"y", b"D"
GENERATOR, TYPE = b"G", b"K"
TENSOR, TORCH_DTYPE, DEVICE = b"X", b"x", b"v"
# After a container's length: how its items follow.
MIXED, INTS, FLOATS = b"m", b"q", b"d"
HANDLE, CALLBACK, RAISED = b"h", b"k", b"!"
# A dictionary whose keys, a few texts, come in one piece.
RECORD = b"o"
# In place of arguments that come back as they were sent.
SAME = b"="

_BUILTIN = (
    *(bool, int, float, complex, str, bytes, list, tuple, dict, set),
    *(frozenset, object, slice, range, type(None)),
)
SCALARS = (
    *("bool_", "int8", "int16", "int32", "int64", "longlong", "uint8"),
    *("uint16", "uint32", "uint64", "ulonglong", "float16", "float32"),
    *("float64", "longdouble", "complex64", "complex128", "clongdouble"),
    *("datetime64", "timedelta64"),
)
_NUMPY = (
    *SCALARS,
    *("str_", "bytes_", "generic", "number", "integer", "signedinteger"),
    *("unsignedinteger", "inexact", "floating", "complexfloating"),
    "ndarray",
)
# Types that are the same on both sides, and are therefore sent by name:
# `dtype=np.float32` is a common argument.
TYPES: dict[str, type] = {kind.__name__: kind for kind in _BUILTIN} | {
    f"numpy.{name}": getattr(np, name) for name in _NUMPY
}
TYPE_NAMES: dict[type, str] = {kind: name for name, kind in TYPES.items()}
