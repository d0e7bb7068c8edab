"""The softmax reference against torch, loops, differences, identities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.softmax import (
    entropy,
    log_softmax,
    log_sum_exp,
    masked_softmax,
    softmax,
    softmax_backward,
    softmax_jacobian,
    softmax_with_temperature,
)

ROW_FUNCTIONS = [softmax, log_softmax, log_sum_exp]
rows = st.lists(
    st.floats(-1e4, 1e4, allow_nan=False), min_size=1, max_size=11
).map(np.array)
quick = settings(max_examples=60, deadline=None)


def draw(*shape, seed=0, scale=3.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def by_loop(row):
    highest = max(row)
    exponentials = [math.exp(score - highest) for score in row]
    return [each / math.fsum(exponentials) for each in exponentials]


@given(rows)
@quick
def test_weights_equal_a_plain_loop(row):
    np.testing.assert_allclose(
        softmax(row), by_loop(row.tolist()), rtol=1e-12, atol=1e-300
    )


@given(rows)
@quick
def test_weights_are_a_share_of_one(row):
    weights = softmax(row)
    assert np.all(weights >= 0)
    assert np.sum(weights) == pytest.approx(1.0, abs=1e-12)


@given(rows, st.floats(-1e4, 1e4))
@quick
def test_a_common_shift_changes_nothing(row, shift):
    np.testing.assert_allclose(softmax(row + shift), softmax(row), atol=1e-11)


@given(rows, st.randoms())
@quick
def test_permuting_the_keys_permutes_the_weights(row, random):
    order = list(range(len(row)))
    random.shuffle(order)
    np.testing.assert_allclose(
        softmax(row[order]), softmax(row)[order], rtol=1e-12
    )


@given(rows)
@quick
def test_a_higher_score_never_gets_a_lower_weight(row):
    weights = softmax(row)
    assert np.all(np.diff(weights[np.argsort(row)]) >= 0)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (softmax, torch.softmax),
        (log_softmax, torch.log_softmax),
        (log_sum_exp, torch.logsumexp),
    ],
)
def test_every_axis_agrees_with_torch(ours, theirs, axis):
    scores = draw(3, 5, 7)
    expected = theirs(torch.from_numpy(scores), dim=axis).numpy()
    np.testing.assert_allclose(ours(scores, axis=axis), expected, rtol=1e-12)


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_huge_scores_stay_finite(function):
    for row in ([1e4, -1e4, 0.0], [1e300, 0.0], [-1e4, -1e4]):
        assert np.all(np.isfinite(function(np.array(row))))


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_answers_are_float64_whatever_came(function):
    for scores in (
        np.ones((2, 3), np.float32),
        np.ones((2, 3), np.float16),
        np.ones((2, 3), int),
        [[1, 1, 1], [1, 1, 1]],
        torch.ones(2, 3),
    ):
        answer = function(scores)
        assert isinstance(answer, np.ndarray)
        assert answer.dtype == np.float64
        np.testing.assert_array_equal(answer, function(np.ones((2, 3))))


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_strided_and_read_only_scores_are_read_and_left_alone(function):
    wide = draw(3, 10)
    view = wide[:, ::2]
    view.flags.writeable = False
    before = view.copy()
    np.testing.assert_array_equal(function(view), function(before))
    np.testing.assert_array_equal(view, before)


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_a_number_alone_has_no_keys(function):
    message = r"scores must have axes \(\.\.\., keys\): got shape \(\)"
    with pytest.raises(ValueError, match=message):
        function(3.0)


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_complex_scores_are_refused(function):
    message = "scores must hold real numbers: got dtype complex128"
    with pytest.raises(TypeError, match=message):
        function(np.array([1j]))


@pytest.mark.parametrize("function", ROW_FUNCTIONS)
def test_an_axis_that_is_not_there_is_refused(function):
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        function(np.zeros((3, 5)), axis=2)


def test_one_key_gets_all_the_weight():
    np.testing.assert_array_equal(softmax(draw(5, 1, scale=1e6)), 1.0)
    np.testing.assert_array_equal(log_softmax(draw(5, 1)), 0.0)


def test_an_empty_axis_stays_empty():
    assert softmax(np.zeros((3, 0))).shape == (3, 0)
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert log_softmax(np.zeros((3, 0))).shape == (3, 0)
    np.testing.assert_array_equal(log_sum_exp(np.zeros((3, 0))), -np.inf)
    assert softmax_with_temperature(
        np.zeros((3, 0)), temperature=1.0
    ).shape == (3, 0)
    np.testing.assert_array_equal(entropy(np.zeros((3, 0))), 0.0)


def test_minus_infinity_gets_no_weight():
    row = np.array([0.0, -np.inf, 0.0])
    np.testing.assert_array_equal(softmax(row), [0.5, 0.0, 0.5])
    assert log_softmax(row)[1] == -np.inf
    assert log_sum_exp(row) == pytest.approx(math.log(2))


def test_log_sum_exp_knows_both_infinities():
    assert log_sum_exp(np.array([-np.inf, -np.inf])) == -np.inf
    assert log_sum_exp(np.array([np.inf, 0.0])) == np.inf


@given(rows)
@quick
def test_log_sum_exp_is_a_soft_maximum(row):
    soft = log_sum_exp(row)
    slack = 1e-9
    assert max(row) - slack <= soft
    assert soft <= max(row) + math.log(len(row)) + slack


@given(rows)
@quick
def test_log_softmax_is_the_score_minus_log_sum_exp(row):
    np.testing.assert_allclose(
        log_softmax(row), row - log_sum_exp(row), atol=1e-10
    )


def test_log_softmax_is_finite_where_the_weight_is_not_seen():
    row = np.array([0.0, -2000.0])
    assert softmax(row)[1] == 0.0
    assert log_softmax(row)[1] == -2000.0


def test_log_softmax_keeps_small_differences_beside_large_scores():
    row = 1e8 + np.array([0.0, math.log(3.0)])
    exact = np.log(softmax(row))
    np.testing.assert_allclose(log_softmax(row), exact, rtol=1e-12)


@given(rows, st.floats(0.05, 100.0))
@quick
def test_temperature_divides_the_scores(row, temperature):
    np.testing.assert_allclose(
        softmax_with_temperature(row, temperature=temperature),
        softmax(row / temperature),
        atol=1e-9,
    )


def test_a_tiny_temperature_shares_among_the_highest():
    row = np.array([1.0, 3.0, 3.0, 2.0])
    with np.errstate(all="raise", under="ignore"):
        cold = softmax_with_temperature(1e10 * row, temperature=1e-5)
    np.testing.assert_array_equal(cold, [0.0, 0.5, 0.5, 0.0])
    colder = softmax_with_temperature(row, temperature=1e-320)
    np.testing.assert_array_equal(colder, [0.0, 0.5, 0.5, 0.0])


def test_a_huge_temperature_shares_equally():
    hot = softmax_with_temperature(draw(5), temperature=1e12)
    np.testing.assert_allclose(hot, 0.2, atol=1e-10)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_must_be_positive(temperature):
    message = f"temperature must be positive and finite: got {temperature}"
    with pytest.raises(ValueError, match=message):
        softmax_with_temperature(np.zeros(3), temperature=temperature)


@given(rows)
@quick
def test_entropy_rises_with_temperature(row):
    heats = [
        entropy(softmax_with_temperature(row, temperature=temperature))
        for temperature in (0.1, 0.5, 1.0, 2.0, 10.0, 1e3)
    ]
    assert np.all(np.diff(heats) >= -1e-12)


def test_masked_softmax_is_the_softmax_of_the_allowed_scores():
    scores, mask = draw(2, 3, 7), draw(3, 7, seed=1) > 0
    weights = masked_softmax(scores, mask)
    for example in range(2):
        for query in range(3):
            chosen = mask[query]
            row = weights[example, query]
            np.testing.assert_allclose(
                row[chosen], softmax(scores[example, query, chosen])
            )
            np.testing.assert_array_equal(row[~chosen], 0.0)


def test_a_full_mask_is_no_mask():
    scores = draw(3, 5)
    np.testing.assert_array_equal(
        masked_softmax(scores, np.ones((3, 5), bool)), softmax(scores)
    )


def test_a_row_that_sees_nothing_is_zero():
    mask = np.zeros((3, 5), bool)
    np.testing.assert_array_equal(masked_softmax(draw(3, 5), mask), 0.0)
    barred = np.full((3, 5), -np.inf)
    np.testing.assert_array_equal(masked_softmax(barred, ~mask), 0.0)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e300])
def test_a_forbidden_score_has_no_influence(poison):
    scores = draw(3, 5)
    mask = np.ones((3, 5), bool)
    mask[:, 2] = False
    spoiled = np.where(mask, scores, poison)
    np.testing.assert_array_equal(
        masked_softmax(spoiled, mask), masked_softmax(scores, mask)
    )


def test_masked_softmax_handles_huge_scores_and_empty_axes():
    mask = np.array([[True, True, False]])
    weights = masked_softmax(np.array([[1e4, -1e4, 2e4]]), mask)
    np.testing.assert_array_equal(weights, [[1.0, 0.0, 0.0]])
    assert masked_softmax(np.zeros((2, 0)), np.zeros((2, 0), bool)).shape == (
        2,
        0,
    )


def test_a_mask_must_be_boolean_and_fit():
    with pytest.raises(TypeError, match="mask must be boolean"):
        masked_softmax(np.zeros((3, 5)), np.ones((3, 5)))
    message = r"must broadcast: got scores \(3, 5\), mask \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        masked_softmax(np.zeros((3, 5)), np.ones((3, 4), bool))
    with pytest.raises(ValueError, match=r"axes \(\.\.\., queries, keys\)"):
        masked_softmax(np.zeros(5), np.ones((1, 5), bool))


def differences(function, at, step=1e-6):
    """Return the Jacobian by central differences, outputs x inputs."""
    columns = []
    for place in range(at.size):
        moved = np.zeros_like(at)
        moved[place] = step
        columns.append((function(at + moved) - function(at - moved)) / 2)
    return np.stack(columns, axis=-1) / step


def test_the_jacobian_equals_central_differences():
    scores = draw(5, scale=1.0)
    np.testing.assert_allclose(
        softmax_jacobian(softmax(scores)),
        differences(softmax, scores),
        atol=1e-9,
    )


@given(rows)
@quick
def test_the_jacobian_is_symmetric_and_its_rows_cancel(row):
    jacobian = softmax_jacobian(softmax(row))
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-15)
    np.testing.assert_allclose(jacobian.sum(axis=-1), 0.0, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(jacobian) >= -1e-12)


def test_the_jacobian_has_one_matrix_for_each_row():
    weights = softmax(draw(2, 3, 5))
    jacobian = softmax_jacobian(weights)
    assert jacobian.shape == (2, 3, 5, 5)
    np.testing.assert_array_equal(
        jacobian[1, 2], softmax_jacobian(weights[1, 2])
    )


@given(rows)
@quick
def test_log_sum_exp_has_the_softmax_as_its_gradient(row):
    leaf = torch.tensor(row, requires_grad=True)
    torch.logsumexp(leaf, dim=-1).backward()
    np.testing.assert_allclose(softmax(row), leaf.grad.numpy(), atol=1e-12)


def test_backward_agrees_with_torch_and_with_the_jacobian():
    scores, upstream = draw(2, 3, 7), draw(2, 3, 7, seed=1)
    leaf = torch.tensor(scores, requires_grad=True)
    torch.softmax(leaf, dim=-1).backward(torch.from_numpy(upstream))
    weights = softmax(scores)
    gradient = softmax_backward(weights, upstream)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), atol=1e-14)
    np.testing.assert_allclose(
        gradient,
        np.einsum("...ij,...i->...j", softmax_jacobian(weights), upstream),
        atol=1e-14,
    )


def test_backward_leaves_a_constant_upstream_nothing_to_do():
    weights = softmax(draw(3, 5))
    np.testing.assert_allclose(
        softmax_backward(weights, np.ones((3, 5))), 0.0, atol=1e-15
    )


def test_backward_of_a_row_that_sees_nothing_is_zero():
    np.testing.assert_array_equal(
        softmax_backward(np.zeros((1, 5)), draw(1, 5)), 0.0
    )


def test_backward_says_which_sizes_differ():
    message = "weights and upstream must agree in keys: got weights=3, upst"
    with pytest.raises(ValueError, match=message):
        softmax_backward(np.ones(3), np.ones(5))
    with pytest.raises(ValueError, match="leading axes of weights and up"):
        softmax_backward(np.ones((2, 3)), np.ones((5, 3)))


@given(rows)
@quick
def test_entropy_equals_a_loop_and_stays_in_its_bounds(row):
    weights = softmax(row)
    by_hand = -math.fsum(a * math.log(a) for a in weights.tolist() if a > 0)
    assert entropy(weights) == pytest.approx(by_hand, abs=1e-12)
    assert entropy(weights) >= -1e-12
    assert entropy(weights) <= math.log(len(row)) + 1e-12


def test_entropy_agrees_with_torch_row_by_row():
    weights = softmax(draw(2, 3, 7))
    expected = torch.distributions.Categorical(torch.from_numpy(weights))
    np.testing.assert_allclose(
        entropy(weights), expected.entropy().numpy(), rtol=1e-12
    )


def test_entropy_of_a_certain_choice_is_exactly_zero():
    certain = entropy(np.eye(3))
    np.testing.assert_array_equal(certain, 0.0)
    assert not np.any(np.signbit(certain))


def test_entropy_is_log_keys_for_equal_weights():
    assert entropy(np.full(7, 1 / 7)) == pytest.approx(math.log(7))


def test_negative_weights_have_no_entropy():
    message = "weights must not be negative: got -0.5"
    with pytest.raises(ValueError, match=message):
        entropy([1.5, -0.5])
