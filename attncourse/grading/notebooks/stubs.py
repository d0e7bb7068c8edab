"""Definitions that nobody has written yet."""

from __future__ import annotations

import ast
import functools

from attncourse.grading.notebooks.syntax import tree

NOT_YET = "NotImplementedError"


@functools.lru_cache(maxsize=256)
def unwritten(source: str, names: frozenset[str]) -> bool:
    r"""Tell whether a cell defines these names as stubs only.

    Examples
    --------
    >>> names = frozenset({"f"})
    >>> unwritten("def f(x):\n    raise NotImplementedError", names)
    True
    >>> unwritten("def f(x):\n    return x", names)
    False
    """
    module = tree(source)
    found = [
        node
        for node in (module.body if module else ())
        if isinstance(node, _DEFINING) and node.name in names
    ]
    return bool(found) and all(map(_is_stub, found))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINING = (*_FUNCTIONS, ast.ClassDef)


def _is_stub(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return all(
            _idle(each) or (isinstance(each, _FUNCTIONS) and _is_stub(each))
            for each in node.body
        )
    return isinstance(node, _FUNCTIONS) and all(
        _idle(each) or _refuses(each) for each in node.body
    )


def _idle(node: ast.stmt) -> bool:
    """Tell whether a statement is a docstring, ``...`` or ``pass``."""
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _refuses(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Raise):
        return False
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == NOT_YET
