"""Masks: who may look at what, and an average that leaves padding out.

Every mask is boolean and True where a query may look. A mask acts before
the softmax (`masked_softmax`), and a row that sees nothing gives zeros.
Masks that follow a pattern of places are in `masks_patterns`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attncourse.reference.masks_patterns import (
    block_mask,
    document_mask,
    global_mask,
    local_mask,
    prefix_mask,
    strided_mask,
    whole,
    window_mask,
)
from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    count,
    real,
    require_broadcast,
)

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
    lengths: Int[Array, "*batch"], *, keys: int
) -> Bool[Array, "*batch 1 keys"]:
    r"""Return True at the real keys of each sequence, False at padding.

    .. math:: M_{bij} = [\, j < \ell_b \,]

    The axis of queries has length one: what is padding is padding for
    every query. A sequence of length zero hides all its keys.

    Parameters
    ----------
    lengths : real positions of each sequence, from 0 to `keys`.
    keys : positions of the padded batch.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, whose way to hide keys serves padding as well.

    Examples
    --------
    >>> padding_mask([2, 3], keys=3).astype(int).tolist()
    [[[1, 1, 0]], [[1, 1, 1]]]
    """
    keys = count("keys", keys, least=0)
    lengths = whole("lengths", lengths)
    outside = lengths[(lengths < 0) | (lengths > keys)]
    if outside.size:
        raise ValueError(
            f"lengths must lie between 0 and keys={keys}: got {outside[0]}"
        )
    return np.arange(keys) < lengths[..., None, None]


def causal_mask(queries: int, keys: int) -> Bool[Array, "queries keys"]:
    r"""Return True where a key is not later than the query.

    .. math:: M_{ij} = [\, j \le i + m - n \,]

    The last query stands at the last key. With fewer queries than keys,
    the queries are the newest positions and the keys before them come
    from a cache; with more, the first queries see nothing.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, where both numbers agree.

    Examples
    --------
    >>> causal_mask(2, 4).astype(int).tolist()
    [[1, 1, 1, 0], [1, 1, 1, 1]]
    """
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    position = np.arange(queries) + (keys - queries)
    return np.arange(keys) <= position[:, None]


def combine_masks(*masks: Mask) -> Mask:
    r"""Return True where every mask is True.

    .. math:: M = M_1 \wedge M_2 \wedge \dots

    The masks broadcast against one another, so a padding mask of shape
    (batch, 1, keys) and a causal one of shape (queries, keys) give
    (batch, queries, keys).

    Source: bookkeeping; the conjunction of conditions.

    Examples
    --------
    >>> both = combine_masks(padding_mask([2], keys=3), causal_mask(3, 3))
    >>> both.astype(int).tolist()
    [[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]
    """
    if not masks:
        raise ValueError("there must be at least one mask: got none")
    arrays = [boolean("mask", mask, "queries keys") for mask in masks]
    names = {f"mask_{n}": array.shape for n, array in enumerate(arrays, 1)}
    combined = np.ones(require_broadcast(**names), dtype=bool)
    for array in arrays:
        combined &= array
    return combined


def unite_masks(*masks: Mask) -> Mask:
    r"""Return True where some mask is True.

    .. math:: M = M_1 \vee M_2 \vee \dots
              = \neg (\neg M_1 \wedge \neg M_2 \wedge \dots)

    A key is hidden only if every mask hides it. The masks broadcast, as in
    `combine_masks`. A pattern's causal form is united first and combined
    with the causal mask last.

    Source: Zaheer et al. (2020), "Big Bird", section 2, where a pattern is
    a union of graphs.

    Examples
    --------
    >>> first = [[True, False, False]]
    >>> unite_masks(window_mask(3, 3, window=1), first).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    return ~combine_masks(*(~boolean("mask", mask) for mask in masks))


def masked_mean(values: Any, mask: Any) -> float:
    r"""Return the mean of the values at which `mask` is True.

    .. math:: \bar{x} = \frac{\sum_p m_p x_p}{\sum_p m_p}

    Each real position counts once, whatever sequence it belongs to. With
    no real position the mean is zero, so that an empty batch adds
    nothing. NaN at a position that is left out has no influence.

    Parameters
    ----------
    values : one number for each position, often a loss.
    mask : of the same shape, True at the positions that count.

    Source: the definition of a mean, over the positions that count.

    Examples
    --------
    >>> masked_mean([1.0, 5.0, 99.0], [True, True, False])
    3.0
    """
    values = real("values", values)
    mask = boolean("mask", mask)
    if values.shape != mask.shape:
        raise ValueError(
            "values and mask must have one shape: "
            f"got values {values.shape}, mask {mask.shape}"
        )
    total = np.sum(values, where=mask)
    return float(total / max(1, np.count_nonzero(mask)))
