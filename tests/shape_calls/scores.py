"""Calls of `reference.scores` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 5))
WIDE = RNG.normal(size=(2, 7, 11))
BILINEAR = RNG.normal(size=(5, 11))
ADDITIVE = tuple(RNG.normal(size=size) for size in ((5, 13), (11, 13), 13))

CALLS = {
    "scores.dot_scores": [((Q, K), {}), ((Q[0], K), {})],
    "scores.cosine_scores": [((Q, K), {})],
    "scores.scaled_scores": [((Q, K), {})],
    "scores.distance_scores": [((Q, K), {})],
    "scores.bilinear_scores": [((Q, WIDE, BILINEAR), {})],
    "scores.additive_scores": [((Q, WIDE, *ADDITIVE), {})],
}
