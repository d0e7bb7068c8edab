"""Scores against torch, loops over single numbers, and identities."""

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import scores
from attncourse.reference.scores import (
    additive_scores,
    bilinear_scores,
    cosine_scores,
    distance_scores,
    dot_scores,
    scaled_scores,
)
from attncourse.reference.softmax import softmax, softmax_jacobian

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
OF_ONE_WIDTH = [dot_scores, cosine_scores, scaled_scores, distance_scores]
sizes = st.integers(1, 6)
seeds = st.integers(0, 10**6)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def weights(seed=0, *, query_dim=5, key_dim=7, hidden=11):
    return (
        draw(seed + 1, query_dim, hidden),
        draw(seed + 2, key_dim, hidden),
        draw(seed + 3, hidden),
    )


def bilinear(q, k):
    return bilinear_scores(q, k, draw(9, q.shape[-1], k.shape[-1]))


def additive(q, k):
    return additive_scores(
        q, k, *weights(9, query_dim=q.shape[-1], key_dim=k.shape[-1])
    )


EVERY = [*OF_ONE_WIDTH, bilinear, additive]


def by_loops(score, q, k):
    """Return `score` of every query with every key, pair by pair."""
    return np.array([[score(a, b) for b in k] for a in q])


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def scaled(a, b):
    return dot(a, b) / math.sqrt(len(a))


def distance(a, b):
    return -(math.dist(a, b) ** 2) / 2


@settings(max_examples=50, deadline=None)
@given(seeds, sizes, sizes, sizes)
def test_scores_of_one_width_agree_with_loops(seed, queries, keys, dim):
    q, k = draw(seed, queries, dim), draw(seed + 1, keys, dim)
    for function, plain in zip(
        OF_ONE_WIDTH, (dot, cosine, scaled, distance), strict=True
    ):
        want = by_loops(plain, q, k)
        np.testing.assert_allclose(function(q, k), want, **CLOSE)


@settings(max_examples=50, deadline=None)
@given(seeds, sizes, sizes, sizes, sizes, sizes)
def test_learned_scores_agree_with_loops(
    seed, queries, keys, query_dim, key_dim, hidden
):
    q, k = draw(seed, queries, query_dim), draw(seed + 1, keys, key_dim)
    w = draw(seed + 2, query_dim, key_dim)
    w_query, w_key, v_score = weights(
        seed, query_dim=query_dim, key_dim=key_dim, hidden=hidden
    )

    def general(a, b):
        return math.fsum(
            a[i] * w[i, j] * b[j]
            for i in range(query_dim)
            for j in range(key_dim)
        )

    def network(a, b):
        return math.fsum(
            v_score[h] * math.tanh(dot(a, w_query[:, h]) + dot(b, w_key[:, h]))
            for h in range(hidden)
        )

    np.testing.assert_allclose(
        bilinear_scores(q, k, w), by_loops(general, q, k), **CLOSE
    )
    np.testing.assert_allclose(
        additive_scores(q, k, w_query, w_key, v_score),
        by_loops(network, q, k),
        **CLOSE,
    )


def test_scores_agree_with_the_operators_of_torch():
    q, k = draw(1, 2, 3, 5), draw(2, 2, 7, 5)
    tq, tk = torch.tensor(q)[:, :, None], torch.tensor(k)[:, None]
    pairs = torch.broadcast_tensors(tq, tk)
    w = draw(3, 5, 5)
    for got, want in (
        (cosine_scores(q, k), torch.cosine_similarity(tq, tk, dim=-1)),
        (
            distance_scores(q, k),
            -(torch.cdist(torch.tensor(q), torch.tensor(k)) ** 2) / 2,
        ),
        (
            bilinear_scores(q, k, w),
            torch.nn.functional.bilinear(
                *(x.contiguous() for x in pairs), torch.tensor(w)[None]
            )[..., 0],
        ),
    ):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-9, atol=1e-9)


