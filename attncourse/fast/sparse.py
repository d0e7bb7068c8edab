"""Sparse attention in torch: only the tiles that a layout keeps.

The contracts of `attncourse.reference.sparse`, whose layouts serve here as
well. For each row of tiles the kept keys are gathered side by side and met
by one product of matrices, for all heads of one layout; the backward pass
computes the scores again from the log-sum-exp of each query. Time grows
with the kept tiles, memory with queries plus keys. A head or an example has
the same bits alone and among others. There is no second derivative.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncourse.fast.sparse_parts import (
    Layout,
    Piece,
    Strips,
    add,
    by_layout,
    checked_layout,
    in_lines,
    take,
    without_backward_poison,
    without_forward_poison,
)
from attncourse.fast.tiled_parts import EVERY, as_heads, scratch_like, share
from attncourse.shapes import KEYS, OUTPUT, QUERIES, VALUES

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]
Heads = Float[Tensor, "heads rows columns"]

TILE = 256 * 2048  # scores at once: 2 MiB in single precision
LOG2_E = math.log2(math.e)
# No head may depend on those beside it, to the last bit. But torch computes
# the last numbers of an `exp2_`, fewer than these, in another way; so rows of
# scores start at multiples of them, and where there are none `exp_` serves.
TAIL = 32


def attention(
    q: Queries, k: Keys, v: Values, layout: Layout, *, block: int
) -> Output:
    r"""Return attention to the keys in the tiles that `layout` keeps.

    .. math:: O = \mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d_k}}
              + \log M\right) V, \qquad
              M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}

    Parameters
    ----------
    layout : boolean, shape (..., rows, columns); leading axes broadcast,
        so heads may have layouts of their own. A NumPy layout will do.
    block : queries, and keys, of a tile.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", sections 4.2 and 5.5.

    Examples
    --------
    >>> q, k, v = torch.zeros(4, 1), torch.ones(4, 1), torch.eye(4)
    >>> attention(q, k, v, torch.eye(2) > 0, block=2)[3].tolist()
    [0.0, 0.0, 0.5, 0.5]
    """
    return _sparse(q, k, v, layout, block, EVERY)


def causal_attention(
    q: Queries, k: Keys, v: Values, layout: Layout, *, block: int
) -> Output:
    r"""Return `attention` in which, besides, no query sees a later key.

    .. math:: M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}
              \wedge [\, j \le i + m - n \,]

    The last query stands at the last key, whatever the layout. A query
    that sees nothing gets zeros; NaN in the future has no influence.

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", sections 4.2 and 5.5.

    Examples
    --------
    >>> q, k, v = torch.zeros(4, 1), torch.ones(4, 1), torch.eye(4)
    >>> causal_attention(q, k, v, torch.eye(2) > 0, block=2)[2].tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    return _sparse(q, k, v, layout, block, 0)


