"""Calls of `reference.recurrent_alignment`, for its annotations."""

import numpy as np

from attncourse.reference.recurrent_alignment import AlignmentWeights

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


W = AlignmentWeights(draw(3, 13), draw(11, 13), draw(13))
MASK = np.arange(14).reshape(2, 7) % 3 > 0
CALLS = {
    "recurrent_alignment.align": [
        ((draw(2, 3), draw(2, 7, 11), W), {}),
        ((draw(3), draw(2, 7, 11), W), {"mask": MASK}),
        ((draw(2, 3), draw(1, 7, 11), W), {"mask": MASK[:1]}),
    ],
    "recurrent_alignment.context_vector": [
        ((draw(2, 7), draw(2, 7, 11)), {}),
        ((draw(2, 7), draw(7, 11)), {"mask": MASK}),
    ],
}
