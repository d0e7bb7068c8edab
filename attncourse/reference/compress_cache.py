"""Keys and values in eight bits, and what attention loses by it.

A cache is read again for every new token, so its bytes are the time that
decoding takes. Every token of every head gets a step of its own for its
key and one for its value: it is written once and never scaled again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attncourse.reference.compress_int8 import (
    Quantised,
    dequantise,
    error_bound,
    quantise,
)
from attncourse.reference.dense import attention_weights
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Values,
    count,
    real,
    require_broadcast,
    require_equal,
)


class QuantisedCache(NamedTuple):
    """Quantised keys (..., keys, dim) and values (..., keys, value_dim)."""

    keys: Quantised
    values: Quantised


def quantise_cache(k: Keys, v: Values) -> QuantisedCache:
    r"""Return keys and values in eight bits, a step a token and head.

    .. math:: \Delta_j = \max_c |k_{jc}| / 127, \qquad
              \Delta'_j = \max_c |v_{jc}| / 127

    A token's codes depend on no other token, so a cache can grow.

    Source: Sheng et al. (2023), "FlexGen: High-Throughput Generative
    Inference of Large Language Models with a Single GPU", section 5,
    compresses the cache in groups; here a token of a head is the group.

    Examples
    --------
    >>> cache = quantise_cache([[127.0, 64.0], [1.0, 0.0]], [[5.0], [0.0]])
    >>> cache.keys.codes.tolist(), cache.values.scale.shape
    ([[127, 64], [127, 0]], (2, 1))
    """
    k, v = real("k", k, "keys dim"), real("v", v, "keys value_dim")
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    return QuantisedCache(quantise(k, axis=-1), quantise(v, axis=-1))


def cache_attention(
    q: Queries, cache: QuantisedCache, *, mask: Mask | None = None
) -> Output:
    r"""Return attention to a quantised cache.

    .. math:: s_{ij} = \frac{\Delta_j}{\sqrt{d_k}} \sum_c q_{ic} c_{jc},
              \qquad o_i = \sum_j (a_{ij} \Delta'_j)\, c'_j

    A step belongs to a token and so leaves both sums: what is summed are
    the codes as they are kept.

    Source: Sheng et al. (2023), section 5, with the steps moved out.

    Examples
    --------
    >>> cache = quantise_cache(np.ones((2, 3)), [[1.0], [3.0]])
    >>> cache_attention(np.zeros((1, 3)), cache).tolist()
    [[2.0]]
    """
    q, allowed = _checked(q, cache, mask)
    keys, values = cache
    scores = np.einsum("...qd,...kd->...qk", q, keys.codes.astype(float))
    scores = scores / np.sqrt(q.shape[-1]) * np.swapaxes(keys.scale, -1, -2)
    weights = masked_softmax(scores, allowed)
    weights = weights * np.swapaxes(values.scale, -1, -2)
    return np.einsum("...qk,...kv->...qv", weights, values.codes.astype(float))


def cache_error_bound(
    q: Queries, cache: QuantisedCache, *, mask: Mask | None = None
) -> Output:
    r"""Return how far `cache_attention` may be from exact attention.

    .. math:: |o_{ic} - \hat{o}_{ic}| \le \max_j \tfrac{1}{2} \Delta'_j +
              \tfrac{1}{2} \left(\max_j \hat{v}_{jc} -
              \min_j \hat{v}_{jc}\right)
              \max_j \frac{\lVert q_i \rVert_1 \Delta_j}{2 \sqrt{d_k}}

    over the keys that the query sees. The last factor bounds the error of
    a score. If no score moves by more than e, the weights move by e
    together at most, because the softmax's Jacobian takes a change of size
    one to one of total size one; and as the weights still sum to one, what
    they move between is half the range of the values.

    Source: derived here; the Jacobian is that of Bridle (1990), "Training
    Stochastic Model Recognition Algorithms as Networks".

    Examples
    --------
    >>> cache = quantise_cache(np.ones((2, 3)), [[127.0], [127.0]])
    >>> cache_error_bound(np.zeros((1, 3)), cache).tolist()
    [[0.5]]
    """
    q, seen = _checked(q, cache, mask)
    v = dequantise(cache.values)
    step_k, step_v = (np.swapaxes(error_bound(each), -1, -2) for each in cache)
    size = np.sum(np.abs(q), axis=-1) / np.sqrt(q.shape[-1])
    score = size * np.max(np.where(seen, step_k, 0.0), axis=-1, initial=0.0)
    value = np.max(np.where(seen, step_v, 0.0), axis=-1, initial=0.0)
    shown = seen[..., None]  # queries keys value_dim
    v = v[..., None, :, :]
    high = np.max(np.where(shown, v, -np.inf), axis=-2, initial=-np.inf)
    low = np.min(np.where(shown, v, np.inf), axis=-2, initial=np.inf)
    spread = np.maximum(high - low, 0.0)  # -inf where nothing is seen
    return value[..., None] + 0.5 * spread * score[..., None]


def quantised_cache_bytes(
    *, tokens: int, groups: int, dim: int, value_dim: int, scale_bytes: int = 4
) -> int:
    r"""Return the bytes of a quantised cache of one layer and sequence.

    .. math:: n\,g\,(d_k + d_v + 2 b)

    with n tokens, g key heads and b bytes a step; in half precision they
    are 2 n g (d_k + d_v).

    Source: counted here, as `heads_counts.cache_count`.

    Examples
    --------
    >>> quantised_cache_bytes(tokens=1, groups=8, dim=64, value_dim=64)
    1088
    """
    tokens = count("tokens", tokens, least=0)
    groups, dim = count("groups", groups), count("dim", dim)
    value_dim = count("value_dim", value_dim)
    steps = 2 * count("scale_bytes", scale_bytes)
    return tokens * groups * (dim + value_dim + steps)


def _checked(
    q: Queries, cache: QuantisedCache, mask: Mask | None
) -> tuple[Array, Mask]:
    """Return the queries, and which keys each of them sees."""
    q = real("q", q, "queries dim")
    k, v = (dequantise(each) for each in cache)
    require_equal("dim", q=q.shape[-1], keys=k.shape[-1])
    require_equal("keys", keys=k.shape[-2], values=v.shape[-2])
    require_broadcast(q=q.shape[:-2], keys=k.shape[:-2], values=v.shape[:-2])
    even = attention_weights(np.zeros_like(q), np.zeros_like(k), mask=mask)
    return q, even > 0
