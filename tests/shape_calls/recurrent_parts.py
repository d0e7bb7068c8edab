"""Calls of `reference.recurrent_parts`, for its annotations."""

import numpy as np

from attncourse.reference.recurrent_parts import GRUWeights

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


def weights(inputs, width):
    return GRUWeights(
        draw(3, inputs, width),
        draw(3, width, width),
        draw(3, width),
        draw(3, width),
    )


W = weights(5, 3)
X, MASK = draw(2, 7, 5), np.arange(14).reshape(2, 7) % 3 > 0
CALLS = {
    "recurrent_parts.gru_cell": [
        ((draw(2, 5), draw(2, 3), W), {}),
        ((draw(5), draw(2, 3), W), {}),
        ((draw(2, 5), draw(1, 3), W), {}),
    ],
    "recurrent_parts.gru_cell_reset_first": [
        ((draw(2, 5), draw(2, 3), W), {}),
        ((draw(2, 5), draw(3), W), {}),
    ],
    "recurrent_parts.gru": [
        ((X, W), {}),
        ((X[0], W), {"state": draw(2, 3), "mask": MASK}),
        ((X[:, :0], W), {}),
    ],
    "recurrent_parts.bidirectional_gru": [
        ((X, W, weights(5, 2)), {}),
        ((X[:1], W, W), {"mask": MASK}),
    ],
}
