"""The torch sparsemax and entmax against the reference and by gradients."""

import numpy as np
import pytest
import torch

from attncourse.fast import dense
from attncourse.fast import sparsemax as fast
from attncourse.fast.masks import causal_mask, padding_mask
from attncourse.fast.sparsemax_parts import (
    masked_scores,
    require_boolean,
    require_fit,
    require_real,
    weights_of,
    widened,
)
from attncourse.reference import sparsemax as reference

ALPHAS = [1.0, 1.0 + 1e-9, 1.3, 1.5, 2.0, 3.0]


def draw(*shape, seed=0, scale=1.0, **options):
    values = scale * np.random.default_rng(seed).normal(size=shape)
    return torch.tensor(values, **options)


def some_seen(*shape, seed=1):
    """Return a mask whose first row allows nothing, its second all."""
    mask = draw(*shape, seed=seed) > 0
    mask[..., 0, :] = False
    mask[..., 1, :] = True
    return mask


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_weights_agree_with_the_reference(alpha, axis):
    scores = draw(3, 5, 7)
    scores[1] *= 1e4
    scores[2, 3, 1] = -torch.inf
    answer = fast.entmax(scores, alpha=alpha, axis=axis)
    expected = reference.entmax(scores, alpha=alpha, axis=axis)
    np.testing.assert_allclose(answer, expected, rtol=1e-9, atol=1e-14)


def test_named_functions_are_their_alphas():
    scores = draw(3, 5, 7)
    for axis in (1, -1):
        np.testing.assert_allclose(
            fast.sparsemax(scores, axis=axis),
            reference.sparsemax(scores, axis=axis),
            atol=1e-15,
        )
        np.testing.assert_allclose(
            fast.entmax_15(scores, axis=axis),
            reference.entmax_15(scores, axis=axis),
            atol=1e-15,
        )


def test_alpha_one_is_torchs_softmax():
    scores = draw(3, 5, dtype=torch.float32)
    torch.testing.assert_close(
        fast.entmax(scores, alpha=1), torch.softmax(scores, dim=-1)
    )


@pytest.mark.parametrize("alpha", ALPHAS)
def test_rows_without_keys_are_zeros_with_zero_gradients(alpha):
    scores = torch.full((2, 3), -torch.inf)
    scores[1] = torch.tensor([0.0, -torch.inf, 0.0])
    scores.requires_grad_()
    weights = fast.entmax(scores, alpha=alpha)
    (weights * torch.arange(3.0)).sum().backward()
    torch.testing.assert_close(
        weights.detach(), torch.tensor([[0.0] * 3, [0.5, 0.0, 0.5]])
    )
    assert not scores.grad[0].any()
    assert scores.grad[1, 1] == 0
    assert scores.grad[1, 2] > 0


