"""Arguments that come back with an answer: as they were, or changed."""

import numpy as np
import pytest

from attncourse.grading.inside import wire_tags as tag
from attncourse.grading.inside.arguments import pack, unpack
from attncourse.grading.inside.wire import TooLarge, WireError, WireLimits
from attncourse.grading.inside.writing import written_back


def there_and_back(given, call):
    """Send arguments, call with what arrives, return what comes back."""
    asked = pack(given, {"do": "call"})
    arrived, request = unpack(asked.data)
    assert request == {"do": "call"}
    args, kwargs = arrived.value
    reply = {"value": call(*args, **kwargs)}
    answer = pack(arrived.value, reply, before=arrived)
    came, told = unpack(answer.data, before=asked.arguments)
    return came.value, told["value"], answer.data


def test_arguments_that_nothing_has_changed_come_back_in_one_byte():
    given = (np.arange(1000.0), [1.5, {"a": np.ones(3)}]), {"scale": 2.0}
    came, value, data = there_and_back(given, lambda x, y, scale: scale)
    assert came is given
    assert value == 2.0
    assert len(data) < 100


def zeroed(x):
    x[0] = 0.0


def locked(x):
    x.flags.writeable = False


def emptied(x):
    x.shape = (1, 4)


@pytest.mark.parametrize("change", [zeroed, locked, emptied])
def test_an_argument_that_a_call_has_changed_comes_back_changed(change):
    mine = np.ones(4)
    (args, _), _, _ = there_and_back(((mine,), {}), change)
    assert args[0] is not mine
    expected = np.ones(4)
    change(expected)
    assert args[0].shape == expected.shape
    assert args[0].flags.writeable == expected.flags.writeable
    assert (args[0] == expected).all()
    assert (mine == 1.0).all()


def test_a_list_that_a_call_appends_to_comes_back_longer():
    mine = [1.0]
    given = (mine,), {}
    came, value, _ = there_and_back(given, lambda x: x.append(2.0))
    assert written_back(value, came, *given, lambda _: None) is None
    assert mine == [1.0, 2.0]


@pytest.mark.parametrize("changed", [False, True])
def test_a_value_that_is_an_argument_is_the_callers_own(changed):
    mine, other = np.ones(3), [np.zeros(2)]

    def call(x, y):
        if changed:
            x[0] = 5.0
        return x, y[0], {"again": y}

    given = (mine, other), {}
    came, value, _ = there_and_back(given, call)
    value = written_back(value, came, *given, lambda _: None)
    assert value[0] is mine
    assert value[1] is other[0]
    assert value[2]["again"] is other or changed
    assert mine[0] == (5.0 if changed else 1.0)


def test_what_is_mentioned_often_costs_as_often():
    given = (np.ones(100),), {}
    asked = pack(given, {"do": "call"})
    arrived, _ = unpack(asked.data)
    many = {"value": [arrived.value[0][0]] * 100}
    answer = pack(arrived.value, many, before=arrived)
    small = WireLimits(bytes=50_000)
    with pytest.raises(TooLarge, match="arrays hold at most"):
        unpack(answer.data, before=asked.arguments, limits=small)


def test_nobody_can_say_the_same_of_arguments_that_were_not_sent():
    lie = tag.MAGIC + tag.SAME + tag.NONE
    with pytest.raises(WireError):
        unpack(lie)


def test_only_what_was_sent_can_be_mentioned_again():
    asked = pack(((np.ones(2),), {}), {"do": "call"})
    places = len(asked.arguments.seen)
    again = tag.AGAIN + places.to_bytes(8, "little")
    lie = pack(None, {"value": None}).data
    assert lie.endswith(tag.NONE)
    lie = tag.MAGIC + tag.SAME + lie[3:-1] + again
    with pytest.raises(WireError, match="came before"):
        unpack(lie, before=asked.arguments)


@pytest.mark.parametrize("rest", [3, None, [1], "x"])
def test_what_else_a_message_says_is_a_dict(rest):
    with pytest.raises(WireError, match="must be a dict"):
        unpack(pack(None, rest).data)
