"""A mask drawn and composed, and the weights that it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference.masks import (
    causal_mask,
    combine_masks,
    padding_mask,
    unite_masks,
    window_mask,
)
from attncourse.reference.masks_patterns import prefix_mask
from attncourse.reference.softmax import masked_softmax

TITLE = "Draw a mask, compose it, and read the weights"
ALT = (
    "Two eight by eight grids for the tokens of a padded sentence. In the "
    "mask on the left every query may look at its own key and the two "
    "before it, and the two columns of padding are hatched, so that the "
    "last query sees one key. On the right the weights: each row shares "
    "one among the keys that it may see, and hatched keys have none."
)

WORDS = ["she", "sees", "the", "sea", "and", "smiles", "(pad)", "(pad)"]
COUNT = len(WORDS)
# In the order in which they are composed.
STEPS = [
    {"pattern": "causal", "operator": "and", "size": 1},
    {"pattern": "window", "operator": "", "size": 3},
    {"pattern": "prefix", "operator": "", "size": 3},
    {"pattern": "padding", "operator": "", "size": 6},
]
SAYS = {
    "causal": "the past and itself",
    "window": "the last few",
    "prefix": "a prefix, and the past",
    "padding": "what is real",
}


def scores() -> Any:
    """Return one score for each query and key, the same at every build."""
    return np.random.default_rng(5).normal(size=(COUNT, COUNT)).round(1)


def data() -> dict[str, Any]:
    """Return the tokens, their scores and where the composition starts."""
    steps = [{**step, "says": SAYS[str(step["pattern"])]} for step in STEPS]
    return {"words": WORDS, "scores": scores().tolist(), "steps": steps}


def pattern(name: str, size: int) -> Any:
    """Return one pattern, from the package."""
    if name == "padding":
        # It has one row, which holds for every query.
        real = padding_mask(np.array(size), keys=COUNT)
        return np.broadcast_to(real, (COUNT, COUNT))
    if name == "causal":
        return causal_mask(COUNT, COUNT)
    if name == "window":
        return window_mask(COUNT, COUNT, window=size)
    return prefix_mask(COUNT, COUNT, prefix=size)


def composed(steps: list[dict[str, Any]]) -> Any:
    """Return what the steps make, in their order, from the package."""
    mask = None
    for step in steps:
        here = pattern(step["pattern"], step["size"])
        if step["operator"].endswith("not"):
            here = ~here
        join = (
            combine_masks
            if step["operator"].startswith("and")
            else unite_masks
        )
        mask = here if mask is None else join(mask, here)
    return np.ones((COUNT, COUNT), dtype=bool) if mask is None else mask


def summary(
    steps: list[dict[str, Any]], edits: dict[int, bool]
) -> dict[str, Any]:
    """Return what the explorer shows, from the package's reference."""
    mask = composed(steps).copy()
    for place, seen in edits.items():
        mask.flat[place] = seen
    weights = masked_softmax(scores(), mask)
    blind = np.flatnonzero(~mask.any(axis=1))
    return {
        "mask": mask.ravel().tolist(),
        "weights": weights.tolist(),
        "blind": blind.tolist(),
    }


def fallback() -> Figure:
    """Draw a window combined with padding, and the weights."""
    steps = [
        {"pattern": "window", "operator": "and", "size": 3},
        {"pattern": "padding", "operator": "and", "size": 6},
    ]
    mask = composed(steps)
    weights = masked_softmax(scores(), mask)
    figure, axes = fig.new(1, 2, width=6.8, height=3.4)
    fig.heatmap(
        axes[0],
        np.where(mask, 1.0, np.nan),
        rows=WORDS,
        columns=WORDS,
        spec=None,
        limit=2.2,
    )
    fig.heatmap(
        axes[1],
        np.where(mask, weights, np.nan),
        columns=WORDS,
        spec=None,
        limit=1.0,
    )
    for i, j in np.argwhere(mask):
        axes[1].text(
            j,
            i,
            f"{weights[i, j]:.1f}",
            ha="center",
            va="center",
            fontsize=9,
            color="#fefefe" if weights[i, j] > 0.6 else "#000000",
        )
    for each, title in zip(
        axes, ["window of 3 and padding", "weights"], strict=True
    ):
        each.tick_params(axis="x", rotation=60)
        each.set_xlabel(title)
        each.xaxis.set_label_position("bottom")
    axes[0].set_ylabel("queries")
    return figure
