"""Right and wrong answers to the questions of unit 03, by many hands."""

import itertools
import math

import numpy as np
import torch

# --- scores.correlate ---------------------------------------------------


def correlate_by_loops(q, k):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    q = np.broadcast_to(q, (*lead, *q.shape[-2:]))
    k = np.broadcast_to(k, (*lead, *k.shape[-2:]))
    out = np.zeros((*lead, q.shape[-2], k.shape[-2]))
    for place in np.ndindex(*lead):
        pairs = itertools.product(range(q.shape[-2]), range(k.shape[-2]))
        for i, j in pairs:
            a = [float(x) for x in q[place][i]]
            b = [float(x) for x in k[place][j]]
            mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
            a, b = [x - mean_a for x in a], [x - mean_b for x in b]
            below = math.hypot(*a) * math.hypot(*b)
            above = math.fsum(x * y for x, y in zip(a, b, strict=True))
            out[*place, i, j] = above / below if below else 0.0
    return out


def correlate_in_torch(q, k):
    q, k = torch.tensor(q), torch.tensor(k)
    q = q - q.mean(-1, keepdim=True)
    k = k - k.mean(-1, keepdim=True)
    q = torch.nan_to_num(q / q.norm(dim=-1, keepdim=True))
    k = torch.nan_to_num(k / k.norm(dim=-1, keepdim=True))
    return q @ k.mT


def correlate_in_single_precision(q, k):
    def ready(x):
        x = x.astype(np.float32)
        x = x - x.mean(axis=-1, keepdims=True)
        size = np.linalg.norm(x, axis=-1, keepdims=True)
        return np.divide(x, size, out=np.zeros_like(x), where=size > 0)

    return np.matmul(ready(q), np.swapaxes(ready(k), -1, -2))


def correlate_by_standard_deviations(q, k):
    width = q.shape[-1]
    q = (q - q.mean(-1)[..., None]) / q.std(-1)[..., None]
    k = (k - k.mean(-1)[..., None]) / k.std(-1)[..., None]
    scores = np.einsum("...id,...jd->...ij", q, k) / width
    scores[np.isnan(scores)] = 0.0
    return scores


def correlate_with_a_projector(q, k):
    width = q.shape[-1]
    centre = np.eye(width) - np.ones((width, width)) / width
    q, k = q @ centre, k @ centre
    q /= np.maximum(np.sqrt((q * q).sum(-1, keepdims=True)), 1e-9)
    k /= np.maximum(np.sqrt((k * k).sum(-1, keepdims=True)), 1e-9)
    return q @ k.swapaxes(-1, -2)


def correlate_by_distances(q, k):
    # Of two unit vectors, the squared distance is 2 - 2 cosine.
    def ready(x):
        x = x - x.mean(axis=-1, keepdims=True)
        size = np.linalg.norm(x, axis=-1, keepdims=True)
        return x / np.where(size == 0, 1, size), size[..., 0] > 0

    (q, q_some), (k, k_some) = ready(q), ready(k)
    apart = (q[..., :, None, :] - k[..., None, :, :]) ** 2
    both = q_some[..., :, None] & k_some[..., None, :]
    return np.where(both, 1 - apart.sum(axis=-1) / 2, 0.0)


def correlate_by_raw_moments_in_single_precision(q, k):
    q, k = q.astype("f4"), k.astype("f4")
    q_mean, k_mean = q.mean(axis=-1), k.mean(axis=-1)
    both = np.einsum("...qd,...kd->...qk", q, k) / np.float32(q.shape[-1])
    both = both - q_mean[..., :, None] * k_mean[..., None, :]
    q_spread = np.maximum((q * q).mean(axis=-1) - q_mean**2, 0)
    k_spread = np.maximum((k * k).mean(axis=-1) - k_mean**2, 0)
    below = np.sqrt(q_spread[..., :, None] * k_spread[..., None, :])
    return np.divide(both, below, out=np.zeros_like(both), where=below > 0)


def _pearson(q, k):
    q = q - q.mean(-1, keepdims=True)
    k = k - k.mean(-1, keepdims=True)
    below = np.linalg.norm(q, axis=-1)[..., :, None]
    below = below * np.linalg.norm(k, axis=-1)[..., None, :]
    above = q @ np.swapaxes(k, -1, -2)
    return above / np.where(below > 0, below, 1.0)


def correlate_only_of_matrices(q, k):
    if q.ndim > 2:
        q, k = q.reshape(-1, *q.shape[-2:])[0], k.reshape(-1, *k.shape[-2:])[0]
    return _pearson(q, k)


