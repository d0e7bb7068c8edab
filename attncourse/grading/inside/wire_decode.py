"""Reads what anyone may have sent: bounds first, then plain values.

Nothing is allocated before it is known that the bytes are there or that
the limits allow it, and nothing that is read runs code of the sender.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np

from . import wire_tags as tag
from .wire_arrays import dtype_of, read_array
from .wire_bytes import Cursor
from .wire_keys import checked
from .wire_kinds import (
    BUILTIN_ERRORS,
    CONTAINER,
    DEFAULT_LIMITS,
    HANDLE_KINDS,
    INT_BITS,
    MACHINE,
    NAME_CHARS,
    TEXT_CHARS,
    Callback,
    Handle,
    Raised,
    TooLarge,
    WireError,
    WireLimits,
)
from .wire_random import generator_from
from .wire_torch import HAS_GRAD, device_from, dtype_from, tensor_from

_INT = struct.Struct("<q").unpack_from
_FLOAT = struct.Struct("<d").unpack_from
_COMPLEX = struct.Struct("<dd").unpack_from
_ROW = struct.Struct("<Qc").unpack_from
LONGEST_RECORD = 1 << 12  # of a record's keys, in bytes


class Reader(Cursor):
    """Reads one message from its start to its end."""

    def __init__(
        self,
        data: bytes,
        limits: WireLimits,
        resolve: Callable[[Handle | Callback], Any] | None,
    ) -> None:
        super().__init__(data, limits)
        self.resolve = resolve
        # What may be mentioned again, with its cost; None while unfinished.
        self.seen: list[tuple[Any, int, int] | None] = []

    def start(self) -> None:
        """See that this is a message."""
        if self.take(len(tag.MAGIC)) != tag.MAGIC:
            raise WireError("a message must start as one")

    def next_is(self, mark: bytes) -> bool:
        """Take this mark, if it comes next."""
        there = self.data[self.at : self.at + 1] == mark
        self.at += there
        return there

    def finish(self) -> None:
        """See that nothing follows."""
        if self.at != self.end:
            raise WireError("nothing may follow a message's value")

    # ---- values

    def read(self, depth: int) -> Any:
        """Return the value that comes next, for which is paid."""
        at = self.at
        if at >= self.end:
            self.short()
        mark = self.data[at]
        self.at = at + 1
        reader = _READERS.get(mark)
        if reader is None:
            sign = bytes((mark,))
            raise WireError(f"a value's mark must be known: got {sign!r}")
        if mark not in _SHARED:
            return reader(self, depth)
        place = len(self.seen)
        self.seen.append(None)
        entries, array_bytes = self.entries, self.array_bytes
        value = reader(self, depth)
        self.seen[place] = (
            value,
            entries - self.entries,
            array_bytes - self.array_bytes,
        )
        return value

    def _again(self, depth: int) -> Any:
        place = self.size()
        known = self.seen[place] if place < len(self.seen) else None
        if known is None:
            raise WireError("only what came before can be mentioned again")
        value, entries, array_bytes = known
        self.spend(entries)
        self.spend_array(array_bytes)
        return value

    def _int(self, depth: int) -> int:
        return _INT(self.data, self.skip(8))[0]

    def _big(self, depth: int) -> int:
        raw = self.piece()
        if len(raw) > INT_BITS // 8 + 1:
            raise TooLarge(f"an int has at most {INT_BITS} bits")
        return int.from_bytes(raw, "little", signed=True)

    def _float(self, depth: int) -> float:
        return _FLOAT(self.data, self.skip(8))[0]

    def _complex(self, depth: int) -> complex:
        return complex(*_COMPLEX(self.take(16)))

    def _str(self, depth: int) -> str:
        return self.text()

    def _bytes(self, depth: int) -> bytes:
        return self.piece()

    # ---- containers

    def _items(self, depth: int) -> list:
        count, form = _ROW(self.data, self.skip(9))
        self.spend(CONTAINER + count)
        if form == tag.INTS or form == tag.FLOATS:
            code = f"<{count}{form.decode()}"
            return list(
                struct.unpack_from(code, self.data, self.skip(8 * count))
            )
        # Each takes a byte at least.
        if form != tag.MIXED or count > self.end - self.at:
            raise WireError("a container's items must be there")
        if not count:
            return []
        deeper, read = self.deeper(depth), self.read
        return [read(deeper) for _ in range(count)]

    def _tuple(self, depth: int) -> tuple:
        return tuple(self._items(depth))

    def _dict(self, depth: int) -> dict:
        keys = checked(self._items(depth))
        if not keys:
            return {}
        self.spend(len(keys))
        deeper, read = self.deeper(depth), self.read
        value = {key: read(deeper) for key in keys}
        return value if len(value) == len(keys) else _twice()

    def _record(self, depth: int) -> dict:
        keys = _keys_of(self.piece())
        self.spend(CONTAINER + 2 * len(keys))
        deeper, read = self.deeper(depth), self.read
        return {key: read(deeper) for key in keys}

    def _set(self, depth: int) -> set:
        items = checked(self._items(depth))
        value = set(items)
        return value if len(value) == len(items) else _twice()

    def _frozenset(self, depth: int) -> frozenset:
        return frozenset(self._set(depth))

    def _slice(self, depth: int) -> slice:
        return slice(*self._three(depth))

    def _range(self, depth: int) -> range:
        parts = self._three(depth)
        if any(type(part) is not int for part in parts) or parts[2] == 0:
            raise WireError("a range's ends must be ints, its step not 0")
        value = range(*parts)
        try:
            self.spend(len(value))
        except OverflowError:
            raise TooLarge("a range must not be that long") from None
        return value

    def _three(self, depth: int) -> list:
        self.spend(3)
        deeper = self.deeper(depth)
        return [self.read(deeper) for _ in range(3)]

    # ---- NumPy and torch

    def _array(self, depth: int) -> np.ndarray:
        self.spend(CONTAINER)
        array, size = read_array(self)
        self.seen.append((array, CONTAINER, size))
        return array

    def _scalar(self, depth: int) -> np.generic:
        dtype = dtype_of(self.take(self.byte()))
        raw = self.take(dtype.itemsize)
        if dtype.kind in "US" or (dtype.kind == "b" and raw > b"\1"):
            raise WireError("a scalar must be a number in its range")
        return np.frombuffer(raw, dtype)[0]

    def _np_str(self, depth: int) -> np.str_:
        return np.str_(self.text())

    def _np_bytes(self, depth: int) -> np.bytes_:
        return np.bytes_(self._bytes(depth))

    def _dtype(self, depth: int) -> np.dtype:
        return dtype_of(self.piece())

    def _type(self, depth: int) -> type:
        name = self.text(NAME_CHARS)
        if name not in tag.TYPES:
            raise WireError(f"a type must be known: got {name!r:.40}")
        return tag.TYPES[name]

    def _generator(self, depth: int) -> np.random.Generator:
        self.spend(MACHINE + 1)
        return generator_from(self.read(self.deeper(depth)))

    def _tensor(self, depth: int) -> Any:
        self.spend(MACHINE)
        name, flags = self.text(NAME_CHARS), self.byte()
        raw, _ = read_array(self)
        grad = None
        if flags & HAS_GRAD:
            self.spend(1)
            grad = self.read(self.deeper(depth))
        return tensor_from(name, flags, raw, grad)

    def _torch_dtype(self, depth: int) -> Any:
        return dtype_from(self.text(NAME_CHARS))

    def _device(self, depth: int) -> Any:
        return device_from(self.text(NAME_CHARS))

    # ---- what stays on its side

    def _handle(self, depth: int) -> Any:
        self.spend(CONTAINER)
        return self._resolved(_handle_of(self.piece()))

    def _callback(self, depth: int) -> Any:
        self.spend(CONTAINER)
        return self._resolved(Callback(self.size(), self.text(NAME_CHARS)))

    def _resolved(self, stand_in: Handle | Callback) -> Any:
        return self.resolve(stand_in) if self.resolve else stand_in

    def _raised(self, depth: int) -> Raised:
        self.spend(CONTAINER)
        line = self._int(depth)
        name, builtin = self.text(NAME_CHARS), self.text(NAME_CHARS)
        if builtin not in BUILTIN_ERRORS or not -1 <= line < 1 << 31:
            raise WireError("an exception's type and line must make sense")
        message = self.text(TEXT_CHARS)
        return Raised(name, builtin, message, None if line == -1 else line)


@lru_cache(maxsize=256)
def _keys_of(row: bytes) -> tuple[str, ...]:
    """Return a record's keys; the same few come again and again."""
    if not 0 < len(row) <= LONGEST_RECORD:
        raise WireError("a record's keys must be a few short texts")
    reader = Reader(row, DEFAULT_LIMITS, None)
    keys = []
    while reader.at < reader.end:
        if reader.take(1) != tag.STR:
            raise WireError("a record's keys must be texts")
        keys.append(reader.text())
    return tuple(keys) if len(set(keys)) == len(keys) else _twice()


