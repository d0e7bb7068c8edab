import builtins
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from confined import needs_isolation

from attncourse.grading.inside import folders, pages
from attncourse.grading.inside.wire import Handle, WireError
from attncourse.grading.model import GradingError, Limits
from attncourse.grading.sandbox.owner import (
    Budget,
    CallbackRefused,
    Child,
    ChildLost,
    Sandbox,
)

pytestmark = needs_isolation
QUICK = Limits(cpu_s=0.3, wall_s=1.0, memory_bytes=1 << 28)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(preload=("numpy", "not_there_at_all")) as made:
        yield made


@pytest.fixture
def child(sandbox):
    with born(sandbox) as made:
        yield made


def born(sandbox, limits=QUICK, visible=True, seed="5eed", **hooks):
    return Child(
        sandbox.address, limits=limits, visible=visible, seed=seed, **hooks
    )


def defined(child, source, name="f"):
    ran = child.run(textwrap.dedent(source), "cell 1")
    assert ran.failed is None, ran.failed
    return child.fetch(name)


def text(ran):
    return "".join(each.get("text", "") for each in ran.outputs)


def result(child, source):
    ran = child.run(textwrap.dedent(source), "cell 1")
    assert ran.failed is None, ran.failed
    return ran.outputs[-1]["data"]["text/plain"]


# ---- cells and names


def test_cells_run_in_one_namespace_and_show_what_they_show(child):
    assert child.run("x = 3", "cell 1").outputs == ()
    ran = child.run("print('hello')\nx + 1", "cell 2")
    assert ran.outputs == (
        {"output_type": "stream", "name": "stdout", "text": "hello\n"},
        {
            "output_type": "execute_result",
            "data": {"text/plain": "4"},
            "metadata": {},
            "execution_count": 2,
        },
    )


def test_an_error_tells_its_cell_line_and_builtin_type(child):
    child.run("class Own(ValueError): ...", "cell 1")
    failed = child.run("\n\nraise Own('why')", "cell 2").failed
    assert (failed.name, failed.builtin) == ("Own", "ValueError")
    assert (failed.cell, failed.line) == ("cell 2", 3)
    assert failed.message == "why"


def test_a_hidden_run_tells_nothing_of_what_was_shown(sandbox):
    with born(sandbox, visible=False) as child:
        ran = child.run("import os\nprint(1); os.write(1, b'x'); 7", "cell 1")
        assert (ran.outputs, ran.failed) == ((), None)
        assert child.run("1 / 0", "cell 2").failed.line == 1


def test_what_bypasses_pythons_streams_is_shown(child):
    assert text(child.run("import os; os.write(1, b'raw');", "c")) == "raw"


def test_names_are_told_with_their_kinds(child):
    child.run(
        "import math\nx = [1]\ndef f(): ...\nclass C: ...\nc = C()\n_hid = 1",
        "cell 1",
    )
    assert child.names() == {
        "math": "module",
        "x": "data",
        "f": "function",
        "C": "class",
        "c": "object",
    }


def test_globals_are_fetched_by_value_or_by_handle(child):
    child.run("x = {'a': (1, 2.5)}\ndef f(): ...", "cell 1")
    assert child.fetch("x") == {"a": (1, 2.5)}
    assert isinstance(child.fetch("f"), Handle)
    with pytest.raises(KeyError, match="nothing"):
        child.fetch("nothing")
    child.run("loop = []; loop.append(loop)", "cell 2")
    with pytest.raises(WireError, match="contains itself"):
        child.fetch("loop")


def test_a_handle_becomes_what_the_judge_makes_of_it(sandbox):
    with born(sandbox, inward=lambda handle: ("mine", handle.name)) as child:
        assert defined(child, "def f(): ...") == ("mine", "f")


def test_files_are_put_into_a_folder_of_its_own(child):
    child.put("helper.py", b"ANSWER = 42\n")
    child.put("data/numbers.txt", b"1 2 3")
    assert result(child, "import helper; helper.ANSWER") == "42"
    assert result(child, "open('data/numbers.txt').read()") == "'1 2 3'"


def test_its_user_has_a_name(child):
    assert result(child, "import getpass; getpass.getuser()") == "'student'"


