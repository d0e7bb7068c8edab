"""Who holds what in a ring: positions dealt to ranks, and who has worked.

The positions of one long sequence are dealt to *ranks*, processes that
keep their own queries and pass keys and values on to the next rank. A
*deal* is a function of the length and the number of ranks; it decides
nothing about the result, and under a causal mask everything about who
waits for whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from attncourse.shapes import Array, count, real

# `require_deal` is for the module next to this one.
__all__ = [
    "contiguous",
    "holders",
    "shard",
    "striped",
    "unshard",
    "work_per_rank",
    "zigzag",
]

Positions = list[Int[Array, "_"]]
Deal = Callable[..., Positions]


def contiguous(length: int, *, ranks: int) -> Positions:
    r"""Return the positions of each rank: one piece of the sequence each.

    .. math:: P_r = \{a_r, \dots, a_{r+1} - 1\}

    with the cuts :math:`a_0 = 0 \le a_1 \le \dots \le a_R = n`. Pieces
    differ in length by one at most; the first ones are the longer.

    Source: Liu, Zaharia & Abbeel (2023), "Ring Attention with Blockwise
    Transformers for Near-Infinite Context", section 3.

    Examples
    --------
    >>> [each.tolist() for each in contiguous(5, ranks=2)]
    [[0, 1, 2], [3, 4]]
    """
    length, ranks = count("length", length, least=0), count("ranks", ranks)
    return np.array_split(np.arange(length), ranks)


def striped(length: int, *, ranks: int) -> Positions:
    r"""Return the positions of each rank: every R-th, from its own number.

    .. math:: P_r = \{p : p \bmod R = r\}

    Source: Brandon et al. (2023), "Striped Attention: Faster Ring Attention
    for Causal Transformers", section 3.

    Examples
    --------
    >>> [each.tolist() for each in striped(5, ranks=2)]
    [[0, 2, 4], [1, 3]]
    """
    length, ranks = count("length", length, least=0), count("ranks", ranks)
    return [np.arange(rank, length, ranks) for rank in range(ranks)]


def zigzag(length: int, *, ranks: int) -> Positions:
    r"""Return the positions of each rank: one early chunk and one late.

    .. math:: P_r = C_r \cup C_{2R - 1 - r}

    The sequence is cut into 2 R chunks C. Early chunks have little to see
    and late ones much; together every rank has the same. The scheme is
    known from the library ring-flash-attention.

    Source: the deal is that of the library; what is dealt, Liu et al.
    (2023), section 3.

    Examples
    --------
    >>> [each.tolist() for each in zigzag(8, ranks=2)]
    [[0, 1, 6, 7], [2, 3, 4, 5]]
    """
    ranks = count("ranks", ranks)
    chunks = contiguous(length, ranks=2 * ranks)
    return [
        np.concatenate([early, late])
        for early, late in zip(
            chunks[:ranks], chunks[: ranks - 1 : -1], strict=True
        )
    ]


def shard(
    x: Float[Array, "*batch tokens dim"], positions: Positions
) -> list[Float[Array, "*batch _ dim"]]:
    r"""Return the tokens of each rank.

    .. math:: X^{(r)} = X[P_r]

    Source: Liu et al. (2023), section 3.

    Examples
    --------
    >>> early, late = shard([[1], [2], [3]], contiguous(3, ranks=2))
    >>> early.tolist(), late.tolist()
    ([[1.0], [2.0]], [[3.0]])
    """
    x = real("x", x, "tokens dim")
    _require_positions(positions, x.shape[-2])
    return [x[..., held, :] for held in positions]


def unshard(
    parts: Sequence[Any], positions: Positions
) -> Float[Array, "*batch tokens dim"]:
    r"""Return the sequence whose tokens the ranks hold; undoes `shard`.

    .. math:: X[P_r] = X^{(r)}

    Source: Liu et al. (2023), section 3.

    Examples
    --------
    >>> unshard([[[1], [3]], [[2]]], striped(3, ranks=2)).tolist()
    [[1.0], [2.0], [3.0]]
    """
    shards = [real("part", part, "tokens dim") for part in parts]
    if not shards:
        raise ValueError("parts must come from at least one rank: got none")
    others = [(*x.shape[:-2], x.shape[-1]) for x in shards]
    if len(set(others)) > 1:
        raise ValueError(
            f"parts must agree in all axes but tokens: got {others}"
        )
    have, want = [x.shape[-2] for x in shards], [len(p) for p in positions]
    if have != want:
        raise ValueError(
            f"parts must hold {want} tokens, as dealt: got {have}"
        )
    _require_positions(positions, sum(want))
    order = np.argsort(np.concatenate(positions))
    return np.concatenate(shards, axis=-2)[..., order, :]


def holders(ranks: int) -> Int[Array, "ranks steps"]:
    r"""Return whose keys each rank holds at each step.

    .. math:: H_{rs} = (r - s) \bmod R

    At step zero every rank holds its own; then all of them pass what they
    hold to the next rank, at once. No keys are at two places at a time.

    Source: Liu et al. (2023), section 3.

    Examples
    --------
    >>> holders(3).tolist()
    [[0, 2, 1], [1, 0, 2], [2, 1, 0]]
    """
    at = np.arange(count("ranks", ranks))
    return (at[:, None] - at) % len(at)


def work_per_rank(
    length: int, *, ranks: int, deal: Deal = contiguous
) -> Int[Array, "ranks steps"]:
    r"""Return how many pairs of query and key each rank scores at each step.

    .. math:: w_{rs} = |\{(i, j) : i \in P_r,\ j \in P_{H_{rs}},\ j \le i\}|

    Counted is what a causal mask lets see. All ranks wait for the slowest
    one at every step, so a step costs the maximum of its column.

    Source: Brandon et al. (2023), section 2, where it is the reason for a
    deal that balances.

    Examples
    --------
    >>> work_per_rank(4, ranks=2).tolist()
    [[3, 0], [3, 4]]
    >>> work_per_rank(4, ranks=2, deal=zigzag).tolist()
    [[3, 2], [3, 2]]
    """
    require_deal(deal)
    positions = [np.asarray(each) for each in deal(length, ranks=ranks)]
    _require_positions(positions, length)
    work = [
        [np.count_nonzero(positions[owner] <= mine[:, None]) for owner in row]
        for mine, row in zip(positions, holders(ranks), strict=True)
    ]
    return np.array(work)


def require_deal(deal: Deal) -> None:
    """Require a function."""
    if not callable(deal):
        raise TypeError(
            f"deal must be a function of length and ranks: got {deal!r}"
        )


def _require_positions(positions: Positions, length: int) -> None:
    """Require that every position is held by one rank and by one only."""
    held = [np.asarray(each) for each in positions]
    if any(
        each.ndim != 1 or (each.size and each.dtype.kind not in "iu")
        for each in held
    ):
        raise TypeError(
            "positions must be lists of whole numbers, one for each rank: "
            f"got {[each.tolist() for each in held]}"
        )
    together = np.sort(np.concatenate([np.zeros(0, int), *held]))
    if not np.array_equal(together, np.arange(length)):
        raise ValueError(
            f"positions must deal each of {length} tokens to one rank: "
            f"got {[each.tolist() for each in held]}"
        )
