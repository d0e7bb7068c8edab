"""Many heads in torch: the contracts of `attncourse.reference.heads`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float

from attncourse.fast.dense import attention
from attncourse.fast.heads_parts import (
    Context,
    Projections,
    Tokens,
    merge_heads,
    project,
    project_heads,
    projections_of,
    require_axes,
    split_heads,
)
from attncourse.shapes import SCORES, require_equal

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

HeadQueries = Float[torch.Tensor, "*#batch heads queries dim"]
GroupKeys = Float[torch.Tensor, "*#batch groups keys dim"]
GroupValues = Float[torch.Tensor, "*#batch groups keys value_dim"]
HeadOutput = Float[torch.Tensor, "*#batch heads queries value_dim"]
Mask = Bool[torch.Tensor, SCORES]


def mask_every_head(mask: Mask | None) -> Mask | None:
    """Return `mask` with an axis for the heads: all of them get the same.

    Source: as in `reference.heads.mask_every_head`.

    Examples
    --------
    >>> mask_every_head(torch.ones(2, 5, 7, dtype=torch.bool)).shape
    torch.Size([2, 1, 5, 7])
    """
    if mask is None:
        return None
    require_axes("mask", mask, "queries keys")
    return mask[..., None, :, :]


def multi_head_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return, for each token of `x`, what all heads read in `context`.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O

    The mask, shape (..., queries, keys), holds for every head.

    Source: as in `reference.heads.multi_head_attention`.

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
    q: HeadQueries,
    k: GroupKeys,
    v: GroupValues,
    *,
    mask: Mask | None = None,
) -> HeadOutput:
    """Return attention in which neighbouring heads share keys and values.

    Of the heads of `q`, the first heads / groups read the first head of
    `k` and `v`, and so on. The mask broadcasts against
    (..., heads, queries, keys).

    Source: as in `reference.heads.grouped_attention`.

    Examples
    --------
    >>> q, k = torch.zeros(6, 5, 2), torch.zeros(3, 7, 2)
    >>> grouped_attention(q, k, k).shape
    torch.Size([6, 5, 2])
    """
    require_axes("q", q, "heads queries dim")
    require_axes("k", k, "groups keys dim")
    require_axes("v", v, "groups keys value_dim")
    heads, groups = q.shape[-3], k.shape[-3]
    require_equal("groups", k=groups, v=v.shape[-3])
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    sizes = (groups, heads // groups)
    if mask is not None:
        require_axes("mask", mask, "queries keys")
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
    context: Context,
    projections: Projections,
    *,
    heads: int,
    groups: int,
    mask: Mask | None = None,
) -> Tokens:
    """Return multi-head attention whose heads share keys by the group.

    Source: as in `reference.heads.grouped_query_attention`.

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
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    """Return multi-head attention whose heads all share one set of keys.

    Source: as in `reference.heads.multi_query_attention`.

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
