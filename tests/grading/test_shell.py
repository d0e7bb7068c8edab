import ast
import os
import subprocess
import sys

import pytest

from attncourse.grading.inside import entered, failure
from attncourse.grading.inside.descriptors import Descriptors
from attncourse.grading.inside.interactive import Interactive
from attncourse.grading.inside.outputs import Outputs
from attncourse.grading.inside.shell import Shell


@pytest.fixture(scope="module")
def shell():
    made = Shell()
    yield made
    Interactive.clear_instance()


def stream(ran, name="stdout"):
    return "".join(
        each["text"]
        for each in ran.outputs
        if each["output_type"] == "stream" and each["name"] == name
    )


def test_a_cell_shows_the_value_of_its_last_expression(shell):
    ran = shell.run("seven = 7\nseven", "cell 1")
    (output,) = ran.outputs
    assert output["output_type"] == "execute_result"
    assert output["data"] == {"text/plain": "7"}
    assert ran.result == 7
    assert ran.failure is None


def test_a_semicolon_hides_the_value_but_does_not_lose_it(shell):
    assert shell.run("3;", "cell 1").outputs == []


def test_cells_share_a_namespace(shell):
    shell.run("a = 2", "cell 1")
    assert shell.run("a + 1", "cell 2").result == 3
    assert shell.user_ns["a"] == 2


def test_printing_keeps_its_order_over_both_streams(shell):
    source = (
        "import sys\nprint('one')\nprint('two', file=sys.stderr)\n"
        "print('three'); sys.stdout.buffer.write(b'four')"
    )
    ran = shell.run(source, "cell 1")
    texts = [each["text"] for each in ran.outputs if "text" in each]
    assert texts == ["one\n", "two\n", "three\nfour"]


def test_output_beyond_its_limit_is_cut_with_a_note(shell):
    ran = shell.run("print('x' * 100_000_000)", "cell 1", output_bytes=5_000)
    assert len(stream(ran)) <= 5_000
    assert "more than 5,000 bytes" in stream(ran, "stderr")


def test_many_small_outputs_are_limited_as_well(shell):
    source = "for k in range(1_000): display(k)"
    ran = shell.run(source, "cell 1", output_bytes=10_000)
    assert len(ran.outputs) < 100


def test_a_logger_goes_on_in_later_cells(shell):
    shell.run(
        "import logging\nlog = logging.getLogger('mine')\n"
        "log.addHandler(logging.StreamHandler())",
        "cell 1",
    )
    ran = shell.run("log.warning('still here')", "cell 2")
    assert stream(ran, "stderr") == "still here\n"


def test_a_cell_that_runs_within_another_has_its_own_outputs(shell):
    inner = []
    shell.user_ns["nested"] = lambda: inner.append(
        shell.run("print('inner')", "cell 2")
    )
    ran = shell.run("print('a')\nnested()\nprint('b')", "cell 1")
    assert stream(ran) == "a\nb\n"
    assert stream(inner[0]) == "inner\n"


def test_half_a_character_does_not_stop_the_outputs(shell):
    ran = shell.run("print('\\ud800')", "cell 1")
    stream(ran).encode()


def test_an_error_names_the_line_of_the_students_own_cell(shell):
    shell.run("def f(a):\n    b = 1\n    return b / a", "cell 4")
    ran = shell.run("\nf(0)", "cell 5")
    assert ran.failure == {
        "name": "ZeroDivisionError",
        "builtin": "ZeroDivisionError",
        "message": "division by zero",
        "cell": "cell 4",
        "line": 3,
        "memory": False,
    }
    (output,) = ran.outputs
    assert output["ename"] == "ZeroDivisionError"
    text = output["traceback"][0]
    assert "cell 5, line 2\n    f(0)" in text
    assert "cell 4, line 3, in f\n    return b / a" in text
    assert "\x1b" not in text


