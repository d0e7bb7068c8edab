"""What every form of linear attention stands on: steps, decays, sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from attncourse.shapes import (
    OUTPUT,
    Array,
    real,
    require_broadcast,
    require_equal,
)

# The rest is for the siblings of this module.
__all__ = ["causal_sums", "decayed_products", "log_decays"]

# A recurrence takes a query, a key and a value at every step.
Features = Float[Array, "*#batch steps dim"]
Values = Float[Array, "*#batch steps value_dim"]
Memory = Float[Array, "*#batch dim value_dim"]
# One number for all steps or for each; for all channels or for each.
LogDecay = Float[Array, "*#batch #steps #dim"]
Weights = Float[Array, "*#batch steps steps"]
Sums = Float[Array, OUTPUT]


def log_decays(log_decay: LogDecay) -> Float[Array, "*batch steps steps dim"]:
    r"""Return the logarithm of what is left at each step of each earlier one.

    .. math:: L_{tj} = \sum_{i=j+1}^{t} \log \alpha_i \quad (j \le t),
              \qquad L_{tj} = -\infty \quad (j > t)

    Sums are never subtracted from one another, so a gate of zero, whose
    logarithm is minus infinity, is allowed.

    Source: Dao & Gu (2024), "Transformers are SSMs", section 6 (segment
    sums).

    Examples
    --------
    >>> np.exp(log_decays(np.log([[0.5], [0.25]])))[..., 0].tolist()
    [[1.0, 0.0], [0.25, 1.0]]
    """
    g = real("log_decay", log_decay, "steps dim")
    *leading, steps, dim = g.shape
    logs = np.full((*leading, steps, steps, dim), -np.inf)
    for t in range(steps):
        logs[..., t, :t, :] = logs[..., t - 1, :t, :] + g[..., t, None, :]
        logs[..., t, t, :] = 0.0
    return logs


def decayed_products(
    q: Features, k: Features, log_decay: LogDecay
) -> Float[Array, "*batch steps steps"]:
    r"""Return the products of queries and what is left of earlier keys.

    .. math:: A_{tj} = \sum_c q_{tc} \, k_{jc} \, e^{L_{tjc}}

    Source: Yang et al. (2024), "Gated Linear Attention Transformers with
    Hardware-Efficient Training", section 4.1.

    Examples
    --------
    >>> decayed_products([[1], [1]], [[2], [3]], np.zeros((2, 1))).tolist()
    [[2.0, 0.0], [2.0, 3.0]]
    """
    q, k = real("q", q, "steps dim"), real("k", k, "steps dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("steps", q=q.shape[-2], k=k.shape[-2])
    g = checked_log_decay(log_decay, k)
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2], log_decay=g.shape[:-2])
    left = np.exp(log_decays(g))  # steps steps dim
    return np.sum(q[..., :, None, :] * k[..., None, :, :] * left, axis=-1)


def causal_sums(
    weights: Float[Array, "*#batch queries keys"],
    rows: Float[Array, "*#batch keys value_dim"],
) -> Sums:
    r"""Return for each query the weighted sum of the rows it has met.

    .. math:: o_i = \sum_{j \le i + m - n} A_{ij} \, r_j

    The last query stands at the last row. No later row is ever touched,
    so NaN there has no influence.

    Source: Katharopoulos et al. (2020), "Transformers are RNNs", eq. 8.

    Examples
    --------
    >>> causal_sums(np.ones((2, 3)), [[1.0], [2.0], [4.0]]).tolist()
    [[3.0], [7.0]]
    """
    weights = real("weights", weights, "queries keys")
    rows = real("rows", rows, "keys value_dim")
    queries, keys = weights.shape[-2:]
    require_equal("keys", weights=keys, rows=rows.shape[-2])
    leading = require_broadcast(
        weights=weights.shape[:-2], rows=rows.shape[:-2]
    )
    sums = np.zeros((*leading, queries, rows.shape[-1]))
    for i in range(queries):
        met = max(0, i + 1 + keys - queries)
        sums[..., i, :] = np.einsum(
            "...k,...kv->...v", weights[..., i, :met], rows[..., :met, :]
        )
    return sums


def checked_steps(q: Any, k: Any, v: Any) -> tuple[Array, Array, Array]:
    """Return queries, keys and values of the same steps as float64.

    Examples
    --------
    >>> checked_steps([[1]], [[2]], [[3, 4]])[2].shape
    (1, 2)
    """
    q, k = real("q", q, "steps dim"), real("k", k, "steps dim")
    v = real("v", v, "steps value_dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("steps", q=q.shape[-2], k=k.shape[-2], v=v.shape[-2])
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2], v=v.shape[:-2])
    return q, k, v


def checked_log_decay(log_decay: Any, k: Array) -> Array:
    """Return the logarithms of the gates, one for each step of `k`.

    Examples
    --------
    >>> checked_log_decay([[-1.0]], np.zeros((3, 2))).tolist()
    [[-1.0], [-1.0], [-1.0]]
    """
    g = real("log_decay", log_decay, "steps dim")
    for have, want in zip(g.shape[-2:], k.shape[-2:], strict=True):
        if have not in (1, want):
            raise ValueError(
                "log_decay must have axes (..., steps or 1, dim or 1) with "
                f"steps={k.shape[-2]}, dim={k.shape[-1]}: got {g.shape}"
            )
    require_broadcast(k=k.shape[:-2], log_decay=g.shape[:-2])
    growing = g[g > 0]
    if growing.size:
        raise ValueError(f"log_decay must be at most 0: got {growing[0]}")
    return np.broadcast_to(g, (*g.shape[:-2], k.shape[-2], g.shape[-1]))


def leading_axes(*arrays: Array) -> tuple[int, ...]:
    """Return the leading axes of queries, keys, values and gates together."""
    names = ("q", "k", "v", "log_decay", "write")
    return require_broadcast(
        **{n: x.shape[:-2] for n, x in zip(names, arrays, strict=False)}
    )


def starting_memory(memory: Any, *arrays: Array) -> Array:
    """Return the memory to begin with, zeros for None, as a fresh array.

    `arrays` are queries, keys and values, and the gates if there are any;
    the memory gets their leading axes.

    Examples
    --------
    >>> starting_memory(None, *np.zeros((3, 5, 2))).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    leading = leading_axes(*arrays)
    shape = (arrays[1].shape[-1], arrays[2].shape[-1])
    if memory is None:
        return np.zeros((*leading, *shape))
    memory = real("memory", memory, "dim value_dim")
    if memory.shape[-2:] != shape:
        raise ValueError(
            "memory must have axes (..., dim, value_dim) = "
            f"(..., {shape[0]}, {shape[1]}): got {memory.shape}"
        )
    together = require_broadcast(steps=leading, memory=memory.shape[:-2])
    return np.broadcast_to(memory, (*together, *shape)).copy()


def chunks(steps: int, chunk: int) -> list[slice]:
    """Return slices that cut the steps into chunks; the last may be short.

    Examples
    --------
    >>> [part.start for part in chunks(7, 3)]
    [0, 3, 6]
    """
    return [slice(at, at + chunk) for at in range(0, steps, chunk)]
