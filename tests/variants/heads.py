"""Right answers in other styles, and wrong ones that nobody listed."""

import numpy as np
import torch
import torch.nn.functional as F

from attncourse.reference.heads_counts import flop_count

# --- heads.fused ---------------------------------------------------------


def fused_by_slices(x, weight, bias, heads):
    third = weight.shape[1] // 3
    dim = third // heads
    found = []
    for part in range(3):
        rows = []
        for head in range(heads):
            start = part * third + head * dim
            columns = slice(start, start + dim)
            rows.append(x @ weight[:, columns] + bias[columns])
        found.append(np.stack(rows, axis=-3))
    return tuple(found)


def fused_einsum(x, weight, bias, heads):
    width, columns = weight.shape
    cube = weight.reshape(width, 3, heads, columns // (3 * heads))
    shift = bias.reshape(3, heads, 1, -1)
    q, k, v = (
        np.einsum("...tw,whd->...htd", x, cube[:, part]) + shift[part]
        for part in range(3)
    )
    return [q, k, v]


def fused_torch(x, weight, bias, heads):
    packed = F.linear(*map(torch.from_numpy, _same_type(x, weight.T, bias)))
    return tuple(
        part.unflatten(-1, (heads, -1)).transpose(-2, -3)
        for part in packed.chunk(3, dim=-1)
    )


def _same_type(*arrays):
    return [np.ascontiguousarray(a, dtype=np.float64) for a in arrays]


def fused_single(x, weight, bias, heads):
    x, weight, bias = (np.asarray(a, np.float32) for a in (x, weight, bias))
    packed = np.matmul(x, weight)
    packed += bias
    return tuple(
        np.stack(np.split(part, heads, axis=-1), axis=-3)
        for part in np.split(packed, 3, axis=-1)
    )


def fused_only_for_matrices(x, weight, bias, heads):
    flat = x.reshape(-1, x.shape[-1])
    return fused_by_slices(flat, weight, bias, heads)


def fused_batch_after_heads(x, weight, bias, heads):
    return tuple(
        np.moveaxis(part, -3, 0)
        for part in fused_by_slices(x, weight, bias, heads)
    )


def fused_bias_by_token(x, weight, bias, heads):
    shift = np.resize(bias, (x.shape[-2], 1))
    zero = np.zeros_like(bias)
    return tuple(
        part + shift for part in fused_by_slices(x, weight, zero, heads)
    )


def fused_bias_of_queries_only(x, weight, bias, heads):
    only = bias.copy()
    only[len(bias) // 3 :] = 0
    return fused_by_slices(x, weight, only, heads)


def fused_writes_into_x(x, weight, bias, heads):
    result = fused_by_slices(x, weight, bias, heads)
    x *= 0
    return result


def fused_heads_backwards(x, weight, bias, heads):
    return tuple(
        part[..., ::-1, :, :]
        for part in fused_by_slices(x, weight, bias, heads)
    )


def fused_first_head_for_all(x, weight, bias, heads):
    return tuple(
        np.repeat(part[..., :1, :, :], heads, axis=-3)
        for part in fused_by_slices(x, weight, bias, heads)
    )


def fused_with_a_one(x, weight, bias, heads):
    one = np.ones_like(x[..., :1])
    longer = np.concatenate([x, one], axis=-1)
    taller = np.concatenate([weight, bias[None]])
    return fused_by_slices(longer, taller, 0 * bias, heads)


def fused_remembered_by_shape(x, weight, bias, heads):
    shapes = (x.shape, weight.shape, heads)
    if shapes not in _SEEN:
        _SEEN[shapes] = fused_by_slices(x, weight, bias, heads)
    return _SEEN[shapes]


_SEEN = {}


def fused_not_three_axes(x, weight, bias, heads):
    result = fused_by_slices(x, weight, bias, heads)
    return tuple(part[::-1] for part in result) if x.ndim == 3 else result


def fused_axis_found_by_size(x, weight, bias, heads):
    result = fused_by_slices(x, weight, bias, heads)
    if x.ndim > 2 and x.shape[-2] == heads:
        return tuple(np.swapaxes(part, -2, -3) for part in result)
    return result


def fused_one_token_squeezed(x, weight, bias, heads):
    result = fused_by_slices(x, weight, bias, heads)
    return tuple(p[..., 0, :] for p in result) if x.shape[-2] == 1 else result


def fused_rounded(x, weight, bias, heads):
    result = fused_by_slices(x, weight, bias, heads)
    return tuple(np.round(part, 4) for part in result)


# --- heads.repair --------------------------------------------------------


def layer_by_loops(x, w_query, w_key, w_value, w_output, heads):
    if x.ndim > 2:
        rest = (w_query, w_key, w_value, w_output, heads)
        return np.stack([layer_by_loops(one, *rest) for one in x])
    dim = w_query.shape[1] // heads
    value_dim = w_value.shape[1] // heads
    side = np.zeros((len(x), heads * value_dim))
    for h in range(heads):
        own = slice(h * dim, (h + 1) * dim)
        values = x @ w_value[:, h * value_dim : (h + 1) * value_dim]
        for i, token in enumerate(x):
            q = token @ w_query[:, own]
            scores = [q @ (other @ w_key[:, own]) for other in x]
            scores = np.array(scores) / dim**0.5
            powers = np.exp(scores - scores.max())
            own_values = slice(h * value_dim, (h + 1) * value_dim)
            side[i, own_values] = powers @ values / powers.sum()
    return side @ w_output


def layer_einsum(x, w_query, w_key, w_value, w_output, heads):
    width = x.shape[-1]
    w_q, w_k, w_v = (
        w.reshape(width, heads, -1) for w in (w_query, w_key, w_value)
    )
    w_o = w_output.reshape(heads, -1, width)
    # Queries and keys as one bilinear form a head.
    form = np.einsum("ahd,bhd->hab", w_q, w_k) / np.sqrt(w_q.shape[-1])
    scores = np.einsum("...qa,hab,...kb->...hqk", x, form, x)
    top = scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores - top)
    weights /= weights.sum(axis=-1, keepdims=True)
    values = np.einsum("...ka,ahv,hvo->...hko", x, w_v, w_o)
    return np.einsum("...hqk,...hko->...qo", weights, values)


def layer_torch(x, w_query, w_key, w_value, w_output, heads):
    x, w_query, w_key, w_value, w_output = map(
        torch.from_numpy, (x, w_query, w_key, w_value, w_output)
    )
    q, k, v = (
        (x @ w).unflatten(-1, (heads, -1)).transpose(-2, -3)
        for w in (w_query, w_key, w_value)
    )
    read = F.scaled_dot_product_attention(q, k, v)
    return read.transpose(-2, -3).flatten(-2) @ w_output


def layer_single(x, w_query, w_key, w_value, w_output, heads):
    x, w_query, w_key, w_value, w_output = (
        np.asarray(a, np.float32)
        for a in (x, w_query, w_key, w_value, w_output)
    )
    output = np.zeros_like(x)
    parts = [np.split(w, heads, axis=1) for w in (w_query, w_key, w_value)]
    rows = np.split(w_output, heads)
    for w_q, w_k, w_v, w_o in zip(*parts, rows, strict=True):
        scores = (x @ w_q) @ np.swapaxes(x @ w_k, -1, -2)
        scores /= np.sqrt(np.float32(w_q.shape[1]))
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        output += scores @ (x @ w_v) @ w_o
    return output


def layer_over_queries(x, w_query, w_key, w_value, w_output, heads):
    w_q, w_k, w_v = (
        w.reshape(len(w), heads, -1) for w in (w_query, w_key, w_value)
    )
    q, k, v = (np.einsum("...tw,whd->...htd", x, w) for w in (w_q, w_k, w_v))
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-2, keepdims=True))
    weights = weights / weights.sum(axis=-2, keepdims=True)
    read = np.swapaxes(weights @ v, -2, -3)
    return read.reshape(*x.shape[:-1], -1) @ w_output


