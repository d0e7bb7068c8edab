"""Calls of `reference.compress_cache` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.compress import quantise_cache

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
V, MASK = RNG.normal(size=(2, 7, 11)), np.ones((3, 7), bool)
CACHE = quantise_cache(K, V)

CALLS = {
    "compress_cache.quantise_cache": [((K, V), {}), ((K[0], V), {})],
    "compress_cache.cache_attention": [
        ((Q, CACHE), {}),
        ((Q[0], CACHE), {"mask": MASK}),
    ],
    "compress_cache.cache_error_bound": [
        ((Q, CACHE), {}),
        ((Q[0], CACHE), {"mask": MASK}),
    ],
    "compress_cache.quantised_cache_bytes": [
        ((), {"tokens": 3, "groups": 2, "dim": 5, "value_dim": 7})
    ],
}
