"""Copy a function so that it remembers nothing of an earlier call."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import numpy as np


def fresh(function: Callable) -> Callable:
    """Return a copy of a function that shares no state with it.

    Its module's variables, its defaults and its attributes are copied,
    so that a call cannot remember the one before. What stands for a
    function of another process makes its own copy, by ``__fresh__``.
    """
    copied = getattr(type(function), "__fresh__", None)
    if copied is not None:
        return copied(function)
    if not isinstance(function, types.FunctionType):
        return function
    own = function.__globals__
    namespace: dict[str, Any] = {}
    for name, value in own.items():
        # The built-ins are Python's own and long to copy.
        namespace[name] = (
            value
            if name == "__builtins__"
            else _fresh_value(value, own, namespace)
        )
    return _rebound(function, namespace)


def _fresh_value(value: Any, own: dict, namespace: dict) -> Any:
    if isinstance(value, types.FunctionType) and value.__globals__ is own:
        return _rebound(value, namespace)
    if isinstance(
        value, (dict, list, set, bytearray, np.ndarray, np.random.Generator)
    ):
        try:
            return copy.deepcopy(value)
        except Exception:  # what cannot be copied is shared
            return value
    return value


def _rebound(function: types.FunctionType, namespace: dict) -> Callable:
    rebound = types.FunctionType(
        function.__code__,
        namespace,
        function.__name__,
        copy.deepcopy(function.__defaults__),
        function.__closure__,
    )
    rebound.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__)
    rebound.__dict__.update(copy.deepcopy(function.__dict__))
    return rebound
