"""Repair a loss that applies the softmax twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def readout_loss(scores, labels):
    """Return the mean cross-entropy of examples, from their scores.

    The loss of one example is minus the logarithm of the weight that the
    softmax over its classes gives to its label.

    Parameters
    ----------
    scores : one row for each example, shape (..., classes), a NumPy array
        of floats; any finite numbers, not weights.
    labels : integers from 0 to classes - 1, shape (...).

    Returns
    -------
    loss : one number, the mean over all examples.

    The loss is finite and right for scores of any size. The arguments are
    left as they were. Single precision is accurate enough.
    """
    highest = scores.max(axis=-1, keepdims=True)
    shifted = scores - highest
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    logarithms = shifted - np.log(total)
    index = labels[..., None]
    chosen = np.take_along_axis(logarithms, index, axis=-1)
    loss = -chosen.mean()
    return loss


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def batch(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        scores = 2 * rng.normal(size=shape)
        return scores, rng.integers(shape[-1], size=shape[:-1])

    yield Case("one_example", batch(1, 5), note="an example on its own")
    yield Case("one_example", batch(1, 3), note="an example on its own")
    yield Case("mean", batch(7, 5))
    yield Case("mean", batch(5, 5), note="as many examples as classes")
    yield Case("mean", batch(3, 5, 7), note="leading axes")
    yield Case("mean", batch(2, 1, 3, 4), note="four axes")
    yield Case("mean", batch(17, 38), note="more classes than a handful")
    # Quarters are exact in single precision beside thousands.
    scores = rng.permuted(np.tile(np.arange(5) / 4, (3, 1)), axis=1)
    far = np.array([[1024.0], [-1024.0], [0.0]])
    yield Case(
        "extreme",
        (scores + far, rng.integers(5, size=3)),
        # A logarithm near 1024 in single precision is off by 6e-5.
        tolerance=numerics.tolerance(terms=64, magnitude=16.0),
        note="all scores of a row lie a thousand above or below zero",
    )
    scores = np.tile(np.arange(5) * -256.0, (3, 1))
    yield Case(
        "extreme",
        (scores, rng.permutation(np.array([1, 2, 4]))),
        note="labels whose weight is far too small for a float",
    )
    sharp = 64.0 * rng.permuted(np.tile(np.arange(5), (7, 1)), axis=1)
    yield Case(
        "extreme",
        (sharp, rng.integers(4, size=7)),
        note="scores that differ by hundreds",
    )
    yield Case(
        "extreme",
        (sharp, sharp.argmax(axis=1)),
        note="examples that are sure and right, whose loss is 0",
    )
    scores, labels = batch(5, 3)
    yield Case(
        "inputs",
        (scores.astype(np.float32), labels.astype(np.int32)),
        untouched=True,
        note="single precision, to be left as it was",
    )
    scores, labels = batch(5, 6)
    yield Case(
        "inputs",
        (scores[:, ::2], labels // 2),
        readonly=True,
        note="a strided view that cannot be written",
    )


QUESTION = Question(
    id="softmax.repair",
    kind="repair",
    title="One softmax too many",
    function=readout_loss,
    cases=cases,
    stages=(
        Stage("one_example", 0.5, "one example gives -log of its weight"),
        Stage("mean", 1.0, "examples are averaged, each on its own"),
        Stage("extreme", 1.0, "scores of any size give the exact loss"),
        Stage("inputs", 0.5, "float32 works, the arguments stay unchanged"),
    ),
    misconceptions=(
        Misconception(
            "softmax_twice",
            edits=(
                (
                    "logarithms = shifted - np.log(total)",
                    "weights = np.exp(shifted) / total\n"
                    "    again = np.exp(weights).sum(axis=-1, keepdims=True)\n"
                    "    logarithms = weights - np.log(again)",
                ),
            ),
            stage="one_example",
            error="E09",
            says=(
                "Your loss is still the cross-entropy of a softmax of "
                "weights. No score, however sure, brings it near zero: the "
                "second softmax sees numbers between 0 and 1 only. Give the "
                "loss the scores themselves."
            ),
            section="softmax-one-softmax-too-many",
        ),
        Misconception(
            "across_the_batch",
            edits=(
                ("scores.max(axis=-1", "scores.max(axis=0"),
                ("np.exp(shifted).sum(axis=-1", "np.exp(shifted).sum(axis=0"),
            ),
            stage="one_example",
            error="E22",
            says=(
                "Your weights share out over the examples, not over the "
                "classes. A lone example then has no loss at all, and every "
                "other one's changes with its neighbours."
            ),
            section="softmax-along-which-axis",
        ),
        Misconception(
            "one_sum_for_everything",
            edits=(
                (
                    "np.exp(shifted).sum(axis=-1, keepdims=True)",
                    "np.exp(shifted).sum()",
                ),
            ),
            stage="mean",
            error="E22",
            says=(
                "You divide by the sum over the whole batch. Each example's "
                "classes share out one unit of weight among themselves."
            ),
            section="softmax-along-which-axis",
        ),
        Misconception(
            "logarithm_of_the_weight",
            edits=(
                ("shifted - np.log(total)", "np.log(np.exp(shifted) / total)"),
            ),
            stage="extreme",
            says=(
                "You compute a weight and then its logarithm. A weight that "
                "is too small for a float is rounded to zero, and its "
                "logarithm is minus infinity. Subtract the log-sum-exp from "
                "the score: no small number is formed."
            ),
            section="softmax-logarithm-of-a-weight",
        ),
        Misconception(
            "clipped",
            edits=(
                (
                    "shifted - np.log(total)",
                    "np.log(np.exp(shifted) / total + 1e-9)",
                ),
            ),
            stage="extreme",
            says=(
                "You add a small number before the logarithm. That hides "
                "the infinity and gives another loss: it stops growing, and "
                "its gradient vanishes, exactly where the model is most "
                "wrong."
            ),
            section="softmax-logarithm-of-a-weight",
        ),
        Misconception(
            "overflow",
            edits=(("scores - highest", "scores"),),
            stage="extreme",
            says=(
                "You exponentiate the scores as they are: large ones "
                "overflow. Subtract each row's maximum first."
            ),
            section="softmax-stability",
        ),
        Misconception(
            "labels_ignored",
            edits=(
                (
                    "np.take_along_axis(logarithms, index, axis=-1)",
                    "logarithms.max(axis=-1)",
                ),
            ),
            stage="one_example",
            says=(
                "You take the weight of the highest score, whatever the "
                "label says. A loss that does not look at the label rewards "
                "being sure, not being right."
            ),
            section="softmax-logarithm-of-a-weight",
        ),
        Misconception(
            "no_minus",
            edits=(("-chosen.mean()", "chosen.mean()"),),
            stage="one_example",
            says=(
                "Your loss is negative: it is the mean logarithm itself. "
                "The better the prediction, the smaller a loss must be."
            ),
            section="softmax-logarithm-of-a-weight",
        ),
        Misconception(
            "summed",
            edits=(("chosen.mean()", "chosen.sum()"),),
            stage="mean",
            says=(
                "You sum over the examples. The loss then grows with the "
                "batch; the mean was asked for."
            ),
            section="softmax-logarithm-of-a-weight",
        ),
        Misconception(
            "logarithm_of_the_mean",
            edits=(("-chosen.mean()", "-np.log(np.exp(chosen).mean())"),),
            stage="mean",
            says=(
                "You average the weights of the labels and take one "
                "logarithm. Each example has a loss of its own; the losses "
                "are averaged."
            ),
            section="softmax-logarithm-of-a-weight",
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
                "You subtract the maximum from the caller's own array. Make "
                "a new one."
            ),
            section="softmax-stability",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=8.0),
    difficulty=2,
    importance=4,
    minutes=20,
    hints=(
        "With five classes, how low can the broken loss get, however sure "
        "and right the model is?",
        "labels[..., None] has the axes of the scores; "
        "np.take_along_axis picks one entry from each row.",
        "The logarithm of a weight is the score minus the log-sum-exp of "
        "its row: no weight has to be computed at all.",
    ),
)
