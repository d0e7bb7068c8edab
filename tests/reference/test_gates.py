"""Gates in place of the residual sum: closed forms, torch, and limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.gates import (
    GateWeights,
    GRUGateWeights,
    gated,
    gru_gate,
    highway_gate,
    input_gate,
    new_gru_gate,
    output_gate,
    sigmoid_tanh_gate,
)

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10**6)
WIDTH = 5


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def some(seed):
    x, y = draw(seed, 2, 3, WIDTH), draw(seed + 1, 2, 3, WIDTH)
    gate = GateWeights(draw(seed + 2, WIDTH, WIDTH), draw(seed + 3, WIDTH))
    return x, y, gate


def sigma(z):
    return 1 / (1 + np.exp(-z))


def some_gru(seed):
    matrices = draw(seed, 6, WIDTH, WIDTH)
    return GRUGateWeights(*matrices, draw(seed + 1, WIDTH))


ONE_MAP = {
    input_gate: lambda x, y, a, b: sigma(a(x) + b) * x + y,
    output_gate: lambda x, y, a, b: x + sigma(a(x) - b) * y,
    highway_gate: lambda x, y, a, b: (
        sigma(a(x) + b) * x + sigma(-a(x) - b) * y
    ),
    lambda x, y, g: sigmoid_tanh_gate(x, y, g, g): lambda x, y, a, b: (
        x + sigma(a(y) - b) * np.tanh(a(y) + b)
    ),
}
NAMES = ["input", "output", "highway", "sigmoid tanh"]


@pytest.mark.parametrize(("function", "formula"), ONE_MAP.items(), ids=NAMES)
@given(seeds)
@quick
def test_a_gate_is_its_formula(function, formula, seed):
    x, y, gate = some(seed)
    expected = formula(x, y, lambda t: t @ gate.weight, gate.bias)
    np.testing.assert_allclose(
        function(x, y, gate), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("function", ONE_MAP, ids=NAMES)
def test_no_bias_is_a_bias_of_zero(function):
    x, y, gate = some(0)
    zero = GateWeights(gate.weight, np.zeros(WIDTH))
    np.testing.assert_array_equal(
        function(x, y, GateWeights(gate.weight)), function(x, y, zero)
    )


@given(seeds)
@quick
def test_the_gru_gate_is_torchs_cell(seed):
    x, y, g = *some(seed)[:2], some_gru(seed)
    cell = torch.nn.GRUCell(WIDTH, WIDTH).double()
    # torch's z is the share of the old state: 1 - z here, so the signs turn.
    with torch.no_grad():
        stacked = [g.w_reset, -g.w_update, g.w_candidate]
        cell.weight_ih.copy_(torch.tensor(np.concatenate(stacked, axis=1).T))
        cell.bias_ih.zero_()
        cell.bias_ih[WIDTH : 2 * WIDTH] = torch.tensor(g.b_update)
        cell.bias_hh.zero_()
        # torch resets after the matrix, the paper before it: they agree
        # where the matrix is diagonal.
        diagonal = np.diag(np.diag(g.u_candidate))
        stacked = [g.u_reset, -g.u_update, diagonal]
        cell.weight_hh.copy_(torch.tensor(np.concatenate(stacked, axis=1).T))
    g = GRUGateWeights(
        *(g.w_reset, g.w_update, g.w_candidate),
        *(g.u_reset, g.u_update, diagonal, g.b_update),
    )
    # The reset multiplies the state, so U stays outside of the product only
    # where it is diagonal.
    expected = cell(torch.tensor(y[0]), torch.tensor(x[0])).detach()
    np.testing.assert_allclose(gru_gate(x[0], y[0], g), expected, atol=1e-12)


@given(seeds)
@quick
def test_the_reset_acts_before_the_matrix(seed):
    x, y, g = *some(seed)[:2], some_gru(seed)
    r = sigma(y @ g.w_reset + x @ g.u_reset)
    z = sigma(y @ g.w_update + x @ g.u_update - g.b_update)
    h = np.tanh(y @ g.w_candidate + (r * x) @ g.u_candidate)
    expected = x + z * (h - x)
    np.testing.assert_allclose(gru_gate(x, y, g), expected, atol=1e-12)
    free = GRUGateWeights(*list(vars(g).values())[:6])
    zero = GRUGateWeights(*list(vars(g).values())[:6], np.zeros(WIDTH))
    np.testing.assert_array_equal(gru_gate(x, y, free), gru_gate(x, y, zero))


def test_gates_held_shut_pass_the_token_on():
    x, y, gate = some(0)
    shut = GateWeights(gate.weight, np.full(WIDTH, 1e4))
    np.testing.assert_array_equal(output_gate(x, y, shut), x)
    np.testing.assert_array_equal(highway_gate(x, y, shut), x)
    np.testing.assert_array_equal(sigmoid_tanh_gate(x, y, shut, gate), x)
    np.testing.assert_array_equal(input_gate(x, y, shut), x + y)
    closed = new_gru_gate(width=WIDTH, seed=0, bias=1e4)
    np.testing.assert_array_equal(gru_gate(x, y, closed), x)
    open_ = GateWeights(gate.weight, np.full(WIDTH, -1e4))
    np.testing.assert_array_equal(highway_gate(x, y, open_), y)
    np.testing.assert_array_equal(output_gate(x, y, open_), x + y)
    np.testing.assert_array_equal(input_gate(x, y, open_), y)


def test_a_token_is_gated_by_itself():
    x, y, gate = some(4)
    g = some_gru(5)
    whole = gru_gate(x, y, g)
    np.testing.assert_allclose(whole[1, :1], gru_gate(x[1, :1], y[1, :1], g))
    assert gru_gate(x[:, :0], y[:, :0], g).shape == (2, 0, WIDTH)
    np.testing.assert_allclose(
        highway_gate(x[:1], y, gate)[1], highway_gate(x[0], y[1], gate)
    )


def test_a_new_gate_lets_little_pass():
    gate = new_gru_gate(width=300, seed=1)
    bound = math.sqrt(3 / 300)
    every = np.stack(list(vars(gate).values())[:6])
    assert every.shape == (6, 300, 300)
    assert 0.99 * bound < every.max() <= bound
    assert -bound <= every.min() < -0.99 * bound
    assert len(np.unique(every)) == every.size
    assert (gate.b_update == 2).all()
    zero = np.zeros((1, 300))
    x = np.full((1, 300), 1e-9)
    # Small tokens pass by 1 - sigma(-2), 0.88 of them.
    share = (gru_gate(x, zero, gate) - gru_gate(zero, zero, gate)).mean()
    assert share / 1e-9 == pytest.approx(0.88, abs=0.02)
    again = new_gru_gate(width=300, seed=1, bias=3)
    np.testing.assert_array_equal(again.u_update, gate.u_update)
    assert (again.b_update == 3).all()
    with pytest.raises(ValueError, match="width must be at least 1: got 0"):
        new_gru_gate(width=0, seed=0)
    for seed in (-1, None):
        with pytest.raises((ValueError, TypeError), match=r"^seed must be "):
            new_gru_gate(width=3, seed=seed)


def test_a_gated_sublayer_reads_normed_tokens_and_is_cut_at_zero():
    x = draw(0, 3, WIDTH)
    seen = []

    def sublayer(t):
        seen.append(t)
        return t - 0.5

    got = gated(x, sublayer, lambda t: 2 * t, lambda a, b: 10 * a + b)
    np.testing.assert_array_equal(seen[0], 2 * x)
    np.testing.assert_allclose(got, 10 * x + np.maximum(2 * x - 0.5, 0))


def test_lists_are_read_and_nothing_is_changed():
    x, y, gate = some(0)
    before = x.copy(), y.copy()
    got = highway_gate(x.tolist(), torch.tensor(y), gate)
    np.testing.assert_array_equal(got, highway_gate(x, y, gate))
    got[...] = 0
    for old, new in zip(before, (x, y), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_does_not_fit_is_named():
    x, y, gate = some(0)
    for function in (input_gate, output_gate, highway_gate):
        with pytest.raises(
            ValueError, match="x and y must agree in width: got x=5, y=1"
        ):
            function(x, y[..., :1], gate)
        with pytest.raises(
            ValueError, match="x and y must agree in tokens: got x=3, y=1"
        ):
            function(x, y[:, :1], gate)
        with pytest.raises(
            ValueError,
            match="bias must have one number for each column of weight: got "
            r"bias \(1,\)",
        ):
            function(x, y, GateWeights(gate.weight, np.zeros(1)))
    with pytest.raises(ValueError, match="leading axes of x and y must broad"):
        gru_gate(np.zeros((3, 1, 5)), y[:, :1], some_gru(0))
    with pytest.raises(ValueError, match=r"got bias \(1,\), width 5"):
        gru_gate(x, y, GRUGateWeights(*draw(0, 6, 5, 5), np.zeros(1)))
    with pytest.raises(ValueError, match=r"x must have axes \(..., tokens, w"):
        input_gate(np.zeros(5), y, gate)
    narrow = draw(3, 5, 1)  # one number would serve the whole token
    for call in (
        lambda: input_gate(x, y, GateWeights(narrow)),
        lambda: output_gate(x, y, GateWeights(narrow)),
        lambda: highway_gate(x, y, GateWeights(narrow)),
        lambda: sigmoid_tanh_gate(x, y, gate, GateWeights(narrow)),
        lambda: gru_gate(x, y, replace(some_gru(0), u_reset=narrow)),
    ):
        with pytest.raises(
            ValueError, match="x and gate must agree in width: got x=5, gate=1"
        ):
            call()
