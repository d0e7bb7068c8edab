"""Calls of `reference.compress_heads` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.heads_parts import Projections

RNG = np.random.default_rng(3)
LAYER = Projections(*RNG.normal(size=(4, 6, 6)), b_query=np.ones(6))

CALLS = {
    "compress_heads.prune_heads": [
        ((LAYER, np.array([True, False, True])), {}),
    ],
}
