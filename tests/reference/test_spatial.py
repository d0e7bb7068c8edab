"""Spatial transformers against torch, loops and finite differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.spatial import (
    affine_grid,
    affine_grid_backward,
    attention_theta,
    bilinear_sample,
    bilinear_sample_backward,
    sampling_weights,
    spatial_transform,
    spatial_transform_backward,
)

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
small = st.integers(1, 5)
SAME = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def torchs_sample(image, grid):
    return F.grid_sample(
        torch.as_tensor(image),
        torch.as_tensor(grid),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )


@given(seeds, small, small)
@quick
def test_the_grid_is_torchs(seed, height, width):
    theta = draw(seed, 2, 2, 3)
    theirs = F.affine_grid(
        torch.tensor(theta), [2, 1, height, width], align_corners=False
    )
    mine = affine_grid(theta, height=height, width=width)
    np.testing.assert_allclose(mine, theirs, atol=1e-12)


@given(seeds, small, small, small, small)
@quick
def test_samples_are_torchs(seed, height, width, rows, columns):
    image = draw(seed, 2, 3, height, width)
    grid = 0.8 * draw(seed, 2, rows, columns, 2)  # some of it outside
    mine = bilinear_sample(image, grid)
    assert mine.shape == (2, 3, rows, columns)
    np.testing.assert_allclose(mine, torchs_sample(image, grid), atol=1e-12)


def test_samples_are_sums_over_all_pixels():
    image, grid = draw(1, 3, 5, 7), 0.9 * draw(2, 2, 3, 2)
    expected = np.zeros((3, 2, 3))
    for c, i, j, n, m in np.ndindex(3, 2, 3, 5, 7):
        x = (grid[i, j, 0] + 1) * 7 / 2 - 0.5
        y = (grid[i, j, 1] + 1) * 5 / 2 - 0.5
        share = max(0, 1 - abs(x - m)) * max(0, 1 - abs(y - n))
        expected[c, i, j] += image[c, n, m] * share
    np.testing.assert_allclose(
        bilinear_sample(image, grid), expected, atol=1e-12
    )


@given(seeds)
@quick
def test_weights_sum_to_one_inside_and_to_less_outside(seed):
    centres = np.array([1 - 1 / 7, 1 - 1 / 5])  # of the outermost pixels
    rng = np.random.default_rng(seed)
    inside = rng.uniform(-centres, centres, size=(3, 4, 2))
    weights = sampling_weights(inside, height=5, width=7)
    assert weights.shape == (3, 4, 5, 7)
    assert weights.min() >= 0
    assert np.count_nonzero(weights, axis=(-2, -1)).max() <= 4
    np.testing.assert_allclose(weights.sum(axis=(-2, -1)), 1.0, atol=1e-12)
    edge = sampling_weights([[[1.0, 0.0]]], height=1, width=7)
    np.testing.assert_allclose(edge.sum(), 0.5)
    far = sampling_weights([[[1.2, 0.0], [0.0, -3.0]]], height=1, width=7)
    assert not far.any()


def test_the_identity_returns_the_image():
    image = draw(3, 2, 3, 5, 7)
    same = spatial_transform(image, SAME, height=5, width=7)
    np.testing.assert_allclose(same, image, atol=1e-14)


def test_mirrors_and_shifts_are_exact():
    image = draw(4, 3, 4, 8)
    mirror = [[-1, 0, 0], [0, 1, 0]]
    turned = spatial_transform(image, mirror, height=4, width=8)
    np.testing.assert_allclose(turned, image[..., ::-1], atol=1e-14)
    flip = [[1, 0, 0], [0, -1, 0]]
    turned = spatial_transform(image, flip, height=4, width=8)
    np.testing.assert_allclose(turned, image[..., ::-1, :], atol=1e-14)
    # A pixel is 2 / 8 wide: looking two of them further right.
    right = [[1, 0, 0.5], [0, 1, 0]]
    moved = spatial_transform(image, right, height=4, width=8)
    np.testing.assert_allclose(moved[..., :6], image[..., 2:], atol=1e-14)
    assert not moved[..., 6:].any()


def test_a_glance_of_half_the_side_is_the_middle_of_the_image():
    image = draw(5, 3, 8, 12)
    theta = attention_theta(0.5, [0.0, 0.0])
    glance = spatial_transform(image, theta, height=4, width=6)
    np.testing.assert_allclose(glance, image[:, 2:6, 3:9], atol=1e-14)
    corner = attention_theta(0.5, [0.5, -0.5])
    glance = spatial_transform(image, corner, height=4, width=6)
    np.testing.assert_allclose(glance, image[:, :4, 6:], atol=1e-14)


def test_the_map_of_a_glance_has_one_scale_and_a_place():
    theta = attention_theta([2.0, 3.0], [[5.0, 7.0]])
    assert theta.tolist() == [
        [[2.0, 0.0, 5.0], [0.0, 2.0, 7.0]],
        [[3.0, 0.0, 5.0], [0.0, 3.0, 7.0]],
    ]


def torchs_gradients(image, grid, upstream):
    image, grid = (torch.tensor(x, requires_grad=True) for x in (image, grid))
    out = torchs_sample(image, grid)
    return torch.autograd.grad(out, (image, grid), torch.as_tensor(upstream))


@given(seeds, small, small, small, small)
@quick
def test_gradients_are_torchs(seed, height, width, rows, columns):
    image = draw(seed, 2, 3, height, width)
    grid = 0.8 * draw(seed + 1, 2, rows, columns, 2)
    upstream = draw(seed + 2, 2, 3, rows, columns)
    mine = bilinear_sample_backward(image, grid, upstream)
    theirs = torchs_gradients(image, grid, upstream)
    for got, expected in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-11)


def differences(loss, x, step=1e-6):
    """Return central differences of `loss` in each number of `x`."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (loss(up) - loss(down)) / (2 * step)
    return gradient


