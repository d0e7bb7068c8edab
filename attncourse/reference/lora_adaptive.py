"""AdaLoRA: low-rank updates that share one budget of ranks.

An update is written like a singular value decomposition, P Λ Q: each
*triplet* is a column of P, a number and a row of Q. Setting the number to
zero removes the triplet, and keeps what P and Q have learned in case it
comes back. Which triplets of all matrices stay is decided in `lora_budget`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.heads_parts import Tokens, project
from attncourse.reference.lora_parts import exactly
from attncourse.shapes import Array, boolean, count, require_equal

# `checked_triplets` is for the modules next to this one.
__all__ = [
    "Triplets",
    "adaptive_project",
    "new_triplets",
    "orthogonality_penalty",
    "prune_triplets",
]

Matrix = Float[Array, "width out_width"]


class Triplets(NamedTuple):
    """The trained numbers of one update.

    `left` has shape (width, rank), `values` (rank,), `right`
    (rank, out_width).
    """

    left: Any
    values: Any
    right: Any


def new_triplets(
    *, width: int, out_width: int, rank: int, seed: int
) -> Triplets:
    r"""Return an untrained update: its values are zero.

    .. math:: P_{ij}, Q_{ij} \sim N(0, 1 / d), \qquad \Lambda = 0

    with d the length of a column of P or of a row of Q, so that each has
    a length near one.

    Source: Zhang et al. (2023), "AdaLoRA: Adaptive Budget Allocation for
    Parameter-Efficient Fine-Tuning", section 3.1; the variance is this
    course's choice.

    Examples
    --------
    >>> update = new_triplets(width=6, out_width=5, rank=2, seed=0)
    >>> update.left.shape, update.values.tolist(), update.right.shape
    ((6, 2), [0.0, 0.0], (2, 5))
    """
    width, rank = count("width", width), count("rank", rank)
    out_width = count("out_width", out_width)
    rng = np.random.default_rng(seed)
    return Triplets(
        rng.normal(size=(width, rank)) / math.sqrt(width),
        np.zeros(rank),
        rng.normal(size=(rank, out_width)) / math.sqrt(out_width),
    )


def adaptive_project(
    x: Tokens,
    weight: Matrix,
    update: Triplets,
    bias: Float[Array, "out_width"] | None = None,
) -> Float[Array, "*#batch tokens out_width"]:
    r"""Return every token times a matrix and its update.

    .. math:: Y = X W + X P \Lambda Q + b

    Source: Zhang et al. (2023), section 3.1.

    Examples
    --------
    >>> update = Triplets([[1], [2]], [10], [[3, 4]])
    >>> adaptive_project([[1, 1]], np.eye(2), update).tolist()
    [[91.0, 121.0]]
    """
    left, values, right = checked_triplets(update)
    weight = exactly("weight", weight, "width out_width")
    require_equal("width", weight=weight.shape[0], left=left.shape[0])
    require_equal("out_width", weight=weight.shape[1], right=right.shape[1])
    return project(x, weight, bias) + project(project(x, left) * values, right)


def orthogonality_penalty(update: Triplets) -> float:
    r"""Return how far P and Q are from having orthonormal directions.

    .. math:: \lVert P^\top P - I \rVert_F^2 +
              \lVert Q Q^\top - I \rVert_F^2

    Added to the loss, it keeps triplets apart, so that one can be removed
    without the others.

    Source: Zhang et al. (2023), section 3.1.

    Examples
    --------
    >>> orthogonality_penalty(Triplets([[1], [0]], [0], [[0, 2]]))
    9.0
    """
    left, values, right = checked_triplets(update)
    unit = np.eye(len(values))
    apart = np.square(left.T @ left - unit), np.square(right @ right.T - unit)
    return float(sum(each.sum() for each in apart))


def prune_triplets(update: Triplets, keep: Bool[Array, "rank"]) -> Triplets:
    r"""Return the update with the values of the other triplets zero.

    .. math:: \lambda_i \leftarrow \lambda_i\,[\, \text{keep}_i \,]

    Source: Zhang et al. (2023), section 3.2.

    Examples
    --------
    >>> update = Triplets(np.ones((4, 2)), [3.0, 5.0], np.ones((2, 4)))
    >>> prune_triplets(update, [False, True]).values.tolist()
    [0.0, 5.0]
    """
    left, values, right = checked_triplets(update)
    keep = boolean("keep", keep, "rank")
    if keep.ndim != 1:
        raise ValueError(f"keep must have axes (rank): got shape {keep.shape}")
    require_equal("rank", keep=len(keep), values=len(values))
    return Triplets(left, np.where(keep, values, 0.0), right)


def checked_triplets(update: Triplets) -> tuple[Array, Array, Array]:
    """Return the three arrays of an update; require that they fit.

    Examples
    --------
    >>> checked_triplets(Triplets([[1], [2]], [10], [[3, 4]]))[1].tolist()
    [10.0]
    """
    left = exactly("left", update.left, "width rank")
    values = exactly("values", update.values, "rank")
    right = exactly("right", update.right, "rank out_width")
    require_equal(
        "rank", left=left.shape[1], values=len(values), right=right.shape[0]
    )
    return left, values, right
