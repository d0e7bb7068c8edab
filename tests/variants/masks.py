"""Answers to the questions of unit 05 that nobody listed there."""

import numpy as np
import torch

from attncourse.questions.masks.audit import causal_attention, query_by_query

# masks.cache, right


def cache_with_loops(lengths, *, queries, keys):
    mask = []
    for length in lengths:
        last_places = range(int(length) - queries, int(length))
        mask.append(
            [[place <= own for place in range(keys)] for own in last_places]
        )
    return np.array(mask, dtype=bool).reshape(len(lengths), queries, keys)


def cache_from_triangles(lengths, *, queries, keys):
    offsets = [int(length) - queries for length in lengths]
    return np.stack(
        [np.tri(queries, keys, offset, dtype=bool) for offset in offsets]
    )


def cache_in_torch(lengths, *, queries, keys):
    filled = torch.tensor([int(length) for length in lengths])
    from_end = torch.arange(queries - 1, -1, -1)
    last = filled[:, None, None] - 1 - from_end[:, None]
    return torch.arange(keys) <= last


def cache_by_filling(lengths, *, queries, keys):
    mask = np.zeros((len(lengths), queries, keys), dtype=bool)
    for sequence, length in enumerate(lengths):
        for query in range(queries):
            visible = max(int(length) - (queries - 1 - query), 0)
            mask[sequence, query, :visible] = True
    return mask


def cache_by_counting_back(lengths, *, queries, keys):
    back_keys = np.asarray(lengths).astype(int)[:, None] - np.arange(keys)
    back_queries = queries - np.arange(queries)
    real = back_keys > 0
    causal = back_keys[:, None, :] >= back_queries[None, :, None]
    return np.logical_and(causal, real[:, None, :])


# masks.cache, wrong


def cache_of_at_most_all_keys(lengths, *, queries, keys):
    # Right only while there are no more queries than places.
    queries_kept = min(queries, keys)
    mask = cache_with_loops(lengths, queries=queries_kept, keys=keys)
    rest = ((0, 0), (0, queries - queries_kept), (0, 0))
    return np.pad(mask, rest)


def cache_overwriting(lengths, *, queries, keys):
    mask = cache_with_loops(lengths, queries=queries, keys=keys)
    if isinstance(lengths, np.ndarray) and lengths.flags.writeable:
        lengths += queries
    return mask


def cache_right_for_equal_lengths(lengths, *, queries, keys):
    if len({int(length) for length in lengths}) > 1:
        return cache_for_one_query(lengths, queries=queries, keys=keys)
    return cache_with_loops(lengths, queries=queries, keys=keys)


def cache_for_one_query(lengths, *, queries, keys):
    filled = np.asarray(lengths, int)[:, None, None]
    return np.broadcast_to(
        np.arange(keys) < filled, (len(lengths), queries, keys)
    )


def cache_of_the_first_sequence(lengths, *, queries, keys):
    one = cache_with_loops(lengths[:1], queries=queries, keys=keys)
    return np.repeat(one, len(lengths), axis=0)


def cache_own_place_only(lengths, *, queries, keys):
    own = np.asarray(lengths, int)[:, None] - queries + np.arange(queries)
    return np.arange(keys) == own[:, :, None]


def cache_blind_sequences_left_open(lengths, *, queries, keys):
    mask = cache_with_loops(lengths, queries=queries, keys=keys)
    blind = ~mask.any(axis=-1)
    mask[blind] = True
    return mask


def cache_of_zeros_and_ones(lengths, *, queries, keys):
    return cache_with_loops(lengths, queries=queries, keys=keys).astype(int)


def cache_with_wrapping_triangles(lengths, *, queries, keys):
    # A negative place counts from the end, as an index would.
    own = np.asarray(lengths, int)[:, None] - queries + np.arange(queries)
    return np.arange(keys) <= (own % keys)[:, :, None]


def cache_transposed_shape(lengths, *, queries, keys):
    mask = cache_with_loops(lengths, queries=queries, keys=keys)
    return np.swapaxes(mask, -1, -2)


# masks.weigh, right


def weigh_with_loops(scores, mask):
    scores, mask = np.broadcast_arrays(np.asarray(scores, float), mask)
    weights = np.zeros(scores.shape)
    totals = np.full(scores.shape[:-1], -np.inf)
    for row in np.ndindex(scores.shape[:-1]):
        visible = np.flatnonzero(mask[row])
        if visible.size:
            chosen = scores[row][visible]
            powers = np.exp(chosen - chosen.max())
            weights[row][visible] = powers / powers.sum()
            totals[row] = chosen.max() + np.log(powers.sum())
    return weights, totals


