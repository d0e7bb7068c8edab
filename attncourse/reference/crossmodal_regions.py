"""Attention of a caption, word by word, on the regions of an image.

The state of the network that writes asks; the regions of the image are
keys and values alike. The score is the additive one of `scores`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.feedforward import sigmoid
from attncourse.reference.heads_parts import project
from attncourse.reference.scores import additive_scores
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import Array, boolean, real, require_broadcast

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
    scores = additive_scores(
        states, regions, scorer.w_state, scorer.w_region, scorer.v_score
    )
    return masked_softmax(scores, _allowed(mask, scores))


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
    stands where `mask` is False has no influence, NaN included.

    Source: Xu et al. (2015), section 4.2, eq. 13.

    Examples
    --------
    >>> scorer = RegionScorer([[0.0]], [[0.0]], [1.0])
    >>> region_context([[5.0]], [[2.0], [6.0]], scorer).tolist()
    [[4.0]]
    """
    weights = region_weights(states, regions, scorer, mask=mask)
    regions = real("regions", regions, "regions region_width")
    # Zero times NaN is NaN: a hidden region must not enter the sum at all.
    allowed = _allowed(mask, weights)
    seen = np.where(allowed[..., None], regions[..., None, :, :], 0.0)
    return np.einsum("...tr,...trd->...td", weights, seen)


def region_gate(
    states: States, scorer: RegionScorer
) -> Float[Array, "*batch steps 1"]:
    r"""Return how much each step relies on what it sees, from 0 to 1.

    .. math:: \beta_t = \sigma(w_\beta^\top h_{t-1} + b_\beta)

    Source: Xu et al. (2015), section 4.2.1.

    Examples
    --------
    >>> scorer = RegionScorer([[0]], [[0]], [1], w_gate=[[0]], b_gate=[0])
    >>> region_gate([[5.0]], scorer).tolist()
    [[0.5]]
    """
    if scorer.w_gate is None:
        raise ValueError("scorer must have a gate: got w_gate=None")
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

    Source: Xu et al. (2015), section 4.2.1.

    Examples
    --------
    >>> scorer = RegionScorer([[0]], [[0]], [1], w_gate=[[0]], b_gate=[0])
    >>> gated_region_context([[5.0]], [[2.0], [6.0]], scorer).tolist()
    [[2.0]]
    """
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

    Source: Xu et al. (2015), section 4.2.1, eq. 14.

    Examples
    --------
    >>> float(doubly_stochastic_penalty([[0.5, 0.5], [1.0, 0.0]]))
    0.5
    """
    weights = real("weights", weights, "steps regions")
    allowed = _allowed(mask, weights)
    looked = np.sum(np.where(allowed, weights, 0.0), axis=-2)
    missing = np.where(np.any(allowed, axis=-2), 1.0 - looked, 0.0)
    return np.sum(missing**2, axis=-1)


def _allowed(mask: RegionMask | None, scores: RegionWeights) -> RegionMask:
    """Return the mask in the full size of the scores."""
    if mask is None:
        return np.ones(scores.shape, bool)
    mask = boolean("mask", mask, "steps regions")
    for have, want in zip(mask.shape[-2:], scores.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "mask must fit the scores, shape (..., steps, regions) = "
                f"(..., {scores.shape[-2]}, {scores.shape[-1]}): "
                f"got {mask.shape}"
            )
    shape = require_broadcast(mask=mask.shape[:-2], scores=scores.shape[:-2])
    return np.broadcast_to(mask, (*shape, *scores.shape[-2:]))
