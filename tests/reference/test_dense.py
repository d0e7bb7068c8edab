"""Dense attention against torch, loops, differences and identities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.dense import (
    attention,
    attention_backward,
    attention_weights,
    weighted_sum,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def triple(seed=0, *, batch=(2,), queries=3, keys=5, dim=7, value_dim=11):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*batch, queries, dim)),
        rng.normal(size=(*batch, keys, dim)),
        rng.normal(size=(*batch, keys, value_dim)),
    )


def some_mask(seed, *shape):
    """Return a random mask whose last row sees nothing."""
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[..., 0] = True
    mask[..., -1, :] = False
    return mask


def by_loops(q, k, v, mask):
    """Return attention of plain matrices, one number at a time."""
    queries, keys = len(q), len(k)
    output = np.zeros((queries, v.shape[-1]))
    for i in range(queries):
        seen = [j for j in range(keys) if mask[i][j]]
        if not seen:
            continue
        scores = [
            sum(a * b for a, b in zip(q[i], k[j], strict=True))
            / math.sqrt(q.shape[-1])
            for j in seen
        ]
        powers = [math.exp(score - max(scores)) for score in scores]
        for j, power in zip(seen, powers, strict=True):
            for c in range(v.shape[-1]):
                output[i, c] += power / math.fsum(powers) * v[j, c]
    return output


def in_torch(q, k, v, upstream, mask=None):
    """Return output and gradients by torch's operator and autograd."""
    leaves = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    output = torch.nn.functional.scaled_dot_product_attention(
        *leaves, attn_mask=None if mask is None else torch.tensor(mask)
    )
    output.backward(torch.as_tensor(upstream))
    return output.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


sizes = st.integers(1, 6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), sizes, sizes, sizes, sizes, sizes)
def test_attention_agrees_with_loops_over_single_numbers(
    seed, queries, keys, dim, value_dim, spread
):
    q, k, v = triple(
        seed,
        batch=(),
        queries=queries,
        keys=keys,
        dim=dim,
        value_dim=value_dim,
    )
    mask = np.random.default_rng(seed).random((queries, keys)) < 0.7
    got = attention(spread * q, k, v, mask=mask)
    np.testing.assert_allclose(got, by_loops(spread * q, k, v, mask), **CLOSE)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), sizes, sizes, sizes, sizes)
def test_output_and_gradients_agree_with_torch(
    seed, queries, keys, dim, value_dim
):
    q, k, v = triple(
        seed, queries=queries, keys=keys, dim=dim, value_dim=value_dim
    )
    mask = np.random.default_rng(seed).random((2, queries, keys)) < 0.7
    mask[..., 0] = True  # torch leaves open what an empty row gives
    upstream = draw(seed + 1, 2, queries, value_dim)
    for allowed in (None, mask):
        output, gradients = in_torch(q, k, v, upstream, allowed)
        np.testing.assert_allclose(
            attention(q, k, v, mask=allowed), output, **CLOSE
        )
        got = attention_backward(q, k, v, upstream, mask=allowed)
        for mine, theirs in zip(got, gradients, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def central_difference(loss, x, step=1e-6):
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] = x[place] + step
        above = loss(moved)
        moved[place] = x[place] - step
        gradient[place] = (above - loss(moved)) / (2 * step)
    return gradient


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_agree_with_finite_differences(masked):
    q, k, v = triple(1, batch=(), queries=3, keys=5, dim=2, value_dim=4)
    mask = some_mask(2, 3, 5) if masked else None
    upstream = draw(3, 3, 4)

    def loss(q, k, v):
        return np.sum(upstream * attention(q, k, v, mask=mask))

    dq, dk, dv = attention_backward(q, k, v, upstream, mask=mask)
    # Central differences: error about step**2 plus epsilon / step.
    budget = {"rtol": 0, "atol": 1e-8}
    np.testing.assert_allclose(
        dq, central_difference(lambda x: loss(x, k, v), q), **budget
    )
    np.testing.assert_allclose(
        dk, central_difference(lambda x: loss(q, x, v), k), **budget
    )
    np.testing.assert_allclose(
        dv, central_difference(lambda x: loss(q, k, x), v), **budget
    )


