"""Tuning few numbers of a trained model: low-rank updates and adapters.

The matrix that was trained stays as it is. LoRA adds to it a product of
two narrow matrices, of which one starts at zero, so that tuning starts at
the model itself; when it is done, the product can be added for good. An
adapter (`lora_adapter`) is a small network of its own behind a sublayer.
AdaLoRA (`lora_adaptive`, `lora_budget`) learns how narrow each product may
be.

Tokens are rows, so a layer is X W and its update A B; in the papers they
are columns, and the same update is written B A.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.heads_parts import Tokens, project
from attncourse.reference.lora_adapter import (
    AdapterWeights,
    adapter,
    adapter_count,
    new_adapter,
)
from attncourse.reference.lora_adaptive import (
    Triplets,
    adaptive_project,
    new_triplets,
    orthogonality_penalty,
    prune_triplets,
)
from attncourse.reference.lora_budget import (
    Smoothed,
    allocate,
    importance,
    rank_budget,
    sensitivity,
    smooth,
)
from attncourse.reference.lora_parts import exactly, number
from attncourse.shapes import Array, count, real, require_equal

__all__ = [
    "AdapterWeights",
    "LowRank",
    "LowRankGradients",
    "Smoothed",
    "Triplets",
    "adapter",
    "adapter_count",
    "adaptive_project",
    "allocate",
    "importance",
    "lora_backward",
    "lora_count",
    "lora_project",
    "low_rank_update",
    "merge_lora",
    "new_adapter",
    "new_lora",
    "new_triplets",
    "orthogonality_penalty",
    "prune_triplets",
    "rank_budget",
    "sensitivity",
    "smooth",
    "unmerge_lora",
]

Matrix = Float[Array, "width out_width"]


class LowRank(NamedTuple):
    """The trained numbers of one low-rank update.

    `down` has shape (width, rank), `up` has (rank, out_width); the update
    is their product times `alpha` / rank.
    """

    down: Any
    up: Any
    alpha: float


class LowRankGradients(NamedTuple):
    """Gradients in the tokens and in the two matrices of a `LowRank`."""

    x: Array
    down: Array
    up: Array


def new_lora(
    *, width: int, out_width: int, rank: int, alpha: float, seed: int
) -> LowRank:
    r"""Return an untrained update: it is zero, and so changes nothing.

    .. math:: A_{ij} \sim N(0, 1 / d), \qquad B = 0

    One factor is random: were both zero, no gradient would move either.

    Parameters
    ----------
    width, out_width : of the matrix that is tuned.
    rank : columns of A and rows of B, at most the smaller width.
    alpha : scale; the update is multiplied by alpha / rank.

    Source: Hu et al. (2022), "LoRA: Low-Rank Adaptation of Large Language
    Models", section 4.1; the variance is this course's choice.

    Examples
    --------
    >>> update = new_lora(width=6, out_width=5, rank=2, alpha=4, seed=0)
    >>> update.down.shape, update.up.any()
    ((6, 2), np.False_)
    """
    lora_count(width=width, out_width=out_width, rank=rank)
    alpha = number("alpha", alpha)
    rng = np.random.default_rng(seed)
    down = rng.normal(size=(width, rank)) / math.sqrt(width)
    return LowRank(down, np.zeros((rank, out_width)), alpha)


def lora_count(*, width: int, out_width: int, rank: int) -> int:
    r"""Return how many numbers an update trains.

    .. math:: r\,(d + d_{out})

    The full matrix has d times d_out.

    Source: Hu et al. (2022), section 5.1.

    Examples
    --------
    >>> lora_count(width=1000, out_width=1000, rank=4)
    8000
    """
    width = count("width", width)
    out_width = count("out_width", out_width)
    if count("rank", rank) > min(width, out_width):
        raise ValueError(
            "rank must be at most the smaller width: "
            f"got rank={rank}, width={width}, out_width={out_width}"
        )
    return rank * (width + out_width)


def low_rank_update(update: LowRank) -> Matrix:
    r"""Return the matrix that an update adds.

    .. math:: \Delta W = \frac{\alpha}{r} A B

    Its rank is at most r. Dividing by r keeps its size when r is changed.

    Source: Hu et al. (2022), section 4.1.

    Examples
    --------
    >>> low_rank_update(LowRank([[1], [2]], [[3, 4]], alpha=10)).tolist()
    [[30.0, 40.0], [60.0, 80.0]]
    """
    down, up, scale = _checked(update)
    return scale * (down @ up)


def lora_project(
    x: Tokens,
    weight: Matrix,
    update: LowRank,
    bias: Float[Array, "out_width"] | None = None,
) -> Float[Array, "*#batch tokens out_width"]:
    r"""Return every token times a matrix and its low-rank update.

    .. math:: Y = X W + \frac{\alpha}{r} (X A) B + b

    The product of A and B is never formed: a token passes r numbers.

    Source: Hu et al. (2022), eq. 3.

    Examples
    --------
    >>> update = LowRank([[1], [2]], [[3, 4]], alpha=1)
    >>> lora_project([[1, 1]], np.eye(2), update).tolist()
    [[10.0, 13.0]]
    """
    weight = exactly("weight", weight, "width out_width")
    down, up, scale = _checked(update)
    _require_fit(weight, down, up)
    return project(x, weight, bias) + scale * project(project(x, down), up)


def lora_backward(
    x: Tokens,
    weight: Matrix,
    update: LowRank,
    upstream: Float[Array, "*batch tokens out_width"],
) -> LowRankGradients:
    r"""Return the gradients of `lora_project`; the matrix needs none.

    .. math:: dB = \frac{\alpha}{r} (X A)^\top dY, \quad
              dA = \frac{\alpha}{r} X^\top (dY B^\top), \quad
              dX = dY \left(W + \frac{\alpha}{r} A B\right)^\top

    At the start B is zero, so dA is too: the first step moves B alone.

    Source: the chain rule on Hu et al. (2022), eq. 3.

    Examples
    --------
    >>> start = LowRank([[1], [2]], [[0, 0]], alpha=1)
    >>> got = lora_backward([[1, 1]], np.eye(2), start, [[5, 7]])
    >>> got.up.tolist(), got.down.tolist()
    ([[15.0, 21.0]], [[0.0], [0.0]])
    """
    x = real("x", x, "tokens width")
    upstream = real("upstream", upstream, "tokens out_width")
    down, up, scale = _checked(update)
    expected = (*x.shape[:-1], up.shape[1])
    if upstream.shape != expected:
        raise ValueError(
            f"upstream must have the output's shape {expected}: "
            f"got {upstream.shape}"
        )
    merged = merge_lora(weight, update)
    require_equal("width", x=x.shape[-1], weight=merged.shape[0])
    tokens = tuple(range(x.ndim - 1))
    return LowRankGradients(
        upstream @ merged.T,
        scale * np.tensordot(x, upstream @ up.T, axes=(tokens, tokens)),
        scale * np.tensordot(x @ down, upstream, axes=(tokens, tokens)),
    )


def merge_lora(weight: Matrix, update: LowRank) -> Matrix:
    r"""Return the matrix with its update added: no token pays for it then.

    .. math:: W' = W + \frac{\alpha}{r} A B

    Source: Hu et al. (2022), section 4.1, "No Additional Inference
    Latency".

    Examples
    --------
    >>> merge_lora(np.eye(2), LowRank([[1], [2]], [[3, 4]], 1)).tolist()
    [[4.0, 4.0], [6.0, 9.0]]
    """
    weight = exactly("weight", weight, "width out_width")
    down, up, scale = _checked(update)
    _require_fit(weight, down, up)
    return weight + scale * (down @ up)


def unmerge_lora(weight: Matrix, update: LowRank) -> Matrix:
    r"""Return the matrix without an update that was merged into it.

    .. math:: W = W' - \frac{\alpha}{r} A B

    The same up to rounding: to have it bit for bit, keep the first one.

    Source: Hu et al. (2022), section 4.1.

    Examples
    --------
    >>> update = LowRank([[1], [2]], [[3, 4]], alpha=1)
    >>> unmerge_lora([[4, 4], [6, 9]], update).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    alpha = -number("alpha", update.alpha)
    return merge_lora(weight, update._replace(alpha=alpha))


def _checked(update: LowRank) -> tuple[Array, Array, float]:
    """Return both factors and the scale."""
    down = exactly("down", update.down, "width rank")
    up = exactly("up", update.up, "rank out_width")
    require_equal("rank", down=down.shape[1], up=up.shape[0])
    alpha = number("alpha", update.alpha)
    return down, up, alpha / count("rank", up.shape[0])


def _require_fit(weight: Array, down: Array, up: Array) -> None:
    require_equal("width", weight=weight.shape[0], down=down.shape[0])
    require_equal("out_width", weight=weight.shape[1], up=up.shape[1])