def test_gradients_are_difference_quotients():
    image, theta = draw(6, 3, 4, 5), SAME + 0.3 * draw(7, 2, 3)
    upstream = draw(8, 3, 2, 3)

    def loss(image, theta):
        seen = spatial_transform(image, theta, height=2, width=3)
        return np.sum(seen * upstream)

    dimage, dtheta = spatial_transform_backward(image, theta, upstream)
    np.testing.assert_allclose(
        dimage, differences(lambda x: loss(x, theta), image), atol=1e-7
    )
    np.testing.assert_allclose(
        dtheta, differences(lambda x: loss(image, x), theta), atol=1e-6
    )


@given(seeds)
@quick
def test_gradients_of_the_map_are_torchs(seed):
    image, upstream = draw(seed, 2, 3, 5, 7), draw(seed + 1, 2, 3, 4, 6)
    theta = SAME + 0.4 * draw(seed + 2, 2, 2, 3)
    a = torch.tensor(image, requires_grad=True)
    b = torch.tensor(theta, requires_grad=True)
    grid = F.affine_grid(b, [2, 3, 4, 6], align_corners=False)
    torchs_sample(a, grid).backward(torch.tensor(upstream))
    dimage, dtheta = spatial_transform_backward(image, theta, upstream)
    np.testing.assert_allclose(dimage, a.grad, atol=1e-11)
    np.testing.assert_allclose(dtheta, b.grad, atol=1e-10)


