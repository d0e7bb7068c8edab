"""Write a test that finds wrong layers of heads."""

from __future__ import annotations

import numpy as np

from attncourse.checking import Audit, edited


def side_by_side(x, w_query, w_key, w_value, w_output, heads):
    """Return multi-head self-attention, all heads at once."""
    *batch, tokens, _ = x.shape
    q, k, v = (
        np.swapaxes((x @ w).reshape(*batch, tokens, heads, -1), -2, -3)
        for w in (w_query, w_key, w_value)
    )
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    read = np.swapaxes(weights @ v, -2, -3)
    return read.reshape(*batch, tokens, -1) @ w_output


def head_by_head(x, w_query, w_key, w_value, w_output, heads):
    """Return the same as a sum over heads of what each one writes."""
    output = 0.0
    parts = [np.split(w, heads, axis=1) for w in (w_query, w_key, w_value)]
    rows = np.split(w_output, heads, axis=0)
    for w_q, w_k, w_v, w_o in zip(*parts, rows, strict=True):
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        scores = scores - scores.max(axis=-1, keepdims=True)
        weights = np.exp(scores)
        weights = weights / weights.sum(axis=-1, keepdims=True)
        output = output + weights @ v @ w_o
    return output


def in_single_precision(x, w_query, w_key, w_value, w_output, heads):
    """Return the same, rounded as float32 rounds."""
    x, w_query, w_key, w_value, w_output = (
        each.astype(np.float32)
        for each in (x, w_query, w_key, w_value, w_output)
    )
    return side_by_side(x, w_query, w_key, w_value, w_output, heads)


QUESTION = Audit(
    id="heads.audit",
    title="Write a test for a layer of heads",
    function_name="test_multi_head",
    points=3,
    needed=9,
    right=(side_by_side, head_by_head, in_single_precision),
    wrong=(
        edited(
            side_by_side,
            (
                "np.swapaxes((x @ w).reshape(*batch, tokens, heads, -1), -2, "
                "-3)",
                "(x @ w).reshape(*batch, heads, tokens, -1)",
            ),
        ),
        edited(
            side_by_side, ("np.sqrt(q.shape[-1])", "np.sqrt(w_query.shape[1])")
        ),
        edited(
            side_by_side,
            ("= np.swapaxes(weights @ v, -2, -3)", "= weights @ v"),
        ),
        edited(
            side_by_side,
            ("scores - scores.max(axis=-1, keepdims=True)", "scores"),
        ),
    ),
    difficulty=4,
    importance=5,
    minutes=20,
    hints=(
        "What do you know about the result without computing it? Think of "
        "one token, one head, heads in another order, tokens in another "
        "order.",
        "Compute the right answer slowly: one head at a time, from its own "
        "columns, and add what its rows of the output matrix make of it.",
        "Compare with that at sizes that all differ, at sizes that agree "
        "(as many tokens as heads), with a batch, and with large scores, "
        "where finite is not enough; then see that the arguments were left "
        "alone.",
    ),
)
