"""Calls of `attncourse.reference.capsules` whose shapes are enforced."""

import numpy as np

RNG = np.random.default_rng(0)
CAPSULES, MAPS = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(3, 7, 5, 4))
PREDICTED = RNG.normal(size=(2, 3, 7, 4))
CALLS = {
    "capsules.squash": [((CAPSULES,), {}), ((CAPSULES[0, 0],), {})],
    "capsules.squash_backward": [((CAPSULES, CAPSULES), {})],
    "capsules.capsule_lengths": [((CAPSULES,), {}), ((CAPSULES[0],), {})],
    "capsules.predictions": [
        ((CAPSULES, MAPS), {}),
        ((CAPSULES[0], MAPS), {}),
    ],
    "capsules.routing_shares": [((PREDICTED[..., 0],), {})],
    "capsules.route": [
        ((PREDICTED,), {}),
        ((PREDICTED[0],), {"iterations": 1}),
    ],
    "capsules.margin_loss": [
        ((RNG.random((2, 7)), RNG.random((2, 7)) < 0.5), {}),
        ((RNG.random((2, 7)), RNG.random((1, 7)) < 0.5), {}),
    ],
}