def test_an_error_inside_a_library_names_the_line_that_called_it(shell):
    ran = shell.run("import json\njson.loads('{')", "cell 1")
    assert (ran.failure["cell"], ran.failure["line"]) == ("cell 1", 2)
    assert ran.failure["builtin"] == "ValueError"
    assert ran.failure["name"] == "JSONDecodeError"
    assert os.path.expanduser("~") not in str(ran.outputs)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("a = 1\nb = (2", "SyntaxError"),
        ("if True:\nx = 1", "IndentationError"),
        ("return 3", "SyntaxError"),
    ],
)
def test_what_is_no_python_is_an_error_with_its_line(shell, source, kind):
    ran = shell.run(source, "cell 9")
    assert ran.failure["builtin"] == kind
    assert ran.failure["cell"] == "cell 9"
    assert ran.failure["line"]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("input('?')", "RuntimeError"),
        ("def f(): return f()\nf()", "RecursionError"),
        ("x = [0] * (1 << 60)", "MemoryError"),
        ("class Own(KeyError): ...\nraise Own", "KeyError"),
    ],
)
def test_nothing_that_a_cell_raises_gets_out_of_it(shell, source, kind):
    ran = shell.run(source, "cell 1")
    assert ran.failure["builtin"] == kind
    assert shell.run("1", "cell 2").result == 1


def test_running_out_of_memory_is_told_apart(shell):
    assert shell.run("[0] * (1 << 60)", "cell 1").failure["memory"]
    told = shell.run(
        'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")',
        "cell 1",
    )
    assert told.failure["memory"]
    assert not shell.run("1 / 0", "cell 1").failure["memory"]


def test_an_exception_that_fights_back_is_still_reported(shell):
    source = (
        "class Bad(Exception):\n"
        "    def __str__(self): raise SystemExit\n"
        "    __class__ = property(lambda self: 1 / 0)\n"
        "raise Bad"
    )
    ran = shell.run(source, "cell 1")
    assert ran.failure["builtin"] == "Exception"
    assert ran.failure["name"] == "Bad"
    assert ran.failure["line"] == 4


def test_a_deep_traceback_is_shortened(shell):
    ran = shell.run("def f(): return f()\nf()", "cell 1")
    text = ran.outputs[0]["traceback"][0]
    assert len(text) < 10_000
    assert "more calls" in text


def test_displays_and_pictures_come_in_json(shell):
    source = (
        "from IPython.display import HTML, Image, display\n"
        "display(HTML('<b>x</b>'))\n"
        "display({'image/png': b'abc', 'text/plain': 'p'}, raw=True)"
    )
    ran = shell.run(source, "cell 1")
    assert [each["output_type"] for each in ran.outputs] == [
        "display_data"
    ] * 2
    assert ran.outputs[0]["data"]["text/html"] == "<b>x</b>"
    assert ran.outputs[1]["data"]["image/png"] == "YWJj"


def test_an_updated_display_is_shown_once(shell):
    source = (
        "handle = display('first', display_id=True)\nhandle.update('second')"
    )
    ran = shell.run(source, "cell 1")
    (output,) = ran.outputs
    assert output["data"]["text/plain"] == "'second'"
    assert set(output) == {"output_type", "data", "metadata"}


def test_empty_lines_before_a_magic_or_an_indented_cell_do_no_harm(shell):
    assert shell.run("\n\n%%capture\nprint(1)", "cell 1").outputs == []
    assert shell.run("\n  a = 1\n  a + 1", "cell 1").result == 2
    assert shell.run("\n\n", "cell 1").failure is None
    assert shell.run("", "cell 1").failure is None


def test_magics_and_top_level_await_work(shell):
    assert shell.run("%%capture out\nprint(3)", "cell 1").outputs == []
    assert shell.run("out.stdout", "cell 2").result == "3\n"
    source = "import asyncio\nawait asyncio.sleep(0)\n5"
    assert shell.run(source, "cell 3").result == 5


def test_what_was_entered_is_found_by_its_names(shell):
    shell.run("a = 1", "cell 1")
    shell.run("%pwd", "cell 2")
    assert shell.run("In[-3:], _i, _ii", "cell 3").result == (
        [
            "a = 1",
            "get_ipython().run_line_magic('pwd', '')",
            "In[-3:], _i, _ii",
        ],
        "%pwd",
        "a = 1",
    )


