"""Relative scores with a memory in torch: `reference.segments_scores`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attncourse.fast.dense import pair_products, weighted_sum
from attncourse.fast.positions import sinusoidal
from attncourse.fast.softmax import masked_softmax
from attncourse.fast.tiled_parts import require_real
from attncourse.shapes import SCORES, count, require_broadcast, require_equal

__all__ = [
    "Distances",
    "distance_encodings",
    "relative_shift",
    "segment_attention",
    "segment_scores",
    "segment_weights",
]

Heads = Float[Tensor, "*#batch heads queries dim"]
HeadKeys = Float[Tensor, "*#batch heads keys dim"]
HeadValues = Float[Tensor, "*#batch heads keys value_dim"]
HeadScores = Float[Tensor, "*#batch heads queries keys"]
HeadOutput = Float[Tensor, "*#batch heads queries value_dim"]
Mask = Bool[Tensor, SCORES]


class Distances(NamedTuple):
    """What a layer knows of distances, by head; as in the reference.

    `vectors` has shape (heads, keys, dim) and holds distance keys - 1
    first; `content_bias` and `distance_bias` have shape (heads, dim).
    """

    vectors: Float[Tensor, "heads keys dim"]
    content_bias: Float[Tensor, "heads dim"]
    distance_bias: Float[Tensor, "heads dim"]


def distance_encodings(
    keys: int, *, dim: int, like: Tensor, base: float = 10_000.0
) -> Float[Tensor, "keys dim"]:
    r"""Return the sinusoidal vector of each distance, the farthest first.

    .. math:: R_c = P_{m - 1 - c}, \qquad c = 0, \dots, m - 1

    Computed in float64 and rounded once to the type of `like`, on its
    device.

    Source: Dai et al. (2019), "Transformer-XL", appendix B.

    Examples
    --------
    >>> distance_encodings(5, dim=4, like=torch.ones(1)).shape
    torch.Size([5, 4])
    """
    keys = count("keys", keys, least=0)
    require_real("like", like, "")
    distances = torch.arange(
        keys - 1, -1, -1, dtype=torch.float64, device=like.device
    )
    return sinusoidal(distances, dim=dim, base=base).to(like.dtype)


def relative_shift(
    by_distance: Float[Tensor, "*#batch queries keys"],
) -> Float[Tensor, "*#batch queries keys"]:
    r"""Return products with distances, each moved to its key.

    .. math:: Y_{ij} = X_{i,\,n - 1 - i + j} \qquad\text{for } j \le i + m - n

    One more column in front and one reading in order of all numbers do it,
    as the reference derives. To the right of the triangle stand numbers of
    later queries: mask them.

    Source: Dai et al. (2019), appendix B, with a memory.

    Examples
    --------
    >>> x = torch.tensor([[2.0, 1.0, 0.0], [20.0, 10.0, 0.0]])
    >>> relative_shift(x).tolist()
    [[1.0, 0.0, 0.0], [20.0, 10.0, 0.0]]
    """
    require_real("by_distance", by_distance, "queries keys")
    queries, keys = by_distance.shape[-2:]
    if keys < queries:
        raise ValueError(
            "keys must be at least queries, which are the last of them: "
            f"got queries={queries}, keys={keys}"
        )
    longer = torch.nn.functional.pad(by_distance, (1, 0)).flatten(-2)
    return longer[..., queries:].unflatten(-1, (queries, keys))


def segment_scores(q: Heads, k: HeadKeys, distances: Distances) -> HeadScores:
    r"""Return the scaled scores of a segment's queries, in two products.

    .. math:: s_{ij} = \frac{(q_i + u) \cdot k_j
              + (q_i + v) \cdot W_R R_{i-j}}{\sqrt{d_k}}

    A number right of the causal triangle means nothing: mask it, as
    `segment_attention` does. Half types give single precision.

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> one, zero = torch.ones(1, 1, 4), torch.zeros(1, 4)
    >>> distances = Distances(0 * one, zero + 3, zero)
    >>> segment_scores(one, one, distances).tolist()  # (1 + 3) 4 / 2
    [[[8.0]]]
    """
    q, k, r, u, v = _checked(q, k, distances)
    near = relative_shift((q + v) @ r.mT)
    return ((q + u) @ k.mT + near) * q.shape[-1] ** -0.5


def segment_attention(
    q: Heads,
    k: HeadKeys,
    v: HeadValues,
    distances: Distances,
    *,
    mask: Mask,
) -> HeadOutput:
    r"""Return attention by relative scores; `mask` must be causal.

    .. math:: O = \mathrm{softmax}_{keys}(S)\,V

    NaN where `mask` is False has no influence, on the output or on any
    gradient.

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> q, zero = torch.zeros(1, 2, 4), torch.zeros(1, 4)
    >>> distances = Distances(q, zero, zero)
    >>> causal = torch.ones(2, 2).tril() > 0
    >>> segment_attention(q, q, torch.eye(2)[None], distances, mask=causal)
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.5000]]])
    """
    require_real("v", v, "heads keys value_dim")
    weights = segment_weights(q, k, distances, mask=mask).to(v.dtype)
    require_equal("heads", q=q.shape[-3], v=v.shape[-3])
    return weighted_sum(weights, v, mask=mask)


def segment_weights(
    q: Heads, k: HeadKeys, distances: Distances, *, mask: Mask
) -> HeadScores:
    r"""Return the weights of `segment_attention`, zero where masked.

    .. math:: A = \mathrm{softmax}_{keys}(S)

    Source: Dai et al. (2019), section 3.3.

    Examples
    --------
    >>> q, zero = torch.zeros(1, 2, 4), torch.zeros(1, 4)
    >>> distances, causal = Distances(q, zero, zero), torch.ones(2, 2).tril()
    >>> segment_weights(q, q, distances, mask=causal > 0)[0].tolist()
    [[1.0, 0.0], [0.5, 0.5]]
    """
    q, k, r, u, v = _checked(q, k, distances)
    _require_causal(mask, q.shape[-2], k.shape[-2])
    require_broadcast(
        q=tuple(q.shape[:-2]),
        k=tuple(k.shape[:-2]),
        mask=tuple(mask.shape[:-2]),
    )
    # Zero times NaN is NaN: a query that sees nothing would reach the
    # gradient of every distance.
    q = torch.where(mask.any(dim=-1, keepdim=True), q, 0.0)
    near = relative_shift((q + v) @ r.mT)
    content = pair_products(q + u, k, mask=mask)
    return masked_softmax((content + near) * q.shape[-1] ** -0.5, mask)


def _checked(
    q: Heads, k: HeadKeys, distances: Distances
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return tensors that fit, half types as single precision."""
    r, u, v = distances
    require_real("q", q, "heads queries dim")
    require_real("k", k, "heads keys dim")
    require_real("vectors", r, "heads keys dim")
    require_real("content_bias", u, "heads dim")
    require_real("distance_bias", v, "heads dim")
    tall = {"q": q, "k": k, "vectors": r}
    flat = {"content_bias": u, "distance_bias": v}
    require_equal("dim", **{n: x.shape[-1] for n, x in (tall | flat).items()})
    require_equal("keys", k=k.shape[-2], vectors=r.shape[-2])
    require_equal(
        "heads",
        **{name: x.shape[-3] for name, x in tall.items()},
        **{name: x.shape[-2] for name, x in flat.items()},
    )
    if q.shape[-1] == 0:
        raise ValueError("dim must be at least 1: got 0")
    require_broadcast(q=tuple(q.shape[:-3]), k=tuple(k.shape[:-3]))
    inner = torch.promote_types(q.dtype, torch.float32)
    u, v = u[..., None, :], v[..., None, :]
    q, k, r, u, v = (x.to(inner) for x in (q, k, r, u, v))
    return q, k, r, u, v


def _require_causal(mask: Mask, queries: int, keys: int) -> None:
    """Refuse a mask that would let the shift's leftovers in."""
    if not isinstance(mask, Tensor) or mask.dtype is not torch.bool:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(
            f"mask must be boolean, True where a query may look: got {got}"
        )
    shape = tuple(mask.shape)
    if (
        mask.ndim < 2
        or shape[-2] not in (1, queries)
        or shape[-1] not in (1, keys)
    ):
        raise ValueError(
            "mask must fit the scores, shape (..., queries, keys) = "
            f"(..., {queries}, {keys}): got {shape}"
        )
    wide = mask.expand(*shape[:-2], queries, keys)
    if bool(wide.triu(keys - queries + 1).any()):
        raise ValueError(
            "mask must hide every key that is later than its query: "
            "got one that does not"
        )
