"""Calls of `reference.cache` for `test_shapes.py`."""

import numpy as np

from attncourse.reference import blocks, cache
from attncourse.reference.heads import Projections

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 3, 6))
LAYER = blocks.new_encoder_layer(width=6, hidden=5, seed=0)
STACK = blocks.Stack([LAYER], blocks.encoder_layer)
FULL = cache.new_full_cache(2, groups=3, dim=2)
RING = cache.new_window_cache(2, groups=3, dim=2, window=5)
POOL = cache.new_paged_cache(blocks=7, size=2, groups=3, dim=2)
POOL = cache.add_row(cache.add_row(POOL))
GROUPED = Projections(*(RNG.normal(size=(6, n)) for n in (6, 2, 2, 6)))

CALLS = {
    "cache.token_bytes": [
        ((), {"groups": 2, "dim": 3}),
        ((), {"groups": 2, "dim": 3, "value_dim": 5, "itemsize": 2}),
    ],
    "cache.cache_bytes": [((FULL,), {}), ((RING,), {}), ((POOL,), {})],
    "cache.cached_attention": [
        ((X, LAYER.attention, FULL), {"heads": 3}),
        (
            (X[0], GROUPED, cache.new_full_cache(groups=1, dim=2)),
            {"heads": 3, "groups": 1},
        ),
        (
            (X, LAYER.attention, POOL),
            {"heads": 3, "step": cache.paged_step},
        ),
    ],
    "cache.decode_step": [
        ((X, STACK, [FULL]), {"heads": 3}),
        ((X, STACK, [RING]), {"heads": 3, "step": cache.window_step}),
    ],
}
