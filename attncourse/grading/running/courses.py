"""The settings of any nbgrader course, from its own configuration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from attncourse.grading.keeping.folders import Folders
from attncourse.grading.model import GradingError
from attncourse.grading.notebooks.delimiters import Delimiters
from attncourse.grading.running.settings import Settings
from attncourse.grading.running.tasks import Setup

STRUCTURE = os.path.join("{nbgrader_step}", "{student_id}", "{assignment_id}")


def settings(root: Path, assignment: str, **more: Any) -> Settings:
    """Return how an assignment of the course in a folder is graded.

    Parameters
    ----------
    root : the folder that holds ``nbgrader_config.py``.
    more : what goes before the configuration, such as ``setup``.

    Raises
    ------
    GradingError
        If there is no such course or no such assignment.
    """
    from nbgrader.apps import NbGrader

    if not (root / "nbgrader_config.py").exists():
        raise GradingError(
            f"a course must have an nbgrader_config.py: got none in {root}"
        )
    before = Path.cwd()
    os.chdir(root)
    try:
        app = NbGrader()
        app.load_cwd_config = True
        app.load_config_file()
    finally:
        os.chdir(before)
    return from_config(app.config, root, assignment, **more)


def from_config(
    config: Any, root: Path, assignment: str, **more: Any
) -> Settings:
    """Return the same from a configuration that is loaded already."""
    from nbgrader.coursedir import CourseDirectory

    course = CourseDirectory(config=config)
    if "root" not in config.get("CourseDirectory", {}):
        course.root = str(root.absolute())
    if course.directory_structure != STRUCTURE:
        raise GradingError(
            f"a course must be laid out as {STRUCTURE}: got "
            f"{course.directory_structure}"
        )
    top = Path(course.root)
    source = top / course.source_directory / assignment
    found = sorted(source.glob("*.ipynb"))
    if not found:
        raise GradingError(
            f"{assignment} must have a source notebook: got none in {source}"
        )
    folders = Folders(
        root=top,
        submitted=course.submitted_directory,
        autograded=course.autograded_directory,
        feedback=course.feedback_directory,
    )
    # What belongs to the class lies where its submissions do.
    home = folders.step("submitted").parent
    made = Settings(
        assignment=assignment,
        sources=tuple(found),
        folders=folders,
        db_url=course.db_url,
        course_id=course.course_id or "default_course",
        key_file=home / "key",
        report=home / "report" / assignment,
        log_file=home / "grading.jsonl",
        delimiters=Delimiters.configured(config),
        penalty=_penalty(config),
        setup=Setup(),
    )
    return replace(made, **more)


def _penalty(config: Any) -> Any:
    """Return nbgrader's rule for what is late, or the course's own."""
    from nbgrader.preprocessors import AssignLatePenalties

    step = AssignLatePenalties(config=config)
    step.init_plugin()
    return step.plugin_inst.late_submission_penalty
