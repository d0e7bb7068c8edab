"""Recurrent encoder-decoder against torch's GRU and loops written anew."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.objectives_decoding import beam_search, greedy
from attncourse.reference.recurrent import (
    AlignmentWeights,
    Decoded,
    DecoderWeights,
    DeepOutput,
    Encoded,
    EncoderWeights,
    GRUWeights,
    LinearOutput,
    Recurrence,
    Step,
    TranslatorWeights,
    TwoWay,
    align,
    bidirectional_gru,
    context_vector,
    decoder,
    decoder_step,
    embed,
    encode,
    gru,
    gru_cell,
    gru_cell_reset_first,
    next_logits,
    output_logits,
    start_state,
    translate,
)
from attncourse.reference.recurrent_tokens import masked_tokens

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 5)
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def close(got, expected):
    np.testing.assert_allclose(got, expected, **CLOSE)


def some(rng, *shape):
    return rng.normal(size=shape)


def gru_weights(rng, inputs, width):
    return GRUWeights(
        some(rng, 3, inputs, width),
        some(rng, 3, width, width),
        some(rng, 3, width),
        some(rng, 3, width),
    )


def torchs(module, *weights):
    """Fill torch's own GRU or cell with our numbers."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ends = (
        ("_l0", "_l0_reverse") if isinstance(module, torch.nn.GRU) else ("",)
    )
    with torch.no_grad():
        for end, each in zip(ends, weights, strict=False):
            for name, value in zip(names, each, strict=True):
                rows = torch.as_tensor(value).mT.reshape(-1, value.shape[1])
                if value.ndim == 2:
                    rows = torch.as_tensor(value).reshape(-1)
                getattr(module, name + end).copy_(rows)
    return module


def model(rng, *, deep=False):
    """Return a translator from 7 words to 11 whose sizes are all unlike."""
    encoder = EncoderWeights(
        some(rng, 7, 5),
        gru_weights(rng, 5, 2),
        gru_weights(rng, 5, 3),
        some(rng, 3, 4),
    )
    linear = LinearOutput(some(rng, 4 + 6 + 5, 11), some(rng, 11))
    maxout = DeepOutput(
        some(rng, 4, 26), some(rng, 6, 26), some(rng, 5, 26), some(rng, 13, 11)
    )
    writer = DecoderWeights(
        some(rng, 11, 6),
        AlignmentWeights(some(rng, 4, 8), some(rng, 5, 8), some(rng, 8)),
        gru_weights(rng, 11, 4),
        maxout if deep else linear,
    )
    return TranslatorWeights(encoder, writer)


# --- the recurrent unit ----------------------------------------------------


@given(seeds, sizes, sizes, sizes)
@quick
def test_the_cell_is_torchs(seed, batch, inputs, width):
    rng = np.random.default_rng(seed)
    w = gru_weights(rng, inputs, width)
    x, state = some(rng, batch, inputs), some(rng, batch, width)
    cell = torchs(torch.nn.GRUCell(inputs, width).double(), w)
    theirs = cell(torch.tensor(x), torch.tensor(state)).detach()
    close(gru_cell(x, state, w), theirs)


def by_hand(x, h, w, *, reset_first):
    """Return one step of a cell of width 1, number by number."""

    def logistic(s):
        return 1 / (1 + math.exp(-s))

    (wr, wz, wn), (ur, uz, un) = w.w_input[:, 0, 0], w.w_state[:, 0, 0]
    (br, bz, bn), (cr, cz, cn) = w.b_input[:, 0], w.b_state[:, 0]
    r = logistic(wr * x + br + ur * h + cr)
    z = logistic(wz * x + bz + uz * h + cz)
    from_state = un * (r * h) + cn if reset_first else r * (un * h + cn)
    return z * h + (1 - z) * math.tanh(wn * x + bn + from_state)


@given(seeds)
@quick
def test_both_forms_of_the_reset_gate_are_the_published_ones(seed):
    rng = np.random.default_rng(seed)
    w, (x, h) = gru_weights(rng, 1, 1), some(rng, 2)
    after = by_hand(x, h, w, reset_first=False)
    first = by_hand(x, h, w, reset_first=True)
    close(gru_cell([x], [h], w), [after])
    close(gru_cell_reset_first([x], [h], w), [first])


