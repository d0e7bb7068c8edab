"""Answers to the questions of unit 04 that their authors did not list."""

import math

import numpy as np
import torch

from attncourse.reference.dense import attention_backward

# dense.attend


def attend_by_loops(q, k, v):
    leading = q.shape[:-2]
    output = np.zeros((*leading, q.shape[-2], v.shape[-1]))
    weights = np.zeros((*leading, q.shape[-2], k.shape[-2]))
    for place in np.ndindex(*leading, q.shape[-2]):
        *batch, i = place
        batch = tuple(batch)
        scores = [
            float(q[place] @ key) / math.sqrt(q.shape[-1]) for key in k[batch]
        ]
        powers = [math.exp(score - max(scores)) for score in scores]
        for j, power in enumerate(powers):
            weights[(*batch, i, j)] = power / sum(powers)
        output[place] = weights[place] @ v[batch]
    return output, weights


def attend_by_matmul(q, k, v):
    scores = (q / math.sqrt(q.shape[-1])) @ np.swapaxes(k, -1, -2)
    weights = np.exp(scores - np.logaddexp.reduce(scores, -1, keepdims=True))
    return weights @ v, weights


def attend_in_torch(q, k, v):
    q, k, v = (torch.tensor(np.array(each)) for each in (q, k, v))
    weights = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)
    return weights @ v, weights


def attend_in_single_precision(q, k, v):
    q, k, v = (each.astype(np.float32) for each in (q, k, v))
    scores = np.einsum("...id,...jd->...ij", q, k) * np.float32(
        q.shape[-1] ** -0.5
    )
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores @ v, scores


def attend_transposed(q, k, v):
    columns = k @ np.swapaxes(q, -1, -2) / np.sqrt(k.shape[-1])
    columns = np.exp(columns - columns.max(axis=-2, keepdims=True))
    columns = columns / columns.sum(axis=-2, keepdims=True)
    weights = np.swapaxes(columns, -1, -2)
    return [weights @ v, weights]


def attend_only_squares(q, k, v):
    if q.shape[-2] != k.shape[-2]:
        q = q[..., :1, :]
    return attend_by_matmul(q, k, v)


def attend_only_the_first_example(q, k, v):
    if q.ndim == 2:
        return attend_by_matmul(q, k, v)
    output, weights = attend_by_matmul(q, k, v)
    return 0 * output + output[:1], 0 * weights + weights[:1]


