"""Attention between modalities in torch: `attncourse.reference.crossmodal`.

Queries come from the stream that asks, keys and values from the one that is
read. The modules are in `crossmodal_layers`, the masks in
`crossmodal_masks`, attention on image regions in `crossmodal_regions`.
"""

from __future__ import annotations

from attncourse.fast.crossmodal_layers import (
    CoAttentionLayer,
    CrossAttention,
    CrossEncoderLayer,
    GatedCrossLayer,
    to_reference,
)
from attncourse.fast.crossmodal_masks import (
    Asking,
    Context,
    Mask,
    latest_image_mask,
    pair_mask,
    without_unseen,
)
from attncourse.fast.crossmodal_regions import (
    RegionAttention,
    RegionScorer,
    doubly_stochastic_penalty,
    gated_region_context,
    region_context,
    region_gate,
    region_weights,
)
from attncourse.fast.heads import Projections, multi_head_attention

__all__ = [
    "CoAttentionLayer",
    "CrossAttention",
    "CrossEncoderLayer",
    "GatedCrossLayer",
    "RegionAttention",
    "RegionScorer",
    "cross_attention",
    "doubly_stochastic_penalty",
    "gated_region_context",
    "latest_image_mask",
    "pair_mask",
    "region_context",
    "region_gate",
    "region_weights",
    "to_reference",
]


def cross_attention(
    x: Asking,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Asking:
    r"""Return, for each token of `x`, what it reads in another modality.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O, \qquad
              Z_r = \mathrm{attend}(X W_Q^r,\; C W_K^r,\; C W_V^r)

    It is `heads.multi_head_attention`, between streams of two widths: a
    token that sees nothing gets the output bias alone. What stands in
    padding, NaN included, has no influence on the result or on any
    gradient, those of the projections among them.

    Source: Vaswani et al. (2017), section 3.2.3; between modalities as in
    Lu et al. (2019), "ViLBERT".

    Examples
    --------
    >>> import torch
    >>> wide, square = torch.ones(3, 2), torch.ones(2, 2)
    >>> layer = Projections(square, wide, wide, square)
    >>> x, context = torch.ones(5, 2), torch.ones(7, 3)
    >>> cross_attention(x, context, layer, heads=1).shape
    torch.Size([5, 2])
    """
    x, context = without_unseen(x, context, mask)
    return multi_head_attention(
        x, context, projections, heads=heads, mask=mask
    )
