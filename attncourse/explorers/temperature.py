"""Scores to weights at a temperature: how sharp, and how deaf to changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attncourse import figures as fig
from attncourse.reference.softmax import (
    entropy,
    softmax_jacobian,
    softmax_with_temperature,
)

TITLE = "Temperature, from cold to hot"
ALT = (
    "Two charts against the temperature on a logarithmic axis, for the "
    "scores 2, 1, 0 and minus 1. On the left the weights: at a low "
    "temperature the highest score has weight one; as it rises all four "
    "run together at one quarter. On the right the entropy rises from zero "
    "to its maximum, while the size of the Jacobian is near zero at both "
    "ends and has one maximum between them."
)

SCORES = [2.0, 1.0, 0.0, -1.0]
COLDEST, HOTTEST = 0.05, 50.0
LOWEST, HIGHEST = -5.0, 5.0


def data() -> dict[str, Any]:
    """Return where the scores start and how far everything may move."""
    return {
        "scores": SCORES,
        "score": {"min": LOWEST, "max": HIGHEST, "step": 0.1},
        "temperature": {"min": COLDEST, "max": HOTTEST, "start": 1.0},
    }


def summary(scores: Any, temperature: float) -> dict[str, Any]:
    """Return what the explorer shows, from the package's reference.

    `jacobian` is the root of the sum of squares of the derivatives of all
    weights with respect to all scores; by the chain rule the temperature
    divides it.
    """
    weights = softmax_with_temperature(scores, temperature=temperature)
    jacobian = softmax_jacobian(weights) / temperature
    return {
        "weights": weights,
        "entropy": float(entropy(weights)),
        "jacobian": float(np.sqrt((jacobian**2).sum())),
    }


def fallback() -> Figure:
    """Draw weights, entropy and Jacobian against the temperature."""
    temperatures = np.geomspace(COLDEST, HOTTEST, 200)
    rows = [summary(SCORES, each) for each in temperatures]
    figure, axes = fig.new(1, 2, width=6.8, height=2.9)
    weights = np.array([each["weights"] for each in rows])
    for key, style in enumerate(["-", "--", "-.", ":"]):
        axes[0].plot(
            temperatures,
            weights[:, key],
            color=fig.KEY,
            linestyle=style,
            label=f"score {SCORES[key]:.0f}".replace("-", "\N{MINUS SIGN}"),
        )
    axes[0].set_title("weights")
    for name, style, colour in (
        ("entropy", "-", fig.INK),
        ("jacobian", "--", fig.OUTPUT),
    ):
        axes[1].plot(
            temperatures,
            [each[name] for each in rows],
            color=colour,
            linestyle=style,
            label={"jacobian": "size of the Jacobian"}.get(name, name),
        )
    axes[1].set_title("spread and slope")
    for each in axes:
        each.set_xscale("log")
        each.set_xlabel("temperature")
        each.legend(fontsize=8)
    return figure
