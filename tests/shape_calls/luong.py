"""Calls of `reference.luong`, for its annotations."""

import numpy as np

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


MASK = np.arange(42).reshape(2, 3, 7) % 4 > 0
CALLS = {
    "luong.concat_scores": [
        ((draw(2, 3, 5), draw(2, 7, 11), draw(16, 13), draw(13)), {}),
        ((draw(3, 5), draw(2, 7, 11), draw(16, 13), draw(13)), {}),
    ],
    "luong.global_attention": [
        ((draw(2, 3, 7), draw(2, 7, 11)), {}),
        ((draw(3, 7), draw(2, 7, 11)), {"mask": MASK}),
        ((draw(2, 3, 7), draw(7, 11)), {"mask": MASK[:, :1]}),
    ],
    "luong.average_memory": [
        ((draw(2, 3, 7), draw(2, 7, 11)), {}),
        ((draw(3, 7), draw(2, 7, 11)), {"mask": MASK}),
    ],
    "luong.attentional_state": [
        ((draw(2, 3), draw(2, 11), draw(14, 5)), {}),
        ((draw(3), draw(2, 11), draw(14, 5)), {}),
    ],
}
