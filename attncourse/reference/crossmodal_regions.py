"""Attention of a caption, word by word, on the regions of an image.

The state of the network that writes asks; the regions of the image are
keys and values alike. The score is the additive one of `scores`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.crossmodal_masks import without_unseen
from attncourse.reference.dense import weighted_sum
from attncourse.reference.feedforward import sigmoid
from attncourse.reference.heads_parts import project
from attncourse.reference.scores import additive_scores
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import (
    Array,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

__all__ = [
    "RegionScorer",
    "doubly_stochastic_penalty",
    "gated_region_context",
    "region_context",
    "region_gate",
    "region_weights",
]

States = Float[Array, "*#batch steps state_width"]
Regions = Float[Array, "*#batch regions region_width"]
RegionWeights = Float[Array, "*#batch steps regions"]
RegionMask = Bool[Array, "*#batch #steps #regions"]
Contexts = Float[Array, "*#batch steps region_width"]


@dataclass(frozen=True)
class RegionScorer:
    """The trained numbers of attention on regions.

    Parameters
    ----------
    w_state : shape (state_width, hidden).
    w_region : shape (region_width, hidden).
    v_score : shape (hidden,).
    w_gate, b_gate : shapes (state_width, 1) and (1,); None without a gate.
    """

    w_state: Any
    w_region: Any
    v_score: Any
    w_gate: Any = None
    b_gate: Any = None


def region_weights(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    *,
    mask: RegionMask | None = None,
) -> RegionWeights:
    r"""Return how much of each region every step looks at.

    .. math:: e_{ti} = v^\top \tanh(W_h^\top h_{t-1} + W_a^\top a_i), \qquad
              \alpha_{ti} = \mathrm{softmax}_i(e_{ti})

    Parameters
    ----------
    states : of the network before each word, (..., steps, state_width).
    regions : shape (..., regions, region_width).
    mask : shape (..., steps, regions), True where a step may look; one row
        may serve all steps.

    Source: Xu et al. (2015), "Show, Attend and Tell", eq. 4 and 5; the
    network is that of Bahdanau et al. (2015).

    Examples
    --------
    >>> scorer = RegionScorer([[0.0]], [[1.0]], [1.0])
    >>> region_weights([[5.0]], [[2.0], [2.0]], scorer).tolist()
    [[0.5, 0.5]]
    """
    states, regions, allowed = _fitted(states, regions, scorer, mask)
    scores = additive_scores(
        states, regions, scorer.w_state, scorer.w_region, scorer.v_score
    )
    return masked_softmax(scores, allowed)


def region_context(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    *,
    mask: RegionMask | None = None,
) -> Contexts:
    r"""Return what each step sees: the mean of the regions by its weights.

    .. math:: \hat{z}_t = \sum_i \alpha_{ti}\, a_i

    The soft form: the expected region, where the hard form draws one. What
    stands where `mask` is False has no influence, NaN included; a step
    that sees nothing gets zeros.

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.

    Examples
    --------
    >>> scorer = RegionScorer([[0.0]], [[0.0]], [1.0])
    >>> region_context([[5.0]], [[2.0], [6.0]], scorer).tolist()
    [[4.0]]
    """
    states, regions, allowed = _fitted(states, regions, scorer, mask)
    weights = region_weights(states, regions, scorer, mask=mask)
    return weighted_sum(weights, regions, mask=allowed)


def region_gate(
    states: States, scorer: RegionScorer
) -> Float[Array, "*batch steps 1"]:
    r"""Return how much each step relies on what it sees, from 0 to 1.

    .. math:: \beta_t = \sigma(w_\beta^\top h_{t-1} + b_\beta)

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> scorer = RegionScorer([[0]], [[0]], [1], w_gate=[[0]], b_gate=[0])
    >>> region_gate([[5.0]], scorer).tolist()
    [[0.5]]
    """
    if scorer.w_gate is None:
        raise ValueError("scorer must have a gate: got w_gate=None")
    _, columns = _matrix("w_gate", scorer.w_gate, "state_width one").shape
    if columns != 1:
        raise ValueError(f"w_gate must have one column: got {columns}")
    return sigmoid(project(states, scorer.w_gate, scorer.b_gate))


def gated_region_context(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    *,
    mask: RegionMask | None = None,
) -> Contexts:
    r"""Return `region_context`, each step's by its own gate.

    .. math:: \hat{z}_t = \beta_t \sum_i \alpha_{ti}\, a_i

    A word such as "of" needs no image; its gate can close.

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> scorer = RegionScorer([[0]], [[0]], [1], w_gate=[[0]], b_gate=[0])
    >>> gated_region_context([[5.0]], [[2.0], [6.0]], scorer).tolist()
    [[2.0]]
    """
    states, regions, _ = _fitted(states, regions, scorer, mask)
    seen = region_context(states, regions, scorer, mask=mask)
    return region_gate(states, scorer) * seen


def doubly_stochastic_penalty(
    weights: RegionWeights, *, mask: RegionMask | None = None
) -> Float[Array, "*batch"]:
    r"""Return how far the steps are from looking once at every region.

    .. math:: \sum_i \Big(1 - \sum_t \alpha_{ti}\Big)^2

    Every row of the weights sums to one by the softmax; with this added to
    the loss, times a constant, the columns are drawn towards one as well.
    Regions that no step may see are left out.

    Parameters
    ----------
    weights : shape (..., steps, regions); zero at steps that are padding.
    mask : as `region_weights` took it.

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> float(doubly_stochastic_penalty([[0.5, 0.5], [1.0, 0.0]]))
    0.5
    """
    weights = real("weights", weights, "steps regions")
    allowed = _allowed(mask, weights.shape)
    looked = np.sum(np.where(allowed, weights, 0.0), axis=-2)
    missing = np.where(np.any(allowed, axis=-2), 1.0 - looked, 0.0)
    return np.sum(missing**2, axis=-1)


def _fitted(
    states: States, regions: Regions, scorer: RegionScorer, mask: Any
) -> tuple[States, Regions, RegionMask]:
    """Return zeros for who takes no part, and the mask in its full size."""
    states = real("states", states, "steps state_width")
    regions = real("regions", regions, "regions region_width")
    width, hidden = _matrix(
        "w_state", scorer.w_state, "state_width hidden"
    ).shape
    region_width, also = _matrix(
        "w_region", scorer.w_region, "region_width hidden"
    ).shape
    v_score = real("v_score", scorer.v_score, "hidden")
    require_equal("state_width", states=states.shape[-1], w_state=width)
    require_equal(
        "region_width", regions=regions.shape[-1], w_region=region_width
    )
    require_equal(
        "hidden", w_state=hidden, w_region=also, v_score=v_score.shape[-1]
    )
    leading = require_broadcast(
        states=states.shape[:-2], regions=regions.shape[:-2]
    )
    shape = (*leading, states.shape[-2], regions.shape[-2])
    allowed = _allowed(mask, shape)
    if mask is not None:
        states, regions = without_unseen(states, regions, mask)
    return states, regions, allowed


def _matrix(name: str, value: Any, axes: str) -> Array:
    value = real(name, value, axes)
    if value.ndim != 2:
        raise ValueError(f"{name} must have two axes: got shape {value.shape}")
    return value


def _allowed(mask: RegionMask | None, shape: tuple[int, ...]) -> RegionMask:
    """Return the mask in the full size of scores of this shape."""
    if mask is None:
        return np.ones(shape, bool)
    mask = boolean("mask", mask, "steps regions")
    for have, want in zip(mask.shape[-2:], shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., steps, regions) = "
                f"(..., {shape[-2]}, {shape[-1]}): got {mask.shape}"
            )
    leading = require_broadcast(mask=mask.shape[:-2], scores=shape[:-2])
    return np.broadcast_to(mask, (*leading, *shape[-2:]))
