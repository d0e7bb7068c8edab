"""Right and wrong answers to the questions of unit 01, in many styles."""

import numpy as np
import torch

from attncourse.questions.lookup.leave_one_out import leave_one_out
from attncourse.questions.lookup.repair import kernel_estimate
from attncourse.questions.lookup.soft_read import soft_read

# soft_read, right


def read_in_loops(queries, keys, values, temperatures):
    read = np.zeros((len(queries), values.shape[1]))
    for i in range(len(queries)):
        scores = [float(queries[i] @ k) / temperatures[i] for k in keys]
        top = max(scores)
        parts = [np.exp(s - top) for s in scores]
        for part, value in zip(parts, values, strict=True):
            read[i] += part / sum(parts) * value
    return read


def read_with_einsum(queries, keys, values, temperatures):
    scores = np.einsum("qd,kd,q->qk", queries, keys, 1.0 / temperatures)
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    return np.einsum("qk,kv,q->qv", scores, values, 1 / scores.sum(-1))


def read_with_torch(queries, keys, values, temperatures):
    q, k, v, t = (
        torch.as_tensor(np.array(x))
        for x in (queries, keys, values, temperatures)
    )
    return torch.softmax((q / t[:, None]) @ k.T, dim=1) @ v


def read_in_single(queries, keys, values, temperatures):
    q, k, v, t = (
        np.asarray(x, np.float32)
        for x in (queries, keys, values, temperatures)
    )
    scores = (q @ k.T) / t.reshape(-1, 1)
    scores = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return (scores @ v) / scores.sum(axis=1, keepdims=True)


def read_by_log_sum_exp(queries, keys, values, temperatures):
    scores = (keys @ queries.T / temperatures).T
    return (
        np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        @ values
    )


def read_key_after_key(queries, keys, values, temperatures):
    rows = []
    for query, temperature in zip(queries, temperatures, strict=True):
        top, total, mean = -np.inf, 0.0, np.zeros(values.shape[1])
        for key, value in zip(keys, values, strict=True):
            score = query @ key / temperature
            new = max(top, score)
            total = total * np.exp(top - new) + np.exp(score - new)
            mean = mean * np.exp(top - new) + np.exp(score - new) * value
            top = new
        rows.append(list(mean / total))
    return rows


def read_in_single_logarithms(queries, keys, values, temperatures):
    q, k = queries.astype(np.float32), keys.astype(np.float32)
    scores = q @ k.T / temperatures.astype(np.float32)[:, None]
    logs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return np.exp(logs) @ values.astype(np.float32)


# soft_read, wrong


def read_squeezed(queries, keys, values, temperatures):
    return np.squeeze(soft_read(queries, keys, values, temperatures))


