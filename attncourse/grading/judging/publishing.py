"""The verdict that a test publishes, cut down to what may be told.

A test runs beside hidden cases, and a student's function chooses what it
returns: a text that was put together from such values must not get out.
"""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Iterable
from typing import Any

from attncourse.grading.notebooks.syntax import tree

MIME = "application/vnd.attncourse.verdict+json"
VERDICTS = ("pass", "partial", "fail", "error", "todo")
LONGEST = 2_000
MOST = 50


def published(
    outputs: Iterable[dict[str, Any]], source: str
) -> dict[str, Any] | None:
    """Return what a test told in its last verdict, or None.

    Notes are kept where they consist of strings that stand in the test's
    `source`.
    """
    told = None
    for output in outputs:
        if output.get("output_type") != "display_data":
            continue
        data = output.get("data")
        if isinstance(data, dict) and isinstance(data.get(MIME), dict):
            told = data[MIME]
    return None if told is None else _cleaned(told, source)


def _cleaned(told: dict[str, Any], source: str) -> dict[str, Any]:
    clean: dict[str, Any] = {
        "question": _text(told.get("question")),
        "title": _text(told.get("title")),
        "verdict": told.get("verdict"),
        "points": _number(told.get("points")),
        "max_points": _number(told.get("max_points")),
        "failed_stages": _texts(told.get("failed_stages")),
        "diagnosis": _texts(told.get("diagnosis")),
        "stages": [_stage(each) for each in _dicts(told.get("stages"))],
        "misconceptions": [
            {key: _text(each.get(key)) for key in ("name", "says", "where")}
            for each in _dicts(told.get("misconceptions"))
        ],
        "error": builtin_error(told.get("error")),
        "line": told.get("line") if type(told.get("line")) is int else None,
    }
    notes = _texts(told.get("notes"))
    known = strings(source) if notes else ()
    clean["notes"] = [note for note in notes if composed(note, known)]
    if clean["verdict"] not in VERDICTS:
        clean["verdict"] = None
    return {name: value for name, value in clean.items() if value is not None}


def builtin_error(name: Any) -> str | None:
    """Return a built-in exception's name, or None for any other text."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    known = isinstance(kind, type) and issubclass(kind, BaseException)
    return str(name) if known else None


@functools.lru_cache(maxsize=256)
def strings(source: str) -> tuple[str, ...]:
    """Return the strings that a cell spells, the longest first."""
    module = tree(source)
    found = {
        node.value
        for node in (ast.walk(module) if module else ())
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return tuple(sorted(found - {""}, key=len, reverse=True))


def composed(note: str, known: Iterable[str]) -> bool:
    """Tell whether a note consists of known strings and punctuation.

    Examples
    --------
    >>> composed("order: rows come first", ["rows come first", "order"])
    True
    >>> composed("order: got 0.1734", ["rows come first", "order"])
    False
    """
    rest = note
    for text in known:
        rest = rest.replace(text, " ")
    return not any(letter.isalnum() for letter in rest)


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": _text(stage.get("name")),
        "must": _text(stage.get("must")),
        "points": _number(stage.get("points")),
        "passed": stage.get("passed") is True,
    }


def _text(value: Any) -> str | None:
    return value[:LONGEST] if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known else None


def _items(value: Any) -> list[Any]:
    return list(value)[:MOST] if isinstance(value, (list, tuple)) else []


def _texts(value: Any) -> list[str]:
    return [each[:LONGEST] for each in _items(value) if isinstance(each, str)]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in _items(value) if isinstance(each, dict)]
