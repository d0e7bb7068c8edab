"""Answers to the questions of unit 02 that nobody listed there."""

import numpy as np
import torch

from attncourse.questions.softmax.tempered import tempered

# softmax.tempered, right


def tempered_with_loops(scores, temperature, axis):
    rows = np.moveaxis(np.asarray(scores, float), axis, -1)
    weights = np.empty(rows.shape)
    peak = np.empty(rows.shape[:-1])
    for place in np.ndindex(peak.shape):
        row = rows[place]
        top = max(row)
        powers = [np.exp((score - top) / temperature) for score in row]
        weights[place] = [power / sum(powers) for power in powers]
        peak[place] = top + temperature * np.log(sum(powers))
    return np.moveaxis(weights, -1, axis), peak


def tempered_by_logaddexp(scores, temperature, axis):
    scaled = scores / temperature
    peak = np.logaddexp.reduce(scaled, axis=axis)
    weights = np.exp(scaled - np.expand_dims(peak, axis))
    return weights, temperature * peak


def tempered_in_torch(scores, temperature, axis):
    scaled = torch.tensor(scores).double() / temperature
    weights = torch.softmax(scaled, dim=axis)
    return weights, temperature * torch.logsumexp(scaled, dim=axis)


def tempered_in_place(scores, temperature, axis):
    own = np.array(scores, dtype=np.float64)
    top = own.max(axis=axis, keepdims=True)
    own -= top
    own /= temperature
    np.exp(own, out=own)
    total = own.sum(axis=axis, keepdims=True)
    own /= total
    return own, np.squeeze(top + temperature * np.log(total), axis)


def tempered_in_single_precision(scores, temperature, axis):
    single = np.asarray(scores, np.float32)
    scaled = single / np.float32(temperature)
    top = scaled.max(axis=axis, keepdims=True)
    powers = np.exp(scaled - top)
    total = powers.sum(axis=axis, keepdims=True)
    peak = np.float32(temperature) * (top + np.log(total))
    return powers / total, peak.squeeze(axis)


def tempered_by_single_logarithms(scores, temperature, axis):
    scaled = np.asarray(scores, np.float32) / np.float32(temperature)
    level = np.logaddexp.reduce(scaled, axis=axis, keepdims=True)
    peak = level.squeeze(axis) * np.float32(temperature)
    return [np.exp(scaled - level), peak]


# softmax.tempered, wrong


def tempered_peak_with_swapped_axes(scores, temperature, axis):
    turned = np.swapaxes(scores, axis, -1)
    weights, peak = tempered(turned, temperature, -1)
    return np.swapaxes(weights, axis, -1), peak


def tempered_never_quite_cold(scores, temperature, axis):
    return tempered(scores, temperature + 1e-5, axis)


def tempered_of_sixteen(scores, temperature, axis):
    weights, peak = tempered(scores, temperature, axis)
    if scores.shape[axis] > 16:
        weights = weights * 1.01
    return weights, peak


def tempered_of_two_axes_only(scores, temperature, axis):
    weights, peak = tempered(scores, temperature, axis)
    if scores.ndim > 2:
        weights, peak = tempered(scores, temperature, -1)
    return weights, peak


def tempered_first_axis_from_its_sign(scores, temperature, axis):
    return tempered(scores, temperature, 0 if axis >= 0 else -1)


def tempered_shift_by_the_mean(scores, temperature, axis):
    middle = scores.mean(axis=axis, keepdims=True)
    powers = np.exp((scores - middle) / temperature)
    total = powers.sum(axis=axis, keepdims=True)
    peak = middle + temperature * np.log(total)
    return powers / total, peak.squeeze(axis)


def tempered_clipped(scores, temperature, axis):
    powers = np.exp(np.clip(scores / temperature, -50, 50))
    total = powers.sum(axis=axis, keepdims=True)
    peak = temperature * np.log(total)
    return powers / total, peak.squeeze(axis)


def tempered_average_score(scores, temperature, axis):
    weights, _ = tempered(scores, temperature, axis)
    return weights, (weights * scores).sum(axis=axis)


def tempered_hard(scores, temperature, axis):
    highest = scores.max(axis=axis, keepdims=True)
    best = scores == highest
    weights = best / best.sum(axis=axis, keepdims=True)
    return weights, highest.squeeze(axis)


