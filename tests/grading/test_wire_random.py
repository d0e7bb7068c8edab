"""A random generator goes on there where it was here."""

import numpy as np
import pytest

from attncourse.grading.inside import wire_random
from attncourse.grading.inside.wire import (
    Handle,
    WireError,
    decode,
    encode,
)

KINDS = ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"]


def used(kind, seed=5):
    """A generator in the middle of its buffers."""
    generator = np.random.Generator(getattr(np.random, kind)(seed))
    generator.random(7)
    generator.integers(0, 9, dtype=np.uint32)
    return generator


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_goes_on_where_it_was(kind):
    here = used(kind)
    there = decode(encode(here))
    assert type(there.bit_generator) is getattr(np.random, kind)
    assert (there.integers(0, 99, 3) == here.integers(0, 99, 3)).all()
    assert (there.standard_normal(700) == here.standard_normal(700)).all()


@pytest.mark.parametrize("seed", [5, [1, 2**70], None])
def test_its_children_are_the_same_there(seed):
    here = used("PCG64", seed)
    here.spawn(2)
    there = decode(encode(here))
    assert there.spawn(1)[0].random() == here.spawn(1)[0].random()


def test_a_generator_of_someone_s_own_bits_stays_on_its_side():
    class Mine(np.random.PCG64):
        pass

    here = np.random.Generator(Mine(3))
    with pytest.raises(WireError, match="Generator cannot cross"):
        encode(here)
    assert decode(encode(here, handle=lambda it: Handle(1))) == Handle(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_beyond_its_range_is_refused(kind):
    name, parts, seed = wire_random.generator_state(used(kind))
    ends = np.cumsum([c or 1 for _, c, _ in wire_random._FORMS[name]])
    bounds = [bound for _, _, bound in wire_random._FORMS[name]]
    for place, bound in zip(ends - 1, bounds, strict=True):
        for value in (bound, -1, 1.0, True, None):
            lie = list(parts)
            lie[place] = value
            with pytest.raises(WireError):
                wire_random.generator_from((name, tuple(lie), seed))


@pytest.mark.parametrize(
    "lie",
    [
        None,
        ("PCG64",),
        ("Generator", (1, 1, 0, 0), None),
        (["PCG64"], (1, 1, 0, 0), None),
        ("PCG64", (1, 1, 0), None),
        ("PCG64", (1, 1, 0, 0), (0, (), 4)),
        ("PCG64", (1, 1, 0, 0), (-1, (), 4, 0)),
        ("PCG64", (1, 1, 0, 0), (0, (2**40,), 4, 0)),
        ("PCG64", (1, 1, 0, 0), (0, (1,) * 65, 4, 0)),
        ("PCG64", (1, 1, 0, 0), (0, (), 10**9, 0)),
        ("PCG64", (1, 1, 0, 0), ("a", (), 4, 0)),
        ("PCG64", (1, 1, 0, 0), (0, (), 4, -1)),
    ],
)
def test_what_is_no_state_is_refused(lie):
    with pytest.raises(WireError):
        wire_random.generator_from(lie)