def test_additive_scores_agree_with_torch_layers():
    q, k = draw(1, 2, 3, 5), draw(2, 2, 7, 7)
    w_query, w_key, v_score = weights()
    layer = torch.nn.Linear(12, 11, bias=False, dtype=torch.float64)
    last = torch.nn.Linear(11, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[:] = torch.tensor(np.concatenate([w_query, w_key]).T)
        last.weight[:] = torch.tensor(v_score)
    both = np.concatenate(
        [
            np.broadcast_to(q[:, :, None], (2, 3, 7, 5)),
            np.broadcast_to(k[:, None], (2, 3, 7, 7)),
        ],
        axis=-1,
    )
    want = last(torch.tanh(layer(torch.tensor(both))))[..., 0]
    np.testing.assert_allclose(
        additive_scores(q, k, w_query, w_key, v_score),
        want.detach().numpy(),
        **CLOSE,
    )


@pytest.mark.parametrize("function", EVERY)
def test_leading_axes_broadcast(function):
    q, k = draw(1, 2, 1, 3, 5), draw(2, 11, 7, 5)
    got = function(q, k)
    assert got.shape == (2, 11, 3, 7)
    for i, j in np.ndindex(2, 11):
        np.testing.assert_allclose(got[i, j], function(q[i, 0], k[j]), **CLOSE)


@pytest.mark.parametrize("function", EVERY)
def test_the_kinds_of_input_that_are_taken_give_the_same_float64(function):
    rng = np.random.default_rng(4)
    q, k = rng.integers(-9, 9, (3, 5)), rng.integers(-9, 9, (7, 5))
    want = function(q.astype(float), k.astype(float))
    for kind in (
        lambda x: x,
        lambda x: x.astype(np.float32),
        lambda x: np.repeat(x.astype(float), 2, axis=-1)[:, ::2],
        lambda x: np.asfortranarray(x.astype(float)),
        lambda x: torch.tensor(x, dtype=torch.float32).numpy(),
    ):
        got = function(kind(q), kind(k))
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("function", OF_ONE_WIDTH)
def test_lists_and_torch_tensors_are_taken(function):
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    want = function(q, k)
    np.testing.assert_array_equal(function(q.tolist(), k.tolist()), want)
    np.testing.assert_array_equal(
        function(torch.tensor(q), torch.tensor(k)), want
    )


@pytest.mark.parametrize("function", EVERY)
def test_the_arguments_are_not_changed(function):
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    before = q.copy(), k.copy()
    function(q, k)
    np.testing.assert_array_equal(q, before[0])
    np.testing.assert_array_equal(k, before[1])


@pytest.mark.parametrize("function", EVERY)
def test_no_queries_or_no_keys_give_an_empty_matrix(function):
    assert function(np.ones((0, 5)), np.ones((7, 5))).shape == (0, 7)
    assert function(np.ones((2, 3, 5)), np.ones((0, 5))).shape == (2, 3, 0)


@pytest.mark.parametrize("function", [dot_scores, cosine_scores])
def test_vectors_without_entries_score_zero(function):
    assert (
        function(np.ones((2, 0)), np.ones((3, 0))).tolist() == [[0.0] * 3] * 2
    )


@pytest.mark.parametrize("function", EVERY)
def test_permuting_the_keys_permutes_the_scores(function):
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    order = np.random.default_rng(3).permutation(7)
    np.testing.assert_allclose(
        function(q, k[order]), function(q, k)[:, order], **CLOSE
    )


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(-200, 200), st.floats(-200, 200))
def test_cosine_is_blind_to_lengths_however_long_or_short(seed, one, other):
    q, k = draw(seed, 3, 5), draw(seed + 1, 7, 5)
    got = cosine_scores(q * 10.0**one, k * 10.0**other)
    np.testing.assert_allclose(got, cosine_scores(q, k), **CLOSE)
    assert np.all(np.abs(got) <= 1 + 1e-12)


def test_cosine_of_a_vector_with_itself_is_one_and_with_nothing_zero():
    x = draw(1, 5, 3)
    x[2] = 0.0
    with np.errstate(all="raise"):  # nothing is divided by zero on the way
        got = cosine_scores(x, x)
    np.testing.assert_allclose(np.diag(got), [1, 1, 0, 1, 1], **CLOSE)
    assert not got[2].any()
    assert not got[:, 2].any()


def test_cosine_keeps_the_direction_of_the_smallest_number():
    tiny = np.nextafter(0.0, 1.0)
    assert cosine_scores(
        [[tiny, 0.0]], [[0.0, tiny], [tiny, 0.0]]
    ).tolist() == [[0.0, 1.0]]


