"""Answers to the course's questions as cells of a notebook.

A function of ``tests/variants`` or of a question is written down with all
that it leans on, since a student's notebook has nothing else.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from attncourse import questions
from attncourse.checking.question import Prediction, Question
from attncourse.notebooks.sample import edited_source

OWN = ("attncourse", "variants")


@dataclass(frozen=True)
class Answer:
    """An answer cell, what it is called, and what is known of it.

    `right` answers earn all points, the others do not; of None nothing is
    known but that it is the same everywhere.
    """

    question: str
    name: str
    source: str
    right: bool | None


@functools.cache
def of_unit(unit: str) -> dict[str, list[Answer]]:
    """Return all known answers to the questions of a unit.

    Right ones come first, then usual mistakes, then other wrong ones.
    """
    module = importlib.import_module(f"variants.{unit}")
    found: dict[str, list[Answer]] = {}
    for id_ in questions.ids(unit):
        question = questions.load(id_)
        name = question.function_name
        found[id_] = [
            *_written(id_, name, module.RIGHT, True),
            *(_mistakes(question) if isinstance(question, Question) else ()),
            *(_guesses(question) if isinstance(question, Prediction) else ()),
            *_written(id_, name, module.WRONG, False),
        ]
    return found


def _written(
    id_: str, name: str, table: dict[str, list[Callable]], right: bool
) -> list[Answer]:
    return [
        Answer(id_, each.__name__, cell_of(each, name), right)
        for each in table.get(id_, ())
    ]


def _mistakes(question: Question) -> list[Answer]:
    name, function = question.function_name, question.function
    return [
        Answer(
            question.id,
            each.name,
            cell_of(function, name, edited_source(question, each)),
            False,
        )
        for each in question.misconceptions
    ]


def _guesses(question: Prediction) -> list[Answer]:
    """Return predictions that choose the first options, the second ones..."""
    found = []
    for turn in range(3):
        chosen = {
            name: statement.options[turn % len(statement.options)]
            for name, statement in question.statements.items()
        }
        source = f"def {question.function_name}():\n    return {chosen!r}"
        found.append(Answer(question.id, f"option {turn}", source, None))
    return found


def rounds(unit: str, every: int = 1) -> Iterator[dict[str, Answer]]:
    """Yield one answer to each question, until all answers were there.

    Right answers come first, in all their styles; of the rounds after
    them only one of `every`.
    """
    rows = {id_: each for id_, each in of_unit(unit).items() if each}
    right = max(sum(a.right is True for a in row) for row in rows.values())
    for turn in range(max(map(len, rows.values()))):
        if turn < right or turn % every == 0:
            yield {id_: row[turn % len(row)] for id_, row in rows.items()}


# ---- a function with all that it leans on


def cell_of(function: Callable, name: str, source: str | None = None) -> str:
    """Return a cell that defines `function` under `name`.

    `source` is the function's text, where it is not its file's.
    """
    pieces: dict[str, str] = {}
    _gather(function, pieces, source)
    own = function.__name__
    if own != name and name in pieces:
        pieces = {
            each: _renamed(text, name, f"{name}_in_the_book")
            for each, text in pieces.items()
        }
    text = "\n\n\n".join(pieces.values())
    return text if own == name else f"{text}\n\n\n{name} = {own}"


def _gather(
    function: Callable, pieces: dict[str, str], source: str | None = None
) -> None:
    own = function.__name__
    tree = ast.parse(source or _definition(function.__module__, own))
    pieces[own] = ""  # a recursive function leans on itself
    bare = ast.unparse(_Bare().visit(tree))
    for name in dict.fromkeys(_names(tree)):
        if name not in pieces and name in function.__globals__:
            _add(name, function, pieces)
    del pieces[own]
    pieces[own] = bare


def _add(name: str, function: Callable, pieces: dict[str, str]) -> None:
    value = function.__globals__[name]
    module = getattr(value, "__module__", None) or ""
    if isinstance(value, types.ModuleType):
        pieces[name] = f"import {value.__name__} as {name}"
    elif isinstance(value, types.FunctionType) and module.startswith(OWN):
        _gather(value, pieces)
    elif callable(value) and not module.startswith(OWN):
        pieces[name] = f"from {module} import {value.__name__} as {name}"
    else:
        pieces[name] = _assignment(function.__module__, name)


def _definition(module: str, name: str) -> str:
    """Return a top-level function of a module, decorators included."""
    node = _statements(module)[name]
    assert isinstance(node, ast.FunctionDef)
    if module.startswith("attncourse"):
        node.decorator_list = []
    return ast.unparse(node)


def _assignment(module: str, name: str) -> str:
    """Return the statement by which a module sets a constant."""
    return ast.unparse(_statements(module)[name])


@functools.cache
def _statements(module: str) -> dict[str, ast.stmt]:
    """Return a module's top-level statements by the names they bind."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {
                each.id: node
                for each in node.targets
                if isinstance(each, ast.Name)
            }
    return found


def _names(tree: ast.AST) -> list[str]:
    """Return the names that a function reads, annotations left out."""
    return [
        node.id
        for node in ast.walk(_Bare().visit(tree))
        if isinstance(node, ast.Name)
    ]


class _Bare(ast.NodeTransformer):
    """Takes annotations and docstrings away."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.generic_visit(node)
        node.returns = None
        if ast.get_docstring(node) and len(node.body) > 1:
            del node.body[0]
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node


def _renamed(text: str, old: str, new: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
        elif isinstance(node, ast.FunctionDef) and node.name == old:
            node.name = new
    return ast.unparse(tree)
