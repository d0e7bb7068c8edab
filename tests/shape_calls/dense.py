"""Calls of `reference.dense` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
V = RNG.normal(size=(2, 7, 11))
UPSTREAM = RNG.normal(size=(2, 3, 11))
WEIGHTS = RNG.random(size=(2, 3, 7))
MASK = np.ones((3, 7), bool)

CALLS = {
    "dense.attention_weights": [((Q, K), {}), ((Q, K[:1]), {})],
    "dense.attention": [
        ((Q, K, V), {}),
        ((Q[0], K, V), {}),
        ((Q, K, V), {"mask": MASK}),
    ],
    "dense.weighted_sum": [
        ((WEIGHTS, V), {}),
        ((WEIGHTS[0], V), {"mask": MASK}),
    ],
    "dense.attention_backward": [
        ((Q, K, V, UPSTREAM), {}),
        ((Q, K, V, UPSTREAM), {"mask": MASK}),
    ],
}
