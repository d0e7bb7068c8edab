"""Attention between two kinds of tokens: words, sounds, parts of an image.

The two need not be alike in width or in number: the projections bring them
to one width, and attention never asked for one length. Queries come from
the stream that asks, keys and values from the stream that is read.
Who may look at whom is in `crossmodal_masks`, and attention of a caption on
the regions of an image in `crossmodal_regions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.reference.blocks_parts import (
    EncoderLayer,
    NormWeights,
    feed,
    normed,
    post_norm,
    residual,
)
from attncourse.reference.crossmodal_masks import (
    latest_image_mask,
    pair_mask,
    without_unseen,
)
from attncourse.reference.crossmodal_regions import (
    RegionScorer,
    doubly_stochastic_penalty,
    gated_region_context,
    region_context,
    region_gate,
    region_weights,
)
from attncourse.reference.feedforward import FeedForwardWeights, GatedWeights
from attncourse.reference.heads import multi_head_attention
from attncourse.reference.heads_parts import Projections
from attncourse.shapes import Array, Mask, boolean, real

__all__ = [
    "CoAttentionLayer",
    "GatedCrossLayer",
    "RegionScorer",
    "co_attention_layer",
    "cross_attention",
    "doubly_stochastic_penalty",
    "gated_cross_attention",
    "gated_region_context",
    "latest_image_mask",
    "pair_mask",
    "region_context",
    "region_gate",
    "region_weights",
]

Asking = Float[Array, "*#batch queries width"]
Context = Float[Array, "*#batch keys context_width"]


@dataclass(frozen=True)
class CoAttentionLayer:
    """The trained numbers of a layer in which two streams read each other.

    Parameters
    ----------
    first : of the stream x. Its `attention` asks from x and reads y:
        `w_query` has the rows of x, `w_key` and `w_value` those of y.
    second : of the stream y, the other way round.
    """

    first: EncoderLayer
    second: EncoderLayer


@dataclass(frozen=True)
class GatedCrossLayer:
    """The trained numbers of a gated layer between two others.

    Parameters
    ----------
    attention : asks from the language stream, reads the image; best
        without an output bias, so that no image gives nothing.
    feed_forward : plain or gated.
    norm_attention, norm_feed_forward : of what either sublayer reads.
    gate_attention, gate_feed_forward : one number each, zero at first.
    """

    attention: Projections
    feed_forward: FeedForwardWeights | GatedWeights
    norm_attention: NormWeights
    norm_feed_forward: NormWeights
    gate_attention: Any = 0.0
    gate_feed_forward: Any = 0.0


def cross_attention(
    x: Asking,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Asking:
    r"""Return, for each token of `x`, what it reads in another modality.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O, \qquad
              Z_r = \mathrm{attention}(X W_Q^r,\; C W_K^r,\; C W_V^r)

    It is `heads.multi_head_attention`, between streams of two widths. A
    token that sees nothing reads zeros, to which the output map adds its
    bias as to every token; without an output bias it gets zeros.

    Parameters
    ----------
    x : tokens that ask, shape (..., queries, width).
    context : tokens that are read, shape (..., keys, context_width).
    projections : `w_query` has `width` rows, `w_key` and `w_value` have
        `context_width`.
    mask : shape (..., queries, keys), for instance a `pair_mask`.

    Source: Vaswani et al. (2017), section 3.2.3, encoder-decoder attention;
    between modalities as in Lu et al. (2019), "ViLBERT".

    Examples
    --------
    >>> same, wide = np.eye(2), [[1, 0], [0, 1], [0, 0]]
    >>> layer = Projections(same, wide, wide, same)
    >>> cross_attention([[5, 7]], [[1, 2, 9]], layer, heads=1).tolist()
    [[1.0, 2.0]]
    """
    x, context = without_unseen(x, context, mask)
    return multi_head_attention(
        x, context, projections, heads=heads, mask=mask
    )


def co_attention_layer(
    x: Asking,
    y: Context,
    layer: CoAttentionLayer,
    *,
    heads: int,
    mask: Mask | None = None,
) -> tuple[Asking, Context]:
    r"""Return two streams, each of which has read the other.

    .. math:: h_x = \mathrm{norm}(x + \mathrm{attend}(x, y)), \qquad
              h_y = \mathrm{norm}(y + \mathrm{attend}(y, x)), \qquad
              s' = \mathrm{norm}(h_s + \mathrm{feed}(h_s))

    Both read the other as it came in, so neither goes first. Each keeps
    its own width and its own numbers.

    Parameters
    ----------
    x : shape (..., queries, width), for instance regions of an image.
    y : shape (..., keys, context_width), for instance words.
    mask : True where a token of x may look at one of y, and that one back,
        shape (..., queries, keys); a `pair_mask` leaves out padding.

    Source: Lu, Batra, Parikh & Lee (2019), "ViLBERT", section 3.1 and
    figure 2b.

    Examples
    --------
    >>> from attncourse.reference.blocks import new_encoder_layer
    >>> one = new_encoder_layer(width=2, hidden=3, seed=0)
    >>> both = CoAttentionLayer(one, one)
    >>> x, y = np.eye(2), np.ones((5, 2))
    >>> [each.shape for each in co_attention_layer(x, y, both, heads=1)]
    [(2, 2), (5, 2)]
    """
    x, y = real("x", x, "queries width"), real("y", y, "keys context_width")
    back = None
    if mask is not None:
        mask = boolean("mask", mask, "queries keys")
        back = np.swapaxes(mask, -1, -2)
    return (
        _stream(x, y, layer.first, heads=heads, mask=mask),
        _stream(y, x, layer.second, heads=heads, mask=back),
    )


def gated_cross_attention(
    x: Asking,
    context: Context,
    layer: GatedCrossLayer,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Asking:
    r"""Return language tokens to which a gate lets in what they have read.

    .. math:: h = x + \tanh(\alpha)\,\mathrm{attend}(\mathrm{norm}(x), c),
              \qquad y = h + \tanh(\beta)\,\mathrm{feed}(\mathrm{norm}(h))

    Put between the layers of a trained language model. With both gates at
    zero, as they start, the tokens pass unchanged: training begins with
    the model as it was. A word before the first image reads zeros; if
    `attention` has no output bias, attention leaves that word as it is.

    Parameters
    ----------
    x : language tokens, shape (..., queries, width).
    context : what is known of images, shape (..., keys, context_width).
    mask : for instance `latest_image_mask`.

    Source: Alayrac et al. (2022), "Flamingo: a Visual Language Model for
    Few-Shot Learning", section 2.2 and figure 4.

    Examples
    --------
    >>> from attncourse.reference.blocks import new_encoder_layer
    >>> layer = GatedCrossLayer(**vars(
    ...     new_encoder_layer(width=2, hidden=3, seed=0)
    ... ))
    >>> gated_cross_attention([[3, 8]], np.ones((5, 2)), layer, heads=1)
    array([[3., 8.]])
    """
    x = real("x", x, "queries width")
    read = cross_attention(
        normed(x, layer.norm_attention),
        context,
        layer.attention,
        heads=heads,
        mask=mask,
    )
    x = residual(x, _gate("gate_attention", layer.gate_attention) * read)
    change = feed(normed(x, layer.norm_feed_forward), layer.feed_forward)
    gate = _gate("gate_feed_forward", layer.gate_feed_forward)
    return residual(x, gate * change)


def _stream(
    x: Array, other: Array, layer: EncoderLayer, *, heads: int, mask: Any
) -> Array:
    """Return one stream after it has read the other and been transformed."""

    def ask(tokens: Array) -> Array:
        return cross_attention(
            tokens, other, layer.attention, heads=heads, mask=mask
        )

    x = post_norm(x, ask, lambda z: normed(z, layer.norm_attention))
    return post_norm(
        x,
        lambda z: feed(z, layer.feed_forward),
        lambda z: normed(z, layer.norm_feed_forward),
    )


def _gate(name: str, value: Any) -> Array:
    """Return how far a gate is open, between -1 and 1."""
    gate = real(name, value)
    if gate.size != 1:
        raise ValueError(f"{name} must be one number: got shape {gate.shape}")
    return np.tanh(gate.reshape(()))