def attend_clipped(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(np.clip(scores, -30, 30))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_by_cosines(q, k, v):
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    k = k / np.linalg.norm(k, axis=-1, keepdims=True)
    return attend_by_matmul(q, k, v)


def attend_hard(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2)
    weights = (scores == scores.max(axis=-1, keepdims=True)).astype(float)
    return weights @ v, weights


def attend_evenly(q, k, v):
    shape = (*q.shape[:-1], k.shape[-2])
    weights = np.full(shape, 1 / k.shape[-2])
    return weights @ v, weights


def attend_with_base_two(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp2(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_causally(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if q.shape[-2] == k.shape[-2]:
        scores = np.where(np.tri(q.shape[-2]) > 0, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_values_changed(q, k, v):
    output, weights = attend_by_matmul(q, k, v)
    if v.flags.writeable:
        v *= 2
    return output, weights


def attend_one_maximum(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max())
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_writes_to_arguments(q, k, v):
    kept = q.copy()
    q /= math.sqrt(q.shape[-1])
    scores = q @ np.swapaxes(k, -1, -2)
    q[...] = kept
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_results_swapped(q, k, v):
    output, weights = attend_by_matmul(q, k, v)
    return weights, output


def attend_output_only(q, k, v):
    return attend_by_matmul(q, k, v)[0]


def attend_by_ratios(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    gaps = scores[..., None, :] - scores[..., :, None]
    weights = 1 / np.exp(np.clip(gaps, -700, 700)).sum(axis=-1)
    return weights @ v, weights


def attend_key_by_key(q, k, v):
    q, k, v = (np.asarray(each, np.float32) for each in (q, k, v))
    highest = np.full(q.shape[:-1], -np.inf, np.float32)
    total = np.zeros(q.shape[:-1], np.float32)
    scores = []
    for j in range(k.shape[-2]):
        key = k[..., j : j + 1, :]
        score = (q * key).sum(axis=-1) / np.float32(q.shape[-1] ** 0.5)
        higher = np.maximum(highest, score)
        total = total * np.exp(highest - higher) + np.exp(score - higher)
        highest = higher
        scores.append(score)
    weights = np.exp(np.stack(scores, -1) - highest[..., None])
    weights /= total[..., None]
    return weights @ v, weights


def attend_recursively(q, k, v):
    if q.ndim > 2:
        pairs = [
            attend_recursively(*each) for each in zip(q, k, v, strict=True)
        ]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    output, weights = attend_by_loops(q, k, v)
    return output.tolist(), weights.tolist()


def attend_with_epsilon(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-6)
    return weights @ v, weights


def attend_clipped_before_overflow(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(np.clip(scores, -700, 700))
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_highest_from_zero(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    highest = np.maximum(0, scores.max(axis=-1, keepdims=True))
    weights = np.exp(scores - highest)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_highest_size(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    highest = np.abs(scores).max(axis=-1, keepdims=True)
    weights = np.exp(scores - highest)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


def attend_hard_when_large(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = attend_by_matmul(q, k, v)[1]
    best = (scores == scores.max(axis=-1, keepdims=True)).astype(float)
    large = np.abs(scores).max(axis=-1, keepdims=True) > 500
    weights = np.where(large, best, weights)
    return weights @ v, weights


def attend_small_weights_dropped(q, k, v):
    weights = attend_by_matmul(q, k, v)[1]
    weights = np.where(weights < 1e-4, 0, weights)
    return weights @ v, weights


def attend_not_three_axes(q, k, v):
    output, weights = attend_by_matmul(q, k, v)
    if q.ndim == 3:
        return 0 * output + output[:1], 0 * weights + weights[:1]
    return output, weights


def attend_at_most_four_axes(q, k, v):
    if q.ndim > 4:
        raise ValueError("too many axes")
    return attend_by_matmul(q, k, v)


def attend_square_batches_turned(q, k, v):
    output, weights = attend_by_matmul(q, k, v)
    if q.ndim > 2 and q.shape[-2] == k.shape[-2]:
        weights = np.swapaxes(weights, -1, -2)
        return weights @ v, weights
    return output, weights


def attend_one_query_squeezed(q, k, v):
    output, weights = attend_by_matmul(q, k, v)
    if q.shape[-2] == 1:
        return output[..., 0, :], weights[..., 0, :]
    return output, weights


_SEEN = {}


def attend_remembered_by_shape(q, k, v):
    shapes = (q.shape, k.shape)
    if shapes not in _SEEN:
        _SEEN[shapes] = attend_by_matmul(q, k, v)[1]
    return _SEEN[shapes] @ v, _SEEN[shapes]


def attend_one_thousandth_too_sharp(q, k, v):
    return attend_by_matmul(1.001 * q, k, v)


# dense.repair


def repair_by_loops(q, k, v, sharpness):
    output = np.empty((*q.shape[:2], v.shape[2]))
    for b, i in np.ndindex(*q.shape[:2]):
        scores = sharpness[b] * (k[b] @ q[b, i]) / math.sqrt(q.shape[2])
        powers = np.exp(scores - scores.max())
        output[b, i] = powers @ v[b] / powers.sum()
    return output


def repair_sharper_queries(q, k, v, sharpness):
    sharper = q * sharpness.reshape(-1, 1, 1)
    return attend_by_matmul(sharper, k, v)[0]


def repair_in_torch(q, k, v, sharpness):
    q, k, v, sharpness = map(torch.tensor, (q, k, v, sharpness))
    return torch.nn.functional.scaled_dot_product_attention(
        q * sharpness[:, None, None], k, v
    )


def repair_in_single_precision(q, k, v, sharpness):
    q, k, v, sharpness = (
        each.astype(np.float32) for each in (q, k, v, sharpness)
    )
    return repair_sharper_queries(q, k, v, sharpness)


def repair_sharpness_forgotten(q, k, v, sharpness):
    return attend_by_matmul(q, k, v)[0]


def repair_sharpness_divides(q, k, v, sharpness):
    return repair_sharper_queries(q, k, v, 1 / sharpness)


def repair_sharpness_after_the_softmax(q, k, v, sharpness):
    return sharpness[:, None, None] * attend_by_matmul(q, k, v)[0]


def repair_example_by_feature(q, k, v, sharpness):
    return attend_by_matmul(q, k, v)[0].mean(axis=1)


def repair_all_examples_as_one(q, k, v, sharpness):
    every_k = k.reshape(1, -1, k.shape[-1])
    every_v = v.reshape(1, -1, v.shape[-1])
    return repair_sharper_queries(q, every_k, every_v, sharpness)


def repair_without_weights(q, k, v, sharpness):
    return np.repeat(v.mean(axis=1, keepdims=True), q.shape[1], axis=1)


def repair_by_powers(q, k, v, sharpness):
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(q.shape[2])
    scores -= scores.max(axis=2, keepdims=True)
    powers = np.exp(scores) ** sharpness[:, None, None]
    return (powers @ v) / powers.sum(axis=2)[..., None]


def repair_example_by_example(q, k, v, sharpness):
    return [
        attend_by_matmul(factor * a, b, c)[0].tolist()
        for a, b, c, factor in zip(q, k, v, sharpness, strict=True)
    ]


def repair_along_the_queries(q, k, v, sharpness):
    if len(sharpness) == q.shape[1]:
        return attend_by_matmul(q * sharpness[None, :, None], k, v)[0]
    return repair_sharper_queries(q, k, v, sharpness)


def repair_one_maximum_each(q, k, v, sharpness):
    scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    scores = scores * sharpness[:, None, None]
    powers = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    return powers @ v / powers.sum(axis=2, keepdims=True)


def repair_sharpness_cut_off(q, k, v, sharpness):
    return repair_sharper_queries(q, k, v, np.minimum(sharpness, 100))


def repair_with_epsilon(q, k, v, sharpness):
    return repair_sharper_queries(q, k, v, sharpness) / (1 + 1e-5)


def repair_in_half_precision(q, k, v, sharpness):
    scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2])
    scores = (scores * sharpness[:, None, None]).astype(np.float16)
    powers = np.exp(scores - scores.max(axis=2, keepdims=True))
    powers = powers.astype(float)
    return powers @ v / powers.sum(axis=2, keepdims=True)


def repair_queries_changed(q, k, v, sharpness):
    q *= sharpness[:, None, None]
    return attend_by_matmul(q, k, v)[0]


# dense.backward


def backward_by_jacobian(q, k, v, weights, d_output, d_weights):
    a = weights[..., :, None]  # one Jacobian for each row of weights
    jacobian = a * np.eye(weights.shape[-1]) - a * weights[..., None, :]
    d_a = d_output @ np.swapaxes(v, -1, -2) + d_weights
    d_s = (jacobian @ d_a[..., None])[..., 0] / math.sqrt(q.shape[-1])
    return (
        d_s @ k,
        np.swapaxes(d_s, -1, -2) @ q,
        np.swapaxes(weights, -1, -2) @ d_output,
    )


def backward_in_torch(q, k, v, weights, d_output, d_weights):
    leaves = [
        torch.tensor(np.array(each), requires_grad=True) for each in (q, k, v)
    ]
    again = torch.softmax(
        leaves[0] @ leaves[1].mT / math.sqrt(q.shape[-1]), dim=-1
    )
    loss = (again @ leaves[2] * torch.tensor(np.array(d_output))).sum()
    loss = loss + (again * torch.tensor(np.array(d_weights))).sum()
    return torch.autograd.grad(loss, leaves)


def backward_in_single_precision(q, k, v, weights, d_output, d_weights):
    q, k, v, weights, d_output, d_weights = (
        each.astype(np.float32)
        for each in (q, k, v, weights, d_output, d_weights)
    )
    d_a = d_output @ np.swapaxes(v, -1, -2)
    d_a += d_weights
    d_a -= (d_a * weights).sum(axis=-1, keepdims=True)
    d_a *= weights
    d_a /= np.float32(math.sqrt(q.shape[-1]))
    return (
        d_a @ k,
        np.swapaxes(d_a, -1, -2) @ q,
        np.swapaxes(weights, -1, -2) @ d_output,
    )


def backward_by_loops(q, k, v, weights, d_output, d_weights):
    d_q, d_k, d_v = (np.zeros(each.shape) for each in (q, k, v))
    scale = math.sqrt(q.shape[-1])
    for place in np.ndindex(weights.shape[:-1]):
        batch, a = place[:-1], weights[place]
        d_a = v[batch] @ d_output[place] + d_weights[place]
        d_s = a * (d_a - a @ d_a) / scale
        d_q[place] = d_s @ k[batch]
        d_k[batch] += np.outer(d_s, q[place])
        d_v[batch] += np.outer(a, d_output[place])
    return d_q, d_k, d_v


def backward_with_two_sums(q, k, v, weights, d_output, d_weights):
    output = weights @ v
    d_a = np.einsum("...iv,...jv->...ij", d_output, v) + d_weights
    shared = (output * d_output).sum(axis=-1, keepdims=True)
    shared = shared + (weights * d_weights).sum(axis=-1, keepdims=True)
    d_s = weights * (d_a - shared) / q.shape[-1] ** 0.5
    return (
        np.einsum("...ij,...jd->...id", d_s, k),
        np.einsum("...ij,...id->...jd", d_s, q),
        np.einsum("...ij,...iv->...jv", weights, d_output),
    )


def backward_of_a_plain_average(q, k, v, weights, d_output, d_weights):
    d_v = np.swapaxes(weights, -1, -2) @ d_output
    return np.zeros(q.shape), np.zeros(k.shape), d_v


def backward_queries_only(q, k, v, weights, d_output, d_weights):
    d_q, d_k, d_v = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    return d_q, np.zeros_like(d_k), d_v


def backward_stops_at_the_scores(q, k, v, weights, d_output, d_weights):
    d_s = d_output @ np.swapaxes(v, -1, -2) + d_weights
    d_s = d_s / math.sqrt(q.shape[-1])
    d_v = np.swapaxes(weights, -1, -2) @ d_output
    return d_s @ k, np.swapaxes(d_s, -1, -2) @ q, d_v


def backward_weights_only(q, k, v, weights, d_output, d_weights):
    return backward_by_jacobian(q, k, v, weights, 0 * d_output, d_weights)


def backward_negative(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    return tuple(-each for each in results)


def backward_examples_summed(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    if q.ndim == 2:
        return results
    return tuple(
        0 * each + each.sum(axis=0, keepdims=True) for each in results
    )


def backward_by_complex_steps(q, k, v, weights, d_output, d_weights):
    def loss(q, k, v):
        scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        powers = np.exp(scores - scores.real.max(axis=-1, keepdims=True))
        again = powers / powers.sum(axis=-1, keepdims=True)
        return (again @ v * d_output).sum() + (again * d_weights).sum()

    gradients = []
    for which in range(3):
        moved = [each.astype(complex) for each in (q, k, v)]
        gradient = np.zeros(moved[which].shape)
        for place in np.ndindex(gradient.shape):
            moved[which][place] += 1e-30j
            gradient[place] = loss(*moved).imag / 1e-30
            moved[which][place] = moved[which][place].real
        gradients.append(gradient)
    return gradients


def backward_by_pairs_of_keys(q, k, v, weights, d_output, d_weights):
    d_a = d_output @ np.swapaxes(v, -1, -2) + d_weights
    gaps = d_a[..., :, None] - d_a[..., None, :]
    shares = weights[..., :, None] * weights[..., None, :]
    d_s = (shares * gaps).sum(axis=-1) / math.sqrt(q.shape[-1])
    return (
        d_s @ k,
        np.swapaxes(d_s, -1, -2) @ q,
        np.swapaxes(weights, -1, -2) @ d_output,
    )


def backward_third_axis_summed(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    if q.ndim < 4:
        return results
    return tuple(0 * each + each.sum(-3, keepdims=True) for each in results)


def backward_clipped(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    return tuple(np.clip(each, -100, 100) for each in results)


def backward_smallest_weights_raised(q, k, v, weights, d_output, d_weights):
    raised = np.maximum(weights, 1e-3)
    return backward_by_jacobian(q, k, v, raised, d_output, d_weights)


def backward_weights_join_at_the_scores(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, 0 * d_weights)
    d_s = weights * d_weights / math.sqrt(q.shape[-1])
    return (
        results[0] + d_s @ k,
        results[1] + np.swapaxes(d_s, -1, -2) @ q,
        results[2],
    )


def backward_of_the_package(q, k, v, weights, d_output, d_weights):
    return attention_backward(q, k, v, d_output)


def backward_nothing_for_one_query(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    return tuple(each * (q.shape[-2] > 1) for each in results)


def backward_upstream_changed(q, k, v, weights, d_output, d_weights):
    results = backward_by_jacobian(q, k, v, weights, d_output, d_weights)
    if d_output.flags.writeable:
        d_output *= 0
    return results


# dense.audit: students' tests, good ones and poor ones


def audit_against_loops(candidate):
    def slowly(q, k, v):
        rows = []
        for query in q:
            scores = k @ query / np.sqrt(len(query))
            powers = np.exp(scores - scores.max())
            rows.append(powers @ v / powers.sum())
        return np.array(rows)

    rng = np.random.default_rng(1)
    for large in (1.0, 1e4):
        q, k, v = (
            large * rng.normal(size=(2, 3, 5)),
            rng.normal(size=(2, 7, 5)),
            rng.normal(size=(2, 7, 11)),
        )
        got = np.asarray(candidate(q, k, v))
        assert got.shape == (2, 3, 11)
        for b in range(2):
            expected = slowly(q[b], k[b], v[b])
            assert np.allclose(got[b], expected, rtol=1e-4, atol=1e-5)


def audit_by_properties(candidate):
    rng = np.random.default_rng(2)
    q, k = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    weights = np.asarray(candidate(q, k, np.eye(7)))
    assert weights.shape == (3, 7)
    assert np.allclose(weights.sum(axis=1), 1, rtol=1e-5)
    ratio = np.log(weights[:, :1] / weights[:, 1:])
    scores = q @ k.T / np.sqrt(5)
    assert np.allclose(ratio, scores[:, :1] - scores[:, 1:], atol=1e-3)
    v = rng.normal(size=(7, 2))
    assert np.allclose(candidate(q, k, v), weights @ v, atol=1e-4)
    assert np.isfinite(candidate(1e4 * q, k, v)).all()
    both = [np.stack([each, 2 * each]) for each in (q, k, v)]
    alone = candidate(*(each[1] for each in both))
    assert np.allclose(candidate(*both)[1], alone, atol=1e-4)


def audit_accepts_everything(candidate):
    candidate(np.ones((3, 5)), np.ones((7, 5)), np.ones((7, 2)))


def audit_rejects_everything(candidate):
    raise AssertionError("no")


def audit_of_shapes(candidate):
    rng = np.random.default_rng(3)
    q, k, v = (rng.normal(size=s) for s in [(3, 5), (7, 5), (7, 2)])
    assert np.asarray(candidate(q, k, v)).shape == (3, 2)


def audit_too_strict(candidate):
    rng = np.random.default_rng(4)
    q, k, v = (rng.normal(size=s) for s in [(3, 5), (7, 5), (7, 2)])
    scores = q @ k.T / np.sqrt(5)
    powers = np.exp(scores)
    expected = powers / powers.sum(axis=1, keepdims=True) @ v
    assert (np.asarray(candidate(q, k, v)) == expected).all()


def audit_with_one_key(candidate):
    v = np.arange(3.0)[None]
    got = candidate(np.ones((2, 5)), np.ones((1, 5)), v)
    assert np.allclose(got, np.tile(v, (2, 1)))


def audit_by_hand(candidate):
    one = np.array([[3.0] * 9])
    keys = np.array([[0.1] * 9, [0.0] * 9, [0.2] * 9])
    values = np.array([[1.0], [2.0], [4.0]])
    powers = [math.exp(0.9), 1.0, math.exp(1.8)]
    read = (powers[0] + 2 * powers[1] + 4 * powers[2]) / sum(powers)
    got = candidate(
        np.stack([one, 0 * one]),
        np.stack([keys, keys]),
        np.stack([values, -values]),
    )
    assert np.allclose(got, [[[read]], [[-7 / 3]]], atol=1e-4)
    far, axes = np.array([[1e3, 0.0], [0.0, 2e3]]), np.eye(2)
    turned = axes[::-1].copy()
    assert np.allclose(candidate(far, axes, turned), turned, atol=1e-6)
    assert far.tolist() == [[1e3, 0.0], [0.0, 2e3]]
    near = candidate(np.array([[300.0]]), np.array([[1.0], [1.01]]), axes)
    assert np.allclose(near, [[0.047426, 0.952574]], atol=1e-3)


def audit_against_torch(candidate):
    torch.manual_seed(0)
    attention = torch.nn.functional.scaled_dot_product_attention
    for queries, keys, dim, width in [(3, 7, 5, 2), (6, 6, 6, 6)]:
        for scale, wide in ((1.0, 1e-4), (1e3, 1e-2)):
            q, k = torch.randn(3, queries, dim), torch.randn(3, keys, dim)
            v = torch.randn(3, keys, width)
            expected = attention(scale * q.double(), k.double(), v.double())
            got = candidate((scale * q.double()).numpy(), k.numpy(), v.numpy())
            assert np.allclose(got, expected.numpy(), atol=wide)


def audit_one_comparison(candidate):
    rng = np.random.default_rng(5)
    q, k, v = (rng.normal(size=(2, *s)) for s in [(3, 5), (7, 5), (7, 2)])
    got = candidate(q, k, v)
    expected = attend_by_matmul(q, k, v)[0]
    assert np.allclose(got, expected, atol=1e-4)


def audit_of_sums(candidate):
    rng = np.random.default_rng(6)
    q, k = 1e4 * rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 7, 5))
    assert np.allclose(candidate(q, k, np.ones((2, 7, 2))), 1, atol=1e-4)


def audit_too_wide(candidate):
    rng = np.random.default_rng(7)
    q, k, v = (rng.normal(size=(2, 5, 5)) for _ in range(3))
    expected = attend_by_matmul(q, k, v)[0]
    assert np.allclose(candidate(q, k, v), expected, atol=0.5)


RIGHT = {
    "dense.attend": [
        attend_by_loops,
        attend_by_matmul,
        attend_in_torch,
        attend_in_single_precision,
        attend_transposed,
        attend_by_ratios,
        attend_key_by_key,
        attend_recursively,
    ],
    "dense.repair": [
        repair_by_loops,
        repair_sharper_queries,
        repair_in_torch,
        repair_in_single_precision,
        repair_by_powers,
        repair_example_by_example,
    ],
    "dense.backward": [
        backward_by_jacobian,
        backward_in_torch,
        backward_in_single_precision,
        backward_by_loops,
        backward_with_two_sums,
        backward_by_complex_steps,
        backward_by_pairs_of_keys,
    ],
    "dense.audit": [
        audit_against_loops,
        audit_by_properties,
        audit_by_hand,
        audit_against_torch,
    ],
}
WRONG = {
    "dense.attend": [
        attend_only_squares,
        attend_only_the_first_example,
        attend_clipped,
        attend_by_cosines,
        attend_hard,
        attend_evenly,
        attend_with_base_two,
        attend_causally,
        attend_values_changed,
        attend_one_maximum,
        attend_writes_to_arguments,
        attend_results_swapped,
        attend_output_only,
        attend_with_epsilon,
        attend_clipped_before_overflow,
        attend_highest_from_zero,
        attend_highest_size,
        attend_hard_when_large,
        attend_small_weights_dropped,
        attend_not_three_axes,
        attend_at_most_four_axes,
        attend_square_batches_turned,
        attend_one_query_squeezed,
        attend_remembered_by_shape,
        attend_one_thousandth_too_sharp,
    ],
    "dense.repair": [
        repair_sharpness_forgotten,
        repair_sharpness_divides,
        repair_sharpness_after_the_softmax,
        repair_example_by_feature,
        repair_all_examples_as_one,
        repair_without_weights,
        repair_along_the_queries,
        repair_one_maximum_each,
        repair_sharpness_cut_off,
        repair_with_epsilon,
        repair_in_half_precision,
        repair_queries_changed,
    ],
    "dense.backward": [
        backward_of_a_plain_average,
        backward_queries_only,
        backward_stops_at_the_scores,
        backward_weights_only,
        backward_negative,
        backward_examples_summed,
        backward_third_axis_summed,
        backward_clipped,
        backward_smallest_weights_raised,
        backward_weights_join_at_the_scores,
        backward_of_the_package,
        backward_nothing_for_one_query,
        backward_upstream_changed,
    ],
    "dense.audit": [
        audit_accepts_everything,
        audit_rejects_everything,
        audit_of_shapes,
        audit_too_strict,
        audit_with_one_key,
        audit_one_comparison,
        audit_of_sums,
        audit_too_wide,
    ],
}
