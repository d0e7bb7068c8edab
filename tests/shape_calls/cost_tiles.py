"""Calls of the cost of tiled attention for `tests/test_shapes.py`."""

from attncourse.reference.cost_parts import AttentionSizes

SIZES = AttentionSizes(queries=3, keys=7, heads=2, dim=5, value_dim=11)
CALLS = {
    "cost_tiles.strip_pairs": [
        ((3, 7), {"rows": 2}),
        ((7, 3), {"rows": 2, "behind": 2, "ahead": 1}),
    ],
    "cost_tiles.flash_tiles": [((1000,), {"dim": 5})],
    "cost_tiles.flash_attention_cost": [((SIZES,), {"columns": 2})],
    "cost_tiles.strip_attention_cost": [((SIZES,), {"rows": 2, "ahead": 0})],
    "cost_tiles.naive_saved_bytes": [((SIZES,), {})],
    "cost_tiles.tiled_saved_bytes": [((SIZES,), {})],
}
