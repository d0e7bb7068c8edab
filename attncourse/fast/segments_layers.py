"""Layers that read a memory, as torch modules: Transformer-XL and GTrXL."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.dense import weighted_sum
from attncourse.fast.gates import GRUGate, gated
from attncourse.fast.heads import merge_heads, split_heads
from attncourse.fast.layers_parts import (
    Activation,
    FeedForward,
    dropout_module,
)
from attncourse.fast.masks import causal_mask, combine_masks
from attncourse.fast.segments_scores import (
    Distances,
    distance_encodings,
    segment_weights,
)
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import SCORES, count, require_broadcast, require_equal

Tokens = Float[Tensor, "*#batch tokens width"]
Memory = Float[Tensor, "*#batch past width"]
Mask = Bool[Tensor, SCORES]


def with_memory(
    x: Tokens, memory: Memory
) -> Float[Tensor, "*#batch both width"]:
    r"""Return the memory and, after it, the segment: :math:`[M; X]`.

    Source: Dai et al. (2019), "Transformer-XL", section 3.2.

    Examples
    --------
    >>> with_memory(torch.ones(3, 6), torch.ones(5, 6)).shape
    torch.Size([8, 6])
    """
    require_real("x", x, "tokens width")
    require_real("memory", memory, "past width")
    require_equal("width", x=x.shape[-1], memory=memory.shape[-1])
    batch = require_broadcast(
        x=tuple(x.shape[:-2]), memory=tuple(memory.shape[:-2])
    )
    parts = [y.expand(*batch, *y.shape[-2:]) for y in (memory, x)]
    return torch.cat(parts, dim=-2)


class SegmentAttention(nn.Module):
    r"""Multi-head attention of a segment on a memory and itself.

    .. math:: s_{ij} = \frac{(q_i + u) \cdot k_j
              + (q_i + v) \cdot W_R R_{i-j}}{\sqrt{d_k}}

    Parameters
    ----------
    width : numbers of a token, even; heads divide it evenly.
    bias : whether the four linear maps add one; the paper's do not.
    dropout : probability that a weight is dropped while training.

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> layer = SegmentAttention(6, heads=3)
    >>> layer(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        bias: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        width, self.heads = count("width", width), count("heads", heads)
        if width % heads:
            raise ValueError(
                "width must split evenly into heads: "
                f"got width={width}, heads={heads}"
            )
        if width % 2:
            raise ValueError(
                "width must be even, a distance is sines and cosines: "
                f"got {width}"
            )
        self.query, self.key, self.value, self.output = (
            _linear(width, bias) for _ in range(4)
        )
        self.distance = _linear(width, False)
        self.content_bias, self.distance_bias = (
            nn.Parameter(torch.zeros(heads, width // heads)) for _ in range(2)
        )
        self.drop = dropout_module(dropout)

    def distances(self, keys: int) -> Distances:
        """Return what this layer knows of `keys` distances, by head."""
        weight = self.distance.weight
        encodings = distance_encodings(keys, dim=len(weight), like=weight)
        return Distances(
            split_heads(self.distance(encodings), heads=self.heads),
            self.content_bias,
            self.distance_bias,
        )

    def forward(
        self, x: Tokens, memory: Memory, *, mask: Mask | None = None
    ) -> Tokens:
        """Return what each token reads; none ever sees a later one."""
        context = with_memory(x, memory)
        width = self.query.in_features
        require_equal("width", x=x.shape[-1], layer=width)
        queries, keys = x.shape[-2], context.shape[-2]
        q = split_heads(self.query(x), heads=self.heads)
        k = split_heads(self.key(context), heads=self.heads)
        v = split_heads(self.value(context), heads=self.heads)
        allowed = causal_mask(queries, keys, device=x.device)
        if mask is not None:
            allowed = combine_masks(allowed, mask)
        allowed = allowed[..., None, :, :]
        weights = segment_weights(q, k, self.distances(keys), mask=allowed)
        weights = self.drop(weights.to(v.dtype))
        read = weighted_sum(weights, v, mask=allowed)
        return self.output(merge_heads(read))


class SegmentLayer(nn.Module):
    r"""Attention with a memory, then feed-forward, a norm after each sum.

    .. math:: h = \mathrm{norm}(x + \mathrm{attend}(x, [m; x])), \qquad
              y = \mathrm{norm}(h + \mathrm{feed}(h))

    Parameters
    ----------
    width, heads, bias : of the attention.
    hidden : of the feed-forward network.
    dropout : of the weights, of the hidden numbers, and of each change.

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> layer = SegmentLayer(6, heads=3, hidden=11)
    >>> layer(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.relu,
        bias: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.attention = SegmentAttention(
            width, heads, bias=bias, dropout=dropout
        )
        self.feed_forward = FeedForward(
            width, hidden, activation=activation, dropout=dropout
        )
        self.norm_attention, self.norm_feed_forward = (
            nn.LayerNorm(width) for _ in range(2)
        )
        self.drop = dropout_module(dropout)

    def forward(
        self, x: Tokens, memory: Memory, *, mask: Mask | None = None
    ) -> Tokens:
        """Return the segment; `memory` holds earlier inputs of the layer."""
        read = self.attention(x, memory, mask=mask)
        x = self.norm_attention(x + self.drop(read))
        return self.norm_feed_forward(x + self.drop(self.feed_forward(x)))


class PreNormSegmentLayer(SegmentLayer):
    r"""`SegmentLayer` with each norm before its sublayer.

    .. math:: h = x + \mathrm{attend}(\mathrm{norm}(x), \mathrm{norm}([m; x]))

    Source: Parisotto et al. (2020), "Stabilizing Transformers for
    Reinforcement Learning", section 3.1, TrXL-I without its ReLU.

    Examples
    --------
    >>> layer = PreNormSegmentLayer(6, heads=3, hidden=11)
    >>> x = torch.full((1, 6), 7.0)  # normed it is zero
    >>> layer(x, x).tolist()
    [[7.0, 7.0, 7.0, 7.0, 7.0, 7.0]]
    """

    def forward(
        self, x: Tokens, memory: Memory, *, mask: Mask | None = None
    ) -> Tokens:
        """Return the segment; `memory` holds earlier inputs of the layer."""
        past = self.norm_attention(memory)
        read = self.attention(self.norm_attention(x), past, mask=mask)
        x = x + self.drop(read)
        return x + self.drop(self.feed_forward(self.norm_feed_forward(x)))


class GatedSegmentLayer(SegmentLayer):
    r"""`PreNormSegmentLayer` with gates in place of its sums: GTrXL.

    .. math:: h = g_1\big(x, \mathrm{relu}(\mathrm{attend}(
              \mathrm{norm}(x), \mathrm{norm}([m; x])))\big), \quad
              y = g_2\big(h, \mathrm{relu}(\mathrm{feed}(
              \mathrm{norm}(h)))\big)

    Source: Parisotto et al. (2020), section 3.2 and figure 1.

    Examples
    --------
    >>> layer = GatedSegmentLayer(6, heads=3, hidden=11)
    >>> layer(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(self, width: int, heads: int, hidden: int, **options):
        super().__init__(width, heads, hidden, **options)
        self.gate_attention, self.gate_feed_forward = (
            GRUGate(width) for _ in range(2)
        )

    def forward(
        self, x: Tokens, memory: Memory, *, mask: Mask | None = None
    ) -> Tokens:
        """Return the segment; `memory` holds earlier inputs of the layer."""
        past = self.norm_attention(memory)

        def attend(tokens: Tensor) -> Tensor:
            return self.drop(self.attention(tokens, past, mask=mask))

        def feed(tokens: Tensor) -> Tensor:
            return self.drop(self.feed_forward(tokens))

        x = gated(x, attend, self.norm_attention, self.gate_attention)
        return gated(x, feed, self.norm_feed_forward, self.gate_feed_forward)


def _linear(width: int, bias: bool) -> nn.Linear:
    """Return a linear map that starts as the reference's layers do."""
    layer = nn.Linear(width, width, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
