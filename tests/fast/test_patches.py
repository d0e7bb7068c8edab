"""Patches and the Vision Transformer in torch: agreement and training."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attncourse.datasets import digits
from attncourse.fast.patches import (
    MeanVisionTransformer,
    VisionSizes,
    VisionTransformer,
    interpolate_positions,
    patch_embedding,
    patchify,
    sinusoidal_2d,
    to_reference,
    unpatchify,
)
from attncourse.reference import patches as reference

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
SIZES = VisionSizes(6, 10, 3, 2, dim=6, hidden=11, layers=2, classes=5)
KINDS = {
    VisionTransformer: reference.class_logits,
    MeanVisionTransformer: reference.mean_logits,
}


def draw(seed, *shape, dtype=torch.float64):
    numbers = np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(numbers, dtype=dtype)


def shaken(module, seed=0):
    """Return the module in float64 with every number random, quiet."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def close(got, expected, **budget):
    np.testing.assert_allclose(
        torch.as_tensor(got).detach(),
        torch.as_tensor(expected).detach(),
        **(budget or CLOSE),
    )


@pytest.mark.parametrize(
    ("channels", "rows", "columns", "patch"),
    [(3, 2, 5, 2), (1, 1, 1, 3), (2, 3, 1, 1), (0, 2, 2, 2), (3, 0, 2, 2)],
)
def test_patches_are_the_references(channels, rows, columns, patch):
    height, width = rows * patch, columns * patch
    images = draw(1, 2, channels, height, width)
    patches = patchify(images, patch=patch)
    close(patches, reference.patchify(images, patch=patch), rtol=0, atol=0)
    if channels:
        close(
            patches.mT if images.numel() else patches.new_zeros(2, 0, 0),
            F.unfold(images, patch, stride=patch)
            if images.numel()
            else patches.new_zeros(2, 0, 0),
            rtol=0,
            atol=0,
        )
    again = unpatchify(patches, patch=patch, height=height, width=width)
    close(again, images, rtol=0, atol=0)


def test_embedding_is_a_convolution_without_overlap():
    images, kernel = draw(2, 2, 3, 6, 10), draw(3, 7, 3, 2, 2)
    bias = draw(4, 7)
    for b in (None, bias):
        got = patch_embedding(images, kernel, b)
        theirs = F.conv2d(images, kernel, b, stride=2)
        close(got, theirs.flatten(-2).mT)
        close(got, reference.patch_embedding(images, kernel, b))


def test_embedding_reads_images_whose_memory_is_turned():
    images, kernel = draw(5, 2, 10, 6, 3), draw(6, 7, 3, 2, 2)
    turned = images.permute(0, 3, 2, 1)
    assert not turned.is_contiguous()
    close(
        patch_embedding(turned, kernel),
        patch_embedding(turned.contiguous(), kernel),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 3)])
def test_positions_are_the_references(size):
    table = draw(7, 3, 5, 4)
    rows, columns = size
    close(
        interpolate_positions(table, rows=rows, columns=columns),
        reference.interpolate_positions(table, rows=rows, columns=columns),
    )
    flat = sinusoidal_2d(rows, columns, dim=8, base=50.0)
    assert flat.dtype == torch.float32
    close(
        flat,
        reference.sinusoidal_2d(rows, columns, dim=8, base=50.0),
        atol=1e-6,
    )


def test_a_table_without_columns_keeps_none():
    assert interpolate_positions(
        draw(8, 3, 5, 0), rows=2, columns=4
    ).shape == (
        2,
        4,
        0,
    )


