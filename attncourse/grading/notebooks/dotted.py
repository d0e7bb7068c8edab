"""Which dotted names a piece of code uses, through aliases and detours.

``from numpy import linalg as la; la.inv`` is ``numpy.linalg.inv``, and so is
``getattr(np, "lin" + "alg").inv``. What is computed while the code runs is
not known here; it is told as such.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from attncourse.grading.notebooks.syntax import tree

IMPORTERS = {
    "__import__",
    "importlib.import_module",
    "importlib.__import__",
    "builtins.__import__",
}
RUNNERS = {"exec", "eval", "compile"}
COMPUTED = "a name that is computed"
TEXT = "text that is executed"
LOOKUPS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
DEPTH = 30
# How many things a name may stand for; hostile code would let it be many.
MOST = 8


@dataclass
class Aliases:
    """What names stand for; `stars` are modules imported whole."""

    known: dict[str, set[str]] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)

    def add(self, name: str, dotted: str) -> None:
        """Let a name stand for this, too, within reason."""
        found = self.known.setdefault(name, set())
        if name != dotted and len(found) < MOST and len(dotted) < 200:
            found.add(dotted)

    def learn(self, node: ast.AST) -> None:
        """Take in the imports and the renamings anywhere in some code."""
        for each in ast.walk(node):
            if isinstance(each, ast.Import):
                for alias in each.names:
                    if alias.asname:
                        self.add(alias.asname, alias.name)
            elif isinstance(each, ast.ImportFrom) and each.module:
                for alias in each.names:
                    if alias.name == "*":
                        if len(self.stars) < MOST:
                            self.stars.add(each.module)
                    else:
                        self.add(
                            alias.asname or alias.name,
                            f"{each.module}.{alias.name}",
                        )
            elif isinstance(each, (ast.Assign, ast.NamedExpr)):
                self._renamed(each)

    def _renamed(self, node: ast.Assign | ast.NamedExpr) -> None:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target]
        )
        for target in targets:
            if isinstance(target, ast.Name):
                for dotted in self.resolve(node.value):
                    self.add(target.id, dotted)
            elif isinstance(target, ast.Tuple) and isinstance(
                node.value, ast.Tuple
            ):
                pairs = zip(target.elts, node.value.elts, strict=False)
                for one, value in pairs:
                    if isinstance(one, ast.Name):
                        for dotted in self.resolve(value):
                            self.add(one.id, dotted)

    def resolve(self, node: ast.AST, depth: int = 0) -> set[str]:
        """Return the dotted names that an expression may stand for."""
        if depth > DEPTH:
            return set()
        if isinstance(node, ast.Name):
            found = self.known.get(node.id)
            if found:
                return set(found)
            return {node.id} | {f"{star}.{node.id}" for star in self.stars}
        if isinstance(node, ast.NamedExpr):
            return self.resolve(node.value, depth + 1)
        if isinstance(node, ast.IfExp):
            return self.resolve(node.body, depth + 1) | self.resolve(
                node.orelse, depth + 1
            )
        inner = self._within(node, depth)
        if inner is None:
            return set()
        value, name = inner
        if name is None:
            return {f"{each}.{COMPUTED}" for each in value}
        return {f"{each}.{name}" if each else name for each in value}

    def _within(
        self, node: ast.AST, depth: int
    ) -> tuple[set[str], str | None] | None:
        """Return the owner and the name of what an expression fetches."""
        if isinstance(node, ast.Attribute):
            return self.resolve(node.value, depth + 1), node.attr
        if isinstance(node, ast.Subscript):
            return self._entry(node, depth)
        if not isinstance(node, ast.Call) or not node.args:
            return None
        called = self.resolve(node.func, depth + 1)
        if called & IMPORTERS:
            return {""}, constant(node.args[0]) or COMPUTED
        if "getattr" in called and len(node.args) > 1:
            owner = self.resolve(node.args[0], depth + 1)
            return owner, constant(node.args[1])
        return None

    def _entry(
        self, node: ast.Subscript, depth: int
    ) -> tuple[set[str], str | None] | None:
        """Look through ``vars(m)[..]``, ``m.__dict__[..]``, ``globals()``."""
        name, table = constant(node.slice), node.value
        if isinstance(table, ast.Attribute) and table.attr == "__dict__":
            return self.resolve(table.value, depth + 1), name
        if "sys.modules" in self.resolve(table, depth + 1):
            return {""}, name or COMPUTED
        if isinstance(table, ast.Call):
            called = self.resolve(table.func, depth + 1)
            if "vars" in called and table.args:
                return self.resolve(table.args[0], depth + 1), name
            if called & {"globals", "locals", "vars"} and name:
                known = self.known.get(name) or {name}
                return {""}, min(known)
        return None


@dataclass(frozen=True)
class Use:
    """A dotted name that stands in some line of code."""

    name: str
    line: int


def uses(node: ast.AST, aliases: Aliases, depth: int = 0) -> Iterator[Use]:
    """Yield every dotted name that some code may stand for."""
    for each in ast.walk(node):
        line = getattr(each, "lineno", 0)
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            module = getattr(each, "module", None)
            for alias in each.names:
                yield Use(".".join(filter(None, (module, alias.name))), line)
        elif isinstance(each, LOOKUPS) and not isinstance(
            getattr(each, "ctx", None), (ast.Store, ast.Del)
        ):
            for name in aliases.resolve(each):
                yield Use(name, line)
        if isinstance(each, ast.Call):
            yield from _executed(each, aliases, depth)


def _executed(node: ast.Call, aliases: Aliases, depth: int) -> Iterator[Use]:
    called = {
        name.removeprefix("builtins.") for name in aliases.resolve(node.func)
    }
    if not called & RUNNERS or not node.args:
        return
    text = constant(node.args[0])
    if text is None:
        yield Use(TEXT, node.lineno)
        return
    module = tree(text) if depth < 3 else None
    if module is not None:
        inner = Aliases(
            {key: set(value) for key, value in aliases.known.items()},
            set(aliases.stars),
        )
        inner.learn(module)
        for use in uses(module, inner, depth + 1):
            yield Use(use.name, node.lineno)


def constant(node: ast.AST, depth: int = 0) -> str | None:
    """Return the text that an expression of constants amounts to.

    Examples
    --------
    >>> constant(ast.parse("'lin' + 'alg'", mode="eval").body)
    'linalg'
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if depth > DEPTH:
        return None
    parts: list[ast.expr] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [node.left, node.right]
    elif isinstance(node, ast.JoinedStr):
        parts = node.values
    elif isinstance(node, ast.FormattedValue):
        parts = [node.value]
    if not parts:
        return None
    texts = [constant(part, depth + 1) for part in parts]
    return None if None in texts else "".join(filter(None, texts))
