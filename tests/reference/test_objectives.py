"""Losses and decoding against torch, loops, enumeration and counting."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference.objectives import (
    Hypothesis,
    beam_search,
    causal_lm_loss,
    corrupt_tokens,
    cross_entropy,
    cross_entropy_backward,
    greedy,
    keep_top_k,
    keep_top_p,
    masked_lm_loss,
    sample,
    with_temperature,
)
from attncourse.reference.softmax import log_softmax, softmax

CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def tokens_of(seed, *shape, vocabulary=7):
    return np.random.default_rng(seed).integers(vocabulary, size=shape)


# --- cross-entropy ---------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 4), max_size=2),
    st.integers(1, 6),
    st.sampled_from([1.0, 30.0]),
)
def test_loss_and_gradient_are_torchs(seed, shape, vocabulary, spread):
    logits = spread * draw(seed, *shape, vocabulary)
    targets = tokens_of(seed, *shape, vocabulary=vocabulary)
    mask = np.random.default_rng(seed + 1).random(tuple(shape)) < 0.6
    mask = np.asarray(mask)
    for allowed in (None, mask):
        if allowed is not None and not allowed.any():
            continue
        marked = targets if allowed is None else np.where(mask, targets, -100)
        leaf = torch.tensor(logits, requires_grad=True)
        theirs = F.cross_entropy(
            leaf.reshape(-1, vocabulary), torch.tensor(marked).reshape(-1)
        )
        theirs.backward()
        # Targets of -100 may stay where nothing counts.
        for given_ in (targets, marked):
            got = cross_entropy(logits, given_, mask=allowed)
            assert isinstance(got, float)
            assert got == pytest.approx(theirs.item(), rel=1e-12, abs=1e-14)
            slope = cross_entropy_backward(logits, given_, mask=allowed)
            np.testing.assert_allclose(slope, leaf.grad.numpy(), **CLOSE)


def test_the_loss_agrees_with_a_loop_over_single_numbers():
    logits, targets = draw(1, 2, 3, 5), tokens_of(2, 2, 3, vocabulary=5)
    mask = np.array([[True, True, False], [True, False, False]])
    told = []
    for place in np.ndindex(2, 3):
        if mask[place]:
            powers = [math.exp(z) for z in logits[place]]
            chance = powers[targets[place]] / math.fsum(powers)
            told.append(-math.log(chance))
    got = cross_entropy(logits, targets, mask=mask)
    assert got == pytest.approx(math.fsum(told) / 3, rel=1e-14)


def test_the_gradient_agrees_with_finite_differences():
    logits, targets = draw(1, 3, 5), np.array([4, 0, 2])
    mask = np.array([True, False, True])
    got = cross_entropy_backward(logits, targets, mask=mask)
    step = 1e-6
    for place in np.ndindex(3, 5):
        above, below = logits.copy(), logits.copy()
        above[place] += step
        below[place] -= step
        rise = cross_entropy(above, targets, mask=mask) - cross_entropy(
            below, targets, mask=mask
        )
        assert got[place] == pytest.approx(rise / (2 * step), abs=1e-9)
    np.testing.assert_allclose(got.sum(axis=-1), 0.0, atol=1e-16)
    assert not got[1].any()


def test_equal_logits_cost_the_logarithm_of_the_vocabulary():
    got = cross_entropy(np.full((2, 3, 11), 4.0), tokens_of(0, 2, 3))
    assert got == pytest.approx(math.log(11), rel=1e-15)


def test_the_loss_takes_logits_and_probabilities_give_another_number():
    logits, targets = 3 * draw(1, 4, 5), tokens_of(0, 4, vocabulary=5)
    right = cross_entropy(logits, targets)
    assert cross_entropy(log_softmax(logits), targets) == pytest.approx(right)
    assert abs(cross_entropy(softmax(logits), targets) - right) > 0.1


def test_logits_of_ten_thousand_give_a_finite_loss():
    logits = np.array([[1e4, 0.0], [1e4, 0.0]])
    assert cross_entropy(logits, [0, 1]) == pytest.approx(5e3)
    assert np.isfinite(cross_entropy_backward(logits, [0, 1])).all()


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_does_not_count_has_no_influence(poison):
    logits, targets = draw(1, 3, 5), np.array([4, 0, 2])
    mask = np.array([True, False, True])
    spoiled, odd = logits.copy(), targets.copy()
    spoiled[1], odd[1] = poison, -100
    clean = cross_entropy(logits, targets, mask=mask)
    assert cross_entropy(spoiled, odd, mask=mask) == clean
    np.testing.assert_array_equal(
        cross_entropy_backward(spoiled, odd, mask=mask),
        cross_entropy_backward(logits, targets, mask=mask),
    )
    two = cross_entropy(logits[[0, 2]], targets[[0, 2]])
    assert clean == pytest.approx(two, rel=1e-15)


def test_where_nothing_counts_the_loss_and_its_gradient_are_zero():
    logits, targets = draw(1, 3, 5), np.array([4, 0, 2])
    nothing = np.zeros(3, bool)
    assert cross_entropy(logits, targets, mask=nothing) == 0.0
    assert not cross_entropy_backward(logits, targets, mask=nothing).any()
    assert cross_entropy(np.zeros((0, 5)), []) == 0.0
    assert cross_entropy_backward(np.zeros((0, 5)), []).shape == (0, 5)


def test_a_single_position_needs_no_axis():
    assert cross_entropy([0.0, 0.0], 1) == pytest.approx(math.log(2))
    assert cross_entropy_backward([0.0, 0.0], 1).tolist() == [0.5, -0.5]


def test_tensors_lists_and_single_precision_are_accepted():
    logits, targets = draw(1, 3, 5), tokens_of(2, 3, vocabulary=5)
    mask = np.array([True, False, True])
    clean = cross_entropy(logits, targets, mask=mask)
    for z, y, m in [
        (logits.tolist(), targets.tolist(), mask.tolist()),
        tuple(map(torch.tensor, (logits, targets, mask))),
        (logits.astype(np.float32), targets.astype(np.uint8), mask),
    ]:
        assert cross_entropy(z, y, mask=m) == pytest.approx(clean, rel=1e-6)
        assert cross_entropy_backward(z, y, mask=m).dtype == np.float64


# --- language models -------------------------------------------------------


def test_the_causal_loss_judges_each_position_by_the_next_token():
    logits, tokens = draw(1, 2, 5, 7), tokens_of(2, 2, 5)
    got = causal_lm_loss(logits, tokens)
    told = [
        -log_softmax(logits[b, t])[tokens[b, t + 1]]
        for b in range(2)
        for t in range(4)
    ]
    assert got == pytest.approx(math.fsum(told) / 8, rel=1e-14)
    theirs = F.cross_entropy(
        torch.tensor(logits[:, :-1]).flatten(0, 1),
        torch.tensor(tokens[:, 1:]).flatten(),
    )
    assert got == pytest.approx(theirs.item(), rel=1e-14)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_neither_tells_nor_is_told(side):
    logits, tokens = draw(1, 5, 7), tokens_of(2, 5)
    real = slice(2, None) if side == "left" else slice(None, 3)
    mask = np.zeros(5, bool)
    mask[real] = True
    alone = causal_lm_loss(logits[real], tokens[real])
    logits[~mask], tokens[~mask] = np.nan, -100
    got = causal_lm_loss(logits, tokens, mask=mask)
    assert got == pytest.approx(alone, rel=1e-15)


def test_one_token_or_none_leaves_nothing_to_tell():
    assert causal_lm_loss(draw(1, 1, 7), [3]) == 0.0
    assert causal_lm_loss(draw(1, 2, 0, 7), np.zeros((2, 0), int)) == 0.0


def test_the_masked_loss_counts_only_the_chosen_tokens():
    logits, tokens = draw(1, 2, 5, 7), tokens_of(2, 2, 5)
    chosen = np.random.default_rng(3).random((2, 5)) < 0.4
    places = np.argwhere(chosen)
    told = [-log_softmax(logits[b, t])[tokens[b, t]] for b, t in places]
    got = masked_lm_loss(logits, tokens, chosen)
    assert got == pytest.approx(math.fsum(told) / len(told), rel=1e-14)
    assert masked_lm_loss(logits, tokens, chosen & False) == 0.0


def test_corruption_chooses_and_replaces_in_the_stated_shares():
    tokens = tokens_of(0, 400, 250, vocabulary=50)
    eligible = tokens > 4
    inputs, chosen = corrupt_tokens(
        tokens,
        eligible,
        mask_token=99,
        vocabulary=50,
        rate=0.15,
        rng=np.random.default_rng(1),
    )
    assert inputs.dtype == np.int64
    assert not chosen[~eligible].any()
    np.testing.assert_array_equal(inputs[~chosen], tokens[~chosen])
    # Shares of n draws: four standard deviations are allowed.
    n = eligible.sum()
    assert abs(chosen.sum() / n - 0.15) < 4 * math.sqrt(0.15 * 0.85 / n)
    n = chosen.sum()
    for share, found in [
        (0.8, inputs == 99),
        (0.1 * 49 / 50, (inputs != 99) & (inputs != tokens)),
        (0.1 * 51 / 50, inputs == tokens),
    ]:
        got = (found & chosen).sum() / n
        assert abs(got - share) < 4 * math.sqrt(share * (1 - share) / n)
    replaced = inputs[chosen & (inputs != 99) & (inputs != tokens)]
    assert set(replaced) == set(range(50))


def test_whether_a_token_is_chosen_says_nothing_about_its_fate():
    """The draws are apart: with one for both, low rates would only mask."""
    tokens = tokens_of(0, 100, 300)
    inputs, chosen = corrupt_tokens(
        tokens,
        np.ones(tokens.shape, bool),
        mask_token=99,
        vocabulary=1000,
        rate=0.05,
        rng=np.random.default_rng(2),
    )
    changed = (inputs != 99) & (inputs != tokens)
    assert 0.06 < changed.sum() / chosen.sum() < 0.14


@pytest.mark.parametrize(("rate", "expected"), [(0, 0), (1, 15)])
def test_at_the_ends_of_the_rate_none_or_all_are_chosen(rate, expected):
    inputs, chosen = corrupt_tokens(
        np.full((3, 5), 6),
        np.ones((3, 5), bool),
        mask_token=9,
        vocabulary=7,
        rate=rate,
        rng=np.random.default_rng(0),
    )
    assert chosen.sum() == expected
    assert inputs.shape == (3, 5)


class Dealt:
    """A source of chance that has been told what to draw."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def random(self, shape):
        return np.full(shape, self.draws.pop(0))

    def integers(self, high, *, size):
        return np.full(size, high - 1)


