"""Calls of `reference.heads` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.heads_parts import Projections

RNG = np.random.default_rng(3)
X, CONTEXT = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 7, 11))
MASK = np.ones((3, 7), bool)


def projections(*, groups, heads=4, dim=2):
    """Return projections of tokens of width 5 reading width 11."""
    sizes = [(5, heads * dim), (11, groups * dim), (11, groups * dim)]
    return Projections(
        *(RNG.normal(size=size) for size in sizes),
        RNG.normal(size=(heads * dim, 5)),
    )


Q = RNG.normal(size=(2, 4, 3, 5))
K, V = RNG.normal(size=(2, 2, 7, 5)), RNG.normal(size=(2, 2, 7, 11))

CALLS = {
    "heads.mask_every_head": [((MASK,), {}), ((None,), {})],
    "heads.multi_head_attention": [
        ((X, CONTEXT, projections(groups=4)), {"heads": 4}),
        ((X, CONTEXT, projections(groups=4)), {"heads": 4, "mask": MASK}),
    ],
    "heads.head_weights": [
        ((X, CONTEXT, projections(groups=4)), {"heads": 4, "mask": MASK})
    ],
    "heads.grouped_attention": [
        ((Q, K, V), {}),
        ((Q, K, V), {"mask": MASK}),
    ],
    "heads.grouped_query_attention": [
        ((X, CONTEXT, projections(groups=2)), {"heads": 4, "groups": 2})
    ],
    "heads.multi_query_attention": [
        ((X, CONTEXT, projections(groups=1)), {"heads": 4})
    ],
}
