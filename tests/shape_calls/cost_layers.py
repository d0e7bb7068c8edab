"""Calls of the cost of layers for `tests/test_shapes.py`."""

from attncourse.reference.cost_parts import Cost, LayerSizes

SIZES = LayerSizes(width=11, heads=6, dim=5, hidden=13, groups=2)
CALLS = {
    "cost_layers.attention_layer_flops": [
        ((SIZES,), {"queries": 3, "keys": 7}),
        ((SIZES,), {"queries": 1, "keys": 1, "cached": 9, "pairs": 5}),
    ],
    "cost_layers.feed_forward_flops": [((SIZES,), {"tokens": 3})],
    "cost_layers.encoder_layer_flops": [((SIZES,), {"tokens": 3})],
    "cost_layers.decoder_layer_flops": [
        ((SIZES,), {"tokens": 3, "memory": 7, "pairs": 6})
    ],
    "cost_layers.language_model_flops": [
        ((SIZES,), {"layers": 2, "tokens": 3, "vocabulary": 17})
    ],
    "cost_layers.training_flops": [((100,), {})],
    "cost_layers.layer_weight_count": [((SIZES,), {})],
    "cost_layers.encoder_layer_cost": [
        ((SIZES, Cost(1, 2)), {"tokens": 3, "number_bytes": 2})
    ],
    "cost_layers.training_state_bytes": [((100,), {})],
}
