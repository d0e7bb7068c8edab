"""Capsules in torch: agreement with the reference, gradients, training."""

import copy

import numpy as np
import pytest
import torch

from attncourse.fast.capsules import (
    CapsuleLayer,
    Routed,
    capsule_lengths,
    margin_loss,
    predictions,
    route,
    routing_shares,
    squash,
)
from attncourse.reference import capsules as reference

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


def test_every_function_is_its_reference():
    s, maps = draw(1, 2, 3, 5), draw(2, 3, 7, 5, 4)
    close(squash(s), reference.squash(s))
    close(capsule_lengths(s), reference.capsule_lengths(s))
    predicted = predictions(s, maps)
    close(predicted, reference.predictions(s, maps))
    close(routing_shares(s), reference.routing_shares(s))
    for iterations in (1, 2, 3, 5):
        got = route(predicted, iterations=iterations)
        expected = reference.route(predicted, iterations=iterations)
        assert isinstance(got, Routed)
        close(got.capsules, expected.capsules)
        close(got.shares, expected.shares)
    close(route(predicted).shares, reference.route(predicted).shares)
    lengths, present = draw(3, 2, 7).abs(), draw(4, 1, 7) > 0
    close(
        margin_loss(lengths, present), reference.margin_loss(lengths, present)
    )
    options = {"upper": 0.7, "lower": 0.3, "absent_weight": 2.0}
    close(
        margin_loss(lengths, present, **options),
        reference.margin_loss(lengths, present, **options),
    )


def test_the_gradient_of_squash_is_the_references():
    s, g = draw(5, 7, 5).requires_grad_(), draw(6, 7, 5)
    squash(s).backward(g)
    close(s.grad, reference.squash_backward(s.detach(), g))


def test_gradients_at_zero_are_zero_and_not_nan():
    for function in (squash, capsule_lengths):
        s = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
        function(s).sum().backward()
        assert s.grad.tolist() == [[0.0] * 3] * 2
    u = torch.zeros(3, 2, 4, dtype=torch.float64, requires_grad=True)
    route(u).capsules.sum().backward()
    assert u.grad.tolist() == torch.zeros(3, 2, 4).tolist()


def test_gradcheck_accepts_all_rounds_of_routing():
    s, maps = draw(7, 2, 3, 2), draw(8, 3, 4, 2, 3)
    for each in (s, maps):
        each.requires_grad_()
    assert torch.autograd.gradcheck(squash, s)
    assert torch.autograd.gradcheck(
        lambda s, w: route(predictions(s, w), iterations=3), (s, maps)
    )
    lengths = torch.tensor([[0.3, 0.95, 0.05, 0.6]], dtype=torch.float64)
    present = torch.tensor([[True, True, False, False]])
    assert torch.autograd.gradcheck(
        lambda x: margin_loss(x, present), lengths.requires_grad_()
    )


def test_earlier_rounds_have_a_gradient():
    u = draw(9, 3, 4, 5).requires_grad_()
    last = route(u, iterations=3)
    last.capsules.sum().backward()
    fixed = u.detach().clone().requires_grad_()
    shares = last.shares.detach()
    squash(torch.einsum("ij,ije->je", shares, fixed)).sum().backward()
    assert (u.grad - fixed.grad).abs().max() > 1e-3


def test_edges_are_answered():
    none = route(torch.ones(2, 0, 3, 5))
    assert none.capsules.tolist() == torch.zeros(2, 3, 5).tolist()
    assert none.shares.shape == (2, 0, 3)
    assert route(torch.ones(3, 0, 5)).capsules.shape == (0, 5)
    one = route(draw(10, 3, 1, 5))
    assert one.shares.tolist() == [[1.0]] * 3
    far = capsule_lengths(route(1e4 * draw(11, 3, 2, 5)).capsules)
    assert bool(torch.isfinite(far).all())
    turned = draw(12, 5, 3, 2).mT
    assert not turned.is_contiguous()
    close(route(turned).capsules, reference.route(turned).capsules)
    assert margin_loss(
        torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)
    ).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept_and_summed_in_single_precision(dtype):
    eps = torch.finfo(dtype).eps
    # The sum of these squares is beyond the largest float16.
    big = torch.full((2, 300), 300.0, dtype=dtype)
    assert squash(big).dtype == dtype
    close(squash(big).double(), reference.squash(big.double()), rtol=eps)
    close(capsule_lengths(big / 8).double(), [37.5 * 300**0.5] * 2, rtol=eps)
    u = draw(13, 3, 5, 7, dtype=dtype)
    got = route(u)
    assert got.capsules.dtype == got.shares.dtype == dtype
    # Computed in single precision and rounded once.
    close(
        got.capsules.double(),
        reference.route(u.double()).capsules,
        rtol=eps,
        atol=eps / 8,
    )
    # Partial sums of 4096 halves stay exact in single precision alone.
    halves = torch.full((1, 4096), 0.5, dtype=dtype)
    ones = torch.ones(1, 1, 4096, 1, dtype=dtype)
    said = predictions(halves, ones)
    assert (said.item(), said.dtype) == (2048.0, dtype)
    loss = margin_loss(u[0].abs(), u[0] > 0)
    assert loss.dtype == dtype


