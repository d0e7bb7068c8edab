"""Tuned torch models against plain matrices and the reference."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attncourse.fast.layers import DecoderOnly, PreNormEncoderLayer
from attncourse.fast.lora import (
    Adapted,
    Adapter,
    LowRankLinear,
    add_adapters,
    add_lora,
    merged,
    replace_layers,
    trained_count,
)
from attncourse.fast.lora_adaptive import (
    AdaptiveLinear,
    Budget,
    RankAllocator,
    add_adaptive_lora,
    orthogonality_penalty,
)
from attncourse.reference import lora as reference


def draw(seed, *shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def shaken(module, seed=0):
    """Return the module with every trained number random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for x in module.parameters():
            if x.requires_grad:
                x.normal_(generator=generator)
    return module


def stack(seed=0):
    torch.manual_seed(seed)
    layers = [PreNormEncoderLayer(6, heads=2, hidden=11) for _ in range(2)]
    return DecoderOnly(layers, nn.LayerNorm(6)).double().eval()


def trained_names(model):
    return [name for name, x in model.named_parameters() if x.requires_grad]


def train(model, x, y, *, steps, rate=0.05):
    chosen = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(chosen, lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimiser.step()
    return loss.item()


# --- LoRA ------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_a_low_rank_linear_map_is_the_reference(bias):
    layer = shaken(
        LowRankLinear(nn.Linear(7, 5, bias=bias).double(), rank=3, alpha=2.0)
    )
    x = draw(1, 2, 4, 7)
    update = reference.LowRank(
        layer.down.T.detach(), layer.up.T.detach(), layer.alpha
    )
    weight = layer.base.weight.T.detach()
    shift = layer.bias.detach() if bias else None
    expected = reference.lora_project(x, weight, update, shift)
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-12)
    np.testing.assert_allclose(
        layer.weight.detach().T,
        reference.merge_lora(weight, update),
        atol=1e-12,
    )
    upstream = draw(2, 2, 4, 5)
    layer(x).backward(upstream)
    got = reference.lora_backward(x, weight, update, upstream)
    np.testing.assert_allclose(layer.down.grad.T, got.down, atol=1e-12)
    np.testing.assert_allclose(layer.up.grad.T, got.up, atol=1e-12)
    assert layer.base.weight.grad is None


