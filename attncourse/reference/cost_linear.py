"""What linear attention costs, and what is done number by number."""

from __future__ import annotations

from attncourse.shapes import count


def linear_attention_flops(
    *, tokens: int, heads: int, features: int, value_dim: int
) -> int:
    r"""Return the FLOPs of linear attention, one token after the other.

    .. math:: h\,n\,(4 f d_v + 2 f)

    Each token adds a product of its key's f features and its value to a
    state of f x d_v numbers, reads that state with the features of its
    query, and reads the sum of all keys to normalise.

    Source: Katharopoulos et al. (2020), "Transformers are RNNs", eq. 16-20.

    Examples
    --------
    >>> linear_attention_flops(tokens=10, heads=1, features=2, value_dim=3)
    280
    """
    tokens, heads = count("tokens", tokens, least=0), count("heads", heads)
    features = count("features", features)
    state = features * count("value_dim", value_dim)
    return heads * tokens * (4 * state + 2 * features)


def chunked_linear_attention_flops(
    *, tokens: int, chunk: int, heads: int, features: int, value_dim: int
) -> int:
    r"""Return the FLOPs of linear attention, a chunk of tokens at a time.

    .. math:: h \sum_{chunks} \left(2 c^2 (f + d_v) + 4 c f d_v
              + 2 c f\right)

    Inside a chunk of c tokens all pairs are scored and masked; what came
    before is read from the state, to which the chunk is added.

    Source: Yang et al. (2024), "Gated Linear Attention Transformers with
    Hardware-Efficient Training", section 2.2.

    Examples
    --------
    >>> chunked_linear_attention_flops(
    ...     tokens=10, chunk=1, heads=1, features=2, value_dim=3
    ... )
    380
    """
    tokens, chunk = count("tokens", tokens, least=0), count("chunk", chunk)
    state = linear_attention_flops(
        tokens=tokens, heads=heads, features=features, value_dim=value_dim
    )
    whole, rest = divmod(tokens, chunk)
    pairs = whole * chunk**2 + rest**2
    return state + 2 * heads * pairs * (features + value_dim)


def softmax_operations(*, rows: int, columns: int) -> int:
    r"""Return the operations of a softmax, each number's counted alone.

    .. math:: m\,(5 n - 2)

    A row of n scores: n - 1 comparisons for the maximum, n subtractions, n
    exponentials (each counted as one), n - 1 additions, n divisions.

    Source: Milakov & Gimelshein (2018), "Online normalizer calculation for
    softmax", algorithm 2.

    Examples
    --------
    >>> softmax_operations(rows=3, columns=1), softmax_operations(
    ...     rows=1, columns=100
    ... )
    (9, 498)
    """
    return count("rows", rows, least=0) * (5 * count("columns", columns) - 2)


def layer_norm_operations(*, tokens: int, width: int) -> int:
    r"""Return the operations of a layer norm, each number's counted alone.

    .. math:: n\,(7 d + 2)

    For each token of width d: the mean (d), the centring (d), the squares
    (d), their mean (d), epsilon and the root (2), the division (d), the
    gain (d) and the shift (d).

    Source: Ba et al. (2016), "Layer Normalization", eq. 3 and 4.

    Examples
    --------
    >>> layer_norm_operations(tokens=1, width=10)
    72
    """
    return count("tokens", tokens, least=0) * (7 * count("width", width) + 2)