def test_leading_axes_broadcast_and_gradients_keep_their_arguments_shapes():
    q, k, v = draw(1, 2, 1, 3, 7), draw(2, 5, 4, 7), draw(3, 1, 1, 4, 6)
    output = attention(q, k, v)
    assert output.shape == (2, 5, 3, 6)
    for i, j in np.ndindex(2, 5):
        np.testing.assert_allclose(
            output[i, j], attention(q[i, 0], k[j], v[0, 0]), **CLOSE
        )
    upstream = draw(4, 2, 5, 3, 6)
    leaves = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    a, b, c = leaves
    weights = torch.softmax(a @ b.mT / math.sqrt(7), dim=-1)
    (weights @ c).backward(torch.tensor(upstream))
    got = attention_backward(q, k, v, upstream)
    for mine, leaf in zip(got, leaves, strict=True):
        assert mine.shape == tuple(leaf.shape)
        np.testing.assert_allclose(mine, leaf.grad.numpy(), **CLOSE)


def test_a_mask_may_add_leading_axes_and_repeat_for_all_queries():
    q, k, v = triple(5, batch=(), queries=3, keys=5)
    padding = np.array([[[1, 1, 0, 0, 0]], [[1, 1, 1, 1, 1]]], bool)
    output = attention(q, k, v, mask=padding)
    assert output.shape == (2, 3, 11)
    np.testing.assert_allclose(output[0], attention(q, k[:2], v[:2]), **CLOSE)
    upstream = draw(6, 2, 3, 11)
    both = attention_backward(q, k, v, upstream, mask=padding)
    each = [
        attention_backward(q, k, v, upstream[i], mask=padding[i])
        for i in range(2)
    ]
    for index, gradient in enumerate(both):
        np.testing.assert_allclose(
            gradient, each[0][index] + each[1][index], **CLOSE
        )


def test_every_row_of_weights_sums_to_one():
    q, k, _ = triple(7)
    weights = attention_weights(q, k)
    assert weights.shape == (2, 3, 5)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-15)


def test_every_output_lies_between_the_smallest_and_largest_value():
    q, k, v = triple(8)
    output = attention(4 * q, k, v)
    assert (output <= v.max(axis=-2, keepdims=True)).all()
    assert (output >= v.min(axis=-2, keepdims=True)).all()


def test_one_hot_values_reveal_the_weights():
    q, k, _ = triple(9)
    np.testing.assert_array_equal(
        attention(q, k, np.eye(5)), attention_weights(q, k)
    )


def test_a_single_key_is_read_whatever_it_scores():
    q, k, v = triple(10, keys=1)
    output = attention(1e4 * q, k, v)
    np.testing.assert_array_equal(output, np.repeat(v, 3, axis=-2))


def test_keys_may_be_permuted_together_with_their_values():
    q, k, v = triple(11)
    order = np.random.default_rng(0).permutation(5)
    np.testing.assert_allclose(
        attention(q, k[:, order], v[:, order]), attention(q, k, v), **CLOSE
    )


def test_permuting_queries_permutes_the_output():
    q, k, v = triple(12)
    order = [2, 0, 1]
    np.testing.assert_array_equal(
        attention(q[:, order], k, v), attention(q, k, v)[:, order]
    )


def test_a_common_shift_of_the_keys_changes_no_weight():
    q, k, _ = triple(13)
    np.testing.assert_allclose(
        attention_weights(q, k + draw(1, 7)), attention_weights(q, k), **CLOSE
    )


def test_the_scale_is_the_square_root_of_the_key_width():
    weights = attention_weights([[2.0, 0, 0, 0]], [[1.0, 0, 0, 0], [0] * 4])
    assert weights[0, 0] == pytest.approx(math.e / (1 + math.e), rel=1e-15)


