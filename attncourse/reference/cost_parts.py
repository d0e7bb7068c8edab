"""Two numbers that say what a computation costs, and the sizes they need.

The conventions of the whole cost model stand here once:

- A multiplication and an addition are two floating-point operations.
- FLOPs are those of matrix products. Softmax, norms, biases, activations
  and residual sums are left out: of each number they make a few
  operations, where a product makes hundreds.
- Bytes are moved between the large memory and the arithmetic: a product
  reads both operands once and writes its result once. What is done number
  by number is taken to happen on the way, unless a function says so.
- A head scores pairs: one query with one key. A dense implementation
  scores all pairs and masks some; one that skips what is masked scores
  fewer. The number of pairs is therefore an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from attncourse.shapes import count


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, and bytes to and from the large memory.

    Examples
    --------
    >>> Cost(6, 10) + Cost(1, 2)
    Cost(flops=7, moved_bytes=12)
    >>> 3 * Cost(1, 2)
    Cost(flops=3, moved_bytes=6)
    """

    flops: int
    moved_bytes: int

    def __post_init__(self) -> None:
        _keep_counts(self, "flops", "moved_bytes", least=0)

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(
            self.flops + other.flops, self.moved_bytes + other.moved_bytes
        )

    def __rmul__(self, times: int) -> Cost:
        times = count("times", times, least=0)
        return Cost(times * self.flops, times * self.moved_bytes)


@dataclass(frozen=True)
class AttentionSizes:
    """The sizes of attention alone, without the projections around it.

    Parameters
    ----------
    queries, keys : of one head.
    heads : of all sequences of a batch together.
    dim : of a query and of a key.
    value_dim : of a value; None for `dim`.
    """

    queries: int
    keys: int
    heads: int
    dim: int
    value_dim: int | None = None

    def __post_init__(self) -> None:
        _keep_counts(self, "queries", "keys", least=0)
        _keep_counts(self, "heads", "dim")
        if self.value_dim is not None:
            _keep_counts(self, "value_dim")

    @property
    def columns(self) -> int:
        """The numbers of a value."""
        return self.dim if self.value_dim is None else self.value_dim


@dataclass(frozen=True)
class LayerSizes:
    """The sizes of one Transformer layer.

    Parameters
    ----------
    width : numbers of a token.
    heads, dim : query heads, and the numbers of each.
    groups : key and value heads; None for as many as heads.
    hidden : numbers between the matrices of the feed-forward network.
    feed_matrices : two, or three where that network is gated.
    """

    width: int
    heads: int
    dim: int
    hidden: int
    groups: int | None = None
    feed_matrices: int = 2

    def __post_init__(self) -> None:
        _keep_counts(self, "width", "heads", "dim", "hidden", "feed_matrices")
        if self.groups is not None:
            _keep_counts(self, "groups")
        if self.heads % self.shared:
            raise ValueError(
                "heads must be a multiple of groups: "
                f"got heads={self.heads}, groups={self.groups}"
            )

    @property
    def shared(self) -> int:
        """The number of key and value heads."""
        return self.heads if self.groups is None else self.groups


def total_cost(costs: Iterable[Cost]) -> Cost:
    r"""Return the sum: as long as one follows the other, both numbers add.

    .. math:: F = \sum_i F_i, \qquad B = \sum_i B_i

    Source: the conventions of this module; no published formula.

    Examples
    --------
    >>> total_cost([Cost(1, 2), Cost(10, 20), Cost(100, 200)])
    Cost(flops=111, moved_bytes=222)
    """
    return sum(costs, start=Cost(0, 0))


def product_cost(
    *,
    rows: int,
    inner: int,
    columns: int,
    number_bytes: int,
    batch: int = 1,
) -> Cost:
    r"""Return the cost of a product of two matrices, or of a batch of them.

    .. math:: F = 2\,b\,m\,n\,p, \qquad B = b\,(m n + n p + m p)\,s

    for m x n times n x p; s is `number_bytes`, 4 in single precision.

    Source: Golub & Van Loan (2013), "Matrix Computations", section 1.1.

    Examples
    --------
    >>> product_cost(rows=2, inner=3, columns=5, number_bytes=4)
    Cost(flops=60, moved_bytes=124)
    """
    rows, inner = count("rows", rows, least=0), count("inner", inner, least=0)
    columns = count("columns", columns, least=0)
    number_bytes = count("number_bytes", number_bytes)
    batch = count("batch", batch, least=0)
    numbers = rows * inner + inner * columns + rows * columns
    return Cost(
        2 * batch * rows * inner * columns, batch * numbers * number_bytes
    )


def _keep_counts(sizes: Any, *names: str, least: int = 1) -> None:
    """Check counts and keep them as Python's, which do not overflow."""
    for name in names:
        value = count(name, getattr(sizes, name), least=least)
        object.__setattr__(sizes, name, value)  # although it is frozen
