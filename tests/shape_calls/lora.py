"""Calls of `reference.lora` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.lora import LowRank

RNG = np.random.default_rng(3)
X, W, BIAS = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(5, 7)), np.ones(7)
UPDATE = LowRank(RNG.normal(size=(5, 2)), RNG.normal(size=(2, 7)), 4.0)

CALLS = {
    "lora.new_lora": [
        ((), {"width": 5, "out_width": 7, "rank": 2, "alpha": 4.0, "seed": 0})
    ],
    "lora.lora_count": [((), {"width": 5, "out_width": 7, "rank": 2})],
    "lora.low_rank_update": [((UPDATE,), {})],
    "lora.lora_project": [
        ((X, W, UPDATE), {}),
        ((X[0], W, UPDATE, BIAS), {}),
    ],
    "lora.lora_backward": [
        ((X, W, UPDATE, np.ones((2, 3, 7))), {}),
        ((X[0], W, UPDATE, np.ones((3, 7))), {}),
    ],
    "lora.merge_lora": [((W, UPDATE), {})],
    "lora.unmerge_lora": [((W, UPDATE), {})],
}
