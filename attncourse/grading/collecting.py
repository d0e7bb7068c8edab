"""Find what students handed in below nbgrader's folder of submissions.

The folders were filled by students: nothing but plain files is opened, no
link is followed, below a folder that is held by its descriptor all along.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attncourse.grading.archives import inner_name, shown, unpack
from attncourse.grading.choosing import choose
from attncourse.grading.model import GradingError, Plan
from attncourse.grading.reading import MOST_BYTES

MOST_FILES = 500
MOST_ENTRIES = 5_000
MOST_TOGETHER_BYTES = 128 << 20
DEPTH = 8
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe must not wait for somebody to write into it.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What one student handed in for one notebook.

    `path` is where the notebook was found, below the student's folder of
    the assignment. `files` are those beside it, by name from there.
    `problem` says why there is no notebook; then `data` is None.
    """

    student: str
    path: str | None = None
    data: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str | None = None


@dataclass
class Found:
    """The plain files below a folder, and what was left out."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: int = MOST_TOGETHER_BYTES
    entries: int = 0

    def note(self, name: str, why: str) -> None:
        """Tell of something that was left out."""
        self.notes.append(f"{shown(name)} was ignored: {why}")


def students(folder: Path) -> list[str]:
    """Return the names in nbgrader's folder of submissions, sorted."""
    try:
        found = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise GradingError(
            f"the submissions must be in a folder that can be read: {error}"
        ) from None
    return sorted(name for name in found if not name.startswith("."))


def find(
    folder: Path,
    assignment: str,
    notebook: str,
    *,
    student: str | None = None,
    others: tuple[str, ...] = (),
    plan: Plan | None = None,
) -> Iterator[Submitted]:
    """Yield what each student handed in, one after the other.

    Parameters
    ----------
    folder : nbgrader's ``submitted``, with STUDENT/ASSIGNMENT in it.
    others : the assignment's other notebooks, which are not this one.
    plan : helps to tell which of several strange notebooks is meant.
    """
    for name in [student] if student is not None else students(folder):
        made = collect(folder, name, assignment, notebook, others, plan)
        if made is not None:
            yield made


def collect(
    folder: Path,
    student: str,
    assignment: str,
    notebook: str,
    others: tuple[str, ...] = (),
    plan: Plan | None = None,
) -> Submitted | None:
    """Return what a student handed in, or None if nothing."""
    printable = student.encode("utf-8", "replace").decode()
    for name in (student, assignment):
        if inner_name(name) != name or "/" in name:
            return Submitted(
                student=printable,
                problem=f"a folder must have a plain name: got {shown(name)}",
            )
    found = Found()
    try:
        there = _gather(folder, student, assignment, found)
    except OSError as error:
        return Submitted(
            student=printable,
            problem="the submission must be a folder of plain files: got "
            f"{error.strerror or type(error).__name__} in "
            f"{shown(student)}/{shown(assignment)}",
        )
    if not there:
        return None
    return _chosen(printable, found, notebook, others, plan)


def beside(folder: Path) -> dict[str, bytes]:
    """Return the plain files in a source folder, but for notebooks."""
    found = Found()
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _walk(handle, "", found)
    finally:
        os.close(handle)
    return {
        name: content
        for name, content in found.files.items()
        if not name.lower().endswith(".ipynb")
    }


def _gather(folder: Path, student: str, assignment: str, found: Found) -> bool:
    """Fill `found`; tell whether there was a submission."""
    with contextlib.ExitStack() as handles:

        def opened(path: str | Path, flags: int, within: int | None) -> int:
            handle = os.open(path, flags, dir_fd=within)
            handles.callback(os.close, handle)
            return handle

        root = opened(folder, os.O_RDONLY | os.O_DIRECTORY, None)
        try:
            home = opened(student, FOLDER, root)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            if _what(root, student) != "it is a link":
                # A stray file beside the students' folders.
                return False
            raise OSError(0, "a link") from None
        try:
            _walk(opened(assignment, FOLDER, home), "", found)
        except NotADirectoryError:
            raise OSError(0, "no folder") from None
        except FileNotFoundError:
            packed = f"{assignment}.zip"
            try:
                os.lstat(packed, dir_fd=home)
            except FileNotFoundError:
                return False
            _take(home, packed, packed, found)
    return True


