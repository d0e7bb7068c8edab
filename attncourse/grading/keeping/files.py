"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from attncourse.grading.model import GradingError

ABANDONED_S = 86_400
NUMBERS = itertools.count()


class Draft:
    """A file's new content, safe on the disk, and not yet in its place.

    `place` puts it there in one step; `discard` takes it back. A draft
    that a killed grader left is removed when the file is next drafted.
    """

    def __init__(self, file: Path, content: bytes, *, mode: int = 0o644):
        self.file = file
        self.placed = False
        self.draft = draft_name(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(file)
            self._write(content, mode)
        except OSError as error:
            self.discard()
            raise cannot_write(file, error) from error

    def _write(self, content: bytes, mode: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with contextlib.suppress(FileNotFoundError):
            self.draft.unlink()
        handle = os.open(self.draft, flags | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)

    def place(self) -> None:
        """Put the content in its place; see `place_all`."""
        try:
            os.replace(self.draft, self.file)
            self.placed = True
        except OSError as error:
            raise cannot_write(self.file, error) from error

    def discard(self) -> None:
        """Remove the draft, unless it was placed."""
        if not self.placed:
            with contextlib.suppress(OSError):
                self.draft.unlink()


def place_all(drafts: Iterable[Draft]) -> None:
    """Put drafts in their places, and make that outlast a power cut."""
    folders = set()
    for draft in drafts:
        if not draft.placed:
            draft.place()
            folders.add(draft.file.parent)
    for folder in folders:
        try:
            _sync_folder(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error


def cannot_write(file: Path, error: OSError) -> GradingError:
    """Return what to tell whoever runs the grader."""
    return GradingError(
        f"{file} must be writable: got {error.strerror or error}; what was "
        "graded before is saved: make room and run the same command again"
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def draft_name(file: Path) -> Path:
    """Return a name beside a file that tells whose draft this is."""
    here = f"{socket.gethostname()}-{os.getpid()}.{next(NUMBERS)}"
    return file.parent / f"{_lead(file)}{here}.draft"


def remove_abandoned(file: Path) -> None:
    """Remove drafts of a file, or folders of them, that nobody ends."""
    lead, host = _lead(file), socket.gethostname()
    for other in os.scandir(file.parent):
        name = other.name
        if not (name.startswith(lead) and name.endswith(".draft")):
            continue
        where, _, pid = name[len(lead) : -len(".draft")].rpartition("-")
        pid = pid.partition(".")[0]
        dead = where == host and pid.isdecimal() and not _lives(int(pid))
        with contextlib.suppress(OSError):
            old = time.time() - other.stat(follow_symlinks=False).st_mtime
            if not (dead or old > ABANDONED_S):
                continue
            if other.is_dir(follow_symlinks=False):
                shutil.rmtree(other.path)
            else:
                os.unlink(other.path)


def _lead(file: Path) -> str:
    # Not the name itself, which may leave no room for more.
    return f".{hashlib.sha256(file.name.encode()).hexdigest()[:16]}."


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
