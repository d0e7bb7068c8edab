"""The delta rule in torch: chunked, and a step at a time.

The contracts of `attncourse.reference.linear_delta`. Half types are
computed in single precision, in which the memory is kept. What is not
finite makes NaN of the outputs that may see it, and no gradient flows
through those.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.linear_parts import (
    Features,
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
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import count, require_equal

CHUNK = 64
Gate = Float[Tensor, "*#batch #steps"]


class Gates(NamedTuple):
    """What each step does to the memory.

    `write` is the strength of the correction, 1 to replace what the key
    held; `log_decay` the logarithm of the share that is kept, at most
    zero, None to keep all of it. Both have shape (..., steps), or (..., 1)
    for one number at every step.
    """

    write: Gate
    log_decay: Gate | None = None


def recurrent_delta_rule(
    q: Features,
    k: Features,
    v: Values,
    gates: Gates,
    *,
    state: Memory | None = None,
) -> tuple[Sums, Memory]:
    r"""Return what each query reads in the memory, one step at a time.

    .. math:: S_t = \alpha_t S_{t-1} + \beta_t k_t
              \left(v_t - \alpha_t S_{t-1}^\top k_t\right)^\top,
              \qquad o_t = S_t^\top q_t

    To decode, call it with one new step and the memory returned before.

    Source: Schlag, Irie & Schmidhuber (2021), "Linear Transformers Are
    Secretly Fast Weight Programmers", section 4.2; gated: Yang, Kautz &
    Hatamizadeh (2025), "Gated Delta Networks", section 3.1.

    Examples
    --------
    >>> one, v = torch.ones(2, 1), torch.tensor([[4.0], [8.0]])
    >>> gates = Gates(torch.tensor([0.5]))
    >>> recurrent_delta_rule(one, one, v, gates)[0].flatten().tolist()
    [2.0, 5.0]
    """
    *steps, memory = _prepared(q, k, v, gates, state)
    leading = tuple(memory.shape[:-2])
    sums, memory = by_heads(_recurrent, leading, steps, memory)
    return sums.to(q.dtype), memory


def chunked_delta_rule(
    q: Features,
    k: Features,
    v: Values,
    gates: Gates,
    *,
    state: Memory | None = None,
    chunk: int = CHUNK,
) -> tuple[Sums, Memory]:
    r"""Return `recurrent_delta_rule`, from `chunk` steps at a time.

    .. math:: U = \tilde{U} - W S_0, \qquad T = \left(I +
              \mathrm{diag}(\beta)\,\mathrm{tril}(K K^\top \odot D, -1)
              \right)^{-1} \mathrm{diag}(\beta), \quad
              \tilde{U} = T V, \quad W = T (e^{L_0} \odot K)

    One triangular system a chunk, all of them at once; between chunks
    only the memory is carried, by products of small matrices.

    Source: Yang et al. (2024), "Parallelizing Linear Transformers with
    the Delta Rule over Sequence Length", section 3; gated: Yang, Kautz &
    Hatamizadeh (2025), "Gated Delta Networks", section 3.

    Examples
    --------
    >>> x, gates = torch.eye(5), Gates(torch.ones(1))
    >>> chunked_delta_rule(x, x, x[:, :3], gates, chunk=2)[0].shape
    torch.Size([5, 3])
    """
    chunk = count("chunk", chunk)
    *steps, memory = _prepared(q, k, v, gates, state)
    leading = tuple(memory.shape[:-2])
    work = functools.partial(_chunked, chunk=chunk)
    sums, memory = by_heads(work, leading, steps, memory)
    return sums.to(q.dtype), memory


def _recurrent(arrays: tuple[Rows, ...], memory: Rows) -> tuple[Rows, Rows]:
    """Return what all steps read, and the memory after the last."""
    q, k, v, write, g = arrays
    reads = []
    for t in range(v.shape[1]):
        key = k[:, t, None, :]
        memory = memory * g[:, t, :, None].exp()
        change = v[:, t, None, :] - key @ memory
        memory = memory + key.mT @ (write[:, t, :, None] * change)
        reads.append((q[:, t, None, :] @ memory).squeeze(1))
    if not reads:
        return torch.zeros_like(v), memory.clone()
    return torch.stack(reads, dim=1), memory


def _chunked(
    arrays: tuple[Rows, ...], memory: Rows, *, chunk: int
) -> tuple[Rows, Rows]:
    """Return what all steps read, and the memory after the last."""
    v = arrays[2]
    if not (v.shape[1] and memory.numel()):
        return torch.zeros_like(v), memory.clone()
    steps, value_dim = v.shape[1:]
    q, k, v, write, g = (to_chunks(x, chunk) for x in arrays)
    one = torch.ones_like(g)
    left, since, until, total = fading(one, one, g)
    since, until, total = since.exp(), until.exp(), total.exp()
    mixed = (k @ k.mT * left * write).tril(-1)
    right = torch.cat([v, k * since], dim=-1) * write
    solved = torch.linalg.solve_triangular(
        mixed, right, upper=False, unitriangular=True
    )
    alone, reads = solved.split([value_dim, k.shape[-1]], dim=-1)
    keys = (k * until).mT
    pseudo, before = [], []
    for at in range(v.shape[1]):
        before.append(memory)
        pseudo.append(alone[:, at] - reads[:, at] @ memory)
        memory = memory * total[:, at] + keys[:, at] @ pseudo[-1]
    written = torch.stack(pseudo, dim=1)
    # Zero times inf is NaN: what outgrows its type must not reach back.
    outgrown = (~torch.isfinite(written)).cumsum(dim=2) > 0
    sums = (q @ k.mT * left) @ written.masked_fill(outgrown, 0.0)
    sums = sums + (q * since) @ torch.stack(before, dim=1)
    sums = sums.masked_fill(outgrown, math.nan)
    return from_chunks(sums, chunk, steps), memory


def _prepared(q, k, v, gates: Gates, state: Memory | None):
    """Return the arrays in single precision at least, and the memory."""
    leading = {"steps": checked_steps(q, k, v)}
    steps = {"q": q.shape[-2], "k": k.shape[-2], "v": v.shape[-2]}
    require_equal("steps", **steps)
    if not isinstance(gates, Gates):
        raise TypeError(f"gates must be Gates: got {type(gates).__name__}")
    write = gates.write
    require_real("write", write, "steps")
    logs = torch.zeros_like(write[..., :1])
    if gates.log_decay is not None:
        require_real("log_decay", gates.log_decay, "steps")
        logs = gates.log_decay
    for name, gate in {"write": write, "log_decay": logs}.items():
        if gate.shape[-1] not in (1, v.shape[-2]):
            raise ValueError(
                f"{name} must have axes (..., steps or 1) with "
                f"steps={v.shape[-2]}: got {tuple(gate.shape)}"
            )
        leading[name] = tuple(gate.shape[:-1])
    memory = checked_memory(state, leading, k, v)
    g = checked_log_decay(logs[..., None], k)
    write = write.to(g.dtype)[..., None]
    write = write.expand(*write.shape[:-2], v.shape[-2], 1)
    return *widened(q, k, v), write, g, memory
