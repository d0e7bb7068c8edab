"""Sparse attention against dense attention under the spread layout."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense, sparse, sparse_layouts
from attncourse.reference.masks import (
    block_mask,
    causal_mask,
    local_mask,
    unite_masks,
)
from attncourse.reference.sparse_layouts import (
    density,
    fixed_layout,
    global_layout,
    random_layout,
    strided_layout,
    window_layout,
)

quick = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 11)
seeds = st.integers(0, 10**6)


def triple(seed=0, *, batch=(2,), queries=5, keys=7, dim=3, value_dim=11):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*batch, queries, dim)),
        rng.normal(size=(*batch, keys, dim)),
        rng.normal(size=(*batch, keys, value_dim)),
    )


def drawn(seed, queries, keys, block, *batch, share=0.5):
    shape = (*batch, -(-queries // block), -(-keys // block))
    return np.random.default_rng(seed + 1).random(shape) < share


# Attention.


@given(seeds, sizes, sizes, sizes, sizes)
@quick
def test_it_is_dense_attention_under_the_spread_layout(
    seed, queries, keys, block, value_dim
):
    q, k, v = triple(seed, queries=queries, keys=keys, value_dim=value_dim)
    layout = drawn(seed, queries, keys, block)
    mask = block_mask(layout, block=block, queries=queries, keys=keys)
    np.testing.assert_allclose(
        sparse.attention(q, k, v, layout, block=block),
        dense.attention(q, k, v, mask=mask),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        sparse.causal_attention(q, k, v, layout, block=block),
        dense.attention(q, k, v, mask=mask & causal_mask(queries, keys)),
        atol=1e-12,
    )


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_a_full_layout_is_dense_attention(block):
    q, k, v = triple(1)
    layout = np.ones((-(-5 // block), -(-7 // block)), bool)
    np.testing.assert_allclose(
        sparse.attention(q, k, v, layout, block=block),
        dense.attention(q, k, v),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        sparse.causal_attention(q, k, v, layout, block=block),
        dense.attention(q, k, v, mask=causal_mask(5, 7)),
        atol=1e-12,
    )


def test_blocks_of_one_position_are_a_mask():
    q, k, v = triple(2, queries=7)
    layout = window_layout(7, 7, behind=2, ahead=2)
    np.testing.assert_array_equal(layout, local_mask(7, 7, radius=2))
    np.testing.assert_allclose(
        sparse.attention(q, k, v, layout, block=1),
        dense.attention(q, k, v, mask=layout),
        atol=1e-12,
    )


def test_heads_may_have_layouts_of_their_own():
    q, k, v = triple(3)
    layout = drawn(3, 5, 7, 2, 3, 1)
    mask = block_mask(layout, block=2, queries=5, keys=7)
    output = sparse.attention(q, k, v, layout, block=2)
    assert output.shape == (3, 2, 5, 11)
    np.testing.assert_allclose(
        output, dense.attention(q, k, v, mask=mask), atol=1e-12
    )
    np.testing.assert_allclose(
        sparse.causal_attention(q[0], k, v, layout, block=2),
        dense.attention(q[0], k, v, mask=mask & causal_mask(5, 7)),
        atol=1e-12,
    )


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_leading_axes_broadcast(wide):
    arrays = triple(10, batch=(3, 2))
    for each in range(3):
        if each != wide:
            arrays[each][...] = arrays[each][0, 0]
    narrow = [x if n == wide else x[0, 0] for n, x in enumerate(arrays)]
    layout = drawn(10, 5, 7, 2)
    for form in (sparse.attention, sparse.causal_attention):
        output = form(*narrow, layout, block=2)
        assert output.shape == (3, 2, 5, 11)
        np.testing.assert_allclose(
            output, form(*arrays, layout, block=2), atol=1e-14
        )


def watched(monkeypatch):
    """Return a list that fills with the queries and keys of each tile."""
    seen = []
    whole = sparse.partial_attention

    def watching(q, k, v, *, mask):
        seen.append((q[:, 0].tolist(), k[:, 0].tolist(), v[:, 0].tolist()))
        return whole(q, k, v, mask=mask)

    monkeypatch.setattr(sparse, "partial_attention", watching)
    return seen


@pytest.mark.parametrize("name", ["attention", "causal_attention"])
def test_only_the_tiles_of_the_layout_are_touched(monkeypatch, name):
    seen = watched(monkeypatch)
    q, k, v = (np.arange(n)[:, None] for n in (5, 7, 7))
    layout = np.array([[1, 0, 0], [0, 1, 1]], bool)
    getattr(sparse, name)(q, k, v, layout, block=3)
    expected = [
        ([0, 1, 2], [0, 1, 2], [0, 1, 2]),
        ([3, 4], [3, 4, 5], [3, 4, 5]),
        ([3, 4], [6], [6]),
    ]
    assert seen == expected
    kept = sparse.tiles(layout, queries=5, keys=7, block=3)
    assert len(kept) == len(seen) == np.count_nonzero(layout)
    assert all(isinstance(tile, sparse.Tile) for tile in kept)


def test_tiles_of_the_future_are_skipped(monkeypatch):
    seen = watched(monkeypatch)
    q, k, v = (np.arange(n)[:, None] for n in (7, 7, 7))
    layout = np.ones((3, 3), bool)
    sparse.causal_attention(q, k, v, layout, block=3)
    firsts = [(queries[0], keys[0]) for queries, keys, _ in seen]
    assert firsts == [(0, 0), (3, 0), (3, 3), (6, 0), (6, 3), (6, 6)]
    kept = sparse.causal_tiles(layout, queries=7, keys=7, block=3)
    assert len(kept) == 6
    # Three more queries than keys: the first three see nothing.
    kept = sparse.causal_tiles(layout[:, :2], queries=7, keys=4, block=3)
    places = [(tile.rows.start, tile.columns.start) for tile in kept]
    assert places == [(3, 0), (6, 0), (6, 3)]
    assert [tile.mask.astype(int).tolist() for tile in kept[1:]] == [
        [[1, 1, 1]],
        [[1]],
    ]
    assert kept[0].mask.astype(int).tolist() == [
        [1, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_stands_in_skipped_tiles_has_no_influence(poison):
    q, k, v = triple(4, batch=())
    layout = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 1, 0]], bool)
    for form in (sparse.attention, sparse.causal_attention):
        clean = form(q, k, v, layout, block=2)
        spoiled_k, spoiled_v = k.copy(), v.copy()
        spoiled_k[2:4] = spoiled_v[2:4] = poison
        np.testing.assert_array_equal(
            form(q, spoiled_k, spoiled_v, layout, block=2), clean
        )
    # One head skips what another keeps; the future is in a kept tile.
    heads = np.stack([layout, np.ones_like(layout)])
    clean = sparse.causal_attention(q, k, v, heads, block=2)
    k[3] = v[3] = poison
    with np.errstate(invalid="ignore"):
        output = sparse.causal_attention(q, k, v, heads, block=2)
    np.testing.assert_allclose(output[0], clean[0], atol=1e-15)
    np.testing.assert_allclose(output[1, :1], clean[1, :1], atol=1e-15)
    assert np.isnan(output[1, 1:]).all()


def test_a_query_whose_tiles_are_all_skipped_gets_zeros():
    q, k, v = triple(5)
    layout = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    output = sparse.attention(q, k, v, layout, block=2)
    assert not output[:, 2:4].any()
    assert output[:, [0, 1, 4]].all()
    # Its only tile is in the future.
    layout[0] = [False, False, False, True]
    output = sparse.causal_attention(q, k, v, layout, block=2)
    assert not output[:, :2].any()


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousand_stay_exact(scale):
    q, k, v = triple(6)
    layout = drawn(6, 5, 7, 2)
    mask = block_mask(layout, block=2, queries=5, keys=7)
    np.testing.assert_allclose(
        sparse.attention(scale * q, k, v, layout, block=2),
        dense.attention(scale * q, k, v, mask=mask),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 7, 3), (5, 0, 3), (5, 7, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    arrays = triple(queries=queries, keys=keys, value_dim=value_dim)
    layout = np.ones((-(-queries // 2), -(-keys // 2)), bool)
    for form in (sparse.attention, sparse.causal_attention):
        output = form(*arrays, layout, block=2)
        assert output.shape == (2, queries, value_dim)
        assert not output.any()


def test_answers_are_float64_and_inputs_left_alone():
    arrays = [each.astype(np.float32) for each in triple(7)]
    layout = drawn(7, 5, 7, 2)
    truth = sparse.attention(*arrays, layout, block=2)
    assert truth.dtype == np.float64
    for kind in (torch.from_numpy, np.asfortranarray, np.ndarray.tolist):
        again = [kind(each) for each in (*arrays, layout)]
        np.testing.assert_allclose(
            sparse.attention(*again, block=2), truth, atol=1e-14
        )
    before = [each.copy() for each in (*arrays, layout)]
    for each in (*arrays, layout):
        each.flags.writeable = False
    sparse.causal_attention(*arrays, layout, block=2)
    for old, new in zip(before, (*arrays, layout), strict=True):
        np.testing.assert_array_equal(old, new)


# Layouts.


def test_a_window_holds_the_neighbours_of_a_block():
    both = window_layout(4, 4, behind=1, ahead=2)
    assert both.astype(int).tolist() == [
        [1, 1, 1, 0],
        [1, 1, 1, 1],
        [0, 1, 1, 1],
        [0, 0, 1, 1],
    ]
    # The last block of queries stands at the last block of keys.
    assert window_layout(2, 4, behind=1, ahead=0).astype(int).tolist() == [
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]
    np.testing.assert_array_equal(
        window_layout(5, 7, behind=7, ahead=0), causal_mask(5, 7)
    )
    assert window_layout(5, 7, behind=9, ahead=9).all()


def test_global_blocks_see_and_are_seen():
    layout = global_layout(2, 4, blocks=[0, 3])
    assert layout.astype(int).tolist() == [[1, 0, 0, 1], [1, 1, 1, 1]]
    assert not global_layout(3, 3, blocks=[]).any()


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 5))
@quick
def test_strided_and_fixed_layouts_are_the_sets_of_the_paper(
    rows, columns, stride
):
    strided = strided_layout(rows, columns, stride=stride)
    for summary in range(1, stride + 1):
        fixed = fixed_layout(rows, columns, stride=stride, summary=summary)
        for i in range(rows):
            own = i + columns - rows
            near, far, group, ends = set(), set(), set(), set()
            for j in range(min(columns, own + 1)):
                if own - j < stride:
                    near.add(j)
                if (own - j) % stride == 0:
                    far.add(j)
                if j // stride == own // stride:
                    group.add(j)
                if j % stride in range(stride - summary, stride):
                    ends.add(j)
            assert set(np.flatnonzero(strided[i])) == near | far
            assert set(np.flatnonzero(fixed[i])) == group | ends
    np.testing.assert_array_equal(
        fixed_layout(rows, columns, stride=stride),
        fixed_layout(rows, columns, stride=stride, summary=1),
    )


def test_two_steps_of_a_strided_layout_lead_anywhere_earlier():
    one = strided_layout(13, 13, stride=4)
    two = (one.astype(int) @ one) > 0
    np.testing.assert_array_equal(two, causal_mask(13, 13))


def test_random_layouts_draw_without_repetition():
    rng = np.random.default_rng(8)
    layout = random_layout(500, 7, per_row=3, rng=rng)
    assert (layout.sum(axis=1) == 3).all()
    # Every block is drawn in 3 of 7 rows, within five standard errors.
    spread = np.sqrt(3 / 7 * 4 / 7 / 500)
    assert abs(layout.mean(axis=0) - 3 / 7).max() < 5 * spread
    again = random_layout(500, 7, per_row=3, rng=np.random.default_rng(8))
    np.testing.assert_array_equal(layout, again)
    other = random_layout(500, 7, per_row=3, rng=rng)
    assert (layout != other).any()
    assert random_layout(0, 7, per_row=3, rng=rng).shape == (0, 7)
    assert random_layout(3, 0, per_row=0, rng=rng).shape == (3, 0)
    assert random_layout(3, 2, per_row=2, rng=rng).all()


def test_density_is_the_share_of_kept_tiles():
    assert density([[True, False], [False, False]]) == 0.25
    assert density([[True]]) == 1.0
    assert density(np.zeros((0, 3), bool)) == 0.0
    layout = unite_masks(
        window_layout(8, 8, behind=1, ahead=1),
        global_layout(8, 8, blocks=[0]),
        random_layout(8, 8, per_row=1, rng=np.random.default_rng(9)),
    )
    kept = sparse.tiles(layout, queries=8, keys=8, block=1)
    assert density(layout) == len(kept) / 64


Q, K, V = np.ones((5, 3)), np.ones((7, 3)), np.ones((7, 2))
FULL = np.ones((3, 4), bool)


@pytest.mark.parametrize("form", [sparse.attention, sparse.causal_attention])
@pytest.mark.parametrize(
    ("arguments", "block", "error", "message"),
    [
        (
            (Q, K[:, :2], V, FULL),
            2,
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            (Q, K, V[:6], FULL),
            2,
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        (
            (Q[:, :0], K[:, :0], V, FULL),
            2,
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            (Q, K, V, FULL),
            3,
            ValueError,
            r"layout must have 2 x 3 blocks: got shape \(3, 4\)",
        ),
        (
            (Q, K, V, FULL.T),
            2,
            ValueError,
            r"layout must have 3 x 4 blocks: got shape \(4, 3\)",
        ),
        (
            (Q, K, V, FULL[0]),
            2,
            ValueError,
            r"layout must have axes \(..., rows, columns\): got shape \(4,\)",
        ),
        (
            (Q, K, V, FULL.astype(int)),
            2,
            TypeError,
            "layout must be boolean, True where a query may look",
        ),
        ((Q, K, V, FULL), 0, ValueError, "block must be at least 1: got 0"),
        (
            (np.ones((2, 5, 3)), K, V, np.ones((3, 3, 4), bool)),
            2,
            ValueError,
            "leading axes of q and k and v and layout must broadcast: "
            r"got q \(2,\), k \(\), v \(\), layout \(3,\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    form, arguments, block, error, message
):
    with pytest.raises(error, match=message):
        form(*arguments, block=block)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sparse.tiles(FULL, queries=-1, keys=7, block=2),
            "queries must be at least 0: got -1",
        ),
        (
            lambda: sparse.tiles(FULL, queries=5, keys=-1, block=2),
            "keys must be at least 0: got -1",
        ),
        (
            lambda: window_layout(3, 3, behind=-1, ahead=0),
            "behind must be at least 0: got -1",
        ),
        (
            lambda: window_layout(3, 3, behind=0, ahead=-1),
            "ahead must be at least 0: got -1",
        ),
        (
            lambda: window_layout(-1, 3, behind=0, ahead=0),
            "rows must be at least 0: got -1",
        ),
        (
            lambda: window_layout(3, -1, behind=0, ahead=0),
            "columns must be at least 0: got -1",
        ),
        (
            lambda: global_layout(3, 3, blocks=[0, 3]),
            "blocks must lie between 0 and columns - 1 = 2: got 3",
        ),
        (
            lambda: global_layout(3, 3, blocks=[-1]),
            "blocks must lie between 0 and columns - 1 = 2: got -1",
        ),
        (
            lambda: strided_layout(3, 3, stride=0),
            "stride must be at least 1: got 0",
        ),
        (
            lambda: strided_layout(-1, 3, stride=1),
            "rows must be at least 0: got -1",
        ),
        (
            lambda: strided_layout(3, -1, stride=1),
            "columns must be at least 0: got -1",
        ),
        (
            lambda: fixed_layout(3, 3, stride=2, summary=3),
            "summary must be at most stride: got summary=3, stride=2",
        ),
        (
            lambda: fixed_layout(3, 3, stride=2, summary=0),
            "summary must be at least 1: got 0",
        ),
        (
            lambda: random_layout(
                3, 3, per_row=4, rng=np.random.default_rng(0)
            ),
            "per_row must be at most columns: got per_row=4, columns=3",
        ),
        (
            lambda: random_layout(
                -1, 3, per_row=1, rng=np.random.default_rng(0)
            ),
            "rows must be at least 0: got -1",
        ),
        (
            lambda: random_layout(
                3, -1, per_row=1, rng=np.random.default_rng(0)
            ),
            "columns must be at least 0: got -1",
        ),
        (
            lambda: random_layout(
                3, 3, per_row=-1, rng=np.random.default_rng(0)
            ),
            "per_row must be at least 0: got -1",
        ),
    ],
)
def test_wrong_layouts_are_refused_with_what_must_hold(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_random_layouts_need_a_generator():
    with pytest.raises(
        TypeError, match="rng must be a NumPy Generator: got 7"
    ):
        random_layout(3, 3, per_row=1, rng=7)


def test_the_layouts_are_offered_beside_attention():
    for name in sparse.__all__:
        assert hasattr(sparse, name)
    assert sparse.density is sparse_layouts.density
