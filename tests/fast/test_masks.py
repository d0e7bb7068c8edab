"""The torch masks against the reference, and their gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.fast import masks as fast
from attncourse.fast.masks_patterns import require_whole
from attncourse.reference import masks as reference


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), max_size=5), st.integers(7, 11))
def test_padding_masks_agree(lengths, keys):
    np.testing.assert_array_equal(
        fast.padding_mask(torch.tensor(lengths, dtype=torch.int64), keys=keys),
        reference.padding_mask(lengths, keys=keys),
    )


def test_padding_mask_keeps_every_axis_of_lengths():
    lengths = torch.tensor([[1, 5, 0], [2, 3, 4]], dtype=torch.int32)
    mask = fast.padding_mask(lengths, keys=5)
    assert mask.shape == (2, 3, 1, 5)
    assert mask.dtype is torch.bool
    assert mask.sum(dim=(-2, -1)).tolist() == lengths.tolist()


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 7))
def test_causal_masks_agree(queries, keys):
    np.testing.assert_array_equal(
        fast.causal_mask(queries, keys), reference.causal_mask(queries, keys)
    )


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_combined_masks_agree(queries, keys, seed):
    rng = np.random.default_rng(seed)
    masks = [
        rng.random(shape) < 0.5
        for shape in [(3, 1, keys), (queries, keys), (queries, 1)]
    ]
    np.testing.assert_array_equal(
        fast.combine_masks(*map(torch.from_numpy, masks)),
        reference.combine_masks(*masks),
    )


def test_combining_changes_no_mask_and_copies_a_single_one():
    mask = fast.causal_mask(3, 3)
    fast.combine_masks(mask)[:] = False
    fast.combine_masks(mask, ~mask)
    assert mask.sum().item() == 6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(0, 7), st.integers(1, 9), st.data())
def test_patterns_agree(queries, keys, size, data):
    calls = [
        ("window_mask", {"window": size}),
        ("local_mask", {"radius": size - 1}),
        ("strided_mask", {"stride": size}),
        ("prefix_mask", {"prefix": data.draw(st.integers(0, keys))}),
    ]
    for name, options in calls:
        got = getattr(fast, name)(queries, keys, **options)
        expected = getattr(reference, name)(queries, keys, **options)
        assert got.dtype is torch.bool
        np.testing.assert_array_equal(got, expected)
    prefixes = data.draw(st.lists(st.integers(0, keys), max_size=3))
    prefixes = torch.tensor(prefixes, dtype=torch.int64)
    np.testing.assert_array_equal(
        fast.prefix_mask(queries, keys, prefix=prefixes),
        reference.prefix_mask(queries, keys, prefix=prefixes),
    )
    layout = torch.rand(2, -(-queries // size), -(-keys // size)) < 0.5
    options = {"block": size, "queries": queries, "keys": keys}
    np.testing.assert_array_equal(
        fast.block_mask(layout, **options),
        reference.block_mask(layout, **options),
    )


def test_masks_of_documents_and_globals_agree():
    rows, columns = torch.tensor([[[0, 1, 2]], [[1, 1, 0]]]), torch.arange(2)
    columns = columns.expand(5, 2)
    np.testing.assert_array_equal(
        fast.document_mask(rows, columns.int()),
        reference.document_mask(rows, columns),
    )
    np.testing.assert_array_equal(
        fast.global_mask(rows == 1, columns == 1),
        reference.global_mask(rows == 1, columns == 1),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_united_masks_agree_and_change_nothing(queries, keys, seed):
    rng = np.random.default_rng(seed)
    masks = [
        torch.from_numpy(rng.random(shape) < 0.5)
        for shape in [(3, 1, keys), (queries, keys)]
    ]
    kept = [mask.clone() for mask in masks]
    got = fast.unite_masks(*masks)
    np.testing.assert_array_equal(got, reference.unite_masks(*masks))
    fast.unite_masks(masks[0])[:] = False
    assert all(map(torch.equal, masks, kept))


@pytest.mark.parametrize(
    ("queries", "keys", "window"), [(7, 7, 3), (3, 7, 2), (7, 3, 2), (5, 7, 9)]
)
def test_tiled_window_attention_is_attention_with_the_window_mask(
    queries, keys, window
):
    from attncourse.fast import dense, tiled

    torch.manual_seed(0)
    q, k, v = (
        torch.randn(2, n, d, dtype=torch.float64)
        for n, d in [(queries, 5), (keys, 5), (keys, 3)]
    )
    mask = fast.window_mask(queries, keys, window=window)
    torch.testing.assert_close(
        tiled.window_attention(q, k, v, window=window),
        dense.attention(q, k, v, mask=mask),
    )


def test_whole_numbers_of_any_width_pass_the_check():
    for dtype in (torch.uint8, torch.int32, torch.int64):
        numbers = torch.ones(2, dtype=dtype)
        assert require_whole("lengths", numbers, "keys") is None
    with pytest.raises(ValueError, match=r"must have axes \(\.\.\., rows, co"):
        require_whole("lengths", numbers, "rows columns")


def test_masks_may_have_no_keys():
    nothing = torch.tensor([0, 0])
    assert fast.padding_mask(nothing, keys=0).shape == (2, 1, 0)
    assert fast.causal_mask(2, 0).shape == (2, 0)


def test_masked_mean_of_a_single_position_is_its_value():
    values = torch.tensor([[2.5, 7.0]])
    mask = torch.tensor([[True, False]])
    assert fast.masked_mean(values, mask).item() == 2.5


def test_masks_are_made_on_the_device_that_is_asked_for():
    assert fast.causal_mask(2, 3, device="meta").device.type == "meta"
    lengths = torch.ones(2, dtype=torch.int64, device="meta")
    assert fast.padding_mask(lengths, keys=3).device.type == "meta"
    flags = torch.ones(2, 3, dtype=torch.bool, device="meta")
    for mask in [
        fast.window_mask(2, 3, window=1, device="meta"),
        fast.local_mask(2, 3, radius=1, device="meta"),
        fast.strided_mask(2, 3, stride=1, device="meta"),
        fast.prefix_mask(2, 3, prefix=1, device="meta"),
        fast.prefix_mask(2, 3, prefix=lengths),
        fast.document_mask(lengths, lengths),
        fast.global_mask(flags, flags),
        fast.block_mask(flags, block=2, queries=3, keys=5),
        fast.unite_masks(flags, flags),
    ]:
        assert mask.device.type == "meta"


def test_torchs_own_attention_takes_the_masks_as_they_are():
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 5), torch.randn(2, 7, 5), torch.randn(2, 7, 2)
    lengths = torch.tensor([7, 0])
    mask = fast.combine_masks(
        fast.padding_mask(lengths, keys=7), fast.causal_mask(3, 7)
    )
    got = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask
    )
    from attncourse.reference.dense import attention

    expected = attention(q, k, v, mask=mask)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16]
)
def test_masked_mean_agrees_and_keeps_the_type(dtype):
    values = torch.arange(10, dtype=dtype).reshape(2, 5)
    mask = fast.padding_mask(torch.tensor([3, 4]), keys=5)[:, 0]
    got = fast.masked_mean(values, mask)
    assert got.dtype is dtype
    assert got.shape == ()
    assert got.item() == pytest.approx(
        reference.masked_mean(values.double(), mask), rel=2**-8
    )


def test_masked_mean_of_nothing_is_zero_with_zero_gradient():
    values = torch.full((3,), torch.nan, requires_grad=True)
    mean = fast.masked_mean(values, torch.zeros(3, dtype=torch.bool))
    mean.backward()
    assert mean.item() == 0.0
    assert values.grad.tolist() == [0.0, 0.0, 0.0]


def test_masked_mean_has_the_right_gradient():
    mask = torch.tensor([[True, False, True], [False, True, False]])
    values = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: fast.masked_mean(x, mask), (values,)
    )
    fast.masked_mean(values, mask).backward()
    assert torch.equal(values.grad, mask.double() / 3)


def test_nan_in_the_padding_reaches_neither_mean_nor_gradient():
    values = torch.tensor([1.0, torch.nan, 3.0], requires_grad=True)
    mean = fast.masked_mean(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2.0
    assert values.grad.tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fast.padding_mask(torch.tensor([4]), keys=3),
            ValueError,
            "lengths must lie between 0 and keys=3: got 4",
        ),
        (
            lambda: fast.padding_mask(torch.tensor([-1]), keys=3),
            ValueError,
            "got -1",
        ),
        (
            lambda: fast.padding_mask(torch.tensor([1.0]), keys=3),
            TypeError,
            "lengths must hold whole numbers: got dtype torch.float32",
        ),
        (
            lambda: fast.padding_mask(torch.tensor([True]), keys=3),
            TypeError,
            "got dtype torch.bool",
        ),
        (
            lambda: fast.causal_mask(-1, 3),
            ValueError,
            "queries must be at least 0",
        ),
        (
            lambda: fast.window_mask(3, 3, window=0),
            ValueError,
            "window must be at least 1: got 0",
        ),
        (
            lambda: fast.local_mask(3, -1, radius=1),
            ValueError,
            "keys must be at least 0: got -1",
        ),
        (
            lambda: fast.strided_mask(3, 3, stride=0),
            ValueError,
            "stride must be at least 1: got 0",
        ),
        (
            lambda: fast.prefix_mask(3, 3, prefix=4),
            ValueError,
            "prefix must lie between 0 and keys=3: got 4",
        ),
        (
            lambda: fast.prefix_mask(3, 3, prefix=torch.tensor([1, -1])),
            ValueError,
            "prefix must lie between 0 and keys=3: got -1",
        ),
        (
            lambda: fast.prefix_mask(3, 3, prefix=torch.tensor(1.0)),
            TypeError,
            "prefix must hold whole numbers: got dtype torch.float32",
        ),
        (
            lambda: fast.document_mask(torch.ones(2), torch.arange(2)),
            TypeError,
            "query_documents must hold whole numbers: got dtype torch.float",
        ),
        (
            lambda: fast.document_mask(torch.arange(2), torch.tensor(1)),
            ValueError,
            r"key_documents must have axes \(\.\.\., keys\): got shape \(\)",
        ),
        (
            lambda: fast.global_mask(torch.arange(2), torch.arange(2) > 0),
            TypeError,
            "query_globals must be boolean, True where a query may look",
        ),
        (
            lambda: fast.block_mask(
                torch.ones(1, 2) > 0, block=2, queries=3, keys=3
            ),
            ValueError,
            r"layout must have 2 x 2 blocks: got shape \(1, 2\)",
        ),
        (
            lambda: fast.unite_masks(torch.ones(2, 2, dtype=torch.int64)),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            fast.unite_masks,
            ValueError,
            "there must be at least one mask: got none",
        ),
        (
            fast.combine_masks,
            ValueError,
            "there must be at least one mask: got none",
        ),
        (
            lambda: fast.combine_masks(torch.ones(2, 2)),
            TypeError,
            "mask must be boolean, True where a query may look",
        ),
        (
            lambda: fast.combine_masks(torch.tensor([True])),
            ValueError,
            r"mask must have axes \(..., queries, keys\): got shape \(1,\)",
        ),
        (
            lambda: fast.combine_masks(
                fast.causal_mask(3, 3), fast.causal_mask(2, 3)
            ),
            ValueError,
            r"mask_1 \(3, 3\), mask_2 \(2, 3\)",
        ),
        (
            lambda: fast.masked_mean(torch.ones(2, 3), torch.ones(3) > 0),
            ValueError,
            r"got values \(2, 3\), mask \(3,\)",
        ),
        (
            lambda: fast.masked_mean(torch.ones(3), torch.ones(3)),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: fast.document_mask([0, 1], torch.tensor([0, 1])),
            TypeError,
            "query_documents must be a tensor of whole numbers: got list",
        ),
        (
            lambda: fast.padding_mask(torch.tensor([1j]), keys=3),
            TypeError,
            "lengths must hold whole numbers: got dtype torch.complex64",
        ),
        (
            lambda: fast.global_mask([True], torch.ones(3) > 0),
            TypeError,
            "query_globals must be boolean, True where .*: got dtype list",
        ),
        (
            lambda: fast.unite_masks([[True]]),
            TypeError,
            "mask must be boolean, True where .*: got dtype list",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
