"""Spatial transformers in torch: the reference, torch's own, gradients."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast.spatial import (
    SpatialTransformer,
    affine_grid,
    attention_theta,
    bilinear_sample,
    spatial_transform,
)
from attncourse.reference import spatial as reference

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10**6)
small = st.integers(1, 5)
CLOSE = {"rtol": 1e-9, "atol": 1e-11}
SAME = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


def torchs_sample(image, grid):
    return F.grid_sample(
        image,
        grid,
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )


@given(seeds, small, small, small, small)
@quick
def test_grids_samples_and_gradients_are_torchs_and_the_references(
    seed, height, width, rows, columns
):
    image = draw(seed, 2, 3, height, width).requires_grad_()
    theta = (SAME + 0.5 * draw(seed + 1, 2, 2, 3)).requires_grad_()
    upstream = draw(seed + 2, 2, 3, rows, columns)
    grid = affine_grid(theta, height=rows, width=columns)
    theirs = F.affine_grid(theta, [2, 3, rows, columns], align_corners=False)
    close(grid, theirs)
    close(
        grid,
        reference.affine_grid(theta.detach(), height=rows, width=columns),
    )
    mine = bilinear_sample(image, grid)
    other = torchs_sample(image, theirs)
    close(mine, other)
    close(mine, reference.bilinear_sample(image.detach(), grid.detach()))
    got = torch.autograd.grad(mine, (image, theta), upstream)
    expected = torch.autograd.grad(other, (image, theta), upstream)
    for one, two in zip(got, expected, strict=True):
        close(one, two, atol=1e-10)
    truth = reference.spatial_transform_backward(
        image.detach(), theta.detach(), upstream
    )
    for one, two in zip(got, truth, strict=True):
        close(one, two, atol=1e-10)


def test_gradcheck_accepts_sampling_and_looking():
    image, theta = draw(1, 2, 3, 4), SAME + 0.3 * draw(2, 2, 3)
    grid = 0.7 * draw(3, 2, 3, 2)
    for each in (image, theta, grid):
        each.requires_grad_()
    assert torch.autograd.gradcheck(bilinear_sample, (image, grid))
    assert torch.autograd.gradgradcheck(bilinear_sample, (image, grid))
    assert torch.autograd.gradcheck(
        lambda a, b: spatial_transform(a, b, height=2, width=2), (image, theta)
    )


def test_at_a_centre_the_slope_is_the_one_to_the_right():
    image = torch.tensor([[[3.0, 5.0, 11.0, 19.0]]], dtype=torch.float64)
    places = torch.tensor([-1.25, -0.75, -0.25, 0.25, 0.75, 1.25])
    grid = torch.stack([places, torch.zeros(6)], dim=-1)[None].double()
    grid.requires_grad_()
    bilinear_sample(image, grid).sum().backward()
    slopes = [6.0, 4.0, 12.0, 16.0, -38.0, 0.0]
    assert grid.grad[0, :, 0].tolist() == slopes
    _, dgrid = reference.bilinear_sample_backward(
        image, grid.detach(), np.ones((1, 1, 6))
    )
    close(grid.grad, dgrid, rtol=0, atol=0)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_pixels_that_are_not_read_have_no_influence(poison):
    image = torch.arange(12.0, dtype=torch.float64).view(1, 3, 4)
    grid = affine_grid(SAME, height=3, width=4)[:1, :2]
    for shift in ((0.1, 0.2), (0.0, 0.0)):  # between pixels, at centres
        places = grid + torch.tensor(shift, dtype=torch.float64)
        spoiled = image.clone()
        spoiled[0, :, 3] = spoiled[0, 2] = poison
        results = []
        for each in (image.clone(), spoiled):
            each.requires_grad_()
            place = places.clone().requires_grad_()
            seen = bilinear_sample(each, place)
            seen.sum().backward()
            results.append((seen, each.grad, place.grad))
        close(results[0][0], results[1][0])
        close(results[0][1], results[1][1])
        if shift[0]:
            close(results[0][2], results[1][2])
    seen = bilinear_sample(
        spoiled, torch.tensor([[[0.6, 0.0]]], dtype=torch.float64)
    )
    assert not torch.isfinite(seen).any()


def test_places_at_infinity_see_nothing_and_nan_gives_nan():
    image = draw(4, 3, 5, 7)
    inf, nan = torch.inf, torch.nan
    grid = torch.tensor(
        [[[inf, 0.0], [0.0, -inf], [0.1, nan], [nan, 9.0]]],
        dtype=torch.float64,
    ).requires_grad_()
    seen = bilinear_sample(image, grid)
    assert not seen[..., :2].any()
    assert seen[..., 2:].isnan().all()
    seen[..., :2].sum().backward()
    assert grid.grad[0, :2].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert not bilinear_sample(image, 1e4 * draw(5, 2, 3, 2)).any()


def test_leading_axes_broadcast():
    image, theta = draw(6, 2, 1, 3, 5, 7), SAME + 0.2 * draw(7, 4, 2, 3)
    got = spatial_transform(image, theta, height=2, width=3)
    assert got.shape == (2, 4, 3, 2, 3)
    close(got, reference.spatial_transform(image, theta, height=2, width=3))
    one = spatial_transform(image[0, 0], theta, height=2, width=3)
    close(one, got[0])


def test_memory_that_is_turned_is_read_all_the_same():
    image, grid = draw(8, 7, 5, 3).permute(2, 1, 0), draw(9, 2, 6, 4).mT
    grid = 0.5 * grid[..., :2]
    assert not image.is_contiguous()
    close(
        bilinear_sample(image, grid),
        bilinear_sample(image.contiguous(), grid.contiguous()),
        rtol=0,
        atol=0,
    )


def test_axes_of_length_zero_are_answered():
    grid = torch.zeros(2, 3, 2)
    for shape in ((3, 0, 5), (3, 5, 0)):
        nothing = bilinear_sample(torch.ones(shape), grid)
        assert nothing.tolist() == torch.zeros(3, 2, 3).tolist()
    assert bilinear_sample(torch.ones(0, 5, 7), grid).shape == (0, 2, 3)
    assert bilinear_sample(torch.ones(3, 5, 7), grid[:0]).shape == (3, 0, 3)
    assert affine_grid(SAME, height=0, width=3).shape == (0, 3, 2)
    assert affine_grid(SAME, height=3, width=0).shape == (3, 0, 2)


def test_the_map_of_a_glance_is_the_references():
    scale, centre = draw(10, 5, 1), draw(11, 3, 2)
    close(
        attention_theta(scale, centre),
        reference.attention_theta(scale, centre),
        rtol=0,
        atol=0,
    )
    for each in (scale, centre):
        each.requires_grad_()
    assert torch.autograd.gradcheck(attention_theta, (scale, centre))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept_and_their_places_stay_exact(dtype):
    image = draw(12, 1, 300, 500, dtype=dtype)
    same = spatial_transform(image, SAME.to(dtype), height=300, width=500)
    assert same.dtype == dtype
    # Places in single precision: a share is off by 500 roundings at most.
    assert (same.double() - image.double()).abs().max() < 4 * 500 * 2**-23 + (
        torch.finfo(dtype).eps * 4
    )
    grid = affine_grid(SAME.to(dtype), height=2, width=3)
    assert grid.dtype == torch.float32


def module(seed=0):
    torch.manual_seed(seed)
    localise = nn.Sequential(nn.Flatten(-3), nn.Linear(30, 7), nn.ReLU())
    return SpatialTransformer(localise, 7, height=5, width=6)


def test_a_new_module_returns_the_image():
    image = draw(13, 2, 1, 5, 6, dtype=torch.float32)
    looking = module()
    close(looking(image), image, atol=1e-5)
    assert looking.theta(image).tolist() == [SAME.tolist()] * 2
    assert "height=5, width=6" in str(looking)


def test_a_module_is_its_reference_and_can_be_saved():
    one, other = module(0).double(), module(1).double()
    with torch.no_grad():
        one.last.weight.normal_(std=0.1)
        one.last.bias.normal_(std=0.1)
    image = draw(14, 2, 1, 5, 6)
    theta = one.theta(image).detach()
    close(
        one(image),
        reference.spatial_transform(image, theta, height=5, width=6),
    )
    assert (one(image) - other(image)).abs().max() > 1e-3
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    close(one(image), other(image), rtol=0, atol=0)
    assert torch.autograd.gradcheck(one, image.requires_grad_())


def test_a_loss_moves_the_glance_to_what_it_wants():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    at = torch.tensor([[3.0, 4.0], [5.0, 5.0], [4.0, 6.0], [5.0, 3.0]])
    blobs = torch.stack(
        [torch.exp(-((x - a) ** 2 + (y - b) ** 2) / 6) for a, b in at]
    )[:, None]
    wanted = torch.exp(-((x - 4) ** 2 + (y - 4) ** 2) / 6).expand(4, 1, 9, 9)
    localise = nn.Sequential(nn.Flatten(), nn.Linear(81, 16), nn.ReLU())
    looking = SpatialTransformer(localise, 16, height=9, width=9)
    start = F.mse_loss(looking(blobs), wanted).item()
    optimiser = torch.optim.Adam(looking.parameters(), lr=0.01)
    for _ in range(60):
        loss = F.mse_loss(looking(blobs), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * start


IMAGE, GRID = torch.ones(3, 5, 7), torch.zeros(2, 4, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: affine_grid(torch.ones(3, 2), height=2, width=2),
            ValueError,
            r"theta must have shape \(\.\.\., 2, 3\): got \(3, 2\)",
        ),
        (
            lambda: affine_grid(SAME, height=-1, width=2),
            ValueError,
            "height must be at least 0: got -1",
        ),
        (
            lambda: affine_grid(SAME.long(), height=2, width=2),
            TypeError,
            "theta must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda: bilinear_sample(IMAGE, torch.ones(2, 4, 3)),
            ValueError,
            r"grid must hold x and y on its last axis: got \(2, 4, 3\)",
        ),
        (
            lambda: bilinear_sample(IMAGE, torch.ones(4, 2)),
            ValueError,
            r"grid must have axes \(\.\.\., rows, columns, place\)",
        ),
        (
            lambda: bilinear_sample(IMAGE[0], GRID),
            ValueError,
            r"image must have axes \(\.\.\., channels, height, width\)",
        ),
        (
            lambda: bilinear_sample(
                torch.ones(2, 3, 5, 7), torch.ones(3, 2, 4, 2)
            ),
            ValueError,
            "leading axes of image and grid must broadcast",
        ),
        (
            lambda: attention_theta(torch.ones(2), torch.ones(3, 2)),
            ValueError,
            "leading axes of scale and centre must broadcast",
        ),
        (
            lambda: SpatialTransformer(nn.Identity(), 0, height=1, width=1),
            ValueError,
            "features must be at least 1: got 0",
        ),
        (
            lambda: SpatialTransformer(nn.Identity(), 2, height=0, width=1),
            ValueError,
            "height must be at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
