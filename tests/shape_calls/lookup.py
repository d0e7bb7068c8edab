"""Calls of `reference.lookup` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
V = RNG.normal(size=(2, 7, 11))
WIDTH = {"bandwidth": 1.0}
WARMTH = {"temperature": 1.0}

CALLS = {
    "lookup.squared_distances": [((Q, K), {}), ((Q[0], K), {})],
    "lookup.gaussian_kernel": [((Q, K), WIDTH)],
    "lookup.kernel_weights": [((Q, K), WIDTH), ((Q, K[:1]), WIDTH)],
    "lookup.kernel_regression": [((Q, K, V), WIDTH)],
    "lookup.hard_lookup": [((Q, K, V), {}), ((Q[0], K, V), {})],
    "lookup.lookup_weights": [((Q, K), WARMTH)],
    "lookup.soft_lookup": [((Q, K, V), WARMTH), ((Q[0], K, V), WARMTH)],
}
