"""A signature that a student's function presents, as text, read safely."""

from __future__ import annotations

import ast
import inspect

ANY = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)


def signature(text: str | None) -> inspect.Signature:
    """Return the signature that a text spells, without running any of it.

    A default that is no literal becomes an ellipsis; a text that cannot
    be read is taken as ``(*args, **kwargs)``.

    Examples
    --------
    >>> signature("(q, k, *, scale=1.0, mask=make())")
    <Signature (q, k, *, scale=1.0, mask=Ellipsis)>
    """
    try:
        spelled = ast.parse(f"def f{(text or '')[:10_000]}: ...").body[0]
        assert isinstance(spelled, ast.FunctionDef)
        return inspect.Signature(_parameters(spelled.args))
    except (SyntaxError, ValueError, AssertionError, RecursionError):
        return ANY


def _parameters(args: ast.arguments) -> list[inspect.Parameter]:
    kinds = inspect.Parameter
    found = []
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + args.defaults
    for place, (arg, default) in enumerate(zip(plain, defaults, strict=True)):
        only = place < len(args.posonlyargs)
        kind = kinds.POSITIONAL_ONLY if only else kinds.POSITIONAL_OR_KEYWORD
        found.append(kinds(arg.arg, kind, default=_default(default)))
    if args.vararg:
        found.append(kinds(args.vararg.arg, kinds.VAR_POSITIONAL))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(
            kinds(arg.arg, kinds.KEYWORD_ONLY, default=_default(default))
        )
    if args.kwarg:
        found.append(kinds(args.kwarg.arg, kinds.VAR_KEYWORD))
    return found


def _default(node: ast.expr | None) -> object:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...
