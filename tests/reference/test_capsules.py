"""Capsules and routing against loops, closed forms and differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.capsules import (
    Routed,
    capsule_lengths,
    margin_loss,
    predictions,
    route,
    routing_shares,
    squash,
    squash_backward,
)

quick = settings(max_examples=25, deadline=None)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 10**6), st.floats(1e-3, 1e4))
@quick
def test_squash_keeps_the_direction_and_shrinks_the_length(seed, length):
    s = draw(seed, 7)
    s *= length / np.linalg.norm(s)
    v = squash(s)
    np.testing.assert_allclose(
        np.linalg.norm(v), length**2 / (1 + length**2), rtol=1e-12
    )
    np.testing.assert_allclose(v * length, s * np.linalg.norm(v), rtol=1e-9)


def test_squash_of_nothing_is_nothing():
    assert squash(np.zeros((2, 3))).tolist() == [[0.0] * 3] * 2
    assert squash(np.zeros((2, 0))).shape == (2, 0)
    assert squash([1e-200, 0.0]).tolist() == [0.0, 0.0]
    far = squash([[3e4, 4e4]])
    np.testing.assert_allclose(far, [[0.6, 0.8]], rtol=1e-8)


@given(st.integers(0, 10**6), st.floats(1e-2, 30.0))
@quick
def test_the_gradient_of_squash_is_its_difference_quotient(seed, scale):
    s, g = scale * draw(seed, 2, 2, 3), draw(seed + 1, 2, 2, 3)
    analytic = squash_backward(s, g)
    for index in np.ndindex(s.shape):
        step = np.zeros_like(s)
        step[index] = 1e-6 * scale
        change = np.sum(g * (squash(s + step) - squash(s - step)))
        np.testing.assert_allclose(
            analytic[index], change / (2e-6 * scale), rtol=1e-5, atol=1e-7
        )


def test_the_gradient_of_squash_at_zero_is_zero():
    got = squash_backward(np.zeros((2, 3)), np.ones((2, 3)))
    assert got.tolist() == [[0.0] * 3] * 2
    near = squash_backward([[1e-9, 0.0]], [[1.0, 1.0]])
    np.testing.assert_allclose(near, [[2e-9, 1e-9]], rtol=1e-9)


def test_a_length_is_a_probability_of_its_own():
    v = draw(1, 2, 3, 5)
    lengths = capsule_lengths(v)
    assert lengths.shape == (2, 3)
    np.testing.assert_allclose(lengths, np.linalg.norm(v, axis=-1))
    assert capsule_lengths([0.0, 0.0]) == 0.0


def test_every_pair_predicts_with_its_own_matrix():
    u, maps = draw(2, 2, 3, 5), draw(3, 3, 7, 5, 4)
    got = predictions(u, maps)
    assert got.shape == (2, 3, 7, 4)
    for n, i, j in np.ndindex(2, 3, 7):
        np.testing.assert_allclose(
            got[n, i, j], maps[i, j].T @ u[n, i], atol=1e-12
        )


def test_every_input_is_shared_out_over_the_outputs():
    shares = routing_shares(draw(4, 2, 3, 5))
    np.testing.assert_allclose(shares.sum(axis=-1), np.ones((2, 3)))
    assert np.abs(shares.sum(axis=-2) - 1).max() > 0.1
    even = routing_shares(np.full((3, 5), 1e4))
    np.testing.assert_allclose(even, np.full((3, 5), 0.2))


def looped(u, iterations):
    """Return procedure 1 of the paper, one number at a time."""
    inputs, outputs, _ = u.shape
    b = np.zeros((inputs, outputs))
    for _ in range(iterations):
        c = np.zeros_like(b)
        for i in range(inputs):
            powers = [np.exp(b[i, j]) for j in range(outputs)]
            for j in range(outputs):
                c[i, j] = powers[j] / sum(powers)
        v = []
        for j in range(outputs):
            s = sum(c[i, j] * u[i, j] for i in range(inputs))
            n = np.sqrt(s @ s)
            v.append(n**2 / (1 + n**2) * s / n)
        for i in range(inputs):
            for j in range(outputs):
                b[i, j] += u[i, j] @ v[j]
    return np.array(v), c


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_is_procedure_one(iterations):
    u = draw(5, 2, 3, 5, 7)
    routed = route(u, iterations=iterations)
    assert isinstance(routed, Routed)
    for n in range(2):
        v, c = looped(u[n], iterations)
        np.testing.assert_allclose(routed.capsules[n], v, atol=1e-12)
        np.testing.assert_allclose(routed.shares[n], c, atol=1e-12)


def test_three_rounds_are_the_default():
    u = draw(6, 3, 5, 7)
    np.testing.assert_array_equal(
        route(u).shares, route(u, iterations=3).shares
    )
    later = route(u, iterations=4)
    assert np.abs(route(u).shares - later.shares).max() > 1e-3


def test_the_first_round_is_even():
    u = draw(7, 3, 5, 7)
    routed = route(u, iterations=1)
    np.testing.assert_allclose(routed.shares, np.full((3, 5), 0.2))
    np.testing.assert_allclose(routed.capsules, squash(u.sum(axis=0) / 5))


def test_the_second_round_is_a_softmax_over_queries():
    u = draw(8, 3, 5, 7)
    first = route(u, iterations=1).capsules
    # Outputs as queries, inputs as keys: one score a pair.
    scores = np.einsum("je,ije->ji", first, u)
    weights = np.exp(scores) / np.exp(scores).sum(axis=0)
    np.testing.assert_allclose(
        route(u, iterations=2).shares.T, weights, atol=1e-12
    )


def test_inputs_go_where_they_agree():
    rng = np.random.default_rng(9)
    u = rng.normal(size=(11, 2, 4))
    u[:, 0] = 2 * np.array([1.0, 0.0, 0.0, 0.0])  # all say the same
    routed = route(u)
    assert routed.shares[:, 0].mean() > 0.7
    lengths = capsule_lengths(routed.capsules)
    assert lengths[0] > 0.99 > lengths[1]


def test_one_output_takes_all_and_no_input_gives_zero():
    u = draw(10, 3, 1, 5)
    routed = route(u)
    assert routed.shares.tolist() == [[1.0]] * 3
    np.testing.assert_allclose(routed.capsules, squash(u.sum(axis=0)))
    none = route(np.ones((2, 0, 3, 5)))
    assert none.capsules.tolist() == np.zeros((2, 3, 5)).tolist()
    assert none.shares.shape == (2, 0, 3)
    assert route(np.ones((3, 0, 5))).capsules.shape == (0, 5)
    far = route(1e4 * u)
    np.testing.assert_allclose(capsule_lengths(far.capsules), [1.0])
    silent = route(np.zeros((3, 2, 5)))
    assert not silent.capsules.any()


def test_a_capsule_on_the_wrong_side_of_its_margin_costs():
    lengths = np.array([[0.95, 0.4, 0.05, 0.7], [0.9, 0.1, 0.3, 0.0]])
    present = np.array([[True, True, False, False]])
    got = margin_loss(lengths, present)
    np.testing.assert_allclose(got, [0.5**2 + 0.5 * 0.6**2, 0.8**2 + 0.02])
    every = margin_loss(
        lengths, present, upper=0.5, lower=0.2, absent_weight=3.0
    )
    np.testing.assert_allclose(every, [0.1**2 + 3 * 0.5**2, 0.4**2 + 0.03])
    assert margin_loss(np.zeros((2, 0)), np.zeros((2, 0), bool)).tolist() == [
        0.0,
        0.0,
    ]


def test_the_leading_axes_of_a_loss_broadcast():
    lengths = np.random.default_rng(12).random((2, 3, 5))
    present = np.random.default_rng(13).random((3, 5)) < 0.4
    got = margin_loss(lengths, present)
    assert got.shape == (2, 3)
    swapped = margin_loss(lengths[0], np.stack([present] * 2))
    assert swapped.shape == (2, 3)
    for n, m in np.ndindex(2, 3):
        alone = margin_loss(lengths[n, m], present[m])
        np.testing.assert_allclose(got[n, m], alone)
        alone = margin_loss(lengths[0, m], present[m])
        np.testing.assert_allclose(swapped[n, m], alone)


def test_lists_and_tensors_are_read_and_inputs_left_alone():
    u = draw(11, 3, 5, 7).astype(np.float32)
    u.flags.writeable = False
    truth = route(u)
    assert truth.capsules.dtype == np.float64
    for each in (torch.tensor(u), u.tolist()):
        np.testing.assert_array_equal(route(each).capsules, truth.capsules)
    squash(u)[...] = 0.0
    squash_backward(u, u)[...] = 0.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: squash(3.0),
            ValueError,
            r"s must have axes \(\.\.\., dim\): got shape \(\)",
        ),
        (
            lambda: squash_backward(np.ones((2, 3)), np.ones((2, 5))),
            ValueError,
            r"upstream must have the shape of s \(2, 3\): got \(2, 5\)",
        ),
        (
            lambda: predictions(np.ones((3, 5)), np.ones((2, 7, 5, 4))),
            ValueError,
            "capsules and maps must agree in inputs: got capsules=3, maps=2",
        ),
        (
            lambda: predictions(np.ones((3, 5)), np.ones((3, 7, 4, 5))),
            ValueError,
            "capsules and maps must agree in dim: got capsules=5, maps=4",
        ),
        (
            lambda: predictions(np.ones((3, 5)), np.ones((1, 3, 7, 5, 4))),
            ValueError,
            r"maps must have axes \(inputs, outputs, dim, out_dim\): "
            r"got shape \(1, 3, 7, 5, 4\)",
        ),
        (
            lambda: route(np.ones((3, 5, 7)), iterations=0),
            ValueError,
            "iterations must be at least 1: got 0",
        ),
        (
            lambda: route(np.ones((3, 5))),
            ValueError,
            r"predicted must have axes \(\.\.\., inputs, outputs, out_dim\)",
        ),
        (
            lambda: margin_loss(np.ones(3), np.ones(3)),
            TypeError,
            "present must be boolean",
        ),
        (
            lambda: margin_loss(np.ones(3), np.ones(1, bool)),
            ValueError,
            "lengths and present must agree in classes: "
            "got lengths=3, present=1",
        ),
        (
            lambda: margin_loss([0.5], [True], upper="0.9"),
            TypeError,
            "upper must hold real numbers: got dtype <U3",
        ),
        (
            lambda: margin_loss([0.5], [True], lower=None),
            TypeError,
            "lower must hold real numbers: got dtype object",
        ),
        (
            lambda: margin_loss([0.5], [True], absent_weight=[0.5, 0.1]),
            ValueError,
            r"absent_weight must be one number: got shape \(2,\)",
        ),
        (
            lambda: margin_loss(np.ones((2, 3)), np.ones((5, 3), bool)),
            ValueError,
            "leading axes of lengths and present must broadcast",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
