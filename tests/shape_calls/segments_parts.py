"""Calls of `reference.segments_parts` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
X, MEMORY = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(5, 1, 7, 6))
SIZES = {"width": 6, "heads": 3, "hidden": 5, "seed": 1}

CALLS = {
    "segments_parts.with_memory": [
        ((X, MEMORY), {}),
        ((X, X[:, :0]), {}),
        ((X[0], X[0]), {}),
    ],
    "segments_parts.new_segment_layer": [((), SIZES)],
    "segments_parts.new_gated_segment_layer": [((), SIZES)],
}
