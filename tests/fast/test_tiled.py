"""Tiled attention against the reference, torch's operator and itself.

Most tests run with tiles of a few rows, so that small arrays have many.
"""

import inspect
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from low_precision import tf32

from attncourse.bench.memory import extra_bytes
from attncourse.checking import numerics
from attncourse.fast import dense as fast_dense
from attncourse.fast import masks, tiled, tiled_passes
from attncourse.reference import dense as reference
from attncourse.reference import heads as reference_heads

quick = settings(max_examples=40, deadline=None)
sizes = st.integers(1, 13)
seeds = st.integers(0, 10**6)


def window_mask(queries, keys, window):
    place = torch.arange(queries)[:, None] + keys - queries
    other = torch.arange(keys)
    return (other <= place) & (other > place - window)


def full_mask(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool)


def window_of_five(q, k, v):
    return tiled.window_attention(q, k, v, window=5)


VARIANTS = {
    "full": (tiled.attention, full_mask),
    "causal": (tiled.causal_attention, masks.causal_mask),
    "window": (window_of_five, lambda n, m: window_mask(n, m, 5)),
}
each_variant = pytest.mark.parametrize("name", VARIANTS)


@pytest.fixture
def small(monkeypatch):
    """Cut rows and columns so small that everything has ragged tiles."""
    monkeypatch.setattr(tiled_passes, "ROWS", 3)
    monkeypatch.setattr(tiled_passes, "TILE", 15)


def triple(
    seed=0,
    *,
    batch=(2,),
    queries=7,
    keys=11,
    dim=5,
    value_dim=3,
    dtype=torch.float64,
):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        drawn = torch.randn(*batch, *shape, generator=generator)
        return drawn.to(dtype)

    return draw(queries, dim), draw(keys, dim), draw(keys, value_dim)


def leaves(*tensors):
    return [each.clone().requires_grad_() for each in tensors]


def both_passes(function, *arrays):
    """Return output and gradients under a fixed upstream gradient."""
    inputs = leaves(*arrays)
    output = function(*inputs)
    upstream = torch.sin(torch.arange(output.numel()) + 1.0)
    output.backward(upstream.reshape(output.shape).to(output.dtype))
    return [output.detach(), *(each.grad for each in inputs)]


