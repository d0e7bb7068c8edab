"""Calls of `reference.sparsemax_gradients` for `test_shapes.py`."""

import numpy as np

A = np.full((2, 3, 5), 0.2)

CALLS = {
    "sparsemax_gradients.sparsemax_backward": [((A, A), {}), ((A, A[0]), {})],
    "sparsemax_gradients.entmax_backward": [((A, A[:1]), {"alpha": 1.5})],
    "sparsemax_gradients.tsallis_entropy": [((A,), {"alpha": 1.5})],
}
