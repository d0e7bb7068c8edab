"""Attention that returns its weights too: a variant of the package's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from attncourse.checking import Case, Question, Stage, numerics
from attncourse.questions.dense._attend_mistakes import MISCONCEPTIONS


def attend(q, k, v):
    """Return what attention reads, and the weights that it reads with.

    Parameters
    ----------
    q : queries, shape (..., queries, dim).
    k : keys, shape (..., keys, dim).
    v : values, shape (..., keys, value_dim).

    Returns
    -------
    output : shape (..., queries, value_dim).
    weights : shape (..., queries, keys); every row sums to one.

    There may be any number of leading axes, equal in all three arguments.
    Scores of either sign and any size are handled. The arguments are
    arrays of float64 or float32, possibly views that must not be written
    to; they are left as they were. Single precision is accurate enough.
    """
    scale = np.sqrt(q.shape[-1])
    scores = np.einsum("...qd,...kd->...qk", q, k)
    scores = scores / scale
    highest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    output = np.einsum("...qk,...kv->...qv", weights, v)
    return output, weights


# A single weight is 1 to the last place or two in any precision; this is
# narrow enough that 1e-6 in a denominator shows.
ONE_KEY = numerics.Tolerance(
    6 * numerics.SINGLE_EPS, 0.0, "one key: nothing is added up"
)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case("shapes", (draw(3, 5), draw(7, 5), draw(7, 11)))
    yield Case("shapes", (draw(1, 5), draw(7, 5), draw(7, 2)))
    yield Case("shapes", (draw(5, 1), draw(3, 1), draw(3, 1)))
    yield Case(
        "one_key", (draw(3, 5), draw(1, 5), draw(1, 7)), tolerance=ONE_KEY
    )
    yield Case(
        "weights",
        (draw(3, 5), draw(7, 5), np.eye(7)),
        note="with one-hot values the output is the weight matrix",
    )
    yield Case(
        "weights",
        (draw(3, 5), draw(7, 5), draw(7, 7)),
        note="the same shapes with other numbers",
    )
    yield Case(
        "weights",
        with_scores(rng, [0.0, -2.0, -4.0, -6.0, -8.5, -9.5]),
        note="scores that fall from 0 to -9.5",
    )
    yield Case(
        "output",
        (draw(5, 7), draw(5, 7), draw(5, 7)),
        note="queries, keys and widths happen to agree here",
    )
    yield Case(
        "batch", (draw(2, 3, 5, 7), draw(2, 3, 11, 7), draw(2, 3, 11, 5))
    )
    yield Case(
        "batch",
        (draw(5, 5, 3), draw(5, 5, 3), draw(5, 5, 5)),
        note="as many examples as queries, keys and features",
    )
    yield Case(
        "batch",
        (draw(3, 7, 2), draw(3, 5, 2), draw(3, 5, 11)),
        note="more queries than keys",
    )
    yield Case(
        "batch",
        (draw(2, 1, 3, 2, 5), draw(2, 1, 3, 7, 5), draw(2, 1, 3, 7, 3)),
        note="three leading axes, one of length one",
    )
    yield from _extreme(rng)
    yield Case(
        "inputs",
        (draw(3, 5), draw(7, 5), draw(7, 2)),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield Case(
        "inputs",
        (draw(3, 10)[:, ::2], draw(7, 10)[:, ::2], draw(7, 4)[:, ::2]),
        readonly=True,
        note="every second column of wider arrays, not to be written to",
    )
    yield Case(
        "inputs",
        tuple(
            draw(*shape).astype(np.float32)
            for shape in ((3, 5), (11, 5), (11, 7))
        ),
        note="arguments in single precision",
    )


def _extreme(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls with large scores; the gaps are set, not drawn.

    So no key draws a tie, which single precision could not tell, and
    every key tells a clipped score from a true one.
    """
    q, k, v = with_scores(rng, [2e4, 4e4, 6e4, 8e4, 1e5])
    yield Case(
        "extreme",
        (np.concatenate([rng.normal(size=(1, 4)), q, -q]), k, v),
        note="scores up to 100000 of either sign, beside a usual query",
    )
    yield Case(
        "extreme",
        with_scores(rng, [20.0, 40.0, 60.0, 80.0, 100.0]),
        tolerance=numerics.tolerance(terms=4, magnitude=100.0),
        note="scores from 20 to 100: the best is clear, the others large",
    )
    q, k, v = with_scores(rng, [800.0, 800.5, 801.0, 801.5, 802.0])
    yield Case(
        "extreme",
        (np.concatenate([q, -q]), k, v),
        tolerance=numerics.tolerance(terms=4, magnitude=800.0),
        note="scores near 800 and -800, close to one another",
    )


def with_scores(rng: np.random.Generator, scores: Sequence[float]) -> tuple:
    """Return q, k, v of one query with these scores in some order."""
    direction = rng.normal(size=(1, 4))
    direction = direction / np.linalg.norm(direction)
    order = rng.permutation(np.array(scores))[:, None]
    highest = np.max(np.abs(scores))
    q = 2 * highest * direction  # the 2 is the square root of the width
    return q, order / highest * direction, rng.normal(size=(len(scores), 3))


QUESTION = Question(
    id="dense.attend",
    kind="implement",
    title="Attention and its weights",
    function=attend,
    cases=cases,
    stages=(
        Stage("shapes", 0.5, "each query reads a row as wide as the values"),
        Stage("one_key", 0.5, "a single key gets weight 1, its value is read"),
        Stage("weights", 1.0, "each row of weights is a softmax over keys"),
        Stage("output", 1.0, "the output averages the values"),
        Stage("batch", 0.5, "leading axes are independent of one another"),
        Stage("extreme", 0.25, "very large scores give no NaN"),
        Stage("inputs", 0.25, "views and float32 do, and nothing is changed"),
    ),
    misconceptions=MISCONCEPTIONS,
    tolerance=numerics.tolerance(terms=11),  # the longest sum is 11 long
    difficulty=2,
    importance=5,
    minutes=20,
    hints=(
        "For one query: which numbers must sum to one, and over what?",
        "The scores have shape (..., queries, keys).",
        "Exponentiate the scores minus their row's maximum, and divide by "
        "the row's sum.",
    ),
    picture=lambda result: result[1],
)
