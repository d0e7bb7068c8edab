# %% [markdown]
# # 02 Softmax
#
# In this notebook you turn scores into weights, at any temperature and along any axis; you predict how
# weights react; you send a gradient backwards without a Jacobian; you mend a loss that takes the softmax
# twice; and you write a test that tells a softmax from what only resembles one.
#
# - Read chapter 02 of the book first, or keep it open beside you.
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

# %% [markdown] role="prompt" question="softmax.tempered"
# ## A softmax and its soft maximum
#
# Weights forget the level of the scores. Write `tempered`, a softmax at a temperature and along any axis,
# which also returns what the weights forget: the soft maximum of each row,
#
# $$\tau \log \sum_j e^{s_j / \tau} .$$
#
# **By hand first.** The scores $0$ and $0$ at temperature $2$ have the weights ½ and ½ and the soft
# maximum $2 \log 2$. Whatever you write, try it on these two.

# %% role="answer" question="softmax.tempered"

# %% role="test" question="softmax.tempered"

# %% [markdown]
# Watch the soft maximum of the scores 1, 3 and 2 come down to the highest score as it gets colder.

# %%
try:
    for temperature in (10.0, 3.0, 1.0, 0.3, 0.1):
        weights, peak = tempered(np.array([1.0, 3.0, 2.0]), temperature, 0)
        print(
            f"{temperature:5.1f}   weights {np.round(weights, 3)}   soft maximum {peak:.3f}"
        )
except NotImplementedError:
    print("tempered is still to be written, above.")

# %% [markdown] role="prompt" question="softmax.predict"
# ## Scores change; what do the weights do?
#
# Commit to an answer for each statement before you run anything; the last one goes back to unit 01. Return
# a dictionary with one of the given options for each name. The check looks only at whether you have
# committed. The cell after it runs the experiments.


# %% role="answer" question="softmax.predict"
def predict_weights():
    """Return your five predictions by name."""
    ### BEGIN SOLUTION
    return {
        "shift": "stay the same",
        "double": "halving the temperature",
        "newcomer": "one half",
        "twice": "always stays below one quarter",
        "cold": "the value of its best key",
    }
    ### END SOLUTION


# %% role="test" question="softmax.predict"
answers = {
    "shift": "stay the same",
    "double": "halving the temperature",
    "newcomer": "one half",
    "twice": "always stays below one quarter",
    "cold": "the value of its best key",
}
because = {
    "shift": {
        "become sharper": "larger scores need not differ more; only differences count (section 'What is forgotten')",
        "become more equal": "the shift is a common factor of all exponentials and cancels (section 'What is "
        "forgotten')",
    },
    "double": {
        "doubling the temperature": "the temperature divides the scores, so larger scores mean a lower one "
        "(section 'Temperature')",
        "no change at all": "a common factor is not a common shift: it doubles every difference (section "
        "'Temperature')",
    },
    "newcomer": {
        "one tenth": "that holds if all ten scores are equal; here its exponential equals the sum of the nine others",
        "nearly one": "its exponential is as large as the others' together, not larger (section 'The soft maximum')",
    },
    "twice": {
        "can still come close to one": "that is one softmax; the second one sees numbers between 0 and 1 only "
        "(section 'One softmax too many')",
        "can come close to one half, not to one": "the best case is one score of 1 and nine of 0: e against "
        "e + 9 (section 'One softmax too many')",
    },
    "cold": {
        "the plain mean of all values": "that is the hot limit; divide by a small number and differences grow",
        "a value close to zero": "weights always sum to one, so an average is read, and in the cold it is the "
        "best key's value",
    },
}


# %% role="given"
def plain_softmax(scores):
    """Return the softmax of one row."""
    powers = np.exp(scores - np.max(scores))
    return powers / powers.sum()


try:
    predict_weights()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    row = np.array([2.0, 1.0, 0.0])
    print("the row:              ", plain_softmax(row).round(3))
    print("every score plus 100: ", plain_softmax(row + 100).round(3))
    print("every score doubled:  ", plain_softmax(2 * row).round(3))
    print("half the temperature: ", plain_softmax(row / 0.5).round(3))
    nine = np.random.default_rng(0).normal(size=9)
    newcomer = np.log(np.exp(nine).sum())
    print(
        "the newcomer's weight:", plain_softmax(np.append(nine, newcomer))[-1].round(3)
    )
    sure = plain_softmax(np.array([1000.0] + 9 * [0.0]))
    print("softmax of a softmax: ", plain_softmax(sure).max().round(3))
    print(
        "cold, of values 1 2 3:", (plain_softmax(row / 0.01) @ [1.0, 2.0, 3.0]).round(3)
    )