def test_a_transformer_of_the_students_is_asked_for_plain_python_too(shell):
    source = (
        "def nines(lines):\n"
        "    return [line.replace('1', '9') for line in lines]\n"
        "get_ipython().input_transformers_post.append(nines)"
    )
    shell.run(source, "cell 1")
    try:
        assert shell.run("1 + 1", "cell 2").result == 18
    finally:
        shell.run("get_ipython().input_transformers_post.clear()", "cell 3")
    assert shell.run("1 + 1", "cell 4").result == 2


PLAIN = """\
import sys as system  # a comment
@staticmethod
def f(x):
    '''Return x.

a line that looks like a statement: y = 1
'''
    return x
""".replace("'''", '"""')
# Last statements of all kinds.
LASTS = [
    "x = 1\nx",
    "x = 1\nx  # it is\n\n# so\n",
    "x = 1\nx;",
    "x = 1; x",
    "x = 1; x;",
    "x = 2\nif x:\n    x\nelse:\n    3",
    "x = 2\ntry:\n    x\nfinally:\n    x",
    "print(\n    5\n)",
    "x = (\n    5,\n)\nx[\n    0\n]",
    "x = [1, 2]\n*x, 3",
    'x = """\ny\n#"""\n',
    'max("""\ny = 1\n#""")\n',
    'x = """\n7\n"""',
    "x = \\\n7",
    "x = 3\n'text'",
    "@staticmethod\n# of mine\ndef f(): 5\nf()",
    f"{PLAIN}f(4)",
    PLAIN,
    "%precision 3\n6",
    "%%capture\nx = 8\nx",
    "get_ipython().run_cell('x = 9');\nx",
    "get_ipython().run_cell('x = 9')\nx",
    "get_ipython().transform_cell('x = 9')\nx = 5\nx",
    "await __import__('asyncio').sleep(0)\n4",
    "async def f():\n    return 3\nf.__name__",
    "import warnings\nwarnings.warn('w')\n4 is 4",
]


