"""Attention layers without some of their heads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from attncourse.reference.compress_int8 import require_matrix
from attncourse.reference.heads_parts import Projections
from attncourse.shapes import Array, boolean, real, require_equal


def prune_heads(layer: Projections, mask: Bool[Array, "heads"]) -> Projections:
    r"""Return a smaller layer, without the heads where the mask is False.

    .. math:: Y = \sum_{h : M_h} Z_h W_O^{(h)} + b_O

    What it computes is what the whole layer computes after the rows of
    those heads in the output matrix are set to zero.

    Parameters
    ----------
    layer : every head with keys of its own.
    mask : True at the heads that stay.

    Source: Voita et al. (2019), "Analyzing Multi-Head Self-Attention:
    Specialized Heads Do the Heavy Lifting, the Rest Can Be Pruned".

    Examples
    --------
    >>> layer = Projections(*np.ones((4, 6, 6)))
    >>> smaller = prune_heads(layer, [True, False, True])
    >>> smaller.w_query.shape, smaller.w_output.shape
    ((6, 4), (4, 6))
    """
    mask = boolean("mask", mask, "heads")
    if mask.ndim != 1 or not len(mask):
        raise ValueError(
            "mask must have one axis, of at least one head: "
            f"got shape {mask.shape}"
        )
    w = {
        name: require_matrix(f"w_{name}", getattr(layer, f"w_{name}"))
        for name in ("query", "key", "value", "output")
    }
    # Shared keys have fewer columns.
    require_equal(
        "columns", w_query=w["query"].shape[1], w_key=w["key"].shape[1]
    )
    require_equal(
        "heads", w_value=w["value"].shape[1], w_output=len(w["output"])
    )
    changes: dict[str, Any] = {}
    for name in ("query", "key", "value"):
        stays = _columns(mask, w[name].shape[1])
        changes[f"w_{name}"] = w[name][:, stays]
        bias = getattr(layer, f"b_{name}")
        if bias is not None:
            bias = real(f"b_{name}", bias, "columns")
            require_equal("columns", bias=len(bias), weight=len(stays))
            bias = bias[stays]
        changes[f"b_{name}"] = bias
    stays = _columns(mask, len(w["output"]))
    return replace(layer, **changes, w_output=w["output"][stays])


def _columns(mask: Array, columns: int) -> Bool[Array, "columns"]:
    """Return the mask of each head's columns."""
    if columns % len(mask):
        raise ValueError(
            "columns must split evenly into heads: "
            f"got columns={columns}, heads={len(mask)}"
        )
    return np.repeat(mask, columns // len(mask))
