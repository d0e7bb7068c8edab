"""The kernels in Triton's interpreter: every number, on any computer.

`test_kernels.py` runs this file in a process of its own, because Triton
decides when it is imported whether it interprets.
"""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attncourse.checking import numerics
from attncourse.fast import dense as fast_dense
from attncourse.fast import kernels, masks, tiled
from attncourse.fast.kernels import launch
from attncourse.fast.kernels.config import Config
from attncourse.reference import dense as reference
from attncourse.reference import heads as reference_heads

# Under a mask the interpreter's NumPy meets inf times zero.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def window_mask(queries, keys, window):
    place = torch.arange(queries)[:, None] + keys - queries
    other = torch.arange(keys)
    return (other <= place) & (other > place - window)


def window_of(width):
    return lambda *arrays: kernels.window_attention(*arrays, window=width)


VARIANTS = {
    "full": (
        kernels.attention,
        lambda n, m: torch.ones(n, m, dtype=torch.bool),
    ),
    "causal": (kernels.causal_attention, masks.causal_mask),
    "narrow": (window_of(5), lambda n, m: window_mask(n, m, 5)),
    "wide": (window_of(23), lambda n, m: window_mask(n, m, 23)),
}
each_variant = pytest.mark.parametrize("name", VARIANTS)
SHAPES = [(37, 71), (53, 29), (32, 32), (1, 41), (5, 3)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Cut rows and columns so small that everything has ragged tiles."""
    tiles(monkeypatch, 32, 16)


def tiles(monkeypatch, rows, columns):
    for kernel in ("forward", "query_gradients", "key_gradients"):
        config = Config(rows, columns, 4, 1)
        monkeypatch.setitem(launch.chosen, kernel, config)


def triple(
    seed=0,
    *,
    batch=(2,),
    queries=37,
    keys=53,
    dim=16,
    value_dim=8,
    dtype=torch.float32,
):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*batch, *shape, generator=generator).to(dtype)

    return draw(queries, dim), draw(keys, dim), draw(keys, value_dim)


def both_passes(function, *arrays):
    """Return output and gradients under a fixed upstream gradient."""
    inputs = [each.clone().requires_grad_() for each in arrays]
    output = function(*inputs)
    upstream = torch.sin(torch.arange(output.numel()) + 1.0)
    output.backward(upstream.reshape(output.shape).to(output.dtype))
    return [output.detach(), *(each.grad for each in inputs)]


@each_variant
@pytest.mark.parametrize(("queries", "keys"), SHAPES)
def test_output_and_gradients_agree_with_the_reference(name, queries, keys):
    function, mask_of = VARIANTS[name]
    arrays = triple(1, queries=queries, keys=keys)
    output, *gradients = both_passes(function, *arrays)
    mask = mask_of(queries, keys)
    truth = reference.attention(*arrays, mask=mask)
    np.testing.assert_allclose(output, truth, atol=2e-6)
    upstream = np.sin(np.arange(output.numel()) + np.float32(1))
    expected = reference.attention_backward(
        *arrays, upstream.reshape(output.shape), mask=mask
    )
    for gradient, right in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, right, atol=5e-6)


@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (64, 64)])
def test_tiles_change_nothing(monkeypatch, rows, columns):
    arrays = triple(2, batch=(1,), queries=61, keys=83)
    for function, _ in VARIANTS.values():
        first = both_passes(function, *arrays)
        with monkeypatch.context() as patch:
            tiles(patch, rows, columns)
            second = both_passes(function, *arrays)
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["full", "causal", "narrow"])
def test_shared_heads_are_those_of_repeated_keys(name):
    function = VARIANTS[name][0]
    q, _, _ = triple(3, batch=(2, 2, 2), queries=33)
    _, k, v = triple(4, batch=(2, 2, 1), keys=19)
    ours = both_passes(function, q, k, v)

    def repeated(q, k, v):
        many = (each.expand(2, 2, 2, *each.shape[-2:]) for each in (k, v))
        return function(q, *(each.contiguous() for each in many))

    for one, other in zip(ours, both_passes(repeated, q, k, v), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_grouped_heads_are_those_of_the_reference():
    q, _, _ = triple(5, batch=(1, 6), queries=7)
    _, k, v = triple(6, batch=(1, 3))
    expected = reference_heads.grouped_attention(q, k, v)
    output, dq, dk, _ = both_passes(kernels.grouped_attention, q, k, v)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    theirs = both_passes(tiled.grouped_attention, q, k, v)
    torch.testing.assert_close(dq, theirs[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dk, theirs[2], rtol=1e-4, atol=1e-5)


def test_leading_axes_broadcast_and_their_gradients_are_summed():
    q, _, _ = triple(7, batch=(2, 1), queries=5)
    _, k, v = triple(8, batch=(3,), keys=11)
    ours = both_passes(kernels.attention, q, k, v)
    theirs = both_passes(fast_dense.attention, q, k, v)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    lonely = triple(9, batch=(), queries=3)
    torch.testing.assert_close(
        kernels.attention(*lonely), fast_dense.attention(*lonely)
    )


@pytest.mark.parametrize(("dim", "value_dim"), [(3, 5), (64, 64), (20, 1)])
def test_any_width_is_taken(dim, value_dim):
    arrays = triple(10, batch=(1,), dim=dim, value_dim=value_dim)
    ours = both_passes(kernels.causal_attention, *arrays)
    theirs = both_passes(tiled.causal_attention, *arrays)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_inputs_need_not_lie_one_after_the_other():
    q, k, v = triple(11, batch=(2,), queries=19, keys=19, value_dim=16)
    packed = torch.stack([q, k, v], dim=2)  # positions before the three
    apart = packed.unbind(dim=2)
    assert not apart[0].is_contiguous()
    turned = q.mT.contiguous().mT
    whole = kernels.causal_attention(q, k, v)
    assert torch.equal(kernels.causal_attention(*apart), whole)
    assert torch.equal(kernels.causal_attention(turned, k, v), whole)


def test_what_the_kernels_can_read_is_not_copied(monkeypatch):
    q, k, v = triple(11, batch=(2,), queries=19, keys=19, value_dim=16)
    q, k, v = torch.stack([q, k, v], dim=2).unbind(dim=2)
    read = []
    run = launch.run_forward

    def spy(*arguments):
        read.extend(each.data_ptr() for each in arguments[:3])
        run(*arguments)

    monkeypatch.setattr(launch, "run_forward", spy)
    kernels.causal_attention(q, k, v)
    assert read == [each.data_ptr() for each in (q, k, v)]
    read.clear()
    kernels.causal_attention(q[1:, 1:], k[1:], v[1:])
    assert read == [each.data_ptr() for each in (q[1:, 1:], k[1:], v[1:])]


def test_only_the_gradients_that_are_wanted_are_computed(monkeypatch):
    arrays = triple(24, batch=(1,), queries=19, keys=23)
    everything = both_passes(kernels.causal_attention, *arrays)[1:]
    for number, left_out in ((0, "fill_keys"), (1, "fill_queries")):
        with monkeypatch.context() as patch:
            patch.delattr(launch, left_out)
            inputs = [each.clone() for each in arrays]
            inputs[number].requires_grad_()
            output = kernels.causal_attention(*inputs)
            upstream = torch.sin(torch.arange(output.numel()) + 1.0)
            output.backward(upstream.reshape(output.shape))
        assert torch.equal(inputs[number].grad, everything[number])
        assert sum(each.grad is not None for each in inputs) == 1


def test_one_number_can_be_the_gradient_of_every_output():
    q, k, v = (each.requires_grad_() for each in triple(25, batch=(1,)))
    output = kernels.attention(q, k, v)
    expanded = torch.autograd.grad(
        output.sum(), [q, k, v], retain_graph=True
    )  # of strides zero
    written = torch.autograd.grad(output, [q, k, v], torch.ones_like(output))
    assert all(map(torch.equal, expanded, written))


def test_a_second_derivative_is_refused():
    q, k, v = triple(26, batch=(1,), queries=3, keys=5)
    q.requires_grad_()
    loss = kernels.attention(q, k, v).square().sum()
    (slope,) = torch.autograd.grad(loss, q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_what_holds_bit_for_bit():
    q, k, v = triple(12, batch=(2, 2), queries=48, keys=48)
    for function, _ in list(VARIANTS.values())[:3]:
        whole = function(q, k, v)
        assert torch.equal(whole, function(q, k, v))
        assert torch.equal(whole[1:], function(q[1:], k[1:], v[1:]))
        order = [1, 0]
        turned = function(q[:, order], k[:, order], v[:, order])
        assert torch.equal(whole[:, order], turned)
        assert torch.equal(function(q, k, 2 * v), 2 * whole)
    whole = kernels.causal_attention(q, k, v)
    part = kernels.causal_attention(*(x[..., :32, :] for x in (q, k, v)))
    assert torch.equal(whole[..., :32, :], part)
    for window in (48, 49, 2**61):
        assert torch.equal(window_of(window)(q, k, v), whole)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["causal", "wide"])
def test_a_poisoned_future_changes_no_bit_of_the_past(name, poison):
    function = VARIANTS[name][0]
    results = []
    for spoil in (None, poison):
        arrays = triple(13, batch=(), queries=61, keys=61)
        if spoil is not None:
            for each in arrays:
                each[41:] = spoil
        q, k, v = (each.requires_grad_() for each in arrays)
        output = function(q, k, v)
        output[:41].square().sum().backward()
        results.append((output[:41], q.grad[:41]))
        assert bool(output[41:].isnan().all()) == (spoil is not None)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["causal", "narrow"])
@pytest.mark.parametrize("where", ["q", "upstream"])
def test_a_poisoned_row_spoils_the_keys_that_it_sees(name, poison, where):
    function = VARIANTS[name][0]
    found = []
    for spoil in (0.0, poison):
        q, k, v = triple(14, batch=(), queries=61, keys=61)
        upstream = torch.randn(61, 8, generator=torch.manual_seed(1))
        {"q": q, "upstream": upstream}[where][17] += spoil
        k, v = k.requires_grad_(), v.requires_grad_()
        function(q, k, v).backward(upstream)
        found.append((k.grad, v.grad))
    first = 0 if name == "causal" else 13
    for clean, spoiled in zip(*found, strict=True):
        assert spoiled[first:18].isnan().all()
        for part in (slice(0, first), slice(18, None)):
            assert torch.equal(clean[part], spoiled[part])


def test_a_spoiled_value_spoils_what_sees_it():
    q, k, v = triple(15, batch=(), queries=41, keys=41)
    v[4, 1] = torch.nan
    output = window_of(3)(q, k, v)
    assert output.isnan().any(-1).nonzero().flatten().tolist() == [4, 5, 6]
    k[4, 1], v[4, 1] = torch.nan, 0.0
    output = kernels.causal_attention(q, k, v)
    spoiled = output.isnan().all(-1).nonzero().flatten().tolist()
    assert spoiled == list(range(4, 41))


@pytest.mark.parametrize("where", ["k", "v"])
def test_a_poisoned_key_that_no_query_sees_changes_no_bit(where):
    found = []
    for spoil in (None, torch.nan, torch.inf):
        q, k, v = triple(27, batch=(1,), queries=7, keys=31)
        if spoil is not None:  # the last seven see keys from 20 on
            {"k": k, "v": v}[where][:, 3] = spoil
            {"k": k, "v": v}[where][:, 19] = spoil
        found.append(both_passes(window_of(5), q, k, v))
    for spoiled in found[1:]:
        assert all(map(torch.equal, found[0], spoiled))


def test_a_score_of_minus_infinity_weighs_nothing():
    q, k, v = triple(28, batch=(), queries=41, keys=41)
    q = q.abs()
    k[4] = 0.0
    k[4, 1] = -torch.inf
    mask = masks.causal_mask(41, 41)
    mask[:, 4] = False
    truth = reference.attention(q, k.nan_to_num(neginf=0.0), v, mask=mask)
    output = kernels.causal_attention(q, k, v)
    np.testing.assert_allclose(output, truth, atol=2e-6)


@pytest.mark.parametrize("name", ["causal", "narrow"])
def test_rows_that_see_nothing_are_zero_with_zero_gradients(name):
    arrays = triple(16, queries=51, keys=13)
    arrays[0][:, 7] = torch.nan  # in such a row nothing matters
    output, dq, dk, dv = both_passes(VARIANTS[name][0], *arrays)
    for each in (output[:, :38], dq[:, :38]):
        assert not each.any()  # NaN would count as True
    assert output[:, 38:].all()
    assert dq[:, 39:].all()
    assert dk.isfinite().all()
    assert dv.isfinite().all()
    inputs = [each.clone().requires_grad_() for each in arrays]
    output = VARIANTS[name][0](*inputs)
    upstream = torch.ones_like(output)
    upstream[:, 11] = torch.nan
    output.backward(upstream)
    assert all(each.grad.isfinite().all() for each in inputs)


@pytest.mark.parametrize(
    ("queries", "keys", "value_dim", "batch"),
    [(0, 5, 3, 2), (3, 0, 2, 2), (3, 5, 0, 2), (3, 5, 2, 0)],
)
def test_axes_of_length_zero_are_answered(queries, keys, value_dim, batch):
    arrays = triple(
        17, batch=(batch,), queries=queries, keys=keys, value_dim=value_dim
    )
    output, *gradients = both_passes(kernels.causal_attention, *arrays)
    assert output.shape == (batch, queries, value_dim)
    assert not output.any()
    assert not any(each.any() for each in gradients)


def test_scores_of_ten_thousand_give_no_nan():
    q, k, v = triple(18)
    for sign in (1e4, -1e4):
        output, *gradients = both_passes(kernels.attention, sign * q, k, v)
        truth = reference.attention(sign * q, k, v)
        np.testing.assert_allclose(output, truth, atol=5e-3)
        assert all(each.isfinite().all() for each in gradients)


def test_a_gpu_is_not_asked_for_while_interpreting():
    q, k, v = triple(19)
    with pytest.raises(TypeError, match="q must be float16, bfloat16 or flo"):
        kernels.attention(q.double(), k.double(), v.double())
    with pytest.raises(ValueError, match="dim and value_dim must be at most"):
        kernels.attention(*3 * [torch.ones(2, 300)])


# How exact, and that the rule notices what it must.

FAULTS = {
    "missing rescale": ("so_far * rescale[:, None]", "so_far", 3),
    "dropped tile": (
        "        whole, whole_end, scale,",
        "        whole, whole_end - COLUMNS, scale,",
        1,
    ),
    "last values not weighed": (
        "v_block, batch, group, end - COLUMNS,",
        "v_block, batch, group, start,",
        1,
    ),
    "scale wrong by one percent": (
        "    p = tl.exp2(scores * scale - shift[:, None])",
        "    p = tl.exp2(scores * scale * 1.01 - shift[:, None])",
        1,
    ),
    "half-precision row sum": (
        "total * rescale + tl.sum(p, 1), higher",
        "(total * rescale + tl.sum(p, 1)).to(tl.float16).to(tl.float32),"
        " higher",
        1,
    ),
    "half-precision accumulator": (
        "            p, rescale, total, highest = weigh(\n",
        "            so_far = so_far.to(tl.float16).to(tl.float32)\n"
        "            p, rescale, total, highest = weigh(\n",
        1,
    ),
}


def with_fault(fault, folder):
    """Return the forward kernel's module with a fault planted."""
    source = Path(launch.forward.__file__).read_text(encoding="utf-8")
    if fault is not None:
        old, new, times = FAULTS[fault]
        assert source.count(old) == times
        source = source.replace(old, new)
    file = folder / "forward_with_a_fault.py"
    file.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def exact_enough(dtype):
    """Apply the numerics policy to attention in many tiles."""
    q, k, v = triple(
        20,
        batch=(2,),
        queries=128,
        keys=256,
        dim=64,
        value_dim=64,
        dtype=dtype,
    )
    answer = kernels.attention(q, k, v).double().numpy()
    truth = reference.attention(q.double(), k.double(), v.double())
    if dtype == torch.float32:
        plain = fast_dense.attention(q, k, v).numpy()
        return numerics.within_plain(answer, truth, plain)
    weights = reference.attention_weights(q.double(), k.double())
    rounded = torch.from_numpy(weights).to(dtype).double()
    ideal = (rounded @ v.double()).to(dtype).double().numpy()
    return numerics.within_ideal(answer, truth, ideal)


DTYPES = [torch.float32, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_the_rule_notices_every_planted_fault(
    fault, dtype, monkeypatch, tmp_path
):
    monkeypatch.setattr(launch, "forward", with_fault(fault, tmp_path))
    assert exact_enough(dtype) == (fault is None)


BACKWARD_FAULTS = {
    "mean not taken off": ("ds = p * (dp - inner[:, None])", "ds = p * dp"),
    "keys' mean not taken off": (
        "ds = p * (dp - means[None, :])",
        "ds = p*dp",
    ),
    "scale missing": ("(dq * factor)", "dq"),
    "values from the wrong rows": (
        "dv = tl.dot(p.to(q.dtype), upstream, dv",
        "dv = tl.dot(p.to(q.dtype), upstream, dv * 0.5",
    ),
    "edge not masked": ("p = tl.where(visible, p, 0.0)", "p = p"),
}


@pytest.mark.parametrize("fault", [None, *BACKWARD_FAULTS])
def test_wrong_gradients_are_noticed(fault, monkeypatch, tmp_path):
    source = Path(launch.backward.__file__).read_text(encoding="utf-8")
    if fault is not None:
        old, new = BACKWARD_FAULTS[fault]
        assert source.count(old) == 1
        source = source.replace(old, new)
    file = tmp_path / "backward_with_a_fault.py"
    file.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    monkeypatch.setattr(launch, "backward", module)
    arrays = triple(21, batch=(1,), queries=53, keys=53)
    ours = both_passes(kernels.causal_attention, *arrays)
    theirs = both_passes(tiled.causal_attention, *arrays)
    worst = max(
        float((one - other).abs().max())
        for one, other in zip(ours, theirs, strict=True)
    )
    assert (worst < 1e-5) == (fault is None)


@pytest.mark.parametrize("name", ["full", "causal", "narrow"])
def test_half_precision_is_kept_and_its_gradients_close(name):
    arrays = triple(22, batch=(1,), dim=32, dtype=torch.float16)
    function, mask_of = VARIANTS[name]
    ours = both_passes(function, *arrays)
    assert all(each.dtype == torch.float16 for each in ours)
    mask = mask_of(37, 53)

    def exact(q, k, v):
        return fast_dense.attention(q, k, v, mask=mask)

    truths = both_passes(exact, *(each.double() for each in arrays))
    for each, truth in zip(ours, truths, strict=True):
        error = numerics.rms_error(each.double().numpy(), truth.numpy())
        size = numerics.rms_error(truth.numpy(), np.zeros_like(truth))
        assert error <= 2 * torch.finfo(torch.float16).eps * size


def test_the_default_tiles_are_right_too(monkeypatch):
    monkeypatch.setattr(launch, "chosen", {})
    arrays = triple(
        23, batch=(1,), queries=150, keys=256, dim=64, value_dim=64,
        dtype=torch.float16,
    )  # fmt: skip
    for function in (kernels.attention, kernels.causal_attention):
        wide = [each.float() for each in arrays]
        name = function.__name__
        truths = both_passes(getattr(tiled, name), *wide)
        for one, other in zip(
            both_passes(function, *arrays), truths, strict=True
        ):
            torch.testing.assert_close(
                one.float(), other, rtol=1e-2, atol=1e-2 / math.sqrt(10)
            )
