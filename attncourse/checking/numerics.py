"""How exact an answer must be, and why: the course's numerics policy.

A tolerance is derived from the arithmetic that an honest answer may use,
never from what happened to pass. Two rules serve two needs:

- an answer in single precision or better is compared with float64 truth
  under an error budget (`tolerance`);
- a low-precision kernel is compared with the *ideal kernel*, which
  computes in float64 and rounds only what the type forces it to round
  (`within_ideal`), and a float32 kernel with the plain float32
  computation (`within_plain`). A fixed tolerance cannot do this: one wide
  enough for bfloat16 lets a one-percent error in the scale pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SINGLE_EPS = float(np.finfo(np.float32).eps)
# Rounding errors of independent terms grow like the square root of their
# number (Higham, "Accuracy and Stability of Numerical Algorithms", 2002,
# section 2.8); the factor covers the few operations around the sum and
# the worst of many entries.
SAFETY = 32.0

HALF_RMS_RATIO = 1.10
SINGLE_RMS_RATIO = 1.25
SINGLE_MAX_RATIO = 2.0


@dataclass(frozen=True)
class Tolerance:
    """A bound on errors, relative to the largest entry of the truth.

    `relative` scales with the largest absolute entry of the expected
    array, `absolute` does not; `because` is the reason in words.
    """

    relative: float
    absolute: float
    because: str


def tolerance(*, terms: int, magnitude: float = 1.0) -> Tolerance:
    """Return the error budget of an honest single-precision answer.

    Parameters
    ----------
    terms : length of the longest sum on the way to one entry.
    magnitude : largest absolute number that is exponentiated or cancels
        on the way (for a softmax, the largest score); an error there of
        one unit in the last place is `magnitude` times larger at the end.

    Examples
    --------
    >>> tolerance(terms=64).relative < 1e-4
    True
    """
    if terms < 1 or magnitude <= 0:
        raise ValueError(
            "terms must be at least 1 and magnitude positive: "
            f"got terms={terms}, magnitude={magnitude}"
        )
    budget = SAFETY * SINGLE_EPS * np.sqrt(terms) * max(1.0, magnitude)
    return Tolerance(
        relative=float(budget),
        absolute=SINGLE_EPS,
        because=(
            f"{SAFETY:g} x float32 epsilon x sqrt({terms} terms)"
            f" x magnitude {max(1.0, magnitude):g}"
        ),
    )


EXACT = Tolerance(0.0, 0.0, "counts, choices and masks are exact")


def rms_error(answer: np.ndarray, truth: np.ndarray) -> float:
    """Return the root-mean-square error of `answer` against float64 truth.

    Raises
    ------
    ValueError
        If the two do not have one shape.

    Examples
    --------
    >>> rms_error(np.array([1.0, 3.0]), np.array([1.0, 1.0])) ** 2
    2.0000000000000004
    """
    if np.shape(answer) != np.shape(truth):
        # Broadcasting would compare what does not correspond.
        raise ValueError(
            "answer must have the truth's shape: "
            f"got {np.shape(answer)}, truth {np.shape(truth)}"
        )
    error = np.asarray(answer, np.float64) - np.asarray(truth, np.float64)
    return float(np.sqrt(np.mean(error**2))) if error.size else 0.0


def within_ideal(
    answer: np.ndarray, truth: np.ndarray, ideal: np.ndarray
) -> bool:
    """Tell whether a half-precision answer is as good as its type allows.

    `ideal` is the float64 computation with only the probabilities and the
    output rounded to the type. A correct kernel reaches at most
    `HALF_RMS_RATIO` times its root-mean-square error.
    """
    return rms_error(answer, truth) <= HALF_RMS_RATIO * rms_error(ideal, truth)


def within_plain(
    answer: np.ndarray, truth: np.ndarray, plain: np.ndarray
) -> bool:
    """Tell whether a float32 answer is about as good as the plain one.

    `plain` is the textbook computation in float32. Both the
    root-mean-square and the largest error are bounded.
    """
    worst = np.max(np.abs(np.asarray(answer, np.float64) - truth), initial=0)
    plain_worst = np.max(
        np.abs(np.asarray(plain, np.float64) - truth), initial=0
    )
    return bool(
        rms_error(answer, truth) <= SINGLE_RMS_RATIO * rms_error(plain, truth)
        and worst <= SINGLE_MAX_RATIO * plain_worst
    )