def test_five_tokens_of_width_one_give_the_corrected_numbers():
    x = 0.1 * np.arange(1, 6)[:, None]
    np.testing.assert_array_equal(
        attention(x, x, x).round(3)[:, 0], [0.302, 0.304, 0.306, 0.308, 0.31]
    )


def test_scores_of_ten_thousand_select_one_key_without_nan():
    q, k, v = triple(14)
    output = attention(1e4 * q, k, v)
    best = np.argmax(q @ np.swapaxes(k, -1, -2), axis=-1)
    np.testing.assert_allclose(
        output, np.take_along_axis(v, best[..., None], axis=-2), **CLOSE
    )
    for gradient in attention_backward(1e4 * q, k, v, np.ones_like(output)):
        assert np.isfinite(gradient).all()


def test_rows_that_see_nothing_return_zeros_and_no_gradient():
    q, k, v = triple(15)
    mask = some_mask(1, 2, 3, 5)
    assert (attention_weights(q, k, mask=mask)[:, -1] == 0).all()
    assert (attention(q, k, v, mask=mask)[:, -1] == 0).all()
    dq, dk, dv = attention_backward(
        q, k, v, np.ones((2, 3, 11)), mask=np.zeros((3, 5), bool)
    )
    assert not dq.any()
    assert not dk.any()
    assert not dv.any()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_forbidden_has_no_influence_even_if_it_is_not_finite(poison):
    q, k, v = triple(16, batch=(), queries=4, keys=4)
    mask = np.tri(4, dtype=bool)  # each sees itself and what came before
    upstream = draw(2, 4, 11)
    spoiled_k, spoiled_v = k.copy(), v.copy()
    spoiled_k[2:] = poison
    spoiled_v[2:] = poison
    with np.errstate(invalid="ignore"):  # rows 2 and 3 are spoiled rightly
        output = attention(q, spoiled_k, spoiled_v, mask=mask)
        dq, _, _ = attention_backward(
            q, spoiled_k, spoiled_v, upstream, mask=mask
        )
    clean = attention(q, k, v, mask=mask)
    np.testing.assert_array_equal(output[:2], clean[:2])
    assert not np.isfinite(output[2:]).any()
    np.testing.assert_array_equal(
        dq[:2], attention_backward(q, k, v, upstream, mask=mask)[0][:2]
    )


def test_a_query_that_is_nan_does_not_reach_keys_that_it_may_not_see():
    q, k, v = triple(17, batch=(), queries=3, keys=5)
    mask = np.ones((3, 5), bool)
    mask[1] = [True, True, False, False, False]
    upstream = draw(1, 3, 11)
    spoiled_q, spoiled_up = q.copy(), upstream.copy()
    spoiled_q[1] = spoiled_up[1] = np.nan
    _, dk, dv = attention_backward(spoiled_q, k, v, spoiled_up, mask=mask)
    _, clean_dk, clean_dv = attention_backward(q, k, v, upstream, mask=mask)
    np.testing.assert_allclose(dk[2:], clean_dk[2:], **CLOSE)
    np.testing.assert_allclose(dv[2:], clean_dv[2:], **CLOSE)
    assert np.isnan(dk[:2]).all()
    assert np.isnan(dv[:2]).all()


def test_a_mask_for_each_example_is_turned_for_the_keys_gradient():
    q, k, v = triple(26)
    mask = np.ones((2, 3, 5), bool)
    mask[:, 1, 2:] = False
    upstream = draw(1, 2, 3, 11)
    spoiled = q.copy()
    spoiled[:, 1] = np.nan
    _, dk, _ = attention_backward(spoiled, k, v, upstream, mask=mask)
    _, clean, _ = attention_backward(q, k, v, upstream, mask=mask)
    np.testing.assert_allclose(dk[:, 2:], clean[:, 2:], **CLOSE)


