"""The gradients of a tempered softmax, without its Jacobian."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def gradients(scores, upstream, temperature):
    """Return the gradients of a loss through softmax(scores / temperature).

    Parameters
    ----------
    scores : s, NumPy array of floats of shape (..., keys).
    upstream : the gradient of the loss with respect to the weights, the
        shape of `scores`.
    temperature : a positive number tau that all rows share.

    Returns
    -------
    d_scores : gradient with respect to the scores, the shape of `scores`.
    d_temperature : gradient with respect to the temperature, one number.

    An array of keys x keys is not needed. Large scores, above and below
    zero, are handled. The arguments are left as they were. Single
    precision is accurate enough.
    """
    highest = scores.max(axis=-1, keepdims=True)
    shifted = scores - highest
    exponentials = np.exp(shifted / temperature)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    average = (weights * upstream).sum(axis=-1, keepdims=True)
    d_scaled = weights * (upstream - average)
    d_scores = d_scaled / temperature
    reach = (d_scaled * shifted).sum()
    d_temperature = -reach / temperature**2
    return d_scores, d_temperature


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        scores = rng.normal(size=shape)
        # An upstream that goes with the scores keeps the gradient of the
        # temperature, a covariance, away from zero.
        return scores, 2 * scores + 0.5 * rng.normal(size=shape)

    yield Case(
        "equal",
        (np.zeros((3, 5)), rng.normal(size=(3, 5)), 1.0),
        # The gradient of the temperature is zero, made of parts that
        # cancel: single precision leaves a rest of 1e-7 for each.
        tolerance=numerics.Tolerance(1e-4, 1e-5, "a sum that cancels"),
        note="all scores are zero, so the temperature does not matter",
    )
    yield Case("rows", (*pair(3, 7), 1.0), note="temperature 1")
    yield Case("rows", (*pair(5), 1.0), note="a single row")
    yield Case("rows", (*pair(1, 4), 1.0), note="a single row of two axes")
    yield Case("rows", (*pair(17, 38), 1.0), note="more scores than a handful")
    yield Case("rows", (*pair(5, 5), 1.0), note="as many rows as keys")
    yield Case("temperature", (*pair(3, 5), 2.5))
    yield Case("temperature", (*pair(2, 3, 7), 0.4), note="leading axes")
    yield Case("temperature", (*pair(2, 1, 3, 4), 1.6), note="four axes")
    steps = rng.permuted(np.tile(np.arange(7.0), (3, 1)), axis=1)
    yield Case(
        "temperature",
        (2.0**-10 * steps, 50 * steps + rng.normal(size=(3, 7)), 2.0**-10),
        note="scores and temperature on the same small scale",
    )
    scores = rng.permuted(np.tile(np.arange(7) / 4, (2, 1)), axis=1)
    far = np.array([[512.0], [-512.0]])
    yield Case(
        "extreme",
        (scores + far, 2 * scores, 0.5),
        # sum(d_scaled * scores) cancels numbers of several hundred.
        tolerance=numerics.tolerance(terms=16, magnitude=256.0),
        note="one row lies hundreds above, the other hundreds below",
    )
    single = tuple(each.astype(np.float32) for each in pair(3, 5))
    yield Case(
        "inputs",
        (*single, 1.5),
        untouched=True,
        note="single precision, to be left as it was",
    )
    wide = pair(3, 14)
    yield Case(
        "inputs",
        (wide[0][:, ::2], wide[1][:, ::2], 1.5),
        readonly=True,
        note="strided views that cannot be written",
    )


QUESTION = Question(
    id="softmax.gradients",
    kind="implement",
    title="Backwards through a temperature",
    function=gradients,
    cases=cases,
    stages=(
        Stage("equal", 1.0, "with equal scores each gets its fair share"),
        Stage("rows", 1.0, "at temperature 1 both gradients are right"),
        Stage("temperature", 1.0, "the chain rule goes through s / tau"),
        Stage("extreme", 0.5, "large scores give no NaN"),
        Stage("inputs", 0.5, "float32 works, the arguments stay unchanged"),
    ),
    misconceptions=(
        Misconception(
            "others_forgotten",
            edits=(("(upstream - average)", "upstream"),),
            stage="equal",
            says=(
                "Your gradient is a times g, as if each score moved its own "
                "weight and the total did not matter. Raising one score "
                "takes weight from all others: subtract the weighted mean "
                "of the upstream."
            ),
            section="softmax-backward-pass",
        ),
        Misconception(
            "diagonal_only",
            edits=(
                (
                    "weights * (upstream - average)",
                    "weights * (1 - weights) * upstream",
                ),
            ),
            stage="equal",
            says=(
                "You use the diagonal of the Jacobian, a (1 - a), alone. "
                "That is the derivative of a sigmoid; a softmax couples all "
                "keys, and the entries -a_i a_j beside the diagonal count."
            ),
            section="softmax-jacobian",
        ),
        Misconception(
            "plain_mean",
            edits=(
                (
                    "(weights * upstream).sum(axis=-1, keepdims=True)",
                    "upstream.mean(axis=-1, keepdims=True)",
                ),
            ),
            stage="rows",
            says=(
                "You subtract the plain mean of the upstream. The mean to "
                "subtract is weighted by the weights themselves; the two "
                "agree only where all weights are equal."
            ),
            section="softmax-backward-pass",
        ),
        Misconception(
            "mean_over_all_rows",
            edits=(
                (
                    "(weights * upstream).sum(axis=-1, keepdims=True)",
                    "(weights * upstream).sum(keepdims=True)",
                ),
            ),
            stage="equal",
            says=(
                "The average that you subtract runs over the whole array. "
                "Rows do not touch one another: each has its own average."
            ),
            section="softmax-backward-pass",
        ),
        Misconception(
            "sign_turned",
            edits=(("upstream - average", "average - upstream"),),
            stage="equal",
            says=(
                "Your gradient points the other way. A key whose upstream "
                "is above the weighted mean has a positive gradient."
            ),
            section="softmax-backward-pass",
        ),
        Misconception(
            "cross_entropy",
            edits=(("weights * (upstream - average)", "weights - upstream"),),
            stage="equal",
            says=(
                "You return a - g. That is the gradient of softmax and "
                "cross-entropy together, with g the target; here g is the "
                "gradient that arrives at the weights."
            ),
            section="softmax-backward-pass",
        ),
        Misconception(
            "no_chain_rule",
            edits=(("d_scaled / temperature", "d_scaled"),),
            stage="temperature",
            says=(
                "Your gradient is that with respect to s / tau. The scores "
                "themselves reach the softmax through a division by tau, and "
                "so does their gradient."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "one_power_of_temperature",
            edits=(("temperature**2", "temperature"),),
            stage="temperature",
            says=(
                "Your gradient of the temperature lacks a factor "
                "1 / tau: the derivative of s / tau with respect to tau is "
                "-s / tau squared."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "temperature_sign",
            edits=(("-reach", "reach"),),
            stage="rows",
            says=(
                "Your gradient of the temperature has the wrong sign. The "
                "derivative of s / tau with respect to tau is negative for "
                "positive s: warmer means closer together."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "temperature_ignored",
            edits=(("np.exp(shifted / temperature)", "np.exp(shifted)"),),
            stage="temperature",
            says=(
                "Your weights are those of temperature 1. The gradients "
                "are taken at the weights softmax(s / tau)."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "temperature_once_a_row",
            edits=(
                ("(d_scaled * shifted).sum()", "(d_scaled * shifted).sum(-1)"),
            ),
            stage="temperature",
            says=(
                "You return one gradient of the temperature for each row. "
                "All rows share the temperature, so their parts add up."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "upstream_forgotten",
            edits=(("(d_scaled * shifted)", "(weights * shifted)"),),
            stage="rows",
            says=(
                "Your gradient of the temperature does not depend on the "
                "upstream. It collects, over all scores, the gradient of "
                "s / tau times -s / tau squared."
            ),
            section="softmax-temperature",
        ),
        Misconception(
            "overflow",
            edits=(("scores - highest", "scores"),),
            stage="extreme",
            says=(
                "You exponentiate the scores as they are, and large ones "
                "leave infinity and NaN. Subtract each row's maximum first; "
                "no gradient changes."
            ),
            section="softmax-stability",
        ),
        Misconception(
            "upstream_overwritten",
            edits=(
                (
                    "d_scaled = weights * (upstream - average)",
                    "upstream -= average\n    d_scaled = weights * upstream",
                ),
            ),
            stage="inputs",
            says=(
                "You subtract the average from the caller's own array; who "
                "uses that gradient next gets another one. Make a new array."
            ),
            section="softmax-backward-pass",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=8.0),
    difficulty=4,
    importance=5,
    minutes=30,
    hints=(
        "Call z = s / tau. What is the gradient with respect to z, and how do "
        "s and tau each reach z?",
        "For one row: J is diag(a) - a a^T, so J^T g needs one sum over "
        "keys. d_temperature is a single number, whatever the shape.",
        "dz = a * (g - sum(a * g)); then divide by tau for the scores, and "
        "add up -dz * s / tau**2 for the temperature.",
    ),
    picture=lambda result: result[0],
)
