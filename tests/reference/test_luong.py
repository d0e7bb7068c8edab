"""Global and local attention of a decoder against loops written anew."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense
from attncourse.reference.luong import (
    Reading,
    attentional_state,
    average_memory,
    bilinear_scores,
    concat_scores,
    dot_scores,
    global_attention,
)
from attncourse.reference.luong_decoder import (
    Before,
    FeedStep,
    LuongWeights,
    input_feeding_decoder,
    input_feeding_step,
)
from attncourse.reference.luong_local import (
    monotonic_attention,
    predicted_positions,
    predictive_attention,
    window,
)
from attncourse.reference.masks_patterns import local_mask
from attncourse.reference.recurrent_parts import GRUWeights
from attncourse.reference.scores import scaled_scores

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 6)
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def close(got, expected):
    np.testing.assert_allclose(got, expected, **CLOSE)


def arrays(seed=0, *, batch=(2,), queries=3, keys=7, width=5):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(*batch, queries, keys))
    return scores, rng.normal(size=(*batch, keys, width))


def by_hand(scores, memory, allowed, factor):
    """Return weights and contexts, one exponential at a time."""
    queries, keys = scores.shape
    weights = np.zeros((queries, keys))
    for i in range(queries):
        seen = [j for j in range(keys) if allowed(i, j)]
        total = sum(math.exp(scores[i, j]) for j in seen)
        for j in seen:
            weights[i, j] = math.exp(scores[i, j]) / total * factor(i, j)
    return weights @ memory, weights


# --- scores ----------------------------------------------------------------


@given(seeds, sizes, sizes)
@quick
def test_the_concat_score_is_the_formula_pair_by_pair(seed, queries, keys):
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(queries, 4)), rng.normal(size=(keys, 3))
    w, v = rng.normal(size=(7, 5)), rng.normal(size=5)
    got = concat_scores(q, k, w, v)
    for i in range(queries):
        for j in range(keys):
            joined = np.concatenate([q[i], k[j]])
            close(got[i, j], v @ np.tanh(joined @ w))


def test_each_of_a_batch_is_scored_alone():
    rng = np.random.default_rng(16)
    q, k = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 7, 5))
    w, v = rng.normal(size=(9, 6)), rng.normal(size=6)
    got = concat_scores(q, k, w, v)
    close(got[1], concat_scores(q[1], k[1], w, v))
    close(concat_scores(q[0], k, w, v)[1], concat_scores(q[0], k[1], w, v))
    states = attentional_state(q[0], k[0, :3], w)
    close(states[2], attentional_state(q[0, 2], k[0, 2], w))
    batch = attentional_state(q, k[:, :3], w)
    close(batch[1, 2], attentional_state(q[1, 2], k[1, 2], w))


def test_the_general_score_with_the_identity_is_the_dot_product():
    rng = np.random.default_rng(1)
    q, k = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    close(bilinear_scores(q, k, np.eye(5)), dot_scores(q, k))


# --- global ----------------------------------------------------------------


@given(seeds, sizes, sizes)
@quick
def test_global_attention_averages_the_whole_source(seed, queries, keys):
    scores, memory = arrays(seed, queries=queries, keys=keys)
    mask = np.random.default_rng(seed).random((2, queries, keys)) < 0.7
    got = global_attention(scores, memory, mask=mask)
    free = global_attention(scores, memory)
    for b in range(2):
        context, weights = by_hand(
            scores[b], memory[b], lambda i, j, b=b: mask[b, i, j], lambda *_: 1
        )
        close(got.weights[b], weights)
        close(got.context[b], context)
    theirs = torch.softmax(torch.tensor(scores), dim=-1) @ torch.tensor(memory)
    close(free.context, theirs)


def test_global_attention_on_scaled_dot_products_is_dense_attention():
    rng = np.random.default_rng(18)
    q, memory = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 7, 5))
    mask = rng.random((2, 3, 7)) < 0.7
    read = global_attention(scaled_scores(q, memory), memory, mask=mask)
    close(read.context, dense.attention(q, memory, memory, mask=mask))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_forbidden_has_no_influence(poison):
    scores, memory = arrays(2, batch=())
    mask = np.ones((3, 7), bool)
    mask[:, 4] = mask[1] = False
    clean = global_attention(scores, memory, mask=mask)
    scores[:, 4] = memory[4] = poison
    again = global_attention(scores, memory, mask=mask)
    close(again.context, clean.context)
    close(again.weights, clean.weights)
    assert not again.context[1].any()
    read = average_memory(clean.weights, memory, mask=mask)
    close(read, clean.context)
    one = global_attention(scores, memory, mask=np.arange(7)[None] != 4)
    assert np.isfinite(one.context).all()


def test_a_weight_at_a_forbidden_place_counts_for_nothing():
    _, memory = arrays(17, batch=())
    mask = np.arange(7)[None] < 4
    truth = np.tile(memory[:4].sum(axis=0), (3, 1))
    read = average_memory(np.ones((3, 7)), memory, mask=mask)
    close(read, truth)
    spoiled = np.where(mask, np.ones((3, 7)), np.nan)
    close(average_memory(spoiled, memory, mask=mask), truth)
    batch = np.stack([mask, ~mask])  # one set of weights, two masks
    both = average_memory(np.ones((3, 7)), memory, mask=batch)
    close(both[0], truth)
    close(both[1], np.tile(memory[4:].sum(axis=0), (3, 1)))


# --- local -----------------------------------------------------------------


@given(seeds, sizes, sizes, st.integers(0, 4))
@quick
def test_local_m_is_a_softmax_within_the_window(seed, queries, keys, half):
    scores, memory = arrays(seed, batch=(), queries=queries, keys=keys)
    rng = np.random.default_rng(seed)
    positions = rng.integers(0, keys + 2, size=queries)
    got = monotonic_attention(scores, memory, positions, half_width=half)
    context, weights = by_hand(
        scores,
        memory,
        lambda i, j: abs(j - positions[i]) <= half,
        lambda *_: 1,
    )
    close(got.weights, weights)
    close(got.context, context)


@given(seeds, sizes, sizes, st.integers(1, 4))
@quick
def test_local_p_multiplies_by_a_gaussian_after_the_softmax(
    seed, queries, keys, half
):
    scores, memory = arrays(seed, batch=(), queries=queries, keys=keys)
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, keys, size=queries)
    mask = rng.random((queries, keys)) < 0.8
    got = predictive_attention(scores, memory, p, half_width=half, mask=mask)
    context, weights = by_hand(
        scores,
        memory,
        lambda i, j: p[i] - half <= j <= p[i] + half and mask[i, j],
        lambda i, j: math.exp(-((j - p[i]) ** 2) / (2 * (half / 2) ** 2)),
    )
    close(got.weights, weights)
    close(got.context, context)
    assert np.all(got.weights.sum(axis=-1) <= 1 + 1e-12)


def test_the_window_holds_its_edges_and_nothing_outside_the_source():
    seen = window([-1, 0, 2.5, 6], keys=7, half_width=2)
    assert seen.astype(int).tolist() == [
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 1],
    ]
    assert window([3], keys=7, half_width=0).sum() == 1
    assert window([], keys=7, half_width=0).shape == (0, 7)
    assert window([2], keys=0, half_width=1).shape == (1, 0)


def test_about_the_query_itself_the_window_is_the_local_mask():
    for n in (1, 5):
        for half in (0, 2, 7):
            seen = window(np.arange(n), keys=n, half_width=half)
            truth = local_mask(n, n, radius=half)
            np.testing.assert_array_equal(seen, truth)


def test_results_go_by_their_names():
    scores, memory = arrays(15, batch=())
    for read in (
        global_attention(scores, memory),
        monotonic_attention(scores, memory, [1, 2, 3], half_width=1),
        predictive_attention(scores, memory, [1, 2, 3], half_width=1),
    ):
        assert isinstance(read, Reading)


def test_a_window_wider_than_the_source_is_global():
    scores, memory = arrays(3)
    whole = global_attention(scores, memory)
    local = monotonic_attention(scores, memory, np.arange(3), half_width=7)
    close(local.context, whole.context)
    close(local.weights, whole.weights)
    # A Gaussian so wide is flat, but not yet at half a window of ten.
    for half, far in ((10**6, False), (10, True)):
        soft = predictive_attention(
            scores, memory, [3.0] * 3, half_width=half
        ).weights
        assert (np.abs(soft - whole.weights).max() > 1e-3) == far


def test_a_window_outside_of_the_source_reads_zeros():
    scores, memory = arrays(4, batch=())
    for attention in (monotonic_attention, predictive_attention):
        for far in (12, 1e200, np.inf, np.nan):
            read = attention(scores, memory, [-3, 3, far], half_width=2)
            assert not read.context[[0, 2]].any()
            assert not read.weights[[0, 2]].any()
            assert read.context[1].all()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_outside_of_the_window_has_no_influence(poison):
    scores, memory = arrays(5, batch=())
    for attention in (monotonic_attention, predictive_attention):
        clean = attention(scores, memory, [1, 2, 2], half_width=2)
        soiled, spoiled = memory.copy(), scores.copy()
        soiled[5:] = spoiled[:, 5:] = poison
        again = attention(spoiled, soiled, [1, 2, 2], half_width=2)
        close(again.context, clean.context)


def test_a_mask_and_a_window_must_both_allow():
    scores, memory = arrays(6, batch=())
    mask = np.arange(7)[None] < 3
    near = window([1, 2, 6], keys=7, half_width=1)
    for attention in (monotonic_attention, predictive_attention):
        read = attention(scores, memory, [1, 2, 6], half_width=1, mask=mask)
        np.testing.assert_array_equal(read.weights > 0, mask & near)
        assert not read.context[2].any()


def test_positions_are_predicted_between_the_ends_of_the_source():
    rng = np.random.default_rng(7)
    q, w, v = (
        rng.normal(size=(2, 3, 5)),
        rng.normal(size=(5, 4)),
        [1, -2, 3, 4],
    )
    got = predicted_positions(q, w, v, lengths=[7, 4])
    for b, length in enumerate([7, 4]):
        for i in range(3):
            inner = v @ np.tanh(q[b, i] @ w)
            close(got[b, i], length / (1 + math.exp(-inner)))
    ends = predicted_positions(q, w, 1e4 * np.array(v), lengths=7)
    assert set(ends.ravel()) == {0.0, 7.0}
    assert not predicted_positions(q, w, v, lengths=0).any()


# --- the decoder -----------------------------------------------------------


def decoder_weights(rng):
    return LuongWeights(
        rng.normal(size=(11, 4)),
        GRUWeights(
            rng.normal(size=(3, 4 + 6, 5)),
            rng.normal(size=(3, 5, 5)),
            rng.normal(size=(3, 5)),
            rng.normal(size=(3, 5)),
        ),
        rng.normal(size=(8 + 5, 6)),
        rng.normal(size=(6, 11)),
    )


def test_the_attentional_state_reads_the_context_first():
    rng = np.random.default_rng(8)
    h, c, w = rng.normal(size=5), rng.normal(size=3), rng.normal(size=(8, 2))
    close(attentional_state(h, c, w), np.tanh(np.concatenate([c, h]) @ w))


@given(seeds, sizes, sizes)
@quick
def test_the_decoder_is_the_papers_word_by_word(seed, keys, targets):
    rng = np.random.default_rng(seed)
    w, memory = decoder_weights(rng), rng.normal(size=(keys, 8))
    bridge, tokens = rng.normal(size=(5, 8)), rng.integers(11, size=targets)
    state = rng.normal(size=5)

    def attend(q, at):
        scores = bilinear_scores(q, memory, bridge)
        return monotonic_attention(scores, memory, at, half_width=2)

    got = input_feeding_decoder(tokens, state, attend, w)
    cell = torch.nn.GRUCell(10, 5).double()
    with torch.no_grad():
        for name, value in zip(
            ("weight_ih", "weight_hh"), w.gru[:2], strict=True
        ):
            rows = torch.tensor(np.swapaxes(value, 1, 2)).reshape(15, -1)
            getattr(cell, name).copy_(rows)
        cell.bias_ih.copy_(torch.tensor(w.gru.b_input.ravel()))
        cell.bias_hh.copy_(torch.tensor(w.gru.b_state.ravel()))
    h, fed = state, np.zeros(6)
    for t, token in enumerate(tokens):
        row = torch.tensor(np.concatenate([w.embedding[token], fed]))
        h = cell(row, torch.tensor(h)).detach().numpy()
        near = [j for j in range(keys) if t - 2 <= j <= t + 2]
        shares = np.exp([h @ bridge @ memory[j] for j in near])
        shares /= shares.sum()
        context = sum(
            (a * memory[j] for a, j in zip(shares, near, strict=True)),
            start=np.zeros(8),
        )
        fed = np.tanh(np.concatenate([context, h]) @ w.w_attentional)
        close(got.logits[t], fed @ w.w_output)
        close(got.alignment[t][near], shares)


def test_steps_are_the_decoder_and_count_themselves():
    rng = np.random.default_rng(9)
    w, memory = decoder_weights(rng), rng.normal(size=(7, 8))
    state, seen = rng.normal(size=5), []

    def attend(q, at):
        seen.append(np.asarray(at).tolist())
        return global_attention(q @ np.ones((5, 7)), memory)

    whole = input_feeding_decoder([1, 2, 3], state, attend, w)
    # The first look tells the shapes, from where the decoder begins.
    assert seen == [[0], [0], [1], [2]]
    before = Before(state, np.zeros(6))
    for t in range(3):
        step = input_feeding_step(t + 1, before, attend, w)
        assert isinstance(step, FeedStep)
        logits, before, alignment = step
        close(logits, whole.logits[t])
        close(alignment, whole.alignment[t])
    assert before.position == 3


def test_tokens_of_a_step_may_share_what_the_last_has_left():
    rng = np.random.default_rng(19)
    w, memory = decoder_weights(rng), rng.normal(size=(7, 8))

    def attend(q, at):
        return global_attention(q @ np.ones((5, 7)), memory)

    before = Before(rng.normal(size=5), rng.normal(size=6))
    got = input_feeding_step([1, 2, 3], before, attend, w)
    for n in range(3):
        alone = input_feeding_step(n + 1, before, attend, w)
        close(got.logits[n], alone.logits)
    spread = Before(before.state, np.tile(before.attentional, (2, 3, 1)))
    again = input_feeding_step([1, 2, 3], spread, attend, w)
    close(again.logits[1], got.logits)


def test_what_was_read_is_fed_to_the_next_step():
    rng = np.random.default_rng(10)
    w = decoder_weights(rng)
    state, memory = rng.normal(size=5), rng.normal(size=(7, 8))

    def attend(q, at):
        weights = np.zeros((1, 7))
        weights[0, 3 if at[0] == 0 else 2] = 1.0
        return average_memory(weights, memory), weights

    before = input_feeding_decoder([1, 2], state, attend, w).logits
    memory[3] += 1.0
    after = input_feeding_decoder([1, 2], state, attend, w).logits
    assert np.abs(after[1] - before[1]).max() > 1e-6
    no_feed = w.gru.w_input.copy()
    no_feed[:, 4:] = 0.0
    w = w._replace(gru=w.gru._replace(w_input=no_feed))
    before = input_feeding_decoder([1, 2], state, attend, w).logits
    memory[3] += 1.0
    after = input_feeding_decoder([1, 2], state, attend, w).logits
    close(after[1], before[1])


def test_a_batch_of_targets_is_each_of_them():
    rng = np.random.default_rng(11)
    w, memory = decoder_weights(rng), rng.normal(size=(2, 1, 7, 8))
    tokens, state = rng.integers(11, size=(3, 4)), rng.normal(size=5)

    def attend_to(memory):
        return lambda q, at: global_attention(
            dot_scores(q @ np.ones((5, 8)), memory), memory
        )

    got = input_feeding_decoder(tokens, state, attend_to(memory), w)
    assert got.logits.shape == (2, 3, 4, 11)
    assert got.alignment.shape == (2, 3, 4, 7)
    for a in range(2):
        for b in range(3):
            alone = input_feeding_decoder(
                tokens[b], state, attend_to(memory[a, 0]), w
            )
            close(got.logits[a, b], alone.logits)
            close(got.alignment[a, b], alone.alignment)
    none = input_feeding_decoder([], state, attend_to(memory), w)
    assert none.logits.shape == (2, 1, 0, 11)
    assert none.alignment.shape == (2, 1, 0, 7)


# --- the rest of the contract ----------------------------------------------


def test_leading_axes_broadcast():
    scores, _ = arrays(12, batch=(2, 1))
    _, other = arrays(13, batch=(3,))
    mask = np.arange(7)[None, None, None] < np.array([3, 5, 7])[:, None, None]
    p = np.array([1.0, 2.0, 4.0])
    for read in (
        global_attention(scores, other, mask=mask),
        monotonic_attention(scores, other, p, half_width=3, mask=mask),
        predictive_attention(scores, other, p, half_width=3, mask=mask),
    ):
        assert read.context.shape == (2, 3, 3, 5)
    alone = predictive_attention(
        scores[1, 0], other[2], p, half_width=3, mask=mask[0, 2]
    )
    close(read.context[1, 2], alone.context)


def test_axes_of_length_zero_are_answered():
    for queries, keys, width in ((0, 7, 5), (3, 0, 5), (3, 7, 0)):
        scores, memory = arrays(queries=queries, keys=keys, width=width)
        for read in (
            global_attention(scores, memory),
            monotonic_attention(
                scores, memory, np.arange(queries), half_width=1
            ),
            predictive_attention(
                scores, memory, np.arange(queries), half_width=1
            ),
        ):
            assert read.context.shape == (2, queries, width)
            assert not read.context.any()
            assert read.weights.shape == (2, queries, keys)


def test_scores_of_ten_thousand_stay_exact():
    scores = 1e4 * np.array([[1.0, -1.0, 1.0]])
    read = global_attention(scores, np.eye(3))
    assert read.context.tolist() == [[0.5, 0.0, 0.5]]


def test_answers_are_float64_and_inputs_left_alone():
    scores, memory = arrays(14, batch=())
    for each in (scores, memory):
        each.flags.writeable = False
    truth = predictive_attention(scores, memory, [1, 2, 3], half_width=2)
    narrow = predictive_attention(
        torch.tensor(scores).float(),
        memory.astype(np.float32).tolist(),
        torch.tensor([1, 2, 3]),
        half_width=2,
    )
    assert narrow.context.dtype == np.float64
    np.testing.assert_allclose(narrow.context, truth.context, atol=1e-5)
    turned = global_attention(scores[:, ::-1], memory[::-1])
    close(turned.context, global_attention(scores, memory).context)


S, M = np.ones((3, 7)), np.ones((7, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: concat_scores(S[:, :4], M, np.ones((8, 2)), np.ones(2)),
            ValueError,
            r"w must have a row for each number of query and key, 4 \+ 5: "
            "got 8",
        ),
        (
            lambda: concat_scores(
                np.ones((2, 3, 4)), np.ones((2, 7, 5)), S, np.ones(7)
            ),
            ValueError,
            r"for each number of query and key, 4 \+ 5: got 3",
        ),
        (
            lambda: global_attention(S, M[:6]),
            ValueError,
            "scores and memory must agree in keys: got scores=7, memory=6",
        ),
        (
            lambda: global_attention(S, M, mask=np.ones((7, 3), bool)),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\) = "
            r"\(\.\.\., 3, 7\): got \(7, 3\)",
        ),
        (
            lambda: global_attention(
                np.ones((2, 3, 7)), M, mask=np.ones((7, 3), bool)
            ),
            ValueError,
            r"= \(\.\.\., 3, 7\): got \(7, 3\)",
        ),
        (
            lambda: global_attention(S, M, mask=np.ones((3, 7))),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: global_attention(np.ones((2, 3, 7)), np.ones((5, 7, 5))),
            ValueError,
            "leading axes of scores and memory and mask must broadcast",
        ),
        (
            lambda: global_attention(
                np.ones((2, 3, 7)), M, mask=np.ones((5, 3, 7), bool)
            ),
            ValueError,
            "leading axes of scores and memory and mask must broadcast",
        ),
        (
            lambda: monotonic_attention(S, M, [1, 2], half_width=1),
            ValueError,
            "scores and positions must agree in queries: "
            "got scores=3, positions=2",
        ),
        (
            lambda: monotonic_attention(S, M, [1, 2, 3], half_width=-1),
            ValueError,
            "half_width must be at least 0: got -1",
        ),
        (
            lambda: predictive_attention(S, M, [1, 2, 3], half_width=0),
            ValueError,
            "half_width must be at least 1: got 0",
        ),
        (
            lambda: predictive_attention(S, M, [1, 2, 3], half_width=1.5),
            TypeError,
            "half_width must be a whole number: got 1.5",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((6, 2)), np.ones(2), lengths=7
            ),
            ValueError,
            "q and w must agree in dim: got q=7, w=6",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((7, 2)), np.ones(3), lengths=7
            ),
            ValueError,
            "w and v must agree in hidden: got w=2, v=3",
        ),
        (
            lambda: predicted_positions(
                np.ones((2, 3, 7)),
                np.ones((7, 2)),
                np.ones(2),
                lengths=[1] * 3,
            ),
            ValueError,
            "leading axes of q and lengths must broadcast",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((7, 2)), np.ones(2), lengths=2.5
            ),
            TypeError,
            "lengths must be whole numbers: got dtype float64",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((7, 2)), np.ones(2), lengths=[-2]
            ),
            ValueError,
            "lengths must not be negative: got -2",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((7, 2)), np.ones((2, 2)), lengths=7
            ),
            ValueError,
            r"w must have two axes and v one: got w \(7, 2\), v \(2, 2\)",
        ),
        (
            lambda: predicted_positions(
                S, np.ones((7, 7, 2)), np.ones(2), lengths=7
            ),
            ValueError,
            "w must have two axes and v one",
        ),
        (
            lambda: attentional_state(
                np.ones(3), np.ones(4), np.ones((7, 2, 2))
            ),
            ValueError,
            r"w must have two axes: got shape \(7, 2, 2\)",
        ),
        (
            lambda: average_memory(S, M[:6]),
            ValueError,
            "weights and memory must agree in keys: got weights=7, memory=6",
        ),
        (
            lambda: average_memory(S, M, mask=np.ones((7, 3), bool)),
            ValueError,
            "mask must fit the weights",
        ),
        (
            lambda: attentional_state(np.ones(3), np.ones(4), np.ones((6, 2))),
            ValueError,
            r"w must have a row for each number of context and state, 4 \+ 3: "
            "got 6",
        ),
        (
            lambda: attentional_state(
                np.ones((2, 3)), np.ones((5, 4)), np.ones((7, 2))
            ),
            ValueError,
            "leading axes of context and state must broadcast",
        ),
        (
            lambda: input_feeding_step(
                [1, 2],
                Before(np.ones(5), np.ones((3, 6))),
                None,
                decoder_weights(np.random.default_rng(0)),
            ),
            ValueError,
            "leading axes of tokens and fed must broadcast: "
            r"got tokens \(2,\), fed \(3,\)",
        ),
        (
            lambda: input_feeding_decoder(
                [[1], [2]],
                np.ones((3, 5)),
                lambda q, at: (q, np.ones((3, 1, 7))),
                decoder_weights(np.random.default_rng(0)),
            ),
            ValueError,
            "leading axes of tokens and state and read must broadcast",
        ),
        (
            lambda: input_feeding_decoder(
                1, np.ones(5), None, decoder_weights(np.random.default_rng(0))
            ),
            ValueError,
            r"tokens must have axes \(..., targets\): got shape \(\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
