"""What one step of decoding costs, counted from sizes alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage
from attncourse.checking.numerics import EXACT


def step_cost(width, heads, groups, dim, cached):
    """Return what it costs to run one layer on one new token.

    Parameters
    ----------
    width : the width of a token.
    heads, groups : how many heads ask, and how many sets of keys and
        values they share.
    dim : the width of a query, a key and a value in one head.
    cached : how many tokens came before. Their keys and values are kept
        and not computed again; those of the new token are added.

    Returns
    -------
    flops : operations of all matrix products for the new token, which
        also reads itself, from its projections to the output projection
        (width again). A multiplication and an addition are two. No
        biases, no softmax.
    weights : how many attention weights are computed.
    kept : how many numbers the cache holds afterwards.

    All three are whole numbers, returned as a tuple; there is nothing to
    round. heads is a multiple of groups; otherwise the sizes do not depend
    on one another.
    """
    seen = cached + 1
    query = width * heads * dim
    key = width * groups * dim
    value = width * groups * dim
    output = heads * dim * width
    projections = query + key + value + output
    scores = heads * seen * dim
    averages = heads * seen * dim
    flops = 2 * (projections + scores + averages)
    weights = heads * seen
    kept = 2 * groups * seen * dim
    return flops, weights, kept


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the count each."""

    def some(least: int, most: int) -> int:
        return int(rng.integers(least, most))

    def odd(least: int, most: int) -> int:
        return 2 * some(least // 2, most // 2) + 1

    yield Case(
        "first_token",
        (some(31, 60), 1, 1, odd(3, 30), 0),
        note="one head, nothing cached",
    )
    yield Case("one_head", (odd(31, 60), 1, 1, odd(3, 30), odd(100, 1000)))
    yield Case("one_head", (some(31, 60), 1, 1, 2 * some(2, 15), 1))
    heads = some(2, 9)
    yield Case(
        "many_heads",
        (some(100, 200), heads, heads, some(3, 9), some(100, 1000)),
    )
    groups = some(2, 5)
    yield Case(
        "shared",
        (
            some(100, 200),
            groups * some(2, 6),
            groups,
            some(3, 9),
            some(100, 1000),
        ),
    )
    yield Case("shared", (some(70, 99), some(3, 9), 1, some(3, 9), 0))


QUESTION = Question(
    id="heads.cost",
    kind="implement",
    title="What one more token costs",
    function=step_cost,
    cases=cases,
    stages=(
        Stage("first_token", 0.5, "a first token costs four projections"),
        Stage("one_head", 0.5, "every token before is read once"),
        Stage("many_heads", 0.75, "each head has weights of its own"),
        Stage("shared", 0.75, "groups, not heads, own keys and values"),
    ),
    misconceptions=(
        Misconception(
            "additions_forgotten",
            edits=(("2 * (projections", "1 * (projections"),),
            stage="first_token",
            says=(
                "You count a multiplication with its addition as one. Here "
                "they are two, as in most published numbers."
            ),
            section="heads-counting",
        ),
        Misconception(
            "itself_not_seen",
            edits=(("cached + 1", "cached"),),
            stage="first_token",
            says=(
                "Your new token reads only those before it. It reads itself "
                "as well, and its key and value join the cache."
            ),
            section="heads-counting",
        ),
        Misconception(
            "cache_not_used",
            edits=(
                (
                    "key = width * groups * dim",
                    "key = seen * width * groups * dim",
                ),
                (
                    "value = width * groups * dim",
                    "value = seen * width * groups * dim",
                ),
            ),
            stage="one_head",
            says=(
                "You compute the keys and values of all tokens again. They "
                "are in the cache; only those of the new token are new."
            ),
            section="heads-counting",
        ),
        Misconception(
            "no_output_projection",
            edits=(("value + output", "value"),),
            stage="first_token",
            says=(
                "You count three projections. The fourth brings the heads, "
                "side by side, back to the width of a token."
            ),
            section="heads-concatenate-and-project",
        ),
        Misconception(
            "averages_forgotten",
            edits=(("scores + averages", "scores"),),
            stage="first_token",
            says=(
                "You count the scores, but not the averages of the values, "
                "which cost as much."
            ),
            section="heads-counting",
        ),
        Misconception(
            "heads_divide_the_work",
            edits=(
                ("scores = heads * seen * dim", "scores = seen * dim"),
                ("averages = heads * seen * dim", "averages = seen * dim"),
            ),
            stage="many_heads",
            error="E26",
            says=(
                "You count the scores and averages of one head only. Every "
                "head computes its own; that they run side by side saves "
                "time on parallel hardware, not operations."
            ),
            section="heads-no-saving",
        ),
        Misconception(
            "full_width_in_each_head",
            edits=(
                (
                    "scores = heads * seen * dim",
                    "scores = heads * seen * width",
                ),
                (
                    "averages = heads * seen * dim",
                    "averages = heads * seen * width",
                ),
            ),
            stage="many_heads",
            says=(
                "You let each head compare vectors as wide as a token. A "
                "head works in dim numbers."
            ),
            section="heads-no-saving",
        ),
        Misconception(
            "one_matrix_of_weights",
            edits=(("weights = heads * seen", "weights = seen"),),
            stage="many_heads",
            says=(
                "You count one row of weights for all heads. Each head has "
                "its own, and this number is what grows with the heads."
            ),
            section="heads-no-saving",
        ),
        Misconception(
            "every_pair_again",
            edits=(
                ("weights = heads * seen", "weights = heads * seen * seen"),
            ),
            stage="one_head",
            says=(
                "You count the weights of all tokens for all tokens. One new "
                "token has one row of them in each head."
            ),
            section="heads-counting",
        ),
        Misconception(
            "groups_save_scores",
            edits=(
                (
                    "scores = heads * seen * dim",
                    "scores = groups * seen * dim",
                ),
                (
                    "averages = heads * seen * dim",
                    "averages = groups * seen * dim",
                ),
            ),
            stage="shared",
            says=(
                "You let a group compute its scores once. The heads of a "
                "group share keys, not queries: each has its own scores. "
                "Groups save projections and memory."
            ),
            section="heads-groups-save-memory",
        ),
        Misconception(
            "a_cache_for_each_head",
            edits=(("kept = 2 * groups", "kept = 2 * heads"),),
            stage="shared",
            says=(
                "You keep keys and values for every head. Those of a group "
                "are kept once; this is what groups are for."
            ),
            section="heads-groups-save-memory",
        ),
        Misconception(
            "keys_projected_for_each_head",
            edits=(
                ("key = width * groups * dim", "key = width * heads * dim"),
                (
                    "value = width * groups * dim",
                    "value = width * heads * dim",
                ),
            ),
            stage="shared",
            says=(
                "You project keys and values for every head. There are only "
                "as many sets of them as groups."
            ),
            section="heads-groups-save-memory",
        ),
        Misconception(
            "values_not_kept",
            edits=(("kept = 2 * groups", "kept = groups"),),
            stage="first_token",
            says=(
                "Your cache holds one of keys and values. Both are needed "
                "when the next token reads."
            ),
            section="heads-counting",
        ),
    ),
    tolerance=EXACT,
    difficulty=3,
    importance=4,
    minutes=15,
    hints=(
        "How many numbers does the matrix of each projection hold, and how "
        "often is each of them used for one token?",
        "A product of an m x n and an n x p matrix costs 2 m n p; for one "
        "token m is 1.",
        "Heads own queries, scores, averages and rows of the output matrix; "
        "groups own keys and values.",
    ),
)
