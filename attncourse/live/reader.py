"""Run the reader's text, and say in their own lines where it stopped."""

from __future__ import annotations

import ast
import linecache
import sys
import traceback
from typing import Any

import numpy as np

# What the first cell of every unit's notebook says.
SETUP = "import numpy as np\n\nfrom attncourse import check\n"
FILE = "<your text>"
LONGEST = 300
LONGEST_VALUE = 4_000


class Stopped(Exception):
    """The reader's text stopped with an error; `told` is what to show."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error

    def told(self) -> dict[str, Any]:
        """Return the error's name and message, and the reader's line."""
        error = self.error
        return {
            "name": type(error).__name__,
            "message": explained(type(error).__name__, _message(error)),
            "line": _line(error),
        }


def define(source: str, name: str) -> Any:
    """Return what the reader's text calls `name`.

    Raises
    ------
    Stopped
        If the text cannot be run to its end.
    KeyError
        If it does not define the name.
    """
    namespace = _namespace()
    before = namespace.get(name)
    _execute(_parsed(source), namespace)
    if namespace.get(name) is before:
        raise KeyError(name)
    return namespace[name]


def evaluate(source: str) -> str:
    """Run the reader's text; return its last expression's value as text.

    As in a notebook there is no text for None.
    """
    namespace = _namespace()
    tree = _parsed(source)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        _execute(tree, namespace)
        return ""
    tree.body.pop()
    _execute(tree, namespace)
    try:
        code = compile(ast.Expression(last.value), FILE, "eval")
        value = eval(code, namespace)
        return "" if value is None else _cut(repr(value), LONGEST_VALUE)
    except BaseException as error:
        raise Stopped(error) from None


def explained(name: str, message: str) -> str:
    """Return an error's message, and what is different in the page.

    Examples
    --------
    >>> explained("ValueError", "too many")
    'too many'
    """
    version = np.__version__
    if name == "EOFError":
        return f"{message} (nobody is there to answer input())"
    if sys.platform == "emscripten" and "Module" in name:
        return f"{message} (the page has Python and NumPy {version} only)"
    if name == "AttributeError" and "numpy" in message and version < "2":
        return f"{message} (the page has NumPy {version})"
    return message


def _namespace() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(SETUP, namespace)
    return namespace


def _parsed(source: str) -> ast.Module:
    # Tracebacks and `inspect` find the reader's lines here.
    lines = source.splitlines(keepends=True)
    linecache.cache[FILE] = (len(source), None, lines, FILE)
    try:
        return ast.parse(source, FILE)
    except BaseException as error:
        raise Stopped(error) from None


def _execute(tree: ast.Module, namespace: dict[str, Any]) -> None:
    try:
        exec(compile(tree, FILE, "exec"), namespace)
    except BaseException as error:
        raise Stopped(error) from None


def _line(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == FILE
    ]
    return lines[-1] if lines else None


def _message(error: BaseException) -> str:
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # an error's own __str__ may fail
        return ""
    return _cut(said, LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
