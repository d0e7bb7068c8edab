"""Layers in which one modality reads another, as torch modules."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncourse.fast.crossmodal_masks import (
    Asking,
    Context,
    Mask,
    require_boolean,
    without_unseen,
)
from attncourse.fast.layers import EncoderLayer, MultiHeadAttention
from attncourse.fast.layers_convert import to_reference as layers_to_reference
from attncourse.reference import crossmodal as reference

Activation = Callable[[Tensor], Tensor]


class CrossAttention(MultiHeadAttention):
    """`cross_attention` as a module; its weights drop out in training.

    Parameters
    ----------
    width, heads : of the stream that asks.
    context_width : of the stream that is read.
    bias : whether each linear map adds one. Without, a token that sees
        nothing gets zeros; else the output bias.

    Source: Vaswani et al. (2017), section 3.2.3.

    Examples
    --------
    >>> layer = CrossAttention(6, heads=2, context_width=5)
    >>> layer(torch.ones(3, 6), torch.ones(7, 5)).shape
    torch.Size([3, 6])
    """

    def forward(  # type: ignore[override]
        self, x: Asking, context: Context, *, mask: Mask | None = None
    ) -> Asking:
        """Return (..., queries, width); `mask` is True where one may look."""
        x, context = without_unseen(x, context, mask)
        return super().forward(x, context, mask=mask)


class CrossEncoderLayer(EncoderLayer):
    r"""An encoder layer that reads another stream instead of its own.

    .. math:: h = \mathrm{norm}(x + \mathrm{attend}(x, c)), \qquad
              y = \mathrm{norm}(h + \mathrm{feed}(h))

    Source: Lu, Batra, Parikh & Lee (2019), "ViLBERT", figure 2b, one side.

    Examples
    --------
    >>> layer = CrossEncoderLayer(6, 5, heads=2, hidden=11)
    >>> layer(torch.ones(3, 6), torch.ones(7, 5)).shape
    torch.Size([3, 6])
    """

    def __init__(
        self,
        width: int,
        context_width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.gelu,
        dropout: float = 0.1,
    ):
        super().__init__(
            width, heads, hidden, activation=activation, dropout=dropout
        )
        self.attention = CrossAttention(
            width, heads, context_width=context_width, dropout=dropout
        )

    def forward(  # type: ignore[override]
        self, x: Asking, context: Context, *, mask: Mask | None = None
    ) -> Asking:
        """Return the stream `x`; `mask` is True where one may look."""
        read = self.attention(x, context, mask=mask)
        x = self.norm_attention(x + self.drop(read))
        return self.norm_feed_forward(x + self.drop(self.feed_forward(x)))


class CoAttentionLayer(nn.Module):
    r"""Two streams, each of which reads the other as it came in.

    .. math:: x' = \mathrm{layer}_1(x, y), \qquad
              y' = \mathrm{layer}_2(y, x)

    Parameters
    ----------
    width, context_width : of a token of either stream.
    heads, hidden : of both layers; heads divide both widths evenly.

    Source: Lu, Batra, Parikh & Lee (2019), "ViLBERT", section 3.1 and
    figure 2b.

    Examples
    --------
    >>> layer = CoAttentionLayer(6, 4, heads=2, hidden=11)
    >>> x, y = layer(torch.ones(3, 6), torch.ones(7, 4))
    >>> x.shape, y.shape
    (torch.Size([3, 6]), torch.Size([7, 4]))
    """

    def __init__(
        self,
        width: int,
        context_width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.gelu,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.first, self.second = (
            CrossEncoderLayer(
                *widths, heads, hidden, activation=activation, dropout=dropout
            )
            for widths in ((width, context_width), (context_width, width))
        )

    def forward(
        self, x: Asking, y: Context, *, mask: Mask | None = None
    ) -> tuple[Asking, Context]:
        """Return both streams; `mask`, (..., x, y), holds both ways."""
        back = None
        if mask is not None:
            require_boolean("mask", mask, "queries keys")
            back = mask.mT
        return self.first(x, y, mask=mask), self.second(y, x, mask=back)


class GatedCrossLayer(EncoderLayer):
    r"""A layer that lets an image into a language stream through gates.

    .. math:: h = x + \tanh(\alpha)\,\mathrm{attend}(\mathrm{norm}(x), c),
              \qquad y = h + \tanh(\beta)\,\mathrm{feed}(\mathrm{norm}(h))

    Both gates start at zero: then the stream passes unchanged. Attention
    has no biases, so a word that sees no image gets nothing from it.

    Source: Alayrac et al. (2022), "Flamingo: a Visual Language Model for
    Few-Shot Learning", section 2.2 and figure 4.

    Examples
    --------
    >>> layer = GatedCrossLayer(2, 5, heads=1, hidden=11)
    >>> layer(torch.tensor([[3.0, 8.0]]), torch.ones(7, 5)).tolist()
    [[3.0, 8.0]]
    """

    def __init__(
        self,
        width: int,
        context_width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.gelu,
        dropout: float = 0.0,
    ):
        super().__init__(
            width, heads, hidden, activation=activation, dropout=dropout
        )
        self.attention = CrossAttention(
            width,
            heads,
            context_width=context_width,
            bias=False,
            dropout=dropout,
        )
        self.gate_attention = nn.Parameter(torch.zeros(()))
        self.gate_feed_forward = nn.Parameter(torch.zeros(()))

    def forward(  # type: ignore[override]
        self, x: Asking, context: Context, *, mask: Mask | None = None
    ) -> Asking:
        """Return the stream `x`; `mask` is True where a word may look."""
        read = self.attention(self.norm_attention(x), context, mask=mask)
        x = x + self.gate_attention.tanh() * self.drop(read)
        change = self.feed_forward(self.norm_feed_forward(x))
        return x + self.gate_feed_forward.tanh() * self.drop(change)


def to_reference(
    layer: CoAttentionLayer | GatedCrossLayer,
) -> reference.CoAttentionLayer | reference.GatedCrossLayer:
    """Return the numbers as the dataclass that the reference takes.

    Source: of the bookkeeping of Lu et al. (2019) and Alayrac et al. (2022).

    Examples
    --------
    >>> layer = to_reference(GatedCrossLayer(6, 5, heads=2, hidden=11))
    >>> float(layer.gate_attention)
    0.0
    """
    if isinstance(layer, CoAttentionLayer):
        return reference.CoAttentionLayer(
            layers_to_reference(layer.first), layers_to_reference(layer.second)
        )
    if not isinstance(layer, GatedCrossLayer):
        raise TypeError(
            "layer must be a CoAttentionLayer or a GatedCrossLayer: "
            f"got {type(layer).__name__}"
        )
    return reference.GatedCrossLayer(
        **vars(layers_to_reference(layer)),
        gate_attention=layer.gate_attention.detach().cpu(),
        gate_feed_forward=layer.gate_feed_forward.detach().cpu(),
    )