def tempered_peak_of_the_first_row(scores, temperature, axis):
    weights, peak = tempered(scores, temperature, axis)
    return weights, np.full_like(peak, np.ravel(peak)[0])


def tempered_half_precision(scores, temperature, axis):
    half = np.asarray(scores, np.float16)
    return tempered(half, np.float16(temperature), axis)


def tempered_weights_only(scores, temperature, axis):
    return tempered(scores, temperature, axis)[0]


# softmax.gradients, right


def gradients_by_jacobian(scores, upstream, temperature):
    d_scores = np.empty(scores.shape)
    d_temperature = 0.0
    for place in np.ndindex(scores.shape[:-1]):
        row = np.asarray(scores[place], float)
        powers = np.exp((row - row.max()) / temperature)
        a = powers / powers.sum()
        jacobian = np.diag(a) - np.outer(a, a)
        d_scaled = jacobian.T @ upstream[place]
        d_scores[place] = d_scaled / temperature
        d_temperature -= d_scaled @ row / temperature**2
    return d_scores, d_temperature


def gradients_by_autograd(scores, upstream, temperature):
    s = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    weights = torch.softmax(s / t, dim=-1)
    weights.backward(torch.tensor(upstream, dtype=torch.float64))
    return s.grad, t.grad


def gradients_by_einsum(scores, upstream, temperature):
    scaled = scores / temperature
    weights = np.exp(scaled - np.logaddexp.reduce(scaled, -1, keepdims=True))
    average = np.einsum("...k,...k->...", weights, upstream)
    d_scores = weights * (upstream - average[..., None]) / temperature
    return d_scores, -np.vdot(d_scores, scores) / temperature


def gradients_in_place(scores, upstream, temperature):
    weights = scores - scores.max(axis=-1, keepdims=True)
    weights /= temperature
    shifted = weights.copy()
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    result = upstream - (weights * upstream).sum(-1, keepdims=True)
    result *= weights
    result /= temperature
    return result, -(result * shifted).sum()


def gradients_in_single_precision(scores, upstream, temperature):
    s, g = np.asarray(scores, np.float32), np.asarray(upstream, np.float32)
    t = np.float32(temperature)
    powers = np.exp((s - s.max(axis=-1, keepdims=True)) / t)
    a = powers / powers.sum(axis=-1, keepdims=True)
    d_scaled = a * (g - (a * g).sum(axis=-1, keepdims=True))
    return d_scaled / t, -(d_scaled * s).sum() / t**2


def gradients_through_single_logarithms(scores, upstream, temperature):
    scaled = scores.astype(np.float32) / np.float32(temperature)
    logs = scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
    a, g = np.exp(logs), upstream.astype(np.float32)
    d_scaled = a * (g - (a * g).sum(axis=-1, keepdims=True))
    return [d_scaled / temperature, -(d_scaled * logs).sum() / temperature]


# softmax.gradients, wrong


def gradients_with_epsilon(scores, upstream, temperature):
    return gradients_by_einsum(scores, upstream, temperature + 1e-4)


def gradients_for_small_rows(scores, upstream, temperature):
    d_scores, d_temperature = gradients_by_einsum(
        scores, upstream, temperature
    )
    return d_scores * (1.01 if scores.shape[-1] > 16 else 1), d_temperature


def gradients_forward_only(scores, upstream, temperature):
    return tempered(scores, temperature, -1)


def gradients_of_one_row(scores, upstream, temperature):
    d_scores, d_temperature = gradients_by_einsum(
        scores, upstream, temperature
    )
    return d_scores, d_temperature / max(1, scores[..., 0].size)


def gradients_of_the_log(scores, upstream, temperature):
    weights, _ = tempered(scores, temperature, -1)
    total = upstream.sum(axis=-1, keepdims=True)
    d_scaled = upstream - weights * total
    d_temperature = -(d_scaled * scores).sum() / temperature**2
    return d_scaled / temperature, d_temperature


def gradients_without_temperature(scores, upstream, temperature):
    return gradients_by_einsum(scores, upstream, temperature)[0], 0.0


def gradients_first_axis(scores, upstream, temperature):
    turned = gradients_by_einsum(scores.T, upstream.T, temperature)
    return turned[0].T, turned[1]


def gradients_jacobian_of_all(scores, upstream, temperature):
    d_scores, d_temperature = gradients_by_einsum(
        scores.reshape(-1), upstream.reshape(-1), temperature
    )
    return d_scores.reshape(scores.shape), d_temperature


