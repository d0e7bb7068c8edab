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
    real,
    require_broadcast,
    require_equal,
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
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    return softmax(scores) if mask is None else masked_softmax(scores, mask)


def attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return, for each query, the average of the values that it selects.

    .. math:: O = A V, \qquad A = \mathrm{softmax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right)

    Self-attention passes one sequence three times; cross-attention takes
    `q` from one sequence and `k`, `v` from another.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> q, k, v = np.zeros((2, 3)), np.ones((4, 3)), np.eye(4)
    >>> attention(q, k, v)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    weights = attention_weights(q, k, mask=mask)
    v = real("v", v, "keys value_dim")
    require_equal("keys", k=weights.shape[-1], v=v.shape[-2])
    require_broadcast(weights=weights.shape[:-2], v=v.shape[:-2])
    return np.einsum("...qk,...kv->...qv", weights, v)
