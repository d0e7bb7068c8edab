"""The equivalence web holds, and each of its rows says something."""

import numpy as np
import pytest

from attncourse.equivalences import TABLE, Equivalence

NAMES = [f"{row.left} = {row.right} ({row.when})" for row in TABLE]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_both_ways_agree(row, seed):
    assert row.difference(np.random.default_rng(seed)) < 1e-11


@pytest.mark.parametrize("row", TABLE, ids=NAMES)
def test_what_is_compared_depends_on_the_draw_and_is_not_constant(row):
    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    first, second = (
        row.compute(lambda *shape, rng=rng: rng.normal(size=shape))
        for rng in rngs
    )
    assert first[0].size > 4
    assert not np.array_equal(first[1], second[1])
    assert np.ptp(first[1]) > 0


def test_no_two_rows_are_the_same():
    assert len(set(NAMES)) == len(TABLE)


def test_a_row_that_does_not_hold_is_noticed():
    def wrong(draw):
        x = draw(3, 4)
        return x, 1.000001 * x

    row = Equivalence("one thing", "another", "never", wrong)
    assert row.difference(np.random.default_rng(0)) > 1e-7
    crossed = Equivalence("a", "b", "", lambda draw: (draw(3, 1), draw(1, 3)))
    with pytest.raises(ValueError, match="both ways must give one shape"):
        crossed.difference(np.random.default_rng(0))


def test_most_mechanisms_lead_to_dense_attention():
    joined = {"dense attention", "causal attention"}
    for _ in TABLE:
        for row in TABLE:
            if {row.left, row.right} & joined:
                joined |= {row.left, row.right}
    assert len(joined) >= 20
