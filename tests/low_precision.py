"""Arithmetic as a tensor core does it, for faults that are planted."""

import torch


def tf32(x):
    """Return `x` with the ten bits of mantissa that a tensor core keeps."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