def test_gradients_are_those_of_finite_differences():
    layer = shaken(LowRankLinear(nn.Linear(3, 2).double(), rank=2, alpha=1.0))
    names = ("down", "up")

    def call(x, *numbers):
        return torch.func.functional_call(
            layer, dict(zip(names, numbers, strict=True)), (x,)
        )

    inputs = (
        draw(1, 4, 3).requires_grad_(),
        layer.down.detach().clone().requires_grad_(),
        layer.up.detach().clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(call, inputs)


def test_a_model_starts_as_it_was_and_trains_the_updates_only():
    model = stack()
    before, x = copy.deepcopy(model), draw(1, 2, 5, 6)
    add_lora(model, "*.query", "*.value", rank=2, alpha=4.0)
    assert torch.equal(model(x), before(x))
    assert sorted(trained_names(model)) == sorted(
        f"layers.{n}.attention.{part}.{matrix}"
        for n in range(2)
        for part in ("query", "value")
        for matrix in ("down", "up")
    )
    # Two layers, two maps, two matrices of two by six numbers.
    assert trained_count(model) == 2 * 2 * 2 * 12
    assert trained_count(model) == 4 * reference.lora_count(
        width=6, out_width=6, rank=2
    )


def test_training_reaches_a_target_of_its_rank_and_leaves_the_rest_alone():
    torch.manual_seed(0)
    base = nn.Linear(7, 5).double()
    change = draw(1, 5, 2) @ draw(2, 2, 7)
    x = draw(3, 64, 7)
    y = F.linear(x, base.weight + change, base.bias).detach()
    model = nn.Sequential(base)
    frozen = {n: p.clone() for n, p in base.state_dict().items()}
    add_lora(model, "0", rank=2, alpha=2.0)
    assert train(model, x, y, steps=600) < 1e-6
    for name, number in base.state_dict().items():
        assert torch.equal(number, frozen[name])
    # A rank of one cannot: what is left is the second singular value.
    narrow = add_lora(
        nn.Sequential(copy.deepcopy(base)), "0", rank=1, alpha=1.0
    )
    assert train(narrow, x, y, steps=600) > 0.05


def test_a_transformer_is_tuned_and_its_frozen_numbers_stay_bit_for_bit():
    model, target = stack(0), stack(1)
    before = {name: x.clone() for name, x in model.state_dict().items()}
    add_lora(model, "*attention.*", "*feed_forward.*", rank=3, alpha=3.0)
    x = draw(1, 4, 5, 6)
    with torch.no_grad():
        y = target(x)
        start = F.mse_loss(model(x), y).item()
    assert train(model, x, y, steps=60) < 0.5 * start
    after = model.state_dict()
    for name, number in before.items():
        kept = after.get(name)
        if kept is None:  # it has moved into the wrapper
            parent, _, last = name.rpartition(".")
            kept = after[f"{parent}.base.{last}"]
        assert torch.equal(kept, number), name


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_merged_model_is_the_tuned_one_with_its_first_names(adaptive):
    model = stack()
    names, x = list(model.state_dict()), draw(1, 2, 5, 6)
    if adaptive:
        add_adaptive_lora(model, "*.query", "*.inner", rank=2)
    else:
        add_lora(model, "*.query", "*.inner", rank=2, alpha=4.0)
    shaken(model)
    kept = {
        name: number.clone() for name, number in model.state_dict().items()
    }
    plain = merged(model)
    torch.testing.assert_close(plain(x), model(x), rtol=0, atol=1e-12)
    assert list(plain.state_dict()) == names
    stack().load_state_dict(plain.state_dict())
    for name, number in model.state_dict().items():
        assert torch.equal(number, kept[name])
    alone = merged(model.layers[0].attention.query)
    assert type(alone) is nn.Linear


def test_a_tuned_model_goes_through_its_state_dict():
    one = shaken(add_lora(stack(), "*.key", rank=2, alpha=4.0), 1)
    two = shaken(add_lora(stack(1), "*.key", rank=2, alpha=4.0), 2)
    two.load_state_dict(one.state_dict())
    x = draw(1, 5, 6)
    assert torch.equal(one(x), two(x))
    assert "rank=2, alpha=4.0" in repr(one)


def test_the_same_seed_starts_the_same_update():
    torch.manual_seed(3)
    one = LowRankLinear(nn.Linear(400, 50), rank=20, alpha=1.0)
    torch.manual_seed(3)
    two = LowRankLinear(nn.Linear(400, 50), rank=20, alpha=1.0)
    assert torch.equal(one.down, two.down)
    assert one.down.std().item() == pytest.approx(1 / 20, rel=0.05)
    assert not one.up.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_updates_have_the_dtype_of_their_layer(dtype):
    layer = LowRankLinear(nn.Linear(6, 5).to(dtype), rank=2, alpha=1.0)
    assert layer.down.dtype == layer.up.dtype == dtype
    assert layer(draw(1, 3, 6, dtype=dtype)).dtype == dtype
    adaptive = AdaptiveLinear(nn.Linear(6, 5).to(dtype), rank=2)
    assert adaptive(draw(1, 0, 6, dtype=dtype)).shape == (0, 5)
    assert adaptive.values.dtype == dtype
    model = nn.Sequential(nn.Linear(6, 6)).to(dtype)
    add_adapters(model, "0", width=6, hidden=2)
    assert model(draw(1, 3, 6, dtype=dtype)).dtype == dtype


def test_torchs_own_attention_can_be_tuned():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(6, 2, batch_first=True).double()
    x = draw(1, 2, 5, 6)
    expected, _ = theirs(x, x, x)
    add_lora(theirs, "out_proj", rank=2, alpha=1.0)
    got, _ = theirs(x, x, x)
    torch.testing.assert_close(got, expected)
    with torch.no_grad():
        theirs.out_proj.up.normal_()
    changed, _ = theirs(x, x, x)
    plain, _ = merged(theirs)(x, x, x)
    torch.testing.assert_close(changed, plain)
    assert (changed - expected).abs().max() > 0.01


def test_updates_can_be_added_one_after_another():
    model = stack()
    add_lora(model, "*.query", rank=2, alpha=1.0)
    add_lora(model, "*.key", rank=2, alpha=1.0)
    assert len(trained_names(model)) == 8
    # What an update wraps is not wrapped again.
    add_lora(model, "*.value", "*attention.*", rank=1, alpha=1.0)
    assert isinstance(model.layers[0].attention.query.base, nn.Linear)
    assert len(trained_names(model)) == 16


def test_a_layer_with_two_names_stays_one_layer():
    shared = nn.Linear(6, 6).double()
    deeper = nn.Sequential(shared)
    model = nn.Sequential(shared, shared, deeper)
    add_lora(model, "0", "1", "2.0", rank=2, alpha=1.0)
    assert model[0] is model[1]
    assert model[0] is model[2][0]
    assert trained_count(model) == 24
    shaken(model)
    plain, x = merged(model), draw(1, 3, 6)
    assert plain[0] is plain[1]
    assert plain[0] is plain[2][0]
    assert type(plain[0]) is nn.Linear
    torch.testing.assert_close(plain(x), model(x))


def test_a_matrix_that_an_embedding_shares_is_left_to_it():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 5)
            self.head = nn.Linear(5, 7)
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            return self.head(self.embed(tokens))

    model = shaken(add_lora(Tied(), "head", rank=2, alpha=1.0))
    tokens = torch.tensor([3, 0, 6])
    plain = merged(model)
    assert torch.equal(plain.embed.weight, model.embed.weight)
    torch.testing.assert_close(plain(tokens), model(tokens))


