# %% [markdown]
# # 05 Masks
#
# In this notebook you decide who may look at what: you make a mask for a batch that decodes from a cache,
# turn masked scores into weights, mend a decoder that looks the wrong way, average a loss over what is
# real, and write a test that finds out who reads the future.
#
# - Read chapter 05 of the book first, or keep it open beside you.
# - In this course a mask is boolean and **true where a query may look**, and a query that may look nowhere
#   gets zeros.
# - Each exercise has a cell for your answer and a check below it. Run the check as often as you like; it
#   tells you which part is not right yet, and often why.
# - Your grade comes from other numbers of the same shapes, so an answer that is right is all you need.
# - Write your answers yourself: the package `attncourse` is not there when your notebook is graded, and an answer
#   that calls it fails then.
#
# Time: about 120 minutes.

# %% role="setup"
import numpy as np

from attncourse import check

# %% [markdown] role="prompt" question="masks.cache"
# ## A mask for a ragged cache
#
# A server continues several texts at once. Each text has its keys in a buffer of the same size, filled up to
# a length of its own, and each brings the same number of new queries. One mask has to serve the whole batch.
#
# With `queries=2`, `keys=5` and `lengths=[3, 5]` the two masks are
#
#     1 1 0 0 0        1 1 1 1 0
#     1 1 1 0 0        1 1 1 1 1
#
# The book's `causal_mask` aligns the last query with the last key. Here it is the last *filled* place of each
# text that counts. Write `cache_mask` with NumPy alone.

# %% role="answer" question="masks.cache"

# %% role="test" question="masks.cache"

# %% [markdown]
# Look at a mask of your own. Which rows of the third text see nothing, and why?

# %%
try:
    for length, mask in zip([3, 5, 1], cache_mask([3, 5, 1], queries=3, keys=6)):
        print(f"{length} filled")
        for row in mask:
            print("   ", " ".join("x" if seen else "." for seen in row))
except NotImplementedError:
    print("cache_mask is still to be written, above.")

# %% [markdown] role="prompt" question="masks.weigh"
# ## Masked weights and their totals
#
# Later in the course a row of attention is computed in pieces, and the pieces are joined afterwards. For
# that, each piece has to say what it divided by. Write `weigh`, a masked softmax that also returns the
# logarithm of each row's total.
#
# Take care of three things that go wrong unseen: a row in which everything is hidden, a hidden score that is
# NaN or very large, and an allowed score that is very large or very small.

# %% role="answer" question="masks.weigh"

# %% role="test" question="masks.weigh"

# %% [markdown]
# What the logarithm is for: the two halves of a row, weighed apart, are joined by the softmax of their
# totals. The two printed lines should agree.

# %%
row = np.array([[0.5, 2.0, -1.0, 1.0]])
visible = np.array([[True, True, False, True]])
try:
    whole, _ = weigh(row, visible)
    (left, left_log), (right, right_log) = (
        weigh(row[:, :2], visible[:, :2]),
        weigh(row[:, 2:], visible[:, 2:]),
    )
    shares, _ = weigh(
        np.stack([left_log, right_log], axis=-1), np.ones((1, 2), dtype=bool)
    )
    print(np.round(whole, 6))
    print(
        np.round(
            np.concatenate([shares[:, :1] * left, shares[:, 1:] * right], axis=-1), 6
        )
    )
except NotImplementedError:
    print("weigh is still to be written, above.")

# %% [markdown] role="prompt" question="masks.predict"
# ## Predict before you run
#
# Commit to an answer for each statement before you run anything; the first one goes back to unit 02. Return
# a dictionary with one of the given options for each name. The check looks only at whether you have
# committed. The cell after it runs the experiments.

# %% role="answer" question="masks.predict"
def predict_masks():
    """Return your four predictions by name."""
    ### BEGIN SOLUTION
    return {
        "added_to_all": "as without a mask",
        "cache": "1 key",
        "padding_behind": "stay as they were",
        "two_means": "larger",
    }
    ### END SOLUTION

