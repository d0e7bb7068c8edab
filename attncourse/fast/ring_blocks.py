"""One rank's queries against one rank's keys, forwards and backwards.

Queries have the axes (groups, share, rows, dim): the heads that share keys
stand side by side. Keys and values have (groups, columns, dim). Positions
ascend on every rank, so what a query may see of a share is its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# What readers are offered is in `ring`.
__all__: list[str] = []

Shared = Float[Tensor, "groups share rows dim"]
Heads = Float[Tensor, "groups columns dim"]
PerRow = Float[Tensor, "groups share rows"]
Places = Int[Tensor, "places"]
Late = Bool[Tensor, "rows columns"]

ROWS = 256  # of scores that are stored at once


class Strip(NamedTuple):
    """Some rows, and how many of the first columns they see.

    Every row sees the first `whole` columns, some row the first `some`.
    `late` is True where a row does not see one of those between, None if
    there are none.
    """

    rows: slice
    whole: int
    some: int
    late: Late | None


def strips(
    rows: int, columns: int, *, at: Places | None, held: Places | None
) -> Iterator[Strip]:
    """Yield the strips of a block that see anything.

    Parameters
    ----------
    at, held : ascending positions of rows and columns; None if every row
        sees every column. A row sees the columns up to its own position.

    Tiles that nobody sees are skipped, as by Brandon et al. (2023), "Striped
    Attention: Faster Ring Attention for Causal Transformers", section 3.

    Examples
    --------
    >>> places = torch.tensor([0, 1])
    >>> [each[:3] for each in strips(2, 2, at=places, held=places)]
    [(slice(0, 2, None), 1, 2)]
    >>> list(strips(2, 2, at=places, held=places + 2))
    []
    """
    if not columns:
        return
    if at is None or held is None:
        for top in range(0, rows, ROWS):
            yield Strip(
                slice(top, min(top + ROWS, rows)), columns, columns, None
            )
        return
    # Where the positions jump far, rows below see more than rows above.
    jumps = (torch.nonzero(at.diff() > ROWS).flatten() + 1).tolist()
    for start, stop in zip([0, *jumps], [*jumps, rows], strict=True):
        for top in range(start, stop, ROWS):
            part = slice(top, min(top + ROWS, stop))
            ends = torch.searchsorted(held, at[part], right=True)
            whole, some = int(ends[0]), int(ends[-1])
            if some:
                late = held[whole:some] > at[part, None]
                yield Strip(part, whole, some, late if whole < some else None)


def read_block(
    q: Shared, k: Heads, v: Heads, seen: tuple[Shared, PerRow], strip: Strip
) -> None:
    r"""Merge into `seen` what some keys say to a strip of queries.

    .. math:: \ell' = \log(e^{\ell} + e^{\ell_b}), \qquad
              o' = e^{\ell - \ell'} o + e^{\ell_b - \ell'} o_b

    Parameters
    ----------
    q : already scaled.
    seen : outputs so far and their log-sum-exp, changed in place; before
        the first keys zeros and minus infinity.

    Source: Liu et al. (2023), section 3; the merge is that of
    `attncourse.reference.online`.

    Examples
    --------
    >>> x, seen = torch.ones(1, 2, 1), torch.zeros(1, 1, 2, 1)
    >>> lse = torch.full((1, 1, 2), -torch.inf)
    >>> read_block(x[None], x, 7 * x, (seen, lse), Strip(slice(2), 2, 2, None))
    >>> seen.flatten().tolist()
    [7.0, 7.0]
    """
    rows, late = strip.rows, _on(strip.late, q)
    scores = _scores(q[:, :, rows], k[:, : strip.some])
    if late is not None:
        scores[..., strip.whole :].masked_fill_(late, -torch.inf)
    added = torch.logsumexp(scores, dim=-1)
    weights = scores.sub_(_finite(added)[..., None]).exp_()
    said = _read(weights, v[:, : strip.some], strip.whole, late)
    output, lse = (each[:, :, rows] for each in seen)
    both = torch.logaddexp(lse, added)
    shift = _finite(both)
    output *= (lse - shift).exp()[..., None]
    output += said * (added - shift).exp()[..., None]
    lse.copy_(both)


def read_block_backward(
    arrays: tuple[Shared, Heads, Heads, Shared],
    gradients: tuple[Shared, Heads, Heads],
    strip: Strip,
    *,
    lse: PerRow,
    inner: PerRow,
) -> None:
    r"""Add to the gradients what one block contributes.

    .. math:: P = e^{S - \ell}, \quad dS = P\,(dO\,V^\top - dO \cdot O),
              \quad dV \mathrel{+}= P^\top dO, \quad
              dQ \mathrel{+}= dS\,K, \quad dK \mathrel{+}= dS^\top Q

    Parameters
    ----------
    arrays : scaled queries, keys, values, gradient of the output.
    gradients : of scaled queries, keys and values; changed in place.
    lse, inner : of each row, the log-sum-exp and the product of output
        and its gradient.

    Source: Dao (2023), "FlashAttention-2", algorithm 2.

    Examples
    --------
    >>> x, row = torch.ones(1, 2, 1), torch.full((1, 1, 2), 2.0)
    >>> dq, dk, dv = torch.zeros(1, 1, 2, 1), torch.zeros(1, 2, 1), 0 * x
    >>> strip = Strip(slice(2), 2, 2, None)
    >>> read_block_backward(
    ...     (x[None], x, x, x[None]), (dq, dk, dv), strip, lse=row, inner=row
    ... )
    >>> torch.equal(dv, 2 * torch.exp(-torch.ones(1, 2, 1)))
    True
    """
    rows, late = strip.rows, _on(strip.late, arrays[0])
    q, upstream = (arrays[n][:, :, rows] for n in (0, 3))
    k, v = (arrays[n][:, : strip.some] for n in (1, 2))
    dq, dk, dv = gradients
    weights = _scores(q, k)
    weights.sub_(_finite(lse[:, :, rows])[..., None]).exp_()
    dscores = _scores(upstream, v).sub_(inner[:, :, rows, None])
    dscores.mul_(weights)
    if late is not None:  # after the products: a NaN would come through
        for each in (weights, dscores):
            each[..., strip.whole :].masked_fill_(late, 0.0)
    dq[:, :, rows] += _read(dscores, k, strip.whole, late)
    dk[:, : strip.some] += _collect(dscores, q, strip.whole, late)
    dv[:, : strip.some] += _collect(weights, upstream, strip.whole, late)


def _scores(q: Shared, k: Heads) -> Float[Tensor, "groups share rows columns"]:
    """Return all products of queries and keys."""
    scores = q.flatten(1, 2) @ k.mT
    return scores.unflatten(1, q.shape[1:3])


def _read(
    weights: Tensor, rows: Heads, whole: int, late: Late | None
) -> Shared:
    """Return weighted sums of keys or values, for each query.

    Zero times NaN is NaN, so a row with NaN or infinity is left out of the
    product and added after it, to the queries that see it: the others get
    the same bits whatever stands there.
    """
    bad = None if late is None else _not_finite(rows)
    if late is None or bad is None:
        return (weights.flatten(1, 2) @ rows).unflatten(1, weights.shape[1:3])
    total = _read(weights, rows.masked_fill(bad, 0.0), whole, None)
    for at in bad.any(dim=2).any(dim=0).nonzero().flatten().tolist():
        spoiled = rows[:, at].where(bad[:, at], 0.0)[:, None, None]
        added = weights[..., at, None] * spoiled
        if at >= whole:
            added.masked_fill_(late[:, at - whole, None], 0.0)
        total += added
    return total


def _collect(
    weights: Tensor, rows: Shared, whole: int, late: Late | None
) -> Heads:
    """Return weighted sums over the queries, for each key, as `_read`."""
    bad = None if late is None else _not_finite(rows)
    if late is None or bad is None:
        return weights.flatten(1, 2).mT @ rows.flatten(1, 2)
    total = _collect(weights, rows.masked_fill(bad, 0.0), whole, None)
    for at in (
        bad.any(dim=3).any(dim=1).any(dim=0).nonzero().flatten().tolist()
    ):
        spoiled = rows[:, :, at].where(bad[:, :, at], 0.0)[:, :, None]
        added = (weights[:, :, at, :, None] * spoiled).sum(dim=1)
        added[:, whole:].masked_fill_(late[at][:, None], 0.0)
        total += added
    return total


def _finite(lse: PerRow) -> PerRow:
    """Return `lse`, lifted where nothing was seen: any shift will do there."""
    return lse.clamp(min=torch.finfo(lse.dtype).min)


def _not_finite(x: Tensor) -> Bool[Tensor, "..."] | None:
    """Return where NaN and infinities are; None if nowhere."""
    if bool(torch.isfinite(x.sum())):  # then all are, and that was cheap
        return None
    bad = ~torch.isfinite(x)
    return bad if bool(bad.any()) else None


def _on(late: Late | None, x: Tensor) -> Late | None:
    return None if late is None else late.to(x.device)
