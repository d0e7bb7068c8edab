"""Time the grading engine against nbgrader as it comes, on one class.

Both grade the same notebooks of honest students, one after the other, and
both are timed from outside, as commands: processor time of everything that
they start, and the time on the wall. Two class sizes tell what one more
submission costs apart from starting up (see `costs`).
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
from pathlib import Path
from typing import Any

from attncourse import questions
from attncourse.notebooks.costs import (
    Cost,
    Spent,
    as_json,
    cost,
    middle,
    table,
)
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

ROUNDS = 3
# What honest students hand in, all of it read, run and judged.
HONEST = tuple(hand for hand in USUAL if "blank" not in hand.says)
STOCK = """\
c = get_config()
c.CourseDirectory.course_id = "measured"
c.CourseDirectory.root = {root!r}
"""


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
) -> tuple[Spent, dict[str, float]]:
    """Time `attncourse grade`; also return where a submission's time went.

    Parts are the judge, the run that is shown and the one that is scored:
    mean seconds of processor time of these processes until their end.
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
        parts = {
            name: sum(each["cpu_parts"][name] for each in graded) / students
            for name in graded[0]["cpu_parts"]
        }
        return taken, parts


def measure(
    course: Course, stem: str, *, workers: int, stock_students: int = 5
) -> list[Cost]:
    """Return what a submission costs by nbgrader and by our engine.

    Everything is measured in turn, `ROUNDS` times; of each figure the
    median counts.
    """
    rounds = [
        _once(course, stem, workers, stock_students, number + 1)
        for number in range(ROUNDS)
    ]
    return [middle(same) for same in zip(*rounds, strict=True)]


def _once(
    course: Course, stem: str, workers: int, stock_students: int, number: int
) -> list[Cost]:
    told = f"  round {number} of {ROUNDS}:"
    print(f"{told} nbgrader autograde", file=sys.stderr)
    runs = [stock(course, stem, each) for each in (1, stock_students)]
    costs = [cost("nbgrader", 1, runs)]
    for count in sorted({1, workers}):
        print(f"{told} attncourse grade, {count} at a time", file=sys.stderr)
        runs = []
        for students in (20, 20 + 60 * count):
            taken, parts = ours(course, stem, students, count)
            runs.append(taken)
        costs.append(cost("attncourse", count, runs, parts))
    return costs


METHOD = (
    "Honest notebooks of one unit, graded by each command from scratch, one "
    "after the other. What one more submission costs is the difference of "
    "two runs with few and many of them, over their number; of three rounds "
    "the median counts. Processor time "
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
            "costs": [as_json(each) for each in costs],
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        json_file.write_text(text + "\n", encoding="utf-8")
        print(f"written: {json_file}")
    return 0
