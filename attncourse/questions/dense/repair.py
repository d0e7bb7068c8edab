"""Repair a cell that never compares a query with another row's key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics
from attncourse.questions.dense.attend import ONE_KEY, with_scores


def read_batch(q, k, v, sharpness):
    """Return what each query reads, for every example of a batch.

    The weights are the softmax over the keys of

        sharpness of the example x (query . key) / sqrt(dim).

    Parameters
    ----------
    q : queries, shape (examples, queries, dim).
    k : keys, shape (examples, keys, dim).
    v : values, shape (examples, keys, value_dim).
    sharpness : one positive number for each example, shape (examples,).

    Returns
    -------
    output : shape (examples, queries, value_dim).

    Scores of either sign and any size are handled, also those that a
    large sharpness makes. The arguments are left as they were. Single
    precision is accurate enough.
    """
    scores = np.einsum("bqd,bkd->bqk", q, k)
    scores = scores / np.sqrt(q.shape[2])
    scores = scores * sharpness[:, None, None]
    highest = scores.max(axis=2, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=2, keepdims=True)
    weights = exponentials / total
    output = weights @ v
    return output


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case(
        "all_pairs",
        (draw(1, 3, 5), draw(1, 7, 5), np.eye(7)[None], np.ones(1)),
        note="one example; with one-hot values the output is the weights",
    )
    yield Case(
        "all_pairs",
        (draw(1, 5, 5), draw(1, 5, 5), draw(1, 5, 5), np.ones(1)),
        note="one example; as many queries as keys and features",
    )
    yield Case(
        "all_pairs",
        (draw(1, 3, 5), draw(1, 1, 5), draw(1, 1, 7), np.ones(1)),
        tolerance=ONE_KEY,
        note="one example with one key, which every query reads",
    )
    yield Case(
        "neighbours",
        (draw(2, 3, 5), draw(2, 7, 5), draw(2, 7, 11), np.ones(2)),
        note="two examples",
    )
    yield Case(
        "neighbours",
        (draw(5, 5, 3), draw(5, 5, 3), draw(5, 5, 2), np.ones(5)),
        note="as many examples as queries and keys",
    )
    yield Case(
        "sharpness",
        (draw(3, 5, 2), draw(3, 3, 2), draw(3, 3, 7), _three(rng)),
        tolerance=numerics.tolerance(terms=3, magnitude=16.0),
        note="as many examples as keys, each with its own sharpness",
    )
    yield Case(
        "sharpness",
        (draw(3, 3, 2), draw(3, 7, 2), draw(3, 7, 5), _three(rng)),
        tolerance=numerics.tolerance(terms=7, magnitude=16.0),
        note="as many examples as queries, each with its own sharpness",
    )
    yield from _extreme(rng)
    yield Case(
        "inputs",
        (draw(3, 1, 5), draw(3, 7, 5), draw(3, 7, 2), _three(rng)),
        tolerance=numerics.tolerance(terms=7, magnitude=16.0),
        untouched=True,
        note="the arguments must be left as they were",
    )


def _three(rng: np.random.Generator) -> np.ndarray:
    """Return a weak, a middling and a strong sharpness in some order."""
    return rng.permutation([0.2, 1.5, 4.0]) * rng.uniform(0.9, 1.1, 3)


def _extreme(rng: np.random.Generator) -> Iterator[Case]:
    """Yield two examples, one of which is made very sharp.

    The gaps between its scores are set, not drawn, so that no key draws a
    tie which single precision could not tell.
    """
    far = (1.0, 2.0, 3.0, 4.0, 5.0), 2e4, 1.0
    near = (0.04, 0.040025, 0.04005, 0.040075, 0.0401), 2e4, 800.0
    for scores, factor, magnitude in (far, near):
        q, k, v = with_scores(rng, scores)
        q = np.concatenate([q, -q])
        others = (rng.normal(size=each.shape) for each in (q, k, v))
        stacked = map(np.stack, zip((q, k, v), others, strict=True))
        yield Case(
            "extreme",
            (*stacked, np.array([factor, 1.0])),
            tolerance=numerics.tolerance(terms=5, magnitude=magnitude),
            note="one example is twenty thousand times sharper",
        )


QUESTION = Question(
    id="dense.repair",
    kind="repair",
    title="Repair: rows that never meet",
    function=read_batch,
    cases=cases,
    stages=(
        Stage("all_pairs", 1.0, "every query is compared with every key"),
        Stage("neighbours", 1.0, "examples do not influence one another"),
        Stage("sharpness", 0.5, "each example has its own sharpness"),
        Stage("extreme", 0.25, "very large scores give no NaN"),
        Stage("inputs", 0.25, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "over_the_batch",
            edits=(
                ("scores.max(axis=2", "scores.max(axis=0"),
                ("exponentials.sum(axis=2", "exponentials.sum(axis=0"),
            ),
            stage="neighbours",
            error="E22",
            says=(
                "The softmax still runs over the examples, so each one's "
                "result depends on its neighbours. Give it the axis of the "
                "keys."
            ),
            section="dense-over-the-batch",
        ),
        Misconception(
            "one_score_per_row",
            edits=(
                (
                    'np.einsum("bqd,bkd->bqk", q, k)',
                    "(q * k).sum(axis=2, keepdims=True) * np.ones(k.shape[1])",
                ),
            ),
            stage="all_pairs",
            error="E21",
            says=(
                "Row i of the queries still meets row i of the keys only. All"
                " pairs are needed: one score for each query and each key."
            ),
            section="dense-one-score-per-row",
        ),
        Misconception(
            "features_summed",
            edits=(("weights @ v", "(weights @ v).sum(axis=2)"),),
            stage="all_pairs",
            error="E23",
            says=(
                "The features are still summed away. What is read is a vector"
                " for each query, of the width of the values."
            ),
            section="dense-features-summed",
        ),
        Misconception(
            "over_queries",
            edits=(
                ("scores.max(axis=2", "scores.max(axis=1"),
                ("exponentials.sum(axis=2", "exponentials.sum(axis=1"),
            ),
            stage="all_pairs",
            says=(
                "The softmax runs over the queries now. Each query shares out"
                " one unit of weight among the keys."
            ),
            section="dense-over-queries",
        ),
        Misconception(
            "no_scale",
            edits=(("scores / np.sqrt(q.shape[2])", "scores"),),
            stage="all_pairs",
            error="E02",
            says=(
                "The scores are not divided by the square root of the key "
                "width, so the softmax saturates as the width grows."
            ),
            section="dense-no-scale",
        ),
        Misconception(
            "sharpness_along_the_keys",
            edits=(("sharpness[:, None, None]", "sharpness"),),
            stage="sharpness",
            says=(
                "The sharpness is spread along the keys, because broadcasting"
                " starts from the last axis. Give it axes of length one for "
                "queries and keys."
            ),
            section="dense-over-the-batch",
        ),
        Misconception(
            "sharpness_of_the_first",
            edits=(("sharpness[:, None, None]", "sharpness[0]"),),
            stage="sharpness",
            says=(
                "Every example is read with the first one's sharpness. Each "
                "brings its own."
            ),
            section="dense-over-the-batch",
        ),
        Misconception(
            "no_maximum",
            edits=(("np.exp(scores - highest)", "np.exp(scores)"),),
            stage="extreme",
            says=(
                "Your exponentials overflow where the sharpness is large, "
                "and infinity divided by infinity is NaN. Subtract each "
                "row's maximum over the keys first: the weights do not "
                "change."
            ),
            section="dense-large-scores",
        ),
        Misconception(
            "keys_averaged",
            edits=(("weights @ v", "weights @ k"),),
            stage="all_pairs",
            error="E12",
            says=(
                "You average the keys. Keys say where to look, values say "
                "what is read there."
            ),
            section="dense-keys-averaged",
        ),
    ),
    tolerance=numerics.tolerance(terms=7),  # the longest sum is 7 long
    difficulty=3,
    importance=5,
    minutes=15,
    hints=(
        "Call the broken function with one example, then with a second one "
        "beside it. What should not have changed?",
        "Write down the shape that each line should have. The scores have "
        "the shape (examples, queries, keys).",
        "There are four faults: which pairs are scored, the axis of the "
        "softmax, the axis that the sharpness belongs to, and the axis "
        "that the last sum removes.",
    ),
)
