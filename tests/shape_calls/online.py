"""Calls of `reference.online` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.online import Normalizer, Partial

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
V = RNG.normal(size=(2, 7, 11))
SCORES = RNG.normal(size=(2, 3, 7))
SOME = Normalizer(RNG.normal(size=(2, 3)), np.ones((2, 3)))
SAID = Partial(RNG.normal(size=(2, 3, 11)), RNG.normal(size=(2, 3)))
MASK = np.ones((3, 7), bool)

CALLS = {
    "online.merge_normalizers": [((SOME, SOME), {})],
    "online.online_normalizer": [((SCORES,), {})],
    "online.online_softmax": [((SCORES,), {})],
    "online.merge": [((SAID, SAID), {})],
    "online.partial_attention": [
        ((Q, K, V), {}),
        ((Q[0], K, V[:1]), {"mask": MASK}),
    ],
    "online.attention": [
        ((Q, K, V), {"tile": 2}),
        ((Q[0], K, V), {"mask": MASK, "tile": 4}),
    ],
}
