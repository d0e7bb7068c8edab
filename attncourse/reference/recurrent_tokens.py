"""Tokens: their rows of a table, and the places where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from attncourse.shapes import (
    Array,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

__all__ = ["embed", "masked_tokens"]  # `whole_tokens` checks for others

Sequence = Float[Array, "*#batch tokens input_width"]
TokenMask = Bool[Array, "*#batch tokens"]


def embed(
    tokens: Int[Array, "*batch"],
    table: Float[Array, "vocabulary width"],
) -> Float[Array, "*batch width"]:
    r"""Return the row of the table that belongs to each token.

    .. math:: x_t = E_{y_t}

    It is the product of a one-hot vector with the table, without the
    zeros.

    Source: Bengio et al. (2003), "A Neural Probabilistic Language Model",
    section 2.

    Examples
    --------
    >>> embed([2, 0], [[1, 2], [3, 4], [5, 6]]).tolist()
    [[5.0, 6.0], [1.0, 2.0]]
    """
    tokens, table = whole_tokens("tokens", tokens), real("table", table)
    if table.ndim != 2:
        raise ValueError(
            "table must have two axes, (vocabulary, width): "
            f"got shape {table.shape}"
        )
    outside = tokens[(tokens < 0) | (tokens >= len(table))]
    if outside.size:
        raise ValueError(
            f"tokens must lie in the vocabulary, 0 to {len(table) - 1}: "
            f"got {outside[0]}"
        )
    return table[tokens]


def masked_tokens(
    x: Sequence,
    mask: TokenMask | None,
    *,
    name: str = "x",
    axis: str = "tokens",
) -> tuple[Float[Array, "*batch tokens input_width"], Bool[Array, "*batch _"]]:
    """Return tokens that are zero where there is none, and a whole mask.

    `name` and `axis` are what an error message calls them.

    Source: the course's contract of masks; the mask of the tokens' own
    leading axes is `masks.padding_mask` without its axis of queries.

    Examples
    --------
    >>> x, mask = masked_tokens([[5.0], [np.nan]], [True, False])
    >>> x.tolist(), mask.tolist()
    ([[5.0], [0.0]], [True, False])
    """
    x = real(name, x, f"{axis} width")
    tokens = x.shape[-2]
    if mask is None:
        return x, np.ones(x.shape[:-1], bool)
    mask = boolean("mask", mask, axis)
    require_equal(axis, **{name: tokens, "mask": mask.shape[-1]})
    shapes = {name: x.shape[:-2], "mask": mask.shape[:-1]}
    mask = np.broadcast_to(mask, (*require_broadcast(**shapes), tokens))
    return np.where(mask[..., None], x, 0.0), mask


def whole_tokens(
    name: str, value: Any, axes: str = ""
) -> Int[Array, "*batch"]:
    """Return `value` as whole numbers and require the named trailing axes.

    Raises
    ------
    TypeError
        If it holds anything else, or is a ragged list.
    ValueError
        If it has fewer axes than named.
    """
    try:
        tokens = np.asarray(value)
    except ValueError as error:
        raise TypeError(
            f"{name} must be an array of whole numbers: {error}"
        ) from None
    # An empty list has no numbers and so no type of its own.
    if tokens.size and tokens.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be whole numbers: got dtype {tokens.dtype}"
        )
    if tokens.ndim < len(axes.split()):
        wanted = ", ".join(["...", *axes.split()])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tokens.shape}"
        )
    return tokens.astype(np.int64)
