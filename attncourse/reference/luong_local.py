"""Local attention of a decoder: a window about one place of the source.

In local-m the window moves with the target position; in local-p the
decoder predicts its middle, and a Gaussian favours what is near to it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from attncourse.reference.feedforward import sigmoid
from attncourse.reference.luong import (
    Memory,
    Reading,
    average_memory,
    global_attention,
)
from attncourse.reference.masks import combine_masks
from attncourse.reference.recurrent_tokens import whole_tokens
from attncourse.reference.scores import Hidden
from attncourse.shapes import (
    Array,
    Mask,
    Scores,
    count,
    real,
    require_broadcast,
    require_equal,
)

Places = Float[Array, "*#batch queries"] | Int[Array, "*#batch queries"]


def monotonic_attention(
    scores: Scores,
    memory: Memory,
    positions: Places,
    *,
    half_width: int,
    mask: Mask | None = None,
) -> Reading:
    r"""Return what each query reads within a window: local-m.

    .. math:: a_i = \mathrm{softmax}_{\,|j - p_i| \le D}(S_i), \qquad
              p_i = i

    The paper aligns target position i with source position i: pass
    ``np.arange(queries)``, or the number of the step.

    Parameters
    ----------
    scores, memory, mask : as `global_attention` takes them.
    positions : the middle of each window, shape (..., queries).
    half_width : D, in positions; at least 0.

    Source: Luong, Pham & Manning (2015), section 3.2, "local-m".

    Examples
    --------
    >>> memory = [[2.0], [4.0], [8.0]]
    >>> monotonic_attention(
    ...     np.zeros((2, 3)), memory, [0, 2], half_width=1
    ... ).context.tolist()
    [[3.0], [6.0]]
    """
    scores = real("scores", scores, "queries keys")
    near = window(positions, keys=scores.shape[-1], half_width=half_width)
    require_equal("queries", scores=scores.shape[-2], positions=near.shape[-2])
    if mask is not None:
        near = combine_masks(near, mask)
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

    The Gaussian comes after the softmax and nothing is normalised again:
    these weights sum to at most one. It is what passes a gradient to the
    predicted position, which the edges of the window do not.

    Parameters
    ----------
    scores, memory, mask : as `global_attention` takes them.
    positions : as `predicted_positions` returns them, (..., queries).
    half_width : D, in positions; at least 1.

    Source: Luong, Pham & Manning (2015), section 3.2, eq. 10.

    Examples
    --------
    >>> read = predictive_attention([[7, 7]], np.eye(2), [0], half_width=1)
    >>> read.weights.round(3).tolist()  # 1/2, and 1/2 of exp(-2)
    [[0.5, 0.068]]
    """
    sigma = count("half_width", half_width) / 2
    near = monotonic_attention(
        scores, memory, positions, half_width=half_width, mask=mask
    ).weights
    keys = near.shape[-1]
    apart = np.arange(keys) - real("positions", positions)[..., None]
    allowed = window(positions, keys=keys, half_width=half_width)
    apart = np.where(allowed, apart, 0.0)  # no square of what is far away
    weights = near * np.exp(-(apart**2) / (2 * sigma**2))
    if mask is not None:
        allowed = combine_masks(allowed, mask)
    return Reading(average_memory(weights, memory, mask=allowed), weights)


def predicted_positions(
    q: Float[Array, "*#batch queries dim"],
    w: Float[Array, "dim hidden"],
    v: Hidden,
    *,
    lengths: Int[Array, "*#batch"],
) -> Float[Array, "*#batch queries"]:
    r"""Return where in the source each query expects what it needs.

    .. math:: p_i = S \cdot \mathrm{sigmoid}(v^\top \tanh(W^\top q_i))

    A real number from 0 to S, where S is the number of source tokens; the
    tokens themselves are counted from 0 to S - 1.

    Parameters
    ----------
    q : decoder states, shape (..., queries, dim).
    w : shape (dim, hidden).
    v : shape (hidden,).
    lengths : S, shape (...).

    Source: Luong, Pham & Manning (2015), section 3.2, eq. 9.

    Examples
    --------
    >>> w, v = np.zeros((3, 2)), np.ones(2)
    >>> predicted_positions(np.ones((1, 3)), w, v, lengths=8).tolist()
    [4.0]
    """
    q, v = real("q", q, "queries dim"), real("v", v, "hidden")
    w = real("w", w, "dim hidden")
    if w.ndim != 2 or v.ndim != 1:
        raise ValueError(
            f"w must have two axes and v one: got w {w.shape}, v {v.shape}"
        )
    require_equal("dim", q=q.shape[-1], w=w.shape[0])
    require_equal("hidden", w=w.shape[1], v=v.shape[0])
    lengths = whole_tokens("lengths", lengths)
    if np.any(lengths < 0):
        raise ValueError(
            f"lengths must not be negative: got {np.min(lengths)}"
        )
    require_broadcast(q=q.shape[:-2], lengths=lengths.shape)
    return lengths[..., None] * sigmoid(np.tanh(q @ w) @ v)


def window(
    positions: Places, *, keys: int, half_width: int
) -> Bool[Array, "*#batch queries keys"]:
    r"""Return True at the keys within D of each query's position.

    .. math:: M_{ij} = [\, |j - p_i| \le D \,]

    What of the window lies outside the source is not there.

    Source: Luong, Pham & Manning (2015), section 3.2.

    Examples
    --------
    >>> window([0.5, 3.0], keys=4, half_width=1).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    positions = real("positions", positions, "queries")
    half_width = count("half_width", half_width, least=0)
    keys = count("keys", keys, least=0)
    return np.abs(np.arange(keys) - positions[..., None]) <= half_width