def test_a_file_is_not_put_outside_of_it(child):
    with pytest.raises(GradingError, match="must be put"):
        child.put("../outside.txt", b"")
    with pytest.raises(GradingError, match="must be put"):
        child.put("/tmp/outside.txt", b"")


# ---- calls


def test_a_call_returns_the_value_and_the_arguments_after_it(child):
    f = defined(child, "def f(a, b): a += 1; b['k'] = 2; return a, 'x'")
    a = np.arange(3.0)
    came = child.call(f, (a, {}))
    np.testing.assert_array_equal(came.value[0], [1, 2, 3])
    assert came.value[0] is came.args[0]
    assert came.args[1] == {"k": 2}
    np.testing.assert_array_equal(a, [0, 1, 2])


def test_a_call_shows_what_it_printed_and_where_it_failed(child):
    f = defined(child, "def f(a):\n    print('so far')\n    return 1 / a")
    came = child.call(f, (0,))
    assert text(came) == "so far\n"
    assert (came.failed.builtin, came.failed.line) == ("ZeroDivisionError", 3)


def test_objects_are_made_used_and_described(child):
    kind = defined(
        child,
        '''
        class Counter:
            """Counts."""
            def __init__(self, start=0): self.n = start
            def add(self, k): self.n += k; return self
            def __iter__(self): return iter(range(self.n))
        ''',
        "Counter",
    )
    told = child.describe(kind)
    assert told.signature == "(start=0)"
    assert (told.name, told.doc, told.kind) == ("Counter", "Counts.", "class")
    made = child.call(kind, (2,)).value
    assert child.method(made, "add", (3,)).value == made
    assert child.get(made, "n").value == 5
    assert child.set(made, "n", 4).failed is None
    assert child.items(made).value == [0, 1, 2, 3]
    assert child.items(made, most=2).value == [0, 1]
    assert child.get(made, "m").failed.builtin == "AttributeError"
    child.drop(made)
    with pytest.raises(ChildLost):
        child.get(made, "n")


def test_an_iterator_goes_on_where_it_was(child):
    f = defined(child, "def f():\n    yield from range(5)")
    iterator = child.call(f).value
    taken = [child.items(iterator, 2).value for _ in range(3)]
    assert taken == [[0, 1], [2, 3], [4]]


def test_subclasses_arrive_as_their_base_type_and_are_counted(child):
    f = defined(
        child,
        """
        class Always(float):
            def __eq__(self, other): return True
            __hash__ = float.__hash__
        f = lambda: Always(1.5)
        """,
    )
    came = child.call(f)
    assert type(came.value) is float
    assert came.subclasses == 1


def test_what_cannot_be_sent_is_the_answers_failure(child):
    f = defined(child, "def f():\n    a = []; a.append(a); return a")
    came = child.call(f)
    assert came.failed.builtin == "ValueError"
    assert "cannot be sent" in came.failed.message
    g = defined(child, "import numpy as np\ng = lambda: np.zeros(9**9)", "g")
    small = Budget(Limits(reply_bytes=1 << 12, output_bytes=1 << 12))
    assert child.call(g, budget=small).failed is not None
    assert child.alive


def test_library_functions_and_types_cross_by_name(child):
    f = defined(child, "def f(g, t): return g(4.0), t(3)")
    assert child.call(f, (np.sqrt, np.float32), callbacks=False).value == (
        2.0,
        np.float32(3),
    )
    assert child.call(f, (open, int), callbacks=True).failed is not None


def test_the_budget_is_shared_by_the_calls_of_a_test(child):
    f = defined(child, "import time\ndef f(): time.sleep(0.4)")
    budget = Budget(QUICK)
    child.call(f, budget=budget)
    child.call(f, budget=budget)
    with pytest.raises(ChildLost, match="longer than it may"):
        child.call(f, budget=budget)


def test_what_the_calls_of_a_test_show_is_limited_together(child):
    f = defined(child, "def f(): print('x' * 1000)")
    budget = Budget(Limits(output_bytes=3_000))
    shown = [len(text(child.call(f, budget=budget))) for _ in range(9)]
    assert 2_000 < sum(shown) < 3_500
    assert shown[-1] == 0


def test_many_short_calls_cannot_outrun_the_budget(child):
    f = defined(
        child, "def f():\n    for _ in range(50_000): pass\n    return 1"
    )
    budget = Budget(Limits(cpu_s=0.05, wall_s=60))
    with pytest.raises(ChildLost, match="longer than it may"):
        [child.call(f, budget=budget) for _ in range(1_000)]


