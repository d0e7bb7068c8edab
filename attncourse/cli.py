"""The ``attncourse`` command: check a notebook, derive them, grade a class."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncourse import __version__

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
    form = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(
        "attncourse", description=DESCRIPTION, formatter_class=form
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )

    check = commands.add_parser(
        "check",
        help="check a notebook outside Jupyter",
        description=CHECK,
        formatter_class=form,
    )
    check.add_argument("file", type=Path, metavar="FILE", help="a notebook")
    check.add_argument(
        "--output", action="store_true", help="show what the cells print"
    )
    check.set_defaults(run=_check)

    sync = commands.add_parser(
        "sync",
        help="derive the notebooks from solutions/",
        description=SYNC,
        formatter_class=form,
    )
    sync.add_argument(
        "units", nargs="*", metavar="UNIT", help="such as dense; else all"
    )
    sync.add_argument(
        "--check", action="store_true", help="name stale exercises, exit 1"
    )
    sync.set_defaults(run=_sync)

    _add_grade(commands, form)

    sample = commands.add_parser(
        "class",
        help="grade an invented class",
        description=CLASS,
        formatter_class=form,
    )
    sample.add_argument(
        "--fresh", action="store_true", help="grade everything again"
    )
    sample.add_argument(
        "--trust-students",
        action="store_true",
        help="grade also where code cannot be shut in",
    )
    sample.set_defaults(run=_class)

    bench = commands.add_parser(
        "bench",
        help="time attention against PyTorch's operator",
        description=BENCH,
        formatter_class=form,
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
    bench.set_defaults(run=_bench)
    return whole


def _add_grade(commands: Any, form: Any) -> None:
    grade = commands.add_parser(
        "grade",
        help="grade what a class has handed in",
        description=GRADE,
        formatter_class=form,
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
    grade.set_defaults(run=_grade)


def _check(options: argparse.Namespace) -> int:
    from attncourse.notebooks import try_out

    return try_out.check_file(options.file, show_output=options.output)


def _sync(options: argparse.Namespace) -> int:
    from attncourse.notebooks import course as courses
    from attncourse.notebooks import sync

    course = courses.find_course()
    stems = sync.chosen(course, options.units)
    stale = sync.sync(course, stems, check=options.check)
    extra = [] if options.units else sync.orphans(course)
    for file in extra:
        print(f"{file} has no solutions file: remove it", file=sys.stderr)
    if options.check and stale:
        for stem in stale:
            name = course.exercise(stem).relative_to(course.root)
            print(f"{name} is stale", file=sys.stderr)
        print("Run `attncourse sync` and commit exercises/", file=sys.stderr)
    fresh = len(stems) - (len(stale) if options.check else 0)
    print(f"{fresh} of {len(stems)} exercise notebooks are up to date.")
    return int(bool(extra or (options.check and stale)))


def _class(options: argparse.Namespace) -> int:
    from attncourse.notebooks import course as courses
    from attncourse.notebooks import report

    return report.run_class(
        courses.find_course(),
        fresh=options.fresh,
        trust_students=options.trust_students,
    )


def _grade(options: argparse.Namespace) -> int:
    from attncourse.grading.settings import Options
    from attncourse.notebooks import course as courses
    from attncourse.notebooks import engine

    if options.lint and options.unit.endswith(".ipynb"):
        return engine.lint(None, options.unit)
    course = courses.find_course()
    if options.lint:
        return engine.lint(course, options.unit)
    names = [each.name for each in dataclasses.fields(Options)]
    given = {name: getattr(options, name) for name in names}
    return engine.grade(courses.find_course(), options.unit, Options(**given))


def _bench(options: argparse.Namespace) -> int:
    from attncourse.bench import report

    if options.grading is not None:
        return _bench_grading(options)
    if options.tune and not options.gpu:
        print("attncourse: --tune needs --gpu", file=sys.stderr)
        return 2
    usual = [2048, 4096, 8192, 16384] if options.gpu else [256, 1024, 2048]
    chosen = options.lengths or usual
    command = ["attncourse", "bench"]
    command += ["--gpu"] * options.gpu + ["--tune"] * options.tune
    command += ["--lengths", *map(str, chosen)]
    command += ["--rounds", str(options.rounds)]
    if options.picture and options.gpu:
        print("attncourse: --gpu has no --picture", file=sys.stderr)
        return 2
    try:
        report.require_files(options.json, options.picture)
    except (FileNotFoundError, ValueError) as error:
        print(f"attncourse: {error}", file=sys.stderr)
        return 2
    settings = {
        "rounds": options.rounds,
        "json_file": options.json,
        "command": " ".join(command),
    }
    if options.gpu:
        from attncourse.bench import gpu

        return gpu.run(chosen, tune=options.tune, **settings)
    return report.run(chosen, picture_file=options.picture, **settings)


def _bench_grading(options: argparse.Namespace) -> int:
    from attncourse.bench import report
    from attncourse.notebooks import course, measure

    if options.gpu or options.picture:
        print(
            "attncourse: --grading has neither --gpu nor --picture",
            file=sys.stderr,
        )
        return 2
    try:
        report.require_files(options.json, None)
    except FileNotFoundError as error:
        print(f"attncourse: {error}", file=sys.stderr)
        return 2
    command = f"attncourse bench --grading {options.grading}"
    command += f" --workers {options.workers}"
    return measure.run(
        course.find_course(),
        options.grading,
        workers=options.workers,
        circumstances=report.circumstances(report.load_average(), command),
        json_file=options.json,
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least 1: got {text}"
        )
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    # A terminal that cannot show a check mark must not stop anything.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = {"nbgrader", "jupytext", "nbformat", "nbclient", "traitlets"}
        extras = dict.fromkeys(extra, "grading")
        extras |= {name: name for name in ("torch", "triton")}
        extras["matplotlib"] = "book"
        name = extras.get((error.name or "").partition(".")[0])
        if name is None:
            raise
        print(
            f"attncourse: {error.name} is needed here: "
            f'pip install "attncourse[{name}]"',
            file=sys.stderr,
        )
        return 2
    except Exception as error:
        from attncourse.grading.model import GradingError
        from attncourse.notebooks.course import CourseError

        if not isinstance(error, (CourseError, GradingError)):
            raise
        print(f"attncourse: {error}", file=sys.stderr)
        return 2