def test_the_forms_agree_only_where_the_reset_commutes_with_the_matrix():
    rng = np.random.default_rng(0)
    w = gru_weights(rng, 3, 5)
    x, h = some(rng, 2, 3), some(rng, 2, 5)
    assert (
        np.abs(gru_cell(x, h, w) - gru_cell_reset_first(x, h, w)).max() > 0.1
    )
    w.w_state[2], w.b_state[2] = 1.7 * np.eye(5), 0.0
    close(gru_cell(x, h, w), gru_cell_reset_first(x, h, w))


@pytest.mark.parametrize("cell", [gru_cell, gru_cell_reset_first])
def test_saturated_gates_keep_or_replace_the_state(cell):
    rng = np.random.default_rng(1)
    w = gru_weights(rng, 3, 5)
    x, h = some(rng, 3), some(rng, 5)
    w.b_input[1] = 1e4  # the update gate: keep
    close(cell(x, h, w), h)
    w.b_input[1], w.b_input[0] = -1e4, -1e4  # replace, and forget
    from_state = w.b_state[2] if cell is gru_cell_reset_first else 0.0
    fresh = np.tanh(x @ w.w_input[2] + w.b_input[2] + from_state)
    close(cell(x, h, w), fresh)
    assert np.all(np.abs(cell(1e4 * x, h, w)) <= 1)


@pytest.mark.parametrize("cell", [gru_cell, gru_cell_reset_first])
def test_absent_biases_are_zeros(cell):
    rng = np.random.default_rng(2)
    w = gru_weights(rng, 3, 5)
    x, h = some(rng, 3), some(rng, 5)
    zeros = w._replace(b_input=np.zeros((3, 5)), b_state=np.zeros((3, 5)))
    close(
        cell(x, h, w._replace(b_input=None, b_state=None)), cell(x, h, zeros)
    )


@given(seeds, st.lists(st.integers(1, 7), min_size=1, max_size=4))
@quick
def test_a_padded_batch_is_read_as_torch_reads_it_packed(seed, lengths):
    rng = np.random.default_rng(seed)
    forward, backward = gru_weights(rng, 3, 5), gru_weights(rng, 3, 5)
    x = some(rng, len(lengths), 7, 3)
    mask = np.arange(7) < np.array(lengths)[:, None]
    x[~mask] = np.nan
    theirs = torchs(
        torch.nn.GRU(3, 5, bidirectional=True, batch_first=True).double(),
        forward,
        backward,
    )
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), lengths, batch_first=True, enforce_sorted=False
    )
    states, final = theirs(packed)
    states, _ = torch.nn.utils.rnn.pad_packed_sequence(
        states, batch_first=True, total_length=7
    )
    read = bidirectional_gru(x, forward, backward, mask=mask)
    close(read.states, states.detach())
    close(read.last, final[0].detach())
    close(read.first, final[1].detach())
    assert not read.states[~mask].any()


def test_holes_and_padding_in_front_are_passed_over():
    rng = np.random.default_rng(3)
    w, back = gru_weights(rng, 3, 5), gru_weights(rng, 3, 2)
    x = some(rng, 7, 3)
    mask = np.array([False, True, True, False, True, False, False])
    read, short = (
        bidirectional_gru(x, w, back, mask=mask),
        bidirectional_gru(x[mask], w, back),
    )
    close(read.states[mask], short.states)
    close(read.last, short.last)
    close(read.first, short.first)
    close(read.last, read.states[4, :5])
    close(read.first, read.states[1, 5:])


def test_a_sequence_without_a_token_keeps_the_state():
    rng = np.random.default_rng(4)
    w, state = gru_weights(rng, 3, 5), some(rng, 2, 5)
    for x, mask in (
        (some(rng, 2, 0, 3), None),
        (np.full((2, 7, 3), np.nan), np.zeros((2, 7), bool)),
    ):
        read = gru(x, w, state=state, mask=mask)
        close(read.final, state)
        assert read.states.shape == (2, x.shape[1], 5)
        assert not read.states.any()
        assert not gru(x, w, mask=mask).final.any()
    kept = read.final
    kept[:] = 0
    assert state.all()


