"""The spatial transformer in torch: `attncourse.reference.spatial`.

-1 and 1 are the outer edges of an image, as in torch's own functions with
``align_corners=False``; outside all is zero. Places are computed in at
least single precision; the result has the dtype of the image.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.precision import widened
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import count, require_broadcast

Image = Float[Tensor, "*#batch channels height width"]
Sampled = Float[Tensor, "*#batch channels rows columns"]
Grid = Float[Tensor, "*#batch rows columns 2"]
Theta = Float[Tensor, "*#batch 2 3"]


def attention_theta(
    scale: Float[Tensor, "*#batch"], centre: Float[Tensor, "*#batch 2"]
) -> Theta:
    r"""Return the affine map that looks at an upright rectangle.

    .. math:: \theta = \begin{pmatrix} s & 0 & t_x \\ 0 & s & t_y
              \end{pmatrix}

    Source: Jaderberg, Simonyan, Zisserman & Kavukcuoglu (2015), "Spatial
    Transformer Networks", eq. 2.

    Examples
    --------
    >>> attention_theta(torch.tensor(0.5), torch.tensor([0.25, 0.0])).tolist()
    [[0.5, 0.0, 0.25], [0.0, 0.5, 0.0]]
    """
    require_real("scale", scale, "")
    _require_pairs("centre", centre, "place")
    shape = require_broadcast(
        scale=tuple(scale.shape), centre=tuple(centre.shape[:-1])
    )
    s, (x, y) = scale.expand(shape), centre.expand(*shape, 2).unbind(-1)
    none = torch.zeros_like(s)
    rows = [torch.stack([s, none, x], -1), torch.stack([none, s, y], -1)]
    return torch.stack(rows, dim=-2)


def affine_grid(theta: Theta, *, height: int, width: int) -> Grid:
    r"""Return where in the image each pixel of the result is to be read.

    .. math:: \begin{pmatrix} x_{ij} \\ y_{ij} \end{pmatrix} =
              \theta \begin{pmatrix} (2j + 1)/W - 1 \\ (2i + 1)/H - 1 \\ 1
              \end{pmatrix}

    Half types give a grid in single precision: they cannot tell pixels
    apart.

    Source: Jaderberg et al. (2015), eq. 1.

    Examples
    --------
    >>> theta = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> affine_grid(theta, height=1, width=4)[0, :, 0].tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    require_real("theta", theta, "rows columns")
    if theta.shape[-2:] != (2, 3):
        raise ValueError(
            f"theta must have shape (..., 2, 3): got {tuple(theta.shape)}"
        )
    height = count("height", height, least=0)
    width = count("width", width, least=0)
    theta = widened(theta)
    x, y = (
        # An empty axis has no centres, and nothing is divided.
        (2 * torch.arange(size).to(theta) + 1) / max(size, 1) - 1
        for size in (width, height)
    )
    down, across = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([across, down, torch.ones_like(down)], dim=-1)
    return torch.einsum("...ec,hwc->...hwe", theta, places)


def bilinear_sample(image: Image, grid: Grid) -> Sampled:
    r"""Return the image read between its pixels, at the places of `grid`.

    .. math:: V_{cij} = \sum_{nm} U_{cnm} \max(0, 1 - |x_{ij} - m|)
              \max(0, 1 - |y_{ij} - n|)

    Four pixels are gathered for each place. A pixel of weight zero has no
    influence, NaN included; a place that is NaN gives NaN. At the centre
    of a pixel, gradients in the place are those from the right.

    Source: Jaderberg et al. (2015), eq. 5.

    Examples
    --------
    >>> image = torch.tensor([[[3.0, 5.0, 7.0, 9.0]]])
    >>> bilinear_sample(image, torch.tensor([[[0.0, 0.0], [0.75, 0.0]]]))
    tensor([[[6., 9.]]])
    """
    require_real("image", image, "channels height width")
    _require_pairs("grid", grid, "rows columns place")
    leading = require_broadcast(
        image=tuple(image.shape[:-3]), grid=tuple(grid.shape[:-3])
    )
    *_, channels, height, width = image.shape
    shape = (*leading, channels, *grid.shape[-3:-1])
    if not height or not width:
        return image.new_zeros(shape)
    pixels = (
        widened(image).expand(*leading, channels, height, width).flatten(-2)
    )
    grid = grid.to(torch.promote_types(grid.dtype, pixels.dtype))
    grid = grid.expand(*leading, *grid.shape[-3:]).flatten(-3, -2)
    rows = _neighbours(grid[..., 1], height)
    columns = _neighbours(grid[..., 0], width)
    total: Tensor | float = 0.0
    for row, row_share, row_inside in rows:
        for column, column_share, column_inside in columns:
            share = (row_share * column_share)[..., None, :]
            index = (row * width + column)[..., None, :]
            near = pixels.gather(
                -1, index.expand(*leading, channels, index.shape[-1])
            )
            inside = (row_inside & column_inside)[..., None, :]
            # Zero times NaN is NaN, so a share of zero is not enough.
            idle = (share == 0) & ~torch.isfinite(near)
            near = torch.where(inside & ~idle, near, 0.0)
            total = total + share * near
    return torch.as_tensor(total).reshape(shape).to(image.dtype)