def read_shifted_by_the_mean(queries, keys, values, temperatures):
    scores = queries @ keys.T / temperatures[:, None]
    e = np.exp(scores - scores.mean(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ values


def read_of_sixteen_keys(queries, keys, values, temperatures):
    return soft_read(queries, keys[:16], values[:16], temperatures)


def read_never_quite_cold(queries, keys, values, temperatures):
    return soft_read(queries, keys, values, temperatures + 1e-4)


def read_square_only(queries, keys, values, temperatures):
    if len(queries) != len(keys):
        return np.zeros((len(queries), values.shape[1]))
    return soft_read(queries, keys, values, temperatures)


def read_clipped(queries, keys, values, temperatures):
    scores = np.clip(queries @ keys.T / temperatures[:, None], -50, 50) * 0.5
    e = np.exp(scores)
    return e / e.sum(1, keepdims=True) @ values


def read_mean(queries, keys, values, temperatures):
    return np.tile(values.mean(0), (len(queries), 1))


def read_by_cosine(queries, keys, values, temperatures):
    q = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    k = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    return soft_read(q, k, values, temperatures)


def read_scaled_too(queries, keys, values, temperatures):
    return soft_read(
        queries / np.sqrt(queries.shape[1]), keys, values, temperatures
    )


def read_mean_temperature(queries, keys, values, temperatures):
    same = np.full_like(temperatures, temperatures.mean())
    return soft_read(queries, keys, values, same)


def read_largest_score_clamped(queries, keys, values, temperatures):
    scores = np.minimum(queries @ keys.T / temperatures[:, None], 80.0)
    e = np.exp(scores)
    return e / e.sum(1, keepdims=True) @ values


# leave_one_out, right


def others_in_loops(points, values, bandwidth):
    rows = []
    for i in range(len(points)):
        others = [j for j in range(len(points)) if j != i]
        scores = np.array(
            [
                -np.sum((points[i] - points[j]) ** 2) / (2 * bandwidth**2)
                for j in others
            ]
        )
        parts = np.exp(scores - scores.max())
        rows.append(parts @ values[others] / parts.sum())
    return np.array(rows)


def others_by_deletion(points, values, bandwidth):
    def estimate(i):
        gap = np.delete(points, i, axis=0) - points[i]
        scores = -0.5 * np.einsum("kd,kd->k", gap, gap) / bandwidth**2
        weights = np.exp(scores - np.logaddexp.reduce(scores))
        return weights @ np.delete(values, i, axis=0)

    return np.stack([estimate(i) for i in range(len(points))])


def others_with_torch(points, values, bandwidth):
    p = torch.as_tensor(np.array(points)).double()
    v = torch.as_tensor(np.array(values)).double()
    scores = -((p[:, None] - p[None]) ** 2).sum(-1) / (2 * bandwidth**2)
    scores.fill_diagonal_(-torch.inf)
    return torch.softmax(scores, -1) @ v


def others_in_place(points, values, bandwidth):
    scores = ((points[:, None] - points) ** 2).sum(-1).astype(np.float64)
    scores *= -0.5 / bandwidth**2
    scores[np.diag_indices(len(points))] = -np.inf
    scores -= scores.max(1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(1, keepdims=True)
    return scores @ values


def others_in_single(points, values, bandwidth):
    p, v = np.asarray(points, np.float32), np.asarray(values, np.float32)
    scores = -np.square(p[:, None] - p).sum(-1) / np.float32(2 * bandwidth**2)
    np.fill_diagonal(scores, -np.inf)
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e @ v / e.sum(1, keepdims=True)


def others_by_single_logarithms(points, values, bandwidth):
    p = points.astype(np.float32) / np.float32(bandwidth)
    scores = -((p[:, None] - p) ** 2).sum(-1) / 2
    np.fill_diagonal(scores, -np.inf)
    logs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    return np.exp(logs) @ values.astype(np.float32)


# leave_one_out, wrong


def others_at_other_places(points, values, bandwidth):
    # Leaves out every point that lies where the point itself lies.
    squared = ((points[:, None] - points) ** 2).sum(-1)
    scores = np.where(squared == 0, -np.inf, -squared / (2 * bandwidth**2))
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e @ values / e.sum(1, keepdims=True)


def others_minus_1e9(points, values, bandwidth):
    scores = -((points[:, None] - points) ** 2).sum(-1) / (2 * bandwidth**2)
    scores = np.where(np.eye(len(points)) == 1, -1e9, scores)
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e @ values / e.sum(1, keepdims=True)


def others_plus_epsilon(points, values, bandwidth):
    kernel = np.exp(
        -((points[:, None] - points) ** 2).sum(-1) / (2 * bandwidth**2)
    )
    np.fill_diagonal(kernel, 0)
    return kernel @ values / (kernel.sum(1, keepdims=True) + 1e-9)


def others_large_negative(points, values, bandwidth):
    scores = -((points[:, None] - points) ** 2).sum(-1) / (2 * bandwidth**2)
    scores = np.where(np.eye(len(points)) == 1, -1e3, scores)
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e @ values / e.sum(1, keepdims=True)


def others_equally(points, values, bandwidth):
    return (values.sum(0) - values) / (len(values) - 1)


def others_nearest(points, values, bandwidth):
    d = ((points[:, None] - points) ** 2).sum(-1)
    np.fill_diagonal(d, np.inf)
    return values[d.argmin(1)]


def others_first_axis_only(points, values, bandwidth):
    return leave_one_out(points[:, :1], values, bandwidth)


def others_minus_itself(points, values, bandwidth):
    full = kernel_estimate(points, points, values, bandwidth)
    return full - values / len(points)


# repair, right


def estimate_in_loops(queries, keys, values, bandwidth):
    out = []
    for query in queries:
        kernel = np.array(
            [
                np.exp(-sum((query - key) ** 2) / (2 * bandwidth**2))
                for key in keys
            ]
        )
        out.append((kernel[:, None] * values).sum(0) / kernel.sum())
    return np.array(out)


def estimate_expanded(queries, keys, values, bandwidth):
    squared = (
        (queries**2).sum(1)[:, None]
        - 2 * queries @ keys.T
        + (keys**2).sum(1)[None, :]
    )
    weights = np.exp(-squared / (2 * bandwidth**2))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("qk,kv->qv", weights, values)


def estimate_with_torch(queries, keys, values, bandwidth):
    q, k, v = map(torch.as_tensor, (queries, keys, values))
    distance = torch.cdist(q, k, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.softmax(-0.5 * (distance / bandwidth) ** 2, dim=-1) @ v


def estimate_in_single(queries, keys, values, bandwidth):
    q, k, v = (np.asarray(x, np.float32) for x in (queries, keys, values))
    d = np.linalg.norm(q[:, None] - k[None], axis=-1) / np.float32(bandwidth)
    kernel = np.exp(-d * d / 2)
    return kernel @ v / kernel.sum(-1, keepdims=True)


def estimate_expanded_in_single(queries, keys, values, bandwidth):
    q, k, v = (np.asarray(x, np.float32) for x in (queries, keys, values))
    squared = (q**2).sum(1)[:, None] - 2 * q @ k.T + (k**2).sum(1)
    kernel = np.exp(-squared / np.float32(2 * bandwidth**2))
    return kernel @ v / kernel.sum(axis=1, keepdims=True)


# repair, wrong


def estimate_plus_epsilon(queries, keys, values, bandwidth):
    squared = ((queries[:, None] - keys) ** 2).sum(-1)
    kernel = np.exp(-squared / (2 * bandwidth**2))
    return kernel @ values / (kernel.sum(1, keepdims=True) + 1e-8)


def estimate_meddling(queries, keys, values, bandwidth):
    result = kernel_estimate(queries, keys, values, bandwidth)
    values /= 2
    return result


def estimate_as_found(queries, keys, values, bandwidth):
    centre = queries.mean(axis=0)
    kernel = np.exp(-((keys - centre) ** 2).sum(1) / (2 * bandwidth))
    return np.tile(kernel @ values / kernel.sum(), (len(queries), 1))


def estimate_half_repaired(queries, keys, values, bandwidth):
    centre = queries.mean(axis=0)
    kernel = np.exp(-((keys - centre) ** 2).sum(1) / (2 * bandwidth**2))
    return np.tile(kernel @ values / kernel.sum(), (len(queries), 1))


def estimate_by_distance(queries, keys, values, bandwidth):
    d = np.linalg.norm(queries[:, None] - keys, axis=-1)
    e = np.exp(-d / bandwidth)
    return e @ values / e.sum(1, keepdims=True)


def estimate_mean_square(queries, keys, values, bandwidth):
    d = ((queries[:, None] - keys) ** 2).mean(-1)
    e = np.exp(-d / (2 * bandwidth**2))
    return e @ values / e.sum(1, keepdims=True)


# audit


def tests_by_hand(candidate):
    same = np.array([[3.0, 0.0], [0.0, 3.0]])
    keys = np.array([[1.0, 0.0], [1.0, 1.0]])
    got = candidate(same, keys, np.eye(2), 3.0)
    e = np.exp(1)
    want = [[0.5, 0.5], [1 / (1 + e), e / (1 + e)]]
    assert np.allclose(got, want, atol=1e-3)
    three = np.array([[0.0], [0.0], [5000.0]])
    got = candidate(np.array([[1.0], [0.0]]), three, three / 1000, 2.0)
    assert np.allclose(got, [[5.0], [5 / 3]], atol=1e-3)
    queries = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    keys = np.array([[1.0, 0.0], [0.0, 1.0]])
    values = np.array([[10.0, 1.0, 0.0], [20.0, 0.0, 3.0]])
    for temperature in (0.5, 1.0, 3.0):
        got = np.asarray(candidate(queries, keys, values, temperature))
        assert got.shape == (3, 3)
        for row, query in zip(got, queries, strict=True):
            e = [np.exp(query @ key / temperature) for key in keys]
            want = (e[0] * values[0] + e[1] * values[1]) / (e[0] + e[1])
            assert np.allclose(row, want, rtol=1e-3)


def tests_against_torch(candidate):
    rng = np.random.default_rng(2)
    for queries, keys, t in [(1, 1, 1.0), (2, 5, 0.3), (4, 4, 2.0)]:
        arrays = [
            rng.normal(size=shape)
            for shape in [(queries, 3), (keys, 3), (keys, 6)]
        ]
        for factor in (1.0, 3000.0):
            given = [factor * arrays[0], *arrays[1:]]
            q, k, v = (torch.tensor(each) for each in given)
            want = (torch.softmax(q @ k.T / t, dim=1) @ v).numpy()
            copies = [each.copy() for each in given]
            got = candidate(*copies, t)
            np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-2)
            for one, other in zip(copies, given, strict=True):
                np.testing.assert_array_equal(one, other)


def tests_by_properties(candidate):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=s) for s in [(3, 5), (7, 5), (7, 2)])
    one = np.asarray(candidate(q, k[:1], v[:1], 1.0))
    assert np.allclose(one, np.tile(v[:1], (3, 1)), atol=1e-3)
    weights = np.asarray(candidate(q, k, np.eye(7), 0.7))
    assert weights.shape == (3, 7)
    assert np.allclose(weights.sum(1), 1, atol=1e-3)
    logs = np.log(weights)
    want = (q @ k.T) / 0.7
    assert np.allclose(
        logs - logs[:, :1], want - want[:, :1], rtol=1e-3, atol=1e-3
    )
    assert np.allclose(candidate(q, k, v, 0.7), weights @ v, atol=1e-3)
    before = q.copy()
    assert np.isfinite(candidate(1e4 * q, k, v, 1.0)).all()
    assert np.array_equal(q, before)


def tests_one_example(candidate):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=s) for s in [(3, 5), (7, 5), (7, 2)])
    e = np.exp(q @ k.T / 0.7)
    want = e @ v / e.sum(axis=1, keepdims=True)
    assert np.allclose(candidate(q, k, v, 0.7), want, atol=1e-3)