def test_a_sequence_may_be_read_in_two_pieces():
    rng = np.random.default_rng(5)
    w, x = gru_weights(rng, 3, 5), some(rng, 2, 7, 3)
    whole, first = gru(x, w), gru(x[:, :4], w)
    second = gru(x[:, 4:], w, state=first.final)
    close(np.concatenate([first.states, second.states], axis=1), whole.states)
    close(second.final, whole.final)
    close(whole.final, whole.states[:, -1])


def test_forward_states_are_blind_to_what_follows_and_backward_to_the_past():
    rng = np.random.default_rng(6)
    w, back = gru_weights(rng, 3, 5), gru_weights(rng, 3, 2)
    x = some(rng, 7, 3)
    before = bidirectional_gru(x, w, back).states
    x[3] += 1
    moved = np.abs(bidirectional_gru(x, w, back).states - before) > 1e-9
    assert moved[:, :5].any(axis=1).tolist() == [False] * 3 + [True] * 4
    assert moved[:, 5:].any(axis=1).tolist() == [True] * 4 + [False] * 3


# --- alignment and context -------------------------------------------------


@given(seeds, sizes, sizes)
@quick
def test_the_alignment_is_the_formula_word_by_word(seed, batch, keys):
    rng = np.random.default_rng(seed)
    w = AlignmentWeights(some(rng, 4, 8), some(rng, 5, 8), some(rng, 8))
    state, memory = some(rng, batch, 4), some(rng, batch, keys, 5)
    mask = rng.random((batch, keys)) < 0.7
    got = align(state, memory, w, mask=mask)
    context = context_vector(got, memory, mask=mask)
    for b in range(batch):
        terms = [
            math.exp(w.v_score @ np.tanh(state[b] @ w.w_query + h @ w.w_key))
            if here
            else 0.0
            for h, here in zip(memory[b], mask[b], strict=True)
        ]
        shares = [each / (sum(terms) or 1.0) for each in terms]
        close(got[b], shares)
        read = sum(a * h for a, h in zip(shares, memory[b], strict=True))
        close(context[b], read)


def test_a_source_without_a_word_gives_no_weight_and_no_context():
    rng = np.random.default_rng(7)
    w = AlignmentWeights(some(rng, 4, 8), some(rng, 5, 8), some(rng, 8))
    state = some(rng, 4)
    nothing = np.full((3, 5), np.nan)
    assert align(state, nothing, w, mask=[False] * 3).tolist() == [0.0] * 3
    read = context_vector([0.0] * 3, nothing, mask=[False] * 3)
    assert read.tolist() == [0.0] * 5
    assert align(state, some(rng, 0, 5), w).shape == (0,)
    assert not context_vector(np.zeros(0), some(rng, 0, 5)).any()
    assert align(state, some(rng, 1, 5), w).tolist() == [1.0]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_weight_at_padding_counts_for_nothing(poison):
    memory = np.array([[4.0], [poison]])
    for weight in (9.0, poison):
        read = context_vector([0.5, weight], memory, mask=[True, False])
        assert read.tolist() == [2.0]


def test_contexts_of_any_leading_axes_are_each_alone():
    rng = np.random.default_rng(21)
    weights, memory = some(rng, 2, 1, 4), some(rng, 3, 4, 5)
    got = context_vector(weights, memory)
    assert got.shape == (2, 3, 5)
    close(got[1, 2], weights[1, 0] @ memory[2])
    close(context_vector(weights[0, 0], memory)[2], weights[0, 0] @ memory[2])
    close(context_vector(weights, memory[2])[1, 0], weights[1, 0] @ memory[2])


def test_hidden_tokens_become_zeros():
    x, mask = masked_tokens([[5.0], [np.nan]], [True, False])
    assert x.tolist() == [[5.0], [0.0]]
    assert mask.tolist() == [True, False]
    assert masked_tokens([[5.0]], None)[1].tolist() == [True]


def test_results_go_by_their_names():
    rng = np.random.default_rng(22)
    w = model(rng)
    state, memory = some(rng, 4), some(rng, 3, 5)
    x, both = some(rng, 7, 5), w.encoder[1:3]
    assert isinstance(gru(x, w.encoder.forward), Recurrence)
    assert isinstance(bidirectional_gru(x, *both), TwoWay)
    assert isinstance(encode([1, 2], w.encoder), Encoded)
    assert isinstance(decoder_step(1, state, memory, w.decoder), Step)
    assert isinstance(translate([1], [2], w), Decoded)


