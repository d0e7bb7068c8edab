"""Attention as Triton kernels for NVIDIA GPUs: exact, both passes fused.

The names and contracts of `attncourse.fast.tiled`, in float16, bfloat16
and float32. Triton is imported at the first call. Where `k` and `v` have
an axis of one before their last two, as ``(..., groups, 1, keys, dim)``
under queries of ``(..., groups, heads, queries, dim)``, the heads of a
group share them without a copy: so are causal grouped heads written.

Without a GPU, ``TRITON_INTERPRET=1`` in the environment, set before Triton
is imported, runs the kernels in Triton's interpreter: slowly, for tests and
for reading along.
"""

from __future__ import annotations

import math
import os

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    VALUES,
    count,
    require_broadcast,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def attention(q: Queries, k: Keys, v: Values) -> Output:
    r"""Return attention in which every query sees every key.

    .. math:: O = \mathrm{softmax}\left(Q K^\top / \sqrt{d_k}\right) V

    The contract of `attncourse.fast.tiled.attention`, for tensors on a
    GPU. Sums are in single precision. There is no second derivative.

    Source: Dao (2023), "FlashAttention-2", algorithms 1 and 2; values are
    weighed during the next tile's exponentials as in Shah et al. (2024),
    "FlashAttention-3", section 3.2.

    Examples
    --------
    >>> q = torch.zeros(8, 5, 64, device="cuda")  # doctest: +SKIP
    >>> attention(q, q, q).shape  # doctest: +SKIP
    torch.Size([8, 5, 64])
    """
    return _banded(q, k, v, causal=False)


def causal_attention(q: Queries, k: Keys, v: Values) -> Output:
    r"""Return attention in which no query sees a later key.

    .. math:: O_i = \sum_{j \le i + m - n} A_{ij} V_j

    Of n queries the last stands at the last of m keys, as in
    `masks.causal_mask`. Tiles of the future are skipped, and NaN there
    has no influence. NaN in a key or value makes NaN of what may see it.
    Infinity does what arithmetic makes of it: a score of -inf weighs
    nothing, where `attncourse.fast.tiled.causal_attention` returns NaN.

    Source: Dao (2023), "FlashAttention-2", section 3.1, "causal masking".

    Examples
    --------
    >>> q = torch.zeros(2, 1, device="cuda")  # doctest: +SKIP
    >>> causal_attention(q, q, torch.eye(2, device="cuda"))  # doctest: +SKIP
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]], device='cuda:0')
    """
    return _banded(q, k, v, causal=True)


def window_attention(q: Queries, k: Keys, v: Values, *, window: int) -> Output:
    r"""Return attention to the last `window` keys, a query's own included.

    .. math:: O_i = \sum_{i + m - n - w < j \le i + m - n} A_{ij} V_j

    Cost grows with queries times `window`: what lies outside is skipped. A
    window of all keys is `causal_attention`, bit for bit.

    Source: Beltagy et al. (2020), "Longformer", section 3.1; causal as in
    Jiang et al. (2023), "Mistral 7B", section 2.

    Examples
    --------
    >>> v = torch.tensor([[2.0], [4.0]], device="cuda")  # doctest: +SKIP
    >>> window_attention(v, v, v, window=1).flatten()  # doctest: +SKIP
    tensor([2., 4.], device='cuda:0')
    """
    window = count("window", window)
    return _banded(q, k, v, causal=True, window=window)


