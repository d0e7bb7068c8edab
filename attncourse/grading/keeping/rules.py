"""Which points and comments nbgrader's rules give without a person."""

from __future__ import annotations

import math
from typing import Any

from attncourse.grading.model import Outcome, Plan
from attncourse.grading.notebooks.metadata import checksum


def automatic(
    plan: Plan, outcome: Outcome, notebook: dict[str, Any]
) -> tuple[dict[str, float | None], dict[str, str | None]]:
    """Return points and comments by cell, as nbgrader would give them.

    A test's points are the judge's; of a written answer nbgrader's rule
    decides: nothing for a stub that was left as it is, else a person.
    """
    scores: dict[str, float | None] = {**_tests(plan, outcome)}
    comments: dict[str, str | None] = {}
    for cell in notebook["cells"]:
        told = cell["metadata"].get("nbgrader")
        if not told:
            continue
        name = told["grade_id"]
        same = told["checksum"] == checksum(
            cell["source"], cell["cell_type"], told
        )
        if told["grade"] and name not in scores:
            scores[name] = 0.0 if same and told["solution"] else None
        if told["solution"] or told["task"]:
            silent = same and not told["task"]
            comments[name] = "No response." if silent else None
    return scores, comments


def _tests(plan: Plan, outcome: Outcome) -> dict[str, float]:
    """Return the points of all tests; the last gate for a judge's numbers."""
    judged = {each.grade_id: each.points for each in outcome.questions}
    most = {str(test.grade_id): test.points for test in plan.tests}
    if judged.keys() != most.keys() or len(most) != len(outcome.questions):
        raise ValueError(
            "an outcome must judge every test once: got "
            f"{[each.grade_id for each in outcome.questions]} of {[*most]}"
        )
    for name, points in judged.items():
        if not (math.isfinite(points) and 0 <= points <= most[name]):
            raise ValueError(
                f"points of {name} must be from 0 to {most[name]:g}: got "
                f"{points!r}"
            )
    return {name: float(points) for name, points in judged.items()}
