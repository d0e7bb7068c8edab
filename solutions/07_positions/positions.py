# %% [markdown]
# # 07 Positions
#
# Attention reads a bag of tokens until something tells it where they stand. In this notebook you turn
# queries and keys with the pairing that the book does not print, let heads lean towards near keys behind a
# cache, repair a layer that put positions in three wrong places, and write a test that a function which does
# nothing cannot pass.
#
# - Read chapter 07 of the book first, or keep it open beside you.
# - Each exercise has a cell for your answer and a check below it. Run the check as often as you like; it
#   tells you which part is not right yet, and often why.
# - Your grade comes from other numbers of the same shapes, so an answer that is right is all you need.
# - Write your answers yourself: the package `attncourse` is not there when your notebook is graded, and an answer
#   that calls it fails then.
#
# Time: about 110 minutes.

# %% role="setup"
import numpy as np

from attncourse import check

# %% [markdown] role="prompt" question="positions.turn"
# ## Turn with the other pairing
#
# The chapter's `rotary` pairs *neighbouring* columns. Many programs pair *halves*: column $i$ with column
# $i + w/2$, where $w$ is the number of columns that turn. Some of them turn only the first $w$ columns of
# each head and leave the rest to content alone.
#
# Write `turn`, which does both. The positions are given: they need not start at zero, need not be sorted,
# and may differ from example to example.

# %% role="answer" question="positions.turn"

# %% role="test" question="positions.turn"

# %% [markdown]
# Try it: each row holds the scores of one query for a key that stands one, two and three places after it,
# the first row at the start of a text, the second far from there. What do you expect?

# %%
shown = np.random.default_rng(0)
query, key = shown.normal(size=(2, 1, 6))
try:
    for start in (0, 1000):
        keys = turn(np.repeat(key, 3, axis=0), start + np.arange(1, 4), 4)
        print((turn(query, np.array([start]), 4) @ keys.T).round(4))
except NotImplementedError:
    print("turn is still to be written, above.")

# %% [markdown] role="prompt" question="positions.lean"
# ## Lean towards near keys, behind a cache
#
# ALiBi subtracts from each scaled score a slope times the distance between query and key, with another slope
# for every head. Here it works inside a model that writes a text: the keys and values of the past are in a
# cache, and `q` holds the newest tokens only. So the causal mask of unit 05 returns too, and with it the
# question where a query stands.
#
# Write `lean`. The slopes are given.

# %% role="answer" question="positions.lean"

# %% role="test" question="positions.lean"

# %% [markdown]
# Three heads, content all alike: the rows show how far each of them sees.

# %%
try:
    seen = lean(np.zeros((3, 1, 4)), np.zeros((3, 6, 4)), np.tile(np.eye(6), (3, 1, 1)), np.array([1, 0.3, 0.05]))
    print(seen[:, 0].round(3))
except NotImplementedError:
    print("lean is still to be written, above.")

# %% [markdown] role="prompt" question="positions.repair"
# ## Repair: positions in three wrong places
#
# One of the articles behind this course builds a translator from attention layers on word vectors, and never
# says where a word stands. A classmate has added rotary positions to one layer. Now the order is visible, and
# three things are wrong: two have to do with positions, one you know from units 03 and 04.
#
# A useful experiment: move all positions by the same number. What should happen to the output?
#
# Find the faults. Write the repaired function as `encode`.

# %% role="given"
def turned_everywhere(x, w_query, w_key, w_value, positions):
    """Self-attention with rotary positions. Three faults are in here."""

    def turned(rows, at):
        dim = rows.shape[-1]
        angles = at[:, None] * 10000.0 ** (-np.arange(0, dim, 2) / dim)
        even, odd = rows[..., 0::2], rows[..., 1::2]
        new_even = even * np.cos(angles) - odd * np.sin(angles)
        new_odd = even * np.sin(angles) + odd * np.cos(angles)
        return np.stack([new_even, new_odd], axis=-1).reshape(rows.shape)

    q = turned(x @ w_query, positions)
    k = turned(x @ w_key, -positions)
    v = turned(x @ w_value, positions)
    scores = np.einsum("...qd,...kd->...qk", q, k)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return np.einsum("...qk,...kv->...qv", weights, v)


words = np.random.default_rng(1).normal(size=(4, 3))
to_query, to_key, to_value = np.random.default_rng(2).normal(size=(3, 3, 2))
for start in (0, 5):
    print(turned_everywhere(words, to_query, to_key, to_value, start + np.arange(4)).round(3)[0])

# %% role="answer" question="positions.repair"

# %% role="test" question="positions.repair"

# %% [markdown] role="prompt" question="positions.predict"
# ## Predict before you run: what does a shift change?
#
# One layer of self-attention reads seven tokens. The tokens stay as they are; only positions, or the order,
# change. Commit to a prediction for each statement before you run anything, and return a dictionary with one
# of the given options for each name. One statement needs a fact about the softmax from unit 02, another the
# causal mask of unit 05.
#
# The check below looks only at whether you have committed. The cell after it runs the experiment.

# %% role="answer" question="positions.predict"
def predict_shift():
    """Return your eight predictions by name."""
    ### BEGIN SOLUTION
    return {
        "sinusoidal": "change",
        "learned": "cannot be computed",
        "rotary": "stay equal",
        "rotary_keys": "change",
        "clipped": "stay equal",
        "alibi_keys": "stay equal",
        "bag": "are the old ones, reversed",
        "bag_causal": "are other numbers",
    }
    ### END SOLUTION

# %% role="test" question="positions.predict"
answers = {
    "sinusoidal": "change",
    "learned": "cannot be computed",
    "rotary": "stay equal",
    "rotary_keys": "change",
    "clipped": "stay equal",
    "alibi_keys": "stay equal",
    "bag": "are the old ones, reversed",
    "bag_causal": "are other numbers",
}
because = {
    "sinusoidal": {
        "stay equal": "the product of two position vectors knows the distance only, but the projections stand "
        "between them, and they also meet the tokens; see 'What is lost on the way to the score'",
        "cannot be computed": "sines and cosines exist at every position",
    },
    "learned": {
        "stay equal": "other rows of the table are read, and the largest position has no row",
        "change": "the positions become 5 to 11, and a table of 9 rows ends at 8",
    },
    "rotary": {
        "change": "both vectors change, but their product keeps only the difference of the positions",
        "cannot be computed": "an angle exists at every position",
    },
    "rotary_keys": {
        "stay equal": "every difference has changed by 5, and the score follows the difference",
        "cannot be computed": "an angle exists at every position",
    },
    "clipped": {
        "change": "distances of 10 and of 15 are both clipped to 2 and read the same row",
        "cannot be computed": "clipping gives every distance a row",
    },
    "alibi_keys": {
        "change": "every score in the row falls by the same slope times 5, and the softmax ignores what is common",
        "cannot be computed": "the bias is a line and has no end",
    },
    "bag": {
        "are other numbers": "without positions self-attention commutes with every order; see 'A bag of words'",
    },
    "bag_causal": {
        "are the old ones, reversed": "the mask does not move with the tokens: the token that saw one key now sees "
        "all; see 'What a causal mask changes'",
    },
}

# %% role="given"
def rows_of_weights(scores, allowed=True):
    """Return the softmax of each row over the keys that are allowed."""
    scores = np.where(allowed, scores, -np.inf)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def spun(rows, at):
    """Return rows turned as complex numbers, a pair of neighbours each."""
    pairs = rows[:, 0::2] + 1j * rows[:, 1::2]
    return pairs * np.exp(1j * np.outer(at, [1.0, 0.1, 0.01]))


def shown_gap(name, one, other):
    """Print the largest difference between two arrays."""
    print(f"{name:12} largest difference {np.abs(one - other).max():.3f}")


try:
    predict_shift()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    shown = np.random.default_rng(5)
    x, at = shown.normal(size=(7, 6)), np.arange(7)
    a, b = shown.normal(size=(2, 6, 6)) / 2

    def added(p):
        angles = np.outer(p, [1.0, 0.1, 0.01])
        placed = x + np.hstack([np.sin(angles), np.cos(angles)])
        return rows_of_weights(placed @ a @ (placed @ b).T)

    def turning(p, r):
        return rows_of_weights((spun(x @ a, p) @ spun(x @ b, r).conj().T).real)

    def clipping(keys_at, table):
        row = np.clip(keys_at - 40, -2, 2) + 2
        return rows_of_weights((x @ a)[:1] @ (x @ b + table[row]).T)

    def leaning(keys_at):
        return rows_of_weights((x @ a)[:1] @ (x @ b).T - 0.3 * (40 - keys_at))

    def bag(tokens, allowed=True):
        return rows_of_weights(tokens @ a @ (tokens @ b).T, allowed) @ tokens

    shown_gap("sinusoidal", added(at), added(at + 5))
    table = shown.normal(size=(9, 6))
    try:
        table[at + 5]
    except IndexError as error:
        print("learned     ", error)
    shown_gap("rotary", turning(at, at), turning(at + 5, at + 5))
    shown_gap("rotary_keys", turning(at, at), turning(at, at + 5))
    shown_gap("clipped", clipping(at + 20, table), clipping(at + 15, table))
    shown_gap("alibi_keys", leaning(at + 20), leaning(at + 15))
    shown_gap("bag", bag(x)[::-1], bag(x[::-1]))
    past = np.tri(7, dtype=bool)
    shown_gap("bag_causal", bag(x, past)[::-1], bag(x[::-1], past))

# %% [markdown] role="prompt" question="positions.audit"
# ## Write a test for rotary positions
#
# A public judge of such exercises accepts a rotary encoding that returns its input unchanged. Yours will not.
#
# You are handed functions `candidate(x, positions)` that should turn neighbouring columns as in the chapter:
# `x` has shape `(..., tokens, dim)` with `dim` even, `positions` has shape `(tokens,)` or the leading shape
# `(..., tokens)` of `x` and holds whole numbers, the base is `10000`, and `x` is left as it was. Some are
# right, some are not, and you cannot read them. Write `test_rotary(candidate)`, which raises an
# `AssertionError` for a wrong one and returns quietly for a right one.
#
# Hand over NumPy arrays, with positions from 0 to 99 and entries from about -5 to 5. Right ones differ in
# style and rounding (single precision is allowed), so compare with a tolerance of about `1e-4`. Some wrong
# ones are right for most inputs: what would they be wrong for? Rejecting a right one costs all points of this
# exercise.

# %% role="answer" question="positions.audit"
def test_rotary(candidate):
    """Raise AssertionError unless candidate is a right rotary encoding."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 6))
    positions = np.array([[3, 9, 4, 30, 0], [7, 1, 12, 2, 5]])
    kept = x.copy()
    got = np.asarray(candidate(x, positions))
    assert np.array_equal(x, kept), "the input was changed"
    assert got.shape == x.shape
    expected = np.empty(x.shape)
    for b, t, i in np.ndindex(2, 5, 3):
        angle = positions[b, t] / 10000 ** (2 * i / 6)
        one, other = kept[b, t, 2 * i], kept[b, t, 2 * i + 1]
        expected[b, t, 2 * i : 2 * i + 2] = (
            one * np.cos(angle) - other * np.sin(angle),
            one * np.sin(angle) + other * np.cos(angle),
        )
    assert np.allclose(got, expected, atol=1e-4)
    ### END SOLUTION

# %% role="test" question="positions.audit"
def angles_of(x, positions):
    dim = x.shape[-1]
    return np.asarray(positions)[..., None] * 10000.0 ** (-np.arange(0, dim, 2) / dim)


def assembled(x, angles):
    even, odd = x[..., 0::2], x[..., 1::2]
    result = np.empty(np.broadcast_shapes(x.shape, (*angles.shape[:-1], x.shape[-1])))
    result[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
    result[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
    return result


def in_place_of_new(x, positions):
    return assembled(np.asarray(x, dtype=float), angles_of(x, positions))


def single(x, positions):
    angles = angles_of(x, positions).astype(np.float32)
    return assembled(np.asarray(x, dtype=np.float32), angles).astype(np.float32)


def crossed(x, positions):
    angles = np.repeat(angles_of(x, positions), 2, axis=-1)
    sideways = np.stack([-x[..., 1::2], x[..., 0::2]], axis=-1).reshape(x.shape)
    return x * np.cos(angles) + sideways * np.sin(angles)


def identity(x, positions):
    return np.array(x)


def places(x, positions):
    return assembled(x, angles_of(x, np.arange(x.shape[-2])))


def backwards(x, positions):
    return assembled(x, -angles_of(x, positions))


def halves(x, positions):
    half = x.shape[-1] // 2
    order = np.stack([np.arange(half), np.arange(half) + half], axis=-1).ravel()
    return assembled(x[..., order], angles_of(x, positions))[..., np.argsort(order)]


def forgotten_two(x, positions):
    dim = x.shape[-1]
    return assembled(x, np.asarray(positions)[..., None] * 10000.0 ** (-np.arange(dim // 2) / dim))


def single_clock(x, positions):
    return assembled(x, np.asarray(positions)[..., None] * np.ones(x.shape[-1] // 2))


def both_plus(x, positions):
    angles = angles_of(x, positions)
    result = assembled(x, angles)
    result[..., 0::2] = x[..., 0::2] * np.cos(angles) + x[..., 1::2] * np.sin(angles)
    return result


def first_pair_only(x, positions):
    result = assembled(x, angles_of(x, positions))
    result[..., 2:] = x[..., 2:]
    return result


def added(x, positions):
    angles = angles_of(x, positions)
    return x + np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(*angles.shape[:-1], -1)


def first_example_for_all(x, positions):
    one_row = np.asarray(positions).reshape(-1, x.shape[-2])[0]
    return assembled(x, angles_of(x, one_row))


def from_first_position(x, positions):
    positions = np.asarray(positions)
    return assembled(x, angles_of(x, positions - positions[..., :1]))


def sorted_positions(x, positions):
    return assembled(x, angles_of(x, np.sort(positions, axis=-1)))


def counted_from_one(x, positions):
    return assembled(x, angles_of(x, np.asarray(positions) + 1))


def a_little_longer(x, positions):
    return 1.01 * assembled(x, angles_of(x, positions))


def last_token_forgotten(x, positions):
    result = assembled(x, angles_of(x, positions))
    result[..., -1, :] = x[..., -1, :]
    return result


def only_one_example(x, positions):
    result = assembled(x, angles_of(x, positions))
    if x.ndim > 2:
        result[1:] = x[1:]
    return result


def taken_apart(x, positions):
    result = assembled(x, angles_of(x, positions))
    return np.concatenate([result[..., 0::2], result[..., 1::2]], axis=-1)


def next_token(x, positions):
    return np.roll(assembled(x, angles_of(x, positions)), 1, axis=-2)


def examples_reversed(x, positions):
    return assembled(x[::-1] if x.ndim > 2 else x, angles_of(x, positions))


def meddling(x, positions):
    result = assembled(x, angles_of(x, positions))
    x[...] = result
    return result


right = [in_place_of_new, single, crossed]
wrong = [
    identity,
    places,
    backwards,
    halves,
    forgotten_two,
    single_clock,
    both_plus,
    first_pair_only,
    added,
    first_example_for_all,
    from_first_position,
    sorted_positions,
    counted_from_one,
    a_little_longer,
    last_token_forgotten,
    only_one_example,
    examples_reversed,
    taken_apart,
    next_token,
    meddling,
]

# %% [markdown] role="prompt" question="positions.written"
# ## In your own words
#
# A model was trained on texts of at most 512 tokens. Tomorrow it meets texts of 4096. For a learned table, for
# rotary and for ALiBi, say in one or two sentences each what its attention meets that training never showed it,
# and what you would expect to go wrong.

# %% [markdown] role="written" question="positions.written"
# ### BEGIN SOLUTION
# **Learned**: positions from 512 on have no row, so the model cannot run; if the table was made longer, its new
# rows were never trained and hold noise.
#
# **Rotary**: every score is defined, but distances beyond 511 are new. Pairs that complete a turn within 512
# positions have shown all their angles; the slower ones now reach angles that no training example had, and the
# scores there can be anything. Near keys are still read as before.
#
# **ALiBi**: the bias continues along its line, so far keys get still less weight, and each head sees about the
# window that it always saw. Nothing breaks, and what lies far back is forgotten, however important.
#
# Rubric (2 points): 0.5 for the learned table (no row, or an untrained one); 1 for rotary (defined, but slow pairs
# at unseen angles; half if only "unseen distances"); 0.5 for ALiBi (runs, because the far end fades; says what that
# costs).
# ### END SOLUTION
