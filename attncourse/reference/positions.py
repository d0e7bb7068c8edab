"""Positions by formula: sinusoidal, rotary and ALiBi.

Three places can tell attention where a token stands: the token itself
(`sinusoidal`, `learned`), the query and the key (`rotary`) and the score
(`alibi_bias`, `relative_scores`, `relative_bias`). The schemes that look
something up in a trained table live in `positions_tables`.

Positions are an argument everywhere, never implied by a place in an array:
a cache, padding on the left or two documents in one row are then nothing
special.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from attncourse.reference.positions_tables import (
    KeyPositions,
    Positions,
    QueryPositions,
    Tokens,
    bucket_index,
    causal_bucket_index,
    learned,
    relative_bias,
    relative_index,
    relative_scores,
    relative_values,
)
from attncourse.reference.softmax import masked_softmax, softmax
from attncourse.shapes import (
    Array,
    Keys,
    Mask,
    Output,
    Queries,
    Scores,
    Values,
    count,
    real,
    require_broadcast,
    require_equal,
)

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "biased_attention",
    "bucket_index",
    "causal_bucket_index",
    "frequencies",
    "learned",
    "relative_bias",
    "relative_index",
    "relative_scores",
    "relative_values",
    "rotary",
    "shift_matrix",
    "sinusoidal",
]


def frequencies(dim: int, *, base: float = 10_000.0) -> Float[Array, "pairs"]:
    r"""Return the angle in radians that each pair of columns turns by a step.

    .. math:: \omega_i = base^{-2i/dim}, \qquad i = 0, \dots, dim/2 - 1

    The first pair is the fastest clock, one radian a position; the later
    ones are slower by a constant factor.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.5.

    Examples
    --------
    >>> frequencies(4).tolist()
    [1.0, 0.01]
    """
    dim = count("dim", dim, least=2)
    if dim % 2:
        raise ValueError(f"dim must be even, two columns a pair: got {dim}")
    if not base > 0:
        raise ValueError(f"base must be positive: got {base}")
    return float(base) ** (-np.arange(0, dim, 2) / dim)


def sinusoidal(
    positions: Positions, *, dim: int, base: float = 10_000.0
) -> Tokens:
    r"""Return one vector for each position, to be added to the token there.

    .. math:: P_{p, 2i} = \sin(p\,\omega_i), \qquad
              P_{p, 2i+1} = \cos(p\,\omega_i)

    Parameters
    ----------
    positions : shape (..., tokens); any real numbers.
    dim : even width of a token; see `frequencies`.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.5.

    Examples
    --------
    >>> sinusoidal([0, 5], dim=4)[0].tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    positions = real("positions", positions, "tokens")
    angles = positions[..., None] * frequencies(dim, base=base)
    pairs = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return pairs.reshape(*positions.shape, dim)  # sine and cosine alternate


def shift_matrix(
    offset: float, *, dim: int, base: float = 10_000.0
) -> Float[Array, "dim dim"]:
    r"""Return the matrix that moves every sinusoidal vector by `offset`.

    .. math:: P_{p+t} = U_t\,P_p \quad\text{for every } p

    Pair by pair it is a rotation by :math:`t\,\omega_i`, so it is
    orthogonal, and its transpose moves back.

    Source: Vaswani et al. (2017), section 3.5, claim that a shift is linear.

    Examples
    --------
    >>> shift_matrix(0, dim=2).tolist()
    [[1.0, 0.0], [-0.0, 1.0]]
    """
    angles = float(offset) * frequencies(dim, base=base)
    matrix = np.zeros((dim, dim))
    even = np.arange(0, dim, 2)
    matrix[even, even] = matrix[even + 1, even + 1] = np.cos(angles)
    matrix[even, even + 1] = np.sin(angles)
    matrix[even + 1, even] = -np.sin(angles)
    return matrix


def rotary(
    x: Tokens, positions: Positions, *, base: float = 10_000.0
) -> Tokens:
    r"""Return queries or keys with every pair of columns turned.

    .. math:: \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} =
              \begin{pmatrix} \cos p\omega_i & -\sin p\omega_i \\
              \sin p\omega_i & \cos p\omega_i \end{pmatrix}
              \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}

    Neighbouring columns form a pair (interleaved). Lengths stay, and the
    product of a turned query with a turned key depends on their positions
    through the difference only. Values are not turned.

    Parameters
    ----------
    x : shape (..., tokens, dim), with dim even.
    positions : shape (..., tokens); any real numbers.

    Source: Su et al. (2024), "RoFormer", eq. 15 and 34.

    Examples
    --------
    >>> rotary(np.array([[1.0, 0.0]]), [np.pi / 2]).round(6).tolist()
    [[0.0, 1.0]]
    """
    x = real("x", x, "tokens dim")
    positions = real("positions", positions, "tokens")
    require_equal("tokens", x=x.shape[-2], positions=positions.shape[-1])
    require_broadcast(x=x.shape[:-2], positions=positions.shape[:-1])
    angles = positions[..., None] * frequencies(x.shape[-1], base=base)
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = x[..., 0::2], x[..., 1::2]
    turned = np.stack(
        [first * cos - second * sin, first * sin + second * cos], axis=-1
    )
    return turned.reshape(*turned.shape[:-2], x.shape[-1])


