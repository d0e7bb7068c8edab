"""How a layer starts, before any training, and how much it will train."""

from __future__ import annotations

import math

import numpy as np

from attncourse.reference.blocks_parts import (
    DecoderLayer,
    EncoderLayer,
    NormWeights,
    ParallelLayer,
)
from attncourse.reference.feedforward import FeedForwardWeights
from attncourse.reference.heads_counts import parameter_count
from attncourse.reference.heads_parts import Projections
from attncourse.shapes import Array, count


def new_encoder_layer(*, width: int, hidden: int, seed: int) -> EncoderLayer:
    r"""Return an untrained encoder layer.

    .. math:: W_{ij} \sim \mathrm{uniform}(-a, a), \qquad
              a = \sqrt{6 / (\text{rows} + \text{columns})}

    Biases and shifts start at zero, gains at one.

    Parameters
    ----------
    width : numbers of a token.
    hidden : numbers between the two matrices of the feed-forward network.
    seed : the same seed gives the same numbers.

    Source: Glorot & Bengio (2010), "Understanding the difficulty of
    training deep feedforward neural networks", eq. 16.

    Examples
    --------
    >>> layer = new_encoder_layer(width=6, hidden=11, seed=0)
    >>> layer.attention.w_query.shape, layer.feed_forward.w_in.shape
    ((6, 6), (6, 11))
    """
    rng = np.random.default_rng(seed)
    return EncoderLayer(
        _projections(rng, width),
        _feed_forward(rng, width, hidden),
        *(_norm(width) for _ in range(2)),
    )


def new_parallel_layer(*, width: int, hidden: int, seed: int) -> ParallelLayer:
    """Return an untrained parallel layer; see `new_encoder_layer`.

    Source: initial ranges as in `new_encoder_layer`.

    Examples
    --------
    >>> layer = new_parallel_layer(width=6, hidden=11, seed=0)
    >>> layer.norm.gain.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    rng = np.random.default_rng(seed)
    return ParallelLayer(
        _projections(rng, width),
        _feed_forward(rng, width, hidden),
        _norm(width),
    )


def new_decoder_layer(*, width: int, hidden: int, seed: int) -> DecoderLayer:
    """Return an untrained decoder layer; see `new_encoder_layer`.

    Source: initial ranges as in `new_encoder_layer`.

    Examples
    --------
    >>> layer = new_decoder_layer(width=6, hidden=11, seed=0)
    >>> layer.cross_attention.w_key.shape
    (6, 6)
    """
    rng = np.random.default_rng(seed)
    return DecoderLayer(
        _projections(rng, width),
        _projections(rng, width),
        _feed_forward(rng, width, hidden),
        *(_norm(width) for _ in range(3)),
    )


def encoder_parameter_count(*, width: int, hidden: int) -> int:
    r"""Return how many numbers an encoder layer trains, biases included.

    .. math:: \underbrace{4 d^2 + 4 d}_{\text{attention}} +
              \underbrace{2 d h + h + d}_{\text{feed-forward}} +
              \underbrace{4 d}_{\text{norms}}

    With h = 4 d that is about 12 for each pair of columns of the width,
    of which attention has a third.

    Source: the shapes of an `EncoderLayer`, added up.

    Examples
    --------
    >>> encoder_parameter_count(width=1, hidden=1)
    16
    """
    width, hidden = count("width", width), count("hidden", hidden)
    # One head of full width has as many numbers as several narrow ones.
    attention = parameter_count(width=width, heads=1, dim=width)
    feed_forward = 2 * width * hidden + hidden + width
    return attention + feed_forward + 2 * 2 * width


def decoder_parameter_count(*, width: int, hidden: int) -> int:
    r"""Return how many numbers a decoder layer trains, biases included.

    A second attention and a third norm more than an encoder layer:
    :math:`4 d^2 + 4 d + 2 d`.

    Source: the shapes of a `DecoderLayer`, added up.

    Examples
    --------
    >>> decoder_parameter_count(width=1, hidden=1)
    26
    """
    more = parameter_count(width=width, heads=1, dim=width) + 2 * width
    return encoder_parameter_count(width=width, hidden=hidden) + more


def _matrix(rng: np.random.Generator, rows: int, columns: int) -> Array:
    bound = math.sqrt(6 / (rows + columns))
    return rng.uniform(-bound, bound, size=(rows, columns))


def _projections(rng: np.random.Generator, width: int) -> Projections:
    width = count("width", width)
    return Projections(
        *(_matrix(rng, width, width) for _ in range(4)),
        *(np.zeros(width) for _ in range(4)),
    )


def _feed_forward(
    rng: np.random.Generator, width: int, hidden: int
) -> FeedForwardWeights:
    hidden = count("hidden", hidden)
    return FeedForwardWeights(
        _matrix(rng, width, hidden),
        _matrix(rng, hidden, width),
        np.zeros(hidden),
        np.zeros(width),
    )


def _norm(width: int) -> NormWeights:
    return NormWeights(np.ones(width), np.zeros(width))
