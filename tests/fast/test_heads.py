"""Many heads in torch against the reference and torch's own layer."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attncourse.fast import heads as fast
from attncourse.fast.heads import Projections
from attncourse.reference import heads as reference


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def layer(
    *, width=10, context_width=7, heads=2, groups=None, dim=3, value_dim=5
):
    groups = heads if groups is None else groups
    columns = (heads * dim, groups * dim, groups * value_dim, width)
    rows = (width, context_width, context_width, heads * value_dim)
    return Projections(
        *[
            draw(n, *pair)
            for n, pair in enumerate(zip(rows, columns, strict=True))
        ],
        *[draw(4 + n, size) for n, size in enumerate(columns)],
    )


def some_mask(seed, *shape):
    mask = torch.tensor(np.random.default_rng(seed).random(shape) < 0.6)
    mask[..., -1, :] = False
    return mask


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("masked", [True, False])
def test_each_layer_is_its_reference(groups, masked):
    p = layer(heads=6, groups=groups)
    x, context = draw(20, 2, 3, 10), draw(21, 2, 11, 7)
    mask = some_mask(0, 2, 3, 11) if masked else None
    grouped = {"heads": 6, "groups": groups}
    layers = [
        (
            fast.grouped_query_attention,
            reference.grouped_query_attention,
            grouped,
        )
    ]
    if groups == 6:
        both = fast.multi_head_attention, reference.multi_head_attention
        layers.append((*both, {"heads": 6}))
    if groups == 1:
        both = fast.multi_query_attention, reference.multi_query_attention
        layers.append((*both, {"heads": 6}))
    for ours, truth, sizes in layers:
        got = ours(x, context, p, **sizes, mask=mask)
        expected = truth(x, context, p, **sizes, mask=mask)
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_the_heads_of_a_layer_are_those_of_the_reference():
    p = layer(heads=6, groups=2)
    x, context = draw(20, 2, 3, 10), draw(21, 2, 11, 7)
    sizes = {"heads": 6, "groups": 2}
    got = fast.project_heads(x, context, p, **sizes)
    expected = reference.project_heads(x, context, p, **sizes)
    for ours, truth in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, truth, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("context_width", [6, 5])
def test_the_layer_of_torch_is_this_one(bias, context_width):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(
        6,
        num_heads=3,
        bias=bias,
        kdim=context_width,
        vdim=context_width,
        batch_first=True,
        dtype=torch.float64,
    )
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x, context = draw(1, 2, 4, 6), draw(2, 2, 7, context_width)
    allowed = torch.arange(7) < torch.tensor([[4], [7]])
    expected, _ = module(x, context, context, key_padding_mask=~allowed)
    got = fast.multi_head_attention(
        x,
        context,
        fast.projections_of(module),
        heads=3,
        mask=allowed[:, None],
    )
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def test_the_functional_form_of_torch_is_this_one():
    p = layer(width=6, context_width=6, heads=2, dim=3, value_dim=3)
    x, context = draw(1, 4, 6), draw(2, 7, 6)
    expected, _ = F.multi_head_attention_forward(
        x,
        context,
        context,
        embed_dim_to_check=6,
        num_heads=2,
        in_proj_weight=torch.cat([p.w_query, p.w_key, p.w_value], 1).T,
        in_proj_bias=torch.cat([p.b_query, p.b_key, p.b_value]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=p.w_output.T,
        out_proj_bias=p.b_output,
    )
    got = fast.multi_head_attention(x, context, p, heads=2)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def test_training_the_layer_of_torch_trains_what_was_taken_from_it():
    module = torch.nn.MultiheadAttention(6, num_heads=2)
    p = fast.projections_of(module)
    x = draw(1, 5, 6, dtype=torch.float32)
    fast.multi_head_attention(x, x, p, heads=2).square().sum().backward()
    assert module.in_proj_weight.grad.abs().sum() > 0
    before = p.w_query.clone()
    with torch.no_grad():
        module.in_proj_weight.add_(1.0)
    torch.testing.assert_close(p.w_query, before + 1.0)


@pytest.mark.parametrize("option", ["add_bias_kv", "add_zero_attn"])
def test_a_layer_that_adds_keys_is_refused(option):
    module = torch.nn.MultiheadAttention(6, num_heads=2, **{option: True})
    with pytest.raises(ValueError, match="must not add keys of its own"):
        fast.projections_of(module)


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("shape", [None, (3, 5), (2, 1, 3, 5), (2, 6, 3, 5)])
def test_grouped_attention_is_that_of_torch(groups, shape):
    q = draw(1, 2, 6, 3, 8)
    k, v = draw(2, 2, groups, 5, 8), draw(3, 2, groups, 5, 7)
    mask = None if shape is None else some_mask(4, *shape)
    expected = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, enable_gqa=True
    )
    got = fast.grouped_attention(q, k, v, mask=mask)
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-12)


def test_gradients_agree_with_finite_differences():
    p = layer(width=4, context_width=3, heads=4, groups=2, dim=1, value_dim=2)
    x, context = draw(1, 2, 4), draw(2, 3, 3)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    numbers = [
        value.requires_grad_() for value in (x, context, *vars(p).values())
    ]

    def run(x, context, *rest):
        return fast.grouped_query_attention(
            x, context, Projections(*rest), heads=4, groups=2, mask=mask
        )

    assert torch.autograd.gradcheck(run, numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dtype_of_the_tokens_is_kept(dtype):
    p = Projections(*(value.to(dtype) for value in vars(layer()).values()))
    x = draw(1, 3, 10, dtype=dtype)
    context = draw(2, 11, 7, dtype=dtype)
    got = fast.multi_head_attention(x, context, p, heads=2)
    assert got.dtype == dtype
    expected = reference.multi_head_attention(
        x.double(),
        context.double(),
        Projections(*(value.double() for value in vars(p).values())),
        heads=2,
    )
    error = np.abs(got.double().numpy() - expected).max()
    assert error <= 32 * torch.finfo(dtype).eps * np.abs(expected).max()


def test_splitting_and_merging_are_those_of_the_reference():
    x = draw(0, 2, 3, 10)
    split = fast.split_heads(x, heads=5)
    np.testing.assert_array_equal(split, reference.split_heads(x, heads=5))
    assert split.data_ptr() == x.data_ptr()  # nothing was copied
    torch.testing.assert_close(fast.merge_heads(split), x)


def test_empty_sequences_stay_empty_or_read_zeros():
    p = layer()
    none = fast.multi_head_attention(
        torch.ones(0, 10).double(), draw(2, 11, 7), p, heads=2
    )
    assert none.shape == (0, 10)
    nothing = fast.multi_head_attention(
        draw(1, 3, 10), torch.ones(0, 7).double(), p, heads=2
    )
    torch.testing.assert_close(nothing, p.b_output.repeat(3, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fast.project(torch.ones(3, 5), torch.ones(7, 2)),
            "x and weight must agree in width: got x=5, weight=7",
        ),
        (
            lambda: fast.project(torch.ones(5), torch.ones(5, 2)),
            r"x must have axes \(..., tokens, width\): got shape \(5,\)",
        ),
        (
            lambda: fast.project(torch.ones(3, 5), torch.ones(5)),
            r"weight must have two axes: got shape \(5,\)",
        ),
        (
            lambda: fast.project(
                torch.ones(3, 5), torch.ones(5, 2), torch.ones(3)
            ),
            r"for each column of weight: got bias \(3,\), weight \(5, 2\)",
        ),
        (
            lambda: fast.split_heads(torch.ones(3, 10), heads=4),
            "width must split evenly into heads: got width=10, heads=4",
        ),
        (
            lambda: fast.split_heads(torch.ones(10), heads=2),
            r"x must have axes \(..., tokens, width\)",
        ),
        (
            lambda: fast.merge_heads(torch.ones(3, 10)),
            r"x must have axes \(..., heads, tokens, dim\)",
        ),
        (
            lambda: fast.mask_every_head(torch.ones(3) > 0),
            r"mask must have axes \(..., queries, keys\)",
        ),
        (
            lambda: fast.grouped_attention(
                *[torch.ones(n, 5, 2) for n in (6, 4, 4)]
            ),
            "heads must be a multiple of groups: got heads=6, groups=4",
        ),
        (
            lambda: fast.grouped_attention(
                *[torch.ones(n, 5, 2) for n in (6, 3, 2)]
            ),
            "k and v must agree in groups: got k=3, v=2",
        ),
        (
            lambda: fast.grouped_attention(
                *[torch.ones(6, 5, 2)] * 2, torch.ones(5, 2)
            ),
            r"v must have axes \(..., groups, keys, value_dim\)",
        ),
        (
            lambda: fast.grouped_attention(
                *[torch.ones(6, 5, 2)] * 3, mask=torch.ones(5) > 0
            ),
            r"mask must have axes \(..., queries, keys\)",
        ),
    ],
)
def test_messages_say_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: fast.project(x, np.eye(4)),
            "weight must be a floating-point tensor: got float64",
        ),
        (
            lambda x: fast.project(x, [[1.0]]),
            "weight must be a floating-point tensor: got list",
        ),
        (
            lambda x: fast.project(x, torch.eye(4)),
            "x and weight must have one dtype: got torch.float64 and",
        ),
        (
            lambda x: fast.split_heads(x.int(), heads=2),
            "x must be a floating-point tensor: got torch.int32",
        ),
    ],
)
def test_what_is_no_tensor_of_numbers_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call(draw(0, 3, 4))