@pytest.mark.parametrize(
    ("lot", "fate", "expected"),
    [
        (0.25, 0.0, 5),  # the lot reaches the rate: not chosen
        (0.2, 0.79, 99),
        (0.2, 0.8, 5),
        (0.2, 0.89, 5),
        (0.2, 0.9, 6),
    ],
)
def test_each_fate_begins_where_the_one_before_ends(lot, fate, expected):
    inputs, chosen = corrupt_tokens(
        [5],
        [True],
        mask_token=99,
        vocabulary=7,
        rate=0.25,
        rng=Dealt(lot, fate),
    )
    assert inputs.tolist() == [expected]
    assert chosen.tolist() == [lot < 0.25]


# --- one token after another -----------------------------------------------


def a_model(seed, vocabulary, *, spread=1.5):
    """Return a function from tokens to logits that depends on all of them."""
    table = spread * draw(seed, 9, vocabulary)

    def next_logits(tokens):
        place = sum((n + 1) * int(t) for n, t in enumerate(tokens)) % 9
        return table[place]

    return next_logits


def score(model, tokens, given_):
    """Return the log-probability of what follows the first `given_` tokens."""
    return sum(
        log_softmax(model(tokens[:t]))[tokens[t]]
        for t in range(given_, len(tokens))
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(0, 4))
def test_greedy_takes_the_highest_logit_each_time(seed, vocabulary, steps):
    model = a_model(seed, vocabulary)
    got = greedy(model, [1, 0], steps=steps)
    assert got.dtype == np.int64
    expected = [1, 0]
    for _ in range(steps):
        row = list(model(expected))
        expected.append(row.index(max(row)))
    assert got.tolist() == expected


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 3),
    st.integers(1, 4),
    st.sampled_from([None, 0, 1]),
)
def test_a_beam_wide_enough_finds_the_best_of_all(
    seed, vocabulary, steps, end
):
    model, start = a_model(seed, vocabulary), [1]
    every = {}
    for added in itertools.product(range(vocabulary), repeat=steps):
        cut = added.index(end) + 1 if end in added else steps
        tokens = (*start, *added[:cut])
        every[tokens] = score(model, tokens, 1)
    order = sorted(every, key=lambda t: -every[t])
    found = beam_search(model, start, beams=len(every), steps=steps, end=end)
    assert [tuple(each.tokens) for each in found] == order
    for each in found:
        tokens = tuple(each.tokens)
        assert each.log_probability == pytest.approx(every[tokens], rel=1e-12)
        assert each.finished == (end is not None and tokens[-1] == end)
    total = sum(math.exp(each.log_probability) for each in found)
    assert total == pytest.approx(1.0, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 0, 2]))
