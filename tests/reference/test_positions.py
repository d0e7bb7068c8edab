"""Positions against loops, complex numbers, torch and their identities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.reference import positions as pos
from attncourse.reference.dense import attention, attention_weights
from attncourse.reference.softmax import masked_softmax, softmax

finite = st.floats(-1e4, 1e4)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Without positions -------------------------------------------------------


def test_self_attention_commutes_with_every_permutation_of_the_tokens():
    x = normal(11, 6)
    order = np.random.default_rng(1).permutation(11)
    np.testing.assert_allclose(
        attention(x[order], x[order], x[order]),
        attention(x, x, x)[order],
        atol=1e-13,
    )


def test_positions_of_every_scheme_break_that_symmetry():
    x = normal(11, 6)
    order = np.random.default_rng(1).permutation(11)
    at = np.arange(11)
    index = pos.relative_index(at, at, clip=3)
    table = normal(7, 6, seed=2)
    bias = pos.alibi_bias([0.5], at, at)[0]

    def added(tokens):
        tokens = tokens + pos.sinusoidal(at, dim=6)
        return attention(tokens, tokens, tokens)

    def turned(tokens):
        return attention(
            pos.rotary(tokens, at), pos.rotary(tokens, at), tokens
        )

    def shaw(tokens):
        weights = softmax(pos.relative_scores(tokens, tokens, table, index))
        return pos.relative_values(weights, tokens, table, index)

    def alibi(tokens):
        return pos.biased_attention(tokens, tokens, tokens, bias)

    for scheme in (added, turned, shaw, alibi):
        gap = np.abs(scheme(x[order]) - scheme(x)[order]).max()
        assert gap > 0.05, scheme.__name__


# Frequencies -------------------------------------------------------------


def test_frequencies_fall_from_one_by_a_constant_factor():
    omega = pos.frequencies(10, base=32.0)
    assert omega[0] == 1.0
    np.testing.assert_allclose(omega[1:] / omega[:-1], 32.0 ** (-2 / 10))


@pytest.mark.parametrize("dim", [2, 6, 64])
def test_frequencies_match_the_formula_of_the_paper_one_by_one(dim):
    expected = [1 / 10_000 ** (2 * i / dim) for i in range(dim // 2)]
    np.testing.assert_allclose(pos.frequencies(dim), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("dim", "error", "says"),
    [
        (5, ValueError, "dim must be even, two columns a pair: got 5"),
        (0, ValueError, "dim must be at least 2: got 0"),
        (4.0, TypeError, "dim must be a whole number: got 4.0"),
    ],
)
def test_a_width_that_does_not_split_into_pairs_is_refused(dim, error, says):
    with pytest.raises(error, match=f"^{says}$"):
        pos.frequencies(dim)


def test_a_base_below_one_makes_later_clocks_faster():
    assert pos.frequencies(4, base=0.25).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("base", [0.0, -1.0, math.nan])
def test_a_base_that_is_not_positive_is_refused(base):
    with pytest.raises(ValueError, match="base must be positive: got"):
        pos.frequencies(4, base=base)


# Sinusoidal --------------------------------------------------------------


def test_sinusoidal_matches_a_loop_over_the_formula():
    table = pos.sinusoidal([0, 3, 17], dim=10, base=50.0)
    for row, p in enumerate([0, 3, 17]):
        for i in range(5):
            angle = p / 50.0 ** (2 * i / 10)
            assert table[row, 2 * i] == pytest.approx(math.sin(angle))
            assert table[row, 2 * i + 1] == pytest.approx(math.cos(angle))


def test_sinusoidal_defaults_to_the_base_of_the_paper():
    assert pos.sinusoidal([100], dim=4)[0, 2] == pytest.approx(math.sin(1))


@settings(max_examples=50, deadline=None)
@given(p=finite, offset=finite, pairs=st.integers(1, 6))
def test_a_shift_of_sinusoidal_positions_is_one_rotation(p, offset, pairs):
    dim = 2 * pairs
    matrix = pos.shift_matrix(offset, dim=dim)
    np.testing.assert_allclose(
        matrix @ pos.sinusoidal([p], dim=dim)[0],
        pos.sinusoidal([p + offset], dim=dim)[0],
        atol=1e-10,
    )
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dim), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_the_product_of_two_sinusoidal_vectors_knows_the_distance_only():
    near = pos.sinusoidal(np.arange(13), dim=8)
    far = pos.sinusoidal(np.arange(13) + 400, dim=8)
    np.testing.assert_allclose(near @ near.T, far @ far.T, atol=1e-12)
    np.testing.assert_allclose((near**2).sum(axis=-1), 4.0)


def test_sinusoidal_takes_leading_axes_and_an_empty_sequence():
    assert pos.sinusoidal(np.zeros((2, 3, 5)), dim=4).shape == (2, 3, 5, 4)
    assert pos.sinusoidal(np.zeros((3, 0)), dim=4).shape == (3, 0, 4)


# Learned -----------------------------------------------------------------


def test_learned_picks_rows_and_broadcasts_over_batches():
    table = normal(7, 3)
    got = pos.learned(table, [[6, 0], [2, 2]])
    for index in np.ndindex(2, 2):
        row = [[6, 0], [2, 2]][index[0]][index[1]]
        assert (got[index] == table[row]).all()


@pytest.mark.parametrize("bad", [-1, 7])
def test_learned_has_no_row_beyond_its_table(bad):
    says = f"positions must lie within the table's rows 0 to 6: got {bad}"
    with pytest.raises(ValueError, match=f"^{says}$"):
        pos.learned(normal(7, 3), [0, bad])


def test_learned_refuses_positions_that_are_not_whole():
    with pytest.raises(TypeError, match="positions must be whole numbers"):
        pos.learned(normal(7, 3), [0.0, 1.0])
    with pytest.raises(ValueError, match="positions must have axes"):
        pos.learned(normal(7, 3), 2)


def test_learned_takes_an_empty_sequence():
    assert pos.learned(normal(7, 3), []).shape == (0, 3)


# Relative ----------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    queries=st.lists(st.integers(-50, 50), max_size=7),
    keys=st.lists(st.integers(-50, 50), max_size=5),
    clip=st.integers(0, 6),
    shift=st.integers(-1000, 1000),
)
def test_relative_index_clips_key_minus_query(queries, keys, clip, shift):
    queries = np.array(queries, dtype=int)
    keys = np.array(keys, dtype=int)
    index = pos.relative_index(queries, keys, clip=clip)
    assert index.shape == (len(queries), len(keys))
    for i, query in enumerate(queries):
        for j, key in enumerate(keys):
            assert index[i, j] == max(-clip, min(clip, key - query)) + clip
    moved = pos.relative_index(queries + shift, keys + shift, clip=clip)
    assert (moved == index).all()


def test_relative_index_takes_positions_for_each_example():
    queries, keys = np.array([[3], [9]]), np.array([[1, 5], [1, 5]])
    index = pos.relative_index(queries, keys, clip=4)
    assert index.tolist() == [[[2, 6]], [[0, 0]]]


def test_relative_index_pins_its_errors():
    with pytest.raises(ValueError, match=r"^clip must be at least 0: got -1$"):
        pos.relative_index([0], [0], clip=-1)
    with pytest.raises(TypeError, match="key_positions must be whole numbers"):
        pos.relative_index([0], [0.5], clip=1)
    with pytest.raises(ValueError, match="leading axes of query_positions"):
        pos.relative_index(
            np.zeros((2, 3), int), np.zeros((5, 3), int), clip=1
        )


def bucket_by_whole_numbers(distance, buckets, farthest):
    """Return T5's bucket without a logarithm: powers compared exactly."""
    exact = buckets // 2
    if distance < exact:
        return distance
    wide = buckets - exact
    reached = [
        step
        for step in range(wide)
        if distance**wide * exact**step >= farthest**step * exact**wide
    ]
    return exact + reached[-1]


