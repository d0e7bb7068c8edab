"""Calls of `reference.softmax` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 3, 5))
WEIGHTS = np.full((2, 3, 5), 0.2)

CALLS = {
    "softmax.softmax": [((X,), {}), ((X,), {"axis": 1})],
    "softmax.softmax_with_temperature": [((X,), {"temperature": 2.0})],
    "softmax.masked_softmax": [((X, X > 0), {}), ((X, X[0] > 0), {})],
    "softmax.log_sum_exp": [((X,), {}), ((X,), {"axis": 0})],
    "softmax.log_softmax": [((X,), {})],
    "softmax.softmax_jacobian": [((WEIGHTS,), {})],
    "softmax.softmax_backward": [((WEIGHTS, X), {})],
    "softmax.entropy": [((WEIGHTS,), {})],
}
