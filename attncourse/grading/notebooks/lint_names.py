"""What the names in a test stand for: functions, classes, results."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field


@dataclass
class Seen:
    """What the names of a cell are: functions, classes, their objects.

    `results` are names that a student's function or object gave.
    """

    functions: frozenset[str]
    classes: frozenset[str]
    objects: set[str] = field(default_factory=set)
    results: set[str] = field(default_factory=set)

    @property
    def things(self) -> set[str]:
        """Whatever is a proxy in the judge."""
        return {*self.functions, *self.classes, *self.objects}

    def learn(self, module: ast.Module) -> None:
        """Follow what is assigned from calls of the student's names."""
        for node in ast.walk(module):
            if not isinstance(node, ast.Assign) or not isinstance(
                node.value, ast.Call
            ):
                continue
            called = root_of(node.value.func)
            whole = isinstance(node.value.func, ast.Name)
            for target in node.targets:
                for each in ast.walk(target):
                    if isinstance(each, ast.Name):
                        if called in self.classes and whole:
                            self.objects.add(each.id)
                        elif called in self.things:
                            self.results.add(each.id)

    def thing(self, node: ast.AST | None) -> str | None:
        """Return the name of a proxy that stands bare, or None."""
        if isinstance(node, ast.Name) and node.id in self.things:
            return node.id
        return None

    def gave(self, node: ast.AST) -> bool:
        """Tell whether an expression came from the student's process."""
        if isinstance(node, ast.Call):
            return root_of(node.func) in self.things
        return isinstance(node, ast.Name) and node.id in self.results


def root_of(node: ast.AST) -> str | None:
    """Return the name at the left end of a chain of lookups and calls."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def last_of(node: ast.AST) -> str | None:
    """Return the name at the right end of a chain."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None
