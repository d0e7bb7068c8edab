"""Outputs that a child sent, made anew from what nbformat knows."""

from __future__ import annotations

import math
import re
from typing import Any

MOST = 10_000
DEPTH = 12
MIME = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,80}")


def checked_outputs(told: Any) -> tuple[dict[str, Any], ...]:
    """Return outputs with nbformat's keys and types, and nothing else.

    What is no output raises ValueError. What the texts say is not
    looked at here.
    """
    if type(told) is not list or len(told) > MOST:
        raise ValueError(f"outputs must be a list of at most {MOST}")
    return tuple(_checked(output) for output in told)


def _checked(output: Any) -> dict[str, Any]:
    if type(output) is not dict:
        raise ValueError("an output must be a dict")
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        text = _text(output.get("text"))
        return {"output_type": kind, "name": name, "text": text}
    if kind == "error":
        lines = output.get("traceback")
        return {
            "output_type": kind,
            "ename": _text(output.get("ename")),
            "evalue": _text(output.get("evalue")),
            "traceback": [_text(line) for line in _list(lines)],
        }
    if kind not in ("display_data", "execute_result"):
        raise ValueError("an output must be of a known type")
    made = {
        "output_type": kind,
        "data": _bundle(output.get("data")),
        "metadata": _json(output.get("metadata", {}), 0),
    }
    if kind == "execute_result":
        count = output.get("execution_count")
        made["execution_count"] = count if type(count) is int else None
    return made


def _bundle(data: Any) -> dict[str, Any]:
    if type(data) is not dict:
        raise ValueError("an output's data must be a dict")
    return {
        mime: _json(value, 0)
        for mime, value in data.items()
        if type(mime) is str and MIME.fullmatch(mime)
    }


def _json(value: Any, depth: int) -> Any:
    if depth > DEPTH:
        raise ValueError("an output must not nest so deep")
    if type(value) is dict:
        return {
            str(key): _json(each, depth + 1) for key, each in value.items()
        }
    if type(value) in (list, tuple):
        return [_json(each, depth + 1) for each in value]
    if type(value) is float and not math.isfinite(value):
        return None
    if value is None or type(value) in (str, bool, int, float):
        return value
    raise ValueError("an output must be made of JSON's types")


def _list(value: Any) -> list:
    if type(value) is not list:
        raise ValueError("a traceback must be a list")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("an output's text must be a str")
    return value
