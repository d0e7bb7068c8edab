"""What goes wrong in `attend`, by name."""

from __future__ import annotations

from attncourse.checking import Misconception

MISCONCEPTIONS = (
    Misconception(
        "keys_averaged",
        edits=(('kv->...qv", weights, v', 'kv->...qv", weights, k'),),
        stage="output",
        error="E12",
        says=(
            "Your output is the weighted average of the keys. Keys say "
            "where to look, values say what is read there: average the "
            "rows of `v`."
        ),
        section="dense-keys-averaged",
    ),
    Misconception(
        "no_scale",
        edits=(("scores / scale", "scores"),),
        stage="weights",
        error="E02",
        says=(
            "Your weights are the softmax of the bare dot products. Their"
            " variance grows with the width; dividing by its square root "
            "keeps the softmax from saturating."
        ),
        section="dense-no-scale",
    ),
    Misconception(
        "scale_by_dim",
        edits=(("np.sqrt(q.shape[-1])", "q.shape[-1]"),),
        stage="weights",
        says=(
            "Your scores are divided by the width itself. The dot product"
            " of random vectors grows like the square root of the width, "
            "so dividing by the width makes the weights more and more "
            "even."
        ),
        section="dense-scale-of-another-axis",
    ),
    Misconception(
        "scale_by_value_width",
        edits=(("np.sqrt(q.shape[-1])", "np.sqrt(v.shape[-1])"),),
        stage="weights",
        says=(
            "Your scale is the square root of the width of the values. "
            "The scores are sums over the width of queries and keys; the "
            "values are not in them."
        ),
        section="dense-scale-of-another-axis",
    ),
    Misconception(
        "scale_by_keys",
        edits=(("np.sqrt(q.shape[-1])", "np.sqrt(k.shape[-2])"),),
        stage="weights",
        error="E15",
        says=(
            "Your scale is the square root of the number of keys. A score"
            " is a sum over the width of one key; how many other keys "
            "there are does not enter it."
        ),
        section="dense-scale-of-another-axis",
    ),
    Misconception(
        "over_queries",
        edits=(
            ("scores.max(axis=-1", "scores.max(axis=-2"),
            ("exponentials.sum(axis=-1", "exponentials.sum(axis=-2"),
        ),
        stage="weights",
        says=(
            "Your weights are normalised over the queries: the columns "
            "sum to one, the rows do not. Each query must share out one "
            "unit of weight among the keys."
        ),
        section="dense-over-queries",
    ),
    Misconception(
        "over_everything",
        edits=(
            ("scores.max(axis=-1", "scores.max(axis=(-2, -1)"),
            ("exponentials.sum(axis=-1", "exponentials.sum(axis=(-2, -1)"),
        ),
        stage="weights",
        says=(
            "Your weights sum to one over the whole matrix, so the "
            "queries compete with one another for weight. Each row must "
            "sum to one by itself."
        ),
        section="dense-over-queries",
    ),
    Misconception(
        "over_the_batch",
        edits=(
            ("scores.max(axis=-1", "scores.max(axis=0"),
            ("exponentials.sum(axis=-1", "exponentials.sum(axis=0"),
        ),
        stage="batch",
        error="E22",
        says=(
            "Your weights are normalised along the first axis. With "
            "several examples that mixes them: one example's result then "
            "changes with its neighbours in the batch."
        ),
        section="dense-over-the-batch",
    ),
    Misconception(
        "weights_transposed",
        edits=(('"...qk,...kv->...qv"', '"...kq,...kv->...qv"'),),
        stage="output",
        error="E01",
        says=(
            "Your output sums over the first index of the weights: it "
            "uses the columns of the matrix, which do not sum to one. "
            "Output i is made with row i."
        ),
        section="dense-weights-transposed",
    ),
    Misconception(
        "one_score_per_row",
        edits=(
            (
                'np.einsum("...qd,...kd->...qk", q, k)',
                'np.einsum("...qd,...qd->...q", q, k)[..., None, :]',
            ),
        ),
        stage="weights",
        error="E21",
        says=(
            "You compare query i with key i only, which gives one score "
            "for each row. Every query must be compared with every key."
        ),
        section="dense-one-score-per-row",
    ),
    Misconception(
        "one_row_for_all",
        edits=(
            (
                "scores / scale",
                "0 * scores + scores.mean(axis=-2, keepdims=True) / scale",
            ),
        ),
        stage="weights",
        error="E28",
        says=(
            "All your queries have the same weights: the scores were "
            "averaged over the queries. Each query has a row of weights "
            "of its own."
        ),
        section="dense-one-row-for-all",
    ),
    Misconception(
        "no_maximum",
        edits=(("np.exp(scores - highest)", "np.exp(scores)"),),
        stage="extreme",
        says=(
            "Your exponentials overflow for large scores, and infinity "
            "divided by infinity is NaN. Subtract each row's maximum "
            "first: the weights do not change."
        ),
        section="dense-large-scores",
    ),
    Misconception(
        "scores_returned",
        edits=(("return output, weights", "return output, scores"),),
        stage="weights",
        says=(
            "Your output is right, but the matrix beside it holds the "
            "scores. The weights are what the softmax makes of them."
        ),
        section="dense-weights-are-shares",
    ),
    Misconception(
        "normalised_twice",
        edits=(
            (
                "exponentials / total",
                "np.exp(exponentials / total); "
                "weights /= weights.sum(axis=-1, keepdims=True)",
            ),
        ),
        stage="weights",
        says=(
            "The softmax was taken of weights that were already "
            "normalised. They lie between 0 and 1, so the second softmax "
            "makes them nearly even."
        ),
        section="dense-weights-are-shares",
    ),
    Misconception(
        "inputs_changed",
        edits=(("scores / scale", "scores / scale; q /= scale"),),
        stage="inputs",
        says=(
            "Your result is right, but an argument was written to, as "
            "`q /= scale` does. Whoever passed it in still needs it. "
            "`a = a / b` makes a new array, `a /= b` does not."
        ),
        section="dense-inputs-changed",
    ),
    Misconception(
        "half_precision",
        edits=(
            (
                "exponentials / total",
                "(exponentials / total).astype(np.float16)",
            ),
        ),
        stage="weights",
        says=(
            "Your weights were rounded to half precision, which keeps "
            "about three digits. Single precision is the least that is "
            "asked for here."
        ),
        section="dense-precision",
    ),
    Misconception(
        "first_key_skipped",
        edits=(
            (
                "np.exp(scores - highest)",
                "np.exp(scores - highest) * (np.arange(k.shape[-2]) > 0)",
            ),
        ),
        stage="one_key",
        says=(
            "The first key gets no weight in your result. Every key takes"
            " part, from index 0 on."
        ),
        section="dense-every-key",
    ),
    Misconception(
        "queries_averaged",
        edits=(
            (
                "return output, weights",
                "return output.mean(axis=-2), weights",
            ),
        ),
        stage="shapes",
        says=(
            "Your output is averaged over the queries. Every query gets "
            "an output of its own, so its axis stays."
        ),
        section="dense-features-summed",
    ),
    Misconception(
        "features_summed",
        edits=(
            (
                "return output, weights",
                "return output.sum(axis=-1), weights",
            ),
        ),
        stage="shapes",
        error="E23",
        says=(
            "Your output is summed over the features, one number where a "
            "vector was asked for. The output has the shape (..., "
            "queries, value_dim)."
        ),
        section="dense-features-summed",
    ),
)