@pytest.mark.parametrize("alpha", ALPHAS)
def test_nan_and_infinity_spoil_their_own_row_only(alpha):
    rows = [[torch.nan, 0.0], [torch.inf, 0.0], [torch.inf] * 2, [0.0, 0.0]]
    scores = torch.tensor(rows, requires_grad=True)
    weights = fast.entmax(scores, alpha=alpha)
    assert torch.isnan(weights[:3]).all()
    torch.testing.assert_close(weights[3], torch.tensor([0.5, 0.5]))
    weights.sum().backward()
    assert torch.isfinite(scores.grad[3]).all()
    assert torch.isnan(scores.grad[:3]).all()
    upstream = torch.tensor([2.0, 5.0])
    got = fast.entmax_backward(weights.detach(), upstream, alpha=alpha)
    expected = reference.entmax_backward(
        weights.detach(), upstream, alpha=alpha
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [1.3, 1.5, 2.0])
def test_single_precision_is_as_good_with_many_keys(alpha):
    scores = draw(3, 4099, scale=3.0)
    exact = reference.entmax(scores, alpha=alpha)
    got = fast.entmax(scores.float(), alpha=alpha)
    assert got.dtype is torch.float32
    # A score of size 10 is rounded by 1e-6 before anything is computed.
    np.testing.assert_allclose(got, exact, atol=2e-6)
    np.testing.assert_allclose(got.sum(dim=-1), 1.0, atol=1e-5)
    # One key has nearly all the weight, the others share what is left.
    lone = torch.full((100_003,), -1.98).double()
    lone[0] = 0.0
    np.testing.assert_allclose(
        fast.entmax_15(lone.float()), fast.entmax_15(lone), rtol=1e-2
    )
    ties = fast.entmax(torch.zeros(10_007), alpha=alpha)
    np.testing.assert_allclose(ties, 1 / 10_007, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_half_types_are_computed_in_single_precision(dtype, alpha):
    scores = draw(3, 1021, dtype=dtype).requires_grad_()
    upstream = draw(3, 1021, seed=1, dtype=dtype)
    weights = fast.entmax(scores, alpha=alpha)
    wide = scores.detach().float().requires_grad_()
    expected = fast.entmax(wide, alpha=alpha)
    assert weights.dtype is dtype
    assert torch.equal(weights, expected.to(dtype))
    weights.backward(upstream)
    expected.backward(upstream.float())
    assert scores.grad.dtype is dtype
    assert torch.equal(scores.grad, wide.grad.to(dtype))


# Gradients


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradients_pass_the_numerical_checks(alpha):
    scores = draw(3, 5, requires_grad=True)
    mask = some_seen(3, 5)
    for function in (
        lambda s: fast.entmax(s, alpha=alpha, axis=0),
        lambda s: fast.masked_entmax(s, mask, alpha=alpha),
    ):
        assert torch.autograd.gradcheck(function, (scores,))
        assert torch.autograd.gradgradcheck(
            function, (scores,), fast_mode=True
        )


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0, 3.0])
def test_backward_agrees_with_the_reference_and_with_autograd(alpha):
    scores, upstream = draw(2, 3, 7, requires_grad=True), draw(2, 3, 7, seed=1)
    weights = fast.entmax(scores, alpha=alpha)
    weights.backward(upstream)
    weights = weights.detach()
    got = fast.entmax_backward(weights, upstream, alpha=alpha)
    torch.testing.assert_close(got, scores.grad)
    expected = reference.entmax_backward(weights, upstream, alpha=alpha)
    np.testing.assert_allclose(got, expected, atol=1e-14)
    if alpha == 2:
        assert torch.equal(fast.sparsemax_backward(weights, upstream), got)


def test_only_keys_with_weight_take_part_in_the_gradient():
    weights = torch.tensor([0.25, 0.75, 0.0])
    upstream = torch.tensor([4.0, 2.0, torch.nan])
    got = fast.sparsemax_backward(weights, upstream)
    assert got.tolist() == [1.0, -1.0, 0.0]


@pytest.mark.parametrize("alpha", [1.0, 1.0 + 1e-12, 1.5, 2.0, 3.0])
def test_tsallis_entropy_agrees_and_has_its_gradient(alpha):
    weights = fast.entmax_15(draw(3, 7))
    assert (weights == 0).any()
    np.testing.assert_allclose(
        fast.tsallis_entropy(weights, alpha=alpha),
        reference.tsallis_entropy(weights, alpha=alpha),
        atol=1e-12,
    )
    positive = fast.entmax(draw(3, 7), alpha=1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a: fast.tsallis_entropy(a, alpha=alpha), (positive,)
    )
    weights.requires_grad_()
    fast.tsallis_entropy(weights, alpha=alpha).sum().backward()
    assert torch.isfinite(weights.grad).all()


def test_a_few_steps_of_training_follow_the_closed_form_gradient():
    # The loss of a sparsemax whose target is a point: it is reached.
    target = torch.tensor([0.6, 0.4, 0.0, 0.0])
    scores = torch.zeros(4, requires_grad=True)
    for _ in range(60):
        loss = (fast.sparsemax(scores) - target).square().sum()
        (gradient,) = torch.autograd.grad(loss, scores)
        scores.data -= 0.3 * gradient
    torch.testing.assert_close(
        fast.sparsemax(scores.detach()), target, atol=1e-4, rtol=0
    )


# Masks and attention


def test_masked_weights_agree_with_the_reference():
    scores, mask = draw(2, 3, 7), some_seen(3, 7)
    np.testing.assert_allclose(
        fast.masked_sparsemax(scores, mask),
        reference.masked_sparsemax(scores, mask),
        atol=1e-14,
    )
    np.testing.assert_allclose(
        fast.masked_entmax(scores, mask, alpha=1.3),
        reference.masked_entmax(scores, mask, alpha=1.3),
        atol=1e-12,
    )


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("alpha", [1.0, 1.3, 2.0])
def test_a_forbidden_score_touches_neither_weight_nor_gradient(alpha, poison):
    scores, mask = draw(3, 5), some_seen(3, 5)
    gradients = []
    for forbidden in (0.0, poison):
        leaf = torch.where(mask, scores, forbidden).requires_grad_()
        weights = fast.masked_entmax(leaf, mask, alpha=alpha)
        (weights * draw(3, 5, seed=2)).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)
    assert torch.all(gradients[0][~mask] == 0)