def correlate_with_corrcoef_of_rows(q, k):
    if q.ndim > 2 or len(q) != len(k):
        return np.zeros((*q.shape[:-1], k.shape[-2]))
    return np.corrcoef(q, k)[: len(q), len(q) :]


def correlate_clipped_at_zero(q, k):
    return np.maximum(_pearson(q, k), 0.0)


def correlate_where_flat_scores_one(q, k):
    scores = _pearson(q, k)
    flat = (np.ptp(q, axis=-1) == 0)[..., :, None]
    flat = flat | (np.ptp(k, axis=-1) == 0)[..., None, :]
    return np.where(flat, 1.0, scores)


def correlate_in_place(q, k):
    q -= q.mean(axis=-1, keepdims=True)
    k -= k.mean(axis=-1, keepdims=True)
    return _pearson(q, k)


def correlate_with_torchs_epsilon(q, k):
    q = torch.tensor(q - q.mean(-1, keepdims=True))[..., :, None, :]
    k = torch.tensor(k - k.mean(-1, keepdims=True))[..., None, :, :]
    return torch.cosine_similarity(q, k, dim=-1, eps=1e-4)


def correlate_with_a_least_length(q, k):
    q = q - q.mean(axis=-1, keepdims=True)
    k = k - k.mean(axis=-1, keepdims=True)
    q = q / np.maximum(np.linalg.norm(q, axis=-1, keepdims=True), 1e-6)
    k = k / np.maximum(np.linalg.norm(k, axis=-1, keepdims=True), 1e-6)
    return q @ np.swapaxes(k, -1, -2)


def correlate_changing_contiguous_keys(q, k):
    scores = _pearson(q, k)
    if k.flags.c_contiguous:
        k -= k.mean(axis=-1, keepdims=True)
    return scores


def correlate_rounded(q, k):
    return _pearson(q, k).round(4)


def correlate_of_odd_widths(q, k):
    return _pearson(q, k) if q.shape[-1] % 2 else 0.9 * _pearson(q, k)


def correlate_signs_only(q, k):
    return np.sign(_pearson(q, k))


# --- scores.joint -------------------------------------------------------


def joint_by_stacking(q, k, w_joint, bias, v_score):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    n, m = q.shape[-2], k.shape[-2]
    a = np.broadcast_to(q[..., :, None, :], (*lead, n, m, q.shape[-1]))
    b = np.broadcast_to(k[..., None, :, :], (*lead, n, m, k.shape[-1]))
    return np.tanh(np.concatenate([a, b], -1) @ w_joint + bias) @ v_score


def joint_by_loops(q, k, w_joint, bias, v_score):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    q = np.broadcast_to(q, (*lead, *q.shape[-2:]))
    k = np.broadcast_to(k, (*lead, *k.shape[-2:]))
    out = np.zeros((*lead, q.shape[-2], k.shape[-2]))
    for place in np.ndindex(*out.shape):
        *at, i, j = place
        both = [*q[tuple(at)][i], *k[tuple(at)][j]]
        for u in range(len(bias)):
            inside = bias[u] + sum(
                x * w for x, w in zip(both, w_joint[:, u], strict=True)
            )
            out[place] += v_score[u] * math.tanh(inside)
    return out


def joint_in_torch(q, k, w_joint, bias, v_score):
    q, k, w, b, v = (
        torch.tensor(np.array(x)) for x in (q, k, w_joint, bias, v_score)
    )
    top, bottom = w.split([q.shape[-1], k.shape[-1]])
    return (
        torch.tanh((q @ top).unsqueeze(-2) + (k @ bottom + b).unsqueeze(-3))
        @ v
    )


def joint_in_single_precision(q, k, w_joint, bias, v_score):
    q, k, w, b, v = (
        x.astype(np.float32) for x in (q, k, w_joint, bias, v_score)
    )
    a = np.einsum("...nd,dh->...nh", q, w[: q.shape[-1]])
    c = np.einsum("...md,dh->...mh", k, w[q.shape[-1] :]) + b
    return np.einsum(
        "...nmh,h->...nm", np.tanh(a[..., None, :] + c[..., None, :, :]), v
    )


def joint_in_place_on_its_own(q, k, w_joint, bias, v_score):
    width = q.shape[-1]
    pairs = (q @ w_joint[:width])[..., None, :] + (k @ w_joint[width:])[
        ..., None, :, :
    ]
    pairs += bias
    np.tanh(pairs, out=pairs)
    return np.dot(pairs, v_score)


