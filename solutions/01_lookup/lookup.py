# %% [markdown]
# # 01 Lookup
#
# In this notebook you build a dictionary that answers every question: it compares the question with all of
# its keys and returns an average of the values. Everything that the course calls attention is a variant
# of these few lines.
#
# - Read chapter 01 of the book first, or keep it open beside you.
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

# %% [markdown] role="prompt" question="lookup.soft_read"
# ## A soft dictionary
#
# A Python dictionary gives one value for a key that matches exactly, and an error otherwise. A **soft**
# dictionary compares the query with every key and gives the average of all values, each weighted by how
# well its key matches. The **temperature** says how picky the query is: near zero the best match takes
# all, when large all entries share alike.
#
# Write `soft_read`, in which every query brings a temperature of its own.

# %% role="answer" question="lookup.soft_read"

# %% role="test" question="lookup.soft_read"

# %% [markdown]
# Try it: three entries, two queries that are equal but for their temperature. What do you expect?

# %%
entries = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
contents = np.array([[10.0], [20.0], [30.0]])
asked = np.array([[1.0, 0.0], [1.0, 0.0]])
try:
    print(soft_read(asked, entries, contents, np.array([0.05, 5.0])))
except NotImplementedError:
    print("soft_read is still to be written, above.")

# %% [markdown] role="prompt" question="lookup.leave_one_out"
# ## Estimate each point from the others
#
# How good is a kernel regression? Asking it for the values of its own points flatters it: each point finds
# itself at distance zero. The honest question is what the *others* say. In the language of attention this
# is self-attention in which nobody may look at itself, your first mask.

# %% role="answer" question="lookup.leave_one_out"

# %% role="test" question="lookup.leave_one_out"

# %% [markdown]
# With it you can choose a bandwidth. The cell measures the error on a noisy curve for a few of them.

# %%
noise = np.random.default_rng(1)
x = np.sort(noise.uniform(0, 6, size=(60, 1)), axis=0)
y = np.sin(x) + 0.3 * noise.normal(size=x.shape)
try:
    for bandwidth in (0.05, 0.2, 0.4, 0.8, 3.0):
        error = np.sqrt(np.mean((leave_one_out(x, y, bandwidth) - y) ** 2))
        print(f"bandwidth {bandwidth:4}: error {error:.3f}")
except NotImplementedError:
    print("leave_one_out is still to be written, above.")

# %% [markdown] role="prompt" question="lookup.repair"
# ## Repair: one weight for all
#
# One of the articles behind this course describes attention as a weight for each input position, the same
# for every target. The function below does just that. It runs, its shapes are right, and on a single
# query it looks plausible. It also has a second fault, in how it uses the bandwidth.
#
# Find both. Write the repaired function as `kernel_estimate`.

# %% role="given"
def one_weight_for_all(queries, keys, values, bandwidth):
    """Estimate a value for each query. Two faults are in here."""
    centre = queries.mean(axis=0)
    squared = ((keys - centre) ** 2).sum(axis=-1)
    kernel = np.exp(-squared / (2 * bandwidth))
    weights = kernel / kernel.sum()
    estimate = weights @ values
    return np.tile(estimate, (len(queries), 1))


ends = np.array([[0.0], [1.0]])
print(one_weight_for_all(ends, ends, np.array([[0.0], [100.0]]), 0.1))

# %% role="answer" question="lookup.repair"

# %% role="test" question="lookup.repair"

# %% [markdown] role="prompt" question="lookup.predict"
# ## Predict before you run
#
# Commit to an answer for each statement, on paper or in your head, before you run anything. Return a
# dictionary with one of the given options for each name:
#
# - `"shift_keys"`: the same vector is added to every key. The weights of a soft lookup
#   (softmax of query times key over temperature) ...
# - `"double_query"`: the query is doubled. The weights of a soft lookup, which were not all equal, ...
# - `"double_everything"`: queries, keys and the bandwidth are doubled. The weights of the kernel
#   regression ...
#
#   each `"stay equal"`, `"become more even"`, `"become more uneven"`, or `"depend"` (on the numbers);
# - `"copy_entry"`: an entry that has weight one half is written into the dictionary a second time. The
#   weight of the two copies together becomes `"1/2"`, `"2/3"`, `"3/4"` or `"1"`.
#
# The check below looks only at whether you have committed. The cell after it runs the experiment.