@pytest.mark.parametrize("buckets", [4, 6, 10, 32])
@pytest.mark.parametrize("farthest", [17, 64, 128])
def test_buckets_are_those_of_whole_number_arithmetic(buckets, farthest):
    at = np.arange(-400, 401)
    index = pos.bucket_index([0], at, buckets=buckets, farthest=farthest)
    causal = pos.causal_bucket_index(
        [0], at, buckets=buckets, farthest=farthest
    )
    half = buckets // 2
    for key, both, left in zip(at.tolist(), index[0], causal[0], strict=True):
        bucket = bucket_by_whole_numbers(abs(key), half, farthest)
        assert both == bucket + (half if key > 0 else 0)
        past = max(-key, 0)
        assert left == bucket_by_whole_numbers(past, buckets, farthest)


def test_t5s_own_buckets_change_at_the_distances_of_its_code():
    index = pos.bucket_index([0], -np.arange(200))[0]
    starts = [int(np.argmax(index == bucket)) for bucket in range(16)]
    assert starts == [*range(8), 8, 12, 16, 23, 32, 46, 64, 91]
    causal = pos.causal_bucket_index([0], -np.arange(200))[0]
    assert causal.max() == 31
    assert causal[:16].tolist() == list(range(16))


def test_a_bucket_is_a_matter_of_distance_alone():
    far = pos.bucket_index([5, 9], [1, 30, 9])
    assert (pos.bucket_index([105, 109], [101, 130, 109]) == far).all()
    table = normal(3, 32)
    bias = pos.relative_bias(table, far)
    assert (bias[:, 0, 1] == table[:, far[0, 1]]).all()
    assert pos.bucket_index(np.zeros((2, 0), int), [1, 2]).shape == (2, 0, 2)


