"""Linear attention in torch: chunked, differentiable, with a state.

The contracts of `attncourse.reference.linear`. Within a chunk queries and
keys meet in products of matrices; what came before is one matrix a head.
Time and memory grow with the number of steps. Half types are computed in
single precision, in which the state is kept. What is not finite makes NaN
of the outputs that may see it, and no gradient flows through those.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attncourse.fast.linear_parts import (
    Features,
    Memory,
    Rows,
    Sums,
    by_heads,
    checked_memory,
    checked_steps,
    from_chunks,
    to_chunks,
    widened,
)
from attncourse.fast.linear_parts import Values as StepValues
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    VALUES,
    count,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]
Map = Callable[[Tensor], Tensor]
CHUNK = 64


class State(NamedTuple):
    """What a recurrence remembers of the keys and values so far.

    `memory` has shape (..., dim, value_dim), `total` (..., dim); both are
    in single precision where the arrays are in half.
    """

    memory: Memory
    total: Float[Tensor, "*#batch dim"]


def elu_plus_one(x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    r"""Return positive features, one for each number.

    .. math:: \phi(x) = \begin{cases} x + 1 & x > 0 \\ e^x & x \le 0
              \end{cases}

    Adding one to torch's `elu` would round small features to zero.

    Source: Katharopoulos et al. (2020), "Transformers are RNNs", eq. 7.

    Examples
    --------
    >>> elu_plus_one(torch.tensor([-torch.inf, 0.0, 2.0])).tolist()
    [0.0, 1.0, 3.0]
    """
    require_real("x", x, "")
    return torch.where(x > 0, x + 1.0, x.clamp(max=0.0).exp())


def attention(
    q: Queries, k: Keys, v: Values, *, feature_map: Map = elu_plus_one
) -> Output:
    r"""Return averages of the values, every query seeing every key.

    .. math:: o_i = \frac{\phi(q_i)^\top \sum_j \phi(k_j) v_j^\top}
              {\phi(q_i)^\top \sum_j \phi(k_j)}

    A query whose denominator is zero gets zeros.

    Source: Katharopoulos et al. (2020), eqs. 4 and 5.

    Examples
    --------
    >>> k, v = torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [8.0]])
    >>> attention(torch.zeros(1, 1), k, v).tolist()
    [[7.0]]
    """
    checked_steps(q, k, v)
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    wide_q, wide_k, wide_v = widened(q, k, v)
    wide_q, wide_k = (_mapped(each, feature_map) for each in (wide_q, wide_k))
    memory = wide_k.mT @ _with_ones(wide_v)
    return _averages(wide_q @ memory).to(q.dtype)


def causal_attention(
    q: Queries, k: Keys, v: Values, *, feature_map: Map = elu_plus_one
) -> Output:
    r"""Return averages of the values of no later keys.

    .. math:: o_i = \frac{\sum_{j \le i + m - n} A_{ij} v_j}
              {\sum_{j \le i + m - n} A_{ij}}, \qquad
              A_{ij} = \phi(q_i) \cdot \phi(k_j)

    The last query stands at the last key; queries before the first key
    get zeros. Computed by `chunked_attention`.

    Source: Katharopoulos et al. (2020), eqs. 8 to 12.

    Examples
    --------
    >>> k, v = torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [8.0]])
    >>> causal_attention(torch.zeros(2, 1), k, v).tolist()
    [[4.0], [7.0]]
    """
    checked_steps(q, k, v)
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    blind = q.shape[-2] - k.shape[-2]
    if blind == 0:
        return chunked_attention(q, k, v, feature_map=feature_map)[0]
    if blind > 0:  # as many keys without weight before the first
        seen = q[..., blind:, :]
        read = chunked_attention(seen, k, v, feature_map=feature_map)[0]
        return torch.nn.functional.pad(read, (0, 0, blind, 0))
    early = q.new_zeros(*q.shape[:-2], -blind, q.shape[-1])
    padded = torch.cat([early, q], dim=-2)
    read = chunked_attention(padded, k, v, feature_map=feature_map)[0]
    return read[..., -blind:, :]


def recurrent_attention(
    q: Features,
    k: Features,
    v: StepValues,
    *,
    feature_map: Map = elu_plus_one,
    state: State | None = None,
) -> tuple[Sums, State]:
    r"""Return averages of the values so far, one step at a time.

    .. math:: S_t = S_{t-1} + \phi(k_t) v_t^\top, \qquad
              z_t = z_{t-1} + \phi(k_t), \qquad
              o_t = \frac{S_t^\top \phi(q_t)}{z_t \cdot \phi(q_t)}

    To decode, call it with one new step and the state returned before.
    The cost of a step does not depend on how many came before.

    Source: Katharopoulos et al. (2020), eqs. 16 to 20.

    Examples
    --------
    >>> x = torch.zeros(1, 1)
    >>> output, state = recurrent_attention(x, x, torch.tensor([[8.0]]))
    >>> _, state = recurrent_attention(x, x, x, state=state)
    >>> state.memory.tolist(), state.total.tolist()
    ([[8.0]], [2.0])
    """
    *steps, memory = _prepared(q, k, v, feature_map, state)
    leading = tuple(memory.shape[:-2])
    output, memory = by_heads(_recurrent, leading, steps, memory)
    return output.to(q.dtype), _as_state(memory)


def chunked_attention(
    q: Features,
    k: Features,
    v: StepValues,
    *,
    feature_map: Map = elu_plus_one,
    state: State | None = None,
    chunk: int = CHUNK,
) -> tuple[Sums, State]:
    r"""Return `recurrent_attention`, from `chunk` steps at a time.

    .. math:: o_t = \frac{S_0^\top \phi(q_t) + \sum_{j \le t} A_{tj} v_j}
              {z_0 \cdot \phi(q_t) + \sum_{j \le t} A_{tj}}, \qquad
              A_{tj} = \phi(q_t) \cdot \phi(k_j)

    Source: Hua et al. (2022), "Transformer Quality in Linear Time",
    section 3.2; Sun et al. (2023), "Retentive Network", eq. 7.

    Examples
    --------
    >>> x = torch.zeros(5, 2)
    >>> chunked_attention(x, x, torch.ones(5, 3), chunk=2)[0].shape
    torch.Size([5, 3])
    """
    chunk = count("chunk", chunk)
    *steps, memory = _prepared(q, k, v, feature_map, state)
    leading = tuple(memory.shape[:-2])
    work = functools.partial(_chunked, chunk=chunk)
    output, memory = by_heads(work, leading, steps, memory)
    return output.to(q.dtype), _as_state(memory)


def _recurrent(arrays: tuple[Rows, ...], memory: Rows) -> tuple[Rows, Rows]:
    """Return the averages of all steps, and the memory after the last."""
    q, k, v = arrays
    reads = []
    for t in range(v.shape[1]):
        memory = memory + k[:, t, :, None] * v[:, t, None, :]
        reads.append((q[:, t, None, :] @ memory).squeeze(1))
    sums = torch.stack(reads, dim=1) if reads else torch.zeros_like(v)
    return _averages(sums), memory


def _chunked(
    arrays: tuple[Rows, ...], memory: Rows, *, chunk: int
) -> tuple[Rows, Rows]:
    """Return the averages of all steps, and the memory after the last."""
    steps = arrays[2].shape[1]
    if not (steps and memory.numel()):
        return _averages(torch.zeros_like(arrays[2])), memory
    q, k, v = (to_chunks(x, chunk) for x in arrays)
    within = (q @ k.mT).tril() @ v
    written = torch.cat([memory.unsqueeze(1), k.mT @ v], dim=1).cumsum(dim=1)
    sums = within + q @ written[:, :-1]
    return _averages(from_chunks(sums, chunk, steps)), written[:, -1]


def _prepared(q, k, v, feature_map: Map, state: State | None):
    """Return features, values with a column of ones, and the memory.

    The total is what the memory holds for that column.
    """
    leading = checked_steps(q, k, v)
    steps = {"q": q.shape[-2], "k": k.shape[-2], "v": v.shape[-2]}
    require_equal("steps", **steps)
    q, k, v = widened(q, k, v)
    q, k = (_mapped(each, feature_map) for each in (q, k))
    v = _with_ones(v)
    memory = None
    if state is not None:
        if not isinstance(state, State):
            raise TypeError(
                f"state must be a State: got {type(state).__name__}"
            )
        require_real("memory", state.memory, "dim value_dim")
        require_real("total", state.total, "dim")
        if state.total.shape != state.memory.shape[:-1]:
            raise ValueError(
                "total must have the shape of memory without its last axis: "
                f"got total {tuple(state.total.shape)}, "
                f"memory {tuple(state.memory.shape)}"
            )
        memory = torch.cat([state.memory, state.total[..., None]], dim=-1)
    return q, k, v, checked_memory(memory, {"steps": leading}, k, v)


def _mapped(x: Tensor, feature_map: Map) -> Tensor:
    """Return the features of queries or keys."""
    features = feature_map(x)
    require_real("features", features, "steps dim")
    if features.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            "feature_map must keep all axes but the last: "
            f"got shape {tuple(features.shape)} from {tuple(x.shape)}"
        )
    return features


def _with_ones(v: Tensor) -> Tensor:
    return torch.nn.functional.pad(v, (0, 1), value=1.0)


def _averages(sums: Tensor) -> Tensor:
    """Return the sums over the last of them; where it is zero, zeros."""
    sums, total = sums[..., :-1], sums[..., -1:]
    empty = total == 0
    return (sums / total.masked_fill(empty, 1.0)).masked_fill(empty, 0.0)


def _as_state(memory: Tensor) -> State:
    return State(memory[..., :-1].clone(), memory[..., -1].clone())
