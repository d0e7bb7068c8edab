"""Decoding with a key-value cache: full, grouped, windowed, paged; exact.

Without a cache a decoder computes the keys and values of all old tokens
again for each new one; with one, each once. What a query reads is the same.

`cache_full` keeps everything, for as many key heads as there are groups;
`cache_window` the last tokens, in a ring; `cache_pool` and `cache_paged`
blocks of a common pool. Each has a *step*; here steps become layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attncourse.reference.blocks_layers import (
    encoder_layer,
    parallel_layer,
    pre_norm_encoder_layer,
)
from attncourse.reference.blocks_parts import (
    Stack,
    feed,
    normed,
    parallel,
    post_norm,
    pre_norm,
)
from attncourse.reference.cache_full import (
    FullCache,
    encoded,
    extend,
    full_step,
    new_full_cache,
    next_positions,
    visible,
)
from attncourse.reference.cache_paged import paged_extend, paged_step
from attncourse.reference.cache_parts import whole
from attncourse.reference.cache_pool import (
    PagedCache,
    add_row,
    block_count,
    blocks_needed,
    free_count,
    free_row,
    new_paged_cache,
    share_prefix,
)
from attncourse.reference.cache_window import (
    WindowCache,
    new_window_cache,
    slot_positions,
    window_step,
)
from attncourse.reference.heads_parts import (
    Projections,
    Tokens,
    merge_heads,
    project,
    project_heads,
)
from attncourse.shapes import Array, count, real

__all__ = [
    "CachedLogits",
    "FullCache",
    "PagedCache",
    "WindowCache",
    "add_row",
    "block_count",
    "blocks_needed",
    "cache_bytes",
    "cached_attention",
    "decode_step",
    "encoded",
    "extend",
    "free_count",
    "free_row",
    "full_step",
    "new_full_cache",
    "new_paged_cache",
    "new_window_cache",
    "next_positions",
    "paged_extend",
    "paged_step",
    "share_prefix",
    "slot_positions",
    "token_bytes",
    "visible",
    "window_step",
]

Cache = FullCache | WindowCache | PagedCache
Step = Callable[..., tuple[Any, Any]]
# Which sum and norm surround each sublayer.
ORDERS = {encoder_layer: post_norm, pre_norm_encoder_layer: pre_norm}


def token_bytes(
    *, groups: int, dim: int, value_dim: int | None = None, itemsize: int = 8
) -> int:
    r"""Return the bytes that one token keeps in one layer.

    .. math:: g\,(d_k + d_v)\,b

    Parameters
    ----------
    itemsize : bytes of a number: 8 here, 2 for half precision.

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 3; Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> token_bytes(groups=2, dim=3)
    96
    """
    groups, dim = count("groups", groups), count("dim", dim)
    value_dim = dim if value_dim is None else count("value_dim", value_dim)
    return groups * (dim + value_dim) * count("itemsize", itemsize)


def cache_bytes(cache: Cache) -> int:
    r"""Return the bytes that the keys and values take, empty places too.

    .. math:: \text{places} \cdot g\,(d_k + d_v) \cdot 8

    For each sequence a full cache has as many places as the longest needs,
    a ring its window; a pool has all of its blocks.

    Source: Kwon et al. (2023), "PagedAttention", section 3.1.

    Examples
    --------
    >>> cache_bytes(new_window_cache(5, groups=2, dim=3, window=7))
    3360
    """
    return cache.keys.nbytes + cache.values.nbytes


def cached_attention(
    x: Tokens,
    projections: Projections,
    cache: Cache,
    *,
    heads: int,
    groups: int | None = None,
    step: Step = full_step,
) -> tuple[Tokens, Cache]:
    r"""Return self-attention of new tokens on all so far, and the cache.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O

    where head r reads the keys and values in the cache.

    Parameters
    ----------
    x : new tokens, shape (..., tokens, width).
    groups : heads of keys and values; as many as heads if None.
    step : the step of this cache; `functools.partial` gives it an
        encoding of positions, or counts.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.2; Shazeer (2019), section 2.4.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Projections(*[np.eye(4)] * 4)
    >>> cache = new_full_cache(groups=2, dim=2)
    >>> y, cache = cached_attention([[1, 2, 3, 4]], layer, cache, heads=2)
    >>> y.tolist(), int(cache.lengths)
    ([[1.0, 2.0, 3.0, 4.0]], 1)
    """
    q, k, v = project_heads(x, x, projections, heads=heads, groups=groups)
    read, cache = step(q, k, v, cache)
    y = project(merge_heads(read), projections.w_output, projections.b_output)
    return y, cache


def decode_step(
    x: Tokens,
    stack: Stack,
    caches: Sequence[Cache],
    *,
    heads: int,
    step: Step = full_step,
) -> tuple[Tokens, list[Cache]]:
    r"""Return new tokens after all layers of a decoder, and its caches.

    .. math:: y_{t+1:t+n} = \mathrm{decoder}(x_{1:t+n})_{t+1:t+n}

    They are the last rows of `blocks.decoder_only` of all tokens so far;
    with a window, of the same under a window mask.

    Parameters
    ----------
    stack : of `encoder_layer`, `pre_norm_encoder_layer` or
        `parallel_layer`, as `decoder_only` takes it.
    caches : one for each layer; `step` is the step of their kind.

    Source: Shazeer (2019), section 2.4, incremental inference.

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_encoder_layer
    >>> layer = new_encoder_layer(width=4, hidden=3, seed=0)
    >>> stack = Stack([layer], pre_norm_encoder_layer)
    >>> caches = [new_full_cache(groups=2, dim=2)]
    >>> y, caches = decode_step([[7, 7, 7, 7]], stack, caches, heads=2)
    >>> y.tolist(), int(caches[0].lengths)
    ([[7.0, 7.0, 7.0, 7.0]], 1)
    """
    x = real("x", x, "tokens width")
    if len(caches) != len(stack.layers):
        raise ValueError(
            "caches must hold one for each layer: "
            f"got {len(caches)}, layers={len(stack.layers)}"
        )
    if stack.layer not in (*ORDERS, parallel_layer):
        raise ValueError(
            "layer must be one that only reads itself: "
            f"got {getattr(stack.layer, '__name__', stack.layer)}"
        )
    kept = []
    for numbers, cache in zip(stack.layers, caches, strict=True):

        def attend(tokens: Tokens, numbers=numbers, cache=cache) -> Tokens:
            read, after = cached_attention(
                tokens, numbers.attention, cache, heads=heads, step=step
            )
            kept.append(after)
            return read

        x = _layer(x, stack, numbers, attend)
    return x if stack.norm is None else normed(x, stack.norm), kept


def _layer(
    x: Tokens, stack: Stack, numbers: Any, attend: Callable[..., Tokens]
) -> Tokens:
    """Return one layer, with this attention in the place of its own."""

    def fed(tokens: Tokens) -> Tokens:
        return feed(tokens, numbers.feed_forward)

    def norm(weights: Any) -> Callable[[Any], Tokens]:
        return lambda tokens: normed(tokens, weights)

    if stack.layer is parallel_layer:
        return parallel(x, attend, fed, norm(numbers.norm))
    order = ORDERS[stack.layer]
    x = order(x, attend, norm(numbers.norm_attention))
    return order(x, fed, norm(numbers.norm_feed_forward))


class CachedLogits:
    """The logits of the next token, for `greedy` or `sample`, by a cache.

    Called with all tokens so far, it gives the model those that are new.

    Parameters
    ----------
    advance : takes new tokens, shape (tokens,), and a cache; returns the
        logits after the last of them and the cache.
    cache : of no token, or of those that `tokens` names.
    tokens : what the cache holds already.

    Source: Shazeer (2019), section 2.4, incremental inference.

    Examples
    --------
    >>> logits = CachedLogits(lambda new, n: ([n + len(new)], n + len(new)), 0)
    >>> logits([5, 7]), logits([5, 7, 5])  # two tokens, then one more
    ([2], [3])
    """

    def __init__(
        self,
        advance: Callable[[Array, Any], tuple[Array, Any]],
        cache: Any,
        tokens: Sequence[int] = (),
    ):
        self.advance, self.cache = advance, cache
        self.tokens = whole("tokens", tokens, "tokens")

    def __call__(self, tokens: Any) -> Array:
        """Return the logits of the token after these."""
        tokens = whole("tokens", tokens, "tokens")
        old, given = self.tokens.tolist(), tokens.tolist()
        if len(given) <= len(old) or given[: len(old)] != old:
            raise ValueError(
                "tokens must begin with those in the cache and go on: "
                f"got {given} after {old}"
            )
        logits, self.cache = self.advance(tokens[len(old) :], self.cache)
        self.tokens = tokens
        return logits
