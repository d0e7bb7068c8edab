"""Numbers of a torch tensor in eight bits, and their products."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from attncourse.shapes import count, require_equal

# `require_finite` is for the modules next to this one.
__all__ = [
    "Quantised",
    "dequantise",
    "error_bound",
    "int8_product",
    "quantise",
    "quantise_affine",
]

Numbers = Float[Tensor, "*axes"]
Axis = int | tuple[int, ...] | None
LONGEST = (2**31 - 1) // 255**2  # as in the reference


class Quantised(NamedTuple):
    """Numbers as codes: each is (code - zero) times scale.

    `codes` is int8 and has the shape of the numbers; `scale` and `zero`
    have length one along the axes whose numbers share them. `scale` has
    the dtype of the numbers, single precision for half types.
    """

    codes: Int8[Tensor, "*axes"]
    scale: Tensor
    zero: Tensor


def quantise(x: Numbers, *, axis: Axis = None) -> Quantised:
    r"""Return the numbers as multiples of a step, from -127 to 127.

    .. math:: \Delta = \max_j |x_j| / 127, \qquad
              c_j = \mathrm{round}(x_j / \Delta)

    A half is rounded to the even neighbour. Where all numbers are zero the
    step is one. There are no gradients.

    Parameters
    ----------
    axis : along which numbers share a step: None for all of them (per
        tensor), 1 for a step a row of torch's matrices (per channel), -1
        for one a token.

    Source: Jacob et al. (2018), "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1;
    symmetric as in Dettmers et al. (2022), "LLM.int8()", section 2.1.

    Examples
    --------
    >>> quantise(torch.tensor([-127.0, 0.5, 1.5])).codes.tolist()
    [-127, 0, 2]
    """
    x = _wide("x", x)
    axes = _axes(x, axis)
    if x.numel():
        highest = x.abs().amax(dim=axes, keepdim=True)
    else:
        highest = _nothing(x, axes)
    scale = _step(highest / 127)
    codes = (x / scale).round().to(torch.int8)
    return Quantised(codes, scale, torch.zeros_like(scale, dtype=torch.int64))


def quantise_affine(x: Numbers, *, axis: Axis = None) -> Quantised:
    r"""Return the numbers as steps from a zero point, from -128 to 127.

    .. math:: \Delta = (h - l) / 255, \qquad
              z = \mathrm{round}(-128 - l / \Delta), \qquad
              c_j = \mathrm{round}(x_j / \Delta) + z

    with l the smallest number or zero, and h the largest or zero, so that
    zero is a code.

    Source: Jacob et al. (2018), section 2.1, eq. 1.

    Examples
    --------
    >>> quantise_affine(torch.tensor([0.0, 51.0, 255.0])).codes.tolist()
    [-128, -77, 127]
    """
    x = _wide("x", x)
    axes = _axes(x, axis)
    if x.numel():
        low = x.amin(dim=axes, keepdim=True).clamp(max=0)
        high = x.amax(dim=axes, keepdim=True).clamp(min=0)
    else:
        low = high = _nothing(x, axes)
    scale = _step(high / 255 - low / 255)
    zero = (-128 - low / scale).round()
    codes = ((x / scale).round() + zero).clamp(-128, 127).to(torch.int8)
    return Quantised(codes, scale, zero.to(torch.int64))


def dequantise(quantised: Quantised) -> Numbers:
    r"""Return the numbers that the codes stand for.

    .. math:: \hat{x}_j = (c_j - z)\,\Delta

    Each is within half a step of what was quantised.

    Source: Jacob et al. (2018), section 2.1, eq. 1.

    Examples
    --------
    >>> dequantise(quantise(torch.tensor([-127.0, 0.5, 1.5]))).tolist()
    [-127.0, 0.0, 2.0]
    """
    _require_codes("quantised", quantised)
    codes, scale, zero = quantised
    return (codes - zero).to(scale.dtype) * scale


def error_bound(quantised: Quantised) -> Numbers:
    r"""Return how far each number may be from what its code stands for.

    .. math:: |x_j - \hat{x}_j| \le \Delta / 2

    (Floating point adds its own rounding.)

    Source: Jacob et al. (2018), section 2.1.

    Examples
    --------
    >>> error_bound(quantise(torch.tensor([-127.0, 0.5]))).tolist()
    [0.5]
    """
    _require_codes("quantised", quantised)
    return quantised.scale / 2


def int8_product(
    x: Quantised, w: Quantised
) -> Float[Tensor, "*batch rows columns"]:
    r"""Return the product of two quantised matrices, summed in integers.

    .. math:: y_{ij} = \Delta_i \Delta'_j
              \sum_l (c_{il} - z_i)(c'_{lj} - z'_j)

    On a CPU the sum is of 32-bit integers. A GPU of torch has no product
    of those; there it is taken in double precision, which is exact too.

    Parameters
    ----------
    x : shape (..., rows, inner), one step for all or one a row.
    w : shape (inner, columns), one step for all or one a column.

    Source: Jacob et al. (2018), section 2.2; Dettmers et al. (2022),
    section 3.1.

    Examples
    --------
    >>> x, w = torch.tensor([[127.0, 1.0]]), torch.tensor([[2.0], [127.0]])
    >>> int8_product(quantise(x), quantise(w)).tolist()
    [[381.0]]
    """
    for name, each in {"x": x, "w": w}.items():
        _require_codes(name, each)
    if x.codes.ndim < 2 or w.codes.ndim != 2:
        raise ValueError(
            "x must have axes (..., rows, inner) and w (inner, columns): "
            f"got shapes {tuple(x.codes.shape)} and {tuple(w.codes.shape)}"
        )
    inner = w.codes.shape[0]
    require_equal("inner", x=x.codes.shape[-1], w=inner)
    if x.scale.shape[-1] != 1 or w.scale.shape[0] != 1:
        raise ValueError(
            "scales must not vary along the inner axis: "
            f"got x {tuple(x.scale.shape)}, w {tuple(w.scale.shape)}"
        )
    if inner > LONGEST:
        raise ValueError(
            f"inner must be at most {LONGEST}, or 32 bits overflow: "
            f"got {inner}"
        )
    whole = torch.int32 if x.codes.device.type == "cpu" else torch.float64
    left, right = ((each.codes - each.zero).to(whole) for each in (x, w))
    sums = (left @ right).to(x.scale.dtype)
    return sums * x.scale * w.scale


def require_finite(name: str, x: Numbers) -> Numbers:
    """Return a floating-point tensor; refuse NaN and infinity.

    Source: the contract of this course.

    Examples
    --------
    >>> require_finite("x", torch.tensor([1.0, torch.inf]))
    Traceback (most recent call last):
    ValueError: x must be finite: got 1 of 2 numbers that are not
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    wrong = int((~torch.isfinite(x)).sum())
    if wrong:
        raise ValueError(
            f"{name} must be finite: "
            f"got {wrong} of {x.numel()} numbers that are not"
        )
    return x.detach()


