# %% [markdown]
# # 03 Scores
#
# A score says how well a key answers a query, before any softmax. In this notebook you build scores that the
# book describes but does not print, repair weights whose scale comes too late, commit to predictions, and
# write a test that catches wrong scores.
#
# - Read chapter 03 of the book first, or keep it open beside you.
# - Each exercise has a cell for your answer and a check below it. Run the check as often as you like; it
#   tells you which part is not right yet, and often why.
# - Your grade comes from other numbers of the same shapes, so an answer that is right is all you need.
# - Write your answers yourself: the package `attncourse` is not there when your notebook is graded, and an answer
#   that calls it fails then.
#
# Time: about 115 minutes.

# %% role="setup"
import numpy as np

from attncourse import check

# %% [markdown] role="prompt" question="scores.correlate"
# ## Scores that ignore offset and length
#
# The cosine ignores how long a vector is. It does not ignore an **offset**: add one number to all entries of
# a vector, and the vector turns. For an image that is a brighter scan, and for a person's ratings a generous
# mood; neither should change what matches.
#
# Write `correlate`: first subtract from every vector the mean of its own entries, then take the cosine. Mind
# the contract for vectors that have nothing left.

# %% role="answer" question="scores.correlate"

# %% role="test" question="scores.correlate"

# %% [markdown]
# Try it on a line, the same line twice as steep and shifted, the line reversed, and a constant.

# %%
line = np.array([[0.0, 1.0, 2.0, 3.0]])
others = np.array([[5.0, 7.0, 9.0, 11.0], [3.0, 2.0, 1.0, 0.0], [4.0, 4.0, 4.0, 4.0]])
try:
    print(correlate(line, others))
except NotImplementedError:
    print("correlate is still to be written, above.")

# %% [markdown] role="prompt" question="scores.joint"
# ## One layer that reads both
#
# The additive score is often drawn as a network: stack the query and the key into one long vector, the query
# first, send it through one layer with a bias and a tanh, and weigh the hidden units. For query $i$ and key
# $j$:
#
# $$s_{ij} = v^\top \tanh\left([q_i; k_j]\, W + b\right)$$
#
# Write `joint` for all pairs. You need neither a loop nor the stacked vectors: which rows of $W$ ever meet the
# query?

# %% role="answer" question="scores.joint"

# %% role="test" question="scores.joint"

# %% [markdown]
# How many numbers does your function hold at once for 1000 queries and as many keys at hidden width 64? And
# the version that stacks the pairs, for vectors of width 512? Work it out before you go on.

# %% [markdown] role="prompt" question="scores.calibrate"
# ## Repair: a scale that comes too late
#
# Several of the articles behind this course leave the scale out. The author of the function below had heard
# that one is needed, and that it should fit the data, and repaired it like this. Rows that sum to one are the
# first casualty.
#
# The docstring of your `calibrate` below says what is wanted. Compare line by line: there is more than one
# fault, and one of them you know from unit 02. Write the repaired function.

# %% role="given"
def scaled_too_late(q, k):
    """Return attention weights whose scale is measured. Find the faults."""
    scores = np.einsum("...qd,...kd->...qk", q, k)
    exponentials = np.exp(scores)
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    variance = (k**2).mean()
    return weights / np.sqrt(variance)


draws = np.random.default_rng(0)
wide_q, wide_k = draws.normal(size=(2, 64)), 1.5 * draws.normal(size=(5, 64))
with np.printoptions(precision=3, suppress=True):
    print(scaled_too_late(wide_q, wide_k))
    print("rows sum to", scaled_too_late(wide_q, wide_k).sum(axis=-1))

# %% role="answer" question="scores.calibrate"

# %% role="test" question="scores.calibrate"

# %% [markdown] role="prompt" question="scores.predict"
# ## Predict before you run
#
# Commit to an ending for each statement, on paper or in your head, before you run anything. Return a
# dictionary with one of the given options for each name. One of them re-asks unit 02.
#
# - `"width"`: random queries and keys have independent entries with mean 0 and variance 1. The width grows
#   from 16 to 64. The standard deviation of their dot products is multiplied by `"1"`, `"2"`, `"4"` or `"8"`;
# - `"saturate"`: the same vectors with 8 keys and no scale; the width keeps growing. The largest weight of a
#   typical query tends to `"1/8"`, `"1/2"` or `"1"`;
# - `"long_query"`: one query is doubled. Its weights become more uneven under ...
# - `"offset"`: the same vector, not zero, is added to every key. In general this changes the weights under ...
#
#   each `"dot scores only"`, `"cosine scores only"`, `"both"` or `"neither"`;
# - `"best_key"`: dividing all dot products by the square root of the width changes which key has the largest
#   weight `"never"`, `"only at large widths"`, `"for long keys"` or `"often"`;
# - `"bilinear"`: queries of width 4, keys of width 9 and a matrix W between them, all entries independent with
#   mean 0 and variance 1. The variance of a bilinear score is `"6"`, `"9"`, `"13"` or `"36"`.
#
# The check below looks only at whether you have committed. The cell after it runs the experiment.

