"""Tuning few numbers of a torch model: low-rank updates and adapters.

`add_lora` and its kin take the place of layers by name, in the model
itself, and freeze all other numbers. What is put in place of an
`nn.Linear` has its `weight` and `bias` too, so that code which reads those
sees the tuned matrix. torch keeps a matrix as (out_width, width), so the
update is written B A here, as in the papers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.lora_parts import (
    Update,
    linear_sizes,
    number,
    replace_layers,
    trained_count,
)
from attncourse.shapes import count

__all__ = [
    "Adapted",
    "Adapter",
    "LowRankLinear",
    "add_adapters",
    "add_lora",
    "merged",
    "replace_layers",
    "trained_count",
]

Tokens = Float[Tensor, "*#batch tokens width"]
Matrix = Float[Tensor, "out_width width"]
Activation = Callable[[Tensor], Tensor]


class LowRankLinear(Update):
    r"""A frozen linear map and its trained low-rank update.

    .. math:: y = W x + b + \frac{\alpha}{r} B A x

    Parameters
    ----------
    base : the map; its own numbers are frozen.
    rank : at most the smaller width.
    alpha : scale; the update is multiplied by alpha / rank.

    Source: Hu et al. (2022), "LoRA: Low-Rank Adaptation of Large Language
    Models", section 4.1.

    Examples
    --------
    >>> layer = LowRankLinear(nn.Linear(6, 5), rank=2, alpha=4.0)
    >>> layer(torch.ones(3, 6)).shape, layer.weight.shape
    (torch.Size([3, 5]), torch.Size([5, 6]))
    """

    base: nn.Linear

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float):
        super().__init__()
        out_width, width = linear_sizes(base, rank)
        self.alpha = number("alpha", alpha)
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(base.weight.new_empty(rank, width))
        self.up = nn.Parameter(base.weight.new_zeros(out_width, rank))
        nn.init.normal_(self.down, std=1 / math.sqrt(width))

    @property
    def scale(self) -> float:
        """Return what the product is multiplied by."""
        return self.alpha / len(self.down)

    @property
    def weight(self) -> Matrix:
        """Return the matrix with its update."""
        return self.base.weight + self.scale * (self.up @ self.down)

    @property
    def bias(self) -> Float[Tensor, "out_width"] | None:
        """Return the bias, frozen."""
        return self.base.bias

    def forward(self, x: Tokens) -> Float[Tensor, "*#batch tokens out_width"]:
        """Return every token mapped; the product B A is not formed."""
        update = F.linear(F.linear(x, self.down), self.up)
        return self.base(x) + self.scale * update

    def extra_repr(self) -> str:
        """Return the sizes of the update."""
        return f"rank={len(self.down)}, alpha={self.alpha}"


class Adapter(nn.Module):
    r"""A bottleneck adapter: narrow, and near the identity at its start.

    .. math:: y = x + W_{up} f(W_{down} x + b_{down}) + b_{up}

    Source: Houlsby et al. (2019), "Parameter-Efficient Transfer Learning
    for NLP", section 2.1 and figure 2; its start, section 3.6.

    Examples
    --------
    >>> Adapter(6, hidden=2)(torch.ones(3, 6)).shape
    torch.Size([3, 6])
    """

    def __init__(
        self, width: int, hidden: int, *, activation: Activation = F.gelu
    ):
        super().__init__()
        width, hidden = count("width", width), count("hidden", hidden)
        self.down, self.up = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.activation = activation
        for layer in (self.down, self.up):
            nn.init.trunc_normal_(layer.weight, std=0.01, a=-0.02, b=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tokens) -> Tokens:
        """Return every token, changed a little by itself."""
        return x + self.up(self.activation(self.down(x)))


class Adapted(Update):
    """A frozen sublayer with an adapter behind it.

    Source: Houlsby et al. (2019), section 2.1 and figure 2.

    Examples
    --------
    >>> Adapted(nn.Identity(), Adapter(6, hidden=2))(torch.ones(3, 6)).shape
    torch.Size([3, 6])
    """

    def __init__(self, base: nn.Module, adapter: Adapter):
        super().__init__()
        self.base, self.adapter = base.requires_grad_(False), adapter

    def forward(self, *inputs, **options) -> Tensor:
        """Return what the adapter makes of the sublayer's result."""
        return self.adapter(self.base(*inputs, **options))


