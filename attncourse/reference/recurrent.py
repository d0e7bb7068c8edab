"""Recurrent encoder-decoder with additive attention: the whole translator.

The recurrent unit is in `recurrent_parts`, the alignment model in
`recurrent_alignment`, the decoder and its steps in `recurrent_decoder`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.recurrent_alignment import (
    AlignmentWeights,
    KeyMask,
    align,
    context_vector,
)
from attncourse.reference.recurrent_decoder import (
    Decoded,
    DecoderWeights,
    DeepOutput,
    LinearOutput,
    Step,
    decoder,
    decoder_step,
    output_logits,
    start_state,
)
from attncourse.reference.recurrent_parts import (
    GRUWeights,
    Recurrence,
    TwoWay,
    bidirectional_gru,
    gru,
    gru_cell,
    gru_cell_reset_first,
)
from attncourse.reference.recurrent_tokens import embed, whole_tokens
from attncourse.shapes import Array, boolean, require_broadcast, require_equal

__all__ = [
    "AlignmentWeights",
    "Decoded",
    "DecoderWeights",
    "DeepOutput",
    "Encoded",
    "EncoderWeights",
    "GRUWeights",
    "LinearOutput",
    "Recurrence",
    "Step",
    "TranslatorWeights",
    "TwoWay",
    "align",
    "bidirectional_gru",
    "context_vector",
    "decoder",
    "decoder_step",
    "embed",
    "encode",
    "gru",
    "gru_cell",
    "gru_cell_reset_first",
    "next_logits",
    "output_logits",
    "start_state",
    "translate",
]

Source = Int[Array, "*#batch keys"]
Target = Int[Array, "*#batch targets"]


class EncoderWeights(NamedTuple):
    """The trained numbers of the encoder: a table and one GRU a direction.

    `embedding` has shape (vocabulary, embed_width); `w_start` maps the
    backward direction's state to the decoder's, (width, state_width).
    """

    embedding: Any
    forward: GRUWeights
    backward: GRUWeights
    w_start: Any


class TranslatorWeights(NamedTuple):
    """The trained numbers of an encoder-decoder."""

    encoder: EncoderWeights
    decoder: DecoderWeights


class Encoded(NamedTuple):
    """What the decoder gets: `memory` (..., keys, memory_width), `state`.

    `state` has shape (..., state_width): the decoder's, before its first
    step.
    """

    memory: Any
    state: Any


def encode(
    source: Source, weights: EncoderWeights, *, mask: KeyMask | None = None
) -> Encoded:
    r"""Return an annotation of each source token, and the first state.

    .. math:: h_j = [\overrightarrow{h}_j ; \overleftarrow{h}_j], \qquad
              s_0 = \tanh(W_s \overleftarrow{h}_1)

    An annotation knows the token and, from both sides, its surroundings.
    Where `mask` is False any whole number may stand; it is not looked up.

    Source: Bahdanau, Cho & Bengio (2015), section 3.2 and appendix A.2.1.

    Examples
    --------
    >>> half = GRUWeights(np.zeros((3, 2, 5)), np.zeros((3, 5, 5)))
    >>> w = EncoderWeights(np.ones((7, 2)), half, half, np.ones((5, 3)))
    >>> encode([4, 6, 1, 1], w).memory.shape
    (4, 10)
    """
    source = whole_tokens("source", source, "keys")
    if mask is not None:
        mask = boolean("mask", mask, "keys")
        require_equal("keys", source=source.shape[-1], mask=mask.shape[-1])
        require_broadcast(source=source.shape[:-1], mask=mask.shape[:-1])
        source = np.where(mask, source, 0)
    read = bidirectional_gru(
        embed(source, weights.embedding),
        weights.forward,
        weights.backward,
        mask=mask,
    )
    return Encoded(read.states, start_state(read.first, weights.w_start))


def translate(
    source: Source,
    target: Target,
    weights: TranslatorWeights,
    *,
    mask: KeyMask | None = None,
) -> Decoded:
    r"""Return the logits of every target token, and where each has looked.

    .. math:: L = -\frac1m \sum_{i=1}^{m} \log p(y_i \mid y_0, \dots,
              y_{i-1}, x)

    is the loss to train with: cross-entropy on these logits, row i - 1
    against the true token i. No softmax comes before it, for the loss has
    its own. The queries are the decoder's states, the keys the encoder's.

    Parameters
    ----------
    source : shape (..., keys).
    target : the start token and the target without its last token, shape
        (..., targets).
    mask : True at real source tokens, shape (..., keys); None for all.

    Source: Bahdanau, Cho & Bengio (2015), section 3.

    Examples
    --------
    >>> half = GRUWeights(np.zeros((3, 2, 5)), np.zeros((3, 5, 5)))
    >>> reader = EncoderWeights(np.ones((7, 2)), half, half, np.ones((5, 3)))
    >>> writer = DecoderWeights(
    ...     np.ones((9, 2)),
    ...     AlignmentWeights(np.zeros((3, 4)), np.zeros((10, 4)), np.ones(4)),
    ...     GRUWeights(np.zeros((3, 12, 3)), np.zeros((3, 3, 3))),
    ...     LinearOutput(np.zeros((15, 9))),
    ... )
    >>> w = TranslatorWeights(reader, writer)
    >>> translate([4, 6, 1, 1], [0, 8], w).logits.shape
    (2, 9)
    """
    memory, state = encode(source, weights.encoder, mask=mask)
    return decoder(target, state, memory, weights.decoder, mask=mask)


def next_logits(
    source: Int[Array, " keys"], weights: TranslatorWeights
) -> Callable[[Any], Float[Array, " vocabulary"]]:
    r"""Return the function that decoding asks: tokens so far to logits.

    .. math:: f(y_0, \dots, y_{i-1}) = \log p(y_i \mid y_0, \dots,
              y_{i-1}, x) + \mathrm{const}

    It goes to `objectives.greedy`, `beam_search` or `sample`, which begin
    with the start token. The source is encoded once; each call runs the
    decoder again from its start, which is plain and slow.

    Source: Bahdanau, Cho & Bengio (2015), eq. 4.

    Examples
    --------
    >>> from attncourse.reference.objectives_decoding import greedy
    >>> half = GRUWeights(np.zeros((3, 2, 5)), np.zeros((3, 5, 5)))
    >>> reader = EncoderWeights(np.ones((7, 2)), half, half, np.ones((5, 3)))
    >>> writer = DecoderWeights(
    ...     np.ones((3, 2)),
    ...     AlignmentWeights(np.zeros((3, 4)), np.zeros((10, 4)), np.ones(4)),
    ...     GRUWeights(np.zeros((3, 12, 3)), np.zeros((3, 3, 3))),
    ...     LinearOutput(np.zeros((15, 3)), [0, 5, 1]),
    ... )
    >>> said = next_logits([4, 6], TranslatorWeights(reader, writer))
    >>> greedy(said, [0], steps=2).tolist()
    [0, 1, 1]
    """
    source = whole_tokens("source", source)
    if source.ndim != 1:
        raise ValueError(
            f"source must have one axis, (keys): got shape {source.shape}"
        )
    memory, state = encode(source, weights.encoder)

    def logits(tokens: Any) -> Float[Array, " vocabulary"]:
        tokens = whole_tokens("tokens", tokens)
        if tokens.ndim != 1:
            raise ValueError(
                f"tokens must have one axis: got shape {tokens.shape}"
            )
        if not tokens.size:
            raise ValueError(
                "tokens must begin with the start token: got none"
            )
        return decoder(tokens, state, memory, weights.decoder).logits[-1]

    return logits