def test_nan_that_may_be_seen_is_not_hidden():
    q, k, v = triple(18, batch=(), queries=2, keys=3)
    v[1] = np.nan
    mask = np.array([[True, True, False], [True, False, True]])
    output = attention(q, k, v, mask=mask)
    assert np.isnan(output[0]).all()
    assert np.isfinite(output[1]).all()


def test_an_all_true_mask_changes_nothing():
    q, k, v = triple(19)
    upstream = draw(1, 2, 3, 11)
    everything = np.ones((3, 5), bool)
    np.testing.assert_array_equal(
        attention(q, k, v, mask=everything), attention(q, k, v)
    )
    for one, other in zip(
        attention_backward(q, k, v, upstream, mask=everything),
        attention_backward(q, k, v, upstream),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "convert",
    [
        np.float32,
        np.float16,
        lambda x: np.round(x).astype(int),
        lambda x: x.tolist(),
        torch.tensor,
        lambda x: torch.tensor(x, dtype=torch.float32),
        lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
        lambda x: np.asfortranarray(x),
    ],
)
def test_any_real_array_is_accepted_and_float64_returned(convert):
    given_ = [convert(x) for x in triple(20)]
    exact = [np.asarray(x, np.float64) for x in given_]
    upstream = convert(draw(1, 2, 3, 11))
    output = attention(*given_)
    assert output.dtype == np.float64
    np.testing.assert_allclose(output, attention(*exact), **CLOSE)
    gradients = attention_backward(*given_, upstream)
    assert all(each.dtype == np.float64 for each in gradients)


