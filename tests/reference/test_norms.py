"""Layer norm and RMS norm against torch, loops and finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.norms import (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
    standardize,
    standardize_backward,
)

CLOSE = {"rtol": 1e-11, "atol": 1e-12}
DEFAULTS = {"eps": 1e-5}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def central_difference(loss, x, step=1e-6):
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] = x[place] + step
        above = loss(moved)
        moved[place] = x[place] - step
        gradient[place] = (above - loss(moved)) / (2 * step)
    return gradient


def in_torch(norm, upstream, *arguments):
    """Return the result and the gradients by torch's operator."""
    leaves = [torch.tensor(each, requires_grad=True) for each in arguments]
    result = norm(*leaves)
    result.backward(torch.tensor(upstream))
    return result.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


batches = st.lists(st.integers(1, 3), max_size=2)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**6),
    batches,
    st.integers(1, 7),
    st.sampled_from([1e-12, 1e-5, 0.1, 3.0]),
)
def test_layer_norm_and_its_gradients_are_torchs(seed, batch, width, eps):
    x, upstream = draw(seed, *batch, width), draw(seed + 1, *batch, width)
    gain, shift = draw(seed + 2, width), draw(seed + 3, width)
    if width == 1:
        x[...] = 2.0  # anything minus itself: no rounding to magnify
    expected, gradients = in_torch(
        lambda a, b, c: F.layer_norm(a, (width,), b, c, eps),
        upstream,
        x,
        gain,
        shift,
    )
    np.testing.assert_allclose(
        layer_norm(x, gain, shift, eps=eps), expected, rtol=1e-9, atol=1e-9
    )
    got = layer_norm_backward(x, gain, upstream, eps=eps)
    for mine, theirs in zip(got, gradients, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**6),
    batches,
    st.integers(1, 7),
    st.sampled_from([1e-12, 1e-5, 0.1, 3.0]),
)
def test_rms_norm_and_its_gradients_are_torchs(seed, batch, width, eps):
    x, upstream = draw(seed, *batch, width), draw(seed + 1, *batch, width)
    gain = draw(seed + 2, width)
    expected, gradients = in_torch(
        lambda a, b: F.rms_norm(a, (width,), b, eps), upstream, x, gain
    )
    np.testing.assert_allclose(rms_norm(x, gain, eps=eps), expected, **CLOSE)
    got = rms_norm_backward(x, gain, upstream, eps=eps)
    for mine, theirs in zip(got, gradients, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm_agrees_with_loops_over_single_numbers(eps):
    x, gain, shift = 3 * draw(1, 5, 7), draw(2, 7), draw(3, 7)
    got = layer_norm(x, gain, shift, eps=eps)
    for t in range(5):
        mean = math.fsum(x[t]) / 7
        variance = math.fsum((c - mean) ** 2 for c in x[t]) / 7
        for c in range(7):
            normal = (x[t, c] - mean) / math.sqrt(variance + eps)
            wanted = gain[c] * normal + shift[c]
            assert got[t, c] == pytest.approx(wanted, rel=1e-12)


def test_rms_norm_agrees_with_loops_over_single_numbers():
    x, gain = 3 * draw(1, 5, 7), draw(2, 7)
    got = rms_norm(x, gain, eps=0.25)
    for t in range(5):
        square = math.fsum(c * c for c in x[t]) / 7
        for c in range(7):
            wanted = gain[c] * x[t, c] / math.sqrt(square + 0.25)
            assert got[t, c] == pytest.approx(wanted, rel=1e-13)


def test_gradients_agree_with_finite_differences():
    x, gain, shift = draw(1, 2, 3, 5), draw(2, 5), draw(3, 5)
    upstream = draw(4, 2, 3, 5)
    budget = {"rtol": 0, "atol": 1e-8}
    dx, dgain, dshift = layer_norm_backward(x, gain, upstream, eps=0.1)
    for got, at, loss in [
        (dx, x, lambda z: layer_norm(z, gain, shift, eps=0.1)),
        (dgain, gain, lambda z: layer_norm(x, z, shift, eps=0.1)),
        (dshift, shift, lambda z: layer_norm(x, gain, z, eps=0.1)),
        (
            standardize_backward(x, upstream, eps=0.1),
            x,
            lambda z: standardize(z, eps=0.1),
        ),
        (
            rms_norm_backward(x, gain, upstream, eps=0.1)[0],
            x,
            lambda z: rms_norm(z, gain, eps=0.1),
        ),
        (
            rms_norm_backward(x, gain, upstream, eps=0.1)[1],
            gain,
            lambda z: rms_norm(x, z, eps=0.1),
        ),
    ]:
        slope = central_difference(
            lambda z, f=loss: np.sum(upstream * f(z)), at
        )
        np.testing.assert_allclose(got, slope, **budget)


def test_the_default_eps_is_that_of_torch():
    x, gain, shift, up = draw(1, 3, 5), draw(2, 5), draw(3, 5), draw(4, 3, 5)
    x *= 1e-3  # so small that eps decides
    for got, stated in [
        (standardize(x), standardize(x, **DEFAULTS)),
        (layer_norm(x, gain, shift), layer_norm(x, gain, shift, **DEFAULTS)),
        (rms_norm(x, gain), rms_norm(x, gain, **DEFAULTS)),
        (
            standardize_backward(x, up),
            standardize_backward(x, up, **DEFAULTS),
        ),
        (
            layer_norm_backward(x, gain, up)[0],
            layer_norm_backward(x, gain, up, **DEFAULTS)[0],
        ),
        (
            rms_norm_backward(x, gain, up)[0],
            rms_norm_backward(x, gain, up, **DEFAULTS)[0],
        ),
    ]:
        np.testing.assert_array_equal(got, stated)
    torchs = torch.nn.LayerNorm(5, dtype=torch.float64)(torch.tensor(x))
    np.testing.assert_allclose(
        layer_norm(x, np.ones(5)), torchs.detach(), **CLOSE
    )


def test_a_standardised_token_has_mean_zero_and_biased_variance_one():
    normal = standardize(5 + 3 * draw(1, 2, 3, 7), eps=1e-14)
    np.testing.assert_allclose(normal.mean(axis=-1), 0.0, atol=1e-14)
    np.testing.assert_allclose(normal.var(axis=-1), 1.0, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(-50, 50),
    st.floats(0.1, 50),
)
def test_a_common_shift_and_scale_of_a_token_change_nothing(
    seed, shift, scale
):
    x = draw(seed, 3, 7)
    np.testing.assert_allclose(
        standardize(scale * x + shift, eps=1e-14),
        standardize(x, eps=1e-14),
        rtol=1e-9,
        atol=1e-9,
    )
    gain = draw(seed + 1, 7)
    np.testing.assert_allclose(
        rms_norm(scale * x, gain, eps=1e-14),
        rms_norm(x, gain, eps=1e-14),
        rtol=1e-9,
        atol=1e-9,
    )


def test_the_gradient_of_a_norm_is_blind_to_what_the_norm_takes_away():
    x, upstream = draw(1, 3, 7), draw(2, 3, 7)
    dx = standardize_backward(x, upstream, eps=1e-14)
    np.testing.assert_allclose(dx.sum(axis=-1), 0.0, atol=1e-13)
    np.testing.assert_allclose((dx * x).sum(axis=-1), 0.0, atol=1e-12)
    dx, _ = rms_norm_backward(x, draw(3, 7), upstream, eps=1e-14)
    np.testing.assert_allclose((dx * x).sum(axis=-1), 0.0, atol=1e-12)
    assert (abs(dx.sum(axis=-1)) > 1e-3).all()


def test_each_token_is_normed_by_itself():
    x, gain, shift = draw(1, 2, 3, 5), draw(2, 5), draw(3, 5)
    whole, alone = layer_norm(x, gain, shift), rms_norm(x, gain)
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(
            whole[place], layer_norm(x[place], gain, shift)
        )
        np.testing.assert_array_equal(alone[place], rms_norm(x[place], gain))
    spoiled = x.copy()
    spoiled[1, 2] = np.nan
    np.testing.assert_array_equal(
        layer_norm(spoiled, gain, shift)[0], whole[0]
    )


def test_on_tokens_of_mean_zero_rms_norm_is_layer_norm():
    x, gain = standardize(draw(1, 3, 7)), draw(2, 7)
    np.testing.assert_allclose(rms_norm(x, gain), layer_norm(x, gain), **CLOSE)


def test_a_token_of_equal_numbers_becomes_the_shift():
    x, shift = np.full((3, 5), 1e4), draw(1, 5)
    np.testing.assert_array_equal(
        layer_norm(x, np.full(5, 9.0), shift), np.tile(shift, (3, 1))
    )
    assert not rms_norm(np.zeros((3, 5)), np.ones(5)).any()
    gradient = standardize_backward(x, draw(2, 3, 5), eps=1e-4)
    np.testing.assert_allclose(
        gradient, standardize_backward(0 * x, draw(2, 3, 5), eps=1e-4)
    )
    assert np.isfinite(gradient).all()


def test_without_a_shift_none_is_added():
    x, gain = draw(1, 3, 5), draw(2, 5)
    np.testing.assert_array_equal(
        layer_norm(x, gain), layer_norm(x, gain, np.zeros(5))
    )


def test_no_tokens_give_no_tokens_and_no_gradient():
    x, gain = np.zeros((2, 0, 5)), np.ones(5)
    assert layer_norm(x, gain, gain).shape == (2, 0, 5)
    assert rms_norm(x, gain).shape == (2, 0, 5)
    dx, dgain, dshift = layer_norm_backward(x, gain, x)
    assert dx.shape == (2, 0, 5)
    assert dgain.tolist() == dshift.tolist() == [0.0] * 5
    dx, dgain = rms_norm_backward(x, gain, x)
    assert dx.shape == (2, 0, 5)
    assert dgain.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    "convert",
    [
        np.float32,
        lambda x: np.round(4 * x).astype(int),
        lambda x: x.tolist(),
        torch.tensor,
        lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
        np.asfortranarray,
    ],
)
def test_any_real_array_is_accepted_and_float64_returned(convert):
    x, up = convert(draw(1, 3, 5)), convert(draw(4, 3, 5))
    gain, shift = convert(draw(2, 5)), convert(draw(3, 5))
    exact = [np.asarray(each, np.float64) for each in (x, gain, shift, up)]
    a, b, c, g = exact
    for got, wanted in [
        (layer_norm(x, gain, shift), layer_norm(a, b, c)),
        (rms_norm(x, gain), rms_norm(a, b)),
        (standardize(x), standardize(a)),
        (standardize_backward(x, up), standardize_backward(a, g)),
        *zip(
            layer_norm_backward(x, gain, up),
            layer_norm_backward(a, b, g),
            strict=True,
        ),
        *zip(
            rms_norm_backward(x, gain, up),
            rms_norm_backward(a, b, g),
            strict=True,
        ),
    ]:
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_arguments_are_left_as_they_were():
    arrays = [draw(1, 3, 5), draw(2, 5), draw(3, 5), draw(4, 3, 5)]
    before = [each.copy() for each in arrays]
    for each in arrays:
        each.flags.writeable = False
    x, gain, shift, upstream = arrays
    layer_norm(x, gain, shift)
    layer_norm_backward(x, gain, upstream)
    rms_norm(x, gain)
    rms_norm_backward(x, gain, upstream)
    for one, other in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(one, other)


