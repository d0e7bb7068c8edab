"""What stands in a test for a student's functions and objects."""

import contextlib
import functools
import inspect
import io
import math
import operator

import numpy as np
import pytest
from grading import judge_notebooks as nb
from grading import judge_servers

from attncourse.grading.judging.proxies import Proxy, ProxyError, vjp
from attncourse.grading.judging.raising import Stopped
from attncourse.grading.judging.session import Session
from attncourse.grading.sandbox.child import Child

CODE = '''import numpy as np

def double(x):
    """Return twice x."""
    return 2 * x

def scale(x, *, by=2.0, mask=None):
    x *= by
    return x

def change(arrays, table):
    arrays.append(arrays[0] + 1)
    arrays[0][...] = 7
    table["new"] = len(arrays)

def reshape(x):
    x.shape = (3, 2)

def resize(x):
    x.resize((9,), refcheck=False)

def same(*args):
    return args

def say(text):
    print(text)
    return None

def boom(kind):
    raise kind

class Odd(KeyError):
    pass

def odd():
    raise Odd("what")

def stop():
    raise StopIteration(3)

def unicode():
    return b"\\xff".decode()

def leave():
    raise SystemExit(4)

def interrupt():
    raise KeyboardInterrupt

def apply(f, *args):
    return f(*args)

def twice(f):
    return lambda x: f(f(x))

def endless():
    while True:
        pass

def memory():
    return bytearray(1 << 40)

def count(n):
    for i in range(n):
        yield i

def forever():
    i = 0
    while True:
        yield i
        i += 1

class Always:
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 1.0
    def __len__(self): return 3
    def __array__(self, *a, **k): return np.ones(3)
    def __array_ufunc__(self, *a, **k): return True

always = Always()

class Counter:
    """Counts."""
    start = 5
    def __init__(self, by=1):
        self.by = by
        self.value = 0
    def up(self, times=1):
        self.value += self.by * times
        return self.value
    def __call__(self, x):
        return x + self.value
    def __str__(self):
        return f"at {self.value}"
    def _items(self):
        return "mine"

class Special(Counter):
    pass

def make():
    return Special(2)

def described(f):
    return " ".join(map(str, (
        repr(f), f.__name__, f.__doc__, f.__qualname__, f.__module__, vars(f)
    )))

class Showy:
    def _repr_html_(self):
        return "<script>"
    def _repr_mimebundle_(self, **_):
        return {"text/html": "<script>"}
    def _ipython_display_(self):
        print("shown")

showy = Showy()

data = {"a": [1, 2.5, None], "b": (np.arange(3), "text")}
calls = 0

def counting():
    global calls
    calls += 1
    return calls
'''


@pytest.fixture(scope="module")
def servers():
    with judge_servers.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def session(servers):
    made = Session(
        nb.job([nb.cell(CODE), nb.check("pass", "test")]),
        functools.partial(Child, servers.address),
        visible=True,
    )
    ran = made.run(0)
    assert ran.failed is None
    made.begin(nb.LIMITS)
    yield made
    made.close()


@pytest.fixture
def student(session):
    class Student:
        def __getattr__(self, name):
            return session.fetch(name)

    return Student()


def test_a_call_brings_plain_values_back(student):
    double = student.double
    assert double(21) == 42
    got = double(np.array([1.0, np.nan]))
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, [2.0, np.nan])


def test_data_is_fetched_by_value(student):
    data = student.data
    assert data["a"] == [1, 2.5, None]
    np.testing.assert_array_equal(data["b"][0], np.arange(3))


def test_a_function_presents_its_name_docstring_and_signature(student):
    assert student.double.__name__ == "double"
    assert student.double.__doc__ == "Return twice x."
    assert student.double.__module__ == "__main__"
    found = inspect.signature(student.scale)
    assert str(found) == "(x, *, by=2.0, mask=None)"
    assert callable(student.double)
    assert not hasattr(student.double, "__code__")
    assert not hasattr(student.double, "__globals__")
    assert not inspect.isfunction(student.double)


def test_what_is_changed_in_place_is_changed_out_here(student):
    x = np.arange(3.0)
    assert student.scale(x) is x
    np.testing.assert_array_equal(x, [0.0, 2.0, 4.0])


def test_lists_and_dicts_are_changed_in_place_with_what_they_hold(student):
    first, table = np.zeros(2), {"old": 1}
    arrays = [first]
    student.change(arrays, table)
    assert arrays[0] is first
    np.testing.assert_array_equal(first, [7.0, 7.0])
    np.testing.assert_array_equal(arrays[1], [1.0, 1.0])
    assert table == {"old": 1, "new": 2}


def test_an_argument_given_twice_is_one_argument(student):
    x = np.zeros(2)
    one, other = student.same(x, x)
    assert one is x
    assert other is x


def test_another_shape_is_taken_over_where_that_is_possible(student):
    x = np.arange(6.0).reshape(2, 3)
    student.reshape(x)
    assert x.shape == (3, 2)


def test_another_size_is_remembered_and_never_written(student, session):
    x = np.arange(4.0)
    student.resize(x)
    assert x.shape == (4,)
    assert any("arguments were changed" in note for note in session.notes)


