"""A cache of all keys and values: what was computed once is read again.

A *step* takes the queries, keys and values of some new tokens and a cache,
and returns what the queries read and the cache with the new keys in it.
One token, a whole prompt, or anything between: the results are those of
attention to everything at once. Nothing is changed in place; a cache is a
value like any other.

Sequences of a batch may have different lengths. Positions follow from
them, so a rotary encoding can be handed to a step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

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
from attncourse.shapes import (
    Array,
    count,
    real,
    require_broadcast,
    require_equal,
)


class FullCache(NamedTuple):
    """The keys and values of every token so far.

    `keys` has shape (..., groups, held, dim), `values` the same with
    value_dim; `lengths`, shape (...), says how many of the held positions
    each sequence has filled, from the first. `capacity` is the most that
    any sequence may have; None for no limit.
    """

    keys: Float[Array, "*batch groups held dim"]
    values: Float[Array, "*batch groups held value_dim"]
    lengths: Lengths
    capacity: int | None = None


def new_full_cache(
    *batch: int,
    groups: int,
    dim: int,
    value_dim: int | None = None,
    capacity: int | None = None,
) -> FullCache:
    """Return a cache that holds nothing yet.

    Parameters
    ----------
    batch : sizes of the leading axes, one sequence each.
    groups : heads of keys; as many as of queries unless they share.

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 2.4.

    Examples
    --------
    >>> new_full_cache(2, groups=3, dim=5).keys.shape
    (2, 3, 0, 5)
    """
    batch = tuple(count("batch", each, least=0) for each in batch)
    groups, dim = count("groups", groups), count("dim", dim)
    value_dim = dim if value_dim is None else count("value_dim", value_dim)
    if capacity is not None:
        capacity = count("capacity", capacity)
    return FullCache(
        np.zeros((*batch, groups, 0, dim)),
        np.zeros((*batch, groups, 0, value_dim)),
        np.zeros(batch, dtype=np.int64),
        capacity,
    )


def next_positions(
    lengths: Lengths, *, tokens: int
) -> Int[Array, "*batch tokens"]:
    r"""Return where the next tokens of each sequence will stand.

    .. math:: p_{bi} = \ell_b + i

    Source: Su et al. (2024), "RoFormer", section 3.2: a position belongs
    to a token, wherever it is kept.

    Examples
    --------
    >>> next_positions(np.array([5, 0]), tokens=2).tolist()
    [[5, 6], [0, 1]]
    """
    tokens = count("tokens", tokens, least=0)
    return whole("lengths", lengths)[..., None] + np.arange(tokens)


def visible(
    positions: Int[Array, "*batch queries"],
    key_positions: Int[Array, "*batch keys"],
    *,
    counts: Lengths,
) -> Bool[Array, "*batch queries keys"]:
    r"""Return which keys the queries of a step may read.

    .. math:: M_{bij} = [\, 0 \le p^K_{bj} \le p_{bi} \,]\,[\, i < c_b \,]

    A key at a negative position is none, and a query that is padding reads
    nothing.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, for positions instead of places.

    Examples
    --------
    >>> visible([4, 5], [5, 3, -1], counts=2).astype(int).tolist()
    [[0, 1, 0], [1, 1, 0]]
    """
    at = whole("positions", positions, "queries")
    key = whole("key_positions", key_positions, "keys")
    real_ones = whole("counts", counts)
    require_broadcast(
        positions=at.shape[:-1],
        key_positions=key.shape[:-1],
        counts=real_ones.shape,
    )
    row = np.arange(at.shape[-1])[:, None]
    at, key = at[..., :, None], key[..., None, :]
    return (key >= 0) & (key <= at) & (row < real_ones[..., None, None])


def extend(
    cache: FullCache,
    k: GroupKeys,
    v: GroupValues,
    *,
    counts: Lengths | None = None,
) -> FullCache:
    r"""Return a cache that also holds the keys and values of new tokens.

    .. math:: K' = [K; k], \qquad V' = [V; v]

    Parameters
    ----------
    k, v : shapes (..., groups, tokens, dim) and (..., tokens, value_dim).
    counts : how many of the new tokens of each sequence are real, the
        first ones; None for all of them.

    Raises
    ------
    ValueError
        If a sequence would have more than `capacity` tokens.

    Source: Shazeer (2019), section 2.4.

    Examples
    --------
    >>> cache = new_full_cache(groups=1, dim=2)
    >>> extend(cache, [[[1, 2]]], [[[3, 4]]]).keys.tolist()
    [[[1.0, 2.0]]]
    """
    k, v, counts = fitting(k, v, counts, cache)
    lengths = np.asarray(cache.lengths + counts)
    longest = int(lengths.max(initial=0))
    if cache.capacity is not None and longest > cache.capacity:
        raise ValueError(
            "capacity must be enough for every token: "
            f"got capacity={cache.capacity}, tokens={longest}"
        )
    grown = []
    for held, new in ((cache.keys, k), (cache.values, v)):
        array = np.zeros((*held.shape[:-2], longest, held.shape[-1]))
        array[..., : held.shape[-2], :] = held
        for row in np.ndindex(lengths.shape):
            place = slice(cache.lengths[row], lengths[row])
            array[row][:, place] = new[row][:, : counts[row]]
        grown.append(array)
    return FullCache(grown[0], grown[1], lengths, cache.capacity)


def full_step(
    q: HeadQueries,
    k: GroupKeys,
    v: GroupValues,
    cache: FullCache,
    *,
    encode: Encode | None = None,
    counts: Lengths | None = None,
) -> tuple[HeadOutput, FullCache]:
    r"""Return what new tokens read in the cache and themselves, and the rest.

    .. math:: O = \mathrm{softmax}\left(q\,[K; k]^\top / \sqrt{d_k}\right)
              [V; v]

    where no query sees a later key. Heads that share keys form groups;
    their keys are not repeated.

    Parameters
    ----------
    q : shape (..., heads, tokens, dim), heads a multiple of groups.
    encode : gives positions to queries and keys, for instance `rotary`;
        keys are kept encoded. None for none.
    counts : real new tokens of each sequence. What padding reads is zero.

    Source: Shazeer (2019), section 2.4; Ainslie et al. (2023), "GQA".

    Examples
    --------
    >>> one, cache = np.ones((1, 1, 2)), new_full_cache(groups=1, dim=2)
    >>> for n in (1, 2, 6):
    ...     read, cache = full_step(one, one, n * one, cache)
    >>> read.tolist(), int(cache.lengths)
    ([[[3.0, 3.0]]], 3)
    """
    q, k, positions = encoded(q, k, cache.lengths, encode)
    _, _, counts = fitting(k, v, counts, cache)
    after = extend(cache, k, v, counts=counts)
    at = np.arange(after.keys.shape[-2])
    mask = visible(positions, at, counts=counts)
    read = grouped_attention(
        q, after.keys, after.values, mask=mask[..., None, :, :]
    )
    return read, after


def encoded(
    q: HeadQueries, k: GroupKeys, lengths: Lengths, encode: Encode | None
) -> tuple[HeadQueries, GroupKeys, Int[Array, "*batch tokens"]]:
    r"""Return queries and keys with their positions, and the positions.

    .. math:: q_i \mapsto f(q_i, \ell + i), \qquad k_i \mapsto f(k_i, \ell + i)

    Source: Su et al. (2024), "RoFormer", eq. 1.

    Examples
    --------
    >>> move = lambda x, positions: x + positions[..., None]
    >>> q, k, at = encoded([[[1], [1]]], [[[0], [0]]], np.int64(5), move)
    >>> q.tolist(), at.tolist()
    ([[[6.0], [7.0]]], [5, 6])
    """
    q = real("q", q, "heads tokens dim")
    k = real("k", k, "groups tokens dim")
    require_equal("tokens", q=q.shape[-2], k=k.shape[-2])
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    if q.shape[:-3] != np.shape(lengths):
        raise ValueError(
            "q must have the leading axes of the cache: "
            f"got q {q.shape[:-3]}, cache {np.shape(lengths)}"
        )
    positions = next_positions(lengths, tokens=q.shape[-2])
    if encode is not None:
        every = positions[..., None, :]  # the same for every head
        q, k = _turned("q", q, every, encode), _turned("k", k, every, encode)
    return q, k, positions


def _turned(name: str, x: Array, at: Array, encode: Encode) -> Array:
    y = real(name, encode(x, at))
    if y.shape != x.shape:
        raise ValueError(
            f"encode must keep the shape of {name}, {x.shape}: got {y.shape}"
        )
    return y
