"""The ``attncourse`` command: check a notebook, derive them, grade a class."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from attncourse.cli_options import parser


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
    from attncourse.grading.running.settings import Options
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


RUN = {
    "check": _check,
    "sync": _sync,
    "grade": _grade,
    "class": _class,
    "bench": _bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    # A terminal that cannot show a check mark must not stop anything.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        return RUN[options.command](options)
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
