"""Capsules and routing in torch: `attncourse.reference.capsules`.

Everything is differentiable, through all rounds of routing; half types are
computed in single precision and keep their dtype.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.precision import widened
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import count, require_broadcast, require_equal

Vectors = Float[Tensor, "*#batch dim"]
Inputs = Float[Tensor, "*batch inputs dim"]
Maps = Float[Tensor, "inputs outputs dim out_dim"]
Predictions = Float[Tensor, "*batch inputs outputs out_dim"]
Outputs = Float[Tensor, "*batch outputs out_dim"]
Shares = Float[Tensor, "*batch inputs outputs"]
Lengths = Float[Tensor, "*#batch classes"]


class Routed(NamedTuple):
    """What routing found: see `attncourse.reference.capsules.Routed`."""

    capsules: Outputs
    shares: Shares


def squash(s: Vectors) -> Vectors:
    r"""Return each vector, its direction kept and its length below one.

    .. math:: v = \frac{\|s\|}{1 + \|s\|^2}\, s

    Its gradient at zero is zero, not NaN.

    Source: Sabour, Frosst & Hinton (2017), "Dynamic Routing Between
    Capsules", eq. 1.

    Examples
    --------
    >>> squash(torch.tensor([[3.0, 4.0], [0.0, 0.0]])) * 26 / 25
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    require_real("s", s, "dim")
    wide = widened(s)
    length = _length(wide)
    return (wide * (length / (1 + length**2))).to(s.dtype)


def capsule_lengths(capsules: Vectors) -> Float[Tensor, "*#batch"]:
    r"""Return the length of each capsule: how likely its thing is there.

    .. math:: p_k = \|v_k\|

    At a capsule of zero the gradient is taken as zero.

    Source: Sabour, Frosst & Hinton (2017), "Dynamic Routing Between
    Capsules", section 2.

    Examples
    --------
    >>> capsule_lengths(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [5.0, 0.0]
    """
    require_real("capsules", capsules, "dim")
    return _length(widened(capsules))[..., 0].to(capsules.dtype)


def predictions(capsules: Inputs, maps: Maps) -> Predictions:
    r"""Return what each input capsule says each output capsule is.

    .. math:: \hat{u}_{j|i} = W_{ij}\, u_i

    Source: Sabour, Frosst & Hinton (2017), eq. 2.

    Examples
    --------
    >>> predictions(torch.ones(3, 5, 2), torch.ones(5, 7, 2, 4)).shape
    torch.Size([3, 5, 7, 4])
    """
    require_real("capsules", capsules, "inputs dim")
    require_real("maps", maps, "inputs outputs dim out_dim")
    if maps.ndim != 4:
        raise ValueError(
            "maps must have axes (inputs, outputs, dim, out_dim): "
            f"got shape {tuple(maps.shape)}"
        )
    require_equal("inputs", capsules=capsules.shape[-2], maps=maps.shape[0])
    require_equal("dim", capsules=capsules.shape[-1], maps=maps.shape[2])
    if (maps.dtype, maps.device) != (capsules.dtype, capsules.device):
        raise TypeError(
            "capsules and maps must agree in dtype and device: got "
            f"{capsules.dtype} on {capsules.device}, "
            f"{maps.dtype} on {maps.device}"
        )
    predicted = torch.einsum(
        "...id,ijde->...ije", widened(capsules), widened(maps)
    )
    return predicted.to(capsules.dtype)


