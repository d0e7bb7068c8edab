"""Calls of `reference.sparsemax` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K, V = (RNG.normal(size=s) for s in [(2, 3, 5), (2, 7, 5), (2, 7, 11)])
S, MASK = RNG.normal(size=(2, 3, 7)), np.ones((3, 7), bool)

CALLS = {
    "sparsemax.sparsemax": [((S,), {}), ((S,), {"axis": 1})],
    "sparsemax.entmax_15": [((S,), {}), ((S,), {"axis": 0})],
    "sparsemax.entmax": [((S,), {"alpha": 1.5})],
    "sparsemax.masked_sparsemax": [((S, MASK), {}), ((S, MASK[:1]), {})],
    "sparsemax.masked_entmax": [((S, MASK), {"alpha": 1.5})],
    "sparsemax.sparsemax_attention": [
        ((Q, K, V), {}),
        ((Q[0], K, V), {"mask": MASK}),
    ],
    "sparsemax.entmax_attention": [
        ((Q, K[:1], V), {"alpha": 1.5, "mask": MASK[:, :1]})
    ],
}
