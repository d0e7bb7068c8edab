"""Transformer-XL in torch: the reference, gradients, and what memory buys."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast.dense import weighted_sum
from attncourse.fast.gates import GRUGate
from attncourse.fast.segments import (
    GatedSegmentLayer,
    PreNormSegmentLayer,
    SegmentAttention,
    SegmentLayer,
    TransformerXL,
    extend_memory,
    relative_shift,
    segment_attention,
    segment_mask,
    segment_scores,
    with_memory,
)
from attncourse.fast.segments_convert import to_reference
from attncourse.fast.segments_scores import (
    Distances,
    distance_encodings,
    segment_weights,
)
from attncourse.reference import segments as reference

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
WIDTH, HEADS, HIDDEN = 6, 3, 7
SIZES = (WIDTH, HEADS, HIDDEN)
LAYERS = [SegmentLayer, PreNormSegmentLayer, GatedSegmentLayer]
seeds = st.integers(0, 10**6)


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def shaken(module, seed=0):
    """Return the module in float64 with every number random, quiet."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def some_distances(seed, heads, keys, dim, dtype=torch.float64):
    return Distances(
        draw(seed, heads, keys, dim, dtype=dtype),
        draw(seed + 1, heads, dim, dtype=dtype),
        draw(seed + 2, heads, dim, dtype=dtype),
    )


def causal(queries, keys):
    return torch.ones(queries, keys).tril(keys - queries) > 0


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


# --- scores ----------------------------------------------------------------


