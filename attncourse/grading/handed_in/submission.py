"""What a student handed in: its notebook read, and matched with the plan."""

from __future__ import annotations

from dataclasses import replace

from attncourse.grading.handed_in import forbidden
from attncourse.grading.handed_in.collecting import Submitted, find
from attncourse.grading.handed_in.matching import pair
from attncourse.grading.handed_in.placing import place
from attncourse.grading.model import Plan, Script
from attncourse.grading.notebooks.reading import Cell, Notebook, read

__all__ = ["Cell", "Notebook", "Submitted", "find", "match", "read"]


def match(plan: Plan, notebook: Notebook) -> Script:
    """Return the steps in which a submission is run and judged.

    Tests and locked cells come from the plan, each exactly once; of the
    notebook come the student's own cells, in their order. Every oddity is
    told in a note; a notebook handed in as it was released has none.
    """
    script = place(plan, notebook, pair(plan, notebook))
    return replace(script, flags=forbidden.find(script, plan))
