"""Calls of `reference.compress_int8` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.compress import quantise, quantise_affine

RNG = np.random.default_rng(3)
X, W = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(5, 7))

CALLS = {
    "compress_int8.quantise": [
        ((X,), {}),
        ((X,), {"axis": -1}),
        ((X,), {"axis": (0, 1)}),
    ],
    "compress_int8.quantise_affine": [((X,), {}), ((W,), {"axis": 0})],
    "compress_int8.dequantise": [((quantise(X, axis=-1),), {})],
    "compress_int8.error_bound": [((quantise_affine(W, axis=0),), {})],
    "compress_int8.int8_product": [
        ((quantise(X, axis=-1), quantise(W, axis=0)), {}),
        ((quantise_affine(X), quantise(W)), {}),
    ],
}
