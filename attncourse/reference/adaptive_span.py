"""Adaptive span: how far back a head looks is a number that it learns.

A mask is a step and has no slope to learn from. Here the step becomes a
ramp: full weight up to the span, none beyond the span and the ramp, and
between them a straight line, whose slope says whether to look further.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from attncourse.reference.masks import causal_mask, combine_masks
from attncourse.reference.positions import biased_attention
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Values,
    count,
    real,
)

Spans = float | Float[Array, "*heads"]


def span_mask(
    queries: int, keys: int, *, span: Spans, ramp: float
) -> Float[Array, "*heads queries keys"]:
    r"""Return how much of each key a head of this span lets through.

    .. math:: m_z(x) = \min\left(\max\left(\frac{R + z - x}{R}, 0\right),
              1\right), \qquad x = (i + m - n) - j \ge 0

    x is how far back the key stands; the last query stands at the last
    key. Later keys get zero. A span of all keys makes the causal mask; a
    whole span z with a ramp of at most one is a window of z + 1 keys.

    Parameters
    ----------
    span : z, in places, at least 0; one number, or one for each head.
    ramp : R, in places, above 0.

    Source: Sukhbaatar et al. (2019), "Adaptive Attention Span in
    Transformers", section 2.2.

    Examples
    --------
    >>> span_mask(1, 5, span=1, ramp=2).tolist()
    [[0.0, 0.0, 0.5, 1.0, 1.0]]
    """
    spans, ramp = _checked(span, ramp)
    causal = causal_mask(queries, keys)
    place = np.arange(queries) + (keys - queries)
    distance = place[:, None] - np.arange(keys)
    # In this order, so that a tiny ramp is not lost beside a long span.
    rest = spans[..., None, None] - distance + ramp
    return np.where(causal, np.clip(rest, 0.0, ramp) / ramp, 0.0)


def adaptive_span_attention(
    q: Queries,
    k: Keys,
    v: Values,
    *,
    span: Spans,
    ramp: float,
    mask: Mask | None = None,
) -> Output:
    r"""Return causal attention that fades out beyond each head's span.

    .. math:: a_{ij} = \frac{m_z(x_{ij})\, e^{s_{ij}}}
              {\sum_l m_z(x_{il})\, e^{s_{il}}}
              = \mathrm{softmax}_j\left(s_{ij} + \log m_z(x_{ij})\right)

    The soft mask multiplies the exponentials, so the rest still sums to
    one. With one span a head, `q` has an axis of heads before the queries.

    Parameters
    ----------
    span, ramp : in places, see `span_mask`.
    mask : of what else may not be seen, for instance padding.

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> q, k, v = np.zeros((1, 3)), np.zeros((4, 3)), np.eye(4)
    >>> adaptive_span_attention(q, k, v, span=1, ramp=2).tolist()
    [[0.0, 0.2, 0.4, 0.4]]
    """
    q, k = real("q", q, "queries dim"), real("k", k, "keys dim")
    count("dim", q.shape[-1])  # scores are divided by its root
    soft = span_mask(q.shape[-2], k.shape[-2], span=span, ramp=ramp)
    seen = soft > 0
    allowed = seen if mask is None else combine_masks(seen, mask)
    bias = np.log(np.where(seen, soft, 1.0))
    return biased_attention(q, k, v, bias, mask=allowed)


def keys_in_span(span: Spans, *, ramp: float) -> Int[Array, "*heads"]:
    r"""Return how many of the last keys a head must compute and keep.

    .. math:: |\{x \ge 0 : m_z(x) > 0\}| = \lceil z + R \rceil

    Keys further back have no weight, whatever they hold: a layer needs the
    largest of its heads' numbers and no older key.

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> keys_in_span(np.array([0.0, 1.5]), ramp=2).tolist()
    [2, 4]
    """
    spans, ramp = _checked(span, ramp)
    whole = np.floor(spans)
    return np.asarray(whole + np.ceil(spans - whole + ramp)).astype(np.int64)


def span_penalty(span: Spans, *, weight: float) -> float:
    r"""Return what is added to the loss so that heads look back less.

    .. math:: \frac{\lambda}{M} \sum_{h=1}^{M} z_h

    Every span is pulled down with the same force; it grows only where the
    keys on its ramp help more than that.

    Parameters
    ----------
    weight : the force, at least 0.

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> span_penalty(np.array([2.0, 6.0]), weight=0.5)
    2.0
    """
    spans, weight = _spans(span), _number("weight", weight)
    if not 0 <= weight < np.inf:
        raise ValueError(f"weight must be at least 0 and finite: got {weight}")
    return float(weight * np.sum(spans) / max(1, spans.size))


def _checked(span: Spans, ramp: float) -> tuple[Array, float]:
    ramp = _number("ramp", ramp)
    if not 0 < ramp < np.inf:
        raise ValueError(f"ramp must be positive and finite: got {ramp}")
    return _spans(span), ramp


def _number(name: str, value: float) -> float:
    number = real(name, value)
    if number.ndim:
        raise ValueError(f"{name} must be one number: got {value}")
    return number.item()


def _spans(span: Spans) -> Array:
    spans = real("span", span)
    if not np.all((spans >= 0) & (spans < np.inf)):
        raise ValueError(
            f"span must be at least 0 and finite: got {spans.tolist()}"
        )
    return spans