def test_a_read_only_array_stays_as_it_is(student):
    x = np.arange(3.0)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        student.scale(x)
    np.testing.assert_array_equal(x, [0.0, 1.0, 2.0])


def test_what_is_printed_during_a_call_can_be_judged(student):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        student.say("hello")
    assert out.getvalue() == "hello\n"


def test_an_exception_is_of_the_nearest_built_in_type(student):
    with pytest.raises(KeyError) as caught:
        student.odd()
    assert type(caught.value).__mro__[-4] is KeyError.__mro__[-4]
    assert caught.value.student_name == "Odd"
    line = CODE.split("\n").index('    raise Odd("what")') + 1
    assert caught.value.student_line == line
    with pytest.raises(UnicodeError):
        student.unicode()
    with pytest.raises(SystemExit):
        student.leave()


@pytest.mark.parametrize("name", ["stop", "interrupt"])
def test_no_exception_ends_a_loop_or_the_judge_in_silence(student, name):
    with pytest.raises(RuntimeError):
        all(map(lambda f: f(), [getattr(student, name)]))  # noqa: C417


COMPARISONS = [
    lambda p: p == 1,
    lambda p: 1 == p,  # noqa: SIM300
    lambda p: p != 1,
    lambda p: p < 1,
    lambda p: 1 >= p,  # noqa: SIM300
    lambda p: np.float64(1) == p,
    lambda p: np.ones(3) == p,
    lambda p: p in [1, 2],
    lambda p: 1 in p,
    lambda p: np.allclose(p, np.ones(3)),
    lambda p: np.array_equal(np.ones(3), p),
    lambda p: np.testing.assert_array_equal(p, np.ones(3)),
    lambda p: np.testing.assert_allclose(p, np.ones(3)),
    lambda p: np.testing.assert_equal(np.ones(3), p),
    lambda p: bool(p),
    lambda p: not p,
    lambda p: float(p),
    lambda p: int(p),
    lambda p: complex(p),
    lambda p: operator.index(p),
    lambda p: round(p),
    lambda p: math.floor(p),
    lambda p: math.isclose(p, 1),
    lambda p: len(p),
    lambda p: p[0],
    lambda p: p + 1,
    lambda p: 1 + p,
    lambda p: np.ones(3) + p,
    lambda p: np.ones(3) @ p,
    lambda p: -p,
    lambda p: abs(p),
    lambda p: p**2,
    lambda p: p & True,
    lambda p: sum([p]),
    lambda p: max(p, 1),
    lambda p: np.sum(p),
    lambda p: np.asarray(p),
    lambda p: np.asarray([p, 1.0], dtype=float),
    lambda p: np.concatenate([p, np.ones(3)]),
    lambda p: np.isclose(p, 1.0),
    lambda p: bytes(p),
    lambda p: range(p),
]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("name", ["always", "double", "Always"])
def test_no_object_takes_part_in_a_comparison(student, name, compare):
    with pytest.raises(TypeError):
        compare(getattr(student, name))


def test_what_a_swallowed_refusal_asked_is_remembered(student, session):
    with contextlib.suppress(Exception):
        assert student.always == 1
    assert any("must not use __eq__" in note for note in session.notes)


def test_no_proxy_is_of_a_type_of_the_judge(student):
    proxy = student.always
    for kind in (int, float, np.ndarray, list, dict, str, bool):
        assert not isinstance(proxy, kind)
    assert {proxy: 1}[proxy] == 1


def test_a_proxy_can_be_neither_copied_nor_pickled(student):
    import copy
    import pickle

    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(ProxyError):
            copying(student.always)


def test_a_proxied_function_can_be_mapped(student):
    assert list(map(student.double, [1, 2])) == [2, 4]


def test_classes_construct_and_objects_have_methods_and_attributes(student):
    counter = student.Counter(by=3)
    assert isinstance(counter, Proxy)
    assert counter.up() == 3
    assert counter.up(times=2) == 9
    assert counter.value == 9
    counter.value = 1
    assert counter.up() == 4
    assert counter(10) == 14
    assert str(counter) == "at 4"
    assert counter._items() == "mine"
    assert student.Counter.start == 5
    assert student.Counter.__doc__ == "Counts."
    with pytest.raises(AttributeError):
        counter.nothing


def test_an_object_knows_the_student_classes_that_it_is_of(student):
    made = student.make()
    assert isinstance(made, student.Counter)
    assert isinstance(made, student.Special)
    assert not isinstance(student.Counter(), student.Special)
    assert not isinstance(3, student.Counter)


def test_generators_are_followed_as_far_as_they_are_asked(student):
    assert list(student.count(20)) == list(range(20))
    pairs = list(zip(range(3), student.forever(), strict=False))
    assert pairs == [(0, 0), (1, 1), (2, 2)]
    rows = student.count(3)
    assert [list(rows), list(rows)] == [[0, 1, 2], [0, 1, 2]]
    assert next(student.count(3)) == 0


def test_a_function_of_the_test_is_called_out_here(student):
    asked = []
    assert student.apply(lambda x: asked.append(x) or 5, 3) == 5
    assert asked == [3]


