"""Global attention of a decoder, after Luong, Pham & Manning.

The decoder first moves and then looks: its *new* state is the query. A
score compares it with the source, a global or a local attention turns the
scores into weights, and the average under them joins the state in an
*attentional* state, from which the next word is predicted. Local attention
is in `luong_local`, the decoder with input feeding in `luong_decoder`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.dense import weighted_sum
from attncourse.reference.scores import (
    Hidden,
    WideKeys,
    WideQueries,
    additive_scores,
    bilinear_scores,
    dot_scores,
)
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import (
    Array,
    Mask,
    Scores,
    Weights,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

__all__ = [
    "Reading",
    "attentional_state",
    "average_memory",
    "bilinear_scores",
    "concat_scores",
    "dot_scores",
    "global_attention",
]

Memory = Float[Array, "*#batch keys memory_width"]


class Reading(NamedTuple):
    """What the queries read, and where.

    `context` has shape (..., queries, memory_width), `weights` (...,
    queries, keys).
    """

    context: Any
    weights: Any


def concat_scores(
    q: WideQueries,
    k: WideKeys,
    w: Float[Array, "both_dims hidden"],
    v_score: Hidden,
) -> Scores:
    r"""Return the score of a network that reads query and key in one row.

    .. math:: S_{ij} = v^\top \tanh(W^\top [q_i ; k_j])

    The first rows of `w` meet the query and the others the key: it is
    `additive_scores` with the two matrices stacked. The paper's other two
    scores are `dot_scores` and, "general", `bilinear_scores`.

    Parameters
    ----------
    q : decoder states, shape (..., queries, query_dim).
    k : annotations of the source, shape (..., keys, key_dim).
    w : shape (query_dim + key_dim, hidden).
    v_score : shape (hidden,).

    Source: Luong, Pham & Manning (2015), "Effective Approaches to
    Attention-based Neural Machine Translation", section 3.1, "concat".

    Examples
    --------
    >>> s = concat_scores([[2.0]], [[-2.0], [9.0]], np.ones((2, 1)), [1.0])
    >>> s.round(3).tolist()
    [[0.0, 1.0]]
    """
    q, k = real("q", q, "queries dim"), real("k", k, "keys dim")
    w = real("w", w, "both_dims hidden")
    query_dim = q.shape[-1]
    if len(w) != query_dim + k.shape[-1]:
        raise ValueError(
            "w must have a row for each number of query and key, "
            f"{query_dim} + {k.shape[-1]}: got {len(w)}"
        )
    return additive_scores(q, k, w[:query_dim], w[query_dim:], v_score)


def global_attention(
    scores: Scores, memory: Memory, *, mask: Mask | None = None
) -> Reading:
    r"""Return what each query reads from the whole source.

    .. math:: a_{ij} = \frac{e^{S_{ij}}}{\sum_l e^{S_{il}}}, \qquad
              c_i = \sum_j a_{ij} h_j

    Each query has a row of weights of its own over the source. What stands
    where `mask` is False has no influence, NaN included; a query that sees
    nothing reads zeros.

    Parameters
    ----------
    scores : of decoder states with annotations, (..., queries, keys).
    memory : the annotations h, shape (..., keys, memory_width).
    mask : True where a query may look; None for everywhere.

    Source: Luong, Pham & Manning (2015), section 3.1, eq. 7.

    Examples
    --------
    >>> global_attention([[0, 0]], [[2.0], [4.0]]).context.tolist()
    [[3.0]]
    """
    scores, memory, mask = _checked("scores", scores, memory, mask)
    weights = masked_softmax(scores, mask)
    return Reading(average_memory(weights, memory, mask=mask), weights)


def average_memory(
    weights: Weights, memory: Memory, *, mask: Mask | None = None
) -> Float[Array, "*batch queries memory_width"]:
    r"""Return the annotations added up under each query's weights.

    .. math:: c_i = \sum_j a_{ij} h_j

    What stands where `mask` is False has no influence, NaN included.

    Source: Luong, Pham & Manning (2015), section 3, the context vector.

    Examples
    --------
    >>> average_memory([[0.25, 0.5]], [[4.0], [6.0]]).tolist()
    [[4.0]]
    """
    weights, memory, mask = _checked("weights", weights, memory, mask)
    weights = np.where(mask, weights, 0.0)
    return weighted_sum(weights, memory, mask=mask)


def attentional_state(
    state: Float[Array, "*#batch width"],
    context: Float[Array, "*#batch memory_width"],
    w: Float[Array, "both_widths attentional_width"],
) -> Float[Array, "*#batch attentional_width"]:
    r"""Return what the next word is predicted from.

    .. math:: \tilde h = \tanh(W_c^\top [c ; h])

    The context stands first, as in the paper. It is the averaged
    annotations that join the state, never the weights: their number changes
    with the length of the source.

    Source: Luong, Pham & Manning (2015), section 3, eq. 5.

    Examples
    --------
    >>> attentional_state([1.0], [0.0, 0.0], np.zeros((3, 2))).tolist()
    [0.0, 0.0]
    """
    state = real("state", state, "width")
    context = real("context", context, "memory_width")
    w = real("w", w, "both_widths attentional_width")
    widths = context.shape[-1], state.shape[-1]
    if w.ndim != 2:
        raise ValueError(f"w must have two axes: got shape {w.shape}")
    if len(w) != sum(widths):
        raise ValueError(
            "w must have a row for each number of context and state, "
            f"{widths[0]} + {widths[1]}: got {len(w)}"
        )
    require_broadcast(context=context.shape[:-1], state=state.shape[:-1])
    return np.tanh(context @ w[: widths[0]] + state @ w[widths[0] :])


def _checked(
    name: str, scores: Scores, memory: Memory, mask: Mask | None
) -> tuple[Array, Array, Array]:
    """Return everything checked, and a mask where there was none.

    `name` is what a message calls the `scores`.
    """
    scores = real(name, scores, "queries keys")
    memory = real("memory", memory, "keys memory_width")
    keys = {name: scores.shape[-1], "memory": memory.shape[-2]}
    require_equal("keys", **keys)
    if mask is None:
        mask = np.ones((1, 1), bool)
    mask = boolean("mask", mask, "queries keys")
    for have, want in zip(mask.shape[-2:], scores.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                f"mask must fit the {name}, shape (..., queries, keys) = "
                f"(..., {scores.shape[-2]}, {scores.shape[-1]}): "
                f"got {mask.shape}"
            )
    shapes = {name: scores, "memory": memory, "mask": mask}
    require_broadcast(**{n: each.shape[:-2] for n, each in shapes.items()})
    return scores, memory, mask
