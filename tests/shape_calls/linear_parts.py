"""Calls of `linear_parts`, whose annotations must hold."""

import numpy as np

RNG = np.random.default_rng(31)
Q, K, V = (
    RNG.normal(size=shape) for shape in ((2, 7, 5), (2, 7, 5), (2, 7, 11))
)
G = -RNG.random(size=(2, 7, 5))
CALLS = {
    "linear_parts.log_decays": [((G,), {}), ((G[0],), {})],
    "linear_parts.decayed_products": [
        ((Q, K, G), {}),
        ((Q[0], K, G[..., :1]), {}),
    ],
    "linear_parts.causal_sums": [
        ((RNG.normal(size=(2, 3, 7)), V), {}),
        ((RNG.normal(size=(7, 7)), V), {}),
    ],
}
