"""Calls of `reference.gates` for `test_shapes.py`."""

import numpy as np

from attncourse.reference.gates import GateWeights, gru_gate, new_gru_gate

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(7, 1, 3, 5))
GATE = GateWeights(RNG.normal(size=(5, 5)), RNG.normal(size=5))
GRU = new_gru_gate(width=5, seed=0)


def same(x):
    return x


CALLS = {
    "gates.input_gate": [((X, X, GATE), {}), ((X, Y, GATE), {})],
    "gates.output_gate": [((X, X, GATE), {}), ((X, Y, GATE), {})],
    "gates.highway_gate": [((X, X, GATE), {}), ((X, Y, GATE), {})],
    "gates.sigmoid_tanh_gate": [((X, Y, GATE, GATE), {})],
    "gates.gru_gate": [((X, X, GRU), {}), ((X, Y, GRU), {})],
    "gates.new_gru_gate": [((), {"width": 5, "seed": 0, "bias": 1.0})],
    "gates.gated": [
        ((X, same, same, lambda x, y: gru_gate(x, y, GRU)), {}),
    ],
}
