"""Sinusoidal, rotary and ALiBi positions in torch.

What is looked up in a trained table is in `positions_tables`. Same names
and contract as `attncourse.reference.positions`; results keep the type and
the device of their input, and gradients flow.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Real
from torch import Tensor

from attncourse.fast.positions_tables import (
    bucket_index,
    causal_bucket_index,
    learned,
    relative_bias,
    relative_index,
    relative_scores,
    relative_values,
)
from attncourse.shapes import count, require_broadcast, require_equal

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "bucket_index",
    "causal_bucket_index",
    "frequencies",
    "learned",
    "relative_bias",
    "relative_index",
    "relative_scores",
    "relative_values",
    "rotary",
    "sinusoidal",
]

Tokens = Float[Tensor, "*#batch tokens dim"]
Positions = Real[Tensor, "*#batch tokens"]


def frequencies(
    dim: int, *, base: float = 10_000.0, device: torch.device | None = None
) -> Float[Tensor, "pairs"]:
    r"""Return the angle in radians that each pair of columns turns by a step.

    .. math:: \omega_i = base^{-2i/dim}, \qquad i = 0, \dots, dim/2 - 1

    In float64: at position 100,000 a float32 angle can be off by 0.002.

    Source: as in `reference.positions.frequencies`.

    Examples
    --------
    >>> frequencies(4).tolist()
    [1.0, 0.01]
    """
    dim = count("dim", dim, least=2)
    if dim % 2:
        raise ValueError(f"dim must be even, two columns a pair: got {dim}")
    if not base > 0:
        raise ValueError(f"base must be positive: got {base}")
    even = torch.arange(0, dim, 2, dtype=torch.float64, device=device)
    return torch.pow(float(base), -even / dim)


def sinusoidal(
    positions: Positions, *, dim: int, base: float = 10_000.0
) -> Tokens:
    r"""Return one vector for each position, to be added to the token there.

    .. math:: P_{p, 2i} = \sin(p\,\omega_i), \qquad
              P_{p, 2i+1} = \cos(p\,\omega_i)

    Whole-numbered positions give torch's default type.

    Source: as in `reference.positions.sinusoidal`.

    Examples
    --------
    >>> sinusoidal(torch.tensor([0, 5]), dim=4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    angles = _angles(positions, dim, base)
    pairs = torch.stack([angles.sin(), angles.cos()], dim=-1)
    kept = (
        positions.dtype
        if positions.is_floating_point()
        else torch.get_default_dtype()
    )
    return pairs.flatten(-2).to(kept)  # sine and cosine alternate


def rotary(
    x: Tokens, positions: Positions, *, base: float = 10_000.0
) -> Tokens:
    """Return queries or keys with every pair of columns turned.

    Neighbouring columns form a pair (interleaved), as in RoFormer; half
    types are turned in float32 and rounded once.

    Parameters
    ----------
    x : shape (..., tokens, dim), with dim even.
    positions : shape (..., tokens).

    Source: Su et al. (2024), "RoFormer", eq. 15 and 34.

    Examples
    --------
    >>> rotary(torch.ones(5, 4), torch.arange(5)).shape
    torch.Size([5, 4])
    """
    if x.ndim < 2:
        raise ValueError(
            f"x must have axes (..., tokens, dim): got shape {tuple(x.shape)}"
        )
    _require_tokens(positions)
    require_equal("tokens", x=x.shape[-2], positions=positions.shape[-1])
    require_broadcast(
        x=tuple(x.shape[:-2]), positions=tuple(positions.shape[:-1])
    )
    inner = torch.promote_types(x.dtype, torch.float32)
    angles = _angles(positions, x.shape[-1], base).to(x.device)
    cos, sin = angles.cos().to(inner), angles.sin().to(inner)
    first, second = x[..., 0::2].to(inner), x[..., 1::2].to(inner)
    turned = torch.stack(
        [first * cos - second * sin, first * sin + second * cos], dim=-1
    )
    return turned.flatten(-2).to(x.dtype)


def alibi_slopes(heads: int) -> Float[Tensor, "heads"]:
    """Return how fast each head's scores fall with distance, as float32.

    Every slope for a power of two up to eight heads is a power of two, so
    nothing is lost; others are rounded once.

    Source: Press, Smith & Lewis (2022), "Train Short, Test Long", section 3;
    other head counts from the authors' published code.

    Examples
    --------
    >>> alibi_slopes(3).tolist()
    [0.0625, 0.00390625, 0.25]
    """
    heads = count("heads", heads)
    power = 1 << (heads.bit_length() - 1)  # the largest power of two within
    steps = torch.arange(1, 2 * power + 1, dtype=torch.float64)
    slopes = torch.exp2(-8.0 * steps[:power] / power)
    between = torch.exp2(-4.0 * steps[0::2] / power)
    return torch.cat([slopes, between[: heads - power]]).float()


def alibi_bias(
    slopes: Float[Tensor, "heads"],
    query_positions: Real[Tensor, "*#batch queries"],
    key_positions: Real[Tensor, "*#batch keys"],
) -> Float[Tensor, "*batch heads queries keys"]:
    """Return what each head adds to a score for the distance.

    The type is that of `slopes`. Pass it to
    `torch.nn.functional.scaled_dot_product_attention` as `attn_mask`.

    Source: Press, Smith & Lewis (2022), section 3, figure 3.

    Examples
    --------
    >>> at = torch.arange(3)
    >>> alibi_bias(torch.tensor([0.5]), at[2:], at).tolist()
    [[[-1.0, -0.5, -0.0]]]
    """
    if slopes.ndim < 1:
        raise ValueError(
            f"slopes must have axes (..., heads): got shape "
            f"{tuple(slopes.shape)}"
        )
    require_broadcast(
        query_positions=tuple(query_positions.shape[:-1]),
        key_positions=tuple(key_positions.shape[:-1]),
    )
    # Subtract before rounding to the slopes' type: far out, half precision
    # cannot tell neighbouring positions apart, but their distance it can.
    distances = query_positions[..., :, None] - key_positions[..., None, :]
    near = distances.abs().to(slopes.dtype)
    return -slopes[..., :, None, None] * near[..., None, :, :]


def _require_tokens(positions: Tensor) -> None:
    if positions.ndim < 1:
        raise ValueError(
            f"positions must have axes (..., tokens): got shape "
            f"{tuple(positions.shape)}"
        )


def _angles(positions: Tensor, dim: int, base: float) -> Tensor:
    """Return positions times frequencies, (..., tokens, dim / 2), float64."""
    _require_tokens(positions)
    omega = frequencies(dim, base=base, device=positions.device)
    return positions[..., None].to(torch.float64) * omega
