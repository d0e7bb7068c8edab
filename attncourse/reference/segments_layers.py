"""Layers that read a memory: Transformer-XL's, with its norms moved, gated.

The memory of a layer holds the tokens that came into this layer before:
its own inputs, not its keys and values, which it computes anew. Position
enters by distance alone, so the same memory may be read from anywhere.
"""

from __future__ import annotations

from attncourse.reference.blocks_parts import (
    NormWeights,
    Sublayer,
    feed,
    normed,
    post_norm,
    pre_norm,
)
from attncourse.reference.gates import gated, gru_gate
from attncourse.reference.heads_parts import (
    Tokens,
    merge_heads,
    project,
    project_heads,
    split_heads,
)
from attncourse.reference.masks import causal_mask, combine_masks
from attncourse.reference.segments_parts import (
    GatedSegmentLayer,
    Memory,
    RelativeProjections,
    SegmentLayer,
    with_memory,
)
from attncourse.reference.segments_scores import (
    Distances,
    distance_encodings,
    segment_attention,
)
from attncourse.shapes import Mask


def multi_head_segment_attention(
    x: Tokens,
    memory: Memory,
    weights: RelativeProjections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return what the tokens of a segment read in the memory and themselves.

    .. math:: Q = X W_Q, \qquad K = [M; X]\, W_K, \qquad V = [M; X]\, W_V

    Parameters
    ----------
    x : the segment, shape (..., tokens, width).
    memory : tokens before it, shape (..., past, width); past may be zero.
    mask : shape (..., tokens, past + tokens), True where a token may look;
        no token ever sees a later one.

    Source: Dai et al. (2019), "Transformer-XL", sections 3.2 and 3.3.

    Examples
    --------
    >>> from attncourse.reference.segments_parts import new_segment_layer
    >>> layer = new_segment_layer(width=6, heads=2, hidden=11, seed=0)
    >>> x, memory = [[1, 2, 3, 4, 5, 6]] * 3, [[6, 5, 4, 3, 2, 1]] * 5
    >>> multi_head_segment_attention(
    ...     x, memory, layer.attention, heads=2).shape
    (3, 6)
    """
    context = with_memory(x, memory)
    p = weights.projections
    q, k, v = project_heads(x, context, p, heads=heads)
    keys, width = context.shape[-2:]
    encodings = project(
        distance_encodings(keys, dim=width), weights.w_distance
    )
    distances = Distances(
        split_heads(encodings, heads=heads),
        weights.content_bias,
        weights.distance_bias,
    )
    causal = causal_mask(q.shape[-2], keys)
    allowed = causal if mask is None else combine_masks(causal, mask)
    read = segment_attention(q, k, v, distances, mask=allowed[..., None, :, :])
    return project(merge_heads(read), p.w_output, p.b_output)


def segment_layer(
    x: Tokens,
    memory: Memory,
    layer: SegmentLayer,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return a segment after one layer of Transformer-XL.

    .. math:: h = \mathrm{norm}(x + \mathrm{attend}(x, [m; x])), \qquad
              y = \mathrm{norm}(h + \mathrm{feed}(h))

    Source: Dai et al. (2019), section 3.3, the computation at its end.

    Examples
    --------
    >>> from attncourse.reference.segments_parts import new_segment_layer
    >>> layer = new_segment_layer(width=4, heads=2, hidden=11, seed=0)
    >>> x, memory = [[1, 2, 3, 4]], [[4, 3, 2, 1]] * 5
    >>> y = segment_layer(x, memory, layer, heads=2)
    >>> abs(y.mean(axis=-1)).round(6).tolist()  # the last step is a norm
    [0.0]
    """

    def attend(tokens: Tokens) -> Tokens:
        return multi_head_segment_attention(
            tokens, memory, layer.attention, heads=heads, mask=mask
        )

    x = post_norm(x, attend, _norm(layer.norm_attention))
    return post_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def pre_norm_segment_layer(
    x: Tokens,
    memory: Memory,
    layer: SegmentLayer,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return `segment_layer` with each norm before its sublayer.

    .. math:: h = x + \mathrm{attend}(\mathrm{norm}(x), \mathrm{norm}([m; x]))

    The memory holds tokens as they came in; the norm that a token of the
    segment passes, a remembered one passes too.

    Source: Parisotto et al. (2020), "Stabilizing Transformers for
    Reinforcement Learning", section 3.1, TrXL-I without its ReLU.

    Examples
    --------
    >>> from attncourse.reference.segments_parts import new_segment_layer
    >>> layer = new_segment_layer(width=4, heads=2, hidden=11, seed=0)
    >>> x = [[7, 7, 7, 7]]  # normed it is zero: nothing to add
    >>> pre_norm_segment_layer(x, x, layer, heads=2).tolist()
    [[7.0, 7.0, 7.0, 7.0]]
    """
    attend = _normed_attention(memory, layer, heads, mask)
    x = pre_norm(x, attend, _norm(layer.norm_attention))
    return pre_norm(x, _feed(layer), _norm(layer.norm_feed_forward))


def gated_segment_layer(
    x: Tokens,
    memory: Memory,
    layer: GatedSegmentLayer,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return a segment after one layer of GTrXL.

    .. math:: h = g_1\big(x, \mathrm{relu}(\mathrm{attend}(
              \mathrm{norm}(x), \mathrm{norm}([m; x])))\big), \quad
              y = g_2\big(h, \mathrm{relu}(\mathrm{feed}(
              \mathrm{norm}(h)))\big)

    Source: Parisotto et al. (2020), section 3.2 and figure 1.

    Examples
    --------
    >>> from attncourse.reference import segments_parts as parts
    >>> layer = parts.new_gated_segment_layer(
    ...     width=4, heads=2, hidden=3, seed=0)
    >>> x, memory = [[1, 2, 3, 4]], [[4, 3, 2, 1]] * 5
    >>> gated_segment_layer(x, memory, layer, heads=2).shape
    (1, 4)
    """
    attend = _normed_attention(memory, layer.layer, heads, mask)
    x = gated(
        x,
        attend,
        _norm(layer.layer.norm_attention),
        lambda x, y: gru_gate(x, y, layer.gate_attention),
    )
    return gated(
        x,
        _feed(layer.layer),
        _norm(layer.layer.norm_feed_forward),
        lambda x, y: gru_gate(x, y, layer.gate_feed_forward),
    )


def _normed_attention(
    memory: Memory, layer: SegmentLayer, heads: int, mask: Mask | None
) -> Sublayer:
    """Return attention of normed tokens, which norms the memory itself."""
    past = normed(memory, layer.norm_attention)
    return lambda tokens: multi_head_segment_attention(
        tokens, past, layer.attention, heads=heads, mask=mask
    )


def _feed(layer: SegmentLayer) -> Sublayer:
    return lambda x: feed(x, layer.feed_forward)


def _norm(weights: NormWeights) -> Sublayer:
    return lambda x: normed(x, weights)
