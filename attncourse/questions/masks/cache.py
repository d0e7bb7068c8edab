"""One mask for a batch that decodes from a cache of ragged lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def cache_mask(lengths, *, queries, keys):
    """Return who may look at what when a batch decodes from a cache.

    Every sequence keeps its keys in a buffer with room for `keys` of
    them. Sequence b has filled the first lengths[b] places; the rest is
    empty room that nobody may look at. Its `queries` queries are its
    newest positions: the last query stands at the last filled place, the
    query before it one place earlier, and so on. A query may look at its
    own place and at every place before it. A query that would stand
    before the first place looks at nothing.

    Parameters
    ----------
    lengths : filled places, a list or an array of any integer type,
        shape (batch,), each from 0 to `keys`.
    queries : number of queries of every sequence.
    keys : number of places in the buffer.

    Returns
    -------
    mask : booleans, shape (batch, queries, keys), True where a query may
        look.

    There may be more queries than places. The lengths are left as they
    were.
    """
    filled = np.asarray(lengths, dtype=np.int64)
    number = np.arange(queries)
    stands = filled[:, None] - queries + number
    place = np.arange(keys)
    mask = place <= stands[:, :, None]
    return mask


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def call(stage: str, lengths, queries: int, keys: int, **more) -> Case:
        sizes = {"queries": queries, "keys": keys}
        return Case(stage, (lengths,), sizes, **more)

    def distinct(low: int, high: int, many: int) -> np.ndarray:
        chosen = rng.choice(np.arange(low, high), many, replace=False)
        return chosen.astype(np.int64)

    yield call(
        "square",
        np.full(2, 5),
        5,
        5,
        note="full buffers: the ordinary causal mask, twice",
    )
    yield call("newest", distinct(2, 7, 3), 1, 7, note="one query each")
    yield call("ragged", distinct(3, 11, 5), 3, 11)
    yield call("ragged", distinct(7, 13, 2), 7, 13)
    full = rng.permutation(np.array([4, 8, 6, 5]))
    yield call("ragged", full, 3, 8, note="one buffer is full")
    yield call("ragged", full - 1, 3, 8, note="other lengths")
    yield call("ragged", distinct(19, 37, 1), 17, 38, note="one sequence")
    yield call(
        "short",
        rng.permutation(np.array([0, 2, 4, 6])),
        5,
        7,
        note="some sequences are shorter than the number of queries",
    )
    yield call(
        "short",
        rng.permutation(np.array([1, 3, 5])),
        7,
        5,
        note="more queries than places",
    )
    yield call(
        "inputs",
        rng.permutation(np.array([1, 2, 5, 9])).astype(np.uint8),
        3,
        11,
        readonly=True,
        note="unsigned integers cannot go below zero",
    )
    yield call("inputs", [int(each) for each in distinct(2, 5, 2)], 2, 5)
    yield call(
        "inputs",
        distinct(2, 8, 4),
        2,
        7,
        untouched=True,
        note="the lengths must be left as they were",
    )


QUESTION = Question(
    id="masks.cache",
    kind="implement",
    title="A mask for a ragged cache",
    function=cache_mask,
    cases=cases,
    stages=(
        Stage("square", 0.5, "with full buffers the mask is a triangle"),
        Stage("newest", 1.0, "one new query sees all filled places"),
        Stage("ragged", 1.5, "queries are aligned to their own last place"),
        Stage("short", 0.5, "a query before the first place sees nothing"),
        Stage("inputs", 0.5, "lengths may be a list or unsigned integers"),
    ),
    misconceptions=(
        Misconception(
            "not_itself",
            edits=(("place <= stands", "place < stands"),),
            stage="square",
            says=(
                "In your mask a query cannot see its own place. Its own "
                "key is known when the query is asked; without it the "
                "first query of every sequence sees nothing at all."
            ),
            section="masks-causal",
        ),
        Misconception(
            "one_ahead",
            edits=(("place <= stands", "place - 1 <= stands"),),
            stage="square",
            error="E09",
            says=(
                "Your mask lets each query see one place too many: the "
                "next one, which is what a decoder is asked to predict. "
                "Such a leak looks like an excellent result in training."
            ),
            section="masks-leak",
        ),
        Misconception(
            "transposed",
            edits=(("place <= stands", "place >= stands"),),
            stage="newest",
            error="E09",
            says=(
                "Your mask is the transpose of the causal one: each query "
                "sees its own place and the later ones. Rows are queries; "
                "the row of the last query is the one with most keys."
            ),
            section="masks-causal",
        ),
        Misconception(
            "starts_together",
            edits=(
                (
                    "filled[:, None] - queries + number",
                    "0 * filled[:, None] + number",
                ),
            ),
            stage="newest",
            says=(
                "You align the first query with the first key. With a "
                "cache the queries are the newest positions: it is the "
                "last query and the last key that stand together."
            ),
            section="masks-cache",
        ),
        Misconception(
            "end_of_buffer",
            edits=(
                ("filled[:, None] - queries", "keys + 0 * filled[:, None]"),
                ("np.arange(queries)", "np.arange(queries) - queries"),
            ),
            stage="newest",
            says=(
                "You align the last query with the end of the buffer, so "
                "it looks at room that holds no key yet. The end that "
                "matters is the last filled place of each sequence."
            ),
            section="masks-cache",
        ),
        Misconception(
            "padding_and_causal",
            edits=(
                (
                    "place <= stands[:, :, None]",
                    "(place <= keys - queries + number[:, None])"
                    " & (place < filled[:, None, None])",
                ),
            ),
            stage="ragged",
            says=(
                "You combine a padding mask with a causal mask that is "
                "aligned to the end of the buffer. In a sequence that does "
                "not fill its buffer the queries then stand too late, and "
                "see one another's future."
            ),
            section="masks-cache",
        ),
        Misconception(
            "padding_only",
            edits=(("np.arange(queries)", "np.full(queries, queries - 1)"),),
            stage="square",
            error="E09",
            says=(
                "You hide the empty room, but each query sees every filled "
                "place, the newer queries' places too. Where several "
                "queries are asked at once, the mask must also be causal."
            ),
            section="masks-composition",
        ),
        Misconception(
            "longest_for_all",
            edits=(
                ("filled[:, None]", "np.full((len(filled), 1), max(filled))"),
            ),
            stage="newest",
            says=(
                "You use the longest length for every sequence. Then a "
                "short sequence looks at empty room, and its result "
                "depends on which others share the batch."
            ),
            section="masks-padding",
        ),
        Misconception(
            "backwards",
            edits=(("np.arange(queries)", "np.arange(queries)[::-1]"),),
            stage="square",
            says=(
                "Your queries are numbered backwards: the first row has "
                "the most keys. The last row belongs to the newest query, "
                "and that one sees the most."
            ),
            section="masks-causal",
        ),
        Misconception(
            "true_is_forbidden",
            edits=(("return mask", "return ~mask"),),
            stage="square",
            says=(
                "Your mask is True where a query may not look. Both "
                "conventions exist; in this course, as in PyTorch's "
                "scaled_dot_product_attention, True means: look."
            ),
            section="masks-boolean",
        ),
        Misconception(
            "added_numbers",
            edits=(("return mask", "return np.where(mask, 0.0, -np.inf)"),),
            stage="square",
            says=(
                "You return numbers to add to the scores. A mask here is "
                "boolean: it says who may look, and what is done to the "
                "scores is left to the softmax."
            ),
            section="masks-boolean",
        ),
        Misconception(
            "first_key_for_the_blind",
            edits=(
                ("stands[:, :, None]", "np.maximum(stands, 0)[..., None]"),
            ),
            stage="short",
            says=(
                "A query that stands before the first place sees the "
                "first key in your mask. It may see nothing: its row is "
                "False throughout, and attention gives zeros for it."
            ),
            section="masks-nothing",
        ),
        Misconception(
            "wraps_around",
            edits=(
                ("np.asarray(lengths, dtype=np.int64)", "np.asarray(lengths)"),
            ),
            stage="inputs",
            says=(
                "With unsigned lengths, 2 - 3 is not -1 but a very large "
                "number, so a short sequence sees everything. Convert the "
                "lengths to signed integers before you subtract."
            ),
            section="masks-cache",
        ),
    ),
    tolerance=numerics.EXACT,
    difficulty=3,
    importance=5,
    minutes=20,
    hints=(
        "At which place of the buffer does query number i of sequence b "
        "stand? Write the last query down first.",
        "The places of the queries have shape (batch, queries); give them "
        "a last axis of length one and compare with the places of the "
        "keys, shape (keys,).",
        "Query i stands at lengths[b] - queries + i, and it sees the places "
        "up to that one.",
    ),
    picture=lambda result: result[-1] * 1.0,
)