# %% [markdown] role="prompt" question="softmax.gradients"
# ## Backwards through a temperature
#
# A model may learn its temperature. Let $a = \mathrm{softmax}(s / \tau)$, and let a loss $L$ have the gradient
# $g = \partial L / \partial a$, the *upstream*. Write `gradients`, which returns $\partial L / \partial s$ and
# $\partial L / \partial \tau$. All rows share one temperature. You need no matrix of keys times keys.
#
# The chapter derives the gradient for $\tau = 1$. The rest is the chain rule through $z = s / \tau$.

# %% role="answer" question="softmax.gradients"

# %% role="test" question="softmax.gradients"

# %% [markdown]
# Differences are a second opinion. Move the temperature a little to both sides; the two numbers should agree.

# %%
s = np.array([[2.0, 1.0, 0.0], [0.5, -1.0, 3.0]])
g = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])


def loss_at(temperature):
    """Return sum(g * softmax(s / temperature)), written out plainly."""
    powers = np.exp(s / temperature)
    return np.sum(g * powers / powers.sum(axis=-1, keepdims=True))


try:
    _, d_temperature = gradients(s, g, 1.5)
    print("yours:      ", np.round(d_temperature, 6))
    print(
        "differences:", np.round((loss_at(1.5 + 1e-5) - loss_at(1.5 - 1e-5)) / 2e-5, 6)
    )
except NotImplementedError:
    print("gradients is still to be written, above.")

# %% [markdown] role="prompt" question="softmax.repair"
# ## One softmax too many
#
# One of the articles behind this course decodes with a softmax as an activation (E20); a program in another
# hands weights to a loss that takes a softmax itself (E09). The function below was put together in that
# spirit. It is meant to be the mean cross-entropy of `scores`, one row for each example, and the true
# `labels`. It runs, and its result looks like a loss.
#
# It has three faults: one makes it blind to how sure the scores are, one lets examples change each other's loss, and
# one shows only for large scores. Write the mended function as `readout_loss`; its contract stands in the
# answer cell.


# %% role="given"
def readout_loss_as_found(scores, labels):
    """Return the mean cross-entropy. Three faults are in here."""
    powers = np.exp(scores)
    weights = powers / powers.sum(axis=0)
    again = np.exp(weights)
    predicted = again / again.sum(axis=-1, keepdims=True)
    chosen = np.take_along_axis(predicted, labels[..., None], axis=-1)
    return -np.log(chosen).mean()


# Three examples, each entirely sure and right: the loss should be close to 0.
print(readout_loss_as_found(20 * np.eye(3), np.arange(3)).round(3))
# The first of them on its own.
print(readout_loss_as_found(20 * np.eye(3)[:1], np.arange(1)).round(3))

# %% role="answer" question="softmax.repair"

# %% role="test" question="softmax.repair"

# %% [markdown] role="prompt" question="softmax.audit"
# ## Is this a softmax?
#
# You are handed functions `candidate(scores, axis=-1)`. Each claims to be a softmax:
#
# - `scores` is an array of floats with one axis or more, of any size from $-10^4$ to $10^4$;
# - the result has the same shape, and along `axis` it is the softmax of the scores;
# - `scores` is left as it was.
#
# Some claims are true. Write `test_softmax(candidate)`, which raises an `AssertionError` for a function that
# breaks its claim and returns quietly for one that keeps it. You cannot read the candidates; they come in
# random order, and each meets a fresh copy of your test.
#
# Right ones differ in style and some compute in single precision, so compare with a tolerance, such as
# `np.testing.assert_allclose(got, expected, atol=1e-3)`. Rejecting a right one costs all points of this
# exercise.


