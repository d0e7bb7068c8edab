"""Dealing one sequence to the ranks of `attncourse.fast.ring`, and back."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.ring_links import (
    FLOATS,
    agree,
    explained,
    require_known,
    ring_of,
)
from attncourse.fast.tiled_parts import require_real
from attncourse.reference.ring import Deal, Positions

# The rest has no underscore for the modules next to this one.
__all__ = ["shard", "unshard"]


def deal_number(deal: Deal, ranks: int) -> int:
    """Return a number for a deal, by which ranks can compare theirs.

    It tells deals apart by what they do with a short sequence.

    Examples
    --------
    >>> from attncourse.fast.ring import striped, zigzag
    >>> deal_number(striped, 2) == deal_number(zigzag, 2)
    False
    """
    if not callable(deal):
        raise TypeError(
            f"deal must be a function of length and ranks: got {deal!r}"
        )
    held = [np.asarray(each).tolist() for each in deal(4 * ranks, ranks=ranks)]
    return zlib.crc32(repr(held).encode())


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
    require_real("x", x, "tokens dim")
    deal_number(deal, ring.ranks)
    held = _positions(deal, x.shape[-2], ring.ranks)[ring.rank]
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
    try:
        require_real("x", x, "tokens dim")
        require_known(x)
        number = deal_number(deal, ring.ranks)
    except (TypeError, ValueError):
        agree(ring, None)  # or the others would wait
        raise
    facts = {
        "tokens": x.shape[-2],
        "dtype": FLOATS.index(x.dtype),
        "dim": x.shape[-1],
        "leading axes": math.prod(x.shape[:-2]),
        "deal": number,
    }
    told = agree(ring, facts, own=("tokens",))
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

    Examples
    --------
    >>> from attncourse.reference.ring import contiguous
    >>> dealt(contiguous, [2, 1], 2)
    [array([0, 1]), array([2])]
    """
    total = sum(lengths)
    positions = _positions(deal, total, ranks)
    want = [len(held) for held in positions]
    if list(lengths) != want:
        raise ValueError(
            f"ranks must hold {want} of {total} tokens, as dealt: "
            f"got {list(lengths)}"
        )
    return positions


def _positions(deal: Deal, length: int, ranks: int) -> Positions:
    """Return the positions of each rank; refuse a deal that loses some.

    Masks are cut where the positions say, so they must ascend.
    """
    positions = [
        np.asarray(held, dtype=np.int64) for held in deal(length, ranks=ranks)
    ]
    together = np.concatenate([np.zeros(0, np.int64), *positions])
    if (
        len(positions) != ranks
        or any((np.diff(held) <= 0).any() for held in positions)
        or not np.array_equal(np.sort(together), np.arange(length))
    ):
        raise ValueError(
            f"deal must give each of {length} positions to one of {ranks} "
            f"ranks, ascending: got shares of {[len(p) for p in positions]}"
        )
    return positions