def test_buckets_pin_their_errors():
    with pytest.raises(ValueError, match=r"^buckets must be even: got 7$"):
        pos.bucket_index([0], [0], buckets=7)
    with pytest.raises(
        ValueError, match=r"^buckets must be at least 4: got 2"
    ):
        pos.bucket_index([0], [0], buckets=2)
    with pytest.raises(ValueError, match=r"^farthest must be at least 9: got"):
        pos.bucket_index([0], [0], farthest=8)
    with pytest.raises(
        ValueError, match=r"^buckets must be at least 2: got 1"
    ):
        pos.causal_bucket_index([0], [0], buckets=1)
    with pytest.raises(TypeError, match="key_positions must be whole numbers"):
        pos.causal_bucket_index([0], [0.5])


def test_relative_scores_and_values_match_loops_over_shaws_equations():
    q, k, v = normal(2, 3, 4), normal(2, 5, 4, seed=1), normal(2, 5, 7, seed=2)
    index = pos.relative_index([2, 3, 4], np.arange(5), clip=2)
    at_key, at_value = normal(5, 4, seed=3), normal(5, 7, seed=4)
    scores = pos.relative_scores(q, k, at_key, index)
    weights = softmax(scores)
    output = pos.relative_values(weights, v, at_value, index)
    for b, i in np.ndindex(2, 3):
        total = np.zeros(7)
        for j in range(5):
            carried = k[b, j] + at_key[index[i, j]]
            assert scores[b, i, j] == pytest.approx(q[b, i] @ carried / 2.0)
            total += weights[b, i, j] * (v[b, j] + at_value[index[i, j]])
        np.testing.assert_allclose(output[b, i], total)


def test_tables_of_zeros_give_plain_attention():
    x = normal(5, 4)
    index = pos.relative_index(np.arange(5), np.arange(5), clip=1)
    weights = softmax(pos.relative_scores(x, x, np.zeros((3, 4)), index))
    np.testing.assert_allclose(weights, attention_weights(x, x))
    np.testing.assert_allclose(
        pos.relative_values(weights, x, np.zeros((3, 4)), index),
        attention(x, x, x),
    )


def test_a_hidden_value_of_nan_stays_out_of_relative_values():
    v = normal(3, 2)
    v[2] = np.nan
    index = pos.relative_index([1], [0, 1, 2], clip=1)
    mask = np.array([[True, True, False]])
    weights = masked_softmax(np.zeros((1, 3)), mask)
    got = pos.relative_values(weights, v, np.zeros((3, 2)), index)
    np.testing.assert_allclose(got, v[:2].mean(axis=0)[None])


