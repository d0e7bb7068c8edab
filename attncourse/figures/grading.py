"""What the chapter on grading shows: who runs where, verdicts, limits."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from attncourse.figures.page import Html, display
from attncourse.figures.style import FAINT, INK, MUTED, new
from attncourse.grading.model import (
    CELL_LIMITS,
    VERDICTS,
    Limits,
    Plan,
    SourceCell,
)
from attncourse.grading.notebooks import lint
from attncourse.grading.pages.frame import LABELS, MARKS

# When a question gets each verdict, for those who grade.
WHEN = {
    "pass": "The test came to its end with all its points.",
    "partial": "It came to its end with some of them.",
    "fail": "It gave no points, or an assertion did not hold.",
    "error": "The answer raised an exception; or the test itself did, and "
    "then the report tells you.",
    "timeout": "The answer, or a call of it, used up its time.",
    "out-of-memory": "It asked for more memory than it may have.",
    "crashed": "Its process ended, or sent what is no answer.",
    "missing": "No answer was found, or it is still what was handed out.",
}
# What each limit is a limit of.
HOLDS = {
    "cpu_s": "processor time",
    "wall_s": "the same on the wall, for an answer that waits",
    "memory_bytes": "memory of the process, beyond what it starts with",
    "output_bytes": "what is printed and shown",
    "reply_bytes": "one value that an answer returns",
    "file_bytes": "a file, and the folder where it has storage of its own",
    "threads": "threads of the process",
}


def paths() -> Figure:
    """Return the drawing: three kinds of processes and what crosses."""
    figure, axes = new(width=6.0, height=6.2)
    axes.axis("off")
    axes.set(xlim=(0, 12), ylim=(0, 12.4))
    _box(axes, (0.2, 9.9, 11.6, 2.3), "The grader", trusted=True)
    _say(axes, 6.0, 10.75, "class key, submissions, gradebook, reports")
    _say(axes, 6.0, 10.25, "never runs a line of a student's code")
    _box(axes, (0.2, 5.3, 11.6, 2.5), "The judge", trusted=True)
    _say(axes, 6.0, 6.3, "your tests, hidden cases, expected values")
    _say(axes, 6.0, 5.75, "a new process for each submission")
    for left, title, shown in (
        (0.2, "The run that is seen", "its outputs go into feedback"),
        (6.3, "The run that is scored", "its outputs are thrown away"),
    ):
        _box(axes, (left, 0.2, 5.5, 2.6), title, trusted=False)
        _say(axes, left + 2.75, 1.25, "the student's cells; no test")
        _say(axes, left + 2.75, 0.7, shown)
    _arrow(axes, 3.0, 9.9, 7.8, "notebook, your source,\none student's seed")
    _arrow(axes, 8.3, 7.8, 9.9, "verdicts, points,\noutputs that are seen")
    for left, cases in ((0.9, "visible cases"), (7.0, "hidden cases")):
        _arrow(axes, left, 5.3, 2.8, f"cells; calls,\n{cases}")
        _arrow(axes, left + 2.7, 2.8, 5.3, "values,\nplain data")
    axes.axhline(3.3, color=INK, linestyle=(0, (5, 3)), linewidth=1.5)
    axes.text(11.9, 3.05, "shut in", fontsize=8, color=MUTED, ha="right")
    return figure


def _box(
    axes: Axes,
    place: tuple[float, float, float, float],
    title: str,
    *,
    trusted: bool,
) -> None:
    left, bottom, width, height = place
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.15, bottom + 0.15),
            width - 0.3,
            height - 0.3,
            boxstyle="round,pad=0.15",
            facecolor=FAINT if trusted else "none",
            edgecolor=INK,
            linestyle="-" if trusted else "--",
        )
    )
    axes.text(
        left + width / 2,
        bottom + height - 0.65,
        title,
        ha="center",
        va="center",
        color=INK,
        weight="bold",
        fontsize=10.5,
    )


def _say(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y, text, ha="center", va="center", color=INK, fontsize=9)


def _arrow(axes: Axes, x: float, start: float, end: float, text: str) -> None:
    axes.annotate(
        "",
        xy=(x, end),
        xytext=(x, start),
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.6},
    )
    axes.text(
        x + 0.2,
        (start + end) / 2 + (0.45 if min(start, end) < 3 else 0),
        text,
        va="center",
        color=INK,
        fontsize=9,
    )


def verdicts() -> None:
    """Put the table of verdicts on the page."""
    rows = [
        (f"{MARKS[each]} {LABELS[each]}", f"`{each}`", WHEN[each])
        for each in VERDICTS
    ]
    table(("Students read", "Tables say", "When"), rows)


def limits() -> None:
    """Put the table of limits and their defaults on the page."""
    rows = [
        (
            f"`{each.name}`",
            amount(each.name, getattr(Limits(), each.name)),
            amount(each.name, getattr(CELL_LIMITS, each.name)),
            HOLDS[each.name],
        )
        for each in fields(Limits)
    ]
    table(("Name", "A test's calls", "Any other cell", "It limits"), rows)


def advice(answer: str, tests: Sequence[str]) -> None:
    """Put on the page what the linter says of tests of an answer."""
    made = [
        SourceCell(
            kind="answer",
            grade_id="answer",
            cell_type="code",
            source=answer,
            visible=answer,
        )
    ]
    rows = []
    for test in tests:
        cell = SourceCell(
            kind="test",
            grade_id="test",
            cell_type="code",
            source=test,
            visible=test,
        )
        plan = Plan(assignment="", notebook="", cells=(*made, cell))
        for each in lint.check(plan) or (None,):
            says, does = (each.says, each.advice) if each else ("", "")
            line = test.splitlines()[each.line - 1 if each else -1]
            rows.append((f"`{line}`", says or "nothing to change", does))
    table(("A line of a test", "The linter says", "Its advice"), rows)


def speed(found: Mapping[str, Any]) -> None:
    """Put on the page what one more submission costs, as was measured.

    Parameters
    ----------
    found : with `device`, `date`, `command` and `costs`; the first of
        these is that of nbgrader as it comes (see ``notebooks.measure``).
    """
    base = found["costs"][0]
    rows = [
        (
            f"{each['grader']}, {each['workers']} at a time",
            f"{1e3 * each['cpu_s']:,.0f} ms",
            f"{1e3 * each['wall_s']:,.0f} ms",
            f"{base['cpu_s'] / each['cpu_s']:.0f}",
            f"{base['wall_s'] / each['wall_s']:.0f}",
        )
        for each in found["costs"]
    ]
    head = (
        "One more submission",
        "processor",
        "on the wall",
        "times less processor",
        "times faster",
    )
    table(head, rows)
    for each in found["costs"]:
        if each.get("where") and each["workers"] == 1:
            whole = each["cpu_s"]
            table(
                ("Where that goes, one at a time", "processor", "share"),
                (
                    (told, f"{1e3 * s:,.0f} ms", f"{s / whole:.0%}")
                    for told, s in each["where"].items()
                ),
            )
    device, day = found["device"], date.fromisoformat(found["date"][:10])
    text = (
        f"Measured on {day.day} {day:%B %Y} by `{found['command']}` on a "
        f"machine with {device['cores']} cores ({device['name']})."
    )
    display(Html(f"<p>{_cell(text)}</p>", text))


def amount(name: str, value: float) -> str:
    """Return a limit as people say it, by the unit in its name.

    Examples
    --------
    >>> amount("cpu_s", 4.0), amount("memory_bytes", 1 << 30)
    ('4 s', '1 GiB')
    """
    if name.endswith("_s"):
        return f"{value:g} s"
    if not name.endswith("_bytes"):
        return f"{value:g}"
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} bytes"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Put a table on the page; what stands in `...` is code."""
    top = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(each)}</td>' for each in row)}</tr>"
        for row in rows
    )
    whole = (
        f'<table class="table course-ties"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    display(Html(whole, f"A table of {', '.join(head)}."))


def _cell(text: str) -> str:
    parts: list[Any] = html.escape(text).split("`")
    parts[1::2] = [f"<code>{each}</code>" for each in parts[1::2]]
    return "".join(parts)