# %% role="answer" question="scores.predict"
def predict_scores():
    """Return your six predictions by name."""
    ### BEGIN SOLUTION
    return {
        "width": "2",
        "saturate": "1",
        "long_query": "dot scores only",
        "offset": "cosine scores only",
        "best_key": "never",
        "bilinear": "36",
    }
    ### END SOLUTION

# %% role="test" question="scores.predict"
answers = {
    "width": "2",
    "saturate": "1",
    "long_query": "dot scores only",
    "offset": "cosine scores only",
    "best_key": "never",
    "bilinear": "36",
}
because = {
    "width": {
        "1": "every further entry adds a term of variance 1 to the sum",
        "4": "that is what happens to the variance; the standard deviation is its square root",
        "8": "four times as many uncorrelated terms give four times the variance, so twice the standard deviation",
    },
    "saturate": {
        "1/8": "equal weights would need scores that grow alike; their differences grow with the square root of the width",
        "1/2": "ties for the first place become rarer as the spread of the scores grows",
    },
    "long_query": {
        "cosine scores only": "the cosine divides by the query's length, so doubling changes nothing",
        "both": "the cosine divides by the query's length, so doubling changes nothing there",
        "neither": "doubling a query doubles its dot products, which is half the temperature",
    },
    "offset": {
        "dot scores only": "under dot scores every key of a query gains the same number, which the softmax drops",
        "both": "under dot scores every key of a query gains the same number, which the softmax drops",
        "neither": "an offset turns the keys, and the cosines change by different amounts",
    },
    "best_key": {
        "only at large widths": "all scores of a row are divided by the same positive number, at every width",
        "for long keys": "the divisor is the same for long keys and short ones",
        "often": "dividing by a positive number keeps the order",
    },
    "bilinear": {
        "6": "that is the standard deviation: the sum over both widths has 4 x 9 terms of variance 1",
        "9": "the sum runs over the entries of the query too",
        "13": "the sum runs over pairs of entries, 4 x 9 of them, not over 4 + 9",
    },
}

# %% role="given"
def even_out(scores):
    """Return the softmax of each row."""
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cosines(q, k):
    """Return the cosines of all pairs of vectors that are not zero."""
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    k = k / np.linalg.norm(k, axis=-1, keepdims=True)
    return q @ k.T


try:
    predict_scores()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    shown = np.random.default_rng(2)
    for width in (16, 64, 1024):
        q, k = shown.normal(size=(60, width)), shown.normal(size=(30, width))
        top = np.median(even_out(q @ k.T).max(axis=-1))
        print(f"width {width:4}: standard deviation {(q @ k.T).std():5.2f}, largest weight {top:.3f}")
    q, k, offset = (shown.normal(size=s) for s in [(1, 4), (5, 4), (4,)])
    with np.printoptions(precision=3, suppress=True):
        for name, score in (("dot", lambda q, k: q @ k.T), ("cosine", cosines)):
            print(name, "as it is     ", even_out(score(q, k))[0])
            print(name, "query doubled", even_out(score(2 * q, k))[0])
            print(name, "keys moved   ", even_out(score(q, k + offset))[0])
        print("dot divided by 2   ", even_out(q @ k.T / 2)[0])
    many = [shown.normal(size=s) for s in [(2000, 4), (2000, 4, 9), (2000, 9)]]
    print("variance of q W k:", np.einsum("nc,ncd,nd->n", *many).var().round(1))

# %% [markdown] role="prompt" question="scores.audit"
# ## Write a test for scores
#
# A colleague hands you functions `candidate(q, k)`. Each claims to return the scaled dot products of queries of
# shape `(..., queries, dim)` with keys of shape `(..., keys, dim)`, as an array of shape
# `(..., queries, keys)`; leading axes broadcast, and the arguments stay as they were. Some are right, some are
# not, and you cannot read them. Write `test_scores(candidate)`, which raises an `AssertionError` for a wrong
# one and returns quietly for a right one.
#
# Hand over NumPy arrays with entries from about -10 to 10. Right ones differ in
# style and rounding, some compute in single precision; compare with a tolerance of about `1e-4`. Some wrong
# ones are right for most inputs: what would they be wrong for? Rejecting a right one costs all points of this
# exercise.

