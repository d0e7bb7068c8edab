"""Patterns in torch: the masks of `attncourse.reference.masks_patterns`.

The last query stands at the last key. What is read from tensors lies on
their device; what is made from numbers alone takes a `device`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attncourse.shapes import SCORES, count, require_broadcast

# What checks arguments is for sibling modules alone.
__all__ = [
    "block_mask",
    "document_mask",
    "global_mask",
    "local_mask",
    "prefix_mask",
    "strided_mask",
    "window_mask",
]

Mask = Bool[Tensor, SCORES]
QueryIds = Int[Tensor, "*#batch queries"]
KeyIds = Int[Tensor, "*#batch keys"]
QueryFlags = Bool[Tensor, "*#batch queries"]
KeyFlags = Bool[Tensor, "*#batch keys"]
Square = Bool[Tensor, "queries keys"]
Layout = Bool[Tensor, "*batch rows columns"]
Device = torch.device | str | None
WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


def window_mask(
    queries: int, keys: int, *, window: int, device: Device = None
) -> Square:
    r"""Return True at the last `window` keys, a query's own place included.

    .. math:: M_{ij} = [\, 0 \le (i + m - n) - j < w \,]

    `attncourse.fast.tiled.window_attention` is attention with this mask,
    and skips what it hides.

    Source: Jiang et al. (2023), "Mistral 7B", section 2; Beltagy et al.
    (2020), "Longformer", section 3.1.

    Examples
    --------
    >>> window_mask(2, 4, window=2).int().tolist()
    [[0, 1, 1, 0], [0, 0, 1, 1]]
    """
    window = count("window", window)
    behind = _behind(queries, keys, device)
    return (behind >= 0) & (behind < window)


def local_mask(
    queries: int, keys: int, *, radius: int, device: Device = None
) -> Square:
    r"""Return True at no more than `radius` places away, on either side.

    .. math:: M_{ij} = [\, \lvert (i + m - n) - j \rvert \le r \,]

    Source: Beltagy et al. (2020), "Longformer", section 3.1, whose window
    w is 2 r.

    Examples
    --------
    >>> local_mask(3, 3, radius=1).int().tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    radius = count("radius", radius, least=0)
    return _behind(queries, keys, device).abs() <= radius


def strided_mask(
    queries: int, keys: int, *, stride: int, device: Device = None
) -> Square:
    r"""Return True at every `stride`-th key, counted from a query's own.

    .. math:: M_{ij} = [\, (i + m - n) - j \equiv 0 \pmod s \,]

    Source: Child et al. (2019), "Generating Long Sequences with Sparse
    Transformers", section 4.3; Beltagy et al. (2020), section 3.1.

    Examples
    --------
    >>> strided_mask(1, 5, stride=2).int().tolist()
    [[1, 0, 1, 0, 1]]
    """
    stride = count("stride", stride)
    return _behind(queries, keys, device) % stride == 0


def prefix_mask(
    queries: int,
    keys: int,
    *,
    prefix: int | Int[Tensor, "*batch"],
    device: Device = None,
) -> Bool[Tensor, "*batch queries keys"]:
    r"""Return True at the prefix, and after it where a key is not later.

    .. math:: M_{ij} = [\, j < p \,] \vee [\, j \le i + m - n \,]

    Parameters
    ----------
    prefix : its length, or a tensor with one for each sequence. That it
        lies between 0 and `keys` is checked on the CPU only.
    device : of the mask if `prefix` is a number; a tensor has its own.

    Source: Raffel et al. (2020), "Exploring the Limits of Transfer
    Learning with a Unified Text-to-Text Transformer", section 3.2.1.

    Examples
    --------
    >>> prefix_mask(3, 3, prefix=2).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    keys = count("keys", keys, least=0)
    if isinstance(prefix, Tensor):
        device = prefix.device
    else:
        number = count("prefix", prefix, least=0)
        if number > keys:
            raise ValueError(_prefix_error(keys, number))
        prefix = torch.tensor(number, device=device)
    require_whole("prefix", prefix)
    if prefix.device.type == "cpu":
        outside = prefix[(prefix < 0) | (prefix > keys)]
        if outside.numel():
            raise ValueError(_prefix_error(keys, outside[0].item()))
    causal = _behind(queries, keys, device) >= 0
    place = torch.arange(keys, device=device)
    return causal | (place < prefix[..., None, None])


def document_mask(query_documents: QueryIds, key_documents: KeyIds) -> Mask:
    r"""Return True where a query and a key are of one document.

    .. math:: M_{ij} = [\, d_i = d_j \,]

    Source: Krell et al. (2021), "Efficient Sequence Packing without
    Cross-contamination", on the attention mask.

    Examples
    --------
    >>> packed = torch.tensor([0, 0, 1])
    >>> document_mask(packed, packed).int().tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    require_whole("query_documents", query_documents, "queries")
    require_whole("key_documents", key_documents, "keys")
    require_broadcast(
        query_documents=tuple(query_documents.shape[:-1]),
        key_documents=tuple(key_documents.shape[:-1]),
    )
    return query_documents[..., :, None] == key_documents[..., None, :]


