"""Values cross as they are, and nothing else crosses."""

import copy
import enum
import math
import time
from collections import Counter, OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncourse.grading.inside import wire
from attncourse.grading.inside.wire import (
    Callback,
    Handle,
    Raised,
    TooLarge,
    WireError,
    WireLimits,
    decode,
    encode,
)


def crossed(value, **options):
    return decode(encode(value, **options))


def same(left, right):
    """Whether two values are the same, type by type and bit by bit."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray | np.generic):
        return left.dtype == right.dtype and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, slice):
        return same(left.__reduce__()[1], right.__reduce__()[1])
    return left == right


NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**4000), 2**4000),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
)
LEAVES = NUMBERS | st.text() | st.binary() | st.just(...)
KEYS = LEAVES | st.tuples(LEAVES, LEAVES)
VALUES = st.recursive(
    LEAVES
    | st.just(math.nan)
    | st.slices(7)
    | st.sets(KEYS)
    | st.frozensets(KEYS)
    | st.floats(width=32, allow_nan=False).map(np.float32)
    | st.integers(-9, 9).map(range),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
    ),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_plain_values_arrive_as_they_were(value):
    assert same(crossed(value), value)


@pytest.mark.slow
@given(VALUES)
@settings(max_examples=2000, deadline=None)
def test_very_many_plain_values_arrive_as_they_were(value):
    assert same(crossed(value), value)


@pytest.mark.parametrize(
    "number",
    [
        *(0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**4095),
        *(-0.0, math.inf, -math.inf, 5e-324, complex(-0.0, math.inf)),
    ],
)
def test_numbers_at_the_edges_arrive(number):
    assert same(crossed(number), number)
    assert same(crossed([number] * 3), [number] * 3)


def test_an_int_beyond_the_limit_does_not_cross():
    with pytest.raises(TooLarge, match="at most 4096 bits: got 4097"):
        encode(2**4096)


def test_a_list_of_numbers_costs_eight_bytes_a_number():
    assert len(encode([0.5] * 1000)) < 8 * 1000 + 20
    assert len(encode(list(range(1000)))) < 8 * 1000 + 20


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (namedtuple("Pair", "left right")(1, 2), (1, 2)),
    ],
)
def test_the_library_s_containers_arrive_as_plain_ones(value, base):
    packed = wire.pack(value)
    assert same(decode(packed.data), base)
    assert packed.subclasses == ()


def test_the_order_of_an_ordered_dictionary_is_its_own():
    value = OrderedDict(a=1, b=2)
    value.move_to_end("a")
    assert list(crossed(value)) == ["b", "a"]


@pytest.mark.parametrize(
    "kind",
    [
        *(int, float, list, dict, object, type(None)),
        *(np.float32, np.int64, np.bool_, np.ndarray, np.floating),
    ],
)
def test_well_known_types_arrive_as_themselves(kind):
    assert crossed(kind) is kind


@pytest.mark.parametrize("code", ["<f4", ">f8", "|b1", "<U7", "<M8[25s]"])
def test_dtypes_arrive(code):
    assert crossed(np.dtype(code)) == np.dtype(code)


@pytest.mark.parametrize(
    "scalar",
    [
        *(np.float64(0.1), np.int8(-3), np.bool_(True), np.complex64(1j)),
        *(np.str_("é"), np.bytes_(b"\0a"), np.float16(2), np.uint64(2**63)),
        *(np.datetime64("2020-01-02"), np.timedelta64(3, "ms")),
        *(np.longdouble(0.5), np.str_(""), np.bytes_(b"")),
    ],
)
def test_numpy_scalars_arrive_as_numpy_scalars(scalar):
    assert same(crossed(scalar), scalar)
    assert same(crossed({scalar: 1}), {scalar: 1})


# ---- handles, callbacks, exceptions


def test_what_is_not_plain_crosses_by_handle():
    def handle(thing):
        return Handle(7, "function", thing.__name__, "def len(...)")

    assert crossed([len], handle=handle) == [
        Handle(7, "function", "len", "def len(...)")
    ]
    assert decode(
        encode([len], handle=handle), resolve=lambda it: (it.id, it.name)
    ) == [(7, "len")]


def test_a_function_crosses_as_a_callback():
    message = encode((1, max), handle=lambda thing: Callback(3, "max"))
    assert decode(message, resolve={Callback(3, "max"): max}.get) == (1, max)


@pytest.mark.parametrize("thing", [len, open, object(), (x for x in ())])
def test_without_a_handle_what_is_not_plain_does_not_cross(thing):
    with pytest.raises(WireError, match=r"of type .* cannot cross"):
        encode([thing])


def test_who_gives_handles_may_refuse():
    def handle(thing):
        raise WireError(f"a value of type {type(thing)} cannot cross")

    with pytest.raises(WireError, match="function"):
        encode(len, handle=handle)


def test_an_exception_crosses_as_what_is_told_of_it():
    class Sad(KeyError):
        pass

    raised = Raised.of(Sad("why\ud800"), 12)
    assert raised == Raised("Sad", "KeyError", "'why\\ud800'", 12)
    assert crossed(raised) == raised
    assert raised.type is KeyError
    assert crossed(Raised("E")) == Raised("E")


def test_an_exception_that_cannot_tell_of_itself_is_told_of():
    class Meta(type):
        def __eq__(self, other):
            raise SystemExit

        __hash__ = None

    class Hostile(ValueError, metaclass=Meta):
        def __str__(self):
            raise SystemExit

    raised = Raised.of(Hostile())
    assert (raised.name, raised.mro_builtin) == ("Hostile", "ValueError")
    assert "cannot be read" in raised.message


def test_long_texts_of_handles_and_exceptions_are_cut():
    text = crossed(Raised("E", "ValueError", "é" * 10**6)).message
    assert text == "é" * 20_000
    name = crossed(Handle(1, "object", "\ud800" * 300)).name
    assert len(name) == 200


# ---- the same twice, cycles, limits


@pytest.mark.parametrize("thing", [[1], {"a": 1}, {1}, np.ones(3)])
def test_what_is_sent_twice_is_one_object_there(thing):
    first, other, again = crossed((thing, copy.copy(thing), thing))
    assert first is again
    assert first is not other
    assert same(first, thing)


def test_a_generator_that_is_sent_twice_is_one_generator_there():
    left, right = crossed([np.random.default_rng(5)] * 2)
    assert left is right


def test_a_cycle_does_not_cross():
    cycle = {"a": []}
    cycle["a"].append((cycle,))
    with pytest.raises(WireError, match="contains itself"):
        encode(cycle)


def test_nesting_has_a_limit_on_both_sides():
    deep = ["a"]
    for _ in range(15):
        deep = [deep]
    message = encode(deep)
    assert decode(message) == deep
    with pytest.raises(WireError, match="at most 3 deep"):
        decode(message, limits=WireLimits(depth=3))
    with pytest.raises(WireError, match="at most 16 deep"):
        encode([deep])


def test_a_message_is_no_longer_than_its_limit():
    for value in (b"a" * 100, "a" * 100, np.ones(20), ["abc"] * 20):
        with pytest.raises(TooLarge):
            encode(value, limit=90)
        message = encode(value)
        with pytest.raises(TooLarge):
            decode(message, limits=WireLimits(bytes=90))


def test_small_lists_of_lists_cannot_unfold_to_a_large_one():
    value = ["ha"]
    for _ in range(9):
        value = [value] * 10
    with pytest.raises(TooLarge, match="values"):
        encode(value)
    message = bytearray(b"\xa7\x01")
    for _ in range(8):
        message += b"l" + (10).to_bytes(8, "little") + b"m"
    message += b"l" + bytes(8) + b"m"
    for place in range(8, 0, -1):
        again = b"&" + place.to_bytes(8, "little")
        message += 9 * again
    with pytest.raises(TooLarge, match="values"):
        decode(bytes(message))


def test_one_array_mentioned_often_counts_as_often():
    value = [np.zeros(1 << 20)] * 9
    with pytest.raises(TooLarge, match="arrays hold at most"):
        encode(value)
    assert len(crossed(value[:8])) == 8


@pytest.mark.parametrize("length", [2**21, 2**80])
def test_a_range_too_long_to_be_laid_out_does_not_cross(length):
    with pytest.raises(TooLarge):
        encode(range(length))


@pytest.mark.parametrize(
    "value", [{len: 1}, {(1, (2, len)): 3}, {object()}, {(1, range(3)): 2}]
)
def test_keys_are_plain_data(value):
    with pytest.raises(WireError, match="key must be plain"):
        encode(value, handle=lambda thing: Handle(1))


def test_a_text_that_is_not_unicode_does_not_cross():
    with pytest.raises(WireError, match="valid Unicode"):
        encode("\ud800")


# ---- values of subclasses


class Equal(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__

    def __float__(self):
        return 99.0


class Words(str):
    def encode(self, *args):
        return b"lies"

    def __len__(self):
        return 0


class Growing(list):
    def __iter__(self):
        while True:
            yield 1

    def __len__(self):
        return 1 << 60


class Table(dict):
    def items(self):
        raise SystemExit


class Odd(np.ndarray):
    def __array_finalize__(self, parent):
        if parent is not None and type(parent) is not Odd:
            return
        raise SystemExit

    def tobytes(self, *args):
        return b""

    @property
    def shape(self):
        raise SystemExit

    dtype = flags = strides = shape


class Colour(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Equal(0.5), 0.5),
        (Words("true"), "true"),
        (Growing([1, "b"]), [1, "b"]),
        (Table(a=1), {"a": 1}),
        (np.arange(3.0).view(Odd), np.arange(3.0)),
        (Colour.RED, 3),
        (type("B", (bytes,), {})(b"ab"), b"ab"),
        (type("S", (set,), {})([1]), {1}),
        (type("C", (complex,), {"real": 7})(1, 2), 1 + 2j),
        (type("N", (np.float64,), {})(0.25), np.float64(0.25)),
    ],
)
def test_a_subclass_arrives_as_its_base_s_value_and_is_reported(value, base):
    packed = wire.pack([value])
    assert same(decode(packed.data), [base])
    assert packed.subclasses == (type(value).__name__,)


def test_what_misbehaves_when_looked_at_does_not_cross():
    class Meta(type):
        def __getattribute__(self, name):
            raise RuntimeError("go away")

        def __hash__(self):
            raise RuntimeError("go away")

    class Hostile(metaclass=Meta):
        @property
        def __class__(self):
            raise RuntimeError("go away")

    with pytest.raises(WireError, match="type Hostile cannot cross"):
        encode(Hostile())


# ---- time


def test_ten_small_arrays_take_well_below_a_millisecond():
    value = {"args": [np.random.rand(7, 5) for _ in range(10)]}
    message = encode(value)
    for work, thing in ((encode, value), (decode, message)):
        assert fastest(work, thing) < 3e-4  # 45 us, on a quiet machine


def fastest(work, thing, tries=20, repeats=20):
    best = 9.0
    for _ in range(tries):
        start = time.perf_counter()
        for _ in range(repeats):
            work(thing)
        best = min(best, (time.perf_counter() - start) / repeats)
    return best
