"""Dealing one sequence to the ranks of `attncourse.fast.ring`, and back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.ring_links import FLOATS, agree, explained, ring_of
from attncourse.reference.ring import Deal, Positions


def deal_number(deal: Deal) -> int:
    """Return a number for a deal, by which ranks can compare theirs.

    Source: bookkeeping; deals are those of `attncourse.reference.ring`.

    Examples
    --------
    >>> deal_number(max) == deal_number(min)
    False
    """
    name = getattr(deal, "__qualname__", repr(deal))
    return zlib.crc32(name.encode())


def shard(
    x: Float[Tensor, "*batch tokens dim"],
    *,
    deal: Deal,
    group: dist.ProcessGroup | None = None,
) -> Float[Tensor, "*batch _ dim"]:
    r"""Return this rank's tokens of the whole sequence.

    .. math:: X^{(r)} = X[P_r]

    Differentiable. Every rank must have the same `x`.

    Source: Liu et al. (2023), section 3.

    Examples
    --------
    >>> from attncourse.fast.ring import alone, zigzag
    >>> with alone():
    ...     shard(torch.ones(5, 3), deal=zigzag).shape
    torch.Size([5, 3])
    """
    ring = ring_of(group)
    held = deal(x.shape[-2], ranks=ring.ranks)[ring.rank]
    return x[..., torch.from_numpy(held).to(x.device), :]


def unshard(
    x: Float[Tensor, "*batch _ dim"],
    *,
    deal: Deal,
    group: dist.ProcessGroup | None = None,
) -> Float[Tensor, "*batch tokens dim"]:
    r"""Return the whole sequence on every rank; undoes `shard`.

    .. math:: X[P_r] = X^{(r)}

    It holds no gradient: it is for looking at results.

    Source: Liu et al. (2023), section 3.

    Examples
    --------
    >>> from attncourse.fast.ring import alone, zigzag
    >>> with alone():
    ...     unshard(torch.ones(5, 3), deal=zigzag).shape
    torch.Size([5, 3])
    """
    ring = ring_of(group)
    facts = {
        "tokens": x.shape[-2],
        "dtype": FLOATS.index(x.dtype),
        "dim": x.shape[-1],
        "numbers of a token": x[..., :1, :].numel() if x.shape[-2] else 0,
        "deal": deal_number(deal),
    }
    told = agree(ring, facts, own=("tokens", "numbers of a token"))
    lengths = told["tokens"]
    positions = dealt(deal, lengths, ring.ranks)
    rest = (0, 0, 0, max(lengths) - x.shape[-2])  # all send as many
    padded = torch.nn.functional.pad(x.detach(), rest).contiguous()
    parts = [torch.empty_like(padded) for _ in lengths]
    with explained(ring):
        dist.all_gather(parts, padded, group=ring.group)
    whole = torch.cat(
        [part[..., :n, :] for part, n in zip(parts, lengths, strict=True)],
        dim=-2,
    )
    order = torch.cat([torch.from_numpy(held) for held in positions])
    return whole[..., order.argsort().to(x.device), :]


def dealt(deal: Deal, lengths: Sequence[int], ranks: int) -> Positions:
    """Return the positions of each rank; refuse shards of other lengths.

    Source: bookkeeping of Liu et al. (2023), section 3.

    Examples
    --------
    >>> from attncourse.reference.ring import contiguous
    >>> dealt(contiguous, [2, 1], 2)
    [array([0, 1]), array([2])]
    """
    total = sum(lengths)
    positions = deal(total, ranks=ranks)
    want = [len(held) for held in positions]
    if list(lengths) != want:
        raise ValueError(
            f"ranks must hold {want} of {total} tokens, as dealt: "
            f"got {list(lengths)}"
        )
    return positions
