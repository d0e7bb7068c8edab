"""What is written to the descriptors 1 and 2, past Python's streams."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile


class Descriptors:
    """Files that stand in for the standard output and error.

    Made before the process is shut in, where making such files may be
    forbidden. A file cannot fill up as a pipe does, so that nobody needs
    to read while a cell writes.
    """

    def __init__(self) -> None:
        self._files = {"stdout": anonymous(), "stderr": anonymous()}

    def catch(self) -> None:
        """Turn this process's descriptors 1 and 2 to the files."""
        os.dup2(self._files["stdout"], 1)
        os.dup2(self._files["stderr"], 2)

    @contextlib.contextmanager
    def caught(self):
        """Turn the descriptors, and turn them back afterwards."""
        before = os.dup(1), os.dup(2)
        self.catch()
        try:
            yield
        finally:
            for descriptor, saved in enumerate(before, start=1):
                os.dup2(saved, descriptor)
                os.close(saved)

    def taken(self, most: int) -> dict[str, str]:
        """Return what has been written since, `most` bytes of each.

        Both are empty, too, if the student's code has closed the files.
        """
        texts = {}
        for number, name in enumerate(("stdout", "stderr"), start=1):
            with contextlib.suppress(OSError):
                size = os.fstat(number).st_size
                if size == 0:
                    continue
                data = os.pread(number, min(size, most), 0)
                os.ftruncate(number, 0)
                texts[name] = data.decode("utf-8", "replace")
        return texts

    @property
    def numbers(self) -> tuple[int, ...]:
        """The files' own descriptors."""
        return tuple(self._files.values())

    def close(self) -> None:
        """Close the files' own descriptors."""
        for number in self._files.values():
            os.close(number)


def anonymous() -> int:
    """Return the descriptor of an empty file without a name.

    It appends, so that emptying it makes the next write start at 0.
    """
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("output", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    fcntl.fcntl(number, fcntl.F_SETFL, flags | os.O_APPEND)
    return number
