"""The sublayers of a Transformer as ordinary torch modules."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import nn

from attncourse.fast.dense import attention_weights, weighted_sum
from attncourse.fast.heads import (
    Projections,
    mask_every_head,
    merge_heads,
    multi_head_attention,
    project,
    project_heads,
)
from attncourse.shapes import SCORES, count

__all__ = ["FeedForward", "GatedFeedForward", "MultiHeadAttention"]

Tokens = Float[torch.Tensor, "*#batch tokens width"]
Mask = Bool[torch.Tensor, SCORES]
Activation = Callable[[torch.Tensor], torch.Tensor]


class MultiHeadAttention(nn.Module):
    r"""Multi-head attention of tokens on a context, or on themselves.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O, \qquad
              Z_r = \mathrm{attention}(X W_Q^r, C W_K^r, C W_V^r)

    Parameters
    ----------
    width : numbers of a token; heads divide it evenly.
    context_width : numbers of a token that is read; None for `width`.
    bias : whether each of the four linear maps adds one.
    dropout : probability that a weight is dropped while training.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.2.

    Examples
    --------
    >>> layer = MultiHeadAttention(6, heads=2)
    >>> layer(torch.ones(5, 6), torch.ones(7, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        context_width: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        width, self.heads = count("width", width), count("heads", heads)
        if width % heads:
            raise ValueError(
                "width must split evenly into heads: "
                f"got width={width}, heads={heads}"
            )
        if context_width is None:
            context_width = width
        context_width = count("context_width", context_width)
        self.query = _linear(width, width, bias)
        self.key = _linear(context_width, width, bias)
        self.value = _linear(context_width, width, bias)
        self.output = _linear(width, width, bias)
        self.drop = dropout_module(dropout)

    def projections(self) -> Projections:
        """Return the matrices as the rest of the course holds them; views."""
        maps = (self.query, self.key, self.value, self.output)
        return Projections(
            *(each.weight.T for each in maps), *(each.bias for each in maps)
        )

    def forward(
        self,
        x: Tokens,
        context: Tokens | None = None,
        *,
        mask: Mask | None = None,
    ) -> Tokens:
        """Return what each token of `x` reads in `context`, itself if None."""
        context = x if context is None else context
        p = self.projections()
        if not self.training or self.drop.p == 0:
            return multi_head_attention(
                x, context, p, heads=self.heads, mask=mask
            )
        mask = mask_every_head(mask)
        q, k, v = project_heads(x, context, p, heads=self.heads)
        weights = self.drop(attention_weights(q, k, mask=mask))
        read = weighted_sum(weights, v, mask=mask)
        return project(merge_heads(read), p.w_output, p.b_output)


class FeedForward(nn.Module):
    r"""Two linear maps of each token with an activation between.

    .. math:: \mathrm{feed}(x) = f(x W_1 + b_1)\, W_2 + b_2

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.3.

    Examples
    --------
    >>> FeedForward(6, hidden=11)(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        activation: Activation = F.relu,
        bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        width, hidden = count("width", width), count("hidden", hidden)
        self.inner = _linear(width, hidden, bias)
        self.outer = _linear(hidden, width, bias)
        self.activation, self.drop = activation, dropout_module(dropout)

    def forward(self, x: Tokens) -> Tokens:
        """Return every token transformed by itself."""
        hidden = self.activation(
            project(x, self.inner.weight.T, self.inner.bias)
        )
        return self.outer(self.drop(hidden))


class GatedFeedForward(nn.Module):
    """A linear map of values that a second map opens or closes: SwiGLU.

    With `F.gelu` as its activation it is GEGLU. It has no biases.

    Source: Shazeer (2020), "GLU Variants Improve Transformer", section 2.

    Examples
    --------
    >>> GatedFeedForward(6, hidden=11)(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        activation: Activation = F.silu,
        dropout: float = 0.0,
    ):
        super().__init__()
        width, hidden = count("width", width), count("hidden", hidden)
        self.gate = _linear(width, hidden, False)
        self.value = _linear(width, hidden, False)
        self.outer = _linear(hidden, width, False)
        self.activation, self.drop = activation, dropout_module(dropout)

    def forward(self, x: Tokens) -> Tokens:
        """Return every token transformed by itself."""
        gate = self.activation(project(x, self.gate.weight.T))
        return self.outer(self.drop(gate * self.value(x)))


def dropout_module(rate: float) -> nn.Dropout:
    """Return a dropout module; refuse a rate that would drop everything.

    Source: Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural
    Networks from Overfitting", section 4.

    Examples
    --------
    >>> dropout_module(0.25)
    Dropout(p=0.25, inplace=False)
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout must be at least 0 and below 1: got {rate}")
    return nn.Dropout(rate)


def _linear(rows: int, columns: int, bias: bool) -> nn.Linear:
    """Return a linear map that starts as the reference's layers do."""
    layer = nn.Linear(rows, columns, bias=bias)
    bound = math.sqrt(6 / (rows + columns))
    nn.init.uniform_(layer.weight, -bound, bound)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
