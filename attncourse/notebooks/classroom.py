"""Take a class through nbgrader, unit by unit, and remember what is done."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attncourse.notebooks.course import (
    Course,
    CourseError,
    tools_on_path,
    unit_of,
)
from attncourse.notebooks.release import complaints

# `nbgrader_config.py` keeps a class in this folder instead of classroom/.
FOLDER = "ATTNCOURSE_CLASSROOM"
# What a grade depends on besides the submission and the source notebook.
CODE = ("checking", "notebooks", "reference", "fast")


class Class:
    """A folder with submissions, and nbgrader to take them further."""

    def __init__(self, course: Course, folder: Path):
        self.course = course
        self.folder = folder

    @contextlib.contextmanager
    def steps(self) -> Iterator[Steps]:
        """Give access to nbgrader, set up by the checkout's own file."""
        from nbgrader.apps import NbGrader, NbGraderAPI

        tools_on_path()
        self.folder.mkdir(parents=True, exist_ok=True)
        before = Path.cwd(), os.environ.get(FOLDER)
        os.environ[FOLDER] = str(self.folder)
        os.chdir(self.course.root)
        try:
            with complaints():
                app = NbGrader()
                app.load_cwd_config = True
                app.load_config_file()
                yield Steps(self, NbGraderAPI(config=app.config))
        finally:
            os.chdir(before[0])
            if before[1] is None:
                del os.environ[FOLDER]
            else:
                os.environ[FOLDER] = before[1]

    def submit(self, stem: str, student: str, text: str) -> None:
        """Put a notebook where nbgrader's collect would put it."""
        name = self.course.source_notebook(stem).name
        file = self.folder / "submitted" / student / stem / name
        if file.exists() and file.read_text("utf-8") == text:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def students(self, stem: str) -> list[str]:
        """Return who has handed in a unit."""
        found = (self.folder / "submitted").glob(f"*/{stem}")
        return sorted(file.parent.name for file in found)

    def page(self, stem: str, student: str) -> Path:
        """Return the feedback on a submission."""
        name = f"{self.course.source_notebook(stem).stem}.html"
        return self.folder / "feedback" / student / stem / name

    def grades(self) -> list[dict[str, str]]:
        """Return the rows of nbgrader's last export."""
        file = self.folder / "grades.csv"
        with file.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def fingerprint(self, stem: str, grader: str) -> str:
        """Return a digest of all that a unit's grades depend on."""
        source = self.course.source_notebook(stem)
        files = [
            self.folder / "submitted" / student / stem / source.name
            for student in self.students(stem)
        ]
        questions = Path(__file__).parents[1] / "questions" / unit_of(stem)
        files += [source, *sorted(questions.glob("*.py"))]
        told = [grader, stem, self.students(stem), digest(files)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class Steps:
    """nbgrader's steps; each raises with nbgrader's words if it fails."""

    def __init__(self, class_: Class, api: Any):
        self.class_ = class_
        self.api = api

    def generate(self, stem: str, *, anew: bool = False) -> None:
        """Register a unit; `anew` forgets its grades and cells first."""
        if anew:
            with self.api.gradebook as gradebook:
                if stem in {each.name for each in gradebook.assignments}:
                    gradebook.remove_assignment(stem)
        self._must(self.api.generate_assignment(stem), stem)

    def autograde(self, stem: str, student: str) -> None:
        """Grade one submission."""
        self._must(self.api.autograde(stem, student), f"{stem} of {student}")

    def feedback(self, stem: str, student: str) -> None:
        """Write one student's page."""
        self._must(
            self.api.generate_feedback(stem, student), f"{stem} of {student}"
        )

    def export(self) -> None:
        """Write the grades with nbgrader's own export."""
        from nbgrader.plugins import CsvExportPlugin

        plugin = CsvExportPlugin(config=self.api.config)
        with self.api.gradebook as gradebook:
            plugin.export(gradebook)

    def _must(self, result: dict[str, Any], what: str) -> None:
        if not result["success"]:
            said = (result.get("log", "") + result.get("error", "")).strip()
            last = "\n".join(f"  {line}" for line in said.splitlines()[-12:])
            raise CourseError(f"nbgrader stopped at {what}\n{last}")


def digest(files: Iterable[Path]) -> str:
    """Return a digest of the contents of files, in their order."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def grader_digest(course: Course) -> str:
    """Return a digest of everything that grades, submissions apart."""
    package = Path(__file__).parents[1]
    files = [
        course.root / "nbgrader_config.py",
        package / "shapes.py",
        package / "questions" / "__init__.py",
    ]
    for folder in CODE:
        files += sorted((package / folder).rglob("*.py"))
    return digest(files)
