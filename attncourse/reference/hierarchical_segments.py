"""Layers of attention over long sequences: in segments, then among them.

Tokens attend within their segment only; one token of each segment speaks
for it, and these summaries attend to one another. Of n tokens in segments
of length L that takes about nL + (n / L)^2 scores instead of n^2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.blocks import encoder
from attncourse.reference.blocks_parts import Stack
from attncourse.reference.recurrent_tokens import masked_tokens
from attncourse.shapes import Array, count, real

Tokens = Float[Array, "*#batch tokens width"]
TokenMask = Bool[Array, "*#batch tokens"]
Segments = Float[Array, "*#batch segments length width"]
SegmentMask = Bool[Array, "*#batch segments length"]


class Layered(NamedTuple):
    """What both layers have made of a sequence.

    `tokens` has shape (..., segments, length, width): each has read its
    segment. `summaries`, (..., segments, width), have read all segments;
    those of segments without a token are zero.
    """

    tokens: Any
    summaries: Any


def split_segments(
    x: Tokens, *, length: int, stride: int, mask: TokenMask | None = None
) -> tuple[Segments, SegmentMask]:
    r"""Return segments that begin every `stride` tokens, and their mask.

    .. math:: x_{st} = x_{s \cdot \mathrm{stride} + t}, \qquad
              0 \le t < \mathrm{length}

    The last one is padded with zeros. A stride below the length makes
    segments overlap, so that each edge is the middle of another.

    Parameters
    ----------
    x : shape (..., tokens, width).
    length, stride : in tokens; the stride is not above the length, or
        tokens would be left out.
    mask : True at real tokens, shape (..., tokens); None for all.

    Source: Pappagari et al. (2019), "Hierarchical Transformers for Long
    Document Classification", where segments overlap.

    Examples
    --------
    >>> x = np.arange(5.0)[:, None]
    >>> segments, mask = split_segments(x, length=3, stride=2)
    >>> segments[..., 0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    x, mask = masked_tokens(x, mask)
    length, stride = count("length", length), count("stride", stride)
    if stride > length:
        raise ValueError(
            "stride must not be above the length of a segment: "
            f"got stride={stride}, length={length}"
        )
    tokens = x.shape[-2]
    starts: list[int] = []
    while not starts or starts[-1] + length < tokens:
        starts.append(len(starts) * stride)
    segments = np.zeros((*x.shape[:-2], len(starts), length, x.shape[-1]))
    present = np.zeros(segments.shape[:-1], bool)
    for s, start in enumerate(starts):
        here = min(length, tokens - start)
        segments[..., s, :here, :] = x[..., start : start + here, :]
        present[..., s, :here] = mask[..., start : start + here]
    return segments, present


def layered_encoder(
    segments: Segments,
    local: Stack,
    above: Stack,
    *,
    heads: int,
    mask: SegmentMask | None = None,
) -> Layered:
    r"""Return tokens that know their segment, and summaries that know all.

    .. math:: h_s = \mathrm{encoder}_1(x_{s1}, \dots, x_{sL}), \qquad
              (c_1, \dots, c_S) = \mathrm{encoder}_2(h_{11}, \dots, h_{S1})

    The first real token of a segment is its summary, as the classification
    token is in the paper. The second layer sees nothing else.

    Parameters
    ----------
    segments : as `split_segments` returns them.
    local, above : the stacks of both layers, as `blocks.encoder` takes
        them.
    mask : True at real tokens, shape (..., segments, length). The length is
        at least 1.

    Source: Pappagari et al. (2019), the model "ToBERT", with any stacks.

    Examples
    --------
    >>> from attncourse.reference import blocks
    >>> layer = blocks.new_encoder_layer(width=4, hidden=3, seed=0)
    >>> stack = Stack([layer], blocks.encoder_layer)
    >>> x = np.ones((3, 5, 4))  # three segments of five tokens
    >>> layered_encoder(x, stack, stack, heads=2).summaries.shape
    (3, 4)
    """
    segments = real("segments", segments, "segments length width")
    x, mask = masked_tokens(segments, mask, name="segments", axis="length")
    count("length", x.shape[-2])
    tokens = encoder(x, local, heads=heads, mask=mask[..., None, :])
    tokens = np.where(mask[..., None], tokens, 0.0)
    present = np.any(mask, axis=-1)
    first = np.argmax(mask, axis=-1)[..., None, None]
    spoken = np.take_along_axis(tokens, first, axis=-2)[..., 0, :]
    summaries = encoder(spoken, above, heads=heads, mask=present[..., None, :])
    return Layered(tokens, np.where(present[..., None], summaries, 0.0))
