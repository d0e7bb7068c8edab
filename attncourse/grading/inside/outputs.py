"""What a cell shows: a bounded record in nbformat's form."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

ENTRY_BYTES = 64  # what an output weighs even if it is empty


def weight(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


class Outputs:
    """The outputs of one cell, at most `limit` bytes of them.

    A limit of 0 records nothing at all. What is over the limit is cut
    off, and a last output says so.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit
        self.cut = False
        self.entries: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self._stream = ""

    def write(self, stream: str, text: str) -> None:
        """Record text that was written to ``stdout`` or ``stderr``."""
        if not text or self.left <= 0:
            self.cut = self.cut or bool(text)
            return
        if not text.isascii():  # half a character cannot be sent
            text = text.encode("utf-8", "replace").decode("utf-8")
        if stream != self._stream:
            self._end_stream()
            self._stream = stream
            self.left -= ENTRY_BYTES
        size = weight(text)
        if size > self.left:
            text, self.cut = (
                text[: max(self.left, 0) * len(text) // size],
                True,
            )
        self.left -= size
        self._texts.append(text)

    def add(self, output: dict[str, Any]) -> None:
        """Record one output that is no stream."""
        self._end_stream()
        size = ENTRY_BYTES + weight(json.dumps(output, ensure_ascii=False))
        if size > self.left:
            self.left, self.cut = 0, True
            return
        self.left -= size
        self.entries.append(output)

    def show(
        self, kind: str, data: dict, metadata: dict | None, **more: Any
    ) -> None:
        """Record an ``execute_result`` or a ``display_data``."""
        if self.left <= 0:
            self.cut = True
            return
        output = {
            "output_type": kind,
            "data": {str(mime): plain(data[mime]) for mime in data},
            "metadata": plain(metadata or {}),
        }
        self.add(output | more)

    def clear(self) -> None:
        """Forget what was shown; what it weighed stays used up."""
        self._end_stream()
        self.entries.clear()

    def taken(self) -> list[dict[str, Any]]:
        """Return all outputs, with a note if some are missing."""
        self._end_stream()
        if self.cut and self.limit > 0:
            note = f"[cut off here: more than {self.limit:,} bytes of output]"
            self.entries.append(stream_output("stderr", f"\n{note}\n"))
            self.cut = False
        for entry in self.entries:
            entry.pop("mark", None)
        return self.entries

    def _end_stream(self) -> None:
        if self._texts:
            text = "".join(self._texts)
            self.entries.append(stream_output(self._stream, text))
            self._texts.clear()
        self._stream = ""


def stream_output(name: str, text: str) -> dict[str, Any]:
    """Return nbformat's stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def plain(value: Any) -> Any:
    """Return JSON's types; bytes, such as a picture, become base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if type(value) is str:
        return value
    return json.loads(json.dumps(value, default=str))


class Stream(io.TextIOBase):
    """What stands as `sys.stdout` while a cell runs."""

    errors = "replace"

    def __init__(self, name: str, descriptor: int, record: Outputs) -> None:
        self.name = f"<{name}>"
        self.record = record
        self._stream = name
        self._descriptor = descriptor
        self.buffer = Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding that text is assumed to have."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Record a text."""
        if not isinstance(text, str):
            got = type(text).__name__
            raise TypeError(f"write() takes a str: got {got}")
        self.record.write(self._stream, str(text))
        return len(text)

    def writable(self) -> bool:
        """A stream can be written to."""
        return True

    def isatty(self) -> bool:
        """No terminal is there."""
        return False

    def fileno(self) -> int:
        """Return the descriptor, which is caught as well."""
        return self._descriptor

    def close(self) -> None:
        """Stay open: the next cell prints, too."""


class Bytes(io.RawIOBase):
    """What stands as `sys.stdout.buffer`."""

    def __init__(self, stream: Stream) -> None:
        self.raw = self
        self._stream = stream

    def writable(self) -> bool:
        """A stream can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Record bytes as text."""
        raw = bytes(data)
        self._stream.write(raw.decode("utf-8", "replace"))
        return len(raw)

    def close(self) -> None:
        """Stay open: the next cell prints, too."""
