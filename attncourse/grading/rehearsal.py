"""What can be done with a plan before anybody hands something in."""

from __future__ import annotations

import contextlib
from typing import Any

from attncourse.grading.model import Plan
from attncourse.grading.publishing import strings


def rehearse(plan: Plan, shell: Any) -> None:
    """Let a shell remember the instructor's cells as plain Python.

    Reading IPython's own syntax takes longer than most tests do.
    """
    python = shell.python
    known = getattr(python, "rehearsed", None)
    if known is None:
        known = python.rehearsed = {}
        transform = python.transform_cell
        python.transform_cell = lambda cell: known.get(cell) or transform(cell)
    if len(known) > 10_000:
        known.clear()
    for cell in plan.cells:
        if cell.kind not in ("test", "locked") or cell.cell_type != "code":
            continue
        strings(cell.source)
        for source in {cell.source, cell.visible}:
            with contextlib.suppress(Exception):
                manager = python.input_transformer_manager
                known[source] = manager.transform_cell(source)
