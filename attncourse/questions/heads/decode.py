"""One step of decoding: grouped queries read a cache of keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics
from attncourse.questions.heads._large import large_caches


def grouped_decode(q, k, v, lengths):
    """Return what the heads of one new token read in a cache, by group.

    Parameters
    ----------
    q : queries of one token a sequence, shape (batch, heads, dim).
    k : cached keys, shape (batch, groups, room, dim). The first
        heads / groups heads of q read the first group, the next as many
        the second, and so on; heads is a multiple of groups.
    v : cached values, shape (batch, groups, room, value_dim).
    lengths : whole numbers from 0 to room, shape (batch,). Only the first
        lengths[b] places of sequence b are filled. Anything may stand in
        the others, NaN and infinity too, and it has no influence.

    Returns
    -------
    output : shape (batch, heads, value_dim); zeros where nothing is
        filled.

    Scores of either sign and any size are handled. q, k and v are all
    float64 or all float32; the arguments may not be written to and are
    left as they were. Single precision is accurate enough. Try it without
    repeating the keys.
    """
    batch, heads, dim = q.shape
    groups, room = k.shape[1:3]
    q = q.reshape(batch, groups, heads // groups, dim)
    scores = np.einsum("bghd,bgkd->bghk", q, k)
    scores = scores / np.sqrt(dim)
    filled = np.arange(room) < lengths[:, None, None, None]
    scores = np.where(filled, scores, -np.inf)
    highest = np.max(scores, axis=-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    exponentials = np.exp(scores - highest)
    total = np.sum(exponentials, axis=-1, keepdims=True)
    weights = exponentials / np.where(total > 0, total, 1.0)
    known = np.where(np.swapaxes(filled, -1, -2), v, 0.0)
    read = np.einsum("bghk,bgkv->bghv", weights, known)
    return read.reshape(batch, heads, -1)


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def cache(heads: int, groups: int, room: int, *widths: int) -> tuple:
        dim, value_dim = widths
        q = rng.normal(size=(3, heads, dim))
        k = rng.normal(size=(3, groups, room, dim))
        v = rng.normal(size=(3, groups, room, value_dim))
        return q, k, v, np.full(3, room)

    yield Case(
        "one_place",
        cache(6, 3, 1, 5, 7),
        # Nothing is added up, so that 1e-6 in a denominator shows.
        tolerance=numerics.Tolerance(6 * numerics.SINGLE_EPS, 0.0, "a copy"),
        note="one place is filled, so its value is read",
    )
    yield Case("shared", cache(5, 1, 7, 3, 2), note="one group for all")
    yield Case("groups", cache(6, 2, 7, 3, 5))
    yield Case(
        "groups",
        cache(6, 2, 7, 3, 5),
        note="the same shapes with other numbers",
    )
    yield Case("groups", cache(4, 4, 5, 3, 3), note="each head has a group")
    q, k, v, _ = cache(6, 3, 11, 5, 2)
    yield Case("lengths", (q, k, v, np.array([7, 1, 10])))
    q, k, v, _ = cache(3, 3, 3, 3, 3)
    yield Case(
        "lengths",
        (q, k, v, np.array([2, 1, 3])),
        note="all sizes happen to agree",
    )
    q, k, v, _ = cache(4, 2, 5, 3, 1)
    yield Case(
        "lengths",
        (q[:1], k[:1], v[:1], np.array([3])),
        note="one sequence, and values of width one",
    )
    q, k, v, _ = cache(4, 2, 7, 3, 5)
    k[0, :, 5:] = v[0, :, 5:] = np.nan
    k[2, :, 1:] = v[2, :, 1:] = np.inf
    yield Case(
        "garbage",
        (q, k, v, np.array([5, 7, 1])),
        note="NaN and infinity stand in places that are not filled",
    )
    q, k, v, _ = cache(4, 2, 5, 3, 7)
    yield Case(
        "empty",
        (q, k, v, np.array([3, 0, 5])),
        note="the second sequence has nothing to read",
    )
    q, k, v, _ = cache(4, 2, 5, 3, 7)
    k[2] = v[2] = np.nan
    yield Case(
        "empty",
        (q, k, v, np.array([5, 1, 0])),
        note="the third sequence has nothing to read, and NaN stands there",
    )
    yield from large_caches(rng)
    q, k, v, _ = cache(6, 2, 5, 3, 7)
    yield Case(
        "inputs",
        (
            q.astype(np.float32),
            k.astype(np.float32),
            v.astype(np.float32),
            np.array([5, 2, 4]),
        ),
        untouched=True,
        readonly=True,
        note="single precision, and arrays that cannot be written to",
    )


QUESTION = Question(
    id="heads.decode",
    kind="implement",
    title="Read a cache by groups",
    function=grouped_decode,
    cases=cases,
    stages=(
        Stage("one_place", 0.5, "each head reads the cache of its group"),
        Stage("shared", 0.5, "one group serves all heads"),
        Stage("groups", 0.75, "each head has weights of its own"),
        Stage("lengths", 0.75, "only filled places are read"),
        Stage("garbage", 0.5, "NaN outside has no influence"),
        Stage("empty", 0.5, "an empty cache gives zeros"),
        Stage("extreme", 0.25, "very large scores give no NaN"),
        Stage("inputs", 0.25, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "heads_dealt_to_groups",
            edits=(
                (
                    "q.reshape(batch, groups, heads // groups, dim)",
                    "np.swapaxes(q.reshape(batch, -1, groups, dim), 1, 2)",
                ),
                ("read.reshape(", "np.swapaxes(read, 1, 2).reshape("),
            ),
            stage="one_place",
            says=(
                "Your head h reads group h modulo the number of groups. "
                "Neighbouring heads share here: head h reads group "
                "h // (heads / groups)."
            ),
            section="heads-which-group",
        ),
        Misconception(
            "groups_averaged",
            edits=(
                ('bgkd->bghk", q, k)', 'bkd->bghk", q, k.mean(axis=1))'),
                ("-2), v, 0.0)", "-2), v.mean(1, keepdims=True), 0.0)"),
                (
                    'bgkv->bghv", weights, known)',
                    'bkv->bghv", weights, known[:, 0])',
                ),
            ),
            stage="one_place",
            says=(
                "All your heads read the average of the groups. Averaging is "
                "how a trained model is turned into one with fewer groups, "
                "once; afterwards each group has keys of its own."
            ),
            section="heads-which-group",
        ),
        Misconception(
            "no_scale",
            edits=(("scores / np.sqrt(dim)", "scores / 1.0"),),
            stage="shared",
            error="E02",
            says=(
                "Your scores are not scaled. Divide them by the square root "
                "of the dim of one head."
            ),
            section="heads-scale-of-one-head",
        ),
        Misconception(
            "full_width_scale",
            edits=(("np.sqrt(dim)", "np.sqrt(heads * dim)"),),
            stage="shared",
            says=(
                "Your scores are divided by the square root of the width of "
                "all heads together. A score is a sum over the dim of one "
                "head; your weights are too even."
            ),
            section="heads-scale-of-one-head",
        ),
        Misconception(
            "lengths_ignored",
            edits=(("< lengths[:", "< room + 0 * lengths[:"),),
            stage="lengths",
            says=(
                "You read the whole room, filled or not. The result of a "
                "sequence then depends on what an earlier one left behind."
            ),
            section="heads-cache",
        ),
        Misconception(
            "longest_for_all",
            edits=(("< lengths[:", "< lengths.max() + 0 * lengths[:"),),
            stage="lengths",
            says=(
                "You read as many places of every sequence as the longest "
                "one has. Each sequence has a length of its own."
            ),
            section="heads-cache",
        ),
        Misconception(
            "one_place_too_many",
            edits=(("(room) < lengths", "(room) <= lengths"),),
            stage="lengths",
            says=(
                "You read one place too many. Places are counted from 0, so "
                "the filled ones are those below the length."
            ),
            section="heads-cache",
        ),
        Misconception(
            "nan_in_empty",
            edits=(("np.where(total > 0, total, 1.0)", "total"),),
            stage="empty",
            says=(
                "An empty cache gives NaN, zero divided by zero. There is "
                "nothing to average, and unit 05 says what comes out: zeros."
            ),
            section="heads-cache",
        ),
        Misconception(
            "garbage_times_zero",
            edits=(("np.where(np.swapaxes(filled, -1, -2), v, 0.0)", "v"),),
            stage="garbage",
            says=(
                "Your weights are zero where nothing is filled, but zero "
                "times NaN is NaN. The values there must be left out too."
            ),
            section="heads-cache",
        ),
        Misconception(
            "keys_averaged",
            edits=(("-2), v, 0.0)", "-2), k, 0.0)"),),
            stage="one_place",
            error="E12",
            says=(
                "Your output averages the keys. Keys are for finding; what "
                "is read are the values."
            ),
            section="heads-cache",
        ),
        Misconception(
            "overflow",
            edits=(("exp(scores - highest)", "exp(scores)"),),
            stage="extreme",
            says=(
                "A large score overflows the exponential. Subtract the "
                "row's highest score first; the weights stay the same."
            ),
            section="heads-cache",
        ),
    ),
    tolerance=numerics.tolerance(terms=11, magnitude=4),
    difficulty=4,
    importance=4,
    minutes=25,
    hints=(
        "Four heads, two groups: which heads read the first group? Where "
        "could those heads stand so that the keys broadcast to them?",
        "Split the axis of heads in two, (batch, groups, heads / groups, "
        "dim); scores then are (batch, groups, heads / groups, room).",
        "Hide unfilled places before the softmax, replace their values "
        "too, and guard the division of a row without any.",
    ),
)
