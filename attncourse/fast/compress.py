"""Compression of torch tensors: which weights stay, and eight bits.

The rules are those of `attncourse.reference.compress`. Modules that keep a
mask or hold codes are in `compress_layers`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.compress_cache import (
    QuantisedCache,
    cache_attention,
    cache_bytes,
    quantise_cache,
)
from attncourse.fast.compress_int8 import (
    Quantised,
    dequantise,
    error_bound,
    int8_product,
    quantise,
    quantise_affine,
    require_finite,
)
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import count

__all__ = [
    "Quantised",
    "QuantisedCache",
    "cache_attention",
    "cache_bytes",
    "dequantise",
    "error_bound",
    "global_masks",
    "head_mask",
    "int8_product",
    "magnitude_mask",
    "n_of_m_mask",
    "prune",
    "quantise",
    "quantise_affine",
    "quantise_cache",
    "row_mask",
    "threshold_mask",
]

Numbers = Float[Tensor, "*axes"]
Kept = Bool[Tensor, "*axes"]


def threshold_mask(weights: Numbers, *, threshold: float) -> Kept:
    r"""Return True at the weights that are not smaller than a threshold.

    .. math:: M_i = [\, |w_i| \ge \tau \,]

    Source: Han et al. (2015), "Learning both Weights and Connections for
    Efficient Neural Networks", section 3.

    Examples
    --------
    >>> threshold_mask(torch.tensor([1.0, -3.0, 2.0]), threshold=2.0).tolist()
    [False, True, True]
    """
    if isinstance(threshold, bool) or not isinstance(threshold, Real):
        raise TypeError(f"threshold must be a number: got {threshold!r}")
    if not math.isfinite(threshold):
        raise ValueError(f"threshold must be finite: got {threshold}")
    return require_finite("weights", weights).abs() >= threshold


def magnitude_mask(weights: Numbers, *, keep: int) -> Kept:
    r"""Return True at exactly `keep` weights, the largest in size.

    .. math:: M_i = [\, |w_i| \text{ among the } n \text{ largest} \,]

    Of equals the earlier one stays.

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> magnitude_mask(torch.tensor([[1.0, -3.0], [3.0, 2.0]]), keep=2)
    tensor([[False,  True],
            [ True, False]])
    """
    return global_masks([weights], keep=keep)[0]


def global_masks(matrices: Sequence[Tensor], *, keep: int) -> list[Tensor]:
    r"""Return a mask for each matrix: the largest weights of all stay.

    .. math:: M_{ki} = [\, |w_{ki}| \text{ among the } n \text{ largest of
              all matrices} \,]

    Source: Han et al. (2015), section 3; global as in Frankle & Carbin
    (2019), "The Lottery Ticket Hypothesis", section 4.

    Examples
    --------
    >>> one, two = torch.tensor([1.0, -3.0]), torch.tensor([2.0])
    >>> [each.tolist() for each in global_masks([one, two], keep=2)]
    [[False, True], [True]]
    """
    keep = count("keep", keep, least=0)
    sizes = [require_finite("weights", each).abs() for each in matrices]
    if not sizes:
        return []
    kept = _largest(torch.cat([each.flatten() for each in sizes]), keep)
    parts = kept.split([each.numel() for each in sizes])
    return [
        part.view(each.shape) for part, each in zip(parts, sizes, strict=True)
    ]


def row_mask(
    weights: Float[Tensor, "rows columns"], *, keep: int
) -> Bool[Tensor, "rows"]:
    r"""Return True at the rows of largest length; whole rows go.

    .. math:: M_i = [\, \lVert W_i \rVert_2 \text{ among the } n
              \text{ largest} \,]

    A row of torch's matrices is one number of the output.

    Source: Li et al. (2017), "Pruning Filters for Efficient ConvNets",
    section 3.1, there by the sum of sizes.

    Examples
    --------
    >>> row_mask(torch.tensor([[3.0, 4.0], [0.0, 6.0]]), keep=1).tolist()
    [False, True]
    """
    weights = require_finite("weights", weights)
    if weights.ndim != 2:
        raise ValueError(
            f"weights must have two axes: got shape {tuple(weights.shape)}"
        )
    # In double precision no square of a shorter type overflows.
    lengths = weights.double().norm(dim=1)
    return _largest(lengths, count("keep", keep, least=0))


def head_mask(
    weight: Float[Tensor, "out_width columns"], *, heads: int, keep: int
) -> Bool[Tensor, "heads"]:
    r"""Return True at the heads whose part of the output matrix is largest.

    .. math:: M_h = [\, \lVert W_O^{(h)} \rVert_F \text{ among the } n
              \text{ largest} \,]

    Parameters
    ----------
    weight : the output map's, where a head owns columns.

    Source: Michel, Levy & Neubig (2019), "Are Sixteen Heads Really Better
    than One?", where heads are pruned by gradients.

    Examples
    --------
    >>> head_mask(torch.tensor([[1.0, 1.0, 0.0, 2.0]]), heads=2, keep=1)
    tensor([False,  True])
    """
    heads, weight = count("heads", heads), require_finite("weight", weight)
    if weight.ndim != 2 or weight.shape[1] % heads:
        raise ValueError(
            "columns must split evenly into heads: "
            f"got shape {tuple(weight.shape)}, heads={heads}"
        )
    return row_mask(
        weight.T.reshape(heads, weight.numel() // heads), keep=keep
    )


def n_of_m_mask(weights: Numbers, *, keep: int = 2, of: int = 4) -> Kept:
    r"""Return True at the largest `keep` of every `of` neighbours: 2:4.

    .. math:: \sum_{j=0}^{m-1} M_{i,\, mg + j} = n \quad
              \text{for every group } g

    Neighbours stand on the last axis, which is the one that torch's linear
    maps sum over.

    Source: Mishra et al. (2021), "Accelerating Sparse Deep Neural
    Networks".

    Examples
    --------
    >>> n_of_m_mask(torch.tensor([1.0, 4.0, 3.0, 2.0])).int().tolist()
    [0, 1, 1, 0]
    """
    weights = require_finite("weights", weights)
    of, keep = count("of", of), count("keep", keep, least=0)
    inner = weights.shape[-1] if weights.ndim else 1
    if inner % of or keep > of:
        raise ValueError(
            "inner must split evenly into groups of at least keep: "
            f"got inner={inner}, of={of}, keep={keep}"
        )
    sizes = weights.abs().reshape(weights.numel() // of, of)
    order = sizes.argsort(dim=-1, descending=True, stable=True)
    kept = torch.zeros_like(sizes, dtype=torch.bool)
    return kept.scatter_(1, order[:, :keep], True).view(weights.shape)


def prune(weights: Numbers, mask: Kept) -> Numbers:
    r"""Return the weights, zero where the mask is False.

    .. math:: w'_i = w_i M_i

    The others get no gradient. A layer that keeps its mask while it trains
    is made by `compress_layers.apply_mask`.

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> prune(torch.tensor([3.0, 5.0]), torch.tensor([False, True])).tolist()
    [0.0, 5.0]
    """
    require_real("weights", weights, "")
    require_mask(mask)
    if weights.shape != mask.shape:
        raise ValueError(
            "weights and mask must have one shape: "
            f"got weights {tuple(weights.shape)}, mask {tuple(mask.shape)}"
        )
    return weights.masked_fill(~mask, 0.0)


def require_mask(mask: Kept) -> None:
    """Require a boolean tensor."""
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(f"mask must be boolean, True at what stays: got {got}")


def _largest(sizes: Float[Tensor, "number"], keep: int) -> Tensor:
    """Return True at the largest; of equals the earlier go first."""
    order = sizes.argsort(descending=True, stable=True)
    kept = torch.zeros_like(sizes, dtype=torch.bool)
    kept[order[:keep]] = True
    return kept