def test_a_model_may_have_a_part_called_base():
    model = nn.ModuleDict(
        {"base": nn.Linear(6, 5), "weight": nn.ReLU(), "head": nn.Linear(5, 3)}
    )
    add_lora(model, "head", rank=2, alpha=1.0)
    assert trained_names(model) == ["head.down", "head.up"]
    plain = merged(model)
    assert sorted(plain) == ["base", "head", "weight"]
    assert type(plain["head"]) is nn.Linear


def test_layers_are_replaced_by_name_and_the_rest_is_frozen():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    seen = []

    def wrapped(layer):
        seen.append(layer)
        return nn.Linear(5, 2)

    last = model[2]
    got = replace_layers(model, ("2",), wrapped, kind=nn.Linear)
    assert got is model
    assert seen == [last]
    assert model(torch.ones(4, 6)).shape == (4, 2)
    assert trained_names(model) == ["2.weight", "2.bias"]


# --- adapters --------------------------------------------------------------


def test_an_adapter_is_the_reference_and_starts_near_the_identity():
    torch.manual_seed(0)
    module, x = Adapter(50, hidden=40).double(), draw(1, 3, 50)
    assert 0 < (module(x) - x).abs().max() < 0.02
    for layer in (module.down, module.up):
        assert layer.weight.abs().max() <= 0.02
        assert layer.weight.std().item() == pytest.approx(0.0088, rel=0.05)
        assert not layer.bias.any()
    shaken(module)
    weights = reference.AdapterWeights(
        module.down.weight.T.detach(),
        module.down.bias.detach(),
        module.up.weight.T.detach(),
        module.up.bias.detach(),
    )
    np.testing.assert_allclose(
        module(x).detach(), reference.adapter(x, weights), atol=1e-9
    )


