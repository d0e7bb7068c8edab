"""Linear attention that forgets: retention, gated by head, step or channel.

Before a step writes, what the memory holds is multiplied by a gate between
zero and one. `log_decay` is its logarithm, of shape (..., steps, dim), and
either axis may have length one:

- (..., 1, 1), one number a head: the retention of RetNet;
- (..., steps, 1), one a step, which the data may choose: gated retention,
  and the state-space duality of Mamba-2;
- (..., steps, dim), one for each channel of the keys: gated linear attention.

A logarithm of zero forgets nothing, of minus infinity everything. There is
no feature map, no denominator and no scale: the caller scales the queries.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.reference.linear_parts import (
    Features,
    LogDecay,
    Memory,
    Sums,
    Values,
    causal_sums,
    checked_log_decay,
    checked_steps,
    chunks,
    decayed_products,
    leading_axes,
    log_decays,
    starting_memory,
)
from attncourse.shapes import Array, count


def retention_decays(heads: int) -> Float[Array, "heads 1 1"]:
    r"""Return the logarithms of RetNet's decays, one a head.

    .. math:: \log \gamma_h = \log\left(1 - 2^{-5-h}\right), \quad
              h = 0, 1, \dots

    Each head remembers about twice as far as the one before.

    Source: Sun et al. (2023), "Retentive Network: A Successor to
    Transformer for Large Language Models", section 2.2, eq. 8.

    Examples
    --------
    >>> np.exp(retention_decays(2)).ravel().tolist()
    [0.96875, 0.984375]
    """
    heads = count("heads", heads, least=0)
    return np.log1p(-(2.0 ** -(5.0 + np.arange(heads))))[:, None, None]


def parallel_retention(
    q: Features, k: Features, v: Values, *, log_decay: LogDecay
) -> Sums:
    r"""Return sums of the values so far, faded: the quadratic form.

    .. math:: o_t = \sum_{j \le t} A_{tj} v_j, \qquad
              A_{tj} = \sum_c q_{tc} \, k_{jc}
              \prod_{i=j+1}^{t} \alpha_{ic}

    Parameters
    ----------
    log_decay : logarithms of the gates, at most zero, of shape
        (..., steps or 1, dim or 1).

    Source: Sun et al. (2023), eq. 5; with gates of the data, Yang et al.
    (2024), "Gated Linear Attention", section 4.1.

    Examples
    --------
    >>> half = np.log([[0.5]])
    >>> x = np.ones((3, 1))
    >>> parallel_retention(x, x, x, log_decay=half).round(6).tolist()
    [[1.0], [1.5], [1.75]]
    """
    q, k, v = checked_steps(q, k, v)
    g = checked_log_decay(log_decay, k)
    leading_axes(q, k, v, g)  # must broadcast
    return causal_sums(decayed_products(q, k, g), v)


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

    This is the definition. Also returned is the memory after the last
    step, of shape (..., dim, value_dim), with which a next segment begins.

    Parameters
    ----------
    log_decay : logarithms of the gates, at most zero, of shape
        (..., steps or 1, dim or 1).
    state : memory before the first step; zeros if None.

    Source: Sun et al. (2023), eq. 6; one gate a step: Dao & Gu (2024),
    "Transformers are SSMs"; a channel: Yang et al. (2024), "Gated Linear
    Attention", section 4.1.

    Examples
    --------
    >>> x = np.ones((3, 1))
    >>> output, memory = recurrent_retention(x, x, x, log_decay=[[-np.inf]])
    >>> output.tolist(), memory.tolist()
    ([[1.0], [1.0], [1.0]], [[1.0]])
    """
    q, k, v = checked_steps(q, k, v)
    g = checked_log_decay(log_decay, k)
    memory = starting_memory(state, q, k, v, g)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for t in range(v.shape[-2]):
        memory *= np.exp(g[..., t, :, None])
        memory += k[..., t, :, None] * v[..., t, None, :]
        output[..., t, :] = np.einsum("...d,...dv->...v", q[..., t, :], memory)
    return output, memory


def chunked_retention(
    q: Features,
    k: Features,
    v: Values,
    *,
    log_decay: LogDecay,
    state: Memory | None = None,
    chunk: int = 64,
) -> tuple[Sums, Memory]:
    r"""Return `recurrent_retention`, from `chunk` steps at a time.

    .. math:: o_t = S_0^\top \left(e^{L_{t0}} \odot q_t\right) +
              \sum_{j \le t} A_{tj} v_j, \qquad
              S = \mathrm{diag}(e^{L_{C0}}) S_0 +
              \sum_j (e^{L_{Cj}} \odot k_j) \, v_j^\top

    Steps count from the chunk's start. Every exponent is a sum of
    logarithms of gates, at most zero: strong decay over a long chunk can
    underflow to zero, which is right, and never overflow.

    Source: Sun et al. (2023), eq. 7; Yang et al. (2024), "Gated Linear
    Attention", section 4.

    Examples
    --------
    >>> x, half = np.ones((3, 1)), np.log([[0.5]])
    >>> output, _ = chunked_retention(x, x, x, log_decay=half, chunk=2)
    >>> output.round(6).tolist()
    [[1.0], [1.5], [1.75]]
    """
    chunk = count("chunk", chunk)
    q, k, v = checked_steps(q, k, v)
    g = checked_log_decay(log_decay, k)
    memory = starting_memory(state, q, k, v, g)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for part in chunks(v.shape[-2], chunk):
        now, keys, values, gates = (x[..., part, :] for x in (q, k, v, g))
        since_start = np.cumsum(gates, axis=-2)
        to_end = log_decays(gates)[..., -1, :, :]
        output[..., part, :] = (np.exp(since_start) * now) @ memory
        output[..., part, :] += causal_sums(
            decayed_products(now, keys, gates), values
        )
        memory *= np.exp(since_start[..., -1, :, None])
        memory += np.einsum(
            "...kd,...kv->...dv", np.exp(to_end) * keys, values
        )
    return output, memory
