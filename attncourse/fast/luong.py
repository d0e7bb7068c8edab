"""Luong's decoder with input feeding, to train, with any of its attentions.

`LuongDecoder` takes an attention, which takes a score: nine combinations
of three scores with global, monotonic and predictive attention. It goes
into a `recurrent.Translator` as the additive decoder does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from attncourse.fast.luong_local import (
    monotonic_attention,
    predicted_positions,
    predictive_attention,
    window,
)
from attncourse.fast.luong_modules import (
    ConcatScore,
    DotScore,
    GeneralScore,
    GlobalAttention,
    MonotonicAttention,
    PredictiveAttention,
)
from attncourse.fast.luong_parts import (
    Memory,
    Reading,
    attentional_state,
    average_memory,
    concat_scores,
    global_attention,
)
from attncourse.fast.recurrent_parts import Decoded, State, move
from attncourse.fast.recurrent_tokens import (
    TokenMask,
    masked_tokens,
    require_floating,
    side_by_side,
    whole_tokens,
)
from attncourse.shapes import count, require_broadcast, require_equal

__all__ = [
    "Carried",
    "ConcatScore",
    "DotScore",
    "GeneralScore",
    "GlobalAttention",
    "LuongDecoder",
    "MonotonicAttention",
    "PredictiveAttention",
    "Reading",
    "View",
    "attentional_state",
    "average_memory",
    "concat_scores",
    "global_attention",
    "monotonic_attention",
    "predicted_positions",
    "predictive_attention",
    "window",
]


class View(NamedTuple):
    """What the decoder sees of a source at every step.

    `memory` has shape (..., keys, memory_width), `mask` (..., 1, keys).
    """

    memory: Tensor
    mask: Tensor | None


class Carried(NamedTuple):
    """What a step takes over; as `reference.luong_decoder.Before`."""

    state: Tensor
    attentional: Tensor
    position: int


class LuongDecoder(nn.Module):
    r"""Move first, look with the new state, feed what was read to the next.

    .. math:: h_t = \mathrm{GRU}([y_{t-1}; \tilde h_{t-1}], h_{t-1}), \quad
              \tilde h_t = \tanh(W_c^\top [c_t; h_t]), \quad
              o_t = W_s^\top \tilde h_t

    Parameters
    ----------
    vocabulary, embed_width : of the target's table.
    width : of the state, and of the attentional state.
    memory_width : of an annotation of the source.
    attention : `GlobalAttention`, `MonotonicAttention` or
        `PredictiveAttention`.

    Source: as in `reference.luong_decoder.input_feeding_decoder`.

    Examples
    --------
    >>> attend = GlobalAttention(GeneralScore(3, 6))
    >>> decoder = LuongDecoder(11, 5, 3, memory_width=6, attention=attend)
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
        attention: nn.Module,
    ):
        super().__init__()
        width = count("width", width)
        self.embedding = nn.Embedding(
            count("vocabulary", vocabulary), count("embed_width", embed_width)
        )
        self.cell = nn.GRUCell(embed_width + width, width)
        self.attention = attention
        both = count("memory_width", memory_width) + width
        self.join = nn.Linear(both, width, bias=False)
        self.output = nn.Linear(width, vocabulary, bias=False)

    def begin(
        self, state: State, memory: Memory, *, mask: TokenMask | None = None
    ) -> tuple[View, Carried]:
        """Return what every step sees, and what the first takes over."""
        width = self.cell.hidden_size
        require_floating("state", state, "width")
        require_equal("width", state=state.shape[-1], cell=width)
        require_floating("memory", memory, "keys memory_width")
        joined = {"memory": memory.shape[-1] + width}
        require_equal("width", **joined, join=self.join.in_features)
        if mask is not None:
            memory, mask = masked_tokens(
                memory, mask, name="memory", axis="keys"
            )
            mask = mask[..., None, :]
        return View(memory, mask), Carried(state, torch.zeros_like(state), 0)

    def step(
        self, tokens: Int[Tensor, "*#batch"], view: View, carried: Carried
    ) -> tuple[Tensor, Carried, Tensor]:
        """Return logits, what the next step takes over, the alignment."""
        vocabulary = self.embedding.num_embeddings
        tokens = whole_tokens("tokens", tokens, vocabulary=vocabulary)
        embedded = self.embedding(tokens)
        carried, alignment = self._move(embedded, view, carried)
        return self.output(carried.attentional), carried, alignment

    def forward(
        self,
        tokens: Int[Tensor, "*#batch targets"],
        state: State,
        memory: Memory,
        *,
        mask: TokenMask | None = None,
    ) -> Decoded:
        """Return logits (..., targets, vocabulary) and all alignments."""
        vocabulary = self.embedding.num_embeddings
        tokens = whole_tokens(
            "tokens", tokens, "targets", vocabulary=vocabulary
        )
        targets = tokens.shape[-1]
        if not targets:  # one look, to learn the shapes
            tokens = F.pad(tokens, (0, 1))
        embedded = self.embedding(tokens)  # ... targets embed_width
        view, carried = self.begin(state, memory, mask=mask)
        batch = require_broadcast(
            tokens=tuple(tokens.shape[:-1]),
            state=tuple(state.shape[:-1]),
            memory=tuple(view.memory.shape[:-2]),
        )
        carried = Carried(
            carried.state.expand(*batch, -1),
            carried.attentional.expand(*batch, -1),
            carried.position,
        )
        fed, alignments = [], []
        for t in range(embedded.shape[-2]):
            carried, alignment = self._move(embedded[..., t, :], view, carried)
            fed.append(carried.attentional)
            alignments.append(alignment)
        logits = self.output(torch.stack(fed, dim=-2))
        alignment = torch.stack(alignments, dim=-2)
        return Decoded(logits[..., :targets, :], alignment[..., :targets, :])

    def _move(
        self, embedded: Tensor, view: View, carried: Carried
    ) -> tuple[Carried, Tensor]:
        """Return what the next step takes over, and where this one looked."""
        x = side_by_side(tokens=embedded, fed=carried.attentional)
        state = move(self.cell, x, carried.state)
        position = torch.full((1,), carried.position, device=state.device)
        read = self.attention(
            state[..., None, :], view.memory, position, mask=view.mask
        )
        fed = attentional_state(
            state, read.context[..., 0, :], self.join.weight.T
        )
        after = Carried(state, fed, carried.position + 1)
        return after, read.weights[..., 0, :]
