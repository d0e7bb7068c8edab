"""Key-value caches in torch: full, grouped, windowed; paged is a sibling.

What `attncourse.reference.cache` does with values is done in place here.
A cache takes its sizes, type and device from the first tokens that it
sees. It holds numbers, not graphs: until the next step, gradients reach the
queries of a step, and never its keys. If a step fails, the cache is as it
was before.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.cache_arrivals import Arrivals, require_like
from attncourse.fast.cache_paged import PagedCache
from attncourse.fast.cache_parts import (
    Encode,
    next_positions,
    read_masked,
    read_newest,
    slot_positions,
    stack_group,
    visible,
)
from attncourse.fast.cache_stack import CachedAttention, CachedDecoder
from attncourse.shapes import count

__all__ = [
    "CachedAttention",
    "CachedDecoder",
    "FullCache",
    "PagedCache",
    "WindowCache",
    "next_positions",
    "slot_positions",
    "visible",
]

HeadQueries = Float[Tensor, "*batch heads tokens dim"]
GroupKeys = Float[Tensor, "*batch groups tokens dim"]
GroupValues = Float[Tensor, "*batch groups tokens value_dim"]
HeadOutput = Float[Tensor, "*batch heads tokens value_dim"]


class _RowCache:
    """Keys and values of rows, each with places of its own."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.counted: Tensor | None = None
        self.batch: tuple[int, ...] = ()

    @property
    def lengths(self) -> Tensor:
        """How many tokens each sequence has had; on the CPU."""
        if self.counted is None:
            return torch.zeros(self.batch, dtype=torch.int64)
        return self.counted.reshape(self.batch).clone()

    @property
    def nbytes(self) -> int:
        """How many bytes the keys and values take, empty places too."""
        held = (self.keys, self.values)
        return sum(0 if x is None else x.nbytes for x in held)

    def _arrive(
        self, q: Tensor, k: Tensor, v: Tensor, encode: Any, counts: Any
    ) -> Arrivals:
        """Return what comes, checked against what is held."""
        new = Arrivals(q, k, v, self.counted, encode=encode, counts=counts)
        if self.counted is not None and new.batch != self.batch:
            raise ValueError(
                "q must have the leading axes of the cache: "
                f"got q {new.batch}, cache {self.batch}"
            )
        for name, x, held in (
            ("k", new.k, self.keys),
            ("v", new.v, self.values),
        ):
            if held is not None:
                require_like(name, x, held)
        return new

    def _held(self, places: int) -> tuple[Tensor, Tensor]:
        """Return the keys and values in the first places; views."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys[:, :, :places], self.values[:, :, :places]

    def _places(self, new: Arrivals, places: int) -> None:
        """Make sure that each row has so many places; keep what is held."""
        for name, x in (("keys", new.k), ("values", new.v)):
            held = getattr(self, name)
            if held is None or held.shape[2] < places:
                room = x.new_zeros(*x.shape[:2], places, x.shape[3])
                if held is not None:
                    room[:, :, : held.shape[2]] = held
                setattr(self, name, room)

    def _write(self, new: Arrivals, place: Any, to: Any) -> None:
        """Put the new tokens at `place` of every row in its places `to`."""
        assert self.keys is not None
        assert self.values is not None
        self.keys[:, :, to] = new.k.detach()[:, :, place]
        self.values[:, :, to] = new.v.detach()[:, :, place]
        self._count(new)

    def _write_rows(
        self, new: Arrivals, row: Tensor, place: Tensor, to: Tensor
    ) -> None:
        """Put the new tokens at `place` of `row`, one by one, in `to`."""
        assert self.keys is not None
        assert self.values is not None
        row, place, to = (x.to(new.k.device) for x in (row, place, to))
        self.keys[row, :, to] = new.k.detach()[row, :, place]
        self.values[row, :, to] = new.v.detach()[row, :, place]
        self._count(new)

    def _count(self, new: Arrivals) -> None:
        self.counted = new.lengths + new.counts
        self.batch = new.batch


class FullCache(_RowCache):
    r"""Every key and value so far, in places that double when they are full.

    .. math:: O = \mathrm{softmax}\left(q\,[K; k]^\top / \sqrt{d_k}\right)
              [V; v]

    Parameters
    ----------
    start : places of each sequence at first.
    capacity : places that it may have at most; None for no limit. With
        `start` equal to it nothing is ever moved.

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 2.4; Ainslie et al. (2023), "GQA".

    Examples
    --------
    >>> cache, one = FullCache(start=2), torch.ones(1, 1, 2)
    >>> reads = [cache.step(one, one, n * one) for n in (1, 2, 6)]
    >>> reads[-1].tolist(), cache.lengths.item(), cache.nbytes
    ([[[3.0, 3.0]]], 3, 64)
    """

    def __init__(self, *, start: int = 16, capacity: int | None = None):
        super().__init__()
        self.start = count("start", start)
        self.capacity = (
            None if capacity is None else count("capacity", capacity)
        )

    def step(
        self,
        q: HeadQueries,
        k: GroupKeys,
        v: GroupValues,
        *,
        encode: Encode | None = None,
        counts: Any = None,
    ) -> HeadOutput:
        """Return what new tokens read in the cache and themselves.

        Parameters
        ----------
        q, k, v : heads of `q` a multiple of those of `k` and `v`.
        encode : gives positions to queries and keys, for instance
            `positions.rotary`; keys are kept encoded.
        counts : real new tokens of each sequence, the first ones; None
            for all. What padding reads is zero.
        """
        new = self._arrive(q, k, v, encode, counts)
        longest = new.longest
        if self.capacity is not None and longest > self.capacity:
            raise ValueError(
                "capacity must be enough for every token: "
                f"got capacity={self.capacity}, tokens={longest}"
            )
        self._places(new, self._room(longest))
        if new.even:
            self._write(new, slice(None), slice(new.before, longest))
            return new.shaped(
                read_newest(new.q, *self._held(longest), window=None)
            )
        row, place = new.real()
        self._write_rows(new, row, place, new.positions[row, place])
        keys, values = self._held(longest)
        at = torch.arange(longest).expand(len(new.lengths), -1)
        read = read_masked(
            stack_group(new.q, groups=keys.shape[1]),
            keys,
            values,
            mask=new.mask(at)[:, None],
        )
        return new.unstacked(read)

    def _room(self, longest: int) -> int:
        """Return how many places there will be: doubled until they do."""
        held = self.start if self.keys is None else self.keys.shape[2]
        while held < longest:
            held *= 2
        return held if self.capacity is None else min(held, self.capacity)


class WindowCache(_RowCache):
    r"""The last `window` keys and values, in a ring that is written over.

    .. math:: O_i = \sum_{p_i - w < p_j \le p_i} a_{ij} v_j

    Source: Jiang et al. (2023), "Mistral 7B", section 2, rolling buffer
    cache; Beltagy et al. (2020), "Longformer", section 3.1.

    Examples
    --------
    >>> cache, one = WindowCache(window=2), torch.ones(1, 1, 1)
    >>> reads = [cache.step(one, one, n * one) for n in (1, 2, 6)]
    >>> reads[-1].item(), cache.values.flatten().tolist()
    (4.0, [6.0, 2.0])
    """

    def __init__(self, *, window: int):
        super().__init__()
        self.window = count("window", window)

    def step(
        self,
        q: HeadQueries,
        k: GroupKeys,
        v: GroupValues,
        *,
        encode: Encode | None = None,
        counts: Any = None,
    ) -> HeadOutput:
        """Return what new tokens read; see `FullCache.step`.

        They are read before the ring forgets any, so they may be more than
        the ring holds.
        """
        new = self._arrive(q, k, v, encode, counts)
        self._places(new, self.window)
        if not new.even:
            read = self._read_uneven(new)
            row, place = new.real(last=self.window)
            to = new.positions[row, place] % self.window
            self._write_rows(new, row, place, to)
            return read
        if new.tokens == 1:  # the token that it replaces is out of sight
            slot = new.before % self.window
            self._write(new, slice(None), slice(slot, slot + 1))
            held = self._held(min(new.longest, self.window))
            return new.shaped(read_newest(new.q, *held, window=None))
        read = self._read_even(new)
        first = max(new.before, new.longest - self.window)
        slots = torch.arange(first, new.longest) % self.window
        last = slice(first - new.before, None)
        self._write(new, last, slots.to(new.k.device))
        return read

    def _read_even(self, new: Arrivals) -> Tensor:
        """Return what a chunk reads, the ring put in order before it."""
        order = torch.arange(max(0, new.before - self.window), new.before)
        k, v = self._with(new, order.to(new.k.device) % self.window)
        return new.shaped(read_newest(new.q, k, v, window=self.window))

    def _read_uneven(self, new: Arrivals) -> Tensor:
        """Return what chunks of different lengths read, by position."""
        slots = slot_positions(new.lengths, window=self.window)
        at = torch.cat([slots, new.positions], dim=-1)
        near = new.positions[..., :, None] - at[..., None, :] < self.window
        share = new.q.shape[1] // new.k.shape[1]
        near = near.repeat(1, share, 1).to(new.q.device)
        mask = (new.mask(at) & near)[:, None]
        k, v = self._with(new, slice(None))
        stacked = stack_group(new.q, groups=k.shape[1])
        return new.unstacked(read_masked(stacked, k, v, mask=mask))

    def _with(self, new: Arrivals, slots: Any) -> tuple[Tensor, Tensor]:
        """Return what is held in these slots, and the new after it."""
        assert self.keys is not None
        assert self.values is not None
        return (
            torch.cat([self.keys[:, :, slots], new.k.detach()], dim=2),
            torch.cat([self.values[:, :, slots], new.v.detach()], dim=2),
        )