# %% role="answer" question="softmax.audit"
def test_softmax(candidate):
    """Raise AssertionError unless candidate is a softmax."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    for shape, axis in [((2, 5), 0), ((7,), 0), ((2, 5, 3), 1), ((2, 3, 5), -3)]:
        # Rows at very different heights, each with one very low score, laid along the axis that is asked for.
        rows = 3 * rng.normal(size=shape)
        rows[..., 0] -= 5000
        if rows.ndim > 1:
            rows[0] += 4000
            rows[-1] -= 4000
        powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
        expected = powers / powers.sum(axis=-1, keepdims=True)
        scores = np.moveaxis(rows, -1, axis).copy()
        given = scores.copy()
        got = np.asarray(candidate(given, axis=axis))
        assert np.array_equal(given, scores)
        assert got.shape == scores.shape
        assert np.allclose(np.moveaxis(got, axis, -1), expected, rtol=0, atol=1e-3)
    # Without an axis it is the last one.
    totals = np.asarray(candidate(scores)).sum(axis=-1)
    assert np.allclose(totals, 1.0, rtol=0, atol=1e-3)
    ### END SOLUTION


# %% role="test" question="softmax.audit"
def shifted(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def with_loops(scores, axis=-1):
    rows = np.moveaxis(np.array(scores, dtype=float), axis, -1)
    result = np.empty(rows.shape)
    for place in np.ndindex(rows.shape[:-1]):
        top = max(rows[place])
        powers = [np.exp(score - top) for score in rows[place]]
        result[place] = [power / sum(powers) for power in powers]
    return np.moveaxis(result, -1, axis)


def single_precision(scores, axis=-1):
    return shifted(np.asarray(scores, dtype=np.float32), axis=axis)


def by_differences(scores, axis=-1):
    rows = np.moveaxis(np.asarray(scores), axis, -1)
    # One over the sum of exp(s_l - s_j); an overflow there is a weight of 0.
    with np.errstate(over="ignore"):
        weights = 1 / np.exp(rows[..., None, :] - rows[..., :, None]).sum(axis=-1)
    return np.moveaxis(weights, -1, axis)


def in_place_on_a_copy(scores, axis=-1):
    own = np.array(scores, dtype=float)
    own -= own.max(axis=axis, keepdims=True)
    np.exp(own, out=own)
    own /= own.sum(axis=axis, keepdims=True)
    return own


def no_shift(scores, axis=-1):
    powers = np.exp(scores)
    return powers / powers.sum(axis=axis, keepdims=True)


def one_maximum(scores, axis=-1):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum(axis=axis, keepdims=True)


def last_axis(scores, axis=-1):
    return shifted(scores, axis=-1)


def base_two(scores, axis=-1):
    return shifted(scores * np.log(2), axis=axis)


def overwrites(scores, axis=-1):
    scores -= scores.max(axis=axis, keepdims=True)
    return shifted(scores, axis=axis)


def clipped(scores, axis=-1):
    spread = scores - scores.max(axis=axis, keepdims=True)
    return shifted(np.maximum(spread, -2.0), axis=axis)


def twice(scores, axis=-1):
    return shifted(shifted(scores, axis=axis), axis=axis)


right = [shifted, with_loops, single_precision, by_differences, in_place_on_a_copy]
wrong = [no_shift, one_maximum, last_axis, base_two, overwrites, clipped, twice]

# %% [markdown] role="prompt" question="softmax.written"
# ## In your own words
#
# In the chapter's lookup of digits at temperature 10, the entropy of the weights says that nearly all stored
# images take part, and yet most answers are right. Explain in six sentences at most how that can be. Then
# name two further cases in which the entropy of a row of weights misleads about what the row does.

# %% [markdown] role="written" question="softmax.written"
# ### BEGIN SOLUTION
# The answer is the digit with the largest share, and a share is the sum of many weights. The stored images of the
# true digit each weigh only a little more than the rest, but they do so together; the sum of many small advantages
# decides. The entropy looks at each weight apart: it does not know which keys carry the same value, and it
# is hardly lowered by small departures from equal weights, since it is flat around its maximum.
#
# Further cases: (a) values. If all keys with weight hold the same value, a row of high entropy reads exactly what a
# row of low entropy reads; if one value is much longer than the others, a small weight may dominate the
# output. (b) Which keys. Entropy does not change when weights are permuted: a sharp row may be sharp on the
# wrong key, or on padding. (c) The number of keys. The largest possible entropy is log(keys), so rows of
# different lengths cannot be compared without dividing by it. (d) Averages. The mean of two sharp rows on
# different keys has a high entropy, though neither of them is spread out. (e) Scale. Entropy depends on the
# temperature, which can change without a change in the order of the keys.
#
# Rubric (2 points): 1 for the explanation (0.5 for "weights of one digit add up", 0.5 for "entropy does not see
# the values" or "it is flat near uniform weights"); 0.5 for each of two further cases that are correct and
# differ from the first. Saying that entropy is "only a summary" earns nothing.
# ### END SOLUTION