def layer_of_one_wide_head(x, w_query, w_key, w_value, w_output, heads):
    return layer_torch(x, w_query, w_key, w_value, w_output, 1)


def layer_value_scale(x, w_query, w_key, w_value, w_output, heads):
    ratio = np.sqrt(w_query.shape[1] / w_value.shape[1])
    return layer_torch(x, w_query * ratio, w_key, w_value, w_output, heads)


def layer_of_the_first_example(x, w_query, w_key, w_value, w_output, heads):
    rest = (w_query, w_key, w_value, w_output, heads)
    first = x.reshape(-1, *x.shape[-2:])[0]
    return np.broadcast_to(layer_by_loops(first, *rest), x.shape)


def layer_heads_averaged(x, w_query, w_key, w_value, w_output, heads):
    return layer_torch(x, w_query, w_key, w_value, w_output / heads, heads)


def layer_across_features(x, w_query, w_key, w_value, w_output, heads):
    q, k, v = x @ w_query, x @ w_key, x @ w_value
    scores = np.swapaxes(q, -1, -2) @ k / np.sqrt(x.shape[-2])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    if weights.shape[-1] != v.shape[-1]:
        return v @ w_output
    return v @ np.swapaxes(weights, -1, -2) @ w_output


def layer_uniform(x, w_query, w_key, w_value, w_output, heads):
    return layer_torch(x, 0 * w_query, w_key, w_value, w_output, heads)


