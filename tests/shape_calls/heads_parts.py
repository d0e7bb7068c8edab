"""Calls of `reference.heads_parts` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.heads_parts import Projections

RNG = np.random.default_rng(3)
X, CONTEXT = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 11))
SIZES = [(5, 8), (11, 4), (11, 4), (8, 5)]
PROJECTIONS = Projections(*(RNG.normal(size=size) for size in SIZES))

CALLS = {
    "heads_parts.project": [
        ((X, RNG.normal(size=(5, 13)), RNG.normal(size=13)), {}),
        ((X, RNG.normal(size=(5, 13))), {}),
    ],
    "heads_parts.split_heads": [
        ((RNG.normal(size=(2, 3, 15)),), {"heads": 5})
    ],
    "heads_parts.merge_heads": [((RNG.normal(size=(2, 5, 3, 7)),), {})],
    "heads_parts.project_heads": [
        ((X, CONTEXT, PROJECTIONS), {"heads": 4, "groups": 2})
    ],
}
