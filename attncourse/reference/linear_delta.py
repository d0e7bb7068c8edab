"""The delta rule: a memory that is corrected, not only added to.

Before a step writes, it reads what the memory holds for its key, and writes
the difference to the value that it wants there. A key that comes again
replaces its value; linear attention would add the two. A gate may let the
memory fade as well.

Keys of length one and writing strengths between zero and one keep the
memory bounded; the caller sees to both, and scales the queries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from attncourse.reference.linear_parts import (
    Features,
    Memory,
    Sums,
    Values,
    causal_sums,
    checked_log_decay,
    checked_steps,
    chunks,
    leading_axes,
    log_decays,
    starting_memory,
)
from attncourse.shapes import Array, count, real, require_broadcast


class Gates(NamedTuple):
    """What each step does to the memory.

    `write` is the strength of the correction, 1 to replace what the key
    held; `log_decay` the logarithm of the share that is kept, at most
    zero, 0 for all of it. Both have shape (..., steps), or (..., 1) for
    one number at every step.
    """

    write: Any
    log_decay: Any = (0.0,)


def parallel_delta_rule(
    q: Features, k: Features, v: Values, gates: Gates
) -> Sums:
    r"""Return what each query reads in the corrected memory: all at once.

    .. math:: O = \left(Q K^\top \odot D\right) U, \qquad
              \left(I + \mathrm{diag}(\beta)\,\mathrm{tril}
              (K K^\top \odot D, -1)\right) U = \mathrm{diag}(\beta) V

    `D` holds what is left at each step of each earlier one. A step adds
    the *pseudo-value* u to the memory: its value, less what is there.

    Source: Yang et al. (2024), "Parallelizing Linear Transformers with
    the Delta Rule over Sequence Length", section 3; gated: Yang, Kautz &
    Hatamizadeh (2025), "Gated Delta Networks", section 3.

    Examples
    --------
    >>> one, v = np.ones((2, 1)), [[4.0], [8.0]]
    >>> parallel_delta_rule(one, one, v, Gates(write=[1.0])).tolist()
    [[4.0], [8.0]]
    """
    q, k, v = checked_steps(q, k, v)
    write, g = _checked_gates(gates, k)
    leading_axes(q, k, v, g, write)  # must broadcast
    left = np.exp(log_decays(g))[..., 0]
    pseudo = _pseudo_values(k, v, write, left)
    return causal_sums(_products(q, k) * left, pseudo)


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
              \left(v_t - \alpha_t S_{t-1}^\top k_t\right)^\top
              = \alpha_t \left(I - \beta_t k_t k_t^\top\right) S_{t-1} +
              \beta_t k_t v_t^\top, \qquad o_t = S_t^\top q_t

    This is the definition. Also returned is the memory after the last
    step, of shape (..., dim, value_dim), with which a next segment begins.

    Source: Schlag, Irie & Schmidhuber (2021), "Linear Transformers Are
    Secretly Fast Weight Programmers", section 4.2; gated: Yang, Kautz &
    Hatamizadeh (2025), "Gated Delta Networks", section 3.1.

    Examples
    --------
    >>> one, v = np.ones((2, 1)), [[4.0], [8.0]]
    >>> recurrent_delta_rule(one, one, v, Gates([0.5]))[0].tolist()
    [[2.0], [5.0]]
    """
    q, k, v = checked_steps(q, k, v)
    write, g = _checked_gates(gates, k)
    memory = starting_memory(state, q, k, v, g, write)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for t in range(v.shape[-2]):
        memory *= np.exp(g[..., t, :, None])
        held = np.einsum("...d,...dv->...v", k[..., t, :], memory)
        change = write[..., t, :] * (v[..., t, :] - held)
        memory += k[..., t, :, None] * change[..., None, :]
        output[..., t, :] = np.einsum("...d,...dv->...v", q[..., t, :], memory)
    return output, memory


