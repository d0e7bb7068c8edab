"""What `attncourse.fast.sparse` stands on: strips of tiles, NaN, arguments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.shapes import boolean, count, require_broadcast

# What readers are offered is in `sparse`.
__all__: list[str] = []

Heads = Float[Tensor, "heads rows columns"]
Layout = Bool[Tensor, "*#batch rows columns"]
BYTES = 64  # a line of memory,
LINE = 16  # and as many numbers in single precision


class Piece(NamedTuple):
    """Some keys of a strip: where they stand, and who may not look.

    `at` is a slice where the keys are neighbours, else their positions.
    `late` is True where a key is later than a query; it belongs to the
    last keys, and None stands for none.
    """

    at: slice | Tensor
    size: int
    late: Bool[Tensor, "queries keys"] | None


@dataclass(frozen=True)
class Strips:
    """The tiles of one layout, by rows; what is skipped is never named.

    `layout` has shape (rows, columns). A query may look `ahead` positions
    past its own. A piece holds at most `width` keys.
    """

    layout: Bool[Tensor, "rows columns"]
    queries: int
    keys: int
    block: int
    ahead: int
    width: int

    def __iter__(self) -> Iterator[tuple[slice, list[Piece]]]:
        """Yield the queries of a row of tiles, and the keys in pieces."""
        for row, kept in enumerate(self.layout):
            top = row * self.block
            rows = slice(top, min(self.queries, top + self.block))
            # The last key that some query of the row may see.
            end = rows.stop + self.keys - self.queries + self.ahead
            columns = kept.nonzero() * self.block
            wide = min(self.block, self.keys)
            within = torch.arange(wide, device=kept.device)
            places = (columns + within).flatten()
            places = places[places < min(self.keys, end)]
            if len(places):
                yield (
                    rows,
                    [
                        self._piece(rows, each)
                        for each in places.split(self.width)
                    ],
                )

    def _piece(self, rows: slice, places: Tensor) -> Piece:
        size, first, last = len(places), int(places[0]), int(places[-1])
        neighbours = last - first + 1 == size
        at = slice(first, last + 1) if neighbours else places
        limit = rows.start + self.keys - self.queries + self.ahead
        if last <= limit:
            return Piece(at, size, None)
        later = places[places > limit]
        own = torch.arange(rows.stop - rows.start, device=places.device)
        return Piece(at, size, later > (own + limit)[:, None])


def take(x: Heads, at: slice | Tensor) -> Heads:
    """Return the rows at the given positions.

    Examples
    --------
    >>> take(torch.arange(4.0).reshape(1, 4, 1), torch.tensor([1, 3])).tolist()
    [[[1.0], [3.0]]]
    """
    return x[:, at] if isinstance(at, slice) else x.index_select(1, at)


def add(x: Heads, at: slice | Tensor, more: Heads) -> None:
    """Add rows at the given positions, in place.

    Examples
    --------
    >>> x = torch.zeros(1, 3, 1)
    >>> add(x, torch.tensor([0, 2]), torch.ones(1, 2, 1))
    >>> x.flatten().tolist()
    [1.0, 0.0, 1.0]
    """
    if isinstance(at, slice):
        x[:, at] += more
    else:
        x.index_add_(1, at, more)


def in_lines(x: Heads) -> Heads:
    """Return the tensor with rows of whole lines of memory, zeros at the end.

    BLAS adds up in another order where a matrix starts within a line, so
    the bits of a head would depend on how many stand before it.
    """
    gap = -x.shape[-1] % LINE
    if gap:
        return torch.nn.functional.pad(x, (0, gap))
    return x.clone() if x.data_ptr() % BYTES else x


def by_layout(
    layout: Layout, leading: tuple[int, ...]
) -> list[tuple[Tensor | None, Bool[Tensor, "rows columns"]]]:
    """Return each different layout with the heads that it belongs to.

    The heads are numbered as if they had one axis; None stands for all.

    Source: layouts for each head: Child et al. (2019), "Generating Long
    Sequences with Sparse Transformers", section 5.1.

    Examples
    --------
    >>> same = torch.ones(3, 1, 1, 1, dtype=torch.bool)
    >>> len(by_layout(same, (3, 5)))
    1
    """
    if layout.ndim == 2:
        return [(None, layout)]
    shape = layout.shape[-2:]
    number = math.prod(layout.shape[:-2])
    kinds, which = layout.reshape(number, *shape).unique(
        dim=0, return_inverse=True
    )
    if len(kinds) == 1:
        return [(None, kinds[0])]
    heads = which.reshape(layout.shape[:-2]).expand(leading).flatten()
    return [
        ((heads == kind).nonzero().flatten(), each)
        for kind, each in enumerate(kinds)
    ]


def checked_layout(
    layout: Any, leading: tuple[int, ...], sizes: dict[str, int]
) -> tuple[Layout, tuple[int, ...]]:
    """Return the layout, and the leading axes with its own among them.

    `sizes` holds queries, keys and block. A NumPy layout is accepted.

    Examples
    --------
    >>> sizes = {"queries": 3, "keys": 5, "block": 2}
    >>> checked_layout(torch.ones(7, 2, 3) > 0, (1,), sizes)[1]
    (7,)
    """
    if not isinstance(layout, Tensor):
        # A copy: torch would warn of what is read-only, refuse what is turned.
        layout = torch.from_numpy(boolean("layout", layout).copy())
    if layout.dtype is not torch.bool:
        raise TypeError(
            "layout must be boolean, True where a query may look: "
            f"got dtype {layout.dtype}"
        )
    block = count("block", sizes["block"])
    shape = tuple(layout.shape)
    if layout.ndim < 2:
        raise ValueError(
            f"layout must have axes (..., rows, columns): got shape {shape}"
        )
    needed = (-(-sizes["queries"] // block), -(-sizes["keys"] // block))
    if shape[-2:] != needed:
        raise ValueError(
            f"layout must have {needed[0]} x {needed[1]} blocks: "
            f"got shape {shape}"
        )
    together = require_broadcast(**{"q, k, v": leading, "layout": shape[:-2]})
    return layout, together


def without_forward_poison(
    k: Heads, v: Heads, queries: int, strips: Strips
) -> tuple[Heads, Heads, Tensor | None]:
    """Return keys and values without NaN and inf, and what those spoil.

    Zero times NaN is NaN, so a weight of zero would not keep a later value
    out of a product of matrices.

    Examples
    --------
    >>> strips = Strips(torch.ones(1, 1) > 0, 2, 2, 2, 0, 2)
    >>> v = torch.tensor([[[1.0], [torch.nan]]])
    >>> without_forward_poison(v, v, 2, strips)[2].flatten().tolist()
    [False, True]
    """
    if all_finite(k, v):
        return k, v, None
    bad_k = ~torch.isfinite(k).all(dim=-1, keepdim=True)
    bad_v = ~torch.isfinite(v)
    spoiled, _ = meet(
        bad_k | bad_v, bad_v.new_zeros(len(v), queries, 1), strips
    )
    return k.masked_fill(bad_k, 0.0), v.masked_fill(bad_v, 0.0), spoiled


def without_backward_poison(
    arrays: Sequence[Heads], strips: Strips
) -> tuple[Sequence[Heads], Sequence[Tensor | None]]:
    """Return the backward pass's arrays without NaN and inf.

    `arrays` are the queries, keys, values, outputs, the outputs' gradient
    and the log-sum-exp, infinite for a row that sees nothing. Also
    returned is where the gradients of queries, keys and values are
    spoiled, None where they are not.

    Examples
    --------
    >>> strips = Strips(torch.ones(1, 1) > 0, 1, 1, 1, 0, 1)
    >>> without_backward_poison([torch.ones(1, 1, 1)] * 6, strips)[1]
    (None, None, None)
    """
    *others, lse = arrays
    if all_finite(*others):
        return arrays, (None, None, None)
    bads = [~torch.isfinite(x).all(dim=-1, keepdim=True) for x in others]
    bad_q, bad_k, bad_v, bad_output, bad_upstream = bads
    columns = bad_k | bad_v
    rows = bad_q | bad_output | bad_upstream
    rows = rows | meet(columns, rows, strips)[0]
    rows &= lse != math.inf  # a row that sees nothing meets nothing
    met = meet(columns, rows, strips)[1]
    q, k, v, output, upstream = others
    q, output, upstream = (
        x.masked_fill(rows, 0.0) for x in (q, output, upstream)
    )
    k, v = (x.masked_fill(columns, 0.0) for x in (k, v))
    lse = lse.masked_fill(rows, math.inf)  # their weights become zero
    return (q, k, v, output, upstream, lse), (rows, met, met)


def meet(
    columns: Bool[Tensor, "heads keys some"],
    rows: Bool[Tensor, "heads queries others"],
    strips: Strips,
) -> tuple[Tensor, Tensor]:
    """Tell which queries see a marked key, and which keys a marked query.

    Examples
    --------
    >>> strips = Strips(torch.eye(2) > 0, 2, 2, 1, 2, 2)
    >>> first = torch.tensor([[[True], [False]]])
    >>> [each.flatten().tolist() for each in meet(first, ~first, strips)]
    [[True, False], [False, True]]
    """
    heads = len(rows)
    see = columns.new_zeros(heads, rows.shape[1], columns.shape[-1])
    seen = rows.new_zeros(heads, columns.shape[1], rows.shape[-1])
    for at, pieces in strips:
        for piece in pieces:
            allowed = torch.ones(
                at.stop - at.start, piece.size, device=rows.device
            )
            if piece.late is not None:
                late = piece.late
                allowed[:, piece.size - late.shape[1] :].masked_fill_(late, 0)
            marked = take(columns, piece.at).to(allowed.dtype)
            see[:, at] |= allowed @ marked > 0
            marked = allowed.mT @ rows[:, at].to(allowed.dtype) > 0
            seen[:, piece.at] = seen[:, piece.at] | marked
    return see, seen


def all_finite(*arrays: Heads) -> bool:
    """Tell if all numbers are finite: then their sums are, unless huge.

    Examples
    --------
    >>> all_finite(torch.ones(2), torch.tensor([torch.nan]))
    False
    """
    return all(bool(torch.isfinite(each.sum())) for each in arrays)
