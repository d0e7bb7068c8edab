"""Many heads against torch, loops, identities and counting by hand."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.dense import attention
from attncourse.reference.heads import (
    Projections,
    cache_count,
    flop_count,
    grouped_attention,
    grouped_query_attention,
    head_weights,
    mask_every_head,
    merge_heads,
    multi_head_attention,
    multi_query_attention,
    parameter_count,
    project,
    project_heads,
    score_count,
    split_heads,
)
from attncourse.reference.softmax import softmax

CLOSE = {"rtol": 1e-11, "atol": 1e-12}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def layer(
    seed=0,
    *,
    width=10,
    context_width=7,
    heads=2,
    groups=None,
    dim=3,
    value_dim=5,
    bias=True,
):
    """Return projections of sizes that cannot be mistaken for each other."""
    groups = heads if groups is None else groups
    rng = np.random.default_rng(seed)
    columns = (heads * dim, groups * dim, groups * value_dim, width)
    rows = (width, context_width, context_width, heads * value_dim)
    matrices = [
        rng.normal(size=pair) for pair in zip(rows, columns, strict=True)
    ]
    biases = [rng.normal(size=n) for n in columns] if bias else [None] * 4
    return Projections(*matrices, *biases)


def some_mask(seed, *shape):
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[..., 0] = True
    return mask


def by_loops(x, context, p, heads, groups, mask=None):
    """Return the layer's output one head and one token at a time."""
    dim = p.w_query.shape[1] // heads
    value_dim = p.w_value.shape[1] // groups
    output = np.zeros((len(x), p.w_output.shape[1])) + p.b_output
    for h in range(heads):
        g = h * groups // heads
        columns = range(g * dim, (g + 1) * dim)
        for i, token in enumerate(x):
            q = [
                token @ p.w_query[:, c] + p.b_query[c]
                for c in range(h * dim, (h + 1) * dim)
            ]
            scores = np.array(
                [
                    sum(
                        one * (other @ p.w_key[:, c] + p.b_key[c])
                        for one, c in zip(q, columns, strict=True)
                    )
                    / dim**0.5
                    for other in context
                ]
            )
            seen = np.ones(len(context), bool) if mask is None else mask[i]
            weights = np.zeros(len(context))
            weights[seen] = softmax(scores[seen])
            for j in range(value_dim):
                c = g * value_dim + j
                values = context @ p.w_value[:, c] + p.b_value[c]
                row = p.w_output[h * value_dim + j]
                output[i] += (weights @ values) * row
    return output


def module_of(p, *, width, heads, bias):
    """Return torch's own layer with the same numbers in it."""
    module = torch.nn.MultiheadAttention(
        width, heads, bias=bias, batch_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        stacked = np.concatenate([p.w_query, p.w_key, p.w_value], axis=1)
        module.in_proj_weight.copy_(torch.tensor(stacked.T))
        module.out_proj.weight.copy_(torch.tensor(p.w_output.T))
        if bias:
            stacked = np.concatenate([p.b_query, p.b_key, p.b_value])
            module.in_proj_bias.copy_(torch.tensor(stacked))
            module.out_proj.bias.copy_(torch.tensor(p.b_output))
    return module.eval()


# --- projections ---------------------------------------------------------


def test_a_projection_is_one_product_a_token_and_one_bias():
    x, weight, bias = draw(1, 2, 3, 5), draw(2, 5, 7), draw(3, 7)
    expected = F.linear(*map(torch.tensor, (x, weight.T.copy(), bias)))
    np.testing.assert_allclose(project(x, weight, bias), expected, **CLOSE)
    np.testing.assert_allclose(
        project(x, weight), expected.numpy() - bias, **CLOSE
    )


def test_a_projection_takes_lists_single_precision_tensors_and_no_tokens():
    assert project([[1, 2]], [[1], [1]], [4]).tolist() == [[7.0]]
    x = torch.ones(3, 2)
    assert project(x, torch.ones(2, 5)).dtype == np.float64
    assert project(np.zeros((0, 2)), np.ones((2, 5)), np.ones(5)).shape == (
        0,
        5,
    )
    assert project(x, np.zeros((2, 0))).shape == (3, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (np.ones((3, 5)), np.ones((7, 2))),
            ValueError,
            "x and weight must agree in width: got x=5, weight=7",
        ),
        (
            (np.ones((3, 5)), np.ones((1, 5, 2))),
            ValueError,
            r"weight must have two axes: got shape \(1, 5, 2\)",
        ),
        (
            (np.ones((3, 5)), np.ones((5, 2)), np.ones((3, 1))),
            ValueError,
            "bias must have one number for each column of weight: "
            r"got bias \(3, 1\), weight \(5, 2\)",
        ),
        (
            (np.ones((3, 5)), np.ones((5, 2)), 1.0),
            ValueError,
            r"got bias \(\), weight \(5, 2\)",
        ),
        (
            (np.ones(5), np.ones((5, 2))),
            ValueError,
            r"x must have axes \(..., tokens, width\): got shape \(5,\)",
        ),
        (
            (np.ones((3, 5)), np.ones((5, 2)) > 0),
            TypeError,
            "weight must hold real numbers: got dtype bool",
        ),
    ],
)
def test_a_projection_says_which_sizes_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        project(*arguments)


