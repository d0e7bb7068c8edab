"""A recurrent decoder that looks back at the source before every word.

A decoder without attention knows its source from one vector. Here each
step scores its state against every annotation of the source; the *context*
is their average under those weights. The context, not the weights, is what
goes into the recurrence, and what comes out are logits: the one softmax
over the vocabulary belongs to the loss, or to sampling.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.heads_parts import project
from attncourse.reference.recurrent_alignment import (
    AlignmentWeights,
    Context,
    KeyMask,
    Memory,
    align,
    context_vector,
)
from attncourse.reference.recurrent_parts import GRUWeights, State, gru_cell
from attncourse.reference.recurrent_tokens import (
    embed,
    masked_tokens,
    whole_tokens,
)
from attncourse.shapes import Array, real, require_broadcast, require_equal

Embedded = Float[Array, "*#batch embed_width"]
Logits = Float[Array, "*#batch vocabulary"]


class LinearOutput(NamedTuple):
    """One linear map from state, embedding and context to logits.

    `weight` has shape (width + embed_width + memory_width, vocabulary),
    `bias` (vocabulary,), or is None.
    """

    weight: Any
    bias: Any = None


class DeepOutput(NamedTuple):
    """A maxout layer between state, embedding and context and the logits.

    `w_state` (width, 2 * hidden), `w_embedding` (embed_width, 2 * hidden),
    `w_context` (memory_width, 2 * hidden), `w_output` (hidden,
    vocabulary).
    """

    w_state: Any
    w_embedding: Any
    w_context: Any
    w_output: Any


class DecoderWeights(NamedTuple):
    """The trained numbers of the decoder.

    `embedding` has shape (vocabulary, embed_width); the inputs of `gru`
    are embed_width + memory_width wide; `output` is a `LinearOutput` or a
    `DeepOutput`.
    """

    embedding: Any
    alignment: AlignmentWeights
    gru: GRUWeights
    output: LinearOutput | DeepOutput


class Step(NamedTuple):
    """What a step gives: `logits` (..., vocabulary), `state` (..., width).

    `alignment` (..., keys) says where the step has looked.
    """

    logits: Any
    state: Any
    alignment: Any


class Decoded(NamedTuple):
    """All steps: `logits` (..., targets, vocabulary), one row a step.

    `alignment` has shape (..., targets, keys): each target has a row of
    weights of its own. With additive attention a row sums to one, or is
    zero where the source has no token.
    """

    logits: Any
    alignment: Any


def start_state(
    first: Float[Array, "*#batch width"],
    w_start: Float[Array, "width state_width"],
) -> Float[Array, "*#batch state_width"]:
    r"""Return the decoder's state before its first word.

    .. math:: s_0 = \tanh(W_s \overleftarrow{h}_1)

    Parameters
    ----------
    first : the backward state at the first source token, which has read
        the whole source.

    Source: Bahdanau, Cho & Bengio (2015), appendix A.2.2.

    Examples
    --------
    >>> start_state([1.0, 2.0], np.zeros((2, 3))).tolist()
    [0.0, 0.0, 0.0]
    """
    first = real("first", first, "width")[..., None, :]
    return np.tanh(project(first, w_start))[..., 0, :]


def output_logits(
    state: State,
    embedded: Embedded,
    context: Context,
    weights: LinearOutput | DeepOutput,
) -> Logits:
    r"""Return the logits of the next word, linear or by a maxout layer.

    .. math:: o = [s; y; c]\, W + b \qquad \text{or} \qquad
        o = t\, W_o, \quad t_j = \max(\tilde t_{2j-1}, \tilde t_{2j}),
        \quad \tilde t = s\,U_o + y\,V_o + c\,C_o

    State and context are the new ones; of the source the map reads this
    one vector, not its keys. The softmax over the vocabulary comes once, in
    the loss or at sampling.

    Source: Bahdanau, Cho & Bengio (2015), eq. 4 and appendix A.2.2, without
    the softmax.

    Examples
    --------
    >>> deep = DeepOutput([[1, 2]], [[0, 0]], [[3, 1]], [[10]])
    >>> output_logits([1.0], [7.0], [2.0], deep).tolist()  # max(7, 4)
    [70.0]
    """
    state = real("state", state, "width")
    embedded = real("embedded", embedded, "embed_width")
    context = real("context", context, "memory_width")
    row = _side_by_side(state=state, embedded=embedded, context=context)
    if isinstance(weights, LinearOutput):
        return project(row[..., None, :], *weights)[..., 0, :]
    if not isinstance(weights, DeepOutput):
        raise TypeError(
            "weights must be a LinearOutput or a DeepOutput: "
            f"got {type(weights).__name__}"
        )
    from_state, from_embedded, from_context = (
        project(x[..., None, :], w)[..., 0, :]
        for x, w in zip((state, embedded, context), weights[:3], strict=True)
    )
    require_equal(
        "2 * hidden",
        w_state=from_state.shape[-1],
        w_embedding=from_embedded.shape[-1],
        w_context=from_context.shape[-1],
    )
    both = from_state + from_embedded + from_context
    if both.shape[-1] % 2:
        raise ValueError(
            "the maxout layer must have its numbers in pairs: "
            f"got {both.shape[-1]}"
        )
    t = np.maximum(both[..., 0::2], both[..., 1::2])
    return project(t[..., None, :], weights.w_output)[..., 0, :]


def decoder_step(
    tokens: Int[Array, "*#batch"],
    state: State,
    memory: Memory,
    weights: DecoderWeights,
    *,
    mask: KeyMask | None = None,
) -> Step:
    r"""Return the logits after one more target token.

    .. math:: c_i = \sum_j \alpha_j(s_{i-1})\, h_j, \qquad
              s_i = \mathrm{GRU}([y_{i-1}; c_i], s_{i-1})

    The state that looks is the one *before* the step. What is concatenated
    with the embedding is the context, never the alignment that made it.

    Parameters
    ----------
    tokens : the target token before the one that is asked for.
    state : before the step, shape (..., width).
    memory : annotations of the source, shape (..., keys, memory_width).
    mask : True at real source tokens, shape (..., keys).

    Source: Bahdanau, Cho & Bengio (2015), section 3.1 and appendix A.2.2.
    The GRU is `gru_cell`, the form that torch computes.

    Examples
    --------
    >>> zero = GRUWeights(np.zeros((3, 7, 3)), np.zeros((3, 3, 3)))
    >>> flat = AlignmentWeights(np.zeros((3, 2)), np.zeros((5, 2)), [1, 1])
    >>> w = DecoderWeights(
    ...     np.ones((9, 2)), flat, zero, LinearOutput(np.zeros((10, 9)))
    ... )
    >>> decoder_step(4, np.ones(3), np.ones((4, 5)), w).logits.shape
    (9,)
    """
    state = real("state", state, "width")
    alignment = align(state, memory, weights.alignment, mask=mask)
    context = context_vector(alignment, memory, mask=mask)
    embedded = embed(tokens, weights.embedding)
    x = _side_by_side(tokens=embedded, context=context)
    state = gru_cell(x, state, weights.gru)
    logits = output_logits(state, embedded, context, weights.output)
    return Step(logits, state, alignment)


def decoder(
    tokens: Int[Array, "*#batch targets"],
    state: State,
    memory: Memory,
    weights: DecoderWeights,
    *,
    mask: KeyMask | None = None,
) -> Decoded:
    r"""Return the logits and alignments of all steps, teacher-forced.

    .. math:: p(y \mid x) = \prod_i p(y_i \mid y_0, \dots, y_{i-1}, x)

    Row i of the logits has read tokens 0 to i of the *true* target, never
    what the decoder itself would have said, and no later one: an encoder
    may read in both directions, but a decoder that did would see the words
    that it is asked for.

    Parameters
    ----------
    tokens : the start token and the target without its last.
    state, memory, mask : as `decoder_step` takes them.

    Source: Bahdanau, Cho & Bengio (2015), section 3.1; Williams & Zipser
    (1989), "A Learning Algorithm for Continually Running Fully Recurrent
    Neural Networks", for teacher forcing.

    Examples
    --------
    >>> zero = GRUWeights(np.zeros((3, 7, 3)), np.zeros((3, 3, 3)))
    >>> flat = AlignmentWeights(np.zeros((3, 2)), np.zeros((5, 2)), [1, 1])
    >>> w = DecoderWeights(
    ...     np.ones((9, 2)), flat, zero, LinearOutput(np.zeros((10, 9)))
    ... )
    >>> decoder([4, 1], np.ones(3), np.ones((4, 5)), w).alignment.tolist()
    [[0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]]
    """
    tokens = whole_tokens("tokens", tokens, "targets")
    state = real("state", state, "width")
    memory, mask = masked_tokens(memory, mask, name="memory", axis="keys")
    leading = require_broadcast(
        tokens=tokens.shape[:-1],
        state=state.shape[:-1],
        memory=mask.shape[:-1],
    )
    state = np.broadcast_to(state, (*leading, state.shape[-1]))
    targets, vocabulary = tokens.shape[-1], _vocabulary(weights.output)
    logits = np.zeros((*leading, targets, vocabulary))
    alignment = np.zeros((*leading, targets, mask.shape[-1]))
    for i in range(targets):
        step = decoder_step(tokens[..., i], state, memory, weights, mask=mask)
        logits[..., i, :], state, alignment[..., i, :] = step
    return Decoded(logits, alignment)


def _vocabulary(output: LinearOutput | DeepOutput) -> int:
    """Return how many logits there are; a deep output's last matrix says."""
    last = output.w_output if isinstance(output, DeepOutput) else output.weight
    *_, vocabulary = real("the output matrix", last, "rows vocabulary").shape
    return vocabulary


def _side_by_side(**parts: Array) -> Array:
    """Return the vectors concatenated; leading axes broadcast."""
    leading = require_broadcast(**{n: x.shape[:-1] for n, x in parts.items()})
    return np.concatenate(
        [np.broadcast_to(x, (*leading, x.shape[-1])) for x in parts.values()],
        axis=-1,
    )
