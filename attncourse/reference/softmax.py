"""Softmax: from any scores to weights that sum to one."""

from __future__ import annotations

import numpy as np

from attncourse.shapes import (
    Mask,
    Scores,
    Weights,
    boolean,
    real,
    require_broadcast,
)


def softmax(scores: Scores, *, axis: int = -1) -> Weights:
    r"""Return positive weights that sum to one along `axis`.

    .. math:: a_j = \frac{e^{s_j}}{\sum_l e^{s_l}}

    The maximum is subtracted first: the weights do not change, and no
    exponential overflows. An axis of length zero stays empty.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward
    classification network outputs".

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0, 0.0, 0.0])).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    scores = real("scores", scores, "keys")
    highest = np.max(scores, axis=axis, keepdims=True, initial=-np.inf)
    exponentials = np.exp(scores - highest)
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)


def masked_softmax(scores: Scores, mask: Mask) -> Weights:
    r"""Return the softmax over the keys that `mask` allows, zero elsewhere.

    A row in which the mask allows nothing is all zeros: there is nothing
    to average, and zero is the one answer that neither invents a value
    nor spoils the rest of the computation with NaN. What stands at a
    forbidden position, NaN included, has no influence.

    Parameters
    ----------
    scores : shape (..., queries, keys).
    mask : True where a query may look; broadcasts against `scores`.

    Examples
    --------
    >>> mask = np.array([[True, False, True], [False, False, False]])
    >>> masked_softmax(np.zeros((2, 3)), mask).tolist()
    [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    scores = real("scores", scores, "queries keys")
    mask = boolean("mask", mask, "queries keys")
    require_broadcast(scores=scores.shape, mask=mask.shape)
    scores = np.where(mask, scores, -np.inf)
    highest = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    # A row without a key has no maximum; any finite shift will do there.
    shift = np.where(np.isfinite(highest), highest, 0.0)
    exponentials = np.exp(scores - shift)
    total = np.sum(exponentials, axis=-1, keepdims=True)
    return exponentials / np.where(total > 0, total, 1.0)