def _walk(handle: int, path: str, found: Found, depth: int = 0) -> None:
    """Read the plain files of an open folder and those below."""
    with os.scandir(handle) as entries:
        names = []
        for entry in entries:
            found.entries += 1
            if found.entries > MOST_ENTRIES:
                found.notes.append(
                    f"more than {MOST_ENTRIES} entries: the rest was ignored"
                )
                break
            names.append((entry.name, entry.is_dir(follow_symlinks=False)))
    for name, is_folder in sorted(names):
        if name.startswith(".") or name == "__pycache__":
            continue
        within = f"{path}{name}"
        if not is_folder:
            _take(handle, name, within, found)
            continue
        if depth >= DEPTH:
            found.note(within, "it is nested too deeply")
            continue
        try:
            inner = os.open(name, FOLDER, dir_fd=handle)
        except OSError as error:
            found.note(within, str(error.strerror))
            continue
        try:
            _walk(inner, f"{within}/", found, depth + 1)
        finally:
            os.close(inner)


def _take(handle: int, name: str, within: str, found: Found) -> None:
    """Read one file, if it is a plain one and not too large."""
    if inner_name(within) != within:
        return found.note(within, "its name is not plain")
    if len(found.files) >= MOST_FILES:
        return found.note(within, f"there are more than {MOST_FILES} files")
    try:
        descriptor = os.open(name, FILE, dir_fd=handle)
    except OSError as error:
        return found.note(within, _what(handle, name) or str(error.strerror))
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return found.note(
                within, f"it is {KINDS.get(stat.S_IFMT(about.st_mode))}"
            )
        most = min(found.left, MOST_BYTES)
        try:
            content = stream.read(most + 1)
        except OSError as error:
            return found.note(within, str(error.strerror))
    if len(content) > most:
        return found.note(within, "it is too large")
    found.files[within] = content
    found.left -= len(content)
    return None


def _what(handle: int, name: str) -> str | None:
    try:
        mode = os.lstat(name, dir_fd=handle).st_mode
    except OSError:
        return None
    kind = KINDS.get(stat.S_IFMT(mode))
    return f"it is {kind}" if kind else None


def _chosen(
    student: str,
    found: Found,
    notebook: str,
    others: tuple[str, ...],
    plan: Plan | None,
) -> Submitted:
    """Pick the notebook among the files, or in an archive among them."""
    path = choose(found.files, notebook, others, plan, found.notes)
    packed = [name for name in found.files if name.lower().endswith(".zip")]
    if path is None and packed:
        for name in packed[:5]:
            try:
                files, notes = unpack(found.files[name], most_bytes=found.left)
            except GradingError as error:
                found.note(name, str(error))
                continue
            found.notes += notes
            found.left -= sum(map(len, files.values()))
            folder = f"{name}/"
            found.files |= {folder + key: data for key, data in files.items()}
        path = choose(found.files, notebook, others, plan, found.notes)
    if path is None:
        return Submitted(
            student=student,
            notes=tuple(found.notes),
            problem=f"there must be a notebook {notebook}.ipynb: got none",
        )
    if path != f"{notebook}.ipynb":
        found.notes.append(f"the notebook was found as {shown(path)}")
    home = path[: path.rfind("/") + 1]
    return Submitted(
        student=student,
        path=path,
        data=found.files[path],
        files={
            name[len(home) :]: content
            for name, content in found.files.items()
            if name.startswith(home) and name != path
        },
        notes=tuple(found.notes),
    )
