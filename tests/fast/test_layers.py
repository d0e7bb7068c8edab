"""Layers as torch modules against torch's own, the reference and loops."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast.layers import (
    Decoder,
    DecoderLayer,
    DecoderOnly,
    Encoder,
    EncoderLayer,
    FeedForward,
    GatedFeedForward,
    MultiHeadAttention,
    ParallelLayer,
    PreNormDecoderLayer,
    PreNormEncoderLayer,
)
from attncourse.fast.layers_convert import from_torch, to_reference, to_torch
from attncourse.reference import blocks
from attncourse.reference.feedforward import feed_forward, gated_feed_forward
from attncourse.reference.heads import multi_head_attention

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
WIDTH, HEADS, HIDDEN = 6, 3, 11
SIZES = (WIDTH, HEADS, HIDDEN)


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


def close(got, expected, **budget):
    budget = budget or CLOSE
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **budget,
    )


def causal(tokens):
    return torch.ones(tokens, tokens, dtype=torch.bool).tril()


ENCODERS = [EncoderLayer, PreNormEncoderLayer, ParallelLayer]
DECODERS = [DecoderLayer, PreNormDecoderLayer]
REFERENCE = {
    EncoderLayer: blocks.encoder_layer,
    PreNormEncoderLayer: blocks.pre_norm_encoder_layer,
    ParallelLayer: blocks.parallel_layer,
    DecoderLayer: blocks.decoder_layer,
    PreNormDecoderLayer: blocks.pre_norm_decoder_layer,
}


# --- torch's own layers ----------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("context_width", [WIDTH, 5])
def test_attention_goes_to_torch_and_comes_from_it(bias, context_width):
    theirs = shaken(
        nn.MultiheadAttention(
            WIDTH,
            HEADS,
            dropout=0.3,
            bias=bias,
            kdim=context_width,
            vdim=context_width,
            batch_first=True,
        )
    )
    mine = from_torch(theirs)
    x, context = draw(1, 2, 4, WIDTH), draw(2, 2, 7, context_width)
    mask = torch.rand(4, 7, generator=torch.manual_seed(0)) < 0.6
    mask[:, 0] = True
    expected, _ = theirs(x, context, context)
    close(mine(x, context), expected)
    expected, _ = theirs(x, context, context, attn_mask=~mask)
    close(mine(x, context, mask=mask), expected)
    again = to_torch(mine)
    assert again.batch_first
    assert mine.drop.p == again.dropout == 0.3
    for one, other in zip(
        theirs.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert one[0] == other[0]
        assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [F.relu, F.gelu])
def test_an_encoder_layer_goes_to_torch_and_comes_from_it(
    first, bias, activation
):
    theirs = shaken(
        nn.TransformerEncoderLayer(
            *SIZES,
            activation=activation,
            layer_norm_eps=1e-3,
            batch_first=True,
            norm_first=first,
            bias=bias,
        )
    )
    mine = from_torch(theirs)
    assert type(mine) is (PreNormEncoderLayer if first else EncoderLayer)
    x = draw(1, 2, 5, WIDTH)
    close(mine(x), theirs(x))
    close(mine(x, mask=causal(5)), theirs(x, src_mask=~causal(5)))
    again = to_torch(mine)
    close(again(x), theirs(x), rtol=0, atol=0)
    assert again.norm_first == first
    assert again.norm1.eps == again.norm2.eps == 1e-3
    assert mine.drop.p == again.dropout.p == 0.1
    assert set(again.state_dict()) == set(theirs.state_dict())


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_decoder_layer_goes_to_torch_and_comes_from_it(first, bias):
    theirs = shaken(
        nn.TransformerDecoderLayer(
            *SIZES, dropout=0.3, batch_first=True, norm_first=first, bias=bias
        )
    )
    mine = from_torch(theirs)
    assert type(mine) is (PreNormDecoderLayer if first else DecoderLayer)
    x, memory = draw(1, 2, 5, WIDTH), draw(2, 2, 7, WIDTH)
    allowed = torch.arange(7) < torch.tensor([[4], [7]])
    expected = theirs(
        x, memory, tgt_mask=~causal(5), memory_key_padding_mask=~allowed
    )
    got = mine(x, memory, mask=causal(5), memory_mask=allowed[:, None])
    close(got, expected)
    again = to_torch(mine)
    close(again(x, memory), theirs(x, memory), rtol=0, atol=0)
    assert again.dropout.p == 0.3


@pytest.mark.parametrize("batch_first", [True, False])
def test_gradients_in_all_numbers_are_torchs(batch_first):
    theirs = shaken(
        nn.TransformerEncoderLayer(*SIZES, batch_first=batch_first)
    )
    mine = from_torch(theirs)
    x, upstream = draw(1, 2, 5, WIDTH), draw(2, 2, 5, WIDTH)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    (mine(a) * upstream).sum().backward()
    turned = b if batch_first else b.transpose(0, 1)
    out = theirs(turned)
    out = out if batch_first else out.transpose(0, 1)
    (out * upstream).sum().backward()
    close(a.grad, b.grad)
    p = mine.attention
    stacked = [each.weight.grad for each in (p.query, p.key, p.value)]
    close(torch.cat(stacked), theirs.self_attn.in_proj_weight.grad)
    close(p.output.bias.grad, theirs.self_attn.out_proj.bias.grad)
    close(mine.feed_forward.inner.weight.grad, theirs.linear1.weight.grad)
    close(mine.feed_forward.outer.bias.grad, theirs.linear2.bias.grad)
    close(mine.norm_attention.weight.grad, theirs.norm1.weight.grad)
    close(mine.norm_feed_forward.bias.grad, theirs.norm2.bias.grad)


def test_a_copy_is_a_copy_and_keeps_type_and_mode():
    theirs = nn.TransformerEncoderLayer(*SIZES, batch_first=True).eval()
    mine = from_torch(theirs)
    assert not mine.training
    assert mine.feed_forward.inner.weight.dtype == torch.float32
    with torch.no_grad():
        mine.norm_attention.weight += 1
        mine.attention.query.weight += 1
    assert (theirs.norm1.weight == 1).all()
    again = to_torch(mine.double().train())
    assert again.training
    assert again.linear1.weight.dtype == torch.float64
    width = slice(None, WIDTH)
    assert torch.equal(
        again.self_attn.in_proj_weight[width], mine.attention.query.weight
    )
    assert not torch.equal(
        again.self_attn.in_proj_weight[width],
        theirs.self_attn.in_proj_weight[width].double(),
    )


@pytest.mark.parametrize("first", [True, False])
def test_in_training_the_same_chance_drops_the_same_numbers(first):
    theirs = shaken(
        nn.TransformerEncoderLayer(
            *SIZES, dropout=0.4, batch_first=True, norm_first=first
        )
    ).train()
    mine = from_torch(theirs)
    # One sequence: with more, torch's layer draws in another order.
    x = draw(1, 1, 5, WIDTH)
    torch.manual_seed(3)
    expected = theirs(x)
    torch.manual_seed(3)
    got = mine(x)
    assert (got - mine(x)).abs().max() > 1e-3
    close(got, expected)


@pytest.mark.parametrize(
    ("theirs", "error", "message"),
    [
        (
            nn.Linear(2, 3),
            TypeError,
            "the layer must be torch's MultiheadAttention, "
            "TransformerEncoderLayer or TransformerDecoderLayer: got Linear",
        ),
        (
            nn.MultiheadAttention(6, 2, kdim=5, vdim=7),
            ValueError,
            "keys and values must come from tokens of one width: "
            "got kdim=5, vdim=7",
        ),
        (
            nn.MultiheadAttention(6, 2, add_bias_kv=True),
            ValueError,
            "layer must not add keys of its own",
        ),
    ],
)
def test_a_layer_that_has_no_counterpart_here_is_refused(
    theirs, error, message
):
    with pytest.raises(error, match=message):
        from_torch(theirs)


def test_a_layer_that_has_no_counterpart_in_torch_is_refused():
    with pytest.raises(TypeError, match="counterpart in torch: got Parallel"):
        to_torch(ParallelLayer(*SIZES))
    layer = EncoderLayer(*SIZES)
    layer.feed_forward = GatedFeedForward(WIDTH, HIDDEN)
    with pytest.raises(
        TypeError,
        match="feed_forward must be plain, as torch's is: got GatedFeed",
    ):
        to_torch(layer)


# --- the reference ---------------------------------------------------------


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("bias", [True, False])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), tokens=st.integers(0, 7))
def test_an_encoder_layer_is_its_reference(kind, bias, seed, tokens):
    layer = shaken(kind(*SIZES, activation=F.gelu, bias=bias), seed)
    x = draw(seed, 2, tokens, WIDTH)
    mask = torch.tensor(
        np.random.default_rng(seed).random((2, tokens, tokens)) < 0.6
    )
    for allowed in (None, mask):  # some of its rows see nothing
        expected = REFERENCE[kind](
            x, to_reference(layer), heads=HEADS, mask=allowed
        )
        close(layer(x, mask=allowed), expected)


@pytest.mark.parametrize("kind", DECODERS)
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    tokens=st.integers(0, 5),
    source=st.integers(0, 7),
)
def test_a_decoder_layer_is_its_reference(kind, seed, tokens, source):
    layer = shaken(kind(*SIZES), seed)
    x, memory = draw(seed, 2, tokens, WIDTH), draw(seed, 2, source, WIDTH)
    seen = torch.arange(source) < torch.tensor([[source // 2], [source]])
    expected = REFERENCE[kind](
        x,
        memory,
        to_reference(layer),
        heads=HEADS,
        mask=causal(tokens),
        memory_mask=seen[:, None],
    )
    got = layer(x, memory, mask=causal(tokens), memory_mask=seen[:, None])
    close(got, expected)


@pytest.mark.parametrize("normed", [True, False])
def test_stacks_are_their_references(normed):
    def norm():
        return shaken(nn.LayerNorm(WIDTH, eps=0.01), 9) if normed else None

    model = [
        Encoder([shaken(EncoderLayer(*SIZES), n) for n in (1, 2)], norm()),
        Decoder(
            [shaken(PreNormDecoderLayer(*SIZES), n) for n in (3, 4)], norm()
        ),
        DecoderOnly([shaken(ParallelLayer(*SIZES), n) for n in (5,)], norm()),
    ]
    encoder, decoder, language = model
    source, target = draw(1, 2, 7, WIDTH), draw(2, 2, 5, WIDTH)
    lengths = torch.arange(7) < torch.tensor([[4], [7]])
    lengths = lengths[:, None]
    hidden = torch.ones(2, 1, 5, dtype=torch.bool)
    hidden[1, :, 0] = False
    both = blocks.EncoderDecoder(to_reference(encoder), to_reference(decoder))
    expected = blocks.encoder_decoder(
        source,
        target,
        both,
        heads=HEADS,
        source_mask=lengths,
        target_mask=hidden,
    )
    memory = encoder(source, mask=lengths)
    got = decoder(target, memory, mask=hidden, memory_mask=lengths)
    close(got, expected)
    expected = blocks.decoder_only(
        target, to_reference(language), heads=HEADS, mask=hidden
    )
    close(language(target, mask=hidden), expected)
    close(
        language(target),
        blocks.decoder_only(target, to_reference(language), heads=HEADS),
    )


@pytest.mark.parametrize(
    "activation", [F.relu, torch.relu, F.gelu, F.silu, torch.sigmoid]
)
def test_each_activation_reaches_the_reference(activation):
    x = draw(1, 5, WIDTH)
    plain = shaken(FeedForward(WIDTH, HIDDEN, activation=activation))
    close(plain(x), feed_forward(x, to_reference(plain)))
    gated = shaken(GatedFeedForward(WIDTH, HIDDEN, activation=activation))
    close(gated(x), gated_feed_forward(x, to_reference(gated)))


def test_a_gated_network_takes_the_place_of_a_plain_one():
    layer = shaken(PreNormEncoderLayer(*SIZES))
    layer.feed_forward = shaken(GatedFeedForward(WIDTH, HIDDEN))
    x = draw(1, 5, WIDTH)
    expected = blocks.pre_norm_encoder_layer(
        x, to_reference(layer), heads=HEADS
    )
    close(layer(x), expected)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (
            FeedForward(2, 3, activation=torch.tanh),
            ValueError,
            "activation must be one that the reference has: got <built-in",
        ),
        (
            nn.Linear(2, 3),
            TypeError,
            "must be one of this course's layers: got Linear",
        ),
        (
            Encoder([EncoderLayer(*SIZES), ParallelLayer(*SIZES)]),
            ValueError,
            "layers must be of one kind: got 2 kinds",
        ),
        (Encoder([]), ValueError, "layers must be of one kind: got 0 kinds"),
    ],
)
def test_what_the_reference_does_not_have_is_refused(module, error, message):
    with pytest.raises(error, match=message):
        to_reference(module)


# --- by itself -------------------------------------------------------------


def test_attention_agrees_with_loops_over_heads_and_tokens():
    layer = shaken(MultiHeadAttention(WIDTH, HEADS, context_width=5))
    x, context = draw(1, 4, WIDTH), draw(2, 7, 5)
    q, k, v = layer.query(x), layer.key(context), layer.value(context)
    read = torch.zeros(4, WIDTH, dtype=torch.float64)
    for h in range(HEADS):
        own = slice(2 * h, 2 * h + 2)
        for i in range(4):
            scores = [
                (q[i, own] @ k[j, own]).item() / 2**0.5 for j in range(7)
            ]
            powers = [math.exp(score) for score in scores]
            for j in range(7):
                read[i, own] += powers[j] / sum(powers) * v[j, own].detach()
    close(layer(x, context), layer.output(read))


def test_projections_are_views_that_the_reference_reads():
    layer = shaken(MultiHeadAttention(WIDTH, HEADS))
    x = draw(1, 5, WIDTH)
    before = to_reference(layer)
    close(layer(x), multi_head_attention(x, x, before, heads=HEADS))
    with torch.no_grad():
        layer.projections().w_query.mul_(2.0)
    close(layer(x), multi_head_attention(x, x, before, heads=HEADS))


@pytest.mark.parametrize("kind", ENCODERS)
def test_gradcheck_accepts_each_layer(kind):
    layer = shaken(kind(4, 2, 3, activation=F.gelu))
    mask = causal(3)
    mask[1] = False  # a row that sees nothing
    x = draw(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: layer(z, mask=mask), x)
    weight = layer.attention.query.weight
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(
            layer, {"attention.query.weight": w}, x.detach(), {"mask": mask}
        ),
        weight,
    )


@pytest.mark.parametrize("kind", DECODERS)
def test_gradcheck_accepts_each_decoder_layer(kind):
    layer = shaken(kind(4, 2, 3, activation=F.gelu))
    x, memory = draw(1, 3, 4), draw(2, 5, 4)
    assert torch.autograd.gradcheck(
        lambda a, b: layer(a, b, mask=causal(3)),
        (x.requires_grad_(), memory.requires_grad_()),
    )


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("training", [True, False])
def test_nan_in_the_future_and_in_padding_has_no_influence(kind, training):
    stack = DecoderOnly([shaken(kind(*SIZES, dropout=0.2)) for _ in range(2)])
    stack.train(training)
    x = draw(1, 2, 5, WIDTH)
    mask = torch.ones(2, 1, 5, dtype=torch.bool)
    mask[0, :, 0] = False
    spoiled = x.clone()
    spoiled[0, 0] = torch.nan
    spoiled[:, 3:] = torch.nan
    torch.manual_seed(0)
    clean = stack(x, mask=mask)
    torch.manual_seed(0)
    got = stack(spoiled, mask=mask)
    close(got[0, 1:3], clean[0, 1:3])
    close(got[1, :3], clean[1, :3])
    assert got[:, 3:].isnan().all()


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_sees_no_later_token_and_no_padding(kind):
    decoder = Decoder([shaken(kind(*SIZES), n) for n in range(2)])
    x, memory = draw(1, 5, WIDTH), draw(2, 7, WIDTH)
    seen = torch.arange(7)[None] < 4
    clean = decoder(x, memory[:4])
    x[3:], memory[4:] = torch.nan, torch.nan
    close(decoder(x, memory, memory_mask=seen)[:3], clean[:3])


def test_dropout_acts_on_four_places_in_training_alone(monkeypatch):
    layer = shaken(EncoderLayer(*SIZES, dropout=0.25))
    x = draw(1, 2, 5, WIDTH)
    quiet = layer(x)
    shapes = []
    real = nn.Dropout.forward

    def noted(module, value):
        if module.training:
            shapes.append((tuple(value.shape), module.p))
        return real(module, value)

    monkeypatch.setattr(nn.Dropout, "forward", noted)
    close(layer(x), quiet, rtol=0, atol=0)
    assert shapes == []
    layer.train()(x)
    assert shapes == [
        ((2, HEADS, 5, 5), 0.25),
        ((2, 5, WIDTH), 0.25),
        ((2, 5, HIDDEN), 0.25),
        ((2, 5, WIDTH), 0.25),
    ]


def test_a_rate_of_zero_makes_training_and_use_the_same():
    for layer in (EncoderLayer(*SIZES, dropout=0), FeedForward(WIDTH, 5)):
        x = draw(1, 5, WIDTH, dtype=torch.float32)
        close(layer.train()(x), layer.eval()(x), rtol=0, atol=0)


def test_a_new_layer_is_bounded_and_trains():
    torch.manual_seed(0)
    layer = EncoderLayer(28, 4, 53, dropout=0.0)
    for name, parameter in layer.named_parameters():
        if parameter.ndim == 2:
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.97 * bound < parameter.abs().max() < bound, name
        elif not name.startswith("norm"):
            assert (parameter == 0).all(), name
    x, wanted = torch.randn(3, 5, 28), torch.randn(3, 5, 28)
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = F.mse_loss(layer(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_layer_can_be_saved_and_loaded():
    one, other = (shaken(DecoderLayer(*SIZES), seed) for seed in (0, 1))
    x = draw(1, 5, WIDTH)
    assert (one(x, x) - other(x, x)).abs().max() > 1e-3
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    close(one(x, x), other(x, x), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept(dtype):
    layer = EncoderLayer(*SIZES).to(dtype).eval()
    x = draw(1, 5, WIDTH, dtype=dtype)
    got = layer(x, mask=causal(5))
    assert got.dtype == dtype
    exact = layer.double()(x.double(), mask=causal(5))
    # A few roundings of numbers of size one.
    assert (got - exact).abs().max() < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: EncoderLayer(10, 4, 3),
            ValueError,
            "width must split evenly into heads: got width=10, heads=4",
        ),
        (
            lambda: MultiHeadAttention(6, 0),
            ValueError,
            "heads must be at least 1: got 0",
        ),
        (
            lambda: FeedForward(6, 0),
            ValueError,
            "hidden must be at least 1: got 0",
        ),
        (
            lambda: GatedFeedForward(6, 2.5),
            TypeError,
            "hidden must be a whole number: got 2.5",
        ),
        (
            lambda: MultiHeadAttention(6, 2, context_width=0),
            ValueError,
            "context_width must be at least 1: got 0",
        ),
        (
            lambda: DecoderLayer(*SIZES, dropout=1.0),
            ValueError,
            "dropout must be at least 0 and below 1: got 1.0",
        ),
        (
            lambda: FeedForward(6, 5)(torch.ones(3, 7)),
            ValueError,
            "x and weight must agree in width: got x=7, weight=6",
        ),
        (
            lambda: EncoderLayer(*SIZES)(torch.ones(3, 5)),
            ValueError,
            "x and weight must agree in width: got x=5, weight=6",
        ),
        (
            lambda: EncoderLayer(*SIZES)(
                torch.ones(5, WIDTH), mask=torch.ones(5, 5)
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: EncoderLayer(*SIZES).eval()(
                torch.ones(5, WIDTH), mask=causal(4)
            ),
            ValueError,
            "mask must fit the scores",
        ),
        (
            lambda: DecoderOnly([EncoderLayer(*SIZES)])(
                torch.ones(5, WIDTH), mask=torch.ones(5, 5)
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
