"""Sparsemax and entmax in torch: the reference's functions, differentiable.

Every function keeps the dtype and the device of its scores; half types are
computed in single precision. Backwards it is the closed form, of the
weights alone, and not the sorting or the bisection. Gradients have
gradients. Minus infinity is a key that may not be seen.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.dense import weighted_sum
from attncourse.fast.precision import widened
from attncourse.fast.sparsemax_parts import (
    masked_scores,
    require_boolean,
    require_real,
    weights_of,
)
from attncourse.reference.sparsemax_gradients import exponent
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    SCORES,
    VALUES,
    require_broadcast,
    require_equal,
)

Rows = Float[Tensor, "*#batch keys"]
Entropies = Float[Tensor, "*#batch"]
Scores = Float[Tensor, SCORES]
Weights = Float[Tensor, SCORES]
Mask = Bool[Tensor, SCORES]
Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]


def sparsemax(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the point of the simplex that is nearest to the scores.

    .. math:: a_j = [s_j - \tau]_+, \qquad
              \tau = \max_k \tfrac{1}{k}
              \Big(\sum_{j \le k} s_{(j)} - 1\Big)

    Source: Martins & Astudillo (2016), "From Softmax to Sparsemax",
    algorithm 1.

    Examples
    --------
    >>> sparsemax(torch.tensor([1.0, 0.5, -2.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    return entmax(scores, alpha=2.0, axis=axis)


def entmax_15(scores: Rows, *, axis: int = -1) -> Rows:
    r"""Return the entmax weights of alpha 1.5, exactly, by sorting.

    .. math:: a_j = \left[\tfrac{s_j}{2} - \tau\right]_+^2

    Source: Peters, Niculae & Martins (2019), "Sparse Sequence-to-Sequence
    Models", algorithm 2.

    Examples
    --------
    >>> entmax_15(torch.tensor([0.0, -9.0])).tolist()
    [1.0, 0.0]
    """
    return entmax(scores, alpha=1.5, axis=axis)


def entmax(scores: Rows, *, alpha: float, axis: int = -1) -> Rows:
    r"""Return weights between softmax and sparsemax, and beyond.

    .. math:: a_j = [(\alpha - 1) s_j - \tau]_+^{1 / (\alpha - 1)}

    By sorting for alpha 1.5 and 2, which is exact, else by bisection.

    Parameters
    ----------
    alpha : at least 1: softmax; 2 is sparsemax. The higher, the sparser.

    Source: Peters, Niculae & Martins (2019), algorithms 1 and 2.

    Examples
    --------
    >>> entmax(torch.tensor([1.0, 0.5, -2.0]), alpha=2).tolist()
    [0.75, 0.25, 0.0]
    """
    require_real("scores", scores, "keys")
    alpha = exponent(alpha)
    weights = _Entmax.apply(widened(scores).movedim(axis, -1), alpha)
    return weights.movedim(-1, axis).to(scores.dtype)


def masked_sparsemax(scores: Scores, mask: Mask) -> Weights:
    r"""Return the sparsemax over the keys that `mask` allows, zero elsewhere.

    .. math:: a_i = \mathrm{sparsemax}(s_{ij} : M_{ij})

    A row in which the mask allows nothing is all zeros, and so is its
    gradient. What stands at a forbidden position, NaN included, has no
    influence on the weights or on any gradient.

    Source: Martins & Astudillo (2016), algorithm 1, over the allowed keys.

    Examples
    --------
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> masked_sparsemax(torch.zeros(2, 3), mask).tolist()
    [[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    return masked_entmax(scores, mask, alpha=2.0)


def masked_entmax(scores: Scores, mask: Mask, *, alpha: float) -> Weights:
    r"""Return the entmax over the keys that `mask` allows, zero elsewhere.

    .. math:: a_i = \alpha\text{-entmax}(s_{ij} : M_{ij})

    The contract of `masked_sparsemax`.

    Source: Peters, Niculae & Martins (2019), over the allowed keys.

    Examples
    --------
    >>> mask = torch.tensor([[True, False, True]])
    >>> masked_entmax(torch.zeros(1, 3), mask, alpha=1.3).tolist()
    [[0.5, 0.0, 0.5]]
    """
    require_real("scores", scores, "queries keys")
    require_boolean(mask)
    require_broadcast(scores=tuple(scores.shape), mask=tuple(mask.shape))
    return entmax(torch.where(mask, scores, -torch.inf), alpha=alpha)


def sparsemax_backward(weights: Rows, upstream: Rows) -> Rows:
    r"""Return the gradient of a loss in the scores of a sparsemax.

    .. math:: \frac{\partial L}{\partial s_j} =
              [\,a_j > 0\,] \Big(g_j - \tfrac{1}{|S|}
              \textstyle\sum_{l \in S} g_l\Big)

    Source: Martins & Astudillo (2016), "From Softmax to Sparsemax",
    on the Jacobian of sparsemax.

    Examples
    --------
    >>> weights = torch.tensor([0.75, 0.25, 0.0])
    >>> sparsemax_backward(weights, torch.tensor([4.0, 0.0, 7.0])).tolist()
    [2.0, -2.0, 0.0]
    """
    return entmax_backward(weights, upstream, alpha=2.0)


def entmax_backward(weights: Rows, upstream: Rows, *, alpha: float) -> Rows:
    r"""Return the gradient of a loss in the scores of an entmax.

    .. math:: \frac{\partial L}{\partial s} = u \odot \left(g -
              \frac{\sum_l u_l g_l}{\sum_l u_l}\right), \qquad
              u_j = [\,a_j > 0\,]\; a_j^{2 - \alpha}

    In a row without weights the gradient is zero, in one with a NaN it is
    NaN wherever the weight is not zero.

    Source: Peters, Niculae & Martins (2019), proposition 1.

    Examples
    --------
    >>> weights, upstream = torch.tensor([0.5, 0.5]), torch.tensor([4.0, 0.0])
    >>> entmax_backward(weights, upstream, alpha=1).tolist()
    [1.0, -1.0]
    """
    require_real("weights", weights, "keys")
    require_real("upstream", upstream, "keys")
    alpha = exponent(alpha)
    require_equal(
        "keys", weights=weights.shape[-1], upstream=upstream.shape[-1]
    )
    require_broadcast(
        weights=tuple(weights.shape[:-1]), upstream=tuple(upstream.shape[:-1])
    )
    kept = torch.promote_types(weights.dtype, upstream.dtype)
    a = widened(weights)
    seen = a > 0
    none = torch.where(a.isnan(), torch.nan, 0.0)  # NaN ** 0 would be 1
    # Both branches of a where are differentiated, so neither may be 0 ** -1.
    u = torch.where(seen, torch.where(seen, a, 1.0) ** (2.0 - alpha), none)
    g = torch.where(seen, upstream, 0.0)
    total = u.sum(dim=-1, keepdim=True)
    along = (u * g).sum(dim=-1, keepdim=True)
    average = along / torch.where(total == 0, 1.0, total)
    return torch.where(seen, u * (g - average), none).to(kept)


def tsallis_entropy(weights: Rows, *, alpha: float) -> Entropies:
    r"""Return the entropy that entmax maximises along with the average score.

    .. math:: H_\alpha(a) = \frac{1}{\alpha (\alpha - 1)} \sum_j
              \left(a_j - a_j^\alpha\right)

    For alpha 1 it is Shannon's entropy. Its gradient at a weight of zero
    is taken as zero.

    Source: Tsallis (1988), "Possible generalization of Boltzmann-Gibbs
    statistics", with the factor of Peters, Niculae & Martins (2019).

    Examples
    --------
    >>> tsallis_entropy(torch.tensor([0.5, 0.5]), alpha=2).item()
    0.25
    """
    require_real("weights", weights, "keys")
    alpha = exponent(alpha)
    if bool((weights < 0).any()):
        raise ValueError(
            f"weights must not be negative: got {float(weights.min())}"
        )
    a = widened(weights)
    logarithms = torch.log(torch.where(a == 0, 1.0, a))
    if alpha == 1:
        return (0.0 - (a * logarithms).sum(dim=-1)).to(weights.dtype)
    # a - a^alpha without cancellation where alpha is nearly one
    parts = a * -torch.expm1((alpha - 1) * logarithms)
    return (parts.sum(dim=-1) / (alpha * (alpha - 1))).to(weights.dtype)


def sparsemax_attention(
    q: Queries, k: Keys, v: Values, *, mask: Mask | None = None
) -> Output:
    r"""Return attention that averages the values of a few keys only.

    .. math:: O = \mathrm{sparsemax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `dense.attention`.

    Source: Martins & Astudillo (2016), section 4.3, with the scores of
    Vaswani et al. (2017).

    Examples
    --------
    >>> q, k = torch.ones(1, 1), torch.tensor([[3.0], [2.5], [0.0]])
    >>> sparsemax_attention(q, k, torch.eye(3)).tolist()
    [[0.75, 0.25, 0.0]]
    """
    return entmax_attention(q, k, v, alpha=2.0, mask=mask)


def entmax_attention(
    q: Queries, k: Keys, v: Values, *, alpha: float, mask: Mask | None = None
) -> Output:
    r"""Return attention whose weights are those of entmax.

    .. math:: O = \alpha\text{-entmax}_{keys}
              \left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `dense.attention`, which it is for alpha 1.

    Source: Correia, Niculae & Martins (2019), "Adaptively Sparse
    Transformers", section 3.

    Examples
    --------
    >>> q, k = torch.ones(1, 1), torch.tensor([[3.0], [2.5], [0.0]])
    >>> entmax_attention(q, k, torch.eye(3), alpha=2).tolist()
    [[0.75, 0.25, 0.0]]
    """
    require_real("v", v, "keys value_dim")
    weights = entmax(masked_scores(q, k, mask), alpha=alpha)
    return weighted_sum(weights, widened(v), mask=mask).to(v.dtype)


class _Entmax(torch.autograd.Function):
    """Weights over the last axis; their gradient from the weights alone."""

    @staticmethod
    def forward(ctx, scores, alpha):
        weights = weights_of(scores, alpha)
        ctx.save_for_backward(weights)
        ctx.alpha = alpha
        return weights

    @staticmethod
    def backward(ctx, upstream):
        (weights,) = ctx.saved_tensors
        return entmax_backward(weights, upstream, alpha=ctx.alpha), None
