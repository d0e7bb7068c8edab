"""Calls of `reference.ring` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.ring import contiguous, striped

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
V, UPSTREAM = RNG.normal(size=(2, 7, 11)), RNG.normal(size=(2, 3, 11))
FORWARD = [
    ((Q, K, V), {"ranks": 2}),
    ((Q[0], K, V[:1]), {"ranks": 4, "deal": striped}),
]
BACKWARD = [
    ((Q, K, V, UPSTREAM), {"ranks": 2}),
    ((Q[0], K, V[:1], UPSTREAM), {"ranks": 4, "deal": contiguous}),
]

CALLS = {
    "ring.attention": FORWARD,
    "ring.causal_attention": FORWARD,
    "ring.attention_backward": BACKWARD,
    "ring.causal_attention_backward": BACKWARD,
}
