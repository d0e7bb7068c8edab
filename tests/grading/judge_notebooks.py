"""Small courses for the judge's tests: cells in, a job out."""

import nbformat

from attncourse.grading.handed_in import submission
from attncourse.grading.model import Job, Limits
from attncourse.grading.notebooks.source import read_plan

LIMITS = Limits(cpu_s=1.0, wall_s=3.0, memory_bytes=1 << 28)
SEED = "5eed" * 8


def cell(source, grade_id=None, *, points=None, solution=False, kind="code"):
    """Return a cell of the source, with nbgrader's metadata if named."""
    made = nbformat.v4.new_code_cell(source)
    if kind == "markdown":
        made = nbformat.v4.new_markdown_cell(source)
    if grade_id is not None:
        own = {
            "schema_version": 3,
            "grade_id": grade_id,
            "grade": points is not None,
            "solution": solution,
            "locked": not solution,
            "task": False,
        }
        if points is not None:
            own["points"] = points
        made.metadata["nbgrader"] = own
    return made


def given(source, grade_id):
    return cell(source, grade_id)


def answer(source, grade_id):
    return cell(source, grade_id, solution=True)


def check(source, grade_id, points=2):
    return cell(source, grade_id, points=points)


def hidden(source):
    return f"### BEGIN HIDDEN TESTS\n{source}\n### END HIDDEN TESTS"


def solved(source):
    return f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def plan(*cells, limits=LIMITS, **options):
    return read_plan(
        notebook(*cells),
        assignment="week",
        notebook="tiny",
        limits=limits,
        **options,
    )


def job(cells, answers=None, *, extra=(), limits=LIMITS, **options):
    """Return the job of a notebook in which `answers` replace cells.

    `answers` are sources by grade id (None deletes the cell); `extra` are
    (grade id, source) of cells that the student put after another.
    """
    answers = answers or {}
    theirs = []
    for each in cells:
        own = each.metadata.get("nbgrader", {})
        name = own.get("grade_id")
        copy = nbformat.from_dict(dict(each))
        if name in answers:
            if answers[name] is None:
                continue
            copy["source"] = answers[name]
        theirs.append(copy)
        theirs += [cell(source) for after, source in extra if after == name]
    asked = plan(*cells, limits=limits, **options)
    read = submission.read(nbformat.writes(notebook(*theirs)).encode())
    return Job(
        student="ada",
        plan=asked,
        script=submission.match(asked, read),
        seed=SEED,
    )
