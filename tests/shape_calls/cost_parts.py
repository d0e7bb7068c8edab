"""Calls of the cost model's parts for `tests/test_shapes.py`."""

from attncourse.reference.cost_parts import Cost

PRODUCT = {"rows": 3, "inner": 5, "columns": 7, "number_bytes": 4}
CALLS = {
    "cost_parts.total_cost": [(([Cost(1, 2), Cost(3, 4)],), {})],
    "cost_parts.product_cost": [
        ((), PRODUCT),
        ((), {**PRODUCT, "batch": 2}),
    ],
}
