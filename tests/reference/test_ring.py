"""Ring attention in one process against all keys at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense, ring
from attncourse.reference.masks import causal_mask
from attncourse.reference.ring import (
    contiguous,
    holders,
    shard,
    striped,
    unshard,
    work_per_rank,
    zigzag,
)

DEALS = [contiguous, striped, zigzag]
quick = settings(max_examples=25, deadline=None)
lengths = st.integers(1, 13)
rank_counts = st.integers(1, 5)
seeds = st.integers(0, 10**6)
deals = st.sampled_from(DEALS)


def arrays(seed=0, *, batch=(2,), queries=5, keys=7, dim=3, value_dim=2):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*batch, queries, dim)),
        rng.normal(size=(*batch, keys, dim)),
        rng.normal(size=(*batch, keys, value_dim)),
    )


def close(got, expected, atol=1e-12):
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=atol, rtol=1e-12)


# --- dealing ---------------------------------------------------------------


@given(st.integers(0, 40), st.integers(1, 9), deals)
@quick
def test_every_position_is_dealt_once_and_evenly(length, ranks, deal):
    dealt = deal(length, ranks=ranks)
    assert len(dealt) == ranks
    assert sorted(np.concatenate(dealt).tolist()) == list(range(length))
    sizes = [len(each) for each in dealt]
    assert max(sizes) - min(sizes) <= (2 if deal is zigzag else 1)
    for held in dealt:
        assert np.all(np.diff(held) > 0)


def test_the_three_deals_are_those_of_their_definitions():
    def listed(deal, length):
        return [each.tolist() for each in deal(length, ranks=3)]

    assert listed(contiguous, 7) == [[0, 1, 2], [3, 4], [5, 6]]
    assert listed(striped, 7) == [[0, 3, 6], [1, 4], [2, 5]]
    assert listed(zigzag, 12) == [[0, 1, 10, 11], [2, 3, 8, 9], [4, 5, 6, 7]]
    assert listed(zigzag, 7) == [[0, 1, 6], [2, 5], [3, 4]]
    assert listed(zigzag, 2) == [[0], [1], []]
    assert listed(contiguous, 0) == [[], [], []]


@given(st.integers(0, 17), rank_counts, deals)
@quick
def test_what_is_dealt_comes_back_in_order(length, ranks, deal):
    x = np.arange(2.0 * length * 3).reshape(2, length, 3)
    dealt = deal(length, ranks=ranks)
    parts = shard(x, dealt)
    for part, held in zip(parts, dealt, strict=True):
        assert part.shape == (2, len(held), 3)
    np.testing.assert_array_equal(unshard(parts, dealt), x)


def test_positions_may_come_as_lists():
    early, late = shard([[3.0], [5.0]], [[0, 1], []])
    assert early.tolist() == [[3.0], [5.0]]
    assert late.shape == (0, 1)


def test_shards_do_not_share_memory_with_the_sequence():
    x = np.ones((4, 3))
    part = shard(x, contiguous(4, ranks=1))[0]
    part[...] = 7.0
    assert np.all(x == 1.0)


# --- the schedule, and who works -------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_every_rank_holds_every_share_once_and_no_two_hold_the_same(ranks):
    table = holders(ranks)
    everybody = list(range(ranks))
    assert table[:, 0].tolist() == everybody
    for row in table:
        assert sorted(row.tolist()) == everybody
    for column in table.T:
        assert sorted(column.tolist()) == everybody
    # What a rank holds next is what its left neighbour holds now.
    for step in range(ranks - 1):
        assert (
            table[:, step + 1].tolist() == np.roll(table[:, step], 1).tolist()
        )


@given(st.integers(0, 20), rank_counts, deals)
@quick
def test_the_work_of_all_is_the_triangle_of_visible_pairs(length, ranks, deal):
    work = work_per_rank(length, ranks=ranks, deal=deal)
    assert work.shape == (ranks, ranks)
    assert work.sum() == length * (length + 1) // 2
    dealt, mask = deal(length, ranks=ranks), np.tri(length, dtype=bool)
    for rank in range(ranks):
        for step in range(ranks):
            owner = (rank - step) % ranks
            seen = mask[dealt[rank]][:, dealt[owner]]
            assert work[rank, step] == seen.sum()


def test_zigzag_balances_what_contiguous_leaves_to_the_last_rank():
    even = work_per_rank(48, ranks=4, deal=zigzag)
    skewed = work_per_rank(48, ranks=4)
    chunk, shares = 6, 12
    # Every rank works the same at every step: never does one wait.
    assert even[:, 0].tolist() == [2 * 21 + chunk * chunk] * 4
    assert even[:, 1:].tolist() == [[2 * chunk * chunk] * 3] * 4
    # Contiguous: rank r sees the r ranks before it whole, the others not.
    assert skewed[:, 0].tolist() == [78] * 4
    assert np.count_nonzero(skewed[:, 1:], axis=1).tolist() == [0, 1, 2, 3]
    assert skewed[3, 1:].tolist() == [shares * shares] * 3
    # A step lasts as long as its slowest rank.
    assert even.max(axis=0).sum() == 294
    assert skewed.max(axis=0).sum() == 510
    # Stripes differ by the diagonal alone.
    assert np.ptp(work_per_rank(48, ranks=4, deal=striped)) == shares


# --- the result ------------------------------------------------------------


@given(seeds, lengths, lengths, rank_counts, deals)
@quick
def test_any_number_of_ranks_gives_dense_attention(
    seed, queries, keys, ranks, deal
):
    q, k, v = arrays(seed, queries=queries, keys=keys)
    got = ring.attention(q, k, v, ranks=ranks, deal=deal)
    close([got], [dense.attention(q, k, v)])
    mask = causal_mask(queries, keys)
    got = ring.causal_attention(q, k, v, ranks=ranks, deal=deal)
    close([got], [dense.attention(q, k, v, mask=mask)])


@given(seeds, lengths, lengths, rank_counts, deals)
@quick
def test_gradients_that_travel_are_those_of_dense_attention(
    seed, queries, keys, ranks, deal
):
    q, k, v = arrays(seed, queries=queries, keys=keys)
    upstream = np.random.default_rng(seed + 1).normal(size=(2, queries, 2))
    close(
        ring.attention_backward(q, k, v, upstream, ranks=ranks, deal=deal),
        dense.attention_backward(q, k, v, upstream),
    )
    mask = causal_mask(queries, keys)
    close(
        ring.causal_attention_backward(
            q, k, v, upstream, ranks=ranks, deal=deal
        ),
        dense.attention_backward(q, k, v, upstream, mask=mask),
    )


def test_the_defaults_are_the_deals_of_their_docstrings():
    q, k, v = arrays(1, keys=5)
    upstream = np.ones((2, 5, 2))
    for function, deal in (
        (ring.attention, contiguous),
        (ring.causal_attention, zigzag),
    ):
        one = function(q, k, v, ranks=3)
        np.testing.assert_array_equal(
            one, function(q, k, v, ranks=3, deal=deal)
        )
    for backward, deal in (
        (ring.attention_backward, contiguous),
        (ring.causal_attention_backward, zigzag),
    ):
        for one, other in zip(
            backward(q, k, v, upstream, ranks=3),
            backward(q, k, v, upstream, ranks=3, deal=deal),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_leading_axes_broadcast_forwards_and_backwards():
    q, _, _ = arrays(2, batch=(2, 1))
    _, k, _ = arrays(3, batch=(3,))
    _, _, v = arrays(4, batch=())
    mask = causal_mask(5, 7)
    got = ring.causal_attention(q, k, v, ranks=2)
    close([got], [dense.attention(q, k, v, mask=mask)])
    upstream = np.random.default_rng(5).normal(size=got.shape)
    close(
        ring.causal_attention_backward(q, k, v, upstream, ranks=2),
        dense.attention_backward(q, k, v, upstream, mask=mask),
    )


def test_a_share_in_a_ring_is_a_share_at_a_time(monkeypatch):
    sizes = []
    whole = ring.partial_attention

    def watched(q, k, v, *, mask):
        sizes.append((q.shape[-2], k.shape[-2]))
        return whole(q, k, v, mask=mask)

    monkeypatch.setattr(ring, "partial_attention", watched)
    ring.attention(*arrays(6), ranks=3)
    # Five queries and seven keys: shares of 2, 2, 1 and of 3, 2, 2.
    assert sizes == [
        *((2, 3), (2, 2), (1, 2)),
        *((2, 2), (2, 3), (1, 2)),
        *((2, 2), (2, 2), (1, 3)),
    ]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("deal", DEALS)
def test_what_may_not_be_seen_has_no_influence(poison, deal):
    q, k, v = arrays(7, batch=(), keys=5)
    upstream = np.ones((5, 2))
    options = {"ranks": 2, "deal": deal}
    clean = ring.causal_attention(q, k, v, **options)
    gradients = ring.causal_attention_backward(q, k, v, upstream, **options)
    k[4] = v[4] = poison
    spoiled = ring.causal_attention(q, k, v, **options)
    after = ring.causal_attention_backward(q, k, v, upstream, **options)
    np.testing.assert_array_equal(spoiled[:4], clean[:4])
    np.testing.assert_array_equal(after[0][:4], gradients[0][:4])
    assert np.isnan(spoiled[4]).all()


def test_a_late_query_that_is_spoiled_keeps_to_the_keys_it_sees():
    q, k, v = arrays(8, batch=(), queries=7)
    upstream = np.ones((7, 2))
    clean = ring.causal_attention_backward(q, k, v, upstream, ranks=3)
    upstream[2] = q[2] = np.nan
    after = ring.causal_attention_backward(q, k, v, upstream, ranks=3)
    close([each[3:] for each in after], [each[3:] for each in clean])
    assert np.isnan(after[1][:3]).all()
    assert np.isnan(after[2][:3]).all()


def test_queries_before_all_keys_see_nothing_and_have_no_gradient():
    q, k, v = arrays(9, queries=7, keys=3)
    output = ring.causal_attention(q, k, v, ranks=2)
    assert not output[:, :4].any()
    assert output[:, 4:].all()
    upstream = np.ones_like(output)
    dq, dk, dv = ring.causal_attention_backward(q, k, v, upstream, ranks=2)
    assert not dq[:, :4].any()
    close(
        [dq, dk, dv],
        dense.attention_backward(q, k, v, upstream, mask=causal_mask(7, 3)),
    )


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"), [(0, 5, 3), (3, 0, 2), (3, 5, 0)]
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim):
    triple = arrays(queries=queries, keys=keys, value_dim=value_dim)
    for function, backward in (
        (ring.attention, ring.attention_backward),
        (ring.causal_attention, ring.causal_attention_backward),
    ):
        output = function(*triple, ranks=2)
        assert output.shape == (2, queries, value_dim)
        assert not output.any()
        gradients = backward(*triple, output, ranks=2)
        for gradient, array in zip(gradients, triple, strict=True):
            assert gradient.shape == array.shape
            assert not gradient.any()


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousand_stay_exact(scale):
    q, k, v = arrays(10)
    upstream = np.ones((2, 5, 2))
    close(
        [ring.attention(scale * q, k, v, ranks=3)],
        [dense.attention(scale * q, k, v)],
        atol=1e-9,
    )
    close(
        ring.attention_backward(scale * q, k, v, upstream, ranks=3),
        dense.attention_backward(scale * q, k, v, upstream),
        atol=1e-7,
    )


def test_finite_numbers_meet_no_infinite_ones_on_the_way():
    q, k, v = arrays(12, batch=(), queries=7)
    k[:, 0] = v[:, 1] = 0.0
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        ring.causal_attention_backward(1e4 * q, k, v, np.ones((7, 2)), ranks=3)


def test_one_key_and_a_width_of_one_will_do():
    q, k, v = arrays(13, keys=1, dim=1)
    for ranks in (1, 3):
        got = ring.causal_attention(q, k, v, ranks=ranks)
        np.testing.assert_allclose(got[:, 4], v[:, 0], atol=1e-15)
        assert not got[:, :4].any()


def test_answers_are_float64_and_inputs_left_alone():
    triple = arrays(11)
    truth = ring.attention(*(x.astype(np.float32) for x in triple), ranks=2)
    assert truth.dtype == np.float64
    tensors = [torch.from_numpy(each).float() for each in triple]
    np.testing.assert_array_equal(ring.attention(*tensors, ranks=2), truth)
    lists = [x.astype(np.float32).tolist() for x in triple]
    np.testing.assert_array_equal(ring.attention(*lists, ranks=2), truth)
    for each in triple:
        each.flags.writeable = False
    ring.attention_backward(*triple, np.ones((2, 5, 2)), ranks=2)


Q, K, V = np.ones((3, 5)), np.ones((7, 5)), np.ones((7, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ring.attention(Q, K[:, :4], V, ranks=2),
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            lambda: ring.causal_attention(Q, K, V[:6], ranks=2),
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        (
            lambda: ring.attention(Q[:, :0], K[:, :0], V, ranks=2),
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            lambda: ring.attention(
                np.ones((2, 3, 5)), np.ones((3, 7, 5)), V, ranks=1
            ),
            ValueError,
            "leading axes of q and k and v must broadcast",
        ),
        (
            lambda: ring.attention(
                Q, np.ones((2, 7, 5)), np.ones((3, 7, 2)), ranks=1
            ),
            ValueError,
            r"leading axes of q and k and v must broadcast: "
            r"got q \(\), k \(2,\), v \(3,\)",
        ),
        (
            lambda: ring.attention(Q, K, V, ranks=0),
            ValueError,
            "ranks must be at least 1: got 0",
        ),
        (
            lambda: ring.attention(Q > 0, K, V, ranks=1),
            TypeError,
            "q must hold real numbers: got dtype bool",
        ),
        (
            lambda: ring.attention_backward(Q, K, V, np.ones((3, 3)), ranks=1),
            ValueError,
            r"upstream must have the output's shape \(3, 2\): got \(3, 3\)",
        ),
        (
            lambda: contiguous(-1, ranks=2),
            ValueError,
            "length must be at least 0: got -1",
        ),
        (
            lambda: striped(-1, ranks=2),
            ValueError,
            "length must be at least 0: got -1",
        ),
        (
            lambda: zigzag(4, ranks=0),
            ValueError,
            "ranks must be at least 1: got 0",
        ),
        (
            lambda: holders(0),
            ValueError,
            "ranks must be at least 1: got 0",
        ),
        (
            lambda: shard(K, contiguous(6, ranks=2)),
            ValueError,
            r"positions must deal each of 7 tokens to one rank: "
            r"got \[\[0, 1, 2\], \[3, 4, 5\]\]",
        ),
        (
            lambda: shard(K[:2], [np.array([0]), np.array([0])]),
            ValueError,
            r"positions must deal each of 2 tokens to one rank: "
            r"got \[\[0\], \[0\]\]",
        ),
        (
            lambda: unshard([K[:3], K[3:6]], contiguous(7, ranks=2)),
            ValueError,
            r"parts must hold \[4, 3\] tokens, as dealt: got \[3, 3\]",
        ),
        (
            lambda: ring.causal_attention(Q, K, V, ranks=2, deal=None),
            TypeError,
            "deal must be a function of length and ranks: got None",
        ),
        (
            lambda: ring.attention_backward(Q, K, V, V, ranks=2, deal="zig"),
            TypeError,
            "deal must be a function of length and ranks: got 'zig'",
        ),
        (
            lambda: work_per_rank(4, ranks=2, deal=[[0, 1], [2, 3]]),
            TypeError,
            r"length and ranks: got \[\[0, 1\], \[2, 3\]\]",
        ),
        (
            lambda: work_per_rank(4, ranks=1, deal=lambda n, ranks: [[0, 1]]),
            ValueError,
            r"positions must deal each of 4 tokens to one rank: got \[\[0, 1",
        ),
        (
            lambda: shard(K[:2], [np.array([True, False])]),
            TypeError,
            "positions must be lists of whole numbers, one for each rank: "
            r"got \[\[True, False\]\]",
        ),
        (
            lambda: shard(K[:2], [np.array([[0], [1]])]),
            TypeError,
            r"one for each rank: got \[\[\[0\], \[1\]\]\]",
        ),
        (
            lambda: unshard([], []),
            ValueError,
            "parts must come from at least one rank: got none",
        ),
        (
            lambda: unshard([K[:1], V[:1]], contiguous(2, ranks=2)),
            ValueError,
            r"parts must agree in all axes but tokens: got \[\(5,\), \(2,\)\]",
        ),
        (
            lambda: unshard([K[:1], K[None, :1]], contiguous(2, ranks=2)),
            ValueError,
            r"in all axes but tokens: got \[\(5,\), \(1, 5\)\]",
        ),
        (
            lambda: unshard([K[:1], K[:1]], [np.array([0]), np.array([0])]),
            ValueError,
            "positions must deal each of 2 tokens to one rank",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
