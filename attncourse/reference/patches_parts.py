"""From an image to tokens: patches, and where each of them stands.

An image has the axes (..., channels, height, width). Its patches are read
like a page, row by row and from left to right; the numbers of one patch are
in the order channel, row, column, which is the order of a convolution's
kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.reference.heads_parts import project
from attncourse.reference.positions import sinusoidal
from attncourse.shapes import Array, count, real, require_equal

# The rest is for `patches`.
__all__ = [
    "grid_of",
    "interpolate_positions",
    "patch_embedding",
    "patchify",
    "sinusoidal_2d",
    "unpatchify",
]

KERNEL = "out_width channels patch patch"
Images = Float[Array, "*batch channels height width"]
Patches = Float[Array, "*batch patches numbers"]
Kernel = Float[Array, KERNEL]
PerColumn = Float[Array, "out_width"]
# Not `Tokens`: here width is that of an image.
Embedded = Float[Array, "*batch patches out_width"]
Table = Float[Array, "rows columns dim"]


def patchify(images: Images, *, patch: int) -> Patches:
    r"""Return the squares of `patch` by `patch` pixels, one row each.

    .. math:: X_{r\,n_c + s,\; (c\,p + a)\,p + b} = I_{c,\; rp + a,\; sp + b}

    With :math:`n_c` squares side by side, patch :math:`r\,n_c + s` is the
    s-th of the r-th row of squares. Both sides of the image must be
    multiples of `patch`: nothing is cut off and nothing padded.

    Parameters
    ----------
    images : shape (..., channels, height, width).
    patch : p, the side of a square in pixels.

    Source: Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words",
    section 3.1.

    Examples
    --------
    >>> patchify([[[1, 2, 3, 4], [5, 6, 7, 8]]], patch=2).tolist()
    [[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]
    """
    images = real("images", images, "channels height width")
    *batch, channels, height, width = images.shape
    rows, columns = grid_of(height, width, patch=patch)
    squares = images.reshape(*batch, channels, rows, patch, columns, patch)
    squares = np.einsum("...crasb->...rscab", squares)
    return squares.reshape(*batch, rows * columns, channels * patch * patch)


def unpatchify(
    patches: Patches, *, patch: int, height: int, width: int
) -> Images:
    r"""Return the images that `patchify` cut up.

    .. math:: I_{c,\; rp + a,\; sp + b} = X_{r\,n_c + s,\; (c\,p + a)\,p + b}

    The number of channels follows from the numbers of a patch.

    Parameters
    ----------
    patches : shape (..., patches, channels * patch * patch).
    patch : side of a square in pixels.
    height, width : of the images in pixels, multiples of `patch`.

    Source: the inverse of Dosovitskiy et al. (2021), section 3.1.

    Examples
    --------
    >>> unpatchify([[1, 2, 5, 6]], patch=2, height=2, width=2).tolist()
    [[[1.0, 2.0], [5.0, 6.0]]]
    """
    patches = real("patches", patches, "patches numbers")
    rows, columns = grid_of(height, width, patch=patch)
    *batch, length, numbers = patches.shape
    if numbers % (patch * patch):
        raise ValueError(
            "patches must hold whole channels of patch * patch numbers: "
            f"got numbers={numbers}, patch={patch}"
        )
    require_equal("number", patches=length, squares=rows * columns)
    channels = numbers // (patch * patch)
    squares = patches.reshape(*batch, rows, columns, channels, patch, patch)
    lines = np.einsum("...rscab->...crasb", squares)
    return lines.reshape(*batch, channels, height, width)


def grid_of(height: int, width: int, *, patch: int) -> tuple[int, int]:
    r"""Return how many patches an image has down and across.

    .. math:: n_r = H / p, \qquad n_c = W / p

    Raises
    ------
    ValueError
        If a side is not a multiple of `patch`.

    Source: Dosovitskiy et al. (2021), section 3.1: N = HW / P^2.

    Examples
    --------
    >>> grid_of(6, 8, patch=2)
    (3, 4)
    """
    patch = count("patch", patch)
    height = count("height", height, least=0)
    width = count("width", width, least=0)
    if height % patch or width % patch:
        raise ValueError(
            "height and width must be multiples of patch: "
            f"got height={height}, width={width}, patch={patch}"
        )
    return height // patch, width // patch


def patch_embedding(
    images: Images, kernel: Kernel, bias: PerColumn | None = None
) -> Embedded:
    r"""Return one token for each patch: a convolution that never overlaps.

    .. math:: z_{(r,s),\,d} = b_d + \sum_{c,a,b} K_{dcab}\,
              I_{c,\; rp + a,\; sp + b}

    The same linear map for every patch. It is the convolution with this
    kernel and a stride as long as the kernel's side.

    Parameters
    ----------
    images : shape (..., channels, height, width).
    kernel : shape (out_width, channels, patch, patch).
    bias : shape (out_width,), or None.

    Source: Dosovitskiy et al. (2021), eq. 1, x_p E.

    Examples
    --------
    >>> kernel = [[[[1, 0], [0, 0]]], [[[1, 1], [1, 1]]]]
    >>> patch_embedding([[[1, 2, 3, 4], [5, 6, 7, 8]]], kernel).tolist()
    [[1.0, 14.0], [3.0, 22.0]]
    """
    images = real("images", images, "channels height width")
    kernel = exactly("kernel", kernel, KERNEL)
    if kernel.shape[2] != kernel.shape[3]:
        raise ValueError(
            "kernel must have shape (out_width, channels, patch, patch): "
            f"got {kernel.shape}"
        )
    require_equal("channels", images=images.shape[-3], kernel=kernel.shape[1])
    out_width, channels, patch, _ = kernel.shape
    weight = kernel.reshape(out_width, channels * patch * patch).T
    return project(patchify(images, patch=patch), weight, bias)


def sinusoidal_2d(
    rows: int, columns: int, *, dim: int, base: float = 10_000.0
) -> Table:
    r"""Return a vector for each place: half tells the row, half the column.

    .. math:: P_{rs} = [\,\mathrm{sinusoidal}(r);\; \mathrm{sinusoidal}(s)\,]

    Both halves are of width dim / 2, so `dim` is a multiple of four.

    Source: Vaswani et al. (2017), section 3.5, for each axis; Dosovitskiy
    et al. (2021), appendix D.4, for halves of the width by axis.

    Examples
    --------
    >>> table = sinusoidal_2d(2, 3, dim=4)
    >>> table.shape, table[0, 0].tolist()
    ((2, 3, 4), [0.0, 1.0, 0.0, 1.0])
    """
    rows, columns = count("rows", rows), count("columns", columns)
    dim = count("dim", dim)
    if dim % 4:
        raise ValueError(
            f"dim must be a multiple of four, two pairs an axis: got {dim}"
        )
    down = sinusoidal(np.arange(rows), dim=dim // 2, base=base)
    across = sinusoidal(np.arange(columns), dim=dim // 2, base=base)
    shape = (rows, columns, dim // 2)
    return np.concatenate(
        [
            np.broadcast_to(down[:, None], shape),
            np.broadcast_to(across, shape),
        ],
        axis=-1,
    )


def interpolate_positions(
    table: Table, *, rows: int, columns: int
) -> Float[Array, "new_rows new_columns dim"]:
    r"""Return a table of positions for a grid of another size.

    .. math:: P'_{rs} = \sum_{r's'} A_{rr'} B_{ss'} P_{r's'}

    Bilinear: the squares of both grids cover the same picture, and the
    centre of each new one falls between at most four old centres. Beyond
    the outermost centre the nearest one holds. A smaller grid is sampled,
    not averaged.

    Parameters
    ----------
    table : shape (rows, columns, dim), without the class token.
    rows, columns : of the new grid.

    Source: Dosovitskiy et al. (2021), section 3.2, last paragraph.

    Examples
    --------
    >>> table = [[[0.0], [8.0]]]
    >>> interpolate_positions(table, rows=1, columns=4)[0, :, 0].tolist()
    [0.0, 2.0, 6.0, 8.0]
    """
    table = exactly("table", table, "rows columns dim")
    if not all(table.shape[:2]):
        raise ValueError(
            f"table must have a row and a column: got shape {table.shape}"
        )
    down = _between(table.shape[0], count("rows", rows))
    across = _between(table.shape[1], count("columns", columns))
    return np.einsum("ra,sb,abd->rsd", down, across, table, optimize=True)


def exactly(name: str, value: Any, axes: str) -> Array:
    """Return `value` as float64 and require the named axes and no other."""
    value, named = real(name, value), axes.split()
    if value.ndim != len(named):
        raise ValueError(
            f"{name} must have shape ({', '.join(named)}): got {value.shape}"
        )
    return value


def _between(old: int, new: int) -> Float[Array, "new old"]:
    """Return the share of each old centre in each new one, along an axis."""
    place = (np.arange(new) + 0.5) * old / new - 0.5
    place = np.clip(place, 0, old - 1)  # beyond the outermost centre
    apart = np.abs(place[:, None] - np.arange(old))
    return np.maximum(0.0, 1.0 - apart)
