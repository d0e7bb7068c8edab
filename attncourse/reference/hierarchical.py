"""Hierarchical attention: from words to sentences to a document.

A sequence becomes one vector by *attention pooling*: a trained context
vector asks, once for all, which words are informative. What words are to a
sentence, sentences are to a document, so the same is done twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.dense import weighted_sum
from attncourse.reference.heads_parts import project
from attncourse.reference.recurrent_parts import GRUWeights, bidirectional_gru
from attncourse.reference.recurrent_tokens import masked_tokens
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import (
    Array,
    boolean,
    real,
    require_broadcast,
    require_equal,
)

Tokens = Float[Array, "*#batch tokens width"]
TokenMask = Bool[Array, "*#batch tokens"]
TokenWeights = Float[Array, "*#batch tokens"]
Weight = Float[Array, "width hidden"]
Bias = Float[Array, " hidden"]
Words = Float[Array, "*#batch sentences words width"]
WordMask = Bool[Array, "*#batch sentences words"]


class PoolingWeights(NamedTuple):
    """The trained numbers of one attention pooling.

    `weight` has shape (width, hidden), `bias` and `context` (hidden,).
    """

    weight: Any
    bias: Any
    context: Any


class LevelWeights(NamedTuple):
    """The trained numbers of a level: a GRU a direction, then the pooling.

    The pooling reads tokens of the width of both directions together.
    """

    forward: GRUWeights
    backward: GRUWeights
    pooling: PoolingWeights


class Document(NamedTuple):
    """A document as one vector, and what it was made of.

    `vector` has shape (..., width); `word_weights` (..., sentences, words)
    are weights within each sentence, `sentence_weights` (..., sentences)
    within the document.
    """

    vector: Any
    word_weights: Any
    sentence_weights: Any


def pooling_weights(
    x: Tokens,
    weight: Weight,
    bias: Bias,
    context: Bias,
    *,
    mask: TokenMask | None = None,
) -> TokenWeights:
    r"""Return how much each token counts in its sequence.

    .. math:: u_t = \tanh(W^\top x_t + b), \qquad
              \alpha_t = \frac{e^{u_t \cdot u}}{\sum_r e^{u_r \cdot u}}

    The context vector u is one trained query, so that a sequence has one
    row of weights; a decoder, which asks anew for each target, has a row
    for each. Where `mask` is False there is no token; without any, all
    weights are zero.

    Parameters
    ----------
    x : shape (..., tokens, width).
    weight, bias : shapes (width, hidden) and (hidden,).
    context : the vector u, shape (hidden,).
    mask : True at real tokens, shape (..., tokens); None for all.

    Source: Yang et al. (2016), "Hierarchical Attention Networks for
    Document Classification", section 2.2.

    Examples
    --------
    >>> x, w = [[0.0], [9.0]], np.ones((1, 1))
    >>> pooling_weights(x, w, [0.0], [np.log(3)]).round(3).tolist()
    [0.25, 0.75]
    """
    x, mask = masked_tokens(x, mask)
    hidden = np.tanh(project(x, weight, bias))
    context = real("context", context, "hidden")
    if context.shape != hidden.shape[-1:]:
        raise ValueError(
            "context must have one number for each column of weight: "
            f"got context {context.shape}, columns {hidden.shape[-1]}"
        )
    scores = (hidden @ context)[..., None, :]  # one query
    return masked_softmax(scores, mask[..., None, :])[..., 0, :]


def attention_pooling(
    x: Tokens,
    weight: Weight,
    bias: Bias,
    context: Bias,
    *,
    mask: TokenMask | None = None,
) -> Float[Array, "*#batch width"]:
    r"""Return each sequence as one vector: its tokens' weighted average.

    .. math:: s = \sum_t \alpha_t x_t

    The average is of the tokens themselves, not of what the weights were
    computed from. A sequence without a token gives zeros.

    Parameters
    ----------
    x, weight, bias, context, mask : as `pooling_weights` takes them.

    Source: Yang et al. (2016), section 2.2.

    Examples
    --------
    >>> x, w = [[0.0], [8.0]], np.ones((1, 1))
    >>> attention_pooling(x, w, [0.0], [0.0]).tolist()
    [4.0]
    """
    weights = pooling_weights(x, weight, bias, context, mask=mask)
    x, _ = masked_tokens(x, mask)
    return weighted_sum(weights[..., None, :], x)[..., 0, :]  # one query


def hierarchical_attention(
    x: Words,
    words: LevelWeights,
    sentences: LevelWeights,
    *,
    mask: WordMask | None = None,
) -> Document:
    r"""Return a document's vector, and how it attends at both levels.

    .. math:: s_i = \mathrm{pool}_w(\mathrm{GRU}_w(x_{i1}, \dots, x_{iT})),
              \qquad v = \mathrm{pool}_s(\mathrm{GRU}_s(s_1, \dots, s_L))

    Both recurrences run in both directions. Documents are ragged: `mask`
    says where a word is. A sentence without a word is no sentence: it is
    passed over, and its weight is zero. A document without one is zero.

    Parameters
    ----------
    x : embedded words, shape (..., sentences, words, width).
    words : the numbers of the word level, one set for all sentences.
    sentences : the numbers of the sentence level.
    mask : True at real words, shape (..., sentences, words); None for all.

    Source: Yang et al. (2016), "Hierarchical Attention Networks for
    Document Classification", section 2; its recurrent unit is `gru_cell`.

    Examples
    --------
    >>> def level(width, hidden):
    ...     half = GRUWeights(
    ...         np.zeros((3, width, hidden)), np.zeros((3, hidden, hidden))
    ...     )
    ...     pool = np.zeros((2 * hidden, 7)), np.zeros(7), np.zeros(7)
    ...     return LevelWeights(half, half, PoolingWeights(*pool))
    >>> x = np.ones((4, 5, 2))  # four sentences of five words
    >>> said = hierarchical_attention(x, level(2, 3), level(6, 1))
    >>> said.vector.shape, said.sentence_weights.tolist()
    ((2,), [0.25, 0.25, 0.25, 0.25])
    """
    x = real("x", x, "sentences words width")
    mask = _word_mask(x, mask)
    vectors, word_weights = _level(x, words, mask)
    present = np.any(mask, axis=-1)
    vector, sentence_weights = _level(vectors, sentences, present)
    return Document(vector, word_weights, sentence_weights)


def document_logits(
    vector: Float[Array, "*#batch width"],
    weight: Float[Array, "width classes"],
    bias: Float[Array, " classes"],
) -> Float[Array, "*#batch classes"]:
    r"""Return the logits of a document's class.

    .. math:: o = W_c^\top v + b_c

    The paper's softmax belongs to the loss, which has one of its own.

    Source: Yang et al. (2016), section 2.3.

    Examples
    --------
    >>> document_logits([1.0, 2.0], np.eye(2), [10.0, 20.0]).tolist()
    [11.0, 22.0]
    """
    vector = real("vector", vector, "width")[..., None, :]
    return project(vector, weight, bias)[..., 0, :]


def _level(
    x: Tokens, weights: LevelWeights, mask: TokenMask
) -> tuple[Array, Array]:
    """Return sequences read in both directions and pooled; the weights."""
    both = bidirectional_gru(x, weights.forward, weights.backward, mask=mask)
    pooling = weights.pooling
    shares = pooling_weights(both.states, *pooling, mask=mask)
    return attention_pooling(both.states, *pooling, mask=mask), shares


def _word_mask(x: Words, mask: WordMask | None) -> WordMask:
    """Return which words are there; `x` and `mask` must agree in both axes."""
    if mask is None:
        return np.ones(x.shape[:-1], bool)
    mask = boolean("mask", mask, "sentences words")
    require_equal("sentences", x=x.shape[-3], mask=mask.shape[-2])
    require_equal("words", x=x.shape[-2], mask=mask.shape[-1])
    require_broadcast(x=x.shape[:-3], mask=mask.shape[:-2])
    return mask