def global_mask(query_globals: QueryFlags, key_globals: KeyFlags) -> Mask:
    r"""Return True where the query or the key is a global one.

    .. math:: M_{ij} = g_i \vee g_j

    Source: Beltagy et al. (2020), "Longformer", section 3.1; Zaheer et al.
    (2020), "Big Bird", section 2.

    Examples
    --------
    >>> first = torch.tensor([True, False, False])
    >>> global_mask(first, first).int().tolist()
    [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    """
    _require_boolean("query_globals", query_globals, "queries")
    _require_boolean("key_globals", key_globals, "keys")
    require_broadcast(
        query_globals=tuple(query_globals.shape[:-1]),
        key_globals=tuple(key_globals.shape[:-1]),
    )
    return query_globals[..., :, None] | key_globals[..., None, :]


def block_mask(
    layout: Layout, *, block: int, queries: int, keys: int
) -> Bool[Tensor, "*batch queries keys"]:
    r"""Return every entry of `layout` spread over a block of places.

    .. math:: M_{ij} = L_{\lfloor i / b \rfloor, \lfloor j / b \rfloor}

    Parameters
    ----------
    layout : which blocks of queries see which blocks of keys, shape
        (..., rows, columns): as many as are needed. The last of them may
        be short.
    block : places on a side.

    Source: Child et al. (2019), on block-sparse kernels; Zaheer et al.
    (2020), on the blocks of their implementation.

    Examples
    --------
    >>> layout = torch.tensor([[True, False], [True, True]])
    >>> block_mask(layout, block=2, queries=3, keys=3).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """
    _require_boolean("layout", layout, "rows columns")
    block = count("block", block)
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    needed = (-(-queries // block), -(-keys // block))  # rounded up
    if tuple(layout.shape[-2:]) != needed:
        raise ValueError(
            f"layout must have {needed[0]} x {needed[1]} blocks: "
            f"got shape {tuple(layout.shape)}"
        )
    rows = torch.arange(queries, device=layout.device) // block
    columns = torch.arange(keys, device=layout.device) // block
    return layout[..., rows[:, None], columns]


def require_whole(name: str, value: Tensor, axes: str = "") -> None:
    """Refuse a tensor without whole numbers or without the named axes.

    Source: bookkeeping; lengths and documents are counted, not measured.

    Examples
    --------
    >>> require_whole("lengths", torch.tensor([2.0]))
    Traceback (most recent call last):
    TypeError: lengths must hold whole numbers: got dtype torch.float32
    """
    if not isinstance(value, Tensor):
        got = type(value).__name__
        raise TypeError(f"{name} must be a tensor of whole numbers: got {got}")
    if value.dtype not in WHOLE:
        raise TypeError(
            f"{name} must hold whole numbers: got dtype {value.dtype}"
        )
    _require_axes(name, value, axes)


def _require_boolean(name: str, value: Tensor, axes: str) -> None:
    if not isinstance(value, Tensor) or value.dtype is not torch.bool:
        got = getattr(value, "dtype", type(value).__name__)
        raise TypeError(
            f"{name} must be boolean, True where a query may look: "
            f"got dtype {got}"
        )
    _require_axes(name, value, axes)


def _require_axes(name: str, value: Tensor, axes: str) -> None:
    named = axes.split()
    if value.ndim < len(named):
        wanted = ", ".join(["...", *named])
        raise ValueError(
            f"{name} must have axes ({wanted}): got shape {tuple(value.shape)}"
        )


def _prefix_error(keys: int, got: int | float) -> str:
    return f"prefix must lie between 0 and keys={keys}: got {got}"


def _behind(
    queries: int, keys: int, device: Device
) -> Int[Tensor, "queries keys"]:
    """Return how many places each key stands before each query."""
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    place = torch.arange(queries, device=device) + (keys - queries)
    return place[:, None] - torch.arange(keys, device=device)
