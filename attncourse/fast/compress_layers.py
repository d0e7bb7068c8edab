"""Torch layers that keep a mask, or hold their weights in eight bits.

A masked layer computes with masked weights whatever an optimiser does to
them; a quantised one keeps codes and steps, no weights. Both have a
`weight`, so that code which reads it sees what the layer computes with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from attncourse.fast.compress import global_masks, require_mask
from attncourse.fast.compress_int8 import Quantised, int8_product, quantise
from attncourse.fast.lora_parts import replace_layers

Numbers = Float[Tensor, "*axes"]
Kept = Bool[Tensor, "*axes"]
Tokens = Float[Tensor, "*#batch tokens width"]


class Masked(nn.Module):
    r"""What a masked layer computes with: its weights where a mask is True.

    .. math:: w' = w M

    The others get no gradient, and nothing that an optimiser adds to them
    is ever read.

    Source: Han et al. (2015), section 3, where pruned weights stay zero
    while the others are trained.

    Examples
    --------
    >>> Masked(torch.tensor([True, False]))(torch.ones(2)).tolist()
    [1.0, 0.0]
    """

    def __init__(self, mask: Kept):
        super().__init__()
        require_mask(mask)
        self.register_buffer("mask", mask.clone())
        self.mask: Tensor

    def forward(self, weights: Numbers) -> Numbers:
        """Return the weights, zero where the mask is False."""
        return weights.masked_fill(~self.mask, 0.0)


def apply_mask(layer: nn.Module, mask: Kept) -> nn.Module:
    r"""Mask the weight of a layer from now on, while it trains too.

    .. math:: W \to W M

    Masks multiply: what was pruned before stays so. The mask is part of
    the layer's state.

    Parameters
    ----------
    mask : of the weight's shape, or one that broadcasts to it, such as
        (rows, 1).

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> layer = apply_mask(nn.Linear(6, 5), torch.zeros(5, 1) > 0)
    >>> layer.weight.any().item()
    False
    """
    require_mask(mask)
    weight: Tensor = layer.weight  # type: ignore[assignment]
    shape = tuple(weight.shape)
    try:
        mask = mask.to(weight.device).expand(shape)
    except RuntimeError:
        raise ValueError(
            f"mask must fit the weight's shape {shape}: "
            f"got {tuple(mask.shape)}"
        ) from None
    parametrize.register_parametrization(layer, "weight", Masked(mask))
    return layer


def prune_model(model: nn.Module, *, keep: int) -> nn.Module:
    r"""Mask all linear maps of a model: its `keep` largest weights stay.

    .. math:: M_{ki} = [\, |w_{ki}| \text{ among the } n \text{ largest of
              all matrices} \,]

    Biases, norms and embeddings stay whole. The model is changed in place
    and returned.

    Source: Han et al. (2015), section 3.

    Examples
    --------
    >>> model = prune_model(nn.Sequential(nn.Linear(6, 5)), keep=7)
    >>> model[0].weight.count_nonzero().item()
    7
    """
    layers = _linear_maps(model)
    masks = global_masks([each.weight.detach() for each in layers], keep=keep)
    for layer, mask in zip(layers, masks, strict=True):
        apply_mask(layer, mask)
    return model


def make_permanent(model: nn.Module) -> nn.Module:
    r"""Write the zeros of all masks into the weights, and drop the masks.

    .. math:: W \leftarrow W M

    Source: bookkeeping of Han et al. (2015), section 3.

    Examples
    --------
    >>> model = prune_model(nn.Sequential(nn.Linear(6, 5)), keep=7)
    >>> list(make_permanent(model).state_dict())
    ['0.bias', '0.weight']
    """
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    return model


class QuantisedLinear(nn.Module):
    r"""A linear map whose weights are int8, a step for each output.

    .. math:: y_o = \sum_i (c_{oi} \Delta_o)\, x_i + b_o

    The tokens keep their dtype, and a step has single precision at least.
    The matrix takes a quarter of what single precision takes. It does not
    train.

    Source: Jacob et al. (2018), "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", section 2.1.

    Examples
    --------
    >>> layer = QuantisedLinear(nn.Linear(6, 5))
    >>> layer(torch.ones(3, 6)).shape, layer.codes.dtype
    (torch.Size([3, 5]), torch.int8)
    """

    def __init__(self, base: nn.Linear):
        super().__init__()
        if not isinstance(base, nn.Linear):
            raise TypeError(
                f"base must be an nn.Linear: got {type(base).__name__}"
            )
        codes, scale, _ = quantise(base.weight.detach(), axis=1)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        bias = None if base.bias is None else base.bias.detach().clone()
        self.register_buffer("bias", bias)
        # Follows the layer to another dtype, which the codes do not.
        like = base.weight.detach().new_empty(0)
        self.register_buffer("like", like, persistent=False)
        self.codes: Tensor
        self.scale: Tensor
        self.bias: Tensor | None
        self.like: Tensor

    @property
    def weight(self) -> Float[Tensor, "out_width width"]:
        """Return the weights that the codes stand for."""
        return (self.codes.to(self.scale.dtype) * self.scale).to(self.like)

    def forward(self, x: Tokens) -> Float[Tensor, "*#batch tokens out_width"]:
        """Return every token mapped."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes of the matrix."""
        out_width, width = self.codes.shape
        return f"in_features={width}, out_features={out_width}"


class Int8Linear(QuantisedLinear):
    r"""A linear map in int8: the tokens are quantised too, as they come.

    .. math:: y_{to} = \Delta_t \Delta_o \sum_i c_{ti} c_{oi} + b_o

    The sums are exact in 32 bits. A step belongs to a token, so no other
    token of the batch changes a result. There are no gradients.

    Source: Dettmers et al. (2022), "LLM.int8()", section 3.1,
    "vector-wise quantization".

    Examples
    --------
    >>> Int8Linear(nn.Linear(6, 5))(torch.ones(3, 6)).shape
    torch.Size([3, 5])
    """

    def forward(self, x: Tokens) -> Float[Tensor, "*#batch tokens out_width"]:
        """Return every token mapped."""
        zero = torch.zeros_like(self.scale.T, dtype=torch.int64)
        w = Quantised(self.codes.T, self.scale.T, zero)
        y = int8_product(quantise(x.detach(), axis=-1), w)
        y = y if self.bias is None else y + self.bias
        return y.to(x.dtype)


def quantise_model(model: nn.Module, *patterns: str) -> nn.Module:
    r"""Put int8 weights in the place of those that a pattern names.

    .. math:: W_{oi} \to c_{oi} \Delta_o

    The model is changed in place, frozen and returned. (Where layers are
    called as modules, `replace_layers` puts an `Int8Linear` there instead;
    those of `attncourse.fast.layers` read weights.)

    Parameters
    ----------
    patterns : shell patterns of module names; each must name a linear map.

    Source: Jacob et al. (2018), section 2.1.

    Examples
    --------
    >>> quantise_model(nn.Sequential(nn.Linear(6, 5)), "*")
    Sequential(
      (0): QuantisedLinear(in_features=6, out_features=5)
    )
    """
    return replace_layers(model, patterns, QuantisedLinear, kind=nn.Linear)


def _linear_maps(model: nn.Module) -> list[nn.Linear]:
    return [each for each in model.modules() if isinstance(each, nn.Linear)]
