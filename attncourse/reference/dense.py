"""Scaled dot-product attention, forwards and backwards."""

from __future__ import annotations

import numpy as np

from attncourse.reference.softmax import masked_softmax, softmax
from attncourse.shapes import (
    Keys,
    Mask,
    Output,
    Queries,
    Values,
    Weights,
    boolean,
    real,
    require_broadcast,
    require_equal,
    sum_to,
)


def attention_weights(
    q: Queries, k: Keys, *, mask: Mask | None = None
) -> Weights:
    r"""Return the weight that each query gives to each key.

    .. math:: A = \mathrm{softmax}_{keys}\left(Q K^\top / \sqrt{d_k}\right)

    Every row sums to one, except rows in which `mask` allows no key:
    those are zero.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> attention_weights(np.zeros((2, 3)), np.ones((4, 3)))[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    if mask is None:
        return softmax(scores)
    return masked_softmax(scores, _fitting(mask, scores.shape))


def attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return, for each query, the average of the values that it selects.

    .. math:: O = A V, \qquad A = \mathrm{softmax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right)

    Self-attention passes one sequence three times; cross-attention takes
    `q` from one sequence and `k`, `v` from another. What stands where
    `mask` is False has no influence, NaN included.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> q, k, v = np.zeros((2, 3)), np.ones((4, 3)), np.eye(4)
    >>> attention(q, k, v)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    weights = attention_weights(q, k, mask=mask)
    return weighted_sum(weights, v, mask=mask)


def weighted_sum(
    weights: Weights, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return, for each query, the sum of the values by their weights.

    .. math:: o_i = \sum_{j : M_{ij}} a_{ij}\, v_j

    Where `mask` is False the weights are zero, and the value stays out even
    if it is NaN, which the zero would not achieve: zero times NaN is NaN.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> halves, v = np.array([[0.5, 0.5, 0.0]]), [[2.0], [4.0], [np.nan]]
    >>> weighted_sum(halves, v, mask=np.array([[True, True, False]])).tolist()
    [[3.0]]
    """
    weights = real("weights", weights, "queries keys")
    v = real("v", v, "keys value_dim")
    require_equal("keys", k=weights.shape[-1], v=v.shape[-2])
    require_broadcast(weights=weights.shape[:-2], v=v.shape[:-2])
    if mask is None or np.isfinite(v).all():
        return np.einsum("...qk,...kv->...qv", weights, v)
    seen = np.where(np.asarray(mask)[..., None], v[..., None, :, :], 0.0)
    return np.einsum("...qk,...qkv->...qv", weights, seen)


def attention_backward(
    q: Queries,
    k: Keys,
    v: Values,
    upstream: Output,
    *,
    mask: Mask | None = None,
) -> tuple[Queries, Keys, Values]:
    r"""Return the gradients of a loss in the queries, keys and values.

    .. math:: dV = A^\top dO, \quad dA = dO\,V^\top, \quad
              dS_{ij} = A_{ij}\Big(dA_{ij} - \sum_l A_{il}\,dA_{il}\Big),
              \quad dQ = \frac{dS\,K}{\sqrt{d_k}}, \quad
              dK = \frac{dS^\top Q}{\sqrt{d_k}}

    Parameters
    ----------
    q, k, v, mask : as `attention` took them.
    upstream : gradient of the loss in the output, of the output's shape.

    Each gradient has the shape of its argument: over a leading axis along
    which an argument was repeated, its gradient is summed.

    Source: chain rule on eq. 1 of Vaswani et al. (2017), "Attention Is All You
    Need"; Dao et al. (2022), "FlashAttention", appendix B.2, has the same.

    Examples
    --------
    >>> q, k, v = np.zeros((1, 3)), np.ones((2, 3)), np.ones((2, 1))
    >>> attention_backward(q, k, v, [[6.0]])[2].tolist()
    [[3.0], [3.0]]
    """
    weights = attention_weights(q, k, mask=mask)
    q, k, v = real("q", q), real("k", k), real("v", v, "keys value_dim")
    upstream = real("upstream", upstream, "queries value_dim")
    _require_output_shape(upstream, weights, v)
    allowed = True if mask is None else mask
    dweights = np.einsum("...qv,...kv->...qk", upstream, v)
    shared = np.where(allowed, weights * dweights, 0.0)
    inner = np.sum(shared, axis=-1, keepdims=True)
    dscores = np.where(allowed, weights * (dweights - inner), 0.0)
    dscores = dscores / np.sqrt(q.shape[-1])
    turned = None if mask is None else np.swapaxes(mask, -1, -2)
    dq = weighted_sum(dscores, k, mask=mask)
    dk = weighted_sum(np.swapaxes(dscores, -1, -2), q, mask=turned)
    turned_weights = np.swapaxes(weights, -1, -2)
    dv = weighted_sum(turned_weights, upstream, mask=turned)
    return sum_to(dq, q.shape), sum_to(dk, k.shape), sum_to(dv, v.shape)


def _fitting(mask: Mask, scores: tuple[int, ...]) -> Mask:
    """Return the mask; refuse one that would add queries or keys."""
    mask = boolean("mask", mask, "queries keys")
    for have, want in zip(mask.shape[-2:], scores[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., queries, keys) = "
                f"(..., {scores[-2]}, {scores[-1]}): got {mask.shape}"
            )
    return mask


def _require_output_shape(upstream: Output, weights: Weights, v: Values):
    require_equal("keys", k=weights.shape[-1], v=v.shape[-2])
    leading = require_broadcast(weights=weights.shape[:-2], v=v.shape[:-2])
    expected = (*leading, weights.shape[-2], v.shape[-1])
    if upstream.shape != expected:
        raise ValueError(
            f"upstream must have the output's shape {expected}: "
            f"got {upstream.shape}"
        )
