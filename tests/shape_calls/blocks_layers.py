"""Calls of `reference.blocks_layers` for `test_shapes.py`."""

import numpy as np

from attncourse.reference import blocks_start

RNG = np.random.default_rng(3)
X, MEMORY = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 7, 6))
SIZES = {"width": 6, "hidden": 7, "seed": 1}
ENCODER = blocks_start.new_encoder_layer(**SIZES)
PARALLEL = blocks_start.new_parallel_layer(**SIZES)
DECODER = blocks_start.new_decoder_layer(**SIZES)
MASK, ACROSS = np.ones((3, 3), bool), np.ones((3, 7), bool)
MASKS = {"heads": 2, "mask": MASK, "memory_mask": ACROSS}

CALLS = {
    "blocks_layers.encoder_layer": [((X, ENCODER), {"heads": 3})],
    "blocks_layers.pre_norm_encoder_layer": [
        ((X, ENCODER), {"heads": 2, "mask": MASK})
    ],
    "blocks_layers.parallel_layer": [((X, PARALLEL), {"heads": 2})],
    "blocks_layers.decoder_layer": [((X, MEMORY, DECODER), MASKS)],
    "blocks_layers.pre_norm_decoder_layer": [((X, MEMORY, DECODER), MASKS)],
}
