"""Calls of `reference.adaptive_sentinel` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
S, V = RNG.normal(size=(2, 3, 7)), RNG.normal(size=(2, 7, 11))
LAST, SENTINEL = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3, 11))
MASK = np.ones((3, 7), bool)
STATE = RNG.normal(size=(2, 3, 11))

CALLS = {
    "adaptive_sentinel.visual_sentinel": [
        (
            (RNG.normal(size=(2, 3, 5)), STATE, STATE),
            {
                "w_input": RNG.normal(size=(5, 11)),
                "w_hidden": RNG.normal(size=(11, 11)),
            },
        )
    ],
    "adaptive_sentinel.sentinel_weights": [
        ((S, LAST), {}),
        ((S[0], LAST), {"mask": MASK}),
    ],
    "adaptive_sentinel.sentinel_attention": [
        ((S, V, LAST, SENTINEL), {}),
        ((S, V[:1], LAST[0], SENTINEL[:1]), {"mask": MASK[:1]}),
    ],
}
