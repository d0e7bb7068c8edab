"""Ring attention over processes: torch.distributed, gloo or nccl.

Each rank calls these functions with its own share of a sequence and gets
its own share of the result. Keys and values go round the ring while each
rank computes on those that are there; in the backward pass their gradients
travel behind them and end at home. However many ranks there are, none
holds more than a few shares of keys at a time, and the result is that of
`attncourse.fast.dense`.

All ranks of the group must make the same calls, the backward pass
included. A call begins with one small exchange in which they compare
shapes, so that a mismatch is an error on every rank and not a long wait.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.ring_links import (
    FLOATS,
    agree,
    alone,
    require_known,
    ring_of,
)
from attncourse.fast.ring_rounds import Rounds, plan_round
from attncourse.fast.ring_shards import deal_number, shard, unshard
from attncourse.fast.tiled_parts import as_heads, require_real
from attncourse.reference.ring import Deal, contiguous, striped, zigzag
from attncourse.shapes import KEYS, OUTPUT, QUERIES, VALUES, require_equal

__all__ = [
    "alone",
    "attention",
    "causal_attention",
    "causal_grouped_attention",
    "contiguous",
    "grouped_attention",
    "shard",
    "striped",
    "unshard",
    "zigzag",
]

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]
Group = dist.ProcessGroup


def attention(
    q: Queries, k: Keys, v: Values, *, group: Group | None = None
) -> Output:
    r"""Return what this rank's queries read in the keys of all ranks.

    .. math:: O_r = \mathrm{softmax}\left(Q_r\,[K_0, \dots, K_{R-1}]^\top /
              \sqrt{d_k}\right) [V_0, \dots, V_{R-1}]

    The shares may differ in length. Half types are computed, and their
    gradients carried, in single precision. There is no second derivative.

    Parameters
    ----------
    q, k, v : this rank's share; other sizes the same on all ranks.
    group : the ranks; all processes if None.

    Raises
    ------
    RuntimeError
        Without a process group, or if a rank does not take part.

    Source: Liu, Zaharia & Abbeel (2023), "Ring Attention with Blockwise
    Transformers for Near-Infinite Context", section 3, algorithm 1.

    Examples
    --------
    >>> q, k, v = torch.zeros(2, 3), torch.ones(4, 3), torch.eye(4)
    >>> with alone():
    ...     attention(q, k, v)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return _ring_attention(q, k, v, share=1, group=group)


def causal_attention(
    q: Queries, k: Keys, v: Values, *, deal: Deal, group: Group | None = None
) -> Output:
    r"""Return `attention` in which no query sees a later key.

    .. math:: O_i = \sum_{j \le i + m - n} a_{ij} V_j

    The last query of the sequence stands at its last key. Keys that none
    of this rank's queries may see are not scored, and nobody sends what
    nobody further on may see.

    Parameters
    ----------
    deal : how the sequence was dealt to the ranks: `contiguous`, `zigzag`
        (every rank has the same to do) or `striped`; see `shard`. Any
        function will do that deals ascending positions.

    Source: Brandon et al. (2023), "Striped Attention: Faster Ring Attention
    for Causal Transformers", sections 2 and 3.

    Examples
    --------
    >>> q, v = torch.zeros(2, 3), torch.eye(2)
    >>> with alone():
    ...     causal_attention(q, q, v, deal=zigzag).round(decimals=4).tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    return _ring_attention(q, k, v, share=1, deals=[deal], group=group)


def grouped_attention(
    q: Queries, k: Keys, v: Values, *, group: Group | None = None
) -> Output:
    r"""Return `attention` in which neighbouring heads share keys and values.

    .. math:: O_h = \mathrm{attention}\left(Q_h, K_{\lfloor h g / H \rfloor},
              V_{\lfloor h g / H \rfloor}\right)

    Only the shared keys travel, which makes the messages smaller.

    Parameters
    ----------
    q : shape (..., heads, queries, dim), heads a multiple of groups.
    k, v : shapes (..., groups, keys, dim) and (..., groups, keys, value_dim).

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = torch.zeros(6, 5, 2), torch.zeros(3, 7, 2)
    >>> with alone():
    ...     grouped_attention(q, k, k).shape
    torch.Size([6, 5, 2])
    """
    return _ring_attention(q, k, v, share=None, group=group)


def causal_grouped_attention(
    q: Queries, k: Keys, v: Values, *, deal: Deal, group: Group | None = None
) -> Output:
    r"""Return `causal_attention` in which neighbouring heads share keys.

    .. math:: O_h = \mathrm{causal}\left(Q_h, K_{\lfloor h g / H \rfloor},
              V_{\lfloor h g / H \rfloor}\right)

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = torch.zeros(6, 5, 2), torch.zeros(3, 5, 2)
    >>> with alone():
    ...     causal_grouped_attention(q, k, k, deal=zigzag).shape
    torch.Size([6, 5, 2])
    """
    return _ring_attention(q, k, v, share=None, deals=[deal], group=group)


def _ring_attention(q, k, v, *, share, deals=(), group) -> Output:
    """Agree with the other ranks, then go round.

    `deals` holds the deal of a causal mask, and nothing without a mask.
    """
    ring = ring_of(group)
    try:
        leading, arrays = _arranged(q, k, v, share)
        number = sum(deal_number(each, ring.ranks) for each in deals)
    except (TypeError, ValueError):
        agree(ring, None)  # or the others would wait
        raise
    q, k, v = arrays
    learning = torch.is_grad_enabled() and any(
        each.requires_grad for each in arrays
    )
    facts = {
        "queries": q.shape[2],
        "keys": k.shape[1],
        "heads": q.shape[0] * q.shape[1],
        "groups": k.shape[0],
        "dim": k.shape[-1],
        "value_dim": v.shape[-1],
        "dtype": FLOATS.index(q.dtype),
        "whether gradients are wanted": int(learning),
        "deal": number,
    }
    told = agree(ring, facts, own=("queries", "keys"))
    plan = plan_round(ring, told["queries"], told["keys"], *deals)
    output = Rounds.apply(q, k, v, plan)
    return output.reshape(*leading, *output.shape[-2:])


def _arranged(q, k, v, share) -> tuple[tuple[int, ...], list[Tensor]]:
    """Return the output's leading axes, and arrays as `ring_blocks` wants.

    `share` is how many heads share keys, None if the arrays tell.
    """
    leading: tuple[int, ...] = ()
    for name, x in {"q": q, "k": k, "v": v}.items():
        require_real(name, x, "heads rows dim" if share is None else "")
    require_known(q)
    if share is None:
        heads, groups = q.shape[-3], k.shape[-3]
        require_equal("groups", k=groups, v=v.shape[-3])
        if not groups or heads % groups:
            raise ValueError(
                "heads must be a multiple of groups: "
                f"got heads={heads}, groups={groups}"
            )
        share, queries = heads // groups, q.shape[-2]
        q = q.unflatten(-3, (groups, share)).flatten(-3, -2)
        leading, arrays = as_heads(q, k, v)
        arrays[0] = arrays[0].unflatten(1, (share, queries))
        return (*leading[:-1], heads), arrays
    leading, arrays = as_heads(q, k, v)
    arrays[0] = arrays[0][:, None]
    return leading, arrays
