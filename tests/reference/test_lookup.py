"""The reference lookups against loops, torch and what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.lookup import (
    gaussian_kernel,
    hard_lookup,
    kernel_regression,
    kernel_weights,
    lookup_weights,
    soft_lookup,
    squared_distances,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


Q, K, V = normal(3, 5, seed=1), normal(7, 5, seed=2), normal(7, 2, seed=3)


def test_squared_distances_agree_with_torch():
    expected = torch.cdist(torch.tensor(Q), torch.tensor(K)) ** 2
    np.testing.assert_allclose(squared_distances(Q, K), expected, rtol=1e-12)


def test_the_gaussian_kernel_agrees_with_a_loop():
    got = gaussian_kernel(Q, K, bandwidth=1.7)
    assert got.shape == (3, 7)
    for i in range(3):
        for j in range(7):
            d = sum((Q[i, c] - K[j, c]) ** 2 for c in range(5))
            assert got[i, j] == pytest.approx(np.exp(-d / (2 * 1.7**2)))


def test_kernel_regression_agrees_with_the_ratio_of_sums():
    kernel = gaussian_kernel(Q, K, bandwidth=2.3)
    expected = (kernel @ V) / kernel.sum(axis=1, keepdims=True)
    got = kernel_regression(Q, K, V, bandwidth=2.3)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_kernel_regression_survives_kernels_that_underflow():
    got = kernel_regression(
        [[0.0]], [[1e4], [2e4]], [[3.0], [5.0]], bandwidth=1.0
    )
    assert got.tolist() == [[3.0]]


def test_soft_lookup_agrees_with_torch():
    expected = torch.softmax(
        torch.tensor(Q) @ torch.tensor(K).T / 0.7, dim=-1
    ) @ torch.tensor(V)
    got = soft_lookup(Q, K, V, temperature=0.7)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_keys_of_equal_length_make_both_lookups_one():
    keys = K / np.linalg.norm(K, axis=1, keepdims=True)
    np.testing.assert_allclose(
        kernel_weights(Q, keys, bandwidth=1.3),
        lookup_weights(Q, keys, temperature=1.3**2),
        rtol=1e-12,
    )


def test_keys_of_unequal_length_do_not():
    gap = kernel_weights(Q, K, bandwidth=1.3) - lookup_weights(
        Q, K, temperature=1.3**2
    )
    assert np.abs(gap).max() > 0.1


def test_hard_lookup_agrees_with_a_loop():
    for i, row in enumerate(hard_lookup(Q, K, V)):
        scores = [float(Q[i] @ K[j]) for j in range(7)]
        assert row.tolist() == V[scores.index(max(scores))].tolist()


def test_hard_lookup_takes_the_first_of_equals_and_ignores_the_rest():
    keys, values = [[1.0], [1.0], [0.0]], [[4.0], [5.0], [np.nan]]
    assert hard_lookup([[2.0]], keys, values).tolist() == [[4.0]]


def test_a_cold_soft_lookup_is_a_hard_one():
    np.testing.assert_allclose(
        soft_lookup(Q, K, V, temperature=1e-3), hard_lookup(Q, K, V)
    )


def test_a_hot_soft_lookup_is_the_mean():
    got = soft_lookup(Q, K, V, temperature=1e9)
    np.testing.assert_allclose(got, np.tile(V.mean(0), (3, 1)), atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.05, 50.0))
def test_what_is_read_stays_between_the_extremes_of_the_values(seed, size):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.normal(size=s) for s in [(3, 5), (7, 5), (7, 2)])
    for got in (
        soft_lookup(q, k, v, temperature=size),
        kernel_regression(q, k, v, bandwidth=size),
        hard_lookup(q, k, v),
    ):
        assert (got >= v.min(axis=0) - 1e-12).all()
        assert (got <= v.max(axis=0) + 1e-12).all()


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(7)))
def test_the_order_of_the_entries_does_not_matter(order):
    order = list(order)
    for lookup, size in (
        (soft_lookup, {"temperature": 0.9}),
        (kernel_regression, {"bandwidth": 0.9}),
        (hard_lookup, {}),
    ):
        np.testing.assert_allclose(
            lookup(Q, K[order], V[order], **size), lookup(Q, K, V, **size)
        )


@pytest.mark.parametrize("lookup", [soft_lookup, kernel_regression])
def test_leading_axes_broadcast(lookup):
    name = "temperature" if lookup is soft_lookup else "bandwidth"
    q, k, v = normal(2, 1, 3, 5), normal(11, 7, 5), normal(7, 2)
    got = lookup(q, k, v, **{name: 1.1})
    assert got.shape == (2, 11, 3, 2)
    one = lookup(q[1, 0], k[4], v, **{name: 1.1})
    np.testing.assert_allclose(got[1, 4], one)
    assert hard_lookup(q, k, v).shape == (2, 11, 3, 2)
    np.testing.assert_allclose(
        hard_lookup(q, k, v)[1, 4], hard_lookup(q[1, 0], k[4], v)
    )


def test_any_real_container_is_taken_and_nothing_is_changed():
    expected = soft_lookup(Q, K, V, temperature=2)
    kept = Q.copy(), K.copy(), V.copy()
    for make in (np.ndarray.tolist, torch.tensor, np.asfortranarray):
        got = soft_lookup(make(Q), make(K), make(V), temperature=2)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected)
    single = soft_lookup(
        *(x.astype(np.float32) for x in (Q, K, V)), temperature=2
    )
    assert single.dtype == np.float64
    for mine, before in zip((Q, K, V), kept, strict=True):
        np.testing.assert_array_equal(mine, before)


def test_no_queries_give_no_rows_and_one_key_gives_its_value():
    assert soft_lookup(Q[:0], K, V, temperature=1).shape == (0, 2)
    assert kernel_regression(Q[:0], K, V, bandwidth=1).shape == (0, 2)
    np.testing.assert_allclose(
        soft_lookup(Q, K[:1], V[:1], temperature=1), np.tile(V[:1], (3, 1))
    )


def test_values_may_have_leading_axes_of_their_own():
    v = normal(11, 7, 2)
    got = hard_lookup(normal(2, 1, 3, 5, seed=8), K, v)
    assert got.shape == (2, 11, 3, 2)
    one = hard_lookup(normal(2, 1, 3, 5, seed=8)[1, 0], K, v[4])
    np.testing.assert_array_equal(got[1, 4], one)


def test_a_batch_reads_from_a_batch_of_values():
    q, v = normal(2, 3, 5), normal(2, 7, 2)
    got = soft_lookup(q, K, v, temperature=1)
    one = soft_lookup(q[1], K, v[1], temperature=1)
    np.testing.assert_allclose(got[1], one)


@pytest.mark.parametrize("axes", [(2,), (4,), (2, 4), (4, 3)])
def test_leading_axes_of_the_values_must_fit(axes):
    q, k, v = normal(2, 3, 3, 5), normal(7, 5), normal(*axes, 7, 2)
    for lookup, size in (
        (soft_lookup, {"temperature": 1}),
        (kernel_regression, {"bandwidth": 1}),
        (hard_lookup, {}),
    ):
        with pytest.raises(ValueError, match=r"leading axes of .* and values"):
            lookup(q, k, v, **size)


@pytest.mark.parametrize("axes", [(2,), (4,), (2, 4), (4, 3)])
def test_leading_axes_of_queries_and_keys_must_fit(axes):
    with pytest.raises(ValueError, match="leading axes of queries and keys"):
        soft_lookup(normal(2, 3, 3, 5), normal(*axes, 7, 5), V, temperature=1)


def test_a_batch_of_hard_lookups_needs_a_key_in_each():
    with pytest.raises(ValueError, match="must have a key to find"):
        hard_lookup(normal(2, 3, 5), normal(2, 0, 5), normal(2, 0, 2))
    assert hard_lookup(normal(2, 0, 5), K, V).shape == (2, 0, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: soft_lookup(Q, K[:, :4], V, temperature=1),
            ValueError,
            "queries and keys must agree in dim: got queries=5, keys=4",
        ),
        (
            lambda: hard_lookup(Q, K, V[:6]),
            ValueError,
            "keys and values must agree in keys: got keys=7, values=6",
        ),
        (
            lambda: kernel_regression(Q, K, V[:6], bandwidth=1),
            ValueError,
            "keys and values must agree in keys: got keys=7, values=6",
        ),
        (
            lambda: soft_lookup(Q, K, V, temperature=0),
            ValueError,
            "temperature must be a positive number: got 0",
        ),
        (
            lambda: gaussian_kernel(Q, K, bandwidth=-1.0),
            ValueError,
            r"bandwidth must be a positive number: got -1\.0",
        ),
        (
            lambda: kernel_regression(Q, K, V, bandwidth=np.inf),
            ValueError,
            "bandwidth must be a positive number: got inf",
        ),
        (
            lambda: soft_lookup(Q, K, V, temperature=[1.0, 2.0]),
            ValueError,
            "temperature must be a positive number: got",
        ),
        (
            lambda: soft_lookup(Q[0], K, V, temperature=1),
            ValueError,
            r"queries must have axes \(..., queries, dim\): got shape \(5,\)",
        ),
        (
            lambda: hard_lookup(Q, K[:0], V[:0]),
            ValueError,
            "a hard lookup must have a key to find: got keys=0",
        ),
        (
            lambda: soft_lookup(
                normal(2, 3, 5), normal(4, 7, 5), V, temperature=1
            ),
            ValueError,
            r"leading axes of queries and keys must broadcast",
        ),
        (
            lambda: soft_lookup("text", K, V, temperature=1),
            TypeError,
            "queries must hold real numbers",
        ),
    ],
)
def test_bad_input_is_told_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
