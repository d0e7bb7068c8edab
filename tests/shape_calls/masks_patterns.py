"""Calls of `reference.masks_patterns` for `test_shapes.py`."""

import numpy as np

IDS, FLAGS = np.arange(3), np.ones((2, 7), bool)

CALLS = {
    "masks_patterns.window_mask": [((3, 7), {"window": 2})],
    "masks_patterns.local_mask": [((7, 3), {"radius": 2})],
    "masks_patterns.strided_mask": [((3, 7), {"stride": 2})],
    "masks_patterns.prefix_mask": [
        ((3, 7), {"prefix": 2}),
        ((3, 7), {"prefix": np.array([2, 5])}),
    ],
    "masks_patterns.document_mask": [
        ((IDS, np.arange(7)), {}),
        ((IDS[None], np.ones((2, 7), int)), {}),
    ],
    "masks_patterns.global_mask": [
        ((FLAGS[0, :3], FLAGS[0]), {}),
        ((FLAGS[:1, :3], FLAGS), {}),
    ],
    "masks_patterns.block_mask": [
        ((FLAGS[:, :4],), {"block": 2, "queries": 3, "keys": 7}),
        (
            (np.ones((5, 2, 4), bool),),
            {"block": 2, "queries": 3, "keys": 7},
        ),
    ],
}
