"""Gates in torch against the reference, and their gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attncourse.fast import gates as fast
from attncourse.reference import gates as reference

WIDTH = 5
ONE_MAP = ["input_gate", "output_gate", "highway_gate"]


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def pair(dtype=torch.float64):
    shape = (2, 3, WIDTH)
    return draw(0, *shape, dtype=dtype), draw(1, *shape, dtype=dtype)


def weights(bias=True):
    return fast.GateWeights(
        draw(2, WIDTH, WIDTH), draw(3, WIDTH) if bias else None
    )


def gru(bias=True):
    return fast.GRUGateWeights(
        *draw(4, 6, WIDTH, WIDTH), draw(5, WIDTH) if bias else None
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ONE_MAP)
def test_a_gate_is_the_references(name, bias):
    x, y = pair()
    got = getattr(fast, name)(x, y, weights(bias))
    expected = getattr(reference, name)(x, y, weights(bias))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    got = fast.sigmoid_tanh_gate(x, y, weights(bias), weights())
    expected = reference.sigmoid_tanh_gate(x, y, weights(bias), weights())
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        fast.gru_gate(x, y, gru(bias)),
        reference.gru_gate(x, y, gru(bias)),
        rtol=1e-11,
        atol=1e-12,
    )


def test_a_gated_sublayer_is_the_references():
    x, _ = pair()
    parts = (lambda t: t - 0.5, lambda t: 2 * t, lambda a, b: 10 * a + b)
    np.testing.assert_allclose(
        fast.gated(x, *parts), reference.gated(x, *parts), rtol=1e-12
    )


@pytest.mark.parametrize("name", ONE_MAP)
def test_gradients_are_those_of_differences(name):
    arrays = [
        each.requires_grad_()
        for each in (*pair(), draw(2, WIDTH, WIDTH), draw(3, WIDTH))
    ]

    def one(x, y, weight, bias):
        gate = fast.GateWeights(weight, bias)
        return getattr(fast, name)(x, y, gate)

    def both(x, y, weight, bias):
        gate = fast.GateWeights(weight, bias)
        return fast.sigmoid_tanh_gate(x, y, gate, gate)

    assert torch.autograd.gradcheck(one, arrays)
    assert torch.autograd.gradcheck(both, arrays)


def test_gradients_of_the_gru_gate():
    numbers = [draw(4, WIDTH, WIDTH) for _ in range(6)] + [draw(5, WIDTH)]
    arrays = [each.requires_grad_() for each in (*pair(), *numbers)]

    def run(x, y, *numbers):
        return fast.gru_gate(x, y, fast.GRUGateWeights(*numbers))

    assert torch.autograd.gradcheck(run, arrays)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_stay_half_and_large_numbers_finite(dtype):
    x, y = pair(dtype)
    made = fast.GRUGate(WIDTH).to(dtype)
    assert made(x, y).dtype == dtype
    assert torch.isfinite(made(1e4 * x, 1e4 * y)).all()
    exact = fast.gru_gate(
        x.double(),
        y.double(),
        fast.GRUGateWeights(
            *(p.detach().double() for p in vars(made.weights()).values())
        ),
    )
    error = (made(x, y).double() - exact).abs().max()
    assert error < 20 * torch.finfo(dtype).eps


def test_a_new_gate_lets_little_pass_and_travels_as_a_state():
    torch.manual_seed(0)
    first = fast.GRUGate(WIDTH)
    torch.manual_seed(0)
    second = fast.GRUGate(WIDTH)
    x, y = pair(torch.float32)
    assert torch.equal(first(x, y), second(x, y))
    assert (first.bias == 2).all()
    bound = (3 / WIDTH) ** 0.5
    matrices = torch.stack(list(first.matrices))
    assert matrices.abs().max() <= bound
    assert len(matrices.unique()) == 6 * WIDTH * WIDTH
    other = fast.GRUGate(WIDTH, bias=1e4)
    assert torch.equal(other(x, y), x)
    other.load_state_dict(first.state_dict())
    assert torch.equal(first(x, y), other(x, y))
    first(x, y).sum().backward()
    assert all(p.grad is not None for p in first.parameters())


@pytest.mark.parametrize("name", ONE_MAP)
def test_a_map_gate_holds_the_numbers_of_its_function(name):
    function = getattr(fast, name)
    made = fast.MapGate(WIDTH, gate=function, bias=1.5)
    x, y = pair(torch.float32)
    assert torch.equal(made(x, y), function(x, y, made.weights()))
    assert (made.bias == 1.5).all()
    assert repr(made) == f"MapGate(5, gate={name})"
    other = fast.MapGate(WIDTH, gate=function)
    assert (other.bias == 2).all()
    other.load_state_dict(made.state_dict())
    assert torch.equal(made(x, y), other(x, y))


def test_what_does_not_fit_is_named():
    x, y = pair()
    for function in (fast.input_gate, fast.output_gate, fast.highway_gate):
        with pytest.raises(
            ValueError, match="x and y must agree in width: got x=5, y=1"
        ):
            function(x, y[..., :1], weights())
        with pytest.raises(
            ValueError, match="x and y must agree in tokens: got x=3, y=1"
        ):
            function(x, y[:, :1], weights())
    with pytest.raises(ValueError, match=r"y must have axes \(..., tokens, w"):
        fast.gru_gate(x, y[0, 0], gru())
    with pytest.raises(ValueError, match="leading axes of x and y must broad"):
        fast.gru_gate(x, torch.cat([y, y[:1]]), gru())
    with pytest.raises(ValueError, match="width must be at least 1: got 0"):
        fast.GRUGate(0)
    with pytest.raises(TypeError, match="y must be a floating-point tensor: "):
        fast.gru_gate(x, y.tolist(), gru())
    with pytest.raises(ValueError, match=r"got bias \(1,\), weight \(5, 5\)"):
        fast.gru_gate(x, y, replace(gru(), b_update=torch.zeros(1).double()))
    with pytest.raises(TypeError, match="x and y must agree in dtype and dev"):
        fast.input_gate(x, y.float(), weights())
    with pytest.raises(ValueError, match=r"x must have axes \(..., tokens, w"):
        fast.gated(x[0, 0], torch.sin, torch.cos, torch.add)
    for wrong in (fast.gru_gate, None):
        with pytest.raises(
            ValueError, match="gate must be input_gate, output"
        ):
            fast.MapGate(WIDTH, gate=wrong)
    narrow = draw(3, WIDTH, 1)  # one number would serve the whole token
    for call in (
        lambda: fast.input_gate(x, y, fast.GateWeights(narrow)),
        lambda: fast.output_gate(x, y, fast.GateWeights(narrow)),
        lambda: fast.highway_gate(x, y, fast.GateWeights(narrow)),
        lambda: fast.sigmoid_tanh_gate(
            x, y, weights(), fast.GateWeights(narrow)
        ),
        lambda: fast.gru_gate(x, y, replace(gru(), u_reset=narrow)),
    ):
        with pytest.raises(
            ValueError, match="x and gate must agree in width: got x=5, gate=1"
        ):
            call()
    assert fast.gru_gate(x[:, :0], y[:, :0], gru()).shape == (2, 0, WIDTH)
