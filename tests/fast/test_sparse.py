"""Sparse attention in torch against the reference and torch's operator."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.bench.memory import extra_bytes
from attncourse.checking import numerics
from attncourse.fast import dense, sparse, sparse_parts, tiled
from attncourse.reference import sparse as reference
from attncourse.reference.dense import attention_backward
from attncourse.reference.masks import block_mask, causal_mask

quick = settings(max_examples=30, deadline=None)
sizes = st.integers(1, 13)
seeds = st.integers(0, 10**6)
DOUBLE = torch.float64
NAMES = ["attention", "causal_attention"]
each_name = pytest.mark.parametrize("name", NAMES)


def triple(
    seed=0,
    *,
    batch=(2,),
    queries=7,
    keys=11,
    dim=5,
    value_dim=3,
    dtype=DOUBLE,
):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*batch, *shape, generator=generator, dtype=DOUBLE).to(
            dtype
        )
        for shape in ((queries, dim), (keys, dim), (keys, value_dim))
    ]


def drawn(seed, queries, keys, block, *batch, share=0.5):
    shape = (*batch, -(-queries // block), -(-keys // block))
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random(shape) < share)


def mask_of(name, layout, queries, keys, block):
    mask = block_mask(layout, block=block, queries=queries, keys=keys)
    return mask & causal_mask(queries, keys) if "causal" in name else mask


def leaves(*tensors):
    return [each.clone().requires_grad_() for each in tensors]


def both_passes(function, *arrays):
    """Return output and gradients under a fixed upstream gradient."""
    inputs = leaves(*arrays)
    output = function(*inputs)
    upstream = torch.sin(torch.arange(output.numel()) + 1.0)
    output.backward(upstream.reshape(output.shape).to(output.dtype))
    return [output.detach(), *(each.grad for each in inputs)]


@pytest.fixture
def narrow(monkeypatch):
    """Cut rows of tiles into pieces of a few keys."""
    monkeypatch.setattr(sparse, "TILE", 18)


@each_name
@quick
@given(seeds, sizes, sizes, sizes, sizes)
def test_output_and_gradients_agree_with_the_reference(
    name, seed, queries, keys, block, value_dim
):
    arrays = triple(seed, queries=queries, keys=keys, value_dim=value_dim)
    layout = drawn(seed, queries, keys, block)
    truth = getattr(reference, name)(*arrays, layout, block=block)
    upstream = np.sin(np.arange(truth.size) + np.float32(1))
    expected = attention_backward(
        *arrays,
        upstream.reshape(truth.shape),
        mask=mask_of(name, layout, queries, keys, block),
    )
    for tile in (2**19, 18, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sparse, "TILE", tile)
            output, *gradients = both_passes(
                lambda q, k, v: getattr(sparse, name)(
                    q, k, v, layout, block=block
                ),
                *arrays,
            )
        np.testing.assert_allclose(output, truth, atol=1e-12)
        for gradient, right in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(gradient, right, atol=2e-6)


@each_name
@pytest.mark.parametrize("batch", [(2,), (3, 2), (3, 1)])
def test_heads_may_have_layouts_of_their_own(name, batch, narrow):
    arrays = triple(1)
    layout = drawn(1, 7, 11, 3, *batch)
    if batch == (3, 2):
        layout[2] = layout[0]  # some heads share one
    form = getattr(sparse, name)
    output = form(*arrays, layout, block=3)
    expected = getattr(reference, name)(*arrays, layout, block=3)
    np.testing.assert_allclose(output, expected, atol=1e-12)
    assert output.shape == (*torch.broadcast_shapes(batch, (2,)), 7, 3)
    mask = torch.from_numpy(mask_of(name, layout, 7, 11, 3))
    ours = both_passes(lambda q, k, v: form(q, k, v, layout, block=3), *arrays)
    theirs = both_passes(
        lambda q, k, v: dense.attention(q, k, v, mask=mask), *arrays
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    # Every head the same: no different from one layout for all.
    same = (
        layout[:1].expand(3, *layout.shape[1:])
        if len(batch) > 1
        else (layout[:1])
    )
    np.testing.assert_allclose(
        form(*arrays, same, block=3),
        getattr(reference, name)(*arrays, same, block=3),
        atol=1e-12,
    )


@each_name
def test_gradients_agree_with_finite_differences(name, narrow):
    for queries, keys in ((5, 7), (7, 5)):
        inputs = leaves(
            *triple(2, batch=(2,), queries=queries, keys=keys, dim=2)
        )
        layout = drawn(2, queries, keys, 2, 2)
        assert torch.autograd.gradcheck(
            lambda q, k, v, layout=layout: getattr(sparse, name)(
                q, k, v, layout, block=2
            ),
            inputs,
            fast_mode=True,
        )


@each_name
def test_it_agrees_with_torchs_operator_at_its_own_tiles(name):
    arrays = triple(
        3, queries=331, keys=701, dim=8, value_dim=8, dtype=torch.float32
    )
    layout = drawn(3, 331, 701, 64, share=0.3)
    layout[:, 0] = True  # torch's operator gives NaN to a row without keys
    mask = torch.from_numpy(mask_of(name, layout, 331, 701, 64))

    def theirs(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask
        )

    def mine(q, k, v):
        return getattr(sparse, name)(q, k, v, layout, block=64)

    for ours, right in zip(
        both_passes(mine, *arrays), both_passes(theirs, *arrays), strict=True
    ):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


def test_a_full_layout_is_tiled_attention(narrow):
    arrays = triple(4)
    full = torch.ones(3, 4, dtype=torch.bool)
    torch.testing.assert_close(
        sparse.attention(*arrays, full, block=3), tiled.attention(*arrays)
    )
    torch.testing.assert_close(
        sparse.causal_attention(*arrays, full, block=3),
        tiled.causal_attention(*arrays),
    )


def test_a_block_may_be_far_longer_than_the_sequence():
    arrays = triple(22)
    full = torch.ones(1, 1, dtype=torch.bool)
    torch.testing.assert_close(
        sparse.attention(*arrays, full, block=10**12), dense.attention(*arrays)
    )


def test_layouts_of_the_reference_serve_as_they_are():
    arrays = triple(5, queries=11)
    for layout in (
        reference.window_layout(4, 4, behind=1, ahead=1),
        reference.strided_layout(4, 4, stride=2),
        reference.global_layout(4, 4, blocks=[0]),
        reference.window_layout(4, 4, behind=0, ahead=1)[::-1],
        np.broadcast_to(np.True_, (4, 4)),  # read-only
        [[True, False, True, True]] * 4,
    ):
        np.testing.assert_allclose(
            sparse.attention(*arrays, layout, block=3),
            reference.attention(*arrays, layout, block=3),
            atol=1e-12,
        )


# What is skipped is not computed.


@each_name
def test_only_kept_tiles_cost_scores(name, monkeypatch):
    counted = []
    scores = sparse._scores

    def counting(q, k, piece, buffer):
        counted.append(len(q) * q.shape[1] * piece.size)
        return scores(q, k, piece, buffer)

    monkeypatch.setattr(sparse, "_scores", counting)
    arrays = leaves(*triple(6, queries=13, keys=13))
    layout = drawn(6, 13, 13, 4, 2)
    output = getattr(sparse, name)(*arrays, layout, block=4)
    kept = sum(
        (tile.rows.stop - tile.rows.start)
        * (tile.columns.stop - tile.columns.start)
        for head in layout
        for tile in getattr(reference, name.replace("attention", "tiles"))(
            head, queries=13, keys=13, block=4
        )
    )
    # Part of a tile may be skipped, too, where no query may look.
    assert 0 < sum(counted) <= kept
    if name == "attention":
        assert sum(counted) == kept
    forward = list(counted)
    output.sum().backward()
    assert counted == forward + forward


def test_memory_grows_with_the_length_and_not_with_its_square():
    arrays = triple(
        7,
        batch=(4,),
        queries=2048,
        keys=2048,
        dim=16,
        value_dim=16,
        dtype=torch.float32,
    )
    layout = reference.window_layout(32, 32, behind=3, ahead=3)
    inputs = leaves(*arrays)

    def work():
        sparse.attention(*inputs, layout, block=64).sum().backward()

    # The scores of all pairs would be 64 MiB.
    assert extra_bytes(work) < 12 * 2**20


# What may not be seen.


@each_name
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_skipped_has_no_influence(name, poison, narrow):
    layout = drawn(8, 11, 11, 2)
    layout[3] = layout[:, 2] = False  # nobody reads the keys 4 and 5
    results = []
    for bad in (False, True):
        q, k, v = triple(8, queries=11)
        if bad:
            for each in (k, v):
                each[:, 4:6] = poison
            q[:, 6:8] = poison  # these queries read nothing
        results.append(
            both_passes(
                lambda q, k, v: getattr(sparse, name)(
                    q, k, v, layout, block=2
                ),
                *(q, k, v),
            )
        )
    for clean, touched in zip(*results, strict=True):
        assert torch.isfinite(clean).all()
        torch.testing.assert_close(touched, clean)


@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_a_poisoned_future_spoils_what_sees_it_and_nothing_else(
    spoiled, narrow
):
    layout = torch.ones(4, 4, dtype=torch.bool)
    layout[3, 2] = False

    def form(q, k, v):
        return sparse.causal_attention(q, k, v, layout, block=3)

    clean = both_passes(form, *triple(9, queries=11))
    arrays = triple(9, queries=11)
    arrays[spoiled][0, 7] = torch.nan
    output, dq, dk, dv = both_passes(form, *arrays)
    # Queries 7 and 8 see key 7; the last row of tiles skips it.
    bad = [7] if spoiled == 0 else [7, 8]
    good = [i for i in range(11) if i not in bad]
    met = list(range(max(bad) + 1))
    assert output[0, bad].isnan().all()
    torch.testing.assert_close(output[0, good], clean[0][0, good])
    assert dq[0, bad].isnan().all()
    torch.testing.assert_close(dq[0, good], clean[1][0, good])
    for gradient, right in ((dk, clean[2]), (dv, clean[3])):
        assert gradient[0, met].isnan().all()
        later = slice(max(bad) + 1, None)
        torch.testing.assert_close(gradient[0, later], right[0, later])
        torch.testing.assert_close(gradient[1], right[1])


def test_a_spoiled_value_spoils_its_column_only():
    q, k, v = triple(10)
    v[0, 1, 2] = torch.nan
    layout = torch.tensor([[True, False], [False, True]])
    output = sparse.attention(q, k, v, layout, block=6)
    assert output[0, :6, 2].isnan().all()
    assert int(output.isnan().sum()) == 6


@each_name
def test_a_query_that_sees_nothing_gets_zeros(name, narrow):
    layout = drawn(11, 7, 11, 2)
    layout[1] = False
    output, dq, *_ = both_passes(
        lambda q, k, v: getattr(sparse, name)(q, k, v, layout, block=2),
        *triple(11),
    )
    assert not output[:, 2:4].any()
    assert not dq[:, 2:4].any()
    nothing = both_passes(
        lambda q, k, v: getattr(sparse, name)(
            q, k, v, layout & False, block=2
        ),
        *triple(11),
    )
    assert not any(each.any() for each in nothing)


# Shapes, types, bits.


@each_name
@pytest.mark.parametrize(
    ("queries", "keys", "value_dim"),
    [(0, 11, 3), (7, 0, 3), (7, 11, 0), (1, 1, 1), (7, 1, 3)],
)
def test_axes_of_length_zero_and_one(name, queries, keys, value_dim):
    arrays = triple(queries=queries, keys=keys, value_dim=value_dim)
    layout = torch.ones(-(-queries // 2), -(-keys // 2), dtype=torch.bool)
    output, *gradients = both_passes(
        lambda q, k, v: getattr(sparse, name)(q, k, v, layout, block=2),
        *arrays,
    )
    expected = getattr(reference, name)(*arrays, layout, block=2)
    assert output.shape == expected.shape
    np.testing.assert_allclose(output, expected, atol=1e-12)
    assert [x.shape for x in gradients] == [x.shape for x in arrays]


def test_leading_axes_broadcast_and_strides_do_not_matter():
    (q, *_), (_, k, v) = triple(12, batch=(3, 1)), triple(13, batch=(2,))
    layout = drawn(12, 7, 11, 3)
    truth = reference.attention(q, k, v, layout, block=3)
    wide = torch.stack([q, torch.full_like(q, torch.nan)], dim=-1)
    turned = k.mT.contiguous().mT
    np.testing.assert_allclose(
        sparse.attention(wide[..., 0], turned, v, layout.T.clone().T, block=3),
        truth,
        atol=1e-12,
    )


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousand_stay_exact(scale, narrow):
    q, k, v = triple(14)
    layout = drawn(14, 7, 11, 2)
    np.testing.assert_allclose(
        sparse.attention(scale * q, k, v, layout, block=2),
        reference.attention(scale * q, k, v, layout, block=2),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16]
)
def test_the_error_is_what_the_type_allows(dtype):
    q, k, v = triple(
        15, queries=256, keys=256, dim=64, value_dim=64, dtype=dtype
    )
    layout = drawn(15, 256, 256, 32, share=0.4)
    layout[:, 0] = True
    answer = sparse.attention(q, k, v, layout, block=32)
    assert answer.dtype == dtype
    wide = [each.double() for each in (q, k, v)]
    truth = reference.attention(*wide, layout, block=32)
    if dtype == torch.float32:
        mask = torch.from_numpy(mask_of("", layout, 256, 256, 32))
        plain = dense.attention(q, k, v, mask=mask).numpy()
        assert numerics.within_plain(answer.numpy(), truth, plain)
        return
    ideal = torch.from_numpy(truth).to(dtype).double().numpy()
    assert numerics.within_ideal(answer.double().numpy(), truth, ideal)


def test_half_types_have_close_gradients_of_their_own_type():
    arrays = triple(16, dtype=torch.bfloat16)
    layout = drawn(16, 7, 11, 3)

    def form(q, k, v):
        return sparse.causal_attention(q, k, v, layout, block=3)

    truths = both_passes(form, *(x.double() for x in arrays))
    for ours, truth in zip(both_passes(form, *arrays), truths, strict=True):
        assert ours.dtype == torch.bfloat16
        error = numerics.rms_error(ours.double().numpy(), truth.numpy())
        size = numerics.rms_error(truth.numpy(), np.zeros_like(truth))
        assert error <= 2 * torch.finfo(torch.bfloat16).eps * size


def test_repeats_give_the_same_bits_and_threads_the_same_numbers():
    arrays = triple(17, batch=(3,), queries=70, keys=70, dtype=torch.float32)
    layout = drawn(17, 70, 70, 32, 3)

    def form(q, k, v):
        return sparse.attention(q, k, v, layout, block=32)

    alone = both_passes(form, *arrays)
    assert all(map(torch.equal, alone, both_passes(form, *arrays)))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = both_passes(form, *arrays)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("tile", [2**19, 2**13])
@pytest.mark.parametrize(
    ("tokens", "dim", "block"),
    [(300, 16, 32), (257, 5, 24), (257, 64, 7), (301, 24, 64)],
)
def test_heads_and_examples_are_computed_apart_to_the_last_bit(
    tokens, dim, block, tile, monkeypatch
):
    monkeypatch.setattr(sparse, "TILE", tile)
    arrays = triple(
        21,
        batch=(2, 3),
        queries=tokens,
        keys=tokens,
        dim=dim,
        value_dim=dim,
        dtype=torch.float32,
    )
    layout = drawn(21, tokens, tokens, block)

    def form(q, k, v):
        return sparse.causal_attention(q, k, v, layout, block=block)

    upstream = torch.sin(torch.arange(tokens * dim) + 1.0)

    def passes(arrays):
        inputs = leaves(*arrays)
        output = form(*inputs)
        output.backward(upstream.view(tokens, dim).expand_as(output))
        return output, *(each.grad for each in inputs)

    together, order = passes(arrays), [2, 0, 1]
    moved = passes([each[:, order] for each in arrays])
    for whole, other in zip(together, moved, strict=True):
        assert torch.equal(whole[:, order], other)
    for example in range(2):
        alone = passes([each[example] for each in arrays])
        for whole, one in zip(together, alone, strict=True):
            assert torch.equal(whole[example], one)


def test_inputs_are_left_alone():
    arrays, layout = triple(18), drawn(18, 7, 11, 2)
    before = [each.clone() for each in (*arrays, layout)]
    output = sparse.attention(*arrays, layout, block=2)
    output.fill_(7.0)
    assert all(map(torch.equal, before, (*arrays, layout)))


# The parts.


def test_strips_name_the_kept_keys_in_order():
    layout = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 0]]) > 0
    strips = sparse_parts.Strips(layout, 5, 11, 3, tiled.EVERY, 5)
    found = [
        (rows.start, rows.stop, [piece.at for piece in pieces])
        for rows, pieces in strips
    ]
    assert found[0][:2] == (0, 3)
    assert found[0][2][0].tolist() == [0, 1, 2, 6, 7]
    assert found[0][2][1] == slice(8, 11)
    assert found[1] == (3, 5, [slice(3, 8), slice(8, 9)])
    causal = dataclasses.replace(strips, ahead=0, width=99)
    (_, (piece,)), _ = causal
    assert isinstance(piece, sparse_parts.Piece)
    # Query 2 stands at key 8, query 0 at key 6.
    assert piece.at.tolist() == [0, 1, 2, 6, 7, 8]
    assert piece.late.int().tolist() == [[1, 1], [0, 1], [0, 0]]


def test_rows_are_taken_added_and_marked():
    (x,) = triple(19)[:1]
    some = torch.tensor([1, 4])
    for at in (slice(1, 3), some):
        assert torch.equal(sparse_parts.take(x, at), x[:, at])
        sum_ = x.clone()
        sparse_parts.add(sum_, at, torch.ones_like(x[:, at]))
        expected = x.clone()
        expected[:, at] += 1
        assert torch.equal(sum_, expected)
    wide = sparse_parts.in_lines(x)
    assert wide.shape[-1] == 16
    assert torch.equal(wide[..., : x.shape[-1]], x)
    assert not wide[..., x.shape[-1] :].any()
    assert sparse_parts.in_lines(wide) is wide
    assert torch.equal(sparse_parts.in_lines(wide[:, 1:]), wide[:, 1:])
    late = torch.ones(33)[1:].view(1, 2, 16)  # four bytes into a line
    assert sparse_parts.in_lines(late).data_ptr() % 64 == 0
    assert sparse_parts.all_finite(x, x)
    assert not sparse_parts.all_finite(x, x / 0)
    layout = torch.eye(3) > 0
    strips = sparse_parts.Strips(layout, 6, 6, 2, 0, 9)
    marked = torch.zeros(1, 6, 1, dtype=torch.bool)
    marked[0, 2] = marked[0, 5] = True
    see, seen = sparse_parts.meet(marked, marked, strips)
    assert see.flatten().int().tolist() == [0, 0, 1, 1, 0, 1]
    assert seen.flatten().int().tolist() == [0, 0, 1, 0, 1, 1]
    clean, _, spoiled = sparse_parts.without_forward_poison(
        torch.where(marked, torch.nan, 1.0), torch.ones(1, 6, 1), 6, strips
    )
    assert torch.equal(clean, 1.0 - marked.float())
    assert torch.equal(spoiled, see)
    arrays = [torch.ones(1, 6, 1)] * 6
    arrays, spoiled = sparse_parts.without_backward_poison(arrays, strips)
    assert spoiled == (None, None, None)


def test_heads_are_sorted_by_their_layouts():
    layout = drawn(20, 4, 4, 2, 3, 1)
    layout[0], layout[1] = False, True
    layout[2] = False
    parts = sparse_parts.by_layout(layout, (3, 2))
    assert [heads.tolist() for heads, _ in parts] == [[0, 1, 4, 5], [2, 3]]
    ((heads, _),) = sparse_parts.by_layout(layout[0, 0], (3, 2))
    assert heads is None
    sizes = {"queries": 4, "keys": 4, "block": 2}
    checked, leading = sparse_parts.checked_layout(layout, (2,), sizes)
    assert torch.equal(checked, layout)
    assert leading == (3, 2)


Q, K, V = torch.ones(5, 3), torch.ones(7, 3), torch.ones(7, 2)
FULL = torch.ones(3, 4, dtype=torch.bool)


@pytest.mark.parametrize("form", [sparse.attention, sparse.causal_attention])
@pytest.mark.parametrize(
    ("arguments", "block", "error", "message"),
    [
        (
            (Q, K[:, :2], V, FULL),
            2,
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            (Q, K, V.double(), FULL),
            2,
            TypeError,
            "q and v must agree in dtype and device",
        ),
        (
            (Q, K, V, FULL),
            3,
            ValueError,
            r"layout must have 2 x 3 blocks: got shape \(3, 4\)",
        ),
        (
            (Q, K, V, FULL[0]),
            2,
            ValueError,
            r"layout must have axes \(..., rows, columns\): got shape \(4,\)",
        ),
        (
            (Q, K, V, FULL.float()),
            2,
            TypeError,
            "layout must be boolean, True where a query may look: "
            "got dtype torch.float32",
        ),
        (
            (Q, K, V, None),
            2,
            TypeError,
            "layout must be boolean, True where a query may look: "
            "got dtype object",
        ),
        ((Q, K, V, FULL), 0, ValueError, "block must be at least 1: got 0"),
        (
            (Q.expand(2, 5, 3), K, V, FULL.expand(3, 3, 4)),
            2,
            ValueError,
            "leading axes of q, k, v and layout must broadcast: "
            r"got q, k, v \(2,\), layout \(3,\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(
    form, arguments, block, error, message
):
    with pytest.raises(error, match=message):
        form(*arguments, block=block)