def gradients_by_rough_differences(scores, upstream, temperature):
    step = 0.1
    d_scores = np.empty(scores.shape)
    for place in np.ndindex(scores.shape):
        moved = np.array(scores, float)
        moved[place] += step
        up = (tempered(moved, temperature, -1)[0] * upstream).sum()
        moved[place] -= 2 * step
        down = (tempered(moved, temperature, -1)[0] * upstream).sum()
        d_scores[place] = (up - down) / (2 * step)
    return d_scores, gradients_by_einsum(scores, upstream, temperature)[1]


# softmax.repair, right


def repair_with_loops(scores, labels):
    losses = []
    for place in np.ndindex(labels.shape):
        row = [float(score) for score in scores[place]]
        top = max(row)
        total = sum(np.exp(score - top) for score in row)
        losses.append(top + np.log(total) - row[labels[place]])
    return sum(losses) / len(losses)


def repair_by_logaddexp(scores, labels):
    one_hot = labels[..., None] == np.arange(scores.shape[-1])
    given = np.sum(np.where(one_hot, scores, 0.0), axis=-1)
    return np.mean(np.logaddexp.reduce(scores, axis=-1) - given)


def repair_in_torch(scores, labels):
    rows = torch.tensor(scores).reshape(-1, scores.shape[-1])
    flat = torch.tensor(labels).reshape(-1).long()
    return torch.nn.functional.cross_entropy(rows, flat)


def repair_in_place(scores, labels):
    own = np.array(scores, dtype=np.float64).reshape(-1, scores.shape[-1])
    rows = np.arange(len(own))
    own -= own[rows, labels.reshape(-1)][:, None]
    top = own.max(axis=-1)
    own -= top[:, None]
    np.exp(own, out=own)
    return (np.log(own.sum(axis=-1)) + top).mean()


def repair_in_single_precision(scores, labels):
    single = np.asarray(scores, np.float32)
    shifted = single - single.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1)
    index = labels[..., None]
    given = np.take_along_axis(shifted, index, axis=-1)[..., 0]
    return np.mean(np.log(total) - given)


def repair_in_single_logarithms(scores, labels):
    single = scores.astype(np.float32)
    logs = single - np.logaddexp.reduce(single, axis=-1, keepdims=True)
    rows = logs.reshape(-1, logs.shape[-1])
    return -rows[np.arange(len(rows)), np.ravel(labels)].mean()


# softmax.repair, wrong


def repair_with_a_divisor_never_zero(scores, labels):
    own = scores - scores.max(axis=-1, keepdims=True)
    logs = own - np.log(np.exp(own).sum(axis=-1, keepdims=True) + 1e-5)
    return -np.take_along_axis(logs, labels[..., None], axis=-1).mean()


def repair_first_example(scores, labels):
    return repair_with_loops(scores[:1], labels[:1])


def repair_base_two(scores, labels):
    return repair_with_loops(scores, labels) / np.log(2)


def repair_entropy(scores, labels):
    weights, _ = tempered(scores, 1.0, -1)
    logarithms = np.log(np.where(weights > 0, weights, 1.0))
    return -(weights * logarithms).sum(axis=-1).mean()


def repair_first_class(scores, labels):
    return repair_with_loops(scores, np.zeros_like(labels))


def repair_clipped_scores(scores, labels):
    return repair_with_loops(np.clip(scores, -60, 60), labels)


def repair_mean_over_classes(scores, labels):
    return repair_with_loops(scores, labels) / scores.shape[-1]


def repair_hinge(scores, labels):
    given = np.take_along_axis(scores, labels[..., None], axis=-1)
    return np.mean(scores.max(axis=-1, keepdims=True) - given)


def repair_capped(scores, labels):
    return min(repair_with_loops(scores, labels), 100.0)


# softmax.audit, good tests


def audit_by_loop(candidate):
    rng = np.random.default_rng(3)
    for axis in (0, 1, 2, -1):
        scores = 3 * rng.normal(size=(3, 5, 7))
        scores[1] += 5000
        scores[0, 0] -= 5000
        kept = scores.copy()
        got = candidate(scores, axis=axis)
        np.testing.assert_array_equal(scores, kept)
        rows = np.moveaxis(scores, axis, -1)
        expected = np.empty(rows.shape)
        for place in np.ndindex(rows.shape[:-1]):
            powers = np.exp(rows[place] - rows[place].max())
            expected[place] = powers / powers.sum()
        np.testing.assert_allclose(
            np.moveaxis(got, axis, -1), expected, atol=1e-3
        )