# --- splitting and merging -----------------------------------------------


def test_each_head_gets_a_block_of_neighbouring_columns():
    x = draw(0, 2, 3, 10)
    split = split_heads(x, heads=5)
    assert split.shape == (2, 5, 3, 2)
    for head in range(5):
        block = x[..., 2 * head : 2 * head + 2]
        np.testing.assert_array_equal(split[:, head], block)


@given(
    st.integers(0, 4), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2)
)
def test_merging_undoes_splitting(tokens, heads, dim, batch_axes):
    x = draw(tokens, *[2, 3][:batch_axes], tokens, heads * dim)
    split = split_heads(x, heads=heads)
    assert split.shape[-3:] == (heads, tokens, dim)
    np.testing.assert_array_equal(merge_heads(split), x)


def test_a_reshape_without_the_swap_mixes_tokens():
    x = np.repeat(np.arange(3.0)[:, None], 4, axis=1)  # token t is all t
    by_token = split_heads(x, heads=2)
    np.testing.assert_array_equal(by_token[0, :, 0], [0, 1, 2])
    careless = x.reshape(2, 3, 2)
    assert (careless != by_token).any()


@pytest.mark.parametrize(
    ("heads", "error", "message"),
    [
        (
            4,
            ValueError,
            "width must split evenly into heads: got width=10, heads=4",
        ),
        (0, ValueError, "heads must be at least 1: got 0"),
        (2.0, TypeError, "heads must be a whole number: got 2.0"),
        (True, TypeError, "heads must be a whole number: got True"),
    ],
)
def test_splitting_says_what_does_not_divide(heads, error, message):
    with pytest.raises(error, match=message):
        split_heads(np.ones((3, 10)), heads=heads)


def test_merging_needs_an_axis_of_heads():
    with pytest.raises(ValueError, match=r"axes \(..., heads, tokens, dim\)"):
        merge_heads(np.ones((3, 10)))


def test_a_strided_view_splits_and_merges_like_its_copy():
    view = draw(0, 3, 5, 12)[:, ::2, ::-1]
    split = split_heads(view, heads=3)
    np.testing.assert_array_equal(split, split_heads(view.copy(), heads=3))
    np.testing.assert_array_equal(merge_heads(split), view)


