"""Gates in place of the residual sum, for deep and unsteady training.

A gate takes a token x and the change y that a sublayer proposes, and
returns the token that goes on. The residual sum is the gate that is always
open. With a bias that says so these start nearly shut, and an untrained
layer passes its tokens on almost as they came; the input gate alone lets
all of the change in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncourse.reference.blocks_parts import Sublayer
from attncourse.reference.feedforward import relu, sigmoid
from attncourse.reference.heads_parts import Tokens, project
from attncourse.shapes import (
    Array,
    count,
    real,
    require_broadcast,
    require_equal,
)

Gate = Callable[[Any, Any], Tokens]


@dataclass(frozen=True)
class GateWeights:
    """The trained numbers of a gate with one linear map.

    Parameters
    ----------
    weight : shape (width, width).
    bias : shape (width,), or None for zeros; see each gate for its sign.
    """

    weight: Any
    bias: Any = None


@dataclass(frozen=True)
class GRUGateWeights:
    """The trained numbers of a gate that is a gated recurrent unit.

    Parameters
    ----------
    w_reset, w_update, w_candidate : shape (width, width); of the change.
    u_reset, u_update, u_candidate : shape (width, width); of the token.
    b_update : shape (width,), or None; positive holds the gate shut.
    """

    w_reset: Any
    w_update: Any
    w_candidate: Any
    u_reset: Any
    u_update: Any
    u_candidate: Any
    b_update: Any = None


def input_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return the change plus as much of the token as the token lets pass.

    .. math:: g(x, y) = \sigma(x W + b) \odot x + y

    Source: Parisotto et al. (2020), "Stabilizing Transformers for
    Reinforcement Learning", section 3.2, input; the paper has no b.

    Examples
    --------
    >>> input_gate([[4]], [[10]], GateWeights([[0]])).tolist()
    [[12.0]]
    """
    x, y = _pair(x, y)
    return sigmoid(_mapped(x, gate.weight, gate.bias)) * x + y


def output_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return the token plus as much of the change as the token lets in.

    .. math:: g(x, y) = x + \sigma(x W - b) \odot y

    A positive b holds the gate shut, and the token goes on as it is.

    Source: Parisotto et al. (2020), section 3.2, output.

    Examples
    --------
    >>> output_gate([[4]], [[10]], GateWeights([[0]])).tolist()
    [[9.0]]
    """
    x, y = _pair(x, y)
    return x + sigmoid(_shut(x, gate)) * y


def highway_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return a mixture of token and change: what one gains the other loses.

    .. math:: g(x, y) = c \odot x + (1 - c) \odot y, \qquad
              c = \sigma(x W + b)

    Source: Parisotto et al. (2020), section 3.2, highway; Srivastava, Greff
    & Schmidhuber (2015), "Highway Networks", eq. 3, whose gate is 1 - c.

    Examples
    --------
    >>> highway_gate([[4]], [[10]], GateWeights([[0]])).tolist()
    [[7.0]]
    """
    x, y = _pair(x, y)
    carried = sigmoid(_mapped(x, gate.weight, gate.bias))
    return carried * x + (1 - carried) * y


def sigmoid_tanh_gate(
    x: Tokens, y: Tokens, gate: GateWeights, candidate: GateWeights
) -> Tokens:
    r"""Return the token plus a bounded change that the change itself gates.

    .. math:: g(x, y) = x + \sigma(y W - b) \odot \tanh(y U)

    Parameters
    ----------
    gate : W and b; a positive b holds the gate shut.
    candidate : U; a bias of its own is added if there is one.

    Source: Parisotto et al. (2020), section 3.2, sigmoid-tanh.

    Examples
    --------
    >>> gate, candidate = GateWeights([[0]]), GateWeights([[9]])
    >>> sigmoid_tanh_gate([[4]], [[10]], gate, candidate).tolist()
    [[4.5]]
    """
    x, y = _pair(x, y)
    change = np.tanh(_mapped(y, candidate.weight, candidate.bias))
    return x + sigmoid(_shut(y, gate)) * change


