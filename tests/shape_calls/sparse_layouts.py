"""Calls of `sparse_layouts`, whose annotations must hold."""

import numpy as np

CALLS = {
    "sparse_layouts.window_layout": [
        ((5, 7), {"behind": 2, "ahead": 1}),
        ((0, 7), {"behind": 0, "ahead": 0}),
    ],
    "sparse_layouts.global_layout": [
        ((5, 7), {"blocks": np.array([0, 6])}),
        ((7, 5), {"blocks": np.array([], int)}),
    ],
    "sparse_layouts.strided_layout": [((5, 7), {"stride": 2})],
    "sparse_layouts.fixed_layout": [
        ((5, 7), {"stride": 3}),
        ((7, 5), {"stride": 3, "summary": 2}),
    ],
    "sparse_layouts.random_layout": [
        ((5, 7), {"per_row": 3, "rng": np.random.default_rng(47)}),
    ],
    "sparse_layouts.density": [
        ((np.ones((2, 5, 7), bool),), {}),
        ((np.ones((5, 7), bool),), {}),
    ],
}
