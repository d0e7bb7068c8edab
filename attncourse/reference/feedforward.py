"""The feed-forward part of a block, its activations, and dropout.

The feed-forward network treats every token alike and by itself: attention
moves information between tokens, this transforms what arrived.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.heads_parts import Tokens, project
from attncourse.shapes import Array, boolean, real, require_equal

Numbers = Float[Array, "*axes"]
Activation = Callable[[Any], Numbers]

# The share of a standard normal below x is erfc(-x / sqrt(2)) / 2. With
# erf instead, 1 + erf would lose every digit where the share is small.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def relu(x: Numbers) -> Numbers:
    r"""Return the positive part, :math:`\max(x, 0)`.

    Source: Nair & Hinton (2010), "Rectified Linear Units Improve
    Restricted Boltzmann Machines".

    Examples
    --------
    >>> relu([-2.0, 3.0]).tolist()
    [0.0, 3.0]
    """
    return np.maximum(real("x", x), 0.0)


def gelu(x: Numbers) -> Numbers:
    r"""Return each number times the share of a standard normal below it.

    .. math:: \mathrm{gelu}(x) = x\,\Phi(x)
              = \tfrac{1}{2} x\,\mathrm{erfc}(-x / \sqrt{2})

    Source: Hendrycks & Gimpel (2016), "Gaussian Error Linear Units
    (GELUs)", section 2.

    Examples
    --------
    >>> (gelu([3.0]) + gelu([-3.0])).round(4).tolist()  # 3 (2 Phi(3) - 1)
    [2.9919]
    """
    x = real("x", x)
    return 0.5 * x * _erfc(-x / math.sqrt(2.0))


def gelu_tanh(x: Numbers) -> Numbers:
    r"""Return `gelu` by the approximation with tanh, as GPT-2 uses it.

    .. math:: \tfrac{1}{2} x \left(1 + \tanh\left(
              \sqrt{2 / \pi}\,(x + 0.044715\,x^3)\right)\right)

    It differs from `gelu` by less than 0.0005 everywhere, which is more
    than any rounding: load a model with the one that it was trained with.

    Source: Hendrycks & Gimpel (2016), section 2.

    Examples
    --------
    >>> round(float(abs(gelu_tanh([2.0]) - gelu([2.0]))[0]), 4)
    0.0001
    """
    x = real("x", x)
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1.0 + np.tanh(inner))


def sigmoid(x: Numbers) -> Numbers:
    r"""Return the logistic function, :math:`1 / (1 + e^{-x})`.

    Source: the definition of the logistic function; in two branches, so that
    no exponential overflows.

    Examples
    --------
    >>> sigmoid([-1e4, 0.0, 1e4]).tolist()
    [0.0, 0.5, 1.0]
    """
    x = real("x", x)
    # No exponent above zero, so nothing overflows on either side.
    return np.exp(np.minimum(x, 0.0)) / (1.0 + np.exp(-np.abs(x)))


def swish(x: Numbers) -> Numbers:
    r"""Return each number times its sigmoid; torch calls it SiLU.

    .. math:: \mathrm{swish}(x) = x\,\sigma(x)

    Source: Ramachandran, Zoph & Le (2017), "Searching for Activation
    Functions", with beta = 1.

    Examples
    --------
    >>> swish([-1e4, 0.0, 1e4]).round(1).tolist()
    [-0.0, 0.0, 10000.0]
    """
    x = real("x", x)
    return x * sigmoid(x)


@dataclass(frozen=True)
class FeedForwardWeights:
    """The trained numbers of a feed-forward network, and its activation.

    Parameters
    ----------
    w_in : shape (width, hidden); hidden is often four times the width.
    w_out : shape (hidden, out_width).
    b_in, b_out : one number for each column of the matrix, or None.
    activation : acts on every hidden number.
    """

    w_in: Any
    w_out: Any
    b_in: Any = None
    b_out: Any = None
    activation: Activation = relu


@dataclass(frozen=True)
class GatedWeights:
    """The trained numbers of a gated feed-forward network.

    With `swish` as its activation it is called SwiGLU, with `gelu` GEGLU,
    with `relu` ReGLU, with `sigmoid` GLU. It has no biases.

    Parameters
    ----------
    w_gate, w_value : shape (width, hidden); about two thirds of the
        ungated hidden width give the same number of parameters.
    w_out : shape (hidden, out_width).
    activation : acts on the gate.
    """

    w_gate: Any
    w_value: Any
    w_out: Any
    activation: Activation = swish


def feed_forward(x: Tokens, weights: FeedForwardWeights) -> Tokens:
    r"""Return two linear maps of each token with an activation between.

    .. math:: y = \phi(x W_{in} + b_{in})\, W_{out} + b_{out}

    Without the activation the two matrices would be one.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 2.

    Examples
    --------
    >>> weights = FeedForwardWeights([[1, -1]], [[1], [1]])
    >>> feed_forward([[-3], [5]], weights).tolist()  # the absolute value
    [[3.0], [5.0]]
    """
    hidden = weights.activation(project(x, weights.w_in, weights.b_in))
    return project(hidden, weights.w_out, weights.b_out)


def gated_feed_forward(x: Tokens, weights: GatedWeights) -> Tokens:
    r"""Return a linear map of values that a second map opens or closes.

    .. math:: y = \big(\phi(x W_{gate}) \odot x W_{value}\big)\, W_{out}

    Source: Shazeer (2020), "GLU Variants Improve Transformer", eq. 6.

    Examples
    --------
    >>> weights = GatedWeights([[1, -1]], [[2, 3]], [[1], [1]], relu)
    >>> gated_feed_forward([[-1], [1]], weights).tolist()
    [[-3.0], [2.0]]
    """
    gate = weights.activation(project(x, weights.w_gate))
    value = project(x, weights.w_value)
    require_equal("hidden", w_gate=gate.shape[-1], w_value=value.shape[-1])
    return project(gate * value, weights.w_out)


def dropout(x: Numbers, kept: Bool[Array, "*axes"], *, rate: float) -> Numbers:
    r"""Return zeros where a number is dropped, the others made larger.

    .. math:: y = \frac{m \odot x}{1 - p}

    Where each number is dropped with probability p, the mean over all
    masks is `x` itself, so that nothing needs to be scaled when nothing
    is dropped. The map is linear: its backward pass is the same function
    of the upstream gradient.

    Parameters
    ----------
    kept : the mask m, drawn by the caller, True where a number stays; it
        broadcasts against `x`.
    rate : p, the probability to be dropped, from 0 to below 1.

    Source: Srivastava et al. (2014), "Dropout", section 10.

    Examples
    --------
    >>> dropout([3.0, 4.0, 5.0], [True, False, True], rate=0.5).tolist()
    [6.0, 0.0, 10.0]
    """
    x = real("x", x)
    kept = boolean("kept", kept)
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be at least 0 and below 1: got {rate}")
    try:
        every = np.broadcast_to(kept, x.shape)
    except ValueError:
        raise ValueError(
            f"kept must fit x, shape {x.shape}: got {kept.shape}"
        ) from None
    return np.where(every, x / (1.0 - rate), 0.0)
