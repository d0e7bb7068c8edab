"""Masks in torch: the contracts of `attncourse.reference.masks`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attncourse.fast.masks_patterns import (
    block_mask,
    document_mask,
    global_mask,
    local_mask,
    prefix_mask,
    require_whole,
    strided_mask,
    window_mask,
)
from attncourse.shapes import SCORES, count, require_broadcast

__all__ = [
    "block_mask",
    "causal_mask",
    "combine_masks",
    "document_mask",
    "global_mask",
    "local_mask",
    "masked_mean",
    "padding_mask",
    "prefix_mask",
    "strided_mask",
    "unite_masks",
    "window_mask",
]


def padding_mask(
    lengths: Int[Tensor, "*batch"], *, keys: int
) -> Bool[Tensor, "*batch 1 keys"]:
    r"""Return True at the real keys of each sequence, False at padding.

    .. math:: M_{bij} = [\, j < \ell_b \,]

    The mask lies on the device of `lengths`. That every length is between
    0 and `keys` is checked on the CPU only: a check on a GPU would wait
    for it.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, whose way to hide keys serves padding as well.

    Examples
    --------
    >>> padding_mask(torch.tensor([2, 3]), keys=3).int().tolist()
    [[[1, 1, 0]], [[1, 1, 1]]]
    """
    keys = count("keys", keys, least=0)
    require_whole("lengths", lengths)
    if lengths.device.type == "cpu":
        outside = lengths[(lengths < 0) | (lengths > keys)]
        if outside.numel():
            raise ValueError(
                f"lengths must lie between 0 and keys={keys}: "
                f"got {outside[0].item()}"
            )
    position = torch.arange(keys, device=lengths.device)
    return position < lengths[..., None, None]


def causal_mask(
    queries: int, keys: int, *, device: torch.device | str | None = None
) -> Bool[Tensor, "queries keys"]:
    r"""Return True where a key is not later than the query.

    .. math:: M_{ij} = [\, j \le i + m - n \,]

    The last query stands at the last key, also where their numbers
    differ. (`is_causal=True` of torch's own attention aligns the first
    query with the first key instead.)

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, where both numbers agree.

    Examples
    --------
    >>> causal_mask(2, 4).int().tolist()
    [[1, 1, 1, 0], [1, 1, 1, 1]]
    """
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    position = torch.arange(queries, device=device) + (keys - queries)
    return torch.arange(keys, device=device) <= position[:, None]


def combine_masks(*masks: Bool[Tensor, SCORES]) -> Bool[Tensor, SCORES]:
    r"""Return True where every mask is True; the masks broadcast.

    .. math:: M = M_1 \wedge M_2 \wedge \dots

    Source: bookkeeping; the conjunction of conditions.

    Examples
    --------
    >>> padding = padding_mask(torch.tensor([2]), keys=3)
    >>> combine_masks(padding, causal_mask(3, 3)).int().tolist()
    [[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]
    """
    if not masks:
        raise ValueError("there must be at least one mask: got none")
    shapes = {}
    for number, mask in enumerate(masks, 1):
        _require_boolean(mask)
        if mask.ndim < 2:
            raise ValueError(
                "mask must have axes (..., queries, keys): "
                f"got shape {tuple(mask.shape)}"
            )
        shapes[f"mask_{number}"] = tuple(mask.shape)
    combined = masks[0].expand(require_broadcast(**shapes)).clone()
    for mask in masks[1:]:
        combined &= mask
    return combined


def unite_masks(*masks: Bool[Tensor, SCORES]) -> Bool[Tensor, SCORES]:
    r"""Return True where some mask is True; the masks broadcast.

    .. math:: M = M_1 \vee M_2 \vee \dots
              = \neg (\neg M_1 \wedge \neg M_2 \wedge \dots)

    Source: Zaheer et al. (2020), "Big Bird", section 2, where a pattern is
    a union of graphs.

    Examples
    --------
    >>> first = torch.tensor([[True, False, False]])
    >>> unite_masks(window_mask(3, 3, window=1), first).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    for mask in masks:
        _require_boolean(mask)  # ~ means something else for numbers
    return ~combine_masks(*(~mask for mask in masks))


def masked_mean(
    values: Float[Tensor, "*axes"], mask: Bool[Tensor, "*axes"]
) -> Float[Tensor, ""]:
    r"""Return the mean of the values at which `mask` is True.

    .. math:: \bar{x} = \frac{\sum_p m_p x_p}{\sum_p m_p}

    Zero where the mask allows nothing; the gradient at a position that is
    left out is zero, whatever stands there.

    Source: the definition of a mean, over the positions that count.

    Examples
    --------
    >>> losses = torch.tensor([[1.0, 5.0], [3.0, 99.0]])
    >>> masked_mean(losses, losses < 9).item()
    3.0
    """
    _require_boolean(mask)
    if values.shape != mask.shape:
        raise ValueError(
            "values and mask must have one shape: "
            f"got values {tuple(values.shape)}, mask {tuple(mask.shape)}"
        )
    # where, not a product: 0 * NaN is NaN, forwards and backwards.
    kept = torch.where(mask, values, torch.zeros_like(values))
    return kept.sum() / mask.sum().clamp(min=1)


def _require_boolean(mask: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            "mask must be boolean, True where a query may look: "
            f"got dtype {got}"
        )