def _wide(name: str, x: Numbers) -> Numbers:
    x = require_finite(name, x)
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _axes(x: Tensor, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for each in axes:
        count("axis", each, least=-x.ndim)
    if any(each >= x.ndim for each in axes) or len(
        {each % x.ndim for each in axes}
    ) < len(axes):
        raise ValueError(
            f"axis must name axes of shape {tuple(x.shape)}, each once: "
            f"got {axis}"
        )
    return axes


def _nothing(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return zeros of the shape that steps have, where no number is."""
    shared = {axis % x.ndim for axis in axes}
    return x.new_zeros(
        [1 if n in shared else size for n, size in enumerate(x.shape)]
    )


def _step(scale: Tensor) -> Tensor:
    """Return the steps; where all numbers are zero any step will do."""
    tiny = torch.finfo(scale.dtype).tiny
    return torch.where(scale < tiny, torch.ones_like(scale), scale)


def _require_codes(name: str, quantised: Quantised) -> None:
    """Require int8 codes, with steps and zero points that fit them."""
    if not isinstance(quantised, Quantised):
        raise TypeError(
            f"{name} must be Quantised: got {type(quantised).__name__}"
        )
    codes, scale, zero = quantised
    if codes.dtype is not torch.int8:
        raise TypeError(f"{name} must hold int8 codes: got {codes.dtype}")
    shape = tuple(codes.shape)
    for each in (scale, zero):
        if each.ndim != codes.ndim or any(
            have not in (1, want)
            for have, want in zip(each.shape, shape, strict=True)
        ):
            raise ValueError(
                f"scale and zero must fit codes of shape {shape}: got "
                f"{tuple(scale.shape)} and {tuple(zero.shape)}"
            )
