"""A cache in blocks of a common pool, as an operating system pages memory.

Every sequence, here a *row*, has a table that names its blocks in order;
where they lie in the pool is no matter. A row takes a block when its last
is full, so at most one block of each row is partly empty. Rows with a
common beginning share its blocks, and one that is about to write into a
shared block copies it first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.cache_parts import Lengths, whole
from attncourse.shapes import Array, count

Table = tuple[int, ...]


class PagedCache(NamedTuple):
    """A pool of blocks, and the tables of the rows that use it.

    `keys` has shape (blocks, groups, size, dim), `values` the same with
    value_dim, and `uses`, shape (blocks,), counts the rows that hold a
    block. `tables` names the blocks of each row, first tokens first;
    `lengths` counts its tokens.
    """

    keys: Float[Array, "blocks groups size dim"]
    values: Float[Array, "blocks groups size value_dim"]
    uses: Int[Array, "blocks"]
    tables: tuple[Table, ...]
    lengths: Int[Array, "rows"]


def new_paged_cache(
    *,
    blocks: int,
    size: int,
    groups: int,
    dim: int,
    value_dim: int | None = None,
) -> PagedCache:
    """Return a pool of free blocks of `size` tokens each, without a row.

    Source: Kwon et al. (2023), "Efficient Memory Management for Large
    Language Model Serving with PagedAttention", section 4.2.

    Examples
    --------
    >>> cache = new_paged_cache(blocks=7, size=2, groups=3, dim=5)
    >>> cache.keys.shape, free_count(cache)
    ((7, 3, 2, 5), 7)
    """
    blocks, size = count("blocks", blocks, least=0), count("size", size)
    groups, dim = count("groups", groups), count("dim", dim)
    value_dim = dim if value_dim is None else count("value_dim", value_dim)
    return PagedCache(
        np.zeros((blocks, groups, size, dim)),
        np.zeros((blocks, groups, size, value_dim)),
        np.zeros(blocks, dtype=np.int64),
        (),
        np.zeros(0, dtype=np.int64),
    )


def free_count(cache: PagedCache) -> int:
    """Return how many blocks no row holds.

    Source: Kwon et al. (2023), section 4.2, the free blocks of the pool.

    Examples
    --------
    >>> free_count(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    7
    """
    return int(np.count_nonzero(cache.uses == 0))


def add_row(cache: PagedCache) -> PagedCache:
    """Return the cache with one more row, the last, that holds nothing.

    Source: Kwon et al. (2023), section 4.3.

    Examples
    --------
    >>> add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1)).tables
    ((),)
    """
    lengths = np.append(cache.lengths, np.int64(0))
    return cache._replace(tables=(*cache.tables, ()), lengths=lengths)


def share_prefix(cache: PagedCache, row: int, *, tokens: int) -> PagedCache:
    r"""Return the cache with one more row that begins as another does.

    .. math:: \text{table}' = \text{table}_{1 \dots \lceil t / s \rceil}

    No key is copied: the rows share the blocks of the first `tokens`, each
    of which counts one more use. The other row's later tokens may stand in
    the last of them; the new row does not look there.

    Source: Kwon et al. (2023), section 4.4, parallel sampling and shared
    prefix.

    Examples
    --------
    >>> from attncourse.reference.cache_paged import paged_extend
    >>> one = np.ones((1, 1, 3, 1))
    >>> cache = add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    >>> cache = share_prefix(paged_extend(cache, one, one), 0, tokens=2)
    >>> cache.tables, free_count(cache)
    (((0, 1), (0,)), 5)
    """
    row, tokens = _row(cache, row), count("tokens", tokens, least=0)
    if tokens > cache.lengths[row]:
        raise ValueError(
            "tokens must be within the row that is shared: "
            f"got tokens={tokens}, length={cache.lengths[row]}"
        )
    table = cache.tables[row][: block_count(tokens, size=_size(cache))]
    uses = cache.uses.copy()
    uses[list(table)] += 1
    return cache._replace(
        uses=uses,
        tables=(*cache.tables, table),
        lengths=np.append(cache.lengths, np.int64(tokens)),
    )


def free_row(cache: PagedCache, row: int) -> PagedCache:
    """Return the cache without one row; the later rows move up by one.

    Its blocks lose one use, and those that have none left are free.

    Source: Kwon et al. (2023), sections 4.3 and 4.4, reference counts.

    Examples
    --------
    >>> from attncourse.reference.cache_paged import paged_extend
    >>> one = np.ones((1, 1, 3, 1))
    >>> cache = add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    >>> free_count(free_row(paged_extend(cache, one, one), 0))
    7
    """
    row = _row(cache, row)
    uses = cache.uses.copy()
    uses[list(cache.tables[row])] -= 1
    return cache._replace(
        uses=uses,
        tables=cache.tables[:row] + cache.tables[row + 1 :],
        lengths=np.delete(cache.lengths, row),
    )


def blocks_needed(cache: PagedCache, *, counts: Lengths) -> int:
    r"""Return how many free blocks new tokens would take.

    .. math:: \sum_b \left\lceil \frac{\ell_b + c_b}{s} \right\rceil
              - \left\lceil \frac{\ell_b}{s} \right\rceil
              + [\,\text{the block it writes into first is shared}\,]

    Of the rows that share a block the last to write need not copy it.

    Source: Kwon et al. (2023), sections 4.3 and 4.4, copy-on-write.

    Examples
    --------
    >>> cache = add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    >>> blocks_needed(cache, counts=[5])
    3
    """
    uses, needed, size = cache.uses.copy(), 0, _size(cache)
    counts = whole("counts", counts)
    if counts.shape != cache.lengths.shape:
        raise ValueError(
            "counts must have one number for each row, shape "
            f"{cache.lengths.shape}: got {counts.shape}"
        )
    if counts.min(initial=0) < 0:
        raise ValueError(f"counts must be at least 0: got {counts.min()}")
    for length, table, new in zip(
        cache.lengths, cache.tables, counts, strict=True
    ):
        needed += block_count(int(length + new), size=size) - len(table)
        if new and length % size and uses[table[-1]] > 1:
            uses[table[-1]] -= 1
            needed += 1
    return int(needed)


def block_count(tokens: int, *, size: int) -> int:
    r"""Return how many blocks hold so many tokens, :math:`\lceil t/s \rceil`.

    Source: Kwon et al. (2023), section 4.3.

    Examples
    --------
    >>> block_count(5, size=2)
    3
    """
    return -(-count("tokens", tokens, least=0) // count("size", size))


def _row(cache: PagedCache, row: int) -> int:
    row = count("row", row, least=0)
    if row >= len(cache.tables):
        raise ValueError(
            f"row must be one of {len(cache.tables)}, from 0: got {row}"
        )
    return row


def _size(cache: PagedCache) -> int:
    """Return how many tokens a block holds."""
    return cache.keys.shape[2]
