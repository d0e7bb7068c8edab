"""Time the grading engine against nbgrader as it comes, on one class.

Both grade the same notebooks of honest students, one after the other, and
both are timed from outside, as commands: processor time of everything that
they start, and the time on the wall. Two class sizes tell what one more
submission costs apart from starting up.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attncourse import questions
from attncourse.notebooks.course import (
    CLASSROOM,
    Course,
    CourseError,
    tools_on_path,
    unit_of,
)
from attncourse.notebooks.release import written
from attncourse.notebooks.sample import USUAL, Hand
from attncourse.notebooks.sync import chosen, sync

# What honest students hand in, all of it read, run and judged.
HONEST = tuple(hand for hand in USUAL if "blank" not in hand.says)
STOCK = """\
c = get_config()
c.CourseDirectory.course_id = "measured"
c.CourseDirectory.root = {root!r}
"""


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds of processor, and on the wall."""

    submissions: int
    cpu_s: float
    wall_s: float


def spent(
    command: Sequence[str],
    folder: Path,
    submissions: int,
    environment: Mapping[str, str] | None = None,
) -> Spent:
    """Run a command in a folder and return what it took.

    Raises
    ------
    CourseError
        If it fails; ends with the command's own words.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        capture_output=True,
        text=True,
        errors="replace",
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise CourseError(
            f"{' '.join(command[-4:])} must succeed to be timed: got status "
            f"{done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
        )
    cpu = (after.ru_utime + after.ru_stime) - (
        before.ru_utime + before.ru_stime
    )
    return Spent(submissions, cpu, wall)


def marginal(few: Spent, many: Spent) -> tuple[float, float]:
    """Return what one more submission costs: processor and wall seconds.

    Examples
    --------
    >>> marginal(Spent(2, 3.0, 4.0), Spent(12, 4.0, 5.0))
    (0.1, 0.1)
    """
    more = many.submissions - few.submissions
    if more < 1:
        raise ValueError(
            f"the larger class must be larger: got {few.submissions} and "
            f"{many.submissions} submissions"
        )
    return (many.cpu_s - few.cpu_s) / more, (many.wall_s - few.wall_s) / more


def fill(course: Course, folder: Path, stem: str, students: int) -> None:
    """Make a course folder of one unit in which students have handed in."""
    import nbformat

    sync(course, [stem], check=True)
    source_file = course.source_notebook(stem)
    source = nbformat.read(source_file, as_version=4)
    blank = nbformat.read(course.exercise(stem), as_version=4)
    asked = {id_: questions.load(id_) for id_ in questions.ids(unit_of(stem))}
    for top in ("source", "submitted"):
        shutil.rmtree(folder / top, ignore_errors=True)
    copy = folder / "source" / stem / source_file.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(source_file, copy)
    texts: dict[Hand, str] = {
        hand: written(hand.fill(source, blank, asked)) for hand in HONEST
    }
    for number in range(students):
        file = folder / "submitted" / f"s{number:04}" / stem / copy.name
        file.parent.mkdir(parents=True)
        file.write_text(texts[HONEST[number % len(HONEST)]], encoding="utf-8")


def stock(course: Course, stem: str, students: int) -> Spent:
    """Time nbgrader as it comes, without any configuration of ours."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        fill(course, folder, stem, students)
        (folder / "nbgrader_config.py").write_text(
            STOCK.format(root=str(folder))
        )
        nbgrader = [sys.executable, "-m", "nbgrader"]
        spent([*nbgrader, "generate_assignment", stem], folder, 0)
        return spent([*nbgrader, "autograde", stem], folder, students)


