"""The page of a submission that the grader itself lost, in two forms."""

from __future__ import annotations

from attncourse.grading.model import Plan
from attncourse.grading.pages import safe
from attncourse.grading.pages.feedback_text import plain
from attncourse.grading.pages.frame import document, named

WORDS = (
    "Not graded yet: something went wrong in the grader, not in your "
    "notebook. It will be graded again; until then there are no points, and "
    "no zero counts."
)


def not_graded(student: str, plan: Plan) -> str:
    """Return the page of a submission that the grader itself lost."""
    return document(
        f"Feedback on {plan.assignment}",
        '<header><p class="eyebrow">Feedback for '
        f"<bdi>{named(student)}</bdi></p><h1>{named(plan.assignment)}</h1>"
        f'</header>\n<main id="content"><p>{WORDS}</p></main>',
    )


def not_graded_markdown(student: str, plan: Plan) -> str:
    """Return the same as `not_graded`."""
    name, who = safe.name(plan.assignment), safe.name(student)
    return f"# Feedback on {plain(name)}\n\nFor {plain(who)}\n\n{WORDS}\n"
