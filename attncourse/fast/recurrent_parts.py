"""Recurrent layers in torch: encoder and alignment; a decoder's state."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attncourse.fast.recurrent_tokens import (
    Sequence,
    TokenMask,
    masked_tokens,
    require_boolean,
    require_floating,
    whole_tokens,
)
from attncourse.fast.softmax import masked_softmax
from attncourse.shapes import count, require_broadcast, require_equal

State = Float[Tensor, "*#batch width"]
Source = Int[Tensor, "*#batch keys"]
Mapped = Float[Tensor, "*#batch keys hidden"]
Memory = Float[Tensor, "*#batch keys memory_width"]


class Encoded(NamedTuple):
    """What a decoder gets; as `reference.recurrent.Encoded`."""

    memory: Tensor
    state: Tensor


class Decoded(NamedTuple):
    """Logits and alignments; as `reference.recurrent.Decoded`."""

    logits: Tensor
    alignment: Tensor


class TwoWay(NamedTuple):
    """What both directions have read; as `reference.recurrent.TwoWay`."""

    states: Tensor
    last: Tensor
    first: Tensor


class TwoWayGRU(nn.Module):
    r"""torch's bidirectional GRU over ragged sequences.

    .. math:: h_t = [\overrightarrow{h}_t ; \overleftarrow{h}_t]

    The weights are those of its one submodule, an `nn.GRU`.

    Parameters
    ----------
    input_width : numbers of a token.
    width : numbers of a state, in each direction.

    Source: as in `reference.recurrent.bidirectional_gru`.

    Examples
    --------
    >>> TwoWayGRU(5, 3)(torch.ones(2, 7, 5)).states.shape
    torch.Size([2, 7, 6])
    """

    def __init__(self, input_width: int, width: int):
        super().__init__()
        self.gru = nn.GRU(
            count("input_width", input_width),
            count("width", width),
            bidirectional=True,
            batch_first=True,
        )

    def forward(self, x: Sequence, *, mask: TokenMask | None = None) -> TwoWay:
        """Return the states, (..., tokens, 2 * width), zero at padding.

        `last` and `first` (..., width) have read every real token. A mask
        costs a wait for the device: torch wants lengths on the CPU.
        """
        require_floating("x", x, "tokens input_width")
        require_equal("input_width", x=x.shape[-1], gru=self.gru.input_size)
        if mask is not None:
            x, mask = masked_tokens(x, mask)
        *batch, tokens, inputs = x.shape
        rows, width = math.prod(batch), self.gru.hidden_size
        if not rows * tokens:  # torch's GRU refuses it
            empty = x.new_zeros(*batch, tokens, 2 * width)
            return TwoWay(empty, *x.new_zeros(2, *batch, width))
        x = x.reshape(rows, tokens, inputs)
        if mask is None:
            states, final = self.gru(x)
        else:
            states, final = self._packed(x, mask.reshape(rows, tokens))
        last, first = final.reshape(2, *batch, width)
        return TwoWay(states.reshape(*batch, tokens, 2 * width), last, first)

    def _packed(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return states and final states of rows without what is hidden."""
        order = torch.argsort(mask.int(), dim=-1, descending=True, stable=True)
        lengths = mask.sum(dim=-1)
        x = x.take_along_dim(order[..., None], dim=1)  # the real ones first
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.clamp(min=1).cpu(), True, enforce_sorted=False
        )
        states, final = self.gru(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            states, True, total_length=x.shape[1]
        )
        back = torch.argsort(order, dim=-1)[..., None]
        states = states.take_along_dim(back, dim=1)
        # A row without a token was given one, of zeros; it leaves no trace.
        return (
            torch.where(mask[..., None], states, 0.0),
            torch.where((lengths > 0)[:, None], final, 0.0),
        )