def ours(
    course: Course, stem: str, students: int, workers: int
) -> tuple[Spent, float]:
    """Time `attncourse grade`; also return what judging took of it.

    Judging is the processor time of a judge and of the processes that held
    the student's code, from their fork to their end.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        fill(course, folder, stem, students)
        command = [sys.executable, "-m", "attncourse", "grade"]
        command += [unit_of(stem), "--workers", str(workers)]
        taken = spent(command, course.root, students, {CLASSROOM: str(folder)})
        lines = (folder / "grading.log").read_text("utf-8").splitlines()
        told = [json.loads(line) for line in lines]
        graded = [each for each in told if each.get("event") == "graded"]
        if len(graded) != students:
            raise CourseError(
                f"all {students} submissions must be graded to be timed: "
                f"got {len(graded)}"
            )
        return taken, sum(each["cpu_s"] for each in graded) / students


@dataclass(frozen=True)
class Cost:
    """What one more submission of a honest student costs.

    Seconds of processor time and on the wall; `start_s` is the wall time
    of the command apart from its submissions, `judging_cpu_s` as in `ours`.
    """

    grader: str
    workers: int
    submissions: int
    cpu_s: float
    wall_s: float
    start_s: float
    judging_cpu_s: float | None = None


def measure(
    course: Course, stem: str, *, workers: int, stock_students: int = 5
) -> list[Cost]:
    """Return what a submission costs by nbgrader and by our engine."""
    costs = []
    few, many = 1, stock_students
    runs = [stock(course, stem, each) for each in (few, many)]
    costs.append(_cost("nbgrader", 1, runs))
    for count in sorted({1, workers}):
        runs, judging = [], 0.0
        for students in (20, 20 + 60 * count):
            print(
                f"  attncourse grade, {count} workers, {students} students",
                file=sys.stderr,
            )
            taken, judging = ours(course, stem, students, count)
            runs.append(taken)
        costs.append(_cost("attncourse", count, runs, judging))
    return costs


def _cost(
    grader: str,
    workers: int,
    runs: Sequence[Spent],
    judging: float | None = None,
) -> Cost:
    few, many = runs
    cpu, wall = marginal(few, many)
    start = few.wall_s - few.submissions * wall
    return Cost(grader, workers, many.submissions, cpu, wall, start, judging)


def table(costs: Sequence[Cost]) -> list[str]:
    """Return the costs as lines; ratios are to the first, nbgrader's."""
    base = costs[0]
    out = [
        f"{'one more submission':22} {'CPU':>9} {'of it judging':>14} "
        f"{'wall':>9} {'CPU ratio':>10} {'throughput':>11}"
    ]
    for each in costs:
        name = f"{each.grader}, {each.workers} at a time"
        judging = (
            ""
            if each.judging_cpu_s is None
            else f"{1e3 * each.judging_cpu_s:.0f} ms"
        )
        out.append(
            f"{name:22} {1e3 * each.cpu_s:6.0f} ms {judging:>14} "
            f"{1e3 * each.wall_s:6.0f} ms {base.cpu_s / each.cpu_s:9.0f}x "
            f"{base.wall_s / each.wall_s:10.0f}x"
        )
    return out


METHOD = (
    "Honest notebooks of one unit, graded by each command from scratch, one "
    "after the other. What one more submission costs is the difference of "
    "two runs with few and many of them, over their number. Processor time "
    "counts every process that the command starts. nbgrader is without any "
    "configuration of ours and writes no feedback; attncourse grade runs "
    "each notebook twice, writes feedback and report, with all protections."
)


def run(
    course: Course,
    unit: str,
    *,
    workers: int,
    circumstances: Mapping[str, Any],
    json_file: Path | None = None,
) -> int:
    """Measure, print a table, write JSON if asked; return 0."""
    [stem] = chosen(course, [unit])
    tools_on_path()
    costs = measure(course, stem, workers=workers)
    print("\n".join(table(costs)))
    if circumstances["busy"]:
        print("The machine was busy: measure again when it is quiet.")
    if json_file is not None:
        found = {
            **circumstances,
            "method": METHOD,
            "unit": unit,
            "costs": [asdict(each) for each in costs],
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        json_file.write_text(text + "\n", encoding="utf-8")
        print(f"written: {json_file}")
    return 0