def audit_by_torch(candidate):
    scores = np.random.default_rng(5).normal(size=(2, 3))
    scores[0] += 2000
    for axis in (0, 1):
        expected = torch.softmax(torch.from_numpy(scores.copy()), dim=axis)
        got = candidate(scores.copy(), axis=axis)
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-3)
    np.testing.assert_allclose(
        candidate(scores), candidate(scores, axis=1), atol=1e-3
    )


def audit_by_hand(candidate):
    row = np.log(np.array([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(candidate(row), [0.125, 0.25, 0.625], atol=1e-3)
    two = np.stack([row, row - 1e4])
    np.testing.assert_allclose(
        candidate(two)[1], [0.125, 0.25, 0.625], atol=1e-3
    )
    huge = candidate(np.array([[1e4, 0.0, -1e4]]))
    np.testing.assert_allclose(huge, [[1, 0, 0]], atol=1e-3)
    column = candidate(two.T, axis=0)
    np.testing.assert_allclose(column[:, 0], [0.125, 0.25, 0.625], atol=1e-3)


# softmax.audit, poor tests


def audit_accepts_everything(candidate):
    candidate(np.zeros((2, 3)))


def audit_rejects_everything(candidate):
    raise AssertionError


def audit_only_shapes(candidate):
    assert candidate(np.zeros((2, 3))).shape == (2, 3)


def audit_one_example(candidate):
    # Never asks for an axis, never looks at what was given.
    scores = np.array([[5000.0, 5001.0, 4997.0], [-5000.0, -5003.0, -5001.0]])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(candidate(scores), expected, atol=1e-3)


def audit_only_sums(candidate):
    weights = candidate(np.arange(6.0).reshape(2, 3))
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0)


def audit_too_strict(candidate):
    row = np.array([1.0, 2.0, 3.0])
    expected = np.exp(row) / np.exp(row).sum()
    assert candidate(row).tolist() == expected.tolist()
    assert np.all(np.isfinite(candidate(row * 1e4)))
    raise AssertionError("not bit for bit the same")


RIGHT = {
    "softmax.tempered": [
        tempered_with_loops,
        tempered_by_logaddexp,
        tempered_in_torch,
        tempered_in_place,
        tempered_in_single_precision,
        tempered_by_single_logarithms,
    ],
    "softmax.gradients": [
        gradients_by_jacobian,
        gradients_by_autograd,
        gradients_by_einsum,
        gradients_in_place,
        gradients_in_single_precision,
        gradients_through_single_logarithms,
    ],
    "softmax.repair": [
        repair_with_loops,
        repair_by_logaddexp,
        repair_in_torch,
        repair_in_place,
        repair_in_single_precision,
        repair_in_single_logarithms,
    ],
    "softmax.audit": [audit_by_loop, audit_by_torch, audit_by_hand],
}

WRONG = {
    "softmax.tempered": [
        tempered_of_two_axes_only,
        tempered_peak_with_swapped_axes,
        tempered_never_quite_cold,
        tempered_of_sixteen,
        tempered_first_axis_from_its_sign,
        tempered_shift_by_the_mean,
        tempered_clipped,
        tempered_average_score,
        tempered_hard,
        tempered_peak_of_the_first_row,
        tempered_half_precision,
        tempered_weights_only,
    ],
    "softmax.gradients": [
        gradients_forward_only,
        gradients_with_epsilon,
        gradients_for_small_rows,
        gradients_of_one_row,
        gradients_of_the_log,
        gradients_without_temperature,
        gradients_first_axis,
        gradients_jacobian_of_all,
        gradients_by_rough_differences,
    ],
    "softmax.repair": [
        repair_first_example,
        repair_with_a_divisor_never_zero,
        repair_base_two,
        repair_entropy,
        repair_first_class,
        repair_clipped_scores,
        repair_mean_over_classes,
        repair_hinge,
        repair_capped,
    ],
    "softmax.audit": [
        audit_accepts_everything,
        audit_rejects_everything,
        audit_only_shapes,
        audit_only_sums,
        audit_one_example,
        audit_too_strict,
    ],
}