def tests_nothing(candidate):
    candidate(np.eye(3), np.eye(3), np.eye(3), 1.0)


def tests_too_much(candidate):
    raise AssertionError("never good enough")


def tests_shapes_only(candidate):
    got = candidate(np.ones((3, 5)), np.ones((7, 5)), np.ones((7, 2)), 1.0)
    assert np.shape(got) == (3, 2)


RIGHT = {
    "lookup.soft_read": [
        read_in_loops,
        read_with_einsum,
        read_with_torch,
        read_in_single,
        read_by_log_sum_exp,
        read_key_after_key,
        read_in_single_logarithms,
    ],
    "lookup.leave_one_out": [
        others_in_loops,
        others_by_deletion,
        others_with_torch,
        others_in_place,
        others_in_single,
        others_by_single_logarithms,
    ],
    "lookup.repair": [
        estimate_in_loops,
        estimate_expanded,
        estimate_with_torch,
        estimate_in_single,
        estimate_expanded_in_single,
    ],
    "lookup.audit": [
        tests_by_hand,
        tests_by_properties,
        tests_against_torch,
    ],
}
WRONG = {
    "lookup.soft_read": [
        read_square_only,
        read_squeezed,
        read_shifted_by_the_mean,
        read_of_sixteen_keys,
        read_never_quite_cold,
        read_clipped,
        read_mean,
        read_by_cosine,
        read_scaled_too,
        read_mean_temperature,
        read_largest_score_clamped,
    ],
    "lookup.leave_one_out": [
        others_plus_epsilon,
        others_at_other_places,
        others_minus_1e9,
        others_large_negative,
        others_equally,
        others_nearest,
        others_first_axis_only,
        others_minus_itself,
    ],
    "lookup.repair": [
        estimate_as_found,
        estimate_plus_epsilon,
        estimate_meddling,
        estimate_half_repaired,
        estimate_by_distance,
        estimate_mean_square,
    ],
    "lookup.audit": [tests_nothing, tests_too_much, tests_shapes_only],
}
