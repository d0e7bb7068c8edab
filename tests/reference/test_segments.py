"""Relative scores, their shift and segment recurrence, against loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import segments
from attncourse.reference.blocks_parts import NormWeights, normed
from attncourse.reference.dense import attention
from attncourse.reference.feedforward import relu, sigmoid
from attncourse.reference.gates import new_gru_gate
from attncourse.reference.segments import (
    Distances,
    GatedSegmentLayer,
    RelativeProjections,
    SegmentLayer,
    Stack,
    Terms,
    distance_encodings,
    earliest_seen,
    evaluation_gain,
    extend_memory,
    gated_segment_layer,
    in_segments,
    multi_head_segment_attention,
    new_gated_segment_layer,
    new_segment_layer,
    pre_norm_segment_layer,
    relative_shift,
    score_terms,
    segment_attention,
    segment_layer,
    segment_mask,
    segment_scores,
    segment_step,
    with_memory,
)

quick = settings(max_examples=30, deadline=None)
sizes = st.integers(1, 6)
seeds = st.integers(0, 10**6)
WIDTH, HEADS = 6, 3
EXACT = {"rtol": 1e-10, "atol": 1e-11}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def causal(queries, keys):
    return np.array(
        [
            [j <= i + keys - queries for j in range(keys)]
            for i in range(queries)
        ]
    ).reshape(queries, keys)


def some_distances(seed, heads, keys, dim):
    return Distances(
        draw(seed, heads, keys, dim),
        draw(seed + 1, heads, dim),
        draw(seed + 2, heads, dim),
    )


def some_layer(seed, width=WIDTH, heads=HEADS):
    """Return a layer with no number left at zero or one."""
    layer = new_segment_layer(width=width, heads=heads, hidden=7, seed=seed)
    rng = np.random.default_rng(seed)
    dim = width // heads
    biases = {
        name: rng.normal(size=width)
        for name in ("b_query", "b_key", "b_value", "b_output")
    }
    attend = replace(
        layer.attention,
        projections=replace(layer.attention.projections, **biases),
        content_bias=rng.normal(size=(heads, dim)),
        distance_bias=rng.normal(size=(heads, dim)),
    )
    norms = (
        NormWeights(rng.normal(size=width), rng.normal(size=width))
        for _ in range(2)
    )
    return SegmentLayer(attend, layer.feed_forward, *norms)


def some_stack(layer, count=2, norm=None):
    return Stack([some_layer(seed) for seed in range(count)], layer, norm)


def looped_scores(q, k, vectors, u, v):
    """Return scaled scores by the definition, minus infinity if later."""
    heads, n, dim = q.shape
    m = k.shape[1]
    scores = np.full((heads, n, m), -np.inf)
    for h in range(heads):
        for i in range(n):
            for j in range(m):
                distance = (i + m - n) - j
                if distance >= 0:
                    r = vectors[h][m - 1 - distance]
                    a = q[h, i] @ k[h, j] + q[h, i] @ r
                    scores[h, i, j] = (a + u[h] @ k[h, j] + v[h] @ r) / (
                        math.sqrt(dim)
                    )
    return scores


def looped_attention(x, memory, weights, heads, mask=None):
    """Return a layer's attention, one head, one query, one key at a time."""
    p = weights.projections
    both = np.concatenate([memory, x])
    n, m, width = len(x), len(both), x.shape[1]
    dim = width // heads
    q = x @ p.w_query + p.b_query
    k, v = both @ p.w_key + p.b_key, both @ p.w_value + p.b_value
    read = np.zeros((n, width))
    for h in range(heads):
        own = slice(h * dim, (h + 1) * dim)
        for i in range(n):
            logits = {}
            for j in range(m):
                distance = (i + m - n) - j
                if distance < 0 or (mask is not None and not mask[i, j]):
                    continue
                angles = [
                    distance / 10_000 ** (2 * c / width)
                    for c in range(width // 2)
                ]
                encoding = np.ravel(
                    [(math.sin(each), math.cos(each)) for each in angles]
                )
                r = encoding @ weights.w_distance[:, own]
                u, w = weights.content_bias[h], weights.distance_bias[h]
                score = (q[i, own] + u) @ k[j, own] + (q[i, own] + w) @ r
                logits[j] = score / math.sqrt(dim)
            total = sum(math.exp(each) for each in logits.values())
            for j, logit in logits.items():
                read[i, own] += math.exp(logit) / total * v[j, own]
    return read @ p.w_output + p.b_output


# --- the shift -------------------------------------------------------------


@given(seeds, sizes, st.integers(0, 6))
@quick
def test_the_shift_puts_each_distance_at_its_key(seed, queries, past):
    keys = queries + past
    x = draw(seed, 2, queries, keys)
    y = relative_shift(x)
    assert y.shape == x.shape
    for i in range(queries):
        for j in range(i + past + 1):
            distance = (i + past) - j
            column = keys - 1 - distance
            np.testing.assert_array_equal(y[:, i, j], x[:, i, column])


def test_right_of_the_triangle_stand_a_zero_and_the_next_query():
    x = 1 + np.arange(3 * 5.0).reshape(3, 5)
    y = relative_shift(x)
    later = ~causal(3, 5)
    np.testing.assert_array_equal(y[0][later[0]], [0, x[1, 0]])
    np.testing.assert_array_equal(y[1][later[1]], [0])
    # So a change of a later query would show before it, were it not hidden.
    changed = x.copy()
    changed[1] += 1
    assert (relative_shift(changed) != y)[0].tolist() == [False] * 4 + [True]


def test_naive_shifts_are_wrong():
    x = draw(1, 3, 5)
    right = np.where(causal(3, 5), relative_shift(x), 0)
    # Without the extra column nothing moves at all.
    assert not np.allclose(np.where(causal(3, 5), x, 0), right)
    # Each row moved alike serves one query only, here the last.
    rolled = np.where(causal(3, 5), np.roll(x, -1, axis=-1), 0)
    assert not np.allclose(rolled[0], right[0])
    np.testing.assert_array_equal(right[2], x[2])
    # Nearest distance first, as positions are often counted.
    turned = np.where(causal(3, 5), relative_shift(x[:, ::-1]), 0)
    assert not np.allclose(turned, right)
    # The memory left out of the count: distances would be off by its length.
    short = np.where(causal(3, 5)[:, 2:], relative_shift(x[:, :3]), 0)
    assert not np.allclose(short, right[:, 2:])


def test_the_shift_of_nothing_is_nothing():
    assert relative_shift(np.zeros((2, 0, 0))).shape == (2, 0, 0)
    assert relative_shift(np.zeros((0, 3))).shape == (0, 3)
    assert relative_shift(np.zeros((0, 2, 3))).shape == (0, 2, 3)
    assert relative_shift([[7]]).tolist() == [[7.0]]


def test_the_shift_does_not_touch_its_argument():
    x = draw(0, 2, 3)
    before = x.copy()
    relative_shift(x)[:] = 0
    np.testing.assert_array_equal(x, before)


def test_more_queries_than_keys_cannot_be_shifted():
    message = (
        "keys must be at least queries, which are the last of them: "
        "got queries=3, keys=2"
    )
    with pytest.raises(ValueError, match=message):
        relative_shift(np.zeros((3, 2)))


def test_encodings_hold_the_farthest_distance_first():
    rows = distance_encodings(5, dim=4)
    for row, distance in zip(rows, (4, 3, 2, 1, 0), strict=True):
        slow = distance / 100
        expected = [
            *(math.sin(distance), math.cos(distance)),
            *(math.sin(slow), math.cos(slow)),
        ]
        np.testing.assert_allclose(row, expected, **EXACT)
    assert distance_encodings(0, dim=4).shape == (0, 4)
    slower = distance_encodings(2, dim=4, base=100.0)[0, 2]
    assert slower == pytest.approx(math.sin(0.1))


# --- the four terms --------------------------------------------------------


@given(seeds, sizes, st.integers(0, 4), sizes, sizes)
@quick
def test_scores_are_those_of_the_definition(seed, queries, past, heads, dim):
    keys = queries + past
    q, k = draw(seed, heads, queries, dim), draw(seed + 9, heads, keys, dim)
    distances = some_distances(seed + 3, heads, keys, dim)
    expected = looped_scores(q, k, *distances)
    seen = np.isfinite(expected)
    got = segment_scores(q, k, distances)
    np.testing.assert_allclose(got[seen], expected[seen], **EXACT)
    summed = sum(score_terms(q, k, distances)) / math.sqrt(dim)
    np.testing.assert_allclose(summed[seen], expected[seen], **EXACT)


def test_each_term_is_what_its_name_says():
    q, k = draw(0, 2, 3, 5), draw(1, 2, 7, 5)
    distances = some_distances(2, 2, 7, 5)
    r, u, v = distances
    terms = score_terms(q, k, distances)
    assert isinstance(terms, Terms)
    assert {term.shape for term in terms} == {(2, 3, 7)}
    h, i, j = 1, 2, 3
    row = r[h, 6 - (i + 4 - j)]
    assert terms.content[h, i, j] == pytest.approx(q[h, i] @ k[h, j])
    assert terms.distance[h, i, j] == pytest.approx(q[h, i] @ row)
    assert terms.any_content[h, i, j] == pytest.approx(u[h] @ k[h, j])
    assert terms.any_distance[h, i, j] == pytest.approx(v[h] @ row)
    # Two of them are the same for every query, at one key or one distance.
    np.testing.assert_array_equal(
        terms.any_content[:, 0], terms.any_content[:, 2]
    )
    np.testing.assert_array_equal(
        terms.any_distance[:, 0, :5], terms.any_distance[:, 2, 2:]
    )


def test_leading_axes_broadcast():
    q, k = draw(0, 4, 1, 2, 3, 5), draw(1, 3, 2, 7, 5)
    distances = some_distances(2, 2, 7, 5)
    got = segment_scores(q, k, distances)
    assert got.shape == (4, 3, 2, 3, 7)
    np.testing.assert_allclose(
        got[3, 1], segment_scores(q[3, 0], k[1], distances), **EXACT
    )
    terms = score_terms(q, k, distances)
    np.testing.assert_allclose(
        sum(np.broadcast_arrays(*terms)) / math.sqrt(5), got, **EXACT
    )


def test_without_distances_and_biases_it_is_scaled_attention():
    q, k, v = draw(0, 2, 3, 5), draw(1, 2, 7, 5), draw(2, 2, 7, 11)
    zero = Distances(*(np.zeros(s) for s in ((2, 7, 5), (2, 5), (2, 5))))
    mask = causal(3, 7)
    np.testing.assert_allclose(
        segment_attention(q, k, v, zero, mask=mask),
        attention(q, k, v, mask=mask),
        **EXACT,
    )


@given(seeds, sizes, st.integers(0, 4))
@quick
def test_attention_averages_by_those_scores(seed, queries, past):
    keys = queries + past
    q, k, v = draw(seed, 2, queries, 5), draw(1, 2, keys, 5), draw(2, keys, 3)
    distances = some_distances(seed, 2, keys, 5)
    weights = np.exp(looped_scores(q, k, *distances))
    weights /= weights.sum(axis=-1, keepdims=True)
    got = segment_attention(
        q, k, np.stack([v, v]), distances, mask=causal(queries, keys)
    )
    np.testing.assert_allclose(got, weights @ v, **EXACT)


def test_the_later_and_the_hidden_have_no_influence_even_if_nan():
    q, k, v = draw(0, 2, 3, 5), draw(1, 2, 7, 5), draw(2, 2, 7, 11)
    distances = some_distances(2, 2, 7, 5)
    mask = causal(3, 7)
    mask[:, 1] = False
    clean = segment_attention(q, k, v, distances, mask=mask)
    q[:, 2], k[:, 6], v[:, 6] = np.nan, np.nan, np.nan
    k[:, 1], v[:, 1] = np.nan, np.inf
    spoiled = segment_attention(q, k, v, distances, mask=mask)
    np.testing.assert_array_equal(spoiled[:, :2], clean[:, :2])
    nothing = segment_attention(q, k, v, distances, mask=mask & False)
    assert not nothing.any()


def test_large_scores_do_not_overflow():
    q, k, v = 1e4 * draw(0, 2, 3, 5), 1e4 * draw(1, 2, 7, 5), draw(2, 2, 7, 3)
    distances = some_distances(2, 2, 7, 5)
    got = segment_attention(q, k, v, distances, mask=causal(3, 7))
    assert np.isfinite(got).all()


def test_lists_and_tensors_are_read_and_nothing_is_changed():
    q, k = draw(0, 2, 3, 5), draw(1, 2, 7, 5)
    distances = some_distances(2, 2, 7, 5)
    expected = segment_scores(q, k, distances)
    held = [x.copy() for x in (q, k, *distances)]
    tensors = Distances(*(torch.tensor(x) for x in distances))
    got = segment_scores(torch.tensor(q), k.tolist(), tensors)
    np.testing.assert_array_equal(got, expected)
    got = segment_scores(q.astype(np.float32), k, distances)
    assert got.dtype == np.float64
    for before, after in zip(held, (q, k, *distances), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": (2, 7, 4)}, "q and k and vectors and content_bias and"),
        ({"k": (2, 8, 5)}, "k and vectors must agree in keys: got k=8, v"),
        ({"k": (4, 2, 7, 5), "q": (3, 2, 3, 5)}, "leading axes of q and k"),
        ({"k": (1, 7, 5)}, "must agree in heads: got q=2, k=1, vectors=2"),
        ({"u": (1, 5)}, "must agree in heads: .* content_bias=1, dist"),
        ({"v": (2, 3)}, "must agree in dim: .* distance_bias=3"),
        ({"r": (7, 5)}, r"vectors must have axes \(..., heads, keys, dim\)"),
        ({"q": (3, 5)}, r"q must have axes \(..., heads, queries, dim\)"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    shapes = {
        **{"q": (2, 3, 5), "k": (2, 7, 5)},
        **{"r": (2, 7, 5), "u": (2, 5), "v": (2, 5)},
        **change,
    }
    q, k, r, u, v = (np.zeros(shape) for shape in shapes.values())
    for function in (segment_scores, score_terms):
        with pytest.raises(ValueError, match=message):
            function(q, k, Distances(r, u, v))


def test_a_dim_of_zero_and_a_mask_that_is_not_causal_are_refused():
    none = np.zeros((2, 7, 0))
    empty = Distances(none, np.zeros((2, 0)), np.zeros((2, 0)))
    with pytest.raises(ValueError, match="dim must be at least 1: got 0"):
        segment_scores(none[:, :3], none, empty)
    one = Distances(np.zeros((2, 7, 1)), np.zeros((2, 1)), np.zeros((2, 1)))
    k = np.zeros((2, 7, 1))
    message = (
        "mask must hide every key that is later than its query: "
        "got one that does not"
    )
    every = np.ones((2, 1, 7), bool)
    for mask in (every[0], every, np.tri(3, 7, 5, dtype=bool)):
        with pytest.raises(ValueError, match=message):
            segment_attention(k[:, :3], k, k, one, mask=mask)
    for mask in (causal(3, 6), causal(2, 7), np.ones((3, 3, 2, 7), bool)):
        with pytest.raises(
            ValueError,
            match=r"mask must fit the scores, shape \(..., queries, keys\) = "
            r"\(..., 3, 7\): got \(",
        ):
            segment_attention(k[:, :3], k, k, one, mask=mask)
    with pytest.raises(TypeError, match="mask must be boolean, True where a"):
        segment_attention(k[:, :3], k, k, one, mask=every.astype(int))
    with pytest.raises(ValueError, match=r"mask must have axes \(..., quer"):
        segment_attention(k[:, :3], k, k, one, mask=np.zeros(7, bool))
    with pytest.raises(ValueError, match="q and v must agree in heads: got q"):
        segment_attention(k[:, :3], k, k[:1], one, mask=causal(3, 7))
    one_row = np.array([[True] * 5 + [False] * 2])  # for every query
    assert (
        segment_attention(k[:, :3], k, k + 3, one, mask=one_row)
        .round(9)
        .tolist()
        == [[[3.0]] * 3] * 2
    )
    nothing = np.zeros((3, 1), bool)  # one column for every key
    assert not segment_attention(k[:, :3], k, k + 3, one, mask=nothing).any()
    # The key at the query's own place is not later.
    assert segment_attention(
        k[:, :3], k, k, one, mask=causal(3, 7)[:, None].swapaxes(0, 1)
    ).shape == (2, 3, 1)


# --- layers ----------------------------------------------------------------


@given(seeds, sizes, st.integers(0, 5), st.sampled_from([1, 3]))
@quick
def test_attention_is_that_of_a_loop(seed, tokens, past, heads):
    layer = some_layer(seed, heads=heads)
    x, memory = draw(seed, tokens, WIDTH), draw(seed + 1, past, WIDTH)
    got = multi_head_segment_attention(x, memory, layer.attention, heads=heads)
    expected = looped_attention(x, memory, layer.attention, heads)
    np.testing.assert_allclose(got, expected, **EXACT)


def test_a_mask_hides_more_and_never_less():
    layer, x, memory = some_layer(0), draw(1, 2, 4, WIDTH), draw(2, 5, WIDTH)
    mask = np.random.default_rng(3).random((2, 4, 9)) < 0.6
    mask[..., 0] = True
    attend = layer.attention
    got = multi_head_segment_attention(
        x, memory, attend, heads=HEADS, mask=mask
    )
    for row in range(2):
        expected = looped_attention(x[row], memory, attend, HEADS, mask[row])
        np.testing.assert_allclose(got[row], expected, **EXACT)
    every = multi_head_segment_attention(
        x, memory, attend, heads=HEADS, mask=np.ones((1, 9), bool)
    )
    without = multi_head_segment_attention(x, memory, attend, heads=HEADS)
    np.testing.assert_array_equal(every, without)


def test_the_three_layers_place_norm_and_gate_as_their_papers_say():
    layer, x, memory = some_layer(0), draw(1, 4, WIDTH), draw(2, 5, WIDTH)

    def attend(a, b):
        return looped_attention(a, b, layer.attention, HEADS)

    def feed(a):
        w = layer.feed_forward
        return relu(a @ w.w_in + w.b_in) @ w.w_out + w.b_out

    first, second = layer.norm_attention, layer.norm_feed_forward
    h = normed(x + attend(x, memory), first)
    np.testing.assert_allclose(
        segment_layer(x, memory, layer, heads=HEADS),
        normed(h + feed(h), second),
        **EXACT,
    )
    h = x + attend(normed(x, first), normed(memory, first))
    np.testing.assert_allclose(
        pre_norm_segment_layer(x, memory, layer, heads=HEADS),
        h + feed(normed(h, second)),
        **EXACT,
    )
    fresh = new_gated_segment_layer(width=6, heads=3, hidden=7, seed=1)
    gates = fresh.gate_attention, fresh.gate_feed_forward

    def gate(a, b, g):
        r = sigmoid(b @ g.w_reset + a @ g.u_reset)
        z = sigmoid(b @ g.w_update + a @ g.u_update - g.b_update)
        new = np.tanh(b @ g.w_candidate + (r * a) @ g.u_candidate)
        return (1 - z) * a + z * new

    read = attend(normed(x, first), normed(memory, first))
    h = gate(x, relu(read), gates[0])
    np.testing.assert_allclose(
        gated_segment_layer(
            x, memory, GatedSegmentLayer(layer, *gates), heads=HEADS
        ),
        gate(h, relu(feed(normed(h, second))), gates[1]),
        **EXACT,
    )


@pytest.mark.parametrize("layer", [segment_layer, pre_norm_segment_layer])
def test_layers_hand_their_mask_on(layer):
    numbers, x, memory = some_layer(0), draw(1, 4, WIDTH), draw(2, 5, WIDTH)
    mask = np.ones((1, 9), bool)
    mask[0, 2] = False
    got = layer(x, memory, numbers, heads=HEADS, mask=mask)
    other = memory.copy()
    other[2] = 99.0
    again = layer(x, other, numbers, heads=HEADS, mask=mask)
    np.testing.assert_array_equal(got, again)
    gates = new_gated_segment_layer(width=6, heads=3, hidden=7, seed=1)
    got, again = (
        gated_segment_layer(x, each, gates, heads=HEADS, mask=mask)
        for each in (memory, other)
    )
    np.testing.assert_array_equal(got, again)


def test_an_untrained_layer_starts_as_it_says():
    layer = new_segment_layer(width=6, heads=2, hidden=11, seed=3)
    again = new_segment_layer(width=6, heads=2, hidden=11, seed=3)
    attend = layer.attention
    assert not attend.content_bias.any()
    assert not attend.distance_bias.any()
    assert attend.content_bias.shape == attend.distance_bias.shape == (2, 3)
    np.testing.assert_array_equal(
        attend.w_distance, again.attention.w_distance
    )
    other = new_segment_layer(width=6, heads=2, hidden=11, seed=4).attention
    assert not np.isclose(other.w_distance, attend.w_distance).any()
    for name in ("w_query", "w_key", "w_value", "w_output"):
        matrix = getattr(attend.projections, name)
        assert not np.isclose(matrix, attend.w_distance).any()
    bound = math.sqrt(6 / 400)
    wide = new_segment_layer(width=200, heads=2, hidden=1, seed=0).attention
    for sign in (1, -1):
        farthest = (sign * wide.w_distance).max()
        assert 0.99 * bound < farthest <= bound
    gated = new_gated_segment_layer(width=6, heads=2, hidden=11, seed=3)
    np.testing.assert_array_equal(
        gated.layer.attention.w_distance, attend.w_distance
    )
    first, second = gated.gate_attention, gated.gate_feed_forward
    for gate, number in ((first, 6), (second, 7)):
        expected = new_gru_gate(width=6, seed=number)
        np.testing.assert_array_equal(gate.w_reset, expected.w_reset)
    with pytest.raises(
        ValueError,
        match="width must split evenly into heads: got width=6, heads=4",
    ):
        new_segment_layer(width=6, heads=4, hidden=1, seed=0)


# --- memory and recurrence -------------------------------------------------


def test_a_memory_stands_before_its_segment():
    x, memory = draw(0, 3, 1, 2, 5), draw(1, 4, 7, 5)
    both = with_memory(x, memory)
    assert both.shape == (3, 4, 9, 5)
    np.testing.assert_array_equal(both[2, 3], [*memory[3], *x[2, 0]])
    with pytest.raises(
        ValueError, match="x and memory must agree in width: got x=5, memory=4"
    ):
        with_memory(x, memory[..., :4])
    with pytest.raises(ValueError, match="leading axes of x and memory"):
        with_memory(draw(0, 3, 2, 5), memory)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 12))
@quick
def test_a_memory_keeps_the_last(past, tokens, length):
    memory, x = draw(0, 2, past, 3), draw(1, 2, tokens, 3)
    kept = extend_memory(memory, x, length=length)
    every = np.concatenate([memory, x], axis=1)
    assert kept.shape[1] == min(length, past + tokens)
    expected = every[:, every.shape[1] - kept.shape[1] :]
    np.testing.assert_array_equal(kept, expected)
    kept[...] = 7
    np.testing.assert_array_equal(memory, draw(0, 2, past, 3))


def test_a_step_remembers_the_inputs_of_each_layer():
    stack = some_stack(segment_layer, 3)
    x = draw(0, 2, 4, WIDTH)
    y, memories = segment_step(x, None, stack, heads=HEADS, length=9)
    inputs = [x]
    for layer in stack.layers:
        inputs.append(
            segment_layer(inputs[-1], x[..., :0, :], layer, heads=HEADS)
        )
    np.testing.assert_array_equal(y, inputs[3])
    for memory, expected in zip(memories, inputs, strict=False):
        np.testing.assert_array_equal(memory, expected)
    again, memories = segment_step(y, memories, stack, heads=HEADS, length=5)
    assert [memory.shape for memory in memories] == [(2, 5, WIDTH)] * 3
    np.testing.assert_array_equal(memories[0][:, 1:], y)
    np.testing.assert_array_equal(memories[0][:, 0], x[:, 3])
    assert again.shape == y.shape


LAYERS = [segment_layer, pre_norm_segment_layer]


@pytest.mark.parametrize("layer", LAYERS)
@given(
    seeds,
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(0, 10),
    st.integers(1, 3),
)
@settings(max_examples=12, deadline=None)
def test_segment_by_segment_is_the_whole_under_its_mask(
    layer, seed, tokens, segment, length, layers
):
    norm = NormWeights(draw(5, WIDTH), draw(6, WIDTH))
    stack = some_stack(layer, layers, norm)
    x = draw(seed, 2, tokens, WIDTH)
    parts = in_segments(x, stack, heads=HEADS, segment=segment, length=length)
    mask = np.zeros((tokens, tokens), bool)
    for i in range(tokens):
        begin = max(at for at in range(0, i + 1, segment))
        for j in range(tokens):
            mask[i, j] = begin - length <= j <= i
    whole, _ = segment_step(x, None, stack, heads=HEADS, length=0, mask=mask)
    np.testing.assert_allclose(parts, whole, rtol=1e-8, atol=1e-8)
    np.testing.assert_array_equal(
        segment_mask(tokens, segment=segment, length=length), mask
    )


@pytest.mark.parametrize("layers", [1, 3])
def test_a_memory_of_everything_is_the_full_context(layers):
    stack = some_stack(segment_layer, layers)
    x = draw(0, 11, WIDTH)
    parts = in_segments(x, stack, heads=HEADS, segment=4, length=7 + 4)
    whole, _ = segment_step(x, None, stack, heads=HEADS, length=0)
    np.testing.assert_allclose(parts, whole, **EXACT)
    less = in_segments(x, stack, heads=HEADS, segment=4, length=7)
    assert not np.allclose(less[8:], whole[8:])  # position 0 is forgotten
    np.testing.assert_allclose(less[:8], whole[:8], **EXACT)


def test_without_a_memory_each_segment_stands_alone():
    stack = some_stack(pre_norm_segment_layer)
    x = draw(0, 7, WIDTH)
    parts = in_segments(x, stack, heads=HEADS, segment=3, length=0)
    for part in (slice(0, 3), slice(3, 6), slice(6, 7)):
        alone, memories = segment_step(
            x[part], None, stack, heads=HEADS, length=0
        )
        np.testing.assert_allclose(parts[part], alone, **EXACT)
        assert [memory.shape for memory in memories] == [(0, WIDTH)] * 2


@pytest.mark.parametrize(
    ("layers", "segment", "length"),
    [(1, 4, 4), (2, 4, 4), (3, 3, 3), (2, 4, 3), (2, 3, 5), (3, 4, 1)],
)
def test_what_is_seen_begins_where_it_says(layers, segment, length):
    stack = some_stack(segment_layer, layers)
    x = draw(0, 17, WIDTH)
    settings_ = {"heads": HEADS, "segment": segment, "length": length}
    before = in_segments(x, stack, **settings_)
    first_change = [17] * 17
    for j in reversed(range(17)):
        changed = x.copy()
        changed[j] += 1.0
        after = in_segments(changed, stack, **settings_)
        for i in np.flatnonzero(np.abs(after - before).max(axis=1) > 1e-13):
            first_change[i] = j
    assert first_change == [
        earliest_seen(i, layers=layers, segment=segment, length=length)
        for i in range(17)
    ]


def test_with_a_memory_of_one_segment_each_layer_sees_one_more():
    last = 12 * 4 - 1
    for layers in range(1, 11):
        seen = last - earliest_seen(last, layers=layers, segment=4, length=4)
        assert seen == layers * 4 + 3
    assert earliest_seen(3, layers=1, segment=4, length=0) == 0
    assert earliest_seen(5, layers=7, segment=4, length=0) == 4


def test_the_memory_is_read_at_its_distance():
    # A token looks back by one place, whether or not into the memory.
    layer = some_layer(0)
    x = draw(1, 8, WIDTH)
    one = multi_head_segment_attention(
        x[4:], x[:4], layer.attention, heads=HEADS
    )
    whole = multi_head_segment_attention(
        x, x[:0], layer.attention, heads=HEADS
    )
    np.testing.assert_allclose(one, whole[4:], **EXACT)
    # A memory moved farther away by one unseen token is read otherwise.
    mask = np.ones((1, 9), bool)
    mask[0, 4] = False
    apart = multi_head_segment_attention(
        x[4:],
        np.concatenate([x[:4], x[:1]]),
        layer.attention,
        heads=HEADS,
        mask=mask,
    )
    assert not np.allclose(apart, one)


def test_an_empty_sequence_stays_empty():
    stack = some_stack(segment_layer)
    x = np.zeros((2, 0, WIDTH))
    assert in_segments(x, stack, heads=HEADS, segment=3, length=2).shape == (
        2,
        0,
        WIDTH,
    )
    y, memories = segment_step(x, None, stack, heads=HEADS, length=2)
    assert y.shape == memories[1].shape == (2, 0, WIDTH)


def test_wrong_sizes_are_refused():
    stack = some_stack(segment_layer)
    x = draw(0, 3, WIDTH)
    with pytest.raises(
        ValueError, match="memories must hold one for each layer: got 1, layer"
    ):
        segment_step(x, [x], stack, heads=HEADS, length=2)
    with pytest.raises(ValueError, match=r"width must be even, .*: got 9"):
        new_segment_layer(width=9, heads=3, hidden=2, seed=0)
    with pytest.raises(ValueError, match="segment must be at least 1: got 0"):
        in_segments(x, stack, heads=HEADS, segment=0, length=2)
    with pytest.raises(ValueError, match="length must be at least 0: got -1"):
        extend_memory(x, x, length=-1)
    with pytest.raises(ValueError, match="length must be at least 0: got -1"):
        in_segments(x[:0], stack, heads=HEADS, segment=2, length=-1)
    for make in (new_segment_layer, new_gated_segment_layer):
        with pytest.raises(ValueError, match="seed must be at least 0: got -"):
            make(width=4, heads=2, hidden=2, seed=-1)
    for name in ("segment", "layers"):
        sizes = {"layers": 1, "segment": 1, "length": 0, name: 0}
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            earliest_seen(0, **sizes)
    with pytest.raises(ValueError, match="position must be at least 0"):
        earliest_seen(-1, layers=1, segment=1, length=0)
    with pytest.raises(ValueError, match="length must be at least 0"):
        segment_mask(3, segment=1, length=-1)
    with pytest.raises(ValueError, match="segment must be at least 1"):
        segment_mask(3, segment=0, length=1)
    assert segment_mask(0, segment=1, length=0).shape == (0, 0)


@pytest.mark.parametrize(("tokens", "context"), [(1, 1), (11, 4), (3, 7)])
def test_the_gain_counts_what_passes_a_layer(tokens, context):
    passed = []

    def counting(x, memory, layer, *, heads, mask):
        passed.append(x.shape[-2])
        return x

    stack = Stack([None], counting)
    x = draw(0, tokens, WIDTH)
    for end in range(1, tokens + 1):  # each prediction reads its context anew
        window = x[max(0, end - context) : end]
        segment_step(window, None, stack, heads=1, length=0)
    anew = sum(passed)
    passed.clear()
    in_segments(x, stack, heads=1, segment=2, length=context)
    assert evaluation_gain(tokens, context=context) == pytest.approx(
        anew / sum(passed)
    )


def test_the_gain_needs_a_token_and_a_context():
    with pytest.raises(ValueError, match="tokens must be at least 1: got 0"):
        evaluation_gain(0, context=1)
    with pytest.raises(ValueError, match="context must be at least 1: got 0"):
        evaluation_gain(1, context=0)


def test_the_unit_exports_what_it_lists():
    for name in segments.__all__:
        assert hasattr(segments, name)
    assert RelativeProjections(None, 1, 2, 3).w_distance == 1