def test_at_a_centre_the_slope_is_the_one_to_the_right():
    image = np.array([[[3.0, 5.0, 11.0, 19.0]]])
    # Centres of four pixels are at multiples of one quarter: exact.
    for x, slope in ((-0.75, 2.0), (-0.25, 6.0), (0.25, 8.0), (0.75, -19.0)):
        grid = [[[x, 0.0]]]
        _, dgrid = bilinear_sample_backward(image, grid, [[[1.0]]])
        assert dgrid[0, 0, 0] == 2 * slope
        theirs = torchs_gradients(
            image[None], np.array([grid]), np.ones((1, 1, 1, 1))
        )
        assert theirs[1][0, 0, 0, 0] == 2 * slope
    # One pixel to the left of the first: nothing yet, but it begins.
    _, dgrid = bilinear_sample_backward(image, [[[-1.25, 0.0]]], [[[1.0]]])
    assert dgrid[0, 0].tolist() == [6.0, 0.0]
    _, dgrid = bilinear_sample_backward(image, [[[1.25, 0.0]]], [[[1.0]]])
    assert dgrid[0, 0].tolist() == [0.0, 0.0]
    tall = image.reshape(1, 4, 1)
    _, dgrid = bilinear_sample_backward(tall, [[[0.0, -0.25]]], [[[1.0]]])
    assert dgrid[0, 0].tolist() == [-5.0 / 2, 12.0]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_read_have_no_influence(poison):
    image = np.arange(12.0).reshape(1, 3, 4)
    grid = affine_grid(SAME, height=3, width=4)[:2, :3]
    upstream = draw(9, 1, 1, 2)
    inner = grid[:1, :2] + [0.1, 0.2]
    clean = bilinear_sample(image, inner)
    gradient = bilinear_sample_backward(image, inner, upstream)[1]
    image[0, :, 3] = image[0, 2] = poison
    np.testing.assert_array_equal(bilinear_sample(image, inner), clean)
    spoiled = bilinear_sample_backward(image, inner, upstream)[1]
    np.testing.assert_array_equal(spoiled, gradient)
    # At a centre the neighbours have weight zero.
    seen = bilinear_sample(image, [[[0.25, 0.0]]])
    assert seen.tolist() == [[[6.0]]]
    with np.errstate(invalid="ignore"):
        seen = bilinear_sample(image, [[[0.3, 0.0], [-0.3, 0.0]]])
    assert np.isfinite(seen).tolist() == [[[False, True]]]


def test_places_at_infinity_see_nothing_and_nan_gives_nan():
    image = draw(10, 3, 5, 7)
    grid = np.array([[[np.inf, 0.0], [0.0, -np.inf], [0.1, np.nan]]])
    seen = bilinear_sample(image, grid)
    assert not seen[..., :2].any()
    assert np.isnan(seen[..., 2]).all()
    assert np.isnan(bilinear_sample(image, [[[np.nan, 9.0]]])).all()
    far = bilinear_sample(image, 1e4 * draw(11, 2, 3, 2))
    assert not far.any()


def test_leading_axes_broadcast_and_gradients_are_summed():
    image, theta = draw(12, 2, 1, 3, 5, 7), SAME + 0.2 * draw(13, 4, 2, 3)
    seen = spatial_transform(image, theta, height=2, width=3)
    assert seen.shape == (2, 4, 3, 2, 3)
    upstream = draw(14, 2, 4, 3, 2, 3)
    dimage, dtheta = spatial_transform_backward(image, theta, upstream)
    assert dimage.shape == image.shape
    assert dtheta.shape == theta.shape
    total = np.zeros_like(theta)
    for n, m in np.ndindex(2, 4):
        alone = spatial_transform(image[n, 0], theta[m], height=2, width=3)
        np.testing.assert_allclose(seen[n, m], alone, atol=1e-14)
        one, two = spatial_transform_backward(
            image[n, 0], theta[m], upstream[n, m]
        )
        dimage[n, 0] -= one
        total[m] += two
    np.testing.assert_allclose(dimage, 0.0, atol=1e-12)
    np.testing.assert_allclose(dtheta, total, atol=1e-12)
    single = spatial_transform_backward(
        image[0, 0][None], theta[0], draw(15, 1, 3, 2, 3)
    )
    assert single[0].shape == (1, 3, 5, 7)
    assert single[1].shape == (2, 3)


