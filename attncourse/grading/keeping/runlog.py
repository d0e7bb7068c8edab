"""What was done, when, and by what: a line of JSON for each event."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = (
    "attncourse",
    "numpy",
    "torch",
    "ipython",
    "nbformat",
    "nbgrader",
)


class RunLog:
    """Appends events to a file that any number of graders may share.

    An event is one write, so that lines of two graders do not mix; a line
    that a crash cut short is closed before the next.
    """

    def __init__(self, file: Path | None):
        self.file = file
        self.failed: OSError | None = None

    def write(self, event: str, **facts: Any) -> None:
        """Add an event; a log that cannot be written stops nothing."""
        if self.file is None:
            return
        told = {"when": now(), "pid": os.getpid(), "event": event, **facts}
        line = json.dumps(told, ensure_ascii=True, default=str) + "\n"
        try:
            self._append(line.encode())
        except OSError as error:
            self.failed = error

    def _append(self, line: bytes) -> None:
        assert self.file is not None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(self.file, flags, 0o640)
        try:
            end = os.fstat(handle).st_size
            if end and os.pread(handle, 1, end - 1) != b"\n":
                line = b"\n" + line
            os.write(handle, line)
        finally:
            os.close(handle)


def read(file: Path) -> list[dict[str, Any]]:
    """Return the events of a log; lines that were cut short are left out."""
    events = []
    if file.exists():
        for line in file.read_text("utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
    return events


def now() -> str:
    """Return the time in UTC, to the millisecond."""
    moment = datetime.datetime.now(datetime.UTC)
    return moment.isoformat(timespec="milliseconds")


def versions() -> dict[str, str]:
    """Return the versions on which a grade may depend."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
