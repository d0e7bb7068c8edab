"""The limited format in which values cross between judge and sandbox.

Plain data, NumPy arrays and torch tensors cross by value and arrive as
exact base types; what else there is stays on its side, and a `Handle` or
a `Callback` crosses in its stead. Whoever decodes trusts nothing: not the
lengths, not the types, not the numbers. Nothing here is ever pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .wire_decode import Reader
from .wire_encode import Writer
from .wire_kinds import (
    DEFAULT_LIMITS,
    Callback,
    Handle,
    Raised,
    TooLarge,
    WireError,
    WireLimits,
    type_name,
)

__all__ = [
    "Callback",
    "Encoded",
    "Handle",
    "Raised",
    "TooLarge",
    "WireError",
    "WireLimits",
    "decode",
    "encode",
    "pack",
]


@dataclass(frozen=True)
class Encoded:
    """A message, and the subclasses that were sent as their base type."""

    data: bytes
    subclasses: tuple[str, ...] = ()


def pack(
    value: Any,
    *,
    handle: Callable[[Any], Handle | Callback] | None = None,
    limit: int = DEFAULT_LIMITS.bytes,
) -> Encoded:
    """Return a value as bytes, and the names of subclasses in it.

    `handle(obj)` is asked for what is not plain data; it returns what is
    sent instead, or raises `WireError`. So does a message with cycles;
    one that is longer than `limit` bytes raises `TooLarge`.
    """
    with writing(value):
        writer = Writer(WireLimits(bytes=limit), handle)
        writer.write(value, 0)
        data = writer.joined()
    return Encoded(data, tuple(sorted(writer.subclasses)))


class writing:
    """Turns what goes wrong while a value is written into `WireError`."""

    def __init__(self, value: Any) -> None:
        self.kind = type(value)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        """Raise what stands for an error."""
        if error is None or isinstance(error, (WireError, MemoryError)):
            return
        if isinstance(error, (Exception, SystemExit)):
            raise WireError(
                f"a value of type {type_name(self.kind)} cannot cross:"
                f" reading it raised {type_name(type(error))}"
            ) from error


class reading:
    """Turns what goes wrong while a message is read into `WireError`."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        """Raise what stands for an error."""
        if error is None or isinstance(error, (WireError, MemoryError)):
            return
        if isinstance(error, Exception):
            raise WireError(
                f"a message cannot be read: {type(error).__name__}"
            ) from error


def encode(
    value: Any,
    *,
    handle: Callable[[Any], Handle | Callback] | None = None,
    limit: int = DEFAULT_LIMITS.bytes,
) -> bytes:
    """Return a value as bytes; see `pack`.

    >>> decode(encode({"scores": [0.5, 1.0], "shape": (2, 3)}))
    {'scores': [0.5, 1.0], 'shape': (2, 3)}
    """
    return pack(value, handle=handle, limit=limit).data


def decode(
    data: bytes,
    *,
    resolve: Callable[[Handle | Callback], Any] | None = None,
    limits: WireLimits = DEFAULT_LIMITS,
) -> Any:
    """Return the value of a message, made of exact base types.

    `resolve(stand_in)` says what to put for a `Handle` or a `Callback`;
    without it they arrive as they are. Anything wrong, and anything beyond
    `limits`, raises `WireError`.
    """
    with reading():
        reader = Reader(bytes(data), limits, resolve)
        reader.start()
        value = reader.read(0)
        reader.finish()
    return value
