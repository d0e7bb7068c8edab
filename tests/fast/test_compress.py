"""Masks and eight bits in torch against the reference and arithmetic."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast import compress, dense
from attncourse.fast.compress import (
    Quantised,
    QuantisedCache,
    cache_attention,
    cache_bytes,
    dequantise,
    error_bound,
    global_masks,
    head_mask,
    int8_product,
    magnitude_mask,
    n_of_m_mask,
    prune,
    quantise,
    quantise_affine,
    quantise_cache,
    row_mask,
    threshold_mask,
)
from attncourse.fast.compress_layers import (
    Int8Linear,
    Masked,
    QuantisedLinear,
    apply_mask,
    make_permanent,
    prune_model,
    quantise_model,
)
from attncourse.fast.layers import DecoderOnly, PreNormEncoderLayer
from attncourse.fast.lora import replace_layers
from attncourse.fast.masks import causal_mask
from attncourse.reference import compress as reference

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def stack():
    torch.manual_seed(0)
    layers = [PreNormEncoderLayer(6, heads=2, hidden=11) for _ in range(2)]
    return DecoderOnly(layers, nn.LayerNorm(6)).double().eval()


# --- masks -----------------------------------------------------------------


@given(
    st.lists(
        st.lists(st.integers(-3, 3).map(float), max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 25),
)
@quick
def test_masks_are_those_of_the_reference_ties_included(matrices, keep):
    arrays = [np.array(each, np.float64) for each in matrices]
    got = global_masks([torch.from_numpy(each) for each in arrays], keep=keep)
    expected = reference.global_masks(arrays, keep=keep)
    for one, other in zip(got, expected, strict=True):
        assert one.tolist() == other.tolist()


@given(seeds)
@quick
def test_structured_masks_are_those_of_the_reference(seed):
    w = draw(seed, 5, 12)
    rows = reference.row_mask(w, keep=2)
    assert row_mask(w, keep=2).tolist() == rows.tolist()
    heads = reference.head_mask(w.T, heads=3, keep=2)
    assert head_mask(w, heads=3, keep=2).tolist() == heads.tolist()
    for keep, of in ((2, 4), (1, 2), (0, 3), (4, 4)):
        got = n_of_m_mask(w, keep=keep, of=of)
        expected = reference.n_of_m_mask(w, keep=keep, of=of)
        np.testing.assert_array_equal(got, expected)


def test_thresholds_and_pruned_weights_are_those_of_the_reference():
    w = draw(1, 5, 7)
    w[2, 3] = -0.75
    mask = threshold_mask(w, threshold=0.75)
    assert mask[2, 3]
    expected = reference.threshold_mask(w, threshold=0.75)
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(prune(w, mask), reference.prune(w, expected))
    spoiled = w.masked_fill(~mask, torch.nan).requires_grad_()
    assert torch.equal(prune(spoiled, mask), prune(w, mask))
    prune(spoiled, mask).sum().backward()
    assert torch.equal(spoiled.grad, mask.double())
    assert torch.autograd.gradcheck(
        lambda x: prune(x, mask), w.requires_grad_()
    )


def test_the_length_of_a_huge_row_does_not_overflow():
    rows = 1e30 * torch.tensor([[3.0, 4.0], [0.0, 6.0], [1.0, 1.0]])
    assert row_mask(rows, keep=1).tolist() == [False, True, False]


def test_masks_of_nothing_are_empty():
    assert global_masks([], keep=3) == []
    assert magnitude_mask(torch.zeros(3, 0), keep=2).shape == (3, 0)
    assert n_of_m_mask(torch.zeros(0, 4)).shape == (0, 4)
    assert n_of_m_mask(torch.zeros(3, 0)).shape == (3, 0)
    assert row_mask(torch.zeros(0, 4), keep=1).tolist() == []


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_mask_stays_while_the_layer_trains(decay):
    torch.manual_seed(0)
    layer = nn.Linear(7, 5).double()
    mask = magnitude_mask(layer.weight, keep=11)
    start = layer.weight.detach().clone()
    apply_mask(layer, mask)
    optimiser = torch.optim.AdamW(
        layer.parameters(), lr=0.05, weight_decay=decay
    )
    x, y = draw(1, 32, 7), draw(2, 32, 5)
    for _ in range(20):
        optimiser.zero_grad()
        F.mse_loss(layer(x), y).backward()
        optimiser.step()
        assert not layer.weight[~mask].any()
    assert (layer.weight[mask] != start[mask]).all()
    gradient = layer.parametrizations.weight.original.grad
    assert not gradient[~mask].any()
    expected = layer(x)
    make_permanent(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
    assert not layer.weight[~mask].any()


def test_gradients_through_a_mask_are_those_of_finite_differences():
    mask = magnitude_mask(draw(1, 3, 4), keep=5)
    weights = draw(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(Masked(mask), weights)


def test_a_whole_model_is_pruned_to_an_exact_count_and_still_runs():
    model, x = stack(), draw(1, 2, 5, 6)
    whole = model(x)
    maps = [m for m in model.modules() if isinstance(m, nn.Linear)]
    total = sum(each.weight.numel() for each in maps)
    assert total == 2 * (4 * 36 + 2 * 66)
    smaller = prune_model(copy.deepcopy(model), keep=300)
    maps = [m for m in smaller.modules() if isinstance(m, nn.Linear)]
    assert sum(int(each.weight.count_nonzero()) for each in maps) == 300
    everything = prune_model(copy.deepcopy(model), keep=total)
    torch.testing.assert_close(everything(x), whole, rtol=0, atol=0)
    assert (smaller(x) - whole).abs().max() > 1e-3
    expected = smaller(x)
    make_permanent(smaller)
    torch.testing.assert_close(smaller(x), expected, rtol=0, atol=0)
    assert set(smaller.state_dict()) == set(model.state_dict())


def test_masks_multiply_and_go_through_the_state_dict():
    layer = nn.Linear(4, 3)
    apply_mask(layer, torch.tensor([[True], [False], [True]]))
    apply_mask(layer, torch.tensor([True, True, False, True]))
    assert layer.weight.count_nonzero() == 6
    other = nn.Linear(4, 3)
    apply_mask(other, torch.ones(3, 4, dtype=torch.bool))
    apply_mask(other, torch.ones(3, 4, dtype=torch.bool))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.weight, layer.weight)


def test_a_head_without_columns_is_silent():
    model = stack().layers[0].attention
    x = draw(1, 5, 6)
    mask = head_mask(model.output.weight, heads=2, keep=1)
    apply_mask(model.output, mask.repeat_interleave(3))
    silent = int((~mask).nonzero())
    with torch.no_grad():
        model.value.weight[3 * silent : 3 * silent + 3] = 99.0
        got = model(x)
        model.value.weight[3 * silent : 3 * silent + 3] = -7.0
    torch.testing.assert_close(model(x), got, rtol=0, atol=0)


# --- eight bits ------------------------------------------------------------


@given(seeds, st.sampled_from([None, 0, -1, (0, 1)]))
@quick
def test_codes_are_those_of_the_reference(seed, axis):
    x = draw(seed, 2, 3, 5) * 10.0 ** (seed % 7 - 3)
    for mine, theirs in (
        (quantise, reference.quantise),
        (quantise_affine, reference.quantise_affine),
    ):
        got, expected = mine(x, axis=axis), theirs(x, axis=axis)
        np.testing.assert_array_equal(got.codes, expected.codes)
        np.testing.assert_array_equal(got.zero, expected.zero)
        np.testing.assert_allclose(got.scale, expected.scale, rtol=1e-15)
        assert (
            (dequantise(got) - x).abs() <= error_bound(got) * (1 + 1e-9)
        ).all()
        np.testing.assert_allclose(error_bound(got), got.scale / 2)


@pytest.mark.parametrize("function", [quantise, quantise_affine])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32]
)
def test_no_number_moves_by_more_than_half_a_step(function, dtype):
    x = draw(1, 40, 30).to(dtype)
    got = function(x, axis=1)
    assert got.codes.dtype == torch.int8
    assert got.scale.dtype == torch.float32
    error = (dequantise(got).double() - x.double()).abs()
    assert (error <= got.scale.double() / 2 * (1 + 1e-4)).all()


def test_halves_go_to_the_even_neighbour():
    x = torch.tensor([127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    assert quantise(x).codes.tolist() == [127, 0, 2, 2, 0, -2, -2]


@pytest.mark.parametrize("function", [quantise, quantise_affine])
def test_zeros_nothing_and_the_smallest_numbers_have_codes(function):
    got = function(torch.zeros(3, 4), axis=1)
    assert got.scale.flatten().tolist() == [1.0] * 3
    assert not dequantise(got).any()
    for shape, axis, scale in (
        ((0,), None, (1,)),
        ((3, 0), -1, (3, 1)),
        ((0, 3), 0, (1, 3)),
        ((0, 3), 1, (0, 1)),
    ):
        got = function(torch.zeros(shape), axis=axis)
        assert got.codes.shape == shape
        assert got.scale.shape == got.zero.shape == scale
    tiny = torch.finfo(torch.float32).tiny
    assert dequantise(function(torch.tensor([tiny]))).item() == 0.0
    assert function(torch.tensor(3.0)).codes.shape == ()
    x = draw(1, 5, 7).mT
    before = x.clone()
    np.testing.assert_array_equal(
        function(x).codes, function(x.contiguous()).codes
    )
    assert torch.equal(x, before)


@given(seeds)
@quick
def test_products_are_those_of_the_numbers_that_codes_stand_for(seed):
    x, w = draw(seed, 2, 3, 5), draw(seed + 1, 5, 7)
    for left in (quantise(x), quantise(x, axis=-1), quantise_affine(x)):
        for right in (quantise(w), quantise(w, axis=0)):
            got = int8_product(left, right)
            exact = dequantise(left) @ dequantise(right)
            torch.testing.assert_close(got, exact, rtol=0, atol=1e-12)


def test_sums_of_the_longest_product_do_not_overflow():
    inner = 33025
    one, low = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), -128)
    codes = torch.full((1, inner), 127, dtype=torch.int8)
    got = int8_product(
        Quantised(codes, one, low), Quantised(codes.T, one, low)
    )
    assert got.item() == inner * 255 * 255
    longer = torch.ones(1, inner + 1, dtype=torch.int8)
    with pytest.raises(ValueError, match="inner must be at most 33025"):
        int8_product(
            Quantised(longer, one, low), Quantised(longer.T, one, low)
        )


@pytest.mark.parametrize("bias", [True, False])
def test_a_quantised_map_is_near_its_own_and_smaller(bias):
    torch.manual_seed(0)
    base = nn.Linear(64, 48, bias=bias)
    x = draw(1, 7, 64, dtype=torch.float32)
    layer = QuantisedLinear(base)
    step = layer.scale / 2
    bound = x.abs().sum(dim=-1, keepdim=True) * step.T
    assert ((layer(x) - base(x)).abs() <= bound + 1e-5).all()
    assert ((layer.weight - base.weight).abs() <= step * 1.0001).all()
    held = sum(each.numel() * each.element_size() for each in layer.buffers())
    assert held == 64 * 48 + 4 * 48 + (4 * 48 if bias else 0)
    assert list(layer.parameters()) == []
    again = QuantisedLinear(nn.Linear(64, 48, bias=bias))
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(x), layer(x))
    assert "in_features=64, out_features=48" in repr(layer)


@pytest.mark.parametrize("bias", [True, False])
def test_a_map_in_integers_is_its_definition_and_knows_no_other_token(bias):
    torch.manual_seed(0)
    base = nn.Linear(13, 5, bias=bias).double()
    layer, x = Int8Linear(base), draw(1, 2, 3, 13)
    stands_for = dequantise(quantise(x, axis=-1))
    expected = F.linear(stands_for, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)
    louder = x.clone()
    louder[0, 0] *= 1000
    assert torch.equal(layer(louder)[1], layer(x)[1])
    assert torch.equal(layer(louder)[0, 1:], layer(x)[0, 1:])
    assert layer(x[:, :0]).shape == (2, 0, 5)


@pytest.mark.parametrize("kind", [QuantisedLinear, Int8Linear])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_quantised_map_of_half_numbers_answers_in_them(kind, dtype):
    torch.manual_seed(0)
    base = nn.Linear(13, 5).to(dtype)
    layer, x = kind(base), draw(1, 2, 3, 13, dtype=dtype)
    assert layer.scale.dtype == torch.float32
    assert layer.weight.dtype == layer(x).dtype == dtype
    close = {"rtol": 0.02, "atol": 0.05}
    torch.testing.assert_close(layer(x), base(x), **close)
    # A layer that becomes half later answers in halves then.
    later = kind(nn.Linear(13, 5)).to(dtype)
    assert later.weight.dtype == later(x).dtype == dtype
    assert "like" not in layer.state_dict()


def test_a_quantised_transformer_is_near_its_own():
    model, x = stack(), draw(1, 2, 5, 6)
    whole = model(x)
    quantise_model(model, "*attention.*", "*feed_forward.*")
    assert isinstance(model.layers[0].attention.query, QuantisedLinear)
    assert 0 < (model(x) - whole).abs().max() < 0.05
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    replace_layers(plain, ("*",), Int8Linear, kind=nn.Linear)
    assert plain(draw(1, 2, 6, dtype=torch.float32)).shape == (2, 3)
    with pytest.raises(ValueError, match="a pattern must name a Linear"):
        quantise_model(stack(), "*.no_such")


# --- the cache -------------------------------------------------------------


@given(seeds)
@quick
def test_attention_to_a_cache_is_the_references_and_within_its_bound(seed):
    q, k = draw(seed, 2, 3, 5), draw(seed + 1, 2, 7, 5)
    v = draw(seed + 2, 2, 7, 11)
    cache, theirs = quantise_cache(k, v), reference.quantise_cache(k, v)
    np.testing.assert_array_equal(cache.keys.codes, theirs.keys.codes)
    for mask in (None, causal_mask(3, 7)):
        got = cache_attention(q, cache, mask=mask)
        array = None if mask is None else mask.numpy()
        expected = reference.cache_attention(q, theirs, mask=array)
        np.testing.assert_allclose(got, expected, atol=1e-12)
        exact = dense.attention(q, k, v, mask=mask)
        bound = reference.cache_error_bound(q, theirs, mask=array)
        assert np.all(np.abs((got - exact).numpy()) <= bound + 1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_cache_of_half_types_is_half_as_large_and_keeps_the_dtype(dtype):
    q, k, v = (draw(n, 3, 7, 64, dtype=dtype) for n in range(3))
    cache = quantise_cache(k, v)
    held = 2 * k.numel() * k.element_size()
    assert cache_bytes(cache) == 3 * 7 * (64 + 64 + 8)
    assert cache_bytes(cache) < 0.54 * held
    sizes = {"tokens": 7, "groups": 3, "dim": 64, "value_dim": 64}
    assert cache_bytes(cache) == reference.quantised_cache_bytes(**sizes)
    got = cache_attention(q, cache)
    assert got.dtype == dtype
    exact = dense.attention(q.double(), k.double(), v.double())
    assert (got.double() - exact).abs().max() < 0.03


def test_gradients_reach_the_queries_of_a_cache():
    cache = quantise_cache(draw(1, 5, 3), draw(2, 5, 2))
    q = draw(3, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: cache_attention(q, cache), q)


def test_a_cache_grows_by_joining_and_rows_without_keys_are_zero():
    k, v = draw(1, 2, 7, 5), draw(2, 2, 7, 3)
    whole = quantise_cache(k, v)
    parts = [
        quantise_cache(k[:, at], v[:, at]) for at in (slice(4), slice(4, 7))
    ]
    for n, side in enumerate(whole):
        for m in range(3):
            joined = torch.cat([part[n][m] for part in parts], dim=-2)
            assert torch.equal(joined, side[m])
    q = torch.ones(2, 9, 5, dtype=torch.float64)
    output = cache_attention(q, whole, mask=causal_mask(9, 7))
    assert not output[:, :2].any()
    empty = quantise_cache(k[:, :0], v[:, :0])
    assert not cache_attention(q, empty).any()
    assert cache_attention(q, empty).shape == (2, 9, 3)


W = torch.ones(4, 6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: quantise(torch.tensor([torch.inf, 0.0, torch.nan])),
            ValueError,
            "x must be finite: got 2 of 3 numbers that are not",
        ),
        (
            lambda: quantise_affine(torch.tensor([torch.nan])),
            ValueError,
            "x must be finite: got 1 of 1",
        ),
        (
            lambda: magnitude_mask(torch.tensor([torch.nan]), keep=1),
            ValueError,
            "weights must be finite: got 1 of 1",
        ),
        (
            lambda: quantise(torch.arange(3)),
            TypeError,
            "x must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda: quantise([1.0]),
            TypeError,
            "x must be a floating-point tensor: got list",
        ),
        (
            lambda: magnitude_mask(W, keep=-1),
            ValueError,
            "keep must be at least 0: got -1",
        ),
        (
            lambda: row_mask(W[0], keep=1),
            ValueError,
            r"weights must have two axes: got shape \(6,\)",
        ),
        (
            lambda: head_mask(W, heads=4, keep=1),
            ValueError,
            r"columns must split evenly into heads: "
            r"got shape \(4, 6\), heads=4",
        ),
        (
            lambda: n_of_m_mask(W),
            ValueError,
            "inner must split evenly into groups of at least keep: "
            "got inner=6, of=4, keep=2",
        ),
        (
            lambda: threshold_mask(W, threshold="1"),
            TypeError,
            "threshold must be a number: got '1'",
        ),
        (
            lambda: threshold_mask(W, threshold=float("nan")),
            ValueError,
            "threshold must be finite: got nan",
        ),
        (
            lambda: prune(W, W),
            TypeError,
            "mask must be boolean, True at what stays: got torch.float32",
        ),
        (
            lambda: prune([1.0], W > 0),
            TypeError,
            "weights must be a floating-point tensor: got list",
        ),
        (
            lambda: prune(W, W[:1] > 0),
            ValueError,
            r"weights and mask must have one shape: "
            r"got weights \(4, 6\), mask \(1, 6\)",
        ),
        (
            lambda: error_bound(W),
            TypeError,
            "quantised must be Quantised: got Tensor",
        ),
        (
            lambda: apply_mask(nn.Linear(6, 4), W),
            TypeError,
            "mask must be boolean, True at what stays: got torch.float32",
        ),
        (
            lambda: apply_mask(nn.Linear(6, 4), W[:, :5] > 0),
            ValueError,
            r"mask must fit the weight's shape \(4, 6\): got \(4, 5\)",
        ),
        (
            lambda: dequantise(quantise(W)._replace(codes=W)),
            TypeError,
            "quantised must hold int8 codes: got torch.float32",
        ),
        (
            lambda: dequantise(W),
            TypeError,
            "quantised must be Quantised: got Tensor",
        ),
        (
            lambda: int8_product(
                quantise(W)._replace(scale=torch.tensor(1.0)), quantise(W.T)
            ),
            ValueError,
            r"scale and zero must fit codes of shape \(4, 6\): "
            r"got \(\) and \(1, 1\)",
        ),
        (
            lambda: dequantise(quantise(W)._replace(zero=torch.ones(4, 5))),
            ValueError,
            r"must fit codes of shape \(4, 6\): got \(1, 1\) and \(4, 5\)",
        ),
        (
            lambda: quantise(W, axis=2),
            ValueError,
            r"axis must name axes of shape \(4, 6\), each once: got 2",
        ),
        (
            lambda: quantise_affine(W, axis=(0, -2)),
            ValueError,
            r"axes of shape \(4, 6\), each once: got \(0, -2\)",
        ),
        (
            lambda: quantise(W, axis=-3),
            ValueError,
            "axis must be at least -2: got -3",
        ),
        (
            lambda: head_mask([[1.0]], heads=1, keep=1),
            TypeError,
            "weight must be a floating-point tensor: got list",
        ),
        (
            lambda: Masked(W),
            TypeError,
            "mask must be boolean, True at what stays: got torch.float32",
        ),
        (
            lambda: apply_mask(nn.Linear(6, 4), [True]),
            TypeError,
            "mask must be boolean, True at what stays: got list",
        ),
        (
            lambda: cache_attention(
                torch.ones(3, 1, 6), quantise_cache(*torch.ones(2, 2, 4, 6))
            ),
            ValueError,
            r"leading axes of q and keys and values must broadcast: "
            r"got q \(3,\), keys \(2,\), values \(2,\)",
        ),
        (
            lambda: cache_attention(
                W, QuantisedCache(quantise(W), quantise(W[:3]))
            ),
            ValueError,
            "keys and values must agree in keys: got keys=4, values=3",
        ),
        (
            lambda: cache_attention(
                W[:1],
                quantise_cache(W, W),
                mask=torch.ones(3, 4, dtype=torch.bool),
            ),
            ValueError,
            r"mask must fit the scores, .* got \(3, 4\)",
        ),
        (
            lambda: cache_attention(W, quantise_cache(W, W), mask=W),
            TypeError,
            "mask must be boolean, True where a query may look: got ",
        ),
        (
            lambda: int8_product(quantise(W), quantise(W)),
            ValueError,
            "x and w must agree in inner: got x=6, w=4",
        ),
        (
            lambda: int8_product(quantise(W, axis=0), quantise(W.T)),
            ValueError,
            r"scales must not vary along the inner axis: "
            r"got x \(1, 6\), w \(1, 1\)",
        ),
        (
            lambda: int8_product(quantise(W), quantise(W.T, axis=1)),
            ValueError,
            r"got x \(1, 1\), w \(6, 1\)",
        ),
        (
            lambda: int8_product(quantise(W[0]), quantise(W.T)),
            ValueError,
            r"got shapes \(6,\) and \(6, 4\)",
        ),
        (
            lambda: QuantisedLinear(nn.ReLU()),
            TypeError,
            "base must be an nn.Linear: got ReLU",
        ),
        (
            lambda: quantise_cache(W, W[:3]),
            ValueError,
            "k and v must agree in keys: got k=4, v=3",
        ),
        (
            lambda: quantise_cache(W[0], W[0]),
            ValueError,
            r"k must have axes \(..., keys, dim\): got shape \(6,\)",
        ),
        (
            lambda: cache_attention(W[:, :5], quantise_cache(W, W)),
            ValueError,
            "q and keys must agree in dim: got q=5, keys=6",
        ),
        (
            lambda: cache_attention(W[:, :0], quantise_cache(W[:, :0], W)),
            ValueError,
            "dim must be at least 1: got 0",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_everything_is_exported():
    for name in compress.__all__:
        assert hasattr(compress, name)
