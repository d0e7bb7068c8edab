# %% [markdown]
# # 04 Dense attention
#
# In this notebook you write attention forwards and backwards, mend a version of it that runs and is wrong in
# four ways, and write the test that would have caught it.
#
# - Read chapter 04 of the book first, or keep it open beside you.
# - Each exercise has a cell for your answer and a check below it. Run the check as often as you like; it
#   tells you which part is not right yet, and often why.
# - Your grade comes from other numbers of the same shapes, so an answer that is right is all you need.
# - Write your answers yourself: the package `attncourse` is not there when your notebook is graded, and an answer
#   that calls it fails then.
#
# Time: about 100 minutes.

# %% role="setup"
import numpy as np

from attncourse import check

# %% [markdown] role="prompt" question="dense.attend"
# ## Attention and its weights
#
# Write `attend`, which returns two results: what each query reads, and the weights with which it reads.
#
# There may be any number of leading axes (examples, heads, both, or none), equal in all three arguments.
# Queries and keys may differ in number, and values may be wider or narrower than keys. Some scores are
# very large: the weights must be right then, too.

# %% role="answer" question="dense.attend"

# %% role="test" question="dense.attend"

# %% [markdown]
# Try it: the example by hand from the chapter. The scores are 1 and 0; which weights do you expect?

# %%
try:
    output, weights = attend(np.array([[1.0]]), np.array([[1.0], [0.0]]), np.array([[10.0, 0.0], [0.0, 10.0]]))
    print("weights", weights)
    print("output ", output)
except NotImplementedError:
    print("attend is still to be written, above.")

# %% [markdown] role="prompt" question="dense.predict"
# ## Predict before you run
#
# Commit to an answer for each statement before you run anything. Each is about attention as you wrote it
# above. The first asks again for something from unit 02. Return a dictionary with one of the given options
# for each name.
#
# The check below looks only at whether you have committed. The cell after it runs the experiment.

# %% role="answer" question="dense.predict"
def predict_attention():
    """Return your four predictions by name."""
    ### BEGIN SOLUTION
    return {
        "all_scores_grow": "stay equal",
        "entered_twice": "stays equal",
        "values_moved": "moves by c",
        "one_key_changed": "all",
    }
    ### END SOLUTION

# %% role="test" question="dense.predict"
answers = {
    "all_scores_grow": "stay equal",
    "entered_twice": "stays equal",
    "values_moved": "moves by c",
    "one_key_changed": "all",
}
because = {
    "all_scores_grow": {
        "become more even": "every exponential of a row grows by the same factor, and so does their sum",
        "become more uneven": "differences between scores count, and they stay; a common factor would change them",
    },
    "entered_twice": {
        "is halved": "each copy gets half the weight, but there are two of them, so their share stays",
        "is doubled": "the sum in the denominator has twice as many terms, too",
    },
    "values_moved": {
        "stays equal": "the weights stay, but they now average values that all lie elsewhere",
        "moves by c times the number of keys": "each value adds its share of c, and the shares sum to one",
        "moves by a part of c that differs between queries": "the shares differ between queries, but each row of them sums to one",
    },
    "one_key_changed": {
        "that of token 3": "that would be so for a query; a key is read by every query",
        "all but that of token 3": "token 3 reads its own key as well, like everybody",
    },
}

# %% role="given"
def shown(q, k, v, shift=0.0):
    """Return attention with the same number added to every score."""
    scores = q @ k.T / np.sqrt(q.shape[1]) + shift
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    return shares @ v, shares


try:
    predict_attention()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    tokens = np.random.default_rng(4).normal(size=(4, 3))
    read, shares = shown(tokens, tokens, tokens)
    more = shown(tokens, tokens, tokens, shift=100.0)[1]
    twice = shown(tokens, np.tile(tokens, (2, 1)), np.tile(tokens, (2, 1)))[0]
    c = np.array([1.0, 10.0, 100.0])
    moved = shown(tokens, tokens, tokens + c)[0]
    other = tokens.copy()
    other[2] = [1.0, -1.0, 0.5]
    replaced = shown(tokens, other, tokens)[0]
    with np.printoptions(precision=3, suppress=True):
        print("scores + 100: weights change by at most", np.abs(more - shares).max())
        print("entered twice: output changes by at most", np.abs(twice - read).max())
        print("values + c: each output moves by")
        print(moved - read)
        print("key of token 3 replaced: each output moves by")
        print(replaced - read)

