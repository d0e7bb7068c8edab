"""The matrices of a layer, and how their columns are dealt to heads."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.reference.heads_parts import Projections
from attncourse.shapes import count, require_equal

__all__ = [
    "Projections",
    "merge_heads",
    "project",
    "project_heads",
    "projections_of",
    "split_heads",
]

Tokens = Float[Tensor, "*#batch tokens width"]
Split = Float[Tensor, "*#batch heads tokens dim"]
Groups = Float[Tensor, "*#batch groups context_tokens dim"]
# What is attended to may have a length and a width of its own.
Context = Float[Tensor, "*#batch context_tokens context_width"]


def projections_of(layer: torch.nn.MultiheadAttention) -> Projections:
    """Return the numbers of torch's own layer, as this course holds them.

    They are views: training the layer trains what is returned. torch
    stores each matrix transposed, and often the first three in one.

    Source: the parameters' names and shapes in PyTorch's documentation; tests
    compare both layers.

    Examples
    --------
    >>> layer = torch.nn.MultiheadAttention(6, num_heads=2)
    >>> projections_of(layer).w_key.shape
    torch.Size([6, 6])
    """
    if layer.bias_k is not None or layer.add_zero_attn:
        raise ValueError(
            "layer must not add keys of its own: "
            "got add_bias_kv or add_zero_attn"
        )
    width = layer.embed_dim
    # Slices, not chunks: a step of an optimiser must reach them.
    thirds = [slice(n * width, (n + 1) * width) for n in range(3)]
    stacked, bias = layer.in_proj_weight, layer.in_proj_bias
    if stacked is None:
        rows = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight]
    else:
        rows = [stacked[third] for third in thirds]
    b_query, b_key, b_value = (
        None if bias is None else bias[third] for third in thirds
    )
    w_query, w_key, w_value = (matrix.T for matrix in rows)
    return Projections(
        w_query,
        w_key,
        w_value,
        layer.out_proj.weight.T,
        b_query,
        b_key,
        b_value,
        layer.out_proj.bias,
    )


def project(
    x: Tokens,
    weight: Float[Tensor, "width out_width"],
    bias: Float[Tensor, "out_width"] | None = None,
) -> Tokens:
    r"""Return every row of `x` times one matrix, plus one bias.

    .. math:: Y = X W + b

    Source: as in `reference.heads.project`.

    Examples
    --------
    >>> project(torch.ones(3, 2), torch.ones(2, 5)).shape
    torch.Size([3, 5])
    """
    _require_real("x", x, "tokens width")
    _require_real("weight", weight)
    if weight.dtype != x.dtype:
        raise TypeError(
            "x and weight must have one dtype: "
            f"got {x.dtype} and {weight.dtype}"
        )
    if weight.ndim != 2:
        raise ValueError(
            f"weight must have two axes: got shape {tuple(weight.shape)}"
        )
    require_equal("width", x=x.shape[-1], weight=weight.shape[0])
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ValueError(
            "bias must have one number for each column of weight: "
            f"got bias {tuple(bias.shape)}, weight {tuple(weight.shape)}"
        )
    return torch.nn.functional.linear(x, weight.T, bias)


def split_heads(x: Tokens, *, heads: int) -> Split:
    """Return the columns of `x` dealt out to the heads, in blocks; a view.

    Source: as in `reference.heads.split_heads`.

    Examples
    --------
    >>> split_heads(torch.ones(3, 10), heads=5).shape
    torch.Size([5, 3, 2])
    """
    heads = count("heads", heads)
    _require_real("x", x, "tokens width")
    width = x.shape[-1]
    if width % heads:
        raise ValueError(
            "width must split evenly into heads: "
            f"got width={width}, heads={heads}"
        )
    return x.unflatten(-1, (heads, width // heads)).transpose(-2, -3)


def merge_heads(x: Split) -> Tokens:
    """Return the heads side by side again, one row a token.

    Source: as in `reference.heads.merge_heads`.

    Examples
    --------
    >>> merge_heads(torch.ones(5, 3, 2)).shape
    torch.Size([3, 10])
    """
    _require_real("x", x, "heads tokens dim")
    return x.transpose(-2, -3).flatten(-2)


def project_heads(
    x: Tokens,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    groups: int | None = None,
) -> tuple[Split, Groups, Groups]:
    """Return the queries of `x`, and keys and values of `context`, by head.

    Keys and values have `groups` heads, as many as the queries if None.

    Source: as in `reference.heads.project_heads`.

    Examples
    --------
    >>> x, layer = torch.ones(5, 6), Projections(*torch.zeros(4, 6, 6))
    >>> project_heads(x, x, layer, heads=2)[0].shape
    torch.Size([2, 5, 3])
    """
    p = projections
    groups = heads if groups is None else groups
    q = project(x, p.w_query, p.b_query)
    k = project(context, p.w_key, p.b_key)
    v = project(context, p.w_value, p.b_value)
    return (
        split_heads(q, heads=heads),
        split_heads(k, heads=groups),
        split_heads(v, heads=groups),
    )


def _require_real(name: str, value: Tensor, axes: str = "") -> None:
    """Require a floating-point tensor with the named trailing axes."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    require_axes(name, value, axes)


def require_axes(name: str, value: Tensor, axes: str) -> None:
    """Require the named trailing axes."""
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )
