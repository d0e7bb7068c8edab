"""The course's colours, and figures that use them in light and dark.

A query is blue, a key orange, a value green, an output magenta. Each role
has a marker and a hatch of its own too, so that colour is never the only
carrier of meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Role:
    """How one kind of thing looks.

    `light` and `dark` are its colours on a light and on a dark page;
    `marker` and `hatch` tell it apart without colour.
    """

    light: str
    dark: str
    marker: str
    hatch: str


# Each light colour occurs nowhere else in a drawing, so that the page can
# replace it by the theme's.
ROLES = {
    "query": Role("#0b62c4", "#74b3ff", "o", ""),
    "key": Role("#a85400", "#ffa94d", "s", "//"),
    "value": Role("#0a7a55", "#52d3a2", "D", ".."),
    "output": Role("#a0147f", "#f59ad0", "*", "xx"),
    "ink": Role("#1c2733", "#e6e8eb", "x", ""),
    "muted": Role("#5a6775", "#a3adb8", "x", ""),
    "faint": Role("#c9d0d8", "#48525d", "x", ""),
}
PAGE_LIGHT, PAGE_DARK = "#ffffff", "#121212"

QUERY = ROLES["query"].light
KEY = ROLES["key"].light
VALUE = ROLES["value"].light
OUTPUT = ROLES["output"].light
INK = ROLES["ink"].light
MUTED = ROLES["muted"].light
FAINT = ROLES["faint"].light

SETTINGS: Any = {
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlecolor": INK,
    "axes.prop_cycle": cycler(
        color=[QUERY, KEY, VALUE, OUTPUT],
        linestyle=["-", "--", "-.", ":"],
    ),
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def role(name: str) -> Role:
    """Return the look of one role.

    Examples
    --------
    >>> role("key").marker
    's'
    """
    if name not in ROLES:
        raise ValueError(
            f"role must be one of {', '.join(ROLES)}: got {name!r}"
        )
    return ROLES[name]


def new(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 6.4,
    height: float = 3.0,
    **grid: Any,
) -> tuple[Figure, Any]:
    """Return a figure in the course's style, and its axes.

    `width` and `height` are in inches; a page shows 6.8 inches at most.
    Further arguments go to `matplotlib.figure.Figure.subplots`. The style
    stays in force, since Matplotlib reads it whenever something is drawn.

    Examples
    --------
    >>> figure, axes = new(1, 2)
    >>> axes.shape
    (2,)
    """
    matplotlib.rcParams.update(SETTINGS)
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **grid)
