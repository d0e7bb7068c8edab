"""The parts of a Transformer block: its numbers, and how it adds them up.

A *sublayer* is attention or the feed-forward network. What a block adds to
that is the residual path: every sublayer writes a change to its tokens, and
the tokens themselves are carried along. Where the norm stands decides
whether that path is free from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float

from attncourse.reference.feedforward import (
    FeedForwardWeights,
    GatedWeights,
    feed_forward,
    gated_feed_forward,
)
from attncourse.reference.heads_parts import Projections, Tokens
from attncourse.reference.norms import layer_norm
from attncourse.shapes import Array, real, require_equal

# What an encoder made of its source: other tokens of the same width.
Memory = Float[Array, "*#batch memory_tokens width"]
MemoryMask = Bool[Array, "*#batch #queries #memory_tokens"]
SourceMask = Bool[Array, "*#batch #source_queries #memory_tokens"]
Sublayer = Callable[[Any], Tokens]


@dataclass(frozen=True)
class NormWeights:
    """The trained numbers of a layer norm.

    Parameters
    ----------
    gain : shape (width,).
    shift : shape (width,), or None.
    eps : added to the variance.
    """

    gain: Any
    shift: Any = None
    eps: float = 1e-5


@dataclass(frozen=True)
class EncoderLayer:
    """The trained numbers of one encoder layer.

    Parameters
    ----------
    attention : the matrices of self-attention.
    feed_forward : plain or gated.
    norm_attention, norm_feed_forward : one norm for each sublayer; before
        or after it, as the function says that applies the layer.
    """

    attention: Projections
    feed_forward: FeedForwardWeights | GatedWeights
    norm_attention: NormWeights
    norm_feed_forward: NormWeights


@dataclass(frozen=True)
class ParallelLayer:
    """The trained numbers of a layer whose two sublayers share one norm."""

    attention: Projections
    feed_forward: FeedForwardWeights | GatedWeights
    norm: NormWeights


@dataclass(frozen=True)
class DecoderLayer:
    """The trained numbers of one decoder layer with cross-attention.

    Parameters
    ----------
    self_attention : reads the target so far.
    cross_attention : asks from the target, reads the encoder's memory.
    feed_forward : plain or gated.
    norm_self, norm_cross, norm_feed_forward : one norm a sublayer.
    """

    self_attention: Projections
    cross_attention: Projections
    feed_forward: FeedForwardWeights | GatedWeights
    norm_self: NormWeights
    norm_cross: NormWeights
    norm_feed_forward: NormWeights


@dataclass(frozen=True)
class Stack:
    """Layers that follow one another, and the norm after the last.

    Parameters
    ----------
    layers : the numbers of each, first to last.
    layer : the function that applies one, for instance `encoder_layer`.
    norm : of the result; None for none. A stack of pre-norm or parallel
        layers needs it: nothing else keeps its sums in size.
    """

    layers: Sequence[Any]
    layer: Callable[..., Tokens]
    norm: NormWeights | None = None


@dataclass(frozen=True)
class EncoderDecoder:
    """Two stacks: the second reads what the first has made of its source."""

    encoder: Stack
    decoder: Stack


def normed(x: Tokens, weights: NormWeights) -> Tokens:
    """Return `layer_norm` of the tokens, with the given weights.

    Source: Ba et al. (2016), "Layer Normalization", eq. 4.

    Examples
    --------
    >>> normed([[7, 7]], NormWeights(gain=[1, 1], shift=[3, 4])).tolist()
    [[3.0, 4.0]]
    """
    return layer_norm(x, weights.gain, weights.shift, eps=weights.eps)


def feed(x: Tokens, weights: FeedForwardWeights | GatedWeights) -> Tokens:
    """Return the feed-forward network of each token, plain or gated.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.3.

    Examples
    --------
    >>> feed([[-3], [5]], FeedForwardWeights([[2]], [[1]])).tolist()
    [[0.0], [10.0]]
    """
    if isinstance(weights, GatedWeights):
        return gated_feed_forward(x, weights)
    return feed_forward(x, weights)


def residual(x: Tokens, change: Tokens) -> Tokens:
    r"""Return the tokens plus what a sublayer made of them.

    .. math:: y = x + f(x)

    The residual sum and the feed-forward network are two different things:
    this one has no weights, and it needs a change as wide as the token.

    Source: He et al. (2016), "Deep Residual Learning for Image
    Recognition", eq. 1.

    Examples
    --------
    >>> residual([[1, 2]], [[10, 20]]).tolist()
    [[11.0, 22.0]]
    """
    x = real("x", x, "tokens width")
    change = real("change", change, "tokens width")
    # Without these two, an axis of length one would be repeated silently.
    require_equal("width", x=x.shape[-1], change=change.shape[-1])
    require_equal("tokens", x=x.shape[-2], change=change.shape[-2])
    return x + change


def post_norm(x: Tokens, sublayer: Sublayer, norm: Sublayer) -> Tokens:
    r"""Return the norm of the residual sum, as in the first Transformer.

    .. math:: y = \mathrm{norm}(x + f(x))

    The norm stands on the residual path itself: a deep stack needs a slow
    start of its learning rate.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> post_norm([[1, 2]], lambda x: 2 * x, lambda x: x / 3).tolist()
    [[1.0, 2.0]]
    """
    x = real("x", x, "tokens width")
    return norm(residual(x, sublayer(x)))


def pre_norm(x: Tokens, sublayer: Sublayer, norm: Sublayer) -> Tokens:
    r"""Return the residual sum of a sublayer that reads normed tokens.

    .. math:: y = x + f(\mathrm{norm}(x))

    The path from the first layer to the last is free of norms, so that
    gradients pass it unchanged.

    Source: Xiong et al. (2020), "On Layer Normalization in the Transformer
    Architecture", section 3.

    Examples
    --------
    >>> pre_norm([[3, 6]], lambda x: 2 * x, lambda x: x / 3).tolist()
    [[5.0, 10.0]]
    """
    x = real("x", x, "tokens width")
    return residual(x, sublayer(norm(x)))


def parallel(
    x: Tokens, attend: Sublayer, feed: Sublayer, norm: Sublayer
) -> Tokens:
    r"""Return the residual sum of two sublayers side by side.

    .. math:: y = x + f(n) + g(n), \qquad n = \mathrm{norm}(x)

    Both read the same tokens, so they can be computed at once; the second
    does not see what the first has found. The tokens stay in the sum.

    Source: Wang & Komatsuzaki (2021), "GPT-J-6B: A 6 Billion Parameter
    Autoregressive Language Model".

    Examples
    --------
    >>> parallel(
    ...     [[3, 6]], lambda x: 2 * x, lambda x: 10 * x, lambda x: x / 3
    ... ).tolist()
    [[15.0, 30.0]]
    """
    x = real("x", x, "tokens width")
    normal = norm(x)
    return residual(residual(x, attend(normal)), feed(normal))