@given(seeds, st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_the_shift_puts_each_distance_at_its_key(seed, queries, past):
    keys = queries + past
    x = draw(seed, 2, queries, keys)
    y = relative_shift(x)
    for i in range(queries):
        for j in range(i + past + 1):
            assert torch.equal(y[:, i, j], x[:, i, queries - 1 - i + j])
    np.testing.assert_array_equal(y, reference.relative_shift(x))


@given(seeds, st.integers(1, 4), st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_scores_and_outputs_are_the_references(seed, queries, past):
    keys = queries + past
    q, k = draw(seed, 2, 3, queries, 5), draw(1, 3, keys, 5)
    v = draw(2, 2, 3, keys, 7)
    distances = some_distances(seed, 3, keys, 5)
    mask = causal(queries, keys)
    close(
        segment_scores(q, k, distances),
        reference.segment_scores(q, k, reference.Distances(*distances)),
    )
    got = segment_attention(q, k, v, distances, mask=mask)
    expected = reference.segment_attention(
        q, k, v, reference.Distances(*distances), mask=mask.numpy()
    )
    close(got, expected)
    weights = segment_weights(q, k, distances, mask=mask)
    close(weighted_sum(weights, v, mask=mask), expected)


def test_encodings_are_the_references():
    got = distance_encodings(7, dim=4, like=torch.ones(1).double())
    close(got, reference.distance_encodings(7, dim=4))
    assert distance_encodings(0, dim=4, like=torch.ones(1)).shape == (0, 4)
    half = distance_encodings(7, dim=4, like=torch.ones(1).half())
    assert half.dtype == torch.float16


def test_gradients_are_those_of_differences():
    arrays = [
        each.requires_grad_()
        for each in (
            *(draw(0, 2, 3, 5), draw(1, 2, 4, 5), draw(2, 2, 4, 3)),
            *some_distances(3, 2, 4, 5),
        )
    ]
    mask = causal(3, 4)
    mask[:, 1] = False

    def run(q, k, v, *distances):
        return segment_attention(q, k, v, Distances(*distances), mask=mask)

    assert torch.autograd.gradcheck(run, arrays)


def test_nan_where_nobody_looks_reaches_no_output_and_no_gradient():
    q, k, v = draw(0, 2, 3, 5), draw(1, 2, 4, 5), draw(2, 2, 4, 3)
    distances = some_distances(3, 2, 4, 5)
    mask = causal(3, 4)
    mask[:, 1] = False
    results = []
    for spoil in (False, True):
        k, v = k.clone(), v.clone()
        if spoil:
            k[:, 1], v[:, 1] = torch.nan, torch.inf
        leaves = [
            x.detach().clone().requires_grad_() for x in (q, k, v, *distances)
        ]
        out = segment_attention(*leaves[:3], Distances(*leaves[3:]), mask=mask)
        (out**2).sum().backward()
        results.append((out, *(x.grad for x in leaves)))
    for clean, spoiled in zip(*results, strict=True):
        assert torch.equal(spoiled, clean)
    k[:, 3], v[:, 3], q[:, 2] = torch.nan, torch.nan, torch.nan
    later = segment_attention(q, k, v, distances, mask=mask)
    close(later[:, :2], results[0][0][:, :2])
    nothing = segment_attention(q, k, v, distances, mask=mask & False)
    assert not nothing.any()


def test_a_query_that_sees_nothing_may_be_nan():
    q, k, v = draw(0, 2, 3, 5), draw(1, 2, 4, 5), draw(2, 2, 4, 3)
    mask = causal(3, 4)
    mask[1] = False
    results = []
    for number in (7.0, torch.nan, torch.inf):
        q[:, 1] = number
        leaves = [
            x.clone().requires_grad_()
            for x in (q, k, v, *some_distances(3, 2, 4, 5))
        ]
        out = segment_attention(*leaves[:3], Distances(*leaves[3:]), mask=mask)
        (out**2).sum().backward()
        results.append((out, *(x.grad for x in leaves)))
    assert not results[0][0][:, 1].any()
    assert not results[0][1][:, 1].any()
    for spoiled in results[1:]:
        for before, after in zip(results[0], spoiled, strict=True):
            assert torch.equal(before, after)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_summed_in_single_precision(dtype):
    q, k = draw(0, 2, 3, 64, dtype=dtype), draw(1, 2, 7, 64, dtype=dtype)
    v = draw(2, 2, 7, 5, dtype=dtype)
    distances = some_distances(3, 2, 7, 64, dtype=dtype)
    mask = causal(3, 7)
    got = segment_attention(q, k, v, distances, mask=mask)
    assert got.dtype == dtype
    exact = segment_attention(
        *(x.double() for x in (q, k, v)),
        Distances(*(x.double() for x in distances)),
        mask=mask,
    )
    error = (got.double() - exact).abs().max()
    assert error < 4 * torch.finfo(dtype).eps


def test_views_of_any_strides_are_read():
    q, k = draw(0, 3, 2, 5).transpose(0, 1), draw(1, 5, 7, 2).permute(2, 1, 0)
    distances = some_distances(3, 2, 7, 5)
    got = segment_scores(q, k, distances)
    expected = segment_scores(q.contiguous(), k.contiguous(), distances)
    close(got, expected)
    assert torch.isfinite(segment_scores(1e4 * q, 1e4 * k, distances)).all()


def test_what_does_not_fit_is_named():
    q, k, v = draw(0, 2, 3, 5), draw(1, 2, 7, 5), draw(2, 2, 7, 3)
    distances = some_distances(3, 2, 7, 5)
    with pytest.raises(
        ValueError,
        match="keys must be at least queries, which are the last of them: "
        "got queries=3, keys=2",
    ):
        relative_shift(q[..., :2])
    with pytest.raises(ValueError, match=r"by_distance must have axes"):
        relative_shift(q[0, 0])
    with pytest.raises(ValueError, match="k and vectors must agree in keys"):
        segment_scores(q, k[:, :6], distances)
    with pytest.raises(ValueError, match="must agree in heads: got q=2, k=1"):
        segment_scores(q, k[:1], distances)
    with pytest.raises(ValueError, match="must agree in dim: got q=4, k=5"):
        segment_scores(q[..., :4], k, distances)
    nothing = Distances(*(x[..., :0] for x in distances))
    with pytest.raises(ValueError, match="dim must be at least 1: got 0"):
        segment_scores(q[..., :0], k[..., :0], nothing)
    mask = torch.ones(3, 7, dtype=torch.bool)
    with pytest.raises(ValueError, match="mask must hide every key that is"):
        segment_attention(q, k, v, distances, mask=mask)
    with pytest.raises(TypeError, match="mask must be boolean, True where a"):
        segment_attention(q, k, v, distances, mask=torch.ones(3, 7))
    with pytest.raises(TypeError, match=r"mask must be boolean, .*: got list"):
        segment_attention(q, k, v, distances, mask=causal(3, 7).tolist())
    for wrong in (causal(3, 6), causal(2, 7), causal(3, 7)[0]):
        with pytest.raises(
            ValueError,
            match=r"mask must fit the scores, shape \(..., queries, keys\) = "
            r"\(..., 3, 7\): got",
        ):
            segment_attention(q, k, v, distances, mask=wrong)
    with pytest.raises(ValueError, match=r"got q \(2,\), k \(2,\), mask \(3,"):
        segment_attention(
            q, k, v, distances, mask=causal(3, 7).expand(3, 3, 7)
        )
    with pytest.raises(TypeError, match="k must be a floating-point tensor: "):
        segment_scores(q, k.int(), distances)
    with pytest.raises(ValueError, match="q and v must agree in heads: got q"):
        segment_attention(q, k, v[:1], distances, mask=causal(3, 7))
    with pytest.raises(TypeError, match="v must be a floating-point tensor: "):
        segment_attention(q, k, v.tolist(), distances, mask=causal(3, 7))
    with pytest.raises(TypeError, match="like must be a floating-point tens"):
        distance_encodings(3, dim=4, like=torch.ones(1).int())
    with pytest.raises(ValueError, match=r"memory must have axes \(..., past"):
        with_memory(q, q[0, 0])


# --- layers ----------------------------------------------------------------

REFERENCE = {
    SegmentLayer: reference.segment_layer,
    PreNormSegmentLayer: reference.pre_norm_segment_layer,
    GatedSegmentLayer: reference.gated_segment_layer,
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_the_references(kind, bias):
    layer = shaken(kind(*SIZES, bias=bias))
    x, memory = draw(1, 2, 4, WIDTH), draw(2, 5, WIDTH)
    mask = torch.ones(4, 9, dtype=torch.bool)
    mask[:, 2] = False
    for options in ({}, {"mask": mask}):
        got = layer(x, memory, **options)
        plain = {name: each.numpy() for name, each in options.items()}
        expected = REFERENCE[kind](
            x, memory, to_reference(layer), heads=HEADS, **plain
        )
        close(got, expected)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("length", [0, 3, 20])
def test_a_stack_in_segments_is_the_references(kind, length):
    model = shaken(
        TransformerXL(
            [kind(*SIZES) for _ in range(2)],
            nn.LayerNorm(WIDTH),
            length=length,
        )
    )
    x, memories, parts = draw(3, 2, 11, WIDTH), None, []
    for at in range(0, 11, 4):
        y, memories = model(x[:, at : at + 4], memories)
        parts.append(y)
    expected = reference.in_segments(
        x, to_reference(model), heads=HEADS, segment=4, length=length
    )
    close(torch.cat(parts, dim=1), expected)
    # And all at once, under the mask that the segments make.
    whole, _ = model(x, mask=segment_mask(11, segment=4, length=length))
    close(whole, expected)


def test_attention_and_gate_convert_too():
    layer = shaken(GatedSegmentLayer(*SIZES))
    x, memory = draw(1, 4, WIDTH), draw(2, 5, WIDTH)
    numbers = to_reference(layer.attention)
    close(
        layer.attention(x, memory),
        reference.multi_head_segment_attention(
            x, memory, numbers, heads=HEADS
        ),
    )
    assert isinstance(layer.gate_attention, GRUGate)
    gate = to_reference(layer.gate_attention)
    close(gate.u_update, layer.gate_attention.matrices[4])
    mixed = TransformerXL(
        [SegmentLayer(*SIZES), PreNormSegmentLayer(*SIZES)], length=1
    )
    with pytest.raises(ValueError, match="layers must be of one kind: got 2"):
        to_reference(mixed)
    with pytest.raises(TypeError, match="the module must be one of this"):
        to_reference(nn.Linear(2, 3))


@pytest.mark.parametrize("kind", LAYERS)
def test_the_gradient_of_a_layer_is_that_of_differences(kind):
    layer = shaken(kind(4, 2, 3))
    x = draw(1, 2, 4).requires_grad_()
    memory = draw(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x, memory))


def test_no_gradient_passes_the_memory():
    model = shaken(TransformerXL([SegmentLayer(*SIZES)] * 2, length=20))
    x = draw(1, 2, 8, WIDTH).requires_grad_()
    y, memories = model(x[:, :4])
    assert not any(memory.requires_grad for memory in memories)
    y, _ = model(x[:, 4:], memories)
    y.square().sum().backward()
    assert not x.grad[:, :4].any()
    stopped, x.grad = x.grad.clone(), None
    whole, _ = model(x)
    close(whole[:, 4:], y)  # the values agree: only the gradient stops
    whole[:, 4:].square().sum().backward()
    assert x.grad[:, :4].any()
    assert not torch.allclose(x.grad[:, 4:], 0 * x.grad[:, 4:])
    # What it stops short of is what went through the segment before.
    close(stopped[:, 4:], x.grad[:, 4:])


def test_a_memory_is_a_copy_of_the_last():
    x, memory = draw(0, 2, 3, 5), draw(1, 7, 5)
    kept = extend_memory(memory, x, length=4)
    close(kept, torch.cat([memory.expand(2, 7, 5), x], dim=1)[:, -4:])
    kept.zero_()
    assert memory.any()
    assert x.any()
    assert extend_memory(memory, x, length=0).shape == (2, 0, 5)
    assert extend_memory(memory, x, length=99).shape == (2, 10, 5)
    # Not a view: it would keep alive what is to be forgotten.
    small = extend_memory(memory, x, length=1)
    assert small.untyped_storage().nbytes() == 2 * 5 * 8
    with pytest.raises(ValueError, match="x and memory must agree in width"):
        with_memory(x, memory[:, :4])


def test_masks_are_the_references():
    for sizes in ({"segment": 3, "length": 2}, {"segment": 1, "length": 0}):
        close(segment_mask(8, **sizes), reference.segment_mask(8, **sizes))
    assert segment_mask(0, segment=1, length=0).shape == (0, 0)
    for sizes in ({"segment": 0, "length": 2}, {"segment": 1, "length": -1}):
        with pytest.raises(ValueError, match="must be at least"):
            segment_mask(8, **sizes)


def test_modules_are_ordinary():
    torch.manual_seed(0)
    first = TransformerXL([GatedSegmentLayer(*SIZES)], length=3)
    torch.manual_seed(0)
    second = TransformerXL([GatedSegmentLayer(*SIZES)], length=3)
    x = draw(0, 2, 4, WIDTH, dtype=torch.float32)
    assert torch.equal(first(x)[0], second(x)[0])
    third = shaken(copy.deepcopy(first)).float()
    assert not torch.equal(first(x)[0], third(x)[0])
    third.load_state_dict(first.state_dict())
    assert torch.equal(first(x)[0], third(x)[0])
    assert "length=3" in repr(first)
    attend = first.layers[0].attention
    assert not attend.content_bias.any()
    assert not attend.distance_bias.any()
    assert attend.query.bias is None
    assert attend.distance.weight.abs().max() <= (6 / (2 * WIDTH)) ** 0.5
    first(x)[0].sum().backward()
    missing = [n for n, p in first.named_parameters() if p.grad is None]
    assert missing == []
    half = copy.deepcopy(first).bfloat16()
    y, memories = half(x.bfloat16())
    assert y.dtype == memories[0].dtype == torch.bfloat16


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_acts_while_training_only(kind):
    layer = kind(*SIZES, dropout=0.5)
    x = draw(0, 4, WIDTH, dtype=torch.float32)
    assert not torch.equal(layer(x, x), layer(x, x))
    layer.eval()
    assert torch.equal(layer(x, x), layer(x, x))
    with pytest.raises(ValueError, match="dropout must be at least 0 and bel"):
        kind(*SIZES, dropout=1.0)


def test_sizes_must_fit():
    with pytest.raises(
        ValueError,
        match="width must split evenly into heads: got width=6, heads=4",
    ):
        SegmentAttention(6, heads=4)
    with pytest.raises(ValueError, match=r"width must be even, .*: got 9"):
        SegmentAttention(9, heads=3)
    model = TransformerXL([SegmentLayer(*SIZES)], length=0)
    x = torch.ones(2, 3, WIDTH)
    with pytest.raises(
        ValueError, match="memories must hold one for each layer: got 2, lay"
    ):
        model(x, [x, x])
    with pytest.raises(ValueError, match="length must be at least 0: got -1"):
        TransformerXL([], length=-1)
    with pytest.raises(
        ValueError, match="x and layer must agree in width: got x=4, layer=6"
    ):
        model(x[..., :4])
    with pytest.raises(TypeError, match="x must be a floating-point tensor: "):
        model(x.tolist())
    y, memories = model(x[:, :0])
    assert y.shape == memories[0].shape == (2, 0, WIDTH)


# --- what a memory buys ----------------------------------------------------

TOKENS, SEGMENT = 4, 4


def trained_loss(seed, *, length, steps=90):
    """Train to repeat the token of one segment ago; return the last losses.

    Nothing within a segment tells it.
    """
    torch.manual_seed(seed)
    embed, read = nn.Embedding(TOKENS, 16), nn.Linear(16, TOKENS)
    layer = PreNormSegmentLayer(16, heads=2, hidden=16)
    model = TransformerXL([layer], nn.LayerNorm(16), length=length)
    parts = nn.ModuleList([embed, model, read])
    optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)
    memories, before = None, torch.randint(TOKENS, (32, SEGMENT))
    losses = []
    for _ in range(steps):
        now = torch.randint(TOKENS, (32, SEGMENT))
        y, memories = model(embed(now), memories)
        loss = nn.functional.cross_entropy(
            read(y).flatten(0, 1), before.flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        before = now
        losses.append(loss.item())
    return float(np.mean(losses[-10:]))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_memory_learns_what_no_segment_holds(seed):
    guess = np.log(TOKENS)
    with_ = trained_loss(seed, length=SEGMENT)
    without = trained_loss(seed, length=0)
    assert without > 0.9 * guess
    assert with_ < 0.5 * guess
