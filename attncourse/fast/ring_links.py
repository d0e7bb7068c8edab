"""What goes from rank to rank in `attncourse.fast.ring`, and agreement on it.

Everything here is *collective*: all ranks of the process group call it, or
those that do wait for the others until the group's timeout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float
from torch import Tensor

# The rest has no underscore for the modules next to this one.
__all__ = ["alone"]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Flat = Float[Tensor, "numbers"]


class Ring(NamedTuple):
    """A process group, and this process's place in it."""

    group: dist.ProcessGroup | None
    rank: int
    ranks: int


def ring_of(group: dist.ProcessGroup | None = None) -> Ring:
    """Return the ring of a process group, of all processes if None.

    Source: torch's own ranks; rank r passes on to rank r + 1, the last to
    the first, as in Liu et al. (2023), "Ring Attention", section 3.

    Examples
    --------
    >>> with alone():
    ...     ring_of().ranks
    1
    """
    if not dist.is_available() or not dist.is_initialized():
        raise RuntimeError(
            "a process group must be there: got none; call "
            "torch.distributed.init_process_group first"
        )
    rank = dist.get_rank(group)
    if rank < 0:
        raise ValueError(
            "this process must belong to the group: got another's group"
        )
    return Ring(group, rank, dist.get_world_size(group))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Make this process a group of one, to try things out; end it after.

    Source: bookkeeping; a ring of one, of Liu et al. (2023), "Ring
    Attention", section 3, is attention as everybody knows it.

    Examples
    --------
    >>> with alone():
    ...     torch.distributed.get_world_size()
    1
    """
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def require_known(x: Tensor) -> None:
    """Require a dtype by whose number ranks can compare theirs."""
    if x.dtype not in FLOATS:
        raise TypeError(
            f"tensors must have 16, 32 or 64 bits a number: got {x.dtype}"
        )


class Exchange:
    """Numbers on their way to the next rank, others coming from the last.

    The transfer runs while the caller computes; `wait` ends it. None and
    empty tensors are not sent: what one rank sends the next must expect.
    """

    def __init__(self, ring: Ring, sent: Flat | None, coming: Flat | None):
        self.ring, self.sent, self.coming = ring, sent, coming
        steps = []
        for act, x, way in ((dist.isend, sent, 1), (dist.irecv, coming, -1)):
            if x is not None and x.numel():
                peer = (ring.rank + way) % ring.ranks
                if ring.group is not None:
                    peer = dist.get_global_rank(ring.group, peer)
                steps.append(dist.P2POp(act, x, peer, ring.group))
        with explained(ring):
            self.works = dist.batch_isend_irecv(steps) if steps else []

    def wait(self) -> Flat | None:
        """Return what has come."""
        with explained(self.ring):
            for work in self.works:
                work.wait()
        return self.coming


def travel(
    ring: Ring,
    flat: Flat,
    *,
    sizes: Sequence[int],
    wanted: Bool[Tensor, "owners steps"],
) -> Iterator[tuple[int, Flat | None]]:
    r"""Yield whose share is here at each step, and the share.

    .. math:: \text{owner at step } s = (r - s) \bmod R

    The next share comes while the caller works on the present one.

    Parameters
    ----------
    flat : this rank's share.
    sizes : numbers in the share of each rank.
    wanted : whether anybody needs the owner's share from this step on; if
        not, it stays where it is and None is yielded.

    Source: Liu et al. (2023), section 3, "overlapping communication".

    Examples
    --------
    >>> wanted = torch.ones(1, 1, dtype=torch.bool)
    >>> with alone():
    ...     list(travel(ring_of(), torch.ones(2), sizes=[2], wanted=wanted))
    [(0, tensor([1., 1.]))]
    """
    here: Flat | None = flat
    for step in range(ring.ranks):
        owner = (ring.rank - step) % ring.ranks
        exchange = None
        if step + 1 < ring.ranks:
            left = (owner - 1) % ring.ranks
            exchange = Exchange(
                ring,
                here if wanted[owner, step + 1] else None,
                flat.new_empty(sizes[left])
                if wanted[left, step + 1]
                else None,
            )
        yield owner, here
        if exchange is not None:
            here = exchange.wait()


def agree(
    ring: Ring, facts: dict[str, int] | None, *, own: Sequence[str] = ()
) -> dict[str, list[int]]:
    """Return each fact as all ranks have it; refuse what differs.

    Parameters
    ----------
    facts : whole numbers by name, the same names everywhere; None on a
        rank that could not accept its arguments.
    own : the facts that every rank may have its own of.

    Raises
    ------
    ValueError
        On every rank, if a fact differs or a rank gave none.

    Source: bookkeeping of what Liu et al. (2023), section 3, take for
    granted.

    Examples
    --------
    >>> with alone():
    ...     agree(ring_of(), {"dim": 4})
    {'dim': [4]}
    """
    mine = [-1] * 16 if facts is None else [len(facts), *facts.values()]
    row = torch.tensor(mine + [0] * (16 - len(mine)), device=_device(ring))
    rows = [torch.empty_like(row) for _ in range(ring.ranks)]
    with explained(ring):
        dist.all_gather(rows, row, group=ring.group)
    table = torch.stack(rows).cpu()
    refused = torch.nonzero(table[:, 0] < 0).flatten().tolist()
    if facts is None:
        return {}
    if refused:
        raise ValueError(
            "every rank must accept its arguments: "
            f"got refusals on ranks {refused}"
        )
    told = dict(zip(facts, table[:, 1:].T.tolist(), strict=False))
    for name, values in told.items():
        if name not in own and len(set(values)) > 1:
            raise ValueError(f"ranks must agree in {name}: got {values}")
    return told


@contextlib.contextmanager
def explained(ring: Ring) -> Iterator[None]:
    """Say what a failed transfer means, as a RuntimeError.

    Source: bookkeeping of Liu et al. (2023), section 3.

    Examples
    --------
    >>> with explained(Ring(None, 0, 2)):
    ...     raise RuntimeError("connection closed")
    Traceback (most recent call last):
    RuntimeError: all 2 ranks must take part in every step: ...
    """
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"all {ring.ranks} ranks must take part in every step: "
            f"rank {ring.rank} waited in vain: {error}"
        ) from error


def _device(ring: Ring) -> torch.device:
    """Return where tensors of the group live."""
    if "nccl" in dist.get_backend(ring.group):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
