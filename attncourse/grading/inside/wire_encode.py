"""Writes values as bytes, and trusts none of their methods.

A value of a subclass is sent as its base type's value, read by the base
type's own methods. Nothing rests on that (who writes inside the sandbox
may write anything), but honest subclasses arrive, and are reported.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from . import wire_tags as tag
from .wire_arrays import carried, write_array
from .wire_bytes import LENGTH, Pen
from .wire_kinds import (
    CONTAINER,
    DEFAULT_LIMITS,
    MACHINE,
    Callback,
    Handle,
    TooLarge,
    WireError,
    WireLimits,
    mro,
    type_name,
)
from .wire_leaves import (
    KEY_LEAVES,
    LEAVES,
    put_device,
    put_dtype,
    put_torch_dtype,
)
from .wire_random import generator_state, is_known
from .wire_torch import tensor_parts, torch

_DTYPE = np.ndarray.__dict__["dtype"].__get__
FEW = 12  # keys that are worth remembering together
# An object that was written, its place, and its cost: values and bytes.
Seen = tuple[Any, int, tuple[int, int] | None]


class Writer(Pen):
    """Appends values to `parts`, and remembers what was written before."""

    def __init__(
        self,
        limits: WireLimits,
        handle: Callable[[Any], Handle | Callback] | None,
    ) -> None:
        super().__init__(limits)
        self.parts.append(tag.MAGIC)
        self.handle = handle
        self.in_key = False
        self.subclasses: set[str] = set()
        # By identity: the object (kept, so that its number stays its own),
        # its place, and what it cost, None while it is being written.
        self.seen: dict[int, Seen] = {}

    def write(self, value: Any, depth: int) -> None:
        """Append one value."""
        kind = type(value)
        if kind in KEY_LEAVES:
            KEY_LEAVES[kind](self, value)
        elif kind in _USUAL and not self.in_key:
            _USUAL[kind](self, value, depth)
        else:
            self._write_any(value, depth)

    def _write_any(self, value: Any, depth: int) -> None:
        kind = type(value)
        base = kind if kind in LEAVES or kind in _HOLDERS else self._base(kind)
        if self.in_key and base not in KEY_LEAVES and base not in _KEY_HOLDERS:
            raise WireError(f"a key must be plain data: got {type_name(kind)}")
        if base in LEAVES:
            LEAVES[base](self, value)
        elif base in _SHARED and _crosses(base, value):
            self._write_shared(value, depth, _HOLDERS[base])
        elif base in _HOLDERS and base not in _SHARED:
            _HOLDERS[base](self, value, depth)
        else:
            self._write_other(value, depth)

    def _base(self, kind: type) -> type:
        """Return the first base whose values can cross, or `object`."""
        for base in mro(kind):
            if base in LEAVES or base in _HOLDERS:
                if not (base is tuple and _is_record(kind)):
                    self._note(kind)
                return base
        return object

    def _note(self, kind: type) -> None:
        if len(self.subclasses) < CONTAINER:
            self.subclasses.add(type_name(kind))

    def _write_shared(self, value: Any, depth: int, writer: Callable) -> None:
        if id(value) in self.seen:
            self._write_again(self.seen[id(value)])
            return
        place = len(self.seen)
        entries, array_bytes = self.entries, self.array_bytes
        self.seen[id(value)] = value, place, None
        writer(self, value, depth)
        cost = entries - self.entries, array_bytes - self.array_bytes
        self.seen[id(value)] = value, place, cost

    def _write_again(self, before: Seen) -> None:
        _, place, cost = before
        if cost is None:
            raise WireError("a value that contains itself cannot cross")
        self.spend(cost[0])
        self.spend_array(cost[1])
        self.parts.append(LENGTH(tag.AGAIN, place))

    def _write_other(self, value: Any, depth: int) -> None:
        """Append a type or a tensor; else, what stands for the object."""
        lib, bases = torch(), mro(type(value))
        if type(value) is type and value in tag.TYPE_NAMES:
            self.put_text(tag.TYPE, tag.TYPE_NAMES[value])
        elif np.dtype in bases and carried(value.str) is not None:
            put_dtype(self, value)
        elif lib is not None and lib.Tensor in bases:
            if bases[0] not in (lib.Tensor, lib.nn.Parameter):
                self._note(bases[0])
            self._write_shared(value, depth, Writer._tensor)
        elif lib is not None and bases[0] is lib.dtype:
            put_torch_dtype(self, value)
        elif lib is not None and bases[0] is lib.device:
            put_device(self, value)
        elif self.handle is None:
            name = type_name(bases[0])
            raise WireError(f"a value of type {name} cannot cross")
        else:
            stand_in = self.handle(value)
            if type(stand_in) not in (Handle, Callback):
                raise WireError("a handle must stand for what stays behind")
            self.write(stand_in, depth)

    # ---- containers

    def _items(self, mark: bytes, items: Iterable, depth: int) -> None:
        held = tuple(items)
        self.spend(CONTAINER + len(held))
        form, row = _as_row(held)
        self.parts.append(LENGTH(mark, len(held)) + form + row)
        if held and form == tag.MIXED:
            deeper = self.deeper(depth)
            for item in held:
                self.write(item, deeper)

    def _keyed(self, mark: bytes, keys: Iterable, depth: int) -> None:
        before, self.in_key = self.in_key, True
        self._items(mark, keys, depth)
        self.in_key = before

    def _list(self, value: list, depth: int) -> None:
        self._items(tag.LIST, list.__iter__(value), depth)

    def _tuple(self, value: tuple, depth: int) -> None:
        self._items(tag.TUPLE, tuple.__iter__(value), depth)

    def _set(self, value: set, depth: int) -> None:
        self._keyed(tag.SET, set.__iter__(value), depth)

    def _frozenset(self, value: frozenset, depth: int) -> None:
        self._keyed(tag.FROZENSET, frozenset.__iter__(value), depth)

    def _dict(self, value: dict, depth: int) -> None:
        self._pairs(dict.items(value), depth)

    def _ordered(self, value: OrderedDict, depth: int) -> None:
        self._pairs(OrderedDict.items(value), depth)

    def _pairs(self, pairs: Iterable, depth: int) -> None:
        held = tuple(pairs)
        keys = tuple([key for key, _ in held])
        if 0 < len(keys) <= FEW and {*map(type, keys)} == {str}:
            self.spend(CONTAINER + 2 * len(keys))
            self.parts.append(_row_of_texts(keys))
        else:
            self.spend(len(keys))
            self._keyed(tag.DICT, keys, depth)
        if held:
            deeper = self.deeper(depth)
            for _, value in held:
                self.write(value, deeper)

    def _slice(self, value: slice, depth: int) -> None:
        self._three(tag.SLICE, value, depth)

    def _range(self, value: range, depth: int) -> None:
        try:
            self.spend(len(value))
        except OverflowError:
            raise TooLarge("a range must not be that long") from None
        self._three(tag.RANGE, value, depth)

    def _three(self, mark: bytes, value: Any, depth: int) -> None:
        self.spend(3)
        self.parts.append(mark)
        deeper = self.deeper(depth)
        for part in (value.start, value.stop, value.step):
            self.write(part, deeper)

    # ---- arrays, tensors and generators

    def _array(self, value: np.ndarray, depth: int) -> None:
        if type(value) is not np.ndarray:
            value = np.ndarray.view(value, np.ndarray)
        self.spend(CONTAINER)
        self.parts.append(tag.ARRAY)
        self.parts += write_array(value, self)

    def _plain_array(self, value: np.ndarray, depth: int) -> None:
        """Append an array of the base type itself, as most are."""
        before = self.seen.get(id(value))
        if before is not None:
            self._write_again(before)
        elif carried(value.dtype.str) is None:
            self._write_other(value, depth)
        else:
            size = self.array_bytes
            self._array(value, depth)
            cost = CONTAINER, size - self.array_bytes
            self.seen[id(value)] = value, len(self.seen), cost

    def _tensor(self, value: Any, depth: int) -> None:
        name, flags, raw, grad = tensor_parts(value)
        self.spend(MACHINE)
        self.put_text(tag.TENSOR, name)
        self.parts.append(bytes((flags,)))
        self.parts += write_array(raw, self)
        if grad is not None:
            self.spend(1)
            self.write(grad, self.deeper(depth))

    def _generator(self, value: np.random.Generator, depth: int) -> None:
        self.spend(MACHINE + 1)
        self.parts.append(tag.GENERATOR)
        self.write(generator_state(value), self.deeper(depth))


@lru_cache(maxsize=256)
def _row_of_texts(keys: tuple[str, ...]) -> bytes:
    """Return a dict's keys as bytes; the same few come again and again."""
    pen = Pen(DEFAULT_LIMITS)
    for key in keys:
        pen.put_text(tag.STR, key)
    row = b"".join(pen.parts)
    return LENGTH(tag.RECORD, len(row)) + row


