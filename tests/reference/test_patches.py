"""Patches and the Vision Transformer against loops and torch."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.blocks import NormWeights, Stack, encoder
from attncourse.reference.feedforward import gelu
from attncourse.reference.patches import (
    VisionSizes,
    VisionTransformer,
    class_logits,
    grid_of,
    image_tokens,
    interpolate_positions,
    mean_logits,
    new_vision_transformer,
    patch_embedding,
    patchify,
    read_image,
    resized,
    sinusoidal_2d,
    unpatchify,
)

quick = settings(max_examples=25, deadline=None)
small = st.integers(1, 4)
SIZES = VisionSizes(6, 10, 3, 2, dim=4, hidden=7, layers=2, classes=5)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def shaken(model, seed=0):
    """Return the model with every number of its own random."""
    rng = np.random.default_rng(seed)
    names = ("kernel", "bias", "positions", "class_token", "w_head", "b_head")
    return dataclasses.replace(
        model,
        **{n: rng.normal(size=np.shape(getattr(model, n))) for n in names},
    )


MODEL = shaken(new_vision_transformer(SIZES, seed=0))


@given(small, small, small, small)
@quick
def test_patches_are_read_like_a_page(channels, rows, columns, patch):
    images = draw(1, 2, channels, rows * patch, columns * patch)
    patches = patchify(images, patch=patch)
    assert patches.shape == (2, rows * columns, channels * patch * patch)
    n = 0
    for r in range(rows):
        for s in range(columns):
            square = images[
                :,
                :,
                r * patch : (r + 1) * patch,
                s * patch : (s + 1) * patch,
            ]
            np.testing.assert_array_equal(patches[:, n], square.reshape(2, -1))
            n += 1


@given(small, small, small, small)
@quick
def test_unpatchify_undoes_patchify(channels, rows, columns, patch):
    height, width = rows * patch, columns * patch
    images = draw(2, 2, 3, channels, height, width)
    patches = patchify(images, patch=patch)
    again = unpatchify(patches, patch=patch, height=height, width=width)
    np.testing.assert_array_equal(again, images)
    back = patchify(again, patch=patch)
    np.testing.assert_array_equal(back, patches)


def test_patches_are_torchs_unfolding():
    images = draw(3, 2, 3, 6, 10)
    theirs = F.unfold(torch.tensor(images), 2, stride=2).mT
    np.testing.assert_array_equal(patchify(images, patch=2), theirs)


def test_embedding_is_a_convolution_without_overlap():
    images, kernel, bias = (
        draw(4, 2, 3, 6, 10),
        draw(5, 7, 3, 2, 2),
        draw(6, 7),
    )
    for b in (None, bias):
        theirs = F.conv2d(
            torch.tensor(images),
            torch.tensor(kernel),
            None if b is None else torch.tensor(b),
            stride=2,
        )
        mine = patch_embedding(images, kernel, b)
        np.testing.assert_allclose(
            mine, theirs.flatten(-2).mT, rtol=1e-12, atol=1e-12
        )


def test_a_spoiled_pixel_spoils_its_own_patch_alone():
    images = draw(7, 1, 4, 6)
    images[0, 3, 1] = np.nan
    tokens = patch_embedding(images, draw(8, 5, 1, 2, 2))
    assert np.flatnonzero(np.isnan(tokens).any(axis=-1)).tolist() == [3]


def test_images_without_a_pixel_or_channel_have_an_answer():
    assert patchify(np.ones((3, 0, 4)), patch=2).shape == (0, 12)
    assert patchify(np.ones((0, 4, 6)), patch=2).shape == (6, 0)
    assert patchify(np.ones((0, 3, 4, 6)), patch=2).shape == (0, 6, 12)
    back = unpatchify(np.ones((0, 12)), patch=2, height=0, width=4)
    assert back.shape == (3, 0, 4)
    back = unpatchify(np.ones((0, 12)), patch=2, height=4, width=0)
    assert back.shape == (3, 4, 0)


def test_half_of_a_sinusoidal_vector_tells_the_row_half_the_column():
    table = sinusoidal_2d(3, 5, dim=8, base=100.0)
    for r in range(3):
        for s in range(5):
            place = []
            for at in (r, s):
                for clock in (1.0, 0.1):
                    place += [np.sin(at * clock), np.cos(at * clock)]
            np.testing.assert_allclose(table[r, s], place, atol=1e-15)
    slow = sinusoidal_2d(1, 2, dim=8)[0, 1]
    np.testing.assert_allclose(slow[6], np.sin(0.01))
    assert sinusoidal_2d(1, 1, dim=4).tolist() == [[[0.0, 1.0, 0.0, 1.0]]]


@given(small, small, st.integers(1, 9), st.integers(1, 9))
@quick
def test_positions_are_interpolated_as_torch_does(old, wide, rows, columns):
    table = draw(9, old, wide, 3)
    planes = torch.tensor(table).permute(2, 0, 1)[None]
    theirs = F.interpolate(
        planes, (rows, columns), mode="bilinear", align_corners=False
    )
    mine = interpolate_positions(table, rows=rows, columns=columns)
    np.testing.assert_allclose(
        mine, theirs[0].permute(1, 2, 0), rtol=1e-9, atol=1e-12
    )


def test_a_table_of_the_same_size_stays_and_a_constant_one_too():
    table = draw(10, 3, 5, 2)
    same = interpolate_positions(table, rows=3, columns=5)
    np.testing.assert_allclose(same, table, atol=1e-15)
    constant = interpolate_positions(np.ones((3, 5, 2)), rows=7, columns=2)
    np.testing.assert_allclose(constant, np.ones((7, 2, 2)), atol=1e-15)
    one = interpolate_positions([[[7.0]]], rows=1, columns=1)
    assert one.tolist() == [[[7.0]]]
    none = interpolate_positions(np.ones((3, 5, 0)), rows=2, columns=7)
    assert none.shape == (2, 7, 0)


def test_tokens_are_the_class_then_the_patches_with_their_positions():
    images = draw(11, 2, 3, 6, 10)
    tokens = image_tokens(images, MODEL)
    assert tokens.shape == (2, 16, 4)
    for n in range(2):
        np.testing.assert_array_equal(tokens[n, 0], MODEL.class_token)
        for r in range(3):
            for s in range(5):
                square = images[n, :, 2 * r : 2 * r + 2, 2 * s : 2 * s + 2]
                expected = [
                    np.sum(MODEL.kernel[d] * square)
                    + MODEL.bias[d]
                    + MODEL.positions[r, s, d]
                    for d in range(4)
                ]
                np.testing.assert_allclose(
                    tokens[n, 1 + 5 * r + s], expected, atol=1e-12
                )


def test_logits_come_from_the_class_token_or_from_the_mean():
    images = draw(12, 2, 3, 6, 10)
    tokens = encoder(image_tokens(images, MODEL), MODEL.stack, heads=2)
    read = read_image(images, MODEL, heads=2)
    np.testing.assert_array_equal(read, tokens)
    np.testing.assert_allclose(
        class_logits(images, MODEL, heads=2),
        tokens[:, 0] @ MODEL.w_head + MODEL.b_head,
        atol=1e-12,
    )
    mean = sum(tokens[:, n] for n in range(1, 16)) / 15
    np.testing.assert_allclose(
        mean_logits(images, MODEL, heads=2),
        mean @ MODEL.w_head + MODEL.b_head,
        atol=1e-12,
    )


def torchs_logits(images, model, heads):
    """Return the logits by torch's own convolution and encoder layer."""
    dim = len(model.bias)
    to = torch.as_tensor
    patches = F.conv2d(
        to(images), to(model.kernel), to(model.bias), stride=2
    ).flatten(-2)
    tokens = patches.mT + to(model.positions).flatten(0, 1)
    first = to(model.class_token).expand(len(images), 1, dim)
    tokens = torch.cat([first, tokens], dim=1)
    for layer in model.stack.layers:
        p, f = layer.attention, layer.feed_forward
        theirs = torch.nn.TransformerEncoderLayer(
            dim,
            heads,
            np.shape(f.w_in)[1],
            activation="gelu",
            batch_first=True,
            norm_first=True,
            dropout=0.0,
            dtype=torch.float64,
        )
        with torch.no_grad():
            stacked = np.concatenate([p.w_query, p.w_key, p.w_value], axis=1)
            theirs.self_attn.in_proj_weight.copy_(to(stacked.T))
            theirs.self_attn.out_proj.weight.copy_(to(p.w_output.T))
            theirs.linear1.weight.copy_(to(f.w_in.T))
            theirs.linear2.weight.copy_(to(f.w_out.T))
            theirs.linear1.bias.zero_()
            theirs.linear2.bias.zero_()
        tokens = theirs(tokens)
    first = F.layer_norm(tokens, (dim,))[:, 0]
    return (first @ to(model.w_head) + to(model.b_head)).detach()


