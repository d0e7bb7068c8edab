"""Repair a layer that was given positions and got three things wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def encode(x, w_query, w_key, w_value, positions):
    """Return self-attention with rotary positions, neighbours paired.

    Queries and keys are projected and then turned: columns 2i and 2i + 1
    by the angle p * 10000 ** (-2 i / dim) at position p, in the direction
    of the chapter's `rotary`. Then follows scaled dot-product attention
    without a mask. The output may depend on differences of positions only.

    Parameters
    ----------
    x : tokens, shape (..., tokens, width).
    w_query, w_key : shape (width, dim), with dim even.
    w_value : shape (width, value_dim), with value_dim even.
    positions : whole numbers, also negative ones, shape (tokens,).

    Returns
    -------
    output : shape (..., tokens, value_dim).

    The arguments are left as they were. Single precision is accurate
    enough.
    """

    def turned(rows, at):
        dim = rows.shape[-1]
        angles = at[:, None] * 10000.0 ** (-np.arange(0, dim, 2) / dim)
        even, odd = rows[..., 0::2], rows[..., 1::2]
        new_even = even * np.cos(angles) - odd * np.sin(angles)
        new_odd = even * np.sin(angles) + odd * np.cos(angles)
        return np.stack([new_even, new_odd], axis=-1).reshape(rows.shape)

    q = turned(x @ w_query, positions)
    k = turned(x @ w_key, positions)
    v = x @ w_value
    products = np.einsum("...qd,...kd->...qk", q, k)
    scores = products / np.sqrt(q.shape[-1])
    highest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    return np.einsum("...qk,...kv->...qv", weights, v)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case(
        "values",
        (draw(5, 3), np.zeros((3, 4)), draw(3, 4), draw(3, 4), np.arange(5)),
        note="queries of zeros: the output is the mean of the values",
    )
    start = int(rng.integers(20, 30))
    yield Case(
        "shift",
        (
            np.eye(6),
            draw(6, 4) * 1.5,
            draw(6, 4),
            np.eye(6),
            start + np.arange(6),
        ),
        note="one-hot tokens and values far from position zero: the output "
        "is the weight matrix",
    )
    yield Case(
        "scale",
        (
            np.eye(4),
            draw(4, 30),
            draw(4, 30),
            np.eye(4),
            np.zeros(4, dtype=int),
        ),
        note="all tokens at position zero, wide heads",
    )
    yield Case(
        "given",
        (
            draw(2, 7, 3),
            draw(3, 6),
            draw(3, 6),
            draw(3, 2),
            np.array([5, -3, 12, 0, -8, 9, 2]) * int(rng.integers(1, 3)),
        ),
        untouched=True,
        note="two examples, positions out of order and of either sign; "
        "the arguments must be left as they were",
    )
    yield Case(
        "given",
        (
            draw(5, 3).astype(np.float32),
            draw(4, 3).T,
            draw(4, 3).T,
            draw(3, 4),
            start + 3 * np.arange(5),
        ),
        readonly=True,
        note="mixed precision, strided, read-only",
    )
    yield Case(
        "given",
        (
            draw(2, 3, 2, 5),
            draw(5, 8),
            draw(5, 8),
            draw(5, 2),
            np.array([start, -start]),
        ),
        note="two leading axes, two tokens far apart",
    )


QUESTION = Question(
    id="positions.repair",
    kind="repair",
    title="Repair: positions in three wrong places",
    function=encode,
    cases=cases,
    stages=(
        Stage("values", 0.5, "with equal weights the output is a mean"),
        Stage("shift", 1.0, "only differences of positions matter"),
        Stage("scale", 0.5, "scores are divided by the root of the width"),
        Stage("given", 1.0, "the positions given are those used"),
    ),
    misconceptions=(
        Misconception(
            "values_turned",
            edits=(("v = x @ w_value", "v = turned(x @ w_value, positions)"),),
            stage="values",
            says=(
                "Your values are turned too, so the angle of each position "
                "is still on them when they are averaged. The turn is for "
                "the score; values are read as they are."
            ),
            section="positions-values-turned",
        ),
        Misconception(
            "opposite_turns",
            edits=(
                (
                    "turned(x @ w_key, positions)",
                    "turned(x @ w_key, -positions)",
                ),
            ),
            stage="shift",
            says=(
                "Queries turn forwards and keys backwards, so the score "
                "depends on the sum of the two positions. Both must turn "
                "the same way; their product then leaves the difference."
            ),
            section="positions-opposite-turns",
        ),
        Misconception(
            "no_scale",
            edits=((" / np.sqrt(q.shape[-1])", ""),),
            stage="scale",
            error="E02",
            says=(
                "The dot products are not divided by the square root of "
                "their width; for wide heads the softmax saturates. Turning "
                "keeps lengths and does not replace the scale."
            ),
            section="positions-bias-scaled",
        ),
        Misconception(
            "turned_before_projection",
            edits=(
                ("turned(x @ w_query, positions)", "turned_x @ w_query"),
                ("turned(x @ w_key, positions)", "turned_x @ w_key"),
                (
                    "    q = ",
                    "    even_width = x.shape[-1] // 2 * 2\n"
                    "    turned_x = np.concatenate([turned(x[..., :even_width]"
                    ", positions), x[..., even_width:]], axis=-1)\n"
                    "    q = ",
                ),
            ),
            stage="shift",
            says=(
                "You turn the tokens and project afterwards. The two "
                "projections then stand between the two turns, and the "
                "score no longer depends on the difference alone."
            ),
            section="positions-before-projection",
        ),
        Misconception(
            "bag_of_words",
            edits=(("at[:, None] * 10000.0", "0 * at[:, None] * 10000.0"),),
            stage="shift",
            error="E27",
            says=(
                "Your output does not depend on the positions at all: the "
                "sequence is read as a bag of tokens, as in the article."
            ),
            section="positions-bag",
        ),
        Misconception(
            "forgotten_two",
            edits=(
                (
                    "(-np.arange(0, dim, 2) / dim)",
                    "(-np.arange(dim // 2) / dim)",
                ),
            ),
            stage="shift",
            says=(
                "Your frequencies fall as 10000 ** (-i / dim); pair i has "
                "the exponent -2 i / dim."
            ),
            section="positions-frequencies",
        ),
        Misconception(
            "queries_only",
            edits=(("turned(x @ w_key, positions)", "x @ w_key"),),
            stage="shift",
            says=(
                "Only the queries are turned, so a score depends on the "
                "query's own position and not on the key's. Both sides must "
                "turn for a difference to remain."
            ),
            section="positions-opposite-turns",
        ),
    ),
    # The angles reach some 40 radians, and the scores a few units.
    tolerance=numerics.tolerance(terms=16, magnitude=2.0),
    difficulty=4,
    importance=5,
    minutes=20,
    hints=(
        "Move the whole sentence by five places. Which outputs of the given "
        "function change, and which should?",
        "Set w_query to zeros: every weight is then equal. What must the "
        "output be, and what is it?",
        "Turn queries and keys, both forwards, after projecting; leave the "
        "values; divide the scores.",
    ),
    picture=lambda result: result,
)
