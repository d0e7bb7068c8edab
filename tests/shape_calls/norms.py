"""Calls of `reference.norms` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
X, UP = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 3, 5))
GAIN, SHIFT = RNG.normal(size=5), RNG.normal(size=5)

CALLS = {
    "norms.standardize": [((X,), {})],
    "norms.standardize_backward": [((X, UP), {})],
    "norms.layer_norm": [((X, GAIN, SHIFT), {}), ((X[0], GAIN), {})],
    "norms.layer_norm_backward": [((X, GAIN, UP), {})],
    "norms.rms_norm": [((X, GAIN), {"eps": 1e-6})],
    "norms.rms_norm_backward": [((X, GAIN, UP), {})],
}
