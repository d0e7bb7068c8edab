"""The GPU kernels in three tiers: interpreted, compiled, run on a GPU.

A tier that cannot run says so: it is skipped with its reason.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attncourse.checking import numerics
from attncourse.fast import kernels
from attncourse.fast.kernels import config as configs
from attncourse.fast.kernels.config import Config

HERE = Path(__file__).parent


def is_there(package):
    """Tell if a package can be found, whatever the finders do about it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


HAS_TRITON = is_there("triton")
needs_triton = pytest.mark.skipif(
    not HAS_TRITON, reason="Triton's tiers did not run: it is not installed"
)
needs_gpu = pytest.mark.skipif(
    not (HAS_TRITON and torch.cuda.is_available()),
    reason="GPU tier did not run: no CUDA device",
)


def in_a_process(code_or_options, folder, **environment):
    """Run Python in a process of its own, with a cache of its own."""
    return subprocess.run(
        [sys.executable, *code_or_options],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TRITON_CACHE_DIR": str(folder),
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        cwd=HERE.parents[1],
        check=False,
    )


# Without Triton, and without a GPU.


def test_importing_the_package_does_not_import_triton(tmp_path):
    code = (
        "import sys, attncourse.fast.kernels, attncourse.fast.kernels.config"
        "; sys.exit('triton' in sys.modules)"
    )
    done = in_a_process(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr


def test_without_triton_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch\nfrom attncourse.fast import kernels\n"
        "x = torch.ones(3, 5)\n"
        "try: kernels.attention(x, x, x)\n"
        "except ModuleNotFoundError as error: print(error, error.name)\n"
    )
    done = in_a_process(["-c", code], tmp_path, TRITON_INTERPRET="1")
    assert done.stdout.strip() == (
        'Triton must be installed: pip install "attncourse[triton]" triton'
    ), done.stderr


NO_TRITON = """\
import sys
from importlib.abc import MetaPathFinder

class Refuses(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "triton":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuses())
"""