# ---- callbacks


def test_a_function_of_the_judge_is_called_back(child):
    f = defined(child, "def f(g, x): return g(x, scale=2) + 1")

    def g(x, scale):
        return x * scale

    assert child.call(f, (g, 5)).value == 11


def test_an_exception_of_the_judge_reaches_the_caller(child):
    f = defined(
        child,
        """
        def f(g):
            try: g()
            except OSError as error: return 'caught ' + str(error)
        """,
    )

    def g():
        raise FileNotFoundError("no file")

    assert child.call(f, (g,)).value == "caught no file"


def test_what_a_callback_does_to_its_arguments_is_done_to_the_students(child):
    f = defined(
        child,
        """
        import numpy as np
        def f(g):
            x, row = np.arange(6.0), [1, [2], {"a": 3}]
            whole, locked = np.ones((2, 2)), np.zeros(2)
            locked.flags.writeable = False
            inner = row[1]
            got = g(x, row, whole[0], x, locked=locked)
            return (
                x[0], row, inner is row[1], whole[0, 0], whole[1, 0],
                got[0] is x, got[1] is row, locked.flags.writeable,
            )
        """,
    )

    def g(x, row, part, same, *, locked):
        x[0] = 7
        row[1].append(4)
        row[2]["b"] = 5
        part[:] = 9
        return (same, row)

    assert child.call(f, (g,)).value == (
        *(7.0, [1, [2, 4], {"a": 3, "b": 5}], True, 9.0, 1.0),
        *(True, True, False),
    )


def test_a_callback_that_fails_has_still_changed_its_arguments(child):
    f = defined(
        child,
        """
        def f(g):
            row = [1]
            try: g(row)
            except ValueError: return row
        """,
    )

    def g(row):
        row.append(2)
        raise ValueError

    assert child.call(f, (g,)).value == [1, 2]


