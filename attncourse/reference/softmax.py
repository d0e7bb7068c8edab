"""Softmax: from any scores to weights that sum to one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.shapes import (
    Array,
    Mask,
    Scores,
    Weights,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

Rows = Float[Array, "*#batch keys"]
Entropies = Float[Array, "*#batch"]
Jacobian = Float[Array, "*#batch keys keys"]


def softmax(scores: Rows, *, axis: int = -1) -> Rows:
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


def softmax_with_temperature(scores: Rows, *, temperature: float) -> Rows:
    r"""Return the softmax of the scores divided by a temperature.

    .. math:: a = \mathrm{softmax}(s / \tau), \qquad \tau > 0

    A low temperature gives nearly all weight to the highest score, a high
    one gives every key nearly the same.

    Source: Hinton, Vinyals & Dean (2015), "Distilling the Knowledge in a
    Neural Network", eq. 1.

    Examples
    --------
    >>> scores = np.array([0.0, 3 * np.log(2.0)])
    >>> softmax_with_temperature(scores, temperature=3.0).round(3).tolist()
    [0.333, 0.667]
    """
    scores = real("scores", scores, "keys")
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"temperature must be positive and finite: got {temperature}"
        )
    # Shift before dividing: a tiny temperature must not overflow.
    highest = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(over="ignore"):  # to -inf, whose exponential is zero
        return softmax((scores - highest) / temperature)


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

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.3,
    which sets forbidden scores to minus infinity; rows of zeros are this
    course's contract.

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


def log_sum_exp(scores: Rows, *, axis: int = -1) -> Array:
    r"""Return the logarithm of the sum of exponentials along `axis`.

    .. math:: \mathrm{lse}(s) = \log \sum_l e^{s_l}

    It lies between the highest score and that score plus the logarithm of
    the number of keys. Its gradient is the softmax. The sum of nothing is
    zero, so an axis of length zero gives minus infinity.

    Source: Blanchard, Higham & Higham (2021), "Accurately computing the
    log-sum-exp and softmax functions", sec. 1.

    Examples
    --------
    >>> round(float(np.exp(log_sum_exp(np.log([1.0, 2.0, 5.0])))), 6)
    8.0
    """
    scores = real("scores", scores, "keys")
    highest = np.max(scores, axis=axis, keepdims=True, initial=-np.inf)
    # An infinite maximum would leave inf - inf; there no shift is needed.
    shift = np.where(np.isfinite(highest), highest, 0.0)
    total = np.sum(np.exp(scores - shift), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):  # log(0) is the -inf that is meant
        return np.squeeze(np.log(total) + shift, axis=axis)


def log_softmax(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the logarithm of the softmax, finite where the weight is 0.0.

    .. math:: \log a_j = s_j - \mathrm{lse}(s)

    A weight below about 1e-324 is rounded to zero and its logarithm would
    be minus infinity; the difference of scores never gets that small.

    Source: Blanchard, Higham & Higham (2021), "Accurately computing the log-
    sum-exp and softmax functions", sec. 1.

    Examples
    --------
    >>> log_softmax(np.array([0.0, -10000.0])).tolist()
    [0.0, -10000.0]
    """
    scores = real("scores", scores, "keys")
    highest = np.max(scores, axis=axis, keepdims=True, initial=-np.inf)
    shifted = scores - highest
    total = np.sum(np.exp(shifted), axis=axis, keepdims=True)
    with np.errstate(divide="ignore"):  # an axis of length zero
        return shifted - np.log(total)


def softmax_jacobian(weights: Rows) -> Jacobian:
    r"""Return how each weight changes with each score.

    .. math:: J_{ij} = \partial a_i / \partial s_j = a_i (\delta_{ij} - a_j)

    The matrix is symmetric, and its rows and columns sum to zero, because
    the weights always sum to one and a common shift changes nothing.

    Parameters
    ----------
    weights : the softmax of the scores, shape (..., keys).

    Source: derivative of the definition.

    Examples
    --------
    >>> softmax_jacobian(np.array([0.5, 0.5])).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    a = real("weights", weights, "keys")
    identity = np.eye(a.shape[-1])
    return a[..., :, None] * (identity - a[..., None, :])  # ... keys keys


def softmax_backward(weights: Rows, upstream: Rows) -> Rows:
    r"""Return the gradient with respect to the scores.

    .. math:: \frac{\partial L}{\partial s} = J^\top g
              = a \odot \left(g - \textstyle\sum_j a_j g_j\right)

    The Jacobian is never formed: the cost is linear in the number of keys.

    Parameters
    ----------
    weights : the softmax of the scores, a, shape (..., keys).
    upstream : the gradient with respect to the weights, g, same shape.

    Source: the Jacobian above, transposed, applied to the upstream gradient.

    Examples
    --------
    >>> weights, upstream = np.array([0.5, 0.5]), np.array([4.0, 0.0])
    >>> softmax_backward(weights, upstream).tolist()
    [1.0, -1.0]
    """
    a = real("weights", weights, "keys")
    g = real("upstream", upstream, "keys")
    require_equal("keys", weights=a.shape[-1], upstream=g.shape[-1])
    require_broadcast(weights=a.shape[:-1], upstream=g.shape[:-1])
    average = np.sum(a * g, axis=-1, keepdims=True)
    return a * (g - average)


def entropy(weights: Rows) -> Entropies:
    r"""Return the entropy of each row of weights, in nats.

    .. math:: H(a) = -\sum_j a_j \log a_j, \qquad 0 \log 0 = 0

    It is 0 for a weight of one on a single key, log(keys) for equal
    weights; its exponential reads as an effective number of keys.

    Source: Shannon (1948), "A Mathematical Theory of Communication", sec. 6.

    Examples
    --------
    >>> entropy(np.array([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])).round(3).tolist()
    [0.0, 0.693]
    """
    a = real("weights", weights, "keys")
    if np.any(a < 0):
        raise ValueError(
            f"weights must not be negative: got {float(np.min(a))}"
        )
    logarithms = np.log(np.where(a > 0, a, 1.0))
    return 0.0 - np.sum(a * logarithms, axis=-1)  # a bare minus gives -0.0