def test_distant_scores_neither_overflow_nor_vanish():
    w = AlignmentWeights(np.zeros((1, 1)), np.ones((1, 1)), [1e4])
    weights = align([0.0], [[9.0], [-9.0], [9.0]], w)
    assert weights.tolist() == [0.5, 0.0, 0.5]


# --- the decoder -----------------------------------------------------------


def loops(source, target, w, deep):
    """Return logits and alignments of one pair, one word after another."""

    def run(xs, weights, width):
        h, states = np.zeros(width), []
        cell = torchs(torch.nn.GRUCell(len(xs[0]), width).double(), weights)
        for x in xs:
            h = cell(torch.tensor(x), torch.tensor(h)).detach().numpy()
            states.append(h)
        return states

    reader, writer = w
    xs = [reader.embedding[each] for each in source]
    there = run(xs, reader.forward, 2)
    back = run(xs[::-1], reader.backward, 3)[::-1]
    memory = [np.concatenate(each) for each in zip(there, back, strict=True)]
    s = np.tanh(back[0] @ reader.w_start)
    cell = torchs(torch.nn.GRUCell(11, 4).double(), writer.gru)
    all_logits, all_alignments = [], []
    for token in target:
        y = writer.embedding[token]
        a = writer.alignment
        scores = [
            a.v_score @ np.tanh(s @ a.w_query + h @ a.w_key) for h in memory
        ]
        shares = np.exp(scores) / np.exp(scores).sum()
        context = sum(p * h for p, h in zip(shares, memory, strict=True))
        row = torch.tensor(np.concatenate([y, context]))
        s = cell(row, torch.tensor(s)).detach().numpy()
        o = writer.output
        if deep:
            t = s @ o.w_state + y @ o.w_embedding + context @ o.w_context
            pairs = [max(t[2 * j], t[2 * j + 1]) for j in range(13)]
            logits = np.array(pairs) @ o.w_output
        else:
            logits = np.concatenate([s, y, context]) @ o.weight + o.bias
        all_logits.append(logits)
        all_alignments.append(shares)
    return np.array(all_logits), np.array(all_alignments)


@pytest.mark.parametrize("deep", [False, True])
@given(seeds, sizes, sizes)
@quick
def test_the_translator_is_the_papers_word_by_word(deep, seed, keys, targets):
    rng = np.random.default_rng(seed)
    w = model(rng, deep=deep)
    source, target = rng.integers(7, size=keys), rng.integers(11, size=targets)
    logits, alignment = translate(source, target, w)
    expected, where = loops(source, target, w, deep)
    close(logits, expected)
    close(alignment, where)
    close(alignment.sum(axis=-1), np.ones(targets))


def test_padding_of_a_batch_changes_nothing():
    rng = np.random.default_rng(8)
    w = model(rng)
    source, target = (
        rng.integers(7, size=(3, 5)),
        rng.integers(11, size=(3, 4)),
    )
    lengths = [5, 2, 3]
    mask = np.arange(5) < np.array(lengths)[:, None]
    source[~mask] = -99  # in no vocabulary
    logits, alignment = translate(source, target, w, mask=mask)
    for b, length in enumerate(lengths):
        alone = translate(source[b, :length], target[b], w)
        close(logits[b], alone.logits)
        close(alignment[b, :, :length], alone.alignment)
    assert not alignment[~np.broadcast_to(mask[:, None], (3, 4, 5))].any()


def test_a_vocabulary_of_one_word_may_be_padded():
    rng = np.random.default_rng(20)
    w = model(rng).encoder._replace(embedding=some(rng, 1, 5))
    read = encode([0, 9], w, mask=[True, False])
    close(read.state, encode([0], w).state)


def test_no_row_of_logits_depends_on_a_later_target():
    rng = np.random.default_rng(9)
    w = model(rng, deep=True)
    source, target = rng.integers(7, size=5), np.array([1, 2, 3, 4])
    before = translate(source, target, w).logits
    target[2] = 9
    after = translate(source, target, w).logits
    np.testing.assert_array_equal(after[:2], before[:2])
    assert (np.abs(after[2:] - before[2:]) > 1e-9).any(axis=1).all()


