"""Calls of `reference.objectives_decoding` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(2, 5))
START = np.array([1, 2])


def next_logits(tokens):
    """Return logits that prefer the successor of the last token."""
    return -np.abs(np.arange(5.0) - (np.asarray(tokens)[-1] + 1) % 5)


CALLS = {
    "objectives_decoding.greedy": [((next_logits, START), {"steps": 3})],
    "objectives_decoding.beam_search": [
        ((next_logits, START), {"beams": 2, "steps": 3, "end": 0})
    ],
    "objectives_decoding.sample": [
        ((next_logits, START), {"steps": 3, "rng": RNG})
    ],
    "objectives_decoding.with_temperature": [
        ((LOGITS,), {"temperature": 2.0})
    ],
    "objectives_decoding.keep_top_k": [((LOGITS,), {"k": 2})],
    "objectives_decoding.keep_top_p": [((LOGITS,), {"p": 0.5})],
}