@each_variant
@quick
@given(seeds, sizes, sizes, sizes, sizes)
def test_output_and_gradients_agree_with_the_reference(
    name, seed, queries, keys, dim, value_dim
):
    function, mask_of = VARIANTS[name]
    arrays = triple(
        seed, queries=queries, keys=keys, dim=dim, value_dim=value_dim
    )
    mask = mask_of(queries, keys)
    for rows, tile in ((256, 2**19), (3, 15), (2, 4), (1, 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiled_passes, "ROWS", rows)
            patch.setattr(tiled_passes, "TILE", tile)
            output, *gradients = both_passes(function, *arrays)
        truth = reference.attention(*arrays, mask=mask)
        np.testing.assert_allclose(output, truth, atol=1e-12)
        upstream = np.sin(np.arange(output.numel()) + np.float32(1))
        expected = reference.attention_backward(
            *arrays, upstream.reshape(output.shape), mask=mask
        )
        for gradient, right in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(gradient, right, atol=2e-6)


@each_variant
def test_gradients_agree_with_finite_differences(name, small):
    q, k, v = leaves(*triple(1, batch=(1,), queries=5, keys=7))
    assert torch.autograd.gradcheck(VARIANTS[name][0], (q, k, v))
    assert torch.autograd.gradcheck(
        VARIANTS[name][0], leaves(*triple(1, batch=(), queries=7, keys=5))
    )


@each_variant
def test_it_agrees_with_torchs_operator_at_its_own_tiles(name):
    function, mask_of = VARIANTS[name]
    arrays = triple(
        2, queries=521, keys=2203, dim=8, value_dim=8, dtype=torch.float32
    )
    mask = mask_of(521, 2203)

    def theirs(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask
        )

    for ours, right in zip(
        both_passes(function, *arrays),
        both_passes(theirs, *arrays),
        strict=True,
    ):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


def test_a_window_of_all_keys_is_causal(small):
    arrays = triple(3)
    causal = tiled.causal_attention(*arrays)
    for window in (11, 12, 2**61):
        windowed = tiled.window_attention(*arrays, window=window)
        assert torch.equal(windowed, causal)


def test_a_window_of_one_returns_the_own_value(small):
    q, k, v = triple(4, queries=11)
    torch.testing.assert_close(tiled.window_attention(q, k, v, window=1), v)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_grouped_heads_are_those_of_the_reference(groups, small):
    q, _, _ = triple(5, batch=(2, 6))
    _, k, v = triple(6, batch=(2, groups))
    expected = reference_heads.grouped_attention(q, k, v)
    np.testing.assert_allclose(
        tiled.grouped_attention(q, k, v), expected, atol=1e-12
    )
    assert torch.autograd.gradcheck(
        tiled.grouped_attention,
        leaves(q[:1, :, :2], k[:1, :, :3], v[:1, :, :3]),
    )


def test_leading_axes_broadcast_and_their_gradients_are_summed(small):
    q, _, _ = triple(7, batch=(2, 1))
    _, k, v = triple(8, batch=(3,))
    ours = both_passes(tiled.attention, q, k, v)
    theirs = both_passes(fast_dense.attention, q, k, v)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    lonely = triple(9, batch=())
    torch.testing.assert_close(
        tiled.attention(*lonely), fast_dense.attention(*lonely)
    )


# What holds bit for bit.


@pytest.fixture(params=["full", "causal", "window"])
def variant(request):
    return VARIANTS[request.param][0]


def long(**options):
    sizes = {"queries": 600, "keys": 600, "dim": 16, "value_dim": 16}
    return triple(
        10, batch=(2, 3), dtype=torch.float32, **{**sizes, **options}
    )


def test_a_repeat_gives_the_same_bits(variant):
    arrays = long()
    assert all(
        torch.equal(one, other)
        for one, other in zip(
            both_passes(variant, *arrays),
            both_passes(variant, *arrays),
            strict=True,
        )
    )


def test_batch_and_heads_are_computed_apart(variant):
    q, k, v = long()
    whole = variant(q, k, v)
    assert torch.equal(whole[1:], variant(q[1:], k[1:], v[1:]))
    order = [2, 0, 1]
    turned = variant(q[:, order], k[:, order], v[:, order])
    assert torch.equal(whole[:, order], turned)


def test_doubled_values_double_the_output(variant):
    q, k, v = long()
    assert torch.equal(variant(q, k, 2 * v), 2 * variant(q, k, v))


def test_room_kept_from_inference_mode_can_be_used_in_training():
    arrays = long(queries=300, keys=300)
    with torch.inference_mode():
        first = tiled.causal_attention(*arrays)
    output, dq, *_ = both_passes(tiled.causal_attention, *arrays)
    assert torch.equal(output, first)
    assert dq.any()


def test_a_causal_prefix_is_the_prefix():
    q, k, v = long()
    whole = tiled.causal_attention(q, k, v)
    part = tiled.causal_attention(
        *(each[..., : tiled_passes.ROWS, :] for each in (q, k, v))
    )
    assert torch.equal(whole[..., : tiled_passes.ROWS, :], part)


@pytest.mark.parametrize("name", ["full", "causal"])
def test_a_row_whose_scores_are_far_apart_changes_no_bit_of_others(name):
    q, k, v = triple(
        19, batch=(2,), queries=60, keys=60, dim=8, dtype=torch.float32
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiled_passes, "ROWS", 20)
        patch.setattr(tiled_passes, "TILE", 20 * 20)
        before = VARIANTS[name][0](q, k, v)
        far = q.clone()
        far[1, 45] *= -1e4  # its own key is the last that it looks for
        after = VARIANTS[name][0](far, k, v)
    others = torch.ones(2, 60, dtype=torch.bool)
    others[1, 45] = False
    assert torch.equal(before[others], after[others])
    mask = VARIANTS[name][1](60, 60)
    right = fast_dense.attention(far, k, v, mask=mask)
    torch.testing.assert_close(after, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["causal", "window"])
def test_a_poisoned_future_changes_no_bit_of_the_past(name, poison):
    function = VARIANTS[name][0]
    results = []
    for spoil in (None, poison):
        arrays = [each[0, 0].clone() for each in long()]
        if spoil is not None:
            for each in arrays:
                each[500:] = spoil
        q, k, v = leaves(*arrays)
        output = function(q, k, v)
        output[:500].square().sum().backward()
        results.append((output[:500], q.grad[:500]))
        assert bool(output[500:].isnan().all()) == (spoil is not None)
        assert bool(q.grad[500:].isnan().all()) == (spoil is not None)
        assert bool(k.grad[500:].isnan().all()) == (spoil is not None)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_a_key_outside_every_window_that_is_nan_spoils_what_sees_it(small):
    q, k, v = triple(11, batch=(), queries=13, keys=13)
    v[4, 1] = torch.nan
    output = tiled.window_attention(q, k, v, window=3)
    assert output.isnan().nonzero().tolist() == [[4, 1], [5, 1], [6, 1]]
    q, k, v = leaves(q, k, v)
    tiled.window_attention(q, k, v, window=3).sum().backward()
    assert q.grad.isnan().all(-1).nonzero().flatten().tolist() == [4, 5, 6]
    met = [2, 3, 4, 5, 6]  # keys that rows 4 to 6 see
    assert k.grad.isnan().all(-1).nonzero().flatten().tolist() == met


def test_a_key_that_is_nan_spoils_the_rows_that_see_it(small):
    q, k, v = triple(11, batch=(), queries=13, keys=13)
    k[4, 1] = torch.nan
    for name, seeing in (("causal", range(4, 13)), ("window", range(4, 9))):
        output = VARIANTS[name][0](q, k, v)
        spoiled = output.isnan().all(-1).nonzero().flatten().tolist()
        assert spoiled == list(seeing)
        assert output.isnan().sum() == 3 * len(seeing)
    q[6] = torch.nan
    output = tiled.causal_attention(q, v.new_ones(13, 5), v)
    assert output.isnan().any(-1).nonzero().flatten().tolist() == [6]


# Edges.


@pytest.mark.parametrize("name", ["causal", "window"])
def test_rows_that_see_nothing_are_zero_with_zero_gradients(name, small):
    arrays = triple(12, queries=11, keys=4)
    arrays[0][:, 2] = torch.nan  # in such a row nothing matters
    output, dq, dk, dv = both_passes(VARIANTS[name][0], *arrays)
    for each in (output[:, :7], dq[:, :7]):
        assert not each.any()  # NaN would count as True
    assert output[:, 7:].all()
    assert dq[:, 8:].all()
    assert dk.isfinite().all()
    assert dv.isfinite().all()


@each_variant
@pytest.mark.parametrize(
    ("queries", "keys", "value_dim", "batch"),
    [(0, 5, 3, 2), (3, 0, 2, 2), (3, 5, 0, 2), (3, 5, 2, 0)],
)
def test_axes_of_length_zero_are_answered(
    name, queries, keys, value_dim, batch
):
    arrays = triple(
        13, batch=(batch,), queries=queries, keys=keys, value_dim=value_dim
    )
    output, *gradients = both_passes(VARIANTS[name][0], *arrays)
    assert output.shape == (batch, queries, value_dim)
    assert not output.any()
    assert not any(each.any() for each in gradients)


def test_scores_of_ten_thousand_give_no_nan(small):
    q, k, v = triple(14)
    for sign in (1e4, -1e4):
        ours = both_passes(tiled.attention, sign * q, k, v)
        theirs = both_passes(fast_dense.attention, sign * q, k, v)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_strided_views_give_the_same(small):
    q, k, v = triple(15)
    wide = torch.stack([q, torch.full_like(q, torch.nan)], dim=-1)
    turned = k.mT.contiguous().mT
    assert torch.equal(
        tiled.attention(wide[..., 0], turned, v[:, :, :]),
        tiled.attention(q, k, v),
    )


def test_several_threads_give_the_same_bits(variant):
    arrays = long()
    alone = both_passes(variant, *arrays)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = both_passes(variant, *arrays)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, alone, together))


