"""Relative scores with a memory: four terms, and the shift between them.

A segment of queries reads a memory of earlier tokens and then itself. How
far apart two tokens stand is all that positions say: the vector of a
distance is the same for every query, so it is multiplied by each query
once, and a shift puts each product at the key that stands so far away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.positions import biased_attention, sinusoidal
from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    count,
    real,
    require_broadcast,
    require_equal,
)

Heads = Float[Array, "*#batch heads queries dim"]
HeadKeys = Float[Array, "*#batch heads keys dim"]
HeadValues = Float[Array, "*#batch heads keys value_dim"]
HeadScores = Float[Array, "*#batch heads queries keys"]
HeadOutput = Float[Array, "*#batch heads queries value_dim"]
ByKey = Float[Array, "*#batch queries keys"]


class Distances(NamedTuple):
    """What a layer knows of distances, by head.

    `vectors` has shape (heads, keys, dim) and holds distance keys - 1
    first and distance 0 last: W_R R. `content_bias` and `distance_bias`,
    u and v of the paper, have shape (heads, dim) and stand in for a query
    where none should matter.
    """

    vectors: Float[Array, "heads keys dim"]
    content_bias: Float[Array, "heads dim"]
    distance_bias: Float[Array, "heads dim"]


class Terms(NamedTuple):
    """The four summands of a relative score, not yet scaled.

    Each has shape (..., heads, queries, keys): how well the key's content
    answers the query; how well its distance does; how much its content
    counts for any query; how much its distance counts for any.
    """

    content: HeadScores
    distance: HeadScores
    any_content: HeadScores
    any_distance: HeadScores


def distance_encodings(
    keys: int, *, dim: int, base: float = 10_000.0
) -> Float[Array, "keys dim"]:
    r"""Return the sinusoidal vector of each distance, the farthest first.

    .. math:: R_c = P_{m - 1 - c}, \qquad c = 0, \dots, m - 1

    With m keys no query of a causal segment is farther than m - 1 from one.

    Source: Dai et al. (2019), "Transformer-XL", appendix B.

    Examples
    --------
    >>> distance_encodings(2, dim=2).round(2).tolist()
    [[0.84, 0.54], [0.0, 1.0]]
    """
    keys = count("keys", keys, least=0)
    return sinusoidal(np.arange(keys)[::-1], dim=dim, base=base)


def relative_shift(by_distance: ByKey) -> ByKey:
    r"""Return products with distances, each moved to its key.

    .. math:: Y_{ij} = X_{i,\,n - 1 - i + j} \qquad\text{for } j \le i + m - n

    Column c of X belongs to distance m - 1 - c. The last query stands at
    the last key, so query i and key j are i + m - n - j apart: row i moves
    left by n - 1 - i. Put one more column before X, read the n (m + 1)
    numbers in their order, skip n of them, and lay the rest out in rows of
    m: Y_ij is then number i (m + 1) + (j + n - i), column j + n - i of the
    longer row i, and that is the formula.

    To the right of the triangle the row has run out and the next one
    begins: there stand a zero and products of a LATER query. They must be
    masked, or the future leaks.

    Parameters
    ----------
    by_distance : shape (..., queries, keys), the farthest distance first.

    Raises
    ------
    ValueError
        If there are fewer keys than queries.

    Source: Dai et al. (2019), appendix B, with a memory.

    Examples
    --------
    >>> relative_shift([[2, 1, 0], [20, 10, 0]]).astype(int).tolist()
    [[1, 0, 0], [20, 10, 0]]
    >>> relative_shift([[2, 1, 7], [20, 10, 7]]).astype(int).tolist()
    [[1, 7, 0], [20, 10, 7]]
    """
    x = real("by_distance", by_distance, "queries keys")
    *batch, queries, keys = x.shape
    if keys < queries:
        raise ValueError(
            "keys must be at least queries, which are the last of them: "
            f"got queries={queries}, keys={keys}"
        )
    longer = np.concatenate([np.zeros((*batch, queries, 1)), x], axis=-1)
    in_order = longer.reshape(*batch, queries * (keys + 1))
    return in_order[..., queries:].reshape(*batch, queries, keys)


def score_terms(q: Heads, k: HeadKeys, distances: Distances) -> Terms:
    r"""Return the four summands of each score, each by itself.

    .. math:: q_i \cdot k_j, \quad q_i \cdot W_R R_{i-j}, \quad
              u \cdot k_j, \quad v \cdot W_R R_{i-j}

    Where a key is later than its query the terms with a distance hold what
    `relative_shift` leaves there.

    Source: Dai et al. (2019), section 3.3, terms (a), (b), (c) and (d).

    Examples
    --------
    >>> one = np.ones((1, 1, 2))
    >>> [float(t.item()) for t in score_terms(one, one, Distances(
    ...     3 * one, [[0, 5]], [[7, 0]]))]
    [2.0, 6.0, 5.0, 21.0]
    """
    q, k, r, u, v = _checked(q, k, distances)
    every = np.zeros((*q.shape[:-1], k.shape[-2]))
    return Terms(
        _products(q, k),
        relative_shift(_products(q, r)),
        every + _products(u, k),
        relative_shift(every + _products(v, r)),
    )


def segment_scores(q: Heads, k: HeadKeys, distances: Distances) -> HeadScores:
    r"""Return the scaled scores of a segment's queries, in two products.

    .. math:: s_{ij} = \frac{(q_i + u) \cdot k_j
              + (q_i + v) \cdot W_R R_{i-j}}{\sqrt{d_k}}

    The sum of `score_terms`. A number right of the causal triangle means
    nothing: mask it, as `segment_attention` does.

    Parameters
    ----------
    q : shape (..., heads, queries, dim), a segment.
    k : shape (..., heads, keys, dim), the memory and then the segment.

    Source: Dai et al. (2019), section 3.3, scaled as in its published code.

    Examples
    --------
    >>> one = np.ones((1, 1, 4))
    >>> zero = Distances(np.zeros((1, 1, 4)), [[3, 3, 3, 3]], [[0] * 4])
    >>> segment_scores(one, one, zero).tolist()  # (1 + 3) 4 / 2
    [[[8.0]]]
    """
    q, k, r, u, v = _checked(q, k, distances)
    near = relative_shift(_products(q + v, r))
    return (_products(q + u, k) + near) / np.sqrt(q.shape[-1])


def segment_attention(
    q: Heads,
    k: HeadKeys,
    v: HeadValues,
    distances: Distances,
    *,
    mask: Mask,
) -> HeadOutput:
    r"""Return attention by relative scores; `mask` must be causal.

    .. math:: O = \mathrm{softmax}_{keys}(S)\,V

    It is `positions.biased_attention` of the queries plus u, where the
    bias of a pair is its distance's product with the query plus v. NaN
    where `mask` is False has no influence.

    Parameters
    ----------
    mask : broadcasts against (..., heads, queries, keys); True at no key
        later than its query.

    Raises
    ------
    ValueError
        If the mask allows a later key.

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> q, zero = np.zeros((1, 2, 4)), np.zeros((1, 4))
    >>> distances = Distances(np.zeros((1, 2, 4)), zero, zero)
    >>> causal = np.tri(2, dtype=bool)
    >>> segment_attention(q, q, [np.eye(2)], distances, mask=causal).tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """
    q, k, r, bias, distance_bias = _checked(q, k, distances)
    v = real("v", v, "heads keys value_dim")
    require_equal("heads", q=q.shape[-3], v=v.shape[-3])
    _require_causal(mask, q.shape[-2], k.shape[-2])
    near = relative_shift(_products(q + distance_bias, r))
    return biased_attention(
        q + bias, k, v, near / np.sqrt(q.shape[-1]), mask=mask
    )


def _products(left: Array, right: Array) -> Array:
    return np.einsum("...qd,...kd->...qk", left, right)


def _require_causal(mask: Mask, queries: int, keys: int) -> None:
    """Refuse a mask that would let the shift's leftovers in."""
    mask = boolean("mask", mask, "queries keys")
    if mask.shape[-2] not in (1, queries) or mask.shape[-1] not in (1, keys):
        raise ValueError(
            "mask must fit the scores, shape (..., queries, keys) = "
            f"(..., {queries}, {keys}): got {mask.shape}"
        )
    wide = (*mask.shape[:-2], queries, keys)
    if np.triu(np.broadcast_to(mask, wide), keys - queries + 1).any():
        raise ValueError(
            "mask must hide every key that is later than its query: "
            "got one that does not"
        )


def _checked(q: Heads, k: HeadKeys, distances: Distances) -> tuple[Array, ...]:
    """Return arrays that fit, the biases with an axis for the queries."""
    q, k = real("q", q, "heads queries dim"), real("k", k, "heads keys dim")
    r = real("vectors", distances.vectors, "heads keys dim")
    u = real("content_bias", distances.content_bias, "heads dim")
    v = real("distance_bias", distances.distance_bias, "heads dim")
    arrays = {"q": q, "k": k, "vectors": r}
    biases = {"content_bias": u, "distance_bias": v}
    every = arrays | biases
    require_equal("dim", **{name: x.shape[-1] for name, x in every.items()})
    require_equal("keys", k=k.shape[-2], vectors=r.shape[-2])
    require_equal(
        "heads",
        **{name: x.shape[-3] for name, x in arrays.items()},
        **{name: x.shape[-2] for name, x in biases.items()},
    )
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    require_broadcast(q=q.shape[:-3], k=k.shape[:-3])
    return q, k, r, u[..., None, :], v[..., None, :]
