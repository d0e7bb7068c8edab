"""Cells of plain Python as code, compiled faster than IPython compiles.

IPython makes a syntax tree of a cell and code of each statement. Here a
cell is cut before its last statement, and both parts are compiled as they
stand. What is cut wrongly does not compile, and is left to IPython.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any

# How no line starts that starts a statement.
_INSIDE = re.compile(r"[ \t#)\]}]|(else|elif|except|finally)\b")


def compiled(
    source: str, filename: str, compiler: Callable[..., Any]
) -> tuple[CodeType, ...] | None:
    """Return a cell as code, or None if IPython must look at it.

    The last one displays its value, if it is an expression. `compiler` is
    called as ``compiler(source, filename, mode)``.
    """
    # What a cell imports from the future, the compiler keeps for the next.
    if "__future__" in source or "\r" in source or "\f" in source:
        return None
    lines = source.split("\n")
    cut = _last_statement(lines)
    if cut is None:
        return None
    head = "\n".join([*lines[:cut], ""]) if cut else ""
    tail = "\n" * cut + "\n".join([*lines[cut:], ""])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            codes = _both(head, tail, filename, compiler)
        except Exception:
            return None
    # IPython shall say what is to be warned of, and say it once.
    return None if caught else codes


def _last_statement(lines: list[str]) -> int | None:
    """Return the line that starts the last statement, as it seems."""
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number]
        if not line or _INSIDE.match(line):
            continue
        if line[0] == "*":  # displayed, but no expression by itself
            return None
        while number and lines[number - 1].startswith("@"):
            number -= 1
        return number
    return None


def _both(
    head: str, tail: str, filename: str, compiler: Callable[..., Any]
) -> tuple[CodeType, ...] | None:
    before = (compiler(head, filename, "exec"),) if head else ()
    shown = _is_expression(tail, filename, compiler)
    if not shown and ";" in tail:  # several statements, as it seems
        return None
    mode = "single" if shown else "exec"
    return (*before, compiler(tail, filename, mode))


def _is_expression(
    source: str, filename: str, compiler: Callable[..., Any]
) -> bool:
    try:
        compiler(source, filename, "eval")
    except SyntaxError:
        return False
    return True