# How exact, and that the rule notices what it must.

SUM = "        total.add_(p.sum(dim=-1, keepdim=True))\n"
SUMS = "        sums.mul_(rescale).add_(p.sum(dim=-1, keepdim=True))\n"
FAULTS = {
    "missing rescale": (
        "reads.mul_(rescale).baddbmm_(p",
        "reads.baddbmm_(p",
    ),
    "missing rescale of the sum": ("sums.mul_(rescale)", "sums"),
    "dropped tile": (
        "for end in range(last, first, -width)",
        "for end in [*range(last, first, -width)][:4]",
    ),
    "scale wrong by one percent": (
        "alpha=q.shape[-1] ** -0.5 * LOG2_E",
        "alpha=q.shape[-1] ** -0.5 * LOG2_E * 1.01",
    ),
    "tf32 product": (
        "        q[:, rows],\n        k[:, columns].mT,\n",
        "        tf32(q[:, rows]),\n        tf32(k[:, columns]).mT,\n",
    ),
    "bfloat16 accumulator": (
        "        read.baddbmm_(p, v[:, columns])\n",
        "        read.baddbmm_(p, v[:, columns])\n"
        "        read.copy_(read.bfloat16())\n",
    ),
    "bfloat16 accumulator, rescaled": (
        "        highest = higher\n",
        "        highest = higher\n        reads = reads.bfloat16().float()\n",
    ),
    "bfloat16 row sum": (
        SUM,
        SUM + "        total.copy_(total.bfloat16())\n",
    ),
    "bfloat16 row sum, rescaled": (
        SUMS,
        SUMS + "        sums.copy_(sums.bfloat16())\n",
    ),
}
# In these it is the online softmax that is at fault.
RESCALED = [name for name in FAULTS if "rescale" in name]


