"""Many calls of a student's function in one exchange."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from grading import judge_notebooks as nb
from grading import judge_servers

from attncourse.grading.judging.raising import Stopped
from attncourse.grading.judging.session import Session
from attncourse.grading.sandbox import several
from attncourse.grading.sandbox.child import Child
from attncourse.grading.sandbox.line import Line

CODE = """
import os, time
import numpy as np

buffer = np.zeros(3)
counted = []

def reused(x):
    buffer[...] = x
    return buffer

def in_place(x, *, by=2.0):
    x *= by
    return x

def keeps(x):
    counted.append(x)
    counted[0] += 1
    return len(counted)

def fussy(x):
    print("a word", x)
    if x == 2:
        raise ValueError("no two")
    if x == 3:
        raise SystemExit(3)
    return {"x": x, "all": [x, x]}

def applied(f, x):
    return f(x)

def same(*args, **kwargs):
    return args, kwargs

def large(size):
    counted.append(size)
    return np.full(size, 1.5)

def so_often():
    return len(counted)

def leaves(x):
    if x == 2:
        os._exit(0)
    return x

def sleeps(x):
    time.sleep(x)
    return x

def hoards(x):
    return bytearray(1 << 40) if x == 1 else x
"""


@pytest.fixture(scope="module")
def servers():
    with judge_servers.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def begun(servers):
    """Return what begins a session of which nobody sees anything."""
    opened = []

    def begin(limits=nb.LIMITS, *, visible=False, more=""):
        session = Session(
            nb.job([nb.cell(CODE + more), nb.check("pass", "test")]),
            functools.partial(Child, servers.address),
            visible=visible,
        )
        opened.append(session)
        session.run(0)
        session.begin(limits)
        session.bring_functions(True)
        return session

    yield begin
    for session in opened:
        session.close()


def each(session, name, given):
    """Return what calls in one go give, and what their arguments become."""
    function = session.fetch(name)
    return type(function).__call_each__(function, given)


def one_by_one(session, name, given):
    function = session.fetch(name)
    results = []
    for args, kwargs in given:
        try:
            results.append((function(*args, **kwargs), None))
        except (Exception, SystemExit) as error:
            results.append((None, error))
    return results


def told(results, given):
    """Return results and arguments as texts, to be compared."""
    return repr(
        [
            (
                value,
                type(error).__name__,
                str(error or ""),
                vars(error or told),
            )
            for value, error in results
        ]
    ), repr(given)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("reused", [((1.0,), {}), ((2.0,), {}), ((3.0,), {})]),
        ("in_place", [((np.ones(2),), {}), ((np.ones(3),), {"by": 5})]),
        ("in_place", [((np.ones(2),), {"no": 1}), (([1],), {})]),
        ("keeps", [((np.zeros(2),), {}), ((np.ones(2),), {})]),
        ("fussy", [((x,), {}) for x in range(5)]),
        ("applied", [((lambda x: x + 1, 2), {}), ((np.tanh, 0.0), {})]),
        ("applied", [((lambda x: 1 / x, 0), {}), ((max, [1, 2]), {})]),
        ("same", [((), {}), ((1, "a", None), {"k": [2.5]})]),
        ("same", [((np.eye(2).T, np.float32(3)), {})] * 3),
    ],
)
@pytest.mark.parametrize("visible", [False, True])
def test_it_is_as_if_each_call_were_made_by_itself(
    begun, name, calls, visible
):
    def fresh():
        return [
            (
                tuple(
                    np.copy(a) if type(a) is np.ndarray else a for a in args
                ),
                k,
            )
            for args, k in calls
        ]

    ours, theirs = fresh(), fresh()
    came = each(begun(visible=visible), name, ours)
    expected = one_by_one(begun(visible=visible), name, theirs)
    assert told(came, ours) == told(expected, theirs)


def test_the_value_may_be_the_argument_itself(begun):
    mine = np.ones(2)
    came = each(begun(), "in_place", [((mine,), {}), ((np.ones(2),), {})])
    assert came[0][0] is mine


def requests(monkeypatch):
    """Return the list of what children are asked for from now on."""
    asked = []
    ask = Child._ask

    def counted(self, request, *args, **options):
        asked.append(request["do"])
        return ask(self, request, *args, **options)

    monkeypatch.setattr(Child, "_ask", counted)
    return asked


def test_hidden_calls_take_one_exchange(begun, monkeypatch):
    session = begun()
    function = session.fetch("same")
    asked = requests(monkeypatch)
    type(function).__call_each__(function, [((k,), {}) for k in range(20)])
    assert asked == ["calls"]


def test_a_call_that_brings_a_function_goes_alone(begun, monkeypatch):
    session = begun()
    function = session.fetch("applied")
    asked = requests(monkeypatch)
    given = [((lambda x: x + 1, 2), {}), ((lambda x: x - 1, 2), {})]
    came = type(function).__call_each__(function, given)
    assert [value for value, _ in came] == [3, 1]
    assert asked == ["call", "call"]


def test_large_arguments_go_in_portions(begun, monkeypatch):
    session = begun()
    function = session.fetch("same")
    went = []
    send = Line._send

    def sent(self, data, until):
        went.append(len(data))
        return send(self, data, until)

    monkeypatch.setattr(Line, "_send", sent)
    given = [((np.full(60_000, k),), {}) for k in range(6)]
    came = type(function).__call_each__(function, given)
    assert [value[0][0][0] for value, _ in came] == list(range(6))
    assert max(went) < 2 * several.MOST_BYTES
    assert 2 <= len(went) < 6


def test_large_values_come_in_portions(begun):
    session = begun(replace(nb.LIMITS, reply_bytes=1_000_000))
    came = each(session, "large", [((50_000,), {})] * 6)
    assert [value.shape for value, _ in came] == [(50_000,)] * 6
    # What did not fit was asked for again.
    assert 6 <= session.fetch("so_often")() <= 9


def test_a_value_that_is_too_large_fails_alone(begun):
    session = begun(replace(nb.LIMITS, reply_bytes=1_000_000))
    came = each(
        session, "large", [((10,), {}), ((1_000_000,), {}), ((5,), {})]
    )
    assert [error is None for _, error in came] == [True, False, True]
    assert "cannot be sent" in str(came[1][1])


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("leaves", "crashed"),
        ("hoards", "out-of-memory"),
        ("sleeps", "timeout"),
    ],
)
def test_a_call_that_ends_the_process_ends_the_test(begun, name, verdict):
    session = begun(replace(nb.LIMITS, wall_s=2.0))
    with pytest.raises(Stopped) as stopped:
        each(session, name, [((x,), {}) for x in (0, 1, 2)])
    assert stopped.value.verdict == verdict
    with pytest.raises(Stopped):
        each(session, "same", [((1,), {}), ((2,), {})])


FORGED = [
    "[told[0]] * 9",
    "told + [3]",
    "{'a': 1}",
    "[b'']",
    "[b'no message']",
    "[told[0][:-1]]",
    "[pack(None, {}).data]",
    "[pack(((), {}), {'callback': 1}).data]",
    "[pack(None, {'value': 1, 'outputs': 3}).data]",
    "[pack(3, {'value': 1}).data]",
]


@pytest.mark.parametrize("forged", FORGED)
def test_answers_that_are_none_end_the_process(begun, forged):
    session = begun(
        more=f"""
import gc
server = next(o for o in gc.get_objects() if type(o).__name__ == 'Server')
pack = type(server)._packed.__globals__["pack"]
calls = server.do_calls
def forged(request):
    told = calls(request)["value"]
    return {{"value": {forged}}}
server.do_calls = forged
"""
    )
    with pytest.raises(Stopped, match="cannot be read"):
        each(session, "same", [((1,), {}), ((2,), {}), ((3,), {})])


@pytest.mark.parametrize("forged", ["[]", "told[:1]", "told[::-1]"])
def test_a_child_that_answers_less_or_otherwise_answers_for_itself(
    begun, forged
):
    session = begun(
        more=f"""
import gc
server = next(o for o in gc.get_objects() if type(o).__name__ == 'Server')
calls = server.do_calls
def forged(request):
    told = calls(request)["value"]
    return {{"value": {forged}}}
server.do_calls = forged
"""
    )
    came = each(session, "sleeps", [((0.0,), {}), ((0.125,), {})])
    values = [0.125, 0.0] if "-1" in forged else [0.0, 0.125]
    assert [value for value, _ in came] == values