class Encoder(nn.Module):
    r"""Embed the source, read it in both directions, start the decoder.

    .. math:: h_j = [\overrightarrow{h}_j ; \overleftarrow{h}_j], \qquad
              s_0 = \tanh(W_s \overleftarrow{h}_1)

    Parameters
    ----------
    vocabulary, embed_width : of the source's table.
    width : of a state in each direction; an annotation is twice as wide.
    state_width : of the decoder's state.

    Source: as in `reference.recurrent.encode`.

    Examples
    --------
    >>> encoder = Encoder(11, 5, 3, state_width=7)
    >>> memory, state = encoder(torch.tensor([[4, 6, 1]]))
    >>> memory.shape, state.shape
    (torch.Size([1, 3, 6]), torch.Size([1, 7]))
    """

    def __init__(
        self,
        vocabulary: int,
        embed_width: int,
        width: int,
        *,
        state_width: int,
    ):
        super().__init__()
        self.embedding = nn.Embedding(
            count("vocabulary", vocabulary), count("embed_width", embed_width)
        )
        self.read = TwoWayGRU(embed_width, width)
        self.start = nn.Linear(
            width, count("state_width", state_width), bias=False
        )

    def forward(
        self, source: Source, *, mask: TokenMask | None = None
    ) -> Encoded:
        """Return memory (..., keys, 2 * width) and state (..., state_width).

        Where `mask`, (..., keys), is False any whole number may stand.
        """
        source = whole_tokens("source", source, "keys")
        if mask is not None:
            require_boolean(mask, "keys")
            require_equal("keys", source=source.shape[-1], mask=mask.shape[-1])
            require_broadcast(
                source=tuple(source.shape[:-1]), mask=tuple(mask.shape[:-1])
            )
            source = torch.where(mask, source, 0)
        vocabulary = self.embedding.num_embeddings
        source = whole_tokens("source", source, vocabulary=vocabulary)
        read = self.read(self.embedding(source), mask=mask)
        return Encoded(read.states, torch.tanh(self.start(read.first)))


class AdditiveAlignment(nn.Module):
    r"""The alignment model: a network scores the state with every key.

    .. math:: e_j = v^\top \tanh(W s + U h_j), \qquad
              \alpha = \mathrm{softmax}_{keys}(e)

    A score is one number for one state and one key, before anything is
    averaged. The keys are mapped once for all steps, by `mapped`.

    Parameters
    ----------
    width, memory_width : of the state and of an annotation.
    hidden : of the network.

    Source: as in `reference.recurrent.align`.

    Examples
    --------
    >>> align, memory = AdditiveAlignment(3, 5, hidden=7), torch.ones(4, 5)
    >>> align(torch.ones(3), align.mapped(memory)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, width: int, memory_width: int, *, hidden: int):
        super().__init__()
        width, hidden = count("width", width), count("hidden", hidden)
        memory_width = count("memory_width", memory_width)
        self.query = nn.Linear(width, hidden, bias=False)
        self.key = nn.Linear(memory_width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def mapped(
        self, memory: Memory, *, mask: TokenMask | None = None
    ) -> Mapped:
        """Return the part of the network that no state changes.

        With a `mask`, what stands where it is False has no influence here,
        nor on a gradient.
        """
        require_floating("memory", memory, "keys memory_width")
        widths = {"memory": memory.shape[-1], "key": self.key.in_features}
        require_equal("memory_width", **widths)
        if mask is not None:
            memory, _ = masked_tokens(memory, mask, name="memory", axis="keys")
        return self.key(memory)

    def forward(
        self, state: State, mapped: Mapped, *, mask: TokenMask | None = None
    ) -> Float[Tensor, "*#batch keys"]:
        """Return the weights of the keys, zero where `mask` is False."""
        require_floating("state", state, "width")
        widths = {"state": state.shape[-1], "query": self.query.in_features}
        require_equal("width", **widths)
        require_floating("mapped", mapped, "keys hidden")
        widths = {"mapped": mapped.shape[-1], "key": self.key.out_features}
        require_equal("hidden", **widths)
        shapes = {"state": state.shape[:-1], "mapped": mapped.shape[:-2]}
        require_broadcast(**{n: tuple(each) for n, each in shapes.items()})
        hidden = torch.tanh(self.query(state)[..., None, :] + mapped)
        scores = self.score(hidden)[..., 0]
        if mask is None:
            return torch.softmax(scores, dim=-1)
        require_boolean(mask, "keys")
        require_equal("keys", mapped=scores.shape[-1], mask=mask.shape[-1])
        rows = scores[..., None, :]  # one query
        return masked_softmax(rows, mask[..., None, :])[..., 0, :]


def move(cell: nn.GRUCell, x: Tensor, state: State) -> State:
    r"""Return the next state of torch's cell, whatever the leading axes.

    .. math:: s' = \mathrm{GRU}(x, s)

    Source: as in `reference.recurrent.gru_cell`.

    Examples
    --------
    >>> move(nn.GRUCell(2, 3), torch.ones(5, 1, 2), torch.ones(7, 3)).shape
    torch.Size([5, 7, 3])
    """
    require_floating("x", x, "input_width")
    require_floating("state", state, "width")
    require_equal("input_width", x=x.shape[-1], cell=cell.input_size)
    require_equal("width", state=state.shape[-1], cell=cell.hidden_size)
    batch = require_broadcast(
        x=tuple(x.shape[:-1]), state=tuple(state.shape[:-1])
    )
    x, state = (each.expand(*batch, -1) for each in (x, state))
    rows = math.prod(batch)
    inputs = x.reshape(rows, x.shape[-1])
    moved = cell(inputs, state.reshape(rows, state.shape[-1]))
    return moved.reshape(*batch, state.shape[-1])
