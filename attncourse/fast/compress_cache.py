"""Keys and values in eight bits, and attention to them, in torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.compress_int8 import Quantised, quantise
from attncourse.fast.softmax import masked_softmax, softmax
from attncourse.fast.tiled_parts import require_real
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
Output = Float[Tensor, OUTPUT]
Mask = Bool[Tensor, SCORES]


class QuantisedCache(NamedTuple):
    """Quantised keys (..., keys, dim) and values (..., keys, value_dim)."""

    keys: Quantised
    values: Quantised


def quantise_cache(k: Keys, v: Values) -> QuantisedCache:
    r"""Return keys and values in eight bits, a step a token and head.

    .. math:: \Delta_j = \max_c |k_{jc}| / 127, \qquad
              \Delta'_j = \max_c |v_{jc}| / 127

    A token's codes depend on no other token, so a cache can grow: join the
    codes and the steps along the axis of keys.

    Source: Sheng et al. (2023), "FlexGen: High-Throughput Generative
    Inference of Large Language Models with a Single GPU", section 5,
    compresses the cache in groups; here a token of a head is the group.

    Examples
    --------
    >>> cache = quantise_cache(torch.ones(2, 3), torch.ones(2, 5))
    >>> cache.keys.codes.shape, cache.keys.scale.shape
    (torch.Size([2, 3]), torch.Size([2, 1]))
    """
    require_real("k", k, "keys dim")
    require_real("v", v, "keys value_dim")
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    return QuantisedCache(quantise(k, axis=-1), quantise(v, axis=-1))


def cache_attention(
    q: Queries, cache: QuantisedCache, *, mask: Mask | None = None
) -> Output:
    r"""Return attention to a quantised cache, in the dtype of the queries.

    .. math:: s_{ij} = \frac{\Delta_j}{\sqrt{d_k}} \sum_c q_{ic} c_{jc},
              \qquad o_i = \sum_j (a_{ij} \Delta'_j)\, c'_j

    A step belongs to a token and so leaves both sums. How far the result
    may be from exact attention: `reference.compress_cache`.

    Source: Sheng et al. (2023), section 5, with the steps moved out.

    Examples
    --------
    >>> v = torch.tensor([[1.0], [3.0]])
    >>> cache = quantise_cache(torch.ones(2, 3), v)
    >>> cache_attention(torch.zeros(1, 3), cache).tolist()
    [[2.0]]
    """
    _require_fit(q, cache, mask)
    keys, values = cache
    wide = torch.promote_types(q.dtype, keys.scale.dtype)
    scores = q.to(wide) @ keys.codes.to(wide).mT
    scores = scores * (keys.scale.mT * q.shape[-1] ** -0.5)
    a = softmax(scores) if mask is None else masked_softmax(scores, mask)
    weights = a * values.scale.mT
    return (weights @ values.codes.to(wide)).to(q.dtype)


def cache_bytes(cache: QuantisedCache) -> int:
    r"""Return the bytes of a cache's codes and steps.

    .. math:: n\,g\,(d_k + d_v + 2 b)

    with n tokens, g key heads and b bytes a step. Zero points of a cache
    are zero and need not be kept.

    Source: counted here, as `reference.compress_cache`.

    Examples
    --------
    >>> cache_bytes(quantise_cache(torch.ones(2, 64), torch.ones(2, 64)))
    272
    """
    return sum(
        x.numel() * x.element_size()
        for each in cache
        for x in (each.codes, each.scale)
    )


def _require_fit(q: Queries, cache: QuantisedCache, mask: Mask | None) -> None:
    """Refuse queries, a cache and a mask that do not fit."""
    require_real("q", q, "queries dim")
    k, v = (each.codes.shape for each in cache)
    require_equal("dim", q=q.shape[-1], keys=k[-1])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    require_equal("keys", keys=k[-2], values=v[-2])
    require_broadcast(
        q=tuple(q.shape[:-2]), keys=tuple(k[:-2]), values=tuple(v[:-2])
    )
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )
    shape = (q.shape[-2], k[-2])
    if mask.ndim < 2 or any(
        have not in (1, want)
        for have, want in zip(mask.shape[-2:], shape, strict=True)
    ):
        raise ValueError(
            "mask must fit the scores, shape (..., queries, keys) = "
            f"(..., {shape[0]}, {shape[1]}): got {tuple(mask.shape)}"
        )