def grouped_attention(q: Queries, k: Keys, v: Values) -> Output:
    r"""Return attention in which neighbouring heads share keys and values.

    .. math:: O_h = \mathrm{softmax}\left(
              Q_h K_{\lfloor h g / H \rfloor}^\top / \sqrt{d_k}\right)
              V_{\lfloor h g / H \rfloor}

    The queries of a group of the H / g heads stand below one another, so
    that a key is read once for all of them.

    Parameters
    ----------
    q : shape (..., heads, queries, dim), heads a multiple of groups.
    k, v : shapes (..., groups, keys, dim) and (..., groups, keys, value_dim).

    Source: Ainslie et al. (2023), "GQA", section 2.2.

    Examples
    --------
    >>> q = torch.zeros(6, 5, 64, device="cuda")  # doctest: +SKIP
    >>> grouped_attention(q, q[:3], q[:3]).shape  # doctest: +SKIP
    torch.Size([6, 5, 64])
    """
    for name, x in {"q": q, "k": k, "v": v}.items():
        require_real(name, x, "heads rows dim")
    heads, groups = q.shape[-3], k.shape[-3]
    if not groups or heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    stacked = q.unflatten(-3, (groups, heads // groups)).flatten(-3, -2)
    read = attention(stacked, k, v)
    shared = read.unflatten(-2, (heads // groups, q.shape[-2]))
    return shared.flatten(-4, -3)


def _banded(q, k, v, *, causal: bool, window: int | None = None) -> Output:
    leading = _checked(q, k, v)
    launch = _launch()
    if not (q.is_cuda or launch.interpreted()):
        raise RuntimeError(
            "TRITON_INTERPRET must be set before Triton is imported: "
            "got it after"
        )
    keys = k.shape[-2]
    # A query at the last key that sees all before it has no window.
    behind = None if window is None or window >= keys else window - 1
    arrays = _four_axes(q, k, v, leading)
    output = launch.attend(*arrays, launch.Visible(causal, behind))
    return output.reshape(*leading, *output.shape[2:])


def _checked(q: Tensor, k: Tensor, v: Tensor) -> tuple[int, ...]:
    """Return the leading axes of the result."""
    named = {"q": q, "k": k, "v": v}
    for name, axes in zip(
        named, ("queries dim", "keys dim", "keys value_dim"), strict=True
    ):
        x = named[name]
        require_real(name, x, axes)
        if x.dtype not in DTYPES:
            raise TypeError(
                f"{name} must be float16, bfloat16 or float32: got {x.dtype}"
            )
        if (x.dtype, x.device) != (q.dtype, q.device):
            raise TypeError(
                f"q and {name} must agree in dtype and device: got "
                f"{q.dtype} on {q.device}, {x.dtype} on {x.device}"
            )
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    if not q.is_cuda and not _interpreted():
        raise ValueError(
            f"tensors must be on an NVIDIA GPU: got {q.device}; "
            "attncourse.fast.tiled computes the same there"
        )
    return require_broadcast(
        **{name: tuple(x.shape[:-2]) for name, x in named.items()}
    )


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


def _launch():
    """Return the module that needs Triton."""
    try:
        from attncourse.fast.kernels import launch
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "triton":
            raise
        raise ModuleNotFoundError(
            'Triton must be installed: pip install "attncourse[triton]"',
            name="triton",
        ) from None
    return launch


def _four_axes(
    q: Tensor, k: Tensor, v: Tensor, leading: tuple[int, ...]
) -> list[Tensor]:
    """Return views with the axes batch, heads or groups, rows and width.

    The last leading axes along which keys and values are the same are the
    heads that share them.
    """
    ours = torch.broadcast_shapes(k.shape[:-2], v.shape[:-2])
    ours = (1,) * (len(leading) - len(ours)) + tuple(ours)
    apart = len(leading)
    while apart and ours[apart - 1] == 1:
        apart -= 1
    before, shared = leading[:apart], math.prod(leading[apart:])
    groups = before[-1] if before else 1
    batch = math.prod(before[:-1])
    ones = (1,) * (len(leading) - apart)
    wide = q.expand(*leading, *q.shape[-2:])
    few = (x.expand(*before, *ones, *x.shape[-2:]) for x in (k, v))
    return [
        wide.reshape(batch, groups * shared, *q.shape[-2:]),
        *(x.reshape(batch, groups, *x.shape[-2:]) for x in few),
    ]
