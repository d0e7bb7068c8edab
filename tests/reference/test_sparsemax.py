"""Sparse weights by what defines them: nearest point, optimum, threshold."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense, softmax
from attncourse.reference.masks import causal_mask, padding_mask
from attncourse.reference.sparsemax import (
    entmax,
    entmax_15,
    entmax_attention,
    entmax_backward,
    masked_entmax,
    masked_sparsemax,
    sparsemax,
    sparsemax_attention,
    sparsemax_backward,
    tsallis_entropy,
)
from attncourse.reference.sparsemax_gradients import exponent

quick = settings(max_examples=25, deadline=None)
values = st.floats(-4, 4, allow_nan=False, width=16)
rows = st.lists(values, min_size=1, max_size=7).map(np.array)
alphas = st.sampled_from([1.0, 1.0 + 1e-9, 1.2, 1.5, 1.7, 2.0, 2.5, 4.0])
WEIGHTS = [
    sparsemax,
    entmax_15,
    lambda scores, **axis: entmax(scores, alpha=1.3, **axis),
    lambda scores, **axis: entmax(scores, alpha=3.0, **axis),
]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def near(got, expected):
    """Compare to an error of rounding; zeros must be zeros."""
    np.testing.assert_allclose(got, expected, rtol=4e-16)


def entropy_by_loop(weights, alpha):
    if alpha == 1:
        return -sum(a * np.log(a) for a in weights if a > 0)
    return sum(a - a**alpha for a in weights) / (alpha * (alpha - 1))


# What defines them


def sparsemax_in_fractions(row):
    """Return the exact sparsemax: try every number of keys with weight."""
    exact = [Fraction(float(score)) for score in row]
    for size in range(1, len(exact) + 1):
        highest = sorted(exact, reverse=True)[:size]
        threshold = (sum(highest) - 1) / size
        weights = [max(score - threshold, Fraction(0)) for score in exact]
        if sum(weights) == 1:
            return [float(weight) for weight in weights]
    raise AssertionError("no support fits")


@quick
@given(rows)
def test_sparsemax_is_exact(row):
    expected = sparsemax_in_fractions(row)
    np.testing.assert_allclose(sparsemax(row), expected, atol=4e-16)
    shifted = sparsemax(row + 1024.0)
    np.testing.assert_allclose(shifted, expected, atol=1e-12)


@quick
@given(rows, st.integers(0, 99))
def test_no_point_of_the_simplex_is_nearer_than_the_sparsemax(row, seed):
    nearest = np.sum((sparsemax(row) - row) ** 2)
    rng = np.random.default_rng(seed)
    others = rng.dirichlet(np.full(len(row), 0.3), size=20)
    others = np.concatenate([others, np.eye(len(row))])
    assert np.all(np.sum((others - row) ** 2, axis=-1) >= nearest - 1e-12)


@quick
@given(rows, alphas)
def test_entmax_meets_the_conditions_of_the_optimum(row, alpha):
    weights = entmax(row, alpha=alpha)
    assert np.all(weights >= 0)
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    if alpha == 1:
        np.testing.assert_allclose(weights, softmax.softmax(row), rtol=1e-13)
        return
    # Slope of the objective: the same wherever there is weight.
    kept = weights > 1e-6
    power = np.expm1((alpha - 1) * np.log(weights[kept])) / (alpha - 1)
    slopes = row[kept] - power
    np.testing.assert_allclose(slopes, slopes[0], atol=1e-9)
    at_zero = row[weights == 0] + 1 / (alpha - 1)
    assert np.all(at_zero <= slopes[0] + 1e-9)


@quick
@given(rows, alphas, st.integers(0, 99))
def test_entmax_maximises_the_score_and_the_entropy(row, alpha, seed):
    best = entmax(row, alpha=alpha)
    reached = best @ row + entropy_by_loop(best, alpha)
    rng = np.random.default_rng(seed)
    for other in rng.dirichlet(np.full(len(row), 0.5), size=7):
        assert other @ row + entropy_by_loop(other, alpha) <= reached + 1e-9


@quick
@given(rows)
def test_the_special_cases_agree(row):
    for alpha, expected in [
        (1, softmax.softmax(row)),
        (1 + 1e-12, softmax.softmax(row)),
        (1.5, entmax_15(row)),
        (2, sparsemax(row)),
    ]:
        got = entmax(row, alpha=alpha)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("alpha", [1.01, 1.5, 2.0, 5.0])
def test_two_keys_split_at_the_difference_that_their_weights_have(alpha):
    # From the weights back to the scores: a closed form for any alpha.
    first = np.linspace(0.55, 0.95, 5)
    gap = (first ** (alpha - 1) - (1 - first) ** (alpha - 1)) / (alpha - 1)
    got = entmax(np.stack([gap, np.zeros(5)], axis=-1), alpha=alpha)
    np.testing.assert_allclose(got[:, 0], first, rtol=1e-12)
    alone = entmax([1 / (alpha - 1) + 1e-9, 0.0], alpha=alpha)
    assert alone.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("alpha", [8.0, 12.0, 30.0])
def test_low_weights_are_right_though_they_hang_on_the_last_digit(alpha):
    # Here the last digit of the highest weight moves the other by a tenth.
    first = np.array([0.9, 0.95])
    gap = (first ** (alpha - 1) - (1 - first) ** (alpha - 1)) / (alpha - 1)
    got = entmax(np.stack([gap, 0 * gap, 0 * gap - 1], axis=-1), alpha=alpha)
    np.testing.assert_allclose(got[:, 0], first, rtol=1e-14)
    np.testing.assert_allclose(got[:, 1], 1 - first, rtol=1e-13)
    near(got.sum(axis=-1), 1.0)


def test_a_higher_alpha_keeps_fewer_keys():
    row = np.linspace(0, 5, 40)
    counts = [
        np.count_nonzero(entmax(row, alpha=alpha))
        for alpha in (1.0, 1.25, 1.5, 2.0, 3.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 40
    assert len(set(counts)) == 5


def test_entmax_15_of_worked_examples():
    # Two keys: a = (1 + d sqrt(2 - d^2)) / 2 with d half of the difference.
    difference = np.array([0.0, 0.5, 1.0, 2.0, 5.0])
    d = np.minimum(difference / 2, 1)
    expected = (1 + d * np.sqrt(2 - d**2)) / 2
    got = entmax_15(np.stack([difference, 0 * difference], axis=-1))
    np.testing.assert_allclose(got[:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(got.sum(axis=-1), 1.0, rtol=1e-14)


def test_an_exponent_is_any_real_number_from_one():
    for alpha in (1, 1.0, np.float32(1.0), np.int64(1), Fraction(1)):
        assert type(exponent(alpha)) is float
        assert exponent(alpha) == 1.0


# The contract


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_a_common_shift_changes_nothing_and_keys_may_be_permuted(weigh):
    scores = normal(3, 11)
    order = np.random.default_rng(1).permutation(11)
    np.testing.assert_allclose(weigh(scores + 100), weigh(scores), atol=1e-12)
    np.testing.assert_allclose(
        weigh(scores[:, order]), weigh(scores)[:, order], atol=1e-15
    )


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_ties_share_alike_and_huge_scores_stay_finite(weigh):
    assert weigh([7, 7, 7, 7]).tolist() == [0.25] * 4
    near(weigh([1e4, -1e4, 1e4]), [0.5, 0.0, 0.5])
    assert weigh([-1e4, -2e4]).tolist() == [1.0, 0.0]
    assert weigh([-3.0]).tolist() == [1.0]
    assert weigh([0.0, 1e300]).tolist() == [0.0, 1.0]
    many = weigh(np.full(1009, -5.0))
    np.testing.assert_allclose(many, 1 / 1009, rtol=1e-12)


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_minus_infinity_is_a_key_that_is_not_there(weigh):
    scores = normal(5)
    with_gap = np.array([*scores[:2], -np.inf, *scores[2:]])
    got = weigh(with_gap)
    assert got[2] == 0.0
    np.testing.assert_allclose(np.delete(got, 2), weigh(scores), atol=1e-15)
    assert weigh([-np.inf, -np.inf]).tolist() == [0.0, 0.0]
    near(weigh([[-np.inf] * 2, [1.0, 1.0]]), [[0.0, 0.0], [0.5, 0.5]])


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_nan_and_infinity_spoil_their_own_row_only(weigh):
    bad = [[np.nan, 0.0], [np.inf, 0.0], [np.inf, np.inf], [0.0, 0.0]]
    got = weigh(np.array(bad))
    assert np.isnan(got[:3]).all()
    near(got[3], [0.5, 0.5])


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_every_axis_may_hold_the_keys(weigh):
    scores = normal(3, 5, 7)
    for axis in (0, 1, -1, 2):
        got = weigh(scores, axis=axis)
        assert got.shape == (3, 5, 7)
        moved = np.moveaxis(scores, axis, -1)
        expected = [weigh(row) for row in moved.reshape(-1, moved.shape[-1])]
        expected = np.reshape(expected, moved.shape)
        np.testing.assert_allclose(
            got, np.moveaxis(expected, -1, axis), atol=1e-15
        )


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_empty_axes_are_answered(weigh):
    assert weigh(np.zeros((3, 0))).shape == (3, 0)
    assert weigh(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("weigh", WEIGHTS)
def test_any_kind_of_number_comes_in_and_float64_goes_out(weigh):
    scores = np.array([[3, 2, 0], [1, 1, 1]])
    kept = scores.copy()
    expected = weigh(scores)
    assert expected.dtype == np.float64
    for same in (scores.tolist(), scores.astype("f2"), torch.tensor(scores)):
        np.testing.assert_array_equal(weigh(same), expected)
    np.testing.assert_array_equal(weigh(scores.T[::-1].T[:, ::-1]), expected)
    np.testing.assert_array_equal(scores, kept)


def test_highly_sparse_alphas_do_not_overflow():
    row = np.zeros(101)
    row[0] = 1.0
    assert entmax(row, alpha=200.0)[0] == 1.0
    np.testing.assert_allclose(entmax(0 * row, alpha=200.0), 1 / 101)


# Masks


@pytest.mark.parametrize(
    ("masked", "weigh"),
    [
        (masked_sparsemax, sparsemax),
        (
            lambda s, m: masked_entmax(s, m, alpha=1.3),
            lambda s: entmax(s, alpha=1.3),
        ),
    ],
)
def test_masked_weights_are_those_of_the_allowed_keys_alone(masked, weigh):
    scores, mask = normal(2, 3, 7), normal(3, 7, seed=1) > 0
    mask[0] = False
    expected = np.zeros((2, 3, 7))
    for b in range(2):
        for i in range(1, 3):
            expected[b, i, mask[i]] = weigh(scores[b, i, mask[i]])
    np.testing.assert_allclose(masked(scores, mask), expected, atol=1e-15)
    poisoned = np.where(mask, scores, np.nan)
    np.testing.assert_array_equal(masked(poisoned, mask), masked(scores, mask))
    one = masked(np.zeros((1, 7)), np.ones((2, 3, 1), bool))
    assert one.shape == (2, 3, 7)


# Gradients


def by_differences(function, scores, upstream, step=1e-6):
    """Return the gradient of sum(upstream * function), by differences."""
    gradient = np.zeros_like(scores)
    for place in np.ndindex(scores.shape):
        moved = np.zeros_like(scores)
        moved[place] = step
        rise = function(scores + moved) - function(scores - moved)
        gradient[place] = np.sum(upstream * rise) / (2 * step)
    return gradient


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0, 2.6])
def test_backward_is_the_slope_of_the_weights(alpha):
    scores, upstream = normal(3, 5), normal(3, 5, seed=1)
    weights = entmax(scores, alpha=alpha)
    assert alpha < 1.4 or np.any(weights == 0)
    got = entmax_backward(weights, upstream, alpha=alpha)
    expected = by_differences(
        lambda s: entmax(s, alpha=alpha), scores, upstream
    )
    np.testing.assert_allclose(got, expected, atol=1e-7)
    np.testing.assert_allclose(got.sum(axis=-1), 0.0, atol=1e-14)
    if alpha == 2:
        np.testing.assert_array_equal(
            sparsemax_backward(weights, upstream), got
        )
    if alpha == 1:
        np.testing.assert_allclose(
            got, softmax.softmax_backward(weights, upstream), atol=1e-15
        )


def test_backward_of_sparsemax_and_entmax_15_by_differences():
    scores, upstream = normal(2, 7), normal(2, 7, seed=1)
    np.testing.assert_allclose(
        sparsemax_backward(sparsemax(scores), upstream),
        by_differences(sparsemax, scores, upstream),
        atol=1e-8,
    )
    np.testing.assert_allclose(
        entmax_backward(entmax_15(scores), upstream, alpha=1.5),
        by_differences(entmax_15, scores, upstream),
        atol=1e-7,
    )


def test_keys_without_weight_neither_give_nor_get_a_gradient():
    upstream = np.array([4.0, 2.0, np.nan])
    got = sparsemax_backward([0.25, 0.75, 0.0], upstream)
    assert got.tolist() == [1.0, -1.0, 0.0]
    for alpha in (1.0, 1.5, 2.0, 3.0):
        got = entmax_backward([[0.0, 0.0]], [[7.0, np.nan]], alpha=alpha)
        assert got.tolist() == [[0.0, 0.0]]
        # A row that is spoiled stays so, but not where there is no weight.
        got = entmax_backward([np.nan, np.nan, 0.0], [4, 7, 9], alpha=alpha)
        np.testing.assert_array_equal(got, [np.nan, np.nan, 0.0])
        got = entmax_backward([0.25, np.nan, 0.0], [4, 7, 9], alpha=alpha)
        np.testing.assert_array_equal(got, [np.nan, np.nan, 0.0])
    assert sparsemax_backward(np.zeros((3, 0)), np.zeros((3, 0))).shape == (
        3,
        0,
    )


def test_backward_broadcasts_rows():
    weights, upstream = sparsemax(normal(3, 5)), normal(2, 1, 5, seed=1)
    several = np.ones((2, 3, 5))
    assert sparsemax_backward(weights[2], several).shape == (2, 3, 5)
    assert sparsemax_backward(weights, upstream[1, 0]).shape == (3, 5)
    got = sparsemax_backward(weights, upstream)
    assert got.shape == (2, 3, 5)
    np.testing.assert_array_equal(
        got[1, 2], sparsemax_backward(weights[2], upstream[1, 0])
    )


# Entropy


@quick
@given(rows, alphas)
def test_tsallis_entropy_is_its_sum(row, alpha):
    weights = entmax(row, alpha=1.5)
    got = tsallis_entropy(weights, alpha=alpha)
    close = 1e-6 if 1 < alpha < 1.1 else 1e-13
    assert got == pytest.approx(entropy_by_loop(weights, alpha), abs=close)
    near = tsallis_entropy(weights, alpha=1 + 1e-12)
    assert near == pytest.approx(float(softmax.entropy(weights)), abs=1e-10)


def test_tsallis_entropy_of_known_weights():
    weights = [[1.0, 0.0, 0.0, 0.0], [0.25] * 4]
    assert tsallis_entropy(weights, alpha=2).tolist() == [0.0, 0.375]
    assert tsallis_entropy(weights, alpha=3).round(9).tolist() == [
        0.0,
        round((1 - 1 / 16) / 6, 9),
    ]
    assert tsallis_entropy(weights, alpha=1)[1] == pytest.approx(np.log(4))


# Attention


def triple(seed=0):
    return (
        3 * normal(2, 5, 7, seed=seed),
        normal(2, 11, 7, seed=seed + 1),
        normal(2, 11, 3, seed=seed + 2),
    )


@pytest.mark.parametrize("mask", [None, causal_mask(5, 11)])
def test_attention_is_the_weights_times_the_values(mask):
    q, k, v = triple()
    allowed = np.ones((5, 11), bool) if mask is None else mask
    for alpha in (1.5, 2.0):
        expected = np.zeros((2, 5, 3))
        for b, i in np.ndindex(2, 5):
            seen = allowed[i]
            scores = k[b, seen] @ q[b, i] / np.sqrt(7)
            weights = {1.5: entmax_15, 2.0: sparsemax}[alpha](scores)
            expected[b, i] = weights @ v[b, seen]
        got = entmax_attention(q, k, v, alpha=alpha, mask=mask)
        np.testing.assert_allclose(got, expected, atol=1e-12)
    np.testing.assert_allclose(
        sparsemax_attention(q, k, v, mask=mask), expected, atol=1e-13
    )
    np.testing.assert_allclose(
        entmax_attention(q, k, v, alpha=1, mask=mask),
        dense.attention(q, k, v, mask=mask),
        atol=1e-12,
    )


def test_attention_is_blind_to_what_is_hidden():
    q, k, v = triple()
    mask = padding_mask([4, 0], keys=11)
    expected = sparsemax_attention(q, k, v, mask=mask)
    assert not expected[1].any()
    k[:, 4:], v[:, 4:] = np.nan, np.nan
    for got in (
        sparsemax_attention(q, k, v, mask=mask),
        entmax_attention(q, k, v, alpha=2, mask=mask),
    ):
        np.testing.assert_allclose(got, expected, atol=1e-12)
    assert np.isnan(sparsemax_attention(q[:, :1], k, v)).all()
    v[:, :4] = np.nan
    alone = sparsemax_attention(q, k, v, mask=np.eye(5, 11, 9, dtype=bool))
    assert not alone[:, 2:].any()


def test_attention_broadcasts_and_answers_empty_axes():
    q, k, v = triple()
    got = sparsemax_attention(q[0], k[:, None], v)
    assert got.shape == (2, 2, 5, 3)
    np.testing.assert_allclose(
        got[1, 0], sparsemax_attention(q[0], k[1], v[0]), atol=1e-14
    )
    nothing = sparsemax_attention(q, k[:, :0], v[:, :0])
    assert nothing.tolist() == np.zeros((2, 5, 3)).tolist()
    assert sparsemax_attention(q[:, :0], k, v).shape == (2, 0, 3)
    one = sparsemax_attention(q, k[:, :1], v[:, :1])
    np.testing.assert_array_equal(one, np.repeat(v[:, :1], 5, axis=1))


Q, K, V = np.ones((2, 3)), np.ones((5, 3)), np.ones((5, 7))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: sparsemax(1.0),
            ValueError,
            r"scores must have axes \(\.\.\., keys\): got shape \(\)",
        ),
        (lambda: entmax_15(["a"]), TypeError, "scores must hold real numbers"),
        (
            lambda: entmax([1.0], alpha=0.9),
            ValueError,
            "alpha must be at least 1 and finite: got 0.9",
        ),
        (
            lambda: entmax([1.0], alpha=np.inf),
            ValueError,
            "alpha must be at least 1 and finite: got inf",
        ),
        (
            lambda: entmax([1.0], alpha=np.nan),
            ValueError,
            "alpha must be at least 1 and finite: got nan",
        ),
        (
            lambda: entmax([1.0], alpha="2"),
            TypeError,
            "alpha must be a real number: got '2'",
        ),
        (
            lambda: tsallis_entropy([1.0], alpha=True),
            TypeError,
            "alpha must be a real number: got True",
        ),
        (
            lambda: tsallis_entropy([1.5, -0.5], alpha=2),
            ValueError,
            r"weights must not be negative: got -0\.5",
        ),
        (
            lambda: entmax_backward([1.0], [1.0], alpha=0),
            ValueError,
            "alpha must be at least 1 and finite: got 0",
        ),
        (
            lambda: sparsemax_backward(np.ones(3), np.ones(5)),
            ValueError,
            "must agree in keys: got weights=3, upstream=5",
        ),
        (
            lambda: sparsemax_backward(np.ones((2, 3)), np.ones((5, 3))),
            ValueError,
            r"got weights \(2,\), upstream \(5,\)",
        ),
        (
            lambda: masked_sparsemax(Q, Q),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: masked_sparsemax([1.0], [[True]]),
            ValueError,
            r"scores must have axes \(\.\.\., queries, keys\)",
        ),
        (
            lambda: masked_entmax(Q, [True], alpha=2),
            ValueError,
            r"mask must have axes \(\.\.\., queries, keys\)",
        ),
        (
            lambda: masked_sparsemax(Q, K > 0),
            ValueError,
            r"scores \(2, 3\), mask \(5, 3\)",
        ),
        (
            lambda: sparsemax_attention(Q, K[:, :2], V),
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            lambda: sparsemax_attention(Q, K, V[:4]),
            ValueError,
            "k and v must agree in keys: got k=5, v=4",
        ),
        (
            lambda: sparsemax_attention(Q, K, V, mask=np.ones((3, 5)) > 0),
            ValueError,
            r"= \(\.\.\., 2, 5\): got \(3, 5\)",
        ),
        (
            lambda: sparsemax_attention(Q[None], K, V, mask=Q > 0),
            ValueError,
            r"queries, keys\) = \(\.\.\., 2, 5\): got \(2, 3\)",
        ),
        (
            lambda: entmax_attention(
                Q, K, np.ones((3, 5, 7)), alpha=2, mask=np.ones((2, 2, 5)) > 0
            ),
            ValueError,
            r"got weights \(2,\), v \(3,\)",
        ),
        (
            lambda: sparsemax_attention(Q[:, :0], K[:, :0], V),
            ValueError,
            "dim must be at least 1: got 0",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