def test_the_whole_model_is_torchs_pre_norm_encoder():
    images = draw(13, 2, 3, 6, 10)
    np.testing.assert_allclose(
        class_logits(images, MODEL, heads=2),
        torchs_logits(images, MODEL, 2),
        atol=1e-9,
    )


def test_without_positions_the_order_of_patches_makes_no_difference():
    blind = dataclasses.replace(MODEL, positions=np.zeros((3, 5, 4)))
    images = draw(14, 3, 6, 10)
    patches = patchify(images, patch=2)[::-1]
    turned = unpatchify(patches, patch=2, height=6, width=10)
    np.testing.assert_allclose(
        class_logits(images, blind, heads=2),
        class_logits(turned, blind, heads=2),
        atol=1e-12,
    )
    ours = class_logits(images, MODEL, heads=2)
    assert np.abs(ours - class_logits(turned, MODEL, heads=2)).max() > 1e-3


def test_a_resized_model_reads_larger_images():
    larger = resized(MODEL, height=8, width=14)
    np.testing.assert_allclose(
        larger.positions,
        interpolate_positions(MODEL.positions, rows=4, columns=7),
    )
    assert larger.kernel is MODEL.kernel
    assert class_logits(draw(15, 3, 8, 14), larger, heads=2).shape == (5,)
    same = resized(MODEL, height=6, width=10)
    np.testing.assert_allclose(same.positions, MODEL.positions, atol=1e-15)