def with_fault(fault, monkeypatch, *, tile):
    """Plant a fault in the passes and cut short tiles."""
    source = inspect.getsource(tiled_passes)
    if fault is not None:
        old, new = FAULTS[fault]
        assert source.count(old) == 1
        source = source.replace(old, new)
    module = types.ModuleType("passes_with_a_fault")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, tiled_passes.__file__, "exec"), module.__dict__)
    module.tf32, module.ROWS, module.TILE = tf32, *tile
    for name in ("forward", "backward", "together"):
        monkeypatch.setattr(tiled, name, getattr(module, name))
    return module


def exact_enough(fault, dtype, monkeypatch, *, rescaled=False):
    """Apply the numerics policy to attention in many tiles."""
    q, k, v = triple(
        16,
        batch=(4,),
        queries=256,
        keys=256,
        dim=64,
        value_dim=64,
        dtype=dtype,
    )
    module = with_fault(fault, monkeypatch, tile=(32, 32 * 32))
    if rescaled:  # let the shift of every row be far too low
        monkeypatch.setattr(
            module, "_own_scores", lambda q, k: q[..., :1] * 0.0 - 999.0
        )
    answer = tiled.attention(q, k, v).double().numpy()
    truth = reference.attention(q.double(), k.double(), v.double())
    if dtype == torch.float32:
        plain = fast_dense.attention(q, k, v).numpy()
        return numerics.within_plain(answer, truth, plain)
    weights = reference.attention_weights(q.double(), k.double())
    rounded = torch.from_numpy(weights).to(dtype).double()
    ideal = (rounded @ v.double()).to(dtype).double().numpy()
    return numerics.within_ideal(answer, truth, ideal)


DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_is_what_the_type_allows(dtype, rescaled, monkeypatch):
    assert exact_enough(None, dtype, monkeypatch, rescaled=rescaled)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_rule_notices_a_planted_fault(fault, monkeypatch):
    rescaled = fault in RESCALED
    assert not exact_enough(
        fault, torch.float32, monkeypatch, rescaled=rescaled
    )