def test_a_step_returns_logits_not_probabilities():
    rng = np.random.default_rng(10)
    w = model(rng)
    memory, state = encode([1, 2, 3], w.encoder)
    step = decoder_step(4, state, memory, w.decoder)
    assert (step.logits < 0).any()
    shifted = w.decoder.output._replace(bias=w.decoder.output.bias + 100.0)
    higher = decoder_step(4, state, memory, w.decoder._replace(output=shifted))
    close(higher.logits - step.logits, np.full(11, 100.0))


def test_the_context_and_not_the_alignment_goes_into_the_recurrence():
    rng = np.random.default_rng(11)
    w = model(rng).decoder
    state, memory = some(rng, 4), some(rng, 3, 5)
    twice = np.concatenate([memory, memory])  # weights halve, context stays
    once, again = (decoder_step(4, state, m, w) for m in (memory, twice))
    close(again.alignment, np.tile(once.alignment, 2) / 2)
    close(again.state, once.state)
    close(again.logits, once.logits)


def test_the_order_of_annotations_makes_no_difference_to_a_step():
    rng = np.random.default_rng(12)
    w = model(rng).decoder
    state, memory = some(rng, 4), some(rng, 7, 5)
    order = rng.permutation(7)
    once = decoder_step(4, state, memory, w)
    again = decoder_step(4, state, memory[order], w)
    close(again.logits, once.logits)
    close(again.alignment, once.alignment[order])


def test_leading_axes_broadcast():
    rng = np.random.default_rng(13)
    w = model(rng)
    source, target = (
        rng.integers(7, size=(2, 1, 5)),
        rng.integers(11, size=(3, 4)),
    )
    logits, alignment = translate(source, target, w)
    assert logits.shape == (2, 3, 4, 11)
    assert alignment.shape == (2, 3, 4, 5)
    for a, b in itertools.product(range(2), range(3)):
        alone = translate(source[a, 0], target[b], w)
        close(logits[a, b], alone.logits)
        close(alignment[a, b], alone.alignment)
    mask = np.arange(5) < np.array([[2], [5], [3]])
    masked = encode(source, w.encoder, mask=mask)
    close(masked.state[1, 2], encode(source[1, 0, :3], w.encoder).state)
    one_for_all = encode(source, w.encoder, mask=mask[0])
    close(one_for_all.memory, masked.memory[:, :1])
    flat = encode(source[:, 0], w.encoder, mask=mask[0])
    close(flat.memory, one_for_all.memory[:, 0])
    memory, state = encode(source[:, 0], w.encoder)
    step = decoder_step([1, 2], state, memory[0], w.decoder)
    assert step.logits.shape == (2, 11)


def test_axes_of_length_zero_are_answered():
    rng = np.random.default_rng(14)
    for w in (model(rng), model(rng, deep=True)):
        logits, alignment = translate([1, 2, 3], [], w)
        assert logits.shape == (0, 11)
        assert alignment.shape == (0, 3)
    logits, alignment = translate([], [1, 2], w)
    assert alignment.shape == (2, 0)
    empty = np.zeros((2, 3), bool)
    hidden = translate([[1, 2, 3]] * 2, [[1, 2]] * 2, w, mask=empty)
    close(hidden.logits, np.stack([logits] * 2))
    assert not hidden.alignment.any()


# --- decoding --------------------------------------------------------------


def test_greedy_decoding_takes_the_best_word_of_each_step():
    rng = np.random.default_rng(15)
    w, source = model(rng), [3, 1, 6, 0]
    memory, state = encode(source, w.encoder)
    token, expected = 2, [2]
    for _ in range(5):
        logits, state, _ = decoder_step(token, state, memory, w.decoder)
        token = int(np.argmax(logits))
        expected.append(token)
    said = greedy(next_logits(source, w), [2], steps=5)
    assert said.tolist() == expected
    best = beam_search(next_logits(source, w), [2], beams=1, steps=5)[0]
    assert best.tokens.tolist() == expected