def triple(**options):
    return (
        draw(2, 5, 7, scale=2.0, **options),
        draw(2, 11, 7, seed=1, **options),
        draw(2, 11, 3, seed=2, **options),
    )


@pytest.mark.parametrize(
    "mask",
    [None, causal_mask(5, 11), padding_mask(torch.tensor([0, 4]), keys=11)],
)
@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_attention_agrees_with_the_reference(alpha, mask):
    q, k, v = triple()
    got = fast.entmax_attention(q, k, v, alpha=alpha, mask=mask)
    expected = reference.entmax_attention(q, k, v, alpha=alpha, mask=mask)
    np.testing.assert_allclose(got, expected, atol=1e-11)
    if alpha == 2:
        same = fast.sparsemax_attention(q, k, v, mask=mask)
        assert torch.equal(same, got)
    if alpha == 1:
        torch.testing.assert_close(got, dense.attention(q, k, v, mask=mask))


def test_attention_broadcasts_and_answers_empty_axes():
    q, k, v = triple()
    got = fast.sparsemax_attention(q[0], k[:, None], v)
    assert got.shape == (2, 2, 5, 3)
    torch.testing.assert_close(
        got[1, 0], fast.sparsemax_attention(q[0], k[1], v[0])
    )
    nothing = fast.sparsemax_attention(q, k[:, :0], v[:, :0])
    assert torch.equal(nothing, torch.zeros(2, 5, 3, dtype=torch.float64))
    assert fast.sparsemax_attention(q[:, :0], k, v).shape == (2, 0, 3)
    assert fast.sparsemax(torch.zeros(3, 0)).shape == (3, 0)
    turned = [x.mT.contiguous().mT for x in (q, k, v)]
    torch.testing.assert_close(
        fast.sparsemax_attention(*turned), fast.sparsemax_attention(q, k, v)
    )


def test_attention_passes_the_numerical_check():
    arguments = tuple(
        x.requires_grad_() for x in (draw(3, 2), draw(5, 2), draw(5, 3))
    )
    mask = causal_mask(3, 5)
    for alpha in (1.3, 1.5, 2.0):
        assert torch.autograd.gradcheck(
            lambda *a, alpha=alpha: fast.entmax_attention(
                *a, alpha=alpha, mask=mask
            ),
            arguments,
        )


def test_what_is_hidden_reaches_neither_output_nor_gradient():
    mask = padding_mask(torch.tensor([4, 0]), keys=11)
    results = []
    for poison in (0.0, torch.nan):
        q, k, v = triple()
        k[0, 4:] = v[0, 4:] = k[1] = v[1] = poison
        arguments = [x.requires_grad_() for x in (q, k, v)]
        output = fast.sparsemax_attention(*arguments, mask=mask)
        output.square().sum().backward()
        results.append([output, *(x.grad for x in arguments)])
    for clean, poisoned in zip(*results, strict=True):
        assert torch.equal(poisoned, clean)
        assert torch.isfinite(poisoned).all()


def test_half_types_meet_in_single_precision():
    q, k, v = (x.half() for x in (draw(2, 3), draw(5, 3), draw(5, 7)))
    wide = [x.float() for x in (q, k, v)]
    got = fast.entmax_attention(q, k, v, alpha=1.3)
    expected = fast.entmax_attention(*wide, alpha=1.3)
    assert torch.equal(got, expected.half())
    # 300 * 300 is beyond the largest half, the scaled score is not NaN.
    huge = torch.full((2, 3), 300.0).half()
    got = fast.sparsemax_attention(huge, huge, torch.eye(2).half())
    assert got.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    weights = draw(3, 1021).softmax(dim=-1).half()
    upstream = draw(3, 1021, seed=1).half()
    for function, arguments in [
        (fast.entmax_backward, (weights, upstream)),
        (fast.tsallis_entropy, (weights,)),
    ]:
        got = function(*arguments, alpha=1.3)
        expected = function(*(x.float() for x in arguments), alpha=1.3)
        assert got.dtype is torch.float16
        assert torch.equal(got, expected.half())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_keeps_the_type_and_changes_no_argument(dtype):
    arguments = triple(dtype=dtype)
    kept = [x.clone() for x in arguments]
    got = fast.sparsemax_attention(*arguments, mask=causal_mask(5, 11))
    assert got.dtype is dtype
    assert all(map(torch.equal, arguments, kept))
    close = 1e-5 if dtype is torch.float32 else 0.1
    expected = reference.sparsemax_attention(
        *(x.double() for x in arguments), mask=causal_mask(5, 11)
    )
    np.testing.assert_allclose(got.double(), expected, atol=close)


