"""Attention between modalities in torch against the reference and torch."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast.crossmodal import (
    CoAttentionLayer,
    CrossAttention,
    CrossEncoderLayer,
    GatedCrossLayer,
    RegionAttention,
    RegionScorer,
    cross_attention,
    doubly_stochastic_penalty,
    gated_region_context,
    latest_image_mask,
    pair_mask,
    region_context,
    region_gate,
    region_weights,
    to_reference,
)
from attncourse.fast.layers_convert import from_torch
from attncourse.reference import crossmodal as reference

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10**6)
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def chance(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).random(shape) < 0.6)


def shaken(module, seed=0):
    """Return the module in float64 with every number random, quiet."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


def detached(p):
    return type(p)(
        **{
            name: None if value is None else value.detach()
            for name, value in vars(p).items()
        }
    )


# --- cross-attention -------------------------------------------------------


@given(seeds)
@quick
def test_cross_attention_is_its_reference(seed):
    layer = shaken(CrossAttention(6, heads=3, context_width=4), seed)
    p = detached(layer.projections())
    x, context = draw(seed, 2, 5, 6), draw(seed + 1, 2, 7, 4)
    pairs = pair_mask(chance(seed, 2, 5), chance(seed + 1, 2, 7))
    pairs[0, 0] = False  # at least one token sees nothing
    for mask in (None, pairs, pairs[:, :1], pairs[0], pairs[:, :, :1]):
        expected = reference.cross_attention(x, context, p, heads=3, mask=mask)
        close(layer(x, context, mask=mask), expected)
        got = cross_attention(x, context, p, heads=3, mask=mask)
        close(got, expected)


