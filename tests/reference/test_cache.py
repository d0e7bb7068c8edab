"""Caches against attention to everything at once, and what they hold."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import blocks, cache, objectives_decoding
from attncourse.reference.cache import (
    CachedLogits,
    FullCache,
    PagedCache,
    WindowCache,
    add_row,
    block_count,
    blocks_needed,
    cache_bytes,
    cached_attention,
    decode_step,
    encoded,
    extend,
    free_count,
    free_row,
    full_step,
    new_full_cache,
    new_paged_cache,
    new_window_cache,
    next_positions,
    paged_extend,
    paged_step,
    share_prefix,
    slot_positions,
    token_bytes,
    visible,
    window_step,
)
from attncourse.reference.cache_parts import fitting, whole
from attncourse.reference.heads import (
    Projections,
    cache_count,
    grouped_query_attention,
)
from attncourse.reference.positions import rotary

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10**6)
# How many tokens arrive at a time.
chunks = st.lists(st.integers(0, 4), min_size=1, max_size=5)
kinds = st.sampled_from(["full", "window", "paged"])
shares = st.sampled_from([(3, 3), (6, 2), (4, 1)])
DIM, VALUE_DIM, WINDOW = 4, 3, 5
EXACT = {"rtol": 1e-10, "atol": 1e-12}
STEPS = {"full": full_step, "window": window_step, "paged": paged_step}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def triple(seed, *batch, heads, groups, tokens):
    return (
        draw(seed, *batch, heads, tokens, DIM),
        draw(seed + 1, *batch, groups, tokens, DIM),
        draw(seed + 2, *batch, groups, tokens, VALUE_DIM),
    )


def empty(kind, rows, groups, *, dim=DIM, value_dim=VALUE_DIM, blocks=20):
    sizes = {"groups": groups, "dim": dim, "value_dim": value_dim}
    if kind == "full":
        return new_full_cache(rows, **sizes)
    if kind == "window":
        return new_window_cache(rows, window=WINDOW, **sizes)
    made = new_paged_cache(blocks=blocks, size=3, **sizes)
    for _ in range(rows):
        made = add_row(made)
    return made


def looped(q, k, v, window=10**9, encode=None):
    """Return causal attention of one sequence, a pair at a time."""
    heads, n, _ = q.shape
    share = heads // len(k)
    if encode is not None:
        q, k = encode(q, np.arange(n)), encode(k, np.arange(n))
    out = np.zeros((heads, n, v.shape[-1]))
    for h in range(heads):
        for i in range(n):
            seen = [j for j in range(n) if i - window < j <= i]
            logits = [q[h, i] @ k[h // share, j] / 2.0 for j in seen]
            highest = max(logits)
            w = [math.exp(each - highest) for each in logits]
            for weight, j in zip(w, seen, strict=True):
                out[h, i] += weight / sum(w) * v[h // share, j]
    return out


def reach(kind):
    return WINDOW if kind == "window" else 10**9


# --- a step at a time is everything at once --------------------------------


@given(seeds, kinds, shares, chunks, st.booleans())
@settings(max_examples=60, deadline=None)
def test_chunks_of_any_sizes_read_what_all_at_once_would(
    seed, kind, share, sizes, turned
):
    (heads, groups), encode = share, rotary if turned else None
    q, k, v = triple(seed, 2, heads=heads, groups=groups, tokens=sum(sizes))
    held, at, parts = empty(kind, 2, groups), 0, []
    for size in sizes:
        now = slice(at, at + size)
        read, held = STEPS[kind](
            q[:, :, now], k[:, :, now], v[:, :, now], held, encode=encode
        )
        parts.append(read)
        at += size
    got = np.concatenate(parts, axis=2)
    for row in range(2):
        expected = looped(q[row], k[row], v[row], reach(kind), encode)
        np.testing.assert_allclose(got[row], expected, **EXACT)
    assert held.lengths.tolist() == [sum(sizes)] * 2


@given(
    seeds,
    kinds,
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_sequences_of_different_lengths_do_not_meet(seed, kind, counts):
    total = np.array(counts).sum(axis=0)
    q, k, v = triple(seed, 3, heads=4, groups=2, tokens=max(1, total.max()))
    held, at, parts = empty(kind, 3, 2), np.zeros(3, int), [[], [], []]
    for new in np.array(counts):
        width = new.max() + 1  # at least one place of padding everywhere
        padded = []
        for x in (q, k, v):
            block = np.full((3, x.shape[1], width, x.shape[3]), np.nan)
            for row in range(3):
                part = x[row, :, at[row] : at[row] + new[row]]
                block[row, :, : new[row]] = part
            padded.append(block)
        read, held = STEPS[kind](*padded, held, encode=rotary, counts=new)
        for row in range(3):
            parts[row].append(read[row, :, : new[row]])
            assert not read[row, :, new[row] :].any()  # padding reads nothing
        at += new
    assert held.lengths.tolist() == total.tolist()
    for row in range(3):
        own = slice(0, total[row])
        expected = looped(
            q[row, :, own], k[row, :, own], v[row, :, own], reach(kind), rotary
        )
        np.testing.assert_allclose(
            np.concatenate(parts[row], axis=1), expected, **EXACT
        )


@pytest.mark.parametrize("kind", ["full", "window"])
def test_leading_axes_may_be_none_or_two(kind):
    q, k, v = triple(0, 2, 3, heads=2, groups=1, tokens=7)
    sizes = {"groups": 1, "dim": DIM, "value_dim": VALUE_DIM}
    if kind == "window":
        sizes["window"] = WINDOW
    new = {"full": new_full_cache, "window": new_window_cache}[kind]
    counts = np.array([[7, 5, 0], [1, 7, 2]])
    both, held = STEPS[kind](q, k, v, new(2, 3, **sizes), counts=counts)
    assert held.lengths.tolist() == counts.tolist()
    next_, _ = STEPS[kind](q, k, v, held)
    for row in np.ndindex(2, 3):
        alone, own = STEPS[kind](
            *(x[row][:, : counts[row]] for x in (q, k, v)), new(**sizes)
        )
        np.testing.assert_allclose(both[row][:, : counts[row]], alone, **EXACT)
        assert own.lengths == counts[row]
        one = [x[row][:, :1] for x in (q, k, v)]
        again, _ = STEPS[kind](*one, own)
        np.testing.assert_allclose(next_[row][:, :1], again, **EXACT)


@pytest.mark.parametrize("kind", STEPS)
def test_a_cache_is_a_value(kind):
    q, k, v = triple(0, 2, heads=2, groups=2, tokens=4)
    before = [x.copy() for x in (q, k, v)]
    first = STEPS[kind](q, k, v, empty(kind, 2, 2))[1]
    copy = [np.array(x) for x in (first.keys, first.values, first.lengths)]
    one = STEPS[kind](q, k, v, first)
    two = STEPS[kind](q, k, v, first)
    np.testing.assert_array_equal(one[0], two[0])
    one[1].keys[...] = 7.0
    for held, old in zip(
        (first.keys, first.values, first.lengths), copy, strict=True
    ):
        np.testing.assert_array_equal(held, old)
    for x, old in zip((q, k, v), before, strict=True):
        np.testing.assert_array_equal(x, old)


@pytest.mark.parametrize("kind", STEPS)
def test_large_scores_lists_and_tensors(kind):
    q, k, v = triple(0, 1, heads=2, groups=1, tokens=3)
    held = empty(kind, 1, 1)
    got, _ = STEPS[kind](q.tolist(), torch.tensor(k), v, held)
    np.testing.assert_allclose(got[0], looped(q[0], k[0], v[0]), **EXACT)
    got, _ = STEPS[kind](1e4 * q, 1e4 * k, v, held)
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= np.abs(v).max()


@pytest.mark.parametrize("kind", STEPS)
def test_nan_reaches_only_those_who_may_see_it(kind):
    q, k, v = triple(0, 2, heads=2, groups=2, tokens=4)
    clean, held = STEPS[kind](q, k, v, empty(kind, 2, 2))
    k[0, :, 2], v[0, :, 2] = np.nan, np.nan
    spoiled, held = STEPS[kind](q, k, v, empty(kind, 2, 2))
    np.testing.assert_allclose(spoiled[0, :, :2], clean[0, :, :2], **EXACT)
    np.testing.assert_allclose(spoiled[1], clean[1], **EXACT)
    assert np.isnan(spoiled[0, :, 2:]).all()
    if kind == "window":  # what has left the window is gone
        for _ in range(3):
            one = (x[:, :, :1] for x in (q, k, v))
            read, held = window_step(*one, held)
        assert np.isnan(read[0]).all()  # position 6 of 2 to 6
        one = (x[:, :, :1] for x in (q, k, v))
        assert np.isfinite(window_step(*one, held)[0]).all()


# --- positions and masks ---------------------------------------------------


def test_positions_go_on_from_each_length():
    assert next_positions(np.int64(3), tokens=0).shape == (0,)
    assert next_positions([3, 1], tokens=2).tolist() == [[3, 4], [1, 2]]


def test_visible_is_its_formula():
    positions = np.array([[4, 5, 6], [0, 1, 2]])
    keys = np.array([[0, 4, 5, 7], [-1, 0, 2, -3]])
    counts = np.array([3, 2])
    got = visible(positions, keys, counts=counts)
    for b in range(2):
        for i in range(3):
            for j in range(4):
                at = keys[b, j]
                expected = 0 <= at <= positions[b, i] and i < counts[b]
                assert got[b, i, j] == expected


@given(st.integers(0, 40), st.integers(1, 9))
@quick
def test_slots_hold_the_last_positions(length, window):
    slots = [-1] * window
    for position in range(length):
        slots[position % window] = position
    got = slot_positions(np.int64(length), window=window)
    assert np.where(got < 0, -1, got).tolist() == slots


def test_keys_are_kept_encoded_and_values_are_not():
    q, k, v = triple(0, heads=1, groups=1, tokens=3)
    made = new_full_cache(groups=1, dim=DIM, value_dim=VALUE_DIM)
    _, held = full_step(q, k, v, made, encode=rotary)
    _, held = full_step(q, k, v, held, encode=rotary)
    np.testing.assert_allclose(held.keys[:, 3:], rotary(k, [3, 4, 5]))
    np.testing.assert_array_equal(held.values[:, 3:], v)
    turned, same, at = encoded(q, k, np.int64(2), rotary)
    np.testing.assert_allclose(turned, rotary(q, [2, 3, 4]))
    np.testing.assert_allclose(same, rotary(k, [2, 3, 4]))
    assert at.tolist() == [2, 3, 4]


# --- what is held ----------------------------------------------------------


def test_bytes_are_those_of_the_arrays():
    for kind, places in (("full", 2 * 7), ("window", 2 * WINDOW)):
        x = triple(0, 2, heads=4, groups=2, tokens=7)
        held = STEPS[kind](*x, empty(kind, 2, 2))[1]
        each = token_bytes(groups=2, dim=DIM, value_dim=VALUE_DIM)
        assert cache_bytes(held) == places * each == places * 2 * (4 + 3) * 8
    pool = empty("paged", 2, 2, blocks=5)
    assert cache_bytes(pool) == 5 * 3 * each
    assert cache_bytes(pool) == pool.keys.size * 8 + pool.values.size * 8
    assert token_bytes(groups=2, dim=3, itemsize=2) == 2 * cache_count(
        keys=1, groups=2, dim=3
    )
    for name in ("groups", "dim", "value_dim", "itemsize"):
        sizes = {"groups": 1, "dim": 1, name: 0}
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            token_bytes(**sizes)


def test_fewer_groups_hold_less():
    every = token_bytes(groups=8, dim=16)
    assert token_bytes(groups=2, dim=16) * 4 == every


def test_a_new_cache_is_empty_and_of_its_sizes():
    made = new_full_cache(2, 3, groups=5, dim=7, value_dim=11, capacity=13)
    assert made.keys.shape == (2, 3, 5, 0, 7)
    assert made.values.shape == (2, 3, 5, 0, 11)
    assert made.lengths.tolist() == [[0] * 3] * 2
    assert made.capacity == 13
    assert isinstance(made, FullCache)
    assert new_full_cache(groups=5, dim=7).values.shape == (5, 0, 7)
    made = new_window_cache(2, groups=5, dim=7, window=3)
    assert made.values.shape == (2, 5, 3, 7)
    assert isinstance(made, WindowCache)
    assert not made.keys.any()
    assert made.lengths.tolist() == [0, 0]
    made = new_window_cache(groups=5, dim=7, window=3, value_dim=11)
    assert made.values.shape == (5, 3, 11)
    made = new_paged_cache(blocks=3, size=2, groups=5, dim=7, value_dim=11)
    assert made.keys.shape == (3, 5, 2, 7)
    assert made.values.shape == (3, 5, 2, 11)
    assert made.uses.tolist() == [0, 0, 0]
    assert isinstance(made, PagedCache)
    assert made.lengths.shape == (0,)
    made = new_paged_cache(blocks=0, size=1, groups=1, dim=1)
    assert free_count(made) == 0
    assert made.values.shape == (0, 1, 1, 1)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (new_full_cache, {"groups": 1, "dim": 1, "capacity": 1}),
        (new_window_cache, {"groups": 1, "dim": 1, "window": 1}),
        (
            new_paged_cache,
            {"groups": 1, "dim": 1, "size": 1, "blocks": 1},
        ),
    ],
)
def test_sizes_must_be_counts(make, sizes):
    for name in (*sizes, "value_dim"):
        least = 0 if name == "blocks" else 1
        with pytest.raises(
            ValueError, match=f"{name} must be at least {least}: got"
        ):
            make(**{**sizes, name: least - 1})
        make(**{**sizes, name: 1})
    if make is new_paged_cache:
        return
    assert make(0, **sizes).keys.shape[0] == 0
    with pytest.raises(ValueError, match="batch must be at least 0: got -1"):
        make(-1, **sizes)
    with pytest.raises(TypeError, match="batch must be a whole number: got 2"):
        make(2.0, **sizes)


def test_the_capacity_may_be_filled_and_not_exceeded():
    q, k, v = triple(0, 2, heads=1, groups=1, tokens=3)
    held = new_full_cache(
        2, groups=1, dim=DIM, value_dim=VALUE_DIM, capacity=5
    )
    held = full_step(q, k, v, held, counts=np.array([2, 1]))[1]
    full = full_step(q, k, v, held, counts=np.array([3, 3]))[1]
    assert full.lengths.tolist() == [5, 4]
    assert full.capacity == 5
    kept = held.keys.copy()
    with pytest.raises(
        ValueError,
        match="capacity must be enough for every token: got capacity=5, "
        "tokens=6",
    ):
        full_step(q, k, v, full, counts=np.array([0, 2]))
    np.testing.assert_array_equal(held.keys, kept)
    again = full_step(q, k, v, full, counts=np.array([0, 1]))[1]
    assert again.lengths.tolist() == [5, 5]


def test_extending_writes_where_each_sequence_ends():
    held = new_full_cache(2, groups=1, dim=1)
    k = np.array([[[[1.0], [2.0]]], [[[3.0], [9.0]]]])
    held = extend(held, k, 10 * k, counts=np.array([2, 1]))
    held = extend(held, k + 3, 10 * k)
    assert held.keys[..., 0].tolist() == [[[1, 2, 4, 5]], [[3, 6, 12, 0]]]
    assert held.values[0, 0, :, 0].tolist() == [10, 20, 10, 20]
    nothing = new_full_cache(2, groups=1, dim=1)
    assert extend(nothing, k, k, counts=0).keys.shape == (2, 1, 0, 1)
    assert extend(nothing, k[:, :, :1], k[:, :, :1]).keys.shape[2] == 1


# --- blocks ----------------------------------------------------------------


def check_pool(held):
    """Require the books of a pool to balance."""
    uses = np.zeros(len(held.uses), int)
    for table, length in zip(held.tables, held.lengths, strict=True):
        assert len(table) == -(-length // held.keys.shape[2])
        assert len(set(table)) == len(table)
        for block in table:
            uses[block] += 1
    assert uses.tolist() == held.uses.tolist()
    assert free_count(held) == (uses == 0).sum()


@given(
    seeds,
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from("aaafse"), st.integers(0, 9)),
        min_size=4,
        max_size=14,
    ),
)
@settings(max_examples=50, deadline=None)
def test_rows_come_grow_share_and_go(seed, size, orders):
    rng = np.random.default_rng(seed)
    held = add_row(new_paged_cache(blocks=9, size=size, groups=2, dim=DIM))
    rows = [np.zeros((2, 2, 0, DIM))]  # keys and values of each row
    for order, number in orders:
        if order == "e" or not rows:
            held, rows = add_row(held), [*rows, np.zeros((2, 2, 0, DIM))]
        elif order == "f":
            row = number % len(rows)
            held = free_row(held, row)
            del rows[row]
        elif order == "s":
            row = number % len(rows)
            tokens = int(rng.integers(rows[row].shape[2] + 1))
            held = share_prefix(held, row, tokens=tokens)
            rows.append(rows[row][:, :, :tokens])
        else:
            counts = rng.integers(4, size=len(rows))
            x = rng.normal(size=(2, len(rows), 2, 3, DIM))
            needed = blocks_needed(held, counts=counts)
            if needed > free_count(held):
                with pytest.raises(ValueError, match=f"needed={needed}$"):
                    paged_extend(held, *x, counts=counts)
                continue
            before = free_count(held)
            held = paged_extend(held, *x, counts=counts)
            assert before - free_count(held) == needed
            rows = [
                np.concatenate([old, x[:, row, :, : counts[row]]], axis=2)
                for row, old in enumerate(rows)
            ]
        check_pool(held)
        for row, (k, v) in enumerate(rows):
            for name, own in (("keys", k), ("values", v)):
                pool = getattr(held, name)
                got = [
                    pool[held.tables[row][at // size], :, at % size]
                    for at in range(own.shape[1])
                ]
                assert len(got) == held.lengths[row]
                for at, each in enumerate(got):
                    np.testing.assert_array_equal(each, own[:, at])
    if rows:  # and all of it is read as if it stood in a row
        q, k, v = triple(seed, len(rows), heads=4, groups=2, tokens=1)
        v = draw(seed, len(rows), 2, 1, DIM)
        counts = np.ones(len(rows), int)
        if blocks_needed(held, counts=counts) <= free_count(held):
            read, held = paged_step(q, k, v, held)
            for row, (old_k, old_v) in enumerate(rows):
                ks = np.concatenate([old_k, k[row]], axis=1)
                vs = np.concatenate([old_v, v[row]], axis=1)
                qs = np.zeros((4, ks.shape[1], DIM))
                qs[:, -1:] = q[row]
                expected = looped(qs, ks, vs)[:, -1:]
                np.testing.assert_allclose(read[row], expected, **EXACT)


def test_a_shared_block_is_copied_before_it_is_written():
    held = add_row(new_paged_cache(blocks=4, size=2, groups=1, dim=1))
    k = np.arange(1, 4.0).reshape(1, 1, 3, 1)
    held = paged_extend(held, k, k)
    held = share_prefix(held, 0, tokens=3)
    assert held.tables == ((0, 1), (0, 1))
    assert held.uses.tolist() == [2, 2, 0, 0]
    new = np.array([7.0, 8.0]).reshape(2, 1, 1, 1)
    # Two rows share one block: the first to write copies, the other need not.
    assert blocks_needed(held, counts=np.array([1, 1])) == 1
    after = paged_extend(held, new, new)
    assert after.tables == ((0, 2), (0, 1))
    assert after.uses.tolist() == [2, 1, 1, 0]
    assert after.keys[..., 0].tolist() == [
        [[1, 2]],
        [[3, 8]],
        [[3, 7]],
        [[0, 0]],
    ]
    np.testing.assert_array_equal(after.keys, after.values)
    # Of three that write, two must copy.
    three = share_prefix(held, 0, tokens=3)
    assert blocks_needed(three, counts=np.array([1, 1, 1])) == 2
    # At a full block nothing is written, so nothing needs to be copied.
    whole = share_prefix(held, 0, tokens=2)
    assert blocks_needed(whole, counts=np.array([0, 0, 1])) == 1
    assert blocks_needed(whole, counts=np.array([0, 0, 0])) == 0
    none = share_prefix(held, 1, tokens=0)
    assert none.tables[2] == ()
    assert none.uses.tolist() == [2, 2, 0, 0]


def test_a_block_of_ones_own_stays_where_it_is():
    held = add_row(add_row(new_paged_cache(blocks=4, size=2, groups=1, dim=1)))
    one = draw(0, 2, 1, 1, 1)
    held = free_row(paged_extend(held, one, one), 0)
    assert held.tables == ((1,),)
    held = paged_extend(held, one[:1], one[:1])
    assert held.tables == ((1,),)
    # The first free block is taken next, wherever it lies.
    assert paged_extend(held, one[:1], one[:1]).tables == ((1, 0),)


def test_a_sequence_wastes_less_than_one_block():
    for tokens in range(1, 12):
        held = add_row(new_paged_cache(blocks=4, size=3, groups=1, dim=1))
        x = draw(0, 1, 1, tokens, 1)
        held = paged_extend(held, x, x)
        places = 3 * (4 - free_count(held))
        assert 0 <= places - tokens < 3
        assert block_count(tokens, size=3) == 4 - free_count(held)
    assert block_count(0, size=3) == 0


def test_an_empty_pool_says_so_and_nothing_is_lost():
    held = add_row(add_row(empty("paged", 0, 1, blocks=3)))
    q, k, v = triple(0, 2, heads=2, groups=1, tokens=4)
    held = paged_step(q, k, v, held, counts=np.array([4, 1]))[1]
    copy = held.keys.copy(), held.uses.copy(), held.tables
    with pytest.raises(
        ValueError,
        match="free blocks must be enough for the new tokens: got free=0, "
        "needed=1",
    ):
        paged_step(q, k, v, held, counts=np.array([2, 3]))
    np.testing.assert_array_equal(held.keys, copy[0])
    np.testing.assert_array_equal(held.uses, copy[1])
    assert held.tables == copy[2]
    # With one row gone the other goes on.
    alone = free_row(held, 0)
    assert alone.lengths.tolist() == [1]
    assert alone.tables == (copy[2][1],)
    read, _ = paged_step(q[1:], k[1:], v[1:], alone)
    ks, vs = (np.concatenate([x[1, :, :1], x[1]], axis=1) for x in (k, v))
    qs = np.concatenate([q[1, :, :1], q[1]], axis=1)
    expected = looped(qs, ks, vs)[:, 1:]
    np.testing.assert_allclose(read[0], expected, **EXACT)


def test_rows_that_are_not_there_are_refused():
    held = add_row(new_paged_cache(blocks=4, size=2, groups=1, dim=1))
    for call in (
        lambda row: free_row(held, row),
        lambda row: share_prefix(held, row, tokens=0),
    ):
        with pytest.raises(
            ValueError, match="row must be one of 1, from 0: got 1"
        ):
            call(1)
        with pytest.raises(ValueError, match="row must be at least 0: got -1"):
            call(-1)
        call(0)
    with pytest.raises(
        ValueError,
        match="tokens must be within the row that is shared: got tokens=1, "
        "length=0",
    ):
        share_prefix(held, 0, tokens=1)
    for counts, message in (
        ([1, 2], r"one number for each row, shape \(1,\): got \(2,\)$"),
        (1, r"one number for each row, shape \(1,\): got \(\)$"),
        ([-1], "counts must be at least 0: got -1$"),
    ):
        with pytest.raises(ValueError, match=message):
            blocks_needed(held, counts=counts)
    with pytest.raises(TypeError, match="counts must hold whole numbers: got"):
        blocks_needed(held, counts=[0.5])
    with pytest.raises(ValueError, match="tokens must be at least 0: got -1"):
        block_count(-1, size=2)
    with pytest.raises(ValueError, match="size must be at least 1: got 0"):
        block_count(3, size=0)
    assert block_count(0, size=2) == 0


# --- errors ----------------------------------------------------------------


@pytest.mark.parametrize("kind", STEPS)
def test_what_does_not_fit_is_named(kind):
    held = empty(kind, 2, 2)
    q, k, v = triple(0, 2, heads=4, groups=2, tokens=3)
    step = STEPS[kind]
    wrong = [
        (
            (q[:1], k, v),
            r"q must have the leading axes of the cache: got q \(1,\), "
            r"cache \(2,\)$",
        ),
        ((q[:, :, :2], k, v), "q and k must agree in tokens: got q=2, k=3"),
        ((q, k, v[:, :, :2]), "k and v must agree in tokens: got k=3, v=2"),
        ((q[..., :2], k, v), "q and k must agree in dim: got q=2, k=4"),
        ((q, k[:, :1], v), r"k must fit the cache, shape \(2, 2, 3, 4\): got"),
        ((q, k, v[..., :2]), r"v must fit the cache, shape \(2, 2, 3, 3\)"),
        ((q[:, :3], k, v), "heads must be a multiple of groups: got heads=3"),
    ]
    for arrays, message in wrong:
        with pytest.raises(ValueError, match=message):
            step(*arrays, held)
    for counts, message in (
        ([1, 4], "counts must lie between 0 and tokens=3: got 1 to 4"),
        ([-1, 2], "counts must lie between 0 and tokens=3: got -1 to 2"),
        (
            [1, 2, 3],
            r"one number for each sequence \(2,\): got \(3,\)$",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            step(q, k, v, held, counts=np.array(counts))
    with pytest.raises(TypeError, match="counts must hold whole numbers"):
        step(q, k, v, held, counts=np.array([1.0, 2.0]))
    with pytest.raises(
        ValueError,
        match=r"encode must keep the shape of q, \(2, 4, 3, 4\): got \(2, 4, ",
    ):
        step(q, k, v, held, encode=lambda x, at: x[..., :2])
    with pytest.raises(ValueError, match="encode must keep the shape of k, "):
        step(q, k, v, held, encode=lambda x, at: x if len(x[0]) > 2 else x[0])
    counts = fitting(k, v, 2, held)[2]
    assert counts.tolist() == [2, 2]
    assert held.lengths.tolist() == [0, 0]


def test_lengths_and_positions_are_whole_numbers():
    for call, name in (
        (lambda: next_positions([0.5], tokens=2), "lengths"),
        (lambda: next_positions("ab", tokens=2), "lengths"),
        (lambda: slot_positions([True], window=2), "lengths"),
        (lambda: visible([0.5], [1], counts=1), "positions"),
        (lambda: visible([0], [None], counts=1), "key_positions"),
        (lambda: visible([0], [1], counts=1.0), "counts"),
        (lambda: whole("table", [[1], [1, 2]]), "table"),
        (lambda: CachedLogits(None, 0, tokens=[0.5]), "tokens"),
    ):
        with pytest.raises(
            TypeError, match=f"^{name} must hold whole numbers: "
        ):
            call()
    with pytest.raises(
        ValueError,
        match=r"positions must have axes \(..., queries\): got shape \(\)$",
    ):
        visible(0, [1], counts=1)
    with pytest.raises(
        ValueError,
        match=r"leading axes of positions and key_positions and counts must "
        r"broadcast: got positions \(2,\), key_positions \(3,\), counts \(\)",
    ):
        visible(np.zeros((2, 1), int), np.zeros((3, 1), int), counts=1)
    assert whole("lengths", []).tolist() == []
    given = np.array([3])
    assert whole("lengths", given) is not given


# --- layers and stacks -----------------------------------------------------

WIDTH, HEADS = 6, 3
STACKS = {
    blocks.encoder_layer: blocks.new_encoder_layer,
    blocks.pre_norm_encoder_layer: blocks.new_encoder_layer,
    blocks.parallel_layer: blocks.new_parallel_layer,
}


def some_stack(layer, count=2):
    numbers = [
        STACKS[layer](width=WIDTH, hidden=7, seed=seed)
        for seed in range(count)
    ]
    norm = blocks.NormWeights(draw(1, WIDTH), draw(2, WIDTH))
    return blocks.Stack(numbers, layer, norm)


def head_caches(kind, rows, layers=2):
    dim = WIDTH // HEADS
    return [
        empty(kind, rows, HEADS, dim=dim, value_dim=dim) for _ in range(layers)
    ]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("layer", STACKS)
@given(seeds, chunks)
@settings(max_examples=5, deadline=None)
def test_a_stack_decodes_what_the_whole_stack_computes(
    kind, layer, seed, sizes
):
    stack, tokens = some_stack(layer), sum(sizes)
    x = draw(seed, 2, tokens, WIDTH)
    caches, at, parts = head_caches(kind, 2), 0, []
    for size in sizes:
        y, caches = decode_step(
            x[:, at : at + size],
            stack,
            caches,
            heads=HEADS,
            step=STEPS[kind],
        )
        parts.append(y)
        at += size
    i, j = np.ogrid[:tokens, :tokens]
    near = (i - j) < reach(kind)
    expected = blocks.decoder_only(x, stack, heads=HEADS, mask=near)
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1), expected, rtol=1e-8, atol=1e-9
    )


@given(seeds, st.integers(0, 5))
@quick
def test_a_grouped_layer_with_a_cache_is_the_layer(seed, first):
    x = draw(seed, 2, 6, 5)
    layer = Projections(
        *(draw(seed + 1, 5, 8), draw(seed + 2, 5, 4), draw(seed + 3, 5, 4)),
        *(draw(seed + 4, 8, 7), draw(seed + 5, 8), draw(seed + 6, 4)),
        *(draw(seed + 7, 4), draw(seed + 8, 7)),
    )
    held, parts = new_full_cache(2, groups=2, dim=2), []
    for part in (x[:, :first], x[:, first:]):
        y, held = cached_attention(part, layer, held, heads=4, groups=2)
        parts.append(y)
    expected = grouped_query_attention(
        x, x, layer, heads=4, groups=2, mask=np.tri(6, dtype=bool)
    )
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1), expected, **EXACT
    )
    assert held.keys.shape == (2, 2, 6, 2)


def test_a_step_can_carry_an_encoding_and_counts():
    stack, x = some_stack(blocks.parallel_layer), draw(0, 2, 5, WIDTH)
    turned = functools.partial(full_step, encode=rotary)
    whole, _ = decode_step(
        x, stack, head_caches("full", 2), heads=HEADS, step=turned
    )
    caches, parts = head_caches("full", 2), []
    for at in range(5):
        y, caches = decode_step(
            x[:, at : at + 1], stack, caches, heads=HEADS, step=turned
        )
        parts.append(y)
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1), whole, rtol=1e-8, atol=1e-9
    )
    plain, _ = decode_step(x, stack, head_caches("full", 2), heads=HEADS)
    assert not np.allclose(plain, whole)
    padded = functools.partial(turned, counts=np.array([5, 3]))
    y, caches = decode_step(
        x, stack, head_caches("full", 2), heads=HEADS, step=padded
    )
    np.testing.assert_allclose(y[1, :3], whole[1, :3], **EXACT)
    assert [c.lengths.tolist() for c in caches] == [[5, 3]] * 2


def test_a_stack_needs_its_caches_and_a_layer_without_memory():
    stack = some_stack(blocks.encoder_layer)
    x = draw(0, 2, 3, WIDTH)
    with pytest.raises(
        ValueError, match="caches must hold one for each layer: got 1, layers"
    ):
        decode_step(x, stack, head_caches("full", 2, 1), heads=HEADS)
    other = blocks.Stack(stack.layers, blocks.decoder_layer)
    with pytest.raises(
        ValueError,
        match="layer must be one that only reads itself: got decoder_layer",
    ):
        decode_step(x, other, head_caches("full", 2), heads=HEADS)


def test_greedy_with_a_cache_finds_the_same_tokens():
    stack = some_stack(blocks.pre_norm_encoder_layer)
    table, out = draw(3, 11, WIDTH), draw(4, WIDTH, 11)
    passed = []

    def advance(tokens, caches):
        passed.extend(tokens)
        y, caches = decode_step(table[tokens], stack, caches, heads=HEADS)
        return y[-1] @ out, caches

    def anew(tokens):
        y = blocks.decoder_only(table[tokens], stack, heads=HEADS)
        return y[-1] @ out

    dim = WIDTH // HEADS
    none = [new_full_cache(groups=HEADS, dim=dim) for _ in range(2)]
    start = [5, 2, 7]
    cached = CachedLogits(advance, none)
    got = objectives_decoding.greedy(cached, start, steps=9)
    expected = objectives_decoding.greedy(anew, start, steps=9)
    assert got.tolist() == expected.tolist()
    assert passed == got.tolist()[:-1]  # each token passed once
    assert int(cached.cache[0].lengths) == 11
    further = CachedLogits(advance, cached.cache, tokens=got[:-1])
    np.testing.assert_allclose(further(got), anew(got), **EXACT)


def test_cached_logits_refuse_another_beginning():
    logits = CachedLogits(lambda new, n: (np.eye(3)[0], n + len(new)), 0)
    logits([1, 2])
    for other in ([1, 3, 2], [1, 2], [1], [[1], [2], [0]]):
        with pytest.raises(
            ValueError,
            match="tokens must begin with those in the cache and go on: got",
        ):
            logits(other)
    logits([1, 2, 0])
    assert logits.cache == 3


def test_the_unit_exports_what_it_lists():
    for name in cache.__all__:
        assert hasattr(cache, name)