def test_a_layer_is_predictions_and_routing():
    torch.manual_seed(0)
    layer = CapsuleLayer(3, 7, dim=5, out_dim=4, iterations=2).double()
    x = draw(14, 2, 3, 5)
    expected = reference.route(
        reference.predictions(x, layer.maps.detach()), iterations=2
    )
    close(layer(x), expected.capsules)
    assert str(layer) == "CapsuleLayer(3, 7, dim=5, out_dim=4, iterations=2)"
    assert CapsuleLayer(3, 7, dim=5, out_dim=4).iterations == 3
    other = CapsuleLayer(3, 7, dim=5, out_dim=4, iterations=2).double()
    assert (other(x) - layer(x)).abs().max() > 1e-3
    other.load_state_dict(copy.deepcopy(layer.state_dict()))
    close(other(x), layer(x), rtol=0, atol=0)
    torch.manual_seed(0)
    again = CapsuleLayer(3, 7, dim=5, out_dim=4)
    close(again.maps, layer.maps, rtol=0, atol=0)
    bound = (6 / 9) ** 0.5
    assert 0.9 * bound < again.maps.abs().max() < bound


def test_a_layer_learns_who_is_there():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    poses = torch.randn(4, 6, 5, generator=generator)  # classes inputs dim
    labels = torch.arange(200) % 4
    noise = 0.5 * torch.randn(200, 6, 5, generator=generator)
    x = poses[labels] + noise
    present = torch.nn.functional.one_hot(labels, 4).bool()
    layer = CapsuleLayer(6, 4, dim=5, out_dim=3)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(30):
        loss = margin_loss(capsule_lengths(layer(x)), present).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = capsule_lengths(layer(x)).argmax(dim=-1)
    assert (found == labels).double().mean() > 0.95


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: squash([1.0]),
            TypeError,
            "s must be a floating-point tensor: got list",
        ),
        (
            lambda: route(torch.ones(3, 5)),
            ValueError,
            r"predicted must have axes \(\.\.\., inputs, outputs, out_dim\)",
        ),
        (
            lambda: route(torch.ones(3, 5, 7), iterations=0),
            ValueError,
            "iterations must be at least 1: got 0",
        ),
        (
            lambda: predictions(torch.ones(3, 5), torch.ones(2, 7, 5, 4)),
            ValueError,
            "capsules and maps must agree in inputs: got capsules=3, maps=2",
        ),
        (
            lambda: predictions(torch.ones(3, 5), torch.ones(3, 7, 4, 5)),
            ValueError,
            "capsules and maps must agree in dim: got capsules=5, maps=4",
        ),
        (
            lambda: predictions(torch.ones(3, 5), torch.ones(1, 3, 7, 5, 4)),
            ValueError,
            r"maps must have axes \(inputs, outputs, dim, out_dim\)",
        ),
        (
            lambda: predictions(
                torch.ones(3, 5), torch.ones(3, 7, 5, 4).double()
            ),
            TypeError,
            "capsules and maps must agree in dtype and device: "
            "got torch.float32 on cpu, torch.float64 on cpu",
        ),
        (
            lambda: margin_loss(torch.ones(3), torch.ones(3) > 0, upper="0.9"),
            TypeError,
            "upper must be a real number: got '0.9'",
        ),
        (
            lambda: margin_loss(torch.ones(3), torch.ones(3) > 0, lower=None),
            TypeError,
            "lower must be a real number: got None",
        ),
        (
            lambda: margin_loss(
                torch.ones(3), torch.ones(3) > 0, absent_weight=True
            ),
            TypeError,
            "absent_weight must be a real number: got True",
        ),
        (
            lambda: margin_loss(torch.ones(3), torch.ones(3)),
            TypeError,
            "present must be boolean, True at what is there: "
            "got torch.float32",
        ),
        (
            lambda: margin_loss(
                torch.ones(3), torch.ones(1, dtype=torch.bool)
            ),
            ValueError,
            "lengths and present must agree in classes",
        ),
        (
            lambda: margin_loss(
                torch.ones(2, 3), torch.ones(5, 3, dtype=torch.bool)
            ),
            ValueError,
            "leading axes of lengths and present must broadcast",
        ),
        (
            lambda: CapsuleLayer(3, 0, dim=5, out_dim=4),
            ValueError,
            "outputs must be at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