def test_one_beam_is_greedy(seed, end):
    model = a_model(seed, 4)
    (only,) = beam_search(model, [], beams=1, steps=5, end=end)
    expected = greedy(model, [], steps=5, end=end)
    np.testing.assert_array_equal(only.tokens, expected)


def by_plain_beams(model, start, beams, steps, end):
    """Return beam search over all continuations, kept as tuples."""
    kept = [(0.0, tuple(start), False)]
    for _ in range(steps):
        grown = []
        for total, tokens, done in kept:
            if done:
                grown.append((total, tokens, done))
                continue
            for token, chance in enumerate(log_softmax(model(tokens))):
                grown.append((total + chance, (*tokens, token), token == end))
        kept = sorted(grown, key=lambda each: -each[0])[:beams]
    return kept


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([None, 0]))
def test_beam_search_agrees_with_a_plainer_one(seed, beams, end):
    model = a_model(seed, 5)
    found = beam_search(model, [3], beams=beams, steps=4, end=end)
    expected = by_plain_beams(model, [3], beams, 4, end)
    for each, (total, tokens, done) in zip(found, expected, strict=True):
        assert tuple(each.tokens) == tokens
        assert each.log_probability == pytest.approx(total, rel=1e-12)
        assert each.finished == done


def test_a_wider_beam_finds_what_greedy_misses():
    chances = {(): [0.6, 0.4], (0,): [0.5, 0.5], (1,): [0.1, 0.9]}

    def model(tokens):
        return np.log(chances[tuple(tokens)])

    assert greedy(model, [], steps=2).tolist() == [0, 0]
    best, second = beam_search(model, [], beams=2, steps=2)
    assert best.tokens.tolist() == [1, 1]
    assert best.log_probability == pytest.approx(math.log(0.36))
    assert second.tokens.tolist() == [0, 0]