def test_a_new_model_is_bounded_and_knows_nothing():
    sizes = VisionSizes(30, 20, 3, 5, dim=29, hidden=31, layers=3, classes=7)
    model = new_vision_transformer(sizes, seed=1)
    assert np.shape(model.kernel) == (29, 3, 5, 5)
    assert np.shape(model.positions) == (6, 4, 29)
    bound = np.sqrt(6 / (29 + 75))
    assert 0.97 * bound < np.abs(model.kernel).max() < bound
    assert np.mean(model.kernel) == pytest.approx(0, abs=bound / 20)
    for name in ("positions", "class_token"):
        assert np.std(getattr(model, name)) == pytest.approx(0.02, rel=0.25)
    assert len(model.stack.layers) == 3
    one, two, _ = (each.attention.w_query for each in model.stack.layers)
    assert not np.array_equal(one, two)
    assert model.stack.layers[0].feed_forward.activation is gelu
    assert np.shape(model.stack.layers[0].feed_forward.w_in) == (29, 31)
    assert isinstance(model.stack.norm, NormWeights)
    assert model.stack.norm.gain.tolist() == [1.0] * 29
    assert model.stack.norm.shift.tolist() == [0.0] * 29
    assert model.bias.tolist() == [0.0] * 29
    images = draw(16, 2, 3, 30, 20)
    assert mean_logits(images, model, heads=29).tolist() == [[0.0] * 7] * 2
    again = new_vision_transformer(sizes, seed=1)
    np.testing.assert_array_equal(again.positions, model.positions)
    assert isinstance(model, VisionTransformer)
    assert isinstance(model.stack, Stack)
    none = VisionSizes(2, 2, 1, 1, dim=1, hidden=1, layers=0, classes=1)
    tiny = new_vision_transformer(none, seed=0)
    assert list(tiny.stack.layers) == []
    assert class_logits(np.ones((1, 2, 2)), tiny, heads=1).tolist() == [0.0]


def test_lists_and_tensors_are_read_and_answers_are_float64():
    images = draw(17, 1, 4, 6).astype(np.float32)
    truth = patchify(images, patch=2)
    assert truth.dtype == np.float64
    np.testing.assert_array_equal(patchify(images.tolist(), patch=2), truth)
    np.testing.assert_array_equal(
        patchify(torch.tensor(images), patch=2), truth
    )
    turned = np.asfortranarray(images)
    np.testing.assert_array_equal(patchify(turned, patch=2), truth)
    kernel = draw(18, 5, 1, 2, 2)
    np.testing.assert_array_equal(
        patch_embedding(images, torch.tensor(kernel)),
        patch_embedding(images, kernel),
    )