def add_lora(
    model: nn.Module, *patterns: str, rank: int, alpha: float
) -> nn.Module:
    r"""Put a low-rank update on every linear map that a pattern names.

    .. math:: W \to W + \frac{\alpha}{r} B A

    The model is changed in place and returned; only the updates train.

    Parameters
    ----------
    patterns : shell patterns of module names, such as ``"*.query"``. Each
        must name at least one linear map.

    Source: Hu et al. (2022), sections 4.2 and 5.1, where the query and
    value maps of attention are tuned.

    Examples
    --------
    >>> model = add_lora(
    ...     nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)),
    ...     "0",
    ...     rank=2,
    ...     alpha=4.0,
    ... )
    >>> [name for name, x in model.named_parameters() if x.requires_grad]
    ['0.down', '0.up']
    """

    def wrapped(layer: nn.Linear) -> LowRankLinear:
        return LowRankLinear(layer, rank=rank, alpha=alpha)

    return replace_layers(model, patterns, wrapped, kind=nn.Linear)


def add_adapters(
    model: nn.Module,
    *patterns: str,
    width: int,
    hidden: int,
    activation: Activation = F.gelu,
) -> nn.Module:
    r"""Put an adapter behind every sublayer that a pattern names.

    .. math:: f(x) \to \mathrm{adapter}(f(x))

    The model is changed in place and returned; only the adapters train.

    Parameters
    ----------
    patterns : shell patterns of module names, such as ``"*.attention"``.
    width : numbers of a token that the sublayers return.

    Source: Houlsby et al. (2019), section 2.1.

    Examples
    --------
    >>> model = add_adapters(
    ...     nn.Sequential(nn.Linear(6, 6)), "0", width=6, hidden=2
    ... )
    >>> sum(x.numel() for x in model.parameters() if x.requires_grad)
    32
    """
    _, like = next(model.named_parameters(), (None, torch.empty(0)))

    def wrapped(layer: nn.Module) -> Adapted:
        adapter = Adapter(width, hidden, activation=activation)
        return Adapted(layer, adapter.to(like.device, like.dtype))

    return replace_layers(model, patterns, wrapped, kind=nn.Module)


def merged(model: nn.Module) -> nn.Module:
    r"""Return a copy of the model with every low-rank update added for good.

    .. math:: W' = W + \Delta W

    The copy has plain linear maps, and the parameter names that the model
    had before it was tuned. The model itself stays as it is: its frozen
    matrices are the first ones, bit for bit. A matrix that was shared with
    a layer without an update, such as an embedding, is not shared then.

    Source: Hu et al. (2022), section 4.1, "No Additional Inference
    Latency".

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(6, 5))
    >>> merged(add_lora(model, "0", rank=2, alpha=4.0))
    Sequential(
      (0): Linear(in_features=6, out_features=5, bias=True)
    )
    """
    result = copy.deepcopy(model)
    plain: dict[int, nn.Module] = {}  # a layer may have several names
    for name, layer in list(result.named_modules(remove_duplicate=False)):
        if not isinstance(layer, Update) or not hasattr(layer, "weight"):
            continue
        if id(layer) not in plain:
            plain[id(layer)] = _plain(layer)
        if not name:
            return plain[id(layer)]
        parent, _, child = name.rpartition(".")
        setattr(result.get_submodule(parent), child, plain[id(layer)])
    return result


def _plain(layer: Update) -> nn.Module:
    """Return a linear map with the matrix of a tuned one."""
    matrix = layer.weight.detach()  # type: ignore[operator, union-attr]
    layer.base.weight = nn.Parameter(matrix, requires_grad=False)
    return layer.base
