"""The reference masks against loops, torch and what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.dense import attention, attention_weights
from attncourse.reference.masks import (
    block_mask,
    causal_mask,
    combine_masks,
    document_mask,
    global_mask,
    local_mask,
    masked_mean,
    padding_mask,
    prefix_mask,
    strided_mask,
    unite_masks,
    window_mask,
)
from attncourse.reference.masks_patterns import whole
from attncourse.reference.softmax import masked_softmax

sizes = st.integers(0, 7)
quick = settings(max_examples=40, deadline=None)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Padding


@settings(deadline=None)
@given(st.data(), st.integers(0, 11))
def test_padding_mask_is_true_exactly_before_each_length(data, keys):
    lengths = data.draw(st.lists(st.integers(0, keys), max_size=5))
    mask = padding_mask(lengths, keys=keys)
    assert mask.shape == (len(lengths), 1, keys)
    assert mask.dtype == bool
    for row, length in zip(mask, lengths, strict=True):
        assert row[0].tolist() == [True] * length + [False] * (keys - length)


def test_padding_mask_keeps_every_axis_of_lengths():
    lengths = np.array([[1, 5, 0], [2, 3, 4]])
    mask = padding_mask(lengths, keys=5)
    assert mask.shape == (2, 3, 1, 5)
    np.testing.assert_array_equal(mask.sum(axis=(-2, -1)), lengths)


@pytest.mark.parametrize(
    "lengths",
    [
        [2, 3],
        (2, 3),
        np.array([2, 3], np.uint8),
        np.array([2, 9, 3, 9])[::2],
        torch.tensor([2, 3]),
    ],
)
def test_padding_mask_takes_lengths_in_any_container(lengths):
    got = padding_mask(lengths, keys=3)
    assert got.tolist() == [[[True, True, False]], [[True, True, True]]]


def test_padding_mask_of_one_sequence_has_no_batch():
    assert padding_mask(2, keys=3).tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("lengths", "keys", "error", "message"),
    [
        ([2, 4], 3, ValueError, "between 0 and keys=3: got 4"),
        ([2, -1], 3, ValueError, "between 0 and keys=3: got -1"),
        ([2.0], 3, TypeError, "lengths must hold whole numbers: got dtype f"),
        ([True], 3, TypeError, "whole numbers: got dtype bool"),
        ([1], -1, ValueError, "keys must be at least 0: got -1"),
        ([1], 2.0, TypeError, "keys must be a whole number: got 2.0"),
    ],
)
def test_padding_mask_says_what_must_hold(lengths, keys, error, message):
    with pytest.raises(error, match=message):
        padding_mask(lengths, keys=keys)


def test_a_padded_batch_gives_what_each_sequence_gives_alone():
    lengths, keys = [5, 2, 7], 7
    q, k, v = normal(3, 3, 4), normal(3, keys, 4, seed=1), normal(3, keys, 2)
    batch = attention(q, k, v, mask=padding_mask(lengths, keys=keys))
    for b, length in enumerate(lengths):
        alone = attention(q[b], k[b, :length], v[b, :length])
        np.testing.assert_allclose(batch[b], alone, rtol=1e-13)


def test_what_stands_in_the_padding_has_no_influence():
    k = normal(2, 5, 3)
    spoiled = k.copy()
    spoiled[0, 2:], spoiled[1, 4:] = np.nan, 1e4
    mask = padding_mask([2, 4], keys=5)
    np.testing.assert_array_equal(
        attention_weights(normal(2, 7, 3), spoiled, mask=mask),
        attention_weights(normal(2, 7, 3), k, mask=mask),
    )


# Causal


@settings(deadline=None)
@given(sizes, sizes)
def test_the_last_query_stands_at_the_last_key(queries, keys):
    mask = causal_mask(queries, keys)
    assert mask.shape == (queries, keys)
    assert mask.dtype == bool
    for i in range(queries):
        for j in range(keys):
            # Counted from the end, where both sequences meet.
            assert mask[i, j] == (keys - 1 - j >= queries - 1 - i)


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(0, 7))
def test_a_cache_shows_the_last_rows_of_the_square_mask(queries, cached):
    keys = queries + cached
    np.testing.assert_array_equal(
        causal_mask(queries, keys), causal_mask(keys, keys)[cached:]
    )


def test_causal_mask_agrees_with_torchs_lower_right_bias():
    from torch.nn.attention.bias import causal_lower_right

    for queries, keys in [(3, 3), (2, 5), (1, 7)]:
        q = torch.zeros(1, queries, 2)
        weights = torch.nn.functional.scaled_dot_product_attention(
            q,
            torch.zeros(1, keys, 2),
            torch.eye(keys)[None],
            attn_mask=causal_lower_right(queries, keys),
        )
        np.testing.assert_array_equal(
            causal_mask(queries, keys), weights[0].numpy() > 0
        )


def test_more_queries_than_keys_leave_the_first_queries_blind():
    assert causal_mask(5, 3).sum(axis=1).tolist() == [0, 0, 1, 2, 3]


def test_causal_attention_is_blind_to_the_future():
    q, k, v = normal(7, 3), normal(7, 3, seed=1), normal(7, 2, seed=2)
    before = attention(q, k, v, mask=causal_mask(7, 7))
    for t in range(1, 7):
        changed_k, changed_v = k.copy(), v.copy()
        changed_k[t:] += 100.0
        changed_v[t:] += 100.0
        after = attention(q, changed_k, changed_v, mask=causal_mask(7, 7))
        np.testing.assert_array_equal(after[:t], before[:t])
        assert np.all(np.abs(after[t:] - before[t:]).max(axis=1) > 1e-3)


def test_attention_step_by_step_with_a_cache_equals_all_at_once():
    q, k, v = normal(5, 3), normal(5, 3, seed=1), normal(5, 2, seed=2)
    at_once = attention(q, k, v, mask=causal_mask(5, 5))
    for start, stop in [(0, 1), (1, 3), (3, 5)]:
        mask = causal_mask(stop - start, stop)
        step = attention(q[start:stop], k[:stop], v[:stop], mask=mask)
        np.testing.assert_allclose(step, at_once[start:stop], rtol=1e-13)


def test_causal_mask_says_what_must_hold():
    with pytest.raises(ValueError, match="queries must be at least 0: got -1"):
        causal_mask(-1, 3)
    with pytest.raises(TypeError, match="keys must be a whole number"):
        causal_mask(3, 3.0)


# Composition


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_combining_is_and_at_every_place(queries, keys, seed):
    rng = np.random.default_rng(seed)
    one = rng.random((3, 1, keys)) < 0.5
    two = rng.random((queries, keys)) < 0.5
    three = rng.random((queries, 1)) < 0.5
    got = combine_masks(one, two, three)
    assert got.shape == (3, queries, keys)
    for b, i, j in np.ndindex(got.shape):
        assert got[b, i, j] == (one[b, 0, j] and two[i, j] and three[i, 0])


def test_combining_changes_no_mask_and_copies_a_single_one():
    mask = causal_mask(3, 3)
    combined = combine_masks(mask)
    combined[:] = False
    np.testing.assert_array_equal(mask, causal_mask(3, 3))


def test_combining_takes_lists_and_tensors():
    got = combine_masks([[True, False]], torch.tensor([[True], [False]]))
    assert got.tolist() == [[True, False], [False, False]]


def test_combining_says_what_must_hold():
    square = causal_mask(3, 3)
    with pytest.raises(ValueError, match="at least one mask: got none"):
        combine_masks()
    with pytest.raises(TypeError, match="True where a query may look: got"):
        combine_masks(square, square.astype(int))
    with pytest.raises(ValueError, match=r"must have axes \(..., queries, ke"):
        combine_masks(square, [True, True, False])
    with pytest.raises(ValueError, match=r"mask_1 \(3, 3\), mask_2 \(2, 3\)"):
        combine_masks(square, causal_mask(2, 3))


# Patterns


def by_loops(queries, keys, rule):
    """Return rule(steps back from query to key) at every place."""
    mask = np.zeros((queries, keys), bool)
    for i in range(queries):
        for j in range(keys):
            # Counted from the end, where both sequences meet.
            mask[i, j] = rule((keys - 1 - j) - (queries - 1 - i))
    return mask


@quick
@given(sizes, sizes, st.integers(1, 9))
def test_patterns_are_rules_about_steps_from_query_to_key(n, m, size):
    for got, rule in [
        (window_mask(n, m, window=size), lambda back: 0 <= back < size),
        (local_mask(n, m, radius=size), lambda back: abs(back) <= size),
        (local_mask(n, m, radius=0), lambda back: back == 0),
        (strided_mask(n, m, stride=size), lambda back: back % size == 0),
        (
            prefix_mask(n, m, prefix=0),
            lambda back: back >= 0,
        ),
    ]:
        assert got.dtype == bool
        np.testing.assert_array_equal(got, by_loops(n, m, rule))


@quick
@given(sizes, sizes, st.integers(1, 9))
def test_patterns_are_relatives(n, m, size):
    causal = causal_mask(n, m)
    window = window_mask(n, m, window=size)
    local = local_mask(n, m, radius=size - 1)
    np.testing.assert_array_equal(window, combine_masks(local, causal))
    np.testing.assert_array_equal(window_mask(n, m, window=m + 1), causal)
    assert strided_mask(n, m, stride=1).all()
    assert local_mask(n, m, radius=n + m).all()
    assert prefix_mask(n, m, prefix=m).all()


def test_window_mask_is_torchs_band_matrix():
    for queries, keys, window in [(5, 5, 3), (3, 7, 2), (7, 3, 2), (5, 7, 9)]:
        ones = torch.ones(queries, keys)
        band = ones.tril(keys - queries).triu(keys - queries - window + 1)
        np.testing.assert_array_equal(
            window_mask(queries, keys, window=window), band.bool()
        )


def test_a_window_forgets_what_came_before_it():
    q, k, v = normal(7, 3), normal(7, 3, seed=1), normal(7, 2, seed=2)
    mask = window_mask(7, 7, window=3)
    before = attention(q, k, v, mask=mask)
    k[:2], v[:2] = np.nan, np.nan
    after = attention(q, k, v, mask=mask)
    np.testing.assert_allclose(after[4:], before[4:], rtol=1e-12)
    assert np.isnan(after[:4]).all()


@quick
@given(sizes, sizes, st.data())
def test_a_prefix_is_seen_by_all_and_the_rest_is_causal(n, m, data):
    prefixes = data.draw(st.lists(st.integers(0, m), max_size=3))
    mask = prefix_mask(n, m, prefix=prefixes)
    assert mask.shape == (len(prefixes), n, m)
    for row, prefix in zip(mask, prefixes, strict=True):
        assert row[:, :prefix].all()
        np.testing.assert_array_equal(
            row[:, prefix:], causal_mask(n, m)[:, prefix:]
        )
        np.testing.assert_array_equal(prefix_mask(n, m, prefix=prefix), row)


def test_packed_documents_read_what_each_reads_alone():
    lengths = [2, 4, 1]
    documents = np.repeat([5, -3, 9], lengths)
    q, k, v = normal(7, 3), normal(7, 3, seed=1), normal(7, 2, seed=2)
    mask = combine_masks(
        document_mask(documents, documents), causal_mask(7, 7)
    )
    packed = attention(q, k, v, mask=mask)
    start = 0
    for length in lengths:
        at = slice(start, start + length)
        mask = causal_mask(length, length)
        alone = attention(q[at], k[at], v[at], mask=mask)
        np.testing.assert_allclose(packed[at], alone, rtol=1e-12)
        start += length


def test_document_and_global_masks_broadcast_and_compare_each_pair():
    rows, columns = (
        np.array([[[0, 1, 2]], [[1, 1, 0]]]),
        np.array([[1, 0]] * 5),
    )
    documents = document_mask(rows, columns)
    flags = global_mask(rows == 1, columns == 1)
    assert documents.shape == flags.shape == (2, 5, 3, 2)
    for a, b, i, j in np.ndindex(documents.shape):
        query, key = rows[a, 0, i], columns[b, j]
        assert documents[a, b, i, j] == (query == key)
        assert flags[a, b, i, j] == (query == 1 or key == 1)


def test_one_row_of_documents_or_globals_may_serve_a_batch():
    rows, column = np.array([[0, 1, 2], [1, 1, 0]]), np.arange(5)
    documents = document_mask(rows, column)
    flags = global_mask(rows == 1, column == 1)
    assert documents.shape == flags.shape == (2, 3, 5)
    np.testing.assert_array_equal(documents[1], document_mask(rows[1], column))
    np.testing.assert_array_equal(
        flags[1], global_mask(rows[1] == 1, column == 1)
    )


def test_documents_come_in_any_container():
    expected = [[True], [False]]
    for ids in ([3, 4], torch.tensor([3, 4]), np.array([3, 4], np.uint8)):
        assert document_mask(ids, [3]).tolist() == expected
    assert document_mask([], [1, 2]).shape == (0, 2)


@quick
@given(sizes, sizes, st.integers(1, 9), st.integers(0, 99))
def test_a_block_mask_is_the_layout_magnified_and_cut(n, m, block, seed):
    shape = (2, len(range(0, n, block)), len(range(0, m, block)))
    layout = np.random.default_rng(seed).random(shape) < 0.5
    got = block_mask(layout, block=block, queries=n, keys=m)
    magnified = np.kron(layout, np.ones((block, block), bool))
    np.testing.assert_array_equal(got, magnified[:, :n, :m])


def test_whole_numbers_are_copied_and_have_the_axes_that_are_named():
    mine = np.array([3, 4])
    whole("documents", mine, "keys")[0] = 7
    assert mine.tolist() == [3, 4]
    assert whole("documents", [], "keys").dtype == np.int64
    with pytest.raises(ValueError, match=r"must have axes \(\.\.\., rows, co"):
        whole("documents", [1], "rows columns")


def test_a_block_layout_of_blocks_before_is_a_coarse_causal_mask():
    coarse = block_mask(causal_mask(3, 3), block=2, queries=5, keys=5)
    fine = causal_mask(5, 5)
    assert (coarse >= fine).all()
    assert coarse.sum() == 2 * 2 + 2 * 4 + 5


@quick
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_uniting_is_or_at_every_place(queries, keys, seed):
    rng = np.random.default_rng(seed)
    one = rng.random((3, 1, keys)) < 0.5
    two = rng.random((queries, keys)) < 0.5
    got = unite_masks(one, two)
    assert got.shape == (3, queries, keys)
    for b, i, j in np.ndindex(got.shape):
        assert got[b, i, j] == (one[b, 0, j] or two[i, j])


def test_longformer_is_a_local_mask_or_a_global_one():
    flags = np.array([True, False, False, False, True])
    mask = unite_masks(local_mask(5, 5, radius=1), global_mask(flags, flags))
    assert mask.astype(int).tolist() == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 1, 1, 1, 1],
        [1, 0, 1, 1, 1],
        [1, 1, 1, 1, 1],
    ]


def test_a_dilated_window_is_a_window_and_a_stride():
    window, strided = window_mask(1, 7, window=5), strided_mask(1, 7, stride=2)
    dilated = combine_masks(window, strided)
    assert np.flatnonzero(dilated[0]).tolist() == [2, 4, 6]


def test_uniting_changes_no_mask_and_copies_a_single_one():
    mask = causal_mask(3, 3)
    unite_masks(mask)[:] = False
    unite_masks(mask, ~mask)[:] = False
    np.testing.assert_array_equal(mask, causal_mask(3, 3))


ODD = [[True, False]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: window_mask(3, 3, window=0),
            ValueError,
            "window must be at least 1: got 0",
        ),
        (
            lambda: window_mask(-1, 3, window=1),
            ValueError,
            "queries must be at least 0: got -1",
        ),
        (
            lambda: window_mask(3, -1, window=1),
            ValueError,
            "keys must be at least 0: got -1",
        ),
        (
            lambda: local_mask(3, 3, radius=-1),
            ValueError,
            "radius must be at least 0: got -1",
        ),
        (
            lambda: strided_mask(3, 3, stride=0),
            ValueError,
            "stride must be at least 1: got 0",
        ),
        (
            lambda: prefix_mask(3, 3, prefix=[1, 4]),
            ValueError,
            "prefix must lie between 0 and keys=3: got 4",
        ),
        (
            lambda: prefix_mask(3, 3, prefix=-1),
            ValueError,
            "prefix must lie between 0 and keys=3: got -1",
        ),
        (
            lambda: prefix_mask(3, 3, prefix=1.0),
            TypeError,
            "prefix must hold whole numbers: got dtype float64",
        ),
        (
            lambda: document_mask([0.5], [1]),
            TypeError,
            "query_documents must hold whole numbers: got dtype float64",
        ),
        (
            lambda: document_mask([1], 1),
            ValueError,
            r"key_documents must have axes \(\.\.\., keys\): got shape \(\)",
        ),
        (
            lambda: document_mask([[1], [2]], [[1]] * 3),
            ValueError,
            r"got query_documents \(2,\), key_documents \(3,\)",
        ),
        (
            lambda: global_mask([1], [True]),
            TypeError,
            "query_globals must be boolean",
        ),
        (
            lambda: global_mask([True], True),
            ValueError,
            r"key_globals must have axes \(\.\.\., keys\): got shape \(\)",
        ),
        (
            lambda: global_mask([[True]] * 2, [[True]] * 3),
            ValueError,
            r"got query_globals \(2,\), key_globals \(3,\)",
        ),
        (
            lambda: block_mask(ODD, block=2, queries=3, keys=5),
            ValueError,
            r"layout must have 2 x 3 blocks: got shape \(1, 2\)",
        ),
        (
            lambda: block_mask(ODD, block=0, queries=1, keys=3),
            ValueError,
            "block must be at least 1: got 0",
        ),
        (
            lambda: block_mask(ODD, block=2, queries=-1, keys=3),
            ValueError,
            "queries must be at least 0: got -1",
        ),
        (
            lambda: block_mask(ODD, block=2, queries=1, keys=-1),
            ValueError,
            "keys must be at least 0: got -1",
        ),
        (
            lambda: block_mask([True], block=2, queries=1, keys=3),
            ValueError,
            r"layout must have axes \(\.\.\., rows, columns\)",
        ),
        (unite_masks, ValueError, "there must be at least one mask: got none"),
        (
            lambda: unite_masks(np.ones((2, 2), int)),
            TypeError,
            "mask must be boolean, True where a query may look: got dtype int",
        ),
    ],
)
def test_patterns_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Rows that see nothing


def test_a_row_that_sees_nothing_gives_zeros_whatever_the_scores():
    scores = normal(2, 3, 5)
    scores[0, 0] = np.nan
    scores[1, 0] = 1e4
    mask = combine_masks(padding_mask([0, 4], keys=5), causal_mask(3, 5))
    mask[1, 0] = False
    weights = masked_softmax(scores, mask)
    np.testing.assert_array_equal(weights[0], 0.0)
    np.testing.assert_array_equal(weights[1, 0], 0.0)
    np.testing.assert_allclose(weights[1, 1:].sum(axis=-1), 1.0)


def test_torch_attention_gives_zeros_to_blind_rows_too():
    q, k, v = normal(5, 3), normal(3, 3, seed=1), normal(3, 2, seed=2)
    mask = causal_mask(5, 3)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x)[None] for x in (q, k, v)),
        attn_mask=torch.from_numpy(mask),
    )[0].numpy()
    np.testing.assert_array_equal(theirs[:2], 0.0)
    np.testing.assert_allclose(
        attention(q, k, v, mask=mask), theirs, atol=1e-14
    )


# The average


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 5), st.integers(0, 99))
def test_masked_mean_averages_the_chosen_places(rows, columns, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    mask = rng.random((rows, columns)) < 0.5
    values[~mask] = np.nan
    chosen = [values[place] for place in zip(*np.nonzero(mask), strict=True)]
    expected = sum(chosen) / len(chosen) if chosen else 0.0
    assert masked_mean(values, mask) == pytest.approx(expected, abs=1e-14)


def test_masked_mean_is_torchs_cross_entropy_without_padding():
    logits = torch.from_numpy(normal(3, 5, 7))
    targets = torch.from_numpy(
        np.random.default_rng(1).integers(0, 7, size=(3, 5))
    )
    real = torch.from_numpy(padding_mask([5, 1, 3], keys=5)[:, 0])
    theirs = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        targets.masked_fill(~real, -100).flatten(),
        ignore_index=-100,
    )
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="none"
    ).reshape(3, 5)
    assert masked_mean(losses, real) == pytest.approx(theirs.item())


def test_masked_mean_takes_integers_and_a_single_number():
    assert masked_mean([2, 4, 600], [True, True, False]) == 3.0
    assert masked_mean(5, True) == 5.0
    assert isinstance(masked_mean(np.float32([2.5]), [True]), float)


def test_masked_mean_says_what_must_hold():
    with pytest.raises(ValueError, match=r"got values \(2, 3\), mask \(3,\)"):
        masked_mean(np.zeros((2, 3)), np.ones(3, bool))
    with pytest.raises(TypeError, match="mask must be boolean"):
        masked_mean([1.0], [1])
    with pytest.raises(TypeError, match="values must hold real numbers"):
        masked_mean(["a"], [True])


@pytest.mark.parametrize(
    "make",
    [
        lambda ragged: document_mask(ragged, [0]),
        lambda ragged: padding_mask(ragged, keys=3),
        lambda ragged: prefix_mask(2, 3, prefix=ragged),
    ],
)
def test_a_ragged_list_holds_no_whole_numbers(make):
    with pytest.raises(TypeError, match=r"must hold whole numbers: .*shape"):
        make([[1], [2, 3]])
