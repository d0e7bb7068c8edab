"""Order: positions, memories and recurrences."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    DIM,
    HEADS,
    TOKENS,
    VALUE_DIM,
    Equivalence,
    causal,
    enters_into,
    triple,
)
from attncourse.reference import (
    dense,
    linear,
    linear_decay,
    linear_delta,
    masks,
    positions,
    scores,
    segments,
    segments_scores,
)
from attncourse.reference.blocks_parts import Stack

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


@same("ALiBi", "dense attention", "the slopes are zero")
def _(draw):
    q, k, v = triple(draw, HEADS)
    at = np.arange(TOKENS)
    bias = positions.alibi_bias(np.zeros(HEADS), at, at)
    read = positions.biased_attention(q, k, v, bias)
    return read, dense.attention(q, k, v)


@same("rotary scores", "dot-product scores", "all stand at one place")
def _(draw):
    q, k, _ = triple(draw)
    at = np.full(TOKENS, 5.0)
    turned = (positions.rotary(x, at) for x in (q, k))
    return scores.dot_scores(*turned), scores.dot_scores(q, k)


@same("Shaw's relative scores", "scaled scores", "the table is zero")
def _(draw):
    q, k, _ = triple(draw)
    at = np.arange(TOKENS)
    index = positions.relative_index(at, at, clip=2)
    read = positions.relative_scores(q, k, np.zeros((5, DIM)), index)
    return read, scores.scaled_scores(q, k)


@same("Transformer-XL attention", "causal attention", "no distance, no memory")
def _(draw):
    q, k, v = triple(draw, HEADS)
    nothing = segments_scores.Distances(
        np.zeros((HEADS, TOKENS, DIM)), *np.zeros((2, HEADS, DIM))
    )
    read = segments_scores.segment_attention(
        q, k, v, nothing, mask=masks.causal_mask(TOKENS, TOKENS)
    )
    return read, causal(q, k, v)


@same("recurrent linear attention", "quadratic linear attention", "always")
def _(draw):
    q, k, v = triple(draw)
    return linear.recurrent_attention(q, k, v)[0], linear.causal_attention(
        q, k, v
    )


@same("chunked linear attention", "recurrent linear attention", "any chunk")
def _(draw):
    q, k, v = triple(draw)
    chunked, _ = linear.chunked_attention(q, k, v, chunk=4)
    return chunked, linear.recurrent_attention(q, k, v)[0]


@same("retention", "masked products", "nothing decays")
def _(draw):
    q, k, v = triple(draw)
    kept = np.zeros((TOKENS, 1))
    read, _ = linear_decay.recurrent_retention(q, k, v, log_decay=kept)
    return read, np.tril(q @ k.T) @ v


@same("delta rule", "retention", "keys are orthonormal, nothing decays")
def _(draw):
    q, v = draw(DIM, DIM), draw(DIM, VALUE_DIM)
    k, _ = np.linalg.qr(draw(DIM, DIM))
    gates = linear_delta.Gates(write=np.ones(DIM))
    corrected, _ = linear_delta.recurrent_delta_rule(q, k, v, gates)
    kept = np.zeros((DIM, 1))
    read, _ = linear_decay.recurrent_retention(q, k, v, log_decay=kept)
    return corrected, read


@same("Transformer-XL in segments", "Transformer-XL at once", "all remembered")
def _(draw):
    layers = [
        segments.new_segment_layer(width=DIM, heads=2, hidden=7, seed=seed)
        for seed in (0, 1)
    ]
    x, stack = draw(TOKENS, DIM), Stack(layers, segments.segment_layer)
    parts = segments.in_segments(x, stack, heads=2, segment=4, length=TOKENS)
    whole, _ = segments.segment_step(x, None, stack, heads=2, length=0)
    return parts, whole
