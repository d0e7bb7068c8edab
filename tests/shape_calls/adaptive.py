"""Calls of `reference.adaptive` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.heads_parts import Projections

RNG = np.random.default_rng(3)
X, CONTEXT = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 11))
SIZES = [(5, 8), (11, 8), (11, 4), (4, 13)]
LAYER = Projections(*(RNG.normal(size=size) for size in SIZES))
MASK = np.ones((3, 7), bool)

CALLS = {
    "adaptive.gated_attention": [
        ((X, CONTEXT, LAYER, RNG.normal(size=(5, 4))), {"heads": 2}),
        (
            (X[0], CONTEXT, LAYER, RNG.normal(size=(5, 4))),
            {"heads": 4, "mask": MASK},
        ),
    ],
    "adaptive.head_gated_attention": [
        ((X, CONTEXT, LAYER, RNG.normal(size=(5, 2))), {"heads": 2}),
        (
            (X, CONTEXT[0], LAYER, RNG.normal(size=(5, 4))),
            {"heads": 4, "mask": MASK},
        ),
    ],
    "adaptive.gated_reader": [
        ((X, RNG.normal(size=(2, 7, 5))), {}),
        ((X, RNG.normal(size=(7, 5))), {"mask": MASK[:1]}),
    ],
}
