"""Whatever bytes arrive: a value of plain types, or `WireError`; soon."""

import random
import resource
import time
import tracemalloc

import numpy as np
import pytest
import torch

from attncourse.grading.inside import wire_keys
from attncourse.grading.inside import wire_tags as tag
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

SHARED = np.arange(12.0).reshape(3, 4)
HONEST = [
    {"op": "call", "args": (SHARED, SHARED[::2], SHARED.T), "kwargs": {}},
    [None, True, 1, 2**70, 0.5, 2j, "é", b"b", ..., slice(1, None), range(3)],
    {(1, "a"): {1, 2, 3}, "b": frozenset({(1, 2), b"x"}), 2**65: [1.5] * 9},
    [SHARED, [SHARED, {"again": SHARED}], np.array(["ab", "c"]), [1, 2, 3]],
    [np.float32(1), np.str_("a"), np.bytes_(b"a"), np.dtype("<f8"), float],
    [np.array(["2020"], "M8[D]"), np.array([True]), np.ones((2, 0, 3))],
    [np.random.default_rng(3)] * 2,
    np.random.Generator(np.random.Philox(3)),
    np.random.Generator(np.random.MT19937(3)),
    (Handle(1, "class", "C", "text"), Callback(2, "f"), Raised("E")),
    torch.ones(3, 4)[:, ::2].requires_grad_(),
    [torch.nn.Parameter(torch.ones(2)), torch.float16, torch.device("cpu")],
    np.broadcast_to(np.float32(1), (3, 5)),
    torch.ones(3, dtype=torch.bfloat16),
]
MESSAGES = [encode(value) for value in HONEST]
MARKS = b"".join(v for v in vars(tag).values() if type(v) is bytes)
NUMBERS = [0, 1, 2, 7, 8, 2**16, 2**31, 2**32, 2**40, 2**62, 2**63, 2**64 - 1]
LIMITS = WireLimits(bytes=1 << 20, entries=1 << 14)
# What NumPy and torch find, where the message itself makes sense.
LIBRARIES = (ValueError, TypeError, RuntimeError)


def mutated(rng):
    """A message in which a few things are not as they should be."""
    data = bytearray(rng.choice(MESSAGES))
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = rng.randrange(len(data) + 1)
        other = rng.choice(MESSAGES)
        start = rng.randrange(len(other))
        piece = other[start : start + rng.choice([1, 9, 40])]
        match rng.randrange(7):
            case 0:
                data[place : place + 1] = rng.randbytes(1)
            case 1:
                data[place : place + 1] = bytes((rng.choice(MARKS),))
            case 2:
                number = rng.choice(NUMBERS).to_bytes(8, "little")
                data[place : place + 8] = number
            case 3:
                data[place:place] = piece
            case 4:
                data[place : place + len(piece)] = piece
            case 5:
                del data[place : place + rng.choice([1, 8])]
            case 6:
                del data[place:]
    return bytes(data)


def nonsense(rng):
    """Marks and small numbers in any order."""
    parts = [rng.choice([MARKS[i : i + 1] for i in range(2, len(MARKS))])]
    for _ in range(rng.randrange(30)):
        mark = bytes((rng.choice(MARKS),))
        size = rng.choice([*NUMBERS, *range(9)]).to_bytes(8, "little")
        parts += [mark, rng.choice([b"", size, rng.randbytes(3), b"m"])]
    return tag.MAGIC + b"".join(parts)


