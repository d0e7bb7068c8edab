"""Low-rank updates and adapters against full matrices and differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import lora
from attncourse.reference.feedforward import gelu
from attncourse.reference.lora import (
    AdapterWeights,
    LowRank,
    LowRankGradients,
    Smoothed,
    Triplets,
    adapter,
    allocate,
    importance,
    lora_backward,
    lora_project,
    low_rank_update,
    merge_lora,
    new_adapter,
    new_lora,
    new_triplets,
    orthogonality_penalty,
    prune_triplets,
    rank_budget,
    sensitivity,
    smooth,
    unmerge_lora,
)

quick = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
WIDTH, OUT, RANK = 5, 7, 3


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def an_update(seed=0, alpha=2.0):
    return LowRank(draw(seed, WIDTH, RANK), draw(seed + 1, RANK, OUT), alpha)


def some_triplets(seed=0):
    return Triplets(
        draw(seed, WIDTH, RANK),
        draw(seed + 1, RANK),
        draw(seed + 2, RANK, OUT),
    )


# --- LoRA ------------------------------------------------------------------


@given(seeds, st.sampled_from([0.5, 1.0, 8.0]))
@quick
def test_an_update_is_a_sum_of_outer_products(seed, alpha):
    update = an_update(seed, alpha)
    expected = np.zeros((WIDTH, OUT))
    for n in range(RANK):
        expected += np.outer(update.down[:, n], update.up[n]) * alpha / RANK
    got = low_rank_update(update)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert np.linalg.matrix_rank(got) == RANK


@given(seeds)
@quick
def test_a_merged_matrix_does_what_the_update_beside_it_does(seed):
    x, w, b = draw(seed, 2, 4, WIDTH), draw(seed + 5, WIDTH, OUT), draw(9, OUT)
    update = an_update(seed)
    merged = merge_lora(w, update)
    for bias in (None, b):
        shift = 0.0 if bias is None else b
        got = lora_project(x, w, update, bias)
        np.testing.assert_allclose(got, x @ merged + shift, atol=1e-12)
    np.testing.assert_allclose(merged - w, low_rank_update(update), atol=1e-12)
    np.testing.assert_allclose(unmerge_lora(merged, update), w, atol=1e-12)


def test_a_new_update_changes_nothing_and_is_drawn_as_said():
    update = new_lora(width=400, out_width=50, rank=20, alpha=5.0, seed=3)
    assert update.alpha == 5.0
    assert update.down.shape == (400, 20)
    assert update.up.tolist() == np.zeros((20, 50)).tolist()
    assert update.down.std() == pytest.approx(1 / 20, rel=0.05)
    assert abs(update.down.mean()) < 0.003
    x, w = draw(1, 2, 400), draw(2, 400, 50)
    np.testing.assert_array_equal(lora_project(x, w, update), x @ w)
    again = new_lora(width=400, out_width=50, rank=20, alpha=5.0, seed=3)
    np.testing.assert_array_equal(again.down, update.down)
    other = new_lora(width=400, out_width=50, rank=20, alpha=5.0, seed=4)
    assert (other.down != update.down).any()


def test_what_is_trained_is_counted():
    for width, out_width, rank in [(5, 7, 3), (11, 2, 2), (3, 3, 3)]:
        update = new_lora(
            width=width, out_width=out_width, rank=rank, alpha=1, seed=0
        )
        assert update.down.size + update.up.size == lora.lora_count(
            width=width, out_width=out_width, rank=rank
        )


@given(seeds)
@quick
def test_gradients_are_those_of_autograd(seed):
    x, w, update = (
        draw(seed, 2, 4, WIDTH),
        draw(7, WIDTH, OUT),
        an_update(seed),
    )
    upstream = draw(seed + 3, 2, 4, OUT)
    leaves = [
        torch.tensor(each, requires_grad=True)
        for each in (x, update.down, update.up)
    ]
    scale = update.alpha / RANK
    output = leaves[0] @ torch.tensor(w)
    output = output + scale * leaves[0] @ leaves[1] @ leaves[2]
    output.backward(torch.tensor(upstream))
    got = lora_backward(x, w, update, upstream)
    assert isinstance(got, LowRankGradients)
    for one, leaf in zip(got, leaves, strict=True):
        np.testing.assert_allclose(one, leaf.grad, atol=1e-11)


def test_the_first_step_moves_one_factor_only():
    start = new_lora(width=WIDTH, out_width=OUT, rank=RANK, alpha=1, seed=0)
    got = lora_backward(
        draw(1, 4, WIDTH), draw(2, WIDTH, OUT), start, draw(3, 4, OUT)
    )
    assert not got.down.any()
    assert got.up.all()


def test_descent_on_the_update_reaches_a_target_of_its_rank():
    x, w = draw(1, 40, WIDTH), draw(2, WIDTH, OUT)
    y = x @ (w + draw(3, WIDTH, 2) @ draw(4, 2, OUT))
    update = new_lora(width=WIDTH, out_width=OUT, rank=2, alpha=2, seed=0)
    for _ in range(1500):
        error = (lora_project(x, w, update) - y) / len(x)
        got = lora_backward(x, w, update, error)
        update = update._replace(
            down=update.down - 0.1 * got.down, up=update.up - 0.1 * got.up
        )
    np.testing.assert_allclose(lora_project(x, w, update), y, atol=1e-6)


# --- adapters --------------------------------------------------------------


def test_an_adapter_is_its_formula_written_in_loops():
    x, down, up = draw(1, 2, 3, 5), draw(2, 5, 2), draw(3, 2, 5)
    b_down, b_up = draw(4, 2), draw(5, 5)
    got = adapter(x, AdapterWeights(down, b_down, up, b_up))
    for at in np.ndindex(2, 3):
        hidden = [
            gelu(sum(x[at][i] * down[i, h] for i in range(5)) + b_down[h])
            for h in range(2)
        ]
        for j in range(5):
            change = sum(hidden[h] * up[h, j] for h in range(2)) + b_up[j]
            assert got[*at, j] == pytest.approx(x[at][j] + change)
    negative = AdapterWeights(down, None, up, None, activation=np.negative)
    np.testing.assert_allclose(adapter(x, negative), x - x @ down @ up)


def test_a_new_adapter_is_close_to_the_identity():
    weights = new_adapter(width=50, hidden=40, seed=0)
    assert weights.w_down.shape == (50, 40)
    assert weights.w_up.shape == (40, 50)
    assert not weights.b_down.any()
    assert not weights.b_up.any()
    for matrix in (weights.w_down, weights.w_up):
        assert np.abs(matrix).max() <= 0.02
        assert np.abs(matrix).max() > 0.0195
        # The deviation of a normal cut at two of its own is 0.8796.
        assert matrix.std() == pytest.approx(0.008796, rel=0.05)
        assert abs(matrix.mean()) < 0.0006
    x = draw(1, 3, 50)
    assert 0 < np.abs(adapter(x, weights) - x).max() < 0.02
    sizes = [weights.w_down, weights.b_down, weights.w_up, weights.b_up]
    assert sum(each.size for each in sizes) == lora.adapter_count(
        width=50, hidden=40
    )
    again = new_adapter(width=50, hidden=40, seed=0)
    np.testing.assert_array_equal(again.w_up, weights.w_up)


# --- AdaLoRA ---------------------------------------------------------------


@given(seeds)
@quick
def test_triplets_add_up_one_by_one(seed):
    x, w, update = (
        draw(seed, 2, 4, WIDTH),
        draw(1, WIDTH, OUT),
        some_triplets(seed),
    )
    expected = w.copy()
    for n in range(RANK):
        one = np.outer(update.left[:, n], update.right[n])
        expected += update.values[n] * one
    got = lora.adaptive_project(x, w, update)
    np.testing.assert_allclose(got, x @ expected, atol=1e-11)
    bias = draw(3, OUT)
    got = lora.adaptive_project(x, w, update, bias)
    np.testing.assert_allclose(got, x @ expected + bias, atol=1e-11)


def test_a_decomposition_has_no_penalty_and_is_the_matrix():
    matrix = draw(1, WIDTH, OUT)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    exact = Triplets(left, values, right)
    assert orthogonality_penalty(exact) == pytest.approx(0.0, abs=1e-12)
    got = lora.adaptive_project(np.eye(WIDTH), np.zeros((WIDTH, OUT)), exact)
    np.testing.assert_allclose(got, matrix, atol=1e-12)


def test_the_penalty_is_a_sum_over_pairs_of_directions():
    update, expected = some_triplets(3), 0.0
    for i in range(RANK):
        for j in range(RANK):
            unit = float(i == j)
            expected += (update.left[:, i] @ update.left[:, j] - unit) ** 2
            expected += (update.right[i] @ update.right[j] - unit) ** 2
    assert orthogonality_penalty(update) == pytest.approx(expected)


def test_new_triplets_change_nothing_and_are_near_unit_length():
    update = new_triplets(width=900, out_width=400, rank=3, seed=1)
    assert update.values.tolist() == [0.0] * 3
    assert update.left.shape == (900, 3)
    assert update.right.shape == (3, 400)
    np.testing.assert_allclose(
        np.linalg.norm(update.left, axis=0), 1.0, atol=0.12
    )
    np.testing.assert_allclose(
        np.linalg.norm(update.right, axis=1), 1.0, atol=0.12
    )
    again = new_triplets(width=900, out_width=400, rank=3, seed=1)
    np.testing.assert_array_equal(again.right, update.right)


def test_sensitivity_is_the_change_of_a_loss_that_is_linear():
    w, gradient = draw(1, 4, 3), draw(2, 4, 3)
    whole = np.sum(w * gradient)
    got = sensitivity(w, gradient)
    for at in np.ndindex(4, 3):
        without = w.copy()
        without[at] = 0.0
        change = abs(whole - np.sum(without * gradient))
        assert got[at] == pytest.approx(change)


def test_running_means_are_their_recursions():
    series = np.abs(draw(1, 6, 4))
    mean, varies, state = np.zeros(4), np.zeros(4), None
    for now in series:
        mean = 0.7 * mean + 0.3 * now
        varies = 0.6 * varies + 0.4 * np.abs(now - mean)
        state = smooth(state, now, keep=0.7, keep_uncertainty=0.6)
        np.testing.assert_allclose(state.sensitivity, mean)
        np.testing.assert_allclose(state.uncertainty, varies)
    by_default = smooth(Smoothed([1.0], [2.0]), [3.0])
    np.testing.assert_allclose(by_default.sensitivity, [0.85 + 0.45])
    np.testing.assert_allclose(
        by_default.uncertainty, [1.7 + 0.15 * (3.0 - 1.3)]
    )
    forgetful = smooth(state, [1, 2, 3, 4], keep=0, keep_uncertainty=0)
    assert forgetful.sensitivity.tolist() == [1, 2, 3, 4]
    assert forgetful.uncertainty.tolist() == [0, 0, 0, 0]


def test_importance_is_the_score_of_the_value_and_the_means_of_the_others():
    scores = some_triplets(5)
    for n, got in enumerate(importance(scores)):
        left = sum(scores.left[:, n]) / WIDTH
        right = sum(scores.right[n]) / OUT
        assert got == pytest.approx(scores.values[n] + left + right)


def test_the_budget_falls_as_a_cube_between_two_plateaus():
    options = {"first": 100, "last": 36, "steps": 14, "warm": 3, "final": 7}
    got = [rank_budget(t, **options) for t in range(17)]
    fall = [36 + round(64 * (1 - n / 4) ** 3) for n in range(5)]
    assert fall == [100, 63, 44, 37, 36]
    assert got == [100] * 3 + fall + [36] * 9
    halves = rank_budget(1, first=1, last=0, steps=2, warm=0, final=0)
    assert halves == 0  # one eighth
    one = {"last": 0, "steps": 2, "warm": 0, "final": 0}
    assert rank_budget(1, first=4, **one) == 1  # one half goes up
    assert rank_budget(1, first=11, **one) == 1
    assert rank_budget(1, first=12, **one) == 2
    at_once = {"first": 5, "last": 5, "steps": 3, "warm": 1, "final": 1}
    assert [rank_budget(t, **at_once) for t in range(4)] == [5] * 4


@given(
    st.lists(
        st.lists(st.integers(0, 5).map(float), min_size=0, max_size=5),
        max_size=4,
    ),
    st.integers(0, 25),
)
@quick
def test_the_most_important_triplets_of_all_matrices_stay(scores, budget):
    budget %= 1 + sum(map(len, scores))
    keep = allocate([np.array(each) for each in scores], budget=budget)
    assert [len(each) for each in keep] == [len(each) for each in scores]
    chosen = [
        (k, n)
        for k, mask in enumerate(keep)
        for n, stays in enumerate(mask)
        if stays
    ]
    ranked = sorted(
        (-value, k, n)
        for k, row in enumerate(scores)
        for n, value in enumerate(row)
    )
    assert sorted(chosen) == sorted((k, n) for _, k, n in ranked[:budget])
    for mask in keep:
        assert mask.dtype == bool


def test_more_triplets_than_there_are_is_all_of_them():
    keep = allocate([[1, 5, 3], [4]], budget=2)
    assert [each.tolist() for each in keep] == [[False, True, False], [True]]
    assert allocate([[1, 0]], budget=9)[0].tolist() == [True, True]


def test_a_pruned_triplet_is_silent_and_can_come_back():
    update = some_triplets(7)
    pruned = prune_triplets(update, np.array([True, False, True]))
    np.testing.assert_array_equal(pruned.left, update.left)
    np.testing.assert_array_equal(pruned.right, update.right)
    assert pruned.values.tolist() == [update.values[0], 0, update.values[2]]
    x, w = draw(1, 2, WIDTH), draw(2, WIDTH, OUT)
    two = Triplets(
        *(
            np.delete(a, 1, axis)
            for a, axis in zip(update, (1, 0, 0), strict=True)
        )
    )
    np.testing.assert_allclose(
        lora.adaptive_project(x, w, pruned),
        lora.adaptive_project(x, w, two),
        atol=1e-12,
    )


# --- contract --------------------------------------------------------------


def test_single_precision_lists_and_tensors_come_out_as_float64():
    update = LowRank([[1], [2]], torch.tensor([[3, 4]]), 1)
    x = np.ones((1, 2), np.float32)
    assert lora_project(x, [[1, 0], [0, 1]], update).dtype == np.float64
    for each in (x, w := np.ones((2, 2))):
        each.flags.writeable = False
    assert merge_lora(w, update) is not w
    assert adapter(x, AdapterWeights(w, None, w, None)).dtype == np.float64


def test_no_tokens_are_no_tokens():
    update, w = an_update(), draw(1, WIDTH, OUT)
    assert lora_project(np.zeros((2, 0, WIDTH)), w, update).shape == (
        2,
        0,
        OUT,
    )
    got = lora_backward(np.zeros((0, WIDTH)), w, update, np.zeros((0, OUT)))
    assert not got.down.any()
    assert allocate([], budget=3) == []


W, UP = np.ones((5, 7)), LowRank(np.ones((5, 2)), np.ones((2, 7)), 1.0)
THREE = Triplets(np.ones((5, 2)), np.ones(2), np.ones((2, 7)))
BUDGET = {"first": 9, "last": 2, "steps": 7, "warm": 1, "final": 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lora.lora_count(width=5, out_width=3, rank=4),
            "rank must be at most the smaller width: "
            "got rank=4, width=5, out_width=3",
        ),
        (
            lambda: new_lora(width=5, out_width=3, rank=0, alpha=1, seed=0),
            "rank must be at least 1: got 0",
        ),
        (
            lambda: merge_lora(W, UP._replace(up=np.ones((3, 7)))),
            "down and up must agree in rank: got down=2, up=3",
        ),
        (
            lambda: merge_lora(W[:4], UP),
            "weight and down must agree in width: got weight=4, down=5",
        ),
        (
            lambda: lora_project(np.ones((1, 5)), W[:, :1], UP),
            "weight and up must agree in out_width: got weight=1, up=7",
        ),
        (
            lambda: lora_project(np.ones((1, 4)), W, UP),
            "x and weight must agree in width: got x=4, weight=5",
        ),
        (
            lambda: lora_backward(np.ones((1, 4)), W, UP, np.ones((1, 7))),
            "x and weight must agree in width: got x=4, weight=5",
        ),
        (
            lambda: lora_backward(np.ones((3, 5)), W, UP, np.ones((1, 7))),
            r"upstream must have the output's shape \(3, 7\): got \(1, 7\)",
        ),
        (
            lambda: low_rank_update(
                LowRank(np.ones((5, 0)), np.ones((0, 7)), 1)
            ),
            "rank must be at least 1: got 0",
        ),
        (
            lambda: lora.adapter_count(width=3, hidden=0),
            "hidden must be at least 1: got 0",
        ),
        (
            lambda: adapter(
                np.ones((2, 5)),
                AdapterWeights(np.ones((5, 2)), None, np.ones((2, 1)), None),
            ),
            "x and change must agree in width: got x=5, change=1",
        ),
        (
            lambda: new_adapter(width=0, hidden=2, seed=0),
            "width must be at least 1: got 0",
        ),
        (
            lambda: lora.adaptive_project(np.ones((1, 5)), W[:1], THREE),
            "weight and left must agree in width: got weight=1, left=5",
        ),
        (
            lambda: lora.adaptive_project(np.ones((1, 5)), W[:, :1], THREE),
            "weight and right must agree in out_width: got weight=1, right=7",
        ),
        (
            lambda: importance(THREE._replace(values=np.ones(3))),
            "left and values and right must agree in rank: "
            "got left=2, values=3, right=2",
        ),
        (
            lambda: new_triplets(width=5, out_width=7, rank=0, seed=0),
            "rank must be at least 1: got 0",
        ),
        (
            lambda: sensitivity(np.ones(3), np.ones(1)),
            r"gradient must have the weights' shape \(3,\): got \(1,\)",
        ),
        (
            lambda: smooth(Smoothed(np.ones(3), np.ones(3)), np.ones(2)),
            r"now must have the weights' shape \(3,\): got \(2,\)",
        ),
        (
            lambda: smooth(None, np.ones(2), keep=1),
            "^keep must be at least 0 and below 1: got 1",
        ),
        (
            lambda: smooth(None, np.ones(2), keep_uncertainty=1),
            "keep_uncertainty must be at least 0 and below 1: got 1",
        ),
        (
            lambda: smooth(None, np.ones(2), keep=-0.5),
            "must be at least 0 and below 1: got -0.5",
        ),
        (
            lambda: smooth(None, np.ones(2), keep_uncertainty=-0.5),
            "keep_uncertainty must be at least 0 and below 1: got -0.5",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "final": 6}),
            "budget must fall, between warm and final steps: got first=9, "
            "last=2, steps=7, warm=1, final=6",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "last": 10}),
            "budget must fall, between warm and final steps: got first=9",
        ),
        (
            lambda: rank_budget(-1, **BUDGET),
            "step must be at least 0: got -1",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "first": -1}),
            "first must be at least 0: got -1",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "last": -1}),
            "last must be at least 0: got -1",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "warm": -1}),
            "warm must be at least 0: got -1",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "final": -1}),
            "final must be at least 0: got -1",
        ),
        (
            lambda: allocate([np.ones(2)], budget=-1),
            "budget must be at least 0: got -1",
        ),
        (
            lambda: merge_lora(W[None], UP),
            r"weight must have axes \(width, out_width\): "
            r"got shape \(1, 5, 7\)",
        ),
        (
            lambda: lora_project(np.ones((1, 7)), np.ones((7, 7, 7)), UP),
            r"weight must have axes \(width, out_width\): "
            r"got shape \(7, 7, 7\)",
        ),
        (
            lambda: low_rank_update(UP._replace(down=np.ones((5, 2, 1)))),
            r"down must have axes \(width, rank\): got shape \(5, 2, 1\)",
        ),
        (
            lambda: low_rank_update(UP._replace(up=np.ones((2, 7, 1)))),
            r"up must have axes \(rank, out_width\): got shape \(2, 7, 1\)",
        ),
        (
            lambda: low_rank_update(UP._replace(alpha=np.inf)),
            "alpha must be one finite number: got inf",
        ),
        (
            lambda: unmerge_lora(W, UP._replace(alpha=[1.0, 2.0])),
            r"alpha must be one finite number: got \[1.0, 2.0\]",
        ),
        (
            lambda: new_lora(width=5, out_width=7, rank=2, alpha=[1], seed=0),
            r"alpha must be one finite number: got \[1\]",
        ),
        (
            lambda: lora.adaptive_project(np.ones((1, 5)), W[None], THREE),
            r"weight must have axes \(width, out_width\): got shape",
        ),
        (
            lambda: orthogonality_penalty(
                THREE._replace(values=np.ones((2, 1)))
            ),
            r"values must have axes \(rank\): got shape \(2, 1\)",
        ),
        (
            lambda: orthogonality_penalty(
                THREE._replace(left=np.ones((5, 2, 1)))
            ),
            r"left must have axes \(width, rank\): got shape \(5, 2, 1\)",
        ),
        (
            lambda: orthogonality_penalty(
                THREE._replace(right=np.ones((2, 7, 1)))
            ),
            r"right must have axes \(rank, out_width\): got shape",
        ),
        (
            lambda: prune_triplets(THREE, np.ones((2, 1), bool)),
            r"keep must have axes \(rank\): got shape \(2, 1\)",
        ),
        (
            lambda: smooth(Smoothed(np.ones(2), np.ones(1)), np.ones(2)),
            r"uncertainty must have the weights' shape \(2,\): got \(1,\)",
        ),
        (
            lambda: smooth(None, np.ones(2), keep=np.nan),
            "keep must be one finite number: got nan",
        ),
        (
            lambda: rank_budget(0, **{**BUDGET, "steps": 0}),
            "steps must be at least 1: got 0",
        ),
        (
            lambda: allocate([[1.0, np.nan], [np.nan]], budget=1),
            "importances must be numbers: got 2 NaN",
        ),
        (
            lambda: allocate([np.ones((2, 1))], budget=1),
            r"importances must have axes \(rank\): got shape \(2, 1\)",
        ),
        (
            lambda: prune_triplets(THREE, np.array([True])),
            "keep and values must agree in rank: got keep=1, values=2",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="keep must be boolean"):
        prune_triplets(THREE, [1, 0])
    for call in (
        lambda: new_lora(width=5, out_width=7, rank=2, alpha="1", seed=0),
        lambda: unmerge_lora(W, UP._replace(alpha=None)),
        lambda: low_rank_update(UP._replace(alpha=True)),
    ):
        with pytest.raises(TypeError, match="alpha must hold real numbers"):
            call()
    with pytest.raises(TypeError, match="keep must hold real numbers"):
        smooth(None, np.ones(2), keep="0.5")
    with pytest.raises(TypeError, match="steps must be a whole number"):
        rank_budget(0, **{**BUDGET, "steps": 7.5})
    with pytest.raises(TypeError, match="x must hold real numbers"):
        adapter([["a"]], AdapterWeights(W, None, W, None))