@pytest.mark.parametrize(
    "fault", [name for name in FAULTS if name != "tf32 product"]
)
def test_the_rule_notices_a_planted_fault_in_half_precision(
    fault, monkeypatch
):
    rescaled = fault in RESCALED
    assert not exact_enough(
        fault, torch.bfloat16, monkeypatch, rescaled=rescaled
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept_and_their_gradients_close(dtype):
    arrays = triple(17, queries=300, keys=300, dim=16, dtype=dtype)
    ours = both_passes(tiled.causal_attention, *arrays)
    assert all(each.dtype == dtype for each in ours)
    wide = [each.double() for each in arrays]
    truths = both_passes(tiled.causal_attention, *wide)
    for each, truth in zip(ours, truths, strict=True):
        error = numerics.rms_error(each.double().numpy(), truth.numpy())
        size = numerics.rms_error(truth.numpy(), np.zeros_like(truth))
        assert error <= 2 * torch.finfo(dtype).eps * size


def test_memory_grows_with_the_length_and_not_with_its_square(monkeypatch):
    q, k, v = triple(
        18,
        batch=(8,),
        queries=4096,
        keys=4096,
        dim=16,
        value_dim=16,
        dtype=torch.float32,
    )
    output = q.numel() * 4
    buffer = tiled_passes.TILE * 4
    whole = 8 * 4096 * 4096 * 4
    extra = extra_bytes(lambda: tiled.causal_attention(q, k, v))
    assert output <= extra <= 2 * buffer + 2 * output
    assert extra < whole / 40
    # The tracker sees what is to be avoided.
    few = [each[:, :512] for each in (q, k, v)]
    naive = extra_bytes(lambda: fast_dense.attention(*few))
    assert naive >= 8 * 512 * 512 * 4


Q, K, V = torch.ones(3, 5), torch.ones(7, 5), torch.ones(7, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (Q, K[:, :4], V),
            ValueError,
            "q and k must agree in dim: got q=5, k=4",
        ),
        (
            (Q, K, V[:6]),
            ValueError,
            "k and v must agree in keys: got k=7, v=6",
        ),
        (
            (Q[0], K, V),
            ValueError,
            r"q must have axes \(\.\.\., queries, dim\): got shape \(5,\)",
        ),
        (
            (Q.int(), K, V),
            TypeError,
            "q must be a floating-point tensor: got torch.int32",
        ),
        (
            (Q, K, [1.0]),
            TypeError,
            "v must be a floating-point tensor: got list",
        ),
        (
            (Q, K.double(), V),
            TypeError,
            "q and k must agree in dtype and device: "
            "got torch.float32 on cpu, torch.float64 on cpu",
        ),
        (
            (Q.expand(2, 3, 5), K.expand(3, 7, 5), V),
            ValueError,
            "leading axes of q and k and v must broadcast",
        ),
        ((Q[:, :0], K[:, :0], V), ValueError, "dim must be at least 1: got 0"),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    arguments, error, message
):
    for function, _ in VARIANTS.values():
        with pytest.raises(error, match=message):
            function(*arguments)


def test_a_window_and_groups_must_make_sense():
    with pytest.raises(ValueError, match="window must be at least 1: got 0"):
        tiled.window_attention(Q, K, V, window=0)
    many = Q.expand(5, 3, 5), K.expand(2, 7, 5), V.expand(2, 7, 2)
    message = "heads must be a multiple of groups: got heads=5, groups=2"
    with pytest.raises(ValueError, match=message):
        tiled.grouped_attention(*many)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_starts_threads_of_its_own():
    # In a process of its own: this one may hold threads already.
    script = (
        "import os, signal, torch\n"
        "from attncourse.fast import tiled\n"
        "torch.set_num_threads(2)\n"
        "q = torch.ones(8, 300, 8)\n"  # too few for OpenMP, which hangs
        "before = tiled.attention(q, q, q)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(30)\n"
        "    same = torch.equal(tiled.attention(q, q, q), before)\n"
        "    os._exit(0 if same else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
