"""Recurrent translators to train: encoder, additive decoder, both together.

The numbers are those of `attncourse.reference.recurrent`, to which
`recurrent_convert` carries the weights. A decoder has three methods:
`begin` takes what the encoder has read, `step` moves by one token, and
`forward` is all steps, teacher-forced; `luong` has decoders of the same
kind.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from attncourse.fast.recurrent_outputs import DeepOutput, LinearOutput
from attncourse.fast.recurrent_parts import (
    AdditiveAlignment,
    Decoded,
    Encoded,
    Encoder,
    Memory,
    Source,
    State,
    TwoWay,
    TwoWayGRU,
    move,
)
from attncourse.fast.recurrent_tokens import (
    TokenMask,
    masked_tokens,
    require_floating,
    side_by_side,
    whole_tokens,
)
from attncourse.shapes import count, require_broadcast, require_equal

__all__ = [
    "AdditiveAlignment",
    "BahdanauDecoder",
    "Decoded",
    "DeepOutput",
    "Encoded",
    "Encoder",
    "LinearOutput",
    "Sight",
    "Translator",
    "TwoWay",
    "TwoWayGRU",
    "move",
]

Target = Int[Tensor, "*#batch targets"]


class Sight(NamedTuple):
    """What an additive decoder sees of a source at every step.

    `mapped` is its memory as the alignment model reads it, (..., keys,
    hidden).
    """

    memory: Tensor
    mapped: Tensor
    mask: Tensor | None


class BahdanauDecoder(nn.Module):
    r"""Look with the old state, then move: additive attention.

    .. math:: c_i = \sum_j \alpha_j(s_{i-1})\, h_j, \qquad
              s_i = \mathrm{GRU}([y_{i-1}; c_i], s_{i-1})

    What is concatenated with the embedding is the context, never the
    weights that made it. Each target has a row of weights of its own.

    Parameters
    ----------
    vocabulary, embed_width : of the target's table.
    width : of the state.
    memory_width : of an annotation of the source.
    hidden : of the alignment model.

    The logits come from `output`, a `LinearOutput`; put a `DeepOutput` in
    its place for the paper's.

    Source: as in `reference.recurrent.decoder`.

    Examples
    --------
    >>> decoder = BahdanauDecoder(11, 5, 3, memory_width=6, hidden=7)
    >>> said = decoder(torch.tensor([0, 4]), torch.ones(3), torch.ones(4, 6))
    >>> said.logits.shape, said.alignment.shape
    (torch.Size([2, 11]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        vocabulary: int,
        embed_width: int,
        width: int,
        *,
        memory_width: int,
        hidden: int,
    ):
        super().__init__()
        self.embedding = nn.Embedding(
            count("vocabulary", vocabulary), count("embed_width", embed_width)
        )
        self.align = AdditiveAlignment(width, memory_width, hidden=hidden)
        self.cell = nn.GRUCell(embed_width + memory_width, width)
        self.output: nn.Module = LinearOutput(
            width, embed_width, memory_width, vocabulary=vocabulary
        )

    def begin(
        self, state: State, memory: Memory, *, mask: TokenMask | None = None
    ) -> tuple[Sight, State]:
        """Return what every step sees, and what the first takes over."""
        require_floating("state", state, "width")
        require_equal(
            "width", state=state.shape[-1], cell=self.cell.hidden_size
        )
        require_floating("memory", memory, "keys memory_width")
        if mask is not None:
            memory, mask = masked_tokens(
                memory, mask, name="memory", axis="keys"
            )
        return Sight(memory, self.align.mapped(memory), mask), state

    def step(
        self, tokens: Int[Tensor, "*#batch"], sight: Sight, state: State
    ) -> tuple[Tensor, State, Tensor]:
        """Return logits, the next state and the alignment of one step."""
        tokens = whole_tokens(
            "tokens", tokens, vocabulary=self.embedding.num_embeddings
        )
        embedded = self.embedding(tokens)
        state, context, alignment = self._move(embedded, sight, state)
        return self.output(state, embedded, context), state, alignment

    def forward(
        self,
        tokens: Target,
        state: State,
        memory: Memory,
        *,
        mask: TokenMask | None = None,
    ) -> Decoded:
        """Return logits (..., targets, vocabulary) and all alignments."""
        tokens = whole_tokens(
            "tokens",
            tokens,
            "targets",
            vocabulary=self.embedding.num_embeddings,
        )
        targets = tokens.shape[-1]
        if not targets:  # one look, to learn the shapes
            tokens = F.pad(tokens, (0, 1))
        embedded = self.embedding(tokens)  # ... targets embed_width
        sight, state = self.begin(state, memory, mask=mask)
        batch = require_broadcast(
            tokens=tuple(tokens.shape[:-1]),
            state=tuple(state.shape[:-1]),
            memory=tuple(sight.memory.shape[:-2]),
        )
        embedded = embedded.expand(*batch, -1, -1)
        state = state.expand(*batch, -1)
        rows = []
        for t in range(embedded.shape[-2]):
            rows.append(self._move(embedded[..., t, :], sight, state))
            state = rows[-1][0]
        states, contexts, alignment = (
            torch.stack(each, dim=-2) for each in zip(*rows, strict=True)
        )
        logits = self.output(states, embedded, contexts)
        return Decoded(logits[..., :targets, :], alignment[..., :targets, :])

    def _move(
        self, embedded: Tensor, sight: Sight, state: State
    ) -> tuple[State, Tensor, Tensor]:
        """Return the next state, the context that it read, and where."""
        alignment = self.align(state, sight.mapped, mask=sight.mask)
        context = (alignment[..., None, :] @ sight.memory)[..., 0, :]
        x = side_by_side(tokens=embedded, context=context)
        state = move(self.cell, x, state)
        return state, context, alignment


class Translator(nn.Module):
    r"""An encoder and a decoder that trains by teacher forcing.

    .. math:: L = -\frac1m \sum_i \log p(y_i \mid y_0, \dots, y_{i-1}, x)

    The loss is `F.cross_entropy` on the logits, which has the softmax.

    Parameters
    ----------
    encoder : an `Encoder`.
    decoder : a `BahdanauDecoder` or a `LuongDecoder`.

    Source: as in `reference.recurrent.translate`.

    Examples
    --------
    >>> encoder = Encoder(11, 5, 3, state_width=7)
    >>> decoder = BahdanauDecoder(13, 5, 7, memory_width=6, hidden=2)
    >>> model = Translator(encoder, decoder)
    >>> source = torch.tensor([[4, 6, 1]])
    >>> model(source, torch.tensor([[0, 12]])).logits.shape
    torch.Size([1, 2, 13])
    >>> model.greedy(source, start=0, steps=4).shape
    torch.Size([1, 4])
    """

    def __init__(self, encoder: Encoder, decoder: Any):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(
        self, source: Source, target: Target, *, mask: TokenMask | None = None
    ) -> Decoded:
        """Return the logits of every target token, and where each looked.

        `target` is the start token and the target without its last token.
        """
        memory, state = self.encoder(source, mask=mask)
        return self.decoder(target, state, memory, mask=mask)

    @torch.no_grad()
    def greedy(
        self,
        source: Source,
        *,
        start: int,
        steps: int,
        end: int | None = None,
        mask: TokenMask | None = None,
    ) -> Int[Tensor, "*batch steps"]:
        """Return the most probable token at each step, without the start.

        What follows an `end` is filled with it. Nothing is trained here:
        no gradient flows.
        """
        steps, start = (
            count("steps", steps, least=0),
            count("start", start, least=0),
        )
        end = None if end is None else count("end", end, least=0)
        memory, state = self.encoder(source, mask=mask)
        sight, carried = self.decoder.begin(state, memory, mask=mask)
        batch = state.shape[:-1]
        tokens = torch.full(batch, start, device=source.device)
        ended = torch.zeros(batch, dtype=torch.bool, device=source.device)
        said = source.new_zeros(*batch, steps, dtype=torch.int64)
        for t in range(steps):
            logits, carried, _ = self.decoder.step(tokens, sight, carried)
            tokens = logits.argmax(dim=-1)
            if end is not None:
                tokens = torch.where(ended, end, tokens)
                ended = tokens == end
            said[..., t] = tokens
        return said
