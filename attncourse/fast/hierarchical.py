"""Hierarchical attention in torch, to train: words, sentences, documents."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.recurrent_convert import array, gru_weights
from attncourse.fast.recurrent_parts import TwoWayGRU
from attncourse.fast.recurrent_tokens import (
    TokenMask,
    masked_tokens,
    require_boolean,
    require_floating,
)
from attncourse.fast.softmax import masked_softmax
from attncourse.reference import hierarchical as reference
from attncourse.shapes import count, require_broadcast, require_equal

Tokens = Float[Tensor, "*#batch tokens width"]
Words = Float[Tensor, "*#batch sentences words width"]
WordMask = Bool[Tensor, "*#batch sentences words"]


class Document(NamedTuple):
    """A document as one vector; as `reference.hierarchical.Document`."""

    vector: Tensor
    word_weights: Tensor
    sentence_weights: Tensor


def pooling_weights(
    x: Tokens,
    weight: Float[Tensor, "width hidden"],
    bias: Float[Tensor, "hidden"],
    context: Float[Tensor, "hidden"],
    *,
    mask: TokenMask | None = None,
) -> Float[Tensor, "*#batch tokens"]:
    r"""Return how much each token counts in its sequence.

    .. math:: u_t = \tanh(W^\top x_t + b), \qquad
              \alpha_t = \frac{e^{u_t \cdot u}}{\sum_r e^{u_r \cdot u}}

    The context vector u is one query: a sequence has one row of weights.

    Source: as in `reference.hierarchical.pooling_weights`.

    Examples
    --------
    >>> x, zeros = torch.ones(4, 5), torch.zeros(7)
    >>> pooling_weights(x, torch.ones(5, 7), zeros, zeros).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    present = _present(x, mask)
    require_floating("weight", weight, "width hidden")
    for name, each in (("bias", bias), ("context", context)):
        require_floating(name, each, "hidden")
    if weight.ndim != 2 or bias.ndim != 1 or context.ndim != 1:
        raise ValueError(
            "weight must have two axes, bias and context one: got weight "
            f"{tuple(weight.shape)}, bias {tuple(bias.shape)}, "
            f"context {tuple(context.shape)}"
        )
    require_equal("width", x=x.shape[-1], weight=weight.shape[0])
    require_equal(
        "hidden",
        weight=weight.shape[1],
        bias=bias.shape[0],
        context=context.shape[0],
    )
    scores = torch.tanh(present @ weight + bias) @ context
    if mask is None:
        return torch.softmax(scores, dim=-1)
    rows = scores[..., None, :]  # one query
    return masked_softmax(rows, mask[..., None, :])[..., 0, :]


def attention_pooling(
    x: Tokens,
    weight: Float[Tensor, "width hidden"],
    bias: Float[Tensor, "hidden"],
    context: Float[Tensor, "hidden"],
    *,
    mask: TokenMask | None = None,
) -> Float[Tensor, "*#batch width"]:
    r"""Return each sequence as one vector: its tokens' weighted average.

    .. math:: s = \sum_t \alpha_t x_t

    What stands where `mask` is False has neither influence nor gradient;
    a sequence without a token gives zeros.

    Source: as in `reference.hierarchical.attention_pooling`.

    Examples
    --------
    >>> x, zeros = torch.tensor([[0.0], [8.0]]), torch.zeros(3)
    >>> attention_pooling(x, torch.ones(1, 3), zeros, zeros).tolist()
    [4.0]
    """
    weights = pooling_weights(x, weight, bias, context, mask=mask)
    return _average(weights, _present(x, mask))


class AttentionPooling(nn.Module):
    r"""From a sequence to one vector, by a trained query.

    .. math:: s = \sum_t \alpha_t x_t, \qquad
              \alpha = \mathrm{softmax}_t(\tanh(W^\top x_t + b) \cdot u)

    Parameters
    ----------
    width : numbers of a token.
    hidden : of the network that compares it with the context vector.

    Source: as in `reference.hierarchical.attention_pooling`.

    Examples
    --------
    >>> AttentionPooling(5, hidden=7)(torch.ones(2, 4, 5)).shape
    torch.Size([2, 5])
    """

    def __init__(self, width: int, *, hidden: int):
        super().__init__()
        self.map = nn.Linear(count("width", width), count("hidden", hidden))
        self.context = nn.Parameter(torch.empty(hidden))
        nn.init.normal_(self.context, std=hidden**-0.5)

    def numbers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return weight, bias and context as the functions take them."""
        return self.map.weight.T, self.map.bias, self.context

    def weights(
        self, x: Tokens, *, mask: TokenMask | None = None
    ) -> Float[Tensor, "*#batch tokens"]:
        """Return how much each token counts."""
        return pooling_weights(x, *self.numbers(), mask=mask)

    def forward(
        self, x: Tokens, *, mask: TokenMask | None = None
    ) -> Float[Tensor, "*#batch width"]:
        """Return the weighted average of the tokens that `mask` allows."""
        return attention_pooling(x, *self.numbers(), mask=mask)


class Level(nn.Module):
    r"""One level: read in both directions, then pool.

    .. math:: s = \mathrm{pool}(\mathrm{GRU}(x_1, \dots, x_T))

    Parameters
    ----------
    input_width : numbers of what is read.
    width : of a state in each direction; the result is twice as wide.
    hidden : of the pooling.

    Source: as in `reference.hierarchical.hierarchical_attention`.

    Examples
    --------
    >>> vector, weights = Level(5, 3, hidden=7)(torch.ones(2, 4, 5))
    >>> vector.shape, weights.shape
    (torch.Size([2, 6]), torch.Size([2, 4]))
    """

    def __init__(self, input_width: int, width: int, *, hidden: int):
        super().__init__()
        self.read = TwoWayGRU(input_width, width)
        self.pool = AttentionPooling(2 * width, hidden=hidden)

    def forward(
        self, x: Tokens, *, mask: TokenMask | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return a vector for each sequence, and the weights in it."""
        states = self.read(x, mask=mask).states
        weights = self.pool.weights(states, mask=mask)
        return _average(weights, states), weights


