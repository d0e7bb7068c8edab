"""Write a test that catches wrong scaled scores."""

from __future__ import annotations

import numpy as np

from attncourse.checking import Audit, edited


def scaled(q, k):
    """Return q . k divided by the square root of the width, for all pairs.

    q has shape (..., queries, dim) and k (..., keys, dim); leading axes
    broadcast. The result has shape (..., queries, keys).
    """
    width = q.shape[-1]
    products = np.einsum("...qd,...kd->...qk", q, k)
    return products / np.sqrt(width)


def shrunken_keys(q, k):
    """Return the same, dividing the keys before the product."""
    smaller = k / k.shape[-1] ** 0.5
    return np.matmul(q, np.swapaxes(smaller, -1, -2))


QUESTION = Audit(
    id="scores.audit",
    title="Catch the wrong scores",
    function_name="test_scores",
    points=3,
    needed=13,
    right=(scaled, shrunken_keys),
    wrong=(
        edited(scaled, ("products / np.sqrt(width)", "products")),
        edited(scaled, ("q.shape[-1]", "q.shape[-2]")),
        edited(scaled, ("np.sqrt(width)", "width")),
        edited(scaled, ("return products", "return abs(products)")),
        edited(
            scaled,
            ("products / np.sqrt(width)", "np.sort(products) / width**0.5"),
        ),
        # Right for matrices: every example gets the first one's keys.
        edited(scaled, ("q, k)", "q, k.reshape(-1, *k.shape[-2:])[0])")),
    ),
    difficulty=3,
    importance=4,
    minutes=25,
    hints=(
        "Which sizes would let a swapped axis pass unnoticed? Choose others.",
        "One batch of shape (2, 3, 5) with keys of shape (2, 7, 5) already "
        "tells a lot; compare with two loops.",
        "Look at what the function did to its arguments too, at more than "
        "one width and at sizes that agree as well as sizes that do not.",
    ),
)