def test_only_the_dot_product_rewards_a_long_key():
    q = np.array([[1.0, 0.0]])
    k = np.array([[1.0, 0.0], [3.0, 4.0]])  # the same, and a longer one
    assert dot_scores(q, k).argmax() == 1
    assert cosine_scores(q, k).argmax() == 0
    assert distance_scores(q, k).argmax() == 0


def test_distance_is_the_dot_product_less_half_the_squares():
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    want = (
        dot_scores(q, k)
        - (q**2).sum(axis=1)[:, None] / 2
        - (k**2).sum(axis=1) / 2
    )
    np.testing.assert_allclose(distance_scores(q, k), want, **CLOSE)


def test_distance_does_not_cancel_far_from_the_origin():
    q, k = np.array([[1e9, 1e9]]), np.array([[1e9 + 1, 1e9]])
    assert distance_scores(q, k).tolist() == [[-0.5]]


def test_keys_of_one_length_get_the_weights_of_the_gaussian_kernel():
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    k = k / np.linalg.norm(k, axis=1, keepdims=True)
    np.testing.assert_allclose(
        softmax(dot_scores(q, k)), softmax(distance_scores(q, k)), **CLOSE
    )


def test_adding_one_vector_to_all_keys_changes_no_weight_of_dot_scores():
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    same = draw(3, 5)
    for function in (dot_scores, scaled_scores, bilinear):
        np.testing.assert_allclose(
            softmax(function(q, k + same)), softmax(function(q, k)), **CLOSE
        )
    moved = softmax(cosine_scores(q, k + same))
    assert np.abs(moved - softmax(cosine_scores(q, k))).max() > 0.01


@pytest.mark.parametrize("dim", [1, 7, 64, 257])
def test_scaled_scores_of_unit_variance_entries_have_unit_variance(dim):
    q, k = draw(dim, 401, dim), draw(dim + 1, 397, dim)
    # Scores that share a query or a key are dependent: a mean of about
    # 400 independent groups has an error of about 1/sqrt(400) a piece.
    assert abs(scaled_scores(q, k).var() - 1) < 0.35
    assert abs(dot_scores(q, k).var() / dim - 1) < 0.35
    q, k = np.sign(q), np.sign(k)  # another law of variance 1
    assert abs(scaled_scores(q, k).var() - 1) < 0.35


def test_unscaled_scores_saturate_the_softmax_and_scaled_ones_do_not():
    q, k = draw(1, 211, 512), draw(2, 7, 512)
    for function, low, high in (
        (dot_scores, 0.9, 1.0),
        (scaled_scores, 0.2, 0.7),
    ):
        a = softmax(function(q, k))
        assert low < np.median(a.max(axis=-1)) <= high
    gradient = np.abs(softmax_jacobian(softmax(dot_scores(q, k))))
    assert np.median(gradient.max(axis=(-2, -1))) < 0.01


def test_a_bilinear_score_with_the_identity_is_the_dot_product():
    q, k = draw(1, 3, 5), draw(2, 7, 5)
    np.testing.assert_allclose(
        bilinear_scores(q, k, np.eye(5)), dot_scores(q, k), **CLOSE
    )


def test_a_bilinear_score_is_the_dot_product_of_two_projections():
    q, k = draw(1, 3, 5), draw(2, 7, 13)
    a, b = draw(3, 5, 2), draw(4, 13, 2)
    np.testing.assert_allclose(
        bilinear_scores(q, k, a @ b.T), dot_scores(q @ a, k @ b), **CLOSE
    )


def test_an_additive_score_saturates_at_the_sum_of_its_last_weights():
    q, k = draw(1, 3, 5), draw(2, 7, 7)
    w_query, w_key, v_score = weights()
    bound = np.abs(v_score).sum()
    far = additive_scores(1e4 * q, k, w_query, w_key, v_score)
    assert np.isfinite(far).all()
    assert np.abs(far).max() <= bound * (1 + 1e-12)
    aimed = np.sign(v_score)[None]  # a query that opens every unit
    got = additive_scores(
        50 * aimed, np.zeros((1, 7)), np.eye(11), w_key, v_score
    )
    np.testing.assert_allclose(got, [[bound]], **CLOSE)