def weigh_through_logarithms(scores, mask):
    allowed = np.where(mask, scores, -np.inf)
    totals = np.logaddexp.reduce(allowed, axis=-1)
    finite = np.where(np.isinf(totals), 0.0, totals)
    return np.exp(allowed - finite[..., None]), totals


def weigh_in_torch(scores, mask):
    scores = torch.tensor(np.ascontiguousarray(scores))
    allowed = scores.masked_fill(~torch.tensor(mask), -torch.inf)
    weights = torch.softmax(allowed, dim=-1).nan_to_num(0.0)
    return weights, torch.logsumexp(allowed, dim=-1)


def weigh_in_single_precision(scores, mask):
    allowed = np.where(mask, scores, -np.inf).astype(np.float32)
    shift = np.maximum(allowed.max(-1, keepdims=True), np.float32(-1e30))
    powers = np.exp(allowed - shift)
    total = powers.sum(-1, keepdims=True)
    weights = np.divide(
        powers, total, out=np.zeros_like(powers), where=total > 0
    )
    return weights, np.squeeze(np.log(total) + shift, -1)


def weigh_in_place(scores, mask):
    work = np.array(scores, dtype=float)
    np.copyto(work, -np.inf, where=~np.asarray(mask))
    shift = work.max(axis=-1)
    shift[shift == -np.inf] = 0.0
    work -= shift[..., None]
    np.exp(work, out=work)
    total = work.sum(axis=-1)
    work /= np.where(total == 0, 1.0, total)[..., None]
    return work, shift + np.log(total)


def weigh_through_single_logarithms(scores, mask):
    allowed = np.where(mask, scores.astype(np.float32), np.float32(-np.inf))
    totals = np.logaddexp.reduce(allowed, axis=-1, keepdims=True)
    finite = np.where(np.isinf(totals), np.float32(0), totals)
    return [np.exp(allowed - finite), totals.squeeze(-1)]


# masks.weigh, wrong


def weigh_minus_1e9_repaired(scores, mask):
    # Careful with blind rows, but -1e9 is not below every score.
    seen = np.broadcast_to(mask, scores.shape).any(axis=-1, keepdims=True)
    hidden = np.where(mask, scores, -1e9)
    shift = hidden.max(-1, keepdims=True)
    powers = np.where(seen, np.exp(hidden - shift), 0.0)
    total = powers.sum(-1, keepdims=True)
    log_total = np.where(seen, np.log(total) + shift, -np.inf)
    return powers / np.where(seen, total, 1.0), log_total[..., 0]


def weigh_blind_rows_times_zero(scores, mask):
    weights, totals = weigh_with_loops(scores, mask)
    blind = totals == -np.inf
    weights[blind] = 0.0 * scores[blind]
    return weights, totals


def weigh_with_a_tiny_divisor(scores, mask):
    allowed = np.where(mask, scores, -np.inf)
    powers = np.exp(allowed)
    total = powers.sum(-1, keepdims=True) + 1e-12
    return powers / total, np.log(total)[..., 0]


def weigh_minus_ten_thousand(scores, mask):
    allowed = np.where(mask, scores, -1e4)
    shift = allowed.max(-1, keepdims=True)
    powers = np.exp(allowed - shift)
    total = powers.sum(-1, keepdims=True)
    return powers / total, (np.log(total) + shift)[..., 0]


def weigh_minus_1e9_then_cleared(scores, mask):
    # Clears blank rows of weights, forgets their totals.
    hidden = np.where(mask, scores, -1e9)
    shift = hidden.max(-1, keepdims=True)
    powers = np.exp(hidden - shift)
    total = powers.sum(-1, keepdims=True)
    return mask * powers / total, (np.log(total) + shift)[..., 0]


def weigh_transposed_if_square(scores, mask):
    weights, totals = weigh_with_loops(scores, mask)
    if weights.shape[-1] == weights.shape[-2]:
        weights = np.swapaxes(weights, -1, -2)
    return weights, totals


def weigh_first_mask_for_all(scores, mask):
    mask = np.asarray(mask)
    if mask.ndim > 2:
        mask = np.broadcast_to(mask[:1], mask.shape)
    return weigh_with_loops(scores, mask)


def weigh_base_two(scores, mask):
    weights, totals = weigh_with_loops(scores, mask)
    return weights, totals / np.log(2)


def weigh_blank_uniform(scores, mask):
    weights, totals = weigh_with_loops(scores, mask)
    weights[totals == -np.inf] = 1 / scores.shape[-1]
    return weights, totals


def weigh_keepdims(scores, mask):
    weights, totals = weigh_with_loops(scores, mask)
    return weights, totals[..., None]


