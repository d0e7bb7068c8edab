"""Hierarchical attention against loops written anew."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import blocks
from attncourse.reference.hierarchical import (
    Document,
    GRUWeights,
    LevelWeights,
    PoolingWeights,
    attention_pooling,
    document_logits,
    hierarchical_attention,
    pooling_weights,
)
from attncourse.reference.hierarchical_segments import (
    Layered,
    layered_encoder,
    split_segments,
)
from attncourse.reference.scores import additive_scores

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 6)
CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def close(got, expected):
    np.testing.assert_allclose(got, expected, **CLOSE)


def pooling(rng, width, hidden=7):
    return PoolingWeights(
        rng.normal(size=(width, hidden)),
        rng.normal(size=hidden),
        rng.normal(size=hidden),
    )


def level(rng, inputs, forward, backward):
    def half(width):
        return GRUWeights(
            rng.normal(size=(3, inputs, width)),
            rng.normal(size=(3, width, width)),
            rng.normal(size=(3, width)),
            rng.normal(size=(3, width)),
        )

    both = half(forward), half(backward)
    return LevelWeights(*both, pooling(rng, forward + backward))


def pooled_by_hand(rows, w):
    """Return the average of some rows, and their weights."""
    terms = [
        math.exp(np.tanh(x @ w.weight + w.bias) @ w.context) for x in rows
    ]
    shares = [each / sum(terms) for each in terms]
    return sum(a * x for a, x in zip(shares, rows, strict=True)), shares


def level_by_hand(rows, w):
    def run(xs, weights):
        width = weights.w_state.shape[-1]
        cell = torch.nn.GRUCell(len(xs[0]), width).double()
        with torch.no_grad():
            for name, value in zip(
                ("weight_ih", "weight_hh"), weights[:2], strict=True
            ):
                stacked = np.swapaxes(value, 1, 2).reshape(3 * width, -1)
                getattr(cell, name).copy_(torch.tensor(stacked))
            cell.bias_ih.copy_(torch.tensor(weights.b_input.ravel()))
            cell.bias_hh.copy_(torch.tensor(weights.b_state.ravel()))
        h, states = np.zeros(width), []
        for x in xs:
            h = cell(torch.tensor(x), torch.tensor(h)).detach().numpy()
            states.append(h)
        return states

    there, back = run(rows, w.forward), run(rows[::-1], w.backward)[::-1]
    read = [np.concatenate(each) for each in zip(there, back, strict=True)]
    return pooled_by_hand(read, w.pooling)


# --- pooling ---------------------------------------------------------------


@given(seeds, sizes, sizes)
@quick
def test_pooling_is_the_formula_token_by_token(seed, batch, tokens):
    rng = np.random.default_rng(seed)
    w, x = pooling(rng, 5), rng.normal(size=(batch, tokens, 5))
    mask = rng.random((batch, tokens)) < 0.7
    x[~mask] = np.nan
    got, shares = (
        attention_pooling(x, *w, mask=mask),
        pooling_weights(x, *w, mask=mask),
    )
    for b in range(batch):
        assert not shares[b][~mask[b]].any()
        if mask[b].any():
            average, expected = pooled_by_hand(x[b][mask[b]], w)
            close(got[b], average)
            close(shares[b][mask[b]], expected)
        else:
            assert not got[b].any()


def test_pooling_is_additive_attention_with_one_query_for_all():
    rng = np.random.default_rng(1)
    w, x = pooling(rng, 5), rng.normal(size=(4, 5))
    # A query of width one, whose map is the bias.
    scores = additive_scores([[1.0]], x, w.bias[None], w.weight, w.context)
    weights = np.exp(scores[0]) / np.exp(scores[0]).sum()
    close(pooling_weights(x, *w), weights)


def test_the_order_of_tokens_makes_no_difference_to_pooling():
    rng = np.random.default_rng(2)
    w, x = pooling(rng, 5), rng.normal(size=(2, 7, 5))
    order = rng.permutation(7)
    close(attention_pooling(x[:, order], *w), attention_pooling(x, *w))
    close(pooling_weights(x[:, order], *w), pooling_weights(x, *w)[:, order])


def test_one_token_is_returned_and_equal_ones_share():
    rng = np.random.default_rng(3)
    w, x = pooling(rng, 5), rng.normal(size=(1, 5))
    close(attention_pooling(x, *w), x[0])
    close(pooling_weights(np.repeat(x, 4, axis=0), *w), [0.25] * 4)


def test_distant_scores_neither_overflow_nor_vanish():
    one = np.ones((1, 1))
    x = [[9.0], [-9.0], [9.0]]
    assert pooling_weights(x, one, [0.0], [1e4]).tolist() == [0.5, 0.0, 0.5]


def test_nothing_pools_to_zeros():
    rng = np.random.default_rng(4)
    w = pooling(rng, 5)
    assert (
        attention_pooling(np.zeros((2, 0, 5)), *w).tolist() == [[0.0] * 5] * 2
    )
    hidden = np.full((2, 3, 5), np.inf), [[False] * 3] * 2
    assert not attention_pooling(hidden[0], *w, mask=hidden[1]).any()
    assert pooling_weights(np.zeros((2, 0, 5)), *w).shape == (2, 0)
    assert attention_pooling(np.zeros((0, 3, 5)), *w).shape == (0, 5)


# --- the whole document ----------------------------------------------------


@given(seeds, st.lists(st.integers(0, 4), min_size=0, max_size=5))
@quick
def test_a_ragged_document_is_its_sentences_word_by_word(seed, lengths):
    rng = np.random.default_rng(seed)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    x = rng.normal(size=(len(lengths), 4, 3))
    mask = np.arange(4) < np.array(lengths, int)[:, None]
    x[~mask] = np.nan
    got = hierarchical_attention(x, words, sentences, mask=mask)
    present = [i for i, each in enumerate(lengths) if each]
    read = {i: level_by_hand(x[i, : lengths[i]], words) for i in present}
    for i in range(len(lengths)):
        shares = np.zeros(4)
        if i in read:
            shares[: lengths[i]] = read[i][1]
        close(got.word_weights[i], shares)
    expected, shares = np.zeros(6), []
    if present:
        vectors = [read[i][0] for i in present]
        expected, shares = level_by_hand(vectors, sentences)
    close(got.vector, expected)
    close(got.sentence_weights[present], shares)
    assert got.sentence_weights.sum() == pytest.approx(float(bool(present)))


def test_padding_with_words_and_sentences_changes_nothing():
    rng = np.random.default_rng(5)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    x = rng.normal(size=(2, 3, 3))
    alone = hierarchical_attention(x, words, sentences)
    padded, mask = np.full((5, 4, 3), np.nan), np.zeros((5, 4), bool)
    for place, sentence in zip((1, 4), x, strict=True):
        padded[place, :3], mask[place, :3] = sentence, True
    again = hierarchical_attention(padded, words, sentences, mask=mask)
    close(again.vector, alone.vector)
    close(again.sentence_weights[[1, 4]], alone.sentence_weights)
    close(again.word_weights[[1, 4], :3], alone.word_weights)


def test_the_order_of_words_and_of_sentences_matters():
    rng = np.random.default_rng(6)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    x = rng.normal(size=(5, 4, 3))
    truth = hierarchical_attention(x, words, sentences).vector
    for other in (x[::-1], x[:, ::-1]):
        moved = hierarchical_attention(other, words, sentences).vector
        assert np.abs(moved - truth).max() > 1e-3


def test_documents_of_a_batch_are_each_alone():
    rng = np.random.default_rng(7)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    x = rng.normal(size=(2, 1, 5, 4, 3))
    mask = rng.random((3, 5, 4)) < 0.6
    got = hierarchical_attention(x, words, sentences, mask=mask)
    assert got.vector.shape == (2, 3, 6)
    for a in range(2):
        for b in range(3):
            alone = hierarchical_attention(
                x[a, 0], words, sentences, mask=mask[b]
            )
            close(got.vector[a, b], alone.vector)
            close(got.sentence_weights[a, b], alone.sentence_weights)
            close(got.word_weights[a, b], alone.word_weights)


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3), (2, 0, 4, 3)])
def test_documents_without_a_word_are_zero(shape):
    rng = np.random.default_rng(8)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    got = hierarchical_attention(np.zeros(shape), words, sentences)
    assert got.vector.shape == (*shape[:-3], 6)
    assert not got.vector.any()
    assert not got.sentence_weights.any()
    assert got.word_weights.shape == shape[:-1]


def test_logits_of_a_document_are_one_linear_map():
    rng = np.random.default_rng(9)
    vector, w, b = (rng.normal(size=s) for s in ((2, 6), (6, 3), 3))
    close(document_logits(vector, w, b), vector @ w + b)


def test_answers_are_float64_and_inputs_left_alone():
    rng = np.random.default_rng(10)
    words, sentences = level(rng, 3, 2, 4), level(rng, 6, 5, 1)
    x, mask = rng.normal(size=(5, 4, 3)), np.ones((5, 4), bool)
    for each in (x, mask):
        each.flags.writeable = False
    truth = hierarchical_attention(x, words, sentences, mask=mask)
    assert isinstance(truth, Document)
    narrow = hierarchical_attention(
        torch.tensor(x).float(), words, sentences, mask=mask.tolist()
    )
    assert narrow.vector.dtype == np.float64
    np.testing.assert_allclose(narrow.vector, truth.vector, atol=1e-5)


# --- segments --------------------------------------------------------------


def stacks():
    """Return two stacks of four numbers a token, two heads wide."""
    made = []
    for kind, layer, seed in (
        (blocks.new_encoder_layer, blocks.encoder_layer, 0),
        (blocks.new_parallel_layer, blocks.parallel_layer, 5),
    ):
        numbers = [kind(width=4, hidden=7, seed=seed + n) for n in range(2)]
        made.append(blocks.Stack(numbers, layer))
    return made


@given(seeds, st.integers(0, 13), st.integers(1, 5), st.integers(1, 5))
@quick
def test_segments_begin_every_stride_and_lose_no_token(
    seed, tokens, length, stride
):
    stride = min(stride, length)
    x = np.random.default_rng(seed).normal(size=(2, tokens, 3))
    segments, mask = split_segments(x, length=length, stride=stride)
    seen = set()
    for s in range(segments.shape[-3]):
        for t in range(length):
            place = s * stride + t
            assert mask[:, s, t].all() == mask[:, s, t].any()
            assert mask[0, s, t] == (place < tokens)
            if place < tokens:
                close(segments[:, s, t], x[:, place])
                seen.add(place)
            else:
                assert not segments[:, s, t].any()
    assert seen == set(range(tokens))
    # None is there for nothing: without the last a token would be missing.
    last = segments.shape[-3] - 1
    assert last == 0 or (last - 1) * stride + length < tokens


def test_segments_keep_the_mask_of_their_tokens():
    mask = np.array([True, False, True, True, False])
    x = np.where(mask, np.arange(5.0), np.nan)[:, None]
    segments, real = split_segments(x, length=2, stride=2, mask=mask)
    assert real.tolist() == [[True, False], [True, True], [False, False]]
    assert segments[..., 0].tolist() == [[0.0, 0.0], [2.0, 3.0], [0.0, 0.0]]
    one = split_segments(x[:2], length=2, stride=1, mask=mask[:2])[1]
    assert one.tolist() == [[True, False]]


@given(seeds, st.integers(1, 4), st.integers(1, 5))
@quick
def test_summaries_are_the_second_encoder_of_the_firsts_first_tokens(
    seed, segments, length
):
    rng = np.random.default_rng(seed)
    local, above = stacks()
    x = rng.normal(size=(segments, length, 4))
    mask = rng.random((segments, length)) < 0.6
    x[~mask] = np.nan
    got = layered_encoder(x, local, above, heads=2, mask=mask)
    assert isinstance(got, Layered)
    present, spoken = np.flatnonzero(mask.any(axis=-1)), []
    for s in present:
        alone = blocks.encoder(x[s][mask[s]], local, heads=2)
        np.testing.assert_allclose(got.tokens[s][mask[s]], alone, atol=1e-10)
        spoken.append(alone[0])
    assert not got.tokens[~mask].any()
    if len(present):
        truth = blocks.encoder(np.array(spoken), above, heads=2)
        np.testing.assert_allclose(got.summaries[present], truth, atol=1e-10)
    assert not np.delete(got.summaries, present, axis=0).any()


def test_one_segment_is_the_whole_encoder():
    local, above = stacks()
    x = np.random.default_rng(12).normal(size=(2, 1, 5, 4))
    got = layered_encoder(x, local, above, heads=2)
    close(got.tokens[:, 0], blocks.encoder(x[:, 0], local, heads=2))
    assert got.summaries.shape == (2, 1, 4)


def test_a_token_reaches_other_segments_by_its_summary_only():
    local, above = stacks()
    x = np.random.default_rng(13).normal(size=(3, 5, 4))
    before = layered_encoder(x, local, above, heads=2)
    x[1, 3] += 1.0
    after = layered_encoder(x, local, above, heads=2)
    np.testing.assert_array_equal(after.tokens[[0, 2]], before.tokens[[0, 2]])
    moved = np.abs(after.summaries - before.summaries).max(axis=-1)
    assert np.all(moved > 1e-9)


RNG = np.random.default_rng(11)
POOL, X = pooling(RNG, 5), RNG.normal(size=(3, 5))
WORDS, SENTENCES = level(RNG, 3, 2, 4), level(RNG, 6, 5, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: attention_pooling(X, POOL.weight, POOL.bias, np.ones(6)),
            ValueError,
            "context must have one number for each column of weight: "
            r"got context \(6,\), columns 7",
        ),
        (
            lambda: attention_pooling(
                X[None], POOL.weight, POOL.bias, np.ones(6)
            ),
            ValueError,
            r"got context \(6,\), columns 7",
        ),
        (
            lambda: attention_pooling(X, POOL.weight, POOL.bias, 1.0),
            ValueError,
            r"context must have axes \(..., hidden\)",
        ),
        (
            lambda: attention_pooling(X[:, :4], *POOL),
            ValueError,
            "x and weight must agree in width: got x=4, weight=5",
        ),
        (
            lambda: attention_pooling(X, *POOL, mask=[True]),
            ValueError,
            "x and mask must agree in tokens: got x=3, mask=1",
        ),
        (
            lambda: attention_pooling(X, *POOL, mask=[1.0] * 3),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: hierarchical_attention(
                np.ones((5, 4, 3)), WORDS, SENTENCES, mask=[[True] * 4] * 3
            ),
            ValueError,
            "x and mask must agree in sentences: got x=5, mask=3",
        ),
        (
            lambda: hierarchical_attention(
                np.ones((5, 4, 3)), WORDS, SENTENCES, mask=[[True]] * 5
            ),
            ValueError,
            "x and mask must agree in words: got x=4, mask=1",
        ),
        (
            lambda: hierarchical_attention(
                np.ones((2, 5, 4, 3)),
                WORDS,
                SENTENCES,
                mask=np.ones((3, 5, 4), bool),
            ),
            ValueError,
            "leading axes of x and mask must broadcast: "
            r"got x \(2,\), mask \(3,\)",
        ),
        (
            lambda: hierarchical_attention(X, WORDS, SENTENCES),
            ValueError,
            r"x must have axes \(..., sentences, words, width\): "
            r"got shape \(3, 5\)",
        ),
        (
            lambda: split_segments(np.ones((7, 3)), length=2, stride=3),
            ValueError,
            "stride must not be above the length of a segment: "
            "got stride=3, length=2",
        ),
        (
            lambda: split_segments(np.ones((7, 3)), length=2, stride=0),
            ValueError,
            "stride must be at least 1: got 0",
        ),
        (
            lambda: layered_encoder(np.ones((2, 0, 4)), *stacks(), heads=2),
            ValueError,
            "length must be at least 1: got 0",
        ),
        (
            lambda: layered_encoder(np.ones((5, 4)), *stacks(), heads=2),
            ValueError,
            r"segments must have axes \(..., segments, length, width\): "
            r"got shape \(5, 4\)",
        ),
        (
            lambda: layered_encoder(
                np.ones((2, 5, 4)), *stacks(), heads=2, mask=[[True]] * 2
            ),
            ValueError,
            "segments and mask must agree in length: got segments=5, mask=1",
        ),
        (
            lambda: document_logits(1.0, POOL.weight, POOL.bias),
            ValueError,
            r"vector must have axes \(..., width\): got shape \(\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
