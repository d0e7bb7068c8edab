"""Numbers in eight bits: codes, the step between them, and their products."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int8

from attncourse.shapes import Array, count, real, require_equal

# What else has no underscore is for the modules next to this one.
__all__ = [
    "Quantised",
    "dequantise",
    "error_bound",
    "int8_product",
    "quantise",
    "quantise_affine",
]

Numbers = Float[Array, "*axes"]
Axis = int | tuple[int, ...] | None
# Below it a step is no normal number, and division by it loses digits.
SMALLEST = np.finfo(np.float64).tiny
# So many products of two centred codes fit into 32 bits.
LONGEST = (2**31 - 1) // 255**2


class Quantised(NamedTuple):
    """Numbers as codes: each is (code - zero) times scale.

    `codes` has the shape of the numbers; `scale` and `zero` have length
    one along the axes whose numbers share them.
    """

    codes: Int8[Array, "*axes"]
    scale: Any
    zero: Any


def quantise(x: Numbers, *, axis: Axis = None) -> Quantised:
    r"""Return the numbers as multiples of a step, from -127 to 127.

    .. math:: \Delta = \max_j |x_j| / 127, \qquad
              c_j = \mathrm{round}(x_j / \Delta)

    Zero is exact. A half is rounded to the even neighbour. Where all
    numbers are zero the step is one.

    Parameters
    ----------
    axis : along which numbers share a step: None for all of them (per
        tensor); 0 for a step a column of X W's matrix (per channel); -1
        for one a token. A large number spoils all that share its step.

    Source: Jacob et al. (2018), "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1;
    symmetric as in Dettmers et al. (2022), "LLM.int8()", section 2.1.

    Examples
    --------
    >>> quantise([-127.0, 0.5, 1.5]).codes.tolist()
    [-127, 0, 2]
    """
    x = require_finite("x", x)
    _require_axes(axis, x.shape)
    highest = np.max(np.abs(x), axis=axis, keepdims=True, initial=0.0)
    scale = _step(highest / 127)
    codes = np.rint(x / scale).astype(np.int8)
    return Quantised(codes, scale, np.zeros(scale.shape, np.int64))


def quantise_affine(x: Numbers, *, axis: Axis = None) -> Quantised:
    r"""Return the numbers as steps from a zero point, from -128 to 127.

    .. math:: \Delta = (h - l) / 255, \qquad
              z = \mathrm{round}(-128 - l / \Delta), \qquad
              c_j = \mathrm{round}(x_j / \Delta) + z

    with l the smallest number or zero, and h the largest or zero: so zero
    is a code, and padding stays zero. A code that rounding would push
    beyond an end stays at the end. Numbers of one sign get a step half as
    wide as that of `quantise`.

    Source: Jacob et al. (2018), section 2.1, eq. 1.

    Examples
    --------
    >>> codes, scale, zero = quantise_affine([0.0, 51.0, 255.0])
    >>> codes.tolist(), scale.item(), zero.item()
    ([-128, -77, 127], 1.0, -128)
    """
    x = require_finite("x", x)
    _require_axes(axis, x.shape)
    low = np.min(x, axis=axis, keepdims=True, initial=0.0)
    high = np.max(x, axis=axis, keepdims=True, initial=0.0)
    scale = _step(high / 255 - low / 255)
    zero = np.rint(-128 - low / scale)
    codes = np.rint(x / scale) + zero  # both roundings may go one way
    codes = np.clip(codes, -128, 127).astype(np.int8)
    return Quantised(codes, scale, zero.astype(np.int64))


def dequantise(quantised: Quantised) -> Numbers:
    r"""Return the numbers that the codes stand for.

    .. math:: \hat{x}_j = (c_j - z)\,\Delta

    Source: Jacob et al. (2018), section 2.1, eq. 1.

    Examples
    --------
    >>> dequantise(quantise([-127.0, 0.5, 1.5])).tolist()
    [-127.0, 0.0, 2.0]
    """
    codes, scale, zero = _checked("quantised", quantised)
    return (codes - zero) * scale


def error_bound(quantised: Quantised) -> Numbers:
    r"""Return how far each number may be from what its code stands for.

    .. math:: |x_j - \hat{x}_j| \le \Delta / 2

    Rounding moves a number by half a step at most, and no number lies
    beyond the last code by more. (Floating point adds its own rounding.)

    Source: Jacob et al. (2018), section 2.1.

    Examples
    --------
    >>> error_bound(quantise([-127.0, 0.5])).tolist()
    [0.5]
    """
    _, scale, _ = _checked("quantised", quantised)
    return scale / 2


def int8_product(x: Quantised, w: Quantised) -> Float[Array, "*batch columns"]:
    r"""Return the product of two quantised matrices, summed in integers.

    .. math:: y_{ij} = \Delta_i \Delta'_j
              \sum_l (c_{il} - z_i)(c'_{lj} - z'_j)

    The sum is exact in 32 bits; the steps are multiplied in once at the
    end. So a step must not vary along the axis that is summed over.

    Parameters
    ----------
    x : shape (..., rows, inner), one step for all or one a row.
    w : shape (inner, columns), one step for all or one a column.

    Source: Jacob et al. (2018), section 2.2; Dettmers et al. (2022),
    section 3.1, "vector-wise quantization".

    Examples
    --------
    >>> x, w = quantise([[127.0, 1.0]]), quantise([[2.0], [127.0]])
    >>> int8_product(x, w).tolist()
    [[381.0]]
    """
    left, x_scale, x_zero = _checked("x", x)
    right, w_scale, w_zero = _checked("w", w)
    if left.ndim < 2 or right.ndim != 2:
        raise ValueError(
            "x must have axes (..., rows, inner) and w (inner, columns): "
            f"got shapes {left.shape} and {right.shape}"
        )
    inner = right.shape[0]
    require_equal("inner", x=left.shape[-1], w=inner)
    if x_scale.shape[-1] != 1 or w_scale.shape[0] != 1:
        raise ValueError(
            "scales must not vary along the inner axis: "
            f"got x {x_scale.shape}, w {w_scale.shape}"
        )
    if inner > LONGEST:
        raise ValueError(
            f"inner must be at most {LONGEST}, or 32 bits overflow: "
            f"got {inner}"
        )
    sums = (left - x_zero).astype(np.int32) @ (right - w_zero).astype(np.int32)
    return sums * x_scale * w_scale


def require_finite(name: str, value: Any, axes: str = "") -> Numbers:
    """Return `value` as float64; refuse NaN and infinity.

    Neither has a size that could be compared, or a code.

    Source: the contract of this course.

    Examples
    --------
    >>> require_finite("x", [1.0, np.inf])
    Traceback (most recent call last):
    ValueError: x must be finite: got 1 of 2 numbers that are not
    """
    array = real(name, value, axes)
    wrong = np.count_nonzero(~np.isfinite(array))
    if wrong:
        raise ValueError(
            f"{name} must be finite: "
            f"got {wrong} of {array.size} numbers that are not"
        )
    return array


def require_matrix(name: str, value: Float[Array, "rows columns"]) -> Array:
    """Return numbers that have two axes."""
    array = real(name, value, "rows columns")
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes: got shape {array.shape}")
    return array


def _require_axes(axis: Axis, shape: tuple[int, ...]) -> None:
    """Require that `axis` names axes of an array, each of them once."""
    axes = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for each in axes:
        count("axis", each, least=-len(shape))
    if any(each >= len(shape) for each in axes) or len(
        {each % len(shape) for each in axes}
    ) < len(axes):
        raise ValueError(
            f"axis must name axes of shape {shape}, each once: got {axis}"
        )


def _step(scale: Array) -> Array:
    """Return the steps; where all numbers are zero any step will do."""
    return np.where(scale < SMALLEST, 1.0, scale)


def _checked(name: str, quantised: Quantised) -> tuple[Array, Array, Array]:
    """Return codes as wide integers, and scale and zero that fit them."""
    if not isinstance(quantised, Quantised):
        raise TypeError(
            f"{name} must be Quantised: got {type(quantised).__name__}"
        )
    codes = np.asarray(quantised.codes)
    if codes.dtype != np.int8:
        raise TypeError(f"{name} must hold int8 codes: got {codes.dtype}")
    scale = real("scale", quantised.scale)
    zero = real("zero", quantised.zero)
    for each in (scale, zero):
        if each.ndim != codes.ndim or any(
            have not in (1, want)
            for have, want in zip(each.shape, codes.shape, strict=True)
        ):
            raise ValueError(
                f"scale and zero must fit codes of shape {codes.shape}: "
                f"got {scale.shape} and {zero.shape}"
            )
    if not np.isin(zero, np.arange(-128, 128)).all():
        raise ValueError(
            f"zero must hold whole numbers from -128 to 127: got {zero}"
        )
    return codes.astype(np.int64), scale, zero.astype(np.int64)
