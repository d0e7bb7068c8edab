"""Repair a decoder's attention over a batch that is padded in front."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def decoder_attention(q, k, v, lengths):
    """Return causal self-attention in a batch that is padded in front.

    A batch that is to be continued is padded at the front, so that all
    sequences end at the same place: of sequence b, the last lengths[b]
    positions are real and those before them are padding. A position may
    look at itself and at earlier real positions. A position that is
    padding sees nothing, and its output is zeros.

    Parameters
    ----------
    q, k : queries and keys, NumPy arrays of floats, shape (batch,
        positions, dim).
    v : values, shape (batch, positions, value_dim).
    lengths : real positions, integer array of shape (batch,).

    Returns
    -------
    output : shape (batch, positions, value_dim).

    What stands at a padded position, NaN included, has no influence. The
    scores are divided by the square root of dim; they stay below a
    hundred. The arguments are left as they were. Single precision is
    accurate enough.
    """
    positions, dim = q.shape[-2:]
    place = np.arange(positions)
    causal = place <= place[:, None]
    real = place >= positions - lengths[:, None]
    mask = causal & real[:, None, :]
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(dim)
    scores = np.where(mask, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    exponentials = np.exp(scores - shift)
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / np.where(total > 0, total, 1.0)
    known = np.where(real[:, :, None], v, 0.0)
    return weights @ known


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        # Wide enough apart that a missing scale shows.
        return 1.5 * rng.normal(size=shape)

    def batch(lengths: np.ndarray, positions: int) -> tuple:
        """Return a batch with NaN wherever a position is padding."""
        arrays = [draw(len(lengths), positions, width) for width in (5, 5, 3)]
        padded = np.arange(positions) < positions - lengths[:, None]
        for array in arrays:
            array[padded] = np.nan
        return (*arrays, lengths)

    one_hot = np.broadcast_to(np.eye(7), (2, 7, 7)).copy()
    yield Case(
        "causal",
        (draw(2, 7, 5), draw(2, 7, 5), one_hot, np.array([7, 7])),
        note="nothing is padding; one-hot values show the weights",
    )
    yield Case(
        "causal",
        (draw(2, 5, 3), draw(2, 5, 3), draw(2, 5, 2), np.array([5, 5])),
        note="nothing is padding",
    )
    lengths = rng.permutation(np.array([2, 4, 7]))
    yield Case(
        "padding",
        (draw(3, 7, 5), draw(3, 7, 5), draw(3, 7, 3), lengths),
    )
    yield Case(
        "padding",
        (draw(1, 7, 5), draw(1, 7, 5), draw(1, 7, 1), np.array([4])),
        note="a single sequence, values of one number",
    )
    lengths = rng.permutation(np.array([3, 20, 38, 33]))
    yield Case(
        "padding",
        (draw(4, 38, 4), draw(4, 38, 4), 50 * draw(4, 38, 5), lengths),
        note="longer sequences, and large values",
    )
    lengths = rng.permutation(np.array([0, 3, 5, 6]))
    yield Case(
        "blank",
        batch(lengths, 7),
        note="NaN stands at every padded position",
    )
    lengths = rng.permutation(np.array([2, 3, 5]))
    yield Case(
        "inputs",
        (
            draw(3, 5, 7).astype(np.float32),
            draw(3, 5, 7).astype(np.float32),
            draw(3, 5, 2).astype(np.float32),
            lengths,
        ),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield Case(
        "inputs",
        (draw(3, 5, 14)[..., ::2], draw(3, 5, 7), draw(3, 5, 2), lengths),
        readonly=True,
        note="the arguments cannot be written to",
    )


QUESTION = Question(
    id="masks.mend",
    kind="repair",
    title="Mend a decoder's attention",
    function=decoder_attention,
    cases=cases,
    stages=(
        Stage("causal", 1.0, "nobody sees a later position"),
        Stage("padding", 1.0, "nobody sees the padding in front"),
        Stage("blank", 0.5, "padding gives zeros and spoils nothing"),
        Stage("inputs", 0.5, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "mask_added",
            edits=(("np.where(mask, scores, -np.inf)", "scores + mask"),),
            stage="causal",
            error="E27",
            says=(
                "The mask is still added to the scores: an allowed key "
                "gains 1, a forbidden one stays in the race. Hide a score "
                "by setting it to -inf before the softmax."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "after_the_softmax",
            edits=(
                ("np.where(mask, scores, -np.inf)", "scores"),
                (
                    "exponentials / np.where(total > 0, total, 1.0)",
                    "np.where(mask, exponentials / total, 0.0)",
                ),
            ),
            stage="causal",
            says=(
                "The mask still acts on the weights. By then every hidden "
                "key has been in the divisor, so the rows sum to less than "
                "one, and how much less tells about the future."
            ),
            section="masks-before-the-softmax",
        ),
        Misconception(
            "transposed",
            edits=(("place <= place[:, None]", "place >= place[:, None]"),),
            stage="causal",
            error="E09",
            says=(
                "The causal mask is still transposed: each position sees "
                "itself and the later ones. Rows are queries, columns are "
                "keys, and a key may not be later than its query."
            ),
            section="masks-causal",
        ),
        Misconception(
            "not_itself",
            edits=(("place <= place[:, None]", "place < place[:, None]"),),
            stage="causal",
            says=(
                "A position cannot see itself in your answer, so the first "
                "one sees nothing. The diagonal belongs to the causal mask."
            ),
            section="masks-causal",
        ),
        Misconception(
            "no_causal_mask",
            edits=(("causal & real", "real"),),
            stage="causal",
            error="E27",
            says=(
                "The padding is hidden, but every position sees the later "
                "ones. A decoder that is trained like this reads the "
                "answers, and has none when it must produce them."
            ),
            section="masks-leak",
        ),
        Misconception(
            "padding_behind",
            edits=(
                (
                    "place >= positions - lengths[:, None]",
                    "place < lengths[:, None]",
                ),
            ),
            stage="padding",
            says=(
                "You treat the last positions as padding. This batch is "
                "padded in front: the last lengths[b] positions are real."
            ),
            section="masks-front",
        ),
        Misconception(
            "longest_for_all",
            edits=(
                (
                    "lengths[:, None]",
                    "np.full_like(lengths, lengths.max())[:, None]",
                ),
            ),
            stage="padding",
            says=(
                "One length, the longest, decides about the padding of all "
                "sequences, and the shorter ones look at theirs. Each "
                "sequence needs a row of its own in the padding mask."
            ),
            section="masks-padding",
        ),
        Misconception(
            "padding_visible",
            edits=(("real[:, None, :]", "True"),),
            stage="padding",
            says=(
                "The mask is causal and nothing more. Padding in front is "
                "earlier than every real position, so a causal mask alone "
                "does not hide it."
            ),
            section="masks-front",
        ),
        Misconception(
            "padded_queries_only",
            edits=(("real[:, None, :]", "real[:, :, None]"),),
            stage="padding",
            says=(
                "You silence the queries that are padding, but the real "
                "queries still see the padded keys. What must be hidden is "
                "a key: real belongs on the last axis of the mask."
            ),
            section="masks-padding",
        ),
        Misconception(
            "minus_1e9",
            edits=(("scores, -np.inf)", "scores, -1e9)"),),
            stage="blank",
            says=(
                "With -1e9 in place of -inf a row in which everything is "
                "hidden becomes uniform: padded positions average the "
                "sequence they are no part of. They must give zeros."
            ),
            section="masks-minus-1e9",
        ),
        Misconception(
            "zero_times_nan",
            edits=(("weights @ known", "weights @ v"),),
            stage="blank",
            says=(
                "The weights of the padding are zero, but 0 * NaN is NaN. "
                "What stands in the padding may be anything, so put zeros "
                "there before the values are summed."
            ),
            section="masks-nothing",
        ),
        Misconception(
            "no_scale",
            edits=((" / np.sqrt(dim)", ""),),
            stage="causal",
            error="E02",
            says=(
                "The scores are no longer divided by the square root of "
                "dim. The function as found does that; keep the division, "
                "which the unit on scores explains."
            ),
            section="masks-before-the-softmax",
        ),
    ),
    tolerance=numerics.tolerance(terms=16, magnitude=2.0),
    difficulty=3,
    importance=5,
    minutes=20,
    hints=(
        "Give it values of one-hot rows and no padding: the output is then "
        "the matrix of weights. Which entries should be zero?",
        "A mask for the whole batch has shape (batch, positions, positions); "
        "what is padding has shape (batch, positions) and says something "
        "about keys.",
        "Four lines are wrong: the comparison of places, the comparison "
        "with the lengths, what the mask does to the scores, and what is "
        "done after the softmax.",
    ),
    picture=lambda result: result[0],
)
