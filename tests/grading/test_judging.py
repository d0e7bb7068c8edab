"""Judges are processes of their own, and may die."""

import base64
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grading import judge_notebooks as nb
from grading import judge_servers

from attncourse.grading.inside import isolate
from attncourse.grading.judging.judges import JudgeServer, grade_job
from attncourse.grading.model import GradingError, Outcome

ANSWERS = [
    nb.answer("def one():\n    return 1", "one"),
    nb.check(nb.hidden("assert one() == 1"), "one-test"),
    nb.answer("def two():\n    return 2", "two"),
    nb.check(nb.hidden("assert two() == 2"), "two-test"),
    nb.answer("def three():\n    return 3", "three"),
    nb.check(nb.hidden("assert three() == 3"), "three-test"),
]


def course(second=None, given=None):
    """Return the course, with another second test or a given cell."""
    cells = list(ANSWERS)
    if second is not None:
        cells[3] = nb.check(nb.hidden(second), "two-test")
    if given is not None:
        cells.insert(0, nb.given(given, "setup"))
    return nb.job(cells)


@pytest.fixture(scope="module")
def sandbox():
    with judge_servers.sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def judges(sandbox):
    with JudgeServer() as made:
        yield made


def verdicts(outcome):
    return [each.verdict for each in outcome.questions]


def test_a_job_is_judged_and_the_isolation_told(sandbox, judges):
    outcome = grade_job(course(), sandbox, judges)
    assert verdicts(outcome) == ["pass", "pass", "pass"]
    assert outcome.isolation == sandbox.isolation.level
    assert outcome.cpu_s > 0
    assert Outcome.from_json(outcome.to_json()) == outcome


LOST = [
    ("import os; two(); os._exit(7)", "crashed"),
    ("import os, signal; two(); os.kill(os.getpid(), 9)", "crashed"),
]


@pytest.mark.parametrize(("test", "verdict"), LOST)
def test_a_judge_that_dies_costs_the_question_it_was_at(
    sandbox, judges, test, verdict
):
    outcome = grade_job(course(test), sandbox, judges)
    assert verdicts(outcome) == ["pass", verdict, "pass"]
    lost = outcome.questions[1]
    assert lost.points == 0
    assert any("judge was lost" in flag for flag in lost.flags)
    assert any("before its time" in flag for flag in outcome.flags)


def test_a_judge_that_hangs_is_ended(sandbox, judges, monkeypatch):
    monkeypatch.setattr("attncourse.grading.judging.judges.RUNS", 0.06)
    hanging = "import time\ntwo()\ntime.sleep(600)"
    outcome = grade_job(course(hanging), sandbox, judges)
    assert verdicts(outcome) == ["pass", "timeout", "pass"]


def test_a_test_that_computes_for_ever_times_out(sandbox, judges):
    outcome = grade_job(course("while True:\n    two"), sandbox, judges)
    assert verdicts(outcome) == ["pass", "timeout", "pass"]
    assert any("judge itself busy" in f for f in outcome.questions[1].flags)


def test_a_judge_that_dies_in_a_given_cell_loses_no_submission(
    sandbox, judges
):
    job = course(
        given="import os\nif 'NBGRADER_EXECUTION' in os.environ:\n"
        "    os._exit(3)"
    )
    outcome = grade_job(job, sandbox, judges)
    assert verdicts(outcome) == ["crashed", "crashed", "crashed"]
    assert outcome.flags


def test_judges_remember_nothing_of_each_other(sandbox, judges):
    test = (
        "import builtins\nassert not hasattr(builtins, 'left')\n"
        "builtins.left = 1\nassert two() == 2"
    )
    for _ in range(2):
        outcome = grade_job(course(test), sandbox, judges)
        assert verdicts(outcome)[1] == "pass"


@pytest.mark.skipif(
    not isolate.available().complete, reason="no isolation here"
)
def test_a_judge_can_write_nothing_outside_and_read_no_gradebook(
    sandbox, judges, tmp_path
):
    secret = tmp_path / "gradebook.db"
    secret.write_text("grades")
    test = f"""
import tempfile
assert two() == 2
for action in (
    lambda: open({str(secret)!r}).read(),
    lambda: open({str(tmp_path / "new")!r}, "w"),
    lambda: open("/tmp/attack-judge", "w"),
):
    try:
        action()
    except PermissionError:
        continue
    raise RuntimeError("a judge must be held")
with tempfile.TemporaryFile() as mine:
    mine.write(b"mine")
"""
    outcome = grade_job(course(test), sandbox, judges)
    assert verdicts(outcome)[1] == "pass", outcome.questions[1]
    assert not (tmp_path / "new").exists()


def test_the_judges_folder_is_no_place_of_the_submission(sandbox, judges):
    job = course(
        "import os, sys\nassert two() == 2\nassert os.listdir('.') == []\n"
        "assert '' not in sys.path and os.getcwd() not in sys.path\n"
        "try:\n    import helper\nexcept ImportError:\n    pass\n"
        "else:\n    raise RuntimeError('it must not be found')"
    )
    job = dataclasses.replace(job, files={"helper.py": ""})
    assert verdicts(grade_job(job, sandbox, judges))[1] == "pass"


def test_a_server_that_has_died_is_started_again(sandbox):
    with JudgeServer() as judges:
        os.kill(judges._process.pid, signal.SIGKILL)
        judges._process.wait()
        outcome = grade_job(course(), sandbox, judges)
        assert verdicts(outcome) == ["pass", "pass", "pass"]


def test_a_server_that_dies_during_a_job_is_no_loss(sandbox, monkeypatch):
    with JudgeServer() as judges:
        asked = []
        ask = judges._ask

        def dying(message, wait_s):
            if "job" in message and not asked:
                asked.append(1)
                os.kill(judges._process.pid, signal.SIGKILL)
                judges._process.wait()
            return ask(message, wait_s)

        monkeypatch.setattr(judges, "_ask", dying)
        outcome = grade_job(course(), sandbox, judges)
        assert asked == [1]
        assert verdicts(outcome) == ["pass", "pass", "pass"]


def test_a_module_that_cannot_be_imported_is_said_at_the_start():
    with pytest.raises(GradingError, match="no_such_module"):
        JudgeServer(preload=["no_such_module"])


def test_nothing_is_left_behind():
    code = (
        "from attncourse.grading.judging.judges import JudgeServer\n"
        "with JudgeServer() as judges:\n"
        "    print(judges._process.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not Path(f"/proc/{done.stdout.strip()}").exists()


def test_a_server_ends_with_its_owner():
    code = (
        "import os, signal\n"
        "from attncourse.grading.judging.judges import JudgeServer\n"
        "judges = JudgeServer()\n"
        "print(judges._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    server = Path(f"/proc/{done.stdout.strip()}/stat")
    for _ in range(100):
        if not server.exists() or server.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the server must have ended")


def test_tests_read_the_instructors_files_and_no_students(sandbox, judges):
    given = "expected = open('data/right.txt').read()"
    test = (
        "import os, helper\n"
        "assert helper.doubled(two()) == int(expected)\n"
        "assert sorted(os.listdir()) == ['data', 'helper.py']"
    )
    files = {
        "data/right.txt": b"4",
        "helper.py": b"def doubled(x):\n    return 2 * x\n",
        "theirs.py": b"",
    }
    job = dataclasses.replace(
        course(test, given=given),
        files={
            name: base64.b64encode(data).decode()
            for name, data in files.items()
        },
        given_files=("data/right.txt", "helper.py"),
    )
    outcome = grade_job(job, sandbox, judges)
    assert verdicts(outcome) == ["pass", "pass", "pass"], outcome.questions
