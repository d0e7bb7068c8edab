"""Adaptive span in torch: how far back each head looks, learned.

The contracts of `attncourse.reference.adaptive_span`, with gradients in
the span too, and a module that holds the spans of a layer's heads.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attncourse.fast.dense import attention_weights, weighted_sum
from attncourse.fast.masks import causal_mask, combine_masks
from attncourse.fast.precision import widened
from attncourse.fast.sparsemax_parts import (
    require_boolean,
    require_real,
)
from attncourse.shapes import (
    KEYS,
    OUTPUT,
    QUERIES,
    SCORES,
    VALUES,
    count,
    real,
    require_equal,
)

Queries = Float[Tensor, QUERIES]
Keys = Float[Tensor, KEYS]
Values = Float[Tensor, VALUES]
Output = Float[Tensor, OUTPUT]
Mask = Bool[Tensor, SCORES]
Spans = float | Float[Tensor, "*heads"]


def span_mask(
    queries: int, keys: int, *, span: Spans, ramp: float
) -> Float[Tensor, "*heads queries keys"]:
    r"""Return how much of each key a head of this span lets through.

    .. math:: m_z(x) = \min\left(\max\left(\frac{R + z - x}{R}, 0\right),
              1\right), \qquad x = (i + m - n) - j \ge 0

    It has the type and the device of a span that is a tensor. That spans
    are at least 0 and finite is checked on the CPU only.

    Source: Sukhbaatar et al. (2019), "Adaptive Attention Span in
    Transformers", section 2.2.

    Examples
    --------
    >>> span_mask(1, 5, span=1.0, ramp=2).tolist()
    [[0.0, 0.0, 0.5, 1.0, 1.0]]
    """
    spans, ramp = _checked(span, ramp)
    causal = causal_mask(queries, keys, device=spans.device)
    place = torch.arange(queries, device=spans.device) + (keys - queries)
    distance = place[:, None] - torch.arange(keys, device=spans.device)
    # In this order, so that a tiny ramp is not lost beside a long span.
    rest = spans[..., None, None] - distance + ramp
    return torch.where(causal, rest.clamp(0.0, ramp) / ramp, 0.0)


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

    Gradients flow into the span, too. Keys beyond the longest span are not
    computed.

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> q, k, v = torch.zeros(1, 3), torch.zeros(4, 3), torch.eye(4)
    >>> adaptive_span_attention(q, k, v, span=1.0, ramp=2)[0].tolist()
    [0.0, 0.20000000298023224, 0.4000000059604645, 0.4000000059604645]
    """
    require_real("q", q, "queries dim")
    require_real("k", k, "keys dim")
    require_real("v", v, "keys value_dim")
    require_equal("keys", k=k.shape[-2], v=v.shape[-2])
    kept, keys = q.dtype, k.shape[-2]
    q, (spans, ramp) = widened(q), _checked(span, ramp, dtype=widened(q).dtype)
    spans = spans.to(q.device, q.dtype)
    first = _first_key(q.shape[-2], keys, spans, ramp)
    if mask is not None:
        require_boolean(mask)
        if mask.ndim > 1 and mask.shape[-1] == keys:
            mask = mask[..., first:]
    k, v = (x[..., first:, :].to(q.dtype) for x in (k, v))
    soft = span_mask(q.shape[-2], k.shape[-2], span=spans, ramp=ramp)
    allowed = soft > 0
    if mask is not None:
        allowed = combine_masks(allowed, mask)
    shares = attention_weights(q, k, mask=allowed) * soft
    total = shares.sum(dim=-1, keepdim=True)
    weights = shares / torch.where(total == 0, 1.0, total)
    return weighted_sum(weights, v, mask=allowed).to(kept)


def keys_in_span(span: Spans, *, ramp: float) -> Int[Tensor, "*heads"]:
    r"""Return how many of the last keys a head must compute and keep.

    .. math:: |\{x \ge 0 : m_z(x) > 0\}| = \lceil z + R \rceil

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> keys_in_span(torch.tensor([0.0, 1.5]), ramp=2).tolist()
    [2, 4]
    """
    spans, ramp = _checked(span, ramp)
    spans = spans.detach().double()
    whole = spans.floor()
    return (whole + (spans - whole + ramp).ceil()).long()


