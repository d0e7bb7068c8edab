"""Scores: how well a query fits a key, five ways and a distance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.shapes import (
    Array,
    Keys,
    Queries,
    Scores,
    count,
    real,
    require_broadcast,
    require_equal,
)

# A learned score may compare a query and a key of unlike widths.
WideQueries = Float[Array, "*#batch queries query_dim"]
WideKeys = Float[Array, "*#batch keys key_dim"]
Bilinear = Float[Array, "query_dim key_dim"]
FromQuery = Float[Array, "query_dim hidden"]
FromKey = Float[Array, "key_dim hidden"]
Hidden = Float[Array, " hidden"]


def dot_scores(q: Queries, k: Keys) -> Scores:
    r"""Return the dot product of each query with each key.

    .. math:: S_{ij} = q_i \cdot k_j, \qquad S = Q K^\top

    It grows with the length of either vector and, for random vectors,
    with their width (`scaled_scores`).

    Source: Luong, Pham & Manning (2015), "Effective Approaches to
    Attention-based Neural Machine Translation", section 3.1.

    Examples
    --------
    >>> dot_scores([[1.0, 2.0]], [[3.0, 1.0], [0.0, 5.0]]).tolist()
    [[5.0, 10.0]]
    """
    q, k = _of_one_width(q, k)
    return np.einsum("...qd,...kd->...qk", q, k)


def cosine_scores(q: Queries, k: Keys) -> Scores:
    r"""Return the cosine of the angle between each query and each key.

    .. math:: S_{ij} = \frac{q_i \cdot k_j}{\|q_i\| \, \|k_j\|}

    Between -1 and 1, whatever the lengths. A vector of length zero has no
    direction; its score with anything is 0, neither like nor unlike.

    Source: Salton, Wong & Yang (1975), "A Vector Space Model for Automatic
    Indexing", as a measure of similarity.

    Examples
    --------
    >>> cosine_scores([[0.0, 2.0]], [[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.8, 0.0]]
    """
    q, k = _of_one_width(q, k)
    return np.einsum("...qd,...kd->...qk", _directions(q), _directions(k))


def scaled_scores(q: Queries, k: Keys) -> Scores:
    r"""Return the dot products divided by the square root of the width.

    .. math:: S = Q K^\top / \sqrt{d_k}

    Where the entries of `q` and `k` are independent with mean 0 and
    variance 1, a dot product has variance :math:`d_k` and a scaled score
    variance 1, at every width. The width must be at least 1.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section
    3.2.1 and its footnote 4.

    Examples
    --------
    >>> scaled_scores([[1.0, 1.0, 1.0, 1.0]], [[3.0, 1.0, 4.0, 2.0]]).tolist()
    [[5.0]]
    """
    q, k = _of_one_width(q, k)
    width = count("dim", q.shape[-1])
    return dot_scores(q, k) / np.sqrt(width)


def distance_scores(q: Queries, k: Keys) -> Scores:
    r"""Return minus half the squared distance of each query to each key.

    .. math:: S_{ij} = -\tfrac12 \|q_i - k_j\|^2
              = q_i \cdot k_j - \tfrac12\|q_i\|^2 - \tfrac12\|k_j\|^2

    Its exponential is the Gaussian kernel of bandwidth 1 (unit 01). Unlike
    the dot product, it charges a key for its own length.

    Source: Nadaraya (1964), "On Estimating Regression", and Watson (1964),
    "Smooth Regression Analysis", for kernels of distances.

    Examples
    --------
    >>> distance_scores([[1.0, 1.0]], [[2.0, 1.0], [4.0, 5.0]]).tolist()
    [[-0.5, -12.5]]
    """
    q, k = _of_one_width(q, k)
    # Subtract first: the expanded square cancels for distant vectors.
    apart = q[..., :, None, :] - k[..., None, :, :]
    return -np.sum(apart**2, axis=-1) / 2


def bilinear_scores(q: WideQueries, k: WideKeys, w: Bilinear) -> Scores:
    r"""Return the dot product of each query, mapped by `w`, with each key.

    .. math:: S_{ij} = q_i^\top W k_j, \qquad S = Q W K^\top

    `w` is learned. It may compare a query with a key of another width, and
    need not be symmetric: to look for is not to be found by.

    Parameters
    ----------
    q : shape (..., queries, query_dim).
    k : shape (..., keys, key_dim).
    w : shape (query_dim, key_dim).

    Source: Luong, Pham & Manning (2015), section 3.1, "general".

    Examples
    --------
    >>> w = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]])
    >>> bilinear_scores([[1.0, 3.0]], [[5.0, 7.0, 11.0]], w).tolist()
    [[37.0]]
    """
    q, k = _of_any_width(q, k)
    w = _matrix("w", w, "query_dim key_dim")
    require_equal("query_dim", q=q.shape[-1], w=w.shape[0])
    require_equal("key_dim", k=k.shape[-1], w=w.shape[1])
    return np.einsum("...qc,cd,...kd->...qk", q, w, k, optimize=True)


def additive_scores(
    q: WideQueries,
    k: WideKeys,
    w_query: FromQuery,
    w_key: FromKey,
    v_score: Hidden,
) -> Scores:
    r"""Return the score of a small network with one hidden layer.

    .. math:: S_{ij} = v^\top \tanh(W_q^\top q_i + W_k^\top k_j)

    Both vectors are mapped to one hidden width and added; the tanh keeps
    each hidden unit between -1 and 1, so that no score exceeds the sum of
    the absolute entries of `v_score`.

    Parameters
    ----------
    q : shape (..., queries, query_dim).
    k : shape (..., keys, key_dim).
    w_query : shape (query_dim, hidden).
    w_key : shape (key_dim, hidden).
    v_score : shape (hidden,).

    Source: Bahdanau, Cho & Bengio (2015), "Neural Machine Translation by
    Jointly Learning to Align and Translate", appendix A.1.2.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> s = additive_scores([[2.0]], [[-2.0], [9.0]], one, one, np.ones(1))
    >>> s.round(3).tolist()
    [[0.0, 1.0]]
    """
    q, k = _of_any_width(q, k)
    w_query = _matrix("w_query", w_query, "query_dim hidden")
    w_key = _matrix("w_key", w_key, "key_dim hidden")
    v_score = real("v_score", v_score, "hidden")
    if v_score.ndim != 1:
        raise ValueError(
            f"v_score must have one axis, (hidden): got shape {v_score.shape}"
        )
    require_equal("query_dim", q=q.shape[-1], w_query=w_query.shape[0])
    require_equal("key_dim", k=k.shape[-1], w_key=w_key.shape[0])
    require_equal(
        "hidden",
        w_query=w_query.shape[1],
        w_key=w_key.shape[1],
        v_score=v_score.shape[0],
    )
    # Each vector is mapped once, not once for every pair.
    from_query = (q @ w_query)[..., :, None, :]  # (..., queries, 1, hidden)
    from_key = (k @ w_key)[..., None, :, :]  # (..., 1, keys, hidden)
    return np.tanh(from_query + from_key) @ v_score


def _of_any_width(q: Array, k: Array) -> tuple[Array, Array]:
    q = real("q", q, "queries dim")
    k = real("k", k, "keys dim")
    require_broadcast(q=q.shape[:-2], k=k.shape[:-2])
    return q, k


def _of_one_width(q: Array, k: Array) -> tuple[Array, Array]:
    q, k = _of_any_width(q, k)
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    return q, k


def _matrix(name: str, value: Array, axes: str) -> Array:
    matrix = real(name, value, axes)
    if matrix.ndim != 2:
        wanted = ", ".join(axes.split())
        raise ValueError(
            f"{name} must have two axes, ({wanted}): got shape {matrix.shape}"
        )
    return matrix


def _directions(x: Array) -> Array:
    """Return each vector divided by its length, zero where that is zero."""
    # The largest entry goes first: squares of very long or very short
    # vectors leave the range of floating point.
    largest = np.max(np.abs(x), axis=-1, keepdims=True, initial=0.0)
    x = np.divide(x, largest, out=np.zeros_like(x), where=largest > 0)
    length = np.sqrt(np.sum(x**2, axis=-1, keepdims=True))
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)
