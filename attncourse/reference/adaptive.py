"""Attention that decides how much to read: gates, a sentinel, a span.

A gate opens or closes what has been read, number by number. A sentinel is
one more thing to read, which lets a query turn away from all keys. A span
is how far back a head looks; the head learns it. Gates are here; the
others are in `adaptive_sentinel` and `adaptive_span`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.reference.adaptive_sentinel import (
    SentinelWeights,
    sentinel_attention,
    sentinel_weights,
    visual_sentinel,
)
from attncourse.reference.adaptive_span import (
    adaptive_span_attention,
    keys_in_span,
    span_mask,
    span_penalty,
)
from attncourse.reference.dense import attention
from attncourse.reference.feedforward import sigmoid
from attncourse.reference.heads import mask_every_head
from attncourse.reference.heads_parts import (
    Context,
    Projections,
    Split,
    Tokens,
    merge_heads,
    project,
    project_heads,
)
from attncourse.shapes import Array, Mask, real, require_equal

__all__ = [
    "SentinelWeights",
    "adaptive_span_attention",
    "gated_attention",
    "gated_reader",
    "head_gated_attention",
    "keys_in_span",
    "sentinel_attention",
    "sentinel_weights",
    "span_mask",
    "span_penalty",
    "visual_sentinel",
]


def gated_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    gate: Float[Array, "width head_columns"],
    *,
    heads: int,
    mask: Mask | None = None,
) -> Float[Array, "*#batch tokens out_width"]:
    r"""Return multi-head attention, each number read times a gate of its own.

    .. math:: Y = \left([Z_1, \dots, Z_h] \odot \sigma(X W_g)\right) W_O
              + b_O

    The gate is computed from the token that asks and stands before the
    output matrix. Where it is shut, the token has read nothing, which
    softmax alone cannot say. A gate that is open everywhere leaves
    `multi_head_attention`.

    Parameters
    ----------
    x, context, projections, heads, mask : as `multi_head_attention` takes
        them.
    gate : shape (width, heads * value_dim).

    Source: Qiu et al. (2025), "Gated Attention for Large Language Models",
    section 2.2, position G1, elementwise.

    Examples
    --------
    >>> layer = Projections(*np.stack([np.eye(4)] * 4))
    >>> x, shut_half = np.ones((1, 4)), np.zeros((4, 4))
    >>> gated_attention(x, x, layer, shut_half, heads=2).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    """
    gate = real("gate", gate, "width head_columns")
    read = _heads_read(x, context, projections, heads, mask)
    opened = sigmoid(project(x, gate))
    merged = merge_heads(read)
    require_equal("columns", gate=opened.shape[-1], heads=merged.shape[-1])
    return project(merged * opened, projections.w_output, projections.b_output)


def head_gated_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    gate: Float[Array, "width heads"],
    *,
    heads: int,
    mask: Mask | None = None,
) -> Float[Array, "*#batch tokens out_width"]:
    r"""Return multi-head attention, each head's reading times one gate.

    .. math:: Y = [g_1 Z_1, \dots, g_h Z_h]\, W_O + b_O, \qquad
              [g_1, \dots, g_h] = \sigma(X W_g)

    Parameters
    ----------
    x, context, projections, heads, mask : as `multi_head_attention` takes
        them.
    gate : shape (width, heads).

    Source: Qiu et al. (2025), section 2.2, position G1, headwise.

    Examples
    --------
    >>> layer = Projections(*np.stack([np.eye(4)] * 4))
    >>> x, gate = np.ones((1, 4)), [[250, 0], [250, 0], [250, 0], [250, 0]]
    >>> head_gated_attention(x, x, layer, gate, heads=2).tolist()
    [[1.0, 1.0, 0.5, 0.5]]
    """
    gate = real("gate", gate, "width heads")
    read = _heads_read(x, context, projections, heads, mask)
    opened = sigmoid(project(x, gate))
    require_equal("heads", gate=opened.shape[-1], heads=read.shape[-3])
    each = np.swapaxes(opened, -1, -2)[..., None]  # heads queries 1
    merged = merge_heads(read * each)
    return project(merged, projections.w_output, projections.b_output)


def gated_reader(
    document: Float[Array, "*#batch words dim"],
    question: Float[Array, "*#batch question_words dim"],
    *,
    mask: Mask | None = None,
) -> Float[Array, "*#batch words dim"]:
    r"""Return each word of a document times what it reads in the question.

    .. math:: x_i = d_i \odot Q^\top \mathrm{softmax}(Q d_i)

    The question opens and closes the numbers of a word. A document that
    is read in several rounds passes through such a gate in each.

    Parameters
    ----------
    mask : shape (..., words, question_words), True where a word may look.
        A word that sees nothing of the question becomes zeros.

    Source: Dhingra et al. (2017), "Gated-Attention Readers for Text
    Comprehension", section 3.1.2.

    Examples
    --------
    >>> gated_reader([[2.0, 3.0]], [[5.0, 0.0]]).tolist()
    [[10.0, 0.0]]
    """
    document = real("document", document, "words dim")
    question = real("question", question, "question_words dim")
    require_equal(
        "dim", document=document.shape[-1], question=question.shape[-1]
    )
    # These scores are not scaled; this undoes the scaling of `attention`.
    q = document * np.sqrt(document.shape[-1])
    return document * attention(q, question, question, mask=mask)


def _heads_read(
    x: Tokens,
    context: Context,
    projections: Projections,
    heads: int,
    mask: Mask | None,
) -> Split:
    """Return what each head reads, before the heads are joined."""
    q, k, v = project_heads(x, context, projections, heads=heads)
    return attention(q, k, v, mask=mask_every_head(mask))
