"""Calls of `reference.lora_adaptive` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.lora import Triplets

RNG = np.random.default_rng(3)
X, W, BIAS = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(5, 7)), np.ones(7)
UPDATE = Triplets(
    RNG.normal(size=(5, 2)), RNG.normal(size=2), RNG.normal(size=(2, 7))
)

CALLS = {
    "lora_adaptive.new_triplets": [
        ((), {"width": 5, "out_width": 7, "rank": 2, "seed": 0})
    ],
    "lora_adaptive.adaptive_project": [
        ((X, W, UPDATE), {}),
        ((X[0], W, UPDATE, BIAS), {}),
    ],
    "lora_adaptive.orthogonality_penalty": [((UPDATE,), {})],
    "lora_adaptive.prune_triplets": [
        ((UPDATE, np.array([True, False])), {}),
    ],
}
