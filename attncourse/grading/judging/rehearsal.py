"""What can be done with a plan before anybody hands something in."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from attncourse.grading.judging.publishing import strings
from attncourse.grading.model import Plan

# What changes how other code is compiled, or run.
SPECIAL = re.compile("__future__|await|async")


def rehearse(plan: Plan, shell: Any) -> None:
    """Let a shell remember the instructor's cells as compiled Python.

    Reading IPython's own syntax takes longer than most tests do, and
    compiling as long as many.
    """
    python = shell.python
    known = python.known
    if len(known) > 10_000:
        known.clear()
        python.compile.compiled.clear()
    for cell in plan.cells:
        if cell.kind not in ("test", "locked") or cell.cell_type != "code":
            continue
        strings(cell.source)
        for source in {cell.source, cell.visible}:
            with contextlib.suppress(Exception):
                text = python.input_transformer_manager.transform_cell(source)
                tree = python.compile.ast_parse(text)
                known[source] = text, tree
                if not SPECIAL.search(source):
                    name = f"<the test {cell.grade_id}>"
                    python.compile.remember(tree, name)
