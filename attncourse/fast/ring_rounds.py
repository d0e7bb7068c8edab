"""The rounds of `attncourse.fast.ring`, forwards and backwards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncourse.fast.ring_blocks import (
    Places,
    Strip,
    read_block,
    read_block_backward,
    strips,
)
from attncourse.fast.ring_links import Exchange, Flat, Ring, travel
from attncourse.fast.ring_shards import dealt
from attncourse.reference.ring import Deal

# What readers are offered is in `ring`.
__all__: list[str] = []


class Plan(NamedTuple):
    """Where everything is: the ring, and the positions of each rank.

    `keys` counts the keys of each rank; `at` and `held` are the positions
    of each rank's queries and keys, None where everybody sees everything.
    """

    ring: Ring
    keys: list[int]
    at: list[Places] | None = None
    held: list[Places] | None = None


def plan_round(
    ring: Ring, queries: list[int], keys: list[int], deal: Deal | None = None
) -> Plan:
    """Return where everything is, from the lengths of all shares.

    Examples
    --------
    >>> plan_round(Ring(None, 0, 2), [3, 4], [5, 6]).keys
    [5, 6]
    """
    if deal is None:
        return Plan(ring, keys)
    at, held = (
        [torch.from_numpy(each) for each in dealt(deal, each, ring.ranks)]
        for each in (queries, keys)
    )
    past = sum(keys) - sum(queries)  # the last query stands at the last key
    return Plan(ring, keys, [each + past for each in at], held)


def _wanted(plan: Plan) -> Bool[Tensor, "owners steps"]:
    """Return whether anybody reads a share at this step or a later one."""
    ranks = plan.ring.ranks
    reads = torch.ones(ranks, ranks, dtype=torch.bool)
    if plan.at is not None and plan.held is not None:
        for owner, held in enumerate(plan.held):
            for step in range(ranks):
                at = plan.at[(owner + step) % ranks]
                full = len(at) > 0 and len(held) > 0
                reads[owner, step] = full and bool(at[-1] >= held[0])
    return reads.flip(1).cummax(dim=1).values.flip(1)


def _strips(plan: Plan, rows: int, owner: int) -> Iterator[Strip]:
    at = None if plan.at is None else plan.at[plan.ring.rank]
    held = None if plan.held is None else plan.held[owner]
    return strips(rows, plan.keys[owner], at=at, held=held)


class Rounds(torch.autograd.Function):
    """Both rounds, over queries (groups, share, rows, dim)."""

    @staticmethod
    def forward(ctx, q, k, v, plan):
        wide = torch.promote_types(q.dtype, torch.float32)
        output = q.new_zeros(*q.shape[:-1], v.shape[-1], dtype=wide)
        lse = q.new_full(q.shape[:-1], -math.inf, dtype=wide)
        scaled = q.to(wide) * q.shape[-1] ** -0.5
        for owner, keys, values in _shares(plan, k, v):
            share = keys.to(wide), values.to(wide)
            for strip in _strips(plan, q.shape[2], owner):
                read_block(scaled, *share, (output, lse), strip)
        output = output.to(q.dtype)
        ctx.save_for_backward(q, k, v, output, lse)
        ctx.plan = plan
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        q, k, v, output, lse = ctx.saved_tensors
        plan, scale = ctx.plan, q.shape[-1] ** -0.5
        ring, wide = plan.ring, lse.dtype
        scaled, upstream = q.to(wide) * scale, upstream.to(wide)
        inner = (output * upstream).sum(dim=-1)
        dq = torch.zeros_like(scaled)
        coming: Exchange | None = None
        room = scaled.new_empty(0)
        for owner, keys, values in _shares(plan, k, v):
            change = k.new_zeros(_numbers(k, v, plan.keys[owner]), dtype=wide)
            dk, dv = _unpacked(change, k, v, plan.keys[owner])
            share = keys.to(wide), values.to(wide)
            for strip in _strips(plan, q.shape[2], owner):
                read_block_backward(
                    (scaled, *share, upstream),
                    (dq, dk, dv),
                    strip,
                    lse=lse,
                    inner=inner,
                )
            if coming is not None:  # what the ranks before have added up
                coming.wait()
                change += room
            room = change
            if ring.ranks > 1:
                left = plan.keys[(owner - 1) % ring.ranks]
                room = change.new_empty(_numbers(k, v, left))
                coming = Exchange(ring, change, room)
        if coming is not None:
            coming.wait()
        dk, dv = _unpacked(room, k, v, k.shape[1])
        return (dq * scale).to(q.dtype), dk.to(k.dtype), dv.to(v.dtype), None


def _shares(
    plan: Plan, k: Tensor, v: Tensor
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield each rank's keys and values; none that nobody needs."""
    flat = torch.cat([k.reshape(-1), v.reshape(-1)])
    sizes = [_numbers(k, v, keys) for keys in plan.keys]
    wanted = _wanted(plan)
    for owner, share in travel(plan.ring, flat, sizes=sizes, wanted=wanted):
        keys = 0 if share is None else plan.keys[owner]
        yield owner, *_unpacked(flat if share is None else share, k, v, keys)


def _numbers(k: Tensor, v: Tensor, keys: int) -> int:
    """Return the numbers of a share of so many keys."""
    return k.shape[0] * keys * (k.shape[-1] + v.shape[-1])


def _unpacked(
    flat: Flat, k: Tensor, v: Tensor, keys: int
) -> tuple[Tensor, Tensor]:
    """Return views of the keys and values in one message."""
    cut = k.shape[0] * keys * k.shape[-1]
    end = cut + v.shape[0] * keys * v.shape[-1]
    return (
        flat[:cut].view(k.shape[0], keys, k.shape[-1]),
        flat[cut:end].view(v.shape[0], keys, v.shape[-1]),
    )