def test_axes_of_length_zero_are_answered():
    nothing = bilinear_sample(np.ones((3, 0, 5)), np.zeros((2, 3, 2)))
    assert nothing.tolist() == np.zeros((3, 2, 3)).tolist()
    nothing = bilinear_sample(np.ones((3, 5, 0)), np.zeros((2, 3, 2)))
    assert nothing.tolist() == np.zeros((3, 2, 3)).tolist()
    assert bilinear_sample(np.ones((0, 5, 7)), np.zeros((2, 3, 2))).shape == (
        0,
        2,
        3,
    )
    assert affine_grid(SAME, height=0, width=3).shape == (0, 3, 2)
    assert affine_grid(SAME, height=3, width=0).shape == (3, 0, 2)
    assert affine_grid_backward(np.ones((0, 3, 2))).tolist() == [[0.0] * 3] * 2
    dimage, dgrid = bilinear_sample_backward(
        np.ones((3, 0, 5)), np.zeros((2, 3, 2)), np.ones((3, 2, 3))
    )
    assert dimage.shape == (3, 0, 5)
    assert not dgrid.any()


def test_one_pixel_fades_towards_its_neighbours():
    grid = [[[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [2.0, 0.0]]]
    seen = bilinear_sample([[[8.0]]], grid)
    assert seen.tolist() == [[[8.0, 4.0, 2.0, 0.0]]]


def test_lists_and_tensors_are_read_and_inputs_left_alone():
    image = draw(16, 3, 5, 7).astype(np.float32)
    theta = np.array(SAME, np.float32)
    truth = spatial_transform(image, theta, height=5, width=7)
    assert truth.dtype == np.float64
    for each in (
        torch.tensor(image),
        image.tolist(),
        np.asfortranarray(image),
    ):
        same = spatial_transform(each, SAME, height=5, width=7)
        np.testing.assert_array_equal(same, truth)
    image.flags.writeable = theta.flags.writeable = False
    bilinear_sample_backward(
        image, affine_grid(theta, height=2, width=3), np.ones((3, 2, 3))
    )
    spatial_transform(image, theta, height=5, width=7)[...] = 0.0


IMAGE, GRID = np.ones((3, 5, 7)), np.zeros((2, 4, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: affine_grid(np.ones((3, 2)), height=2, width=2),
            ValueError,
            r"theta must have shape \(\.\.\., 2, 3\): got \(3, 2\)",
        ),
        (
            lambda: affine_grid(np.ones(6), height=2, width=2),
            ValueError,
            r"theta must have axes \(\.\.\., rows, columns\)",
        ),
        (
            lambda: affine_grid(SAME, height=-1, width=2),
            ValueError,
            "height must be at least 0: got -1",
        ),
        (
            lambda: affine_grid(SAME, height=1, width=-2),
            ValueError,
            "width must be at least 0: got -2",
        ),
        (
            lambda: sampling_weights(GRID, height=-1, width=2),
            ValueError,
            "height must be at least 0: got -1",
        ),
        (
            lambda: sampling_weights(GRID, height=1, width=-2),
            ValueError,
            "width must be at least 0: got -2",
        ),
        (
            lambda: bilinear_sample(IMAGE, np.ones((2, 4, 3))),
            ValueError,
            r"grid must hold x and y on its last axis: got \(2, 4, 3\)",
        ),
        (
            lambda: bilinear_sample(IMAGE, np.ones((4, 2))),
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
                np.ones((2, 3, 5, 7)), np.ones((3, 2, 4, 2))
            ),
            ValueError,
            "leading axes of image and grid must broadcast",
        ),
        (
            lambda: bilinear_sample_backward(IMAGE, GRID, np.ones((3, 4, 2))),
            ValueError,
            r"upstream must have the shape of the samples \(3, 2, 4\): "
            r"got \(3, 4, 2\)",
        ),
        (
            lambda: attention_theta(1.0, [0.0, 0.0, 0.0]),
            ValueError,
            r"centre must hold x and y on its last axis: got \(3,\)",
        ),
        (
            lambda: attention_theta([1.0, 2.0], np.ones((3, 2))),
            ValueError,
            "leading axes of scale and centre must broadcast",
        ),
        (
            lambda: affine_grid_backward(np.ones((2, 3))),
            ValueError,
            r"upstream must have axes \(\.\.\., rows, columns, place\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