X, G = np.ones((3, 5)), np.ones(5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: layer_norm(X, np.ones(4)),
            ValueError,
            r"gain must have one number for each column of x: "
            r"got gain \(4,\), x \(3, 5\)",
        ),
        (
            lambda: layer_norm(X, G, np.ones((3, 5))),
            ValueError,
            r"shift must have one number for each column of x: "
            r"got shift \(3, 5\), x \(3, 5\)",
        ),
        (
            lambda: rms_norm(X, 1.0),
            ValueError,
            r"got gain \(\), x \(3, 5\)",
        ),
        (
            lambda: layer_norm(X, G, eps=0),
            ValueError,
            "eps must be positive and finite: got 0",
        ),
        (
            lambda: rms_norm(X, G, eps=np.inf),
            ValueError,
            "eps must be positive and finite: got inf",
        ),
        (
            lambda: standardize(np.ones((3, 0))),
            ValueError,
            "width must be at least 1: got 0",
        ),
        (
            lambda: rms_norm(np.float64(1), G),
            ValueError,
            r"x must have axes \(..., width\): got shape \(\)",
        ),
        (
            lambda: layer_norm(X > 0, G),
            TypeError,
            "x must hold real numbers: got dtype bool",
        ),
        (
            lambda: layer_norm_backward(X, G, G),
            ValueError,
            r"upstream must have the shape of x \(3, 5\): got \(5,\)",
        ),
        (
            lambda: rms_norm_backward(X, G, X[:2]),
            ValueError,
            r"upstream must have the shape of x \(3, 5\): got \(2, 5\)",
        ),
        (
            lambda: standardize_backward(X, X[:1]),
            ValueError,
            r"upstream must have the shape of x \(3, 5\): got \(1, 5\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
