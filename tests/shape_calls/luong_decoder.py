"""Calls of `reference.luong_decoder`, for its annotations."""

import numpy as np

from attncourse.reference.luong import dot_scores, global_attention
from attncourse.reference.luong_decoder import (
    Before,
    GRUWeights,
    LuongWeights,
)

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


MEMORY = draw(2, 7, 3)


def attend(q, at):
    return global_attention(dot_scores(q, MEMORY), MEMORY)


W = LuongWeights(
    draw(17, 5),
    GRUWeights(draw(3, 16, 3), draw(3, 3, 3)),
    draw(6, 11),
    draw(11, 17),
)
TOKENS = np.array([[1, 16, 2, 0], [3, 4, 4, 5]])
CALLS = {
    "luong_decoder.input_feeding_step": [
        ((TOKENS[:, 0], Before(draw(2, 3), draw(2, 11)), attend, W), {}),
    ],
    "luong_decoder.input_feeding_decoder": [
        ((TOKENS, draw(2, 3), attend, W), {}),
        ((TOKENS[0], draw(3), attend, W), {}),
    ],
}
