"""Positions by trained tables in torch: learned, relative, and biases.

Same names and contract as `attncourse.reference.positions_tables`; the
tables train. No array holds a vector for each query and key.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from attncourse.fast.dense import weighted_sum
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    SCORES,
    VALUES,
    count,
    require_broadcast,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Scores = Float[Tensor, SCORES]
Weights = Float[Tensor, SCORES]
Output = Float[Tensor, OUTPUT]
Table = Float[Tensor, "rows dim"]
Index = Int[Tensor, "*#batch queries keys"]
QueryPositions = Real[Tensor, "*#batch queries"]
KeyPositions = Real[Tensor, "*#batch keys"]


def learned(
    table: Table, positions: Int[Tensor, "*batch tokens"]
) -> Float[Tensor, "*batch tokens dim"]:
    """Return the row of a trained table for each position.

    A position beyond the table is an error.

    Source: as in `reference.positions_tables.learned`.

    Examples
    --------
    >>> learned(torch.eye(3), torch.tensor([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    _require_table("table", table)
    _require_rows("positions", positions, len(table), 1)
    return table[positions.long()]


def relative_index(
    query_positions: QueryPositions, key_positions: KeyPositions, *, clip: int
) -> Index:
    r"""Return the table row for each query and key, by clipped distance.

    .. math:: r_{ij} = \min(\max(p_j - p_i, -clip), clip) + clip

    Source: as in `reference.positions_tables.relative_index`.

    Examples
    --------
    >>> at = torch.arange(3)
    >>> relative_index(at, at, clip=1).tolist()
    [[1, 2, 2], [0, 1, 2], [0, 0, 1]]
    """
    clip = count("clip", clip, least=0)
    distances = _distances(query_positions, key_positions)
    return distances.clamp(-clip, clip) + clip


def bucket_index(
    query_positions: QueryPositions,
    key_positions: KeyPositions,
    *,
    buckets: int = 32,
    farthest: int = 128,
) -> Index:
    """Return the bucket of each distance: exact when near, coarse when far.

    Source: as in `reference.positions_tables.bucket_index`.

    Examples
    --------
    >>> here, there = torch.tensor([0]), torch.tensor([0, -1, 1, 9, 500])
    >>> bucket_index(here, there, buckets=8, farthest=16).tolist()
    [[0, 1, 5, 7, 7]]
    """
    half, odd = divmod(count("buckets", buckets, least=4), 2)
    if odd:
        raise ValueError(f"buckets must be even: got {buckets}")
    distances = _distances(query_positions, key_positions)
    return _bucket(distances.abs(), half, farthest) + half * (distances > 0)


def causal_bucket_index(
    query_positions: QueryPositions,
    key_positions: KeyPositions,
    *,
    buckets: int = 32,
    farthest: int = 128,
) -> Index:
    """Return `bucket_index` with all buckets for keys to the left.

    Source: as in `reference.positions_tables.causal_bucket_index`.

    Examples
    --------
    >>> here, there = torch.tensor([9]), torch.tensor([9, 8, 6, 0])
    >>> causal_bucket_index(here, there, buckets=4, farthest=8).tolist()
    [[0, 1, 2, 3]]
    """
    buckets = count("buckets", buckets, least=2)
    distances = _distances(query_positions, key_positions)
    return _bucket((-distances).clamp(min=0), buckets, farthest)


def relative_scores(q: Queries, k: Keys, table: Table, index: Index) -> Scores:
    r"""Return scaled scores in which each key also carries its distance.

    .. math:: s_{ij} = (q_i \cdot k_j + q_i \cdot a_{r_{ij}}) / \sqrt{d_k}

    Each query meets each row of the table once; the index then deals the
    products out.

    Source: as in `reference.positions_tables.relative_scores`.

    Examples
    --------
    >>> q, k = torch.ones(1, 4), torch.zeros(2, 4)
    >>> table = torch.tensor([[2.0], [0.0]]) * torch.ones(4)
    >>> relative_scores(q, k, table, torch.tensor([[0, 1]])).tolist()
    [[4.0, 0.0]]
    """
    _require_table("table", table)
    _require_rows("index", index, len(table), 2)
    require_equal("dim", q=q.shape[-1], k=k.shape[-1], table=table.shape[1])
    require_equal("queries", q=q.shape[-2], index=index.shape[-2])
    require_equal("keys", k=k.shape[-2], index=index.shape[-1])
    leading = require_broadcast(
        q=tuple(q.shape[:-2]),
        k=tuple(k.shape[:-2]),
        index=tuple(index.shape[:-2]),
    )
    by_row = (q @ table.mT).expand(*leading, -1, -1)
    distance = by_row.gather(-1, index.long().expand(*leading, -1, -1))
    return (q @ k.mT + distance) * q.shape[-1] ** -0.5


def relative_values(
    weights: Weights, v: Values, table: Table, index: Index
) -> Output:
    r"""Return averages of values that carry their distance.

    .. math:: o_i = \sum_j A_{ij} v_j + \sum_r \Big(\sum_{j : r_{ij} = r}
              A_{ij}\Big) b_r

    A key of weight zero has no influence, whatever its value.

    Source: as in `reference.positions_tables.relative_values`.

    Examples
    --------
    >>> table, index = torch.tensor([[0.0], [4.0]]), torch.tensor([[0, 1]])
    >>> halves, ones = torch.tensor([[0.5, 0.5]]), torch.ones(2, 1)
    >>> relative_values(halves, ones, table, index).tolist()
    [[3.0]]
    """
    _require_table("table", table)
    _require_rows("index", index, len(table), 2)
    require_equal("value_dim", v=v.shape[-1], table=table.shape[1])
    require_equal("queries", weights=weights.shape[-2], index=index.shape[-2])
    require_equal(
        "keys", weights=weights.shape[-1], v=v.shape[-2], index=index.shape[-1]
    )
    leading = require_broadcast(
        weights=tuple(weights.shape[:-2]), index=tuple(index.shape[:-2])
    )
    shares = weights.expand(*leading, -1, -1)
    by_row = shares.new_zeros(*shares.shape[:-1], len(table))
    at = index.long().expand(*leading, -1, -1)
    by_row = by_row.scatter_add(-1, at, shares)
    return weighted_sum(weights, v, mask=weights != 0) + by_row @ table


def relative_bias(
    table: Float[Tensor, "heads rows"], index: Index
) -> Float[Tensor, "*batch heads queries keys"]:
    """Return one learned number for each head and each distance.

    Source: as in `reference.positions_tables.relative_bias`.

    Examples
    --------
    >>> relative_bias(torch.zeros(2, 3), torch.tensor([[1, 2, 2]])).shape
    torch.Size([2, 1, 3])
    """
    _require_table("table", table)
    _require_rows("index", index, table.shape[1], 2)
    return table.mT[index.long()].movedim(-1, -3)


def _distances(query_positions: Tensor, key_positions: Tensor) -> Index:
    _require_whole("query_positions", query_positions, 1)
    _require_whole("key_positions", key_positions, 1)
    require_broadcast(
        query_positions=tuple(query_positions.shape[:-1]),
        key_positions=tuple(key_positions.shape[:-1]),
    )
    return (
        key_positions.long()[..., None, :]
        - query_positions.long()[..., :, None]
    )


def _bucket(distance: Index, buckets: int, farthest: int) -> Index:
    """Return the bucket of distances without a sign."""
    exact = buckets // 2
    farthest = count("farthest", farthest, least=exact + 1)
    # In float64, and a little more: no edge is lost to rounding.
    steps = (distance.clamp(min=exact).double() / exact).log() + 1e-9
    coarse = steps / math.log(farthest / exact) * (buckets - exact)
    far = (exact + coarse.long()).clamp(max=buckets - 1)
    return torch.where(distance < exact, distance, far)


def _require_table(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    if value.ndim != 2:
        raise ValueError(
            f"{name} must have two axes: got shape {tuple(value.shape)}"
        )


def _require_whole(name: str, value: Tensor, axes: int) -> None:
    whole = isinstance(value, Tensor) and not (
        value.is_floating_point() or value.is_complex()
    )
    if not whole or value.dtype is torch.bool:
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a tensor of whole numbers: got {got}")
    if value.ndim < axes:
        raise ValueError(
            f"{name} must have at least {axes} axes: "
            f"got shape {tuple(value.shape)}"
        )


def _require_rows(name: str, value: Tensor, rows: int, axes: int) -> None:
    """Require row numbers of a table."""
    _require_whole(name, value, axes)
    outside = value[(value < 0) | (value >= rows)]
    if outside.numel():
        raise ValueError(
            f"{name} must lie within the table's rows 0 to {rows - 1}: "
            f"got {outside[0].item()}"
        )
