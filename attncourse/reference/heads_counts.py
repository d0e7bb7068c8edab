"""What a layer of attention costs, counted from sizes alone.

Counted are whole numbers: trained numbers, floating-point operations (a
multiplication and an addition are two) and numbers kept in memory. Width
means the numbers of a token, dim those of a query, a key or a value in one
head. `groups` is the number of key and value heads, as many as heads
unless they share.
"""

from __future__ import annotations

from attncourse.shapes import count


def parameter_count(
    *,
    width: int,
    heads: int,
    dim: int,
    groups: int | None = None,
    bias: bool = True,
) -> int:
    r"""Return how many numbers a layer trains.

    .. math:: \underbrace{d\,h\,d_k}_{W_Q} + \underbrace{2\,d\,g\,d_k}_{
              W_K, W_V} + \underbrace{h\,d_k\,d}_{W_O}
              \quad (+\ h\,d_k + 2\,g\,d_k + d)

    with d the width, h heads, g groups and d_k the dim of a head; the
    bracket counts the biases. With h d_k = d and g = h: 4 d² + 4 d.

    Source: the shapes of `Projections`, added up; tests compare it with
    torch's own layer.

    Examples
    --------
    >>> parameter_count(width=6, heads=2, dim=3, bias=False)
    144
    """
    width, heads, dim, groups = _sizes(width, heads, dim, groups)
    matrices = 2 * width * heads * dim + 2 * width * groups * dim
    biases = heads * dim + 2 * groups * dim + width
    return matrices + biases if bias else matrices


def flop_count(
    *,
    queries: int,
    keys: int,
    width: int,
    heads: int,
    dim: int,
    groups: int | None = None,
) -> dict[str, int]:
    """Return the floating-point operations of each matrix product.

    A product of an m x n and an n x p matrix counts 2 m n p. Biases and
    the softmax are left out; the softmax costs a few operations for each
    number that `score_count` counts.

    Source: a multiplication and an addition for each term of a sum.

    Examples
    --------
    >>> flop_count(queries=1, keys=1, width=2, heads=1, dim=2)["scores"]
    4
    """
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    width, heads, dim, groups = _sizes(width, heads, dim, groups)
    return {
        "project queries": 2 * queries * width * heads * dim,
        "project keys": 2 * keys * width * groups * dim,
        "project values": 2 * keys * width * groups * dim,
        "scores": 2 * heads * queries * keys * dim,
        "averages": 2 * heads * queries * keys * dim,
        "project output": 2 * queries * heads * dim * width,
    }


def score_count(*, queries: int, keys: int, heads: int) -> int:
    """Return how many weights there are: one matrix a head.

    Source: the shape of the weights, multiplied out.

    Examples
    --------
    >>> score_count(queries=3, keys=5, heads=2)
    30
    """
    return (
        count("queries", queries, least=0)
        * count("keys", keys, least=0)
        * count("heads", heads)
    )


def cache_count(*, keys: int, groups: int, dim: int) -> int:
    """Return how many numbers are kept so that old tokens can be read again.

    A decoder that adds one token at a time keeps the keys and the values
    of all tokens before; the queries are not needed again.

    Source: Shazeer (2019), "Fast Transformer Decoding: One Write-Head is
    All You Need", section 2.4.

    Examples
    --------
    >>> cache_count(keys=5, groups=2, dim=3)
    60
    """
    return (
        2
        * count("keys", keys, least=0)
        * count("groups", groups)
        * count("dim", dim)
    )


def _sizes(
    width: int, heads: int, dim: int, groups: int | None
) -> tuple[int, int, int, int]:
    """Return checked sizes, with one group a head where none are given."""
    width, heads = count("width", width), count("heads", heads)
    dim = count("dim", dim)
    groups = heads if groups is None else count("groups", groups)
    if heads % groups:
        raise ValueError(
            "heads must be a multiple of groups: "
            f"got heads={heads}, groups={groups}"
        )
    return width, heads, dim, groups
