"""In which precision the torch modules add up."""

from __future__ import annotations

import torch
from torch import Tensor

# Nothing here is for callers.
__all__: list[str] = []


def widened(x: Tensor) -> Tensor:
    """Return half types in single precision, other types as they are.

    Sums of many numbers, and large products, need more than a half holds.

    Examples
    --------
    >>> widened(torch.ones(3).half()).dtype
    torch.float32
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
