"""Masks between two kinds of tokens, for `crossmodal`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    count,
    require_broadcast,
)


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
