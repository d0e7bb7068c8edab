"""Masks between two kinds of tokens in torch, for `crossmodal`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import SCORES, count, require_broadcast

__all__ = ["latest_image_mask", "pair_mask"]

Asking = Float[Tensor, "*#batch queries width"]
Context = Float[Tensor, "*#batch keys context_width"]
Mask = Bool[Tensor, SCORES]


def pair_mask(
    asking: Bool[Tensor, "*#batch queries"], read: Bool[Tensor, "*#batch keys"]
) -> Mask:
    r"""Return True where neither token is padding.

    .. math:: M_{ij} = a_i \wedge r_j

    Source: the padding of both sides; Vaswani et al. (2017) mask keys only.

    Examples
    --------
    >>> real = torch.tensor([True, False])
    >>> pair_mask(real, real).int().tolist()
    [[1, 0], [0, 0]]
    """
    require_boolean("asking", asking, "queries")
    require_boolean("read", read, "keys")
    require_broadcast(
        asking=tuple(asking.shape[:-1]), read=tuple(read.shape[:-1])
    )
    return asking[..., :, None] & read[..., None, :]


def latest_image_mask(
    starts: Bool[Tensor, "*batch queries"], *, images: int, per_image: int
) -> Bool[Tensor, "*batch queries keys"]:
    r"""Return True where a word may look: at the image that came last.

    .. math:: M_{ij} = \Big[\, \sum_{l \le i} s_l =
              \lfloor j / \text{per\_image} \rfloor + 1 \,\Big]

    Source: Alayrac et al. (2022), "Flamingo: a Visual Language Model for
    Few-Shot Learning", section 2.3.

    Examples
    --------
    >>> starts = torch.tensor([False, True, False])
    >>> latest_image_mask(starts, images=1, per_image=2).int().tolist()
    [[0, 0], [1, 1], [1, 1]]
    """
    require_boolean("starts", starts, "queries")
    images = count("images", images, least=0)
    per_image = count("per_image", per_image)
    seen = starts.cumsum(dim=-1)
    if bool((seen > images).any()):
        raise ValueError(
            "images must cover every start: "
            f"got images={images}, starts={int(seen.max())}"
        )
    keys = torch.arange(images * per_image, device=starts.device)
    return seen[..., None] == keys // per_image + 1


def without_unseen(
    x: Asking, context: Context, mask: Mask | None
) -> tuple[Asking, Context]:
    """Return zeros for tokens that take no part, the others unchanged.

    Such a token of `x` sees nothing, such a one of `context` is not seen.
    A NaN in padding would reach the gradients of the projections.
    """
    require_real("x", x, "queries width")
    require_real("context", context, "keys context_width")
    require_alike(x=x, context=context)
    if mask is None:
        return x, context
    require_boolean("mask", mask, "queries keys")
    for have, want in zip(
        mask.shape[-2:], (x.shape[-2], context.shape[-2]), strict=True
    ):
        if have not in (1, want):
            return x, context  # attention says what does not fit
    require_broadcast(
        x=tuple(x.shape[:-2]),
        context=tuple(context.shape[:-2]),
        mask=tuple(mask.shape[:-2]),
    )
    return (
        torch.where(mask.any(dim=-1)[..., None], x, 0.0),
        torch.where(mask.any(dim=-2)[..., None], context, 0.0),
    )


def whole_mask(
    mask: Mask | None, shape: tuple[int, ...], device: torch.device
) -> Mask:
    """Return the mask in the full size of scores of this shape."""
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=device)
    require_boolean("mask", mask, "steps regions")
    for have, want in zip(mask.shape[-2:], shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., steps, regions) = "
                f"(..., {shape[-2]}, {shape[-1]}): got {tuple(mask.shape)}"
            )
    leading = require_broadcast(
        mask=tuple(mask.shape[:-2]), scores=tuple(shape[:-2])
    )
    return mask.expand(*leading, *shape[-2:])


def require_alike(**tensors: Tensor) -> None:
    """Require one dtype and one device."""
    kinds = {(each.dtype, each.device) for each in tensors.values()}
    if len(kinds) > 1:
        who = " and ".join(tensors)
        got = ", ".join(
            f"{name} {each.dtype} on {each.device}"
            for name, each in tensors.items()
        )
        raise TypeError(f"{who} must agree in dtype and device: got {got}")


def require_boolean(name: str, value: Tensor, axes: str) -> None:
    """Require a boolean tensor with the named trailing axes."""
    if not isinstance(value, Tensor) or value.dtype is not torch.bool:
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(
            f"{name} must be boolean, True where a query may look: got {got}"
        )
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )
