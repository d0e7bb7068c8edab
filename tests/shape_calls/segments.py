"""Calls of `reference.segments` for `test_shapes.py`."""

import numpy as np

from attncourse.reference import segments

RNG = np.random.default_rng(3)
X, MEMORY = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(5, 1, 7, 6))
STACK = segments.Stack(
    [
        segments.new_segment_layer(width=6, heads=3, hidden=5, seed=n)
        for n in range(2)
    ],
    segments.segment_layer,
)
SIZES = {"heads": 3, "length": 4}

CALLS = {
    "segments.extend_memory": [
        ((MEMORY, X), {"length": 4}),
        ((X[:, :0], X), {"length": 4}),
    ],
    "segments.segment_step": [
        ((X, None, STACK), SIZES),
        ((X, [MEMORY, MEMORY], STACK), SIZES),
        ((X, None, STACK), {**SIZES, "mask": np.ones((3, 3), bool)}),
    ],
    "segments.in_segments": [((X, STACK), {**SIZES, "segment": 2})],
    "segments.segment_mask": [((5,), {"segment": 2, "length": 3})],
    "segments.earliest_seen": [
        ((5,), {"layers": 2, "segment": 2, "length": 3})
    ],
    "segments.evaluation_gain": [((5,), {"context": 3})],
}
