"""Calls of the cost model for `tests/test_shapes.py`."""

from attncourse.reference.cost import Cost, Device

COST, DEVICE = Cost(flops=300, moved_bytes=60), Device(100.0, 10.0)
CALLS = {
    "cost.intensity": [((COST,), {})],
    "cost.ridge_point": [((DEVICE,), {})],
    "cost.roofline": [((COST, DEVICE), {})],
}
