"""Scores and global attention of a decoder, in torch.

The functions have the contracts of `attncourse.reference.luong`, are
differentiable and keep dtype and device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.recurrent_tokens import (
    require_boolean,
    require_floating,
)
from attncourse.fast.softmax import masked_softmax
from attncourse.shapes import (
    KEYS,
    QUERIES,
    SCORES,
    require_broadcast,
    require_equal,
)

__all__ = [  # the others are checks
    "Reading",
    "attentional_state",
    "average_memory",
    "concat_scores",
    "global_attention",
]

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Scores = Float[Tensor, SCORES]
Mask = Bool[Tensor, "*#batch #queries #keys"]
Memory = Float[Tensor, "*#batch keys memory_width"]


class Reading(NamedTuple):
    """What the queries read, and where; as `reference.luong.Reading`."""

    context: Tensor
    weights: Tensor


def concat_scores(q: Queries, k: Keys, w: Tensor, v_score: Tensor) -> Scores:
    r"""Return the score of a network that reads query and key in one row.

    .. math:: S_{ij} = v^\top \tanh(W^\top [q_i ; k_j])

    Source: as in `reference.luong.concat_scores`.

    Examples
    --------
    >>> q, k, w = torch.ones(3, 5), torch.ones(7, 2), torch.ones(7, 4)
    >>> concat_scores(q, k, w, torch.ones(4)).shape
    torch.Size([3, 7])
    """
    require_pair(q, k)
    require_matrix("w", w, "both_dims hidden")
    require_floating("v_score", v_score, "hidden")
    require_equal("hidden", w=w.shape[1], v_score=v_score.shape[-1])
    width = q.shape[-1]
    if len(w) != width + k.shape[-1]:
        raise ValueError(
            "w must have a row for each number of query and key, "
            f"{width} + {k.shape[-1]}: got {len(w)}"
        )
    from_query = (q @ w[:width])[..., :, None, :]
    from_key = (k @ w[width:])[..., None, :, :]
    return torch.tanh(from_query + from_key) @ v_score


def average_memory(
    weights: Scores, memory: Memory, *, mask: Mask | None = None
) -> Float[Tensor, "*#batch queries memory_width"]:
    r"""Return the annotations added up under each query's weights.

    .. math:: c_i = \sum_j a_{ij} h_j

    What stands where `mask` is False has no influence, NaN included, nor
    has it a gradient.

    Source: as in `reference.luong.average_memory`.

    Examples
    --------
    >>> weights = torch.tensor([[0.25, 0.5]])
    >>> average_memory(weights, torch.tensor([[4.0], [6.0]])).tolist()
    [[4.0]]
    """
    _require_fit("weights", weights, memory, mask)
    if mask is None:
        return weights @ memory
    # Unlike `dense.weighted_sum` this never looks at the numbers, so that a
    # step of a decoder does not wait for its device.
    weights = torch.where(mask, weights, 0.0)
    if mask.shape[-2] == 1:  # one row for all queries
        return weights @ torch.where(mask.mT, memory, 0.0)
    seen = torch.where(mask[..., None], memory[..., None, :, :], 0.0)
    return (weights[..., None, :] @ seen)[..., 0, :]


def global_attention(
    scores: Scores, memory: Memory, *, mask: Mask | None = None
) -> Reading:
    r"""Return what each query reads from the whole source.

    .. math:: a_{ij} = \frac{e^{S_{ij}}}{\sum_l e^{S_{il}}}, \qquad
              c_i = \sum_j a_{ij} h_j

    Source: as in `reference.luong.global_attention`.

    Examples
    --------
    >>> memory = torch.tensor([[2.0], [4.0]])
    >>> global_attention(torch.zeros(1, 2), memory).context.tolist()
    [[3.0]]
    """
    _require_fit("scores", scores, memory, mask)
    if mask is None:
        weights = torch.softmax(scores, dim=-1)
    else:
        weights = masked_softmax(scores, mask)
    return Reading(average_memory(weights, memory, mask=mask), weights)


def attentional_state(state: Tensor, context: Tensor, w: Tensor) -> Tensor:
    r"""Return what the next word is predicted from.

    .. math:: \tilde h = \tanh(W_c^\top [c ; h])

    The averaged annotations join the state, never the weights.

    Source: as in `reference.luong.attentional_state`.

    Examples
    --------
    >>> parts = torch.ones(2, 3), torch.ones(2, 5)
    >>> attentional_state(*parts, torch.ones(8, 7)).shape
    torch.Size([2, 7])
    """
    require_floating("state", state, "width")
    require_floating("context", context, "memory_width")
    require_matrix("w", w, "both_widths attentional_width")
    require_broadcast(
        context=tuple(context.shape[:-1]), state=tuple(state.shape[:-1])
    )
    widths = context.shape[-1], state.shape[-1]
    if len(w) != sum(widths):
        raise ValueError(
            "w must have a row for each number of context and state, "
            f"{widths[0]} + {widths[1]}: got {len(w)}"
        )
    return torch.tanh(context @ w[: widths[0]] + state @ w[widths[0] :])


def require_pair(q: Queries, k: Keys) -> None:
    """Require queries and keys whose leading axes broadcast."""
    require_floating("q", q, "queries dim")
    require_floating("k", k, "keys dim")
    require_broadcast(q=tuple(q.shape[:-2]), k=tuple(k.shape[:-2]))


def require_matrix(name: str, value: Tensor, axes: str) -> None:
    """Require a floating-point tensor with two axes."""
    require_floating(name, value, axes)
    if value.ndim != 2:
        raise ValueError(
            f"{name} must have two axes: got shape {tuple(value.shape)}"
        )


def _require_fit(
    name: str, scores: Scores, memory: Memory, mask: Mask | None
) -> None:
    """Require what fits together; `name` is what the scores are called."""
    require_floating(name, scores, "queries keys")
    require_floating("memory", memory, "keys memory_width")
    keys = {name: scores.shape[-1], "memory": memory.shape[-2]}
    require_equal("keys", **keys)
    shapes = {name: scores, "memory": memory}
    if mask is not None:
        require_boolean(mask, "queries keys")
        shapes["mask"] = mask
        for have, want in zip(mask.shape[-2:], scores.shape[-2:], strict=True):
            if have not in (1, want):
                *_, rows, columns = scores.shape
                raise ValueError(
                    f"mask must fit the {name}, shape (..., queries, keys) = "
                    f"(..., {rows}, {columns}): got {tuple(mask.shape)}"
                )
    require_broadcast(**{n: tuple(x.shape[:-2]) for n, x in shapes.items()})
