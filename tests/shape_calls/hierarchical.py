"""Calls of `reference.hierarchical`, for its annotations."""

import numpy as np

from attncourse.reference.hierarchical import (
    GRUWeights,
    LevelWeights,
    PoolingWeights,
)

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


def level(inputs, width):
    there, back = (
        GRUWeights(draw(3, inputs, width), draw(3, width, width))
        for _ in range(2)
    )
    pooling = PoolingWeights(draw(2 * width, 13), draw(13), draw(13))
    return LevelWeights(there, back, pooling)


X, W, B, U = draw(2, 7, 5), draw(5, 13), draw(13), draw(13)
MASK = np.arange(14).reshape(2, 7) % 3 > 0
WORDS = np.arange(30).reshape(2, 5, 3) % 4 > 0
CALLS = {
    "hierarchical.pooling_weights": [
        ((X, W, B, U), {}),
        ((X[:1], W, B, U), {"mask": MASK}),
    ],
    "hierarchical.attention_pooling": [
        ((X, W, B, U), {"mask": MASK}),
        ((X[0], W, B, U), {"mask": MASK}),
    ],
    "hierarchical.hierarchical_attention": [
        ((draw(2, 5, 3, 7), level(7, 2), level(4, 3)), {}),
        ((draw(5, 3, 7), level(7, 2), level(4, 3)), {"mask": WORDS}),
    ],
    "hierarchical.document_logits": [
        ((draw(2, 5), draw(5, 3), draw(3)), {}),
        ((draw(5), draw(5, 3), draw(3)), {}),
    ],
}
