"""Transformer layers and stacks against torch, formulas and identities."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.blocks import (
    DecoderLayer,
    EncoderDecoder,
    EncoderLayer,
    NormWeights,
    ParallelLayer,
    Stack,
    decoder,
    decoder_layer,
    decoder_only,
    decoder_parameter_count,
    encoder,
    encoder_decoder,
    encoder_layer,
    encoder_parameter_count,
    feed,
    new_decoder_layer,
    new_encoder_layer,
    new_parallel_layer,
    normed,
    parallel,
    parallel_layer,
    post_norm,
    pre_norm,
    pre_norm_decoder_layer,
    pre_norm_encoder_layer,
    residual,
)
from attncourse.reference.feedforward import (
    FeedForwardWeights,
    GatedWeights,
    feed_forward,
    gated_feed_forward,
    gelu,
    relu,
)
from attncourse.reference.heads import multi_head_attention
from attncourse.reference.heads_parts import Projections
from attncourse.reference.masks import causal_mask, padding_mask
from attncourse.reference.norms import layer_norm, rms_norm

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
WIDTH, HIDDEN, HEADS = 6, 11, 3


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def norm_weights(rng, eps=1e-5):
    return NormWeights(rng.normal(size=WIDTH), rng.normal(size=WIDTH), eps)


def projections(rng):
    return Projections(
        *rng.normal(size=(4, WIDTH, WIDTH)), *rng.normal(size=(4, WIDTH))
    )


def feed_weights(rng, activation=relu):
    return FeedForwardWeights(
        rng.normal(size=(WIDTH, HIDDEN)),
        rng.normal(size=(HIDDEN, WIDTH)),
        rng.normal(size=HIDDEN),
        rng.normal(size=WIDTH),
        activation,
    )


def an_encoder_layer(seed=0, activation=relu):
    """Return a layer all of whose numbers are random, also the biases."""
    rng = np.random.default_rng(seed)
    return EncoderLayer(
        projections(rng),
        feed_weights(rng, activation),
        norm_weights(rng),
        norm_weights(rng),
    )


def a_decoder_layer(seed=0):
    rng = np.random.default_rng(seed)
    return DecoderLayer(
        projections(rng),
        projections(rng),
        feed_weights(rng),
        *(norm_weights(rng) for _ in range(3)),
    )


def a_parallel_layer(seed=0):
    rng = np.random.default_rng(seed)
    return ParallelLayer(
        projections(rng), feed_weights(rng), norm_weights(rng)
    )


# --- torch's own layers with the same numbers in them ---------------------


def put(parameter, value):
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(value))


def put_attention(module, p):
    stacked = np.concatenate([p.w_query, p.w_key, p.w_value], axis=1)
    put(module.in_proj_weight, stacked.T)
    put(
        module.in_proj_bias,
        np.concatenate([p.b_query, p.b_key, p.b_value]),
    )
    put(module.out_proj.weight, p.w_output.T)
    put(module.out_proj.bias, p.b_output)


def put_feed(module, p):
    put(module.linear1.weight, p.w_in.T)
    put(module.linear1.bias, p.b_in)
    put(module.linear2.weight, p.w_out.T)
    put(module.linear2.bias, p.b_out)


def put_norm(module, p):
    put(module.weight, p.gain)
    put(module.bias, p.shift)


def torchs_encoder_layer(layer, *, first, activation="relu"):
    module = torch.nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        HIDDEN,
        activation=activation,
        batch_first=True,
        norm_first=first,
        dtype=torch.float64,
    )
    put_attention(module.self_attn, layer.attention)
    put_feed(module, layer.feed_forward)
    put_norm(module.norm1, layer.norm_attention)
    put_norm(module.norm2, layer.norm_feed_forward)
    return module.eval()


def torchs_decoder_layer(layer, *, first):
    module = torch.nn.TransformerDecoderLayer(
        WIDTH,
        HEADS,
        HIDDEN,
        batch_first=True,
        norm_first=first,
        dtype=torch.float64,
    )
    put_attention(module.self_attn, layer.self_attention)
    put_attention(module.multihead_attn, layer.cross_attention)
    put_feed(module, layer.feed_forward)
    put_norm(module.norm1, layer.norm_self)
    put_norm(module.norm2, layer.norm_cross)
    put_norm(module.norm3, layer.norm_feed_forward)
    return module.eval()


ENCODERS = [(encoder_layer, False), (pre_norm_encoder_layer, True)]
DECODERS = [(decoder_layer, False), (pre_norm_decoder_layer, True)]


@pytest.mark.parametrize(("ours", "first"), ENCODERS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 7),
    batch=st.integers(1, 3),
    exact=st.booleans(),
)
def test_an_encoder_layer_is_torchs(ours, first, seed, tokens, batch, exact):
    layer = an_encoder_layer(seed, gelu if exact else relu)
    module = torchs_encoder_layer(
        layer, first=first, activation="gelu" if exact else "relu"
    )
    x = draw(seed + 1, batch, tokens, WIDTH)
    np.testing.assert_allclose(
        ours(x, layer, heads=HEADS), module(torch.tensor(x)).detach(), **CLOSE
    )
    mask = causal_mask(tokens, tokens)
    theirs = module(torch.tensor(x), src_mask=torch.tensor(~mask)).detach()
    np.testing.assert_allclose(
        ours(x, layer, heads=HEADS, mask=mask), theirs, **CLOSE
    )


@pytest.mark.parametrize(("ours", "first"), ENCODERS)
def test_padding_in_an_encoder_layer_is_torchs(ours, first):
    layer = an_encoder_layer()
    x, mask = draw(1, 2, 5, WIDTH), padding_mask([3, 5], keys=5)
    theirs = torchs_encoder_layer(layer, first=first)(
        torch.tensor(x), src_key_padding_mask=torch.tensor(~mask[:, 0])
    ).detach()
    got = ours(x, layer, heads=HEADS, mask=mask)
    # What torch returns at padding is its own affair.
    np.testing.assert_allclose(got[0, :3], theirs[0, :3], **CLOSE)
    np.testing.assert_allclose(got[1], theirs[1], **CLOSE)


@pytest.mark.parametrize(("ours", "first"), DECODERS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(1, 5),
    source=st.integers(1, 7),
)
def test_a_decoder_layer_is_torchs(ours, first, seed, tokens, source):
    layer = a_decoder_layer(seed)
    module = torchs_decoder_layer(layer, first=first)
    x, memory = draw(seed, 2, tokens, WIDTH), draw(seed, 2, source, WIDTH)
    causal = causal_mask(tokens, tokens)
    padding = padding_mask([source, (source + 1) // 2], keys=source)
    a, b = torch.tensor(x), torch.tensor(memory)
    np.testing.assert_allclose(
        ours(x, memory, layer, heads=HEADS), module(a, b).detach(), **CLOSE
    )
    theirs = module(
        a,
        b,
        tgt_mask=torch.tensor(~causal),
        memory_key_padding_mask=torch.tensor(~padding[:, 0]),
    ).detach()
    got = ours(x, memory, layer, heads=HEADS, mask=causal, memory_mask=padding)
    np.testing.assert_allclose(got, theirs, **CLOSE)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("last_norm", [False, True])
def test_the_stacks_are_torchs_transformer(first, last_norm):
    encoders = [an_encoder_layer(n) for n in range(3)]
    decoders = [a_decoder_layer(n) for n in range(2)]
    rng = np.random.default_rng(9)
    norms = [norm_weights(rng) if last_norm else None for _ in range(2)]
    enc = torch.nn.TransformerEncoder(
        torchs_encoder_layer(encoders[0], first=first),
        3,
        norm=torch.nn.LayerNorm(WIDTH, dtype=torch.float64)
        if last_norm
        else None,
        enable_nested_tensor=False,
    )
    enc.layers = torch.nn.ModuleList(
        [torchs_encoder_layer(each, first=first) for each in encoders]
    )
    dec = torch.nn.TransformerDecoder(
        torchs_decoder_layer(decoders[0], first=first),
        2,
        norm=torch.nn.LayerNorm(WIDTH, dtype=torch.float64)
        if last_norm
        else None,
    )
    dec.layers = torch.nn.ModuleList(
        [torchs_decoder_layer(each, first=first) for each in decoders]
    )
    for module, weights in zip((enc, dec), norms, strict=True):
        if weights:
            put_norm(module.norm, weights)
    source, target = draw(1, 2, 7, WIDTH), draw(2, 2, 5, WIDTH)
    lengths = padding_mask([7, 4], keys=7)
    hidden = torch.tensor(~lengths[:, 0])
    memory = enc(torch.tensor(source), src_key_padding_mask=hidden)
    theirs = dec(
        torch.tensor(target),
        memory,
        tgt_mask=torch.tensor(~causal_mask(5, 5)),
        memory_key_padding_mask=hidden,
    ).detach()
    model = EncoderDecoder(
        Stack(encoders, ENCODERS[first][0], norms[0]),
        Stack(decoders, DECODERS[first][0], norms[1]),
    )
    got = encoder_decoder(
        source, target, model, heads=HEADS, source_mask=lengths
    )
    np.testing.assert_allclose(got, theirs, **CLOSE)


# --- the three arrangements ------------------------------------------------


def test_each_arrangement_is_its_formula():
    layer, x = an_encoder_layer(), draw(1, 2, 5, WIDTH)

    def attend(z):
        return multi_head_attention(z, z, layer.attention, heads=HEADS)

    def step(z):
        return feed_forward(z, layer.feed_forward)

    def first(z):
        p = layer.norm_attention
        return layer_norm(z, p.gain, p.shift)

    def second(z):
        p = layer.norm_feed_forward
        return layer_norm(z, p.gain, p.shift)

    h = first(x + attend(x))
    np.testing.assert_allclose(
        encoder_layer(x, layer, heads=HEADS), second(h + step(h)), **CLOSE
    )
    h = x + attend(first(x))
    np.testing.assert_allclose(
        pre_norm_encoder_layer(x, layer, heads=HEADS),
        h + step(second(h)),
        **CLOSE,
    )
    both = ParallelLayer(
        layer.attention, layer.feed_forward, layer.norm_attention
    )
    np.testing.assert_allclose(
        parallel_layer(x, both, heads=HEADS),
        x + attend(first(x)) + step(first(x)),
        **CLOSE,
    )


def test_the_parallel_form_keeps_the_tokens():
    """The sum of attention and a second network alone would lose them."""
    x = draw(1, 5, WIDTH)
    silent = parallel(x, np.zeros_like, np.zeros_like, lambda z: z)
    np.testing.assert_array_equal(silent, x)
    layer = a_parallel_layer()
    mask = np.zeros((5, 5), bool)
    quiet = dataclasses.replace(
        layer,
        feed_forward=FeedForwardWeights(
            np.zeros((WIDTH, HIDDEN)), np.zeros((HIDDEN, WIDTH))
        ),
    )
    np.testing.assert_allclose(
        parallel_layer(x, quiet, heads=HEADS, mask=mask),
        x + layer.attention.b_output,
        **CLOSE,
    )


def test_a_silent_sublayer_leaves_the_tokens_and_post_norm_norms_them():
    x = draw(1, 5, WIDTH)
    np.testing.assert_array_equal(pre_norm(x, np.zeros_like, np.sin), x)
    np.testing.assert_array_equal(
        post_norm(x, np.zeros_like, np.sin), np.sin(x)
    )


def test_a_modern_layer_is_put_together_from_the_same_parts():
    rng = np.random.default_rng(0)
    p, gain = projections(rng), rng.normal(size=WIDTH)
    gated = GatedWeights(
        *rng.normal(size=(2, WIDTH, HIDDEN)), rng.normal(size=(HIDDEN, WIDTH))
    )
    x = draw(1, 5, WIDTH)

    def norm(z):
        return rms_norm(z, gain)

    mask = causal_mask(5, 5)
    h = pre_norm(
        x, lambda z: multi_head_attention(z, z, p, heads=2, mask=mask), norm
    )
    y = pre_norm(h, lambda z: gated_feed_forward(z, gated), norm)
    rms = np.sqrt(np.mean(h**2, axis=-1, keepdims=True) + 1e-5)
    n = gain * h / rms
    gate = n @ gated.w_gate
    expected = (gate / (1 + np.exp(-gate)) * (n @ gated.w_value)) @ gated.w_out
    np.testing.assert_allclose(y, h + expected, **CLOSE)


def test_a_layer_takes_a_gated_network_in_the_place_of_a_plain_one():
    rng = np.random.default_rng(0)
    gated = GatedWeights(
        *rng.normal(size=(2, WIDTH, HIDDEN)), rng.normal(size=(HIDDEN, WIDTH))
    )
    x = draw(1, 5, WIDTH)
    np.testing.assert_array_equal(feed(x, gated), gated_feed_forward(x, gated))
    layer = dataclasses.replace(an_encoder_layer(), feed_forward=gated)
    h = x + multi_head_attention(
        *(normed(x, layer.norm_attention),) * 2, layer.attention, heads=HEADS
    )
    np.testing.assert_allclose(
        pre_norm_encoder_layer(x, layer, heads=HEADS),
        h + gated_feed_forward(normed(h, layer.norm_feed_forward), gated),
        **CLOSE,
    )


def test_a_norm_uses_its_own_eps():
    x = 1e-3 * draw(1, 5, WIDTH)
    weights = NormWeights(np.ones(WIDTH), None, 0.5)
    np.testing.assert_array_equal(
        normed(x, weights), layer_norm(x, np.ones(WIDTH), eps=0.5)
    )


# --- who may look where ----------------------------------------------------

LANGUAGE_MODELS = [
    (encoder_layer, an_encoder_layer),
    (pre_norm_encoder_layer, an_encoder_layer),
    (parallel_layer, a_parallel_layer),
]


@pytest.mark.parametrize(("layer", "new"), LANGUAGE_MODELS)
def test_a_language_model_is_blind_to_the_future(layer, new):
    stack = Stack([new(0), new(1)], layer)
    x = draw(1, 2, 7, WIDTH)
    clean = decoder_only(x, stack, heads=HEADS)
    np.testing.assert_allclose(
        clean,
        encoder(x, stack, heads=HEADS, mask=np.tri(7, dtype=bool)),
        **CLOSE,
    )
    spoiled = x.copy()
    spoiled[:, 4:] = np.nan
    got = decoder_only(spoiled, stack, heads=HEADS)
    np.testing.assert_allclose(got[:, :4], clean[:, :4], **CLOSE)
    np.testing.assert_allclose(
        decoder_only(x[:, :4], stack, heads=HEADS), clean[:, :4], **CLOSE
    )


@pytest.mark.parametrize(("layer", "_"), DECODERS)
def test_a_decoder_is_blind_to_the_future_but_reads_all_its_source(layer, _):
    stack = Stack([a_decoder_layer(0), a_decoder_layer(1)], layer)
    x, memory = draw(1, 5, WIDTH), draw(2, 7, WIDTH)
    clean = decoder(x, memory, stack, heads=HEADS)
    spoiled = x.copy()
    spoiled[3:] = np.nan
    np.testing.assert_allclose(
        decoder(spoiled, memory, stack, heads=HEADS)[:3], clean[:3], **CLOSE
    )
    moved = memory.copy()
    moved[-1] += 1.0
    changed = decoder(x, moved, stack, heads=HEADS) - clean
    assert (np.abs(changed).max(axis=-1) > 1e-6).all()


def test_padding_and_the_future_are_hidden_together():
    stack = Stack([an_encoder_layer(n) for n in range(2)], encoder_layer)
    x = draw(1, 2, 5, WIDTH)
    x[0, :2] = np.nan  # padding on the left
    mask = np.ones((2, 1, 5), bool)
    mask[0, :, :2] = False
    got = decoder_only(x, stack, heads=HEADS, mask=mask)
    alone = decoder_only(x[0, 2:], stack, heads=HEADS)
    np.testing.assert_allclose(got[0, 2:], alone, **CLOSE)
    np.testing.assert_allclose(
        got[1], decoder_only(x[1], stack, heads=HEADS), **CLOSE
    )


def test_padding_of_the_source_and_target_has_no_influence():
    model = EncoderDecoder(
        Stack([an_encoder_layer(n) for n in range(2)], encoder_layer),
        Stack([a_decoder_layer(n) for n in range(2)], decoder_layer),
    )
    source, target = draw(1, 2, 7, WIDTH), draw(2, 2, 5, WIDTH)
    source[0, 4:] = np.nan
    target[1, 0] = np.nan
    lengths = padding_mask([4, 7], keys=7)
    real = np.ones((2, 1, 5), bool)
    real[1, :, 0] = False
    got = encoder_decoder(
        source,
        target,
        model,
        heads=HEADS,
        source_mask=lengths,
        target_mask=real,
    )
    np.testing.assert_allclose(
        got[0],
        encoder_decoder(source[0, :4], target[0], model, heads=HEADS),
        **CLOSE,
    )
    np.testing.assert_allclose(
        got[1, 1:],
        encoder_decoder(source[1], target[1, 1:], model, heads=HEADS),
        **CLOSE,
    )


@pytest.mark.parametrize(("layer", "new"), LANGUAGE_MODELS)
def test_a_token_that_sees_nothing_receives_only_the_output_bias(layer, new):
    p = new()
    x, mask = draw(1, 5, WIDTH), np.ones((5, 5), bool)
    mask[2] = False
    got = layer(x, p, heads=HEADS, mask=mask)
    assert np.isfinite(got).all()
    biased = dataclasses.replace(
        p.attention, w_output=np.zeros((WIDTH, WIDTH))
    )
    alone = layer(
        x[2:3], dataclasses.replace(p, attention=biased), heads=HEADS
    )
    np.testing.assert_allclose(got[2:3], alone, **CLOSE)


def test_without_a_source_cross_attention_adds_only_its_bias():
    layer = a_decoder_layer()
    x, memory = draw(1, 5, WIDTH), np.zeros((0, WIDTH))
    got = decoder_layer(x, memory, layer, heads=HEADS)
    hidden = decoder_layer(
        x,
        draw(2, 7, WIDTH),
        layer,
        heads=HEADS,
        memory_mask=np.zeros((1, 7), bool),
    )
    np.testing.assert_allclose(got, hidden, **CLOSE)


def test_no_tokens_give_no_tokens():
    x, memory = np.zeros((2, 0, WIDTH)), draw(1, 2, 7, WIDTH)
    stack = Stack([an_encoder_layer()], encoder_layer)
    assert encoder(x, stack, heads=HEADS).shape == (2, 0, WIDTH)
    assert decoder_only(x, stack, heads=HEADS).shape == (2, 0, WIDTH)
    stack = Stack([a_decoder_layer()], decoder_layer)
    assert decoder(x, memory, stack, heads=HEADS).shape == (2, 0, WIDTH)


def test_an_encoder_treats_its_tokens_as_a_set():
    stack = Stack([an_encoder_layer(n) for n in range(2)], encoder_layer)
    x, order = draw(1, 5, WIDTH), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(
        encoder(x[order], stack, heads=HEADS),
        encoder(x, stack, heads=HEADS)[order],
        **CLOSE,
    )


def test_a_stack_without_layers_is_its_norm_alone():
    x = draw(1, 5, WIDTH)
    empty = Stack([], encoder_layer)
    np.testing.assert_array_equal(encoder(x, empty, heads=HEADS), x)
    np.testing.assert_array_equal(decoder(x, x, empty, heads=HEADS), x)
    weights = norm_weights(np.random.default_rng(0))
    ending = Stack([], encoder_layer, weights)
    for got in (
        encoder(x, ending, heads=HEADS),
        decoder(x, x, ending, heads=HEADS),
    ):
        np.testing.assert_array_equal(got, normed(x, weights))


def test_very_large_tokens_give_finite_results():
    x, layer = 1e4 * draw(1, 5, WIDTH), an_encoder_layer()
    for each in (encoder_layer, pre_norm_encoder_layer):
        assert np.isfinite(each(x, layer, heads=HEADS)).all()


@pytest.mark.parametrize(
    "convert", [np.float32, np.ndarray.tolist, torch.tensor]
)
def test_any_real_tokens_are_accepted_and_float64_returned(convert):
    x, memory = convert(draw(1, 2, 5, WIDTH)), convert(draw(2, 2, 7, WIDTH))
    a, b = np.asarray(x, np.float64), np.asarray(memory, np.float64)
    one, two = an_encoder_layer(), a_decoder_layer()
    model = EncoderDecoder(
        Stack([one], encoder_layer), Stack([two], pre_norm_decoder_layer)
    )
    got = encoder_decoder(memory, x, model, heads=HEADS)
    assert got.dtype == np.float64
    np.testing.assert_allclose(
        got, encoder_decoder(b, a, model, heads=HEADS), **CLOSE
    )
    both = a_parallel_layer()
    np.testing.assert_allclose(
        parallel_layer(x, both, heads=HEADS),
        parallel_layer(a, both, heads=HEADS),
        **CLOSE,
    )


# --- how a layer starts ----------------------------------------------------


@pytest.mark.parametrize(
    "new", [new_encoder_layer, new_decoder_layer, new_parallel_layer]
)
def test_a_new_layer_has_bounded_weights_and_neutral_norms(new):
    layer = new(width=29, hidden=53, seed=3)
    parts = {
        each.name: getattr(layer, each.name)
        for each in dataclasses.fields(layer)
    }
    seen = []
    for name, part in parts.items():
        if name.startswith("norm"):
            assert part.gain.tolist() == [1.0] * 29
            assert part.shift.tolist() == [0.0] * 29
            continue
        for which, value in vars(part).items():
            if which.startswith("b_"):
                assert not value.any()
            elif which.startswith("w_"):
                bound = np.sqrt(6 / sum(value.shape))
                assert 0.97 * bound < np.abs(value).max() < bound
                assert abs(value.mean()) < 0.1 * bound
                assert value.min() < -0.9 * bound
                seen.append(value)
    assert layer.feed_forward.b_in.shape == (53,)
    assert layer.feed_forward.b_out.shape == (29,)
    firsts = {float(value[0, 0]) for value in seen}
    assert len(firsts) == len(seen)  # no two matrices are the same draw
    again, other = (new(width=29, hidden=53, seed=n) for n in (3, 4))
    mine, theirs = layer.feed_forward.w_in, other.feed_forward.w_in
    np.testing.assert_array_equal(mine, again.feed_forward.w_in)
    assert (mine != theirs).any()


def test_a_new_layer_can_be_used_at_once():
    x = draw(1, 5, WIDTH)
    sizes = {"width": WIDTH, "hidden": HIDDEN, "seed": 0}
    for got in (
        encoder_layer(x, new_encoder_layer(**sizes), heads=HEADS),
        parallel_layer(x, new_parallel_layer(**sizes), heads=HEADS),
        decoder_layer(x, x, new_decoder_layer(**sizes), heads=HEADS),
    ):
        assert got.shape == (5, WIDTH)
        assert (np.abs(got - x).max(axis=-1) > 1e-3).all()


@pytest.mark.parametrize(("width", "hidden"), [(6, 11), (8, 32), (2, 1)])
def test_counts_are_those_of_torchs_layers(width, hidden):
    """So attention is not free: each layer adds what it trains."""
    for count, module in [
        (encoder_parameter_count, torch.nn.TransformerEncoderLayer),
        (decoder_parameter_count, torch.nn.TransformerDecoderLayer),
    ]:
        layer = module(width, 2, hidden, batch_first=True)
        assert count(width=width, hidden=hidden) == sum(
            each.numel() for each in layer.parameters()
        )


def test_a_layer_has_about_twelve_times_its_width_squared():
    for width in (64, 1024):
        ratio = encoder_parameter_count(width=width, hidden=4 * width)
        assert 12 < ratio / width**2 < 12 + 20 / width


# --- wrong arguments -------------------------------------------------------

X = np.ones((5, WIDTH))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: residual(X, X[:, :1]),
            ValueError,
            "x and change must agree in width: got x=6, change=1",
        ),
        (
            lambda: residual(X, X[:1]),
            ValueError,
            "x and change must agree in tokens: got x=5, change=1",
        ),
        (
            lambda: pre_norm(X, lambda z: z[:, :1], lambda z: z),
            ValueError,
            "x and change must agree in width: got x=6, change=1",
        ),
        (
            lambda: post_norm([1, 2], np.sin, np.sin),
            ValueError,
            r"x must have axes \(..., tokens, width\): got shape \(2,\)",
        ),
        (
            lambda: encoder_layer(X, an_encoder_layer(), heads=4),
            ValueError,
            "width must split evenly into heads: got width=6, heads=4",
        ),
        (
            lambda: encoder_layer(
                np.ones((5, 7)), an_encoder_layer(), heads=HEADS
            ),
            ValueError,
            "x and weight must agree in width: got x=7, weight=6",
        ),
        (
            lambda: encoder_layer(
                X, an_encoder_layer(), heads=HEADS, mask=np.ones((5, 4), bool)
            ),
            ValueError,
            "mask must fit the scores",
        ),
        (
            lambda: decoder_only(
                X,
                Stack([an_encoder_layer()], encoder_layer),
                heads=HEADS,
                mask=np.ones((5, 5)),
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: decoder_layer(
                X, np.ones((7, 5)), a_decoder_layer(), heads=HEADS
            ),
            ValueError,
            "x and weight must agree in width: got x=5, weight=6",
        ),
        (
            lambda: new_encoder_layer(width=0, hidden=3, seed=0),
            ValueError,
            "width must be at least 1: got 0",
        ),
        (
            lambda: new_decoder_layer(width=3, hidden=0, seed=0),
            ValueError,
            "hidden must be at least 1: got 0",
        ),
        (
            lambda: encoder_parameter_count(width=2, hidden=0),
            ValueError,
            "hidden must be at least 1: got 0",
        ),
        (
            lambda: decoder_parameter_count(width=2.0, hidden=1),
            TypeError,
            "width must be a whole number: got 2.0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
