"""The whole engine, with real sandboxes and judges, on a small class."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from dask_cluster import Dask
from engine_samples import children, contents, hand_in, notebook, settings

from attncourse.grading.inside import isolate
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.store import Store
from attncourse.grading.model import Limits
from attncourse.grading.running import grade
from attncourse.grading.running.settings import Options

ISOLATION = isolate.available()
pytestmark = pytest.mark.skipif(
    not ISOLATION.complete,
    reason=f"students cannot be held here: {'; '.join(ISOLATION.missing)}",
)
TESTS = str(Path(__file__).parents[1])
CLASS = {
    "ada": ("def add(a, b):\n    return a + b", "pass"),
    "bao": ("def add(a, b):\n    return a - b", "fail"),
    "chidi": ("def add(a, b):\n    while True:\n        pass", "timeout"),
    "dilnoza": ("import os\nos._exit(0)", "crashed"),
    "emil": ("def add(a, b):\n    return [0] * 10**9", "out-of-memory"),
    "farah": ("def add(a, b):\n    return 5", "fail"),
    "goro": ("import os\nos.kill(os.getppid(), 9)", "error"),
    "hana": ("def add(a, b):\n    raise NotImplementedError", "error"),
}


def course(folder: Path):
    made = settings(folder)
    setup = replace(
        made.setup, marker="attncourse.grading.running.marking:Marker"
    )
    limits = Limits(cpu_s=0.5, wall_s=2.0, memory_bytes=1 << 28)
    return replace(made, setup=setup, limits=limits)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    made = course(folder)
    made.key_file.write_text("k" * 64)
    made.key_file.chmod(0o600)
    Store(made.db_url, Folders(root=folder)).close()
    for student, (answer, _) in CLASS.items():
        hand_in(made, student, notebook(answer, why="Because."))
    return folder


def run(folder: Path, **options) -> int:
    return grade.run(
        course(folder),
        Options(**options),
        stream=io.StringIO(),
        progress_stream=io.StringIO(),
    )


def what_came(folder: Path) -> dict:
    """Return verdicts and points: times and process numbers apart."""
    with Store(f"sqlite:///{folder}/gradebook.db", Folders(root=folder)) as s:
        return {
            each.student: [
                (q.grade_id, q.verdict, q.points, q.says)
                for q in each.questions
            ]
            for each in s.outcomes("03_sums")
        }


@pytest.fixture(scope="module")
def serially(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serially") / "class"
    shutil.copytree(start, folder)
    assert run(folder, workers=1) == 0
    assert not children()
    return folder, what_came(folder)


def test_each_gets_a_verdict_and_nobody_another_ones(serially):
    _, came = serially
    verdicts = {student: told[0][1] for student, told in came.items()}
    assert verdicts.keys() == CLASS.keys()
    for student, (_, verdict) in CLASS.items():
        if verdict is not None:
            assert verdicts[student] == verdict, came[student]
    assert {s: told[0][2] for s, told in came.items() if told[0][2]} == {
        "ada": 5.0
    }


def test_several_workers_come_to_the_same(serially, start, tmp_path):
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    assert run(folder, workers=2) == 0
    assert what_came(folder) == serially[1]
    assert contents(folder)["grade"] == contents(serially[0])["grade"]


# Dask closes some of its sockets only when the interpreter ends.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cluster_that_loses_a_worker_comes_to_the_same(
    serially, start, tmp_path
):
    pytest.importorskip("distributed", reason="needs the extra `dask`")
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    dask = Dask(tmp_path)

    def kill_one():
        while not (folder / "autograded").exists():
            time.sleep(0.02)
        dask.workers[0].kill()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    try:
        assert run(folder, scheduler=dask.address) == 0
    finally:
        dask.close()
    killer.join(1.0)
    assert dask.workers[0].returncode == -signal.SIGKILL
    assert what_came(folder) == serially[1]
    assert contents(folder)["grade"] == contents(serially[0])["grade"]


PROGRAM = """
import sys
from pathlib import Path
from test_whole import course
from attncourse.grading.running import grade
from attncourse.grading.running.settings import Options
sys.exit(grade.run(course(Path(sys.argv[1])), Options(workers=2)))
"""


def program(folder: Path) -> subprocess.Popen:
    here = os.pathsep.join([TESTS, str(Path(__file__).parent)])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env=os.environ | {"PYTHONPATH": here},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def gone(pids: set[int]) -> bool:
    return not any(_lives(pid) for pid in pids)


def _lives(pid: int) -> bool:
    try:
        text = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_grader_leaves_no_process_and_goes_on(
    serially, start, tmp_path, how
):
    folder = tmp_path / "class"
    shutil.copytree(start, folder)
    stopped = program(folder)
    late = time.monotonic() + 60
    while not (folder / "autograded").exists():
        assert stopped.poll() is None
        assert time.monotonic() < late
        time.sleep(0.02)
    there = children() - {stopped.pid}
    assert there
    stopped.send_signal(how)
    stopped.wait(30)
    late = time.monotonic() + 20
    while not gone(there):
        assert time.monotonic() < late, "processes outlive their grader"
        time.sleep(0.05)
    before = what_came(folder)
    assert before.items() <= serially[1].items()
    assert run(folder, workers=2) == 0
    assert what_came(folder) == serially[1]
