"""Calls of `reference.cache_window` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.cache_window import new_window_cache, window_step
from attncourse.reference.positions import rotary

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 6, 3, 4)), RNG.normal(size=(2, 3, 3, 4))
V = RNG.normal(size=(2, 3, 3, 5))
SIZES = {"groups": 3, "dim": 4, "value_dim": 5}
CACHE = new_window_cache(2, window=7, **SIZES)
COUNTS = np.array([1, 3])
FILLED = window_step(Q, K, V, CACHE, counts=COUNTS)[1]

CALLS = {
    "cache_window.new_window_cache": [
        ((), {"groups": 3, "dim": 5, "window": 7}),
        ((2, 7), {**SIZES, "window": 11}),
    ],
    "cache_window.slot_positions": [((COUNTS,), {"window": 7})],
    "cache_window.window_step": [
        ((Q, K, V, CACHE), {}),
        ((Q, K, V, FILLED), {"counts": COUNTS, "encode": rotary}),
        ((Q[0], K[0], V[0], new_window_cache(window=2, **SIZES)), {}),
    ],
}
