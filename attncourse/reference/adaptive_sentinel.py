"""A sentinel: one more thing to read, so that a query may turn away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.dense import weighted_sum
from attncourse.reference.feedforward import sigmoid
from attncourse.reference.heads_parts import project
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import (
    Array,
    Mask,
    Output,
    Scores,
    Values,
    Weights,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

PerQuery = Float[Array, "*#batch queries"]
States = Float[Array, "*#batch queries hidden"]


class SentinelWeights(NamedTuple):
    """What a query gives to each key, and what it keeps for the sentinel.

    `weights` has shape (..., queries, keys), `beta` (..., queries);
    together each row sums to one.
    """

    weights: Weights
    beta: PerQuery


def visual_sentinel(
    x: Float[Array, "*#batch queries width"],
    hidden: States,
    memory: States,
    *,
    w_input: Float[Array, "width hidden"],
    w_hidden: Float[Array, "hidden hidden"],
) -> States:
    r"""Return what a decoder knows without looking: its memory, gated.

    .. math:: s_t = \sigma(x_t W_x + h_{t-1} W_h) \odot \tanh(m_t)

    Parameters
    ----------
    x, hidden : input of this step and hidden state of the last.
    memory : the cell of the LSTM after this step.

    Source: Lu et al. (2017), "Knowing When to Look", section 2.3, eq. 9
    and 10.

    Examples
    --------
    >>> zero, one = np.zeros((1, 1)), np.ones((1, 1))
    >>> visual_sentinel(
    ...     zero, one, 100 * one, w_input=one, w_hidden=zero
    ... ).tolist()
    [[0.5]]
    """
    from_x, from_hidden = project(x, w_input), project(hidden, w_hidden)
    memory = real("memory", memory, "queries hidden")
    parts = {"x": from_x, "hidden": from_hidden, "memory": memory}
    for axis, place in (("queries", -2), ("hidden", -1)):
        require_equal(axis, **{n: p.shape[place] for n, p in parts.items()})
    require_broadcast(**{n: p.shape[:-2] for n, p in parts.items()})
    return sigmoid(from_x + from_hidden) * np.tanh(memory)


def sentinel_weights(
    scores: Scores, sentinel_scores: PerQuery, *, mask: Mask | None = None
) -> SentinelWeights:
    r"""Return weights over the keys and a sentinel, which compete.

    .. math:: [a_{i1}, \dots, a_{im}, \beta_i] =
              \mathrm{softmax}([s_{i1}, \dots, s_{im}, z_i])

    Divided by 1 - beta, the weights are those without a sentinel. A query
    to which `mask` shows no key has beta one.

    Parameters
    ----------
    scores : of the keys, by any score function.
    sentinel_scores : of each query's sentinel, z, shape (..., queries).

    Source: Lu et al. (2017), "Knowing When to Look", section 2.3, eq. 12.

    Examples
    --------
    >>> weights, beta = sentinel_weights(np.zeros((1, 3)), [0.0])
    >>> weights.tolist(), beta.tolist()
    ([[0.25, 0.25, 0.25]], [0.25])
    """
    scores = real("scores", scores, "queries keys")
    last = real("sentinel_scores", sentinel_scores, "queries")
    require_equal(
        "queries", scores=scores.shape[-2], sentinel_scores=last.shape[-1]
    )
    if mask is not None:
        scores = np.where(_fitting(mask, scores), scores, -np.inf)
    leading = require_broadcast(
        scores=scores.shape[:-2], sentinel_scores=last.shape[:-1]
    )
    scores = np.broadcast_to(scores, (*leading, *scores.shape[-2:]))
    last = np.broadcast_to(last, (*leading, last.shape[-1]))
    together = np.concatenate([scores, last[..., None]], axis=-1)
    # Masked: a sentinel of minus infinity may be all that there is.
    shares = masked_softmax(together, np.ones((1, 1), bool))
    return SentinelWeights(shares[..., :-1], shares[..., -1])


def sentinel_attention(
    scores: Scores,
    v: Values,
    sentinel_scores: PerQuery,
    sentinel: Float[Array, "*#batch queries value_dim"],
    *,
    mask: Mask | None = None,
) -> Output:
    r"""Return what each query reads, in part the values, in part a sentinel.

    .. math:: o_i = \sum_j a_{ij} v_j + \beta_i s_i
              = (1 - \beta_i)\, c_i + \beta_i s_i

    Here c is the attention without a sentinel. What stands where `mask` is
    False has no influence, NaN included.

    Parameters
    ----------
    scores, sentinel_scores, mask : as `sentinel_weights` takes them.
    sentinel : what each query may read instead, s.

    Source: Lu et al. (2017), section 2.3, eq. 11 and 12.

    Examples
    --------
    >>> v, sentinel = [[4.0], [8.0], [12.0]], [[100.0]]
    >>> sentinel_attention(np.zeros((1, 3)), v, [0.0], sentinel).tolist()
    [[31.0]]
    """
    weights, beta = sentinel_weights(scores, sentinel_scores, mask=mask)
    v = real("v", v, "keys value_dim")
    sentinel = real("sentinel", sentinel, "queries value_dim")
    require_equal("keys", scores=weights.shape[-1], v=v.shape[-2])
    require_equal(
        "queries", scores=beta.shape[-1], sentinel=sentinel.shape[-2]
    )
    require_equal("value_dim", v=v.shape[-1], sentinel=sentinel.shape[-1])
    require_broadcast(
        scores=weights.shape[:-2],
        v=v.shape[:-2],
        sentinel=sentinel.shape[:-2],
    )
    read = weighted_sum(weights, v, mask=mask)
    return read + beta[..., None] * sentinel


def _fitting(mask: Mask, scores: Scores) -> Mask:
    """Return the mask; refuse one that would add queries or keys."""
    mask = boolean("mask", mask, "queries keys")
    for have, want in zip(mask.shape[-2:], scores.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., queries, keys) = "
                f"(..., {scores.shape[-2]}, {scores.shape[-1]}): "
                f"got {mask.shape}"
            )
    require_broadcast(scores=scores.shape[:-2], mask=mask.shape[:-2])
    return mask
