"""The additive alignment model: where in the source a decoder looks.

The alignment is a row of weights over the source positions. What a decoder
goes on with is not that row but the *context*, the average under it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.dense import weighted_sum
from attncourse.reference.recurrent_parts import State
from attncourse.reference.recurrent_tokens import masked_tokens
from attncourse.reference.scores import additive_scores
from attncourse.reference.softmax import masked_softmax
from attncourse.shapes import Array, real, require_broadcast, require_equal

Memory = Float[Array, "*#batch keys memory_width"]
KeyMask = Bool[Array, "*#batch keys"]
KeyWeights = Float[Array, "*#batch keys"]
Context = Float[Array, "*#batch memory_width"]


class AlignmentWeights(NamedTuple):
    """The trained numbers of the additive alignment model.

    `w_query` has shape (width, hidden), `w_key` (memory_width, hidden),
    `v_score` (hidden,).
    """

    w_query: Any
    w_key: Any
    v_score: Any


def align(
    state: State,
    memory: Memory,
    weights: AlignmentWeights,
    *,
    mask: KeyMask | None = None,
) -> KeyWeights:
    r"""Return how much a decoder state looks at each source position.

    .. math:: e_j = v^\top \tanh(W s + U h_j), \qquad
              \alpha = \mathrm{softmax}_{keys}(e)

    The query is the decoder's state, the keys are the annotations of the
    source. A score is one number for one such pair: nothing is averaged
    before the softmax, which runs over the source positions. Another state
    gets another row of weights. Padding gets none.

    Source: Bahdanau, Cho & Bengio (2015), "Neural Machine Translation by
    Jointly Learning to Align and Translate", section 3.1, eq. 6, and
    appendix A.1.2.

    Examples
    --------
    >>> flat = AlignmentWeights(np.zeros((3, 2)), np.zeros((5, 2)), [1, 1])
    >>> align(np.ones(3), np.ones((4, 5)), flat).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    memory, mask = masked_tokens(memory, mask, name="memory", axis="keys")
    query = real("state", state, "width")[..., None, :]  # one query
    scores = additive_scores(query, memory, *weights)
    return masked_softmax(scores, mask[..., None, :])[..., 0, :]


def context_vector(
    alignment: KeyWeights, memory: Memory, *, mask: KeyMask | None = None
) -> Context:
    r"""Return what a decoder reads: the annotations' weighted average.

    .. math:: c = \sum_j \alpha_j h_j

    It is as wide as one annotation, however long the source is. This is
    what a decoder goes on with, not the weights. What stands where `mask`
    is False has no influence, NaN included.

    Source: Bahdanau, Cho & Bengio (2015), eq. 5.

    Examples
    --------
    >>> context_vector([0.25, 0.75], [[4.0, 0.0], [0.0, 8.0]]).tolist()
    [1.0, 6.0]
    """
    alignment = real("alignment", alignment, "keys")
    memory, mask = masked_tokens(memory, mask, name="memory", axis="keys")
    require_equal("keys", alignment=alignment.shape[-1], memory=mask.shape[-1])
    require_broadcast(alignment=alignment.shape[:-1], memory=mask.shape[:-1])
    weights = np.where(mask, alignment, 0.0)[..., None, :]  # one query
    return weighted_sum(weights, memory)[..., 0, :]