def routing_shares(logits: Shares) -> Shares:
    r"""Return how each input is shared out: softmax over the outputs.

    .. math:: c_{ij} = \frac{e^{b_{ij}}}{\sum_k e^{b_{ik}}}

    Source: Sabour, Frosst & Hinton (2017), eq. 3.

    Examples
    --------
    >>> routing_shares(torch.zeros(3, 4))[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    require_real("logits", logits, "inputs outputs")
    return torch.softmax(logits, dim=-1)


def route(predicted: Predictions, *, iterations: int = 3) -> Routed:
    r"""Return the output capsules on which the inputs agree.

    .. math:: b = 0; \qquad c = \mathrm{softmax}_j(b), \quad
              s_j = \sum_i c_{ij}\, \hat{u}_{j|i}, \quad
              v_j = \mathrm{squash}(s_j), \quad
              b_{ij} \leftarrow b_{ij} + \hat{u}_{j|i} \cdot v_j

    The gradient passes through every round.

    Source: Sabour, Frosst & Hinton (2017), procedure 1.

    Examples
    --------
    >>> route(torch.ones(5, 7, 4)).capsules.shape
    torch.Size([7, 4])
    """
    require_real("predicted", predicted, "inputs outputs out_dim")
    rounds = count("iterations", iterations)
    u = widened(predicted)
    logits = u.new_zeros(u.shape[:-1])
    for _ in range(rounds):
        shares = routing_shares(logits)
        capsules = squash(torch.einsum("...ij,...ije->...je", shares, u))
        logits = logits + torch.einsum("...ije,...je->...ij", u, capsules)
    return Routed(capsules.to(predicted.dtype), shares.to(predicted.dtype))


def margin_loss(
    lengths: Lengths,
    present: Bool[Tensor, "*#batch classes"],
    *,
    upper: float = 0.9,
    lower: float = 0.1,
    absent_weight: float = 0.5,
) -> Float[Tensor, "*#batch"]:
    r"""Return the loss of each example: lengths on the wrong side.

    .. math:: \sum_k T_k \max(0, m^+ - \|v_k\|)^2 +
              \lambda (1 - T_k) \max(0, \|v_k\| - m^-)^2

    Source: Sabour, Frosst & Hinton (2017), eq. 4.

    Examples
    --------
    >>> present = torch.tensor([True, False])
    >>> round(margin_loss(torch.tensor([0.4, 0.6]), present).item(), 6)
    0.375
    """
    require_real("lengths", lengths, "classes")
    if not isinstance(present, Tensor) or present.dtype is not torch.bool:
        got = getattr(present, "dtype", type(present).__name__)
        raise TypeError(
            f"present must be boolean, True at what is there: got {got}"
        )
    shape = tuple(present.shape)
    require_equal(
        "classes", lengths=lengths.shape[-1], present=(shape or (0,))[-1]
    )
    require_broadcast(lengths=tuple(lengths.shape[:-1]), present=shape[:-1])
    _require_number("upper", upper)
    _require_number("lower", lower)
    _require_number("absent_weight", absent_weight)
    wide = widened(lengths)
    missing = (upper - wide).clamp(min=0) ** 2
    surplus = (wide - lower).clamp(min=0) ** 2
    each = torch.where(present, missing, absent_weight * surplus)
    return each.sum(dim=-1).to(lengths.dtype)


class CapsuleLayer(nn.Module):
    r"""Capsules from capsules: trained predictions, then routing.

    .. math:: v = \mathrm{route}(\hat{u}), \qquad
              \hat{u}_{j|i} = W_{ij}\, u_i

    Parameters
    ----------
    inputs, outputs : numbers of capsules.
    dim, out_dim : numbers of an input and of an output capsule.
    iterations : rounds of routing.

    Source: Sabour, Frosst & Hinton (2017), section 4, DigitCaps.

    Examples
    --------
    >>> CapsuleLayer(5, 7, dim=2, out_dim=4)(torch.ones(3, 5, 2)).shape
    torch.Size([3, 7, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dim: int,
        out_dim: int,
        iterations: int = 3,
    ):
        super().__init__()
        inputs, outputs = count("inputs", inputs), count("outputs", outputs)
        dim, out_dim = count("dim", dim), count("out_dim", out_dim)
        self.iterations = count("iterations", iterations)
        self.maps = nn.Parameter(torch.empty(inputs, outputs, dim, out_dim))
        bound = math.sqrt(6 / (dim + out_dim))
        nn.init.uniform_(self.maps, -bound, bound)

    def extra_repr(self) -> str:
        """Return what the printed module says of itself."""
        inputs, outputs, dim, out_dim = self.maps.shape
        return (
            f"{inputs}, {outputs}, dim={dim}, out_dim={out_dim}, "
            f"iterations={self.iterations}"
        )

    def forward(self, capsules: Inputs) -> Outputs:
        """Return (..., outputs, out_dim) from (..., inputs, dim)."""
        predicted = predictions(capsules, self.maps)
        return route(predicted, iterations=self.iterations).capsules


def _require_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number: got {value!r}")


def _length(s: Vectors) -> Float[Tensor, "*#batch 1"]:
    """Return lengths; the root of zero has no slope, and gets zero."""
    square = (s * s).sum(dim=-1, keepdim=True)
    some = square > 0
    return torch.where(some, torch.where(some, square, 1.0).sqrt(), 0.0)
