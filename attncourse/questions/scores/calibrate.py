"""Repair weights whose scale should be measured from the keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def calibrate(q, k):
    """Return attention weights whose scale is measured from the keys.

    The spread of an example's keys is the sum, over the entries of a key,
    of the variance of that entry over the keys (the mean of the squared
    deviations). The scores are the dot products divided by the square
    root of the spread; the weights are their softmax over the keys. Where
    the spread is zero, all keys being alike, the weights are equal; keys
    that are short, but not alike, are treated as any others.

    Parameters
    ----------
    q : queries, shape (..., queries, dim).
    k : keys, shape (..., keys, dim).

    Returns
    -------
    weights : shape (..., queries, keys); every row sums to one.

    Leading axes broadcast; each place in them is an example of its own.
    Scores of any size are handled. The arguments are left as they were.
    Single precision is accurate enough.
    """
    spread = k.var(axis=-2).sum(axis=-1)
    spread = np.where(spread > 0, spread, 1.0)
    scale = np.sqrt(spread)[..., None, None]
    products = np.einsum("...qd,...kd->...qk", q, k)
    scores = products / scale
    highest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    return weights


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case("weights", (draw(3, 5), draw(7, 5)))
    yield Case(
        "weights",
        (draw(5, 5), draw(5, 5)),
        note="queries, keys and widths happen to agree here",
    )
    unlike = np.array([4.0, 0.5, 2.0, 0.1, 1.0])
    yield Case(
        "measured",
        (draw(3, 5), unlike * draw(7, 5)),
        note="the entries of the keys have unlike variances",
    )
    near = numerics.tolerance(terms=64, magnitude=32.0)
    yield Case(
        "measured",
        (draw(3, 5), draw(7, 5) + 3),
        tolerance=near,
        note="the mean of the keys is far from zero",
    )
    yield Case(
        "measured",
        (draw(3, 6), 1e-3 * draw(7, 6)),
        note="the keys are a thousand times shorter",
    )
    sizes = np.array([0.2, 6.0])[:, None, None]
    yield Case(
        "examples",
        (draw(2, 3, 5), sizes * draw(2, 7, 5)),
        note="the keys of the second example are thirty times longer",
    )
    yield Case("examples", (draw(2, 1, 3, 5), draw(3, 7, 5)))
    # Means over 8 keys of whole numbers are exact, however computed.
    twins = draw(2, 8, 5)
    twins[1] = rng.integers(1, 9, size=5)
    yield Case(
        "alike",
        (draw(2, 3, 5), twins),
        note="in the second example all keys are alike",
    )
    large = draw(3, 5)
    large[1] *= 1e4
    large[2] = -large[1]  # so that large scores of either sign compete
    yield Case(
        "large",
        (large, draw(7, 5)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e3),
        untouched=True,
        note="two queries are ten thousand times longer",
    )


QUESTION = Question(
    id="scores.calibrate",
    kind="repair",
    title="Repair: a scale that comes too late",
    function=calibrate,
    cases=cases,
    stages=(
        Stage("weights", 0.5, "each row is a softmax of scaled scores"),
        Stage("measured", 1.0, "the scale is measured from the keys"),
        Stage("examples", 0.5, "each example measures its own keys"),
        Stage("alike", 0.5, "keys that are all alike get equal weights"),
        Stage("large", 0.5, "very large scores give no NaN"),
    ),
    misconceptions=(
        Misconception(
            "no_scale",
            edits=(("products / scale", "products"),),
            stage="weights",
            error="E02",
            says=(
                "Your softmax sees the bare dot products. For queries of "
                "variance 1 they vary as much as the keys are spread, so "
                "wide or long keys saturate it; divide by the square root "
                "of the spread first."
            ),
            section="scores-saturation",
        ),
        Misconception(
            "scaled_too_late",
            edits=(
                ("products / scale", "products"),
                ("exponentials / total", "exponentials / total / scale"),
            ),
            stage="weights",
            error="E02",
            says=(
                "The weights were divided, not the scores. The softmax had "
                "saturated by then, and your rows no longer sum to one. A "
                "scale is a temperature: it acts before the softmax."
            ),
            section="scores-before-the-softmax",
        ),
        Misconception(
            "by_the_width",
            edits=(
                (
                    "k.var(axis=-2).sum(axis=-1)",
                    "k.var(axis=-2).sum(axis=-1) * 0 + k.shape[-1]",
                ),
            ),
            stage="measured",
            says=(
                "You divided by the square root of the width. That is the "
                "right scale for keys of variance 1; these keys do not "
                "promise it, so measure."
            ),
            section="scores-variance-is-measured",
        ),
        Misconception(
            "variance_not_root",
            edits=(("np.sqrt(spread)", "spread"),),
            stage="weights",
            says=(
                "You divided by the variance. A number divided by c has "
                "its variance divided by the square of c, so the scale is "
                "the standard deviation, the square root."
            ),
            section="scores-scale",
        ),
        Misconception(
            "variances_averaged",
            edits=(
                ("k.var(axis=-2).sum(axis=-1)", "k.var(axis=-2).mean(-1)"),
            ),
            stage="weights",
            says=(
                "The variances of the entries were averaged. A dot product "
                "is a sum over the entries, and the variance of a sum of "
                "uncorrelated terms is the sum of their variances."
            ),
            section="scores-variance-is-measured",
        ),
        Misconception(
            "variance_along_the_key",
            edits=(
                ("k.var(axis=-2).sum", "np.swapaxes(k, -1, -2).var(-2).sum"),
            ),
            stage="weights",
            says=(
                "The variance was taken along each key, over its entries. "
                "What makes the scores of one query differ is how the keys "
                "differ from one another: take it over the keys."
            ),
            section="scores-which-axis",
        ),
        Misconception(
            "mean_of_squares",
            edits=(("k.var(axis=-2)", "(k**2).mean(axis=-2)"),),
            stage="measured",
            says=(
                "A mean of squares is a variance only where the mean is "
                "zero. What all keys have in common shifts every score of "
                "a query alike and must not count."
            ),
            section="scores-variance-is-measured",
        ),
        Misconception(
            "one_variance_for_all",
            edits=(
                (
                    "k.var(axis=-2).sum(axis=-1)",
                    "np.full(k.shape[:-2], k.var() * k.shape[-1])",
                ),
            ),
            stage="examples",
            says=(
                "One variance was measured over all entries of all "
                "examples. Then an example's weights depend on its "
                "neighbours, and the differences between the entries' "
                "means count as spread."
            ),
            section="scores-which-axis",
        ),
        Misconception(
            "measured_on_queries",
            edits=(("k.var(axis=-2)", "q.var(axis=-2)"),),
            stage="weights",
            says=(
                "The spread was measured on the queries. Within a row the "
                "query is fixed; it is the keys that vary."
            ),
            section="scores-variance-is-measured",
        ),
        Misconception(
            "no_maximum",
            edits=(("scores - highest", "scores"),),
            stage="large",
            says=(
                "The exponential of a very large score overflows, and "
                "infinity over infinity is NaN. Subtract the row's maximum "
                "first, as in unit 02; the weights do not change."
            ),
            section="scores-extreme",
        ),
        Misconception(
            "divided_by_no_spread",
            edits=(("np.where(spread > 0, spread, 1.0)", "spread * 1.0"),),
            stage="alike",
            says=(
                "Where all keys are alike the spread is zero, and you "
                "divided by it. There is nothing to choose there: divide "
                "by 1 instead, and the weights come out equal."
            ),
            section="scores-alike",
        ),
        Misconception(
            "over_queries",
            edits=(
                ("scores.max(axis=-1", "scores.max(axis=-2"),
                ("exponentials.sum(axis=-1", "exponentials.sum(axis=-2"),
            ),
            stage="weights",
            says=(
                "Your columns sum to one. Each query shares out one unit of "
                "weight among the keys, so the rows must."
            ),
            section="scores-all-pairs",
        ),
        Misconception(
            "sample_variance",
            edits=(("k.var(axis=-2)", "k.var(axis=-2, ddof=1)"),),
            stage="weights",
            says=(
                "You divided the squared deviations by one less than their "
                "number. The contract asks for their mean, as np.var gives "
                "by itself."
            ),
            section="scores-variance-is-measured",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=2.0),
    difficulty=3,
    importance=4,
    minutes=20,
    hints=(
        "At which moment does a saturated softmax lose the small weights? "
        "What must have happened before?",
        "The variances have shape (..., dim), their sum (...), and the "
        "scale must broadcast against (..., queries, keys).",
        "Divide the dot products by the square root of the spread, or by "
        "1 where it is zero; then a softmax that subtracts its maximum.",
    ),
    picture=lambda result: result,
)
