"""Calls of `reference.cache_paged` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.cache_paged import paged_extend
from attncourse.reference.cache_pool import add_row, new_paged_cache
from attncourse.reference.positions import rotary

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 6, 3, 4)), RNG.normal(size=(2, 3, 3, 4))
V = RNG.normal(size=(2, 3, 3, 5))
COUNTS = np.array([1, 3])
EMPTY = new_paged_cache(blocks=11, size=2, groups=3, dim=4, value_dim=5)
ROWS = add_row(add_row(EMPTY))
FILLED = paged_extend(ROWS, K, V, counts=COUNTS)

CALLS = {
    "cache_paged.paged_extend": [
        ((ROWS, K, V), {}),
        ((FILLED, K, V), {"counts": COUNTS}),
    ],
    "cache_paged.paged_step": [
        ((Q, K, V, ROWS), {}),
        ((Q, K, V, FILLED), {"counts": COUNTS, "encode": rotary}),
    ],
}