def test_adapters_stand_behind_sublayers_and_train_alone():
    model, x = stack(), draw(1, 2, 5, 6)
    layer = model.layers[0]
    add_adapters(model, "*.attention", "*.feed_forward", width=6, hidden=2)
    assert isinstance(layer.attention, Adapted)
    assert all(".adapter." in name for name in trained_names(model))
    assert trained_count(model) == 4 * reference.adapter_count(
        width=6, hidden=2
    )
    shaken(model)
    y, normal = x[0], layer.norm_attention(x[0])
    y = y + layer.attention.adapter(layer.attention.base(normal))
    hidden = layer.feed_forward.base(layer.norm_feed_forward(y))
    y = y + layer.feed_forward.adapter(hidden)
    torch.testing.assert_close(layer(x[0]), y)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    assert layer(x, mask=causal).shape == x.shape


# --- AdaLoRA ---------------------------------------------------------------


def test_an_adaptive_map_is_the_reference():
    layer = shaken(AdaptiveLinear(nn.Linear(7, 5).double(), rank=3))
    x = draw(1, 2, 4, 7)
    update = reference.Triplets(
        layer.right.T.detach(), layer.values.detach(), layer.left.T.detach()
    )
    weight = layer.base.weight.T.detach()
    expected = reference.adaptive_project(
        x, weight, update, layer.bias.detach()
    )
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-12)
    torch.testing.assert_close(F.linear(x, layer.weight, layer.bias), layer(x))
    penalty = orthogonality_penalty(nn.Sequential(layer, nn.ReLU(), layer))
    assert penalty.item() == pytest.approx(
        reference.orthogonality_penalty(update)
    )


def test_the_allocator_keeps_what_the_reference_would():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    shaken(add_adaptive_lora(model, "*", rank=3))
    budget = Budget(first=6, last=2, steps=6, warm=1, final=1)
    allocator = RankAllocator(model, budget, keep=0.7, keep_uncertainty=0.6)
    optimiser = torch.optim.SGD(
        [x for x in model.parameters() if x.requires_grad], lr=0.01
    )
    layers = [model[0], model[2]]
    states = [dict.fromkeys(("left", "values", "right")) for _ in layers]
    for step in range(7):
        optimiser.zero_grad()
        model(draw(step, 4, 7)).square().sum().backward()
        allocator.measure()
        importances = []
        for layer, state in zip(layers, states, strict=True):
            scores = {}
            for part in state:
                x = getattr(layer, part)
                now = reference.sensitivity(x.detach(), x.grad)
                state[part] = reference.smooth(
                    state[part], now, keep=0.7, keep_uncertainty=0.6
                )
                scores[part] = np.multiply(*state[part])
            importances.append(
                reference.importance(reference.Triplets(**scores))
            )
        optimiser.step()
        before = [layer.values.detach().clone() for layer in layers]
        masks = allocator.step(step)
        expected = reference.allocate(importances, budget=budget.at(step))
        for layer, mask, want, value in zip(
            layers, masks, expected, before, strict=True
        ):
            assert mask.tolist() == want.tolist()
            assert torch.equal(layer.values, value * mask)
    assert sum(mask.sum().item() for mask in masks) == 2


def test_means_of_half_numbers_are_kept_in_single_precision():
    layer = AdaptiveLinear(nn.Linear(6, 5).bfloat16(), rank=2)
    allocator = RankAllocator(layer, Budget(2, 1, 9, 0, 0))
    layer(draw(1, 3, 6, dtype=torch.bfloat16)).sum().backward()
    allocator.measure()
    for mean, varies in allocator.means[0].values():
        assert mean.dtype == varies.dtype == torch.float32
    assert sum(mask.sum() for mask in allocator.step(9)) == 1
    layer.values.grad.fill_(torch.nan)
    allocator.measure()
    with pytest.raises(
        ValueError, match="importances must be numbers: got 2 NaN"
    ):
        allocator.step(9)


