"""A soft dictionary in which every query has a temperature of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def soft_read(queries, keys, values, temperatures):
    """Return what each query reads from a soft dictionary.

    The weight of a key is the softmax, over the keys, of its dot product
    with the query divided by the temperature of that query.

    Parameters
    ----------
    queries : shape (queries, dim).
    keys : shape (keys, dim).
    values : shape (keys, value_dim).
    temperatures : shape (queries,), positive; one for each query, near
        zero or large.

    Returns
    -------
    read : shape (queries, value_dim).

    The arguments are NumPy arrays of floats. Scores of any size, above
    and below zero, give finite results. The arguments are left as they
    were. Single precision is accurate enough.
    """
    scores = queries @ keys.T
    scores = scores / temperatures[:, None]
    highest = scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=1, keepdims=True)
    weights = exponentials / total
    return weights @ values


# A logarithm near 1024 in single precision is off by 6e-5 at most; a
# weight that is computed through it is off by that share of itself, and
# an average of values that cancel by a few times more.
FAR = numerics.tolerance(terms=64, magnitude=16.0)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    def warm(queries: int) -> np.ndarray:
        return rng.permutation(np.linspace(0.4, 2.5, queries))

    yield Case(
        "one_key",
        (draw(3, 5), draw(1, 5), draw(1, 7), warm(3)),
        # The weight is 1 without rounding: a number added to the divisor
        # shows.
        tolerance=numerics.tolerance(terms=1),
        note="a dictionary with a single entry",
    )
    yield Case(
        "one_key",
        (draw(1, 2), draw(1, 2), draw(1, 1), warm(1)),
        note="one query, one entry, values of one number",
    )
    yield Case(
        "weights",
        (draw(3, 5), draw(7, 5), np.eye(7), np.ones(3)),
        note="one-hot values: what is read is the weights",
    )
    yield Case(
        "weights",
        (draw(5, 5), draw(5, 5), draw(5, 5), np.ones(5)),
        note="as many queries as keys",
    )
    yield Case(
        "weights",
        (0.3 * draw(17, 3), draw(37, 3), np.eye(37), np.ones(17)),
        note="one-hot values and more keys than a handful",
    )
    yield Case(
        "temperatures",
        (draw(3, 5), draw(7, 5), draw(7, 2), warm(3)),
        note="a different temperature for each query",
    )
    yield Case(
        "temperatures",
        (draw(5, 3), draw(5, 3), draw(5, 2), warm(5)),
        note="as many queries as keys, each query at its own temperature",
    )
    yield Case(
        "temperatures",
        (draw(8, 2), draw(4, 2), 50 * draw(4, 3), warm(8)),
        note="more queries than keys, and large values",
    )
    yield Case(
        "temperatures",
        (draw(1, 5), draw(4, 5), draw(4, 1), warm(1)),
        note="a single query, values of one number",
    )
    # Powers of two: each query sees the scores 0 to 12 times its own
    # temperature, without any rounding.
    scale = rng.permutation(np.array([2.0**-14, 1.0, 2.0**14]))
    steps = rng.permutation(7)[:, None] * np.array([2.0, 0.0])
    yield Case(
        "temperatures",
        (scale[:, None] * np.array([1.0, 3.0]), steps, np.eye(7), scale),
        note="a temperature near zero, another above a thousand",
    )
    # Scores of 512 that differ by quarters: the exponential of 1024, after
    # the division by 1/2, overflows; single precision still tells the
    # differences apart, by way of logarithms too.
    queries, keys = np.zeros((4, 5)), draw(7, 5)
    queries[0, :2], queries[1, :2], queries[2] = (512, 1), (-512, 1), 0.5
    queries[3, 1] = 8192  # scores from 0 to 12288: no middle will do
    keys[:, 0], keys[:, 1] = 1.0, rng.permutation(7) / 4
    yield Case(
        "extreme",
        (queries, keys, draw(7, 3), np.array([0.5, 0.5, 2.0, 1.0])),
        tolerance=FAR,
        note="scores of a thousand and more, above and below zero",
    )
    yield Case(
        "inputs",
        (draw(3, 5), draw(7, 5), draw(7, 3), warm(3)),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield Case(
        "inputs",
        tuple(
            each.astype(np.float32)
            for each in (draw(3, 5), draw(7, 5), draw(7, 3), warm(3))
        ),
        readonly=True,
        note="single-precision arrays that cannot be written",
    )


QUESTION = Question(
    id="lookup.soft_read",
    kind="implement",
    title="A soft dictionary, one temperature a query",
    function=soft_read,
    cases=cases,
    stages=(
        Stage("one_key", 0.5, "a dictionary of one entry gives its value"),
        Stage("weights", 1.0, "each query shares out one unit of weight"),
        Stage("temperatures", 1.5, "each query keeps its own temperature"),
        Stage("extreme", 0.5, "very large scores give no NaN"),
        Stage("inputs", 0.5, "float32 works and no argument is changed"),
    ),
    misconceptions=(
        Misconception(
            "temperature_multiplies",
            edits=(("scores / temperatures", "scores * temperatures"),),
            stage="temperatures",
            says=(
                "Your scores are multiplied by the temperature. A high "
                "temperature must make the weights more equal, so it "
                "divides."
            ),
            section="lookup-temperature",
        ),
        Misconception(
            "temperature_ignored",
            edits=(("scores / temperatures[:, None]", "scores"),),
            stage="temperatures",
            says=(
                "Your weights do not depend on the temperature. It divides "
                "every score before the exponential."
            ),
            section="lookup-temperature",
        ),
        Misconception(
            "temperature_shared",
            edits=(("temperatures[:, None]", "temperatures[0]"),),
            stage="temperatures",
            says=(
                "Every query uses the temperature of the first one. Row i "
                "of the scores belongs to query i and is divided by "
                "temperature i."
            ),
            section="lookup-temperature",
        ),
        Misconception(
            "temperature_along_keys",
            edits=(("temperatures[:, None]", "temperatures[None, :]"),),
            stage="temperatures",
            says=(
                "Your temperatures run along the keys: column j is divided "
                "by temperature j. They belong to the queries, the rows."
            ),
            section="lookup-temperature",
        ),
        Misconception(
            "after_the_exponential",
            edits=(
                ("scores / temperatures[:, None]", "scores"),
                (
                    "weights @ values",
                    "(weights / temperatures[:, None]) @ values",
                ),
            ),
            stage="temperatures",
            says=(
                "The temperature divides your weights after the softmax. "
                "Then a row no longer sums to one; it must divide the "
                "scores, inside the exponential."
            ),
            section="lookup-temperature",
        ),
        Misconception(
            "over_queries",
            edits=(
                ("scores.max(axis=1", "scores.max(axis=0"),
                ("exponentials.sum(axis=1", "exponentials.sum(axis=0"),
            ),
            stage="weights",
            says=(
                "Your weights are normalised over the queries: the columns "
                "sum to one. Each query must share out one unit of weight "
                "among the keys, so the rows must."
            ),
            section="lookup-over-queries",
        ),
        Misconception(
            "one_weight_for_all",
            edits=(
                (
                    "weights @ values",
                    "(weights.mean(axis=0) + 0 * weights) @ values",
                ),
            ),
            stage="weights",
            error="E28",
            says=(
                "Every query reads the same average: there is one weight "
                "for each key, shared by all queries. A query must have a "
                "row of weights of its own, or it asks nothing."
            ),
            section="lookup-one-weight-for-all",
        ),
        Misconception(
            "best_match_only",
            edits=(
                (
                    "np.exp(scores - highest)",
                    "np.where(scores == highest, 1.0, 0.0)",
                ),
            ),
            stage="weights",
            says=(
                "You read the value of the best match alone. That is the "
                "hard lookup; the soft one lets every key answer in "
                "proportion to its weight."
            ),
            section="lookup-hard-and-soft",
        ),
        Misconception(
            "not_normalised",
            edits=(("exponentials / total", "exponentials"),),
            stage="weights",
            says=(
                "Your weights do not sum to one: the exponentials are used "
                "as they are. Divide each row by its sum, or what is read "
                "is no average."
            ),
            section="lookup-averages",
        ),
        Misconception(
            "mean_instead_of_sum",
            edits=(("exponentials.sum(axis=1", "exponentials.mean(axis=1"),),
            stage="weights",
            says=(
                "Each row is divided by the mean of its exponentials, so it "
                "sums to the number of keys. Divide by the sum."
            ),
            section="lookup-averages",
        ),
        Misconception(
            "overflow",
            edits=(("scores - highest", "scores"),),
            stage="extreme",
            says=(
                "A large score overflows in the exponential and leaves NaN. "
                "Subtract each row's maximum first: the weights stay the "
                "same."
            ),
            section="lookup-large-scores",
        ),
        Misconception(
            "keys_averaged",
            edits=(("weights @ values", "weights @ keys"),),
            stage="weights",
            error="E12",
            says=(
                "You average the keys. Keys are only compared with the "
                "query; what is read are the values."
            ),
            section="lookup-keys-averaged",
        ),
        Misconception(
            "scores_changed_in_place",
            edits=(
                (
                    "scores / temperatures[:, None]",
                    "scores / temperatures[:, None]; "
                    "queries /= temperatures[:, None]",
                ),
            ),
            stage="inputs",
            says=(
                "Your function divides the caller's queries by the "
                "temperatures in place. The result is right once; whoever "
                "called you now holds other queries. Make a new array."
            ),
            section="lookup-in-place",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=8.0),
    difficulty=2,
    importance=5,
    minutes=20,
    hints=(
        "For one query: which numbers must sum to one?",
        "The scores have shape (queries, keys); a temperature belongs to a "
        "row, so the temperatures need a second axis of length one.",
        "Divide by the temperature, subtract the row's maximum, "
        "exponentiate, divide by the row's sum, multiply with the values.",
    ),
)
