"""Calls of `reference.recurrent`, for its annotations."""

import numpy as np

from attncourse.reference.recurrent import (
    AlignmentWeights,
    DecoderWeights,
    EncoderWeights,
    GRUWeights,
    LinearOutput,
    TranslatorWeights,
)

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


ENCODER = EncoderWeights(
    draw(7, 5),
    GRUWeights(draw(3, 5, 2), draw(3, 2, 2)),
    GRUWeights(draw(3, 5, 3), draw(3, 3, 3)),
    draw(3, 3),
)
DECODER = DecoderWeights(
    draw(11, 2),
    AlignmentWeights(draw(3, 13), draw(5, 13), draw(13)),
    GRUWeights(draw(3, 7, 3), draw(3, 3, 3)),
    LinearOutput(draw(10, 11)),
)
W = TranslatorWeights(ENCODER, DECODER)
SOURCE, MASK = np.arange(14).reshape(2, 7) % 5, np.ones((2, 7), bool)
TARGET = np.array([[1, 10, 2], [3, 4, 4]])
CALLS = {
    "recurrent.encode": [
        ((SOURCE, ENCODER), {}),
        ((SOURCE[0], ENCODER), {"mask": MASK}),
    ],
    "recurrent.translate": [
        ((SOURCE, TARGET, W), {"mask": MASK}),
        ((SOURCE[:1], TARGET, W), {}),
    ],
    "recurrent.next_logits": [((SOURCE[0], W), {})],
}
