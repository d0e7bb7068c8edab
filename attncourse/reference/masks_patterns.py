"""Patterns: masks that follow from where a query and a key stand.

The last query stands at the last key, as in `masks.causal_mask`, so query
i of n stands at place i + m - n among the m keys. Patterns compose: *and*
with `combine_masks`, *or* with `unite_masks`. Longformer is a local mask
or a global one, Big Bird a third pattern besides, drawn at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    count,
    require_broadcast,
)

# What checks arguments is for sibling modules alone.
__all__ = [
    "block_mask",
    "document_mask",
    "global_mask",
    "local_mask",
    "prefix_mask",
    "strided_mask",
    "window_mask",
]

QueryIds = Int[Array, "*#batch queries"]
KeyIds = Int[Array, "*#batch keys"]
QueryFlags = Bool[Array, "*#batch queries"]
KeyFlags = Bool[Array, "*#batch keys"]
Square = Bool[Array, "queries keys"]
# Blocks of queries, blocks of keys.
Layout = Bool[Array, "*batch rows columns"]


def window_mask(queries: int, keys: int, *, window: int) -> Square:
    r"""Return True at the last `window` keys, a query's own place included.

    .. math:: M_{ij} = [\, 0 \le (i + m - n) - j < w \,]

    A causal sliding window: one of all keys is the causal mask, one of a
    single key leaves each query alone with itself.

    Source: Jiang et al. (2023), "Mistral 7B", section 2; Beltagy et al.
    (2020), "Longformer", section 3.1.

    Examples
    --------
    >>> window_mask(2, 4, window=2).astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 1, 1]]
    """
    window = count("window", window)
    behind = _behind(queries, keys)
    return (behind >= 0) & (behind < window)


def local_mask(queries: int, keys: int, *, radius: int) -> Square:
    r"""Return True at no more than `radius` places away, on either side.

    .. math:: M_{ij} = [\, \lvert (i + m - n) - j \rvert \le r \,]

    Its causal half is `window_mask` with a window of radius + 1.

    Source: Beltagy et al. (2020), "Longformer", section 3.1, whose window
    w is 2 r.

    Examples
    --------
    >>> local_mask(3, 3, radius=1).astype(int).tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    radius = count("radius", radius, least=0)
    return np.abs(_behind(queries, keys)) <= radius


def strided_mask(queries: int, keys: int, *, stride: int) -> Square:
    r"""Return True at every `stride`-th key, counted from a query's own.

    .. math:: M_{ij} = [\, (i + m - n) - j \equiv 0 \pmod s \,]

    Together with a window (*and*) it is a dilated window; beside a window
    (*or*) it is the strided pattern of Child et al.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 4.3; Beltagy et al. (2020), section 3.1.

    Examples
    --------
    >>> strided_mask(1, 5, stride=2).astype(int).tolist()
    [[1, 0, 1, 0, 1]]
    """
    stride = count("stride", stride)
    return _behind(queries, keys) % stride == 0


def prefix_mask(
    queries: int, keys: int, *, prefix: int | Int[Array, "*batch"]
) -> Bool[Array, "*batch queries keys"]:
    r"""Return True at the prefix, and after it where a key is not later.

    .. math:: M_{ij} = [\, j < p \,] \vee [\, j \le i + m - n \,]

    The prefix reads itself in both directions; what is written after it
    reads the whole prefix and its own past.

    Parameters
    ----------
    prefix : its length, from 0 to `keys`; one number, or one for each
        sequence.

    Source: Raffel et al. (2020), "Exploring the Limits of Transfer
    Learning with a Unified Text-to-Text Transformer", section 3.2.1.

    Examples
    --------
    >>> prefix_mask(3, 3, prefix=2).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    causal = _behind(queries, keys) >= 0
    lengths = whole("prefix", prefix)
    outside = lengths[(lengths < 0) | (lengths > keys)]
    if outside.size:
        raise ValueError(
            f"prefix must lie between 0 and keys={keys}: got {outside[0]}"
        )
    return causal | (np.arange(keys) < lengths[..., None, None])


def document_mask(query_documents: QueryIds, key_documents: KeyIds) -> Mask:
    r"""Return True where a query and a key are of one document.

    .. math:: M_{ij} = [\, d_i = d_j \,]

    Short documents packed into one sequence do not read each other. With
    the causal mask it is a row of small triangles.

    Parameters
    ----------
    query_documents, key_documents : the document of each place, any whole
        numbers; leading axes broadcast.

    Source: Krell et al. (2021), "Efficient Sequence Packing without
    Cross-contamination", on the attention mask.

    Examples
    --------
    >>> document_mask([0, 0, 1], [0, 0, 1]).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    rows = whole("query_documents", query_documents, "queries")
    columns = whole("key_documents", key_documents, "keys")
    require_broadcast(
        query_documents=rows.shape[:-1], key_documents=columns.shape[:-1]
    )
    return rows[..., :, None] == columns[..., None, :]


def global_mask(query_globals: QueryFlags, key_globals: KeyFlags) -> Mask:
    r"""Return True where the query or the key is a global one.

    .. math:: M_{ij} = g_i \vee g_j

    A global token sees everything and is seen by everything.

    Source: Beltagy et al. (2020), "Longformer", section 3.1; Zaheer et al.
    (2020), "Big Bird", section 2.

    Examples
    --------
    >>> first = [True, False, False]
    >>> global_mask(first, first).astype(int).tolist()
    [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    """
    rows = boolean("query_globals", query_globals, "queries")
    columns = boolean("key_globals", key_globals, "keys")
    require_broadcast(
        query_globals=rows.shape[:-1], key_globals=columns.shape[:-1]
    )
    return rows[..., :, None] | columns[..., None, :]


def block_mask(
    layout: Layout, *, block: int, queries: int, keys: int
) -> Bool[Array, "*batch queries keys"]:
    r"""Return every entry of `layout` spread over a block of places.

    .. math:: M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}

    What is False in the layout need not be computed at all. The last
    blocks may be short.

    Parameters
    ----------
    layout : which blocks of queries see which blocks of keys, shape
        (..., rows, columns): as many as are needed.
    block : places on a side.

    Source: Child et al. (2019), on block-sparse kernels; Zaheer et al.
    (2020), on the blocks of their implementation.

    Examples
    --------
    >>> layout = [[True, False], [True, True]]
    >>> block_mask(layout, block=2, queries=3, keys=3).astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
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
    rows, columns = np.arange(queries) // block, np.arange(keys) // block
    return layout[..., rows[:, None], columns]


def whole(name: str, value: Any, axes: str = "") -> Array:
    """Return `value` as whole numbers and require the named trailing axes.

    Source: bookkeeping; lengths and documents are counted, not measured.

    Examples
    --------
    >>> whole("lengths", [2, 3]).tolist()
    [2, 3]
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise TypeError(f"{name} must hold whole numbers: {error}") from None
    # An empty list has no numbers and so no type of its own.
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold whole numbers: got dtype {array.dtype}"
        )
    named = axes.split()
    if array.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {array.shape}"
        )
    return array.astype(np.int64)


def _behind(queries: int, keys: int) -> Int[Array, "queries keys"]:
    """Return how many places each key stands before each query."""
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    place = np.arange(queries) + (keys - queries)
    return place[:, None] - np.arange(keys)
