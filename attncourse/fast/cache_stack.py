"""A stack of layers that decodes through caches, its own code unchanged.

Each layer gets an attention that asks its cache instead; everything else
in it, weights included, stays the very same object.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.cache_parts import Encode
from attncourse.fast.heads import merge_heads, project, project_heads
from attncourse.fast.layers import Encoder
from attncourse.fast.layers_parts import MultiHeadAttention

Tokens = Float[Tensor, "*batch tokens width"]


class CachedAttention(nn.Module):
    r"""Self-attention of new tokens on all that a cache has seen.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O

    where head r reads the keys and values in the cache. Its weights are
    those of the attention that it is made from.

    Parameters
    ----------
    attention : of a trained layer; dropout is left out.
    cache : anything with a `step`, as `FullCache` has.
    encode : gives positions to queries and keys; None for none.

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 2.4.

    Examples
    --------
    >>> import torch
    >>> from attncourse.fast.cache import FullCache
    >>> layer = CachedAttention(MultiHeadAttention(6, heads=2), FullCache())
    >>> layer(torch.ones(5, 6)).shape, layer.cache.lengths.item()
    (torch.Size([5, 6]), 5)
    """

    def __init__(
        self,
        attention: MultiHeadAttention,
        cache: Any,
        *,
        encode: Encode | None = None,
    ):
        super().__init__()
        self.attention, self.cache, self.encode = attention, cache, encode
        self.counts: Any = None

    def forward(self, x: Tokens, *, mask: None = None) -> Tokens:
        """Return what each new token reads; the cache says what it sees."""
        if mask is not None:
            raise ValueError(
                "mask must be None, the cache has its own: got one"
            )
        p, heads = self.attention.projections(), self.attention.heads
        q, k, v = project_heads(x, x, p, heads=heads)
        read = self.cache.step(q, k, v, encode=self.encode, counts=self.counts)
        return project(merge_heads(read), p.w_output, p.b_output)


class CachedDecoder(nn.Module):
    r"""`DecoderOnly` that computes only the rows of new tokens.

    .. math:: y_{t+1 \dots t+n} = \mathrm{decoder}(x_{1 \dots t+n})_{
              t+1 \dots t+n}

    Parameters
    ----------
    stack : layers whose self-attention is called `attention`, as those of
        `layers`; weights are shared, not copied.
    caches : one for each layer, all of one kind.
    encode : as `CachedAttention` takes it.

    Source: Shazeer (2019), section 2.4, incremental inference.

    Examples
    --------
    >>> import torch
    >>> from attncourse.fast import cache, layers
    >>> stack = layers.DecoderOnly([layers.EncoderLayer(6, 2, 11)]).eval()
    >>> decoder = CachedDecoder(stack, [cache.FullCache()])
    >>> x = torch.rand(5, 6)
    >>> steps = torch.cat([decoder(x[:3]), decoder(x[3:])])
    >>> torch.allclose(steps, stack(x), atol=1e-5)
    True
    """

    def __init__(
        self,
        stack: Encoder,
        caches: Sequence[Any],
        *,
        encode: Encode | None = None,
    ):
        super().__init__()
        if len(caches) != len(stack.layers):
            raise ValueError(
                "caches must hold one for each layer: "
                f"got {len(caches)}, layers={len(stack.layers)}"
            )
        self.layers = nn.ModuleList(
            with_cache(layer, cache, encode=encode)
            for layer, cache in zip(stack.layers, caches, strict=True)
        )
        self.norm = stack.norm
        self.training = stack.training  # the parts are shared: leave theirs

    def forward(self, x: Tokens, *, counts: Any = None) -> Tokens:
        """Return the new tokens after all layers.

        Parameters
        ----------
        x : shape (..., tokens, width).
        counts : real new tokens of each sequence; None for all.
        """
        for layer in self.layers:
            layer.attention.counts = counts  # type: ignore[union-attr]
            x = layer(x)
        return x if self.norm is None else self.norm(x)


def with_cache(
    layer: nn.Module, cache: Any, *, encode: Encode | None = None
) -> nn.Module:
    """Return a layer that asks a cache, with the numbers of another.

    Source: Shazeer (2019), section 2.4.

    Examples
    --------
    >>> from attncourse.fast import cache, layers
    >>> layer = layers.EncoderLayer(6, heads=2, hidden=11)
    >>> other = with_cache(layer, cache.FullCache())
    >>> other.feed_forward is layer.feed_forward
    True
    """
    attention = getattr(layer, "attention", None)
    if not isinstance(attention, MultiHeadAttention):
        raise TypeError(
            "the layer must have an `attention` that reads itself: "
            f"got {type(layer).__name__}"
        )
    other = copy.copy(layer)
    # The copy shares its table of parts with the layer, until it has its own.
    other._modules = dict(layer._modules)
    other.attention = CachedAttention(attention, cache, encode=encode)
    return other