# --- multi-head attention ------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_multi_head_attention_is_that_of_torch(heads, bias):
    width = 6
    p = layer(
        heads,
        width=width,
        context_width=width,
        heads=heads,
        dim=width // heads,
        value_dim=width // heads,
        bias=bias,
    )
    x, context = draw(1, 2, 3, width), draw(2, 2, 5, width)
    allowed = some_mask(3, 2, 3, 5)
    module = module_of(p, width=width, heads=heads, bias=bias)
    with torch.no_grad():
        expected, weights = module(
            torch.tensor(x),
            torch.tensor(context),
            torch.tensor(context),
            # torch's layer marks what may NOT be seen, once for each head
            attn_mask=torch.tensor(~allowed).repeat_interleave(heads, 0),
            average_attn_weights=False,
        )
    got = multi_head_attention(x, context, p, heads=heads, mask=allowed)
    np.testing.assert_allclose(got, expected, **CLOSE)
    np.testing.assert_allclose(
        head_weights(x, context, p, heads=heads, mask=allowed),
        weights,
        **CLOSE,
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_a_layer_is_its_loops(groups):
    p = layer(groups, heads=6, groups=groups)
    x, context = draw(1, 5, 10), draw(2, 11, 7)
    allowed = some_mask(3, 5, 11)
    got = grouped_query_attention(
        x, context, p, heads=6, groups=groups, mask=allowed
    )
    expected = by_loops(x, context, p, 6, groups, allowed)
    np.testing.assert_allclose(got, expected, **CLOSE)
    np.testing.assert_allclose(
        grouped_query_attention(x, context, p, heads=6, groups=groups),
        by_loops(x, context, p, 6, groups),
        **CLOSE,
    )


def test_one_head_of_full_width_is_attention_between_projections():
    p = layer(heads=1)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    read = attention(
        project(x, p.w_query, p.b_query),
        project(context, p.w_key, p.b_key),
        project(context, p.w_value, p.b_value),
    )
    np.testing.assert_allclose(
        multi_head_attention(x, context, p, heads=1),
        project(read, p.w_output, p.b_output),
        **CLOSE,
    )


def test_concatenate_and_project_is_a_sum_of_projected_heads():
    p = layer(heads=5)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    read = attention(*project_heads(x, context, p, heads=5))
    blocks = p.w_output.reshape(5, 5, 10)
    summed = sum(read[head] @ blocks[head] for head in range(5)) + p.b_output
    np.testing.assert_allclose(
        multi_head_attention(x, context, p, heads=5), summed, **CLOSE
    )


def test_the_bare_sum_of_heads_is_the_case_of_identical_identity_blocks():
    p = layer(heads=3, value_dim=5)
    identities = np.tile(np.eye(5), (3, 1))
    summing = dataclasses.replace(p, w_output=identities, b_output=None)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    read = attention(*project_heads(x, context, p, heads=3))
    np.testing.assert_allclose(
        multi_head_attention(x, context, summing, heads=3),
        read.sum(axis=0),
        **CLOSE,
    )


@given(st.permutations(range(4)))
@settings(max_examples=20)
def test_heads_may_be_reordered_together_with_their_rows(order):
    heads, dim = 4, 3
    p = layer(heads=heads, dim=dim, value_dim=dim)
    x = draw(1, 5, 10)
    context = draw(2, 7, 7)
    columns = np.concatenate(
        [np.arange(h * dim, (h + 1) * dim) for h in order]
    )
    by_head = ("w_query", "w_key", "w_value", "b_query", "b_key", "b_value")
    moved = dataclasses.replace(
        p,
        **{name: getattr(p, name)[..., columns] for name in by_head},
        w_output=p.w_output[columns],
    )
    np.testing.assert_allclose(
        multi_head_attention(x, context, moved, heads=heads),
        multi_head_attention(x, context, p, heads=heads),
        **CLOSE,
    )


def test_a_bias_of_the_keys_changes_nothing():
    p = layer(heads=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    without = dataclasses.replace(p, b_key=None)
    np.testing.assert_allclose(
        multi_head_attention(x, context, p, heads=2),
        multi_head_attention(x, context, without, heads=2),
        **CLOSE,
    )


def test_a_bias_of_the_values_is_a_bias_of_the_output():
    p = layer(heads=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    folded = dataclasses.replace(
        p, b_value=None, b_output=p.b_output + p.b_value @ p.w_output
    )
    np.testing.assert_allclose(
        multi_head_attention(x, context, folded, heads=2),
        multi_head_attention(x, context, p, heads=2),
        **CLOSE,
    )


def test_the_scale_is_that_of_one_head_not_of_the_layer():
    p = layer(heads=5, dim=3)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    q, k, _ = project_heads(x, context, p, heads=5)
    expected = softmax(q @ np.swapaxes(k, -1, -2) / np.sqrt(3))
    np.testing.assert_allclose(
        head_weights(x, context, p, heads=5), expected, **CLOSE
    )


# --- masks ---------------------------------------------------------------


def test_a_mask_belongs_to_the_batch_even_where_batch_equals_heads():
    p = layer(heads=2)
    x, context = draw(1, 2, 3, 10), draw(2, 2, 11, 7)
    allowed = some_mask(4, 2, 3, 11)
    got = multi_head_attention(x, context, p, heads=2, mask=allowed)
    for one in range(2):
        alone = multi_head_attention(
            x[one], context[one], p, heads=2, mask=allowed[one]
        )
        np.testing.assert_allclose(got[one], alone, **CLOSE)


def test_a_row_that_sees_nothing_returns_only_the_output_bias():
    p = layer(heads=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    allowed = some_mask(4, 3, 11)
    allowed[1] = False
    got = multi_head_attention(x, context, p, heads=2, mask=allowed)
    np.testing.assert_array_equal(got[1], p.b_output)
    grouped = grouped_attention(
        draw(1, 6, 3, 2),
        draw(2, 3, 5, 2),
        draw(3, 3, 5, 7),
        mask=np.zeros((6, 3, 5), bool),
    )
    assert (grouped == 0).all()


def test_nan_in_padding_has_no_influence():
    p = layer(heads=4, groups=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    allowed = np.broadcast_to(np.arange(11) < 8, (3, 11))
    clean = grouped_query_attention(
        x, context, p, heads=4, groups=2, mask=allowed
    )
    context[8:] = np.nan
    dirty = grouped_query_attention(
        x, context, p, heads=4, groups=2, mask=allowed
    )
    np.testing.assert_array_equal(clean, dirty)


def test_a_mask_for_every_head_is_boolean_or_none():
    assert mask_every_head(None) is None
    assert mask_every_head([[True, False]]).shape == (1, 1, 2)
    with pytest.raises(TypeError, match="mask must be boolean"):
        mask_every_head(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"axes \(..., queries, keys\)"):
        mask_every_head(np.ones(5, bool))


# --- grouped and multi-query ---------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("axes", ["none", "shared", "batch", "each head"])
def test_grouped_attention_is_that_of_torch(groups, axes):
    q = draw(1, 2, 6, 3, 8)
    k, v = draw(2, 2, groups, 5, 8), draw(3, 2, groups, 5, 7)
    shape = {
        "shared": (3, 5),
        "batch": (2, 1, 3, 5),
        "each head": (2, 6, 3, 5),
    }
    allowed = None if axes == "none" else some_mask(4, *shape[axes])
    expected = F.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)),
        attn_mask=None if allowed is None else torch.tensor(allowed),
        enable_gqa=True,
    )
    np.testing.assert_allclose(
        grouped_attention(q, k, v, mask=allowed), expected, **CLOSE
    )


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=30)
def test_grouping_is_repeating_the_keys(groups, each, queries):
    q = draw(1, groups * each, queries, 3)
    k, v = draw(2, groups, 5, 3), draw(3, groups, 5, 7)
    repeated = attention(
        q, np.repeat(k, each, axis=0), np.repeat(v, each, axis=0)
    )
    np.testing.assert_allclose(grouped_attention(q, k, v), repeated, **CLOSE)


def test_as_many_groups_as_heads_is_multi_head_attention():
    p = layer(heads=5)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    allowed = some_mask(3, 3, 11)
    np.testing.assert_allclose(
        grouped_query_attention(
            x, context, p, heads=5, groups=5, mask=allowed
        ),
        multi_head_attention(x, context, p, heads=5, mask=allowed),
        **CLOSE,
    )


def test_multi_query_attention_has_one_group():
    p = layer(heads=5, groups=1)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    allowed = some_mask(3, 3, 11)
    np.testing.assert_allclose(
        multi_query_attention(x, context, p, heads=5, mask=allowed),
        by_loops(x, context, p, 5, 1, allowed),
        **CLOSE,
    )


def test_copying_the_shared_columns_turns_groups_into_heads():
    p = layer(heads=6, groups=3, dim=2, value_dim=5)
    x, context = draw(1, 3, 10), draw(2, 11, 7)

    def copied(matrix, dim):
        blocks = matrix.reshape(*matrix.shape[:-1], 3, dim)
        every = np.repeat(blocks, 2, axis=-2)
        return every.reshape(*matrix.shape[:-1], 6 * dim)

    wide = dataclasses.replace(
        p,
        w_key=copied(p.w_key, 2),
        b_key=copied(p.b_key, 2),
        w_value=copied(p.w_value, 5),
        b_value=copied(p.b_value, 5),
    )
    np.testing.assert_allclose(
        grouped_query_attention(x, context, p, heads=6, groups=3),
        multi_head_attention(x, context, wide, heads=6),
        **CLOSE,
    )


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ((6, 3, 2), (4, 5, 2), (4, 5, 2)),
            "heads must be a multiple of groups: got heads=6, groups=4",
        ),
        (
            ((6, 3, 2), (0, 5, 2), (0, 5, 2)),
            "heads must be a multiple of groups: got heads=6, groups=0",
        ),
        (
            ((6, 3, 2), (3, 5, 2), (2, 5, 2)),
            "k and v must agree in groups: got k=3, v=2",
        ),
        (((3, 2), (3, 5, 2), (3, 5, 2)), "q must have axes"),
        (((6, 3, 2), (5, 2), (3, 5, 2)), "k must have axes"),
        (((6, 3, 2), (3, 5, 2), (5, 2)), "v must have axes"),
        (
            ((6, 3, 2), (3, 5, 4), (3, 5, 4)),
            "q and k must agree in dim: got q=2, k=4",
        ),
    ],
)
def test_grouped_attention_says_what_does_not_fit(shapes, message):
    with pytest.raises(ValueError, match=message):
        grouped_attention(*map(np.ones, shapes))


