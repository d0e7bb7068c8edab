"""The Vision Transformer as a torch module, to train and to read.

It is built of this course's layers, and `to_reference` hands its numbers to
`attncourse.reference.patches`.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.layers import Encoder, PreNormEncoderLayer
from attncourse.fast.layers_convert import to_reference as layers_to_reference
from attncourse.fast.patches_parts import (
    Images,
    Tokens,
    interpolate_positions,
    patch_embedding,
    patchify,
    sinusoidal_2d,
    unpatchify,
)
from attncourse.reference import patches as reference
from attncourse.reference.patches import VisionSizes
from attncourse.reference.patches_parts import grid_of
from attncourse.shapes import count, require_equal

__all__ = [
    "MeanVisionTransformer",
    "VisionSizes",
    "VisionTransformer",
    "grid_of",
    "interpolate_positions",
    "patch_embedding",
    "patchify",
    "sinusoidal_2d",
    "to_reference",
    "unpatchify",
]

Logits = Float[Tensor, "*batch classes"]


class VisionTransformer(nn.Module):
    r"""A Transformer encoder of patches, which tells the class of an image.

    .. math:: \ell = \mathrm{encode}([\,x_{class};\; x_1 E + p_1;\; \dots
              \,])_0\, W + b

    Parameters
    ----------
    sizes : of the images and of the network.
    heads : of each layer; they divide `sizes.dim` evenly.
    dropout : of each layer, while training.

    Source: Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words",
    eq. 1 to 4.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=6, hidden=5, layers=2, classes=7)
    >>> VisionTransformer(sizes, heads=3)(torch.ones(5, 1, 4, 6)).shape
    torch.Size([5, 7])
    """

    def __init__(
        self, sizes: VisionSizes, *, heads: int, dropout: float = 0.0
    ):
        super().__init__()
        patch, dim = count("patch", sizes.patch), count("dim", sizes.dim)
        rows, columns = grid_of(sizes.height, sizes.width, patch=patch)
        channels = count("channels", sizes.channels)
        self.heads = count("heads", heads)
        self.kernel = nn.Parameter(torch.empty(dim, channels, patch, patch))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.positions = nn.Parameter(torch.empty(rows, columns, dim))
        self.class_token = nn.Parameter(torch.empty(dim))
        self.encoder = Encoder(
            [
                PreNormEncoderLayer(
                    dim,
                    heads,
                    sizes.hidden,
                    activation=F.gelu,
                    dropout=dropout,
                )
                for _ in range(count("layers", sizes.layers, least=0))
            ],
            nn.LayerNorm(dim),
        )
        self.head = nn.Linear(dim, count("classes", sizes.classes))
        bound = math.sqrt(6 / (dim + channels * patch * patch))
        nn.init.uniform_(self.kernel, -bound, bound)
        nn.init.normal_(self.positions, std=0.02)
        nn.init.normal_(self.class_token, std=0.02)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def tokens(self, images: Images) -> Tokens:
        """Return the class token, then one a patch, before any layer."""
        tokens = patch_embedding(images, self.kernel, self.bias)
        have = grid_of(*images.shape[-2:], patch=self.kernel.shape[-1])
        rows, columns, _ = self.positions.shape
        require_equal("rows", patches=have[0], positions=rows)
        require_equal("columns", patches=have[1], positions=columns)
        tokens = tokens + self.positions.flatten(0, 1)
        first = self.class_token.expand(*tokens.shape[:-2], 1, -1)
        return torch.cat([first, tokens], dim=-2)

    def read(self, images: Images) -> Tokens:
        """Return the class token and the patches after all layers."""
        return self.encoder(self.tokens(images))

    def forward(self, images: Images) -> Logits:
        """Return logits, (..., classes), of (..., channels, height, width)."""
        return self.head(self.read(images)[..., 0, :])

    def resized(self, *, height: int, width: int) -> VisionTransformer:
        """Return a copy for images of another size, in pixels."""
        height, width = count("height", height), count("width", width)
        rows, columns = grid_of(height, width, patch=self.kernel.shape[-1])
        other = copy.deepcopy(self)
        table = interpolate_positions(
            self.positions.detach(), rows=rows, columns=columns
        )
        other.positions = nn.Parameter(table)
        return other


class MeanVisionTransformer(VisionTransformer):
    r"""A Vision Transformer that tells the class from all patches alike.

    .. math:: \ell = \Big(\frac{1}{N} \sum_{n=1}^{N} y_n\Big) W + b

    The class token has no part in the mean; the patches can read it.

    Source: Dosovitskiy et al. (2021), appendix D.3.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=6, hidden=5, layers=2, classes=7)
    >>> MeanVisionTransformer(sizes, heads=3)(torch.ones(5, 1, 4, 6)).shape
    torch.Size([5, 7])
    """

    def forward(self, images: Images) -> Logits:
        """Return logits, (..., classes), of (..., channels, height, width)."""
        patches = self.read(images)[..., 1:, :]
        if not patches.shape[-2]:
            raise ValueError("images must have at least one patch: got none")
        return self.head(patches.mean(dim=-2))


def to_reference(model: VisionTransformer) -> reference.VisionTransformer:
    """Return the numbers as the dataclass that the reference takes.

    On a CPU they are views: they follow when the model trains on. A
    `MeanVisionTransformer` belongs to the reference's `mean_logits`, any
    other to `class_logits`.

    Source: of the bookkeeping of Dosovitskiy et al. (2021), eq. 1 to 4.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=6, hidden=5, layers=1, classes=7)
    >>> numbers = to_reference(VisionTransformer(sizes, heads=3))
    >>> reference.class_logits(torch.ones(1, 4, 6), numbers, heads=3).shape
    (7,)
    """
    if not isinstance(model, VisionTransformer):
        raise TypeError(
            f"model must be a VisionTransformer: got {type(model).__name__}"
        )
    kept = {
        name: value.detach().cpu()
        for name, value in {
            "kernel": model.kernel,
            "bias": model.bias,
            "positions": model.positions,
            "class_token": model.class_token,
            "w_head": model.head.weight.T,
            "b_head": model.head.bias,
        }.items()
    }
    return reference.VisionTransformer(
        stack=layers_to_reference(model.encoder), **kept
    )
