"""Transformer layers as ordinary torch modules, to train and to read.

The numbers are those of `attncourse.reference.blocks`, the computation that
of `attncourse.fast.heads`, and the masks follow the contract of the course:
True where a query may look. The sublayers are in `layers_parts`;
`layers_convert` carries weights from and to torch's own layers and the
reference.
"""

from __future__ import annotations

from collections.abc import Iterable

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
from attncourse.fast.masks import causal_mask, combine_masks

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
    """Self-attention, then feed-forward, a norm after each residual sum.

    Parameters
    ----------
    width, heads : of the attention.
    hidden : of the feed-forward network. To gate it, put a
        `GatedFeedForward` in the place of `feed_forward`.
    dropout : of the attention weights, of the hidden numbers, and of what
        each sublayer adds.

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
    """`EncoderLayer` with each norm before its sublayer.

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
    """Self-attention and feed-forward side by side, on one norm (GPT-J).

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


class Encoder(torch.nn.Module):
    """Layers one after another, and the norm after the last, if any.

    Parameters
    ----------
    layers : encoder layers or parallel layers.
    norm : a module, or None. Pre-norm layers need one.

    Examples
    --------
    >>> encoder = Encoder([EncoderLayer(6, heads=2, hidden=11)])
    >>> encoder(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        layers: Iterable[torch.nn.Module],
        norm: torch.nn.Module | None = None,
    ):
        super().__init__()
        self.layers, self.norm = torch.nn.ModuleList(layers), norm

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens after all layers, each with the same mask."""
        for layer in self.layers:
            x = layer(x, mask=mask)
        return x if self.norm is None else self.norm(x)


class DecoderOnly(Encoder):
    """`Encoder` with a causal mask: a language model's stack.

    Examples
    --------
    >>> stack = DecoderOnly([PreNormEncoderLayer(6, heads=2, hidden=11)])
    >>> stack(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def forward(self, x: Tokens, *, mask: Mask | None = None) -> Tokens:
        """Return the tokens; none has seen a later one."""
        return super().forward(x, mask=_causal(x, mask))


class Decoder(Encoder):
    """Decoder layers one after another; no target token sees a later one.

    Examples
    --------
    >>> decoder = Decoder([DecoderLayer(6, heads=2, hidden=11)])
    >>> decoder(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def forward(  # type: ignore[override]
        self,
        x: Tokens,
        memory: Tokens,
        *,
        mask: Mask | None = None,
        memory_mask: Mask | None = None,
    ) -> Tokens:
        """Return target tokens; every layer reads the same memory."""
        mask = _causal(x, mask)
        for layer in self.layers:
            x = layer(x, memory, mask=mask, memory_mask=memory_mask)
        return x if self.norm is None else self.norm(x)


def _causal(x: Tokens, mask: Mask | None) -> Mask:
    """Return the mask without its later keys."""
    tokens = x.shape[-2]
    causal = causal_mask(tokens, tokens, device=x.device)
    return causal if mask is None else combine_masks(causal, mask)