def test_attention_is_put_together_from_its_parts():
    q, k, v = triple()
    mask = causal_mask(5, 11)
    scores = masked_scores(q, k, mask)
    expected = (q @ k.mT / 7**0.5).masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(scores, expected)
    assert torch.equal(masked_scores(q, k, None)[:, mask], scores[:, mask])
    weights = weights_of(scores, 1.5)
    torch.testing.assert_close(weights, fast.entmax_15(expected))
    read = fast.entmax_attention(q, k, v, alpha=1.5, mask=mask)
    torch.testing.assert_close(read, weights @ v)
    assert masked_scores(q.half(), k.half(), mask).dtype is torch.float32
    assert widened(q) is q


def test_the_checks_let_what_is_right_pass():
    assert require_real("q", torch.zeros(2, 3).half(), "queries dim") is None
    with pytest.raises(TypeError, match="q must be a floating-point tensor"):
        require_real("q", [1.0], "dim")
    for shape in [(2, 5), (1, 5), (2, 1), (7, 1, 1)]:
        assert require_fit(torch.ones(shape) > 0, (2, 5)) is None
    for shape in [(5,), (5, 5), (2, 2)]:
        with pytest.raises(ValueError, match="mask must fit the scores"):
            require_fit(torch.ones(shape) > 0, (2, 5))
    with pytest.raises(ValueError, match=r"got scores \(3,\), mask \(7,\)"):
        require_fit(torch.ones(7, 2, 5) > 0, (3, 2, 5))
    assert require_boolean(torch.ones(1, 5) > 0) is None
    with pytest.raises(TypeError, match=r"must be boolean.*: got list"):
        require_boolean([True])


Q, K, V = torch.ones(2, 3), torch.ones(5, 3), torch.ones(5, 7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fast.sparsemax(torch.zeros(3, dtype=torch.int64)),
            TypeError,
            "scores must be a floating-point tensor: got torch.int64",
        ),
        (
            lambda: fast.entmax_15(np.zeros(3)),
            TypeError,
            "scores must be a floating-point tensor: got float64",
        ),
        (
            lambda: fast.sparsemax(torch.tensor(1.0)),
            ValueError,
            r"scores must have axes \(\.\.\., keys\): got shape \(\)",
        ),
        (
            lambda: fast.entmax(Q, alpha=0.5),
            ValueError,
            "alpha must be at least 1 and finite: got 0.5",
        ),
        (
            lambda: fast.masked_sparsemax(Q, Q),
            TypeError,
            "mask must be boolean, True where a query may look: got torch.fl",
        ),
        (
            lambda: fast.masked_sparsemax(Q, K > 0),
            ValueError,
            r"got scores \(2, 3\), mask \(5, 3\)",
        ),
        (
            lambda: fast.sparsemax_backward(torch.ones(3), torch.ones(5)),
            ValueError,
            "must agree in keys: got weights=3, upstream=5",
        ),
        (
            lambda: fast.sparsemax_backward(Q, K),
            ValueError,
            r"got weights \(2,\), upstream \(5,\)",
        ),
        (
            lambda: fast.tsallis_entropy(-Q, alpha=2),
            ValueError,
            r"weights must not be negative: got -1\.0",
        ),
        (
            lambda: fast.sparsemax_attention(Q, K[:, :2], V),
            ValueError,
            "q and k must agree in dim: got q=3, k=2",
        ),
        (
            lambda: fast.sparsemax_attention(Q[:, :0], K[:, :0], V),
            ValueError,
            "dim must be at least 1: got 0",
        ),
        (
            lambda: fast.sparsemax_attention(Q, K, V[:4]),
            ValueError,
            "k and v must agree in keys: got k=5, v=4",
        ),
        (
            lambda: fast.sparsemax_attention(Q, K, V, mask=torch.ones(2, 5)),
            TypeError,
            "mask must be boolean",
        ),
        (
            lambda: fast.sparsemax_attention(
                Q, K, V, mask=torch.ones(3, 5) > 0
            ),
            ValueError,
            r"= \(\.\.\., 2, 5\): got \(3, 5\)",
        ),
        (
            lambda: fast.sparsemax_attention(
                Q.expand(3, 2, 3), K, V, mask=torch.ones(7, 2, 5) > 0
            ),
            ValueError,
            r"must broadcast: got scores \(3,\), mask \(7,\)",
        ),
        (
            lambda: fast.sparsemax_attention(Q, K, [1.0]),
            TypeError,
            "v must be a floating-point tensor: got list",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
