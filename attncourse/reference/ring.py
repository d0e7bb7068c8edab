"""Ring attention: a sequence on many machines, and exact attention to it all.

Every rank keeps the queries of its own positions. The keys and values
travel: at each step a rank reads those that it holds, merges what they say
with what it has heard before, and passes them on to the next rank. After
as many steps as there are ranks everybody has seen everything, and nobody
has held more than one other rank's share at a time. Here the ranks are
turns of a loop; `attncourse.fast.ring` has them as processes.
"""

from __future__ import annotations

import numpy as np

from attncourse.reference.dense import weighted_sum
from attncourse.reference.masks import causal_mask
from attncourse.reference.online import (
    LOWEST,
    Partial,
    merge,
    partial_attention,
)
from attncourse.reference.ring_deals import (
    Deal,
    Positions,
    contiguous,
    holders,
    require_deal,
    shard,
    striped,
    unshard,
    work_per_rank,
    zigzag,
)
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Values,
    count,
    real,
    require_broadcast,
    require_equal,
    sum_to,
)

__all__ = [
    "Deal",
    "Positions",
    "attention",
    "attention_backward",
    "causal_attention",
    "causal_attention_backward",
    "contiguous",
    "holders",
    "shard",
    "striped",
    "unshard",
    "work_per_rank",
    "zigzag",
]

Gradients = tuple[Queries, Keys, Values]


