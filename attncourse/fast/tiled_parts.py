"""What `attncourse.fast.tiled` stands on: bands, threads, NaN, arguments."""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.shapes import require_broadcast, require_equal

# What readers are offered is in `tiled`.
__all__: list[str] = []

Heads = Float[Tensor, "heads rows columns"]
EVERY = 2**60  # more keys than there are
_kept = threading.local()


class Band(NamedTuple):
    """How many keys before and after its own place a query may see."""

    behind: int
    ahead: int


def share(
    work: Callable[..., None],
    arrays: Sequence[Heads],
    *,
    heads: int,
    scratch: Callable[[], Tensor],
) -> None:
    """Call `work` on a scratch tensor and the arrays, so many heads a time.

    On a CPU with several torch threads each thread takes heads of its own:
    inside of one product of small matrices they would wait for each other.
    """
    if heads >= len(arrays[0]):
        work(scratch(), *arrays)
        return
    parts = list(zip(*(each.split(heads) for each in arrays), strict=True))
    threads = min(torch.get_num_threads(), len(parts))

    def in_turn(mine: Sequence[tuple[Heads, ...]]) -> None:
        with torch.no_grad():  # a new thread would record gradients
            space = scratch()
            for part in mine:
                work(space, *part)

    if threads < 2 or arrays[0].device.type != "cpu":
        in_turn(parts)
        return
    mine = (parts[n::threads] for n in range(threads))
    list(_pool(threads).map(in_turn, mine))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return threads that stay, and with them the room that they keep.

    Each uses one torch thread, so that together they are as many as asked.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        threads, initializer=torch.set_num_threads, initargs=(1,)
    )
    meet = threading.Barrier(threads)
    list(pool.map(lambda _: meet.wait(), range(threads)))  # all have begun
    torch.set_num_threads(before)  # what later threads start with
    return pool


# A forked process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def scratch_like(x: Heads, tiles: int, scores: int) -> Tensor:
    """Return room for so many tiles; each thread keeps its last one.

    Fresh memory costs a page fault for every page, which short sequences
    feel.
    """
    kind = (torch.promote_types(x.dtype, torch.float32), x.device)
    room = getattr(_kept, "room", None)
    fits = room is not None and (room.dtype, room.device) == kind
    if room is None or not fits or room.numel() < tiles * scores:
        with torch.inference_mode(False):  # else it could not be reused
            room = torch.empty(tiles * scores, dtype=kind[0], device=kind[1])
        _kept.room = room
    return room[: tiles * scores].view(tiles, scores)


def meets(
    spoiled: Bool[Tensor, "heads keys columns"], queries: int, band: Band
) -> Bool[Tensor, "heads queries columns"]:
    """Tell for each query whether its band holds a spoiled key."""
    keys = spoiled.shape[1]
    before = torch.nn.functional.pad(spoiled.cumsum(dim=1), (0, 0, 1, 0))
    place = torch.arange(queries, device=spoiled.device) + keys - queries
    first = (place - band.behind).clamp(0, keys)
    last = (place + band.ahead + 1).clamp(0, keys)
    return before[:, last] > before[:, first]


def without_forward_poison(
    k: Heads, v: Heads, queries: int, band: Band
) -> tuple[Heads, Heads, Tensor | None]:
    """Return keys and values without NaN and inf, and what those spoil.

    Zero times NaN is NaN, so a weight of zero would not keep a forbidden
    value out of the product of matrices. Where every query sees every key
    nothing is forbidden, and nothing needs to be done.
    """
    if band.ahead == EVERY or all_finite(k, v):
        return k, v, None
    bad_k = ~torch.isfinite(k).all(dim=-1, keepdim=True)
    bad_v = ~torch.isfinite(v)
    spoiled = meets(bad_k | bad_v, queries, band)
    return k.masked_fill(bad_k, 0.0), v.masked_fill(bad_v, 0.0), spoiled


def without_backward_poison(
    arrays: Sequence[Heads], band: Band
) -> tuple[Sequence[Heads], Sequence[Tensor | None]]:
    """Return the backward pass's arrays without NaN and inf.

    `arrays` are the queries, keys, values, outputs, the outputs' gradient
    and the log-sum-exp. Also returned is where the gradients of queries,
    keys and values are spoiled, None where they are not.
    """
    *others, lse = arrays
    if band.ahead == EVERY or all_finite(*others):
        return arrays, (None, None, None)
    q, k, v, output, upstream = others
    bad_q, bad_k, bad_v, bad_output, bad_upstream = (
        ~torch.isfinite(x).all(dim=-1, keepdim=True) for x in others
    )
    columns = bad_k | bad_v
    rows = bad_q | bad_output | bad_upstream
    rows |= meets(columns, q.shape[1], band)
    rows &= lse != -math.inf  # a row that sees nothing meets nothing
    q, output, upstream = (
        x.masked_fill(rows, 0.0) for x in (q, output, upstream)
    )
    k, v = (x.masked_fill(columns, 0.0) for x in (k, v))
    lse = lse.masked_fill(rows, math.inf)  # their weights become zero
    met = meets(rows, k.shape[1], Band(band.ahead, band.behind))
    return (q, k, v, output, upstream, lse), (rows, met, met)


def all_finite(*arrays: Heads) -> bool:
    """Tell if all numbers are finite: then their sums are, unless huge."""
    return all(math.isfinite(each.sum().item()) for each in arrays)


def require_real(name: str, value: Tensor, axes: str) -> None:
    """Require a floating-point tensor with the named trailing axes."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )


def as_heads(
    q: Tensor, k: Tensor, v: Tensor
) -> tuple[tuple[int, ...], list[Heads]]:
    """Return the leading axes, and the arrays with one axis for them all."""
    named = {"q": q, "k": k, "v": v}
    for name, axes in zip(
        named, ("queries dim", "keys dim", "keys value_dim"), strict=True
    ):
        require_real(name, named[name], axes)
        if (named[name].dtype, named[name].device) != (q.dtype, q.device):
            raise TypeError(
                f"q and {name} must agree in dtype and device: got "
                f"{q.dtype} on {q.device}, "
                f"{named[name].dtype} on {named[name].device}"
            )
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    leading = tuple(q.shape[:-2])
    if not leading == k.shape[:-2] == v.shape[:-2]:
        leading = require_broadcast(
            **{name: tuple(x.shape[:-2]) for name, x in named.items()}
        )
        q, k, v = (x.expand(*leading, *x.shape[-2:]) for x in (q, k, v))
    number = math.prod(leading)
    return leading, [x.reshape(number, *x.shape[-2:]) for x in (q, k, v)]
