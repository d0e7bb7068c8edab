"""Write a test that finds out who looks into the future."""

from __future__ import annotations

import numpy as np

from attncourse.checking import Audit, edited


def causal_attention(q, k, v):
    """Return causal attention; the last query stands at the last key.

    q has shape (..., queries, dim), k (..., keys, dim) and v
    (..., keys, value_dim); there are at least as many keys as queries.
    """
    queries, keys = q.shape[-2], k.shape[-2]
    place = np.arange(keys)
    stands = np.arange(queries) + keys - queries
    mask = place <= stands[:, None]
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(mask, scores, -np.inf)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    # A weight of zero times NaN is NaN: hidden values are left out.
    seen = np.where(mask[:, :, None], v[..., None, :, :], 0.0)
    return np.einsum("...qk,...qkv->...qv", weights, seen)


def query_by_query(q, k, v):
    """Return causal attention from the keys up to each query."""
    cached = k.shape[-2] - q.shape[-2]
    rows = []
    for i in range(q.shape[-2]):
        known = cached + i + 1
        one = q[..., i : i + 1, :]
        scores = one @ np.swapaxes(k[..., :known, :], -1, -2)
        scores = scores / np.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = weights / weights.sum(axis=-1, keepdims=True)
        rows.append(weights @ v[..., :known, :])
    return np.concatenate(rows, axis=-2)


QUESTION = Audit(
    id="masks.audit",
    title="Catch who looks into the future",
    function_name="test_causal",
    points=3,
    needed=8,
    right=(causal_attention, query_by_query),
    wrong=(
        edited(causal_attention, ("place <= stands", "place < keys + stands")),
        edited(causal_attention, ("place <= stands", "place - 1 <= stands")),
        edited(causal_attention, ("+ keys - queries", "+ 0 * keys")),
        # In a batch, only the first example is masked.
        edited(
            causal_attention,
            (
                "scores = np.where(mask, scores, -np.inf)",
                "mask = np.broadcast_to(mask, scores.shape).copy()\n"
                "    mask[1:] |= q.ndim > 2\n"
                "    scores = np.where(mask, scores, -np.inf)",
            ),
            ("mask[:, :, None]", "mask[..., None]"),
        ),
    ),
    difficulty=4,
    importance=5,
    minutes=20,
    hints=(
        "If a query cannot see a key, what happens to its output when that "
        "key and its value are replaced?",
        "Try more keys than queries, more than one example, and a sequence "
        "longer than a handful of positions.",
        "For every query: replace all later keys and values, by large "
        "numbers and by NaN, and require the same output; then replace "
        "each earlier one and require another output. A batch asks about "
        "many queries in one call: replace other keys in each example.",
    ),
)