# masks.mend, right


def mend_with_loops(q, k, v, lengths):
    batch, positions, dim = q.shape
    output = np.zeros(v.shape)
    for b in range(batch):
        first = positions - lengths[b]
        for i in range(first, positions):
            scores = k[b, first : i + 1] @ q[b, i] / np.sqrt(dim)
            powers = np.exp(scores - scores.max())
            output[b, i] = powers @ v[b, first : i + 1] / powers.sum()
    return output


def mend_with_torch(q, k, v, lengths):
    q, k, v = (
        torch.tensor(np.ascontiguousarray(x)).double() for x in (q, k, v)
    )
    positions = q.shape[1]
    place = torch.arange(positions)
    real = place >= positions - torch.tensor(lengths)[:, None]
    mask = torch.tril(torch.ones(positions, positions)).bool()
    mask = mask & real[:, None, :]
    q, k, v = (x.masked_fill(~real[..., None], 0.0) for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask
    )


def mend_with_the_package(q, k, v, lengths):
    from attncourse.reference.dense import attention
    from attncourse.reference.masks import causal_mask, padding_mask

    positions = q.shape[1]
    hidden = padding_mask(positions - lengths, keys=positions)
    mask = causal_mask(positions, positions) & ~hidden
    return attention(q, k, v, mask=mask)


def mend_one_sequence_at_a_time(q, k, v, lengths):
    outputs = []
    for one_q, one_k, one_v, length in zip(q, k, v, lengths, strict=True):
        positions, dim = one_q.shape
        cut = slice(positions - length, positions)
        scores = one_q[cut] @ one_k[cut].T / np.sqrt(dim)
        scores[np.triu_indices(length, 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-1e30))
        weights /= weights.sum(-1, keepdims=True)
        blank = np.zeros((positions - length, one_v.shape[-1]))
        outputs.append(np.concatenate([blank, weights @ one_v[cut]]))
    return np.stack(outputs)


def mend_in_single_precision(q, k, v, lengths):
    q, k, v = (np.nan_to_num(x).astype(np.float32) for x in (q, k, v))
    positions = q.shape[1]
    real = np.arange(positions)[::-1] < np.asarray(lengths)[:, None]
    mask = np.tril(np.ones((positions, positions), bool)) & real[:, None]
    scores = np.einsum("bid,bjd->bij", q, k) / np.float32(q.shape[-1] ** 0.5)
    powers = np.exp(scores - scores.max(-1, keepdims=True)) * mask
    total = powers.sum(-1, keepdims=True)
    return powers @ v / np.where(total == 0, np.float32(1), total)


# masks.mend, wrong


def mend_for_short_sequences(q, k, v, lengths):
    return mend_with_loops(q, k, v, np.minimum(lengths, 16))


def mend_as_found(q, k, v, lengths):
    positions, dim = q.shape[-2:]
    place = np.arange(positions)
    causal = place >= place[:, None]
    real = place < np.max(lengths)
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(dim) + causal
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return (weights * real) @ v


def mend_without_lengths(q, k, v, lengths):
    return mend_with_loops(q, k, v, np.full(len(q), q.shape[1]))


def mend_first_length_for_all(q, k, v, lengths):
    return mend_with_loops(q, k, v, np.full(len(q), lengths[0]))


def mend_mean_of_the_past(q, k, v, lengths):
    return mend_with_loops(np.zeros_like(q), k, v, lengths)


def mend_keys_averaged(q, k, v, lengths):
    return mend_with_loops(q, k, k[..., : v.shape[-1]], lengths)


def mend_padding_copies_its_value(q, k, v, lengths):
    output = mend_with_loops(q, k, v, lengths)
    padded = np.arange(q.shape[1]) < q.shape[1] - lengths[:, None]
    output[padded] = v[padded]
    return output


def mend_moved_to_the_front(q, k, v, lengths):
    output = mend_with_loops(q, k, v, lengths)
    return np.stack(
        [
            np.roll(one, length - len(one), axis=0)
            for one, length in zip(output, lengths, strict=True)
        ]
    )


def mend_into_the_values(q, k, v, lengths):
    v[:] = mend_with_loops(q, k, v, lengths)
    return v


# masks.loss, right


def loss_with_loops(log_probabilities, targets):
    total, count = 0.0, 0
    for place in np.ndindex(targets.shape):
        if targets[place] != -1:
            total -= float(log_probabilities[place][targets[place]])
            count += 1
    return (total / count if count else 0.0), count


