"""Calls of `reference.compress` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
W, CUBE = RNG.normal(size=(6, 8)), RNG.normal(size=(2, 3, 8))

CALLS = {
    "compress.threshold_mask": [((W,), {"threshold": 0.5})],
    "compress.magnitude_mask": [((W,), {"keep": 5}), ((CUBE,), {"keep": 7})],
    "compress.global_masks": [(([W, CUBE],), {"keep": 11})],
    "compress.row_mask": [((W,), {"keep": 2})],
    "compress.head_mask": [((W,), {"heads": 3, "keep": 2})],
    "compress.n_of_m_mask": [((W,), {}), ((CUBE,), {"keep": 1, "of": 2})],
    "compress.prune": [((W, W > 0), {})],
}
