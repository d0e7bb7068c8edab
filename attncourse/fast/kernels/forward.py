"""The forward kernel: one tile of queries, and the keys it sees pass by.

A program keeps its queries and reads keys and values a tile at a time,
rescaling what it has so far when a higher score arrives, as
`attncourse.reference.online` derives. Scores never leave the chip.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place_of(program, tiles, heads, together, LAST_FIRST: tl.constexpr):
    """Return the tile and the head of a program.

    So many heads are worked on together that their keys stay in the L2
    cache. Under a causal mask the longest rows of tiles come first, so
    that no long one is left over when the others are done.
    """
    section = program // (tiles * together)
    first = section * together
    size = tl.minimum(heads - first, together)
    rest = program - section * tiles * together
    tile = rest // size
    if LAST_FIRST:
        tile = tiles - 1 - tile
    return tile, first + rest % size


@triton.jit
def read(block, batch, head, row, ROWS: tl.constexpr, DIM: tl.constexpr):
    """Return a tile of one head; what lies past the end is zero."""
    return block.load([batch, head, row, 0]).reshape(ROWS, DIM)


@triton.jit
def finite(x):
    """Return `x` with zeros for NaN and inf.

    Zero times NaN is NaN, so that a weight of zero would not keep what may
    not be seen out of the product of matrices.
    """
    return tl.where(x * 0.0 == 0.0, x, 0.0)


@triton.jit
def seen_by(
    place, column, keys, behind, CAUSAL: tl.constexpr, WINDOW: tl.constexpr
):
    """Tell which columns a query that stands at `place` may see."""
    visible = column < keys
    if CAUSAL:
        visible = visible & (column <= place)
    if WINDOW:
        visible = visible & (column >= place - behind)
    return visible


@triton.jit
def key_range(
    top, queries, keys, behind,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """Return four bounds: masked, full and masked tiles lie between them.

    Division rounds towards zero on a GPU, so what is divided is not
    negative.
    """
    past = keys - queries
    bottom = tl.minimum(top + ROWS, queries)
    first = 0
    whole = 0
    end = keys
    whole_end = keys // COLUMNS * COLUMNS
    if CAUSAL:
        end = tl.maximum(bottom + past, 0)
        whole_end = tl.maximum(top + past + 1, 0) // COLUMNS * COLUMNS
    if WINDOW:
        first = tl.maximum(top + past - behind, 0) // COLUMNS * COLUMNS
        least = tl.maximum(bottom - 1 + past - behind, 0) + COLUMNS - 1
        whole = tl.minimum(least // COLUMNS * COLUMNS, end)
        whole_end = tl.maximum(whole_end, whole)
    return first, whole, whole_end, end


@triton.jit
def weigh(scores, total, highest, scale, MASKED: tl.constexpr):
    """Return weights, what rescales older ones, and the new normalizer."""
    higher = tl.maximum(highest, tl.max(scores, 1) * scale)
    shift = higher
    if MASKED:  # a row may have seen nothing yet
        shift = tl.where(higher == float("-inf"), 0.0, higher)
    p = tl.exp2(scores * scale - shift[:, None])
    rescale = tl.exp2(highest - shift)
    return p, rescale, total * rescale + tl.sum(p, 1), higher


@triton.jit
def see_edge(
    so_far, total, highest, q, k_block, v_block, batch, group,
    start, end, place, keys, behind, scale,
    COLUMNS: tl.constexpr, DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Take in tiles that not every row sees whole."""
    for column in tl.range(start, end, COLUMNS, num_stages=1):
        k = read(k_block, batch, group, column, COLUMNS, DIM)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        v = read(v_block, batch, group, column, COLUMNS, VALUE_DIM)
        if CAUSAL:  # a value that is NaN spoils the rows that may see it
            scores += tl.sum(v * 0.0, 1).to(tl.float32)[None, :]
            v = finite(v)
        here = column + tl.arange(0, COLUMNS)
        visible = seen_by(
            place[:, None], here[None, :], keys, behind, CAUSAL, WINDOW
        )
        scores = tl.where(visible, scores, float("-inf"))
        p, rescale, total, highest = weigh(scores, total, highest, scale, True)
        so_far = tl.dot(
            p.to(v.dtype), v, so_far * rescale[:, None],
            input_precision=PRECISION,
        )  # fmt: skip
    return so_far, total, highest