# %% role="test" question="masks.predict"
answers = {
    "added_to_all": "as without a mask",
    "cache": "1 key",
    "padding_behind": "stay as they were",
    "two_means": "larger",
}
because = {
    "added_to_all": {
        "zero": "a softmax sums to one whatever its scores; only a contract makes a row of zeros",
        "uniform": "that is float32, where the differences are rounded away; float64 keeps them, and a softmax "
        "does not notice a constant",
        "NaN": "-1e9 is an ordinary number in float64; NaN comes from minus infinity, or from float16",
    },
    "cache": {
        "8 keys": "the query is counted from 0, so j <= i leaves j = 0 alone",
        "9 keys": "that is the mask aligned to the end; with i = 0 the condition j <= i leaves one key",
    },
    "padding_behind": {
        "change": "padding at the end is later than every real position, so the causal mask hides it already",
    },
    "two_means": {
        "smaller": "the short sequence is the hard one, and in the mean of means it weighs as much as the long one",
        "equal": "they agree only if the sequences are equally long or have equal means",
    },
}

# %% role="given"
def plain_softmax(scores):
    """Return the softmax of the last axis, without any mask."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


try:
    predict_masks()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    scores = np.array([2.0, 1.0, 0.0])
    print(
        "added_to_all:   ",
        plain_softmax(scores).round(3),
        plain_softmax(scores - 1e9).round(3),
    )
    print("cache:          ", (np.arange(9) <= np.arange(1)[:, None]).astype(int))
    drawn = np.random.default_rng(5).normal(size=(6, 6))
    causal = np.tri(6, dtype=bool)
    real = np.arange(6) < 4
    for mask in (causal & real, causal):
        weights = plain_softmax(np.where(mask, drawn, -np.inf))
        print(
            "padding_behind: ",
            (weights @ np.arange(6.0))[:4].round(3),
            "at the 4 real positions",
        )
    losses = [np.full(8, 1.0), np.full(2, 3.0)]
    print(
        "two_means:      ",
        np.mean([each.mean() for each in losses]),
        np.mean(np.concatenate(losses)),
    )

# %% [markdown] role="prompt" question="masks.mend"
# ## Mend a decoder's attention
#
# One of the articles behind this course builds a decoder that never looks at its own sentence with a causal
# mask, and draws its padding masks at random (E27). Somebody has tried to put that right. The function below
# is the result: it runs, its shapes are right, its mask has a triangle in it. It is meant for a batch that is
# padded *in front*, as one that is to be continued is.
#
# It has four faults. Find them and write the mended function as `decoder_attention`; its contract stands in
# the answer cell.

# %% role="given"
def decoder_attention_as_found(q, k, v, lengths):
    """Attend causally in a batch padded in front. Four faults are in here."""
    positions, dim = q.shape[-2:]
    place = np.arange(positions)
    causal = place >= place[:, None]
    real = place < np.max(lengths)
    scores = np.einsum("bqd,bkd->bqk", q, k) / np.sqrt(dim)
    scores = scores + causal
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    weights = weights * real
    return weights @ v


# With one-hot values the output is the matrix of weights.
print(
    decoder_attention_as_found(
        np.zeros((1, 4, 2)), np.zeros((1, 4, 2)), np.eye(4)[None], np.array([3])
    ).round(2)
)

# %% role="answer" question="masks.mend"

# %% role="test" question="masks.mend"

# %% [markdown] role="prompt" question="masks.loss"
# ## A loss that does not count padding
#
# Another of the articles labels the padding of its sentences as class 0 (E06). Here padding has the target
# -1, which is no class. Write `mean_loss`, which also says how many positions were real, so that the losses
# of several small batches can be joined into the loss of a large one.

# %% role="answer" question="masks.loss"

# %% role="test" question="masks.loss"

# %% [markdown] role="prompt" question="masks.audit"
# ## Catch who looks into the future
#
# You are handed functions `candidate(q, k, v)`. Each claims to be causal attention with scaled scores:
#
# - `q` has shape (queries, dim), `k` (keys, dim) and `v` (keys, value_dim), or all three have one more axis in
#   front, the examples of a batch, which have nothing to do with one another;
# - there are at least as many keys as queries, and the last query stands at the last key;
# - each query sees its own place and *everything* before it, and nothing after it: what stands there, NaN
#   included, has no influence.
#
# Some claims are true. Write `test_causal(candidate)`, which raises an `AssertionError` for a function that
# breaks its claim and returns quietly for one that keeps it. You cannot read the candidates; they come in
# random order, and each meets a fresh copy of your test.
#
# Right ones differ in style and some compute in single precision, so compare with a tolerance, such as
# `np.allclose(one, other, rtol=1e-4, atol=1e-4)`. Rejecting a right one costs all points of this exercise.

# %% role="answer" question="masks.audit"
def test_causal(candidate):
    """Raise AssertionError unless candidate is causal attention."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    for queries, keys in [(5, 5), (2, 7), (1, 4), (20, 35)]:
        # One call asks about every query: in each example what comes after another query is lost. The last example
        # loses nothing, so that there are more examples than queries.
        q, k = rng.normal(size=(queries + 1, queries, 4)), rng.normal(size=(queries + 1, keys, 4))
        v = rng.normal(size=(queries + 1, keys, 3))
        known = np.arange(queries) + keys - queries + 1
        for i in range(queries):
            k[i, known[i] :] = np.nan
            v[i, known[i] :] = np.nan
        got = np.asarray(candidate(q, k, v))
        assert got.shape == (queries + 1, queries, 3)
        expected = np.empty(got.shape)
        for i in range(queries):
            # From example i on, query i misses nothing. Its output is the average of what it may see, by definition:
            # what comes later changes nothing, whether it is there or lost.
            scores = np.einsum("bd,bkd->bk", q[i:, i], k[i:, : known[i]]) / np.sqrt(4)
            powers = np.exp(scores)
            weights = powers / powers.sum(axis=-1, keepdims=True)
            expected[i:, i] = np.einsum("bk,bkv->bv", weights, v[i:, : known[i]])
        misses_nothing = np.tri(queries + 1, queries, dtype=bool)
        assert np.allclose(got[misses_nothing], expected[misses_nothing], rtol=1e-4, atol=1e-4)
    # An example on its own is the same as in a batch.
    alone = np.asarray(candidate(q[-1], k[-1], v[-1]))
    assert np.allclose(alone, expected[-1], rtol=1e-4, atol=1e-4)
    ### END SOLUTION

