"""Linear attention: a memory of fixed size in the place of all keys.

If the weight of a key is a product of features, `phi(q) . phi(k)`, then the
sum over the keys can be taken before the query is known. What the keys so
far have to say fits in a matrix, and attention becomes a recurrent network.
The same numbers come out of three forms: the masked product of all queries
and keys, the recurrence, and chunks that use the one within and the other
between them.

`linear_decay` lets the memory fade; `linear_delta` lets it be corrected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from attncourse.reference.linear_parts import (
    Features,
    Memory,
    Sums,
    causal_sums,
    checked_steps,
    chunks,
    starting_memory,
)
from attncourse.reference.linear_parts import Values as StepValues
from attncourse.shapes import (
    Array,
    Keys,
    Output,
    Queries,
    Values,
    count,
    real,
    require_broadcast,
    require_equal,
)

Map = Callable[[Any], Array]


class State(NamedTuple):
    """What a recurrence remembers of the keys and values so far.

    `memory` is the sum of the products of features and values, shape
    (..., dim, value_dim); `total` is the sum of the features, shape
    (..., dim). A segment that begins with the state in which another
    ended continues it.
    """

    memory: Memory
    total: Float[Array, "*#batch dim"]


def elu_plus_one(x: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    r"""Return positive features, one for each number.

    .. math:: \phi(x) = \mathrm{elu}(x) + 1 =
              \begin{cases} x + 1 & x > 0 \\ e^x & x \le 0 \end{cases}

    Minus infinity has the feature zero: a key of nothing else is padding.

    Source: Katharopoulos et al. (2020), "Transformers are RNNs", eq. 7.

    Examples
    --------
    >>> elu_plus_one([-np.inf, 0.0, 2.0]).tolist()
    [0.0, 1.0, 3.0]
    """
    x = real("x", x)
    return np.maximum(x, 0.0) + np.exp(np.minimum(x, 0.0))


def attention(
    q: Queries, k: Keys, v: Values, *, feature_map: Map = elu_plus_one
) -> Output:
    r"""Return averages of the values, every query seeing every key.

    .. math:: o_i = \frac{\phi(q_i)^\top \sum_j \phi(k_j) v_j^\top}
              {\phi(q_i)^\top \sum_j \phi(k_j)}

    The sums are taken once for all queries, so the cost grows with
    queries plus keys. A query whose denominator is zero gets zeros.

    Source: Katharopoulos et al. (2020), eqs. 4 and 5.

    Examples
    --------
    >>> attention([[0.0]], [[0.0], [2.0]], [[4.0], [8.0]]).tolist()
    [[7.0]]
    """
    q, k, v = _features(q, k, v, feature_map)
    memory = np.einsum("...kd,...kv->...dv", k, v)
    total = np.sum(k, axis=-2)
    sums = np.einsum("...qd,...dv->...qv", q, memory)
    return _averages(sums, np.einsum("...qd,...d->...q", q, total))


def causal_attention(
    q: Queries, k: Keys, v: Values, *, feature_map: Map = elu_plus_one
) -> Output:
    r"""Return averages of the values of no later keys: the quadratic form.

    .. math:: o_i = \frac{\sum_{j \le i + m - n} A_{ij} v_j}
              {\sum_{j \le i + m - n} A_{ij}}, \qquad
              A_{ij} = \phi(q_i) \cdot \phi(k_j)

    The last query stands at the last key. It is attention with another
    weight in the place of the exponential, and its cost grows likewise.

    Source: Katharopoulos et al. (2020), eqs. 3 and 8.

    Examples
    --------
    >>> causal_attention([[0], [0]], [[0], [2]], [[4], [8]]).tolist()
    [[4.0], [7.0]]
    """
    q, k, v = _features(q, k, v, feature_map)
    weights = np.einsum("...qd,...kd->...qk", q, k)
    return _averages(causal_sums(weights, v), _totals(weights))


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

    Also returned is the state after the last step. `state` is that of the
    steps before; None if there are none.

    Source: Katharopoulos et al. (2020), eqs. 16 to 20.

    Examples
    --------
    >>> output, state = recurrent_attention([[0]], [[2]], [[8]])
    >>> state.memory.tolist(), state.total.tolist(), output.tolist()
    ([[24.0]], [3.0], [[8.0]])
    """
    q, k, v = _features(*checked_steps(q, k, v), feature_map)
    memory, total = _start(state, q, k, v)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for t in range(v.shape[-2]):
        memory += k[..., t, :, None] * v[..., t, None, :]
        total += k[..., t, :]
        sums = np.einsum("...d,...dv->...v", q[..., t, :], memory)
        share = np.einsum("...d,...d->...", q[..., t, :], total)
        output[..., t, :] = _averages(sums, share)
    return output, State(memory, total)