def test_grouped_attention_wants_a_boolean_mask():
    q, k = np.ones((6, 3, 2)), np.ones((3, 5, 2))
    with pytest.raises(TypeError, match="mask must be boolean"):
        grouped_attention(q, k, k, mask=np.ones((3, 5)))
    with pytest.raises(ValueError, match="mask must have axes"):
        grouped_attention(q, k, k, mask=np.ones(5, bool))


def test_a_layer_says_what_does_not_fit():
    p = layer(heads=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    with pytest.raises(ValueError, match="got x=7, weight=10"):
        multi_head_attention(context, context, p, heads=2)
    with pytest.raises(ValueError, match="width=6, heads=4"):
        multi_head_attention(x, context, p, heads=4)


# --- any input that holds numbers ----------------------------------------


def test_extreme_tokens_give_no_nan():
    p = layer(heads=2, bias=False)
    x, context = 1e4 * draw(1, 3, 10), 1e4 * draw(2, 11, 7)
    assert np.isfinite(multi_head_attention(x, context, p, heads=2)).all()


def test_leading_axes_broadcast():
    p = layer(heads=2)
    x, context = draw(1, 5, 1, 3, 10), draw(2, 2, 11, 7)
    got = multi_head_attention(x, context, p, heads=2)
    assert got.shape == (5, 2, 3, 10)
    alone = multi_head_attention(x[4, 0], context[1], p, heads=2)
    np.testing.assert_allclose(got[4, 1], alone, **CLOSE)


def test_empty_sequences_stay_empty_or_read_zeros():
    p = layer(heads=2)
    none = multi_head_attention(np.ones((0, 10)), draw(2, 11, 7), p, heads=2)
    assert none.shape == (0, 10)
    nothing = multi_head_attention(draw(1, 3, 10), np.ones((0, 7)), p, heads=2)
    np.testing.assert_array_equal(nothing, np.tile(p.b_output, (3, 1)))


def test_tensors_single_precision_and_lists_give_float64():
    p = layer(heads=2)
    x, context = draw(1, 3, 10), draw(2, 11, 7)
    expected = multi_head_attention(x, context, p, heads=2)
    tensors = Projections(*[torch.tensor(value) for value in vars(p).values()])
    for got in (
        multi_head_attention(
            torch.tensor(x), torch.tensor(context), tensors, heads=2
        ),
        multi_head_attention(x.tolist(), context.tolist(), p, heads=2),
    ):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, expected)
    single = multi_head_attention(x.astype(np.float32), context, p, heads=2)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-4)