def test_threads_may_call_back_while_the_call_is_running(child):
    f = defined(
        child,
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        kept = []
        def f(g):
            kept.append(g)
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(g, range(20)))
        def stray(g):
            threading.Thread(target=lambda: [g(0) for _ in range(50)]).start()
            return 7
        def late():
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(kept[0], 1).result()
        """,
    )
    assert child.call(f, (lambda x: x * x,)).value == [
        x * x for x in range(20)
    ]
    assert child.call(child.fetch("stray"), (lambda x: x,)).value == 7
    assert child.call(child.fetch("late")).failed.builtin == "RuntimeError"
    assert child.call(f, (lambda x: -x,)).value[-1] == -19


def test_a_line_is_one_of_the_cell_that_defines_what_was_called(child):
    child.run("\n\ndef helper(): raise KeyError", "cell 1")
    child.run(
        "import functools\ndef f():\n    return helper()\n"
        "class C:\n    def __init__(self):\n        helper()\n"
        "    @staticmethod\n    def make():\n        helper()\n"
        "alias = functools.partial(f)",
        "cell 2",
    )
    wanted = {"f": 3, "C": 6, "alias": 3}
    for name, line in wanted.items():
        failed = child.call(child.fetch(name)).failed
        assert (failed.cell, failed.line) == ("cell 2", line)
    failed = child.method(child.fetch("C"), "make").failed
    assert (failed.cell, failed.line) == ("cell 2", 9)
    failed = child.call(child.fetch("helper")).failed
    assert (failed.cell, failed.line) == ("cell 1", 3)


def test_a_callback_that_returns_what_cannot_cross_is_an_error(child):
    f = defined(child, "def f(g): return g()")
    assert child.call(f, (lambda: object(),)).failed.builtin == "TypeError"
    assert child.alive


def test_a_notebook_that_makes_warnings_errors_loses_nothing_in_calls(child):
    f = defined(
        child,
        """
        import warnings
        import numpy as np
        np.seterr(all="raise")
        warnings.filterwarnings("error")
        def f(g=None):
            warnings.warn("careful")
            return float(np.exp(np.float64(1e4)) + np.log(np.zeros(1))[0])
        """,
    )
    came = child.call(f)
    assert came.failed is None
    assert np.isnan(came.value)
    assert child.run("f()", "cell 2").failed.builtin == "UserWarning"
    assert child.run("np.ones(1) / 0", "c").failed.name == "FloatingPointError"


def test_a_callback_dies_with_its_call(child):
    f = defined(child, "kept = []\ndef f(g): kept.append(g); return g(1)")
    calls = []
    assert child.call(f, (lambda x: calls.append(x),)).failed is None
    late = child.run("kept[0](2)", "cell 2")
    assert late.failed.builtin == "RuntimeError"
    assert "that brought it has ended" in late.failed.message
    assert calls == [1]


def test_a_callback_is_refused_before_anything_is_sent(child):
    f = defined(child, "ran = []\ndef f(g): ran.append(1)")
    with pytest.raises(CallbackRefused):
        child.call(f, (lambda: None,), callbacks=False)
    assert child.fetch("ran") == []


def test_a_callback_may_call_the_child_again(child):
    child.run("def inner(x): return 2 * x", "cell 1")
    inner = child.fetch("inner")
    f = defined(child, "def f(g, x): return g(x) + 1")
    came = child.call(f, (lambda x: child.call(inner, (x,)).value, 5))
    assert came.value == 11


def test_callbacks_within_callbacks_end(child):
    f = defined(child, "def f(g): return g(g)")

    def g(h):
        return child.call(f, (h,)).value

    child.call(f, (g,))
    assert child.alive


def test_the_time_of_a_callback_is_not_the_childs(child):
    f = defined(child, "def f(g): return g()")
    limits = Limits(wall_s=0.3, cpu_s=0.2)
    came = child.call(f, (lambda: time.sleep(0.5),), budget=Budget(limits))
    assert came.failed is None
    assert came.wall_s < 0.3


def test_a_callback_that_calls_again_does_not_end_the_watch(child):
    child.run("def inner(): return 1", "cell 1")
    inner = child.fetch("inner")
    f = defined(child, "def f(g):\n    g()\n    while True: pass")
    began = time.monotonic()
    with pytest.raises(ChildLost, match="longer than it may"):
        child.call(
            f,
            (lambda: child.call(inner).value,),
            budget=Budget(Limits(cpu_s=0.2, wall_s=30)),
        )
    assert time.monotonic() - began < 5


def test_a_child_is_closed_when_its_callback_is_interrupted(child):
    f = defined(child, "def f(g): return g()")

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        child.call(f, (interrupted,))
    assert not child.alive


def test_a_bound_function_is_answered_until_the_end(child):
    child.bind("earlier", lambda x: x + 1)
    f = defined(child, "def f(x): return earlier(earlier(x))")
    assert child.call(f, (1,)).value == 3
    assert child.call(f, (2,)).value == 4


# ---- what goes wrong

FIND = """
import os, stat, struct, time
def is_socket(n):
    try: return stat.S_ISSOCK(os.fstat(n).st_mode)
    except OSError: return False
