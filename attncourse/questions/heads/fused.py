"""Queries, keys and values of all heads out of one packed matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Misconception, Question, Stage, numerics


def split_qkv(x, weight, bias, heads):
    """Return queries, keys and values by head, from one packed projection.

    Parameters
    ----------
    x : tokens, shape (..., tokens, width).
    weight : shape (width, 3 * heads * dim). The first heads * dim columns
        make the queries, the next as many the keys, the last the values.
        In each third, head h owns the columns from h * dim to
        (h + 1) * dim.
    bias : one number for each column of weight.
    heads : how many heads there are, an int.

    Returns
    -------
    q, k, v : shape (..., heads, tokens, dim) each.

    There may be any number of leading axes. The arrays are all float64 or
    all float32 and may be views; they are left as they were. Single
    precision is accurate enough.
    """
    packed = x @ weight
    packed = packed + bias
    *batch, tokens, columns = packed.shape
    dim = columns // (3 * heads)
    parts = packed.reshape(*batch, tokens, 3, heads, dim)
    parts = np.moveaxis(parts, -3, 0)
    by_head = np.swapaxes(parts, -2, -3)
    q, k, v = by_head
    return q, k, v


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    yield Case(
        "projection",
        (draw(5, 7), draw(7, 9), np.zeros(9), 1),
        note="one head, no bias",
    )
    yield Case(
        "projection",
        (draw(5, 6), draw(6, 6), np.zeros(6), 1),
        note="the matrix happens to be square",
    )
    yield Case("bias", (draw(5, 7), draw(7, 9), draw(9), 1))
    yield Case("heads", (draw(7, 11), draw(11, 30), draw(30), 5))
    yield Case(
        "heads",
        (draw(3, 5), draw(5, 27), np.zeros(27), 3),
        note="tokens, heads and widths happen to agree",
    )
    yield Case(
        "heads",
        (draw(7, 11), 1e-3 * draw(11, 30), 1e-3 * draw(30), 5),
        note="the same shapes with small numbers",
    )
    yield Case("heads", (draw(1, 5), draw(5, 6), draw(6), 2), note="one token")
    yield Case("batch", (draw(2, 3, 5, 7), draw(7, 12), draw(12), 2))
    yield Case(
        "batch",
        (draw(3, 3, 5), draw(5, 27), draw(27), 3),
        note="as many examples as tokens, heads and features",
    )
    yield Case(
        "batch",
        (draw(2, 1, 3, 2, 5), draw(5, 18), draw(18), 2),
        note="three leading axes, one of length one",
    )
    yield Case(
        "inputs",
        (
            draw(2, 5, 14).astype(np.float32)[..., ::2],
            draw(7, 18).astype(np.float32),
            draw(18).astype(np.float32),
            3,
        ),
        untouched=True,
        note="single precision, and the tokens are a view",
    )


QUESTION = Question(
    id="heads.fused",
    kind="implement",
    title="One matrix for queries, keys and values",
    function=split_qkv,
    cases=cases,
    stages=(
        Stage("projection", 0.5, "each token is a row that meets a matrix"),
        Stage("bias", 0.5, "each column has its bias"),
        Stage("heads", 1.0, "each head has its own block of columns"),
        Stage("batch", 0.5, "leading axes are left alone"),
        Stage("inputs", 0.5, "views work and arguments are not changed"),
    ),
    misconceptions=(
        Misconception(
            "no_bias",
            edits=(("packed + bias", "packed"),),
            stage="bias",
            says=(
                "Your projection leaves out the bias. It is added to every "
                "token alike, after the product."
            ),
            section="heads-projections",
        ),
        Misconception(
            "matrix_transposed",
            edits=(("x @ weight", "x @ weight.T"),),
            stage="projection",
            error="E07",
            says=(
                "Your tokens meet the transposed matrix. It shows no error "
                "where the matrix is square, and raises one elsewhere. "
                "Tokens are rows here, so the product is X W."
            ),
            section="heads-rows-and-columns",
        ),
        Misconception(
            "relu",
            edits=(("packed + bias", "np.maximum(packed + bias, 0)"),),
            stage="projection",
            error="E17",
            says=(
                "Nothing in your queries, keys and values is negative: they "
                "went through a ReLU. Projections are linear. Without "
                "negative numbers no key can be unlike a query, and half of "
                "every value is lost."
            ),
            section="heads-relu",
        ),
        Misconception(
            "reshape_without_swap",
            edits=(
                (
                    "np.swapaxes(parts, -2, -3)",
                    "parts.reshape(3, *batch, heads, tokens, dim)",
                ),
            ),
            stage="heads",
            says=(
                "Your shapes are right and your heads are not: a reshape "
                "took the numbers in the order of memory, so a head holds "
                "some tokens whole and others not at all. Name the axes "
                "(tokens, heads, dim) first; then swap."
            ),
            section="heads-reshape-without-swap",
        ),
        Misconception(
            "columns_dealt_like_cards",
            edits=(
                ("3, heads, dim)", "3, dim, heads)"),
                ("np.swapaxes(parts, -2, -3)", "np.moveaxis(parts, -1, -3)"),
            ),
            stage="heads",
            says=(
                "Your head h has every heads-th column, as cards are dealt. "
                "Here a head owns neighbouring columns: the axis of heads "
                "comes before that of dim in the reshape."
            ),
            section="heads-blocks",
        ),
        Misconception(
            "packed_head_by_head",
            edits=(
                ("tokens, 3, heads, dim)", "tokens, heads, 3, dim)"),
                ("np.moveaxis(parts, -3, 0)", "np.moveaxis(parts, -2, 0)"),
            ),
            stage="heads",
            says=(
                "You read the columns head by head, each with its query, key "
                "and value side by side. Some models do store them so; "
                "here all queries come first, then all keys."
            ),
            section="heads-packed",
        ),
        Misconception(
            "triples",
            edits=(
                ("tokens, 3, heads, dim)", "tokens, heads, dim, 3)"),
                ("np.moveaxis(parts, -3, 0)", "np.moveaxis(parts, -1, 0)"),
            ),
            stage="projection",
            says=(
                "You take the columns by threes: query, key, value, query, "
                "key, value. Here all columns of the queries come first."
            ),
            section="heads-packed",
        ),
        Misconception(
            "keys_first",
            edits=(("q, k, v = by_head", "k, q, v = by_head"),),
            stage="projection",
            says=(
                "Your queries and keys have changed places. The first third "
                "of the columns makes the queries."
            ),
            section="heads-packed",
        ),
        Misconception(
            "values_second",
            edits=(("q, k, v = by_head", "q, v, k = by_head"),),
            stage="projection",
            says=(
                "Your keys and values have changed places. The last third "
                "of the columns makes the values."
            ),
            section="heads-packed",
        ),
        Misconception(
            "scaled_here",
            edits=(("return q, k, v", "return q / np.sqrt(dim), k, v"),),
            stage="projection",
            says=(
                "Your queries are divided by the square root of dim already. "
                "The attention that they go to divides the scores, so they "
                "would be scaled twice."
            ),
            section="heads-scale-of-one-head",
        ),
        Misconception(
            "keys_turned",
            edits=(("return q, k, v", "return q, np.swapaxes(k, -1, -2), v"),),
            stage="projection",
            says=(
                "Your keys are transposed. The transpose belongs to the "
                "product of queries and keys; here all three have the shape "
                "(..., heads, tokens, dim)."
            ),
            section="heads-packed",
        ),
    ),
    tolerance=numerics.tolerance(terms=12),  # 11 products and the bias
    difficulty=2,
    importance=5,
    minutes=15,
    hints=(
        "Which columns of the product belong to the keys of head 2?",
        "Right after the product a token's columns are (3, heads, dim), in "
        "this order; the answer has (heads, tokens, dim).",
        "Reshape the last axis into three axes without moving anything; "
        "only then move the axis of length 3 to the front and swap tokens "
        "with heads.",
    ),
    picture=lambda result: np.asarray(result[0])[..., 0, :, :],
)
