"""Recurrent translators in torch against the reference, and trained."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast.recurrent import (
    AdditiveAlignment,
    BahdanauDecoder,
    Decoded,
    DeepOutput,
    Encoded,
    Encoder,
    LinearOutput,
    Sight,
    Translator,
    TwoWay,
    TwoWayGRU,
    move,
)
from attncourse.fast.recurrent_convert import (
    array,
    cell_weights,
    gru_weights,
    to_reference,
)
from attncourse.fast.recurrent_tokens import masked_tokens
from attncourse.reference import recurrent as reference
from attncourse.reference.objectives_decoding import greedy

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10**6)
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


def shaken(module, seed=0):
    """Return the module in float64 with every number random."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def draw(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def translator(seed=0, *, deep=False):
    """Return one from 7 words to 11 whose sizes are all unlike."""
    decoder = BahdanauDecoder(11, 6, 4, memory_width=10, hidden=8)
    if deep:
        decoder.output = DeepOutput(4, 6, 10, hidden=13, vocabulary=11)
    encoder = Encoder(7, 3, 5, state_width=4)
    return shaken(Translator(encoder, decoder), seed)


def ragged(seed, *shape, share=0.6):
    return torch.tensor(np.random.default_rng(seed).random(shape) < share)


# --- both directions -------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(1, 6))
@quick
def test_ragged_rows_are_read_as_the_reference_reads_them(seed, rows, tokens):
    layer = shaken(TwoWayGRU(3, 5), seed)
    x, mask = draw(seed, rows, tokens, 3), ragged(seed, rows, tokens)
    there, back = gru_weights(layer.gru)
    truth = reference.bidirectional_gru(x, there, back, mask=mask)
    x[~mask] = torch.nan
    read = layer(x, mask=mask)
    assert isinstance(read, TwoWay)
    for mine, theirs in zip(read, truth, strict=True):
        close(mine, theirs)
    x = draw(seed, rows, tokens, 3)
    truth = reference.bidirectional_gru(x, there, back)
    for mine, theirs in zip(layer(x), truth, strict=True):
        close(mine, theirs)


def test_leading_axes_broadcast_and_empty_ones_are_answered():
    layer = shaken(TwoWayGRU(3, 5))
    x, mask = draw(1, 2, 1, 7, 3), ragged(1, 4, 7)
    read = layer(x, mask=mask)
    assert read.states.shape == (2, 4, 7, 10)
    assert read.last.shape == read.first.shape == (2, 4, 5)
    close(read.states[1, 3], layer(x[1, 0], mask=mask[3]).states)
    close(read.first[1, 3], layer(x[1, 0], mask=mask[3]).first)
    for shape in ((0, 7, 3), (2, 0, 3), (0, 3)):
        nothing = layer(x.new_zeros(shape))
        assert nothing.states.shape == (*shape[:-1], 10)
        assert nothing.first.shape == (*shape[:-2], 5)
        assert not nothing.last.any()
    one_mask = layer(x, mask=mask[0])
    close(one_mask.states[0, 0], read.states[0, 0])


def test_gradients_pass_what_is_hidden_by():
    layer = shaken(TwoWayGRU(2, 3))
    x, mask = draw(2, 2, 4, 2).requires_grad_(), ragged(3, 2, 4)
    assert torch.autograd.gradcheck(lambda x: tuple(layer(x, mask=mask)), (x,))
    spoiled = torch.where(mask[..., None], x.detach(), torch.inf)
    spoiled.requires_grad_()
    layer(spoiled, mask=mask).states.sum().backward()
    assert torch.isfinite(spoiled.grad).all()
    assert not spoiled.grad[~mask].any()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_hidden_tokens_become_zeros_without_a_gradient():
    x = torch.tensor([[5.0], [torch.nan]], requires_grad=True)
    mask = torch.tensor([[True, False], [True, True]])
    clean, whole = masked_tokens(x, mask[0])
    assert clean.tolist() == [[5.0], [0.0]]
    assert whole.tolist() == [True, False]
    clean.sum().backward()
    assert x.grad.tolist() == [[1.0], [0.0]]
    assert masked_tokens(x, mask)[1].shape == (2, 2)
    assert masked_tokens(x, None)[1].tolist() == [True, True]


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_masked_alignment_has_clean_gradients(poison):
    align = shaken(AdditiveAlignment(4, 5, hidden=3))
    state, memory = draw(1, 2, 4).requires_grad_(), draw(2, 2, 7, 5)
    mask = torch.arange(7) < torch.tensor([[4], [0]])
    grads = []
    for value in (0.0, poison):
        here = torch.where(mask[..., None], memory, value).requires_grad_()
        weights = align(state, align.mapped(here, mask=mask), mask=mask)
        assert not weights[~mask].any()
        inputs = (state, here, *align.parameters())
        (weights**2).sum().backward(inputs=inputs)
        grads.append([each.grad.clone() for each in inputs])
        for each in inputs:
            each.grad = None
    for clean, spoiled in zip(*grads, strict=True):
        assert torch.equal(clean, spoiled)


