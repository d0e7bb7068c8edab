"""A student's feedback: one page, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attncourse.grading.classdata import Manual
from attncourse.grading.model import Outcome, Plan, Script
from attncourse.grading.pages import safe
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.feedback_text import as_markdown, plain
from attncourse.grading.pages.frame import document, named

NOT_YET = (
    "Not graded yet: something went wrong in the grader, not in your "
    "notebook. It will be graded again; until then there are no points, and "
    "no zero counts."
)


def not_yet(student: str, plan: Plan) -> str:
    """Return the page of a submission that the grader itself lost."""
    return document(
        f"Feedback on {plan.assignment}",
        '<header><p class="eyebrow">Feedback for '
        f"<bdi>{named(student)}</bdi></p><h1>{named(plan.assignment)}</h1>"
        f'</header>\n<main id="content"><p>{NOT_YET}</p></main>',
    )


def not_yet_markdown(student: str, plan: Plan) -> str:
    """Return the same as `not_yet`."""
    name, who = safe.name(plan.assignment), safe.name(student)
    return f"# Feedback on {plain(name)}\n\nFor {plain(who)}\n\n{NOT_YET}\n"


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
