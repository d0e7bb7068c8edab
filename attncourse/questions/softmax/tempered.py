"""A softmax along any axis, with the soft maximum that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def tempered(scores, temperature, axis):
    """Return the softmax at a temperature, and the soft maximum.

    The soft maximum of scores s at temperature tau is
    tau log sum exp(s / tau). It is never below the highest score and
    reaches it as tau goes to zero.

    Parameters
    ----------
    scores : NumPy array of floats, with one axis or more.
    temperature : a positive number tau; the weights are softmax(s / tau).
    axis : the axis along which the weights sum to one, an integer;
        negative ones count from the last axis.

    Returns
    -------
    weights : the shape of `scores`.
    peak : the soft maximum, the shape of `scores` without `axis`.

    Scores of any size and small temperatures are handled: the results are
    finite and right. The scores are left as they were. Single precision is
    accurate enough.
    """
    highest = scores.max(axis=axis, keepdims=True)
    shifted = scores - highest
    scaled = shifted / temperature
    exponentials = np.exp(scaled)
    total = exponentials.sum(axis=axis, keepdims=True)
    weights = exponentials / total
    soft = highest + temperature * np.log(total)
    peak = soft.squeeze(axis)
    return weights, peak


# A logarithm in the thousands is off by 1.2e-4 in single precision, and a
# weight that is computed through it by that share of itself.
FAR = numerics.tolerance(terms=64, magnitude=16.0)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return 1.5 * rng.normal(size=shape)

    yield Case(
        "one_score",
        (draw(3, 1), 1.0, -1),
        # The weight is 1 without rounding: a number added to the divisor
        # shows.
        tolerance=numerics.tolerance(terms=1),
        note="one score a row",
    )
    yield Case("one_score", (draw(5, 1), 2.5, 1), note="one score a row")
    yield Case("plain", (draw(3, 7), 1.0, -1), note="temperature 1")
    yield Case("plain", (draw(5, 5), 1.0, 1), note="as many rows as columns")
    yield Case("plain", (draw(1, 4), 1.0, 1), note="a single row of two axes")
    yield Case(
        "plain",
        (0.3 * draw(17, 38), 1.0, -1),
        note="more scores than a handful",
    )
    yield Case("temperature", (draw(3, 7), 2.5, -1))
    yield Case("temperature", (draw(7), 0.4, 0), note="a single row")
    # Powers of two keep the scores, over the temperature, at 0 to 12.
    steps = rng.permuted(np.tile(2 * np.arange(7.0), (3, 1)), axis=1)
    for scale in (2.0**-14, 2.0**14):
        yield Case(
            "temperature",
            (scale * steps, scale, -1),
            note="scores and temperature on the same small or large scale",
        )
    yield Case("axis", (draw(5, 3), 0.7, 0), note="the first of two axes")
    yield Case("axis", (draw(5, 5), 1.3, 0), note="as many rows as columns")
    yield Case("axis", (draw(2, 5, 3), 1.7, -2), note="the middle axis")
    yield Case("axis", (draw(3, 5, 2), 1.7, 0), note="the first of three")
    yield Case("axis", (draw(2, 3, 4, 5), 0.8, 1), note="four axes")
    yield Case("axis", (draw(2, 3, 4, 5), 0.8, -3), note="the same, counted")
    # Multiples of a quarter are exact in single precision: what decides
    # is the order of the operations, not the rounding.
    rows = rng.permuted(np.tile(np.arange(7) / 4, (3, 1)), axis=1)
    far = np.array([512.0, -512.0, 0.0])[:, None]
    yield Case(
        "extreme",
        (rows + far, 0.5, -1),
        tolerance=FAR,
        note="one row lies hundreds above, another hundreds below",
    )
    tied = rng.permuted([[1.0, 3.0, 3.0, 2.0, -4.0]] * 3, axis=1)
    yield Case(
        "extreme",
        (tied + rng.integers(1, 5), 2.0**-9, -1),
        tolerance=FAR,
        note="nearly no temperature, and two scores share the first place",
    )
    yield Case(
        "inputs",
        (draw(3, 5).astype(np.float32), 1.5, -1),
        untouched=True,
        note="single precision, to be left as it was",
    )
    yield Case(
        "inputs",
        (draw(3, 10)[:, ::2], 1.5, 0),
        readonly=True,
        note="a strided view that cannot be written",
    )


QUESTION = Question(
    id="softmax.tempered",
    kind="implement",
    title="A softmax and its soft maximum",
    function=tempered,
    cases=cases,
    stages=(
        Stage("one_score", 0.5, "a lone score gets weight 1 and is the peak"),
        Stage("plain", 1.0, "at temperature 1 both results are right"),
        Stage("temperature", 1.0, "the temperature divides, and comes back"),
        Stage("axis", 0.75, "the weights sum to one along the axis asked for"),
        Stage("extreme", 0.5, "huge scores and tiny temperatures are finite"),
        Stage("inputs", 0.25, "float32 works and the scores stay unchanged"),
    ),
    misconceptions=(
        Misconception(
            "temperature_multiplies",
            edits=(("shifted / temperature", "shifted * temperature"),),
            stage="temperature",
            says=(
                "Your scores are multiplied by the temperature before the "
                "exponential. A high temperature must make the weights more "
                "equal, so it divides."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "temperature_ignored",
            edits=(("shifted / temperature", "shifted"),),
            stage="temperature",
            says=(
                "Your weights do not depend on the temperature. Every score "
                "is divided by it before the exponential."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "temperature_after_the_softmax",
            edits=(
                ("shifted / temperature", "shifted"),
                ("exponentials / total", "exponentials / total / temperature"),
            ),
            stage="temperature",
            says=(
                "The temperature divides your weights after the softmax, so "
                "they no longer sum to one and their ratios never change. It "
                "must divide the scores, inside the exponential."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "peak_in_other_units",
            edits=(
                (
                    "highest + temperature * np.log(total)",
                    "highest / temperature + np.log(total)",
                ),
            ),
            stage="temperature",
            says=(
                "Your peak is the log-sum-exp of the divided scores. Times "
                "the temperature it is back in the units of the scores, and "
                "comparable with the highest of them."
            ),
            section="softmax-soft-maximum",
        ),
        Misconception(
            "only_the_maximum_is_scaled_back",
            edits=(("temperature * np.log(total)", "np.log(total)"),),
            stage="temperature",
            says=(
                "Your peak adds the bare logarithm to the highest score. The "
                "whole log-sum-exp of s / tau is multiplied by tau: its "
                "maximum becomes the highest score, its logarithm keeps the "
                "factor tau."
            ),
            section="softmax-soft-maximum",
        ),
        Misconception(
            "maximum_not_added_back",
            edits=(("highest + temperature", "0 * highest + temperature"),),
            stage="plain",
            says=(
                "Your peak is that of the shifted scores. Weights do not "
                "notice the subtraction of the maximum; a log-sum-exp does, "
                "and the maximum has to be added again."
            ),
            section="softmax-soft-maximum",
        ),
        Misconception(
            "hard_maximum",
            edits=(("highest + temperature * np.log(total)", "highest"),),
            stage="plain",
            says=(
                "Your peak is the highest score. The soft maximum lies above "
                "it, the more so the more scores come close to the highest."
            ),
            section="softmax-soft-maximum",
        ),
        Misconception(
            "mean_of_exponentials",
            edits=(("np.log(total)", "np.log(total / scores.shape[axis])"),),
            stage="plain",
            says=(
                "Your peak is the logarithm of the mean of the exponentials. "
                "It lies below the highest score; the sum was asked for, "
                "which makes a difference of tau log(number of scores)."
            ),
            section="softmax-soft-maximum",
        ),
        Misconception(
            "always_the_last_axis",
            edits=(
                (
                    "highest = scores.max",
                    "axis = -1\n    highest = scores.max",
                ),
            ),
            stage="axis",
            error="E22",
            says=(
                "Your weights sum to one along the last axis whatever axis "
                "was asked for. Over which axis weights share out is part of "
                "the question; the wrong one often runs without an error."
            ),
            section="softmax-along-which-axis",
        ),
        Misconception(
            "one_sum_for_everything",
            edits=(
                (
                    "exponentials.sum(axis=axis, keepdims=True)",
                    "exponentials.sum(keepdims=True)",
                ),
            ),
            stage="plain",
            error="E22",
            says=(
                "You divide by the sum over the whole array. Rows then "
                "compete with one another: an example's weights change with "
                "its neighbours."
            ),
            section="softmax-along-which-axis",
        ),
        Misconception(
            "one_maximum_for_everything",
            edits=(
                (
                    "scores.max(axis=axis, keepdims=True)",
                    "scores.max(keepdims=True)",
                ),
            ),
            stage="extreme",
            says=(
                "You subtract the maximum of the whole array. A row that "
                "lies far below it has only exponentials of zero, and zero "
                "by zero is NaN: each row needs its own maximum."
            ),
            section="softmax-stability",
        ),
        Misconception(
            "overflow",
            edits=(
                ("scores - highest", "scores"),
                ("highest + temperature", "0 * highest + temperature"),
            ),
            stage="extreme",
            says=(
                "You exponentiate the scores as they are: a large one gives "
                "infinity, a row of very small ones divides zero by zero. "
                "Subtract each row's maximum first."
            ),
            section="softmax-stability",
        ),
        Misconception(
            "softmax_twice",
            edits=(
                (
                    "weights = exponentials / total",
                    "once = np.exp(exponentials / total)\n"
                    "    weights = once / once.sum(axis=axis, keepdims=True)",
                ),
            ),
            stage="plain",
            error="E20",
            says=(
                "You apply the softmax twice. Weights lie between 0 and 1, "
                "so the second softmax sees scores that hardly differ, and "
                "makes nearly equal weights of them."
            ),
            section="softmax-one-softmax-too-many",
        ),
        Misconception(
            "axis_kept",
            edits=(("soft.squeeze(axis)", "soft"),),
            stage="plain",
            says=(
                "Your peak keeps the axis, with length one. The contract "
                "asks for the shape of the scores without that axis."
            ),
            section="softmax-along-which-axis",
        ),
        Misconception(
            "scores_overwritten",
            edits=(
                (
                    "shifted = scores - highest",
                    "scores -= highest\n    shifted = scores",
                ),
            ),
            stage="inputs",
            says=(
                "You subtract the maximum from the caller's own array. The "
                "result is right once; whoever called you now holds other "
                "scores. Make a new array."
            ),
            section="softmax-stability",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=8.0),
    difficulty=2,
    importance=5,
    minutes=25,
    hints=(
        "Which of the two results notices that a maximum was subtracted, "
        "and which does not?",
        "With keepdims=True the maximum and the sum have the shape of the "
        "scores, with length one along the axis: they broadcast.",
        "The log-sum-exp of s / tau is highest / tau plus the logarithm of "
        "the sum of exp((s - highest) / tau); multiply it by tau.",
    ),
    picture=lambda result: result[0],
)
