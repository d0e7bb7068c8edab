"""What the page asks of Python is answered as the notebook answers it."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from course_answers import of_unit
from prose import ROOT

from attncourse import live, questions
from attncourse.checking.draw import lines
from attncourse.live.output import Output
from attncourse.live.page import answer

STEPS = "def attend(q, k, v):\n    scores = q @ k.T\n    "


@pytest.mark.parametrize("unit", questions.UNITS)
def test_right_answers_pass_and_mistakes_are_named(unit):
    for id_, row in of_unit(unit).items():
        right = next((each for each in row if each.right), None)
        if right is not None:
            told = live.check(id_, right.source)
            assert told["verdict"] == "pass", id_
            assert told["points"] == told["max_points"]


def test_the_page_says_what_the_notebook_says():
    source = "def attend(q, k, v):\n    return v[..., :1, :] + 0 * q, 1"
    space = {}
    exec(source, space)
    result = questions.examine("dense.attend", space["attend"])
    where = {
        each.section: questions.place(each.section)
        for each in result.diagnosis
    }
    told = live.check("dense.attend", source)
    assert told["said"] == lines(result, where=where)


def test_one_text_does_not_spoil_the_verdict_on_the_next():
    before = sys.getrecursionlimit()
    live.run(
        "import builtins, sys\n"
        "import attncourse.checking.judge as judge\n"
        "builtins.sum = np.exp = judge.examine = print\n"
        "np.seterr(all='raise')\n"
        "sys.setrecursionlimit(sys.getrecursionlimit() + 7)\n"
    )
    live.check("dense.attend", "np.exp = np.sqrt = lambda x: 0 * x")
    assert sys.getrecursionlimit() == before
    assert np.geterr()["over"] != "raise"
    right = next(
        each for each in of_unit("dense")["dense.attend"] if each.right
    )
    assert live.check("dense.attend", right.source)["verdict"] == "pass"


def test_who_asks_for_input_is_told_that_nobody_answers(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    told = live.run("\ninput('How many? ')")
    assert told["error"]["line"] == 2
    assert "nobody is there to answer input()" in told["error"]["message"]


def test_a_stub_is_still_to_do():
    stub = "def attend(q, k, v):\n    raise NotImplementedError()"
    told = live.check("dense.attend", stub)
    assert told["verdict"] == "todo"
    assert told["error"] is None


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("def attend(q, k, v):\n    return q @", "SyntaxError", 2),
        ("x = 1\n\ny = x + z\n", "NameError", 3),
        (STEPS + "return np.exp(scores, axis=1)", "TypeError", 3),
        (STEPS + "return helper(scores)", "NameError", 3),
        ("def f(n):\n    return f(n + 1)\n\nf(0)", "RecursionError", 2),
        ("import sys\nsys.exit(1)", "SystemExit", 2),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
        ("\x00", "ValueError", None),
        ("np.linalg.inv(np.zeros((2, 2)))", "LinAlgError", 1),
    ],
)
def test_an_error_is_told_with_the_readers_own_line(source, name, line):
    told = live.check("dense.attend", source)
    assert told["verdict"] in ("error", "fail")
    if name in ("SyntaxError", "ValueError"):  # \x00: a SyntaxError in 3.12
        assert told["error"]["name"] in ("SyntaxError", "ValueError")
    else:
        assert told["error"]["name"] == name
    assert told["error"]["line"] == line


def test_an_error_says_what_the_page_does_not_have(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")
    monkeypatch.setattr(np, "__version__", "1.25.2")
    told = live.check("dense.attend", "import thorch")
    assert told["error"]["message"] == (
        "No module named 'thorch' (the page has Python and NumPy 1.25.2 only)"
    )
    source = "def attend(q, k, v):\n    return q @ k.none"
    told = live.check("dense.attend", source)
    assert told["error"]["message"].endswith("(the page has NumPy 1.25.2)")
    assert told["said"][0].endswith("(the page has NumPy 1.25.2)")


def test_a_missing_function_is_asked_for_by_name():
    told = live.check("dense.attend", "def attention(q, k, v):\n    return 1")
    assert told["verdict"] == "fail"
    assert "your text must define attend" in told["said"][0]


def test_every_text_starts_afresh():
    live.run("left = 1")
    assert live.run("left")["error"]["name"] == "NameError"


def test_only_the_last_expression_is_a_value():
    assert live.run("1\n2")["value"] == "2"
    assert live.run("x = 3")["value"] == ""
    assert live.run("None")["value"] == ""
    assert live.run("")["value"] == ""
    told = live.run("class A:\n    def __repr__(self):\n        1 / 0\nA()")
    assert told["error"]["line"] == 3
    assert len(live.run("'x' * 10 ** 6")["value"]) < 5000


def test_what_is_printed_is_kept_up_to_a_limit():
    told = live.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert told["output"] == "out\nerr\n"
    assert not told["cut"]
    for flood in ("print('x' * 10 ** 6)", "for i in range(9999): print(i)"):
        told = live.run(flood)
        assert told["cut"]
        assert len(told["output"]) < 21_000
        assert len(told["output"].splitlines()) <= 401
        assert told["output"].endswith("is left out]\n")


@pytest.mark.parametrize(
    "pieces", [["a\nb\n"], ["a\n", "b\n"], ["a", "\nb\n"]]
)
def test_output_is_cut_after_whole_lines(pieces):
    exact, short = Output(lines=2), Output(lines=1)
    for piece in pieces:
        exact.write(piece)
        short.write(piece)
    assert (exact.text(), exact.cut) == ("a\nb\n", False)
    assert short.text().splitlines()[0] == "a"
    assert short.cut
    assert "b" not in short.text().splitlines()[:-1]


@pytest.mark.parametrize(
    "source",
    [
        "def attend(q, k, v):\n    return np.nan, np.inf",
        "def attend(q, k, v):\n    return q * np.inf, k",
        "attend = 3",
        "def attend(*given):\n    raise RuntimeError('\\ud800')",
    ],
)
def test_every_answer_is_json(source):
    request = {"what": "check", "questionId": "dense.attend"}
    told = json.loads(answer(json.dumps({**request, "source": source})))
    assert told["verdict"] in ("fail", "error", "partial")
    json.dumps(told, allow_nan=False)


def test_texts_run_after_what_the_notebook_sets_up():
    for notebook in (ROOT / "exercises").glob("*/*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        setup = next(
            "".join(cell["source"])
            for cell in cells
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "setup"
        )
        assert setup.strip() == live.SETUP.strip(), notebook.name


def test_the_course_runs_on_the_stand_in_for_jaxtyping():
    program = (
        "import importlib, pkgutil, sys\n"
        "from attncourse.live import jaxtyping_stand_in\n"
        "for name in [n for n in sys.modules if n.startswith('attnc')\n"
        "             and not n.endswith('stand_in')]:\n"
        "    del sys.modules[name]\n"
        "sys.modules['jaxtyping'] = jaxtyping_stand_in\n"
        "from attncourse import checking, questions, reference\n"
        "for package in (checking, questions, reference):\n"
        "    walk = pkgutil.walk_packages(package.__path__, package.__name__ "
        "+ '.')\n"
        "    for each in walk:\n"
        "        importlib.import_module(each.name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
