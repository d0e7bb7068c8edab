"""AdaLoRA in torch: updates whose ranks share one budget while they train."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.lora import Matrix, Tokens
from attncourse.fast.lora_parts import (
    Update,
    linear_sizes,
    number,
    replace_layers,
)
from attncourse.reference.lora_budget import rank_budget

# `adaptive_layers` is for the modules next to this one.
__all__ = [
    "AdaptiveLinear",
    "Budget",
    "RankAllocator",
    "add_adaptive_lora",
    "orthogonality_penalty",
]

PARTS = ("left", "values", "right")


class AdaptiveLinear(Update):
    r"""A frozen linear map and an update written as triplets.

    .. math:: y = W x + b + P \Lambda Q x

    Parameters
    ----------
    base : the map; its own numbers are frozen.
    rank : triplets at the start; `RankAllocator` silences some.

    Source: Zhang et al. (2023), "AdaLoRA: Adaptive Budget Allocation for
    Parameter-Efficient Fine-Tuning", section 3.1.

    Examples
    --------
    >>> layer = AdaptiveLinear(nn.Linear(6, 5), rank=2)
    >>> layer(torch.ones(3, 6)).shape, layer.weight.shape
    (torch.Size([3, 5]), torch.Size([5, 6]))
    """

    base: nn.Linear

    def __init__(self, base: nn.Linear, *, rank: int):
        super().__init__()
        out_width, width = linear_sizes(base, rank)
        self.base = base.requires_grad_(False)
        like = base.weight.detach()
        self.left = nn.Parameter(like.new_empty(out_width, rank))
        self.values = nn.Parameter(like.new_zeros(rank))
        self.right = nn.Parameter(like.new_empty(rank, width))
        nn.init.normal_(self.left, std=1 / math.sqrt(out_width))
        nn.init.normal_(self.right, std=1 / math.sqrt(width))

    @property
    def weight(self) -> Matrix:
        """Return the matrix with its update."""
        return self.base.weight + (self.left * self.values) @ self.right

    @property
    def bias(self) -> Float[Tensor, "out_width"] | None:
        """Return the bias, frozen."""
        return self.base.bias

    def forward(self, x: Tokens) -> Float[Tensor, "*#batch tokens out_width"]:
        """Return every token mapped; the product is not formed."""
        inner = F.linear(x, self.right) * self.values
        return self.base(x) + F.linear(inner, self.left)

    def extra_repr(self) -> str:
        """Return how many triplets there are."""
        return f"rank={len(self.values)}"


def add_adaptive_lora(
    model: nn.Module, *patterns: str, rank: int
) -> nn.Module:
    r"""Put triplets on every linear map that a pattern names.

    .. math:: W \to W + P \Lambda Q

    The model is changed in place and returned; only the triplets train.

    Source: Zhang et al. (2023), section 3.1.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3))
    >>> add_adaptive_lora(model, "*", rank=2)[1]
    AdaptiveLinear(
      rank=2
      (base): Linear(in_features=5, out_features=3, bias=True)
    )
    """

    def wrapped(layer: nn.Linear) -> AdaptiveLinear:
        return AdaptiveLinear(layer, rank=rank)

    return replace_layers(model, patterns, wrapped, kind=nn.Linear)


def adaptive_layers(model: nn.Module) -> dict[str, AdaptiveLinear]:
    """Return the layers with triplets, by name; there must be one.

    Examples
    --------
    >>> list(adaptive_layers(AdaptiveLinear(nn.Linear(6, 5), rank=2)))
    ['']
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, AdaptiveLinear)
    }
    if not layers:
        raise ValueError(
            "model must have layers with triplets: got none; "
            "call add_adaptive_lora first"
        )
    return layers


def orthogonality_penalty(model: nn.Module) -> Float[Tensor, ""]:
    r"""Return how far the directions of all updates are from orthonormal.

    .. math:: \sum_k \lVert P_k^\top P_k - I \rVert_F^2 +
              \lVert Q_k Q_k^\top - I \rVert_F^2

    To be added to the loss, times a small number.

    Source: Zhang et al. (2023), section 3.1.

    Examples
    --------
    >>> layer = AdaptiveLinear(nn.Linear(6, 5), rank=2)
    >>> _ = nn.init.eye_(layer.left), nn.init.eye_(layer.right)
    >>> orthogonality_penalty(layer).item()
    0.0
    """
    terms = []
    for layer in adaptive_layers(model).values():
        unit = torch.eye(len(layer.values)).to(layer.values)
        for gram in (layer.left.mT @ layer.left, layer.right @ layer.right.mT):
            terms.append((gram - unit).square().sum())
    return torch.stack(terms).sum()


