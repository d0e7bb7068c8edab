"""Calls of `linear_decay`, whose annotations must hold."""

import numpy as np

RNG = np.random.default_rng(37)
Q, K, V = (
    RNG.normal(size=shape) for shape in ((2, 7, 5), (2, 7, 5), (2, 7, 11))
)
G = -RNG.random(size=(2, 7, 5))
MEMORY = RNG.normal(size=(2, 5, 11))
GATED = [
    ((Q, K, V), {"log_decay": G}),
    ((Q, K, V), {"log_decay": G[..., :1]}),
    ((Q, K, V), {"log_decay": G[:, :1, :1]}),
    ((Q[0], K[:1], V), {"log_decay": G[0, :1]}),
]
STATED = [*GATED, ((Q, K, V), {"log_decay": G, "state": MEMORY})]
CALLS = {
    "linear_decay.retention_decays": [((5,), {})],
    "linear_decay.parallel_retention": GATED,
    "linear_decay.recurrent_retention": STATED,
    "linear_decay.chunked_retention": [
        *STATED,
        ((Q, K, V), {"log_decay": G, "chunk": 3}),
    ],
}
