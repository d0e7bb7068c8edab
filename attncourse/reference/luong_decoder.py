"""A recurrent decoder with input feeding, whatever its attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.heads_parts import project
from attncourse.reference.luong import Reading, attentional_state
from attncourse.reference.recurrent_decoder import Decoded
from attncourse.reference.recurrent_parts import GRUWeights, gru_cell
from attncourse.reference.recurrent_tokens import embed, whole_tokens
from attncourse.shapes import Array, real, require_broadcast

# From queries (..., 1, width) and the number of the step, shape (1,), to
# what they read.
Attend = Callable[[Any, Any], Reading]


class LuongWeights(NamedTuple):
    """The trained numbers of the decoder.

    `embedding` has shape (vocabulary, embed_width); the inputs of `gru`
    are embed_width + attentional_width wide; `w_attentional` has shape
    (memory_width + width, attentional_width), `w_output`
    (attentional_width, vocabulary).
    """

    embedding: Any
    gru: GRUWeights
    w_attentional: Any
    w_output: Any


class Before(NamedTuple):
    """What a step takes over from the one before.

    `state` has shape (..., width); `attentional`, (...,
    attentional_width), is fed to the next step; `position` counts steps.
    """

    state: Any
    attentional: Any
    position: int = 0


class FeedStep(NamedTuple):
    """What a step gives: `logits` (..., vocabulary), `alignment` (..., keys).

    `after` is what the next step takes over.
    """

    logits: Any
    after: Before
    alignment: Any


def input_feeding_step(
    tokens: Int[Array, "*#batch"],
    before: Before,
    attend: Attend,
    weights: LuongWeights,
) -> FeedStep:
    r"""Return the logits after one more target token.

    .. math:: h_t = \mathrm{GRU}([y_{t-1}; \tilde h_{t-1}], h_{t-1}), \quad
        c_t = \mathrm{attend}(h_t), \quad
        \tilde h_t = \tanh(W_c^\top [c_t; h_t]), \quad
        o_t = W_s^\top \tilde h_t

    The state moves first and looks then. Feeding its last attentional
    state tells a step what has been translated already.

    Parameters
    ----------
    tokens : the target token before the one that is asked for.
    before : what the last step has left.
    attend : from queries, shape (..., 1, width), and the number of the
        step, shape (1,), to a `Reading`.

    Source: Luong, Pham & Manning (2015), section 3, eqs. 5-6, and section
    3.3. The paper stacks LSTMs; one `gru_cell` stands here for them.

    Examples
    --------
    >>> from attncourse.reference.luong import dot_scores, global_attention
    >>> memory = np.ones((4, 3))
    >>> w = LuongWeights(
    ...     np.ones((9, 2)),
    ...     GRUWeights(np.zeros((3, 7, 3)), np.zeros((3, 3, 3))),
    ...     np.zeros((6, 5)),
    ...     np.zeros((5, 9)),
    ... )
    >>> step = input_feeding_step(
    ...     4,
    ...     Before(np.ones(3), np.zeros(5)),
    ...     lambda q, at: global_attention(dot_scores(q, memory), memory),
    ...     w,
    ... )
    >>> step.alignment.tolist(), step.logits.shape
    ([0.25, 0.25, 0.25, 0.25], (9,))
    """
    embedded = embed(tokens, weights.embedding)
    fed = real("attentional", before.attentional, "attentional_width")
    leading = require_broadcast(tokens=embedded.shape[:-1], fed=fed.shape[:-1])
    parts = [
        np.broadcast_to(each, (*leading, each.shape[-1]))
        for each in (embedded, fed)
    ]
    joined = np.concatenate(parts, axis=-1)
    state = gru_cell(joined, before.state, weights.gru)
    read = attend(state[..., None, :], np.array([before.position]))
    context, alignment = (each[..., 0, :] for each in read)
    fed = attentional_state(state, context, weights.w_attentional)
    logits = project(fed[..., None, :], weights.w_output)[..., 0, :]
    return FeedStep(logits, Before(state, fed, before.position + 1), alignment)


def input_feeding_decoder(
    tokens: Int[Array, "*#batch targets"],
    state: Float[Array, "*#batch width"],
    attend: Attend,
    weights: LuongWeights,
) -> Decoded:
    r"""Return the logits and alignments of all steps, teacher-forced.

    .. math:: p(y \mid x) = \prod_t \mathrm{softmax}(o_t)_{y_t}

    What is fed to the first step is zero. The softmax belongs to the loss.

    Parameters
    ----------
    tokens : the start token and the target without its last.
    state : before the first step, shape (..., width).
    attend : as `input_feeding_step` takes it; it knows the source, its
        mask, the score, and whether to look everywhere or in a window.

    Source: Luong, Pham & Manning (2015), section 3.3.

    Examples
    --------
    >>> from attncourse.reference.luong import dot_scores, global_attention
    >>> memory = np.ones((4, 3))
    >>> w = LuongWeights(
    ...     np.ones((9, 2)),
    ...     GRUWeights(np.zeros((3, 7, 3)), np.zeros((3, 3, 3))),
    ...     np.zeros((6, 5)),
    ...     np.zeros((5, 9)),
    ... )
    >>> said = input_feeding_decoder(
    ...     [4, 1],
    ...     np.ones(3),
    ...     lambda q, at: global_attention(dot_scores(q, memory), memory),
    ...     w,
    ... )
    >>> said.logits.shape, said.alignment.shape
    ((2, 9), (2, 4))
    """
    tokens = whole_tokens("tokens", tokens, "targets")
    state = real("state", state, "width")
    # One look tells how many keys there are, and their leading axes.
    _, looked = attend(state[..., None, :], np.array([0]))
    *batch, _, keys = np.shape(looked)
    leading = require_broadcast(
        tokens=tokens.shape[:-1], state=state.shape[:-1], read=tuple(batch)
    )
    state = np.broadcast_to(state, (*leading, state.shape[-1]))
    fed, vocabulary = np.shape(weights.w_output)
    logits = np.zeros((*leading, tokens.shape[-1], vocabulary))
    alignment = np.zeros((*leading, tokens.shape[-1], keys))
    before = Before(state, np.zeros((*leading, fed)))
    for t in range(tokens.shape[-1]):
        step = input_feeding_step(tokens[..., t], before, attend, weights)
        logits[..., t, :], before, alignment[..., t, :] = step
    return Decoded(logits, alignment)
