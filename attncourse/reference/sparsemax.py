"""Sparsemax and entmax: weights of which most may be exactly zero.

Softmax gives every key some weight. Its relatives give none to a key whose
score is far enough below the highest. One number, alpha, leads from
softmax (1) through `entmax_15` to sparsemax (2). Gradients and the entropy
that all of them maximise are in `sparsemax_gradients`.

Everywhere here minus infinity is a key that may not be seen; a row of
nothing else is all zeros. NaN or plus infinity makes NaN of the row.
"""

from __future__ import annotations

import numpy as np

from attncourse.reference.dense import weighted_sum
from attncourse.reference.scores import scaled_scores
from attncourse.reference.softmax import Rows
from attncourse.reference.sparsemax_gradients import (
    entmax_backward,
    exponent,
    sparsemax_backward,
    tsallis_entropy,
)
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Scores,
    Values,
    Weights,
    boolean,
    real,
    require_broadcast,
)

__all__ = [
    "entmax",
    "entmax_15",
    "entmax_attention",
    "entmax_backward",
    "masked_entmax",
    "masked_sparsemax",
    "sparsemax",
    "sparsemax_attention",
    "sparsemax_backward",
    "tsallis_entropy",
]

# No threshold is lower: so far below the highest there is no weight.
FLOOR = -1.0
HALVINGS = 110  # then the highest weight has all its digits
LARGEST = np.finfo(np.float64).max


