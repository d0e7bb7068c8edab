"""What is left of a cell that must not run again: its definitions."""

from __future__ import annotations

import ast

from attncourse.grading.syntax import tree, without_magics

DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTING = (ast.Import, ast.ImportFrom)


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
    kept = [""] * len(lines)
    for node in module.body if module else ():
        if not _harmless(node, imports):
            continue
        first = min(
            [node.lineno]
            + [each.lineno for each in getattr(node, "decorator_list", ())]
        )
        last = node.end_lineno or first
        if _shared(module, node):
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


def _shared(module: ast.Module | None, node: ast.stmt) -> bool:
    """Tell whether a statement shares its line with another."""
    return any(
        other is not node
        and other.lineno <= (node.end_lineno or node.lineno)
        and node.lineno <= (other.end_lineno or other.lineno)
        for other in (module.body if module else ())
    )
