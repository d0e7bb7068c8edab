"""Layers of attention over long sequences in torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.layers import Encoder
from attncourse.fast.recurrent_tokens import (
    TokenMask,
    masked_tokens,
    require_floating,
)
from attncourse.shapes import count

Tokens = Float[Tensor, "*#batch tokens width"]
Segments = Float[Tensor, "*#batch segments length width"]
SegmentMask = Bool[Tensor, "*#batch segments length"]


class Layered(NamedTuple):
    """Both layers; as `reference.hierarchical_segments.Layered`."""

    tokens: Tensor
    summaries: Tensor


def split_segments(
    x: Tokens, *, length: int, stride: int, mask: TokenMask | None = None
) -> tuple[Segments, SegmentMask]:
    r"""Return segments that begin every `stride` tokens, and their mask.

    .. math:: x_{st} = x_{s \cdot \mathrm{stride} + t}, \qquad
              0 \le t < \mathrm{length}

    Source: as in `reference.hierarchical_segments.split_segments`.

    Examples
    --------
    >>> x = torch.arange(5.0)[:, None]
    >>> segments, mask = split_segments(x, length=3, stride=2)
    >>> segments[..., 0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    length, stride = count("length", length), count("stride", stride)
    if stride > length:
        raise ValueError(
            "stride must not be above the length of a segment: "
            f"got stride={stride}, length={length}"
        )
    x, mask = masked_tokens(x, mask)
    over = max(0, x.shape[-2] - length)
    segments = 1 + -(-over // stride)
    missing = (segments - 1) * stride + length - x.shape[-2]
    x = F.pad(x, (0, 0, 0, missing))
    mask = F.pad(mask, (0, missing))
    # Copies: where segments overlap, a token would be one number in two.
    return (
        x.unfold(-2, length, stride).movedim(-1, -2).clone(),
        mask.unfold(-1, length, stride).clone(),
    )


class LayeredEncoder(nn.Module):
    r"""Attention within segments, then among their summaries.

    .. math:: h_s = \mathrm{encoder}_1(x_{s1}, \dots, x_{sL}), \qquad
              (c_1, \dots, c_S) = \mathrm{encoder}_2(h_{11}, \dots, h_{S1})

    Parameters
    ----------
    local, above : the two stacks, each a `layers.Encoder`.

    Source: as in `reference.hierarchical_segments.layered_encoder`.

    Examples
    --------
    >>> from attncourse.fast.layers import EncoderLayer
    >>> local, above = (
    ...     Encoder([EncoderLayer(4, heads=2, hidden=3)]) for _ in range(2)
    ... )
    >>> LayeredEncoder(local, above)(torch.ones(3, 5, 4)).summaries.shape
    torch.Size([3, 4])
    """

    def __init__(self, local: Encoder, above: Encoder):
        super().__init__()
        self.local, self.above = local, above

    def forward(
        self, segments: Segments, *, mask: SegmentMask | None = None
    ) -> Layered:
        """Return tokens that know their segment, summaries that know all.

        `mask` is True at real tokens, (..., segments, length).
        """
        require_floating("segments", segments, "segments length width")
        count("length", segments.shape[-2])
        if mask is None:
            tokens = self.local(segments)
            return Layered(tokens, self.above(tokens[..., 0, :]))
        x, mask = masked_tokens(segments, mask, name="segments", axis="length")
        tokens = self.local(x, mask=mask[..., None, :])
        tokens = torch.where(mask[..., None], tokens, 0.0)
        present = mask.any(dim=-1)
        first = mask.int().argmax(dim=-1)[..., None, None]
        spoken = tokens.take_along_dim(first, dim=-2)[..., 0, :]
        summaries = self.above(spoken, mask=present[..., None, :])
        return Layered(tokens, torch.where(present[..., None], summaries, 0.0))
