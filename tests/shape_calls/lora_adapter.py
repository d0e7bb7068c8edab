"""Calls of `reference.lora_adapter` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.lora import AdapterWeights

X = np.random.default_rng(3).normal(size=(2, 3, 5))
WEIGHTS = AdapterWeights(np.ones((5, 2)), None, np.ones((2, 5)), np.ones(5))

CALLS = {
    "lora_adapter.new_adapter": [((), {"width": 5, "hidden": 2, "seed": 0})],
    "lora_adapter.adapter_count": [((), {"width": 5, "hidden": 2})],
    "lora_adapter.adapter": [((X, WEIGHTS), {}), ((X[0], WEIGHTS), {})],
}
