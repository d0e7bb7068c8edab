"""What masks, heads, rotary and cost show is what the package computes."""

import numpy as np
import pytest

from attncourse.explorers import cost, heads, masks, rotary
from attncourse.reference.cost import attention_flops
from attncourse.reference.cost_parts import AttentionSizes
from attncourse.reference.heads import head_weights
from attncourse.reference.linear import recurrent_attention
from attncourse.reference.masks import (
    causal_mask,
    strided_mask,
    unite_masks,
    window_mask,
)


def step(pattern, operator, size=1):
    return {"pattern": pattern, "operator": operator, "size": size}


def test_steps_are_joined_from_the_first_to_the_last():
    one = masks.composed([step("causal", "and"), step("window", "or not", 2)])
    other = masks.composed(
        [step("window", "or not", 2), step("causal", "and")]
    )
    causal, window = causal_mask(8, 8), window_mask(8, 8, window=2)
    assert np.array_equal(one, causal | ~window)
    assert np.array_equal(other, ~window & causal)
    assert not np.array_equal(one, other)


def test_causal_without_ones_own_place_blinds_the_first_query():
    steps = [step("causal", "and"), step("window", "and not", 1)]
    shown = masks.summary(steps, {})
    assert shown["blind"] == [0]
    assert not any(shown["weights"][0])
    assert np.allclose(np.sum(shown["weights"][1:], axis=1), 1)


def test_causal_or_padding_is_the_prefix_mask():
    made = masks.composed([step("causal", "and"), step("padding", "or", 6)])
    assert np.array_equal(made, masks.pattern("prefix", 6))


def test_every_cut_into_heads_costs_the_same_but_for_the_weights():
    cuts = heads.data()["cuts"]
    assert [each["heads"] for each in cuts] == heads.HEADS
    for each in cuts:
        assert each["heads"] * each["dim"] == heads.WIDTH
        assert each["parameters"] == 4 * heads.WIDTH**2
        assert each["operations"] == cuts[0]["operations"]
        assert each["stored"] == each["heads"] * cuts[0]["stored"]
        assert np.allclose(np.sum(each["weights"], axis=-1), 1, atol=4e-4)
        own = head_weights(
            heads.tokens(), heads.tokens(), heads.layer(), heads=each["heads"]
        )
        assert np.abs(own - each["weights"]).max() < 1e-4


def test_each_of_four_heads_does_what_its_text_says():
    before, alike, nouns, even = np.array(heads.cut(4)["weights"])
    kinds = np.array(heads.KINDS)
    assert before.argmax(axis=1).tolist()[1:] == list(range(7))
    same = kinds[:, None] == kinds
    assert alike[same].min() > alike[~same].max()
    wanted = [(0, 1), (2, 1), (1, 2)]
    for asks, gives in wanted:
        rows = nouns[kinds == asks]
        assert rows[:, kinds == gives].min() > 0.4
    assert np.allclose(even, 1 / 8)


@pytest.mark.parametrize("distance", [-7, 0, 5, 61])
def test_moving_query_and_key_together_leaves_the_score(distance):
    near = rotary.summary(64, distance, 500.0)
    far = rotary.summary(1064, distance, 500.0)
    assert np.isclose(near["score"], far["score"], rtol=1e-10)
    assert not np.allclose(near["query"], far["query"], atol=0.01)


SIZES = [
    {"tokens": 37, "width": 24, "heads": 3, "window": 5},
    {"tokens": 5, "width": 24, "heads": 3, "window": 37},
    {"tokens": 130, "width": 64, "heads": 8, "window": 13},
]


@pytest.mark.parametrize("sizes", SIZES)
def test_operations_are_counted_for_the_pairs_that_the_masks_leave(sizes):
    tokens, window = sizes["tokens"], sizes["window"]
    causal = causal_mask(tokens, tokens)
    near = window_mask(tokens, tokens, window=window)
    strides = strided_mask(tokens, tokens, stride=window) & causal
    dim = sizes["width"] // sizes["heads"]
    whole = AttentionSizes(tokens, tokens, sizes["heads"], dim)
    shown = cost.operations(**sizes)
    for name, mask in [
        ("stored", np.ones_like(causal)),
        ("causal", causal),
        ("window", near),
        ("strided", unite_masks(near, strides)),
    ]:
        assert shown[name] == attention_flops(whole, pairs=int(mask.sum()))
    assert shown["tiled"] == shown["stored"]


@pytest.mark.parametrize("sizes", SIZES)
def test_memory_is_what_the_mechanisms_hold(sizes):
    tokens, count = sizes["tokens"], sizes["heads"]
    dim = sizes["width"] // count
    shown = cost.kept(**sizes)
    assert shown["stored"] == 4 * count * tokens**2
    assert shown["tiled"] == 4 * count * tokens
    arrays = np.ones((3, count, tokens, dim))
    _, state = recurrent_attention(*arrays)
    held = 4 * (state.memory.size + state.total.size)
    assert shown["linear"] == held == cost.cache(**sizes)["linear"]


def test_a_cache_stops_growing_at_the_window():
    short = {**SIZES[0], "tokens": 4}
    assert cost.cache(**short)["window"] == cost.cache(**short)["causal"]
    long, longer = SIZES[0], {**SIZES[0], "tokens": 74}
    assert cost.cache(**long)["window"] == cost.cache(**longer)["window"]
    assert 2 * cost.cache(**long)["causal"] == cost.cache(**longer)["causal"]
