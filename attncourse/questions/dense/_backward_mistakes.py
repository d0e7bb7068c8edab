"""What goes wrong in `attend_backward`, by name."""

from __future__ import annotations

from attncourse.checking import Misconception

MISCONCEPTIONS = (
    Misconception(
        "jacobian_diagonal",
        edits=(("d_a - inner", "d_a"),),
        stage="queries",
        says=(
            "Your gradient multiplies by the weights but leaves out what "
            "they share. When one score grows, all the other weights of "
            "the row shrink: subtract the row's weighted sum of `d_a`."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "sigmoid_derivative",
        edits=(("weights * (d_a - inner)", "weights * (1 - weights) * d_a"),),
        stage="queries",
        says=(
            "You used a (1 - a), the derivative of one weight in its own "
            "score. The other scores of the row move that weight as well;"
            " the Jacobian has entries off its diagonal."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "shared_over_queries",
        edits=(
            ("(weights * d_a).sum(axis=-1", "(weights * d_a).sum(axis=-2"),
        ),
        stage="queries",
        says=(
            "The sum that you subtract runs over the queries. It belongs "
            "to one row of weights, so it runs over the keys."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "shared_mean",
        edits=(("(weights * d_a).sum(", "(weights * d_a).mean("),),
        stage="queries",
        says=(
            "You subtract a mean over the keys. The weights already sum "
            "to one, so the weighted sum is itself the average: do not "
            "divide by the number of keys again."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "shared_unweighted",
        edits=(("(weights * d_a)", "d_a"),),
        stage="queries",
        says=(
            "The sum that you subtract lacks the weights. It is the "
            "average of `d_a` under this row's weights."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "shared_without_d_weights",
        edits=(("(weights * d_a)", "(weights * d_read)"),),
        stage="weights",
        says=(
            "The sum that you subtract contains the output's gradient "
            "only. The identity with the sum of O times dO holds when the"
            " loss sees nothing but the output; here it sees the weights "
            "too."
        ),
        section="dense-two-ways-into-the-loss",
    ),
    Misconception(
        "d_weights_forgotten",
        edits=(("d_read + d_weights", "d_read"),),
        stage="weights",
        says=(
            "The gradient that arrives at the weights directly is "
            "missing. The loss depends on the weights in two ways, and "
            "gradients of two ways add."
        ),
        section="dense-two-ways-into-the-loss",
    ),
    Misconception(
        "wrong_sign",
        edits=(("d_a - inner", "d_a + inner"),),
        stage="queries",
        says=(
            "The row's weighted sum is added where it must be subtracted."
            " Check with finite differences: raising every score of a row"
            " alike must change nothing."
        ),
        section="dense-the-shared-sum",
    ),
    Misconception(
        "scale_forgotten",
        edits=(("d_scores / np.sqrt(q.shape[-1])", "d_scores"),),
        stage="queries",
        error="E02",
        says=(
            "The factor 1 / sqrt(d_k) is missing. The forward pass "
            "divides the scores by it, so the chain rule does too."
        ),
        section="dense-scale-goes-backwards",
    ),
    Misconception(
        "scale_squared",
        edits=(("np.sqrt(q.shape[-1])", "q.shape[-1]"),),
        stage="queries",
        says=(
            "Your gradients in the queries and keys are divided by d_k. "
            "The forward pass divided by its square root, once."
        ),
        section="dense-scale-goes-backwards",
    ),
    Misconception(
        "weights_not_transposed",
        edits=(('"...qk,...qv->...kv"', '"...kq,...qv->...kv"'),),
        stage="values",
        says=(
            "The gradient in the values uses the weights the wrong way "
            "round. Value j collects from every query i, with weight (i, "
            "j): the transposed matrix."
        ),
        section="dense-collect-what-was-given",
    ),
    Misconception(
        "scores_not_transposed",
        edits=(('"...qk,...qd->...kd"', '"...kq,...qd->...kd"'),),
        stage="keys",
        says=(
            "The gradient in the keys uses the scores' gradient the wrong"
            " way round. Key j collects from every query i: the "
            "transposed matrix."
        ),
        section="dense-collect-what-was-given",
    ),
    Misconception(
        "values_unweighted",
        edits=(("weights, d_output", "np.ones_like(weights), d_output"),),
        stage="values",
        says=(
            "Every value receives the whole upstream gradient. It "
            "receives only the share with which each query read it."
        ),
        section="dense-collect-what-was-given",
    ),
    Misconception(
        "queries_and_keys_swapped",
        edits=(("return d_q, d_k, d_v", "return d_k, d_q, d_v"),),
        stage="queries",
        says=(
            "The gradients in the queries and in the keys have changed "
            "places. Each has the shape of its own argument."
        ),
        section="dense-collect-what-was-given",
    ),
    Misconception(
        "inputs_changed",
        edits=(
            (
                "d_read + d_weights",
                "np.add(d_read, d_weights, out=d_weights)",
            ),
        ),
        stage="inputs",
        says=(
            "Your result is right, but an argument was written to, as "
            "`d_weights += d_read` does. Whoever passed it in still needs "
            "it: `d_weights + d_read` makes a new array."
        ),
        section="dense-inputs-changed",
    ),
)