def test_tokens_of_any_whole_type_are_looked_up():
    model, source = translator(6), torch.tensor([[3, 1, 6]])
    target = torch.tensor([[2, 5]])
    truth = model(source, target).logits
    for kind in (torch.uint8, torch.int16, torch.int32):
        assert torch.equal(model(source.to(kind), target.to(kind))[0], truth)
    mask = torch.tensor([[True, True, False]])
    source[0, 2] = -99  # in no vocabulary, and hidden
    model(source, target, mask=mask)


def test_a_cell_moves_under_any_leading_axes():
    cell = shaken(nn.GRUCell(2, 3))
    x, state = draw(4, 5, 1, 2), draw(5, 7, 3)
    truth = reference.gru_cell(x, state, cell_weights(cell))
    close(move(cell, x, state), truth)
    close(move(cell, x[0, 0], state[0]), truth[0, 0])
    assert move(cell, x[:0], state).shape == (0, 7, 3)


# --- the translator --------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
@given(seeds, st.integers(1, 5), st.integers(1, 4))
@quick
def test_the_translator_is_the_references(deep, seed, keys, targets):
    rng, model = np.random.default_rng(seed), translator(seed, deep=deep)
    source = torch.tensor(rng.integers(7, size=(3, keys)))
    target = torch.tensor(rng.integers(11, size=(3, targets)))
    mask = ragged(seed, 3, keys)
    got = model(source, target, mask=mask)
    truth = reference.translate(
        source, target, to_reference(model), mask=mask.numpy()
    )
    assert isinstance(got, Decoded)
    close(got.logits, truth.logits)
    close(got.alignment, truth.alignment)
    free = model(source[0], target[0])
    truth = reference.translate(source[0], target[0], to_reference(model))
    close(free.logits, truth.logits)


def test_parts_are_those_of_the_reference():
    model = translator(1)
    numbers = to_reference(model)
    source = torch.tensor([[3, 1, 6], [2, 2, 0]])
    encoded = model.encoder(source)
    assert isinstance(encoded, Encoded)
    for mine, theirs in zip(
        encoded, reference.encode(source, numbers.encoder), strict=True
    ):
        close(mine, theirs)
    align = model.decoder.align
    assert isinstance(align, AdditiveAlignment)
    close(
        align(encoded.state, align.mapped(encoded.memory)),
        reference.align(
            encoded.state.detach(),
            encoded.memory.detach(),
            numbers.decoder.alignment,
        ),
    )
    parts = draw(1, 2, 4), draw(2, 2, 6), draw(3, 2, 10)
    deep = shaken(DeepOutput(4, 6, 10, hidden=13, vocabulary=11))
    for output in (model.decoder.output, deep):
        assert isinstance(output, LinearOutput | DeepOutput)
        truth = reference.output_logits(*parts, to_reference(output))
        close(output(*parts), truth)


def test_steps_are_the_teacher_forced_pass():
    model = translator(2)
    source, target = torch.tensor([[3, 1, 6]]), torch.tensor([[2, 5, 0, 1]])
    mask = torch.tensor([[True, True, False]])
    whole = model(source, target, mask=mask)
    memory, state = model.encoder(source, mask=mask)
    memory = torch.where(mask[..., None], memory, torch.nan)
    sight, state = model.decoder.begin(state, memory, mask=mask)
    assert isinstance(sight, Sight)
    for t in range(4):
        logits, state, alignment = model.decoder.step(
            target[:, t], sight, state
        )
        close(logits, whole.logits[:, t])
        close(alignment, whole.alignment[:, t])


