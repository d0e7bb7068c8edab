"""Repair an estimator that gives all queries the same weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def kernel_estimate(queries, keys, values, bandwidth):
    """Return the kernel regression estimate at each query.

    Query i gets the average of all values with the weights
    exp(-d^2 / (2 bandwidth^2)), normalised to sum to one for that query;
    d is the distance from query i to the key.

    Parameters
    ----------
    queries : shape (queries, dim).
    keys : shape (keys, dim).
    values : shape (keys, value_dim).
    bandwidth : one positive number.

    Returns
    -------
    estimates : shape (queries, value_dim).

    The arrays are NumPy arrays of floats. No query is farther than ten
    bandwidths from a key. The arguments are left as they were. Single
    precision is accurate enough.
    """
    gaps = queries[:, None, :] - keys[None, :, :]
    squared = (gaps**2).sum(axis=-1)
    kernel = np.exp(-squared / (2 * bandwidth**2))
    total = kernel.sum(axis=1, keepdims=True)
    weights = kernel / total
    return weights @ values


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.uniform(-1.0, 1.0, size=shape)

    yield Case(
        "one_query",
        (draw(1, 3), draw(5, 3), draw(5, 2), 0.7),
        note="a single query",
    )
    yield Case(
        "each_query",
        (draw(3, 2), draw(7, 2), np.eye(7), 0.9),
        note="one-hot values: each query has its own row of weights",
    )
    yield Case("each_query", (draw(5, 5), draw(5, 5), draw(5, 5), 1.3))
    yield Case(
        "each_query",
        (draw(17, 2), draw(38, 2), np.eye(38), 0.9),
        note="one-hot values and more keys than a handful",
    )
    yield Case(
        "each_query",
        (draw(8, 1), draw(4, 1), 50 * draw(4, 1), 0.5),
        note="points on a line, and more queries than keys",
    )
    points = draw(3, 2), draw(7, 2), draw(7, 3)
    yield Case("bandwidth", (*points, 0.4), note="a narrow kernel")
    yield Case("bandwidth", (*points, 1.6), note="the same, a wider kernel")
    yield Case(
        "bandwidth",
        (draw(3, 2), draw(11, 2), draw(11, 3), 3.1),
        note="a wide kernel",
    )
    # Kernel values of 1e-8 and less: a number that was added to their
    # sum would outweigh them.
    yield Case(
        "bandwidth",
        (draw(3, 2) + 9.0, draw(5, 2), draw(5, 3), 1.6),
        # Squares of 100 and more, once subtracted, lose two digits.
        tolerance=numerics.tolerance(terms=16, magnitude=64.0),
        note="every query is many bandwidths away from every key",
    )
    yield Case(
        "inputs",
        (draw(3, 2), draw(7, 2), draw(7, 3), 0.8),
        untouched=True,
        note="the arguments must be left as they were",
    )
    wide = draw(5, 6).astype(np.float32)
    yield Case(
        "inputs",
        (wide[:3, ::2], wide[:, ::2], wide[:, 1::2], 0.8),
        readonly=True,
        note="strided single-precision views that cannot be written",
    )


QUESTION = Question(
    id="lookup.repair",
    kind="repair",
    title="Repair: one weight for all",
    function=kernel_estimate,
    cases=cases,
    stages=(
        Stage("one_query", 0.5, "a single query gets its weighted average"),
        Stage("each_query", 1.25, "every query has weights of its own"),
        Stage("bandwidth", 0.75, "the bandwidth acts as a length"),
        Stage("inputs", 0.5, "views work and no argument is changed"),
    ),
    misconceptions=(
        Misconception(
            "one_weight_for_all",
            edits=(
                (
                    "kernel / total",
                    "kernel / total; "
                    "weights = weights.mean(axis=0) + 0 * weights",
                ),
            ),
            stage="each_query",
            error="E28",
            says=(
                "All queries still read with the same weights, an average "
                "over the queries. Compare each query with each key."
            ),
            section="lookup-one-weight-for-all",
        ),
        Misconception(
            "mean_query",
            edits=(
                (
                    "queries[:, None, :] -",
                    "0 * queries[:, None, :] + queries.mean(axis=0) -",
                ),
            ),
            stage="each_query",
            error="E28",
            says=(
                "The keys are still compared with the mean of the queries, "
                "so every query gets the same row. Compare each query with "
                "each key."
            ),
            section="lookup-one-weight-for-all",
        ),
        Misconception(
            "bandwidth_not_squared",
            edits=(("2 * bandwidth**2", "2 * bandwidth"),),
            stage="bandwidth",
            says=(
                "The squared distance is still divided by the bandwidth "
                "itself. It is compared with the squared bandwidth."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "half_missing",
            edits=(("(2 * bandwidth**2)", "bandwidth**2"),),
            stage="bandwidth",
            says=(
                "The factor two in 2 h^2 is missing, so the kernel is "
                "narrower than the one asked for."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "over_queries",
            edits=(("axis=1, keepdims=True", "axis=0, keepdims=True"),),
            stage="each_query",
            says=(
                "The weights are normalised over the queries. Each query "
                "shares out one unit of weight among the keys."
            ),
            section="lookup-over-queries",
        ),
        Misconception(
            "not_normalised",
            edits=(("kernel / total", "kernel"),),
            stage="one_query",
            says=(
                "The kernel values are used as weights as they are. Divide "
                "each row by its sum, or the estimate is no average."
            ),
            section="lookup-averages",
        ),
        Misconception(
            "queries_changed",
            edits=(
                (
                    "return weights @ values",
                    "queries -= queries.mean(axis=0); return weights @ values",
                ),
            ),
            stage="inputs",
            says=(
                "Your estimates are right, but the caller's queries are "
                "changed: you subtract from them in place. Make a new "
                "array."
            ),
            section="lookup-in-place",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=8.0),
    difficulty=2,
    importance=4,
    minutes=15,
    hints=(
        "Run the broken function on two queries that are far apart. What "
        "do you notice about the rows?",
        "The squared distances must have shape (queries, keys).",
        "Keep an axis for the queries and one for the keys when you "
        "subtract; then look at what the squared distance is divided by.",
    ),
)
