"""From what a recurrent decoder has read to the logits of a word."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attncourse.fast.recurrent_tokens import require_floating, side_by_side
from attncourse.shapes import count, require_equal

State = Float[Tensor, "*#batch width"]


class LinearOutput(nn.Module):
    r"""Logits by one linear map of state, embedding and context.

    .. math:: o = [s; y; c]\, W + b

    Source: as in `reference.recurrent.output_logits`.

    Examples
    --------
    >>> import torch
    >>> parts = torch.ones(3), torch.ones(2), torch.ones(5)
    >>> LinearOutput(3, 2, 5, vocabulary=11)(*parts).shape
    torch.Size([11])
    """

    def __init__(
        self,
        width: int,
        embed_width: int,
        memory_width: int,
        *,
        vocabulary: int,
    ):
        super().__init__()
        self.widths = _widths(width, embed_width, memory_width)
        self.map = nn.Linear(sum(self.widths), count("vocabulary", vocabulary))

    def forward(
        self, state: State, embedded: Tensor, context: Tensor
    ) -> Float[Tensor, "*#batch vocabulary"]:
        """Return the logits; the one softmax belongs to the loss."""
        return self.map(_row(self.widths, state, embedded, context))


class DeepOutput(nn.Module):
    r"""Logits by a maxout layer between.

    .. math:: o = t\, W_o, \quad t_j = \max(\tilde t_{2j-1}, \tilde t_{2j}),
              \quad \tilde t = s\,U_o + y\,V_o + c\,C_o

    Source: as in `reference.recurrent.output_logits`.

    Examples
    --------
    >>> import torch
    >>> parts = torch.ones(3), torch.ones(2), torch.ones(5)
    >>> DeepOutput(3, 2, 5, hidden=7, vocabulary=11)(*parts).shape
    torch.Size([11])
    """

    def __init__(
        self,
        width: int,
        embed_width: int,
        memory_width: int,
        *,
        hidden: int,
        vocabulary: int,
    ):
        super().__init__()
        hidden = count("hidden", hidden)
        self.widths = _widths(width, embed_width, memory_width)
        self.state, self.embedded, self.context = (
            nn.Linear(each, 2 * hidden, bias=False) for each in self.widths
        )
        self.map = nn.Linear(
            hidden, count("vocabulary", vocabulary), bias=False
        )

    def forward(
        self, state: State, embedded: Tensor, context: Tensor
    ) -> Float[Tensor, "*#batch vocabulary"]:
        """Return the logits; the one softmax belongs to the loss."""
        maps = self.state, self.embedded, self.context
        row = _row(self.widths, state, embedded, context)
        parts = zip(maps, row.split(self.widths, dim=-1), strict=True)
        from_state, from_embedded, from_context = (m(x) for m, x in parts)
        both = from_state + from_embedded + from_context
        return self.map(both.unflatten(-1, (-1, 2)).amax(dim=-1))


def _widths(width: int, embed_width: int, memory_width: int) -> list[int]:
    """Return the widths of what an output reads, each checked."""
    return [
        count("width", width),
        count("embed_width", embed_width),
        count("memory_width", memory_width),
    ]


def _row(
    widths: list[int], state: State, embedded: Tensor, context: Tensor
) -> Float[Tensor, "*batch width"]:
    """Return the three in one row, each of the width that it must have."""
    parts = {"state": state, "embedded": embedded, "context": context}
    for (name, each), width in zip(parts.items(), widths, strict=True):
        require_floating(name, each, "width")
        require_equal("width", **{name: each.shape[-1], "output": width})
    return side_by_side(**parts)
