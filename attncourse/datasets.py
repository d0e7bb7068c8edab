"""The real data of Part I: handwritten digits, shipped with the package."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float, Int

DARKEST = 16


@dataclass(frozen=True)
class Digits:
    """Handwritten digits and what they show.

    `images` has shape (1797, 8, 8), from 0 (paper) to 1 (ink); `labels`
    has shape (1797,), from 0 to 9. Neither can be written to.
    """

    images: Float[np.ndarray, "examples 8 8"]
    labels: Int[np.ndarray, "examples"]


@functools.lru_cache(maxsize=1)
def digits() -> Digits:
    """Return the UCI handwritten digits, in the order of their file.

    Thirteen people wrote them; each pixel says how much of its block of
    4 x 4 points was dark.

    Source: Alpaydin and Kaynak (1998), "Optical Recognition of
    Handwritten Digits", UCI Machine Learning Repository, CC BY 4.0.

    Examples
    --------
    >>> digits().images.shape
    (1797, 8, 8)
    >>> digits().labels[:10].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    packed = resources.files("attncourse").joinpath("data", "digits.npz")
    with np.load(io.BytesIO(packed.read_bytes())) as arrays:
        images = arrays["pixels"] / DARKEST
        labels = arrays["labels"].astype(np.int64)
    # Shared by every caller, so nobody may change it.
    images.flags.writeable = False
    labels.flags.writeable = False
    return Digits(images, labels)
