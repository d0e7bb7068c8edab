"""Additive scores whose layer reads query and key as one vector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def joint(q, k, w_joint, bias, v_score):
    """Return additive scores of a layer that reads query and key together.

    For query i and key j, stack the two vectors, the query first, send
    them through one layer with a bias and a tanh, and weigh its units:
    the score is v . tanh([q_i; k_j] w_joint + bias).

    Parameters
    ----------
    q : queries, shape (..., queries, query_dim).
    k : keys, shape (..., keys, key_dim).
    w_joint : shape (query_dim + key_dim, hidden).
    bias : shape (hidden,).
    v_score : shape (hidden,).

    Returns
    -------
    scores : shape (..., queries, keys).

    Leading axes broadcast. The arguments are left as they were. Single
    precision is accurate enough.
    """
    split = q.shape[-1]
    from_query = q @ w_joint[:split]
    from_key = k @ w_joint[split:]
    pairs = from_query[..., :, None, :] + from_key[..., None, :, :]
    shifted = pairs + bias
    hidden = np.tanh(shifted)
    return hidden @ v_score


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    none = np.zeros(3)
    signs = np.array([1.0, -1.0, 1.0])  # a bias of either sign
    yield Case(
        "one_pair",
        (draw(1, 2), draw(1, 2), draw(4, 1), np.zeros(1), 2 + rng.random(1)),
        note="one query, one key, one hidden unit, no bias",
    )
    yield Case(
        "one_pair",
        (draw(1, 2), draw(1, 3), draw(5, 3), none, draw(3)),
        note="the query is narrower than the key, and there is no bias",
    )
    yield Case(
        "pairs", (draw(3, 5), draw(7, 2), draw(7, 11), np.zeros(11), draw(11))
    )
    yield Case(
        "pairs",
        (draw(5, 5), draw(5, 5), draw(10, 5), np.zeros(5), draw(5)),
        note="queries, keys and all widths happen to agree here",
    )
    bias = signs * rng.uniform(0.5, 1.5, size=3)
    yield Case("bias", (draw(3, 5), draw(7, 2), draw(7, 3), bias, draw(3)))
    yield Case(
        "bias",
        (draw(2, 3, 2), draw(2, 7, 3), draw(5, 3), -bias, draw(3)),
        untouched=True,
        note="two examples, the same leading axis on both sides",
    )
    yield Case(
        "batch",
        (draw(2, 1, 3, 5), draw(3, 7, 2), draw(7, 3), none, draw(3)),
        note="leading axes (2, 1) and (3,) give (2, 3)",
    )
    far = 4e4 * draw(3, 5)
    far[1] = -far[0]  # far out on both sides
    yield Case(
        "large",
        (far, 400 * draw(7, 2), draw(7, 3), none, draw(3)),
        tolerance=numerics.tolerance(terms=16, magnitude=1e3),
        note="the units are far into saturation",
    )
    yield Case(
        "inputs",
        (draw(3, 5), draw(2, 5), draw(10, 3), none, draw(3)),
        readonly=True,
        note="arrays that cannot be written",
    )
    yield Case(
        "inputs",
        (draw(3, 2), draw(5, 4), draw(6, 3), none, draw(3)),
        untouched=True,
        note="the arguments must be left as they were",
    )


WEIGHTS = """scores = hidden @ v_score
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)"""

QUESTION = Question(
    id="scores.joint",
    kind="implement",
    title="One layer that reads both",
    function=joint,
    cases=cases,
    stages=(
        Stage("one_pair", 0.5, "one pair gets v . tanh([q; k] w_joint)"),
        Stage("pairs", 1.5, "every query meets every key"),
        Stage("bias", 0.5, "the bias is added inside the tanh"),
        Stage("batch", 0.5, "leading axes broadcast"),
        Stage("large", 0.5, "large inputs saturate without NaN"),
        Stage("inputs", 0.5, "the arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "no_tanh",
            edits=(("np.tanh(shifted)", "shifted"),),
            stage="one_pair",
            says=(
                "The tanh is missing. Without it the query only adds the "
                "same number to all of its scores, the softmax drops that "
                "number, and every query attends alike."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "tanh_on_each_part",
            edits=(
                ("q @ w_joint[:split]", "np.tanh(q @ w_joint[:split])"),
                ("k @ w_joint[split:]", "np.tanh(k @ w_joint[split:])"),
                ("np.tanh(shifted)", "shifted"),
            ),
            stage="one_pair",
            says=(
                "The tanh was taken of each part before they were added. "
                "Then the score is a sum of something from the query and "
                "something from the key; bend the sum instead."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "tanh_at_the_end",
            edits=(
                ("np.tanh(shifted)", "shifted"),
                ("hidden @ v_score", "np.tanh(hidden @ v_score)"),
            ),
            stage="one_pair",
            says=(
                "The tanh was taken of the finished score. It belongs on "
                "each hidden unit, before they are weighed. A finished "
                "score without it is a query's part plus a key's part, so "
                "all queries would rank the keys alike."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "rectified",
            edits=(("np.tanh(shifted)", "np.maximum(shifted, 0.0)"),),
            stage="one_pair",
            says=(
                "A rectifier stands where the tanh should. Its units have "
                "no upper bound, so neither have the scores."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "row_by_row",
            edits=(
                (
                    "from_query[..., :, None, :] + from_key[..., None, :, :]",
                    "from_query + from_key",
                ),
            ),
            stage="pairs",
            error="E21",
            says=(
                "Query i meets only key i: one number for each row. Every "
                "query must meet every key; give the queries an axis of "
                "length 1 where the keys stand, and the keys one where the "
                "queries stand."
            ),
            section="scores-all-pairs",
        ),
        Misconception(
            "keys_by_queries",
            edits=(
                (
                    "from_query[..., :, None, :] + from_key[..., None, :, :]",
                    "from_query[..., None, :, :] + from_key[..., :, None, :]",
                ),
            ),
            stage="pairs",
            says=(
                "Your matrix has a row for each key. Rows belong to "
                "queries: a row is what the softmax turns into the weights "
                "of one query."
            ),
            section="scores-all-pairs",
        ),
        Misconception(
            "parts_swapped",
            edits=(
                ("q @ w_joint[:split]", "q @ w_joint[-split:]"),
                ("k @ w_joint[split:]", "k @ w_joint[:-split]"),
            ),
            stage="pairs",
            says=(
                "The key was read by the rows of w_joint that belong to the "
                "query. The query comes first in the stacked vector, so the "
                "first query_dim rows are its own."
            ),
            section="scores-additive",
        ),
        Misconception(
            "parts_multiplied",
            edits=((":, None, :] + from_key", ":, None, :] * from_key"),),
            stage="one_pair",
            says=(
                "The two parts were multiplied. A layer that reads a "
                "stacked vector adds what its parts contribute: that is "
                "why the score is called additive."
            ),
            section="scores-additive",
        ),
        Misconception(
            "no_bias",
            edits=(("pairs + bias", "pairs"),),
            stage="bias",
            says=(
                "The bias is missing. It moves the point at which each "
                "hidden unit bends, so it changes which keys win."
            ),
            section="scores-bias",
        ),
        Misconception(
            "bias_outside",
            edits=(
                ("pairs + bias", "pairs"),
                ("np.tanh(shifted)", "np.tanh(shifted) + bias"),
            ),
            stage="bias",
            says=(
                "The bias was added after the tanh. There it adds the same "
                "number, v . bias, to every score, and the softmax drops "
                "it; it must be added before the tanh."
            ),
            section="scores-bias",
        ),
        Misconception(
            "units_not_weighed",
            edits=(("hidden @ v_score", "hidden.sum(axis=-1)"),),
            stage="one_pair",
            says=(
                "The hidden units were summed with equal weights. v_score "
                "says which unit speaks for a match and which against it."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "scaled_by_hidden",
            edits=(
                ("hidden @ v_score", "hidden @ v_score / len(bias) ** 0.5"),
            ),
            stage="pairs",
            says=(
                "The score was divided by the square root of the hidden "
                "width. That scale belongs to bare dot products, which have "
                "no weights of their own; here v_score is learned and sets "
                "the size, and nothing is divided."
            ),
            section="scores-hidden-sum",
        ),
        Misconception(
            "weights_returned",
            edits=(("return hidden @ v_score", WEIGHTS),),
            stage="pairs",
            says=(
                "You returned weights: each row has been through a softmax. "
                "A score is any real number; turning scores into weights is "
                "the next step, and a mask may come in between."
            ),
            section="scores-head",
        ),
        Misconception(
            "head_returned",
            edits=(("return hidden @ v_score", WEIGHTS + " @ k"),),
            stage="pairs",
            error="E08",
            says=(
                "You returned a whole head: softmax of the scores, then an "
                "average of vectors. A score is one number for each pair, "
                "and a head needs scores to begin with."
            ),
            section="scores-head",
        ),
    ),
    # A score may be close to zero because units of size 1 cancel.
    tolerance=numerics.Tolerance(
        relative=numerics.tolerance(terms=16).relative,
        absolute=16 * numerics.SINGLE_EPS,
        because="sums of up to 16 terms of size 1 in single precision",
    ),
    difficulty=3,
    importance=4,
    minutes=25,
    hints=(
        "Multiply a stacked vector by w_joint on paper. Which rows of it "
        "ever meet the query, and which the key?",
        "From (..., queries, hidden) and (..., keys, hidden) to "
        "(..., queries, keys, hidden), then to (..., queries, keys).",
        "Insert an axis of length 1 in each part, add the parts and the "
        "bias, take the tanh, then multiply by v_score from the right.",
    ),
    picture=lambda result: result,
)
