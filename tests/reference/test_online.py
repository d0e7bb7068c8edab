"""Online softmax and tiled attention against all keys at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense, softmax
from attncourse.reference.masks import causal_mask
from attncourse.reference.online import (
    Normalizer,
    Partial,
    attention,
    merge,
    merge_normalizers,
    online_normalizer,
    online_softmax,
    partial_attention,
)

quick = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 7)
seeds = st.integers(0, 10**6)
rows = st.lists(
    st.floats(-1e4, 1e4, allow_nan=False), min_size=1, max_size=11
).map(np.array)


def triple(seed=0, *, batch=(2,), queries=3, keys=5, dim=7, value_dim=11):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*batch, queries, dim)),
        rng.normal(size=(*batch, keys, dim)),
        rng.normal(size=(*batch, keys, value_dim)),
    )


@given(rows)
@quick
def test_one_pass_finds_the_maximum_and_the_sum(row):
    highest, total = online_normalizer(row)
    assert highest == row.max()
    np.testing.assert_allclose(total, np.exp(row - row.max()).sum())
    assert highest + np.log(total) == pytest.approx(softmax.log_sum_exp(row))


@given(rows)
@quick
def test_two_passes_give_the_softmax(row):
    np.testing.assert_allclose(
        online_softmax(row), softmax.softmax(row), rtol=1e-12, atol=1e-300
    )


@given(rows, rows)
@quick
def test_merged_normalizers_are_those_of_all_scores(one, two):
    merged = merge_normalizers(online_normalizer(one), online_normalizer(two))
    whole = online_normalizer(np.concatenate([one, two]))
    assert merged.highest == whole.highest
    np.testing.assert_allclose(merged.total, whole.total)


def test_axes_before_the_keys_are_rows_of_their_own():
    scores = np.random.default_rng(1).normal(size=(2, 3, 5))
    highest, total = online_normalizer(scores)
    assert highest.shape == total.shape == (2, 3)
    np.testing.assert_allclose(online_softmax(scores), softmax.softmax(scores))


def test_rows_without_a_score_have_no_weight():
    assert online_softmax([[-np.inf, -np.inf]]).tolist() == [[0.0, 0.0]]
    assert online_softmax([-np.inf, 0.0]).tolist() == [0.0, 1.0]
    highest, total = online_normalizer([0.0, -np.inf])
    assert (highest, total) == (0.0, 1.0)
    highest, total = online_normalizer(np.zeros((3, 0)))
    assert highest.tolist() == [-np.inf] * 3
    assert total.tolist() == [0.0] * 3
    assert online_softmax(np.zeros((3, 0))).shape == (3, 0)
    nothing = Normalizer(-np.inf, 0.0)
    assert merge_normalizers(nothing, nothing) == nothing


@given(seeds, sizes, sizes, sizes)
@quick
def test_merged_parts_are_the_whole(seed, queries, keys, more):
    q, k, v = triple(seed, queries=queries, keys=keys + more)
    parts = [
        partial_attention(q, k[:, at], v[:, at])
        for at in (slice(keys), slice(keys, None))
    ]
    for first, second in (parts, parts[::-1]):
        merged = merge(first, second)
        whole = partial_attention(q, k, v)
        np.testing.assert_allclose(merged.output, whole.output, atol=1e-12)
        np.testing.assert_allclose(merged.lse, whole.lse, atol=1e-12)


def test_merging_is_associative():
    q, k, v = triple(2, keys=13)
    cuts = (slice(0, 2), slice(2, 7), slice(7, 13))
    a, b, c = (partial_attention(q, k[:, at], v[:, at]) for at in cuts)
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    np.testing.assert_allclose(left.output, right.output, atol=1e-12)
    np.testing.assert_allclose(left.lse, right.lse, atol=1e-12)


def test_a_side_that_saw_nothing_adds_nothing():
    q, k, v = triple(3)
    whole = partial_attention(q, k, v)
    nothing = partial_attention(q, k[:, :0], v[:, :0])
    assert nothing.output.tolist() == np.zeros((2, 3, 11)).tolist()
    assert nothing.lse.tolist() == np.full((2, 3), -np.inf).tolist()
    for merged in (merge(whole, nothing), merge(nothing, whole)):
        np.testing.assert_allclose(merged.output, whole.output, atol=1e-15)
        np.testing.assert_array_equal(merged.lse, whole.lse)
    both = merge(nothing, nothing)
    assert not both.output.any()
    assert np.all(both.lse == -np.inf)


def test_distant_parts_merge_without_overflow():
    near = Partial(np.array([[1.0]]), np.array([1e4]))
    far = Partial(np.array([[3.0]]), np.array([-1e4]))
    assert merge(near, far).output.item() == 1.0
    assert merge(far, near).lse.item() == 1e4
    even = merge(near, Partial(np.array([[3.0]]), np.array([1e4])))
    assert even.output.item() == pytest.approx(2.0)
    low = merge(far, far)
    assert low.output.item() == pytest.approx(3.0)


@given(seeds, sizes, sizes, sizes, sizes, sizes)
@quick
def test_tiles_change_nothing(seed, queries, keys, dim, value_dim, tile):
    q, k, v = triple(
        seed, queries=queries, keys=keys, dim=dim, value_dim=value_dim
    )
    mask = np.random.default_rng(seed).random((queries, keys)) < 0.6
    for allowed in (None, mask, causal_mask(queries, keys)):
        truth = dense.attention(q, k, v, mask=allowed)
        answer = attention(q, k, v, mask=allowed, tile=tile)
        np.testing.assert_allclose(answer, truth, atol=1e-12)
        said = partial_attention(q, k, v, mask=allowed)
        np.testing.assert_allclose(said.output, truth, atol=1e-12)


def test_the_default_tile_is_crossed_without_a_seam():
    q, k, v = triple(4, queries=67, keys=131)
    mask = causal_mask(67, 131)
    truth = dense.attention(q, k, v, mask=mask)
    np.testing.assert_allclose(
        attention(q, k, v, mask=mask), truth, atol=1e-12
    )


def test_no_tile_is_larger_than_asked(monkeypatch):
    from attncourse.reference import online

    seen = []
    whole = online.partial_attention

    def watched(q, k, v, *, mask):
        seen.append((q.shape[-2], k.shape[-2], mask.shape[-2:]))
        return whole(q, k, v, mask=mask)

    monkeypatch.setattr(online, "partial_attention", watched)
    online.attention(*triple(5, queries=5, keys=7), tile=4)
    assert seen == [
        (4, 4, (4, 4)),
        (4, 3, (4, 3)),
        (1, 4, (1, 4)),
        (1, 3, (1, 3)),
    ]
    seen.clear()
    online.attention(*triple(5, queries=64, keys=65))
    assert [each[:2] for each in seen] == [(64, 64), (64, 1)]


def test_rows_that_see_nothing_are_zero():
    q, k, v = triple(6, queries=5, keys=3)
    output = attention(q, k, v, mask=causal_mask(5, 3), tile=2)
    assert not output[:, :2].any()
    assert output[:, 2:].all()
    said = partial_attention(q, k, v, mask=causal_mask(5, 3))
    assert np.all(said.lse[:, :2] == -np.inf)
    np.testing.assert_array_equal(said.lse[:, 2:] > -np.inf, True)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("tile", [2, 3, 64])
def test_what_may_not_be_seen_has_no_influence(poison, tile):
    q, k, v = triple(7, batch=(), queries=5, keys=5)
    mask = causal_mask(5, 5)
    clean = attention(q, k, v, mask=mask, tile=tile)
    k[4] = v[4] = poison
    with np.errstate(invalid="ignore"):
        spoiled = attention(q, k, v, mask=mask, tile=tile)
    np.testing.assert_allclose(spoiled[:4], clean[:4], atol=1e-15)
    assert np.isnan(spoiled[4]).all()


def test_a_spoiled_value_spoils_its_column_only():
    q, k, v = triple(8, batch=(), queries=2, keys=3)
    v[1, 4] = np.nan
    output = attention(q, k, v, tile=2)
    assert np.argwhere(np.isnan(output)).tolist() == [[0, 4], [1, 4]]


def test_a_mask_row_or_column_may_serve_all():
    q, k, v = triple(9)
    for mask in (
        np.array([[True, False, True, True, False]]),
        np.array([[True], [False], [True]]),
        np.array(True).reshape(1, 1),
        np.arange(30).reshape(2, 3, 5) % 4 > 0,
    ):
        np.testing.assert_allclose(
            attention(q, k, v, mask=mask, tile=2),
            dense.attention(q, k, v, mask=mask),
            atol=1e-12,
        )


def test_leading_axes_broadcast():
    q, _, _ = triple(10, batch=(2, 1))
    _, k, v = triple(11, batch=(3,))
    mask = np.ones((4, 1, 1, 1, 5), bool)
    output = attention(q, k, v, mask=mask, tile=2)
    assert output.shape == (4, 2, 3, 3, 11)
    np.testing.assert_allclose(output[3], dense.attention(q, k, v), atol=1e-12)
    said = partial_attention(q, k, v[..., None, :, :, :])
    assert said.lse.shape == said.output.shape[:-1]
    wider = partial_attention(q[0, 0], k[0], v)
    assert wider.lse.shape == wider.output.shape[:-1] == (3, 3)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousand_stay_exact(scale):
    q, k, v = triple(12)
    np.testing.assert_allclose(
        attention(scale * q, k, v, tile=2),
        dense.attention(scale * q, k, v),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 5, 3), (3, 0, 2), (3, 5, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    arrays = triple(queries=queries, keys=keys, value_dim=value_dim)
    output = attention(*arrays)
    assert output.shape == (2, queries, value_dim)
    assert not output.any()
    said = partial_attention(*arrays)
    assert said.output.shape == output.shape
    assert said.lse.shape == (2, queries)


def test_answers_are_float64_and_inputs_left_alone():
    arrays = triple(13)
    truth = attention(*(each.astype(np.float32) for each in arrays), tile=2)
    assert truth.dtype == np.float64
    tensors = [torch.from_numpy(each).float() for each in arrays]
    np.testing.assert_array_equal(attention(*tensors, tile=2), truth)
    before = [each.copy() for each in arrays]
    for each in arrays:
        each.flags.writeable = False
    attention(*arrays, tile=2)
    np.testing.assert_array_equal(arrays[2], before[2])
    first, second = (partial_attention(*arrays) for _ in range(2))
    kept = first.output.copy()
    merge(first, second)
    np.testing.assert_array_equal(first.output, kept)


def test_one_key_is_returned():
    q, k, v = triple(14, keys=1)
    np.testing.assert_allclose(
        attention(q, k, v), np.broadcast_to(v, (2, 3, 11)), atol=1e-15
    )


Q, K, V = np.ones((3, 5)), np.ones((7, 5)), np.ones((7, 2))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (
            (Q, K[:, :4], V),
            {},
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            (Q, K, V[:6]),
            {},
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        ((Q[:, :0], K[:, :0], V), {}, ValueError, "dim must be at least 1"),
        (
            (Q, K, V),
            {"mask": np.ones((7, 3), bool)},
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\) = "
            r"\(\.\.\., 3, 7\): got \(7, 3\)",
        ),
        (
            (Q, K, V),
            {"mask": np.ones((3, 2), bool)},
            ValueError,
            r"must fit the scores.*got \(3, 2\)",
        ),
        (
            (Q, K, V),
            {"mask": np.ones((3, 7))},
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            (Q, K, V),
            {"mask": np.ones(7, bool)},
            ValueError,
            r"mask must have axes \(\.\.\., queries, keys\): "
            r"got shape \(7,\)",
        ),
        (
            (np.ones((2, 3, 5)), np.ones((3, 7, 5)), V),
            {},
            ValueError,
            "leading axes of q and k and v and mask must broadcast",
        ),
        (
            (Q, K, V),
            {"tile": 0},
            ValueError,
            "tile must be at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    arguments, options, error, message
):
    with pytest.raises(error, match=message):
        attention(*arguments, **options)
