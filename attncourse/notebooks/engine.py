"""What the grading engine is told about this course."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from attncourse import questions
from attncourse.grading.keeping.folders import Folders
from attncourse.grading.running.settings import Options, Settings
from attncourse.grading.running.tasks import Setup
from attncourse.notebooks.course import Course, CourseError, unit_of
from attncourse.notebooks.sync import chosen, sync

PACKAGE = Path(__file__).parents[1]
# What the tests call; `checking` the engine counts by itself.
CODE = ("questions", "reference", "fast", "shapes.py")


def settings(
    course: Course, stem: str, folder: Path | None = None
) -> Settings:
    """Return how a unit is graded.

    Parameters
    ----------
    folder : of the class; the course's classroom by default.
    """
    folder = folder or course.classroom
    shown = os.path.relpath(course.root, Path.cwd())
    unit = unit_of(stem)
    return Settings(
        assignment=stem,
        sources=(course.source_notebook(stem),),
        folders=Folders(root=folder),
        db_url=f"sqlite:///{folder / 'gradebook.db'}",
        course_id="attncourse",
        key_file=folder / "key",
        report=folder / "report" / stem,
        log_file=folder / "grading.log",
        setup=Setup(
            preload=("numpy",),
            stubs=("attncourse",),
            silent=("check",),
            judge_preload=modules(unit),
        ),
        code=tuple(PACKAGE / name for name in CODE),
        command=f"attncourse grade {unit}"
        + ("" if shown == "." else f" (in {shown})"),
    )


@functools.cache
def modules(unit: str) -> tuple[str, ...]:
    """Return the modules that a unit's tests load, so that a judge has them.

    The last one looks at those before it.
    """
    return (
        "attncourse.questions",
        *(f"attncourse.questions.{id_}" for id_ in questions.ids(unit)),
        "attncourse.questions.prepared",
    )


def grade(course: Course, unit: str, options: Options) -> int:
    """Grade a unit as far as it is not graded yet; return the status.

    Raises
    ------
    CourseError
        If there is no such unit, or its exercise is not what its source
        notebook gives.
    """
    from attncourse.grading.running import grade as engine

    [stem] = chosen(course, [unit])
    require_fresh(course, [stem])
    return engine.run(settings(course, stem), options)


def require_fresh(course: Course, stems: list[str]) -> None:
    """See that students were given what their notebooks are graded by."""
    stale = sync(course, stems, check=True)
    if stale:
        raise CourseError(
            f"exercises must fit solutions: stale are {', '.join(stale)}; "
            "run `attncourse sync`"
        )


def lint(course: Course | None, unit: str) -> int:
    """Say which tests of a unit, or of a notebook, must change.

    Parameters
    ----------
    unit : a unit of the course, or the file of any nbgrader source notebook.
    course : None where there is no checkout; then only a file will do.

    Returns
    -------
    status : 0 if the tests can stay as they are, 1 if one must change.
    """
    from attncourse.grading.notebooks import lint as linter
    from attncourse.grading.notebooks.source import read_plan

    if unit.endswith(".ipynb"):
        file = Path(unit)
    elif course is None:
        raise CourseError(
            f"outside a checkout a source notebook must be given: got {unit}"
        )
    else:
        [stem] = chosen(course, [unit])
        require_fresh(course, [stem])
        file = course.source_notebook(stem)
    plan = read_plan(file)
    found = linter.check(plan)
    for each in found:
        print(each)
    print(
        f"{file.name}: {len(plan.tests)} tests, of which "
        f"{len({each.cell for each in found})} must change"
    )
    return int(bool(found))