def gru_gate(x: Tokens, y: Tokens, gate: GRUGateWeights) -> Tokens:
    r"""Return the state of a gated recurrent unit after the change.

    .. math:: r &= \sigma(y W_r + x U_r), \qquad
              z = \sigma(y W_z + x U_z - b) \\
              h &= \tanh(y W_h + (r \odot x)\,U_h) \\
              g(x, y) &= (1 - z) \odot x + z \odot h

    The token is the unit's old state, the change its input. A b of two
    holds z near 0.12 at the start: the layer begins near the identity.

    Source: Parisotto et al. (2020), section 3.2, GRU-type gating.

    Examples
    --------
    >>> zeros = [[[0]]] * 6
    >>> gru_gate([[4]], [[10]], GRUGateWeights(*zeros)).tolist()
    [[2.0]]
    """
    x, y = _pair(x, y)
    g = gate
    reset = sigmoid(_mapped(y, g.w_reset) + _mapped(x, g.u_reset))
    update = _mapped(y, g.w_update) + _mapped(x, g.u_update)
    if g.b_update is not None:
        update = update - _bias(g.b_update, update)
    z = sigmoid(update)
    candidate = _mapped(y, g.w_candidate) + _mapped(reset * x, g.u_candidate)
    return (1 - z) * x + z * np.tanh(candidate)


def new_gru_gate(
    *, width: int, seed: int, bias: float = 2.0
) -> GRUGateWeights:
    r"""Return an untrained gate that lets little pass.

    .. math:: W_{ij} \sim \mathrm{uniform}(-a, a), \quad
              a = \sqrt{3 / \text{width}}, \qquad b = \text{bias}

    Source: Parisotto et al. (2020), section 3.2, gated identity
    initialization; Glorot & Bengio (2010), eq. 16, for the matrices.

    Examples
    --------
    >>> new_gru_gate(width=3, seed=0).b_update.tolist()
    [2.0, 2.0, 2.0]
    """
    width = count("width", width)
    rng = np.random.default_rng(count("seed", seed, least=0))
    bound = np.sqrt(3 / width)
    matrices = rng.uniform(-bound, bound, size=(6, width, width))
    return GRUGateWeights(*[*matrices, np.full(width, float(bias))])


def gated(x: Tokens, sublayer: Sublayer, norm: Sublayer, gate: Gate) -> Tokens:
    r"""Return the gate of a token and of what a sublayer makes of it.

    .. math:: g\big(x,\ \mathrm{relu}(f(\mathrm{norm}(x)))\big)

    The norm stands before the sublayer, so that nothing but gates lies on
    the path from the first layer to the last. Without the ReLU the last
    linear map of the sublayer and the first of the gate would be one.

    Source: Parisotto et al. (2020), sections 3.1 and 3.2.

    Examples
    --------
    >>> halve = lambda x: x / 2
    >>> gated([[2, -4]], lambda x: 6 * x, halve, lambda x, y: x + y).tolist()
    [[8.0, -4.0]]
    """
    x = real("x", x, "tokens width")
    return gate(x, relu(sublayer(norm(x))))


def _pair(x: Tokens, y: Tokens) -> tuple[Array, Array]:
    """Return token and change; neither may be repeated along an axis."""
    x, y = real("x", x, "tokens width"), real("y", y, "tokens width")
    require_equal("width", x=x.shape[-1], y=y.shape[-1])
    require_equal("tokens", x=x.shape[-2], y=y.shape[-2])
    require_broadcast(x=x.shape[:-2], y=y.shape[:-2])
    return x, y


def _mapped(x: Tokens, weight: Any, bias: Any = None) -> Array:
    """Return a linear map of tokens to as many numbers as they have."""
    y = project(x, weight, bias)
    require_equal("width", x=x.shape[-1], gate=y.shape[-1])
    return y


def _shut(x: Tokens, gate: GateWeights) -> Tokens:
    """Return the gate's linear map, whose bias is taken away."""
    y = _mapped(x, gate.weight)
    return y if gate.bias is None else y - _bias(gate.bias, y)


def _bias(bias: Any, like: Tokens) -> Array:
    bias = real("bias", bias, "width")
    if bias.shape != like.shape[-1:]:
        raise ValueError(
            "bias must have one number for each column of weight: "
            f"got bias {bias.shape}, width {like.shape[-1]}"
        )
    return bias
