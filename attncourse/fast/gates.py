"""Gates in place of the residual sum, in torch.

The functions are those of `attncourse.reference.gates`, with tensors; the
modules hold their numbers and are called with a token and a change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.heads import project
from attncourse.fast.tiled_parts import require_real
from attncourse.reference.gates import GateWeights, GRUGateWeights
from attncourse.shapes import count, require_broadcast, require_equal

__all__ = [
    "GRUGate",
    "GRUGateWeights",
    "GateWeights",
    "MapGate",
    "gated",
    "gru_gate",
    "highway_gate",
    "input_gate",
    "output_gate",
    "sigmoid_tanh_gate",
]

Tokens = Float[Tensor, "*#batch tokens width"]


def input_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return the change plus as much of the token as the token lets pass.

    .. math:: g(x, y) = \sigma(x W + b) \odot x + y

    Source: Parisotto et al. (2020), "Stabilizing Transformers for
    Reinforcement Learning", section 3.2, input; the paper has no b.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> input_gate(4 * one, 10 * one, GateWeights(0 * one)).item()
    12.0
    """
    _require_pair(x, y)
    return _mapped(x, gate.weight, gate.bias).sigmoid() * x + y


def output_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return the token plus as much of the change as the token lets in.

    .. math:: g(x, y) = x + \sigma(x W - b) \odot y

    Source: Parisotto et al. (2020), section 3.2, output.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> output_gate(4 * one, 10 * one, GateWeights(0 * one)).item()
    9.0
    """
    _require_pair(x, y)
    return x + _shut(x, gate).sigmoid() * y


def highway_gate(x: Tokens, y: Tokens, gate: GateWeights) -> Tokens:
    r"""Return a mixture of token and change: what one gains the other loses.

    .. math:: g(x, y) = c \odot x + (1 - c) \odot y, \qquad
              c = \sigma(x W + b)

    Source: Parisotto et al. (2020), section 3.2, highway.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> highway_gate(4 * one, 10 * one, GateWeights(0 * one)).item()
    7.0
    """
    _require_pair(x, y)
    carried = _mapped(x, gate.weight, gate.bias).sigmoid()
    return carried * x + (1 - carried) * y


def sigmoid_tanh_gate(
    x: Tokens, y: Tokens, gate: GateWeights, candidate: GateWeights
) -> Tokens:
    r"""Return the token plus a bounded change that the change itself gates.

    .. math:: g(x, y) = x + \sigma(y W - b) \odot \tanh(y U)

    Source: Parisotto et al. (2020), section 3.2, sigmoid-tanh.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> gate, candidate = GateWeights(0 * one), GateWeights(9 * one)
    >>> sigmoid_tanh_gate(4 * one, 10 * one, gate, candidate).item()
    4.5
    """
    _require_pair(x, y)
    change = _mapped(y, candidate.weight, candidate.bias).tanh()
    return x + _shut(y, gate).sigmoid() * change


def gru_gate(x: Tokens, y: Tokens, gate: GRUGateWeights) -> Tokens:
    r"""Return the state of a gated recurrent unit after the change.

    .. math:: r &= \sigma(y W_r + x U_r), \qquad
              z = \sigma(y W_z + x U_z - b) \\
              h &= \tanh(y W_h + (r \odot x)\,U_h) \\
              g(x, y) &= (1 - z) \odot x + z \odot h

    Source: Parisotto et al. (2020), section 3.2, GRU-type gating.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> gru_gate(4 * one, 10 * one, GRUGateWeights(*[0 * one] * 6)).item()
    2.0
    """
    _require_pair(x, y)
    g = gate
    shut = None if g.b_update is None else -g.b_update
    reset = (_mapped(y, g.w_reset) + _mapped(x, g.u_reset)).sigmoid()
    z = (_mapped(y, g.w_update, shut) + _mapped(x, g.u_update)).sigmoid()
    candidate = _mapped(y, g.w_candidate) + _mapped(reset * x, g.u_candidate)
    return (1 - z) * x + z * candidate.tanh()


def gated(
    x: Tokens,
    sublayer: Callable[[Tensor], Tensor],
    norm: Callable[[Tensor], Tensor],
    gate: Callable[[Tensor, Tensor], Tensor],
) -> Tokens:
    r"""Return the gate of a token and of what a sublayer makes of it.

    .. math:: g\big(x,\ \mathrm{relu}(f(\mathrm{norm}(x)))\big)

    Source: Parisotto et al. (2020), sections 3.1 and 3.2.

    Examples
    --------
    >>> x = torch.tensor([[2.0, -4.0]])
    >>> halve = lambda x: x / 2
    >>> gated(x, lambda x: 6 * x, halve, lambda x, y: x + y).tolist()
    [[8.0, -4.0]]
    """
    require_real("x", x, "tokens width")
    return gate(x, torch.relu(sublayer(norm(x))))


class MapGate(nn.Module):
    r"""A gate with one linear map: input, output or highway.

    .. math:: (x, y) \mapsto g(x, y; W, b)

    Parameters
    ----------
    width : numbers of a token.
    gate : `input_gate`, `output_gate` or `highway_gate`.
    bias : what b starts with; 2 starts an output gate or a highway near
        the identity.

    Source: Parisotto et al. (2020), section 3.2.

    Examples
    --------
    >>> MapGate(6, gate=highway_gate)(torch.ones(5, 6), torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self, width: int, *, gate: Callable[..., Tensor], bias: float = 2.0
    ):
        super().__init__()
        if gate not in (input_gate, output_gate, highway_gate):
            raise ValueError(
                "gate must be input_gate, output_gate or highway_gate: "
                f"got {getattr(gate, '__name__', gate)}"
            )
        self.gate = gate
        (self.weight,) = _matrices(1, width)
        self.bias = nn.Parameter(torch.full((width,), float(bias)))

    def weights(self) -> GateWeights:
        """Return the numbers as the functions take them; views."""
        return GateWeights(self.weight, self.bias)

    def forward(self, x: Tokens, y: Tokens) -> Tokens:
        """Return the token that goes on."""
        return self.gate(x, y, self.weights())

    def extra_repr(self) -> str:
        """Return the function's name and the width."""
        return f"{len(self.bias)}, gate={self.gate.__name__}"


