"""Scores, weights and the ways to compute their average."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    DIM,
    TOKENS,
    Equivalence,
    causal,
    enters_into,
    triple,
)
from attncourse.reference import (
    dense,
    lookup,
    luong,
    luong_local,
    online,
    ring,
    ring_deals,
    scores,
    softmax,
    sparsemax,
)

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


@same("soft lookup", "dense attention", "its temperature is √dim")
def _(draw):
    q, k, v = triple(draw)
    read = lookup.soft_lookup(q, k, v, temperature=DIM**0.5)
    return read, dense.attention(q, k, v)


@same("kernel regression", "soft lookup", "all keys have one length")
def _(draw):
    q, k, v = triple(draw)
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    read = lookup.kernel_regression(q, k, v, bandwidth=0.7)
    return read, lookup.soft_lookup(q, k, v, temperature=0.7**2)


@same("bilinear scores", "dot-product scores", "the matrix is the identity")
def _(draw):
    q, k, _ = triple(draw)
    return scores.bilinear_scores(q, k, np.eye(DIM)), scores.dot_scores(q, k)


@same("additive scores", "concat scores", "the two matrices are stacked")
def _(draw):
    q, k, _ = triple(draw)
    above, below, v_score = draw(DIM, 7), draw(DIM, 7), draw(7)
    stacked = luong.concat_scores(q, k, np.vstack([above, below]), v_score)
    return scores.additive_scores(q, k, above, below, v_score), stacked


@same("entmax", "softmax", "alpha is 1")
def _(draw):
    x = draw(TOKENS, 7)
    return sparsemax.entmax(x, alpha=1.0), softmax.softmax(x)


@same("entmax", "sparsemax", "alpha is 2")
def _(draw):
    x = draw(TOKENS, 7)
    return sparsemax.entmax(x, alpha=2.0), sparsemax.sparsemax(x)


@same("online softmax", "softmax", "always")
def _(draw):
    x = draw(TOKENS, 7)
    return online.online_softmax(x), softmax.softmax(x)


@same("tiled attention", "dense attention", "tiles of any size")
def _(draw):
    q, k, v = triple(draw)
    return online.attention(q, k, v, tile=4), dense.attention(q, k, v)


@same("ring attention", "dense attention", "any number of ranks")
def _(draw):
    q, k, v = triple(draw)
    return ring.attention(q, k, v, ranks=3), dense.attention(q, k, v)


@same("ring attention", "causal attention", "dealt in zigzag")
def _(draw):
    q, k, v = triple(draw)
    around = ring.causal_attention(q, k, v, ranks=3, deal=ring_deals.zigzag)
    return around, causal(q, k, v)


@same("global attention", "dense attention", "of scaled scores, to the keys")
def _(draw):
    q, k, _ = triple(draw)
    read = luong.global_attention(scores.scaled_scores(q, k), k)
    return read.context, dense.attention(q, k, k)


@same("monotonic local attention", "global attention", "it reaches all keys")
def _(draw):
    found, memory = draw(TOKENS, TOKENS), draw(TOKENS, DIM)
    read = luong_local.monotonic_attention(
        found, memory, np.arange(TOKENS), half_width=TOKENS
    )
    return read.context, luong.global_attention(found, memory).context
