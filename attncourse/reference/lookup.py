"""Lookup: from kernel regression to the soft dictionary."""

from __future__ import annotations

import numpy as np

from attncourse.reference.softmax import softmax
from attncourse.shapes import (
    Keys,
    Output,
    Queries,
    Scores,
    Values,
    Weights,
    real,
    require_broadcast,
    require_equal,
)


def squared_distances(queries: Queries, keys: Keys) -> Scores:
    r"""Return the squared Euclidean distance of every query to every key.

    .. math:: d_{ij}^2 = \lVert q_i - k_j \rVert^2

    Source: the definition of the Euclidean distance.

    Examples
    --------
    >>> squared_distances([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
    [[25.0, 1.0]]
    """
    queries, keys = _points(queries, keys)
    gaps = queries[..., :, None, :] - keys[..., None, :, :]
    return np.einsum("...qkd,...qkd->...qk", gaps, gaps)


def gaussian_kernel(
    queries: Queries, keys: Keys, *, bandwidth: float
) -> Scores:
    r"""Return a similarity that falls with distance: one at distance zero.

    .. math:: K(q_i, k_j) = \exp\left(-\frac{\lVert q_i - k_j \rVert^2}
              {2 h^2}\right)

    Parameters
    ----------
    bandwidth : h, the distance over which the similarity falls; positive,
        in the units of the points.

    Source: Watson (1964), "Smooth Regression Analysis", with the Gaussian as
    its kernel.

    Examples
    --------
    >>> gaussian_kernel([[1.0, 2.0]], [[1.0, 2.0]], bandwidth=0.5).tolist()
    [[1.0]]
    """
    width = _positive("bandwidth", bandwidth)
    return np.exp(-squared_distances(queries, keys) / (2 * width**2))


def kernel_weights(
    queries: Queries, keys: Keys, *, bandwidth: float
) -> Weights:
    r"""Return each key's share of a query's total similarity.

    .. math:: a_{ij} = \frac{K(q_i, k_j)}{\sum_l K(q_i, k_l)}
              = \mathrm{softmax}_j\left(-\frac{\lVert q_i - k_j \rVert^2}
              {2 h^2}\right)

    The softmax form is used: it still works where every kernel value is
    too small for a floating-point number.

    Source: Nadaraya (1964), "On Estimating Regression"; Watson (1964), "Smooth
    Regression Analysis".

    Examples
    --------
    >>> kernel_weights([[0.0]], [[1.0], [-1.0]], bandwidth=2.0).tolist()
    [[0.5, 0.5]]
    """
    width = _positive("bandwidth", bandwidth)
    return softmax(-squared_distances(queries, keys) / (2 * width**2))


def kernel_regression(
    queries: Queries, keys: Keys, values: Values, *, bandwidth: float
) -> Output:
    r"""Return the average of the values, nearer keys weighing more.

    .. math:: \hat{v}(q_i) = \sum_j a_{ij} v_j

    Source: Nadaraya (1964), "On Estimating Regression"; Watson (1964),
    "Smooth Regression Analysis".

    Examples
    --------
    >>> keys, values = [[1.0], [-1.0]], [[10.0], [20.0]]
    >>> kernel_regression([[0.0]], keys, values, bandwidth=1.0).tolist()
    [[15.0]]
    """
    return _average(kernel_weights(queries, keys, bandwidth=bandwidth), values)


def hard_lookup(queries: Queries, keys: Keys, values: Values) -> Output:
    r"""Return, for each query, the value of the best-matching key.

    .. math:: v_{j^*}, \qquad j^* = \arg\max_j \; q_i \cdot k_j

    Where several keys match equally well, the first is taken.

    Source: the definition; `soft_lookup` in the limit of temperature zero.

    Examples
    --------
    >>> keys, values = [[1.0, 0.0], [0.0, 1.0]], [[10.0], [20.0]]
    >>> hard_lookup([[0.2, 0.9]], keys, values).tolist()
    [[20.0]]
    """
    queries, keys = _points(queries, keys)
    values = _values(keys, values)
    scores = np.einsum("...qd,...kd->...qk", queries, keys)
    if scores.shape[-1] == 0:
        raise ValueError("a hard lookup must have a key to find: got keys=0")
    best = np.argmax(scores, axis=-1)[..., None]
    # Taken, not averaged: what was not chosen, NaN too, plays no part.
    batch = require_broadcast(
        scores=scores.shape[:-2], values=values.shape[:-2]
    )
    values = np.broadcast_to(values, (*batch, *values.shape[-2:]))
    best = np.broadcast_to(best, (*batch, *best.shape[-2:]))
    return np.take_along_axis(values, best, axis=-2)


def lookup_weights(
    queries: Queries, keys: Keys, *, temperature: float
) -> Weights:
    r"""Return how well each key matches, as weights that sum to one.

    .. math:: a_{ij} = \mathrm{softmax}_j\left(q_i \cdot k_j / \tau\right)

    Parameters
    ----------
    temperature : tau; positive, in the units of the dot products. Near
        zero the best match takes all; when large, all share alike.

    Source: Bridle (1990), "Probabilistic interpretation of feedforward
    classification network outputs", with a temperature.

    Examples
    --------
    >>> lookup_weights([[0.0]], [[3.0], [5.0]], temperature=1.0).tolist()
    [[0.5, 0.5]]
    """
    tau = _positive("temperature", temperature)
    queries, keys = _points(queries, keys)
    return softmax(np.einsum("...qd,...kd->...qk", queries, keys) / tau)


def soft_lookup(
    queries: Queries, keys: Keys, values: Values, *, temperature: float
) -> Output:
    r"""Return the average of the values, better-matching keys weighing more.

    .. math:: o_i = \sum_j a_{ij} v_j, \qquad
              a_{ij} = \mathrm{softmax}_j\left(q_i \cdot k_j / \tau\right)

    This is a dictionary that answers every question: with attention's
    names, the query asks, the keys are compared, the values are read.

    Source: Graves, Wayne and Danihelka (2014), "Neural Turing Machines",
    section 3.3.1 (content-based addressing, there with the cosine).

    Examples
    --------
    >>> keys, values = [[1.0], [1.0]], [[10.0], [20.0]]
    >>> soft_lookup([[7.0]], keys, values, temperature=1.0).tolist()
    [[15.0]]
    """
    return _average(
        lookup_weights(queries, keys, temperature=temperature), values
    )


def _points(queries: Queries, keys: Keys) -> tuple[np.ndarray, np.ndarray]:
    queries = real("queries", queries, "queries dim")
    keys = real("keys", keys, "keys dim")
    require_equal("dim", queries=queries.shape[-1], keys=keys.shape[-1])
    require_broadcast(queries=queries.shape[:-2], keys=keys.shape[:-2])
    return queries, keys


def _values(keys: np.ndarray, values: Values) -> np.ndarray:
    values = real("values", values, "keys value_dim")
    require_equal("keys", keys=keys.shape[-2], values=values.shape[-2])
    return values


def _average(weights: Weights, values: Values) -> Output:
    values = real("values", values, "keys value_dim")
    require_equal("keys", keys=weights.shape[-1], values=values.shape[-2])
    require_broadcast(weights=weights.shape[:-2], values=values.shape[:-2])
    return np.einsum("...qk,...kv->...qv", weights, values)


def _positive(name: str, value: float) -> float:
    number = real(name, value)
    if number.ndim or not number > 0 or not np.isfinite(number):
        raise ValueError(f"{name} must be a positive number: got {value!r}")
    return float(number)
