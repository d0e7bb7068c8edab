"""Calls of `reference.positions` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 5, 3, 6)), RNG.normal(size=(2, 5, 7, 6))
V = RNG.normal(size=(2, 5, 7, 11))
AT, THERE = np.arange(3.0), np.arange(7.0)

CALLS = {
    "positions.frequencies": [((6,), {})],
    "positions.sinusoidal": [((THERE,), {"dim": 6})],
    "positions.shift_matrix": [((2.0,), {"dim": 6})],
    "positions.rotary": [((K, THERE), {}), ((K[0, 0], THERE), {})],
    "positions.alibi_slopes": [((5,), {})],
    "positions.alibi_bias": [((RNG.random(5), AT, THERE), {})],
    "positions.biased_attention": [
        ((Q, K, V, RNG.normal(size=(5, 3, 7))), {}),
        (
            (Q, K, V, RNG.normal(size=(2, 5, 3, 7))),
            {"mask": np.ones((3, 7), bool)},
        ),
    ],
}
