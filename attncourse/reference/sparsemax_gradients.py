"""Gradients of sparse weights, and the entropy that they maximise."""

from __future__ import annotations

import numbers

import numpy as np

from attncourse.reference.softmax import Entropies, Rows, entropy
from attncourse.shapes import real, require_broadcast, require_equal

# `exponent` is for the sparse functions alone.
__all__ = ["entmax_backward", "sparsemax_backward", "tsallis_entropy"]


def sparsemax_backward(weights: Rows, upstream: Rows) -> Rows:
    r"""Return the gradient of a loss in the scores of a sparsemax.

    .. math:: \frac{\partial L}{\partial s_j} =
              [\,a_j > 0\,] \Big(g_j - \tfrac{1}{|S|}
              \textstyle\sum_{l \in S} g_l\Big), \qquad
              S = \{l : a_l > 0\}

    Only keys with weight matter, and all of them alike. Where a key is
    about to get weight, the gradient jumps; this is its value just before.

    Parameters
    ----------
    weights : the sparsemax of the scores, a, shape (..., keys).
    upstream : gradient in the weights, g, same shape.

    Source: Martins & Astudillo (2016), "From Softmax to Sparsemax",
    on the Jacobian of sparsemax.

    Examples
    --------
    >>> sparsemax_backward([0.75, 0.25, 0.0], [4.0, 0.0, 7.0]).tolist()
    [2.0, -2.0, 0.0]
    """
    return entmax_backward(weights, upstream, alpha=2.0)


def entmax_backward(weights: Rows, upstream: Rows, *, alpha: float) -> Rows:
    r"""Return the gradient of a loss in the scores of an entmax.

    .. math:: \frac{\partial L}{\partial s} = u \odot \left(g -
              \frac{\sum_l u_l g_l}{\sum_l u_l}\right), \qquad
              u_j = [\,a_j > 0\,]\; a_j^{2 - \alpha}

    For alpha 1 these are the weights and this is `softmax_backward`. In a
    row without weights the gradient is zero, in one with a NaN it is NaN
    wherever the weight is not zero.

    Source: Peters, Niculae & Martins (2019), "Sparse Sequence-to-Sequence
    Models", proposition 1.

    Examples
    --------
    >>> entmax_backward([0.5, 0.5, 0.0], [4.0, 0.0, 7.0], alpha=1).tolist()
    [1.0, -1.0, 0.0]
    """
    a = real("weights", weights, "keys")
    g = real("upstream", upstream, "keys")
    alpha = exponent(alpha)
    require_equal("keys", weights=a.shape[-1], upstream=g.shape[-1])
    require_broadcast(weights=a.shape[:-1], upstream=g.shape[:-1])
    seen = a > 0
    none = np.where(np.isnan(a), np.nan, 0.0)  # NaN ** 0 would be 1
    u = np.where(seen, np.where(seen, a, 1.0) ** (2.0 - alpha), none)
    g = np.where(seen, g, 0.0)
    total = np.sum(u, axis=-1, keepdims=True)
    along = np.sum(u * g, axis=-1, keepdims=True)
    # a ** (2 - alpha) is at least a, so only a row without weights is below 1
    average = along / np.maximum(total, 1.0)
    return np.where(seen, u * (g - average), none)


def tsallis_entropy(weights: Rows, *, alpha: float) -> Entropies:
    r"""Return the entropy that entmax maximises along with the average score.

    .. math:: H_\alpha(a) = \frac{1}{\alpha (\alpha - 1)} \sum_j
              \left(a_j - a_j^\alpha\right), \qquad
              \alpha\text{-entmax}(s) =
              \arg\max_{a \in \Delta}\; a \cdot s + H_\alpha(a)

    For alpha 1 it is Shannon's `entropy`; for 2 half of one minus the sum
    of squares.

    Source: Tsallis (1988), "Possible generalization of Boltzmann-Gibbs
    statistics", with the factor of Peters, Niculae & Martins (2019).

    Examples
    --------
    >>> float(tsallis_entropy([0.5, 0.5], alpha=2))
    0.25
    """
    a = real("weights", weights, "keys")
    alpha = exponent(alpha)
    if alpha == 1:
        return entropy(a)
    if np.any(a < 0):
        raise ValueError(
            f"weights must not be negative: got {float(np.min(a))}"
        )
    logarithms = np.log(a + (a == 0))  # zero, not -inf, where a is zero
    # a - a^alpha without cancellation where alpha is nearly one
    parts = a * -np.expm1((alpha - 1) * logarithms)
    return np.sum(parts, axis=-1) / (alpha * (alpha - 1))


def exponent(alpha: float) -> float:
    """Return alpha and require that it is finite and at least 1.

    Source: bookkeeping; the range of Peters, Niculae & Martins (2019).

    Examples
    --------
    >>> exponent(2)
    2.0
    """
    if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real):
        raise TypeError(f"alpha must be a real number: got {alpha!r}")
    if not 1 <= alpha < np.inf:
        raise ValueError(f"alpha must be at least 1 and finite: got {alpha}")
    return float(alpha)