def _as_row(held: tuple) -> tuple[bytes, bytes]:
    """Return numbers of one kind as bytes, or that they are mixed."""
    kinds = set(map(type, held))
    if len(kinds) == 1:
        if float in kinds:
            return tag.FLOATS, struct.pack(f"<{len(held)}d", *held)
        if int in kinds and -(1 << 63) <= min(held) <= max(held) < 1 << 63:
            return tag.INTS, struct.pack(f"<{len(held)}q", *held)
    return tag.MIXED, b""


def _is_record(kind: type) -> bool:
    """Whether tuples of this type are those of a library, with names."""
    lib = torch()
    named = hasattr(kind, "_fields") or hasattr(kind, "n_fields")
    return named or (lib is not None and kind is lib.Size)


def _crosses(base: type, value: Any) -> bool:
    """Whether this array or generator is one of those that can cross."""
    if base is np.ndarray:
        return carried(_DTYPE(value).str) is not None
    return base is not np.random.Generator or is_known(value)


_HOLDERS: dict[type, Callable[[Writer, Any, int], None]] = {
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
    np.random.Generator: Writer._generator,
}
# The holders of what comes most often, of exactly these types.
_USUAL: dict[type, Callable[[Writer, Any, int], None]] = {
    np.ndarray: Writer._plain_array,
    tuple: Writer._tuple,
}
_KEY_HOLDERS = frozenset({tuple, frozenset})
# What the receiver may change: written twice, it is one object there, too.
# (So are tensors.)
_SHARED = frozenset(
    {*(list, dict, OrderedDict, defaultdict, Counter, set)}
    | {np.ndarray, np.random.Generator}
)
