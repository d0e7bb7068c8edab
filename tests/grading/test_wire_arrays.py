"""An array arrives with its numbers, its layout, and nobody else's memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from attncourse.grading.inside import wire
from attncourse.grading.inside.wire import (
    Handle,
    TooLarge,
    WireError,
    decode,
    encode,
)

DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    arrays.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    arrays.datetime64_dtypes(endianness="?"),
    arrays.timedelta64_dtypes(endianness="?"),
    arrays.byte_string_dtypes(min_len=1),
    arrays.unicode_string_dtypes(endianness="?", min_len=1),
)


def is_valid(array):
    """Whether all text is Unicode: half a character does not cross."""
    if array.dtype.kind != "U":
        return True
    letters = array.ravel().view(array.dtype.str[0] + "u4")
    return not ((letters >= 0xD800) & (letters <= 0xDFFF)).any()


WHOLE = arrays.arrays(
    DTYPES, arrays.array_shapes(min_dims=0, min_side=0)
).filter(is_valid)


@st.composite
def views(draw):
    """Arrays in any layout: slices, reversed, transposed, broadcast."""
    array = draw(WHOLE)
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    steps = [st.sampled_from([1, 1, 2, 3, -1, -2]) for _ in array.shape]
    array = array[(..., *(slice(None, None, draw(step)) for step in steps))]
    if draw(st.booleans()):
        array = np.broadcast_to(array, (3, *array.shape))
    return array


def crossed(array):
    return decode(encode(array))


def same_numbers(left, right):
    return left.dtype == right.dtype and (left.tobytes() == right.tobytes())


def moving_strides(array):
    """The strides that matter: of axes along which one can move."""
    return [
        stride
        for size, stride in zip(array.shape, array.strides, strict=True)
        if size > 1
    ]


@given(views())
@settings(max_examples=200, deadline=None)
def test_any_view_arrives_with_its_numbers_and_its_layout(array):
    there = crossed(array)
    assert type(there) is np.ndarray
    assert there.shape == array.shape
    assert same_numbers(there, array)
    assert there.flags.c_contiguous == array.flags.c_contiguous
    assert there.flags.f_contiguous == array.flags.f_contiguous
    assert there.flags.writeable == array.flags.writeable
    if array.size:
        assert moving_strides(there) == moving_strides(array)


@pytest.mark.slow
@given(views())
@settings(max_examples=2000, deadline=None)
def test_very_many_views_arrive(array):
    there = crossed(array)
    assert same_numbers(there, array)
    if array.size:
        assert moving_strides(there) == moving_strides(array)


def test_what_lies_between_a_view_s_numbers_is_not_sent():
    held = np.arange(35.0).reshape(5, 7)
    message = encode(held[:, ::2])
    there = decode(message)
    assert there.strides == (56, 16)
    assert np.float64(8).tobytes() not in message
    assert np.isnan(whole(there)[1])


def whole(view):
    """The memory that a view lies in, as numbers."""
    return view.base.view(view.dtype)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "i4", "?", "U3"])
def test_the_gaps_can_be_looked_into(dtype):
    there = crossed(np.ones(14, dtype)[::2])
    memory = np.lib.stride_tricks.as_strided(there, (13,), (there.itemsize,))
    assert len(repr(memory.tolist())) > 0
    assert memory[1] != memory[0] or dtype == "?"


def test_a_broadcast_array_is_sent_once():
    small = np.broadcast_to(np.arange(5.0), (7, 11, 5))
    assert len(encode(small)) < 200
    assert crossed(small).strides == (0, 0, 8)


def test_a_broadcast_array_counts_as_large_as_it_is():
    with pytest.raises(TooLarge):
        encode(np.broadcast_to(np.float64(1), (1 << 24,)))


def test_a_window_over_an_array_keeps_its_overlap():
    window = np.lib.stride_tricks.sliding_window_view(np.arange(9.0), 3)
    there = crossed(window)
    assert there.strides == (8, 8)
    assert (there == window).all()
    assert there.base.nbytes == 72


def test_a_view_of_a_far_larger_array_arrives_with_narrower_gaps():
    held = np.ones((3000, 2000))
    for view in (held[::7, ::11], held[:, :3], held[::-9, 5], held.T[::3, :2]):
        there = crossed(view)
        assert same_numbers(there, view)
        assert not there.flags.c_contiguous
        assert not there.flags.f_contiguous
        assert (
            np.sign(there.strides).tolist() == np.sign(view.strides).tolist()
        )
        assert order(there) == order(view)
        assert there.base.nbytes <= 3 * view.nbytes


def signs(array):
    return np.sign(array.strides).tolist()


def order(array):
    return np.argsort(np.abs(array.strides)).tolist()


def test_an_unaligned_array_arrives():
    record = np.zeros(5, np.dtype([("mark", "u1"), ("number", "f8")]))
    record["number"] = np.arange(5)
    there = crossed(record["number"])
    assert there.strides == (9,)
    assert there.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("error")
def test_arrays_that_were_broadcast_together_arrive_without_warning():
    left, right = np.broadcast_arrays(np.ones((3, 1)), np.ones((1, 5)))
    for array in (left, right):
        assert crossed(array).strides == array.strides


def test_an_array_owns_its_memory_there():
    for array in (np.ones((3, 5)), np.ones((3, 5)).T):
        assert crossed(array).flags.owndata


@pytest.mark.parametrize("array", [np.ones(3), np.ones(6)[::2]])
def test_a_read_only_array_is_read_only_there(array):
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        crossed(array)[0] = 1


@pytest.mark.parametrize(
    "array",
    [np.array([len, 1]), np.zeros(3, [("a", "f8")]), np.zeros(3, "V5")],
)
def test_an_array_of_objects_or_records_stays_on_its_side(array):
    with pytest.raises(WireError, match="type ndarray cannot cross"):
        encode(array)
    stand_in = Handle(1, "object", "ndarray")
    there = decode(encode([array, [2], array], handle=lambda thing: stand_in))
    assert there == [stand_in, [2], stand_in]


def test_an_array_of_too_many_axes_does_not_cross():
    with pytest.raises(WireError, match="at most 32 axes"):
        encode(np.zeros((1,) * 33))


# ---- messages that lie


def message(code, head, shape, *rest):
    head = (
        bytes(head)
        + b"".join((n % 2**64).to_bytes(8, "little") for n in shape)
        + code
    )
    parts = [b"\xa7\x01A", len(head).to_bytes(2, "little"), head]
    numbers = [n for n in rest if isinstance(n, int)]
    raw = b"".join(part for part in rest if isinstance(part, bytes))
    parts += [(n % 2**64).to_bytes(8, "little") for n in numbers]
    return b"".join(parts) + raw


@pytest.mark.parametrize(
    "lie",
    [
        message(b"<f8", (0, 1, 1), (2,), bytes(8)),
        message(b"<f8", (0, 1, 1), (1,), bytes(9)),
        message(b"<f8", (0, 1, 1), (-1,), bytes(8)),
        message(b"<f8", (0, 1, 2), (2**62, 4), bytes(8)),
        message(b"<f8", (0, 1, 2), (2**32, 2**32)),
        message(b"<f8", (0, 1, 2), (0, 2**62)),
        message(b"<f8", (3, 1, 1), (1,), bytes(8)),
        message(b"<f8", (0, 2, 1), (1,), bytes(8)),
        message(b"<f8", (0, 1, 33), (1,) * 33, bytes(8)),
        message(b"<f8", (2, 1, 1), (2,), 2**62, bytes(16)),
        message(b"<f8", (2, 1, 1), (2,), -(2**63), bytes(16)),
        message(b"<f8", (2, 1, 2), (3, 3), 2**63 - 1, 2**63 - 1, bytes(72)),
        message(b"<f8", (2, 1, 1), (2**40,), 0, bytes(8)),
        message(b"<f8", (2, 1, 2), (0, 2), 8, 8),
        message(b"|O", (0, 1, 1), (1,), bytes(8)),
        message(b"|O8", (0, 1, 1), (1,), bytes(8)),
        message(b"f8,f8", (0, 1, 1), (1,), bytes(16)),
        message(b"<U9999999", (0, 1, 1), (1,)),
        message(b"<U0", (0, 1, 1), (2**40,)),
        message(b"|S0", (0, 1, 1), (2**40,)),
        message(b"<M8[2000000000s]", (0, 1, 1), (1,), bytes(8)),
        message(b"\xff\xfe", (0, 1, 1), (1,), bytes(8)),
        message(b"|b1", (0, 1, 1), (2,), b"\1\2"),
        message(b"<U1", (0, 1, 1), (1,), b"\0\0\x11\0"),
        message(b">U1", (0, 1, 1), (1,), b"\xff\xff\xff\xff"),
        message(b"<U1", (0, 1, 1), (1,), b"\0\xd8\0\0"),
    ],
)
def test_an_array_that_lies_about_itself_is_refused_at_no_cost(lie):
    tracemalloc.start()
    try:
        with pytest.raises(WireError) as caught:
            decode(lie)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.__cause__ is None


def test_the_tests_own_messages_are_read_where_they_tell_the_truth():
    honest = message(b"<f8", (0, 1, 1), (2,), bytes(16))
    assert decode(honest).tolist() == [0, 0]
    strided = message(b"<i2", (2, 0, 1), (3,), -4, b"\1\0\2\0\3\0")
    assert decode(strided).strides == (-4,)
    assert decode(strided).tolist() == [1, 2, 3]


def test_scalars_that_lie_are_refused():
    for lie in (b"\x03|b1\2", b"\x03|S1a", b"\x03<f8", b"\0", b"\x03|O8"):
        with pytest.raises(WireError):
            decode(b"\xa7\x01n" + lie)
    assert wire.decode(b"\xa7\x01n\x03|b1\1") == np.True_