def test_inputs_are_left_alone():
    for each in (images := draw(19, 1, 4, 6), table := draw(20, 3, 5, 2)):
        each.flags.writeable = False
    patchify(images, patch=2)[...] = 0.0
    patchify(images, patch=1)[...] = 0.0
    interpolate_positions(table, rows=3, columns=5)[...] = 0.0
    class_logits(draw(21, 3, 6, 10), MODEL, heads=2)
    patches = patchify(images, patch=2)
    unpatchify(patches, patch=2, height=4, width=6)[...] = 0.0
    np.testing.assert_array_equal(patches, patchify(images, patch=2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: patchify(np.ones((1, 5, 6)), patch=2),
            ValueError,
            "height and width must be multiples of patch: "
            "got height=5, width=6, patch=2",
        ),
        (
            lambda: patchify(np.ones((1, 6, 5)), patch=2),
            ValueError,
            "got height=6, width=5, patch=2",
        ),
        (
            lambda: patchify(np.ones((5, 6)), patch=2),
            ValueError,
            r"images must have axes \(\.\.\., channels, height, width\)",
        ),
        (
            lambda: grid_of(4, 6, patch=0),
            ValueError,
            "patch must be at least 1: got 0",
        ),
        (
            lambda: grid_of(-2, 6, patch=2),
            ValueError,
            "height must be at least 0: got -2",
        ),
        (
            lambda: grid_of(2, -6, patch=2),
            ValueError,
            "width must be at least 0: got -6",
        ),
        (
            lambda: unpatchify(np.ones((6, 5)), patch=2, height=4, width=6),
            ValueError,
            r"patches must hold whole channels of patch \* patch numbers: "
            "got numbers=5, patch=2",
        ),
        (
            lambda: unpatchify(np.ones((5, 4)), patch=2, height=4, width=6),
            ValueError,
            "patches and squares must agree in number: "
            "got patches=5, squares=6",
        ),
        (
            lambda: patch_embedding(np.ones((1, 4, 6)), np.ones((5, 2, 2, 2))),
            ValueError,
            "images and kernel must agree in channels: got images=1, kernel=2",
        ),
        (
            lambda: patch_embedding(np.ones((1, 4, 6)), np.ones((5, 1, 2, 3))),
            ValueError,
            r"kernel must have shape \(out_width, channels, patch, patch\): "
            r"got \(5, 1, 2, 3\)",
        ),
        (
            lambda: patch_embedding(np.ones((1, 4, 6)), np.ones((5, 4))),
            ValueError,
            r"kernel must have shape .*got \(5, 4\)",
        ),
        (
            lambda: sinusoidal_2d(3, 5, dim=6),
            ValueError,
            "dim must be a multiple of four, two pairs an axis: got 6",
        ),
        (
            lambda: sinusoidal_2d(3, 0, dim=8),
            ValueError,
            "columns must be at least 1: got 0",
        ),
        (
            lambda: interpolate_positions(
                np.ones((3, 0, 2)), rows=1, columns=1
            ),
            ValueError,
            r"table must have a row and a column: got shape \(3, 0, 2\)",
        ),
        (
            lambda: interpolate_positions(np.ones((3, 2)), rows=1, columns=1),
            ValueError,
            r"table must have shape \(rows, columns, dim\): got \(3, 2\)",
        ),
        (
            lambda: image_tokens(
                np.ones((3, 6, 10)),
                dataclasses.replace(MODEL, positions=np.ones((3, 5, 1))),
            ),
            ValueError,
            "kernel and positions and class_token must agree in dim: "
            "got kernel=4, positions=1, class_token=4",
        ),
        (
            lambda: image_tokens(
                np.ones((3, 6, 10)),
                dataclasses.replace(MODEL, positions=np.ones((1, 3, 5, 4))),
            ),
            ValueError,
            r"positions must have shape \(rows, columns, dim\): "
            r"got \(1, 3, 5, 4\)",
        ),
        (
            lambda: image_tokens(
                np.ones((3, 6, 10)),
                dataclasses.replace(MODEL, class_token=np.ones((2, 4))),
            ),
            ValueError,
            r"class_token must have shape \(dim\): got \(2, 4\)",
        ),
        (
            lambda: image_tokens(
                np.ones((3, 6, 10)),
                dataclasses.replace(MODEL, class_token=np.ones(1)),
            ),
            ValueError,
            "must agree in dim: got kernel=4, positions=4, class_token=1",
        ),
        (
            lambda: resized(
                dataclasses.replace(MODEL, kernel=np.ones(2)),
                height=6,
                width=10,
            ),
            ValueError,
            r"kernel must have shape \(out_width, channels, patch, patch\): "
            r"got \(2,\)",
        ),
        (
            lambda: new_vision_transformer(SIZES, seed=-1),
            ValueError,
            "seed must be at least 0: got -1",
        ),
        (
            lambda: interpolate_positions(
                np.ones((3, 2, 1)), rows=0, columns=1
            ),
            ValueError,
            "rows must be at least 1: got 0",
        ),
        (
            lambda: image_tokens(np.ones((3, 8, 10)), MODEL),
            ValueError,
            "patches and positions must agree in rows: "
            "got patches=4, positions=3",
        ),
        (
            lambda: image_tokens(np.ones((3, 6, 8)), MODEL),
            ValueError,
            "patches and positions must agree in columns: "
            "got patches=4, positions=5",
        ),
        (
            lambda: resized(MODEL, height=7, width=10),
            ValueError,
            "height and width must be multiples of patch",
        ),
        (
            lambda: resized(MODEL, height=0, width=10),
            ValueError,
            "height must be at least 1: got 0",
        ),
        (
            lambda: mean_logits(
                np.ones((3, 0, 10)),
                dataclasses.replace(MODEL, positions=np.ones((0, 5, 4))),
                heads=2,
            ),
            ValueError,
            "images must have at least one patch: got none",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
