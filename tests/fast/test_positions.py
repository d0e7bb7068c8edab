"""The torch positions against the reference, types, devices, gradients."""

import numpy as np
import pytest
import torch

from attncourse.fast import positions as fast
from attncourse.reference import positions as plain

torch.set_num_threads(1)


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(
        dtype
    )


def test_rotary_agrees_with_the_reference_also_with_batched_positions():
    x = normal(2, 3, 5, 8)
    at = torch.tensor([[[0, 1, 5, 2, 100_000]], [[7, 7, 7, 0, 1]]])
    np.testing.assert_allclose(
        fast.rotary(x, at, base=500.0).numpy(),
        plain.rotary(x, at, base=500.0),
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("dtype", "unit"),
    [
        (torch.float32, 2**-24),
        (torch.float16, 2**-11),
        (torch.bfloat16, 2**-8),
    ],
)
def test_rotary_keeps_the_type_and_rounds_once(dtype, unit):
    x, at = normal(7, 16, dtype=dtype), torch.arange(7) * 30_000
    got = fast.rotary(x, at)
    assert got.dtype == dtype
    ideal = plain.rotary(x.double(), at)
    largest = np.abs(ideal).max()
    # One rounding of each output, plus float32 products inside.
    assert np.abs(got.double().numpy() - ideal).max() <= (
        unit * largest + 4 * 2**-24 * largest
    )


def test_rotary_has_the_gradient_that_finite_differences_see():
    x, at = normal(3, 4).requires_grad_(), torch.tensor([0, 2, 9])
    assert torch.autograd.gradcheck(lambda x: fast.rotary(x, at), x)


def test_rotary_gradients_also_reach_real_positions():
    x, at = normal(3, 4), torch.tensor([0.0, 2.0, 9.0]).double()
    at.requires_grad_()
    assert torch.autograd.gradcheck(lambda at: fast.rotary(x, at), at)


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12, 16, 21])
def test_alibi_slopes_agree_with_the_reference(heads):
    slopes = fast.alibi_slopes(heads)
    assert slopes.dtype == torch.float32
    np.testing.assert_allclose(
        slopes.numpy(), plain.alibi_slopes(heads), rtol=2**-24
    )


def test_alibi_bias_agrees_with_the_reference_and_enters_torch_attention():
    slopes = fast.alibi_slopes(3).double()
    queries, keys = torch.arange(4, 7), torch.arange(7)
    bias = fast.alibi_bias(slopes, queries, keys)
    np.testing.assert_allclose(
        bias.numpy(), plain.alibi_bias(slopes, queries, keys)
    )
    q, k, v = normal(3, 3, 4), normal(3, 7, 4, seed=1), normal(3, 7, 5, seed=2)
    np.testing.assert_allclose(
        torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bias
        ),
        plain.biased_attention(q, k, v, bias),
        atol=1e-12,
    )


def test_alibi_bias_keeps_half_precision_neighbours_apart_far_out():
    slopes = torch.ones(1, dtype=torch.float16)
    at = torch.arange(70_000, 70_003)
    bias = fast.alibi_bias(slopes, at, at)
    assert bias.dtype == torch.float16
    assert bias[0, 2].tolist() == [-2.0, -1.0, 0.0]


def test_alibi_bias_is_differentiable_and_takes_batched_positions():
    slopes = normal(2).requires_grad_()
    at = torch.tensor([[0, 4, 5], [1, 2, 3]])
    assert fast.alibi_bias(slopes, at, at).shape == (2, 2, 3, 3)
    assert torch.autograd.gradcheck(
        lambda slopes: fast.alibi_bias(slopes, at, at), slopes
    )


def test_sinusoidal_agrees_with_the_reference_and_keeps_the_type():
    at = torch.tensor([[0.0, 3.5], [100_000.0, 2.0]], dtype=torch.float64)
    np.testing.assert_allclose(
        fast.sinusoidal(at, dim=6, base=70.0).numpy(),
        plain.sinusoidal(at, dim=6, base=70.0),
        atol=1e-12,
    )
    assert fast.sinusoidal(at.half(), dim=6).dtype == torch.float16
    assert fast.sinusoidal(at.long(), dim=6).dtype == torch.float32


def test_positions_of_length_zero_are_fine():
    assert fast.rotary(torch.zeros(2, 0, 4), torch.arange(0)).shape == (
        2,
        0,
        4,
    )
    assert fast.sinusoidal(torch.arange(0), dim=4).shape == (0, 4)
    assert fast.alibi_bias(
        torch.ones(2), torch.arange(0), torch.arange(3)
    ).shape == (2, 0, 3)


