"""Gates, a sentinel and spans against loops and what they reduce to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import dense
from attncourse.reference.adaptive import (
    SentinelWeights,
    adaptive_span_attention,
    gated_attention,
    gated_reader,
    head_gated_attention,
    keys_in_span,
    sentinel_attention,
    sentinel_weights,
    span_mask,
    span_penalty,
    visual_sentinel,
)
from attncourse.reference.heads import Projections, multi_head_attention
from attncourse.reference.masks import causal_mask, padding_mask, window_mask

quick = settings(max_examples=30, deadline=None)
sizes = st.integers(0, 7)
seeds = st.integers(0, 99)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def sentinel_of(memory, hidden=(2, 5)):
    """Return a sentinel of a memory of this shape."""
    maps = {"w_input": np.ones((3, 5)), "w_hidden": np.eye(5)}
    arrays = (np.ones(shape) for shape in ((2, 3), hidden, memory))
    return visual_sentinel(*arrays, **maps)


def logistic(x):
    return 1 / (1 + np.exp(-x))


# Gates: width 5, context width 7, two heads of dim 3 and value_dim 11

LAYER = Projections(
    normal(5, 6),
    normal(7, 6, seed=1),
    normal(7, 22, seed=2),
    normal(22, 13, seed=3),
    normal(6, seed=4),
    normal(6, seed=5),
    normal(22, seed=6),
    normal(13, seed=7),
)
X, CONTEXT = normal(3, 13, 5, seed=8), normal(3, 17, 7, seed=9)


def one_head(head, x, context, seen):
    """Return what one head reads of one sequence, one query at a time."""
    at, of_value = (
        slice(3 * head, 3 * head + 3),
        slice(11 * head, 11 * head + 11),
    )
    q = x @ LAYER.w_query[:, at] + LAYER.b_query[at]
    k = context @ LAYER.w_key[:, at] + LAYER.b_key[at]
    v = context @ LAYER.w_value[:, of_value] + LAYER.b_value[of_value]
    read = np.zeros((len(x), 11))
    for i, row in enumerate(seen):
        if row.any():
            scores = np.exp(k[row] @ q[i] / np.sqrt(3))
            read[i] = (scores / scores.sum()) @ v[row]
    return read


@pytest.mark.parametrize("mask", [None, causal_mask(13, 17)])
def test_gates_stand_between_the_heads_and_the_output_matrix(mask):
    seen = np.ones((13, 17), bool) if mask is None else mask
    gate, head_gate = normal(5, 22, seed=10), normal(5, 2, seed=11)
    by_number, by_head = [], []
    for x, context in zip(X, CONTEXT, strict=True):
        read = np.hstack([one_head(h, x, context, seen) for h in range(2)])
        opened = logistic(x @ gate)
        by_number.append((read * opened) @ LAYER.w_output + LAYER.b_output)
        opened = np.repeat(logistic(x @ head_gate), 11, axis=1)
        by_head.append((read * opened) @ LAYER.w_output + LAYER.b_output)
    got = gated_attention(X, CONTEXT, LAYER, gate, heads=2, mask=mask)
    np.testing.assert_allclose(got, by_number, atol=1e-12)
    got = head_gated_attention(
        X, CONTEXT, LAYER, head_gate, heads=2, mask=mask
    )
    np.testing.assert_allclose(got, by_head, atol=1e-12)


def test_an_open_gate_is_no_gate_and_a_shut_one_reads_nothing():
    x = np.abs(X)
    plain = multi_head_attention(x, CONTEXT, LAYER, heads=2)
    for function, columns in (
        (gated_attention, 22),
        (head_gated_attention, 2),
    ):
        wide = np.full((5, columns), 1e4)
        got = function(x, CONTEXT, LAYER, wide, heads=2)
        np.testing.assert_allclose(got, plain, atol=1e-12)
        got = function(x, CONTEXT, LAYER, -wide, heads=2)
        expected = np.broadcast_to(LAYER.b_output, plain.shape)
        np.testing.assert_allclose(got, expected, atol=1e-12)
        half = function(x, CONTEXT, LAYER, 0 * wide, heads=2)
        np.testing.assert_allclose(
            2 * half - LAYER.b_output, plain, atol=1e-12
        )


def test_a_mask_of_a_batch_is_the_same_for_every_head():
    mask = padding_mask([17, 0, 5], keys=17)
    gate = normal(5, 22)
    got = gated_attention(X, CONTEXT, LAYER, gate, heads=2, mask=mask)
    alone = gated_attention(X[2], CONTEXT[2, :5], LAYER, gate, heads=2)
    np.testing.assert_allclose(got[2], alone, atol=1e-12)
    np.testing.assert_allclose(
        got[1], np.broadcast_to(LAYER.b_output, (13, 13)), atol=1e-15
    )
    poisoned = CONTEXT.copy()
    poisoned[1] = poisoned[2, 5:] = np.nan
    again = gated_attention(X, poisoned, LAYER, gate, heads=2, mask=mask)
    np.testing.assert_allclose(again, got, atol=1e-12)


# The reader


def test_the_reader_multiplies_each_word_by_what_it_reads():
    document, question = normal(2, 5, 3), normal(2, 7, 3, seed=1)
    mask = normal(5, 7, seed=2) > 0
    mask[1] = False
    got = gated_reader(document, question, mask=mask)
    for b, i in np.ndindex(2, 5):
        word, seen = document[b, i], question[b, mask[i]]
        weights = np.exp(seen @ word)
        weights = weights / max(1e-300, weights.sum())
        np.testing.assert_allclose(got[b, i], word * (weights @ seen))
    assert not got[:, 1].any()
    assert gated_reader(document, question[:, :0]).tolist() == (
        np.zeros((2, 5, 3)).tolist()
    )


# The sentinel


def sentinel_case(seed=0, queries=5, keys=7):
    return (
        normal(2, queries, keys, seed=seed),
        normal(2, keys, 3, seed=seed + 1),
        normal(2, queries, seed=seed + 2),
        normal(2, queries, 3, seed=seed + 3),
    )


@quick
@given(seeds, st.integers(1, 5), st.integers(0, 7))
def test_a_sentinel_is_one_more_key_whose_value_is_the_querys_own(
    seed, queries, keys
):
    scores, v, last, sentinel = sentinel_case(seed, queries, keys)
    mask = normal(queries, keys, seed=seed + 4) > -0.5
    got = sentinel_attention(scores, v, last, sentinel, mask=mask)
    weights, beta = sentinel_weights(scores, last, mask=mask)
    np.testing.assert_allclose(weights.sum(axis=-1) + beta, 1.0)
    for b, i in np.ndindex(2, queries):
        row = np.append(scores[b, i, mask[i]], last[b, i])
        shares = np.exp(row) / np.exp(row).sum()
        read = np.vstack([v[b, mask[i]], sentinel[b, i]])
        np.testing.assert_allclose(got[b, i], shares @ read, atol=1e-13)
        np.testing.assert_allclose(weights[b, i, mask[i]], shares[:-1])
        np.testing.assert_allclose(beta[b, i], shares[-1])
    assert not weights[:, ~mask].any()


def test_beta_mixes_the_sentinel_with_attention_that_has_none():
    scores, v, last, sentinel = sentinel_case()
    weights, beta = sentinel_weights(scores, last)
    plain = torch.softmax(torch.from_numpy(scores), dim=-1).numpy()
    np.testing.assert_allclose(weights / (1 - beta[..., None]), plain)
    mixed = (1 - beta[..., None]) * (plain @ v) + beta[..., None] * sentinel
    got = sentinel_attention(scores, v, last, sentinel)
    np.testing.assert_allclose(got, mixed, atol=1e-13)


def test_a_sentinel_may_be_all_or_nothing():
    scores, v, last, sentinel = sentinel_case()
    got = sentinel_attention(scores, v, last - np.inf, sentinel)
    plain = torch.softmax(torch.from_numpy(scores), dim=-1).numpy() @ v
    np.testing.assert_allclose(got, plain, atol=1e-13)
    got = sentinel_attention(scores, v, last + 1e4, sentinel)
    np.testing.assert_allclose(got, sentinel, atol=1e-13)
    nothing = np.zeros((1, 7), bool)
    spoiled = np.full_like(scores, np.nan)
    got = sentinel_attention(spoiled, v * np.nan, last, sentinel, mask=nothing)
    np.testing.assert_array_equal(got, sentinel)
    got = sentinel_attention(scores, v, last - np.inf, sentinel, mask=nothing)
    assert not got.any()
    assert np.isnan(sentinel_attention(spoiled, v, last, sentinel)).all()


def test_the_arguments_of_a_sentinel_broadcast():
    scores, v, last, sentinel = sentinel_case()
    mask = np.ones((3, 1, 1, 7), bool)
    got = sentinel_attention(scores, v[0], last, sentinel[1], mask=mask)
    assert got.shape == (3, 2, 5, 3)
    alone = sentinel_attention(scores[1], v[0], last[1], sentinel[1])
    np.testing.assert_allclose(got[2, 1], alone, atol=1e-15)
    pair = sentinel_weights(scores[0], last)
    assert isinstance(pair, SentinelWeights)
    weights, beta = pair
    assert weights.shape == (2, 5, 7)
    assert beta.shape == (2, 5)
    assert sentinel_weights(scores, last[0]).beta.shape == (2, 5)


def test_the_visual_sentinel_is_the_gated_memory():
    x, hidden, memory = normal(2, 3, 5), normal(2, 3, 7), normal(2, 3, 7)
    w_input, w_hidden = normal(5, 7), normal(7, 7, seed=1)
    got = visual_sentinel(
        x, hidden, memory, w_input=w_input, w_hidden=w_hidden
    )
    for place in np.ndindex(2, 3):
        gate = logistic(x[place] @ w_input + hidden[place] @ w_hidden)
        np.testing.assert_allclose(got[place], gate * np.tanh(memory[place]))


# Spans


@quick
@given(sizes, sizes, st.floats(0, 9), st.floats(0.1, 5))
def test_span_mask_is_a_ramp_of_the_distance(queries, keys, span, ramp):
    got = span_mask(queries, keys, span=[span, 2.0], ramp=ramp)
    assert got.shape == (2, queries, keys)
    for i, j in np.ndindex(queries, keys):
        back = (keys - 1 - j) - (queries - 1 - i)
        if back < 0:
            expected = 0.0
        elif back <= span:
            expected = 1.0
        else:
            expected = max(0.0, 1 - (back - span) / ramp)
        assert got[0, i, j] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(
        got[1], span_mask(queries, keys, span=2.0, ramp=ramp)
    )


@quick
@given(sizes, sizes, st.integers(0, 9))
def test_a_short_ramp_makes_a_window_and_a_long_span_the_causal_mask(n, m, z):
    window = window_mask(n, m, window=z + 1)
    for ramp in (1.0, 0.25, 1e-300):
        got = span_mask(n, m, span=z, ramp=ramp)
        np.testing.assert_array_equal(got, window)
    far = span_mask(n, m, span=m, ramp=32.0)
    np.testing.assert_array_equal(far, causal_mask(n, m))


def triple(queries=5, keys=7):
    """Return three heads of queries, keys and values, in a batch of two."""
    return (
        normal(2, 3, queries, 5),
        normal(2, 3, keys, 5, seed=1),
        normal(2, 3, keys, 11, seed=2),
    )


SPANS = np.array([0.0, 1.5, 100.0])


@pytest.mark.parametrize("mask", [None, np.arange(7) != 5])
def test_span_attention_multiplies_the_exponentials(mask):
    q, k, v = triple()
    mask = None if mask is None else mask[None]
    got = adaptive_span_attention(q, k, v, span=SPANS, ramp=2.5, mask=mask)
    for b, h, i in np.ndindex(2, 3, 5):
        parts = np.zeros(7)
        for j in range(7):
            back = i + 2 - j
            if back >= 0 and (mask is None or mask[0, j]):
                soft = min(max((2.5 + SPANS[h] - back) / 2.5, 0), 1)
                parts[j] = soft * np.exp(q[b, h, i] @ k[b, h, j] / np.sqrt(5))
        expected = parts @ v[b, h] / parts.sum()
        np.testing.assert_allclose(got[b, h, i], expected, atol=1e-12)


def test_spans_reduce_to_causal_and_window_attention():
    q, k, v = triple()
    for span, mask in [
        (7, causal_mask(5, 7)),
        (2, window_mask(5, 7, window=3)),
    ]:
        np.testing.assert_allclose(
            adaptive_span_attention(q, k, v, span=span, ramp=1.0),
            dense.attention(q, k, v, mask=mask),
            atol=1e-13,
        )


def test_keys_beyond_the_span_need_not_exist():
    q, k, v = triple(queries=1)
    for span, ramp, needed in [(0, 1, 1), (1.5, 2.5, 4), (2, 0.5, 3)]:
        assert keys_in_span(span, ramp=ramp) == needed
        whole = adaptive_span_attention(q, k, v, span=span, ramp=ramp)
        short = [x[..., -needed:, :] for x in (k, v)]
        cut = adaptive_span_attention(q, *short, span=span, ramp=ramp)
        np.testing.assert_allclose(whole, cut, atol=1e-14)
        shares = span_mask(1, 7, span=span, ramp=ramp)
        assert np.count_nonzero(shares) == needed
        k[..., :-needed, :] = v[..., :-needed, :] = np.nan
        again = adaptive_span_attention(q, k, v, span=span, ramp=ramp)
        np.testing.assert_allclose(again, cut, atol=1e-14)
        q, k, v = triple(queries=1)
    assert keys_in_span(1, ramp=1e-300) == 2
    got = keys_in_span(SPANS, ramp=2)
    assert got.dtype == np.int64
    assert got.tolist() == [2, 4, 102]


def test_huge_scores_and_blind_queries_stay_finite():
    q, k, v = triple()
    got = adaptive_span_attention(100 * q, 100 * k, v, span=1, ramp=3.0)
    assert np.isfinite(got).all()
    blind = np.zeros((1, 7), bool)
    got = adaptive_span_attention(q, k, v, span=1, ramp=3.0, mask=blind)
    assert not got.any()
    got = adaptive_span_attention(
        q, k[..., :3, :], v[..., :3, :], span=1, ramp=1
    )
    assert not got[..., :2, :].any()
    assert got[..., 2:, :].all()
    none = adaptive_span_attention(
        q, k[..., :0, :], v[..., :0, :], span=1, ramp=1
    )
    assert none.tolist() == np.zeros((2, 3, 5, 11)).tolist()


def test_the_penalty_is_the_mean_span_times_its_weight():
    assert span_penalty(SPANS, weight=2.0) == pytest.approx(2 * 101.5 / 3)
    assert span_penalty(5, weight=0.25) == 1.25
    assert span_penalty(SPANS, weight=0) == 0.0
    assert span_penalty([], weight=1) == 0.0
    assert isinstance(span_penalty(SPANS, weight=1), float)


def test_nothing_that_came_in_is_changed():
    scores, v, last, sentinel = sentinel_case()
    q, k, values = triple()
    arrays = [X, CONTEXT, scores, v, last, sentinel, q, k, values, SPANS]
    kept = [array.copy() for array in arrays]
    gated_attention(X, CONTEXT, LAYER, np.ones((5, 22)), heads=2)
    head_gated_attention(X, CONTEXT, LAYER, np.ones((5, 2)), heads=2)
    sentinel_attention(scores, v, last, sentinel, mask=scores[0] > 0)
    adaptive_span_attention(q, k, values, span=SPANS, ramp=2)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_lists_and_tensors_come_in():
    scores, v, last, sentinel = sentinel_case()
    expected = sentinel_attention(scores, v, last, sentinel)
    for convert in (np.ndarray.tolist, torch.tensor):
        same = map(convert, (scores, v, last, sentinel))
        np.testing.assert_array_equal(sentinel_attention(*same), expected)
    q, k, values = map(torch.tensor, triple())
    spans = torch.tensor(SPANS)
    np.testing.assert_array_equal(
        adaptive_span_attention(q, k, values, span=spans, ramp=2),
        adaptive_span_attention(*triple(), span=SPANS, ramp=2),
    )


S, V = np.ones((2, 5)), np.ones((5, 3))
LAST, SENTINEL = np.ones(2), np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: gated_attention(
                X, CONTEXT, LAYER, np.ones((5, 3)), heads=2
            ),
            ValueError,
            "gate and heads must agree in columns: got gate=3, heads=22",
        ),
        (
            lambda: gated_attention(
                X, CONTEXT, LAYER, np.ones((4, 4)), heads=2
            ),
            ValueError,
            "x and weight must agree in width: got x=5, weight=4",
        ),
        (
            lambda: head_gated_attention(
                X, CONTEXT, LAYER, np.ones((5, 4)), heads=2
            ),
            ValueError,
            "gate and heads must agree in heads: got gate=4, heads=2",
        ),
        (
            lambda: gated_reader([[1.0, 2.0]], [[1.0]]),
            ValueError,
            "document and question must agree in dim: got document=2, q",
        ),
        (
            lambda: gated_reader([1.0], [[1.0]]),
            ValueError,
            r"document must have axes \(\.\.\., words, dim\)",
        ),
        (
            lambda: gated_reader([[1.0]], [1.0]),
            ValueError,
            r"question must have axes \(\.\.\., question_words, dim\)",
        ),
        (
            lambda: sentinel_weights(S, np.ones(3)),
            ValueError,
            "agree in queries: got scores=2, sentinel_scores=3",
        ),
        (
            lambda: sentinel_weights(np.ones((2, 2, 5)), np.ones((3, 2))),
            ValueError,
            r"got scores \(2,\), sentinel_scores \(3,\)",
        ),
        (
            lambda: sentinel_weights(S, LAST, mask=np.ones((3, 5)) > 0),
            ValueError,
            r"= \(\.\.\., 2, 5\): got \(3, 5\)",
        ),
        (
            lambda: sentinel_weights(S[None], LAST, mask=S[:, :4] > 0),
            ValueError,
            r"queries, keys\) = \(\.\.\., 2, 5\): got \(2, 4\)",
        ),
        (
            lambda: sentinel_weights(
                np.ones((2, 2, 5)), LAST, mask=np.ones((3, 2, 5)) > 0
            ),
            ValueError,
            r"got scores \(2,\), mask \(3,\)",
        ),
        (
            lambda: sentinel_weights(S, LAST, mask=S),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: sentinel_attention(S, V[:4], LAST, SENTINEL),
            ValueError,
            "agree in keys: got scores=5, v=4",
        ),
        (
            lambda: sentinel_attention(S, V, LAST, np.ones((3, 3))),
            ValueError,
            "agree in queries: got scores=2, sentinel=3",
        ),
        (
            lambda: sentinel_attention(S, V, LAST, np.ones((2, 4))),
            ValueError,
            "agree in value_dim: got v=3, sentinel=4",
        ),
        (
            lambda: sentinel_attention(
                np.ones((2, 2, 5)), np.ones((3, 5, 3)), LAST, SENTINEL
            ),
            ValueError,
            r"got scores \(2,\), v \(3,\), sentinel \(\)",
        ),
        (
            lambda: sentinel_attention(
                np.ones((2, 2, 5)), V, LAST, np.ones((3, 2, 3))
            ),
            ValueError,
            r"got scores \(2,\), v \(\), sentinel \(3,\)",
        ),
        (
            lambda: visual_sentinel(
                S, SENTINEL, [1.0], w_input=V, w_hidden=np.eye(3)
            ),
            ValueError,
            r"memory must have axes \(\.\.\., queries, hidden\)",
        ),
        (
            lambda: span_mask(2, 3, span=-1, ramp=1),
            ValueError,
            r"span must be at least 0 and finite: got -1\.0",
        ),
        (
            lambda: span_mask(2, 3, span=[1, np.inf], ramp=1),
            ValueError,
            r"span must be at least 0 and finite: got \[1\.0, inf\]",
        ),
        (
            lambda: keys_in_span(np.nan, ramp=1),
            ValueError,
            "span must be at least 0 and finite: got nan",
        ),
        (
            lambda: span_mask(2, 3, span=1, ramp=0),
            ValueError,
            "ramp must be positive and finite: got 0",
        ),
        (
            lambda: span_mask(2, 3, span=1, ramp=np.inf),
            ValueError,
            "ramp must be positive and finite: got inf",
        ),
        (
            lambda: span_penalty(1, weight=-1),
            ValueError,
            "weight must be at least 0 and finite: got -1",
        ),
        (
            lambda: span_penalty(1, weight=np.inf),
            ValueError,
            "weight must be at least 0 and finite: got inf",
        ),
        (
            lambda: adaptive_span_attention(
                SENTINEL, V, V, span=1, ramp=1, mask=np.ones((3, 5)) > 0
            ),
            ValueError,
            "broadcast",
        ),
        (
            lambda: adaptive_span_attention(
                SENTINEL, V, V[:4], span=1, ramp=1
            ),
            ValueError,
            "k and v and bias must agree in keys: got k=5, v=4",
        ),
        (
            lambda: adaptive_span_attention(
                np.ones((2, 0)), np.ones((5, 0)), V, span=1, ramp=1
            ),
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            lambda: span_mask(2, 3, span=1, ramp="1"),
            TypeError,
            "ramp must hold real numbers: got dtype <U1",
        ),
        (
            lambda: span_mask(2, 3, span=1, ramp=[1, 2]),
            ValueError,
            r"ramp must be one number: got \[1, 2\]",
        ),
        (
            lambda: span_penalty(1, weight=None),
            TypeError,
            "weight must hold real numbers: got dtype object",
        ),
        (
            lambda: gated_attention(X, CONTEXT, LAYER, None, heads=2),
            TypeError,
            "gate must hold real numbers: got dtype object",
        ),
        (
            lambda: gated_attention(X, CONTEXT, LAYER, X[0, 0], heads=2),
            ValueError,
            r"gate must have axes \(\.\.\., width, head_columns\): got",
        ),
        (
            lambda: head_gated_attention(X, CONTEXT, LAYER, X[0, 0], heads=2),
            ValueError,
            r"gate must have axes \(\.\.\., width, heads\): got shape \(5,",
        ),
        (
            lambda: sentinel_of(memory=(2, 3)),
            ValueError,
            "agree in hidden: got x=5, hidden=5, memory=3",
        ),
        (
            lambda: sentinel_of(memory=(1, 5)),
            ValueError,
            "agree in queries: got x=2, hidden=2, memory=1",
        ),
        (
            lambda: sentinel_of(memory=(3, 2, 5), hidden=(7, 2, 5)),
            ValueError,
            r"broadcast: got x \(\), hidden \(7,\), memory \(3,\)",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
