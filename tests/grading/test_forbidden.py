"""What a question forbids is found, through aliases and detours."""

import subprocess
import sys
import time

import pytest
from made_notebooks import (
    AREA,
    answer,
    cell,
    code,
    graded,
    notebook,
    released,
    script,
)

from attncourse.grading.handed_in import forbidden
from attncourse.grading.notebooks.source import read_plan


def asked(*forbids, **more):
    area = answer("area", AREA)
    area["metadata"]["grading"] = {"forbids": list(forbids)}
    source = notebook(
        code("setup", "import numpy as np", locked=True),
        area,
        graded("area-test", ""),
        answer("other", "def other():\n    pass"),
        graded("other-test", ""),
    )
    return source, read_plan(source)


def flags(body, *forbids, before="", others=""):
    """Return the flags of an answer with this body."""
    source, plan = asked(*(forbids or ("numpy.linalg",)))
    made = released(plan, source)
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    cell(made, "area")["source"] = f"def area(x, y):\n{lines}"
    if others:
        cell(made, "other")["source"] = others
    made["cells"].insert(0, code("mine", before))
    return script(made, plan).flags


@pytest.mark.parametrize(
    "body",
    [
        "return np.linalg.inv(x)",
        "import numpy.linalg\nreturn numpy.linalg.inv(x)",
        "import numpy\nreturn numpy.linalg.inv(x)",
        "import numpy as n\nreturn n.linalg.inv(x)",
        "import numpy.linalg as la\nreturn la.inv(x)",
        "from numpy import linalg\nreturn linalg.inv(x)",
        "from numpy.linalg import inv as good\nreturn good(x)",
        "from numpy import *\nreturn linalg.inv(x)",
        "from numpy.linalg import *\nreturn inv(x)",
        "a = np\nb = a.linalg\nreturn b.inv(x)",
        "a, b = np, 1\nreturn a.linalg.inv(x)",
        "return (n := np).linalg.inv(x)",
        "return getattr(np, 'linalg').inv(x)",
        "return getattr(np, 'lin' + 'alg').inv(x)",
        "return getattr(np, f'lin{\"alg\"}').inv(x)",
        "return vars(np)['linalg'].inv(x)",
        "return np.__dict__['linalg'].inv(x)",
        "return globals()['np'].linalg.inv(x)",
        "import sys\nreturn sys.modules['numpy.linalg'].inv(x)",
        "return __import__('numpy').linalg.inv(x)",
        "return __import__('numpy.linalg').linalg.inv(x)",
        "import importlib\n"
        "return importlib.import_module('numpy.linalg').inv(x)",
        "from importlib import import_module as get\n"
        "return get('numpy').linalg.inv(x)",
        "return eval('np.linalg.inv(x)')",
        "exec('from numpy.linalg import inv as i\\ny = i(x)')",
        "exec('exec(\"np.linalg.inv(x)\")')",
        "%time y = 1\nreturn np.linalg.inv(x)",
    ],
)
def test_every_way_to_the_same_function_is_seen(body):
    found = flags(body)
    assert any("numpy.linalg" in flag for flag in found), found
    assert all(flag.startswith("area-test: uses") for flag in found)
    assert any("(cell 3, line" in flag for flag in found)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return getattr(np, y)(x)", "computed name in numpy"),
        ("return __import__(y).inv(x)", "looks up a computed name"),
        ("return eval(y)", "executes text"),
        ("exec(compile(y, '', 'exec'))", "executes text"),
    ],
)
def test_what_is_computed_is_told_as_such(body, says):
    assert any(says in flag for flag in flags(body))


@pytest.mark.parametrize(
    "body",
    [
        "return np.linspace(x, y)",
        "return x * y",
        "linalg = 3\nreturn linalg",
        "return 'np.linalg.inv'",
        "# np.linalg.inv\nreturn x",
        "return getattr(x, 'shape')",
        "return x.linalg",
        "return undefined(",
    ],
)
def test_what_is_allowed_is_not_flagged(body):
    assert flags(body) == ()


def test_a_helper_that_the_answer_reaches_counts():
    helper = (
        "def first(x):\n    return second(x)\n\n\n"
        "def second(x):\n    return np.linalg.inv(x)\n\n\n"
        "alias = np.linalg.inv"
    )
    assert flags("return first(x)", before=helper)
    assert flags("return alias(x)", before=helper)
    assert not flags("return x", before=helper)


def test_the_answer_of_another_question_may_use_it():
    other = "def other():\n    return np.linalg.inv(1)"
    assert not flags("return x", others=other)
    assert not flags("return other()", others=other)


@pytest.mark.parametrize(
    ("forbid", "body"),
    [
        ("sorted", "return sorted(x)"),
        ("sorted", "import builtins\nreturn builtins.sorted(x)"),
        (".softmax", "return x.softmax(-1)"),
        ("torch.nn", "import torch.nn.functional as F\nreturn F.relu(x)"),
        ("scipy", "from scipy.special import softmax\nreturn softmax(x)"),
    ],
)
def test_builtins_methods_and_packages_can_be_forbidden(forbid, body):
    assert flags(body, forbid)


def test_hostile_code_is_looked_through_in_bounded_time():
    body = "a = np\n" * 2000 + "x" + ".x" * 99 + "\n" + "z = " + "1+" * 3000
    assert isinstance(flags(body + "1"), tuple)


def test_what_is_too_long_to_look_through_is_told():
    body = "x = 1\n" * 20_000
    assert "could not be looked through" in flags(body)[0]


WATCHED = """
{watch}
import numpy as np
from numpy.linalg import inv
print({calls})
inv(np.eye(2))
np.linalg.det(np.eye(3))
sorted([2, 1])
np.linalg.cond(np.eye(2))
print(sorted({calls}))
"""


def test_calls_are_recorded_while_the_code_runs():
    source = "import numpy\n" + WATCHED.format(
        watch=forbidden.watch(["numpy.linalg", "sorted", "no.such.name"]),
        calls=forbidden.CALLS,
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert before == "[]"
    assert after == (
        "['numpy.linalg.cond', 'numpy.linalg.det', 'numpy.linalg.inv', "
        "'sorted']"
    )


def test_recorded_calls_become_flags_and_lies_do_not():
    _, plan = asked("numpy.linalg")
    calls = ["numpy.linalg.inv", "os.system", 7, None, "numpy.linalg.inv"]
    assert forbidden.called(calls, plan) == (
        "numpy.linalg.inv was called while the notebook ran",
    )
    for odd in (None, "numpy.linalg", {"numpy.linalg": 1}, [["x"]]):
        assert forbidden.called(odd, plan) == ()


@pytest.mark.parametrize(
    "source",
    [
        "a = a.b\n" * 5000,
        "def h():\n" + "  x = a.b.c.d.e.f(1).g[2].h\n" * 1700,
        ("x = " + "f(" * 150 + "a" + ")" * 150 + "\n") * 150,
        "x = " + "a if a else (" * 150 + "a" + ")" * 150,
        "globals()['x'], vars()[0], getattr(), eval(), exec(*a), f()()()",
        "from . import x\nfrom .. import *\nimport a.b.c as d",
        "\n".join(f"from m{n} import *" for n in range(1000)) + "\nx.y.z",
    ],
)
def test_hostile_helpers_are_looked_through_in_bounded_time(source):
    start = time.process_time()
    flags("h(); a; x", before=source)
    assert time.process_time() - start < 15
