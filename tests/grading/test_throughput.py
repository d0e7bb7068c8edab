"""Many submissions through the real engine: quickly, in bounded memory."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_samples import children, notebook, plan, setup, task

from attncourse.grading.inside import isolate
from attncourse.grading.model import Limits
from attncourse.grading.running.engine import Grader

ISOLATION = isolate.available()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not ISOLATION.complete,
        reason=f"students cannot be held: {'; '.join(ISOLATION.missing)}",
    ),
]
LIMITS = Limits(cpu_s=0.5, wall_s=2.0, memory_bytes=1 << 28)
HONEST = "def add(a, b):\n    return a + b"
HOSTILE = (
    "while True:\n    pass",
    "def add(a, b):\n    while True:\n        pass",
    "import os\nos._exit(0)",
    "import ctypes\nctypes.string_at(0)",
    "def add(a, b):\n    return add(a, b)",
    "held = [bytes(1 << 24) for _ in range(10**6)]",
    "def add(a, b):\n    print('x' * 10**8)",
    "name = input()",
    "import nothing_of_this_name",
    "import time\ntime.sleep(100)",
)


def whole():
    """The plan, with tight limits."""
    made = plan()
    cells = tuple(replace(each, limits=LIMITS) for each in made.cells)
    return replace(made, cells=cells)


def handed_in(student, answer):
    data = base64.b64encode(notebook(answer).encode()).decode()
    return replace(task(student), data=data)


def grader(workers):
    marker = "attncourse.grading.running.marking:Marker"
    return Grader(replace(setup(), marker=marker), workers=workers)


def test_twenty_hostile_and_honest_submissions_take_seconds():
    tasks = [
        handed_in(f"{kind}{number}", answer)
        for number, hostile in enumerate(HOSTILE)
        for kind, answer in (("honest", HONEST), ("hostile", hostile))
    ]
    start = time.monotonic()
    came = {
        each.student: marked.outcome.questions[0].verdict
        for each, marked in grader(2).grade(tasks, {"p": whole()})
    }
    took = time.monotonic() - start
    assert len(came) == 20
    for student, verdict in came.items():
        assert (verdict == "pass") == student.startswith("honest"), student
    assert took < 15 * max(1, os.getloadavg()[0] / 2)


def resident(pids):
    """Return the memory that processes hold, in bytes."""
    return sum(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        for pid in pids
    )


def test_a_worker_does_not_grow_with_what_it_has_graded():
    tasks = (handed_in(f"s{number}", HONEST) for number in range(150))
    found = []
    for _, marked in grader(1).grade(tasks, {"p": whole()}):
        assert marked.outcome.questions[0].verdict == "pass"
        # What it keeps, not the child at work: the oldest process of all.
        found.append(resident(sorted(children())[:1]))
    assert found[-1] - found[50] < 4 << 20