def test_greedy_decoding_is_the_references_and_stops_at_the_end():
    model, sources = translator(3), torch.tensor([[3, 1, 6], [0, 2, 5]])
    said = model.greedy(sources, start=2, steps=6)
    for source, row in zip(sources, said, strict=True):
        ask = reference.next_logits(source, to_reference(model))
        truth = greedy(ask, [2], steps=6)
        assert row.tolist() == truth[1:].tolist()
    end = said[0, 1].item()
    ended = model.greedy(sources, start=2, steps=6, end=end)
    for row, free in zip(ended.tolist(), said.tolist(), strict=True):
        stop = free.index(end) if end in free else 6
        assert row == free[:stop] + [end] * (6 - stop)
    assert model.greedy(sources[0], start=2, steps=6).tolist() == (
        said[0].tolist()
    )
    assert model.greedy(sources, start=2, steps=0).shape == (2, 0)
    with pytest.raises(ValueError, match="steps must be at least 0: got -1"):
        model.greedy(sources, start=2, steps=-1)


def test_axes_of_length_zero_are_answered():
    for model in (translator(4), translator(4, deep=True)):
        nothing = model(torch.tensor([[1, 2, 3]]), torch.zeros(1, 0).long())
        assert nothing.logits.shape == (1, 0, 11)
        assert nothing.alignment.shape == (1, 0, 3)
        blind = model(torch.zeros(1, 0).long(), torch.tensor([[1, 2]]))
        assert blind.alignment.shape == (1, 2, 0)
        hidden = model(
            torch.tensor([[1, 2, 3]]),
            torch.tensor([[1, 2]]),
            mask=torch.zeros(1, 3, dtype=torch.bool),
        )
        close(hidden.logits, blind.logits)
        assert not hidden.alignment.any()


def test_gradients_of_the_decoder_are_right_and_pass_padding_by():
    decoder = shaken(BahdanauDecoder(5, 2, 3, memory_width=4, hidden=2))
    tokens, mask = torch.tensor([[1, 4], [0, 2]]), ragged(5, 2, 3)
    mask[0] = False
    state = draw(6, 2, 3).requires_grad_()
    memory = draw(7, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, m: tuple(decoder(tokens, s, m, mask=mask)), (state, memory)
    )
    spoiled = torch.where(mask[..., None], memory.detach(), torch.nan)
    spoiled.requires_grad_()
    decoder(tokens, state, spoiled, mask=mask).logits.sum().backward()
    assert torch.isfinite(spoiled.grad).all()
    assert not spoiled.grad[~mask].any()


@pytest.mark.parametrize(
    ("dtype", "budget"),
    [(torch.float32, 1e-5), (torch.bfloat16, 0.15), (torch.float16, 0.02)],
)
def test_narrow_types_are_kept(dtype, budget):
    torch.manual_seed(0)
    encoder = Encoder(7, 3, 5, state_width=4)
    decoder = BahdanauDecoder(11, 6, 4, memory_width=10, hidden=8)
    model = Translator(encoder, decoder).to(dtype)
    source, target = torch.tensor([[3, 1, 6]]), torch.tensor([[2, 5]])
    mask = torch.tensor([[True, True, False]])
    got = model(source, target, mask=mask)
    assert got.logits.dtype == got.alignment.dtype == dtype
    truth = reference.translate(
        source, target, to_reference(model), mask=mask.numpy()
    )
    close(got.logits.double(), truth.logits, atol=budget)


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)
def test_a_gpu_computes_the_same():
    model, here = translator(5).cuda(), translator(5)
    source, target = torch.tensor([[3, 1, 6]] * 3), torch.tensor([[2, 5]] * 3)
    mask = torch.arange(3) < torch.tensor([[3], [0], [2]])
    got = model(source.cuda(), target.cuda(), mask=mask.cuda())
    truth = here(source, target, mask=mask)
    close(got.logits.cpu(), truth.logits)
    close(got.alignment.cpu(), truth.alignment)
    said = model.greedy(source.cuda(), start=2, steps=4, mask=mask.cuda())
    assert torch.equal(
        said.cpu(), here.greedy(source, start=2, steps=4, mask=mask)
    )


def test_a_model_is_saved_loaded_copied_and_drawn_again():
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        encoder = Encoder(7, 3, 5, state_width=4)
        decoder = BahdanauDecoder(11, 6, 4, memory_width=10, hidden=8)
        made.append(Translator(encoder, decoder))
    first, second = made
    source, target = torch.tensor([[3, 1, 6]]), torch.tensor([[2, 5]])
    logits = first(source, target).logits
    assert torch.equal(second(source, target).logits, logits)
    second.load_state_dict(shaken(copy.deepcopy(second)).state_dict())
    assert not torch.equal(second(source, target).logits, logits)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(source, target).logits, logits)