def test_without_triton_its_tests_are_skipped_with_the_reason(tmp_path):
    (tmp_path / "no_triton.py").write_text(NO_TRITON, encoding="utf-8")
    one = (
        "tests/fast/test_kernels.py::"
        "test_the_contract_notices_tiles_that_spill"
    )
    done = in_a_process(
        [
            *("-m", "pytest", "-p", "no_triton", "-p", "no:cacheprovider"),
            *("-p", "no:xdist", "-rs", "attncourse/fast/kernels", one),
        ],
        tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Triton's tiers did not run: it is not installed" in done.stdout


Q, K, V = torch.ones(3, 5), torch.ones(7, 5), torch.ones(7, 2)
WRONG = [
    ((Q, K, V), ValueError, "tensors must be on an NVIDIA GPU: got cpu"),
    ((Q, K[:, :4], V), ValueError, "q and k must agree in dim: got q=5, k=4"),
    ((Q, K, V[:6]), ValueError, "k and v must agree in keys: got k=7, v=6"),
    ((Q.int(), K, V), TypeError, "q must be a floating-point tensor"),
    (
        (Q.double(), K, V),
        TypeError,
        "q must be float16, bfloat16 or float32: got torch.float64",
    ),
    (
        (Q, K.half(), V),
        TypeError,
        "q and k must agree in dtype and device: "
        "got torch.float32 on cpu, torch.float16 on cpu",
    ),
    ((Q[:, :0], K[:, :0], V), ValueError, "dim must be at least 1: got 0"),
    ((Q[0], K, V), ValueError, r"q must have axes \(\.\.\., queries, dim\)"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG)
def test_wrong_arguments_are_refused_with_what_must_hold(
    arguments, error, message, monkeypatch
):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for function in (kernels.attention, kernels.causal_attention):
        with pytest.raises(error, match=message):
            function(*arguments)


def test_a_window_and_groups_must_make_sense():
    with pytest.raises(ValueError, match="window must be at least 1: got 0"):
        kernels.window_attention(Q, K, V, window=0)
    many = Q.expand(5, 3, 5), K.expand(2, 7, 5), V.expand(2, 7, 2)
    message = "heads must be a multiple of groups: got heads=5, groups=2"
    with pytest.raises(ValueError, match=message):
        kernels.grouped_attention(*many)


def test_the_widest_head_is_named():
    message = "dim and value_dim must be at most 256: got 257"
    with pytest.raises(ValueError, match=message):
        configs.padded(257)
    assert [configs.padded(n) for n in (1, 16, 17, 256)] == [16, 16, 32, 256]


def test_so_many_heads_are_taken_that_their_keys_fit_the_cache():
    assert configs.heads_together(16384, 256, 2) == 4
    assert configs.heads_together(10**6, 256, 2) == 1
    assert configs.heads_together(0, 256, 2) > 1


def test_the_search_has_something_to_try():
    for kernel in ("forward", "query_gradients", "key_gradients"):
        narrow, wide = (
            configs.candidates(width, kernel=kernel) for width in (64, 128)
        )
        assert len(narrow) > len(wide) >= 2
        assert len(set(narrow)) == len(narrow)
    with pytest.raises(ValueError, match="kernel must be forward, query_gr"):
        configs.candidates(64, kernel="backward")


# Interpreted.


@needs_triton
def test_the_kernels_are_right_in_the_interpreter(tmp_path):
    done = in_a_process(
        [
            *("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("--noconftest", "-q", str(HERE / "kernels_interpreted.py")),
        ],
        tmp_path,
        TRITON_INTERPRET="1",
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    passed = re.search(r"(\d+) passed", shown) or re.findall(r"\.", shown)
    assert passed, shown
    assert "skipped" not in shown


# Compiled for Hopper, without one.


@pytest.fixture
def contract(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    from attncourse.fast.kernels import contract

    return contract


def config_of(kernel, *, width, causal, windowed):
    """Return the configuration that a launch chooses for bfloat16."""
    kind = {"item_bytes": 2, "capability": 90}
    if kernel == "forward":
        return configs.forward_config(width, windowed=windowed, **kind)
    if kernel == "query_gradients":
        return configs.query_gradient_config(width, **kind)
    return configs.key_gradient_config(width, causal=causal, **kind)


COMPILED = [
    ("forward", 128, True, False),
    ("query_gradients", 128, True, False),
    ("key_gradients", 128, True, False),
    *(
        pytest.param(kernel, width, causal, windowed, marks=pytest.mark.slow)
        for kernel in ("forward", "query_gradients", "key_gradients")
        for width in (64, 128)
        for causal, windowed in ((False, False), (True, False), (True, True))
        if (width, causal, windowed) != (128, True, False)
    ),
]


@needs_triton
@pytest.mark.parametrize(("kernel", "width", "causal", "windowed"), COMPILED)
def test_a_kernel_keeps_the_contract_of_the_compiler(
    kernel, width, causal, windowed, contract
):
    config = config_of(kernel, width=width, causal=causal, windowed=windowed)
    case = contract.Case(width, causal=causal, windowed=windowed)
    report = contract.compile_for_hopper(kernel, config, case)
    assert report.broken(config) == []
    if kernel == "forward":  # the exponentials have company
        assert report.overlapped


@needs_triton
@pytest.mark.usefixtures("contract")  # Triton is imported and compiles
def test_asking_for_the_interpreter_too_late_is_said(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    message = "TRITON_INTERPRET must be set before Triton is imported: got"
    with pytest.raises(RuntimeError, match=message):
        kernels.attention(Q, K, V)


@needs_triton
def test_the_contract_notices_tiles_that_spill(contract):
    config = Config(128, 256, 4, 2)
    report = contract.compile_for_hopper(
        "forward", config, contract.Case(64, causal=False)
    )
    (broken,) = (rule for rule in report.broken(config) if "spill" in rule)
    assert re.fullmatch(r"it must not spill: got [1-9]\d+ bytes", broken)


@needs_triton
def test_the_contract_notices_tiles_that_do_not_fit(contract):
    config = Config(64, 64, 4, 5)
    report = contract.compile_for_hopper(
        "query_gradients", config, contract.Case(256)
    )
    assert any("shared memory" in rule for rule in report.broken(config))


@needs_triton
def test_the_contract_notices_products_without_the_matrix_unit(contract):
    config = Config(16, 16, 1, 1)
    report = contract.compile_for_hopper(
        "forward", config, contract.Case(16, dtype="fp16")
    )
    assert any("wgmma" in rule for rule in report.broken(config))


@needs_triton
def test_every_rule_of_the_contract_can_break(contract):
    config = Config(128, 128, 8, 2)
    good = {
        "registers": 255,
        "spilled_bytes": 0,
        "shared_bytes": 227 * 1024,
        "products": 8,
        "overlapped": True,
        "serialized": False,
    }
    assert contract.Report(**good).broken(config) == []
    for change, message in (
        ({"registers": 256}, "registers must be at most 255: got 256"),
        ({"spilled_bytes": 4}, "it must not spill: got 4 bytes"),
        ({"shared_bytes": 232449}, "shared memory must be at most 232448"),
        ({"products": 0}, "it must multiply on the matrix units"),
        ({"serialized": True}, "products must run on the side"),
    ):
        (broken,) = contract.Report(**{**good, **change}).broken(config)
        assert broken.startswith(message)


# What a launch passes, compiled for GPUs that are not there.

SHARED_BYTES = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024, 120: 99 * 1024}


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """Return a function that compiles both passes as they are launched."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver, jit

    from attncourse.fast.kernels import launch

    run = jit.JITFunction.run
    found = {}

    def compile_only(self, *arguments, grid, warmup, **constants):
        kernel = run(self, *arguments, grid=grid, warmup=True, **constants)
        found[self.__name__] = kernel
        return kernel

    def compile_for(capability, arrays, visible):
        # An index of its own, because kernels are kept for each device.
        target = SimpleNamespace(
            get_current_target=lambda: GPUTarget("cuda", capability, 32),
            get_current_device=lambda: 1000 + capability,
            get_current_stream=lambda device: 0,
        )
        monkeypatch.setattr(driver, "_active", target)
        monkeypatch.setattr(jit.JITFunction, "run", compile_only)
        monkeypatch.setattr(launch, "capability", lambda x: capability)
        arrays = [each.requires_grad_() for each in arrays]
        launch.attend(*arrays, launch.Visible(*visible)).sum().backward()
        return found

    return compile_for


LAUNCHED = [
    # Triton compiles anew for arguments that are one.
    (90, 1, 1, (16, 16), torch.bfloat16, (True,)),
    (90, 300, 1, (16, 16), torch.float16, (False,)),
    (90, 1, 300, (24, 5), torch.float16, (True, 7)),
    (80, 300, 300, (16, 16), torch.bfloat16, (True,)),
    *(
        pytest.param(
            capability, 300, 500, widths, dtype, (True,),
            marks=pytest.mark.slow,
        )
        for capability in SHARED_BYTES
        for widths, dtype in (
            ((64, 128), torch.bfloat16),
            ((256, 64), torch.float16),
            ((256, 256), torch.float32),
        )
    ),
]  # fmt: skip


@needs_triton
@pytest.mark.parametrize(
    ("capability", "queries", "keys", "widths", "dtype", "visible"), LAUNCHED
)
def test_what_is_launched_compiles_and_fits(
    capability, queries, keys, widths, dtype, visible, compiled
):
    dim, value_dim = widths
    shapes = ((queries, dim), (keys, dim), (keys, value_dim))
    arrays = [torch.zeros(1, 1, *shape, dtype=dtype) for shape in shapes]
    found = compiled(capability, arrays, visible)
    assert set(found) == {
        *("attend", "inner_products", "query_gradients", "key_gradients")
    }
    for kernel in found.values():
        assert kernel.metadata.shared <= SHARED_BYTES[capability]
        assert f".target sm_{capability}" in kernel.asm["ptx"]


# On a GPU.

FUNCTIONS = {
    "full": kernels.attention,
    "causal": kernels.causal_attention,
    "window": lambda *arrays: kernels.window_attention(*arrays, window=300),
}


def on_gpu(length, width, *, dtype, heads=(2, 4), seed=0):
    generator = torch.Generator("cuda").manual_seed(seed)
    return [
        torch.randn(
            *heads, length, width, generator=generator, device="cuda"
        ).to(dtype)
        for _ in range(3)
    ]


def mask_on_gpu(name, length):
    place = torch.arange(length, device="cuda")
    back = place[:, None] - place
    if name == "full":
        return back == back
    return (back >= 0) & (back < (300 if name == "window" else length))


def truth_and_ideal(name, q, k, v):
    """Return attention in float64, and with only what must be rounded."""
    allowed = mask_on_gpu(name, q.shape[-2])
    scores = q.double() @ k.double().mT * q.shape[-1] ** -0.5
    scores.masked_fill_(~allowed, -torch.inf)
    weights = torch.softmax(scores, dim=-1)
    truth = weights @ v.double()
    ideal = (weights.to(q.dtype).double() @ v.double()).to(q.dtype)
    return truth, ideal.double()


@needs_gpu
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("width", [64, 96, 128, 256])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_on_a_gpu_half_types_are_as_exact_as_they_can_be(name, width, dtype):
    q, k, v = on_gpu(1531, width, dtype=dtype, heads=(1, 2))
    answer = FUNCTIONS[name](q, k, v).double()
    truth, ideal = truth_and_ideal(name, q, k, v)
    arrays = (each.cpu().numpy() for each in (answer, truth, ideal))
    assert numerics.within_ideal(*arrays)


@needs_gpu
@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_a_gpu_single_precision_is_not_tf32(name):
    q, k, v = on_gpu(523, 64, dtype=torch.float32, heads=(1, 2))
    answer = FUNCTIONS[name](q, k, v)
    truth, _ = truth_and_ideal(name, q, k, v)
    allowed = mask_on_gpu(name, 523)
    scores = (q @ k.mT * 64**-0.5).masked_fill(~allowed, -torch.inf)
    plain = torch.softmax(scores, dim=-1) @ v
    arrays = (each.cpu().numpy() for each in (answer, truth, plain))
    assert numerics.within_plain(*arrays)


@needs_gpu
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("width", [64, 128, 256])
@pytest.mark.parametrize("length", [777, 2048])
def test_on_a_gpu_gradients_are_close(name, width, length):
    arrays = on_gpu(length, width, dtype=torch.bfloat16, heads=(1, 2))
    inputs = [each.clone().requires_grad_() for each in arrays]
    output = FUNCTIONS[name](*inputs)
    upstream = torch.randn_like(output)
    ours = torch.autograd.grad(output, inputs, upstream)
    wide = [each.double().requires_grad_() for each in arrays]
    truth, _ = truth_and_ideal(name, *wide)
    right = torch.autograd.grad(truth, wide, upstream.double())
    for one, other in zip(ours, right, strict=True):
        error = numerics.rms_error(one.double().cpu(), other.cpu())
        size = numerics.rms_error(other.cpu(), np.zeros_like(other.cpu()))
        assert error <= 2 * torch.finfo(torch.bfloat16).eps * size


@needs_gpu
@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_a_gpu_the_same_bits_come_out(name):
    function = FUNCTIONS[name]
    q, k, v = on_gpu(1024, 128, dtype=torch.bfloat16)
    whole = function(q, k, v)
    assert torch.equal(whole, function(q, k, v))
    assert torch.equal(whole[1:], function(q[1:], k[1:], v[1:]))
    order = [2, 0, 3, 1]
    turned = function(*(each[:, order] for each in (q, k, v)))
    assert torch.equal(whole[:, order], turned)
    assert torch.equal(function(q, k, 2 * v), 2 * whole)
    gradients = []
    for _ in range(2):
        inputs = [each.clone().requires_grad_() for each in (q, k, v)]
        gradients.append(torch.autograd.grad(function(*inputs).sum(), inputs))
    assert all(map(torch.equal, *gradients))


@needs_gpu
def test_on_a_gpu_a_poisoned_future_changes_no_bit_of_the_past():
    q, k, v = on_gpu(1024, 64, dtype=torch.bfloat16)
    clean = kernels.causal_attention(q, k, v)
    for each in (q, k, v):
        each[..., 700:, :] = torch.nan
    spoiled = kernels.causal_attention(q, k, v)
    assert torch.equal(spoiled[..., :700, :], clean[..., :700, :])
    assert spoiled[..., 700:, :].isnan().all()
    part = kernels.causal_attention(*(x[..., :512, :] for x in (q, k, v)))
    assert torch.equal(part, clean[..., :512, :])


@needs_gpu
def test_on_a_gpu_groups_are_repeated_heads_and_rows_may_see_nothing():
    q, _, _ = on_gpu(640, 128, dtype=torch.bfloat16, heads=(2, 8))
    _, k, v = on_gpu(256, 128, dtype=torch.bfloat16, heads=(2, 2), seed=1)
    many = [each.repeat_interleave(4, dim=1) for each in (k, v)]
    torch.testing.assert_close(
        kernels.grouped_attention(q, k, v), kernels.attention(q, *many)
    )
    parted = q.unflatten(1, (2, 4))
    shared = kernels.causal_attention(parted, k[:, :, None], v[:, :, None])
    repeated = kernels.causal_attention(q, *many)
    assert torch.equal(shared.flatten(1, 2), repeated)
    assert not repeated[:, :, :384].any()


@needs_gpu
@pytest.mark.parametrize("width", [40, 64, 100])
def test_on_a_gpu_views_are_read_where_they_lie(width):
    drawn = on_gpu(401, 3 * width, dtype=torch.float16)[0].transpose(1, 2)
    views = [each.transpose(1, 2) for each in drawn.split(width, dim=-1)]
    assert not any(each.is_contiguous() for each in views)
    found = []
    for arrays in (views, [each.contiguous() for each in views]):
        inputs = [each.detach().requires_grad_() for each in arrays]
        output = kernels.causal_attention(*inputs)
        gradients = torch.autograd.grad(output.mT.sum(), inputs)
        found.append((output, *gradients))
    assert all(map(torch.equal, *found))


@needs_gpu
@pytest.mark.slow
def test_on_a_gpu_more_numbers_than_32_bits_count_are_addressed():
    length = 2**18 + 77
    try:
        arrays = on_gpu(length, 128, dtype=torch.bfloat16, heads=(2, 33))
        assert arrays[0].numel() > 2**31
        inputs = [each.requires_grad_() for each in arrays]
        last = [each.detach()[1:, 32:].requires_grad_() for each in arrays]
        found = []
        for each in (inputs, last):
            output = kernels.window_attention(*each, window=64)
            gradients = torch.autograd.grad(output.sum(), each)
            found.append([x[-1, -1].clone() for x in (output, *gradients)])
    except torch.cuda.OutOfMemoryError:
        pytest.skip("it needs 80 GiB of GPU memory")
    assert all(map(torch.equal, *found))


@pytest.mark.skipif(
    not HAS_TRITON or torch.cuda.device_count() < 2,
    reason="the test of a second GPU did not run: there is none",
)
def test_a_second_gpu_is_used_where_the_arrays_are():
    arrays = on_gpu(300, 64, dtype=torch.bfloat16)
    found = []
    for place in ("cuda:0", "cuda:1"):
        inputs = [each.to(place).requires_grad_() for each in arrays]
        output = kernels.causal_attention(*inputs)
        gradients = torch.autograd.grad(output.sum(), inputs)
        found.append([each.cpu() for each in (output, *gradients)])
    assert torch.cuda.current_device() == 0
    assert all(map(torch.equal, *found))


@needs_gpu
def test_on_a_gpu_a_long_sequence_agrees_with_torchs_operator():
    q, k, v = on_gpu(32768, 64, dtype=torch.bfloat16, heads=(1, 2))
    ours = kernels.causal_attention(q, k, v)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True
    )
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=1e-2)
