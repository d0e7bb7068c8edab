"""Calls of `sparse`, whose annotations must hold."""

import numpy as np

RNG = np.random.default_rng(43)
SHAPES = ((2, 5, 3), (2, 7, 3), (2, 7, 11))
Q, K, V = (RNG.normal(size=shape) for shape in SHAPES)
LAYOUT = RNG.random((3, 4)) < 0.6
HEADS = RNG.random((2, 3, 4)) < 0.6
SIZES = {"queries": 5, "keys": 7, "block": 2}
READS = [
    ((Q, K, V, LAYOUT), {"block": 2}),
    ((Q[0], K[:1], V, LAYOUT), {"block": 2}),
    ((Q[0], K[0], V[0], HEADS), {"block": 2}),
    ((Q[:, :0], K, V, LAYOUT[:0]), {"block": 2}),
]
CALLS = {
    "sparse.tiles": [((LAYOUT,), SIZES), ((HEADS,), SIZES)],
    "sparse.causal_tiles": [((LAYOUT,), SIZES), ((HEADS,), SIZES)],
    "sparse.attention": READS,
    "sparse.causal_attention": READS,
}
