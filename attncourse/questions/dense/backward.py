"""The backward pass when the loss sees the output and the weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attncourse.checking import Case, Question, Stage, numerics
from attncourse.questions.dense._backward_mistakes import MISCONCEPTIONS
from attncourse.questions.dense.attend import attend, with_scores


def attend_backward(q, k, v, weights, d_output, d_weights):
    """Return the gradients of a loss in q, k and v.

    The forward pass was `output, weights = attend(q, k, v)`, and the loss
    depends on both results, for instance because it also rewards weights
    that are spread out.

    Parameters
    ----------
    q : queries, shape (..., queries, dim).
    k : keys, shape (..., keys, dim).
    v : values, shape (..., keys, value_dim).
    weights : shape (..., queries, keys), from the forward pass.
    d_output : the loss's gradient in the output, of the output's shape.
    d_weights : the loss's gradient in the weights as `attend` returns
        them, with the output held fixed; shape (..., queries, keys).

    Returns
    -------
    d_q, d_k, d_v : of the shapes of q, k and v.

    There may be any number of leading axes, equal in all arguments. The
    arguments may be views that must not be written to; they are left as
    they were. Single precision is accurate enough.
    """
    d_v = np.einsum("...qk,...qv->...kv", weights, d_output)
    d_read = np.einsum("...qv,...kv->...qk", d_output, v)
    d_a = d_read + d_weights
    inner = (weights * d_a).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_a - inner)
    d_scores = d_scores / np.sqrt(q.shape[-1])
    d_q = np.einsum("...qk,...kd->...qd", d_scores, k)
    d_k = np.einsum("...qk,...qd->...kd", d_scores, q)
    return d_q, d_k, d_v


def cases(rng: np.random.Generator) -> Iterator[Case]:
    """Yield calls that isolate one part of the contract each."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape)

    def call(stage: str, q, k, v, *, out=1.0, seen=1.0, **more) -> Case:
        output, weights = attend(q, k, v)
        upstream = out * draw(*output.shape), seen * draw(*weights.shape)
        return Case(stage, (q, k, v, weights, *upstream), **more)

    yield call(
        "values",
        np.zeros((3, 5)),
        np.zeros((7, 5)),
        draw(7, 11),
        note="queries and keys are zero, and so are their gradients",
    )
    yield call(
        "values",
        draw(5, 3),
        np.zeros((5, 3)),
        np.zeros((5, 7)),
        seen=0.0,
        note="the keys and values are zero",
    )
    yield call(
        "values",
        draw(3, 5),
        draw(1, 5),
        draw(1, 7),
        note="one key: its weight is 1 whatever the scores are",
    )
    yield call(
        "queries",
        np.zeros((3, 5)),
        draw(7, 5),
        draw(7, 2),
        seen=0.0,
        note="the queries are zero, and so is the keys' gradient",
    )
    yield call(
        "queries",
        *with_scores(rng, [0.0, -2.0, -4.0, -6.0, -8.5, -9.5]),
        out=1e5,
        note="scores that fall from 0 to -9.5, and a steep loss",
    )
    yield call(
        "keys",
        draw(3, 5),
        np.zeros((7, 5)),
        draw(7, 2),
        seen=0.0,
        note="the keys are zero, and so is the queries' gradient",
    )
    yield call(
        "keys",
        draw(5, 3),
        draw(5, 3),
        draw(5, 2),
        seen=0.0,
        note="as many queries as keys",
    )
    yield call(
        "weights",
        draw(3, 5),
        draw(7, 5),
        draw(7, 2),
        out=0.0,
        note="the loss sees the weights only",
    )
    yield call("weights", draw(5, 3), draw(7, 3), draw(7, 11))
    yield call(
        "weights",
        draw(1, 5),
        draw(7, 5),
        draw(7, 1),
        note="one query, and values of width one",
    )
    yield call(
        "weights",
        draw(5, 1),
        draw(3, 1),
        draw(3, 2),
        note="width one, and more queries than keys",
    )
    yield call("batch", draw(2, 3, 5), draw(2, 7, 5), draw(2, 7, 11))
    yield call("batch", draw(3, 2, 5, 7), draw(3, 2, 5, 7), draw(3, 2, 5, 7))
    yield call(
        "batch",
        draw(2, 1, 3, 7, 2),
        draw(2, 1, 3, 5, 2),
        draw(2, 1, 3, 5, 11),
        note="three leading axes, one of length one",
    )
    yield call(
        "inputs",
        draw(3, 5),
        draw(7, 5),
        draw(7, 2),
        untouched=True,
        note="the arguments must be left as they were",
    )
    yield call(
        "inputs",
        draw(3, 10)[:, ::2],
        draw(7, 5),
        draw(7, 2),
        readonly=True,
        note="the arguments cannot be written to",
    )


QUESTION = Question(
    id="dense.backward",
    kind="implement",
    title="Backwards, with two ways into the loss",
    function=attend_backward,
    cases=cases,
    stages=(
        Stage("values", 0.5, "each value collects what was read from it"),
        Stage("queries", 1.0, "the gradient in the queries is right"),
        Stage("keys", 0.75, "the gradient in the keys is right"),
        Stage("weights", 0.75, "a loss that sees the weights is served too"),
        Stage("batch", 0.5, "leading axes are independent of one another"),
        Stage("inputs", 0.5, "the arguments are not changed"),
    ),
    misconceptions=MISCONCEPTIONS,
    # Gradients cancel where the shared sum is subtracted, hence the factor.
    tolerance=numerics.tolerance(terms=11, magnitude=4.0),
    difficulty=4,
    importance=4,
    minutes=30,
    hints=(
        "In which two ways does the loss depend on one entry of the weights?",
        "The gradient in the weights and the one in the scores both have "
        "the shape (..., queries, keys); each returned gradient has the "
        "shape of its argument.",
        "The scores' gradient is the weights times (the weights' gradient "
        "minus its average under this row's weights), over sqrt(dim).",
    ),
)
