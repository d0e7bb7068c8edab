"""Which triplets of all matrices AdaLoRA keeps, and how many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.lora_adaptive import Triplets, checked_triplets
from attncourse.reference.lora_parts import exactly, number
from attncourse.shapes import Array, count, real

Numbers = Float[Array, "*axes"]


class Smoothed(NamedTuple):
    """What is remembered of each number's sensitivity, and how it varies."""

    sensitivity: Numbers
    uncertainty: Numbers


def sensitivity(weights: Numbers, gradient: Numbers) -> Numbers:
    r"""Return how much the loss would change without each number, about.

    .. math:: I(w) = |w \, \partial L / \partial w|

    Source: Zhang et al. (2023), section 3.2; a first-order estimate
    as in Molchanov et al. (2019), "Importance Estimation for Neural
    Network Pruning".

    Examples
    --------
    >>> sensitivity([2.0, -3.0], [5.0, 7.0]).tolist()
    [10.0, 21.0]
    """
    weights, gradient = real("weights", weights), real("gradient", gradient)
    _require_shape("gradient", gradient, weights.shape)
    return np.abs(weights * gradient)


def smooth(
    before: Smoothed | None,
    now: Numbers,
    *,
    keep: float = 0.85,
    keep_uncertainty: float = 0.85,
) -> Smoothed:
    r"""Return running means of a sensitivity and of how much it varies.

    .. math:: \bar{I}_t = \beta_1 \bar{I}_{t-1} + (1 - \beta_1) I_t, \qquad
              \bar{U}_t = \beta_2 \bar{U}_{t-1} +
              (1 - \beta_2)\,|I_t - \bar{I}_t|

    A sensitivity is measured on one batch and jumps. The score of a number
    is the product of both means.

    Parameters
    ----------
    before : what was returned for the last batch, None for the first.
    keep, keep_uncertainty : the betas, at least 0 and below 1.

    Source: Zhang et al. (2023), section 3.2.

    Examples
    --------
    >>> mean, varies = smooth(None, [8.0], keep=0.5, keep_uncertainty=0.75)
    >>> mean.tolist(), varies.tolist()
    ([4.0], [1.0])
    """
    now = real("now", now)
    for name, beta in {
        "keep": keep,
        "keep_uncertainty": keep_uncertainty,
    }.items():
        if not 0 <= number(name, beta) < 1:
            raise ValueError(
                f"{name} must be at least 0 and below 1: got {beta}"
            )
    if before is None:
        before = Smoothed(np.zeros_like(now), np.zeros_like(now))
    mean, varies = (real("before", each) for each in before)
    _require_shape("now", now, mean.shape)
    _require_shape("uncertainty", varies, mean.shape)
    mean = keep * mean + (1 - keep) * now
    varies = keep_uncertainty * varies + (1 - keep_uncertainty) * np.abs(
        now - mean
    )
    return Smoothed(mean, varies)


def importance(scores: Triplets) -> Float[Array, "rank"]:
    r"""Return the importance of each triplet from the scores of its numbers.

    .. math:: S_i = s(\lambda_i) + \frac{1}{d} \sum_j s(P_{ji}) +
              \frac{1}{d_{out}} \sum_j s(Q_{ij})

    Parameters
    ----------
    scores : a score of every number, where the number stands in the update.

    Source: Zhang et al. (2023), section 3.2.

    Examples
    --------
    >>> importance(Triplets([[1], [3]], [10], [[4, 8]])).tolist()
    [18.0]
    """
    left, values, right = checked_triplets(scores)
    return values + left.mean(axis=0) + right.mean(axis=1)


def rank_budget(
    step: int, *, first: int, last: int, steps: int, warm: int, final: int
) -> int:
    r"""Return how many triplets all matrices may keep after a step.

    .. math:: b_t = b_T + (b_0 - b_T)
              \left(1 - \frac{t - t_i}{T - t_i - t_f}\right)^3

    for steps from t_i to T - t_f; the first budget before, the last one
    after. Rounded to the nearest number, halves up.

    Parameters
    ----------
    first, last : budgets at the start and at the end.
    steps : T, of the whole training.
    warm, final : t_i steps before anything is pruned, t_f steps after.

    Source: Zhang et al. (2023), section 3.3; cubic as in Zhu & Gupta
    (2017), "To prune, or not to prune".

    Examples
    --------
    >>> [
    ...     rank_budget(t, first=80, last=16, steps=6, warm=1, final=1)
    ...     for t in range(7)
    ... ]
    [80, 80, 43, 24, 17, 16, 16]
    """
    step, first = count("step", step, least=0), count("first", first, least=0)
    last = count("last", last, least=0)
    falling = count("steps", steps) - count("warm", warm, least=0)
    falling -= count("final", final, least=0)
    if falling < 1 or last > first:
        raise ValueError(
            "budget must fall, between warm and final steps: got "
            f"first={first}, last={last}, steps={steps}, warm={warm}, "
            f"final={final}"
        )
    left = 1 - min(max(step - warm, 0) / falling, 1.0)
    return last + math.floor((first - last) * left**3 + 0.5)


def allocate(
    importances: Sequence[Float[Array, "_"]], *, budget: int
) -> list[Bool[Array, "_"]]:
    r"""Return which triplets of each matrix stay: the most important of all.

    .. math:: \text{keep}_{ki} = [\, S_{ki} \text{ among the } b
              \text{ largest} \,]

    Of equals the earlier stays, in an earlier matrix or place.

    Source: Zhang et al. (2023), section 3.3, algorithm 1.

    Examples
    --------
    >>> [each.tolist() for each in allocate([[1, 5], [4]], budget=2)]
    [[False, True], [True]]
    """
    budget = count("budget", budget, least=0)
    scores = [exactly("importances", each, "rank") for each in importances]
    ends = np.cumsum([len(each) for each in scores])
    together = np.concatenate([np.zeros(0), *scores])
    wrong = np.count_nonzero(np.isnan(together))
    if wrong:  # and no order would hold
        raise ValueError(f"importances must be numbers: got {wrong} NaN")
    keep = np.zeros(len(together), bool)
    keep[np.argsort(-together, kind="stable")[:budget]] = True
    return np.split(keep, ends)[: len(scores)]


def _require_shape(name: str, value: Array, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(
            f"{name} must have the weights' shape {shape}: got {value.shape}"
        )
