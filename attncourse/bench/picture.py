"""Draw what was measured: for each case its ratio, and the goal beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

KINDS = (".svg", ".png", ".pdf")
INK, MUTED, FAINT = "#1c2733", "#5a6775", "#c9d0d8"
SETTINGS: Any = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "attncourse",
}


class Look(NamedTuple):
    """How a verdict is drawn; each has a shape of its own, too."""

    color: str
    marker: str
    fill: str


LOOKS = {
    "met": Look("#0b62c4", "o", "full"),
    "missed": Look("#a85400", "X", "full"),
    "no goal": Look(MUTED, "D", "none"),
}


def require_kind(file: Path) -> None:
    """Require a file name that tells a kind of picture, and Matplotlib.

    To be called before minutes go by with measuring.

    Examples
    --------
    >>> require_kind(Path("speed.svg"))
    """
    if file.suffix.lower() not in KINDS:
        raise ValueError(
            f"a picture's name must end in {', '.join(KINDS)}: got {file.name}"
        )
    import matplotlib  # noqa: F401


def verdict(row: dict) -> str:
    """Return whether a case met its goal, in words.

    Examples
    --------
    >>> verdict({"ratio": 0.9, "target": 1.15})
    'met'
    """
    if row["target"] is None:
        return "no goal"
    return "met" if row["ratio"] <= row["target"] else "missed"


def draw(found: dict, file: Path) -> None:
    """Write a picture of the measurements to a file."""
    import matplotlib

    require_kind(file)
    with matplotlib.rc_context(SETTINGS):
        dated = {"Date": None} if file.suffix.lower() == ".svg" else None
        figure(found).savefig(file, dpi=150, metadata=dated, facecolor="white")


def figure(found: dict) -> Any:
    """Return the picture of the measurements, one line for each case.

    A dot stands at our time over that of torch's operator, on a
    logarithmic axis; the bar beside it is the goal that it should not
    pass. A round dot met its goal, a cross missed it, and an empty
    diamond has none.
    """
    import matplotlib
    from matplotlib.figure import Figure

    rows = in_order(found["rows"])
    with matplotlib.rc_context(SETTINGS):
        drawing = Figure(
            figsize=(7.2, 1.5 + 0.27 * len(rows)),
            layout="constrained",
            facecolor="none",  # a page has a colour of its own
        )
        axes = drawing.subplots()
        _lines(axes, rows)
        _frame(axes, found, rows)
        _legend(axes, rows)
    return drawing


def in_order(rows: Sequence[dict]) -> list[dict]:
    """Return the rows with those of one name together, short ones first.

    Examples
    --------
    >>> rows = [("b", 9), ("a", 5), ("b", 2)]
    >>> rows = [{"name": name, "length": length} for name, length in rows]
    >>> [row["length"] for row in in_order(rows)]
    [2, 9, 5]
    """
    names = list(dict.fromkeys(row["name"] for row in rows))
    return sorted(
        rows, key=lambda row: (names.index(row["name"]), row["length"])
    )


def _lines(axes: Any, rows: Sequence[dict]) -> None:
    """Draw each ratio, its goal, and what lies between."""
    for height, row in enumerate(rows):
        look, ratio, goal = LOOKS[verdict(row)], row["ratio"], row["target"]
        if goal is not None:
            axes.plot([ratio, goal], [height, height], color=look.color, lw=1)
            axes.plot(goal, height, "|", color=INK, ms=13, mew=2)
        axes.plot(
            ratio,
            height,
            look.marker,
            color=look.color,
            fillstyle=look.fill,
            ms=8,
        )
        missed = goal is not None and ratio > goal
        axes.annotate(
            f"{ratio:.2f}" + (f" (goal {goal:g})" if missed else ""),
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=look.color if missed else INK,
            weight="bold" if missed else "normal",
        )


def _frame(axes: Any, found: dict, rows: Sequence[dict]) -> None:
    """Name the lines, mark where both take equally long, say what it is."""
    axes.axvline(1, color=MUTED, lw=1, ls="--", zorder=0)
    axes.set_xscale("log", base=2)
    ends = [row[key] or 1.0 for row in rows for key in ("ratio", "target")]
    axes.set_xlim(min(0.5, *ends) / 1.2, max(2.0, *ends) * 1.2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_yticks(
        range(len(rows)),
        [f"{row['name']}  {row['length']}" for row in rows],
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", color=FAINT, lw=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "time / torch's scaled_dot_product_attention  (left is faster)"
    )
    busy = ", while the machine was busy" if found["busy"] else ""
    axes.set_title(
        f"{found['device']['name']}, {found['date'][:10]}{busy}",
        loc="left",
        fontsize=10,
        color=INK,
    )


def _legend(axes: Any, rows: Sequence[dict]) -> None:
    """Say what the shapes mean that occur."""
    for name, look in LOOKS.items():
        if any(verdict(row) == name for row in rows):
            axes.plot(
                [],
                [],
                look.marker,
                color=look.color,
                fillstyle=look.fill,
                label=name if name == "no goal" else f"goal {name}",
            )
    axes.plot([], [], "|", color=INK, ms=11, mew=2, label="goal")
    axes.figure.legend(
        loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
