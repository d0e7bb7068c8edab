"""Hierarchical attention in torch against the reference, and trained."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.fast.hierarchical import (
    AttentionPooling,
    Document,
    HierarchicalAttention,
    Level,
    attention_pooling,
    pooling_weights,
    to_reference,
)
from attncourse.fast.hierarchical_segments import (
    Layered,
    LayeredEncoder,
    split_segments,
)
from attncourse.fast.layers import Encoder, EncoderLayer
from attncourse.fast.layers_convert import to_reference as stack_to_reference
from attncourse.reference import hierarchical as reference
from attncourse.reference import hierarchical_segments

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
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def draw(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def ragged(seed, *shape, share=0.5):
    return torch.tensor(np.random.default_rng(seed).random(shape) < share)


def classifier(seed=0):
    model = HierarchicalAttention(3, 5, hidden=7, classes=2)
    return shaken(model, seed)


@given(seeds, st.integers(1, 4), st.integers(0, 6))
@quick
def test_pooling_is_the_references(seed, rows, tokens):
    pool = shaken(AttentionPooling(5, hidden=7), seed)
    x, mask = draw(seed, rows, tokens, 5), ragged(seed, rows, tokens)
    numbers = to_reference(pool)
    close(pool(x), reference.attention_pooling(x, *numbers))
    truth = reference.pooling_weights(x, *numbers, mask=mask)
    x = torch.where(mask[..., None], x, torch.nan)
    close(pool.weights(x, mask=mask), truth)
    close(
        attention_pooling(x, *pool.numbers(), mask=mask),
        reference.attention_pooling(x, *numbers, mask=mask),
    )


@given(seeds, st.integers(1, 4), st.integers(1, 5))
@quick
def test_a_document_is_the_references(seed, sentences, words):
    model = classifier(seed)
    x = draw(seed, 2, sentences, words, 3)
    mask = ragged(seed, 2, sentences, words)
    levels = to_reference(model.words), to_reference(model.sentences)
    spoiled = torch.where(mask[..., None], x, torch.nan)
    got = model.read(spoiled, mask=mask)
    assert isinstance(got, Document)
    truth = reference.hierarchical_attention(x, *levels, mask=mask)
    for mine, theirs in zip(got, truth, strict=True):
        close(mine, theirs)
    close(
        model(spoiled, mask=mask),
        reference.document_logits(
            truth.vector,
            model.classify.weight.detach().T,
            model.classify.bias.detach(),
        ),
    )
    free = reference.hierarchical_attention(x, *levels)
    close(model.read(x).vector, free.vector)


def test_leading_axes_broadcast():
    model = classifier()
    x, mask = draw(1, 2, 1, 4, 5, 3), ragged(1, 3, 4, 5)
    got = model.read(x, mask=mask)
    assert got.vector.shape == (2, 3, 10)
    close(got.vector[1, 2], model.read(x[1, 0], mask=mask[2]).vector)
    assert got.word_weights.shape == (2, 3, 4, 5)
    close(model.read(x, mask=mask[0]).vector[0, 0], got.vector[0, 0])


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3), (2, 0, 4, 3)])
def test_documents_without_a_word_are_zero(shape):
    got = classifier().read(torch.zeros(shape, dtype=torch.float64))
    assert got.vector.shape == (*shape[:-3], 10)
    assert not got.vector.any()
    assert not got.sentence_weights.any()


def test_gradients_are_right_and_pass_padding_by():
    pool = shaken(AttentionPooling(3, hidden=2))
    x, mask = draw(2, 2, 4, 3).requires_grad_(), ragged(3, 2, 4)
    numbers = [each.detach().requires_grad_() for each in pool.numbers()]
    assert torch.autograd.gradcheck(
        lambda x, *n: attention_pooling(x, *n, mask=mask), (x, *numbers)
    )
    assert torch.autograd.gradcheck(
        lambda x, *n: pooling_weights(x, *n), (x, *numbers)
    )
    model, mask = classifier(), ragged(4, 2, 4, 5, share=0.3)
    mask[0, 1] = mask[1] = False
    spoiled = torch.where(mask[..., None], draw(5, 2, 4, 5, 3), torch.inf)
    spoiled.requires_grad_()
    model(spoiled, mask=mask).sum().backward()
    assert torch.isfinite(spoiled.grad).all()
    assert not spoiled.grad[~mask].any()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("dtype", "budget"),
    [(torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)],
)
def test_narrow_types_are_kept(dtype, budget):
    torch.manual_seed(0)
    level = Level(3, 5, hidden=7).to(dtype)
    x, mask = draw(6, 2, 4, 3).to(dtype), ragged(6, 2, 4)
    vector, weights = level(x, mask=mask)
    assert vector.dtype == weights.dtype == dtype
    numbers = to_reference(level)
    both = reference.bidirectional_gru(
        x.double(), numbers.forward, numbers.backward, mask=mask
    )
    truth = reference.attention_pooling(
        both.states, *numbers.pooling, mask=mask
    )
    close(vector.double(), truth, atol=budget)


def test_a_model_is_saved_loaded_and_drawn_again():
    made = []
    for _ in range(2):
        torch.manual_seed(7)
        made.append(HierarchicalAttention(3, 5, hidden=7, classes=2))
    first, second = made
    x = draw(7, 2, 4, 5, 3).float()
    assert torch.equal(first(x), second(x))
    other = shaken(copy.deepcopy(second)).float()
    second.load_state_dict(other.state_dict())
    assert torch.equal(second(x), other(x))
    assert not torch.equal(first(x), second(x))


def layered(seed=0):
    made = []
    for n in range(2):
        layer = EncoderLayer(4, heads=2, hidden=3, dropout=0.0)
        made.append(Encoder([shaken(layer, seed + n)]))
    return LayeredEncoder(*made)


@given(seeds, st.integers(0, 9), st.integers(1, 4), st.integers(1, 4))
@quick
def test_segments_and_their_layers_are_the_references(
    seed, tokens, length, stride
):
    stride, model = min(stride, length), layered(seed)
    x, mask = draw(seed, 2, tokens, 4), ragged(seed, 2, tokens)
    spoiled = torch.where(mask[..., None], x, torch.nan)
    segments, real = split_segments(
        spoiled, length=length, stride=stride, mask=mask
    )
    theirs, truth = hierarchical_segments.split_segments(
        x, length=length, stride=stride, mask=mask
    )
    close(segments, theirs)
    assert real.tolist() == truth.tolist()
    whole = split_segments(x, length=length, stride=stride)
    close(
        whole[1].double(),
        hierarchical_segments.split_segments(x, length=length, stride=stride)[
            1
        ].astype(float),
    )
    both = stack_to_reference(model.local), stack_to_reference(model.above)
    spoiled = torch.where(real[..., None], segments, torch.nan)
    for got, expected in (
        (
            model(spoiled, mask=real),
            hierarchical_segments.layered_encoder(
                theirs, *both, heads=2, mask=truth
            ),
        ),
        (
            model(segments),
            hierarchical_segments.layered_encoder(theirs, *both, heads=2),
        ),
    ):
        assert isinstance(got, Layered)
        close(got.tokens, expected.tokens)
        close(got.summaries, expected.summaries)


def test_gradients_pass_the_padding_of_segments_by():
    model, mask = layered(), ragged(3, 2, 3, 5)
    mask[0, 1] = False
    x = torch.where(mask[..., None], draw(3, 2, 3, 5, 4), torch.inf)
    x.requires_grad_()
    model(x, mask=mask).summaries.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert not x.grad[~mask].any()
    assert x.grad[mask].any(dim=-1).all()


X, POOL = draw(8, 3, 5), shaken(AttentionPooling(5, hidden=7)).numbers()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: attention_pooling(X[0], *POOL),
            r"x must have axes \(..., tokens, width\): got shape \(5,\)",
        ),
        (
            lambda: pooling_weights(X, POOL[0], POOL[1][None], POOL[2]),
            r"weight must have two axes, bias and context one: got weight "
            r"\(5, 7\), bias \(1, 7\), context \(7,\)",
        ),
        (
            lambda: pooling_weights(X, POOL[0][None], *POOL[1:]),
            "weight must have two axes, bias and context one",
        ),
        (
            lambda: pooling_weights(X, *POOL[:2], torch.eye(7)),
            "weight must have two axes, bias and context one",
        ),
        (
            lambda: attention_pooling(
                X.expand(2, 3, 5), *POOL, mask=torch.ones(4, 3) > 0
            ),
            "leading axes of x and mask must broadcast",
        ),
        (
            lambda: classifier()(draw(9, 4, 3)),
            r"x must have axes \(..., sentences, words, width\): "
            r"got shape \(4, 3\)",
        ),
        (
            lambda: classifier()(draw(9, 5, 4, 3), mask=torch.ones(4) > 0),
            r"mask must have axes \(..., sentences, words\): "
            r"got shape \(4,\)",
        ),
        (
            lambda: split_segments(X[0], length=2, stride=1),
            r"x must have axes \(..., tokens, width\): got shape \(5,\)",
        ),
        (
            lambda: layered()(draw(9, 5, 4)),
            r"segments must have axes \(..., segments, length, width\): "
            r"got shape \(5, 4\)",
        ),
        (
            lambda: layered()(draw(9, 2, 5, 4), mask=torch.ones(2, 1) > 0),
            "segments and mask must agree in length: got segments=5, mask=1",
        ),
        (
            lambda: attention_pooling(X[:, :4], *POOL),
            "x and weight must agree in width: got x=4, weight=5",
        ),
        (
            lambda: pooling_weights(X, *POOL[:2], X[0]),
            "weight and bias and context must agree in hidden: "
            "got weight=7, bias=7, context=5",
        ),
        (
            lambda: attention_pooling(X, *POOL, mask=torch.ones(1) > 0),
            "x and mask must agree in tokens: got x=3, mask=1",
        ),
        (
            lambda: classifier()(draw(9, 5, 4, 3), mask=torch.ones(3, 4) > 0),
            "x and mask must agree in sentences: got x=5, mask=3",
        ),
        (
            lambda: classifier()(draw(9, 5, 4, 3), mask=torch.ones(5, 1) > 0),
            "x and mask must agree in words: got x=4, mask=1",
        ),
        (
            lambda: classifier()(
                draw(9, 2, 5, 4, 3), mask=torch.ones(3, 5, 4) > 0
            ),
            "leading axes of x and mask must broadcast",
        ),
        (
            lambda: split_segments(X, length=2, stride=3),
            "stride must not be above the length of a segment: "
            "got stride=3, length=2",
        ),
        (
            lambda: split_segments(
                X, length=2, stride=1, mask=torch.ones(2) > 0
            ),
            "x and mask must agree in tokens: got x=3, mask=2",
        ),
        (
            lambda: layered()(draw(9, 2, 0, 4)),
            "length must be at least 1: got 0",
        ),
        (
            lambda: AttentionPooling(5, hidden=0),
            "hidden must be at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: attention_pooling(X, *POOL, mask=torch.ones(3)),
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: attention_pooling([[1.0] * 5], *POOL),
            "x must be a floating-point tensor: got list",
        ),
        (
            lambda: pooling_weights(X, POOL[0], None, POOL[2]),
            "bias must be a floating-point tensor: got NoneType",
        ),
        (
            lambda: classifier()(draw(9, 5, 4, 3), mask=torch.ones(5, 4)),
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: split_segments(X, length=2, stride=1, mask=torch.ones(3)),
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: to_reference(torch.nn.Linear(2, 3)),
            "the module must be a Level or an AttentionPooling: got Linear",
        ),
    ],
)
def test_wrong_kinds_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_segments_are_copies_of_their_tokens():
    x = draw(10, 5, 3)
    kept = x.clone()
    segments, mask = split_segments(x, length=3, stride=1)
    segments[0, 1] = 9.0
    mask[0, 1] = False
    close(segments[1, 0], kept[1])
    assert mask.sum() == mask.numel() - 1
    assert torch.equal(x, kept)


# --- it learns -------------------------------------------------------------


def documents(count, generator, *, sentences=4, words=5, width=8):
    """Return noise in which one word of one sentence tells the class."""
    x = torch.randn(count, sentences, words, width, generator=generator)
    lengths = torch.randint(
        2, words + 1, (count, sentences, 1), generator=generator
    )
    mask = torch.arange(words) < lengths
    classes = torch.randint(2, (count,), generator=generator)
    place = torch.randint(sentences, (count,), generator=generator)
    word = torch.randint(2, (count,), generator=generator)  # always there
    rows = torch.arange(count)
    x[rows, place, word] = 0.0
    x[rows, place, word, 0] = 4.0  # it can be told from noise
    x[rows, place, word, 1] = 4.0 * classes - 2.0
    return x, mask, classes, place, word


def test_it_learns_which_word_of_which_sentence_matters():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = HierarchicalAttention(8, 12, hidden=12, classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(120):
        x, mask, classes, *_ = documents(32, generator)
        loss = F.cross_entropy(model(x, mask=mask), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, mask, classes, place, word = documents(
        300, torch.Generator().manual_seed(10**6)
    )
    right = model(x, mask=mask).argmax(dim=-1) == classes
    # Five seeds: at least 0.99, 0.98 and 0.99.
    assert right.float().mean() >= 0.95
    read = model.read(x, mask=mask)
    found = read.sentence_weights.argmax(dim=-1) == place
    assert found.float().mean() >= 0.9
    rows = torch.arange(300)
    looked = read.word_weights[rows, place].argmax(dim=-1) == word
    assert looked.float().mean() >= 0.9
