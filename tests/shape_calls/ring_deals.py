"""Calls of `reference.ring_deals` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.ring import contiguous, zigzag

X = np.random.default_rng(3).normal(size=(2, 7, 5))
DEAL = contiguous(7, ranks=3)

CALLS = {
    "ring_deals.contiguous": [((7,), {"ranks": 3}), ((0,), {"ranks": 2})],
    "ring_deals.striped": [((7,), {"ranks": 3}), ((1,), {"ranks": 2})],
    "ring_deals.zigzag": [((7,), {"ranks": 3}), ((1,), {"ranks": 2})],
    "ring_deals.shard": [((X, DEAL), {}), ((X[0], DEAL), {})],
    "ring_deals.unshard": [
        (([X[:, :3], X[:, 3:5], X[:, 5:]], DEAL), {}),
    ],
    "ring_deals.holders": [((3,), {})],
    "ring_deals.work_per_rank": [
        ((7,), {"ranks": 3}),
        ((7,), {"ranks": 3, "deal": zigzag}),
    ],
}
