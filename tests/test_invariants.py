"""What must hold to the last bit holds to the last bit.

Rounding may differ between two ways to compute the same; it may not differ
between two runs of one way on the same numbers. Each invariant is asked of
every implementation of which the mathematics promises it.
"""

import functools

import numpy as np
import pytest
import torch

from attncourse.fast import dense as fast_dense
from attncourse.fast import linear as fast_linear
from attncourse.fast import linear_decay as fast_decay
from attncourse.fast import sparse as fast_sparse
from attncourse.fast import tiled
from attncourse.fast.masks import causal_mask
from attncourse.reference import (
    dense,
    linear,
    masks,
    online,
    ring,
    sparse,
)

# Heads of 16 numbers fill cache lines. Where one head's rows begin within a
# line and another's do not, BLAS may add up in another order.
BATCH, HEADS, TOKENS, DIM = 2, 3, 300, 16
LAYOUT = np.tril(np.ones((10, 10), bool))
LAYOUT[7, 2] = LAYOUT[9, 0] = False
BLOCK = 32


def in_numpy(function):
    """Return a function of tensors that answers by a NumPy reference."""

    @functools.wraps(function)
    def call(*tensors):
        # What may see the poison is NaN, rightly, and NumPy says so.
        with np.errstate(invalid="ignore"):
            return torch.from_numpy(function(*(x.numpy() for x in tensors)))

    return call


def causal_reference(q, k, v):
    mask = masks.causal_mask(q.shape[-2], k.shape[-2])
    return dense.attention(q, k, v, mask=mask)


def causal_dense(q, k, v):
    mask = causal_mask(q.shape[-2], k.shape[-2])
    return fast_dense.attention(q, k, v, mask=mask)


def retention(q, k, v):
    decay = torch.full((TOKENS, 1), -0.01, dtype=q.dtype)[: q.shape[-2]]
    return fast_decay.chunked_retention(q, k, v, log_decay=decay)[0]


FULL = {
    "reference.dense": in_numpy(dense.attention),
    "reference.online": in_numpy(online.attention),
    "reference.ring": in_numpy(functools.partial(ring.attention, ranks=3)),
    "reference.linear": in_numpy(linear.attention),
    "fast.dense": fast_dense.attention,
    "fast.tiled": tiled.attention,
    "fast.linear": fast_linear.attention,
}
CAUSAL = {
    "reference.dense, causal": in_numpy(causal_reference),
    "reference.linear, causal": in_numpy(linear.causal_attention),
    "reference.sparse, causal": in_numpy(
        functools.partial(sparse.causal_attention, layout=LAYOUT, block=BLOCK)
    ),
    "fast.dense, causal": causal_dense,
    "fast.tiled, causal": tiled.causal_attention,
    "fast.tiled, window": functools.partial(tiled.window_attention, window=50),
    "fast.linear, causal": fast_linear.causal_attention,
    "fast.linear, retention": retention,
    "fast.sparse, causal": functools.partial(
        fast_sparse.causal_attention,
        layout=torch.from_numpy(LAYOUT),
        block=BLOCK,
    ),
}
EVERY = FULL | CAUSAL
# Heads or examples one at a time: torch's product of many matrices may add
# up in another order than its product of one.
APART = {name: EVERY[name] for name in EVERY if name != "fast.dense"}

# A layout belongs to one length, and a product of fewer rows may add up in
# another order.
PREFIXED = (
    "fast.tiled, causal",
    "fast.tiled, window",
    "fast.linear, causal",
    "fast.linear, retention",
)


def arrays(dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, BATCH, HEADS, TOKENS, DIM)
    return torch.randn(shape, generator=generator, dtype=dtype).unbind()


def types(name):
    """Return the dtypes to try: the reference computes in one."""
    single = [] if name.startswith("reference") else [torch.float32]
    return [*single, torch.float64]


def every(table):
    return pytest.mark.parametrize(
        ("function", "dtype"),
        [
            pytest.param(table[name], dtype, id=f"{name}, {dtype}")
            for name in table
            for dtype in types(name)
        ],
    )


@every(EVERY)
def test_a_repeat_gives_the_same_bits(function, dtype):
    assert torch.equal(function(*arrays(dtype)), function(*arrays(dtype)))


@every(EVERY)
def test_doubled_values_double_the_output(function, dtype):
    q, k, v = arrays(dtype)
    assert torch.equal(function(q, k, 2 * v), 2 * function(q, k, v))


@every(APART)
def test_examples_and_heads_are_computed_apart(function, dtype):
    q, k, v = arrays(dtype)
    together = function(q, k, v)
    for b in range(BATCH):
        assert torch.equal(function(q[b], k[b], v[b]), together[b])


@every(APART)
def test_permuted_heads_permute_the_output(function, dtype):
    order = [2, 0, 1]
    q, k, v = arrays(dtype)
    moved = function(*(each[:, order] for each in (q, k, v)))
    assert torch.equal(moved, function(q, k, v)[:, order])


@every(CAUSAL)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_the_future_reaches_no_bit_of_the_past(function, dtype, poison):
    q, k, v = arrays(dtype)
    before = function(q, k, v)
    cut = 201  # within a tile, a block and a chunk
    for each in (k, v):
        each[..., cut:, :] = poison
    after = function(q, k, v)
    assert torch.equal(after[..., :cut, :], before[..., :cut, :])


@every({name: CAUSAL[name] for name in PREFIXED})
def test_a_causal_prefix_at_the_edge_of_tiles_is_the_prefix(function, dtype):
    q, k, v = arrays(dtype)
    whole = function(q, k, v)
    edge = 256
    prefix = function(*(each[..., :edge, :] for each in (q, k, v)))
    assert torch.equal(prefix, whole[..., :edge, :])


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -1e30])
@pytest.mark.parametrize(
    "attention",
    [in_numpy(dense.attention), fast_dense.attention],
    ids=["reference", "fast"],
)
def test_padding_reaches_no_bit_of_what_is_real(attention, poison):
    q, k, v = arrays(torch.float64)
    mask = torch.arange(TOKENS) < 201
    mask = mask[None, :]

    def masked(q, k, v):
        if attention is fast_dense.attention:
            return attention(q, k, v, mask=mask)
        arrays = (each.numpy() for each in (q, k, v))
        return torch.from_numpy(dense.attention(*arrays, mask=mask.numpy()))

    before = masked(q, k, v)
    for each in (k, v):
        each[..., 201:, :] = poison
    assert torch.equal(masked(q, k, v), before)