def chunked_attention(
    q: Features,
    k: Features,
    v: StepValues,
    *,
    feature_map: Map = elu_plus_one,
    state: State | None = None,
    chunk: int = 64,
) -> tuple[Sums, State]:
    r"""Return `recurrent_attention`, from `chunk` steps at a time.

    .. math:: o_t = \frac{S_0^\top \phi(q_t) + \sum_{j \le t} A_{tj} v_j}
              {z_0 \cdot \phi(q_t) + \sum_{j \le t} A_{tj}}, \qquad
              A_{tj} = \phi(q_t) \cdot \phi(k_j)

    Within a chunk the keys are met by the quadratic form; what came
    before it, by the state at its start.

    Source: Hua et al. (2022), "Transformer Quality in Linear Time",
    section 3.2; Sun et al. (2023), "Retentive Network", eq. 7.

    Examples
    --------
    >>> x = np.zeros((5, 2))
    >>> chunked_attention(x, x, np.ones((5, 3)), chunk=2)[0].shape
    (5, 3)
    """
    chunk = count("chunk", chunk)
    q, k, v = _features(*checked_steps(q, k, v), feature_map)
    memory, total = _start(state, q, k, v)
    output = np.zeros((*memory.shape[:-2], *v.shape[-2:]))
    for part in chunks(v.shape[-2], chunk):
        now, keys, values = q[..., part, :], k[..., part, :], v[..., part, :]
        weights = np.einsum("...qd,...kd->...qk", now, keys)
        sums = now @ memory + causal_sums(weights, values)
        shares = np.einsum("...qd,...d->...q", now, total) + _totals(weights)
        output[..., part, :] = _averages(sums, shares)
        memory += np.einsum("...kd,...kv->...dv", keys, values)
        total += np.sum(keys, axis=-2)
    return output, State(memory, total)


def _totals(weights: Array) -> Array:
    """Return the sum of the weights of the keys that each query has met."""
    ones = np.ones(weights.shape[-1])
    return causal_sums(weights, ones[:, None])[..., 0]


def _averages(sums: Array, totals: Array) -> Array:
    """Return the sums over their totals; where the total is zero, zeros."""
    totals = np.broadcast_to(totals[..., None], sums.shape)
    return np.divide(
        sums, totals, out=np.zeros_like(sums), where=totals != 0.0
    )


def _features(
    q: Any, k: Any, v: Any, feature_map: Map
) -> tuple[Array, Array, Array]:
    """Return the features of queries and keys, and the values."""
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    v = real("v", v, "keys value_dim")
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2], v=v.shape[:-2])
    return _mapped(q, feature_map), _mapped(k, feature_map), v


def _mapped(x: Array, feature_map: Map) -> Array:
    """Return the features of queries or keys."""
    features = real("features", feature_map(x), "steps dim")
    if features.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            "feature_map must keep all axes but the last: "
            f"got shape {features.shape} from {x.shape}"
        )
    return features


def _start(
    state: State | None, q: Array, k: Array, v: Array
) -> tuple[Array, Array]:
    """Return memory and total to begin with, in arrays of their own."""
    if state is None:
        memory = starting_memory(None, q, k, v)
        return memory, np.zeros(memory.shape[:-1])
    if not isinstance(state, State):
        raise TypeError(f"state must be a State: got {type(state).__name__}")
    memory = starting_memory(state.memory, q, k, v)
    total = real("total", state.total, "dim")
    if total.shape != np.shape(state.memory)[:-1]:
        raise ValueError(
            "total must have the shape of memory without its last axis: "
            f"got total {total.shape}, memory {np.shape(state.memory)}"
        )
    return memory, np.broadcast_to(total, memory.shape[:-1]).copy()