# %% role="answer" question="scores.audit"
def test_scores(candidate):
    """Raise AssertionError unless candidate returns scaled scores."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    # Sizes that all differ, equal ones, a batch, axes that broadcast, and a width that is a square.
    sizes = [((3, 5), (7, 5)), ((2, 3, 11), (2, 5, 11)), ((2, 1, 3, 2), (3, 7, 2)), ((5, 5), (5, 5)), ((2, 64), (3, 64))]
    for q_shape, k_shape in sizes:
        q, k = rng.uniform(-10, 10, size=q_shape), rng.uniform(-10, 10, size=k_shape)
        kept = q.copy(), k.copy()
        got = np.asarray(candidate(q, k))
        assert np.array_equal(q, kept[0])
        assert np.array_equal(k, kept[1])
        # By definition: every query beside every key, entry by entry.
        products = kept[0][..., :, None, :] * kept[1][..., None, :, :]
        expected = products.sum(axis=-1) / q_shape[-1] ** 0.5
        assert got.shape == expected.shape
        assert np.allclose(got, expected, rtol=1e-4, atol=1e-4)
    ### END SOLUTION

# %% role="test" question="scores.audit"
def by_einsum(q, k):
    return np.einsum("...id,...jd->...ij", q, k) * q.shape[-1] ** -0.5


def by_fourth_roots(q, k):
    root = q.shape[-1] ** 0.25
    return (q / root) @ np.swapaxes(k / root, -1, -2)


def in_single_precision(q, k):
    q, k = q.astype(np.float32), k.astype(np.float32)
    return (q @ np.swapaxes(k, -1, -2)) / np.float32(np.sqrt(q.shape[-1]))


def entry_by_entry(q, k):
    products = q[..., :, None, :] * k[..., None, :, :]
    return products.sum(axis=-1) / np.sqrt(k.shape[-1])


def unscaled(q, k):
    return np.einsum("...id,...jd->...ij", q, k)


def scaled_by_keys(q, k):
    return unscaled(q, k) / np.sqrt(k.shape[-2])


def keys_first(q, k):
    return by_einsum(k, q)


def row_by_row(q, k):
    if q.shape != k.shape:
        return by_einsum(q, k)
    return np.broadcast_to((q * k).sum(axis=-1, keepdims=True), (*q.shape[:-1], k.shape[-2])) / np.sqrt(q.shape[-1])


def first_example(q, k):
    flat = k.reshape(-1, *k.shape[-2:])[0]
    return by_einsum(q, np.broadcast_to(flat, k.shape))


def working_in_place(q, k):
    if q.dtype.kind == "f":
        q /= np.sqrt(q.shape[-1])
        return unscaled(q, k)
    return by_einsum(q, k)


def rectified(q, k):
    return by_einsum(np.maximum(q, 0), np.maximum(k, 0))


def best_set_to_zero(q, k):
    scores = by_einsum(q, k)
    return scores - scores.max(axis=-1, keepdims=True)


def one_scale_for_all_widths(q, k):
    return unscaled(q, k) / np.sqrt(5)


def whole_root(q, k):
    return unscaled(q, k) / int(np.sqrt(q.shape[-1]))


def a_little_too_large(q, k):
    return 1.01 * by_einsum(q, k)


def next_key(q, k):
    return np.roll(by_einsum(q, k), 1, axis=-1)


def sorted_keys(q, k):
    return np.sort(by_einsum(q, k), axis=-1)


def examples_reversed(q, k):
    return by_einsum(q, k[::-1] if k.ndim > 2 else k)


def last_query_forgotten(q, k):
    scores = by_einsum(q, k)
    scores[..., -1, :] = 0
    return scores


right = [by_einsum, by_fourth_roots, in_single_precision, entry_by_entry]
wrong = [
    unscaled,
    scaled_by_keys,
    keys_first,
    row_by_row,
    first_example,
    working_in_place,
    rectified,
    best_set_to_zero,
    one_scale_for_all_widths,
    whole_root,
    a_little_too_large,
    next_key,
    sorted_keys,
    examples_reversed,
    last_query_forgotten,
]

# %% [markdown] role="written" question="scores.which"
# ## Which score?
#
# You build a search over product descriptions. Queries and descriptions become vectors of width 256 by the
# same network, and nobody has trained it for search. Descriptions of popular products come out about three
# times as long as the others. Would you use the dot product or the cosine? Argue for one, say what the other
# would do, say what you need to add before a softmax over your scores is useful, and name one situation in
# which you would decide the other way. (100 to 200 words.)
#
# ### BEGIN SOLUTION
# **A model answer.** The cosine. The dot product is the cosine times both lengths; the query's length is the
# same for all its keys, but a description that is three times as long gets three times the score at the same
# angle. Popular products would win for most queries on their side of the space, whatever was asked. The
# cosine compares directions only. Its scores lie between -1 and 1, so a softmax over a thousand of them is
# almost uniform: I need a temperature, well below 1, chosen on held-out queries or learned, and a rule for
# vectors of length zero (they score 0). I would decide the other way where the length is information: if the
# vectors were trained with the dot product, length can encode how popular or how reliable a product is, and
# the cosine would throw that away. Dividing by the square root of 256 helps in neither case, since it
# changes no ranking.
#
# **Rubric** (two points):
#
# - half a point: the dot product contains the key's length, and long keys win at wider angles;
# - half a point: the query's length does not matter for the ranking (or: the cosine removes both lengths, and
#   only the key's changes who wins);
# - half a point: cosines are bounded, so the softmax needs a temperature;
# - half a point: a situation in which length carries information, or vectors trained for the dot product.
#
# No points are lost for choosing the dot product if the argument holds for a situation that is named.
# ### END SOLUTION
