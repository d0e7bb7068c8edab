"""A sentinel in torch: one more thing to read, so as to turn away."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.dense import weighted_sum
from attncourse.fast.heads import project
from attncourse.fast.softmax import masked_softmax
from attncourse.fast.sparsemax_parts import require_fit, require_real
from attncourse.shapes import (
    OUTPUT,
    SCORES,
    VALUES,
    count,
    require_broadcast,
    require_equal,
)

Scores = Float[Tensor, SCORES]
Mask = Bool[Tensor, SCORES]
PerQuery = Float[Tensor, "*#batch queries"]
States = Float[Tensor, "*#batch queries hidden"]
Context = Float[Tensor, "*#batch keys context_width"]
Sentinels = Float[Tensor, "*#batch queries context_width"]


class SentinelWeights(NamedTuple):
    """What a query gives to each key, and what it keeps for the sentinel.

    `weights` has shape (..., queries, keys), `beta` (..., queries);
    together each row sums to one.
    """

    weights: Scores
    beta: PerQuery


def visual_sentinel(
    x: Float[Tensor, "*#batch queries width"],
    hidden: States,
    memory: States,
    *,
    w_input: Float[Tensor, "width hidden"],
    w_hidden: Float[Tensor, "hidden hidden"],
) -> States:
    r"""Return what a decoder knows without looking: its memory, gated.

    .. math:: s_t = \sigma(x_t W_x + h_{t-1} W_h) \odot \tanh(m_t)

    Source: Lu et al. (2017), "Knowing When to Look", section 2.3, eq. 9
    and 10.

    Examples
    --------
    >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    >>> visual_sentinel(
    ...     zero, one, 100 * one, w_input=one, w_hidden=zero
    ... ).tolist()
    [[0.5]]
    """
    require_real("x", x, "queries width")
    require_real("hidden", hidden, "queries hidden")
    require_real("memory", memory, "queries hidden")
    from_x, from_hidden = project(x, w_input), project(hidden, w_hidden)
    _require_alike("hidden", x=from_x, hidden=from_hidden, memory=memory)
    return torch.sigmoid(from_x + from_hidden) * torch.tanh(memory)


def sentinel_weights(
    scores: Scores, sentinel_scores: PerQuery, *, mask: Mask | None = None
) -> SentinelWeights:
    r"""Return weights over the keys and a sentinel, which compete.

    .. math:: [a_{i1}, \dots, a_{im}, \beta_i] =
              \mathrm{softmax}([s_{i1}, \dots, s_{im}, z_i])

    What stands where `mask` is False reaches no weight and no gradient.

    Parameters
    ----------
    scores : of the keys, by any score function.
    sentinel_scores : of each query's sentinel, z, shape (..., queries).

    Source: Lu et al. (2017), "Knowing When to Look", section 2.3, eq. 12.

    Examples
    --------
    >>> weights, beta = sentinel_weights(torch.zeros(1, 3), torch.zeros(1))
    >>> weights.tolist(), beta.tolist()
    ([[0.25, 0.25, 0.25]], [0.25])
    """
    require_real("scores", scores, "queries keys")
    require_real("sentinel_scores", sentinel_scores, "queries")
    require_equal(
        "queries",
        scores=scores.shape[-2],
        sentinel_scores=sentinel_scores.shape[-1],
    )
    if mask is not None:
        require_fit(mask, tuple(scores.shape))
        scores = torch.where(mask, scores, -torch.inf)
    leading = require_broadcast(
        scores=tuple(scores.shape[:-2]),
        sentinel_scores=tuple(sentinel_scores.shape[:-1]),
    )
    last = sentinel_scores[..., None]
    together = torch.cat(
        [x.expand(*leading, *x.shape[-2:]) for x in (scores, last)], dim=-1
    )
    # Masked: a sentinel of minus infinity may be all that there is.
    shares = masked_softmax(together, together.new_ones(1, 1).bool())
    return SentinelWeights(shares[..., :-1], shares[..., -1])


def sentinel_attention(
    scores: Scores,
    v: Float[Tensor, VALUES],
    sentinel_scores: PerQuery,
    sentinel: Float[Tensor, "*#batch queries value_dim"],
    *,
    mask: Mask | None = None,
) -> Float[Tensor, OUTPUT]:
    r"""Return what each query reads, in part the values, in part a sentinel.

    .. math:: o_i = \sum_j a_{ij} v_j + \beta_i s_i

    Source: Lu et al. (2017), section 2.3, eq. 11 and 12.

    Examples
    --------
    >>> v, sentinel = torch.tensor([[8.0]] * 3), torch.tensor([[100.0]])
    >>> scores = torch.zeros(1, 3)
    >>> sentinel_attention(scores, v, torch.zeros(1), sentinel).tolist()
    [[31.0]]
    """
    weights, beta = sentinel_weights(scores, sentinel_scores, mask=mask)
    require_real("v", v, "keys value_dim")
    require_real("sentinel", sentinel, "queries value_dim")
    require_equal("keys", scores=weights.shape[-1], v=v.shape[-2])
    require_equal(
        "queries", scores=beta.shape[-1], sentinel=sentinel.shape[-2]
    )
    require_equal("value_dim", v=v.shape[-1], sentinel=sentinel.shape[-1])
    require_broadcast(
        scores=tuple(weights.shape[:-2]),
        v=tuple(v.shape[:-2]),
        sentinel=tuple(sentinel.shape[:-2]),
    )
    read = weighted_sum(weights, v, mask=mask)
    return read + beta[..., None] * sentinel


class SentinelAttention(nn.Module):
    r"""Additive attention to a context, or to a sentinel instead.

    .. math:: s_{ij} = w^\top \tanh(W_g h_i + W_v v_j), \qquad
              z_i = w^\top \tanh(W_g h_i + W_s s_i)

    Parameters
    ----------
    width : numbers of a state that asks.
    context_width : numbers of what is read, sentinels included.
    hidden : numbers between, of the scores.

    Source: Lu et al. (2017), "Knowing When to Look", section 2.3.

    Examples
    --------
    >>> layer = SentinelAttention(6, context_width=5, hidden=7)
    >>> x, context, sentinel = (torch.ones(n, d) for n, d in
    ...                         [(2, 6), (3, 5), (2, 5)])
    >>> layer(x, context, sentinel).shape
    torch.Size([2, 5])
    """

    def __init__(self, width: int, *, context_width: int, hidden: int):
        super().__init__()
        width, hidden = count("width", width), count("hidden", hidden)
        context_width = count("context_width", context_width)
        self.query = nn.Linear(width, hidden, bias=False)
        self.key = nn.Linear(context_width, hidden, bias=False)
        self.sentinel = nn.Linear(context_width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        for layer in (self.query, self.key, self.sentinel, self.score):
            nn.init.xavier_uniform_(layer.weight)

    def scores(
        self,
        x: Float[Tensor, "*#batch queries width"],
        context: Context,
        sentinel: Sentinels,
    ) -> tuple[Scores, PerQuery]:
        """Return the scores of the keys and of each query's sentinel."""
        _score_shape(x, context)
        require_real("sentinel", sentinel, "queries context_width")
        asks = project(x, self.query.weight.T)
        keys = project(context, self.key.weight.T)
        together = asks[..., :, None, :] + keys[..., None, :, :]
        last = project(sentinel, self.sentinel.weight.T)
        _require_alike("hidden", x=asks, sentinel=last)
        return (
            self.score(together.tanh()).squeeze(-1),
            self.score((asks + last).tanh()).squeeze(-1),
        )

    def forward(
        self,
        x: Float[Tensor, "*#batch queries width"],
        context: Context,
        sentinel: Sentinels,
        *,
        mask: Mask | None = None,
    ) -> Float[Tensor, "*#batch queries context_width"]:
        """Return what each state reads; `mask` is True where it may look."""
        if mask is not None:
            # A key that nobody sees must not reach the matrices' gradients.
            require_fit(mask, _score_shape(x, context))
            seen = mask.any(dim=-2)[..., None]
            context = torch.where(seen, context, 0.0)
        scores, last = self.scores(x, context, sentinel)
        return sentinel_attention(scores, context, last, sentinel, mask=mask)


def _score_shape(x: Tensor, context: Tensor) -> tuple[int, ...]:
    """Return the shape of the scores; refuse what has none."""
    require_real("x", x, "queries width")
    require_real("context", context, "keys context_width")
    leading = require_broadcast(
        x=tuple(x.shape[:-2]), context=tuple(context.shape[:-2])
    )
    return (*leading, x.shape[-2], context.shape[-2])


def _require_alike(last: str, **parts: Tensor) -> None:
    """Require arrays that can be added, row by row."""
    for axis, place in (("queries", -2), (last, -1)):
        require_equal(axis, **{n: p.shape[place] for n, p in parts.items()})
    require_broadcast(**{n: tuple(p.shape[:-2]) for n, p in parts.items()})
