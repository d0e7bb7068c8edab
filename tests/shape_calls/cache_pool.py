"""Calls of `reference.cache_pool` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.cache_paged import paged_extend
from attncourse.reference.cache_pool import add_row, new_paged_cache

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 3, 5, 4))
EMPTY = new_paged_cache(blocks=11, size=2, groups=3, dim=4)
FILLED = paged_extend(add_row(add_row(EMPTY)), X, X, counts=np.array([1, 5]))

CALLS = {
    "cache_pool.new_paged_cache": [
        ((), {"blocks": 7, "size": 2, "groups": 3, "dim": 5}),
        (
            (),
            {"blocks": 0, "size": 2, "groups": 3, "dim": 5, "value_dim": 4},
        ),
    ],
    "cache_pool.free_count": [((EMPTY,), {}), ((FILLED,), {})],
    "cache_pool.add_row": [((EMPTY,), {}), ((FILLED,), {})],
    "cache_pool.share_prefix": [((FILLED, 1), {"tokens": 3})],
    "cache_pool.free_row": [((FILLED, 1), {})],
    "cache_pool.blocks_needed": [((FILLED,), {"counts": np.array([2, 3])})],
    "cache_pool.block_count": [((5,), {"size": 2})],
}
