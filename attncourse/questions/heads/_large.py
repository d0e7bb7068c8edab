"""Cases with scores so large that an exponential overflows.

The gaps between the scores are set: no key draws a tie, which single
precision could not tell.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, numerics


def large_layers(rng: np.random.Generator) -> Iterator[Case]:
    """Yield layers with large scores; the gaps are set, not drawn.

    The first number of a token makes its scores, the others are read.
    """
    far = np.array([-2.0, -1.0, 1.0, 2.0, 3.0]), 1e4
    near = np.array([1.0, 1.001, 1.002, 1.003, 1.004]), 800.0
    for numbers, score in (far, near):
        x = rng.normal(size=(5, 3))
        x[:, 0] = rng.permutation(numbers)
        w_query, w_key = np.zeros((2, 3, 2))
        w_query[0] = score, -score  # one head turns the other round
        w_key[0] = 1.0
        w_value, w_output = rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
        w_value[0] = 0.0
        yield Case(
            "extreme",
            (x, w_query, w_key, w_value, w_output, 2),
            tolerance=numerics.tolerance(terms=5, magnitude=800.0),
            note=f"scores of {score:g} and more, of either sign",
        )


def large_caches(rng: np.random.Generator) -> Iterator[Case]:
    """Yield caches with large scores; the gaps are set, not drawn.

    Half of the heads turn their scores round; the last place is not
    filled.
    """
    far = (1e10, 2e10, 3e10, 4e10, 5e10)
    near = (800.0, 800.5, 801.0, 801.5, 802.0)
    for scores in (far, near):
        k = np.empty((2, 2, 6, 1))
        k[..., :5, 0] = rng.permuted(np.tile(scores, (2, 2, 1)), axis=-1)
        k[..., 5, 0] = 0.0
        q = np.tile([[[1.0], [-1.0]]], (2, 2, 1))
        yield Case(
            "extreme",
            (q, k, rng.normal(size=(2, 2, 6, 3)), np.array([5, 5])),
            tolerance=numerics.tolerance(terms=5, magnitude=800.0),
            note=f"scores of {scores[0]:g} and more, of either sign",
        )