def test_an_impossible_token_never_enters_the_beam():
    found = beam_search(
        lambda tokens: [0.0, -np.inf, 0.0], [], beams=9, steps=2
    )
    assert [each.tokens.tolist() for each in found] == [
        [0, 0],
        [0, 2],
        [2, 0],
        [2, 2],
    ]


def test_generation_stops_after_the_end_token():
    def model(tokens):
        return 50 * np.eye(5)[(len(tokens)) % 5]

    rng = np.random.default_rng(0)
    assert greedy(model, [], steps=9, end=2).tolist() == [0, 1, 2]
    got = sample(model, [], steps=9, end=2, rng=rng)
    assert got.tolist() == [0, 1, 2]
    (best,) = beam_search(model, [], beams=1, steps=9, end=2)
    assert best.tokens.tolist() == [0, 1, 2]
    assert best.finished
    # An end token in the start does not count: nothing was added yet.
    assert greedy(model, [2], steps=1, end=2).tolist() == [2, 1]
    (best,) = beam_search(model, [2], beams=1, steps=1, end=2)
    assert best.tokens.tolist() == [2, 1]


def test_a_search_whose_hypotheses_have_all_ended_asks_no_more():
    asked = []

    def model(tokens):
        asked.append(tokens.tolist())
        return [9.0]

    beam_search(model, [], beams=2, steps=5, end=0)
    assert asked == [[]]


def test_no_steps_return_the_start():
    def never(tokens):
        raise AssertionError

    rng = np.random.default_rng(0)
    assert greedy(never, [3, 1], steps=0).tolist() == [3, 1]
    assert sample(never, [3, 1], steps=0, rng=rng).tolist() == [3, 1]
    (only,) = beam_search(never, [3, 1], beams=2, steps=0)
    assert only.tokens.tolist() == [3, 1]
    assert only.log_probability == 0.0
    assert not only.finished
    assert Hypothesis([1]) == Hypothesis([1], 0.0, False)


def test_a_model_may_not_change_what_was_chosen():
    def model(tokens):
        tokens[:] = 0
        return [0.0, 1.0]

    assert greedy(model, [1], steps=2).tolist() == [1, 1, 1]


def test_equal_logits_give_the_first_token():
    assert greedy(lambda tokens: [1, 3, 3], [], steps=2).tolist() == [1, 1]
    found = beam_search(lambda tokens: [0.0] * 3, [], beams=2, steps=1)
    assert [each.tokens.tolist() for each in found] == [[0], [1]]


