"""Several heads, and two modalities."""

from __future__ import annotations

import numpy as np

from attncourse.equivalences.row import (
    DIM,
    HEADS,
    TOKENS,
    Draw,
    Equivalence,
    enters_into,
)
from attncourse.reference import (
    adaptive,
    crossmodal,
    dense,
    heads,
)

ROWS: list[Equivalence] = []
same = enters_into(ROWS)


def _projections(draw: Draw, *, groups: int = HEADS) -> heads.Projections:
    """Return a layer of width 12 whose heads have three columns each."""
    shared = groups * 3
    return heads.Projections(
        *(draw(12, 12), draw(12, shared), draw(12, shared), draw(12, 12)),
    )


@same("multi-head attention", "dense attention", "one head, no projections")
def _(draw):
    x = draw(TOKENS, DIM)
    plain = heads.Projections(*[np.eye(DIM)] * 4)
    return (
        heads.multi_head_attention(x, x, plain, heads=1),
        dense.attention(x, x, x),
    )


@same("grouped-query attention", "multi-head attention", "a group a head")
def _(draw):
    x, context, layer = draw(TOKENS, 12), draw(7, 12), _projections(draw)
    grouped = heads.grouped_query_attention(
        x, context, layer, heads=HEADS, groups=HEADS
    )
    return grouped, heads.multi_head_attention(x, context, layer, heads=HEADS)


@same("multi-query attention", "grouped-query attention", "one group")
def _(draw):
    x, layer = draw(TOKENS, 12), _projections(draw, groups=1)
    grouped = heads.grouped_query_attention(x, x, layer, heads=HEADS, groups=1)
    return heads.multi_query_attention(x, x, layer, heads=HEADS), grouped


@same("cross-modal attention", "multi-head attention", "one modality")
def _(draw):
    x, layer = draw(TOKENS, 12), _projections(draw)
    crossed = crossmodal.cross_attention(x, x, layer, heads=HEADS)
    return crossed, heads.multi_head_attention(x, x, layer, heads=HEADS)


@same("gated attention", "multi-head attention", "the gate is open")
def _(draw):
    x, layer = np.abs(draw(TOKENS, 12)), _projections(draw)
    opened = adaptive.gated_attention(
        x, x, layer, np.full((12, 12), 1e4), heads=HEADS
    )
    return opened, heads.multi_head_attention(x, x, layer, heads=HEADS)
