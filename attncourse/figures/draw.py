"""What the chapters draw: matrices, bars, points, arrows and digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from attncourse.figures.style import INK, MUTED, role

# Above this many cells, numbers are too small to read.
READABLE = 150


def luminance(colour: Any) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it.

    Examples
    --------
    >>> luminance("#ffffff"), luminance("#000000")
    (1.0, 0.0)
    """
    channels: np.ndarray = np.array(to_rgb(colour))
    linear = np.where(
        channels <= 0.04045,
        channels / 12.92,
        ((channels + 0.055) / 1.055) ** 2.4,
    )
    return round(float(linear @ [0.2126, 0.7152, 0.0722]), 12)


def contrast(one: Any, other: Any) -> float:
    """Return the contrast ratio of two colours, from 1 to 21.

    Examples
    --------
    >>> contrast("#ffffff", "#000000")
    21.0
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def heatmap(
    axes: Axes,
    matrix: ArrayLike,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    colour: str = "key",
    spec: str | None = ".2f",
    limit: float | None = None,
) -> None:
    """Draw a matrix with its numbers in the cells.

    White is zero, the role's full colour is `limit` (the largest absolute
    entry unless given); negative entries run towards the query's blue, or
    the key's orange where blue is positive. NaN is hatched.

    Parameters
    ----------
    matrix : shape (rows, columns).
    rows, columns : labels; by default none.
    colour : the role whose colour means "much".
    spec : how numbers are written; None writes none.
    """
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(
            f"matrix must have axes (rows, columns): got shape {array.shape}"
        )
    for name, labels, size in (
        ("rows", rows, array.shape[0]),
        ("columns", columns, array.shape[1]),
    ):
        if labels is not None and len(labels) != size:
            raise ValueError(
                f"{name} must name each of {size}: got {len(labels)} labels"
            )
    if limit is None:
        limit = float(np.nanmax(np.abs(array), initial=0.0)) or 1.0
    shades = _shades(colour)
    write = spec is not None and array.size <= READABLE
    for (row, column), value in np.ndenumerate(array):
        _cell(axes, row, column, value, shades, limit)
        if write:
            _number(axes, row, column, value, shades, limit, spec)
    _frame(axes, array.shape, rows, columns)


def _shades(colour: str) -> LinearSegmentedColormap:
    full = _fixed(role(colour).light)
    against = _fixed(role("key" if colour == "query" else "query").light)
    return LinearSegmentedColormap.from_list(
        colour, [against, "#ffffff", full]
    )


def _fixed(colour: str) -> str:
    """Return the next colour: one that the page's theme leaves alone.

    A number stands on it in black or white, whatever the theme is.
    """
    return f"#{int(colour[1:], 16) ^ 1:06x}"


def _fill(value: float, shades: Any, limit: float) -> Any:
    if not np.isfinite(value):
        return (1.0, 1.0, 1.0, 1.0)
    return shades(0.5 + 0.5 * np.clip(value / limit, -1, 1))


def _cell(
    axes: Axes, row: int, column: int, value: float, shades: Any, limit: float
) -> None:
    axes.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5),
            1,
            1,
            facecolor=_fill(value, shades, limit),
            # Fixed colours: a cell brings its own background along.
            edgecolor="#8d99a6",
            linewidth=0.6,
            hatch="xx" if np.isnan(value) else None,
        )
    )


def _number(
    axes: Axes,
    row: int,
    column: int,
    value: float,
    shades: Any,
    limit: float,
    spec: str | None,
) -> None:
    fill = _fill(value, shades, limit)[:3]
    dark = contrast(fill, "#000000") >= contrast(fill, "#ffffff")
    axes.text(
        column,
        row,
        format(value, spec or "").replace("-", "\N{MINUS SIGN}"),
        ha="center",
        va="center",
        fontsize=9,
        color="#000000" if dark else "#fefefe",
    )


def _frame(
    axes: Axes,
    shape: tuple[int, ...],
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
) -> None:
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(range(shape[1]) if columns is not None else [])
    axes.set_yticks(range(shape[0]) if rows is not None else [])
    if columns is not None:
        axes.set_xticklabels(columns)
    if rows is not None:
        axes.set_yticklabels(rows)


def bars(
    axes: Axes,
    heights: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    colour: str = "key",
    spec: str | None = ".2f",
) -> None:
    """Draw one bar for each number, with the number above it."""
    heights = np.asarray(heights, dtype=np.float64)
    if heights.ndim != 1:
        raise ValueError(
            f"heights must have one axis: got shape {heights.shape}"
        )
    look = role(colour)
    drawn = axes.bar(
        range(len(heights)),
        heights,
        color=look.light,
        edgecolor=INK,
        linewidth=0.6,
        width=0.7,
    )
    if spec is not None:
        axes.bar_label(drawn, fmt=f"{{:{spec}}}", fontsize=9, padding=2)
    axes.set_xticks(range(len(heights)))
    axes.set_xticklabels(
        labels if labels is not None else list(map(str, range(len(heights))))
    )
    axes.margins(y=0.15)


def points(
    axes: Axes,
    at: ArrayLike,
    *,
    colour: str,
    labels: Sequence[str] = (),
    size: float = 60,
) -> None:
    """Draw points of shape (points, 2) with the role's marker."""
    at = np.atleast_2d(np.asarray(at, dtype=np.float64))
    look = role(colour)
    axes.scatter(
        at[:, 0],
        at[:, 1],
        s=size * (2 if look.marker == "*" else 1),
        color=look.light,
        marker=look.marker,
        zorder=3,
    )
    for place, label in zip(at, labels, strict=False):
        axes.annotate(
            label,
            (place[0], place[1]),
            xytext=(7, 6),
            textcoords="offset points",
            color=look.light,
        )


def arrows(
    axes: Axes,
    to: ArrayLike,
    *,
    colour: str,
    labels: Sequence[str] = (),
    start: ArrayLike = (0.0, 0.0),
) -> None:
    """Draw arrows from `start` to points of shape (arrows, 2)."""
    ends = np.atleast_2d(np.asarray(to, dtype=np.float64))
    begin = np.asarray(start, dtype=np.float64)
    look = role(colour)
    for end in ends:
        axes.annotate(
            "",
            xy=(end[0], end[1]),
            xytext=(begin[0], begin[1]),
            arrowprops={
                "arrowstyle": "-|>",
                "color": look.light,
                "linewidth": 2,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    # Invisible points make the axes large enough for the arrows.
    axes.scatter([*ends[:, 0], begin[0]], [*ends[:, 1], begin[1]], alpha=0)
    for end, label in zip(ends, labels, strict=False):
        axes.annotate(
            label,
            (end[0], end[1]),
            xytext=(5, 5),
            textcoords="offset points",
            color=look.light,
        )


def image(
    axes: Axes, pixels: ArrayLike, *, title: str = "", top: float = 1.0
) -> None:
    """Draw a grey image: 0 is paper, `top` is ink."""
    axes.imshow(
        np.asarray(pixels),
        cmap="gray_r",
        vmin=0,
        vmax=top,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(MUTED)
    if title:
        axes.set_title(title)