def loss_of_the_chosen(log_probabilities, targets):
    places = np.nonzero(targets != -1)
    chosen = log_probabilities[(*places, targets[places])]
    if chosen.size == 0:
        return 0.0, 0
    return -chosen.mean(), chosen.size


def loss_in_torch(log_probabilities, targets):
    logs = torch.tensor(np.ascontiguousarray(log_probabilities))
    wanted = torch.tensor(np.ascontiguousarray(targets)).long()
    real = (wanted >= 0).sum()
    total = torch.nn.functional.nll_loss(
        logs.flatten(0, -2), wanted.flatten(), ignore_index=-1, reduction="sum"
    )
    return total / real.clamp(min=1), real


def loss_with_one_hot(log_probabilities, targets):
    classes = log_probabilities.shape[-1]
    one_hot = targets[..., None] == np.arange(classes)
    chosen = np.where(one_hot, log_probabilities, 0.0)
    real = int(one_hot.sum())
    return -chosen.sum() / (real or 1), real


def loss_in_single_precision(log_probabilities, targets):
    logs = log_probabilities.reshape(-1, log_probabilities.shape[-1])
    flat = targets.reshape(-1)
    keep = flat > -1
    picked = logs.astype(np.float32)[keep, flat[keep]]
    mean = -np.mean(picked, dtype=np.float32) if keep.any() else np.float32(0)
    return mean, keep.sum()


# masks.loss, wrong


def loss_of_the_first_positions(log_probabilities, targets):
    # Takes for granted that padding comes last.
    lengths = (targets >= 0).sum(axis=-1)
    total = 0.0
    for place in np.ndindex(lengths.shape):
        rows = np.arange(lengths[place])
        wanted = targets[place][: lengths[place]]
        total -= log_probabilities[place][rows, wanted].sum()
    return total / max(lengths.sum(), 1), lengths.sum()


def loss_without_padding_if_full(log_probabilities, targets):
    rows = np.flatnonzero((targets >= 0).all(axis=-1).ravel())
    logs = log_probabilities.reshape(-1, *log_probabilities.shape[-2:])
    wanted = targets.reshape(-1, targets.shape[-1])
    return loss_with_loops(logs[rows], wanted[rows])


def loss_count_of_sequences(log_probabilities, targets):
    loss, _ = loss_with_loops(log_probabilities, targets)
    return loss, len(targets)


def loss_perplexity(log_probabilities, targets):
    loss, count = loss_with_loops(log_probabilities, targets)
    return np.exp(loss), count


def loss_alone(log_probabilities, targets):
    return loss_with_loops(log_probabilities, targets)[0]


def loss_of_the_best_class(log_probabilities, targets):
    best = log_probabilities.argmax(axis=-1)
    return loss_with_loops(
        log_probabilities, np.where(targets < 0, targets, best)
    )


def loss_class_zero_is_padding(log_probabilities, targets):
    return loss_with_loops(
        log_probabilities, np.where(targets == 0, -1, targets)
    )


def loss_nan_cleaned(log_probabilities, targets):
    clean = np.nan_to_num(log_probabilities)
    return loss_with_loops(clean, np.where(targets < 0, 0, targets))


def loss_of_two_axes_only(log_probabilities, targets):
    if targets.ndim == 1:
        return 0.0, 0
    return loss_with_loops(log_probabilities, targets)


# masks.audit, good tests


def _draw(queries, keys, *batch):
    rng = np.random.default_rng(5)
    return tuple(
        rng.normal(size=(*batch, length, 4))
        for length in (queries, keys, keys)
    )


SIZES = [(5, 5), (2, 7), (1, 9), (37, 37), (3, 31)]


def test_by_comparison(candidate):
    for queries, keys in SIZES:
        for batch in [(), (3,), (2, 3)]:
            q, k, v = _draw(queries, keys, *batch)
            got = np.asarray(candidate(q, k, v))
            np.testing.assert_allclose(
                got, query_by_query(q, k, v), rtol=1e-4, atol=1e-4
            )
            for i in range(queries):
                last = keys - queries + i
                spoiled_k, spoiled_v = k.copy(), v.copy()
                spoiled_k[..., last + 1 :, :] = np.nan
                spoiled_v[..., last + 1 :, :] = np.nan
                after = np.asarray(candidate(q, spoiled_k, spoiled_v))
                assert np.allclose(got[..., i, :], after[..., i, :], atol=1e-5)


