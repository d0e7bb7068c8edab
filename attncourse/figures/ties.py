"""The equivalence web, drawn and measured."""

from __future__ import annotations

import html
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from attncourse.equivalences import TABLE, Equivalence
from attncourse.figures.page import Html, display
from attncourse.figures.style import FAINT, INK, MUTED, new

ROOT = "dense attention"
ROW = 0.34  # inches of height for a name


def levels(rows: Iterable[Equivalence]) -> list[list[str]]:
    """Return the mechanisms by their distance from dense attention.

    Those that nothing leads to stand at the end, in a list of their own.

    Examples
    --------
    >>> levels(TABLE)[0]
    ['dense attention']
    """
    edges = [(row.left, row.right) for row in rows]
    found = [[ROOT]]
    seen = {ROOT}
    while found[-1]:
        reached = [
            name
            for pair in edges
            if seen & set(pair)
            for name in pair
            if name not in seen
        ]
        found.append(list(dict.fromkeys(reached)))
        seen.update(reached)
    rest = [name for pair in edges for name in pair if name not in seen]
    return [*found[:-1], list(dict.fromkeys(rest))]


def web() -> Figure:
    """Return the drawing: a name for each mechanism, a line for each tie.

    Only what leads to dense attention is drawn.
    """
    columns = levels(TABLE)[:-1]
    height = ROW * max(map(len, columns))
    figure, axes = new(height=height)
    axes.axis("off")
    where = {}
    for x, names in enumerate(columns):
        for n, name in enumerate(names):
            where[name] = (x, (n + 0.5) / len(names))
    for row in TABLE:
        if row.left not in where:
            continue
        (x1, y1), (x2, y2) = where[row.left], where[row.right]
        bend = [x1, (x1 + x2) / 2 + 0.25 * (x1 == x2), x2]
        axes.plot(bend, [y1, (y1 + y2) / 2, y2], "-", color=MUTED, lw=0.8)
    for name, (x, y) in where.items():
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
            bbox={"boxstyle": "round", "fc": FAINT, "ec": FAINT},
            zorder=2,
        )
    axes.set_xlim(-0.5, len(columns) - 0.5)
    return figure


def equivalences(*, seed: int = 0) -> None:
    """Put the table on the page, with the differences measured now."""
    head = ("This", "is this", "when", "difference")
    cells = "".join(f"<th>{name}</th>" for name in head)
    lines = [f"<thead><tr>{cells}</tr></thead><tbody>"]
    for row in TABLE:
        difference = row.difference(np.random.default_rng(seed))
        shown = "none" if difference == 0 else f"{difference:.0e}"
        texts = (row.left, row.right, row.when, shown)
        cells = "".join(f"<td>{html.escape(each)}</td>" for each in texts)
        lines.append(f"<tr>{cells}</tr>")
    rows = "".join(lines)
    table = f'<table class="table course-ties">{rows}</tbody></table>'
    display(Html(table, "The table of equivalences."))
