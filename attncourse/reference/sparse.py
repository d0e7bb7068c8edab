"""Sparse attention: only the tiles that a layout keeps are computed.

The scores are cut into tiles of `block` x `block`. A layout says which of
them exist; the others are never computed, so what stands there has no
influence and costs nothing. The tiles of a row merge as in `online`. The
result is dense attention under the mask `masks.block_mask(layout)`.
Layouts are made in `sparse_layouts`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from attncourse.reference.online import Partial, merge, partial_attention
from attncourse.reference.sparse_layouts import (
    density,
    fixed_layout,
    global_layout,
    random_layout,
    strided_layout,
    window_layout,
)
from attncourse.shapes import (
    Array,
    Keys,
    Output,
    Queries,
    Values,
    boolean,
    count,
    real,
    require_broadcast,
    require_equal,
)

__all__ = [
    "Tile",
    "attention",
    "causal_attention",
    "causal_tiles",
    "density",
    "fixed_layout",
    "global_layout",
    "random_layout",
    "strided_layout",
    "tiles",
    "window_layout",
]

Layout = Bool[Array, "*#batch rows columns"]


class Tile(NamedTuple):
    """One tile: its queries, its keys, and who may look where.

    `mask` is True where a query of the tile may look, of shape
    (..., queries, keys); either of the two axes may have length one.
    """

    rows: slice
    columns: slice
    mask: Bool[Array, "*batch #queries #keys"]


def tiles(
    layout: Layout, *, queries: int, keys: int, block: int
) -> list[Tile]:
    r"""Return the tiles that some leading entry of `layout` keeps.

    .. math:: T = \{ (i, j) : L_{ij} \}, \qquad
              i < \lceil n / b \rceil, \; j < \lceil m / b \rceil

    Their number is what sparse attention costs. The last blocks may be
    short.

    Parameters
    ----------
    layout : shape (..., rows, columns), as many blocks as are needed.
    queries, keys, block : positions in all, and of a block.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 5.5.

    Examples
    --------
    >>> kept = tiles([[True, False], [True, True]], queries=3, keys=3, block=2)
    >>> [(tile.rows.start, tile.columns.start) for tile in kept]
    [(0, 0), (2, 0), (2, 2)]
    """
    layout = _checked(layout, queries, keys, block)
    anyone = layout.any(axis=tuple(range(layout.ndim - 2)))
    return [
        Tile(
            slice(i * block, min(queries, (i + 1) * block)),
            slice(j * block, min(keys, (j + 1) * block)),
            layout[..., i, j, None, None],
        )
        for i, j in np.argwhere(anyone).tolist()
    ]


def causal_tiles(
    layout: Layout, *, queries: int, keys: int, block: int
) -> list[Tile]:
    r"""Return the kept tiles that are not wholly in the future.

    .. math:: M_{ij} = [\, j \le i + m - n \,]

    Tiles on the diagonal get this mask. The last query stands at the last
    key.

    Source: Child et al. (2019), section 5.5: what the mask hides entirely
    is not computed.

    Examples
    --------
    >>> every = [[True, True], [True, True]]
    >>> kept = causal_tiles(every, queries=3, keys=3, block=2)
    >>> len(kept), kept[0].mask.astype(int).tolist()
    (3, [[1, 0], [1, 1]])
    """
    kept = []
    for tile in tiles(layout, queries=queries, keys=keys, block=block):
        places = np.arange(queries)[tile.rows] + (keys - queries)
        earlier = np.arange(keys)[tile.columns] <= places[:, None]
        if earlier.any():
            kept.append(tile._replace(mask=tile.mask & earlier))
    return kept


def attention(
    q: Queries, k: Keys, v: Values, layout: Layout, *, block: int
) -> Output:
    r"""Return attention to the keys in the tiles that `layout` keeps.

    .. math:: O = \mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d_k}}
              + \log M\right) V, \qquad
              M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}

    Parameters
    ----------
    layout : shape (..., rows, columns), True where a tile is computed;
        leading axes broadcast, so heads may have layouts of their own.
    block : queries, and keys, of a tile.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 4.2; Zaheer et al. (2020), appendix D.

    Examples
    --------
    >>> q, k, v = np.zeros((4, 1)), np.ones((4, 1)), np.eye(4)
    >>> attention(q, k, v, np.eye(2) > 0, block=2)[:, 3].tolist()
    [0.0, 0.0, 0.5, 0.5]
    """
    arrays = _arrays(q, k, v)
    queries, keys = (each.shape[-2] for each in arrays[:2])
    kept = tiles(layout, queries=queries, keys=keys, block=block)
    return _read(arrays, kept, np.shape(layout)[:-2])


def causal_attention(
    q: Queries, k: Keys, v: Values, layout: Layout, *, block: int
) -> Output:
    r"""Return `attention` in which, besides, no query sees a later key.

    .. math:: M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}
              \wedge [\, j \le i + m - n \,]

    The last query stands at the last key, whatever the layout. A query
    that sees nothing gets zeros.

    Source: Child et al. (2019), section 4.2.

    Examples
    --------
    >>> q, k, v = np.zeros((4, 1)), np.ones((4, 1)), np.eye(4)
    >>> causal_attention(q, k, v, np.eye(2) > 0, block=2)[:, 2].tolist()
    [0.0, 0.0, 1.0, 0.5]
    """
    arrays = _arrays(q, k, v)
    queries, keys = (each.shape[-2] for each in arrays[:2])
    kept = causal_tiles(layout, queries=queries, keys=keys, block=block)
    return _read(arrays, kept, np.shape(layout)[:-2])


def _read(
    arrays: tuple[Array, Array, Array], kept: list[Tile], heads: Any
) -> Output:
    """Return what the tiles say, those of a row merged."""
    q, k, v = arrays
    leading = require_broadcast(
        q=q.shape[:-2], k=k.shape[:-2], v=v.shape[:-2], layout=heads
    )
    output = np.zeros((*leading, q.shape[-2], v.shape[-1]))
    lse = np.full(output.shape[:-1], -np.inf)
    for rows, columns, mask in kept:
        said = partial_attention(
            q[..., rows, :], k[..., columns, :], v[..., columns, :], mask=mask
        )
        seen = Partial(output[..., rows, :], lse[..., rows])
        output[..., rows, :], lse[..., rows] = merge(seen, said)
    return output


def _arrays(q: Any, k: Any, v: Any) -> tuple[Array, Array, Array]:
    """Return queries, keys and values as float64 arrays that fit."""
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    v = real("v", v, "keys value_dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    return q, k, v


def _checked(layout: Any, queries: int, keys: int, block: int) -> Array:
    """Return the layout, if it has as many blocks as are needed."""
    layout = boolean("layout", layout, "rows columns")
    block = count("block", block)
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    needed = (-(-queries // block), -(-keys // block))  # rounded up
    if layout.shape[-2:] != needed:
        raise ValueError(
            f"layout must have {needed[0]} x {needed[1]} blocks: "
            f"got shape {layout.shape}"
        )
    return layout
