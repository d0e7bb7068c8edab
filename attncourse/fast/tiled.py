"""Tiled attention in torch: exact, differentiable, scores never stored whole.

Queries are taken ROWS at a time, and for each such strip the keys that it
may see pass by in tiles that one reused buffer holds. What the strip has
read so far is rescaled when a higher score arrives, as
`attncourse.reference.online` derives. The backward pass computes the tiles
again from the log-sum-exp of each row.

Short sequences share a tile: as many heads as fit are computed at once.
With several torch threads each takes heads of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

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
    without_backward_poison,
    without_forward_poison,
)
from attncourse.shapes import KEYS, OUTPUT, QUERIES, VALUES, count

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]
Heads = Float[Tensor, "heads rows columns"]

ROWS = 256
TILE = 256 * 2048  # scores at once: 2 MiB in single precision
LOG2_E = math.log2(math.e)


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

    The last query stands at the last key, as in `masks.causal_mask`. Tiles
    of the future are skipped. NaN in the future has no influence; a key or
    value that is not finite makes NaN of the outputs that may see it.

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
    leading, heads = as_heads(q, k, v)
    output = _Tiled.apply(*heads, band)
    return output.reshape(*leading, *output.shape[1:])


class _Tiled(torch.autograd.Function):
    """Both passes over three axes: heads, rows, columns."""

    @staticmethod
    def forward(ctx, q, k, v, band):
        wide = torch.promote_types(q.dtype, torch.float32)
        output = q.new_zeros(*q.shape[:2], v.shape[-1])
        lse = q.new_full((*q.shape[:2], 1), -math.inf, dtype=wide)
        if output.numel() and k.numel():
            work = functools.partial(_forward, band)
            _share(work, (q, k, v, output, lse), tiles=1)
        ctx.save_for_backward(q, k, v, output, lse)
        ctx.band = band
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        q, k, v, output, lse = ctx.saved_tensors
        gradients = [torch.zeros_like(each) for each in (q, k, v)]
        if output.numel() and k.numel():
            work = functools.partial(_backward, ctx.band)
            arrays = (q, k, v, output, upstream, lse, *gradients)
            _share(work, arrays, tiles=2)
        return *gradients, None


def _forward(band: Band, scratch, q, k, v, output, lse) -> None:
    """Fill in `output` and `lse`, in base two, for some heads."""
    q, k, v = (each.to(lse.dtype) for each in (q, k, v))
    q = q * (q.shape[-1] ** -0.5 * LOG2_E)  # exp2(x log2(e)) is exp(x)
    k, v, spoiled = without_forward_poison(k, v, q.shape[1], band)
    for rows, tiles in _strips(q, k, band, tiles=1):
        highest = lse[:, rows].clone()
        total = torch.zeros_like(highest)
        read = v.new_zeros(len(q), total.shape[1], v.shape[-1])
        for columns in tiles:
            p = _scores(q, k, rows, columns, band, scratch[0])
            higher = torch.maximum(highest, p.amax(dim=-1, keepdim=True))
            rescale = (highest - higher).exp2_()
            p.sub_(higher).exp2_()
            total.mul_(rescale).add_(p.sum(dim=-1, keepdim=True))
            read.mul_(rescale).baddbmm_(p, v[:, columns])
            highest = higher
        output[:, rows] = read.div_(total)
        lse[:, rows] = total.log2_().add_(highest)
    if spoiled is not None:
        output.masked_fill_(spoiled, math.nan)


def _backward(
    band: Band, scratch, q, k, v, output, upstream, lse, *sums
) -> None:
    """Fill in the gradients of `q`, `k` and `v` for some heads."""
    wide = [each.to(lse.dtype) for each in (q, k, v, output, upstream)]
    arrays, spoiled = without_backward_poison([*wide, lse], band)
    q, k, v, output, upstream, lse = arrays
    scale = q.shape[-1] ** -0.5
    q = q * (scale * LOG2_E)
    dq, dk, dv = gradients = [torch.zeros_like(each) for each in (q, k, v)]
    inner = (output * upstream).sum(dim=-1, keepdim=True)
    for rows, tiles in _strips(q, k, band, tiles=2):
        for columns in tiles:
            p = _scores(q, k, rows, columns, band, scratch[0])
            p.sub_(lse[:, rows]).exp2_()
            dv[:, columns].baddbmm_(p.mT, upstream[:, rows])
            ds = scratch[1, : p.numel()].view_as(p)
            torch.bmm(upstream[:, rows], v[:, columns].mT, out=ds)
            ds.sub_(inner[:, rows]).mul_(p)
            dq[:, rows].baddbmm_(ds, k[:, columns], alpha=scale)
            # The queries hold log2(e); its inverse takes it out again.
            dk[:, columns].baddbmm_(ds.mT, q[:, rows], alpha=1 / LOG2_E)
    for sum_, gradient, where in zip(sums, gradients, spoiled, strict=True):
        sum_.copy_(gradient)
        if where is not None:
            sum_.masked_fill_(where, math.nan)


def _scores(q, k, rows, columns, band, buffer) -> Heads:
    """Return a tile of scores in `buffer`, -inf outside of the band."""
    shape = (len(q), rows.stop - rows.start, columns.stop - columns.start)
    scores = buffer[: math.prod(shape)].view(shape)
    torch.bmm(q[:, rows], k[:, columns].mT, out=scores)
    # The column at which the first row stands.
    place = rows.start + k.shape[1] - q.shape[1] - columns.start
    if place + band.ahead + 1 < shape[2]:  # some row may not look there
        start = max(0, place + band.ahead)
        part = scores[..., start:]
        limit, _ = _limits(part, place + band.ahead - start)
        torch.minimum(part, limit, out=part)
    # Up to here some row may not look, either.
    end = min(place + shape[1] - 1 - band.behind, shape[2])
    if end > 0:
        part = scores[..., :end]
        _, limit = _limits(part, place - 1 - band.behind)
        torch.minimum(part, limit, out=part)
    return scores


def _limits(part: Heads, place: int) -> tuple[Tensor, Tensor]:
    """Return limits for scores: -inf after row + `place`, -inf up to it.

    A minimum with them is several times faster than filling by a mask.
    """
    return _made_limits(*part.shape[1:], place, part.dtype, part.device)


@functools.lru_cache(maxsize=8)  # all strips but the ends use the same ones
def _made_limits(rows, columns, place, dtype, device):
    late = torch.ones(rows, columns, device=device).triu_(place + 1) > 0
    limit = torch.full((rows, columns), math.inf, dtype=dtype, device=device)
    limit.masked_fill_(late, -math.inf)
    return limit, -limit


def _width(q: Heads, tiles: int) -> int:
    """Return the columns of a tile: few rows can take many at once."""
    return max(1, TILE // tiles // min(ROWS, q.shape[1]))


def _share(work, arrays, *, tiles: int) -> None:
    """Give each thread its heads, and room for one tile or two.

    Where keys are few, several heads share a tile.
    """
    q, k = arrays[:2]
    scores = min(ROWS, q.shape[1]) * min(_width(q, tiles), k.shape[1])
    heads = max(1, TILE // tiles // scores)
    size = min(heads, len(q)) * scores
    room = functools.partial(scratch_like, q, tiles, size)
    share(work, arrays, heads=heads, scratch=room)


def _strips(
    q: Heads, k: Heads, band: Band, *, tiles: int
) -> Iterator[tuple[slice, list[slice]]]:
    """Yield rows, and the tiles of keys that they see, the last one first.

    Every row sees a key of the last tile, so its maximum is finite from
    then on. Rows that see nothing are left out.
    """
    queries, keys, width = q.shape[1], k.shape[1], _width(q, tiles)
    past = keys - queries
    for top in range(max(0, -past - band.ahead), queries, ROWS):
        bottom = min(top + ROWS, queries)
        first = max(0, top + past - band.behind)
        last = min(keys, bottom + past + band.ahead)
        yield (
            slice(top, bottom),
            [
                slice(max(first, end - width), end)
                for end in range(last, first, -width)
            ],
        )
