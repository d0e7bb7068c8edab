"""Calls of `linear_delta`, whose annotations must hold."""

import numpy as np

from attncourse.reference.linear_delta import Gates

RNG = np.random.default_rng(41)
Q, K, V = (
    RNG.normal(size=shape) for shape in ((2, 7, 5), (2, 7, 5), (2, 7, 11))
)
WRITE = RNG.random(size=(2, 7))
MEMORY = RNG.normal(size=(2, 5, 11))
GATED = [
    ((Q, K, V, Gates(WRITE)), {}),
    ((Q[0], K[:1], V, Gates(WRITE[:, :1], -WRITE)), {}),
]
STATED = [*GATED, ((Q, K, V, Gates(WRITE, -WRITE)), {"state": MEMORY})]
CALLS = {
    "linear_delta.parallel_delta_rule": GATED,
    "linear_delta.recurrent_delta_rule": STATED,
    "linear_delta.chunked_delta_rule": [
        *STATED,
        ((Q, K, V, Gates(WRITE)), {"chunk": 3}),
    ],
}
