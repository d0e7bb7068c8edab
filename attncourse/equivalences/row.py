"""What a row of the equivalence web is, and what several rows draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attncourse.reference import dense, masks
from attncourse.shapes import Array

Pair = tuple[Array, Array]
Draw = Callable[..., Array]
TOKENS, DIM, VALUE_DIM, HEADS = 13, 6, 5, 4


@dataclass(frozen=True)
class Equivalence:
    """Two mechanisms that agree, and on what condition.

    `compute` takes a function from a shape to random numbers and returns
    what either gives.
    """

    left: str
    right: str
    when: str
    compute: Callable[[Draw], Pair]

    def difference(self, rng: np.random.Generator) -> float:
        """Return the largest difference, relative to the largest number.

        Examples
        --------
        >>> row = Equivalence("a", "b", "", lambda draw: 2 * [draw(3)])
        >>> row.difference(np.random.default_rng(0))
        0.0
        """
        left, right = self.compute(lambda *shape: rng.normal(size=shape))
        if left.shape != right.shape:
            raise ValueError(
                "both ways must give one shape: "
                f"got {left.shape} and {right.shape}"
            )
        return float(np.abs(left - right).max() / np.abs(right).max())


def enters_into(rows: list[Equivalence]) -> Callable:
    """Return a decorator that enters computations into the given rows."""

    def same(left: str, right: str, when: str) -> Callable:
        def enter(compute: Callable[[Draw], Pair]) -> Callable[[Draw], Pair]:
            rows.append(Equivalence(left, right, when, compute))
            return compute

        return enter

    return same


def triple(draw: Draw, *leading: int) -> tuple[Array, Array, Array]:
    """Return queries, keys and values of one sequence."""
    return (
        draw(*leading, TOKENS, DIM),
        draw(*leading, TOKENS, DIM),
        draw(*leading, TOKENS, VALUE_DIM),
    )


def causal(q: Array, k: Array, v: Array) -> Array:
    """Return causal attention, from the definition."""
    mask = masks.causal_mask(q.shape[-2], k.shape[-2])
    return dense.attention(q, k, v, mask=mask)
