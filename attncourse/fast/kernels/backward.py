"""The backward kernels: what the outputs' gradient says to q, k and v.

The weights are computed again from the scores and the log-sum-exp of
their row. One kernel keeps a tile of queries and adds up their gradient,
the other keeps a tile of keys: seven products of matrices instead of five,
but no program ever waits for another, and a repeat gives the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from attncourse.fast.kernels.forward import (
    finite,
    key_range,
    place_of,
    read,
    seen_by,
)


@triton.jit
def inner_products(
    q_block, output_block, upstream_block, clean_q_block,
    clean_upstream_block, lse, logs, inner, heads, queries, tiles,
    ROWS: tl.constexpr, DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    CAUSAL: tl.constexpr,
):  # fmt: skip
    """Store for each row its output times the output's gradient, summed.

    It is the weighted mean of the weights' gradients, which the derivative
    of the softmax takes from each of them. Where rows can be hidden from a
    key, copies of the queries and of the gradient without NaN and inf are
    stored, too; `logs` then has NaN for such a row and spoils what the row
    may see. Else `logs` is not written.
    """
    tile = tl.program_id(0) % tiles
    which = tl.program_id(0) // tiles
    top = tile * ROWS
    batch = which // heads
    head = which % heads
    output = read(output_block, batch, head, top, ROWS, VALUE_DIM)
    upstream = read(upstream_block, batch, head, top, ROWS, VALUE_DIM)
    sums = tl.sum(output.to(tl.float32) * upstream.to(tl.float32), 1)
    row = top + tl.arange(0, ROWS)
    at = which.to(tl.int64) * queries + row
    if CAUSAL:
        q = read(q_block, batch, head, top, ROWS, DIM)
        place = [batch, head, top, 0]
        clean_q_block.store(place, finite(q).reshape(1, 1, ROWS, DIM))
        clean_upstream_block.store(
            place, finite(upstream).reshape(1, 1, ROWS, VALUE_DIM)
        )
        spoiled = tl.sum(q.to(tl.float32) * 0.0, 1) + sums * 0.0
        known = tl.load(lse + at, mask=row < queries, other=0.0)
        tl.store(logs + at, known + spoiled, mask=row < queries)
        sums = finite(sums)
    tl.store(inner + at, sums, mask=row < queries)


@triton.jit
def add_to_queries(
    dq, q, upstream, lse, inner, k_block, v_block, batch, group,
    start, end, place, keys, behind, scale,
    COLUMNS: tl.constexpr, DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add what the keys from `start` to `end` say to a tile of queries."""
    for column in tl.range(start, end, COLUMNS):
        k = read(k_block, batch, group, column, COLUMNS, DIM)
        v = read(v_block, batch, group, column, COLUMNS, VALUE_DIM)
        scores = tl.dot(q, k.T, input_precision=PRECISION)
        p = tl.exp2(scores * scale - lse[:, None])
        dp = tl.dot(upstream, v.T, input_precision=PRECISION)
        ds = p * (dp - inner[:, None])
        if MASKED:
            here = (column + tl.arange(0, COLUMNS))[None, :]
            visible = seen_by(
                place[:, None], here, keys, behind, CAUSAL, WINDOW
            )
            ds = tl.where(visible, ds, 0.0)
            if CAUSAL:
                k = finite(k)  # the scores of a NaN are NaN already
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@triton.jit
def query_gradients(
    q_block, k_block, v_block, upstream_block, dq_block, lse, inner,
    scale, factor, heads, shared_by, queries, keys, behind, together, tiles,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Fill in a tile of the queries' gradient."""
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
    upstream = read(upstream_block, batch, head, top, ROWS, VALUE_DIM)
    at = which.to(tl.int64) * queries + row
    # Past the end every weight is zero: exp2(0 - inf).
    logs = tl.load(lse + at, mask=row < queries, other=float("inf"))
    means = tl.load(inner + at, mask=row < queries, other=0.0)
    first, whole, whole_end, end = key_range(
        top, queries, keys, behind, ROWS, COLUMNS, CAUSAL, WINDOW
    )
    dq = tl.zeros([ROWS, DIM], tl.float32)
    if WINDOW:
        dq = add_to_queries(
            dq, q, upstream, logs, means, k_block, v_block, batch, group,
            first, whole, place, keys, behind, scale,
            COLUMNS, DIM, VALUE_DIM, True, CAUSAL, WINDOW, PRECISION,
        )  # fmt: skip
    dq = add_to_queries(
        dq, q, upstream, logs, means, k_block, v_block, batch, group,
        whole, whole_end, place, keys, behind, scale,
        COLUMNS, DIM, VALUE_DIM, False, CAUSAL, WINDOW, PRECISION,
    )  # fmt: skip
    dq = add_to_queries(
        dq, q, upstream, logs, means, k_block, v_block, batch, group,
        whole_end, end, place, keys, behind, scale,
        COLUMNS, DIM, VALUE_DIM, True, CAUSAL, WINDOW, PRECISION,
    )  # fmt: skip
    dq = (dq * factor).to(dq_block.dtype)
    dq_block.store([batch, head, top, 0], dq.reshape(1, 1, ROWS, DIM))


@triton.jit
def query_range(
    left, queries, keys, behind,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """Return four bounds: masked, full and masked tiles lie between them.

    They are those of the rows that see the keys from `left` on. Rows and
    keys past the end need no mask: the former have no weight, and the
    latter's gradients are not stored.
    """
    past = keys - queries
    right = tl.minimum(left + COLUMNS, keys)
    first = 0
    whole = 0
    end = queries
    whole_end = queries
    if CAUSAL:
        first = tl.maximum(left - past, 0) // ROWS * ROWS
        least = tl.maximum(right - 1 - past, 0) + ROWS - 1
        whole = least // ROWS * ROWS
        whole_end = tl.maximum(queries, whole)
    if WINDOW:
        end = tl.minimum(queries, tl.maximum(right + behind - past, 0))
        whole = tl.minimum(whole, end)
        least = tl.maximum(left + behind - past + 1, 0) // ROWS * ROWS
        whole_end = tl.maximum(tl.minimum(least, end), whole)
    return first, whole, whole_end, end


@triton.jit
def add_to_keys(
    dk, dv, k, v, q_block, upstream_block, lse, inner, batch, head, which,
    start, end, queries, past, column, keys, behind, scale,
    ROWS: tl.constexpr, DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add what the rows from `start` to `end` say to a tile of keys.

    Scores stand here with a row for each key, so that the weights are the
    left factor of both products and stay in registers.
    """
    for top in tl.range(start, end, ROWS):
        row = top + tl.arange(0, ROWS)
        at = which.to(tl.int64) * queries + row
        q = read(q_block, batch, head, top, ROWS, DIM)
        scores = tl.dot(k, q.T, input_precision=PRECISION)
        logs = tl.load(lse + at, mask=row < queries, other=float("inf"))
        p = tl.exp2(scores * scale - logs[None, :])
        if MASKED:
            visible = seen_by(
                (row + past)[None, :], column[:, None], keys, behind,
                CAUSAL, WINDOW,
            )  # fmt: skip
            p = tl.where(visible, p, 0.0)
        upstream = read(upstream_block, batch, head, top, ROWS, VALUE_DIM)
        dp = tl.dot(v, upstream.T, input_precision=PRECISION)
        means = tl.load(inner + at, mask=row < queries, other=0.0)
        ds = p * (dp - means[None, :])
        if MASKED and WINDOW:  # a key that no query sees may have NaN
            ds = tl.where(visible, ds, 0.0)
        dv = tl.dot(p.to(q.dtype), upstream, dv, input_precision=PRECISION)
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit
def key_gradients(
    q_block, k_block, v_block, upstream_block, dk_block, dv_block,
    lse, inner, scale, factor,
    groups, shared_by, queries, keys, behind, together, tiles,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DIM: tl.constexpr, VALUE_DIM: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Fill in a tile of the keys' and of the values' gradients.

    All heads that share these keys are gone through by one program, so
    that none has to wait to add its part.
    """
    tile, which = place_of(
        tl.program_id(0), tiles, tl.num_programs(0) // tiles, together, False
    )
    batch = which // groups
    group = which % groups
    left = tile * COLUMNS
    column = left + tl.arange(0, COLUMNS)
    past = keys - queries
    k = read(k_block, batch, group, left, COLUMNS, DIM)
    v = read(v_block, batch, group, left, COLUMNS, VALUE_DIM)
    first, whole, whole_end, end = query_range(
        left, queries, keys, behind, ROWS, COLUMNS, CAUSAL, WINDOW
    )
    dk = tl.zeros([COLUMNS, DIM], tl.float32)
    dv = tl.zeros([COLUMNS, VALUE_DIM], tl.float32)
    for head in range(group * shared_by, (group + 1) * shared_by):
        line = batch * groups * shared_by + head
        if CAUSAL:
            dk, dv = add_to_keys(
                dk, dv, k, v, q_block, upstream_block, lse, inner,
                batch, head, line, first, tl.minimum(whole, end),
                queries, past, column, keys, behind, scale,
                ROWS, DIM, VALUE_DIM, True, CAUSAL, WINDOW, PRECISION,
            )  # fmt: skip
        dk, dv = add_to_keys(
            dk, dv, k, v, q_block, upstream_block, lse, inner,
            batch, head, line, whole, whole_end,
            queries, past, column, keys, behind, scale,
            ROWS, DIM, VALUE_DIM, False, CAUSAL, WINDOW, PRECISION,
        )  # fmt: skip
        if WINDOW:
            dk, dv = add_to_keys(
                dk, dv, k, v, q_block, upstream_block, lse, inner,
                batch, head, line, whole_end, end,
                queries, past, column, keys, behind, scale,
                ROWS, DIM, VALUE_DIM, True, CAUSAL, WINDOW, PRECISION,
            )  # fmt: skip
    dk = (dk * factor).to(dk_block.dtype)
    dk_block.store([batch, group, left, 0], dk.reshape(1, 1, COLUMNS, DIM))
    dv_block.store(
        [batch, group, left, 0],
        dv.to(dv_block.dtype).reshape(1, 1, COLUMNS, VALUE_DIM),
    )
