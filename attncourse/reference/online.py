"""Online softmax: attention to a few keys at a time, and nothing lost.

What some of the keys say about a query fits in two things: their average
value, and the logarithm of the sum of their exponentials. Two such partial
results merge into the one that all their keys together would have given,
so the scores never have to stand side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.dense import weighted_sum
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Values,
    boolean,
    count,
    real,
    require_broadcast,
    require_equal,
)

Rows = Float[Array, "*#batch keys"]
PerRow = Float[Array, "*#batch"]
PerQuery = Float[Array, "*#batch queries"]
LOWEST = np.finfo(np.float64).min


class Normalizer(NamedTuple):
    """What a softmax needs to know of the scores that it has seen.

    `highest` is the largest of them, minus infinity before the first;
    `total` is the sum of their exponentials, each divided by that of
    `highest`. Both have shape (...).
    """

    highest: PerRow
    total: PerRow


class Partial(NamedTuple):
    """What some of the keys say to each query.

    `output` is their average value, shape (..., queries, value_dim);
    `lse` is the logarithm of the sum of exponentials of their scores,
    shape (..., queries). A query that sees none of them has zeros and
    minus infinity.
    """

    output: Output
    lse: PerQuery


def merge_normalizers(first: Normalizer, second: Normalizer) -> Normalizer:
    r"""Return what one would know after the scores of both.

    .. math:: m = \max(m_1, m_2), \qquad
              d = d_1 e^{m_1 - m} + d_2 e^{m_2 - m}

    Each sum was taken relative to its own maximum and is rescaled to the
    common one. The order of merging makes no difference.

    Source: Milakov & Gimelshein (2018), "Online normalizer calculation for
    softmax", section 3.1, eq. 4.

    Examples
    --------
    >>> both = merge_normalizers(Normalizer(0, 3), Normalizer(np.log(2), 1))
    >>> float(both.total)
    2.5
    """
    m1, d1 = (real("first", each) for each in first)
    m2, d2 = (real("second", each) for each in second)
    highest = np.maximum(m1, m2)
    shift = _shift(highest)
    return Normalizer(
        highest, d1 * np.exp(m1 - shift) + d2 * np.exp(m2 - shift)
    )


def online_normalizer(scores: Rows) -> Normalizer:
    r"""Return the maximum and the normalising sum, reading each score once.

    .. math:: m_j = \max(m_{j-1}, s_j), \qquad
              d_j = d_{j-1} e^{m_{j-1} - m_j} + e^{s_j - m_j}

    When a higher score arrives, the sum so far is rescaled to it.

    Source: Milakov & Gimelshein (2018), algorithm 3, lines 1-6.

    Examples
    --------
    >>> highest, total = online_normalizer(np.log([1.0, 2.0, 4.0]))
    >>> float(np.exp(highest).round(6)), float(total.round(6))
    (4.0, 1.75)
    """
    scores = real("scores", scores, "keys")
    rows = scores.shape[:-1]
    seen = Normalizer(np.full(rows, -np.inf), np.zeros(rows))
    for score in np.moveaxis(scores, -1, 0):
        seen = merge_normalizers(seen, Normalizer(score, np.ones(rows)))
    return seen


def online_softmax(scores: Rows) -> Rows:
    r"""Return the softmax over the last axis in two passes, not three.

    .. math:: a_j = e^{s_j - m} / d

    Minus infinity stands for a key that may not be seen; a row of nothing
    else is all zeros.

    Source: Milakov & Gimelshein (2018), algorithm 3.

    Examples
    --------
    >>> online_softmax(np.log([1.0, 3.0, 4.0])).round(6).tolist()
    [0.125, 0.375, 0.5]
    """
    highest, total = online_normalizer(scores)
    shift = _shift(highest)[..., None]
    exponentials = np.exp(real("scores", scores) - shift)
    # The highest score adds one, so a total below one is the sum of nothing.
    return exponentials / np.maximum(total, 1.0)[..., None]


def merge(first: Partial, second: Partial) -> Partial:
    r"""Return what both sets of keys say together; they share no key.

    .. math:: \ell = \log(e^{\ell_1} + e^{\ell_2}), \qquad
              o = e^{\ell_1 - \ell} o_1 + e^{\ell_2 - \ell} o_2

    An average of averages, each weighted by its share of the total. A
    side that saw no key has share zero.

    Source: Dao (2023), "FlashAttention-2", section 2.3; Liu et al. (2023),
    "Ring Attention", section 3.

    Examples
    --------
    >>> one = Partial(np.array([[8.0]]), np.log([1.0]))
    >>> three = Partial(np.array([[4.0]]), np.log([3.0]))
    >>> float(merge(one, three).output.round(6).item())
    5.0
    """
    o1, l1 = real("output", first.output), real("lse", first.lse)
    o2, l2 = real("output", second.output), real("lse", second.lse)
    lse = np.logaddexp(l1, l2)
    shift = _shift(lse)
    share1, share2 = np.exp(l1 - shift), np.exp(l2 - shift)
    return Partial(share1[..., None] * o1 + share2[..., None] * o2, lse)


def partial_attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Partial:
    r"""Return what these keys say, with what it takes to merge it.

    .. math:: \ell_i = \log \sum_j e^{s_{ij}}, \qquad
              o_i = \sum_j e^{s_{ij} - \ell_i} v_j, \qquad
              s_{ij} = q_i \cdot k_j / \sqrt{d_k}

    What stands where `mask` is False has no influence, NaN included.

    Source: Dao (2023), "FlashAttention-2", section 2.3.

    Examples
    --------
    >>> q, k, v = np.zeros((1, 3)), np.ones((4, 3)), np.eye(4)
    >>> partial_attention(q, k, v).output.tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    q, k, v, mask = _checked(q, k, v, mask)
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(mask, scores, -np.inf)
    highest, total = _normalizer(scores)
    shift = _shift(highest)[..., None]
    exponentials = np.exp(scores - shift)
    weights = exponentials / np.maximum(total, 1.0)[..., None]
    with np.errstate(divide="ignore"):  # a query that sees nothing: -inf
        lse = highest + np.log(total)
    output = weighted_sum(weights, v, mask=mask)
    return Partial(output, np.broadcast_to(lse, output.shape[:-1]))


