"""Write a test that tells attention from what only looks like it."""

from __future__ import annotations

import numpy as np

from attncourse.checking import Audit, edited


def plain_attention(q, k, v):
    """Return attention of arrays whose leading axes agree."""
    scores = np.einsum("...qd,...kd->...qk", q, k)
    scores = scores / np.sqrt(q.shape[-1])
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return np.einsum("...qk,...kv->...qv", weights, v)


def key_by_key(q, k, v):
    """Return attention, one key after the other, with a running maximum."""
    highest = np.full((*q.shape[:-1], 1), -np.inf)
    total = np.zeros((*q.shape[:-1], 1))
    read = np.zeros((*q.shape[:-1], v.shape[-1]))
    for j in range(k.shape[-2]):
        key, value = k[..., j : j + 1, :], v[..., j : j + 1, :]
        score = (q * key).sum(axis=-1, keepdims=True) / np.sqrt(q.shape[-1])
        higher = np.maximum(highest, score)
        kept, power = np.exp(highest - higher), np.exp(score - higher)
        total = kept * total + power
        read = kept * read + power * value
        highest = higher
    return read / total


def in_single_precision(q, k, v):
    """Return attention, rounded as float32 rounds."""
    q, k, v = (each.astype(np.float32) for each in (q, k, v))
    return plain_attention(q, k, v).astype(np.float32)


QUESTION = Audit(
    id="dense.audit",
    title="Tell attention from what looks like it",
    function_name="test_attention",
    points=3,
    needed=6,
    right=(plain_attention, key_by_key, in_single_precision),
    wrong=(
        edited(plain_attention, ("scores / np.sqrt(q.shape[-1])", "scores")),
        edited(
            plain_attention,
            ("scores.max(axis=-1", "scores.max(axis=-2"),
            ("exponentials.sum(axis=-1", "exponentials.sum(axis=-2"),
        ),
        edited(
            plain_attention,
            (
                "np.exp(scores - scores.max(axis=-1, keepdims=True))",
                "np.exp(scores)",
            ),
        ),
        edited(
            plain_attention,
            ("weights, v", "np.round(weights), v"),
        ),
        edited(
            plain_attention,
            ("exponentials / exp", "exponentials / 1.001 / exp"),
        ),
    ),
    difficulty=3,
    importance=5,
    minutes=20,
    hints=(
        "What would a lazy function get right by accident: one key, equal "
        "lengths, equal widths, a batch of one?",
        "Use an expected result that you compute slowly, query by query, "
        "with numbers of queries, keys and features that all differ.",
        "Then add what one comparison does not see: two examples, scores "
        "of ten thousand (compare the result, finite is not enough), "
        "arguments that must not change, a tolerance of about one part in "
        "ten thousand.",
    ),
)
