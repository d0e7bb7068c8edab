"""Write a test that tells a softmax from what only resembles one."""

import numpy as np

from attncourse.checking import Audit, edited


def one_softmax(scores, axis=-1):
    """Return the softmax of `scores` along `axis`."""
    highest = np.max(scores, axis=axis, keepdims=True)
    exponentials = np.exp(scores - highest)
    total = np.sum(exponentials, axis=axis, keepdims=True)
    return exponentials / total


def another_softmax(scores, axis=-1):
    """Return the softmax by way of its logarithm."""
    total = np.logaddexp.reduce(scores, axis=axis, keepdims=True)
    return np.exp(scores - total)


def single_softmax(scores, axis=-1):
    """Return the softmax, computed in single precision."""
    return one_softmax(np.asarray(scores, dtype=np.float32), axis=axis)


QUESTION = Audit(
    id="softmax.audit",
    title="Is this a softmax?",
    function_name="test_softmax",
    points=3,
    needed=6,
    right=(one_softmax, another_softmax, single_softmax),
    wrong=(
        edited(one_softmax, ("scores - highest", "scores")),
        edited(
            one_softmax,
            ("highest = np.max", "axis = 0\n    highest = np.max"),
        ),
        edited(
            one_softmax,
            ("highest = np.max", "axis = -1\n    highest = np.max"),
        ),
        edited(
            one_softmax,
            ("np.sum(exponentials", "np.max(exponentials"),
        ),
    ),
    difficulty=3,
    importance=4,
    minutes=20,
    hints=(
        "Which numbers can you compute by hand? Which properties hold for "
        "every array of scores?",
        "Let the sizes of the axes differ, ask for an axis that is not the "
        "last, and make some scores very large and some rows very low.",
        "A right function may differ from your expectation by rounding: "
        "compare with a tolerance. And does it leave its argument alone?",
    ),
)
