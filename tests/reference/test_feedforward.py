"""Feed-forward networks, activations and dropout against torch and loops."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.feedforward import (
    FeedForwardWeights,
    GatedWeights,
    dropout,
    feed_forward,
    gated_feed_forward,
    gelu,
    gelu_tanh,
    relu,
    sigmoid,
    swish,
)

CLOSE = {"rtol": 1e-11, "atol": 1e-12}
ACTIVATIONS = [
    (relu, torch.relu),
    (gelu, F.gelu),
    (gelu_tanh, lambda x: F.gelu(x, approximate="tanh")),
    (sigmoid, torch.sigmoid),
    (swish, F.silu),
]
each_activation = pytest.mark.parametrize(("ours", "torchs"), ACTIVATIONS)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def plain(seed=0, *, width=5, hidden=11, out_width=3, activation=relu):
    return FeedForwardWeights(
        draw(seed, width, hidden),
        draw(seed + 1, hidden, out_width),
        draw(seed + 2, hidden),
        draw(seed + 3, out_width),
        activation,
    )


def gated(seed=0, *, width=5, hidden=11, out_width=3, activation=swish):
    return GatedWeights(
        draw(seed, width, hidden),
        draw(seed + 1, width, hidden),
        draw(seed + 2, hidden, out_width),
        activation,
    )


# --- activations ---------------------------------------------------------


@each_activation
@settings(max_examples=60, deadline=None)
@given(numbers=st.lists(st.floats(-40, 40), max_size=7))
def test_each_activation_is_torchs(ours, torchs, numbers):
    x = np.array(numbers, dtype=np.float64)
    np.testing.assert_allclose(
        ours(x), torchs(torch.tensor(x)), rtol=1e-12, atol=1e-12
    )


def test_gelu_keeps_its_digits_where_it_is_tiny():
    for x in (-3.0, -8.0, -20.0, -37.0):
        share = math.erfc(-x / math.sqrt(2)) / 2
        assert gelu([x])[0] == pytest.approx(x * share, rel=1e-14)
        assert gelu([x])[0] < 0


def test_gelu_is_the_mean_of_a_gate_that_opens_below_x():
    # x times the share of standard normal numbers that are below x
    grid = np.linspace(-12, 12, 240001)
    density = np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi)
    for x in (-1.5, 0.25, 2.0):
        share = np.sum(density[grid < x]) * 1e-4
        assert gelu([x])[0] == pytest.approx(x * share, abs=1e-4)


def test_the_approximation_by_tanh_stays_as_close_as_is_said():
    x = np.linspace(-10, 10, 4001)
    gap = np.max(np.abs(gelu_tanh(x) - gelu(x)))
    assert 0.0004 < gap < 0.0005


@each_activation
def test_very_large_numbers_give_finite_results(ours, torchs):
    x = np.array([-1e4, -800.0, 800.0, 1e4])
    np.testing.assert_allclose(
        ours(x), torchs(torch.tensor(x)), rtol=1e-12, atol=1e-300
    )


def test_sigmoid_is_accurate_on_both_sides():
    np.testing.assert_allclose(
        sigmoid([-700.0, -1.0, 1.0]),
        [math.exp(-700), 1 / (1 + math.e), math.e / (1 + math.e)],
        rtol=1e-15,
    )


@each_activation
def test_activations_take_any_shape_and_any_real_numbers(ours, torchs):
    x = draw(1, 2, 3)
    whole = ours(x)
    for place in np.ndindex(2, 3):
        assert ours(x[place]) == whole[place]
    assert ours(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    for convert in (np.float32, np.ndarray.tolist, torch.tensor):
        got = ours(convert(x))
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours([1, -2]), ours([1.0, -2.0]))
    with pytest.raises(TypeError, match="x must hold real numbers"):
        ours([True])


def test_nan_is_not_hidden_by_an_activation():
    for ours, _ in ACTIVATIONS:
        assert np.isnan(ours([np.nan])).all()


# --- feed-forward --------------------------------------------------------


@each_activation
def test_feed_forward_is_two_linear_layers_of_torch(ours, torchs):
    p, x = plain(activation=ours), draw(9, 2, 7, 5)
    w_in, w_out, b_in, b_out = map(
        torch.tensor, (p.w_in, p.w_out, p.b_in, p.b_out)
    )
    hidden = torchs(F.linear(torch.tensor(x), w_in.T, b_in))
    np.testing.assert_allclose(
        feed_forward(x, p), F.linear(hidden, w_out.T, b_out), **CLOSE
    )


@each_activation
def test_gated_feed_forward_is_a_product_of_two_layers(ours, torchs):
    p, x = gated(activation=ours), torch.tensor(draw(9, 2, 7, 5))
    gate, value, out = map(torch.tensor, (p.w_gate, p.w_value, p.w_out))
    expected = (torchs(x @ gate) * (x @ value)) @ out
    np.testing.assert_allclose(gated_feed_forward(x, p), expected, **CLOSE)


def test_the_gate_decides_and_the_value_is_linear():
    p, x = gated(activation=relu), draw(1, 7, 5)
    twice = GatedWeights(p.w_gate, 2 * p.w_value, p.w_out, relu)
    np.testing.assert_allclose(
        gated_feed_forward(x, twice), 2 * gated_feed_forward(x, p), **CLOSE
    )
    shut = GatedWeights(np.zeros((5, 11)), p.w_value, p.w_out, relu)
    assert not gated_feed_forward(x, shut).any()


def test_the_defaults_are_relu_and_swish_without_biases():
    p, g, x = plain(), gated(), draw(1, 7, 5)
    np.testing.assert_array_equal(
        feed_forward(x, FeedForwardWeights(p.w_in, p.w_out)),
        np.maximum(x @ p.w_in, 0) @ p.w_out,
    )
    np.testing.assert_array_equal(
        gated_feed_forward(x, GatedWeights(g.w_gate, g.w_value, g.w_out)),
        gated_feed_forward(x, g),
    )


def test_each_token_is_transformed_by_itself():
    x = draw(1, 2, 7, 5)
    order = np.random.default_rng(0).permutation(7)
    for function, p in (
        (feed_forward, plain()),
        (gated_feed_forward, gated()),
    ):
        whole = function(x, p)
        np.testing.assert_allclose(
            function(x[:, order], p), whole[:, order], **CLOSE
        )
        spoiled = x.copy()
        spoiled[:, 3] = np.nan
        kept = np.arange(7) != 3
        np.testing.assert_allclose(
            function(spoiled, p)[:, kept], whole[:, kept], **CLOSE
        )
        assert function(np.zeros((2, 0, 5)), p).shape == (2, 0, 3)


def test_without_an_activation_two_matrices_are_one():
    p = plain(activation=lambda x: x)
    x = draw(1, 7, 5)
    np.testing.assert_allclose(
        feed_forward(x, p),
        x @ (p.w_in @ p.w_out) + p.b_in @ p.w_out + p.b_out,
        **CLOSE,
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: feed_forward(np.ones((7, 4)), plain()),
            "x and weight must agree in width: got x=4, weight=5",
        ),
        (
            lambda: feed_forward(
                np.ones((7, 5)),
                FeedForwardWeights(np.ones((5, 11)), np.ones((10, 3))),
            ),
            "x and weight must agree in width: got x=11, weight=10",
        ),
        (
            lambda: gated_feed_forward(
                np.ones((7, 5)),
                GatedWeights(
                    np.ones((5, 1)), np.ones((5, 11)), np.ones((11, 3))
                ),
            ),
            "w_gate and w_value must agree in hidden: "
            "got w_gate=1, w_value=11",
        ),
    ],
)
def test_sizes_that_do_not_meet_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- dropout -------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.99))
def test_dropout_keeps_or_drops_each_number(seed, rate):
    x = draw(seed, 2, 3, 5)
    kept = np.random.default_rng(seed).random((2, 3, 5)) >= rate
    got = dropout(x, kept, rate=rate)
    for place in np.ndindex(2, 3, 5):
        wanted = x[place] / (1 - rate) if kept[place] else 0.0
        assert got[place] == wanted


def test_the_mean_over_all_masks_is_the_input():
    x, rate = draw(1, 3), 0.25
    mean = np.zeros(3)
    for pattern in np.ndindex(2, 2, 2):
        kept = np.array(pattern, bool)
        chance = np.prod(np.where(kept, 1 - rate, rate))
        mean += chance * dropout(x, kept, rate=rate)
    np.testing.assert_allclose(mean, x, **CLOSE)


def test_dropout_agrees_with_torch_under_torchs_own_mask():
    torch.manual_seed(0)
    x = torch.tensor(draw(1, 3, 5), requires_grad=True)
    y = F.dropout(x, p=0.25)
    kept = (y != 0).numpy()
    assert not kept.all()
    np.testing.assert_allclose(
        dropout(x.detach(), kept, rate=0.25), y.detach(), **CLOSE
    )
    upstream = draw(2, 3, 5)
    y.backward(torch.tensor(upstream))
    np.testing.assert_allclose(
        dropout(upstream, kept, rate=0.25), x.grad, **CLOSE
    )


def test_nan_that_is_dropped_has_no_influence():
    got = dropout([np.nan, 2.0], [False, True], rate=0.0)
    assert got.tolist() == [0.0, 2.0]


def test_one_mask_may_serve_every_token_and_a_tensor_may_be_it():
    kept = torch.tensor([True, False, True])
    got = dropout(np.ones((2, 3), np.float32), kept, rate=0.5)
    assert got.tolist() == [[2.0, 0.0, 2.0]] * 2
    assert got.dtype == np.float64
    assert dropout(np.ones((0, 3)), kept, rate=0.5).shape == (0, 3)


@pytest.mark.parametrize(
    ("kept", "rate", "error", "message"),
    [
        ([True], 1, ValueError, "at least 0 and below 1: got 1"),
        ([True], -0.1, ValueError, r"at least 0 and below 1: got -0\.1"),
        ([True], math.nan, ValueError, "below 1: got nan"),
        ([1, 0, 1], 0.5, TypeError, "kept must be boolean"),
        (
            np.ones((4, 3), bool),
            0.5,
            ValueError,
            r"kept must fit x, shape \(3,\): got \(4, 3\)",
        ),
        (
            np.ones(2, bool),
            0.5,
            ValueError,
            r"kept must fit x, shape \(3,\): got \(2,\)",
        ),
    ],
)
def test_wrong_masks_and_rates_are_refused(kept, rate, error, message):
    with pytest.raises(error, match=message):
        dropout(np.ones(3), kept, rate=rate)
