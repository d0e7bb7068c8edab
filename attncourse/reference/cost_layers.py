"""What Transformer layers cost: every product, forward and backward."""

from __future__ import annotations

from attncourse.reference.cost_parts import (
    Cost,
    LayerSizes,
    product_cost,
    total_cost,
)
from attncourse.reference.heads_counts import flop_count, parameter_count
from attncourse.shapes import count


def attention_layer_flops(
    sizes: LayerSizes,
    *,
    queries: int,
    keys: int,
    cached: int = 0,
    pairs: int | None = None,
) -> dict[str, int]:
    r"""Return the FLOPs of each product of a layer of attention.

    .. math:: 2 m d h d_k,\ \ 2 n d g d_k,\ \ 2 n d g d_k,\ \
              2 h P d_k,\ \ 2 h P d_k,\ \ 2 m h d_k d

    for m queries, n keys, h heads and g groups: the terms of `flop_count`.

    Parameters
    ----------
    keys : tokens that become keys and values now.
    cached : keys and values that were kept from before.
    pairs : P, scored by each head; None for every query with every key.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> attention_layer_flops(sizes, queries=3, keys=3, pairs=6)["scores"]
    24
    """
    queries = count("queries", queries, least=0)
    keys = count("keys", keys, least=0)
    seen = keys + count("cached", cached, least=0)
    if pairs is None:
        pairs = queries * seen
    pairs = count("pairs", pairs, least=0)
    one = flop_count(
        queries=1,
        keys=1,
        width=sizes.width,
        heads=sizes.heads,
        dim=sizes.dim,
        groups=sizes.groups,
    )
    times = {
        "project queries": queries,
        "project keys": keys,
        "project values": keys,
        "scores": pairs,
        "averages": pairs,
        "project output": queries,
    }
    return {name: times[name] * flops for name, flops in one.items()}


def feed_forward_flops(sizes: LayerSizes, *, tokens: int) -> int:
    r"""Return the FLOPs of a feed-forward network.

    .. math:: 2\,r\,n\,d\,d_{hidden}, \qquad r = 2 \text{ matrices, or }
              3 \text{ if gated}

    Source: Vaswani et al. (2017), eq. 2; Shazeer (2020), "GLU Variants
    Improve Transformer", eq. 6.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> feed_forward_flops(sizes, tokens=3)
    192
    """
    matrix = 2 * count("tokens", tokens, least=0) * sizes.width * sizes.hidden
    return sizes.feed_matrices * matrix


def encoder_layer_flops(
    sizes: LayerSizes, *, tokens: int, pairs: int | None = None
) -> dict[str, int]:
    r"""Return the FLOPs of both sublayers of an encoder layer.

    .. math:: \underbrace{8 n d^2 + 4 P d}_{attention}
              + \underbrace{4 n d\,d_{hidden}}_{feed\ forward}
              \quad\text{if}\ h d_k = d,\ g = h

    Also of a layer of a decoder-only stack: with `pairs` of `causal_pairs`
    if the future is skipped, not only masked.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> encoder_layer_flops(sizes, tokens=3)
    {'attention': 168, 'feed forward': 192}
    """
    attention = attention_layer_flops(
        sizes, queries=tokens, keys=tokens, pairs=pairs
    )
    return {
        "attention": sum(attention.values()),
        "feed forward": feed_forward_flops(sizes, tokens=tokens),
    }


def decoder_layer_flops(
    sizes: LayerSizes, *, tokens: int, memory: int, pairs: int | None = None
) -> dict[str, int]:
    r"""Return the FLOPs of the three sublayers of a decoder layer.

    .. math:: \underbrace{8 n d^2 + 4 P d}_{self}
              + \underbrace{4 (n + m) d^2 + 4 n m d}_{cross}
              + \underbrace{4 n d\,d_{hidden}}_{feed\ forward}

    if h d_k = d and g = h. `memory` is m, the source's tokens; they are
    turned into keys and values in each layer anew.

    Source: Vaswani et al. (2017), section 3.1.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> decoder_layer_flops(sizes, tokens=3, memory=5)["cross-attention"]
    248
    """
    own = encoder_layer_flops(sizes, tokens=tokens, pairs=pairs)
    cross = attention_layer_flops(sizes, queries=tokens, keys=memory)
    return {
        "self-attention": own["attention"],
        "cross-attention": sum(cross.values()),
        "feed forward": own["feed forward"],
    }


