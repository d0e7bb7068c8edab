"""Masks against sorting by hand, eight bits against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense
from attncourse.reference.compress import (
    Quantised,
    QuantisedCache,
    cache_attention,
    cache_error_bound,
    dequantise,
    error_bound,
    global_masks,
    head_mask,
    int8_product,
    magnitude_mask,
    n_of_m_mask,
    prune,
    prune_heads,
    quantise,
    quantise_affine,
    quantise_cache,
    quantised_cache_bytes,
    row_mask,
    threshold_mask,
)
from attncourse.reference.heads import multi_head_attention
from attncourse.reference.heads_parts import Projections
from attncourse.reference.masks import causal_mask

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10**6)
few = st.lists(st.integers(-3, 3).map(float), min_size=0, max_size=9)
numbers = st.lists(
    st.floats(-1e6, 1e6, allow_nan=False), min_size=0, max_size=9
).map(np.array)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# --- pruning ---------------------------------------------------------------


@given(st.lists(few, max_size=4), st.integers(0, 40))
@quick
def test_exactly_the_largest_of_all_matrices_stay(matrices, keep):
    keep %= 1 + sum(map(len, matrices))
    masks = global_masks([np.array(each) for each in matrices], keep=keep)
    assert [len(each) for each in masks] == [len(each) for each in matrices]
    ranked = sorted(
        (-abs(value), k, n)
        for k, row in enumerate(matrices)
        for n, value in enumerate(row)
    )
    chosen = {(k, n) for _, k, n in ranked[:keep]}
    for k, mask in enumerate(masks):
        assert mask.dtype == bool
        for n, stays in enumerate(mask):
            assert stays == ((k, n) in chosen)


def test_more_than_there_are_is_all_of_them():
    masks = global_masks([[1, -5, 3], [4]], keep=2)
    assert [each.tolist() for each in masks] == [[False, True, False], [True]]
    assert global_masks([[1, 0]], keep=9)[0].tolist() == [True, True]
    assert global_masks([], keep=9) == []


@given(few, st.integers(0, 12))
@quick
def test_one_matrix_keeps_as_many_as_asked_ties_or_not(row, keep):
    weights = np.array(row)
    mask = magnitude_mask(weights, keep=keep)
    assert np.count_nonzero(mask) == min(keep, len(row))
    kept, gone = np.abs(weights[mask]), np.abs(weights[~mask])
    if len(kept) and len(gone):
        assert kept.min() >= gone.max()


def test_masks_have_the_shapes_of_their_matrices():
    one, two = draw(1, 3, 5), draw(2, 2, 3, 7)
    first, second = global_masks([one, two], keep=11)
    assert (first.shape, second.shape) == (one.shape, two.shape)
    assert np.count_nonzero(first) + np.count_nonzero(second) == 11
    threshold = np.sort(np.abs(np.concatenate([one.ravel(), two.ravel()])))[
        -11
    ]
    for mask, matrix in ((first, one), (second, two)):
        expected = threshold_mask(matrix, threshold=threshold)
        np.testing.assert_array_equal(mask, expected)
    assert magnitude_mask(one, keep=4).shape == (3, 5)


def test_a_global_threshold_may_empty_a_matrix_that_a_local_one_keeps():
    small, large = np.full((2, 2), 0.1), np.full((2, 2), 3.0)
    kept = [each.sum() for each in global_masks([small, large], keep=4)]
    assert kept == [0, 4]
    assert magnitude_mask(small, keep=2).tolist() == [
        [True, True],
        [False, False],
    ]


def test_rows_stay_by_their_length():
    weights = np.array([[3.0, 4.0], [5.1, 0.0], [4.0, 3.0], [0.0, 0.0]])
    assert row_mask(weights, keep=2).tolist() == [True, True, False, False]
    assert row_mask(weights, keep=0).tolist() == [False] * 4
    assert row_mask(weights, keep=9).tolist() == [True] * 4
    assert row_mask(np.zeros((3, 0)), keep=2).tolist() == [True, True, False]
    weights = draw(1, 11, 3)
    lengths = [sum(x * x for x in row) for row in weights.tolist()]
    best = set(np.argsort(lengths)[-4:].tolist())
    kept = np.flatnonzero(row_mask(weights, keep=4)).tolist()
    assert set(kept) == best


def test_the_length_of_a_huge_row_does_not_overflow():
    for size in (1e300, 1e-300):
        rows = size * np.array([[3.0, 4.0], [0.0, 6.0], [1.0, 1.0]])
        assert row_mask(rows, keep=1).tolist() == [False, True, False]
        assert row_mask(rows, keep=2).tolist() == [True, True, False]


def test_heads_stay_by_the_size_of_their_block():
    w = draw(1, 12, 5)
    sizes = [np.linalg.norm(w[4 * h : 4 * h + 4]) for h in range(3)]
    mask = head_mask(w, heads=3, keep=1)
    assert mask.tolist() == [size == max(sizes) for size in sizes]
    assert head_mask(np.zeros((0, 5)), heads=2, keep=1).tolist() == [
        True,
        False,
    ]


@given(seeds, st.sampled_from([(2, 4), (1, 2), (1, 3), (4, 4), (0, 2)]))
@quick
def test_of_every_group_of_neighbours_the_largest_stay(seed, pattern):
    keep, of = pattern
    weights = draw(seed, 2, 3, 12)
    mask = n_of_m_mask(weights, keep=keep, of=of)
    assert mask.shape == weights.shape
    for at in np.ndindex(2, 3):
        for start in range(0, 12, of):
            group = np.abs(weights[at][start : start + of])
            stays = mask[at][start : start + of]
            assert stays.sum() == keep
            assert set(np.flatnonzero(stays)) == set(
                np.argsort(-group)[:keep].tolist()
            )


def test_two_of_four_is_the_default_and_ties_go_to_the_earlier():
    got = n_of_m_mask([[1, -1, 1, 1, 0, 0, 0, 2]]).astype(int).tolist()
    assert got == [[1, 1, 0, 0, 1, 0, 0, 1]]
    assert n_of_m_mask(np.zeros((3, 0))).shape == (3, 0)
    assert n_of_m_mask(np.zeros((0, 4))).shape == (0, 4)


def test_what_is_pruned_is_zero_and_the_rest_untouched():
    weights = draw(1, 3, 5)
    mask = magnitude_mask(weights, keep=6)
    pruned = prune(weights, mask)
    np.testing.assert_array_equal(pruned[mask], weights[mask])
    assert not pruned[~mask].any()
    spoiled = np.where(mask, weights, np.nan)
    np.testing.assert_array_equal(prune(spoiled, mask), pruned)


@pytest.mark.parametrize("biases", [True, False])
def test_a_layer_without_heads_is_the_layer_with_their_rows_zero(biases):
    x, heads = draw(1, 2, 3, 6), 3
    widths = (6, 6, 9, 5)
    layer = Projections(
        draw(2, 6, 6),
        draw(3, 6, 6),
        draw(4, 6, 9),
        draw(5, 9, 5),
        *(
            [draw(6 + n, width) for n, width in enumerate(widths)]
            if biases
            else []
        ),
    )
    mask = np.array([True, False, True])
    silent = layer.w_output.copy()
    silent[3:6] = 0.0
    masked = Projections(
        layer.w_query,
        layer.w_key,
        layer.w_value,
        silent,
        layer.b_query,
        layer.b_key,
        layer.b_value,
        layer.b_output,
    )
    smaller = prune_heads(layer, mask)
    assert smaller.w_value.shape == (6, 6)
    assert smaller.w_output.shape == (6, 5)
    np.testing.assert_allclose(
        multi_head_attention(x, x, smaller, heads=2),
        multi_head_attention(x, x, masked, heads=heads),
        atol=1e-12,
    )
    assert layer.w_output[3:6].all()


# --- eight bits ------------------------------------------------------------


@given(numbers, st.sampled_from([quantise, quantise_affine]))
@quick
def test_no_number_moves_by_more_than_half_a_step(x, function):
    got = function(x)
    assert got.codes.dtype == np.int8
    assert got.codes.shape == x.shape
    assert got.scale.shape == got.zero.shape == (1,)
    # In exact arithmetic: x / step may round, by less than 2^-45 here.
    step = Fraction(got.scale.item())
    for value, code in zip(x.tolist(), got.codes.tolist(), strict=True):
        stands_for = (code - int(got.zero.item())) * step
        error = abs(Fraction(value) - stands_for)
        assert error <= step / 2 * (1 + Fraction(1, 2**40))
        if function is quantise:
            assert abs(code) <= 127
    np.testing.assert_allclose(error_bound(got), float(step) / 2)
    worst = np.abs(dequantise(got) - x)
    assert np.all(worst <= error_bound(got) * (1 + 1e-9))


@given(numbers)
@quick
def test_the_step_is_as_small_as_the_codes_allow(x):
    if not np.abs(x).max(initial=0.0) > 1e-300:
        return
    scale = quantise(x).scale.item()
    assert scale == pytest.approx(np.abs(x).max() / 127)
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    affine = quantise_affine(x)
    assert affine.scale.item() == pytest.approx((high - low) / 255)
    assert dequantise(affine).max(initial=0.0) == pytest.approx(
        high, abs=affine.scale.item() / 2 * (1 + 1e-9)
    )
    for zeroed in (quantise, quantise_affine):
        with_zero = zeroed(np.append(x, 0.0))
        assert dequantise(with_zero)[-1] == 0.0


def test_halves_go_to_the_even_neighbour():
    x = np.array([127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    assert quantise(x).codes.tolist() == [127, 0, 2, 2, 0, -2, -2]
    x = np.array([255.0, 0.5, 1.5, 2.5, 3.5])
    got = quantise_affine(x)
    assert got.scale.item() == 1.0
    assert (got.codes.astype(int) + 128).tolist() == [255, 0, 2, 2, 4]
    # The zero point lies half-way here and goes to the even neighbour.
    both = quantise_affine(np.array([-2.5, 252.5]))
    assert both.zero.item() == -126
    assert both.codes.tolist() == [-128, 126]
    both = quantise_affine(np.array([-3.5, 251.5]))
    assert both.zero.item() == -124
    assert both.codes.tolist() == [-128, 127]


def test_codes_reach_both_ends_and_no_further():
    assert quantise([-3.0, 3.0]).codes.tolist() == [-127, 127]
    assert quantise_affine([-3.0, 3.0]).codes.tolist()[0] == -128
    assert quantise_affine([-4.0, -2.0]).codes.tolist() == [-128, -1]
    assert quantise_affine([-4.0, -2.0]).zero.item() == 127
    assert quantise_affine([4.0, 2.0]).zero.item() == -128


@pytest.mark.parametrize("function", [quantise, quantise_affine])
@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (None, (1, 1, 1)),
        (0, (1, 3, 5)),
        (-1, (2, 3, 1)),
        ((0, 1), (1, 1, 5)),
    ],
)
def test_a_step_is_shared_along_the_given_axes(function, axis, shape):
    x = draw(1, 2, 3, 5)
    got = function(x, axis=axis)
    assert got.codes.shape == x.shape
    assert got.scale.shape == got.zero.shape == shape
    scale, zero = (np.broadcast_to(each, x.shape) for each in got[1:])
    axes = range(3) if axis is None else np.atleast_1d(axis) % 3
    for at in np.ndindex(2, 3, 5):
        mine = tuple(slice(None) if n in axes else at[n] for n in range(3))
        alone = function(x[mine])
        assert scale[at] == alone.scale.item()
        assert zero[at] == alone.zero.item()
        np.testing.assert_array_equal(got.codes[mine], alone.codes)


def test_a_code_beyond_an_end_stays_at_the_end():
    # The lowest number lies a hair below half a step under zero. Both
    # roundings go down; eight bits would turn -129 into 127.
    x = np.array([-1.0, 508.9999999999995])
    got = quantise_affine(x)
    assert got.codes.tolist() == [-128, 126]
    np.testing.assert_allclose(dequantise(got), x, atol=1.0 + 1e-9)


def test_an_outlier_spoils_only_those_that_share_its_step():
    x = draw(1, 64, 8)
    x[5, 3] = 1000.0
    tensor, channel = quantise(x), quantise(x, axis=0)
    rest = np.arange(8) != 3
    lost = np.abs(dequantise(tensor) - x)[:, rest]
    assert np.all(dequantise(tensor)[:, rest] == 0.0)
    kept = np.abs(dequantise(channel) - x)[:, rest]
    assert kept.max() < 0.02
    assert lost.max() > 100 * kept.max()


@pytest.mark.parametrize("function", [quantise, quantise_affine])
def test_zeros_stay_zero_and_have_a_step_of_one(function):
    got = function(np.zeros((3, 4)), axis=1)
    assert got.scale.tolist() == [[1.0]] * 3
    assert dequantise(got).tolist() == np.zeros((3, 4)).tolist()
    mixed = np.zeros((2, 3))
    mixed[1] = 7.0
    np.testing.assert_allclose(dequantise(function(mixed, axis=1)), mixed)


@pytest.mark.parametrize("function", [quantise, quantise_affine])
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_nothing_is_quantised_to_nothing(function, shape):
    got = function(np.zeros(shape))
    assert got.codes.shape == shape
    assert dequantise(got).shape == shape
    assert got.scale.size == 1
    assert function(np.zeros(shape), axis=0).codes.shape == shape


def test_the_smallest_and_the_largest_numbers_have_codes():
    tiny = np.finfo(np.float64).tiny
    for function, steps in ((quantise, 127), (quantise_affine, 255)):
        assert function([steps * tiny]).scale.item() == tiny
        assert function([tiny]).scale.item() == 1.0
        assert dequantise(function([tiny])).item() == 0.0
        huge = np.array([1.7e308, -1.7e308])
        got = function(huge)
        np.testing.assert_allclose(dequantise(got), huge, rtol=0.01)


@given(seeds)
@quick
def test_products_of_codes_are_those_of_the_numbers_they_stand_for(seed):
    x, w = draw(seed, 2, 3, 5), draw(seed + 1, 5, 7)
    for left in (
        quantise(x),
        quantise(x, axis=-1),
        quantise_affine(x, axis=2),
    ):
        for right in (quantise(w), quantise(w, axis=0), quantise_affine(w)):
            got = int8_product(left, right)
            expected = dequantise(left) @ dequantise(right)
            np.testing.assert_allclose(got, expected, atol=1e-12)
    left, right = quantise(x, axis=-1), quantise(w, axis=0)
    bound = np.abs(x) @ error_bound(right).repeat(5, axis=0)
    bound = bound + error_bound(left) * np.abs(dequantise(right)).sum(axis=0)
    assert np.all(np.abs(int8_product(left, right) - x @ w) <= bound + 1e-12)


def test_sums_of_the_longest_product_do_not_overflow():
    inner = 33025
    x = Quantised(
        np.full((1, inner), 127, np.int8),
        np.ones((1, 1)),
        np.full((1, 1), -128),
    )
    w = Quantised(
        np.full((inner, 1), 127, np.int8),
        np.ones((1, 1)),
        np.full((1, 1), -128),
    )
    assert int8_product(x, w).item() == inner * 255 * 255
    assert inner * 255 * 255 < 2**31 <= (inner + 1) * 255 * 255
    longer = x._replace(codes=np.ones((1, inner + 1), np.int8))
    with pytest.raises(
        ValueError, match="inner must be at most 33025, or 32 b"
    ):
        int8_product(
            longer, w._replace(codes=np.ones((inner + 1, 1), np.int8))
        )


# --- the cache -------------------------------------------------------------


def cache_of(seed=0, *, batch=(2,), keys=7):
    k, v = draw(seed, *batch, keys, 5), draw(seed + 1, *batch, keys, 11)
    return k, v, quantise_cache(k, v)


def test_every_token_of_every_head_has_its_own_steps():
    k, v, cache = cache_of(batch=(2, 3))
    assert cache.keys.scale.shape == (2, 3, 7, 1)
    assert cache.values.scale.shape == (2, 3, 7, 1)
    for at in np.ndindex(2, 3, 7):
        np.testing.assert_array_equal(
            cache.keys.codes[at], quantise(k[at]).codes
        )
        np.testing.assert_array_equal(
            cache.values.codes[at], quantise(v[at]).codes
        )
    longer = quantise_cache(
        np.concatenate([k, k], -2), np.concatenate([v, v], -2)
    )
    np.testing.assert_array_equal(
        longer.keys.codes[..., :7, :], cache.keys.codes
    )
    np.testing.assert_array_equal(
        longer.values.scale[..., :7, :], cache.values.scale
    )


def test_a_cache_grows_by_joining_codes_and_steps():
    k, v, whole = cache_of(3)
    parts = [
        quantise_cache(k[:, tokens], v[:, tokens])
        for tokens in (slice(4), slice(4, 7))
    ]
    grown = QuantisedCache(
        *(
            Quantised(
                *(np.concatenate(x, -2) for x in zip(*both, strict=True))
            )
            for both in zip(*parts, strict=True)
        )
    )
    q = draw(5, 2, 3, 5)
    np.testing.assert_array_equal(
        cache_attention(q, grown), cache_attention(q, whole)
    )


@given(seeds, st.sampled_from([0.3, 1.0, 30.0]))
@quick
def test_attention_to_a_cache_is_near_as_promised(seed, size):
    q, (k, v, cache) = size * draw(seed + 2, 2, 3, 5), cache_of(seed)
    stands_for = dequantise(cache.keys), dequantise(cache.values)
    some = np.random.default_rng(seed).random((3, 7)) < 0.4
    for mask in (None, causal_mask(3, 7), some):
        got = cache_attention(q, cache, mask=mask)
        expected = dense.attention(q, *stands_for, mask=mask)
        np.testing.assert_allclose(got, expected, atol=1e-10)
        bound = cache_error_bound(q, cache, mask=mask)
        assert bound.shape == got.shape
        exact = dense.attention(q, k, v, mask=mask)
        assert np.all(np.abs(got - exact) <= bound + 1e-10)


def test_the_bound_is_its_formula_over_the_keys_that_are_seen():
    q, (_, _, cache) = draw(3, 3, 5), cache_of(4, batch=())
    mask = (
        np.array([[1, 1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0], [0] * 7]) > 0
    )
    got = cache_error_bound(q, cache, mask=mask)
    v = dequantise(cache.values)
    for i, seen in enumerate([[0, 1, 6], [3]]):
        score = max(
            sum(abs(q[i])) * cache.keys.scale[j, 0] / 2 / 5**0.5 for j in seen
        )
        step = max(cache.values.scale[j, 0] / 2 for j in seen)
        for c in range(11):
            column = [v[j, c] for j in seen]
            spread = (max(column) - min(column)) / 2
            assert got[i, c] == pytest.approx(step + spread * score)
    assert not got[2].any()
    stacked = quantise_cache(*(dequantise(each)[None] for each in cache))
    batch = cache_error_bound(q[None], stacked, mask=mask)
    np.testing.assert_allclose(batch[0], got, rtol=1e-6)
    everything = cache_error_bound(q, cache)
    whole = cache_error_bound(q, cache, mask=np.ones((3, 7), bool))
    np.testing.assert_array_equal(everything, whole)


def test_the_bound_is_nearly_reached():
    # Two keys whose errors pull the scores apart.
    k = np.array([[127.0, 0.499], [127.0, -0.499]])
    v = np.array([[127.0], [-127.0]])
    q = np.array([[0.0, 0.001]])
    cache = quantise_cache(k, v)
    error = abs(cache_attention(q, cache) - dense.attention(q, k, v)).item()
    bound = cache_error_bound(q, cache).item() - 0.5  # values are exact
    assert 0.95 * bound < error <= bound


def test_a_cache_without_tokens_or_a_row_without_keys_gives_zeros():
    cache = quantise_cache(np.zeros((0, 5)), np.zeros((0, 3)))
    q = np.ones((2, 5))
    assert cache_attention(q, cache).tolist() == [[0.0] * 3] * 2
    assert cache_error_bound(q, cache).tolist() == [[0.0] * 3] * 2
    k, v, cache = cache_of(batch=())
    q = np.ones((9, 5))
    output = cache_attention(q, cache, mask=causal_mask(9, 7))
    assert not output[:2].any()
    assert output[2:].all()
    no_values = quantise_cache(k, v[:, :0])
    assert cache_attention(q, no_values).shape == (9, 0)


def test_one_wide_key_is_returned():
    cache = quantise_cache([[2.0]], [[127.0, 64.0]])
    assert cache_attention([[3.0]], cache).tolist() == [[127.0, 64.0]]


def test_bytes_are_those_of_the_arrays():
    _, _, cache = cache_of(batch=(3,))
    held = sum(
        each.codes.nbytes + each.scale.astype(np.float32).nbytes
        for each in cache
    )
    sizes = {"tokens": 7, "groups": 3, "dim": 5, "value_dim": 11}
    assert quantised_cache_bytes(**sizes) == held == 504
    assert quantised_cache_bytes(**sizes, scale_bytes=2) == 7 * 3 * 20
    assert quantised_cache_bytes(**{**sizes, "tokens": 0}) == 0


# --- contract --------------------------------------------------------------


def test_lists_tensors_and_single_precision_are_read():
    x = draw(1, 3, 5).astype(np.float32)
    one, two = quantise(x), quantise(torch.tensor(x))
    np.testing.assert_array_equal(one.codes, two.codes)
    assert one.scale.dtype == two.scale.dtype == np.float64
    np.testing.assert_array_equal(
        magnitude_mask(x.tolist(), keep=3), magnitude_mask(x, keep=3)
    )
    x.flags.writeable = False
    quantise(x)
    prune(x, magnitude_mask(x, keep=2))


W, CODES = np.ones((4, 6)), np.ones((4, 6), np.int8)
ONE = Quantised(CODES, np.ones((1, 1)), np.zeros((1, 1)))
LAYER = Projections(*np.ones((4, 6, 6)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: magnitude_mask([1.0, np.nan], keep=1),
            ValueError,
            "weights must be finite: got 1 of 2 numbers that are not",
        ),
        (
            lambda: threshold_mask([np.inf], threshold=1.0),
            ValueError,
            "weights must be finite: got 1 of 1",
        ),
        (
            lambda: n_of_m_mask([np.nan] * 4),
            ValueError,
            "weights must be finite: got 4 of 4",
        ),
        (
            lambda: quantise([np.inf, -np.inf, 0.0]),
            ValueError,
            "x must be finite: got 2 of 3",
        ),
        (
            lambda: quantise_affine([np.nan]),
            ValueError,
            "x must be finite: got 1 of 1",
        ),
        (
            lambda: quantise_cache(np.full((2, 3), np.nan), np.ones((2, 3))),
            ValueError,
            "x must be finite: got 6 of 6",
        ),
        (
            lambda: magnitude_mask(W, keep=-1),
            ValueError,
            "keep must be at least 0: got -1",
        ),
        (
            lambda: row_mask(W, keep=-1),
            ValueError,
            "keep must be at least 0: got -1",
        ),
        (
            lambda: row_mask(np.ones((2, 3, 5)), keep=1),
            ValueError,
            r"weights must have two axes: got shape \(2, 3, 5\)",
        ),
        (
            lambda: head_mask(W, heads=3, keep=1),
            ValueError,
            "rows must split evenly into heads: got rows=4, heads=3",
        ),
        (
            lambda: head_mask(W, heads=0, keep=1),
            ValueError,
            "heads must be at least 1: got 0",
        ),
        (
            lambda: n_of_m_mask(W),
            ValueError,
            "inner must split evenly into groups of at least keep: "
            "got inner=6, of=4, keep=2",
        ),
        (
            lambda: n_of_m_mask(np.ones(6)),
            ValueError,
            "got inner=6, of=4, keep=2",
        ),
        (
            lambda: n_of_m_mask(W, keep=4, of=3),
            ValueError,
            "got inner=6, of=3, keep=4",
        ),
        (
            lambda: n_of_m_mask(W, keep=-1, of=3),
            ValueError,
            "keep must be at least 0: got -1",
        ),
        (
            lambda: n_of_m_mask(W, of=0),
            ValueError,
            "of must be at least 1: got 0",
        ),
        (
            lambda: prune(W, np.ones((4, 1), bool)),
            ValueError,
            r"weights and mask must have one shape: "
            r"got weights \(4, 6\), mask \(4, 1\)",
        ),
        (lambda: prune(W, W), TypeError, "mask must be boolean"),
        (
            lambda: prune_heads(LAYER, np.ones(4, bool)),
            ValueError,
            "columns must split evenly into heads: got columns=6, heads=4",
        ),
        (
            lambda: prune_heads(LAYER, np.ones(0, bool)),
            ValueError,
            r"mask must have one axis, of at least one head: got shape \(0,\)",
        ),
        (
            lambda: prune_heads(LAYER, np.ones((2, 3), bool)),
            ValueError,
            r"of at least one head: got shape \(2, 3\)",
        ),
        (
            # Two heads share each key: their columns are not a head's own.
            lambda: prune_heads(
                Projections(W.T, W.T[:, :2], W.T, W), np.ones(2, bool)
            ),
            ValueError,
            "w_query and w_key must agree in columns: got w_query=4, w_key=2",
        ),
        (
            lambda: prune_heads(
                Projections(*np.ones((4, 6, 6)), b_key=np.ones(4)),
                np.ones(2, bool),
            ),
            ValueError,
            "bias and weight must agree in columns: got bias=4, weight=6",
        ),
        (
            lambda: prune_heads(
                Projections(*np.ones((4, 2, 6, 6))), np.ones(2, bool)
            ),
            ValueError,
            r"w_query must have two axes: got shape \(2, 6, 6\)",
        ),
        (
            lambda: head_mask(np.ones((2, 6, 4)), heads=2, keep=1),
            ValueError,
            r"w_output must have two axes: got shape \(2, 6, 4\)",
        ),
        (
            lambda: head_mask([[np.inf]], heads=1, keep=1),
            ValueError,
            "w_output must be finite: got 1 of 1",
        ),
        (
            lambda: row_mask([[np.nan]], keep=1),
            ValueError,
            "weights must be finite: got 1 of 1",
        ),
        (
            lambda: threshold_mask(W, threshold=np.nan),
            ValueError,
            "threshold must be finite: got 1 of 1",
        ),
        (
            lambda: threshold_mask(W, threshold="1"),
            TypeError,
            "threshold must hold real numbers",
        ),
        (
            lambda: threshold_mask(W, threshold=W[0]),
            ValueError,
            r"threshold must be one number: got shape \(6,\)",
        ),
        (
            lambda: quantise(W, axis=2),
            ValueError,
            r"axis must name axes of shape \(4, 6\), each once: got 2",
        ),
        (
            lambda: quantise(W, axis=(0, -2)),
            ValueError,
            r"axes of shape \(4, 6\), each once: got \(0, -2\)",
        ),
        (
            lambda: quantise_affine(W, axis=-3),
            ValueError,
            "axis must be at least -2: got -3",
        ),
        (
            lambda: quantise_affine(W, axis="rows"),
            TypeError,
            "axis must be a whole number: got 'rows'",
        ),
        (
            lambda: dequantise(W),
            TypeError,
            "quantised must be Quantised: got ndarray",
        ),
        (
            lambda: int8_product(ONE, ONE._replace(zero=np.array([[128]]))),
            ValueError,
            "zero must hold whole numbers from -128 to 127: got ",
        ),
        (
            lambda: dequantise(ONE._replace(zero=np.array([[-129]]))),
            ValueError,
            "zero must hold whole numbers from -128 to 127: got ",
        ),
        (
            lambda: dequantise(ONE._replace(zero=np.array([[0.5]]))),
            ValueError,
            "zero must hold whole numbers from -128 to 127: got ",
        ),
        (
            lambda: cache_attention(
                np.ones((3, 1, 6)), quantise_cache(*np.ones((2, 2, 4, 6)))
            ),
            ValueError,
            "leading axes of q and keys and values must broadcast",
        ),
        (
            lambda: cache_attention(
                np.ones((3, 1, 6)),
                QuantisedCache(quantise(np.ones((2, 4, 6))), quantise(W)),
            ),
            ValueError,
            r"must broadcast: got q \(3,\), keys \(2,\), values \(\)",
        ),
        (
            lambda: cache_attention(
                np.ones((3, 1, 6)),
                QuantisedCache(quantise(W), quantise(np.ones((2, 4, 6)))),
            ),
            ValueError,
            r"must broadcast: got q \(3,\), keys \(\), values \(2,\)",
        ),
        (
            lambda: cache_attention(
                W, QuantisedCache(quantise(W), quantise(W[:3]))
            ),
            ValueError,
            "keys and values must agree in keys: got keys=4, values=3",
        ),
        (
            lambda: cache_attention(
                W[:1], quantise_cache(W, W), mask=np.ones((3, 4), bool)
            ),
            ValueError,
            r"mask must fit the scores, .* got \(3, 4\)",
        ),
        (
            lambda: prune_heads(
                Projections(*np.ones((3, 6, 6)), np.ones((3, 6))),
                np.ones(3, bool),
            ),
            ValueError,
            "w_value and w_output must agree in heads: "
            "got w_value=6, w_output=3",
        ),
        (
            lambda: dequantise(ONE._replace(codes=W)),
            TypeError,
            "quantised must hold int8 codes: got float64",
        ),
        (
            lambda: dequantise(ONE._replace(scale=np.ones((4, 2)))),
            ValueError,
            r"scale and zero must fit codes of shape \(4, 6\): "
            r"got \(4, 2\) and \(1, 1\)",
        ),
        (
            lambda: dequantise(ONE._replace(zero=np.ones(1))),
            ValueError,
            r"must fit codes of shape \(4, 6\): got \(1, 1\) and \(1,\)",
        ),
        (
            lambda: int8_product(ONE, ONE),
            ValueError,
            "x and w must agree in inner: got x=6, w=4",
        ),
        (
            lambda: int8_product(quantise(W, axis=0), quantise(W.T)),
            ValueError,
            r"scales must not vary along the inner axis: "
            r"got x \(1, 6\), w \(1, 1\)",
        ),
        (
            lambda: int8_product(quantise(W), quantise(W.T, axis=1)),
            ValueError,
            r"got x \(1, 1\), w \(6, 1\)",
        ),
        (
            lambda: int8_product(quantise(W[0]), quantise(W.T)),
            ValueError,
            r"x must have axes \(..., rows, inner\) and w \(inner, columns\): "
            r"got shapes \(6,\) and \(6, 4\)",
        ),
        (
            lambda: int8_product(quantise(W), quantise(np.ones((2, 6, 4)))),
            ValueError,
            r"got shapes \(4, 6\) and \(2, 6, 4\)",
        ),
        (
            lambda: quantise_cache(W, W[:3]),
            ValueError,
            "k and v must agree in keys: got k=4, v=3",
        ),
        (
            lambda: cache_attention(W[:, :5], quantise_cache(W, W)),
            ValueError,
            "q and keys must agree in dim: got q=5, keys=6",
        ),
        (
            lambda: cache_attention(W[:, :0], quantise_cache(W[:, :0], W)),
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            lambda: cache_attention(
                W[None, :, :0], quantise_cache(W[None, :, :0], W[None])
            ),
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            lambda: quantised_cache_bytes(
                tokens=-1, groups=1, dim=1, value_dim=1
            ),
            ValueError,
            "tokens must be at least 0: got -1",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
