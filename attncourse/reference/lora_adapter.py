"""A bottleneck adapter: a small network of its own behind a sublayer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attncourse.reference.feedforward import Activation, gelu
from attncourse.reference.heads_parts import Tokens, project
from attncourse.shapes import Array, count, real, require_equal


@dataclass(frozen=True)
class AdapterWeights:
    """The trained numbers of a bottleneck adapter, and its activation.

    Parameters
    ----------
    w_down, b_down : shapes (width, hidden) and (hidden,).
    w_up, b_up : shapes (hidden, width) and (width,).
    activation : acts on every hidden number.
    """

    w_down: Any
    b_down: Any
    w_up: Any
    b_up: Any
    activation: Activation = gelu


def new_adapter(*, width: int, hidden: int, seed: int) -> AdapterWeights:
    r"""Return an untrained adapter, close to the identity.

    .. math:: W_{ij} \sim N(0, 0.01^2),\ |W_{ij}| \le 0.02, \qquad b = 0

    Source: Houlsby et al. (2019), "Parameter-Efficient Transfer Learning
    for NLP", section 3.6.

    Examples
    --------
    >>> new_adapter(width=6, hidden=2, seed=0).w_down.shape
    (6, 2)
    """
    adapter_count(width=width, hidden=hidden)
    rng = np.random.default_rng(seed)
    return AdapterWeights(
        _truncated(rng, width, hidden),
        np.zeros(hidden),
        _truncated(rng, hidden, width),
        np.zeros(width),
    )


def adapter_count(*, width: int, hidden: int) -> int:
    r"""Return how many numbers an adapter trains.

    .. math:: 2\,m\,d + d + m

    with d the width and m the hidden width.

    Source: Houlsby et al. (2019), section 2.1.

    Examples
    --------
    >>> adapter_count(width=10, hidden=3)
    73
    """
    width, hidden = count("width", width), count("hidden", hidden)
    return 2 * hidden * width + width + hidden


def adapter(x: Tokens, weights: AdapterWeights) -> Tokens:
    r"""Return the tokens after a bottleneck adapter.

    .. math:: y = x + f(x W_{down} + b_{down})\, W_{up} + b_{up}

    It stands behind a sublayer, before the residual sum of the block. Its
    own residual path makes it the identity where W_up and b_up are zero.

    Source: Houlsby et al. (2019), section 2.1 and figure 2.

    Examples
    --------
    >>> weights = AdapterWeights(
    ...     [[1], [1]], [0], [[2, 3]], [0, 0], activation=np.negative
    ... )
    >>> adapter([[4, 6]], weights).tolist()
    [[-16.0, -24.0]]
    """
    x = real("x", x, "tokens width")
    hidden = weights.activation(project(x, weights.w_down, weights.b_down))
    change = project(hidden, weights.w_up, weights.b_up)
    require_equal("width", x=x.shape[-1], change=change.shape[-1])
    return x + change


def _truncated(rng: np.random.Generator, *shape: int) -> Array:
    """Return normal numbers, drawn again where beyond two deviations."""
    numbers = rng.normal(size=shape)
    while (far := np.abs(numbers) > 2).any():
        numbers[far] = rng.normal(size=np.count_nonzero(far))
    return 0.01 * numbers
