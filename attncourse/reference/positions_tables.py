"""Positions by table: learned, relative, and relative biases.

Each looks up trained numbers by a position or by a clipped distance. The
schemes that need no parameters live in `positions`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real

from attncourse.shapes import (
    Array,
    Keys,
    Output,
    Queries,
    Scores,
    Values,
    Weights,
    count,
    real,
    require_broadcast,
    require_equal,
)

Tokens = Float[Array, "*#batch tokens dim"]
Positions = Real[Array, "*#batch tokens"]
QueryPositions = Real[Array, "*#batch queries"]
KeyPositions = Real[Array, "*#batch keys"]
Table = Float[Array, "rows dim"]
Index = Int[Array, "*#batch queries keys"]


def learned(table: Table, positions: Positions) -> Tokens:
    """Return the row of a trained table for each position.

    A position beyond the table is an error: nothing was trained there.
    (NumPy alone would accept a negative one and count from the end.)

    Parameters
    ----------
    table : shape (rows, dim), parameters of the model.
    positions : whole numbers from 0 to rows - 1, shape (..., tokens).

    Source: Gehring et al. (2017), "Convolutional Sequence to Sequence
    Learning", section 3.1.

    Examples
    --------
    >>> learned(np.eye(3), np.array([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    table = _matrix("table", table, "rows dim")
    return np.take(table, _rows("positions", positions, len(table)), axis=0)


def relative_index(
    query_positions: QueryPositions, key_positions: KeyPositions, *, clip: int
) -> Index:
    r"""Return the table row for each query and key, by clipped distance.

    .. math:: r_{ij} = \min(\max(p_j - p_i, -clip), clip) + clip

    Row `clip` is the token itself, smaller rows lie to its left. Beyond
    `clip` positions all keys on one side share a row, so the table needs
    2 clip + 1 rows for sequences of any length.

    Source: Shaw et al. (2018), "Self-Attention with Relative Position
    Representations", section 3.2.

    Examples
    --------
    >>> relative_index([0, 1, 2], [0, 1, 2], clip=1).tolist()
    [[1, 2, 2], [0, 1, 2], [0, 0, 1]]
    """
    clip = count("clip", clip, least=0)
    distances = _distances(query_positions, key_positions)
    return np.clip(distances, -clip, clip) + clip


def bucket_index(
    query_positions: QueryPositions,
    key_positions: KeyPositions,
    *,
    buckets: int = 32,
    farthest: int = 128,
) -> Index:
    r"""Return the bucket of each distance: exact when near, coarse when far.

    .. math:: b(n) = \begin{cases} n & n < e \\
              \min\left(B - 1,\ e + \left\lfloor (B - e)
              \frac{\log(n / e)}{\log(f / e)} \right\rfloor\right) & n \ge e
              \end{cases}, \qquad n = |p_j - p_i|

    Half of the `buckets` are for keys to the left and the token itself,
    half for keys to the right: B = `buckets` / 2 each, of which the first
    e = B / 2 hold one distance; all distances from f = `farthest` on share
    the last. The result is the index that `relative_bias` looks up.

    Source: Raffel et al. (2020), "Exploring the Limits of Transfer Learning
    with a Unified Text-to-Text Transformer" (T5), section 2.1; the formula
    from its released code.

    Examples
    --------
    >>> bucket_index([0], [0, -1, 1, 9, 500], buckets=8, farthest=16).tolist()
    [[0, 1, 5, 7, 7]]
    """
    half, odd = divmod(count("buckets", buckets, least=4), 2)
    if odd:
        raise ValueError(f"buckets must be even: got {buckets}")
    distances = _distances(query_positions, key_positions)
    right = np.where(distances > 0, half, 0)
    return right + _bucket(np.abs(distances), half, farthest)


def causal_bucket_index(
    query_positions: QueryPositions,
    key_positions: KeyPositions,
    *,
    buckets: int = 32,
    farthest: int = 128,
) -> Index:
    """Return `bucket_index` with all buckets for keys to the left.

    Keys to the right, which a causal mask hides, get bucket zero.

    Source: Raffel et al. (2020), section 2.1, for the decoder.

    Examples
    --------
    >>> causal_bucket_index([9], [9, 8, 6, 0], buckets=4, farthest=8).tolist()
    [[0, 1, 2, 3]]
    """
    buckets = count("buckets", buckets, least=2)
    distances = _distances(query_positions, key_positions)
    return _bucket(np.maximum(-distances, 0), buckets, farthest)


def relative_scores(q: Queries, k: Keys, table: Table, index: Index) -> Scores:
    r"""Return scaled scores in which each key also carries its distance.

    .. math:: s_{ij} = q_i \cdot (k_j + a_{r_{ij}}) / \sqrt{d_k}

    Parameters
    ----------
    table : shape (rows, dim), one vector for each clipped distance.
    index : shape (..., queries, keys), from `relative_index`.

    Source: Shaw et al. (2018), eq. 4.

    Examples
    --------
    >>> q, k = np.ones((1, 4)), np.zeros((2, 4))
    >>> table = np.array([[2.0], [0.0]]) * np.ones(4)
    >>> relative_scores(q, k, table, np.array([[0, 1]])).tolist()
    [[4.0, 0.0]]
    """
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    table = _matrix("table", table, "rows dim")
    index = _rows("index", index, len(table), "queries keys")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1], table=table.shape[1])
    require_equal("queries", q=q.shape[-2], index=index.shape[-2])
    require_equal("keys", k=k.shape[-2], index=index.shape[-1])
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2], index=index.shape[:-2])
    content = np.einsum("...qd,...kd->...qk", q, k)
    distance = np.einsum("...qd,...qkd->...qk", q, table[index])
    return (content + distance) / np.sqrt(q.shape[-1])


