"""What attention costs, stored whole, in tiles, sparse and linear."""

from __future__ import annotations

import numpy as np

from attncourse.reference.cost_parts import (
    AttentionSizes,
    Cost,
    product_cost,
    total_cost,
)
from attncourse.reference.heads_counts import flop_count, score_count
from attncourse.shapes import count


def band_pairs(
    queries: int,
    keys: int,
    *,
    behind: int | None = None,
    ahead: int | None = None,
) -> int:
    r"""Return how many pairs a head scores where queries see a band of keys.

    .. math:: \sum_i \left|\{j : p_i - b \le j \le p_i + a,\ 0 \le j < n\}
              \right|, \qquad p_i = i + n - m

    for m queries and n keys: the last query stands at the last key. b is
    `behind`, a is `ahead`; None leaves that side open.

    Source: Beltagy et al. (2020), "Longformer", section 3.1.

    Examples
    --------
    >>> band_pairs(3, 3), band_pairs(3, 3, ahead=0)
    (9, 6)
    >>> band_pairs(3, 3, behind=1, ahead=0)
    5
    """
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    place = np.arange(queries) + keys - queries
    first, last = np.zeros_like(place), np.full_like(place, keys)
    if behind is not None:
        first = place - count("behind", behind, least=0)
    if ahead is not None:
        last = place + count("ahead", ahead, least=0) + 1
    return int(np.sum(last.clip(0, keys) - first.clip(0, keys)))


def causal_pairs(queries: int, keys: int) -> int:
    r"""Return how many pairs a head scores if none lies in the future.

    .. math:: n (n + 1) / 2 \quad\text{for n queries and n keys}

    Source: Vaswani et al. (2017), section 3.2.3; about half of all pairs.

    Examples
    --------
    >>> causal_pairs(4, 4), causal_pairs(1, 4)
    (10, 4)
    """
    return band_pairs(queries, keys, ahead=0)


def window_pairs(queries: int, keys: int, *, window: int) -> int:
    r"""Return how many pairs a head scores if a query sees `window` keys.

    .. math:: n\,w - w (w - 1) / 2 \quad\text{for n queries and n keys},\
              w \le n

    The window holds a query's own key and those before: the count grows
    with the length, not with its square.

    Source: Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> window_pairs(4, 4, window=2)
    7
    """
    return band_pairs(
        queries, keys, behind=count("window", window) - 1, ahead=0
    )


def block_pairs(tiles: int, *, rows: int, columns: int) -> int:
    r"""Return how many pairs a head scores in so many whole tiles.

    .. math:: t\,B_r\,B_c

    A tile is computed whole even if its mask allows one pair of it. Over
    all pairs this is the density s of block-sparse attention.

    Source: Dao et al. (2022), "FlashAttention", section 3.3.

    Examples
    --------
    >>> block_pairs(3, rows=2, columns=4)
    24
    """
    tiles = count("tiles", tiles, least=0)
    return tiles * count("rows", rows) * count("columns", columns)


def attention_flops(sizes: AttentionSizes, *, pairs: int | None = None) -> int:
    r"""Return the FLOPs of all scores and all weighted sums.

    .. math:: 2\,h\,P\,(d_k + d_v)

    Parameters
    ----------
    pairs : P, scored by each head; None for all of them. Each costs what
        `flop_count` counts for one query and one key.

    Source: Vaswani et al. (2017), "Attention Is All You Need", table 1.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=2, keys=5, heads=3, dim=4)
    >>> attention_flops(sizes)
    480
    """
    score, average = (
        flop_count(queries=1, keys=1, width=dim, heads=sizes.heads, dim=dim)
        for dim in (sizes.dim, sizes.columns)
    )
    return _pairs(sizes, pairs) * (score["scores"] + average["averages"])


def tiled_training_flops(
    sizes: AttentionSizes, *, pairs: int | None = None
) -> int:
    r"""Return the FLOPs of tiled attention forward and backward.

    .. math:: 2\,h\,P\,(4\,d_k + 3\,d_v)

    Forward makes two products, backward five: the scores once more,
    because they were not kept, and one for each of the gradients of
    values, weights, queries and keys. Kept weights would save the fifth.

    Source: Dao (2023), "FlashAttention-2", section 2.3 and algorithm 2.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=1, keys=1, heads=1, dim=1)
    >>> attention_flops(sizes), tiled_training_flops(sizes)
    (4, 14)
    """
    again = AttentionSizes(
        sizes.queries, sizes.keys, sizes.heads, sizes.dim, sizes.dim
    )
    scores = attention_flops(again, pairs=pairs) // 2
    return 3 * attention_flops(sizes, pairs=pairs) + scores


def naive_attention_cost(
    sizes: AttentionSizes, *, number_bytes: int = 4
) -> Cost:
    r"""Return the cost of attention whose scores and weights are stored.

    .. math:: B = h\,(m d_k + n d_k + n d_v + m d_v + 4\,m n)\,s

    The scores are written, read by the softmax and written as weights,
    which the last product reads.

    Source: Dao et al. (2022), "FlashAttention", algorithm 0 and theorem 2.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=8, keys=8, heads=1, dim=2)
    >>> naive_attention_cost(sizes, number_bytes=1)
    Cost(flops=512, moved_bytes=320)
    """
    scores = product_cost(
        rows=sizes.queries,
        inner=sizes.dim,
        columns=sizes.keys,
        number_bytes=number_bytes,
        batch=sizes.heads,
    )
    averages = product_cost(
        rows=sizes.queries,
        inner=sizes.keys,
        columns=sizes.columns,
        number_bytes=number_bytes,
        batch=sizes.heads,
    )
    softmax = Cost(0, 2 * _scores(sizes) * number_bytes)
    return total_cost([scores, softmax, averages])


def _pairs(sizes: AttentionSizes, pairs: int | None) -> int:
    """Return the pairs that a head scores, all of them if not told."""
    if pairs is None:
        return sizes.queries * sizes.keys
    return count("pairs", pairs, least=0)


def _scores(sizes: AttentionSizes) -> int:
    return score_count(
        queries=sizes.queries, keys=sizes.keys, heads=sizes.heads
    )
