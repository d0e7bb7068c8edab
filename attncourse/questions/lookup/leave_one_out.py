"""Kernel regression in which no point may answer for itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def leave_one_out(points, values, bandwidth):
    """Return an estimate of each value from all the other points.

    Row i is the average of the values of the points j other than i,
    weighted by a Gaussian kernel: exp(-d^2 / (2 bandwidth^2)), where d is
    the distance from point i to point j. The weights that row i uses sum
    to one. There are at least two points; two that lie at the same place
    are still two, and each is one of the others to the other.

    Parameters
    ----------
    points : shape (points, dim); queries and keys at once.
    values : shape (points, value_dim).
    bandwidth : one positive number.

    Returns
    -------
    estimates : shape (points, value_dim).

    The arrays are NumPy arrays of floats. A point that is any number of
    bandwidths away from all others gets its estimate from them too. The
    arguments are left as they were. Single precision is accurate enough.
    """
    gaps = points[:, None, :] - points[None, :, :]
    squared = (gaps**2).sum(axis=-1)
    scores = -squared / (2 * bandwidth**2)
    itself = np.eye(len(points), dtype=bool)
    scores = np.where(itself, -np.inf, scores)
    highest = scores.max(axis=1, keepdims=True)
    kernel = np.exp(scores - highest)
    weights = kernel / kernel.sum(axis=1, keepdims=True)
    return weights @ values


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case(
        "two_points",
        (draw(2, 3), draw(2, 5), 0.8),
        # The only weight is 1 without rounding: a number added to the
        # divisor shows.
        tolerance=numerics.tolerance(terms=1),
        note="of two points, each is estimated by the other",
    )
    yield Case(
        "two_points",
        (draw(2, 1), draw(2, 1), 1.7),
        note="two points on a line, with one number each",
    )
    yield Case(
        "weights",
        (draw(7, 3), np.eye(7), 1.3),
        note="one-hot values: the estimates are the weights",
    )
    yield Case(
        "weights",
        (draw(38, 2), np.eye(38), 0.9),
        note="one-hot values and more points than a handful",
    )
    twins = draw(5, 3)
    twins[4] = twins[1]
    yield Case(
        "weights",
        (twins, draw(5, 2), 1.2),
        note="two points lie at the same place",
    )
    points, values = draw(7, 2), 50 * draw(7, 3)
    yield Case("bandwidth", (points, values, 0.3))
    yield Case("bandwidth", (points, values, 1.7), note="other bandwidth")
    yield Case("bandwidth", (draw(5, 5), draw(5, 5), 2.9))
    yield Case("bandwidth", (draw(4, 1), draw(4, 1), 0.3), note="on a line")
    # Squared distances of 2304 and more that differ by quarters: exact in
    # single precision too.
    far = np.zeros((7, 3))
    far[:, 1] = rng.permutation(7) / 2
    far[2] = (48.0, 0.0, 0.0)
    yield Case(
        "far_away",
        (far, draw(7, 2), 1.0),
        # A distance in single precision, squared again, is off by 1e-4.
        tolerance=numerics.tolerance(terms=64, magnitude=16.0),
        note="one point is 48 bandwidths away from the others",
    )
    # However far the only other point is, its weight is 1.
    remote = np.zeros((2, 3))
    remote[rng.integers(2), 1] = 2.0**17
    yield Case(
        "far_away",
        (remote, draw(2, 2), 1.0),
        note="two points, 131072 bandwidths apart",
    )
    yield Case(
        "inputs",
        (draw(5, 3), draw(5, 2), 1.1),
        untouched=True,
        note="the arguments must be left as they were",
    )
    wide = rng.normal(size=(11, 6)).astype(np.float32)
    yield Case(
        "inputs",
        (wide[:, ::2], wide[:, 1::2], 1.1),
        readonly=True,
        note="strided single-precision views that cannot be written",
    )


QUESTION = Question(
    id="lookup.leave_one_out",
    kind="implement",
    title="Estimate each point from the others",
    function=leave_one_out,
    cases=cases,
    stages=(
        Stage("two_points", 0.5, "of two points, each reads the other"),
        Stage("weights", 1.0, "each row weighs the others and sums to one"),
        Stage("bandwidth", 1.0, "similarity falls as the bandwidth says"),
        Stage("far_away", 1.0, "a point far from all others gets an answer"),
        Stage("inputs", 0.5, "views work and no argument is changed"),
    ),
    misconceptions=(
        Misconception(
            "answers_for_itself",
            edits=(("np.where(itself, -np.inf, scores)", "scores"),),
            stage="two_points",
            says=(
                "Each point takes part in its own estimate, with the "
                "largest weight of all, since its distance to itself is "
                "zero. Such an estimate looks better than it is."
            ),
            section="lookup-leave-one-out",
        ),
        Misconception(
            "left_out_too_late",
            edits=(
                ("np.where(itself, -np.inf, scores)", "scores"),
                (
                    "weights @ values",
                    "np.where(itself, 0.0, weights) @ values",
                ),
            ),
            stage="two_points",
            says=(
                "You remove the point's own weight after normalising, so "
                "the weights that are left sum to less than one. Leave it "
                "out before the sum is taken."
            ),
            section="lookup-leave-one-out",
        ),
        Misconception(
            "bandwidth_not_squared",
            edits=(("2 * bandwidth**2", "2 * bandwidth"),),
            stage="bandwidth",
            says=(
                "You divide by twice the bandwidth. Squared distances are "
                "compared with the squared bandwidth; otherwise changing "
                "the unit of length would change the answer."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "half_missing",
            edits=(("(2 * bandwidth**2)", "bandwidth**2"),),
            stage="bandwidth",
            says=(
                "The factor two in 2 h^2 is missing. Your bandwidth is then "
                "the one asked for divided by the square root of two."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "distance_not_squared",
            edits=(("sum(axis=-1)", "sum(axis=-1) ** 0.5"),),
            stage="bandwidth",
            says=(
                "You took a square root: your kernel falls with the "
                "distance. The Gaussian falls with its square, slowly at "
                "first and then ever faster. Leave the square as it is."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "sign_lost",
            edits=(("-squared /", "squared /"),),
            stage="bandwidth",
            says=(
                "The farthest points get the largest weights: the minus "
                "sign of the squared distance is missing."
            ),
            section="lookup-bandwidth",
        ),
        Misconception(
            "columns_normalised",
            edits=(
                ("kernel.sum(axis=1", "kernel.sum(axis=0"),
                ("scores.max(axis=1", "scores.max(axis=0"),
            ),
            stage="weights",
            says=(
                "The columns of your weights sum to one. Row i holds the "
                "weights that estimate point i, so the rows must. The "
                "kernel matrix is symmetric; the weights are not."
            ),
            section="lookup-over-queries",
        ),
        Misconception(
            "over_everything",
            edits=(
                ("kernel.sum(axis=1, keepdims=True)", "kernel.sum()"),
                (
                    "scores.max(axis=1, keepdims=True)",
                    "scores.max()",
                ),
            ),
            stage="weights",
            says=(
                "All weights of the matrix together sum to one. Every row "
                "must, because every row is an average of its own."
            ),
            section="lookup-over-queries",
        ),
        Misconception(
            "underflow",
            edits=(("scores - highest", "scores"),),
            stage="far_away",
            says=(
                "For a point far from all others every kernel value is "
                "too small for a floating-point number: zero divided by "
                "zero. Subtract the row's highest score first; the "
                "weights stay the same."
            ),
            section="lookup-large-scores",
        ),
        Misconception(
            "dot_products",
            edits=(("-squared /", "points @ points.T /"),),
            stage="weights",
            says=(
                "You compare points by their dot product, which grows with "
                "their lengths: a long point then counts as near, however "
                "far away it lies. Use minus the squared distance."
            ),
            section="lookup-kernel-and-dot",
        ),
        Misconception(
            "points_averaged",
            edits=(("weights @ values", "weights @ points"),),
            stage="weights",
            error="E12",
            says=(
                "You average the points, which are the keys here. What is "
                "estimated are the values."
            ),
            section="lookup-keys-averaged",
        ),
        Misconception(
            "values_changed",
            edits=(
                (
                    "return weights @ values",
                    "values[:] = weights @ values; return values.copy()",
                ),
            ),
            stage="inputs",
            says=(
                "Your function writes the estimates into the caller's "
                "values. Return a new array."
            ),
            section="lookup-in-place",
        ),
    ),
    tolerance=numerics.tolerance(terms=64, magnitude=8.0),
    difficulty=3,
    importance=4,
    minutes=25,
    hints=(
        "Which number in row i belongs to point i itself, and what must "
        "its weight be?",
        "The scores have shape (points, points), and their diagonal is "
        "the place to act.",
        "Put minus infinity on the diagonal before the softmax: its "
        "exponential is exactly zero.",
    ),
)
