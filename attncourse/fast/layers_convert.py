"""Weights between three homes: these layers, torch's own, the reference.

`from_torch` and `to_torch` copy; `to_reference` gives views of the numbers,
detached, for the functions of `attncourse.reference.blocks`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attncourse.fast import layers
from attncourse.fast.heads import projections_of
from attncourse.reference import blocks, feedforward

ACTIVATIONS: dict[Any, Any] = {
    F.relu: feedforward.relu,
    torch.relu: feedforward.relu,
    F.gelu: feedforward.gelu,
    F.silu: feedforward.swish,
    torch.sigmoid: feedforward.sigmoid,
}
# The function of the reference that applies each layer's numbers.
FUNCTIONS: dict[type, Any] = {
    layers.EncoderLayer: blocks.encoder_layer,
    layers.PreNormEncoderLayer: blocks.pre_norm_encoder_layer,
    layers.ParallelLayer: blocks.parallel_layer,
    layers.DecoderLayer: blocks.decoder_layer,
    layers.PreNormDecoderLayer: blocks.pre_norm_decoder_layer,
}


def from_torch(theirs: nn.Module) -> nn.Module:
    """Return this course's layer with the numbers of torch's own.

    Parameters
    ----------
    theirs : an nn.MultiheadAttention, nn.TransformerEncoderLayer or
        nn.TransformerDecoderLayer. Whatever its `batch_first` says, here
        the leading axes are the batch.

    Raises
    ------
    TypeError
        If the layer is of another type.

    Source: the parameters' names and shapes in PyTorch's documentation; tests
    compare both layers.

    Examples
    --------
    >>> theirs = nn.TransformerEncoderLayer(6, 2, 11, batch_first=True)
    >>> from_torch(theirs)(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """
    if isinstance(theirs, nn.MultiheadAttention):
        mine = _attention_like(theirs)
    else:
        mine = _layer_like(theirs)
    _copy(theirs, mine, back=False)
    return mine.train(theirs.training)


def to_torch(mine: nn.Module) -> nn.Module:
    """Return torch's own layer, batch first, with the numbers of this one.

    Source: the parameters' names and shapes in PyTorch's documentation; tests
    compare both layers.

    Examples
    --------
    >>> mine = layers.PreNormEncoderLayer(6, heads=2, hidden=11)
    >>> to_torch(mine).norm_first
    True
    """
    if isinstance(mine, layers.MultiHeadAttention):
        theirs: nn.Module = nn.MultiheadAttention(
            mine.query.in_features,
            mine.heads,
            dropout=mine.drop.p,
            bias=mine.query.bias is not None,
            kdim=mine.key.in_features,
            vdim=mine.key.in_features,
            batch_first=True,
        ).to(mine.query.weight)
    else:
        theirs = _torchs_layer_like(mine)
    _copy(theirs, mine, back=True)
    return theirs.train(mine.training)


def to_reference(mine: nn.Module) -> Any:
    """Return the numbers as the dataclass that the reference takes.

    Of a stack it is a `Stack`, which also names the reference's function.

    Source: the shapes of `reference.blocks_parts`; torch keeps each matrix
    transposed.

    Examples
    --------
    >>> mine = layers.Encoder([layers.EncoderLayer(4, heads=2, hidden=3)])
    >>> x, stack = torch.rand(5, 4), to_reference(mine)
    >>> blocks.encoder(x, stack, heads=2).shape
    (5, 4)
    """
    if isinstance(mine, layers.MultiHeadAttention):
        p = mine.projections()
        return dataclasses.replace(
            p, **{name: _plain(value) for name, value in vars(p).items()}
        )
    if isinstance(mine, nn.LayerNorm):
        return blocks.NormWeights(
            _plain(mine.weight), _plain(mine.bias), mine.eps
        )
    if isinstance(mine, (layers.FeedForward, layers.GatedFeedForward)):
        return _feed_to_reference(mine)
    if isinstance(mine, layers.Encoder):
        kinds = {type(each) for each in mine.layers}
        if len(kinds) != 1:
            raise ValueError(
                f"layers must be of one kind: got {len(kinds)} kinds"
            )
        return blocks.Stack(
            [to_reference(each) for each in mine.layers],
            FUNCTIONS[kinds.pop()],
            None if mine.norm is None else to_reference(mine.norm),
        )
    return _layer_to_reference(mine)


def _layer_to_reference(mine: nn.Module) -> Any:
    if isinstance(mine, layers.EncoderLayer):
        kind: Any = blocks.EncoderLayer
    elif isinstance(mine, layers.ParallelLayer):
        kind = blocks.ParallelLayer
    elif isinstance(mine, layers.DecoderLayer):
        kind = blocks.DecoderLayer
    else:
        raise TypeError(
            "the module must be one of this course's layers: "
            f"got {type(mine).__name__}"
        )
    names = [each.name for each in dataclasses.fields(kind)]
    return kind(*(to_reference(getattr(mine, name)) for name in names))


def _feed_to_reference(
    mine: layers.FeedForward | layers.GatedFeedForward,
) -> Any:
    if mine.activation not in ACTIVATIONS:
        raise ValueError(
            "activation must be one that the reference has: "
            f"got {mine.activation!r}"
        )
    activation = ACTIVATIONS[mine.activation]
    if isinstance(mine, layers.GatedFeedForward):
        return feedforward.GatedWeights(
            _plain(mine.gate.weight.T),
            _plain(mine.value.weight.T),
            _plain(mine.outer.weight.T),
            activation,
        )
    return feedforward.FeedForwardWeights(
        _plain(mine.inner.weight.T),
        _plain(mine.outer.weight.T),
        _plain(mine.inner.bias),
        _plain(mine.outer.bias),
        activation,
    )


def _plain(value: Tensor | None) -> Tensor | None:
    """Return what NumPy can read."""
    return None if value is None else value.detach().cpu()


def _attention_like(theirs: nn.MultiheadAttention) -> nn.Module:
    if theirs.kdim != theirs.vdim:
        raise ValueError(
            "keys and values must come from tokens of one width: "
            f"got kdim={theirs.kdim}, vdim={theirs.vdim}"
        )
    return layers.MultiHeadAttention(
        theirs.embed_dim,
        theirs.num_heads,
        context_width=theirs.kdim,
        bias=theirs.in_proj_bias is not None,
        dropout=theirs.dropout,
    ).to(theirs.out_proj.weight)


def _layer_like(theirs: nn.Module) -> nn.Module:
    first = getattr(theirs, "norm_first", False)
    if isinstance(theirs, nn.TransformerEncoderLayer):
        kind: Any = (
            layers.PreNormEncoderLayer if first else layers.EncoderLayer
        )
    elif isinstance(theirs, nn.TransformerDecoderLayer):
        kind = layers.PreNormDecoderLayer if first else layers.DecoderLayer
    else:
        raise TypeError(
            "the layer must be torch's MultiheadAttention, "
            "TransformerEncoderLayer or TransformerDecoderLayer: "
            f"got {type(theirs).__name__}"
        )
    return kind(
        theirs.linear1.in_features,
        theirs.self_attn.num_heads,
        theirs.linear1.out_features,
        activation=theirs.activation,
        bias=theirs.linear1.bias is not None,
        dropout=theirs.dropout.p,
    ).to(theirs.linear1.weight)


def _torchs_layer_like(mine: nn.Module) -> nn.Module:
    if isinstance(mine, layers.EncoderLayer):
        kind: Any = nn.TransformerEncoderLayer
        attention = mine.attention
    elif isinstance(mine, layers.DecoderLayer):
        kind, attention = nn.TransformerDecoderLayer, mine.self_attention
    else:
        raise TypeError(
            "the module must have a counterpart in torch: "
            f"got {type(mine).__name__}"
        )
    feed = mine.feed_forward
    if not isinstance(feed, layers.FeedForward):
        raise TypeError(
            "feed_forward must be plain, as torch's is: "
            f"got {type(feed).__name__}"
        )
    return kind(
        feed.inner.in_features,
        attention.heads,
        feed.inner.out_features,
        dropout=mine.drop.p,
        activation=feed.activation,
        batch_first=True,
        norm_first=isinstance(
            mine, (layers.PreNormEncoderLayer, layers.PreNormDecoderLayer)
        ),
        bias=feed.inner.bias is not None,
    ).to(feed.inner.weight)


def _pairs(
    theirs: nn.Module, mine: nn.Module
) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield the modules of two layers that hold the same numbers."""
    if isinstance(mine, layers.MultiHeadAttention):
        yield theirs, mine
        return
    names = {
        "linear1": "feed_forward.inner",
        "linear2": "feed_forward.outer",
        "self_attn": "attention",
        "norm1": "norm_attention",
        "norm2": "norm_feed_forward",
    }
    if isinstance(mine, layers.DecoderLayer):
        names |= {
            "self_attn": "self_attention",
            "multihead_attn": "cross_attention",
            "norm1": "norm_self",
            "norm2": "norm_cross",
            "norm3": "norm_feed_forward",
        }
    for their_name, my_name in names.items():
        yield theirs.get_submodule(their_name), mine.get_submodule(my_name)


def _numbers(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the trained numbers, under names that two homes share; views."""
    if isinstance(module, nn.MultiheadAttention):
        return dict(vars(projections_of(module)))
    if isinstance(module, layers.MultiHeadAttention):
        return dict(vars(module.projections()))
    return dict(module.named_parameters())


def _copy(theirs: nn.Module, mine: nn.Module, *, back: bool) -> None:
    """Copy every number from theirs to mine, or back."""
    for pair in _pairs(theirs, mine):
        source, target = reversed(pair) if back else pair
        if isinstance(source, nn.LayerNorm):
            target.eps = source.eps  # type: ignore[assignment]
        places = _numbers(target)
        for name, value in _numbers(source).items():
            place = places[name]
            if value is not None and place is not None:
                with torch.no_grad():
                    place.copy_(value)
