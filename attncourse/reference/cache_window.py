"""A cache of the last keys only: a ring of slots, written over and over.

The token at position p goes to slot p mod w. A ring that has come around
holds its newest key anywhere, and attention does not mind: it is a sum.
What a slot's position is follows from the length alone.
"""

from __future__ import annotations

from typing import NamedTuple

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
    whole,
)
from attncourse.reference.heads import grouped_attention
from attncourse.shapes import Array, count


class WindowCache(NamedTuple):
    """The keys and values of the last `window` tokens.

    `keys` has shape (..., groups, window, dim), `values` the same with
    value_dim; `lengths`, shape (...), counts all tokens there ever were.
    """

    keys: Float[Array, "*batch groups window dim"]
    values: Float[Array, "*batch groups window value_dim"]
    lengths: Lengths


def new_window_cache(
    *batch: int,
    groups: int,
    dim: int,
    window: int,
    value_dim: int | None = None,
) -> WindowCache:
    """Return an empty ring of `window` slots for each sequence.

    Source: Jiang et al. (2023), "Mistral 7B", section 2, rolling buffer
    cache.

    Examples
    --------
    >>> new_window_cache(2, groups=3, dim=5, window=7).keys.shape
    (2, 3, 7, 5)
    """
    batch = tuple(count("batch", each, least=0) for each in batch)
    groups, dim = count("groups", groups), count("dim", dim)
    value_dim = dim if value_dim is None else count("value_dim", value_dim)
    window = count("window", window)
    return WindowCache(
        np.zeros((*batch, groups, window, dim)),
        np.zeros((*batch, groups, window, value_dim)),
        np.zeros(batch, dtype=np.int64),
    )


def slot_positions(
    lengths: Lengths, *, window: int
) -> Int[Array, "*batch window"]:
    r"""Return the position that each slot holds; negative if none yet.

    .. math:: p_s = \ell - 1 - \big((\ell - 1 - s) \bmod w\big)

    It is the last position before :math:`\ell` that leaves the remainder s.

    Source: Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> slot_positions(np.array([5, 2]), window=3).tolist()
    [[3, 4, 2], [0, 1, -1]]
    """
    last = whole("lengths", lengths)[..., None] - 1
    return last - (last - np.arange(count("window", window))) % window


def window_step(
    q: HeadQueries,
    k: GroupKeys,
    v: GroupValues,
    cache: WindowCache,
    *,
    encode: Encode | None = None,
    counts: Lengths | None = None,
) -> tuple[HeadOutput, WindowCache]:
    r"""Return what new tokens read in the last `window`, and the ring after.

    .. math:: O_i = \sum_{p_i - w < p_j \le p_i} a_{ij} v_j

    A query's own token counts, as in a window mask. New tokens may be more
    than fit: they are read before the ring forgets any. Positions are
    those of the whole sequence, so a rotary encoding survives the wrap.

    Parameters
    ----------
    q, k, v, encode, counts : as `full_step` takes them.

    Source: Beltagy et al. (2020), "Longformer", section 3.1; Jiang et al.
    (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> one = np.ones((1, 1, 1))
    >>> cache = new_window_cache(groups=1, dim=1, window=2)
    >>> for n in (1, 2, 6):
    ...     read, cache = window_step(one, one, n * one, cache)
    >>> read.item(), cache.values.ravel().tolist()  # 6 took the place of 1
    (4.0, [6.0, 2.0])
    """
    q, k, positions = encoded(q, k, cache.lengths, encode)
    k, v, counts = fitting(k, v, counts, cache)
    window = cache.keys.shape[-2]
    # Padding stands later than every real query, so none of them sees it.
    at = np.concatenate(
        [slot_positions(cache.lengths, window=window), positions], axis=-1
    )
    near = positions[..., :, None] - at[..., None, :] < window
    mask = visible(positions, at, counts=counts) & near
    read = grouped_attention(
        q,
        np.concatenate([cache.keys, k], axis=-2),
        np.concatenate([cache.values, v], axis=-2),
        mask=mask[..., None, :, :],
    )
    return read, _written(cache, k, v, counts)


def _written(
    cache: WindowCache, k: GroupKeys, v: GroupValues, counts: Lengths
) -> WindowCache:
    """Return the ring after the new tokens, one after another."""
    keys, values = cache.keys.copy(), cache.values.copy()
    for row in np.ndindex(counts.shape):
        for token in range(counts[row]):
            slot = (cache.lengths[row] + token) % keys.shape[-2]
            keys[row][:, slot] = k[row][:, token]
            values[row][:, slot] = v[row][:, token]
    return WindowCache(keys, values, np.asarray(cache.lengths + counts))
