"""A student's feedback: one page, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attncourse.grading.classdata import Manual
from attncourse.grading.model import Outcome, Plan, Script
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.feedback_text import as_markdown


def page(
    outcome: Outcome,
    notebook: Any,
    plan: Plan,
    *,
    manual: Iterable[Manual] = (),
    script: Script | None = None,
    penalty: float = 0.0,
) -> str:
    """Return the page that a student gets.

    Parameters
    ----------
    notebook : the submitted notebook as a dict, whatever is in it.
    manual : what people gave; it counts before a test's points.
    script : the match of the notebook with the plan, if there is one.
    penalty : points that are taken off for lateness.
    """
    return as_html(
        gather(
            outcome,
            notebook,
            plan,
            manual=manual,
            script=script,
            penalty=penalty,
        )
    )


def markdown(
    outcome: Outcome,
    notebook: Any,
    plan: Plan,
    *,
    manual: Iterable[Manual] = (),
    script: Script | None = None,
    penalty: float = 0.0,
) -> str:
    """Return the same as `page`, for a terminal or a forge."""
    return as_markdown(
        gather(
            outcome,
            notebook,
            plan,
            manual=manual,
            script=script,
            penalty=penalty,
        )
    )
