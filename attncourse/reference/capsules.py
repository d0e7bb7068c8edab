r"""Capsules: vectors that say that something is there, and in which pose.

Every input capsule predicts every output capsule; routing sends it to those
outputs on which its prediction agrees with the others.

Routing is attention with another normalisation. Take outputs as queries and
inputs as keys, and the scores as agreements. In attention every *query*
shares out one unit of weight over the keys. In routing every *input* shares
out one unit over the outputs, so that the outputs compete for it, and no
output need receive any. The queries are not given either: they are what
the round before has found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from attncourse.reference.softmax import softmax
from attncourse.shapes import (
    Array,
    boolean,
    count,
    real,
    require_broadcast,
    require_equal,
)

Vectors = Float[Array, "*#batch dim"]
Inputs = Float[Array, "*batch inputs dim"]
Maps = Float[Array, "inputs outputs dim out_dim"]
Predictions = Float[Array, "*batch inputs outputs out_dim"]
Outputs = Float[Array, "*batch outputs out_dim"]
Shares = Float[Array, "*batch inputs outputs"]
Lengths = Float[Array, "*#batch classes"]


class Routed(NamedTuple):
    """What routing found.

    `capsules` has shape (..., outputs, out_dim). `shares` has shape
    (..., inputs, outputs): how much of each input went to each output in
    the last round; it sums to one over the outputs.
    """

    capsules: Outputs
    shares: Shares


def squash(s: Vectors) -> Vectors:
    r"""Return each vector, its direction kept and its length below one.

    .. math:: v = \frac{\|s\|^2}{1 + \|s\|^2} \, \frac{s}{\|s\|}
              = \frac{\|s\|}{1 + \|s\|^2}\, s

    A short vector becomes much shorter, a long one nearly of length one.
    The second form has no division by the length, so zero stays zero.

    Source: Sabour, Frosst & Hinton (2017), "Dynamic Routing Between
    Capsules", eq. 1.

    Examples
    --------
    >>> squash([[3.0, 4.0], [0.0, 0.0]]).round(4).tolist()  # 25 / 26 long
    [[0.5769, 0.7692], [0.0, 0.0]]
    """
    s = real("s", s, "dim")
    length = _length(s)
    return s * (length / (1 + length**2))


def squash_backward(s: Vectors, upstream: Vectors) -> Vectors:
    r"""Return the gradient of a loss in the argument of `squash`.

    .. math:: ds = f(n)\, g + n f'(n)\, (u \cdot g)\, u, \qquad
              f(n) = \frac{n}{1 + n^2}, \quad u = s / n, \quad n = \|s\|

    At zero the gradient is zero: there the result is of second order.

    Parameters
    ----------
    s : as `squash` took it.
    upstream : gradient in its result, g, of the shape of `s`.

    Source: the derivative of Sabour, Frosst & Hinton (2017), eq. 1.

    Examples
    --------
    >>> squash_backward([[1.0, 0.0], [0.0, 0.0]], [[2.0, 4.0], [5.0, 7.0]])
    array([[1., 2.],
           [0., 0.]])
    """
    s, g = real("s", s, "dim"), real("upstream", upstream, "dim")
    if s.shape != g.shape:
        raise ValueError(
            f"upstream must have the shape of s {s.shape}: got {g.shape}"
        )
    n = _length(s)
    unit = np.divide(s, n, out=np.zeros_like(s), where=n > 0)
    slope = (1 - n**2) / (1 + n**2) ** 2
    along = np.sum(unit * g, axis=-1, keepdims=True)
    return n / (1 + n**2) * g + n * slope * along * unit


def capsule_lengths(capsules: Vectors) -> Float[Array, "*#batch"]:
    r"""Return the length of each capsule: how likely its thing is there.

    .. math:: p_k = \|v_k\|

    Between zero and one for capsules that were squashed. They do not sum
    to one: several things can be there at once.

    Source: Sabour, Frosst & Hinton (2017), "Dynamic Routing Between
    Capsules", section 2.

    Examples
    --------
    >>> capsule_lengths([[0.6, 0.0], [0.3, -0.4]]).tolist()
    [0.6, 0.5]
    """
    return _length(real("capsules", capsules, "dim"))[..., 0]


def predictions(capsules: Inputs, maps: Maps) -> Predictions:
    r"""Return what each input capsule says each output capsule is.

    .. math:: \hat{u}_{j|i} = W_{ij}\, u_i

    Every pair has a matrix of its own, which turns the pose of a part into
    that of a whole.

    Parameters
    ----------
    capsules : shape (..., inputs, dim).
    maps : shape (inputs, outputs, dim, out_dim), as row vectors read them.

    Source: Sabour, Frosst & Hinton (2017), eq. 2.

    Examples
    --------
    >>> maps = np.ones((1, 2, 3, 1)) * [[[[1.0]] * 3, [[10.0]] * 3]]
    >>> predictions([[1, 2, 3]], maps).tolist()
    [[[6.0], [60.0]]]
    """
    u = real("capsules", capsules, "inputs dim")
    w = real("maps", maps, "inputs outputs dim out_dim")
    if w.ndim != 4:
        raise ValueError(
            "maps must have axes (inputs, outputs, dim, out_dim): "
            f"got shape {w.shape}"
        )
    require_equal("inputs", capsules=u.shape[-2], maps=w.shape[0])
    require_equal("dim", capsules=u.shape[-1], maps=w.shape[2])
    return np.einsum("...id,ijde->...ije", u, w)


def routing_shares(logits: Shares) -> Shares:
    r"""Return how each input is shared out: softmax over the outputs.

    .. math:: c_{ij} = \frac{e^{b_{ij}}}{\sum_k e^{b_{ik}}}

    Over the outputs, not over the inputs: with inputs as keys and outputs
    as queries this is a softmax over the *queries*.

    Source: Sabour, Frosst & Hinton (2017), eq. 3.

    Examples
    --------
    >>> routing_shares(np.log([[1.0, 3.0], [5.0, 5.0]])).round(6).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    return softmax(real("logits", logits, "inputs outputs"), axis=-1)


