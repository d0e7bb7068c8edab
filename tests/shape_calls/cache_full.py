"""Calls of `reference.cache_full` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.cache_full import extend, new_full_cache
from attncourse.reference.positions import rotary

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 6, 3, 4)), RNG.normal(size=(2, 3, 3, 4))
V = RNG.normal(size=(2, 3, 3, 5))
CACHE = new_full_cache(2, groups=3, dim=4, value_dim=5)
ALONE = new_full_cache(groups=3, dim=4, value_dim=5)
COUNTS = np.array([1, 3])
FILLED = extend(CACHE, K, V, counts=COUNTS)

CALLS = {
    "cache_full.new_full_cache": [
        ((), {"groups": 3, "dim": 5}),
        ((2, 7), {"groups": 3, "dim": 5, "value_dim": 4, "capacity": 9}),
    ],
    "cache_full.next_positions": [
        ((COUNTS,), {"tokens": 5}),
        ((np.array(2),), {"tokens": 5}),
    ],
    "cache_full.visible": [
        (
            (np.arange(6).reshape(2, 3), np.arange(14).reshape(2, 7)),
            {"counts": COUNTS},
        )
    ],
    "cache_full.extend": [
        ((CACHE, K, V), {}),
        ((FILLED, K, V), {"counts": COUNTS}),
        ((ALONE, K[0], V[0]), {}),
    ],
    "cache_full.full_step": [
        ((Q, K, V, CACHE), {}),
        ((Q, K, V, FILLED), {"counts": COUNTS, "encode": rotary}),
        ((Q[0], K[0], V[0], ALONE), {}),
    ],
    "cache_full.encoded": [
        ((Q, K, COUNTS, rotary), {}),
        ((Q, K, COUNTS, None), {}),
    ],
}
