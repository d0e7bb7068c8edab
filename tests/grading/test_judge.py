"""A submission is run in the sandbox, and its tests out here."""

import base64
import json
import os
from dataclasses import replace

import pytest
from grading import judge_notebooks as nb
from grading import judge_servers

from attncourse.checking.result import VERDICT_MIME
from attncourse.grading.inside.shell import Shell
from attncourse.grading.judging import publishing, substitutes
from attncourse.grading.judging.judge import judge
from attncourse.grading.judging.session import Session
from attncourse.grading.model import Judged, Limits
from attncourse.grading.notebooks import syntax
from attncourse.grading.sandbox.child import Child

MEAN = nb.answer(
    "def mean(x):\n    ### BEGIN SOLUTION\n    return sum(x) / len(x)\n"
    "    ### END SOLUTION",
    "mean",
)
MEAN_TEST = nb.check(
    "assert mean([1, 2]) == 1.5\n"
    + nb.hidden("assert mean([4.0, 4.0, 7.0]) == 5.0\n"),
    "mean-test",
    points=2,
)
SPREAD = nb.answer(
    "def spread(x):\n    ### BEGIN SOLUTION\n"
    "    return sum((e - mean(x)) ** 2 for e in x) / len(x)\n"
    "    ### END SOLUTION",
    "spread",
)
SPREAD_TEST = nb.check(
    "assert spread([1, 1]) == 0\n" + nb.hidden("assert spread([1, 3]) == 1.0"),
    "spread-test",
    points=3,
)
COURSE = [
    nb.given("import math\nhalf = 0.5", "setup"),
    MEAN,
    MEAN_TEST,
    nb.cell("print('the mean is', mean([1, 2]))"),
    SPREAD,
    SPREAD_TEST,
]


@pytest.fixture(scope="module")
def shell():
    return Shell(visible=True)


@pytest.fixture(scope="module")
def servers():
    with judge_servers.sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def run(servers, shell):
    def run(cells, answers=None, **options):
        job = nb.job(cells, answers, **options)
        return judge(job, sandbox_address=servers.address, shell=shell)

    return run


@pytest.fixture
def ask(run):
    """Return a function that judges a course of one question."""

    def ask(answer, test, *, points=2, given="import math", **options):
        cells = [
            nb.given(given, "setup"),
            nb.answer("### BEGIN SOLUTION\nf = None\n### END SOLUTION", "f"),
            nb.check(test, "f-test", points=points),
        ]
        outcome = run(cells, {"f": answer}, **options)
        return outcome.questions[0]

    return ask


def verdicts(outcome):
    return [each.verdict for each in outcome.questions]


def test_the_instructors_own_answers_earn_every_point(run):
    outcome = run(COURSE)
    assert verdicts(outcome) == ["pass", "pass"]
    assert outcome.points == 5
    assert outcome.student == "ada"
    assert outcome.flags == ()
    assert outcome.outputs["3"][0]["text"] == "the mean is 1.5\n"
    assert json.loads(json.dumps(outcome.to_json()))


def test_a_wrong_answer_fails_and_the_visible_part_says_why(run):
    outcome = run(COURSE, {"mean": "def mean(x):\n    return 3"})
    first = outcome.questions[0]
    assert (first.verdict, first.points) == ("fail", 0)
    assert first.shown[-1]["ename"] == "AssertionError"
    assert "mean([1, 2]) == 1.5" in first.shown[-1]["traceback"][0]
    assert "proxies" not in first.shown[-1]["traceback"][0]


def test_a_hidden_failure_shows_nothing_of_the_hidden_test(run):
    answer = "def mean(x):\n    return 1.5"
    outcome = run(COURSE, {"mean": answer})
    first = outcome.questions[0]
    assert (first.verdict, first.points) == ("fail", 0)
    assert first.shown == ()
    assert "5.0" not in json.dumps(outcome.to_json())


UNTOUCHED = """\
def f():
    # YOUR CODE HERE
    raise NotImplementedError()"""