def route(predicted: Predictions, *, iterations: int = 3) -> Routed:
    r"""Return the output capsules on which the inputs agree.

    .. math:: b = 0; \qquad c = \mathrm{softmax}_j(b), \quad
              s_j = \sum_i c_{ij}\, \hat{u}_{j|i}, \quad
              v_j = \mathrm{squash}(s_j), \quad
              b_{ij} \leftarrow b_{ij} + \hat{u}_{j|i} \cdot v_j

    The second part is repeated. Logits start at zero, so the first round
    shares every input out evenly; later rounds send more of it to where
    its prediction points along the result.

    Parameters
    ----------
    predicted : shape (..., inputs, outputs, out_dim).
    iterations : rounds; the first has nothing to go by.

    Source: Sabour, Frosst & Hinton (2017), procedure 1.

    Examples
    --------
    >>> agree = [[[2.0], [2.0]], [[2.0], [-2.0]]]  # on the first output
    >>> routed = route(agree, iterations=1)
    >>> routed.capsules.tolist(), routed.shares.tolist()
    ([[0.8], [0.0]], [[0.5, 0.5], [0.5, 0.5]])
    """
    u = real("predicted", predicted, "inputs outputs out_dim")
    rounds = count("iterations", iterations)
    logits = np.zeros(u.shape[:-1])
    for _ in range(rounds):
        shares = routing_shares(logits)
        capsules = squash(np.einsum("...ij,...ije->...je", shares, u))
        logits += np.einsum("...ije,...je->...ij", u, capsules)
    return Routed(capsules, shares)


def margin_loss(
    lengths: Lengths,
    present: Bool[Array, "*#batch classes"],
    *,
    upper: float = 0.9,
    lower: float = 0.1,
    absent_weight: float = 0.5,
) -> Float[Array, "*#batch"]:
    r"""Return the loss of each example: lengths on the wrong side.

    .. math:: \sum_k T_k \max(0, m^+ - \|v_k\|)^2 +
              \lambda (1 - T_k) \max(0, \|v_k\| - m^-)^2

    Beyond its margin a class costs nothing. Absent classes count less,
    because there are many of them and they would shrink every capsule.

    Parameters
    ----------
    lengths : of the output capsules, shape (..., classes).
    present : T, True at each class that is there; any number of them.
    upper, lower, absent_weight : m+, m- and lambda.

    Source: Sabour, Frosst & Hinton (2017), eq. 4.

    Examples
    --------
    >>> float(margin_loss([0.4, 0.6], [True, False]))  # 0.25 + 0.25 / 2
    0.375
    """
    lengths = real("lengths", lengths, "classes")
    present = boolean("present", present, "classes")
    require_equal(
        "classes", lengths=lengths.shape[-1], present=present.shape[-1]
    )
    require_broadcast(lengths=lengths.shape[:-1], present=present.shape[:-1])
    upper, lower = _number("upper", upper), _number("lower", lower)
    absent_weight = _number("absent_weight", absent_weight)
    missing = np.maximum(0.0, upper - lengths) ** 2
    surplus = np.maximum(0.0, lengths - lower) ** 2
    return np.sum(np.where(present, missing, absent_weight * surplus), axis=-1)


def _number(name: str, value: float) -> float:
    number = real(name, value)
    if number.ndim:
        raise ValueError(
            f"{name} must be one number: got shape {number.shape}"
        )
    return float(number)


def _length(s: Vectors) -> Float[Array, "*#batch 1"]:
    return np.sqrt(np.sum(s**2, axis=-1, keepdims=True))
