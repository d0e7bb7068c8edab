"""Calls of `reference.objectives` for `test_shapes.py`."""

import numpy as np

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(2, 3, 5))
TOKENS = RNG.integers(5, size=(2, 3))
MASK = np.ones((2, 3), bool)
CORRUPT = {"mask_token": 4, "vocabulary": 5, "rate": 0.5, "rng": RNG}

CALLS = {
    "objectives.cross_entropy": [
        ((LOGITS, TOKENS), {}),
        ((LOGITS, TOKENS), {"mask": MASK}),
    ],
    "objectives.cross_entropy_backward": [((LOGITS, TOKENS), {})],
    "objectives.causal_lm_loss": [((LOGITS, TOKENS), {"mask": MASK})],
    "objectives.masked_lm_loss": [((LOGITS, TOKENS, MASK), {})],
    "objectives.corrupt_tokens": [((TOKENS, MASK), CORRUPT)],
}
