"""Attention between modalities against torch, loops and closed forms."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.blocks import NormWeights
from attncourse.reference.blocks_parts import EncoderLayer
from attncourse.reference.crossmodal import (
    CoAttentionLayer,
    GatedCrossLayer,
    RegionScorer,
    co_attention_layer,
    cross_attention,
    doubly_stochastic_penalty,
    gated_cross_attention,
    gated_region_context,
    latest_image_mask,
    pair_mask,
    region_context,
    region_gate,
    region_weights,
)
from attncourse.reference.feedforward import FeedForwardWeights, gelu
from attncourse.reference.heads import multi_head_attention
from attncourse.reference.heads_parts import Projections

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def projections(seed, width, context_width, inner=6):
    rng = np.random.default_rng(seed)
    shapes = [
        (width, inner),
        (context_width, inner),
        (context_width, inner),
        (inner, width),
    ]
    matrices = [rng.normal(size=shape) for shape in shapes]
    return Projections(*matrices, *(rng.normal(size=s[1]) for s in shapes))


def encoder_layer(seed, width, context_width, hidden=7):
    rng = np.random.default_rng(seed)
    norms = [
        NormWeights(rng.normal(size=width), rng.normal(size=width))
        for _ in range(2)
    ]
    feed = FeedForwardWeights(
        rng.normal(size=(width, hidden)),
        rng.normal(size=(hidden, width)),
        rng.normal(size=hidden),
        rng.normal(size=width),
        gelu,
    )
    return EncoderLayer(
        projections(seed + 1, width, context_width), feed, *norms
    )


def both_real(seed, queries=5, keys=7):
    rng = np.random.default_rng(seed)
    return rng.random((2, queries)) < 0.6, rng.random((2, keys)) < 0.6


# --- cross-attention -------------------------------------------------------


def looped(x, context, p, heads, mask):
    """Return cross-attention of one example, token by token."""
    q, k = x @ p.w_query + p.b_query, context @ p.w_key + p.b_key
    v = context @ p.w_value + p.b_value
    dim = q.shape[-1] // heads
    out = np.zeros_like(x)
    for i in range(len(x)):
        seen = [j for j in range(len(context)) if mask[i, j]]
        read = np.zeros(q.shape[-1])  # stays so if nothing is seen
        for h in range(heads):
            own = slice(h * dim, (h + 1) * dim)
            scores = [q[i, own] @ k[j, own] / np.sqrt(dim) for j in seen]
            powers = np.exp(np.array(scores) - max(scores, default=0.0))
            for j, power in zip(seen, powers, strict=True):
                read[own] += power / powers.sum() * v[j, own]
        out[i] = read @ p.w_output + p.b_output
    return out


@given(seeds)
@quick
def test_cross_attention_agrees_with_loops(seed):
    x, context = draw(seed, 2, 5, 3), draw(seed + 1, 2, 7, 4)
    p = projections(seed, 3, 4)
    mask = pair_mask(*both_real(seed))
    got = cross_attention(x, context, p, heads=2, mask=mask)
    for n in range(2):
        expected = looped(x[n], context[n], p, 2, mask[n])
        np.testing.assert_allclose(got[n], expected, **CLOSE)
    every = cross_attention(x, context, p, heads=2)
    np.testing.assert_allclose(
        every[1], looped(x[1], context[1], p, 2, np.ones((5, 7))), **CLOSE
    )


def test_cross_attention_is_torchs_with_two_widths():
    theirs = torch.nn.MultiheadAttention(
        6, 3, kdim=4, vdim=4, batch_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(draw(1, *parameter.shape)))
    bias = theirs.in_proj_bias.detach().numpy().reshape(3, 6)
    p = Projections(
        *(
            each.detach().numpy().T
            for each in (
                theirs.q_proj_weight,
                theirs.k_proj_weight,
                theirs.v_proj_weight,
                theirs.out_proj.weight,
            )
        ),
        *bias,
        theirs.out_proj.bias.detach().numpy(),
    )
    x, context = draw(2, 2, 5, 6), draw(3, 2, 7, 4)
    real = np.arange(7) < np.array([[3], [7]])
    expected, _ = theirs(
        *(torch.tensor(each) for each in (x, context, context)),
        key_padding_mask=torch.tensor(~real),
    )
    mask = pair_mask(np.ones((2, 5), bool), real)
    got = cross_attention(x, context, p, heads=3, mask=mask)
    np.testing.assert_allclose(got, expected.detach(), **CLOSE)


def test_it_is_multi_head_attention_also_where_nothing_is_seen():
    x, context, p = draw(4, 5, 3), draw(5, 7, 4), projections(6, 3, 4)
    mask = np.random.default_rng(7).random((5, 7)) < 0.5
    mask[3] = False
    for allowed in (None, mask, mask[:1], mask[:, 2:3], mask[3:4]):
        np.testing.assert_array_equal(
            cross_attention(x, context, p, heads=2, mask=allowed),
            multi_head_attention(x, context, p, heads=2, mask=allowed),
        )


def test_a_token_that_sees_nothing_gets_the_output_bias_if_there_is_one():
    x, p = draw(8, 5, 3), projections(9, 3, 4)
    bare = dataclasses.replace(p, b_output=None)
    mask = np.array([[True], [False], [True], [False], [True]])
    for layer, rest in ((p, p.b_output), (bare, np.zeros(3))):
        nothing = np.tile(rest, (5, 1))
        for empty in (None, np.ones((5, 1), bool), np.ones((5, 0), bool)):
            got = cross_attention(
                x, np.ones((0, 4)), layer, heads=2, mask=empty
            )
            np.testing.assert_array_equal(got, nothing)
        got = cross_attention(x, draw(10, 7, 4), layer, heads=2, mask=mask)
        same = np.all(got == rest, axis=-1)
        assert same.tolist() == (~mask[:, 0]).tolist()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_padding_of_both_sides_has_no_influence(poison):
    x, context, p = draw(11, 2, 5, 3), draw(12, 2, 7, 4), projections(13, 3, 4)
    asking = np.arange(5) < np.array([[5], [3]])
    read = np.arange(7) < np.array([[4], [6]])
    mask = pair_mask(asking, read)
    clean = cross_attention(x, context, p, heads=2, mask=mask)
    x[~asking] = context[~read] = poison
    with np.errstate(invalid="raise"):  # nor is inf taken from inf
        spoiled = cross_attention(x, context, p, heads=2, mask=mask)
    np.testing.assert_array_equal(spoiled, clean)
    np.testing.assert_array_equal(spoiled[1, 3:], [p.b_output] * 2)
    np.testing.assert_allclose(
        clean[1, :3],
        cross_attention(x[1, :3], context[1, :6], p, heads=2),
        **CLOSE,
    )
    x[~asking] = 0.0
    with np.errstate(invalid="raise"):
        row = cross_attention(x, context, p, heads=2, mask=read[:, None])
    np.testing.assert_array_equal(row[asking], clean[asking])
    context[~read] = 0.0
    x[:, 2] = poison
    column = np.arange(5)[:, None] != 2
    got = cross_attention(x, context, p, heads=2, mask=column)
    np.testing.assert_array_equal(got[:, 2], [p.b_output] * 2)
    assert np.isfinite(got).all()


def test_the_mask_of_pairs_is_an_outer_product():
    one, two = both_real(14)
    mask = pair_mask(one, two)
    assert mask.shape == (2, 5, 7)
    for n, i, j in np.ndindex(2, 5, 7):
        assert mask[n, i, j] == (one[n, i] and two[n, j])
    assert pair_mask(one[0], two).shape == (2, 5, 7)
    assert pair_mask(one, two[0]).shape == (2, 5, 7)
    assert pair_mask(np.ones((3, 1, 5), bool), two).shape == (3, 2, 5, 7)
    assert pair_mask(one[0, :0], two[0]).shape == (0, 7)


# --- two streams -----------------------------------------------------------


def standardized(x, norm):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    return norm.gain * x + norm.shift


def fed(x, f):
    return gelu(x @ f.w_in + f.b_in) @ f.w_out + f.b_out


def one_side(x, other, layer, mask):
    read = looped(x, other, layer.attention, 2, mask)
    h = standardized(x + read, layer.norm_attention)
    return standardized(
        h + fed(h, layer.feed_forward), layer.norm_feed_forward
    )


@given(seeds)
@quick
def test_both_streams_read_the_other_as_it_came_in(seed):
    x, y = draw(seed, 2, 5, 3), draw(seed + 1, 2, 7, 4)
    layer = CoAttentionLayer(encoder_layer(1, 3, 4), encoder_layer(2, 4, 3))
    masks = [None, pair_mask(*both_real(seed))]
    for mask in masks:
        left, right = co_attention_layer(x, y, layer, heads=2, mask=mask)
        full = np.ones((2, 5, 7), bool) if mask is None else mask
        for n in range(2):
            np.testing.assert_allclose(
                left[n], one_side(x[n], y[n], layer.first, full[n]), **CLOSE
            )
            np.testing.assert_allclose(
                right[n],
                one_side(y[n], x[n], layer.second, full[n].T),
                **CLOSE,
            )


def test_swapping_the_streams_swaps_the_results():
    x, y = draw(15, 5, 3), draw(16, 7, 4)
    one, two = encoder_layer(1, 3, 4), encoder_layer(2, 4, 3)
    left, right = co_attention_layer(x, y, CoAttentionLayer(one, two), heads=2)
    again = co_attention_layer(y, x, CoAttentionLayer(two, one), heads=2)
    np.testing.assert_array_equal(left, again[1])
    np.testing.assert_array_equal(right, again[0])


# --- gates -----------------------------------------------------------------


def gated_layer(seed, width, context_width, **gates):
    return GatedCrossLayer(
        **vars(encoder_layer(seed, width, context_width)), **gates
    )


def test_a_closed_gate_leaves_the_language_stream_unchanged():
    x, context = draw(17, 2, 5, 3), draw(18, 2, 7, 4)
    layer = gated_layer(1, 3, 4)
    assert (layer.gate_attention, layer.gate_feed_forward) == (0.0, 0.0)
    same = gated_cross_attention(x, context, layer, heads=2)
    np.testing.assert_array_equal(same, x)
    mask = latest_image_mask(
        np.array([False, True, False, False, True]), images=7, per_image=1
    )
    same = gated_cross_attention(x, context, layer, heads=2, mask=mask)
    np.testing.assert_array_equal(same, x)


@pytest.mark.parametrize("gates", [(0.7, 0.0), (0.0, -0.4), (0.3, [1.1])])
def test_gates_let_in_a_share_of_each_sublayer(gates):
    x, context = draw(19, 5, 3), draw(20, 7, 4)
    layer = gated_layer(
        1, 3, 4, gate_attention=gates[0], gate_feed_forward=gates[1]
    )
    mask = np.random.default_rng(21).random((5, 7)) < 0.4
    got = gated_cross_attention(x, context, layer, heads=2, mask=mask)
    alpha, beta = np.tanh(gates[0]), np.tanh(gates[1])
    normal = standardized(x, layer.norm_attention)
    h = x + alpha * looped(normal, context, layer.attention, 2, mask)
    normal = standardized(h, layer.norm_feed_forward)
    np.testing.assert_allclose(
        got, h + beta * fed(normal, layer.feed_forward), **CLOSE
    )


def test_a_word_without_an_image_is_not_changed_by_attention():
    x, context = draw(22, 5, 3), draw(23, 4, 4)
    layer = gated_layer(1, 3, 4, gate_attention=5.0)
    biased = layer.attention
    layer = dataclasses.replace(
        layer, attention=dataclasses.replace(biased, b_output=None)
    )
    starts = np.array([False, False, True, False, True])
    mask = latest_image_mask(starts, images=2, per_image=2)
    got = gated_cross_attention(x, context, layer, heads=2, mask=mask)
    np.testing.assert_array_equal(got[:2], x[:2])
    assert np.all(np.abs(got[2:] - x[2:]).max(axis=-1) > 1e-6)
    context[2:] += 1.0  # the second image
    later = gated_cross_attention(x, context, layer, heads=2, mask=mask)
    np.testing.assert_array_equal(later[:4], got[:4])
    assert np.abs(later[4] - got[4]).max() > 1e-6
    layer = dataclasses.replace(layer, attention=biased)
    moved = gated_cross_attention(x, context, layer, heads=2, mask=mask)
    np.testing.assert_allclose(
        moved[:2], x[:2] + np.tanh(5.0) * biased.b_output, **CLOSE
    )


@given(seeds, st.integers(0, 7), st.integers(1, 3))
@quick
def test_a_word_sees_the_last_image_before_it(seed, tokens, per_image):
    starts = np.random.default_rng(seed).random((2, tokens)) < 0.4
    images = tokens + 1
    mask = latest_image_mask(starts, images=images, per_image=per_image)
    assert mask.shape == (2, tokens, images * per_image)
    for n in range(2):
        number = -1
        for i in range(tokens):
            number += bool(starts[n, i])
            own = np.arange(images * per_image) // per_image == number
            np.testing.assert_array_equal(mask[n, i], own)


def test_no_images_and_exactly_enough_images_are_fine():
    none = latest_image_mask(np.zeros(3, bool), images=0, per_image=1)
    assert none.shape == (3, 0)
    full = latest_image_mask([True, True], images=2, per_image=1)
    assert full.tolist() == [[True, False], [False, True]]


# --- regions of an image ---------------------------------------------------


def scorer(seed, hidden=6):
    return RegionScorer(
        draw(seed, 3, hidden),
        draw(seed + 1, 4, hidden),
        draw(seed + 2, hidden),
        draw(seed + 3, 3, 1),
        draw(seed + 4, 1),
    )


def looped_regions(states, regions, s, mask):
    weights = np.zeros((len(states), len(regions)))
    for t in range(len(states)):
        seen = [i for i in range(len(regions)) if mask[t, i]]
        scores = [
            s.v_score
            @ np.tanh(states[t] @ s.w_state + regions[i] @ s.w_region)
            for i in seen
        ]
        powers = np.exp(scores)
        for i, power in zip(seen, powers, strict=True):
            weights[t, i] = power / powers.sum()
    return weights


@given(seeds)
@quick
def test_attention_on_regions_agrees_with_loops(seed):
    states, regions = draw(seed, 2, 5, 3), draw(seed + 1, 2, 7, 4)
    s = scorer(seed)
    mask = np.random.default_rng(seed).random((2, 5, 7)) < 0.5
    for allowed in (None, mask, mask[:, :1], mask[0], mask[:, :, :1]):
        weights = region_weights(states, regions, s, mask=allowed)
        seen = region_context(states, regions, s, mask=allowed)
        gated = gated_region_context(states, regions, s, mask=allowed)
        full = True if allowed is None else allowed
        full = np.broadcast_to(full, (2, 5, 7))
        for n in range(2):
            expected = looped_regions(states[n], regions[n], s, full[n])
            np.testing.assert_allclose(weights[n], expected, **CLOSE)
            np.testing.assert_allclose(seen[n], expected @ regions[n], **CLOSE)
            for t in range(5):
                logit = (states[n, t] @ s.w_gate + s.b_gate)[0]
                gate = 1 / (1 + np.exp(-logit))
                np.testing.assert_allclose(
                    gated[n, t], gate * (expected @ regions[n])[t], **CLOSE
                )


def test_a_gate_lies_between_nothing_and_all():
    s = dataclasses.replace(scorer(1), w_gate=np.ones((3, 1)), b_gate=None)
    states = np.array([[1e4] * 3, [-1e4] * 3, [0.0] * 3])
    assert region_gate(states, s).tolist() == [[1.0], [0.0], [0.5]]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_hidden_region_has_no_influence(poison):
    states, regions, s = draw(24, 5, 3), draw(25, 7, 4), scorer(2)
    mask = np.ones((5, 7), bool)
    mask[:, 2] = mask[1, :] = False
    clean = region_context(states, regions, s, mask=mask)
    gated = gated_region_context(states, regions, s, mask=mask)
    regions[2] = states[1] = poison
    with np.errstate(invalid="raise"):  # nor is inf taken from inf
        spoiled = region_context(states, regions, s, mask=mask)
    np.testing.assert_array_equal(spoiled, clean)
    assert not spoiled[1].any()
    spoiled = gated_region_context(states, regions, s, mask=mask)
    np.testing.assert_array_equal(spoiled, gated)


def test_a_region_that_is_not_a_number_spoils_the_steps_that_see_it_alone():
    states, regions, s = draw(34, 5, 3), draw(35, 7, 4), scorer(7)
    mask = np.ones((5, 7), bool)
    mask[1, 2] = mask[4, 2] = False
    clean = region_context(states, regions, s, mask=mask)
    regions[2] = np.nan
    spoiled = region_context(states, regions, s, mask=mask)
    np.testing.assert_allclose(spoiled[[1, 4]], clean[[1, 4]], **CLOSE)
    assert np.isnan(spoiled[[0, 2, 3]]).all()
    weights = region_weights(states, regions, s, mask=mask)
    np.testing.assert_array_equal(
        np.isnan(weights).any(axis=-1), [True, False, True, True, False]
    )


def test_leading_axes_of_states_regions_and_masks_broadcast():
    states, regions, s = draw(26, 2, 1, 5, 3), draw(27, 3, 7, 4), scorer(3)
    mask = np.ones((11, 1, 1, 5, 7), bool)
    seen = gated_region_context(states, regions, s, mask=mask)
    assert seen.shape == (11, 2, 3, 5, 4)
    np.testing.assert_allclose(
        seen[3, 1, 2],
        gated_region_context(states[1, 0], regions[2], s),
        **CLOSE,
    )
    weights = region_weights(states, regions, s, mask=mask)
    assert doubly_stochastic_penalty(weights).shape == (11, 2, 3)


def test_the_penalty_is_zero_where_every_region_is_seen_once():
    assert doubly_stochastic_penalty(np.eye(5)) == 0.0
    even = np.full((5, 5), 0.2)
    np.testing.assert_allclose(
        doubly_stochastic_penalty(even), 0.0, atol=1e-30
    )
    weights = np.random.default_rng(28).random((2, 3, 5))
    expected = [
        sum((1 - weights[n, :, i].sum()) ** 2 for i in range(5))
        for n in range(2)
    ]
    np.testing.assert_allclose(doubly_stochastic_penalty(weights), expected)


def test_the_penalty_leaves_out_regions_that_no_step_may_see():
    weights = np.random.default_rng(29).random((2, 3, 5))
    mask = np.ones((2, 1, 5), bool)
    mask[0, :, 3:] = False
    weights[0, :, 3:] = np.nan
    got = doubly_stochastic_penalty(weights, mask=mask)
    np.testing.assert_allclose(
        got,
        [
            doubly_stochastic_penalty(weights[0, :, :3]),
            doubly_stochastic_penalty(weights[1]),
        ],
    )
    some = np.array([[True, False], [True, True]])
    got = doubly_stochastic_penalty([[1.0, 9.0], [0.5, 0.25]], mask=some)
    assert got == 0.5**2 + 0.75**2
    assert doubly_stochastic_penalty(np.ones((0, 3))) == 0.0
    assert doubly_stochastic_penalty(np.ones((3, 0))) == 0.0


def test_no_steps_and_no_regions_are_answered():
    s = scorer(4)
    assert region_context(np.ones((0, 3)), np.ones((7, 4)), s).shape == (0, 4)
    none = region_context(np.ones((5, 3)), np.ones((0, 4)), s)
    assert none.tolist() == np.zeros((5, 4)).tolist()
    one = draw(30, 1, 4)
    seen = region_context(draw(31, 5, 3), one, s)
    np.testing.assert_allclose(seen, np.broadcast_to(one, (5, 4)))


# --- contracts -------------------------------------------------------------


def test_lists_and_tensors_are_read_and_inputs_left_alone():
    x, context = draw(32, 5, 3), draw(33, 7, 4)
    x, context = x.astype(np.float32), context.astype(np.float32)
    x.flags.writeable = context.flags.writeable = False
    p, s = projections(34, 3, 4), scorer(5)
    layer = gated_layer(1, 3, 4)
    tensors = torch.tensor(x), torch.tensor(context)
    for a, b in (tensors, (x.tolist(), context.tolist())):
        for call in (
            lambda a, b: cross_attention(a, b, p, heads=2),
            lambda a, b: gated_cross_attention(a, b, layer, heads=2),
            lambda a, b: gated_region_context(a, b, s),
        ):
            truth = call(x, context)
            assert truth.dtype == np.float64
            np.testing.assert_array_equal(call(a, b), truth)
    gated_cross_attention(x, context, layer, heads=2)[...] = 0.0


X, CONTEXT, S = np.ones((5, 3)), np.ones((7, 4)), scorer(6)
P = projections(7, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cross_attention(X, np.ones((7, 3)), P, heads=2),
            ValueError,
            "x and weight must agree in width: got x=3, weight=4",
        ),
        (
            lambda: cross_attention(
                X, CONTEXT, P, heads=2, mask=np.ones((7, 5), bool)
            ),
            ValueError,
            "scores and mask must broadcast|mask must fit the scores",
        ),
        (
            lambda: cross_attention(
                X, CONTEXT, P, heads=2, mask=np.ones((5, 7))
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: pair_mask([1, 0], [True]),
            TypeError,
            "asking must be boolean",
        ),
        (
            lambda: pair_mask(np.ones((2, 5), bool), np.ones((3, 7), bool)),
            ValueError,
            r"leading axes of asking and read must broadcast: "
            r"got asking \(2,\), read \(3,\)",
        ),
        (
            lambda: pair_mask(np.True_, [True]),
            ValueError,
            r"asking must have axes \(\.\.\., queries\)",
        ),
        (
            lambda: pair_mask([True], np.True_),
            ValueError,
            r"read must have axes \(\.\.\., keys\)",
        ),
        (
            lambda: co_attention_layer(
                X,
                CONTEXT,
                CoAttentionLayer(None, None),
                heads=2,
                mask=np.ones((5, 7)),
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: gated_cross_attention(
                X,
                CONTEXT,
                gated_layer(1, 3, 4, gate_attention=np.ones(3)),
                heads=2,
            ),
            ValueError,
            r"gate_attention must be one number: got shape \(3,\)",
        ),
        (
            lambda: gated_cross_attention(
                X,
                CONTEXT,
                gated_layer(1, 3, 4, gate_feed_forward=[]),
                heads=2,
            ),
            ValueError,
            r"gate_feed_forward must be one number: got shape \(0,\)",
        ),
        (
            lambda: latest_image_mask([True, True], images=1, per_image=1),
            ValueError,
            "images must cover every start: got images=1, starts=2",
        ),
        (
            lambda: latest_image_mask([True], images=-1, per_image=1),
            ValueError,
            "images must be at least 0: got -1",
        ),
        (
            lambda: latest_image_mask([True], images=1, per_image=0),
            ValueError,
            "per_image must be at least 1: got 0",
        ),
        (
            lambda: region_weights(X, CONTEXT[:, :3], S),
            ValueError,
            "regions and w_region must agree in region_width: "
            "got regions=3, w_region=4",
        ),
        (
            lambda: region_weights(CONTEXT, CONTEXT, S),
            ValueError,
            "states and w_state must agree in state_width: "
            "got states=4, w_state=3",
        ),
        (
            lambda: region_weights(
                X, CONTEXT, dataclasses.replace(S, v_score=np.ones(5))
            ),
            ValueError,
            "w_state and w_region and v_score must agree in hidden: "
            "got w_state=6, w_region=6, v_score=5",
        ),
        (
            lambda: region_weights(np.ones((2, 5, 3)), np.ones((3, 7, 4)), S),
            ValueError,
            r"leading axes of states and regions must broadcast: "
            r"got states \(2,\), regions \(3,\)",
        ),
        (
            lambda: region_weights(
                X, CONTEXT, dataclasses.replace(S, w_region=np.ones((1, 4, 6)))
            ),
            ValueError,
            r"w_region must have two axes: got shape \(1, 4, 6\)",
        ),
        (
            lambda: region_gate(
                X, dataclasses.replace(S, w_gate=np.ones((3, 2)))
            ),
            ValueError,
            "w_gate must have one column: got 2",
        ),
        (
            lambda: cross_attention(
                np.ones((2, 5, 3)),
                CONTEXT,
                P,
                heads=2,
                mask=np.ones((3, 5, 7), bool),
            ),
            ValueError,
            r"leading axes of x and context and mask must broadcast: "
            r"got x \(2,\), context \(\), mask \(3,\)",
        ),
        (
            lambda: cross_attention(X, CONTEXT[0], P, heads=2),
            ValueError,
            r"context must have axes \(\.\.\., keys, context_width\)",
        ),
        (
            lambda: region_weights(
                np.ones((2, 5, 3)), CONTEXT, S, mask=np.ones((7, 5), bool)
            ),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., steps, regions\) = "
            r"\(\.\.\., 5, 7\): got \(7, 5\)",
        ),
        (
            lambda: region_weights(X, CONTEXT, S, mask=np.ones((5, 3), bool)),
            ValueError,
            r"mask must fit the scores.*got \(5, 3\)",
        ),
        (
            lambda: region_context(X, CONTEXT, S, mask=np.ones(7, bool)),
            ValueError,
            r"mask must have axes \(\.\.\., steps, regions\)",
        ),
        (
            lambda: region_context(
                np.ones((2, 5, 3)),
                CONTEXT,
                S,
                mask=np.ones((3, 5, 7), bool),
            ),
            ValueError,
            r"leading axes of mask and scores must broadcast: "
            r"got mask \(3,\), scores \(2,\)",
        ),
        (
            lambda: region_gate(X, dataclasses.replace(S, w_gate=None)),
            ValueError,
            "scorer must have a gate: got w_gate=None",
        ),
        (
            lambda: doubly_stochastic_penalty(np.ones(3)),
            ValueError,
            r"weights must have axes \(\.\.\., steps, regions\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