def attention(
    q: Queries, k: Keys, v: Values, *, ranks: int, deal: Deal = contiguous
) -> Output:
    r"""Return `reference.dense.attention`, from keys that go round a ring.

    .. math:: (o_r, \ell_r) = \bigoplus_{s=0}^{R-1}
              \mathrm{partial}\left(Q_r, K_{(r-s) \bmod R},
              V_{(r-s) \bmod R}\right)

    where :math:`\oplus` is `reference.online.merge`. Any number of ranks
    will do, also one that does not divide the lengths evenly.

    Parameters
    ----------
    ranks : among how many processes queries and keys are dealt.
    deal : `contiguous`, `zigzag` or `striped`.

    Source: Liu, Zaharia & Abbeel (2023), "Ring Attention with Blockwise
    Transformers for Near-Infinite Context", section 3, algorithm 1.

    Examples
    --------
    >>> q, k, v = np.zeros((2, 3)), np.ones((4, 3)), np.eye(4)
    >>> attention(q, k, v, ranks=3)[0].round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    arrays = _checked(q, k, v, deal)
    everything = np.ones(_lengths(*arrays), bool)
    return _forward(arrays, mask=everything, ranks=ranks, deal=deal)


def causal_attention(
    q: Queries, k: Keys, v: Values, *, ranks: int, deal: Deal = zigzag
) -> Output:
    r"""Return causal attention, from keys that go round a ring.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k} + M\right) V

    with M minus infinity where a key is later than the query; the last
    query stands at the last key. Which pairs a rank scores at which step
    is counted by `work_per_rank`.

    Source: Brandon et al. (2023), "Striped Attention: Faster Ring Attention
    for Causal Transformers", sections 2 and 3.

    Examples
    --------
    >>> v = [[2.0], [4.0], [9.0]]
    >>> causal_attention(v, np.zeros((3, 1)), v, ranks=2).round(6).tolist()
    [[2.0], [3.0], [5.0]]
    """
    arrays = _checked(q, k, v, deal)
    mask = causal_mask(*_lengths(*arrays))
    return _forward(arrays, mask=mask, ranks=ranks, deal=deal)


def attention_backward(
    q: Queries,
    k: Keys,
    v: Values,
    upstream: Output,
    *,
    ranks: int,
    deal: Deal = contiguous,
) -> Gradients:
    r"""Return the gradients in queries, keys and values, from one more round.

    .. math:: P_{ij} = e^{s_{ij} - \ell_i}, \quad
              dS_{ij} = P_{ij}\,(dO_i \cdot V_j - dO_i \cdot O_i), \quad
              dV = P^\top dO, \quad dQ = \frac{dS\,K}{\sqrt{d_k}}, \quad
              dK = \frac{dS^\top Q}{\sqrt{d_k}}

    A rank adds up the gradient of its queries at home. Those of keys and
    values travel along with them and are complete when they come home.

    Source: Liu et al. (2023), section 3; the equations are those of Dao
    (2023), "FlashAttention-2", algorithm 2.

    Examples
    --------
    >>> q, k, v = np.zeros((1, 3)), np.ones((2, 3)), np.ones((2, 1))
    >>> attention_backward(q, k, v, [[6.0]], ranks=2)[2].tolist()
    [[3.0], [3.0]]
    """
    arrays = _checked(q, k, v, deal)
    everything = np.ones(_lengths(*arrays), bool)
    return _backward(arrays, upstream, mask=everything, ranks=ranks, deal=deal)


def causal_attention_backward(
    q: Queries,
    k: Keys,
    v: Values,
    upstream: Output,
    *,
    ranks: int,
    deal: Deal = zigzag,
) -> Gradients:
    r"""Return the gradients of `causal_attention`.

    .. math:: P_{ij} = e^{s_{ij} - \ell_i}\,[\, j \le i + m - n \,]

    and from there as `attention_backward`.

    Source: Dao (2023), "FlashAttention-2", algorithm 2 and section 3.1.

    Examples
    --------
    >>> x, upstream = np.ones((2, 1)), [[6.0], [8.0]]
    >>> _, _, dv = causal_attention_backward(x, x, x, upstream, ranks=2)
    >>> dv.round(6).tolist()
    [[10.0], [4.0]]
    """
    arrays = _checked(q, k, v, deal)
    mask = causal_mask(*_lengths(*arrays))
    return _backward(arrays, upstream, mask=mask, ranks=ranks, deal=deal)


def _forward(arrays, *, mask: Mask, ranks: int, deal: Deal) -> Output:
    rows = deal(mask.shape[0], ranks=ranks)
    seen = _read(arrays, mask=mask, ranks=ranks, deal=deal)
    return unshard([each.output for each in seen], rows)


@np.errstate(invalid="ignore")  # NaN that a query sees is no surprise
def _read(arrays, *, mask: Mask, ranks: int, deal: Deal) -> list[Partial]:
    """Return what all the keys say to the queries of each rank."""
    q, k, v = arrays
    rows, columns = (deal(length, ranks=ranks) for length in mask.shape)
    questions = shard(q, rows)
    leading = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    shapes = [(*leading, len(held), v.shape[-1]) for held in rows]
    seen = [
        Partial(np.zeros(shape), np.full(shape[:-1], -np.inf))
        for shape in shapes
    ]
    travelling = list(
        zip(columns, shard(k, columns), shard(v, columns), strict=True)
    )
    for _ in range(ranks):
        for rank, (held, keys, values) in enumerate(travelling):
            allowed = mask[np.ix_(rows[rank], held)]
            said = partial_attention(
                questions[rank], keys, values, mask=allowed
            )
            seen[rank] = merge(seen[rank], said)
        travelling = [travelling[-1], *travelling[:-1]]  # passed on
    return seen


def _backward(
    arrays, upstream: Output, *, mask: Mask, ranks: int, deal: Deal
) -> Gradients:
    leading = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    shapes = [x.shape for x in arrays]
    q, k, v = (np.broadcast_to(x, (*leading, *x.shape[-2:])) for x in arrays)
    rows, columns = (deal(length, ranks=ranks) for length in mask.shape)
    seen = _read((q, k, v), mask=mask, ranks=ranks, deal=deal)
    upstream = _checked_upstream(upstream, (*q.shape[:-1], v.shape[-1]))
    at_home = list(
        zip(shard(q, rows), shard(upstream, rows), seen, strict=True)
    )
    dq = [np.zeros_like(each) for each, _, _ in at_home]
    travelling = [
        (held, keys, values, np.zeros_like(keys), np.zeros_like(values))
        for held, keys, values in zip(
            columns, shard(k, columns), shard(v, columns), strict=True
        )
    ]
    for _ in range(ranks):
        for rank, (held, keys, values, dk, dv) in enumerate(travelling):
            allowed = mask[np.ix_(rows[rank], held)]
            changes = _block(*at_home[rank], keys, values, allowed)
            for total, change in zip((dq[rank], dk, dv), changes, strict=True):
                total += change
        travelling = [travelling[-1], *travelling[:-1]]  # passed on
    _, _, _, dk, dv = zip(*travelling, strict=True)
    return (
        sum_to(unshard(dq, rows), shapes[0]),
        sum_to(unshard(dk, columns), shapes[1]),
        sum_to(unshard(dv, columns), shapes[2]),
    )


@np.errstate(invalid="ignore")
def _block(q, upstream, seen: Partial, k, v, allowed) -> Gradients:
    """Return what one block of keys adds to the three gradients."""
    scale = 1 / np.sqrt(q.shape[-1])
    scores = np.einsum("...qd,...kd->...qk", q, k) * scale
    lse = np.maximum(seen.lse, LOWEST)[..., None]
    scores = np.where(allowed, scores, lse)  # which no exponential fears
    weights = np.exp(scores - lse)
    dweights = np.einsum("...qv,...kv->...qk", upstream, v)
    inner = np.sum(upstream * seen.output, axis=-1, keepdims=True)
    dscores = weights * (dweights - inner) * scale
    dscores, weights = (np.where(allowed, x, 0.0) for x in (dscores, weights))
    turned = [np.swapaxes(x, -1, -2) for x in (dscores, weights)]
    return (
        weighted_sum(dscores, k, mask=allowed),
        weighted_sum(turned[0], q, mask=allowed.T),
        weighted_sum(turned[1], upstream, mask=allowed.T),
    )


def _lengths(q: Queries, k: Keys, v: Values) -> tuple[int, int]:
    return q.shape[-2], k.shape[-2]


def _checked(q, k, v, deal: Deal) -> tuple[Array, Array, Array]:
    require_deal(deal)
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    v = real("v", v, "keys value_dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2], v=v.shape[:-2])
    count("dim", q.shape[-1])
    return q, k, v


def _checked_upstream(upstream: Output, shape: tuple[int, ...]) -> Array:
    array = real("upstream", upstream, "queries value_dim")
    if array.shape != shape:
        raise ValueError(
            f"upstream must have the output's shape {shape}: got {array.shape}"
        )
    return array