def test_an_exception_of_the_tests_function_reaches_the_student(student):
    def refuse(x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        student.apply(refuse, 3)


def test_a_function_of_the_test_has_no_name_over_there(student):
    def wrong_scale(x):
        return helper_of_wrong_scale(x)

    def helper_of_wrong_scale(x):
        raise ValueError("wrong_scale and its helper")

    assert "wrong" not in student.described(wrong_scale)
    assert "wrong" not in student.described([wrong_scale, 3][0])
    with pytest.raises(TypeError) as caught:
        student.apply(wrong_scale, 1, 2, 3)
    assert "wrong" not in str(caught.value)
    with pytest.raises(ValueError, match="function and its helper"):
        student.apply(wrong_scale, 1)


def test_a_function_of_the_test_comes_back_as_itself(student):
    def mine(x):
        return x

    assert student.same(mine)[0] is mine
    functions = [mine, np.exp]
    assert student.same(functions)[0] is functions
    assert functions[0] is mine


def test_a_tests_function_may_ask_the_student_again(student):
    double = student.double
    assert student.apply(lambda x: double(x) + 1, 3) == 7


def test_a_students_function_can_be_given_to_another(student):
    assert student.apply(student.double, 4) == 8
    fourfold = student.twice(student.double)
    assert fourfold(2) == 8


def test_a_call_that_never_ends_stops_the_test_for_good(student, session):
    with pytest.raises(Stopped) as caught:
        student.endless()
    assert caught.value.verdict == "timeout"
    with pytest.raises(Stopped):
        student.double(1)
    session.begin(nb.LIMITS)
    assert student.double(1) == 2


def test_a_function_is_found_again_in_the_next_process(student, session):
    double, made = student.double, student.make()
    with pytest.raises(Stopped):
        student.endless()
    session.begin(nb.LIMITS)
    assert double(4) == 8
    with pytest.raises(ProxyError):
        made.up()


def test_no_test_can_swallow_a_lost_process(student, session):
    with contextlib.suppress(Exception), pytest.raises(Stopped):
        student.endless()
    assert session.stopped.verdict == "timeout"


def test_too_much_memory_stops_the_test(student):
    with pytest.raises(Stopped) as caught:
        student.memory()
    assert caught.value.verdict == "out-of-memory"


def test_a_value_that_cannot_cross_is_the_tests_own_mistake(student, session):
    with pytest.raises(ProxyError):
        student.double(object())
    assert any("must be able to cross" in note for note in session.notes)


def test_calls_with_functions_go_to_a_process_of_their_own(servers):
    session = Session(
        nb.job([nb.cell(CODE), nb.check("pass", "test")]),
        functools.partial(Child, servers.address),
        visible=False,
    )
    try:
        session.run(0)
        session.begin(nb.LIMITS)
        assert session.fetch("counting")() == 1
        apply = session.fetch("apply")
        counting = session.fetch("counting")
        assert apply(lambda f: f(), counting) == 1
        assert counting() == 2
        with pytest.raises(ProxyError):
            apply(lambda f: None, session.fetch("make")())
        session.finish()
    finally:
        session.close()


def test_a_fresh_copy_remembers_no_earlier_call(student):
    counting = student.counting
    assert [counting.__fresh__()() for _ in range(3)] == [1, 1, 1]
    kept = counting.__fresh__()
    assert [kept(), kept(), counting(), counting()] == [1, 2, 1, 2]
    assert student.always.__fresh__() is not None


def test_a_fresh_copy_is_given_functions_aside(servers):
    source = (
        "calls = []\ndef told(f):\n    calls.append(f())\n    return calls"
    )
    session = Session(
        nb.job([nb.cell(source), nb.check("pass", "test")]),
        functools.partial(Child, servers.address),
        visible=False,
    )
    try:
        session.run(0)
        session.begin(nb.LIMITS)
        told = session.fetch("told")
        for number in range(3):
            assert told.__fresh__()(lambda n=number: n) == [number]
        assert told(lambda: 5) == [5]
        assert told(lambda: 6) == [5, 6]
    finally:
        session.close()


def test_a_notebook_shows_a_proxy_without_asking_the_student(student):
    for name in ("_repr_html_", "_repr_mimebundle_", "_ipython_display_"):
        with pytest.raises(AttributeError):
            getattr(student.showy, name)


def test_gradients_are_made_inside_and_brought_out(servers):
    torch = pytest.importorskip("torch")
    source = "import torch\ndef loss(x, y):\n    return (x * x * y).sum()"
    limits = nb.Limits(memory_bytes=1 << 34, cpu_s=60, wall_s=120)
    session = Session(
        nb.job([nb.cell(source), nb.check("pass", "test")], limits=limits),
        functools.partial(Child, servers.address),
        visible=True,
    )
    try:
        ran = session.run(0)
        assert ran.failed is None
        session.begin(limits)
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y = torch.tensor([3.0, 4.0])
        found = vjp(session.fetch("loss"), (x, y))
        torch.testing.assert_close(found["args"][0], torch.tensor([6.0, 16.0]))
    finally:
        session.close()
