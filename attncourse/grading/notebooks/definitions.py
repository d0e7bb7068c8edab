"""What is left of a cell that must not run again: its definitions."""

from __future__ import annotations

import ast
import functools
from collections import Counter

from attncourse.grading.notebooks.syntax import tree, without_magics

DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTING = (ast.Import, ast.ImportFrom)


@functools.lru_cache(maxsize=64)
def definitions(source: str, *, imports: bool = True) -> str:
    r"""Return a cell's definitions, every line in its place.

    Those are top-level functions and classes, assignments of literals
    and, unless one of them is the culprit, imports.

    Examples
    --------
    >>> definitions("def f():\n    return 1\nwhile True: pass\nx = 2")
    'def f():\n    return 1\n\nx = 2'
    """
    module = tree(source)
    lines = without_magics(source).split("\n")
    body = module.body if module else []
    taken = Counter(line for node in body for line in _lines(node))
    kept = [""] * len(lines)
    for node in body:
        if not _harmless(node, imports):
            continue
        first = min(
            [node.lineno]
            + [each.lineno for each in getattr(node, "decorator_list", ())]
        )
        last = node.end_lineno or first
        if any(taken[line] > 1 for line in _lines(node)):
            kept[node.lineno - 1] += ast.unparse(node) + "; "
        else:
            kept[first - 1 : last] = lines[first - 1 : last]
    return "\n".join(kept)


def _harmless(node: ast.stmt, imports: bool) -> bool:
    if isinstance(node, DEFINING):
        return True
    if isinstance(node, IMPORTING):
        return imports
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or value is None:
        return False
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(isinstance(target, ast.Name) for target in targets)


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
