"""The equivalence web: mechanisms that are the same, and when.

Each row of `TABLE` computes one thing in two ways that share no code on the
way, or as little as can be. The tests compare the two; the book draws the
table with the differences that it measured.
"""

from attncourse.equivalences import (
    around,
    core,
    order,
    several,
    steps,
    visible,
)
from attncourse.equivalences.row import Equivalence

TABLE = tuple(
    row
    for part in (core, several, visible, order, steps, around)
    for row in part.ROWS
)

__all__ = ["TABLE", "Equivalence"]
