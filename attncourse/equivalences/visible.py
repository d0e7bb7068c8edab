"""What may be seen: windows, prefixes, blocks, spans."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    TOKENS,
    VALUE_DIM,
    Equivalence,
    causal,
    enters_into,
    triple,
)
from attncourse.reference import (
    adaptive_sentinel,
    adaptive_span,
    dense,
    masks,
    scores,
    sparse,
    sparse_layouts,
)

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


@same("window attention", "causal attention", "the window is all keys")
def _(draw):
    q, k, v = triple(draw)
    mask = masks.window_mask(TOKENS, TOKENS, window=TOKENS)
    return dense.attention(q, k, v, mask=mask), causal(q, k, v)


@same("prefix attention", "causal attention", "the prefix is empty")
def _(draw):
    q, k, v = triple(draw)
    mask = masks.prefix_mask(TOKENS, TOKENS, prefix=0)
    return dense.attention(q, k, v, mask=mask), causal(q, k, v)


@same("prefix attention", "dense attention", "the prefix is everything")
def _(draw):
    q, k, v = triple(draw)
    mask = masks.prefix_mask(TOKENS, TOKENS, prefix=TOKENS)
    return dense.attention(q, k, v, mask=mask), dense.attention(q, k, v)


@same("packed documents", "dense attention", "to each document alone")
def _(draw):
    q, k, v = triple(draw)
    ids = np.repeat([0, 1], [5, TOKENS - 5])
    packed = dense.attention(q, k, v, mask=masks.document_mask(ids, ids))
    alone = [dense.attention(q[s], k[s], v[s]) for s in np.s_[:5, 5:]]
    return packed, np.concatenate(alone)


@same("block-sparse attention", "dense attention", "every block is kept")
def _(draw):
    q, k, v = triple(draw)
    kept = np.ones((4, 4), bool)  # the last blocks are ragged
    return sparse.attention(q, k, v, kept, block=4), dense.attention(q, k, v)


@same("block-sparse attention", "window attention", "blocks of one token")
def _(draw):
    q, k, v = triple(draw)
    layout = sparse_layouts.window_layout(TOKENS, TOKENS, behind=3, ahead=0)
    mask = masks.window_mask(TOKENS, TOKENS, window=4)
    read = sparse.attention(q, k, v, layout, block=1)
    return read, dense.attention(q, k, v, mask=mask)


@same("adaptive span", "causal attention", "the span is all keys")
def _(draw):
    q, k, v = triple(draw)
    read = adaptive_span.adaptive_span_attention(
        q, k, v, span=float(TOKENS), ramp=2.0
    )
    return read, causal(q, k, v)


@same("sentinel attention", "dense attention", "the sentinel scores -∞")
def _(draw):
    q, k, v = triple(draw)
    read = adaptive_sentinel.sentinel_attention(
        scores.scaled_scores(q, k),
        v,
        np.full(TOKENS, -np.inf),
        draw(TOKENS, VALUE_DIM),
    )
    return read, dense.attention(q, k, v)


@same("adaptive span", "window attention", "the ramp is one step")
def _(draw):
    q, k, v = triple(draw)
    read = adaptive_span.adaptive_span_attention(q, k, v, span=3.0, ramp=1.0)
    mask = masks.window_mask(TOKENS, TOKENS, window=4)
    return read, dense.attention(q, k, v, mask=mask)
