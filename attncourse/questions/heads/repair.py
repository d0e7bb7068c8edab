"""Repair a multi-head layer in which four things went wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics
from attncourse.questions.heads._large import large_layers


def multi_head(x, w_query, w_key, w_value, w_output, heads):
    """Return what each token reads in all tokens, with several heads.

    Parameters
    ----------
    x : tokens, shape (..., tokens, width).
    w_query, w_key : shape (width, heads * dim); head h owns the columns
        from h * dim to (h + 1) * dim.
    w_value : shape (width, heads * value_dim), owned likewise.
    w_output : shape (heads * value_dim, width).
    heads : how many heads there are, an int.

    Returns
    -------
    output : shape (..., tokens, width): the heads side by side, times
        w_output. There are no biases and there is no mask.

    There may be any number of leading axes. Scores of either sign and any
    size are handled. The arrays are all float64 or all float32 and are left
    as they were. Single precision is accurate enough.
    """
    *batch, tokens, _ = x.shape
    q = x @ w_query
    k = x @ w_key
    v = x @ w_value
    q = np.swapaxes(q.reshape(*batch, tokens, heads, -1), -2, -3)
    k = np.swapaxes(k.reshape(*batch, tokens, heads, -1), -2, -3)
    v = np.swapaxes(v.reshape(*batch, tokens, heads, -1), -2, -3)
    scale = np.sqrt(q.shape[-1])
    scores = q @ np.swapaxes(k, -1, -2)
    scores = scores / scale
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    read = weights @ v
    side_by_side = np.swapaxes(read, -2, -3)
    side_by_side = side_by_side.reshape(*batch, tokens, -1)
    return side_by_side @ w_output


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def layer(heads: int, *shape: int, dim: int, value_dim: int) -> tuple:
        width = shape[-1]
        into = 1.5 / np.sqrt(width)
        back = 1.0 / np.sqrt(value_dim)
        return (
            rng.normal(size=shape),
            into * rng.normal(size=(width, heads * dim)),
            into * rng.normal(size=(width, heads * dim)),
            into * rng.normal(size=(width, heads * value_dim)),
            back * rng.normal(size=(heads * value_dim, width)),
            heads,
        )

    yield Case("one_head", layer(1, 5, 7, dim=3, value_dim=11))
    yield Case(
        "one_token",
        layer(3, 1, 7, dim=5, value_dim=2),
        note="a single token reads itself, whatever the scores",
    )
    yield Case(
        "one_token",
        layer(1, 1, 1, dim=1, value_dim=1),
        # Three products and nothing added: 1e-6 in a denominator shows.
        tolerance=numerics.Tolerance(6 * numerics.SINGLE_EPS, 0.0, "3 steps"),
        note="everything is a single number",
    )
    yield Case("heads", layer(3, 5, 7, dim=5, value_dim=2))
    yield Case(
        "heads",
        layer(3, 5, 7, dim=5, value_dim=2),
        note="the same shapes with other numbers",
    )
    yield Case(
        "heads",
        layer(4, 4, 4, dim=1, value_dim=1),
        note="tokens, heads and widths happen to agree",
    )
    yield Case("batch", layer(2, 2, 3, 5, 7, dim=3, value_dim=11))
    yield Case(
        "batch",
        layer(5, 5, 5, 3, dim=2, value_dim=7),
        note="as many examples as tokens and heads",
    )
    yield Case(
        "batch",
        layer(3, 2, 1, 3, 2, 5, dim=7, value_dim=2),
        note="three leading axes, one of length one",
    )
    yield from large_layers(rng)
    yield Case(
        "inputs",
        tuple(
            part.astype(np.float32) if isinstance(part, np.ndarray) else part
            for part in layer(5, 3, 7, dim=2, value_dim=3)
        ),
        untouched=True,
        note="everything is in single precision",
    )


QUESTION = Question(
    id="heads.repair",
    kind="repair",
    title="Four faults in a layer of heads",
    function=multi_head,
    cases=cases,
    stages=(
        Stage("one_head", 0.5, "with one head it is plain attention"),
        Stage("one_token", 0.75, "the heads are side by side at the end"),
        Stage("heads", 1.0, "each head is an attention of its own"),
        Stage("batch", 0.25, "leading axes are independent of one another"),
        Stage("extreme", 0.25, "very large scores give no NaN"),
        Stage("inputs", 0.25, "float32 does, and nothing is changed"),
    ),
    misconceptions=(
        Misconception(
            "relu",
            edits=(
                ("x @ w_query", "np.maximum(x @ w_query, 0)"),
                ("x @ w_key", "np.maximum(x @ w_key, 0)"),
                ("x @ w_value", "np.maximum(x @ w_value, 0)"),
            ),
            stage="one_head",
            error="E17",
            says=(
                "Queries, keys and values still go through a ReLU. Then no "
                "score is negative, so no key can be unlike a query, and "
                "half of every value is lost. Projections are linear."
            ),
            section="heads-relu",
        ),
        Misconception(
            "relu_on_values",
            edits=(("x @ w_value", "np.maximum(x @ w_value, 0)"),),
            stage="one_token",
            error="E17",
            says=(
                "Your values still go through a ReLU: what is negative in "
                "them is lost before anybody reads it. All three projections "
                "are linear."
            ),
            section="heads-relu",
        ),
        Misconception(
            "relu_on_queries_and_keys",
            edits=(
                ("x @ w_query", "np.maximum(x @ w_query, 0)"),
                ("x @ w_key", "np.maximum(x @ w_key, 0)"),
            ),
            stage="one_head",
            error="E17",
            says=(
                "Your queries and keys still go through a ReLU, so no score "
                "is negative. All three projections are linear."
            ),
            section="heads-relu",
        ),
        Misconception(
            "reshape_without_swap",
            edits=(
                (
                    "np.swapaxes(q.reshape(*batch, tokens, heads, -1), -2, "
                    "-3)",
                    "q.reshape(*batch, heads, tokens, -1)",
                ),
                (
                    "np.swapaxes(k.reshape(*batch, tokens, heads, -1), -2, "
                    "-3)",
                    "k.reshape(*batch, heads, tokens, -1)",
                ),
                (
                    "np.swapaxes(v.reshape(*batch, tokens, heads, -1), -2, "
                    "-3)",
                    "v.reshape(*batch, heads, tokens, -1)",
                ),
            ),
            stage="heads",
            says=(
                "Your heads are cut out by a reshape alone. The shapes are "
                "right, but a head holds pieces of several tokens. Reshape "
                "to (tokens, heads, dim), then swap."
            ),
            section="heads-reshape-without-swap",
        ),
        Misconception(
            "merge_without_swap",
            edits=(("= np.swapaxes(read, -2, -3)", "= read"),),
            stage="heads",
            says=(
                "Your heads are split well and put together badly: the "
                "reshape at the end needs tokens before heads, or a token's "
                "row holds what one head read for several tokens."
            ),
            section="heads-reshape-without-swap",
        ),
        Misconception(
            "full_width_scale",
            edits=(("np.sqrt(q.shape[-1])", "np.sqrt(heads * q.shape[-1])"),),
            stage="heads",
            says=(
                "Your scores are divided by the square root of the width of "
                "all heads together. A score is a sum over the dim of one "
                "head, and that is its variance; your weights are too even."
            ),
            section="heads-scale-of-one-head",
        ),
        Misconception(
            "no_scale",
            edits=(("scores / scale", "scores"),),
            stage="one_head",
            error="E02",
            says=(
                "Your scores are not scaled. Divide them by the square root "
                "of the dim of one head."
            ),
            section="heads-scale-of-one-head",
        ),
        Misconception(
            "no_maximum",
            edits=(("scores - scores.max(axis=-1, keepdims=True)", "scores"),),
            stage="extreme",
            says=(
                "A large score overflows the exponential. Subtract each "
                "row's highest score first; the weights stay the same."
            ),
            section="dense-large-scores",
        ),
        Misconception(
            "heads_summed",
            edits=(("side_by_side @ w_output", "read.sum(axis=-3)"),),
            stage="one_token",
            error="E25",
            says=(
                "Your output is the sum of the heads. The sum cannot tell "
                "which head read what, and it is narrower than the tokens. "
                "Put the heads side by side and multiply by w_output."
            ),
            section="heads-concatenate-and-project",
        ),
        Misconception(
            "no_output_projection",
            edits=(("side_by_side @ w_output", "side_by_side"),),
            stage="one_token",
            says=(
                "Your heads are side by side, but w_output is not used. It "
                "brings what was read back to the width of a token and lets "
                "the heads share the room there."
            ),
            section="heads-concatenate-and-project",
        ),
    ),
    tolerance=numerics.tolerance(terms=22, magnitude=8),
    difficulty=3,
    importance=5,
    minutes=20,
    hints=(
        "Run it with one head, then with one token. Which faults can show "
        "there, and which cannot?",
        "Write the shape beside each line; two faults show up as a shape "
        "or a number that belongs to something else.",
        "Projections are linear; heads are split by a reshape and a swap; "
        "the scale is that of one head; the heads end side by side.",
    ),
)
