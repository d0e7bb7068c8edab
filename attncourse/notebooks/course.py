"""Where the folders of the course are, and the settings of a checkout."""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

# Keeps a class in another folder than classroom/.
CLASSROOM = "ATTNCOURSE_CLASSROOM"


class CourseError(Exception):
    """Something that whoever typed the command can put right."""


@dataclass(frozen=True)
class Course:
    """A checkout of the course, by the folder that holds it."""

    root: Path

    @property
    def solutions(self) -> Path:
        """What authors write, with answers."""
        return self.root / "solutions"

    @property
    def exercises(self) -> Path:
        """What students open."""
        return self.root / "exercises"

    @property
    def source(self) -> Path:
        """The source notebooks of nbgrader, derived."""
        return self.root / "_build" / "source"

    @property
    def classroom(self) -> Path:
        """The folders of nbgrader, its gradebook, and the class's key."""
        own = os.environ.get(CLASSROOM)
        return Path(own).absolute() if own else self.root / "classroom"

    @property
    def book(self) -> Path:
        """The first page of the built book."""
        return self.root / "_build" / "html" / "index.html"

    def stems(self) -> list[str]:
        """Return the stems of the units that have a solutions file."""
        found = self.solutions.glob("[0-9][0-9]_*/*.py")
        return sorted(
            file.parent.name
            for file in found
            if file.stem == unit_of(file.parent.name)
        )

    def solution(self, stem: str) -> Path:
        """Return the authored file of a unit."""
        return self.solutions / stem / f"{unit_of(stem)}.py"

    def exercise(self, stem: str) -> Path:
        """Return the released notebook of a unit."""
        return self.exercises / stem / f"{unit_of(stem)}.ipynb"

    def source_notebook(self, stem: str) -> Path:
        """Return nbgrader's source notebook of a unit."""
        return self.source / stem / f"{unit_of(stem)}.ipynb"

    def written_points(self) -> float:
        """Return what a written answer counts; zero is allowed."""
        settings = tomllib.loads((self.root / "pyproject.toml").read_text())
        own = settings.get("tool", {}).get("attncourse", {})
        points = own.get("written_points", 0)
        if not isinstance(points, (int, float)) or points < 0:
            raise CourseError(
                "written_points in pyproject.toml must be a number of at "
                f"least zero: got {points!r}"
            )
        return float(points)


def unit_of(stem: str) -> str:
    """Return the unit's name in a stem.

    Examples
    --------
    >>> unit_of("04_dense")
    'dense'
    """
    return stem.partition("_")[2]


def find_course(start: Path | None = None) -> Course:
    """Return the checkout that `start`, or the current folder, is in.

    Raises
    ------
    CourseError
        If no parent folder holds ``nbgrader_config.py`` and ``solutions``.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "nbgrader_config.py").exists() and (
            folder / "solutions"
        ).is_dir():
            return Course(folder)
    raise CourseError(
        "this must be run inside a checkout that has nbgrader_config.py "
        f"and solutions/: got {here}"
    )


def tools_on_path() -> None:
    """Let nbgrader find `alembic` where no environment is activated.

    nbgrader starts it by name when it makes a gradebook.
    """
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "").split(os.pathsep)
    if own not in path:
        os.environ["PATH"] = os.pathsep.join([own, *path])
