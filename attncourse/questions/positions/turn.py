"""Rotary positions with the other pairing, on a part of the columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def turn(x, positions, width):
    """Return queries or keys whose first `width` columns are turned.

    Pairs are half-split: of the first `width` columns, column i and column
    i + width/2 form pair i. At position p, pair i turns by the angle
    a = p * 10000 ** (-2 i / width), in radians, so that the columns
    (first, second) become (first cos a - second sin a,
    first sin a + second cos a), each in its own place. The columns from
    `width` on stay as they are.

    Parameters
    ----------
    x : shape (..., tokens, dim).
    positions : shape (..., tokens), whose leading axes broadcast to those
        of `x`; any whole numbers, also negative ones, in any order.
    width : an even number from 2 to dim.

    Returns
    -------
    turned : a new array of the shape of `x`, which is left as it was.

    Single precision is accurate enough.
    """
    half = width // 2
    exponents = 2 * np.arange(half)
    omega = 10000.0 ** (-exponents / width)
    steps = positions[..., None]
    angles = steps * omega
    cos = np.cos(angles)
    sin = np.sin(angles)
    first = x[..., :half]
    second = x[..., half:width]
    rest = x[..., width:]
    new_first = first * cos - second * sin
    new_second = first * sin + second * cos
    return np.concatenate([new_first, new_second, rest], axis=-1)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    first = int(rng.integers(2, 6))
    yield Case(
        "one_pair",
        (draw(5, 2), np.arange(first, first + 5), 2),
        note="two columns, one pair, one radian for each position",
    )
    yield Case(
        "pairs",
        (np.eye(8), np.full(8, first), 8),
        note="one-hot rows at one position: the result is the matrix itself",
    )
    yield Case("pairs", (draw(3, 8), first + np.array([4, 0, 1]), 8))
    yield Case("frequencies", (draw(5, 12), np.arange(1, 6) * 7, 12))
    # Never sorted and never all of one sign, whatever is drawn.
    mixed = np.array([5, -3, 12, 0, -8, 9, 2]) * int(rng.integers(1, 3))
    yield Case(
        "positions",
        (draw(7, 6), mixed, 6),
        note="positions out of order, some of them negative",
    )
    yield Case(
        "positions",
        (draw(2, 3, 5, 4), rng.integers(20, 40, size=(2, 1, 5)), 4),
        note="positions differ between examples, heads share them",
    )
    yield Case("partial", (draw(5, 11), np.arange(2, 7), 6))
    yield Case(
        "inputs",
        (draw(3, 5, 8)[:, :, ::-1], np.arange(4, 9), 4),
        untouched=True,
        note="a strided view, which must be left as it was",
    )
    yield Case(
        "inputs",
        (draw(3, 2, 7), np.arange(4, 6), 6),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield Case(
        "inputs",
        (draw(5, 6).astype(np.float32), np.arange(4, 9), 6),
        readonly=True,
        note="single precision, and arrays that cannot be written",
    )


QUESTION = Question(
    id="positions.turn",
    kind="implement",
    title="Turn with the other pairing",
    function=turn,
    cases=cases,
    stages=(
        Stage("one_pair", 0.5, "two columns turn by one radian a position"),
        Stage("pairs", 1.0, "column i turns with column i + width/2"),
        Stage("frequencies", 0.75, "each pair turns at a speed of its own"),
        Stage("positions", 0.75, "the positions given are those used"),
        Stage("partial", 0.5, "columns beyond the width stay as they are"),
        Stage("inputs", 0.5, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "neighbours_paired",
            edits=(
                ("x[..., :half]", "x[..., :width:2]"),
                ("x[..., half:width]", "x[..., 1:width:2]"),
                (
                    "[new_first, new_second, rest]",
                    "[np.stack([new_first, new_second], axis=-1).reshape("
                    "*x.shape[:-1], width), rest]",
                ),
            ),
            stage="pairs",
            says=(
                "Your result pairs neighbouring columns, the interleaved "
                "convention. Both conventions are in use and each is right "
                "with weights that were trained for it; here column i "
                "belongs to column i + width/2."
            ),
            section="positions-pairing",
        ),
        Misconception(
            "pairs_taken_apart",
            edits=(
                ("= x[..., :half]", "= x[..., :width:2]"),
                ("= x[..., half:width]", "= x[..., 1:width:2]"),
            ),
            stage="pairs",
            says=(
                "You take pairs of neighbours and put the results into two "
                "halves: turned, but no longer in their own places. A query "
                "and a key treated alike would still match; the columns of "
                "every other program would not."
            ),
            section="positions-pairing",
        ),
        Misconception(
            "turned_backwards",
            edits=(
                ("- second * sin", "+ second * sin"),
                (
                    "first * sin + second * cos",
                    "second * cos - first * sin",
                ),
            ),
            stage="one_pair",
            says=(
                "Every pair turns the wrong way round. Lengths stay and "
                "scores still depend on distance alone, but on the distance "
                "with its sign reversed: left and right change places."
            ),
            section="positions-direction",
        ),
        Misconception(
            "not_a_rotation",
            edits=(("first * cos - second", "first * cos + second"),),
            stage="one_pair",
            says=(
                "Both signs are plus, so the matrix of a pair is not a "
                "rotation: lengths change with the position. One of the two "
                "sines needs a minus."
            ),
            section="positions-not-a-rotation",
        ),
        Misconception(
            "second_half_kept",
            edits=(("[new_first, new_second", "[new_first, second"),),
            stage="one_pair",
            says=(
                "Only the first column of each pair is turned; the second "
                "is the old one. Half a rotation changes lengths."
            ),
            section="positions-not-a-rotation",
        ),
        Misconception(
            "forgotten_two",
            edits=(("2 * np.arange(half)", "np.arange(half)"),),
            stage="frequencies",
            says=(
                "Your frequencies fall as 10000 ** (-i / width); pair i has "
                "the exponent -2 i / width. The slow clocks run too fast."
            ),
            section="positions-frequencies",
        ),
        Misconception(
            "single_clock",
            edits=(("steps * omega", "steps * np.ones(half)"),),
            stage="frequencies",
            says=(
                "All pairs turn at one radian a position. One clock repeats "
                "after about six positions; the slower ones tell the turns "
                "apart."
            ),
            section="positions-frequencies",
        ),
        Misconception(
            "spread_over_dim",
            edits=(("-exponents / width", "-exponents / x.shape[-1]"),),
            stage="partial",
            says=(
                "Your frequencies are spread over the whole width of x. "
                "Only `width` columns turn, and the range of frequencies "
                "belongs to them."
            ),
            section="positions-partial",
        ),
        Misconception(
            "all_turned",
            edits=(
                (
                    "half = width // 2",
                    "width = x.shape[-1] // 2 * 2; half = width // 2",
                ),
            ),
            stage="partial",
            says=(
                "You turn every column and ignore `width`. The columns from "
                "`width` on carry content alone and stay as they are."
            ),
            section="positions-partial",
        ),
        Misconception(
            "places",
            edits=(
                (
                    "steps = positions[..., None]",
                    "steps = np.arange(x.shape[-2])[:, None]",
                ),
            ),
            stage="positions",
            says=(
                "You count 0, 1, 2, ... along the array instead of reading "
                "`positions`. That is right for one sentence from its start "
                "and wrong behind a cache or a padding on the left."
            ),
            section="positions-places",
        ),
        Misconception(
            "counted_from_one",
            edits=(("positions[..., None]\n", "positions[..., None] + 1\n"),),
            stage="one_pair",
            says=(
                "Every position is one too large. Scores within your own "
                "program do not notice; with keys that another program "
                "stored, every distance is off by one."
            ),
            section="positions-counting",
        ),
        Misconception(
            "caller_changed",
            edits=(
                (
                    "return np.concatenate(",
                    "x[..., :half], x[..., half:width] = "
                    "new_first, new_second\n    return np.concatenate(",
                ),
            ),
            stage="inputs",
            says=(
                "The numbers are right, but you also wrote them into the "
                "caller's array. Keys that are kept and turned again at the "
                "next step would be turned twice."
            ),
            section="positions-in-place",
        ),
    ),
    # Angles reach some 40 radians, where single precision has an error of
    # about 4e-6 each for the frequency and for the product.
    tolerance=numerics.tolerance(terms=4, magnitude=2.0),
    difficulty=3,
    importance=5,
    minutes=25,
    hints=(
        "Which two columns move together, and how far does pair 0 turn at "
        "position 1?",
        "The angles have shape (..., tokens, width/2); each half of the "
        "turned columns has shape (..., tokens, width/2) too.",
        "Compute both new halves from the old ones, then put the halves and "
        "the untouched columns side by side.",
    ),
    picture=lambda result: result,
)