n = next(n for n in range(3, 4000) if is_socket(n))
"""


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
        ("import os; os._exit(0)", "crashed"),
        ("import ctypes; ctypes.string_at(1)", "crashed"),
        ("import os; os.abort()", "crashed"),
        ("import os, signal; os.kill(os.getpid(), 9)", "out-of-memory"),
        ("import os; os.closerange(3, 4000)", "crashed"),
        (
            "import os\nfor n in range(3, 4000):\n"
            "  try: os.write(n, b'G' * 99)\n  except OSError: pass\n"
            "while True: pass",
            "crashed",
        ),
        (
            "import os, struct\nfor n in range(3, 4000):\n"
            "  try: os.write(n, b'GRAD' + struct.pack('<Q', 1 << 50))\n"
            "  except OSError: pass\nwhile True: pass",
            "crashed",
        ),
        (
            FIND + "time.sleep(0.1); os.write(n, b'GR'); time.sleep(9)",
            "timeout",
        ),
        (
            FIND + "os.write(n, b'GRAD' + struct.pack('<Q', 1 << 20))\n"
            "while True: os.write(n, b'x'); time.sleep(0.01)",
            "timeout",
        ),
        (
            FIND
            + "os.write(n, b'GRAD' + struct.pack('<Q', 4) + b'\\xa7\\1N!')\n"
            "while True: pass",
            "crashed",
        ),
    ],
)
def test_a_child_that_goes_wrong_is_lost_with_a_verdict(
    sandbox, source, verdict
):
    child = born(sandbox)
    began = time.monotonic()
    with pytest.raises(ChildLost) as caught:
        child.run(source, "cell 1")
    assert caught.value.verdict == verdict, caught.value
    assert caught.value.says.endswith(".")
    assert time.monotonic() - began < 5
    assert not child.alive
    with pytest.raises(ChildLost) as again:
        child.run("1", "cell 2")
    assert again.value is caught.value
    with born(sandbox) as other:
        assert other.run("1", "cell 1").failed is None


SERVER = """
import gc
server = next(o for o in gc.get_objects() if type(o).__name__ == 'Server')
"""
REPLIES = [
    "None, 3",
    "None, {}",
    "None, {'value': 1, 'outputs': 3}",
    "None, {'value': 1, 'outputs': [{'output_type': 'script'}]}",
    "None, {'value': 1, 'failed': 'no'}",
    "None, {'failed': {'name': 'E', 'builtin': 'print', 'message': ''}}",
    "3, {'value': 1}",
    "(3, {}), {'value': 1}",
    "((), 3), {'value': 1}",
    "((), {}, 3), {'value': 1}",
    "((), {}), {'callback': 'x'}",
    "None, {'callback': 1}",
    "None, {'value': 1, 'gradients': 3}",
    "None, {'value': 1, 'failed': {'name': 'E', 'builtin': 'KeyError'}}",
    "None, {'value': 1, 'outputs': [{'output_type': server.serve}]}",
    "None, {'unsendable': server.serve}",
    "None, {'value': 1, 'cpu_s': 'x', 'failed': server.serve}",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_forged_answer_that_is_none_ends_the_child(child, reply):
    source = (
        SERVER
        + f"""
pack = type(server)._packed.__globals__["pack"]
given, reply = {reply}
if isinstance(reply, dict):
    reply["number"] = server.number
packed = pack(given, reply, handle=server.table.handle)
server._packed = lambda reply, given, before: packed
"""
    )
    with pytest.raises(ChildLost, match="cannot be read"):
        child.run(source, "cell 1")


def test_names_that_are_none_end_the_child(child):
    source = "server.do_names = lambda request: {'value': {'x': 3}}"
    child.run(SERVER + source, "cell 1")
    with pytest.raises(ChildLost, match="cannot be read"):
        child.names()


def test_a_flood_of_callbacks_ends(child):
    source = """
def f(g):
    call = server._packed({'callback': 1}, ((), {}))
    while True: server.channel.send(call.data)
"""
    f = defined(child, SERVER + source)
    calls = []
    began = time.monotonic()
    with pytest.raises(ChildLost, match="cannot be read"):
        child.call(f, (lambda: calls.append(1),))
    assert time.monotonic() - began < 4


ASIDE = """
pack = type(server)._packed.__globals__["pack"]
def f(x):
    if x:
        number = {number}
        packed = pack(None, {{'value': 7, 'number': number}})
        server.channel.send(packed.data)
        {more}
    return 5
"""


@pytest.mark.parametrize("number", ["server.number", "b'1' * 16", "None", "3"])
def test_an_answer_is_never_taken_for_another_requests(child, number):
    more = "time.sleep(0.2)"
    source = "import time\n" + SERVER + ASIDE.format(number=number, more=more)
    f = defined(child, source)
    assert child.call(f, (0,)).value == 5
    with pytest.raises(ChildLost) as lost:
        forged_and_settled(child, f)
    assert lost.value.verdict == "crashed"


def forged_and_settled(child, f):
    assert child.call(f, (1,)).value == 7
    child.settle()


def test_what_comes_before_it_is_asked_for_is_blamed_on_what_ran(child):
    source = """
def later(number):
    time.sleep(0.1)
    while True:
        server.channel.send(server._packed({'value': 7}).data)
def f():
    import threading
    threading.Thread(target=later, args=(server.number,)).start()
