"""What the caches share: places, masks, and reading without repeating keys.

A cache's leading axes are flattened into *rows*, one sequence each, while
it works. Lengths stay on the CPU: which tensors to make depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attncourse.fast import dense, tiled
from attncourse.shapes import count, require_equal

Rows = Float[Tensor, "rows heads tokens dim"]
Lengths = Int[Tensor, "*batch"]
# From queries or keys and their positions to the same, turned.
Encode = Callable[[Tensor, Tensor], Tensor]


def next_positions(
    lengths: Lengths, *, tokens: int
) -> Int[Tensor, "*batch tokens"]:
    r"""Return where the next tokens of each sequence will stand.

    .. math:: p_{bi} = \ell_b + i

    Source: Su et al. (2024), "RoFormer", section 3.2: a position belongs
    to a token, wherever it is kept.

    Examples
    --------
    >>> next_positions(torch.tensor([5, 0]), tokens=2).tolist()
    [[5, 6], [0, 1]]
    """
    tokens = count("tokens", tokens, least=0)
    return lengths[..., None] + torch.arange(tokens, device=lengths.device)


def visible(
    positions: Int[Tensor, "*batch queries"],
    key_positions: Int[Tensor, "*batch keys"],
    *,
    counts: Lengths,
) -> Bool[Tensor, "*batch queries keys"]:
    r"""Return which keys the queries of a step may read.

    .. math:: M_{bij} = [\, 0 \le p^K_{bj} \le p_{bi} \,]\,[\, i < c_b \,]

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, for positions instead of places.

    Examples
    --------
    >>> at, keys = torch.tensor([4, 5]), torch.tensor([5, 3, -1])
    >>> visible(at, keys, counts=torch.tensor(2)).int().tolist()
    [[0, 1, 0], [1, 1, 0]]
    """
    at, key = positions[..., :, None], key_positions[..., None, :]
    row = torch.arange(at.shape[-2], device=at.device)[:, None]
    return (key >= 0) & (key <= at) & (row < counts[..., None, None])


def slot_positions(
    lengths: Lengths, *, window: int
) -> Int[Tensor, "*batch window"]:
    r"""Return the position that each slot of a ring holds; negative if none.

    .. math:: p_s = \ell - 1 - \big((\ell - 1 - s) \bmod w\big)

    Source: Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> slot_positions(torch.tensor([5, 2]), window=3).tolist()
    [[3, 4, 2], [0, 1, -1]]
    """
    last = lengths[..., None] - 1
    slots = torch.arange(count("window", window), device=lengths.device)
    return last - (last - slots) % window


def stack_group(q: Rows, *, groups: int) -> Rows:
    """Return the heads of each group below one another, (rows, groups, ...).

    So a key is read once for all heads that share it, and never repeated.

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> stack_group(torch.ones(2, 6, 5, 4), groups=3).shape
    torch.Size([2, 3, 10, 4])
    """
    return q.unflatten(1, (groups, -1)).flatten(2, 3)


def read_masked(
    q: Float[Tensor, "*#batch queries dim"],
    k: Float[Tensor, "*#batch keys dim"],
    v: Float[Tensor, "*#batch keys value_dim"],
    *,
    mask: Bool[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "*#batch queries value_dim"]:
    r"""Return `dense.attention`, half types in single precision.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k}\right) V

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> one = torch.ones(3, 2).half()
    >>> read_masked(one, one, one, mask=torch.ones(3, 3) > 0).dtype
    torch.float16
    """
    inner = torch.promote_types(q.dtype, torch.float32)
    wide = (x.to(inner) for x in (q, k, v))
    return dense.attention(*wide, mask=mask).to(q.dtype)


def read_newest(q: Rows, k: Rows, v: Rows, *, window: int | None) -> Rows:
    r"""Return what the newest tokens read, all rows being of one length.

    .. math:: O_i = \sum_{p_i - w < p_j \le p_i} a_{ij} v_j

    One token sees every key that is given; several see those up to their
    own place, the last `window` of them (None for all).

    Source: Dao (2023), "FlashAttention-2", section 3; Ainslie et al.
    (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = torch.ones(2, 6, 5, 4), torch.ones(2, 3, 7, 4)
    >>> read_newest(q, k, k, window=None).shape
    torch.Size([2, 6, 5, 4])
    """
    if q.shape[2] == 1:
        return tiled.grouped_attention(q, k, v)
    grouped = q.unflatten(1, (k.shape[1], -1))
    parts = [
        tiled.causal_attention(each, k, v)
        if window is None
        else tiled.window_attention(each, k, v, window=window)
        for each in grouped.unbind(dim=2)
    ]
    return torch.stack(parts, dim=2).flatten(1, 2)


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
        self.batch, tokens = tuple(q.shape[:-3]), q.shape[-2]
        rows = math.prod(self.batch)
        if lengths is None:
            lengths = torch.zeros(rows, dtype=torch.int64)
        if len(lengths) != rows:
            raise ValueError(
                "q must have a row for each sequence of the cache: "
                f"got q {self.batch}, sequences={len(lengths)}"
            )
        self.lengths, self.counts = lengths, _counts(counts, rows, tokens)
        self.positions = next_positions(lengths, tokens=tokens)
        q, k, self.v = (x.reshape(rows, *x.shape[-3:]) for x in (q, k, v))
        if encode is not None:
            every = self.positions[:, None].to(q.device)
            q, k = encode(q, every), encode(k, every)
        self.q, self.k = q, k

    @property
    def even(self) -> bool:
        """Whether all rows have one length and none has padding."""
        full = bool((self.counts == self.q.shape[2]).all())
        return full and len(self.lengths.unique()) <= 1

    def real(self, last: int | None = None) -> tuple[Tensor, Tensor]:
        """Return row and place of each real new token, or the last few."""
        place = torch.arange(self.q.shape[2])
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


def _require_axes(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, x in {"q": q, "k": k, "v": v}.items():
        if not x.is_floating_point():
            raise TypeError(
                f"{name} must be a floating-point tensor: got {x.dtype}"
            )
        if x.ndim < 3:
            raise ValueError(
                f"{name} must have axes (..., heads, tokens, dim): "
                f"got shape {tuple(x.shape)}"
            )
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
    heads, groups = q.shape[-3], k.shape[-3]
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )


def _counts(counts: Any, rows: int, tokens: int) -> Tensor:
    """Return how many new tokens of each row are real, on the CPU."""
    if counts is None:
        return torch.full((rows,), tokens)
    counts = torch.as_tensor(counts, device="cpu").flatten()
    if counts.is_floating_point() or counts.dtype is torch.bool:
        raise TypeError(
            f"counts must hold whole numbers: got dtype {counts.dtype}"
        )
    if len(counts) != rows:
        raise ValueError(
            "counts must have one number for each sequence: "
            f"got {len(counts)}, sequences={rows}"
        )
    if rows and not 0 <= int(counts.min()) <= int(counts.max()) <= tokens:
        raise ValueError(
            f"counts must lie between 0 and tokens={tokens}: "
            f"got {int(counts.min())} to {int(counts.max())}"
        )
    return counts.to(torch.int64)