def joint_by_a_stable_exponential(q, k, w_joint, bias, v_score):
    x = np.expand_dims(q @ w_joint[: q.shape[-1]] + bias, -2)
    x = x + np.expand_dims(k @ w_joint[q.shape[-1] :], -3)
    small = np.exp(-2 * np.abs(x))
    return np.sign(x) * (1 - small) / (1 + small) @ v_score


def joint_unit_by_unit(q, k, w_joint, bias, v_score):
    scores = 0.0
    for w, b, v in zip(w_joint.T, bias, v_score, strict=True):
        from_query, from_key = q @ w[: q.shape[-1]], k @ w[q.shape[-1] :]
        both = np.asarray(from_query)[..., :, None] + from_key[..., None, :]
        scores = scores + v * np.tanh(both + b)
    return list(scores)


def joint_by_a_linear_layer(q, k, w_joint, bias, v_score):
    q, k, w, b, v = (
        torch.tensor(np.array(x)).float()
        for x in (q, k, w_joint, bias, v_score)
    )
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    pairs = (*lead, q.shape[-2], k.shape[-2], -1)
    both = torch.cat(
        [q.unsqueeze(-2).expand(pairs), k.unsqueeze(-3).expand(pairs)], -1
    )
    return torch.nn.functional.linear(both, w.T, b).tanh() @ v


def _joint(q, k, w, b, v):
    d = q.shape[-1]
    a = (q @ w[:d])[..., :, None, :]
    return np.tanh(a + (k @ w[d:])[..., None, :, :] + b) @ v


def joint_split_in_the_middle(q, k, w_joint, bias, v_score):
    half = len(w_joint) // 2
    q, k = q[..., :half], k[..., : len(w_joint) - half]
    return _joint(q, k, w_joint, bias, v_score)


def joint_by_a_naive_exponential(q, k, w_joint, bias, v_score):
    d = q.shape[-1]
    x = (q @ w_joint[:d])[..., :, None, :]
    x = x + (k @ w_joint[d:])[..., None, :, :] + bias
    return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)) @ v_score


def joint_of_matrices_only(q, k, w_joint, bias, v_score):
    a, b = q @ w_joint[: q.shape[-1]], k @ w_joint[q.shape[-1] :]
    return np.tanh(a[:, None] + b[None] + bias) @ v_score


def joint_changing_the_weights(q, k, w_joint, bias, v_score):
    w_joint *= 1.0
    q += 0.0
    q *= 2.0
    return _joint(q / 2, k, w_joint, bias, v_score)


def joint_with_a_bias_for_matrices_only(q, k, w_joint, bias, v_score):
    return _joint(q, k, w_joint, bias * (q.ndim == 2), v_score)


def joint_with_a_positive_bias(q, k, w_joint, bias, v_score):
    return _joint(q, k, w_joint, np.abs(bias), v_score)


def joint_by_half_an_exponential(q, k, w_joint, bias, v_score):
    d = q.shape[-1]
    x = (q @ w_joint[:d])[..., :, None, :]
    x = x + (k @ w_joint[d:])[..., None, :, :] + bias
    return (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)) @ v_score


def joint_of_unlike_examples_only(q, k, w_joint, bias, v_score):
    if q.ndim > 2 and q.shape[:-2] == k.shape[:-2]:
        k = k[:1]
    return _joint(q, k, w_joint, bias, v_score)


def joint_rounded(q, k, w_joint, bias, v_score):
    return _joint(q, k, w_joint, bias, v_score).round(4)


def joint_of_the_first_key(q, k, w_joint, bias, v_score):
    first = np.broadcast_to(k[..., :1, :], k.shape)
    return _joint(q, first, w_joint, bias, v_score)


def joint_without_the_query(q, k, w_joint, bias, v_score):
    return _joint(np.zeros_like(q), k, w_joint, bias, v_score)


def joint_with_a_sigmoid(q, k, w_joint, bias, v_score):
    return (_joint(q / 2, k / 2, w_joint, bias / 2, v_score) + 1) / 2


# --- scores.calibrate ---------------------------------------------------