@triton.jit
def see_whole(
    so_far, total, highest, q, k_block, v_block, batch, group,
    start, end, scale,
    COLUMNS: tl.constexpr, DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    PRECISION: tl.constexpr, SPECIALIZE: tl.constexpr,
):  # fmt: skip
    """Take in tiles that every row sees whole.

    The values of a tile are weighed while the next tile's weights are
    computed: the product of matrices and the exponentials use different
    parts of the chip.
    """
    if start < end:
        k = read(k_block, batch, group, start, COLUMNS, DIM)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        p, rescale, total, highest = weigh(
            scores, total, highest, scale, False
        )
        for column in tl.range(
            start + COLUMNS, end, COLUMNS, warp_specialize=SPECIALIZE
        ):
            k = read(k_block, batch, group, column, COLUMNS, DIM)
            scores = tl.dot(q, k.T, input_precision=PRECISION)
            v = read(
                v_block, batch, group, column - COLUMNS, COLUMNS, VALUE_DIM
            )
            so_far = tl.dot(
                p.to(v.dtype), v, so_far * rescale[:, None],
                input_precision=PRECISION,
            )  # fmt: skip
            p, rescale, total, highest = weigh(
                scores, total, highest, scale, False
            )
        v = read(v_block, batch, group, end - COLUMNS, COLUMNS, VALUE_DIM)
        so_far = tl.dot(
            p.to(v.dtype),
            v,
            so_far * rescale[:, None],
            input_precision=PRECISION,
        )
    return so_far, total, highest


@triton.jit
def attend(
    q_block, k_block, v_block, output_block, lse,
    scale, heads, shared_by, queries, keys, behind, together, tiles,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    PRECISION: tl.constexpr, SPECIALIZE: tl.constexpr,
):  # fmt: skip
    """Fill in a tile of the output and its log-sum-exp, in base two.

    `scale` holds log2(e) besides the root of the width: exp2 is what the
    hardware has, and the product is one instruction with the subtraction
    of the maximum.
    """
    # Batch and heads are one axis of programs.
    tile, which = place_of(
        tl.program_id(0), tiles, tl.num_programs(0) // tiles, together, CAUSAL
    )
    batch = which // heads
    head = which % heads
    group = head // shared_by
    top = tile * ROWS
    row = top + tl.arange(0, ROWS)
    place = row + keys - queries
    q = read(q_block, batch, head, top, ROWS, DIM)
    so_far = tl.zeros([ROWS, VALUE_DIM], tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    highest = tl.full([ROWS], float("-inf"), tl.float32)
    first, whole, whole_end, end = key_range(
        top, queries, keys, behind, ROWS, COLUMNS, CAUSAL, WINDOW
    )
    if WINDOW:
        so_far, total, highest = see_edge(
            so_far, total, highest, q, k_block, v_block, batch, group,
            first, whole, place, keys, behind, scale,
            COLUMNS, DIM, VALUE_DIM, CAUSAL, WINDOW, PRECISION,
        )  # fmt: skip
    so_far, total, highest = see_whole(
        so_far, total, highest, q, k_block, v_block, batch, group,
        whole, whole_end, scale,
        COLUMNS, DIM, VALUE_DIM, PRECISION, SPECIALIZE,
    )  # fmt: skip
    so_far, total, highest = see_edge(
        so_far, total, highest, q, k_block, v_block, batch, group,
        whole_end, end, place, keys, behind, scale,
        COLUMNS, DIM, VALUE_DIM, CAUSAL, WINDOW, PRECISION,
    )  # fmt: skip
    # A row that saw nothing has zeros, and -inf as its logarithm.
    total = tl.where(total == 0.0, 1.0, total)
    output = (so_far / total[:, None]).to(output_block.dtype)
    output_block.store(
        [batch, head, top, 0], output.reshape(1, 1, ROWS, VALUE_DIM)
    )
    at = which.to(tl.int64) * queries + row
    tl.store(lse + at, highest + tl.log2(total), mask=row < queries)