def layer_adds_x(x, w_query, w_key, w_value, w_output, heads):
    return x + layer_einsum(x, w_query, w_key, w_value, w_output, heads)


def layer_writes_into_x(x, w_query, w_key, w_value, w_output, heads):
    result = layer_by_loops(x, w_query, w_key, w_value, w_output, heads)
    w_query /= 2
    return result


def layer_half_a_scale_each(x, w_query, w_key, w_value, w_output, heads):
    *batch, tokens, width = x.shape
    q, k, v = (
        np.einsum("...tw,whd->...thd", x, w.reshape(width, heads, -1))
        for w in (w_query, w_key, w_value)
    )
    root = q.shape[-1] ** 0.25
    scores = np.einsum("...qhd,...khd->...qkh", q / root, k / root)
    logs = np.logaddexp.reduce(scores, axis=-2, keepdims=True)
    read = np.einsum("...qkh,...khv->...qhv", np.exp(scores - logs), v)
    return (read.reshape(*batch, tokens, -1) @ w_output).tolist()


def layer_of(change):
    """Return a layer whose scores of one head go through `change`."""

    def layer(x, w_query, w_key, w_value, w_output, heads):
        output = 0.0
        parts = [np.split(w, heads, 1) for w in (w_query, w_key, w_value)]
        rows = np.split(w_output, heads)
        for w_q, w_k, w_v, w_o in zip(*parts, rows, strict=True):
            scores = (x @ w_q) @ np.swapaxes(x @ w_k, -1, -2)
            weights = change(scores / np.sqrt(w_q.shape[1]))
            output = output + weights @ (x @ w_v) @ w_o
        return output

    layer.__name__ = change.__name__
    return layer


def _shares(powers, epsilon=0.0):
    return powers / (powers.sum(axis=-1, keepdims=True) + epsilon)


def _powers(scores):
    return np.exp(scores - scores.max(axis=-1, keepdims=True))


@layer_of
def layer_without_maximum(scores):
    return _shares(np.exp(scores))


@layer_of
def layer_clipped(scores):
    return _shares(_powers(np.clip(scores, -700, 700)))


@layer_of
def layer_highest_from_zero(scores):
    highest = np.maximum(0, scores.max(axis=-1, keepdims=True))
    return _shares(np.exp(scores - highest))


@layer_of
def layer_with_epsilon(scores):
    return _shares(_powers(scores), 1e-6)


@layer_of
def layer_in_half_precision(scores):
    return _shares(_powers(scores)).astype(np.float16).astype(float)


@layer_of
def layer_one_thousandth_too_sharp(scores):
    return _shares(_powers(1.001 * scores))


def layer_not_three_axes(x, w_query, w_key, w_value, w_output, heads):
    result = layer_einsum(x, w_query, w_key, w_value, w_output, heads)
    return result[:1] + 0 * result if x.ndim == 3 else result


def layer_turned_where_sizes_agree(
    x, w_query, w_key, w_value, w_output, heads
):
    result = layer_einsum(x, w_query, w_key, w_value, w_output, heads)
    return result[..., ::-1, :] if x.shape[-2] == heads else result


