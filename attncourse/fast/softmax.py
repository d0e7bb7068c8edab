"""Softmax in torch: the reference's functions, differentiable.

Every function keeps the dtype and the device of its scores.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.shapes import SCORES, require_broadcast, require_equal

Scores = Float[Tensor, SCORES]
Weights = Float[Tensor, SCORES]
Mask = Bool[Tensor, SCORES]
Rows = Float[Tensor, "*#batch keys"]
Entropies = Float[Tensor, "*#batch"]
Jacobian = Float[Tensor, "*#batch keys keys"]


def _floating(name: str, value: Tensor, axes: str) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )
    return value


def softmax(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return positive weights that sum to one along `axis`.

    .. math:: a_j = \frac{e^{s_j}}{\sum_l e^{s_l}}

    Source: Bridle (1990), "Probabilistic interpretation of feedforward
    classification network outputs".

    Examples
    --------
    >>> softmax(torch.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return torch.softmax(_floating("scores", scores, "keys"), dim=axis)


def softmax_with_temperature(scores: Rows, *, temperature: float) -> Rows:
    r"""Return the softmax of the scores divided by a temperature.

    .. math:: a = \mathrm{softmax}(s / \tau), \qquad \tau > 0

    Source: as in `reference.softmax.softmax_with_temperature`.

    Examples
    --------
    >>> softmax_with_temperature(torch.zeros(2), temperature=3.0).tolist()
    [0.5, 0.5]
    """
    scores = _floating("scores", scores, "keys")
    if not 0 < temperature < float("inf"):
        raise ValueError(
            f"temperature must be positive and finite: got {temperature}"
        )
    if scores.shape[-1] == 0:  # amax refuses an empty axis
        return scores
    # Shift before dividing: a tiny temperature must not overflow.
    highest = scores.detach().amax(dim=-1, keepdim=True)
    return torch.softmax((scores - highest) / temperature, dim=-1)


def masked_softmax(scores: Scores, mask: Mask) -> Weights:
    r"""Return the softmax over the keys that `mask` allows, zero elsewhere.

    A row in which the mask allows nothing is all zeros, and so is its
    gradient. What stands at a forbidden position, NaN included, has no
    influence on the weights or on any gradient.

    Parameters
    ----------
    scores : shape (..., queries, keys).
    mask : True where a query may look; broadcasts against `scores`.

    Source: as in `reference.softmax.masked_softmax`.

    Examples
    --------
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> masked_softmax(torch.zeros(2, 3), mask).tolist()
    [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    scores = _floating("scores", scores, "queries keys")
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )
    require_broadcast(scores=tuple(scores.shape), mask=tuple(mask.shape))
    nothing = torch.full_like(scores, -torch.inf)
    scores = torch.where(mask, scores, nothing)
    seen = (scores != -torch.inf).any(dim=-1, keepdim=True)
    # A row that sees nothing gets harmless scores first and zeros last:
    # a NaN on the way would come back in the gradient.
    weights = torch.softmax(torch.where(seen, scores, 0.0), dim=-1)
    return torch.where(seen, weights, 0.0)


def log_sum_exp(scores: Rows, *, axis: int = -1) -> Tensor:
    r"""Return the logarithm of the sum of exponentials along `axis`.

    .. math:: \mathrm{lse}(s) = \log \sum_l e^{s_l}

    Source: Blanchard, Higham & Higham (2021), "Accurately computing the
    log-sum-exp and softmax functions", sec. 1.

    Examples
    --------
    >>> log_sum_exp(torch.zeros(5, 1)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return torch.logsumexp(_floating("scores", scores, "keys"), dim=axis)


def log_softmax(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the logarithm of the softmax, finite where the weight is 0.0.

    .. math:: \log a_j = s_j - \mathrm{lse}(s)

    Source: as in `reference.softmax.log_softmax`.

    Examples
    --------
    >>> log_softmax(torch.tensor([0.0, -10000.0])).tolist()
    [0.0, -10000.0]
    """
    return torch.log_softmax(_floating("scores", scores, "keys"), dim=axis)


def softmax_jacobian(weights: Rows) -> Jacobian:
    r"""Return how each weight changes with each score.

    .. math:: J_{ij} = \partial a_i / \partial s_j = a_i (\delta_{ij} - a_j)

    Source: as in `reference.softmax.softmax_jacobian`.

    Examples
    --------
    >>> softmax_jacobian(torch.tensor([0.5, 0.5])).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    a = _floating("weights", weights, "keys")
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return a[..., :, None] * (identity - a[..., None, :])  # ... keys keys


def softmax_backward(weights: Rows, upstream: Rows) -> Rows:
    r"""Return the gradient with respect to the scores.

    .. math:: \frac{\partial L}{\partial s} = J^\top g
              = a \odot \left(g - \textstyle\sum_j a_j g_j\right)

    Parameters
    ----------
    weights : the softmax of the scores, a, shape (..., keys).
    upstream : the gradient with respect to the weights, g, same shape.

    Source: as in `reference.softmax.softmax_backward`.

    Examples
    --------
    >>> weights, upstream = torch.tensor([0.5, 0.5]), torch.tensor([4.0, 0.0])
    >>> softmax_backward(weights, upstream).tolist()
    [1.0, -1.0]
    """
    a = _floating("weights", weights, "keys")
    g = _floating("upstream", upstream, "keys")
    require_equal("keys", weights=a.shape[-1], upstream=g.shape[-1])
    require_broadcast(
        weights=tuple(a.shape[:-1]), upstream=tuple(g.shape[:-1])
    )
    average = (a * g).sum(dim=-1, keepdim=True)
    return a * (g - average)


def entropy(weights: Rows) -> Entropies:
    r"""Return the entropy of each row of weights, in nats.

    .. math:: H(a) = -\sum_j a_j \log a_j, \qquad 0 \log 0 = 0

    Source: Shannon (1948), "A Mathematical Theory of Communication", sec. 6.

    Examples
    --------
    >>> entropy(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [0.0, 0.0]
    """
    a = _floating("weights", weights, "keys")
    if bool((a < 0).any()):
        raise ValueError(f"weights must not be negative: got {float(a.min())}")
    # The inner `where` keeps log(0) out of the gradient, too.
    logarithms = torch.log(torch.where(a > 0, a, 1.0))
    return 0.0 - (a * logarithms).sum(dim=-1)
