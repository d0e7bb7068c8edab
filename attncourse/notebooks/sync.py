"""Derive source notebooks and exercises from the authors' files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attncourse import questions
from attncourse.notebooks.authored import AuthorError, read
from attncourse.notebooks.course import Course, CourseError, unit_of
from attncourse.notebooks.expand import expand
from attncourse.notebooks.release import release, written


def source_of(course: Course, stem: str) -> Any:
    """Return nbgrader's source notebook of one unit.

    Raises
    ------
    AuthorError
        If the unit's file and its questions do not fit together.
    """
    unit = unit_of(stem)
    try:
        if questions.stem(unit) != stem:
            raise AuthorError(
                f"the folder must be {questions.stem(unit)}: got {stem}"
            )
        asked = {id_: questions.load(id_) for id_ in questions.ids(unit)}
        return expand(
            read(course.solution(stem)),
            unit=unit,
            asked=asked,
            written_points=course.written_points(),
        )
    except (AuthorError, ValueError, ImportError) as error:
        missing = getattr(error, "name", None) or "attncourse"
        if not missing.startswith("attncourse"):
            raise
        lines = "\n".join(f"  {line}" for line in str(error).splitlines())
        place = course.solution(stem).relative_to(course.root)
        raise AuthorError(f"{place}\n{lines}") from error


def sync(
    course: Course,
    stems: Sequence[str],
    *,
    check: bool = False,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Write source notebooks and exercises; return the stale exercises.

    Parameters
    ----------
    stems : the units to derive, by stem.
    check : leave the exercises as they are and name those that differ.
    say : told about every file that is written.

    Raises
    ------
    AuthorError
        If a unit's file is faulty or would release something secret;
        the faults of all units are told together.
    """
    sources, faults = {}, []
    for stem in stems:
        try:
            sources[stem] = source_of(course, stem)
        except AuthorError as error:
            faults.append(str(error))
    if faults:
        raise AuthorError("\n".join(faults))
    memory = _Memory(course)
    stale = []
    released = release(
        {
            stem: book
            for stem, book in sources.items()
            if memory.new(stem, book)
        }
    )
    for stem, book in sources.items():
        if stem in released:
            _write(course.source_notebook(stem), written(book))
            memory.record(stem, book, released[stem])
        file = course.exercise(stem)
        if file.exists() and _digest(file.read_text("utf-8")) == (
            memory.released(stem)
        ):
            continue
        stale.append(stem)
        if not check:
            text = released.get(stem) or release({stem: book})[stem]
            _write(file, text)
            say(f"wrote {file.relative_to(course.root)}")
    return stale


class _Memory:
    """What nbgrader made of a source notebook the last time.

    nbgrader takes seconds to start; a source that it has seen is known to
    give what it gave, as long as this package has not changed.
    """

    def __init__(self, course: Course):
        self.course = course
        self.file = course.source / "synced.json"
        code = sorted(Path(__file__).parent.glob("*.py"))
        self.code = _digest("".join(each.read_text("utf-8") for each in code))
        self.known: dict[str, list[str]] = {}
        if self.file.exists():
            self.known = json.loads(self.file.read_text("utf-8"))

    def new(self, stem: str, book: Any) -> bool:
        """Tell whether a source notebook differs from the last one."""
        file = self.course.source_notebook(stem)
        text = written(book)
        known = self.known.get(stem, [])[:1] == [_digest(self.code + text)]
        return not (
            known and file.exists() and file.read_text("utf-8") == text
        )

    def record(self, stem: str, book: Any, released: str) -> None:
        """Remember what a source notebook became."""
        digest = _digest(self.code + written(book))
        self.known[stem] = [digest, _digest(released)]
        self.file.write_text(json.dumps(self.known, indent=1))

    def released(self, stem: str) -> str:
        """Return the digest of the exercise that the source became."""
        return self.known[stem][1]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def orphans(course: Course) -> list[str]:
    """Return exercises that no solutions file stands behind."""
    known = {course.exercise(stem) for stem in course.stems()}
    found = set(course.exercises.glob("*/*.ipynb")) - known
    return sorted(str(file.relative_to(course.root)) for file in found)


def chosen(course: Course, names: Sequence[str]) -> list[str]:
    """Return the stems that `names` mean: units or stems, or all.

    Raises
    ------
    CourseError
        If a name means no unit that has a solutions file.
    """
    stems = course.stems()
    if not stems:
        raise CourseError(
            f"solutions/ must hold NN_unit/unit.py: got none in "
            f"{course.solutions} (a student's copy of the course has none)"
        )
    if not names:
        return stems
    by_name = {unit_of(stem): stem for stem in stems}
    by_name |= {stem: stem for stem in stems}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise CourseError(
            f"unit must be one of {', '.join(map(unit_of, stems))}: "
            f"got {', '.join(unknown)}"
        )
    return [by_name[name] for name in names]


def _write(file: Path, text: str) -> None:
    """Write a file only where it differs, so that dates mean something."""
    if file.exists() and file.read_text("utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")