def relative_values(
    weights: Weights, v: Values, table: Table, index: Index
) -> Output:
    r"""Return averages of values that carry their distance.

    .. math:: o_i = \sum_j A_{ij}\,(v_j + b_{r_{ij}})

    A key of weight zero has no influence, whatever its value.

    Source: Shaw et al. (2018), eq. 3.

    Examples
    --------
    >>> table, index = np.array([[0.0], [4.0]]), np.array([[0, 1]])
    >>> relative_values([[0.5, 0.5]], [[1.0], [1.0]], table, index).tolist()
    [[3.0]]
    """
    weights = real("weights", weights, "queries keys")
    v = real("v", v, "keys value_dim")
    table = _matrix("table", table, "rows value_dim")
    index = _rows("index", index, len(table), "queries keys")
    require_equal("value_dim", v=v.shape[-1], table=table.shape[1])
    require_equal("queries", weights=weights.shape[-2], index=index.shape[-2])
    require_equal(
        "keys", weights=weights.shape[-1], v=v.shape[-2], index=index.shape[-1]
    )
    require_broadcast(
        weights=weights.shape[:-2], v=v.shape[:-2], index=index.shape[:-2]
    )
    carried = v[..., None, :, :] + table[index]  # one value a query and key
    # Zero times NaN is NaN: a hidden value must not enter the sum at all.
    carried = np.where(weights[..., None] == 0, 0.0, carried)
    return np.einsum("...qk,...qkv->...qv", weights, carried)


def relative_bias(
    table: Float[Array, "heads rows"], index: Index
) -> Float[Array, "*batch heads queries keys"]:
    """Return one learned number for each head and each distance.

    It is added to the scores after scaling: `relative_scores` with the
    query left out. The index says which distances share a number: those
    of a bucket (`bucket_index`), or those beyond a clip (`relative_index`).

    Source: Raffel et al. (2020), "Exploring the Limits of Transfer Learning
    with a Unified Text-to-Text Transformer", section 2.1.

    Examples
    --------
    >>> relative_bias(np.zeros((2, 3)), np.array([[1, 2, 2]])).shape
    (2, 1, 3)
    """
    table = _matrix("table", table, "heads rows")
    index = _rows("index", index, table.shape[1], "queries keys")
    return np.moveaxis(table.T[index], -1, -3)  # heads before the queries


def _distances(query_positions: Any, key_positions: Any) -> Index:
    """Return how far to the right of each query each key stands."""
    queries = _whole("query_positions", query_positions, "queries")
    keys = _whole("key_positions", key_positions, "keys")
    require_broadcast(
        query_positions=queries.shape[:-1], key_positions=keys.shape[:-1]
    )
    return keys[..., None, :] - queries[..., :, None]


def _bucket(distance: Array, buckets: int, farthest: int) -> Index:
    """Return the bucket of distances without a sign."""
    exact = buckets // 2
    farthest = count("farthest", farthest, least=exact + 1)
    # A little more, so that rounding does not lose an edge such as log 4 /
    # log 2: distances are whole, so no other value is that near to an edge.
    steps = np.log(np.maximum(distance, exact) / exact) + 1e-9
    coarse = steps / np.log(farthest / exact) * (buckets - exact)
    far = np.minimum(exact + coarse.astype(np.int64), buckets - 1)
    return np.where(distance < exact, distance, far)


def _matrix(name: str, value: Any, axes: str) -> Array:
    """Return `value` as float64; require exactly the two named axes."""
    array = real(name, value)
    if array.ndim != 2:
        wanted = ", ".join(axes.split())
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {array.shape}"
        )
    return array


def _whole(name: str, value: Any, axes: str) -> Array:
    """Return `value` as int64; refuse numbers that are not whole by type."""
    array = np.asarray(value)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be whole numbers: got dtype {array.dtype}"
        )
    return real(name, array, axes).astype(np.int64)


def _rows(name: str, value: Any, rows: int, axes: str = "tokens") -> Array:
    """Return `value` as row numbers of a table; refuse those outside."""
    index = _whole(name, value, axes)
    outside = (index < 0) | (index >= rows)
    if outside.any():
        raise ValueError(
            f"{name} must lie within the table's rows 0 to {rows - 1}: "
            f"got {index[outside][0]}"
        )
    return index
