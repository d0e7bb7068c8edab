"""Transformer layers: encoder, decoder, and the orders of their parts.

What a layer holds, and the three ways to place its norms, are in
`blocks_parts`; how it starts, in `blocks_start`. Masks follow the contract
of the course, True where a query may look. Dropout is left out, as it is
whenever a trained model is used.
"""

from __future__ import annotations

from attncourse.reference.blocks_parts import (
    DecoderLayer,
    EncoderLayer,
    Memory,
    MemoryMask,
    NormWeights,
    ParallelLayer,
    Sublayer,
    feed,
    normed,
    parallel,
    post_norm,
    pre_norm,
)
from attncourse.reference.heads import multi_head_attention
from attncourse.reference.heads_parts import Projections, Tokens
from attncourse.shapes import Mask


def encoder_layer(
    x: Tokens, layer: EncoderLayer, *, heads: int, mask: Mask | None = None
) -> Tokens:
    r"""Return tokens that have read one another, then been transformed.

    .. math:: h = \mathrm{norm}(x + \mathrm{attend}(x, x)), \qquad
              y = \mathrm{norm}(h + \mathrm{feed}(h))

    Parameters
    ----------
    x : shape (..., tokens, width).
    mask : shape (..., tokens, tokens) or (..., 1, tokens), True where a
        token may look. One that sees nothing is changed by
        the output bias and the feed-forward network only.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_encoder_layer
    >>> layer = new_encoder_layer(width=4, hidden=11, seed=0)
    >>> y = encoder_layer([[1, 2, 3, 4], [5, 6, 7, 9]], layer, heads=2)
    >>> abs(y.mean(axis=-1)).round(6).tolist()  # the last step is a norm
    [0.0, 0.0]
    """
    attend = _self_attention(layer.attention, heads, mask)
    x = post_norm(x, attend, _norm(layer.norm_attention))
    return post_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def pre_norm_encoder_layer(
    x: Tokens, layer: EncoderLayer, *, heads: int, mask: Mask | None = None
) -> Tokens:
    r"""Return `encoder_layer` with each norm before its sublayer.

    .. math:: h = x + \mathrm{attend}(\mathrm{norm}(x)), \qquad
              y = h + \mathrm{feed}(\mathrm{norm}(h))

    GPT-2 and the Vision Transformer are stacks of this layer.

    Source: Xiong et al. (2020), "On Layer Normalization in the Transformer
    Architecture", table 1.

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_encoder_layer
    >>> layer = new_encoder_layer(width=4, hidden=11, seed=0)
    >>> x = [[7, 7, 7, 7]]  # normed it is zero: nothing to add
    >>> pre_norm_encoder_layer(x, layer, heads=2).tolist()
    [[7.0, 7.0, 7.0, 7.0]]
    """
    attend = _self_attention(layer.attention, heads, mask)
    x = pre_norm(x, attend, _norm(layer.norm_attention))
    return pre_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def parallel_layer(
    x: Tokens, layer: ParallelLayer, *, heads: int, mask: Mask | None = None
) -> Tokens:
    r"""Return the tokens plus attention plus feed-forward, side by side.

    .. math:: y = x + \mathrm{attend}(n) + \mathrm{feed}(n), \qquad
              n = \mathrm{norm}(x)

    Source: Wang & Komatsuzaki (2021), "GPT-J-6B: A 6 Billion Parameter
    Autoregressive Language Model".

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_parallel_layer
    >>> layer = new_parallel_layer(width=4, hidden=11, seed=0)
    >>> parallel_layer([[7, 7, 7, 7]], layer, heads=2).tolist()
    [[7.0, 7.0, 7.0, 7.0]]
    """
    attend = _self_attention(layer.attention, heads, mask)
    return parallel(x, attend, _feed(layer), _norm(layer.norm))


def decoder_layer(
    x: Tokens,
    memory: Memory,
    layer: DecoderLayer,
    *,
    heads: int,
    mask: Mask | None = None,
    memory_mask: MemoryMask | None = None,
) -> Tokens:
    r"""Return target tokens that have read themselves, then the source.

    .. math:: h = \mathrm{norm}(x + \mathrm{attend}(x, x)), \quad
              c = \mathrm{norm}(h + \mathrm{attend}(h, m)), \quad
              y = \mathrm{norm}(c + \mathrm{feed}(c))

    In cross-attention the queries come from the target, keys and values
    from the memory. The layer does not add a causal mask; `decoder` does.

    Parameters
    ----------
    x : target tokens, shape (..., tokens, width).
    memory : what the encoder returned, shape (..., source, width).
    mask : of the target on itself, (..., tokens, tokens).
    memory_mask : of the target on the memory, (..., tokens, source), where
        one row may serve all tokens.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_decoder_layer
    >>> layer = new_decoder_layer(width=2, hidden=3, seed=0)
    >>> decoder_layer([[1, 2]], [[3, 5], [7, 8]], layer, heads=1).shape
    (1, 2)
    """
    attend = _self_attention(layer.self_attention, heads, mask)
    ask = _cross_attention(memory, layer.cross_attention, heads, memory_mask)
    x = post_norm(x, attend, _norm(layer.norm_self))
    x = post_norm(x, ask, _norm(layer.norm_cross))
    return post_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def pre_norm_decoder_layer(
    x: Tokens,
    memory: Memory,
    layer: DecoderLayer,
    *,
    heads: int,
    mask: Mask | None = None,
    memory_mask: MemoryMask | None = None,
) -> Tokens:
    """Return `decoder_layer` with each norm before its sublayer.

    The memory is not normed here: the encoder's last norm has done so.

    Source: Xiong et al. (2020), "On Layer Normalization in the Transformer
    Architecture", figure 1.

    Examples
    --------
    >>> from attncourse.reference.blocks_start import new_decoder_layer
    >>> layer = new_decoder_layer(width=2, hidden=3, seed=0)
    >>> x, memory = [[7, 7]], [[0, 0], [0, 0]]
    >>> pre_norm_decoder_layer(x, memory, layer, heads=1).tolist()
    [[7.0, 7.0]]
    """
    attend = _self_attention(layer.self_attention, heads, mask)
    ask = _cross_attention(memory, layer.cross_attention, heads, memory_mask)
    x = pre_norm(x, attend, _norm(layer.norm_self))
    x = pre_norm(x, ask, _norm(layer.norm_cross))
    return pre_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def _self_attention(p: Projections, heads: int, mask: Mask | None) -> Sublayer:
    return lambda x: multi_head_attention(x, x, p, heads=heads, mask=mask)


def _cross_attention(
    memory: Memory, p: Projections, heads: int, mask: Mask | None
) -> Sublayer:
    return lambda x: multi_head_attention(x, memory, p, heads=heads, mask=mask)


def _feed(layer: EncoderLayer | ParallelLayer | DecoderLayer) -> Sublayer:
    return lambda x: feed(x, layer.feed_forward)


def _norm(weights: NormWeights) -> Sublayer:
    return lambda x: normed(x, weights)