def test_gradcheck_accepts_the_functions():
    images, kernel = draw(9, 1, 4, 6), draw(10, 2, 1, 2, 2)
    table = draw(11, 2, 3, 2)
    for each in (images, kernel, table):
        each.requires_grad_()
    assert torch.autograd.gradcheck(patch_embedding, (images, kernel))
    assert torch.autograd.gradcheck(
        lambda t: interpolate_positions(t, rows=3, columns=2), table
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_its_reference(kind):
    model = shaken(kind(SIZES, heads=3, dropout=0.3))
    numbers = to_reference(model)
    for batch in ((), (2,), (2, 3)):
        images = draw(12, *batch, 3, 6, 10)
        got = model(images)
        assert got.shape == (*batch, 5)
        close(got, KINDS[kind](images, numbers, heads=3))
        close(
            model.read(images), reference.read_image(images, numbers, heads=3)
        )
        close(model.tokens(images), reference.image_tokens(images, numbers))


@pytest.mark.parametrize("kind", KINDS)
def test_a_resized_model_is_its_reference_and_a_copy(kind):
    model = shaken(kind(SIZES, heads=3))
    larger = model.resized(height=8, width=6)
    assert type(larger) is kind
    numbers = reference.resized(to_reference(model), height=8, width=6)
    images = draw(13, 2, 3, 8, 6)
    close(larger(images), KINDS[kind](images, numbers, heads=3))
    assert larger.positions.requires_grad
    with torch.no_grad():
        larger.kernel.zero_()
    assert model.kernel.abs().max() > 0


def test_what_the_reference_reads_follows_training():
    model = shaken(VisionTransformer(SIZES, heads=3))
    numbers, images = to_reference(model), draw(14, 3, 6, 10)
    with torch.no_grad():
        model.head.weight.mul_(2.0)
        model.positions.add_(1.0)
    close(model(images), reference.class_logits(images, numbers, heads=3))


def test_gradcheck_accepts_the_model():
    sizes = VisionSizes(2, 4, 1, 2, dim=4, hidden=3, layers=1, classes=2)
    images = draw(15, 1, 2, 4)
    for kind in KINDS:
        model = shaken(kind(sizes, heads=2))

        def answer(kernel, positions, first, model=model):
            numbers = {
                "kernel": kernel,
                "positions": positions,
                "class_token": first,
            }
            return torch.func.functional_call(model, numbers, images)

        numbers = (model.kernel, model.positions, model.class_token)
        assert torch.autograd.gradcheck(answer, numbers)
        pixels = images.clone().requires_grad_()
        assert torch.autograd.gradcheck(model, pixels)


def test_a_new_model_is_bounded_and_the_same_for_a_seed():
    sizes = VisionSizes(30, 20, 3, 5, dim=28, hidden=31, layers=3, classes=7)
    torch.manual_seed(5)
    model = VisionTransformer(sizes, heads=4)
    bound = (6 / (28 + 75)) ** 0.5
    assert 0.97 * bound < model.kernel.abs().max() < bound
    assert 0.015 < model.positions.std() < 0.025
    assert 0.01 < model.class_token.std() < 0.03
    assert not model.bias.any()
    images = draw(16, 2, 3, 30, 20, dtype=torch.float32)
    assert not model(images).any()
    assert len(model.encoder.layers) == 3
    torch.manual_seed(5)
    again = VisionTransformer(sizes, heads=4)
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_model_can_be_saved_and_loaded():
    one, other = (
        shaken(VisionTransformer(SIZES, heads=3), seed) for seed in (0, 1)
    )
    images = draw(17, 2, 3, 6, 10)
    assert (one(images) - other(images)).abs().max() > 1e-3
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    close(one(images), other(images), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_kept(dtype):
    torch.manual_seed(0)
    model = VisionTransformer(SIZES, heads=3)
    torch.nn.init.normal_(model.head.weight)
    model = model.to(dtype).eval()
    images = draw(18, 2, 3, 6, 10, dtype=dtype)
    got = model(images)
    assert got.dtype == dtype
    exact = model.double()(images.double())
    # Some dozens of roundings of numbers of size one.
    assert (got - exact).abs().max() < 40 * torch.finfo(dtype).eps
    table = interpolate_positions(
        draw(19, 3, 5, 4, dtype=dtype), rows=2, columns=7
    )
    assert table.dtype == dtype


def divided_digits():
    """Return images, and the indices of those seen and not seen."""
    torch.manual_seed(0)
    data = digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.labels)
    order = torch.randperm(len(labels))
    return images, labels, order[:1344], order[1344:]


def train_transformer(images, labels):
    sizes = VisionSizes(8, 8, 1, 4, dim=32, hidden=64, layers=2, classes=10)
    model = VisionTransformer(sizes, heads=4)
    rounds, batch = 10, 64
    optimiser = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.01, total_steps=rounds * len(labels) // batch
    )
    for _ in range(rounds):
        for some in torch.randperm(len(labels)).split(batch):
            loss = F.cross_entropy(model(images[some]), labels[some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model


def fit_logistic_regression(images, labels):
    """Return multinomial logistic regression of the pixels, trained fully."""
    linear = torch.nn.Linear(images[0].numel(), 10)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=100, line_search_fn="strong_wolfe"
    )

    def loss():
        optimiser.zero_grad()
        # Of 0, 1e-4 and 1e-3 the decay that does best on unseen digits.
        value = F.cross_entropy(model(images), labels)
        value = value + 1e-4 * linear.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return model


@torch.no_grad()
def accuracy(model, images, labels):
    return (model(images).argmax(dim=-1) == labels).double().mean().item()


def test_a_small_model_reads_unseen_digits_as_well_as_logistic_regression():
    images, labels, seen, unseen = divided_digits()
    model = train_transformer(images[seen], labels[seen])
    linear = fit_logistic_regression(images[seen], labels[seen])
    mine = accuracy(model, images[unseen], labels[unseen])
    theirs = accuracy(linear, images[unseen], labels[unseen])
    # 453 digits tell two models of this quality apart to two points.
    assert mine > max(0.93, theirs - 0.02), (
        f"of unseen digits right: Vision Transformer {mine:.1%}, "
        f"multinomial logistic regression {theirs:.1%}"
    )
    assert theirs > 0.93, f"logistic regression is badly fitted: {theirs:.1%}"
    blind = accuracy(model, torch.zeros(453, 1, 8, 8), labels[unseen])
    assert blind < 0.2, f"without pixels the model is right in {blind:.1%}"


def test_results_are_no_views_of_what_they_are_made_of():
    images, patches = torch.ones(1, 2, 3), torch.ones(6, 1)
    patchify(images, patch=1)[...] = 0.0
    unpatchify(patches, patch=1, height=2, width=3)[...] = 0.0
    table = torch.ones(2, 3, 4)
    interpolate_positions(table, rows=2, columns=3)[...] = 0.0
    assert all(bool(each.all()) for each in (images, patches, table))


SMALL = VisionSizes(4, 6, 1, 2, dim=6, hidden=5, layers=1, classes=7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: patchify(torch.ones(1, 5, 6), patch=2),
            ValueError,
            "height and width must be multiples of patch: "
            "got height=5, width=6, patch=2",
        ),
        (
            lambda: patchify(np.ones((1, 4, 6)), patch=2),
            TypeError,
            "images must be a floating-point tensor: got float64",
        ),
        (
            lambda: patchify(torch.ones(5, 6), patch=2),
            ValueError,
            r"images must have axes \(\.\.\., channels, height, width\)",
        ),
        (
            lambda: unpatchify(torch.ones(6, 5), patch=2, height=4, width=6),
            ValueError,
            r"patches must hold whole channels of patch \* patch numbers",
        ),
        (
            lambda: unpatchify(torch.ones(5, 4), patch=2, height=4, width=6),
            ValueError,
            "patches and squares must agree in number",
        ),
        (
            lambda: patch_embedding(
                torch.ones(1, 4, 6), torch.ones(5, 2, 2, 2)
            ),
            ValueError,
            "images and kernel must agree in channels: got images=1, kernel=2",
        ),
        (
            lambda: patch_embedding(
                torch.ones(1, 4, 6), torch.ones(5, 1, 2, 3)
            ),
            ValueError,
            r"kernel must have shape \(out_width, channels, patch, patch\)",
        ),
        (
            lambda: sinusoidal_2d(3, 5, dim=6),
            ValueError,
            "dim must be a multiple of four, two pairs an axis: got 6",
        ),
        (
            lambda: interpolate_positions(
                torch.ones(3, 0, 2), rows=1, columns=1
            ),
            ValueError,
            r"table must have a row and a column: got shape \(3, 0, 2\)",
        ),
        (
            lambda: interpolate_positions(torch.ones(3, 2), rows=1, columns=1),
            ValueError,
            r"table must have shape \(rows, columns, dim\): got \(3, 2\)",
        ),
        (
            lambda: patch_embedding(
                torch.ones(1, 4, 6).double(), torch.ones(5, 1, 2, 2)
            ),
            TypeError,
            "images and kernel must agree in dtype and device: "
            "got torch.float64 on cpu, torch.float32 on cpu",
        ),
        (
            lambda: to_reference(torch.nn.Linear(2, 3)),
            TypeError,
            "model must be a VisionTransformer: got Linear",
        ),
        (
            lambda: VisionTransformer(SMALL, heads=4),
            ValueError,
            "width must split evenly into heads: got width=6, heads=4",
        ),
        (
            lambda: VisionTransformer(SMALL, heads=2)(torch.ones(1, 6, 6)),
            ValueError,
            "patches and positions must agree in rows: "
            "got patches=3, positions=2",
        ),
        (
            lambda: VisionTransformer(SMALL, heads=2)(torch.ones(1, 4, 4)),
            ValueError,
            "patches and positions must agree in columns: "
            "got patches=2, positions=3",
        ),
        (
            lambda: MeanVisionTransformer(
                VisionSizes(0, 6, 1, 2, dim=6, hidden=5, layers=1, classes=7),
                heads=2,
            )(torch.ones(1, 0, 6)),
            ValueError,
            "images must have at least one patch: got none",
        ),
        (
            lambda: VisionTransformer(SMALL, heads=2).resized(
                height=5, width=6
            ),
            ValueError,
            "height and width must be multiples of patch",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