def alibi_slopes(heads: int) -> Float[Array, "heads"]:
    r"""Return how fast each head's scores fall with distance.

    .. math:: m_h = 2^{-8h/n}, \qquad h = 1, \dots, n

    for a number of heads n that is a power of two. Otherwise the slopes of
    the next smaller power come first, then every other slope of the next
    larger one until there are enough.

    Source: Press, Smith & Lewis (2022), "Train Short, Test Long", section 3;
    other head counts from the authors' published code.

    Examples
    --------
    >>> alibi_slopes(2).tolist()
    [0.0625, 0.00390625]
    >>> alibi_slopes(3).tolist()
    [0.0625, 0.00390625, 0.25]
    """
    heads = count("heads", heads)
    power = 1 << (heads.bit_length() - 1)  # the largest power of two within
    slopes = 2.0 ** (-8.0 * np.arange(1, power + 1) / power)
    odd = np.arange(heads - power) * 2 + 1  # none where heads is a power
    return np.concatenate([slopes, 2.0 ** (-4.0 * odd / power)])


def alibi_bias(
    slopes: Float[Array, "heads"],
    query_positions: QueryPositions,
    key_positions: KeyPositions,
) -> Float[Array, "*batch heads queries keys"]:
    r"""Return what each head adds to a score for the distance.

    .. math:: b_{hij} = -m_h\,\lvert p_i - p_j \rvert

    The paper speaks of past keys only; a causal mask hides the others, and
    without a mask distance counts alike on both sides.

    Source: Press, Smith & Lewis (2022), section 3, figure 3.

    Examples
    --------
    >>> alibi_bias([0.5], [2], [0, 1, 2]).tolist()
    [[[-1.0, -0.5, -0.0]]]
    """
    slopes = real("slopes", slopes, "heads")
    queries = real("query_positions", query_positions, "queries")
    keys = real("key_positions", key_positions, "keys")
    require_broadcast(
        query_positions=queries.shape[:-1], key_positions=keys.shape[:-1]
    )
    distances = np.abs(queries[..., :, None] - keys[..., None, :])
    return -slopes[..., :, None, None] * distances[..., None, :, :]


def biased_attention(
    q: Queries, k: Keys, v: Values, bias: Scores, *, mask: Mask | None = None
) -> Output:
    r"""Return attention whose scaled scores have `bias` added.

    .. math:: O = \mathrm{softmax}_{keys}\left(Q K^\top / \sqrt{d_k}
              + B\right) V

    Source: Raffel et al. (2020), section 2.1; Press, Smith & Lewis (2022).

    Examples
    --------
    >>> q, k, v = np.zeros((1, 3)), np.zeros((2, 3)), np.eye(2)
    >>> biased_attention(q, k, v, [[0.0, -1e9]]).tolist()
    [[1.0, 0.0]]
    """
    q, k = real("q", q, "queries dim"), real("k", k, "keys dim")
    v, bias = (
        real("v", v, "keys value_dim"),
        real("bias", bias, "queries keys"),
    )
    require_equal("dim", q=q.shape[-1], k=k.shape[-1])
    require_equal("keys", k=k.shape[-2], v=v.shape[-2], bias=bias.shape[-1])
    require_equal("queries", q=q.shape[-2], bias=bias.shape[-2])
    require_broadcast(
        q=q.shape[:-2], k=k.shape[:-2], v=v.shape[:-2], bias=bias.shape[:-2]
    )
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    if mask is None:
        return softmax(scores + bias) @ v
    weights = masked_softmax(scores + bias, mask)
    require_equal("queries", q=q.shape[-2], mask=weights.shape[-2])
    require_equal("keys", k=k.shape[-2], mask=weights.shape[-1])
    # Zero times NaN is NaN: a hidden value must not enter the sum at all.
    seen = np.where(np.asarray(mask)[..., None], v[..., None, :, :], 0.0)
    return np.einsum("...qk,...qkv->...qv", weights, seen)
