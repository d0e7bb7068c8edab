"""What decoding costs: the cache, the first pass, and one more token."""

from __future__ import annotations

from attncourse.reference.cost_layers import (
    attention_layer_flops,
    encoder_layer_cost,
    feed_forward_flops,
    layer_weight_count,
)
from attncourse.reference.cost_parts import AttentionSizes, Cost, LayerSizes
from attncourse.reference.cost_tiles import strip_attention_cost
from attncourse.reference.heads_counts import cache_count
from attncourse.shapes import count


def cached_tokens(
    tokens: int, *, window: int | None = None, page: int = 1
) -> int:
    r"""Return for how many tokens there must be room in a cache.

    .. math:: p \left(\left\lceil \frac{n}{p} \right\rceil
              - \left\lfloor \frac{\max(0, n - w)}{p} \right\rfloor\right)

    Room is taken in pages of p tokens. Without a window every token is
    kept; with one, a page is let go when its last token is too old.

    Source: Kwon et al. (2023), "Efficient Memory Management for Large
    Language Model Serving with PagedAttention", section 4.

    Examples
    --------
    >>> cached_tokens(10), cached_tokens(10, window=4)
    (10, 4)
    >>> cached_tokens(10, page=4), cached_tokens(10, window=4, page=4)
    (12, 8)
    """
    tokens, page = count("tokens", tokens, least=0), count("page", page)
    first = 0
    if window is not None:
        first = max(0, tokens - count("window", window)) // page
    return page * (-(-tokens // page) - first)


def cache_bytes(
    tokens: int,
    sizes: LayerSizes,
    *,
    layers: int,
    number_bytes: int = 2,
    scale_bytes: int = 0,
) -> int:
    r"""Return the bytes of all cached keys and values of one sequence.

    .. math:: L\,\left(2\,n\,g\,d_k\,s + 2\,n\,g\,s_{scale}\right)

    Parameters
    ----------
    tokens : n, as `cached_tokens` counts them.
    number_bytes : 2 for half types, 1 for a quantised cache.
    scale_bytes : of the scale that each quantised key or value has.

    Source: Shazeer (2019), "Fast Transformer Decoding", section 2.4; Pope
    et al. (2023), "Efficiently Scaling Transformer Inference".

    Examples
    --------
    >>> sizes = LayerSizes(width=4096, heads=32, dim=128, hidden=11008)
    >>> cache_bytes(4096, sizes, layers=32) / 2**30
    2.0
    """
    vectors = cache_count(keys=tokens, groups=sizes.shared, dim=1)
    vector_bytes = sizes.dim * count("number_bytes", number_bytes)
    vector_bytes += count("scale_bytes", scale_bytes, least=0)
    return count("layers", layers) * vectors * vector_bytes


def prefill_cost(
    sizes: LayerSizes,
    *,
    layers: int,
    tokens: int,
    batch: int = 1,
    rows: int = 128,
    number_bytes: int = 2,
) -> Cost:
    r"""Return the cost of reading a prompt: causal, all tokens at once.

    .. math:: L\,\left(C_{layer}(b\,n) + b\,C_{tiled}\right)

    Attention is taken in strips of `rows` queries that skip the future.
    The matrices are read once for all tokens of the batch.

    Source: Pope et al. (2023), "Efficiently Scaling Transformer Inference".

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> prefill_cost(sizes, layers=1, tokens=3, rows=1).flops
    336
    """
    tokens, batch = count("tokens", tokens, least=0), count("batch", batch)
    attention = strip_attention_cost(
        AttentionSizes(tokens, tokens, sizes.heads, sizes.dim),
        rows=rows,
        ahead=0,
        number_bytes=number_bytes,
    )
    return count("layers", layers) * encoder_layer_cost(
        sizes,
        batch * attention,
        tokens=batch * tokens,
        number_bytes=number_bytes,
    )


def decode_cost(
    sizes: LayerSizes,
    *,
    layers: int,
    cached: int,
    batch: int = 1,
    number_bytes: int = 2,
) -> Cost:
    r"""Return the cost of one more token for each sequence of a batch.

    .. math:: B = L\,\left(W + 2\,b\,(n + 1)\,g\,d_k\right) s

    Every step reads all matrices once (W numbers) and each sequence's
    cache of n tokens, to which it adds one. The few numbers of the token
    itself are left out. At small batches the bytes take far longer than
    the FLOPs.

    Source: Shazeer (2019), "Fast Transformer Decoding", section 2.4; Pope
    et al. (2023).

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> decode_cost(sizes, layers=1, cached=9, number_bytes=1)
    Cost(flops=176, moved_bytes=88)
    """
    batch = count("batch", batch)
    attention = attention_layer_flops(sizes, queries=1, keys=1, cached=cached)
    flops = sum(attention.values()) + feed_forward_flops(sizes, tokens=1)
    weights = layer_weight_count(sizes) * count("number_bytes", number_bytes)
    kept = cache_bytes(cached + 1, sizes, layers=1, number_bytes=number_bytes)
    return count("layers", layers) * Cost(
        batch * flops, weights + batch * kept
    )