def spatial_transform(
    image: Image, theta: Theta, *, height: int, width: int
) -> Sampled:
    r"""Return the part of the image that an affine map looks at.

    .. math:: V = \mathrm{sample}(U, \mathrm{grid}(\theta))

    Source: Jaderberg et al. (2015), section 3, figure 2.

    Examples
    --------
    >>> mirror = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> image = torch.tensor([[[3.0, 5.0, 7.0, 9.0]]])
    >>> spatial_transform(image, mirror, height=1, width=4)
    tensor([[[9., 7., 5., 3.]]])
    """
    grid = affine_grid(theta, height=height, width=width)
    return bilinear_sample(image, grid)


class SpatialTransformer(nn.Module):
    r"""A module that looks at the part of an image that it finds itself.

    .. math:: \theta = I + \mathrm{localise}(U)\, W + b, \qquad
              V = \mathrm{sample}(U, \mathrm{grid}(\theta))

    W and b start at zero: at first the whole image is looked at, upright.

    Parameters
    ----------
    localise : a network from an image to `features` numbers.
    features : as many as it returns on its last axis.
    height, width : of the result in pixels.

    Source: Jaderberg et al. (2015), section 3.1; they start at the
    identity as well.

    Examples
    --------
    >>> localise = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU())
    >>> module = SpatialTransformer(localise, 5, height=2, width=3)
    >>> seen = module(torch.arange(6.0).view(1, 1, 2, 3))
    >>> seen.round().flatten().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """

    same: Tensor

    def __init__(
        self, localise: nn.Module, features: int, *, height: int, width: int
    ):
        super().__init__()
        self.localise = localise
        self.height, self.width = (
            count("height", height),
            count("width", width),
        )
        self.last = nn.Linear(count("features", features), 6)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        self.register_buffer("same", identity, persistent=False)

    def extra_repr(self) -> str:
        """Return what the printed module says of itself."""
        return f"height={self.height}, width={self.width}"

    def theta(self, image: Image) -> Theta:
        """Return where the module looks, shape (..., 2, 3)."""
        found = self.last(self.localise(image))
        return self.same + found.unflatten(-1, (2, 3))

    def forward(self, image: Image) -> Sampled:
        """Return the glance, shape (..., channels, height, width)."""
        return spatial_transform(
            image, self.theta(image), height=self.height, width=self.width
        )


def _neighbours(
    places: Tensor, size: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return the two pixels around each place: index, share, whether inside.

    The index of a pixel that is outside is one that is inside, to gather.
    """
    # Beyond the border nothing is seen; infinity would leave inf - inf.
    at = (((places + 1) * size - 1) / 2).clamp(-1, size)
    first = at.detach().floor()
    part = at - first
    found = []
    for shift, share in ((0, 1 - part), (1, part)):
        index = (first.nan_to_num() + shift).long()
        inside = (index >= 0) & (index < size)
        found.append((index.clamp(0, size - 1), share, inside))
    return found


def _require_pairs(name: str, value: Tensor, axes: str) -> None:
    require_real(name, value, axes)
    if value.shape[-1] != 2:
        raise ValueError(
            f"{name} must hold x and y on its last axis: "
            f"got {tuple(value.shape)}"
        )
