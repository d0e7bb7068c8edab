"""Calls of the cost of attention for `tests/test_shapes.py`."""

from attncourse.reference.cost_parts import AttentionSizes

SIZES = AttentionSizes(queries=3, keys=7, heads=2, dim=5, value_dim=11)
CALLS = {
    "cost_attention.band_pairs": [
        ((3, 7), {}),
        ((7, 3), {"behind": 2, "ahead": 1}),
    ],
    "cost_attention.causal_pairs": [((3, 7), {})],
    "cost_attention.window_pairs": [((3, 7), {"window": 2})],
    "cost_attention.block_pairs": [((3,), {"rows": 2, "columns": 5})],
    "cost_attention.attention_flops": [
        ((SIZES,), {}),
        ((SIZES,), {"pairs": 13}),
    ],
    "cost_attention.tiled_training_flops": [((SIZES,), {"pairs": 13})],
    "cost_attention.naive_attention_cost": [((SIZES,), {"number_bytes": 2})],
}
