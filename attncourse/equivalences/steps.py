"""Decoding step by step with a cache."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    DIM,
    HEADS,
    TOKENS,
    VALUE_DIM,
    Draw,
    Equivalence,
    Pair,
    enters_into,
    triple,
)
from attncourse.reference import (
    cache,
    cache_full,
    cache_paged,
    cache_pool,
    cache_window,
    dense,
    masks,
)

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


def _step_by_step(step, start, draw: Draw, *, window: int = TOKENS) -> Pair:
    """Return what tokens read one at a time, and all at once."""
    q, k, v = triple(draw, 1, HEADS)
    mask = masks.window_mask(TOKENS, TOKENS, window=window)
    reads, held = [], start
    for n in range(TOKENS):
        now = np.s_[..., n : n + 1, :]
        read, held = step(q[now], k[now], v[now], held)
        reads.append(read)
    at_once = dense.attention(q, k, v, mask=mask)
    return np.concatenate(reads, axis=-2), at_once


@same("decoding with a cache", "causal attention", "step by step")
def _(draw):
    start = cache_full.new_full_cache(
        1, groups=HEADS, dim=DIM, value_dim=VALUE_DIM
    )
    return _step_by_step(cache.full_step, start, draw)


@same("decoding with pages", "causal attention", "step by step")
def _(draw):
    start = cache_pool.new_paged_cache(
        blocks=5, size=3, groups=HEADS, dim=DIM, value_dim=VALUE_DIM
    )
    start = cache_pool.add_row(start)
    return _step_by_step(cache_paged.paged_step, start, draw)


@same("decoding in a window", "window attention", "step by step")
def _(draw):
    start = cache_window.new_window_cache(
        1, groups=HEADS, dim=DIM, value_dim=VALUE_DIM, window=4
    )
    return _step_by_step(cache_window.window_step, start, draw, window=4)