def test_next_logits_are_the_last_row_of_the_teacher_forced_ones():
    rng = np.random.default_rng(16)
    w, source, target = model(rng), [3, 1, 6], [2, 5, 5, 0]
    ask = next_logits(source, w)
    rows = translate(source, target, w).logits
    for n in range(4):
        close(ask(target[: n + 1]), rows[n])


# --- the rest of the contract ----------------------------------------------


def test_answers_are_float64_and_inputs_left_alone():
    rng = np.random.default_rng(17)
    w = gru_weights(rng, 3, 5)
    x, state = some(rng, 2, 7, 3), some(rng, 2, 5)
    mask = np.arange(14).reshape(2, 7) % 3 > 0
    for each in (x, state, mask, *w):
        each.flags.writeable = False
    read = gru(x, w, state=state, mask=mask)
    narrow = gru(
        torch.tensor(x).float(),
        GRUWeights(*(each.astype(np.float32) for each in w)),
        state=state.tolist(),
        mask=mask.tolist(),
    )
    assert narrow.states.dtype == read.states.dtype == np.float64
    np.testing.assert_allclose(narrow.states, read.states, atol=1e-5)
    mine, _ = masked_tokens(x, mask)
    assert not np.shares_memory(mine, x)
    table = some(rng, 4, 3)
    assert not np.shares_memory(embed([1], table), table)


def test_a_reversed_view_is_read_like_its_copy():
    rng = np.random.default_rng(18)
    w, x = gru_weights(rng, 3, 5), some(rng, 3, 7).T[::-1]
    close(gru(x, w).states, gru(x.copy(), w).states)


