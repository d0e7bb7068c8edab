"""The spatial transformer: look at a part of an image, turned upright.

A small network says where to look, as an affine map; the image is then
sampled there. Positions are in the unit of the image: -1 and 1 are its
outer edges, x runs across and y down, and the centre of the first of n
pixels lies half a pixel inside, at -1 + 1 / n. (torch calls this
``align_corners=False``.)

Sampling is attention whose weights come from places alone: every output
pixel is a sum of image pixels, and the weights are differentiable in the
place, so that a loss can move the glance.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.reference.spatial_grid import (
    Grid,
    Theta,
    affine_grid,
    affine_grid_backward,
    attention_theta,
    pairs,
)
from attncourse.shapes import Array, count, real, require_broadcast, sum_to

__all__ = [
    "affine_grid",
    "affine_grid_backward",
    "attention_theta",
    "bilinear_sample",
    "bilinear_sample_backward",
    "sampling_weights",
    "spatial_transform",
    "spatial_transform_backward",
]

Image = Float[Array, "*#batch channels height width"]
Sampled = Float[Array, "*#batch channels rows columns"]


def sampling_weights(
    grid: Grid, *, height: int, width: int
) -> Float[Array, "*#batch rows columns height width"]:
    r"""Return the share of every image pixel in every sampled one.

    .. math:: A_{ij,nm} = \max(0, 1 - |x_{ij} - m|)\,
              \max(0, 1 - |y_{ij} - n|)

    Here x and y count pixels: m = 0 is the centre of the first. At most
    four shares differ from zero. They sum to one inside the image, and to
    less where the place is beyond the outermost centres: outside is zero.

    Parameters
    ----------
    grid : places (x, y), shape (..., rows, columns, 2).
    height, width : of the image in pixels.

    Source: Jaderberg et al. (2015), eq. 5.

    Examples
    --------
    >>> sampling_weights([[[0.25, 0.0]]], height=1, width=4)[0, 0].tolist()
    [[0.0, 0.0, 1.0, 0.0]]
    """
    across, down = _apart(pairs("grid", grid), height, width)
    return np.einsum("...ijm,...ijn->...ijnm", _share(across), _share(down))


def bilinear_sample(image: Image, grid: Grid) -> Sampled:
    r"""Return the image read between its pixels, at the places of `grid`.

    .. math:: V_{cij} = \sum_{nm} U_{cnm} \max(0, 1 - |x_{ij} - m|)
              \max(0, 1 - |y_{ij} - n|)

    Outside of the image all is zero. A pixel of weight zero has no
    influence, NaN included; a place that is NaN gives NaN.

    Parameters
    ----------
    image : U, shape (..., channels, height, width).
    grid : places (x, y), shape (..., rows, columns, 2), -1 and 1 at the
        outer edges.

    Source: Jaderberg et al. (2015), eq. 5.

    Examples
    --------
    >>> bilinear_sample([[[3, 5, 7, 9]]], [[[0.0, 0.0], [0.75, 0.0]]])
    array([[[6., 9.]]])
    """
    image, grid = _checked(image, grid)
    a = sampling_weights(grid, height=image.shape[-2], width=image.shape[-1])
    finite = np.isfinite(image)
    seen = np.where(finite, image, 0.0)
    clean = np.einsum("...ijnm,...cnm->...cij", a, seen)
    if finite.all():
        return clean
    # Zero times NaN is NaN, so a zero weight is not enough.
    spoiled = np.einsum("...ijnm,...cnm->...cij", a != 0, ~finite) > 0
    full = _weighted(a[..., None, :, :, :, :], image[..., None, None, :, :])
    return np.where(spoiled, full, clean)


def bilinear_sample_backward(
    image: Image, grid: Grid, upstream: Sampled
) -> tuple[Image, Grid]:
    r"""Return the gradients of a loss in the image and in the places.

    .. math:: dU_{cnm} = \sum_{ij} A_{ij,nm}\, g_{cij}, \qquad
              dx_{ij} = \sum_{cnm} g_{cij}\, U_{cnm}
              \max(0, 1 - |y_{ij} - n|)\, \delta(m - x_{ij})

    The share of a pixel rises with slope :math:`\delta = 1` on its left
    and falls with -1 on its right. At a centre itself, where the two meet,
    the slope to the right is taken. Slopes are for x in pixels; the result
    is for x in the unit of the grid.

    Parameters
    ----------
    image, grid : as `bilinear_sample` took them.
    upstream : gradient in its result, (..., channels, rows, columns).

    Each gradient has the shape of its argument.

    Source: Jaderberg et al. (2015), eq. 6 and 7; at a centre, where any
    subgradient would do, the derivative from the right.

    Examples
    --------
    >>> image, grid = [[[3, 5, 7, 9]]], [[[0.0, 0.0]]]
    >>> dimage, dgrid = bilinear_sample_backward(image, grid, [[[1.0]]])
    >>> dimage.tolist(), dgrid.tolist()
    ([[[0.0, 0.5, 0.5, 0.0]]], [[[4.0, -3.0]]])
    """
    image, grid = _checked(image, grid)
    leading = require_broadcast(image=image.shape[:-3], grid=grid.shape[:-3])
    g = real("upstream", upstream, "channels rows columns")
    shape = (*leading, image.shape[-3], *grid.shape[-3:-1])
    if g.shape != shape:
        raise ValueError(
            f"upstream must have the shape of the samples {shape}: "
            f"got {g.shape}"
        )
    height, width = image.shape[-2:]
    across, down = _apart(grid, height, width)
    x_share, y_share = _share(across), _share(down)
    dimage = np.einsum("...cij,...ijn,...ijm->...cnm", g, y_share, x_share)
    # Per place and image pixel: what the loss gains with its share.
    gain = np.einsum("...cij,...cnm->...ijnm", g, image)
    dx = _weighted(y_share[..., None] * _slope(across)[..., None, :], gain)
    dy = _weighted(_slope(down)[..., None] * x_share[..., None, :], gain)
    dgrid = np.stack([dx * width / 2, dy * height / 2], axis=-1)
    return sum_to(dimage, image.shape), sum_to(dgrid, grid.shape)


def spatial_transform(
    image: Image, theta: Theta, *, height: int, width: int
) -> Sampled:
    r"""Return the part of the image that an affine map looks at.

    .. math:: V = \mathrm{sample}(U, \mathrm{grid}(\theta))

    Parameters
    ----------
    image : shape (..., channels, image_height, image_width).
    theta : shape (..., 2, 3), from the result's places to the image's.
    height, width : of the result in pixels.

    Source: Jaderberg et al. (2015), section 3, figure 2.

    Examples
    --------
    >>> mirror = [[-1, 0, 0], [0, 1, 0]]
    >>> spatial_transform([[[3, 5, 7, 9]]], mirror, height=1, width=4)
    array([[[9., 7., 5., 3.]]])
    """
    grid = affine_grid(theta, height=height, width=width)
    return bilinear_sample(image, grid)


def spatial_transform_backward(
    image: Image, theta: Theta, upstream: Sampled
) -> tuple[Image, Theta]:
    r"""Return the gradients of a loss in the image and in the affine map.

    .. math:: d\theta = \sum_{ij} \begin{pmatrix} dx_{ij} \\ dy_{ij}
              \end{pmatrix} \begin{pmatrix} (2j + 1)/W - 1 &
              (2i + 1)/H - 1 & 1 \end{pmatrix}

    Parameters
    ----------
    image, theta : as `spatial_transform` took them.
    upstream : gradient in its result; its last axes are the result's
        height and width.

    Source: Jaderberg et al. (2015), section 3.3.

    Examples
    --------
    >>> image, same = [[[3, 5, 7, 9]]], [[1, 0, 0], [0, 1, 0]]
    >>> _, dtheta = spatial_transform_backward(image, same, [[[0, 1, 0, 0]]])
    >>> dtheta.tolist()  # to look further right by d: 5 becomes 5 + 4 d
    [[-1.0, 0.0, 4.0], [0.625, 0.0, -2.5]]
    """
    g = real("upstream", upstream, "channels height width")
    grid = affine_grid(theta, height=g.shape[-2], width=g.shape[-1])
    dimage, dgrid = bilinear_sample_backward(image, grid, g)
    return dimage, affine_grid_backward(dgrid)


def _apart(grid: Grid, height: int, width: int) -> tuple[Array, Array]:
    """Return how far each pixel column is from each place, and each row.

    In pixels, positive where the pixel is to the right of the place, or
    below it; shapes (..., rows, columns, width) and (..., height).
    """
    height = count("height", height, least=0)
    width = count("width", width, least=0)
    x = ((grid[..., 0] + 1) * width - 1) / 2
    y = ((grid[..., 1] + 1) * height - 1) / 2
    return np.arange(width) - x[..., None], np.arange(height) - y[..., None]


def _share(apart: Array) -> Array:
    """Return the height of the tent over each pixel's distance."""
    return np.maximum(0.0, 1.0 - np.abs(apart))


def _slope(apart: Array) -> Array:
    """Return how a share grows as the place moves to the right, or down."""
    rises = (apart > 0) & (apart <= 1)
    falls = (apart > -1) & (apart <= 0)
    return np.where(rises, 1.0, 0.0) - np.where(falls, 1.0, 0.0)


def _weighted(weights: Array, pixels: Array) -> Array:
    """Return sums over the image; a pixel of weight zero counts nothing."""
    seen = np.where(weights == 0, 0.0, pixels)
    return np.sum(weights * seen, axis=(-2, -1))


def _checked(image: Image, grid: Grid) -> tuple[Array, Array]:
    image = real("image", image, "channels height width")
    grid = pairs("grid", grid)
    require_broadcast(image=image.shape[:-3], grid=grid.shape[:-3])
    return image, grid
