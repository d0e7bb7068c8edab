"""What the modules of low-rank tuning ask of their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from attncourse.shapes import Array, real

# For the modules next to this one.
__all__: list[str] = []


def exactly(name: str, value: Any, axes: str) -> Array:
    """Return `value` as float64 and require the named axes and no others."""
    array = real(name, value, axes)
    named = axes.split()
    if array.ndim != len(named):
        raise ValueError(
            f"{name} must have axes ({', '.join(named)}): "
            f"got shape {array.shape}"
        )
    return array


def number(name: str, value: Any) -> float:
    """Return one finite number."""
    array = real(name, value)
    if array.ndim or not np.isfinite(array):
        raise ValueError(f"{name} must be one finite number: got {value}")
    return float(array)
