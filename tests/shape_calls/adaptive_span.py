"""Calls of `reference.adaptive_span` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
Q, K, V = (RNG.normal(size=(2, *s)) for s in [(13, 3, 5), (13, 7, 5), (7, 11)])
SPANS = np.linspace(0.0, 9.0, 13)

CALLS = {
    "adaptive_span.span_mask": [
        ((3, 7), {"span": 1.5, "ramp": 2.0}),
        ((3, 7), {"span": SPANS, "ramp": 2.0}),
    ],
    "adaptive_span.adaptive_span_attention": [
        ((Q, K, V[:, None]), {"span": SPANS, "ramp": 2.0}),
        (
            (Q[0, 0], K, V[0]),
            {"span": 1.5, "ramp": 2.0, "mask": np.ones((3, 7), bool)},
        ),
    ],
    "adaptive_span.keys_in_span": [
        ((SPANS,), {"ramp": 2.0}),
        ((1.5,), {"ramp": 2.0}),
    ],
    "adaptive_span.span_penalty": [((SPANS,), {"weight": 0.5})],
}
