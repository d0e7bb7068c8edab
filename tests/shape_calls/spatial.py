"""Calls of `attncourse.reference.spatial` whose shapes are enforced."""

import numpy as np

RNG = np.random.default_rng(0)
IMAGE, THETA = RNG.normal(size=(2, 3, 5, 7)), RNG.normal(size=(2, 2, 3))
GRID, UPSTREAM = RNG.normal(size=(2, 4, 6, 2)), RNG.normal(size=(2, 3, 4, 6))
CALLS = {
    "spatial_grid.attention_theta": [
        ((np.ones(2), np.ones((2, 2))), {}),
        ((np.ones(1), np.ones((5, 2))), {}),
    ],
    "spatial_grid.affine_grid": [
        ((THETA,), {"height": 4, "width": 6}),
        ((THETA[0],), {"height": 4, "width": 6}),
    ],
    "spatial_grid.affine_grid_backward": [((GRID,), {}), ((GRID[0],), {})],
    "spatial.sampling_weights": [((GRID,), {"height": 5, "width": 7})],
    "spatial.bilinear_sample": [
        ((IMAGE, GRID), {}),
        ((IMAGE[:1], GRID), {}),
        ((IMAGE[0], GRID), {}),
    ],
    "spatial.bilinear_sample_backward": [
        ((IMAGE, GRID, UPSTREAM), {}),
        ((IMAGE[:1], GRID, UPSTREAM), {}),
    ],
    "spatial.spatial_transform": [
        ((IMAGE, THETA), {"height": 4, "width": 6}),
        ((IMAGE, THETA[0]), {"height": 4, "width": 6}),
    ],
    "spatial.spatial_transform_backward": [
        ((IMAGE, THETA, UPSTREAM), {}),
        ((IMAGE, THETA[:1], UPSTREAM), {}),
    ],
}
