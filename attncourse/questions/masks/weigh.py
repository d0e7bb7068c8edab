"""Masked softmax that also returns the logarithm of each row's total."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def weigh(scores, mask):
    """Return masked weights and the logarithm of what they divide by.

    Parameters
    ----------
    scores : NumPy array of floats, shape (..., queries, keys).
    mask : NumPy array of booleans, True where a query may look; it
        broadcasts to the shape of `scores` and may have fewer leading
        axes, but has those of queries and keys.

    Returns
    -------
    weights : shape (..., queries, keys). The softmax over the keys that
        the mask allows, exactly zero at the others.
    log_total : shape (..., queries). The logarithm of the sum of
        exp(score) over the keys that the mask allows.

    A row that may look at nothing has weights zero and a log_total of
    minus infinity, the logarithm of an empty sum. What stands at a
    forbidden place, NaN or a very large number included, has no
    influence. Allowed scores of any size, far below -1e9 too, are
    handled. The arguments are left as they were. Single precision is
    accurate enough.
    """
    allowed = np.where(mask, scores, -np.inf)
    highest = allowed.max(axis=-1, keepdims=True)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    exponentials = np.exp(allowed - shift)
    total = exponentials.sum(axis=-1, keepdims=True)
    divisor = np.where(total > 0, total, 1.0)
    weights = exponentials / divisor
    with np.errstate(divide="ignore"):
        log_total = np.log(total) + shift
    return weights, log_total[..., 0]


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def some(*shape: int) -> np.ndarray:
        """Return a mask that allows and forbids in every row."""
        place, keys = np.arange(shape[-1]), shape[-1]
        first = rng.integers(keys, size=(*shape[:-1], 1))
        mask = (rng.random(shape) < 0.5) | (place == first)
        return mask & (place != (first + 1) % keys)

    yield Case("everything", (rng.normal(size=(3, 5)), np.full((3, 5), True)))
    yield Case("some", (rng.normal(size=(5, 7)), some(5, 7)))
    yield Case("some", (rng.normal(size=(7, 7)), some(7, 7)))
    yield Case(
        "some",
        (rng.normal(size=(17, 38)), some(17, 38)),
        note="more keys than a handful",
    )
    yield Case("some", (rng.normal(size=(1, 4)), some(1, 4)), note="one row")
    yield Case("batch", (rng.normal(size=(2, 3, 5, 7)), some(2, 1, 1, 7)))
    yield Case(
        "batch",
        (rng.normal(size=(4, 3, 5)), some(3, 5)),
        note="one mask for the whole batch",
    )
    blank = some(5, 7)
    blank[rng.permutation(5)[:2]] = False
    yield Case(
        "nothing",
        (rng.normal(size=(5, 7)), blank),
        note="two rows see nothing",
    )
    silent = some(2, 1, 5)
    silent[rng.integers(2)] = False
    yield Case(
        "nothing",
        (rng.normal(size=(2, 3, 5)), silent),
        note="one example of the batch sees nothing",
    )
    yield Case(
        "nothing",
        (np.where(blank, rng.normal(size=(5, 7)), np.nan), blank),
        note="two rows see nothing, and hold nothing but NaN",
    )
    scores, mask = rng.normal(size=(3, 5)), some(3, 5)
    yield Case(
        "forbidden",
        (np.where(mask, scores, np.nan), mask),
        note="NaN stands at the forbidden places",
    )
    yield Case(
        "forbidden",
        (np.where(mask, scores, 1e4), mask),
        note="the forbidden scores are very large",
    )
    # Quarters are exact in single precision, also beside a thousand.
    steps = rng.integers(-8, 9, size=(3, 5)) / 4
    yield Case(
        "extreme",
        (steps + np.array([[1000.0], [-1000.0], [0.0]]), some(3, 5)),
        # A logarithm near 1000 in single precision is off by 3e-5.
        tolerance=numerics.tolerance(terms=16, magnitude=16.0),
        note="one row's scores are near 1000, another's near -1000",
    )
    for low in (-(2.0**15), -(2.0**35)):
        yield Case(
            "extreme",
            (np.full((5, 5), low), rng.permutation(np.eye(5)) > 0),
            # The weights are 1 and 0 without rounding: a number added to
            # the divisor shows.
            tolerance=numerics.tolerance(terms=1),
            note="each row's only allowed score is very low",
        )
    yield Case(
        "inputs",
        (rng.normal(size=(3, 10)).astype(np.float32)[:, ::2], some(3, 5)),
        untouched=True,
    )
    yield Case("inputs", (rng.normal(size=(3, 5)), some(3, 5)), readonly=True)


QUESTION = Question(
    id="masks.weigh",
    kind="implement",
    title="Masked weights and their totals",
    function=weigh,
    cases=cases,
    stages=(
        Stage("everything", 0.5, "without a hidden key it is the softmax"),
        Stage("some", 1.0, "allowed keys share the weight, others get none"),
        Stage("batch", 0.5, "the mask broadcasts against the scores"),
        Stage("nothing", 1.0, "a row that sees nothing gives 0 and -inf"),
        Stage("forbidden", 0.5, "a forbidden score has no influence"),
        Stage("extreme", 0.25, "very large and very small scores are handled"),
        Stage("inputs", 0.25, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "after_the_softmax",
            edits=(
                ("np.where(mask, scores, -np.inf)", "scores"),
                ("exponentials / divisor", "mask * exponentials / divisor"),
            ),
            stage="some",
            says=(
                "You take the softmax over all keys and hide some of the "
                "weights afterwards. What is left of a row no longer sums "
                "to one, and hidden keys have taken part in the division."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "hidden_then_divided",
            edits=(
                ("np.where(mask, scores, -np.inf)", "scores"),
                ("np.exp(allowed - shift)", "mask * np.exp(allowed - shift)"),
            ),
            stage="forbidden",
            says=(
                "You exponentiate all scores and hide some before you "
                "divide. On paper that is right; in numbers a large hidden "
                "score makes every allowed one underflow to zero, and a "
                "hidden NaN stays NaN, since 0 * NaN is NaN."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "set_to_minus_1e9",
            edits=(("scores, -np.inf)", "scores, -1e9)"),),
            stage="nothing",
            says=(
                "You set hidden scores to -1e9. A row in which everything "
                "is hidden then has equal scores, and its weights are "
                "uniform over the very keys that it may not see."
            ),
            section="masks-minus-1e9",
        ),
        Misconception(
            "minus_1e9_added",
            edits=(
                (
                    "np.where(mask, scores, -np.inf)",
                    "scores + np.where(mask, 0.0, -1e9)",
                ),
            ),
            stage="nothing",
            says=(
                "You add -1e9 to hidden scores. Where the whole row is "
                "hidden that is one constant for all, and a softmax does "
                "not notice a constant: the hidden keys are read as if "
                "there were no mask."
            ),
            section="masks-minus-1e9",
        ),
        Misconception(
            "score_zero",
            edits=(("scores, -np.inf)", "scores, 0.0)"),),
            stage="some",
            says=(
                "You set hidden scores to zero. Zero is a score like any "
                "other: its exponential is one, and the hidden key gets a "
                "share. The score whose exponential is zero is -inf."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "mask_added",
            edits=(("np.where(mask, scores, -np.inf)", "scores + mask"),),
            stage="some",
            error="E27",
            says=(
                "You add the mask to the scores, so that an allowed key "
                "gains 1 and a hidden one gains 0. That prefers the "
                "allowed keys a little; it hides nothing."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "true_is_forbidden",
            edits=(("np.where(mask, scores", "np.where(~mask, scores"),),
            stage="some",
            says=(
                "You hide the keys at which the mask is True. In this "
                "course True means that the query may look."
            ),
            section="masks-boolean",
        ),
        Misconception(
            "over_queries",
            edits=(
                ("allowed.max(axis=-1", "allowed.max(axis=-2"),
                ("exponentials.sum(axis=-1", "exponentials.sum(axis=-2"),
                (
                    "np.log(total) + shift",
                    "np.swapaxes(np.log(total) + shift, -1, -2)",
                ),
            ),
            stage="some",
            says=(
                "Your weights are normalised over the queries: the columns "
                "sum to one. Each query shares out one unit of weight "
                "among the keys that it may see."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "no_shift",
            edits=(
                (
                    "np.where(np.isfinite(highest), highest, 0.0)",
                    "np.zeros_like(highest)",
                ),
            ),
            stage="extreme",
            says=(
                "You exponentiate the scores as they are. The exponential "
                "of a thousand is infinite and that of minus a thousand is "
                "zero; subtract the row's highest allowed score first."
            ),
            section="masks-shift",
        ),
        Misconception(
            "highest_of_all",
            edits=(
                (
                    "allowed.max(axis=-1, keepdims=True)",
                    "np.max(scores, axis=-1, keepdims=True)",
                ),
            ),
            stage="forbidden",
            says=(
                "You subtract the highest score of the row, hidden ones "
                "included. If a hidden score is much larger than the "
                "allowed ones, these all underflow to zero."
            ),
            section="masks-shift",
        ),
        Misconception(
            "minus_infinity_shifted",
            edits=(
                ("np.where(np.isfinite(highest), highest, 0.0)", "highest"),
            ),
            stage="nothing",
            says=(
                "In a row that sees nothing the highest score is -inf, and "
                "-inf - (-inf) is NaN. Any finite number may be subtracted "
                "there; zero will do."
            ),
            section="masks-nothing",
        ),
        Misconception(
            "zero_over_zero",
            edits=(("np.where(total > 0, total, 1.0)", "total"),),
            stage="nothing",
            says=(
                "In a row that sees nothing you divide zero by zero, which "
                "is NaN. Divide by something else where the total is zero: "
                "the numerators are zero already."
            ),
            section="masks-nothing",
        ),
        Misconception(
            "shift_not_added_back",
            edits=(("np.log(total) + shift", "np.log(total)"),),
            stage="some",
            says=(
                "Your weights are divided by the right total, but your "
                "logarithm is that of the shifted total. The exponentials "
                "were made with score minus shift: add the shift back."
            ),
            section="masks-shift",
        ),
    ),
    tolerance=numerics.tolerance(terms=16),
    difficulty=3,
    importance=5,
    minutes=25,
    hints=(
        "Which score has an exponential of exactly zero? And what is the "
        "highest score of a row in which all of them are that one?",
        "Keep the last axis of the highest score and of the total, of "
        "length one; drop it from the logarithm.",
        "Shift by zero where the highest score is not finite, divide by one "
        "where the total is zero, add the shift to the logarithm.",
    ),
    picture=lambda result: result[0],
)
