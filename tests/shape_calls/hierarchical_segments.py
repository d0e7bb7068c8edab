"""Calls of `reference.hierarchical_segments`, for its annotations."""

import numpy as np

from attncourse.reference import blocks

RNG = np.random.default_rng(5)
STACK = blocks.Stack(
    [blocks.new_encoder_layer(width=4, hidden=3, seed=0)],
    blocks.encoder_layer,
)
X = RNG.normal(size=(2, 11, 4))
MASK = np.arange(22).reshape(2, 11) % 3 > 0
SEGMENTS, REAL = RNG.normal(size=(2, 3, 5, 4)), np.ones((2, 3, 5), bool)
CALLS = {
    "hierarchical_segments.split_segments": [
        ((X,), {"length": 5, "stride": 3}),
        ((X[0],), {"length": 13, "stride": 13, "mask": MASK}),
    ],
    "hierarchical_segments.layered_encoder": [
        ((SEGMENTS, STACK, STACK), {"heads": 2}),
        ((SEGMENTS[0], STACK, STACK), {"heads": 2, "mask": REAL}),
    ],
}
