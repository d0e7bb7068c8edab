"""Caches in torch against loops, the reference, and whole stacks."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attncourse.fast import dense, layers, tiled
from attncourse.fast.cache import (
    CachedAttention,
    CachedDecoder,
    FullCache,
    PagedCache,
    WindowCache,
    next_positions,
    slot_positions,
    visible,
)
from attncourse.fast.cache_arrivals import (
    Arrivals,
    require_like,
    whole_counts,
)
from attncourse.fast.cache_parts import (
    read_all,
    read_masked,
    read_newest,
    stack_group,
)
from attncourse.fast.cache_stack import with_cache
from attncourse.fast.positions import rotary
from attncourse.reference import cache as reference
from attncourse.reference import objectives_decoding

seeds = st.integers(0, 10**6)
chunks = st.lists(st.integers(0, 4), min_size=1, max_size=5)
KINDS = ["full", "window", "paged"]
kinds = st.sampled_from(KINDS)
shares = st.sampled_from([(3, 3), (6, 2), (4, 1)])
DIM, VALUE_DIM, WINDOW = 4, 3, 5
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def triple(seed, *batch, heads, groups, tokens, dtype=torch.float64):
    return (
        draw(seed, *batch, heads, tokens, DIM, dtype=dtype),
        draw(seed + 1, *batch, groups, tokens, DIM, dtype=dtype),
        draw(seed + 2, *batch, groups, tokens, VALUE_DIM, dtype=dtype),
    )


def empty(kind, rows=2):
    if kind == "full":
        return FullCache(start=3)
    if kind == "window":
        return WindowCache(window=WINDOW)
    made = PagedCache(blocks=20, size=3)
    for _ in range(rows):
        made.add_row()
    return made


def reach(kind):
    return WINDOW if kind == "window" else 10**9


def looped(q, k, v, window=10**9, encode=None):
    """Return causal attention of one sequence, a pair at a time."""
    heads, n, _ = q.shape
    share = heads // len(k)
    if encode is not None:
        at = torch.arange(n)
        q, k = encode(q, at), encode(k, at)
    out = torch.zeros(heads, n, v.shape[-1], dtype=torch.float64)
    for h in range(heads):
        for i in range(n):
            seen = [j for j in range(n) if i - window < j <= i]
            logits = [float(q[h, i] @ k[h // share, j]) / 2 for j in seen]
            highest = max(logits)
            w = [math.exp(each - highest) for each in logits]
            for weight, j in zip(w, seen, strict=True):
                out[h, i] += weight / sum(w) * v[h // share, j]
    return out


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or EXACT),
    )


# --- a step at a time is everything at once --------------------------------


@given(seeds, kinds, shares, chunks, st.booleans())
@settings(max_examples=40, deadline=None)
def test_chunks_of_any_sizes_read_what_all_at_once_would(
    seed, kind, share, sizes, turned
):
    (heads, groups), encode = share, rotary if turned else None
    q, k, v = triple(seed, 2, heads=heads, groups=groups, tokens=sum(sizes))
    held, at, parts = empty(kind), 0, []
    for size in sizes:
        now = (x[:, :, at : at + size] for x in (q, k, v))
        parts.append(held.step(*now, encode=encode))
        at += size
    got = torch.cat(parts, dim=2)
    for row in range(2):
        close(got[row], looped(q[row], k[row], v[row], reach(kind), encode))
    assert held.lengths.tolist() == [sum(sizes)] * 2


@given(
    seeds,
    kinds,
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_sequences_of_different_lengths_do_not_meet(seed, kind, counts):
    total = np.array(counts).sum(axis=0)
    q, k, v = triple(seed, 3, heads=4, groups=2, tokens=max(1, total.max()))
    held, at, parts = empty(kind, 3), np.zeros(3, int), [[], [], []]
    for new in np.array(counts):
        padded = []
        for x in (q, k, v):
            shape = (3, x.shape[1], new.max() + 1, x.shape[3])
            block = torch.full(shape, torch.nan, dtype=torch.float64)
            for row in range(3):
                part = x[row, :, at[row] : at[row] + new[row]]
                block[row, :, : new[row]] = part
            padded.append(block)
        read = held.step(*padded, encode=rotary, counts=torch.tensor(new))
        for row in range(3):
            parts[row].append(read[row, :, : new[row]])
            assert not read[row, :, new[row] :].any()  # padding reads nothing
        at += new
    assert held.lengths.tolist() == total.tolist()
    for row in range(3):
        own = (x[row, :, : total[row]] for x in (q, k, v))
        close(torch.cat(parts[row], dim=1), looped(*own, reach(kind), rotary))


@given(seeds, st.lists(st.integers(0, 3), min_size=4, max_size=4), chunks)
@settings(max_examples=15, deadline=None)
def test_every_cache_is_the_references(seed, counts, sizes):
    steps = {
        "full": (reference.full_step, reference.new_full_cache(4, **SIZES)),
        "window": (
            reference.window_step,
            reference.new_window_cache(4, window=WINDOW, **SIZES),
        ),
        "paged": (
            reference.paged_step,
            functools.reduce(
                lambda made, _: reference.add_row(made),
                range(4),
                reference.new_paged_cache(blocks=40, size=3, **SIZES),
            ),
        ),
    }
    for kind, (step, plain) in steps.items():
        held = (
            empty(kind, 4)
            if kind != "paged"
            else PagedCache(blocks=40, size=3)
        )
        while kind == "paged" and len(held.tables) < 4:
            held.add_row()
        for number, size in enumerate([3, *sizes]):
            x = triple(seed + number, 4, heads=4, groups=2, tokens=size)
            new = np.array(counts) if number == 0 else None
            got = held.step(*x, encode=rotary, counts=new)
            expected, plain = step(*x, plain, encode=numpy_rotary, counts=new)
            close(got, expected)
        assert held.lengths.tolist() == plain.lengths.tolist()
        if kind == "paged":
            assert held.tables == [list(table) for table in plain.tables]
            assert held.uses == plain.uses.tolist()


SIZES = {"groups": 2, "dim": DIM, "value_dim": VALUE_DIM}


def numpy_rotary(x, positions):
    return rotary(torch.as_tensor(x), torch.as_tensor(positions)).numpy()


@pytest.mark.parametrize("kind", ["full", "window"])
def test_leading_axes_may_be_none_or_two(kind):
    q, k, v = triple(0, 2, 3, heads=2, groups=1, tokens=7)
    counts = torch.tensor([[7, 5, 0], [1, 7, 2]])
    held = empty(kind)
    read = held.step(q, k, v, counts=counts)
    assert held.lengths.tolist() == counts.tolist()
    for row in np.ndindex(2, 3):
        own, n = empty(kind), counts[row]
        close(read[row][:, :n], own.step(*(x[row][:, :n] for x in (q, k, v))))
        assert own.lengths.item() == n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_stay_half_and_lose_one_rounding(kind, dtype):
    x = triple(0, 2, heads=4, groups=2, tokens=7, dtype=dtype)
    for counts in (None, [7, 5]):
        held = empty(kind)
        got = held.step(*x, counts=counts)
        assert got.dtype == held.keys.dtype == dtype
        for row, n in enumerate(counts or [7, 7]):
            own = (each[row, :, :n].double() for each in x)
            error = got[row, :, :n].double() - looped(*own, reach(kind))
            assert error.abs().max() < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("kind", KINDS)
def test_nan_reaches_only_those_who_may_see_it(kind):
    q, k, v = triple(0, 2, heads=2, groups=2, tokens=4)
    for counts in (None, [4, 3]):
        clean = empty(kind).step(q, k, v, counts=counts)
        k2, v2 = k.clone(), v.clone()
        k2[0, :, 2], v2[0, :, 2] = torch.nan, torch.nan
        spoiled = empty(kind).step(q, k2, v2, counts=counts)
        close(spoiled[0, :, :2], clean[0, :, :2])
        close(spoiled[1], clean[1])
        assert spoiled[0, :, 2:].isnan().all()


def test_what_another_row_left_behind_is_not_read():
    held = PagedCache(blocks=2, size=3)
    held.add_row()
    poison = torch.full((1, 1, 3, DIM), torch.nan, dtype=torch.float64)
    held.step(poison, poison, poison)
    held.free_row(0)
    held.add_row()
    q, k, v = (draw(n, 1, 1, 1, DIM) for n in range(3))
    close(held.step(q, k, v), v)
    close(held.step(q, k, v, counts=[1]), v)
    assert held.tables == [[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_queries_and_no_cache(kind):
    q, k, v = triple(0, 2, heads=2, groups=1, tokens=3)
    held = empty(kind)
    held.step(q, k, v)
    k.requires_grad_()
    leaf = q.clone().requires_grad_()
    held.step(leaf, k, v).sum().backward()
    assert leaf.grad.abs().sum() > 0
    assert k.grad is None
    assert not held.keys.requires_grad
    with torch.no_grad():
        held.step(q, k, v)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_not_changed_and_may_have_any_strides(kind):
    q, k, v = triple(0, 2, heads=2, groups=2, tokens=4)
    before = [x.clone() for x in (q, k, v)]
    expected = empty(kind).step(q, k, v)
    turned = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in before]
    held = empty(kind)
    close(held.step(*turned), expected)
    held.keys.zero_()
    for x, old in zip((q, k, v), before, strict=True):
        assert torch.equal(x, old)
    assert torch.isfinite(empty(kind).step(1e4 * q, 1e4 * k, v)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_no_tokens(kind):
    x = triple(0, 0, heads=2, groups=1, tokens=3)
    assert empty(kind, 0).step(*x).shape == (0, 2, 3, VALUE_DIM)
    held = empty(kind)
    x = triple(0, 2, heads=2, groups=1, tokens=0)
    assert held.step(*x).shape == (2, 2, 0, VALUE_DIM)
    assert held.step(*x, counts=[0, 0]).shape == (2, 2, 0, VALUE_DIM)
    assert held.lengths.tolist() == [0, 0]


# --- memory ----------------------------------------------------------------


def test_places_double_up_to_the_capacity():
    held, x = FullCache(start=3, capacity=11), None
    assert held.nbytes == 0
    seen = []
    for token in range(11):
        x = triple(token, 2, heads=4, groups=2, tokens=1)
        held.step(*x)
        seen.append(held.keys.shape[2])
    assert seen == [3] * 3 + [6] * 3 + [11] * 5
    each = reference.token_bytes(groups=2, dim=DIM, value_dim=VALUE_DIM)
    assert held.nbytes == 2 * 11 * each
    kept = held.keys.clone()
    for counts in (None, [0, 1]):
        with pytest.raises(
            ValueError,
            match="capacity must be enough for every token: got capacity=11, "
            "tokens=12",
        ):
            held.step(*x, counts=counts)
    assert torch.equal(held.keys, kept)
    assert held.lengths.tolist() == [11, 11]
    fixed = FullCache(start=4, capacity=4)
    fixed.step(*x)
    place = fixed.keys.data_ptr()
    for _ in range(3):
        fixed.step(*x)
    assert fixed.keys.data_ptr() == place


def test_bytes_are_those_of_the_tensors():
    x = triple(0, 2, heads=4, groups=2, tokens=7, dtype=torch.float32)
    each = reference.token_bytes(
        groups=2, dim=DIM, value_dim=VALUE_DIM, itemsize=4
    )
    for kind, places in (("window", 2 * WINDOW), ("paged", 20 * 3)):
        held = empty(kind)
        assert held.nbytes == 0
        held.step(*x)
        assert held.nbytes == places * each
        held.step(*x)
        assert held.nbytes == places * each


@pytest.mark.parametrize(
    ("dtype", "module"), [(torch.float64, dense), (torch.float16, tiled)]
)
def test_decoding_reads_keys_where_they_lie(monkeypatch, dtype, module):
    held = FullCache(start=16)
    held.step(*triple(0, 2, heads=8, groups=2, tokens=7, dtype=dtype))
    read = []

    def spy(q, k, v):
        read.append((k.data_ptr(), k.shape))
        return original(q, k, v)

    original = module.attention
    monkeypatch.setattr(module, "attention", spy)
    held.step(*triple(1, 2, heads=8, groups=2, tokens=1, dtype=dtype))
    assert read == [(held.keys.data_ptr(), (2, 2, 8, DIM))]


@given(seeds, st.integers(1, 9), st.integers(1, 13))
@settings(max_examples=25, deadline=None)
def test_a_ring_holds_the_last_tokens_however_they_come(seed, window, tokens):
    rng = np.random.default_rng(seed)
    x = draw(seed, 2, 1, tokens, DIM)
    one_by_one = WindowCache(window=window)
    chunks, padded = WindowCache(window=window), WindowCache(window=window)
    at = 0
    while at < tokens:
        size = int(rng.integers(1, tokens - at + 1))
        part = x[:, :, at : at + size]
        chunks.step(part, part, part)
        part = torch.nn.functional.pad(part, (0, 0, 0, 2), value=torch.nan)
        padded.step(part, part, part, counts=size)
        at += size
    for token in x.split(1, dim=2):
        one_by_one.step(token, token, token)
    for other in (chunks, padded):
        assert other.lengths.tolist() == one_by_one.lengths.tolist()
        assert torch.equal(other.keys, one_by_one.keys)
        assert torch.equal(other.values, one_by_one.values)
    for place in range(max(0, tokens - window), tokens):
        slot = one_by_one.keys[:, :, place % window]
        assert torch.equal(slot, x[:, :, place])


# --- blocks ----------------------------------------------------------------


@given(
    seeds,
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from("aaafse"), st.integers(0, 9)),
        min_size=4,
        max_size=14,
    ),
)
@settings(max_examples=30, deadline=None)
def test_rows_come_grow_share_and_go(seed, size, orders):
    rng = np.random.default_rng(seed)
    held = PagedCache(blocks=9, size=size)
    held.add_row()
    rows = [[torch.zeros(2, 0, DIM, dtype=torch.float64)] * 2]
    for order, number in orders:
        if order == "e" or not rows:
            assert held.add_row() == len(rows)
            rows.append([torch.zeros(2, 0, DIM, dtype=torch.float64)] * 2)
        elif order == "f":
            held.free_row(number % len(rows))
            del rows[number % len(rows)]
        elif order == "s":
            row = number % len(rows)
            tokens = int(rng.integers(rows[row][0].shape[1] + 1))
            assert held.share_prefix(row, tokens=tokens) == len(rows)
            rows.append([x[:, :tokens] for x in rows[row]])
        else:
            counts = rng.integers(4, size=len(rows))
            q, k, v = torch.tensor(rng.normal(size=(3, len(rows), 2, 3, DIM)))
            before = held.free_count
            needed = held.blocks_needed(counts)
            if needed > before:
                old = (str(held.tables), held.uses[:], held.lengths.tolist())
                with pytest.raises(
                    ValueError, match=f"got free={before}, needed={needed}$"
                ):
                    held.step(q, k, v, counts=counts)
                new = (str(held.tables), held.uses, held.lengths.tolist())
                assert old == new
                continue
            read = held.step(q, k, v, counts=counts)
            assert before - held.free_count == needed
            for row, n in enumerate(counts):
                own = rows[row]
                old = own[0].shape[1]
                own = [
                    torch.cat([past, x[row, :, :n]], dim=1)
                    for past, x in zip(own, (k, v), strict=True)
                ]
                rows[row] = own
                asked = torch.zeros_like(own[0])
                asked[:, old:] = q[row, :, :n]
                close(read[row, :, :n], looped(asked, *own)[:, old:])
        uses = [0] * 9
        for table, length in zip(held.tables, held.lengths, strict=True):
            assert len(table) == -(-int(length) // size)
            for block in table:
                uses[block] += 1
        assert uses == held.uses
        assert held.free_count == uses.count(0)


def test_a_shared_block_is_copied_before_it_is_written():
    held = PagedCache(blocks=4, size=2)
    held.add_row()
    x = torch.arange(1, 4.0).reshape(1, 1, 3, 1)
    held.step(x, x, x)
    assert held.share_prefix(0, tokens=3) == 1
    assert held.tables == [[0, 1], [0, 1]]
    assert held.uses == [2, 2, 0, 0]
    assert held.blocks_needed([1, 1]) == 1
    new = torch.tensor([7.0, 8.0]).reshape(2, 1, 1, 1)
    held.step(new, new, new)
    assert held.tables == [[0, 2], [0, 1]]
    assert held.keys.flatten().tolist() == [1, 2, 3, 8, 3, 7, 0, 0]
    assert torch.equal(held.keys, held.values)


def test_rows_that_are_not_there_are_refused():
    held = PagedCache(blocks=4, size=2)
    held.add_row()
    for call in (
        held.free_row,
        functools.partial(held.share_prefix, tokens=0),
    ):
        with pytest.raises(
            ValueError, match="row must be one of 1, from 0: got 1"
        ):
            call(1)
        with pytest.raises(ValueError, match="row must be at least 0: got -1"):
            call(-1)
    with pytest.raises(
        ValueError,
        match="tokens must be within the row that is shared: got tokens=1, "
        "length=0",
    ):
        held.share_prefix(0, tokens=1)
    for counts, message in (
        ([1, 2], r"for each sequence \(1,\): got \(2,\)"),
        ([-1], "counts must be at least 0: got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            held.blocks_needed(counts)
    with pytest.raises(TypeError, match="counts must hold whole numbers"):
        held.blocks_needed([0.5])
    with pytest.raises(ValueError, match="size must be at least 1: got 0"):
        PagedCache(blocks=1, size=0)
    with pytest.raises(ValueError, match="blocks must be at least 0: got -1"):
        PagedCache(blocks=-1, size=1)


# --- errors ----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_named_and_changes_nothing(kind):
    held = empty(kind)
    q, k, v = triple(0, 2, heads=4, groups=2, tokens=3)
    held.step(q, k, v)
    kept = held.keys.clone()
    one = [x[:, :1] for x in (q, k, v)]
    wrong = [
        ([x[:1] for x in (q, k, v)], "q must have a row for each sequence of"),
        ((q, k[:1], v), "q and k must have the same leading axes: got q"),
        ((q[:, :, :2], k, v), "must agree in tokens: got q=2, k=3, v=3"),
        ((q, k[:, :1], v), "k and v must agree in groups: got k=1, v=2"),
        ((q[..., :2], k, v), "q and k must agree in dim: got q=2, k=4"),
        ((q, k, v[..., :2]), "v must fit the cache, groups=2 and width=3: g"),
        (one, "k must fit the cache, groups=2 and width=4: got 1 and 4"),
        ((q[:, :3], k, v), "heads must be a multiple of groups: got heads=3"),
        ((q[0, 0], k, v), r"q must have axes \(..., heads, tokens, dim\): g"),
    ]
    for arrays, message in wrong:
        with pytest.raises(ValueError, match=message):
            held.step(*arrays)
    for counts, message in (
        ([1, 4], "counts must lie between 0 and tokens=3: got 1 to 4"),
        ([-1, 2], "counts must lie between 0 and tokens=3: got -1 to 2"),
        ([1, 2, 3], r"counts must have one number for each sequence \(2,\)"),
        ([[1], [2]], r"for each sequence \(2,\): got \(2, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            held.step(q, k, v, counts=counts)
    for counts in ([1.0, 2.0], [True, False], "ab", [[1], [1, 2]]):
        with pytest.raises(TypeError, match="counts must hold whole numbers"):
            held.step(q, k, v, counts=counts)
    for encode in (
        lambda x, at: x[..., :2],
        lambda x, at: x.float(),
        lambda x, at: x.numpy(),
    ):
        with pytest.raises(
            ValueError, match="encode must keep the shape and type of q, "
        ):
            held.step(q, k, v, encode=encode)
    with pytest.raises(ValueError, match="dim must be at least 1: got 0"):
        held.step(q[..., :0], k[..., :0], v)
    with pytest.raises(TypeError, match="k must be a floating-point tensor: "):
        held.step(q, k.tolist(), v)
    with pytest.raises(TypeError, match="k must have the type and device of"):
        held.step(q.float(), k.float(), v.float())
    with pytest.raises(TypeError, match="q and k must agree in dtype and dev"):
        held.step(q, k.float(), v)
    with pytest.raises(TypeError, match="q must be a floating-point tensor"):
        held.step(q.int(), k, v)
    assert torch.equal(held.keys, kept)
    assert held.lengths.tolist() == [3, 3]
    if kind != "paged":
        with pytest.raises(
            ValueError, match="q must have the leading axes of the cache: got"
        ):
            held.step(*(x[:, None] for x in (q, k, v)))


def test_sizes_must_be_counts():
    with pytest.raises(ValueError, match="start must be at least 1: got 0"):
        FullCache(start=0)
    with pytest.raises(ValueError, match="capacity must be at least 1: got 0"):
        FullCache(capacity=0)
    with pytest.raises(ValueError, match="window must be at least 1: got 0"):
        WindowCache(window=0)


# --- parts -----------------------------------------------------------------


def test_parts_are_the_references():
    lengths, counts = torch.tensor([4, 0]), torch.tensor([3, 2])
    positions = next_positions(lengths, tokens=3)
    expected = reference.next_positions(lengths, tokens=3)
    assert positions.tolist() == expected.tolist()
    keys = torch.tensor([[0, 4, 5, 7], [-1, 0, 2, -3]])
    seen = visible(positions, keys, counts=counts)
    expected = reference.visible(positions, keys, counts=counts)
    assert seen.tolist() == expected.tolist()
    for length in range(9):
        got = slot_positions(torch.tensor(length), window=3)
        expected = reference.slot_positions(np.int64(length), window=3)
        assert got.tolist() == expected.tolist()


def test_lengths_and_positions_are_whole_numbers():
    one = torch.tensor([1])
    for call, name in (
        (lambda: next_positions([1], tokens=2), "lengths"),
        (lambda: next_positions(one / 2, tokens=2), "lengths"),
        (lambda: slot_positions(one > 0, window=2), "lengths"),
        (lambda: visible(one / 2, one, counts=one[0]), "positions"),
        (lambda: visible(one, one * 1j, counts=one[0]), "key_positions"),
        (lambda: visible(one, one, counts=1), "counts"),
    ):
        with pytest.raises(
            TypeError, match=f"^{name} must be a tensor of whole numbers: got"
        ):
            call()
    with pytest.raises(
        ValueError, match=r"positions must have axes \(..., queries\): got sh"
    ):
        visible(one[0], one, counts=one[0])
    with pytest.raises(
        ValueError, match="leading axes of positions and key_positions and co"
    ):
        visible(one.expand(2, 1), one.expand(3, 1), counts=one[0])


def test_groups_are_stacked_and_read():
    q, k, v = triple(0, 2, heads=6, groups=3, tokens=5)
    stacked = stack_group(q, groups=3)
    assert torch.equal(stacked[1, 2, 5:], q[1, 5])
    expected = torch.stack([looped(q[n], k[n], v[n]) for n in range(2)])
    close(read_newest(q, k, v, window=None), expected)
    close(read_newest(q, k, v, window=9), expected)
    mask = torch.ones(5, 5).tril().repeat(2, 1) > 0
    read = read_masked(stacked, k, v, mask=mask)
    close(read.reshape(2, 6, 5, VALUE_DIM), expected)
    new = Arrivals(q, k, v, None, counts=[5, 4])
    assert not new.even
    assert new.real()[0].tolist() == [0] * 5 + [1] * 4
    assert new.real(last=2)[1].tolist() == [3, 4, 2, 3]
    assert Arrivals(q, k, v, None).even
    assert not Arrivals(q, k, v, torch.tensor([3, 4])).even
    assert Arrivals(q, k, v, torch.tensor([3, 4]), counts=2).longest == 6
    assert whole_counts(4, (2, 3), most=5).tolist() == [4] * 6
    assert whole_counts([], (0,), most=5).tolist() == []
    last = [x[:, :, -1:] for x in (stacked, v)]
    close(read_all(last[0], k, v), read[:, :, -1:])
    require_like("k", k, k)


# --- layers and stacks -----------------------------------------------------

LAYERS = [
    layers.EncoderLayer,
    layers.PreNormEncoderLayer,
    layers.ParallelLayer,
]


def some_stack(kind, seed=0):
    torch.manual_seed(seed)
    stack = layers.DecoderOnly(
        [kind(6, heads=3, hidden=7) for _ in range(2)], nn.LayerNorm(6)
    )
    return stack.double().eval()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", KINDS)
@given(seeds, chunks)
@settings(max_examples=4, deadline=None)
def test_a_stack_decodes_what_the_whole_stack_computes(
    kind, name, seed, sizes
):
    stack, tokens = some_stack(kind), sum(sizes)
    x = draw(seed, 2, tokens, 6)
    decoder = CachedDecoder(stack, [empty(name) for _ in range(2)])
    parts = [decoder(part) for part in x.split(sizes, dim=1)]
    at = torch.arange(tokens)
    near = at[:, None] - at < reach(name)
    close(torch.cat(parts, dim=1), stack(x, mask=near), atol=1e-9)


def test_a_decoder_shares_every_number_with_its_stack():
    stack = some_stack(layers.PreNormEncoderLayer)
    caches = [FullCache(), FullCache()]
    decoder = CachedDecoder(stack, caches)
    assert {id(p) for p in decoder.parameters()} == {
        id(p) for p in stack.parameters()
    }
    assert type(stack.layers[0].attention) is layers.MultiHeadAttention
    assert isinstance(decoder.layers[0].attention, CachedAttention)
    x = draw(0, 2, 5, 6)
    before = stack(x)
    decoder(x)
    close(stack(x), before, rtol=0)  # and leaves the stack as it was
    assert [each.lengths.tolist() for each in caches] == [[5, 5]] * 2
    assert not decoder.training
    stack.train()
    stack.layers[0].feed_forward.eval()
    assert CachedDecoder(stack, caches).training
    assert not stack.layers[0].feed_forward.training


def test_rotary_positions_and_padding_pass_through_a_stack():
    layer = layers.ParallelLayer(8, heads=2, hidden=3)
    stack = layers.DecoderOnly([layer]).double().eval()
    x = draw(0, 2, 5, 8)
    whole = CachedDecoder(stack, [FullCache()], encode=rotary)(x)
    slow = CachedDecoder(stack, [WindowCache(window=7)], encode=rotary)
    steps = [slow(x[:, at : at + 1]) for at in range(5)]
    close(torch.cat(steps, dim=1), whole, atol=1e-9)
    assert not torch.allclose(stack(x), whole)
    padded = CachedDecoder(stack, [FullCache()], encode=rotary)
    first = padded(x[:, :3], counts=[3, 1])
    later = padded(x[:, 3:], counts=[2, 0])
    close(torch.cat([first, later], dim=1)[0], whole[0], atol=1e-9)
    close(first[1, :1], whole[1, :1], atol=1e-9)
    moved = padded(x[:, 1:4], counts=[0, 3])
    close(moved[1], whole[1, 1:4], atol=1e-9)


def test_greedy_with_a_cache_finds_the_same_tokens():
    stack = some_stack(layers.PreNormEncoderLayer)
    table, out = draw(3, 11, 6), draw(4, 6, 11)
    caches = [FullCache(), FullCache()]
    decoder = CachedDecoder(stack, caches)

    def advance(tokens, _):
        with torch.no_grad():
            return decoder(table[tokens])[-1] @ out, None

    def anew(tokens):
        with torch.no_grad():
            return stack(table[tokens])[-1] @ out

    cached = reference.CachedLogits(advance, None)
    got = objectives_decoding.greedy(cached, [5, 2, 7], steps=9)
    expected = objectives_decoding.greedy(anew, [5, 2, 7], steps=9)
    assert got.tolist() == expected.tolist()
    assert caches[0].lengths.item() == 11


def test_what_cannot_decode_is_refused():
    stack = some_stack(layers.EncoderLayer)
    with pytest.raises(
        ValueError, match="caches must hold one for each layer: got 1, layers"
    ):
        CachedDecoder(stack, [FullCache()])
    with pytest.raises(
        TypeError, match="the layer must have an `attention` that reads itself"
    ):
        with_cache(layers.DecoderLayer(6, 3, 7), FullCache())
    attend = CachedAttention(layers.MultiHeadAttention(6, 3), FullCache())
    with pytest.raises(ValueError, match="mask must be None, the cache has"):
        attend(torch.ones(2, 6), mask=torch.ones(2, 2) > 0)
