"""Gated and adaptive attention in torch: the reference's functions.

Gates are here; a sentinel is in `adaptive_sentinel`, learned spans are in
`adaptive_span`. Next to the functions stand modules that hold weights.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attncourse.fast.adaptive_sentinel import (
    SentinelAttention,
    SentinelWeights,
    sentinel_attention,
    sentinel_weights,
    visual_sentinel,
)
from attncourse.fast.adaptive_span import (
    AdaptiveSpan,
    adaptive_span_attention,
    keys_in_span,
    span_mask,
    span_penalty,
)
from attncourse.fast.dense import attention
from attncourse.fast.heads import (
    Projections,
    mask_every_head,
    merge_heads,
    project,
    project_heads,
)
from attncourse.fast.layers_parts import MultiHeadAttention
from attncourse.fast.sparsemax_parts import require_real
from attncourse.shapes import SCORES, require_equal

__all__ = [
    "AdaptiveSpan",
    "GatedAttention",
    "HeadGatedAttention",
    "SentinelAttention",
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

Tokens = Float[Tensor, "*#batch tokens width"]
Context = Float[Tensor, "*#batch context_tokens context_width"]
Read = Float[Tensor, "*#batch tokens out_width"]
Mask = Bool[Tensor, SCORES]


def gated_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    gate: Float[Tensor, "width head_columns"],
    *,
    heads: int,
    mask: Mask | None = None,
) -> Read:
    r"""Return multi-head attention, each number read times a gate of its own.

    .. math:: Y = \left([Z_1, \dots, Z_h] \odot \sigma(X W_g)\right) W_O
              + b_O

    Parameters
    ----------
    x, context, projections, heads, mask : as `multi_head_attention` takes
        them.
    gate : shape (width, heads * value_dim).

    Source: Qiu et al. (2025), "Gated Attention for Large Language Models",
    section 2.2, position G1, elementwise.

    Examples
    --------
    >>> layer = Projections(*torch.eye(4).expand(4, 4, 4))
    >>> x, shut_half = torch.ones(1, 4), torch.zeros(4, 4)
    >>> gated_attention(x, x, layer, shut_half, heads=2).tolist()
    [[0.5, 0.5, 0.5, 0.5]]
    """
    require_real("gate", gate, "width head_columns")
    merged = merge_heads(_heads_read(x, context, projections, heads, mask))
    opened = torch.sigmoid(project(x, gate))
    require_equal("columns", gate=opened.shape[-1], heads=merged.shape[-1])
    return project(merged * opened, projections.w_output, projections.b_output)


def head_gated_attention(
    x: Tokens,
    context: Context,
    projections: Projections,
    gate: Float[Tensor, "width heads"],
    *,
    heads: int,
    mask: Mask | None = None,
) -> Read:
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
    >>> layer = Projections(*torch.eye(4).expand(4, 4, 4))
    >>> x, gate = torch.ones(1, 4), torch.tensor([[250.0, 0.0]] * 4)
    >>> head_gated_attention(x, x, layer, gate, heads=2).tolist()
    [[1.0, 1.0, 0.5, 0.5]]
    """
    require_real("gate", gate, "width heads")
    read = _heads_read(x, context, projections, heads, mask)
    opened = torch.sigmoid(project(x, gate))
    require_equal("heads", gate=opened.shape[-1], heads=read.shape[-3])
    merged = merge_heads(read * opened.mT[..., None])  # heads queries 1
    return project(merged, projections.w_output, projections.b_output)


def gated_reader(
    document: Float[Tensor, "*#batch words dim"],
    question: Float[Tensor, "*#batch question_words dim"],
    *,
    mask: Mask | None = None,
) -> Float[Tensor, "*#batch words dim"]:
    r"""Return each word of a document times what it reads in the question.

    .. math:: x_i = d_i \odot Q^\top \mathrm{softmax}(Q d_i)

    Source: Dhingra et al. (2017), "Gated-Attention Readers for Text
    Comprehension", section 3.1.2.

    Examples
    --------
    >>> document, question = torch.tensor([[2.0, 3.0]]), torch.ones(1, 2)
    >>> gated_reader(document, 5 * question).tolist()
    [[10.0, 15.0]]
    """
    require_real("document", document, "words dim")
    require_real("question", question, "question_words dim")
    require_equal(
        "dim", document=document.shape[-1], question=question.shape[-1]
    )
    # These scores are not scaled; this undoes the scaling of `attention`.
    q = document * document.shape[-1] ** 0.5
    return document * attention(q, question, question, mask=mask)


class GatedAttention(MultiHeadAttention):
    """Multi-head attention with a gate for each number that is read.

    Parameters
    ----------
    width : numbers of a token; heads divide it evenly.
    context_width : numbers of a token that is read; None for `width`.
    bias : whether each of the four linear maps adds one; the gate does not.

    Source: Qiu et al. (2025), "Gated Attention for Large Language Models",
    section 2.2, position G1, elementwise.

    Examples
    --------
    >>> layer = GatedAttention(6, heads=2)
    >>> layer(torch.ones(5, 6)).shape
    torch.Size([5, 6])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        context_width: int | None = None,
        bias: bool = True,
    ):
        super().__init__(width, heads, context_width=context_width, bias=bias)
        self.gate = _gate(width, width)

    def forward(
        self,
        x: Tokens,
        context: Context | None = None,
        *,
        mask: Mask | None = None,
    ) -> Tokens:
        """Return what each token reads in `context`, itself if None."""
        context = x if context is None else context
        p, gate = self.projections(), self.gate.weight.T
        return gated_attention(
            x, context, p, gate, heads=self.heads, mask=mask
        )


class HeadGatedAttention(GatedAttention):
    """Multi-head attention with one gate for each head.

    Source: Qiu et al. (2025), section 2.2, position G1, headwise.

    Examples
    --------
    >>> layer = HeadGatedAttention(6, heads=2)
    >>> layer(torch.ones(5, 6)).shape, layer.gate.weight.shape
    (torch.Size([5, 6]), torch.Size([2, 6]))
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        context_width: int | None = None,
        bias: bool = True,
    ):
        super().__init__(width, heads, context_width=context_width, bias=bias)
        self.gate = _gate(width, heads)

    def forward(
        self,
        x: Tokens,
        context: Context | None = None,
        *,
        mask: Mask | None = None,
    ) -> Tokens:
        """Return what each token reads in `context`, itself if None."""
        context = x if context is None else context
        p, gate = self.projections(), self.gate.weight.T
        return head_gated_attention(
            x, context, p, gate, heads=self.heads, mask=mask
        )


def _gate(width: int, columns: int) -> nn.Linear:
    gate = nn.Linear(width, columns, bias=False)
    nn.init.xavier_uniform_(gate.weight)
    return gate


def _heads_read(
    x: Tokens,
    context: Context,
    projections: Projections,
    heads: int,
    mask: Mask | None,
) -> Float[Tensor, "*#batch heads tokens value_dim"]:
    """Return what each head reads, before the heads are joined."""
    q, k, v = project_heads(x, context, projections, heads=heads)
    return attention(q, k, v, mask=mask_every_head(mask))
