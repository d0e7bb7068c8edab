"""Copy a function so that it remembers nothing of an earlier call."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any

import numpy as np

# By these a function reaches a variable that its code does not mention.
BY_NAME = {"eval", "exec", "get_ipython", "globals", "vars"}


def fresh(function: Callable) -> Callable:
    """Return a copy of a function that shares no state with it.

    The variables that it can reach, its defaults and its attributes are
    copied, so that a call cannot remember the one before. What stands for a
    function of another process makes its own copy, by ``__fresh__``.
    """
    copied = getattr(type(function), "__fresh__", None)
    if copied is not None:
        return copied(function)
    if not isinstance(function, types.FunctionType):
        return function
    own = function.__globals__
    namespace = dict(own)
    # A notebook holds much that would take long to copy.
    for name in _mentioned(function) & own.keys():
        namespace[name] = _fresh_value(own[name], own, namespace)
    return _rebound(function, namespace)


def _mentioned(function: types.FunctionType) -> set[str]:
    """Return the names in a function's code and in what that calls."""
    own = function.__globals__
    names: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [
            each for each in code.co_consts if isinstance(each, types.CodeType)
        ]
        found = [own.get(name) for name in set(code.co_names) - names]
        codes += [
            each.__code__
            for each in found
            if isinstance(each, types.FunctionType)
        ]
        names.update(code.co_names)
    if names & BY_NAME:
        names |= own.keys()
    return names - {"__builtins__"}


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
