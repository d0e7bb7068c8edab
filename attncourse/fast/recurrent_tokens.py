"""What recurrent modules are given: checked, and zero at padding."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attncourse.fast.heads_parts import require_axes
from attncourse.shapes import require_broadcast, require_equal

__all__ = ["masked_tokens"]  # the others are checks for the modules nearby

Sequence = Float[Tensor, "*#batch tokens input_width"]
TokenMask = Bool[Tensor, "*#batch tokens"]


def masked_tokens(
    x: Sequence,
    mask: TokenMask | None,
    *,
    name: str = "x",
    axis: str = "tokens",
) -> tuple[Sequence, TokenMask]:
    """Return tokens that are zero where there is none, and a whole mask.

    What stands where `mask` is False has neither influence nor gradient.
    `name` and `axis` are what an error message calls them.

    Source: as in `reference.recurrent_tokens.masked_tokens`.

    Examples
    --------
    >>> x = torch.tensor([[5.0], [torch.nan]])
    >>> masked_tokens(x, torch.tensor([True, False]))[0].tolist()
    [[5.0], [0.0]]
    """
    require_floating(name, x, f"{axis} width")
    if mask is None:
        return x, torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)
    require_boolean(mask, axis)
    require_equal(axis, **{name: x.shape[-2], "mask": mask.shape[-1]})
    shapes = {name: tuple(x.shape[:-2]), "mask": tuple(mask.shape[:-1])}
    batch = require_broadcast(**shapes)
    return torch.where(mask[..., None], x, 0.0), mask.expand(*batch, -1)


def require_floating(name: str, value: Any, axes: str) -> None:
    """Require a floating-point tensor with the named trailing axes."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    require_axes(name, value, axes)


def require_boolean(mask: Any, axes: str) -> None:
    """Require a boolean tensor with the named trailing axes."""
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )
    require_axes("mask", mask, axes)


def whole_tokens(
    name: str, value: Any, axes: str = "", *, vocabulary: int | None = None
) -> Int[Tensor, "*batch"]:
    """Return a tensor of whole numbers as int64; require the named axes.

    With a `vocabulary`, they must lie in it. Only the CPU looks: any other
    device would have to be waited for.
    """
    kinds = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if not isinstance(value, Tensor) or value.dtype not in kinds:
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a tensor of whole numbers: got {got}")
    require_axes(name, value, axes)
    tokens = value.long()
    if vocabulary is not None and tokens.device.type == "cpu":
        outside = tokens[(tokens < 0) | (tokens >= vocabulary)]
        if len(outside):
            raise ValueError(
                f"{name} must lie in the vocabulary, 0 to {vocabulary - 1}: "
                f"got {outside[0].item()}"
            )
    return tokens


def side_by_side(**parts: Tensor) -> Float[Tensor, "*batch width"]:
    """Return the vectors concatenated; leading axes broadcast."""
    shapes = {name: tuple(x.shape[:-1]) for name, x in parts.items()}
    batch = require_broadcast(**shapes)
    return torch.cat([x.expand(*batch, -1) for x in parts.values()], dim=-1)
