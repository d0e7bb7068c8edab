"""Scores, global and local attention of a decoder, in torch.

The functions have the contracts of `attncourse.reference.luong` and
`luong_local`, are differentiable and keep dtype and device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.masks import combine_masks
from attncourse.fast.softmax import masked_softmax
from attncourse.shapes import (
    KEYS,
    QUERIES,
    SCORES,
    count,
    require_broadcast,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Scores = Float[Tensor, SCORES]
Mask = Bool[Tensor, "*#batch #queries #keys"]
Memory = Float[Tensor, "*#batch keys memory_width"]
Places = Float[Tensor, "*#batch queries"]


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
    require_equal("keys", weights=weights.shape[-1], memory=memory.shape[-2])
    if mask is None:
        return weights @ memory
    _require_fit(weights, mask)
    require_broadcast(
        weights=tuple(weights.shape[:-2]),
        memory=tuple(memory.shape[:-2]),
        mask=tuple(mask.shape[:-2]),
    )
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
    if mask is None:
        weights = torch.softmax(scores, dim=-1)
    else:
        _require_fit(scores, mask)
        weights = masked_softmax(scores, mask)
    return Reading(average_memory(weights, memory, mask=mask), weights)


def monotonic_attention(
    scores: Scores,
    memory: Memory,
    positions: Tensor,
    *,
    half_width: int,
    mask: Mask | None = None,
) -> Reading:
    r"""Return what each query reads within a window: local-m.

    .. math:: a_i = \mathrm{softmax}_{\,|j - p_i| \le D}(S_i), \qquad
              p_i = i

    Source: as in `reference.luong_local.monotonic_attention`.

    Examples
    --------
    >>> memory = torch.tensor([[2.0], [4.0], [8.0]])
    >>> monotonic_attention(
    ...     torch.zeros(2, 3), memory, torch.tensor([0, 2]), half_width=1
    ... ).context.tolist()
    [[3.0], [6.0]]
    """
    near = _near(scores, positions, half_width, mask)
    return global_attention(scores, memory, mask=near)


def predictive_attention(
    scores: Scores,
    memory: Memory,
    positions: Places,
    *,
    half_width: int,
    mask: Mask | None = None,
) -> Reading:
    r"""Return what each query reads around a predicted place: local-p.

    .. math:: a_{ij} = \mathrm{softmax}_{\,|l - p_i| \le D}(S_i)_j
              \, \exp\left(-\frac{(j - p_i)^2}{2 \sigma^2}\right),
              \qquad \sigma = D / 2

    The gradient of the positions comes through the Gaussian.

    Source: as in `reference.luong_local.predictive_attention`.

    Examples
    --------
    >>> read = predictive_attention(
    ...     torch.zeros(1, 2), torch.eye(2), torch.zeros(1), half_width=1
    ... )
    >>> [round(each, 3) for each in read.weights[0].tolist()]
    [0.5, 0.068]
    """
    sigma = count("half_width", half_width) / 2
    near = _near(scores, positions, half_width, mask)
    weights = masked_softmax(scores, near)
    places = torch.arange(scores.shape[-1], device=scores.device)
    apart = places - positions[..., None]
    gaussian = torch.exp(-(apart**2) / (2 * sigma**2))
    weights = weights * gaussian.to(weights.dtype)
    return Reading(average_memory(weights, memory, mask=near), weights)


def predicted_positions(
    q: Queries, w: Tensor, v: Tensor, *, lengths: Tensor
) -> Places:
    r"""Return where in the source each query expects what it needs.

    .. math:: p_i = S \cdot \mathrm{sigmoid}(v^\top \tanh(W^\top q_i))

    Positions are float32 at least.

    Source: as in `reference.luong_local.predicted_positions`.

    Examples
    --------
    >>> w, v, lengths = torch.zeros(3, 2), torch.ones(2), torch.tensor(8)
    >>> predicted_positions(torch.ones(1, 3), w, v, lengths=lengths).tolist()
    [4.0]
    """
    require_equal("dim", q=q.shape[-1], w=w.shape[0])
    require_equal("hidden", w=w.shape[1], v=v.shape[0])
    share = torch.sigmoid(torch.tanh(q @ w) @ v)
    # Half precision cannot tell position 300 from 301.
    wide = torch.promote_types(share.dtype, torch.float32)
    return lengths[..., None] * share.to(wide)


def window(
    positions: Tensor, *, keys: int, half_width: int
) -> Bool[Tensor, "*#batch queries keys"]:
    r"""Return True at the keys within D of each query's position.

    .. math:: M_{ij} = [\, |j - p_i| \le D \,]

    Source: as in `reference.luong_local.window`.

    Examples
    --------
    >>> places = torch.tensor([0.5, 3.0])
    >>> window(places, keys=4, half_width=1).int().tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    half_width = count("half_width", half_width, least=0)
    keys = count("keys", keys, least=0)
    places = torch.arange(keys, device=positions.device)
    return (places - positions[..., None]).abs() <= half_width


def attentional_state(state: Tensor, context: Tensor, w: Tensor) -> Tensor:
    r"""Return what the next word is predicted from.

    .. math:: \tilde h = \tanh(W_c^\top [c ; h])

    Source: as in `reference.luong.attentional_state`.

    Examples
    --------
    >>> parts = torch.ones(2, 3), torch.ones(2, 5)
    >>> attentional_state(*parts, torch.ones(8, 7)).shape
    torch.Size([2, 7])
    """
    widths = context.shape[-1], state.shape[-1]
    if len(w) != sum(widths):
        raise ValueError(
            "w must have a row for each number of context and state, "
            f"{widths[0]} + {widths[1]}: got {len(w)}"
        )
    return torch.tanh(context @ w[: widths[0]] + state @ w[widths[0] :])


def _near(
    scores: Scores, positions: Tensor, half_width: int, mask: Mask | None
) -> Mask:
    """Return where both the window and the mask allow a look."""
    near = window(positions, keys=scores.shape[-1], half_width=half_width)
    require_equal("queries", scores=scores.shape[-2], positions=near.shape[-2])
    return near if mask is None else combine_masks(near, mask)


def _require_fit(scores: Scores, mask: Mask) -> None:
    for have, want in zip(mask.shape[-2:], scores.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., queries, keys) = "
                f"(..., {scores.shape[-2]}, {scores.shape[-1]}): "
                f"got {tuple(mask.shape)}"
            )
