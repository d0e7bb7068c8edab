"""Calls of `reference.luong_local`, for its annotations."""

import numpy as np

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape)


MASK = np.arange(42).reshape(2, 3, 7) % 4 > 0
PLACES = np.array([[0.5, 2.0, 6.9], [1.0, 1.0, 3.3]])
CALLS = {
    "luong_local.monotonic_attention": [
        ((draw(2, 3, 7), draw(2, 7, 11), np.arange(3)), {"half_width": 2}),
        (
            (draw(3, 7), draw(2, 7, 11), PLACES),
            {"half_width": 2, "mask": MASK},
        ),
    ],
    "luong_local.predictive_attention": [
        ((draw(2, 3, 7), draw(2, 7, 11), PLACES), {"half_width": 2}),
        (
            (draw(3, 7), draw(7, 11), PLACES),
            {"half_width": 3, "mask": MASK},
        ),
    ],
    "luong_local.predicted_positions": [
        (
            (draw(2, 3, 5), draw(5, 13), draw(13)),
            {"lengths": np.array([7, 4])},
        ),
        ((draw(3, 5), draw(5, 13), draw(13)), {"lengths": np.array([7, 4])}),
    ],
    "luong_local.window": [((PLACES,), {"keys": 7, "half_width": 1})],
}
