"""The Vision Transformer: an image as a sentence of patches.

The patches and their positions are in `patches_parts`; the encoder is the
one of `blocks`, with the norms before the sublayers. Nothing else is made
for images: that a patch has neighbours must be learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.reference.blocks import (
    EncoderLayer,
    NormWeights,
    Stack,
    encoder,
    new_encoder_layer,
    pre_norm_encoder_layer,
)
from attncourse.reference.feedforward import gelu
from attncourse.reference.heads_parts import project
from attncourse.reference.patches_parts import (
    KERNEL,
    Images,
    exactly,
    grid_of,
    interpolate_positions,
    patch_embedding,
    patchify,
    sinusoidal_2d,
    unpatchify,
)
from attncourse.shapes import Array, count, require_equal

__all__ = [
    "VisionSizes",
    "VisionTransformer",
    "class_logits",
    "grid_of",
    "image_tokens",
    "interpolate_positions",
    "mean_logits",
    "new_vision_transformer",
    "patch_embedding",
    "patchify",
    "read_image",
    "resized",
    "sinusoidal_2d",
    "unpatchify",
]

Tokens = Float[Array, "*batch tokens dim"]
Logits = Float[Array, "*batch classes"]


@dataclass(frozen=True)
class VisionSizes:
    """How large a Vision Transformer is.

    Parameters
    ----------
    height, width, channels : of an image, in pixels and planes.
    patch : side of a patch in pixels; it divides height and width.
    dim : numbers of a token.
    hidden : numbers between the two matrices of a feed-forward network.
    layers, classes : how many of them.
    """

    height: int
    width: int
    channels: int
    patch: int
    dim: int
    hidden: int
    layers: int
    classes: int


@dataclass(frozen=True)
class VisionTransformer:
    """The trained numbers of a Vision Transformer.

    Parameters
    ----------
    kernel, bias : of the patch embedding, (dim, channels, patch, patch)
        and (dim,).
    positions : one vector for each patch, shape (rows, columns, dim).
    class_token : shape (dim,). The paper adds a position to it as well; a
        sum of two trained vectors is one trained vector.
    stack : the encoder, pre-norm, with a norm after its last layer.
    w_head, b_head : from a token to logits, (dim, classes) and (classes,).
    """

    kernel: Any
    bias: Any
    positions: Any
    class_token: Any
    stack: Stack
    w_head: Any
    b_head: Any


def image_tokens(images: Images, model: VisionTransformer) -> Tokens:
    r"""Return the class token, then a token for each patch, with positions.

    .. math:: z_0 = [\,x_{class};\; x_1 E + p_1;\; \dots;\; x_N E + p_N\,]

    The images must have as many patches down and across as the model has
    positions; `resized` makes a model for another size.

    Parameters
    ----------
    images : shape (..., channels, height, width).

    Source: Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words",
    eq. 1.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=3, hidden=5, layers=0, classes=7)
    >>> model = new_vision_transformer(sizes, seed=0)
    >>> image_tokens(np.ones((1, 4, 6)), model).shape
    (7, 3)
    """
    tokens = patch_embedding(images, model.kernel, model.bias)
    *batch, patches, dim = tokens.shape
    positions = exactly("positions", model.positions, "rows columns dim")
    first = exactly("class_token", model.class_token, "dim")
    rows, columns, width = positions.shape
    require_equal("dim", kernel=dim, positions=width, class_token=len(first))
    grid = grid_of(*np.shape(images)[-2:], patch=_patch(model))
    require_equal("rows", patches=grid[0], positions=rows)
    require_equal("columns", patches=grid[1], positions=columns)
    tokens = tokens + positions.reshape(patches, dim)
    first = np.broadcast_to(first, (*batch, 1, dim))
    return np.concatenate([first, tokens], axis=-2)


def read_image(
    images: Images, model: VisionTransformer, *, heads: int
) -> Tokens:
    r"""Return the class token and the patches after they read one another.

    .. math:: z'_l = z_{l-1} + \mathrm{attend}(\mathrm{norm}(z_{l-1})), \qquad
              z_l = z'_l + \mathrm{feed}(\mathrm{norm}(z'_l)), \qquad
              y = \mathrm{norm}(z_L)

    Nothing is masked: every patch sees every other.

    Source: Dosovitskiy et al. (2021), eq. 2 and 3, and the norm of eq. 4.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=4, hidden=5, layers=2, classes=7)
    >>> model = new_vision_transformer(sizes, seed=0)
    >>> read_image(np.ones((3, 1, 4, 6)), model, heads=2).shape
    (3, 7, 4)
    """
    return encoder(image_tokens(images, model), model.stack, heads=heads)


def class_logits(
    images: Images, model: VisionTransformer, *, heads: int
) -> Logits:
    r"""Return the logits of each image, told from its class token.

    .. math:: \ell = y_0 W + b

    The class token starts the same for all images; whatever it knows in
    the end it has read in the patches.

    Source: Dosovitskiy et al. (2021), eq. 4.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=4, hidden=5, layers=2, classes=7)
    >>> model = new_vision_transformer(sizes, seed=0)
    >>> class_logits(np.ones((3, 1, 4, 6)), model, heads=2).shape
    (3, 7)
    """
    logits = project(
        read_image(images, model, heads=heads), model.w_head, model.b_head
    )
    return logits[..., 0, :]


def mean_logits(
    images: Images, model: VisionTransformer, *, heads: int
) -> Logits:
    r"""Return the logits of each image, told from the mean of its patches.

    .. math:: \ell = \Big(\frac{1}{N} \sum_{n=1}^{N} y_n\Big) W + b

    The class token has no part in the mean; the patches can read it.

    Source: Dosovitskiy et al. (2021), appendix D.3.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=4, hidden=5, layers=2, classes=7)
    >>> model = new_vision_transformer(sizes, seed=0)
    >>> mean_logits(np.ones((3, 1, 4, 6)), model, heads=2).shape
    (3, 7)
    """
    patches = read_image(images, model, heads=heads)[..., 1:, :]
    if not patches.shape[-2]:
        raise ValueError("images must have at least one patch: got none")
    mean = np.mean(patches, axis=-2, keepdims=True)
    return project(mean, model.w_head, model.b_head)[..., 0, :]


def resized(
    model: VisionTransformer, *, height: int, width: int
) -> VisionTransformer:
    r"""Return the model for images of another size, in pixels.

    .. math:: P' = \mathrm{interpolate}(P)

    The patches keep their side, so there are more or fewer of them; only
    their positions change. All other numbers are shared with `model`.

    Source: Dosovitskiy et al. (2021), section 3.2.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=3, hidden=5, layers=0, classes=7)
    >>> model = new_vision_transformer(sizes, seed=0)
    >>> resized(model, height=8, width=10).positions.shape
    (4, 5, 3)
    """
    height, width = count("height", height), count("width", width)
    rows, columns = grid_of(height, width, patch=_patch(model))
    table = interpolate_positions(model.positions, rows=rows, columns=columns)
    return replace(model, positions=table)


def new_vision_transformer(
    sizes: VisionSizes, *, seed: int
) -> VisionTransformer:
    r"""Return an untrained model, as its layers start by themselves.

    .. math:: p,\ x_{class} \sim \mathrm{normal}(0,\, 0.02^2)

    The kernel starts as a matrix of a layer does. The head starts at zero,
    so that at first every class has the same logit.

    Source: Glorot & Bengio (2010), "Understanding the difficulty of
    training deep feedforward neural networks", eq. 16, for the kernel;
    Dosovitskiy et al. (2021), section 3.2, for the head, and the released
    code for the positions.

    Examples
    --------
    >>> sizes = VisionSizes(4, 6, 1, 2, dim=3, hidden=5, layers=2, classes=7)
    >>> len(new_vision_transformer(sizes, seed=0).stack.layers)
    2
    """
    rng = np.random.default_rng(count("seed", seed, least=0))
    patch, dim = count("patch", sizes.patch), count("dim", sizes.dim)
    rows, columns = grid_of(sizes.height, sizes.width, patch=patch)
    shape = (dim, count("channels", sizes.channels), patch, patch)
    bound = np.sqrt(6 / (dim + np.prod(shape[1:])))
    layers = count("layers", sizes.layers, least=0)
    seeds = rng.integers(np.iinfo(np.int64).max, size=layers)
    norm = NormWeights(np.ones(dim), np.zeros(dim))
    return VisionTransformer(
        rng.uniform(-bound, bound, size=shape),
        np.zeros(dim),
        rng.normal(scale=0.02, size=(rows, columns, dim)),
        rng.normal(scale=0.02, size=dim),
        Stack(
            [_new_layer(sizes, each) for each in seeds],
            pre_norm_encoder_layer,
            norm,
        ),
        np.zeros((dim, count("classes", sizes.classes))),
        np.zeros(sizes.classes),
    )


def _patch(model: VisionTransformer) -> int:
    """Return the side of a patch in pixels."""
    *_, patch = exactly("kernel", model.kernel, KERNEL).shape
    return patch


def _new_layer(sizes: VisionSizes, seed: int) -> EncoderLayer:
    """Return an encoder layer with the activation of the paper."""
    layer = new_encoder_layer(width=sizes.dim, hidden=sizes.hidden, seed=seed)
    return replace(
        layer, feed_forward=replace(layer.feed_forward, activation=gelu)
    )
