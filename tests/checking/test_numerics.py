"""The numerics policy passes honest arithmetic and notices planted faults."""

import math

import numpy as np
import pytest
import torch
from low_precision import tf32

from attncourse.checking import numerics
from attncourse.reference import dense

TILE = 16
HALF = [torch.float16, torch.bfloat16]
# What is wrong with a kernel; None is a right one.
FAULTS = (
    "tf32 product",
    "low-precision accumulator",
    "low-precision row sum",
    "scale wrong by one percent",
    "missing rescale",
    "dropped tile",
)
# In half precision a product of two numbers of the type is exact anyway.
HALF_FAULTS = tuple(each for each in FAULTS if each != "tf32 product")


def kernel(q, k, v, fault=None):
    """Return attention as a tiled kernel computes it, with a fault."""
    coarse = torch.bfloat16 if q.dtype == torch.float32 else q.dtype
    scale = 1 / math.sqrt(q.shape[-1])
    if fault == "scale wrong by one percent":
        scale *= 1.01
    left, right = (each.float() for each in (q, k))
    if fault == "tf32 product":
        left, right = tf32(left), tf32(right)
    highest = torch.full((*q.shape[:-1], 1), -math.inf)
    total, read = torch.zeros_like(highest), torch.zeros(v.shape)
    starts = [*range(0, k.shape[-2], TILE)]
    if fault == "dropped tile":
        starts = starts[:-1]
    for start in starts:
        tile = slice(start, start + TILE)
        scores = left @ right[..., tile, :].mT * scale
        higher = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        p = torch.exp(scores - higher)
        rescale = torch.exp(highest - higher)
        total = total * rescale + p.sum(dim=-1, keepdim=True)
        if fault != "missing rescale":
            read = read * rescale
        read = read + p.to(q.dtype).float() @ v[..., tile, :].float()
        if fault == "low-precision row sum":
            total = total.to(coarse).float()
        if fault == "low-precision accumulator":
            read = read.to(coarse).float()
        highest = higher
    return (read / total).to(q.dtype)


def drawn(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 8, 128, 64, generator=generator)
    return q.to(dtype), k.to(dtype), v.to(dtype)


def accepted(seed, dtype, fault=None):
    """Tell whether the policy accepts the kernel's answer."""
    q, k, v = drawn(seed, dtype)
    answer = kernel(q, k, v, fault).double().numpy()
    wide = [each.double().numpy() for each in (q, k, v)]
    truth = dense.attention(*wide)
    weights = dense.attention_weights(*wide[:2])
    if dtype == torch.float32:
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        plain = (torch.softmax(scores, dim=-1) @ v).numpy()
        return numerics.within_plain(answer, truth, plain)
    rounded = torch.from_numpy(weights).to(dtype).double()
    ideal = (rounded @ v.double()).to(dtype).double().numpy()
    return numerics.within_ideal(answer, truth, ideal)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
def test_a_right_kernel_is_accepted(dtype, seed):
    assert accepted(seed, dtype)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_single_precision_is_noticed(fault, seed):
    assert not accepted(seed, torch.float32, fault)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("fault", HALF_FAULTS)
def test_a_fault_in_half_precision_is_noticed(fault, dtype, seed):
    assert not accepted(seed, dtype, fault)


def test_the_usual_tolerance_would_let_subtle_faults_pass():
    q, k, v = drawn(0, torch.float16)
    truth = dense.attention(*(each.double() for each in (q, k, v)))
    for fault in ("low-precision accumulator", "low-precision row sum"):
        answer = kernel(q, k, v, fault).double().numpy()
        np.testing.assert_allclose(answer, truth, rtol=1e-2, atol=1e-2)


def test_the_float32_rule_bounds_the_largest_error_too():
    truth = np.zeros(10_000)
    plain = np.full(10_000, 1e-7)
    spike = plain.copy()
    spike[0] = 2.1e-7
    assert not numerics.within_plain(spike, truth, plain)
    spike[0] = 1.9e-7
    assert numerics.within_plain(spike, truth, plain)
    assert not numerics.within_plain(plain * 1.26, truth, plain)
    assert numerics.within_plain(plain * 1.24, truth, plain)


def test_an_answer_that_is_not_a_number_is_never_within():
    truth, near = np.zeros(3), np.full(3, 1e-7)
    spoiled = np.array([0.0, np.nan, 0.0])
    assert not numerics.within_plain(spoiled, truth, near)
    assert not numerics.within_ideal(spoiled, truth, near)


def test_empty_answers_are_within():
    empty = np.zeros((0, 3))
    assert numerics.within_plain(empty, empty, empty)
    assert numerics.within_ideal(empty, empty, empty)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"answer must have the truth's"):
        numerics.rms_error(np.zeros((3, 1)), np.zeros((3, 2)))


def test_a_tolerance_grows_with_the_terms_and_the_magnitude():
    base = numerics.tolerance(terms=1).relative
    assert numerics.tolerance(terms=4).relative == pytest.approx(2 * base)
    assert numerics.tolerance(terms=1, magnitude=8).relative == 8 * base
    assert numerics.tolerance(terms=1, magnitude=0.1).relative == base
    with pytest.raises(ValueError, match="terms must be at least 1"):
        numerics.tolerance(terms=0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("terms", [7, 64, 1000])
def test_an_honest_single_precision_sum_is_within_its_tolerance(terms, seed):
    x = np.random.default_rng(seed).normal(size=(50, terms))
    truth = x.sum(axis=-1)
    one_by_one = np.zeros(50, np.float32)
    for column in x.T.astype(np.float32):
        one_by_one += column
    bound = numerics.tolerance(terms=terms, magnitude=1.0)
    limit = bound.relative * np.abs(truth).max() + bound.absolute
    assert np.abs(one_by_one - truth).max() <= limit