def span_penalty(span: Spans, *, weight: float) -> Float[Tensor, ""]:
    r"""Return what is added to the loss so that heads look back less.

    .. math:: \frac{\lambda}{M} \sum_{h=1}^{M} z_h

    Source: Sukhbaatar et al. (2019), section 2.2.

    Examples
    --------
    >>> span_penalty(torch.tensor([2.0, 6.0]), weight=0.5).item()
    2.0
    """
    spans, weight = _checked(span, 1.0)[0], _number("weight", weight)
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight must be at least 0 and finite: got {weight}")
    return weight * spans.sum() / max(1, spans.numel())


class AdaptiveSpan(nn.Module):
    """Causal attention whose heads learn how far back they look.

    It holds each span as a fraction of the longest, because an optimiser's
    steps suit numbers about one. Call `clamp_` after each step.

    Parameters
    ----------
    heads : each has a span of its own.
    longest : the span, in places, that no head exceeds.
    ramp : places over which a head fades out.
    start : fraction of `longest` at which every head starts.

    Source: Sukhbaatar et al. (2019), "Adaptive Attention Span in
    Transformers", section 2.2.

    Examples
    --------
    >>> layer = AdaptiveSpan(3, longest=8, ramp=2.0, start=0.25)
    >>> layer.spans().tolist()
    [2.0, 2.0, 2.0]
    >>> q = torch.zeros(3, 5, 2)
    >>> layer(q, q, q).shape
    torch.Size([3, 5, 2])
    """

    def __init__(
        self, heads: int, *, longest: int, ramp: float, start: float = 0.0
    ):
        super().__init__()
        heads = count("heads", heads)
        self.longest = count("longest", longest)
        _, self.ramp = _checked(0.0, ramp)
        start = _number("start", start)
        if not 0 <= start <= 1:
            raise ValueError(f"start must lie between 0 and 1: got {start}")
        self.fraction = nn.Parameter(torch.full((heads,), start))

    def spans(self) -> Float[Tensor, "heads"]:
        """Return the span of each head in places, from 0 to `longest`."""
        return self.longest * self.fraction.clamp(0.0, 1.0)

    def penalty(self, weight: float) -> Float[Tensor, ""]:
        """Return `span_penalty` of these heads."""
        return span_penalty(self.spans(), weight=weight)

    def clamp_(self) -> None:
        """Put spans that a step took out of range back to its edge.

        Outside there is no gradient that would bring them back.
        """
        with torch.no_grad():
            self.fraction.clamp_(0.0, 1.0)

    def forward(
        self,
        q: Float[Tensor, "*#batch heads queries dim"],
        k: Float[Tensor, "*#batch heads keys dim"],
        v: Float[Tensor, "*#batch heads keys value_dim"],
        *,
        mask: Mask | None = None,
    ) -> Float[Tensor, "*#batch heads queries value_dim"]:
        """Return what each head reads; `mask` hides more, if given."""
        spans, ramp = self.spans(), self.ramp
        return adaptive_span_attention(
            q, k, v, span=spans, ramp=ramp, mask=mask
        )

    def extra_repr(self) -> str:
        """Return the sizes, for printing."""
        heads = self.fraction.numel()
        return f"heads={heads}, longest={self.longest}, ramp={self.ramp}"


def _first_key(queries: int, keys: int, spans: Tensor, ramp: float) -> int:
    """Return the first key that some query and some head may reach."""
    if not spans.numel():
        return 0
    reach = int(keys_in_span(spans, ramp=ramp).max())
    return min(keys, max(0, keys - queries - reach + 1))


def _checked(
    span: Spans, ramp: float, *, dtype: torch.dtype | None = None
) -> tuple[Tensor, float]:
    """Return spans, numbers among them in `dtype`, and the ramp."""
    ramp = _number("ramp", ramp)
    if not 0 < ramp < float("inf"):
        raise ValueError(f"ramp must be positive and finite: got {ramp}")
    if isinstance(span, Tensor):
        spans = span
        if span.is_complex() or span.dtype is torch.bool:
            raise TypeError(
                f"span must hold real numbers: got dtype {span.dtype}"
            )
    else:  # not rounded to one type on the way to another
        dtype = torch.get_default_dtype() if dtype is None else dtype
        spans = torch.tensor(real("span", span), dtype=dtype)
    if not spans.is_floating_point():
        spans = spans.to(torch.get_default_dtype())
    if spans.device.type == "cpu":
        outside = spans[~((spans >= 0) & (spans < torch.inf))]
        if outside.numel():
            raise ValueError(
                f"span must be at least 0 and finite: got {outside[0].item()}"
            )
    return spans, ramp


def _number(name: str, value: float) -> float:
    number = real(name, value)
    if number.ndim:
        raise ValueError(f"{name} must be one number: got {value}")
    return number.item()
