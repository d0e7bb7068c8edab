"""Layouts: which tiles of the scores a sparse attention computes.

A layout is boolean, one entry for each block of queries and each block of
keys, True where the tile is computed. The last block of queries stands at
the last block of keys. The patterns of `masks` are layouts too, read in
blocks instead of positions; `masks.unite_masks` joins layouts, and
`masks.block_mask` spreads one over the positions that it stands for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attncourse.reference.masks import (
    causal_mask,
    global_mask,
    strided_mask,
    unite_masks,
    window_mask,
)
from attncourse.reference.masks_patterns import whole
from attncourse.shapes import Array, boolean, count

Layout = Bool[Array, "rows columns"]
Blocks = Int[Array, "blocks"]


def window_layout(
    rows: int, columns: int, *, behind: int, ahead: int
) -> Layout:
    r"""Return True at a block's own place and at its neighbours.

    .. math:: L_{ij} = [\, -a \le (i + m - n) - j \le b \,]

    Parameters
    ----------
    rows, columns : blocks of queries (n) and of keys (m).
    behind, ahead : how many blocks of keys before and after its own a
        block of queries reads (b and a).

    Source: Beltagy et al. (2020), "Longformer", section 3.1; in blocks,
    Zaheer et al. (2020), "Big Bird", appendix D.

    Examples
    --------
    >>> window_layout(3, 3, behind=1, ahead=0).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    behind = count("behind", behind, least=0)
    ahead = count("ahead", ahead, least=0)
    place = _places(rows, columns)[:, None]
    other = np.arange(columns)
    return (other >= place - behind) & (other <= place + ahead)


def global_layout(rows: int, columns: int, *, blocks: Blocks) -> Layout:
    r"""Return True where the block of queries or of keys is a global one.

    .. math:: L_{ij} = [\, i + m - n \in G \,] \vee [\, j \in G \,]

    Parameters
    ----------
    blocks : places of the global blocks among the blocks of keys.

    Source: Beltagy et al. (2020), "Longformer", section 3.1; Zaheer et al.
    (2020), "Big Bird", section 2.

    Examples
    --------
    >>> global_layout(3, 3, blocks=[1]).astype(int).tolist()
    [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    place = _places(rows, columns)
    blocks = whole("blocks", blocks, "blocks")
    outside = blocks[(blocks < 0) | (blocks >= columns)]
    if outside.size:
        raise ValueError(
            f"blocks must lie between 0 and columns - 1 = {columns - 1}: "
            f"got {outside[0]}"
        )
    return global_mask(
        np.isin(place, blocks), np.isin(np.arange(columns), blocks)
    )


def strided_layout(rows: int, columns: int, *, stride: int) -> Layout:
    r"""Return True at the last `stride` blocks and at every stride-th one.

    .. math:: L_{ij} = [\, 0 \le d < s \,] \vee
              [\, d \ge 0, \; d \equiv 0 \pmod s \,], \qquad
              d = (i + m - n) - j

    Two steps lead from any block to any earlier one.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 4.3 (strided attention).

    Examples
    --------
    >>> strided_layout(5, 5, stride=2)[4].astype(int).tolist()
    [1, 0, 1, 1, 1]
    """
    rows = count("rows", rows, least=0)
    columns = count("columns", columns, least=0)
    stride = count("stride", stride)
    near = window_mask(rows, columns, window=stride)
    far = strided_mask(rows, columns, stride=stride)
    return unite_masks(near, far) & causal_mask(rows, columns)


def fixed_layout(
    rows: int, columns: int, *, stride: int, summary: int = 1
) -> Layout:
    r"""Return True in one's own group and at the end of every earlier one.

    .. math:: L_{ij} = [\, j \le p \,] \wedge \big(
              [\, \lfloor j / s \rfloor = \lfloor p / s \rfloor \,] \vee
              [\, j \bmod s \ge s - c \,]\big), \qquad p = i + m - n

    Keys fall into groups of `stride` blocks, and the last `summary` of a
    group speak for it to all that follow.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 4.3 (fixed attention).

    Examples
    --------
    >>> fixed_layout(5, 5, stride=2).astype(int).tolist()[3:]
    [[0, 1, 1, 1, 0], [0, 1, 0, 1, 1]]
    """
    stride, summary = count("stride", stride), count("summary", summary)
    if summary > stride:
        raise ValueError(
            "summary must be at most stride: "
            f"got summary={summary}, stride={stride}"
        )
    place = _places(rows, columns)[:, None]
    other = np.arange(columns)
    group = other // stride == place // stride
    speaks = other % stride >= stride - summary
    return (group | speaks) & causal_mask(rows, columns)


def random_layout(
    rows: int, columns: int, *, per_row: int, rng: np.random.Generator
) -> Layout:
    r"""Return True at `per_row` blocks of keys, drawn for each row.

    .. math:: L_{ij} = [\, j \in R_i \,], \qquad |R_i| = r

    None is drawn twice in a row. Random edges let what is far apart meet
    in few layers.

    Source: Zaheer et al. (2020), "Big Bird: Transformers for Longer
    Sequences", section 2 (random attention).

    Examples
    --------
    >>> drawn = random_layout(5, 7, per_row=3, rng=np.random.default_rng(0))
    >>> drawn.sum(axis=1).tolist()
    [3, 3, 3, 3, 3]
    """
    rows = count("rows", rows, least=0)
    columns = count("columns", columns, least=0)
    per_row = count("per_row", per_row, least=0)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a NumPy Generator: got {rng!r}")
    if per_row > columns:
        raise ValueError(
            "per_row must be at most columns: "
            f"got per_row={per_row}, columns={columns}"
        )
    ranks = rng.permuted(np.tile(np.arange(columns), (rows, 1)), axis=1)
    return ranks < per_row


def density(layout: Bool[Array, "*batch rows columns"]) -> float:
    r"""Return the share of the tiles that are computed.

    .. math:: \frac{1}{n m} \sum_{ij} [\, L_{ij} \,]

    The time of sparse attention is this share of dense attention's.

    Source: Child et al. (2019), section 4.2, counts the same sets.

    Examples
    --------
    >>> density(window_layout(4, 4, behind=0, ahead=0))
    0.25
    """
    layout = boolean("layout", layout, "rows columns")
    return float(np.count_nonzero(layout) / max(1, layout.size))


def _places(rows: Any, columns: Any) -> Int[Array, "rows"]:
    """Return the block of keys at which each block of queries stands."""
    rows = count("rows", rows, least=0)
    columns = count("columns", columns, least=0)
    return np.arange(rows) + (columns - rows)
