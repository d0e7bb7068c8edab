"""Dense attention in torch against the reference and torch's operator."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.checking import numerics
from attncourse.fast.dense import (
    attention,
    attention_weights,
    pair_products,
    weighted_sum,
)
from attncourse.reference import dense as reference

sizes = st.integers(1, 6)


def triple(seed=0, *, batch=(2,), queries=3, keys=5, dim=7, value_dim=11):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(
            *batch, *shape, generator=generator, dtype=torch.float64
        )

    return draw(queries, dim), draw(keys, dim), draw(keys, value_dim)


def leaves(*tensors):
    return [each.clone().requires_grad_() for each in tensors]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), sizes, sizes, sizes, sizes)
def test_output_and_gradients_agree_with_the_reference(
    seed, queries, keys, dim, value_dim
):
    arrays = triple(
        seed, queries=queries, keys=keys, dim=dim, value_dim=value_dim
    )
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(queries, keys, generator=generator) < 0.6
    for allowed in (None, mask):
        q, k, v = leaves(*arrays)
        output = attention(q, k, v, mask=allowed)
        upstream = torch.sin(torch.arange(output.numel(), dtype=q.dtype))
        upstream = upstream.reshape(output.shape)
        output.backward(upstream)
        truth = reference.attention(*arrays, mask=allowed)
        np.testing.assert_allclose(output.detach(), truth, atol=1e-12)
        gradients = reference.attention_backward(
            *arrays, upstream, mask=allowed
        )
        for leaf, gradient in zip((q, k, v), gradients, strict=True):
            np.testing.assert_allclose(leaf.grad, gradient, atol=1e-12)


def test_it_agrees_with_torchs_own_operator():
    q, k, v = triple(1)
    mask = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]])
    for allowed in (None, mask.bool()):
        theirs = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=allowed
        )
        torch.testing.assert_close(attention(q, k, v, mask=allowed), theirs)


def test_gradients_agree_with_finite_differences():
    q, k, v = leaves(*triple(2, batch=(), dim=2, value_dim=3))
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]])
    assert torch.autograd.gradcheck(attention, (q, k, v))
    assert torch.autograd.gradcheck(
        lambda *x: attention(*x, mask=mask.bool()), (q, k, v)
    )
    assert torch.autograd.gradgradcheck(attention, (q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept_and_the_error_within_its_budget(dtype):
    q, k, v = (each.to(dtype) for each in triple(3, queries=31, keys=61))
    output = attention(q, k, v)
    assert output.dtype == dtype
    assert attention_weights(q, k).dtype == dtype
    truth = reference.attention(q, k, v)
    bound = numerics.tolerance(terms=61).relative * np.abs(truth).max()
    assert np.abs(output.double().numpy() - truth).max() <= bound


def test_half_precision_is_kept():
    q, k, v = (each.to(torch.bfloat16) for each in triple(4))
    mask = torch.ones(3, 5, dtype=torch.bool)
    assert attention(q, k, v, mask=mask).dtype == torch.bfloat16
    assert attention_weights(q, k).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_computed_in_single_precision(dtype):
    q, k, v = (each.to(dtype) for each in triple(4, queries=97, keys=101))
    truth = reference.attention(q.double(), k.double(), v.double())
    weights = reference.attention_weights(q.double(), k.double())
    rounded = torch.from_numpy(weights).to(dtype).double()
    ideal = (rounded @ v.double()).to(dtype).double().numpy()
    answer = attention(q, k, v).double().numpy()
    assert numerics.within_ideal(answer, truth, ideal)
    # Products of 300 and 300 are beyond what float16 can hold.
    large = attention(torch.full_like(q, 300), torch.full_like(k, 300), v)
    assert large.isfinite().all()


def test_leading_axes_broadcast():
    q, _, _ = triple(5, batch=(2, 1))
    _, k, v = triple(6, batch=(3,))
    output = attention(q, k, v)
    assert output.shape == (2, 3, 3, 11)
    np.testing.assert_allclose(
        output, reference.attention(q, k, v), atol=1e-12
    )


def test_rows_that_see_nothing_are_zero_with_zero_gradients():
    q, k, v = leaves(*triple(7))
    mask = torch.zeros(3, 5, dtype=torch.bool)
    output = attention(q, k, v, mask=mask)
    output.sum().backward()
    assert not output.any()
    for leaf in (q, k, v):
        assert not leaf.grad.any()  # NaN would count as True


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_padding_reaches_neither_output_nor_gradients(poison):
    clean = triple(8, batch=(), queries=4, keys=4)
    spoiled = [each.clone() for each in clean]
    for each in spoiled:
        each[3] = poison
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[3] = mask[:, 3] = False
    results = []
    for arrays in (clean, spoiled):
        q, k, v = leaves(*arrays)
        output = attention(q, k, v, mask=mask)
        output.square().sum().backward()
        results.append((output, q.grad, k.grad, v.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_nan_in_the_future_does_not_reach_the_past():
    q, k, v = triple(8, batch=(), queries=4, keys=4)
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    results = []
    for poison in (1.0, torch.nan):
        q_leaf, k_leaf, v_leaf = leaves(q, k, v)
        spoil = torch.ones(4, 1, dtype=q.dtype)
        spoil[3] = poison
        output = attention(q_leaf, k_leaf * spoil, v_leaf * spoil, mask=mask)
        output[:3].square().sum().backward()
        results.append((output[:3], q_leaf.grad[:3]))
        assert bool(output[3].isfinite().all()) == (poison == 1.0)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_scores_of_ten_thousand_give_no_nan():
    q, k, v = leaves(*triple(9))
    output = attention(1e4 * q, k, v)
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(leaf.grad).all() for leaf in (q, k, v))


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 5, 3), (3, 0, 2), (3, 5, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    q, k, v = triple(10, queries=queries, keys=keys, value_dim=value_dim)
    output = attention(q, k, v)
    assert output.shape == (2, queries, value_dim)
    assert not output.any()


def test_a_strided_view_gives_the_same():
    q, k, v = triple(11)
    wide = torch.stack([q, torch.full_like(q, torch.nan)], dim=-1)
    torch.testing.assert_close(
        attention(wide[..., 0], k, v), attention(q, k, v)
    )


Q, K, V = torch.ones(3, 5), torch.ones(7, 5), torch.ones(7, 2)


@pytest.mark.parametrize(
    ("arguments", "mask", "error", "message"),
    [
        (
            (Q, K[:, :4], V),
            None,
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            (Q, K, V[:6]),
            None,
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        (
            (Q[0], K, V),
            None,
            ValueError,
            r"q must have axes \(\.\.\., queries, dim\): got shape \(5,\)",
        ),
        (
            (Q.int(), K, V),
            None,
            TypeError,
            "q must be a floating-point tensor: got torch.int32",
        ),
        (
            (Q, K.numpy(), V),
            None,
            TypeError,
            "k must be a floating-point tensor: got float32",
        ),
        (
            (Q, K, [1.0]),
            None,
            TypeError,
            "v must be a floating-point tensor: got list",
        ),
        (
            (Q.expand(2, 3, 5), K.expand(3, 7, 5), V),
            None,
            ValueError,
            r"leading axes of q and k must broadcast: "
            r"got q \(2,\), k \(3,\)",
        ),
        (
            (Q.expand(2, 3, 5), K, V.expand(3, 7, 2)),
            None,
            ValueError,
            r"leading axes of weights and v must broadcast: "
            r"got weights \(2,\), v \(3,\)",
        ),
        (
            (Q[:, :0], K[:, :0], V),
            None,
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            (Q, K, V),
            torch.ones(3, 7),
            TypeError,
            "mask must be boolean, True where a query may look: "
            "got torch.float32",
        ),
        (
            (Q, K, V),
            torch.ones(7, 3, dtype=torch.bool),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\) = "
            r"\(\.\.\., 3, 7\): got \(7, 3\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    arguments, mask, error, message
):
    with pytest.raises(error, match=message):
        attention(*arguments, mask=mask)


POISON = [float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("poison", POISON)
def test_a_forbidden_value_changes_no_bit_of_a_weighted_sum(poison):
    q, k, v = triple()
    weights, mask = attention_weights(q, k), torch.ones(3, 5) > 0
    mask[:, 3] = False
    weights = torch.where(mask, weights, 0.0)
    expected = weighted_sum(weights, v, mask=mask)
    np.testing.assert_allclose(
        expected, np.einsum("bqk,bkv->bqv", weights, v), rtol=1e-12
    )
    spoiled = v.clone()
    spoiled[0, 3] = poison
    weights, spoiled = leaves(weights, spoiled)
    sums = weighted_sum(weights, spoiled, mask=mask)
    assert torch.equal(sums, expected)
    for gradient in torch.autograd.grad(sums.sum(), [weights, spoiled]):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("poison", POISON)
def test_a_value_that_may_be_seen_spoils_its_column_and_no_other(poison):
    _, _, v = triple()
    weights, mask = torch.full((2, 3, 5), 0.2).double(), torch.ones(3, 5) > 0
    mask[0, 3] = False
    weights = torch.where(mask, weights, 0.0)
    expected = weighted_sum(weights, v, mask=mask)
    v[0, 3, 2] = poison
    sums = weighted_sum(weights, v, mask=mask)
    touched = torch.zeros_like(sums, dtype=torch.bool)
    touched[0, 1:, 2] = True
    assert not sums[touched].isfinite().any()
    assert torch.equal(sums[~touched], expected[~touched])


@pytest.mark.parametrize("poison", POISON)
def test_a_pair_that_may_not_meet_changes_no_bit_of_the_others(poison):
    q, k, _ = triple()
    mask = torch.ones(3, 5) > 0
    mask[:, 3], mask[1] = False, False
    met = mask.expand(2, 3, 5)
    expected = pair_products(q, k, mask=mask)
    np.testing.assert_allclose(
        expected, np.einsum("bqd,bkd->bqk", q, k), rtol=1e-12
    )
    q[:, 1], k[:, 3, 0] = poison, poison
    q, k = leaves(q, k)
    products = pair_products(q, k, mask=mask)
    assert torch.equal(products[met], expected[met])
    for gradient in torch.autograd.grad(products[met].sum(), [q, k]):
        assert gradient.isfinite().all()


def test_a_pair_that_may_meet_is_spoiled_and_no_other():
    q, k, _ = triple()
    expected = pair_products(q, k, mask=torch.ones(3, 5) > 0)
    k[0, 3, 0] = torch.nan
    products = pair_products(q, k, mask=torch.ones(3, 5) > 0)
    assert products[0, :, 3].isnan().all()
    products[0, :, 3] = expected[0, :, 3]
    assert torch.equal(products, expected)