# %% [markdown] role="prompt" question="dense.repair"
# ## Repair: rows that never meet
#
# An article behind this course prints a model in which attention is computed like this: one score per row,
# a softmax over those scores, and a sum over the features. The function below does the same for a batch. It
# was also to let each example bring its own *sharpness*, a factor on its scores. It runs without an error
# whenever all sizes happen to agree, and the printed result looks like numbers.
#
# There are four faults. Write the repaired function as `read_batch`.

# %% role="given"
def rows_that_never_meet(q, k, v, sharpness):
    """Read from each example of a batch. Four faults are in here."""
    scores = (q * k).sum(axis=2, keepdims=True) / np.sqrt(q.shape[2])
    scores = scores * sharpness
    exponentials = np.exp(scores - scores.max(axis=0))
    weights = exponentials / exponentials.sum(axis=0)
    return (weights * v).sum(axis=2)


three = np.random.default_rng(0).normal(size=(3, 3, 3))
others = three.copy()
others[1:] *= 2
print("the first example, beside two others:")
print(rows_that_never_meet(three, three, three, np.ones(3))[0].round(3))
print("the same example, after the other two have changed:")
print(rows_that_never_meet(others, others, others, np.ones(3))[0].round(3))

# %% role="answer" question="dense.repair"

# %% role="test" question="dense.repair"

# %% [markdown] role="prompt" question="dense.backward"
# ## Backwards, with two ways into the loss
#
# Training needs the gradient of a loss in the queries, keys and values. The chapter derives it for a loss
# that sees the output. Here the loss sees **both** results of `attend`: the output, and the weights
# themselves. (Some models are trained with a term that rewards weights that are spread out, or that agree
# with an alignment drawn by hand.)
#
# You are given the weights of the forward pass, the gradient of the loss in the output, and its gradient in
# the weights as they were returned. Write `attend_backward`. Neither the chapter nor the package prints it,
# but the chapter's derivation needs only one more term, in the right place.

# %% role="answer" question="dense.backward"

# %% role="test" question="dense.backward"

# %% [markdown]
# Whoever derives a gradient checks it. This cell compares yours with finite differences, once `attend` and
# `attend_backward` are both written.

# %%
def loss(q, k, v, up_output, up_weights):
    output, weights = attend(q, k, v)
    return (output * up_output).sum() + (weights * up_weights).sum()


try:
    draws = np.random.default_rng(5)
    q, k, v, up_output, up_weights = (draws.normal(size=s) for s in [(2, 3), (5, 3), (5, 2), (2, 2), (2, 5)])
    d_q, _, _ = attend_backward(q, k, v, attend(q, k, v)[1], up_output, up_weights)
    step = np.zeros_like(q)
    step[1, 2] = 1e-6
    rise = loss(q + step, k, v, up_output, up_weights) - loss(q - step, k, v, up_output, up_weights)
    print("by formula   ", d_q[1, 2])
    print("by difference", rise / 2e-6)
except NotImplementedError:
    print("attend or attend_backward is still to be written, above.")

# %% [markdown] role="prompt" question="dense.audit"
# ## Write a test that tells attention from what looks like it
#
# A colleague hands you functions `candidate(q, k, v)` that return the output of attention. Some are right,
# some are not, and you cannot read them. Write `test_attention(candidate)`, which raises an
# `AssertionError` for a wrong one and returns quietly for a right one.
#
# Right ones differ in style and rounding; some compute in single precision. So compare with a tolerance, but
# not one so wide that a wrong scale fits into it. All candidates take NumPy arrays, with or without leading
# axes (equal in `q`, `k` and `v`), and right ones leave them as they were. Eight wrong ones wait in the
# grading, and catching six of them earns all points. Rejecting a right one costs them all.

