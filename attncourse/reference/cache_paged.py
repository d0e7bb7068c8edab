"""Attention to a paged cache: blocks are written, and read one by one.

The pool, its rows and their tables are in `cache_pool`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.cache_full import encoded, visible
from attncourse.reference.cache_parts import (
    Encode,
    GroupKeys,
    GroupValues,
    HeadOutput,
    HeadQueries,
    Lengths,
    fitting,
)
from attncourse.reference.cache_pool import (
    PagedCache,
    Table,
    blocks_needed,
    free_count,
)
from attncourse.reference.online import Partial, merge, partial_attention
from attncourse.shapes import Array


def paged_extend(
    cache: PagedCache,
    k: GroupKeys,
    v: GroupValues,
    *,
    counts: Lengths | None = None,
) -> PagedCache:
    """Return the cache with new tokens of every row in their blocks.

    Parameters
    ----------
    k, v : shapes (rows, groups, tokens, dim) and (..., value_dim).
    counts : as `extend` takes them.

    Raises
    ------
    ValueError
        If there are too few free blocks. The cache that was given is as
        it was, so other rows can be freed and the step tried again.

    Source: Kwon et al. (2023), sections 4.3 and 4.4.

    Examples
    --------
    >>> from attncourse.reference.cache_pool import add_row, new_paged_cache
    >>> one = np.ones((1, 1, 3, 1))
    >>> cache = add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    >>> paged_extend(cache, one, one).tables
    ((0, 1),)
    """
    k, v, counts = fitting(k, v, counts, cache)
    needed, free = blocks_needed(cache, counts=counts), free_count(cache)
    if needed > free:
        raise ValueError(
            "free blocks must be enough for the new tokens: "
            f"got free={free}, needed={needed}"
        )
    keys, values = cache.keys.copy(), cache.values.copy()
    uses, size = cache.uses.copy(), keys.shape[2]
    tables = [list(table) for table in cache.tables]
    for row, table in enumerate(tables):
        for token in range(counts[row]):
            place = (cache.lengths[row] + token) % size
            if place == 0:
                table.append(_taken(uses))
            elif uses[table[-1]] > 1:  # shared: copy before writing
                uses[table[-1]] -= 1
                copy = _taken(uses)
                keys[copy], values[copy] = keys[table[-1]], values[table[-1]]
                table[-1] = copy
            keys[table[-1], :, place] = k[row, :, token]
            values[table[-1], :, place] = v[row, :, token]
    return PagedCache(
        keys, values, uses, tuple(map(tuple, tables)), cache.lengths + counts
    )


def paged_step(
    q: HeadQueries,
    k: GroupKeys,
    v: GroupValues,
    cache: PagedCache,
    *,
    encode: Encode | None = None,
    counts: Lengths | None = None,
) -> tuple[HeadOutput, PagedCache]:
    r"""Return what new tokens of every row read, and the cache after.

    .. math:: o_i = \frac{\sum_b \sum_{j \in b} e^{s_{ij}} v_j}
              {\sum_b \sum_{j \in b} e^{s_{ij}}}

    The blocks b of a row are read one at a time, wherever they lie, and
    what they say is merged: no row is ever put together.

    Parameters
    ----------
    q, k, v, encode, counts : as `full_step` takes them; their one leading
        axis is that of the rows.

    Source: Kwon et al. (2023), section 4.1, eq. 4.

    Examples
    --------
    >>> from attncourse.reference.cache_pool import add_row, new_paged_cache
    >>> one = np.ones((1, 1, 1, 1))
    >>> cache = add_row(new_paged_cache(blocks=7, size=2, groups=1, dim=1))
    >>> for n in (1, 2, 6):
    ...     read, cache = paged_step(one, one, n * one, cache)
    >>> read.item(), cache.tables
    (3.0, ((0, 1),))
    """
    q, k, positions = encoded(q, k, cache.lengths, encode)
    _, _, counts = fitting(k, v, counts, cache)
    after = paged_extend(cache, k, v, counts=counts)
    read = np.zeros((*q.shape[:-1], after.values.shape[-1]))
    for row, table in enumerate(after.tables):
        read[row] = _read(q[row], after, table, positions[row], counts[row])
    return read, after


def _read(
    q: Float[Array, "heads tokens dim"],
    cache: PagedCache,
    table: Table,
    positions: Int[Array, "tokens"],
    new: int,
) -> Float[Array, "heads tokens value_dim"]:
    """Return what one row's queries read, block by block."""
    groups, size, _ = cache.keys.shape[1:]
    heads, tokens, dim = q.shape
    if heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    # The heads of a group stand below one another: its keys serve them all.
    together = q.reshape(groups, heads // groups * tokens, dim)
    value_dim = cache.values.shape[-1]
    seen = Partial(
        np.zeros((*together.shape[:2], value_dim)),
        np.full(together.shape[:2], -np.inf),
    )
    for number, block in enumerate(table):
        at = number * size + np.arange(size)
        mask = visible(positions, at, counts=np.asarray(new))
        said = partial_attention(
            together,
            cache.keys[block],
            cache.values[block],
            mask=np.tile(mask, (heads // groups, 1)),
        )
        with np.errstate(invalid="ignore"):  # NaN that may be seen
            seen = merge(seen, said)
    return seen.output.reshape(heads, tokens, value_dim)


def _taken(uses: Int[Array, "blocks"]) -> int:
    """Take the first free block; the caller knows that there is one."""
    block = int(np.argmin(uses))
    uses[block] = 1
    return block
