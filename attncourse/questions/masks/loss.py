"""The mean loss of a padded batch, from log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def mean_loss(log_probabilities, targets):
    """Return the mean loss of the real targets, and how many there are.

    The loss of one position is minus the log-probability of its target.
    Where the target is -1 the position is padding: it is no class, and
    nothing that stands there has an influence.

    Parameters
    ----------
    log_probabilities : NumPy array of floats, shape (..., positions,
        classes); finite at the real positions.
    targets : NumPy array of integers, shape (..., positions); a class, or
        -1, which may stand at any position.

    Returns
    -------
    loss : mean over all real positions of all sequences, each position
        counting once; 0 if there is none.
    real : number of real positions.

    The arguments are left as they were. Single precision is accurate
    enough.
    """
    real = targets >= 0
    index = np.where(real, targets, 0)
    chosen = np.take_along_axis(log_probabilities, index[..., None], axis=-1)
    losses = -chosen[..., 0]
    total = np.sum(losses, where=real)
    count = np.sum(real)
    loss = total / max(count, 1)
    return loss, count


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def logs(*shape: int) -> np.ndarray:
        logits = 2 * rng.normal(size=shape)
        total = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return logits - total

    def padded(lengths: list[int], positions: int, classes: int) -> np.ndarray:
        targets = rng.integers(classes, size=(len(lengths), positions))
        real = np.arange(positions) < np.array(lengths)[:, None]
        return np.where(real, targets, -1)

    yield Case(
        "full",
        (logs(3, 5, 7), rng.integers(7, size=(3, 5))),
        note="nothing is padding",
    )
    yield Case("full", (logs(5, 3), rng.integers(3, size=5)))
    yield Case("padding", (logs(3, 5, 7), padded([3, 3, 3], 5, 7)))
    yield Case("padding", (logs(3, 5, 7), padded([3, 3, 3], 5, 7)[:, ::-1]))
    scattered = rng.permuted(padded([30], 38, 17)[0])
    yield Case(
        "padding",
        (logs(38, 17), scattered),
        note="one long sequence, padding anywhere",
    )
    scattered = rng.permuted(padded([1, 3], 4, 8).reshape(1, 2, 4), axis=-1)
    yield Case("padding", (logs(1, 2, 4, 8), scattered), note="four axes")
    targets = padded([7, 1, 2], 7, 5)
    uneven = logs(3, 7, 5)
    # The short sequences are the hard ones.
    uneven[1:] = np.where(
        np.arange(5) == targets[1:, :, None], uneven[1:] - 3, uneven[1:]
    )
    yield Case(
        "uneven",
        (uneven, targets),
        note="one long sequence and two short ones",
    )
    targets = padded([2, 5], 5, 3)
    spoiled = np.where(targets[..., None] < 0, np.nan, logs(2, 5, 3))
    yield Case(
        "spoiled",
        (spoiled, targets),
        note="NaN stands in the padding",
    )
    targets = padded([2, 5], 5, 3)
    spoiled = np.where(targets[..., None] < 0, -np.inf, logs(2, 5, 3))
    yield Case(
        "spoiled",
        (spoiled, targets),
        note="minus infinity stands in the padding",
    )
    yield Case("nothing", (logs(2, 3, 5), np.full((2, 3), -1)))
    yield Case(
        "nothing",
        (np.full((2, 3, 5), np.nan), np.full((2, 3), -1)),
        note="all is padding, and NaN",
    )
    yield Case(
        "nothing",
        (logs(2, 3, 5), padded([0, 2], 3, 5)),
        note="one sequence is empty",
    )
    yield Case(
        "inputs",
        (
            logs(3, 5, 7).astype(np.float32),
            padded([5, 2, 4], 5, 7).astype(np.int32),
        ),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield Case(
        "inputs",
        (logs(3, 5, 14)[..., ::2], padded([1, 5, 3], 5, 7)),
        readonly=True,
        note="the arguments cannot be written to",
    )


QUESTION = Question(
    id="masks.loss",
    kind="implement",
    title="A loss that does not count padding",
    function=mean_loss,
    cases=cases,
    stages=(
        Stage("full", 0.25, "without padding it is the mean loss"),
        Stage("padding", 0.5, "padding is neither summed nor counted"),
        Stage("uneven", 0.5, "each real position counts once"),
        Stage("spoiled", 0.25, "what stands in the padding is not read"),
        Stage("nothing", 0.25, "an average over nothing is 0"),
        Stage("inputs", 0.25, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "padding_is_class_zero",
            edits=(
                ("np.sum(losses, where=real)", "np.sum(losses)"),
                ("np.sum(real)", "np.sum(np.ones_like(real))"),
            ),
            stage="padding",
            error="E06",
            says=(
                "You count padding as targets of class 0. A model that "
                "answers 0 everywhere then looks good, the better the more "
                "padding there is. Padding is no class: leave it out."
            ),
            section="masks-average",
        ),
        Misconception(
            "minus_one_is_last",
            edits=(("targets >= 0", "targets >= -1"),),
            stage="padding",
            error="E06",
            says=(
                "You use -1 as an index. NumPy reads it as the last class "
                "and raises no error, so padding is scored as a class."
            ),
            section="masks-average",
        ),
        Misconception(
            "divided_by_positions",
            edits=(("max(count, 1)", "max(targets.size, 1)"),),
            stage="padding",
            says=(
                "You sum over the real positions and divide by all of "
                "them. The same sentences then have a smaller loss when "
                "they are padded further."
            ),
            section="masks-average",
        ),
        Misconception(
            "mean_of_means",
            edits=(
                (
                    "total / max(count, 1)",
                    "np.mean(np.sum(losses, axis=-1, where=real)"
                    " / np.maximum(np.sum(real, axis=-1), 1))",
                ),
            ),
            stage="uneven",
            says=(
                "You average each sequence, and then the averages. A "
                "position in a short sequence weighs more in that than one "
                "in a long sequence; each real position should count once."
            ),
            section="masks-average",
        ),
        Misconception(
            "divided_by_sequences",
            edits=(("max(count, 1)", "max(len(targets), 1)"),),
            stage="padding",
            says=(
                "You divide by the length of the first axis. Longer "
                "sequences then have larger losses; divide by the number "
                "of real positions."
            ),
            section="masks-average",
        ),
        Misconception(
            "sum",
            edits=(("total / max(count, 1)", "total * 1.0"),),
            stage="full",
            says=(
                "You return the sum of the losses. It grows with the "
                "batch, and so would every step of the training."
            ),
            section="masks-average",
        ),
        Misconception(
            "no_minus",
            edits=(("-chosen", "chosen"),),
            stage="full",
            says=(
                "Your loss is the mean log-probability. It is highest "
                "where the prediction is best; a loss is its negative."
            ),
            section="masks-average",
        ),
        Misconception(
            "probabilities",
            edits=(("-chosen[..., 0]", "1 - np.exp(chosen[..., 0])"),),
            stage="full",
            says=(
                "You take one minus the probability of the target. The "
                "loss asked for is minus its logarithm, and logarithms "
                "are what you were given."
            ),
            section="masks-average",
        ),
        Misconception(
            "logarithm_twice",
            edits=(
                ("-chosen[..., 0]", "-np.log(np.maximum(-chosen[..., 0], 0))"),
            ),
            stage="full",
            says=(
                "You take a logarithm of what is a logarithm already. The "
                "documents do the same with a softmax (E09): look at what "
                "a function was given before you transform it again."
            ),
            section="masks-average",
        ),
        Misconception(
            "multiplied_away",
            edits=(("np.sum(losses, where=real)", "np.sum(losses * real)"),),
            stage="spoiled",
            says=(
                "You multiply the losses of padding by zero, but 0 * NaN "
                "and 0 * inf are NaN. Choose what to sum; do not multiply."
            ),
            section="masks-nothing",
        ),
        Misconception(
            "nan_for_nothing",
            edits=(("max(count, 1)", "count"),),
            stage="nothing",
            says=(
                "Without a real position you divide zero by zero. One "
                "empty batch would make the whole training NaN; the "
                "contract is a loss of 0."
            ),
            section="masks-average",
        ),
        Misconception(
            "targets_overwritten",
            edits=(
                (
                    "index = np.where(real, targets, 0)",
                    "targets[~real] = 0\n    index = targets",
                ),
            ),
            stage="inputs",
            says=(
                "You write into the targets that you were given; the next "
                "one to read them finds no padding. Work on a copy."
            ),
            section="masks-average",
        ),
    ),
    tolerance=numerics.tolerance(terms=64),
    difficulty=2,
    importance=4,
    minutes=15,
    hints=(
        "What does NumPy return for the index -1? And which positions "
        "should be summed, which counted?",
        "np.take_along_axis wants an index with as many axes as the array: "
        "give the targets a last axis of length one.",
        "Replace the targets of padding by any class that exists, sum only "
        "where a target is real, divide by the number of real ones or 1.",
    ),
)
