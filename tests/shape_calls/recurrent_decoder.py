"""Calls of `reference.recurrent_decoder`, for its annotations."""

import numpy as np

from attncourse.reference.recurrent_decoder import (
    AlignmentWeights,
    DecoderWeights,
    DeepOutput,
    GRUWeights,
    LinearOutput,
)

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


DEEP = DeepOutput(draw(3, 4), draw(5, 4), draw(11, 4), draw(2, 17))
LINEAR = LinearOutput(draw(19, 17), draw(17))
W = DecoderWeights(
    draw(17, 5),
    AlignmentWeights(draw(3, 13), draw(11, 13), draw(13)),
    GRUWeights(draw(3, 16, 3), draw(3, 3, 3)),
    DEEP,
)
MEMORY, MASK = draw(2, 7, 11), np.arange(14).reshape(2, 7) % 3 > 0
TOKENS = np.array([[1, 16, 2, 0], [3, 4, 4, 5]])
CALLS = {
    "recurrent_decoder.start_state": [((draw(2, 3), draw(3, 5)), {})],
    "recurrent_decoder.output_logits": [
        ((draw(2, 3), draw(2, 5), draw(2, 11), LINEAR), {}),
        ((draw(3), draw(2, 5), draw(1, 11), DEEP), {}),
    ],
    "recurrent_decoder.decoder_step": [
        ((TOKENS[:, 0], draw(2, 3), MEMORY, W), {"mask": MASK}),
        ((np.array(4), draw(3), MEMORY[0], W._replace(output=LINEAR)), {}),
    ],
    "recurrent_decoder.decoder": [
        ((TOKENS, draw(2, 3), MEMORY, W), {"mask": MASK}),
        ((TOKENS[0], draw(3), MEMORY, W._replace(output=LINEAR)), {}),
    ],
}
