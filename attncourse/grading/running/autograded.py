"""The graded notebook, as nbgrader's formgrader and feedback expect it.

Its outputs are those of the run that saw no hidden case, and of a test it
holds the visible part: nbgrader's feedback step gives all of it away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attncourse.grading.handed_in.matching import pair
from attncourse.grading.model import Judged, Outcome, Plan, SourceCell
from attncourse.grading.notebooks.metadata import KERNEL, own
from attncourse.grading.notebooks.reading import Cell, Notebook
from attncourse.grading.pages import markup
from attncourse.grading.pages.outputs import VERDICT_MIME

PICTURES = ("image/png", "image/jpeg", "image/gif")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*\Z")
MOST_HTML = 200_000
NOT_CODE = {"markdown", "raw"}


def compose(
    plan: Plan, notebook: Notebook, outcome: Outcome
) -> dict[str, Any]:
    """Return the notebook that goes into nbgrader's autograded folder.

    The student's cells stay as and where they are; tests and locked cells
    are the source's; what is missing is put back after the cell before it.
    """
    judged = {each.grade_id: each for each in outcome.questions}
    counted = pair(plan, notebook).counted()
    spots = {index: spot for spot, index in counted.items()}
    missing = _missing(plan, counted)
    cells = [_restored(plan.cells[spot]) for spot in missing.pop(-1, ())]
    for each in notebook.cells:
        spot = spots.get(each.index)
        asked = None if spot is None else plan.cells[spot]
        told = outcome.outputs.get(str(each.index), [])
        cells.append(_submitted(each, asked, told))
        if spot is not None:
            cells += [_restored(plan.cells[s]) for s in missing.pop(spot, ())]
    for cell in cells:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in judged and cell["cell_type"] == "code":
            cell["outputs"] = verdict(judged[name])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": dict(KERNEL),
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def verdict(judged: Judged) -> list[dict[str, Any]]:
    """Return what a test cell shows: verdict, points, the visible part.

    In this order, because nbgrader takes the first number for the points,
    and a word on standard error before it for a failure.
    """
    said = (
        f"{judged.verdict}: {judged.points:g} of {judged.max_points:g} "
        f"points. {judged.says}"
    )
    data: dict[str, Any] = {"text/plain": said}
    if judged.told is not None:
        data[VERDICT_MIME] = judged.told
    points = {"text/plain": repr(float(judged.points))}
    return [
        {"output_type": "display_data", "data": data, "metadata": {}},
        {
            "output_type": "execute_result",
            "data": points,
            "metadata": {},
            "execution_count": None,
        },
        *harmless(judged.shown),
    ]


def harmless(outputs: Iterable[Any]) -> list[dict[str, Any]]:
    """Return outputs in nbformat's form, without what could act."""
    found = []
    for each in outputs:
        kind = each.get("output_type") if isinstance(each, dict) else None
        if kind == "stream":
            name = "stderr" if each.get("name") == "stderr" else "stdout"
            text = _text(each.get("text"))
            found.append({"output_type": kind, "name": name, "text": text})
        elif kind == "error":
            lines = each.get("traceback")
            lines = lines if isinstance(lines, list | tuple) else []
            found.append(
                {
                    "output_type": kind,
                    "ename": _text(each.get("ename")),
                    "evalue": _text(each.get("evalue")),
                    "traceback": [_text(line) for line in lines],
                }
            )
        elif kind in ("display_data", "execute_result"):
            data = _bundle(each.get("data"))
            if data:
                made = {"output_type": "display_data", "data": data}
                found.append({**made, "metadata": {}})
    return found


def _bundle(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        return {}
    kept = {}
    if "text/plain" in data:
        kept["text/plain"] = _text(data["text/plain"])
    marked = _text(data.get("text/html", ""))
    if marked and len(marked) <= MOST_HTML:
        kept["text/html"] = markup.html(marked)
    for kind in PICTURES:
        picture = _text(data.get(kind, ""))
        if picture and BASE64.match(picture):
            kept[kind] = picture
    return kept


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "".join(map(_text, value))
    return value if isinstance(value, str) else ""


def _submitted(
    cell: Cell, asked: SourceCell | None, outputs: list
) -> dict[str, Any]:
    kind, source = cell.cell_type, cell.source
    metadata: dict[str, Any] = {}
    if asked is not None:
        kind = asked.cell_type
        if asked.kind in ("test", "locked"):
            source = asked.visible
        metadata = _metadata(asked)
    made: dict[str, Any] = {
        "cell_type": kind,
        "metadata": metadata,
        "source": source,
    }
    if kind == "code":
        made["outputs"] = harmless(outputs)
    elif cell.attachments and kind in NOT_CODE:
        made["attachments"] = cell.attachments
    return made


def _restored(cell: SourceCell) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cell_type": cell.cell_type,
        "metadata": _metadata(cell),
        "source": cell.visible,
    }
    if cell.cell_type == "code":
        made["outputs"] = []
    return made


def _metadata(cell: SourceCell) -> dict[str, Any]:
    return {"nbgrader": own(cell)} if cell.grade_id is not None else {}


def _missing(plan: Plan, counted: dict[int, int]) -> dict[int, list[int]]:
    """Return what to put back, by the cell of the plan after which."""
    found: dict[int, list[int]] = {}
    last = -1
    for spot, cell in enumerate(plan.cells):
        if spot in counted:
            last = spot
        elif cell.grade_id is not None and cell.kind != "text":
            found.setdefault(last, []).append(spot)
    return found
