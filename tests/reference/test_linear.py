"""Linear attention: its three forms against plain loops and each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import linear, linear_decay, linear_delta
from attncourse.reference.linear import State, elu_plus_one
from attncourse.reference.linear_delta import Gates
from attncourse.reference.linear_parts import (
    causal_sums,
    checked_log_decay,
    checked_steps,
    chunks,
    decayed_products,
    log_decays,
    starting_memory,
)

quick = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 7)
seeds = st.integers(0, 10**6)


def triple(seed=0, *, batch=(2,), steps=7, dim=3, value_dim=5):
    rng = np.random.default_rng(seed)
    return tuple(
        rng.normal(size=(*batch, steps, width))
        for width in (dim, dim, value_dim)
    )


def decay(seed=0, *shape):
    return np.log(np.random.default_rng(seed + 1).uniform(0.1, 1.0, shape))


def phi(x):
    """Return elu(x) + 1 of one number, by its two cases."""
    return x + 1.0 if x > 0 else math.exp(x)


def faded(q, k, v, gates):
    """Return sum_j (sum_c q_tc k_jc prod_i gate_ic) v_j, by loops."""
    steps, dim = k.shape
    output = np.zeros((steps, v.shape[1]))
    for t in range(steps):
        for j in range(t + 1):
            for c in range(dim):
                left = 1.0
                for i in range(j + 1, t + 1):
                    left *= gates[i, c]
                output[t] += q[t, c] * k[j, c] * left * v[j]
    return output


# Katharopoulos et al.: positive features and a denominator.


@pytest.mark.parametrize("x", [-1e4, -2.0, 0.0, 1e-9, 3.0, 1e4])
def test_features_are_elu_plus_one(x):
    expected = torch.nn.functional.elu(torch.tensor([x]).double()) + 1
    np.testing.assert_allclose(elu_plus_one([x]), expected, atol=1e-16)
    assert elu_plus_one([x])[0] == pytest.approx(phi(x))
    assert elu_plus_one(np.full((2, 3), x)).shape == (2, 3)


@given(seeds, sizes, sizes, sizes, sizes)
@quick
def test_the_quadratic_form_is_attention_with_another_weight(
    seed, queries, keys, dim, value_dim
):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(queries, dim))
    k = rng.normal(size=(keys, dim))
    v = rng.normal(size=(keys, value_dim))
    every = linear.attention(q, k, v)
    causal = linear.causal_attention(q, k, v)
    for i in range(queries):
        weight = [
            sum(phi(a) * phi(b) for a, b in zip(q[i], row, strict=True))
            for row in k
        ]
        mean = sum(w * row for w, row in zip(weight, v, strict=True))
        np.testing.assert_allclose(every[i], mean / sum(weight))
        seen = max(0, i + 1 + keys - queries)
        mean = sum(
            (w * row for w, row in zip(weight[:seen], v, strict=False)),
            np.zeros(value_dim),
        )
        expected = mean / sum(weight[:seen]) if seen else mean
        np.testing.assert_allclose(causal[i], expected, atol=1e-12)


@given(seeds, sizes, sizes, sizes, sizes)
@quick
def test_three_forms_of_attention_agree(seed, steps, dim, value_dim, chunk):
    q, k, v = triple(seed, steps=steps, dim=dim, value_dim=value_dim)
    truth = linear.causal_attention(q, k, v)
    output, state = linear.recurrent_attention(q, k, v)
    np.testing.assert_allclose(output, truth, atol=1e-12)
    chunked, end = linear.chunked_attention(q, k, v, chunk=chunk)
    np.testing.assert_allclose(chunked, truth, atol=1e-12)
    for one, other in zip(state, end, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(
        state.memory,
        sum(
            elu_plus_one(k[:, t, :, None]) * v[:, t, None]
            for t in range(steps)
        ),
    )
    np.testing.assert_allclose(state.total, elu_plus_one(k).sum(axis=1))
    # The last query sees every key.
    last = linear.attention(q, k, v)[:, -1]
    np.testing.assert_allclose(output[:, -1], last, atol=1e-12)


def test_a_state_continues_where_a_segment_ended():
    q, k, v = triple(1, steps=11)
    whole, end = linear.recurrent_attention(q, k, v)
    for form in (linear.recurrent_attention, linear.chunked_attention):
        state, outputs = None, []
        for part in (slice(0, 2), slice(2, 2), slice(2, 7), slice(7, 11)):
            output, state = form(
                q[:, part], k[:, part], v[:, part], state=state
            )
            outputs.append(output)
        joined = np.concatenate(outputs, axis=1)
        np.testing.assert_allclose(joined, whole, atol=1e-12)
        np.testing.assert_allclose(state.memory, end.memory, atol=1e-12)
        np.testing.assert_allclose(state.total, end.total, atol=1e-12)


def test_features_may_be_any_map():
    q, k, v = triple(2)

    def outer(x):  # the exact square of the scalar product
        return (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], -1)

    truth = linear.causal_attention(q, k, v, feature_map=outer)
    weights = np.tril(np.einsum("bqd,bkd->bqk", q, k) ** 2)
    expected = weights @ v / weights.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(truth, expected)
    for form in (linear.recurrent_attention, linear.chunked_attention):
        output, state = form(q, k, v, feature_map=outer)
        np.testing.assert_allclose(output, truth)
        assert state.memory.shape == (2, 9, 5)
    whole = linear.attention(q[:, -1:], k, v, feature_map=outer)
    np.testing.assert_allclose(whole, truth[:, -1:])


def test_a_query_without_weight_gets_zeros():
    q, k, v = triple(3)

    def relu(x):
        return np.maximum(x, 0.0)

    q[0, 4] = -1.0
    k[1, :2] = -1.0
    forms = [
        linear.causal_attention(q, k, v, feature_map=relu),
        linear.recurrent_attention(q, k, v, feature_map=relu)[0],
        linear.chunked_attention(q, k, v, feature_map=relu, chunk=2)[0],
    ]
    for output in forms:
        assert not output[0, 4].any()
        assert not output[1, :2].any()
        np.testing.assert_allclose(output, forms[0], atol=1e-12)
    assert not linear.attention(q, k, v, feature_map=relu)[0, 4].any()
    # Without keys there is nothing to see.
    assert linear.attention(q, k[:, :0], v[:, :0]).tolist() == (
        np.zeros((2, 7, 5)).tolist()
    )
    assert not linear.causal_attention(q, k[:, :0], v[:, :0]).any()


def test_a_key_of_minus_infinity_is_padding():
    q, k, v = triple(4)
    k[:, 2] = -np.inf
    kept = np.delete(np.arange(7), 2)
    output = linear.attention(q, k, v)
    expected = linear.attention(q, k[:, kept], v[:, kept])
    np.testing.assert_allclose(output, expected)
    padded, _ = linear.recurrent_attention(q, k, v)
    short, _ = linear.recurrent_attention(q[:, kept], k[:, kept], v[:, kept])
    np.testing.assert_allclose(padded[:, kept], short)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_numbers_stay_finite(scale):
    q, k, v = triple(5)
    truth = linear.causal_attention(scale * q, scale * k, v)
    assert np.isfinite(truth).all()
    for form in (linear.recurrent_attention, linear.chunked_attention):
        np.testing.assert_allclose(form(scale * q, scale * k, v)[0], truth)


# Retention: gates of a head, a step, a channel.


GATES = {"head": (1, 1), "step": (7, 1), "channel": (7, 3), "both": (1, 3)}
each_gate = pytest.mark.parametrize("gate", GATES)


@each_gate
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_three_forms_of_retention_agree_with_loops(gate, chunk):
    q, k, v = triple(6)
    g = decay(6, 2, *GATES[gate])
    gates = np.broadcast_to(np.exp(g), (2, 7, 3))
    truth = np.stack(
        [faded(*each) for each in zip(q, k, v, gates, strict=True)]
    )
    parallel = linear_decay.parallel_retention(q, k, v, log_decay=g)
    np.testing.assert_allclose(parallel, truth, atol=1e-12)
    output, memory = linear_decay.recurrent_retention(q, k, v, log_decay=g)
    np.testing.assert_allclose(output, truth, atol=1e-12)
    chunked, end = linear_decay.chunked_retention(
        q, k, v, log_decay=g, chunk=chunk
    )
    np.testing.assert_allclose(chunked, truth, atol=1e-12)
    np.testing.assert_allclose(end, memory, atol=1e-12)


@each_gate
def test_segments_of_retention_chain(gate):
    q, k, v = triple(7)
    start = np.random.default_rng(7).normal(size=(2, 3, 5))
    g = np.broadcast_to(decay(7, 2, *GATES[gate]), (2, 7, GATES[gate][1]))
    whole, end = linear_decay.recurrent_retention(
        q, k, v, log_decay=g, state=start
    )
    # The first step in words: fade, write, read.
    faded_start = np.exp(g[:, 0, :, None]) * start
    first = faded_start + k[:, 0, :, None] * v[:, 0, None, :]
    np.testing.assert_allclose(
        whole[:, 0], np.einsum("bd,bdv->bv", q[:, 0], first)
    )
    for form in (
        linear_decay.recurrent_retention,
        linear_decay.chunked_retention,
    ):
        state, outputs = start, []
        for part in (slice(0, 3), slice(3, 3), slice(3, 7)):
            arrays = (x[:, part] for x in (q, k, v))
            output, state = form(*arrays, log_decay=g[:, part], state=state)
            outputs.append(output)
        np.testing.assert_allclose(
            np.concatenate(outputs, axis=1), whole, atol=1e-12
        )
        np.testing.assert_allclose(state, end, atol=1e-12)


def test_a_state_that_is_given_is_read_by_every_chunk():
    q, k, v = triple(8)
    start = np.random.default_rng(8).normal(size=(2, 3, 5))
    g = decay(8, 2, 7, 3)
    truth, end = linear_decay.recurrent_retention(
        q, k, v, log_decay=g, state=start
    )
    for chunk in (2, 3, 9):
        output, state = linear_decay.chunked_retention(
            q, k, v, log_decay=g, state=start, chunk=chunk
        )
        np.testing.assert_allclose(output, truth, atol=1e-12)
        np.testing.assert_allclose(state, end, atol=1e-12)


def test_without_decay_retention_is_attention_before_its_division():
    q, k, v = (elu_plus_one(x) for x in triple(9))
    sums = linear_decay.parallel_retention(q, k, v, log_decay=[[0.0]])
    ones = np.ones((2, 7, 1))
    totals = linear_decay.parallel_retention(q, k, ones, log_decay=[[0.0]])
    expected = linear.causal_attention(q, k, v, feature_map=np.asarray)
    np.testing.assert_allclose(sums / totals, expected)
    forgot = linear_decay.chunked_retention(
        q, k, v, log_decay=[[-np.inf]], chunk=3
    )[0]
    own = np.sum(q * k, axis=-1, keepdims=True) * v
    np.testing.assert_allclose(forgot, own)


def test_decays_of_retnet_double_their_reach():
    logs = linear_decay.retention_decays(3)
    assert logs.shape == (3, 1, 1)
    np.testing.assert_allclose(
        1 - np.exp(logs[:, 0, 0]), [1 / 32, 1 / 64, 1 / 128]
    )
    assert linear_decay.retention_decays(0).shape == (0, 1, 1)


@pytest.mark.parametrize("gate", [1e-300, 1e-6, 0.5, 1 - 1e-9, 0.0])
def test_strong_decay_over_long_chunks_neither_over_nor_underflows(gate):
    steps = 1031
    q, k, v = triple(10, batch=(), steps=steps, dim=2, value_dim=3)
    with np.errstate(divide="ignore"):
        g = np.log(np.full((1, 2), gate))
    g[0, 1] = -1e-3  # another channel remembers
    truth, end = linear_decay.recurrent_retention(q, k, v, log_decay=g)
    assert np.isfinite(truth).all()
    for chunk in (257, steps):
        output, state = linear_decay.chunked_retention(
            q, k, v, log_decay=g, chunk=chunk
        )
        np.testing.assert_allclose(output, truth, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(state, end, rtol=1e-9, atol=1e-11)


def test_a_gate_that_shuts_once_leaves_the_later_steps_exact():
    q, k, v = triple(11, batch=(), steps=13)
    g = np.full((13, 1), -1e-3)
    g[6] = -np.inf
    late = slice(6, 13)
    truth = linear_decay.parallel_retention(
        q[late], k[late], v[late], log_decay=g[late]
    )
    for chunk in (4, 6, 7, 13):
        output, _ = linear_decay.chunked_retention(
            q, k, v, log_decay=g, chunk=chunk
        )
        np.testing.assert_allclose(output[late], truth, atol=1e-14)


# The delta rule.


def corrected(q, k, v, write, gate, memory):
    """Return reads and memory of Yang et al. (2025), with whole matrices."""
    outputs = []
    for t in range(len(q)):
        turn = np.eye(k.shape[1]) - write[t] * np.outer(k[t], k[t])
        memory = gate[t] * turn @ memory + write[t] * np.outer(k[t], v[t])
        outputs.append(memory.T @ q[t])
    return np.array(outputs), memory


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("gated", [False, True])
def test_three_forms_of_the_delta_rule_agree(chunk, gated):
    q, k, v = triple(12)
    rng = np.random.default_rng(12)
    write = rng.random((2, 7))
    logs = decay(12, 2, 7) if gated else np.zeros((1, 1))
    start = rng.normal(size=(2, 3, 5))
    kept = np.broadcast_to(np.exp(logs), (2, 7))
    gates = Gates(write, logs) if gated else Gates(write)
    for state in (None, start):
        begin = np.zeros((2, 3, 5)) if state is None else state
        pairs = [
            corrected(q[b], k[b], v[b], write[b], kept[b], begin[b])
            for b in range(2)
        ]
        truth, end = (np.stack(each) for each in zip(*pairs, strict=True))
        for form, options in (
            (linear_delta.recurrent_delta_rule, {}),
            (linear_delta.chunked_delta_rule, {"chunk": chunk}),
        ):
            output, memory = form(q, k, v, gates, state=state, **options)
            np.testing.assert_allclose(output, truth, atol=1e-11)
            np.testing.assert_allclose(memory, end, atol=1e-11)
        if state is None:
            parallel = linear_delta.parallel_delta_rule(q, k, v, gates)
            np.testing.assert_allclose(parallel, truth, atol=1e-11)


def test_a_key_that_comes_again_replaces_its_value():
    k = np.eye(3)[[0, 1, 0, 2, 0]]
    v = np.arange(10.0).reshape(5, 2)
    output, memory = linear_delta.recurrent_delta_rule(k, k, v, Gates([1.0]))
    np.testing.assert_array_equal(output, v)
    np.testing.assert_array_equal(memory, v[[4, 1, 3]])


def test_different_keys_make_the_delta_rule_linear_attention():
    q, _, v = triple(13, batch=(), steps=3)
    k = np.linalg.qr(np.random.default_rng(13).normal(size=(3, 3)))[0]
    g = decay(13, 3)
    plain = linear_decay.parallel_retention(q, k, v, log_decay=g[:, None])
    ruled = linear_delta.parallel_delta_rule(q, k, v, Gates([1.0], g))
    np.testing.assert_allclose(ruled, plain, atol=1e-14)
    nothing, memory = linear_delta.chunked_delta_rule(q, k, v, Gates([0.0]))
    assert not nothing.any()
    assert not memory.any()


@pytest.mark.parametrize("gate", [1e-300, 0.9, 0.0])
def test_the_gated_delta_rule_stands_long_chunks(gate):
    steps = 1009
    q, k, v = triple(14, batch=(), steps=steps, dim=2, value_dim=3)
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(np.full(steps, gate))
    logs[::5] = -1e-4
    gates = Gates([0.7], logs)
    truth, end = linear_delta.recurrent_delta_rule(q, k, v, gates)
    output, memory = linear_delta.chunked_delta_rule(q, k, v, gates, chunk=331)
    np.testing.assert_allclose(output, truth, atol=1e-11)
    np.testing.assert_allclose(memory, end, atol=1e-11)


# What all forms have in common.


G = decay(15, 2, 7, 3)
WRITE = np.random.default_rng(15).random((2, 7))
FORMS = {
    "quadratic": linear.causal_attention,
    "recurrent": lambda *a: linear.recurrent_attention(*a)[0],
    "chunked": lambda *a: linear.chunked_attention(*a, chunk=3)[0],
    "parallel retention": lambda *a: linear_decay.parallel_retention(
        *a, log_decay=G
    ),
    "recurrent retention": lambda *a: linear_decay.recurrent_retention(
        *a, log_decay=G
    )[0],
    "chunked retention": lambda *a: linear_decay.chunked_retention(
        *a, log_decay=G, chunk=3
    )[0],
    "parallel delta": lambda *a: linear_delta.parallel_delta_rule(
        *a, Gates(WRITE, G[..., 0])
    ),
    "recurrent delta": lambda *a: linear_delta.recurrent_delta_rule(
        *a, Gates(WRITE, G[..., 0])
    )[0],
    "chunked delta": lambda *a: linear_delta.chunked_delta_rule(
        *a, Gates(WRITE, G[..., 0]), chunk=3
    )[0],
}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
STATEFUL = {
    "attention": linear.recurrent_attention,
    "chunked attention": linear.chunked_attention,
    "retention": lambda *a, **o: linear_decay.recurrent_retention(
        *a, log_decay=G[0], **o
    ),
    "chunked retention": lambda *a, **o: linear_decay.chunked_retention(
        *a, log_decay=G[0], **o
    ),
    "delta": lambda *a, **o: linear_delta.recurrent_delta_rule(
        *a, Gates(WRITE[0]), **o
    ),
    "chunked delta": lambda *a, **o: linear_delta.chunked_delta_rule(
        *a, Gates(WRITE[0]), **o
    ),
}


@each_form
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_the_future_has_no_influence(form, poison):
    q, k, v = triple(16)
    clean = form(q, k, v)
    for array in (k, v):
        spoiled = {"k": k, "v": v, "k" if array is k else "v": array.copy()}
        spoiled["k" if array is k else "v"][:, 4] = poison
        with np.errstate(invalid="ignore"):
            output = form(q, spoiled["k"], spoiled["v"])
        np.testing.assert_allclose(output[:, :4], clean[:, :4], atol=1e-15)
        assert not np.isfinite(output[:, 4]).any()


@each_form
def test_answers_are_float64_and_inputs_left_alone(form):
    arrays = [each.astype(np.float32) for each in triple(17)]
    truth = form(*arrays)
    assert truth.dtype == np.float64
    tensors = [torch.from_numpy(each) for each in arrays]
    np.testing.assert_array_equal(form(*tensors), truth)
    lists = [each.tolist() for each in arrays]
    np.testing.assert_array_equal(form(*lists), truth)
    turned = [np.asfortranarray(each) for each in arrays]
    np.testing.assert_allclose(form(*turned), truth, atol=1e-14)
    before = [each.copy() for each in arrays]
    for each in arrays:
        each.flags.writeable = False
    form(*arrays)
    np.testing.assert_array_equal(arrays[2], before[2])


@each_form
def test_no_channels_of_values_are_none_in_the_output(form):
    q, k, v = triple(18)
    assert form(q, k, v[..., :0]).shape == (2, 7, 0)


@pytest.mark.parametrize("form", STATEFUL.values(), ids=STATEFUL)
def test_a_state_is_left_alone_and_broadcasts(form):
    q, k, v = triple(19)
    _, first = form(q, k, v)
    kept = [np.copy(each) for each in first]
    form(q, k, v, state=first)
    for one, other in zip(kept, first, strict=True):
        np.testing.assert_array_equal(one, other)
    q, _, _ = triple(20, batch=(3, 1))
    output, end = form(q, k, v[0], state=first)
    assert output.shape == (3, 2, 7, 5)
    wide = [np.broadcast_to(x, (3, 2, *x.shape[-2:])) for x in (q, k, v[0])]
    expected, _ = form(*wide, state=first)
    np.testing.assert_allclose(output, expected, atol=1e-12)
    end = end if isinstance(end, State) else (end,)
    assert end[0].shape == (3, 2, 3, 5)
    one = State(first[0][0], first[1][0])
    if not isinstance(first, State):
        one = first[0]
    output, _ = form(q[0], k, v, state=one)
    assert output.shape == (2, 7, 5)


@pytest.mark.parametrize(
    "form", [linear.recurrent_attention, linear.chunked_attention]
)
def test_no_steps_leave_the_state_as_it_was(form):
    q, k, v = triple(21)
    _, first = form(q, k, v)
    none = [each[:, :0] for each in (q, k, v)]
    output, state = form(*none, state=first)
    assert output.shape == (2, 0, 5)
    np.testing.assert_array_equal(state.memory, first.memory)
    np.testing.assert_array_equal(state.total, first.total)


def test_no_steps_leave_a_gated_memory_as_it_was():
    q, k, v = (each[:, :0] for each in triple(22))
    start = np.random.default_rng(22).normal(size=(2, 3, 5))
    for form in (
        linear_decay.recurrent_retention,
        linear_decay.chunked_retention,
    ):
        output, memory = form(q, k, v, log_decay=[[-1.0]], state=start)
        assert output.shape == (2, 0, 5)
        np.testing.assert_array_equal(memory, start)
    for form in (
        linear_delta.recurrent_delta_rule,
        linear_delta.chunked_delta_rule,
    ):
        output, memory = form(q, k, v, Gates([0.5], [-1.0]), state=start)
        assert output.shape == (2, 0, 5)
        np.testing.assert_array_equal(memory, start)


def test_logarithms_of_decays_are_sums_between():
    g = decay(23, 5, 2)
    logs = log_decays(g)
    for t in range(5):
        for j in range(5):
            expected = g[j + 1 : t + 1].sum(axis=0) if j <= t else -np.inf
            np.testing.assert_allclose(logs[t, j], expected, atol=1e-15)
    assert log_decays(np.zeros((3, 0, 2))).shape == (3, 0, 0, 2)
    q, k, _ = triple(23, batch=(), steps=5, dim=2)
    np.testing.assert_allclose(
        decayed_products(q, k, np.zeros((5, 1))), np.tril(q @ k.T)
    )


def test_sums_touch_only_what_was_met():
    weights = np.ones((4, 2))
    assert causal_sums(weights, [[1.0], [2.0]]).tolist() == [
        [0],
        [0],
        [1],
        [3],
    ]
    assert [part.stop for part in chunks(5, 2)] == [2, 4, 6]
    assert chunks(0, 3) == []


Q, K, V = triple(24)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: linear.attention(Q, K[..., :2], V),
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            lambda: linear.causal_attention(Q, K, V[:, :6]),
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        (
            lambda: linear.recurrent_attention(Q[:, :6], K, V),
            ValueError,
            "q and k and v must agree in steps: got q=6, k=7, v=7",
        ),
        (
            lambda: checked_steps(Q[0, 0], K, V),
            ValueError,
            r"q must have axes \(..., steps, dim\): got shape \(3,\)",
        ),
        (
            lambda: linear.chunked_attention(Q, K[..., :2], V),
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            lambda: linear.attention(Q, K[[0, 1, 0]], V),
            ValueError,
            "leading axes of q and k and v must broadcast",
        ),
        (
            lambda: linear.recurrent_attention(Q, K[[0, 1, 0]], V),
            ValueError,
            "leading axes of q and k and v must broadcast",
        ),
        (
            lambda: linear.chunked_attention(Q, K, V, chunk=0),
            ValueError,
            "chunk must be at least 1: got 0",
        ),
        (
            lambda: linear.recurrent_attention(
                Q, K, V, state=State(np.ones((4, 5)), np.ones(4))
            ),
            ValueError,
            r"memory must have axes \(..., dim, value_dim\) = "
            r"\(..., 3, 5\): got \(4, 5\)",
        ),
        (
            lambda: linear.recurrent_attention(
                Q, K, V, state=State(np.ones((3, 4)), np.ones(3))
            ),
            ValueError,
            r"\(..., 3, 5\): got \(3, 4\)",
        ),
        (
            lambda: linear.recurrent_attention(
                Q, K, V, state=State(np.ones((3, 5)), np.ones(4))
            ),
            ValueError,
            "total must have the shape of memory without its last axis: "
            r"got total \(4,\), memory \(3, 5\)",
        ),
        (
            lambda: linear.recurrent_attention(
                Q, K, V, state=State(np.ones((3, 5)), np.ones((4, 3)))
            ),
            ValueError,
            r"got total \(4, 3\), memory \(3, 5\)",
        ),
        (
            lambda: linear.chunked_attention(
                Q[0], K[0], V[0], state=(np.ones((3, 5)), np.ones(3))
            ),
            TypeError,
            "state must be a State: got tuple",
        ),
        (
            lambda: linear.attention(Q, K, V, feature_map=np.sum),
            ValueError,
            r"features must have axes \(..., steps, dim\): got shape \(\)",
        ),
        (
            lambda: linear.causal_attention(
                Q, K, V, feature_map=lambda x: x[:, 1:]
            ),
            ValueError,
            "feature_map must keep all axes but the last: "
            r"got shape \(2, 6, 3\) from \(2, 7, 3\)",
        ),
        (
            lambda: causal_sums(np.ones((2, 3)), np.ones((4, 1))),
            ValueError,
            "weights and rows must agree in keys: got weights=3, rows=4",
        ),
        (
            lambda: decayed_products(Q, K[:, :6], G),
            ValueError,
            "q and k must agree in steps: got q=7, k=6",
        ),
        (
            lambda: decayed_products(Q, K[..., :2], G),
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            lambda: decayed_products(Q, K[0], G[[0, 1, 0]]),
            ValueError,
            "leading axes of q and k and log_decay must broadcast: "
            r"got q \(2,\), k \(\), log_decay \(3,\)",
        ),
        (
            lambda: linear_decay.parallel_retention(
                Q, K[0], V, log_decay=G[[0, 1, 0]]
            ),
            ValueError,
            "leading axes of q and k and v and log_decay must broadcast",
        ),
        (
            lambda: linear_delta.parallel_delta_rule(
                Q[0], K[0], V[0], Gates(WRITE, np.zeros((3, 1)))
            ),
            ValueError,
            "leading axes of q and k and v and log_decay and write must "
            "broadcast",
        ),
        (
            lambda: linear_delta.recurrent_delta_rule(Q, K, V, WRITE),
            TypeError,
            "gates must be Gates: got ndarray",
        ),
        (
            lambda: starting_memory(np.ones((4, 3, 5)), Q, K, V),
            ValueError,
            r"leading axes of steps and memory must broadcast",
        ),
        (
            lambda: checked_log_decay(np.zeros((6, 1)), K),
            ValueError,
            r"log_decay must have axes \(..., steps or 1, dim or 1\) with "
            r"steps=7, dim=3: got \(6, 1\)",
        ),
        (
            lambda: checked_log_decay(np.zeros((7, 2)), K),
            ValueError,
            r"dim=3: got \(7, 2\)",
        ),
        (
            lambda: checked_log_decay(np.zeros((4, 7, 1)), K),
            ValueError,
            "leading axes of k and log_decay must broadcast",
        ),
        (
            lambda: linear_decay.parallel_retention(
                Q, K, V, log_decay=[[0.25]]
            ),
            ValueError,
            "log_decay must be at most 0: got 0.25",
        ),
        (
            lambda: linear_decay.chunked_retention(
                Q, K, V, log_decay=G, chunk=0
            ),
            ValueError,
            "chunk must be at least 1",
        ),
        (
            lambda: linear_decay.retention_decays(-1),
            ValueError,
            "heads must be at least 0: got -1",
        ),
        (
            lambda: linear_delta.parallel_delta_rule(Q, K, V, Gates([1, 1])),
            ValueError,
            r"write must have axes \(..., steps or 1\) with steps=7: "
            r"got \(2,\)",
        ),
        (
            lambda: linear_delta.parallel_delta_rule(
                Q, K, V, Gates([1], [0, 0])
            ),
            ValueError,
            r"log_decay must have axes \(..., steps or 1\) with steps=7: "
            r"got \(2,\)",
        ),
        (
            lambda: linear_delta.chunked_delta_rule(
                Q, K, V, Gates(np.ones((4, 7)))
            ),
            ValueError,
            "leading axes of k and write must broadcast",
        ),
        (
            lambda: linear_delta.chunked_delta_rule(
                Q, K, V, Gates([1.0]), chunk=0
            ),
            ValueError,
            "chunk must be at least 1",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