def _sparse(
    q: Queries, k: Keys, v: Values, layout: Any, block: int, ahead: int
) -> Output:
    leading, _ = as_heads(q, k, v)
    sizes = {"queries": q.shape[-2], "keys": k.shape[-2], "block": block}
    layout, leading = checked_layout(layout, leading, sizes)
    layout = layout.to(q.device)
    q = q.expand(*leading, *q.shape[-2:])
    _, heads = as_heads(q, k, v)
    width = max(1, TILE // 2 // min(block, max(1, q.shape[-2])))
    parts = [
        (which, Strips(each, q.shape[-2], k.shape[-2], block, ahead, width))
        for which, each in by_layout(layout, leading)
    ]
    output = _Sparse.apply(*heads, parts)
    return output.reshape(*leading, *output.shape[1:])


class _Sparse(torch.autograd.Function):
    """Both passes over three axes: heads, rows, columns."""

    @staticmethod
    def forward(ctx, q, k, v, parts):
        wide = torch.promote_types(q.dtype, torch.float32)
        output = q.new_zeros(*q.shape[:2], v.shape[-1])
        lse = q.new_full((*q.shape[:2], 1), math.inf, dtype=wide)
        if output.numel() and k.numel():
            _for_each_layout(_forward, parts, (q, k, v), (output, lse))
        ctx.save_for_backward(q, k, v, output, lse)
        ctx.parts = parts
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        q, k, v, output, lse = ctx.saved_tensors
        gradients = [torch.zeros_like(each) for each in (q, k, v)]
        if output.numel() and k.numel():
            inputs = (q, k, v, output, upstream, lse)
            _for_each_layout(_backward, ctx.parts, inputs, gradients)
        return *gradients, None


def _for_each_layout(work, parts, inputs, outputs) -> None:
    """Fill in the outputs, for the heads of each layout at once."""
    for heads, strips in parts:
        mine = [x if heads is None else x[heads] for x in (*inputs, *outputs)]
        widest = int(strips.layout.sum(dim=-1).max()) * strips.block
        columns = min(widest, strips.width, strips.keys)
        scores = min(strips.block, strips.queries) * _pitch(columns)
        if not scores:
            continue
        together = min(max(1, TILE // 2 // scores), len(mine[0]))
        room = functools.partial(scratch_like, mine[0], 2, together * scores)
        share(
            functools.partial(work, strips), mine, heads=together, scratch=room
        )
        if heads is not None:
            for whole, part in zip(outputs, mine[len(inputs) :], strict=True):
                whole[heads] = part


def _forward(strips: Strips, scratch, q, k, v, output, lse) -> None:
    """Fill in `output` and `lse`, in base two, for some heads.

    A row that sees nothing keeps its zeros, and its infinite `lse`.
    """
    q, k, v = (each.to(lse.dtype) for each in (q, k, v))
    q = q * (q.shape[-1] ** -0.5 * LOG2_E)  # exp2(x log2(e)) is exp(x)
    k, v, spoiled = without_forward_poison(k, v, q.shape[1], strips)
    q, k, v = (in_lines(each) for each in (q, k, v))
    lowest = torch.finfo(lse.dtype).min
    for rows, pieces in strips:
        highest = torch.full_like(lse[:, rows], lowest)
        total = torch.zeros_like(highest)
        read = v.new_zeros(len(q), total.shape[1], v.shape[-1])
        for piece in pieces:
            p = _scores(q[:, rows], k, piece, scratch[0])
            higher = torch.maximum(highest, p.amax(dim=-1, keepdim=True))
            rescale = (highest - higher).div_(LOG2_E).exp_()
            p.sub_(higher).exp2_()
            total.mul_(rescale).add_(p.sum(dim=-1, keepdim=True))
            read.mul_(rescale).baddbmm_(p, take(v, piece.at))
            highest = higher
        # The highest score adds one: a total below one is that of nothing.
        read = read[..., : output.shape[-1]]
        output[:, rows] = read.div_(total.clamp(min=1.0))
        found = total.log().mul_(LOG2_E).add_(highest)
        lse[:, rows] = found.masked_fill_(total == 0, math.inf)
    if spoiled is not None:
        output.masked_fill_(spoiled, math.nan)


def _backward(
    strips: Strips, scratch, q, k, v, output, upstream, lse, *sums
) -> None:
    """Fill in the gradients of `q`, `k` and `v` for some heads."""
    wide = [each.to(lse.dtype) for each in (q, k, v, output, upstream)]
    arrays, spoiled = without_backward_poison([*wide, lse], strips)
    q, k, v, output, upstream, lse = arrays
    inner = (output * upstream).sum(dim=-1, keepdim=True)
    scale = q.shape[-1] ** -0.5
    q, k, v, upstream = (
        in_lines(each) for each in (q * (scale * LOG2_E), k, v, upstream)
    )
    dq, dk, dv = gradients = [torch.zeros_like(each) for each in (q, k, v)]
    for rows, pieces in strips:
        above, place = upstream[:, rows], lse[:, rows]
        for piece in pieces:
            p = _scores(q[:, rows], k, piece, scratch[0])
            p.sub_(place).exp2_()
            add(dv, piece.at, p.mT @ above)
            ds = _products(above, take(v, piece.at), scratch[1])
            ds.sub_(inner[:, rows]).mul_(p)
            dq[:, rows].baddbmm_(ds, take(k, piece.at), alpha=scale)
            # The queries hold log2(e); its inverse takes it out again.
            add(dk, piece.at, ds.mT @ q[:, rows] / LOG2_E)
    for sum_, gradient, where in zip(sums, gradients, spoiled, strict=True):
        sum_.copy_(gradient[..., : sum_.shape[-1]])
        if where is not None:
            sum_.masked_fill_(where, math.nan)


def _scores(q: Heads, k: Heads, piece: Piece, buffer: Tensor) -> Heads:
    """Return the scores of a piece in `buffer`, -inf for later keys."""
    scores = _products(q, take(k, piece.at), buffer)
    if piece.late is not None:
        part = scores[..., piece.size - piece.late.shape[1] :]
        part.masked_fill_(piece.late, -math.inf)
    return scores


def _products(a: Heads, b: Heads, buffer: Tensor) -> Heads:
    """Return the products of all rows of `a` and `b` in `buffer`."""
    heads, rows, columns = *a.shape[:2], b.shape[1]
    pitch = _pitch(columns)
    room = buffer[: heads * rows * pitch].view(heads, rows, pitch)
    products = room[..., :columns]
    if rows > 1 or columns == pitch:
        torch.bmm(a, b.mT, out=products)
    else:  # here one head would take another path in `bmm` than several
        for each in zip(products, a, b.mT, strict=True):
            torch.mm(*each[1:], out=each[0])
    return products


def _pitch(columns: int) -> int:
    """Return the distance from one row of a buffer to the next."""
    return columns + -columns % TAIL