@pytest.mark.parametrize("device", ["cpu", "cuda", "meta"])
def test_results_stay_on_the_device_of_their_input(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    at = torch.arange(5, device=device)
    x = torch.zeros(5, 4, device=device)
    assert fast.rotary(x, at).device.type == device
    assert fast.sinusoidal(at, dim=4).device.type == device
    slopes = fast.alibi_slopes(2).to(device)
    assert fast.alibi_bias(slopes, at, at).device.type == device


def test_errors_say_what_must_hold():
    x, at = torch.zeros(3, 4), torch.arange(2)
    with pytest.raises(
        ValueError,
        match=r"^x and positions must agree in tokens: got x=3, positions=2$",
    ):
        fast.rotary(x, at)
    with pytest.raises(ValueError, match="dim must be even"):
        fast.rotary(torch.zeros(2, 5), at)
    with pytest.raises(ValueError, match="x must have axes"):
        fast.rotary(torch.zeros(4), at)
    with pytest.raises(ValueError, match="positions must have axes"):
        fast.sinusoidal(torch.tensor(3), dim=4)
    with pytest.raises(ValueError, match="slopes must have axes"):
        fast.alibi_bias(torch.tensor(1.0), at, at)
    with pytest.raises(ValueError, match="leading axes of x and positions"):
        fast.rotary(torch.zeros(2, 3, 4), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="leading axes of query_positions"):
        fast.alibi_bias(torch.ones(1), torch.zeros(2, 3), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="base must be positive: got 0"):
        fast.frequencies(4, base=0)


# Trained tables.


def tables():
    """Return q, k, v, weights, both tables and an index; blind last row."""
    q, k = normal(2, 3, 6), normal(2, 7, 6, seed=1)
    v, weights = normal(2, 7, 5, seed=2), normal(2, 3, 7, seed=3).abs()
    weights[:, -1] = 0.0
    at = torch.arange(3) + 4
    index = fast.relative_index(at, torch.arange(7), clip=2)
    return q, k, v, weights, normal(5, 6, seed=4), normal(5, 5, seed=5), index


def test_relative_scores_and_values_agree_with_the_reference():
    q, k, v, weights, of_keys, of_values, index = tables()
    np.testing.assert_allclose(
        fast.relative_scores(q, k, of_keys, index),
        plain.relative_scores(q, k, of_keys, index.numpy()),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        fast.relative_values(weights, v, of_values, index),
        plain.relative_values(weights, v, of_values, index.numpy()),
        rtol=1e-12,
    )


def test_an_index_for_each_example_is_used_for_it():
    q, k, v, weights, of_keys, of_values, index = tables()
    own = torch.stack([index, index.flip(-1)])
    for n in range(2):
        scores = fast.relative_scores(q, k[0], of_keys, own)
        alone = fast.relative_scores(q[n], k[0], of_keys, own[n])
        np.testing.assert_allclose(scores[n], alone, rtol=1e-12)
        values = fast.relative_values(weights, v, of_values, own)
        alone = fast.relative_values(weights[n], v[n], of_values, own[n])
        np.testing.assert_allclose(values[n], alone, rtol=1e-12)


def test_gradients_of_the_tables_agree_with_finite_differences():
    q, k, v, weights, of_keys, of_values, index = tables()
    arrays = [each.requires_grad_() for each in (q, k, of_keys)]
    assert torch.autograd.gradcheck(
        lambda *three: fast.relative_scores(*three, index), arrays
    )
    weights = weights[:, :2].detach() + 0.1
    arrays = [each.requires_grad_() for each in (weights, v, of_values)]
    assert torch.autograd.gradcheck(
        lambda *three: fast.relative_values(*three, index[:2]), arrays
    )
    bias = normal(4, 5, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda table: fast.relative_bias(table, index), bias
    )


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_key_of_weight_zero_has_no_influence_on_relative_values(poison):
    _, _, v, weights, _, of_values, index = tables()
    weights[..., 2] = 0.0
    before = fast.relative_values(weights, v, of_values, index)
    v[:, 2] = poison
    after = fast.relative_values(weights, v, of_values, index)
    assert torch.equal(after, before)


@pytest.mark.parametrize("sizes", [{}, {"buckets": 6, "farthest": 20}])
def test_buckets_and_biases_are_those_of_the_reference(sizes):
    here, there = torch.tensor([[0], [300]]), torch.arange(-400, 401)
    for name in ("bucket_index", "causal_bucket_index"):
        got = getattr(fast, name)(here, there, **sizes)
        expected = getattr(plain, name)(here.numpy(), there.numpy(), **sizes)
        assert got.tolist() == expected.tolist()
    both = fast.bucket_index(here, there), fast.causal_bucket_index(here, here)
    for index in both:
        bias = normal(4, 32)
        np.testing.assert_array_equal(
            fast.relative_bias(bias, index),
            plain.relative_bias(bias.numpy(), index.numpy()),
        )


def test_learned_positions_are_rows_and_train():
    table = normal(5, 3).requires_grad_()
    rows = fast.learned(table, torch.tensor([[4, 0, 4]]))
    np.testing.assert_array_equal(
        rows.detach(), plain.learned(table.detach(), np.array([[4, 0, 4]]))
    )
    rows.sum().backward()
    assert table.grad[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0, 2.0]


def test_half_types_and_empty_sequences_of_tables_are_kept():
    q, k, v, weights, of_keys, of_values, index = tables()
    half = [x.bfloat16() for x in (q, k, of_keys)]
    assert fast.relative_scores(*half, index).dtype == torch.bfloat16
    none = index[:, :0]
    assert fast.relative_scores(q, k[:, :0], of_keys, none).shape == (2, 3, 0)
    read = fast.relative_values(weights[..., :0], v[:, :0], of_values, none)
    assert not read.any()
    assert read.shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda t, i: fast.learned(t, torch.tensor([5])),
            ValueError,
            "positions must lie within the table's rows 0 to 4: got 5",
        ),
        (
            lambda t, i: fast.learned(t, torch.tensor([0.5])),
            TypeError,
            "positions must be a tensor of whole numbers: got torch.float32",
        ),
        (
            lambda t, i: fast.learned(t.long(), i),
            TypeError,
            "table must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda t, i: fast.learned(t[0], i),
            ValueError,
            r"table must have two axes: got shape \(3,\)",
        ),
        (
            lambda t, i: fast.relative_bias(t, torch.tensor([0])),
            ValueError,
            r"index must have at least 2 axes: got shape \(1,\)",
        ),
        (
            lambda t, i: fast.bucket_index(i, i, buckets=5),
            ValueError,
            "buckets must be even: got 5",
        ),
        (
            lambda t, i: fast.relative_index(i, [0], clip=1),
            TypeError,
            "key_positions must be a tensor of whole numbers: got list",
        ),
    ],
)
def test_wrong_tables_and_positions_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(normal(5, 3), torch.arange(3))