class Budget(NamedTuple):
    """How many triplets may stay, from the first step to the last.

    `first` and `last` are the budgets at the start and at the end of
    `steps` steps; nothing changes in the first `warm` and the last `final`
    of them, as `attncourse.reference.lora_budget.rank_budget` says.
    """

    first: int
    last: int
    steps: int
    warm: int
    final: int

    def at(self, step: int) -> int:
        """Return how many triplets may stay after a step."""
        return rank_budget(step, **self._asdict())


class RankAllocator:
    r"""Silences the triplets that matter least, after each step of training.

    .. math:: \lambda_{ki} \leftarrow \lambda_{ki}\,[\, S_{ki} \text{ among
              the } b_t \text{ largest} \,]

    with S the smoothed sensitivity times its uncertainty: that of the
    value, plus the means over its column of P and its row of Q. Call
    `measure` while the gradients are there and `step` after the optimiser:
    a silenced value still has a gradient and may come back.

    Parameters
    ----------
    model : with layers of `add_adaptive_lora`.
    budget : of all of them together.
    keep, keep_uncertainty : of the running means, at least 0, below 1.

    Source: Zhang et al. (2023), sections 3.2 and 3.3, algorithm 1.

    Examples
    --------
    >>> layer = AdaptiveLinear(nn.Linear(6, 5), rank=2)
    >>> budget = Budget(first=2, last=1, steps=3, warm=0, final=0)
    >>> allocator = RankAllocator(layer, budget)
    >>> layer(torch.ones(3, 6)).sum().backward()
    >>> allocator.measure()
    >>> [each.tolist() for each in allocator.step(0)]
    [[True, True]]
    """

    def __init__(
        self,
        model: nn.Module,
        budget: Budget,
        *,
        keep: float = 0.85,
        keep_uncertainty: float = 0.85,
    ):
        number("keep", keep, below=1)
        number("keep_uncertainty", keep_uncertainty, below=1)
        budget.at(0)
        self.layers = list(adaptive_layers(model).values())
        self.budget, self.betas = budget, (keep, keep_uncertainty)
        self.means = [
            {
                part: (
                    _zeros(getattr(layer, part)),
                    _zeros(getattr(layer, part)),
                )
                for part in PARTS
            }
            for layer in self.layers
        ]

    @torch.no_grad()
    def measure(self) -> None:
        """Take the present gradients into the running means."""
        keep, keep_uncertainty = self.betas
        for layer, means in zip(self.layers, self.means, strict=True):
            for part in PARTS:
                x = getattr(layer, part)
                if x.grad is None:
                    raise ValueError(
                        "triplets must have gradients: "
                        "got none; call backward first"
                    )
                mean, varies = means[part]
                now = (x.to(mean.dtype) * x.grad.to(mean.dtype)).abs()
                mean.mul_(keep).add_(now, alpha=1 - keep)
                varies.mul_(keep_uncertainty).add_(
                    (now - mean).abs(), alpha=1 - keep_uncertainty
                )

    @torch.no_grad()
    def step(self, step: int) -> list[Tensor]:
        """Silence what the budget after this step does not keep.

        Returned is which triplets of each layer stay.
        """
        budget = self.budget.at(step)
        scores = [self._importance(each) for each in self.means]
        together = torch.cat(scores)
        wrong = int(together.isnan().sum())
        if wrong:  # and no order would hold
            raise ValueError(f"importances must be numbers: got {wrong} NaN")
        order = together.argsort(descending=True, stable=True)
        keep = torch.zeros_like(together, dtype=torch.bool)
        keep[order[:budget]] = True
        masks = list(keep.split([len(each) for each in scores]))
        for layer, mask in zip(self.layers, masks, strict=True):
            layer.values.masked_fill_(~mask, 0.0)
        return masks

    @staticmethod
    def _importance(means: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        left, values, right = (
            means[part][0] * means[part][1] for part in PARTS
        )
        return values + left.mean(dim=0) + right.mean(dim=1)


def _zeros(x: Tensor) -> Tensor:
    """Return zeros of a tensor's shape, in single precision at least."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return torch.zeros_like(x, dtype=wide, requires_grad=False)
