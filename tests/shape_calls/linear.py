"""Calls of `linear`, whose annotations must hold."""

import numpy as np

from attncourse.reference.linear import State

RNG = np.random.default_rng(29)
Q, K, V = (
    RNG.normal(size=shape) for shape in ((2, 3, 5), (2, 7, 5), (2, 7, 11))
)
STATE = State(RNG.normal(size=(2, 5, 11)), RNG.normal(size=(2, 5)))
STEPS = [
    ((K, K, V), {}),
    ((K[0], K[:1], V), {}),
    ((K, K, V), {"state": STATE}),
]
CALLS = {
    "linear.elu_plus_one": [((Q,), {}), ((Q[0, 0],), {})],
    "linear.attention": [((Q, K, V), {}), ((Q[0], K[:1], V), {})],
    "linear.causal_attention": [
        ((Q, K, V), {}),
        ((K, Q, V[:, :3]), {}),
        ((Q[0], K[:1], V), {}),
    ],
    "linear.recurrent_attention": STEPS,
    "linear.chunked_attention": [
        *STEPS,
        ((K, K, V), {"chunk": 3}),
    ],
}