# %% role="test" question="masks.audit"
def attend(q, k, v, mask):
    """Masked attention in which hidden NaN has no influence."""
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(mask, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isfinite(highest), highest, 0))
    total = powers.sum(axis=-1, keepdims=True)
    weights = powers / np.where(total > 0, total, 1)
    seen = np.where(np.asarray(mask)[..., None], v[..., None, :, :], 0.0)
    return np.einsum("...qk,...qkv->...qv", weights, seen)


def places(q, k):
    """The places of the keys, and those of the queries as a column."""
    keys, queries = k.shape[-2], q.shape[-2]
    return np.arange(keys), np.arange(keys - queries, keys)[:, None]


def all_at_once(q, k, v):
    place, own = places(q, k)
    return attend(q, k, v, place <= own)


def single_precision(q, k, v):
    q, k, v = (np.asarray(x, dtype=np.float32) for x in (q, k, v))
    place, own = places(q, k)
    sees = place <= own
    scores = (q[..., :, None, :] * k[..., None, :, :]).sum(axis=-1)
    scores = np.where(sees, scores / np.float32(q.shape[-1] ** 0.5), np.float32(0))
    # Without a shift by the largest score.
    weights = np.exp(scores) * sees
    seen = np.where(sees[..., None], v[..., None, :, :], np.float32(0))
    return (weights[..., None] * seen).sum(axis=-2) / weights.sum(axis=-1, keepdims=True)


