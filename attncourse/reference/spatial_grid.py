"""Where a spatial transformer looks: affine maps and the grids they make."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.shapes import Array, count, real, require_broadcast

__all__ = ["affine_grid", "affine_grid_backward", "attention_theta"]

Grid = Float[Array, "*#batch rows columns 2"]
Theta = Float[Array, "*#batch 2 3"]


def attention_theta(
    scale: Float[Array, "*#batch"], centre: Float[Array, "*#batch 2"]
) -> Theta:
    r"""Return the affine map that looks at an upright rectangle.

    .. math:: \theta = \begin{pmatrix} s & 0 & t_x \\ 0 & s & t_y
              \end{pmatrix}

    Parameters
    ----------
    scale : side of the glance as a share of the image's; 1 sees all of it.
    centre : (x, y) of the glance, each from -1 to 1, shape (..., 2).

    Source: Jaderberg, Simonyan, Zisserman & Kavukcuoglu (2015), "Spatial
    Transformer Networks", eq. 2.

    Examples
    --------
    >>> attention_theta(0.5, [0.25, -0.25]).tolist()
    [[0.5, 0.0, 0.25], [0.0, 0.5, -0.25]]
    """
    scale, centre = real("scale", scale), _pairs("centre", centre, "place")
    shape = require_broadcast(scale=scale.shape, centre=centre.shape[:-1])
    theta = np.zeros((*shape, 2, 3))
    theta[..., 0, 0] = theta[..., 1, 1] = scale
    theta[..., 2] = centre
    return theta


def affine_grid(theta: Theta, *, height: int, width: int) -> Grid:
    r"""Return where in the image each pixel of the result is to be read.

    .. math:: \begin{pmatrix} x_{ij} \\ y_{ij} \end{pmatrix} =
              \theta \begin{pmatrix} (2j + 1)/W - 1 \\ (2i + 1)/H - 1 \\ 1
              \end{pmatrix}

    Parameters
    ----------
    theta : shape (..., 2, 3); [[1, 0, 0], [0, 1, 0]] is the identity.
    height, width : H and W, of the result in pixels.

    Source: Jaderberg et al. (2015), eq. 1.

    Examples
    --------
    >>> grid = affine_grid([[1, 0, 0], [0, 1, 0]], height=1, width=4)
    >>> grid.tolist()
    [[[-0.75, 0.0], [-0.25, 0.0], [0.25, 0.0], [0.75, 0.0]]]
    """
    theta = real("theta", theta, "rows columns")
    if theta.shape[-2:] != (2, 3):
        raise ValueError(
            f"theta must have shape (..., 2, 3): got {theta.shape}"
        )
    return np.einsum("...ec,hwc->...hwe", theta, _places(height, width))


def affine_grid_backward(upstream: Grid) -> Theta:
    r"""Return the gradient of a loss in the affine map.

    .. math:: d\theta = \sum_{ij} g_{ij} \begin{pmatrix} (2j + 1)/W - 1 &
              (2i + 1)/H - 1 & 1 \end{pmatrix}

    The grid is linear in the map, so the map itself is not needed.

    Parameters
    ----------
    upstream : gradient in the grid, shape (..., height, width, 2).

    Source: Jaderberg et al. (2015), section 3.3, from eq. 1.

    Examples
    --------
    >>> affine_grid_backward([[[1, 0], [1, 0], [1, 0], [5, 7]]]).tolist()
    [[3.0, 0.0, 8.0], [5.25, 0.0, 7.0]]
    """
    g = pairs("upstream", upstream)
    return np.einsum("...hwe,hwc->...ec", g, _places(*g.shape[-3:-1]))


def pairs(name: str, value: Grid) -> Grid:
    """Return `value` as float64 and require x and y on its last axis.

    Of the definition of a grid.

    Examples
    --------
    >>> pairs("grid", [[[0.5, -1]]]).shape
    (1, 1, 2)
    """
    return _pairs(name, value, "rows columns place")


def _pairs(name: str, value: Array, axes: str) -> Array:
    value = real(name, value, axes)
    if value.shape[-1] != 2:
        raise ValueError(
            f"{name} must hold x and y on its last axis: got {value.shape}"
        )
    return value


def _places(height: int, width: int) -> Float[Array, "height width 3"]:
    """Return (x, y, 1) at the centre of each pixel of the result."""
    height = count("height", height, least=0)
    width = count("width", width, least=0)
    # An empty axis has no centres, and nothing is divided.
    x = (2 * np.arange(width) + 1) / max(width, 1) - 1
    y = (2 * np.arange(height) + 1) / max(height, 1) - 1
    across, down = np.meshgrid(x, y)
    return np.stack([across, down, np.ones((height, width))], axis=-1)
