"""What the caches share: places, masks, and reading without repeating keys.

Lengths and positions are on the CPU: which tensors a step makes depends on
them. What comes into a step is in `cache_arrivals`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attncourse.fast import dense, tiled
from attncourse.shapes import count, require_broadcast

# How a step reads is the caches' own; these say what it may see.
__all__ = ["next_positions", "slot_positions", "visible"]

Rows = Float[Tensor, "rows heads tokens dim"]
Lengths = Int[Tensor, "*batch"]
# From queries or keys and their positions to the same, turned.
Encode = Callable[[Tensor, Tensor], Tensor]


def next_positions(
    lengths: Lengths, *, tokens: int
) -> Int[Tensor, "*batch tokens"]:
    r"""Return where the next tokens of each sequence will stand.

    .. math:: p_{bi} = \ell_b + i

    Source: Su et al. (2024), "RoFormer", section 3.2: a position belongs
    to a token, wherever it is kept.

    Examples
    --------
    >>> next_positions(torch.tensor([5, 0]), tokens=2).tolist()
    [[5, 6], [0, 1]]
    """
    tokens = count("tokens", tokens, least=0)
    _require_whole("lengths", lengths)
    return lengths[..., None] + torch.arange(tokens, device=lengths.device)


def visible(
    positions: Int[Tensor, "*batch queries"],
    key_positions: Int[Tensor, "*batch keys"],
    *,
    counts: Lengths,
) -> Bool[Tensor, "*batch queries keys"]:
    r"""Return which keys the queries of a step may read.

    .. math:: M_{bij} = [\, 0 \le p^K_{bj} \le p_{bi} \,]\,[\, i < c_b \,]

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.3, for positions instead of places.

    Examples
    --------
    >>> at, keys = torch.tensor([4, 5]), torch.tensor([5, 3, -1])
    >>> visible(at, keys, counts=torch.tensor(2)).int().tolist()
    [[0, 1, 0], [1, 1, 0]]
    """
    _require_whole("positions", positions, "queries")
    _require_whole("key_positions", key_positions, "keys")
    _require_whole("counts", counts)
    require_broadcast(
        positions=tuple(positions.shape[:-1]),
        key_positions=tuple(key_positions.shape[:-1]),
        counts=tuple(counts.shape),
    )
    at, key = positions[..., :, None], key_positions[..., None, :]
    row = torch.arange(at.shape[-2], device=at.device)[:, None]
    return (key >= 0) & (key <= at) & (row < counts[..., None, None])


def slot_positions(
    lengths: Lengths, *, window: int
) -> Int[Tensor, "*batch window"]:
    r"""Return the position that each slot of a ring holds; negative if none.

    .. math:: p_s = \ell - 1 - \big((\ell - 1 - s) \bmod w\big)

    Source: Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> slot_positions(torch.tensor([5, 2]), window=3).tolist()
    [[3, 4, 2], [0, 1, -1]]
    """
    _require_whole("lengths", lengths)
    last = lengths[..., None] - 1
    slots = torch.arange(count("window", window), device=lengths.device)
    return last - (last - slots) % window


def stack_group(q: Rows, *, groups: int) -> Rows:
    """Return the heads of each group below one another, (rows, groups, ...).

    So a key is read once for all heads that share it, and never repeated.

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> stack_group(torch.ones(2, 6, 5, 4), groups=3).shape
    torch.Size([2, 3, 10, 4])
    """
    return q.unflatten(1, (groups, -1)).flatten(2, 3)


def read_masked(
    q: Float[Tensor, "*#batch queries dim"],
    k: Float[Tensor, "*#batch keys dim"],
    v: Float[Tensor, "*#batch keys value_dim"],
    *,
    mask: Bool[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "*#batch queries value_dim"]:
    r"""Return `dense.attention`, half types in single precision.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k}\right) V

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> one = torch.ones(3, 2).half()
    >>> read_masked(one, one, one, mask=torch.ones(3, 3) > 0).dtype
    torch.float16
    """
    inner = torch.promote_types(q.dtype, torch.float32)
    wide = (x.to(inner) for x in (q, k, v))
    return dense.attention(*wide, mask=mask).to(q.dtype)


def read_all(
    q: Float[Tensor, "*batch queries dim"],
    k: Float[Tensor, "*batch keys dim"],
    v: Float[Tensor, "*batch keys value_dim"],
) -> Float[Tensor, "*batch queries value_dim"]:
    r"""Return what the few queries of one token read: every key there is.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k}\right) V

    So few scores need no tiles. Half types do: a tile at a time becomes
    single precision, and never the whole cache.

    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    Examples
    --------
    >>> read_all(torch.zeros(2, 3), torch.ones(4, 3), torch.eye(4))[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    half = torch.promote_types(q.dtype, torch.float32) != q.dtype
    return tiled.attention(q, k, v) if half else dense.attention(q, k, v)


def read_newest(q: Rows, k: Rows, v: Rows, *, window: int | None) -> Rows:
    r"""Return what the newest tokens read, all rows being of one length.

    .. math:: O_i = \sum_{p_i - w < p_j \le p_i} a_{ij} v_j

    One token sees every key that is given; several see those up to their
    own place, the last `window` of them (None for all).

    Source: Dao (2023), "FlashAttention-2", section 3; Ainslie et al.
    (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q, k = torch.ones(2, 6, 5, 4), torch.ones(2, 3, 7, 4)
    >>> read_newest(q, k, k, window=None).shape
    torch.Size([2, 6, 5, 4])
    """
    if q.shape[2] == 1:
        read = read_all(stack_group(q, groups=k.shape[1]), k, v)
        return read.reshape(*q.shape[:3], v.shape[-1])
    grouped = q.unflatten(1, (k.shape[1], -1))
    parts = [
        tiled.causal_attention(each, k, v)
        if window is None
        else tiled.window_attention(each, k, v, window=window)
        for each in grouped.unbind(dim=2)
    ]
    return torch.stack(parts, dim=2).flatten(1, 2)


def _require_whole(name: str, value: Tensor, axes: str = "") -> None:
    """Require a tensor of whole numbers with the named trailing axes."""
    kind = getattr(value, "dtype", type(value).__name__)
    if (
        not isinstance(value, Tensor)
        or value.is_floating_point()
        or value.is_complex()
        or kind is torch.bool
    ):
        raise TypeError(
            f"{name} must be a tensor of whole numbers: got {kind}"
        )
    if value.ndim < len(axes.split()):
        raise ValueError(
            f"{name} must have axes (..., {axes}): "
            f"got shape {tuple(value.shape)}"
        )