def tile_by_tile(q, k, v):
    place, own = places(q, k)
    highest, total, mean = -np.inf, 0.0, 0.0
    for start in range(0, k.shape[-2], 16):
        tile = slice(start, start + 16)
        sees = place[tile] <= own
        scores = q @ np.swapaxes(k[..., tile, :], -1, -2) / np.sqrt(q.shape[-1])
        scores = np.where(sees, scores, -np.inf)
        # The first tile has a key that every query sees.
        top = np.maximum(highest, scores.max(axis=-1, keepdims=True))
        shrink, powers = np.exp(highest - top), np.exp(scores - top)
        seen = np.where(sees[..., None], v[..., None, tile, :], 0.0)
        total = total * shrink + powers.sum(axis=-1, keepdims=True)
        mean = mean * shrink + (powers[..., None, :] @ seen)[..., 0, :]
        highest = top
    return mean / total


def one_example_at_a_time(q, k, v):
    if q.ndim > 2:
        return np.stack([one_example_at_a_time(*each) for each in zip(q, k, v)])
    return all_at_once(q, k, v)


def one_place_more(q, k, v):
    place, own = places(q, k)
    return attend(q, k, v, place <= own + 1)


def from_the_start(q, k, v):
    place, own = places(q, k)
    return attend(q, k, v, place <= own - own[0])


def edge_of_a_tile(q, k, v):
    place, own = places(q, k)
    return attend(q, k, v, (place <= own) | ((place == own + 1) & (place % 16 == 0)))


def first_example_only(q, k, v):
    if q.ndim == 2:
        return all_at_once(q, k, v)
    place, own = places(q, k)
    example = np.arange(len(q)).reshape(-1, *[1] * (q.ndim - 1))
    return attend(
        q,
        k,
        v,
        np.broadcast_to((place <= own) | (example > 0), (*q.shape[:-1], k.shape[-2])),
    )


def masked_too_late(q, k, v):
    place, own = places(q, k)
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.where(place <= own, weights, 0.0) @ v


def nearly_hidden(q, k, v):
    place, own = places(q, k)
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    scores = scores - np.where(place <= own, 0.0, 5.0)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers @ v / powers.sum(axis=-1, keepdims=True)


def short_memory(q, k, v):
    place, own = places(q, k)
    return attend(q, k, v, (place <= own) & (place > own - 4))


def normalised_keys(q, k, v):
    return all_at_once(q, k / np.std(k, axis=-2, keepdims=True), v)


def zero_times_nan(q, k, v):
    place, own = places(q, k)
    scores = np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(place <= own, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers @ v / powers.sum(axis=-1, keepdims=True)


right = [all_at_once, single_precision, tile_by_tile, one_example_at_a_time]
wrong = [
    one_place_more,
    from_the_start,
    edge_of_a_tile,
    first_example_only,
    masked_too_late,
    nearly_hidden,
    short_memory,
    normalised_keys,
    zero_times_nan,
]

# %% [markdown] role="prompt" question="masks.written"
# ## In your own words
#
# A query may look at nothing. One library gives it the average of all values, another NaN, this course
# zeros. Argue in six sentences at most for zeros and against the average, and name one situation in which a
# zero, too, may mislead whoever reads the output.

# %% [markdown] role="written" question="masks.written"
# ### BEGIN SOLUTION
# The output of attention is an average of the values that a query may see. If it may see none, then the
# average of all values is made of exactly what was forbidden: padding, or the future. It depends on how far
# the batch was padded and on what stands in the padding, so the same sequence gives different results in
# different batches, and nothing warns. Zeros depend on nothing: in a residual layer the input passes on
# unchanged, and no gradient flows into values that were not to be read. NaN would at least be
# noticed, but it spreads to the gradients of the whole batch. A zero misleads where zero is itself a plausible
# output: a reader cannot tell "nothing was to be seen" from "the values cancel", so a mean over positions
# must leave such rows out.
#
# Rubric (2 points): 1 for saying that the uniform average consists of forbidden values (or depends on the
# padding, or leaks), 0.5 for a reason for zeros that follows from their use (residual, no gradient, no NaN),
# 0.5 for a case in which zero is ambiguous (a later mean, a layer norm of the zero row, a threshold). Praise
# without a reason earns nothing.
# ### END SOLUTION
