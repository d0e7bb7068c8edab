"""Find the tests of a course that must change for judging from outside.

The judge holds proxies of what students define: calls and data cross, the
things themselves do not. A test that looks at a function, patches a name or
reads a student's file sees another process than it means.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass

from attncourse.grading.model import Plan, SourceCell
from attncourse.grading.notebooks.likeness import names
from attncourse.grading.notebooks.lint_names import Seen
from attncourse.grading.notebooks.lint_rules import RULES, SHELL
from attncourse.grading.notebooks.syntax import look, tree

JUDGED = ("test", "locked")
# What IPython binds beside Python's own names.
GIVEN = {*dir(builtins), "__name__", "__file__", "display", "exit", "quit"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something in a test that must change, and what to write instead.

    `line` counts from one in the cell's source, hidden parts included.
    """

    cell: str
    line: int
    rule: str
    says: str
    advice: str

    def __str__(self) -> str:
        """Return it in one line."""
        return (
            f"{self.cell}, line {self.line}: {self.says}; {self.advice} "
            f"[{self.rule}]"
        )


def check(plan: Plan) -> tuple[Finding, ...]:
    """Return what must change in a source notebook, in its order."""
    found: dict[Finding, None] = {}
    functions, classes = _students(plan)
    bound = frozenset().union(*(look(c.source).binds for c in plan.cells))
    for cell in plan.cells:
        if cell.kind not in JUDGED:
            continue
        for finding in _cell(cell, functions, classes):
            found[finding] = None
        if cell.kind == "test":
            for finding in _unbound(cell, bound, plan):
                found[finding] = None
    return tuple(found)


def _students(plan: Plan) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the functions and of the classes asked for."""
    functions: set[str] = set()
    classes: set[str] = set()
    for cell in plan.cells:
        if cell.cell_type != "code" or cell.kind not in ("answer", "written"):
            continue
        module = tree(cell.source)
        for node in module.body if module else ():
            if isinstance(node, ast.ClassDef):
                classes.add(node.name)
        functions |= look(cell.source).defines & names(cell)
    return frozenset(functions - classes), frozenset(classes)


def _cell(
    cell: SourceCell, functions: frozenset[str], classes: frozenset[str]
) -> Iterator[Finding]:
    name = str(cell.grade_id)
    for line, text in enumerate(cell.source.split("\n"), 1):
        if "AUTOTEST" in text and text.lstrip().startswith("#"):
            yield Finding(
                cell=name,
                line=line,
                rule="autotest",
                says="nbgrader has not yet written this test",
                advice="give the engine the notebook with the tests in it",
            )
        if text.lstrip().startswith(("%", "!")):
            yield _magic(name, line, text.split()[0])
    module = tree(cell.source)
    if module is None:
        yield Finding(
            cell=name,
            line=1,
            rule="syntax",
            says="this is no Python",
            advice="write a cell that the judge can run",
        )
        return
    if cell.kind != "test":
        functions = frozenset()
    seen = Seen(functions=functions, classes=classes)
    seen.learn(module)
    for node in _in_order(module):
        for rule in RULES:
            told = rule(node, seen)
            if told:
                yield Finding(
                    cell=name,
                    line=getattr(node, "lineno", 1),
                    rule=rule.__name__,
                    says=told[0],
                    advice=told[1],
                )


def _magic(cell: str, line: int, word: str) -> Finding:
    return Finding(
        cell=cell,
        line=line,
        rule="magic",
        says=f"{word} acts on the judge, not on the student's notebook",
        advice="write plain Python that calls the student's functions",
    )


def _unbound(
    cell: SourceCell, bound: frozenset[str], plan: Plan
) -> Iterator[Finding]:
    """Yield the names that no cell of the source ever binds."""
    module = tree(cell.source)
    if module is None or any(look(c.source).star for c in plan.cells):
        return
    known = bound | GIVEN | SHELL | _inner(module)
    for each in _in_order(module):
        if isinstance(each, ast.Name) and each.id not in known:
            known |= {each.id}
            yield Finding(
                cell=str(cell.grade_id),
                line=each.lineno,
                rule="unbound",
                says=f"no cell of the source binds {each.id!r}",
                advice="let an answer's solution bind what is asked for",
            )


def _inner(module: ast.Module) -> set[str]:
    """Return every name that is bound somewhere in a cell."""
    found: set[str | None] = set()
    for each in ast.walk(module):
        if isinstance(each, ast.arg):
            found.add(each.arg)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(
            each,
            (
                ast.FunctionDef,
                ast.AsyncFunctionDef,
                ast.ClassDef,
                ast.ExceptHandler,
            ),
        ):
            found.add(each.name)
        elif isinstance(each, (ast.Import, ast.ImportFrom)):
            for alias in each.names:
                found.add(alias.asname or alias.name.partition(".")[0])
    return {name for name in found if name}


def _in_order(module: ast.Module) -> list[ast.AST]:
    """Return all nodes, those of upper lines first."""
    return sorted(
        ast.walk(module),
        key=lambda node: (
            getattr(node, "lineno", 0),
            getattr(node, "col_offset", 0),
        ),
    )
