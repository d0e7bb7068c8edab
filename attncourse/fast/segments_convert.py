"""The numbers of torch's segment layers as the reference takes them."""

from __future__ import annotations

from typing import Any

from torch import nn

from attncourse.fast import gates, layers_convert, segments
from attncourse.reference import segments as reference
from attncourse.reference.blocks_parts import Stack
from attncourse.reference.gates import GRUGateWeights
from attncourse.reference.heads_parts import Projections

# The function of the reference that applies each layer's numbers.
FUNCTIONS: dict[type, Any] = {
    segments.SegmentLayer: reference.segment_layer,
    segments.PreNormSegmentLayer: reference.pre_norm_segment_layer,
    segments.GatedSegmentLayer: reference.gated_segment_layer,
}


def to_reference(mine: nn.Module) -> Any:
    r"""Return the numbers as the dataclass that the reference takes.

    They are views, detached: with :math:`y = x W^\top` in torch, the
    reference's matrix is :math:`W^\top`. Of a `TransformerXL` it is a
    `Stack`, which also names the reference's function.

    Source: Dai et al. (2019), "Transformer-XL", section 3.3, the names of
    the matrices.

    Examples
    --------
    >>> import torch
    >>> layer = segments.SegmentLayer(4, heads=2, hidden=3)
    >>> x, memory = torch.ones(5, 4), torch.ones(7, 4)
    >>> reference.segment_layer(x, memory, to_reference(layer), heads=2).shape
    (5, 4)
    """
    if isinstance(mine, segments.TransformerXL):
        return _stack(mine)
    if isinstance(mine, gates.GRUGate):
        numbers = vars(mine.weights()).values()
        return GRUGateWeights(*[each.detach().cpu() for each in numbers])
    if isinstance(mine, segments.SegmentAttention):
        return _attention(mine)
    if not isinstance(mine, segments.SegmentLayer):
        return layers_convert.to_reference(mine)
    layer = reference.SegmentLayer(
        _attention(mine.attention),
        layers_convert.to_reference(mine.feed_forward),
        layers_convert.to_reference(mine.norm_attention),
        layers_convert.to_reference(mine.norm_feed_forward),
    )
    if not isinstance(mine, segments.GatedSegmentLayer):
        return layer
    return reference.GatedSegmentLayer(
        layer,
        to_reference(mine.gate_attention),
        to_reference(mine.gate_feed_forward),
    )


def _attention(
    mine: segments.SegmentAttention,
) -> reference.RelativeProjections:
    maps = (mine.query, mine.key, mine.value, mine.output)
    biases = [each.bias for each in maps]
    projections = Projections(
        *(each.weight.detach().cpu().T for each in maps),
        *(None if b is None else b.detach().cpu() for b in biases),
    )
    return reference.RelativeProjections(
        projections,
        mine.distance.weight.detach().cpu().T,
        mine.content_bias.detach().cpu(),
        mine.distance_bias.detach().cpu(),
    )


def _stack(mine: segments.TransformerXL) -> Stack:
    kinds = {type(each) for each in mine.layers}
    if len(kinds) != 1:
        raise ValueError(f"layers must be of one kind: got {len(kinds)} kinds")
    return Stack(
        [to_reference(each) for each in mine.layers],
        FUNCTIONS[kinds.pop()],
        None if mine.norm is None else to_reference(mine.norm),
    )