@lru_cache(maxsize=256)
def _handle_of(told: bytes) -> Handle:
    """Return the handle that these bytes tell of."""
    reader = Reader(told, DEFAULT_LIMITS, None)
    number, kind = reader.size(), reader.text(NAME_CHARS)
    if kind not in HANDLE_KINDS:
        raise WireError(f"a handle's kind must be known: got {kind!r:.40}")
    name, text = reader.text(NAME_CHARS), reader.text(TEXT_CHARS)
    reader.finish()
    return Handle(number, kind, name, text)


def _twice() -> NoReturn:
    raise WireError("a key must not come twice")


_BY_MARK: dict[bytes, Callable[[Reader, int], Any]] = {
    tag.NONE: lambda reader, depth: None,
    tag.TRUE: lambda reader, depth: True,
    tag.FALSE: lambda reader, depth: False,
    tag.ELLIPSIS: lambda reader, depth: ...,
    tag.INT: Reader._int,
    tag.BIG: Reader._big,
    tag.FLOAT: Reader._float,
    tag.COMPLEX: Reader._complex,
    tag.STR: Reader._str,
    tag.BYTES: Reader._bytes,
    tag.LIST: Reader._items,
    tag.TUPLE: Reader._tuple,
    tag.DICT: Reader._dict,
    tag.RECORD: Reader._record,
    tag.SET: Reader._set,
    tag.FROZENSET: Reader._frozenset,
    tag.SLICE: Reader._slice,
    tag.RANGE: Reader._range,
    tag.AGAIN: Reader._again,
    tag.ARRAY: Reader._array,
    tag.SCALAR: Reader._scalar,
    tag.NP_STR: Reader._np_str,
    tag.NP_BYTES: Reader._np_bytes,
    tag.DTYPE: Reader._dtype,
    tag.TYPE: Reader._type,
    tag.GENERATOR: Reader._generator,
    tag.TENSOR: Reader._tensor,
    tag.TORCH_DTYPE: Reader._torch_dtype,
    tag.DEVICE: Reader._device,
    tag.HANDLE: Reader._handle,
    tag.CALLBACK: Reader._callback,
    tag.RAISED: Reader._raised,
}
_READERS = {mark[0]: reader for mark, reader in _BY_MARK.items()}
# Arrays see to that themselves.
_SHARED = frozenset(
    mark[0]
    for mark in (
        *(tag.LIST, tag.DICT, tag.RECORD, tag.SET),
        *(tag.TENSOR, tag.GENERATOR),
    )
)
