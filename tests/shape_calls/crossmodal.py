"""Calls of `attncourse.reference.crossmodal` whose shapes are enforced."""

import numpy as np

from attncourse.reference.blocks import new_encoder_layer
from attncourse.reference.crossmodal import (
    CoAttentionLayer,
    GatedCrossLayer,
    RegionScorer,
)
from attncourse.reference.heads_parts import Projections

RNG = np.random.default_rng(0)
X, CONTEXT = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 7, 4))
MASK = RNG.random((2, 5, 7)) < 0.5
P = Projections(
    *(RNG.normal(size=shape) for shape in ((3, 6), (4, 6), (4, 6), (6, 3)))
)
PLAIN = new_encoder_layer(width=4, hidden=11, seed=0)
SCORER = RegionScorer(
    *(RNG.normal(size=shape) for shape in ((3, 6), (4, 6), 6, (3, 1), 1))
)
FOUR = RNG.normal(size=(2, 5, 4))
CALLS = {
    "crossmodal_masks.pair_mask": [
        ((MASK[:, :, 0], MASK[:, 0]), {}),
        ((MASK[0, :, 0], MASK[:, 0]), {}),
    ],
    "crossmodal_masks.latest_image_mask": [
        ((np.eye(5, dtype=bool)[0],), {"images": 2, "per_image": 3}),
        ((np.eye(5, dtype=bool),), {"images": 2, "per_image": 3}),
    ],
    "crossmodal.cross_attention": [
        ((X, CONTEXT, P), {"heads": 2}),
        ((X[0], CONTEXT, P), {"heads": 2, "mask": MASK}),
        ((X, CONTEXT, P), {"heads": 2, "mask": MASK[:, :1]}),
    ],
    "crossmodal.co_attention_layer": [
        ((FOUR, CONTEXT, CoAttentionLayer(PLAIN, PLAIN)), {"heads": 2}),
        (
            (FOUR, CONTEXT, CoAttentionLayer(PLAIN, PLAIN)),
            {"heads": 2, "mask": MASK},
        ),
    ],
    "crossmodal.gated_cross_attention": [
        (
            (FOUR, CONTEXT, GatedCrossLayer(**vars(PLAIN))),
            {"heads": 2, "mask": MASK[:1]},
        ),
    ],
    "crossmodal_regions.region_weights": [
        ((X, CONTEXT, SCORER), {}),
        ((X[0], CONTEXT, SCORER), {"mask": MASK[:, :1]}),
    ],
    "crossmodal_regions.region_context": [
        ((X, CONTEXT, SCORER), {}),
        ((X, CONTEXT[:1], SCORER), {"mask": MASK}),
    ],
    "crossmodal_regions.region_gate": [((X, SCORER), {})],
    "crossmodal_regions.gated_region_context": [
        ((X, CONTEXT, SCORER), {"mask": MASK}),
    ],
    "crossmodal_regions.doubly_stochastic_penalty": [
        ((RNG.random((2, 5, 7)),), {}),
        ((RNG.random((2, 5, 7)),), {"mask": MASK[:, :1]}),
    ],
}