def test_relative_bias_puts_heads_before_queries():
    table = normal(2, 7)
    index = pos.relative_index([[0, 4]], np.arange(5), clip=3)
    bias = pos.relative_bias(table, index)
    assert bias.shape == (1, 2, 2, 5)
    for h, i, j in np.ndindex(2, 2, 5):
        assert bias[0, h, i, j] == table[h, index[0, i, j]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"k": normal(5, 3)}, "q and k and table must agree in dim"),
        ({"table": normal(5, 3)}, "q and k and table must agree in dim"),
        ({"index": np.zeros((4, 5), int)}, "q and index must agree in quer"),
        ({"index": np.zeros((3, 4), int)}, "k and index must agree in keys"),
        ({"index": np.full((3, 5), 5)}, "index must lie within the table's"),
        ({"index": np.full((3, 5), -1)}, "rows 0 to 4: got -1"),
        (
            {"q": normal(2, 3, 4), "index": np.zeros((7, 3, 5), int)},
            "leading axes of q and k and index",
        ),
        ({"table": normal(2, 5, 4)}, r"table must have axes \(rows, dim\)"),
        ({"q": normal(2, 3, 4), "k": normal(3, 5, 4)}, "leading axes of q"),
    ],
)
def test_relative_scores_say_what_does_not_fit(change, says):
    good = {
        "q": normal(3, 4),
        "k": normal(5, 4),
        "table": normal(5, 4),
        "index": np.zeros((3, 5), int),
    }
    with pytest.raises(ValueError, match=says):
        pos.relative_scores(**{**good, **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"table": normal(5, 3)}, "v and table must agree in value_dim"),
        ({"v": normal(4, 7)}, "weights and v and index must agree in keys"),
        ({"index": np.zeros((4, 5), int)}, "weights and index must agree in"),
        ({"v": normal(2, 5, 7), "weights": normal(3, 3, 5)}, "leading axes"),
        (
            {"v": normal(2, 5, 7), "index": np.zeros((7, 3, 5), int)},
            "leading axes of weights and v and index",
        ),
    ],
)
def test_relative_values_say_what_does_not_fit(change, says):
    good = {
        "weights": normal(3, 5),
        "v": normal(5, 7),
        "table": normal(5, 7),
        "index": np.zeros((3, 5), int),
    }
    with pytest.raises(ValueError, match=says):
        pos.relative_values(**{**good, **change})


# Rotary ------------------------------------------------------------------


def test_rotary_is_multiplication_by_complex_phases():
    x, at = normal(2, 5, 6), np.array([0.0, 1.0, 4.5, -3.0, 1000.0])
    phases = np.exp(1j * at[:, None] * 100.0 ** (-np.arange(0, 6, 2) / 6))
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * phases
    got = pos.rotary(x, at, base=100.0)
    np.testing.assert_allclose(got[..., 0::2], turned.real)
    np.testing.assert_allclose(got[..., 1::2], turned.imag)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pairs=st.integers(1, 5),
    shift=st.floats(-1000, 1000),
)
def test_rotary_scores_depend_on_the_distance_only(seed, pairs, shift):
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, 7, 2 * pairs))
    at_query, at_key = rng.integers(0, 500, size=(2, 7))
    first = pos.rotary(q, at_query) @ pos.rotary(k, at_key).T
    moved = pos.rotary(q, at_query + shift) @ pos.rotary(k, at_key + shift).T
    np.testing.assert_allclose(first, moved, atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(pos.rotary(q, at_query), axis=-1),
        np.linalg.norm(q, axis=-1),
    )


def test_rotary_turns_add_up_and_turn_back():
    x, at = normal(5, 6), np.arange(5.0)
    twice = pos.rotary(pos.rotary(x, at), 3 * at)
    np.testing.assert_allclose(twice, pos.rotary(x, 4 * at), atol=1e-13)
    np.testing.assert_allclose(
        pos.rotary(pos.rotary(x, at), -at), x, atol=1e-13
    )