# %% role="answer" question="dense.audit"
def test_attention(candidate):
    """Raise AssertionError unless candidate is scaled dot-product attention."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)

    def slowly(q, k, v):
        rows = []
        for query in q:
            scores = np.array([query @ key for key in k]) / np.sqrt(len(query))
            powers = np.exp(scores - scores.max())
            rows.append((powers[:, None] * v).sum(axis=0) / powers.sum())
        return np.array(rows)

    def same(got, expected):
        got = np.asarray(got)
        assert got.shape == expected.shape
        assert np.allclose(got, expected, rtol=1e-4, atol=1e-4)

    # Unequal sizes, then equal ones, each with two examples.
    for queries, keys, dim, width in [(3, 7, 5, 2), (5, 5, 5, 5), (3, 1, 2, 7)]:
        q = rng.normal(size=(2, queries, dim))
        k = rng.normal(size=(2, keys, dim))
        v = rng.normal(size=(2, keys, width))
        kept = q.copy(), k.copy(), v.copy()
        got = candidate(q, k, v)
        same(got, np.array([slowly(*each) for each in zip(q, k, v)]))
        for mine, before in zip((q, k, v), kept):
            assert np.array_equal(mine, before)
    # Very large scores select one value.
    q, k, v = 1e5 * rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    same(candidate(q, k, v), slowly(q, k, v))
    ### END SOLUTION

# %% role="test" question="dense.audit"
import numpy as np


def by_matmul(q, k, v):
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True))
    return weights @ v


def in_single_precision(q, k, v):
    q, k, v = (np.asarray(each, dtype=np.float32) for each in (q, k, v))
    scores = np.einsum("...id,...jd->...ij", q * np.float32(q.shape[-1] ** -0.5), k)
    scores -= scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores)
    return powers @ v / powers.sum(axis=-1, keepdims=True)


def by_halves(q, k, v):
    middle = k.shape[-2] // 2
    if middle == 0:
        return by_matmul(q, k, v)
    outputs, totals = [], []
    for part in (slice(0, middle), slice(middle, None)):
        scores = q @ np.swapaxes(k[..., part, :], -1, -2) / np.sqrt(q.shape[-1])
        totals.append(np.logaddexp.reduce(scores, axis=-1, keepdims=True))
        outputs.append(np.exp(scores - totals[-1]) @ v[..., part, :])
    share = 1 / (1 + np.exp(np.clip(totals[1] - totals[0], -700, 700)))
    return share * outputs[0] + (1 - share) * outputs[1]


def scaled_by_width(q, k, v):
    return by_matmul(q / np.sqrt(q.shape[-1]), k, v)


def scaled_by_keys(q, k, v):
    return by_matmul(q * np.sqrt(q.shape[-1] / k.shape[-2]), k, v)


def sorted_first(q, k, v):
    # Right for one example; all later ones read from the first.
    if q.ndim == 2:
        return by_matmul(q, k, v)
    return by_matmul(q, k[:1], v[:1])


def transposed_when_square(q, k, v):
    if q.shape[-2] != k.shape[-2]:
        return by_matmul(q, k, v)
    weights = by_matmul(q, k, np.broadcast_to(np.eye(k.shape[-2]), (*v.shape[:-1], k.shape[-2])))
    return np.swapaxes(weights, -1, -2) @ v


def last_key_lost(q, k, v):
    if k.shape[-2] == 1:
        return by_matmul(q, k, v)
    return by_matmul(q, k[..., :-1, :], v[..., :-1, :])


def overflowing(q, k, v):
    powers = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]))
    return powers @ v / powers.sum(axis=-1, keepdims=True)


def clipped(q, k, v):
    scores = np.clip(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), -50, 50)
    powers = np.exp(scores)
    return powers @ v / powers.sum(axis=-1, keepdims=True)


def meddling(q, k, v):
    q *= 1 / np.sqrt(q.shape[-1])
    scores = q @ np.swapaxes(k, -1, -2)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers @ v / powers.sum(axis=-1, keepdims=True)


right = [by_matmul, in_single_precision, by_halves]
wrong = [
    scaled_by_width,
    scaled_by_keys,
    sorted_first,
    transposed_when_square,
    last_key_lost,
    overflowing,
    clipped,
    meddling,
]

# %% [markdown] role="prompt" question="dense.hull"
# ## In your own words
#
# Why can an output of attention never leave the convex hull of the values, and when is that a weakness? Answer
# in six sentences at most; one of them should name something that a layer after attention can do about it.

# %% [markdown] role="written" question="dense.hull"
# ### BEGIN SOLUTION
# The weights of a query are positive and sum to one, so its output is a weighted average of the values, and
# the convex hull is the set of all such averages. Averaging removes differences: no output is larger in any
# feature than the largest value, and a query that matches nothing still gets an average instead of nothing.
# It is a weakness where the task needs something that is no average: the number of matching keys (all
# weights sum to one whether one key matches or ten), a sum, a difference of two values, or a value beyond
# those seen. Between two values that are both acceptable, the average may be acceptable to nobody. What
# comes afterwards can leave the hull: a projection of the output, the residual sum with the input, several
# heads side by side, or a feed-forward layer.
#
# Rubric (2 points): 1 for the reason (weights not negative and sum to one, hence an average in each row); 1 for a
# weakness that follows from it, with something that helps. Half of the second point if the remedy is missing.
# ### END SOLUTION
