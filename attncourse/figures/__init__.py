"""Figures and numbers of the book, in the course's colours.

A chapter says ``from attncourse import figures as fig`` and then, in
cells tagged ``remove-input``::

    figure, axes = fig.new(height=2.4)
    fig.heatmap(axes, weights, rows=["q1", "q2"], columns=["k1", "k2"])
    fig.show(figure, alt="Two rows of weights ...", caption="...")

    fig.number("first_weight", weights[0, 0], ".3f")   # {glue:text}`...`
    fig.mistakes("dense")

Blue is a query, orange a key, green a value, magenta an output:
`QUERY`, `KEY`, `VALUE`, `OUTPUT`, `INK`, `MUTED`, `FAINT` are colours for
Matplotlib, and the page turns them into the reader's light or dark theme.
"""

from attncourse.figures.draw import (
    arrows,
    bars,
    contrast,
    heatmap,
    image,
    points,
)
from attncourse.figures.page import (
    figure_html,
    formatted,
    mistakes,
    mistakes_html,
    number,
    show,
)
from attncourse.figures.style import (
    FAINT,
    INK,
    KEY,
    MUTED,
    OUTPUT,
    QUERY,
    ROLES,
    VALUE,
    new,
    role,
)
from attncourse.figures.ties import equivalences, levels, web

__all__ = [
    "FAINT",
    "INK",
    "KEY",
    "MUTED",
    "OUTPUT",
    "QUERY",
    "ROLES",
    "VALUE",
    "arrows",
    "bars",
    "contrast",
    "equivalences",
    "figure_html",
    "formatted",
    "heatmap",
    "image",
    "levels",
    "mistakes",
    "mistakes_html",
    "new",
    "number",
    "points",
    "role",
    "show",
    "web",
]