class HierarchicalAttention(nn.Module):
    r"""A document classifier that attends to words, then to sentences.

    .. math:: s_i = \mathrm{pool}_w(\mathrm{GRU}_w(x_{i1}, \dots, x_{iT})),
              \quad v = \mathrm{pool}_s(\mathrm{GRU}_s(s_1, \dots, s_L)),
              \quad o = W_c^\top v + b_c

    Parameters
    ----------
    input_width : numbers of an embedded word.
    width : of a state in each direction, at both levels.
    hidden : of the pooling, at both levels.
    classes : of documents.

    Source: as in `reference.hierarchical.hierarchical_attention`.

    Examples
    --------
    >>> model = HierarchicalAttention(5, 3, hidden=7, classes=2)
    >>> x = torch.ones(11, 4, 6, 5)  # 11 documents of 4 x 6 words
    >>> model(x).shape, model.read(x).sentence_weights.shape
    (torch.Size([11, 2]), torch.Size([11, 4]))
    """

    def __init__(
        self, input_width: int, width: int, *, hidden: int, classes: int
    ):
        super().__init__()
        self.words = Level(input_width, width, hidden=hidden)
        self.sentences = Level(2 * width, width, hidden=hidden)
        self.classify = nn.Linear(2 * width, count("classes", classes))

    def read(self, x: Words, *, mask: WordMask | None = None) -> Document:
        """Return the documents' vectors, and the weights at both levels.

        `mask` is True at real words, (..., sentences, words); a sentence
        without one is passed over.
        """
        require_floating("x", x, "sentences words width")
        present = None
        if mask is not None:
            require_boolean(mask, "sentences words")
            require_equal("sentences", x=x.shape[-3], mask=mask.shape[-2])
            require_equal("words", x=x.shape[-2], mask=mask.shape[-1])
            require_broadcast(
                x=tuple(x.shape[:-3]), mask=tuple(mask.shape[:-2])
            )
            present = mask.any(dim=-1)
        elif not x.shape[-2]:  # sentences there are, but none has a word
            present = x.new_zeros(x.shape[:-2], dtype=torch.bool)
        vectors, word_weights = self.words(x, mask=mask)
        vector, sentence_weights = self.sentences(vectors, mask=present)
        return Document(vector, word_weights, sentence_weights)

    def forward(
        self, x: Words, *, mask: WordMask | None = None
    ) -> Float[Tensor, "*#batch classes"]:
        """Return the logits of each document's class, for the loss."""
        return self.classify(self.read(x, mask=mask).vector)


def to_reference(level: Level | AttentionPooling) -> Any:
    """Return the numbers as the NamedTuple that the reference takes.

    Source: as in `reference.hierarchical.hierarchical_attention`.

    Examples
    --------
    >>> to_reference(Level(5, 3, hidden=7)).pooling.weight.shape
    (6, 7)
    """
    if isinstance(level, AttentionPooling):
        return reference.PoolingWeights(*map(array, level.numbers()))
    if not isinstance(level, Level):
        raise TypeError(
            "the module must be a Level or an AttentionPooling: "
            f"got {type(level).__name__}"
        )
    return reference.LevelWeights(
        *gru_weights(level.read.gru), to_reference(level.pool)
    )


def _present(x: Tokens, mask: TokenMask | None) -> Tokens:
    """Return the tokens, zero where there is none."""
    require_floating("x", x, "tokens width")
    return x if mask is None else masked_tokens(x, mask)[0]


def _average(weights: Tensor, x: Tokens) -> Tensor:
    return (weights[..., None, :] @ x)[..., 0, :]
