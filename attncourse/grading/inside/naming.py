"""Functions and classes of libraries, which cross by their names."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from .wire import Handle, WireError

# Pure functions and types; nothing in them reads a file or an attribute.
LIBRARIES = ("builtins", "math", "operator", "numpy", "torch")
NOT = frozenset(
    f"builtins.{name}"
    for name in (
        *("eval", "exec", "compile", "open", "input", "print", "globals"),
        *("locals", "vars", "getattr", "setattr", "delattr", "__import__"),
        *("breakpoint", "dir", "help", "memoryview", "type"),
    )
)


def named(value: Any) -> Handle | None:
    """Return the handle of a library's function or class, if it is one.

    Only what is found again under its own name counts, so that a function
    that merely claims a name is not taken for the library's.
    """
    module = getattr(value, "__module__", None)
    name = getattr(value, "__name__", None)
    if type(name) is not str:
        return None
    full = _usual(module if type(module) is str else "", name, value)
    if full is None or full in NOT:
        return None
    kind = "class" if isinstance(value, type) else "function"
    return Handle(0, kind, full)


def _usual(module: str, name: str, value: Any) -> str | None:
    """Return the public place at which the value is found."""
    for place in (module, module.partition(".")[0], *LIBRARIES):
        home = sys.modules.get(place)
        if (
            place.partition(".")[0] in LIBRARIES
            and home is not None
            and vars(home).get(name) is value
        ):
            return f"{place}.{name}"
    return None


def found(full: str) -> Any:
    """Return what a library calls by this name."""
    place, _, name = full.rpartition(".")
    home = sys.modules.get(place)
    known = place.partition(".")[0] in LIBRARIES and full not in NOT
    if not known or home is None or name not in vars(home):
        raise WireError(f"no library here knows the name {full!r}")
    return vars(home)[name]


def signature(value: Any) -> str | None:
    """Return a callable's signature as text."""
    if not callable(value):
        return None
    return str(inspect.signature(value))
