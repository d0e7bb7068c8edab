"""What comes into a step of a cache: checked, by rows, with its places.

A cache's leading axes are flattened into *rows*, one sequence each, while
it works. All that can be wrong is found here, before a cache has changed.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from attncourse.fast.cache_parts import Encode, next_positions, visible
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import require_equal

# What the caches stand on; callers meet it as a `step`.
__all__: list[str] = []


class Arrivals:
    """New queries, keys and values, checked, by rows, with their places.

    Parameters
    ----------
    q, k, v : shapes (..., heads, tokens, dim), (..., groups, tokens, dim)
        and (..., groups, tokens, value_dim).
    lengths : tokens that each row has already; None if there is no row yet.
    encode : gives positions to queries and keys; None for none.
    counts : real new tokens of each sequence; None for all.

    Source: the shapes of Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> one = torch.ones(2, 3, 5, 4)
    >>> Arrivals(one, one, one, None).positions.tolist()
    [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    """

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        lengths: Tensor | None,
        *,
        encode: Encode | None = None,
        counts: Any = None,
    ):
        _require_axes(q, k, v)
        self.batch, self.tokens = tuple(q.shape[:-3]), q.shape[-2]
        rows = math.prod(self.batch)
        if lengths is None:
            lengths = torch.zeros(rows, dtype=torch.int64)
        if len(lengths) != rows:
            raise ValueError(
                "q must have a row for each sequence of the cache: "
                f"got q {self.batch}, sequences={len(lengths)}"
            )
        self.lengths = lengths
        self.counts = whole_counts(counts, self.batch, most=self.tokens)
        # What nearly every step asks for, without an operator of torch.
        before, new = lengths.tolist(), self.counts.tolist()
        self.even = len(set(before)) == 1 and set(new) == {self.tokens}
        self.before = max(before, default=0)
        self.longest = max(map(operator.add, before, new), default=0)
        q, k, self.v = (x.reshape(rows, *x.shape[-3:]) for x in (q, k, v))
        if encode is not None:
            every = self.positions[:, None].to(q.device)
            q, k = (
                _encoded(name, x, every, encode)
                for name, x in {"q": q, "k": k}.items()
            )
        self.q, self.k = q, k

    @functools.cached_property
    def positions(self) -> Tensor:
        """Where each new token will stand, by row."""
        return next_positions(self.lengths, tokens=self.tokens)

    def real(self, last: int | None = None) -> tuple[Tensor, Tensor]:
        """Return row and place of each real new token, or the last few."""
        place = torch.arange(self.tokens)
        kept = place < self.counts[:, None]
        if last is not None:
            kept &= place >= self.counts[:, None] - last
        row, place = kept.nonzero(as_tuple=True)
        return row, place

    def mask(self, key_positions: Tensor) -> Tensor:
        """Return which keys each stacked query may read, by row."""
        seen = visible(self.positions, key_positions, counts=self.counts)
        share = self.q.shape[1] // self.k.shape[1]
        return seen.repeat(1, share, 1).to(self.q.device)

    def unstacked(self, read: Tensor) -> Tensor:
        """Return what stacked groups have read, by head, as it came."""
        heads, tokens = self.q.shape[1:3]
        by_head = read.reshape(len(read), heads, tokens, read.shape[-1])
        return self.shaped(by_head)

    def shaped(self, read: Tensor) -> Tensor:
        """Return what was read with the leading axes that came."""
        return read.reshape(*self.batch, *read.shape[1:])


def require_like(name: str, new: Tensor, held: Tensor) -> None:
    """Require new keys or values of the width, groups and type of old ones.

    Source: the shapes of Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> require_like("k", torch.ones(2, 3, 5, 4), torch.ones(2, 3, 7, 4))
    """
    if (new.shape[1], new.shape[3]) != (held.shape[1], held.shape[3]):
        raise ValueError(
            f"{name} must fit the cache, groups={held.shape[1]} and "
            f"width={held.shape[3]}: got {new.shape[1]} and {new.shape[3]}"
        )
    if (new.dtype, new.device) != (held.dtype, held.device):
        raise TypeError(
            f"{name} must have the type and device of the cache, "
            f"{held.dtype} on {held.device}: got {new.dtype} on {new.device}"
        )


def whole_counts(
    counts: Any, batch: tuple[int, ...], *, most: int | None
) -> Int[Tensor, "rows"]:
    """Return how many new tokens of each row are real, on the CPU.

    Parameters
    ----------
    counts : one number, or one for each sequence; None for `most`.
    most : how many there may be; None for any number, if counts are given.

    Source: the lengths of `reference.cache_full.extend`.

    Examples
    --------
    >>> whole_counts([[3], [0]], (2, 1), most=5).tolist()
    [3, 0]
    """
    rows = math.prod(batch)
    counts = most if counts is None else counts
    try:
        counts = torch.as_tensor(counts, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"counts must hold whole numbers: got {counts!r}"
        ) from None
    kind = counts.dtype
    if counts.numel() and (kind.is_floating_point or kind is torch.bool):
        raise TypeError(f"counts must hold whole numbers: got dtype {kind}")
    if tuple(counts.shape) not in ((), batch):
        raise ValueError(
            f"counts must have one number for each sequence {batch}: "
            f"got {tuple(counts.shape)}"
        )
    if counts.numel():
        least, highest = int(counts.min()), int(counts.max())
        if most is None and least < 0:
            raise ValueError(f"counts must be at least 0: got {least}")
        if most is not None and not 0 <= least <= highest <= most:
            raise ValueError(
                f"counts must lie between 0 and tokens={most}: "
                f"got {least} to {highest}"
            )
    return counts.to(torch.int64).expand(batch).reshape(rows)


def _encoded(name: str, x: Tensor, at: Tensor, encode: Encode) -> Tensor:
    """Return queries or keys with their positions, of the same kind."""
    y = encode(x, at)
    if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
        got = getattr(y, "dtype", type(y).__name__)
        raise ValueError(
            f"encode must keep the shape and type of {name}, "
            f"{tuple(x.shape)} and {x.dtype}: "
            f"got {tuple(getattr(y, 'shape', ()))} and {got}"
        )
    return y


def _require_axes(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, x in {"q": q, "k": k, "v": v}.items():
        require_real(name, x, "heads tokens dim")
        if x.shape[:-3] != q.shape[:-3]:
            raise ValueError(
                f"q and {name} must have the same leading axes: got "
                f"q {tuple(q.shape[:-3])}, {name} {tuple(x.shape[:-3])}"
            )
        if (x.dtype, x.device) != (q.dtype, q.device):
            raise TypeError(
                f"q and {name} must agree in dtype and device: got "
                f"{q.dtype} on {q.device}, {x.dtype} on {x.device}"
            )
    require_equal("tokens", q=q.shape[-2], k=k.shape[-2], v=v.shape[-2])
    require_equal("groups", k=k.shape[-3], v=v.shape[-3])
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    heads, groups = q.shape[-3], k.shape[-3]
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