def chunked_delta_rule(
    q: Features,
    k: Features,
    v: Values,
    gates: Gates,
    *,
    state: Memory | None = None,
    chunk: int = 64,
) -> tuple[Sums, Memory]:
    r"""Return `recurrent_delta_rule`, from `chunk` steps at a time.

    .. math:: U = \tilde{U} - W S_0, \qquad T = \left(I +
              \mathrm{diag}(\beta)\,\mathrm{tril}(K K^\top \odot D, -1)
              \right)^{-1} \mathrm{diag}(\beta), \quad
              \tilde{U} = T V, \quad W = T (e^{L_0} \odot K)

    The product of a chunk's corrections needs one matrix W, as a product
    of Householder reflections does (the WY representation). What is left
    is `chunked_retention` of the pseudo-values U.

    Source: Yang et al. (2024), "Parallelizing Linear Transformers with
    the Delta Rule over Sequence Length", section 3; gated: Yang, Kautz &
    Hatamizadeh (2025), section 3.

    Examples
    --------
    >>> x = np.eye(5)
    >>> chunked_delta_rule(x, x, x[:, :3], Gates([1.0]), chunk=2)[0].shape
    (5, 3)
    """
    chunk = count("chunk", chunk)
    q, k, v = checked_steps(q, k, v)
    write, g = _checked_gates(gates, k)
    memory = starting_memory(state, q, k, v, g, write)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for part in chunks(v.shape[-2], chunk):
        now, keys, values = q[..., part, :], k[..., part, :], v[..., part, :]
        strength, fade = write[..., part, :], g[..., part, :]
        left = np.exp(log_decays(fade))[..., 0]
        since_start = np.exp(np.cumsum(fade, axis=-2))
        alone = _pseudo_values(keys, values, strength, left)
        reads = _pseudo_values(keys, since_start * keys, strength, left)
        pseudo = alone - reads @ memory
        output[..., part, :] = (since_start * now) @ memory
        output[..., part, :] += causal_sums(
            _products(now, keys) * left, pseudo
        )
        memory *= since_start[..., -1, :, None]
        memory += np.einsum(
            "...kd,...kv->...dv", left[..., -1, :, None] * keys, pseudo
        )
    return output, memory


def _pseudo_values(k: Array, rows: Array, write: Array, left: Array) -> Array:
    """Return U with (I + diag(write) tril(K K^T * left, -1)) U = write rows.

    Solved from the first step to the last, so no later one has a say.
    """
    leading = np.broadcast_shapes(
        *(x.shape[:-2] for x in (k, rows, write, left))
    )
    pseudo = np.zeros((*leading, *rows.shape[-2:]))
    for t in range(rows.shape[-2]):
        met = _products(k[..., t, None, :], k[..., :t, :])
        met = met * left[..., t, None, :t]
        held = (met @ pseudo[..., :t, :])[..., 0, :]
        pseudo[..., t, :] = write[..., t, :] * (rows[..., t, :] - held)
    return pseudo


def _products(q: Array, k: Array) -> Array:
    return np.einsum("...qd,...kd->...qk", q, k)


def _checked_gates(gates: Gates, k: Array) -> tuple[Array, Array]:
    """Return strengths and logarithms of shape (..., steps, 1)."""
    if not isinstance(gates, Gates):
        raise TypeError(f"gates must be Gates: got {type(gates).__name__}")
    steps = k.shape[-2]
    write = real("write", gates.write, "steps")
    logs = real("log_decay", gates.log_decay, "steps")
    for name, gate in {"write": write, "log_decay": logs}.items():
        if gate.shape[-1] not in (1, steps):
            raise ValueError(
                f"{name} must have axes (..., steps or 1) with "
                f"steps={steps}: got {gate.shape}"
            )
    require_broadcast(k=k.shape[:-2], write=write.shape[:-1])
    write = np.broadcast_to(write, (*write.shape[:-1], steps))
    return write[..., None], checked_log_decay(logs[..., None], k)
