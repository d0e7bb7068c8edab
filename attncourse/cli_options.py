"""The options of the ``attncourse`` command, and what its help says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from attncourse import __version__

FORM = argparse.RawDescriptionHelpFormatter
DESCRIPTION = """\
A course on attention, from the command line.

Students need one command:
  attncourse check exercises/04_dense/dense.ipynb

Authors and instructors, inside a checkout with solutions/, have three more:
  attncourse sync     after a change in solutions/ or in a question
  attncourse grade    to grade what a class has handed in
  attncourse class    to see an invented class graded

Readers who want to know how fast the implementations are have one:
  attncourse bench
"""

CHECK = """\
Run a notebook's code from top to bottom, without Jupyter, and show for each
question what the visible check shows: what holds, what does not, and the
reason where it is known. Your grade comes from other numbers of the same
shapes.

examples:
  attncourse check dense.ipynb
  attncourse check --output dense.ipynb     show what your cells print, too

The exit status is 0 if every question passed, 1 if not, and 2 if the file
cannot be read as a notebook of the course.
"""

SYNC = """\
Read solutions/NN_unit/unit.py, write nbgrader's source notebooks (with
answers and hidden tests) under _build/source, and derive exercises/ from
them with nbgrader's own generate_assignment. Commit exercises/ with the
change that made them differ.

examples:
  attncourse sync                 every unit
  attncourse sync dense masks     two units
  attncourse sync --check         change nothing in exercises/; name what is
                                  stale and exit with status 1
"""

GRADE = """\
Grade what a class handed in for a unit, as far as it is not graded yet:
classroom/submitted/STUDENT/NN_unit/unit.ipynb. Each notebook runs in a
process that is shut in; its tests run in another one. Grades go into
nbgrader's gradebook, feedback to classroom/feedback/, and the class report
with its exports to classroom/report/. Stopped at any moment, the same
command goes on from there. Points and comments that people gave are kept.

examples:
  attncourse grade dense                       the whole class
  attncourse grade dense --student ada         one student
  attncourse grade dense --notebook file.ipynb one file; nothing is kept
  attncourse grade dense --workers 8           eight at a time
  attncourse grade dense --scheduler tcp://10.0.0.1:8786
                                               on a Dask cluster
  attncourse grade dense --again               also what has not changed
  attncourse grade my.ipynb --lint             which tests of a course of your
                                               own must change for this

The exit status is 0 if everything that was handed in has a grade, 1 if
something could not be read, and 2 if grading was not possible. With
--notebook it is 0 if every question passed and 1 if not.
"""

CLASS = """\
Invent a small class that makes real mistakes, hand in its notebooks, and
grade them. Ends with a table of grades and the places to look. What has not
changed since the last time is not graded again.

examples:
  attncourse class
  attncourse class --fresh        forget the last time
"""

BENCH = """\
Time tiled attention on this computer's processor against PyTorch's own
operator, both in the same run, and print their ratios: below one is faster
than PyTorch. Close other programs first. The lengths of the default take
about a minute; those of the last example, many.

examples:
  attncourse bench
  attncourse bench --lengths 128 512 --rounds 3
  attncourse bench --lengths 256 2048 4096 8192 --json measured.json
  attncourse bench --picture measured.svg

Instructors time the grader against nbgrader as it comes, a few minutes:
  attncourse bench --grading dense
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        "attncourse", description=DESCRIPTION, formatter_class=FORM
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )

    check = _command(
        commands, "check", "check a notebook outside Jupyter", CHECK
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a notebook")
    check.add_argument(
        "--output", action="store_true", help="show what the cells print"
    )

    sync = _command(
        commands, "sync", "derive the notebooks from solutions/", SYNC
    )
    sync.add_argument(
        "units", nargs="*", metavar="UNIT", help="such as dense; else all"
    )
    sync.add_argument(
        "--check", action="store_true", help="name stale exercises, exit 1"
    )

    _add_grade(commands)

    sample = _command(commands, "class", "grade an invented class", CLASS)
    sample.add_argument(
        "--fresh", action="store_true", help="grade everything again"
    )
    sample.add_argument(
        "--trust-students",
        action="store_true",
        help="grade also where code cannot be shut in",
    )

    _add_bench(commands)
    return whole


def _add_grade(commands: Any) -> None:
    grade = _command(
        commands, "grade", "grade what a class has handed in", GRADE
    )
    grade.add_argument(
        "unit",
        metavar="UNIT",
        help="such as dense; with --lint also any source notebook's file",
    )
    grade.add_argument(
        "--student", metavar="NAME", help="the name of one folder"
    )
    grade.add_argument(
        "--notebook",
        type=Path,
        metavar="FILE",
        help="grade this file, and keep nothing",
    )
    grade.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="how many at a time; else one for each processor",
    )
    grade.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster"
    )
    grade.add_argument(
        "--again", action="store_true", help="also what has not changed"
    )
    grade.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="for the report; with --notebook, for the feedback",
    )
    grade.add_argument(
        "--lint",
        action="store_true",
        help="only say which tests must change for this grader; exit 1",
    )
    grade.add_argument(
        "--trust-students",
        action="store_true",
        help="grade also where students' code cannot be shut in (on systems "
        "without Landlock or seccomp); every report then says so",
    )


def _add_bench(commands: Any) -> None:
    bench = _command(
        commands, "bench", "time attention against PyTorch's operator", BENCH
    )
    bench.add_argument(
        "--lengths",
        nargs="+",
        type=_positive,
        metavar="N",
        help="positions of a sequence",
    )
    bench.add_argument(
        "--grading", metavar="UNIT", help="the grader, on this unit"
    )
    bench.add_argument(
        "--workers",
        type=_positive,
        default=2,
        metavar="N",
        help="with --grading: how many at a time",
    )
    bench.add_argument(
        "--gpu", action="store_true", help="the Triton kernels on a GPU"
    )
    bench.add_argument(
        "--tune", action="store_true", help="with --gpu: try other tiles"
    )
    bench.add_argument(
        "--rounds",
        type=_positive,
        default=5,
        metavar="N",
        help="of which the medians are shown",
    )
    bench.add_argument(
        "--json", type=Path, metavar="FILE", help="write the numbers, too"
    )
    bench.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="draw them, too: .svg, .png or .pdf",
    )


def _command(commands: Any, name: str, says: str, text: str) -> Any:
    return commands.add_parser(
        name, help=says, description=text, formatter_class=FORM
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least 1: got {text}"
        )
    return int(text)