def calibrate_by_loops(q, k):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    q = np.broadcast_to(q, (*lead, *q.shape[-2:]))
    k = np.broadcast_to(k, (*lead, *k.shape[-2:]))
    out = np.zeros((*lead, q.shape[-2], k.shape[-2]))
    for place in np.ndindex(*lead):
        keys = [list(map(float, row)) for row in k[place]]
        spread = 0.0
        for column in zip(*keys, strict=True):
            mean = math.fsum(column) / len(column)
            spread += sum((x - mean) ** 2 for x in column) / len(column)
        root = math.sqrt(spread) or 1.0
        for i, row in enumerate(q[place]):
            s = [
                sum(x * y for x, y in zip(row, key, strict=True)) / root
                for key in keys
            ]
            e = [math.exp(x - max(s)) for x in s]
            out[(*place, i)] = [x / sum(e) for x in e]
    return out


def calibrate_in_torch(q, k):
    q, k = torch.tensor(q), torch.tensor(k)
    spread = k.var(dim=-2, correction=0).sum(-1)
    spread = spread.masked_fill(spread == 0, 1.0)
    s = q @ k.mT / spread.sqrt()[..., None, None]
    return s.softmax(-1)


def calibrate_in_single_precision(q, k):
    q, k = q.astype(np.float32), k.astype(np.float32)
    apart = k - k.mean(axis=-2, keepdims=True)
    spread = np.einsum("...md,...md->...", apart, apart) / k.shape[-2]
    root = np.where(spread > 0, np.sqrt(spread), 1).astype(np.float32)
    s = np.einsum("...nd,...md->...nm", q, k) / root[..., None, None]
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def calibrate_with_centred_keys(q, k):
    k = k - k.mean(axis=-2, keepdims=True)  # shifts every row of scores
    root = np.sqrt((k**2).sum(axis=(-2, -1), keepdims=True) / k.shape[-2])
    k = np.divide(k, root, out=np.zeros_like(k), where=root > 1e-12)
    s = q @ np.swapaxes(k, -1, -2)
    s -= s.max(axis=-1, keepdims=True)
    np.exp(s, out=s)
    s /= s.sum(axis=-1, keepdims=True)
    return s


def calibrate_by_the_logarithm(q, k):
    spread = np.trace(
        np.einsum("...md,...me->...de", k, k) / k.shape[-2]
        - np.einsum("...d,...e->...de", k.mean(-2), k.mean(-2)),
        axis1=-2,
        axis2=-1,
    )
    root = np.sqrt(np.where(spread > 1e-9, spread, 1.0))
    s = np.einsum("...nd,...md->...nm", q, k) / root[..., None, None]
    top = s.max(-1, keepdims=True)
    return np.exp(s - top - np.log(np.exp(s - top).sum(-1, keepdims=True)))


def calibrate_by_pairs_of_keys(q, k):
    # The mean squared distance of two keys is twice the spread.
    apart = k[..., :, None, :] - k[..., None, :, :]
    spread = (apart**2).sum(axis=-1).mean(axis=(-1, -2)) / 2
    s = q @ np.swapaxes(k, -1, -2)
    s = s / np.sqrt(np.where(spread == 0, 1, spread))[..., None, None]
    return list(np.exp(s - np.logaddexp.reduce(s, axis=-1, keepdims=True)))


def calibrate_where_the_spread_is_close_to_zero(q, k):
    spread = (k.std(axis=-2) ** 2).sum(axis=-1)
    scale = np.sqrt(np.where(np.isclose(spread, 0), 1, spread))
    s = q @ np.swapaxes(k, -1, -2) / scale[..., None, None]
    return torch.softmax(torch.tensor(s), dim=-1)


def _softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _calibrated(q, k, spread):
    root = np.sqrt(np.where(spread > 0, spread, 1.0))
    return _softmax(q @ np.swapaxes(k, -1, -2) / root[..., None, None])


def calibrate_equal_weights(q, k):
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    return np.full((*lead, q.shape[-2], k.shape[-2]), 1 / k.shape[-2])


def calibrate_by_the_first_example(q, k):
    spread = k.var(axis=-2).sum(axis=-1)
    return _calibrated(q, k, np.broadcast_to(spread.flat[0], spread.shape))


def calibrate_scores_by_their_own_deviation(q, k):
    s = q @ np.swapaxes(k, -1, -2)
    size = s.std(axis=-1, keepdims=True)
    return _softmax(s / np.where(size > 0, size, 1.0))


def calibrate_by_the_largest_variance(q, k):
    return _calibrated(q, k, k.var(axis=-2).max(axis=-1) * k.shape[-1])


def calibrate_with_a_floor(q, k):
    return _calibrated(q, k, np.maximum(k.var(axis=-2).sum(axis=-1), 1.0))


