"""Local attention of a decoder, in torch.

The functions have the contracts of `attncourse.reference.luong_local`, are
differentiable and keep dtype and device.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.heads_parts import require_axes
from attncourse.fast.luong_parts import (
    Mask,
    Memory,
    Queries,
    Reading,
    Scores,
    average_memory,
    global_attention,
    require_matrix,
)
from attncourse.fast.masks import combine_masks
from attncourse.fast.recurrent_tokens import require_floating, whole_tokens
from attncourse.fast.softmax import masked_softmax
from attncourse.shapes import count, require_broadcast, require_equal

Places = Float[Tensor, "*#batch queries"]


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

    The gradient of the positions comes through the Gaussian; they are
    compared in float32 at least.

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
    wide = torch.promote_types(scores.dtype, torch.float32)
    apart = _apart(positions.to(wide), scores.shape[-1])
    apart = torch.where(near, apart, 0.0)  # no square of what is far away
    gaussian = torch.exp(-(apart**2) / (2 * sigma**2))
    weights = weights * gaussian.to(weights.dtype)
    return Reading(average_memory(weights, memory, mask=near), weights)


def predicted_positions(
    q: Queries, w: Tensor, v: Tensor, *, lengths: Tensor | int
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
    require_floating("q", q, "queries dim")
    require_matrix("w", w, "dim hidden")
    require_floating("v", v, "hidden")
    require_equal("dim", q=q.shape[-1], w=w.shape[0])
    require_equal("hidden", w=w.shape[1], v=v.shape[-1])
    if isinstance(lengths, int):
        lengths = torch.tensor(lengths, device=q.device)
    lengths = whole_tokens("lengths", lengths)
    require_broadcast(q=tuple(q.shape[:-2]), lengths=tuple(lengths.shape))
    # Half precision cannot tell position 300 from 301.
    wide = torch.promote_types(q.dtype, torch.float32)
    q, w, v = q.to(wide), w.to(wide), v.to(wide)
    return lengths[..., None] * torch.sigmoid(torch.tanh(q @ w) @ v)


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
    if not isinstance(positions, Tensor) or positions.dtype is torch.bool:
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(f"positions must be a tensor of numbers: got {got}")
    require_axes("positions", positions, "queries")
    return _apart(positions, keys).abs() <= half_width


def _near(
    scores: Scores, positions: Tensor, half_width: int, mask: Mask | None
) -> Mask:
    """Return where both the window and the mask allow a look."""
    require_floating("scores", scores, "queries keys")
    near = window(positions, keys=scores.shape[-1], half_width=half_width)
    require_equal("queries", scores=scores.shape[-2], positions=near.shape[-2])
    return near if mask is None else combine_masks(near, mask)


def _apart(positions: Tensor, keys: int) -> Tensor:
    """Return how far each key is behind each position, in float32 at least.

    Half precision cannot tell position 300 from 301.
    """
    if positions.is_floating_point():
        wide = torch.promote_types(positions.dtype, torch.float32)
        positions = positions.to(wide)
    return torch.arange(keys, device=positions.device) - positions[..., None]
