"""Compression: leave small weights out, and store numbers in eight bits.

*Pruning* says with a boolean mask which weights stay. One mask for all
weights alike saves nothing by itself; masks of whole rows, of whole heads
or of two in every four make products that hardware can do faster.
*Quantisation* (`compress_int8`, and `compress_cache` for keys and values)
stores each number as one of 256 multiples of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.compress_cache import (
    QuantisedCache,
    cache_attention,
    cache_error_bound,
    quantise_cache,
    quantised_cache_bytes,
)
from attncourse.reference.compress_heads import prune_heads
from attncourse.reference.compress_int8 import (
    Quantised,
    dequantise,
    error_bound,
    int8_product,
    quantise,
    quantise_affine,
    require_finite,
    require_matrix,
)
from attncourse.shapes import Array, boolean, count, real

__all__ = [
    "Quantised",
    "QuantisedCache",
    "cache_attention",
    "cache_error_bound",
    "dequantise",
    "error_bound",
    "global_masks",
    "head_mask",
    "int8_product",
    "magnitude_mask",
    "n_of_m_mask",
    "prune",
    "prune_heads",
    "quantise",
    "quantise_affine",
    "quantise_cache",
    "quantised_cache_bytes",
    "row_mask",
    "threshold_mask",
]

Weights = Float[Array, "*axes"]
Kept = Bool[Array, "*axes"]


def threshold_mask(weights: Weights, *, threshold: float) -> Kept:
    r"""Return True at the weights that are not smaller than a threshold.

    .. math:: M_i = [\, |w_i| \ge \tau \,]

    One threshold for a whole model prunes globally, one a matrix locally.

    Source: Han et al. (2015), "Learning both Weights and Connections for
    Efficient Neural Networks", section 3.

    Examples
    --------
    >>> threshold_mask([1.0, -3.0, 2.0], threshold=2.0).tolist()
    [False, True, True]
    """
    limit = require_finite("threshold", threshold)
    if limit.ndim:
        raise ValueError(
            f"threshold must be one number: got shape {limit.shape}"
        )
    return np.abs(require_finite("weights", weights)) >= limit


def magnitude_mask(weights: Weights, *, keep: int) -> Kept:
    r"""Return True at exactly `keep` weights, the largest in size.

    .. math:: M_i = [\, |w_i| \text{ among the } n \text{ largest} \,]

    Of equals the earlier one stays. All stay if `keep` is their number or
    more.

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> magnitude_mask([[1.0, -3.0], [3.0, 2.0]], keep=2).tolist()
    [[False, True], [True, False]]
    """
    return global_masks([weights], keep=keep)[0]


def global_masks(
    matrices: Sequence[Float[Array, "..."]], *, keep: int
) -> list[Bool[Array, "..."]]:
    r"""Return a mask for each matrix: the largest weights of all stay.

    .. math:: M_{ki} = [\, |w_{ki}| \text{ among the } n \text{ largest of
              all matrices} \,]

    A matrix of small weights may lose all of them. Of equals the earlier
    stays, in an earlier matrix or place.

    Source: Han et al. (2015), section 3; global as in Frankle & Carbin
    (2019), "The Lottery Ticket Hypothesis", section 4.

    Examples
    --------
    >>> [each.tolist() for each in global_masks([[1, -3], [2]], keep=2)]
    [[False, True], [True]]
    """
    keep = count("keep", keep, least=0)
    sizes = [np.abs(require_finite("weights", each)) for each in matrices]
    flat = np.concatenate([np.zeros(0), *(each.ravel() for each in sizes)])
    kept = _largest(flat, keep)
    parts = np.split(kept, np.cumsum([each.size for each in sizes]))
    return [
        part.reshape(each.shape)
        for part, each in zip(parts, sizes, strict=False)
    ]


def row_mask(
    weights: Float[Array, "rows columns"], *, keep: int
) -> Bool[Array, "rows"]:
    r"""Return True at the rows of largest length; whole rows go.

    .. math:: M_i = [\, \lVert W_i \rVert_2 \text{ among the } n
              \text{ largest} \,]

    A row of the second matrix of a feed-forward network belongs to one
    hidden number, which then need not be computed.

    Source: Li et al. (2017), "Pruning Filters for Efficient ConvNets",
    section 3.1, there by the sum of sizes.

    Examples
    --------
    >>> row_mask([[3, 4], [0, 6], [1, 1]], keep=1).tolist()
    [False, True, False]
    """
    weights = require_matrix("weights", require_finite("weights", weights))
    keep = count("keep", keep, least=0)
    # Squares of huge numbers would overflow; a power of two changes no digit.
    _, power = np.frexp(np.max(np.abs(weights), initial=0.0))
    lengths = np.sum(np.square(np.ldexp(weights, -power)), axis=1)
    return _largest(lengths, keep)


def head_mask(
    w_output: Float[Array, "rows out_width"], *, heads: int, keep: int
) -> Bool[Array, "heads"]:
    r"""Return True at the heads whose part of the output matrix is largest.

    .. math:: M_h = [\, \lVert W_O^{(h)} \rVert_F \text{ among the } n
              \text{ largest} \,]

    The matrix is all through which a head is heard. Its size ignores what
    the head says; gradients tell more.

    Source: Michel, Levy & Neubig (2019), "Are Sixteen Heads Really Better
    than One?", where heads are pruned by gradients.

    Examples
    --------
    >>> head_mask([[1], [1], [0], [2]], heads=2, keep=1).tolist()
    [False, True]
    """
    w_output = require_matrix("w_output", require_finite("w_output", w_output))
    heads = count("heads", heads)
    if len(w_output) % heads:
        raise ValueError(
            "rows must split evenly into heads: "
            f"got rows={len(w_output)}, heads={heads}"
        )
    blocks = w_output.reshape(heads, w_output.size // heads)
    return row_mask(blocks, keep=keep)


def n_of_m_mask(
    weights: Float[Array, "*batch inner"], *, keep: int = 2, of: int = 4
) -> Bool[Array, "*batch inner"]:
    r"""Return True at the largest `keep` of every `of` neighbours: 2:4.

    .. math:: \sum_{j=0}^{m-1} M_{i,\, mg + j} = n \quad
              \text{for every group } g

    Neighbours stand side by side on the last axis, which must be the one
    that a product sums over: give X W the mask of W transposed. Of equals
    the earlier stays.

    Source: Mishra et al. (2021), "Accelerating Sparse Deep Neural
    Networks".

    Examples
    --------
    >>> n_of_m_mask([1, 4, 3, 2, 5, 5, 5, 5]).astype(int).tolist()
    [0, 1, 1, 0, 1, 1, 0, 0]
    """
    weights = require_finite("weights", weights, "inner")
    of, keep = count("of", of), count("keep", keep, least=0)
    if weights.shape[-1] % of or keep > of:
        raise ValueError(
            "inner must split evenly into groups of at least keep: "
            f"got inner={weights.shape[-1]}, of={of}, keep={keep}"
        )
    sizes = np.abs(weights).reshape(weights.size // of, of)
    kept = np.array([_largest(group, keep) for group in sizes], dtype=bool)
    return kept.reshape(weights.shape)


def prune(weights: Weights, mask: Kept) -> Weights:
    r"""Return the weights, zero where the mask is False.

    .. math:: w'_i = w_i M_i

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> prune([3.0, 5.0], [False, True]).tolist()
    [0.0, 5.0]
    """
    weights, mask = real("weights", weights), boolean("mask", mask)
    if weights.shape != mask.shape:
        raise ValueError(
            "weights and mask must have one shape: "
            f"got weights {weights.shape}, mask {mask.shape}"
        )
    return np.where(mask, weights, 0.0)


def _largest(
    sizes: Float[Array, "number"], keep: int
) -> Bool[Array, "number"]:
    """Return True at the largest; of equals the earlier go first."""
    kept = np.zeros(len(sizes), bool)
    kept[np.argsort(-sizes, kind="stable")[:keep]] = True
    return kept
