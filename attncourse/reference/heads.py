"""Many heads: multi-head, grouped-query and multi-query attention.

One layer is four matrices. Three of them turn tokens into queries, keys
and values, of which every head owns a block of columns; the fourth turns
what the heads have read, side by side, back into a token. The matrices and
the dealing of columns are in `heads_parts`; what a layer costs is counted
in `heads_counts`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.reference.dense import attention, attention_weights
from attncourse.reference.heads_counts import (
    cache_count,
    flop_count,
    parameter_count,
    score_count,
)
from attncourse.reference.heads_parts import (
    Context,
    Projections,
    Split,
    Tokens,
    merge_heads,
    project,
    project_heads,
    split_heads,
)
from attncourse.shapes import (
    Array,
    Mask,
    boolean,
    real,
    require_equal,
)

__all__ = [
    "Projections",
    "cache_count",
    "flop_count",
    "grouped_attention",
    "grouped_query_attention",
    "head_weights",
    "mask_every_head",
    "merge_heads",
    "multi_head_attention",
    "multi_query_attention",
    "parameter_count",
    "project",
    "project_heads",
    "score_count",
    "split_heads",
]

HeadQueries = Float[Array, "*#batch heads queries dim"]
GroupKeys = Float[Array, "*#batch groups keys dim"]
GroupValues = Float[Array, "*#batch groups keys value_dim"]
HeadOutput = Float[Array, "*#batch heads queries value_dim"]
HeadWeights = Float[Array, "*#batch heads queries keys"]


def mask_every_head(mask: Mask | None) -> Mask | None:
    """Return `mask` with an axis for the heads: all of them get the same.

    Without that axis a mask of shape (batch, queries, keys) would be read
    as one mask a head, silently where batch and heads happen to agree.

    Source: broadcasting against scores of shape (batch, heads, queries, keys).

    Examples
    --------
    >>> mask_every_head(np.ones((2, 5, 7), bool)).shape
    (2, 1, 5, 7)
    """
    if mask is None:
        return None
    return boolean("mask", mask, "queries keys")[..., None, :, :]


def multi_head_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> Tokens:
    r"""Return, for each token of `x`, what all heads read in `context`.

    .. math:: Y = [Z_1, \dots, Z_h]\, W_O + b_O, \qquad
              Z_r = \mathrm{attention}(Q_r, K_r, V_r)

    Parameters
    ----------
    x : tokens that ask, shape (..., queries, width).
    context : tokens that are read, shape (..., keys, context_width); `x`
        itself for self-attention.
    mask : shape (..., queries, keys), leading axes as those of `x`; it
        holds for every head. A token that sees nothing reads zeros, so
        that only the output bias is left of it.

    Source: Vaswani et al. (2017), section 3.2.2.

    Examples
    --------
    >>> layer = Projections(*np.stack([np.eye(4)] * 4))
    >>> multi_head_attention(np.ones((3, 4)), [[1, 2, 3, 4]], layer, heads=2)[
    ...     0
    ... ].tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    q, k, v = project_heads(x, context, projections, heads=heads)
    read = attention(q, k, v, mask=mask_every_head(mask))
    return project(
        merge_heads(read), projections.w_output, projections.b_output
    )


def head_weights(
    x: Tokens,
    context: Context,
    projections: Projections,
    *,
    heads: int,
    mask: Mask | None = None,
) -> HeadWeights:
    """Return the weight matrix of each head of `multi_head_attention`.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.2.

    Examples
    --------
    >>> layer = Projections(*np.stack([np.eye(4)] * 4))
    >>> head_weights(np.ones((3, 4)), np.ones((5, 4)), layer, heads=2).shape
    (2, 3, 5)
    """
    q, k, _ = project_heads(x, context, projections, heads=heads)
    return attention_weights(q, k, mask=mask_every_head(mask))


def grouped_attention(
    q: HeadQueries, k: GroupKeys, v: GroupValues, *, mask: Mask | None = None
) -> HeadOutput:
    """Return attention in which neighbouring heads share keys and values.

    Of the heads of `q`, the first heads / groups read the first head of
    `k` and `v`, the next as many the second, and so on. Nothing is
    repeated: the queries of one group stand on an axis of their own, and
    the keys broadcast along it.

    Parameters
    ----------
    q : shape (..., heads, queries, dim), heads a multiple of groups.
    k, v : shapes (..., groups, keys, dim) and (..., groups, keys, value_dim).
    mask : broadcasts against (..., heads, queries, keys).

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = np.zeros((6, 5, 2)), np.zeros((3, 7, 2))
    >>> grouped_attention(q, k, k).shape
    (6, 5, 2)
    """
    q = real("q", q, "heads queries dim")
    k = real("k", k, "groups keys dim")
    v = real("v", v, "groups keys value_dim")
    heads, groups = q.shape[-3], k.shape[-3]
    require_equal("groups", k=groups, v=v.shape[-3])
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    if mask is not None:
        mask = boolean("mask", mask, "queries keys")
        every = (*mask.shape[:-3], heads, *mask.shape[-2:])
        mask = _by_group(np.broadcast_to(mask, every), groups)
    read = attention(
        _by_group(q, groups),
        k[..., None, :, :],
        v[..., None, :, :],
        mask=mask,
    )
    return read.reshape(*read.shape[:-4], heads, *read.shape[-2:])


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

    With one group a head it is `multi_head_attention`; see there.

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> w, narrow = np.ones((6, 6)), np.ones((6, 2))
    >>> layer = Projections(w, narrow, narrow, w)
    >>> x = np.ones((5, 6))
    >>> grouped_query_attention(x, x, layer, heads=6, groups=2).shape
    (5, 6)
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

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 3.

    Examples
    --------
    >>> w, narrow = np.ones((6, 6)), np.ones((6, 2))
    >>> layer = Projections(w, narrow, narrow, w)
    >>> multi_query_attention(np.ones((5, 6)), w, layer, heads=3).shape
    (5, 6)
    """
    return grouped_query_attention(
        x, context, projections, heads=heads, groups=1, mask=mask
    )


def _by_group(x: Split, groups: int) -> Float[Array, "..."]:
    """Return the axis of heads split into groups and heads of a group."""
    *batch, heads, rows, columns = x.shape
    return x.reshape(*batch, groups, heads // groups, rows, columns)
