"""Luong's attentions and decoder in torch against the reference."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast import luong as fast
from attncourse.fast.luong import (
    Carried,
    ConcatScore,
    DotScore,
    GeneralScore,
    GlobalAttention,
    LuongDecoder,
    MonotonicAttention,
    PredictiveAttention,
    Reading,
    View,
)
from attncourse.fast.luong_convert import reference_attention, to_reference
from attncourse.fast.recurrent import Encoder, Translator
from attncourse.reference import luong as reference
from attncourse.reference import luong_decoder, luong_local

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 6)
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


def ragged(seed, *shape, share=0.7):
    return torch.tensor(np.random.default_rng(seed).random(shape) < share)


SCORES = {
    "dot": lambda: DotScore(),
    "general": lambda: GeneralScore(4, 4),
    "concat": lambda: ConcatScore(4, 4, hidden=3),
}
ATTENTIONS = {
    "global": lambda score: GlobalAttention(score),
    "local-m": lambda score: MonotonicAttention(score, half_width=1),
    "local-p": lambda score: PredictiveAttention(
        score, half_width=2, width=4, hidden=5
    ),
}


def decoder(attention="global", score="general", seed=0):
    return shaken(
        LuongDecoder(
            11,
            6,
            4,
            memory_width=4,
            attention=ATTENTIONS[attention](SCORES[score]()),
        ),
        seed,
    )


# --- functions -------------------------------------------------------------


@given(seeds, sizes, sizes, st.integers(1, 3))
@quick
def test_every_attention_is_the_references(seed, queries, keys, half):
    scores, memory = draw(seed, 2, queries, keys), draw(seed, 2, keys, 5)
    places = torch.tensor(
        np.random.default_rng(seed).uniform(0, keys, queries)
    )
    for mask in (None, ragged(seed, 2, queries, keys), ragged(seed, 1, keys)):
        truth = reference.global_attention(scores, memory, mask=mask)
        got = fast.global_attention(scores, memory, mask=mask)
        assert isinstance(got, Reading)
        close(got.context, truth.context)
        close(got.weights, truth.weights)
        close(
            fast.average_memory(scores, memory, mask=mask),
            reference.average_memory(scores, memory, mask=mask),
        )
        for name in ("monotonic_attention", "predictive_attention"):
            truth = getattr(luong_local, name)(
                scores, memory, places, half_width=half, mask=mask
            )
            got = getattr(fast, name)(
                scores, memory, places, half_width=half, mask=mask
            )
            close(got.context, truth.context)
            close(got.weights, truth.weights)


def test_the_rest_is_the_references_too():
    q, k, w, v = draw(1, 3, 4), draw(2, 7, 2), draw(3, 6, 5), draw(4, 5)
    close(fast.concat_scores(q, k, w, v), reference.concat_scores(q, k, w, v))
    lengths = torch.tensor([7, 3])
    close(
        fast.predicted_positions(draw(5, 2, 3, 6), w, v, lengths=lengths),
        luong_local.predicted_positions(
            draw(5, 2, 3, 6), w, v, lengths=lengths
        ),
    )
    close(
        fast.attentional_state(draw(6, 2, 4), draw(7, 2, 2), w),
        reference.attentional_state(draw(6, 2, 4), draw(7, 2, 2), w),
    )
    places = torch.tensor([[-1.0, 0.0, 2.5], [6.0, 3.0, 9.0]])
    seen = fast.window(places, keys=7, half_width=2)
    truth = luong_local.window(places, keys=7, half_width=2)
    assert seen.tolist() == truth.tolist()


def test_the_functions_have_the_right_gradients():
    scores = draw(8, 2, 3, 5).requires_grad_()
    memory = draw(9, 2, 5, 4).requires_grad_()
    places = torch.tensor([1.3, 2.2, 3.1]).double().requires_grad_()
    mask = ragged(10, 2, 3, 5)
    mask[0, 0] = False
    assert torch.autograd.gradcheck(
        lambda s, m: tuple(fast.global_attention(s, m, mask=mask)),
        (scores, memory),
    )
    assert torch.autograd.gradcheck(
        lambda s, m, p: tuple(
            fast.predictive_attention(s, m, p, half_width=2, mask=mask)
        ),
        (scores, memory, places),
    )
    w, v = draw(11, 5, 2).requires_grad_(), draw(12, 2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, w, v: fast.predicted_positions(
            s, w, v, lengths=torch.tensor([5, 3])
        ),
        (scores, w, v),
    )


def test_only_the_gaussian_passes_a_gradient_to_the_position():
    scores, memory = draw(13, 3, 7), draw(14, 7, 5)
    places = torch.tensor([1.3, 2.2, 3.1], dtype=torch.float64)
    places.requires_grad_()
    near = fast.monotonic_attention(scores, memory, places, half_width=2)
    assert not near.context.requires_grad
    read = fast.predictive_attention(scores, memory, places, half_width=2)
    read.context.sum().backward()
    assert places.grad.abs().min() > 0


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_may_not_be_seen_has_neither_influence_nor_gradient(poison):
    scores, memory = draw(15, 3, 7), draw(16, 7, 5)
    for name, options in (
        ("global_attention", {"mask": torch.arange(7)[None] < 4}),
        ("global_attention", {"mask": (torch.arange(7) < 4).expand(3, 7)}),
        ("monotonic_attention", {"half_width": 2}),
        ("predictive_attention", {"half_width": 2}),
    ):
        places = () if name == "global_attention" else (torch.ones(3),)
        attend = getattr(fast, name)
        clean = attend(scores, memory, *places, **options).context
        soiled, spoiled = scores.clone(), memory.clone()
        soiled[:, 4:] = spoiled[4:] = poison
        soiled.requires_grad_()
        spoiled.requires_grad_()
        got = attend(soiled, spoiled, *places, **options).context
        close(got, clean)
        got.sum().backward()
        for each in (soiled.grad, spoiled.grad):
            assert torch.isfinite(each).all()
        assert not spoiled.grad[4:].any()
        assert not soiled.grad[:, 4:].any()


def test_a_weight_at_a_forbidden_place_counts_for_nothing():
    memory, mask = draw(30, 7, 5), torch.arange(7)[None] < 4
    weights = torch.where(mask, 1.0, torch.nan).expand(3, 7).double()
    weights = weights.clone().requires_grad_()
    read = fast.average_memory(weights, memory, mask=mask)
    close(read, memory[:4].sum(dim=0).expand(3, 5))
    read.sum().backward()
    assert not weights.grad[:, 4:].any()
    batch = torch.stack([mask.expand(3, 7), ~mask.expand(3, 7)])
    both = fast.average_memory(torch.ones(3, 7).double(), memory, mask=batch)
    close(both[1], memory[4:].sum(dim=0).expand(3, 5))


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("score", SCORES)
def test_padding_has_no_influence_on_an_attention(attention, score, poison):
    module = decoder(attention, score).attention
    mask = torch.arange(7) < torch.tensor([[[4]], [[0]]])
    q, memory, at = draw(31, 2, 1, 4), draw(32, 2, 7, 4), torch.tensor([1])
    inputs, found = [q.requires_grad_(), *module.parameters()], []
    for value in (0.0, poison):
        here = torch.where(mask.mT, memory, value).requires_grad_()
        read = module(q, here, at, mask=mask)
        assert not read.context[1].any()
        loss = (read.context**2).sum()
        every = torch.autograd.grad(loss, [here, *inputs], allow_unused=True)
        assert not every[0][~mask[:, 0]].any()
        found.append([read.context, read.weights, *every])
    for clean, spoiled in zip(*found, strict=True):
        assert (clean is None) or torch.equal(clean, spoiled)


def test_windows_far_away_are_as_wide_in_half_precision():
    at = torch.tensor([258.0], dtype=torch.bfloat16)
    seen = fast.window(at, keys=262, half_width=1)
    assert seen.nonzero()[:, 1].tolist() == [257, 258, 259]


def test_whole_positions_cost_no_precision():
    scores, memory = draw(33, 2, 7), draw(34, 7, 5)
    for at in (torch.tensor([1, 3]), torch.tensor([1.0, 3.0])):
        read = fast.predictive_attention(scores, memory, at, half_width=2)
        truth = luong_local.predictive_attention(
            scores, memory, at, half_width=2
        )
        close(read.weights, truth.weights)
        assert read.weights.dtype == torch.float64


@pytest.mark.parametrize("far", [1e30, torch.inf, torch.nan])
def test_a_place_outside_of_the_source_reads_zeros(far):
    at = torch.tensor([far, 3.0], requires_grad=True)
    scores, memory = torch.zeros(2, 7), torch.eye(7)
    read = fast.predictive_attention(scores, memory, at, half_width=2)
    assert not read.context[0].any()
    assert read.context[1].any()
    read.weights[:, 2].sum().backward()
    assert at.grad[0] == 0
    assert at.grad[1] != 0


def test_lengths_may_be_one_number():
    q, w, v = draw(35, 3, 5), draw(36, 5, 2), draw(37, 2)
    got = fast.predicted_positions(q, w, v, lengths=7)
    close(got, fast.predicted_positions(q, w, v, lengths=torch.tensor(7)))


# --- modules ---------------------------------------------------------------


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("score", SCORES)
def test_all_nine_decoders_are_the_references(attention, score):
    module = decoder(attention, score)
    rng = np.random.default_rng(17)
    tokens = torch.tensor(rng.integers(11, size=(2, 5)))
    state, memory = draw(18, 2, 4), draw(19, 2, 7, 4)
    lengths = torch.tensor([[7], [4]])
    for mask in (None, torch.arange(7) < lengths):
        got = module(tokens, state, memory, mask=mask)
        attend = reference_attention(
            module.attention, memory.numpy(), mask=mask
        )
        truth = luong_decoder.input_feeding_decoder(
            tokens, state, attend, to_reference(module)
        )
        close(got.logits, truth.logits)
        close(got.alignment, truth.alignment)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_steps_are_the_teacher_forced_pass(attention):
    module = decoder(attention)
    tokens, mask = torch.tensor([[2, 5, 0]]), torch.arange(7)[None] < 5
    state, memory = draw(20, 1, 4), draw(21, 1, 7, 4)
    memory[:, 5:] = torch.nan
    whole = module(tokens, state, memory, mask=mask)
    view, carried = module.begin(state, memory, mask=mask)
    assert isinstance(view, View)
    assert isinstance(carried, Carried)
    for t in range(3):
        logits, carried, alignment = module.step(tokens[:, t], view, carried)
        close(logits, whole.logits[:, t])
        close(alignment, whole.alignment[:, t])
    assert carried.position == 3


def test_leading_axes_broadcast_and_empty_ones_are_answered():
    module = decoder("local-p")
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    state, memory = draw(22, 4), draw(23, 3, 1, 7, 4)
    got = module(tokens, state, memory)
    assert got.logits.shape == (3, 2, 3, 11)
    assert got.alignment.shape == (3, 2, 3, 7)
    alone = module(tokens[1], state, memory[2, 0])
    close(got.logits[2, 1], alone.logits)
    none = module(tokens[:, :0], state, memory)
    assert none.logits.shape == (3, 2, 0, 11)
    assert none.alignment.shape == (3, 2, 0, 7)
    for attention in ATTENTIONS:
        blind = decoder(attention)(tokens, state, memory[..., :0, :])
        hidden = decoder(attention)(
            tokens, state, memory, mask=torch.zeros(7, dtype=torch.bool)
        )
        close(blind.logits, hidden.logits)
        assert not hidden.alignment.any()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_gradients_of_a_decoder_are_right(attention):
    module = decoder(attention)
    tokens, mask = torch.tensor([2, 5]), torch.arange(5) < 4
    state = draw(24, 4).requires_grad_()
    memory = draw(25, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, m: tuple(module(tokens, s, m, mask=mask)), (state, memory)
    )
    module(tokens, state, memory).logits.sum().backward()
    for name, parameter in module.named_parameters():
        if name != "embedding.weight":
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("dtype", "budget"),
    [(torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)],
)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_narrow_types_are_kept(attention, dtype, budget):
    torch.manual_seed(0)
    module = LuongDecoder(
        11,
        6,
        4,
        memory_width=4,
        attention=ATTENTIONS[attention](SCORES["concat"]()),
    ).to(dtype)
    tokens, mask = torch.tensor([[2, 5]]), torch.arange(7)[None] < 5
    state, memory = draw(26, 1, 4).to(dtype), draw(27, 1, 7, 4).to(dtype)
    got = module(tokens, state, memory, mask=mask)
    assert got.logits.dtype == got.alignment.dtype == dtype
    wide = copy.deepcopy(module).double()
    truth = wide(tokens, state.double(), memory.double(), mask=mask)
    close(got.logits.double(), truth.logits, atol=budget)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_nothing_leaves_the_device(attention, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    module = decoder(attention).to(device)
    tokens = torch.tensor([[2, 5]], device=device)
    mask = torch.arange(7, device=device)[None] < 5
    state, memory = draw(26, 1, 4), draw(27, 1, 7, 4)
    got = module(tokens, state.to(device), memory.to(device), mask=mask)
    assert got.logits.device.type == got.alignment.device.type == device
    if device == "cuda":
        here = decoder(attention)(tokens.cpu(), state, memory, mask=mask.cpu())
        close(got.logits.cpu(), here.logits)


def test_far_positions_are_told_apart_in_half_precision():
    q = torch.zeros(1, 3, dtype=torch.bfloat16)
    w, v = torch.zeros(3, 2).bfloat16(), torch.zeros(2).bfloat16()
    places = fast.predicted_positions(q, w, v, lengths=torch.tensor(603))
    assert places.item() == 301.5
    scores, memory = torch.zeros(1, 603).bfloat16(), torch.eye(603).bfloat16()
    read = fast.predictive_attention(scores, memory, places, half_width=2)
    assert read.context.dtype == torch.bfloat16
    assert read.context.nonzero()[:, 1].tolist() == [300, 301, 302, 303]


def test_a_decoder_is_saved_loaded_and_shown():
    first, second = decoder("local-p"), decoder("local-p", seed=1)
    tokens, state, memory = torch.tensor([2]), draw(28, 4), draw(29, 7, 4)
    second.load_state_dict(first.state_dict())
    assert torch.equal(
        first(tokens, state, memory).logits,
        second(tokens, state, memory).logits,
    )
    assert "half_width=2" in repr(first)
    with pytest.raises(TypeError, match="Luong's three: got Linear"):
        reference_attention(GlobalAttention(nn.Linear(4, 4)), memory)(
            state[None], [0]
        )


S, M = torch.ones(3, 7), torch.ones(7, 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fast.concat_scores(
                S[:, :4], M, torch.ones(8, 2), torch.ones(2)
            ),
            ValueError,
            r"w must have a row for each number of query and key, 4 \+ 5: "
            "got 8",
        ),
        (
            lambda: fast.global_attention(S, M[:6]),
            ValueError,
            "scores and memory must agree in keys: got scores=7, memory=6",
        ),
        (
            lambda: fast.average_memory(S, M[:6]),
            ValueError,
            "weights and memory must agree in keys: got weights=7, memory=6",
        ),
        (
            lambda: fast.average_memory(S.expand(2, 3, 7), M.expand(4, 7, 5)),
            ValueError,
            "leading axes of weights and memory must broadcast",
        ),
        (
            lambda: fast.global_attention(S.long(), M),
            TypeError,
            "scores must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda: fast.global_attention(S[0], M),
            ValueError,
            r"scores must have axes \(..., queries, keys\): got shape \(7,\)",
        ),
        (
            lambda: fast.global_attention(S, M, mask=S[0] > 0),
            ValueError,
            r"mask must have axes \(..., queries, keys\): got shape \(7,\)",
        ),
        (
            lambda: fast.window(torch.tensor(1.0), keys=3, half_width=1),
            ValueError,
            r"positions must have axes \(..., queries\): got shape \(\)",
        ),
        (
            lambda: fast.window([1.0], keys=3, half_width=1),
            TypeError,
            "positions must be a tensor of numbers: got list",
        ),
        (
            lambda: fast.predicted_positions(
                S, torch.ones(7), torch.ones(2), lengths=7
            ),
            ValueError,
            r"w must have axes \(..., dim, hidden\): got shape \(7,\)",
        ),
        (
            lambda: fast.predicted_positions(
                S, torch.ones(7, 2), torch.ones(2), lengths=torch.tensor(2.5)
            ),
            TypeError,
            "lengths must be a tensor of whole numbers: got torch.float32",
        ),
        (
            lambda: fast.predicted_positions(
                S.expand(2, 3, 7),
                torch.ones(7, 2),
                torch.ones(2),
                lengths=torch.tensor([7, 7, 7]),
            ),
            ValueError,
            "leading axes of q and lengths must broadcast",
        ),
        (
            lambda: fast.concat_scores(
                torch.ones(2, 3, 4),
                torch.ones(5, 3, 4),
                torch.ones(8, 2),
                torch.ones(2),
            ),
            ValueError,
            "leading axes of q and k must broadcast",
        ),
        (
            lambda: fast.concat_scores(
                S[:, :2], M[:, :2], torch.ones(4, 2), torch.ones(3)
            ),
            ValueError,
            "w and v_score must agree in hidden: got w=2, v_score=3",
        ),
        (
            lambda: fast.attentional_state(
                torch.ones(2, 3), torch.ones(4, 3), torch.ones(6, 2)
            ),
            ValueError,
            "leading axes of context and state must broadcast",
        ),
        (
            lambda: fast.attentional_state(
                torch.ones(3), torch.ones(3), torch.ones(6, 2, 2)
            ),
            ValueError,
            r"w must have two axes: got shape \(6, 2, 2\)",
        ),
        (
            lambda: GeneralScore(3, 4)(torch.ones(2, 4), torch.ones(5, 4)),
            ValueError,
            "q and map must agree in dim: got q=4, map=3",
        ),
        (
            lambda: GeneralScore(3, 4)(torch.ones(2, 3), torch.ones(5, 3)),
            ValueError,
            "k and map must agree in memory_width: got k=3, map=4",
        ),
        (
            lambda: ConcatScore(3, 0, hidden=2),
            ValueError,
            "memory_width must be at least 1: got 0",
        ),
        (
            lambda: GlobalAttention(DotScore())(
                S, M.expand(4, 7, 5), S, mask=S > 0
            ),
            ValueError,
            "q and k must agree in dim: got q=7, k=5",
        ),
        (
            lambda: GlobalAttention(DotScore())(
                S[:, :5], M, S, mask=S[:, :6] > 0
            ),
            ValueError,
            "memory and mask must agree in keys: got memory=7, mask=6",
        ),
        (
            lambda: to_reference(nn.Linear(2, 3)),
            TypeError,
            "the decoder must be a LuongDecoder: got Linear",
        ),
        (
            lambda: reference_attention(nn.Linear(2, 3), M),
            TypeError,
            "the attention must be one of Luong's three: got Linear",
        ),
        (
            lambda: decoder()(torch.tensor([11]), draw(1, 4), draw(2, 7, 4)),
            ValueError,
            "tokens must lie in the vocabulary, 0 to 10: got 11",
        ),
        (
            lambda: decoder()(torch.tensor(1), draw(1, 4), draw(2, 7, 4)),
            ValueError,
            r"tokens must have axes \(..., targets\): got shape \(\)",
        ),
        (
            lambda: decoder()(torch.tensor([1]), draw(1, 5), draw(2, 7, 4)),
            ValueError,
            "state and cell must agree in width: got state=5, cell=4",
        ),
        (
            lambda: decoder()(torch.tensor([1]), draw(1, 4), draw(2, 7, 5)),
            ValueError,
            "memory and join must agree in width: got memory=9, join=8",
        ),
        (
            lambda: decoder()(
                torch.tensor([[1], [2]]), draw(1, 3, 4), draw(2, 7, 4)
            ),
            ValueError,
            "leading axes of tokens and state and memory must broadcast",
        ),
        (
            lambda: fast.global_attention(S, M, mask=torch.ones(7, 3) > 0),
            ValueError,
            r"mask must fit the scores, shape \(\.\.\., queries, keys\) = "
            r"\(\.\.\., 3, 7\): got \(7, 3\)",
        ),
        (
            lambda: fast.global_attention(S, M, mask=torch.ones(3, 7)),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: fast.average_memory(
                S.expand(2, 3, 7), M.expand(4, 7, 5), mask=S > 0
            ),
            ValueError,
            "leading axes of weights and memory and mask must broadcast",
        ),
        (
            lambda: fast.monotonic_attention(
                S, M, torch.ones(2), half_width=1
            ),
            ValueError,
            "scores and positions must agree in queries: "
            "got scores=3, positions=2",
        ),
        (
            lambda: fast.predictive_attention(
                S, M, torch.ones(3), half_width=0
            ),
            ValueError,
            "half_width must be at least 1: got 0",
        ),
        (
            lambda: PredictiveAttention(
                DotScore(), half_width=0, width=4, hidden=2
            ),
            ValueError,
            "half_width must be at least 1: got 0",
        ),
        (
            lambda: MonotonicAttention(DotScore(), half_width=-1),
            ValueError,
            "half_width must be at least 0: got -1",
        ),
        (
            lambda: fast.predicted_positions(
                S, torch.ones(6, 2), torch.ones(2), lengths=torch.tensor(7)
            ),
            ValueError,
            "q and w must agree in dim: got q=7, w=6",
        ),
        (
            lambda: fast.attentional_state(
                torch.ones(3), torch.ones(4), torch.ones(6, 2)
            ),
            ValueError,
            r"w must have a row for each number of context and state, 4 \+ 3: "
            "got 6",
        ),
        (
            lambda: DotScore()(S, M),
            ValueError,
            "q and k must agree in dim: got q=7, k=5",
        ),
        (
            lambda: decoder().begin(
                torch.ones(4), torch.ones(7, 4), mask=torch.ones(6) > 0
            ),
            ValueError,
            "memory and mask must agree in keys: got memory=7, mask=6",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- it learns -------------------------------------------------------------

LENGTH, WORDS = 5, 9  # the start token is 0


def copies(count, generator):
    source = torch.randint(1, WORDS, (count, LENGTH), generator=generator)
    return source, F.pad(source[:, :-1], (1, 0))


def trained(seed, attention, *, steps=250):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    writer = LuongDecoder(WORDS, 16, 32, memory_width=48, attention=attention)
    model = Translator(Encoder(WORDS, 16, 24, state_width=32), writer)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(steps):
        source, heard = copies(32, generator)
        logits = model(source, heard).logits
        loss = F.cross_entropy(logits.flatten(0, 1), source.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def test_a_local_decoder_learns_to_copy_and_looks_along_the_diagonal():
    attention = MonotonicAttention(GeneralScore(32, 48), half_width=1)
    model = trained(0, attention)
    source, heard = copies(200, torch.Generator().manual_seed(10**6))
    said = model.greedy(source, start=0, steps=LENGTH)
    # Six seeds: 0.965 to 0.995 exact, and 0.88 to 0.94 on the diagonal.
    assert (said == source).all(dim=1).float().mean() >= 0.9
    alignment = model(source, heard).alignment
    diagonal = alignment.diagonal(dim1=1, dim2=2)
    assert diagonal.mean() >= 0.7