def used(value):
    """Do with a value what a judge might do; return how much there is."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return 1 + sum(map(used, value))
    if kind is dict:
        return 1 + sum(used(k) + used(v) for k, v in value.items())
    if kind is np.random.Generator:
        value.random(3), value.integers(9, size=3, dtype=np.uint32)
        value.spawn(1)
    elif kind is np.ndarray:
        repr(value), value.tolist(), (value == value)
    elif isinstance(value, torch.Tensor):
        assert kind in (torch.Tensor, torch.nn.Parameter)
        repr(value), value.detach().clone()
    else:
        assert kind is type or kind.__module__ in PLAIN_MODULES, kind
        repr(value)
    return 1


PLAIN_MODULES = {"builtins", "numpy", "numpy.dtypes", "torch"} | {
    Handle.__module__
}


def fuzz(make, tries, seed):
    rng, accepted = random.Random(seed), 0
    for _ in range(tries):
        message = make(rng)
        start = time.perf_counter()
        try:
            value = decode(message, limits=LIMITS)
        except WireError as error:
            cause = error.__cause__
        else:
            cause, accepted = None, accepted + 1
            assert used(value) <= LIMITS.entries
        assert cause is None or isinstance(cause, LIBRARIES)
        assert time.perf_counter() - start < 2
    return accepted


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [mutated, nonsense])
def test_mutated_and_random_messages_do_no_harm(make):
    assert fuzz(make, 10_000, seed=0) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [mutated, nonsense])
@pytest.mark.parametrize("seed", range(1, 11))
def test_very_many_messages_do_no_harm(make, seed):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert fuzz(make, 30_000, seed) > 0
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000  # KiB


def test_bytes_at_random_are_no_message():
    rng = random.Random(5)
    for _ in range(2000):
        with pytest.raises(WireError):
            decode(rng.randbytes(rng.randrange(60)))


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_all_there_and_nothing_follows(message):
    with pytest.raises(WireError, match="nothing may follow"):
        decode(message + b"\0")
    for end in range(len(message) - 1, -1, -max(1, len(message) // 60)):
        with pytest.raises(WireError):
            decode(message[:end])


def test_a_message_may_lie_in_any_kind_of_buffer():
    for kind in (bytes, bytearray, memoryview):
        assert decode(kind(MESSAGES[1])) == HONEST[1]


def test_a_mark_that_is_not_known_is_refused():
    with pytest.raises(WireError, match=r"must be known: got b'\?'"):
        decode(tag.MAGIC + b"?")


@pytest.mark.parametrize("mark", [tag.LIST, tag.TUPLE, tag.DICT, tag.SET])
@pytest.mark.parametrize("form", [b"m", b"q", b"d"])
@pytest.mark.parametrize("count", [1, 2**31, 2**61, 2**64 - 1])
def test_a_container_cannot_lie_about_its_size(mark, form, count):
    lie = tag.MAGIC + mark + count.to_bytes(8, "little") + form
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(lie)
        assert tracemalloc.get_traced_memory()[1] < 1 << 16
    finally:
        tracemalloc.stop()


def test_a_container_is_mentioned_again_only_when_it_is_finished():
    again = tag.AGAIN + bytes(8)
    one = (1).to_bytes(8, "little")
    with pytest.raises(WireError, match="came before"):
        decode(tag.MAGIC + tag.LIST + one + b"m" + again)
    with pytest.raises(WireError, match="came before"):
        decode(tag.MAGIC + again)


@pytest.mark.parametrize(
    "value",
    [
        *(set(), {}, (), np.ones(()), Handle(1), Callback(1), Raised("E")),
        *(torch.ones(()), np.random.default_rng(1), np.ones((1,) * 32), ""),
    ],
)
def test_many_small_things_take_a_bounded_memory(value):
    small = encode(value)[2:]
    count = (1 << 24) // len(small)
    message = tag.LIST + count.to_bytes(8, "little") + b"m" + small * count
    limits = WireLimits(entries=1 << 17)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="at most 131072 values"):
            decode(tag.MAGIC + message, limits=limits)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


P = 2**61 - 1  # hash(n) == hash(n + P)


@pytest.mark.parametrize(
    "keys",
    [
        [n * P for n in range(3000)],
        [complex(1000003 * n, -n) for n in range(1, 3000)],
        [(n * P, 1) for n in range(3000)],
    ],
)
def test_keys_that_all_hash_alike_are_refused_soon(keys):
    assert len(set(map(hash, keys))) < 20
    row = encode(keys)[2:]
    for mark, rest in ((tag.SET, b""), (tag.DICT, b"N" * len(keys))):
        start = time.perf_counter()
        with pytest.raises(WireError, match="must not hash alike"):
            decode(tag.MAGIC + mark + row[1:] + rest)
        assert time.perf_counter() - start < 1


def test_honest_keys_are_let_through():
    grid = {
        (i, j, k): i
        for i in range(-9, 9)
        for j in range(-9, 9)
        for k in range(-9, 9)
    }
    assert decode(encode(grid)) == grid
    assert wire_keys.checked([n * P for n in range(64)])


def test_a_key_comes_once():
    pair = (2).to_bytes(8, "little")
    for mark, rest in ((tag.SET, b""), (tag.DICT, b"NN")):
        twice = tag.MAGIC + mark + pair + b"m" + b"TT" + rest
        with pytest.raises(WireError, match="twice"):
            decode(twice)


def test_keys_are_plain_whatever_a_resolver_makes_of_them():
    handle = encode(Handle(1))[2:]
    one = (1).to_bytes(8, "little")
    for rest in (handle, tag.TUPLE + one + b"m" + handle, encode([1])[2:]):
        with pytest.raises(WireError, match="key must be plain"):
            decode(
                tag.MAGIC + tag.SET + one + b"m" + rest,
                resolve=lambda it: [it],
            )


@pytest.mark.parametrize(
    ("builtin", "line"),
    [("Exception", -2), ("Exception", 2**31), ("eval", 3), ("IOError", 3)],
)
def test_an_exception_that_makes_no_sense_is_refused(builtin, line):
    with pytest.raises(WireError):
        decode(encode(Raised("E", builtin, "", line)))


def test_a_large_message_is_read_in_linear_time():
    def seconds(count):
        message = encode([[i] for i in range(count)])
        best = 9.0
        for _ in range(3):
            start = time.perf_counter()
            decode(message)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(40_000) < 12 * seconds(10_000)
