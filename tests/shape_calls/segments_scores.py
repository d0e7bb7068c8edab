"""Calls of `reference.segments_scores` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.segments_scores import Distances

RNG = np.random.default_rng(3)
Q, K = RNG.normal(size=(2, 5, 3, 4)), RNG.normal(size=(11, 1, 5, 7, 4))
V = RNG.normal(size=(5, 7, 13))
DISTANCES = Distances(
    RNG.normal(size=(5, 7, 4)),
    RNG.normal(size=(5, 4)),
    RNG.normal(size=(5, 4)),
)
MASK = np.tri(3, 7, 4, dtype=bool)

CALLS = {
    "segments_scores.distance_encodings": [((7,), {"dim": 4})],
    "segments_scores.relative_shift": [
        ((RNG.normal(size=(2, 3, 7)),), {}),
        ((RNG.normal(size=(3, 3)),), {}),
    ],
    "segments_scores.score_terms": [
        ((Q, K, DISTANCES), {}),
        ((Q[0], K[0, 0], DISTANCES), {}),
    ],
    "segments_scores.segment_scores": [
        ((Q, K, DISTANCES), {}),
        ((Q[0], K, DISTANCES), {}),
    ],
    "segments_scores.segment_attention": [
        ((Q, K, V, DISTANCES), {"mask": MASK}),
        (
            (
                Q,
                Q[..., :3, :],
                Q,
                DISTANCES._replace(vectors=DISTANCES.vectors[:, :3]),
            ),
            {"mask": MASK[:, 4:]},
        ),
    ],
}
