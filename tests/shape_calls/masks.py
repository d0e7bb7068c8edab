"""Calls of `reference.masks` for `test_shapes.py`."""

import numpy as np

MASK = np.ones((3, 7), bool)

CALLS = {
    "masks.causal_mask": [((3, 7), {}), ((7, 3), {})],
    "masks.padding_mask": [((np.array([3, 1]),), {"keys": 5})],
    "masks.combine_masks": [((MASK, MASK[:1]), {})],
    "masks.unite_masks": [((MASK, MASK[:1]), {})],
    "masks.masked_mean": [((np.ones((2, 3)), np.ones((2, 3), bool)), {})],
}
