"""Luong's scores and attentions as torch modules.

An attention takes a score: three scores and three attentions combine
freely.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attncourse.fast.luong_local import (
    monotonic_attention,
    predicted_positions,
    predictive_attention,
)
from attncourse.fast.luong_parts import (
    Keys,
    Mask,
    Memory,
    Queries,
    Reading,
    Scores,
    concat_scores,
    global_attention,
    require_pair,
)
from attncourse.fast.recurrent_tokens import require_boolean, require_floating
from attncourse.shapes import count, require_broadcast, require_equal


class DotScore(nn.Module):
    r"""The dot product of decoder state and annotation; nothing to train.

    .. math:: S_{ij} = q_i \cdot k_j

    Source: as in `reference.scores.dot_scores`.

    Examples
    --------
    >>> DotScore()(torch.ones(3, 5), torch.ones(7, 5)).shape
    torch.Size([3, 7])
    """

    def forward(self, q: Queries, k: Keys) -> Scores:
        """Return the scores, (..., queries, keys)."""
        require_pair(q, k)
        require_equal("dim", q=q.shape[-1], k=k.shape[-1])
        return q @ k.mT


class GeneralScore(nn.Module):
    r"""The dot product with a trained matrix between.

    .. math:: S_{ij} = q_i^\top W k_j

    Source: as in `reference.scores.bilinear_scores`.

    Examples
    --------
    >>> GeneralScore(5, 2)(torch.ones(3, 5), torch.ones(7, 2)).shape
    torch.Size([3, 7])
    """

    def __init__(self, width: int, memory_width: int):
        super().__init__()
        width, memory_width = _widths(width, memory_width)
        self.map = nn.Linear(width, memory_width, bias=False)

    def forward(self, q: Queries, k: Keys) -> Scores:
        """Return the scores, (..., queries, keys)."""
        require_pair(q, k)
        require_equal("dim", q=q.shape[-1], map=self.map.in_features)
        require_equal("memory_width", k=k.shape[-1], map=self.map.out_features)
        return self.map(q) @ k.mT


class ConcatScore(nn.Module):
    r"""A network with one hidden layer that reads both in one row.

    .. math:: S_{ij} = v^\top \tanh(W^\top [q_i ; k_j])

    Source: as in `reference.luong.concat_scores`.

    Examples
    --------
    >>> score = ConcatScore(5, 2, hidden=11)
    >>> score(torch.ones(3, 5), torch.ones(7, 2)).shape
    torch.Size([3, 7])
    """

    def __init__(self, width: int, memory_width: int, *, hidden: int):
        super().__init__()
        width, memory_width = _widths(width, memory_width)
        hidden = count("hidden", hidden)
        self.map = nn.Linear(width + memory_width, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, q: Queries, k: Keys) -> Scores:
        """Return the scores, (..., queries, keys)."""
        return concat_scores(q, k, self.map.weight.T, self.score.weight[0])


class GlobalAttention(nn.Module):
    r"""Look at the whole source.

    .. math:: a_i = \mathrm{softmax}_{keys}(S_i)

    Parameters
    ----------
    score : a module from queries and keys to scores.

    Source: as in `reference.luong.global_attention`.

    Examples
    --------
    >>> attend = GlobalAttention(DotScore())
    >>> attend(torch.ones(1, 5), torch.ones(7, 5), torch.zeros(1)).context
    tensor([[1., 1., 1., 1., 1.]])
    """

    def __init__(self, score: nn.Module):
        super().__init__()
        self.score = score

    def forward(
        self,
        q: Queries,
        memory: Memory,
        positions: Tensor,
        *,
        mask: Mask | None = None,
    ) -> Reading:
        """Return what is read; where the decoder stands does not matter."""
        memory = _seen(memory, mask)
        return global_attention(self.score(q, memory), memory, mask=mask)


class MonotonicAttention(nn.Module):
    r"""Look around the position at which the target stands: local-m.

    .. math:: a_i = \mathrm{softmax}_{\,|j - i| \le D}(S_i)

    Parameters
    ----------
    score : a module from queries and keys to scores.
    half_width : D, in positions.

    Source: as in `reference.luong_local.monotonic_attention`.

    Examples
    --------
    >>> attend = MonotonicAttention(DotScore(), half_width=1)
    >>> attend(torch.ones(1, 5), torch.ones(3, 5), torch.zeros(1)).weights
    tensor([[0.5000, 0.5000, 0.0000]])
    """

    def __init__(self, score: nn.Module, *, half_width: int):
        super().__init__()
        self.score = score
        self.half_width = count("half_width", half_width, least=0)

    def forward(
        self,
        q: Queries,
        memory: Memory,
        positions: Tensor,
        *,
        mask: Mask | None = None,
    ) -> Reading:
        """Return what is read about `positions`, shape (..., queries)."""
        memory = _seen(memory, mask)
        return monotonic_attention(
            self.score(q, memory),
            memory,
            positions,
            half_width=self.half_width,
            mask=mask,
        )

    def extra_repr(self) -> str:
        """Return what printing the module adds to its name."""
        return f"half_width={self.half_width}"


class PredictiveAttention(MonotonicAttention):
    r"""Look around a position that the state predicts: local-p.

    .. math:: p_i = S \cdot \mathrm{sigmoid}(v^\top \tanh(W^\top q_i))

    Parameters
    ----------
    score, half_width : as `MonotonicAttention` takes them.
    width : of the state.
    hidden : of the network that predicts.

    Source: as in `reference.luong_local.predictive_attention`.

    Examples
    --------
    >>> attend = PredictiveAttention(
    ...     DotScore(), half_width=2, width=5, hidden=3
    ... )
    >>> q, k, at = torch.ones(1, 5), torch.ones(7, 5), torch.zeros(1)
    >>> attend(q, k, at).weights.shape
    torch.Size([1, 7])
    """

    def __init__(
        self, score: nn.Module, *, half_width: int, width: int, hidden: int
    ):
        super().__init__(score, half_width=count("half_width", half_width))
        width, hidden = count("width", width), count("hidden", hidden)
        self.map = nn.Linear(width, hidden, bias=False)
        self.place = nn.Linear(hidden, 1, bias=False)

    def forward(
        self,
        q: Queries,
        memory: Memory,
        positions: Tensor,
        *,
        mask: Mask | None = None,
    ) -> Reading:
        """Return what is read; the decoder's own position does not matter.

        S is the number of keys that `mask`, (..., 1, keys), allows; they
        are the first ones.
        """
        memory = _seen(memory, mask)
        lengths = (
            torch.tensor(memory.shape[-2], device=q.device)
            if mask is None
            else mask.sum(dim=-1)[..., 0]
        )
        places = predicted_positions(
            q, self.map.weight.T, self.place.weight[0], lengths=lengths
        )
        return predictive_attention(
            self.score(q, memory),
            memory,
            places,
            half_width=self.half_width,
            mask=mask,
        )


def _seen(memory: Memory, mask: Mask | None) -> Memory:
    """Return the annotations, zero where no query may look.

    A score that is hidden later would still pass NaN to a gradient.
    """
    require_floating("memory", memory, "keys memory_width")
    if mask is None:
        return memory
    require_boolean(mask, "queries keys")
    require_equal("keys", memory=memory.shape[-2], mask=mask.shape[-1])
    require_broadcast(
        memory=tuple(memory.shape[:-2]), mask=tuple(mask.shape[:-2])
    )
    return torch.where(mask.any(dim=-2)[..., None], memory, 0.0)


def _widths(width: int, memory_width: int) -> tuple[int, int]:
    return count("width", width), count("memory_width", memory_width)