def test_cross_attention_is_torchs_with_two_widths():
    theirs = nn.MultiheadAttention(6, 3, kdim=4, vdim=4, batch_first=True)
    theirs = shaken(theirs)
    p = detached(from_torch(theirs).projections())
    x, context = draw(1, 2, 5, 6), draw(2, 2, 7, 4)
    real = torch.arange(7) < torch.tensor([[3], [7]])
    expected, _ = theirs(x, context, context, key_padding_mask=~real)
    mask = pair_mask(torch.ones(2, 5, dtype=torch.bool), real)
    close(cross_attention(x, context, p, heads=3, mask=mask), expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_padding_has_no_influence_on_results_or_gradients(poison, training):
    layer = shaken(
        CrossAttention(6, heads=3, context_width=4, dropout=0.25)
    ).train(training)
    asking = torch.arange(5) < torch.tensor([[5], [3]])
    read = torch.arange(7) < torch.tensor([[4], [6]])
    mask = pair_mask(asking, read)
    results = []
    for value in (None, poison):
        x, context = draw(3, 2, 5, 6), draw(4, 2, 7, 4)
        if value is not None:
            x[~asking], context[~read] = value, value
        x.requires_grad_()
        context.requires_grad_()
        layer.zero_grad()
        torch.manual_seed(0)
        out = layer(x, context, mask=mask)
        out.square().sum().backward()
        weights = [each.grad.clone() for each in layer.parameters()]
        results.append([out, x.grad, context.grad, *weights])
    for one, two in zip(*results, strict=True):
        close(one, two, rtol=0, atol=0)
    bias = layer.output.bias.expand(2, 6)
    close(results[1][0][1, 3:], bias, rtol=0, atol=0)
    assert not results[1][1][~asking].any()
    assert not results[1][2][~read].any()


def test_a_context_of_nothing_gives_the_output_bias_or_zeros():
    layer = shaken(CrossAttention(6, heads=3, context_width=4))
    bare = shaken(CrossAttention(6, heads=3, context_width=4, bias=False))
    nothing = torch.ones(2, 0, 4, dtype=torch.float64)
    x = draw(5, 2, 5, 6)
    for mask in (None, torch.ones(2, 5, 1, dtype=torch.bool)):
        got = layer(x, nothing, mask=mask)
        close(got, layer.output.bias.expand(2, 5, 6), rtol=0, atol=0)
        assert not bare(x, nothing, mask=mask).any()
    assert layer(x[:, :0], draw(6, 2, 7, 4)).shape == (2, 0, 6)


@given(seeds, st.integers(0, 7), st.integers(1, 3))
@quick
def test_masks_are_the_references(seed, tokens, per_image):
    starts = chance(seed, 2, tokens)
    got = latest_image_mask(starts, images=tokens, per_image=per_image)
    expected = reference.latest_image_mask(
        starts, images=tokens, per_image=per_image
    )
    np.testing.assert_array_equal(got, expected)
    one, two = chance(seed, 5), chance(seed + 1, 2, 7)
    np.testing.assert_array_equal(
        pair_mask(one, two), reference.pair_mask(one, two)
    )


# --- layers ----------------------------------------------------------------


@given(seeds)
@quick
def test_two_streams_are_their_reference(seed):
    layer = shaken(CoAttentionLayer(6, 4, heads=2, hidden=11), seed)
    x, y = draw(seed, 2, 5, 6), draw(seed + 1, 2, 7, 4)
    mask = pair_mask(chance(seed, 2, 5), chance(seed + 1, 2, 7))
    for allowed in (None, mask):
        got = layer(x, y, mask=allowed)
        expected = reference.co_attention_layer(
            x, y, to_reference(layer), heads=2, mask=allowed
        )
        for one, two in zip(got, expected, strict=True):
            close(one, two)


def test_one_side_reads_the_context_alone():
    layer = shaken(CrossEncoderLayer(6, 4, heads=2, hidden=11))
    x, y = draw(7, 5, 6), draw(8, 7, 4)
    both = CoAttentionLayer(6, 4, heads=2, hidden=11)
    both.first = layer
    close(layer(x, y), shaken(both, 0).first(x, y))
    h = layer.norm_attention(x + layer.attention(x, y))
    close(layer(x, y), layer.norm_feed_forward(h + layer.feed_forward(h)))


@given(seeds)
@quick
def test_a_gated_layer_is_its_reference(seed):
    layer = shaken(GatedCrossLayer(6, 4, heads=2, hidden=11), seed)
    x, context = draw(seed, 2, 5, 6), draw(seed + 1, 2, 6, 4)
    mask = latest_image_mask(chance(seed, 2, 5), images=6, per_image=1)
    for allowed in (None, mask):
        expected = reference.gated_cross_attention(
            x, context, to_reference(layer), heads=2, mask=allowed
        )
        close(layer(x, context, mask=allowed), expected)


def test_a_word_without_an_image_is_not_changed_by_attention():
    layer = shaken(GatedCrossLayer(6, 4, heads=2, hidden=11))
    with torch.no_grad():
        layer.gate_feed_forward.zero_()
    x, context = draw(26, 5, 6), draw(27, 2, 4)
    starts = torch.tensor([False, False, True, False, True])
    mask = latest_image_mask(starts, images=2, per_image=1)
    moved = (layer(x, context, mask=mask) - x).abs().amax(dim=-1)
    assert (moved > 1e-6).tolist() == [False, False, True, True, True]
    assert not moved[:2].any()


def test_a_new_gate_is_closed_and_learns_to_open():
    torch.manual_seed(0)
    layer = GatedCrossLayer(6, 4, heads=2, hidden=11)
    x = draw(9, 2, 5, 6, dtype=torch.float32)
    context = draw(10, 2, 7, 4, dtype=torch.float32)
    out = layer(x, context)
    assert torch.equal(out, x)
    out.square().sum().backward()
    # The gates have a slope at zero; what is behind them does not yet.
    assert layer.gate_attention.grad.abs() > 1e-3
    assert layer.gate_feed_forward.grad.abs() > 1e-3
    assert not layer.attention.output.weight.grad.any()
    wanted = x + context.mean(dim=-2, keepdim=True).sum(dim=-1, keepdim=True)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        loss = nn.functional.mse_loss(layer(x, context), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_gradcheck_accepts_each_layer():
    x, context = draw(11, 3, 4).requires_grad_(), draw(12, 5, 2)
    context.requires_grad_()
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[1] = False
    for layer in (
        CrossAttention(4, heads=2, context_width=2),
        CoAttentionLayer(4, 2, heads=2, hidden=3),
        GatedCrossLayer(4, 2, heads=2, hidden=3),
    ):
        layer = shaken(layer)
        assert torch.autograd.gradcheck(
            lambda a, b, layer=layer: layer(a, b, mask=mask), (x, context)
        )


def test_dropout_acts_in_training_alone():
    x, y = draw(13, 5, 6), draw(14, 7, 4)
    for layer in (
        shaken(CoAttentionLayer(6, 4, heads=2, hidden=11, dropout=0.5)).first,
        shaken(GatedCrossLayer(6, 4, heads=2, hidden=11, dropout=0.5)),
        shaken(CrossAttention(6, heads=2, context_width=4, dropout=0.5)),
    ):
        close(layer(x, y), layer(x, y), rtol=0, atol=0)
        layer.train()
        assert (layer(x, y) - layer(x, y)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [CoAttentionLayer, GatedCrossLayer])
def test_a_layer_can_be_saved_and_loaded(kind):
    one, other = (
        shaken(kind(6, 4, heads=2, hidden=11), seed) for seed in (0, 1)
    )
    x, y = draw(15, 5, 6), draw(16, 7, 4)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for a, b in zip(one(x, y), other(x, y), strict=True):
        close(a, b, rtol=0, atol=0)
    torch.manual_seed(3)
    first = kind(6, 4, heads=2, hidden=11)
    torch.manual_seed(3)
    again = kind(6, 4, heads=2, hidden=11)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


# --- regions ---------------------------------------------------------------


@given(seeds)
@quick
def test_attention_on_regions_is_its_reference(seed):
    module = shaken(RegionAttention(6, 4, hidden=5), seed)
    scorer = detached(module.scorer())
    states, regions = draw(seed, 2, 3, 6), draw(seed + 1, 2, 7, 4)
    mask = chance(seed, 2, 3, 7)
    for allowed in (None, mask, mask[:, :1], mask[0], mask[:, :, :1]):
        args = (states, regions, scorer)
        for mine, theirs in (
            (region_weights, reference.region_weights),
            (region_context, reference.region_context),
            (gated_region_context, reference.gated_region_context),
        ):
            close(mine(*args, mask=allowed), theirs(*args, mask=allowed))
        expected = reference.gated_region_context(*args, mask=allowed)
        close(module(states, regions, mask=allowed), expected)
        weights = region_weights(*args, mask=allowed)
        close(
            doubly_stochastic_penalty(weights, mask=allowed),
            reference.doubly_stochastic_penalty(weights, mask=allowed),
        )
    close(region_gate(states, scorer), reference.region_gate(states, scorer))


def test_gradcheck_accepts_attention_on_regions():
    module = shaken(RegionAttention(3, 2, hidden=4))
    states, regions = draw(17, 3, 3), draw(18, 5, 2)
    mask = chance(19, 3, 5)
    mask[1] = False
    assert torch.autograd.gradcheck(
        lambda a, b: module(a, b, mask=mask),
        (states.requires_grad_(), regions.requires_grad_()),
    )
    weights = draw(20, 2, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda w: doubly_stochastic_penalty(w, mask=mask), weights
    )


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_hidden_region_has_no_influence_on_results_or_gradients(poison):
    module = shaken(RegionAttention(6, 4, hidden=5))
    mask = chance(21, 2, 3, 7)
    mask[:, :, 2] = False
    mask[1, 1] = False
    results = []
    for value in (None, poison):
        states, regions = draw(22, 2, 3, 6), draw(23, 2, 7, 4)
        if value is not None:
            regions[:, 2] = states[1, 1] = value
        states.requires_grad_()
        regions.requires_grad_()
        module.zero_grad()
        out = module(states, regions, mask=mask)
        out.square().sum().backward()
        weights = [each.grad.clone() for each in module.parameters()]
        results.append([out, states.grad, regions.grad, *weights])
    for one, two in zip(*results, strict=True):
        close(one, two, rtol=0, atol=0)
    assert not results[1][0][1, 1].any()


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_region_that_is_not_finite_spoils_the_steps_that_see_it_alone(
    poison,
):
    scorer = detached(shaken(RegionAttention(6, 4, hidden=5)).scorer())
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 2] = False
    results = []
    for value in (0.5, poison):
        states, regions = draw(28, 3, 6), draw(29, 7, 4)
        regions[2] = value
        states.requires_grad_()
        seen = region_context(states, regions, scorer, mask=mask)
        (slope,) = torch.autograd.grad(seen[1].sum(), states)
        results.append((seen[1], slope[1]))
    for one, two in zip(*results, strict=True):
        close(one, two, rtol=0, atol=0)
    assert not torch.isfinite(seen[[0, 2]]).any()
    others = regions[mask[1]]
    expected = reference.region_context(states.detach(), others, scorer)
    close(seen[1], expected[1])
    weights = region_weights(states, regions, scorer, mask=mask)
    assert torch.isfinite(weights[1]).all()
    assert weights[1, 2] == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept(dtype):
    torch.manual_seed(0)
    budget = 16 * torch.finfo(dtype).eps  # a few roundings of size one
    x = draw(24, 5, 6, dtype=dtype)
    context = draw(25, 7, 4, dtype=dtype)
    for module in (
        CrossAttention(6, heads=2, context_width=4),
        CrossEncoderLayer(6, 4, heads=2, hidden=11),
        RegionAttention(6, 4, hidden=5),
    ):
        got = module.to(dtype).eval()(x, context)
        assert got.dtype == dtype
        exact = module.double()(x.double(), context.double())
        assert (got - exact).abs().max() < budget
    weights = torch.full((2000, 2), 0.5, dtype=dtype)
    penalty = doubly_stochastic_penalty(weights[:80])
    assert penalty.dtype == dtype
    assert penalty.item() == pytest.approx(2 * 39**2, rel=budget)


X, CONTEXT = torch.ones(5, 6), torch.ones(7, 4)
SCORER = RegionScorer(torch.ones(6, 3), torch.ones(4, 3), torch.ones(3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(X, X),
            ValueError,
            "x and weight must agree in width: got x=6, weight=4",
        ),
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(
                X, CONTEXT, mask=torch.ones(7, 5, dtype=torch.bool)
            ),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\)",
        ),
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(
                X, CONTEXT, mask=torch.ones(5, 7)
            ),
            TypeError,
            "mask must be boolean, True where a query may look: "
            "got torch.float32",
        ),
        (
            lambda: CoAttentionLayer(6, 4, heads=2, hidden=3)(
                X, CONTEXT, mask=torch.ones(7, dtype=torch.bool)
            ),
            ValueError,
            r"mask must have axes \(\.\.\., queries, keys\)",
        ),
        (
            lambda: CoAttentionLayer(6, 4, heads=3, hidden=3),
            ValueError,
            "width must split evenly into heads: got width=4, heads=3",
        ),
        (
            lambda: pair_mask(torch.ones(3), torch.ones(3).bool()),
            TypeError,
            "asking must be boolean",
        ),
        (
            lambda: pair_mask(
                torch.ones(2, 3).bool(), torch.ones(5, 3).bool()
            ),
            ValueError,
            "leading axes of asking and read must broadcast",
        ),
        (
            lambda: latest_image_mask(
                torch.ones(2).bool(), images=1, per_image=1
            ),
            ValueError,
            "images must cover every start: got images=1, starts=2",
        ),
        (
            lambda: region_weights(X, CONTEXT[:, :3], SCORER),
            ValueError,
            "regions and w_region must agree in region_width: "
            "got regions=3, w_region=4",
        ),
        (
            lambda: region_weights(CONTEXT, CONTEXT, SCORER),
            ValueError,
            "states and w_state must agree in state_width: "
            "got states=4, w_state=6",
        ),
        (
            lambda: region_weights(
                X, CONTEXT, dataclasses.replace(SCORER, v_score=torch.ones(2))
            ),
            ValueError,
            "w_state and w_region and v_score must agree in hidden: "
            "got w_state=3, w_region=3, v_score=2",
        ),
        (
            lambda: region_weights(
                X,
                CONTEXT,
                dataclasses.replace(SCORER, v_score=torch.ones(3, 2)),
            ),
            ValueError,
            r"v_score must have one axis, \(hidden\): got shape \(3, 2\)",
        ),
        (
            lambda: region_weights(X.double(), CONTEXT, SCORER),
            TypeError,
            "states and regions and w_state and w_region must agree in dtype "
            "and device: got states torch.float64 on cpu",
        ),
        (
            lambda: region_weights(X.tolist(), CONTEXT, SCORER),
            TypeError,
            "states must be a floating-point tensor: got list",
        ),
        (
            lambda: region_gate(
                X, dataclasses.replace(SCORER, w_gate=torch.ones(6, 2))
            ),
            ValueError,
            "w_gate must have one column: got 2",
        ),
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(X, None),
            TypeError,
            "context must be a floating-point tensor: got NoneType",
        ),
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(
                X, CONTEXT.double()
            ),
            TypeError,
            "x and context must agree in dtype and device: "
            "got x torch.float32 on cpu, context torch.float64 on cpu",
        ),
        (
            lambda: CrossAttention(6, heads=2, context_width=4)(
                X.expand(2, 5, 6), CONTEXT, mask=torch.ones(3, 5, 7).bool()
            ),
            ValueError,
            "leading axes of x and context and mask must broadcast",
        ),
        (
            lambda: region_weights(
                X, CONTEXT, SCORER, mask=torch.ones(7, 5).bool()
            ),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., steps, regions\) = "
            r"\(\.\.\., 5, 7\): got \(7, 5\)",
        ),
        (
            lambda: region_context(X, CONTEXT, SCORER, mask=torch.ones(5, 7)),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: region_gate(X, SCORER),
            ValueError,
            "scorer must have a gate: got w_gate=None",
        ),
        (
            lambda: doubly_stochastic_penalty(torch.ones(3)),
            ValueError,
            r"weights must have axes \(\.\.\., steps, regions\)",
        ),
        (
            lambda: RegionAttention(6, 4, hidden=0),
            ValueError,
            "hidden must be at least 1: got 0",
        ),
        (
            lambda: to_reference(nn.Linear(2, 3)),
            TypeError,
            "layer must be a CoAttentionLayer or a GatedCrossLayer: "
            "got Linear",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
