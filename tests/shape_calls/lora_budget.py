"""Calls of `reference.lora_budget` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.lora import Smoothed, Triplets

RNG = np.random.default_rng(3)
W, GRADIENT = RNG.normal(size=(5, 7)), RNG.normal(size=(5, 7))
SCORES = Triplets(np.ones((5, 2)), np.ones(2), np.ones((2, 7)))

CALLS = {
    "lora_budget.sensitivity": [((W, GRADIENT), {})],
    "lora_budget.smooth": [
        ((None, W), {}),
        ((Smoothed(W, W), GRADIENT), {"keep": 0.5}),
    ],
    "lora_budget.importance": [((SCORES,), {})],
    "lora_budget.rank_budget": [
        (
            (3,),
            {"first": 9, "last": 2, "steps": 7, "warm": 1, "final": 2},
        )
    ],
    "lora_budget.allocate": [
        (([np.ones(3), np.ones(2)],), {"budget": 4}),
        (([],), {"budget": 4}),
    ],
}
