"""A copy of a student's function that remembers no earlier call.

A test that shows a student's function several candidates wants each to be
judged by itself. The copy is made in the student's process, as well as
that can be had there: it is fair to the honest, and no protection.
"""

from __future__ import annotations

import contextlib
import copy
import types
from collections.abc import Callable
from typing import Any

import numpy as np

KINDS = (dict, list, set, bytearray, np.ndarray, np.random.Generator)
LOOKS_UP = frozenset({"globals", "vars", "eval", "exec", "get_ipython"})
# Of the shell: they grow with every cell, and no answer is made of them.
SHELL = frozenset({"In", "Out"})


def forgetful(function: Any) -> Any:
    """Return a copy of a function that shares no state with it.

    Copied are the data that it can reach by name, its defaults and its
    attributes. What is no function, or cannot be copied, stays itself.
    """
    if not isinstance(function, types.FunctionType):
        return function
    own = function.__globals__
    names = dict(own)
    try:
        for name in _reached(function) & own.keys():
            _renew(names, name, own)
        return _rebound(function, names)
    except Exception:
        return function


def _renew(names: dict[str, Any], name: str, own: dict[str, Any]) -> None:
    """Replace what has this name by a copy, where it can be changed."""
    value = own[name]
    if isinstance(value, types.FunctionType) and value.__globals__ is own:
        names[name] = _rebound(value, names)
    elif (
        isinstance(value, KINDS)
        and name not in SHELL
        and not name.startswith("_")
    ):
        with contextlib.suppress(Exception):
            names[name] = copy.deepcopy(value)


def _reached(function: types.FunctionType) -> set[str]:
    """Return the names that a function's code, and what it calls, mention.

    Large data that it never mentions would take long to copy.
    """
    own = function.__globals__
    reached: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [
            each for each in code.co_consts if isinstance(each, types.CodeType)
        ]
        for name in set(code.co_names) - reached:
            reached.add(name)
            value = own.get(name)
            if isinstance(value, types.FunctionType):
                codes.append(value.__code__)
    return set(own) if reached & LOOKS_UP else reached


def _rebound(function: types.FunctionType, names: dict[str, Any]) -> Callable:
    """Return a function that looks up its names elsewhere."""
    made = types.FunctionType(
        function.__code__,
        names,
        function.__name__,
        copy.deepcopy(function.__defaults__),
        function.__closure__,
    )
    made.__kwdefaults__ = copy.deepcopy(function.__kwdefaults__)
    made.__dict__.update(copy.deepcopy(function.__dict__))
    return made
