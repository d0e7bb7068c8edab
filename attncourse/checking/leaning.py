"""Does an answer call a package that is not there when it is graded?"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any

LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}


def leans_on(answer: Any, package: str) -> bool:
    """Tell whether a function reaches a package, by a look at its code.

    Followed are the functions of the student's that it uses. What is
    computed, such as an import of a name in a variable, is not seen.

    Examples
    --------
    >>> leans_on(lambda values: values + 1, "numpy")
    False
    >>> import numpy as np
    >>> leans_on(lambda values: np.exp(values), "numpy")
    True
    """
    waiting, seen = [answer], set()
    while waiting:
        function = waiting.pop()
        code = getattr(function, "__code__", None)
        if not isinstance(code, types.CodeType) or code in seen:
            continue
        seen.add(code)
        for name, value in _reached(function, code):
            if _within(name, package) or _within(_home(value), package):
                return True
            waiting.append(value)
    return False


def _reached(
    function: Callable, code: types.CodeType
) -> Iterator[tuple[str, Any]]:
    """Yield what the code names: (module, None) or ("", a value)."""
    names = getattr(function, "__globals__", {})
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield "", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    codes = [code]
    while codes:
        each = codes.pop()
        codes += [c for c in each.co_consts if isinstance(c, types.CodeType)]
        for step in dis.get_instructions(each):
            if step.opname == "IMPORT_NAME":
                yield str(step.argval), None
            elif step.opname in LOADS and step.argval in names:
                yield "", names[step.argval]


def _home(value: Any) -> str:
    """Return the module that a value is, or that it comes from."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    home = getattr(value, "__module__", None)
    return home if isinstance(home, str) else ""


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
