"""Segment recurrence: a long sequence read piece by piece, with a memory.

A sequence that is too long to be read at once is cut into segments. Each
layer remembers the last tokens that came into it, so a segment reads what
the layer below had made of the segments before. No token is computed twice,
and nothing is trained through the memory: the stored tokens are numbers.

Segment by segment is exactly the whole sequence at once under
`segment_mask`, layer by layer, because a token's past never changes. So
with a memory of everything it is causal attention over everything, for any
number of layers; with less, one layer sees as far as its memory, and each
further layer sees that much farther (`earliest_seen`). What does not hold:
the gradient. It stops where the segment begins, while that of the whole
sequence goes on.

Scores and shift are in `segments_scores`, layers in `segments_layers`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.blocks_parts import Stack, normed
from attncourse.reference.heads_parts import Tokens
from attncourse.reference.segments_layers import (
    gated_segment_layer,
    multi_head_segment_attention,
    pre_norm_segment_layer,
    segment_layer,
)
from attncourse.reference.segments_parts import (
    GatedSegmentLayer,
    Memory,
    RelativeProjections,
    SegmentLayer,
    new_gated_segment_layer,
    new_segment_layer,
    with_memory,
)
from attncourse.reference.segments_scores import (
    Distances,
    Terms,
    distance_encodings,
    relative_shift,
    score_terms,
    segment_attention,
    segment_scores,
)
from attncourse.shapes import Array, Mask, count, real

__all__ = [
    "Distances",
    "GatedSegmentLayer",
    "RelativeProjections",
    "SegmentLayer",
    "Stack",
    "Terms",
    "distance_encodings",
    "earliest_seen",
    "evaluation_gain",
    "extend_memory",
    "gated_segment_layer",
    "in_segments",
    "multi_head_segment_attention",
    "new_gated_segment_layer",
    "new_segment_layer",
    "pre_norm_segment_layer",
    "relative_shift",
    "score_terms",
    "segment_attention",
    "segment_layer",
    "segment_mask",
    "segment_scores",
    "segment_step",
    "with_memory",
]

Memories = Sequence[Array]


def extend_memory(
    memory: Memory, x: Tokens, *, length: int
) -> Float[Array, "*batch kept width"]:
    r"""Return the last `length` tokens of the memory and the segment.

    .. math:: M' = \mathrm{stop}([M; X])_{-\ell:}

    The result is a copy of numbers: nothing that is learned later reaches
    back through it.

    Source: Dai et al. (2019), "Transformer-XL", section 3.2, SG.

    Examples
    --------
    >>> extend_memory([[1], [2]], [[3]], length=2).tolist()
    [[2.0], [3.0]]
    """
    length = count("length", length, least=0)
    both = with_memory(x, memory)
    return both[..., max(0, both.shape[-2] - length) :, :].copy()


def segment_step(
    x: Tokens,
    memories: Memories | None,
    stack: Stack,
    *,
    heads: int,
    length: int,
    mask: Mask | None = None,
) -> tuple[Tokens, list[Array]]:
    r"""Return a segment after all layers, and what each will remember.

    .. math:: h^{(n)} = \mathrm{layer}_n\big(h^{(n-1)}, m^{(n)}\big), \qquad
              m'^{(n)} = \big[m^{(n)}; h^{(n-1)}\big]_{-\ell:}

    Parameters
    ----------
    x : the segment, shape (..., tokens, width).
    memories : for each layer, the tokens that came into it before, shape
        (..., past, width); None before the first segment.
    stack : its `layer` is one of the layers of this unit.
    length : how many tokens each layer remembers at most.
    mask : shape (..., tokens, past + tokens), for every layer.

    Source: Dai et al. (2019), section 3.2.

    Examples
    --------
    >>> layer = new_segment_layer(width=4, heads=2, hidden=3, seed=0)
    >>> stack = Stack([layer], segment_layer)
    >>> x = np.ones((5, 4))
    >>> y, memories = segment_step(x, None, stack, heads=2, length=3)
    >>> y.shape, memories[0].shape
    ((5, 4), (3, 4))
    """
    x = real("x", x, "tokens width")
    if memories is None:
        memories = [x[..., :0, :]] * len(stack.layers)
    if len(memories) != len(stack.layers):
        raise ValueError(
            "memories must hold one for each layer: "
            f"got {len(memories)}, layers={len(stack.layers)}"
        )
    kept = []
    for layer, memory in zip(stack.layers, memories, strict=True):
        kept.append(extend_memory(memory, x, length=length))
        x = stack.layer(x, memory, layer, heads=heads, mask=mask)
    return x if stack.norm is None else normed(x, stack.norm), kept


def in_segments(
    x: Tokens, stack: Stack, *, heads: int, segment: int, length: int
) -> Tokens:
    r"""Return a whole sequence after all layers, one segment at a time.

    It equals one `segment_step` with the whole sequence as its segment
    and `segment_mask` as its mask.

    Parameters
    ----------
    x : shape (..., tokens, width); the last segment may be shorter.
    segment : tokens read at once.
    length : how many tokens each layer remembers.

    Source: Dai et al. (2019), section 3.2, figure 2.

    Examples
    --------
    >>> layer = new_segment_layer(width=4, heads=2, hidden=3, seed=0)
    >>> stack = Stack([layer], segment_layer)
    >>> in_segments(np.ones((7, 4)), stack, heads=2, segment=3, length=3).shape
    (7, 4)
    """
    x, segment = real("x", x, "tokens width"), count("segment", segment)
    length = count("length", length, least=0)
    memories, parts = None, [x[..., :0, :]]
    for at in range(0, x.shape[-2], segment):
        y, memories = segment_step(
            x[..., at : at + segment, :],
            memories,
            stack,
            heads=heads,
            length=length,
        )
        parts.append(y)
    return np.concatenate(parts, axis=-2)


def segment_mask(
    tokens: int, *, segment: int, length: int
) -> Bool[Array, "tokens keys"]:
    r"""Return who sees whom in one layer, if a sequence comes in segments.

    .. math:: M_{ij} = [\, L \lfloor i / L \rfloor - \ell \le j \le i \,]

    with segments of L tokens and a memory of :math:`\ell`: a staircase, not
    the band of a sliding window. The first token of a segment sees least.

    Source: Dai et al. (2019), section 3.2, figure 2.

    Examples
    --------
    >>> segment_mask(4, segment=2, length=1).astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    """
    tokens = count("tokens", tokens, least=0)
    segment = count("segment", segment)
    length = count("length", length, least=0)
    position = np.arange(tokens)
    first = position // segment * segment - length
    return (first[:, None] <= position) & (position <= position[:, None])


def earliest_seen(
    position: int, *, layers: int, segment: int, length: int
) -> int:
    r"""Return the first position that can change what comes out at another.

    .. math:: p_0 = p, \qquad
              p_{n+1} = L \lfloor p_n / L \rfloor - \ell

    at most down to position 0. With a memory as long as a segment each
    layer reaches one segment farther: the receptive field is layers times
    segment, and the rest of the first segment.

    Source: Dai et al. (2019), section 3.2, the largest dependency O(N L).

    Examples
    --------
    >>> earliest_seen(11, layers=2, segment=4, length=4)
    0
    >>> earliest_seen(11, layers=1, segment=4, length=3)
    5
    """
    position = count("position", position, least=0)
    layers, segment = count("layers", layers), count("segment", segment)
    length = count("length", length, least=0)
    for _ in range(layers):
        position = max(0, position // segment * segment - length)
    return position


def evaluation_gain(tokens: int, *, context: int) -> float:
    r"""Return how many times more tokens pass a layer without a memory.

    .. math:: \frac{1}{T} \sum_{t=1}^{T} \min(t, C)

    To predict each of T tokens from the C before it, a model without a
    memory reads all of these anew for each prediction. With a memory every
    token passes a layer once, whatever the segments.

    Source: Dai et al. (2019), sections 3.2 and 4.5.

    Examples
    --------
    >>> evaluation_gain(3, context=2)  # (1 + 2 + 2) / 3
    1.6666666666666667
    """
    tokens, context = count("tokens", tokens), count("context", context)
    passes = sum(min(number, context) for number in range(1, tokens + 1))
    return passes / tokens