"""
    f = defined(child, "import time\n" + SERVER + source)
    child.call(f)
    time.sleep(0.3)
    with pytest.raises(ChildLost, match="nobody asked") as lost:
        child.run("1", "cell 2")
    assert lost.value.stray


def test_a_flood_of_output_is_cut(child):
    source = (
        "import os\n"
        "for _ in range(60): os.write(2, b'x' * (1 << 20))\n"
        "print('y' * (1 << 26))"
    )
    roomy = Limits(cpu_s=4, output_bytes=100_000)
    ran = child.run(source, "cell 1", roomy)
    assert sum(len(each["text"]) for each in ran.outputs) < 250_000
    assert child.run("1", "cell 2").failed is None


def test_a_memory_bomb_is_a_failure_that_says_memory(child):
    ran = child.run("x = bytearray(1 << 40)", "cell 1")
    assert ran.failed.memory
    ran = child.run(
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "cell 2",
        Limits(cpu_s=4),
    )
    assert ran.failed.memory
    assert child.run("x = None", "cell 3").failed is None


def test_deep_recursion_is_an_ordinary_error(child):
    assert child.run("def f(): f()\nf()", "c").failed.builtin == (
        "RecursionError"
    )


def test_a_thread_cannot_spend_the_processor_unseen(child):
    source = (
        "import threading, time\n"
        "def spin():\n    while True: pass\n"
        "threading.Thread(target=spin, daemon=True).start()\n"
        "time.sleep(60)"
    )
    with pytest.raises(ChildLost) as caught:
        child.run(source, "c", Limits(cpu_s=0.3, wall_s=20))
    assert caught.value.verdict == "timeout"
    assert caught.value.usage.cpu_s < 2


# ---- what is seen inside


def test_neither_the_course_nor_the_graders_environment_is_seen(
    monkeypatch,
):
    monkeypatch.setenv("GRADER_TOKEN", "secret")
    with Sandbox() as sandbox, born(sandbox) as child:
        source = (
            "import os, sys, attncourse\n"
            "str(dict(os.environ)) + str(sys.argv) + str(sys.path)"
            " + str(sys.modules.get('attncourse.grading'))"
        )
        seen = result(child, source)
        assert "secret" not in seen
        assert "GRADER" not in seen
        assert str(Path(__file__).parents[2] / "attncourse") not in seen
        ran = child.run("attncourse.reference.dense.attention(1)", "c")
        assert ran.failed.builtin == "RuntimeError"
        told = child.run("from attncourse import check; check('q')", "c")
        assert "does not run while grading" in text(told)
        course = str(Path(__file__).parents[2] / "attncourse")
        ran = child.run(f"import os; os.listdir({course!r})", "cell 2")
        assert issubclass(getattr(builtins, ran.failed.builtin), OSError)


def test_chance_and_the_order_of_sets_repeat(sandbox):
    source = (
        "import random, numpy as np\n"
        "random.random(), np.random.rand(), list({'a', 'b', 'c', 'd'})"
    )
    with born(sandbox) as one, born(sandbox) as two:
        assert result(one, source) == result(two, source)
    with born(sandbox) as one, born(sandbox, seed="5eee") as two:
        assert result(one, source) != result(two, source)


def test_children_do_not_see_one_another(sandbox):
    with born(sandbox) as one, born(sandbox) as two:
        one.run("open('mine.txt', 'w').write('secret')", "cell 1")
        source = (
            "import os\n[os.path.join(f, n) for f, _, ns in"
            " os.walk(os.path.dirname(os.getcwd())) for n in ns]"
        )
        assert "mine" not in result(two, source)
        assert two.run("import mine_", "c").failed.builtin == (
            "ModuleNotFoundError"
        )
        other = f"import os; os.kill({one.pid}, 9)"
        assert "Error" in two.run(other, "cell 2").failed.builtin
        assert one.alive


def test_figures_are_drawn_in_the_visible_run_only(sandbox):
    pytest.importorskip("matplotlib")
    source = (
        "%matplotlib inline\nimport matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\nplt.show()"
    )
    limits = Limits(cpu_s=20, wall_s=60)
    for visible in (True, False):
        with born(sandbox, limits=limits, visible=visible) as child:
            ran = child.run(source, "cell 1")
            assert ran.failed is None
            kinds = [set(each["data"]) for each in ran.outputs]
            shown = [{"image/png", "text/plain"}]
            assert kinds == (shown if visible else [])


# ---- the server


def test_the_isolation_is_told(sandbox):
    assert sandbox.isolation.complete
    assert "Landlock" in sandbox.isolation.level
    assert sandbox.missing == ("not_there_at_all",)


def test_a_server_that_dies_is_started_again_at_the_same_place():
    with Sandbox() as sandbox:
        child = born(sandbox)
        assert child.run("1", "cell 1").failed is None
        os.killpg(sandbox._process.pid, signal.SIGKILL)
        sandbox._process.wait()
        with pytest.raises(GradingError, match="started again"):
            child.run("import time; time.sleep(9)", "cell 2")
        sandbox.check()
        with born(sandbox) as other:
            assert result(other, "2 + 3") == "5"


def test_nothing_stays_behind_when_the_sandbox_is_closed():
    with Sandbox() as sandbox:
        children = [born(sandbox) for _ in range(2)]
        for child in children:
            child.run("open('a', 'w').write('b')", "cell 1")
        numbers = [child.pid for child in children] + [sandbox._process.pid]
        folder = Path(sandbox.address).parent
    assert not folder.exists()
    assert not [n for n in numbers if Path(f"/proc/{n}").exists()]
    for child in children:
        child.close()


def test_the_server_ends_with_a_grader_that_is_killed():
    source = """
    import sys, time
    from attncourse.grading.sandbox.owner import Child, Limits, Sandbox
    sandbox = Sandbox()
    child = Child(sandbox.address, limits=Limits(), visible=True, seed=1)
    child.run("1", "cell 1")
    print(child.pid, sandbox._process.pid, sandbox.address, flush=True)
    time.sleep(60)
    """
    source = textwrap.dedent(source).replace(
        "Child, Limits, Sandbox",
        "Child, Sandbox\nfrom attncourse.grading.model import Limits",
    )
    grader = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True
    )
    *numbers, address = grader.stdout.readline().split()
    grader.kill()
    grader.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with Sandbox() as sandbox:  # the next one cleans up
        assert sandbox.address != address
        assert not Path(address).exists()


def test_a_missing_layer_is_refused_unless_students_are_trusted(monkeypatch):
    from attncourse.grading.sandbox import owner as module

    broken = module.BOOT.replace(
        "from inside import server",
        "from inside import server, isolate, landlock\n"
        "landlock.version = lambda: 0",
    )
    monkeypatch.setattr(module, "BOOT", broken)
    with pytest.raises(GradingError, match="Landlock is missing"):
        Sandbox()
    with Sandbox(trust_students=True) as sandbox, born(sandbox) as child:
        assert sandbox.isolation.level == "none: students are trusted"
        assert result(child, "6 * 7") == "42"
        with pytest.raises(ChildLost):
            child.run("while True: pass", "cell 2")


def test_a_server_that_cannot_start_says_why(monkeypatch):
    from attncourse.grading.sandbox import owner as module

    monkeypatch.setattr(module, "BOOT", "raise SystemExit('no luck')")
    with pytest.raises(GradingError, match="no luck"):
        Sandbox()


def test_large_pages_are_asked_for_own_memory_only():
    kept = np.ones(1 << 20)
    found = list(pages.own_memory())
    assert any(start <= kept.ctypes.data < end for start, end in found)
    pages.use_large()
    assert kept.sum() == 1 << 20


def test_folders_of_any_depth_are_removed(tmp_path):
    root = tmp_path / "full"
    root.mkdir()
    here = os.getcwd()
    try:
        os.chdir(root)
        for _ in range(1_050):
            os.mkdir("deep")
            os.chdir("deep")
            Path("file").write_text("x")
    finally:
        os.chdir(here)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (root / "link").symlink_to(tmp_path / "kept")
    (root / "shut").mkdir(mode=0o000)
    (root / "~0").mkdir()
    folders.remove(str(root))
    assert not root.exists()
    assert (tmp_path / "kept" / "file").exists()


@pytest.mark.slow
def test_the_server_does_not_grow_over_many_children(sandbox):
    def resident():
        (number,) = (
            Path(f"/proc/{sandbox._process.pid}/task")
            .joinpath(str(sandbox._process.pid), "children")
            .read_text()
            .split()
        )
        return int(Path(f"/proc/{number}/statm").read_text().split()[1])

    def many(count):
        for _ in range(count):
            with born(sandbox) as child:
                child.run("x = 1", "cell 1")

    many(30)
    before = resident()
    many(300)
    assert resident() - before < 256  # pages: 1 MiB
