"""What to grade, and how: a course's settings, and a command's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from attncourse.grading.keeping.folders import Folders
from attncourse.grading.keeping.marks import Penalty
from attncourse.grading.model import Limits
from attncourse.grading.notebooks.delimiters import DELIMITERS, Delimiters
from attncourse.grading.notebooks.source import Upstream
from attncourse.grading.running.tasks import Setup


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One assignment of a course.

    Parameters
    ----------
    sources : the assignment's source notebooks, in nbgrader's form.
    key_file : the secret from which hidden cases are drawn.
    setup : of the workers; whether to trust students is an option's part.
    code : modules and folders of modules that the tests use: a change in
        them makes every submission be graded again.
    log_file : gets a line of JSON for each thing that was done.
    report : the folder of the class report and of the exports.
    penalty : points taken off for lateness, as nbgrader's plugin would.
    command : what to type to grade again, for the report.
    """

    assignment: str
    sources: tuple[Path, ...]
    folders: Folders
    db_url: str
    key_file: Path
    report: Path
    course_id: str = "default_course"
    setup: Setup = field(default_factory=Setup)
    code: tuple[Path, ...] = ()
    limits: Limits | None = None
    upstream: Upstream = "substitute"
    delimiters: Delimiters = DELIMITERS
    log_file: Path | None = None
    penalty: Penalty | None = None
    command: str = "attncourse grade"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What whoever runs the grader chose.

    `notebook` is a file to grade without keeping anything; `scheduler` the
    address of a Dask cluster that does the work; `again` grades what did
    not change, too; `report` goes before the settings' folder.
    """

    student: str | None = None
    notebook: Path | None = None
    workers: int | None = None
    scheduler: str | None = None
    trust_students: bool = False
    again: bool = False
    report: Path | None = None
