"""What the report says about how it was graded, and about appeals."""

from __future__ import annotations

import shlex

from attncourse.grading.classdata import ClassData
from attncourse.grading.pages import safe
from attncourse.grading.pages.frame import counted, said
from attncourse.grading.pages.tally import Tally


def advice(data: ClassData, tally: Tally) -> str:
    """Return isolation, seeds, upstream policy, appeals, and exports."""
    return (
        f"{_isolation(data, tally)}{_policy(data)}{_appeals(data)}"
        "<h3>The class report's numbers</h3><p>The table beside this page "
        "(CSV) has a row for every student and opens in any spreadsheet. "
        "Exports for Canvas and Moodle leave out who is not graded, so "
        "that they take no grade away.</p>"
    )


def _isolation(data: ClassData, tally: Tally) -> str:
    levels = tally.isolation or {data.isolation: 0}
    items = "".join(
        f"<li>{said(level or 'not recorded')}"
        + (f" ({counted(amount, 'submission')})" if amount else "")
        + "</li>"
        for level, amount in levels.items()
    )
    return (
        "<h3>What held the students' code</h3>"
        f"<p>Test cells ran in a process of their own.</p><ul>{items}</ul>"
    )


def _policy(data: ClassData) -> str:
    upstream = data.plan.upstream if data.plan else None
    texts = {
        "substitute": "A question that fails where an earlier one failed, "
        "too, is tried again with the instructor's function for the "
        "earlier one. If it then holds, its points count: one mistake is "
        "not punished twice. Feedback says so.",
        "punish": "A mistake counts in every question that uses the "
        "mistaken function.",
    }
    text = (
        f"<h3>Mistakes upstream</h3><p>{texts[upstream]}</p>"
        if (upstream)
        else ""
    )
    return (
        f"{text}<h3>Hidden cases</h3><p>They are drawn for each student "
        "from the class's secret key "
        f"(<code>{said(data.key_file)}</code>), so that graded again the "
        "same notebook meets the same cases. Keep a copy of the key: "
        "without it no grade can be reproduced.</p>"
    )


def _appeals(data: ClassData) -> str:
    asked = next((row.student for row in data.rows), "STUDENT")
    name = safe.name(asked)
    command = (
        f"{data.command} {shlex.quote(data.assignment)} --student "
        f"{shlex.quote(name)} --again"
    )
    return (
        "<h3>Appeals</h3><p>Grade one student again; the cases are the "
        "same, and what people gave by hand stays:</p>"
        f"<pre>{said(command)}</pre><p>If a test was wrong, mend it in the "
        "source and grade the class again: only what the change touches "
        "is run. A grade can also be changed by hand in formgrader.</p>"
    )