def test_the_budget_goes_to_the_matrix_that_needs_it():
    torch.manual_seed(1)
    model = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)]).double()
    needs = draw(1, 6, 2) @ draw(2, 2, 6)  # the first map lacks rank two
    x = draw(3, 64, 6)
    with torch.no_grad():
        y = F.linear(x, model[0].weight + needs, model[0].bias), model[1](x)
    add_adaptive_lora(model, "*", rank=3)
    budget = Budget(first=6, last=2, steps=300, warm=30, final=120)
    allocator = RankAllocator(model, budget)
    optimiser = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], lr=0.05
    )
    for step in range(300):
        optimiser.zero_grad()
        loss = sum(F.mse_loss(model[n](x), y[n]) for n in range(2))
        (loss + 0.1 * orthogonality_penalty(model)).backward()
        allocator.measure()
        optimiser.step()
        masks = allocator.step(step)
    assert [mask.sum().item() for mask in masks] == [2, 0]
    assert loss.item() < 0.02


# --- contract --------------------------------------------------------------


def linear_model():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: add_lora(m, "*.query", rank=2, alpha=1.0),
            ValueError,
            r"a pattern must name a Linear of the model: "
            r"got '\*.query' among \['0', '2'\]",
        ),
        (
            lambda m: add_lora(m, "0", "9", rank=2, alpha=1.0),
            ValueError,
            "got '9' among",
        ),
        (
            lambda m: add_lora(m, "1", rank=2, alpha=1.0),
            ValueError,
            "got '1' among",
        ),
        (
            lambda m: add_lora(m, rank=2, alpha=1.0),
            ValueError,
            "got '' among",
        ),
        (
            lambda m: add_lora(m, "*", rank=4, alpha=1.0),
            ValueError,
            "rank must be at most the smaller width: "
            "got rank=4, width=5, out_width=3",
        ),
        (
            lambda m: add_adaptive_lora(m, "0", rank=0),
            ValueError,
            "rank must be at least 1: got 0",
        ),
        (
            lambda m: LowRankLinear(m[1], rank=1, alpha=1.0),
            TypeError,
            "base must be an nn.Linear: got ReLU",
        ),
        (
            lambda m: add_adapters(
                nn.Sequential(m), "0", "0.1", width=3, hidden=2
            ),
            ValueError,
            "no replaced layer may hold another: got '0' and '0.1'",
        ),
        (
            lambda m: add_adapters(m, "0", width=5, hidden=0),
            ValueError,
            "hidden must be at least 1: got 0",
        ),
        (
            lambda m: orthogonality_penalty(m),
            ValueError,
            "model must have layers with triplets: got none",
        ),
        (
            lambda m: RankAllocator(
                add_adaptive_lora(m, "0", rank=2), Budget(2, 3, 9, 1, 1)
            ),
            ValueError,
            "budget must fall, between warm and final steps: got first=2",
        ),
        (
            lambda m: RankAllocator(
                add_adaptive_lora(m, "0", rank=2),
                Budget(2, 1, 9, 1, 1),
                keep=1.0,
            ),
            ValueError,
            "keep must be at least 0 and below 1: got 1.0",
        ),
        (
            lambda m: RankAllocator(
                add_adaptive_lora(m, "0", rank=2),
                Budget(2, 1, 9, 1, 1),
                keep_uncertainty="0.5",
            ),
            TypeError,
            "keep_uncertainty must be a number: got '0.5'",
        ),
        (
            lambda m: add_lora(m, "0", rank=2, alpha="4"),
            TypeError,
            "alpha must be a number: got '4'",
        ),
        (
            lambda m: add_lora(m, "0", rank=2, alpha=float("nan")),
            ValueError,
            "alpha must be one finite number: got nan",
        ),
        (
            lambda m: RankAllocator(
                add_adaptive_lora(m, "0", rank=2), Budget(2, 1, 9, 1, 1)
            ).measure(),
            ValueError,
            "triplets must have gradients: got none; call backward first",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    model = linear_model()
    with pytest.raises(error, match=message):
        call(model)


def test_a_refused_pattern_leaves_the_model_as_it_was():
    model = linear_model()
    for patterns, rank in ((("0", "9"), 2), (("*",), 4)):
        with pytest.raises(ValueError, match="must"):
            add_lora(model, *patterns, rank=rank, alpha=1.0)
        assert type(model[0]) is nn.Linear
        assert trained_count(model) == 6 * 5 + 5 + 5 * 3 + 3
