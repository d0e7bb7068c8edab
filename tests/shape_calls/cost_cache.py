"""Calls of the cost of decoding for `tests/test_shapes.py`."""

from attncourse.reference.cost_parts import LayerSizes

SIZES = LayerSizes(width=11, heads=6, dim=5, hidden=13, groups=2)
CALLS = {
    "cost_cache.cached_tokens": [((17,), {"window": 7, "page": 4})],
    "cost_cache.cache_bytes": [((17, SIZES), {"layers": 2})],
    "cost_cache.prefill_cost": [((SIZES,), {"layers": 2, "tokens": 17})],
    "cost_cache.decode_cost": [((SIZES,), {"layers": 2, "cached": 17})],
}
