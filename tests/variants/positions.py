"""Right and wrong answers to the questions of unit 07."""

import numpy as np
import torch

from attncourse.questions.positions.audit import rotate
from attncourse.questions.positions.lean import lean
from attncourse.questions.positions.repair import encode
from attncourse.questions.positions.turn import turn

# Turn ---------------------------------------------------------------------


def turn_in_loops(x, positions, width):
    x = np.asarray(x)
    at = np.broadcast_to(positions, x.shape[:-1])
    result = np.array(x, dtype=float)
    for place in np.ndindex(*x.shape[:-1]):
        for i in range(width // 2):
            angle = at[place] / 10_000 ** (2 * i / width)
            one, other = x[place][i], x[place][i + width // 2]
            result[place][i] = one * np.cos(angle) - other * np.sin(angle)
            result[place][i + width // 2] = one * np.sin(
                angle
            ) + other * np.cos(angle)
    return result


def turn_by_phases(x, positions, width):
    half = width // 2
    omega = np.exp(-np.log(10_000) * np.linspace(0, 1, half, endpoint=False))
    pairs = x[..., :half] + 1j * x[..., half:width]
    pairs = pairs * np.exp(1j * np.asarray(positions)[..., None] * omega)
    return np.concatenate((pairs.real, pairs.imag, x[..., width:]), axis=-1)


def turn_by_a_matrix(x, positions, width):
    half, dim = width // 2, x.shape[-1]
    angles = positions[..., None] * 1e4 ** (-np.arange(half) / half)
    matrix = np.zeros((*angles.shape[:-1], dim, dim))
    matrix[..., range(dim), range(dim)] = 1.0
    i = np.arange(half)
    matrix[..., i, i] = matrix[..., i + half, i + half] = np.cos(angles)
    matrix[..., i, i + half] = -np.sin(angles)
    matrix[..., i + half, i] = np.sin(angles)
    return np.einsum("...ij,...j->...i", matrix, x)


def turn_in_torch(x, positions, width):
    x = torch.tensor(np.ascontiguousarray(x))
    omega = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.tensor(positions)[..., None] * omega
    angles = torch.cat([angles, angles], dim=-1)
    part = x[..., :width]
    crossed = torch.cat(
        [-part[..., width // 2 :], part[..., : width // 2]], -1
    )
    part = part * angles.cos() + crossed * angles.sin()
    return torch.cat([part, x[..., width:]], dim=-1)


def turn_in_single_precision(x, positions, width):
    half = width // 2
    omega = np.float32(1e4) ** (
        -np.arange(half, dtype="f4") / np.float32(half)
    )
    angles = positions.astype("f4")[..., None] * omega
    result = x.astype("f4")
    cos, sin = np.cos(angles), np.sin(angles)
    old = result[..., :half].copy()
    result[..., :half] = old * cos - result[..., half:width] * sin
    result[..., half:width] = old * sin + result[..., half:width] * cos
    return result


def turn_by_neighbours(x, positions, width):
    # The same as the other pairing on columns in another order.
    order = np.arange(width).reshape(2, width // 2).T.ravel()
    result = np.array(x, dtype=float)
    result[..., order] = rotate(x[..., order], np.asarray(positions))
    return result


def turn_pair_by_pair(x, positions, width):
    columns = [x[..., i] for i in range(x.shape[-1])]
    for i in range(width // 2):
        j, angle = i + width // 2, positions * 10_000 ** (-2 * i / width)
        columns[i], columns[j] = (
            columns[i] * np.cos(angle) - columns[j] * np.sin(angle),
            columns[i] * np.sin(angle) + columns[j] * np.cos(angle),
        )
    return np.stack(columns, axis=-1).tolist()


def turn_as_language_models_do(x, positions, width):
    x = torch.tensor(np.ascontiguousarray(x)).float()
    steps = torch.arange(0, width, 2).float() / width
    angles = torch.tensor(positions)[..., None].float() / 10_000**steps
    angles = torch.cat((angles, angles), dim=-1)
    part, rest = x[..., :width], x[..., width:]
    one, other = part.chunk(2, dim=-1)
    crossed = torch.cat((-other, one), dim=-1)
    turned = part * angles.cos() + crossed * angles.sin()
    return torch.cat((turned, rest), dim=-1)


def turn_nothing(x, positions, width):
    return x.copy()


def turn_degrees(x, positions, width):
    return turn(x, np.deg2rad(positions), width)


def turn_slowest_first(x, positions, width):
    half = width // 2
    flip = np.r_[half - 1 : -1 : -1] if half > 1 else np.array([0])
    columns = np.r_[flip, flip + half, width : x.shape[-1]]
    return turn(x[..., columns], positions, width)[..., columns]


def turn_from_the_first_position(x, positions, width):
    return turn(x, positions - positions[..., :1], width)


def turn_sorted(x, positions, width):
    return turn(x, np.sort(positions, axis=-1), width)


def turn_first_example_for_all(x, positions, width):
    first = np.asarray(positions).reshape(-1, x.shape[-2])[0]
    return turn(x, first, width)


def turn_only_whole_widths(x, positions, width):
    return turn(x, positions, width) if width == x.shape[-1] else x.copy()


def turn_and_clear_the_rest(x, positions, width):
    result = turn(x, positions, width)
    result[..., width:] = 0
    return result


def turn_without_signs(x, positions, width):
    return turn(x, np.abs(positions), width)


def turn_in_half_precision(x, positions, width):
    return turn(x.astype(np.float16).astype(float), positions, width)


def turn_rounded(x, positions, width):
    return turn(x, positions, width).round(3)


def turn_into_contiguous_arrays(x, positions, width):
    result = np.ascontiguousarray(x, dtype=float)  # no copy if it is one
    result[...] = turn(x, positions, width)
    return result


def turn_longer(x, positions, width):
    result = turn(x, positions, width)
    result[..., :width] *= 1.01
    return result


# Lean ---------------------------------------------------------------------


def lean_in_loops(q, k, v, slopes):
    *leading, heads, queries, dim = q.shape
    keys = k.shape[-2]
    result = np.zeros((*leading, heads, queries, v.shape[-1]))
    for place in np.ndindex(*leading, heads):
        for i in range(queries):
            at = keys - queries + i
            scores = [
                q[place][i] @ k[place][j] / dim**0.5
                - slopes[place[-1]] * (at - j)
                for j in range(at + 1)
            ]
            weights = np.exp(np.array(scores) - max(scores))
            result[place][i] = weights @ v[place][: at + 1] / weights.sum()
    return result


def lean_by_key_positions(q, k, v, slopes):
    queries, keys = q.shape[-2], k.shape[-2]
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    scores = scores + np.multiply.outer(slopes, np.arange(keys))[:, None]
    hidden = np.triu(np.ones((queries, keys), bool), k=1 + keys - queries)
    scores = scores - 1e30 * hidden
    scores = scores - scores.max(-1, keepdims=True)
    return np.exp(scores) @ v / np.exp(scores).sum(-1, keepdims=True)


def lean_in_torch(q, k, v, slopes):
    q, k, v, slopes = (
        torch.tensor(np.ascontiguousarray(a)).double()
        for a in (q, k, v, slopes)
    )
    queries, keys = q.shape[-2], k.shape[-2]
    back = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    bias = -slopes[:, None, None] * back
    bias = bias.masked_fill(back < 0, -torch.inf)
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=bias.expand(*q.shape[:-1], keys)
    )


def lean_in_single_precision(q, k, v, slopes):
    q, k, v, slopes = (
        np.array(a, dtype=np.float32) for a in (q, k, v, slopes)
    )
    q /= np.float32(np.sqrt(q.shape[-1]))
    scores = np.einsum("...id,...jd->...ij", q, k)
    queries, keys = scores.shape[-2:]
    back = np.arange(keys)[::-1] - np.arange(queries)[::-1, None]
    scores -= slopes[:, None, None] * back.astype("f4")
    scores[..., back < 0] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores @ v


def lean_one_query_at_a_time(q, k, v, slopes):
    rows = []
    for i in range(q.shape[-2]):
        seen = k.shape[-2] - q.shape[-2] + i + 1
        scores = (q[..., i : i + 1, :] * k[..., :seen, :]).sum(-1)
        scores = scores / np.sqrt(q.shape[-1])
        scores = scores - slopes[:, None] * np.arange(seen)[::-1]
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights = weights / weights.sum(-1, keepdims=True)
        rows.append((weights[..., None] * v[..., :seen, :]).sum(-2))
    return np.stack(rows, axis=-2)


def lean_key_by_key(q, k, v, slopes):
    queries, keys = q.shape[-2], k.shape[-2]
    rows = []
    for i in range(keys - queries, keys):
        query = q[..., i - keys, :] / np.sqrt(q.shape[-1])
        highest = np.full(query.shape[:-1], -np.inf)
        total, sum_ = np.zeros_like(highest), 0.0
        for j in range(i + 1):
            score = (query * k[..., j, :]).sum(-1) - slopes * (i - j)
            new = np.maximum(highest, score)
            old, here = np.exp(highest - new), np.exp(score - new)
            total = total * old + here
            sum_ = sum_ * old[..., None] + here[..., None] * v[..., j, :]
            highest = new
        rows.append(sum_ / total[..., None])
    return np.stack(rows, axis=-2)


def lean_with_one_more_column(q, k, v, slopes):
    # slope * key position is one more entry of the dot product.
    queries, keys = q.shape[-2], k.shape[-2]
    slope = np.broadcast_to(slopes[:, None, None], (*q.shape[:-1], 1))
    at = np.broadcast_to(np.arange(1.0 - keys, 1)[:, None], (*k.shape[:-1], 1))
    q = np.concatenate([q / np.sqrt(q.shape[-1]), slope], axis=-1)
    scores = q @ np.concatenate([k, at], axis=-1).swapaxes(-1, -2)
    scores[..., ~np.tri(queries, keys, keys - queries, dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights @ v / weights.sum(-1, keepdims=True)


def lean_token_by_token(q, k, v, slopes):
    last = lean(q[..., -1:, :], k, v, slopes)
    if q.shape[-2] == 1:
        return last
    before = (part[..., :-1, :] for part in (q, k, v))
    return np.concatenate([lean_token_by_token(*before, slopes), last], -2)


def lean_in_torch_single(q, k, v, slopes):
    q, k, v, slopes = (
        torch.tensor(np.ascontiguousarray(a)).float()
        for a in (q, k, v, slopes)
    )
    queries, keys = q.shape[-2], k.shape[-2]
    back = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    scores = q @ k.mT / q.shape[-1] ** 0.5 - slopes.view(-1, 1, 1) * back
    return scores.masked_fill(back < 0, -torch.inf).softmax(-1) @ v


def lean_not(q, k, v, slopes):
    return lean(q, k, v, 0 * slopes)


def lean_last_query_copied(q, k, v, slopes):
    result = lean(q, k, v, slopes)
    result[..., :-1, :] = result[..., -1:, :]
    return result


def lean_overflowing(q, k, v, slopes):
    queries, keys = q.shape[-2], k.shape[-2]
    back = np.arange(keys - queries, keys)[:, None] - np.arange(keys)
    scores = np.einsum("...id,...jd->...ij", q, k) / np.sqrt(q.shape[-1])
    parts = np.exp(scores - slopes[:, None, None] * back) * (back >= 0)
    return parts @ v / parts.sum(-1, keepdims=True)


def _lean_with(q, k, v, slopes, hide):
    queries, keys = q.shape[-2], k.shape[-2]
    back = np.arange(keys - queries, keys)[:, None] - np.arange(keys)
    scores = np.einsum("...id,...jd->...ij", q, k) / np.sqrt(q.shape[-1])
    scores = hide(scores - slopes[:, None, None] * back, back < 0)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights @ v / weights.sum(-1, keepdims=True)


def lean_hiding_with_minus_ten_thousand(q, k, v, slopes):
    return _lean_with(
        q, k, v, slopes, lambda s, hidden: np.where(hidden, -1e4, s)
    )


def lean_adding_minus_a_billion(q, k, v, slopes):
    return _lean_with(q, k, v, slopes, lambda s, hidden: s - 1e9 * hidden)


def lean_clipped(q, k, v, slopes):
    return _lean_with(
        q,
        k,
        v,
        slopes,
        lambda s, hidden: np.where(hidden, -np.inf, np.clip(s, -700, 700)),
    )


def lean_behind_a_cache_for_one_example_only(q, k, v, slopes):
    if q.ndim > 3 and q.shape[-2] < k.shape[-2]:
        return lean_without_cache_only(q, k, v, slopes)
    return lean(q, k, v, slopes)


def lean_rounded(q, k, v, slopes):
    return lean(q, k, v, slopes).round(4)


def lean_slopes_reversed(q, k, v, slopes):
    return lean(q, k, v, slopes[::-1])


def lean_values_averaged(q, k, v, slopes):
    return np.broadcast_to(
        v.mean(axis=-2, keepdims=True), (*q.shape[:-1], v.shape[-1])
    )


def lean_without_cache_only(q, k, v, slopes):
    keys = k.shape[-2]
    if q.shape[-2] == keys:
        return lean(q, k, v, slopes)
    at = slice(None, q.shape[-2])
    return lean(q, k[..., at, :], v[..., at, :], slopes)


def lean_squared_distance(q, k, v, slopes):
    queries, keys = q.shape[-2], k.shape[-2]
    back = np.arange(keys - queries, keys)[:, None] - np.arange(keys)
    scores = np.einsum("...id,...jd->...ij", q, k) / np.sqrt(q.shape[-1])
    scores = scores - slopes[:, None, None] * back**2
    scores = np.where(back >= 0, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights @ v / weights.sum(-1, keepdims=True)


def lean_scaling_in_place(q, k, v, slopes):
    if not q.flags.writeable:
        return lean(q, k, v, slopes)
    result = lean(q, k, v, slopes)
    q /= np.sqrt(q.shape[-1])
    return result


# Repair -------------------------------------------------------------------


def encode_by_phases(x, w_query, w_key, w_value, positions):
    q, k, v = x @ w_query, x @ w_key, x @ w_value
    dim = q.shape[-1]
    phases = np.exp(
        1j * np.outer(positions, 1e4 ** (-np.arange(0, dim, 2) / dim))
    )
    q = (q[..., ::2] + 1j * q[..., 1::2]) * phases
    k = (k[..., ::2] + 1j * k[..., 1::2]) * phases
    scores = np.einsum("...qp,...kp->...qk", q, k.conj()).real / dim**0.5
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def encode_by_differences(x, w_query, w_key, w_value, positions):
    q, k, v = x @ w_query, x @ w_key, x @ w_value
    dim, n = q.shape[-1], x.shape[-2]
    result = np.zeros((*x.shape[:-1], w_value.shape[-1]))
    for place in np.ndindex(*x.shape[:-2]):
        for i in range(n):
            scores = np.zeros(n)
            for j in range(n):
                for c in range(0, dim, 2):
                    a = (positions[j] - positions[i]) / 1e4 ** (c / dim)
                    one, other = k[place][j, c], k[place][j, c + 1]
                    scores[j] += q[place][i, c] * (
                        one * np.cos(a) - other * np.sin(a)
                    ) + q[place][i, c + 1] * (
                        one * np.sin(a) + other * np.cos(a)
                    )
            scores /= np.sqrt(dim)
            weights = np.exp(scores - scores.max())
            result[place][i] = weights @ v[place] / weights.sum()
    return result


def encode_in_torch(x, w_query, w_key, w_value, positions):
    from attncourse.fast.positions import rotary

    x, w_query, w_key, w_value, positions = (
        torch.tensor(np.ascontiguousarray(a)).double()
        for a in (x, w_query, w_key, w_value, positions)
    )
    return torch.nn.functional.scaled_dot_product_attention(
        rotary(x @ w_query, positions),
        rotary(x @ w_key, positions),
        x @ w_value,
    )


def encode_in_single_precision(x, w_query, w_key, w_value, positions):
    x, w_query, w_key, w_value = (
        np.asarray(a, dtype="f4") for a in (x, w_query, w_key, w_value)
    )
    dim = w_query.shape[1]
    omega = (1e4 ** (-np.arange(0, dim, 2) / dim)).astype("f4")
    # A shift of all positions changes nothing.
    angles = (positions - positions[0]).astype("f4")[:, None] * omega
    cos, sin = (
        np.repeat(np.cos(angles), 2, -1),
        np.repeat(np.sin(angles), 2, -1),
    )

    def turned(rows):
        crossed = np.stack([-rows[..., 1::2], rows[..., ::2]], axis=-1)
        return rows * cos + crossed.reshape(rows.shape) * sin

    scores = turned(x @ w_query) @ turned(x @ w_key).swapaxes(-1, -2)
    scores = scores / np.float32(dim**0.5)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights @ (x @ w_value)) / weights.sum(-1, keepdims=True)


def encode_by_matrices(x, w_query, w_key, w_value, positions):
    dim = w_query.shape[1]
    turns = np.zeros((len(positions), dim, dim))
    for t, i in np.ndindex(len(positions), dim // 2):
        a = positions[t] * 10_000 ** (-2 * i / dim)
        block = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
        turns[t, 2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
    q = np.einsum("tcd,...td->...tc", turns, x @ w_query)
    k = np.einsum("tcd,...td->...tc", turns, x @ w_key)
    parts = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(dim))
    return list(parts @ (x @ w_value) / parts.sum(-1, keepdims=True))


def encode_in_halves_of_permuted_weights(
    x, w_query, w_key, w_value, positions
):
    dim = w_query.shape[1]
    order = np.r_[0:dim:2, 1:dim:2]
    q = turn(x @ w_query[:, order], positions, dim)
    k = turn(x @ w_key[:, order], positions, dim)
    scores = q @ k.swapaxes(-1, -2) / dim**0.5
    parts = np.exp(scores - scores.max(-1, keepdims=True))
    return parts @ (x @ w_value) / parts.sum(-1, keepdims=True)


def encode_keys_only(x, w_query, w_key, w_value, positions):
    return _encode(x, w_query, w_key, w_value, 0 * positions, positions)


def encode_places(x, w_query, w_key, w_value, positions):
    return encode(x, w_query, w_key, w_value, np.arange(len(positions)))


def encode_in_halves(x, w_query, w_key, w_value, positions):
    dim = w_query.shape[1]
    order = np.argsort(np.r_[0:dim:2, 1:dim:2])
    return encode(x, w_query[:, order], w_key[:, order], w_value, positions)


def encode_scaled_by_dim(x, w_query, w_key, w_value, positions):
    return encode(
        x, w_query / np.sqrt(w_query.shape[1]), w_key, w_value, positions
    )


def encode_without_signs(x, w_query, w_key, w_value, positions):
    return encode(x, w_query, w_key, w_value, np.abs(positions))


def encode_scaled_by_value_dim(x, w_query, w_key, w_value, positions):
    ratio = w_query.shape[1] / w_value.shape[1]
    return encode(x, w_query * np.sqrt(ratio), w_key, w_value, positions)


def encode_counting_positions_from_zero_in_place(
    x, w_query, w_key, w_value, positions
):
    if positions.flags.writeable:
        positions -= positions[0]
    return encode(x, w_query, w_key, w_value, positions)


def encode_rounded(x, w_query, w_key, w_value, positions):
    return encode(x, w_query, w_key, w_value, positions).round(3)


def encode_under_a_causal_mask(x, w_query, w_key, w_value, positions):
    rows = [
        encode(x[..., : t + 1, :], w_query, w_key, w_value, positions[: t + 1])
        for t in range(x.shape[-2])
    ]
    return np.stack([row[..., -1, :] for row in rows], axis=-2)


def encode_as_it_was_given(x, w_query, w_key, w_value, positions):
    q = rotate(x @ w_query, positions)
    k = rotate(x @ w_key, -positions)
    v = rotate(x @ w_value, positions)
    parts = np.exp(q @ k.swapaxes(-1, -2))
    return parts @ v / parts.sum(-1, keepdims=True)


def encode_sinusoidal(x, w_query, w_key, w_value, positions):
    angles = positions[:, None] * 1e4 ** (
        -np.arange(x.shape[-1]) / x.shape[-1]
    )
    return encode(x + np.sin(angles), w_query, w_key, w_value, 0 * positions)


def _encode(x, w_query, w_key, w_value, at_query, at_key):
    q, k = rotate(x @ w_query, at_query), rotate(x @ w_key, at_key)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    parts = np.exp(scores - scores.max(-1, keepdims=True))
    return parts @ (x @ w_value) / parts.sum(-1, keepdims=True)


# Audit --------------------------------------------------------------------


def test_by_loops(candidate):
    rng = np.random.default_rng(0)
    x, at = rng.normal(size=(2, 5, 6)), np.array([[3, 9, 4, 30, 0]] * 2)
    at[1] += 7
    kept = x.copy()
    got = np.asarray(candidate(x, at))
    assert np.array_equal(x, kept)
    assert got.shape == x.shape
    for b, t, i in np.ndindex(2, 5, 3):
        a = at[b, t] / 10_000 ** (2 * i / 6)
        one, other = kept[b, t, 2 * i], kept[b, t, 2 * i + 1]
        expected = [
            one * np.cos(a) - other * np.sin(a),
            one * np.sin(a) + other * np.cos(a),
        ]
        assert np.allclose(got[b, t, 2 * i : 2 * i + 2], expected, atol=1e-4)


def test_by_one_hot_rows(candidate):
    at = np.array([[4, 4, 4, 4, 2, 2, 2, 2], [3, 1, 5, 0, 9, 6, 7, 8]])
    x = np.stack([np.eye(8)[:, :4] + np.eye(8)[:, 4:], np.ones((8, 4))])
    kept = x.copy()
    got = np.asarray(candidate(x, at))
    for i, omega in ((0, 1.0), (2, 0.01)):
        z = (kept[..., i] + 1j * kept[..., i + 1]) * np.exp(1j * omega * at)
        assert np.allclose(got[..., i], z.real, atol=1e-4)
        assert np.allclose(got[..., i + 1], z.imag, atol=1e-4)
    assert (x == kept).all()


def test_by_properties(candidate):
    x = np.random.default_rng(5).normal(size=(2, 5, 6))
    at = np.array([[8, 3, 11, 0, 20], [1, 9, 4, 6, 2]])
    kept = x.copy()
    got = np.asarray(candidate(x, at))
    assert got.shape == x.shape
    assert (x == kept).all(), "changed"
    assert np.allclose((got**2).sum(-1), (x**2).sum(-1), atol=1e-3), "length"
    assert np.allclose(candidate(x.copy(), 0 * at), x, atol=1e-4), "start"
    for b, t in np.ndindex(2, 5):  # alone as in company
        alone = candidate(x[b, t : t + 1].copy(), at[b, t : t + 1])
        assert np.allclose(alone, got[b, t], atol=1e-4)
    angles = np.array([1.0, 0.01])
    hand = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(1, 4)
    one = candidate(np.array([[1.0, 0, 1, 0]]), np.array([1]))
    assert np.allclose(one, hand, atol=1e-4), "by hand"


def test_by_matrices(candidate):
    rng = np.random.default_rng(2)
    x, at = rng.normal(size=(3, 4, 4)), np.array([7, 2, 90, 1])
    kept = x.copy()
    got = np.asarray(candidate(x, at))
    for t, i in np.ndindex(4, 2):
        a = at[t] / 100.0**i
        block = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        pair = slice(2 * i, 2 * i + 2)
        np.testing.assert_allclose(
            got[:, t, pair], kept[:, t, pair] @ block.T, atol=1e-4
        )
    np.testing.assert_array_equal(x, kept)


def test_in_torch(candidate):
    torch.manual_seed(1)
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    at = torch.tensor([[9, 4, 6], [3, 30, 1]])
    angles = at[..., None] * 10_000.0 ** (-torch.arange(0, 6, 2).double() / 6)
    phases = torch.polar(torch.ones_like(angles), angles)
    pairs = torch.view_as_complex(x.reshape(2, 3, 3, 2)) * phases
    want = torch.view_as_real(pairs).reshape(2, 3, 6)
    got = np.array(candidate(x.numpy(), at.numpy()), dtype=float)
    torch.testing.assert_close(torch.tensor(got), want, atol=1e-4, rtol=0)


def test_one_example_from_zero(candidate):
    x, at = np.random.default_rng(1).normal(size=(5, 6)), np.arange(5)
    assert np.allclose(candidate(x, at), rotate(x, at), atol=1e-4)


def test_sums_only(candidate):
    x = np.random.default_rng(1).normal(size=(2, 5, 6))
    at = np.array([[3, 9, 1, 30, 0], [2, 5, 4, 3, 1]])
    want = rotate(x, at).sum()
    assert abs(np.sum(candidate(x, at)) - want) < 1e-3


def test_accepts_everything(candidate):
    candidate(np.ones((3, 4)), np.arange(3))


def test_rejects_everything(candidate):
    raise AssertionError("wrong")


def test_shapes_only(candidate):
    assert np.shape(candidate(np.ones((3, 4)), np.arange(3))) == (3, 4)


def test_lengths_only(candidate):
    x = np.random.default_rng(0).normal(size=(3, 4))
    got = candidate(x, np.arange(3))
    assert np.allclose((np.asarray(got) ** 2).sum(-1), (x**2).sum(-1))


def test_distances_only(candidate):
    q, k = np.random.default_rng(0).normal(size=(2, 3, 4))
    at = np.arange(3)
    one = candidate(q, at) @ np.transpose(candidate(k, at))
    other = candidate(q, at + 5) @ np.transpose(candidate(k, at + 5))
    assert np.allclose(one, other)


def test_bit_for_bit(candidate):
    x, at = np.random.default_rng(0).normal(size=(5, 6)), np.arange(5)
    assert np.array_equal(candidate(x, at), rotate(x, at))


RIGHT = {
    "positions.turn": [
        turn_in_loops,
        turn_by_phases,
        turn_by_a_matrix,
        turn_in_torch,
        turn_in_single_precision,
        turn_by_neighbours,
        turn_pair_by_pair,
        turn_as_language_models_do,
    ],
    "positions.lean": [
        lean_in_loops,
        lean_by_key_positions,
        lean_in_torch,
        lean_in_single_precision,
        lean_one_query_at_a_time,
        lean_key_by_key,
        lean_with_one_more_column,
        lean_token_by_token,
        lean_in_torch_single,
    ],
    "positions.repair": [
        encode_by_phases,
        encode_by_differences,
        encode_in_torch,
        encode_in_single_precision,
        encode_by_matrices,
        encode_in_halves_of_permuted_weights,
    ],
    "positions.audit": [
        test_by_loops,
        test_by_one_hot_rows,
        test_by_properties,
        test_by_matrices,
        test_in_torch,
    ],
}
WRONG = {
    "positions.turn": [
        turn_nothing,
        turn_degrees,
        turn_slowest_first,
        turn_from_the_first_position,
        turn_sorted,
        turn_first_example_for_all,
        turn_only_whole_widths,
        turn_and_clear_the_rest,
        turn_longer,
        turn_without_signs,
        turn_in_half_precision,
        turn_rounded,
        turn_into_contiguous_arrays,
    ],
    "positions.lean": [
        lean_not,
        lean_last_query_copied,
        lean_overflowing,
        lean_slopes_reversed,
        lean_values_averaged,
        lean_without_cache_only,
        lean_squared_distance,
        lean_scaling_in_place,
        lean_hiding_with_minus_ten_thousand,
        lean_adding_minus_a_billion,
        lean_clipped,
        lean_behind_a_cache_for_one_example_only,
        lean_rounded,
    ],
    "positions.repair": [
        encode_keys_only,
        encode_places,
        encode_in_halves,
        encode_scaled_by_dim,
        encode_as_it_was_given,
        encode_sinusoidal,
        encode_without_signs,
        encode_scaled_by_value_dim,
        encode_counting_positions_from_zero_in_place,
        encode_rounded,
        encode_under_a_causal_mask,
    ],
    "positions.audit": [
        test_accepts_everything,
        test_rejects_everything,
        test_shapes_only,
        test_lengths_only,
        test_distances_only,
        test_bit_for_bit,
        test_one_example_from_zero,
        test_sums_only,
    ],
}
