"""How wide queries and keys spread their scores, with and without scale."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference.scores import dot_scores, scaled_scores
from attncourse.reference.softmax import softmax, softmax_jacobian

TITLE = "The width, the scale and the spread of scores"
ALT = (
    "Two charts against the width of queries and keys, from 1 to 128. On "
    "the left the variance of the scores: without a scale it grows like the "
    "width, divided by the root of the width it stays at one, divided by "
    "the width it falls. On the right the mean largest of eight weights: it "
    "rises towards one without a scale, stays level with the root, and "
    "falls towards one eighth with the width."
)

WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128]
SCALES = ["none", "root", "width"]
ROWS, KEYS, SHOWN = 2000, 8, 6
# Wide enough for three standard deviations of the widest.
EDGE, BINS = 40.0, 160
SURE = 0.99


@cache
def summary() -> dict[str, Any]:
    """Return spread, peak and slope for each scale and width.

    Queries and keys are drawn with independent entries of mean 0 and
    variance 1: `ROWS` queries for each width, `KEYS` keys for each query.
    """
    rng = np.random.default_rng(7)
    found: dict[str, Any] = {name: [] for name in SCALES}
    found["examples"] = []
    for width in WIDTHS:
        q = rng.normal(size=(ROWS, 1, width))
        k = rng.normal(size=(ROWS, KEYS, width))
        dots = dot_scores(q, k)[:, 0]
        found["examples"].append(dots[:SHOWN].round(6).tolist())
        found["none"].append(_facts(dots))
        found["root"].append(_facts(scaled_scores(q, k)[:, 0]))
        found["width"].append(_facts(dots / width))
    return found


def _facts(scores: np.ndarray) -> dict[str, Any]:
    """Describe scores of shape (rows, keys)."""
    weights = softmax(scores)
    peaks = weights.max(axis=-1)
    slopes = np.linalg.norm(softmax_jacobian(weights), axis=(-2, -1))
    # The few beyond the ends are counted in the last bars.
    counts, _ = np.histogram(
        scores.clip(-EDGE, EDGE), bins=BINS, range=(-EDGE, EDGE)
    )
    return {
        "variance": round(float(scores.var()), 5),
        "peak": round(float(peaks.mean()), 5),
        "sure": round(float((peaks > SURE).mean()), 5),
        "slope": round(float(slopes.mean()), 5),
        "counts": counts.tolist(),
    }


def data() -> dict[str, Any]:
    """Return the facts for every width, and some rows of scores."""
    return {"widths": WIDTHS, "edge": EDGE, "sure": SURE, **summary()}


def fallback() -> Figure:
    """Draw variance and largest weight against the width."""
    found = summary()
    figure, axes = fig.new(1, 2, width=6.8, height=2.9)
    for name, label, style, marker in (
        ("none", "no scale", "-", "o"),
        ("root", "over the root", "--", "s"),
        ("width", "over the width", ":", "D"),
    ):
        for each, fact in zip(axes, ("variance", "peak"), strict=True):
            each.plot(
                WIDTHS,
                [row[fact] for row in found[name]],
                color=fig.INK if name == "root" else fig.KEY,
                linestyle=style,
                marker=marker,
                markersize=4,
                label=label,
            )
    for each in axes:
        each.set_xscale("log", base=2)
        each.set_xticks(WIDTHS, list(map(str, WIDTHS)))
        each.minorticks_off()
        each.set_xlabel("width")
    axes[0].set_yscale("log", base=2)
    axes[0].set_yticks([1 / 64, 1, 64], ["1/64", "1", "64"])
    axes[0].set_title("variance of the scores")
    axes[1].set_title("mean largest of eight weights")
    axes[1].set_ylim(0, 1)
    axes[0].legend(fontsize=8)
    return figure