def test_an_untouched_answer_is_missing(run):
    outcome = run(
        [
            nb.answer(
                "def f():\n    ### BEGIN SOLUTION\n    return 1\n"
                "    ### END SOLUTION",
                "f",
            ),
            nb.check("assert f() == 1", "f-test"),
        ],
        {"f": UNTOUCHED},
    )
    only = outcome.questions[0]
    assert only.verdict == "missing"
    assert "still to be written" in only.says


def test_a_deleted_answer_is_missing_and_the_rest_is_judged(run):
    outcome = run(
        COURSE,
        {
            "mean": None,
            "spread": "def spread(x):\n    return float(len(x) > 2)",
        },
    )
    assert outcome.questions[0].verdict == "missing"
    assert "mean" in outcome.questions[0].says


def test_an_error_of_the_answer_gives_its_built_in_name_and_its_line(ask):
    found = ask(
        "class Mine(ValueError):\n    pass\n\n"
        "def f(x):\n    raise Mine(str(x))",
        nb.hidden("f(123456789)"),
    )
    assert (found.verdict, found.error, found.line) == (
        "error",
        "ValueError",
        5,
    )
    assert "123456789" not in json.dumps(found.to_json())
    assert "Mine" not in json.dumps(found.to_json())


@pytest.mark.parametrize("hiding", [nb.hidden, str])
def test_data_in_place_of_a_function_is_called_that(run, hiding):
    tests = (
        "assert mean([2]) == 2",
        "from attncourse.checking import result\ncallable(mean) * 2",
    )
    for text in tests:
        cells = [MEAN, nb.check(hiding(text), "mean-test")]
        judged = run(cells, {"mean": "mean = 3"}).questions[0]
        assert judged.points == 0.0
        assert judged.says == (
            "mean must be a function or a class: it is something that cannot "
            "be called."
        )
    judged = run(cells, {"mean": "def mean(x): return 3"}).questions[0]
    assert judged.verdict == "pass"


def test_an_error_in_another_cell_is_told_with_the_answers_own_line(run):
    helper = "\n\n\n\ndef helper(x):\n    raise KeyError(x)"
    answer = "def mean(x):\n    return helper(x)"
    outcome = run(COURSE, {"mean": answer}, extra=[("setup", helper)])
    judged = outcome.questions[0]
    assert (judged.error, judged.line) == ("KeyError", 2)
    assert judged.says == "The answer raised KeyError in line 2."
    outcome = run(COURSE, {"mean": "mean = helper"}, extra=[("setup", helper)])
    says = outcome.questions[0].says
    assert says == "The answer raised KeyError in line 6 of cell 2."


@pytest.mark.parametrize("name", ["NameError", "LookupError"])
def test_a_missing_name_is_explained_by_a_cell_that_was_stopped(run, name):
    endless = "while True: pass\nONE = 1"
    answer = f"def mean(x):\n    raise {name}('ONE')"
    outcome = run(COURSE, {"mean": answer}, extra=[("setup", endless)])
    judged = outcome.questions[0]
    assert judged.says.startswith(f"The answer raised {name} in line 2.")
    assert ("cell 2 was stopped" in judged.says) == (name == "NameError")


