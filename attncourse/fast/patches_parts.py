"""Patches and their positions in torch: `attncourse.reference.patches`.

Images have the axes (..., channels, height, width). Everything keeps the
dtype and the device of what it is given and is differentiable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.heads import project
from attncourse.fast.positions import sinusoidal
from attncourse.fast.tiled_parts import require_real
from attncourse.reference.patches_parts import grid_of
from attncourse.shapes import count, require_equal

Images = Float[Tensor, "*batch channels height width"]
Patches = Float[Tensor, "*batch patches numbers"]
Tokens = Float[Tensor, "*batch tokens dim"]
Embedded = Float[Tensor, "*batch patches out_width"]
Kernel = Float[Tensor, "out_width channels patch patch"]
PerColumn = Float[Tensor, "out_width"]
Table = Float[Tensor, "rows columns dim"]


def patchify(images: Images, *, patch: int) -> Patches:
    r"""Return the squares of `patch` by `patch` pixels, one row each.

    .. math:: X_{r\,n_c + s,\; (c\,p + a)\,p + b} = I_{c,\; rp + a,\; sp + b}

    Row by row and from left to right; in a patch first the channel, then
    the row, then the column. Both sides must be multiples of `patch`.

    Source: Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words",
    section 3.1.

    Examples
    --------
    >>> patchify(torch.arange(8.0).view(1, 2, 4), patch=2).tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    require_real("images", images, "channels height width")
    rows, columns = grid_of(*images.shape[-2:], patch=patch)
    squares = images.unflatten(-2, (rows, patch))
    squares = squares.unflatten(-1, (columns, patch))
    squares = torch.einsum("...crasb->...rscab", squares)
    squares = squares.clone(memory_format=torch.contiguous_format)
    return squares.flatten(-5, -4).flatten(-3)


def unpatchify(
    patches: Patches, *, patch: int, height: int, width: int
) -> Images:
    r"""Return the images that `patchify` cut up.

    .. math:: I_{c,\; rp + a,\; sp + b} = X_{r\,n_c + s,\; (c\,p + a)\,p + b}

    Source: the inverse of Dosovitskiy et al. (2021), section 3.1.

    Examples
    --------
    >>> patches = torch.tensor([[0.0, 1.0, 4.0, 5.0]])
    >>> unpatchify(patches, patch=2, height=2, width=2).tolist()
    [[[0.0, 1.0], [4.0, 5.0]]]
    """
    require_real("patches", patches, "patches numbers")
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
    lines = torch.einsum("...rscab->...crasb", squares)
    lines = lines.clone(memory_format=torch.contiguous_format)
    return lines.reshape(*batch, channels, height, width)


def patch_embedding(
    images: Images, kernel: Kernel, bias: PerColumn | None = None
) -> Embedded:
    r"""Return one token for each patch: a convolution that never overlaps.

    .. math:: z_{(r,s),\,d} = b_d + \sum_{c,a,b} K_{dcab}\,
              I_{c,\; rp + a,\; sp + b}

    One matrix product; `torch.nn.functional.conv2d` with this kernel and a
    stride of `patch` gives the same numbers, channels first.

    Source: Dosovitskiy et al. (2021), eq. 1, x_p E.

    Examples
    --------
    >>> patch_embedding(torch.ones(5, 3, 4, 6), torch.ones(7, 3, 2, 2)).shape
    torch.Size([5, 6, 7])
    """
    require_real("images", images, "channels height width")
    require_real("kernel", kernel, "")
    if kernel.ndim != 4 or kernel.shape[2] != kernel.shape[3]:
        raise ValueError(
            "kernel must have shape (out_width, channels, patch, patch): "
            f"got {tuple(kernel.shape)}"
        )
    require_equal("channels", images=images.shape[-3], kernel=kernel.shape[1])
    if (images.dtype, images.device) != (kernel.dtype, kernel.device):
        raise TypeError(
            "images and kernel must agree in dtype and device: got "
            f"{images.dtype} on {images.device}, "
            f"{kernel.dtype} on {kernel.device}"
        )
    patches = patchify(images, patch=kernel.shape[-1])
    return project(patches, kernel.flatten(1).T, bias)


def sinusoidal_2d(
    rows: int, columns: int, *, dim: int, base: float = 10_000.0
) -> Table:
    r"""Return a vector for each place: half tells the row, half the column.

    .. math:: P_{rs} = [\,\mathrm{sinusoidal}(r);\; \mathrm{sinusoidal}(s)\,]

    In torch's default type.

    Source: Vaswani et al. (2017), section 3.5, for each axis; Dosovitskiy
    et al. (2021), appendix D.4, for halves of the width by axis.

    Examples
    --------
    >>> sinusoidal_2d(2, 3, dim=4)[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    rows, columns = count("rows", rows), count("columns", columns)
    dim = count("dim", dim)
    if dim % 4:
        raise ValueError(
            f"dim must be a multiple of four, two pairs an axis: got {dim}"
        )
    down = sinusoidal(torch.arange(rows), dim=dim // 2, base=base)
    across = sinusoidal(torch.arange(columns), dim=dim // 2, base=base)
    shape = (rows, columns, dim // 2)
    return torch.cat([down[:, None].expand(shape), across.expand(shape)], -1)


def interpolate_positions(
    table: Table, *, rows: int, columns: int
) -> Float[Tensor, "new_rows new_columns dim"]:
    r"""Return a table of positions for a grid of another size.

    .. math:: P'_{rs} = \sum_{r's'} A_{rr'} B_{ss'} P_{r's'}

    Bilinear, with the squares of both grids over the same picture: torch's
    own interpolation without aligned corners. Half types are computed in
    single precision.

    Source: Dosovitskiy et al. (2021), section 3.2, last paragraph.

    Examples
    --------
    >>> table = torch.tensor([[[0.0], [8.0]]])
    >>> interpolate_positions(table, rows=1, columns=4)[0, :, 0].tolist()
    [0.0, 2.0, 6.0, 8.0]
    """
    require_real("table", table, "")
    shape = tuple(table.shape)
    if table.ndim != 3:
        raise ValueError(
            f"table must have shape (rows, columns, dim): got {shape}"
        )
    if not all(shape[:2]):
        raise ValueError(
            f"table must have a row and a column: got shape {shape}"
        )
    size = (count("rows", rows), count("columns", columns))
    if not table.shape[-1]:  # torch refuses to interpolate nothing
        return table.new_zeros(*size, 0)
    wide = table.to(torch.promote_types(table.dtype, torch.float32))
    planes = wide.permute(2, 0, 1)[None]
    new = F.interpolate(planes, size, mode="bilinear", align_corners=False)
    return new[0].permute(1, 2, 0).to(table.dtype)
