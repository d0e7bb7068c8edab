"""The parts of a layer: its matrices, and dealing columns to the heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.shapes import Array, count, real, require_equal

Tokens = Float[Array, "*#batch tokens width"]
Split = Float[Array, "*#batch heads tokens dim"]
Groups = Float[Array, "*#batch groups context_tokens dim"]
# What is attended to may have a length and a width of its own.
Context = Float[Array, "*#batch context_tokens context_width"]


@dataclass(frozen=True)
class Projections:
    """The trained numbers of one layer: four matrices and their biases.

    Parameters
    ----------
    w_query : shape (width, heads * dim); head h owns the columns from
        h * dim to (h + 1) * dim.
    w_key : shape (context_width, groups * dim); one group a head unless
        the heads share keys.
    w_value : shape (context_width, groups * value_dim).
    w_output : shape (heads * value_dim, out_width); head h owns rows.
    b_query, b_key, b_value, b_output : one number for each column of the
        matrix, or None.

    Examples
    --------
    >>> layer = Projections(*np.zeros((4, 6, 6)))
    >>> layer.b_query is None
    True
    """

    w_query: Any
    w_key: Any
    w_value: Any
    w_output: Any
    b_query: Any = None
    b_key: Any = None
    b_value: Any = None
    b_output: Any = None


def project(
    x: Tokens,
    weight: Float[Array, "width out_width"],
    bias: Float[Array, "out_width"] | None = None,
) -> Float[Array, "*#batch tokens out_width"]:
    r"""Return every row of `x` times one matrix, plus one bias.

    .. math:: Y = X W + b

    One row goes in and one comes out for each token; no token sees another.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.2 (without the bias).

    Examples
    --------
    >>> project([[1, 2]], [[1, 0, 1], [0, 1, 1]], [0, 0, 10]).tolist()
    [[1.0, 2.0, 13.0]]
    """
    x = real("x", x, "tokens width")
    weight = real("weight", weight, "width out_width")
    if weight.ndim != 2:
        raise ValueError(
            f"weight must have two axes: got shape {weight.shape}"
        )
    require_equal("width", x=x.shape[-1], weight=weight.shape[0])
    y = x @ weight
    if bias is None:
        return y
    bias = real("bias", bias)
    if bias.shape != weight.shape[1:]:
        raise ValueError(
            "bias must have one number for each column of weight: "
            f"got bias {bias.shape}, weight {weight.shape}"
        )
    return y + bias


def split_heads(x: Tokens, *, heads: int) -> Split:
    """Return the columns of `x` dealt out to the heads, in blocks.

    Head h gets the columns from h * dim to (h + 1) * dim of every token.
    The reshape alone names those blocks; the swap then puts the heads
    before the tokens, where a leading axis is a separate computation.

    Source: Vaswani et al. (2017), section 3.2.2.

    Examples
    --------
    >>> split_heads([[1, 2, 3, 4], [5, 6, 7, 8]], heads=2).tolist()
    [[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]
    """
    x = real("x", x, "tokens width")
    heads = count("heads", heads)
    *batch, tokens, width = x.shape
    if width % heads:
        raise ValueError(
            "width must split evenly into heads: "
            f"got width={width}, heads={heads}"
        )
    blocks = x.reshape(*batch, tokens, heads, width // heads)
    return np.swapaxes(blocks, -2, -3)


def merge_heads(x: Split) -> Tokens:
    """Return the heads side by side again, one row a token.

    It undoes `split_heads`: head h fills columns h * dim to (h + 1) * dim.

    Source: Vaswani et al. (2017), section 3.2.2, Concat.

    Examples
    --------
    >>> merge_heads([[[1, 2], [5, 6]], [[3, 4], [7, 8]]]).tolist()
    [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    """
    x = real("x", x, "heads tokens dim")
    *batch, heads, tokens, dim = x.shape
    blocks = np.swapaxes(x, -2, -3)
    return blocks.reshape(*batch, tokens, heads * dim)


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

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.2;
    with fewer groups, Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> x, layer = np.ones((5, 6)), Projections(*np.zeros((4, 6, 6)))
    >>> [part.shape for part in project_heads(x, x, layer, heads=2)]
    [(2, 5, 3), (2, 5, 3), (2, 5, 3)]
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
