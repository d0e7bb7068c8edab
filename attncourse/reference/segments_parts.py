"""The parts of a layer with a memory: its numbers, and how it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.reference.blocks_parts import NormWeights
from attncourse.reference.blocks_start import new_encoder_layer
from attncourse.reference.feedforward import FeedForwardWeights, GatedWeights
from attncourse.reference.gates import GRUGateWeights, new_gru_gate
from attncourse.reference.heads_parts import Projections, Tokens
from attncourse.shapes import (
    Array,
    count,
    real,
    require_broadcast,
    require_equal,
)

Memory = Float[Array, "*#batch past width"]


@dataclass(frozen=True)
class RelativeProjections:
    """The trained numbers of attention by relative position.

    Parameters
    ----------
    projections : the four matrices of any layer.
    w_distance : shape (width, heads * dim), W_R; from the encoding of a
        distance to what a query meets.
    content_bias, distance_bias : shape (heads, dim), u and v.
    """

    projections: Projections
    w_distance: Any
    content_bias: Any
    distance_bias: Any


@dataclass(frozen=True)
class SegmentLayer:
    """The trained numbers of a layer with a memory; see `EncoderLayer`."""

    attention: RelativeProjections
    feed_forward: FeedForwardWeights | GatedWeights
    norm_attention: NormWeights
    norm_feed_forward: NormWeights


@dataclass(frozen=True)
class GatedSegmentLayer:
    """A `SegmentLayer` and the gates in place of its residual sums."""

    layer: SegmentLayer
    gate_attention: GRUGateWeights
    gate_feed_forward: GRUGateWeights


def with_memory(
    x: Tokens, memory: Memory
) -> Float[Array, "*#batch both width"]:
    r"""Return the memory and, after it, the segment: :math:`[M; X]`.

    Source: Dai et al. (2019), section 3.2, the concatenation.

    Examples
    --------
    >>> with_memory([[3]], [[1], [2]]).tolist()
    [[1.0], [2.0], [3.0]]
    """
    x = real("x", x, "tokens width")
    memory = real("memory", memory, "past width")
    require_equal("width", x=x.shape[-1], memory=memory.shape[-1])
    batch = require_broadcast(x=x.shape[:-2], memory=memory.shape[:-2])
    parts = [np.broadcast_to(y, (*batch, *y.shape[-2:])) for y in (memory, x)]
    return np.concatenate(parts, axis=-2)


def new_segment_layer(
    *, width: int, heads: int, hidden: int, seed: int
) -> SegmentLayer:
    r"""Return an untrained layer; its two biases start at zero.

    .. math:: W_{ij} \sim \mathrm{uniform}(-a, a), \qquad
              a = \sqrt{6 / (\text{rows} + \text{columns})}

    Source: Glorot & Bengio (2010), "Understanding the difficulty of
    training deep feedforward neural networks", eq. 16.

    Examples
    --------
    >>> layer = new_segment_layer(width=6, heads=2, hidden=11, seed=0)
    >>> layer.attention.w_distance.shape, layer.attention.content_bias.shape
    ((6, 6), (2, 3))
    """
    heads, seed = count("heads", heads), count("seed", seed, least=0)
    if count("width", width) % heads:
        raise ValueError(
            "width must split evenly into heads: "
            f"got width={width}, heads={heads}"
        )
    if width % 2:
        raise ValueError(
            f"width must be even, a distance is sines and cosines: got {width}"
        )
    plain = new_encoder_layer(width=width, hidden=hidden, seed=seed)
    # Not the stream of `plain`, whose first numbers these would repeat.
    rng = np.random.default_rng([seed, width])
    bound = math.sqrt(6 / (width + width))
    attention = RelativeProjections(
        plain.attention,
        rng.uniform(-bound, bound, size=(width, width)),
        *np.zeros((2, heads, width // heads)),
    )
    return SegmentLayer(
        attention,
        plain.feed_forward,
        plain.norm_attention,
        plain.norm_feed_forward,
    )


def new_gated_segment_layer(
    *, width: int, heads: int, hidden: int, seed: int
) -> GatedSegmentLayer:
    """Return an untrained layer whose gates let little pass.

    Source: Parisotto et al. (2020), section 3.2; see `new_gru_gate`.

    Examples
    --------
    >>> layer = new_gated_segment_layer(width=4, heads=2, hidden=3, seed=0)
    >>> layer.gate_attention.b_update.tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    layer = new_segment_layer(
        width=width, heads=heads, hidden=hidden, seed=seed
    )
    # Neighbouring seeds share no gate.
    first, second = (
        new_gru_gate(width=width, seed=2 * seed + n) for n in range(2)
    )
    return GatedSegmentLayer(layer, first, second)