# %% role="answer" question="lookup.predict"
def predict_lookup():
    """Return your four predictions by name."""
    ### BEGIN SOLUTION
    return {
        "shift_keys": "stay equal",
        "double_query": "become more uneven",
        "double_everything": "stay equal",
        "copy_entry": "2/3",
    }
    ### END SOLUTION

# %% role="test" question="lookup.predict"
answers = {
    "shift_keys": "stay equal",
    "double_query": "become more uneven",
    "double_everything": "stay equal",
    "copy_entry": "2/3",
}
because = {
    "shift_keys": {
        "become more even": "the shift adds q . c to every score alike, and the softmax drops what is common",
        "become more uneven": "the shift adds q . c to every score alike, and the softmax drops what is common",
        "depend": "the shift adds the same number q . c to every score, whatever the numbers are",
    },
    "double_query": {
        "stay equal": "doubling the query doubles every score, which is the same as halving the temperature",
        "become more even": "larger scores are farther apart, so the best match gains",
        "depend": "doubling all scores always moves weight towards the better matches",
    },
    "double_everything": {
        "become more even": "distance over bandwidth is all that counts, and it does not change",
        "become more uneven": "distance over bandwidth is all that counts, and it does not change",
        "depend": "distance over bandwidth is all that counts, whatever the numbers are",
    },
    "copy_entry": {
        "1/2": "two copies bring two exponentials; the others did not grow",
        "3/4": "the total grows too: two halves out of three halves",
        "1": "the other entries keep their exponentials, so some weight stays with them",
    },
}

# %% role="given"
def weights_of(query, keys, temperature=1.0):
    """Return the weights of a soft lookup for one query."""
    exponentials = np.exp(keys @ query / temperature)
    return exponentials / exponentials.sum()


try:
    predict_lookup()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    shown = np.random.default_rng(4)
    query, keys = shown.normal(size=3), shown.normal(size=(4, 3))
    with np.printoptions(precision=3, suppress=True):
        print("before         ", weights_of(query, keys))
        print("keys shifted   ", weights_of(query, keys + shown.normal(size=3)))
        print("query doubled  ", weights_of(2 * query, keys))
        half = np.log([[2.0], [1.0], [1.0]])
        print("one half       ", weights_of(np.ones(1), half))
        print("copied         ", weights_of(np.ones(1), half[[0, 0, 1, 2]]))

# %% [markdown] role="prompt" question="lookup.audit"
# ## Write a test for a lookup
#
# A colleague hands you functions `candidate(queries, keys, values, temperature)`. Each claims to be a soft
# lookup:
#
# - `queries` has shape (queries, dim), `keys` (keys, dim) and `values` (keys, value_dim), arrays of floats of
#   any sizes; `temperature` is one positive number for all queries;
# - the result has shape (queries, value_dim), and row i is the average of the values with the weights
#   softmax(q_i . k / temperature), over the keys;
# - scores of any size, above and below zero, give finite results;
# - the arguments are left as they were.
#
# Some claims are true. Write `test_lookup(candidate)`, which raises an `AssertionError` for a function that
# breaks its claim and returns quietly for one that keeps it. You cannot read the candidates; they come in
# random order, and each meets a fresh copy of your test.
#
# Right ones differ in style and some compute in single precision, so compare with a tolerance, such as
# `np.allclose(one, other, rtol=1e-3, atol=1e-3)`. Rejecting a right one costs all points of this exercise.