W = model(np.random.default_rng(19))
DECODER = W.decoder


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: embed([1.5], np.ones((3, 2))),
            TypeError,
            "tokens must be whole numbers: got dtype float64",
        ),
        (
            lambda: embed([1, 3], np.ones((3, 2))),
            ValueError,
            "tokens must lie in the vocabulary, 0 to 2: got 3",
        ),
        (
            lambda: embed([-1], np.ones((3, 2))),
            ValueError,
            "0 to 2: got -1",
        ),
        (
            lambda: embed([1], np.ones(3)),
            ValueError,
            r"table must have two axes, \(vocabulary, width\): "
            r"got shape \(3,\)",
        ),
        (
            lambda: gru_cell(np.ones(6), np.ones(4), DECODER.gru),
            ValueError,
            r"w_input must have shape \(3, 6, 4\), to fit x and state: "
            r"got \(3, 11, 4\)",
        ),
        (
            lambda: gru_cell(np.ones(11), np.ones(5), DECODER.gru),
            ValueError,
            r"w_input must have shape \(3, 11, 5\)",
        ),
        (
            lambda: gru_cell(
                np.ones(11),
                np.ones(4),
                DECODER.gru._replace(w_state=np.ones((3, 4, 5))),
            ),
            ValueError,
            r"w_state must have shape \(3, 4, 4\)",
        ),
        (
            lambda: gru_cell(
                np.ones(11),
                np.ones(4),
                DECODER.gru._replace(b_state=np.ones(4)),
            ),
            ValueError,
            r"b_state must have shape \(3, 4\)",
        ),
        (
            lambda: gru_cell(np.ones((2, 11)), np.ones((3, 4)), DECODER.gru),
            ValueError,
            "leading axes of x and state must broadcast",
        ),
        (
            lambda: gru(np.ones((7, 11)), DECODER.gru, mask=[True] * 6),
            ValueError,
            "x and mask must agree in tokens: got x=7, mask=6",
        ),
        (
            lambda: gru(np.ones((7, 11)), DECODER.gru, mask=[1] * 7),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: gru(np.ones((7, 11)), DECODER.gru, state=np.ones(3)),
            ValueError,
            r"w_input must have shape \(3, 11, 3\)",
        ),
        (
            lambda: gru(
                np.ones((2, 7, 11)), DECODER.gru, state=np.ones((3, 4))
            ),
            ValueError,
            "leading axes of x and state must broadcast",
        ),
        (
            lambda: context_vector(np.ones(3), np.ones((4, 5))),
            ValueError,
            "alignment and memory must agree in keys: "
            "got alignment=3, memory=4",
        ),
        (
            lambda: context_vector(np.ones((2, 4)), np.ones((3, 4, 5))),
            ValueError,
            "leading axes of alignment and memory must broadcast",
        ),
        (
            lambda: align(np.ones(4), np.ones((3, 6)), DECODER.alignment),
            ValueError,
            "k and w_key must agree in key_dim",
        ),
        (
            lambda: start_state(np.ones(4), np.ones((3, 2))),
            ValueError,
            "x and weight must agree in width",
        ),
        (
            lambda: output_logits(
                np.ones(1),
                np.ones(1),
                np.ones(1),
                DeepOutput(*np.ones((3, 1, 3)), np.ones((2, 5))),
            ),
            ValueError,
            "the maxout layer must have its numbers in pairs: got 3",
        ),
        (
            lambda: decoder(1, np.ones(4), np.ones((3, 5)), DECODER),
            ValueError,
            r"tokens must have axes \(..., targets\): got shape \(\)",
        ),
        (
            lambda: decoder(
                [[1], [2]], np.ones((3, 4)), np.ones((3, 5)), DECODER
            ),
            ValueError,
            "leading axes of tokens and state and memory must broadcast",
        ),
        (
            lambda: encode([1, 2], W.encoder, mask=[True]),
            ValueError,
            "source and mask must agree in keys: got source=2, mask=1",
        ),
        (
            lambda: encode([[1]] * 2, W.encoder, mask=[[True]] * 3),
            ValueError,
            "leading axes of source and mask must broadcast",
        ),
        (
            lambda: encode(1, W.encoder),
            ValueError,
            r"source must have axes \(..., keys\): got shape \(\)",
        ),
        (
            lambda: encode(1, W.encoder, mask=[True] * 3),
            ValueError,
            r"source must have axes \(..., keys\): got shape \(\)",
        ),
        (
            lambda: embed([[1], [1, 2]], np.ones((3, 2))),
            TypeError,
            "tokens must be an array of whole numbers",
        ),
        (
            lambda: gru(np.ones((7, 11)), GRUWeights(None, None)),
            TypeError,
            "w_state must hold real numbers",
        ),
        (
            lambda: gru(np.ones((0, 11)), DECODER.gru, state=np.ones(3)),
            ValueError,
            r"w_input must have shape \(3, 11, 3\)",
        ),
        (
            lambda: align(np.ones(4), np.ones(5), DECODER.alignment),
            ValueError,
            r"memory must have axes \(..., keys, width\): got shape \(5,\)",
        ),
        (
            lambda: align(
                np.ones(4), np.ones((3, 5)), DECODER.alignment, mask=[True]
            ),
            ValueError,
            "memory and mask must agree in keys: got memory=3, mask=1",
        ),
        (
            lambda: output_logits(
                np.ones(4), np.ones(6), np.ones(5), (np.ones((15, 11)), None)
            ),
            TypeError,
            "weights must be a LinearOutput or a DeepOutput: got tuple",
        ),
        (
            lambda: output_logits(
                np.ones((2, 4)), np.ones((3, 6)), np.ones(5), DECODER.output
            ),
            ValueError,
            "leading axes of state and embedded and context must broadcast",
        ),
        (
            lambda: output_logits(
                np.ones(1),
                np.ones(1),
                np.ones(1),
                DeepOutput(*np.ones((2, 1, 4)), np.ones((1, 2)), np.eye(2)),
            ),
            ValueError,
            r"w_state and w_embedding and w_context must agree in 2 \* hidden",
        ),
        (
            lambda: decoder_step(
                [1, 2], np.ones((3, 4)), np.ones((3, 5)), DECODER
            ),
            ValueError,
            "leading axes of tokens and context must broadcast",
        ),
        (
            lambda: next_logits([1, 2], W)([[1, 2]]),
            ValueError,
            r"tokens must have one axis: got shape \(1, 2\)",
        ),
        (
            lambda: next_logits([1, 2], W)(None),
            TypeError,
            "tokens must be whole numbers: got dtype object",
        ),
        (
            lambda: next_logits([[1, 2]], W),
            ValueError,
            r"source must have one axis, \(keys\): got shape \(1, 2\)",
        ),
        (
            lambda: next_logits([1, 2], W)([]),
            ValueError,
            "tokens must begin with the start token: got none",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
