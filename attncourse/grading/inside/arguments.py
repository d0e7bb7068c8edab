"""Messages with a call's arguments, and answers that bring them back.

So "in place" and "left as it was" are seen on both sides. Most functions
leave their arguments alone: then the answer says so in one byte, and
mentions by its place what the value shares with them. Whoever answers could
lie about it, as well as by sending the first bytes once more: it then earns
what a function does that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import wire_tags as tag
from .wire import reading, writing
from .wire_decode import Reader
from .wire_encode import Writer
from .wire_kinds import (
    DEFAULT_LIMITS,
    Callback,
    Handle,
    WireError,
    WireLimits,
)


class Arguments(NamedTuple):
    """Arguments that were sent or received: a tuple and a dict, or None.

    `raw` are their bytes. `seen` are the objects in them that can be
    mentioned again, by their places, with what each costs.
    """

    value: Any
    raw: bytes
    seen: list[Any]


class Packed(NamedTuple):
    """A message, its arguments, and names of subclasses in it."""

    data: bytes
    arguments: Arguments
    subclasses: tuple[str, ...]


def pack(
    given: Any,
    rest: dict[str, Any],
    *,
    handle: Callable[[Any], Handle | Callback] | None = None,
    limit: int = DEFAULT_LIMITS.bytes,
    before: Arguments | None = None,
) -> Packed:
    """Return a message as bytes.

    `given` are the arguments, `rest` is what else there is to say. In an
    answer `before` are the arguments as they came.
    """
    with writing(given):
        writer = Writer(WireLimits(bytes=limit), handle)
        writer.write(given, 0)
        raw = b"".join(writer.parts[1:])
        same = before is not None and raw == before.raw
        writer.parts[1:] = [tag.SAME if same else raw]
        writer.left += len(raw) * same
        seen = [
            (value, *(cost or ())) for value, _, cost in writer.seen.values()
        ]
        writer.write(rest, 0)
        data = writer.joined()
    names = tuple(sorted(writer.subclasses))
    return Packed(data, Arguments(given, raw, seen), names)


def unpack(
    data: bytes,
    *,
    resolve: Callable[[Handle | Callback], Any] | None = None,
    limits: WireLimits = DEFAULT_LIMITS,
    before: Arguments | None = None,
) -> tuple[Arguments, dict[str, Any]]:
    """Return a message's arguments, and what else it says.

    In an answer `before` are the arguments as they were sent; they are
    returned themselves if they are said to be the same.
    """
    with reading():
        reader = Reader(data, limits, resolve)
        reader.start()
        if before is not None and reader.next_is(tag.SAME):
            reader.seen = list(before.seen)
            arguments = before
        else:
            start = reader.at
            value = reader.read(0)
            raw = data[start : reader.at]
            arguments = Arguments(value, raw, reader.seen[:])
        rest = reader.read(0)
        reader.finish()
    if type(rest) is not dict:
        raise WireError("a message must be a dict")
    return arguments, rest
