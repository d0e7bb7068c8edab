"""Transformer layers as ordinary torch modules, to train and to read.

The numbers are those of `attncourse.reference.blocks`, the computation that
of `attncourse.fast.heads`, and the masks follow the contract of the course:
True where a query may look. The sublayers are in `layers_parts`, stacks of
layers in `layers_stacks`; `layers_convert` carries weights from and to
torch's own layers and the reference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from attncourse.fast.layers_parts import (
    Activation,
    FeedForward,
    GatedFeedForward,
    Mask,
    MultiHeadAttention,
    Tokens,
    dropout_module,
)
from attncourse.fast.layers_stacks import Decoder, DecoderOnly, Encoder

__all__ = [
    "Decoder",
    "DecoderLayer",
    "DecoderOnly",
    "Encoder",
    "EncoderLayer",
    "FeedForward",
    "GatedFeedForward",
    "MultiHeadAttention",
    "ParallelLayer",
    "PreNormDecoderLayer",
    "PreNormEncoderLayer",
]


class EncoderLayer(torch.nn.Module):
    r"""Self-attention, then feed-forward, a norm after each residual sum.

    .. math:: y = \mathrm{norm}(x + \mathrm{attend}(x)), \qquad
              z = \mathrm{norm}(y + \mathrm{feed}(y))

    Parameters
    ----------
    width, heads : of the attention.
    hidden : of the feed-forward network. To gate it, put a
        `GatedFeedForward` in the place of `feed_forward`.
    dropout : of the attention weights, of the hidden numbers, and of what
        each sublayer adds.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.

    Examples
    --------
    >>> EncoderLayer(6, heads=2, hidden=11)(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.relu,
        bias: bool = True,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.attention = MultiHeadAttention(
            width, heads, bias=bias, dropout=dropout
        )
        self.feed_forward = FeedForward(
            width, hidden, activation=activation, bias=bias, dropout=dropout
        )
        self.norm_attention = torch.nn.LayerNorm(width, bias=bias)
        self.norm_feed_forward = torch.nn.LayerNorm(width, bias=bias)
        self.drop = dropout_module(dropout)

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens; `mask` is True where one may look."""
        x = self.norm_attention(x + self.drop(self.attention(x, mask=mask)))
        return self.norm_feed_forward(x + self.drop(self.feed_forward(x)))


class PreNormEncoderLayer(EncoderLayer):
    r"""`EncoderLayer` with each norm before its sublayer.

    .. math:: y = x + \mathrm{attend}(\mathrm{norm}(x)), \qquad
              z = y + \mathrm{feed}(\mathrm{norm}(y))

    Source: Xiong et al. (2020), "On Layer Normalization in the Transformer
    Architecture", figure 1.

    Examples
    --------
    >>> layer = PreNormEncoderLayer(6, heads=2, hidden=11)
    >>> layer(torch.full((1, 6), 7.0)).tolist()  # normed it is zero
    [[7.0, 7.0, 7.0, 7.0, 7.0, 7.0]]
    """

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens; `mask` is True where one may look."""
        normal = self.norm_attention(x)
        x = x + self.drop(self.attention(normal, mask=mask))
        return x + self.drop(self.feed_forward(self.norm_feed_forward(x)))


class ParallelLayer(torch.nn.Module):
    r"""Self-attention and feed-forward side by side, on one norm (GPT-J).

    .. math:: n = \mathrm{norm}(x), \qquad
              z = x + \mathrm{attend}(n) + \mathrm{feed}(n)

    Source: Wang & Komatsuzaki (2021), "GPT-J-6B", the released code.

    Examples
    --------
    >>> ParallelLayer(6, heads=2, hidden=11)(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation = F.gelu,
        bias: bool = True,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.attention = MultiHeadAttention(
            width, heads, bias=bias, dropout=dropout
        )
        self.feed_forward = FeedForward(
            width, hidden, activation=activation, bias=bias, dropout=dropout
        )
        self.norm = torch.nn.LayerNorm(width, bias=bias)
        self.drop = dropout_module(dropout)

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens; `mask` is True where one may look."""
        normal = self.norm(x)
        read = self.drop(self.attention(normal, mask=mask))
        return x + read + self.drop(self.feed_forward(normal))


class DecoderLayer(torch.nn.Module):
    """Self-attention, cross-attention and feed-forward, a norm after each.

    The layer itself adds no causal mask; `Decoder` does.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.

    Examples
    --------
    >>> layer = DecoderLayer(6, heads=2, hidden=11)
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
        bias: bool = True,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.self_attention, self.cross_attention = (
            MultiHeadAttention(width, heads, bias=bias, dropout=dropout)
            for _ in range(2)
        )
        self.feed_forward = FeedForward(
            width, hidden, activation=activation, bias=bias, dropout=dropout
        )
        self.norm_self, self.norm_cross, self.norm_feed_forward = (
            torch.nn.LayerNorm(width, bias=bias) for _ in range(3)
        )
        self.drop = dropout_module(dropout)

    def forward(
        self,
        x: Tokens,
        memory: Tokens,
        *,
        mask: Mask | None = None,
        memory_mask: Mask | None = None,
    ) -> Tokens:
        """Return target tokens that have read themselves and the memory."""
        x = self.norm_self(x + self.drop(self.self_attention(x, mask=mask)))
        read = self.cross_attention(x, memory, mask=memory_mask)
        x = self.norm_cross(x + self.drop(read))
        return self.norm_feed_forward(x + self.drop(self.feed_forward(x)))


class PreNormDecoderLayer(DecoderLayer):
    """`DecoderLayer` with each norm before its sublayer.

    Source: Xiong et al. (2020), "On Layer Normalization in the Transformer
    Architecture", figure 1.

    Examples
    --------
    >>> layer = PreNormDecoderLayer(6, heads=2, hidden=11)
    >>> layer(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def forward(
        self,
        x: Tokens,
        memory: Tokens,
        *,
        mask: Mask | None = None,
        memory_mask: Mask | None = None,
    ) -> Tokens:
        """Return target tokens that have read themselves and the memory."""
        normal = self.norm_self(x)
        x = x + self.drop(self.self_attention(normal, mask=mask))
        normal = self.norm_cross(x)
        read = self.cross_attention(normal, memory, mask=memory_mask)
        x = x + self.drop(read)
        return x + self.drop(self.feed_forward(self.norm_feed_forward(x)))
