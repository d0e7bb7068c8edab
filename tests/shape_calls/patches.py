"""Calls of `attncourse.reference.patches` whose shapes are enforced."""

import numpy as np

from attncourse.reference.patches import VisionSizes, new_vision_transformer

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 3, 6, 10))
SIZES = VisionSizes(6, 10, 3, 2, dim=4, hidden=7, layers=1, classes=5)
MODEL = new_vision_transformer(SIZES, seed=0)
CALLS = {
    "patches_parts.grid_of": [((6, 10), {"patch": 2})],
    "patches_parts.patchify": [
        ((IMAGES,), {"patch": 2}),
        ((IMAGES[0],), {"patch": 1}),
    ],
    "patches_parts.unpatchify": [
        (
            (RNG.normal(size=(2, 15, 12)),),
            {"patch": 2, "height": 6, "width": 10},
        ),
    ],
    "patches_parts.patch_embedding": [
        ((IMAGES, RNG.normal(size=(7, 3, 2, 2))), {}),
        ((IMAGES[0], RNG.normal(size=(7, 3, 2, 2)), np.ones(7)), {}),
    ],
    "patches_parts.sinusoidal_2d": [((3, 5), {"dim": 8})],
    "patches_parts.interpolate_positions": [
        ((RNG.normal(size=(3, 5, 4)),), {"rows": 2, "columns": 7}),
    ],
    "patches.image_tokens": [((IMAGES, MODEL), {}), ((IMAGES[0], MODEL), {})],
    "patches.read_image": [((IMAGES, MODEL), {"heads": 2})],
    "patches.class_logits": [
        ((IMAGES, MODEL), {"heads": 2}),
        ((IMAGES[0], MODEL), {"heads": 2}),
    ],
    "patches.mean_logits": [
        ((IMAGES, MODEL), {"heads": 2}),
        ((IMAGES[0], MODEL), {"heads": 2}),
    ],
    "patches.resized": [((MODEL,), {"height": 8, "width": 14})],
    "patches.new_vision_transformer": [((SIZES,), {"seed": 1})],
}
