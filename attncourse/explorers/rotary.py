"""Rotary positions: angles against distance, and what a score depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference.positions import frequencies, rotary

TITLE = "Turn a query and a key, and move both"
ALT = (
    "Two charts against the distance of a key from its query, for a width "
    "of eight. On the left, both axes logarithmic, the angle of each of the "
    "four pairs: four parallel rising lines, the fastest on top, and a level "
    "line at one whole turn, which every pair reaches at ten times the "
    "distance of the one before. On the right the score: it swings quickly "
    "with the fastest pair and slowly with the others."
)

DIM = 8
QUERY = [1.0, 0.4, 0.9, -0.3, 1.1, 0.2, 0.8, 0.5]
KEY = [0.9, 0.1, 1.0, 0.3, 0.7, -0.4, 1.0, 0.1]
BASE = 10_000.0
FARTHEST = 64


def data() -> dict[str, Any]:
    """Return a query, a key, and how far everything may move."""
    return {
        "query": QUERY,
        "key": KEY,
        "start": {"at": 9, "distance": 5, "base": BASE},
        "most": {"at": 1000, "distance": FARTHEST, "base": 1e6},
    }


def summary(at: int, distance: int, base: float) -> dict[str, Any]:
    """Return what the explorer shows, from the package's reference.

    The key stands `distance` places before the query; both are turned by
    their own positions.
    """
    places = np.array([at, at - distance])
    q, k = rotary(np.array([QUERY, KEY]), places, base=base)
    angles = distance * frequencies(DIM, base=base)
    return {
        "query": q.tolist(),
        "key": k.tolist(),
        "score": float(q @ k),
        "angles": angles.tolist(),
        "turns": np.floor(np.abs(angles) / (2 * np.pi)).astype(int).tolist(),
    }


def fallback() -> Figure:
    """Draw the pairs' angles and the score against the distance."""
    figure, axes = fig.new(1, 2, width=6.8, height=2.9)
    far = np.geomspace(1, 8192, 60)
    for pair, speed in enumerate(frequencies(DIM)):
        style = ["-", "--", "-.", ":"][pair]
        axes[0].loglog(far, far * speed, style, color=fig.INK)
        axes[0].annotate(
            f"pair {pair}",
            (8192, 8192 * speed),
            textcoords="offset points",
            xytext=(2, -3),
            fontsize=8,
            color=fig.INK,
        )
    axes[0].axhline(2 * np.pi, color=fig.OUTPUT, linestyle="-", linewidth=1)
    axes[0].text(1, 2.4 * np.pi, "one turn", fontsize=8, color=fig.OUTPUT)
    axes[0].set_title("angle in radians")
    near = np.arange(0, FARTHEST + 1)
    axes[1].plot(
        near,
        [summary(0, int(each), BASE)["score"] for each in near],
        color=fig.OUTPUT,
    )
    axes[1].set_title("score")
    for each in axes:
        each.set_xlabel("distance")
    return figure
