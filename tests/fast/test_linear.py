"""Linear attention in torch against the reference, at every chunk."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.bench.memory import extra_bytes
from attncourse.checking import numerics
from attncourse.fast import linear, linear_decay, linear_delta, linear_parts
from attncourse.fast.heads import merge_heads, split_heads
from attncourse.fast.linear import State
from attncourse.fast.linear_delta import Gates
from attncourse.fast.linear_layers import LinearAttention
from attncourse.reference import linear as plain
from attncourse.reference import linear_decay as plain_decay
from attncourse.reference import linear_delta as plain_delta

quick = settings(max_examples=20, deadline=None)
sizes = st.integers(1, 7)
seeds = st.integers(0, 10**6)
DOUBLE = torch.float64


def draw(seed, *shapes, dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*shape, generator=generator, dtype=DOUBLE).to(dtype)
        for shape in shapes
    ]


def triple(seed=0, *, batch=(2,), steps=7, dim=3, value_dim=5, dtype=DOUBLE):
    widths = (dim, dim, value_dim)
    return draw(seed, *((*batch, steps, n) for n in widths), dtype=dtype)


def decay(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(*shape, generator=generator, dtype=DOUBLE)
    return (0.05 + 0.95 * drawn).log()


def unit(k):
    return torch.nn.functional.normalize(k, dim=-1)


def leaves(*tensors):
    return [each.clone().requires_grad_() for each in tensors]


# Each form as a function of q, k, v and a state, with the reference's.
STEPS = 7
HEAD, STEP = decay(1, 2, 1, 1), decay(2, 2, STEPS, 1)
CHANNEL, WRITE = decay(3, 2, STEPS, 3), decay(4, 2, STEPS).exp()
GATED = Gates(WRITE, STEP[..., 0])


def as_arrays(gates):
    logs = (0.0,) if gates.log_decay is None else gates.log_decay
    return plain_delta.Gates(gates.write, logs)


def bind(name, module, reference, **options):
    return (
        functools.partial(getattr(module, f"recurrent_{name}"), **options),
        functools.partial(getattr(module, f"chunked_{name}"), **options),
        functools.partial(getattr(reference, f"recurrent_{name}"), **options),
    )


def bind_delta(gates):
    def theirs(q, k, v, **options):
        return plain_delta.recurrent_delta_rule(
            q, k, v, as_arrays(gates), **options
        )

    def stepwise(q, k, v, **options):
        return linear_delta.recurrent_delta_rule(q, k, v, gates, **options)

    def chunked(q, k, v, **options):
        return linear_delta.chunked_delta_rule(q, k, v, gates, **options)

    return stepwise, chunked, theirs


FAMILIES = {
    "attention": bind("attention", linear, plain),
    **{
        f"retention by {name}": bind(
            "retention", linear_decay, plain_decay, log_decay=gate
        )
        for name, gate in {
            "head": HEAD,
            "step": STEP,
            "channel": CHANNEL,
            "channel of all steps": CHANNEL[:, :1],
        }.items()
    },
    "delta rule": bind_delta(Gates(WRITE)),
    "gated delta rule": bind_delta(GATED),
}
each_family = pytest.mark.parametrize(
    "family", FAMILIES.values(), ids=FAMILIES
)


def as_numpy(state):
    return plain.State(*state) if isinstance(state, State) else state


def start(family, seed=5):
    """Return a state that some steps have left."""
    return family[0](*triple(seed))[1]


def close(ours, theirs, atol=1e-12):
    states = [
        x if isinstance(x, tuple) else (x,) for x in (ours[1], theirs[1])
    ]
    for one, other in zip(
        (ours[0], *states[0]), (theirs[0], *states[1]), strict=True
    ):
        np.testing.assert_allclose(one.detach(), other, atol=atol)


@each_family
@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 7, 8, 64])
@pytest.mark.parametrize("continued", [False, True])
def test_chunks_and_steps_agree_with_the_reference(family, chunk, continued):
    stepwise, chunked, theirs = family
    q, k, v = triple(6)
    state = start(family) if continued else None
    truth = theirs(q, k, v, state=None if state is None else as_numpy(state))
    close(chunked(q, k, v, state=state, chunk=chunk), truth)
    close(stepwise(q, k, v, state=state), truth)


@given(seeds, sizes, sizes, sizes, sizes, sizes)
@quick
def test_any_sizes_agree_with_the_reference(
    seed, steps, dim, value_dim, chunk, heads
):
    q, k, v = triple(
        seed, batch=(heads,), steps=steps, dim=dim, value_dim=value_dim
    )
    g = decay(seed, heads, steps, dim)
    close(
        linear_decay.chunked_retention(q, k, v, log_decay=g, chunk=chunk),
        plain_decay.recurrent_retention(q, k, v, log_decay=g),
    )
    gates = Gates(g[..., 0].exp(), g[..., -1])
    close(
        linear_delta.chunked_delta_rule(q, unit(k), v, gates, chunk=chunk),
        plain_delta.recurrent_delta_rule(q, unit(k), v, as_arrays(gates)),
    )
    close(
        linear.chunked_attention(q, k, v, chunk=chunk),
        plain.recurrent_attention(q, k, v),
    )


@given(seeds, sizes, sizes, sizes, sizes)
@quick
def test_unequal_lengths_are_aligned_to_the_end(
    seed, queries, keys, dim, value_dim
):
    (q,) = draw(seed, (2, queries, dim))
    k, v = draw(seed + 1, (2, keys, dim), (2, keys, value_dim))
    np.testing.assert_allclose(
        linear.causal_attention(q, k, v),
        plain.causal_attention(q, k, v),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        linear.attention(q, k, v), plain.attention(q, k, v), atol=1e-12
    )


def test_one_step_after_another_decodes_the_sequence():
    q, k, v = triple(7, steps=5)
    whole, end = linear.chunked_attention(q, k, v, chunk=2)
    state, outputs = None, []
    for t in range(5):
        output, state = linear.recurrent_attention(
            q[:, t : t + 1], k[:, t : t + 1], v[:, t : t + 1], state=state
        )
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole)
    torch.testing.assert_close(state.memory, end.memory)
    torch.testing.assert_close(state.total, end.total)


def test_segments_chain_whatever_form_computes_them():
    q, k, v = triple(8)
    whole, end = linear_decay.chunked_retention(q, k, v, log_decay=CHANNEL)
    ruled, last = linear_delta.chunked_delta_rule(q, k, v, GATED)
    memory = correction = None
    outputs, reads = [], []
    for number, part in enumerate((slice(0, 3), slice(3, 4), slice(4, 7))):
        arrays = [x[:, part] for x in (q, k, v)]
        form = (
            linear_decay.chunked_retention,
            linear_decay.recurrent_retention,
        )[number % 2]
        output, memory = form(
            *arrays, log_decay=CHANNEL[:, part], state=memory
        )
        outputs.append(output)
        form = (
            linear_delta.chunked_delta_rule,
            linear_delta.recurrent_delta_rule,
        )[number % 2]
        gates = Gates(*(each[:, part] for each in GATED))
        read, correction = form(*arrays, gates, state=correction)
        reads.append(read)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole)
    torch.testing.assert_close(memory, end)
    torch.testing.assert_close(torch.cat(reads, dim=1), ruled)
    torch.testing.assert_close(correction, last)


# Gradients.


@each_family
def test_gradients_agree_with_finite_differences(family):
    stepwise, chunked, _ = family
    arrays = triple(9)
    for form in (stepwise, functools.partial(chunked, chunk=3)):

        def flat(q, k, v, form=form):
            output, state = form(q, k, v, state=start(family))
            return output, *(state if isinstance(state, State) else [state])

        assert torch.autograd.gradcheck(flat, leaves(*arrays), fast_mode=True)


@pytest.mark.parametrize("dim", [1, 3])
def test_gradients_reach_gates_and_the_first_memory(dim):
    q, k, v = triple(10, batch=(1,))
    g, memory = decay(10, 7, dim), draw(10, (1, 3, 5))[0]

    def retention(g, memory):
        return linear_decay.chunked_retention(
            q, k, v, log_decay=g, state=memory, chunk=4
        )

    assert torch.autograd.gradcheck(retention, leaves(g, memory))

    def delta(write, logs, memory):
        return linear_delta.chunked_delta_rule(
            q, unit(k), v, Gates(write, logs), state=memory, chunk=4
        )

    write = decay(11, 7).exp()
    assert torch.autograd.gradcheck(delta, leaves(write, g[:, 0], memory))


def test_gradients_of_unequal_and_bidirectional_attention():
    for queries, keys in ((3, 5), (5, 3)):
        (q,) = draw(12, (queries, 2))
        k, v = draw(13, (keys, 2), (keys, 3))
        for form in (linear.attention, linear.causal_attention):
            assert torch.autograd.gradcheck(form, leaves(q, k, v))


def test_the_slope_of_the_features_is_that_of_elu():
    x = torch.tensor([-1e4, -3.0, 0.0, 2.0], dtype=DOUBLE)
    ours, theirs = leaves(x, x)
    linear.elu_plus_one(ours).sum().backward()
    torch.nn.functional.elu(theirs).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    np.testing.assert_allclose(
        linear.elu_plus_one(x), plain.elu_plus_one(x), atol=1e-300
    )
    small = linear.elu_plus_one(torch.tensor([-30.0]))
    np.testing.assert_allclose(small, np.exp(-30), rtol=1e-5)
    padding = torch.tensor([-torch.inf], requires_grad=True)
    linear.elu_plus_one(padding).sum().backward()
    assert padding.grad.item() == 0.0


def test_a_gate_that_shuts_has_finite_gradients():
    q, k, v = leaves(*triple(14, batch=()))
    g = torch.full((7, 3), -0.1, dtype=DOUBLE)
    g[3] = -torch.inf
    (g,) = leaves(g)
    output, _ = linear_decay.chunked_retention(q, k, v, log_decay=g, chunk=4)
    output.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v, g))
    assert not g.grad[3].any()
    gates = Gates(WRITE[0].requires_grad_(False), g.detach()[:, 0])
    read, _ = linear_delta.chunked_delta_rule(q, k, v, gates, chunk=4)
    read.sum().backward()
    assert torch.isfinite(k.grad).all()


# Strong decay, long sequences, low precision.


@pytest.mark.parametrize("gate", [0.0, 1e-30, 1e-3, 0.5, 1 - 1e-6])
@pytest.mark.parametrize("chunk", [64, 1024])
def test_strong_decay_over_long_sequences_is_exact(gate, chunk):
    q, k, v = triple(
        15, batch=(), steps=1031, dim=2, value_dim=3, dtype=torch.float32
    )
    g = torch.full((1031, 2), gate).log()
    g[::7] = -1e-3  # weak after strong: a difference of sums would lose it
    g[:, 1] = -1e-4
    wide = [x.double() for x in (q, k, v)]
    for gates in (g, g[:, :1]):
        truth, end = plain_decay.recurrent_retention(*wide, log_decay=gates)
        output, memory = linear_decay.chunked_retention(
            q, k, v, log_decay=gates, chunk=chunk
        )
        budget = numerics.tolerance(terms=1031)
        for ours, right in ((output, truth), (memory, end)):
            size = np.abs(right).max()
            assert np.isfinite(right).all()
            np.testing.assert_allclose(
                ours, right, atol=budget.relative * size
            )


def test_a_long_delta_rule_stays_exact_in_single_precision():
    q, k, v = triple(16, batch=(2,), steps=1009, dim=16, dtype=torch.float32)
    k = unit(k)
    write, logs = decay(16, 1009).exp(), decay(17, 1009)
    gates = Gates(write.float(), logs.float())
    for each in (gates, Gates(gates.write)):
        output, memory = linear_delta.chunked_delta_rule(q, k, v, each)
        truth, end = plain_delta.recurrent_delta_rule(
            q.double(), k.double(), v.double(), as_arrays(each)
        )
        budget = numerics.tolerance(terms=1009).relative
        for ours, right in ((output, truth), (memory, end)):
            np.testing.assert_allclose(
                ours, right, atol=budget * np.abs(right).max()
            )


@each_family
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once_at_the_end(family, dtype):
    arrays = triple(18, batch=(2,), dtype=dtype)
    arrays[1] = unit(arrays[1])
    truth, end = family[2](*(x.double() for x in arrays))
    ideal = torch.from_numpy(truth).to(dtype).double().numpy()
    for form in family[:2]:
        output, state = form(*arrays)
        assert output.dtype == dtype
        answer = output.double().numpy()
        assert numerics.within_ideal(answer, truth, ideal)
        memory = state.memory if isinstance(state, State) else state
        right = end.memory if isinstance(end, plain.State) else end
        assert memory.dtype == torch.float32  # what accumulates stays wide
        np.testing.assert_allclose(memory, right, atol=1e-5)


def test_half_types_do_not_overflow_where_their_sums_would():
    x = torch.full((3001, 2), 10.0, dtype=torch.float16)
    v = torch.full((3001, 1), 8.0, dtype=torch.float16)
    assert (linear.chunked_attention(x, x, v)[0] == 8.0).all()
    assert (linear.attention(x, x, v) == 8.0).all()
    assert (linear.causal_attention(x, x, v) == 8.0).all()


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_large_numbers_agree_with_the_reference(scale):
    q, k, v = triple(19)
    q, k = scale * q, scale * k
    close(
        linear.chunked_attention(q, k, v, chunk=3),
        plain.recurrent_attention(q, k, v),
        atol=1e-8,
    )


def test_a_query_without_weight_gets_zeros_and_finite_gradients():
    q, k, v = triple(20, batch=())
    q[4] = -1.0
    k[:2] = -1.0
    inputs = leaves(q, k, v)
    for form in (linear.chunked_attention, linear.recurrent_attention):
        output, _ = form(*inputs, feature_map=torch.relu)
        assert not output[[0, 1, 4]].any()
        output.sum().backward()
        assert all(torch.isfinite(x.grad).all() for x in inputs)
    assert not linear.attention(*inputs, feature_map=torch.relu)[4].any()


# What may not be seen.


@each_family
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("spoiled", [1, 2])
@pytest.mark.parametrize("form", ["recurrent", "chunked"])
def test_the_future_has_no_influence_on_past_or_gradients(
    family, poison, spoiled, form
):
    chunked = functools.partial(family[1], chunk=4)
    work = family[0] if form == "recurrent" else chunked
    results = []
    for bad in (False, True):
        arrays = triple(21)
        if bad:
            arrays[spoiled][1, 4] = poison
            arrays[0][0, 5] = poison  # a query of its own
        inputs = leaves(*arrays)
        output, state = work(*inputs)
        if bad:
            assert output[1, 4:].isnan().all()
            assert output[0, 5].isnan().all()
            memory = state.memory if isinstance(state, State) else state
            assert memory[1].isnan().all()
            assert memory[0].isfinite().all()
        keep = [output[:, :4], output[:1, 4:5], output[:1, 6:]]
        sum(each.sum() for each in keep).backward()
        kept = torch.cat([each.flatten() for each in keep])
        results.append([kept, *(x.grad for x in inputs)])
    for clean, touched in zip(*results, strict=True):
        assert torch.isfinite(clean).all()
        torch.testing.assert_close(touched, clean)


def test_a_memory_that_outgrows_its_type_leaves_the_past_alone():
    q, k, v = triple(39, steps=64, dim=8, dtype=torch.float32)
    gates = Gates(torch.ones(1))  # keys longer than one: it explodes
    truth, _ = plain_delta.recurrent_delta_rule(
        *(x.double() for x in (q, 4 * k, v)), as_arrays(gates)
    )
    output, memory = linear_delta.chunked_delta_rule(q, 4 * k, v, gates)
    assert not torch.isfinite(output[:, -1]).any()
    assert not torch.isfinite(memory).any()
    assert np.abs(truth[:, -1]).min() > 3e38  # and rightly so
    early = np.abs(truth).max(axis=(0, 2)) < 1e30
    assert 5 < early.sum() < 60
    for ours, right in zip(
        output[:, early].unbind(1), truth[:, early].swapaxes(0, 1), strict=True
    ):
        np.testing.assert_allclose(ours, right, atol=1e-3 * right.max())


def test_a_gate_that_is_not_a_number_spoils_what_follows():
    q, k, v = triple(22)
    for bad in (torch.nan,):
        g = STEP.clone()
        g[0, 3] = bad
        output, memory = linear_decay.chunked_retention(q, k, v, log_decay=g)
        assert output[0, 3:].isnan().all()
        assert output[0, :3].isfinite().all()
        assert output[1].isfinite().all()
        assert memory[0].isnan().all()


def test_a_key_of_minus_infinity_is_padding():
    q, k, v = triple(23)
    k[:, 2] = -torch.inf
    kept = [0, 1, 3, 4, 5, 6]
    output, _ = linear.chunked_attention(q, k, v, chunk=3)
    expected, _ = linear.chunked_attention(q[:, kept], k[:, kept], v[:, kept])
    torch.testing.assert_close(output[:, kept], expected)


# Shapes.


@each_family
def test_leading_axes_broadcast_and_strides_do_not_matter(family):
    stepwise, chunked, theirs = family
    (q,) = draw(24, (3, 1, 7, 3))
    (k,) = draw(25, (2, 3, 7))
    (v,) = draw(26, (7, 5))
    truth = theirs(q, k.mT, v)
    assert truth[0].shape == (3, 2, 7, 5)
    for form in (stepwise, functools.partial(chunked, chunk=4)):
        close(form(q, k.mT, v), truth)
    wide = torch.stack([v, torch.full_like(v, torch.nan)], dim=-1)
    close(chunked(q, k.mT, wide[..., 0]), truth)
    lonely = start(family)
    one = (
        State(*(x[0] for x in lonely))
        if isinstance(lonely, State)
        else (lonely[0])
    )
    right = theirs(q, k.mT, v, state=as_numpy(one))
    for form in (stepwise, chunked):
        close(form(q, k.mT, v, state=one), right)


@each_family
def test_inputs_and_states_are_left_alone(family):
    arrays, state = triple(27), start(family)
    states = [*state] if isinstance(state, State) else [state]
    before = [x.clone() for x in (*arrays, *states)]
    for form in family[:2]:
        _, end = form(*arrays, state=state)
        for each in end if isinstance(end, State) else [end]:
            each.fill_(7.0)
        for old, new in zip(before, (*arrays, *states), strict=True):
            assert torch.equal(old, new)


@pytest.mark.parametrize("steps", [0, 1])
def test_axes_of_length_zero_and_one(steps):
    memory = draw(28, (2, 3, 5))[0]
    q, k, v = triple(28, steps=steps)
    g, gates = -torch.ones(1, 1), Gates(torch.ones(1))
    for form in (
        functools.partial(linear_decay.chunked_retention, log_decay=g),
        functools.partial(linear_decay.recurrent_retention, log_decay=g),
        functools.partial(linear_delta.chunked_delta_rule, gates=gates),
        functools.partial(linear_delta.recurrent_delta_rule, gates=gates),
    ):
        output, end = form(q, k, v, state=memory)
        assert output.shape == (2, steps, 5)
        if steps == 0:
            assert torch.equal(end, memory)
            end.zero_()
            assert memory.any()
        assert form(q, k, v[..., :0])[0].shape == (2, steps, 0)
        none = (q[..., :0], k[..., :0], v)
        assert form(*none)[0].tolist() == torch.zeros(2, steps, 5).tolist()
        assert form(q[:0], k[:0], v[:0])[0].shape == (0, steps, 5)
    state = State(memory, memory[..., 0])
    for form in (linear.chunked_attention, linear.recurrent_attention):
        output, end = form(q, k, v, state=state)
        assert output.shape == (2, steps, 5)
        if steps == 0:
            assert torch.equal(end.memory, memory)
        assert form(q, k, v[..., :0])[0].shape == (2, steps, 0)
        none = (q[..., :0], k[..., :0], v)
        assert form(*none)[0].tolist() == torch.zeros(2, steps, 5).tolist()
    for form in (linear.attention, linear.causal_attention):
        assert form(q, k[:, :0], v[:, :0]).tolist() == (
            torch.zeros(2, steps, 5).tolist()
        )
        assert form(q[:, :0], k, v).shape == (2, 0, 5)


def test_decays_of_retnet_are_those_of_the_reference():
    ours = linear_decay.retention_decays(5)
    theirs = plain_decay.retention_decays(5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert ours.dtype == torch.get_default_dtype()


def test_memory_grows_with_the_length_and_not_with_its_square():
    q, k, v = triple(
        29, batch=(2,), steps=2048, dim=16, value_dim=16, dtype=torch.float32
    )
    one_array = q.numel() * 4
    used = extra_bytes(lambda: linear.chunked_attention(q, k, v))
    # Scores of all pairs would be 128 arrays' worth.
    assert used < 24 * one_array


# The layer.


def layer_of(**options):
    torch.manual_seed(35)
    return LinearAttention(6, heads=2, **options).to(DOUBLE)


def test_the_layer_is_the_reference_between_four_maps():
    layer = layer_of(chunk=3)
    (x,) = draw(36, (2, 7, 6))
    q, k, v = (
        split_heads(x @ each.weight.T + each.bias, heads=2).detach()
        for each in (layer.query, layer.key, layer.value)
    )
    read = torch.from_numpy(plain.causal_attention(q, k, v))
    expected = layer.output(merge_heads(read))
    torch.testing.assert_close(layer(x), expected)
    squared = layer_of(feature_map=torch.square)
    read = torch.from_numpy(
        plain.causal_attention(q, k, v, feature_map=np.square)
    )
    torch.testing.assert_close(squared(x), layer.output(merge_heads(read)))


def test_the_layer_resumes_token_by_token():
    layer = layer_of()
    (x,) = draw(37, (2, 7, 6))
    state, outputs = None, []
    for part in x.split([3, 1, 1, 2], dim=1):
        output, state = layer.resume(part, state)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), layer(x))


def test_the_layer_starts_alike_trains_and_keeps_its_weights():
    first, second = layer_of(), layer_of()
    (x,) = draw(38, (7, 6))
    assert torch.equal(first(x), second(x))
    first(x).square().sum().backward()
    assert all(each.grad.any() for each in first.parameters())
    torch.optim.SGD(first.parameters(), lr=0.1).step()
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    assert "heads=2, chunk=64" in repr(first)
    bare = layer_of(bias=False)
    assert all(each.ndim == 2 for each in bare.parameters())
    with pytest.raises(ValueError, match="got width=6, heads=4"):
        LinearAttention(6, heads=4)
    with pytest.raises(ValueError, match="chunk must be at least 1: got 0"):
        LinearAttention(6, heads=2, chunk=0)


# The parts.


def test_chunks_are_cut_and_joined():
    (x,) = draw(30, (2, 11, 3))
    for chunk in (1, 2, 3, 5, 8, 11, 64):
        cut = linear_parts.to_chunks(x, chunk)
        width = cut.shape[2]
        assert width & (width - 1) == 0
        assert cut.shape[1] == -(-11 // min(chunk, 11))
        assert torch.equal(linear_parts.from_chunks(cut, chunk, 11), x)
        assert cut.sum() == pytest.approx(x.sum())


@pytest.mark.parametrize("channels", [1, 3])
def test_fading_is_the_product_of_the_gates_between(channels):
    q, k = draw(31, (1, 1, 8, 3), (1, 1, 8, 3))
    g = decay(31, 1, 1, 8, channels)
    got = linear_parts.fading(q, k, g)
    for t in range(8):
        since = g[0, 0, : t + 1].sum(dim=0)
        until = g[0, 0, t + 1 :].sum(dim=0)
        torch.testing.assert_close(got.since[0, 0, t], since)
        torch.testing.assert_close(got.until[0, 0, t], until)
        for j in range(8):
            left = g[0, 0, j + 1 : t + 1].sum(dim=0).exp()
            expected = (q[0, 0, t] * k[0, 0, j] * left).sum() * (j <= t)
            torch.testing.assert_close(got.products[0, 0, t, j], expected)
    torch.testing.assert_close(got.total[0, 0, 0], g[0, 0].sum(dim=0))
    assert isinstance(got, linear_parts.Fading)


def test_arguments_are_widened_flattened_and_cleaned():
    half = torch.ones(3, dtype=torch.bfloat16)
    assert linear_parts.widened(half, half.double())[0].dtype == torch.float32
    assert linear_parts.widened(half.double())[0].dtype == DOUBLE
    (x,) = draw(32, (3, 1, 5, 2))
    (flat,) = linear_parts.flat((4, 3, 2), x)
    assert flat.shape == (24, 5, 2)
    assert torch.equal(flat[2], x[1, 0])
    q, k, v = draw(33, (1, 4, 2), (1, 4, 2), (1, 4, 3))
    assert linear_parts.without_poison(q, k, v)[1] is None
    v[0, 1, 2] = torch.nan
    q[0, 0, 1] = torch.inf
    clean, poison = linear_parts.without_poison(q, k, v)
    assert isinstance(poison, linear_parts.Poison)
    assert poison.output[0].int().tolist() == [
        [1, 1, 1],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 1],
    ]
    assert poison.memory[0].int().tolist() == [[0, 0, 1]]
    assert all(torch.isfinite(x).all() for x in clean)


Q, K, V = triple(34)


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
            lambda: linear.chunked_attention(Q[:, :6], K, V),
            ValueError,
            "q and k and v must agree in steps: got q=6, k=7, v=7",
        ),
        (
            lambda: linear.chunked_attention(Q, K, V.float()),
            TypeError,
            "q and v must agree in dtype and device: got torch.float64 on "
            "cpu, torch.float32 on cpu",
        ),
        (
            lambda: linear.chunked_attention(Q.long(), K, V),
            TypeError,
            "q must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda: linear.chunked_attention(Q, K[[0, 1, 0]], V),
            ValueError,
            "leading axes of q and k and v must broadcast",
        ),
        (
            lambda: linear.chunked_attention(Q, K, V, chunk=0),
            ValueError,
            "chunk must be at least 1: got 0",
        ),
        (
            lambda: linear.chunked_attention(
                Q, K, V, state=State(Q.new_ones(4, 5), Q.new_ones(4))
            ),
            ValueError,
            r"memory must have axes \(..., dim, value_dim\) = "
            r"\(..., 3, 6\): got \(4, 6\)",
        ),
        (
            lambda: linear.chunked_attention(
                Q, K, V, state=State(Q.new_ones(3, 5), Q.new_ones(4))
            ),
            ValueError,
            r"total must have the shape of memory without its last axis: "
            r"got total \(4,\), memory \(3, 5\)",
        ),
        (
            lambda: linear.recurrent_attention(Q, K, V, state=(Q, K)),
            TypeError,
            "state must be a State: got tuple",
        ),
        (
            lambda: linear.attention(Q, K, V, feature_map=torch.sum),
            ValueError,
            r"features must have axes \(..., steps, dim\): got shape \(\)",
        ),
        (
            lambda: linear.chunked_attention(
                Q, K, V, feature_map=lambda x: x[:, 1:]
            ),
            ValueError,
            "feature_map must keep all axes but the last: "
            r"got shape \(2, 6, 3\) from \(2, 7, 3\)",
        ),
        (
            lambda: linear.elu_plus_one([1.0]),
            TypeError,
            "x must be a floating-point tensor: got list",
        ),
        (
            lambda: linear_delta.chunked_delta_rule(Q, K, V, torch.ones(7)),
            TypeError,
            "gates must be Gates: got Tensor",
        ),
        (
            lambda: linear_decay.chunked_retention(
                Q, K, V, log_decay=torch.zeros(6, 1)
            ),
            ValueError,
            r"log_decay must have axes \(..., steps or 1, dim or 1\) with "
            r"steps=7, dim=3: got \(6, 1\)",
        ),
        (
            lambda: linear_decay.recurrent_retention(
                Q, K, V, log_decay=torch.full((1, 1), 0.25)
            ),
            ValueError,
            "log_decay must be at most 0: got 0.25",
        ),
        (
            lambda: linear_decay.chunked_retention(Q, K, V, log_decay=-1.0),
            TypeError,
            "log_decay must be a floating-point tensor: got float",
        ),
        (
            lambda: linear_decay.chunked_retention(
                Q, K, V, log_decay=torch.zeros(4, 7, 1)
            ),
            ValueError,
            "leading axes of steps and log_decay must broadcast",
        ),
        (
            lambda: linear_decay.chunked_retention(
                Q, K, V, log_decay=STEP, state=Q.new_ones(4, 3, 5)
            ),
            ValueError,
            "leading axes of steps and log_decay and memory must broadcast",
        ),
        (
            lambda: linear_delta.chunked_delta_rule(
                Q, K, V, Gates(torch.ones(2))
            ),
            ValueError,
            r"write must have axes \(..., steps or 1\) with steps=7: "
            r"got \(2,\)",
        ),
        (
            lambda: linear_delta.recurrent_delta_rule(
                Q, K, V, Gates(torch.ones(1), torch.zeros(2))
            ),
            ValueError,
            r"log_decay must have axes \(..., steps or 1\) with steps=7: "
            r"got \(2,\)",
        ),
        (
            lambda: linear_delta.chunked_delta_rule(
                Q, K, V, Gates(torch.ones(4, 7))
            ),
            ValueError,
            "leading axes of steps and write and log_decay must broadcast",
        ),
        (
            lambda: linear_parts.checked_steps(Q[0, 0], K, V),
            ValueError,
            r"q must have axes \(..., steps, dim\): got shape \(3,\)",
        ),
        (
            lambda: linear_parts.checked_log_decay(torch.ones(7, 2), K),
            ValueError,
            r"dim=3: got \(7, 2\)",
        ),
        (
            lambda: linear_parts.checked_memory(Q[0, 0], {}, K, V),
            ValueError,
            r"memory must have axes \(..., dim, value_dim\): got shape",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
