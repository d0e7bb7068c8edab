"""One sentence, read by heads side by side, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference.heads import (
    Projections,
    flop_count,
    head_weights,
    parameter_count,
    score_count,
)
from attncourse.reference.positions import shift_matrix, sinusoidal

TITLE = "Heads side by side, at equal cost"
ALT = (
    "Four eight by eight weight matrices for one sentence. In the first "
    "head nearly every token reads the one before it. In the second, tokens "
    "of one kind read each other: articles read articles, nouns nouns. In "
    "the third articles and verbs read the nouns, and nouns the verbs. In "
    "the fourth every row is even."
)

WORDS = ["the", "dog", "that", "chased", "the", "cats", "barks", "loudly"]
# Article, noun, verb, other.
KINDS = [0, 1, 3, 2, 0, 1, 2, 3]
HEADS = [1, 2, 4, 8]
WIDTH = 16
SLOWER = 16.0  # base of the two clocks that tell where a token stands


def tokens() -> Any:
    """Return the sentence: what kind of word, and where it stands."""
    kinds = np.eye(4)[KINDS]
    places = sinusoidal(np.arange(len(WORDS)), dim=4, base=SLOWER)
    return np.hstack([kinds, places, np.zeros((len(WORDS), WIDTH - 8))])


def layer() -> Projections:
    """Return projections that a hand has made, four columns a wish.

    The place before; the same kind of word; the nouns that a verb or an
    article belongs to; nothing in particular.
    """
    query, key = np.zeros((2, WIDTH, WIDTH))
    kinds, places = slice(0, 4), slice(4, 8)
    query[places, 0:4] = 9 * shift_matrix(-1, dim=4, base=SLOWER).T
    key[places, 0:4] = np.eye(4)
    query[kinds, 4:8] = 6 * np.eye(4)
    key[kinds, 4:8] = np.eye(4)
    # Articles and verbs ask for nouns; nouns ask for verbs; others for all.
    query[0, 9] = query[2, 9] = 6
    query[1, 10] = 6
    key[kinds, 8:12] = np.eye(4)
    same = np.eye(WIDTH)
    return Projections(query, key, same, same)


def data() -> dict[str, Any]:
    """Return the weights of every way to cut the width, and the counts."""
    return {
        "words": WORDS,
        "width": WIDTH,
        "start": {"heads": 4, "query": 6},
        "cuts": [cut(heads) for heads in HEADS],
    }


def cut(heads: int) -> dict[str, Any]:
    """Return the weights of so many heads of one width, and their cost."""
    x, sizes = tokens(), {"width": WIDTH, "heads": heads}
    sizes["dim"] = WIDTH // heads
    weights = head_weights(x, x, layer(), heads=heads)
    count = len(WORDS)
    products = flop_count(queries=count, keys=count, **sizes)
    return {
        "heads": heads,
        "dim": sizes["dim"],
        "weights": weights.round(4).tolist(),
        "parameters": parameter_count(**sizes, bias=False),
        "operations": sum(products.values()),
        "stored": score_count(queries=count, keys=count, heads=heads),
    }


def fallback() -> Figure:
    """Draw the four heads."""
    weights = head_weights(tokens(), tokens(), layer(), heads=4)
    figure, axes = fig.new(2, 2, width=6.2, height=5.8)
    for head, each in enumerate(axes.flat):
        fig.heatmap(
            each,
            weights[head],
            spec=None,
            limit=1.0,
            rows=WORDS if head % 2 == 0 else None,
            columns=WORDS,
        )
        each.tick_params(axis="x", rotation=60)
        each.set_xlabel(f"head {head}")
        each.xaxis.set_label_position("bottom")
    return figure
