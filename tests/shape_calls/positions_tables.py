"""Calls of `reference.positions_tables` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 7, 6))
V = RNG.normal(size=(2, 7, 11))
AT, THERE = np.arange(3), np.arange(7)
INDEX = np.clip(THERE - AT[:, None], -2, 2) + 2  # queries keys
TABLE = RNG.normal(size=(5, 6))
VALUE_TABLE = RNG.normal(size=(5, 11))

CALLS = {
    "positions_tables.learned": [((TABLE, np.arange(4)), {})],
    "positions_tables.relative_index": [((AT, THERE), {"clip": 2})],
    "positions_tables.bucket_index": [((AT, THERE), {})],
    "positions_tables.causal_bucket_index": [((AT, THERE), {"buckets": 6})],
    "positions_tables.relative_scores": [((Q, K, TABLE, INDEX), {})],
    "positions_tables.relative_values": [
        ((RNG.random(size=(2, 3, 7)), V, VALUE_TABLE, INDEX), {})
    ],
    "positions_tables.relative_bias": [((RNG.normal(size=(4, 5)), INDEX), {})],
}
