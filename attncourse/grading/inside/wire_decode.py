"""Reads what anyone may have sent: bounds first, then plain values.

Nothing is allocated before it is known that the bytes are there or that
the limits allow it, and nothing that is read runs code of the sender.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from . import wire_tags as tag
from .wire_arrays import dtype_of, read_array
from .wire_bytes import Cursor
from .wire_keys import checked
from .wire_kinds import (
    BUILTIN_ERRORS,
    CONTAINER,
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

    def message(self) -> Any:
        """Return the message's value; nothing may follow it."""
        if self.take(len(tag.MAGIC)) != tag.MAGIC:
            raise WireError("a message must start as one")
        value = self.read(0)
        if self.at != len(self.data):
            raise WireError("nothing may follow a message's value")
        return value

    # ---- values

    def read(self, depth: int) -> Any:
        """Return the value that comes next."""
        if depth > self.depth:
            raise WireError(f"values nest at most {self.depth} deep")
        budget = self.budget
        budget.entries -= 1
        if budget.entries < 0:
            budget.spend(0)
        mark = self.data[self.skip(1)]
        reader = _READERS.get(mark)
        if reader is None:
            sign = bytes((mark,))
            raise WireError(f"a value's mark must be known: got {sign!r}")
        if mark not in _SHARED:
            return reader(self, depth)
        place = len(self.seen)
        self.seen.append(None)
        entries, array_bytes = budget.entries, budget.array_bytes
        value = reader(self, depth)
        self.seen[place] = (
            value,
            entries - budget.entries,
            array_bytes - budget.array_bytes,
        )
        return value

    def _again(self, depth: int) -> Any:
        place = self.size()
        known = self.seen[place] if place < len(self.seen) else None
        if known is None:
            raise WireError("only what came before can be mentioned again")
        value, entries, array_bytes = known
        self.budget.spend(entries)
        self.budget.spend_array(array_bytes)
        return value

    def _int(self, depth: int) -> int:
        return _INT(self.data, self.skip(8))[0]

    def _big(self, depth: int) -> int:
        size = self.size()
        if size > INT_BITS // 8 + 1:
            raise TooLarge(f"an int has at most {INT_BITS} bits")
        return int.from_bytes(self.take(size), "little", signed=True)

    def _float(self, depth: int) -> float:
        return _FLOAT(self.data, self.skip(8))[0]

    def _complex(self, depth: int) -> complex:
        return complex(*_COMPLEX(self.take(16)))

    def _str(self, depth: int) -> str:
        return self.text()

    def _bytes(self, depth: int) -> bytes:
        return self.take(self.size())

    # ---- containers

    def _items(self, depth: int) -> list:
        count = self.size()
        self.budget.spend(CONTAINER)
        form = self.take(1)
        if form == tag.INTS or form == tag.FLOATS:
            self.budget.spend(count)
            code = f"<{count}{form.decode()}"
            return list(
                struct.unpack_from(code, self.data, self.skip(8 * count))
            )
        # Each takes a byte at least.
        if form != tag.MIXED or count > len(self.data) - self.at:
            raise WireError("a container's items must be there")
        return [self.read(depth + 1) for _ in range(count)]

    def _tuple(self, depth: int) -> tuple:
        return tuple(self._items(depth))

    def _dict(self, depth: int) -> dict:
        keys = checked(self._items(depth))
        value = {key: self.read(depth + 1) for key in keys}
        return value if len(value) == len(keys) else _twice()

    def _set(self, depth: int) -> set:
        items = checked(self._items(depth))
        value = set(items)
        return value if len(value) == len(items) else _twice()

    def _frozenset(self, depth: int) -> frozenset:
        return frozenset(self._set(depth))

    def _slice(self, depth: int) -> slice:
        return slice(*(self.read(depth + 1) for _ in range(3)))

    def _range(self, depth: int) -> range:
        parts = [self.read(depth + 1) for _ in range(3)]
        if any(type(part) is not int for part in parts) or parts[2] == 0:
            raise WireError("a range's ends must be ints, its step not 0")
        value = range(*parts)
        try:
            self.budget.spend(len(value))
        except OverflowError:
            raise TooLarge("a range must not be that long") from None
        return value

    # ---- NumPy and torch

    def _array(self, depth: int) -> np.ndarray:
        self.budget.spend(CONTAINER)
        return read_array(self, self.budget)

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
        return dtype_of(self.take(self.size()))

    def _type(self, depth: int) -> type:
        name = self.text(NAME_CHARS)
        if name not in tag.TYPES:
            raise WireError(f"a type must be known: got {name!r:.40}")
        return tag.TYPES[name]

    def _generator(self, depth: int) -> np.random.Generator:
        self.budget.spend(MACHINE)
        return generator_from(self.read(depth + 1))

    def _tensor(self, depth: int) -> Any:
        self.budget.spend(MACHINE)
        name, flags = self.text(NAME_CHARS), self.byte()
        raw = read_array(self, self.budget)
        grad = self.read(depth + 1) if flags & HAS_GRAD else None
        return tensor_from(name, flags, raw, grad)

    def _torch_dtype(self, depth: int) -> Any:
        return dtype_from(self.text(NAME_CHARS))

    def _device(self, depth: int) -> Any:
        return device_from(self.text(NAME_CHARS))

    # ---- what stays on its side

    def _handle(self, depth: int) -> Any:
        self.budget.spend(CONTAINER)
        number, kind = self.size(), self.text(NAME_CHARS)
        if kind not in HANDLE_KINDS:
            raise WireError(f"a handle's kind must be known: got {kind!r:.40}")
        name, text = self.text(NAME_CHARS), self.text(TEXT_CHARS)
        return self._resolved(Handle(number, kind, name, text))

    def _callback(self, depth: int) -> Any:
        self.budget.spend(CONTAINER)
        return self._resolved(Callback(self.size(), self.text(NAME_CHARS)))

    def _resolved(self, stand_in: Handle | Callback) -> Any:
        return self.resolve(stand_in) if self.resolve else stand_in

    def _raised(self, depth: int) -> Raised:
        self.budget.spend(CONTAINER)
        line = self._int(depth)
        name, builtin = self.text(NAME_CHARS), self.text(NAME_CHARS)
        if builtin not in BUILTIN_ERRORS or not -1 <= line < 1 << 31:
            raise WireError("an exception's type and line must make sense")
        message = self.text(TEXT_CHARS)
        return Raised(name, builtin, message, None if line == -1 else line)


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
_SHARED = frozenset(
    mark[0]
    for mark in (
        *(tag.LIST, tag.DICT, tag.SET),
        *(tag.ARRAY, tag.TENSOR, tag.GENERATOR),
    )
)