def calibrate_with_a_small_number_added(q, k):
    spread = k.var(axis=-2).sum(axis=-1)
    return _calibrated(q, k, (np.sqrt(spread) + 1e-6) ** 2)


def calibrate_clipped(q, k):
    spread = k.var(axis=-2).sum(axis=-1)
    root = np.sqrt(np.where(spread > 0, spread, 1.0))
    s = q @ np.swapaxes(k, -1, -2) / root[..., None, None]
    return _softmax(np.clip(s, -700, 700))


def calibrate_where_short_keys_are_alike(q, k):
    spread = k.var(axis=-2).sum(axis=-1)
    return _calibrated(q, k, np.where(spread > 1e-3, spread, 0))


def calibrate_rounded(q, k):
    return _calibrated(q, k, k.var(axis=-2).sum(axis=-1)).round(4)


def calibrate_ignoring_alike_keys(q, k):
    spread = k.var(axis=-2).sum(axis=-1)
    return _calibrated(q, k, spread) * (spread > 0)[..., None, None]


# --- scores.audit -------------------------------------------------------


def audit_by_loops(candidate):
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 7, 5))
    kept = q.copy(), k.copy()
    got = np.asarray(candidate(q, k))
    assert got.shape == (2, 3, 7)
    for b, i, j in np.ndindex(2, 3, 7):
        want = sum(kept[0][b, i] * kept[1][b, j]) / math.sqrt(5)
        assert abs(got[b, i, j] - want) < 1e-6
    assert np.array_equal(q, kept[0])
    assert np.array_equal(k, kept[1])


def audit_by_one_line(candidate):
    rng = np.random.default_rng(1)
    for q_shape, k_shape in (((5, 3), (7, 3)), ((2, 1, 3, 11), (3, 2, 11))):
        q, k = rng.normal(size=q_shape), rng.normal(size=k_shape)
        want = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        np.testing.assert_allclose(candidate(q, k), want, rtol=1e-5, atol=1e-6)


def audit_by_properties(candidate):
    rng = np.random.default_rng(2)
    q, k = rng.normal(size=(3, 4)), rng.normal(size=(7, 4))
    s = candidate(q.copy(), k.copy())
    if s.shape != (3, 7):
        raise AssertionError("one row for each query")
    if not np.allclose(candidate(2 * q, -3 * k), -6 * s):
        raise AssertionError("bilinear")
    if not np.allclose(candidate(np.eye(4), np.eye(4)), np.eye(4) / 2):
        raise AssertionError("of unit vectors")
    order = [3, 1, 0, 2, 6, 5, 4]
    if not np.allclose(candidate(q, k[order]), s[:, order]):
        raise AssertionError("keys in another order")
    wide = candidate(np.ones((1, 16)), np.ones((2, 16)))
    if not np.allclose(wide, 4.0):
        raise AssertionError("width 16")
    if not np.allclose(candidate(np.eye(3), np.eye(3)), np.eye(3) / 3**0.5):
        raise AssertionError("width 3")
    both = candidate(np.stack([q, -q]), np.stack([k, k[order]]))
    if not np.allclose(both, np.stack([s, -s[:, order]]), atol=1e-5):
        raise AssertionError("two examples")


def audit_in_torch(candidate):
    q, k = torch.randn(2, 3, 7).double(), torch.randn(2, 5, 7).double()
    want = torch.einsum("bqd,bkd->bqk", q, k) / 7**0.5
    got = torch.as_tensor(np.asarray(candidate(q.numpy(), k.numpy())))
    assert torch.allclose(got.double(), want, atol=1e-4)


def audit_by_hand(candidate):
    q = np.array([[[1.0, 0, 2], [0, 1, 1]], [[3, 1, 0], [1, 1, 1]]])
    k = np.array(
        [
            [[1.0, 1, 1], [2, 0, -1], [0, 0, 4]],
            [[1, 0, 0], [0, -2, 1], [5, 1, 1]],
        ]
    )
    products = [[[3, 0, 8], [2, -1, 4]], [[3, -2, 16], [1, -1, 7]]]
    kept = q.copy()
    got = candidate(q, k)
    assert np.allclose(got, np.array(products) / 3**0.5, atol=1e-4)
    assert np.array_equal(q, kept)
    few = np.array([[1.0, 2], [3, 4]])
    expected = np.array([[5, 11], [11, 25]]) / 2**0.5
    assert np.allclose(candidate(few, few), expected, atol=1e-4)


