"""Calls of `reference.heads_counts` for `test_shapes.py`."""

SIZES = {"width": 12, "heads": 4, "dim": 3}

CALLS = {
    "heads_counts.parameter_count": [((), SIZES), ((), SIZES | {"groups": 2})],
    "heads_counts.flop_count": [((), SIZES | {"queries": 5, "keys": 7})],
    "heads_counts.score_count": [((), {"queries": 5, "keys": 7, "heads": 4})],
    "heads_counts.cache_count": [((), {"keys": 7, "groups": 2, "dim": 3})],
}
