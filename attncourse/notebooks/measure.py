"""Time the grading engine against nbgrader as it comes, on one class.

Both grade the same notebooks of honest students, one after the other, and
both are timed from outside, as commands: processor time of everything that
they start, and the time on the wall. Two class sizes tell what one more
submission costs apart from starting up.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attncourse import questions
from attncourse.notebooks.course import Course, CourseError, unit_of
from attncourse.notebooks.release import written
from attncourse.notebooks.sample import USUAL, Hand
from attncourse.notebooks.sync import sync

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


def spent(command: Sequence[str], folder: Path, submissions: int) -> Spent:
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
        env={**os.environ, "OMP_NUM_THREADS": "1"},
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
