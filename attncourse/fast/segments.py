"""Transformer-XL in torch: a stack with memories, to train and to read.

The numbers are those of `attncourse.reference.segments`; the memory is
detached, so a step of training reaches back to the beginning of its
segment. Scores are in `segments_scores`, layers in `segments_layers`, and
`segments_convert` gives the numbers to the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from attncourse.fast.segments_layers import (
    GatedSegmentLayer,
    Mask,
    Memory,
    PreNormSegmentLayer,
    SegmentAttention,
    SegmentLayer,
    Tokens,
    with_memory,
)
from attncourse.fast.segments_scores import (
    Distances,
    distance_encodings,
    relative_shift,
    segment_attention,
    segment_scores,
)
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import count

__all__ = [
    "Distances",
    "GatedSegmentLayer",
    "PreNormSegmentLayer",
    "SegmentAttention",
    "SegmentLayer",
    "TransformerXL",
    "distance_encodings",
    "extend_memory",
    "relative_shift",
    "segment_attention",
    "segment_mask",
    "segment_scores",
    "with_memory",
]


def extend_memory(memory: Memory, x: Tokens, *, length: int) -> Memory:
    r"""Return the last `length` tokens of memory and segment, detached.

    .. math:: M' = \mathrm{stop}([M; X])_{-\ell:}

    Source: Dai et al. (2019), section 3.2, SG.

    Examples
    --------
    >>> x = torch.ones(3, 6, requires_grad=True)
    >>> memory = extend_memory(torch.ones(5, 6), x, length=4)
    >>> memory.shape, memory.requires_grad
    (torch.Size([4, 6]), False)
    """
    length = count("length", length, least=0)
    both = with_memory(x, memory).detach()
    # A copy: a view would keep the tokens that are to be forgotten.
    return both[..., max(0, both.shape[-2] - length) :, :].clone()


def segment_mask(
    tokens: int,
    *,
    segment: int,
    length: int,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "tokens keys"]:
    r"""Return who sees whom in one layer, if a sequence comes in segments.

    .. math:: M_{ij} = [\, L \lfloor i / L \rfloor - \ell \le j \le i \,]

    Source: Dai et al. (2019), section 3.2, figure 2.

    Examples
    --------
    >>> segment_mask(4, segment=2, length=1).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    """
    segment = count("segment", segment)
    length = count("length", length, least=0)
    at = torch.arange(count("tokens", tokens, least=0), device=device)
    first = at.div(segment, rounding_mode="floor") * segment - length
    return (first[:, None] <= at) & (at <= at[:, None])


class TransformerXL(nn.Module):
    r"""Layers with memories, one segment at a time.

    .. math:: h^{(n)} = \mathrm{layer}_n\big(h^{(n-1)}, m^{(n)}\big), \qquad
              m'^{(n)} = \mathrm{stop}\big[m^{(n)}; h^{(n-1)}\big]_{-\ell:}

    Parameters
    ----------
    layers : segment layers.
    norm : after the last, or None. Pre-norm layers need one.
    length : how many tokens each layer remembers; it may be set anew, and
        a longer one at test time sees farther than it was trained to.

    Source: Dai et al. (2019), sections 3.2 and 3.3.

    Examples
    --------
    >>> model = TransformerXL([SegmentLayer(6, heads=3, hidden=11)], length=4)
    >>> y, memories = model(torch.ones(5, 6))
    >>> y, memories = model(torch.ones(5, 6), memories)
    >>> y.shape, memories[0].shape
    (torch.Size([5, 6]), torch.Size([4, 6]))
    """

    def __init__(
        self,
        layers: Iterable[nn.Module],
        norm: nn.Module | None = None,
        *,
        length: int,
    ):
        super().__init__()
        self.layers, self.norm = nn.ModuleList(layers), norm
        self.length = count("length", length, least=0)

    def forward(
        self,
        x: Tokens,
        memories: Sequence[Tensor] | None = None,
        *,
        mask: Mask | None = None,
    ) -> tuple[Tokens, list[Tensor]]:
        """Return the segment after all layers, and their next memories."""
        require_real("x", x, "tokens width")
        if memories is None:
            memories = [x[..., :0, :]] * len(self.layers)
        if len(memories) != len(self.layers):
            raise ValueError(
                "memories must hold one for each layer: "
                f"got {len(memories)}, layers={len(self.layers)}"
            )
        kept = []
        for layer, memory in zip(self.layers, memories, strict=True):
            kept.append(extend_memory(memory, x, length=self.length))
            x = layer(x, memory, mask=mask)
        return x if self.norm is None else self.norm(x), kept

    def extra_repr(self) -> str:
        """Return the length of the memory."""
        return f"length={self.length}"