def test_rotary_leaves_position_zero_and_turns_the_first_by_one_radian():
    x = normal(2, 4)
    assert (pos.rotary(x, [0, 0]) == x).all()
    np.testing.assert_allclose(
        pos.rotary([[1.0, 0.0]], [1]), [[math.cos(1), math.sin(1)]]
    )


def test_sinusoidal_vectors_are_shifted_by_a_backward_rotary_turn():
    at = np.arange(9)
    np.testing.assert_allclose(
        pos.rotary(pos.sinusoidal(at, dim=6), np.full(9, -5)),
        pos.sinusoidal(at + 5, dim=6),
        atol=1e-13,
    )


def test_rotary_takes_positions_for_each_example_and_shares_over_heads():
    x = normal(2, 3, 5, 4)
    at = np.stack([np.arange(5), np.arange(5) + 9])[:, None]
    got = pos.rotary(x, at)
    for b, h in np.ndindex(2, 3):
        np.testing.assert_allclose(got[b, h], pos.rotary(x[b, h], at[b, 0]))


def test_rotary_pairs_examples_with_their_positions():
    x, at = normal(2, 5, 4), np.arange(10).reshape(2, 5)
    got = pos.rotary(x, at)
    for b in range(2):
        np.testing.assert_allclose(got[b], pos.rotary(x[b], at[b]))


def test_rotary_pins_its_errors():
    with pytest.raises(
        ValueError,
        match=r"^x and positions must agree in tokens: got x=3, positions=2$",
    ):
        pos.rotary(normal(3, 4), [0, 1])
    with pytest.raises(ValueError, match="dim must be even"):
        pos.rotary(normal(3, 5), [0, 1, 2])
    with pytest.raises(ValueError, match="leading axes of x and positions"):
        pos.rotary(normal(2, 3, 4), np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"x must have axes \(..., tokens"):
        pos.rotary(np.zeros(4), [0])


# ALiBi -------------------------------------------------------------------


def authors_slopes(heads):
    """The recursion of the published code, in our words."""

    def power(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(heads).is_integer():
        return power(heads)
    closest = 2 ** math.floor(math.log2(heads))
    rest = authors_slopes(2 * closest)[0::2][: heads - closest]
    return power(closest) + rest


@pytest.mark.parametrize("heads", range(1, 41))
def test_alibi_slopes_match_the_authors_recursion(heads):
    slopes = pos.alibi_slopes(heads)
    np.testing.assert_allclose(slopes, authors_slopes(heads), rtol=1e-14)
    assert len(set(slopes)) == heads  # no two heads alike


def test_alibi_slopes_of_eight_heads_are_halves_of_one_another():
    assert pos.alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]


def test_alibi_bias_matches_a_loop_and_knows_the_distance_only():
    slopes, queries, keys = [0.5, 0.25], [6, 2, 9], [0, 6, 3, 5, 1]
    bias = pos.alibi_bias(slopes, queries, keys)
    assert bias.shape == (2, 3, 5)
    for h, i, j in np.ndindex(2, 3, 5):
        assert bias[h, i, j] == -slopes[h] * abs(queries[i] - keys[j])
    moved = pos.alibi_bias(slopes, np.add(queries, 70), np.add(keys, 70))
    assert (moved == bias).all()


def test_under_a_causal_mask_slope_times_key_position_is_the_same_bias():
    at, scores = np.arange(7), normal(1, 7, 7)
    mask = np.tril(np.ones((7, 7), bool))
    np.testing.assert_allclose(
        masked_softmax(scores + pos.alibi_bias([0.3], at, at), mask),
        masked_softmax(scores + 0.3 * at, mask),
        atol=1e-13,
    )


def test_alibi_bias_takes_positions_for_each_example():
    queries, keys = np.array([[3], [9]]), np.array([[1, 5], [1, 5]])
    bias = pos.alibi_bias([1.0, 2.0, 4.0], queries, keys)
    assert bias.shape == (2, 3, 1, 2)
    assert bias[1, 2, 0].tolist() == [-32.0, -16.0]
    with pytest.raises(ValueError, match="leading axes of query_positions"):
        pos.alibi_bias([1.0], np.zeros((2, 3)), np.zeros((5, 3)))