def sparsemax(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the point of the simplex that is nearest to the scores.

    .. math:: a_j = [s_j - \tau]_+, \qquad
              \tau = \max_k \tfrac{1}{k}
              \Big(\sum_{j \le k} s_{(j)} - 1\Big)

    The scores are sorted, highest first. If the k highest had all the
    weight, the threshold would be the k-th candidate; it rises as long as
    the next score is above it and falls from then on.

    Source: Martins & Astudillo (2016), "From Softmax to Sparsemax",
    algorithm 1.

    Examples
    --------
    >>> sparsemax(np.array([1.0, 0.5, -2.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    scores = real("scores", scores, "keys")
    z = np.maximum(_below_highest(scores, axis), FLOOR)
    ordered = np.flip(np.sort(z), axis=-1)
    ranks = np.arange(1, z.shape[-1] + 1)
    candidates = (np.cumsum(ordered, axis=-1) - 1.0) / ranks
    threshold = np.max(candidates, axis=-1, keepdims=True, initial=FLOOR)
    return _as_came(np.maximum(z - threshold, 0.0), scores, axis)


def entmax_15(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the entmax weights of alpha 1.5, exactly, by sorting.

    .. math:: a_j = \left[\tfrac{s_j}{2} - \tau\right]_+^2, \qquad
              \tau_k = \mu_k - \sqrt{\tfrac{1}{k} - \sigma_k^2}

    Here the k highest halves of scores have the mean and the variance with
    index k. The threshold is that of the largest k for which it is not
    above the k-th.

    Source: Peters, Niculae & Martins (2019), "Sparse Sequence-to-Sequence
    Models", algorithm 2.

    Examples
    --------
    >>> entmax_15(np.array([0.0, 0.0, 0.0, 0.0, -1.0])).tolist()
    [0.25, 0.25, 0.25, 0.25, 0.0]
    """
    scores = real("scores", scores, "keys")
    x = np.maximum(_below_highest(scores, axis) / 2, FLOOR)
    ordered = np.flip(np.sort(x), axis=-1)
    ranks = np.arange(1, x.shape[-1] + 1)
    mean = np.cumsum(ordered, axis=-1) / ranks
    variance = np.cumsum(ordered**2, axis=-1) / ranks - mean**2
    candidates = mean - np.sqrt(np.maximum(1 / ranks - variance, 0.0))
    kept = np.where(candidates <= ordered, candidates, FLOOR)
    threshold = np.max(kept, axis=-1, keepdims=True, initial=FLOOR)
    return _as_came(np.maximum(x - threshold, 0.0) ** 2, scores, axis)


def entmax(scores: Rows, *, alpha: float, axis: int = -1) -> Rows:
    r"""Return weights between softmax and sparsemax, and beyond.

    .. math:: a_j = [(\alpha - 1) s_j - \tau]_+^{1 / (\alpha - 1)}
              = h \left[1 - (\alpha - 1)\,\frac{s_{max} - s_j}
              {h^{\alpha - 1}}\right]_+^{1 / (\alpha - 1)}

    The second form asks for the highest weight h in the place of the
    threshold and is exact for every alpha, down to 1, where the power is
    the exponential. The weights grow with h; bisection finds the one at
    which they sum to one.

    Parameters
    ----------
    alpha : at least 1: softmax; 2 is sparsemax. The higher, the sparser.

    Source: Peters, Niculae & Martins (2019), algorithm 1, with another
    unknown than their threshold.

    Examples
    --------
    >>> entmax([1.0, 0.5, -2.0], alpha=2).round(6).tolist()
    [0.75, 0.25, 0.0]
    """
    scores, alpha = real("scores", scores, "keys"), exponent(alpha)
    if not scores.size:
        return scores
    distance = -_below_highest(scores, axis)
    high = np.ones((*distance.shape[:-1], 1))
    low = np.zeros_like(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        short = _total(_weights(distance, middle, alpha)) < 1
        low = np.where(short, middle, low)
        high = np.where(short, high, middle)
    below, above = (_weights(distance, h, alpha) for h in (low, high))
    # Every weight lies between the two; so does the sum of one.
    share = (1 - _total(below)) / (_total(above) - _total(below))
    return _as_came(below + share * (above - below), scores, axis)


def masked_sparsemax(scores: Scores, mask: Mask) -> Weights:
    r"""Return the sparsemax over the keys that `mask` allows, zero elsewhere.

    .. math:: a_i = \mathrm{sparsemax}(s_{ij} : M_{ij})

    A row in which the mask allows nothing is all zeros. What stands at a
    forbidden position, NaN included, has no influence.

    Source: Martins & Astudillo (2016), algorithm 1, over the allowed keys.

    Examples
    --------
    >>> mask = np.array([[True, False, True], [False, False, False]])
    >>> masked_sparsemax([[1, 9, 1], [1, 1, 1]], mask).tolist()
    [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    return sparsemax(_hidden(scores, mask))


def masked_entmax(scores: Scores, mask: Mask, *, alpha: float) -> Weights:
    r"""Return the entmax over the keys that `mask` allows, zero elsewhere.

    .. math:: a_i = \alpha\text{-entmax}(s_{ij} : M_{ij})

    The contract of `masked_sparsemax`.

    Source: Peters, Niculae & Martins (2019), algorithm 1, over the allowed
    keys.

    Examples
    --------
    >>> masked_entmax([[1, 9, 1]], [[True, False, True]], alpha=1.5).tolist()
    [[0.5, 0.0, 0.5]]
    """
    return entmax(_hidden(scores, mask), alpha=alpha)


def sparsemax_attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return attention that averages the values of a few keys only.

    .. math:: O = \mathrm{sparsemax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `dense.attention`.

    Source: Martins & Astudillo (2016), section 4.3, with the scores of
    Vaswani et al. (2017).

    Examples
    --------
    >>> q, k, v = np.eye(1), np.array([[3.0], [2.5], [0.0]]), np.eye(3)
    >>> sparsemax_attention(q, k, v).tolist()
    [[0.75, 0.25, 0.0]]
    """
    scores, allowed = _scores(q, k, mask)
    weights = masked_sparsemax(scores, allowed)
    return weighted_sum(weights, v, mask=allowed)


def entmax_attention(
    q: Queries, k: Keys, v: Values, *, alpha: float, mask: Mask | None = None
) -> Output:
    r"""Return attention whose weights are those of entmax.

    .. math:: O = \alpha\text{-entmax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `dense.attention`, which it is for alpha 1.

    Source: Correia, Niculae & Martins (2019), "Adaptively Sparse
    Transformers", section 3.

    Examples
    --------
    >>> q, k, v = np.eye(1), np.array([[3.0], [2.5], [0.0]]), np.eye(3)
    >>> entmax_attention(q, k, v, alpha=2).round(6).tolist()
    [[0.75, 0.25, 0.0]]
    """
    scores, allowed = _scores(q, k, mask)
    weights = masked_entmax(scores, allowed, alpha=alpha)
    return weighted_sum(weights, v, mask=allowed)


def _below_highest(scores: Array, axis: int) -> Rows:
    """Return what to add to the highest score; `axis` becomes the last."""
    scores = np.moveaxis(scores, axis, -1)
    highest = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    # Infinity less infinity: `_as_came` mends it in a row without a key.
    with np.errstate(invalid="ignore"):
        return scores - np.where(highest == np.inf, np.nan, highest)


def _as_came(weights: Rows, scores: Array, axis: int) -> Array:
    """Return the weights with the axes of the scores, none without a key."""
    return np.where(scores == -np.inf, 0.0, np.moveaxis(weights, -1, axis))


def _weights(distance: Rows, highest: Array, alpha: float) -> Rows:
    """Return the weights, given how far below and the highest of them."""
    if alpha == 1:
        return highest * np.exp(-distance)
    with np.errstate(over="ignore", divide="ignore"):  # weight zero
        scale = np.minimum(highest ** (1 - alpha), LARGEST)
        lost = np.minimum((alpha - 1) * distance * scale, 1.0)
        return highest * np.exp(np.log1p(-lost) / (alpha - 1))


def _total(weights: Rows) -> Array:
    return np.sum(weights, axis=-1, keepdims=True)


def _hidden(scores: Scores, mask: Mask) -> Scores:
    """Return the scores, minus infinity where the mask forbids."""
    scores = real("scores", scores, "queries keys")
    mask = boolean("mask", mask, "queries keys")
    require_broadcast(scores=scores.shape, mask=mask.shape)
    return np.where(mask, scores, -np.inf)


def _scores(q: Queries, k: Keys, mask: Mask | None) -> tuple[Scores, Mask]:
    """Return the scores, and a mask that adds no queries and no keys."""
    scores = scaled_scores(q, k)
    if mask is None:
        return scores, np.ones((1, 1), bool)
    allowed = boolean("mask", mask, "queries keys")
    for have, want in zip(allowed.shape[-2:], scores.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., queries, keys) = "
                f"(..., {scores.shape[-2]}, {scores.shape[-1]}): "
                f"got {allowed.shape}"
            )
    return scores, allowed
