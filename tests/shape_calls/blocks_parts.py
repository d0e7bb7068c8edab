"""Calls of `reference.blocks_parts` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.blocks_parts import NormWeights
from attncourse.reference.feedforward import FeedForwardWeights

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 3, 5))
NORM = NormWeights(RNG.normal(size=5), RNG.normal(size=5))
FEED = FeedForwardWeights(RNG.normal(size=(5, 7)), RNG.normal(size=(7, 5)))

CALLS = {
    "blocks_parts.normed": [((X, NORM), {})],
    "blocks_parts.feed": [((X, FEED), {})],
    "blocks_parts.residual": [((X, X), {})],
    "blocks_parts.post_norm": [((X, np.tanh, np.sin), {})],
    "blocks_parts.pre_norm": [((X, np.tanh, np.sin), {})],
    "blocks_parts.parallel": [((X, np.tanh, np.cos, np.sin), {})],
}
