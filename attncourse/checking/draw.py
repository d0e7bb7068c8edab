"""Show a result: text for a terminal, HTML for a notebook, SVG pictures."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from attncourse.checking.result import Result

CELL = 26
LARGEST = 12
# The course's colour for keys; darker means more weight.
TINT = (204, 102, 0)


def beside(yours: Any, right: Any) -> str:
    """Return an SVG of two matrices side by side, or "" if not matrices.

    The first matrix of a stack is drawn, at most twelve rows and columns.
    """
    drawn = []
    for title, value in (("yours", yours), ("expected", right)):
        array = np.asarray(value, dtype=np.float64)
        if array.ndim < 2 or 0 in array.shape:
            return ""
        matrix = array.reshape(-1, *array.shape[-2:])[0]
        drawn.append((title, matrix[:LARGEST, :LARGEST]))
    top = max(
        (float(np.nanmax(np.abs(m), initial=0.0)) for _, m in drawn),
        default=0.0,
    )
    parts, left = [], 0
    for title, matrix in drawn:
        parts.append(_grid(title, matrix, left, top or 1.0))
        left += matrix.shape[1] * CELL + 2 * CELL
    height = max(len(m) for _, m in drawn) * CELL + 24
    label = "Heat maps: your matrix beside the expected one"
    return (
        f'<svg role="img" aria-label="{label}" width="{left - CELL}" '
        f'height="{height}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )


def _grid(title: str, matrix: np.ndarray, left: int, top: float) -> str:
    parts = [
        f'<text x="{left}" y="14" font-size="13" fill="currentColor">'
        f"{title}</text>"
    ]
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            finite = bool(np.isfinite(value))
            share = min(1.0, abs(value) / top) if finite else 0.0
            red, green, blue = (
                round(255 + (tint - 255) * share) for tint in TINT
            )
            x, y = left + column * CELL, 22 + row * CELL
            text = f"{value:.1f}" if finite else "nan"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" '
                f'fill="rgb({red},{green},{blue})" stroke="#888"/>'
                f'<text x="{x + CELL / 2}" y="{y + 17}" font-size="9" '
                f'text-anchor="middle" fill="#000">{text}</text>'
            )
    return "".join(parts)


HEADLINES = {
    "pass": "All right",
    "partial": "Partly right",
    "fail": "Not yet right",
    "error": "It stopped with an error",
    "todo": "Still to do",
}
MARKS = {True: "\N{CHECK MARK}", False: "\N{MULTIPLICATION X}"}


def lines(result: Result, *, where: dict[str, str]) -> list[str]:
    """Return the sentences of a result, the most useful first.

    `where` names for each section label the place to read.
    """
    if result.verdict == "todo":
        return ["Write your answer in the cell above, then run this again."]
    said = list(result.notes)
    if result.diagnosis:
        if len(result.diagnosis) > 1:
            said.append("Two things come together here.")
        for each in result.diagnosis:
            place = where.get(each.section, each.section)
            said.append(f"{each.says} See {place}.")
    if result.error:
        line = f" in line {result.line} of your cell" if result.line else ""
        text = f": {result.error_message}" if result.error_message else ""
        said.append(f"{result.error}{line}{text}")
    first = result.first_failed
    if first and first.reason and not result.diagnosis:
        said.append(f"Look first at {first.name!r}: {first.reason}.")
    return said


def as_text(result: Result, *, where: dict[str, str]) -> str:
    """Return a result for a terminal.

    Examples
    --------
    >>> print(as_text(Result("a.b", "T", "todo", 0, 2), where={}))
    a.b - T: Still to do
      Write your answer in the cell above, then run this again.
    """
    out = [f"{result.question_id} - {result.title}: {_headline(result)}"]
    out += [
        f"  {MARKS[stage.passed]} {stage.name}: {stage.must}"
        for stage in result.stages
    ]
    out += [f"  {line}" for line in lines(result, where=where)]
    return "\n".join(out)


def as_html(result: Result, *, where: dict[str, str]) -> str:
    """Return a result for a notebook; everything in it is escaped."""
    stages = "".join(
        f"<li>{MARKS[stage.passed]} <b>{escape(stage.name)}</b>: "
        f"{escape(stage.must)}</li>"
        for stage in result.stages
    )
    said = "".join(
        f"<p>{escape(line)}</p>" for line in lines(result, where=where)
    )
    edge = "#0a7d4f" if result.passed else "#b35900"
    return (
        f'<div style="border-left:4px solid {edge};padding:0 1em">'
        f"<p><b>{escape(result.title)}: {escape(_headline(result))}</b></p>"
        f'<ul style="list-style:none;padding-left:0">{stages}</ul>'
        f"{said}{result.picture}</div>"
    )


def _headline(result: Result) -> str:
    headline = HEADLINES[result.verdict]
    if result.verdict == "partial":
        right = sum(stage.passed for stage in result.stages)
        headline += f" ({right} of {len(result.stages)} parts)"
    return headline