def test_alibi_refuses_no_heads():
    with pytest.raises(ValueError, match=r"^heads must be at least 1: got 0$"):
        pos.alibi_slopes(0)
    with pytest.raises(TypeError, match="heads must be a whole number"):
        pos.alibi_slopes(2.0)


# Attention with a bias ---------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(0, 5),
    keys=st.integers(1, 7),
    masked=st.booleans(),
)
def test_biased_attention_agrees_with_torch(seed, queries, keys, masked):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(2, 3, queries, 4))
    k, v = rng.normal(size=(2, 3, keys, 4)), rng.normal(size=(2, 1, keys, 5))
    bias = rng.normal(size=(3, queries, keys))
    mask = rng.random((queries, keys)) < 0.7
    mask[:, 0] = True  # torch has no contract for rows that see nothing
    shown = np.where(mask, bias, -np.inf) if masked else bias
    expected = torch.nn.functional.scaled_dot_product_attention(
        torch.tensor(q),
        torch.tensor(k),
        torch.tensor(v).expand(2, 3, keys, 5),
        attn_mask=torch.tensor(shown),
    )
    got = pos.biased_attention(q, k, v, bias, mask=mask if masked else None)
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-12)


def test_biased_attention_keeps_the_contract_of_masks():
    q, k, v = normal(3, 4), normal(5, 4, seed=1), normal(5, 2, seed=2)
    k[4], v[4] = np.nan, np.inf
    bias = normal(3, 5, seed=3)
    bias[:, 4] = np.nan
    mask = np.ones((3, 5), bool)
    mask[:, 4] = mask[1] = False
    got = pos.biased_attention(q, k, v, bias, mask=mask)
    assert (got[1] == 0).all()
    rest = pos.biased_attention(q, k[:4], v[:4], bias[:, :4])
    np.testing.assert_allclose(got[[0, 2]], rest[[0, 2]])
    one_row = pos.biased_attention(q, k, v, bias, mask=mask[:1])
    np.testing.assert_allclose(one_row, rest)


def test_a_bias_of_zero_changes_nothing_and_a_constant_neither():
    q, k, v = normal(3, 4), normal(5, 4, seed=1), normal(5, 2, seed=2)
    plain = attention(q, k, v)
    for constant in (0.0, 1e4, -1e4):
        got = pos.biased_attention(q, k, v, np.full((3, 5), constant))
        np.testing.assert_allclose(got, plain, atol=1e-11)


def test_biased_attention_pins_its_errors():
    q, k, v, bias = normal(3, 4), normal(5, 4), normal(5, 2), normal(3, 5)
    with pytest.raises(ValueError, match="q and k must agree in dim"):
        pos.biased_attention(q, normal(5, 3), v, bias)
    with pytest.raises(ValueError, match="k and v and bias must agree in key"):
        pos.biased_attention(q, k, v, normal(3, 4))
    with pytest.raises(ValueError, match="q and bias must agree in queries"):
        pos.biased_attention(q, k, v, normal(1, 5))
    with pytest.raises(ValueError, match="leading axes of q and k and v"):
        pos.biased_attention(q, normal(2, 5, 4), v, normal(3, 3, 5))
    with pytest.raises(TypeError, match="mask must be boolean"):
        pos.biased_attention(q, k, v, bias, mask=np.ones((3, 5)))


def test_a_mask_may_not_add_queries_or_keys():
    q, k, v, bias = normal(1, 4), normal(1, 4), normal(1, 2), normal(1, 1)
    with pytest.raises(
        ValueError, match="q and mask must agree in queries: got q=1, mask=3"
    ):
        pos.biased_attention(q, k, v, bias, mask=np.ones((3, 1), bool))
    with pytest.raises(
        ValueError, match="k and mask must agree in keys: got k=1, mask=3"
    ):
        pos.biased_attention(q, k, v, bias, mask=np.ones((1, 3), bool))


