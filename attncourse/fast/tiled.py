"""Tiled attention in torch: exact, differentiable, scores never stored whole.

Queries are taken some rows at a time, and for each such strip the keys that
it may see pass by in tiles that one reused buffer holds. Scores are shifted
by one score of their row; where that lets a sum overflow, online softmax
takes over, as `attncourse.reference.online` derives it. The backward pass
computes the tiles again from the log-sum-exp of each row.

Short sequences share a tile: as many heads as fit are computed at once.
With several torch threads each takes heads of its own. The two passes are
in `tiled_passes`.
"""

from __future__ import annotations

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncourse.fast.tiled_parts import (
    EVERY,
    Band,
    as_heads,
    require_real,
    scratch_like,
    share,
)
from attncourse.fast.tiled_passes import Heads, backward, forward, together
from attncourse.shapes import KEYS, OUTPUT, QUERIES, VALUES, count

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]


def attention(q: Queries, k: Keys, v: Values) -> Output:
    r"""Return attention in which every query sees every key.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `attncourse.fast.dense.attention`; memory grows with
    queries plus keys. Half types are computed in single precision. There
    is no second derivative.

    Source: Dao (2023), "FlashAttention-2", algorithms 1 and 2.

    Examples
    --------
    >>> q, k, v = torch.zeros(2, 3), torch.ones(4, 3), torch.eye(4)
    >>> attention(q, k, v)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return _banded(q, k, v, Band(EVERY, EVERY))


def causal_attention(q: Queries, k: Keys, v: Values) -> Output:
    r"""Return attention in which no query sees a later key.

    .. math:: o_i = \sum_{j \le i + n - m} a_{ij} v_j, \qquad
              a_{ij} \propto e^{q_i \cdot k_j / \sqrt{d_k}}

    with m queries and n keys: the last query stands at the last key, as in
    `masks.causal_mask`. Tiles of the future are skipped. NaN in the future
    has no influence; a key or value that is not finite makes NaN of the
    outputs that may see it.

    Source: Dao (2023), "FlashAttention-2", section 3.1.1.

    Examples
    --------
    >>> causal_attention(torch.zeros(2, 3), torch.ones(2, 3), torch.eye(2))
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    return _banded(q, k, v, Band(EVERY, 0))


def window_attention(q: Queries, k: Keys, v: Values, *, window: int) -> Output:
    r"""Return attention to the last `window` keys, a query's own included.

    Cost grows with queries times `window`: what lies outside is skipped. A
    window of all keys is `causal_attention`.

    Source: Beltagy et al. (2020), "Longformer", section 3.1; causal as in
    Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> v = torch.tensor([[2.0], [4.0], [8.0]])
    >>> window_attention(torch.zeros(3, 1), v, v, window=2).flatten().tolist()
    [2.0, 3.0, 6.0]
    """
    return _banded(q, k, v, Band(count("window", window) - 1, 0))


def grouped_attention(q: Queries, k: Keys, v: Values) -> Output:
    """Return attention in which neighbouring heads share keys and values.

    The queries of all heads of a group stand below one another, so that a
    key is read once for all of them. This is the attention of one new
    token to a cache of `groups` heads.

    Parameters
    ----------
    q : shape (..., heads, queries, dim), heads a multiple of groups.
    k, v : shapes (..., groups, keys, dim) and (..., groups, keys, value_dim).

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = torch.zeros(6, 5, 2), torch.zeros(3, 7, 2)
    >>> grouped_attention(q, k, k).shape
    torch.Size([6, 5, 2])
    """
    for name, x in {"q": q, "k": k, "v": v}.items():
        require_real(name, x, "heads rows dim")
    heads, groups = q.shape[-3], k.shape[-3]
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    stacked = q.unflatten(-3, (groups, heads // groups)).flatten(-3, -2)
    read = attention(stacked, k, v)
    shared = read.unflatten(-2, (heads // groups, q.shape[-2]))
    return shared.flatten(-4, -3)


def _banded(q: Queries, k: Keys, v: Values, band: Band) -> Output:
    leading, (q, k, v) = as_heads(q, k, v)
    learning = any(x.requires_grad for x in (q, k, v))
    if learning and torch.is_grad_enabled():
        output = _Tiled.apply(q, k, v, band)
    else:
        output, _ = _read(q, k, v, band)
    return output.view(*leading, *output.shape[1:])


def _read(q, k, v, band: Band) -> tuple[Heads, Heads]:
    """Return the output, and the log-sum-exp of each row."""
    wide = torch.promote_types(q.dtype, torch.float32)
    output = q.new_zeros(*q.shape[:2], v.shape[-1])
    lse = q.new_full((*q.shape[:2], 1), -math.inf, dtype=wide)
    if output.numel() and k.numel():
        work = functools.partial(forward, band)
        _share(work, (q, k, v, output, lse), tiles=1)
    return output, lse


class _Tiled(torch.autograd.Function):
    """Both passes over three axes: heads, rows, columns."""

    @staticmethod
    def forward(ctx, q, k, v, band):
        output, lse = _read(q, k, v, band)
        ctx.save_for_backward(q, k, v, output, lse)
        ctx.band = band
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        q, k, v, output, lse = ctx.saved_tensors
        gradients = [torch.zeros_like(each) for each in (q, k, v)]
        if output.numel() and k.numel():
            work = functools.partial(backward, ctx.band)
            arrays = (q, k, v, output, upstream, lse, *gradients)
            _share(work, arrays, tiles=2)
        return *gradients, None


def _share(work, arrays, *, tiles: int) -> None:
    """Give each thread its heads, and room for one tile or two."""
    q, k = arrays[:2]
    heads, scores = together(q, k, tiles)
    room = functools.partial(scratch_like, q, tiles, scores)
    share(work, arrays, heads=heads, scratch=room)