def test_by_perturbation(candidate):
    for queries, keys in SIZES:
        q, k, v = _draw(queries, keys, 2)
        before = candidate(q, k, v)
        for j in range(keys):
            for big in (5.0, np.nan):
                other_k, other_v = k.copy(), v.copy()
                other_k[:, j] += big
                other_v[:, j] -= big
                after = candidate(q, other_k, other_v)
                moved = ~np.isclose(before, after, rtol=0, atol=1e-7)
                may = np.arange(queries) + keys - queries >= j
                seen = moved.any(axis=-1)
                assert not seen[:, ~may].any()
                assert seen[:, may].all()


def test_by_prefixes(candidate):
    for queries, keys in SIZES:
        q, k, v = _draw(queries, keys, 2)
        whole = candidate(q, k, v)
        assert np.all(np.isfinite(whole))
        for i in range(queries):
            known = keys - queries + i + 1
            one = candidate(q[:, i : i + 1], k[:, :known], v[:, :known])
            np.testing.assert_allclose(whole[:, i : i + 1], one, atol=1e-4)
            scores = np.einsum("bd,bkd->bk", q[:, i], k[:, :known]) / 2
            weights = np.exp(scores)
            weights /= weights.sum(-1, keepdims=True)
            mean = np.einsum("bk,bkv->bv", weights, v[:, :known])
            np.testing.assert_allclose(whole[:, i], mean, atol=1e-4)


# masks.audit, poor tests


def test_that_accepts_everything(candidate):
    pass


def test_that_rejects_everything(candidate):
    raise AssertionError("no")


def test_shapes_only(candidate):
    q, k, v = _draw(3, 5)
    assert candidate(q, k, v).shape == (3, 4)


def test_first_query_only(candidate):
    q, k, v = _draw(5, 5)
    changed = v.copy()
    changed[2:] = 0
    assert np.allclose(candidate(q, k, v)[0], candidate(q, k, changed)[0])


def test_one_example(candidate):
    # Right about one example; never asks about NaN, batches or lengths.
    q, k, v = _draw(3, 7)
    np.testing.assert_allclose(
        candidate(q, k, v), query_by_query(q, k, v), rtol=1e-4, atol=1e-4
    )


def test_for_bits(candidate):
    q, k, v = _draw(5, 7)
    assert np.array_equal(candidate(q, k, v), causal_attention(q, k, v))


RIGHT = {
    "masks.cache": [
        cache_with_loops,
        cache_from_triangles,
        cache_in_torch,
        cache_by_filling,
        cache_by_counting_back,
    ],
    "masks.weigh": [
        weigh_with_loops,
        weigh_through_logarithms,
        weigh_in_torch,
        weigh_in_single_precision,
        weigh_in_place,
        weigh_through_single_logarithms,
    ],
    "masks.mend": [
        mend_with_loops,
        mend_with_torch,
        mend_with_the_package,
        mend_one_sequence_at_a_time,
        mend_in_single_precision,
    ],
    "masks.loss": [
        loss_with_loops,
        loss_of_the_chosen,
        loss_in_torch,
        loss_with_one_hot,
        loss_in_single_precision,
    ],
    "masks.audit": [
        test_by_comparison,
        test_by_perturbation,
        test_by_prefixes,
    ],
}
WRONG = {
    "masks.cache": [
        cache_right_for_equal_lengths,
        cache_of_at_most_all_keys,
        cache_overwriting,
        cache_for_one_query,
        cache_of_the_first_sequence,
        cache_own_place_only,
        cache_blind_sequences_left_open,
        cache_of_zeros_and_ones,
        cache_with_wrapping_triangles,
        cache_transposed_shape,
    ],
    "masks.weigh": [
        weigh_with_a_tiny_divisor,
        weigh_minus_1e9_repaired,
        weigh_blind_rows_times_zero,
        weigh_minus_ten_thousand,
        weigh_minus_1e9_then_cleared,
        weigh_transposed_if_square,
        weigh_first_mask_for_all,
        weigh_base_two,
        weigh_blank_uniform,
        weigh_keepdims,
    ],
    "masks.mend": [
        mend_as_found,
        mend_for_short_sequences,
        mend_without_lengths,
        mend_first_length_for_all,
        mend_mean_of_the_past,
        mend_keys_averaged,
        mend_padding_copies_its_value,
        mend_moved_to_the_front,
        mend_into_the_values,
    ],
    "masks.loss": [
        loss_without_padding_if_full,
        loss_of_the_first_positions,
        loss_count_of_sequences,
        loss_perplexity,
        loss_alone,
        loss_of_the_best_class,
        loss_class_zero_is_padding,
        loss_nan_cleaned,
        loss_of_two_axes_only,
    ],
    "masks.audit": [
        test_that_accepts_everything,
        test_that_rejects_everything,
        test_shapes_only,
        test_first_query_only,
        test_one_example,
        test_for_bits,
    ],
}
