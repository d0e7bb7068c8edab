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
