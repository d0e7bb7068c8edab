"""A layer of causal linear attention, to train in chunks and decode in steps.

It takes the place of causal multi-head attention, with the same four linear
maps. What it carries from token to token is a state of fixed size in the
place of a growing cache.
"""

from __future__ import annotations

import torch

from attncourse.fast.heads import merge_heads, split_heads
from attncourse.fast.layers_parts import Tokens
from attncourse.fast.linear import (
    CHUNK,
    Map,
    State,
    chunked_attention,
    elu_plus_one,
)
from attncourse.shapes import count


class LinearAttention(torch.nn.Module):
    r"""Causal multi-head linear attention of tokens on themselves.

    .. math:: y_t = W_O \, \mathrm{concat}_h \left(
              \frac{S_{ht}^\top \phi(q_{ht})}{z_{ht} \cdot \phi(q_{ht})}
              \right)

    Parameters
    ----------
    width : numbers of a token; heads divide it evenly.
    bias : whether each of the four linear maps adds one.
    feature_map : of queries and keys, applied to each head.
    chunk : steps that are computed at once; no result depends on it.

    Source: Katharopoulos et al. (2020), "Transformers are RNNs", section 3.

    Examples
    --------
    >>> layer = LinearAttention(6, heads=2)
    >>> layer(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        bias: bool = True,
        feature_map: Map = elu_plus_one,
        chunk: int = CHUNK,
    ):
        super().__init__()
        width, self.heads = count("width", width), count("heads", heads)
        if width % heads:
            raise ValueError(
                "width must split evenly into heads: "
                f"got width={width}, heads={heads}"
            )
        self.feature_map, self.chunk = feature_map, count("chunk", chunk)
        self.query, self.key, self.value, self.output = (
            torch.nn.Linear(width, width, bias=bias) for _ in range(4)
        )
        for each in (self.query, self.key, self.value, self.output):
            torch.nn.init.xavier_uniform_(each.weight)
            if bias:
                torch.nn.init.zeros_(each.bias)

    def extra_repr(self) -> str:
        """Return what the maps below do not tell."""
        return f"heads={self.heads}, chunk={self.chunk}"

    def forward(self, x: Tokens) -> Tokens:
        """Return what each token reads in itself and the ones before.

        `x` has shape (..., tokens, width).
        """
        return self.resume(x, None)[0]

    def resume(self, x: Tokens, state: State | None) -> tuple[Tokens, State]:
        """Return the reads of further tokens, and the state after them.

        `state` is what the call for the tokens before returned, None at
        the start. One token at a time is decoding.

        Examples
        --------
        >>> layer = LinearAttention(6, heads=2)
        >>> _, state = layer.resume(torch.ones(5, 6), None)
        >>> state.memory.shape
        torch.Size([2, 3, 3])
        """
        q, k, v = (
            split_heads(each(x), heads=self.heads)
            for each in (self.query, self.key, self.value)
        )
        read, state = chunked_attention(
            q,
            k,
            v,
            feature_map=self.feature_map,
            state=state,
            chunk=self.chunk,
        )
        return self.output(merge_heads(read)), state