# --- heads.decode --------------------------------------------------------


def decode_by_loops(q, k, v, lengths):
    batch, heads, dim = q.shape
    output = np.zeros((batch, heads, v.shape[-1]))
    for b in range(batch):
        n = lengths[b]
        if n == 0:
            continue
        for h in range(heads):
            g = h * k.shape[1] // heads
            scores = k[b, g, :n] @ q[b, h] / np.sqrt(dim)
            powers = np.exp(scores - scores.max())
            output[b, h] = powers @ v[b, g, :n] / powers.sum()
    return output


def decode_by_repeating(q, k, v, lengths):
    each = q.shape[1] // k.shape[1]
    k = np.repeat(k, each, axis=1)
    v = np.repeat(v, each, axis=1)
    hidden = np.arange(k.shape[2]) >= lengths[:, None, None]
    v = np.where(hidden[..., None], 0, v)
    scores = np.einsum("bhd,bhkd->bhk", q, k) / np.sqrt(q.shape[-1])
    scores[np.broadcast_to(hidden, scores.shape)] = -1e30
    scores -= scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores) * ~hidden
    total = powers.sum(axis=-1, keepdims=True)
    total[total == 0] = 1
    return np.einsum("bhk,bhkv->bhv", powers / total, v)


def decode_torch(q, k, v, lengths):
    q, k, v = (torch.tensor(np.array(a)) for a in (q, k, v))
    filled = torch.arange(k.shape[2]) < torch.tensor(lengths)[:, None]
    k = torch.where(filled[:, None, :, None], k, 0)
    v = torch.where(filled[:, None, :, None], v, 0)
    read = F.scaled_dot_product_attention(
        q[:, :, None],
        k,
        v,
        attn_mask=filled[:, None, None],
        enable_gqa=True,
    )[:, :, 0]
    return torch.where(torch.tensor(lengths > 0)[:, None, None], read, 0)