def test_arguments_are_left_as_they_were():
    p = layer(heads=2)
    arrays = [draw(1, 3, 10), draw(2, 11, 7), *vars(p).values()]
    copies = [array.copy() for array in arrays]
    multi_head_attention(arrays[0], arrays[1], p, heads=2)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# --- counting ------------------------------------------------------------


@given(
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 6),
    st.booleans(),
)
@settings(max_examples=30)
def test_parameters_are_the_numbers_in_the_arrays(
    groups, each, dim, width, bias
):
    heads = groups * each
    p = layer(
        width=width,
        context_width=width,
        heads=heads,
        groups=groups,
        dim=dim,
        value_dim=dim,
        bias=bias,
    )
    trained = sum(a.size for a in vars(p).values() if a is not None)
    assert trained == parameter_count(
        width=width, heads=heads, dim=dim, groups=groups, bias=bias
    )


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_parameters_are_those_of_torch_and_do_not_depend_on_heads(heads):
    module = torch.nn.MultiheadAttention(6, heads)
    trained = sum(p.numel() for p in module.parameters())
    counted = parameter_count(width=6, heads=heads, dim=6 // heads)
    assert counted == trained == 4 * 6**2 + 4 * 6


def torch_flops(run):
    """Return what torch's own counter counts: matrix products only."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5),
)
@settings(max_examples=20, deadline=None)
def test_flops_are_those_that_torch_counts(groups, each, dim, queries, keys):
    width, heads = 7, groups * each

    def run():
        x, context = torch.ones(queries, width), torch.ones(keys, width)
        q = x @ torch.ones(width, heads * dim)
        k = context @ torch.ones(width, groups * dim)
        v = context @ torch.ones(width, groups * dim)
        q = q.view(queries, heads, dim).transpose(0, 1)
        k = k.view(keys, groups, dim).transpose(0, 1)
        v = v.view(keys, groups, dim).transpose(0, 1)
        k, v = (a.repeat_interleave(each, dim=0) for a in (k, v))
        read = (q @ k.transpose(1, 2)).softmax(-1) @ v
        merged = read.transpose(0, 1).reshape(queries, heads * dim)
        return merged @ torch.ones(heads * dim, width)

    counted = flop_count(
        queries=queries,
        keys=keys,
        width=width,
        heads=heads,
        dim=dim,
        groups=groups,
    )
    assert sum(counted.values()) == torch_flops(run)


def test_flops_are_counted_step_by_step():
    counted = flop_count(queries=3, keys=5, width=7, heads=4, dim=11, groups=2)
    assert counted == {
        "project queries": 2 * 3 * 7 * 44,
        "project keys": 2 * 5 * 7 * 22,
        "project values": 2 * 5 * 7 * 22,
        "scores": 2 * 4 * 3 * 5 * 11,
        "averages": 2 * 4 * 3 * 5 * 11,
        "project output": 2 * 3 * 44 * 7,
    }


def test_heads_at_fixed_width_change_only_the_number_of_weights():
    sizes = {"queries": 13, "keys": 17, "width": 12}
    one = flop_count(**sizes, heads=1, dim=12)
    for heads in (2, 3, 4, 6, 12):
        assert flop_count(**sizes, heads=heads, dim=12 // heads) == one
        assert score_count(queries=13, keys=17, heads=heads) == heads * (
            score_count(queries=13, keys=17, heads=1)
        )


def test_the_weights_and_the_cache_hold_as_many_numbers_as_counted():
    p = layer(heads=6, groups=3, dim=2, value_dim=2)
    x, context = draw(1, 5, 10), draw(2, 11, 7)
    q, k, v = project_heads(x, context, p, heads=6, groups=3)
    assert cache_count(keys=11, groups=3, dim=2) == k.size + v.size
    weights = q @ np.swapaxes(np.repeat(k, 2, axis=0), -1, -2)
    assert score_count(queries=5, keys=11, heads=6) == weights.size


@pytest.mark.parametrize(
    ("counting", "changed", "message"),
    [
        (parameter_count, {"width": 0}, "width must be at least 1: got 0"),
        (parameter_count, {"heads": 0}, "heads must be at least 1: got 0"),
        (parameter_count, {"dim": 0}, "dim must be at least 1: got 0"),
        (parameter_count, {"groups": 0}, "groups must be at least 1: got 0"),
        (
            parameter_count,
            {"groups": 4},
            "heads must be a multiple of groups: got heads=6, groups=4",
        ),
        (flop_count, {"queries": -1}, "queries must be at least 0: got -1"),
        (flop_count, {"keys": -1}, "keys must be at least 0: got -1"),
        (score_count, {"queries": -1}, "queries must be at least 0: got -1"),
        (score_count, {"keys": -1}, "keys must be at least 0: got -1"),
        (score_count, {"heads": 0}, "heads must be at least 1: got 0"),
        (cache_count, {"keys": -1}, "keys must be at least 0: got -1"),
        (cache_count, {"groups": 0}, "groups must be at least 1: got 0"),
        (cache_count, {"dim": 0}, "dim must be at least 1: got 0"),
    ],
)
def test_counting_refuses_sizes_that_cannot_be(counting, changed, message):
    good = {
        parameter_count: {"width": 7, "heads": 6, "dim": 2},
        flop_count: {
            "queries": 3,
            "keys": 5,
            "width": 7,
            "heads": 6,
            "dim": 2,
        },
        score_count: {"queries": 3, "keys": 5, "heads": 6},
        cache_count: {"keys": 5, "groups": 3, "dim": 2},
    }[counting]
    counting(**good)
    with pytest.raises(ValueError, match=message):
        counting(**{**good, **changed})


def test_sizes_of_one_and_sequences_of_none_are_counted():
    assert parameter_count(width=1, heads=1, dim=1) == 8
    empty = flop_count(queries=0, keys=0, width=1, heads=1, dim=1)
    assert set(empty.values()) == {0}
    assert score_count(queries=0, keys=0, heads=1) == 0
    assert cache_count(keys=0, groups=1, dim=1) == 0
