"""Which tests use an entry of the ledger, read from the tests' code."""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path

from attncourse.ledger import Entry, stem


def names_of_tests(entry: Entry, tests: Path) -> list[str]:
    """Return the names of the tests that use an entry, as sentences.

    A test uses what its body names, or what the helpers and tables of its
    file name that it names. Only the files of the entry's own stem count.
    """
    file = tests / entry.package / f"test_{stem(entry.module)}.py"
    if not file.is_file():
        return []
    reached = _reached(file)
    path = entry.path.removeprefix("attncourse.")
    return [
        name.removeprefix("test_").replace("_", " ")
        for name, uses in reached.items()
        if path in uses or _reexported(entry, uses)
    ]


def _reexported(entry: Entry, uses: set[str]) -> bool:
    """Tell whether a test uses an entry by way of a sibling module."""
    own = stem(entry.module)
    for use in uses:
        package, _, rest = use.partition(".")
        module, _, name = rest.rpartition(".")
        if (package, name) == (entry.package, entry.name):
            if stem(module) != own:
                continue
            holder = importlib.import_module(f"attncourse.{package}.{module}")
            if getattr(holder, name, None) is entry.value:
                return True
    return False


@cache
def _reached(file: Path) -> dict[str, set[str]]:
    """Return, for each test of a file, the dotted names that it uses."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules, names = _imported(tree)
    direct: dict[str, set[str]] = {}  # of each top-level name: what it uses
    calls: dict[str, set[str]] = {}  # and which other top-level names
    for node in tree.body:
        for defined in _defines(node):
            uses, mentions = _uses(node, modules, names)
            direct.setdefault(defined, set()).update(uses)
            calls.setdefault(defined, set()).update(mentions)
    found = {}
    for name in direct:
        if name.startswith("test_"):
            seen, todo = set(), [name]
            while todo:
                each = todo.pop()
                if each not in seen:
                    seen.add(each)
                    todo += calls.get(each, set()) & direct.keys()
            found[name] = set().union(*(direct[each] for each in seen))
    return found


def _imported(tree: ast.Module) -> tuple[dict[str, str], dict[str, str]]:
    """Return the modules and the objects of the library by local name."""
    modules, names = {}, {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            path = path.removeprefix("attncourse.")
            names[alias.asname or alias.name] = path
            modules[alias.asname or alias.name] = path
    return modules, names


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _uses(
    node: ast.AST, modules: dict[str, str], names: dict[str, str]
) -> tuple[set[str], set[str]]:
    uses, mentions = set(), set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            mentions.add(each.id)
            if each.id in names:
                uses.add(names[each.id])
        elif isinstance(each, ast.arg):
            mentions.add(each.arg)  # a fixture
        elif isinstance(each, ast.Attribute):
            holder = ast.unparse(each.value)
            if holder in modules:
                uses.add(f"{modules[holder]}.{each.attr}")
    return uses, mentions