def test_a_small_additive_score_cannot_couple_query_and_key():
    q, k = 1e-5 * draw(1, 3, 5), 1e-5 * draw(2, 7, 7)
    w_query, w_key, v_score = weights()
    got = additive_scores(q, k, w_query, w_key, v_score)
    # Where tanh is nearly a straight line, the query shifts whole rows.
    linear = (q @ w_query @ v_score)[:, None] + k @ w_key @ v_score
    np.testing.assert_allclose(got, linear, rtol=0, atol=1e-11)


@pytest.mark.parametrize("function", OF_ONE_WIDTH)
@pytest.mark.parametrize(
    ("q", "k", "error", "message"),
    [
        (
            np.ones((3, 5)),
            np.ones((7, 4)),
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            np.ones(5),
            np.ones((7, 5)),
            ValueError,
            r"q must have axes \(..., queries, dim\): got shape \(5,\)",
        ),
        (
            np.ones((3, 5)),
            np.ones(5),
            ValueError,
            r"k must have axes \(..., keys, dim\): got shape \(5,\)",
        ),
        (
            np.ones((2, 3, 5)),
            np.ones((11, 7, 5)),
            ValueError,
            r"leading axes of q and k must broadcast: got q \(2,\), k \(11,\)",
        ),
        (
            np.ones((3, 5)) > 0,
            np.ones((7, 5)),
            TypeError,
            "q must hold real numbers: got dtype bool",
        ),
        (
            np.ones((3, 5)),
            1j * np.ones((7, 5)),
            TypeError,
            "k must hold real numbers: got dtype complex128",
        ),
    ],
)
def test_wrong_queries_and_keys_are_refused(function, q, k, error, message):
    with pytest.raises(error, match=message):
        function(q, k)


def test_scaled_scores_need_a_width():
    with pytest.raises(ValueError, match="dim must be at least 1: got 0"):
        scaled_scores(np.ones((3, 0)), np.ones((7, 0)))


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.ones((7, 5)), "q and w must agree in query_dim: got q=5, w=7"),
        (np.ones((5, 5)), "k and w must agree in key_dim: got k=7, w=5"),
        (
            np.ones((1, 5, 7)),
            r"w must have two axes, \(query_dim, key_dim\): got shape "
            r"\(1, 5, 7\)",
        ),
        (
            np.ones(5),
            r"w must have axes \(..., query_dim, key_dim\): got shape \(5,\)",
        ),
    ],
)
def test_a_wrong_bilinear_weight_is_refused(w, message):
    with pytest.raises(ValueError, match=message):
        bilinear_scores(np.ones((3, 5)), np.ones((2, 7)), w)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"w_query": np.ones((7, 11))},
            "q and w_query must agree in query_dim: got q=5, w_query=7",
        ),
        (
            {"w_key": np.ones((5, 11))},
            "k and w_key must agree in key_dim: got k=7, w_key=5",
        ),
        (
            {"v_score": np.ones(10)},
            "w_query and w_key and v_score must agree in hidden: got "
            "w_query=11, w_key=11, v_score=10",
        ),
        (
            {"w_query": np.ones((5, 10))},
            "must agree in hidden: got w_query=10, w_key=11, v_score=11",
        ),
        (
            {"w_key": np.ones((7, 10))},
            "must agree in hidden: got w_query=11, w_key=10, v_score=11",
        ),
        (
            {"v_score": np.ones((11, 1))},
            r"v_score must have one axis, \(hidden\): got shape \(11, 1\)",
        ),
        (
            {"w_key": np.ones((2, 7, 11))},
            r"w_key must have two axes, \(key_dim, hidden\): got shape",
        ),
        (
            {"w_query": np.ones((2, 5, 11))},
            r"w_query must have two axes, \(query_dim, hidden\): got shape",
        ),
    ],
)
def test_wrong_additive_weights_are_refused(change, message):
    right = dict(zip(("w_query", "w_key", "v_score"), weights(), strict=True))
    with pytest.raises(ValueError, match=message):
        additive_scores(np.ones((3, 5)), np.ones((2, 7)), **right | change)


def test_every_public_function_is_tested_here():
    public = {
        name
        for name, value in vars(scores).items()
        if inspect.isfunction(value)
        and value.__module__ == scores.__name__
        and not name.startswith("_")
    }
    assert public == {
        *(function.__name__ for function in OF_ONE_WIDTH),
        "bilinear_scores",
        "additive_scores",
    }