# --- sampling --------------------------------------------------------------


def test_samples_come_with_the_probabilities_of_the_softmax():
    logits = np.array([0.0, 1.0, -1.0, 2.0])
    got = sample(
        lambda tokens: logits, [], steps=20000, rng=np.random.default_rng(0)
    )
    shares = np.bincount(got, minlength=4) / 20000
    budget = 4 * np.sqrt(softmax(logits) / 20000)
    assert (np.abs(shares - softmax(logits)) < budget).all()


def test_each_step_is_drawn_given_the_steps_before():
    def model(tokens):
        last = tokens[-1] if len(tokens) else 0
        return np.where(np.arange(3) == last, -np.inf, 0.0)

    got = sample(model, [], steps=200, rng=np.random.default_rng(0))
    assert (got[1:] != got[:-1]).all()
    assert set(got) == {0, 1, 2}


def test_the_same_chance_draws_the_same_tokens():
    model = a_model(0, 7)
    one, two, other = (
        sample(model, [], steps=20, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_adjustments_are_made_to_the_logits_and_may_be_combined():
    def adjust(logits):
        cooler = with_temperature(logits, temperature=2.0)
        return keep_top_p(keep_top_k(cooler, k=3), p=0.9)

    logits = np.log([0.5, 0.02, 0.3, 0.1, 0.08])
    got = sample(
        lambda tokens: logits,
        [],
        steps=300,
        adjust=adjust,
        rng=np.random.default_rng(0),
    )
    assert set(got) == {0, 2, 3}
    cold = sample(
        lambda tokens: logits,
        [],
        steps=50,
        adjust=lambda z: with_temperature(z, temperature=1e-320),
        rng=np.random.default_rng(0),
    )
    assert set(cold) == {0}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 20))
def test_a_temperature_divides_the_logits(seed, temperature):
    logits = draw(seed, 2, 5)
    got = with_temperature(logits, temperature=temperature)
    np.testing.assert_allclose(
        softmax(got), softmax(logits / temperature), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(got.max(axis=-1), 0.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 7))
def test_top_k_is_torchs(seed, k, vocabulary):
    logits = draw(seed, 3, vocabulary)
    got = keep_top_k(logits, k=k)
    best = torch.topk(torch.tensor(logits), min(k, vocabulary)).indices
    for row in range(3):
        kept = set(np.flatnonzero(np.isfinite(got[row])))
        assert kept == set(best[row].tolist())
        for token in kept:
            assert got[row, token] == logits[row, token]


def test_of_equal_logits_top_k_keeps_no_more_than_k():
    got = keep_top_k([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0]], k=2)
    assert np.isfinite(got).astype(int).tolist() == [[1, 1, 0], [0, 1, 1]]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 0.99), st.integers(1, 7))
def test_top_p_keeps_the_fewest_that_reach_p(seed, p, vocabulary):
    logits = 2 * draw(seed, 3, vocabulary)
    got = keep_top_p(logits, p=p)
    for row in range(3):
        chances = softmax(logits[row])
        kept = np.isfinite(got[row])
        np.testing.assert_array_equal(got[row, kept], logits[row, kept])
        assert kept.any()
        assert chances[kept].sum() > p - 1e-12
        if kept.sum() > 1:  # without its least the rest falls short
            assert chances[kept].sum() - chances[kept].min() < p + 1e-12
        if not kept.all():
            assert chances[~kept].max() <= chances[kept].min()


def test_top_p_stops_when_p_is_reached_exactly():
    logits = np.log([0.25, 0.5, 0.125, 0.125])
    for p, number in [(0.5, 1), (0.51, 2), (0.75, 2), (0.8, 3), (1.0, 4)]:
        assert np.isfinite(keep_top_p(logits, p=p)).sum() == number


def test_what_was_excluded_before_stays_excluded():
    logits = [0.0, -np.inf, 1.0]
    assert keep_top_p(logits, p=1).tolist() == logits
    assert keep_top_k(logits, k=3).tolist() == logits
    got = with_temperature(logits, temperature=0.5)
    assert got.tolist() == [-2.0, -np.inf, 0.0]


def test_an_empty_batch_stays_empty():
    empty = np.zeros((0, 5))
    assert keep_top_k(empty, k=2).shape == (0, 5)
    assert keep_top_p(empty, p=0.5).shape == (0, 5)
    assert with_temperature(empty, temperature=2).shape == (0, 5)
    assert with_temperature(np.zeros((2, 0)), temperature=2).shape == (2, 0)