def test_a_torch_mask_is_accepted():
    q, k, v = triple(21)
    mask = some_mask(3, 3, 5)
    np.testing.assert_array_equal(
        attention(q, k, v, mask=torch.tensor(mask)),
        attention(q, k, v, mask=mask),
    )
    upstream = np.ones((2, 3, 11))
    for one, other in zip(
        attention_backward(q, k, v, upstream, mask=torch.tensor(mask)),
        attention_backward(q, k, v, upstream, mask=mask),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_arguments_are_left_as_they_were():
    arrays = [*triple(22), draw(1, 2, 3, 11), some_mask(1, 2, 3, 5)]
    before = [each.copy() for each in arrays]
    for each in arrays:
        each.flags.writeable = False
    q, k, v, upstream, mask = arrays
    attention(q, k, v, mask=mask)
    attention_backward(q, k, v, upstream, mask=mask)
    for one, other in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 5, 3), (3, 0, 2), (3, 5, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    q, k, v = triple(23, queries=queries, keys=keys, value_dim=value_dim)
    output = attention(q, k, v)
    assert output.shape == (2, queries, value_dim)
    assert not output.any()  # with no key there is nothing to average
    gradients = attention_backward(q, k, v, output)
    for gradient, argument in zip(gradients, (q, k, v), strict=True):
        assert gradient.shape == argument.shape
        assert not gradient.any()


def test_the_softmax_term_of_the_backward_pass_is_output_times_upstream():
    q, k, v = triple(24)
    upstream = draw(1, 2, 3, 11)
    weights = attention_weights(q, k)
    by_weights = np.sum(weights * (upstream @ np.swapaxes(v, -1, -2)), axis=-1)
    by_output = np.sum(attention(q, k, v) * upstream, axis=-1)
    np.testing.assert_allclose(by_weights, by_output, **CLOSE)


def test_the_gradient_is_linear_in_what_comes_from_above():
    q, k, v = triple(25)
    one, other = draw(1, 2, 3, 11), draw(2, 2, 3, 11)
    together = attention_backward(q, k, v, one + 2 * other)
    first = attention_backward(q, k, v, one)
    second = attention_backward(q, k, v, other)
    for t, a, b in zip(together, first, second, strict=True):
        np.testing.assert_allclose(t, a + 2 * b, **CLOSE)


Q, K, V = np.ones((3, 5)), np.ones((7, 5)), np.ones((7, 2))


@pytest.mark.parametrize(
    ("arguments", "mask", "error", "message"),
    [
        (
            (Q, np.ones((7, 4)), V),
            None,
            ValueError,
            r"q and k must agree in dim: got q=5, k=4",
        ),
        (
            (Q, K, np.ones((6, 2))),
            None,
            ValueError,
            r"k and v must agree in keys: got k=7, v=6",
        ),
        (
            (np.ones(5), K, V),
            None,
            ValueError,
            r"q must have axes \(\.\.\., queries, dim\): got shape \(5,\)",
        ),
        (
            (Q, K, np.ones(7)),
            None,
            ValueError,
            r"v must have axes \(\.\.\., keys, value_dim\): "
            r"got shape \(7,\)",
        ),
        (
            (np.ones((2, 3, 5)), np.ones((3, 7, 5)), V),
            None,
            ValueError,
            r"leading axes of q and k must broadcast: "
            r"got q \(2,\), k \(3,\)",
        ),
        (
            (np.ones((2, 3, 5)), K, np.ones((3, 7, 2))),
            None,
            ValueError,
            r"leading axes of weights and v must broadcast: "
            r"got weights \(2,\), v \(3,\)",
        ),
        (
            (np.ones((3, 0)), np.ones((7, 0)), V),
            None,
            ValueError,
            r"dim must be at least 1: got 0",
        ),
        (
            (Q + 1j, K, V),
            None,
            TypeError,
            r"q must hold real numbers: got dtype complex128",
        ),
        (
            (Q, K > 0, V),
            None,
            TypeError,
            r"k must hold real numbers: got dtype bool",
        ),
        (
            (Q, K, V),
            np.ones((3, 7)),
            TypeError,
            r"mask must be boolean, True where a query may look: "
            r"got dtype float64",
        ),
        (
            (Q, K, V),
            np.ones((7, 3), bool),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\) = "
            r"\(\.\.\., 3, 7\): got \(7, 3\)",
        ),
        (
            (np.ones((2, 1, 5)), K, V),
            np.ones((3, 7), bool),
            ValueError,
            r"\(\.\.\., 1, 7\): got \(3, 7\)",
        ),
        (
            (Q, K, V),
            np.ones(7, bool),
            ValueError,
            r"mask must have axes \(\.\.\., queries, keys\): "
            r"got shape \(7,\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    arguments, mask, error, message
):
    with pytest.raises(error, match=message):
        attention(*arguments, mask=mask)
    with pytest.raises(error, match=message):
        attention_backward(*arguments, np.ones((3, 2)), mask=mask)


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        (
            np.ones((3, 5)),
            r"upstream must have the output's shape \(3, 2\): got \(3, 5\)",
        ),
        (np.ones((1, 2)), r"the output's shape \(3, 2\): got \(1, 2\)"),
        (np.ones((4, 3, 2)), r"the output's shape \(3, 2\): got \(4, 3, 2\)"),
    ],
)
def test_upstream_must_have_the_shape_of_the_output(upstream, message):
    with pytest.raises(ValueError, match=message):
        attention_backward(Q, K, V, upstream)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_weighted_sum_leaves_out_what_is_forbidden(poison):
    _, _, v = triple(3)
    weights, mask = draw(4, 2, 3, 5), some_mask(2, 3, 5)
    mask[:, 3] = False
    weights = np.where(mask, weights, 0.0)
    expected = np.zeros((2, 3, 11))
    for b, i, j in np.ndindex(2, 3, 5):
        if mask[i, j]:
            expected[b, i] += weights[b, i, j] * v[b, j]
    np.testing.assert_allclose(weighted_sum(weights, v), expected, **CLOSE)
    v[:, 3] = poison
    spoiled = weighted_sum(weights, v, mask=mask)
    np.testing.assert_allclose(spoiled, expected, **CLOSE)
    with pytest.raises(ValueError, match="k and v must agree in keys"):
        weighted_sum(weights[..., :4], v)
