"""Find what students handed in below nbgrader's folder of submissions.

The folders were filled by students: nothing but plain files is opened, no
link is followed, below a folder that is held by its descriptor all along.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from attncourse.grading.handed_in.archives import shown
from attncourse.grading.handed_in.choosing import submitted
from attncourse.grading.handed_in.found import Found, Submitted
from attncourse.grading.model import GradingError, Plan
from attncourse.grading.notebooks.reading import MOST_BYTES

MOST_FILES = 500
MOST_ENTRIES = 5_000
DEPTH = 8
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe must not wait for somebody to write into it.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
BAD = re.compile(r"[/\0-\x1f\x7f]")
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


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
        if not plain(name):
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
    return submitted(printable, found, notebook, others, plan)


def plain(name: str) -> bool:
    r"""Tell whether a folder or file has a name without tricks.

    Examples
    --------
    >>> plain("DOMAIN\\ada"), plain("10:32.png"), plain("o'brien")
    (True, True, True)
    >>> plain(".."), plain("a/b"), plain("a\nb"), plain("")
    (False, False, False, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name not in ("", ".", "..") and not BAD.search(name)


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


def handed_in(folder: Path, student: str, assignment: str) -> bool:
    """Tell whether there is anything of a student's, read or not."""
    if not (plain(student) and plain(assignment)):
        return False
    home = folder / student
    return any(
        os.path.lexists(home / name)
        for name in (assignment, f"{assignment}.zip")
    )


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
    if not plain(name):
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
