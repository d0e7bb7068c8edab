"""The objects that stay in the child, and how they are spoken of.

An object that cannot cross by value is sent as a numbered handle. The
handle 0 goes the other way: it names something of a library, such as
``numpy.exp``, that is the same on both sides.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import naming
from .wire import Callback, Handle, WireError

FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    functools.partial,
    functools._lru_cache_wrapper,
    np.ufunc,
    np.vectorize,
)
TEXT_CHARS = 10_000
MODULE = "torch.nn.Module"


class Table:
    """Gives objects numbers, and keeps them until they are dropped.

    `callback(number, name)` makes the function that stands for one of the
    judge's.
    """

    def __init__(self, callback: Callable[[int, str], Any]) -> None:
        self._callback = callback
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0

    def handle(self, value: Any) -> Handle | Callback:
        """Return what stands for an object; the same each time."""
        own = getattr(value, "_callback_of_the_judge", None)
        if type(own) is Callback:
            return own
        number = self._numbers.get(id(value))
        if number is None:
            self._last = number = self._last + 1
            self._objects[number] = value
            self._numbers[id(value)] = number
        return Handle(number, kind(value), name_of(value), mark(value))

    def resolve(self, stand_in: Handle | Callback) -> Any:
        """Return what a handle or a callback stands for."""
        if isinstance(stand_in, Callback):
            return self._callback(stand_in.id, stand_in.name)
        if stand_in.id == 0:
            return naming.found(stand_in.name)
        if stand_in.id not in self._objects:
            raise WireError(f"no object has the number {stand_in.id}")
        return self._objects[stand_in.id]

    def drop(self, numbers: list[int]) -> None:
        """Forget objects."""
        for number in numbers:
            if number in self._objects:
                del self._numbers[id(self._objects.pop(number))]


def kind(value: Any) -> str:
    """Return the kind of an object that does not cross by value."""
    if isinstance(value, type):
        return "class"
    if isinstance(value, FUNCTIONS):
        return "function"
    return "module" if isinstance(value, types.ModuleType) else "object"


def name_of(value: Any) -> str:
    """Return the name of a function, class or module, or of the type."""
    if kind(value) == "object":
        return str(type(value).__name__)
    try:
        name = value.__name__
    except Exception:
        name = type(value).__name__
    return name if type(name) is str else ""


def mark(value: Any) -> str:
    """Say that an object is a module of torch, or a class of such."""
    torch = sys.modules.get("torch")
    if torch is None:
        return ""
    whose = value if isinstance(value, type) else type(value)
    return MODULE if issubclass(whose, torch.nn.Module) else ""


def is_data(value: Any) -> bool:
    """Tell whether a value is likely to cross by value."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return True
    return value is None or isinstance(
        value,
        (
            *(bool, int, float, complex, str, bytes, list, tuple, dict, set),
            *(frozenset, slice, range, np.ndarray, np.generic),
        ),
    )


def describe(value: Any) -> dict[str, Any]:
    """Return how an object presents itself, as texts."""
    return {
        "name": name_of(value),
        "doc": _text(lambda: value.__doc__),
        "signature": _text(lambda: naming.signature(value)),
        "kind": kind(value),
    }


def _text(ask: Callable[[], Any]) -> str | None:
    try:
        text = ask()
    except Exception:
        return None
    return text[:TEXT_CHARS] if type(text) is str else None