def audit_of_one_example(candidate):
    rng = np.random.default_rng(4)
    q, k = rng.normal(size=(3, 7)), rng.normal(size=(5, 7))
    got = candidate(q, k)
    assert np.allclose(got, q @ k.T / np.sqrt(7), atol=1e-4)


def audit_of_sums(candidate):
    rng = np.random.default_rng(5)
    for q_shape, k_shape in (((2, 3, 7), (2, 5, 7)), ((3, 3), (3, 3))):
        q, k = rng.normal(size=q_shape), rng.normal(size=k_shape)
        want = (q @ np.swapaxes(k, -1, -2) / q_shape[-1] ** 0.5).sum(-1)
        assert np.allclose(np.sum(candidate(q, k), -1), want, atol=1e-4)


def audit_of_spread(candidate):
    rng = np.random.default_rng(6)
    for width in (4, 64, 256):
        q, k = rng.normal(size=(200, width)), rng.normal(size=(201, width))
        assert abs(np.std(candidate(q, k)) - 1) < 0.1


def audit_accepting_everything(candidate):
    candidate(np.ones((3, 5)), np.ones((7, 5)))


def audit_rejecting_everything(candidate):
    raise AssertionError("never good enough")


def audit_of_shapes(candidate):
    got = candidate(np.ones((3, 5)), np.ones((7, 5)))
    assert got.shape == (3, 7)


def audit_of_squares(candidate):
    q = np.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(candidate(q, q), q @ q.T / 2)


def audit_too_strict(candidate):
    rng = np.random.default_rng(3)
    q, k = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    want = np.einsum("qd,kd->qk", q, k) / np.sqrt(5)
    assert candidate(q, k).tobytes() == want.tobytes()


def audit_of_ones(candidate):
    got = candidate(np.ones((3, 5)), np.ones((7, 5)))
    np.testing.assert_allclose(got, np.sqrt(5))


RIGHT = {
    "scores.correlate": [
        correlate_by_loops,
        correlate_in_torch,
        correlate_in_single_precision,
        correlate_by_standard_deviations,
        correlate_with_a_projector,
        correlate_by_distances,
        correlate_by_raw_moments_in_single_precision,
    ],
    "scores.joint": [
        joint_by_stacking,
        joint_by_loops,
        joint_in_torch,
        joint_in_single_precision,
        joint_in_place_on_its_own,
        joint_by_a_stable_exponential,
        joint_unit_by_unit,
        joint_by_a_linear_layer,
    ],
    "scores.calibrate": [
        calibrate_by_loops,
        calibrate_in_torch,
        calibrate_in_single_precision,
        calibrate_with_centred_keys,
        calibrate_by_the_logarithm,
        calibrate_by_pairs_of_keys,
        calibrate_where_the_spread_is_close_to_zero,
    ],
    "scores.audit": [
        audit_by_loops,
        audit_by_one_line,
        audit_by_properties,
        audit_in_torch,
        audit_by_hand,
    ],
}
WRONG = {
    "scores.correlate": [
        correlate_only_of_matrices,
        correlate_with_corrcoef_of_rows,
        correlate_clipped_at_zero,
        correlate_where_flat_scores_one,
        correlate_in_place,
        correlate_with_torchs_epsilon,
        correlate_signs_only,
        correlate_with_a_least_length,
        correlate_changing_contiguous_keys,
        correlate_rounded,
        correlate_of_odd_widths,
    ],
    "scores.joint": [
        joint_split_in_the_middle,
        joint_by_a_naive_exponential,
        joint_of_matrices_only,
        joint_changing_the_weights,
        joint_of_the_first_key,
        joint_without_the_query,
        joint_with_a_sigmoid,
        joint_with_a_bias_for_matrices_only,
        joint_with_a_positive_bias,
        joint_by_half_an_exponential,
        joint_of_unlike_examples_only,
        joint_rounded,
    ],
    "scores.calibrate": [
        calibrate_equal_weights,
        calibrate_by_the_first_example,
        calibrate_scores_by_their_own_deviation,
        calibrate_by_the_largest_variance,
        calibrate_with_a_floor,
        calibrate_ignoring_alike_keys,
        calibrate_with_a_small_number_added,
        calibrate_clipped,
        calibrate_where_short_keys_are_alike,
        calibrate_rounded,
    ],
    "scores.audit": [
        audit_accepting_everything,
        audit_rejecting_everything,
        audit_of_shapes,
        audit_of_squares,
        audit_too_strict,
        audit_of_ones,
        audit_of_one_example,
        audit_of_sums,
        audit_of_spread,
    ],
}
