"""Writes values as bytes, and trusts none of their methods.

A value of a subclass is sent as its base type's value, read by the base
type's own methods. Nothing rests on that (who writes inside the sandbox
may write anything), but honest subclasses arrive, and are reported.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import wire_tags as tag
from .wire_arrays import carried, write_array
from .wire_bytes import LENGTH, Pen
from .wire_kinds import (
    CONTAINER,
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
    mro,
    type_name,
)
from .wire_random import generator_state, is_known
from .wire_torch import dtype_name, tensor_parts, torch

_INT = struct.Struct("<cq").pack
_FLOAT = struct.Struct("<cd").pack
_COMPLEX = struct.Struct("<cdd").pack
_REAL, _IMAG = complex.real.__get__, complex.imag.__get__  # type: ignore[attr-defined]


class Writer(Pen):
    """Appends values to `parts`, and remembers what was written before."""

    def __init__(
        self,
        limits: WireLimits,
        handle: Callable[[Any], Handle | Callback] | None,
    ) -> None:
        super().__init__(limits)
        self.put(tag.MAGIC)
        self.handle = handle
        self.subclasses: set[str] = set()
        # By identity: the object (kept, so that its number stays its own),
        # its place, and what it cost, None while it is being written.
        self.seen: dict[int, tuple[Any, int, tuple[int, int] | None]] = {}

    def write(self, value: Any, depth: int) -> None:
        """Append one value."""
        if depth > self.budget.limits.depth:
            limit = self.budget.limits.depth
            raise WireError(f"values nest at most {limit} deep")
        self.budget.spend(1)
        kind = type(value)
        writer = _WRITERS.get(kind) or self._writer_of(kind)
        if writer not in _SHARED:
            writer(self, value, depth)
        elif _SHARED[writer](value):
            self._write_shared(value, depth, writer)
        else:
            self._handle(value, depth)

    def _writer_of(self, kind: type) -> Callable:
        lib = torch()
        bases = mro(kind)
        if lib is not None:
            if kind is lib.dtype:
                return Writer._torch_dtype
            if kind is lib.device:
                return Writer._device
            if lib.Tensor in bases:
                if kind is not lib.Tensor and kind is not lib.nn.Parameter:
                    self._note(kind)
                return Writer._tensor
        for base in bases:
            if base in _WRITERS:
                if not (base is tuple and _is_record(kind)):
                    self._note(kind)
                return _WRITERS[base]
        if np.dtype in bases:
            return Writer._dtype
        return Writer._handle

    def _note(self, kind: type) -> None:
        if len(self.subclasses) < CONTAINER:
            self.subclasses.add(type_name(kind))

    def _write_shared(self, value: Any, depth: int, writer: Callable) -> None:
        before = self.seen.get(id(value))
        if before is not None:
            _, place, cost = before
            if cost is None:
                raise WireError("a value that contains itself cannot cross")
            self.budget.spend(cost[0])
            self.budget.spend_array(cost[1])
            self.put(LENGTH(tag.AGAIN, place))
            return
        place, budget = len(self.seen), self.budget
        entries, array_bytes = budget.entries, budget.array_bytes
        self.seen[id(value)] = value, place, None
        writer(self, value, depth)
        cost = entries - budget.entries, array_bytes - budget.array_bytes
        self.seen[id(value)] = value, place, cost

    # ---- plain values

    def _none(self, value: None, depth: int) -> None:
        self.put(tag.NONE)

    def _bool(self, value: bool, depth: int) -> None:
        self.put(tag.TRUE if value is True else tag.FALSE)

    def _ellipsis(self, value: Any, depth: int) -> None:
        self.put(tag.ELLIPSIS)

    def _int(self, value: int, depth: int) -> None:
        size = int.bit_length(value)
        if size < 64:
            self.put(_INT(tag.INT, int.__index__(value)))
            return
        if size > INT_BITS:
            raise TooLarge(f"an int has at most {INT_BITS} bits: got {size}")
        raw = int.to_bytes(value, size // 8 + 1, "little", signed=True)
        self.put(LENGTH(tag.BIG, len(raw)), raw)

    def _float(self, value: float, depth: int) -> None:
        self.put(_FLOAT(tag.FLOAT, float.__float__(value)))

    def _complex(self, value: complex, depth: int) -> None:
        self.put(_COMPLEX(tag.COMPLEX, _REAL(value), _IMAG(value)))

    def _str(self, value: str, depth: int) -> None:
        self.put_text(tag.STR, value)

    def _bytes(self, value: bytes, depth: int) -> None:
        self.put_bytes(tag.BYTES, value)

    # ---- containers

    def _items(self, mark: bytes, items: Iterable, depth: int) -> None:
        held = tuple(items)
        self.budget.spend(CONTAINER)
        self.put(LENGTH(mark, len(held)))
        for item in held:
            self.write(item, depth + 1)

    def _list(self, value: list, depth: int) -> None:
        self._items(tag.LIST, list.__iter__(value), depth)

    def _tuple(self, value: tuple, depth: int) -> None:
        self._items(tag.TUPLE, tuple.__iter__(value), depth)

    def _set(self, value: set, depth: int) -> None:
        self._items(tag.SET, set.__iter__(value), depth)

    def _frozenset(self, value: frozenset, depth: int) -> None:
        self._items(tag.FROZENSET, frozenset.__iter__(value), depth)

    def _dict(self, value: dict, depth: int) -> None:
        self._pairs(dict.items(value), depth)

    def _ordered(self, value: OrderedDict, depth: int) -> None:
        self._pairs(OrderedDict.items(value), depth)

    def _pairs(self, pairs: Iterable, depth: int) -> None:
        flat = [part for pair in tuple(pairs) for part in pair]
        self._items(tag.DICT, flat, depth)

    def _slice(self, value: slice, depth: int) -> None:
        self.put(tag.SLICE)
        for part in (value.start, value.stop, value.step):
            self.write(part, depth + 1)

    def _range(self, value: range, depth: int) -> None:
        try:
            self.budget.spend(len(value))
        except OverflowError:
            raise TooLarge("a range must not be that long") from None
        self.put(tag.RANGE)
        for part in (value.start, value.stop, value.step):
            self.write(part, depth + 1)

    # ---- NumPy and torch

    def _array(self, value: np.ndarray, depth: int) -> None:
        plain = np.ndarray.view(value, np.ndarray)
        self.budget.spend(CONTAINER)
        self.put(tag.ARRAY, *write_array(plain, self.budget))

    def _scalar(self, value: np.generic, depth: int) -> None:
        dtype = np.generic.dtype.__get__(value)  # type: ignore[attr-defined]
        code = dtype.str.encode("ascii")
        if dtype.kind in "US" or carried(dtype.str) is None:
            self._handle(value, depth)
            return
        raw = np.generic.tobytes(value)
        self.put(tag.SCALAR, bytes((len(code),)), code, raw)

    def _np_str(self, value: np.str_, depth: int) -> None:
        self.put_text(tag.NP_STR, value)

    def _np_bytes(self, value: np.bytes_, depth: int) -> None:
        self.put_bytes(tag.NP_BYTES, value)

    def _dtype(self, value: np.dtype, depth: int) -> None:
        if carried(value.str) is None:
            self._handle(value, depth)
        else:
            self.put_text(tag.DTYPE, value.str)

    def _generator(self, value: np.random.Generator, depth: int) -> None:
        self.budget.spend(MACHINE)
        self.put(tag.GENERATOR)
        self.write(generator_state(value), depth + 1)

    def _tensor(self, value: Any, depth: int) -> None:
        name, flags, raw, grad = tensor_parts(value)
        self.budget.spend(CONTAINER)
        self.put_text(tag.TENSOR, name)
        self.put(bytes((flags,)), *write_array(raw, self.budget))
        if grad is not None:
            self.write(grad, depth + 1)

    def _torch_dtype(self, value: Any, depth: int) -> None:
        self.put_text(tag.TORCH_DTYPE, dtype_name(value))

    def _device(self, value: Any, depth: int) -> None:
        self.put_text(tag.DEVICE, str(value))

    # ---- what stays on its side

    def _handle(self, value: Any, depth: int) -> None:
        if type(value) is type and value in tag.TYPE_NAMES:
            self.put_text(tag.TYPE, tag.TYPE_NAMES[value])
            return
        if self.handle is None:
            name = type_name(type(value))
            raise WireError(f"a value of type {name} cannot cross")
        stand_in = self.handle(value)
        if type(stand_in) not in (Handle, Callback):
            raise WireError("a handle must stand for what stays behind")
        self.write(stand_in, depth)

    def _a_handle(self, value: Handle, depth: int) -> None:
        self.put(LENGTH(tag.HANDLE, value.id))
        self.put_note(value.kind, NAME_CHARS)
        self.put_note(value.name, NAME_CHARS)
        self.put_note(value.text, TEXT_CHARS)

    def _callback(self, value: Callback, depth: int) -> None:
        self.put(LENGTH(tag.CALLBACK, value.id))
        self.put_note(value.name, NAME_CHARS)

    def _raised(self, value: Raised, depth: int) -> None:
        self.put(_INT(tag.RAISED, -1 if value.line is None else value.line))
        self.put_note(value.name, NAME_CHARS)
        self.put_note(value.mro_builtin, NAME_CHARS)
        self.put_note(value.message, TEXT_CHARS)


def _is_record(kind: type) -> bool:
    """Whether tuples of this type are those of a library, with names."""
    return hasattr(kind, "_fields") or hasattr(kind, "n_fields")


_WRITERS: dict[type, Callable] = {
    type(None): Writer._none,
    type(...): Writer._ellipsis,
    bool: Writer._bool,
    int: Writer._int,
    float: Writer._float,
    complex: Writer._complex,
    str: Writer._str,
    bytes: Writer._bytes,
    list: Writer._list,
    tuple: Writer._tuple,
    dict: Writer._dict,
    OrderedDict: Writer._ordered,
    defaultdict: Writer._dict,
    Counter: Writer._dict,
    set: Writer._set,
    frozenset: Writer._frozenset,
    slice: Writer._slice,
    range: Writer._range,
    np.ndarray: Writer._array,
    np.generic: Writer._scalar,
    np.str_: Writer._np_str,
    np.bytes_: Writer._np_bytes,
    np.random.Generator: Writer._generator,
    Handle: Writer._a_handle,
    Callback: Writer._callback,
    Raised: Writer._raised,
}
for _name in tag.SCALARS:
    _WRITERS.setdefault(getattr(np, _name), Writer._scalar)


def _always(value: Any) -> bool:
    return True


def _is_carried(array: np.ndarray) -> bool:
    dtype = np.ndarray.dtype.__get__(array)  # type: ignore[attr-defined]
    return carried(dtype.str) is not None


# What the receiver may change: written twice, it is one object there, too.
# With each, whether this value is one that can cross.
_SHARED: dict[Callable, Callable[[Any], bool]] = {
    Writer._list: _always,
    Writer._dict: _always,
    Writer._ordered: _always,
    Writer._set: _always,
    Writer._tensor: _always,
    Writer._array: _is_carried,
    Writer._generator: is_known,
}