def test_numbers_of_the_reference_have_no_graph():
    value = torch.ones(2, 3, requires_grad=True, dtype=torch.float16)
    assert array(value).dtype == np.float64
    for kind in (torch.float32, torch.float64):
        value = torch.ones(2, dtype=kind)
        array(value)[:] = 5  # a copy: the module stays as it was
        assert value.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="cell must have biases: got GRUCell"):
        cell_weights(nn.GRUCell(2, 3, bias=False))
    for options in (
        {},
        {"bidirectional": True, "bias": False},
        {"bidirectional": True, "num_layers": 2},
    ):
        with pytest.raises(ValueError, match="one layer with biases in both"):
            gru_weights(nn.GRU(2, 3, **options))
    with pytest.raises(TypeError, match="a reference: got Linear"):
        to_reference(nn.Linear(2, 3))


FOUR = torch.ones(4, 4)


def decoded(**changed):
    """Return what a decoder says, with one argument unlike the others."""
    right = {
        "tokens": torch.tensor([1, 2]),
        "state": torch.ones(4).double(),
        "memory": torch.ones(3, 10).double(),
    }
    return translator().decoder(**right | changed)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: TwoWayGRU(3, 5)(torch.ones(7, 3), mask=torch.ones(7)),
            TypeError,
            "mask must be boolean, True where a query may look: got "
            "torch.float32",
        ),
        (
            lambda: TwoWayGRU(3, 5)(torch.ones(7, 3), mask=torch.ones(6) > 0),
            ValueError,
            "x and mask must agree in tokens: got x=7, mask=6",
        ),
        (
            lambda: TwoWayGRU(3, 5)(
                torch.ones(2, 7, 3), mask=torch.ones(3, 7) > 0
            ),
            ValueError,
            "leading axes of x and mask must broadcast",
        ),
        (
            lambda: TwoWayGRU(3, 5)(torch.ones(2, 7, 4)),
            ValueError,
            "x and gru must agree in input_width: got x=4, gru=3",
        ),
        (
            lambda: TwoWayGRU(3, 5)([[1.0, 2.0, 3.0]]),
            TypeError,
            "x must be a floating-point tensor: got list",
        ),
        (
            lambda: translator().encoder(torch.tensor([1.0])),
            TypeError,
            "source must be a tensor of whole numbers: got torch.float32",
        ),
        (
            lambda: translator().encoder([1, 2]),
            TypeError,
            "source must be a tensor of whole numbers: got list",
        ),
        (
            lambda: translator().encoder(torch.tensor([0, 7])),
            ValueError,
            "source must lie in the vocabulary, 0 to 6: got 7",
        ),
        (
            lambda: translator().encoder(torch.tensor(1)),
            ValueError,
            r"source must have axes \(..., keys\): got shape \(\)",
        ),
        (
            lambda: translator().encoder(
                torch.tensor([1, 2]), mask=torch.ones(2)
            ),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: decoded(tokens=torch.tensor([11])),
            ValueError,
            "tokens must lie in the vocabulary, 0 to 10: got 11",
        ),
        (
            lambda: decoded(tokens=torch.tensor(1)),
            ValueError,
            r"tokens must have axes \(..., targets\): got shape \(\)",
        ),
        (
            lambda: decoded(state=torch.ones(5)),
            ValueError,
            "state and cell must agree in width: got state=5, cell=4",
        ),
        (
            lambda: decoded(memory=torch.ones(3, 9)),
            ValueError,
            "memory and key must agree in memory_width: got memory=9, key=10",
        ),
        (
            lambda: decoded(tokens=torch.ones(2, 1).long(), state=FOUR[:3]),
            ValueError,
            "leading axes of tokens and state and memory must broadcast",
        ),
        (
            lambda: decoded(mask=torch.ones(3)),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: AdditiveAlignment(4, 5, hidden=3)(FOUR, torch.ones(7, 2)),
            ValueError,
            "mapped and key must agree in hidden: got mapped=2, key=3",
        ),
        (
            lambda: AdditiveAlignment(4, 5, hidden=3)(
                FOUR, torch.ones(3, 7, 3)
            ),
            ValueError,
            "leading axes of state and mapped must broadcast",
        ),
        (
            lambda: AdditiveAlignment(4, 5, hidden=3)(
                FOUR[0], torch.ones(7, 3), mask=torch.ones(1) > 0
            ),
            ValueError,
            "mapped and mask must agree in keys: got mapped=7, mask=1",
        ),
        (
            lambda: AdditiveAlignment(0, 5, hidden=3),
            ValueError,
            "width must be at least 1: got 0",
        ),
        (
            lambda: LinearOutput(4, 6, 10, vocabulary=11)(
                torch.ones(6), torch.ones(4), torch.ones(10)
            ),
            ValueError,
            "state and output must agree in width: got state=6, output=4",
        ),
        (
            lambda: DeepOutput(4, 6, 10, hidden=2, vocabulary=11)(
                torch.ones(4), torch.ones(10), torch.ones(6)
            ),
            ValueError,
            "embedded and output must agree in width",
        ),
        (
            lambda: DeepOutput(4, 6, 10, hidden=-1, vocabulary=11),
            ValueError,
            "hidden must be at least 1: got -1",
        ),
        (
            lambda: move(nn.GRUCell(2, 3), torch.ones(5, 2), torch.ones(4, 3)),
            ValueError,
            r"leading axes of x and state must broadcast: got x \(5,\)",
        ),
        (
            lambda: move(nn.GRUCell(2, 3), torch.ones(3), torch.ones(3)),
            ValueError,
            "x and cell must agree in input_width: got x=3, cell=2",
        ),
        (
            lambda: translator().greedy(torch.tensor([1]), start=1.5, steps=2),
            TypeError,
            "start must be a whole number: got 1.5",
        ),
        (
            lambda: translator().greedy(torch.tensor([1]), start=11, steps=2),
            ValueError,
            "tokens must lie in the vocabulary, 0 to 10: got 11",
        ),
        (
            lambda: translator().greedy(
                torch.tensor([1]), start=1, end=-1, steps=2
            ),
            ValueError,
            "end must be at least 0: got -1",
        ),
        (
            lambda: TwoWayGRU(3, 0),
            ValueError,
            "width must be at least 1: got 0",
        ),
        (
            lambda: translator().encoder(
                torch.tensor([1, 2]), mask=torch.ones(3) > 0
            ),
            ValueError,
            "source and mask must agree in keys: got source=2, mask=3",
        ),
        (
            lambda: translator().decoder.begin(
                torch.ones(4), torch.ones(3, 10), mask=torch.ones(2) > 0
            ),
            ValueError,
            "memory and mask must agree in keys: got memory=3, mask=2",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- it learns -------------------------------------------------------------

START, END, LONGEST = 0, 1, 5


def reversals(count, generator):
    """Return digit sequences of unlike lengths, and their reversals."""
    digits = torch.randint(2, 12, (count, LONGEST), generator=generator)
    lengths = torch.randint(3, LONGEST + 1, (count, 1), generator=generator)
    places = torch.arange(LONGEST)
    mask = places < lengths
    source = torch.where(mask, digits, END)
    turned = source.take_along_dim((lengths - 1 - places).clamp(min=0), 1)
    said = F.pad(torch.where(mask, turned, END), (0, 1), value=END)
    heard = F.pad(said[:, :-1], (1, 0), value=START)
    return source, mask, heard, said


def trained(seed, *, steps=200, rate=0.02):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    encoder = Encoder(12, 16, 32, state_width=32)
    decoder = BahdanauDecoder(12, 16, 32, memory_width=64, hidden=32)
    model = Translator(encoder, decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(steps):
        source, mask, heard, said = reversals(32, generator)
        logits = model(source, heard, mask=mask).logits
        loss = F.cross_entropy(logits.flatten(0, 1), said.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def test_it_learns_to_reverse_digits_and_where_to_look():
    model = trained(seed=0)
    source, mask, heard, said = reversals(
        200, torch.Generator().manual_seed(10**6)
    )
    answers = model.greedy(
        source, start=START, end=END, steps=LONGEST + 1, mask=mask
    )
    # With eight seeds each answered all of 200 held-out sequences.
    assert (answers == said).all(dim=1).float().mean() >= 0.95
    alignment = model(source, heard, mask=mask).alignment[:, :LONGEST]
    lengths = mask.sum(dim=1, keepdim=True)
    mirrored = lengths - 1 - torch.arange(LONGEST)
    hits = (alignment.argmax(dim=-1) == mirrored)[mask]
    assert hits.float().mean() >= 0.95  # the least of the eight: 0.997
