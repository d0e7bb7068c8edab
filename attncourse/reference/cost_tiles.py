"""What tiled attention costs: pairs, bytes to and from the large memory.

Two orders of the same tiles: keys outside, as the first FlashAttention
was published, and rows of queries outside, as its successors and
`attncourse.fast.tiled` work.
"""

from __future__ import annotations

from attncourse.reference.cost_attention import attention_flops
from attncourse.reference.cost_parts import AttentionSizes, Cost
from attncourse.reference.heads_counts import score_count
from attncourse.shapes import count


def strip_pairs(
    queries: int,
    keys: int,
    *,
    rows: int,
    behind: int | None = None,
    ahead: int | None = None,
) -> int:
    r"""Return how many pairs a head scores if it takes `rows` at a time.

    .. math:: \sum_{strips} |\text{rows}| \cdot |\text{keys that one sees}|

    A strip of rows computes each key that one of them may see for all of
    them, which is more than `band_pairs` by the corners of the band.

    Source: Dao (2023), "FlashAttention-2", section 3.1.1.

    Examples
    --------
    >>> strip_pairs(4, 4, rows=2, ahead=0), strip_pairs(4, 4, rows=1, ahead=0)
    (12, 10)
    """
    found = _strips(queries, keys, rows=rows, behind=behind, ahead=ahead)
    return sum(height * width for height, width in found)


def flash_tiles(on_chip: int, *, dim: int) -> tuple[int, int]:
    r"""Return the rows and columns of FlashAttention's tiles.

    .. math:: B_c = \lceil M / 4 d \rceil, \qquad B_r = \min(B_c, d)

    Parameters
    ----------
    on_chip : M, the numbers that the fast memory holds: tiles of queries,
        keys, values and outputs share it.

    Source: Dao et al. (2022), "FlashAttention", algorithm 1, line 1.

    Examples
    --------
    >>> flash_tiles(25_000, dim=64)
    (64, 98)
    """
    dim = count("dim", dim)
    columns = -(-count("on_chip", on_chip) // (4 * dim))
    return min(columns, dim), columns


def flash_attention_cost(
    sizes: AttentionSizes, *, columns: int, number_bytes: int = 4
) -> Cost:
    r"""Return the cost of FlashAttention: tiles of `columns` keys outside.

    .. math:: B = h\,\big(n (d_k + d_v) + m (d_v + 2)
              + \lceil n / B_c \rceil\, m\,(d_k + 2 d_v + 4)\big)\,s

    Keys and values are read once. For each tile of them all queries are
    read, and what they have gathered so far (outputs, maxima and sums) is
    read and written again; at first it is written as zeros. With `columns`
    in proportion to the fast memory M, this is of order m n d² / M.

    Source: Dao et al. (2022), algorithm 1 and theorem 2.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=1, keys=4, heads=1, dim=1)
    >>> flash_attention_cost(sizes, columns=2, number_bytes=1).moved_bytes
    25
    """
    columns = count("columns", columns)
    number_bytes = count("number_bytes", number_bytes)
    once = sizes.keys * (sizes.dim + sizes.columns)
    once += sizes.queries * (sizes.columns + 2)
    passes = -(-sizes.keys // columns)
    each = sizes.queries * (sizes.dim + 2 * sizes.columns + 4)
    numbers = sizes.heads * (once + passes * each)
    return Cost(attention_flops(sizes), numbers * number_bytes)


def strip_attention_cost(
    sizes: AttentionSizes,
    *,
    rows: int,
    behind: int | None = None,
    ahead: int | None = None,
    number_bytes: int = 4,
) -> Cost:
    r"""Return the cost of tiled attention with `rows` of queries outside.

    .. math:: B = h\,\Big(m (d_k + d_v + 1)
              + \sum_{strips} n_{strip}\,(d_k + d_v)\Big)\,s

    Queries are read, outputs and log-sum-exps written once; each strip
    reads the keys and values that its rows may see. Queries that see
    nothing are not read.

    Source: Dao (2023), "FlashAttention-2", algorithm 1.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=4, keys=4, heads=1, dim=1)
    >>> strip_attention_cost(sizes, rows=2, number_bytes=1)
    Cost(flops=64, moved_bytes=28)
    """
    number_bytes = count("number_bytes", number_bytes)
    found = _strips(
        sizes.queries, sizes.keys, rows=rows, behind=behind, ahead=ahead
    )
    numbers = sizes.queries * (sizes.columns + 1)
    pairs = 0
    for height, width in found:
        numbers += height * sizes.dim + width * (sizes.dim + sizes.columns)
        pairs += height * width
    return Cost(
        attention_flops(sizes, pairs=pairs),
        sizes.heads * numbers * number_bytes,
    )


def naive_saved_bytes(sizes: AttentionSizes, *, number_bytes: int = 4) -> int:
    r"""Return what attention keeps for its backward pass if it keeps weights.

    .. math:: h\,(m d_k + n d_k + n d_v + m n)\,s

    Queries, keys, values, and a weight for each pair: the square.

    Source: Dao et al. (2022), "FlashAttention", section 2.2.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=8, keys=8, heads=1, dim=2)
    >>> naive_saved_bytes(sizes, number_bytes=1)
    112
    """
    weights = score_count(
        queries=sizes.queries, keys=sizes.keys, heads=sizes.heads
    )
    return (_arguments(sizes) + weights) * count("number_bytes", number_bytes)


def tiled_saved_bytes(sizes: AttentionSizes, *, number_bytes: int = 4) -> int:
    r"""Return what tiled attention keeps for its backward pass.

    .. math:: h\,(m d_k + n d_k + n d_v + m d_v + m)\,s

    In the place of the weights: the output, and one log-sum-exp a query.

    Source: Dao et al. (2022), "FlashAttention", theorem 1; Dao (2023),
    algorithm 1.

    Examples
    --------
    >>> sizes = AttentionSizes(queries=8, keys=8, heads=1, dim=2)
    >>> tiled_saved_bytes(sizes, number_bytes=1)
    72
    """
    gathered = sizes.heads * sizes.queries * (sizes.columns + 1)
    return (_arguments(sizes) + gathered) * count("number_bytes", number_bytes)


def _arguments(sizes: AttentionSizes) -> int:
    """Return the numbers of queries, keys and values."""
    of_keys = sizes.keys * (sizes.dim + sizes.columns)
    return sizes.heads * (sizes.queries * sizes.dim + of_keys)


def _strips(
    queries: int,
    keys: int,
    *,
    rows: int,
    behind: int | None,
    ahead: int | None,
) -> list[tuple[int, int]]:
    """Return the rows of each strip and the keys that it computes."""
    queries = count("queries", queries, least=0)
    keys, rows = count("keys", keys, least=0), count("rows", rows)
    past, start, found = keys - queries, 0, []
    if ahead is not None:  # rows that see nothing are left out
        start = max(0, -past - count("ahead", ahead, least=0))
    if behind is not None:
        behind = count("behind", behind, least=0)
    for top in range(start, queries, rows):
        bottom = min(top + rows, queries)
        first = 0 if behind is None else max(0, top + past - behind)
        last = keys if ahead is None else min(keys, bottom + past + ahead)
        found.append((bottom - top, last - first))
    return found
