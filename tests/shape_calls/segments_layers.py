"""Calls of `reference.segments_layers` for `test_shapes.py`."""

import numpy as np

from attncourse.reference import segments_parts

RNG = np.random.default_rng(3)
X, MEMORY = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(5, 1, 7, 6))
SIZES = {"width": 6, "heads": 3, "hidden": 5, "seed": 1}
LAYER = segments_parts.new_segment_layer(**SIZES)
GATED = segments_parts.new_gated_segment_layer(**SIZES)
HEADS = {"heads": 3}
MASKED = {"heads": 3, "mask": np.ones((3, 10), bool)}

CALLS = {
    "segments_layers.multi_head_segment_attention": [
        ((X, MEMORY, LAYER.attention), HEADS),
        ((X, X[:, :0], LAYER.attention), HEADS),
        ((X[0], MEMORY, LAYER.attention), MASKED),
    ],
    "segments_layers.segment_layer": [
        ((X, MEMORY[0], LAYER), HEADS),
        ((X, MEMORY[0], LAYER), MASKED),
    ],
    "segments_layers.pre_norm_segment_layer": [
        ((X, MEMORY, LAYER), HEADS),
        ((X, X[:, :0], LAYER), HEADS),
    ],
    "segments_layers.gated_segment_layer": [
        ((X, MEMORY[0], GATED), HEADS),
        ((X, MEMORY[0], GATED), MASKED),
    ],
}