# --- wrong arguments -------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cross_entropy(np.zeros((3, 5)), [0, 1]),
            ValueError,
            r"targets must have one token for each row of logits: "
            r"got targets \(2,\), logits \(3, 5\)",
        ),
        (
            lambda: cross_entropy(np.zeros((2, 5)), [0, 5]),
            ValueError,
            "targets must lie between 0 and 4: got 5",
        ),
        (
            lambda: cross_entropy(np.zeros((2, 5)), [-1, 4]),
            ValueError,
            "targets must lie between 0 and 4: got -1",
        ),
        (
            lambda: cross_entropy_backward(np.zeros((2, 5)), [0.0, 1.0]),
            TypeError,
            "targets must hold whole numbers: got dtype float64",
        ),
        (
            lambda: cross_entropy(np.zeros((2, 0)), [0, 1]),
            ValueError,
            "vocabulary must be at least 1: got 0",
        ),
        (
            lambda: cross_entropy(np.zeros((2, 5)), [0, 1], mask=[1, 0]),
            TypeError,
            "mask must be boolean, True where a position counts: "
            "got dtype int64",
        ),
        (
            lambda: cross_entropy(np.zeros((2, 5)), [0, 1], mask=[True]),
            ValueError,
            r"mask must have the shape of the tokens \(2,\): got \(1,\)",
        ),
        (
            lambda: causal_lm_loss(np.zeros(5), 2),
            ValueError,
            r"tokens must have axes \(..., tokens\): got shape \(\)",
        ),
        (
            lambda: corrupt_tokens(
                [1, 2],
                [True],
                mask_token=9,
                vocabulary=7,
                rate=0.1,
                rng=np.random.default_rng(0),
            ),
            ValueError,
            r"eligible must have the shape of the tokens \(2,\): got \(1,\)",
        ),
        (
            lambda: corrupt_tokens(
                [1],
                [True],
                mask_token=9,
                vocabulary=7,
                rate=1.5,
                rng=np.random.default_rng(0),
            ),
            ValueError,
            "rate must be between 0 and 1: got 1.5",
        ),
        (
            lambda: greedy(a_model(0, 3), [[1]], steps=2),
            ValueError,
            r"start must have one axis: got shape \(1, 1\)",
        ),
        (
            lambda: greedy(a_model(0, 3), [0.5], steps=2),
            TypeError,
            "start must hold whole numbers: got dtype float64",
        ),
        (
            lambda: greedy(lambda tokens: np.zeros((1, 3)), [0], steps=1),
            ValueError,
            r"next_logits must return one row, shape \(vocabulary,\): "
            r"got \(1, 3\)",
        ),
        (
            lambda: greedy(lambda tokens: [], [0], steps=1),
            ValueError,
            r"next_logits must return one row, .*: got \(0,\)",
        ),
        (
            lambda: beam_search(
                lambda tokens: [0, np.nan], [], beams=1, steps=1
            ),
            ValueError,
            "the highest of the logits must be finite: got nan",
        ),
        (
            lambda: sample(
                lambda tokens: [-np.inf],
                [],
                steps=1,
                rng=np.random.default_rng(0),
            ),
            ValueError,
            "the highest of the logits must be finite: got -inf",
        ),
        (
            lambda: greedy(a_model(0, 3), [0], steps=-1),
            ValueError,
            "steps must be at least 0: got -1",
        ),
        (
            lambda: beam_search(a_model(0, 3), [0], beams=0, steps=1),
            ValueError,
            "beams must be at least 1: got 0",
        ),
        (
            lambda: with_temperature([0.0], temperature=0),
            ValueError,
            "temperature must be positive and finite: got 0",
        ),
        (
            lambda: with_temperature([0.0], temperature=np.inf),
            ValueError,
            "temperature must be positive and finite: got inf",
        ),
        (lambda: keep_top_k([0.0], k=0), ValueError, "k must be at least 1"),
        (
            lambda: keep_top_p([0.0], p=0),
            ValueError,
            "p must be above 0 and at most 1: got 0",
        ),
        (
            lambda: keep_top_p([0.0], p=1.01),
            ValueError,
            r"p must be above 0 and at most 1: got 1\.01",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_what_must_hold(call, error, message):
    with pytest.raises(error, match=message):
        call()
