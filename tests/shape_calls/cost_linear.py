"""Calls of the cost of linear attention for `tests/test_shapes.py`."""

SIZES = {"tokens": 13, "heads": 2, "features": 3, "value_dim": 5}
CALLS = {
    "cost_linear.linear_attention_flops": [((), SIZES)],
    "cost_linear.chunked_linear_attention_flops": [
        ((), {**SIZES, "chunk": 4})
    ],
    "cost_linear.softmax_operations": [((), {"rows": 3, "columns": 7})],
    "cost_linear.layer_norm_operations": [((), {"tokens": 3, "width": 7})],
}
