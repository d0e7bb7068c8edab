"""Calls of `reference.blocks` for `test_shapes.py`."""

import numpy as np

from attncourse.reference import blocks_start
from attncourse.reference.blocks_layers import (
    decoder_layer,
    encoder_layer,
    pre_norm_encoder_layer,
)
from attncourse.reference.blocks_parts import EncoderDecoder, Stack

RNG = np.random.default_rng(3)
X, MEMORY = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 7, 6))
SIZES = {"width": 6, "hidden": 7}


def stack(layer, new):
    layers = tuple(new(**SIZES, seed=seed) for seed in (1, 2))
    return Stack(layers, layer)


ENCODER = stack(encoder_layer, blocks_start.new_encoder_layer)
PRE_NORM = stack(pre_norm_encoder_layer, blocks_start.new_encoder_layer)
DECODER = stack(decoder_layer, blocks_start.new_decoder_layer)
BOTH = EncoderDecoder(ENCODER, DECODER)

CALLS = {
    "blocks.encoder": [((X, ENCODER), {"heads": 2})],
    "blocks.decoder_only": [((X, PRE_NORM), {"heads": 3})],
    "blocks.decoder": [((X, MEMORY, DECODER), {"heads": 2})],
    "blocks.encoder_decoder": [((MEMORY, X, BOTH), {"heads": 2})],
}
