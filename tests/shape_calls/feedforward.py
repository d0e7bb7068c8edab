"""Calls of `reference.feedforward` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.feedforward import FeedForwardWeights, GatedWeights

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 3, 5))


def weights(kind, *sizes):
    return kind(*(RNG.normal(size=size) for size in sizes))


PLAIN = weights(FeedForwardWeights, (5, 11), (11, 5), 11, 5)
GATED = weights(GatedWeights, (5, 11), (5, 11), (11, 5))

CALLS = {
    **{
        f"feedforward.{name}": [((X,), {}), ((X[0, 0],), {})]
        for name in ("relu", "gelu", "gelu_tanh", "sigmoid", "swish")
    },
    "feedforward.feed_forward": [((X, PLAIN), {})],
    "feedforward.gated_feed_forward": [((X, GATED), {})],
    "feedforward.dropout": [((X, X > 0), {"rate": 0.25})],
}
