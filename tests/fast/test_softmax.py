"""The torch softmax against the reference and by its gradients."""

import numpy as np
import pytest
import torch

from attncourse.fast import softmax as fast
from attncourse.reference import softmax as reference

ROW_FUNCTIONS = ["softmax", "log_softmax", "log_sum_exp"]


def draw(*shape, seed=0, scale=3.0, **options):
    values = scale * np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(values, **options)


def a_mask(*shape, seed=1):
    """Return a mask whose first row allows nothing, its second all."""
    mask = draw(*shape, seed=seed) > 0
    mask[..., 0, :] = False
    mask[..., 1, :] = True
    return mask


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", ROW_FUNCTIONS)
def test_rows_agree_with_the_reference(name, axis):
    scores = draw(3, 5, 7)
    scores[1] *= 1e4
    answer = getattr(fast, name)(scores, axis=axis)
    expected = getattr(reference, name)(scores, axis=axis)
    np.testing.assert_allclose(answer, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("temperature", [1e-3, 0.5, 7.0])
def test_temperature_agrees_with_the_reference(temperature):
    scores = draw(3, 5)
    np.testing.assert_allclose(
        fast.softmax_with_temperature(scores, temperature=temperature),
        reference.softmax_with_temperature(scores, temperature=temperature),
        rtol=1e-12,
    )


def test_a_tiny_temperature_does_not_overflow_single_precision():
    row = torch.tensor([1e30, 3e30, 3e30])
    cold = fast.softmax_with_temperature(row, temperature=1e-20)
    assert cold.tolist() == [0.0, 0.5, 0.5]


def test_masked_weights_agree_with_the_reference():
    scores, mask = draw(2, 3, 7), a_mask(3, 7)
    np.testing.assert_allclose(
        fast.masked_softmax(scores, mask),
        reference.masked_softmax(scores, mask),
        rtol=1e-12,
    )
    barred = torch.full((2, 3), -torch.inf)
    assert torch.all(fast.masked_softmax(barred, barred < 0) == 0)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_forbidden_score_touches_neither_weight_nor_gradient(poison):
    scores, mask = draw(3, 5), a_mask(3, 5)
    gradients = []
    for forbidden in (0.0, poison):
        leaf = torch.where(mask, scores, forbidden).requires_grad_()
        weights = fast.masked_softmax(leaf, mask)
        (weights * draw(3, 5, seed=2)).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)
    assert torch.all(gradients[0][~mask] == 0)


def test_nan_at_an_allowed_place_is_not_hidden():
    scores = torch.tensor([[torch.nan, 0.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert torch.isnan(fast.masked_softmax(scores, mask)).all()


def test_gradients_pass_the_numerical_check():
    scores = draw(3, 5, requires_grad=True)
    mask = a_mask(3, 5)
    for function in (
        fast.softmax,
        fast.log_softmax,
        fast.log_sum_exp,
        lambda s: fast.softmax_with_temperature(s, temperature=0.7),
        lambda s: fast.masked_softmax(s, mask),
        lambda s: fast.entropy(fast.softmax(s)),
        lambda s: fast.softmax_jacobian(fast.softmax(s)),
    ):
        assert torch.autograd.gradcheck(function, (scores,))
    weights = fast.softmax(draw(3, 5)).requires_grad_()
    upstream = draw(3, 5, seed=1, requires_grad=True)
    assert torch.autograd.gradcheck(fast.softmax_backward, (weights, upstream))


def test_backward_is_what_autograd_computes():
    scores = draw(2, 3, 7, requires_grad=True)
    upstream = draw(2, 3, 7, seed=1)
    weights = fast.softmax(scores)
    weights.backward(upstream)
    torch.testing.assert_close(
        fast.softmax_backward(weights.detach(), upstream), scores.grad
    )


def test_jacobian_backward_and_entropy_agree_with_the_reference():
    weights, upstream = fast.softmax(draw(2, 3, 7)), draw(2, 3, 7, seed=1)
    np.testing.assert_allclose(
        fast.softmax_jacobian(weights), reference.softmax_jacobian(weights)
    )
    np.testing.assert_allclose(
        fast.softmax_backward(weights, upstream),
        reference.softmax_backward(weights, upstream),
        atol=1e-15,
    )
    np.testing.assert_allclose(
        fast.entropy(weights), reference.entropy(weights), rtol=1e-12
    )


def test_entropy_of_a_certain_choice_has_a_finite_gradient():
    weights = torch.eye(3, requires_grad=True)
    fast.entropy(weights).sum().backward()
    assert torch.isfinite(weights.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(dtype):
    scores = draw(3, 5, dtype=dtype)
    weights = fast.softmax(scores)
    answers = [
        weights,
        fast.softmax_with_temperature(scores, temperature=2.0),
        fast.masked_softmax(scores, a_mask(3, 5)),
        fast.log_sum_exp(scores),
        fast.log_softmax(scores),
        fast.softmax_jacobian(weights),
        fast.softmax_backward(weights, scores),
        fast.entropy(weights),
    ]
    assert {answer.dtype for answer in answers} == {dtype}


def test_empty_axes_are_answered():
    nothing = torch.zeros(3, 0)
    assert fast.softmax(nothing).shape == (3, 0)
    answer = fast.softmax_with_temperature(nothing, temperature=1.0)
    assert answer.shape == (3, 0)
    assert fast.masked_softmax(nothing, nothing > 0).shape == (3, 0)
    assert torch.all(fast.log_sum_exp(nothing) == -torch.inf)


def test_errors_say_what_must_hold_and_what_came():
    numbers = torch.zeros(2, 3, dtype=torch.int64)
    message = "scores must be a floating-point tensor: got torch.int64"
    with pytest.raises(TypeError, match=message):
        fast.softmax(numbers)
    with pytest.raises(TypeError, match="tensor: got float64"):
        fast.softmax(np.zeros(3))
    with pytest.raises(ValueError, match=r"\(\.\.\., keys\): got shape \(\)"):
        fast.softmax(torch.tensor(1.0))
    with pytest.raises(TypeError, match="mask must be boolean"):
        fast.masked_softmax(torch.zeros(2, 3), numbers)
    message = r"must broadcast: got scores \(2, 3\), mask \(5, 3\)"
    with pytest.raises(ValueError, match=message):
        fast.masked_softmax(torch.zeros(2, 3), torch.zeros(5, 3) > 0)
    with pytest.raises(ValueError, match="temperature must be positive"):
        fast.softmax_with_temperature(torch.zeros(3), temperature=0.0)
    with pytest.raises(ValueError, match="must agree in keys: got weights=3"):
        fast.softmax_backward(torch.zeros(3), torch.zeros(5))
    with pytest.raises(ValueError, match=r"not be negative: got -0\.5"):
        fast.entropy(torch.tensor([1.5, -0.5]))
