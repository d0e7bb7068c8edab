"""Causal attention with ALiBi, for the newest queries behind a cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def lean(q, k, v, slopes):
    """Return causal attention in which every head leans towards near keys.

    The queries are the newest tokens of a sequence whose keys and values
    are all there: with m keys and n queries, n at most m, query i stands
    at position m - n + i and reads the keys at its own position and
    before. From each scaled score of head h, slopes[h] times the distance
    between query and key is subtracted.

    Parameters
    ----------
    q : shape (..., heads, queries, dim).
    k : shape (..., heads, keys, dim).
    v : shape (..., heads, keys, value_dim).
    slopes : shape (heads,), positive numbers.

    Returns
    -------
    output : shape (..., heads, queries, value_dim).

    The arguments are left as they were. Scores of any size are handled.
    Single precision is accurate enough.
    """
    queries = q.shape[-2]
    keys = k.shape[-2]
    products = np.einsum("...qd,...kd->...qk", q, k)
    scores = products / np.sqrt(q.shape[-1])
    query_at = np.arange(queries) + keys - queries
    key_at = np.arange(keys)
    distance = query_at[:, None] - key_at
    slope = slopes[:, None, None]
    bias = -slope * distance
    scores = scores + bias
    allowed = distance >= 0
    scores = np.where(allowed, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    return np.einsum("...qk,...kv->...qv", weights, v)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    def slopes(heads: int) -> np.ndarray:
        # Far from one another, and from one.
        return rng.uniform(0.5, 0.9, size=heads) * 0.6 ** np.arange(heads)

    yield Case(
        "distance",
        (np.zeros((1, 5, 3)), draw(1, 5, 3), np.eye(5)[None], slopes(1)),
        note="queries of zeros and one-hot values: the output is the "
        "softmax of the biases",
    )
    yield Case(
        "scores",
        (2 * draw(1, 5, 7), draw(1, 5, 7), np.eye(5)[None], slopes(1)),
        note="one head, one-hot values: the output is the weight matrix",
    )
    yield Case(
        "heads", (draw(3, 7, 5), draw(3, 7, 5), draw(3, 7, 2), slopes(3))
    )
    yield Case(
        "cache",
        (draw(2, 1, 5), draw(2, 7, 5), draw(2, 7, 3), slopes(2)),
        note="one new query, seven keys",
    )
    yield Case(
        "cache",
        (draw(2, 3, 5), draw(2, 11, 5), draw(2, 11, 2), slopes(2)),
        note="three new queries, eleven keys",
    )
    yield Case(
        "cache",
        (draw(2, 3, 2, 5), draw(2, 3, 7, 5), draw(2, 3, 7, 2), slopes(3)),
        note="two examples, two new queries, seven keys",
    )
    q, k = draw(2, 5, 4), draw(2, 5, 4)
    k[:, 4] = 30 * q[:, 1]
    yield Case(
        "future",
        (q, k, draw(2, 5, 3), slopes(2)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e2),
        note="the last key fits the second query best, and lies ahead of it",
    )
    long = draw(1, 3, 4)
    long[0, 1] *= 1e4
    long[0, 2] = -long[0, 1]  # one of the two has scores far above zero
    yield Case(
        "extreme",
        (long, draw(1, 5, 4), draw(1, 5, 3), slopes(1)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e3),
        note="two queries are ten thousand times longer",
    )
    # All that the second query may read scores about -1e12, and the key
    # ahead of it as much above zero.
    huge, sides = rng.uniform(1, 2, size=(1, 3, 4)), np.ones((5, 1))
    huge[0, 1] *= 1e12
    sides[:4] = -1
    yield Case(
        "extreme",
        (
            huge,
            sides * rng.uniform(1, 2, size=(1, 5, 4)),
            draw(1, 5, 3),
            slopes(1),
        ),
        tolerance=numerics.tolerance(terms=16, magnitude=1e3),
        note="one query scores about -1e12 for each key that it may read",
    )
    yield Case(
        "batch",
        (draw(2, 3, 5, 8), draw(2, 3, 5, 8), draw(2, 3, 5, 2), slopes(3)),
        untouched=True,
        note="an axis in front; the arguments must be left as they were",
    )
    yield Case(
        "batch",
        (
            draw(3, 5, 7).astype(np.float32),
            draw(3, 7, 5).swapaxes(-1, -2)[:, :5],
            draw(3, 5, 2),
            slopes(3),
        ),
        readonly=True,
        note="mixed precision, strided, read-only",
    )


QUESTION = Question(
    id="positions.lean",
    kind="implement",
    title="Lean towards near keys, behind a cache",
    function=lean,
    cases=cases,
    stages=(
        Stage("distance", 0.75, "equal content weighs less when farther"),
        Stage("scores", 0.75, "biases join the scaled scores"),
        Stage("heads", 0.5, "every head has its own slope"),
        Stage("cache", 1.0, "the queries are the newest tokens"),
        Stage("future", 0.5, "no query reads a key ahead of it"),
        Stage("extreme", 0.25, "scores far from zero, of either sign"),
        Stage("batch", 0.25, "leading axes stay apart, inputs unchanged"),
    ),
    misconceptions=(
        Misconception(
            "counted_from_zero",
            edits=((" + keys - queries", ""),),
            stage="cache",
            says=(
                "Your queries, or your causal mask, start at 0, 1, 2, ... as "
                "if nothing were in the cache: they see only the oldest "
                "keys. The last query stands where the last key stands."
            ),
            section="positions-cache-offset",
        ),
        Misconception(
            "far_favoured",
            edits=(("-slope * distance", "slope * distance"),),
            stage="distance",
            says=(
                "Your bias grows with the distance, so the farthest key "
                "gains most. ALiBi subtracts slope times distance."
            ),
            section="positions-far-favoured",
        ),
        Misconception(
            "one_slope",
            edits=(("slopes[:, None, None]", "slopes[0]"),),
            stage="heads",
            says=(
                "All heads use the first slope. Each head has its own: "
                "slopes of shape (heads,) must meet scores of shape "
                "(..., heads, queries, keys) on the heads axis."
            ),
            section="positions-one-slope",
        ),
        Misconception(
            "bias_scaled",
            edits=(
                ("products / np.sqrt(q.shape[-1])", "products"),
                ("scores + bias", "(scores + bias) / np.sqrt(q.shape[-1])"),
            ),
            stage="distance",
            says=(
                "You add the bias before dividing by the square root of the "
                "width, so the slopes shrink as the heads grow wider. The "
                "bias joins scores that are already scaled."
            ),
            section="positions-bias-scaled",
        ),
        Misconception(
            "no_scale",
            edits=((" / np.sqrt(q.shape[-1])", ""),),
            stage="scores",
            error="E02",
            says=(
                "The dot products are not divided by the square root of the "
                "width: their variance grows with it, and the content "
                "drowns the bias."
            ),
            section="positions-bias-scaled",
        ),
        Misconception(
            "future_visible",
            edits=(("distance >= 0", "distance >= -keys"),),
            stage="future",
            says=(
                "Your queries read keys ahead of them, and with a signed "
                "distance the future even gains. A bias is no mask: hide "
                "the future too."
            ),
            section="positions-future-visible",
        ),
        Misconception(
            "large_negative_number",
            edits=(("scores, -np.inf)", "scores, -1e9)"),),
            stage="extreme",
            says=(
                "Your hidden keys get a large negative score instead of "
                "minus infinity. A query whose own scores are lower still "
                "reads exactly what it must not."
            ),
            section="masks-minus-1e9",
        ),
        Misconception(
            "own_key_hidden",
            edits=(("distance >= 0", "distance > 0"),),
            stage="cache",
            says=(
                "Each query misses the key at its own position. "
                "Causal means: its own position and before."
            ),
            section="positions-future-visible",
        ),
        Misconception(
            "bias_after_softmax",
            edits=(
                ("scores = scores + bias", "pass"),
                (
                    "exponentials / total",
                    "exponentials / total + np.where(allowed, bias, 0)",
                ),
            ),
            stage="distance",
            says=(
                "You add the bias to the weights, after the softmax: rows "
                "no longer sum to one and weights fall below zero. Add it "
                "to the scores."
            ),
            section="positions-bias-after-softmax",
        ),
        Misconception(
            "slope_per_length",
            edits=(("= -slope", "= -slope / keys"),),
            stage="distance",
            says=(
                "Your distances are divided by the number of keys, so the "
                "same two tokens attract each other differently in a longer "
                "text. The slope multiplies the distance itself."
            ),
            section="positions-slope-per-length",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=1.5),
    difficulty=3,
    importance=4,
    minutes=25,
    hints=(
        "Seven keys are stored and one query comes: at which position does "
        "it stand, and which keys may it read?",
        "Distances have shape (queries, keys), biases (heads, queries, keys).",
        "Scale, subtract slope times distance, hide what is ahead, softmax "
        "along the keys, average the values.",
    ),
    picture=lambda result: result[0],
)
