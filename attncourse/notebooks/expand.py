"""Expand authored cells into the cells of an nbgrader notebook."""

from __future__ import annotations

import inspect
import io
import re
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from attncourse.checking.edit import body, signature_and_docstring
from attncourse.checking.question import (
    AnyQuestion,
    Audit,
    Prediction,
    Question,
)
from attncourse.notebooks.authored import (
    BEGIN,
    END,
    Authored,
    AuthorError,
    faults,
)
from attncourse.notebooks.prompt import prompt, written_header

MIRROR = re.compile(r"^# mirror: ([\w.]+)\.(\w+)$", re.MULTILINE)
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
# What the hidden part calls with, by the variables its body defines.
SECRETS = {Prediction: ("answers", "because"), Audit: ("right", "wrong")}


def expand(
    cells: Sequence[Authored],
    *,
    unit: str,
    asked: Mapping[str, AnyQuestion],
    written_points: float,
) -> Any:
    """Return nbgrader's source notebook of a unit.

    Parameters
    ----------
    asked : the unit's questions by id, in the order of its ORDER.
    written_points : what each written answer counts.

    Raises
    ------
    AuthorError
        If the cells do not fit together; every fault is a line.
    """
    import nbformat

    found = faults(cells, unit, asked)
    if found:
        raise AuthorError("\n".join(found))
    writer = _Writer(asked, written_points)
    made = [writer.cell(cell) for cell in cells]
    book = nbformat.from_dict(
        {
            "cells": made,
            "metadata": METADATA,
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )
    nbformat.validate(book)
    return book


class _Writer:
    """Writes cell after cell and gives each a name that stays."""

    def __init__(self, asked, written_points):
        self.asked = asked
        self.written_points = written_points
        self.place = "start"
        self.used: Counter[str] = Counter()
        self.prompted: set[str] = set()

    def cell(self, cell: Authored) -> dict[str, Any]:
        name = cell.question.partition(".")[2]
        self.place = name or self.place
        write = getattr(self, f"_{cell.role or 'free'}")
        return write(cell, name)

    def _numbered(self, what: str) -> str:
        stem = f"{self.place}-{what}"
        self.used[stem] += 1
        return f"{stem}-{self.used[stem]}"

    def _free(self, cell: Authored, name: str) -> dict[str, Any]:
        what = "play" if cell.kind == "code" else "text"
        return _cell(cell.kind, self._numbered(what), cell.source)

    def _setup(self, cell: Authored, name: str) -> dict[str, Any]:
        self.used["setup"] += 1
        if self.used["setup"] > 1:
            raise AuthorError("a unit must have one setup cell: got another")
        return _cell("code", "setup", cell.source, locked=True)

    def _given(self, cell: Authored, name: str) -> dict[str, Any]:
        name = self._numbered("given")
        return _cell("code", name, cell.source, locked=True)

    def _prompt(self, cell: Authored, name: str) -> dict[str, Any]:
        question = self.asked.get(cell.question)
        self.prompted.add(name)
        text = (
            prompt(question, cell.source)
            if question
            else f"{cell.source.strip()}\n\n"
            + written_header(self.written_points)
        )
        return _cell("markdown", f"{name}-prompt", text, locked=True)

    def _answer(self, cell: Authored, name: str) -> dict[str, Any]:
        source = answer_source(self.asked[cell.question], cell.source)
        return _cell("code", name, source, solution=True)

    def _test(self, cell: Authored, name: str) -> dict[str, Any]:
        question = self.asked[cell.question]
        return _cell(
            "code",
            f"{name}-test",
            test_source(question, cell.source),
            points=question.points,
            locked=True,
        )

    def _written(self, cell: Authored, name: str) -> dict[str, Any]:
        source = cell.source
        if name not in self.prompted:
            source = f"{written_header(self.written_points)}\n\n{source}"
        return _cell(
            "markdown",
            f"{name}-answer",
            source,
            points=self.written_points,
            solution=True,
        )


def _cell(
    kind: str,
    name: str,
    source: str,
    *,
    points: float | None = None,
    solution: bool = False,
    locked: bool = False,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cell_type": kind,
        "id": name.replace("_", "-")[:64],
        "metadata": {},
        "source": source.strip("\n"),
    }
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    if solution or locked:
        own: dict[str, Any] = {
            "grade": points is not None,
            "grade_id": name,
            "locked": locked,
            "schema_version": 3,
            "solution": solution,
            "task": False,
        }
        if points is not None:
            own["points"] = int(points) if points == int(points) else points
        made["metadata"]["nbgrader"] = own
    return made


def answer_source(question: AnyQuestion, authored: str) -> str:
    """Return an answer cell: what is given, and the solution in marks."""
    if not authored.strip():
        if not isinstance(question, Question):
            raise AuthorError(
                f"{question.id}: the answer cell must define "
                f"{question.function_name}: got nothing"
            )
        return marked(question.function)
    source = MIRROR.sub(_mirrored, authored)
    if BEGIN not in source:
        raise AuthorError(
            f"{question.id}: the answer cell must hold a solution between "
            "marks: got none"
        )
    if f"def {question.function_name}(" not in source:
        raise AuthorError(
            f"{question.id}: the answer cell must define "
            f"{question.function_name}: got another name"
        )
    return source


def marked(function: Any) -> str:
    """Return a function's source with its body between solution marks."""
    return "\n".join(
        (
            signature_and_docstring(function),
            f"    {BEGIN}",
            body(function),
            f"    {END}",
        )
    )


def _mirrored(found: re.Match[str]) -> str:
    function = getattr(import_module(found[1]), found[2])
    return marked(inspect.unwrap(function))


def test_source(question: AnyQuestion, secret: str) -> str:
    """Return a test cell: the visible check, then the hidden grading.

    The secret variables live in a function that forgets its own name, so
    that they are not lying about while the student's code runs.
    """
    asked = f'"{question.id}", {question.function_name}'
    names = SECRETS.get(type(question), ())
    defined = {
        name
        for name in names
        if re.search(rf"^{name}\b", secret, re.MULTILINE)
    }
    for name in names:
        if name not in defined and name != "because":
            raise AuthorError(
                f"{question.id}: the test cell must define {name}: got none"
            )
    if not names and secret.strip():
        raise AuthorError(
            f"{question.id}: its cases are in its module, so the test cell "
            "must be empty: got code"
        )
    given = "".join(f", {name}={name}" for name in names if name in defined)
    lines = [
        f"check({asked})",
        "### BEGIN HIDDEN TESTS",
        "def _hidden():",
        "    from attncourse import grade",
        "",
        "    del globals()['_hidden']",
    ]
    if secret.strip():
        lines.append(indented(secret.strip("\n")))
    lines += [
        f"    return grade({asked}{given})",
        "",
        "",
        "_hidden()",
        "### END HIDDEN TESTS",
    ]
    return "\n".join(lines)


def indented(source: str) -> str:
    """Return code four columns deeper, its long strings as they were.

    Examples
    --------
    >>> print(indented("x = 1"))
        x = 1
    """
    inside: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
    return "\n".join(
        line if row in inside or not line else f"    {line}"
        for row, line in enumerate(source.splitlines(), 1)
    )