def language_model_flops(
    sizes: LayerSizes,
    *,
    layers: int,
    tokens: int,
    vocabulary: int,
    pairs: int | None = None,
) -> int:
    r"""Return the FLOPs of all layers and of the logits of every token.

    .. math:: L\,F_{layer} + 2\,n\,d\,V

    Looking up an embedding is no arithmetic.

    Source: Kaplan et al. (2020), "Scaling Laws for Neural Language Models",
    table 1.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> language_model_flops(sizes, layers=10, tokens=3, vocabulary=5)
    3660
    """
    layer = encoder_layer_flops(sizes, tokens=tokens, pairs=pairs)
    logits = 2 * tokens * sizes.width * count("vocabulary", vocabulary)
    return count("layers", layers) * sum(layer.values()) + logits


def training_flops(forward: int) -> int:
    r"""Return the FLOPs of a forward pass and its backward pass.

    .. math:: F + 2 F

    Each product C = A B has two in its backward pass, of the same size:
    for the gradient of A and for that of B. (If nothing is to be learnt
    from the input itself, the first layer saves one.)

    Source: Kaplan et al. (2020), "Scaling Laws for Neural Language Models",
    section 2.1.

    Examples
    --------
    >>> training_flops(100)
    300
    """
    return 3 * count("forward", forward, least=0)


def layer_weight_count(sizes: LayerSizes) -> int:
    r"""Return how many numbers the matrices of a layer hold.

    .. math:: 2 d h d_k + 2 d g d_k + r\,d\,d_{hidden}

    Biases and norms, left out here, add a few for each column. Twice this
    is what a token costs in FLOPs, but for scores and averages.

    Source: Kaplan et al. (2020), table 1.

    Examples
    --------
    >>> layer_weight_count(LayerSizes(width=2, heads=1, dim=2, hidden=8))
    48
    """
    attention = parameter_count(
        width=sizes.width,
        heads=sizes.heads,
        dim=sizes.dim,
        groups=sizes.groups,
        bias=False,
    )
    return attention + sizes.feed_matrices * sizes.width * sizes.hidden


def encoder_layer_cost(
    sizes: LayerSizes, attention: Cost, *, tokens: int, number_bytes: int = 4
) -> Cost:
    r"""Return the cost of a layer around attention of a given cost.

    .. math:: C_{attention} + \sum_{products} C(n, d_{in}, d_{out})

    Parameters
    ----------
    attention : of scores and averages, for instance
        `naive_attention_cost` or `strip_attention_cost`.
    tokens : of all sequences together: they share each matrix.

    Source: Ivanov et al. (2021), "Data Movement Is All You Need", who
    count operands and result of each operation.

    Examples
    --------
    >>> sizes = LayerSizes(width=2, heads=1, dim=2, hidden=8)
    >>> encoder_layer_cost(sizes, Cost(72, 100), tokens=3, number_bytes=1)
    Cost(flops=360, moved_bytes=256)
    """
    queries, groups = sizes.heads * sizes.dim, sizes.shared * sizes.dim
    shapes = [
        (sizes.width, queries),
        (sizes.width, groups),
        (sizes.width, groups),
        (queries, sizes.width),
        (sizes.hidden, sizes.width),
    ]
    shapes += (sizes.feed_matrices - 1) * [(sizes.width, sizes.hidden)]
    products = [
        product_cost(
            rows=tokens,
            inner=inner,
            columns=columns,
            number_bytes=number_bytes,
        )
        for inner, columns in shapes
    ]
    return total_cost([attention, *products])


def training_state_bytes(parameters: int, *, number_bytes: int = 4) -> int:
    r"""Return the bytes that Adam keeps: weights, gradients, two moments.

    .. math:: 4\,N\,s

    What the forward pass saves for the backward pass comes on top.

    Source: Rajbhandari et al. (2020), "ZeRO", section 3.1; Kingma & Ba
    (2015), "Adam", algorithm 1.

    Examples
    --------
    >>> training_state_bytes(1000)
    16000
    """
    return (
        4
        * count("parameters", parameters, least=0)
        * count("number_bytes", number_bytes)
    )
