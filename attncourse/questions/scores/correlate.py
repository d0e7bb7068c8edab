"""Correlation scores: a cosine that offsets cannot move."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def correlate(q, k):
    """Return the correlation of each query with each key.

    Subtract from every vector the mean of its own entries, then take the
    cosine. A vector whose entries are all equal has nothing left; its
    score with anything is 0. However short or long any other vector is,
    its length plays no part.

    Parameters
    ----------
    q : queries, shape (..., queries, dim).
    k : keys, shape (..., keys, dim).

    Returns
    -------
    scores : shape (..., queries, keys), from -1 to 1.

    Leading axes broadcast. The arguments are left as they were. Single
    precision is accurate enough.
    """
    q_bare = q - q.mean(axis=-1, keepdims=True)
    k_bare = k - k.mean(axis=-1, keepdims=True)
    q_length = np.sqrt((q_bare**2).sum(axis=-1))
    k_length = np.sqrt((k_bare**2).sum(axis=-1))
    lengths = q_length[..., :, None] * k_length[..., None, :]
    products = np.einsum("...qd,...kd->...qk", q_bare, k_bare)
    safe = np.where(lengths > 0, lengths, 1.0)
    scores = products / safe
    return scores


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    ramp = np.arange(5.0)
    yield Case(
        "direction",
        (ramp[None], np.stack([2 * ramp, -3 * ramp, np.roll(ramp, 1)])),
        note="the first key rises with the query, the second falls",
    )
    yield Case("direction", (draw(1, 5), draw(2, 5)))
    yield Case("pairs", (draw(3, 5), draw(7, 5)))
    yield Case(
        "pairs",
        (draw(5, 5), draw(5, 5)),
        note="queries, keys and widths happen to agree here",
    )
    # Squares of the offset may cancel: means of squares less squared means.
    near = numerics.tolerance(terms=16, magnitude=81.0)
    ones = np.ones((1, 7))
    yield Case(
        "offset",
        (draw(3, 7) + 9 * ones, draw(5, 7) - 6 * ones),
        tolerance=near,
        note="a number was added to all entries",
    )
    # Means over 8 entries are exact in binary, however they are computed,
    # so that nothing is left over.
    flat_q, flat_k = draw(3, 8), draw(7, 8)
    flat_q[1] = 2.0
    flat_k[2], flat_k[4] = -0.5, 0.0
    yield Case(
        "flat", (flat_q, flat_k), note="some vectors have equal entries"
    )
    yield Case(
        "lengths",
        (1e-5 * draw(3, 5), 1e-5 * draw(7, 5)),
        note="the vectors are very short",
    )
    yield Case(
        "lengths",
        (1e-7 * (ramp + 0.3 * draw(3, 5)), draw(7, 5)),
        note="only the queries are very short",
    )
    yield Case(
        "lengths",
        (1e5 * draw(3, 5), draw(7, 5)),
        note="the queries are very long",
    )
    yield Case(
        "batch",
        (draw(2, 1, 3, 5), draw(3, 7, 5)),
        untouched=True,
        note="leading axes (2, 1) and (3,) give (2, 3)",
    )
    yield Case(
        "batch",
        (draw(2, 3, 5), draw(2, 7, 10)[..., ::2]),
        untouched=True,
        note="the keys are a strided view; nothing may be changed",
    )


QUESTION = Question(
    id="scores.correlate",
    kind="implement",
    title="Scores that ignore offset and length",
    function=correlate,
    cases=cases,
    stages=(
        Stage("direction", 0.5, "rising together is 1, opposite is -1"),
        Stage("pairs", 1.0, "every query meets every key"),
        Stage("offset", 0.5, "a number added to all entries changes nothing"),
        Stage("flat", 0.5, "a vector of equal entries scores 0, not NaN"),
        Stage("lengths", 0.25, "very short and long vectors score alike"),
        Stage("batch", 0.25, "examples are independent and left unchanged"),
    ),
    misconceptions=(
        Misconception(
            "not_centred",
            edits=(
                ("q - q.mean(axis=-1, keepdims=True)", "q * 1.0"),
                ("k - k.mean(axis=-1, keepdims=True)", "k * 1.0"),
            ),
            stage="offset",
            says=(
                "This is the plain cosine. A number added to all entries "
                "turns the vector towards the diagonal, and every angle "
                "changes; subtract each vector's own mean first."
            ),
            section="scores-cosine-moves",
        ),
        Misconception(
            "only_keys_centred",
            edits=(("q - q.mean(axis=-1, keepdims=True)", "q * 1.0"),),
            stage="offset",
            says=(
                "Your keys are centred and your queries are not. The dot "
                "product does not notice, but the length of the query "
                "does: it still contains the query's mean."
            ),
            section="scores-cosine-moves",
        ),
        Misconception(
            "centred_over_positions",
            edits=(
                ("q.mean(axis=-1, keepdims", "q.mean(axis=-2, keepdims"),
                ("k.mean(axis=-1, keepdims", "k.mean(axis=-2, keepdims"),
            ),
            stage="pairs",
            says=(
                "You subtracted the average query and the average key. The "
                "mean that is meant belongs to one vector, over its "
                "entries; otherwise changing one key changes the scores of "
                "all the others."
            ),
            section="scores-which-axis",
        ),
        Misconception(
            "centred_over_everything",
            edits=(
                ("q.mean(axis=-1, keepdims=True)", "q.mean()"),
                ("k.mean(axis=-1, keepdims=True)", "k.mean()"),
            ),
            stage="pairs",
            says=(
                "One mean of the whole array was subtracted from every "
                "vector. Each vector has a mean of its own; over the whole "
                "array, other keys and other examples are mixed in."
            ),
            section="scores-which-axis",
        ),
        Misconception(
            "lengths_squared",
            edits=(
                ("np.sqrt((q_bare**2).sum(axis=-1))", "(q_bare**2).sum(-1)"),
                ("np.sqrt((k_bare**2).sum(axis=-1))", "(k_bare**2).sum(-1)"),
            ),
            stage="direction",
            says=(
                "You divided by the squares of the lengths. A vector's "
                "score with itself must be 1, whatever its length; the "
                "length is the square root of the sum of squares."
            ),
            section="scores-cosine",
        ),
        Misconception(
            "only_keys_normalised",
            edits=(
                ("q_length[..., :, None] *", "(q_length > 0)[..., None] *"),
            ),
            stage="direction",
            says=(
                "Only the keys were divided by their lengths. The ranking "
                "is right, but the score still grows with the query, which "
                "makes its softmax sharper."
            ),
            section="scores-lengths",
        ),
        Misconception(
            "standard_deviations",
            edits=(
                ("(q_bare**2).sum(axis=-1)", "(q_bare**2).mean(axis=-1)"),
                ("(k_bare**2).sum(axis=-1)", "(k_bare**2).mean(axis=-1)"),
            ),
            stage="direction",
            says=(
                "Your scores are the width times too large: the product is "
                "a sum over the entries, and you divided it by two standard "
                "deviations, which come from means over them. Use sums in "
                "both places, or means in both."
            ),
            section="scores-cosine",
        ),
        Misconception(
            "divided_by_nothing",
            edits=(("np.where(lengths > 0, lengths, 1.0)", "lengths"),),
            stage="flat",
            says=(
                "Zero divided by zero is NaN. A vector of length zero has "
                "no direction, so its score is 0 by contract; divide only "
                "where the length is positive."
            ),
            section="scores-zero-length",
        ),
        Misconception(
            "small_number_added",
            edits=(("np.where(lengths > 0, lengths, 1.0)", "lengths + 1e-8"),),
            stage="lengths",
            says=(
                "A small number added to the lengths avoids 0/0 but shrinks "
                "the scores of short vectors. Treat the length zero as the "
                "special case that it is."
            ),
            section="scores-zero-length",
        ),
        Misconception(
            "sign_lost",
            edits=(("return scores", "return np.abs(scores)"),),
            stage="direction",
            says=(
                "Your scores are never negative. An opposite key must score "
                "-1: after the softmax it should get less weight than an "
                "unrelated one, not as much as an equal one."
            ),
            section="scores-sign",
        ),
        Misconception(
            "dissimilarity",
            edits=(("return scores", "return 1.0 - scores"),),
            stage="direction",
            says=(
                "One minus the correlation says how unlike two vectors "
                "are. A score must be larger for a better match, or the "
                "softmax prefers the worst key."
            ),
            section="scores-sign",
        ),
        Misconception(
            "scaled_by_width",
            edits=(
                ("products / safe", "products / safe / np.sqrt(q.shape[-1])"),
            ),
            stage="direction",
            says=(
                "A correlation is already independent of the width. "
                "Dividing by the square root of the width is for bare dot "
                "products; here it makes wide vectors look unrelated."
            ),
            section="scores-scale",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=2.0),
    difficulty=2,
    importance=3,
    minutes=20,
    hints=(
        "What may change about a vector without changing its score? Which "
        "two operations remove just that?",
        "The means have shape (..., queries, 1); the lengths, one number "
        "for each vector, must become (..., queries, 1) and (..., 1, keys).",
        "Where the product of the lengths is zero the numerator is zero "
        "too, so any positive number may stand below.",
    ),
    picture=lambda result: result,
)
