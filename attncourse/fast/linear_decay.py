"""Linear attention that forgets, in torch: chunked, and a step at a time.

The contracts of `attncourse.reference.linear_decay`: `log_decay`, of shape
(..., steps or 1, dim or 1), holds the logarithms of the gates, minus
infinity included. Half types are computed in single precision, in which
the memory is kept. What is not finite makes NaN of the outputs that may
see it, and no gradient flows through those.
"""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.linear_parts import (
    Features,
    LogDecay,
    Memory,
    Rows,
    Sums,
    Values,
    by_heads,
    checked_log_decay,
    checked_memory,
    checked_steps,
    fading,
    from_chunks,
    to_chunks,
    widened,
)
from attncourse.shapes import count, require_equal

CHUNK = 64


def retention_decays(
    heads: int, *, device: torch.device | str | None = None
) -> Float[Tensor, "heads 1 1"]:
    r"""Return the logarithms of RetNet's decays, one a head.

    .. math:: \log \gamma_h = \log\left(1 - 2^{-5-h}\right), \quad
              h = 0, 1, \dots

    Source: Sun et al. (2023), "Retentive Network: A Successor to
    Transformer for Large Language Models", section 2.2, eq. 8.

    Examples
    --------
    >>> retention_decays(2).exp().flatten().tolist()
    [0.96875, 0.984375]
    """
    heads = count("heads", heads, least=0)
    place = torch.arange(heads, dtype=torch.float64, device=device)
    logs = torch.log1p(-torch.exp2(-5 - place))
    return logs.to(torch.get_default_dtype())[:, None, None]


def recurrent_retention(
    q: Features,
    k: Features,
    v: Values,
    *,
    log_decay: LogDecay,
    state: Memory | None = None,
) -> tuple[Sums, Memory]:
    r"""Return sums of the values so far, faded, one step at a time.

    .. math:: S_t = \mathrm{diag}(\alpha_t) \, S_{t-1} + k_t v_t^\top,
              \qquad o_t = S_t^\top q_t

    To decode, call it with one new step and the memory returned before.

    Source: Sun et al. (2023), eq. 6; one gate a step: Dao & Gu (2024),
    "Transformers are SSMs"; a channel: Yang et al. (2024), "Gated Linear
    Attention", section 4.1.

    Examples
    --------
    >>> x = torch.ones(3, 1)
    >>> gate = torch.tensor([[-torch.inf]])
    >>> recurrent_retention(x, x, x, log_decay=gate)[1].tolist()
    [[1.0]]
    """
    *steps, memory = _prepared(q, k, v, log_decay, state)
    leading = tuple(memory.shape[:-2])
    sums, memory = by_heads(_recurrent, leading, steps, memory)
    return sums.to(q.dtype), memory


def chunked_retention(
    q: Features,
    k: Features,
    v: Values,
    *,
    log_decay: LogDecay,
    state: Memory | None = None,
    chunk: int = CHUNK,
) -> tuple[Sums, Memory]:
    r"""Return `recurrent_retention`, from `chunk` steps at a time.

    .. math:: o_t = S_0^\top \left(e^{L_{t0}} \odot q_t\right) +
              \sum_{j \le t} A_{tj} v_j, \qquad
              S = \mathrm{diag}(e^{L_{C0}}) S_0 +
              \sum_j (e^{L_{Cj}} \odot k_j) \, v_j^\top

    Every exponent is a sum of logarithms of gates, at most zero, also
    within a chunk (see `linear_parts.fading`): nothing overflows, however
    strong the decay and long the chunk.

    Source: Sun et al. (2023), eq. 7; Yang et al. (2024), "Gated Linear
    Attention Transformers with Hardware-Efficient Training", section 4.

    Examples
    --------
    >>> x, half = torch.ones(3, 1), torch.tensor([[0.5]]).log()
    >>> output, _ = chunked_retention(x, x, x, log_decay=half, chunk=2)
    >>> output.flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    chunk = count("chunk", chunk)
    *steps, memory = _prepared(q, k, v, log_decay, state)
    leading = tuple(memory.shape[:-2])
    work = functools.partial(_chunked, chunk=chunk)
    sums, memory = by_heads(work, leading, steps, memory)
    return sums.to(q.dtype), memory


def _recurrent(arrays: tuple[Rows, ...], memory: Rows) -> tuple[Rows, Rows]:
    """Return the sums of all steps, and the memory after the last."""
    q, k, v, g = arrays
    reads = []
    for t in range(v.shape[1]):
        written = k[:, t, :, None] * v[:, t, None, :]
        memory = memory * g[:, t, :, None].exp() + written
        reads.append((q[:, t, None, :] @ memory).squeeze(1))
    if not reads:
        return torch.zeros_like(v), memory.clone()
    return torch.stack(reads, dim=1), memory


def _chunked(
    arrays: tuple[Rows, ...], memory: Rows, *, chunk: int
) -> tuple[Rows, Rows]:
    """Return the sums of all steps, and the memory after the last."""
    v = arrays[2]
    if not (v.shape[1] and memory.numel()):
        return torch.zeros_like(v), memory.clone()
    steps = v.shape[1]
    q, k, v, g = (to_chunks(x, chunk) for x in arrays)
    products, since, until, total = fading(q, k, g)
    writes = ((k * until.exp()).mT @ v).unbind(dim=1)
    before = []
    for write, kept in zip(writes, total.exp().mT.unbind(dim=1), strict=True):
        before.append(memory)
        memory = torch.addcmul(write, memory, kept)
    sums = products @ v + (q * since.exp()) @ torch.stack(before, dim=1)
    return from_chunks(sums, chunk, steps), memory


def _prepared(q, k, v, log_decay, state: Memory | None):
    """Return the arrays in single precision at least, and the memory."""
    leading = {"steps": checked_steps(q, k, v)}
    steps = {"q": q.shape[-2], "k": k.shape[-2], "v": v.shape[-2]}
    require_equal("steps", **steps)
    g = checked_log_decay(log_decay, k)
    leading["log_decay"] = tuple(g.shape[:-2])
    memory = checked_memory(state, leading, k, v)
    return *widened(q, k, v), g, memory