def by_ipython(shell, source):
    """Run a cell as IPython runs it, whatever it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell.python, "run_plainly", lambda source: None)
        return shell.run(source, "cell 1")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source", LASTS)
def test_cells_show_and_leave_what_they_do_in_ipython(shell, source):
    ran = shell.run(source, "cell 1")
    mine = {**shell.user_ns}
    last = shell.python.last_execution_result.result
    assert ran.failure is None, ran.failure
    theirs = by_ipython(shell, source)
    assert ran.result == theirs.result
    assert [each.get("text") for each in ran.outputs] == [
        each.get("text") for each in theirs.outputs
    ]
    assert len(ran.outputs) == len(theirs.outputs)
    assert mine.get("x") == shell.user_ns.get("x")
    assert last == shell.python.last_execution_result.result
    # Where another test has bound it as a built-in, IPython leaves it.
    assert mine.get("_") == shell.user_ns.get("_")
    assert shell.user_ns["In"][-2] == shell.user_ns["In"][-1]


@pytest.mark.parametrize(
    "source",
    ["x = 1\nreturn x", "def f(:\n    1", "x = 1\n  y = 2", "1 +", "f'{'"],
)
def test_what_does_not_compile_is_told_as_ipython_does(shell, source):
    told = shell.run(source, "cell 1").failure
    theirs = by_ipython(shell, source).failure
    assert told is not None
    assert told | {"cell": ""} == theirs | {"cell": ""}


def test_the_future_of_one_cell_is_that_of_the_next(shell):
    shell.run("from __future__ import annotations", "cell 1")
    try:
        shell.run("def f(x: nothing_of_this_name): pass", "cell 2")
        ran = shell.run("f.__annotations__", "cell 3")
        assert ran.result == {"x": "nothing_of_this_name"}
    finally:
        shell.python.compile.reset_compiler_flags()


def test_what_the_compiler_warns_of_is_said(shell):
    with pytest.warns(SyntaxWarning, match="literal"):
        assert shell.run("x = 3\n4 is 4", "cell 1").result is True


def test_to_compile_a_cell_beforehand_changes_no_other(shell):
    before = shell.python.compile.flags
    source = "from __future__ import annotations\nx = 6"
    shell.python.compile.remember(source, "the test t")
    assert shell.python.compile.flags == before
    assert shell.python.compile.known == {}


def test_a_cell_that_was_compiled_before_it_came_runs_each_time(
    shell, monkeypatch
):
    shell.python.compile.remember("x = 6\nx + 1", "the test t")
    try:
        assert len(shell.python.compile.known) == 1
        with monkeypatch.context() as patch:
            patch.setattr(entered, "compiled", lambda *_: None)
            patch.setattr(shell.python, "run_cell", None)
            assert shell.run("x = 6\nx + 1", "the test t").result == 7
        assert shell.run("x = 6\nx + 1", "the test t").result == 7
        assert shell.run("x = 6\nx + 2", "the test t").result == 8
    finally:
        shell.python.compile.known.clear()


def test_a_transformer_of_trees_is_asked(shell):
    class Doubled(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.copy_location(ast.Constant(node.value * 2), node)

    shell.python.ast_transformers.append(Doubled())
    try:
        assert shell.run("4", "cell 1").result == 8
    finally:
        shell.python.ast_transformers.clear()


@pytest.mark.parametrize("event", ["pre_execute", "post_run_cell"])
def test_who_wants_to_hear_of_cells_hears_of_them(shell, event):
    heard = []
    shell.python.events.register(event, lambda *_: heard.append(event))
    try:
        assert shell.run("4", "cell 1").result == 4
    finally:
        del shell.python.events.callbacks[event][-1]
    assert heard == [event]
    assert shell.run("5", "cell 2").result == 5
    assert heard == [event]


def test_a_command_does_not_run_and_does_not_stop_the_cell(shell):
    source = "!pip install numpy\nfiles = !ls\n%pip install x\nlen(files)"
    ran = shell.run(source, "cell 1")
    assert ran.failure is None
    assert ran.result == 0
    assert "(!pip does not run while grading.)" in stream(ran)


def test_the_source_of_a_function_can_be_read(shell):
    shell.run("def f(x):\n    return x  # as it is", "cell 1")
    ran = shell.run("import inspect\ninspect.getsource(f)", "cell 2")
    assert ran.result == "def f(x):\n    return x  # as it is\n"


def test_streams_are_as_before_after_a_cell(shell):
    before = sys.stdout, sys.stderr, sys.displayhook, input
    shell.run("1 / 0", "cell 1")
    assert (sys.stdout, sys.stderr, sys.displayhook, input) == before


def test_what_is_not_visible_is_not_even_formatted(shell):
    shell.visible, shell.python.hidden = False, True
    try:
        ran = shell.run(
            "class Loud:\n    def __repr__(self): raise ValueError\n"
            "print(1)\nLoud()",
            "cell 1",
        )
        assert ran.outputs == []
        assert ran.failure is None
        assert shell.run("1 / 0", "cell 2").failure["line"] == 1
    finally:
        shell.visible, shell.python.hidden = True, False


def test_the_shell_reads_and_writes_no_file_of_the_user(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from attncourse.grading.inside.shell import Shell; Shell()",
        ],
        env={"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_what_bypasses_pythons_streams_is_caught():
    caught = Descriptors()
    with caught.caught():
        os.write(1, b"one")
        os.system("echo two >&2")
        assert caught.taken(100) == {"stdout": "one", "stderr": "two\n"}
        os.write(1, b"three" * 100)
        assert caught.taken(7) == {"stdout": "threeth"}
        assert caught.taken(7) == {}
    caught.close()


def test_a_record_counts_bytes_and_not_characters():
    record = Outputs(64 + 10)
    record.write("stdout", "ä" * 8)
    first, note = record.taken()
    assert first["text"] == "ä" * 5
    assert "cut off" in note["text"]


def test_the_nearest_builtin_is_found_by_the_real_bases():
    class Sly(OSError):
        __mro__ = (KeyError,)

    assert failure.nearest(Sly) == "OSError"