@pytest.mark.parametrize(
    ("raising", "name"),
    [
        ("'é'.encode('ascii')", "UnicodeEncodeError"),
        ("b'\\xff'.decode()", "UnicodeDecodeError"),
        ("raise ExceptionGroup('x', [ValueError()])", "ExceptionGroup"),
        ("next(iter([]))", "StopIteration"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys; sys.exit(2)", "SystemExit"),
        ("[][1]", "IndexError"),
    ],
)
def test_an_error_is_told_by_its_own_built_in_name(ask, raising, name):
    found = ask(f"def f():\n    {raising}", nb.hidden("f()"))
    assert (found.error, found.line) == (name, 2)


def test_a_cell_that_stops_before_the_answer_is_an_error_with_its_line(ask):
    found = ask("x = 1\ny = x.nothing\ndef f():\n    return 1", "f()")
    assert (found.verdict, found.error, found.line) == (
        "error",
        "AttributeError",
        2,
    )


def test_a_syntax_error_is_told_with_its_line(ask):
    found = ask("x = 1\ndef f(:\n    return 1", "f()")
    assert (found.verdict, found.error, found.line) == (
        "error",
        "SyntaxError",
        2,
    )


POINTS = [
    ("1.5", 1.5, "partial"),
    ("2", 2.0, "pass"),
    ("0", 0.0, "fail"),
    ("None", 2.0, "pass"),
    ("True", 2.0, "pass"),
    ("False", 0.0, "fail"),
    ("import numpy\nnumpy.float64(1) == 2", 0.0, "fail"),
    ("1;", 2.0, "pass"),
    ("2.5", 0.0, "error"),
    ("-1", 0.0, "error"),
    ("float('nan')", 0.0, "error"),
    ("float('inf')", 0.0, "error"),
]


@pytest.mark.parametrize(("source", "points", "verdict"), POINTS)
def test_the_last_expressions_number_is_the_points(
    ask, source, points, verdict
):
    found = ask("def f():\n    return 1", f"f()\n{source}")
    assert (found.points, found.verdict) == (points, verdict)
    assert bool(found.flags) == (verdict == "error")


@pytest.mark.parametrize("source", ["'text'", "f", "[3] * f()", "1j"])
def test_points_that_are_no_number_are_for_the_instructor_to_see(ask, source):
    found = ask("def f():\n    return 1", source)
    assert (found.points, found.verdict) == (2.0, "pass")
    assert "must end with points" in found.flags[0]


def test_what_was_added_to_a_given_cell_is_there_for_answers(run):
    setup = "import math\nimport json\nhalf = 7\nprint('mine')"
    using = "def mean(x):\n    return json.loads(str(sum(x) / len(x)))"
    outcome = run(COURSE, {"setup": setup, "mean": using})
    assert verdicts(outcome) == ["pass", "pass"]
    assert "mine" in outcome.outputs["0"][0]["text"]


def test_an_answer_below_its_test_earns_its_points(run):
    stub = "def mean(x):\n    raise NotImplementedError"
    right = "def mean(x):\n    return sum(x) / len(x)"
    outcome = run(COURSE, {"mean": stub}, extra=[("spread-test", right)])
    assert verdicts(outcome) == ["pass", "pass"]
    assert any("run below" in note for note in outcome.notes)


def test_warnings_and_prints_cost_nothing(ask):
    answer = (
        "import warnings, sys\ndef f():\n    warnings.warn('careful')\n"
        "    print('out')\n    print('err', file=sys.stderr)\n    return 1"
    )
    assert ask(answer, "assert f() == 1").verdict == "pass"
    found = ask(answer, "assert f() == 2")
    assert found.verdict == "fail"
    texts = "".join(each.get("text", "") for each in found.shown)
    assert "out" in texts
    assert "err" in texts


def test_what_is_seen_of_a_test_is_run_only_where_it_did_not_pass(ask):
    visible = "print('seen', f())\n" + nb.hidden("assert f() == 1")
    assert ask("def f():\n    return 1", visible).shown == ()
    shown = ask("def f():\n    return 2", visible).shown
    assert shown[0]["text"] == "seen 2\n"


def test_the_visible_part_never_sees_the_seed(ask):
    found = ask(
        "def f():\n    return 1",
        "import os\nprint('GRADING_SEED' in os.environ, f())\n"
        + nb.hidden(f"os.environ['GRADING_SEED'] == {nb.SEED!r}\n0.5"),
    )
    assert (found.verdict, found.points) == ("partial", 0.5)
    assert found.shown[0]["text"] == "False 1\n"
    assert "GRADING_SEED" not in os.environ


def test_the_students_process_never_sees_the_seed(ask):
    found = ask(
        "import os\ndef f():\n    return dict(os.environ)",
        "print(f())\n"
        + nb.hidden(f"assert {nb.SEED!r} not in str(f())\nassert f()\n0.5"),
    )
    assert found.verdict == "partial"
    assert nb.SEED not in json.dumps(found.shown)


def test_a_test_that_fails_by_itself_is_the_instructors_business(ask):
    found = ask(
        "def f():\n    return 1", nb.hidden("secret = f() - 1\n1 / secret")
    )
    assert (found.verdict, found.points) == ("error", 0)
    assert any(
        "test itself failed: ZeroDivisionError" in f for f in found.flags
    )
    assert "ZeroDivision" not in found.says


def test_a_name_that_nobody_defines_is_missing_and_the_instructor_told(ask):
    found = ask("def f():\n    return 1", nb.hidden("helper(f())"))
    assert found.verdict == "missing"
    assert found.flags == ("no cell of the source defines helper",)


def test_a_test_that_compares_an_object_itself_is_flagged(ask):
    found = ask(
        "class A:\n    def __eq__(self, other):\n        return True\nf = A()",
        nb.hidden("assert f == 42"),
    )
    assert (found.verdict, found.points) == ("error", 0)
    assert any("must not use __eq__" in flag for flag in found.flags)


def told(**fields):
    data = {VERDICT_MIME: fields}
    return (
        f"from IPython.display import display\ndisplay({data!r}, raw=True)\n"
    )


def test_what_a_hidden_test_publishes_is_told(ask):
    assert publishing.MIME == VERDICT_MIME
    found = ask(
        "def f():\n    return 1",
        nb.hidden(
            told(
                verdict="partial",
                points=1.0,
                diagnosis=["off-by-one"],
                line=3,
                error="ValueError",
                notes=["because of it"],
            )
            + "1.0"
        ),
    )
    assert (found.verdict, found.points) == ("partial", 1.0)
    assert found.told["diagnosis"] == ["off-by-one"]
    assert found.told["notes"] == ["because of it"]


def test_notes_with_a_students_text_are_not_told(ask):
    found = ask(
        "def f(x):\n    return repr(x)",
        nb.hidden(
            "import json\nfrom IPython.display import display\n"
            "secret = 0.123456\n"
            f"display({{{VERDICT_MIME!r}: {{'verdict': 'fail', 'points': 0.0,"
            " 'error': f(secret), 'verdict_text': f(secret),"
            " 'notes': ['order' + ': got ' + f(secret), 'order']}}, raw=True)"
            "\n0.0"
        ),
    )
    assert found.verdict == "fail"
    assert found.told["notes"] == ["order"]
    assert "0.123456" not in json.dumps(found.to_json())


def test_a_told_todo_is_missing(ask):
    found = ask("f = 1", nb.hidden(told(verdict="todo", points=0.0) + "0.0"))
    assert found.verdict == "missing"


ENDS = [
    ("while True:\n        pass", "timeout"),
    ("import os; os._exit(0)", "crashed"),
    ("return bytearray(1 << 40)", "out-of-memory"),
    ("import ctypes; ctypes.string_at(0)", "crashed"),
]


@pytest.mark.parametrize(("body", "verdict"), ENDS)
def test_a_call_that_ends_its_process_costs_that_question_only(
    run, body, verdict
):
    outcome = run(
        COURSE,
        {
            "mean": f"def mean(x):\n    {body}",
            "spread": "def spread(x):\n"
            "    m = sum(x) / len(x)\n"
            "    return sum((e - m) ** 2 for e in x) / len(x)",
        },
    )
    assert verdicts(outcome) == [verdict, "pass"]
    assert outcome.questions[0].points == 0
    assert outcome.questions[0].says.endswith(".")


def test_a_top_level_loop_leaves_what_was_defined_before_it(run):
    answer = (
        "def mean(x):\n    return sum(x) / len(x)\n\nwhile True:\n    pass"
    )
    outcome = run(COURSE, {"mean": answer})
    assert verdicts(outcome) == ["pass", "pass"]
    assert "did not come to its end" in outcome.questions[0].says
    assert outcome.outputs["1"][-1]["ename"] == "timeout"
    assert any("cell 2 was stopped" in note for note in outcome.notes)


def test_a_cell_that_runs_away_before_its_answer_times_out(run):
    outcome = run(COURSE, {"mean": "while True:\n    pass\nmean = max"})
    assert verdicts(outcome)[0] == "timeout"


def test_a_later_cell_that_exits_costs_nothing_before_or_after(run):
    outcome = run(COURSE, extra=[("mean-test", "import os\nos._exit(3)")])
    assert verdicts(outcome) == ["pass", "pass"]


def test_an_import_that_is_not_there_costs_its_own_question(run):
    answer = "import no_such_thing\ndef mean(x):\n    return 1"
    spread = "def spread(x):\n    return float(x[0] != x[1])"
    outcome = run(COURSE, {"mean": answer, "spread": spread})
    first = outcome.questions[0]
    assert (first.verdict, first.error, first.line) == (
        "error",
        "ModuleNotFoundError",
        1,
    )
    assert verdicts(outcome)[1] == "pass"


def test_input_and_deep_recursion_are_ordinary_errors(ask):
    found = ask("def f():\n    return input()", nb.hidden("f()"))
    assert (found.verdict, found.error) == ("error", "RuntimeError")
    found = ask("def f():\n    return f()", nb.hidden("f()"))
    assert (found.verdict, found.error) == ("error", "RecursionError")


def test_a_flood_of_output_is_cut(ask):
    limits = Limits(cpu_s=5.0, output_bytes=10_000)
    found = ask(
        "def f():\n    print('x' * 10_000_000)\n    return 1",
        "assert f() == 1",
        limits=limits,
    )
    assert found.verdict == "pass"
    assert len(json.dumps(found.shown)) < 40_000


def test_upstream_mistakes_are_not_punished_twice(run):
    outcome = run(COURSE, {"mean": "def mean(x):\n    return sum(x)"})
    assert verdicts(outcome) == ["fail", "pass"]
    second = outcome.questions[1]
    assert second.points == 3
    assert second.substituted == ("mean",)
    assert "instructor's mean" in second.says


def test_upstream_mistakes_are_punished_where_the_unit_says_so(run):
    answers = {"mean": "def mean(x):\n    return sum(x)"}
    outcome = run(COURSE, answers, upstream="punish")
    assert verdicts(outcome) == ["fail", "fail"]


def test_a_missing_answer_is_supplied_for_a_later_one(run):
    outcome = run(COURSE, {"mean": None})
    assert verdicts(outcome) == ["missing", "pass"]
    assert outcome.questions[1].substituted == ("mean",)


def test_a_wrong_answer_stays_wrong_with_the_right_one_before_it(run):
    outcome = run(
        COURSE,
        {
            "mean": "def mean(x):\n    return sum(x)",
            "spread": "def spread(x):\n    return mean(x)",
        },
    )
    assert verdicts(outcome) == ["fail", "fail"]
    assert outcome.questions[1].substituted == ()


def test_no_function_is_lent_to_a_question_that_is_not_to_use_it(run):
    again = "def again(x):\n    return mean(x)"
    cells = [
        MEAN,
        MEAN_TEST,
        nb.answer("def again(x):\n    return sum(x) / len(x)", "again"),
        nb.check(nb.hidden("assert again([1, 3]) == 2"), "again-test"),
    ]
    outcome = run(cells, {"mean": "def mean(x): return 0", "again": again})
    assert verdicts(outcome) == ["fail", "fail"]


def test_no_function_is_lent_to_a_question_about_functions(run):
    cells = [
        MEAN,
        MEAN_TEST,
        nb.answer("def accepts(f):\n    return f([1, 4]) == 2.5", "accepts"),
        nb.check(
            nb.hidden(
                "assert accepts(lambda x: 2.5)\nassert not accepts(sum)"
            ),
            "accepts-test",
        ),
    ]
    leaning = "def accepts(f):\n    return f([1, 4]) == mean([1, 4])"
    outcome = run(cells, {"mean": "def mean(x): return 0", "accepts": leaning})
    assert verdicts(outcome) == ["fail", "fail"]
    outcome = run(cells, {"accepts": leaning})
    assert verdicts(outcome) == ["pass", "pass"]


def test_an_independent_answer_is_not_tried_twice(servers, shell):
    asked = []

    def counted(*args, **options):
        asked.append(options["visible"])
        return Child(servers.address, *args, **options)

    spread = "def spread(x):\n    return 17"
    answers = {"mean": "def mean(x):\n    return 17", "spread": spread}
    judge(nb.job(COURSE, answers), open_child=counted, shell=shell)
    assert asked == [True, False]


def test_an_honest_notebook_needs_two_processes(servers, shell):
    asked = []

    def counted(*args, **options):
        asked.append(options["visible"])
        return Child(servers.address, *args, **options)

    judge(nb.job(COURSE), open_child=counted, shell=shell)
    assert asked == [True, False]


AUDIT = nb.check(
    nb.hidden(
        "def right(x):\n    return x + 1\n"
        "def wrong(x):\n    return x\n"
        "audit(right)\n"
        "try:\n    audit(wrong)\n"
        "except AssertionError:\n    pass\n"
        "else:\n    raise AssertionError('a wrong one was accepted')"
    ),
    "audit-test",
)


def test_a_function_of_the_test_goes_where_nothing_else_is_scored(
    servers, shell
):
    asked = []

    def counted(*args, **options):
        asked.append(options["visible"])
        return Child(servers.address, *args, **options)

    audit = "def audit(f):\n    assert f(1) == 2"
    cells = [nb.answer(audit, "audit"), AUDIT, MEAN, MEAN_TEST]
    outcome = judge(nb.job(cells), open_child=counted, shell=shell)
    assert verdicts(outcome) == ["pass", "pass"]
    assert asked == [True, False, False]
    asked.clear()
    cells = [MEAN, MEAN_TEST, nb.answer(audit, "audit"), AUDIT]
    outcome = judge(nb.job(cells), open_child=counted, shell=shell)
    assert verdicts(outcome) == ["pass", "pass"]
    assert asked == [True, False]


def test_a_given_cell_runs_on_both_sides(run):
    cells = [
        nb.given("def shift(x):\n    return x + 1", "shift"),
        nb.answer("def f(x):\n    return shift(x)", "f"),
        nb.check(nb.hidden("assert f(3) == shift(3)"), "f-test"),
    ]
    assert verdicts(run(cells)) == ["pass"]


def test_a_student_changes_no_given_name_for_the_test(run):
    cells = [
        nb.given("def right(x):\n    return x + 1", "right"),
        nb.answer("def f(x):\n    return right(x)", "f"),
        nb.check(nb.hidden("assert f(3) == right(3)"), "f-test"),
    ]
    cheat = "def right(x):\n    return 0\ndef f(x):\n    return 0"
    assert verdicts(run(cells, {"f": cheat})) == ["fail"]


def test_a_judge_that_takes_over_tries_nothing_again(servers, shell):
    job = nb.job(COURSE, {"mean": "def mean(x):\n    return 0"})
    once = judge(job, sandbox_address=servers.address, shell=shell)
    kept = once.questions[0]
    again = judge(
        nb.job(COURSE),
        sandbox_address=servers.address,
        shell=shell,
        closed=[kept],
    )
    assert again.questions[0] == kept
    assert again.questions[1].verdict == "pass"


def test_everything_done_is_reported_as_it_is_done(servers, shell):
    heard = []
    judge(
        nb.job(COURSE),
        sandbox_address=servers.address,
        shell=shell,
        report=lambda what, data: heard.append(what),
    )
    assert heard == ["at", "judged", "at", "judged", "outputs"]


def test_files_beside_the_notebook_are_beside_it(servers, shell):
    import base64
    import dataclasses

    answer = "import helper\ndef mean(x):\n    return helper.mean(x)"
    helper = b"def mean(x):\n    return sum(x) / len(x)\n"
    job = dataclasses.replace(
        nb.job(COURSE, {"mean": answer}),
        files={"helper.py": base64.b64encode(helper).decode()},
    )
    outcome = judge(job, sandbox_address=servers.address, shell=shell)
    assert verdicts(outcome) == ["pass", "pass"]


def test_the_same_job_is_judged_the_same(run):
    def without_times(outcome):
        questions = [
            {**each.to_json(), "seconds": 0} for each in outcome.questions
        ]
        return questions, outcome.outputs, outcome.notes, outcome.flags

    answers = {
        "mean": "import random\ndef mean(x):\n    return random.random()"
    }
    cells = [*COURSE, nb.cell("import numpy as np\nnp.random.rand()")]
    assert without_times(run(cells, answers)) == without_times(
        run(cells, answers)
    )


def test_an_endless_answer_in_the_visible_part_is_tried_once(servers, shell):
    asked = []

    def counted(*args, **options):
        asked.append(options["visible"])
        return Child(servers.address, *args, **options)

    answers = {"spread": "def spread(x):\n    while True:\n        pass"}
    outcome = judge(nb.job(COURSE, answers), open_child=counted, shell=shell)
    assert verdicts(outcome) == ["pass", "timeout"]
    assert asked == [True, False]


def test_no_line_is_told_that_the_students_cells_do_not_have(ask):
    found = ask(
        "def f(x):\n"
        "    code = compile('\\n' * int(x) + 'raise ValueError', "
        "f.__code__.co_filename, 'exec')\n"
        "    exec(code)",
        nb.hidden("f(12345)"),
    )
    assert (found.verdict, found.line) in [("error", None), ("error", 3)]


TWICE = """
import gc
server = next(o for o in gc.get_objects() if type(o).__name__ == 'Server')
def mean(x):
    server.channel.send(server._packed({'value': 1.5}).data)
    return sum(x) / len(x)
"""


def test_an_answer_that_nobody_asked_for_costs_its_own_question(run):
    alone = "import numpy as np\ndef spread(x):\n    return float(np.var(x))"
    outcome = run(COURSE, {"mean": TWICE, "spread": alone})
    assert verdicts(outcome) == ["crashed", "pass"]
    assert "asked for" in outcome.questions[0].says or (
        "cannot be read" in outcome.questions[0].says
    )


def test_a_notebook_shows_only_so_much_in_all(run):
    few = replace(nb.LIMITS, output_bytes=20_000)
    extra = [("setup", "print('x' * 10 ** 6)")] * 30
    outcome = run(COURSE, extra=extra, limits=few)
    assert outcome.points == 5
    assert len(json.dumps(outcome.outputs)) < 10 * 20_000
    assert outcome.outputs["1"][0]["text"].startswith("xxx")
    assert any("shows more than is kept" in note for note in outcome.notes)


def test_forged_outputs_are_not_kept(run):
    forging = """
import gc
server = next(o for o in gc.get_objects() if type(o).__name__ == 'Server')
text = {'output_type': 'stream', 'name': 'stdout', 'text': 'x' * 10 ** 7}
packed = server._packed({'value': None, 'outputs': [text], 'failed': None})
server.channel.send(packed.data)
"""
    outcome = run(COURSE, extra=[("setup", forging)])
    assert outcome.points == 5
    assert len(json.dumps(outcome.outputs)) < 10_000


def beside(job, **files):
    held = {
        name: base64.b64encode(data).decode() for name, data in files.items()
    }
    return replace(job, files=held)


def test_files_that_do_not_fit_are_left_out_with_a_note(servers, shell):
    small = replace(nb.LIMITS, file_bytes=1 << 20)
    reads = "print(sorted(__import__('os').listdir()), open('part').read())"
    files = {f"n{k}": b"1" for k in range(450)}
    files |= {f"large-{k}": bytes(900_000) for k in range(4)}
    job = beside(
        nb.job(COURSE, extra=[("setup", reads)], limits=small),
        **{"part": b"here", "huge": bytes(3 << 20), "part/of": b"", **files},
    )
    outcome = judge(job, sandbox_address=servers.address, shell=shell)
    assert outcome.points == 5
    told = outcome.outputs["1"][0]["text"]
    assert "'n449'" in told
    assert "'large-3'" in told
    assert "huge" not in told
    assert told.endswith("here\n")
    notes = [note.split(" could")[0] for note in outcome.notes]
    assert notes == ["huge", "part/of"]


@pytest.mark.parametrize("hidden", [True, False])
def test_forbidden_calls_are_recorded_while_the_notebook_runs(
    servers, shell, hidden
):
    sly = "import numpy as np\nname = 'norm'\nnorm = getattr(np.linalg, name)"
    test = "assert f([3, 4]) == 5" if hidden else "assert True"
    cells = [
        nb.answer(nb.solved("f = None"), "f"),
        nb.check(test, "f-test"),
    ]
    call = "" if hidden else "\nf([3, 4])"
    answer = f"{sly}\ndef f(x):\n    return norm(x)\n{call}"
    job = nb.job(cells, {"f": answer}, extra=[("f", "1 + 1")])
    tests = [
        replace(cell, forbids=("numpy.linalg",)) for cell in job.plan.cells
    ]
    job = replace(job, plan=replace(job.plan, cells=tuple(tests)))
    outcome = judge(job, sandbox_address=servers.address, shell=shell)
    assert outcome.questions[0].verdict == "pass"
    assert outcome.flags == (
        "numpy.linalg.norm was called while the notebook ran",
    )
    assert outcome.outputs["1"][0]["execution_count"] == 2


def test_no_more_of_a_notebook_is_parsed_than_an_honest_one_has(monkeypatch):
    extra = [("setup", f"x{k} = '{'1' * 40_000}'") for k in range(30)]
    job = nb.job(COURSE, {"mean": "def mean(x):\n    return 3"}, extra=extra)
    parsed = []
    tree = syntax.tree
    monkeypatch.setattr(
        syntax, "tree", lambda text: parsed.append(len(text)) or tree(text)
    )
    failed = {
        cell.grade_id: Judged(
            grade_id=cell.grade_id,
            verdict="fail",
            points=0.0,
            max_points=cell.points,
            says="",
        )
        for cell in job.plan.tests
    }
    leaning = list(substitutes.candidates(job, failed))
    assert [names for _, names in leaning] == [("mean",)]
    session = Session(job, None, visible=True)
    assert any("x29" in code.binds for code in session.codes)
    assert sum(parsed) < 2 * syntax.MOST_TOGETHER


def test_what_a_call_did_before_it_raised_is_seen(ask):
    answer = "def f(x, *, y):\n    x[0], y[0] = 7, 8\n    raise ValueError"
    test = (
        "x, y = [1], [2]\ntry:\n    f(x, y=y)\nexcept ValueError:\n    pass\n"
        "assert (x, y) == ([7], [8])"
    )
    assert ask(answer, test).verdict == "pass"


def test_what_an_answer_raises_is_told_by_its_own_name(run):
    text = "from attncourse.checking import run, question\n"
    text += "case = question.Case('one', ([1.0],))\n"
    text += "came = run.call(mean, case)\n"
    text += "assert came.failure.name == 'StopIteration'\n2.0"
    cells = [MEAN, nb.check(nb.hidden(text), "mean-test")]
    own = {"mean": "def mean(x):\n    return next(iter(()))"}
    judged = run(cells, own).questions[0]
    assert (judged.verdict, judged.points) == ("pass", 2.0)


@pytest.mark.parametrize(
    ("made", "called"),
    [
        ("class Box: pass\nmean = Box()", False),
        ("mean = (x for x in [1])", False),
        ("import numpy\nmean = numpy", False),
        (
            "class Box:\n    def __call__(self, x): return 7\nmean = Box()",
            True,
        ),
        ("mean = print", True),
    ],
)
def test_an_object_that_cannot_be_called_is_called_that(run, made, called):
    cells = [MEAN, nb.check(nb.hidden("assert mean([2]) == 2"), "mean-test")]
    judged = run(cells, {"mean": made}).questions[0]
    assert judged.points == 0.0
    assert ("cannot be called" in judged.says) is not called
