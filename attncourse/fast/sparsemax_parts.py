"""What `attncourse.fast.sparsemax` stands on: solvers, scores, checks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.dense import pair_products
from attncourse.fast.precision import widened
from attncourse.shapes import (
    KEYS,
    QUERIES,
    SCORES,
    require_broadcast,
    require_equal,
)

# For `sparsemax` and the modules of `adaptive` alone.
__all__: list[str] = []

Rows = Float[Tensor, "*batch keys"]
Mask = Bool[Tensor, SCORES]

# Then the highest weight has all its digits, for many millions of keys.
HALVINGS = {torch.float32: 50, torch.float64: 85}


def weights_of(scores: Rows, alpha: float) -> Rows:
    r"""Return the entmax over the last axis; no gradient is recorded.

    .. math:: a_j = [(\alpha - 1) s_j - \tau]_+^{1 / (\alpha - 1)}

    Rows of minus infinity alone are zeros. NaN or plus infinity makes NaN
    of its row.

    Source: Peters, Niculae & Martins (2019), "Sparse Sequence-to-Sequence
    Models", algorithms 1 and 2.

    Examples
    --------
    >>> weights_of(torch.tensor([1.0, 0.5]), 2.0).tolist()
    [0.75, 0.25]
    """
    if not scores.numel():
        return scores.clone()
    highest = scores.amax(dim=-1, keepdim=True)
    # Without a key any shift will do; infinity minus infinity will not.
    shift = torch.where(highest == -torch.inf, 0.0, highest)
    below = scores - torch.where(shift == torch.inf, torch.nan, shift)
    if alpha == 1:
        weights = torch.softmax(below, dim=-1)
    elif alpha == 1.5:
        weights = _sorted_15(below)
    elif alpha == 2:
        weights = _sorted_2(below)
    else:
        weights = _bisected(-below, alpha)
    return torch.where(scores == -torch.inf, 0.0, weights)


def masked_scores(
    q: Float[Tensor, QUERIES], k: Float[Tensor, KEYS], mask: Mask | None
) -> Float[Tensor, SCORES]:
    r"""Return the scaled scores, minus infinity where `mask` is False.

    .. math:: s_{ij} = q_i \cdot k_j / \sqrt{d_k}

    NaN where a query may not look reaches no score and no gradient. Half
    types become single precision, in which no product of theirs overflows.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> masked_scores(torch.ones(1, 4), torch.ones(3, 4), None).tolist()
    [[2.0, 2.0, 2.0]]
    """
    require_real("q", q, "queries dim")
    require_real("k", k, "keys dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    leading = require_broadcast(q=tuple(q.shape[:-2]), k=tuple(k.shape[:-2]))
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    q, k, scale = widened(q), widened(k), q.shape[-1] ** -0.5
    if mask is None:
        return q @ k.mT * scale
    require_fit(mask, (*leading, q.shape[-2], k.shape[-2]))
    scores = pair_products(q, k, mask=mask) * scale
    return torch.where(mask, scores, -torch.inf)


def require_real(name: str, value: Tensor, axes: str) -> None:
    """Refuse what is no floating-point tensor or lacks the named axes.

    Source: bookkeeping; the arguments of every function of this package.

    Examples
    --------
    >>> require_real("q", torch.zeros(3), "queries dim")
    Traceback (most recent call last):
    ValueError: q must have axes (..., queries, dim): got shape (3,)
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} must be a floating-point tensor: got {got}")
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )


def require_boolean(mask: Tensor) -> None:
    """Refuse a mask that is no tensor of True and False.

    Source: bookkeeping; the contract of a mask.

    Examples
    --------
    >>> require_boolean(torch.ones(1, 5) > 0)
    """
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )


def require_fit(mask: Tensor, scores: tuple[int, ...]) -> None:
    """Refuse a mask that is not boolean or would add queries or keys.

    Parameters
    ----------
    scores : the shape of the scores, which the mask must fit.

    Source: bookkeeping; the contract of a mask.

    Examples
    --------
    >>> require_fit(torch.ones(1, 5) > 0, (3, 5))
    """
    require_boolean(mask)
    shape, (queries, keys) = tuple(mask.shape), scores[-2:]
    if (
        mask.ndim < 2
        or shape[-2] not in (1, queries)
        or shape[-1] not in (1, keys)
    ):
        raise ValueError(
            "mask must fit the scores, shape (..., queries, keys) = "
            f"(..., {queries}, {keys}): got {shape}"
        )
    require_broadcast(scores=scores[:-2], mask=shape[:-2])


def _sorted_2(below: Rows) -> Rows:
    """Return the sparsemax, given how far each score is below the highest."""
    z = below.clamp(min=-1.0)  # what is lower has no weight either
    ordered, _ = z.sort(dim=-1, descending=True)
    candidates = (ordered.cumsum(dim=-1) - 1.0) / _ranks(z)
    return (z - candidates.amax(dim=-1, keepdim=True)).clamp(min=0.0)


def _sorted_15(below: Rows) -> Rows:
    """Return the entmax of alpha 1.5, given the scores below the highest."""
    x = (below / 2).clamp(min=-1.0)
    # A difference of squares needs digits: of the variance, few are left.
    ordered = x.sort(dim=-1, descending=True).values.double()
    ranks = _ranks(ordered)
    mean = ordered.cumsum(dim=-1) / ranks
    variance = ordered.square().cumsum(dim=-1) / ranks - mean.square()
    candidates = mean - (1 / ranks - variance).clamp(min=0.0).sqrt()
    kept = torch.where(candidates <= ordered, candidates, -1.0)
    threshold = kept.amax(dim=-1, keepdim=True).to(x.dtype)
    return (x - threshold).clamp(min=0.0).square()


def _bisected(distance: Rows, alpha: float) -> Rows:
    """Return the entmax; see `attncourse.reference.sparsemax.entmax`."""
    high = torch.ones_like(distance[..., :1])
    low = torch.zeros_like(high)
    for _ in range(HALVINGS[distance.dtype]):
        middle = (low + high) / 2
        short = _total(_weights(distance, middle, alpha)) < 1
        low = torch.where(short, middle, low)
        high = torch.where(short, high, middle)
    below, above = (_weights(distance, h, alpha) for h in (low, high))
    # Every weight lies between the two; so does the sum of one.
    share = (1 - _total(below)) / (_total(above) - _total(below))
    return below + share * (above - below)


def _total(weights: Rows) -> Tensor:
    return weights.sum(dim=-1, keepdim=True)


def _weights(distance: Rows, highest: Tensor, alpha: float) -> Rows:
    """Return the weights, given how far below and the highest of them."""
    largest = torch.finfo(distance.dtype).max
    scale = highest.pow(1 - alpha).clamp(max=largest)
    lost = ((alpha - 1) * distance * scale).clamp(max=1.0)
    return highest * (torch.log1p(-lost) / (alpha - 1)).exp()


def _ranks(rows: Rows) -> Float[Tensor, "keys"]:
    keys = rows.shape[-1]
    return torch.arange(1, keys + 1, dtype=rows.dtype, device=rows.device)