def attention(
    q: Queries,
    k: Keys,
    v: Values,
    *,
    mask: Mask | None = None,
    tile: int = 64,
) -> Output:
    r"""Return `reference.dense.attention`, from `tile` keys at a time.

    No array holds more than `tile` x `tile` scores of a head, so memory
    grows with queries plus keys and not with their product.

    Source: Dao et al. (2022), "FlashAttention", algorithm 1.

    Examples
    --------
    >>> q, k, v = np.zeros((2, 3)), np.ones((4, 3)), np.eye(4)
    >>> attention(q, k, v, tile=3)[0].round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    tile = count("tile", tile)
    q, k, v, mask = _checked(q, k, v, mask)
    leading = np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v, mask)))
    queries, keys = q.shape[-2], k.shape[-2]
    output = np.zeros((*leading, queries, v.shape[-1]))
    for rows in _tiles(queries, tile):
        read = output[..., rows, :]
        seen = Partial(read, np.full(read.shape[:-1], -np.inf))
        for columns in _tiles(keys, tile):
            said = partial_attention(
                q[..., rows, :],
                k[..., columns, :],
                v[..., columns, :],
                mask=mask[..., rows, columns],
            )
            seen = merge(seen, said)
        read[...] = seen.output
    return output


def _normalizer(scores: Rows) -> Normalizer:
    """Return the normalizer of a tile, all its scores at once."""
    highest = np.max(scores, axis=-1, initial=-np.inf)
    shift = _shift(highest)[..., None]
    return Normalizer(highest, np.sum(np.exp(scores - shift), axis=-1))


def _shift(highest: Array) -> Array:
    """Return `highest`; without a score any shift will do, if finite."""
    return np.maximum(highest, LOWEST)


def _tiles(length: int, tile: int) -> list[slice]:
    """Return slices that cut an axis into tiles; the last may be short."""
    return [slice(at, at + tile) for at in range(0, length, tile)]


def _checked(
    q: Queries, k: Keys, v: Values, mask: Mask | None
) -> tuple[Array, Array, Array, Array]:
    """Return the arguments as arrays that fit, the mask in full size."""
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    v = real("v", v, "keys value_dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    allowed = (
        np.True_ if mask is None else boolean("mask", mask, "queries keys")
    )
    shape = (q.shape[-2], k.shape[-2])
    for have, want in zip(allowed.shape[-2:], shape, strict=False):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., queries, keys) = "
                f"(..., {shape[0]}, {shape[1]}): got {allowed.shape}"
            )
    allowed = np.broadcast_to(allowed, (*allowed.shape[:-2], *shape))
    names = {"q": q, "k": k, "v": v, "mask": allowed}
    require_broadcast(**{name: x.shape[:-2] for name, x in names.items()})
    return q, k, v, allowed