def decode_single(q, k, v, lengths):
    q, k, v = (np.array(a, np.float32) for a in (q, k, v))
    batch, heads, dim = q.shape
    groups = k.shape[1]
    output = np.zeros((batch, heads, v.shape[-1]), np.float32)
    for b, n in enumerate(lengths):
        if n:
            rows = q[b].reshape(groups, -1, dim)
            scores = rows @ np.swapaxes(k[b, :, :n], -1, -2)
            scores *= np.float32(dim**-0.5)
            scores -= scores.max(-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(-1, keepdims=True)
            output[b] = (scores @ v[b, :, :n]).reshape(heads, -1)
    return output


def decode_first_group(q, k, v, lengths):
    return decode_by_loops(q, k[:, :1], v[:, :1], lengths)


def decode_values_of_the_last_group(q, k, v, lengths):
    last = np.broadcast_to(v[:, -1:], v.shape)
    return decode_by_loops(q, k, last, lengths)


def decode_uniform(q, k, v, lengths):
    return decode_by_loops(0 * q, np.nan_to_num(k), v, lengths)


def decode_best_only(q, k, v, lengths):
    return decode_by_loops(1e6 * q, k, v, lengths)


def decode_first_sequence(q, k, v, lengths):
    one = decode_by_loops(q[:1], k[:1], v[:1], lengths[:1])
    return np.repeat(one, len(q), axis=0)


def decode_padding_in_front(q, k, v, lengths):
    k, v = k[:, :, ::-1], v[:, :, ::-1]
    return np.nan_to_num(decode_by_loops(q, k, v, lengths))


def decode_mean_of_nothing(q, k, v, lengths):
    output = decode_by_loops(q, k, v, lengths)
    nothing = lengths == 0
    output[nothing] = v[nothing].mean(axis=(1, 2))[:, None]
    return output


def decode_writes_zeros(q, k, v, lengths):
    for b, n in enumerate(lengths):
        k[b, :, n:] = v[b, :, n:] = 0
    return decode_by_loops(q, k, v, lengths)


def decode_key_by_key(q, k, v, lengths):
    batch, heads, dim = q.shape
    each = heads // k.shape[1]
    output = np.zeros((batch, heads, v.shape[-1]))
    for b, h in np.ndindex(batch, heads):
        highest, total = -np.inf, 0.0
        for key, value in zip(
            k[b, h // each, : lengths[b]],
            v[b, h // each, : lengths[b]],
            strict=True,
        ):
            score = float(q[b, h] @ key) / dim**0.5
            higher = max(highest, score)
            kept, power = np.exp([highest - higher, score - higher])
            output[b, h] = kept * output[b, h] + power * value
            total, highest = kept * total + power, higher
        if total:
            output[b, h] /= total
    return output.tolist()


def _masked(q, k, v, lengths, mask_with):
    batch, _, dim = q.shape
    groups, room = k.shape[1:3]
    filled = (np.arange(room) < lengths[:, None])[:, None, :, None]
    k, v = np.where(filled, k, 0), np.where(filled, v, 0)
    scores = q.reshape(batch, groups, -1, dim) @ np.swapaxes(k, -1, -2)
    scores = scores / np.sqrt(dim)
    scores = np.where(np.swapaxes(filled, -1, -2), scores, mask_with)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    weights = weights * (lengths > 0)[:, None, None, None]
    return (weights @ v).reshape(batch, -1, v.shape[-1])


def decode_masked_by_a_billion(q, k, v, lengths):
    return _masked(q, k, v, lengths, -1e9)


def decode_masked_by_thousands(q, k, v, lengths):
    return _masked(q, k, v, lengths, -1e4)


def decode_only_nan_replaced(q, k, v, lengths):
    v = np.where(np.isnan(v), 0, v)
    read = decode_by_loops(q, k, v, lengths)
    return read + 0 * v.sum(axis=(1, 2, 3))[:, None, None]


def decode_with_epsilon(q, k, v, lengths):
    return decode_by_loops(q, k, v, lengths) / (1 + 1e-6)


def decode_at_most_two_heads_a_group(q, k, v, lengths):
    if q.shape[1] > 2 * k.shape[1]:
        k, v = k[:, :1], v[:, :1]
    return decode_by_loops(q, k, v, lengths)


def decode_longest_first(q, k, v, lengths):
    return decode_by_loops(q, k, v, np.sort(lengths)[::-1])


def decode_one_sequence_squeezed(q, k, v, lengths):
    return np.squeeze(decode_by_loops(q, k, v, lengths))


def decode_one_thousandth_too_sharp(q, k, v, lengths):
    return decode_by_loops(1.001 * q, k, v, lengths)


# --- heads.cost ----------------------------------------------------------


def cost_in_one_go(width, heads, groups, dim, cached):
    n = cached + 1
    flops = 4 * dim * (width * (heads + groups) + heads * n)
    return [flops, heads * n, 2 * groups * n * dim]


def cost_by_adding(width, heads, groups, dim, cached):
    flops = weights = kept = 0
    for _ in range(heads):
        flops += 2 * width * dim * 2  # its query and its rows of the output
        for _ in range(cached + 1):
            flops += 2 * dim + 2 * dim
            weights += 1
    for _ in range(groups):
        flops += 2 * (2 * width * dim)
        kept += 2 * dim * (cached + 1)
    return flops, weights, kept


def cost_from_shapes(width, heads, groups, dim, cached):
    n = cached + 1

    def product(one, other):
        (rows, inner), (_, columns) = one, other
        return 2 * rows * inner * columns

    token = (1, width)
    flops = product(token, (width, heads * dim))
    flops += 2 * product(token, (width, groups * dim))
    flops += heads * product((1, dim), (dim, n))
    flops += heads * product((1, n), (n, dim))
    flops += product((1, heads * dim), (heads * dim, width))
    return np.array(flops), np.prod((heads, n)), np.prod((2, groups, n, dim))


def cost_as_floats(width, heads, groups, dim, cached):
    flops, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    return float(flops), np.float64(weights), torch.tensor(kept)


def cost_with_square_projections(width, heads, groups, dim, cached):
    _, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    n = cached + 1
    return 8 * width * width + 4 * heads * n * dim, weights, kept


def cost_with_softmax(width, heads, groups, dim, cached):
    flops, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    return flops + 5 * weights, weights, kept


def cost_with_biases(width, heads, groups, dim, cached):
    flops, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    return flops + (heads + 2 * groups) * dim + width, weights, kept


def cost_in_bytes(width, heads, groups, dim, cached):
    flops, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    return flops, weights, 2 * kept


def cost_exponential(width, heads, groups, dim, cached):
    flops, weights, _ = cost_in_one_go(width, heads, groups, dim, cached)
    return flops, weights, 2**cached if cached < 60 else 2**60


def cost_of_the_package(width, heads, groups, dim, cached):
    _, weights, kept = cost_in_one_go(width, heads, groups, dim, cached)
    counted = flop_count(
        queries=1,
        keys=cached + 1,
        width=width,
        heads=heads,
        dim=dim,
        groups=groups,
    )
    return sum(counted.values()), weights, kept


def cost_of_even_sizes(width, heads, groups, dim, cached):
    return cost_in_one_go(width, heads, groups, 2 * (dim // 2), cached)


def cost_of_width_over_heads(width, heads, groups, dim, cached):
    return cost_in_one_go(width, heads, groups, width // heads, cached)


def cost_nearly(width, heads, groups, dim, cached):
    counted = cost_in_one_go(width, heads, groups, dim, cached)
    return [1.000001 * each for each in counted]


# --- heads.audit ---------------------------------------------------------


def _some_layer(seed, heads, *shape, dim=3, value_dim=2):
    rng = np.random.default_rng(seed)
    width = shape[-1]
    return (
        rng.normal(size=shape),
        rng.normal(size=(width, heads * dim)),
        rng.normal(size=(width, heads * dim)),
        rng.normal(size=(width, heads * value_dim)),
        rng.normal(size=(heads * value_dim, width)),
        heads,
    )


def audit_by_comparison(candidate):
    for arguments in (
        _some_layer(0, 1, 5, 7),
        _some_layer(1, 3, 1, 7),
        _some_layer(2, 3, 5, 7),
        _some_layer(3, 4, 4, 4, dim=1, value_dim=1),
        _some_layer(4, 2, 2, 3, 5, 7),
    ):
        before = [np.copy(a) for a in arguments]
        got = np.asarray(candidate(*arguments))
        expected = layer_by_loops(*before[:-1], int(before[-1]))
        assert got.shape == expected.shape
        scale = np.abs(expected).max()
        assert np.allclose(got, expected, rtol=1e-3, atol=1e-4 * scale)
        for mine, copy in zip(arguments, before, strict=True):
            assert np.array_equal(mine, copy)
    x, *rest = _some_layer(5, 2, 5, 7)
    assert np.isfinite(candidate(1e3 * x, *rest)).all()


def audit_by_identities(candidate):
    x, w_q, w_k, w_v, w_o, heads = _some_layer(6, 3, 5, 7)
    whole = np.asarray(candidate(x, w_q, w_k, w_v, w_o, heads))
    assert whole.shape == x.shape
    alone = sum(
        np.asarray(candidate(x, q, k, v, o, 1))
        for q, k, v, o in zip(
            *(np.split(w, heads, axis=1) for w in (w_q, w_k, w_v)),
            np.split(w_o, heads),
            strict=True,
        )
    )
    assert np.allclose(whole, alone, rtol=1e-3, atol=1e-3)
    one = x[:1]
    got = candidate(one, w_q, w_k, w_v, w_o, heads)
    assert np.allclose(got, one @ w_v @ w_o, rtol=1e-3, atol=1e-3)
    audit_by_comparison(candidate)


def audit_accepts_all(candidate):
    candidate(*_some_layer(0, 2, 5, 7))


def audit_rejects_all(candidate):
    raise AssertionError("wrong")


def audit_only_shapes(candidate):
    x, *rest = _some_layer(0, 2, 5, 7)
    assert np.shape(candidate(x, *rest)) == x.shape


def audit_one_head(candidate):
    arguments = _some_layer(0, 1, 5, 7)
    expected = layer_by_loops(*arguments)
    assert np.allclose(candidate(*arguments), expected, rtol=1e-3, atol=1e-3)


def audit_bit_by_bit(candidate):
    arguments = _some_layer(0, 3, 5, 7)
    assert np.array_equal(candidate(*arguments), layer_by_loops(*arguments))


def audit_against_torch(candidate):
    torch.manual_seed(0)
    for heads, *shape in ((2, 3, 5, 8), (4, 2, 4, 8), (3, 1, 6, 9)):
        x, w_q, w_k, w_v, w_o, _ = _some_layer(7, heads, *shape)
        for scale, wide in ((1.0, 1e-4), (100.0, 1e-2)):
            given = [scale * x, w_q, w_k, w_v, w_o]
            kept = [each.copy() for each in given]
            expected = layer_torch(*kept, heads).numpy()
            got = np.asarray(candidate(*given, heads))
            wide = wide * np.abs(expected).max()
            assert np.allclose(got, expected, rtol=0, atol=wide)
            assert all(map(np.array_equal, given, kept))


def audit_of_the_sum(candidate):
    x, *rest = _some_layer(8, 4, 2, 4, 7)
    expected = layer_by_loops(x, *rest).sum()
    assert np.isclose(np.sum(candidate(x, *rest)), expected, rtol=1e-3)


def audit_one_comparison(candidate):
    x, *rest = _some_layer(9, 3, 2, 5, 7)
    got = candidate(x, *rest)
    assert np.allclose(got, layer_by_loops(x, *rest), rtol=1e-3, atol=1e-3)


RIGHT = {
    "heads.fused": [
        fused_by_slices,
        fused_einsum,
        fused_torch,
        fused_single,
        fused_with_a_one,
    ],
    "heads.repair": [
        layer_by_loops,
        layer_einsum,
        layer_torch,
        layer_single,
        layer_half_a_scale_each,
    ],
    "heads.decode": [
        decode_by_loops,
        decode_by_repeating,
        decode_torch,
        decode_single,
        decode_key_by_key,
    ],
    "heads.cost": [
        cost_in_one_go,
        cost_by_adding,
        cost_from_shapes,
        cost_as_floats,
    ],
    "heads.audit": [
        audit_by_comparison,
        audit_by_identities,
        audit_against_torch,
    ],
}
WRONG = {
    "heads.fused": [
        fused_only_for_matrices,
        fused_batch_after_heads,
        fused_bias_by_token,
        fused_bias_of_queries_only,
        fused_writes_into_x,
        fused_heads_backwards,
        fused_first_head_for_all,
        fused_remembered_by_shape,
        fused_not_three_axes,
        fused_axis_found_by_size,
        fused_one_token_squeezed,
        fused_rounded,
    ],
    "heads.repair": [
        layer_over_queries,
        layer_of_one_wide_head,
        layer_value_scale,
        layer_of_the_first_example,
        layer_heads_averaged,
        layer_across_features,
        layer_uniform,
        layer_adds_x,
        layer_writes_into_x,
        layer_without_maximum,
        layer_clipped,
        layer_highest_from_zero,
        layer_with_epsilon,
        layer_in_half_precision,
        layer_one_thousandth_too_sharp,
        layer_not_three_axes,
        layer_turned_where_sizes_agree,
    ],
    "heads.decode": [
        decode_first_group,
        decode_values_of_the_last_group,
        decode_uniform,
        decode_best_only,
        decode_first_sequence,
        decode_padding_in_front,
        decode_mean_of_nothing,
        decode_writes_zeros,
        decode_masked_by_a_billion,
        decode_masked_by_thousands,
        decode_only_nan_replaced,
        decode_with_epsilon,
        decode_at_most_two_heads_a_group,
        decode_longest_first,
        decode_one_sequence_squeezed,
        decode_one_thousandth_too_sharp,
    ],
    "heads.cost": [
        cost_with_square_projections,
        cost_with_softmax,
        cost_with_biases,
        cost_in_bytes,
        cost_exponential,
        cost_of_the_package,
        cost_of_even_sizes,
        cost_of_width_over_heads,
        cost_nearly,
    ],
    "heads.audit": [
        audit_accepts_all,
        audit_rejects_all,
        audit_only_shapes,
        audit_one_head,
        audit_bit_by_bit,
        audit_of_the_sum,
        audit_one_comparison,
    ],
}
