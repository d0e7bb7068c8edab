"""What crosses besides plain data, and what a message may cost."""

from __future__ import annotations

import builtins
from dataclasses import dataclass


class WireError(Exception):
    """A value that cannot cross, or bytes that are no message."""


class TooLarge(WireError):
    """A value that would cross, were it smaller."""


NAME_CHARS = 200
TEXT_CHARS = 20_000


@dataclass(frozen=True, kw_only=True)
class WireLimits:
    """What one message may cost its receiver.

    `bytes` bounds the message's length and, separately, the memory that
    its arrays take when they are laid out. `entries` bounds the number of
    values: what takes more memory counts as several, and what is mentioned
    again counts again.
    """

    bytes: int = 1 << 26
    entries: int = 1 << 20
    depth: int = 16


DEFAULT_LIMITS = WireLimits()
INT_BITS = 4096
# What containers, arrays and handles count as, and tensors and generators.
CONTAINER, MACHINE = 8, 64


@dataclass(frozen=True)
class Handle:
    """Stands for an object that stays on the other side.

    `kind` is ``function``, ``class``, ``object`` or ``module``; `text` is
    what the sender tells of it.
    """

    id: int
    kind: str = "object"
    name: str = ""
    text: str = ""


HANDLE_KINDS = ("function", "class", "object", "module")


@dataclass(frozen=True)
class Callback:
    """Stands for a function of the judge that the sandbox may call."""

    id: int
    name: str = ""


@dataclass(frozen=True)
class Raised:
    """An exception: its own name, and its nearest built-in type's."""

    name: str
    mro_builtin: str = "Exception"
    message: str = ""
    line: int | None = None

    @property
    def type(self) -> type[BaseException]:
        """The nearest built-in type, which may be `SystemExit`."""
        return BUILTIN_ERRORS[self.mro_builtin]

    @classmethod
    def of(cls, error: BaseException, line: int | None = None) -> Raised:
        """Tell of an exception, however it misbehaves when asked."""
        kinds = mro(builtins.type(error))
        known = {id(kind) for kind in BUILTIN_ERRORS.values()}
        nearest = next(kind for kind in kinds if id(kind) in known)
        try:
            text = str.__getitem__(str(error), slice(TEXT_CHARS))
        except BaseException:
            text = "(an exception whose text cannot be read)"
        return cls(type_name(kinds[0]), nearest.__name__, readable(text), line)


BUILTIN_ERRORS: dict[str, type[BaseException]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and kind.__name__ == name
}

_MRO = type.__dict__["__mro__"]
_NAME = type.__dict__["__name__"]


def mro(kind: type) -> tuple[type, ...]:
    """Return a type's bases as the interpreter knows them."""
    return _MRO.__get__(kind)


def type_name(kind: type) -> str:
    """Return a type's name, whatever its metaclass says."""
    return readable(_NAME.__get__(kind)[:NAME_CHARS])


def readable(text: str) -> str:
    """Return a text of valid Unicode, with escapes for what is not."""
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")


class Budget:
    """What is left of the limits while a message is written or read.

    Who holds values pays for them: a container for its items, too.
    """

    def __init__(self, limits: WireLimits) -> None:
        self.limits = limits
        self.depth = limits.depth
        self.entries = limits.entries - 1
        self.array_bytes = limits.bytes

    def spend(self, entries: int) -> None:
        """Take that many values off."""
        self.entries -= entries
        if self.entries < 0:
            raise TooLarge(
                f"a message holds at most {self.limits.entries} values"
            )

    def spend_array(self, size: int) -> None:
        """Take an array's memory off, before it is allocated."""
        self.array_bytes -= size
        if self.array_bytes < 0:
            raise TooLarge(
                "a message's arrays hold at most"
                f" {self.limits.bytes} bytes: got {size} more"
            )

    def deeper(self, depth: int) -> int:
        """Return the depth of what a value at this depth holds."""
        if depth >= self.depth:
            raise WireError(f"values nest at most {self.depth} deep")
        return depth + 1
