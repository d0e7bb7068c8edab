"""Attention that returns its weights too: a variant of the package's."""

from __future__ import annotations

from collections.abc import Iterator

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

    The arguments are left as they were. Scores of any size are handled.
    Single precision is accurate enough.
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


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case("shapes", (draw(3, 5), draw(7, 5), draw(7, 11)))
    yield Case("one_key", (draw(3, 5), draw(1, 5), draw(1, 7)))
    yield Case(
        "weights",
        (draw(3, 5), draw(7, 5), np.eye(7)),
        note="with one-hot values the output is the weight matrix",
    )
    yield Case(
        "output",
        (draw(5, 7), draw(5, 7), draw(5, 7)),
        note="queries, keys and widths happen to agree here",
    )
    yield Case(
        "batch", (draw(2, 3, 5, 7), draw(2, 3, 11, 7), draw(2, 3, 11, 5))
    )
    large = draw(3, 4)
    large[1] *= 1e4
    yield Case(
        "extreme",
        (large, draw(5, 4), draw(5, 3)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e2),
        note="one query is ten thousand times longer",
    )
    direction = draw(1, 4)
    direction = direction / np.linalg.norm(direction)
    along = rng.permutation([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]
    yield Case(
        "extreme",
        (40 * direction, along * direction, draw(5, 3)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e2),
        note="scores from 20 to 100: the best is clear, the others large",
    )
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
            for shape in ((3, 5), (2, 5), (2, 7))
        ),
        note="arguments in single precision",
    )


QUESTION = Question(
    id="dense.attend",
    kind="implement",
    title="Attention and its weights",
    function=attend,
    cases=cases,
    stages=(
        Stage("shapes", 0.5, "three queries of seven keys give three rows"),
        Stage("one_key", 0.5, "a single key gets weight 1, its value is read"),
        Stage("weights", 1.0, "each row of weights is a softmax over keys"),
        Stage("output", 1.0, "the output averages the values"),
        Stage("batch", 0.5, "leading axes are independent of one another"),
        Stage("extreme", 0.25, "very large scores give no NaN"),
        Stage("inputs", 0.25, "the arguments are not changed"),
    ),
    misconceptions=MISCONCEPTIONS,
    tolerance=numerics.tolerance(terms=64),
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
