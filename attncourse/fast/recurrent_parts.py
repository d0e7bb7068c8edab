"""Recurrent layers in torch: both directions, alignment, and outputs."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.softmax import masked_softmax
from attncourse.shapes import count, require_broadcast, require_equal

Sequence = Float[Tensor, "*#batch tokens input_width"]
TokenMask = Bool[Tensor, "*#batch tokens"]
State = Float[Tensor, "*#batch width"]
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
        if mask is not None:
            x, mask = _ragged(x, mask)
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


class AdditiveAlignment(nn.Module):
    r"""The alignment model: a network scores the state with every key.

    .. math:: e_j = v^\top \tanh(W s + U h_j), \qquad
              \alpha = \mathrm{softmax}_{keys}(e)

    The keys are mapped once for all steps, by `mapped`.

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
        self.query = nn.Linear(width, count("hidden", hidden), bias=False)
        self.key = nn.Linear(memory_width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def mapped(self, memory: Memory) -> Mapped:
        """Return the part of the network that no state changes."""
        return self.key(memory)

    def forward(
        self, state: State, mapped: Mapped, *, mask: TokenMask | None = None
    ) -> Float[Tensor, "*#batch keys"]:
        """Return the weights of the keys, zero where `mask` is False."""
        hidden = torch.tanh(self.query(state)[..., None, :] + mapped)
        scores = self.score(hidden)[..., 0]
        if mask is None:
            return torch.softmax(scores, dim=-1)
        return masked_softmax(scores[..., None, :], mask[..., None, :])[
            ..., 0, :
        ]


class LinearOutput(nn.Module):
    r"""Logits by one linear map of state, embedding and context.

    .. math:: o = [s; y; c]\, W + b

    Source: as in `reference.recurrent.output_logits`.

    Examples
    --------
    >>> parts = torch.ones(3), torch.ones(2), torch.ones(5)
    >>> LinearOutput(3, 2, 5, vocabulary=11)(*parts).shape
    torch.Size([11])
    """

    def __init__(
        self,
        width: int,
        embed_width: int,
        memory_width: int,
        *,
        vocabulary: int,
    ):
        super().__init__()
        self.map = nn.Linear(width + embed_width + memory_width, vocabulary)

    def forward(
        self, state: State, embedded: Tensor, context: Tensor
    ) -> Float[Tensor, "*#batch vocabulary"]:
        """Return the logits; no softmax comes after."""
        return self.map(torch.cat([state, embedded, context], dim=-1))


class DeepOutput(nn.Module):
    r"""Logits by a maxout layer between.

    .. math:: o = t\, W_o, \quad t_j = \max(\tilde t_{2j-1}, \tilde t_{2j}),
              \quad \tilde t = s\,U_o + y\,V_o + c\,C_o

    Source: as in `reference.recurrent.output_logits`.

    Examples
    --------
    >>> parts = torch.ones(3), torch.ones(2), torch.ones(5)
    >>> DeepOutput(3, 2, 5, hidden=7, vocabulary=11)(*parts).shape
    torch.Size([11])
    """

    def __init__(
        self,
        width: int,
        embed_width: int,
        memory_width: int,
        *,
        hidden: int,
        vocabulary: int,
    ):
        super().__init__()
        self.state = nn.Linear(width, 2 * hidden, bias=False)
        self.embedded = nn.Linear(embed_width, 2 * hidden, bias=False)
        self.context = nn.Linear(memory_width, 2 * hidden, bias=False)
        self.map = nn.Linear(hidden, vocabulary, bias=False)

    def forward(
        self, state: State, embedded: Tensor, context: Tensor
    ) -> Float[Tensor, "*#batch vocabulary"]:
        """Return the logits; no softmax comes after."""
        both = self.state(state) + self.embedded(embedded)
        both = both + self.context(context)
        return self.map(both.unflatten(-1, (-1, 2)).amax(dim=-1))


def move(cell: nn.GRUCell, x: Tensor, state: State) -> State:
    r"""Return the next state of torch's cell, whatever the leading axes.

    .. math:: s' = \mathrm{GRU}(x, s)

    Source: as in `reference.recurrent.gru_cell`.

    Examples
    --------
    >>> move(nn.GRUCell(2, 3), torch.ones(5, 1, 2), torch.ones(7, 3)).shape
    torch.Size([5, 7, 3])
    """
    batch = torch.broadcast_shapes(x.shape[:-1], state.shape[:-1])
    x, state = (each.expand(*batch, -1) for each in (x, state))
    rows = math.prod(batch)
    inputs = x.reshape(rows, x.shape[-1])
    moved = cell(inputs, state.reshape(rows, state.shape[-1]))
    return moved.reshape(*batch, state.shape[-1])


def _ragged(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens, zero where there is none, and a mask for every row."""
    if mask.dtype != torch.bool:
        raise TypeError(
            f"mask must be boolean, True where a query may look: "
            f"got {mask.dtype}"
        )
    require_equal("tokens", x=x.shape[-2], mask=mask.shape[-1])
    batch = require_broadcast(
        x=tuple(x.shape[:-2]), mask=tuple(mask.shape[:-1])
    )
    mask = mask.expand(*batch, -1)
    return torch.where(mask[..., None], x, 0.0), mask
