"""A wrong function as an edit of the right one.

Because a misconception is a replacement in the reference's source, two of
them compose where they touch different places, and a reader sees in one
line what is wrong.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Callable

Edit = tuple[str, str]


class EditError(ValueError):
    """The edits do not fit the source or overlap one another."""


def edited(function: Callable, *edits: Edit) -> Callable:
    """Return `function` with each (old, new) replaced in its body.

    Each `old` must occur exactly once in the body, docstring excluded,
    and edits must not overlap.

    Examples
    --------
    >>> from attncourse.shapes import count
    >>> edited(count, ("return int(value)", "return -int(value)"))("n", 4)
    -4
    """
    return _edited(function, tuple(edits))


@functools.lru_cache(maxsize=4096)
def _edited(function: Callable, edits: tuple[Edit, ...]) -> Callable:
    source, start = body_of(function)
    spans = sorted(_span(source, start, edit) for edit in edits)
    for (_, end, _), (begin, _, old) in itertools.pairwise(spans):
        if begin < end:
            raise EditError(f"edits must not overlap: {old!r} does")
    for begin, end, new in reversed(spans):
        source = source[:begin] + new + source[end:]
    namespace = dict(function.__globals__)
    code = compile(source, f"<edit of {function.__name__}>", "exec")
    exec(code, namespace)
    return namespace[function.__name__]


def _span(source: str, start: int, edit: Edit) -> tuple[int, int, str]:
    old, new = edit
    found = source.count(old, start)
    if found != 1:
        raise EditError(
            f"an edit's text must occur exactly once: {old!r} occurs "
            f"{found} times"
        )
    begin = source.index(old, start)
    return begin, begin + len(old), new


@functools.lru_cache(maxsize=512)
def body_of(function: Callable) -> tuple[str, int]:
    """Return a function's source and where its body starts in it.

    The body starts after the docstring.
    """
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    first = definition.body[0]
    has_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
        and len(definition.body) > 1
    )
    line = (definition.body[1] if has_docstring else first).lineno
    start = sum(
        len(text) for text in source.splitlines(keepends=True)[: line - 1]
    )
    return source, start


def signature_and_docstring(function: Callable) -> str:
    """Return the part of a function's source that a student is given."""
    source, start = body_of(function)
    return source[:start].rstrip("\n")


def body(function: Callable) -> str:
    """Return the part of a function's source that a student writes."""
    source, start = body_of(function)
    return source[start:].rstrip("\n")