# %% role="answer" question="lookup.audit"
def test_lookup(candidate):
    """Raise AssertionError unless candidate is a right soft lookup."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    for queries, keys in [(3, 7), (5, 5), (7, 3), (4, 1)]:
        q, k = rng.normal(size=(queries, 5)), rng.normal(size=(keys, 5))
        v = rng.normal(size=(keys, 2))
        kept = q.copy(), k.copy(), v.copy()
        got = np.asarray(candidate(q, k, v, 0.7))
        assert got.shape == (queries, 2)
        for row, query in zip(got, q, strict=True):
            exponentials = [np.exp(query @ key / 0.7) for key in k]
            total = sum(exponentials)
            expected = sum(e / total * value for e, value in zip(exponentials, v, strict=True))
            assert np.allclose(row, expected, rtol=1e-3, atol=1e-3)
        for mine, before in zip((q, k, v), kept, strict=True):
            assert np.array_equal(mine, before)
        large = np.asarray(candidate(1e5 * q, k, v, 1.0))
        best = v[(q @ k.T).argmax(axis=1)]
        assert np.allclose(large, best, rtol=1e-3, atol=1e-3)
    ### END SOLUTION

# %% role="test" question="lookup.audit"
def softened(queries, keys, values, temperature):
    scores = np.einsum("qd,kd->qk", queries, keys) / temperature
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    return weights @ values


def single(queries, keys, values, temperature):
    q, k, v = (np.asarray(x, dtype=np.float32) for x in (queries, keys, values))
    scores = q @ k.T / np.float32(temperature)
    parts = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return parts @ v / parts.sum(axis=-1, keepdims=True)


def shifted(queries, keys, values, temperature):
    moved = keys - keys.mean(axis=0)
    return softened(queries, moved, values, temperature)


def one_for_all(queries, keys, values, temperature):
    return np.tile(softened(queries, keys, values, temperature).mean(axis=0), (len(queries), 1))


def last_key_lost(queries, keys, values, temperature):
    if len(keys) == 1:
        return softened(queries, keys, values, temperature)
    return softened(queries, keys[:-1], values[:-1], temperature)


def overflowing(queries, keys, values, temperature):
    parts = np.exp(queries @ keys.T / temperature)
    return parts @ values / parts.sum(axis=1, keepdims=True)


def one_maximum(queries, keys, values, temperature):
    scores = queries @ keys.T / temperature
    parts = np.exp(scores - scores.max())
    return parts @ values / parts.sum(axis=1, keepdims=True)


def cold(queries, keys, values, temperature):
    return values[(queries @ keys.T).argmax(axis=1)]


def temperature_forgotten(queries, keys, values, temperature):
    return softened(queries, keys, values, 1.0)


def by_distance(queries, keys, values, temperature):
    squared = ((queries[:, None] - keys) ** 2).sum(axis=-1)
    parts = np.exp(-squared / (2 * temperature) + squared.min() / (2 * temperature))
    return parts @ values / parts.sum(axis=1, keepdims=True)


def summed(queries, keys, values, temperature):
    return len(keys) * softened(queries, keys, values, temperature)


def meddling(queries, keys, values, temperature):
    result = softened(queries, keys, values, temperature)
    values *= 0.5
    return result


def turned_if_square(queries, keys, values, temperature):
    weights = softened(queries, keys, np.eye(len(keys)), temperature)
    return (weights.T if len(queries) == len(keys) else weights) @ values


def as_many_keys_as_queries(queries, keys, values, temperature):
    number = len(queries)
    return softened(queries, keys[:number], values[:number], temperature)


right = [softened, single, shifted]
wrong = [
    one_for_all,
    last_key_lost,
    overflowing,
    one_maximum,
    cold,
    temperature_forgotten,
    by_distance,
    summed,
    meddling,
    turned_if_square,
    as_many_keys_as_queries,
]

# %% [markdown] role="prompt" question="lookup.written"
# ## In your own words
#
# A soft lookup can only return averages of the values that are stored. Name one task for which this is a
# strength and one for which it is a weakness, and say why, in five sentences at most.

# %% [markdown] role="written" question="lookup.written"
# ### BEGIN SOLUTION
# An average never leaves the range of the stored values, so estimates stay plausible: predicting a house's
# price from similar houses cannot give a negative price. The same property makes it impossible to
# extrapolate: for a trend that rises beyond every stored value, the answer stops at the largest one. It is
# also a weakness where two very different answers are both right, because their average may be wrong.
#
# Rubric (2 points): 1 for a strength that follows from averaging (bounded, stable, robust to noise), 1 for a
# weakness that follows from it (no extrapolation, averages of incompatible answers). An example without the
# reason earns half.
# ### END SOLUTION
