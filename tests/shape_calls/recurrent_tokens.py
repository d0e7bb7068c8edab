"""Calls of `reference.recurrent_tokens`, for its annotations."""

import numpy as np

RNG = np.random.default_rng(5)
X, MASK = RNG.normal(size=(2, 7, 5)), np.arange(14).reshape(2, 7) % 3 > 0
TABLE = RNG.normal(size=(7, 5))
CALLS = {
    "recurrent_tokens.embed": [
        ((np.array([[1, 4, 2]]), TABLE), {}),
        ((np.array(3), TABLE), {}),
    ],
    "recurrent_tokens.masked_tokens": [
        ((X, None), {}),
        ((X, MASK), {}),
        ((X, MASK[0]), {"name": "memory", "axis": "keys"}),
    ],
}
