"""Many heads in torch: the contracts of `attncourse.reference.heads`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.dense import attention
from attncourse.reference.heads_parts import Projections
from attncourse.shapes import SCORES, count, require_equal

__all__ = [
    "Projections",
    "grouped_attention",
    "grouped_query_attention",
    "mask_every_head",
    "merge_heads",
    "multi_head_attention",
    "multi_query_attention",
    "project",
    "project_heads",
    "projections_of",
    "split_heads",
]

Tokens = Float[Tensor, "*#batch tokens width"]
Split = Float[Tensor, "*#batch heads tokens dim"]
Groups = Float[Tensor, "*#batch groups tokens dim"]
Mask = Bool[Tensor, SCORES]


def projections_of(layer: torch.nn.MultiheadAttention) -> Projections:
    """Return the numbers of torch's own layer, as this course holds them.

    They are views: training the layer trains what is returned. torch
    stores each matrix transposed, and often the first three in one.

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

    Examples
    --------
    >>> project(torch.ones(3, 2), torch.ones(2, 5)).shape
    torch.Size([3, 5])
    """
    _require_axes("x", x, "tokens width")
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

    Examples
    --------
    >>> split_heads(torch.ones(3, 10), heads=5).shape
    torch.Size([5, 3, 2])
    """
    heads = count("heads", heads)
    _require_axes("x", x, "tokens width")
    width = x.shape[-1]
    if width % heads:
        raise ValueError(
            "width must split evenly into heads: "
            f"got width={width}, heads={heads}"
        )
    return x.unflatten(-1, (heads, width // heads)).transpose(-2, -3)


def merge_heads(x: Split) -> Tokens:
    """Return the heads side by side again, one row a token.

    Examples
    --------
    >>> merge_heads(torch.ones(5, 3, 2)).shape
    torch.Size([3, 10])
    """
    _require_axes("x", x, "heads tokens dim")
    return x.transpose(-2, -3).flatten(-2)


def project_heads(
    x: Tokens,
    context: Tokens,
    projections: Projections,
    *,
    heads: int,
    groups: int | None = None,
) -> tuple[Split, Groups, Groups]:
    """Return the queries of `x`, and keys and values of `context`, by head.

    Keys and values have `groups` heads, as many as the queries if None.

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


def mask_every_head(mask: Mask | None) -> Mask | None:
    """Return `mask` with an axis for the heads: all of them get the same.

    Examples
    --------
    >>> mask_every_head(torch.ones(2, 5, 7, dtype=torch.bool)).shape
    torch.Size([2, 1, 5, 7])
    """
    if mask is None:
        return None
    _require_axes("mask", mask, "queries keys")
    return mask[..., None, :, :]


def multi_head_attention(
    x: Tokens,
    context: Tokens,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return, for each token of `x`, what all heads read in `context`.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O

    The mask, shape (..., queries, keys), holds for every head.

    Examples
    --------
    >>> layer = Projections(*torch.eye(4).repeat(4, 1, 1))
    >>> x, context = torch.ones(3, 4), torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    >>> multi_head_attention(x, context, layer, heads=2)[0].tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    q, k, v = project_heads(x, context, projections, heads=heads)
    read = attention(q, k, v, mask=mask_every_head(mask))
    return project(
        merge_heads(read), projections.w_output, projections.b_output
    )


def grouped_attention(
    q: Split, k: Groups, v: Groups, *, mask: Mask | None = None
) -> Split:
    """Return attention in which neighbouring heads share keys and values.

    Of the heads of `q`, the first heads / groups read the first head of
    `k` and `v`, and so on. The mask broadcasts against
    (..., heads, queries, keys).

    Examples
    --------
    >>> q, k = torch.zeros(6, 5, 2), torch.zeros(3, 7, 2)
    >>> grouped_attention(q, k, k).shape
    torch.Size([6, 5, 2])
    """
    _require_axes("q", q, "heads queries dim")
    _require_axes("k", k, "groups keys dim")
    _require_axes("v", v, "groups keys value_dim")
    heads, groups = q.shape[-3], k.shape[-3]
    require_equal("groups", k=groups, v=v.shape[-3])
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    sizes = (groups, heads // groups)
    if mask is not None:
        _require_axes("mask", mask, "queries keys")
        every = (*mask.shape[:-3], heads, *mask.shape[-2:])
        mask = mask.expand(every).unflatten(-3, sizes)
    read = attention(
        q.unflatten(-3, sizes),
        k[..., None, :, :],
        v[..., None, :, :],
        mask=mask,
    )
    return read.flatten(-4, -3)


def grouped_query_attention(
    x: Tokens,
    context: Tokens,
    projections: Projections,
    *,
    heads: int,
    groups: int,
    mask: Mask | None = None,
) -> Tokens:
    """Return multi-head attention whose heads share keys by the group.

    Examples
    --------
    >>> w, narrow, x = torch.ones(6, 6), torch.ones(6, 2), torch.ones(5, 6)
    >>> layer = Projections(w, narrow, narrow, w)
    >>> grouped_query_attention(x, x, layer, heads=6, groups=2).shape
    torch.Size([5, 6])
    """
    q, k, v = project_heads(
        x, context, projections, heads=heads, groups=groups
    )
    read = grouped_attention(q, k, v, mask=mask_every_head(mask))
    return project(
        merge_heads(read), projections.w_output, projections.b_output
    )


def multi_query_attention(
    x: Tokens,
    context: Tokens,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    """Return multi-head attention whose heads all share one set of keys.

    Examples
    --------
    >>> w, narrow, x = torch.ones(6, 6), torch.ones(6, 2), torch.ones(5, 6)
    >>> layer = Projections(w, narrow, narrow, w)
    >>> multi_query_attention(x, x, layer, heads=3).shape
    torch.Size([5, 6])
    """
    return grouped_query_attention(
        x, context, projections, heads=heads, groups=1, mask=mask
    )


def _require_axes(name: str, value: Tensor, axes: str) -> None:
    """Require the named trailing axes."""
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )
