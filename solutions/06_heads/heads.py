# %% [markdown]
# # 06 Heads
#
# In this notebook you take one packed matrix apart into queries, keys and values by head, repair a layer in
# which four things went wrong, let groups of heads read a cache, count what one more token costs, and write a
# test that finds wrong layers.
#
# - Read chapter 06 of the book first, or keep it open beside you.
# - Heads own neighbouring columns: head `h`, counted from 0, has columns `h * dim` to `(h + 1) * dim - 1`.
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

# %% [markdown] role="prompt" question="heads.fused"
# ## One matrix for queries, keys and values
#
# Many models store the three projections as one matrix and multiply once. Write `split_qkv`, which does that
# product, adds the bias, and hands out queries, keys and values by head. The shapes will come out right in
# many ways; the numbers in one.

# %% role="answer" question="heads.fused"

# %% role="test" question="heads.fused"

# %% [markdown]
# Try it: the identity as a packed matrix shows which column goes where. Every token below is the numbers
# from 0 to 11, so each number in the answer *is* its column.

# %%
counted = np.tile(np.arange(12.0), (2, 1))
try:
    for name, part in zip("qkv", split_qkv(counted, np.eye(12), np.zeros(12), 2)):
        print(name, "head 0:", part[0, 0], " head 1:", part[1, 0])
except NotImplementedError:
    print("split_qkv is still to be written, above.")

# %% [markdown] role="prompt" question="heads.repair"
# ## Repair: four faults in a layer of heads
#
# The layer below runs, and returns tokens of the right shape. Four things are wrong with it. Two come from the
# articles behind this course; two are slips that most people make once. With one head only one of the four
# can show, and with one token two of them: use that to find out which is which.
#
# Write the repaired layer as `multi_head`. It must leave its arguments alone and work for any leading axes.

# %% role="given"
def layer_with_four_faults(x, w_query, w_key, w_value, w_output, heads):
    """Return tokens of the right shape. Four faults are in here."""
    *batch, tokens, width = x.shape
    q = np.maximum(x @ w_query, 0).reshape(*batch, heads, tokens, -1)
    k = np.maximum(x @ w_key, 0).reshape(*batch, heads, tokens, -1)
    v = np.maximum(x @ w_value, 0).reshape(*batch, heads, tokens, -1)
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(w_query.shape[1])
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    summed = (weights @ v).sum(axis=-3)
    return summed @ w_output[: summed.shape[-1]]


drawn = np.random.default_rng(6)
some = drawn.normal(size=(5, 8))
matrices = [drawn.normal(size=(8, 8)) / 3 for _ in range(4)]
print(layer_with_four_faults(some, *matrices, 2).shape)

# %% role="answer" question="heads.repair"

# %% role="test" question="heads.repair"

# %% [markdown] role="prompt" question="heads.decode"
# ## Read a cache by groups
#
# A model is writing, one token at a time. Each sequence of the batch keeps the keys and values of its tokens so
# far in a cache with room for more, and neighbouring heads share a group of them. Write `grouped_decode`, which
# lets the new token's queries read the cache.
#
# This re-asks two things of unit 05: what has no influence, and what a query gets that may look nowhere. And
# try to do it without repeating the keys: the axis of heads can be split in two.

# %% role="answer" question="heads.decode"

# %% role="test" question="heads.decode"

# %% [markdown]
# Try it: six heads ask the same question of three groups. Which heads agree with one another?

# %%
shared = np.random.default_rng(7)
same_query = np.tile(shared.normal(size=4), (1, 6, 1))
try:
    print(
        grouped_decode(
            same_query,
            shared.normal(size=(1, 3, 5, 4)),
            shared.normal(size=(1, 3, 5, 2)),
            np.array([4]),
        ).round(3)
    )
except NotImplementedError:
    print("grouped_decode is still to be written, above.")

# %% [markdown] role="prompt" question="heads.cost"
# ## What one more token costs
#
# The chapter counts a layer that reads a whole sequence at once. Count the step that you have just written: one
# new token, whose keys and values join those of the `cached` tokens before it. Write `step_cost`, from sizes
# alone. (The package's `flop_count` answers another question; make sure that you see which.)

# %% role="answer" question="heads.cost"

# %% role="test" question="heads.cost"

# %% [markdown]
# With it: a layer of width 4096 with 32 heads of width 128, after 8,000 tokens, with fewer and fewer groups.
# Which number falls most?

# %%
try:
    for groups in (32, 8, 1):
        flops, weights, kept = step_cost(4096, 32, groups, 128, 8000)
        print(f"{groups:2} groups: {flops:,} operations, {weights:,} weights, {kept:,} numbers kept")
except NotImplementedError:
    print("step_cost is still to be written, above.")

# %% [markdown] role="prompt" question="heads.predict"
# ## Predict what more heads do
#
# Commit to an answer for each statement before you run anything. Return a dictionary with one of the given
# options for each name. The check looks only at whether you have committed; the cell after it runs the
# experiment. One of the five re-asks what unit 02 found.

# %% role="answer" question="heads.predict"
def predict_heads():
    """Return your five predictions by name."""
    ### BEGIN SOLUTION
    return {
        "parameters": "stays equal",
        "score_flops": "stays equal",
        "weights_kept": "doubles",
        "key_bias": "stay as they were",
        "same_heads": "the same",
    }
    ### END SOLUTION

# %% role="test" question="heads.predict"
answers = {
    "parameters": "stays equal",
    "score_flops": "stays equal",
    "weights_kept": "doubles",
    "key_bias": "stay as they were",
    "same_heads": "the same",
}
because = {
    "parameters": {
        "halves": "each head has half the columns, but there are twice as many heads",
        "doubles": "there are twice as many heads, but each has half the columns",
        "grows fourfold": "the matrices have width x (heads x dim) numbers, and heads x dim has not changed",
    },
    "score_flops": {
        "halves": "each score takes half as many products, but there are twice as many scores",
        "doubles": "there are twice as many scores, but each takes half as many products",
        "grows fourfold": "the count is 2 x heads x queries x keys x dim, and heads x dim has not changed",
    },
    "weights_kept": {
        "halves": "there is one matrix of weights for each head",
        "stays equal": "there is one matrix of weights for each head, of the same size however wide the head is",
        "grows fourfold": "the matrices have the same size; there are twice as many",
    },
    "key_bias": {
        "become more even": "q . b is the same for all keys, and a softmax forgets what is common to a row",
        "become more uneven": "q . b is the same for all keys, and a softmax forgets what is common to a row",
        "change, and how depends on the numbers": (
            "each row's scores all move by q . b, whatever the numbers are, and a softmax forgets that"
        ),
    },
    "same_heads": {
        "less": "choose the head's output matrix as the sum of the layer's blocks",
        "more": "all heads read the same Z, so the output is Z times the sum of the blocks: one matrix",
    },
}

# %% role="given"
def weights_by_head(x, w_query, w_key, b_key, heads):
    """Return the weights of each head; only the keys have a bias."""
    q = np.swapaxes((x @ w_query).reshape(len(x), heads, -1), 0, 1)
    k = np.swapaxes((x @ w_key + b_key).reshape(len(x), heads, -1), 0, 1)
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


try:
    predict_heads()
except NotImplementedError:
    print("Commit to your predictions first; then run this cell.")
else:
    shown = np.random.default_rng(8)
    tokens, w_query, w_key = shown.normal(size=(3, 8, 8))
    for heads in (2, 4):
        weights = weights_by_head(tokens, w_query, w_key, np.zeros(8), heads)
        products = heads * 8 * 8 * (8 // heads)
        print(f"{heads} heads: {4 * 8 * 8} parameters, {2 * products} operations for scores, {weights.size} weights")
    moved = weights_by_head(tokens, w_query, w_key, np.full(8, 10.0), 4)
    print("largest change of a weight by the bias:", np.abs(moved - weights).max().round(12))
    read, blocks = shown.normal(size=(5, 2)), shown.normal(size=(3, 2, 8))
    layer = np.concatenate([read, read, read], axis=1) @ blocks.reshape(6, 8)
    print("equal heads are one head:", np.allclose(layer, read @ blocks.sum(axis=0)))

# %% [markdown] role="prompt" question="heads.audit"
# ## Write a test for a layer of heads
#
# A colleague hands you functions `candidate(x, w_query, w_key, w_value, w_output, heads)` with the contract of
# `multi_head` above. Some are right, some are not, and you cannot read them. Write `test_multi_head(candidate)`,
# which raises an `AssertionError` for a wrong one and returns quietly for a right one.
#
# Right ones differ in style and rounding, some compute in single precision, so compare with a tolerance, but
# not one so wide that a wrong scale fits into it. All candidates take NumPy arrays. Eleven wrong ones wait in
# the grading, and catching nine of them earns all points. Rejecting a right one costs all points of this
# exercise.

# %% role="answer" question="heads.audit"
def test_multi_head(candidate):
    """Raise AssertionError unless candidate is a right layer of heads."""
    ### BEGIN SOLUTION
    def slowly(x, w_query, w_key, w_value, w_output, heads):
        dim, value_dim = w_query.shape[1] // heads, w_value.shape[1] // heads
        output = np.zeros(x.shape)
        for h in range(heads):
            own = slice(h * dim, (h + 1) * dim)
            rows = slice(h * value_dim, (h + 1) * value_dim)
            q, k = x @ w_query[:, own], x @ w_key[:, own]
            scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(dim)
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights = powers / powers.sum(axis=-1, keepdims=True)
            output += weights @ (x @ w_value[:, rows]) @ w_output[rows]
        return output

    rng = np.random.default_rng(0)
    # (tokens, width, heads, dim, value_dim), leading axes, and how large: all sizes unlike; all alike, with a batch
    # and without; very large scores; one head; one token.
    for (tokens, width, heads, dim, value_dim), batch, large in [
        ((5, 7, 3, 2, 11), (2,), 1),
        ((4, 8, 4, 2, 2), (2,), 1),
        ((4, 8, 4, 2, 2), (), 1e3),
        ((3, 5, 1, 2, 4), (), 1),
        ((1, 5, 2, 3, 2), (3,), 1),
    ]:
        x = large * rng.normal(size=(*batch, tokens, width))
        matrices = [
            rng.normal(size=(width, heads * dim)),
            rng.normal(size=(width, heads * dim)),
            rng.normal(size=(width, heads * value_dim)),
            rng.normal(size=(heads * value_dim, width)),
        ]
        given = [x, *matrices]
        kept = [each.copy() for each in given]
        got = np.asarray(candidate(*given, heads))
        expected = slowly(*kept, heads)
        assert got.shape == expected.shape
        assert np.allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        assert all(np.array_equal(mine, old) for mine, old in zip(given, kept, strict=True))
    ### END SOLUTION

# %% role="test" question="heads.audit"
def softmax_rows(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def cut(x, w, heads):
    return np.moveaxis((x @ w).reshape(*x.shape[:-1], heads, -1), -2, -3)


def joined(read):
    turned = np.moveaxis(read, -3, -2)
    return turned.reshape(*turned.shape[:-2], -1)


def weights_of(x, w_query, w_key, heads):
    q, k = cut(x, w_query, heads), cut(x, w_key, heads)
    return softmax_rows(np.einsum("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1]))


def whole(x, w_query, w_key, w_value, w_output, heads):
    weights = weights_of(x, w_query, w_key, heads)
    return joined(weights @ cut(x, w_value, heads)) @ w_output


def in_single(x, w_query, w_key, w_value, w_output, heads):
    arrays = (np.asarray(a, dtype=np.float32) for a in (x, w_query, w_key, w_value, w_output))
    return whole(*arrays, heads)


def bilinear(x, w_query, w_key, w_value, w_output, heads):
    width = x.shape[-1]
    w_q, w_k, w_v = (w.reshape(width, heads, -1) for w in (w_query, w_key, w_value))
    form = np.einsum("ahd,bhd->hab", w_q, w_k) / np.sqrt(w_q.shape[-1])
    weights = softmax_rows(np.einsum("...qa,hab,...kb->...hqk", x, form, x))
    moved = np.einsum("ahv,hvo->hao", w_v, w_output.reshape(heads, -1, width))
    return np.einsum("...hqk,...ka,hao->...qo", weights, x, moved)


def token_by_token(x, w_query, w_key, w_value, w_output, heads):
    k, v = cut(x, w_key, heads), cut(x, w_value, heads)
    q = cut(x, w_query, heads)
    rows = []
    for t in range(x.shape[-2]):
        scores = np.einsum("...hd,...hkd->...hk", q[..., t, :], k) / np.sqrt(k.shape[-1])
        read = np.einsum("...hk,...hkv->...hv", softmax_rows(scores), v)
        rows.append(read.reshape(*read.shape[:-2], -1) @ w_output)
    return np.stack(rows, axis=-2)


def not_scaled(x, w_query, w_key, w_value, w_output, heads):
    louder = np.sqrt(w_query.shape[1] / heads)
    return whole(x, w_query * louder, w_key, w_value, w_output, heads)


def one_token_late(x, w_query, w_key, w_value, w_output, heads):
    # The sum over the tokens is right.
    return np.roll(whole(x, w_query, w_key, w_value, w_output, heads), 1, axis=-2)


def over_queries(x, w_query, w_key, w_value, w_output, heads):
    q, k = cut(x, w_query, heads), cut(x, w_key, heads)
    scores = np.einsum("...qd,...kd->...kq", q, k) / np.sqrt(q.shape[-1])
    weights = np.swapaxes(softmax_rows(scores), -1, -2)
    return joined(weights @ cut(x, w_value, heads)) @ w_output


def dealt_like_cards(x, w_query, w_key, w_value, w_output, heads):
    def dealt(w):
        return np.moveaxis(w.reshape(len(w), -1, heads), -1, 1).reshape(len(w), -1)

    return whole(x, dealt(w_query), dealt(w_key), dealt(w_value), w_output, heads)


def values_not_swapped(x, w_query, w_key, w_value, w_output, heads):
    v = (x @ w_value).reshape(*x.shape[:-2], heads, x.shape[-2], -1)
    return joined(weights_of(x, w_query, w_key, heads) @ v) @ w_output


def third_head_silent(x, w_query, w_key, w_value, w_output, heads):
    read = weights_of(x, w_query, w_key, heads) @ cut(x, w_value, heads)
    heard = np.arange(heads)[:, None, None] != 2
    return joined(read * heard) @ w_output


def overflowing(x, w_query, w_key, w_value, w_output, heads):
    q, k = cut(x, w_query, heads), cut(x, w_key, heads)
    powers = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return joined(weights @ cut(x, w_value, heads)) @ w_output


def clipped(x, w_query, w_key, w_value, w_output, heads):
    q, k = cut(x, w_query, heads), cut(x, w_key, heads)
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = softmax_rows(np.clip(scores, -100, 100))
    return joined(weights @ cut(x, w_value, heads)) @ w_output


def axis_found_by_size(x, w_query, w_key, w_value, w_output, heads):
    # Looks for the axis of heads, and finds that of tokens where they agree.
    def split(w):
        parts = (x @ w).reshape(*x.shape[:-1], heads, -1)
        axis = parts.ndim - 3 + parts.shape[-3:].index(heads)
        return np.moveaxis(parts, axis, -3)

    q, k, v = split(w_query), split(w_key), split(w_value)
    read = softmax_rows(q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])) @ v
    return joined(read) @ w_output


def first_example_decides(x, w_query, w_key, w_value, w_output, heads):
    weights = weights_of(x, w_query, w_key, heads)
    if x.ndim > 2:
        weights = np.broadcast_to(weights[:1], weights.shape)
    return joined(weights @ cut(x, w_value, heads)) @ w_output


def meddling(x, w_query, w_key, w_value, w_output, heads):
    result = whole(x, w_query, w_key, w_value, w_output, heads)
    w_query /= np.sqrt(2)
    return result


right = [whole, in_single, bilinear, token_by_token]
wrong = [
    not_scaled,
    one_token_late,
    over_queries,
    dealt_like_cards,
    values_not_swapped,
    third_head_silent,
    overflowing,
    clipped,
    axis_found_by_size,
    first_example_decides,
    meddling,
]

# %% [markdown] role="prompt" question="heads.written"
# ## In your own words
#
# Somebody shows you the weights of one head of a trained model on one sentence. In the picture every pronoun
# looks at the name that it stands for, and the caption says: "this head resolves pronouns". Say in six sentences at
# most what the picture supports, what it does not, and which experiment you would ask for.

# %% [markdown] role="written" question="heads.written"
# ### BEGIN SOLUTION
# The picture supports a statement about the weights of this head on this sentence: from the places of the
# pronouns it reads at the places of the names. It does not show what is moved from there, because that
# depends on the values and on the head's rows of the output matrix, which may be near zero. It does not show that
# the model uses it: the heads share one sum, so another head may do the same or undo it. One sentence may
# be chosen, and a head that looks at the last name, or at any capital letter, gives the same picture. I would ask
# for many sentences in which such simpler rules and the right name disagree, and for the model's accuracy on
# pronouns with this head removed, compared with removing other heads.
#
# Rubric (2 points): 0.5 for limiting the claim to where the head looks on this input; 0.5 for naming what is not
# shown (what is moved, whether it is used, other heads, a simpler rule); 1 for an experiment that could refute
# the caption (removal with a comparison, or inputs on which rival rules disagree). "Attention is not
# explanation" without a reason earns nothing.
# ### END SOLUTION
