"""One sentence that reads itself: scores, weights, and what is mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attncourse import figures as fig
from attncourse.reference.dense import attention, attention_weights
from attncourse.reference.scores import scaled_scores

TITLE = "From scores to weights to output"
ALT = (
    "Three tables with one row for each word of Mia gave Tom her red hat. "
    "The scores with every word as a key; the weights, whose rows sum to "
    "one; and the outputs, with a column for each feature of the values. "
    "The row of the word her is framed: its highest score and nearly all of "
    "its weight are at Mia, and its output is mostly a person."
)

TOKENS = ["Mia", "gave", "Tom", "her", "red", "hat"]
# Set by hand, so that a reader can check every product.
# What a word offers: a woman, a man, a thing, a description.
KEYS = [
    [3, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 3, 0, 0],
    [1, 0, 0, 2],
    [0, 0, 0, 3],
    [0, 0, 3, 0],
]
# What a word looks for, in the same features.
QUERIES = [
    [1, 0, 0, 0],
    [2, 2, 2, 0],
    [0, 1, 0, 0],
    [3, 0, 1, 0],
    [0, 0, 3, 0],
    [0, 0, 0, 3],
]
FEATURES = ["person", "deed", "thing", "colour"]
# What a word hands on to whoever reads it.
VALUES = [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [1, 0, 0, 0],
    [0.5, 0, 0, 0],
    [0, 0, 0, 1],
    [0, 0, 1, 0],
]
START = TOKENS.index("her")


def data() -> dict[str, Any]:
    """Return the words with their queries, keys and values."""
    return {
        "tokens": TOKENS,
        "queries": QUERIES,
        "keys": KEYS,
        "values": VALUES,
        "features": FEATURES,
        "start": START,
    }


def summary() -> dict[str, Any]:
    """Return scores, weights and output from the package's reference."""
    q, k, v = (
        np.array(each, dtype=np.float64) for each in (QUERIES, KEYS, VALUES)
    )
    return {
        "scores": scaled_scores(q, k),
        "weights": attention_weights(q, k),
        "output": attention(q, k, v),
    }


def fallback() -> Figure:
    """Draw scores, weights and outputs, with one row framed."""
    found = summary()
    figure, axes = fig.new(1, 3, width=6.8, height=2.8)
    for each, name, columns, colour, spec in (
        (axes[0], "scores", TOKENS, "key", ".1f"),
        (axes[1], "weights", TOKENS, "key", ".2f"),
        (axes[2], "output", FEATURES, "output", ".2f"),
    ):
        fig.heatmap(
            each,
            found[name],
            rows=TOKENS,
            columns=columns,
            colour=colour,
            spec=spec,
        )
        for text in each.texts:
            text.set_fontsize(6.5)
        each.tick_params(labelsize=7.5)
        each.set_xlabel(name)
        each.xaxis.set_label_position("bottom")
        each.add_patch(
            Rectangle(
                (-0.5, START - 0.5),
                len(columns),
                1,
                fill=False,
                edgecolor=fig.QUERY,
                linewidth=2,
                zorder=4,
            )
        )
    return figure
