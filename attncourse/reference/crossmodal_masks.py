"""Masks between two kinds of tokens, for `crossmodal`."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool

from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    count,
    real,
    require_broadcast,
)

__all__ = ["latest_image_mask", "pair_mask"]


def pair_mask(
    asking: Bool[Array, "*#batch queries"], read: Bool[Array, "*#batch keys"]
) -> Mask:
    r"""Return True where neither token is padding.

    .. math:: M_{ij} = a_i \wedge r_j

    Parameters
    ----------
    asking : True at the real tokens of the stream that asks.
    read : True at the real tokens of the stream that is read.

    Source: the padding of both sides; Vaswani et al. (2017) mask keys only.

    Examples
    --------
    >>> pair_mask([True, True, False], [True, False]).astype(int).tolist()
    [[1, 0], [1, 0], [0, 0]]
    """
    asking = boolean("asking", asking, "queries")
    read = boolean("read", read, "keys")
    require_broadcast(asking=asking.shape[:-1], read=read.shape[:-1])
    return asking[..., :, None] & read[..., None, :]


def latest_image_mask(
    starts: Bool[Array, "*batch queries"], *, images: int, per_image: int
) -> Bool[Array, "*batch queries keys"]:
    r"""Return True where a word may look: at the image that came last.

    .. math:: M_{ij} = \Big[\, \sum_{l \le i} s_l =
              \lfloor j / \text{per\_image} \rfloor + 1 \,\Big]

    Words before the first image see none. Earlier images can still reach a
    word through its own language stream.

    Parameters
    ----------
    starts : True at the token of the text that stands for an image.
    images : of the context; those after the last start are padding.
    per_image : tokens of each image.

    Source: Alayrac et al. (2022), section 2.3, "per-image attention
    masking".

    Examples
    --------
    >>> starts = [False, True, False, True]
    >>> latest_image_mask(starts, images=2, per_image=1).astype(int).tolist()
    [[0, 0], [1, 0], [1, 0], [0, 1]]
    """
    starts = boolean("starts", starts, "queries")
    images = count("images", images, least=0)
    per_image = count("per_image", per_image)
    seen = np.cumsum(starts, axis=-1)
    if np.any(seen > images):
        raise ValueError(
            "images must cover every start: "
            f"got images={images}, starts={int(np.max(seen))}"
        )
    number = np.arange(images * per_image) // per_image + 1
    return seen[..., None] == number


def without_unseen(
    x: Any, context: Any, mask: Mask | None
) -> tuple[Array, Array]:
    """Return zeros for tokens that take no part, the others unchanged.

    Such a token of `x` sees nothing, such a one of `context` is not seen.
    Infinity in padding would not get further than a projection, but there
    inf - inf raises a warning.
    """
    x = real("x", x, "queries width")
    context = real("context", context, "keys context_width")
    if mask is None:
        return x, context
    mask = boolean("mask", mask, "queries keys")
    for have, want in zip(
        mask.shape[-2:], (x.shape[-2], context.shape[-2]), strict=True
    ):
        if have not in (1, want):
            return x, context  # attention says what does not fit
    require_broadcast(
        x=x.shape[:-2], context=context.shape[:-2], mask=mask.shape[:-2]
    )
    sees, seen = np.any(mask, axis=-1), np.any(mask, axis=-2)
    return (
        np.where(sees[..., None], x, 0.0),
        np.where(seen[..., None], context, 0.0),
    )