class GRUGate(nn.Module):
    r"""A gated recurrent unit whose state is the token: GTrXL's gate.

    .. math:: g(x, y) = (1 - z) \odot x + z \odot h

    Parameters
    ----------
    width : numbers of a token.
    bias : what b starts with; 2 lets about 0.12 of a change in.

    Source: Parisotto et al. (2020), section 3.2, GRU-type gating.

    Examples
    --------
    >>> GRUGate(6)(torch.ones(5, 6), torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(self, width: int, *, bias: float = 2.0):
        super().__init__()
        self.matrices = nn.ParameterList(_matrices(6, width))
        self.bias = nn.Parameter(torch.full((width,), float(bias)))

    def weights(self) -> GRUGateWeights:
        """Return the numbers as `gru_gate` takes them; views."""
        numbers: list[Any] = [*self.matrices, self.bias]
        return GRUGateWeights(*numbers)

    def forward(self, x: Tokens, y: Tokens) -> Tokens:
        """Return the token that goes on."""
        return gru_gate(x, y, self.weights())


def _matrices(number: int, width: int) -> list[nn.Parameter]:
    """Return matrices that start as the reference's do."""
    width = count("width", width)
    bound = math.sqrt(3 / width)
    drawn = torch.empty(number, width, width).uniform_(-bound, bound)
    return [nn.Parameter(each.clone()) for each in drawn]


def _mapped(x: Tokens, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a linear map of tokens to as many numbers as they have."""
    y = project(x, weight, bias)
    require_equal("width", x=x.shape[-1], gate=y.shape[-1])
    return y


def _shut(x: Tokens, gate: GateWeights) -> Tensor:
    """Return the gate's linear map, whose bias is taken away."""
    return _mapped(x, gate.weight, None if gate.bias is None else -gate.bias)


def _require_pair(x: Tokens, y: Tokens) -> None:
    """Refuse a token or a change that would be repeated along an axis."""
    for name, value in {"x": x, "y": y}.items():
        require_real(name, value, "tokens width")
    if (x.dtype, x.device) != (y.dtype, y.device):
        raise TypeError(
            "x and y must agree in dtype and device: got "
            f"{x.dtype} on {x.device}, {y.dtype} on {y.device}"
        )
    require_equal("width", x=x.shape[-1], y=y.shape[-1])
    require_equal("tokens", x=x.shape[-2], y=y.shape[-2])
    require_broadcast(x=tuple(x.shape[:-2]), y=tuple(y.shape[:-2]))
