"""Scaled dot-product attention in torch: the reference's contract.

Plain and differentiable, on any device; output and gradients keep the
dtype. The weights are stored whole, so memory grows with queries times
keys.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.precision import widened
from attncourse.fast.softmax import masked_softmax, softmax
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    SCORES,
    VALUES,
    require_broadcast,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Mask = Bool[Tensor, SCORES]
Weights = Float[Tensor, SCORES]
Output = Float[Tensor, OUTPUT]


def attention_weights(
    q: Queries, k: Keys, *, mask: Mask | None = None
) -> Weights:
    r"""Return the weight that each query gives to each key.

    .. math:: A = \mathrm{softmax}_{keys}\left(Q K^\top / \sqrt{d_k}\right)

    Every row sums to one, except rows in which `mask` allows no key:
    those are zero, and so are their gradients. Half types are computed in
    single precision.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> attention_weights(torch.zeros(2, 3), torch.ones(4, 3))[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return _weights(q, k, mask).to(q.dtype)


def attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return, for each query, the average of the values that it selects.

    .. math:: O = A V, \qquad A = \mathrm{softmax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right)

    What stands where `mask` is False has no influence, NaN included, on
    the output or on any gradient. Gradients come from autograd and agree
    with `attncourse.reference.dense.attention_backward`.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> q, k, v = torch.zeros(2, 3), torch.ones(4, 3), torch.eye(4)
    >>> attention(q, k, v)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    weights = _weights(q, k, mask)
    _require_real("v", v, "keys value_dim")
    return weighted_sum(weights, widened(v), mask=mask).to(v.dtype)


def weighted_sum(
    weights: Weights, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return, for each query, the sum of the values by their weights.

    .. math:: o_i = \sum_{j : M_{ij}} a_{ij}\, v_j

    Where `mask` is False the weights are zero, and the value stays out even
    if it is NaN: of the output, to the last bit, and of every gradient.

    Source: as in `reference.dense.weighted_sum`.

    Examples
    --------
    >>> halves = torch.tensor([[0.5, 0.5, 0.0]])
    >>> v, mask = torch.tensor([[2.0], [4.0], [torch.nan]]), halves > 0
    >>> weighted_sum(halves, v, mask=mask).item()
    3.0
    """
    _require_real("v", v, "keys value_dim")
    require_equal("keys", k=weights.shape[-1], v=v.shape[-2])
    require_broadcast(weights=tuple(weights.shape[:-2]), v=tuple(v.shape[:-2]))
    if mask is None or bool((finite := torch.isfinite(v)).all()):
        return weights @ v
    # Zero times NaN is NaN, so a zero weight is not enough.
    clean = weights @ torch.where(finite, v, 0.0)
    kind = weights.dtype
    spoiled = mask.expand(weights.shape).to(kind) @ (~finite).to(kind) > 0
    if not bool(spoiled.any()):
        return clean
    # torch.where keeps the forbidden entries out of the backward pass, too.
    seen = torch.where(mask[..., None], v[..., None, :, :], 0.0)
    return torch.where(spoiled, (weights[..., None] * seen).sum(-2), clean)


def pair_products(q: Queries, k: Keys, *, mask: Mask) -> Weights:
    r"""Return the products of queries and keys that may meet.

    .. math:: s_{ij} = q_i \cdot k_j

    What stands in a row that meets nothing has no influence on any other
    product, to the last bit, nor on any gradient. Where `mask` is False
    the result is a finite number without a meaning.

    Source: as in `reference.scores.dot_scores`.

    Examples
    --------
    >>> k, mask = torch.tensor([[2.0], [torch.nan]]), torch.eye(1, 2) > 0
    >>> pair_products(torch.tensor([[3.0]]), k, mask=mask)[0, 0].item()
    6.0
    """
    good_q = torch.isfinite(q).all(dim=-1, keepdim=True)
    good_k = torch.isfinite(k).all(dim=-1, keepdim=True)
    if bool(good_q.all()) and bool(good_k.all()):
        return q @ k.mT
    clean = torch.where(good_q, q, 0.0) @ torch.where(good_k, k, 0.0).mT
    spoiled = mask & ~(good_q & good_k.mT)
    if not bool(spoiled.any()):
        return clean
    # The pairs are formed one by one, so that no gradient mixes them.
    met = spoiled[..., None]
    left = torch.where(met, q[..., :, None, :], 0.0)
    right = torch.where(met, k[..., None, :, :], 0.0)
    return torch.where(spoiled, (left * right).sum(dim=-1), clean)


def _weights(q: Queries, k: Keys, mask: Mask | None) -> Weights:
    """Return the weights, of half types in single precision."""
    _require_real("q", q, "queries dim")
    _require_real("k", k, "keys dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_broadcast(q=tuple(q.shape[:-2]), k=tuple(k.shape[:-2]))
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    # Before the product: it may be too large for a half type.
    q, k = widened(q) * q.shape[-1] ** -0.5, widened(k)
    if mask is None:
        return softmax(q @ k.mT)
    _require_fit(mask, q.shape[-2], k.shape[-2])
    return masked_softmax(pair_products(q, k, mask=mask), mask)


def _require_real(name: str, value: Tensor, axes: str) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )


def _require_fit(mask: Mask, queries: int, keys: int) -> None:
    """Refuse a mask that is not boolean or would add queries or keys."""
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )
    shape = tuple(mask.shape)
    if (
        mask.ndim < 2
        or shape[-2] not in (1, queries)
        or shape[-1] not in (1, keys)
    ):
        raise ValueError(
            "mask must fit the scores, shape (..., queries, keys) = "
            f"(..., {queries}, {keys}): got {shape}"
        )