# Leading axes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("queries", "keys"),
    [((2, 1, 3), (5,)), ((7, 3), (2, 7, 5)), ((2, 7, 3), (7, 5))],
)
def test_positions_of_queries_and_keys_may_differ_in_leading_axes(
    queries, keys
):
    at_query = np.arange(math.prod(queries)).reshape(queries)
    at_key = np.arange(math.prod(keys)).reshape(keys)
    distances = at_key[..., None, :] - at_query[..., :, None]
    index = pos.relative_index(at_query, at_key, clip=4)
    assert (index == np.clip(distances, -4, 4) + 4).all()
    bias = pos.alibi_bias([2.0], at_query, at_key)
    assert (bias[..., 0, :, :] == -2.0 * abs(distances)).all()


@pytest.mark.parametrize(
    "alone", ["q", "k", "v", "bias", "mask", "index", "weights"]
)
def test_one_argument_alone_may_have_leading_axes(alone):
    sizes = {
        "q": (3, 4),
        "k": (5, 4),
        "v": (5, 7),
        "bias": (3, 5),
        "mask": (3, 5),
        "index": (3, 5),
        "weights": (3, 5),
    }
    given = {
        name: normal(*((11, 2) if name == alone else ()), *size, seed=9)
        for name, size in sizes.items()
    }
    given["mask"] = given["mask"] > -1
    given["index"] = (given["index"] > 0).astype(int)
    at_key, at_value = normal(2, 4), normal(2, 7)

    def outputs(q, k, v, bias, mask, index, weights):
        yield pos.biased_attention(q, k, v, bias, mask=mask)
        yield pos.relative_scores(q, k, at_key, index)
        yield pos.relative_values(weights, v, at_value, index)

    def pick(name, place):
        return given[name][place] if name == alone else given[name]

    for place in ((0, 0), (10, 1)):
        singles = outputs(*(pick(name, place) for name in given))
        for whole, single in zip(
            outputs(*given.values()), singles, strict=True
        ):
            np.testing.assert_allclose(
                whole[place] if whole.ndim == 4 else whole, single
            )


# What every function takes -----------------------------------------------

CALLS = [
    (pos.sinusoidal, (np.arange(5),), {"dim": 4}),
    (pos.learned, (normal(7, 4), np.arange(5)), {}),
    (pos.relative_index, (np.arange(5), np.arange(5)), {"clip": 2}),
    (pos.relative_bias, (normal(2, 7), np.arange(6).reshape(2, 3)), {}),
    (pos.rotary, (normal(5, 4), np.arange(5)), {}),
    (pos.alibi_bias, (normal(3), np.arange(5), np.arange(2)), {}),
    (
        pos.relative_scores,
        (normal(2, 4), normal(3, 4), normal(7, 4), np.ones((2, 3), int)),
        {},
    ),
    (
        pos.relative_values,
        (normal(2, 3), normal(3, 5), normal(7, 5), np.ones((2, 3), int)),
        {},
    ),
    (
        pos.biased_attention,
        (normal(2, 4), normal(3, 4), normal(3, 5), normal(2, 3)),
        {},
    ),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_lists_tensors_views_and_single_precision_are_all_read(
    function, args, kwargs
):
    expected = function(*args, **kwargs)

    def strided(value):
        wide = np.repeat(value, 2, axis=-1)
        wide.flags.writeable = False
        return wide[..., ::2]

    kept = [np.array(a) for a in args]
    assert (function(*map(strided, args), **kwargs) == expected).all()
    lists = function(*(a.tolist() for a in args), **kwargs)
    assert (lists == expected).all()
    tensors = function(*(torch.tensor(a) for a in args), **kwargs)
    assert (tensors == expected).all()
    single = function(
        *(a.astype("f4") if a.dtype.kind == "f" else a for a in args), **kwargs
    )
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5)
    assert single.dtype == expected.dtype
    assert all((a == b).all() for a, b in zip(args, kept, strict=True))


def test_words_and_ragged_lists_are_refused():
    with pytest.raises(TypeError, match="positions must hold real numbers"):
        pos.rotary(normal(1, 4), ["first"])
    with pytest.raises(TypeError, match="x must be an array of real numbers"):
        pos.rotary([[1.0, 2.0], [3.0]], [0, 1])
