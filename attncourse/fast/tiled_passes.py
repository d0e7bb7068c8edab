"""Both passes of tiled attention, for some heads at a time.

Powers of two stand for powers of e, because they are faster: scores are in
base two, 2^(s log2(e)) = e^s, and so are the log-sum-exps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.tiled_parts import (
    Band,
    all_finite,
    without_backward_poison,
    without_forward_poison,
)

# What readers are offered is in `tiled`.
__all__: list[str] = []

Heads = Float[Tensor, "heads rows columns"]
Tiles = list[slice]
Read = tuple[Heads, Heads, Heads]  # weighted sum, sum of weights, shift

ROWS = 256
TILE = 256 * 2048  # scores at once: 2 MiB in single precision
SMALL = 256 * 512  # scores of a head that may share a tile, see `forward`
LINE = 16  # numbers in single precision that fill a cache line
LOG2_E = math.log2(math.e)


def forward(band: Band, room: Tensor, q, k, v, output, lse) -> None:
    r"""Fill in `output` and `lse` for the given heads.

    .. math:: o_i = \frac{\sum_j e^{s_{ij} - c_i} v_j}{\sum_j e^{s_{ij}
              - c_i}}, \qquad \ell_i = c_i + \log \sum_j e^{s_{ij} - c_i}

    Any shift c will do that lets nothing overflow and leaves one weight
    that is not small. Where all keys fit one tile it is the highest score;
    else the score of one key that the query sees. The running maximum of
    online softmax is sought for strips in which that has overflowed.
    """
    if (blind := _blind(q, k, band)) > 0:
        q, output, lse = (x[:, blind:] for x in (q, output, lse))
    if q.dtype != lse.dtype:
        q, k, v = (each.to(lse.dtype) for each in (q, k, v))
    k, v, spoiled = without_forward_poison(k, v, q.shape[1], band)
    if q.shape[1] <= ROWS and q.shape[1] * k.shape[1] <= min(SMALL, TILE):
        every = slice(0, q.shape[1]), slice(0, k.shape[1])
        read, total, shift = _at_once(_scores(q, k, *every, band, room), v)
    else:
        read = output.to(lse.dtype)
        total, shift = _in_strips(band, room, q, k, v, read)
    output.copy_(read.div_(total))
    torch.add(total.log2_(), shift, out=lse)
    if spoiled is not None:
        output.masked_fill_(spoiled, math.nan)


def _in_strips(band: Band, room: Tensor, q, k, v, read) -> list[Heads]:
    """Add up in `read` what the rows read, a strip of them at a time."""
    total, shift = torch.zeros_like(read[..., :1]), _own_scores(q, k)
    again = []
    for rows, tiles in strips(q, k, band, width=width(q, 1)):
        part = (read[:, rows], total[:, rows], shift[:, rows])
        scores = functools.partial(_scores, q, k, rows, band=band, room=room)
        columns = tiles[0]
        few = columns.stop - columns.start <= SMALL // (rows.stop - rows.start)
        if len(tiles) == 1 and few:
            found = _at_once(scores(columns), v[:, columns])
            for whole, piece in zip(part, found, strict=True):
                whole.copy_(piece)
        else:
            _shifted(scores, tiles, v, *part)
            again.append((scores, tiles, v, *part))
    if again and not all_finite(read, total):
        for each in again:
            _rescaled(*each)
    return [total, shift]


def _at_once(p: Heads, v: Heads) -> Read:
    """Return what rows read whose scores `p` stand in one tile."""
    highest = p.amax(dim=-1, keepdim=True)
    p.sub_(highest).exp2_()
    return torch.bmm(p, v), p.sum(dim=-1, keepdim=True), highest


def _shifted(
    scores, tiles: Tiles, v: Heads, read: Heads, total: Heads, shift: Heads
) -> None:
    """Add up what rows read, every score less the given shift of its row.

    No maximum is sought and nothing rescaled; a row whose scores are far
    above the shift overflows.
    """
    minus = shift.neg()
    for columns in tiles:
        p = scores(columns, minus_shift=minus).exp2_()
        total.add_(p.sum(dim=-1, keepdim=True))
        read.baddbmm_(p, v[:, columns])


def _rescaled(
    scores, tiles: Tiles, v: Heads, read: Heads, total: Heads, shift: Heads
) -> None:
    """Fill in what rows read that overflowed, by online softmax."""
    overflowed = ~torch.isfinite(read.sum(dim=-1, keepdim=True) + total)
    highest = torch.full_like(shift, -math.inf)
    sums, reads = torch.zeros_like(total), torch.zeros_like(read)
    for columns in tiles:
        p = scores(columns)
        higher = torch.maximum(highest, p.amax(dim=-1, keepdim=True))
        rescale = (highest - higher).exp2_()
        p.sub_(higher).exp2_()
        sums.mul_(rescale).add_(p.sum(dim=-1, keepdim=True))
        reads.mul_(rescale).baddbmm_(p, v[:, columns])
        highest = higher
    # What the other rows hold keeps its bits.
    for old, new in ((read, reads), (total, sums), (shift, highest)):
        old.copy_(torch.where(overflowed, new, old))


def backward(
    band: Band, room: Tensor, q, k, v, output, upstream, lse, *sums
) -> None:
    """Fill in the gradients of `q`, `k` and `v` for the given heads.

    The sums over the rows of a tile are products of few rows with the
    tile, never of the transposed tile with few columns, which is slower.
    """
    blind = _blind(q, k, band)
    of_queries = (q, output, upstream, lse, sums[0])
    q, output, upstream, lse, dq = (x[:, blind:] for x in of_queries)
    wide = [each.to(lse.dtype) for each in (q, k, v, output, upstream)]
    arrays, spoiled = without_backward_poison([*wide, lse], band)
    q, k, v, output, upstream, lse = arrays
    scale = q.shape[-1] ** -0.5
    own_dq = torch.zeros_like(q)
    turned_k, turned_v = (x.new_zeros(x.mT.shape) for x in (k, v))
    minus_lse = lse.neg()
    minus_inner = (output * upstream).sum(dim=-1, keepdim=True).neg_()
    for rows, tiles in strips(q, k, band, width=width(q, 2)):
        mine, up, of_q = q[:, rows], upstream[:, rows], own_dq[:, rows]
        shift, inner = minus_lse[:, rows], minus_inner[:, rows]
        for columns in tiles:
            p = _scores(q, k, rows, columns, band, room, shift).exp2_()
            turned_v[..., columns].baddbmm_(up.mT, p)
            ds = _tile(room[1], p.shape)
            torch.baddbmm(inner, up, v[:, columns].mT, out=ds).mul_(p)
            of_q.baddbmm_(ds, k[:, columns], alpha=scale)
            turned_k[..., columns].baddbmm_(mine.mT, ds, alpha=scale)
    gradients = (own_dq, turned_k.mT, turned_v.mT)
    filled = (dq, *sums[1:])
    for sum_, gradient, where in zip(filled, gradients, spoiled, strict=True):
        sum_.copy_(gradient)
        if where is not None:
            sum_.masked_fill_(where, math.nan)


def _scores(q, k, rows, columns, band, room, minus_shift=None) -> Heads:
    """Return a tile of scores less a shift, -inf outside of the band."""
    shape = (len(q), rows.stop - rows.start, columns.stop - columns.start)
    scores = _tile(room[0], shape)
    torch.baddbmm(
        scores if minus_shift is None else minus_shift,
        q[:, rows],
        k[:, columns].mT,
        beta=0 if minus_shift is None else 1,
        alpha=q.shape[-1] ** -0.5 * LOG2_E,
        out=scores,
    )
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


def _tile(room: Tensor, shape: tuple[int, ...]) -> Heads:
    """Return a tile in `room`, a head's bits not depending on its place.

    A product adds up in another order where it is written to another
    offset of a cache line, and an exponential is rounded otherwise at the
    end of a run of numbers. So each head starts a line, and is a run.
    """
    _, rows, columns = shape
    strides = (_padded(rows * columns), columns, 1)
    return room.as_strided(shape, strides, room.storage_offset())


def _padded(numbers: int) -> int:
    """Return the next multiple of `LINE`; always a larger number."""
    return (numbers // LINE + 1) * LINE


def _own_scores(q: Heads, k: Heads) -> Heads:
    """Return the score of the key at each query's place, or of the first."""
    past = k.shape[1] - q.shape[1]
    # With fewer keys than queries, these all see every key.
    own = k[:, past:] if past >= 0 else k[:, :1]
    scores = (q * own).sum(dim=-1, keepdim=True)
    return scores.mul_(q.shape[-1] ** -0.5 * LOG2_E)


def _blind(q: Heads, k: Heads, band: Band) -> int:
    """Return how many of the first rows see nothing, because keys are few."""
    return max(0, q.shape[1] - k.shape[1] - band.ahead)


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


def width(q: Heads, tiles: int) -> int:
    """Return the columns of a tile: few rows can take many at once."""
    return max(1, TILE // tiles // min(ROWS, q.shape[1]))


def together(q: Heads, k: Heads, tiles: int) -> tuple[int, int]:
    """Return how many heads share a tile, and the scores it has room for."""
    rows = min(ROWS, q.shape[1])
    scores = _padded(rows * min(width(q, tiles), k.shape[1]))
    if scores > SMALL:
        return 1, scores
    heads = min(len(q), max(1, TILE // tiles // scores))
    return heads, heads * scores


def strips(
    q: Heads, k: Heads, band: Band, *, width: int
) -> Iterator[tuple[slice, list[slice]]]:
    """Yield rows, and the tiles of keys that they see, the last one first.

    As long as a tile is no narrower than a strip is high, every row sees a
    key of the last one, so that its maximum is finite from then on.
    """
    queries, keys = q.shape[1], k.shape[1]
    past = keys - queries
    for top in range(0, queries, ROWS):
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
