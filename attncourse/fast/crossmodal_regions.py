"""Attention of a caption on image regions, in torch.

The contracts of `attncourse.reference.crossmodal_regions`; differentiable,
on any device. Half types take their softmax and sums in single precision.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.crossmodal_masks import (
    require_alike,
    whole_mask,
    without_unseen,
)
from attncourse.fast.dense import weighted_sum
from attncourse.fast.heads import project
from attncourse.fast.precision import widened
from attncourse.fast.softmax import masked_softmax
from attncourse.fast.tiled_parts import require_real
from attncourse.reference.crossmodal_regions import RegionScorer
from attncourse.shapes import count, require_broadcast, require_equal

__all__ = [
    "RegionAttention",
    "RegionScorer",
    "doubly_stochastic_penalty",
    "gated_region_context",
    "region_context",
    "region_gate",
    "region_weights",
]

States = Float[Tensor, "*#batch steps state_width"]
Regions = Float[Tensor, "*#batch regions region_width"]
RegionWeights = Float[Tensor, "*#batch steps regions"]
RegionMask = Bool[Tensor, "*#batch #steps #regions"]
Contexts = Float[Tensor, "*#batch steps region_width"]


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

    Source: Xu et al. (2015), "Show, Attend and Tell", eq. 4 and 5.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> scorer = RegionScorer(one, one, torch.ones(1))
    >>> region_weights(torch.ones(3, 1), torch.ones(4, 1), scorer)[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    states, regions, allowed = _fitted(states, regions, scorer, mask)
    finite = torch.isfinite(regions)
    clean = torch.where(finite, regions, 0.0)
    scores = _scores(states, clean[..., None, :, :], scorer)
    if not bool(finite.all()):
        # What is not finite and is seen spoils who sees it. Pairs that may
        # not meet are formed of zeros, so that no gradient mixes them.
        spoiled = allowed & ~finite.all(dim=-1)[..., None, :]
        pairs = torch.where(spoiled[..., None], regions[..., None, :, :], 0.0)
        scores = torch.where(spoiled, _scores(states, pairs, scorer), scores)
    return masked_softmax(widened(scores), allowed).to(scores.dtype)


def region_context(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    *,
    mask: RegionMask | None = None,
) -> Contexts:
    r"""Return what each step sees: the mean of the regions by its weights.

    .. math:: \hat{z}_t = \sum_i \alpha_{ti}\, a_i

    What stands where `mask` is False has no influence, NaN included, on the
    result or on any gradient; a step that sees nothing gets zeros.

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.

    Examples
    --------
    >>> one = torch.zeros(1, 1)
    >>> scorer = RegionScorer(one, one, torch.ones(1))
    >>> regions = torch.tensor([[2.0], [6.0]])
    >>> region_context(torch.ones(3, 1), regions, scorer).flatten().tolist()
    [4.0, 4.0, 4.0]
    """
    states, regions, allowed = _fitted(states, regions, scorer, mask)
    weights = region_weights(states, regions, scorer, mask=mask)
    return weighted_sum(weights, regions, mask=allowed)


def region_gate(
    states: States, scorer: RegionScorer
) -> Float[Tensor, "*batch steps 1"]:
    r"""Return how much each step relies on what it sees, from 0 to 1.

    .. math:: \beta_t = \sigma(w_\beta^\top h_{t-1} + b_\beta)

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> none = torch.zeros(1, 1)
    >>> scorer = RegionScorer(none, none, none[0], w_gate=none)
    >>> region_gate(torch.ones(1, 1), scorer).tolist()
    [[0.5]]
    """
    if scorer.w_gate is None:
        raise ValueError("scorer must have a gate: got w_gate=None")
    require_real("states", states, "steps state_width")
    require_real("w_gate", scorer.w_gate, "state_width one")
    if scorer.w_gate.shape[-1] != 1:
        raise ValueError(
            f"w_gate must have one column: got {scorer.w_gate.shape[-1]}"
        )
    require_alike(states=states, w_gate=scorer.w_gate)
    return torch.sigmoid(project(states, scorer.w_gate, scorer.b_gate))


def gated_region_context(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    *,
    mask: RegionMask | None = None,
) -> Contexts:
    r"""Return `region_context`, each step's by its own gate.

    .. math:: \hat{z}_t = \beta_t \sum_i \alpha_{ti}\, a_i

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> none = torch.zeros(1, 1)
    >>> scorer = RegionScorer(none, none, none[0], w_gate=none)
    >>> regions = torch.tensor([[2.0], [6.0]])
    >>> gated_region_context(torch.ones(1, 1), regions, scorer).tolist()
    [[2.0]]
    """
    states, regions, _ = _fitted(states, regions, scorer, mask)
    seen = region_context(states, regions, scorer, mask=mask)
    return region_gate(states, scorer) * seen


def doubly_stochastic_penalty(
    weights: RegionWeights, *, mask: RegionMask | None = None
) -> Float[Tensor, "*batch"]:
    r"""Return how far the steps are from looking once at every region.

    .. math:: \sum_i \Big(1 - \sum_t \alpha_{ti}\Big)^2

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> weights = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    >>> doubly_stochastic_penalty(weights).item()
    0.5
    """
    require_real("weights", weights, "steps regions")
    allowed = whole_mask(mask, weights.shape, weights.device)
    looked = torch.where(allowed, widened(weights), 0.0).sum(dim=-2)
    missing = torch.where(allowed.any(dim=-2), 1.0 - looked, 0.0)
    return (missing**2).sum(dim=-1).to(weights.dtype)


class RegionAttention(nn.Module):
    r"""`gated_region_context` as a module.

    .. math:: \hat{z}_t = \beta_t \sum_i \alpha_{ti}\, a_i

    Parameters
    ----------
    state_width : numbers of the state that asks.
    region_width : numbers of a region.
    hidden : width of the layer that scores.

    Source: Xu et al. (2015), "Show, Attend and Tell", section 4.2.1.

    Examples
    --------
    >>> module = RegionAttention(6, 5, hidden=11)
    >>> module(torch.ones(3, 6), torch.ones(7, 5)).shape
    torch.Size([3, 5])
    """

    def __init__(self, state_width: int, region_width: int, *, hidden: int):
        super().__init__()
        self.w_state = _matrix(count("state_width", state_width), hidden)
        self.w_region = _matrix(count("region_width", region_width), hidden)
        self.v_score = nn.Parameter(_matrix(hidden, 1).detach()[:, 0])
        self.w_gate = _matrix(state_width, 1)
        self.b_gate = nn.Parameter(torch.zeros(1))

    def scorer(self) -> RegionScorer:
        """Return the trained numbers as the rest of the course holds them."""
        return RegionScorer(
            self.w_state, self.w_region, self.v_score, self.w_gate, self.b_gate
        )

    def forward(
        self,
        states: States,
        regions: Regions,
        *,
        mask: RegionMask | None = None,
    ) -> Contexts:
        """Return (..., steps, region_width) of what each step sees."""
        return gated_region_context(states, regions, self.scorer(), mask=mask)


def _scores(states: States, pairs: Tensor, scorer: RegionScorer) -> Tensor:
    """Return the scores of regions of shape (..., 1 or steps, i, width)."""
    from_state = project(states, scorer.w_state)[..., :, None, :]
    hidden = torch.tanh(from_state + project(pairs, scorer.w_region))
    return hidden @ scorer.v_score


def _fitted(
    states: States,
    regions: Regions,
    scorer: RegionScorer,
    mask: RegionMask | None,
) -> tuple[States, Regions, RegionMask]:
    """Return zeros for who takes no part, and the mask in its full size."""
    w_state, w_region, v = scorer.w_state, scorer.w_region, scorer.v_score
    require_real("states", states, "steps state_width")
    require_real("regions", regions, "regions region_width")
    require_real("w_state", w_state, "state_width hidden")
    require_real("w_region", w_region, "region_width hidden")
    require_real("v_score", v, "hidden")
    require_alike(
        states=states, regions=regions, w_state=w_state, w_region=w_region
    )
    require_alike(states=states, v_score=v)
    if v.ndim != 1:
        raise ValueError(
            f"v_score must have one axis, (hidden): got shape {tuple(v.shape)}"
        )
    require_equal("state_width", states=states.shape[-1], w_state=len(w_state))
    require_equal(
        "region_width", regions=regions.shape[-1], w_region=len(w_region)
    )
    require_equal(
        "hidden",
        w_state=w_state.shape[-1],
        w_region=w_region.shape[-1],
        v_score=len(v),
    )
    leading = require_broadcast(
        states=tuple(states.shape[:-2]), regions=tuple(regions.shape[:-2])
    )
    shape = (*leading, states.shape[-2], regions.shape[-2])
    allowed = whole_mask(mask, shape, states.device)
    if mask is not None:
        states, regions = without_unseen(states, regions, mask)
    return states, regions, allowed


def _matrix(rows: int, columns: int) -> nn.Parameter:
    """Return a matrix that starts as the reference's layers do."""
    bound = math.sqrt(6 / (rows + count("hidden", columns)))
    return nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))
